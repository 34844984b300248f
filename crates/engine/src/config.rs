//! Reads the settings' layers into one value, and writes the few that verbs change. Keeps comments.
//! Leaves out what the settings mean (core) and the flags of the command line.

use std::fs;
use std::io::{self, Write};
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};

use govern_core::layout::Layout;
use govern_core::origin::escaped_text;
use govern_core::proof::LogRequired;
use govern_core::settings::{GoLine, Settings, ToolchainLine, Vendor};
use govern_core::spec::Spec;
use govern_core::vars::Vars;
use serde::Deserialize;

use crate::error::{At, Error};

/// A `config.toml`. Unknown keys are left alone: an older govern must live with a newer one's file.
#[derive(Default, Deserialize)]
struct File {
    default: Option<String>,
    auto_install: Option<bool>,
    offline: Option<bool>,
    toolchain_line: Option<ToolchainLineWord>,
    go_line: Option<GoLineWord>,
    unsafe_pins: Option<UnsafePinsWord>,
    managed_only: Option<bool>,
    require_log: Option<bool>,
    dl_urls: Option<Vec<String>>,
    vendor: Option<Vec<VendorEntry>>,
}

/// One `[[vendor]]`.
#[derive(Deserialize)]
struct VendorEntry {
    name: String,
    url: String,
}

#[derive(Deserialize)]
#[serde(rename_all = "kebab-case")]
enum ToolchainLineWord {
    Pin,
    Minimum,
}

#[derive(Deserialize)]
#[serde(rename_all = "kebab-case")]
enum GoLineWord {
    Minimum,
    Pin,
    Ignore,
}

#[derive(Deserialize)]
#[serde(rename_all = "kebab-case")]
enum UnsafePinsWord {
    Allow,
    Refuse,
}

/// The settings that hold for files alone, without anybody's variables.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct Config {
    settings: Settings,
    pub(crate) overrides: Vec<(PathBuf, Spec)>,
}

impl Config {
    /// Reads `/etc/govern/config.toml`, the user's file above it, and the overrides.
    pub(crate) fn read(layout: &Layout) -> Result<Config, Error> {
        let mut settings = Settings::default();
        for path in [layout.system_config_file(), layout.config_file()] {
            if let Some(text) = read_if_there(&path)? {
                let config =
                    |source: Box<dyn std::error::Error + Send + Sync>| Error::Config { path: path.clone(), source };
                let file: File = toml::from_str(&text).map_err(|e| config(Box::new(e)))?;
                fold(&mut settings, file).map_err(config)?;
            }
        }
        let overrides = overrides(layout)?;
        Ok(Config { settings, overrides })
    }

    /// Folds a caller's variables over the files.
    pub(crate) fn settings(&self, vars: &Vars) -> Result<Settings, Error> {
        let mut settings = self.settings.clone();
        if let Some(on) = switch(vars, "GOVERN_AUTO_INSTALL")? {
            settings.auto_install = on;
        }
        if let Some(on) = switch(vars, "GOVERN_OFFLINE")? {
            settings.offline = on;
        }
        if let Some(word) = vars.text("GOVERN_UNSAFE_PINS") {
            settings.unsafe_pins = match word {
                "allow" => true,
                "refuse" => false,
                _ => return Err(bad_variable("GOVERN_UNSAFE_PINS", word, "allow or refuse")),
            };
        }
        if let Some(list) = vars.text("GOVERN_DL_URL") {
            let urls = list.split(',').map(str::trim).filter(|url| !url.is_empty() && *url != "off");
            settings.dl_urls = Some(urls.map(str::to_owned).collect());
        }
        Ok(settings)
    }
}

/// A variable that says yes or no.
fn switch(vars: &Vars, name: &'static str) -> Result<Option<bool>, Error> {
    match vars.text(name) {
        None => Ok(None),
        Some("1" | "true" | "yes" | "on") => Ok(Some(true)),
        Some("0" | "false" | "no" | "off") => Ok(Some(false)),
        Some(word) => Err(bad_variable(name, word, "1 or 0")),
    }
}

