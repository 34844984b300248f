//! The paths of the interface, for the daemon and the client alike.

/// GET: [`crate::body::Status`].
pub const STATUS: &str = "/v1/status";
/// POST [`crate::body::Ask`]: [`crate::body::Decision`].
pub const DECISION: &str = "/v1/decision";
/// GET: [`crate::body::Sdks`].
pub const SDKS: &str = "/v1/sdks";
/// POST [`crate::body::ReleasesWanted`]: [`crate::body::Releases`].
pub const RELEASES: &str = "/v1/releases";
/// GET: [`crate::body::Projects`].
pub const PROJECTS: &str = "/v1/projects";
/// GET: [`crate::body::Jobs`]. POST [`crate::body::NewJob`]: [`crate::body::Job`].
pub const JOBS: &str = "/v1/jobs";
/// GET: the job's events as server-sent events, each one a [`crate::body::JobEvent`].
pub const JOB_EVENTS: &str = "/v1/jobs/{id}/events";
/// POST: the daemon drains and ends; answered with [`crate::body::Status`].
pub const SHUTDOWN: &str = "/v1/shutdown";

/// The path of one job's events.
#[must_use]
pub fn job_events(id: u64) -> String {
    JOB_EVENTS.replace("{id}", &id.to_string())
}
