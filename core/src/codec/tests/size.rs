//! What messages cost, and the bytes of some of them, so that a change of the format is noticed.

use alloc::string::String;
use alloc::sync::Arc;
use alloc::vec::Vec;
use core::fmt::Write as _;

use super::generators::id;
use crate::clock::{Dot, DotRuns, Hlc, Tag, VersionEntry, VersionVector};
use crate::codec;
use crate::delta::DeltaParts;
use crate::diff::{Diff, LiveEntry, Snapshot, Tier};
use crate::few::Few;
use crate::replica_id::ReplicaId;
use crate::sequence::{BunchRecord, Position, Side};
use crate::store::{Container, Entry, Kind, Payload, RemovalRun, Rights, Slot};
use crate::value::Value;

fn root(name: &str, kind: Kind) -> Container {
    Container::Root { name: name.into(), kind }
}

fn put(container: Container, key: &str, value: &str) -> Entry {
    let payload = Payload::Value(value.into());
    Entry { container, slot: Slot::Key(key.into()), kind: Kind::REGISTER, entity: false, payload }
}

fn following(first_seq: u64, adds: Vec<Entry>) -> DeltaParts {
    let dots = adds.len().max(1) as u64;
    DeltaParts {
        replica: id(1),
        first_seq,
        dots,
        deps: [Dot::new(id(1), first_seq - 1)].into(),
        hlc: Hlc(if adds.is_empty() { 0 } else { 0x0198_0000_0000_0001 }),
        bunches: Vec::new(),
        adds: (first_seq..).zip(adds).collect(),
        text: Few::new(),
        totals_before: Few::new(),
        removes: DotRuns::new(),
    }
}

fn full(base: VersionVector, head: VersionVector, heads: Vec<Dot>, adds: Vec<LiveEntry>) -> Diff {
    let (ahead, removes, dead, bunches) = (VersionVector::new(), Vec::new(), DotRuns::new(), Vec::new());
    Diff { tier: Tier::Full, base, ahead, head, heads, adds, text: Vec::new(), removes, dead, bunches }
}

fn hex(bytes: &[u8]) -> String {
    bytes.iter().fold(String::new(), |mut text, byte| {
        write!(text, "{byte:02x}").unwrap();
        text
    })
}

#[test]
fn a_put_costs_its_content_and_little_more() {
    let put_one = following(1000, [put(root("todos", Kind::MAP), "t1", "buy milk")].into());
    let content = "todos".len() + "t1".len() + "buy milk".len();
    assert_eq!(codec::encode_delta(&put_one).len(), 16 + content + 18);
}

#[test]
fn an_increment_costs_eight_bytes_behind_its_header() {
    let payload = Payload::Total { plus: 10_000, minus: 0 };
    let (container, slot, kind) = (root("c", Kind::COUNTER), Slot::Owner, Kind::TOTAL);
    let mut parts = following(10_000, [Entry { container, slot, kind, entity: false, payload }].into());
    parts.totals_before = [(10_000, 9_999, 0)].into();
    parts.removes.insert(Dot::new(id(1), 9_999));
    // Format version, table, writer, flags, first dot, stamp.
    let header = 1 + 1 + 16 + 1 + 2 + 8;
    // Container 3, shape 1, step and total 3, removed dot 1.
    assert_eq!(codec::encode_delta(&parts).len(), header + 8);
}

#[test]
fn a_member_costs_its_content_and_five_bytes_behind_its_header() {
    let (container, slot) = (root("s", Kind::SET), Slot::Member("m1234".into()));
    let entry = Entry { container, slot, kind: Kind::MEMBER, entity: false, payload: Payload::Empty };
    assert_eq!(codec::encode_delta(&following(10_000, [entry].into())).len(), 29 + 5 + "m1234".len());
    let mut removed = following(10_000, Vec::new());
    removed.removes.insert(Dot::new(id(1), 9_998));
    assert_eq!(codec::encode_delta(&removed).len(), 21 + 1);
}

