//! No subcommand: runs a relay, and stops it on a signal.

use std::io::{self, Write};
use std::process::ExitCode;

use clap::CommandFactory;
use clap::error::ErrorKind;
use weftline_relay::{Config, Relay, RelayError};

/// Runs until a signal comes.
pub(super) fn run(config: Config) -> ExitCode {
    let _log = match config.check().and_then(|()| super::log::start(&config)) {
        Ok(log) => log,
        Err(error) => super::Cli::command().error(ErrorKind::ValueValidation, error).exit(),
    };
    let runtime = match tokio::runtime::Builder::new_multi_thread().enable_all().build() {
        Ok(runtime) => runtime,
        Err(error) => {
            eprintln!("error: no threads to run on: {error}");
            return ExitCode::FAILURE;
        }
    };
    match runtime.block_on(serve(config)) {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("error: {error}");
            ExitCode::FAILURE
        }
    }
}

async fn serve(config: Config) -> Result<(), RelayError> {
    // Before anything is promised to anybody: a signal that comes now must already drain.
    let mut signals = Signals::listen().map_err(RelayError::Signal)?;
    let relay = Relay::bind(config).await?;
    // Nobody has to listen to our standard output, so a closed one is no reason to fail.
    let scheme = if relay.is_tls() { "wss" } else { "ws" };
    let _ = writeln!(io::stdout(), "listening on {scheme}://{}", relay.local_addr());
    while signals.next().await == Signal::Reload {
        if let Err(error) = relay.reload_certificate() {
            tracing::warn!(%error, "the certificate was not read again");
        }
        if let Some(authority) = relay.authority() {
            authority.reload().await;
        }
    }
    tracing::info!("stopping; a second signal stops at once");
    tokio::select! {
        stopped = relay.shutdown() => stopped,
        () = signals.stop() => Ok(()),
    }
}

/// What a signal asks for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Signal {
    Stop,
    Reload,
}

impl Signals {
    async fn stop(&mut self) {
        while self.next().await != Signal::Stop {}
    }
}

#[cfg(unix)]
struct Signals {
    terminate: tokio::signal::unix::Signal,
    interrupt: tokio::signal::unix::Signal,
    hang_up: tokio::signal::unix::Signal,
}

#[cfg(unix)]
impl Signals {
    fn listen() -> io::Result<Self> {
        use tokio::signal::unix::{SignalKind, signal};
        Ok(Signals {
            terminate: signal(SignalKind::terminate())?,
            interrupt: signal(SignalKind::interrupt())?,
            hang_up: signal(SignalKind::hangup())?,
        })
    }

    async fn next(&mut self) -> Signal {
        tokio::select! {
            // In the order in which somebody would send them.
            biased;
            _ = self.hang_up.recv() => Signal::Reload,
            _ = self.terminate.recv() => Signal::Stop,
            _ = self.interrupt.recv() => Signal::Stop,
        }
    }
}

#[cfg(not(unix))]
struct Signals;

#[cfg(not(unix))]
impl Signals {
    fn listen() -> io::Result<Self> {
        Ok(Signals)
    }

    async fn next(&mut self) -> Signal {
        // An error means that there is no console to hear from; then only the process's end ends it.
        if tokio::signal::ctrl_c().await.is_err() {
            std::future::pending::<()>().await;
        }
        Signal::Stop
    }
}
