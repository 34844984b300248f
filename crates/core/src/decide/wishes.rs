//! Collects the wishes in the order of DESIGN §5's ranks and lets the first one win.

use std::path::Path;

use super::selection::Reads;
use super::{Case, Chosen, Install, Kind, ModuleFile, Modules, Refusal, Seen, Target, Tool};
use crate::gomod;
use crate::gotoolchain::GoToolchain;
use crate::link::Link;
use crate::origin::{Origin, escaped, escaped_text};
use crate::pinfile::{Entry, Wish};
use crate::safe_floor;
use crate::settings::{GoLine, ToolchainLine};
use crate::spec::{LinkName, ParseSpecError, Spec};
use crate::version::{Version, compare, from_toolchain, is_lang, is_valid};

/// A minimum that was found.
pub(super) struct Minimum {
    pub(super) origin: Origin,
    /// The line as written.
    pub(super) text: String,
    pub(super) version: Version,
}

/// A pin that was found: its entries in order of preference.
struct Found {
    rank: u8,
    /// Origin and meaning of each entry.
    entries: Vec<(Origin, String, Result<Wish, ParseSpecError>)>,
    /// A file of a checkout says so.
    by_repository: bool,
}

impl Found {
    fn one(rank: u8, origin: Origin, text: &str, spec: Result<Spec, ParseSpecError>) -> Found {
        let entries = vec![(origin, escaped_text(text), spec.map(Wish::Spec))];
        Found { rank, entries, by_repository: false }
    }

    fn file(rank: u8, path: &Path, entries: &[Entry]) -> Found {
        let origin = |line| Origin::File { path: path.to_owned(), line };
        let entries = entries.iter().map(|e| (origin(e.line), e.word.clone(), e.wish.clone())).collect();
        Found { rank, entries, by_repository: rank == 5 }
    }
}

