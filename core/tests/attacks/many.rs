//! Ids without number, keys that crowd a table, clocks that run ahead.
//!
//! | attack | bound | what honest replicas see |
//! |---|---|---|
//! | a new replica for every delta | `MAX_REPLICAS`, some hundred bytes each; a relay takes far fewer, and few from each client | a longer version vector |
//! | keys whose hashes are equal | tables are keyed with bits that nobody knows; no order depends on them | nothing |
//! | stamps of the far future | they break ties only; nobody takes a clock over that is more than a minute ahead | such a write wins against those that did not see it, and loses against the next that did |

use weftline::testing::dump;
use weftline::{Document, Few, Hlc, HlcClock, Kind, ReplicaId, Timestamp, VersionVector, codec};

use super::allocations::{live, peak_of};
use super::common::{edit, writer};
use super::strangers::{assert_same, nothing, put, root, sealed};

#[test]
fn a_replica_for_every_delta_costs_its_share_and_no_more() {
    const IDS: u128 = 5_000;
    let deltas: Vec<_> = (0..IDS)
        .map(|id| {
            let (mut parts, before) = nothing(&Document::new(), ReplicaId::from((id << 64) | 7));
            parts.adds = Few::one((1, put(root(Kind::MAP), "k", 1)));
            sealed(parts, before).expect("the bytes keep the rules")
        })
        .collect();
    let mut document = writer(1);
    let held = live();
    let peak = peak_of(|| deltas.iter().for_each(|delta| drop(document.apply(delta).expect("it applies"))));
    let each = (live() - held) as usize / IDS as usize;
    assert!(each < 1024 && peak / (IDS as usize) < 2048, "{each} bytes a replica, {peak} at most");
    // One write that has seen them takes them all away; what stays is who they were.
    let cleaning = edit(&mut document, 9, |tx| tx.map("r")?.put("k", 2));
    assert_eq!(document.live_count(), 1);
    assert!(document.snapshot().len() < 40 * IDS as usize, "{} bytes", document.snapshot().len());
    assert!(codec::encode_version(&document.version()).len() < 32 * IDS as usize);
    drop(cleaning);
    let mut other = Document::new();
    other.apply_diff(&document.diff_since(&VersionVector::new())).expect("it applies");
    assert_same(&document, &other);
}

/// What is random in memory shows nowhere: no order, no byte.
#[test]
fn the_seed_of_the_tables_shows_nowhere() {
    let mut maker = writer(1);
    for nth in 0..40 {
        _ = edit(&mut maker, nth, |tx| {
            tx.map("r")?.put(&format!("key {}", nth * 7919 % 40), nth as i64)?;
            tx.set("s")?.add(nth as i64 * 7919 % 40)
        });
    }
    let shown = |seed: u128| {
        let mut document = Document::load(&maker.snapshot()).expect("what was saved loads");
        document.seed_hashes(seed);
        let keys: Vec<String> = document.map("r").keys().map(String::from).collect();
        let members: Vec<_> = document.set("s").iter().cloned().collect();
        let diff = codec::encode_diff(&document.diff_since(&VersionVector::new()));
        (keys, members, diff, document.snapshot(), document.beacon(), dump(&document))
    };
    assert!([1, 2, u128::MAX].iter().all(|seed| shown(*seed) == shown(0)));
}

#[test]
fn a_stamp_of_the_far_future_wins_until_it_is_seen_and_does_not_spread() {
    let now = 1_700_000_000_000;
    let stamp = Hlc(u64::MAX);
    let mut honest = writer(1);
    honest.observe_time(Timestamp(now));
    let meanwhile = edit(&mut honest, now, |tx| tx.map("r")?.put("k", "honest"));
    let (mut parts, before) = nothing(&Document::new(), ReplicaId::from(9));
    (parts.hlc, parts.adds) = (stamp, Few::one((1, put(root(Kind::MAP), "k", "future"))));
    let future = sealed(parts, before).expect("the bytes keep the rules");
    honest.apply(&future).expect("no stamp is refused");
    let mut other = Document::new();
    for delta in [&future, &meanwhile] {
        other.apply(delta).expect("it applies");
    }
    assert_same(&honest, &other);
    assert_eq!(honest.map("r").get_as::<&str>("k"), Some("future"));
    // Whoever has seen it overwrites it, whatever the clocks say, and has its own clock still.
    let after = edit(&mut honest, now + 1, |tx| tx.map("r")?.put("k", "later"));
    let written = after.parts().hlc;
    assert!(written < stamp && written.millis() <= now + 1 + HlcClock::MAX_DRIFT_MS, "{}", written.millis());
    other.apply(&after).expect("it applies");
    assert_same(&honest, &other);
    assert_eq!(other.map("r").get_as::<&str>("k"), Some("later"));
    // Nor does it come back by way of the disk, or of a diff.
    let mut third = Document::load(&honest.snapshot()).expect("what was saved loads");
    third.set_writer(Some(ReplicaId::from(3))).expect("no transaction is open");
    let again = edit(&mut third, now + 2, |tx| tx.map("r")?.put("k", "third"));
    assert!(again.parts().hlc.millis() <= now + 2 + HlcClock::MAX_DRIFT_MS);
}
