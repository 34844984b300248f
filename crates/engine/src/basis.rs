//! What a decision was made of, and whether all of it is still so: then the same question has the same answer, and need
//! not be decided again. Looks at the same things as a decision does, and works nothing out from them.

use std::path::{Path, PathBuf};
use std::sync::Arc;

use govern_core::command::Command;
use govern_core::decide::Question;
use govern_core::vars::Vars;
use govern_core::version::Version;

use crate::config::Config;
use crate::memo::Known;
use crate::{Engine, Installation, Linked};

/// What a decision was made of: held on to, so that nothing else can take its place in memory and pass for it.
#[derive(Debug)]
pub struct Basis {
    pub(crate) config: Arc<Config>,
    pub(crate) links: Arc<Linked>,
    pub(crate) installed: Arc<Installation>,
    pub(crate) around: Arc<Known>,
    pub(crate) dir: PathBuf,
    pub(crate) vars: Vars,
    /// The SDKs that the decision counts on.
    pub(crate) by: Vec<Version>,
}

impl Engine {
    /// Says whether the question that was decided on this basis would be decided the same way now. Looks at the disk, as a
    /// decision does: one stat for each directory and file that plays a part.
    #[must_use]
    pub fn stands(&self, basis: &Basis) -> bool {
        self.config().is_ok_and(|config| Arc::ptr_eq(&config, &basis.config))
            && self.inner.memo.stands(&basis.around, &basis.dir, &basis.vars)
            && self.linked().is_ok_and(|links| Arc::ptr_eq(&links, &basis.links))
            && self.listed().is_ok_and(|installed| Arc::ptr_eq(&installed, &basis.installed))
            && basis.by.iter().all(|version| self.inner.store.has_go(version))
    }
}

/// Says whether nothing but what a [`Basis`] holds plays a part: with `-C`, or in a directory that goes by another name,
/// more of the disk was looked at.
pub(crate) fn is_all(question: &Question, cwd: &Path) -> bool {
    let pwd = question.vars.os("PWD");
    pwd.is_none_or(|pwd| pwd == cwd.as_os_str()) && Command::parse(&question.args).chdir.is_none()
}
