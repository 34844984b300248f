//! The environment variables that govern reads, as a value. The mains fill it once; nobody below reads the real one.

use std::collections::{BTreeMap, BTreeSet};
use std::ffi::{OsStr, OsString};

/// Every variable that govern ever looks at. Whatever is not here never reaches govern.
///
/// A question for the daemon carries the caller's values of these, so that the daemon never decides by its own.
pub const READ: &[&str] = &[
    "GO111MODULE",
    "GOENV",
    "GOFLAGS",
    "GOINSECURE",
    "GONOPROXY",
    "GONOSUMDB",
    "GOPRIVATE",
    "GOPROXY",
    "GOROOT",
    "GOSUMDB",
    "GOTOOLCHAIN",
    "GOTOOLCHAIN_INTERNAL_SWITCH_COUNT",
    "GOTOOLCHAIN_INTERNAL_SWITCH_VERSION",
    "GOVERN_AUTO_INSTALL",
    "GOVERN_DEPTH",
    "GOVERN_DL_URL",
    "GOVERN_GO_VERSION",
    "GOVERN_HOME",
    "GOVERN_LOG",
    "GOVERN_NO_DAEMON",
    "GOVERN_OFFLINE",
    "GOVERN_SET_GOTOOLCHAIN",
    "GOVERN_UNSAFE_PINS",
    "GOWORK",
    "HOME",
    "HTTPS_PROXY",
    "HTTP_PROXY",
    "NETRC",
    "NO_PROXY",
    "PATH",
    "PWD",
    "SSL_CERT_DIR",
    "SSL_CERT_FILE",
    "TMPDIR",
    "XDG_CACHE_HOME",
    "XDG_CONFIG_HOME",
    "XDG_DATA_HOME",
    "XDG_RUNTIME_DIR",
    "XDG_STATE_HOME",
    "http_proxy",
    "https_proxy",
    "no_proxy",
];

/// The values of [`READ`] in one process. An empty variable counts as unset, as in Go and rustup.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Vars(BTreeMap<&'static str, OsString>);

impl Vars {
    /// Picks the known names from an environment, for a main. Of a name that stands there twice, the first counts, as
    /// in Go and in the C library.
    pub fn collect(environment: impl Iterator<Item = (OsString, OsString)>) -> Vars {
        let mut seen = BTreeSet::new();
        let mut vars = Vars::default();
        for (name, value) in environment {
            if let Some(name) = name.to_str()
                && seen.insert(name.to_owned())
            {
                vars.set(name, value);
            }
        }
        vars
    }

    /// Sets one value; unknown names and empty values are dropped.
    pub fn set(&mut self, name: &str, value: impl Into<OsString>) {
        let value = value.into();
        if let Ok(at) = READ.binary_search(&name) {
            if value.is_empty() {
                self.0.remove(READ[at]);
            } else {
                self.0.insert(READ[at], value);
            }
        }
    }

    /// The value, unless it is unset or empty.
    #[must_use]
    pub fn os(&self, name: &str) -> Option<&OsStr> {
        debug_assert!(READ.binary_search(&name).is_ok(), "{name} is not in vars::READ");
        self.0.get(name).map(OsString::as_os_str)
    }

    /// The value as text, unless it is unset, empty or not UTF-8.
    #[must_use]
    pub fn text(&self, name: &str) -> Option<&str> {
        self.os(name)?.to_str()
    }

    /// All values, by name.
    pub fn iter(&self) -> impl Iterator<Item = (&'static str, &OsStr)> {
        self.0.iter().map(|(name, value)| (*name, value.as_os_str()))
    }
}

#[cfg(test)]
mod tests {
    use super::{READ, Vars};

    #[test]
    fn names_are_sorted_so_that_they_can_be_searched() {
        assert!(READ.is_sorted(), "{READ:?}");
    }

    #[test]
    fn of_two_values_the_first_counts() {
        let pairs = [("GOPROXY", "a"), ("GOPROXY", "b"), ("GOSUMDB", ""), ("GOSUMDB", "c")];
        let vars = Vars::collect(pairs.iter().map(|(name, value)| ((*name).into(), (*value).into())));
        assert_eq!((vars.text("GOPROXY"), vars.text("GOSUMDB")), (Some("a"), None));
    }

    #[test]
    fn an_empty_variable_is_unset_and_an_unknown_one_is_dropped() {
        let mut vars = Vars::default();
        vars.set("GOPROXY", "off");
        vars.set("GOPROXY", "");
        vars.set("LD_PRELOAD", "x");
        assert_eq!(vars, Vars::default());
    }
}
