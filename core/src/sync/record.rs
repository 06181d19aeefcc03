//! What a replica keeps in its store.
//!
//! A [`Record`] is one fact; a store is a set of them, written in atomic [`Persist`] batches. Two kinds of store are
//! served: an append-only file folds the encoded records in the order written; a keyed database applies [`Record::change`].
//! Both give the surviving records to [`super::Replica::open`], in any order.
//!
//! Rules: DUR-1 an own delta and its slot's high-water mark are one strict batch, with everything the delta depends on
//! that is still being written (DUR-5). The cursor moves in the batch of the rows it covers. SEQ-6 beside a row is what it hangs
//! on, because tabs share a store and compact it by what each of them has seen.

use alloc::sync::Arc;
use alloc::vec::Vec;

use super::row::{RecordError, Row};
use super::wire::{Malformed, Reader, put_varint, told};
use crate::clock::Tag;
use crate::ordered::retain;
use crate::replica_id::ReplicaId;

/// How far one relay's log has been followed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Cursor {
    /// A start of the relay, as it names it.
    pub epoch: u64,
    /// The last position that is here.
    pub position: u64,
}

impl Cursor {
    /// Not a place in any log: what is stored when a cursor turned out to be wrong.
    pub const NONE: Self = Self { epoch: 0, position: 0 };
}

/// One fact in a replica's store.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Record {
    /// Slot `index` of the pool of writer ids. Replaces what was there.
    Slot {
        /// Which slot.
        index: u32,
        /// The id held in it; none when it was retired and nothing was written since.
        replica: Option<ReplicaId>,
        /// The last own dot that is durable with this record.
        high_water: u64,
        /// The chain tag at that dot.
        tag: Tag,
        /// The number of the last lease of the id that an opening of the slot heard it had, 0 if none did.
        lease_no: u64,
        /// That opening, if one did, and those after it that may have asked for the lease and never heard (ID-4).
        incs: Vec<u64>,
    },
    /// A row, own or from the relay.
    Row(Row),
    /// An own delta that the home relay has not acked; keyed by (replica, last_seq).
    Outbox {
        /// Who wrote it.
        replica: ReplicaId,
        /// Its first dot.
        first_seq: u64,
        /// Its last dot.
        last_seq: u64,
        /// The chain tags of the deltas of others that it depends on, in their order: which branch each of them is of (FORK-3).
        deps: Vec<Tag>,
        /// The delta.
        row: Row,
    },
    /// Outbox entries of `replica` up to `through` are gone.
    Acked {
        /// Whose.
        replica: ReplicaId,
        /// The last dot acked.
        through: u64,
    },
    /// How far the home relay's log has been followed. Replaces the cursor; [`Cursor::NONE`] is none.
    Cursor(Cursor),
    /// The positions that the delta of a row hangs on, so that it can be read whatever a snapshot keeps that another tab
    /// wrote (SEQ-6); keyed by the delta's name.
    Positions {
        /// Who wrote the delta.
        replica: ReplicaId,
        /// Its last dot.
        last_seq: u64,
        /// The chains of bunches.
        bytes: Arc<[u8]>,
    },
    /// The state at rest. Replaces the rows and older snapshots that it covers.
    Snapshot(Arc<[u8]>),
    /// Everything of a table that was written before this is gone, whoever wrote it: the document was built anew, and what stood for
    /// it says something else (FORK-4). Who appends folds it by [`Self::fold`].
    Dropped(Table),
}

/// Where a keyed store keeps a record.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Table {
    /// Slots by index.
    Slots,
    /// Rows, and the positions that they hang on.
    Rows,
    /// Outbox entries by (replica, last_seq).
    Outbox,
    /// The cursor.
    Cursor,
    /// Snapshots.
    Snapshots,
}

impl Table {
    /// Every table.
    pub const ALL: [Self; 5] = [Self::Slots, Self::Rows, Self::Outbox, Self::Cursor, Self::Snapshots];

