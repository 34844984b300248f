//! What govern means: versions, specs, pins, floors, the decision, where things lie on disk.
//! Pure: no file, no network, no clock, no environment, no serialisation. Callers bring values and take values.

pub mod command;
pub mod decide;
pub mod event;
pub mod goenv;
pub mod gomod;
pub mod gotoolchain;
pub mod layout;
pub mod link;
pub mod origin;
pub mod pinfile;
pub mod platform;
pub mod problem;
pub mod proof;
pub mod released;
pub mod safe_floor;
pub mod sdk;
pub mod settings;
pub mod spec;
pub mod vars;
pub mod version;
