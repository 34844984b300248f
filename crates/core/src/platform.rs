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

#[cfg(test)]
mod tests {
    use super::Platform;
    use crate::version::Version;

    fn platform(os: &str, arch: &str) -> Platform {
        Platform { os: os.to_owned(), arch: arch.to_owned() }
    }

    #[test]
    fn rusts_names_become_gos() {
        let check = |os: &str, arch: &str, expect: &str| assert_eq!(Platform::from_rust(os, arch).to_string(), expect);
        check("linux", "x86_64", "linux/amd64");
        check("linux", "x86", "linux/386");
        check("linux", "aarch64", "linux/arm64");
        check("linux", "arm", "linux/arm");
        check("linux", "riscv64", "linux/riscv64");
        check("linux", "s390x", "linux/s390x");
        check("linux", "powerpc64", "linux/ppc64le");
        check("linux", "loongarch64", "linux/loong64");
        check("macos", "aarch64", "darwin/arm64");
        check("macos", "x86_64", "darwin/amd64");
        check("freebsd", "x86_64", "freebsd/amd64");
    }

    #[test]
    fn archives_are_named_as_the_download_page_names_them() {
        let check = |version: &str, os: &str, arch: &str, expect: &str| {
            assert_eq!(platform(os, arch).archive(&Version::parse(version).unwrap()), expect);
        };
        check("1.22.4", "linux", "amd64", "go1.22.4.linux-amd64.tar.gz");
        check("1.22.4", "linux", "arm", "go1.22.4.linux-armv6l.tar.gz");
        check("1.22.4", "freebsd", "arm", "go1.22.4.freebsd-arm.tar.gz");
        check("1.22.4", "darwin", "arm64", "go1.22.4.darwin-arm64.tar.gz");
        check("1.22.4", "windows", "amd64", "go1.22.4.windows-amd64.zip");
        check("1.20", "linux", "386", "go1.20.linux-386.tar.gz");
        check("1.21.0", "linux", "amd64", "go1.21.0.linux-amd64.tar.gz");
        check("1.28rc1", "linux", "arm64", "go1.28rc1.linux-arm64.tar.gz");
        check("1.9.2rc2", "linux", "amd64", "go1.9.2rc2.linux-amd64.tar.gz");
    }

    #[test]
    fn module_versions_are_named_as_cmd_go_names_them() {
        let check = |version: &str, os: &str, arch: &str, expect: &str| {
            assert_eq!(platform(os, arch).module_version(&Version::parse(version).unwrap()), expect);
        };
        check("1.21.9", "linux", "amd64", "v0.0.1-go1.21.9.linux-amd64");
        check("1.22.4", "linux", "arm", "v0.0.1-go1.22.4.linux-arm");
        check("1.9rc2", "windows", "amd64", "v0.0.1-go1.9rc2.windows-amd64");
        check("1.22.3-bigcorp", "darwin", "arm64", "v0.0.1-go1.22.3-bigcorp.darwin-arm64");
    }
}