fn bad_variable(name: &'static str, word: &str, expected: &'static str) -> Error {
    Error::Variable { name, value: escaped_text(word), expected }
}

fn fold(settings: &mut Settings, file: File) -> Result<(), Box<dyn std::error::Error + Send + Sync>> {
    if let Some(text) = file.default {
        settings.default = Some(Spec::parse(&text)?);
    }
    settings.auto_install = file.auto_install.unwrap_or(settings.auto_install);
    settings.offline = file.offline.unwrap_or(settings.offline);
    settings.managed_only = file.managed_only.unwrap_or(settings.managed_only);
    if let Some(word) = file.toolchain_line {
        settings.toolchain_line = match word {
            ToolchainLineWord::Pin => ToolchainLine::Pin,
            ToolchainLineWord::Minimum => ToolchainLine::Minimum,
        };
    }
    if let Some(word) = file.go_line {
        settings.go_line = match word {
            GoLineWord::Minimum => GoLine::Minimum,
            GoLineWord::Pin => GoLine::Pin,
            GoLineWord::Ignore => GoLine::Ignore,
        };
    }
    if let Some(word) = file.unsafe_pins {
        settings.unsafe_pins = matches!(word, UnsafePinsWord::Allow);
    }
    if let Some(required) = file.require_log {
        settings.require_log = if required { LogRequired::Yes } else { LogRequired::No };
    }
    settings.dl_urls = file.dl_urls.or_else(|| settings.dl_urls.take());
    settings.vendors = vendors(file.vendor.unwrap_or_default(), &settings.vendors)?;
    Ok(())
}

/// The vendors of a file, and those of the machine's below them that it does not name itself.
fn vendors(
    entries: Vec<VendorEntry>,
    below: &[Vendor],
) -> Result<Vec<Vendor>, Box<dyn std::error::Error + Send + Sync>> {
    let mut vendors: Vec<Vendor> = Vec::new();
    for VendorEntry { name, url } in entries {
        let vendor = Vendor::new(&name, &url)?;
        if vendors.iter().any(|known| known.name() == vendor.name()) {
            return Err(format!("two [[vendor]] are called `{name}`").into());
        }
        vendors.push(vendor);
    }
    let is_new = |vendor: &&Vendor| vendors.iter().all(|known| known.name() != vendor.name());
    let others: Vec<Vendor> = below.iter().filter(is_new).cloned().collect();
    vendors.extend(others);
    Ok(vendors)
}

/// Writes the `default` setting, or removes it.
pub(crate) fn set_default(layout: &Layout, spec: Option<&Spec>) -> Result<(), Error> {
    edit(&layout.config_file(), |document| match spec {
        Some(spec) => document["default"] = toml_edit::value(spec.to_string()),
        None => drop(document.remove("default")),
    })
}

/// The overrides of directories.
pub(crate) fn overrides(layout: &Layout) -> Result<Vec<(PathBuf, Spec)>, Error> {
    let path = layout.overrides_file();
    let Some(text) = read_if_there(&path)? else { return Ok(Vec::new()) };
    let config = |source: Box<dyn std::error::Error + Send + Sync>| Error::Config { path: path.clone(), source };
    let table: std::collections::BTreeMap<PathBuf, String> = toml::from_str(&text).map_err(|e| config(Box::new(e)))?;
    table.into_iter().map(|(dir, text)| Ok((dir, Spec::parse(&text).map_err(|e| config(Box::new(e)))?))).collect()
}

/// Sets or removes the override of one directory. False when nothing changed.
pub(crate) fn set_override(layout: &Layout, dir: &Path, spec: Option<&Spec>) -> Result<bool, Error> {
    let key = dir.to_str().ok_or_else(|| Error::NotUtf8 { path: dir.to_owned() })?;
    let before = overrides(layout)?.into_iter().find(|(d, _)| d == dir).map(|(_, spec)| spec);
    if before.as_ref() == spec {
        return Ok(false);
    }
    edit(&layout.overrides_file(), |document| match spec {
        Some(spec) => document[key] = toml_edit::value(spec.to_string()),
        None => drop(document.remove(key)),
    })?;
    Ok(true)
}

