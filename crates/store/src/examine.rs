//! Reads an archive to its end and says what it holds, as if it were to be installed, but writes nothing. For those who
//! pass archives on: only what would be an SDK here, and is proven, may reach others.

use std::fs::File;
use std::io::BufReader;

use govern_core::event::Event;
use govern_core::platform::Platform;
use govern_core::proof::{self, Evidence, Format};
use govern_core::version::Version;
use sha2::{Digest as _, Sha256};

use crate::error::Error;
use crate::gunzip::Gunzip;
use crate::plan::{MAX_ARCHIVE, PlannedFile, Planner};
use crate::staging;
use crate::tree::{Sink, TreeFile, VersionLine, Written};
use crate::unpack::Unpack;
use crate::{h1, pipe, tar, zip};

/// What was computed from the bytes of an archive of this release.
///
/// # Errors
/// [`Error::Refused`] for everything that is not plainly an SDK, and [`Error::Archive`] when the file cannot be read.
pub fn examine(format: Format, version: &Version, platform: &Platform, archive: File) -> Result<Evidence, Error> {
    let mut files = Files::default();
    let silent = |_: Event| {};
    let read = pipe::split(&mut files, |pipe| {
        let mut unpack = Unpack::new(Planner::new(format, version, platform), pipe, &silent);
        match format {
            Format::TarGz => {
                let mut archive = BufReader::new(archive);
                let mut stream = Gunzip::new(&mut archive, MAX_ARCHIVE);
                tar::unpack(&mut stream, &mut unpack)?;
                stream.finish()
            }
            Format::ModuleZip => zip::unpack(archive, &mut unpack),
        }
    });
    let name = staging::archive_name(format, version, platform);
    let (size, sha256) = read.map_err(|fault| fault.of(&name))?;
    let written = files.written();
    staging::judge_tree(&written, &name, version, platform)?;
    Ok(Evidence { size, sha256, h1: h1::hash(format, version, platform, &written.files) })
}

/// Takes note of files instead of writing them.
#[derive(Default)]
struct Files {
    files: Vec<TreeFile>,
    version: VersionLine,
    open: Option<(PlannedFile, u64, Sha256)>,
}

impl Files {
    fn written(self) -> Written {
        Written { files: self.files, go_version: self.version.text(), shared: None }
    }
}

impl Sink for Files {
    fn need(&mut self, _total: u64) -> Result<(), Error> {
        Ok(())
    }

    fn directory(&mut self, _path: &str) -> Result<(), Error> {
        Ok(())
    }

    fn begin(&mut self, file: PlannedFile) -> Result<(), Error> {
        self.open = Some((file, 0, Sha256::new()));
        Ok(())
    }

    fn write(&mut self, bytes: &[u8]) -> Result<(), Error> {
        let (planned, size, hash) = self.open.as_mut().expect("a reader begins a file before it writes");
        self.version.take(&planned.path, bytes);
        *size += bytes.len() as u64;
        hash.update(bytes);
        Ok(())
    }

    fn end(&mut self) -> Result<(), Error> {
        let (planned, size, hash) = self.open.take().expect("a reader begins a file before it ends it");
        let PlannedFile { path, executable, .. } = planned;
        self.files.push(TreeFile { path, size, executable, sha256: proof::Sha256(hash.finalize().into()) });
        Ok(())
    }
}
