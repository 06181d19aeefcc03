//! What every [`Store`] promises, as a suite that each engine runs.

use std::sync::Arc;

use bytes::Bytes;
use futures_util::future::join_all;

use super::{Epoch, MAX_EPOCHS, Position, Snapshot, Store, StoreError, Tail};

/// A place where a store of the engine under test can be opened, dropped and opened again.
pub(super) trait Lab {
    type Store: Store;

    /// Opens what an earlier store of this lab left behind, which must have been dropped.
    fn open(&mut self, epoch: u64) -> Self::Store;
}

/// Runs the whole suite, every part in a lab of its own.
pub(super) async fn run<L: Lab>(mut lab: impl FnMut() -> L) {
    an_unknown_document_is_empty_and_asking_creates_nothing(lab()).await;
    rows_come_back_in_order(lab()).await;
    an_append_out_of_order_is_refused_and_changes_nothing(lab()).await;
    a_read_is_bounded_but_always_gets_on(lab()).await;
    a_snapshot_stands_for_the_rows_below_it(lab()).await;
    a_snapshot_outside_of_the_log_is_refused(lab()).await;
    a_snapshot_may_cut_through_what_was_appended_together(lab()).await;
    big_rows_come_back(lab()).await;
    documents_are_apart(lab()).await;
    concurrent_appends_are_all_kept_in_order(lab()).await;
    calls_take_effect_in_the_order_they_were_made(lab()).await;
    cur_1_every_start_extends_the_epochs_of_what_it_touches(lab()).await;
    cur_1_the_list_of_epochs_is_bounded(lab()).await;
    documents_are_listed_by_name_a_page_at_a_time(lab()).await;
    a_probe_is_written_and_changes_nothing(lab()).await;
    a_deleted_document_starts_anew(lab()).await;
    a_closed_store_says_so(lab()).await;
}

fn row(text: impl std::fmt::Display) -> Bytes {
    Bytes::from(text.to_string())
}

fn rows(positions: std::ops::RangeInclusive<Position>) -> Vec<Bytes> {
    positions.map(row).collect()
}

fn placed(positions: std::ops::RangeInclusive<Position>) -> Vec<(Position, Bytes)> {
    positions.map(|position| (position, row(position))).collect()
}

async fn an_unknown_document_is_empty_and_asking_creates_nothing(mut lab: impl Lab) {
    let store = lab.open(7);
    let recovered = store.recover("nothing").await.unwrap();
    assert_eq!((recovered.snapshot, recovered.rows, recovered.head), (None, Vec::new(), 0));
    assert_eq!(recovered.epochs, [Epoch { id: 7, first_position: 1 }]);
    assert_eq!(store.read("nothing", 0, 100).await, Ok(Tail::Rows(Vec::new())));
    store.append("nothing", 1, Vec::new()).await.unwrap();
    assert_eq!(store.documents().await, Ok(Vec::new()));
}

async fn documents_are_listed_by_name_a_page_at_a_time(mut lab: impl Lab) {
    let store = lab.open(1);
    for name in ["b", "d", "a", "c"] {
        store.append(name, 1, vec![row(name)]).await.unwrap();
    }
    let all = store.documents().await.unwrap();
    assert_eq!(all.iter().map(|document| &*document.name).collect::<Vec<_>>(), ["a", "b", "c", "d"]);
    assert_eq!(store.documents_after("", 10).await.unwrap(), all);
    assert_eq!(store.documents_after("", 2).await.unwrap(), all[..2]);
    // The name need not be there.
    assert_eq!(store.documents_after("bb", 1).await.unwrap(), all[2..3]);
    assert_eq!(store.documents_after("d", 10).await.unwrap(), []);
}

async fn a_probe_is_written_and_changes_nothing(mut lab: impl Lab) {
    let store = lab.open(1);
    store.append("a", 1, vec![row("a")]).await.unwrap();
    let before = store.documents().await.unwrap();
    store.probe().await.unwrap();
    store.probe().await.unwrap();
    assert_eq!(store.documents().await.unwrap(), before);
    drop(store);
    let store = lab.open(2);
    assert_eq!(store.documents().await.unwrap(), before);
    store.close().await.unwrap();
    assert_eq!(store.probe().await, Err(StoreError::Closed));
}