    /// The name of the object store.
    pub const fn name(self) -> &'static str {
        match self {
            Self::Slots => "slots",
            Self::Rows => "rows",
            Self::Outbox => "outbox",
            Self::Cursor => "cursor",
            Self::Snapshots => "snapshots",
        }
    }
}

/// What a record changes in a keyed store.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum StoreChange {
    /// Writes the encoded record under the key.
    Put {
        /// The table.
        table: Table,
        /// The key.
        key: Vec<u8>,
        /// [`Record::encode`].
        value: Vec<u8>,
    },
    /// Deletes every key from `first` to `last`, both included.
    Delete {
        /// The table.
        table: Table,
        /// The first key.
        first: Vec<u8>,
        /// The last key.
        last: Vec<u8>,
    },
}

const SLOT: u8 = 1;
const ROW: u8 = 2;
const OUTBOX: u8 = 3;
const ACKED: u8 = 4;
const CURSOR: u8 = 5;
const SNAPSHOT: u8 = 6;
const POSITIONS: u8 = 7;
const DROPPED: u8 = 8;

impl Record {
    /// The bytes of one record: a kind, then its fields. Whoever stores them adds length and checksum.
    pub fn encode(&self) -> Vec<u8> {
        let mut out = Vec::new();
        match self {
            Self::Slot { index, replica, high_water, tag, lease_no, incs } => {
                out.push(SLOT);
                put_varint(&mut out, u64::from(*index));
                out.push(u8::from(replica.is_some()));
                out.extend_from_slice(&replica.unwrap_or(ReplicaId::NIL).to_bytes());
                put_varint(&mut out, *high_water);
                out.extend_from_slice(tag.as_bytes());
                put_varint(&mut out, *lease_no);
                for inc in incs {
                    out.extend_from_slice(&inc.to_le_bytes());
                }
            }
            Self::Row(row) => {
                out.push(ROW);
                row.encode_into(&mut out);
            }
            Self::Outbox { replica, first_seq, last_seq, deps, row } => {
                out.push(OUTBOX);
                out.extend_from_slice(&replica.to_bytes());
                put_varint(&mut out, *first_seq);
                put_varint(&mut out, *last_seq);
                put_varint(&mut out, deps.len() as u64);
                for tag in deps {
                    out.extend_from_slice(tag.as_bytes());
                }
                row.encode_into(&mut out);
            }
            Self::Acked { replica, through } => {
                out.push(ACKED);
                out.extend_from_slice(&replica.to_bytes());
                put_varint(&mut out, *through);
            }
            Self::Cursor(Cursor { epoch, position }) => {
                out.push(CURSOR);
                put_varint(&mut out, *epoch);
                put_varint(&mut out, *position);
            }
            Self::Positions { replica, last_seq, bytes } => {
                out.push(POSITIONS);
                out.extend_from_slice(&replica.to_bytes());
                put_varint(&mut out, *last_seq);
                out.extend_from_slice(bytes);
            }
            Self::Snapshot(bytes) => {
                out.push(SNAPSHOT);
                out.extend_from_slice(bytes);
            }
            Self::Dropped(table) => out.extend_from_slice(&[DROPPED, *table as u8]),
        }
        out
    }

    /// Which table of a keyed store it is in, if it is kept in any.
    const fn table(&self) -> Option<Table> {
        Some(match self {
            Self::Slot { .. } => Table::Slots,
            Self::Row(_) | Self::Positions { .. } => Table::Rows,
            Self::Outbox { .. } => Table::Outbox,
            Self::Cursor(_) => Table::Cursor,
            Self::Snapshot(_) => Table::Snapshots,
            Self::Acked { .. } | Self::Dropped(_) => return None,
        })
    }

    /// Takes `next` in behind `records` of an append-only file, in the order in which they were written.
    pub fn fold(records: &mut Vec<Self>, next: Self) {
        match next {
            Self::Dropped(table) => retain(records, |record| record.table() != Some(table)),
            next => records.push(next),
        }
    }

