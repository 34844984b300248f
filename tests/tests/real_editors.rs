//! Editors and tools that know nothing of govern: what they ask a `go` in each folder, and a real gopls that serves two
//! folders with different pins. Run by `.ci/real-sdks`; building gopls takes a minute of a processor.
#![expect(clippy::unwrap_used, reason = "a test may panic")]

use std::io::{BufRead, BufReader, Write};
use std::path::{Path, PathBuf};
use std::process::{Child, ChildStdin, Command, Stdio};
use std::sync::mpsc::{self, Receiver};
use std::thread;
use std::time::{Duration, Instant};

use govern_tests::world::World;
use serde_json::{Value, json};

/// A gopls that the SDKs of the test can build.
const GOPLS: &str = "golang.org/x/tools/gopls@v0.24.0";

/// The longest that gopls may take for one answer: it loads the standard library first.
const DEADLINE: Duration = Duration::from_secs(180);

/// Folders and what is pinned there.
const FOLDERS: [(&str, &str); 2] = [("old", "go1.26.6"), ("new", "go1.27.3")];

/// `fmt.Println` is used on line 6, from the sixth column on.
const MAIN: &str = "package main\n\nimport \"fmt\"\n\nfunc main() {\n\tfmt.Println()\n}\n";

fn world() -> World {
    let world = World::new();
    for (folder, version) in FOLDERS {
        let home = world.home();
        home.write(&format!("{folder}/.go-version"), &format!("{}\n", version.trim_start_matches("go")));
        home.write(&format!("{folder}/go.mod"), &format!("module example.com/{folder}\n\ngo 1.24.0\n"));
        home.write(&format!("{folder}/main.go"), MAIN);
    }
    world
}

/// The root as programs print it.
fn root(world: &World, version: &str) -> PathBuf {
    world.root(version).canonicalize().unwrap()
}

#[test]
#[ignore = "downloads SDKs; .ci/real-sdks runs it"]
fn what_tools_ask_is_answered_for_each_folder_and_in_silence() {
    let world = world();
    let mut asked = 0;
    for daemon in [true, false] {
        if daemon {
            world.home().start_daemon();
        } else {
            world.home().stop_daemon();
        }
        for (folder, version) in FOLDERS {
            let ask = |arguments: &[&str], variables: &[(&str, &str)]| {
                let mut command = world.go_command(folder, arguments);
                // An editor was started elsewhere, and its programs set the directory and no more.
                command.env("PWD", "/").env("GOVERN_NO_DAEMON", "1").envs(variables.iter().copied());
                let outcome = world.home().run(command);
                assert_eq!(
                    (outcome.status, outcome.stderr.as_str()),
                    (0, ""),
                    "go {arguments:?} in {folder}\n{outcome}"
                );
                outcome.stdout.replace("[HOME]", &world.home().path().display().to_string())
            };
            assert!(ask(&["version"], &[]).contains(version), "go version in {folder}");
            let env: Value = serde_json::from_str(&ask(&["env", "-json"], &[])).unwrap();
            assert_eq!(env["GOVERSION"], version);
            assert_eq!(Path::new(env["GOROOT"].as_str().unwrap()), root(&world, version));
            assert_eq!(env["GOMOD"], world.home().path().join(folder).join("go.mod").to_str().unwrap());
            let env: Value = serde_json::from_str(&ask(&["env", "-json", "GOMOD", "GOWORK", "GOCACHE"], &[])).unwrap();
            assert_eq!(env["GOWORK"], "");
            let list: Value = serde_json::from_str(&ask(&["list", "-e", "-json", "fmt"], &[])).unwrap();
            assert_eq!(Path::new(list["Dir"].as_str().unwrap()), root(&world, version).join("src/fmt"));
            let list: Value = serde_json::from_str(&ask(&["list", "-json", "."], &[])).unwrap();
            assert_eq!(list["ImportPath"], format!("example.com/{folder}"));
            // As gopls asks for the version.
            let tags = ["list", "-e", "-f", "{{context.ReleaseTags}}", "--", "unsafe"];
            let minor = &version[..version.rfind('.').unwrap()];
            assert!(ask(&tags, &[("GO111MODULE", "off")]).trim_end().ends_with(&format!("{minor}]")), "in {folder}");
            asked += 6;
        }
    }
    assert_eq!(asked, 24, "questions");
}

