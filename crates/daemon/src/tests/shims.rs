//! What shims are told.

use std::fs;
use std::io::Write as _;
use std::os::unix::fs::{PermissionsExt as _, symlink};
use std::os::unix::net::UnixStream;
use std::thread;
use std::time::SystemTime;

use govern_core::spec::Spec;
use govern_engine::{Engine, index};
use govern_wire::{Answer, Tool};

use super::{Home, Running, beside, program, receive, until};
use crate::daemon::Daemon;

#[tokio::test(flavor = "multi_thread")]
async fn a_shim_is_told_the_program_its_lease_and_its_environment() {
    let home = Home::with(&["1.22.4", "1.24.11"]);
    let project = home.project("shop", "1.22.4\n");
    let daemon = home.start();
    let answer = beside(|| home.ask_as_shim(Tool::Gofmt, &project, &["-l"], &["GOROOT=/elsewhere".to_owned()])).await;
    let Answer::Run(run) = Answer::decode(&answer).unwrap() else { panic!("sent to govern") };
    let goroot = home.layout.sdks().join("go1.22.4");
    let text = |bytes: &[u8]| str::from_utf8(bytes).unwrap().to_owned();
    assert_eq!(text(run.program), goroot.join("bin/gofmt").to_str().unwrap());
    let lease = run.lease.map(text).unwrap();
    assert_eq!(lease, home.layout.leases().join("go1.22.4.lease").to_str().unwrap());
    assert!(fs::metadata(&lease).unwrap().is_file(), "a shim opens it and makes none");
    assert_eq!(run.append_path.map(text).unwrap(), home.layout.launchers_all().to_str().unwrap());
    assert!(run.set().any(|(name, value)| (name, value) == (b"GOTOOLCHAIN", b"go1.22.4")));
    assert!(run.unset().any(|name| name == b"GOROOT"));
    assert_eq!(run.drop_arguments, 0);

    let plus = beside(|| home.ask_as_shim(Tool::Go, &project, &["+1.24.11", "version"], &[])).await;
    let Answer::Run(run) = Answer::decode(&plus).unwrap() else { panic!("sent to govern") };
    assert_eq!((text(run.program).contains("go1.24.11"), run.drop_arguments), (true, 1));
    let launcher = beside(|| home.ask_as_shim(Tool::Launcher(b"go1.24.11"), &project, &[], &[])).await;
    assert_eq!(program(&home.layout, &launcher).unwrap(), "go1.24.11/bin/go");
    daemon.end().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_shim_is_told_of_a_linked_tree_without_a_lease_and_of_a_broken_one_not_at_all() {
    let home = Home::with(&["1.22.4"]);
    let project = home.project("shop", "1.22.4\n");
    let goroot = home.user().join("tip");
    fs::create_dir_all(goroot.join("bin")).unwrap();
    fs::create_dir_all(goroot.join("src")).unwrap();
    fs::write(goroot.join("bin/go"), "#!/bin/sh\n").unwrap();
    fs::set_permissions(goroot.join("bin/go"), fs::Permissions::from_mode(0o755)).unwrap();
    let daemon = home.start();
    beside(|| {
        let told = || home.ask_as_shim(Tool::Gofmt, &project, &["-l"], &[]);
        assert_eq!(home.program(&project).unwrap(), "go1.22.4/bin/go");
        fs::write(project.join(".go-version"), "tip\n").unwrap();
        assert_eq!(program(&home.layout, &told()), None, "nothing is linked");
        fs::create_dir_all(home.layout.links()).unwrap();
        symlink(&goroot, home.layout.links().join("tip")).unwrap();
        let answer = told();
        let Answer::Run(run) = Answer::decode(&answer).unwrap() else { panic!("sent to govern") };
        assert_eq!(run.program, goroot.join("bin/gofmt").as_os_str().as_encoded_bytes());
        assert_eq!(run.lease, None, "govern removes no linked tree");
        assert!(run.set().any(|(name, value)| (name, value) == (b"GOTOOLCHAIN", b"local")));
    })
    .await;
    let client = home.client();
    assert_eq!(client.projects().await.unwrap().projects, [], "go1.22.4 is wanted there no more");
    beside(|| {
        fs::write(project.join(".go-version"), "1.22.4\n").unwrap();
        assert_eq!(home.program(&project).unwrap(), "go1.22.4/bin/go");
    })
    .await;
    assert_eq!(client.projects().await.unwrap().projects.len(), 1);
    beside(|| {
        fs::write(project.join(".go-version"), "tip\n").unwrap();
        fs::remove_file(goroot.join("bin/go")).unwrap();
        let told = home.ask_as_shim(Tool::Gofmt, &project, &["-l"], &[]);
        assert_eq!(program(&home.layout, &told), None, "for govern to say");
    })
    .await;
    let sdks = client.sdks().await.unwrap();
    assert_eq!((sdks.linked[0].name.as_str(), sdks.linked[0].problem.is_some()), ("tip", true));
    daemon.end().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn an_edited_pin_and_a_new_sdk_count_for_the_very_next_question() {
    let home = Home::with(&["1.22.4"]);
    let project = home.project("shop", "1.22.4");
    let daemon = home.start();
    beside(|| {
        assert_eq!(home.program(&project).unwrap(), "go1.22.4/bin/go");
        fs::write(project.join(".go-version"), "1.24.11").unwrap();
        assert_eq!(home.program(&project), None, "not installed: for govern to say");
        home.add_sdk("1.24.11");
        assert_eq!(home.program(&project).unwrap(), "go1.24.11/bin/go");
        fs::remove_dir_all(home.layout.sdks().join("go1.24.11")).unwrap();
        assert_eq!(home.program(&project), None);
    })
    .await;
    daemon.end().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn what_cannot_be_decided_is_for_govern_to_explain() {
    let home = Home::with(&["1.22.4"]);
    let project = home.project("shop", "nonsense");
    let daemon = home.start();
    let loops = home.project("loop", "1.22.4");
    beside(|| {
        assert_eq!(home.program(&project), None);
        let deep = home.ask_as_shim(Tool::Go, &loops, &[], &["GOVERN_DEPTH=8".to_owned()]);
        assert_eq!(program(&home.layout, &deep), None);
        let launcher = home.ask_as_shim(Tool::Launcher(b"\xff"), &loops, &[], &[]);
        assert_eq!(program(&home.layout, &launcher), None);
        fs::create_dir_all(&home.layout.config).unwrap();
        fs::write(home.layout.config_file(), "default = [").unwrap();
        assert_eq!(home.program(&loops), None);
    })
    .await;
    let status = home.client().status().await.unwrap();
    assert_eq!((status.questions, status.fallbacks), (4, 4));
    daemon.end().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_thousand_questions_at_once_are_all_answered() {
    let home = Home::with(&["1.22.4", "1.24.11"]);
    let projects = [home.project("a", "1.22.4"), home.project("b", "1.24.11")];
    let daemon = home.start();
    crate::raise_open_files();
    beside(|| {
        thread::scope(|scope| {
            for asker in 0..4 {
                let (home, project) = (&home, &projects[asker % 2]);
                scope.spawn(move || {
                    let question = home.question(Tool::Go, project, &["build", "./..."], &[]);
                    let mut open: Vec<UnixStream> =
                        (0..250).map(|_| UnixStream::connect(home.layout.shim_socket()).unwrap()).collect();
                    open.iter_mut().for_each(|connection| connection.write_all(&question).unwrap());
                    let expected = ["go1.22.4/bin/go", "go1.24.11/bin/go"][asker % 2];
                    for connection in &mut open {
                        assert_eq!(program(&home.layout, &receive(connection)).unwrap(), expected);
                    }
                });
            }
        });
    })
    .await;
    let client = home.client();
    assert_eq!(client.status().await.unwrap().questions, 1_000);
    let projects = client.projects().await.unwrap().projects;
    assert_eq!(projects.iter().map(|project| project.count).sum::<u64>(), 1_000);
    daemon.end().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn use_is_remembered_also_by_an_index_that_was_deleted_meanwhile() {
    let home = Home::with(&["1.22.4", "1.24.11"]);
    let project = home.project("shop", "1.22.4");
    let inner = project.join("cmd/till");
    fs::create_dir_all(&inner).unwrap();
    let daemon = home.start();
    let client = home.client();
    assert_eq!(client.status().await.unwrap().index, "created");
    for _ in 0..2 {
        assert_eq!(beside(|| home.program(&inner)).await.unwrap(), "go1.22.4/bin/go");
        let projects = client.projects().await.unwrap().projects;
        let [known] = projects.as_slice() else { panic!("{projects:?}") };
        assert_eq!(known.dir.clone().into_path(), project);
        assert_eq!((known.version.as_str(), known.kind.as_str(), known.count), ("go1.22.4", "pin", 1));
        assert!(known.origin.ends_with("shop/.go-version:1"), "{}", known.origin);
        let sdks = client.sdks().await.unwrap().installed;
        let used: Vec<_> = sdks.iter().map(|sdk| (sdk.version.as_str(), sdk.last_used.is_some())).collect();
        assert_eq!(used, [("go1.24.11", false), ("go1.22.4", true)]);
        fs::remove_dir_all(&home.layout.state).unwrap();
    }
    daemon.end().await;
    let daemon = home.start();
    assert_eq!(home.client().status().await.unwrap().index, "created", "deleted for the second time");
    daemon.end().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn the_index_knows_the_pins_on_the_way_and_the_overrides() {
    let home = Home::with(&["1.22.4"]);
    let outer = home.project("shop", "1.24.11");
    let inner = home.project("shop/till", "1.22.4");
    let spec = Spec::parse("1.26").unwrap();
    let engine = Engine::open(home.layout.clone(), home.setup().platform).unwrap();
    engine.set_override(&home.user(), Some(&spec)).unwrap();
    engine.set_override(&inner, Some(&Spec::parse("1.22.4").unwrap())).unwrap();
    let daemon = home.start();
    assert_eq!(beside(|| home.program(&inner)).await.unwrap(), "go1.22.4/bin/go");
    daemon.end().await;
    let rows = || {
        let (index, _) = index::Index::open(&home.layout.index(), SystemTime::now()).unwrap();
        let pins = index.pins().unwrap().into_iter().map(|pin| (pin.directory, pin.text)).collect::<Vec<_>>();
        (pins, index.overrides().unwrap())
    };
    let overrides = vec![(home.user(), "1.26".to_owned()), (inner.clone(), "1.22.4".to_owned())];
    assert_eq!(rows(), (vec![(outer, "1.24.11".to_owned()), (inner.clone(), "1.22.4".to_owned())], overrides));
    fs::remove_dir_all(home.user().join("shop")).unwrap();
    engine.set_override(&inner, None).unwrap();
    home.start().end().await;
    assert_eq!(rows(), (Vec::new(), vec![(home.user(), "1.26".to_owned())]), "the disk is the truth");
}

#[tokio::test(flavor = "multi_thread")]
async fn an_edited_pin_is_installed_ahead() {
    let home = Home::with(&["1.22.4"]);
    let project = home.project("shop", "1.22.4");
    let mut setup = home.setup();
    // Nobody listens there: the job fails. That it was started is the point.
    setup.vars.set("GOVERN_DL_URL", "http://127.0.0.1:9/dl/");
    setup.vars.set("GOPROXY", "off");
    let daemon = Running::new(Daemon::start(setup).unwrap().unwrap());
    let client = home.client();
    beside(|| home.program(&project)).await;
    until("a watch", async || client.status().await.unwrap().watched == 1).await;
    fs::write(project.join(".go-version"), "1.26.3\n").unwrap();
    until("a job", async || client.jobs().await.unwrap().jobs.iter().any(|job| job.version == "go1.26.3")).await;
    daemon.end().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn an_index_that_cannot_be_made_stops_nothing() {
    let home = Home::with(&["1.22.4"]);
    let project = home.project("shop", "1.22.4");
    fs::write(&home.layout.state, "a file in its place").unwrap();
    let daemon = home.start();
    let client = home.client();
    assert_eq!(beside(|| home.program(&project)).await.unwrap(), "go1.22.4/bin/go");
    assert_eq!(client.status().await.unwrap().index, "unusable");
    assert_eq!(client.sdks().await.unwrap().installed.len(), 1);
    assert!(client.projects().await.unwrap_err().to_string().contains("index"));
    daemon.end().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn directories_that_were_asked_in_are_watched() {
    let home = Home::with(&["1.22.4"]);
    let project = home.project("shop", "1.22.4");
    let daemon = home.start();
    let client = home.client();
    assert_eq!(client.status().await.unwrap().watched, 0);
    beside(|| home.program(&project)).await;
    until("a watch", async || client.status().await.unwrap().watched == 1).await;
    daemon.end().await;
}

#[tokio::test(flavor = "multi_thread")]
#[cfg(target_os = "linux")]
async fn an_installation_with_a_long_path_is_served() {
    let mut home = Home::with(&[]);
    let deep = home.dir.path().canonicalize().unwrap().join("d".repeat(100)).join("govern");
    home.layout = govern_core::layout::Layout::under(&deep);
    home.add_sdk("1.22.4");
    let daemon = home.start();
    assert!(home.layout.shim_socket().exists());
    daemon.end().await;
    assert!(!home.layout.shim_socket().exists());
}
