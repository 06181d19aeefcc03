//! One test in a process of its own, with a fault or without.

use std::path::PathBuf;
use std::process::{Child, Command, Stdio};
use std::thread;
use std::time::{Duration, Instant};

use anyhow::{Context, Result};

use super::build::Suite;
use crate::process::read;

/// A test that takes this long with a fault on has noticed it by hanging. The slowest takes a fraction of it without.
const LIMIT: Duration = Duration::from_secs(180);

/// How a test ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Ending {
    Passed,
    Failed,
    /// It was ended after [`LIMIT`].
    TimedOut,
}

/// One test of a suite.
pub(super) struct Test {
    suite: &'static str,
    program: PathBuf,
    folder: PathBuf,
    test: String,
    /// How long it took without a fault; nothing if that is not known.
    pub(super) took: Duration,
}

/// Every test of the suites.
pub(super) fn all_tests(suites: &[Suite]) -> Result<Vec<Test>> {
    let mut tests = Vec::new();
    for suite in suites {
        let list = read(Command::new(&suite.program).current_dir(&suite.folder).args(["--list", "--format", "terse"]))?;
        let names = list.lines().filter_map(|line| line.strip_suffix(": test"));
        tests.extend(names.filter(|name| name.starts_with(suite.prefix)).map(|name| Test {
            suite: suite.name,
            program: suite.program.clone(),
            folder: suite.folder.clone(),
            test: name.to_owned(),
            took: Duration::ZERO,
        }));
    }
    Ok(tests)
}

impl Test {
    /// Its name, with the suite's.
    pub(super) fn name(&self) -> String {
        format!("{}::{}", self.suite, self.test)
    }

    /// Runs it to its end, or to the limit.
    pub(super) fn run(&self, fault: Option<&str>) -> Result<(Ending, Duration)> {
        let mut command = Command::new(&self.program);
        command.current_dir(&self.folder).env("CARGO_MANIFEST_DIR", &self.folder);
        command.args(["--exact", &self.test, "--test-threads", "1", "--quiet"]);
        match fault {
            Some(fault) => command.env("WEFTLINE_FAULT", fault),
            None => command.env_remove("WEFTLINE_FAULT"),
        };
        command.stdin(Stdio::null()).stdout(Stdio::null()).stderr(Stdio::null());
        let began = Instant::now();
        let child = command.spawn().with_context(|| format!("cannot start {}", self.program.display()))?;
        let ending = wait(child, LIMIT)?;
        Ok((ending, began.elapsed()))
    }
}

fn wait(mut child: Child, limit: Duration) -> Result<Ending> {
    let began = Instant::now();
    let mut pause = Duration::from_millis(1);
    loop {
        if let Some(status) = child.try_wait()? {
            return Ok(if status.success() { Ending::Passed } else { Ending::Failed });
        }
        if began.elapsed() > limit {
            child.kill()?;
            child.wait()?;
            return Ok(Ending::TimedOut);
        }
        thread::sleep(pause);
        pause = (pause * 2).min(Duration::from_millis(20));
    }
}

#[cfg(all(test, unix))]
mod tests {
    use super::*;

    fn end(script: &str, limit: Duration) -> Ending {
        let child = Command::new("sh").args(["-c", script]).spawn().expect("a shell");
        wait(child, limit).expect("it can be waited for")
    }

    #[test]
    fn a_test_passes_fails_or_is_ended() {
        assert_eq!(end("exit 0", LIMIT), Ending::Passed);
        assert_eq!(end("exit 101", LIMIT), Ending::Failed);
        assert_eq!(end("kill -9 $$", LIMIT), Ending::Failed);
        assert_eq!(end("exec sleep 600", Duration::ZERO), Ending::TimedOut);
    }
}
