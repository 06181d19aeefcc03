//! What positions hang on: dropped when nothing needs it, asked for when something does, and never deep where that can be helped.

use std::collections::BTreeMap;

use weftline::{
    Bias, BunchRecord, Commit, Cursor, Delta, Document, Dot, EditError, Outcome, ReplicaId, TextMut, Tier, Timestamp,
    VersionVector,
};

fn writer(id: u128) -> Document {
    Document::with_writer(ReplicaId::from(id))
}

fn edit(document: &mut Document, story: impl FnOnce(&mut TextMut<'_, '_>) -> Result<(), EditError>) -> Delta {
    let commit: Result<Commit<()>, EditError> = document.transact(Timestamp(1), |tx| story(&mut tx.text("t")?));
    commit.expect("the edit is possible").delta.expect("something was edited")
}

fn all_of(document: &Document) -> Vec<BunchRecord> {
    document.diff_since(&VersionVector::new()).bunches
}

#[test]
fn seq_5_what_is_typed_into_a_forgotten_range_waits_and_is_healed_by_a_diff() {
    let (mut a, mut b) = (writer(9), writer(5));
    let [first, second] = [("ab", 0), ("XY", 1)].map(|(new, at)| edit(&mut a, |text| text.insert(at, new)));
    for delta in [&first, &second] {
        b.apply(delta).expect("it applies");
    }
    // B types into what A deletes and forgets the place of.
    let inside = edit(&mut b, |text| text.insert(2, "new"));
    let _gone: Delta = edit(&mut a, |text| text.clear());
    a.truncate_removals();
    assert!(all_of(&a).is_empty());
    assert_eq!(a.apply(&inside).expect("it is kept").outcome, Outcome::Parked);
    assert!(a.text("t").is_empty(), "nothing is put in a guessed place");
    let diff = b.diff_since(&a.version());
    assert_eq!(diff.tier, Tier::Version);
    a.apply_diff(&diff).expect("it applies");
    assert_eq!((a.parked(), a.text("t").to_string()), (0, "new".to_string()));
    b.apply_diff(&a.diff_since(&b.version())).expect("it applies");
    assert_eq!(b.text("t"), "new");
    // SEQ-3: the whole chain came, and stays as long as it is needed.
    assert_eq!(all_of(&a).len(), all_of(&b).len());
    let _gone: Delta = edit(&mut b, |text| text.clear());
    b.truncate_removals();
    assert!(all_of(&b).is_empty());
}

#[test]
fn seq_6_dead_places_are_kept_while_somebody_may_type_beside_them() {
    let (mut a, mut b) = (writer(9), writer(5));
    let mut deltas = vec![edit(&mut a, |text| text.push("one"))];
    b.apply(&deltas[0]).expect("it applies");
    let late = edit(&mut b, |text| text.insert(3, " two"));
    deltas.push(edit(&mut a, |text| text.clear()));
    // As the log covers the removal, nothing has to be asked for; after a reload neither.
    let mut loaded = Document::load(&a.snapshot()).expect("what was saved loads");
    let mut told = writer(7);
    told.apply(&deltas[0]).expect("it applies");
    told.apply_diff(&a.diff_since(&told.version())).expect("it applies");
    for document in [&mut a, &mut loaded, &mut told] {
        assert_eq!(document.apply(&late).expect("it applies").outcome, Outcome::Applied);
        assert_eq!(document.text("t"), " two");
    }
}

#[test]
fn a_text_that_many_append_to_in_turn_stays_flat() {
    let mut writers = [writer(9), writer(5), writer(7)];
    let mut text = String::new();
    for turn in 0..600_usize {
        let at = if turn % 5 == 4 { 0 } else { text.len() };
        let letter = char::from(b'a' + (turn % 26) as u8);
        let delta = edit(&mut writers[turn % 3], |text| text.insert(at, letter.encode_utf8(&mut [0; 4])));
        for document in &mut writers {
            document.apply(&delta).expect("it applies");
        }
        text.insert(at, letter);
    }
    let bunches: BTreeMap<Dot, BunchRecord> = all_of(&writers[0]).into_iter().map(|bunch| (bunch.id, bunch)).collect();
    let depth = |mut at: Dot| {
        let mut depth = 0;
        while let Some(bunch) = bunches.get(&at) {
            (at, depth) = (bunch.parent.bunch, depth + 1);
        }
        depth
    };
    let deepest = bunches.keys().map(|id| depth(*id)).max();
    assert!(bunches.len() > 500 && deepest <= Some(65), "{} bunches, {deepest:?} deep", bunches.len());
    for document in &writers {
        assert_eq!(document.text("t"), text.as_str());
        let loaded = Document::load(&document.snapshot()).expect("what was saved loads");
        assert_eq!(loaded.text("t"), text.as_str());
    }
}

#[test]
fn seq_6_a_cursor_outlives_the_places_that_were_forgotten() {
    let (mut a, mut b) = (writer(9), writer(5));
    let made = [("ac", 0), ("b", 1)].map(|(new, at)| edit(&mut a, |text| text.insert(at, new)));
    for delta in &made {
        b.apply(delta).expect("it applies");
    }
    let cursors: Vec<(Cursor, usize)> = (0..=3)
        .flat_map(|at| {
            [Bias::Left, Bias::Right].map(|bias| (b.text("t").cursor(at, bias).expect("within the text"), at))
        })
        .collect();
    for (cursor, at) in &cursors {
        assert_eq!(a.text("t").index_of(cursor), Some(*at));
    }
    // All goes but for what B types around it; A forgets that anything was there.
    let kept = [edit(&mut b, |text| text.insert(0, "<")), edit(&mut b, |text| text.push(">"))];
    for delta in &kept {
        a.apply(delta).expect("it applies");
    }
    let _gone: Delta = edit(&mut a, |text| text.delete(1..4));
    a.truncate_removals();
    let mut loaded = Document::load(&a.snapshot()).expect("what was saved loads");
    loaded.set_writer(Some(ReplicaId::from(3))).expect("no transaction is open");
    for (cursor, at) in &cursors {
        let stored = Cursor::from_bytes(&cursor.to_bytes()).expect("what was written is read");
        let expected = match (at, cursor.bias()) {
            (0, Bias::Left) => 0,
            (3, Bias::Right) => 2,
            _ => 1,
        };
        for document in [&a, &loaded] {
            assert_eq!(document.text("t").index_of(&stored), Some(expected), "{at} {:?}", cursor.bias());
        }
    }
}
