//! Every knob of a relay, its default and the reason for it.
//!
//! On the command line each is a flag, and each flag has an environment variable; the flag wins. What makes no sense, or exposes documents
//! to strangers without saying so, is refused before anything is opened.

use std::net::{Ipv4Addr, SocketAddr};
use std::path::PathBuf;
use std::str::FromStr;
use std::time::Duration;

use clap::Parser;

use crate::auth::AuthOptions;
use crate::limits::LimitOptions;

/// Shorter tokens are guessed.
const LEAST_TOKEN: usize = 16;

/// How a relay runs.
#[derive(Debug, Clone, PartialEq, Eq, Parser)]
#[command(name = "weftline-relay", version, about = "Stores and forwards Weftline documents over websockets")]
#[non_exhaustive]
pub struct Config {
    /// Address and port to listen on; port 0 takes a free one, printed at the start. Beyond loopback it takes --auth-keys
    #[arg(long, env = "WEFTLINE_RELAY_LISTEN", value_name = "ADDRESS:PORT", default_value_t = Config::LISTEN)]
    pub listen: SocketAddr,

    /// The database file, created when it is missing, or `memory`: then everything is lost when the relay stops
    #[arg(long, env = "WEFTLINE_RELAY_STORE", value_name = "PATH|memory", default_value = Config::STORE)]
    pub store: StoreChoice,

    /// Listen on an address that other machines reach without --auth-keys: anyone on that network can read and change every document
    #[arg(long, env = "WEFTLINE_RELAY_ALLOW_ANYONE_ON_NETWORK")]
    pub allow_anyone_on_network: bool,

    /// Web pages that may connect, such as `https://app.example`, or `*` for all; repeatable. Pages from this machine (localhost) always may.
    /// Without this check any page that somebody on this machine visits could reach a relay on loopback
    #[arg(long, env = "WEFTLINE_RELAY_ALLOW_ORIGIN", value_name = "ORIGIN", value_delimiter = ',')]
    pub allow_origin: Vec<String>,

    /// The longest websocket frame in either direction. Messages may be longer, they are cut into frames; this bounds what one connection
    /// makes the relay hold at a time
    #[arg(long, env = "WEFTLINE_RELAY_MAX_FRAME", value_name = "BYTES", default_value = "1MiB", value_parser = parse_bytes)]
    pub max_frame: usize,

    /// Connections at a time; more are answered with 503. Each costs a file descriptor and a few kilobytes
    #[arg(long, env = "WEFTLINE_RELAY_MAX_CONNECTIONS", value_name = "COUNT", default_value_t = Config::MAX_CONNECTIONS)]
    pub max_connections: usize,

    /// Documents that one connection may have open at a time
    #[arg(long, env = "WEFTLINE_RELAY_MAX_DOCUMENTS", value_name = "COUNT", default_value_t = Config::MAX_DOCUMENTS)]
    pub max_documents: usize,

    /// A connection that was silent for so long is asked for a sign of life, and closed after three times as long without one. Below the
    /// half minute after which the stingiest proxies cut idle connections
    #[arg(long, env = "WEFTLINE_RELAY_HEARTBEAT", value_name = "TIME", default_value = "15s", value_parser = parse_time)]
    pub heartbeat: Duration,

    /// Proxies whose `X-Forwarded-For` is believed, such as `10.0.0.0/8` or `127.0.0.1/32`, for the addresses in logs, limits and the admin API;
    /// repeatable
    #[arg(long, env = "WEFTLINE_RELAY_TRUST_PROXY", value_name = "CIDR", value_delimiter = ',')]
    pub trust_proxy: Vec<ipnet::IpNet>,

    /// A certificate chain (PEM): speak TLS. Read again when it changes, and at SIGHUP. At a loopback `--admin-listen` there is none
    #[arg(long, env = "WEFTLINE_RELAY_TLS_CERT", value_name = "FILE")]
    pub tls_cert: Option<PathBuf>,

    /// The key of that certificate (PEM)
    #[arg(long, env = "WEFTLINE_RELAY_TLS_KEY", value_name = "FILE")]
    pub tls_key: Option<PathBuf>,

