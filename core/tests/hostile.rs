//! Bytes and contents that no honest replica makes: refused or applied wholly, never a panic (BYTES-1).
#![cfg(feature = "testing")]

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::{Duration, Instant};

use weftline::testing::{History, Options, Random, dump};
use weftline::{
    ApplyError, BunchRecord, Commit, Container, Delta, DeltaParts, Diff, Digest, Document, Dot, DotRuns, EditError,
    Entry, Few, Hlc, Kind, Outcome, Payload, Position, ReplicaId, Rights, Side, Slot, Tag, Tier, Timestamp,
    Transaction, Value, VersionEntry, VersionVector, codec,
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
fn still_works(document: Document) {
    still_works_for(document, ReplicaId::from(77));
}

fn still_works_for(mut document: Document, writer: ReplicaId) {
    let saved = document.snapshot();
    let loaded = Document::load(&saved).expect("what was saved loads");
    assert_eq!(loaded.beacon(), document.beacon());
    document.set_writer(Some(writer)).expect("no transaction is open");
    let edited: Result<Commit<()>, EditError> = document.transact(weftline::Timestamp(1), |tx| {
        tx.map("r")?.put("after", 1)?;
        tx.list("r")?.push("after")?;
        tx.map("r")?.clear()?;
        tx.list("r")?.clear()?;
        tx.max_register("r")?.raise("after")?;
        tx.disable_wins_flag("r")?.disable()?;
        tx.remove_wins_set("r")?.clear()?;
        tx.grow_only_set("r")?.add("after")?;
        let mut counter = tx.bounded_counter("r")?;
        counter.add(2)?;
        counter.subtract(1)?;
        counter.transfer(ReplicaId::from(5), 1)
    });
    drop(dump(&document));
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

/// The first delta of a replica that keeps no rule but those of the bytes: its entries in the order of their dots, from 1.
fn crafted(entries: Vec<(Container, Slot, Kind, bool)>) -> Delta {
    let replica = ReplicaId::from(9);
    let entry = |(container, slot, kind, entity): (Container, Slot, Kind, bool)| {
        let payload = match kind {
            Kind::REGISTER | Kind::BOUNDED_COUNTER => Payload::Value(Value::Null),
            // Two that were never there, for the one who edits.
            Kind::RIGHTS => {
                let given = [(ReplicaId::from(1), 2)].into();
                Payload::Rights(Arc::new(Rights { plus: 0, minus: 0, given }))
            }
            _ => Payload::Empty,
        };
        Entry { container, slot, kind, entity, payload }
    };
    let dots = entries.len() as u64;
    let parts = DeltaParts {
        replica,
        first_seq: 1,
        dots,
        deps: Few::new(),
        hlc: Hlc(5),
        bunches: Vec::new(),
        adds: (1..).zip(entries.into_iter().map(entry)).collect(),
        text: Few::new(),
        totals_before: Few::new(),
        removes: DotRuns::new(),
    };
    let sealed = Delta::seal(parts, Tag::start(replica));
    Delta::decode(sealed.bytes(), Tag::start(replica)).expect("the bytes keep the rules")
}

/// Applies a delta and edits after it. Far from what a machine needs for either, near what quadratic work would need.
#[track_caller]
fn in_good_time(delta: &Delta, edit: fn(&mut Transaction<'_>) -> Result<(), EditError>) {
    let start = Instant::now();
    let mut document = Document::with_writer(ReplicaId::from(1));
    let applied = document.apply(delta).expect("it applies");
    assert!(
        applied.changes.list.iter().map(|change| change.path.steps().len()).sum::<usize>() < delta.bytes().len() * 70
    );
    let commit: Result<Commit<()>, EditError> = document.transact(Timestamp(1), edit);
    drop(commit.expect("edits go on"));
    assert_eq!(document.live_count(), 0);
    assert!(start.elapsed() < Duration::from_secs(30), "{:?} for {} bytes", start.elapsed(), delta.bytes().len());
}

/// Three replicas at one version, and a fourth that has gone on: it removed something and forgot how.
fn apart() -> (Document, Document, Document) {
    let mut maker = Document::with_writer(ReplicaId::from(1));
    let fill: Result<Commit<()>, EditError> =
        maker.transact(Timestamp(1), |tx| (0..20).try_for_each(|number| tx.set("s")?.add(number)));
    let mut asker = Document::with_writer(ReplicaId::from(2));
    asker.apply(&fill.expect("it can be edited").delta.expect("an edit")).expect("it applies");
    let other = asker.clone();
    let remove: Result<Commit<()>, EditError> = maker.transact(Timestamp(2), |tx| {
        (0..10).try_for_each(|number| tx.set("s")?.remove(&Value::from(2 * number)).map(drop))
    });
    assert!(remove.expect("it can be edited").delta.is_some());
    maker.truncate_removals();
    (maker, asker, other)
}

#[test]
fn diff_5_a_digest_that_lies_harms_nobody_but_the_liar() {
    let (maker, liar, honest) = apart();
    let truth = liar.digest();
    let dot = |number: u128, seq| Dot::new(ReplicaId::from(number), seq);
    let mut version = truth.version.clone();
    version.set(ReplicaId::from(7), VersionEntry { seq: 1 << 40, tag: Tag::start(ReplicaId::from(7)) });
    version.set(ReplicaId::from(1), VersionEntry { seq: 1 << 40, tag: Tag::start(ReplicaId::from(1)) });
    let mut everything = DotRuns::new();
    everything.insert_run(ReplicaId::from(1), 1, 1 << 40);
    everything.insert_run(ReplicaId::from(7), 1, 1 << 40);
    let lies = [
        // It has nothing, a part, more than there is; it knows what nobody wrote.
        Digest { version: truth.version.clone(), live: DotRuns::new() },
        Digest { version: truth.version.clone(), live: DotRuns::from_iter([dot(1, 1), dot(1, 19)]) },
        Digest { version: version.clone(), live: everything.clone() },
        Digest { version, live: DotRuns::new() },
    ];
    let before = (maker.version(), maker.beacon(), maker.snapshot());
    for lie in lies {
        let lie = codec::decode_digest(&codec::encode_digest(&lie)).expect("it keeps the rules of its bytes");
        let answer = maker.diff_for(&lie);
        let answer = codec::decode_diff(&codec::encode_diff(&answer)).expect("whatever it is, it can be written");
        assert_eq!((maker.version(), maker.beacon(), maker.snapshot()), before, "an answer changes nothing here");
        // It is for the liar, and refused or wrong there; whoever asks honestly is told the truth.
        let mut fooled = liar.clone();
        _ = fooled.apply_diff(&answer);
        still_works(fooled);
        let mut other = honest.clone();
        other.apply_diff(&maker.diff_for(&other.digest())).expect("it applies");
        assert_eq!((other.version(), other.beacon()), (maker.version(), maker.beacon()));
    }
    // A claim beyond what there is costs no more than what there is.
    assert!(maker.diff_for(&Digest { live: everything, ..truth }).dead.run_count() <= 20);
}

#[test]
fn diff_1_a_digest_that_is_out_of_date_does_no_damage() {
    let (mut maker, mut asker, _) = apart();
    let digest = asker.digest();
    // Since then the asker has removed and added.
    let edit: Result<Commit<()>, EditError> = asker.transact(Timestamp(3), |tx| {
        let mut set = tx.set("s")?;
        set.remove(&Value::from(0))?;
        set.remove(&Value::from(1))?;
        set.add(100)
    });
    let edit = edit.expect("it can be edited").delta.expect("an edit");
    let answer = maker.diff_for(&digest);
    assert_eq!((answer.tier, answer.dead.dot_count()), (Tier::Digest, 10));
    asker.apply_diff(&answer).expect("whoever went on still covers the digest");
    maker.apply(&edit).expect("it applies");
    assert_eq!((asker.beacon(), dump(&asker)), (maker.beacon(), dump(&maker)));
}

#[test]
fn diff_1_an_answer_is_refused_by_whoever_does_not_cover_the_digest() {
    let (maker, mut asker, bystander) = apart();
    // Both know a remover of one dot, each another one. The asker does not name the dot, so the answer does not tell of it.
    let remove: Result<Commit<()>, EditError> =
        asker.transact(Timestamp(3), |tx| tx.set("s")?.remove(&Value::from(4)).map(drop));
    assert!(remove.expect("it can be edited").delta.is_some());
    let answer = maker.diff_for(&asker.digest());
    assert_eq!((answer.tier, answer.dead.dot_count()), (Tier::Digest, 9));
    // Somebody to whom the dot still lives would keep it for ever.
    assert!(bystander.set("s").contains(&Value::from(4)));
    assert!(bystander.version().dominates(&answer.base) && !bystander.version().dominates(&answer.ahead));
    let refused = bystander.clone().apply_diff(&answer);
    assert!(matches!(refused, Err(ApplyError::BaseNotCovered { replica, .. }) if replica == ReplicaId::from(2)));
    asker.apply_diff(&answer).expect("it applies to the asker");
    assert_eq!(asker.set("s").len(), 10);
}

const MANY: u64 = 100_000;

fn root(kind: Kind) -> Container {
    Container::Root { name: "r".into(), kind }
}

#[test]
fn bytes_1_many_moves_of_one_element_cost_no_more_than_many_of_others() {
    let replica = ReplicaId::from(9);
    let mut honest = Document::with_writer(replica);
    let commit: Result<Commit<Dot>, EditError> = honest.transact(Timestamp(1), |tx| tx.list("r")?.push(1));
    let commit = commit.expect("the edit is possible");
    let mut parts = commit.delta.expect("an edit").parts().into_owned();
    for seq in 2..=MANY {
        let slot = Slot::Position { bunch: 1, backward: false };
        let (container, payload) = (Container::Entity(commit.value), Payload::Empty);
        parts.adds.push((seq, Entry { container, slot, kind: Kind::MOVE, entity: false, payload }));
    }
    parts.dots = MANY;
    let sealed = Delta::seal(parts, Tag::start(replica));
    let delta = Delta::decode(sealed.bytes(), Tag::start(replica)).expect("the bytes keep the rules");
    in_good_time(&delta, |tx| tx.list("r")?.clear());
}

#[test]
fn bytes_1_many_entries_of_one_slot_cost_no_more_than_many_of_others() {
    for (kind, entity) in [(Kind::FLAG, false), (Kind::REGISTER, false), (Kind::MAP, true)] {
        let entries = (0..MANY).map(|_| (root(Kind::MAP), Slot::Key("k".into()), kind, entity)).collect();
        in_good_time(&crafted(entries), |tx| tx.map("r")?.remove("k").map(drop));
    }
}

#[test]
fn bytes_1_many_incarnations_of_a_bounded_counter_cost_no_more_than_many_entries() {
    let entry = |seq: u64| {
        if seq % 2 == 1 {
            return (root(Kind::MAP), Slot::Key("k".into()), Kind::BOUNDED_COUNTER, true);
        }
        (Container::Entity(Dot::new(ReplicaId::from(9), seq - 1)), Slot::Owner, Kind::RIGHTS, false)
    };
    in_good_time(&crafted((1..=MANY).map(entry).collect()), |tx| {
        let mut map = tx.map("r")?;
        let mut counter = map.bounded_counter("k")?;
        assert_eq!(counter.read().holders(), [(ReplicaId::from(1), i128::from(MANY))]);
        counter.subtract(MANY / 2)?;
        counter.subtract(MANY / 2)?;
        assert!(matches!(counter.subtract(1), Err(EditError::NotEnoughRights { available: 0, .. })));
        map.remove("k").map(drop)
    });
}

#[test]
fn esc_2_rights_that_were_never_there_are_read_the_same_everywhere_and_never_below_the_floor() {
    let delta = crafted([(root(Kind::BOUNDED_COUNTER), Slot::Owner, Kind::RIGHTS, false)].into());
    let mut document = Document::with_writer(ReplicaId::from(1));
    document.apply(&delta).expect("it applies");
    let commit: Result<Commit<()>, EditError> =
        document.transact(Timestamp(1), |tx| tx.bounded_counter("r")?.subtract(2));
    let spent = commit.expect("nobody can know better").delta.expect("an edit");
    let mut other = Document::with_writer(ReplicaId::from(2));
    let honest: Result<Commit<()>, EditError> = other.transact(Timestamp(1), |tx| tx.bounded_counter("r")?.add(1));
    document.apply(&honest.expect("possible").delta.expect("an edit")).expect("it applies");
    for delta in [&delta, &spent] {
        other.apply(delta).expect("it applies");
    }
    for document in [&document, &other, &Document::load(&other.snapshot()).expect("what was saved loads")] {
        let counter = document.bounded_counter("r");
        assert_eq!((counter.value(), counter.holders()), (0, [(ReplicaId::from(2), 1)].into()));
        assert_eq!(counter.rights_of(ReplicaId::from(9)), 0);
    }
}

#[test]
fn bytes_1_containers_nested_without_end_are_told_of_as_far_as_any_may_nest() {
    let inside =
        |seq: u64| if seq == 1 { root(Kind::MAP) } else { Container::Entity(Dot::new(ReplicaId::from(9), seq - 1)) };
    let entries = (1..=MANY).map(|seq| (inside(seq), Slot::Key("k".into()), Kind::MAP, true)).collect();
    in_good_time(&crafted(entries), |tx| tx.map("r")?.remove("k").map(drop));
}

#[test]
fn rem_2_a_removal_of_many_runs_costs_no_more_than_its_dots() {
    let entries = (1..=2 * MANY)
        .map(|seq| (root(Kind::SET), Slot::Member(Value::from(seq as i64)), Kind::MEMBER, false))
        .collect();
    let start = Instant::now();
    let mut document = Document::with_writer(ReplicaId::from(1));
    document.apply(&crafted(entries)).expect("it applies");
    let before = document.clone();
    let commit: Result<Commit<()>, EditError> = document.transact(Timestamp(1), |tx| {
        (0..MANY as i64).try_for_each(|value| tx.set("r")?.remove(&Value::from(2 * value)).map(drop))
    });
    let delta = commit.expect("the edit is possible").delta.expect("an edit");
    let mut other = before.clone();
    other.apply(&delta).expect("it applies");
    let mut third = before.clone();
    third.apply_diff(&document.diff_since(&before.version())).expect("it applies");
    assert_eq!((other.beacon(), third.beacon()), (document.beacon(), document.beacon()));
    assert!(start.elapsed() < Duration::from_secs(30), "{:?}", start.elapsed());
}

#[test]
fn valid_1_a_register_that_claims_to_be_an_entity_is_hidden() {
    let entries = Vec::from([
        (root(Kind::MAP), Slot::Key("k".into()), Kind::REGISTER, true),
        (root(Kind::MAP), Slot::Key("k".into()), Kind::REGISTER, false),
        (root(Kind::MAP), Slot::Key("l".into()), Kind::FLAG, true),
    ]);
    let mut document = Document::new();
    document.apply(&crafted(entries)).expect("it applies");
    assert_eq!(document.map("r").kinds("k"), [Kind::REGISTER]);
    assert!(!document.map("r").contains("l"));
    assert_eq!(document.live_count(), 3, "it is stored, and passed on");
    still_works(document);
}

/// Bunches, each hanging on the one before, on changing sides, the first on `parent`; and an element in the last.
fn chain(first_seq: u64, count: u64, mut parent: Position, container: &Container, before: Tag) -> Delta {
    let mut parts = crafted(Vec::from([(root(Kind::LIST), Slot::Unit, Kind::FLAG, true)])).parts().into_owned();
    (parts.first_seq, parts.dots, parts.adds) = (first_seq, count, Few::new());
    for seq in first_seq..first_seq + count {
        let id = Dot::new(parts.replica, seq);
        let side = if seq % 2 == 1 { Side::Right } else { Side::Left };
        parts.bunches.push(BunchRecord { id, parent, side, rank: 0 });
        parent = Position { bunch: id, index: 0 };
    }
    let slot = Slot::Position { bunch: parent.bunch.seq, backward: false };
    let (container, payload) = (container.clone(), Payload::Empty);
    parts.adds.push((parent.bunch.seq, Entry { container, slot, kind: Kind::FLAG, entity: true, payload }));
    let sealed = Delta::seal(parts, before);
    Delta::decode(sealed.bytes(), before).expect("the bytes keep the rules")
}

#[test]
fn valid_1_depth_is_judged_only_where_an_entry_needs_it() {
    let start = Position { bunch: Dot::ROOT, index: 0 };
    let limit = codec::limits::MAX_BUNCH_DEPTH as u64;
    let deep = chain(1, limit, start, &root(Kind::LIST), Tag::start(ReplicaId::from(9)));
    let deepest = Position { bunch: deep.dot(), index: 0 };
    let mut keeps = Document::new();
    keeps.apply(&deep).expect("it applies");
    let below = chain(limit + 1, 1, deepest, &root(Kind::LIST), deep.tag());
    assert!(matches!(keeps.apply(&below), Err(ApplyError::TooDeep { .. })));
    // All of it dies; one replica keeps the positions, the other never had them.
    let mut clears = keeps.clone();
    clears.set_writer(Some(ReplicaId::from(1))).expect("no transaction is open");
    let commit: Result<Commit<()>, EditError> = clears.transact(Timestamp(1), |tx| tx.list("r")?.clear());
    keeps.apply(&commit.expect("the edit is possible").delta.expect("an edit")).expect("it applies");
    clears.truncate_removals();
    let mut lacks = Document::new();
    lacks.apply_diff(&clears.diff_since(&VersionVector::new())).expect("it applies");
    let dead = Container::Entity(deep.dot());
    let below = chain(limit + 1, 1, deepest, &dead, deep.tag());
    for mut document in [keeps, lacks] {
        document.apply(&below).expect("it applies wherever the version is the same");
        assert_eq!(document.live_count(), 0);
    }
}

#[test]
fn dot_1_a_writer_whose_numbers_were_used_up_by_others_edits_no_more() {
    let writer = ReplicaId::from(1);
    let mut document = Document::with_writer(writer);
    let mut diff = {
        let mut other = Document::with_writer(ReplicaId::from(2));
        let commit: Result<Commit<()>, EditError> = other.transact(Timestamp(1), |tx| tx.map("r")?.put("k", 1));
        drop(commit.expect("the edit is possible"));
        other.diff_since(&VersionVector::new())
    };
    diff.head.set(writer, VersionEntry { seq: Dot::MAX_SEQ, tag: Tag::start(writer) });
    let diff = codec::decode_diff(&codec::encode_diff(&diff)).expect("the bytes keep the rules");
    document.apply_diff(&diff).expect("it applies");
    let commit: Result<Commit<()>, EditError> =
        document.transact(Timestamp(1), |tx| tx.map("r")?.remove("k").map(drop));
    assert_eq!(commit.unwrap_err(), EditError::OutOfDots);
    still_works_for(document, ReplicaId::from(77));
}

/// The only delta of replica 9, with one entry.
fn with_entry(entry: Entry, hlc: Hlc) -> Delta {
    let mut parts =
        crafted(Vec::from([(root(Kind::MAP), Slot::Key("k".into()), Kind::FLAG, false)])).parts().into_owned();
    (parts.adds, parts.hlc) = (Few::one((1, entry)), hlc);
    let sealed = Delta::seal(parts, Tag::start(ReplicaId::from(9)));
    Delta::decode(sealed.bytes(), Tag::start(ReplicaId::from(9))).expect("the bytes keep the rules")
}

fn put(container: Container, key: &str, value: impl Into<Value>) -> Entry {
    let payload = Payload::Value(value.into());
    Entry { container, slot: Slot::Key(key.into()), kind: Kind::REGISTER, entity: false, payload }
}

#[test]
fn dot_1_a_dot_that_is_bound_to_anything_else_gives_another_beacon() {
    let map = || root(Kind::MAP);
    let other = Container::Root { name: "other".into(), kind: Kind::MAP };
    let deltas = [
        with_entry(put(map(), "k", 1), Hlc(5)),
        with_entry(put(map(), "k", 1), Hlc(6)),
        with_entry(put(map(), "k", 2), Hlc(5)),
        with_entry(put(map(), "l", 1), Hlc(5)),
        with_entry(put(other, "k", 1), Hlc(5)),
        with_entry(put(root(Kind::LIST), "k", 1), Hlc(5)),
        with_entry(Entry { kind: Kind::FLAG, payload: Payload::Empty, ..put(map(), "k", 1) }, Hlc(5)),
        with_entry(Entry { kind: Kind::MAP, entity: true, payload: Payload::Empty, ..put(map(), "k", 1) }, Hlc(5)),
    ];
    let beacon = |delta: &Delta| {
        let mut document = Document::new();
        document.apply(delta).expect("it applies");
        assert_eq!(document.live_count(), 1);
        document.beacon()
    };
    let beacons: std::collections::BTreeSet<_> = deltas.iter().map(beacon).collect();
    assert_eq!(beacons.len(), deltas.len());
}

#[test]
fn valid_1_what_this_version_does_not_know_is_kept_and_passed_on() {
    let unknown =
        || Entry { kind: Kind(99), payload: Payload::Opaque([1, 2, 3][..].into()), ..put(root(Kind::MAP), "k", 1) };
    let mut document = Document::with_writer(ReplicaId::from(1));
    document.apply(&with_entry(unknown(), Hlc(5))).expect("it applies");
    assert_eq!((document.live_count(), document.map("r").len()), (1, 0), "kept, and not shown");
    let mut other = Document::load(&document.snapshot()).expect("what was saved loads");
    other = {
        let mut third = Document::new();
        third.apply_diff(&other.diff_since(&third.version())).expect("it applies");
        third
    };
    let diff = other.diff_since(&VersionVector::new());
    assert_eq!(diff.adds.iter().map(|add| &add.entry).collect::<Vec<_>>(), [&unknown()], "byte for byte");
    assert_eq!(other.beacon(), document.beacon());
    still_works(document);
}

#[test]
fn causal_2_what_names_something_that_is_not_known_waits_for_it() {
    let mut maker = Document::with_writer(ReplicaId::from(8));
    let commit: Result<Commit<()>, EditError> = maker.transact(Timestamp(1), |tx| tx.map("r")?.map("k").map(drop));
    let made = commit.expect("the edit is possible").delta.expect("an edit");
    let below = with_entry(put(Container::Entity(made.dot()), "x", 1), Hlc(5));
    let removal = {
        let mut parts = below.parts().into_owned();
        parts.adds.clear();
        parts.removes.insert(made.dot());
        Delta::seal(parts, Tag::start(ReplicaId::from(9)))
    };
    // Neither says that it depends on what it names: that it does is found out.
    for delta in [&below, &removal] {
        let mut document = Document::new();
        assert_eq!(document.apply(delta).expect("it waits").outcome, Outcome::Parked);
        assert_eq!(document.apply(&made).expect("it applies").outcome, Outcome::Applied);
        let mut in_order = Document::new();
        for delta in [&made, delta] {
            assert_eq!(in_order.apply(delta).expect("it applies").outcome, Outcome::Applied);
        }
        assert_eq!((document.version(), document.beacon()), (in_order.version(), in_order.beacon()));
        assert_eq!(dump(&document), dump(&in_order));
    }
}

#[test]
fn valid_1_what_is_hidden_counts_neither_when_it_comes_nor_when_it_goes() {
    let rights = Payload::Rights(Arc::new(Rights { plus: 7, minus: 0, given: Vec::new() }));
    let cases = [
        (Kind::COUNTER, Kind::RIGHTS, rights),
        (Kind::BOUNDED_COUNTER, Kind::TOTAL, Payload::Total { plus: 0, minus: 7 }),
    ];
    for (counter, kind, payload) in cases {
        let hidden = Entry { container: root(counter), slot: Slot::Owner, kind, entity: false, payload };
        let came = with_entry(hidden, Hlc(5));
        let mut parts = came.parts().into_owned();
        (parts.first_seq, parts.deps, parts.adds) = (2, Few::one(came.dot()), Few::new());
        parts.removes = [came.dot()].into_iter().collect();
        let gone = Delta::seal(parts, came.tag());
        let mut document = Document::new();
        let value = |document: &Document| (document.counter("r").value(), document.bounded_counter("r").value());
        for delta in [came, gone] {
            document.apply(&delta).expect("it applies");
            assert_eq!(value(&document), (0, 0), "{kind:?} in {counter:?}");
            let loaded = Document::load(&document.snapshot()).expect("it loads");
            assert_eq!((value(&loaded), loaded.beacon()), ((0, 0), document.beacon()));
        }
    }
}
