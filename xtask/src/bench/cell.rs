//! One cell of a comparison: a process that measures something and prints it as a line of JSON.

use std::io::Read;
use std::process::{Command, Stdio};
use std::sync::mpsc;
use std::thread;
use std::time::Duration;

use anyhow::{Context, Result, ensure};

use super::results::Cell;

/// Runs a cell, and stops it when it takes longer than `limit`.
pub(crate) fn run(command: &mut Command, limit: Duration) -> Result<Cell> {
    // What failed says so in its message.
    command.env("RUST_BACKTRACE", "0").stdout(Stdio::piped()).stderr(Stdio::piped());
    let mut child = command.spawn().context("cannot start it")?;
    let mut stdout = child.stdout.take().expect("standard output is piped");
    let mut stderr = child.stderr.take().expect("standard error is piped");
    let (sender, ended) = mpsc::channel();
    let errors = thread::spawn(move || {
        let mut text = String::new();
        stderr.read_to_string(&mut text).map(|_| text)
    });
    let output = thread::spawn(move || {
        let mut text = String::new();
        let outcome = stdout.read_to_string(&mut text).map(|_| text);
        // Nobody listens any more if the cell took too long.
        let _ = sender.send(());
        outcome
    });
    let in_time = ended.recv_timeout(limit).is_ok();
    if !in_time {
        child.kill().context("cannot stop it")?;
    }
    let status = child.wait()?;
    let (output, errors) =
        (output.join().expect("reading does not panic")?, errors.join().expect("reading does not panic")?);
    ensure!(in_time, "took longer than {} s", limit.as_secs());
    ensure!(status.success(), "ended with {status}: {}", errors.trim());
    Cell::parse(output.trim())
}
