//! Whom to believe: verifier keys, and the forms of GOSUMDB that name one. Reads no environment.

use std::fmt;

use aws_lc_rs::signature::{ED25519, UnparsedPublicKey};
use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use sha2::{Digest, Sha256};

/// The key of the Go project's own database, as published with Go's source.
const SUM_GOLANG_ORG: &str = "sum.golang.org+033de0ae+Ac4zctda0e5eza+HJyk9SxEdh+s3Ux18htTTAD8OuAn8";
/// The only algorithm there is, as the first byte of a key.
const ED25519_KEY: u8 = 1;

/// The name and public key of a checksum database.
#[derive(Clone, PartialEq, Eq)]
pub struct Verifier {
    /// A host with an optional path: safe as a part of URLs and file names.
    name: String,
    hash: u32,
    key: [u8; 32],
}

/// What GOSUMDB asks for, when it does not say `off`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Setting {
    /// Whose signature counts.
    pub verifier: Verifier,
    /// Where the database answers, when the user said so; it is then asked directly and never through a proxy.
    pub url: Option<String>,
}

/// Why a value of GOSUMDB means nothing.
#[derive(Debug, PartialEq, Eq, thiserror::Error)]
pub enum KeyError {
    /// Neither a name nor a key.
    #[error("GOSUMDB names no checksum database")]
    Empty,
    /// More than a key and a URL.
    #[error("GOSUMDB has more than two fields: `{0}`")]
    TooManyFields(String),
    /// A name whose key is not built in.
    #[error("the key of the checksum database `{0}` is not known; give it as `name+hash+key`")]
    Unknown(String),
    /// Not of the form `name+hash+key`.
    #[error("`{0}` is not a verifier key of the form `name+hash+key`")]
    Malformed(String),
    /// The key is of another kind than Ed25519.
    #[error("the verifier key `{0}` is not an Ed25519 key")]
    Algorithm(String),
    /// The hash in the key is not that of its name and key: something was mistyped.
    #[error("the verifier key `{0}` contradicts itself: its hash belongs to another name or key")]
    Hash(String),
    /// The name is not a host with an optional path.
    #[error("`{0}` is not a checksum database's name, which is a host and an optional path")]
    Name(String),
    /// The URL is not one that can be asked.
    #[error("the checksum database's URL `{0}` is not an http or https URL")]
    Url(String),
}

impl Verifier {
    /// The Go project's own database.
    #[must_use]
    pub fn sum_golang_org() -> Verifier {
        Verifier::parse(SUM_GOLANG_ORG).expect("a test parses the built-in key")
    }

    /// Reads `name+hash+key`: eight hexadecimal digits of hash, and a key in base64.
    ///
    /// # Errors
    /// When a part is malformed or the hash does not fit.
    pub fn parse(text: &str) -> Result<Verifier, KeyError> {
        let malformed = || KeyError::Malformed(text.to_owned());
        let mut parts = text.splitn(3, '+');
        let (Some(name), Some(hash), Some(key)) = (parts.next(), parts.next(), parts.next()) else {
            return Err(malformed());
        };
        let is_hash = hash.len() == 8 && hash.bytes().all(|digit| digit.is_ascii_hexdigit());
        let hash = u32::from_str_radix(hash, 16).ok().filter(|_| is_hash).ok_or_else(malformed)?;
        let encoded = STANDARD.decode(key).map_err(|_| malformed())?;
        if !is_database_name(name) {
            return Err(KeyError::Name(name.to_owned()));
        }
        if hash != key_hash(name, &encoded) {
            return Err(KeyError::Hash(text.to_owned()));
        }
        let (algorithm, key) = encoded.split_first().ok_or_else(malformed)?;
        if *algorithm != ED25519_KEY {
            return Err(KeyError::Algorithm(text.to_owned()));
        }
        let key = key.try_into().map_err(|_| malformed())?;
        Ok(Verifier { name: name.to_owned(), hash, key })
    }

    /// The database's name: `sum.golang.org`.
    #[must_use]
    pub fn name(&self) -> &str {
        &self.name
    }

