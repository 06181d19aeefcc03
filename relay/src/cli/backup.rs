//! `weftline-relay backup FILE`: a copy of the database, while a relay uses it.

use std::path::PathBuf;

use clap::Args;
use weftline_relay::StoreChoice;
use weftline_relay::store::{BackupError, backup};

use super::restore::{Failed, database};

/// Copy the database to a new file, while a relay uses it or not. The copy is checked, and can be put back with `restore`
#[derive(Debug, Args)]
pub(super) struct Backup {
    /// The copy; it must not exist
    file: PathBuf,

    /// The database
    #[arg(long, env = "WEFTLINE_RELAY_STORE", value_name = "PATH", default_value = "weftline-relay.db")]
    store: StoreChoice,
}

impl Backup {
    pub(super) fn run(self) -> Result<(), Failed> {
        backup(database(&self.store)?, &self.file).map_err(|error: BackupError| Failed(error.to_string()))?;
        println!("{}", self.file.display());
        Ok(())
    }
}