    /// How long a client may take to ask for the websocket, and then to say hello (which is never given more than 10 s)
    #[arg(long, env = "WEFTLINE_RELAY_HANDSHAKE_TIMEOUT", value_name = "TIME", default_value = "10s", value_parser = parse_time)]
    pub handshake_timeout: Duration,

    /// How long a document stays in memory after its last client left, for clients that come right back
    #[arg(long, env = "WEFTLINE_RELAY_ROOM_IDLE", value_name = "TIME", default_value = "30s", value_parser = parse_time)]
    pub room_idle: Duration,

    /// How long a relay that was asked to stop waits for commits and goodbyes. Supervisors kill after 10 s to 90 s, so it ends before
    #[arg(long, env = "WEFTLINE_RELAY_DRAIN_TIMEOUT", value_name = "TIME", default_value = "8s", value_parser = parse_time)]
    pub drain_timeout: Duration,

    /// How long a relay that was asked to stop still takes connections, while `/readyz` already says no: as long as a load balancer needs to
    /// notice
    #[arg(long, env = "WEFTLINE_RELAY_DRAIN_DELAY", value_name = "TIME", default_value = "0s", value_parser = parse_time)]
    pub drain_delay: Duration,

    /// Address and port for operators: `/metrics`, `/status` and the admin API are answered there and nowhere else. On loopback the first two
    /// need no token. Without this, all of them are at the main address, and need the admin token
    #[arg(long, env = "WEFTLINE_RELAY_ADMIN_LISTEN", value_name = "ADDRESS:PORT")]
    pub admin_listen: Option<SocketAddr>,

    /// A file with the admin token, at least 16 characters. Whoever has it may read, change and delete every document. Without one the admin
    /// API is off
    #[arg(long, env = "WEFTLINE_RELAY_ADMIN_TOKEN_FILE", value_name = "FILE")]
    pub admin_token_file: Option<PathBuf>,
    /// Who may do what.
    #[command(flatten)]
    pub auth: AuthOptions,

    /// How much anybody may use
    #[command(flatten)]
    pub limits: LimitOptions,

    /// What to log to stderr: `error`, `warn`, `info`, `debug`, `trace`, or directives such as `info,weftline_relay::session=debug`.
    /// Content of documents is never logged
    #[arg(long, env = "WEFTLINE_RELAY_LOG", value_name = "FILTER", default_value = Config::LOG)]
    pub log: String,

    /// How to write the log: as text for people, or one JSON object to a line
    #[arg(long, env = "WEFTLINE_RELAY_LOG_FORMAT", value_name = "FORMAT", default_value = "text")]
    pub log_format: LogFormat,

    /// Where a collector of OpenTelemetry takes spans (OTLP over HTTP), such as `http://127.0.0.1:4318`. Only in a relay that was built with
    /// the feature `otlp`
    #[arg(long, env = "WEFTLINE_RELAY_OTLP_ENDPOINT", value_name = "URL")]
    pub otlp_endpoint: Option<String>,
}

/// How the log is written.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, clap::ValueEnum)]
pub enum LogFormat {
    /// For people.
    #[default]
    Text,
    /// One JSON object to a line.
    Json,
}

/// Which engine keeps the documents.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum StoreChoice {
    /// Nothing outlives the process.
    Memory,
    /// A SQLite database at this path.
    Sqlite(PathBuf),
}

