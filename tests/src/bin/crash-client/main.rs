//! A client to be killed: opens a few documents, edits them without pause, and says what became of its edits.
//!
//! Takes one argument, a JSON object (see [`Config`]), and then commands on standard input, one a line:
//!
//! | command | does |
//! |---|---|
//! | `edit` | goes on editing |
//! | `connect` | does not wait for the next attempt to connect |
//! | `rest` | edits no more, and says `rested` of each document once all of it is saved |
//! | `dump D FILE` | writes document D to the file as JSON, and says `dumped` |
//! | `await D HASH FILE` | the same, once the document is at this version |
//! | `quit` | closes everything in order, and ends |
//!
//! It ends by itself when standard input does. All it says is a line of JSON, written after the fact and flushed: whoever
//! reads that an edit is stored or saved may kill it, wipe it, and hold it to its word.

mod load;
mod report;

use std::io::{self, BufRead};
use std::path::PathBuf;
use std::process::ExitCode;
use std::sync::atomic::{AtomicI64, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use report::say;
use serde_json::{Value, json};
use tokio::sync::mpsc;
use weftline_client::{ClientConfig, Replica};
use weftline_tests::Rng;

/// How often a document is looked at that should come to a version, besides when it changes.
const LOOK_AGAIN: Duration = Duration::from_millis(50);

/// The argument.
struct Config {
    /// `documents`: their names. A document is called by its place in this list from then on.
    documents: Vec<String>,
    /// `relay`: its address; stays local without one.
    relay: Option<String>,
    /// `store`: the folder; keeps nothing without one.
    store: Option<PathBuf>,
    /// `client` and `run`: they make the numbers of the edits; a client counts its runs.
    client: i64,
    run: i64,
    /// `edits`: whether it edits at all.
    edits: bool,
}

/// One document.
struct Desk {
    index: usize,
    replica: Replica,
    /// Whether edits may be made now; held while they are made.
    editing: Mutex<bool>,
    /// How many edits this run has made here. Counted after the edit.
    made: AtomicI64,
}

fn main() -> ExitCode {
    let Some(config) = std::env::args().nth(1).and_then(|text| Config::read(&text)) else {
        eprintln!("expected one argument, a JSON object with documents, client and run");
        return ExitCode::from(2);
    };
    let runtime = tokio::runtime::Builder::new_multi_thread().worker_threads(2).enable_all().build();
    let ended = runtime.map_err(|error| error.to_string()).and_then(|runtime| runtime.block_on(run(config)));
    match ended {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            say(&json!({ "error": error }));
            ExitCode::FAILURE
        }
    }
}

impl Config {
    fn read(text: &str) -> Option<Self> {
        let given: Value = serde_json::from_str(text).ok()?;
        let text = |name: &str| given[name].as_str().map(str::to_owned);
        let documents = given["documents"].as_array()?.iter().filter_map(Value::as_str).map(str::to_owned).collect();
        Some(Self {
            documents,
            relay: text("relay"),
            store: text("store").map(PathBuf::from),
            client: given["client"].as_i64()?,
            run: given["run"].as_i64()?,
            edits: given["edits"].as_bool().unwrap_or_default(),
        })
    }
}

async fn run(config: Config) -> Result<(), String> {
    let mut commands = commands();
    let mut desks = Vec::new();
    for (index, document) in config.documents.iter().enumerate() {
        let mut client = ClientConfig::new(document);
        client.relay.clone_from(&config.relay);
        if let Some(store) = &config.store {
            client = client.folder(store);
        }
        let replica = Replica::open(client).await.map_err(|error| described(&error))?;
        let desk = Desk { index, replica, editing: Mutex::new(config.edits), made: AtomicI64::new(0) };
        let desk = Arc::new(desk);
        tokio::spawn(watch(Arc::clone(&desk)));
        if config.edits {
            let rng = Rng::new(load::number(config.client, config.run, index as i64).unsigned_abs());
            tokio::spawn(write(Arc::clone(&desk), rng, config.client, config.run));
        }
        desks.push(desk);
    }
    say(&json!({ "ready": true }));
    while let Some(line) = commands.recv().await {
        let words: Vec<&str> = line.split(' ').collect();
        let desk = |word: &str| word.parse().ok().and_then(|index: usize| desks.get(index)).map(Arc::clone);
        match words.as_slice() {
            ["edit"] => desks.iter().for_each(|desk| desk.set_editing(true)),
            ["connect"] => desks.iter().for_each(|desk| desk.replica.connect()),
            ["rest"] => desks.iter().for_each(|desk| drop(tokio::spawn(rest(Arc::clone(desk))))),
            ["dump", index, file] => desk(index).ok_or("no such document")?.dump(file)?,
            ["await", index, version, file] => {
                let desk = desk(index).ok_or("no such document")?;
                tokio::spawn(dump_at(desk, (*version).to_owned(), (*file).to_owned()));
            }
            ["quit"] => {
                for desk in &desks {
                    desk.set_editing(false);
                    desk.replica.clone().close().await.map_err(|error| described(&error))?;
                }
                say(&json!({ "ended": true }));
                return Ok(());
            }
            _ => return Err(format!("what is {line:?}?")),
        }
    }
    Ok(())
}

