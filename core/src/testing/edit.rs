//! Random edits: of every type, somewhere in a small document, so that edits meet.

use alloc::vec::Vec;

use super::Random;
use crate::{BoundedCounterMut, EditError, Kind, NodeMut, NodeRef, Path, PathStep, ReplicaId, Transaction, Value};

/// Every kind a container can have.
const KINDS: [Kind; 12] = [
    Kind::REGISTER,
    Kind::FLAG,
    Kind::COUNTER,
    Kind::SET,
    Kind::MAP,
    Kind::LIST,
    Kind::MAX_REGISTER,
    Kind::MIN_REGISTER,
    Kind::DISABLE_WINS_FLAG,
    Kind::REMOVE_WINS_SET,
    Kind::GROW_ONLY_SET,
    Kind::BOUNDED_COUNTER,
];

/// One random edit somewhere in a small document, so that edits meet. Rights in bounded counters are given away only if it
/// `gives`: that is no undo's to take back.
///
/// # Errors
/// When an edit is refused, which none of these should be.
pub fn random_edit(tx: &mut Transaction<'_>, random: &mut Random, gives: bool) -> Result<(), EditError> {
    // Half of all edits begin in a map or a list, where there is more to go wrong.
    let kinds: &[Kind] = if random.one_in(2) { &[Kind::MAP, Kind::MAP, Kind::LIST] } else { &KINDS };
    let mut path = Path::root("r", *random.pick(kinds));
    for _ in 0..random.below(3) {
        let next = match tx.document().at(&path) {
            Some(NodeRef::Map(_)) => {
                PathStep::Key { key: (*random.pick(&["a", "b"])).into(), kind: *random.pick(&KINDS) }
            }
            Some(NodeRef::List(list)) if !list.is_empty() => {
                let index = random.below(list.len());
                let Some(id) = list.id_at(index) else { break };
                PathStep::Element(id)
            }
            _ => break,
        };
        path = path.join(next);
    }
    let value = Value::Int(random.below(4) as i64);
    let everybody: Vec<ReplicaId> = tx.document().version().iter().map(|(id, _)| id).collect();
    match tx.at(&path)? {
        NodeMut::Register(mut register) => register.set(value),
        NodeMut::Flag(mut flag) => {
            if random.one_in(2) {
                flag.enable()
            } else {
                flag.disable()
            }
        }
        NodeMut::Counter(mut counter) => counter.add(random.below(7) as i64 - 3),
        NodeMut::Set(mut set) => match random.below(5) {
            0 | 1 => set.remove(&value).map(drop),
            2 if random.one_in(4) => set.clear(),
            _ => set.add(value),
        },
        NodeMut::MaxRegister(mut register) => register.raise(value).map(drop),
        NodeMut::MinRegister(mut register) => register.lower(value).map(drop),
        NodeMut::DisableWinsFlag(mut flag) => {
            if random.one_in(2) {
                flag.enable()
            } else {
                flag.disable()
            }
        }
        NodeMut::RemoveWinsSet(mut set) => match random.below(5) {
            0 | 1 => set.remove(&value).map(drop),
            2 if random.one_in(4) => set.clear(),
            _ => set.add(value),
        },
        NodeMut::GrowOnlySet(mut set) => set.add(value).map(drop),
        NodeMut::BoundedCounter(counter) => edit_bounded(counter, &everybody, random, gives),
        NodeMut::Map(mut map) => {
            let key = *random.pick(&["a", "b"]);
            match random.below(10) {
                0..=2 => map.put(key, value),
                3 | 4 => map.remove(key).map(drop),
                5 => map.enable(key),
                6 if random.one_in(4) => map.clear(),
                7 => map.map(key).map(drop),
                8 => map.bounded_counter_above(key, random.below(9) as i64 - 4).map(drop),
                _ => map.list(key).map(drop),
            }
        }
        NodeMut::List(mut list) => {
            let len = list.read().len();
            let some = (len > 0).then(|| random.below(len.max(1)));
            let id = some.and_then(|index| list.read().id_at(index));
            match (random.below(8), id) {
                (0 | 1, Some(id)) => list.remove(id),
                (2 | 3, Some(id)) => list.move_to(id, random.below(len)),
                (4, Some(id)) if list.read().kind(id) == Some(Kind::REGISTER) => list.put(id, value),
                (5, _) => {
                    let (kind, index) = (*random.pick(&KINDS), random.below(len + 1));
                    match kind {
                        Kind::REGISTER => list.insert_bounded_counter(index, random.below(9) as i64 - 4).map(drop),
                        kind => list.insert_container(index, kind).map(drop),
                    }
                }
                _ => list.insert(random.below(len + 1), value).map(drop),
            }
        }
    }
}

/// Adds, subtracts or gives away. That there are not enough rights is no failure, as long as it is so.
fn edit_bounded(
    mut counter: BoundedCounterMut<'_, '_>,
    everybody: &[ReplicaId],
    random: &mut Random,
    gives: bool,
) -> Result<(), EditError> {
    let (amount, rights) = (random.below(6) as u64, counter.read().rights());
    let done = match random.below(6) {
        0..=2 => return counter.add(amount),
        5 if gives => {
            // To somebody known, or to somebody who has written nothing yet.
            let to =
                if everybody.is_empty() || random.one_in(4) { ReplicaId::from(7) } else { *random.pick(everybody) };
            counter.transfer(to, amount)
        }
        _ => counter.subtract(amount),
    };
    match done {
        Err(EditError::NotEnoughRights { wanted, available })
            if wanted == amount && i128::from(available) == rights && rights < i128::from(amount) =>
        {
            Ok(())
        }
        done => done,
    }
}
