//! Lists of releases: the JSON of the download page, the `list` of a module proxy, and the form in which either is kept.
//! Takes bytes, gives releases; every field is checked before it may become part of a path or a URL.

use std::collections::BTreeMap;

use govern_core::platform::Platform;
use govern_core::proof::Sha256;
use govern_core::version::Version;
use serde::{Deserialize, Serialize};
use serde_json::Value;

use crate::goproxy::release_of;

/// The longest file name that is believed.
const LONGEST_NAME: usize = 160;

/// One release that a source publishes.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Release {
    /// Its version.
    pub version: Version,
    /// False for betas and release candidates.
    pub stable: bool,
    /// One per platform, sorted by it.
    pub(crate) files: Vec<File>,
}

/// What a source publishes for one platform.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct File {
    pub(crate) platform: Platform,
    /// The archive's name on a download page; module proxies need none.
    pub(crate) name: Option<String>,
    pub(crate) sha256: Option<Sha256>,
    pub(crate) size: Option<u64>,
}

impl Release {
    /// True when there is an SDK for this platform.
    #[must_use]
    pub fn is_for(&self, platform: &Platform) -> bool {
        self.file(platform).is_some()
    }

    /// The platforms that there are SDKs for, sorted.
    pub fn platforms(&self) -> impl Iterator<Item = &Platform> {
        self.files.iter().map(|file| &file.platform)
    }

    pub(crate) fn file(&self, platform: &Platform) -> Option<&File> {
        self.files.iter().find(|file| file.platform == *platform)
    }
}

/// One release as the download page writes it. Unknown fields are left out; missing and strange ones count as empty.
#[derive(Deserialize)]
struct Entry {
    version: String,
    #[serde(default)]
    stable: Option<bool>,
    #[serde(default)]
    files: Vec<Value>,
}

#[derive(Deserialize)]
struct EntryFile {
    filename: String,
    os: String,
    arch: String,
    kind: String,
    #[serde(default)]
    sha256: Option<Value>,
    #[serde(default)]
    size: Option<Value>,
}

/// Reads the JSON of a download page. Entries that make no sense are left out.
///
/// # Errors
/// A reason, when the whole is no list, or no entry of it makes sense.
pub(crate) fn parse_page(bytes: &[u8]) -> Result<Vec<Release>, String> {
    let entries: Vec<Value> = serde_json::from_slice(bytes).map_err(|fault| fault.to_string())?;
    let releases = entries.into_iter().filter_map(|entry| {
        let entry: Entry = serde_json::from_value(entry).ok()?;
        let version = Version::parse(entry.version.strip_prefix("go")?).ok()?;
        let files = entry.files.into_iter().filter_map(|file| page_file(&version, file));
        let files = best_files(files);
        let stable = entry.stable.unwrap_or(true) && !version.is_prerelease();
        (!files.is_empty()).then_some(Release { version, stable, files })
    });
    sorted(releases)
}

/// Reads the list of a vendor: builds with a suffix of their own. What else stands there is the Go project's to publish.
///
/// # Errors
/// A reason, when the whole is no list, or there is no such build in it.
pub(crate) fn parse_vendor_page(bytes: &[u8]) -> Result<Vec<Release>, String> {
    let mut releases = parse_page(bytes)?;
    releases.retain(|release| release.version.suffix().is_some());
    if releases.is_empty() {
        return Err("it names no build with a suffix of its own, such as go1.22.4-bigcorp".to_owned());
    }
    Ok(releases)
}

/// The archives that govern unpacks: `.tar.gz`, named after the release.
fn page_file(version: &Version, file: Value) -> Option<File> {
    let file: EntryFile = serde_json::from_value(file).ok()?;
    let is_archive = file.kind == "archive" && file.filename.ends_with(".tar.gz");
    if !is_archive || !is_platform_word(&file.os) || !is_platform_word(&file.arch) || file.arch == "bootstrap" {
        return None;
    }
    let named_after = file.filename.strip_prefix(&version.toolchain()).is_some_and(|rest| rest.starts_with('.'));
    if !named_after || !is_file_name(&file.filename) {
        return None;
    }
    let arch = if file.arch == "armv6l" { "arm".to_owned() } else { file.arch };
    Some(File {
        platform: Platform { os: file.os, arch },
        name: Some(file.filename),
        sha256: file.sha256.and_then(|digest| Sha256::from_hex(digest.as_str()?)),
        size: file.size.and_then(|size| size.as_u64()).filter(|size| *size > 0),
    })
}

