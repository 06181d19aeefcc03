//! `weftline-relay check`: whether a relay would start like this, how fast its disk is, and what an operator may not have meant.

use std::path::Path;
use std::time::{Duration, Instant};

use clap::Args;
use weftline_relay::auth::Authority;
use weftline_relay::store::{SqliteStore, Store, StoreError};
use weftline_relay::transport::tls::Tls;
use weftline_relay::{Config, StoreChoice};

use super::file::Settings;
use super::restore::Failed;

/// How many commits are measured.
const COMMITS: usize = 50;

/// A disk that takes longer for a commit makes every edit wait for it.
const SLOW: Duration = Duration::from_millis(20);

/// No disk is so fast that it could have written anything.
const TOO_FAST: Duration = Duration::from_micros(20);

/// Less space is soon used up.
const LITTLE_SPACE: u64 = 1 << 30;

/// Look at the settings, open the store, measure its commits, and say what may not be meant. Takes the settings that the relay takes
#[derive(Debug, Args)]
pub(super) struct Check {
    #[command(flatten)]
    settings: Settings,
}

impl Check {
    pub(super) fn run(self) -> Result<(), Failed> {
        let config = self.settings.config;
        config.check().map_err(|error| Failed(error.to_string()))?;
        config.admin_token().map_err(|error| Failed(error.to_string()))?;
        if let (Some(certificate), Some(key)) = (&config.tls_cert, &config.tls_key) {
            Tls::open(certificate, key).map_err(|error| Failed(error.to_string()))?;
        }
        println!("settings  ok");
        let mut warnings = of_settings(&config);
        if let Some(authority) = Authority::open(&config.auth).map_err(|error| Failed(error.to_string()))? {
            let (keys, signing) = authority.keys();
            println!("tokens    ok: {keys} keys");
            if signing > 0 && config.auth.auth_keys.as_deref().is_some_and(is_open_to_others) {
                warnings
                    .push("--auth-keys: other users of this machine can read keys that tokens are made with".into());
            }
        }
        if let StoreChoice::Sqlite(path) = &config.store {
            look_at(path, &mut warnings)?;
        }
        for warning in &warnings {
            println!("warning   {warning}");
        }
        if warnings.is_empty() {
            println!("nothing to warn of");
        }
        Ok(())
    }
}

fn of_settings(config: &Config) -> Vec<String> {
    let mut warnings = Vec::new();
    let is_reachable = !config.listen.ip().is_loopback();
    if config.store == StoreChoice::Memory {
        warnings.push("--store memory: everything is lost when the relay stops".into());
    }
    if is_reachable && config.tls_cert.is_none() {
        warnings.push(format!(
            "--listen {} without --tls-cert: unless a proxy in front of it does TLS, whoever is on the way reads and changes everything",
            config.listen
        ));
    }
    if is_reachable && config.auth.auth_keys.is_none() {
        warnings.push(
            "--allow-anyone-on-network without --auth-keys: whoever reaches it reads and changes everything".into(),
        );
    }
    if config.allow_origin.iter().any(|origin| origin == "*") {
        warnings.push("--allow-origin *: every web page may connect".into());
    }
    if config.admin_token_file.is_none() {
        warnings.push("no --admin-token-file: the admin API is off".into());
    }
    let secrets = [("--admin-token-file", &config.admin_token_file), ("--tls-key", &config.tls_key)];
    for (flag, file) in secrets.into_iter().filter_map(|(flag, file)| Some((flag, file.as_ref()?))) {
        if is_open_to_others(file) {
            warnings.push(format!("{flag} {}: other users of this machine can read it", file.display()));
        }
    }
    // Beside connections there are the store, the listeners, and those who are only asking.
    let needed = config.max_connections as u64 + 256;
    if let Some(limit) = weftline_relay::metrics::max_files().filter(|limit| *limit < needed) {
        warnings.push(format!(
            "--max-connections {} needs {needed} open files, the limit is {limit}",
            config.max_connections
        ));
    }
    warnings
}

fn look_at(path: &Path, warnings: &mut Vec<String>) -> Result<(), Failed> {
    let failed = |error: StoreError| Failed(error.to_string());
    // A check leaves nothing behind: where there is no database yet, one beside it is measured.
    let is_new = !path.exists();
    let scratch = tempfile_beside(path);
    let measured = if is_new { scratch.as_path() } else { path };
    let store = match SqliteStore::open(measured, 1) {
        Ok(store) => store,
        Err(StoreError::Locked { .. }) => {
            println!("store     in use by a relay: its commits are in its /metrics");
            return Ok(());
        }
        Err(error) => return Err(failed(error)),
    };
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build();
    let runtime = runtime.map_err(|error| Failed(error.to_string()))?;
    let looked = runtime.block_on(async {
        let mut times = Vec::with_capacity(COMMITS);
        for _ in 0..COMMITS {
            let started = Instant::now();
            store.probe().await?;
            times.push(started.elapsed());
        }
        times.sort_unstable();
        Ok((times, store.documents().await?))
    });
    let free = store.condition().free_bytes;
    drop(store);
    if is_new {
        for suffix in ["", "-wal", "-shm", ".lock"] {
            let mut file = scratch.clone().into_os_string();
            file.push(suffix);
            let _ = std::fs::remove_file(file);
        }
    }
    let (times, documents) = looked.map_err(failed)?;
    let (median, longest) = (times[COMMITS / 2], times[COMMITS - 1]);
    let state = if is_new { "would be created".to_owned() } else { format!("{} documents", documents.len()) };
    println!("store     ok: {}, {state}", path.display());
    println!("commits   {median:.1?} in the middle of {COMMITS}, {longest:.1?} at most");
    if median > SLOW {
        warnings.push(format!("a commit takes {median:.1?}: every edit waits that long for its ack"));
    }
    if median < TOO_FAST {
        warnings.push(format!("a commit takes {median:.1?}: does this disk write anything before it says so?"));
    }
    if let Some(free) = free.filter(|free| *free < LITTLE_SPACE) {
        warnings.push(format!("{} MiB are free on the disk of the store", free >> 20));
    }
    Ok(())
}

fn tempfile_beside(path: &Path) -> std::path::PathBuf {
    let mut scratch = path.to_owned().into_os_string();
    scratch.push(format!(".check-{}", std::process::id()));
    scratch.into()
}

#[cfg(unix)]
fn is_open_to_others(file: &Path) -> bool {
    use std::os::unix::fs::PermissionsExt;
    std::fs::metadata(file).is_ok_and(|file| file.permissions().mode() & 0o077 != 0)
}

#[cfg(not(unix))]
fn is_open_to_others(_: &Path) -> bool {
    false
}
