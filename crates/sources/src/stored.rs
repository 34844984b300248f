//! A directory as the only source: which shapes it has. Leaves out what its archives must be (`sources`) and reading them
//! (`local`).

use std::path::Path;

use reqwest::Url;

use crate::base::Base;
use crate::error::Error;
use crate::goproxy::MODULE;

/// What a directory is, as URLs that the other sources are made of.
#[derive(Debug)]
pub(crate) struct Shapes {
    /// The directory itself: checksum database and module proxy lie below it.
    pub(crate) base: Base,
    /// Its own URL, as GOPROXY would have it.
    pub(crate) url: String,
    /// The directory of the go.dev shape: itself or its `dl`.
    pub(crate) page: Option<String>,
    /// It has module zips of the toolchain.
    pub(crate) is_proxy: bool,
}

impl Shapes {
    /// Looks at a directory.
    ///
    /// # Errors
    /// When it has neither shape.
    pub(crate) fn of(dir: &Path) -> Result<Shapes, Error> {
        let url = url_of(dir)?;
        let pages = [dir.to_owned(), dir.join("dl")];
        let page = pages.iter().find(|page| page.join("index.json").is_file()).map(|page| url_of(page)).transpose()?;
        let is_proxy = dir.join(MODULE).join("@v/list").is_file();
        if page.is_none() && !is_proxy {
            return Err(Error::NotStored { dir: dir.to_owned() });
        }
        Ok(Shapes { base: Base::parse("--from", &url)?, url, page, is_proxy })
    }
}

/// The URL of a directory, fit for GOPROXY, where commas and bars stand between URLs.
fn url_of(dir: &Path) -> Result<String, Error> {
    let url = Url::from_directory_path(dir).map_err(|()| Error::NotStored { dir: dir.to_owned() })?;
    Ok(url.as_str().trim_end_matches('/').replace(',', "%2C").replace('|', "%7C"))
}
