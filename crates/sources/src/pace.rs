//! How patiently the network is asked: how often, how long, and with what pauses. Leaves out the asking (`http`, `transfer`).

use std::hash::{BuildHasher, Hasher, RandomState};
use std::time::Duration;

use jiff::fmt::rfc2822;
use reqwest::header::{DATE, HeaderMap, HeaderName, RETRY_AFTER};

/// Counts and times of one way of asking. The default is for people's networks; tests bring their own.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Pace {
    /// Tries for an archive, each without progress since the last.
    pub tries: u32,
    /// Tries for a list or an answer of the log: small, and another source may have it.
    pub small_tries: u32,
    /// A try that brought this many bytes is progress.
    pub progress: u64,
    /// The first pause; each further one is twice as long.
    pub first_pause: Duration,
    /// The longest pause of our own choice.
    pub longest_pause: Duration,
    /// The longest pause that a server may ask for with `Retry-After`.
    pub longest_wish: Duration,
    /// How long a connection may take.
    pub connect: Duration,
    /// How long nothing may come.
    pub silence: Duration,
    /// How long a list or an answer of the log may take in all.
    pub small: Duration,
    /// How long a host that could not be reached is not called again for a new request.
    pub grudge: Duration,
    /// How many bytes are fetched again to see that an archive is still the same, where its server has no validator.
    pub overlap: u64,
    /// How many bytes of a zip's end come ahead of the rest, if the whole is four times as long. The directory of an SDK's
    /// has 1.6 MB.
    pub ahead: u64,
    /// How many bytes come between two notes of how far a download is, at least …
    pub note_every: u64,
    /// … and how much time passes.
    pub note_pause: Duration,
    /// The most bytes that an archive may have, whatever is promised.
    pub longest_archive: u64,
    /// How long to wait for another download of the same file to let go of it.
    pub busy: Duration,
}

impl Default for Pace {
    fn default() -> Pace {
        Pace {
            tries: 5,
            small_tries: 3,
            progress: 64 << 10,
            first_pause: Duration::from_millis(500),
            longest_pause: Duration::from_secs(10),
            longest_wish: Duration::from_secs(60),
            connect: Duration::from_secs(10),
            silence: Duration::from_secs(30),
            small: Duration::from_secs(60),
            grudge: Duration::from_secs(30),
            overlap: 4 << 10,
            ahead: 2 << 20,
            note_every: 1 << 20,
            note_pause: Duration::from_millis(250),
            // What Go itself accepts for a module zip.
            longest_archive: 500 << 20,
            busy: Duration::from_secs(5),
        }
    }
}

impl Pace {
    /// The pause after the `failed`th failure in a row (the first is 1): what the server asks for, capped, or twice the
    /// last pause, of which a random part is taken off so that many clients do not come back at once.
    pub(crate) fn pause(&self, failed: u32, wish: Option<Duration>) -> Duration {
        if let Some(wish) = wish {
            return wish.min(self.longest_wish);
        }
        let doubled = self.first_pause.saturating_mul(1 << failed.saturating_sub(1).min(16));
        doubled.min(self.longest_pause).mul_f64(0.5 + 0.5 * random())
    }
}

/// A number from 0 to 1. Std seeds its hash maps from the system; that is random enough for pauses.
fn random() -> f64 {
    let bits = RandomState::new().build_hasher().finish() >> 12;
    bits as f64 / (1u64 << 52) as f64
}

/// What `Retry-After` asks for: seconds, or a date, which is read against the server's own clock.
pub(crate) fn retry_after(headers: &HeaderMap) -> Option<Duration> {
    let text = |name: HeaderName| headers.get(name)?.to_str().ok();
    let wish = text(RETRY_AFTER)?.trim();
    if let Ok(seconds) = wish.parse() {
        return Some(Duration::from_secs(seconds));
    }
    let (then, now) = (rfc2822::parse(wish).ok()?, rfc2822::parse(text(DATE)?).ok()?);
    then.timestamp().duration_since(now.timestamp()).try_into().ok()
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use reqwest::header::{DATE, HeaderMap, HeaderValue, RETRY_AFTER};

    use super::{Pace, retry_after};

    #[test]
    fn pauses_double_up_to_the_longest_and_differ_from_one_another() {
        let pace = Pace::default();
        for (failed, most) in [(1, 500), (2, 1000), (3, 2000), (5, 8000), (6, 10_000), (60, 10_000)] {
            let pauses: Vec<Duration> = (0..20).map(|_| pace.pause(failed, None)).collect();
            let most = Duration::from_millis(most);
            assert!(pauses.iter().all(|pause| (most / 2..=most).contains(pause)), "{failed}: {pauses:?}");
            assert!(pauses.iter().any(|pause| *pause != pauses[0]), "{failed}: {pauses:?}");
        }
    }

    #[test]
    fn a_wish_of_the_server_is_obeyed_up_to_a_cap() {
        let pace = Pace::default();
        assert_eq!(pace.pause(1, Some(Duration::from_secs(7))), Duration::from_secs(7));
        assert_eq!(pace.pause(1, Some(Duration::from_secs(86_400))), Duration::from_secs(60));
    }

    #[test]
    fn retry_after_is_seconds_or_a_date_by_the_servers_clock() {
        let check = |wish: &'static str, date: Option<&'static str>, expect: Option<u64>| {
            let mut headers = HeaderMap::new();
            headers.insert(RETRY_AFTER, HeaderValue::from_static(wish));
            if let Some(date) = date {
                headers.insert(DATE, HeaderValue::from_static(date));
            }
            assert_eq!(retry_after(&headers), expect.map(Duration::from_secs), "{wish}");
        };
        check("120", None, Some(120));
        check(" 3 ", None, Some(3));
        check("Fri, 31 Dec 1999 23:59:59 GMT", Some("Fri, 31 Dec 1999 23:59:29 GMT"), Some(30));
        check("Fri, 31 Dec 1999 23:59:59 GMT", None, None);
        check("Fri, 31 Dec 1999 23:59:59 GMT", Some("Sat, 01 Jan 2000 00:00:00 GMT"), None);
        check("-1", None, None);
        check("soon", Some("Fri, 31 Dec 1999 23:59:29 GMT"), None);
        assert_eq!(retry_after(&HeaderMap::new()), None);
    }
}
