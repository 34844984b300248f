//! The API's routes: JSON in, JSON out, problems as problem+json, a job's events as server-sent events.
//! Leaves out who may ask and in what form ([`door`], [`form`]) and the changes themselves (`changes`).

mod door;
mod form;

use std::convert::Infallible;
use std::os::unix::net::UnixListener;
use std::path::PathBuf;
use std::sync::Arc;
use std::time::{Duration, Instant, SystemTime};

use anyhow::Context as _;
use axum::Router;
use axum::extract::{Path, State};
use axum::http::{HeaderMap, StatusCode};
use axum::middleware;
use axum::response::sse::{Event, KeepAlive, Sse};
use axum::routing::{get, post};
use futures_util::stream::{self, Stream};
use govern_api::body::{self, NewJob, OsText, SCHEMA};
use govern_api::route;
use govern_core::decide::Question;
use govern_core::problem::{Code, Report};
use govern_core::sdk::Sdk;
use govern_core::spec::Spec;
use govern_core::vars::Vars;
use govern_core::version::Version;
use govern_engine::{self as engine, Engine, Published, Wish};
use tokio::sync::watch;
use tokio_util::sync::CancellationToken;

use self::door::Door;
use self::form::{Json, Refused};
use crate::changes::{Changes, blocking};
use crate::fault::{Fault, fault, of_engine};
use crate::index::Index;
use crate::job::Follower;
use crate::shim::ShimLane;
use crate::watch::Watcher;

/// Silence on an event stream is broken this often, so that a client that is gone is noticed.
const KEEP_ALIVE: Duration = Duration::from_secs(15);

/// What the routes need.
pub(crate) struct Context {
    /// Decides and changes.
    pub(crate) changes: Changes,
    /// Knows who used what.
    pub(crate) index: Index,
    /// Counts watched directories.
    pub(crate) watcher: Watcher,
    /// Counts questions.
    pub(crate) shims: ShimLane,
    /// When the daemon started.
    pub(crate) started: Instant,
    /// Cancelled: the daemon drains, then ends.
    pub(crate) stop: CancellationToken,
    /// Cancelled: it ends now.
    pub(crate) end: CancellationToken,
}

type Shared = State<Arc<Context>>;

/// Answers requests until `end` is cancelled and what was begun is finished. Listeners that come in over the channel
/// take the place of the one before.
pub(crate) async fn serve(
    listeners: watch::Receiver<Arc<UnixListener>>,
    uid: u32,
    context: Arc<Context>,
) -> anyhow::Result<()> {
    let door = Door::new(listeners, uid)?;
    let end = context.end.clone();
    axum::serve(door, router(context)).with_graceful_shutdown(end.cancelled_owned()).await.context("the API has ended")
}

fn router(context: Arc<Context>) -> Router {
    Router::new()
        .route(route::STATUS, get(status))
        .route(route::DECISION, post(decision))
        .route(route::SDKS, get(sdks))
        .route(route::RELEASES, post(releases))
        .route(route::PROJECTS, get(projects))
        .route(route::JOBS, get(jobs).post(start))
        .route(route::JOB_EVENTS, get(events))
        .route(route::SHUTDOWN, post(shutdown))
        .fallback(|| async { Refused::new(StatusCode::NOT_FOUND, "there is no such path in this API") })
        .method_not_allowed_fallback(|| async {
            Refused::new(StatusCode::METHOD_NOT_ALLOWED, "the path does not know this method")
        })
        .layer(middleware::from_fn(form::local_only))
        .layer(middleware::from_fn(form::whole))
        .with_state(context)
}

async fn status(State(context): Shared) -> Result<Json<body::Status>, Refused> {
    Ok(Json(status_of(&context).await?))
}

