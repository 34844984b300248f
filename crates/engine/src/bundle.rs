//! `govern bundle create` and `govern install --from`: Go for machines without a network, with the same proof as over one.
//! Leaves out the file's format (`store`) and what a stored proof is worth (`sources`).

use std::collections::{BTreeMap, BTreeSet};
use std::fs;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use govern_core::event::Watch;
use govern_core::origin::escaped;
use govern_core::platform::Platform;
use govern_core::proof::{Format, LogRequired};
use govern_core::spec::Spec;
use govern_core::vars::Vars;
use govern_core::version::Version;
use govern_sources::mirror::page_list;
use govern_sources::{Source, Sources, Stored};
use govern_store::{Archive, Content, archive_name, examine, write_bundle};

use crate::error::{At, Error};
use crate::install::Aim;
use crate::mirror::shelved;
use crate::release::source_settings;
use crate::{Engine, Installed, blocking, look};

/// What is in a bundle.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Bundled {
    /// The release.
    pub version: Version,
    /// The platform.
    pub platform: Platform,
    /// The length of its archive.
    pub size: u64,
    /// `log` or `sha256`.
    pub proof: &'static str,
}

impl Engine {
    /// Writes a bundle of these releases, each for all of these platforms. What is not at hand is fetched and proven.
    ///
    /// # Errors
    /// When one of them cannot be had or not be proven, or the file not be written: then there is no file.
    pub async fn bundle(
        &self,
        specs: &[Spec],
        platforms: &[Platform],
        file: &Path,
        vars: &Vars,
        watch: Arc<dyn Watch>,
    ) -> Result<Vec<Bundled>, Error> {
        let settings = self.settings(vars)?;
        let sources = self.sources(&settings, vars)?;
        let mut archives: Vec<Archive> = Vec::new();
        for platform in platforms {
            for spec in specs {
                let version = self.newest_for(spec, platform, vars).await?;
                if archives.iter().any(|one| (&one.version, &one.platform) == (&version, platform)) {
                    continue;
                }
                archives.push(self.archive_in_any_format(&version, platform, vars, &watch).await?);
            }
        }
        // All are looked up before one proof is written down, so that all proofs have the same, latest head.
        for archive in &archives {
            sources.log_files(&archive.version, &archive.platform).await?;
        }
        let (mut members, mut bundled) = (BTreeMap::new(), Vec::new());
        for archive in &archives {
            let proof = self.bundle_proof(&sources, archive, settings.require_log, &mut members).await?;
            let name = archive_name(archive.format, &archive.version, &archive.platform);
            let room = if archive.format == Format::TarGz { "dl" } else { "golang.org/toolchain/@v" };
            members.insert(format!("{room}/{name}"), Content::File(archive.path.clone()));
            let (version, platform) = (archive.version.clone(), archive.platform.clone());
            bundled.push(Bundled { version, platform, size: archive.size, proof });
        }
        members.extend(lists(&archives));
        let file = file.to_owned();
        blocking(move || Ok(write_bundle(&file, &members)?)).await?;
        Ok(bundled)
    }

