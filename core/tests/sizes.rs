//! What a document costs at rest depends on what lives, not on what happened: REM-3 and the share that the log may take.
#![cfg(feature = "testing")]

use weftline::testing::Random;
use weftline::{
    Commit, Digest, Document, Dot, DotRuns, EditError, ReplicaId, Tag, Timestamp, Transaction, Value, VersionEntry,
    VersionVector, codec,
};

/// How much history there is. The bounds below hold for any number.
const OPERATIONS: u64 = 100_000;

fn document() -> Document {
    Document::with_writer(ReplicaId::from(0xabcd_0000_0000_0000_0000_0000_0000_0001))
}

fn edit(document: &mut Document, now: u64, edit: impl FnOnce(&mut Transaction<'_>) -> Result<(), EditError>) {
    let commit: Result<Commit<()>, EditError> = document.transact(Timestamp(1_700_000_000_000 + now), edit);
    assert!(commit.expect("an edit is accepted").delta.is_some());
}

/// The bytes of the document at rest, which load again.
fn at_rest(document: &Document) -> usize {
    let bytes = document.snapshot();
    let loaded = Document::load(&bytes).expect("what was saved loads");
    assert_eq!(loaded.snapshot(), bytes);
    bytes.len()
}

#[test]
fn a_counter_costs_the_same_however_often_it_was_counted_up() {
    let mut document = document();
    for now in 0..OPERATIONS {
        edit(&mut document, now, |tx| tx.counter("count")?.add(1));
    }
    assert_eq!(document.counter("count").value(), i128::from(OPERATIONS));
    assert!(at_rest(&document) <= 160, "{} bytes", at_rest(&document));
    // Nobody's log was forgotten: a chain is one run.
    assert!(document.horizon().is_empty());
}

#[test]
fn a_set_that_is_toggled_costs_what_is_in_it() {
    for batch in [1, 1_000] {
        let mut document = document();
        let mut random = Random::seeded(1);
        for now in 0..OPERATIONS / batch {
            edit(&mut document, now, |tx| {
                let mut set = tx.set("members")?;
                for _ in 0..batch {
                    let member = Value::from(format!("member {:09}", random.below(1_000)));
                    if !set.remove(&member)? {
                        set.add(member)?;
                    }
                }
                Ok(())
            });
        }
        let (members, bytes) = (document.set("members").len(), at_rest(&document));
        assert!((400..600).contains(&members));
        assert!(bytes <= 15_600, "{members} members in {bytes} bytes");
    }
}

#[test]
fn a_map_that_is_overwritten_costs_what_is_in_it() {
    for batch in [1, 1_000] {
        let mut document = document();
        let mut random = Random::seeded(1);
        for now in 0..OPERATIONS / batch {
            edit(&mut document, now, |tx| {
                let mut map = tx.map("map")?;
                for at in 0..batch {
                    let number =
                        if now * batch < 1_000 { (now * batch + at) % 1000 } else { random.below(1_000) as u64 };
                    map.put(&format!("key {number:012}"), format!("value {:026}", now * batch + at))?;
                }
                Ok(())
            });
        }
        assert_eq!(document.map("map").len(), 1_000);
        assert!(at_rest(&document) <= 79_000, "{} bytes", at_rest(&document));
        let digest = codec::encode_digest(&document.digest());
        assert!(digest.len() <= 1_100, "{} bytes", digest.len());
    }
}

#[test]
fn counters_in_a_map_cost_what_they_count_to() {
    for batch in [1, 1_000] {
        let mut document = document();
        let mut random = Random::seeded(1);
        for now in 0..OPERATIONS / batch {
            edit(&mut document, now, |tx| {
                let mut map = tx.map("map")?;
                for _ in 0..batch {
                    map.counter(&format!("key {:012}", random.below(1_000)))?.add(1)?;
                }
                Ok(())
            });
        }
        assert!(at_rest(&document) <= 44_000, "{} bytes", at_rest(&document));
    }
}

#[test]
fn a_digest_costs_a_byte_for_each_live_dot_at_worst() {
    let id = ReplicaId::from(7);
    let version: VersionVector = [(id, VersionEntry { seq: 1_000_000, tag: Tag::start(id) })].into_iter().collect();
    let mut random = Random::seeded(1);
    for one_in in [2, 10, 20] {
        let mut live = DotRuns::new();
        for seq in 1..=1_000_000 {
            if random.one_in(one_in) {
                live.insert(Dot::new(id, seq));
            }
        }
        let bytes = codec::encode_digest(&Digest { version: version.clone(), live: live.clone() }).len() as u64;
        assert!(bytes * 10 <= live.dot_count() * 12, "{bytes} bytes for {} dots", live.dot_count());
    }
    let live = DotRuns::from_iter((1..=1_000_000).map(|seq| Dot::new(id, seq)));
    assert!(codec::encode_digest(&Digest { version, live }).len() < 64, "append-mostly");
}
