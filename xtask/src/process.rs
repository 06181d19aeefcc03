//! Running other programs: to the end, or in the background until we stop them.
//!
//! Every program is shown before it runs, as a line that can be pasted into a shell. What tasks say goes to standard error; standard
//! output belongs to the programs, since the last line of some is meant for machines.

use std::fmt::Write as _;
use std::io::{BufRead, BufReader};
use std::path::Path;
use std::process::{Child, ChildStdout, Command, ExitStatus, Stdio};
use std::sync::mpsc::{self, RecvTimeoutError};
use std::thread;
use std::time::{Duration, Instant};

use anyhow::{Context, Result, bail};

use crate::repo;
use crate::tally::{self, Tally};

/// A background program that says nothing for this long will not become ready.
const READY_TIMEOUT: Duration = Duration::from_secs(30);

/// Time a program gets to end by itself once asked to.
const STOP_TIMEOUT: Duration = Duration::from_secs(10);

/// `program`, to be run in the root of the repository.
pub(crate) fn program(program: impl AsRef<Path>) -> Command {
    let mut command = Command::new(program.as_ref());
    command.current_dir(repo::root());
    command
}

/// `cargo` with the toolchain that built this task.
pub(crate) fn cargo() -> Command {
    let mut command = program(std::env::var_os("CARGO").unwrap_or_else(|| "cargo".into()).to_string_lossy().as_ref());
    // What `cargo run` says about the xtask package would reach build scripts, which then run again for nothing.
    for (name, _) in std::env::vars_os() {
        let text = name.to_string_lossy();
        if ["CARGO_PKG_", "CARGO_MANIFEST_", "CARGO_BIN_", "CARGO_CRATE_"].iter().any(|prefix| text.starts_with(prefix))
        {
            command.env_remove(&name);
        }
    }
    command.env("CARGO_TARGET_DIR", repo::target());
    command
}

/// `npm` in the package at `dir`.
pub(crate) fn npm(dir: &Path) -> Command {
    let mut command = program(if cfg!(windows) { "npm.cmd" } else { "npm" });
    command.current_dir(dir);
    command
}

/// `node` in the folder `dir`.
pub(crate) fn node(dir: &Path) -> Command {
    let mut command = program("node");
    command.current_dir(dir);
    command
}

/// Runs to the end; anything but success is an error.
pub(crate) fn run(command: &mut Command) -> Result<()> {
    let status = run_status(command)?;
    if !status.success() {
        bail!("`{}` ended with {status}", shown(command));
    }
    Ok(())
}

/// Runs to the end and reports how it ended.
pub(crate) fn run_status(command: &mut Command) -> Result<ExitStatus> {
    announce(command);
    command.status().with_context(|| cannot_start(command))
}

/// Runs to the end, passing standard output on and adding up the test results found in it.
pub(crate) fn run_tests(command: &mut Command, tally: &mut Tally) -> Result<()> {
    announce(command);
    let mut child = command.stdout(Stdio::piped()).spawn().with_context(|| cannot_start(command))?;
    let stdout = child.stdout.take().expect("standard output is piped");
    for line in lines(stdout) {
        println!("{line}");
        if let Some(found) = tally::read_line(&line) {
            tally.add(found);
        }
    }
    let status = child.wait()?;
    if !status.success() {
        bail!("`{}` ended with {status}", shown(command));
    }
    Ok(())
}

/// Runs to the end and returns standard output.
pub(crate) fn read(command: &mut Command) -> Result<String> {
    let output = command.stderr(Stdio::inherit()).output().with_context(|| cannot_start(command))?;
    if !output.status.success() {
        bail!("`{}` ended with {}", shown(command), output.status);
    }
    String::from_utf8(output.stdout).with_context(|| format!("`{}` wrote something else than UTF-8", shown(command)))
}

/// A program that runs until it is stopped or dropped.
pub(crate) struct Background {
    name: &'static str,
    child: Child,
}

impl Background {
    /// Starts a program and waits for the line that `ready` accepts; later lines are passed on. `ended` is called when the program
    /// closes its standard output, which normally means that it ended.
    pub(crate) fn start<T: Send + 'static>(
        name: &'static str,
        command: &mut Command,
        ready: impl Fn(&str) -> Option<T> + Send + 'static,
        ended: impl FnOnce(&'static str) + Send + 'static,
    ) -> Result<(Self, T)> {
        announce(command);
        let mut child =
            command.stdin(Stdio::null()).stdout(Stdio::piped()).spawn().with_context(|| cannot_start(command))?;
        let stdout = child.stdout.take().expect("standard output is piped");
        let background = Self { name, child };

        let (sender, receiver) = mpsc::channel();
        thread::spawn(move || {
            let mut sender = Some(sender);
            for line in lines(stdout) {
                eprintln!("{name} | {line}");
                if let Some(value) = sender.as_ref().and_then(|_| ready(&line)) {
                    // The receiver is gone if it gave up waiting; it then stops the program.
                    let _ = sender.take().map(|sender| sender.send(value));
                }
            }
            drop(sender);
            ended(name);
        });
        match receiver.recv_timeout(READY_TIMEOUT) {
            Ok(value) => Ok((background, value)),
            Err(RecvTimeoutError::Disconnected) => bail!("the {name} ended before it was ready"),
            Err(RecvTimeoutError::Timeout) => bail!("the {name} was not ready after {READY_TIMEOUT:?}"),
        }
    }

