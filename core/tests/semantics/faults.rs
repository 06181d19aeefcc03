//! That these tests notice what they are for: each named fault makes one of them fail.

use weftline::testing::{Fault, with_fault};

use crate::{counters, maps, policies};

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

#[test]
fn mistakes_in_the_policies_are_noticed() {
    noticed(Fault::ExtremeByStamp, policies::the_greater_of_two_concurrent_raises_is_read_whatever_the_clocks_say);
    noticed(Fault::MarksIgnored, policies::disabling_wins_over_enabling);
    noticed(Fault::DisableLeavesNoMark, policies::disabling_wins_over_enabling);
    noticed(Fault::RemoveLeavesNoMark, policies::removing_wins_over_adding);
    noticed(Fault::GrowOnlyAddsAgain, policies::a_grow_only_set_keeps_what_anybody_added_and_writes_it_once);
    noticed(Fault::RightsOfAll, policies::without_the_rights_nothing_is_changed_and_the_error_says_how_many_there_are);
    noticed(Fault::GivenRightsKept, policies::two_that_subtract_all_they_may_come_down_to_the_floor_and_no_further);
    noticed(
        Fault::RightsSpentAtOnce,
        policies::rights_of_several_incarnations_are_used_together_and_die_each_with_its_own,
    );
    noticed(Fault::FloorsAdd, policies::the_floor_is_said_at_creation_counts_once_and_the_greatest_of_several_counts);
}
