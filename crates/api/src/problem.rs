//! Failures on the wire: RFC 9457 problem details, and the way to and from a [`Report`].

use govern_core::problem::{Code, Report};
use serde::{Deserialize, Serialize};

/// The media type of a [`Problem`].
pub const MEDIA_TYPE: &str = "application/problem+json";

/// RFC 9457 problem details, with what a person is told.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Problem {
    /// Always `about:blank`: the code says what kind of problem it is.
    #[serde(rename = "type", default)]
    pub kind: String,
    /// The code's name.
    pub code: String,
    /// The fact.
    pub title: String,
    /// The HTTP status.
    pub status: u16,
    /// Whose wish it was.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub wanted_by: Option<String>,
    /// The causes, outermost first.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub causes: Vec<String>,
    /// Commands to paste.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub hints: Vec<String>,
}

impl From<Report> for Problem {
    fn from(report: Report) -> Problem {
        let status = match report.code {
            Code::Usage => 400,
            Code::Policy => 403,
            Code::NoArtifact | Code::NoVersion => 404,
            Code::Network => 502,
            Code::Daemon => 503,
            Code::Failure | Code::Integrity => 500,
        };
        Problem {
            kind: "about:blank".to_owned(),
            code: report.code.name().to_owned(),
            title: report.fact,
            status,
            wanted_by: report.wanted_by,
            causes: report.causes,
            hints: report.hints,
        }
    }
}

impl From<Problem> for Report {
    fn from(problem: Problem) -> Report {
        Report {
            code: Code::from_name(&problem.code),
            fact: problem.title,
            wanted_by: problem.wanted_by,
            causes: problem.causes,
            hints: problem.hints,
        }
    }
}

#[cfg(test)]
mod tests {
    use govern_core::problem::{Code, Report};

    use super::Problem;

    #[test]
    fn a_report_survives_the_wire() {
        for code in Code::ALL {
            let report = Report::new(code, "x").hint("govern y");
            let json = serde_json::to_string(&Problem::from(report.clone())).unwrap();
            assert_eq!(Report::from(serde_json::from_str::<Problem>(&json).unwrap()), report);
        }
    }

    #[test]
    fn a_problem_of_a_newer_daemon_is_understood_as_far_as_it_goes() {
        let json = r#"{"code":"from-the-future","title":"x","status":418,"more":{"a":1}}"#;
        let report = Report::from(serde_json::from_str::<Problem>(json).unwrap());
        assert_eq!(report, Report::new(Code::Failure, "x"));
    }
}
