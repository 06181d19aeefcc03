//! The limits as an operator sets them: flags, defaults, reasons.

use clap::Args;

use super::meter::Rate;
use super::{ConnectionLimits, RoomLimits};
use crate::config::{ConfigError, parse_bytes};

/// How many seconds' worth may come at once, after a pause: what somebody wrote on a train, or the burst of a program that imports.
const BURST_SECONDS: u64 = 5;

/// Limits beside those of the connection itself. Beyond a rate a client is slowed down; beyond the others it is refused, and told why.
#[derive(Debug, Clone, PartialEq, Eq, Args)]
#[command(next_help_heading = "Limits")]
#[non_exhaustive]
pub struct LimitOptions {
    /// The longest delta: what one transaction writes. At most 16MiB, which is what clients make
    #[arg(long, env = "WEFTLINE_RELAY_MAX_DELTA", value_name = "BYTES", default_value = "16MiB", value_parser = parse_bytes)]
    pub max_delta: usize,

    /// The largest document, as a snapshot of what lives in it. Beyond it only edits that take something away are taken. A client must be able
    /// to give a whole document back in one message, which may have 64MiB
    #[arg(long, env = "WEFTLINE_RELAY_MAX_DOCUMENT", value_name = "BYTES", default_value = "48MiB", value_parser = parse_bytes)]
    pub max_document: usize,

    /// Connections that may have one document open. Each is sent everything that the others write
    #[arg(long, env = "WEFTLINE_RELAY_MAX_MEMBERS", value_name = "COUNT", default_value_t = LimitOptions::MEMBERS)]
    pub max_members: usize,

    /// Replicas that may ever write to one document: each costs every member some 26 bytes, for ever
    #[arg(long, env = "WEFTLINE_RELAY_MAX_REPLICAS", value_name = "COUNT", default_value_t = LimitOptions::REPLICAS)]
    pub max_replicas: usize,

    /// Replicas new to a document that one subject may bring to it in an hour, over all its connections; without a token an address is a
    /// subject. A store brings one for each tab that writes beside others
    #[arg(long, env = "WEFTLINE_RELAY_MAX_NEW_REPLICAS", value_name = "COUNT", default_value_t = LimitOptions::NEW_REPLICAS)]
    pub max_new_replicas: usize,

    /// Connections from one address, or one /64 of IPv6; 0 for as many as there are. An office or a school may be behind one address
    #[arg(long, env = "WEFTLINE_RELAY_MAX_ADDRESS_CONNECTIONS", value_name = "COUNT", default_value_t = LimitOptions::ADDRESS_CONNECTIONS)]
    pub max_address_connections: usize,

    /// Connections of one address that have not finished their handshake; more are dropped without a word
    #[arg(long, env = "WEFTLINE_RELAY_MAX_ADDRESS_HANDSHAKES", value_name = "COUNT", default_value_t = LimitOptions::ADDRESS_HANDSHAKES)]
    pub max_address_handshakes: usize,

    /// Count connections from loopback as well. Off, because a proxy on this machine makes all of them look as if they came from there
    #[arg(long, env = "WEFTLINE_RELAY_LIMIT_LOOPBACK")]
    pub limit_loopback: bool,

    /// Connections of one subject of tokens: the tabs and devices of a person
    #[arg(long, env = "WEFTLINE_RELAY_MAX_SUBJECT_CONNECTIONS", value_name = "COUNT", default_value_t = LimitOptions::SUBJECT_CONNECTIONS)]
    pub max_subject_connections: usize,

    /// Bytes of messages that have begun and not ended, of all connections together; beyond them, connections that hold more than 1MiB of it
    /// are sent away for a time. One client that gives a document back may need 64MiB
    #[arg(long, env = "WEFTLINE_RELAY_MAX_UNFINISHED", value_name = "BYTES", default_value = "1GiB", value_parser = parse_bytes)]
    pub max_unfinished: usize,

    /// How large the database may become; beyond it edits are refused as on a full disk. Without it the disk is the limit. The write-ahead log
    /// beside it is not counted
    #[arg(long, env = "WEFTLINE_RELAY_MAX_STORE", value_name = "BYTES", value_parser = parse_bytes)]
    pub max_store: Option<usize>,

    /// Deltas a second that one connection may push, over time. A question counts as fifty
    #[arg(long, env = "WEFTLINE_RELAY_MAX_DELTA_RATE", value_name = "COUNT", default_value_t = LimitOptions::DELTA_RATE)]
    pub max_delta_rate: u64,

    /// Bytes a second that one connection may send, over time
    #[arg(long, env = "WEFTLINE_RELAY_MAX_BYTE_RATE", value_name = "BYTES", default_value = "16MiB", value_parser = parse_bytes)]
    pub max_byte_rate: usize,

    /// Deltas a second that all connections together may push to one document, over time
    #[arg(long, env = "WEFTLINE_RELAY_MAX_DOCUMENT_DELTA_RATE", value_name = "COUNT", default_value_t = LimitOptions::DOCUMENT_DELTA_RATE)]
    pub max_document_delta_rate: u64,

    /// Bytes a second that all connections together may push to one document, over time
    #[arg(long, env = "WEFTLINE_RELAY_MAX_DOCUMENT_BYTE_RATE", value_name = "BYTES", default_value = "32MiB", value_parser = parse_bytes)]
    pub max_document_byte_rate: usize,

    /// Changes of presence a second that one connection may send, over time. Clients of ours send ten
    #[arg(long, env = "WEFTLINE_RELAY_MAX_PRESENCE_RATE", value_name = "COUNT", default_value_t = LimitOptions::PRESENCE_RATE)]
    pub max_presence_rate: u64,
}

