//! The user's netrc file, read as `cmd/go` reads it: machine, login and password in pairs, the first entry of a machine
//! wins, `default` ends the file, macros are skipped. Leaves out where an entry may be sent: `http` decides.

use std::fmt;

/// User names and passwords by machine.
#[derive(Clone, Default)]
pub(crate) struct Netrc(Vec<Entry>);

#[derive(Clone)]
struct Entry {
    machine: String,
    login: String,
    password: String,
}

impl Netrc {
    /// Reads the text of a netrc file. What cannot be understood is left out, as in Go.
    pub(crate) fn parse(text: &str) -> Netrc {
        let mut entries = Vec::new();
        let (mut machine, mut login, mut password) = ("", "", "");
        let mut in_macro = false;
        for line in text.lines() {
            if in_macro {
                in_macro = !line.is_empty();
                continue;
            }
            let words: Vec<&str> = line.split_whitespace().collect();
            for pair in words.chunks(2) {
                match *pair {
                    ["machine", name] => (machine, login, password) = (name, "", ""),
                    ["login", name] => login = name,
                    ["password", secret] => password = secret,
                    ["macdef", _] => in_macro = true,
                    // What follows belongs to no machine, and there is no machine after it.
                    ["default", ..] => return Netrc(entries),
                    _ => {}
                }
                if !machine.is_empty() && !login.is_empty() && !password.is_empty() {
                    entries.push(Entry {
                        machine: machine.to_owned(),
                        login: login.to_owned(),
                        password: password.to_owned(),
                    });
                    (machine, login, password) = ("", "", "");
                }
            }
        }
        Netrc(entries)
    }

    /// The user name and password for a machine, given as `host` or `host:port`.
    pub(crate) fn find(&self, host: &str, host_and_port: &str) -> Option<(&str, &str)> {
        let entry = self.0.iter().find(|entry| entry.machine == host_and_port || entry.machine == host)?;
        Some((&entry.login, &entry.password))
    }
}

impl fmt::Debug for Netrc {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Netrc({} entries)", self.0.len())
    }
}

#[cfg(test)]
mod tests {
    use super::Netrc;

    /// The example of cmd/go's own test, shortened.
    const TEXT: &str = "
machine incomplete
password none

machine api.example
  login user
  password pwd

machine incomplete.example
  login justlogin

machine test.example
login user2
password pwd2

machine oneline login user3 password pwd3

machine ignore.example macdef ignore
  login nobody
  password nothing

machine hasmacro.too macdef ignore-next-lines login user4 password pwd4
  login nobody
  password nothing

machine test.example login second password entry

default
login anonymous
password gopher@example.com

machine after.default
login oops
password too-late-in-file
";

    #[test]
    fn a_netrc_file_is_read_as_go_reads_it() {
        let netrc = Netrc::parse(TEXT);
        let find = |host: &str| netrc.find(host, &format!("{host}:8443"));
        assert_eq!(find("api.example"), Some(("user", "pwd")));
        assert_eq!(find("test.example"), Some(("user2", "pwd2")));
        assert_eq!(find("oneline"), Some(("user3", "pwd3")));
        assert_eq!(find("hasmacro.too"), Some(("user4", "pwd4")));
        for absent in ["incomplete", "incomplete.example", "ignore.example", "after.default", "default", ""] {
            assert_eq!(find(absent), None, "{absent}");
        }
        assert!(!format!("{netrc:?}").contains("pwd"));
    }

    #[test]
    fn an_entry_may_name_the_port() {
        let netrc = Netrc::parse("machine m.example:8443 login a password b");
        assert_eq!(netrc.find("m.example", "m.example:8443"), Some(("a", "b")));
        assert_eq!(netrc.find("m.example", "m.example"), None);
    }
}