    /// Reads what [`Self::encode`] gave. The content of rows and snapshots is not looked at.
    ///
    /// # Errors
    /// When the bytes are not a record.
    pub fn decode(bytes: &[u8]) -> Result<Self, RecordError> {
        Self::read(bytes).map_err(|_| RecordError { what: told("record") })
    }

    fn read(bytes: &[u8]) -> Result<Self, Malformed> {
        let mut reader = Reader::new(bytes);
        let record = match reader.u8() {
            SLOT => {
                let index = reader.number32();
                let held = reader.u8() != 0;
                let id = reader.replica();
                let high_water = reader.varint();
                let (tag, lease_no) = (reader.tag(), reader.varint());
                let mut incs = Vec::new();
                while !reader.is_empty() {
                    incs.push(reader.word());
                }
                Self::Slot { index, replica: held.then_some(id), high_water, tag, lease_no, incs }
            }
            ROW => Self::Row(Row::read(reader.rest())?),
            OUTBOX => {
                let replica = reader.replica();
                let first_seq = reader.varint();
                let last_seq = reader.varint();
                let mut deps = Vec::new();
                for _ in 0..reader.varint() {
                    if reader.is_empty() {
                        return Err(Malformed);
                    }
                    deps.push(reader.tag());
                }
                Self::Outbox { replica, first_seq, last_seq, deps, row: Row::read(reader.rest())? }
            }
            ACKED => Self::Acked { replica: reader.replica(), through: reader.varint() },
            CURSOR => Self::Cursor(Cursor { epoch: reader.varint(), position: reader.varint() }),
            SNAPSHOT => Self::Snapshot(reader.rest().into()),
            POSITIONS => {
                let replica = reader.replica();
                let last_seq = reader.varint();
                Self::Positions { replica, last_seq, bytes: reader.rest().into() }
            }
            DROPPED => Self::Dropped(*Table::ALL.get(usize::from(reader.u8())).ok_or(Malformed)?),
            _ => return Err(Malformed),
        };
        reader.finish().map(|()| record)
    }

    /// What a keyed store does with the record. Rows and snapshots are keyed by their content, so that what two tabs both
    /// receive is stored once.
    pub fn change(&self) -> StoreChange {
        let put = |table, key| StoreChange::Put { table, key, value: self.encode() };
        match self {
            Self::Slot { index, .. } => put(Table::Slots, index.to_be_bytes().to_vec()),
            Self::Row(row) => put(Table::Rows, content_key(&row.encode())),
            Self::Outbox { replica, last_seq, .. } => put(Table::Outbox, delta_key(*replica, *last_seq)),
            Self::Acked { replica, through } => StoreChange::Delete {
                table: Table::Outbox,
                first: delta_key(*replica, 0),
                last: delta_key(*replica, *through),
            },
            Self::Cursor(_) => put(Table::Cursor, [0].to_vec()),
            // Longer than the key of any row.
            Self::Positions { replica, last_seq, .. } => put(Table::Rows, delta_key(*replica, *last_seq)),
            Self::Snapshot(bytes) => put(Table::Snapshots, content_key(bytes)),
            Self::Dropped(table) => StoreChange::Delete { table: *table, first: Vec::new(), last: LAST_KEY.to_vec() },
        }
    }
}

/// Greater than any key.
const LAST_KEY: [u8; 32] = [255; 32];

fn delta_key(replica: ReplicaId, last_seq: u64) -> Vec<u8> {
    let mut key = replica.to_bytes().to_vec();
    key.extend_from_slice(&last_seq.to_be_bytes());
    key
}

fn content_key(bytes: &[u8]) -> Vec<u8> {
    let mut key = (bytes.len() as u32).to_be_bytes().to_vec();
    key.extend_from_slice(Tag::start(ReplicaId::NIL).extend(bytes).as_bytes());
    key
}

