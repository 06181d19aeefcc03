//! Contents put together by chance, beyond what anybody thought of. `core/fuzz` looks for more of them.

use std::collections::BTreeMap;
use std::sync::Arc;

use weftline::testing::{History, Options, Random, dump};
use weftline::{
    Container, Delta, DeltaParts, Diff, Document, Dot, Kind, Payload, ReplicaId, Rights, Slot, Value, VersionVector,
    codec,
};

use super::strangers::still_works;

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
    let kinds = [
        Kind::MAP,
        Kind::LIST,
        Kind::REGISTER,
        Kind::FLAG,
        Kind::MAX_REGISTER,
        Kind::DISABLE_WINS_FLAG,
        Kind::REMOVE_WINS_SET,
        Kind::GROW_ONLY_SET,
        Kind::BOUNDED_COUNTER,
        Kind::MEMBER,
        Kind::TOTAL,
        Kind::MOVE,
        Kind::ABSENT,
        Kind::RIGHTS,
        Kind::DISABLED,
        Kind(99),
    ];
    let parts_first = parts.first_seq;
    for (seq, entry) in parts.adds.iter_mut() {
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
            (Kind::REGISTER | Kind::BOUNDED_COUNTER, Payload::Value(value)) => Payload::Value(value.clone()),
            (Kind::REGISTER | Kind::BOUNDED_COUNTER, _) => Payload::Value(Value::Null),
            // Rights that do not add up: what was given was never there.
            (Kind::RIGHTS, _) => {
                let given = [1_u128, 2, 3].map(|id| (ReplicaId::from(id), random.next_u64() | 1)).into();
                Payload::Rights(Arc::new(Rights { plus: random.next_u64(), minus: random.next_u64(), given }))
            }
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
        let mut seen = BTreeMap::new();
        let deltas: Vec<&Delta> = history.spec().deltas().collect();
        let dots: Vec<Dot> = deltas.iter().map(|delta| delta.dot()).collect();
        if dots.is_empty() {
            continue;
        }
        for delta in &deltas {
            let mut parts = delta.parts().into_owned();
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
                assert_eq!(dump(&fresh), dump(&document));
                // Where two have the same deltas, in whatever order and by whatever way, they are the same.
                let known = seen.entry(document.version_hash()).or_insert_with(|| (document.beacon(), dump(&document)));
                assert_eq!(*known, (document.beacon(), dump(&document)));
                still_works(document);
            }
        }
    }
    assert!(taken > 50, "some twisted deltas are acceptable, else this shows nothing: {taken}");
}