/// Reads the `list` of a module proxy: one version of `golang.org/toolchain` a line.
///
/// # Errors
/// A reason, when no line names a release.
pub(crate) fn parse_module_list(bytes: &[u8]) -> Result<Vec<Release>, String> {
    let text = std::str::from_utf8(bytes).map_err(|_| "it is not text".to_owned())?;
    let mut files: BTreeMap<Version, Vec<File>> = BTreeMap::new();
    for (version, platform) in text.lines().filter_map(|line| release_of(line.split_whitespace().next()?)) {
        files.entry(version).or_default().push(File { platform, name: None, sha256: None, size: None });
    }
    sorted(files.into_iter().map(|(version, files)| Release {
        stable: !version.is_prerelease(),
        version,
        files: best_files(files.into_iter()),
    }))
}

/// One file per platform: of several, the one for the newer system (`osx10.8`), else the first.
fn best_files(files: impl Iterator<Item = File>) -> Vec<File> {
    let mut best: BTreeMap<Platform, File> = BTreeMap::new();
    let is_newer = |file: &File| file.name.as_deref().is_some_and(|name| name.contains("-osx10.8"));
    for file in files {
        match best.get(&file.platform) {
            Some(known) if is_newer(known) || !is_newer(&file) => {}
            _ => {
                best.insert(file.platform.clone(), file);
            }
        }
    }
    best.into_values().collect()
}

/// Newest first; of two entries for one release the first counts.
fn sorted(releases: impl Iterator<Item = Release>) -> Result<Vec<Release>, String> {
    let mut releases: Vec<Release> = releases.collect();
    releases.sort_by(|a, b| b.version.cmp(&a.version));
    releases.dedup_by(|later, first| later.version == first.version);
    if releases.is_empty() {
        return Err("it names no release".to_owned());
    }
    Ok(releases)
}

/// GOOS and GOARCH are small words.
pub(crate) fn is_platform_word(word: &str) -> bool {
    (1..=16).contains(&word.len()) && word.bytes().all(|b| b.is_ascii_lowercase() || b.is_ascii_digit())
}

/// Only names that mean nothing special in a path or a URL.
fn is_file_name(name: &str) -> bool {
    let plain = name.bytes().all(|b| b.is_ascii_alphanumeric() || b"._-".contains(&b));
    plain && name.len() <= LONGEST_NAME && !name.contains("..")
}

/// A release as the cache keeps it.
#[derive(Deserialize, Serialize)]
pub(crate) struct Kept {
    version: String,
    stable: bool,
    files: Vec<KeptFile>,
}

#[derive(Deserialize, Serialize)]
struct KeptFile {
    os: String,
    arch: String,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    name: Option<String>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    sha256: Option<String>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    size: Option<u64>,
}

impl Kept {
    pub(crate) fn of(release: &Release) -> Kept {
        let files = release.files.iter().map(|file| KeptFile {
            os: file.platform.os.clone(),
            arch: file.platform.arch.clone(),
            name: file.name.clone(),
            sha256: file.sha256.map(|digest| digest.to_string()),
            size: file.size,
        });
        Kept { version: release.version.to_string(), stable: release.stable, files: files.collect() }
    }

    /// The release, unless the kept form was damaged.
    pub(crate) fn release(self) -> Option<Release> {
        let version = Version::parse(&self.version).ok()?;
        let files = self.files.into_iter().map(|file| {
            let sound = is_platform_word(&file.os)
                && is_platform_word(&file.arch)
                && file.name.as_deref().is_none_or(is_file_name);
            let sha256 = match file.sha256 {
                Some(digest) => Some(Sha256::from_hex(&digest)?),
                None => None,
            };
            let platform = Platform { os: file.os, arch: file.arch };
            sound.then_some(File { platform, name: file.name, sha256, size: file.size })
        });
        Some(Release { files: files.collect::<Option<Vec<_>>>()?, version, stable: self.stable })
    }
}

#[cfg(test)]
mod tests {
    use super::{Kept, Release, is_file_name, parse_module_list, parse_page, parse_vendor_page};

