//! How daemons begin, are replaced, and end.

use std::fs;
use std::os::unix::net::{UnixListener, UnixStream};
use std::sync::Arc;
use std::time::Duration;

use govern_api::body::{JobEvent, NewJob};
use govern_api::client::Error;
use govern_core::event::Event;
use govern_core::version::Version;
use govern_engine::Engine;
use govern_wire::Tool;

use super::{Home, Running, beside, program, until};
use crate::daemon::{Daemon, Setup};
use crate::os::Inherited;

#[tokio::test(flavor = "multi_thread")]
async fn of_two_daemons_that_start_at_once_one_lives() {
    let home = Arc::new(Home::with(&["1.22.4"]));
    let racers: Vec<_> = (0..8)
        .map(|_| {
            let home = Arc::clone(&home);
            tokio::task::spawn_blocking(move || Daemon::start(home.setup()).unwrap())
        })
        .collect();
    let mut alive = Vec::new();
    for racer in racers {
        alive.extend(racer.await.unwrap());
    }
    assert_eq!(alive.len(), 1);
    let daemon = Running::new(alive.remove(0));
    assert!(home.client().status().await.is_ok());
    daemon.end().await;
    home.start().end().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn what_a_killed_daemon_left_is_taken_away() {
    let home = Home::with(&["1.22.4"]);
    let project = home.project("shop", "1.22.4");
    fs::create_dir_all(home.layout.run()).unwrap();
    for socket in [home.layout.shim_socket(), home.layout.api_socket()] {
        drop(UnixListener::bind(&socket).unwrap());
        // A child that another test has forked holds it as well, until it executes its program.
        until("a stale socket", async || UnixStream::connect(&socket).is_err()).await;
    }
    let stage = home.layout.sdks().join(".stage-1.24.11-abc");
    fs::create_dir_all(stage.join("go")).unwrap();
    let daemon = home.start();
    assert!(!stage.exists());
    assert_eq!(beside(|| home.program(&project)).await.unwrap(), "go1.22.4/bin/go");
    assert!(home.client().status().await.is_ok());
    daemon.end().await;
    assert!(!home.layout.shim_socket().exists() && !home.layout.api_socket().exists());
}

#[tokio::test(flavor = "multi_thread")]
async fn sockets_that_were_taken_away_are_opened_anew() {
    let home = Home::with(&["1.22.4"]);
    let project = home.project("shop", "1.22.4");
    let mut daemon = Daemon::start(home.setup()).unwrap().unwrap();
    daemon.look_after().unwrap();
    let check = async |daemon: &mut Daemon| {
        daemon.look_after().unwrap();
        assert_eq!(beside(|| home.program(&project)).await.unwrap(), "go1.22.4/bin/go");
        assert!(home.client().status().await.is_ok());
    };
    fs::remove_file(home.layout.shim_socket()).unwrap();
    check(&mut daemon).await;
    fs::remove_file(home.layout.api_socket()).unwrap();
    check(&mut daemon).await;
    fs::remove_dir_all(home.layout.run()).unwrap();
    check(&mut daemon).await;
    assert!(fs::symlink_metadata(home.layout.run()).unwrap().is_dir());
    fs::remove_file(home.layout.daemon_lock()).unwrap();
    assert!(daemon.look_after().is_err(), "another daemon may run by now");
    Running::new(daemon).end().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_runtime_directory_is_used_and_found_again_after_a_cleaner() {
    let home = Home::with(&["1.22.4"]);
    let project = home.project("shop", "1.22.4");
    let runtime = home.user().join("runtime");
    fs::create_dir(&runtime).unwrap();
    let mut setup = home.setup();
    setup.vars.set("XDG_RUNTIME_DIR", &runtime);
    let mut daemon = Daemon::start(setup).unwrap().unwrap();
    let target = fs::read_link(home.layout.run()).unwrap();
    assert!(target.starts_with(&runtime));
    assert_eq!(beside(|| home.program(&project)).await.unwrap(), "go1.22.4/bin/go");
    fs::remove_dir_all(runtime.join("govern")).unwrap();
    daemon.look_after().unwrap();
    assert_eq!(fs::read_link(home.layout.run()).unwrap(), target);
    assert_eq!(beside(|| home.program(&project)).await.unwrap(), "go1.22.4/bin/go");
    Running::new(daemon).end().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn sockets_of_a_service_manager_are_used_and_left_in_place() {
    let home = Home::with(&["1.22.4"]);
    let project = home.project("shop", "1.22.4");
    let manager = home.user().join("manager");
    fs::create_dir(&manager).unwrap();
    let [shim, api] = ["shim.sock", "api.sock"].map(|name| UnixListener::bind(manager.join(name)).unwrap());
    for _ in 0..2 {
        let inherited = Inherited { shim: shim.try_clone().ok(), api: api.try_clone().ok() };
        let daemon = Running::new(Daemon::start(Setup { inherited, ..home.setup() }).unwrap().unwrap());
        assert_eq!(fs::read_link(home.layout.run()).unwrap(), manager);
        assert_eq!(beside(|| home.program(&project)).await.unwrap(), "go1.22.4/bin/go");
        assert!(home.client().status().await.is_ok());
        daemon.end().await;
        assert!(home.layout.shim_socket().exists() && home.layout.api_socket().exists());
    }
    // Nobody listens now, but the manager holds the socket: the question waits for the next daemon.
    let waiting = tokio::task::spawn_blocking({
        let question = home.question(Tool::Go, &project, &[], &[]);
        let path = home.layout.shim_socket();
        move || {
            use std::io::Write as _;
            let mut connection = UnixStream::connect(path).unwrap();
            connection.write_all(&question).unwrap();
            super::receive(&mut connection)
        }
    });
    let inherited = Inherited { shim: Some(shim), api: Some(api) };
    let daemon = Running::new(Daemon::start(Setup { inherited, ..home.setup() }).unwrap().unwrap());
    assert_eq!(program(&home.layout, &waiting.await.unwrap()).unwrap(), "go1.22.4/bin/go");
    daemon.end().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_job_under_way_is_waited_for_and_its_followers_hear_the_end() {
    let home = Home::with(&["1.22.4"]);
    let daemon = home.start();
    let client = home.client();
    let engine = Engine::open(home.layout.clone(), home.setup().platform).unwrap();
    let version = Version::parse("1.22.4").unwrap();
    let lock = beside(|| engine.store().lock(&version, &|_: Event| {})).await.unwrap();
    let job = client.start(&NewJob::Remove { version: "1.22.4".to_owned() }).await.unwrap();
    let follower = client.clone();
    let following = tokio::spawn(async move { follower.follow(job.id, |_| {}).await });
    client.shutdown().await.unwrap();
    // It goes on answering, and takes no new work.
    until("no new work", async || {
        let again = client.start(&NewJob::Remove { version: "1.24.11".to_owned() }).await;
        matches!(again, Err(Error::Problem(problem)) if problem.code == "daemon")
    })
    .await;
    assert_eq!(client.status().await.unwrap().jobs.len(), 1);
    drop(lock);
    assert!(following.await.unwrap().unwrap().is_last());
    daemon.end().await;
    assert!(!home.layout.sdks().join("go1.22.4").exists());
}

#[tokio::test(flavor = "multi_thread")]
async fn an_open_event_stream_keeps_no_daemon_alive() {
    let home = Home::with(&["1.22.4"]);
    let setup = Setup { drain: Duration::from_millis(100), ..home.setup() };
    let daemon = Running::new(Daemon::start(setup).unwrap().unwrap());
    let client = home.client();
    let engine = Engine::open(home.layout.clone(), home.setup().platform).unwrap();
    let version = Version::parse("1.22.4").unwrap();
    let lock = beside(|| engine.store().lock(&version, &|_: Event| {})).await.unwrap();
    let job = client.start(&NewJob::Remove { version: "1.22.4".to_owned() }).await.unwrap();
    let following = tokio::spawn(async move { client.follow(job.id, |_| {}).await });
    // A request that never ends holds up nobody either.
    let _half = UnixStream::connect(home.layout.api_socket()).unwrap();
    daemon.end().await;
    let JobEvent::Failed { problem } = following.await.unwrap().unwrap() else { panic!("done") };
    assert_eq!(problem.code, "daemon");
    // The runtime waits for the thread that waits for the lock.
    drop(lock);
}
