//! Where govern lives, read from the shim's own path. Never from argv[0], HOME or any other variable.

/// What the path of the running file says.
#[derive(Debug, PartialEq, Eq)]
pub(crate) struct Home<'a> {
    /// The directory that holds `bin`, `launchers` and `run`, without a slash at its end.
    pub(crate) directory: &'a [u8],
    /// The file's name, when it lies among the launchers.
    pub(crate) launcher: Option<&'a [u8]>,
}

impl<'a> Home<'a> {
    /// Reads `<home>/bin/go` or `<home>/launchers/all/go1.26.3`; `None` for a file that lies elsewhere.
    pub(crate) fn of(own: &'a [u8]) -> Option<Home<'a>> {
        // What the kernel adds when the file was replaced since it was started.
        let own = own.strip_suffix(b" (deleted)").unwrap_or(own);
        let (directory, file) = split_last(own)?;
        match split_last(directory)? {
            (home, b"bin") => Some(Home { directory: home, launcher: None }),
            (launchers, b"all" | b"installed") => match split_last(launchers)? {
                (home, b"launchers") => Some(Home { directory: home, launcher: Some(file) }),
                _ => None,
            },
            _ => None,
        }
    }
}

/// Splits off the last component.
fn split_last(path: &[u8]) -> Option<(&[u8], &[u8])> {
    let slash = path.iter().rposition(|byte| *byte == b'/')?;
    let (directory, rest) = path.split_at_checked(slash)?;
    Some((directory, rest.get(1..)?))
}

#[cfg(test)]
mod tests {
    use super::Home;

    fn check(own: &str, directory: &str, launcher: Option<&str>) {
        let expected = Home { directory: directory.as_bytes(), launcher: launcher.map(str::as_bytes) };
        assert_eq!(Home::of(own.as_bytes()), Some(expected), "{own}");
    }

    #[test]
    fn the_home_is_above_bin_and_above_the_launchers() {
        check("/h/bin/go", "/h", None);
        check("/h/bin/anything", "/h", None);
        check("/a b/.local/share/govern/bin/gofmt", "/a b/.local/share/govern", None);
        check("/h/launchers/all/go1.26.3", "/h", Some("go1.26.3"));
        check("/h/launchers/installed/go1.9.2rc2", "/h", Some("go1.9.2rc2"));
        check("/bin/go", "", None);
    }

    #[test]
    fn a_replaced_file_still_knows_its_home() {
        check("/h/bin/go (deleted)", "/h", None);
        check("/h/launchers/all/go1.26.3 (deleted)", "/h", Some("go1.26.3"));
    }

    #[test]
    fn a_file_elsewhere_has_no_home() {
        for own in ["", "go", "/go", "/h/go", "/h/target/shim/go", "/h/all/go1.26.3", "/h/launchers/go1.26.3", "bin/go"]
        {
            assert_eq!(Home::of(own.as_bytes()), None, "{own}");
        }
    }
}
