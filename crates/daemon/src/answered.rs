//! A question that was answered, for those who take note of it afterwards: the index and the watcher.

use std::path::{Path, PathBuf};
use std::sync::Arc;

use govern_core::decide::Target;
use govern_core::origin::Origin;
use govern_core::vars::Vars;
use govern_core::version::Version;
use govern_engine::Decided;

use crate::index::Index;
use crate::watch::Watcher;

/// A question of a shim and what was decided.
#[derive(Debug)]
pub(crate) struct Answered {
    /// The working directory that it was asked in.
    pub(crate) cwd: PathBuf,
    /// The caller's variables.
    pub(crate) vars: Vars,
    /// The decision.
    pub(crate) decided: Decided,
}

impl Answered {
    /// The directory that counts as the project: where the deciding line stands, else where the nearest file stands
    /// that might have decided, else where the question was asked.
    pub(crate) fn project(&self) -> &Path {
        let deciding = match &self.decided.decision.origin {
            Origin::File { path, .. } => path.parent(),
            Origin::Override(dir) => Some(dir.as_path()),
            _ => None,
        };
        deciding.or(self.decided.pin_dirs.first().map(PathBuf::as_path)).unwrap_or(&self.decided.dir)
    }

    /// The SDK that ran, if one did.
    pub(crate) fn version(&self) -> Option<&Version> {
        if let Target::Sdk(version) = &self.decided.decision.target { Some(version) } else { None }
    }
}

/// Those who take note of answered questions. Neither ever makes a question wait.
#[derive(Clone, Debug)]
pub(crate) struct Notes {
    /// Remembers who used what.
    pub(crate) index: Index,
    /// Watches the pins that were asked for.
    pub(crate) watcher: Watcher,
}

impl Notes {
    /// Takes note.
    pub(crate) fn take(&self, answered: Arc<Answered>) {
        self.index.answered(&answered);
        if !answered.decided.pin_dirs.is_empty() {
            self.watcher.answered(answered);
        }
    }
}

#[cfg(test)]
pub(crate) mod tests {
    use std::path::{Path, PathBuf};

    use govern_core::decide::{self, Question, Surroundings, Tool};
    use govern_core::origin::Origin;
    use govern_core::settings::Settings;
    use govern_core::vars::Vars;
    use govern_core::version::Version;
    use govern_engine::Decided;

    use super::Answered;

    /// An answer in `cwd` where nothing was wished for, with these directories of pins.
    pub(crate) fn answered(cwd: &Path, pin_dirs: &[&Path]) -> Answered {
        let question = Question { tool: Tool::Go, args: Vec::new(), vars: Vars::default() };
        let installed = [Version::parse("1.22.4").unwrap()];
        let decision = decide::decide(&question, &Surroundings::default(), &installed, &Settings::default()).unwrap();
        let pin_dirs = pin_dirs.iter().map(|dir| dir.to_path_buf()).collect();
        let decided = Decided { decision, dir: cwd.to_owned(), pin_dirs };
        Answered { cwd: cwd.to_owned(), vars: Vars::default(), decided }
    }

    #[test]
    fn the_project_is_where_the_deciding_line_stands() {
        let mut asked = answered(Path::new("/src/shop/cmd"), &[]);
        assert_eq!(asked.project(), Path::new("/src/shop/cmd"));
        asked.decided.pin_dirs = vec![PathBuf::from("/src/shop"), PathBuf::from("/src")];
        assert_eq!(asked.project(), Path::new("/src/shop"), "it might have decided");
        asked.decided.decision.origin = Origin::File { path: "/src/.go-version".into(), line: 1 };
        assert_eq!(asked.project(), Path::new("/src"));
        asked.decided.decision.origin = Origin::Override("/home".into());
        assert_eq!(asked.project(), Path::new("/home"));
    }
}
