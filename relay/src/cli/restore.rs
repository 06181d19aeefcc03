//! `weftline-relay restore FILE`: puts a copy where a relay keeps its database.

use std::fmt;
use std::path::{Path, PathBuf};

use clap::Args;
use weftline_relay::StoreChoice;
use weftline_relay::store::{BackupError, restore};

/// Put a copy made by `backup` where a relay keeps its database; no relay may run there. Clients that are ahead of it give back what they
/// have when they connect
#[derive(Debug, Args)]
pub(super) struct Restore {
    /// The copy
    file: PathBuf,

    /// The database
    #[arg(long, env = "WEFTLINE_RELAY_STORE", value_name = "PATH", default_value = "weftline-relay.db")]
    store: StoreChoice,

    /// Replace the database that is there. What it has and the copy has not is gone, but for what clients give back
    #[arg(long)]
    replace: bool,
}

impl Restore {
    pub(super) fn run(self) -> Result<(), Failed> {
        let database = database(&self.store)?;
        restore(&self.file, database, self.replace).map_err(|error| match error {
            BackupError::Exists { path } => {
                Failed(format!("{} exists; --replace puts the copy in its place", path.display()))
            }
            error => Failed(error.to_string()),
        })?;
        println!("{}", database.display());
        Ok(())
    }
}

/// Why it was not done, in words.
#[derive(Debug)]
pub(super) struct Failed(pub(super) String);

impl fmt::Display for Failed {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str(&self.0)
    }
}

pub(super) fn database(store: &StoreChoice) -> Result<&Path, Failed> {
    match store {
        StoreChoice::Sqlite(path) => Ok(path),
        _ => Err(Failed("a store in memory can neither be copied nor put back".into())),
    }
}
