//! Asks a checksum database, and remembers. Every decision is a [`Claim`]'s; here is only what it takes to make one:
//! fetching, the cache in front of it, and the tree head that moves forward. Leaves out HTTP: see [`Remote`].

use std::future::Future;
use std::panic;
use std::sync::Arc;

use futures_util::future::try_join_all;
use govern_core::proof::LogRecord;
use tracing::{debug, warn};

use super::claim::{Claim, Verdict, Wanted};
use super::error::{Error, Refusal};
use super::evidence::Fork;
use super::keep::{Keep, KeepError};
use super::key::Verifier;
use super::tile::{self, Tile};
use super::tlog::Head;

/// The way to a database.
pub trait Remote: Send + Sync {
    /// Fetches a path such as `/lookup/golang.org/toolchain@v0.0.1-go1.22.4.linux-amd64` or `/tile/8/0/x097/380`.
    /// At most [`ANSWER_LIMIT`](super::ANSWER_LIMIT) bytes are of use.
    fn get(&self, path: &str) -> impl Future<Output = Result<Vec<u8>, RemoteError>> + Send;
}

/// Why nothing was fetched.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum RemoteError {
    /// The server says that there is no such thing: 404 or 410.
    #[error("not found")]
    NotFound,
    /// Anything else: no connection, another status, a body that broke off.
    #[error("{0}")]
    OutOfReach(String),
}

/// A record of the database, and what proves it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Proven {
    /// What the record says.
    pub record: LogRecord,
    /// The proof as a text that stands alone: see [`stored`](super::stored).
    pub stored: String,
}

/// A client of one database. It holds no state of its own: the head lies in its [`Keep`], where other processes move
/// it too, and is authenticated at every question.
#[derive(Debug)]
pub struct Client<R, K> {
    verifier: Verifier,
    remote: R,
    keep: Arc<K>,
}

impl<R: Remote, K: Keep> Client<R, K> {
    /// A client that believes `verifier`, asks `remote`, and remembers in `keep`. Its questions need a tokio runtime.
    pub fn new(verifier: Verifier, remote: R, keep: K) -> Client<R, K> {
        Client { verifier, remote, keep: Arc::new(keep) }
    }

    /// The database's name.
    #[must_use]
    pub fn database(&self) -> &str {
        self.verifier.name()
    }

    /// The way to it.
    pub(crate) fn remote(&self) -> &R {
        &self.remote
    }

    /// The proven record of a module: [`Client::lookup_proven`] without the text of the proof.
    ///
    /// # Errors
    /// When the database is silent, out of reach, or cannot be believed.
    pub async fn lookup(&self, module: &str, version: &str) -> Result<LogRecord, Error> {
        Ok(self.lookup_proven(module, version).await?.record)
    }

    /// The proven record of a module, and the proof as a text that stands alone.
    ///
    /// A record that was proven before is proven again, against the latest head where that can be had; the database is
    /// asked for it only when that fails.
    ///
    /// # Errors
    /// When the database is silent, out of reach, or cannot be believed.
    pub async fn lookup_proven(&self, module: &str, version: &str) -> Result<Proven, Error> {
        let path = lookup_path(module, version)?;
        let wanted = Wanted { module, version };
        let kept = path.clone();
        if let Some(answer) = self.blocking(move |keep| keep.cached(&kept)).await {
            match self.prove(&path, &answer, wanted).await {
                Err(Error::OutOfReach { .. }) => match self.proven_cached(module, version).await {
                    Err(Error::NotKept { .. }) => {}
                    decided => return decided,
                },
                // Damage on our disk is no accusation. Two signed heads are one, wherever they lay.
                Err(Error::Security { source, .. }) if !matches!(source, Refusal::Fork(_)) => {
                    debug!(path, reason = %source, "kept proof is damaged");
                }
                decided => return decided,
            }
        }
        let answer = self.remote.get(&format!("/{path}")).await.map_err(|error| match error {
            RemoteError::NotFound => {
                let (database, module, version) = (self.name(), module.to_owned(), version.to_owned());
                Error::NotFound { database, module, version }
            }
            RemoteError::OutOfReach(reason) => Error::OutOfReach { database: self.name(), reason },
        })?;
        self.prove(&path, &answer, wanted).await
    }

    /// Proves a record from what was kept when it was looked up, asking nobody.
    ///
    /// # Errors
    /// When no proof is kept, or it no longer holds together.
    pub async fn lookup_cached(&self, module: &str, version: &str) -> Result<LogRecord, Error> {
        Ok(self.proven_cached(module, version).await?.record)
    }

