//! `run` and `env`: another Go first on PATH, for one command or for a shell.

use std::collections::BTreeMap;
use std::ffi::OsStr;
use std::path::Path;

use govern_api::body::{self, OsText, SCHEMA};
use govern_core::decide::{Question, Target, Tool};
use govern_core::origin::escaped;
use govern_core::problem::{Code, Report};
use govern_core::vars::Vars;
use govern_core::version::Version;
use serde_json::json;

use crate::args::{Env, Run, Shell};
use crate::exit::{self, Exit};
use crate::launch::{self, Failed};
use crate::path::{appended, find, prepended};
use crate::pins::written;
use crate::verbs::Session;
use crate::verbs::explain::program;
use crate::verbs::install::ensure;

pub(crate) fn run(session: &Session<'_>, args: &Run) -> Result<Exit, Report> {
    let Some((program, words)) = args.command.split_first() else {
        return Err(Report::new(Code::Usage, "no command is given").hint("govern run 1.22 -- go version"));
    };
    let name = ensure(session, &args.spec)?.version;
    // Decided as the children will be: the variable names the very release, or the linked tree, whatever the word was.
    let word = Version::parse(&name).map_or_else(|_| name.clone(), |version| version.to_string());
    let mut vars = session.world.vars.clone();
    vars.set("GOVERN_GO_VERSION", word.as_str());
    let question = Question { tool: Tool::Go, args: Vec::new(), vars };
    let local = session.ask.local()?;
    let decision = local.decide(&question, session.world.dir()?)?.decision;
    let (goroot, lease) = match &decision.target {
        Target::Sdk(version) if version.toolchain() == name => (local.goroot(version), local.lease(version)?),
        // Nobody but its user removes it: there is nothing to hold it by.
        Target::Linked(link) if link.name.as_str() == name => (link.goroot.clone(), None),
        _ => {
            let fact = format!("{name} is installed, and is not what is chosen");
            return Err(Report::new(Code::Failure, fact).wanted_by(&decision.origin).hint("govern explain"));
        }
    };
    let path = session.world.vars.os("PATH");
    let mut command = launch::program(program, words);
    launch::edit(&mut command, &decision.edits, Some(&goroot), session.ask.layout(), path);
    let behind = appended(path, &launch::launchers(&decision.edits, session.ask.layout()));
    let path = prepended(behind.as_deref().or(path), &goroot.join("bin"));
    command.env("PATH", &path).env("GOVERN_GO_VERSION", word);
    let is_name = !program.as_encoded_bytes().contains(&b'/');
    let Failed { exit, report, .. } = if is_name && find(program, &path).is_none() {
        let fact = format!("there is no program `{}` on PATH", escaped(Path::new(program)));
        Failed { exit: exit::NOT_FOUND, report: Report::new(Code::Failure, fact), is_gone: true }
    } else {
        launch::become_program(command, lease)
    };
    session.ui.error(&report);
    Ok(exit)
}

pub(crate) fn env(session: &Session<'_>, args: &Env) -> Result<Exit, Report> {
    let mut vars = session.world.vars.clone();
    if let Some(spec) = &args.spec {
        vars.set("GOVERN_GO_VERSION", written(spec));
    }
    let ask = body::Ask { vars: (&vars).into(), ..session.question("go", &[])? };
    let decision = session.ask.decision(&ask)?;
    let program = program(session, &decision, "go")?;
    let mut set = decision.set.clone();
    // How often govern called itself is a matter of one call, not of a shell.
    set.remove("GOVERN_DEPTH");
    let linked = decision.linked.as_ref().map(|linked| linked.name.as_str());
    let chosen = linked.or(decision.version.as_deref().map(|version| version.trim_start_matches("go")));
    if let (Some(_), Some(chosen)) = (&args.spec, chosen) {
        set.insert("GOVERN_GO_VERSION".to_owned(), chosen.to_owned());
    }
    let unset = unset(&decision.unset, &set, &session.world.vars);
    if args.json {
        let bin = program.parent().unwrap_or(Path::new("/"));
        session.ui.json(&json!({
            "schema": SCHEMA, "version": decision.version, "goroot": decision.goroot,
            "path": OsText::from(bin), "set": set, "unset": unset, "origin": decision.origin,
        }))?;
        return Ok(exit::OK);
    }
    let shell = args.shell.unwrap_or_else(|| used(session.world.terminal.shell.as_deref()));
    session.ui.answer(&script(shell, program.parent().unwrap_or(Path::new("/")), &set, &unset))?;
    Ok(exit::OK)
}

/// What a shell must forget: a GOROOT always, the rest only where it is set.
fn unset(names: &[String], set: &BTreeMap<String, String>, vars: &Vars) -> Vec<String> {
    let counts = |name: &&String| !set.contains_key(*name) && (*name == "GOROOT" || vars.os(name).is_some());
    names.iter().filter(counts).cloned().collect()
}

/// The shell that somebody uses.
fn used(shell: Option<&Path>) -> Shell {
    match shell.and_then(Path::file_name).and_then(OsStr::to_str) {
        Some("fish") => Shell::Fish,
        Some("nu") => Shell::Nu,
        Some("pwsh") => Shell::Pwsh,
        Some("bash") => Shell::Bash,
        Some("zsh") => Shell::Zsh,
        _ => Shell::Sh,
    }
}

