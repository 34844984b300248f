//! What to type after a source failed: commands that can be pasted, made of the wish and of what went wrong.
//! Leaves out the fact and its causes: `error` tells those.

use std::path::Path;

use govern_core::problem::Report;
use govern_core::spec::Spec;
use govern_sources::{Cause, DEFAULT_DL_URL, Error as SourceError, sumdb};
use govern_store::Error as StoreError;

use crate::error::Error;
use crate::release::Wish;

/// The Go project's own second address of its download page, for networks that the first cannot be reached from.
const SECOND_PAGE: &str = "https://golang.google.cn/dl/";

/// The checksum database itself, asked past every proxy.
const OWN_DATABASE: &str = "GOSUMDB='sum.golang.org https://sum.golang.org'";

impl Error {
    /// As somebody is told whose wish for a Go was not met.
    #[must_use]
    pub fn report_on(&self, wish: &Wish) -> Report {
        let report = self.report();
        if report.hints.is_empty() {
            self.commands(&pasted(&wish.spec)).into_iter().fold(report, Report::hint)
        } else {
            report
        }
    }

    /// At most two commands. `word` is the wish, as the shell takes it.
    fn commands(&self, word: &str) -> Vec<String> {
        let again = format!("govern install {word}");
        let from = |base: &str| format!("GOVERN_DL_URL={base} {again}");
        match self {
            Error::Source(error) => of_source(error, &again, from),
            Error::Mismatch { url, .. } | Error::BadArchive { url, .. } => elsewhere(url, &again, from),
            Error::NoSource => vec![from(DEFAULT_DL_URL)],
            Error::Store(StoreError::Archive { .. }) => vec![again],
            _ => Vec::new(),
        }
    }
}

fn of_source(error: &SourceError, again: &str, from: impl Fn(&str) -> String) -> Vec<String> {
    match error {
        SourceError::Unreachable { url, source } => of_cause(url, source, again, from),
        SourceError::NoSource => vec![from(DEFAULT_DL_URL)],
        SourceError::Offline { .. } => vec![format!("GOVERN_OFFLINE=0 {again}")],
        SourceError::Absent { .. } => vec!["govern list --remote".to_owned()],
        SourceError::BadList { url, .. } => vec![shown(url), from(DEFAULT_DL_URL)],
        // The nearest were named already.
        SourceError::NoVersion { .. } | SourceError::NoPlatform { .. } | SourceError::NotStored { .. } => Vec::new(),
        SourceError::Unproven { .. } => vec![format!("{OWN_DATABASE} {again}")],
        SourceError::LogOutOfReach { .. } => vec![again.to_owned(), format!("{OWN_DATABASE} {again}")],
        SourceError::Log { source, .. } => match &**source {
            // Both sides are in there: nothing but looking at them helps.
            sumdb::Error::Security { evidence: Some(evidence), .. } => vec![format!("cat {}", word(evidence))],
            sumdb::Error::Security { .. } => vec![format!("{OWN_DATABASE} {again}")],
            sumdb::Error::Kept { path, .. } => vec![format!("rm {}", word(path)), again.to_owned()],
            _ => Vec::new(),
        },
        SourceError::TooLong { url, .. } => elsewhere(url, again, from),
        SourceError::Changed { .. } | SourceError::Cancelled { .. } | SourceError::Busy { .. } => {
            vec![again.to_owned()]
        }
        SourceError::Setting { .. } | SourceError::File { .. } | SourceError::Client { .. } => Vec::new(),
    }
}