    /// Puts the log's proof of an archive among the members. Without a record the digest of the release list must do.
    async fn bundle_proof(
        &self,
        sources: &Sources,
        archive: &Archive,
        log_required: LogRequired,
        members: &mut BTreeMap<String, Content>,
    ) -> Result<&'static str, Error> {
        let unproven = |reason: &str| Error::NoProof { version: archive.version.clone(), reason: reason.to_owned() };
        let proof = sources.log_files(&archive.version, &archive.platform).await?;
        let Some(proof) = proof else {
            if log_required == LogRequired::Yes {
                return Err(unproven("the checksum database has no record of it, and require_log is set"));
            }
            return Ok("sha256");
        };
        let judged = archive.clone();
        let evidence = blocking(move || {
            let file = fs::File::open(&judged.path).at("read", &judged.path)?;
            Ok(examine(judged.format, &judged.version, &judged.platform, file)?)
        });
        if evidence.await?.h1 != proof.record.h1 {
            return Err(unproven("its files do not hash to what the checksum database has"));
        }
        let room = format!("sumdb/{}", proof.record.database);
        members.insert(format!("{room}/supported"), Content::Bytes(Vec::new()));
        members.extend(proof.files.into_iter().map(|(path, bytes)| (format!("{room}/{path}"), Content::Bytes(bytes))));
        Ok("log")
    }

    async fn archive_in_any_format(
        &self,
        version: &Version,
        platform: &Platform,
        vars: &Vars,
        watch: &Arc<dyn Watch>,
    ) -> Result<Archive, Error> {
        for format in [Format::TarGz, Format::ModuleZip] {
            if let Some(archive) = self.archive_at_hand(format, version, platform).await? {
                return Ok(archive);
            }
        }
        match self.archive(Format::TarGz, version, platform, vars, Arc::clone(watch)).await {
            Err(Error::NoSource) => {}
            Err(Error::Source(error)) if error.is_unreachable() || error.is_absent() => {}
            decided => return decided,
        }
        self.archive(Format::ModuleZip, version, platform, vars, Arc::clone(watch)).await
    }

    async fn newest_for(&self, spec: &Spec, platform: &Platform, vars: &Vars) -> Result<Version, Error> {
        if let Spec::Exact(version) = spec {
            return Ok(version.clone());
        }
        let releases = self.releases(vars, false).await?;
        let picked = spec.pick(releases.all.iter().filter(|r| r.is_for(platform)).map(|r| &r.version));
        picked.cloned().ok_or_else(|| {
            let (spec, source_name) = (spec.clone(), releases.source.clone());
            Error::NoSuchRelease { spec, nearest: Vec::new(), source_name }
        })
    }

    /// Installs from a bundle or a directory, offline. Nothing named: everything in it for this platform.
    ///
    /// # Errors
    /// When it cannot be read, has no such release, or does not prove it. What was installed before that stays.
    pub async fn install_stored(
        &self,
        from: &Path,
        specs: &[Spec],
        vars: &Vars,
        watch: Arc<dyn Watch>,
    ) -> Result<Vec<Installed>, Error> {
        let cache = &self.layout().cache;
        fs::create_dir_all(cache).at("create", cache)?;
        let scratch = tempfile::Builder::new().prefix("from-").tempdir_in(cache).at("create a directory in", cache)?;
        let dir = self.opened(from, scratch.path()).await?;
        let settings = self.settings(vars)?;
        let go_env = look::go_env(vars, &self.platform().os)?;
        let mut of_sources = source_settings(&settings, vars, &go_env);
        of_sources.stored = Some(Stored { dir, name: escaped(from), scratch: scratch.path().join("work") });
        let sources = Sources::new(of_sources, self.layout())?;

        let mut held: Vec<(&Source, Version)> = Vec::new();
        let mut all: BTreeSet<(Version, Platform)> = BTreeSet::new();
        for source in sources.list() {
            for release in sources.listed(source).await {
                all.extend(release.platforms().map(|platform| (release.version.clone(), platform.clone())));
                if release.is_for(self.platform()) {
                    held.push((source, release.version));
                }
            }
        }
        let missing = |spec: Option<&Spec>| Error::NotInBundle {
            spec: spec.cloned(),
            from: from.to_owned(),
            platform: self.platform().clone(),
            held: all.iter().map(|(version, platform)| format!("{} for {platform}", version.toolchain())).collect(),
            is_for_others: all.iter().any(|(version, _)| spec.is_none_or(|spec| spec.admits(version))),
        };
        let mut versions: Vec<Version> = Vec::new();
        match specs {
            [] => versions.extend(held.iter().map(|(_, version)| version.clone())),
            specs => {
                for spec in specs {
                    let picked = spec.pick(held.iter().map(|(_, version)| version));
                    versions.push(picked.cloned().ok_or_else(|| missing(Some(spec)))?);
                }
            }
        }
        versions.sort_unstable();
        versions.dedup();
        if versions.is_empty() {
            return Err(missing(None));
        }
        let mut installed = Vec::new();
        for version in versions {
            if let Some(sdk) = self.store().sdk(&version) {
                installed.push(Installed { sdk, already: true });
                continue;
            }
            let (source, _) = held.iter().find(|(_, held)| *held == version).expect("picked from what is held");
            installed.push(self.install_from(&sources, source, (&version, Aim::Install), &settings, &watch).await?);
        }
        if let Err(error) = self.sync_launchers() {
            tracing::warn!(%error, "launchers not brought in step");
        }
        Ok(installed)
    }

    /// The directory to install from: the one that was named, or what is in the bundle.
    async fn opened(&self, from: &Path, scratch: &Path) -> Result<PathBuf, Error> {
        if fs::metadata(from).at("read", from)?.is_dir() {
            return fs::canonicalize(from).at("read", from);
        }
        let (bundle, dir) = (from.to_owned(), scratch.join("bundle"));
        blocking(move || {
            fs::create_dir(&dir).at("create", &dir)?;
            govern_store::unpack_bundle(&bundle, &dir)?;
            Ok(dir)
        })
        .await
    }
}

/// The lists of what is in the bundle: that of the download page, and that of a module proxy with what belongs to it.
fn lists(archives: &[Archive]) -> BTreeMap<String, Content> {
    let mut members = BTreeMap::new();
    let tarballs: Vec<_> = archives.iter().filter(|archive| archive.format == Format::TarGz).collect();
    if !tarballs.is_empty() {
        let tarballs: Vec<_> = tarballs.into_iter().cloned().map(shelved).collect();
        let list = page_list(&tarballs);
        members.insert("dl/index.json".to_owned(), Content::Bytes(list));
    }
    let room = "golang.org/toolchain/@v";
    let zips = archives.iter().filter(|archive| archive.format == Format::ModuleZip);
    let modules: BTreeSet<String> = zips.map(|zip| zip.platform.module_version(&zip.version)).collect();
    for module in &modules {
        let info = format!("{{\"Version\":\"{module}\"}}");
        members.insert(format!("{room}/{module}.info"), Content::Bytes(info.into_bytes()));
        let gomod = "module golang.org/toolchain\n";
        members.insert(format!("{room}/{module}.mod"), Content::Bytes(gomod.into()));
    }
    if !modules.is_empty() {
        let list = modules.iter().map(|module| format!("{module}\n")).collect::<String>();
        members.insert(format!("{room}/list"), Content::Bytes(list.into_bytes()));
    }
    members
}
