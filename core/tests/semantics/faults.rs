//! That these tests notice what they are for: each named fault makes one of them fail.

use weftline::testing::{Fault, with_fault};

use crate::{counters, maps};

#[track_caller]
fn noticed(fault: Fault, test: fn()) {
    let outcome = std::panic::catch_unwind(|| with_fault(Some(fault), test));
    assert!(outcome.is_err(), "{fault:?} is not noticed");
}

#[test]
fn a_put_into_the_lowest_incarnation_only_is_noticed() {
    noticed(Fault::PutIntoLowestOnly, maps::a_put_is_written_into_every_incarnation_that_holds_the_key);
}

#[test]
fn a_total_that_moves_between_incarnations_is_noticed() {
    noticed(Fault::CounterMovesTotals, counters::a_total_stays_in_the_incarnation_it_was_made_in);
}