async fn status_of(context: &Context) -> Result<body::Status, Refused> {
    let engine = context.changes.engine.clone();
    let (sdks, shared) = blocking(move || Ok((installed(&engine)?, shared(&engine)?))).await?;
    let (questions, fallbacks) = context.shims.counts();
    Ok(body::Status {
        schema: SCHEMA,
        version: env!("CARGO_PKG_VERSION").to_owned(),
        pid: std::process::id(),
        uptime: context.started.elapsed().as_secs(),
        memory: memory(),
        questions,
        fallbacks,
        watched: context.watcher.watched(),
        sdks: sdks.len() as u64,
        jobs: context.changes.jobs.running(),
        index: context.index.state().to_owned(),
        home: context.changes.engine.layout().data.as_path().into(),
        shared: shared.iter().map(shared_body).collect(),
    })
}

fn shared_body(shared: &engine::Shared) -> body::Shared {
    body::Shared {
        version: shared.version.toolchain(),
        with: shared.with.toolchain(),
        means: shared.means.word().to_owned(),
        files: shared.files,
        bytes: shared.bytes,
    }
}

/// Resident memory in bytes; the kernel counts pages.
fn memory() -> Option<u64> {
    let statm = std::fs::read_to_string("/proc/self/statm").ok()?;
    let pages: u64 = statm.split(' ').nth(1)?.parse().ok()?;
    Some(pages * rustix::param::page_size() as u64)
}

async fn decision(State(context): Shared, Json(ask): Json<body::Ask>) -> Result<Json<body::Decision>, Refused> {
    let tool = body::tool(&ask.tool).map_err(|e| usage(&e))?;
    let dir = absolute(ask.dir)?;
    let args = ask.args.into_iter().map(Into::into).collect();
    let question = Question { tool: tool.clone(), args, vars: Vars::from(ask.vars) };
    let engine = context.changes.engine.clone();
    let decide = move || {
        let (decided, next) = engine.explain(&question, &dir).map_err(|e| of_engine(&e))?;
        let body = body::Decision::new(&decided.decision, &tool, &decided.dir, |version| engine.goroot(version));
        let body = body.with_proof(|version| engine.store().facts(version).ok());
        Ok(body::Decision { next: next.iter().map(Into::into).collect(), ..body })
    };
    Ok(Json(blocking(decide).await?))
}

async fn sdks(State(context): Shared) -> Result<Json<body::Sdks>, Refused> {
    let engine = context.changes.engine.clone();
    let look = move || Ok((engine.sdks().map_err(|e| of_engine(&e))?, engine.links().map_err(|e| of_engine(&e))?));
    let (facts, links) = blocking(look).await?;
    let last_uses = context.index.last_uses().await;
    let installed = facts.iter().map(|facts| {
        let last_used = last_uses.get(&facts.sdk.version).copied();
        body::Sdk { last_used, ..body::Sdk::from(facts) }
    });
    let linked = links.iter().map(body::Linked::from).collect();
    Ok(Json(body::Sdks { schema: SCHEMA, installed: installed.collect(), linked }))
}

async fn releases(
    State(context): Shared,
    Json(wanted): Json<body::ReleasesWanted>,
) -> Result<Json<body::Releases>, Refused> {
    let engine = context.changes.engine.clone();
    let published = engine.published(&wanted.vars.into(), wanted.refresh).await.map_err(|e| of_engine(&e))?;
    let here = blocking(move || installed(&engine)).await?;
    let Published { all, source, fetched_at, stale, notes } = published;
    let releases = all.into_iter().map(|(release, vendor)| body::Release {
        version: release.version.toolchain(),
        stable: release.stable,
        installed: here.iter().any(|sdk| sdk.version == release.version),
        vendor,
    });
    let fetched_at = fetched_at.duration_since(SystemTime::UNIX_EPOCH).map_or(0, |since| since.as_secs());
    Ok(Json(body::Releases { schema: SCHEMA, source, fetched_at, stale, releases: releases.collect(), notes }))
}

