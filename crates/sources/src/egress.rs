//! Which proxy a request leaves through: HTTPS_PROXY, HTTP_PROXY and NO_PROXY, read as Go's `httpproxy` reads them.
//! The values come in as settings: the process environment has no say.

use std::fmt;
use std::net::IpAddr;

use reqwest::Url;

use crate::base::public;
use crate::error::Error;

/// The ways out.
#[derive(Clone, Default)]
pub(crate) struct Egress {
    https: Option<Url>,
    http: Option<Url>,
    /// Hosts that are reached without a proxy.
    around: Vec<Around>,
}

impl Egress {
    pub(crate) fn parse(https: Option<&str>, http: Option<&str>, no: Option<&str>) -> Result<Egress, Error> {
        let set = |text: Option<&str>| text.map(str::trim).filter(|text| !text.is_empty()).map(str::to_owned);
        Ok(Egress {
            https: set(https).map(|text| proxy_url("HTTPS_PROXY", &text)).transpose()?,
            http: set(http).map(|text| proxy_url("HTTP_PROXY", &text)).transpose()?,
            around: no.unwrap_or_default().split(',').filter_map(Around::parse).collect(),
        })
    }

    /// The proxy for a request to `url`, or `None` for a direct connection.
    pub(crate) fn proxy(&self, url: &Url) -> Option<&Url> {
        let proxy = if url.scheme() == "https" { self.https.as_ref() } else { self.http.as_ref() }?;
        let host = url.host_str()?.trim_start_matches('[').trim_end_matches(']').trim_end_matches('.').to_lowercase();
        let ip: Option<IpAddr> = host.parse().ok();
        let here = host == "localhost" || ip.is_some_and(|ip| ip.is_loopback());
        let around = self.around.iter().any(|entry| entry.covers(&host, ip, url.port_or_known_default()));
        (!here && !around).then_some(proxy)
    }
}

impl fmt::Debug for Egress {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let show = |url: &Option<Url>| url.as_ref().map(public);
        f.debug_struct("Egress").field("https", &show(&self.https)).field("http", &show(&self.http)).finish()
    }
}

/// Reads the URL of a proxy; a bare `host:port` is one that speaks HTTP.
fn proxy_url(variable: &'static str, text: &str) -> Result<Url, Error> {
    let known = |url: &Url| matches!(url.scheme(), "http" | "https" | "socks5" | "socks5h") && url.host().is_some();
    let given = Url::parse(text).ok().filter(known);
    given
        .or_else(|| Url::parse(&format!("http://{text}")).ok().filter(|url| known(url) && !text.contains("://")))
        .ok_or(Error::Setting {
            variable,
            reason: "it is no URL of a proxy: http, https, socks5 and socks5h can be used".to_owned(),
        })
}

/// One entry of NO_PROXY.
#[derive(Clone, Debug)]
enum Around {
    All,
    Net(IpAddr, u8),
    Ip(IpAddr, Option<u16>),
    /// `.example`: subdomains, and the name itself where it stood without the dot.
    Domain {
        dotted: String,
        itself: bool,
        port: Option<u16>,
    },
}

impl Around {
    fn parse(entry: &str) -> Option<Around> {
        let entry = entry.trim().to_lowercase();
        if entry == "*" {
            return Some(Around::All);
        }
        if let Some((ip, bits)) = entry.split_once('/') {
            let (ip, bits): (IpAddr, u8) = (ip.parse().ok()?, bits.parse().ok()?);
            return (bits <= if ip.is_ipv4() { 32 } else { 128 }).then_some(Around::Net(ip, bits));
        }
        if let Ok(ip) = entry.parse() {
            return Some(Around::Ip(ip, None));
        }
        let (host, port) = match entry.rsplit_once(':') {
            Some((host, port)) => (host, Some(port.parse().ok()?)),
            None => (entry.as_str(), None),
        };
        let host = host.trim_start_matches('[').trim_end_matches(']');
        if let Ok(ip) = host.parse() {
            return Some(Around::Ip(ip, port));
        }
        let host = host.strip_prefix('*').filter(|rest| rest.starts_with('.')).unwrap_or(host);
        if host.trim_matches('.').is_empty() {
            return None;
        }
        let itself = !host.starts_with('.');
        Some(Around::Domain { dotted: if itself { format!(".{host}") } else { host.to_owned() }, itself, port })
    }

