//! The settings that change what govern does, as values. Leaves out reading them (the engine) and writing them.

use crate::origin::escaped_text;
use crate::proof::LogRequired;
use crate::spec::Spec;

/// What a `toolchain` line means.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum ToolchainLine {
    /// A pin, as CI's setup-go reads it.
    #[default]
    Pin,
    /// A minimum, as Go reads it.
    Minimum,
}

/// What a `go` line means.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum GoLine {
    /// A minimum, as Go reads it.
    #[default]
    Minimum,
    /// A pin.
    Pin,
    /// Nothing.
    Ignore,
}

/// Another vendor's base of the go.dev shape: the only place for builds with a suffix of their own, and no place for
/// anything else. Comes from configuration files alone.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Vendor {
    name: String,
    url: String,
}

/// Why a text is no name of a vendor.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("`{text}` is no name for a vendor: small letters, digits, `-` and `_`, at most 32, such as `bigcorp`")]
pub struct VendorNameError {
    /// What was given, control characters escaped.
    text: String,
}

impl Vendor {
    /// A vendor, by the name that messages and records give it.
    ///
    /// # Errors
    /// When the name is none.
    pub fn new(name: &str, url: &str) -> Result<Vendor, VendorNameError> {
        let is_word = |b: u8| b.is_ascii_lowercase() || b.is_ascii_digit() || b == b'-' || b == b'_';
        if !(1..=32).contains(&name.len()) || !name.bytes().all(is_word) {
            return Err(VendorNameError { text: escaped_text(&name.chars().take(64).collect::<String>()) });
        }
        Ok(Vendor { name: name.to_owned(), url: url.to_owned() })
    }

    /// The name.
    #[must_use]
    pub fn name(&self) -> &str {
        &self.name
    }

    /// The base URL. May hold a user name and a password.
    #[must_use]
    pub fn url(&self) -> &str {
        &self.url
    }
}

/// All settings, every layer folded in.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Settings {
    /// `default`: the Go where nobody wishes for one.
    pub default: Option<Spec>,
    /// `auto_install`: install what is wished for when it is missing.
    pub auto_install: bool,
    /// `offline`: touch no network.
    pub offline: bool,
    /// `toolchain_line`.
    pub toolchain_line: ToolchainLine,
    /// `go_line`.
    pub go_line: GoLine,
    /// `unsafe_pins = "allow"`: a repository may bring in a release below the safe floor.
    pub unsafe_pins: bool,
    /// `managed_only`: Go itself may never download a toolchain.
    pub managed_only: bool,
    /// `require_log`: no install without a record in the checksum database.
    pub require_log: LogRequired,
    /// `dl_urls`: bases of the go.dev shape, in order. None means Go's own page; an empty list means no page at all.
    pub dl_urls: Option<Vec<String>>,
    /// `[[vendor]]`: bases of other vendors, in order.
    pub vendors: Vec<Vendor>,
}

impl Default for Settings {
    fn default() -> Settings {
        Settings {
            default: None,
            auto_install: true,
            offline: false,
            toolchain_line: ToolchainLine::default(),
            go_line: GoLine::default(),
            unsafe_pins: false,
            managed_only: false,
            require_log: LogRequired::No,
            dl_urls: None,
            vendors: Vec::new(),
        }
    }
}

impl Settings {
    /// True when Go itself may not download a toolchain: where only ours count, and where nothing may be downloaded.
    #[must_use]
    pub fn forbids_downloads_by_go(&self) -> bool {
        self.managed_only || self.offline
    }
}

#[cfg(test)]
mod tests {
    use super::Vendor;

    #[test]
    fn a_vendors_name_is_a_small_word() {
        for good in ["bigcorp", "big-corp_2", "9", &"a".repeat(32)] {
            assert_eq!(Vendor::new(good, "").unwrap().name(), good);
        }
        for bad in ["", "BigCorp", "big corp", "a/b", "a.b", "b\u{f6}", "\u{1b}[1m", &"a".repeat(33)] {
            let message = Vendor::new(bad, "").unwrap_err().to_string();
            assert!(!message.contains(char::is_control), "{message}");
        }
    }
}