#[test]
fn an_own_dot_costs_nothing_a_repeated_container_and_key_one_byte() {
    let rows = |count: u64| {
        let row = |seq| put(Container::Entity(Dot::new(id(2), 70 + seq % 2)), "title", "");
        codec::encode_delta(&following(1000, (0..count).map(row).collect())).len()
    };
    // Container 1, key 1, empty text 1.
    assert_eq!(rows(30) - rows(20), 10 * 3);
    let members = |count: i32| {
        let member = |number: i32| {
            let slot = Slot::Member(Value::from(number));
            Entry {
                container: root("tags", Kind::SET),
                slot,
                kind: Kind::MEMBER,
                entity: false,
                payload: Payload::Empty,
            }
        };
        codec::encode_delta(&following(1000, (0..count).map(member).collect())).len()
    };
    assert_eq!(members(30) - members(20), 10);
}

#[test]
fn a_removed_run_costs_three_bytes() {
    let removing = |count: u64| {
        let mut parts = following(100_000, Vec::new());
        for run in 0..count {
            parts.removes.insert_run(id(1), 1000 + 200 * run, 1050 + 200 * run);
        }
        codec::encode_delta(&parts).len()
    };
    assert_eq!(removing(20) - removing(10), 10 * 3);
}

#[test]
fn a_stored_put_costs_a_few_bytes_beyond_its_content() {
    let stored = |count: u64| {
        let live = |seq| LiveEntry {
            dot: Dot::new(id(1), seq),
            hlc: Hlc((1_700_000_000_000 + 2_000 * seq) << 16),
            entry: put(root("m", Kind::MAP), &alloc::format!("key {seq:04}"), "value"),
        };
        let head = [(id(1), VersionEntry { seq: count, tag: Tag::start(id(1)) })].into_iter().collect();
        let (base, heads) = (VersionVector::new(), [Dot::new(id(1), count)].into());
        let adds = (1..=count).map(live).collect();
        let diff = full(base, head, heads, adds);
        codec::encode_diff(&diff).len()
    };
    // Stamp 2 (another one for each entry); lengths of keys and types of values are counted, 255 in a byte.
    assert_eq!(stored(3000) - stored(2000), 1000 * ("key 0000".len() + "value".len() + 2) + 8);
}

#[test]
fn format_v1_rights_and_marks_have_these_bytes() {
    let given = [(id(2), 300), (ReplicaId::from(0xff << 120), 1)].into();
    let rights = Payload::Rights(Arc::new(Rights { plus: 10, minus: 200, given }));
    let entry = |kind, slot, in_kind, payload| Entry {
        container: root("r", kind),
        slot,
        kind: in_kind,
        entity: false,
        payload,
    };
    let bytes = codec::encode_delta(&following(
        3,
        [
            entry(Kind::BOUNDED_COUNTER, Slot::Owner, Kind::RIGHTS, rights),
            entry(Kind::DISABLE_WINS_FLAG, Slot::Unit, Kind::DISABLED, Payload::Empty),
            entry(Kind::REMOVE_WINS_SET, Slot::Member(Value::Bool(true)), Kind::ABSENT, Payload::Empty),
        ]
        .into(),
    ));
    // Three roots of one name, and the shapes of their entries.
    let shapes = "0a 0d 72  0a 0a 72  0a 0b 72  2c  2e  2a";
    // Plus, minus and two ids with amounts; nothing; the member.
    let contents = "0a c8 01 02  6a6a6a6a6a6a6a6a6a6a6a6a6a6a6a6a ac 02  ff000000000000000000000000000000 01  02";
    let entries = [shapes, contents].concat().replace(' ', "");
    let (head, tail) = bytes.split_at(bytes.len() - entries.len() / 2);
    assert_eq!(hex(tail), entries, "after {}", hex(head));
}

#[test]
fn format_v1_a_delta_has_these_bytes() {
    let mut parts = following(7, [put(root("m", Kind::MAP), "k", "v")].into());
    parts.adds.push((9, {
        let slot = Slot::Position { bunch: 9, backward: false };
        Entry { container: root("l", Kind::LIST), slot, kind: Kind::MAP, entity: true, payload: Payload::Empty }
    }));
    parts.dots = 3;
    parts.deps.push(Dot::new(id(2), 300));
    let parent = Position { bunch: Dot::new(id(2), 290), index: -1 };
    parts.bunches.push(BunchRecord { id: Dot::new(id(1), 9), parent, side: Side::Right, rank: 0 });
    parts.removes.insert_run(id(1), 2, 3);
    let expected = concat!(
        "01",                               // format version
        "01",                               // one more replica than the writer
        "35353535353535353535353535353535", // the writer, number 0
        "6a6a6a6a6a6a6a6a6a6a6a6a6a6a6a6a", // number 1
        "6e",                               // flags: deps, bunches, adds, removes, more than one dot
        "07",                               // first dot
        "0100000000009801",                 // stamp
        "01",                               // three dots
        "01",
        "0006",
        "01ac02", // two deps: 0:6, 1:300
        "00",
        "08", // one bunch: one dot, the third
        "1e",
        "a202",
        "01", // right of bunch 1:290, index -1
        "01",
        "00",
        "00", // two entries: the first dot, and after a gap of one the third
        "0a056d",
        "0a066c", // containers: root "m" map, root "l" list
        "02",
        "24",   // shapes: register at a key; entity map at a position
        "00",   // position: distance 0, forward
        "036b", // key "k"
        "4176", // value "v"
        "01",
        "0500", // removes one run: 0:2 and one more
    );
    assert_eq!(hex(&codec::encode_delta(&parts)), expected);
}