    async fn proven_cached(&self, module: &str, version: &str) -> Result<Proven, Error> {
        let (verifier, module, version) = (self.verifier.clone(), module.to_owned(), version.to_owned());
        self.blocking(move |keep| recheck_proven(&verifier, keep, &module, &version)).await
    }

    /// The proven record of a module, from a remote that holds stored proofs and nothing else.
    ///
    /// Such a remote need not have the tiles that compare its head with the kept one. Where they are missing, the proof
    /// stands alone against its own signed head, and the kept head stays where it is.
    ///
    /// # Errors
    /// As [`Client::lookup`].
    pub async fn lookup_stored(&self, module: &str, version: &str) -> Result<LogRecord, Error> {
        match self.lookup(module, version).await {
            Err(Error::OutOfReach { .. }) => {}
            decided => return decided,
        }
        let path = lookup_path(module, version)?;
        let out_of_reach = |error: RemoteError| Error::OutOfReach { database: self.name(), reason: error.to_string() };
        let answer = self.remote.get(&format!("/{path}")).await.map_err(out_of_reach)?;
        let claim = match Claim::new(&self.verifier, tile::HEIGHT, None, &answer, Wanted { module, version }) {
            Ok(claim) => claim,
            Err(refusal) => return Err(self.refuse(refusal, None).await),
        };
        let Verdict { record, proof, .. } = self.judge(&claim).await?;
        self.cache(vec![(path, proof)]).await;
        Ok(record)
    }

    /// The proven record of a module, and the files that prove it again to others, alone: the answer and its tiles, each
    /// under its path.
    ///
    /// # Errors
    /// As [`Client::lookup`].
    pub async fn proof(&self, module: &str, version: &str) -> Result<(LogRecord, Vec<(String, Vec<u8>)>), Error> {
        self.lookup(module, version).await?;
        let path = lookup_path(module, version)?;
        let kept = path.clone();
        let answer = self.blocking(move |keep| keep.cached(&kept)).await.ok_or_else(|| {
            let (database, module, version) = (self.name(), module.to_owned(), version.to_owned());
            Error::NotKept { database, module, version, reason: "it could not be cached".to_owned() }
        })?;
        let claim = match Claim::new(&self.verifier, tile::HEIGHT, None, &answer, Wanted { module, version }) {
            Ok(claim) => claim,
            Err(refusal) => return Err(self.refuse(refusal, None).await),
        };
        self.judge(&claim).await?;
        let mut files = Vec::new();
        for tile in claim.tiles().iter().copied() {
            let kept = self.blocking(move |keep| kept_tile(keep, tile)).await;
            files.push((tile.to_string(), self.tile(tile, kept).await?));
        }
        // What is given on is what is judged, whatever became of the cache meanwhile.
        let data: Vec<&[u8]> = files.iter().map(|(_, data)| data.as_slice()).collect();
        let record = match claim.judge(&data) {
            Ok(verdict) => verdict.record,
            Err(refusal) => return Err(self.refuse(refusal, Some(&claim)).await),
        };
        drop(data);
        files.insert(0, (path, answer.clone()));
        Ok((record, files))
    }

    /// Proves an answer against the latest head, moves that head when the answer's is newer, and keeps the proof.
    async fn prove(&self, path: &str, answer: &[u8], wanted: Wanted<'_>) -> Result<Proven, Error> {
        loop {
            let seen = self.blocking(K::latest).await?;
            let known = open_kept(seen.as_deref(), &self.verifier, &*self.keep)?;
            let claim = match Claim::new(&self.verifier, tile::HEIGHT, known.as_ref(), answer, wanted) {
                Ok(claim) => claim,
                Err(refusal) => return Err(self.refuse(refusal, None).await),
            };
            let Verdict { record, proof, stored, advance } = self.judge(&claim).await?;
            if let Some(head) = advance {
                let moved = self.blocking(move |keep| keep.advance(seen.as_deref(), head.note())).await?;
                if !moved {
                    // Someone else moved it meanwhile: their head must agree with this answer too. Heads only grow, so
                    // this comes to an end.
                    continue;
                }
            }
            self.cache(vec![(path.to_owned(), proof)]).await;
            return Ok(Proven { record, stored });
        }
    }

