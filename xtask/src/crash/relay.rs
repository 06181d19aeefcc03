//! The relay under test: a process on one port, and a folder with its store.

use std::fs;
use std::path::{Path, PathBuf};
use std::sync::mpsc::{self, Receiver};
use std::time::Duration;

use anyhow::{Context, Result, bail, ensure};

use super::process::{Process, Signal};
use crate::process::program;

/// A relay that says nothing for this long will not come up; one that is asked to end and does not in this time never will.
const PATIENCE: Duration = Duration::from_secs(60);

/// The least that a relay lets its database have.
const LEAST_STORE: u64 = 64 << 10;

/// See the module.
pub(crate) struct Relay {
    program: PathBuf,
    folder: PathBuf,
    port: u16,
    running: Option<Process>,
    ready: Option<Receiver<()>>,
    pub(crate) paused: bool,
    /// The database has no more room than it takes already, as of the last start.
    pub(crate) full: bool,
}

impl Relay {
    /// One that is not running yet, with a store below this folder.
    pub(crate) fn new(program: &Path, folder: &Path, port: u16) -> Self {
        let (program, folder) = (program.to_owned(), folder.to_owned());
        Self { program, folder, port, running: None, ready: None, paused: false, full: false }
    }

    pub(crate) fn address(&self) -> String {
        format!("ws://127.0.0.1:{}", self.port)
    }

    pub(crate) fn is_running(&self) -> bool {
        self.running.is_some()
    }

    /// Starts it, and does not wait until it listens.
    pub(crate) fn start(&mut self) -> Result<()> {
        self.start_with(false)
    }

    /// The same with a database that may have no more bytes than it has.
    pub(crate) fn start_full(&mut self) -> Result<()> {
        self.start_with(true)
    }

    fn start_with(&mut self, full: bool) -> Result<()> {
        ensure!(self.running.is_none(), "two relays on one store");
        fs::create_dir_all(self.store())?;
        let (sender, receiver) = mpsc::channel();
        let mut command = program(&self.program);
        command.args(["--listen", &format!("127.0.0.1:{}", self.port), "--store"]).arg(self.store().join("relay.db"));
        // Documents are dropped from memory often, and what is silent is found out soon.
        command.args(["--room-idle", "200ms", "--heartbeat", "2s", "--log", "warn"]);
        self.full = full;
        if full {
            let bytes = fs::metadata(self.store().join("relay.db")).map_or(0, |file| file.len());
            command.args(["--max-store", &bytes.max(LEAST_STORE).to_string()]);
        }
        let ready = move |line: &str| {
            if line.starts_with("listening on") {
                // It may have been killed meanwhile.
                let _ = sender.send(());
            }
        };
        self.running = Some(Process::start(&mut command, &self.complaints(), ready)?);
        self.ready = Some(receiver);
        Ok(())
    }

    /// Waits until it listens.
    pub(crate) fn listens(&mut self) -> Result<()> {
        match self.ready.take() {
            Some(ready) => ready.recv_timeout(PATIENCE).context("the relay does not come up"),
            None => Ok(()),
        }
    }

    /// Kills it, if it runs; says whether it did.
    pub(crate) fn kill(&mut self) -> Result<bool> {
        let running = self.running.take();
        self.paused = false;
        running.map(|mut process| process.kill()).transpose().map(|killed| killed.is_some())
    }

    /// Asks it to end, and waits until it has.
    pub(crate) fn drain(&mut self) -> Result<()> {
        self.resume()?;
        if let Some(mut process) = self.running.take() {
            process.signal(Signal::Terminate)?;
            let status = process.ended_within(PATIENCE).context("asked to stop")?;
            ensure!(status.success(), "the relay was asked to stop and ended with {status}");
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

    /// Takes the store away. It must not run.
    pub(crate) fn wipe(&self) -> Result<()> {
        if self.store().is_dir() {
            fs::remove_dir_all(self.store()).context("cannot wipe the store of the relay")?;
        }
        Ok(())
    }

    /// Copies the store, in place of an earlier copy. It must not run.
    pub(crate) fn copy(&self) -> Result<()> {
        replace(&self.store(), &self.backup())
    }

    /// Whether there is a copy.
    pub(crate) fn has_copy(&self) -> bool {
        self.backup().is_dir()
    }

    /// Puts the copy in the place of the store. It must not run.
    pub(crate) fn put_back(&self) -> Result<()> {
        replace(&self.backup(), &self.store())
    }

    /// An error if it ended without being asked, or panicked in some part of it.
    pub(crate) fn is_well(&mut self) -> Result<()> {
        if let Some(process) = &mut self.running
            && let Some(status) = process.has_ended()?
        {
            bail!("the relay ended by itself with {status}; see {}", self.complaints().display());
        }
        no_panic(&self.complaints())
    }

    fn store(&self) -> PathBuf {
        self.folder.join("relay")
    }

    fn backup(&self) -> PathBuf {
        self.folder.join("relay-copy")
    }

    fn complaints(&self) -> PathBuf {
        self.folder.join("relay.log")
    }
}

/// An error if this log of a process tells of a panic.
pub(crate) fn no_panic(complaints: &Path) -> Result<()> {
    // Without a log nothing was complained about yet.
    let text = fs::read(complaints).unwrap_or_default();
    let text = String::from_utf8_lossy(&text);
    match text.lines().position(|line| line.contains("panicked at")) {
        Some(at) => {
            let lines: Vec<&str> = text.lines().skip(at).take(3).collect();
            bail!("{}: {}", complaints.display(), lines.join(" "))
        }
        None => Ok(()),
    }
}

/// Makes `to` a copy of the folder `from`; of one that is not there, an empty one.
pub(crate) fn replace(from: &Path, to: &Path) -> Result<()> {
    if to.is_dir() {
        fs::remove_dir_all(to)?;
    }
    fs::create_dir_all(to)?;
    if !from.is_dir() {
        return Ok(());
    }
    for entry in fs::read_dir(from).with_context(|| format!("cannot list {}", from.display()))? {
        let entry = entry?;
        let (from, to) = (entry.path(), to.join(entry.file_name()));
        if from.is_dir() {
            replace(&from, &to)?;
        } else {
            fs::copy(&from, &to).with_context(|| format!("cannot copy {}", from.display()))?;
        }
    }
    Ok(())
}
