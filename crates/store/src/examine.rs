//! Reads an archive to its end and says what it holds, as if it were to be installed, but writes nothing. For those who
//! pass archives on: only what would be an SDK here, and is proven, may reach others.

use std::fs::File;
use std::io::BufReader;

use govern_core::event::Event;
use govern_core::platform::Platform;
use govern_core::proof::{Evidence, Format};
use govern_core::version::Version;

use crate::error::Error;
use crate::gunzip::Gunzip;
use crate::manifest::Manifest;
use crate::plan::{MAX_ARCHIVE, Planner};
use crate::staging;
use crate::unpack::Unpack;
use crate::{h1, pipe, tar, zip};

/// What was computed from the bytes of an archive of this release.
///
/// # Errors
/// [`Error::Refused`] for everything that is not plainly an SDK, and [`Error::Archive`] when the file cannot be read.
pub fn examine(format: Format, version: &Version, platform: &Platform, archive: File) -> Result<Evidence, Error> {
    let mut manifest = Manifest::default();
    let silent = |_: Event| {};
    let read = pipe::split(&mut [&mut manifest], |pipe| {
        let mut unpack = Unpack::new(Planner::new(format, version, platform), pipe, &silent);
        match format {
            Format::TarGz => {
                let mut archive = BufReader::new(archive);
                let mut stream = Gunzip::new(&mut archive, MAX_ARCHIVE);
                tar::unpack(&mut stream, &mut unpack)?;
                stream.finish()
            }
            Format::ModuleZip => zip::unpack(zip::Cursor::from(archive), &mut unpack),
        }
    });
    let name = staging::archive_name(format, version, platform);
    let (size, sha256) = read.map_err(|fault| fault.of(&name))?;
    manifest.judge(&name, version, platform)?;
    Ok(Evidence { size, sha256, h1: h1::hash(format, version, platform, manifest.files()) })
}
