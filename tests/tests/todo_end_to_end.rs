//! Several people with one list: the terminal program as a person uses it, through a real relay.

use std::io::{BufRead, BufReader};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Output, Stdio};
use std::sync::{LazyLock, mpsc};
use std::time::Duration;
use weftline_relay::{Config, Relay, StoreChoice};

/// Far longer than anything here takes.
const PATIENCE: Duration = Duration::from_secs(30);

/// The program, built as this test was. It is another package's, so that Cargo does not build it for us.
static TODO: LazyLock<PathBuf> = LazyLock::new(|| {
    let test = std::env::current_exe().unwrap();
    let profile = test.ancestors().nth(2).expect("TARGET/PROFILE/deps/test");
    let mut build = Command::new(env!("CARGO"));
    build.args(["build", "--quiet", "--package", "weftline-todo", "--target-dir"]).arg(profile.parent().unwrap());
    if profile.ends_with("release") {
        build.arg("--release");
    }
    assert!(build.current_dir(env!("CARGO_MANIFEST_DIR")).status().unwrap().success());
    profile.join("todo").with_extension(std::env::consts::EXE_EXTENSION)
});

struct Person<'a> {
    relay: String,
    store: &'a Path,
}

impl Person<'_> {
    fn command(&self, arguments: &[&str]) -> Command {
        let mut command = Command::new(&*TODO);
        for (name, _) in std::env::vars_os().filter(|(name, _)| name.to_string_lossy().starts_with("TODO_")) {
            command.env_remove(name);
        }
        // Far longer than anything here takes, so that a slow machine does not make an edit "kept for later".
        command.args(["--relay", &self.relay, "--wait", "30000", "--store"]).arg(self.store).args(arguments);
        command
    }

    fn todo(&self, arguments: &[&str]) -> Output {
        let output = self.command(arguments).output().unwrap();
        assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
        output
    }

    fn json(&self) -> serde_json::Value {
        serde_json::from_slice(&self.todo(&["list", "--json"]).stdout).unwrap()
    }

    fn titles(&self) -> Vec<String> {
        let list = self.json();
        list.as_array().unwrap().iter().map(|todo| todo["title"].as_str().unwrap().to_owned()).collect()
    }
}

/// A relay on a thread of its own, because the programs are waited for without async.
fn relay() -> (tokio::runtime::Runtime, String) {
    let runtime = tokio::runtime::Builder::new_multi_thread().enable_all().build().unwrap();
    let mut config = Config::new(StoreChoice::Memory);
    config.listen.set_port(0);
    let relay = runtime.block_on(Relay::bind(config)).unwrap();
    let address = format!("ws://{}", relay.local_addr());
    // It serves for as long as the runtime lives.
    runtime.spawn(async move {
        let _relay = relay;
        std::future::pending::<()>().await;
    });
    (runtime, address)
}

/// Ends the program when a test fails, too.
struct Running(Child);

impl Drop for Running {
    fn drop(&mut self) {
        // It may have ended by itself.
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}

#[test]
fn two_people_share_a_list_offline_edits_included() {
    let (_runtime, relay) = relay();
    let (a, b) = (tempfile::tempdir().unwrap(), tempfile::tempdir().unwrap());
    let a = Person { relay: relay.clone(), store: a.path() };
    let b = Person { relay, store: b.path() };
    // Both create the list before they ever meet.
    let kept = a.todo(&["--offline", "add", "from a"]);
    assert!(String::from_utf8_lossy(&kept.stderr).contains("kept on this computer"));
    b.todo(&["--offline", "add", "from b"]);
    let saved = a.todo(&["add", "from a again"]);
    assert_eq!(String::from_utf8_lossy(&saved.stderr), "saved at the relay\n");
    let list = b.titles();
    assert_eq!(list.len(), 3);
    assert_eq!(a.titles(), list);

    let number = (list.iter().position(|title| title == "from b").unwrap() + 1).to_string();
    a.todo(&["toggle", &number]);
    b.todo(&["clear-completed"]);
    assert_eq!(a.json(), b.json());
    assert_eq!(a.titles(), ["from a", "from a again"]);
}

#[test]
fn watch_shows_what_a_second_program_on_the_same_store_adds() {
    let (_runtime, relay) = relay();
    let store = tempfile::tempdir().unwrap();
    let person = Person { relay, store: store.path() };
    let mut watch = person.command(&["watch"]).stdout(Stdio::piped()).spawn().unwrap();
    let lines = BufReader::new(watch.stdout.take().unwrap()).lines().map_while(Result::ok);
    let watch = Running(watch);
    // Read by a thread, so that a program that says nothing fails the test and does not hang it.
    let (send, receive) = mpsc::channel();
    let reader = std::thread::spawn(move || lines.for_each(|line| drop(send.send(line))));
    let until = |wanted: &str| {
        while receive.recv_timeout(PATIENCE).unwrap_or_else(|_| panic!("waited for {wanted:?}")) != wanted {}
    };
    until("live");
    person.todo(&["add", "milk"]);
    until("1 [ ] milk");
    person.todo(&["toggle", "1"]);
    until("1 [x] milk");
    drop(watch);
    reader.join().unwrap();
    assert_eq!(person.titles(), ["milk"]);
}
