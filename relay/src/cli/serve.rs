//! No subcommand: runs a relay, and stops it on a signal.

use std::io::{self, IsTerminal, Write};
use std::process::ExitCode;

use clap::CommandFactory;
use clap::error::ErrorKind;
use tracing_subscriber::EnvFilter;
use weftline_relay::{Config, ConfigError, Relay, RelayError};

/// Runs until a signal comes.
pub(super) fn run(config: Config) -> ExitCode {
    if let Err(error) = config.check().and_then(|()| log(&config)) {
        super::Cli::command().error(ErrorKind::ValueValidation, error).exit();
    }
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
    let _ = writeln!(io::stdout(), "listening on ws://{}", relay.local_addr());
    signals.next().await;
    tracing::info!("stopping; a second signal stops at once");
    tokio::select! {
        stopped = relay.shutdown() => stopped,
        () = signals.next() => Ok(()),
    }
}

fn log(config: &Config) -> Result<(), ConfigError> {
    let refused =
        |error: &dyn std::fmt::Display| ConfigError::Log { filter: config.log.clone(), detail: error.to_string() };
    let filter = EnvFilter::builder().parse(&config.log).map_err(|error| refused(&error))?;
    tracing_subscriber::fmt()
        .with_env_filter(filter)
        .with_writer(io::stderr)
        .with_ansi(io::stderr().is_terminal())
        .try_init()
        .map_err(|error| refused(&error))
}

#[cfg(unix)]
struct Signals {
    terminate: tokio::signal::unix::Signal,
    interrupt: tokio::signal::unix::Signal,
}

#[cfg(unix)]
impl Signals {
    fn listen() -> io::Result<Self> {
        use tokio::signal::unix::{SignalKind, signal};
        Ok(Signals { terminate: signal(SignalKind::terminate())?, interrupt: signal(SignalKind::interrupt())? })
    }

    async fn next(&mut self) {
        tokio::select! {
            _ = self.terminate.recv() => {}
            _ = self.interrupt.recv() => {}
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

    async fn next(&mut self) {
        // An error means that there is no console to hear from; then only the process's end ends it.
        if tokio::signal::ctrl_c().await.is_err() {
            std::future::pending::<()>().await;
        }
    }
}
