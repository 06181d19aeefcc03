//! What came of a simulation.

use std::collections::BTreeMap;
use std::fmt;
use std::fmt::Write as _;

/// What happened in simulations that kept every rule.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Report {
    /// How many edits were made.
    pub edits: u64,
    /// How many of them died undurable with their process.
    pub lost: u64,
    /// How many messages replicas and rooms took in.
    pub messages: u64,
    /// How many times a document was compared with the specification.
    pub compared: u64,
    /// How many connections there were.
    pub connections: u64,
    /// How many processes, of clients.
    pub processes: u64,
    /// How often a room was opened.
    pub relay_starts: u64,
    /// How many diffs went down.
    pub diffs_down: u64,
    /// And up.
    pub diffs_up: u64,
    /// How many of those down told deaths by comparing with a digest.
    pub digests_down: u64,
    /// And up.
    pub digests_up: u64,
    /// How often the relay's log was read for somebody who was behind.
    pub log_reads: u64,
    /// How often somebody was so far behind that the log did not reach back to them.
    pub asks: u64,
    /// How often a store was replaced by its state at rest.
    pub compactions: u64,
    /// How many batches were lost with the power: those that were being written, and those that nobody relied upon.
    pub torn: u64,
    /// Of the latter.
    pub unsynced: u64,
    /// The faults that were injected, by kind.
    pub faults: BTreeMap<&'static str, u64>,
}

impl Report {
    /// Counts another one in.
    pub fn add(&mut self, other: &Self) {
        let pairs = [
            (&mut self.edits, other.edits),
            (&mut self.lost, other.lost),
            (&mut self.messages, other.messages),
            (&mut self.compared, other.compared),
            (&mut self.connections, other.connections),
            (&mut self.processes, other.processes),
            (&mut self.relay_starts, other.relay_starts),
            (&mut self.diffs_down, other.diffs_down),
            (&mut self.diffs_up, other.diffs_up),
            (&mut self.digests_down, other.digests_down),
            (&mut self.digests_up, other.digests_up),
            (&mut self.log_reads, other.log_reads),
            (&mut self.asks, other.asks),
            (&mut self.compactions, other.compactions),
            (&mut self.torn, other.torn),
            (&mut self.unsynced, other.unsynced),
        ];
        for (sum, number) in pairs {
            *sum += number;
        }
        for (kind, count) in &other.faults {
            *self.faults.entry(kind).or_default() += count;
        }
    }

    /// All of it as the fields of one JSON object, without the braces.
    #[must_use]
    pub fn json_fields(&self) -> String {
        let mut faults = String::new();
        for (kind, count) in &self.faults {
            let comma = if faults.is_empty() { "" } else { "," };
            let _ = write!(faults, "{comma}\"{kind}\":{count}");
        }
        format!(
            "\"messages\":{},\"edits\":{},\"lost_before_durable\":{},\"compared\":{},\"connections\":{},\"processes\":{},\
             \"relay_starts\":{},\"diffs_down\":{},\"diffs_up\":{},\"digests_down\":{},\"digests_up\":{},\"log_reads\":{},\
             \"asks\":{},\"compactions\":{},\"faults\":{{{faults}}}",
            self.messages,
            self.edits,
            self.lost,
            self.compared,
            self.connections,
            self.processes,
            self.relay_starts,
            self.diffs_down,
            self.diffs_up,
            self.digests_down,
            self.digests_up,
            self.log_reads,
            self.asks,
            self.compactions,
        )
    }
}

/// A rule was broken.
#[derive(Debug, Clone)]
pub struct Failure {
    /// Replays it.
    pub seed: u64,
    /// When, in milliseconds from the beginning.
    pub at_ms: u64,
    /// Which rule, and how.
    pub what: String,
    /// What is left of the plan when everything was left out that the failure can do without.
    pub steps: Vec<String>,
    /// How many steps the plan had.
    pub drawn: usize,
    /// The last events.
    pub trace: Vec<String>,
}

impl fmt::Display for Failure {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        writeln!(f, "seed {} at {} ms: {}", self.seed, self.at_ms, self.what)?;
        writeln!(f, "{} of {} steps are enough:", self.steps.len(), self.drawn)?;
        self.steps.iter().try_for_each(|line| writeln!(f, "  {line}"))?;
        writeln!(f, "the last events:")?;
        self.trace.iter().try_for_each(|line| writeln!(f, "  {line}"))
    }
}