impl Case<'_> {
    /// Lets the first wish win, and says what became of the others.
    pub(super) fn choose(&self, reads: Reads) -> Result<Chosen, Refusal> {
        let mut notes = Vec::new();
        let mut pins = self.pins_from_caller();
        let minimums = self.collect_from_disk(reads, &mut pins, &mut notes);
        let highest = minimums.first().map(|minimum| minimum.version.clone());
        let home_pins = self.home_pins();

        let mut seen: Vec<Seen> = Vec::new();
        let skip_variable = match reads {
            Reads::Nothing => Some("without modules Go does not read it"),
            Reads::Pins => Some("this command does not read it"),
            Reads::All | Reads::Variable => self.goes_beyond_its_name(&minimums).then_some("Go itself goes beyond it"),
        };
        if let Some(why) = skip_variable {
            let (skipped, others): (Vec<Found>, _) = pins.into_iter().partition(|found| found.rank == 3);
            pins = others;
            let lost = |(origin, text, _)| Seen { rank: 3, origin, text, lost: Some(why.to_owned()) };
            seen.extend(skipped.into_iter().flat_map(|found| found.entries).map(lost));
        }
        let note_loser = |seen: &mut Vec<Seen>, found: &Found| {
            if let Some((origin, text, _)) = found.entries.first() {
                let decides = seen.iter().find(|s| s.lost.is_none()).filter(|winner| winner.rank == found.rank);
                let lost = match decides {
                    Some(winner) if winner.origin.is_beside(origin) => "another file of this directory decides",
                    Some(Seen { origin: Origin::File { .. } | Origin::Override(_), .. }) => "a nearer one decides",
                    _ => "a higher rank decides",
                };
                let lost = Some(lost.to_owned());
                seen.push(Seen { rank: found.rank, origin: origin.clone(), text: text.clone(), lost });
            }
        };
        let mut pins = pins.into_iter();
        if let Some(first) = pins.next() {
            let (origin, text, target) = self.resolve_pin(&first)?;
            seen.push(Seen { rank: first.rank, origin: origin.clone(), text, lost: None });
            pins.chain(home_pins).chain(self.default_pin()).for_each(|found| note_loser(&mut seen, &found));
            seen.extend(minimums.into_iter().map(|minimum| minimum.lost("a pin is exact")));
            seen.sort_by_key(|s| s.rank);
            let chosen = Chosen { target, origin, kind: Kind::Pin, rank: first.rank, seen, notes };
            return Ok(self.as_go_switches(chosen, reads, highest.as_ref()));
        }
        let default = self.default_wish(home_pins, &mut seen)?;
        let mut chosen = self.with_floor(minimums, default, seen, notes);
        chosen.seen.sort_by_key(|s| s.rank);
        Ok(self.as_go_switches(chosen, reads, highest.as_ref()))
    }

    /// Ranks 1 to 3, which the caller brings along.
    fn pins_from_caller(&self) -> Vec<Found> {
        let vars = &self.question.vars;
        let mut pins = Vec::new();
        if let Tool::Launcher(version) = &self.question.tool {
            let name = version.toolchain();
            let found = Found::one(1, Origin::Launcher(name.clone()), &name, Ok(Spec::Exact(version.clone())));
            // When Go switches to a launcher, a module file of the checkout names the release, unless GOTOOLCHAIN does.
            let by_variable = vars.text("GOTOOLCHAIN").is_some_and(|value| value.split('+').next() == Some(&name));
            let by_repository = super::edits::is_switching(vars, version) && !by_variable;
            pins.push(Found { by_repository, ..found });
        }
        if let Some(word) = &self.command.plus {
            pins.push(Found::one(1, Origin::Flag(format!("+{word}")), word, Spec::parse(word)));
        }
        if let Some(word) = vars.os("GOVERN_GO_VERSION") {
            let word = word.to_string_lossy();
            pins.push(Found::one(2, Origin::Variable("GOVERN_GO_VERSION"), &word, Spec::parse(&word)));
        }
        if let Some(value) = super::edits::exported_by_user(vars)
            && let GoToolchain::Fixed(name) | GoToolchain::AtLeast(name) = GoToolchain::parse(value)
            && let Some(version) = toolchain_name(name)
        {
            pins.push(Found::one(3, Origin::Variable("GOTOOLCHAIN"), value, Ok(Spec::Exact(version))));
        }
        pins
    }

    /// GOTOOLCHAIN says `go1.22.4+auto`, that release is not here, and Go would not run it anyway: a module file asks for
    /// a newer one, or says what Go refuses.
    fn goes_beyond_its_name(&self, minimums: &[Minimum]) -> bool {
        let value = super::edits::exported_by_user(&self.question.vars).map(GoToolchain::parse);
        let Some(GoToolchain::AtLeast(name)) = value else { return false };
        let is_here = self.installed.named(name).is_some();
        let is_newer = |minimum: &Minimum| compare(minimum.version.base(), from_toolchain(name)).is_gt();
        let is_refused =
            self.around.modules == Modules::Refused || self.around.module_file.as_ref().is_some_and(is_refused);
        !is_here && (minimums.iter().any(is_newer) || is_refused)
    }

    /// Ranks 4 to 6. Appends the pins; the minimums are given back, the highest first.
    fn collect_from_disk(&self, reads: Reads, pins: &mut Vec<Found>, notes: &mut Vec<String>) -> Vec<Minimum> {
        let levels = &self.around.levels;
        let is_above = |dir: &Path| levels.iter().any(|level| level.dir == dir);
        let mut overrides: Vec<_> = self.around.overrides.iter().filter(|(dir, _)| is_above(dir)).collect();
        overrides.sort_by_key(|(dir, _)| std::cmp::Reverse(dir.components().count()));
        for (dir, spec) in overrides {
            pins.push(Found::one(4, Origin::Override(dir.clone()), &spec.to_string(), Ok(spec.clone())));
        }
        let module = self.around.module_file.as_ref().filter(|_| matches!(reads, Reads::All | Reads::Pins));
        let (mut module_pin, mut minimums) = match module {
            Some(file) => self.module_wishes(file, notes),
            None => (None, Vec::new()),
        };
        let module_dir = module.and_then(|file| file.path.parent());
        for level in levels.iter().filter(|level| !self.is_home_level(&level.dir)) {
            let first = pins.len();
            for (name, entries) in [(".go-version", &level.go_version), (".tool-versions", &level.tool_versions)] {
                if !entries.is_empty() {
                    pins.push(Found::file(5, &level.dir.join(name), entries));
                }
            }
            if module_dir == Some(level.dir.as_path()) {
                pins.extend(module_pin.take());
            }
            note_differences(&pins[first..], notes);
        }
        // A go.work named by GOWORK, or a module at or above the home directory, is not among those levels.
        pins.extend(module_pin);
        minimums.retain(|_| reads == Reads::All);
        minimums
    }

    /// What a module file wishes: a pin, and minimums of which the highest comes first.
    fn module_wishes(&self, file: &ModuleFile, notes: &mut Vec<String>) -> (Option<Found>, Vec<Minimum>) {
        let wish = |line: &gomod::Line, key: &str, version: Option<Version>| {
            let origin = Origin::File { path: file.path.clone(), line: line.number };
            Some(Minimum { origin, text: format!("{key} {}", escaped_text(&line.value)), version: version? })
        };
        // `go 2.0` is a version, and no Go: what there is to say about it, Go says.
        let is_release = |value: &str| is_valid(value) && value.starts_with('1');
        let version = |line: &gomod::Line| Version::parse(&line.value).ok().filter(|_| is_release(&line.value));
        let go = file.go.as_ref().and_then(|line| wish(line, "go", version(line)));
        let toolchain = file.toolchain.as_ref().and_then(|line| wish(line, "toolchain", toolchain_name(&line.value)));

        let mut pin = None;
        let mut minimums = Vec::new();
        if let Some(toolchain) = toolchain {
            if self.is_pin(&toolchain, go.as_ref(), notes) {
                let found =
                    Found::one(5, toolchain.origin, &toolchain.version.toolchain(), Ok(Spec::Exact(toolchain.version)));
                pin = Some(Found { by_repository: true, ..found });
            } else {
                minimums.push(toolchain);
            }
        }
        match (self.settings.go_line, go) {
            (GoLine::Minimum, Some(go)) => minimums.push(go),
            (GoLine::Pin, Some(go)) if pin.is_none() => {
                let text = go.version.to_string();
                let spec = Spec::parse(&text);
                pin = Some(Found { by_repository: true, ..Found::one(5, go.origin, &text, spec) });
            }
            _ => {}
        }
        if self.settings.toolchain_line == ToolchainLine::Minimum && ends_selection(file) {
            let lines = [("toolchain", &file.toolchain), ("go", &file.go)];
            let found = lines.iter().find_map(|(key, line)| Some((key, line.as_ref()?)));
            notes.extend(found.map(|(key, line)| {
                let text = escaped_text(&line.value);
                format!("{}:{}: with `{key} {text}` Go does not go up", escaped(&file.path), line.number)
            }));
            minimums.clear();
        }
        minimums.sort_by(|a, b| b.version.cmp_go(&a.version));
        (pin, minimums)
    }

    /// Says whether a toolchain line is a pin; notes why not, where the settings would have it so.
    fn is_pin(&self, toolchain: &Minimum, go: Option<&Minimum>, notes: &mut Vec<String>) -> bool {
        if self.settings.toolchain_line == ToolchainLine::Minimum {
            return false;
        }
        let Minimum { origin, version, .. } = toolchain;
        // Such a file cannot be obeyed to the letter: no command of that release would accept it.
        if let Some(go) = go.filter(|go| self.settings.go_line != GoLine::Ignore && version.cmp_go(&go.version).is_lt())
        {
            notes.push(format!("{origin}: {} is older than `{}` and counts for nothing", version.toolchain(), go.text));
            return false;
        }
        let stale = safe_floor::advisory(version).is_some() && self.installed.newest(|v| v == version).is_none();
        if stale && !self.settings.unsafe_pins {
            notes.push(format!("{origin}: {} is below the safe floor and counts as a minimum", version.toolchain()));
            return false;
        }
        true
    }

    /// Rank 7: pin files at or above the home directory.
    fn home_pins(&self) -> Vec<Found> {
        let mut pins = Vec::new();
        for level in self.around.levels.iter().filter(|level| self.is_home_level(&level.dir)) {
            for (name, entries) in [(".go-version", &level.go_version), (".tool-versions", &level.tool_versions)] {
                if !entries.is_empty() {
                    pins.push(Found::file(7, &level.dir.join(name), entries));
                }
            }
        }
        pins
    }

    fn is_home_level(&self, dir: &Path) -> bool {
        self.around.home.as_ref().is_some_and(|home| home.starts_with(dir))
    }

    /// Ranks 7 and 8: what holds where nobody wishes.
    fn default_wish(&self, home_pins: Vec<Found>, seen: &mut Vec<Seen>) -> Result<(u8, Origin, Target), Refusal> {
        let mut decided = None;
        for found in &home_pins.into_iter().chain(self.default_pin()).collect::<Vec<_>>() {
            let (origin, text, target) = match self.resolve_pin(found) {
                // A default that cannot be read must not hide behind one that can.
                Err(refusal) if decided.is_none() => return Err(refusal),
                Err(_) => continue,
                Ok(resolved) => resolved,
            };
            let lost = decided.as_ref().map(|_| "a higher rank decides".to_owned());
            seen.push(Seen { rank: found.rank, origin: origin.clone(), text, lost });
            if decided.is_none() {
                decided = Some((found.rank, origin, target));
            }
        }
        if let Some(decided) = decided {
            return Ok(decided);
        }
        seen.push(Seen { rank: 8, origin: Origin::BuiltIn, text: "latest".to_owned(), lost: None });
        // A vendor's build serves whoever names it, and nobody else.
        let is_published = |version: &Version| version.suffix().is_none();
        let latest = self.installed.pick(&Spec::Latest, is_published);
        let target = match latest.or_else(|| self.installed.newest(is_published)) {
            Some(version) => Target::Sdk(version.clone()),
            None => Target::PathGo { or_install: Some(Install::of(Spec::Latest)) },
        };
        Ok((8, Origin::BuiltIn, target))
    }

    /// Rank 8, when the user has chosen a default.
    fn default_pin(&self) -> Option<Found> {
        let spec = self.settings.default.as_ref()?;
        Some(Found::one(8, Origin::Default, &spec.to_string(), Ok(spec.clone())))
    }

    /// The names of linked trees in all wishes, whoever wins.
    pub(super) fn linked_names(&self) -> Vec<LinkName> {
        let mut found = self.pins_from_caller();
        self.collect_from_disk(Reads::Nothing, &mut found, &mut Vec::new());
        found.extend(self.home_pins());
        found.extend(self.default_pin());
        let entries = found.into_iter().flat_map(|found| found.entries);
        entries
            .filter_map(|(_, _, wish)| if let Ok(Wish::Spec(Spec::Linked(name))) = wish { Some(name) } else { None })
            .collect()
    }

    fn link(&self, spec: &Spec) -> Option<&Link> {
        let Spec::Linked(name) = spec else { return None };
        self.around.links.iter().find(|link| link.name == *name)
    }

    /// Takes the first entry that can be met with what is there, else the first that can be installed, else the first that
    /// can be read. A link whose tree is gone is the user's own word, and as good as one that can be installed.
    fn resolve_pin(&self, found: &Found) -> Result<(Origin, String, Target), Refusal> {
        let (mut reachable, mut readable) = (None, None);
        for (origin, text, wish) in &found.entries {
            let spec = match wish {
                Ok(Wish::System) => return Ok((origin.clone(), text.clone(), Target::PathGo { or_install: None })),
                Ok(Wish::Spec(spec)) => spec,
                Err(_) => continue,
            };
            if let Some(version) = self.installed.pick(spec, |_| true) {
                return Ok((origin.clone(), text.clone(), Target::Sdk(version.clone())));
            }
            let target = match self.link(spec) {
                Some(link) if link.fault.is_none() => {
                    return Ok((origin.clone(), text.clone(), Target::Linked(link.clone())));
                }
                Some(link) => Target::Linked(link.clone()),
                None => Target::Install(Install { by_repository: found.by_repository, ..Install::of(spec.clone()) }),
            };
            let is_out_of_reach = matches!(&target, Target::Install(install) if !self.may_install(install));
            let first = if is_out_of_reach { &mut readable } else { &mut reachable };
            first.get_or_insert_with(|| (origin.clone(), text.clone(), target));
        }
        reachable.or(readable).ok_or_else(|| {
            let bad = found.entries.iter().find_map(|(origin, _, wish)| Some((origin, wish.as_ref().err()?)));
            let (origin, fault) = bad.expect("a pin has an entry, and none of them could be read");
            Refusal::BadPin { origin: origin.clone(), fault: fault.clone() }
        })
    }
}