impl LimitOptions {
    const DELTA: usize = weftline::sync::limits::MAX_DELTA;
    const DOCUMENT: usize = 48 << 20;
    const MEMBERS: usize = 10_000;
    const REPLICAS: usize = 1 << 16;
    const NEW_REPLICAS: usize = 256;
    const ADDRESS_CONNECTIONS: usize = 1_000;
    const ADDRESS_HANDSHAKES: usize = 100;
    const SUBJECT_CONNECTIONS: usize = 100;
    const UNFINISHED: usize = 1 << 30;
    const DELTA_RATE: u64 = 10_000;
    const BYTE_RATE: usize = 16 << 20;
    const DOCUMENT_DELTA_RATE: u64 = 20_000;
    const DOCUMENT_BYTE_RATE: usize = 32 << 20;
    const PRESENCE_RATE: u64 = 30;

    /// Refuses what makes no sense.
    pub(crate) fn check(&self) -> Result<(), ConfigError> {
        let range = |flag, found: u64, (least, least_shown): (u64, _), (most, most_shown): (u64, _)| {
            if (least..=most).contains(&found) {
                return Ok(());
            }
            Err(ConfigError::OutOfRange { flag, found: found.to_string(), least: least_shown, most: most_shown })
        };
        let million = (1_000_000, "1000000");
        for (flag, found, least, most) in [
            ("--max-delta", self.max_delta as u64, (1 << 10, "1KiB"), (16 << 20, "16MiB")),
            ("--max-document", self.max_document as u64, (64 << 10, "64KiB"), (60 << 20, "60MiB")),
            ("--max-members", self.max_members as u64, (1, "1"), million),
            ("--max-replicas", self.max_replicas as u64, (1, "1"), (1 << 16, "65536")),
            ("--max-new-replicas", self.max_new_replicas as u64, (1, "1"), (1 << 16, "65536")),
            ("--max-address-connections", self.max_address_connections as u64, (0, "0"), million),
            ("--max-address-handshakes", self.max_address_handshakes as u64, (1, "1"), million),
            ("--max-subject-connections", self.max_subject_connections as u64, (1, "1"), million),
            ("--max-unfinished", self.max_unfinished as u64, (1 << 20, "1MiB"), (1 << 50, "1048576GiB")),
            ("--max-delta-rate", self.max_delta_rate, (1, "1"), million),
            ("--max-byte-rate", self.max_byte_rate as u64, (64 << 10, "64KiB"), (1 << 30, "1GiB")),
            ("--max-document-delta-rate", self.max_document_delta_rate, (1, "1"), million),
            ("--max-document-byte-rate", self.max_document_byte_rate as u64, (64 << 10, "64KiB"), (1 << 30, "1GiB")),
            ("--max-presence-rate", self.max_presence_rate, (1, "1"), (1_000, "1000")),
        ] {
            range(flag, found, least, most)?;
        }
        if let Some(max_store) = self.max_store {
            range("--max-store", max_store as u64, (64 << 10, "64KiB"), (1 << 50, "1048576GiB"))?;
        }
        Ok(())
    }

    /// What one connection may do, with so many documents at a time.
    pub(crate) fn of_connection(&self, max_documents: usize) -> ConnectionLimits {
        ConnectionLimits {
            max_documents,
            deltas: Rate::new(self.max_delta_rate, BURST_SECONDS),
            bytes: Rate::new(self.max_byte_rate as u64, BURST_SECONDS),
            presence: Rate::new(self.max_presence_rate, BURST_SECONDS),
        }
    }

    /// What all connections together may do with one document.
    pub(crate) fn of_room(&self) -> RoomLimits {
        RoomLimits {
            deltas: Rate::new(self.max_document_delta_rate, BURST_SECONDS),
            bytes: Rate::new(self.max_document_byte_rate as u64, BURST_SECONDS),
        }
    }
}

impl Default for LimitOptions {
    fn default() -> Self {
        LimitOptions {
            max_delta: Self::DELTA,
            max_document: Self::DOCUMENT,
            max_members: Self::MEMBERS,
            max_replicas: Self::REPLICAS,
            max_new_replicas: Self::NEW_REPLICAS,
            max_address_connections: Self::ADDRESS_CONNECTIONS,
            max_address_handshakes: Self::ADDRESS_HANDSHAKES,
            limit_loopback: false,
            max_subject_connections: Self::SUBJECT_CONNECTIONS,
            max_unfinished: Self::UNFINISHED,
            max_store: None,
            max_delta_rate: Self::DELTA_RATE,
            max_byte_rate: Self::BYTE_RATE,
            max_document_delta_rate: Self::DOCUMENT_DELTA_RATE,
            max_document_byte_rate: Self::DOCUMENT_BYTE_RATE,
            max_presence_rate: Self::PRESENCE_RATE,
        }
    }
}

#[cfg(test)]
mod tests {
    use clap::{Args as _, Command};

    use super::*;

    #[test]
    fn every_limit_is_in_the_operators_guide() {
        let guide = include_str!("../../README.md");
        let flags = LimitOptions::augment_args(Command::new("relay"));
        for flag in flags.get_arguments().filter_map(clap::Arg::get_long) {
            assert!(guide.contains(&format!("| `--{flag}")), "--{flag}");
        }
    }

    #[test]
    fn bursts_are_some_seconds_worth() {
        let options = LimitOptions::default();
        let connection = options.of_connection(7);
        assert_eq!((connection.max_documents, connection.deltas), (7, Rate { per_second: 10_000, burst: 50_000 }));
        assert_eq!(options.of_room().bytes, Rate { per_second: 32 << 20, burst: 160 << 20 });
    }
}
