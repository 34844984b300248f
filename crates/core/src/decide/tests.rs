//! DESIGN §5 as tables: who wins, why, and what becomes of the others. One case is one line where it fits.
//!
//! A [`World`] is what lies around a directory, written as files and read by the real readers; it stands in for the
//! engine, which does the same with a disk. The tables are in the files below this one.

use std::borrow::Borrow;
use std::ffi::OsString;
use std::path::{Path, PathBuf};

use super::{
    Decision, Install, Kind, Level, ModuleFile, Modules, Question, Refusal, Surroundings, Target, Tool, decide,
    decide_by, linked_names,
};
use crate::goenv::GoEnv;
use crate::gomod;
use crate::link::{Link, TreeFault, version_of};
use crate::pinfile;
use crate::settings::Settings;
use crate::spec::{LinkName, Spec};
use crate::vars::Vars;
use crate::version::Version;

mod checklist;
mod edits;
mod floors;
mod links;
mod next;
mod pins;
mod ranks;
mod selection;

/// A directory, what lies around it, and a call made there.
#[derive(Clone)]
struct World {
    cwd: PathBuf,
    home: Option<PathBuf>,
    files: Vec<(PathBuf, String)>,
    overrides: Vec<(PathBuf, Spec)>,
    modules: Modules,
    links: Vec<Link>,
    go_env: String,
    sdk_toolchains: Vec<(Version, String)>,
    vars: Vars,
    tool: Tool,
    args: Vec<OsString>,
    installed: Vec<Version>,
    settings: Settings,
}

/// The home directory is /home/ana, and these releases are installed: the newest two patches of some families.
fn at(cwd: &str) -> World {
    World {
        cwd: cwd.into(),
        home: Some("/home/ana".into()),
        files: Vec::new(),
        overrides: Vec::new(),
        modules: Modules::On,
        links: Vec::new(),
        go_env: String::new(),
        sdk_toolchains: Vec::new(),
        vars: Vars::default(),
        tool: Tool::Go,
        args: vec!["version".into()],
        installed: Vec::new(),
        settings: Settings::default(),
    }
    .installed("1.20.14 1.24.10 1.24.11 1.25.6 1.26.3 1.26.6 1.27.3 1.28rc1")
}

impl World {
    fn file(mut self, path: &str, text: &str) -> World {
        self.files.push((path.into(), text.to_owned()));
        self
    }

    fn overriding(mut self, dir: &str, spec: &str) -> World {
        self.overrides.push((dir.into(), spec.parse().unwrap()));
        self
    }

    /// A linked tree whose `VERSION` says `called`; one that says nothing does not tell what it is.
    fn linking(mut self, name: &str, called: &str) -> World {
        let called = Some(called).filter(|called| !called.is_empty());
        let (version, called) = (version_of(called, None), called.map(str::to_owned));
        let goroot = Path::new("/src").join(name);
        self.links.push(Link { name: LinkName::parse(name).unwrap(), goroot, called, version, fault: None });
        self
    }

    fn linking_gone(self, name: &str) -> World {
        let mut world = self.linking(name, "");
        world.links.last_mut().unwrap().fault = Some(TreeFault::Gone);
        world
    }

    fn var(mut self, name: &str, value: &str) -> World {
        self.vars.set(name, value);
        self
    }

    fn call(mut self, line: &str) -> World {
        self.args = line.split_whitespace().map(OsString::from).collect();
        self
    }

    fn tool(mut self, tool: Tool) -> World {
        self.tool = tool;
        self
    }

    fn launcher(self, name: &str) -> World {
        self.tool(Tool::Launcher(name.parse().unwrap()))
    }

    fn go_env(mut self, text: &str) -> World {
        text.clone_into(&mut self.go_env);
        self
    }

    /// The `go.env` of this installed SDK says so.
    fn sdk_says(mut self, version: &str, toolchain: &str) -> World {
        self.sdk_toolchains.push((version.parse().unwrap(), toolchain.to_owned()));
        self
    }

    fn modules(mut self, modules: Modules) -> World {
        self.modules = modules;
        self
    }

    fn installed(mut self, versions: &str) -> World {
        self.installed = versions.split_whitespace().map(|v| v.parse().unwrap()).collect();
        self
    }

    fn default(self, spec: &str) -> World {
        self.with(|settings| settings.default = Some(spec.parse().unwrap()))
    }

    fn with(mut self, change: impl FnOnce(&mut Settings)) -> World {
        change(&mut self.settings);
        self
    }

    fn read(&self, path: &Path) -> Option<&[u8]> {
        self.files.iter().find(|(p, _)| p == path).map(|(_, text)| text.as_bytes())
    }

    fn module_file(&self) -> Option<ModuleFile> {
        let nearest =
            |name: &str| self.cwd.ancestors().map(|dir| dir.join(name)).find(|path| self.read(path).is_some());
        let work = self.vars.text("GOWORK").map(PathBuf::from);
        let path = work.or_else(|| nearest("go.work")).or_else(|| nearest("go.mod"))?;
        let text = self.read(&path).unwrap();
        Some(ModuleFile { go: gomod::scan(text, "go"), toolchain: gomod::scan(text, "toolchain"), path })
    }