    const DIGEST: &str = "d0398903a16ba2232b389fb31032ddf57cac34efda306a0eebac34f0965a0742";

    fn page(entries: &str) -> Vec<Release> {
        parse_page(entries.as_bytes()).unwrap()
    }

    fn shown(releases: &[Release]) -> Vec<String> {
        let files = |release: &Release| release.platforms().map(ToString::to_string).collect::<Vec<_>>().join(" ");
        releases.iter().map(|r| format!("{}{} {}", r.version, if r.stable { "" } else { "*" }, files(r))).collect()
    }

    fn file(name: &str, os: &str, arch: &str, kind: &str, rest: &str) -> String {
        format!(r#"{{"filename":"{name}","os":"{os}","arch":"{arch}","kind":"{kind}"{rest}}}"#)
    }

    #[test]
    fn only_binary_archives_count_and_armv6l_is_arm() {
        let files = [
            file(
                "go1.21.0.linux-amd64.tar.gz",
                "linux",
                "amd64",
                "archive",
                &format!(r#","sha256":"{DIGEST}","size":9"#),
            ),
            file("go1.21.0.linux-armv6l.tar.gz", "linux", "armv6l", "archive", ""),
            file("go1.21.0.src.tar.gz", "", "", "source", ""),
            file("go1.21.0.darwin-amd64.pkg", "darwin", "amd64", "installer", ""),
            file("go1.21.0.windows-amd64.zip", "windows", "amd64", "archive", ""),
            file("go1.21.0.linux-bootstrap.tar.gz", "linux", "bootstrap", "archive", ""),
        ];
        let releases = page(&format!(r#"[{{"version":"go1.21.0","stable":true,"files":[{}]}}]"#, files.join(",")));
        assert_eq!(shown(&releases), ["1.21.0 linux/amd64 linux/arm"]);
        let file = &releases[0].files[0];
        assert_eq!((file.sha256.unwrap().to_string().as_str(), file.size), (DIGEST, Some(9)));
    }

    #[test]
    fn of_two_archives_for_a_mac_the_one_for_the_newer_system_counts() {
        let old = file("go1.3.darwin-amd64-osx10.6.tar.gz", "darwin", "amd64", "archive", "");
        let new = file("go1.3.darwin-amd64-osx10.8.tar.gz", "darwin", "amd64", "archive", "");
        for files in [format!("{old},{new}"), format!("{new},{old}")] {
            let releases = page(&format!(r#"[{{"version":"go1.3","stable":true,"files":[{files}]}}]"#));
            assert_eq!(releases[0].files[0].name.as_deref(), Some("go1.3.darwin-amd64-osx10.8.tar.gz"));
        }
    }

    #[test]
    fn unknown_missing_strange_and_doubled_fields_do_no_harm() {
        let odd = [
            file("go1.3.linux-386.tar.gz", "linux", "386", "archive", r#","sha256":"","size":0,"new":{"a":[1]}"#),
            file("go1.3.linux-amd64.tar.gz", "linux", "amd64", "archive", r#","sha256":7,"size":"big","size":-1"#),
            r#"{"filename":7}"#.to_owned(),
            "null".to_owned(),
        ];
        let list = format!(
            r#"[{{"version":"go1.3","files":[{}],"more":1}}, 5, {{"version":"nonsense"}}, {{"version":"1.4"}}]"#,
            odd.join(",")
        );
        let releases = page(&list);
        assert_eq!(shown(&releases), ["1.3 linux/386 linux/amd64"]);
        assert!(releases[0].files.iter().all(|file| file.sha256.is_none() && file.size.is_none()));
    }

    #[test]
    fn releases_come_newest_first_and_prereleases_are_not_stable() {
        let entry = |version: &str, stable: bool| {
            let file = file(&format!("{version}.linux-amd64.tar.gz"), "linux", "amd64", "archive", "");
            format!(r#"{{"version":"{version}","stable":{stable},"files":[{file}]}}"#)
        };
        let list = [
            entry("go1.9.2rc2", false),
            entry("go1.21.0", true),
            entry("go1.22rc1", true),
            entry("go1.22.10", true),
            entry("go1.22.9", false),
            entry("go1.22.10", true),
            entry("go1.22.4-bigcorp", true),
        ];
        assert_eq!(
            shown(&page(&format!("[{}]", list.join(",")))),
            [
                "1.22.10 linux/amd64",
                "1.22.9* linux/amd64",
                "1.22.4-bigcorp linux/amd64",
                "1.22rc1* linux/amd64",
                "1.21.0 linux/amd64",
                "1.9.2rc2* linux/amd64"
            ]
        );
    }

    #[test]
    fn a_vendors_list_counts_for_builds_with_a_suffix_alone() {
        let entry = |version: &str| {
            let file = file(&format!("{version}.linux-amd64.tar.gz"), "linux", "amd64", "archive", "");
            format!(r#"{{"version":"{version}","stable":true,"files":[{file}]}}"#)
        };
        let list = ["go1.22.4", "go1.22.4-bigcorp", "go1.99.0", "go1.23rc1-bigcorp"].map(entry).join(",");
        let releases = parse_vendor_page(format!("[{list}]").as_bytes()).unwrap();
        assert_eq!(shown(&releases), ["1.23rc1-bigcorp* linux/amd64", "1.22.4-bigcorp linux/amd64"]);
        let fault = parse_vendor_page(format!("[{}]", entry("go1.22.4")).as_bytes()).unwrap_err();
        assert_eq!(fault, "it names no build with a suffix of its own, such as go1.22.4-bigcorp");
    }

    #[test]
    fn a_file_name_that_could_lead_elsewhere_or_belongs_to_another_release_is_left_out() {
        for name in [
            "../go1.21.0.linux-amd64.tar.gz",
            "go1.21.0./../../x.tar.gz",
            "go1.21.0.linux-amd64.tar.gz?x=.tar.gz",
            "go1.20.0.linux-amd64.tar.gz",
            "go1.21.01.linux-amd64.tar.gz",
            "go1.21.0.linux%2f..tar.gz",
            "https://evil.example/go1.21.0.linux-amd64.tar.gz",
        ] {
            let file = file(name, "linux", "amd64", "archive", "");
            let list = format!(r#"[{{"version":"go1.21.0","stable":true,"files":[{file}]}}]"#);
            assert!(parse_page(list.as_bytes()).is_err(), "{name}");
        }
        assert!(!is_file_name(&"a".repeat(161)));
    }

    #[test]
    fn what_is_no_list_is_said_to_be_none() {
        let nested = "[".repeat(100_000);
        for text in ["", "{}", "[]", "<!DOCTYPE html>", "[{\"version\":\"go1.21.0\"}]", "null", nested.as_str()] {
            assert!(parse_page(text.as_bytes()).is_err(), "{}", &text[..text.len().min(20)]);
        }
        assert!(parse_module_list(b"").is_err());
        assert!(parse_module_list(b"not found: x\n").is_err());
        assert!(parse_module_list(b"\xff\n").is_err());
    }

    #[test]
    fn a_module_list_is_gathered_by_release() {
        let list = "v0.0.1-go1.21.0.linux-amd64\nv0.0.1-go1.22rc1.linux-amd64\nv0.0.1-go1.21.0.darwin-arm64\nbad\n\
                    v0.0.1-go1.21.0.linux-amd64 2023-08-08T00:00:00Z\n";
        let releases = parse_module_list(list.as_bytes()).unwrap();
        assert_eq!(shown(&releases), ["1.22rc1* linux/amd64", "1.21.0 darwin/arm64 linux/amd64"]);
    }

    #[test]
    fn the_kept_form_gives_the_same_release_and_damage_is_noticed() {
        let file =
            file("go1.21.0.linux-amd64.tar.gz", "linux", "amd64", "archive", &format!(r#","sha256":"{DIGEST}""#));
        let release = page(&format!(r#"[{{"version":"go1.21.0","stable":true,"files":[{file}]}}]"#)).remove(0);
        let json = serde_json::to_string(&Kept::of(&release)).unwrap();
        let read = |json: &str| serde_json::from_str::<Kept>(json).unwrap().release();
        assert_eq!(read(&json), Some(release));
        assert_eq!(read(&json.replace("go1.21.0.linux", "../x")), None);
        assert_eq!(read(&json.replace("d0398903", "")), None);
        assert_eq!(read(&json.replace("\"1.21.0\"", "\"x\"")), None);
    }
}
