//! Transactions are seen whole or not at all.

use weftline::{Commit, EditError, Timestamp};

use crate::common::{items, keys, writer};
use crate::place::everywhere;

#[test]
fn a_transaction_that_fails_changes_nothing() {
    everywhere(|pair| {
        let version = pair.a.version();
        let failed = pair.try_a(|map| {
            map.put("k", 1)?;
            map.list("l")?.push("x")?;
            map.list("l")?.remove_at(7)
        });
        assert_eq!(failed, Err(EditError::OutOfRange { index: 7, len: 1 }));
        assert_eq!(pair.both(keys), [""; 0]);
        assert_eq!(pair.a.version(), version);
        pair.nothing_is_left();
        pair.a(|map| map.list("l")?.push("y").map(drop));
        assert_eq!(pair.both(|map| items(map.list("l"))), ["y"]);
    });
}

#[test]
fn nobody_sees_half_a_transaction() {
    everywhere(|pair| {
        pair.begin(|map| map.counter("from")?.add(100).and(map.counter("to").map(drop)));
        let sum = |map: weftline::MapRef<'_>| map.counter("from").value() + map.counter("to").value();
        for _ in 0..3 {
            pair.a(|map| map.counter("from")?.add(-10).and(map.counter("to")?.add(10)));
            pair.b(|map| map.counter("from")?.add(-1).and(map.counter("to")?.add(1)));
            assert_eq!(pair.both(sum), 100);
        }
        assert_eq!(pair.both(|map| map.counter("to").value()), 33);
    });
}

#[test]
fn what_a_transaction_takes_back_never_travels() {
    let mut doc = writer(1);
    let commit: Result<Commit<()>, EditError> = doc.transact(Timestamp(1), |tx| {
        tx.map("m")?.put("secret", "x")?;
        tx.map("m")?.remove("secret").map(drop)
    });
    let commit = commit.expect("the edit is possible");
    assert_eq!(commit.delta, None);
    assert!(commit.changes.is_empty());
}
