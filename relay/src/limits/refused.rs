//! What was refused, by its reason: the one place where refusals are counted.

use std::sync::atomic::{AtomicU64, Ordering};

macro_rules! refused {
    ($($(#[$doc:meta])* $name:ident = $label:literal),* $(,)?) => {
        /// Why something was refused, or slowed down.
        #[derive(Debug, Clone, Copy, PartialEq, Eq)]
        pub enum Refused { $($(#[$doc])* $name),* }

        impl Refused {
            /// In the order of their numbers.
            pub const ALL: &'static [Self] = &[$(Self::$name),*];

            /// Its name in metrics and logs.
            #[must_use]
            pub const fn label(self) -> &'static str {
                match self { $(Self::$name => $label),* }
            }
        }
    };
}

refused! {
    /// As many connections as the relay takes.
    Connections = "connections",
    /// As many connections as one address may have.
    AddressConnections = "address_connections",
    /// As many handshakes as one address may have.
    AddressHandshakes = "address_handshakes",
    /// As many connections as one subject may have.
    SubjectConnections = "subject_connections",
    /// As many documents as one connection may have open.
    Documents = "documents",
    /// A document without a name, or with one that is too long.
    Name = "name",
    /// As many connections as may have one document open.
    Members = "members",
    /// A client that was too fast was not read for a while.
    Rate = "rate",
    /// A document that was put aside.
    Quarantined = "quarantined",
}

/// How often each was refused.
#[derive(Debug)]
pub struct Tally([AtomicU64; Refused::ALL.len()]);

impl Default for Tally {
    fn default() -> Self {
        Tally(std::array::from_fn(|_| AtomicU64::new(0)))
    }
}

impl Tally {
    /// One more.
    pub fn one(&self, reason: Refused) {
        self.0[reason as usize].fetch_add(1, Ordering::Relaxed);
    }

    /// How often so far.
    #[must_use]
    pub fn get(&self, reason: Refused) -> u64 {
        self.0[reason as usize].load(Ordering::Relaxed)
    }
}
