//! What happens once a decision is followed: an install, Go's own switch to another release, Go's own refusal. Told by
//! `explain`; nobody acts on it. Follows `cmd/go/internal/toolchain/select.go`; leaves out what a command does later.

use super::{Decision, Install, Kind, Question, Surroundings, Target, Tool, decide};
use crate::command::Command;
use crate::gomod;
use crate::origin::{Origin, escaped_text};
use crate::safe_floor;
use crate::settings::Settings;
use crate::version::{Version, from_toolchain, is_lang, is_valid};

/// One thing that happens next.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Next {
    /// What kind of thing.
    pub step: Step,
    /// The thing, in a line.
    pub text: String,
    /// Whose doing it is, where a line or a variable can be named.
    pub origin: Option<Origin>,
}

/// Kinds of what happens next.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Step {
    /// Something is installed first.
    Install,
    /// The chosen Go runs, and does what was asked.
    Run,
    /// The chosen Go hands over to another release, which comes from govern.
    Switch,
    /// The chosen Go downloads another release by itself.
    Download,
    /// It fails, and says so.
    Refuse,
    /// A setting of Go's that changes nothing here, or would.
    Note,
}

/// What a decision leads to. `has_launcher` says whether Go will find a program of this name among the launchers.
#[must_use]
pub fn next(
    question: &Question,
    around: &Surroundings,
    installed: &[Version],
    settings: &Settings,
    decision: &Decision,
    has_launcher: impl Fn(&str) -> bool,
) -> Vec<Next> {
    let mut steps = Vec::new();
    let after;
    let (decision, version) = match &decision.target {
        Target::Sdk(version) => (decision, version),
        Target::Linked(link) => {
            let text = format!("the linked tree {} runs, and does not switch by itself", link.name.as_str());
            return vec![Next { step: Step::Run, text, origin: None }];
        }
        Target::PathGo { .. } => {
            let text = "the go further down PATH decides for itself whether it switches".to_owned();
            return vec![Next { step: Step::Run, text, origin: None }];
        }
        Target::Install(install) => {
            steps.push(installs(install, settings, &decision.origin));
            let Some(version) = install.spec.exact().filter(|_| steps[0].step == Step::Install) else { return steps };
            // Once it is there, everything is decided again.
            let installed: Vec<Version> = installed.iter().chain([version]).cloned().collect();
            match decide(question, around, &installed, settings) {
                Ok(decided) => after = decided,
                Err(_) => return steps,
            }
            (&after, version)
        }
    };
    if question.tool == Tool::Gofmt {
        return steps;
    }
    let command = Command::parse(&question.args);
    let go = Go { question, around, decision, version, command, name: version.toolchain() };
    steps.extend(go.selects(installed, &has_launcher));
    steps.extend(go.outranked());
    steps
}

fn installs(install: &Install, settings: &Settings, origin: &Origin) -> Next {
    let origin = Some(origin.clone());
    let what = match &install.spec.exact() {
        Some(version) => version.toolchain(),
        None => format!("the newest of {}", install.spec),
    };
    let unsafe_pin = install.spec.exact().and_then(safe_floor::advisory).filter(|_| install.by_repository);
    let (step, text) = match (unsafe_pin, &install.instead) {
        (Some(advisory), _) if !settings.unsafe_pins => {
            (Step::Refuse, format!("go fails: a file of a checkout may not install {what} ({})", advisory.id))
        }
        _ if settings.auto_install && !settings.offline => (Step::Install, format!("{what} is installed first")),
        (_, Some(instead)) => (Step::Run, format!("{} runs instead: nothing may be installed", instead.toolchain())),
        (_, None) => {
            let why = if settings.offline { "govern is offline" } else { "auto_install is off" };
            (Step::Refuse, format!("go fails: {what} is not installed, and {why}"))
        }
    };
    Next { step, text, origin }
}

/// The chosen Go, as it starts.
struct Go<'a> {
    question: &'a Question,
    around: &'a Surroundings,
    decision: &'a Decision,
    version: &'a Version,
    command: Command,
    /// `go1.22.4`.
    name: String,
}

/// A GOTOOLCHAIN, taken apart.
enum Mode {
    /// One release and no other.
    Fixed,
    /// Newer ones from PATH or by download.
    Auto,
    /// Newer ones from PATH.
    Path,
}

