//! What a GOTOOLCHAIN says, read as cmd/go's selection reads it (`cmd/go/internal/toolchain/select.go`, `Select`).
//! Leaves out where the value comes from, and what a release's name means to govern (`decide`).

use crate::version::from_toolchain;

/// What a GOTOOLCHAIN lets the Go do that was started.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum GoToolchain<'a> {
    /// An empty line in a file, or `local`: it runs itself, whatever module files ask for.
    Local,
    /// `auto`, `path`, `local+auto`, `local+path`: it runs itself, or what module files ask for.
    Upward,
    /// `go1.22.4`: it runs that, whatever module files ask for.
    Fixed(&'a str),
    /// `go1.22.4+auto`, `go1.22.4+path`: it runs that, or what module files ask for.
    AtLeast(&'a str),
    /// It says so and ends.
    Invalid,
}

impl GoToolchain<'_> {
    /// Reads a value. Nothing is trimmed: Go trims nothing either.
    #[must_use]
    pub fn parse(value: &str) -> GoToolchain<'_> {
        let (name, suffix) = match value.split_once('+') {
            _ if matches!(value, "auto" | "path") => return GoToolchain::Upward,
            _ if value.is_empty() => return GoToolchain::Local,
            Some((name, suffix)) => (name, Some(suffix)),
            None => (value, None),
        };
        match suffix {
            Some("auto" | "path") if name == "local" => GoToolchain::Upward,
            None if name == "local" => GoToolchain::Local,
            _ if from_toolchain(name).is_empty() => GoToolchain::Invalid,
            Some("auto" | "path") => GoToolchain::AtLeast(name),
            None => GoToolchain::Fixed(name),
            Some(_) => GoToolchain::Invalid,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::GoToolchain;

    #[test]
    fn every_form_is_read_as_go_reads_it() {
        let check = |value: &str, expect: GoToolchain<'_>| assert_eq!(GoToolchain::parse(value), expect, "{value}");
        check("", GoToolchain::Local);
        check("local", GoToolchain::Local);
        for value in ["auto", "path", "local+auto", "local+path"] {
            check(value, GoToolchain::Upward);
        }
        check("go1.22.4", GoToolchain::Fixed("go1.22.4"));
        check("go1.24", GoToolchain::Fixed("go1.24"));
        check("go1.22.4-bigcorp", GoToolchain::Fixed("go1.22.4-bigcorp"));
        check("go1.22.4+auto", GoToolchain::AtLeast("go1.22.4"));
        check("go1.22.4-bigcorp+path", GoToolchain::AtLeast("go1.22.4-bigcorp"));
        // go-semantics.md F, the strings at its end, each observed with a real go.
        let refused = "asdf go go1.x go1.24.11-/x gccgo-go1.24.11 1.26.3 off none default auto+auto path+auto +auto \
                       go1.26.3+foo local+ go1.26.3+ GO1.21.0 golang1.21 go1.22.3+auto+path go1.9.2rc2";
        for value in refused.split(' ') {
            check(value, GoToolchain::Invalid);
        }
        // A blank is cut off the version, not off the name: no such program is on any PATH.
        check("go1.26.3 ", GoToolchain::Fixed("go1.26.3 "));
        check("auto ", GoToolchain::Invalid);
    }
}
