//! Reads the file that `go env -w` writes, by Go's own rules (`cmd/go/internal/cfg`, `readEnvFile`).
//! Leaves out where that file is; see [`user_file`] for the rule and the engine for the reading.

use std::collections::BTreeMap;
use std::path::PathBuf;

use crate::vars::Vars;

/// The settings in a `go/env` file, each with the number of its line.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct GoEnv(BTreeMap<String, (usize, String)>);

impl GoEnv {
    /// Reads the file's text: `KEY=value` lines, nothing trimmed, the last of several wins.
    #[must_use]
    pub fn parse(text: &[u8]) -> GoEnv {
        let pairs = text.split(|b| *b == b'\n').enumerate().filter_map(|(at_line, line)| {
            let at = line.iter().position(|b| *b == b'=')?;
            let (key, value) = (std::str::from_utf8(&line[..at]).ok()?, std::str::from_utf8(&line[at + 1..]).ok()?);
            key.starts_with(|c: char| c.is_ascii_uppercase()).then(|| (key.to_owned(), (at_line + 1, value.to_owned())))
        });
        GoEnv(pairs.collect())
    }

    /// The line's value, empty or not.
    #[must_use]
    pub fn line(&self, key: &str) -> Option<&str> {
        self.0.get(key).map(|(_, value)| value.as_str())
    }

    /// The number of the line that counts, from 1.
    #[must_use]
    pub fn line_number(&self, key: &str) -> Option<usize> {
        self.0.get(key).map(|(number, _)| *number)
    }

    /// What cmd/go takes for `key`: the environment when it is not empty, else this file. `$GOROOT/go.env` comes
    /// after that and belongs to an SDK, not to the user.
    #[must_use]
    pub fn effective<'a>(&'a self, vars: &'a Vars, key: &str) -> Option<&'a str> {
        vars.text(key).or_else(|| self.line(key)).filter(|value| !value.is_empty())
    }
}

/// Where the user's file is: `$GOENV`, else `go/env` in the user's configuration directory. `None` when there is none.
#[must_use]
pub fn user_file(vars: &Vars, os: &str) -> Option<PathBuf> {
    match vars.os("GOENV") {
        Some(off) if off == "off" => return None,
        Some(path) => return Some(PathBuf::from(path)),
        None => {}
    }
    let home = vars.os("HOME").map(PathBuf::from);
    let config = match vars.os("XDG_CONFIG_HOME").map(PathBuf::from) {
        _ if os == "darwin" => home?.join("Library/Application Support"),
        Some(xdg) if xdg.is_absolute() => xdg,
        Some(_) => return None,
        None => home?.join(".config"),
    };
    Some(config.join("go/env"))
}

#[cfg(test)]
mod tests {
    use std::path::PathBuf;

    use super::{GoEnv, user_file};
    use crate::vars::Vars;

    #[test]
    fn lines_are_taken_as_go_takes_them() {
        let env = GoEnv::parse(b"GOTOOLCHAIN=go1.26.3 \n# x\nlower=1\nKEY = v\nGOPROXY=a\nGOPROXY=b\nGOFLAGS=\nnope\n");
        assert_eq!(env.line("GOTOOLCHAIN"), Some("go1.26.3 "));
        assert_eq!(env.line("lower"), None);
        assert_eq!(env.line("KEY "), Some(" v"));
        assert_eq!(env.line("GOPROXY"), Some("b"));
        assert_eq!((env.line_number("GOPROXY"), env.line_number("lower")), (Some(6), None));
        assert_eq!(env.effective(&Vars::default(), "GOFLAGS"), None);
    }

    #[test]
    fn the_file_is_where_go_looks() {
        let mut vars = Vars::default();
        assert_eq!(user_file(&vars, "linux"), None);
        vars.set("HOME", "/h");
        assert_eq!(user_file(&vars, "linux"), Some(PathBuf::from("/h/.config/go/env")));
        assert_eq!(user_file(&vars, "darwin"), Some(PathBuf::from("/h/Library/Application Support/go/env")));
        vars.set("XDG_CONFIG_HOME", "relative");
        assert_eq!(user_file(&vars, "linux"), None);
        vars.set("XDG_CONFIG_HOME", "/c");
        assert_eq!(user_file(&vars, "linux"), Some(PathBuf::from("/c/go/env")));
        vars.set("GOENV", "off");
        assert_eq!(user_file(&vars, "linux"), None);
    }
}
