//! The installed releases, and which of them were found when one was looked for: those alone a decision is made by.

use std::cell::RefCell;

use crate::spec::Spec;
use crate::version::Version;

/// The installed releases. Whatever is looked for among them is the newest of its kind, so that the answer is the same
/// while that one is there.
pub(super) struct Installed<'a> {
    /// In any order.
    all: &'a [Version],
    /// Their places, each once.
    found: RefCell<Vec<usize>>,
}

impl<'a> Installed<'a> {
    pub(super) fn new(all: &'a [Version]) -> Installed<'a> {
        Installed { all, found: RefCell::default() }
    }

    /// The newest one that is admitted.
    pub(super) fn newest(&self, is_admitted: impl Fn(&Version) -> bool) -> Option<&'a Version> {
        let admitted = self.all.iter().enumerate().filter(|(_, version)| is_admitted(version));
        let (place, newest) = admitted.max_by_key(|(_, version)| *version)?;
        let mut found = self.found.borrow_mut();
        if !found.contains(&place) {
            found.push(place);
        }
        Some(newest)
    }

    /// The one of this name.
    pub(super) fn named(&self, toolchain: &str) -> Option<&'a Version> {
        self.newest(|version| version.toolchain() == toolchain)
    }

    /// The one that a wish means, of those that are admitted.
    pub(super) fn pick(&self, spec: &Spec, is_admitted: impl Fn(&Version) -> bool) -> Option<&'a Version> {
        spec.pick_by(|is_meant| self.newest(|version| is_meant(version) && is_admitted(version)))
    }

    /// Those that were found.
    pub(super) fn found(self) -> Vec<&'a Version> {
        self.found.into_inner().into_iter().map(|place| &self.all[place]).collect()
    }
}
