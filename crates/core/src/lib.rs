//! What govern means: versions, specs, pins, floors, the decision, where things lie on disk.
//! Pure: no file, no network, no clock, no environment, no serialisation. Callers bring values and take values.

pub mod event;
pub mod layout;
pub mod origin;
pub mod platform;
pub mod proof;
pub mod sdk;
pub mod spec;
pub mod vars;
pub mod version;