    /// The first four bytes of the hash of name and key: which of a signer's keys a signature line means.
    #[must_use]
    pub fn key_hash(&self) -> u32 {
        self.hash
    }

    /// True when `signature` is this key's signature of `message`.
    #[must_use]
    pub fn accepts(&self, message: &[u8], signature: &[u8]) -> bool {
        UnparsedPublicKey::new(&ED25519, &self.key).verify(message, signature).is_ok()
    }
}

/// Prints `name+hash+key`, which [`Verifier::parse`] reads.
impl fmt::Display for Verifier {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let encoded = [&[ED25519_KEY][..], &self.key].concat();
        write!(f, "{}+{:08x}+{}", self.name, self.hash, STANDARD.encode(encoded))
    }
}

impl fmt::Debug for Verifier {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Verifier({self})")
    }
}

impl Setting {
    /// What Go uses when GOSUMDB is not set.
    #[must_use]
    pub fn default_database() -> Setting {
        Setting { verifier: Verifier::sum_golang_org(), url: None }
    }

    /// Reads a value of GOSUMDB: `off`, a known name, a verifier key, or either of the last two and a URL.
    /// `off` is `None`.
    ///
    /// # Errors
    /// When the value is none of these.
    pub fn parse(value: &str) -> Result<Option<Setting>, KeyError> {
        let mut fields = value.split_whitespace();
        let (key, mut url) = (fields.next().ok_or(KeyError::Empty)?, fields.next());
        if fields.next().is_some() {
            return Err(KeyError::TooManyFields(value.to_owned()));
        }
        let verifier = match key {
            "off" if url.is_none() => return Ok(None),
            "sum.golang.org" => Verifier::sum_golang_org(),
            // The Go project's alias for the same database, reachable from mainland China.
            "sum.golang.google.cn" if url.is_none() => {
                url = Some("https://sum.golang.google.cn");
                Verifier::sum_golang_org()
            }
            name if !name.contains('+') => return Err(KeyError::Unknown(name.to_owned())),
            key => Verifier::parse(key)?,
        };
        if let Some(wrong) = url.filter(|url| !is_web_url(url)) {
            return Err(KeyError::Url(wrong.to_owned()));
        }
        Ok(Some(Setting { verifier, url: url.map(|url| url.trim_end_matches('/').to_owned()) }))
    }
}

/// The hash that a signature line carries: of the name and the key with its algorithm byte.
fn key_hash(name: &str, encoded: &[u8]) -> u32 {
    let digest = Sha256::new().chain_update(name).chain_update("\n").chain_update(encoded).finalize();
    u32::from_be_bytes(digest[..4].try_into().expect("a SHA-256 digest has more than four bytes"))
}

/// A host (with an optional port) and an optional path, of harmless characters only: the name becomes part of URLs and
/// of file names, so `..` and the like have no place in it.
fn is_database_name(name: &str) -> bool {
    let is_harmless = |segment: &str| {
        let starts_well = segment.starts_with(|first: char| first.is_ascii_alphanumeric());
        starts_well && segment.bytes().all(|byte| byte.is_ascii_alphanumeric() || b"-._~:".contains(&byte))
    };
    name.split('/').all(is_harmless)
}

fn is_web_url(url: &str) -> bool {
    let host = url.strip_prefix("https://").or_else(|| url.strip_prefix("http://"));
    host.is_some_and(|rest| !rest.is_empty() && !rest.starts_with('/'))
}

#[cfg(test)]
mod tests {
    use super::*;

    const TEST_KEY: &str = "localhost.localdev/sumdb+00000c67+AcTrnkbUA+TU4heY3hkjiSES/DSQniBqIeQ/YppAUtK6";

    #[test]
    fn the_built_in_key_is_the_one_the_go_project_published() {
        let verifier = Verifier::sum_golang_org();
        assert_eq!((verifier.name(), verifier.key_hash()), ("sum.golang.org", 0x033d_e0ae));
        assert_eq!(verifier.to_string(), SUM_GOLANG_ORG);
        let hex: String = verifier.key.iter().map(|byte| format!("{byte:02x}")).collect();
        assert_eq!(hex, "ce3372d75ad1ee5ecdaf8727293d4b111d87eb37531d7c86d4d3003f0eb809fc");
    }

