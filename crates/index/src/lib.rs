//! The SQLite index of installed SDKs, of the directories that asked for one, and of the pins seen on the way.
//!
//! It is a view and no truth: whatever stands here can be read again from the disk, so a file that is missing, damaged
//! or written by a newer govern is moved aside and begun anew, and the caller fills it by a scan. One process, the
//! daemon, holds one connection; every call blocks, so the daemon makes them on a thread of their own.
//!
//! Leaves out the scan that fills it (`store`, `engine`) and every decision: nothing here chooses a Go.

mod column;
mod error;
mod open;
mod pins;
mod schema;
mod sdks;
mod uses;

pub use error::Error;
pub use open::Opened;
pub use pins::PinRow;
pub use sdks::SdkRow;
pub use uses::{Project, Use};

/// The open index. Dropping it closes the database.
#[derive(Debug)]
pub struct Index {
    conn: rusqlite::Connection,
}