async fn rows_come_back_in_order(mut lab: impl Lab) {
    let store = lab.open(1);
    store.append("d", 1, rows(1..=1)).await.unwrap();
    store.append("d", 2, rows(2..=5)).await.unwrap();
    store.append("d", 6, rows(6..=6)).await.unwrap();
    for after in 0..=6 {
        let expected = Tail::Rows(placed(after + 1..=6));
        assert_eq!(store.read("d", after, usize::MAX).await, Ok(expected), "after {after}");
    }
    assert_eq!(store.read("d", 60, usize::MAX).await, Ok(Tail::Rows(Vec::new())));
    drop(store);

    let recovered = lab.open(2).recover("d").await.unwrap();
    assert_eq!((recovered.rows, recovered.head), (placed(1..=6), 6));
}

async fn an_append_out_of_order_is_refused_and_changes_nothing(mut lab: impl Lab) {
    let store = lab.open(1);
    store.append("d", 1, rows(1..=3)).await.unwrap();
    for found in [0, 1, 3, 5, 9] {
        let refusal = StoreError::OutOfOrder { document: "d".into(), expected: 4, found };
        assert_eq!(store.append("d", found, rows(1..=2)).await, Err(refusal));
    }
    let refusal = StoreError::OutOfOrder { document: "other".into(), expected: 1, found: 2 };
    assert_eq!(store.append("other", 2, rows(1..=2)).await, Err(refusal));
    store.append("d", 4, rows(4..=4)).await.unwrap();
    assert_eq!(store.recover("d").await.unwrap().rows, placed(1..=4));
    assert_eq!(store.documents().await.unwrap().len(), 1);
}

async fn a_read_is_bounded_but_always_gets_on(mut lab: impl Lab) {
    let store = lab.open(1);
    // Ten bytes each, in windows of different length.
    let ten = |position: Position| row(format!("{position:010}"));
    store.append("d", 1, (1..=7).map(ten).collect()).await.unwrap();
    store.append("d", 8, (8..=9).map(ten).collect()).await.unwrap();
    store.append("d", 10, (10..=30).map(ten).collect()).await.unwrap();
    for (max_bytes, count) in [(0, 1), (9, 1), (10, 1), (19, 1), (20, 2), (55, 5), (100, 10)] {
        let mut after = 0;
        while after < 30 {
            let Tail::Rows(piece) = store.read("d", after, max_bytes).await.unwrap() else {
                panic!("nothing is trimmed")
            };
            assert_eq!(piece.len() as u64, count.min(30 - after), "after {after}, at most {max_bytes} bytes");
            for (expected, (position, bytes)) in (after + 1..).zip(&piece) {
                assert_eq!((*position, bytes), (expected, &ten(expected)));
            }
            after += piece.len() as u64;
        }
    }
}

async fn a_snapshot_stands_for_the_rows_below_it(mut lab: impl Lab) {
    let store = lab.open(1);
    store.append("d", 1, rows(1..=4)).await.unwrap();
    store.append("d", 5, rows(5..=8)).await.unwrap();
    store.snapshot("d", 4, row("four")).await.unwrap();
    let recovered = store.recover("d").await.unwrap();
    assert_eq!(recovered.snapshot, Some(Snapshot { upto: 4, bytes: row("four") }));
    assert_eq!((recovered.rows, recovered.head), (placed(5..=8), 8));
    assert_eq!(store.read("d", 3, 100).await, Ok(Tail::Trimmed { floor: 4 }));
    assert_eq!(store.read("d", 4, 100).await, Ok(Tail::Rows(placed(5..=8))));

    store.snapshot("d", 8, row("eight")).await.unwrap();
    let info = store.documents().await.unwrap().remove(0);
    assert_eq!((info.head, info.floor, info.log_bytes, info.snapshot_bytes), (8, 8, 0, 5));
    store.append("d", 9, rows(9..=9)).await.unwrap();
    drop(store);

    let store = lab.open(2);
    let recovered = store.recover("d").await.unwrap();
    assert_eq!(recovered.snapshot, Some(Snapshot { upto: 8, bytes: row("eight") }));
    assert_eq!((recovered.rows, recovered.head), (placed(9..=9), 9));
    assert_eq!(store.read("d", 0, 100).await, Ok(Tail::Trimmed { floor: 8 }));
}

