//! A URL that the user configured, and the places below it. Printing one never shows a user name, a password or a query.
//! Leaves out which URLs there are: `settings` and `goproxy` know.

use std::fmt;

use govern_core::settings::Vendor;
use reqwest::Url;

use crate::error::Error;
use crate::http::is_here;

/// A base URL: http, https or file. Its path ends in a slash.
#[derive(Clone, PartialEq, Eq)]
pub(crate) struct Base {
    /// With user name and password, where there are any: never printed.
    url: Url,
}

impl Base {
    /// Reads the base out of the value of `variable`.
    pub(crate) fn parse(variable: &'static str, text: &str) -> Result<Base, Error> {
        // The text may hold a password, so a message quotes no more than what was understood of it.
        let malformed = |reason: String| Error::Setting { variable, reason };
        let mut url =
            Url::parse(text).map_err(|fault| malformed(format!("one of its URLs cannot be read: {fault}")))?;
        match url.scheme() {
            "http" | "https" => {}
            "file" if url.to_file_path().is_ok() && url.query().is_none() && url.fragment().is_none() => {}
            "file" => return Err(malformed("a file URL has a path and nothing else: `file:///dir`".to_owned())),
            other => {
                return Err(malformed(format!("a URL has the scheme `{other}`: https, http and file can be used")));
            }
        }
        url.set_fragment(None);
        end_in_slash(&mut url);
        Ok(Base { url })
    }

    /// Reads the base of a vendor, whose list is the only proof of what it has: nobody on the way may write into it.
    pub(crate) fn of_vendor(vendor: &Vendor) -> Result<Base, Error> {
        let variable = "the url of a [[vendor]] in config.toml";
        let base = Base::parse(variable, vendor.url()).map_err(|error| match error {
            Error::Setting { reason, .. } => {
                Error::Setting { variable, reason: format!("{}: {reason}", vendor.name()) }
            }
            other => other,
        })?;
        if base.url.scheme() == "http" && !is_here(&base.url) {
            let reason = format!("{}: {base} has the scheme `http`: https and file can be used", vendor.name());
            return Err(Error::Setting { variable, reason });
        }
        Ok(base)
    }

    /// The place `tail` below this base. A query of the base stays.
    pub(crate) fn join(&self, tail: &str) -> Target {
        let mut url = self.url.clone();
        url.set_path(&format!("{}{tail}", self.url.path()));
        Target { url, trust: Trust::Verified }
    }

    /// The release list of a base of the go.dev shape. On disk it is the file `index.json`.
    pub(crate) fn release_list(&self) -> Target {
        if self.is_file() {
            return self.join("index.json");
        }
        let mut target = self.join("");
        target.url.query_pairs_mut().append_pair("mode", "json").append_pair("include", "all");
        target
    }

    pub(crate) fn is_file(&self) -> bool {
        self.url.scheme() == "file"
    }
}

impl fmt::Display for Base {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&public(&self.url))
    }
}

impl fmt::Debug for Base {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, f)
    }
}

/// Whether the other end must show a valid certificate.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Trust {
    /// It must.
    Verified,
    /// Any certificate will do: GOINSECURE covers the toolchain module. What comes is proven by the checksum database.
    Any,
}

/// One place to ask.
#[derive(Clone, PartialEq, Eq)]
pub(crate) struct Target {
    /// With user name and password, where there are any: never printed.
    pub(crate) url: Url,
    pub(crate) trust: Trust,
}

impl Target {
    pub(crate) fn is_file(&self) -> bool {
        self.url.scheme() == "file"
    }

    /// This place as a base of others.
    pub(crate) fn into_base(mut self) -> Base {
        end_in_slash(&mut self.url);
        Base { url: self.url }
    }

    /// Host and port, as messages and tables name them.
    pub(crate) fn host(&self) -> String {
        host(&self.url)
    }
}

impl fmt::Display for Target {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&public(&self.url))
    }
}

impl fmt::Debug for Target {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, f)
    }
}

fn end_in_slash(url: &mut Url) {
    if !url.path().ends_with('/') {
        let path = format!("{}/", url.path());
        url.set_path(&path);
    }
}

/// Host and port of a URL; the port only where it is not the scheme's own.
pub(crate) fn host(url: &Url) -> String {
    let host = url.host_str().unwrap_or_default();
    url.port().map_or_else(|| host.to_owned(), |port| format!("{host}:{port}"))
}

/// A URL without what may be secret in it: user name, password, query and fragment.
pub(crate) fn public(url: &Url) -> String {
    let mut url = url.clone();
    // Fails for URLs that can have no user name, and those have none.
    let _ = url.set_username("");
    let _ = url.set_password(None);
    url.set_query(None);
    url.set_fragment(None);
    url.into()
}

#[cfg(test)]
mod tests {
    use govern_core::settings::Vendor;

    use super::Base;

    #[test]
    fn a_base_prints_without_user_name_password_and_query() {
        let base = Base::parse("GOPROXY", "https://ana:s3cret@mirror.example/go?token=t0p").unwrap();
        assert_eq!(base.to_string(), "https://mirror.example/go/");
        assert_eq!(format!("{base:?} {:?}", base.join("x")), "https://mirror.example/go/ https://mirror.example/go/x");
        assert_eq!(base.join("x").url.as_str(), "https://ana:s3cret@mirror.example/go/x?token=t0p");
    }

    #[test]
    fn a_malformed_base_is_refused_without_quoting_it() {
        for text in
            ["", "ftp://ana:s3cret@x/", "https://ana:s3cret@[x/", "file://host/dir", "file:///dir?q=s3cret", "/dir"]
        {
            let message = Base::parse("GOVERN_DL_URL", text).unwrap_err().to_string();
            assert!(message.starts_with("GOVERN_DL_URL is malformed: "), "{message}");
            assert!(!message.contains("s3cret"), "{message}");
        }
    }

    #[test]
    fn a_vendors_base_is_one_that_nobody_on_the_way_can_write_into() {
        let base =
            |url: &str| Base::of_vendor(&Vendor::new("bigcorp", url).unwrap()).map_err(|error| error.to_string());
        for good in ["https://go.bigcorp.example/dl", "file:///srv/go", "http://127.0.0.1:8080/dl/", "http://[::1]/"] {
            assert!(base(good).is_ok(), "{good}");
        }
        let http = base("http://ana:s3cret@go.bigcorp.example/dl/").unwrap_err();
        let expect = "the url of a [[vendor]] in config.toml is malformed: bigcorp: http://go.bigcorp.example/dl/ has the \
                      scheme `http`: https and file can be used";
        assert_eq!(http, expect);
        for bad in ["", "go.bigcorp.example", "ftp://x/", "http://127.0.0.1.evil.example/"] {
            assert!(base(bad).unwrap_err().contains("bigcorp: "), "{bad}");
        }
    }

    #[test]
    fn the_release_list_has_the_query_of_the_download_page_and_a_file_has_none() {
        let list = |text| Base::parse("GOVERN_DL_URL", text).unwrap().release_list().url.to_string();
        assert_eq!(list("https://go.dev/dl"), "https://go.dev/dl/?mode=json&include=all");
        assert_eq!(list("https://m.example/?t=1"), "https://m.example/?t=1&mode=json&include=all");
        assert_eq!(list("file:///srv/go"), "file:///srv/go/index.json");
    }
}
