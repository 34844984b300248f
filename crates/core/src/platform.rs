//! The operating system and processor of an SDK, and the file and module names that Go forms from them.
//! Leaves out finding this machine's own platform: the mains do that.

use std::fmt;

use crate::version::Version;

/// A pair of GOOS and GOARCH, in Go's spelling (`linux`, `arm64`).
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Platform {
    /// GOOS.
    pub os: String,
    /// GOARCH; `arm`, never `armv6l`.
    pub arch: String,
}

impl Platform {
    /// Translates Rust's names for a system and a processor (`std::env::consts`) into Go's.
    #[must_use]
    pub fn from_rust(os: &str, arch: &str) -> Platform {
        let os = if os == "macos" { "darwin" } else { os };
        let arch = match arch {
            "x86_64" => "amd64",
            "x86" => "386",
            "aarch64" => "arm64",
            "powerpc64" => "ppc64le",
            "loongarch64" => "loong64",
            other => other,
        };
        Platform { os: os.to_owned(), arch: arch.to_owned() }
    }

    /// The processor as the download page spells it: linux/arm is `armv6l` there.
    #[must_use]
    pub fn download_arch(&self) -> &str {
        if self.os == "linux" && self.arch == "arm" { "armv6l" } else { &self.arch }
    }

    /// The name of the binary archive: `go1.22.4.linux-amd64.tar.gz`.
    #[must_use]
    pub fn archive(&self, version: &Version) -> String {
        let format = if self.os == "windows" { "zip" } else { "tar.gz" };
        format!("{}.{}-{}.{format}", version.toolchain(), self.os, self.download_arch())
    }

    /// The version of the module `golang.org/toolchain` that holds this release: `v0.0.1-go1.22.4.linux-amd64`.
    #[must_use]
    pub fn module_version(&self, version: &Version) -> String {
        format!("v0.0.1-{}.{}-{}", version.toolchain(), self.os, self.arch)
    }
}

/// Prints `linux/amd64`, as Go does.
impl fmt::Display for Platform {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}/{}", self.os, self.arch)
    }
}
