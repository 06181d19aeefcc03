//! A text is set as a whole, and only what differs is edited.

use weftline::{Bias, ChangeKind, Document, ReplicaId, TextStep, Timestamp};

use crate::group::Group;
use crate::steps::{delete, retain};

#[test]
fn only_what_differs_is_edited() {
    let mut document = Document::with_writer(ReplicaId::from(1));
    let set = |document: &mut Document, text: &str| {
        let commit = document.transact(Timestamp(1), |tx| tx.text("t")?.set_text(text)).expect("it fits");
        assert_eq!(document.text("t"), text);
        let steps = match commit.changes.list.first().map(|change| change.kind.clone()) {
            Some(ChangeKind::Text(steps)) => steps,
            _ => Vec::new(),
        };
        assert_eq!(commit.delta.is_some(), !steps.is_empty());
        steps
    };
    assert_eq!(set(&mut document, "buy milk"), [TextStep::Insert("buy milk".into())]);
    assert_eq!(set(&mut document, "buy milk"), []);
    let steps = set(&mut document, "buy fresh milk!");
    let insert = |text: &str| TextStep::Insert(text.into());
    assert_eq!(steps, [retain(4), insert("fresh "), retain(4), insert("!")]);
    assert_eq!(set(&mut document, "fresh milk"), [delete(4), retain(10), delete(1)]);
    // A letter and its accent are two characters; so are the parts of a family.
    set(&mut document, "e\u{301} 👩‍👩‍👧");
    let steps = set(&mut document, "e\u{300} 👩‍👩‍👦");
    assert_eq!(steps.iter().filter(|step| matches!(step, TextStep::Retain(_))).count(), 2);
    set(&mut document, "");
}

#[test]
fn what_others_typed_stays_beside_what_stays() {
    for seed in 0..40 {
        let mut group = Group::new(seed, 2);
        for _ in 0..40 {
            group.step();
        }
        group.settle();
        let shared: String = group.text(0).to_string();
        let len = group.text(0).len();
        let index = group.random.below(len + 1);
        let marks: Vec<_> = (0..=len).filter_map(|index| group.text(0).cursor(index, Bias::Right)).collect();
        // One replaces what is behind `index`, the other types somewhere.
        let typed = group.fresh(4);
        let kept: String = shared.chars().take(index).collect();
        let (tail, other) = (group.fresh(5), group.random.below(len + 1));
        let set = format!("{kept}{tail}");
        group.edit(0, |text| text.set_text(&set));
        group.edit(1, |text| text.insert(other, &typed));
        for cursor in &marks[..index] {
            let at = group.text(0).index_of(cursor).expect("it is known");
            assert_eq!(shared.chars().nth(at), group.text(0).chars().nth(at), "seed {seed}: what stays is not retyped");
        }
        group.settle();
        let merged = group.text(0).to_string();
        assert_eq!(merged, group.text(1).to_string());
        assert!(merged.contains(&typed) && merged.contains(&tail), "seed {seed}: {merged}");
        let without: String = merged.replace(&typed, "");
        assert_eq!(without, set, "seed {seed}");
    }
}