    fn covers(&self, host: &str, ip: Option<IpAddr>, port: Option<u16>) -> bool {
        match self {
            Around::All => true,
            Around::Net(net, bits) => ip.is_some_and(|ip| same_net(*net, ip, *bits)),
            Around::Ip(own, only) => ip == Some(*own) && (only.is_none() || *only == port),
            Around::Domain { dotted, itself, port: only } => {
                let named = host.ends_with(dotted.as_str()) || (*itself && *host == dotted[1..]);
                named && ip.is_none() && (only.is_none() || *only == port)
            }
        }
    }
}

fn same_net(net: IpAddr, ip: IpAddr, bits: u8) -> bool {
    let bits = u32::from(bits);
    match (net, ip) {
        (IpAddr::V4(net), IpAddr::V4(ip)) => {
            (net.to_bits() ^ ip.to_bits()).checked_shr(32 - bits).unwrap_or_default() == 0
        }
        (IpAddr::V6(net), IpAddr::V6(ip)) => {
            (net.to_bits() ^ ip.to_bits()).checked_shr(128 - bits).unwrap_or_default() == 0
        }
        _ => false,
    }
}

#[cfg(test)]
mod tests {
    use super::Egress;

    fn way(no: &str, url: &str) -> Option<String> {
        let egress = Egress::parse(Some("s.example:3128"), Some("http://p.example"), Some(no)).unwrap();
        egress.proxy(&url.parse().unwrap()).map(ToString::to_string)
    }

    #[test]
    fn each_scheme_has_its_proxy_and_a_bare_host_is_one() {
        assert_eq!(way("", "https://go.dev/"), Some("http://s.example:3128/".to_owned()));
        assert_eq!(way("", "http://go.dev/"), Some("http://p.example/".to_owned()));
    }

    #[test]
    fn this_machine_is_never_reached_through_a_proxy() {
        for url in ["https://localhost/", "http://127.0.0.1:80/", "https://127.9.9.9/", "http://[::1]:8080/"] {
            assert_eq!(way("", url), None, "{url}");
        }
    }

    #[test]
    fn no_proxy_is_read_as_go_reads_it() {
        let check = |no: &str, url: &str, direct: bool| assert_eq!(way(no, url).is_none(), direct, "{no} {url}");
        check("*", "https://go.dev/", true);
        check("go.dev", "https://go.dev/", true);
        check("go.dev", "https://dl.go.dev/", true);
        check("go.dev", "https://notgo.dev/", false);
        check(".go.dev", "https://go.dev/", false);
        check(".go.dev", "https://dl.go.dev/", true);
        check("*.go.dev", "https://dl.go.dev/", true);
        check(" GO.dev , x", "https://go.DEV/", true);
        check("go.dev:443", "https://go.dev/", true);
        check("go.dev:8443", "https://go.dev/", false);
        check("go.dev:8443", "https://go.dev:8443/", true);
        check("10.0.0.0/8", "http://10.1.2.3/", true);
        check("10.0.0.0/8", "http://11.1.2.3/", false);
        check("0.0.0.0/0", "http://11.1.2.3/", true);
        check("10.1.2.3/32", "http://10.1.2.3/", true);
        check("10.1.2.3/33", "http://10.1.2.3/", false);
        check("fd00::/8", "http://[fd12::1]/", true);
        check("10.1.2.3:81", "http://10.1.2.3/", false);
        check("10.1.2.3:80", "http://10.1.2.3/", true);
        check("[fd12::1]:80", "http://[fd12::1]/", true);
        check("3.4", "http://1.2.3.4/", false);
        check(":80,.,", "http://go.dev/", false);
    }

    #[test]
    fn a_malformed_proxy_is_refused_without_quoting_it() {
        for text in ["ftp://ana:s3cret@p/", "https://ana:s3cret@", "://s3cret"] {
            let message = Egress::parse(None, Some(text), None).unwrap_err().to_string();
            assert!(message.starts_with("HTTP_PROXY is malformed") && !message.contains("s3cret"), "{message}");
        }
        let egress = Egress::parse(Some("socks5h://ana:s3cret@p:1080"), None, None).unwrap();
        assert!(!format!("{egress:?}").contains("s3cret"));
    }
}
