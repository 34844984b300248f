//! What the fuzz targets (`tests/fuzz`) look at from outside and nobody else may: the readers of lists.

use crate::listing::{Kept, Release, parse_module_list, parse_page};

/// Reads a download page.
#[must_use]
pub fn page(bytes: &[u8]) -> Option<Vec<Release>> {
    parse_page(bytes).ok()
}

/// Reads a module proxy's list.
#[must_use]
pub fn module_list(bytes: &[u8]) -> Option<Vec<Release>> {
    parse_module_list(bytes).ok()
}

/// Reads a release as the cache keeps it.
#[must_use]
pub fn kept(bytes: &[u8]) -> Option<Release> {
    serde_json::from_slice::<Kept>(bytes).ok()?.release()
}

/// Writes a release as the cache keeps it.
///
/// # Panics
/// Never: every release has a kept form.
#[must_use]
pub fn keep(release: &Release) -> Vec<u8> {
    serde_json::to_vec(&Kept::of(release)).expect("a kept release has nothing that JSON has not")
}

/// The names of the release's archives.
pub fn file_names(release: &Release) -> impl Iterator<Item = &str> {
    release.files.iter().filter_map(|file| file.name.as_deref())
}