fn edit(path: &Path, change: impl FnOnce(&mut toml_edit::DocumentMut)) -> Result<(), Error> {
    let text = read_if_there(path)?.unwrap_or_default();
    let mut document: toml_edit::DocumentMut =
        text.parse().map_err(|e: toml_edit::TomlError| Error::Config { path: path.to_owned(), source: Box::new(e) })?;
    change(&mut document);
    write_atomically(path, document.to_string().as_bytes())
}

fn read_if_there(path: &Path) -> Result<Option<String>, Error> {
    match fs::read_to_string(path) {
        Ok(text) => Ok(Some(text)),
        Err(e) if matches!(e.kind(), io::ErrorKind::NotFound | io::ErrorKind::NotADirectory) => Ok(None),
        Err(e) => Err(e).at("read", path),
    }
}

/// Writes a whole file, durably, or leaves the old one: temporary file, fsync, rename, fsync of the directory. The mode
/// stays as it is; a new file gets what the umask leaves.
pub(crate) fn write_atomically(path: &Path, bytes: &[u8]) -> Result<(), Error> {
    // A dotfile manager may have made the file a link: what it points at is what is meant.
    let target = fs::canonicalize(path).unwrap_or_else(|_| path.to_owned());
    let dir = target.parent().unwrap_or(Path::new("/"));
    fs::create_dir_all(dir).at("create", dir)?;
    let mode = fs::metadata(&target).ok().map(|meta| meta.permissions());
    let mut builder = tempfile::Builder::new();
    builder.permissions(fs::Permissions::from_mode(0o666));
    let mut file = builder.tempfile_in(dir).at("write in", dir)?;
    file.write_all(bytes).at("write", &target)?;
    if let Some(mode) = mode {
        file.as_file().set_permissions(mode).at("set the mode of", &target)?;
    }
    file.as_file().sync_all().at("write", &target)?;
    file.persist(&target).map_err(|e| e.error).at("write", &target)?;
    fs::File::open(dir).and_then(|dir| dir.sync_all()).at("write in", dir)
}

#[cfg(test)]
mod tests {
    use std::fs;
    use std::os::unix::fs::PermissionsExt;
    use std::path::Path;

    use govern_core::layout::Layout;
    use govern_core::settings::{Settings, ToolchainLine};
    use govern_core::spec::Spec;
    use govern_core::vars::Vars;

    use super::{Config, set_default, set_override};

    fn layout(dir: &Path) -> Layout {
        Layout { system: dir.join("etc"), ..Layout::under(dir) }
    }

    #[test]
    fn layers_are_folded_from_the_machine_to_the_variable() {
        let dir = tempfile::tempdir().unwrap();
        let layout = layout(dir.path());
        assert_eq!(Config::read(&layout).unwrap().settings(&Vars::default()).unwrap(), Settings::default());
        fs::create_dir_all(&layout.system).unwrap();
        fs::create_dir_all(&layout.config).unwrap();
        fs::write(layout.system_config_file(), "auto_install = false\ntoolchain_line = \"minimum\"\noffline = true\n")
            .unwrap();
        fs::write(layout.config_file(), "offline = false\nfrom_the_future = 1\n").unwrap();
        let mut vars = Vars::default();
        vars.set("GOVERN_AUTO_INSTALL", "1");
        vars.set("GOVERN_DL_URL", "https://a/, https://b/");
        let settings = Config::read(&layout).unwrap().settings(&vars).unwrap();
        assert!(settings.auto_install && !settings.offline);
        assert_eq!(settings.toolchain_line, ToolchainLine::Minimum);
        assert_eq!(settings.dl_urls.unwrap(), ["https://a/", "https://b/"]);
        vars.set("GOVERN_OFFLINE", "perhaps");
        assert!(Config::read(&layout).unwrap().settings(&vars).is_err());
    }

