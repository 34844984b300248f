//! What clients of the API are told, and what they are refused.

use std::fs;
use std::io::Write as _;
use std::os::unix::net::UnixStream;
use std::sync::Arc;
use std::time::Duration;

use govern_api::body::{Ask, JobEvent, NewJob, OsText};
use govern_api::client::Error;
use govern_api::problem::Problem;
use govern_core::decide::{Question, Tool};
use govern_core::event::Event;
use govern_core::vars::Vars;
use govern_core::version::Version;
use govern_engine::Engine;
use tokio_util::sync::CancellationToken;

use super::{Home, beside, receive, until};
use crate::answered::Answered;
use crate::changes::Changes;
use crate::index::Index;
use crate::jobs::Jobs;

#[tokio::test(flavor = "multi_thread")]
async fn status_tells_how_the_daemon_is() {
    let home = Home::with(&["1.22.4"]);
    let daemon = home.start();
    let status = home.client().status().await.unwrap();
    assert_eq!((status.pid, status.sdks, status.questions, status.watched), (std::process::id(), 1, 0, 0));
    assert_eq!(status.version, env!("CARGO_PKG_VERSION"));
    assert_eq!(status.home.into_path(), home.layout.data);
    assert_eq!(status.memory.is_some_and(|bytes| bytes > 1 << 20), cfg!(target_os = "linux"));
    daemon.end().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_decision_comes_with_its_reason() {
    let home = Home::with(&["1.22.4"]);
    let project = home.project("shop", "1.22.4");
    let daemon = home.start();
    let client = home.client();
    let decision = client.decision(&home.ask(&project)).await.unwrap();
    assert_eq!((decision.target.as_str(), decision.version.as_deref()), ("sdk", Some("go1.22.4")));
    assert_eq!(decision.origin.file.unwrap().into_path(), project.join(".go-version"));
    assert_eq!(decision.program.unwrap().into_path(), home.layout.sdks().join("go1.22.4/bin/go"));

    fs::write(project.join(".go-version"), "nonsense!").unwrap();
    let Err(Error::Problem(problem)) = client.decision(&home.ask(&project)).await else { panic!("no problem") };
    assert!(problem.wanted_by.unwrap().ends_with(".go-version:1"));
    let relative = Ask { dir: OsText::Text("shop".to_owned()), ..home.ask(&project) };
    assert!(matches!(client.decision(&relative).await, Err(Error::Problem(p)) if p.code == "usage"));
    let tool = Ask { tool: "rm".to_owned(), ..home.ask(&project) };
    assert!(matches!(client.decision(&tool).await, Err(Error::Problem(p)) if p.code == "usage"));
    daemon.end().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn two_who_want_the_same_change_follow_one_job() {
    let home = Home::with(&["1.22.4"]);
    let daemon = home.start();
    let client = home.client();
    // Whoever holds the version's lock makes the job wait.
    let engine = Engine::open(home.layout.clone(), home.setup().platform).unwrap();
    let version = Version::parse("1.22.4").unwrap();
    let lock = beside(|| engine.store().lock(&version, &|_: Event| {})).await.unwrap();
    let remove = NewJob::Remove { version: "1.22.4".to_owned() };
    let first = client.start(&remove).await.unwrap();
    let second = client.start(&remove).await.unwrap();
    assert_eq!((first.joined, second.joined), (false, true));
    assert_eq!((first.id, first.state.as_str(), first.verb.as_str()), (second.id, "running", "remove"));
    assert_eq!(client.status().await.unwrap().jobs.len(), 1);
    let follow = |id| {
        let client = client.clone();
        tokio::spawn(async move { client.follow(id, |_| {}).await.unwrap() })
    };
    let followers = [follow(first.id), follow(second.id)];
    drop(lock);
    for follower in followers {
        let JobEvent::Done { version, freed, .. } = follower.await.unwrap() else { panic!("not done") };
        assert_eq!((version.as_str(), freed), ("go1.22.4", Some(20)));
    }
    let jobs = client.jobs().await.unwrap().jobs;
    assert_eq!(jobs.iter().map(|job| job.state.as_str()).collect::<Vec<_>>(), ["done"]);
    assert!(matches!(client.follow(first.id, |_| {}).await, Ok(JobEvent::Done { .. })), "told again to who comes late");
    assert!(client.sdks().await.unwrap().installed.is_empty());
    daemon.end().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_job_outlives_who_asked_for_it() {
    let home = Home::with(&["1.22.4"]);
    let daemon = home.start();
    let client = home.client();
    let engine = Engine::open(home.layout.clone(), home.setup().platform).unwrap();
    let version = Version::parse("1.22.4").unwrap();
    let lock = beside(|| engine.store().lock(&version, &|_: Event| {})).await.unwrap();
    let job = client.start(&NewJob::Remove { version: "go1.22.4".to_owned() }).await.unwrap();
    let follower = client.clone();
    let following = tokio::spawn(async move { follower.follow(job.id, |_| {}).await });
    following.abort();
    drop(lock);
    until("the end of the job", async || client.jobs().await.unwrap().jobs[0].state == "done").await;
    daemon.end().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn what_is_there_is_installed_at_once_and_what_is_not_cannot_be_removed() {
    let home = Home::with(&["1.22.4"]);
    let daemon = home.start();
    let client = home.client();
    let install = |spec: &str, by_repository| NewJob::Install {
        spec: spec.to_owned(),
        at_least: None,
        wanted_by: Some("/src/go.mod:3".to_owned()),
        by_repository,
        vars: (&home.vars()).into(),
    };
    let job = client.start(&install("1.22.4", true)).await.unwrap();
    let JobEvent::Done { already, goroot, .. } = client.follow(job.id, |_| {}).await.unwrap() else { panic!("failed") };
    assert!(already);
    assert_eq!(goroot.unwrap().into_path(), home.layout.sdks().join("go1.22.4"));

    let job = client.start(&NewJob::Remove { version: "1.22.5".to_owned() }).await.unwrap();
    let JobEvent::Failed { problem } = client.follow(job.id, |_| {}).await.unwrap() else { panic!("removed") };
    assert_eq!(problem.code, "no-version");
    let Err(Error::Problem(problem)) = client.start(&install("1.21.0", true)).await else { panic!("unsafe") };
    assert_eq!((problem.code.as_str(), problem.wanted_by.as_deref()), ("policy", Some("/src/go.mod:3")));
    let Err(Error::Problem(problem)) = client.start(&install("1.22.x", false)).await else { panic!("no version") };
    assert_eq!(problem.code, "usage");
    daemon.end().await;
}

/// Sends a request as it stands; gives the status and the problem.
fn send(home: &Home, request: &str) -> (u16, Problem) {
    let mut connection = UnixStream::connect(home.layout.api_socket()).unwrap();
    // Who is refused early may have hung up before the end of a long request.
    let _ = connection.write_all(request.as_bytes());
    let answer = String::from_utf8(receive(&mut connection)).unwrap();
    let (head, body) = answer.split_once("\r\n\r\n").unwrap_or_else(|| panic!("{answer:?}"));
    let status = head.split(' ').nth(1).unwrap().parse().unwrap();
    assert!(head.to_lowercase().contains("content-type: application/problem+json"), "{head}");
    (status, serde_json::from_str(body).unwrap())
}

#[tokio::test(flavor = "multi_thread")]
async fn web_pages_and_other_hosts_are_turned_away() {
    let home = Home::with(&[]);
    let daemon = home.start();
    let check = |line: &str, headers: &str, status: u16| {
        let (got, problem) = send(&home, &format!("{line} HTTP/1.1\r\n{headers}Connection: close\r\n\r\n"));
        assert_eq!((got, problem.status), (status, status), "{line} {headers}");
    };
    beside(|| {
        let ours = "Host: govern.local\r\n";
        check("GET /v1/status", "Host: evil.example\r\n", 403);
        check("GET /v1/status", "Host: localhost.evil.example\r\n", 403);
        check("GET /v1/status", "", 403);
        check("GET http://evil.example/v1/status", ours, 403);
        check("GET /v1/status", &format!("{ours}Origin: http://localhost\r\n"), 403);
        check("GET /v1/status", &format!("{ours}Referer: http://localhost/\r\n"), 403);
        check("POST /v1/shutdown", "Host: evil.example\r\nContent-Length: 0\r\n", 403);
        check("GET /v1/nothing", "Host: evil.example\r\n", 403);
        check("GET /v1/nothing", ours, 404);
        check("GET /v1/jobs/7/events", ours, 404);
        check("GET /v1/jobs/x/events", "Host: localhost\r\n", 404);
        check("DELETE /v1/status", ours, 405);
    })
    .await;
    assert!(home.client().status().await.is_ok());
    daemon.end().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn bodies_that_are_too_long_or_nonsense_are_problems() {
    let home = Home::with(&[]);
    let daemon = home.start();
    let post = |body: &str| {
        let head = "POST /v1/decision HTTP/1.1\r\nHost: govern.local\r\nConnection: close\r\n";
        send(&home, &format!("{head}Content-Length: {}\r\n\r\n{body}", body.len()))
    };
    beside(|| {
        let (status, problem) = post("{\"tool\":\"go\"}");
        assert_eq!(status, 400);
        assert!(problem.causes[0].contains("dir"), "{problem:?}");
        assert_eq!(post("").0, 400);
        assert_eq!(post(&"x".repeat(300 << 10)).0, 413);
    })
    .await;
    daemon.end().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn more_clients_than_there_is_room_for_wait_and_are_answered() {
    let home = Home::with(&[]);
    let daemon = home.start();
    crate::raise_open_files();
    let silent: Vec<UnixStream> = (0..300).map(|_| UnixStream::connect(home.layout.api_socket()).unwrap()).collect();
    let client = home.client();
    let late = tokio::spawn(async move { client.status().await });
    tokio::time::timeout(Duration::from_millis(200), async {
        while !late.is_finished() {
            tokio::task::yield_now().await;
        }
    })
    .await
    .expect_err("it waits for room");
    drop(silent);
    late.await.unwrap().unwrap();
    daemon.end().await;
}

/// The jobs that foreseeing has started, by release.
async fn foreseen(home: &Home, dir: &std::path::Path, vars: &[(&str, &str)]) -> Vec<String> {
    let engine = Engine::open(home.layout.clone(), home.setup().platform).unwrap();
    let index = beside(|| Index::start(engine.clone())).await.unwrap();
    let jobs = Jobs::new(CancellationToken::new());
    let changes = Changes { engine: engine.clone(), jobs: Arc::clone(&jobs), index, vars: Vars::default() };
    let mut all = home.vars();
    // Nobody listens there: a job that is started fails at once.
    all.set("GOVERN_DL_URL", "http://127.0.0.1:9/dl/");
    all.set("GOPROXY", "off");
    vars.iter().for_each(|(name, value)| all.set(name, *value));
    let question = Question { tool: Tool::Go, args: Vec::new(), vars: all.clone() };
    let decided = engine.decide(&question, dir).unwrap();
    changes.foresee(&Answered { cwd: dir.to_owned(), vars: all, decided });
    jobs.considered().await;
    jobs.all().into_iter().map(|job| job.version).collect()
}

#[tokio::test(flavor = "multi_thread")]
async fn only_what_the_next_go_would_install_anyway_is_foreseen() {
    let home = Home::with(&["1.22.4"]);
    let exact = home.project("exact", "1.26.3");
    assert_eq!(foreseen(&home, &exact, &[]).await, ["go1.26.3"]);
    let none: [String; 0] = [];
    assert_eq!(foreseen(&home, &exact, &[("GOVERN_AUTO_INSTALL", "0")]).await, none);
    assert_eq!(foreseen(&home, &exact, &[("GOVERN_OFFLINE", "1")]).await, none);
    assert_eq!(foreseen(&home, &home.project("family", "1.26"), &[]).await, none);
    assert_eq!(foreseen(&home, &home.project("here", "1.22.4"), &[]).await, none);
    assert_eq!(foreseen(&home, &home.project("unsafe", "1.20.1"), &[]).await, none);
    assert_eq!(foreseen(&home, &home.project("plain", ""), &[]).await, none);
}
