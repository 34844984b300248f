//! The lines in the shells' start-up files that put govern on PATH: which files, which text. Text in, text out.
//! Leaves out reading and writing them (`verbs::setup`). Beyond one PATH entry there is nothing: no hook, no function.

use std::path::{Path, PathBuf};

/// What marks a line as ours.
pub(crate) const MARKER: &str = "# govern";

/// A start-up file, and what belongs into it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct StartUp {
    /// The file.
    pub(crate) path: PathBuf,
    /// What is put there.
    pub(crate) what: What,
}

/// What belongs into a start-up file.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum What {
    /// A line at the end, for login shells: govern comes first, whatever the system's own files did to PATH.
    LoginLine,
    /// A line at the end: govern comes first unless it is on PATH already.
    Line,
    /// The same line at the top: many a `.bashrc` ends early when the shell is not interactive.
    TopLine,
    /// The whole file is ours.
    Fish,
}

/// What is known of the user's shells.
pub(crate) struct Shells<'a> {
    /// The home directory.
    pub(crate) home: &'a Path,
    /// Where configuration lives: `~/.config`.
    pub(crate) config: &'a Path,
    /// `ZDOTDIR`.
    pub(crate) zdotdir: Option<&'a Path>,
    /// zsh is installed.
    pub(crate) has_zsh: bool,
}

/// The files to touch. `exists` says of a path whether it is there.
pub(crate) fn files(shells: &Shells<'_>, exists: impl Fn(&Path) -> bool) -> Vec<StartUp> {
    let home = |name: &str| shells.home.join(name);
    let mut files = vec![StartUp { path: home(".profile"), what: What::LoginLine }];
    let mut add_if = |wanted: bool, path: PathBuf, what: What| {
        if wanted {
            files.push(StartUp { path, what });
        }
    };
    // Where one of these exists, a login bash passes over .profile.
    for name in [".bash_profile", ".bash_login"] {
        add_if(exists(&home(name)), home(name), What::LoginLine);
    }
    add_if(exists(&home(".bashrc")), home(".bashrc"), What::TopLine);
    // ZDOTDIR is mostly set in ~/.zshenv itself, which zsh then reads from the home directory all the same.
    let zsh_dir = shells.zdotdir.unwrap_or(shells.home);
    let zshenv = if exists(&home(".zshenv")) { home(".zshenv") } else { zsh_dir.join(".zshenv") };
    let zprofile = zsh_dir.join(".zprofile");
    let uses_zsh = shells.has_zsh || exists(&zshenv) || exists(&zprofile);
    add_if(uses_zsh, zshenv, What::Line);
    add_if(uses_zsh, zprofile, What::LoginLine);
    let fish = shells.config.join("fish");
    add_if(exists(&fish), fish.join("conf.d/govern.fish"), What::Fish);
    files
}

/// A path between the double quotes of an sh or fish script: below the home directory by `$HOME`, so that dotfiles
/// may travel.
pub(crate) fn quoted(path: &Path, home: Option<&Path>) -> String {
    let escape = |path: &Path| {
        path.to_string_lossy().chars().fold(String::new(), |mut text, c| {
            text.extend(matches!(c, '"' | '\\' | '$' | '`').then_some('\\'));
            text.push(c);
            text
        })
    };
    match home.and_then(|home| path.strip_prefix(home).ok()) {
        Some(below) => format!("$HOME/{}", escape(below)),
        None => escape(path),
    }
}

/// `<data>/env`. `bin` is [`quoted`].
pub(crate) fn env(bin: &str) -> String {
    format!(
        r#"# Puts govern's go first on PATH, unless it is on it. Read by shells at their start; once more does no harm.
case ":${{PATH:-}}:" in
*":{bin}:"*) ;;
*) export PATH="{bin}${{PATH:+:$PATH}}" ;;
esac
"#
    )
}

