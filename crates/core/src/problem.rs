//! What a person is told when something fails: the fact, whose wish it was, the causes, what to type next.
//! Leaves out printing it (the command line) and sending it (the API).

/// What a program that acts on a failure can tell apart. The numbers are exit codes and never change meaning.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Code {
    /// Anything that has no code of its own.
    Failure = 1,
    /// The command line is wrong.
    Usage = 2,
    /// There is no such SDK for this platform.
    NoArtifact = 3,
    /// There is no such version, or it is not installed.
    NoVersion = 4,
    /// The network, or what is behind it, does not answer.
    Network = 5,
    /// The daemon does not answer.
    Daemon = 6,
    /// What came is not what was promised.
    Integrity = 7,
    /// A rule of the user's or of the machine's forbids it.
    Policy = 8,
}

impl Code {
    /// All codes.
    pub const ALL: [Code; 8] = [
        Code::Failure,
        Code::Usage,
        Code::NoArtifact,
        Code::NoVersion,
        Code::Network,
        Code::Daemon,
        Code::Integrity,
        Code::Policy,
    ];

    /// The process's exit code.
    #[must_use]
    pub fn exit(self) -> u8 {
        self as u8
    }

    /// The code's name in JSON.
    #[must_use]
    pub fn name(self) -> &'static str {
        match self {
            Code::Failure => "failure",
            Code::Usage => "usage",
            Code::NoArtifact => "no-artifact",
            Code::NoVersion => "no-version",
            Code::Network => "network",
            Code::Daemon => "daemon",
            Code::Integrity => "integrity",
            Code::Policy => "policy",
        }
    }

    /// The code of that name; [`Code::Failure`] for one that a newer govern may know.
    #[must_use]
    pub fn from_name(name: &str) -> Code {
        Code::ALL.into_iter().find(|code| code.name() == name).unwrap_or(Code::Failure)
    }
}

/// A failure as a person is told of it (DESIGN §8).
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Report {
    /// What kind of failure.
    pub code: Code,
    /// One lower-case fact, without a final period.
    pub fact: String,
    /// Whose wish it was, as it stands after `wanted by`.
    pub wanted_by: Option<String>,
    /// The causes, outermost first.
    pub causes: Vec<String>,
    /// At most two commands to paste.
    pub hints: Vec<String>,
}

impl Report {
    /// A report with the fact alone.
    #[must_use]
    pub fn new(code: Code, fact: impl Into<String>) -> Report {
        Report { code, fact: fact.into(), wanted_by: None, causes: Vec::new(), hints: Vec::new() }
    }

    /// A report on an error and the chain of its causes.
    #[must_use]
    pub fn of(code: Code, error: &dyn std::error::Error) -> Report {
        let mut report = Report::new(code, error.to_string());
        let mut source = error.source();
        while let Some(cause) = source {
            report.causes.push(cause.to_string());
            source = cause.source();
        }
        report
    }

    /// Adds whose wish it was.
    #[must_use]
    pub fn wanted_by(mut self, origin: &crate::origin::Origin) -> Report {
        self.wanted_by = Some(origin.to_string());
        self
    }

    /// Adds a cause below the others.
    #[must_use]
    pub fn cause(mut self, cause: impl Into<String>) -> Report {
        self.causes.push(cause.into());
        self
    }

    /// Adds a command to paste.
    #[must_use]
    pub fn hint(mut self, command: impl Into<String>) -> Report {
        self.hints.push(command.into());
        self
    }
}
