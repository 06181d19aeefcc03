//! Deltas whose dependencies never come.
//!
//! Bound: `MAX_PARKED_DELTAS` and `MAX_PARKED_BYTES`, for each document; beyond them a delta is refused. A relay parks nothing. Honest
//! replicas see their own deltas applied as before; what was refused comes by a diff, if it was worth anything.

use weftline::codec::limits::{MAX_PARKED_BYTES, MAX_PARKED_DELTAS};
use weftline::{ApplyError, Delta, Document, Dot, Few, Kind, Outcome, ReplicaId};

use super::allocations::{live, peak_of};
use super::common::{edit, writer};
use super::strangers::{assert_same, nothing, put, root, sealed};

/// A delta of a replica of its own that names what nobody ever wrote.
fn never_ready(nth: u128, value: &str) -> Delta {
    let replica = ReplicaId::from(1_000_000 + nth);
    let (mut parts, before) = nothing(&Document::new(), replica);
    parts.deps = Few::one(Dot::new(ReplicaId::from(999), 1));
    parts.adds = Few::one((1, put(root(Kind::MAP), "k", value)));
    sealed(parts, before).expect("the bytes keep the rules")
}

#[test]
fn causal_2_what_waits_for_ever_is_bounded_and_holds_up_nobody() {
    for (len, many) in [(10, 4 * MAX_PARKED_DELTAS), (100_000, 40)] {
        let value = "x".repeat(len);
        let mut document = Document::new();
        let held = live();
        let (mut parked, mut bytes) = (0, 0);
        let peak = peak_of(|| {
            for nth in 0..many {
                let delta = never_ready(nth as u128, &value);
                let size = delta.bytes().len();
                match document.apply(&delta) {
                    Ok(applied) => {
                        assert_eq!(applied.outcome, Outcome::Parked);
                        (parked, bytes) = (parked + 1, bytes + size);
                    }
                    Err(error) => assert!(matches!(error, ApplyError::TooMuchParked { .. }), "{error}"),
                }
            }
        });
        assert!(parked < many, "not all of them were taken");
        assert!(parked <= MAX_PARKED_DELTAS && bytes <= MAX_PARKED_BYTES, "{parked} deltas, {bytes} bytes");
        // A delta is held as bytes and as what they say.
        let most = 4 * MAX_PARKED_BYTES + 1024 * MAX_PARKED_DELTAS;
        assert!(peak < most && live() - held < most as isize, "{peak} bytes, {} stay", live() - held);

        let mut honest = writer(1);
        for nth in 0..20 {
            let delta = edit(&mut honest, nth, |tx| tx.map("r")?.put("k", nth as i64));
            assert_eq!(document.apply(&delta).expect("it applies").outcome, Outcome::Applied);
        }
        assert_same(&document, &honest);
        // Nothing that waits is at rest, or told to others.
        assert_eq!(Document::load(&document.snapshot()).expect("what was saved loads").parked(), 0);
    }
}

/// The same again and again is one.
#[test]
fn what_waits_waits_once() {
    let delta = never_ready(1, "x");
    let mut document = Document::new();
    for _ in 0..10 {
        assert_eq!(document.apply(&delta).expect("it waits").outcome, Outcome::Parked);
    }
    assert_eq!(document.parked(), 1);
}
