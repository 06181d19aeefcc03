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
    /// How many of them its store still holds, if that store is gone or was put back. What was only stored went with it.
    kept: Option<u64>,
}

impl Promise {
    /// How many its store must hold.
    fn in_store(&self) -> u64 {
        self.kept.unwrap_or(self.stored.max(self.saved))
    }
}

/// What a store holds, of what was promised: by document, client and run.
pub(crate) type Held = BTreeMap<(usize, usize, u64), u64>;

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

    /// What the store of these clients holds, none of which runs.
    pub(crate) fn held(&self, clients: &[usize]) -> Held {
        let owned = self.promises.iter().filter(|((_, client, _), _)| clients.contains(client));
        owned.map(|(key, promise)| (*key, promise.in_store())).collect()
    }

    /// The store of these clients holds no more than this from now on.
    pub(crate) fn keep(&mut self, clients: &[usize], held: &Held) {
        for (key, promise) in self.promises.iter_mut().filter(|((_, client, _), _)| clients.contains(client)) {
            promise.kept = Some(held.get(key).copied().unwrap_or_default());
        }
    }

    /// The promised edits that a document lacks at a replica that has come to rest, where it shows `edits`, as runs of
    /// numbers.
    pub(crate) fn lost(&self, document: usize, edits: &[(u64, u64)]) -> Vec<String> {
        self.missing(document, edits, |_, promise| promise.saved.max(promise.in_store()))
    }

    /// The same for a document as it is in the store of these clients alone: what they called stored must be there.
    pub(crate) fn lost_in_store(&self, document: usize, edits: &[(u64, u64)], clients: &[usize]) -> Vec<String> {
        self.missing(document, edits, |client, promise| if clients.contains(&client) { promise.in_store() } else { 0 })
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
        ledger.keep(&[1], &Held::new());
        assert_eq!(ledger.lost(0, &[]).len(), 5);
        ledger.keep(&[2], &Held::new());
        assert_eq!(ledger.lost(0, &[]).len(), 3);
        assert_eq!(ledger.lost_in_store(0, &[], &[1, 2]).len(), 0, "a new store has nothing of the old one");
    }

    #[test]
    fn a_store_that_is_put_back_holds_what_it_held_and_what_was_saved_meanwhile_is_elsewhere() {
        let mut ledger = ledger();
        let held = ledger.held(&[2]);
        ledger.note(2, 3, &json!({ "document": 0, "made": 12, "stored": 9, "saved": 7 }));
        ledger.note(2, 4, &json!({ "document": 0, "made": 4, "stored": 2, "saved": 1 }));
        ledger.keep(&[2], &held);
        assert_eq!(ledger.lost_in_store(0, &[], &[2]).len(), 5);
        assert_eq!(ledger.lost(0, &[]).len(), 7 + 1);
    }

    #[test]
    fn who_has_come_to_rest_has_saved_everything() {
        let mut ledger = ledger();
        ledger.note(2, 3, &json!({ "rested": 0, "made": 9, "version": "" }));
        assert_eq!(ledger.counts(), Counts { made: 10, stored: 9, saved: 9 });
    }
}
