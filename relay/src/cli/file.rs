//! Settings from a file: TOML, each key the name of a flag.
//!
//! A flag wins over the environment, that over the file, that over the default. What the file says becomes the default of the flag, so that
//! everything that is said of flags holds for it. A key that no flag has is refused, with the one that may have been meant.

use std::ffi::OsString;
use std::path::{Path, PathBuf};

use clap::{ArgAction, Args, Command, CommandFactory};
use weftline_relay::Config;

use super::restore::Failed;

/// Everything that a relay is configured with.
#[derive(Debug, Args)]
pub(super) struct Settings {
    /// A file with settings, in TOML: each key is the name of a flag without the dashes before it, such as `max-connections = 20000`. Flags and
    /// the environment win over it
    #[arg(long = "config", env = VARIABLE, value_name = "FILE")]
    file: Option<PathBuf>,

    #[command(flatten)]
    pub(super) config: Config,
}

const VARIABLE: &str = "WEFTLINE_RELAY_CONFIG";

/// Alike enough to be what was meant.
const ALIKE: f64 = 0.75;

/// The command with what the file says as defaults, if these arguments or the environment name a file.
pub(super) fn with_defaults(command: Command, arguments: &[OsString]) -> Result<Command, Failed> {
    let Some(path) = named(arguments).or_else(|| std::env::var_os(VARIABLE).map(PathBuf::from)) else {
        return Ok(command);
    };
    let wrong = |detail: String| Failed(format!("{}: {detail}", path.display()));
    let text = std::fs::read_to_string(&path).map_err(|error| wrong(error.to_string()))?;
    let settings = read(&text).map_err(wrong)?;
    let apply = |mut command: Command| {
        for (key, values) in &settings {
            command = command.mut_arg(key.replace('-', "_"), |flag| flag.default_values(values.clone()));
        }
        command
    };
    Ok(apply(command).mut_subcommand("check", apply))
}

/// The file that these arguments name.
fn named(arguments: &[OsString]) -> Option<PathBuf> {
    let mut arguments = arguments.iter();
    while let Some(argument) = arguments.next() {
        match argument.to_str() {
            Some("--config") => return arguments.next().map(PathBuf::from),
            Some(text) => {
                if let Some(path) = text.strip_prefix("--config=") {
                    return Some(Path::new(path).to_owned());
                }
            }
            None => {}
        }
    }
    None
}

/// The keys, each with its values as they would be written on the command line.
fn read(text: &str) -> Result<Vec<(String, Vec<&'static str>)>, String> {
    let table: toml::Table = toml::from_str(text).map_err(|error| error.to_string().trim_end().to_owned())?;
    let flags = Flags::command();
    let mut settings = Vec::new();
    for (key, value) in table {
        let Some(flag) = flags.get_arguments().find(|flag| flag.get_long() == Some(&key)) else {
            return Err(unknown(&flags, &key));
        };
        let is_switch = matches!(flag.get_action(), ArgAction::SetTrue);
        let values = match &value {
            toml::Value::Boolean(on) if is_switch => vec![on.to_string()],
            _ if is_switch => return Err(format!("{key}: expected true or false")),
            toml::Value::String(text) => vec![text.clone()],
            toml::Value::Integer(number) => vec![number.to_string()],
            toml::Value::Array(all) if matches!(flag.get_action(), ArgAction::Append) => {
                let text = |value: &toml::Value| value.as_str().map(str::to_owned);
                all.iter().map(text).collect::<Option<_>>().ok_or_else(|| format!("{key}: expected a list of texts"))?
            }
            _ => return Err(format!("{key}: expected a text or a number")),
        };
        if !is_switch {
            for value in &values {
                let arguments = [format!("--{key}={value}")];
                let tried = Flags::command().no_binary_name(true).try_get_matches_from(arguments);
                // A flag that goes with another one is fine here.
                let refused = tried.err().filter(|error| error.kind() == clap::error::ErrorKind::ValueValidation);
                if let Some(error) = refused {
                    let error = error.to_string();
                    return Err(error.lines().next().unwrap_or(&error).trim_start_matches("error: ").to_owned());
                }
            }
        }
        // The command line lives as long as the process, and so do its defaults.
        settings.push((key, values.into_iter().map(|value| &*String::leak(value)).collect()));
    }
    Ok(settings)
}

/// The flags that may be in a file.
#[derive(Debug, clap::Parser)]
struct Flags {
    #[command(flatten)]
    _config: Config,
}

fn unknown(flags: &Command, key: &str) -> String {
    let known = flags.get_arguments().filter_map(clap::Arg::get_long);
    let likeness = |flag: &str| strsim::jaro_winkler(flag, &key.replace('_', "-"));
    let nearest = known.map(|flag| (likeness(flag), flag)).max_by(|one, other| one.0.total_cmp(&other.0));
    match nearest.filter(|(likeness, _)| *likeness >= ALIKE) {
        Some((_, flag)) => format!("there is no setting {key}; perhaps {flag} is meant"),
        None => format!("there is no setting {key}"),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn settings_are_read_as_flags_would_be_and_unknown_ones_are_refused() {
        let read = |text: &str| read(text).map(|all| format!("{all:?}"));
        assert_eq!(
            read("max-connections = 5\nallow-origin = [\"https://a.example\", \"*\"]\nallow-anyone-on-network = true")
                .unwrap(),
            r#"[("allow-anyone-on-network", ["true"]), ("allow-origin", ["https://a.example", "*"]), ("max-connections", ["5"])]"#
        );
        for (text, expected) in [
            ("max-conections = 5", "perhaps max-connections is meant"),
            ("max_connections = 5", "perhaps max-connections is meant"),
            ("zzz = 5", "there is no setting zzz"),
            ("max-frame = \"much\"", "--max-frame"),
            ("max-frame = [1]", "max-frame: expected a text or a number"),
            ("allow-anyone-on-network = \"yes\"", "expected true or false"),
            ("[store]\npath = \"a\"", "store: expected"),
            ("max-frame = ", "TOML parse error"),
        ] {
            let refused = read(text).unwrap_err();
            assert!(refused.contains(expected), "{text}: {refused}");
        }
    }
}
