//! What two SDKs of one minor share, and that it never makes one of them less than it should be.

use std::fs;
use std::os::unix::fs::{MetadataExt as _, PermissionsExt as _};
use std::path::{Path, PathBuf};
use std::time::{Duration, SystemTime};

use govern_core::proof::Format;
use govern_core::version::Version;
use govern_store::{Damage, Means, Proven, Shared};

use crate::archives::tar_gz;
use crate::support::{Files, Home, SOURCE, now, proof, small_sdk};

const SAME: &str = "src/fmt/print.go";
const OTHER: &str = "src/fmt/scan.go";

fn version(text: &str) -> Version {
    Version::parse(text).unwrap()
}

/// The small SDK with a file that all releases have, and one of the same length that differs behind its first half.
fn sdk(version: &Version) -> Files {
    let mut files = small_sdk(version);
    files.insert(SAME.to_owned(), (vec![b'='; 300_000], false));
    let half = [vec![b'='; 150_000], version.to_string().repeat(20_000).into_bytes()].concat();
    files.insert(OTHER.to_owned(), (half[..200_000].to_vec(), false));
    files
}

fn proven(home: &Home, version: &Version, files: &Files) -> Proven {
    let unpacked = home.unpack_as(version, Format::TarGz, &tar_gz(files)).unwrap();
    let proof = proof(unpacked.evidence());
    unpacked.prove(proof).unwrap()
}

fn install(home: &Home, text: &str) -> Version {
    install_at(home, text, now())
}

fn install_at(home: &Home, text: &str, time: SystemTime) -> Version {
    let version = version(text);
    proven(home, &version, &sdk(&version)).publish(SOURCE, time).unwrap();
    version
}

fn path(home: &Home, version: &Version, file: &str) -> PathBuf {
    home.layout.sdk(version).join(file)
}

fn inode(path: &Path) -> u64 {
    fs::metadata(path).unwrap().ino()
}

/// Overwrites a file in its place, as an editor does that keeps hard links.
fn damage(path: &Path, content: &[u8]) {
    fs::set_permissions(path, fs::Permissions::from_mode(0o644)).unwrap();
    fs::write(path, content).unwrap();
    fs::set_permissions(path, fs::Permissions::from_mode(0o444)).unwrap();
}

#[test]
fn the_next_patch_has_the_same_files_once_and_others_of_its_own() {
    let home = Home::new();
    let (first, second) = (install(&home, "1.24.11"), install(&home, "1.24.12"));
    for version in [&first, &second] {
        assert_eq!(home.store.verify(version).unwrap(), vec![], "{version}");
    }
    let shared = home.store.shared().unwrap();
    let [shared] = shared.as_slice() else { panic!("{shared:?}") };
    assert_eq!((&shared.version, &shared.with), (&second, &first));
    // All but `VERSION`, the empty file and the one that differs.
    assert_eq!(shared.files, sdk(&second).len() as u64 - 3);
    let is_one_file = |file| inode(&path(&home, &first, file)) == inode(&path(&home, &second, file));
    assert_eq!(is_one_file(SAME), shared.means == Means::HardLink);
    assert!(!is_one_file(OTHER) && !is_one_file("VERSION"));
    let content = fs::read(path(&home, &second, OTHER)).unwrap();
    assert!(content == sdk(&second)[OTHER].0);
}

#[test]
fn another_minor_shares_nothing() {
    let home = Home::new();
    install(&home, "1.24.11");
    let other = install(&home, "1.25.0");
    assert_eq!(home.store.shared().unwrap(), vec![]);
    assert_eq!(fs::metadata(path(&home, &other, SAME)).unwrap().nlink(), 1);
}

#[test]
fn removing_either_leaves_the_other_whole_and_counts_what_it_freed() {
    for removed in ["1.24.11", "1.24.12"] {
        let home = Home::new();
        let both = [install(&home, "1.24.11"), install(&home, "1.24.12")];
        let means = home.store.shared().unwrap()[0].means;
        let [gone, left] = if both[0] == version(removed) { [&both[0], &both[1]] } else { [&both[1], &both[0]] };
        let freed = home.store.remove(gone).unwrap();
        if means == Means::HardLink {
            assert!((200_000..300_000).contains(&freed.bytes), "{freed:?}");
        }
        assert_eq!(home.store.verify(left).unwrap(), vec![]);
        assert_eq!(home.store.shared().unwrap(), vec![]);
        // Nobody else has it any more.
        assert!(home.store.remove(left).unwrap().bytes > 500_000);
    }
}