/// `<data>/env.login`. `bin` is [`quoted`].
pub(crate) fn env_login(bin: &str) -> String {
    format!(
        r#"# Puts govern's go first on PATH, wherever on it it was: a login shell's PATH was just put in order by the
# system (path_helper of macOS moves its own entries to the front).
_govern=":${{PATH:-}}:"
while :; do
    case "$_govern" in
    *":{bin}:"*) _govern=${{_govern%%":{bin}:"*}}:${{_govern#*":{bin}:"}} ;;
    *) break ;;
    esac
done
_govern=${{_govern#:}}
_govern=${{_govern%:}}
export PATH="{bin}${{_govern:+:$_govern}}"
unset _govern
"#
    )
}

/// `conf.d/govern.fish`. `bin` is [`quoted`].
pub(crate) fn fish(bin: &str) -> String {
    format!(
        r#"{MARKER}: puts its go first on PATH
if status is-login; or not contains -- "{bin}" $PATH
    set -gx PATH "{bin}" (string match --invert -- "{bin}" $PATH)
end
"#
    )
}

/// The line that reads `env`, a [`quoted`] path. A home directory without govern is no error.
pub(crate) fn line(env: &str) -> String {
    format!(r#"if [ -r "{env}" ]; then . "{env}"; fi {MARKER}"#)
}

/// A start-up file's text with `line` in it; `None` when it is there already.
pub(crate) fn with_line(text: &str, line: &str, what: What) -> Option<String> {
    let is_ours = |line: &str| line.trim_end().ends_with(MARKER);
    if text.lines().any(is_ours) {
        // An older govern's line, or one for another place: where it stands, and once.
        let mut line = Some(line);
        let lines = text.lines().filter_map(|old| if is_ours(old) { line.take() } else { Some(old) });
        let new = lines.fold(String::new(), |text, line| text + line + "\n");
        return (new.trim_end() != text.trim_end()).then_some(new);
    }
    if what == What::TopLine {
        return Some(format!("{line}\n{text}"));
    }
    let newline = if text.is_empty() || text.ends_with('\n') { "" } else { "\n" };
    Some(format!("{text}{newline}{line}\n"))
}

#[cfg(test)]
mod tests {
    use std::path::Path;
    use std::process::Command;

    use super::{Shells, What, env, env_login, files, line, quoted, with_line};

    fn names(zdotdir: Option<&str>, has_zsh: bool, there: &[&str]) -> Vec<String> {
        let zdotdir = zdotdir.map(Path::new);
        let shells = Shells { home: Path::new("/h"), config: Path::new("/h/.config"), zdotdir, has_zsh };
        let files = files(&shells, |path| there.iter().any(|there| Path::new(there) == path));
        files.iter().map(|file| format!("{} {:?}", file.path.display(), file.what)).collect()
    }

    #[test]
    fn every_shell_gets_the_files_that_it_reads() {
        assert_eq!(names(None, false, &[]), ["/h/.profile LoginLine"]);
        let bash = names(None, false, &["/h/.bashrc", "/h/.bash_profile"]);
        assert_eq!(bash, ["/h/.profile LoginLine", "/h/.bash_profile LoginLine", "/h/.bashrc TopLine"]);
        let zsh = names(None, true, &[]);
        assert_eq!(zsh, ["/h/.profile LoginLine", "/h/.zshenv Line", "/h/.zprofile LoginLine"]);
        assert_eq!(names(None, false, &["/h/.zprofile"]), zsh);
        let moved = names(Some("/h/.zsh"), true, &["/h/.zshenv"]);
        assert_eq!(moved[1..], ["/h/.zshenv Line", "/h/.zsh/.zprofile LoginLine"]);
        assert_eq!(names(Some("/h/.zsh"), true, &[])[1..], ["/h/.zsh/.zshenv Line", "/h/.zsh/.zprofile LoginLine"]);
        assert_eq!(names(None, false, &["/h/.config/fish"])[1..], ["/h/.config/fish/conf.d/govern.fish Fish"]);
    }

    #[test]
    fn a_line_is_put_where_it_belongs_and_only_once() {
        let ours = line("$HOME/g/env");
        assert_eq!(ours, "if [ -r \"$HOME/g/env\" ]; then . \"$HOME/g/env\"; fi # govern");
        let check = |text: &str, what: What, expect: Option<&str>| {
            let expect = expect.map(|expect| expect.replace("OURS", &ours));
            assert_eq!(with_line(text, &ours, what), expect, "{text:?}");
            if let Some(new) = expect {
                assert_eq!(with_line(&new, &ours, what), None, "the second time nothing changes");
            }
        };
        check("", What::LoginLine, Some("OURS\n"));
        check("a\nb", What::LoginLine, Some("a\nb\nOURS\n"));
        check("a\nb\n", What::TopLine, Some("OURS\na\nb\n"));
        check("a\n. /old/env # govern\nb\n", What::Line, Some("a\nOURS\nb\n"));
        check("x # govern\na\ny # govern\n", What::TopLine, Some("OURS\na\n"));
        check("# governor\n", What::Line, Some("# governor\nOURS\n"));
    }

    #[test]
    fn paths_are_quoted_for_a_shell() {
        let check = |path: &str, home: Option<&str>, expect: &str| {
            assert_eq!(quoted(Path::new(path), home.map(Path::new)), expect);
        };
        check("/h/.local/share/govern/bin", Some("/h"), "$HOME/.local/share/govern/bin");
        check("/opt/govern/bin", Some("/h"), "/opt/govern/bin");
        check("/opt/a b\"$`\\/bin", None, "/opt/a b\\\"\\$\\`\\\\/bin");
        check("/home2/x", Some("/home"), "/home2/x");
    }

    /// Runs a snippet in the `sh` of this machine and gives the PATH it leaves behind.
    fn path_after(snippet: &str, path: Option<&str>) -> String {
        let mut shell = Command::new("/bin/sh");
        shell.args(["-euc", &format!("{snippet}\n{snippet}\nprintf %s \"$PATH\"")]).env_clear().env("HOME", "/h");
        path.map(|path| shell.env("PATH", path));
        let output = shell.output().unwrap();
        assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
        String::from_utf8(output.stdout).unwrap()
    }

    #[test]
    fn the_snippets_put_the_entry_first_and_leave_the_others_alone() {
        let bin = "$HOME/g/bin";
        let check = |path: Option<&str>, plain: &str, login: &str| {
            assert_eq!(path_after(&env(bin), path), plain, "env with {path:?}");
            assert_eq!(path_after(&env_login(bin), path), login, "env.login with {path:?}");
        };
        check(Some("/a:/b c"), "/h/g/bin:/a:/b c", "/h/g/bin:/a:/b c");
        check(Some("/a:/h/g/bin:/b"), "/a:/h/g/bin:/b", "/h/g/bin:/a:/b");
        check(Some("/h/g/bin:/h/g/bin:/a:/h/g/bin"), "/h/g/bin:/h/g/bin:/a:/h/g/bin", "/h/g/bin:/a");
        check(Some("/a:/h/g/bin/x"), "/h/g/bin:/a:/h/g/bin/x", "/h/g/bin:/a:/h/g/bin/x");
        check(Some(""), "/h/g/bin", "/h/g/bin");
    }
}