    /// Brings a claim's tiles, lets it judge, and keeps the tiles when it approves.
    async fn judge(&self, claim: &Claim<'_>) -> Result<Verdict, Error> {
        let tiles = claim.tiles().to_vec();
        let wanted = tiles.clone();
        let kept: Vec<_> =
            self.blocking(move |keep| wanted.into_iter().map(|tile| kept_tile(keep, tile)).collect::<Vec<_>>()).await;
        let any_kept = kept.iter().any(Option::is_some);
        let mut fresh: Vec<_> = kept.iter().map(Option::is_none).collect();
        let mut data = try_join_all(tiles.iter().zip(kept).map(|(tile, kept)| self.tile(*tile, kept))).await?;
        let mut verdict = claim.judge(&data);
        if any_kept && matches!(verdict, Err(Refusal::Root { .. } | Refusal::Tile { .. })) {
            debug!("kept tiles do not fit the signed tree: fetching all of them anew");
            data = try_join_all(tiles.iter().map(|tile| self.tile(*tile, None))).await?;
            fresh = vec![true; tiles.len()];
            verdict = claim.judge(&data);
        }
        let verdict = match verdict {
            Ok(verdict) => verdict,
            Err(refusal) => return Err(self.refuse(refusal, Some(claim)).await),
        };
        let files = tiles.iter().zip(data).zip(fresh).filter(|(_, fresh)| *fresh);
        self.cache(files.map(|((tile, data), _)| (tile.to_string(), data)).collect()).await;
        Ok(verdict)
    }

    /// One tile, not yet authenticated: the kept one or the server's. Where the log has grown past a partial tile, the
    /// server may have the full one only, which begins with it.
    async fn tile(&self, tile: Tile, kept: Option<Vec<u8>>) -> Result<Vec<u8>, Error> {
        if let Some(kept) = kept {
            return Ok(kept);
        }
        let error = match self.remote.get(&format!("/{tile}")).await {
            Ok(data) => return Ok(data),
            Err(error) => error,
        };
        if !tile.is_full()
            && let Ok(mut data) = self.remote.get(&format!("/{}", tile.full())).await
        {
            let (path, expected, got) = (tile.full().to_string(), tile.full().byte_len(), data.len());
            if got != expected {
                return Err(self.refuse(Refusal::TileLength { tile: path, expected, got }, None).await);
            }
            data.truncate(tile.byte_len());
            return Ok(data);
        }
        Err(Error::OutOfReach { database: self.name(), reason: format!("it does not serve {tile}: {error}") })
    }

    /// Turns a refusal into an error, and saves the evidence when two heads are involved.
    async fn refuse(&self, source: Refusal, claim: Option<&Claim<'_>>) -> Error {
        let evidence = match (&source, claim.map(Claim::heads)) {
            (Refusal::Fork(fork), _) => Some(fork.to_string()),
            // The tiles contradict a signed head: perhaps they belong to another tree that the database also signed.
            (Refusal::Root { .. } | Refusal::Tile { .. }, Some((Some(older), newer))) => {
                Some(Fork::unproven(older, newer).to_string())
            }
            _ => None,
        };
        let evidence = match evidence {
            Some(text) => self.blocking(move |keep| accuse(keep, &text)).await,
            None => None,
        };
        Error::Security { database: self.name(), source, evidence }
    }

    /// Caches files. A cache that cannot be written costs time, and no truth.
    async fn cache(&self, files: Vec<(String, Vec<u8>)>) {
        let write = move |keep: &K| {
            let mut changed = files.iter().filter(|(path, bytes)| keep.cached(path).as_ref() != Some(bytes));
            changed.try_for_each(|(path, bytes)| keep.cache(path, bytes))
        };
        if let Err(KeepError { path, source, .. }) = self.blocking(write).await {
            warn!(path = %path.display(), error = %source, "cannot cache what the checksum database said");
        }
    }

    async fn blocking<T: Send + 'static>(&self, work: impl FnOnce(&K) -> T + Send + 'static) -> T {
        let keep = Arc::clone(&self.keep);
        let done = tokio::task::spawn_blocking(move || work(&keep)).await;
        // It is cancelled only with the runtime, and then nobody waits here.
        done.unwrap_or_else(|failed| panic::resume_unwind(failed.into_panic()))
    }

    /// Whom this client believes.
    pub(crate) fn verifier(&self) -> &Verifier {
        &self.verifier
    }

    fn name(&self) -> String {
        self.verifier.name().to_owned()
    }
}

/// Proves a record from what was kept when it was looked up: no network, no runtime.
///
/// The proof is held against the latest head where the kept tiles suffice for that, and stands alone where they do not.
///
/// # Errors
/// When no proof is kept, or it no longer holds together.
pub fn recheck(verifier: &Verifier, keep: &impl Keep, module: &str, version: &str) -> Result<LogRecord, Error> {
    Ok(recheck_proven(verifier, keep, module, version)?.record)
}

