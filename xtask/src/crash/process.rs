//! A process that is there to be killed: what it says is read line by line, and what it complains about goes to a file.

use std::fs::{File, OpenOptions};
use std::io::{BufRead, BufReader, Write};
use std::path::Path;
use std::process::{Child, ChildStdin, Command, ExitStatus, Stdio};
use std::sync::{Mutex, PoisonError};
use std::thread::{self, JoinHandle};
use std::time::{Duration, Instant};

use anyhow::{Context, Result, bail, ensure};

/// The ids of all that were started and did not end yet, for whoever has to give up.
static RUNNING: Mutex<Vec<u32>> = Mutex::new(Vec::new());

/// Signals that the task sends.
#[derive(Clone, Copy, Debug)]
pub(crate) enum Signal {
    /// SIGKILL.
    Kill,
    /// SIGSTOP.
    Stop,
    /// SIGCONT.
    Continue,
    /// SIGTERM.
    Terminate,
}

/// A running process. Killed when dropped.
pub(crate) struct Process {
    child: Child,
    stdin: Option<ChildStdin>,
    /// Ends when everybody who could write to the standard output is gone, and all of it was read.
    reader: Option<JoinHandle<()>>,
}

impl Process {
    /// Starts a program and gives every line it writes to `line`, which runs in a thread of its own.
    pub(crate) fn start(
        command: &mut Command,
        complaints: &Path,
        mut line: impl FnMut(&str) + Send + 'static,
    ) -> Result<Self> {
        let stderr = OpenOptions::new().create(true).append(true).open(complaints);
        let stderr: File = stderr.with_context(|| format!("cannot write {}", complaints.display()))?;
        let spawned = command.stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(stderr).spawn();
        let mut child = spawned.with_context(|| format!("cannot start {}", command.get_program().display()))?;
        running().push(child.id());
        let stdin = child.stdin.take();
        let stdout = child.stdout.take().expect("standard output is piped");
        let reader = thread::spawn(move || {
            let mut reader = BufReader::new(stdout);
            let mut bytes = Vec::new();
            // A line without its end was cut off by a kill: it was never said.
            while matches!(reader.read_until(b'\n', &mut bytes), Ok(1..)) && bytes.ends_with(b"\n") {
                line(String::from_utf8_lossy(&bytes).trim_end());
                bytes.clear();
            }
        });
        Ok(Self { child, stdin, reader: Some(reader) })
    }

    /// Writes a line to its standard input. A process that is gone does not hear it.
    pub(crate) fn tell(&mut self, line: &str) {
        if let Some(stdin) = &mut self.stdin {
            // That it is gone is found out elsewhere, where it matters whether that was meant.
            let _ = writeln!(stdin, "{line}");
        }
    }

    /// Kills it, and returns when it is gone and everything it has said was read.
    pub(crate) fn kill(&mut self) -> Result<()> {
        self.child.kill().context("cannot kill a process")?;
        self.child.wait()?;
        self.is_gone();
        self.read_out()
    }

    /// Sends a signal.
    pub(crate) fn signal(&self, signal: Signal) -> Result<()> {
        send(self.child.id(), signal)
    }

    /// Waits for it to end by itself.
    pub(crate) fn ended_within(&mut self, time: Duration) -> Result<ExitStatus> {
        let deadline = Instant::now() + time;
        loop {
            if let Some(status) = self.child.try_wait()? {
                self.is_gone();
                self.read_out()?;
                return Ok(status);
            }
            ensure!(Instant::now() < deadline, "a process does not end");
            thread::sleep(Duration::from_millis(5));
        }
    }

    /// How it ended, if it did.
    pub(crate) fn has_ended(&mut self) -> Result<Option<ExitStatus>> {
        let ended = self.child.try_wait()?;
        if ended.is_some() {
            self.is_gone();
        }
        Ok(ended)
    }

    /// It has ended: its id may be somebody else's from now on.
    fn is_gone(&self) {
        running().retain(|id| *id != self.child.id());
    }

    fn read_out(&mut self) -> Result<()> {
        self.stdin = None;
        if let Some(reader) = self.reader.take()
            && reader.join().is_err()
        {
            bail!("the reader of a process panicked");
        }
        Ok(())
    }
}

impl Drop for Process {
    fn drop(&mut self) {
        // Nothing can be done here about a process that cannot be killed; one that has ended needs nothing.
        let _ = self.child.kill();
        let _ = self.child.wait();
        self.is_gone();
    }
}

/// Kills everything that runs, whoever waits for it.
pub(crate) fn kill_all() {
    for id in running().drain(..) {
        // There is nobody left to tell that this did not work.
        let _ = send(id, Signal::Kill);
    }
}

fn running() -> std::sync::MutexGuard<'static, Vec<u32>> {
    RUNNING.lock().unwrap_or_else(PoisonError::into_inner)
}

#[cfg(unix)]
fn send(id: u32, signal: Signal) -> Result<()> {
    use nix::sys::signal::{self, kill};
    use nix::unistd::Pid;

    let signal = match signal {
        Signal::Kill => signal::Signal::SIGKILL,
        Signal::Stop => signal::Signal::SIGSTOP,
        Signal::Continue => signal::Signal::SIGCONT,
        Signal::Terminate => signal::Signal::SIGTERM,
    };
    let id = i32::try_from(id).context("a process id is an i32")?;
    kill(Pid::from_raw(id), signal).with_context(|| format!("cannot signal process {id}"))
}

#[cfg(not(unix))]
fn send(_: u32, signal: Signal) -> Result<()> {
    bail!("this system has no {signal:?} for processes")
}

#[cfg(all(test, unix))]
mod tests {
    use super::*;
    use std::sync::mpsc;

    #[test]
    fn what_was_said_before_a_kill_is_read_and_half_a_line_was_never_said() {
        let folder = std::env::temp_dir();
        let (sender, receiver) = mpsc::channel();
        let mut command = Command::new("sh");
        command.args(["-c", "read line; echo \"$line\"; printf half; exec sleep 600"]);
        let mut process = Process::start(&mut command, &folder.join("weftline-crash-test.log"), move |line| {
            sender.send(line.to_owned()).expect("the test waits");
        })
        .expect("it starts");
        process.tell("whole");
        assert_eq!(receiver.recv().expect("it says so"), "whole");
        process.kill().expect("it is killed");
        assert!(receiver.recv().is_err(), "nothing else was said");
    }
}