/// Shell code that puts `bin` first on PATH.
fn script(shell: Shell, bin: &Path, set: &BTreeMap<String, String>, unset: &[String]) -> String {
    let bin = bin.to_string_lossy();
    let bin = quoted(shell, &bin);
    let mut lines: Vec<String> = unset.iter().map(|name| forget(shell, name)).collect();
    lines.extend(set.iter().map(|(name, value)| export(shell, name, &quoted(shell, value))));
    lines.push(match shell {
        Shell::Bash | Shell::Zsh | Shell::Sh => format!("export PATH={bin}:\"$PATH\""),
        Shell::Fish => format!("set -gx PATH {bin} $PATH"),
        Shell::Nu => format!("$env.PATH = ($env.PATH | prepend {bin})"),
        Shell::Pwsh => format!("$env:PATH = {bin} + ':' + $env:PATH"),
    });
    lines.iter().map(|line| format!("{line}\n")).collect()
}

fn export(shell: Shell, name: &str, quoted: &str) -> String {
    match shell {
        Shell::Bash | Shell::Zsh | Shell::Sh => format!("export {name}={quoted}"),
        Shell::Fish => format!("set -gx {name} {quoted}"),
        Shell::Nu => format!("$env.{name} = {quoted}"),
        Shell::Pwsh => format!("$env:{name} = {quoted}"),
    }
}

fn forget(shell: Shell, name: &str) -> String {
    match shell {
        Shell::Bash | Shell::Zsh | Shell::Sh => format!("unset {name}"),
        Shell::Fish => format!("set -e {name}"),
        Shell::Nu => format!("hide-env --ignore-errors {name}"),
        Shell::Pwsh => format!("Remove-Item Env:{name} -ErrorAction SilentlyContinue"),
    }
}

/// A word that the shell takes as it is.
fn quoted(shell: Shell, word: &str) -> String {
    let is_plain = !word.is_empty() && word.bytes().all(|b| b.is_ascii_alphanumeric() || b"/._-+".contains(&b));
    match shell {
        Shell::Bash | Shell::Zsh | Shell::Sh | Shell::Fish if is_plain => word.to_owned(),
        Shell::Bash | Shell::Zsh | Shell::Sh => format!("'{}'", word.replace('\'', r"'\''")),
        Shell::Fish => format!("'{}'", word.replace('\\', r"\\").replace('\'', r"\'")),
        Shell::Nu => format!("\"{}\"", word.replace('\\', r"\\").replace('"', "\\\"")),
        Shell::Pwsh => format!("'{}'", word.replace('\'', "''")),
    }
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeMap;
    use std::path::Path;
    use std::process::Command;

    use govern_core::vars::Vars;

    use super::{Shell, script, unset, used};

    fn set() -> BTreeMap<String, String> {
        BTreeMap::from([("GOTOOLCHAIN".to_owned(), "go1.22.4".to_owned())])
    }

    #[test]
    fn every_shell_gets_its_own_words() {
        let check = |shell: Shell, expect: &str| {
            let script = script(shell, Path::new("/g/sdks/go1.22.4/bin"), &set(), &["GOROOT".to_owned()]);
            assert_eq!(script, expect);
        };
        let sh = "unset GOROOT\nexport GOTOOLCHAIN=go1.22.4\nexport PATH=/g/sdks/go1.22.4/bin:\"$PATH\"\n";
        check(Shell::Sh, sh);
        check(Shell::Bash, sh);
        check(Shell::Zsh, sh);
        check(Shell::Fish, "set -e GOROOT\nset -gx GOTOOLCHAIN go1.22.4\nset -gx PATH /g/sdks/go1.22.4/bin $PATH\n");
        let nu = "hide-env --ignore-errors GOROOT\n$env.GOTOOLCHAIN = \"go1.22.4\"\n\
                  $env.PATH = ($env.PATH | prepend \"/g/sdks/go1.22.4/bin\")\n";
        check(Shell::Nu, nu);
        let pwsh = "Remove-Item Env:GOROOT -ErrorAction SilentlyContinue\n$env:GOTOOLCHAIN = 'go1.22.4'\n\
                    $env:PATH = '/g/sdks/go1.22.4/bin' + ':' + $env:PATH\n";
        check(Shell::Pwsh, pwsh);
    }

    #[test]
    fn a_real_sh_takes_any_path() {
        let odd = "/g x/it's $HOME \"`id`\"/bin";
        let script = script(Shell::Sh, Path::new(odd), &set(), &["GOROOT".to_owned()]);
        let mut shell = Command::new("/bin/sh");
        shell.args(["-euc", &format!("{script}\nprintf '%s|%s|%s' \"$PATH\" \"$GOTOOLCHAIN\" \"${{GOROOT-none}}\"")]);
        let output = shell.env_clear().env("PATH", "/bin").env("GOROOT", "/old").output().unwrap();
        assert_eq!(String::from_utf8(output.stdout).unwrap(), format!("{odd}:/bin|go1.22.4|none"));
    }

    #[test]
    fn a_shell_forgets_only_what_it_knows() {
        let mut vars = Vars::default();
        vars.set("GOTOOLCHAIN", "go1.20");
        let names = ["GOROOT", "GOTOOLCHAIN_INTERNAL_SWITCH_VERSION", "GOTOOLCHAIN"].map(str::to_owned);
        assert_eq!(unset(&names, &BTreeMap::new(), &vars), ["GOROOT", "GOTOOLCHAIN"]);
        assert_eq!(unset(&names, &set(), &vars), ["GOROOT"]);
    }

    #[test]
    fn the_shell_is_the_one_in_use() {
        assert_eq!(used(Some(Path::new("/usr/bin/fish"))), Shell::Fish);
        assert_eq!(used(Some(Path::new("/bin/dash"))), Shell::Sh);
        assert_eq!(used(None), Shell::Sh);
    }
}
