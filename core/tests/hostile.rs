//! Bytes and contents that no honest replica makes: refused or applied wholly, never a panic (BYTES-1).
#![cfg(feature = "testing")]

use weftline::codec;
use weftline::testing::{History, Options, Random};
use weftline::{
    Commit, Container, Delta, DeltaParts, Diff, Document, Dot, EditError, Kind, Payload, ReplicaId, Slot, Value,
    VersionVector,
};

fn histories() -> impl Iterator<Item = (Random, History)> {
    (0..60).map(|seed| {
        let history = History::grow(seed, &Options::default()).unwrap_or_else(|failure| panic!("{}", failure.what));
        (Random::seeded(seed), history)
    })
}

fn spoil(bytes: &[u8], random: &mut Random) -> Vec<u8> {
    let mut spoiled = bytes.to_vec();
    for _ in 0..=random.below(3) {
        let at = random.below(spoiled.len());
        match random.below(4) {
            0 => spoiled[at] ^= 1 << random.below(8),
            1 => spoiled[at] = random.next_u64() as u8,
            2 => spoiled.truncate(at.max(1)),
            _ => spoiled.insert(at, random.next_u64() as u8),
        }
    }
    spoiled
}

/// A document that took something in must still be able to do everything a document does.
fn still_works(mut document: Document) {
    let saved = document.snapshot();
    let loaded = Document::load(&saved).expect("what was saved loads");
    assert_eq!(loaded.beacon(), document.beacon());
    document.set_writer(Some(ReplicaId::from(77))).expect("no transaction is open");
    let edited: Result<Commit<()>, EditError> = document.transact(weftline::Timestamp(1), |tx| {
        tx.map("r")?.put("after", 1)?;
        tx.list("r")?.push("after")?;
        tx.map("r")?.clear()?;
        tx.list("r")?.clear()
    });
    drop(edited.expect("edits go on"));
    drop(document.diff_since(&VersionVector::new()));
}

#[test]
fn bytes_1_spoiled_deltas_never_panic() {
    let mut taken = 0;
    for (mut random, history) in histories() {
        for delta in history.spec().deltas() {
            for _ in 0..8 {
                let bytes = spoil(delta.bytes(), &mut random);
                let mut document = history.documents()[random.below(history.documents().len())].clone();
                let known = document.version().get(delta.replica());
                let prev = known.map_or(weftline::Tag::start(delta.replica()), |entry| entry.tag);
                let Ok(delta) = Delta::decode(&bytes, prev) else { continue };
                if document.apply(&delta).is_ok() {
                    taken += 1;
                    still_works(document);
                }
            }
        }
    }
    assert!(taken > 50, "some spoiled deltas are readable, else this shows nothing: {taken}");
}

#[test]
fn bytes_1_spoiled_diffs_and_snapshots_never_panic() {
    let mut taken = 0;
    for (mut random, history) in histories() {
        for document in history.documents() {
            let diff = codec::encode_diff(&document.diff_since(&VersionVector::new()));
            let snapshot = document.snapshot();
            for _ in 0..40 {
                let mut other = history.documents()[random.below(history.documents().len())].clone();
                let spoiled = codec::decode_diff(&spoil(&diff, &mut random));
                if spoiled.is_ok_and(|diff| other.apply_diff(&diff).is_ok()) {
                    taken += 1;
                    still_works(other);
                }
                drop(Document::load(&spoil(&snapshot, &mut random)));
            }
        }
    }
    assert!(taken > 50, "some spoiled diffs are readable, else this shows nothing: {taken}");
}

/// Contents put together wrongly on purpose, beyond what flipping bytes reaches.
fn twist(parts: &mut DeltaParts, dots: &[Dot], random: &mut Random) {
    let kinds = [Kind::MAP, Kind::LIST, Kind::REGISTER, Kind::FLAG, Kind::MEMBER, Kind::TOTAL, Kind::MOVE, Kind(99)];
    let parts_first = parts.first_seq;
    for (seq, entry) in &mut parts.adds {
        match random.below(6) {
            0 => entry.container = Container::Entity(*random.pick(dots)),
            1 => entry.container = Container::Root { name: "r".into(), kind: *random.pick(&kinds) },
            2 => entry.kind = *random.pick(&kinds),
            3 => entry.entity = !entry.entity,
            4 => {
                entry.slot = match random.below(5) {
                    0 => Slot::Unit,
                    1 => Slot::Key("a".into()),
                    2 => Slot::Member(Value::Null),
                    3 => Slot::Owner,
                    _ => Slot::Position { bunch: parts_first + (*seq - parts_first) / 2, backward: random.one_in(2) },
                }
            }
            _ => entry.payload = Payload::Total { plus: random.next_u64(), minus: random.next_u64() },
        }
        // The encoder asks for payloads that fit.
        entry.payload = match (entry.kind, &entry.payload) {
            (Kind::REGISTER, Payload::Value(value)) => Payload::Value(value.clone()),
            (Kind::REGISTER, _) => Payload::Value(Value::Null),
            (Kind::TOTAL, _) => Payload::Total { plus: random.next_u64(), minus: random.next_u64() },
            (Kind(99), _) => Payload::Opaque([1, 2, 3].into()),
            _ => Payload::Empty,
        };
    }
    if random.one_in(3) {
        parts.removes.insert(*random.pick(dots));
    }
    for bunch in &mut parts.bunches {
        bunch.parent.index = bunch.parent.index.wrapping_add(random.next_u64() as i64 >> random.below(63));
        bunch.rank = random.next_u64() as i32 >> random.below(31);
    }
}

#[test]
fn valid_1_twisted_contents_never_panic_and_mean_the_same_everywhere() {
    let mut taken = 0;
    for (mut random, history) in histories() {
        let deltas: Vec<&Delta> = history.spec().deltas().collect();
        let dots: Vec<Dot> = deltas.iter().map(|delta| delta.dot()).collect();
        if dots.is_empty() {
            continue;
        }
        for delta in &deltas {
            let mut parts = delta.parts().clone();
            twist(&mut parts, &dots, &mut random);
            // What the decoder refuses never reaches a document.
            let sealed = Delta::seal(parts, delta.prev_tag());
            let Ok(twisted) = Delta::decode(sealed.bytes(), delta.prev_tag()) else { continue };
            let mut after: Vec<Document> = Vec::new();
            for document in history.documents() {
                let mut document = document.clone();
                if document.apply(&twisted).is_ok()
                    && document.covers(twisted.dot())
                    && document.version().get(twisted.replica()).is_some_and(|entry| entry.tag == twisted.tag())
                {
                    taken += 1;
                    after.push(document);
                }
            }
            // Whoever has taken it can tell the others.
            for document in after {
                let diff: Diff = document.diff_since(&VersionVector::new());
                let mut fresh = Document::new();
                fresh.apply_diff(&diff).expect("a document's own diff applies to nothing");
                assert_eq!(fresh.beacon(), document.beacon());
                still_works(document);
            }
        }
    }
    assert!(taken > 50, "some twisted deltas are acceptable, else this shows nothing: {taken}");
}
