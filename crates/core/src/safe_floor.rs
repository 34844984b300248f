//! The releases in which merely running `go` in a checkout is known to execute the checkout's code.
//!
//! A repository may not by itself bring one of them onto a machine: Go only ever switches up, but a version manager
//! that obeys a pin can be led down. The table is short because it holds toolchain-execution holes only, not every
//! advisory. Source: the Go vulnerability database's reports on `cmd/go`.

use crate::version::Version;

/// A known hole, and how to get round it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Advisory {
    /// The CVE number.
    pub id: &'static str,
    /// What a checkout can do.
    pub what: &'static str,
    /// The nearest release without any of these holes.
    pub fixed: Version,
}

/// Families and the first patch in each that is safe, newest family first.
const FIXED: &[(u32, u32, &str, &str)] = &[
    (25, 6, "CVE-2025-68119", "a checkout's version-control settings run commands"),
    (24, 5, "CVE-2025-4674", "an unexpected version-control directory in a checkout runs commands"),
    (23, 11, "CVE-2025-4674", "an unexpected version-control directory in a checkout runs commands"),
];

/// The hole in `version`, if it has one of these. Languages versions and vendors' builds are judged by their base.
#[must_use]
pub fn advisory(version: &Version) -> Option<Advisory> {
    let (major, minor) = version.family().unwrap_or((1, 0));
    if major != 1 {
        return None;
    }
    if minor == 21 && version.patch() == Some(0) {
        // 1.21.1 has no longer this hole, and still the one of all that are older than the table.
        let fixed = Version::parse("1.23.11").ok()?;
        return Some(Advisory { id: "CVE-2023-39320", what: "a toolchain line runs a program of the checkout", fixed });
    }
    // Families below the oldest entry never got the fix: the oldest fixed release is the nearest.
    let &(family, patch, id, what) = FIXED.iter().find(|(family, ..)| minor >= *family).or(FIXED.last())?;
    let safe = minor > family || (minor == family && version.patch().is_some_and(|p| p >= patch));
    if safe {
        return None;
    }
    Some(Advisory { id, what, fixed: Version::parse(&format!("1.{family}.{patch}")).ok()? })
}

#[cfg(test)]
mod tests {
    use super::advisory;
    use crate::version::Version;

    #[test]
    fn the_table_is_the_advisories() {
        let check = |text: &str, expect: Option<(&str, &str)>| {
            let found = advisory(&Version::parse(text).unwrap());
            assert_eq!(found.as_ref().map(|a| (a.id, a.fixed.as_str())), expect, "{text}");
        };
        check("1.21.0", Some(("CVE-2023-39320", "1.23.11")));
        check("1.21rc2", Some(("CVE-2025-4674", "1.23.11")));
        check("1.21.1", Some(("CVE-2025-4674", "1.23.11")));
        check("1.4", Some(("CVE-2025-4674", "1.23.11")));
        check("1.9.2rc2", Some(("CVE-2025-4674", "1.23.11")));
        check("1.23.10", Some(("CVE-2025-4674", "1.23.11")));
        check("1.23.11", None);
        check("1.23.12", None);
        check("1.24rc1", Some(("CVE-2025-4674", "1.24.5")));
        check("1.24.4", Some(("CVE-2025-4674", "1.24.5")));
        check("1.24.4-bigcorp", Some(("CVE-2025-4674", "1.24.5")));
        check("1.24.5", None);
        check("1.25rc1", Some(("CVE-2025-68119", "1.25.6")));
        check("1.25.0", Some(("CVE-2025-68119", "1.25.6")));
        check("1.25.5", Some(("CVE-2025-68119", "1.25.6")));
        check("1.25.6", None);
        check("1.26.0", None);
        check("1.28rc1", None);
    }

    #[test]
    fn what_is_advised_is_safe() {
        for minor in 0..40 {
            for version in (0..15).map(|patch| format!("1.{minor}.{patch}")).chain([format!("1.{minor}rc1")]) {
                let found = advisory(&Version::parse(&version).unwrap());
                assert!(found.is_none_or(|found| advisory(&found.fixed).is_none()), "{version}");
            }
        }
    }
}
