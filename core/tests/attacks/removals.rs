//! Who removes what it has not seen, or says that something was removed.
//!
//! | attack | what stops it | what honest replicas see |
//! |---|---|---|
//! | a delta that removes, or writes under, what its sender never saw | readiness is checked (CAUSAL-2): it waits until all that it names is here | the same everywhere, in whatever order things come |
//! | a diff that says that something was removed | nothing but trust in whoever makes diffs; a relay takes none from whoever may only read | unequal beacons at equal versions; other replicas are not touched |
//! | a member that removes everything | nothing: that is what members may do | everything removed, at all alike; what came concurrently stays |

use weftline::testing::dump;
use weftline::{Commit, Container, Delta, Document, EditError, Hlc, Outcome, ReplicaId, Tag, Timestamp};

use super::common::{edit, writer};
use super::strangers::{assert_same, put, sent, with_entry};

#[test]
fn causal_2_what_names_something_that_is_not_known_waits_for_it() {
    let mut maker = Document::with_writer(ReplicaId::from(8));
    let commit: Result<Commit<()>, EditError> = maker.transact(Timestamp(1), |tx| tx.map("r")?.map("k").map(drop));
    let made = commit.expect("the edit is possible").delta.expect("an edit");
    let below = with_entry(put(Container::Entity(made.dot()), "x", 1), Hlc(5));
    let removal = {
        let mut parts = below.parts().into_owned();
        parts.adds.clear();
        parts.removes.insert(made.dot());
        Delta::seal(parts, Tag::start(ReplicaId::from(9)))
    };
    // Neither says that it depends on what it names: that it does is found out.
    for delta in [&below, &removal] {
        let mut document = Document::new();
        assert_eq!(document.apply(delta).expect("it waits").outcome, Outcome::Parked);
        assert_eq!(document.apply(&made).expect("it applies").outcome, Outcome::Applied);
        let mut in_order = Document::new();
        for delta in [&made, delta] {
            assert_eq!(in_order.apply(delta).expect("it applies").outcome, Outcome::Applied);
        }
        assert_eq!((document.version(), document.beacon()), (in_order.version(), in_order.beacon()));
        assert_eq!(dump(&document), dump(&in_order));
    }
}

#[test]
fn a_false_removal_in_a_diff_harms_whoever_believes_it_and_shows() {
    let mut maker = writer(1);
    let (mut fooled, mut careful) = (writer(2), writer(3));
    let first = edit(&mut maker, 1, |tx| (0..10).try_for_each(|number| tx.set("r")?.add(number)));
    fooled.apply(&first).expect("it applies");
    careful.apply(&first).expect("it applies");
    let next = edit(&mut maker, 2, |tx| tx.set("r")?.add(10));
    let mut lie = maker.diff_since(&fooled.version());
    let removed = (1..=10).map(|seq| weftline::Dot::new(ReplicaId::from(1), seq)).collect();
    lie.removes = [(ReplicaId::from(1), removed)].into();
    fooled.apply_diff(&sent(&lie)).expect("nothing tells it from a real one");
    careful.apply(&next).expect("it applies");
    assert_eq!((fooled.set("r").len(), careful.set("r").len()), (1, 11));
    assert_eq!(fooled.version_hash(), careful.version_hash());
    assert_ne!(fooled.beacon(), careful.beacon(), "whoever compares finds out");
    assert_same(&careful, &maker);
}

#[test]
fn a_member_that_removes_everything_removes_what_it_has_seen() {
    let mut honest = writer(1);
    let first = edit(&mut honest, 1, |tx| tx.map("r")?.put("old", 1));
    let mut vandal = writer(9);
    vandal.apply(&first).expect("it applies");
    let clear = edit(&mut vandal, 2, |tx| tx.map("r")?.clear());
    let meanwhile = edit(&mut honest, 2, |tx| tx.map("r")?.put("new", 2));
    honest.apply(&clear).expect("it applies");
    vandal.apply(&meanwhile).expect("it applies");
    assert_same(&honest, &vandal);
    assert_eq!(honest.map("r").keys().collect::<Vec<_>>(), ["new"]);
}
