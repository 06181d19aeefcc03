//! A client under test: a process that edits, the runs it has had, and what it said.

use std::fs;
use std::path::{Path, PathBuf};
use std::sync::mpsc::{self, Receiver, RecvTimeoutError};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, Instant};

use anyhow::{Context, Result, bail, ensure};
use serde_json::{Value, json};

use super::ledger::Ledger;
use super::process::{Process, Signal};
use super::relay::no_panic;
use crate::process::program;

/// How long a client that was asked to end may take.
const PATIENCE: Duration = Duration::from_secs(60);

/// How long to wait for a compaction to be killed in, and how long between two looks.
const WATCH_FOR: Duration = Duration::from_millis(300);
const LOOK_AGAIN: Duration = Duration::from_micros(500);

/// What a client opens.
#[derive(Clone, Debug)]
pub(crate) struct Opens {
    pub(crate) documents: Vec<String>,
    pub(crate) relay: Option<String>,
    /// Its store; a client without one only reads.
    pub(crate) store: Option<PathBuf>,
}

/// See the module.
pub(crate) struct Client {
    program: PathBuf,
    pub(crate) name: String,
    /// Its number in the numbers of its edits.
    index: usize,
    run: u64,
    pub(crate) opens: Opens,
    edits: bool,
    complaints: PathBuf,
    ledger: Arc<Mutex<Ledger>>,
    running: Option<Process>,
    pub(crate) paused: bool,
    /// All it says but how its edits stand.
    lines: Option<Receiver<Value>>,
    /// How each document stood last.
    standing: Arc<Mutex<Vec<Value>>>,
}

impl Client {
    /// One that is not running yet; `folder` takes what it complains about.
    pub(crate) fn new(
        program: &Path,
        folder: &Path,
        (index, name): (usize, String),
        (opens, edits): (Opens, bool),
        ledger: &Arc<Mutex<Ledger>>,
    ) -> Self {
        Self {
            program: program.to_owned(),
            complaints: folder.join(format!("{name}.log")),
            name,
            index,
            run: 0,
            opens,
            edits,
            ledger: Arc::clone(ledger),
            running: None,
            paused: false,
            lines: None,
            standing: Arc::default(),
        }
    }

    pub(crate) fn is_running(&self) -> bool {
        self.running.is_some()
    }

    /// Starts it, and does not wait until it has opened anything.
    pub(crate) fn start(&mut self) -> Result<()> {
        ensure!(self.running.is_none(), "{} runs already", self.name);
        self.run += 1;
        let opens = &self.opens;
        let config = json!({
            "documents": opens.documents, "relay": opens.relay, "store": opens.store,
            "client": self.index, "run": self.run, "edits": self.edits,
        });
        let (sender, receiver) = mpsc::channel();
        let (ledger, standing) = (Arc::clone(&self.ledger), Arc::clone(&self.standing));
        standing.lock().unwrap_or_else(PoisonError::into_inner).clear();
        let (index, run) = (self.index, self.run);
        let line = move |line: &str| {
            let said: Value = serde_json::from_str(line).unwrap_or_else(|_| json!({ "error": line }));
            ledger.lock().unwrap_or_else(PoisonError::into_inner).note(index, run, &said);
            if let Some(document) = said["document"].as_u64() {
                let mut standing = standing.lock().unwrap_or_else(PoisonError::into_inner);
                standing.retain(|known| known["document"] != document);
                standing.push(said);
            } else {
                // Nobody may be waiting for it any more.
                let _ = sender.send(said);
            }
        };
        let mut command = program(&self.program);
        command.arg(config.to_string());
        self.running = Some(Process::start(&mut command, &self.complaints, line)?);
        self.lines = Some(receiver);
        Ok(())
    }

    pub(crate) fn tell(&mut self, command: &str) {
        if let Some(process) = &mut self.running {
            process.tell(command);
        }
    }

