//! `weftline-relay keygen`: makes a key to sign tokens with.

use std::fs::{self, File, OpenOptions};
use std::io::{self, Write};
use std::path::{Path, PathBuf};

use clap::{Args, ValueEnum};
use weftline_relay::auth::keys::{Algorithm, KeyError, Minted};

/// Write a key to sign tokens with, and the public half of it for the relay (--auth-keys)
#[derive(Debug, Args)]
pub(super) struct Keygen {
    /// The file to write, readable by its owner alone. The public half is put beside it, as FILE.pub
    #[arg(value_name = "FILE")]
    file: PathBuf,

    /// `eddsa`: the relay has the public half and cannot make tokens itself. `hs256`: one secret, which both sides must have
    #[arg(long, value_enum, default_value_t = Kind::Eddsa)]
    algorithm: Kind,

    /// The name of the key, by which tokens say what they are signed with; a random one if it is not given
    #[arg(long, value_name = "NAME")]
    kid: Option<String>,

    /// Add to the keys of FILE and FILE.pub, as the newest, instead of making new files: tokens of both keys are valid then, until the
    /// older one is taken out
    #[arg(long)]
    add: bool,
}

#[derive(Debug, Clone, Copy, ValueEnum)]
enum Kind {
    Eddsa,
    Hs256,
}

/// Why there is no key.
#[derive(Debug, thiserror::Error)]
pub(super) enum KeygenError {
    #[error("{}: {source}", file.display())]
    File { file: PathBuf, source: io::Error },
    #[error("{}: {source}", file.display())]
    Keys { file: PathBuf, source: KeyError },
    #[error("no randomness: {0}")]
    Random(getrandom::Error),
}

impl Keygen {
    pub(super) fn run(self) -> Result<(), KeygenError> {
        let Self { file, algorithm, kid, add } = self;
        let mut random = [0; 32];
        getrandom::fill(&mut random).map_err(KeygenError::Random)?;
        let kid = match kid {
            Some(kid) => kid,
            None => format!("{:08x}", getrandom::u32().map_err(KeygenError::Random)?),
        };
        let algorithm = match algorithm {
            Kind::Eddsa => Algorithm::EdDsa,
            Kind::Hs256 => Algorithm::Hs256,
        };
        let public_file = beside(&file, ".pub");
        let before = if add {
            let public = matches!(algorithm, Algorithm::EdDsa).then(|| read(&public_file)).transpose()?;
            Some(Minted { private: read(&file)?, public })
        } else {
            None
        };
        let minted = Minted::new(algorithm, &kid, random, before.as_ref())
            .map_err(|source| KeygenError::Keys { file: file.clone(), source })?;
        write(&file, &minted.private, add, true)?;
        if let Some(public) = &minted.public {
            write(&public_file, public, add, false)?;
        }
        let relay = if minted.public.is_some() { &public_file } else { &file };
        println!("key {kid} is in {}; run the relay with --auth-keys {}", file.display(), relay.display());
        Ok(())
    }
}

fn beside(file: &Path, ending: &str) -> PathBuf {
    let mut name = file.as_os_str().to_owned();
    name.push(ending);
    name.into()
}

fn read(file: &Path) -> Result<String, KeygenError> {
    fs::read_to_string(file).map_err(|source| KeygenError::File { file: file.to_owned(), source })
}

/// A file that is there is not overwritten unless it is added to, and then it is replaced as a whole.
fn write(file: &Path, text: &str, replace: bool, is_private: bool) -> Result<(), KeygenError> {
    let target = if replace { beside(file, ".new") } else { file.to_owned() };
    let written = create(&target, is_private).and_then(|mut created| {
        created.write_all(text.as_bytes())?;
        created.sync_all()?;
        if replace { fs::rename(&target, file) } else { Ok(()) }
    });
    written.map_err(|source| KeygenError::File { file: target, source })
}

fn create(file: &Path, is_private: bool) -> io::Result<File> {
    let mut options = OpenOptions::new();
    options.write(true).create_new(true);
    #[cfg(unix)]
    std::os::unix::fs::OpenOptionsExt::mode(&mut options, if is_private { 0o600 } else { 0o644 });
    #[cfg(not(unix))]
    let _ = is_private;
    options.open(file)
}

#[cfg(test)]
mod tests {
    use weftline_relay::auth::keys::Keys;

    use super::*;

    fn keygen(file: &Path, algorithm: Kind, kid: &str, add: bool) -> Result<(), KeygenError> {
        Keygen { file: file.to_owned(), algorithm, kid: Some(kid.into()), add }.run()
    }

    #[test]
    fn a_pair_is_two_files_of_which_one_is_private_and_rotation_adds_to_both() {
        let folder = tempfile::tempdir().unwrap();
        let file = folder.path().join("keys.json");
        keygen(&file, Kind::Eddsa, "first", false).unwrap();
        assert!(
            matches!(keygen(&file, Kind::Eddsa, "second", false), Err(KeygenError::File { .. })),
            "not overwritten"
        );
        keygen(&file, Kind::Eddsa, "second", true).unwrap();
        for path in [file.clone(), beside(&file, ".pub")] {
            assert_eq!(Keys::parse(&fs::read(&path).unwrap()).unwrap().len(), 2, "{}", path.display());
        }
        assert!(fs::read_to_string(&file).unwrap().contains("\"d\""));
        assert!(!fs::read_to_string(beside(&file, ".pub")).unwrap().contains("\"d\""));
        #[cfg(unix)]
        {
            use std::os::unix::fs::PermissionsExt;
            assert_eq!(fs::metadata(&file).unwrap().permissions().mode() & 0o777, 0o600);
        }
    }

    #[test]
    fn a_secret_is_one_file() {
        let folder = tempfile::tempdir().unwrap();
        let file = folder.path().join("secret.json");
        keygen(&file, Kind::Hs256, "first", false).unwrap();
        assert!(!beside(&file, ".pub").exists());
        assert_eq!(Keys::parse(&fs::read(&file).unwrap()).unwrap().len(), 1);
    }
}