/// A setting that makes no sense.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum ConfigError {
    /// Listening beyond loopback without saying that this is wanted.
    #[error(
        "--listen {address} is reachable from other machines, and there is no authentication: \
         anyone there could read and change every document. Give --auth-keys, or add --allow-anyone-on-network if that is meant, \
         or listen on 127.0.0.1 behind a proxy that authenticates"
    )]
    Exposed {
        /// The address asked for.
        address: SocketAddr,
    },
    /// A number outside of what works.
    #[error("{flag} {found} is out of range: {least} to {most}")]
    OutOfRange {
        /// The flag.
        flag: &'static str,
        /// What was asked for.
        found: String,
        /// The least that works.
        least: &'static str,
        /// The most that works.
        most: &'static str,
    },
    /// An origin no browser would send.
    #[error("--allow-origin {origin:?} is not an origin such as https://app.example or http://localhost:8080, nor *")]
    Origin {
        /// What was given.
        origin: String,
    },
    /// A certificate without its key, or the other way round.
    #[error("--tls-cert and --tls-key go together")]
    HalfTls,
    /// The admin token cannot be used.
    #[error("--admin-token-file {}: {detail}", file.display())]
    AdminToken {
        /// The file.
        file: PathBuf,
        /// What is wrong with it.
        detail: String,
    },
    /// Operators' numbers where others reach them, without a token.
    #[error(
        "--admin-listen {address} is reachable from other machines: add --admin-token-file, so that not everybody there sees the names of \
         all documents"
    )]
    AdminExposed {
        /// The address asked for.
        address: SocketAddr,
    },
    /// Spans cannot be sent there.
    #[error("--otlp-endpoint {endpoint}: {detail}")]
    Otlp {
        /// What was given.
        endpoint: String,
        /// What is wrong with it.
        detail: String,
    },
    /// A filter that cannot be read.
    #[error("--log {filter:?}: {detail}")]
    Log {
        /// What was given.
        filter: String,
        /// What is wrong with it.
        detail: String,
    },
}

impl Config {
    const LISTEN: SocketAddr = SocketAddr::new(std::net::IpAddr::V4(Ipv4Addr::LOCALHOST), 8787);
    const STORE: &'static str = "weftline-relay.db";
    const MAX_FRAME: usize = 1 << 20;
    const MAX_CONNECTIONS: usize = 10_000;
    const MAX_DOCUMENTS: usize = 100;
    const LOG: &'static str = "info";

    /// The defaults with another store, without a look at the command line or the environment.
    #[must_use]
    pub fn new(store: StoreChoice) -> Self {
        Config {
            listen: Self::LISTEN,
            store,
            allow_anyone_on_network: false,
            allow_origin: Vec::new(),
            max_frame: Self::MAX_FRAME,
            max_connections: Self::MAX_CONNECTIONS,
            max_documents: Self::MAX_DOCUMENTS,
            trust_proxy: Vec::new(),
            tls_cert: None,
            tls_key: None,
            heartbeat: Duration::from_secs(15),
            handshake_timeout: Duration::from_secs(10),
            room_idle: Duration::from_secs(30),
            drain_timeout: Duration::from_secs(8),
            drain_delay: Duration::ZERO,
            admin_listen: None,
            admin_token_file: None,
            auth: AuthOptions::default(),
            limits: LimitOptions::default(),
            log: Self::LOG.into(),
            log_format: LogFormat::Text,
            otlp_endpoint: None,
        }
    }

    /// The admin token, read from its file.
    ///
    /// # Errors
    /// When it cannot be read, or is too easily guessed.
    pub fn admin_token(&self) -> Result<Option<String>, ConfigError> {
        let Some(file) = &self.admin_token_file else { return Ok(None) };
        let refused = |detail: String| ConfigError::AdminToken { file: file.clone(), detail };
        let token = std::fs::read_to_string(file).map_err(|error| refused(error.to_string()))?.trim().to_owned();
        if token.len() < LEAST_TOKEN || !token.bytes().all(|byte| byte.is_ascii_graphic()) {
            return Err(refused(format!("expected at least {LEAST_TOKEN} visible ASCII characters")));
        }
        Ok(Some(token))
    }

