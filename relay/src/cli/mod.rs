//! The command line: `weftline-relay [flags]` runs a relay; beside that there are subcommands, one file each.
//!
//! A subcommand that needs what a relay is configured with takes the same flags after its name.

mod backup;
mod check;
mod file;
mod keygen;
mod log;
mod restore;
mod serve;
mod token;

use std::process::ExitCode;

use clap::error::ErrorKind;
use clap::{CommandFactory, FromArgMatches, Parser, Subcommand};
use file::Settings;

/// What was asked for.
#[derive(Debug, Parser)]
#[command(
    name = "weftline-relay",
    version,
    about = "Stores and forwards Weftline documents over websockets",
    args_conflicts_with_subcommands = true
)]
struct Cli {
    #[command(subcommand)]
    command: Option<Command>,
    #[command(flatten)]
    settings: Settings,
}

#[derive(Debug, Subcommand)]
enum Command {
    Token(token::Token),
    Keygen(keygen::Keygen),
    Check(Box<check::Check>),
    Backup(backup::Backup),
    Restore(restore::Restore),
}

/// Does what the arguments say.
pub(crate) fn run() -> ExitCode {
    let arguments: Vec<_> = std::env::args_os().collect();
    let flags = match file::with_defaults(Cli::command(), &arguments) {
        Ok(flags) => flags,
        Err(error) => Cli::command().error(ErrorKind::ValueValidation, error).exit(),
    };
    let matches = flags.get_matches_from(arguments);
    let Cli { command, settings: Settings { config, .. } } =
        Cli::from_arg_matches(&matches).unwrap_or_else(|error| error.exit());
    match command {
        None => serve::run(config),
        Some(Command::Token(token)) => done(token.run()),
        Some(Command::Keygen(keygen)) => done(keygen.run()),
        Some(Command::Check(check)) => done(check.run()),
        Some(Command::Backup(backup)) => done(backup.run()),
        Some(Command::Restore(restore)) => done(restore.run()),
    }
}

/// How a subcommand ends.
fn done(result: Result<(), impl std::fmt::Display>) -> ExitCode {
    match result {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("error: {error}");
            ExitCode::FAILURE
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_command_line_is_consistent() {
        Cli::command().debug_assert();
    }

    #[test]
    fn without_a_subcommand_a_relay_is_run() {
        let cli = Cli::try_parse_from(["weftline-relay", "--store", "memory"]).unwrap();
        assert!(cli.command.is_none());
        let cli = Cli::try_parse_from(["weftline-relay", "keygen", "key.json"]).unwrap();
        assert!(matches!(cli.command, Some(Command::Keygen(_))));
        assert!(Cli::try_parse_from(["weftline-relay", "--store", "memory", "keygen", "key.json"]).is_err());
    }
}