async fn a_snapshot_outside_of_the_log_is_refused(mut lab: impl Lab) {
    let store = lab.open(1);
    let refusal = |document: &str, upto, floor, head| {
        Err(StoreError::SnapshotOutside { document: document.into(), upto, floor, head })
    };
    assert_eq!(store.snapshot("d", 0, row("x")).await, refusal("d", 0, 0, 0));
    store.append("d", 1, rows(1..=4)).await.unwrap();
    assert_eq!(store.snapshot("d", 5, row("x")).await, refusal("d", 5, 0, 4));
    assert_eq!(store.snapshot("d", 0, row("x")).await, refusal("d", 0, 0, 4));
    store.snapshot("d", 3, row("three")).await.unwrap();
    assert_eq!(store.snapshot("d", 2, row("x")).await, refusal("d", 2, 3, 4));
    store.snapshot("d", 3, row("three again")).await.unwrap();
    let recovered = store.recover("d").await.unwrap();
    assert_eq!(recovered.snapshot, Some(Snapshot { upto: 3, bytes: row("three again") }));
    assert_eq!(recovered.rows, placed(4..=4));
}

async fn a_snapshot_may_cut_through_what_was_appended_together(mut lab: impl Lab) {
    let store = lab.open(1);
    store.append("d", 1, rows(1..=2)).await.unwrap();
    store.append("d", 3, rows(3..=9)).await.unwrap();
    for upto in 1..=9 {
        store.snapshot("d", upto, row(upto)).await.unwrap();
        let recovered = store.recover("d").await.unwrap();
        assert_eq!((recovered.rows, recovered.head), (placed(upto + 1..=9), 9));
        assert_eq!(store.read("d", upto, 1).await, Ok(Tail::Rows(placed(upto + 1..=9.min(upto + 1)))));
    }
    store.append("d", 10, rows(10..=10)).await.unwrap();
    assert_eq!(store.recover("d").await.unwrap().rows, placed(10..=10));
}

async fn big_rows_come_back(mut lab: impl Lab) {
    let store = lab.open(1);
    let big = Bytes::from(vec![42; 17 << 20]);
    store.append("d", 1, vec![row(1), big.clone(), row(3)]).await.unwrap();
    store.snapshot("other", 1, big.clone()).await.unwrap_err();
    store.append("other", 1, rows(1..=1)).await.unwrap();
    store.snapshot("other", 1, big.clone()).await.unwrap();
    drop(store);

    let store = lab.open(2);
    assert_eq!(store.recover("d").await.unwrap().rows, [(1, row(1)), (2, big.clone()), (3, row(3))]);
    assert_eq!(store.read("d", 1, 10).await, Ok(Tail::Rows(vec![(2, big.clone())])));
    assert_eq!(store.recover("other").await.unwrap().snapshot, Some(Snapshot { upto: 1, bytes: big }));
}

async fn documents_are_apart(mut lab: impl Lab) {
    let store = lab.open(1);
    let name = |number: u64| format!("todo/{number:03} ünï\u{0}'\"");
    for number in 1..=200 {
        store.append(&name(number), 1, vec![row(number)]).await.unwrap();
    }
    let listed: Vec<String> = store.documents().await.unwrap().iter().map(|info| info.name.to_string()).collect();
    assert_eq!(listed, (1..=200).map(name).collect::<Vec<_>>());
    drop(store);

    let store = lab.open(2);
    for number in 1..=200 {
        assert_eq!(store.recover(&name(number)).await.unwrap().rows, [(1, row(number))]);
    }
}

async fn concurrent_appends_are_all_kept_in_order(mut lab: impl Lab) {
    const DOCUMENTS: u64 = 20;
    const APPENDS: u64 = 25;
    let store = Arc::new(lab.open(1));
    let tasks = (0..DOCUMENTS).map(|document| {
        let store = Arc::clone(&store);
        tokio::spawn(async move {
            for position in 1..=APPENDS {
                store.append(&document.to_string(), position, rows(position..=position)).await.unwrap();
                // What is acknowledged is there for whoever looks next.
                let Ok(Tail::Rows(seen)) = store.read(&document.to_string(), position - 1, 100).await else {
                    panic!("nothing is trimmed")
                };
                assert_eq!(seen, placed(position..=position));
            }
        })
    });
    for finished in join_all(tasks).await {
        finished.unwrap();
    }
    drop(Arc::into_inner(store).unwrap());

    let store = lab.open(2);
    for document in 0..DOCUMENTS {
        assert_eq!(store.recover(&document.to_string()).await.unwrap().rows, placed(1..=APPENDS));
    }
}