    /// Kills it, if it runs; says whether it did.
    pub(crate) fn kill(&mut self) -> Result<bool> {
        self.paused = false;
        let Some(mut process) = self.running.take() else { return Ok(false) };
        process.kill()?;
        self.last_words()?;
        Ok(true)
    }

    /// Asks it to end in order, and waits until it has.
    pub(crate) fn quit(&mut self) -> Result<()> {
        self.resume()?;
        self.tell("quit");
        if let Some(mut process) = self.running.take() {
            let status = process.ended_within(PATIENCE).with_context(|| format!("{} was asked to end", self.name))?;
            self.last_words()?;
            ensure!(status.success(), "{} was asked to end and ended with {status}", self.name);
        }
        Ok(())
    }

    pub(crate) fn pause(&mut self) -> Result<()> {
        self.paused = true;
        self.running.as_ref().map_or(Ok(()), |process| process.signal(Signal::Stop))
    }

    pub(crate) fn resume(&mut self) -> Result<()> {
        match &self.running {
            Some(process) if std::mem::take(&mut self.paused) => process.signal(Signal::Continue),
            _ => Ok(()),
        }
    }

    /// Waits until a slot of its store is being compacted, or has just been; says whether it was.
    pub(crate) fn compacts(&self) -> bool {
        let Some(store) = &self.opens.store else { return false };
        let before = generations(store);
        let deadline = Instant::now() + WATCH_FOR;
        while Instant::now() < deadline {
            if generations(store).iter().any(|name| !before.contains(name)) {
                return true;
            }
            std::thread::sleep(LOOK_AGAIN);
        }
        false
    }

    /// The next line that is not about how edits stand.
    pub(crate) fn says(&mut self, deadline: Instant) -> Result<Value> {
        let left = deadline.saturating_duration_since(Instant::now());
        let line = match self.lines.as_ref().map(|lines| lines.recv_timeout(left)) {
            Some(Ok(line)) => line,
            Some(Err(RecvTimeoutError::Timeout)) => bail!("{} does not come to rest: {}", self.name, self.stands()),
            Some(Err(RecvTimeoutError::Disconnected)) | None => {
                bail!("{} ended by itself; see {}", self.name, self.complaints.display())
            }
        };
        if line["error"] != Value::Null {
            bail!("{} says {line}", self.name);
        }
        Ok(line)
    }

    /// An error if it ended without being asked, or panicked in some part of it.
    pub(crate) fn is_well(&mut self) -> Result<()> {
        if let Some(process) = &mut self.running
            && let Some(status) = process.has_ended()?
        {
            let said = self.last_words().err().map(|error| format!(": {error:#}")).unwrap_or_default();
            bail!("{} ended by itself with {status}{said}; see {}", self.name, self.complaints.display());
        }
        no_panic(&self.complaints)
    }

    /// How its documents stood last, in its own words.
    fn stands(&self) -> String {
        let standing = self.standing.lock().unwrap_or_else(PoisonError::into_inner);
        standing.iter().map(Value::to_string).collect::<Vec<_>>().join(" ")
    }

    /// An error if among what was not read yet it said that something went wrong.
    fn last_words(&mut self) -> Result<()> {
        let lines = self.lines.take();
        let error = lines.iter().flat_map(Receiver::try_iter).find(|line| line["error"] != Value::Null);
        error.map_or(Ok(()), |line| bail!("{} said {line}", self.name))
    }
}

/// The snapshots, finished or not, of all documents and slots of a store: a compaction begins with a new one.
fn generations(store: &Path) -> Vec<PathBuf> {
    // Folders may not be there yet, and files may go while they are listed.
    let below = |folder: &Path| fs::read_dir(folder).into_iter().flatten().flatten().map(|entry| entry.path());
    let slots = below(store).flat_map(|document| below(&document).collect::<Vec<_>>());
    let is_snapshot =
        |path: &PathBuf| path.file_name().is_some_and(|name| name.to_string_lossy().starts_with("snapshot"));
    slots.flat_map(|slot| below(&slot).filter(is_snapshot).collect::<Vec<_>>()).collect()
}