async fn projects(State(context): Shared) -> Result<Json<body::Projects>, Refused> {
    let Some(mut projects) = context.index.projects().await else {
        let report = Report::new(Code::Failure, "the index cannot be read; `go` works without it");
        return Err(fault(report.hint("govern daemon logs")).into());
    };
    projects.sort_by_key(|project| std::cmp::Reverse(project.last_use));
    let projects = projects.into_iter().map(|project| body::Project {
        dir: project.directory.as_path().into(),
        version: project.version.toolchain(),
        origin: project.origin,
        kind: project.kind,
        last_used: project.last_use,
        count: project.count,
        gone: false,
    });
    Ok(Json(body::Projects { schema: SCHEMA, projects: projects.collect() }))
}

async fn jobs(State(context): Shared) -> Json<body::Jobs> {
    Json(body::Jobs { schema: SCHEMA, jobs: context.changes.jobs.all() })
}

async fn start(State(context): Shared, Json(new): Json<NewJob>) -> Result<Json<body::Job>, Refused> {
    let started = match new {
        NewJob::Install { spec, at_least, wanted_by, by_repository, vars } => {
            let spec = Spec::parse(&spec).map_err(|e| usage(&e))?;
            let at_least = at_least.map(|text| Version::parse(&text)).transpose().map_err(|e| usage(&e))?;
            let wish = Wish { spec, at_least, by_repository, wanted_by };
            context.changes.install(&wish, vars.into()).await?
        }
        NewJob::Remove { version } => {
            let version = Version::parse(&version).map_err(|e| usage(&e))?;
            context.changes.remove(&version)?
        }
        NewJob::Repair { version, vars } => {
            let version = Version::parse(&version).map_err(|e| usage(&e))?;
            context.changes.repair(&version, vars.into())?
        }
    };
    Ok(Json(body::Job { joined: started.joined, ..started.job.body() }))
}

async fn events(
    State(context): Shared,
    Path(id): Path<String>,
    headers: HeaderMap,
) -> Result<Sse<impl Stream<Item = Result<Event, Infallible>>>, Refused> {
    let Some(job) = id.parse().ok().and_then(|id| context.changes.jobs.get(id)) else {
        return Err(Refused::new(StatusCode::NOT_FOUND, "there is no such job, or it ended long ago"));
    };
    let heard = headers.get("last-event-id").and_then(|id| id.to_str().ok()).and_then(|id| id.parse().ok());
    let follower = job.follow(heard.unwrap_or(0));
    // Ends with the daemon, however long the job takes: an open stream would keep the daemon from ending.
    let events = stream::unfold((follower, context.end.clone()), |(mut follower, end)| async move {
        let next = end.run_until_cancelled(next_event(&mut follower)).await??;
        Some((Ok(next), (follower, end)))
    });
    Ok(Sse::new(events).keep_alive(KeepAlive::new().interval(KEEP_ALIVE)))
}

async fn next_event(follower: &mut Follower) -> Option<Event> {
    let (number, event) = follower.next().await?;
    Event::default()
        .id(number.to_string())
        .json_data(&event)
        .inspect_err(|error| tracing::error!(%error, "an event cannot be written"))
        .ok()
}

async fn shutdown(State(context): Shared) -> Result<Json<body::Status>, Refused> {
    tracing::info!("asked to end");
    let status = status_of(&context).await?;
    context.stop.cancel();
    Ok(Json(status))
}

fn installed(engine: &Engine) -> Result<Vec<Sdk>, Fault> {
    engine.store().sdks().map_err(|error| of_engine(&error.into()))
}

/// What they share.
fn shared(engine: &Engine) -> Result<Vec<engine::Shared>, Fault> {
    engine.store().shared().map_err(|error| of_engine(&error.into()))
}

fn usage(error: &dyn std::error::Error) -> Fault {
    fault(Report::of(Code::Usage, error))
}

fn absolute(dir: OsText) -> Result<PathBuf, Fault> {
    let dir = dir.into_path();
    if dir.is_absolute() {
        return Ok(dir);
    }
    Err(fault(Report::new(Code::Usage, "the directory of a question must be an absolute path")))
}