#[test]
#[ignore = "builds gopls from the module proxy; .ci/real-sdks runs it"]
fn one_gopls_serves_each_folder_with_the_sdk_that_is_pinned_there() {
    let world = world();
    assert!(world.has_proxy(), "gopls comes from the module proxy, and it does not answer");
    world.home().start_daemon();
    let since = Instant::now();
    let bin = world.home().path().join("tools");
    let mut install = world.go_command("new", &["install", GOPLS]);
    // Kept beside the SDKs: the second run on a machine has nothing to compile.
    let kept = govern_tests::target().join("gopls-cache");
    install.env("GOCACHE", kept.join("build")).env("GOMODCACHE", kept.join("mod"));
    install.env("GOBIN", &bin).env("GOFLAGS", "-modcacherw");
    let installed = world.home().run(install);
    assert_eq!(installed.status, 0, "{installed}");
    println!("{GOPLS} built by go1.27.3 in {} s", since.elapsed().as_secs());

    let gopls = bin.join("gopls");
    for (folder, version) in FOLDERS {
        let mut definition = world.home().command(&gopls);
        definition.args(["definition", "main.go:6:7"]).current_dir(world.home().path().join(folder));
        let defined = world.home().run(definition);
        let said = defined.stdout.replace("[HOME]", &world.home().path().display().to_string());
        let place = root(&world, version).join("src/fmt/print.go").display().to_string();
        assert!(said.starts_with(&place), "gopls definition in {folder}: {place}\n{defined}");
    }

    let mut editor = Editor::start(&world, &gopls);
    for (folder, version) in FOLDERS {
        let file = world.home().path().join(folder).join("main.go");
        let position = json!({ "line": 5, "character": 6 });
        let answer = editor
            .ask("textDocument/definition", &json!({ "textDocument": { "uri": uri(&file) }, "position": position }));
        let place = uri(&root(&world, version).join("src/fmt/print.go"));
        assert_eq!(answer[0]["uri"], place, "{folder}: {answer}");
        println!("{folder}: fmt.Println is in {version}'s own library");
    }
    editor.ask("shutdown", &Value::Null);
    editor.tell("exit", &Value::Null);
    assert!(editor.gopls.wait().unwrap().success());
}

fn uri(path: &Path) -> String {
    format!("file://{}", path.display())
}

/// The smallest editor: opens one file in each folder, asks, and has no settings.
struct Editor {
    gopls: Child,
    to: ChildStdin,
    from: Receiver<Value>,
    last: u64,
}

impl Editor {
    fn start(world: &World, gopls: &Path) -> Editor {
        let mut command: Command = world.home().command(gopls);
        // From the desktop: neither of the folders.
        command.current_dir("/").stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::null());
        let mut gopls = command.spawn().unwrap();
        let (sender, from) = mpsc::channel();
        let mut stdout = BufReader::new(gopls.stdout.take().unwrap());
        thread::spawn(move || {
            while let Some(message) = message(&mut stdout) {
                if sender.send(message).is_err() {
                    break;
                }
            }
        });
        let to = gopls.stdin.take().unwrap();
        let mut editor = Editor { gopls, to, from, last: 0 };
        let folder = |name: &str| json!({ "uri": uri(&world.home().path().join(name)), "name": name });
        let folders: Vec<Value> = FOLDERS.iter().map(|(name, _)| folder(name)).collect();
        editor.ask(
            "initialize",
            &json!({
                "processId": null, "rootUri": null, "workspaceFolders": folders,
                "capabilities": { "workspace": { "workspaceFolders": true, "configuration": true } },
            }),
        );
        editor.tell("initialized", &json!({}));
        for (folder, _) in FOLDERS {
            let file = uri(&world.home().path().join(folder).join("main.go"));
            let document = json!({ "uri": file, "languageId": "go", "version": 1, "text": MAIN });
            editor.tell("textDocument/didOpen", &json!({ "textDocument": document }));
        }
        editor
    }

    fn tell(&mut self, method: &str, params: &Value) {
        self.send(&json!({ "jsonrpc": "2.0", "method": method, "params": params }));
    }

    /// Asks, and answers what gopls asks meanwhile: that there are no settings.
    fn ask(&mut self, method: &str, params: &Value) -> Value {
        self.last += 1;
        let id = self.last;
        self.send(&json!({ "jsonrpc": "2.0", "id": id, "method": method, "params": params }));
        loop {
            let message = self.from.recv_timeout(DEADLINE).unwrap_or_else(|e| panic!("{method}: no answer: {e}"));
            match (message.get("method"), message.get("id")) {
                (None, Some(answered)) if *answered == id => {
                    assert_eq!(message.get("error"), None, "{method}: {message}");
                    return message["result"].clone();
                }
                (Some(asked), Some(their)) => {
                    let items = message["params"]["items"].as_array().map_or(0, Vec::len);
                    let nothing =
                        if asked == "workspace/configuration" { json!(vec![Value::Null; items]) } else { Value::Null };
                    self.send(&json!({ "jsonrpc": "2.0", "id": their, "result": nothing }));
                }
                _ => {}
            }
        }
    }

    fn send(&mut self, message: &Value) {
        let text = message.to_string();
        write!(self.to, "Content-Length: {}\r\n\r\n{text}", text.len()).unwrap();
        self.to.flush().unwrap();
    }
}

impl Drop for Editor {
    fn drop(&mut self) {
        self.gopls.kill().ok();
        self.gopls.wait().ok();
    }
}

/// The next message; none when gopls has ended.
fn message(from: &mut impl BufRead) -> Option<Value> {
    let mut length = 0;
    loop {
        let mut line = String::new();
        if from.read_line(&mut line).ok()? == 0 {
            return None;
        }
        match line.trim_end().split_once(": ") {
            Some(("Content-Length", number)) => length = number.parse().ok()?,
            Some(_) => {}
            None => break,
        }
    }
    let mut body = vec![0; length];
    from.read_exact(&mut body).ok()?;
    serde_json::from_slice(&body).ok()
}
