//! The units for systemd and launchd parse, agree with each other, and name what the layout names.
#![expect(clippy::unwrap_used, reason = "a test may panic")]

use std::collections::BTreeMap;
use std::fs;
use std::path::Path;

use govern_core::layout::Layout;

fn read(path: &str) -> String {
    fs::read_to_string(Path::new(env!("CARGO_MANIFEST_DIR")).join("..").join(path)).unwrap()
}

/// `Section.Key` and the value of every line of a unit.
fn unit(name: &str) -> BTreeMap<String, String> {
    let (mut section, mut values) = (String::new(), BTreeMap::new());
    let text = read(&format!("systemd/{name}"));
    for line in text.lines().filter(|line| !line.is_empty() && !line.starts_with('#')) {
        if let Some(name) = line.strip_prefix('[').and_then(|line| line.strip_suffix(']')) {
            section = name.to_owned();
            continue;
        }
        let (key, value) = line.split_once('=').unwrap_or_else(|| panic!("{name}: no value in `{line}`"));
        assert!(!section.is_empty() && key.trim() == key && value.trim() == value, "{name}: `{line}`");
        let before = values.insert(format!("{section}.{key}"), value.to_owned());
        assert_eq!(before, None, "{name}: {section}.{key} twice");
    }
    values
}

/// A value of a property list.
#[derive(Debug, PartialEq)]
enum Plist {
    Dict(BTreeMap<String, Plist>),
    Array(Vec<Plist>),
    Text(String),
    Number(i64),
}

impl Plist {
    fn at(&self, keys: &[&str]) -> &Plist {
        keys.iter().fold(self, |value, key| match value {
            Plist::Dict(entries) => entries.get(*key).unwrap_or_else(|| panic!("no {key} in {entries:?}")),
            other => panic!("no {key} in {other:?}"),
        })
    }

    fn text(&self, keys: &[&str]) -> &str {
        match self.at(keys) {
            Plist::Text(text) => text,
            other => panic!("{keys:?} is {other:?}"),
        }
    }
}

/// The tags and texts of an XML file, without declarations, comments and blanks.
fn tokens(xml: &str) -> Vec<&str> {
    let (mut rest, mut tokens) = (xml, Vec::new());
    while !rest.is_empty() {
        let end = if rest.starts_with("<!--") {
            rest.find("-->").expect("a comment ends") + 3
        } else if rest.starts_with('<') {
            rest.find('>').expect("a tag ends") + 1
        } else {
            rest.find('<').unwrap_or(rest.len())
        };
        let token = rest[..end].trim();
        if !token.is_empty() && !token.starts_with("<!") && !token.starts_with("<?") {
            tokens.push(token);
        }
        rest = &rest[end..];
    }
    tokens
}

/// Reads one value from the front of the tokens.
fn value(tokens: &mut &[&str]) -> Plist {
    let mut next = || {
        let (first, rest) = tokens.split_first().expect("a property list ends with </plist>");
        *tokens = rest;
        *first
    };
    match next() {
        "<dict>" => {
            let mut entries = BTreeMap::new();
            while tokens[0] != "</dict>" {
                let [open, key, close] = [tokens[0], tokens[1], tokens[2]];
                assert_eq!((open, close), ("<key>", "</key>"), "around {key}");
                *tokens = &tokens[3..];
                assert_eq!(entries.insert(key.to_owned(), value(tokens)), None, "{key} twice");
            }
            *tokens = &tokens[1..];
            Plist::Dict(entries)
        }
        "<array>" => {
            let mut values = Vec::new();
            while tokens[0] != "</array>" {
                values.push(value(tokens));
            }
            *tokens = &tokens[1..];
            Plist::Array(values)
        }
        "<string>" => {
            let text = next();
            assert_eq!(next(), "</string>");
            Plist::Text(text.to_owned())
        }
        "<integer>" => {
            let number = next().parse().unwrap();
            assert_eq!(next(), "</integer>");
            Plist::Number(number)
        }
        other => panic!("{other} is no value"),
    }
}

fn agent() -> Plist {
    let text = read("launchd/dev.govern.governd.plist");
    let tokens = tokens(&text);
    let [open, inside @ .., close] = tokens.as_slice() else { panic!("an empty property list") };
    assert_eq!((*open, *close), ("<plist version=\"1.0\">", "</plist>"));
    let mut inside = inside;
    let agent = value(&mut inside);
    assert_eq!(inside, [""; 0], "after the value");
    agent
}

#[test]
fn systemd_starts_the_daemon_for_either_socket() {
    let layout = Layout::under(Path::new("/x"));
    for (name, socket, path) in
        [("governd.socket", "shim", layout.shim_socket()), ("governd-api.socket", "api", layout.api_socket())]
    {
        let unit = unit(name);
        // `run` is a link to this directory where there is one.
        let file = path.file_name().unwrap().to_str().unwrap();
        assert_eq!(unit["Socket.ListenStream"], format!("%t/govern/{file}"));
        assert_eq!(unit["Socket.FileDescriptorName"], socket);
        assert_eq!((unit["Socket.SocketMode"].as_str(), unit["Socket.DirectoryMode"].as_str()), ("0600", "0700"));
        assert_eq!(unit["Socket.Service"], "governd.service");
        assert_eq!(unit["Install.WantedBy"], "sockets.target");
    }
    let service = unit("governd.service");
    assert_eq!(service["Service.ExecStart"], "%h/.local/share/govern/bin/governd");
    assert_eq!(service["Unit.Requires"], "governd.socket governd-api.socket");
    assert_eq!(service["Unit.After"], service["Unit.Requires"]);
}

#[test]
fn launchd_starts_the_daemon_for_either_socket() {
    let home = "@HOME@";
    let [data, state] = [".local/share", ".local/state"].map(|base| Path::new(home).join(base));
    let layout = Layout::from_bases(&data, Path::new(""), Path::new(""), &state);
    let agent = agent();
    assert_eq!(agent.text(&["Label"]), "dev.govern.governd");
    let program = layout.bin().join("governd").to_str().unwrap().to_owned();
    assert_eq!(agent.at(&["ProgramArguments"]), &Plist::Array(vec![Plist::Text(program)]));
    for (socket, path) in [("shim", layout.shim_socket()), ("api", layout.api_socket())] {
        assert_eq!(agent.text(&["Sockets", socket, "SockPathName"]), path.to_str().unwrap());
        assert_eq!(agent.at(&["Sockets", socket, "SockPathMode"]), &Plist::Number(0o600));
        assert_eq!(agent.text(&["Sockets", socket, "SockFamily"]), "Unix");
    }
    assert_eq!(agent.text(&["StandardErrorPath"]), layout.log().to_str().unwrap());
    assert_eq!(agent.at(&["Umask"]), &Plist::Number(0o077));
}