async fn calls_take_effect_in_the_order_they_were_made(mut lab: impl Lab) {
    let store = lab.open(1);
    // None of these is polled before all are made, and most are never polled.
    let first = store.append("d", 1, rows(1..=2));
    drop(store.append("d", 3, rows(3..=4)));
    drop(store.snapshot("d", 3, row("three")));
    let last = store.append("d", 5, rows(5..=5));
    let recovered = store.recover("d").await.unwrap();
    assert_eq!(recovered.snapshot, Some(Snapshot { upto: 3, bytes: row("three") }));
    assert_eq!(recovered.rows, placed(4..=5));
    last.await.unwrap();
    first.await.unwrap();
}

async fn cur_1_every_start_extends_the_epochs_of_what_it_touches(mut lab: impl Lab) {
    let epoch = |id, first_position| Epoch { id, first_position };
    let store = lab.open(u64::MAX);
    store.append("d", 1, rows(1..=3)).await.unwrap();
    store.append("untouched", 1, rows(1..=3)).await.unwrap();
    assert_eq!(store.recover("d").await.unwrap().epochs, [epoch(u64::MAX, 1)]);
    drop(store);

    // Durable before the recovery returns, although nothing is written in this epoch.
    let store = lab.open(2);
    assert_eq!(store.recover("d").await.unwrap().epochs, [epoch(u64::MAX, 1), epoch(2, 4)]);
    drop(store);

    let store = lab.open(3);
    store.append("d", 4, rows(4..=4)).await.unwrap();
    store.append("d", 5, rows(5..=5)).await.unwrap();
    let expected = [epoch(u64::MAX, 1), epoch(2, 4), epoch(3, 4)];
    assert_eq!(store.recover("d").await.unwrap().epochs, expected);
    assert_eq!(store.recover("d").await.unwrap().epochs, expected);
    drop(store);

    assert_eq!(lab.open(4).recover("untouched").await.unwrap().epochs, [epoch(u64::MAX, 1), epoch(4, 4)]);
}

async fn cur_1_the_list_of_epochs_is_bounded(mut lab: impl Lab) {
    let last = MAX_EPOCHS as u64 + 5;
    for start in 1..=last {
        let store = lab.open(start);
        store.append("d", start, rows(start..=start)).await.unwrap();
    }
    let epochs = lab.open(last).recover("d").await.unwrap().epochs;
    let expected: Vec<Epoch> = (6..=last).map(|id| Epoch { id, first_position: id }).collect();
    assert_eq!(epochs, expected);
}

async fn a_deleted_document_starts_anew(mut lab: impl Lab) {
    let store = lab.open(1);
    store.append("d", 1, rows(1..=4)).await.unwrap();
    store.append("kept", 1, rows(1..=4)).await.unwrap();
    store.snapshot("d", 2, row("two")).await.unwrap();
    assert_eq!(store.delete("d").await, Ok(true));
    assert_eq!(store.delete("d").await, Ok(false));
    assert_eq!(store.recover("d").await.unwrap().head, 0);
    store.append("d", 1, rows(1..=1)).await.unwrap();
    assert_eq!(store.recover("d").await.unwrap().rows, placed(1..=1));
    assert_eq!(store.recover("kept").await.unwrap().rows, placed(1..=4));
}

async fn a_closed_store_says_so(mut lab: impl Lab) {
    let store = lab.open(1);
    let waiting = store.append("d", 1, rows(1..=4));
    store.close().await.unwrap();
    waiting.await.unwrap();
    assert_eq!(store.append("d", 5, rows(5..=5)).await, Err(StoreError::Closed));
    assert_eq!(store.read("d", 0, 100).await, Err(StoreError::Closed));
    assert_eq!(store.recover("d").await, Err(StoreError::Closed));
    drop(store);
    assert_eq!(lab.open(2).recover("d").await.unwrap().rows, placed(1..=4));
}
