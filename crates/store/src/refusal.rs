//! Why an archive is refused, as types. The rule behind all of them: an SDK is regular files and directories, and
//! an archive that two readers could understand differently is read by nobody.

use govern_core::platform::Platform;

/// What is wrong with an archive or with one of its entries.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum Refusal {
    /// It does not start as a gzip file does.
    #[error("it is no gzip file")]
    NotGzip,
    /// The compressed bytes or their check sum are wrong.
    #[error("its compressed bytes are damaged")]
    Damaged,
    /// It ends in the middle.
    #[error("it ends too early")]
    Truncated,
    /// Bytes follow where it should end.
    #[error("bytes follow its end")]
    Trailing,
    /// A second gzip member follows the first.
    #[error("it consists of several gzip members")]
    SecondMember,
    /// It inflates to far more than an SDK's files do.
    #[error("it inflates to more than {0} times its size")]
    Bomb(u64),
    /// It is larger than any SDK.
    #[error("the archive is larger than {0} bytes")]
    ArchiveTooLarge(u64),
    /// Its files are larger than any SDK.
    #[error("its files are larger than {0} bytes together")]
    TreeTooLarge(u64),
    /// It has more entries than any SDK.
    #[error("it has more than {0} entries")]
    TooManyEntries(u32),
    /// A tar header breaks the format, or bends it so that readers differ.
    #[error("its tar header is malformed: {0}")]
    Tar(&'static str),
    /// A PAX header breaks the format, or says what no packer of an SDK says.
    #[error("its PAX header is malformed: {0}")]
    Pax(&'static str),
    /// The zip structure breaks the format, or bends it so that readers differ.
    #[error("its zip structure is malformed: {0}")]
    Zip(&'static str),
    /// It is encrypted.
    #[error("it is encrypted")]
    Encrypted,
    /// It is compressed by a method that no SDK uses.
    #[error("it is compressed by the unknown method {0}")]
    Method(String),
    /// It is neither a regular file nor a directory.
    #[error("it is {0}; only regular files and directories may be")]
    Kind(&'static str),
    /// Setuid, setgid or sticky.
    #[error("its mode {0:o} is setuid, setgid or sticky")]
    SpecialMode(u32),
    /// The name is none that an SDK has.
    #[error("its name {0}")]
    Name(NameFault),
    /// The name is not below the one directory that everything must be in.
    #[error("it lies outside `{0}`")]
    Outside(String),
    /// The name was there before.
    #[error("its name appears twice")]
    Duplicate,
    /// Something is a file here and a directory there.
    #[error("`{0}` is both a file and a directory")]
    FileAndDirectory(String),
    /// On some file systems it would be the same file as another one.
    #[error("it differs from `{0}` in upper and lower case only")]
    CaseCollision(String),
    /// `go.mod` in a module zip, or `_go.mod` in a tarball: after renaming, two files would be one.
    #[error("a file `{0}` may not be in this kind of archive")]
    ModuleFile(&'static str),
    /// It is no bundle, or its manifest and its members differ.
    #[error("no plain bundle: {0}")]
    Bundle(&'static str),
    /// What it holds is not the SDK that was asked for.
    #[error("it is not a Go SDK for {platform}: {what}")]
    NotAnSdk {
        /// The platform that was asked for.
        platform: Platform,
        /// What is missing or wrong.
        what: String,
    },
}

/// What is wrong with a name.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum NameFault {
    /// Nothing, or nothing between two slashes.
    #[error("is empty or has an empty element")]
    Empty,
    /// It starts at the root.
    #[error("is absolute")]
    Absolute,
    /// It has an element `.`, `..`, or of more dots.
    #[error("has an element of dots only")]
    Dots,
    /// An element ends in a dot, or starts or ends in a space.
    #[error("has an element with a dot at its end or a space at an end")]
    Edge,
    /// A zero byte.
    #[error("holds a zero byte")]
    Nul,
    /// A backslash.
    #[error("holds a backslash")]
    Backslash,
    /// Bytes that are no UTF-8.
    #[error("is not UTF-8")]
    NotUtf8,
    /// A character that Go does not allow in a module's file names.
    #[error("holds the character {0:?}")]
    Character(char),
    /// A name that Windows keeps for a device.
    #[error("holds the device name `{0}`")]
    Device(String),
    /// An element or the whole is too long.
    #[error("is too long")]
    TooLong,
    /// Too many directories.
    #[error("is too deep")]
    TooDeep,
}