    /// Refuses what makes no sense.
    pub fn check(&self) -> Result<(), ConfigError> {
        let is_open = self.auth.auth_keys.is_none() && !self.allow_anyone_on_network;
        if !self.listen.ip().is_loopback() && is_open {
            return Err(ConfigError::Exposed { address: self.listen });
        }
        if let Some(endpoint) = self.otlp_endpoint.as_ref().filter(|_| cfg!(not(feature = "otlp"))) {
            let detail = "this relay was built without the feature `otlp`".into();
            return Err(ConfigError::Otlp { endpoint: endpoint.clone(), detail });
        }
        if self.tls_cert.is_some() != self.tls_key.is_some() {
            return Err(ConfigError::HalfTls);
        }
        if let Some(address) = self.admin_listen
            && !address.ip().is_loopback()
            && self.admin_token_file.is_none()
        {
            return Err(ConfigError::AdminExposed { address });
        }
        let range = |flag, found: u128, shown: String, (least, least_shown), (most, most_shown)| {
            if (least..=most).contains(&found) {
                Ok(())
            } else {
                Err(ConfigError::OutOfRange { flag, found: shown, least: least_shown, most: most_shown })
            }
        };
        let count = |flag, found: usize, least, most| range(flag, found as u128, found.to_string(), least, most);
        let time =
            |flag, found: Duration, least, most| range(flag, found.as_millis(), format!("{found:?}"), least, most);
        count("--max-frame", self.max_frame, (64 << 10, "64KiB"), (64 << 20, "64MiB"))?;
        count("--max-connections", self.max_connections, (1, "1"), (1_000_000, "1000000"))?;
        count("--max-documents", self.max_documents, (1, "1"), (100_000, "100000"))?;
        time("--heartbeat", self.heartbeat, (1000, "1s"), (3_600_000, "1h"))?;
        time("--handshake-timeout", self.handshake_timeout, (100, "100ms"), (600_000, "10m"))?;
        time("--room-idle", self.room_idle, (0, "0s"), (86_400_000, "24h"))?;
        time("--auth-leeway", self.auth.auth_leeway, (0, "0s"), (3_600_000, "1h"))?;
        time("--auth-longest", self.auth.auth_longest, (60_000, "1m"), (31_536_000_000, "365d"))?;
        time("--auth-webhook-timeout", self.auth.auth_webhook_timeout, (100, "100ms"), (30_000, "30s"))?;
        time("--drain-timeout", self.drain_timeout, (0, "0s"), (3_600_000, "1h"))?;
        self.limits.check()?;
        time("--drain-delay", self.drain_delay, (0, "0s"), (3_600_000, "1h"))?;
        for origin in &self.allow_origin {
            let host = origin.split_once("://").map(|(_, host)| host);
            if origin != "*" && host.is_none_or(|host| host.is_empty() || host.contains(['/', '*', ' '])) {
                return Err(ConfigError::Origin { origin: origin.clone() });
            }
        }
        Ok(())
    }
}

impl FromStr for StoreChoice {
    type Err = &'static str;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        match text {
            "memory" => Ok(StoreChoice::Memory),
            // A path, where a person or a later version means something else.
            "" => Err("expected a path or `memory`"),
            url if url.contains("://") => Err("expected a path or `memory`; other engines do not exist yet"),
            path => Ok(StoreChoice::Sqlite(path.into())),
        }
    }
}

/// `65536`, `64KiB`, `1MiB`.
pub(crate) fn parse_bytes(text: &str) -> Result<usize, String> {
    let scaled =
        |digits: &str, scale: usize| digits.trim_end().parse().ok().and_then(|number: usize| number.checked_mul(scale));
    [("KiB", 1 << 10), ("MiB", 1 << 20), ("GiB", 1 << 30), ("", 1)]
        .iter()
        .find_map(|(unit, scale)| text.strip_suffix(unit).map(|digits| scaled(digits, *scale)))
        .flatten()
        .ok_or_else(|| "expected a number of bytes, such as 65536, 64KiB or 1MiB".into())
}

