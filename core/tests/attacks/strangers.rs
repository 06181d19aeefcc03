//! What attackers write, and how it is seen that everybody else goes on.

use std::sync::Arc;

use weftline::testing::dump;
use weftline::{
    Commit, Container, Delta, DeltaParts, Document, DotRuns, EditError, Entry, Few, Hlc, Kind, Payload, ReplicaId,
    Rights, Slot, Tag, Timestamp, Value, VersionVector, codec,
};

/// A document that took something in must still be able to do everything a document does.
pub(super) fn still_works(document: Document) {
    still_works_for(document, ReplicaId::from(77));
}

pub(super) fn still_works_for(mut document: Document, writer: ReplicaId) {
    let saved = document.snapshot();
    let loaded = Document::load(&saved).expect("what was saved loads");
    assert_eq!(loaded.beacon(), document.beacon());
    document.set_writer(Some(writer)).expect("no transaction is open");
    let edited: Result<Commit<()>, EditError> = document.transact(Timestamp(1), |tx| {
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

/// The first delta of a replica that keeps no rule but those of the bytes: its entries in the order of their dots, from 1.
pub(super) fn crafted(entries: Vec<(Container, Slot, Kind, bool)>) -> Delta {
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

pub(super) fn root(kind: Kind) -> Container {
    Container::Root { name: "r".into(), kind }
}

/// The only delta of replica 9, with one entry.
pub(super) fn with_entry(entry: Entry, hlc: Hlc) -> Delta {
    let mut parts =
        crafted(Vec::from([(root(Kind::MAP), Slot::Key("k".into()), Kind::FLAG, false)])).parts().into_owned();
    (parts.adds, parts.hlc) = (Few::one((1, entry)), hlc);
    let sealed = Delta::seal(parts, Tag::start(ReplicaId::from(9)));
    Delta::decode(sealed.bytes(), Tag::start(ReplicaId::from(9))).expect("the bytes keep the rules")
}

pub(super) fn put(container: Container, key: &str, value: impl Into<Value>) -> Entry {
    let payload = Payload::Value(value.into());
    Entry { container, slot: Slot::Key(key.into()), kind: Kind::REGISTER, entity: false, payload }
}

/// A delta with these parts, as whoever receives its bytes reads it; none if no decoder takes it.
pub(super) fn sealed(parts: DeltaParts, before: Tag) -> Option<Delta> {
    Delta::decode(Delta::seal(parts, before).bytes(), before).ok()
}

/// What a replica writes next after what a document knows of it, with nothing in it.
pub(super) fn nothing(document: &Document, replica: ReplicaId) -> (DeltaParts, Tag) {
    let before = document.version().get(replica).map_or(Tag::start(replica), |entry| entry.tag);
    let parts = DeltaParts::blank(replica, document.seq(replica) + 1);
    (parts, before)
}

/// Both show and know the same.
#[track_caller]
pub(super) fn assert_same(a: &Document, b: &Document) {
    assert_eq!((a.version(), a.beacon(), dump(a)), (b.version(), b.beacon(), dump(b)));
}

/// A diff as it comes from a stranger: in bytes.
#[track_caller]
pub(super) fn sent(diff: &weftline::Diff) -> weftline::Diff {
    codec::decode_diff(&codec::encode_diff(diff)).expect("the bytes keep the rules")
}