fn recheck_proven(verifier: &Verifier, keep: &impl Keep, module: &str, version: &str) -> Result<Proven, Error> {
    let path = lookup_path(module, version)?;
    let wanted = Wanted { module, version };
    let not_kept = |reason: String| {
        let (database, module, version) = (verifier.name().to_owned(), module.to_owned(), version.to_owned());
        Error::NotKept { database, module, version, reason }
    };
    let answer = keep.cached(&path).ok_or_else(|| not_kept("it was not looked up here".to_owned()))?;
    let latest = keep.latest()?;
    let known = open_kept(latest.as_deref(), verifier, keep)?;
    let try_against = |known: Option<&Head>| -> Result<Proven, Refusal> {
        let claim = Claim::new(verifier, tile::HEIGHT, known, &answer, wanted)?;
        // A missing tile is an empty one here, and refused for its length.
        let tiles: Vec<_> = claim.tiles().iter().map(|tile| kept_tile(keep, *tile).unwrap_or_default()).collect();
        let Verdict { record, stored, .. } = claim.judge(&tiles)?;
        Ok(Proven { record, stored })
    };
    let decided = match try_against(known.as_ref()) {
        Err(refusal) if !matches!(refusal, Refusal::Fork(_)) => try_against(None),
        decided => decided,
    };
    decided.map_err(|refusal| match refusal {
        Refusal::Fork(fork) => {
            let evidence = accuse(keep, &fork.to_string());
            Error::Security { database: verifier.name().to_owned(), source: Refusal::Fork(fork), evidence }
        }
        refusal => not_kept(refusal.to_string()),
    })
}

fn open_kept(latest: Option<&[u8]>, verifier: &Verifier, keep: &impl Keep) -> Result<Option<Head>, Error> {
    let head = latest.map(|note| Head::open(note, verifier)).transpose();
    head.map_err(|source| Error::Kept { database: verifier.name().to_owned(), path: keep.place(), source })
}

/// A tile from the cache, or its beginning from the full one. Of the right length, and otherwise unproven.
fn kept_tile(keep: &impl Keep, tile: Tile) -> Option<Vec<u8>> {
    let exact = keep.cached(&tile.to_string()).filter(|data| data.len() == tile.byte_len());
    if exact.is_some() || tile.is_full() {
        return exact;
    }
    let mut full = keep.cached(&tile.full().to_string()).filter(|data| data.len() == tile.full().byte_len())?;
    full.truncate(tile.byte_len());
    Some(full)
}

/// Saves evidence. That it cannot be saved must not hide what it is evidence of.
fn accuse(keep: &impl Keep, evidence: &str) -> Option<std::path::PathBuf> {
    match keep.accuse(evidence) {
        Ok(path) => Some(path),
        Err(KeepError { path, source, .. }) => {
            warn!(path = %path.display(), error = %source, evidence, "cannot save evidence against a checksum database");
            None
        }
    }
}

/// `lookup/module@version`, in the spelling of Go's proxies: capitals become `!` and the small letter.
fn lookup_path(module: &str, version: &str) -> Result<String, Error> {
    let is_element = |element: &str| {
        let is_dotted = element.starts_with('.') || element.ends_with('.');
        let is_plain = element.bytes().all(|byte| byte.is_ascii_alphanumeric() || b"-._~+".contains(&byte));
        !element.is_empty() && !is_dotted && is_plain
    };
    if !module.split('/').all(is_element) || !is_element(version) {
        return Err(Error::Name(format!("{module}@{version}")));
    }
    let mut path = String::from("lookup/");
    for c in module.chars().chain(['@']).chain(version.chars()) {
        if c.is_ascii_uppercase() {
            path.push('!');
        }
        path.push(c.to_ascii_lowercase());
    }
    Ok(path)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_lookup_path_is_spelled_as_go_spells_it() {
        let check = |module, version, expect: &str| assert_eq!(lookup_path(module, version).unwrap(), expect);
        check(
            "golang.org/toolchain",
            "v0.0.1-go1.22.4.linux-amd64",
            "lookup/golang.org/toolchain@v0.0.1-go1.22.4.linux-amd64",
        );
        check(
            "github.com/BurntSushi/toml",
            "v1.0.0+Incompatible",
            "lookup/github.com/!burnt!sushi/toml@v1.0.0+!incompatible",
        );
    }

    #[test]
    fn a_name_that_could_lead_elsewhere_is_never_asked_for() {
        for (module, version) in [
            ("", "v1"),
            ("a", ""),
            ("a//b", "v1"),
            ("../a", "v1"),
            ("a", "../v1"),
            ("a", "v1/x"),
            ("a b", "v1"),
            ("a", "v1?x"),
            ("a@b", "v1"),
            ("/a", "v1"),
            ("a!b", "v1"),
            ("ä", "v1"),
            ("a", "v1\n"),
        ] {
            assert!(matches!(lookup_path(module, version), Err(Error::Name(_))), "{module}@{version}");
        }
    }
}