/// `15s`, `500ms`, `2m`, `1h`; a bare number counts seconds.
///
/// # Errors
/// When it is none.
pub fn parse_time(text: &str) -> Result<Duration, String> {
    let scaled =
        |digits: &str, scale: u64| digits.trim_end().parse().ok().and_then(|number: u64| number.checked_mul(scale));
    [("ms", 1), ("s", 1000), ("m", 60_000), ("h", 3_600_000), ("", 1000)]
        .iter()
        .find_map(|(unit, scale)| text.strip_suffix(unit).map(|digits| scaled(digits, *scale)))
        .flatten()
        .map(Duration::from_millis)
        .ok_or_else(|| "expected a time, such as 15s, 500ms or 2m".into())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn parse(arguments: &[&str]) -> Result<Config, String> {
        let config =
            Config::try_parse_from([&["weftline-relay"], arguments].concat()).map_err(|error| error.to_string())?;
        config.check().map_err(|error| error.to_string())?;
        Ok(config)
    }

    #[test]
    fn the_defaults_of_the_flags_and_of_the_library_are_the_same_and_accepted() {
        let parsed = parse(&[]).unwrap();
        assert_eq!(parsed, Config::new(StoreChoice::Sqlite(Config::STORE.into())));
        assert!(parsed.listen.ip().is_loopback());
    }

    #[test]
    fn every_flag_has_an_environment_variable_named_after_it() {
        use clap::CommandFactory;
        let flags: Vec<_> = Config::command().get_arguments().cloned().collect();
        assert!(flags.len() > 40, "{} flags", flags.len());
        for flag in flags {
            let name = flag.get_long().unwrap();
            let variable = flag.get_env().unwrap_or_else(|| panic!("--{name} has none")).to_str().unwrap();
            assert_eq!(variable, format!("WEFTLINE_RELAY_{}", name.replace('-', "_").to_uppercase()));
        }
    }

    #[test]
    fn values_are_read_with_units() {
        let config =
            parse(&["--max-frame", "64KiB", "--heartbeat", "1500ms", "--drain-timeout", "2", "--store", "memory"]);
        let config = config.unwrap();
        assert_eq!(config.max_frame, 65536);
        assert_eq!(config.heartbeat, Duration::from_millis(1500));
        assert_eq!(config.drain_timeout, Duration::from_secs(2));
        assert_eq!(config.store, StoreChoice::Memory);
    }

    #[test]
    fn nonsense_is_refused_with_the_flag_and_the_reason() {
        for (arguments, expected) in [
            (&["--listen", "0.0.0.0:8787"] as &[_], "--allow-anyone-on-network"),
            (&["--listen", "[::]:8787"], "no authentication"),
            (&["--listen", "localhost"], "--listen"),
            (&["--store", ""], "--store"),
            (&["--store", "nats://localhost"], "other engines do not exist yet"),
            (&["--max-frame", "12"], "--max-frame 12 is out of range: 64KiB to 64MiB"),
            (&["--max-frame", "9999999999999GiB"], "--max-frame"),
            (&["--max-frame", "many"], "expected a number of bytes"),
            (&["--heartbeat", "0s"], "--heartbeat"),
            (&["--heartbeat=-3"], "--heartbeat"),
            (&["--max-connections", "0"], "--max-connections"),
            (&["--allow-origin", "app.example"], "is not an origin"),
            (&["--allow-origin", "https://app.example/path"], "is not an origin"),
            (&["--auth-anonymous-read", "news"], "--auth-keys"),
            (&["--auth-keys", "keys", "--auth-anonymous-read", "a*b"], "not at its end"),
            (&["--auth-leeway", "2h"], "--auth-leeway"),
            (&["--max-delta", "17MiB"], "--max-delta 17825792 is out of range: 1KiB to 16MiB"),
            (&["--max-byte-rate", "1"], "--max-byte-rate"),
            (&["--max-members", "0"], "--max-members"),
            (&["--speed", "11"], "--speed"),
        ] {
            let error = parse(arguments).unwrap_err();
            assert!(error.contains(expected), "{arguments:?} gave {error}");
        }
        parse(&["--listen", "0.0.0.0:8787", "--allow-anyone-on-network"]).unwrap();
        parse(&["--listen", "0.0.0.0:8787", "--auth-keys", "keys.json"]).unwrap();
        parse(&["--allow-origin", "https://a.example,http://b.example:8080", "--allow-origin", "*"]).unwrap();
    }
}
