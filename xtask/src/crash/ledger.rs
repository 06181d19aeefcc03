//! Who promised what: which edits every run of every client called stored and saved, and what of it is gone.

use std::collections::BTreeMap;

use serde_json::Value;

/// As the clients number their edits: a run of a client is a million numbers in a row, beginning after this one.
fn base(client: usize, run: u64) -> u64 {
    (client as u64 * 10_000 + run) * 1_000_000
}

/// What one run of a client said of its edits in one document. Each is a count: so many of its first edits.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
struct Promise {
    made: u64,
    stored: u64,
    saved: u64,
    /// Its store is gone: what was only stored went with it.
    device_lost: bool,
}

/// What all clients of a world have promised.
#[derive(Debug, Default)]
pub(crate) struct Ledger {
    /// By document, client and run.
    promises: BTreeMap<(usize, usize, u64), Promise>,
}

/// How many edits there were, and what was said of them.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct Counts {
    pub(crate) made: u64,
    pub(crate) stored: u64,
    pub(crate) saved: u64,
}

impl Ledger {
    /// Takes note of what a client says.
    pub(crate) fn note(&mut self, client: usize, run: u64, line: &Value) {
        let count = |name: &str| line[name].as_u64();
        let rested = count("rested");
        let Some(document) = count("document").or(rested) else { return };
        let Some(made) = count("made") else { return };
        let document = usize::try_from(document).expect("a document's index");
        let promise = self.promises.entry((document, client, run)).or_default();
        let all = |name| if rested.is_some() { made } else { count(name).unwrap_or_default() };
        promise.made = promise.made.max(made);
        promise.stored = promise.stored.max(all("stored"));
        promise.saved = promise.saved.max(all("saved"));
    }

    /// The store that these clients wrote to is gone.
    pub(crate) fn device_lost(&mut self, clients: &[usize]) {
        for ((_, client, _), promise) in &mut self.promises {
            promise.device_lost |= clients.contains(client);
        }
    }

    /// The promised edits that a document lacks at a replica that has come to rest, where it shows `edits`, as runs of
    /// numbers.
    pub(crate) fn lost(&self, document: usize, edits: &[(u64, u64)]) -> Vec<String> {
        self.missing(document, edits, |_, promise| {
            if promise.device_lost { promise.saved } else { promise.stored.max(promise.saved) }
        })
    }

    /// The same for a document as it is in the store of these clients alone: what they called stored must be there.
    pub(crate) fn lost_in_store(&self, document: usize, edits: &[(u64, u64)], clients: &[usize]) -> Vec<String> {
        self.missing(document, edits, |client, promise| {
            if promise.device_lost || !clients.contains(&client) { 0 } else { promise.stored.max(promise.saved) }
        })
    }

    fn missing(&self, document: usize, edits: &[(u64, u64)], promised: impl Fn(usize, &Promise) -> u64) -> Vec<String> {
        let mut missing = Vec::new();
        for (&(_, client, run), promise) in self.promises.iter().filter(|((of, ..), _)| *of == document) {
            let base = base(client, run);
            for number in base + 1..=base + promised(client, promise) {
                // The last run of numbers that does not begin behind this one.
                let at = edits.partition_point(|(first, _)| *first <= number);
                if at.checked_sub(1).is_none_or(|at| edits[at].1 < number) {
                    let word = if number <= base + promise.saved { "saved" } else { "stored" };
                    missing.push(format!("edit {number} of client {client}, which was {word}"));
                }
            }
        }
        missing
    }

    /// How many edits there were.
    pub(crate) fn counts(&self) -> Counts {
        let mut counts = Counts::default();
        for promise in self.promises.values() {
            counts.made += promise.made;
            counts.stored += promise.stored;
            counts.saved += promise.saved;
        }
        counts
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    fn ledger() -> Ledger {
        let mut ledger = Ledger::default();
        ledger.note(2, 3, &json!({ "document": 0, "made": 9, "stored": 5, "saved": 2 }));
        ledger.note(2, 3, &json!({ "document": 0, "made": 9, "stored": 4, "saved": 3 }));
        ledger.note(2, 3, &json!({ "document": 1, "made": 1, "stored": 0, "saved": 0 }));
        ledger.note(2, 3, &json!({ "ready": true }));
        ledger
    }

    #[test]
    fn a_promise_is_kept_when_all_its_edits_are_there_and_lost_edits_are_named() {
        let (base, ledger) = (base(2, 3), ledger());
        assert!(ledger.lost(0, &[(base + 1, base + 5)]).is_empty());
        assert!(ledger.lost(0, &[(0, 7), (base + 1, base + 2), (base + 3, base + 9)]).is_empty());
        let lost = ledger.lost(0, &[(base + 1, base + 2), (base + 4, base + 4)]);
        assert_eq!(lost.len(), 2);
        assert!(lost[0].contains("20003000003 of client 2, which was saved"), "{lost:?}");
        assert!(lost[1].contains("20003000005 of client 2, which was stored"), "{lost:?}");
        assert!(ledger.lost(1, &[]).is_empty());
    }

    #[test]
    fn what_was_only_stored_goes_with_its_device_and_a_store_must_hold_what_was_stored_in_it() {
        let mut ledger = ledger();
        assert_eq!(ledger.lost_in_store(0, &[], &[1]).len(), 0);
        assert_eq!(ledger.lost_in_store(0, &[], &[1, 2]).len(), 5);
        ledger.device_lost(&[1]);
        assert_eq!(ledger.lost(0, &[]).len(), 5);
        ledger.device_lost(&[2]);
        assert_eq!(ledger.lost(0, &[]).len(), 3);
        assert_eq!(ledger.lost_in_store(0, &[], &[1, 2]).len(), 0, "a new store has nothing of the old one");
    }

    #[test]
    fn who_has_come_to_rest_has_saved_everything() {
        let mut ledger = ledger();
        ledger.note(2, 3, &json!({ "rested": 0, "made": 9, "version": "" }));
        assert_eq!(ledger.counts(), Counts { made: 10, stored: 9, saved: 9 });
    }
}