impl Case<'_> {
    /// Whether there is anything to install: a linked name is nothing that somebody publishes, and a checkout may not
    /// bring in a release below the safe floor.
    fn may_install(&self, install: &Install) -> bool {
        let allowed =
            |version| !install.by_repository || self.settings.unsafe_pins || safe_floor::advisory(version).is_none();
        !matches!(install.spec, Spec::Linked(_)) && install.spec.exact().is_none_or(allowed)
    }
}

impl Minimum {
    pub(super) fn lost(self, why: impl Into<String>) -> Seen {
        Seen { rank: 6, origin: self.origin, text: self.text, lost: Some(why.into()) }
    }
}

impl Install {
    pub(super) fn of(spec: Spec) -> Install {
        Install { spec, floor: None, by_repository: false, instead: None }
    }
}

/// A toolchain name that means a release (`go1.22.4`, `go1.20`, `go1.22.3-bigcorp`); language versions mean none.
fn toolchain_name(name: &str) -> Option<Version> {
    if from_toolchain(name).is_empty() || !name.starts_with("go1") {
        return None;
    }
    Version::parse(name).ok().filter(|version| !version.is_lang())
}

/// A module file with which Go's selection ends in an error: its `toolchain` line is none, or it asks for a Go 2.
fn is_refused(file: &ModuleFile) -> bool {
    let (go, toolchain) = (value(file.go.as_ref()), value(file.toolchain.as_ref()));
    let is_go_2 = |version: &str| compare(version, "2").is_ge() && !version.starts_with('1');
    let version = from_toolchain(toolchain);
    let is_none = !toolchain.is_empty() && version.is_empty();
    toolchain != "default" && (is_none || is_go_2(version) || is_go_2(go))
}

/// A module file whose `go` line Go's selection does not go up to: `toolchain default`, what it refuses, and a language
/// version for a toolchain, of which it says that it is none.
fn ends_selection(file: &ModuleFile) -> bool {
    let (go, toolchain) = (value(file.go.as_ref()), value(file.toolchain.as_ref()));
    let version = from_toolchain(toolchain);
    toolchain == "default" || is_refused(file) || (is_lang(version) && compare(go, version).is_le())
}

fn value(line: Option<&gomod::Line>) -> &str {
    line.map_or("", |line| &line.value)
}

/// Notes when the files of one directory want different things.
fn note_differences(pins: &[Found], notes: &mut Vec<String>) {
    let Some((first, others)) = pins.split_first() else { return };
    let Some((winner, text, wish)) = first.entries.first() else { return };
    for (origin, other, other_wish) in others.iter().filter_map(|found| found.entries.first()) {
        if wish != other_wish {
            notes.push(format!("{winner} says {text}, {origin} says {other}: the first one counts"));
        }
    }
}