    /// Asks the program to end, and makes it end if it does not.
    pub(crate) fn stop(&mut self) -> Result<()> {
        if self.ends_within(Duration::ZERO)? {
            return Ok(());
        }
        ask_to_end(&mut self.child)?;
        if !self.ends_within(STOP_TIMEOUT)? {
            eprintln!("the {} does not end; killing it", self.name);
            self.child.kill()?;
            self.child.wait()?;
        }
        Ok(())
    }

    /// Whether the program has ended, now or soon.
    pub(crate) fn ends_within(&mut self, time: Duration) -> Result<bool> {
        let deadline = Instant::now() + time;
        while self.child.try_wait()?.is_none() {
            if Instant::now() >= deadline {
                return Ok(false);
            }
            thread::sleep(Duration::from_millis(20));
        }
        Ok(true)
    }
}

impl Drop for Background {
    fn drop(&mut self) {
        // Nothing can be done here about a program that cannot be stopped.
        let _ = self.stop();
    }
}

/// A command as a line for a shell, with the folder it runs in unless that is the root.
pub(crate) fn shown(command: &Command) -> String {
    let mut line = String::new();
    if let Some(dir) = command.get_current_dir().filter(|dir| *dir != repo::root()) {
        let _ = write!(line, "cd {} && ", quoted(&relative(&dir.to_string_lossy())));
    }
    for (name, value) in command.get_envs() {
        // Set for every cargo, and to what cargo takes anyway: noise.
        if let Some(value) = value.filter(|_| name != "CARGO_TARGET_DIR") {
            let _ = write!(line, "{}={} ", name.to_string_lossy(), quoted(&value.to_string_lossy()));
        }
    }
    let program = command.get_program().to_string_lossy();
    let program = if program.ends_with("/bin/cargo") { "cargo".into() } else { relative(&program) };
    line.push_str(&quoted(&program));
    let below_root = command.get_current_dir() == Some(repo::root());
    for argument in command.get_args().map(|argument| argument.to_string_lossy()) {
        let argument = if below_root { relative(&argument) } else { argument.into_owned() };
        let _ = write!(line, " {}", quoted(&argument));
    }
    line
}

fn announce(command: &Command) {
    eprintln!("  $ {}", shown(command));
}

fn cannot_start(command: &Command) -> String {
    format!("cannot start `{}`", shown(command))
}

/// A path below the root without the root.
fn relative(path: &str) -> String {
    Path::new(path).strip_prefix(repo::root()).map_or_else(|_| path.into(), |below| below.display().to_string())
}

fn quoted(word: &str) -> String {
    let plain = |c: char| c.is_alphanumeric() || "-_./:=@,+%".contains(c);
    if !word.is_empty() && word.chars().all(plain) { word.into() } else { format!("'{}'", word.replace('\'', r"'\''")) }
}

/// The lines of a stream, whatever their bytes, until it ends.
fn lines(stdout: ChildStdout) -> impl Iterator<Item = String> {
    let mut reader = BufReader::new(stdout);
    std::iter::from_fn(move || {
        let mut line = Vec::new();
        match reader.read_until(b'\n', &mut line) {
            Ok(0) | Err(_) => None,
            Ok(_) => Some(String::from_utf8_lossy(&line).trim_end_matches(['\n', '\r']).to_owned()),
        }
    })
}

/// SIGTERM, on which servers drain.
#[cfg(unix)]
fn ask_to_end(child: &mut Child) -> Result<()> {
    use nix::sys::signal::{Signal, kill};
    use nix::unistd::Pid;

    let pid = i32::try_from(child.id()).context("a process id is an i32")?;
    kill(Pid::from_raw(pid), Signal::SIGTERM).with_context(|| format!("cannot signal process {pid}"))
}

#[cfg(not(unix))]
fn ask_to_end(child: &mut Child) -> Result<()> {
    child.kill().context("cannot end a process")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_command_is_shown_as_a_line_for_a_shell() {
        let mut command = program("node");
        command.current_dir(repo::wasm()).env("LIST", "two words").args(["-e", "it's"]);
        assert_eq!(shown(&command), r"cd wasm && LIST='two words' node -e 'it'\''s'");
    }

    #[cfg(unix)]
    #[test]
    fn a_background_program_is_ready_by_its_own_word_and_ends_when_asked() {
        let mut command = program("sh");
        command.args(["-c", "echo starting; echo listening on 7; exec sleep 600"]);
        let (sender, receiver) = mpsc::channel();
        let ready = |line: &str| line.strip_prefix("listening on ").map(str::to_owned);
        let (mut background, port) =
            Background::start("sleeper", &mut command, ready, move |name| sender.send(name).expect("the test waits"))
                .expect("it starts");
        assert_eq!(port, "7");
        background.stop().expect("it stops");
        assert_eq!(receiver.recv().expect("it ended"), "sleeper");
    }

    #[cfg(unix)]
    #[test]
    fn a_background_program_that_ends_at_once_is_an_error() {
        let mut command = program("sh");
        command.args(["-c", "echo cannot bind"]);
        let started = Background::start("relay", &mut command, |_| None::<()>, |_| ());
        assert_eq!(started.err().expect("never ready").to_string(), "the relay ended before it was ready");
    }
}
