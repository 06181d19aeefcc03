//! False removals by a false digest: whoever says that it has what it has not, or lacks what it has, is told by that.
//!
//! Bound: DIFF-1. An answer applies only where all is covered that the digest covers; making it changes nothing.

use weftline::testing::dump;
use weftline::{
    ApplyError, Commit, Digest, Document, Dot, DotRuns, EditError, ReplicaId, Tag, Tier, Timestamp, Value,
    VersionEntry, codec,
};

use super::strangers::still_works;

/// Three replicas at one version, and a fourth that has gone on: it removed something and forgot how.
fn apart() -> (Document, Document, Document) {
    let mut maker = Document::with_writer(ReplicaId::from(1));
    let fill: Result<Commit<()>, EditError> =
        maker.transact(Timestamp(1), |tx| (0..20).try_for_each(|number| tx.set("s")?.add(number)));
    let mut asker = Document::with_writer(ReplicaId::from(2));
    asker.apply(&fill.expect("it can be edited").delta.expect("an edit")).expect("it applies");
    let other = asker.clone();
    let remove: Result<Commit<()>, EditError> = maker.transact(Timestamp(2), |tx| {
        (0..10).try_for_each(|number| tx.set("s")?.remove(&Value::from(2 * number)).map(drop))
    });
    assert!(remove.expect("it can be edited").delta.is_some());
    maker.truncate_removals();
    (maker, asker, other)
}

#[test]
fn diff_5_a_digest_that_lies_harms_nobody_but_the_liar() {
    let (maker, liar, honest) = apart();
    let truth = liar.digest();
    let dot = |number: u128, seq| Dot::new(ReplicaId::from(number), seq);
    let mut version = truth.version.clone();
    version.set(ReplicaId::from(7), VersionEntry { seq: 1 << 40, tag: Tag::start(ReplicaId::from(7)) });
    version.set(ReplicaId::from(1), VersionEntry { seq: 1 << 40, tag: Tag::start(ReplicaId::from(1)) });
    let mut everything = DotRuns::new();
    everything.insert_run(ReplicaId::from(1), 1, 1 << 40);
    everything.insert_run(ReplicaId::from(7), 1, 1 << 40);
    let lies = [
        // It has nothing, a part, more than there is; it knows what nobody wrote.
        Digest { version: truth.version.clone(), live: DotRuns::new() },
        Digest { version: truth.version.clone(), live: DotRuns::from_iter([dot(1, 1), dot(1, 19)]) },
        Digest { version: version.clone(), live: everything.clone() },
        Digest { version, live: DotRuns::new() },
    ];
    let before = (maker.version(), maker.beacon(), maker.snapshot());
    for lie in lies {
        let lie = codec::decode_digest(&codec::encode_digest(&lie)).expect("it keeps the rules of its bytes");
        let answer = maker.diff_for(&lie);
        let answer = codec::decode_diff(&codec::encode_diff(&answer)).expect("whatever it is, it can be written");
        assert_eq!((maker.version(), maker.beacon(), maker.snapshot()), before, "an answer changes nothing here");
        // It is for the liar, and refused or wrong there; whoever asks honestly is told the truth.
        let mut fooled = liar.clone();
        _ = fooled.apply_diff(&answer);
        still_works(fooled);
        let mut other = honest.clone();
        other.apply_diff(&maker.diff_for(&other.digest())).expect("it applies");
        assert_eq!((other.version(), other.beacon()), (maker.version(), maker.beacon()));
    }
    // A claim beyond what there is costs no more than what there is.
    assert!(maker.diff_for(&Digest { live: everything, ..truth }).dead.run_count() <= 20);
}

#[test]
fn diff_1_a_digest_that_is_out_of_date_does_no_damage() {
    let (mut maker, mut asker, _) = apart();
    let digest = asker.digest();
    // Since then the asker has removed and added.
    let edit: Result<Commit<()>, EditError> = asker.transact(Timestamp(3), |tx| {
        let mut set = tx.set("s")?;
        set.remove(&Value::from(0))?;
        set.remove(&Value::from(1))?;
        set.add(100)
    });
    let edit = edit.expect("it can be edited").delta.expect("an edit");
    let answer = maker.diff_for(&digest);
    assert_eq!((answer.tier, answer.dead.dot_count()), (Tier::Digest, 10));
    asker.apply_diff(&answer).expect("whoever went on still covers the digest");
    maker.apply(&edit).expect("it applies");
    assert_eq!((asker.beacon(), dump(&asker)), (maker.beacon(), dump(&maker)));
}

#[test]
fn diff_1_an_answer_is_refused_by_whoever_does_not_cover_the_digest() {
    let (maker, mut asker, bystander) = apart();
    // Both know a remover of one dot, each another one. The asker does not name the dot, so the answer does not tell of it.
    let remove: Result<Commit<()>, EditError> =
        asker.transact(Timestamp(3), |tx| tx.set("s")?.remove(&Value::from(4)).map(drop));
    assert!(remove.expect("it can be edited").delta.is_some());
    let answer = maker.diff_for(&asker.digest());
    assert_eq!((answer.tier, answer.dead.dot_count()), (Tier::Digest, 9));
    // Somebody to whom the dot still lives would keep it for ever.
    assert!(bystander.set("s").contains(&Value::from(4)));
    assert!(bystander.version().dominates(&answer.base) && !bystander.version().dominates(&answer.ahead));
    let refused = bystander.clone().apply_diff(&answer);
    assert!(matches!(refused, Err(ApplyError::BaseNotCovered { replica, .. }) if replica == ReplicaId::from(2)));
    asker.apply_diff(&answer).expect("it applies to the asker");
    assert_eq!(asker.set("s").len(), 10);
}