/// The lines of standard input.
fn commands() -> mpsc::UnboundedReceiver<String> {
    let (sender, receiver) = mpsc::unbounded_channel();
    std::thread::spawn(move || {
        for line in io::stdin().lock().lines() {
            let Ok(line) = line else { return };
            if sender.send(line).is_err() {
                return;
            }
        }
    });
    receiver
}

/// Edits in bursts, until the process ends.
async fn write(desk: Arc<Desk>, mut rng: Rng, client: i64, run: i64) {
    loop {
        if let Err(error) = desk.burst(&mut rng, client, run) {
            say(&json!({ "error": error }));
            return;
        }
        // Mostly somebody who types, now and then somebody who thinks.
        let pause_ms = if rng.chance(5) { rng.between(50, 200) } else { rng.between(2, 40) };
        tokio::time::sleep(Duration::from_millis(pause_ms)).await;
    }
}

/// Says what is stored and saved, whenever the status says something new.
async fn watch(desk: Arc<Desk>) {
    let mut status = desk.replica.watch_status();
    let mut said = Value::Null;
    loop {
        // The count first: what is made meanwhile can then only make the figures smaller. Edits become stored, and
        // saved, in the order they were made in, so that those which are not yet are the last ones.
        let made = desk.made.load(Ordering::Acquire);
        let now = status.borrow_and_update().clone();
        let all_but = |count: usize| (made - i64::try_from(count).unwrap_or(i64::MAX)).max(0);
        let news = json!({
            "document": desk.index, "made": made, "stored": all_but(now.unstored), "saved": all_but(now.unsaved),
            "link": format!("{:?}", now.link), "unsaved": now.unsaved, "stuck": now.stuck, "problem": now.error,
        });
        if news != said {
            say(&news);
            said = news;
        }
        if status.changed().await.is_err() {
            return;
        }
    }
}

/// Stops editing, and says so when everything is stored and saved.
async fn rest(desk: Arc<Desk>) {
    desk.set_editing(false);
    desk.replica.connect();
    if let Err(error) = desk.replica.flushed().await {
        say(&json!({ "error": described(&error) }));
        return;
    }
    desk.replica.saved().await;
    let made = desk.made.load(Ordering::Acquire);
    say(&json!({ "rested": desk.index, "made": made, "version": desk.version() }));
}

/// Dumps the document when it has come to a version.
async fn dump_at(desk: Arc<Desk>, version: String, file: String) {
    let mut changes = desk.replica.changes();
    while desk.version() != version {
        // Not every step of a version changes something that is shown.
        let _ = tokio::time::timeout(LOOK_AGAIN, changes.next()).await;
    }
    if let Err(error) = desk.dump(&file) {
        say(&json!({ "error": error }));
    }
}

impl Desk {
    fn set_editing(&self, editing: bool) {
        *self.editing.lock().unwrap_or_else(PoisonError::into_inner) = editing;
    }

    fn burst(&self, rng: &mut Rng, client: i64, run: i64) -> Result<(), String> {
        let editing = self.editing.lock().unwrap_or_else(PoisonError::into_inner);
        let edits = match rng.below(40) {
            _ if !*editing => 0,
            0 => rng.between(10, 40),
            1..=5 => 2,
            _ => 1,
        };
        for _ in 0..edits {
            let number = load::number(client, run, self.made.load(Ordering::Acquire) + 1);
            let made = self.replica.transact(|tx| load::edit(tx, rng, number));
            made.map_err(|error| format!("edit {number}: {}", described(&error)))?;
            self.made.fetch_add(1, Ordering::Release);
        }
        Ok(())
    }

    fn version(&self) -> String {
        self.replica.read(|document| hex(&document.version_hash()))
    }

    fn dump(&self, file: &str) -> Result<(), String> {
        let (text, line) = self.replica.read(|document| {
            let wrong = load::wrong(document);
            let line = json!({
                "dumped": self.index, "version": hex(&document.version_hash()), "beacon": hex(&document.beacon()),
                "ids": document.version().len(), "edits": load::runs(document),
                "twice": wrong.twice, "missing": wrong.missing,
            });
            (document.to_json().to_string(), line)
        });
        std::fs::write(file, text).map_err(|error| format!("{file}: {error}"))?;
        say(&line);
        Ok(())
    }
}

fn hex(bytes: &[u8]) -> String {
    bytes.iter().map(|byte| format!("{byte:02x}")).collect()
}

/// An error with its causes.
fn described(error: &dyn std::error::Error) -> String {
    let mut text = error.to_string();
    let mut cause = error.source();
    while let Some(error) = cause {
        text = format!("{text}: {error}");
        cause = error.source();
    }
    text
}
