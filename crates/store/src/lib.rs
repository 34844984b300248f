//! The SDK tree on disk: stage, unpack, prove, publish, lease, verify, remove, sweep. Archives are read here and
//! nowhere else.
//!
//! The disk is the truth. An SDK is a directory `sdks/go1.22.4` with a `bin/go`; it gets that name in one rename,
//! when it is complete, proven and durable, so that whatever is visible is whole. Its record lies beside it, and
//! locks in `leases/` keep those who change a version apart from one another and from those who run it.
//!
//! Leaves out where archives come from and what must hold of them (`sources`, `core::proof`), and which SDK somebody
//! wants (`core`, `engine`).

mod archives;
mod bundle;
mod disk;
mod error;
mod examine;
mod facts;
mod gunzip;
mod h1;
mod hasher;
mod holders;
mod lock;
mod manifest;
mod name;
mod pipe;
mod plan;
mod record;
mod refusal;
mod remove;
mod staging;
mod tar;
mod tree;
mod twins;
mod unpack;
mod verify;
mod walk;
mod zip;

use std::fs;

use govern_core::layout::Layout;
use govern_core::sdk::Sdk;
use govern_core::version::Version;

pub use crate::archives::Archive;
pub use crate::bundle::{Content, unpack_bundle, write_bundle};
pub use crate::error::Error;
use crate::error::at;
pub use crate::examine::examine;
pub use crate::lock::{Lease, VersionLock};
pub use crate::refusal::{NameFault, Refusal};
pub use crate::remove::{Removed, Swept};
pub use crate::staging::{Proven, Staging, Unpacked, archive_name};
pub use crate::twins::{Means, Shared};
pub use crate::verify::{Damage, Verified};

/// The SDKs of one installation.
#[derive(Clone, Debug)]
pub struct Store {
    layout: Layout,
}

impl Store {
    /// Opens the store and makes its directories where they are missing. A store that exists can be read on a
    /// read-only file system.
    ///
    /// # Errors
    /// When a directory cannot be made; the error names it, and whose it is where a permission is missing.
    pub fn open(layout: &Layout) -> Result<Store, Error> {
        for directory in [&layout.data, &layout.sdks(), &layout.records(), &layout.leases()] {
            disk::create_directory(directory)?;
        }
        Ok(Store { layout: layout.clone() })
    }

    /// All SDKs, newest first.
    ///
    /// # Errors
    /// When the directory of the SDKs cannot be listed.
    pub fn sdks(&self) -> Result<Vec<Sdk>, Error> {
        Ok(self.named()?.iter().filter_map(|version| self.sdk(version)).collect())
    }

    /// The versions that something among the SDKs is named after, whole or not; newest first.
    ///
    /// # Errors
    /// When the directory of the SDKs cannot be listed.
    pub fn named(&self) -> Result<Vec<Version>, Error> {
        let directory = self.layout.sdks();
        let mut named = Vec::new();
        for entry in fs::read_dir(&directory).map_err(at("list", &directory))? {
            let name = entry.map_err(at("list", &directory))?.file_name();
            let version = name.to_str().and_then(|name| Version::parse(name).ok());
            // `1.22.4` is a version as well, but no name that govern gives a directory.
            named.extend(version.filter(|version| name.to_str() == Some(&version.toolchain())));
        }
        named.sort_unstable_by(|a, b| b.cmp(a));
        Ok(named)
    }

    /// The SDK of one version, if it is installed.
    #[must_use]
    pub fn sdk(&self, version: &Version) -> Option<Sdk> {
        let goroot = self.layout.sdk(version);
        // The second look keeps links to directories out, which are nobody's SDK: see `sdks`.
        (self.has_go(version) && self.has_tree(version)).then(|| Sdk { version: version.clone(), goroot })
    }

    /// Whether there is a `go` where an SDK of the version would have it.
    #[must_use]
    pub fn has_go(&self, version: &Version) -> bool {
        fs::symlink_metadata(self.layout.sdk(version).join("bin/go")).is_ok_and(|go| go.is_file())
    }

    /// Whether a directory, and no link to one, has the name of the version.
    fn has_tree(&self, version: &Version) -> bool {
        fs::symlink_metadata(self.layout.sdk(version)).is_ok_and(|root| root.is_dir())
    }
}
