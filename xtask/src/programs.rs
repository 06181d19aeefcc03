//! The native programs that tasks start: the relay, the terminal client, and the client that is there to be killed.

use std::path::PathBuf;

use anyhow::Result;

use crate::process::{Background, cargo, program, run};
use crate::repo;

/// Where the built programs are.
pub(crate) struct Programs {
    pub(crate) relay: PathBuf,
    pub(crate) todo: PathBuf,
    pub(crate) crash_client: PathBuf,
}

impl Programs {
    /// Builds the relay and the terminal client, for a person who waits for them.
    pub(crate) fn build(release: bool) -> Result<Self> {
        let mut build = cargo();
        build.args(["build", "--package", "weftline-relay", "--package", "weftline-todo", "--bins"]);
        if release {
            build.arg("--release");
        }
        run(&mut build)?;
        Ok(Self::in_profile(if release { "release" } else { "debug" }))
    }

    /// Builds the relay and the client that is there to be killed.
    pub(crate) fn build_to_crash(release: bool) -> Result<Self> {
        let mut build = cargo();
        build.args(["build", "--package", "weftline-relay", "--package", "weftline-tests", "--bins"]);
        if release {
            build.arg("--release");
        }
        run(&mut build)?;
        Ok(Self::in_profile(if release { "release" } else { "debug" }))
    }

    /// Builds all as a part of the whole workspace with its tests: what the tests just built is used again, where building two
    /// packages alone would choose other features of their dependencies and compile those once more.
    pub(crate) fn build_with_tests() -> Result<Self> {
        run(cargo().args(["build", "--workspace", "--bins", "--tests"]))?;
        Ok(Self::in_profile("debug"))
    }

    fn in_profile(profile: &str) -> Self {
        let dir = repo::target().join(profile);
        let file = |name: &str| dir.join(format!("{name}{}", std::env::consts::EXE_SUFFIX));
        Self { relay: file("weftline-relay"), todo: file("todo"), crash_client: file("crash-client") }
    }

    /// Starts a relay and returns its address, `ws://…`.
    pub(crate) fn start_relay(
        &self,
        listen: &str,
        store: &str,
        ended: impl FnOnce(&'static str) + Send + 'static,
    ) -> Result<(Background, String)> {
        let mut relay = program(&self.relay);
        relay.args(["--listen", listen, "--store", store]);
        let ready = |line: &str| {
            let (_, address) = line.split_once("listening on ")?;
            address.split_whitespace().next().map(str::to_owned)
        };
        Background::start("relay", &mut relay, ready, ended)
    }
}
