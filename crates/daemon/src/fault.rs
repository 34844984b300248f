//! Failures as clients of the API are told of them.

use govern_api::problem::Problem;
use govern_core::problem::{Code, Report};

/// A failure on its way to a client. Boxed: what succeeds should not carry its size.
pub(crate) type Fault = Box<Problem>;

/// Makes one of a report.
pub(crate) fn fault(report: Report) -> Fault {
    Box::new(report.into())
}

/// Makes one of an error of the engine.
pub(crate) fn of_engine(error: &govern_engine::Error) -> Fault {
    fault(error.report())
}

/// Something panicked, or was never to happen.
pub(crate) fn bug() -> Fault {
    fault(Report::new(Code::Failure, "govern has a bug: a part of the daemon panicked").hint("govern daemon logs"))
}