#[test]
fn what_three_have_is_shared_by_two_when_the_middle_one_goes() {
    let home = Home::new();
    let [first, second, third] = ["1.24.11", "1.24.12", "1.24.13"].map(|text| install(&home, text));
    let [of_third, of_second] = <[Shared; 2]>::try_from(home.store.shared().unwrap()).unwrap();
    assert_eq!([&of_third.with, &of_second.with], [&second, &first]);
    home.store.remove(&second).unwrap();
    let expected = match of_third.means {
        Means::HardLink => vec![Shared { with: first.clone(), ..of_third }],
        // Whose blocks they are, nobody can tell.
        Means::Reflink => vec![],
    };
    assert_eq!(home.store.shared().unwrap(), expected);
    home.store.remove(&first).unwrap();
    assert_eq!(home.store.shared().unwrap(), vec![]);
    assert_eq!(home.store.verify(&third).unwrap(), vec![]);
}

#[test]
fn what_two_share_is_told_once_when_the_older_one_is_installed_anew() {
    for later in [0, 60].map(Duration::from_secs) {
        let home = Home::new();
        let (first, second) = (install(&home, "1.24.11"), install(&home, "1.24.12"));
        home.store.remove(&first).unwrap();
        install_at(&home, "1.24.11", now() + later);
        let shared = home.store.shared().unwrap();
        let [shared] = shared.as_slice() else { panic!("{shared:?}") };
        assert_eq!(shared.files, sdk(&second).len() as u64 - 3);
        if !later.is_zero() {
            assert_eq!((&shared.version, &shared.with), (&first, &second));
        }
    }
}

#[test]
fn what_is_no_longer_shared_after_a_repair_is_not_told() {
    let home = Home::new();
    let (first, second) = (install(&home, "1.24.11"), install(&home, "1.24.12"));
    let mut other = sdk(&first);
    other.retain(|path, _| !path.starts_with("api/"));
    other.get_mut(SAME).unwrap().0.fill(b'-');
    proven(&home, &first, &other).replace(SOURCE, now() + Duration::from_secs(60)).unwrap();
    let shared = home.store.shared().unwrap();
    let [shared] = shared.as_slice() else { panic!("{shared:?}") };
    assert_eq!((&shared.version, &shared.with), (&first, &second));
    assert_eq!(shared.files, sdk(&second).len() as u64 - 5);
}

#[test]
fn what_is_damaged_is_not_shared_nor_what_another_mode_has() {
    let home = Home::new();
    let first = install(&home, "1.24.11");
    damage(&path(&home, &first, SAME), &vec![b'!'; 300_000]);
    fs::set_permissions(path(&home, &first, "src/cmd/go.mod"), fs::Permissions::from_mode(0o644)).unwrap();
    let second = install(&home, "1.24.12");
    assert_eq!(home.store.verify(&second).unwrap(), vec![]);
    assert_eq!(home.store.shared().unwrap()[0].files, sdk(&second).len() as u64 - 5);
}

#[test]
fn damage_to_a_shared_file_is_found_from_either_side_and_repaired_in_both() {
    let home = Home::new();
    let (first, second) = (install(&home, "1.24.11"), install(&home, "1.24.12"));
    if home.store.shared().unwrap()[0].means == Means::Reflink {
        // Blocks part when one is written to: there is nothing to find.
        damage(&path(&home, &second, SAME), b"changed");
        assert_eq!(home.store.verify(&first).unwrap(), vec![]);
        return;
    }
    damage(&path(&home, &second, SAME), b"changed");
    for (version, with) in [(&first, &second), (&second, &first)] {
        let shared = Damage::Shared { path: SAME.into(), more: 0, with: with.clone() };
        assert_eq!(home.store.verify(version).unwrap(), vec![Damage::Changed(SAME.into()), shared]);
    }
    // A repair of one neither takes the damaged file over nor touches the other.
    proven(&home, &first, &sdk(&first)).replace(SOURCE, now()).unwrap();
    assert_eq!(home.store.verify(&first).unwrap(), vec![]);
    assert_eq!(home.store.verify(&second).unwrap(), vec![Damage::Changed(SAME.into())]);
    proven(&home, &second, &sdk(&second)).replace(SOURCE, now()).unwrap();
    for version in [&first, &second] {
        assert_eq!(home.store.verify(version).unwrap(), vec![], "{version}");
    }
}