    #[test]
    fn every_form_of_gosumdb_is_read_as_go_reads_it() {
        let check = |value: &str, name: &str, url: Option<&str>| {
            let setting = Setting::parse(value).unwrap().unwrap();
            assert_eq!((setting.verifier.name(), setting.url.as_deref()), (name, url), "{value}");
        };
        assert_eq!(Setting::parse("off"), Ok(None));
        assert_eq!(Setting::parse("sum.golang.org"), Ok(Some(Setting::default_database())));
        check("sum.golang.org", "sum.golang.org", None);
        check(" sum.golang.org\thttps://sum.corp.example/go/ ", "sum.golang.org", Some("https://sum.corp.example/go"));
        check("sum.golang.google.cn", "sum.golang.org", Some("https://sum.golang.google.cn"));
        check(SUM_GOLANG_ORG, "sum.golang.org", None);
        check(TEST_KEY, "localhost.localdev/sumdb", None);
        check(&format!("{TEST_KEY} http://[::1]:8080"), "localhost.localdev/sumdb", Some("http://[::1]:8080"));
    }

    #[test]
    fn a_value_of_gosumdb_that_means_nothing_is_refused() {
        let check = |value: &str, expect: &str| assert_eq!(Setting::parse(value).unwrap_err().to_string(), expect);
        check("", "GOSUMDB names no checksum database");
        check("  ", "GOSUMDB names no checksum database");
        check("a b c", "GOSUMDB has more than two fields: `a b c`");
        check("on", "the key of the checksum database `on` is not known; give it as `name+hash+key`");
        check("off https://x", "the key of the checksum database `off` is not known; give it as `name+hash+key`");
        check(
            "sum.golang.google.cn https://x",
            "the key of the checksum database `sum.golang.google.cn` is not known; give it as `name+hash+key`",
        );
        check("sum.golang.org file:///x", "the checksum database's URL `file:///x` is not an http or https URL");
        check("sum.golang.org https://", "the checksum database's URL `https://` is not an http or https URL");
        check("x+1", "`x+1` is not a verifier key of the form `name+hash+key`");
        check("x+0000000g+AQ==", "`x+0000000g+AQ==` is not a verifier key of the form `name+hash+key`");
        check("x++0000000+AQ==", "`x++0000000+AQ==` is not a verifier key of the form `name+hash+key`");
        check("x+00000000+AQ", "`x+00000000+AQ` is not a verifier key of the form `name+hash+key`");
        let other_name = SUM_GOLANG_ORG.replace("sum.golang.org", "sum.golang.com");
        check(
            &other_name,
            &format!("the verifier key `{other_name}` contradicts itself: its hash belongs to another name or key"),
        );
    }

    #[test]
    fn a_key_of_another_kind_or_length_is_refused() {
        let keyed = |encoded: &[u8]| format!("x+{:08x}+{}", key_hash("x", encoded), STANDARD.encode(encoded));
        assert!(Verifier::parse(&keyed(&[&[1][..], &[7; 32]].concat())).is_ok());
        let check = |encoded: &[u8], expect: KeyError| assert_eq!(Verifier::parse(&keyed(encoded)), Err(expect));
        let other_algorithm = [&[2][..], &[7; 32]].concat();
        check(&other_algorithm, KeyError::Algorithm(keyed(&other_algorithm)));
        let short = [&[1][..], &[7; 31]].concat();
        check(&short, KeyError::Malformed(keyed(&short)));
        check(&[], KeyError::Malformed(keyed(&[])));
    }

    #[test]
    fn a_database_name_can_never_lead_out_of_a_directory_or_a_url() {
        for name in
            ["", "..", "a/..", "../a", "a//b", "/a", "a/", "a b", "a?b", "a#b", "a%2e", "u@h", "a\\b", ".a", "a/.b"]
        {
            assert!(!is_database_name(name), "{name}");
        }
        for name in ["sum.golang.org", "localhost.localdev/sumdb", "host:8080/a/b", "a_b~c-d"] {
            assert!(is_database_name(name), "{name}");
        }
    }
}
