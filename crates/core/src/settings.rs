//! The settings that change what govern does, as values. Leaves out reading them (the engine) and writing them.

use crate::proof::LogRequired;
use crate::spec::Spec;

/// What a `toolchain` line means.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum ToolchainLine {
    /// A pin, as CI's setup-go reads it.
    #[default]
    Pin,
    /// A minimum, as Go reads it.
    Minimum,
}

/// What a `go` line means.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum GoLine {
    /// A minimum, as Go reads it.
    #[default]
    Minimum,
    /// A pin.
    Pin,
    /// Nothing.
    Ignore,
}

/// All settings, every layer folded in.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Settings {
    /// `default`: the Go where nobody wishes for one.
    pub default: Option<Spec>,
    /// `auto_install`: install what is wished for when it is missing.
    pub auto_install: bool,
    /// `offline`: touch no network.
    pub offline: bool,
    /// `toolchain_line`.
    pub toolchain_line: ToolchainLine,
    /// `go_line`.
    pub go_line: GoLine,
    /// `unsafe_pins = "allow"`: a repository may bring in a release below the safe floor.
    pub unsafe_pins: bool,
    /// `managed_only`: Go itself may never download a toolchain.
    pub managed_only: bool,
    /// `require_log`: no install without a record in the checksum database.
    pub require_log: LogRequired,
    /// `dl_urls`: bases of the go.dev shape, in order. None means Go's own page; an empty list means no page at all.
    pub dl_urls: Option<Vec<String>>,
}

impl Default for Settings {
    fn default() -> Settings {
        Settings {
            default: None,
            auto_install: true,
            offline: false,
            toolchain_line: ToolchainLine::default(),
            go_line: GoLine::default(),
            unsafe_pins: false,
            managed_only: false,
            require_log: LogRequired::No,
            dl_urls: None,
        }
    }
}