/// Names one [`Persist`]. Later ones are greater.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Token(pub u64);

/// How durable a batch must be before [`super::Replica::durable`] is called for it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Class {
    /// Written, and visible to whoever opens the store next. May be lost with the power.
    Relaxed,
    /// On stable storage, together with every batch before it.
    Strict,
}

/// One atomic write. Batches are written in the order in which they were given; several may be written as one, which is
/// then as strict as the strictest of them.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Persist {
    /// To be given back once it is done.
    pub token: Token,
    /// How durable it must be.
    pub class: Class,
    /// What to write.
    pub records: Vec<Record>,
}

#[cfg(test)]
mod tests {
    use alloc::vec;

    use proptest::prelude::*;

    use super::*;

    fn examples() -> Vec<Record> {
        let replica = ReplicaId::from(7);
        let tag = Tag::start(replica);
        let delta = Row::Delta { prev_tag: tag, bytes: [1, 2, 3].as_slice().into() };
        let diff = Row::Diff { bytes: [4, 5].as_slice().into() };
        vec![
            Record::Slot { index: 3, replica: Some(replica), high_water: 300, tag, lease_no: 300, incs: vec![1, 0] },
            Record::Slot { index: 0, replica: None, high_water: 0, tag, lease_no: 0, incs: Vec::new() },
            Record::Row(delta.clone()),
            Record::Row(diff),
            Record::Outbox { replica, first_seq: 4, last_seq: 200, deps: vec![tag, tag], row: delta },
            Record::Acked { replica, through: 200 },
            Record::Cursor(Cursor { epoch: u64::MAX, position: 12 }),
            Record::Positions { replica, last_seq: 200, bytes: [1, 2].as_slice().into() },
            Record::Snapshot([9; 9].as_slice().into()),
            Record::Dropped(Table::Rows),
            Record::Dropped(Table::Snapshots),
        ]
    }

    #[test]
    fn records_come_back_as_they_were() {
        for record in examples() {
            assert_eq!(Record::decode(&record.encode()), Ok(record));
        }
    }

    #[test]
    fn fork_4_what_is_dropped_is_what_was_written_before() {
        let mut left = Vec::new();
        let mut last = Vec::new();
        for record in examples().into_iter().chain(examples()) {
            if let StoreChange::Put { key, .. } = record.change() {
                last = key.max(last);
            }
            Record::fold(&mut left, record);
        }
        let StoreChange::Delete { last: end, .. } = Record::Dropped(Table::Rows).change() else { panic!("it deletes") };
        assert!(last < end);
        assert!(
            left.iter()
                .all(|record| !matches!(record, Record::Row(_) | Record::Positions { .. } | Record::Snapshot(_)))
        );
        assert_eq!(left.iter().filter(|record| matches!(record, Record::Outbox { .. })).count(), 2);
    }

    #[test]
    fn an_ack_deletes_the_keys_of_the_entries_it_covers() {
        let outbox = Record::Outbox {
            replica: ReplicaId::from(7),
            first_seq: 4,
            last_seq: 200,
            deps: Vec::new(),
            row: Row::Diff { bytes: [].as_slice().into() },
        };
        let StoreChange::Put { key, .. } = outbox.change() else { panic!("an outbox entry is put") };
        for (through, covered) in [(199, false), (200, true), (1 << 40, true)] {
            let acked = Record::Acked { replica: ReplicaId::from(7), through };
            let StoreChange::Delete { first, last, .. } = acked.change() else { panic!("an ack deletes") };
            assert_eq!(first <= key && key <= last, covered);
        }
    }

    proptest! {
        #[test]
        fn bytes_1_any_bytes_are_a_record_or_refused(bytes in prop::collection::vec(any::<u8>(), 0..64)) {
            if let Ok(record) = Record::decode(&bytes) {
                prop_assert_eq!(Record::decode(&record.encode()), Ok(record));
            }
        }
    }
}