impl Go<'_> {
    /// The GOTOOLCHAIN that it sees, and who set it.
    fn toolchain(&self) -> (String, Option<Origin>) {
        let edits = &self.decision.edits;
        if let Some((_, value)) = edits.set.iter().find(|(name, _)| *name == "GOTOOLCHAIN") {
            let by_pin = self.decision.kind == Kind::Pin;
            return (value.clone(), by_pin.then(|| self.decision.origin.clone()));
        }
        let is_kept = !edits.unset.contains(&"GOTOOLCHAIN");
        if let Some(value) = self.question.vars.text("GOTOOLCHAIN").filter(|_| is_kept) {
            return (value.to_owned(), Some(Origin::Variable("GOTOOLCHAIN")));
        }
        match self.around.go_env.line("GOTOOLCHAIN").filter(|value| !value.is_empty()) {
            Some(value) => (value.to_owned(), self.go_env_origin("GOTOOLCHAIN")),
            // What the `go.env` of every published SDK says.
            None => ("auto".to_owned(), None),
        }
    }

    fn go_env_origin(&self, key: &str) -> Option<Origin> {
        let path = self.around.go_env_file.clone()?;
        Some(Origin::File { path, line: self.around.go_env.line_number(key)? })
    }

    fn module_line(&self, line: &gomod::Line) -> Option<Origin> {
        let path = self.around.module_file.as_ref()?.path.clone();
        Some(Origin::File { path, line: line.number })
    }

    /// Go's own selection, step by step.
    fn selects(&self, installed: &[Version], has_launcher: &dyn Fn(&str) -> bool) -> Vec<Next> {
        let name = &self.name;
        let one = |step, text, origin| vec![Next { step, text, origin }];
        if self.is_before((1, 21)) {
            return one(Step::Run, format!("{name} runs: it knows no toolchain lines and never switches"), None);
        }
        let modules = self.around.go_env.effective(&self.question.vars, "GO111MODULE");
        if !matches!(modules, None | Some("on" | "auto")) {
            let mode = escaped_text(modules.unwrap_or_default());
            return one(Step::Run, format!("{name} runs, and never switches: GO111MODULE={mode}"), None);
        }
        let (value, set_by) = self.toolchain();
        let shown = escaped_text(&value);
        let (minimum, mode) = match value.as_str() {
            "auto" => ("local", Mode::Auto),
            "path" => ("local", Mode::Path),
            value => match value.split_once('+') {
                None => (value, Mode::Fixed),
                Some((minimum, "auto")) => (minimum, Mode::Auto),
                Some((minimum, "path")) => (minimum, Mode::Path),
                Some(_) => return one(Step::Refuse, format!("go fails: invalid GOTOOLCHAIN \"{shown}\""), set_by),
            },
        };
        let mut wanted = if minimum == "local" { name.clone() } else { minimum.to_owned() };
        let Some(mut at_least) = toolchain_version(&wanted) else {
            return one(Step::Refuse, format!("go fails: invalid GOTOOLCHAIN \"{shown}\""), set_by);
        };
        let mut because = set_by.clone();
        let file = self.around.module_file.as_ref().filter(|_| !self.ignores_module_files());
        let is_frozen = file.and_then(|f| f.toolchain.as_ref()).is_some_and(|line| line.value == "default");
        if let Some(file) = file.filter(|_| !matches!(mode, Mode::Fixed) && !is_frozen) {
            if let Some(line) = &file.toolchain {
                let Some(version) = toolchain_version(&line.value) else {
                    let text = format!("go fails: invalid toolchain \"{}\"", escaped_text(&line.value));
                    return one(Step::Refuse, text, self.module_line(line));
                };
                if version.cmp_go(&at_least).is_gt() {
                    (wanted, at_least, because) = (line.value.clone(), version, self.module_line(line));
                }
            }
            if let Some((line, version)) = file.go.as_ref().and_then(|line| Some((line, go_version(line)?)))
                && version.cmp_go(&at_least).is_gt()
            {
                let patch = if is_lang(&line.value) && version.family() >= Some((1, 21)) { ".0" } else { "" };
                (wanted, because) = (format!("go{}{patch}", line.value), self.module_line(line));
            }
        }
        if wanted != *name {
            return vec![self.switch(&wanted, &mode, because, installed, has_launcher)];
        }
        let mut steps = one(Step::Run, self.runs(&shown, &mode), set_by);
        steps.extend(self.refuses(&shown));
        steps.extend(self.later(&shown, &mode));
        steps
    }

    fn is_before(&self, family: (u32, u32)) -> bool {
        self.version.family().is_none_or(|own| own < family)
    }

    fn ignores_module_files(&self) -> bool {
        self.command.package_at_version && self.is_before((1, 25))
    }

    fn runs(&self, shown: &str, mode: &Mode) -> String {
        let name = &self.name;
        match mode {
            Mode::Fixed => format!("{name} runs, and switches to no other: GOTOOLCHAIN={shown}"),
            Mode::Auto | Mode::Path => format!("{name} runs; a module below that asks for more gets it by a launcher"),
        }
    }

    /// Another release takes over before anything else happens.
    fn switch(
        &self,
        wanted: &str,
        mode: &Mode,
        origin: Option<Origin>,
        installed: &[Version],
        has_launcher: &dyn Fn(&str) -> bool,
    ) -> Next {
        let (name, shown) = (&self.name, escaped_text(wanted));
        let is_here = installed.iter().any(|version| version.toolchain() == wanted);
        let (step, text) = match mode {
            _ if has_launcher(wanted) && is_here => {
                (Step::Switch, format!("{name} hands over to {shown}, by a launcher"))
            }
            _ if has_launcher(wanted) => {
                (Step::Switch, format!("{name} hands over to {shown}, by a launcher that installs it first"))
            }
            Mode::Path => (Step::Refuse, format!("go fails: cannot find \"{shown}\" in PATH")),
            Mode::Auto | Mode::Fixed => {
                (Step::Download, format!("{name} looks for {shown} on PATH, then downloads it by itself"))
            }
        };
        Next { step, text, origin }
    }

    /// The module's own minimum, when it stays above the Go that runs: no command that loads the module accepts that.
    fn refuses(&self, shown: &str) -> Option<Next> {
        let file = self.around.module_file.as_ref().filter(|_| !self.command.package_at_version)?;
        let line = file.go.as_ref()?;
        let version = go_version(line).filter(|floor| !self.version.satisfies(floor))?;
        let file_name = file.path.file_name().unwrap_or_default().to_string_lossy();
        let text = format!(
            "commands that load the module fail: {} requires go >= {version} (running go {}; GOTOOLCHAIN={shown})",
            escaped_text(&file_name),
            self.version
        );
        Some(Next { step: Step::Refuse, text, origin: self.module_line(line) })
    }

    /// What the command may find out only when it has read other modules.
    fn later(&self, shown: &str, mode: &Mode) -> Option<Next> {
        let args = &self.question.args[usize::from(self.command.plus.is_some()).min(self.question.args.len())..];
        let is_get = args.first().is_some_and(|word| word == "get");
        let subject = match (self.command.package_at_version, is_get) {
            (true, _) => "a package that needs a newer Go",
            (_, true) => "a dependency that needs a newer Go",
            _ => return None,
        };
        let (step, fate) = match mode {
            Mode::Fixed => (Step::Refuse, format!("is refused: GOTOOLCHAIN={shown}")),
            Mode::Auto | Mode::Path => (Step::Switch, "gets one, by a launcher".to_owned()),
        };
        Some(Next { step, text: format!("{subject} {fate}"), origin: None })
    }

    /// Lines of `go env -w` that would have counted.
    fn outranked(&self) -> Vec<Next> {
        let edits = &self.decision.edits;
        let line = |key: &str| self.around.go_env.line(key).filter(|value| !value.is_empty());
        let mut steps = Vec::new();
        let (value, set_by) = self.toolchain();
        if let Some(written) = line("GOTOOLCHAIN").filter(|_| set_by != self.go_env_origin("GOTOOLCHAIN")) {
            let text =
                format!("GOTOOLCHAIN={} of `go env -w` yields to {}", escaped_text(written), escaped_text(&value));
            steps.push(Next { step: Step::Note, text, origin: self.go_env_origin("GOTOOLCHAIN") });
        }
        if let Some(written) = line("GOROOT").filter(|_| edits.set_goroot) {
            let text = format!("GOROOT={} of `go env -w` yields to the chosen SDK's own root", escaped_text(written));
            steps.push(Next { step: Step::Note, text, origin: self.go_env_origin("GOROOT") });
        }
        steps
    }
}

fn go_version(line: &gomod::Line) -> Option<Version> {
    Version::parse(&line.value).ok().filter(|_| is_valid(&line.value))
}

/// The version in a toolchain name, as Go's `gover.FromToolchain` takes it out.
fn toolchain_version(name: &str) -> Option<Version> {
    let version = from_toolchain(name);
    if version.is_empty() { None } else { Version::parse(version).ok() }
}
