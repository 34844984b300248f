//! The releases that are known without asking anybody: names for launchers until a list of releases was fetched.
//! Leaves out what is older than Go's own switching, and what came out after this was written.

use crate::version::Version;

/// Families from 1.21 on, where Go began to switch, and the newest patch of each. Source: the list of the module proxy for
/// `golang.org/toolchain`. Patches have no gaps in their numbers.
const NEWEST: &[(u32, u32)] = &[(21, 13), (22, 12), (23, 12), (24, 13), (25, 14), (26, 11), (27, 4)];

/// The releases.
pub fn released() -> impl Iterator<Item = Version> {
    let names = NEWEST.iter().flat_map(|(minor, newest)| (0..=*newest).map(move |patch| format!("1.{minor}.{patch}")));
    names.filter_map(|name| Version::parse(&name).ok())
}

#[cfg(test)]
mod tests {
    use super::released;

    #[test]
    fn every_patch_of_every_family_is_there_once() {
        let names: Vec<String> = released().map(|version| version.toolchain()).collect();
        assert_eq!((names.len(), names[0].as_str()), (86, "go1.21.0"));
        assert!(names.iter().any(|name| name == "go1.22.12") && !names.iter().any(|name| name == "go1.22.13"));
        assert!(released().all(|version| !version.is_lang() && !version.is_prerelease()));
    }
}