    fn around(&self) -> Surroundings {
        let level = |dir: &Path| Level {
            dir: dir.to_owned(),
            go_version: self.read(&dir.join(".go-version")).map(pinfile::go_version).unwrap_or_default(),
            tool_versions: self.read(&dir.join(".tool-versions")).map(pinfile::tool_versions).unwrap_or_default(),
        };
        Surroundings {
            levels: self.cwd.ancestors().map(level).collect(),
            module_file: self.module_file(),
            home: self.home.clone(),
            overrides: self.overrides.clone(),
            modules: self.modules,
            links: Vec::new(),
            go_env: GoEnv::parse(self.go_env.as_bytes()),
            go_env_file: Some("/home/ana/.config/go/env".into()),
            sdk_toolchains: self.sdk_toolchains.clone(),
            passed_over: Vec::new(),
        }
    }

    fn question(&self) -> Question {
        Question { tool: self.tool.clone(), args: self.args.clone(), vars: self.vars.clone() }
    }

    fn decide(&self) -> Result<Decision, Refusal> {
        let mut around = self.around();
        let question = self.question();
        // Only what a question comes upon is looked at.
        let names = linked_names(&question, &around, &self.settings);
        around.links = self.links.iter().filter(|link| names.contains(&link.name)).cloned().collect();
        let (decision, by) = decide_by(&question, &around, &self.installed, &self.settings);
        let decide_with = |is_there: &dyn Fn(&Version) -> bool| {
            let installed: Vec<Version> = self.installed.iter().filter(|version| is_there(version)).cloned().collect();
            decide(&question, &around, &installed, &self.settings)
        };
        assert_eq!(decide_with(&|version| by.contains(&version)), decision, "without all others, by {by:?}");
        for gone in self.installed.iter().filter(|version| !by.contains(version)) {
            assert_eq!(decide_with(&|version| version != gone), decision, "without {gone}, by {by:?}");
        }
        decision
    }
}

/// `5 pin /p/.go-version:1 -> 1.22.4`, or the refusal with its origin.
fn show(decision: &Result<Decision, Refusal>) -> String {
    match decision {
        Err(refusal) => match refusal.origin() {
            Some(origin) => format!("refused: {refusal}, wanted by {origin}"),
            None => format!("refused: {refusal}"),
        },
        Ok(Decision { target, origin, kind, rank, .. }) => {
            let kind = match kind {
                Kind::Pin => "pin",
                Kind::Floor => "floor",
                Kind::Default => "default",
            };
            format!("{rank} {kind} {origin} -> {}", show_target(target))
        }
    }
}

fn show_target(target: &Target) -> String {
    let install = |Install { spec, floor, by_repository, instead }: &Install| {
        let floor = floor.as_ref().map_or(String::new(), |floor| format!(" at least {floor}"));
        let by = if *by_repository { " for a checkout" } else { "" };
        let instead = instead.as_ref().map_or(String::new(), |version| format!(", instead {version}"));
        format!("install {spec}{floor}{by}{instead}")
    };
    match target {
        Target::Sdk(version) => version.to_string(),
        Target::Linked(Link { name, fault: None, .. }) => format!("linked {}", name.as_str()),
        Target::Linked(Link { name, fault: Some(_), .. }) => format!("broken {}", name.as_str()),
        Target::Install(wish) => install(wish),
        Target::PathGo { or_install: Some(wish) } => format!("go on PATH, or {}", install(wish)),
        Target::PathGo { or_install: None } => "go on PATH".to_owned(),
    }
}

#[track_caller]
fn check(world: impl Borrow<World>, expect: &str) {
    let decision = world.borrow().decide();
    assert_eq!(show(&decision), expect);
    if let Ok(decision) = decision {
        let winners: Vec<_> = decision.seen.iter().filter(|seen| seen.lost.is_none()).collect();
        assert_eq!(winners.len(), 1, "one wish wins: {:?}", decision.seen);
        assert_eq!((winners[0].rank, &winners[0].origin), (decision.rank, &decision.origin));
        assert!(decision.seen.is_sorted_by_key(|seen| seen.rank), "in order of rank: {:?}", decision.seen);
        // The safe floor holds for what a checkout wishes, and for nobody else. Rank 1 has a table of its own.
        if let (Target::Install(install), 2..) = (&decision.target, decision.rank) {
            assert_eq!(install.by_repository, matches!(decision.rank, 5 | 6), "{install:?}");
        }
    }
}

#[track_caller]
fn check_notes(world: impl Borrow<World>, expect: &[&str]) {
    assert_eq!(world.borrow().decide().unwrap().notes, expect);
}

/// All wishes, `rank origin text: why it lost`.
fn seen(world: &World) -> Vec<String> {
    let one = |s: &super::Seen| format!("{} {} {}: {}", s.rank, s.origin, s.text, s.lost.as_deref().unwrap_or("wins"));
    world.decide().unwrap().seen.iter().map(one).collect()
}
