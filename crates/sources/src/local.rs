//! Directories as sources: reads what a `file` URL names. Leaves out everything that has a host (`http`).

use std::fs::File;
use std::io::{self, Read};
use std::path::{Path, PathBuf};

use govern_core::proof::Sha256;
use tokio::task::spawn_blocking;

use crate::base::Target;
use crate::error::{Cause, Error};
use crate::http::unreachable;
use crate::part;

/// The path that a file URL names.
pub(crate) fn path_of(target: &Target) -> PathBuf {
    target.url.to_file_path().expect("a base with the scheme `file` has a path and no host")
}

/// Reads a small file.
pub(crate) async fn read(target: &Target, limit: u64) -> Result<Vec<u8>, Error> {
    let bytes = with_file(target, move |file| {
        let mut bytes = Vec::new();
        file.take(limit + 1).read_to_end(&mut bytes).map(|_| bytes)
    });
    let bytes = bytes.await?;
    if bytes.len() as u64 > limit { Err(unreachable(target, Cause::TooMuch(limit))) } else { Ok(bytes) }
}

/// The digest and length of a file.
pub(crate) async fn digest(target: &Target) -> Result<(Sha256, u64), Error> {
    with_file(target, |file| {
        let length = file.metadata()?.len();
        Ok((part::hash_of(&file, length)?, length))
    })
    .await
}

async fn with_file<T: Send + 'static>(
    target: &Target,
    work: impl FnOnce(File) -> io::Result<T> + Send + 'static,
) -> Result<T, Error> {
    let path = path_of(target);
    let opened = path.clone();
    let done = spawn_blocking(move || File::open(opened).and_then(work)).await;
    match done {
        Ok(done) => done.map_err(|error| failure(target, &path, error)),
        Err(_) => Err(Error::Cancelled { url: target.to_string() }),
    }
}

/// A file that is not there is absent, as over the network; any other trouble with it is the disk's.
pub(crate) fn failure(target: &Target, path: &Path, error: io::Error) -> Error {
    if error.kind() == io::ErrorKind::NotFound {
        return Error::Absent { url: target.to_string(), status: None };
    }
    Error::File { action: "read", path: path.to_owned(), source: error }
}
