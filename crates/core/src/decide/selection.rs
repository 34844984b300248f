//! How far Go's own selection goes in one call: what of GOTOOLCHAIN and of the module file counts for it.
//! The rules changed with Go's versions; those of the Go that would be started without them hold.
//! Source: `cmd/go/internal/toolchain/select.go`, `Select`, of Go 1.21 to 1.27.

use super::edits::exported_by_user;
use super::wishes::Minimum;
use super::{Case, Chosen, Install, Kind, Modules, Refusal, Target, Tool};
use crate::command::Shape;
use crate::gotoolchain::GoToolchain;
use crate::spec::Spec;
use crate::version::{Version, compare, from_toolchain};

/// What Go itself reads before it runs a command.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Reads {
    /// GOTOOLCHAIN and the module file.
    All,
    /// GOTOOLCHAIN, and no module file.
    Variable,
    /// Neither: the command serves to look at or to mend them. What pins, pins all the same.
    Pins,
    /// Neither, and there is no module file: module mode is off.
    Nothing,
}

/// A GOTOOLCHAIN and who says so.
struct Said<'a> {
    value: &'a str,
    by: &'static str,
}

impl Case<'_> {
    pub(super) fn reads(&self) -> Result<Reads, Refusal> {
        let is_before = |minor, under| Ok(self.is_before(minor, &self.choose(under)?.target));
        Ok(match (self.around.modules, self.command.shape) {
            (Modules::Off, _) => Reads::Nothing,
            (Modules::OnFromGo127, _) if is_before(27, Reads::Nothing)? => Reads::Nothing,
            (_, Shape::EnvToolchain) => Reads::Pins,
            (_, Shape::EnvModuleFile) if !is_before(23, Reads::Pins)? => Reads::Pins,
            _ if self.command.package_at_version && is_before(25, Reads::Variable)? => Reads::Variable,
            _ => Reads::All,
        })
    }

    /// The target is a Go older than 1.`minor`.
    fn is_before(&self, minor: u32, target: &Target) -> bool {
        let family = match target {
            Target::Sdk(version) => version.family(),
            // A tree that does not say what it is, is taken for a new one.
            Target::Linked(link) => link.version.as_ref().map_or(Some((1, u32::MAX)), Version::family),
            Target::Install(Install { spec: Spec::Exact(version), .. }) => version.family(),
            Target::Install(Install { spec: Spec::Family(major, minor), .. }) => Some((*major, *minor)),
            // Which release that is, nobody knows yet: the newest ones count.
            Target::Install(_) | Target::PathGo { .. } => return false,
        };
        // What has no family is one of the old oddities, `go1.9.2rc2`.
        family.unwrap_or((1, 0)) < (1, minor)
    }

    /// Why the Go that is started without module files would not go up to this minimum by itself; `None` when it would.
    pub(super) fn stays_below(&self, minimum: &Minimum, started: &Target) -> Option<String> {
        let said = self.said(started)?;
        let Said { value, by } = said;
        match GoToolchain::parse(value) {
            GoToolchain::Upward => None,
            GoToolchain::AtLeast(name) if compare(minimum.version.base(), from_toolchain(name)).is_gt() => None,
            GoToolchain::AtLeast(_) => Some(format!("not above GOTOOLCHAIN={value} {by}")),
            GoToolchain::Local | GoToolchain::Fixed(_) | GoToolchain::Invalid => {
                Some(format!("GOTOOLCHAIN={} {by} decides", value.escape_debug()))
            }
        }
    }

    /// gofmt cannot switch: where the chosen Go would, its gofmt is that of the Go which it would switch to.
    pub(super) fn as_go_switches(&self, chosen: Chosen, reads: Reads, highest: Option<&Version>) -> Chosen {
        let is_exact = chosen.kind == Kind::Pin && chosen.rank != 3;
        if self.question.tool != Tool::Gofmt || reads != Reads::All || is_exact {
            return chosen;
        }
        let said = self.said(&chosen.target).map(|said| GoToolchain::parse(said.value));
        let name = match said {
            Some(GoToolchain::Fixed(name)) => name.to_owned(),
            Some(GoToolchain::AtLeast(name)) => {
                let newer = highest.filter(|highest| compare(highest.base(), from_toolchain(name)).is_gt());
                newer.map_or(name.to_owned(), |newer| {
                    format!("{}{}", newer.toolchain(), if newer.is_lang() { ".0" } else { "" })
                })
            }
            _ => return chosen,
        };
        match self.installed.named(&name) {
            Some(version) => Chosen { target: Target::Sdk(version.clone()), ..chosen },
            None => chosen,
        }
    }

    /// The GOTOOLCHAIN that the started Go finds: the environment, the user's file, its own go.env. `None` when that is
    /// the `auto` of every release, or it knows no GOTOOLCHAIN.
    fn said(&self, started: &Target) -> Option<Said<'_>> {
        if self.is_before(21, started) {
            return None;
        }
        if let Some(value) = exported_by_user(&self.question.vars) {
            return Some(Said { value, by: "in the environment" });
        }
        if let Some(value) = self.around.go_env.line("GOTOOLCHAIN") {
            return Some(Said { value, by: "in the file of go env -w" });
        }
        let Target::Sdk(version) = started else { return None };
        let (_, value) = self.around.sdk_toolchains.iter().find(|(sdk, _)| sdk == version)?;
        Some(Said { value, by: "in the go.env of its GOROOT" })
    }
}