#[test]
fn format_v1_a_snapshot_has_these_bytes() {
    let tag = Tag::from_bytes(*b"\x01\x02\x03\x04\x05\x06\x07\x08");
    let head: VersionVector = [(id(1), VersionEntry { seq: 4, tag })].into_iter().collect();
    let no_tag = Tag::from_bytes([0; 8]);
    let horizon = [(id(1), VersionEntry { seq: 2, tag: no_tag })].into_iter().collect();
    let (dot, hlc) = (Dot::new(id(1), 3), Hlc(5 << 16));
    let adds = [LiveEntry { dot, hlc, entry: put(root("m", Kind::MAP), "k", "v") }].into();
    let (base, heads) = (VersionVector::new(), [Dot::new(id(1), 4)].into());
    let diff = full(base, head, heads, adds);
    let (remover, removed) = (Dot::new(id(1), 4), Dot::new(id(1), 1));
    let removals = [RemovalRun { remover, removed, len: 1, chain: false }].into();
    let snapshot = Snapshot { diff, horizon, removals, beacon: [0xbe; 16] };
    let body = concat!(
        "0211",
        "01",
        "35353535353535353535353535353535", // section 2: the table
        "0418",                             // section 4: the state
        "040102030405060708",               // covered up to 4, tag
        "01",
        "00", // one head, where the head is
        "00", // no bunches
        "01",
        "08", // one entry: the dot 3
        "28", // stamp: 5 ms after 0
        "0a056d",
        "02",
        "036b",
        "4176", // container, shape, key, value
        "00",   // no text
        "0601",
        "02", // section 6: the horizon
        "0805",
        "010000", // section 8: one replica removed something: number 0, one run
        "1002",   // the dot 4 removed the dot 1, three before it less one
        "0a10",
        "bebebebebebebebebebebebebebebebe", // section 10: the beacon
    );
    let bytes = codec::encode_snapshot(&snapshot);
    assert_eq!(hex(&bytes[..16]), concat!("5746544c", "01", "01", "0000", "4900000000000000"));
    assert_eq!(hex(&bytes[20..]), body);
    assert_eq!(codec::decode_snapshot(&bytes), Ok(snapshot));
}

#[test]
fn format_v1_a_version_has_these_bytes() {
    let tag = Tag::from_bytes(*b"\x01\x02\x03\x04\x05\x06\x07\x08");
    let version: VersionVector = [(id(1), VersionEntry { seq: 300, tag })].into_iter().collect();
    let expected = concat!("01", "01", "35353535353535353535353535353535", "ac02", "0102030405060708");
    assert_eq!(hex(&codec::encode_version(&version)), expected);
}

#[test]
fn format_v1_positions_have_these_bytes() {
    let bunch = |id, parent, side| BunchRecord { id, parent, side, rank: 0 };
    let first = bunch(Dot::new(id(1), 300), Position { bunch: Dot::ROOT, index: 0 }, Side::Right);
    let hung = bunch(Dot::new(id(1), 310), Position { bunch: first.id, index: 4 }, Side::Left);
    let expected = concat!(
        "01",
        "01",
        "35353535353535353535353535353535", // the table
        "02",                               // two bunches
        "ac0920",                           // 0:300, and 0:310 behind a gap of nine
        "06",                               // hangs on START
        "0b08",                             // hangs on the left of the one before it, at index 4
    );
    assert_eq!(hex(&codec::encode_positions(&[first, hung])), expected);
}
