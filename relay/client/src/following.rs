//! What becomes of single edits, in the log: by replica and seq, never their content. The relay's log has the same events.
//!
//! Told at debug level under the target `weftline::edit`, and looked at only then. The core says how things are, not what happened; so this
//! compares what is with what was when it looked last, which is after everything that happens to a replica.

use std::collections::BTreeMap;
use tracing::{Level, debug, enabled};
use weftline::sync::Replica;
use weftline::{Dot, ReplicaId, VersionVector};

const EDITS: &str = "weftline::edit";

/// What there was when it was looked at last.
#[derive(Debug, Default)]
pub(crate) struct Following(Option<Seen>);

#[derive(Debug)]
struct Seen {
    version: VersionVector,
    /// The edits that waited for their acks, and whether they were pushed.
    waiting: BTreeMap<Dot, bool>,
}

impl Following {
    /// Tells what has happened since the last look. O(replicas and waiting edits), and nothing when nobody listens.
    pub(crate) fn look(&mut self, machine: &Replica) {
        if !enabled!(target: EDITS, Level::DEBUG) {
            self.0 = None;
            return;
        }
        let now = Seen { version: machine.document().version(), waiting: machine.waiting().collect() };
        if let Some(before) = self.0.replace(now)
            && let Some(now) = &self.0
        {
            tell(machine.name(), &before, now);
        }
    }
}

fn tell(document: &str, before: &Seen, now: &Seen) {
    let say = |step: &str, replica: ReplicaId, seq: u64| {
        debug!(target: EDITS, document, %replica, seq, "{step}");
    };
    for (dot, pushed) in &now.waiting {
        let was = before.waiting.get(dot);
        if was.is_none() && !before.version.covers(*dot) {
            say("Written", dot.replica, dot.seq);
        }
        if *pushed && was != Some(&true) {
            say("Pushed", dot.replica, dot.seq);
        }
    }
    for dot in before.waiting.keys().filter(|dot| !now.waiting.contains_key(dot)) {
        say("Saved", dot.replica, dot.seq);
    }
    for (replica, entry) in now.version.iter() {
        let dot = Dot { replica, seq: entry.seq };
        let is_own = now.waiting.keys().chain(before.waiting.keys()).any(|waiting| waiting.replica == replica);
        if !before.version.covers(dot) && !is_own {
            say("Applied", replica, entry.seq);
        }
    }
}