fn of_cause(url: &str, cause: &Cause, again: &str, from: impl Fn(&str) -> String) -> Vec<String> {
    match cause {
        Cause::Name { .. } | Cause::Connect { .. } | Cause::Silence(_) | Cause::Slow(_)
            if url.starts_with(DEFAULT_DL_URL) =>
        {
            vec![again.to_owned(), from(SECOND_PAGE)]
        }
        Cause::Name { .. } | Cause::Connect { .. } | Cause::Silence(_) | Cause::Slow(_) => {
            vec![again.to_owned(), format!("curl -I {url}")]
        }
        // What has come is kept, and gone on with.
        Cause::Broken(_) | Cause::Short { .. } => vec![again.to_owned()],
        Cause::Status { status: 401 | 403, .. } => vec![format!("curl -n -I {url}"), again.to_owned()],
        Cause::Status { .. } => vec![again.to_owned(), format!("curl -I {url}")],
        Cause::Tls { .. } => {
            let (_, rest) = url.split_once("://").unwrap_or_default();
            let host = rest.split('/').next().unwrap_or_default();
            let port = if host.rsplit(']').next().is_some_and(|rest| rest.contains(':')) { "" } else { ":443" };
            vec![
                format!("openssl s_client -connect {host}{port} </dev/null | openssl x509 -noout -issuer"),
                format!("SSL_CERT_FILE=/path/to/authority.pem {again}"),
            ]
        }
        Cause::Proxy { proxy, .. } => {
            let variable = if url.starts_with("https:") { "https_proxy" } else { "http_proxy" };
            let (scheme, host) = proxy.split_once("://").unwrap_or(("http", proxy));
            vec![format!("{variable}={scheme}://USER:PASSWORD@{} {again}", host.trim_end_matches('/'))]
        }
        Cause::Redirect(_) => vec![format!("curl -I -L {url}")],
        Cause::Html => vec![shown(url), again.to_owned()],
        Cause::TooMuch(_) => vec![shown(url), from(DEFAULT_DL_URL)],
        Cause::Length { .. } => elsewhere(url, again, from),
        // The cause says what to change: the URL.
        Cause::Exposed => Vec::new(),
    }
}

/// Another place to have it from, where there is one.
fn elsewhere(url: &str, again: &str, from: impl Fn(&str) -> String) -> Vec<String> {
    if url.starts_with(DEFAULT_DL_URL) { vec![again.to_owned(), from(SECOND_PAGE)] } else { vec![from(DEFAULT_DL_URL)] }
}

/// The beginning of what a source answers.
fn shown(url: &str) -> String {
    // The list's query is not part of a URL as messages show it.
    if url.ends_with('/') {
        format!("curl -s '{url}?mode=json' | head -c 500")
    } else {
        format!("curl -s {url} | head -c 500")
    }
}

/// A wish as it is pasted behind `govern install`.
fn pasted(spec: &Spec) -> String {
    quoted(&spec.to_string())
}

fn word(path: &Path) -> String {
    quoted(&path.display().to_string())
}

fn quoted(text: &str) -> String {
    let plain = text.bytes().all(|byte| byte.is_ascii_alphanumeric() || b"._-+/:@%,=".contains(&byte));
    if plain { text.to_owned() } else { format!("'{}'", text.replace('\'', r"'\''")) }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use govern_core::spec::Spec;
    use govern_sources::{Cause, Error as SourceError};

    use crate::error::Error;
    use crate::release::Wish;

    fn hints(spec: &str, url: &str, cause: Cause) -> Vec<String> {
        let error = Error::Source(SourceError::Unreachable { url: url.to_owned(), source: cause });
        error.report_on(&Wish::typed(Spec::parse(spec).unwrap())).hints
    }

    #[test]
    fn every_trouble_with_a_source_ends_in_something_to_type() {
        let page = "https://go.dev/dl/go1.22.4.linux-amd64.tar.gz";
        let silence = || Cause::Silence(Duration::from_secs(30));
        assert_eq!(
            hints("1.22.4", page, silence()),
            ["govern install 1.22.4", "GOVERN_DL_URL=https://golang.google.cn/dl/ govern install 1.22.4"]
        );
        assert_eq!(
            hints(">=1.22, <1.24", "https://m.example/dl/", silence()),
            ["govern install '>=1.22, <1.24'", "curl -I https://m.example/dl/"]
        );
        let tls =
            |host: &str| hints("1.22", host, Cause::Tls { host: String::new(), detail: String::new() })[0].clone();
        assert_eq!(
            tls("https://m.example/dl/x"),
            "openssl s_client -connect m.example:443 </dev/null | openssl x509 -noout -issuer"
        );
        assert!(tls("https://[::1]:8443/dl/").contains("-connect [::1]:8443 <"));
        assert!(tls("https://[::1]/dl/").contains("-connect [::1]:443 <"));
        let proxy = Cause::Proxy { proxy: "http://proxy.example:3128/".to_owned(), detail: String::new() };
        assert_eq!(
            hints("1.22", page, proxy),
            ["https_proxy=http://USER:PASSWORD@proxy.example:3128 govern install 1.22"]
        );
        assert_eq!(
            hints("1.22", "http://m.example/dl/", Cause::Html)[0],
            "curl -s 'http://m.example/dl/?mode=json' | head -c 500"
        );
    }
}