    #[test]
    fn writing_the_default_keeps_what_a_person_wrote() {
        let dir = tempfile::tempdir().unwrap();
        let layout = layout(dir.path());
        fs::create_dir_all(&layout.config).unwrap();
        fs::write(layout.config_file(), "# mine\nauto_install = false # because\n").unwrap();
        fs::set_permissions(layout.config_file(), fs::Permissions::from_mode(0o640)).unwrap();
        set_default(&layout, Some(&Spec::parse("1.26").unwrap())).unwrap();
        let text = fs::read_to_string(layout.config_file()).unwrap();
        assert_eq!(text, "# mine\nauto_install = false # because\ndefault = \"1.26\"\n");
        assert_eq!(fs::metadata(layout.config_file()).unwrap().permissions().mode() & 0o7777, 0o640);
        set_default(&layout, None).unwrap();
        assert_eq!(fs::read_to_string(layout.config_file()).unwrap(), "# mine\nauto_install = false # because\n");
    }

    #[test]
    fn overrides_come_and_go() {
        let dir = tempfile::tempdir().unwrap();
        let layout = layout(dir.path());
        let spec = Spec::parse("1.26.3").unwrap();
        let project = Path::new("/src/a.b \"quoted\"");
        assert!(set_override(&layout, project, Some(&spec)).unwrap());
        assert!(!set_override(&layout, project, Some(&spec)).unwrap());
        assert_eq!(Config::read(&layout).unwrap().overrides, [(project.to_owned(), spec)]);
        assert!(set_override(&layout, project, None).unwrap());
        assert_eq!(Config::read(&layout).unwrap().overrides, []);
    }

    #[test]
    fn vendors_come_from_files_alone_the_users_before_the_machines() {
        let dir = tempfile::tempdir().unwrap();
        let layout = layout(dir.path());
        fs::create_dir_all(&layout.system).unwrap();
        fs::create_dir_all(&layout.config).unwrap();
        let vendor = |name: &str, url: &str| format!("[[vendor]]\nname = \"{name}\"\nurl = \"{url}\"\n");
        fs::write(layout.system_config_file(), vendor("it", "https://it/") + &vendor("bigcorp", "https://old/"))
            .unwrap();
        fs::write(layout.config_file(), vendor("mine", "https://mine/") + &vendor("bigcorp", "https://new/")).unwrap();
        let mut vars = Vars::default();
        vars.set("GOVERN_DL_URL", "https://a/");
        vars.set("GOVERN_VENDOR", "evil https://evil/");
        let vendors = Config::read(&layout).unwrap().settings(&vars).unwrap().vendors;
        let vendors: Vec<_> = vendors.iter().map(|vendor| (vendor.name(), vendor.url())).collect();
        assert_eq!(vendors, [("mine", "https://mine/"), ("bigcorp", "https://new/"), ("it", "https://it/")]);

        let refused = |text: &str, expect: &str| {
            fs::write(layout.config_file(), text).unwrap();
            let error = Config::read(&layout).unwrap_err();
            let cause = std::error::Error::source(&error).unwrap().to_string();
            assert!(cause.contains(expect), "{cause}");
        };
        refused(&vendor("Big Corp", "https://x/"), "`Big Corp` is no name for a vendor");
        refused(&vendor("a", "https://x/").repeat(2), "two [[vendor]] are called `a`");
        refused("[[vendor]]\nname = \"a\"\n", "missing field `url`");
    }

    #[test]
    fn a_broken_file_is_named() {
        let dir = tempfile::tempdir().unwrap();
        let layout = layout(dir.path());
        fs::create_dir_all(&layout.config).unwrap();
        fs::write(layout.config_file(), "default = \"1.22.x.1\"\n").unwrap();
        let error = Config::read(&layout).unwrap_err();
        assert!(error.to_string().contains("config.toml"), "{error}");
    }
}
