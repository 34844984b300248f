//! Whole daemons, in process, on temporary directories: asked through the API's client and through the shims' bytes.
//! Fake SDKs, no network. What one part does alone is tested beside it.

mod end;
mod fresh;
mod requests;
mod shims;

use std::fs;
use std::io::{Read as _, Write as _};
use std::os::unix::net::UnixStream;
use std::path::{Path, PathBuf};
use std::time::Duration;

use govern_api::body::{Ask, VarsBody};
use govern_api::client::Client;
use govern_core::layout::Layout;
use govern_core::platform::Platform;
use govern_core::vars::Vars;
use govern_wire::{Answer, MAX_FRAME, Question, Tool};
use tokio::task::{self, JoinHandle};
use tokio::time;
use tokio_util::sync::CancellationToken;

use crate::daemon::{Daemon, Hints, Setup};
use crate::os::{self, Inherited};

/// Whatever is waited for must come within this.
pub(crate) const LONG: Duration = Duration::from_secs(20);

/// An installation with fake SDKs, and a project.
pub(crate) struct Home {
    dir: tempfile::TempDir,
    pub(crate) layout: Layout,
}

impl Home {
    pub(crate) fn with(versions: &[&str]) -> Home {
        let dir = tempfile::tempdir().unwrap();
        let root = dir.path().canonicalize().unwrap();
        let layout = Layout { system: root.join("etc"), ..Layout::under(&root.join("govern")) };
        let home = Home { dir, layout };
        fs::create_dir(home.user()).unwrap();
        versions.iter().for_each(|version| home.add_sdk(version));
        home
    }

    fn add_sdk(&self, version: &str) {
        let goroot = self.layout.sdks().join(format!("go{version}"));
        fs::create_dir_all(goroot.join("bin")).unwrap();
        fs::create_dir_all(goroot.join("pkg/tool/linux_amd64")).unwrap();
        for program in ["go", "gofmt"] {
            fs::write(goroot.join("bin").join(program), "#!/bin/sh\n").unwrap();
        }
    }

    /// The user's home directory.
    fn user(&self) -> PathBuf {
        self.dir.path().canonicalize().unwrap().join("home")
    }

    /// A directory that pins a version.
    pub(crate) fn project(&self, name: &str, pin: &str) -> PathBuf {
        let project = self.user().join(name);
        fs::create_dir_all(&project).unwrap();
        fs::write(project.join(".go-version"), pin).unwrap();
        project
    }

    fn vars(&self) -> Vars {
        let mut vars = Vars::default();
        vars.set("HOME", self.user());
        vars
    }

    pub(crate) fn setup(&self) -> Setup {
        Setup {
            layout: self.layout.clone(),
            platform: Platform::from_rust("linux", "x86_64"),
            vars: self.vars(),
            inherited: Inherited::default(),
            drain: LONG,
            hints: Hints::Watch,
        }
    }

    fn start(&self) -> Running {
        Running::new(Daemon::start(self.setup()).unwrap().expect("no other daemon"))
    }

    fn client(&self) -> Client {
        Client::new(&self.layout.api_socket(), os::own_uid())
    }

    fn ask(&self, dir: &Path) -> Ask {
        Ask { tool: "go".to_owned(), dir: dir.into(), args: Vec::new(), vars: VarsBody::from(&self.vars()) }
    }

    /// Asks as a shim does, and gives the bytes of the answer.
    fn ask_as_shim(&self, tool: Tool<'_>, dir: &Path, args: &[&str], vars: &[String]) -> Vec<u8> {
        let mut connection = UnixStream::connect(self.layout.shim_socket()).unwrap();
        connection.write_all(&self.question(tool, dir, args, vars)).unwrap();
        receive(&mut connection)
    }

    pub(crate) fn question(&self, tool: Tool<'_>, dir: &Path, args: &[&str], vars: &[String]) -> Vec<u8> {
        let home = format!("HOME={}", self.user().display());
        let vars = vars.iter().chain([&home]).map(|var| var.as_bytes());
        let args = args.iter().map(|arg| arg.as_bytes());
        let mut buffer = vec![0; MAX_FRAME];
        let dir = dir.as_os_str().as_encoded_bytes();
        Question::encode(&mut buffer, tool, dir, args, vars).unwrap().to_vec()
    }

    /// The program that a shim is told to run in a directory, below the SDKs; `None` when it is sent to `govern`.
    fn program(&self, dir: &Path) -> Option<String> {
        program(&self.layout, &self.ask_as_shim(Tool::Go, dir, &[], &[]))
    }
}

fn program(layout: &Layout, answer: &[u8]) -> Option<String> {
    match Answer::decode(answer).unwrap() {
        Answer::Run(run) => {
            let program = Path::new(str::from_utf8(run.program).unwrap()).strip_prefix(layout.sdks()).unwrap();
            Some(program.to_str().unwrap().to_owned())
        }
        Answer::Fallback => None,
    }
}

fn receive(connection: &mut UnixStream) -> Vec<u8> {
    connection.set_read_timeout(Some(LONG)).unwrap();
    let mut answer = Vec::new();
    connection.read_to_end(&mut answer).unwrap();
    answer
}

/// A daemon that runs. Ends with the test.
struct Running {
    stop: CancellationToken,
    cut: CancellationToken,
    task: JoinHandle<()>,
}

impl Running {
    fn new(daemon: Daemon) -> Running {
        Running { stop: daemon.stop(), cut: daemon.cut(), task: tokio::spawn(daemon.run()) }
    }

    /// Ends it and waits for that.
    async fn end(mut self) {
        self.stop.cancel();
        time::timeout(LONG, &mut self.task).await.expect("it ends").unwrap();
    }
}

impl Drop for Running {
    fn drop(&mut self) {
        self.cut.cancel();
    }
}

/// Runs what blocks beside the daemon.
async fn beside<T: Send>(work: impl FnOnce() -> T) -> T {
    task::block_in_place(work)
}

/// Waits until something is so.
async fn until(what: &str, mut is_so: impl AsyncFnMut() -> bool) {
    let waiting = async {
        while !is_so().await {
            task::yield_now().await;
        }
    };
    time::timeout(LONG, waiting).await.unwrap_or_else(|_| panic!("waited in vain: {what}"));
}
