//! Lists and texts under a key that several replicas created at once: one sequence, of which each part dies with its own creation.

use weftline::{Commit, Delta, Document, Dot, EditError, MapMut, ReplicaId, Timestamp};

fn edit(document: &mut Document, story: impl FnOnce(&mut MapMut<'_, '_>) -> Result<(), EditError>) -> Delta {
    let commit: Result<Commit<()>, EditError> = document.transact(Timestamp(1), |tx| story(&mut tx.map("m")?));
    commit.expect("the edit is possible").delta.expect("something was edited")
}

fn written_by(document: &Document, id: u128) -> Document {
    let mut copy = document.clone();
    copy.set_writer(Some(ReplicaId::from(id))).expect("no transaction is open");
    copy
}

/// Of each creation a document that knows it alone, and one that knows all.
fn created(
    ids: &[u128],
    create: impl Fn(&mut MapMut<'_, '_>, u128) -> Result<(), EditError>,
) -> (Vec<Document>, Document) {
    let mut all = Document::new();
    let makers: Vec<Document> = ids
        .iter()
        .map(|id| {
            let mut maker = Document::with_writer(ReplicaId::from(*id));
            all.apply(&edit(&mut maker, |map| create(map, *id))).expect("it applies");
            maker
        })
        .collect();
    (makers, all)
}

/// As it is after a saved document is loaded, and a diff of everything is taken in.
fn by_every_way(document: &Document) -> [Document; 3] {
    let loaded = Document::load(&document.snapshot()).expect("what was saved loads");
    let mut joined = Document::new();
    joined.apply_diff(&document.diff_since(&joined.version())).expect("it applies");
    [document.clone(), loaded, joined]
}

#[test]
fn ent_1_text_between_two_incarnations_lives_and_dies_with_the_one_before_it() {
    let (makers, all) = created(&[1, 2, 3], |map, id| map.text("t")?.push(["", "aaa", "bbb", "ccc"][id as usize]));
    let shown = all.map("m").text("t").to_string();
    assert_eq!(shown.len(), 9);
    for word in ["aaa", "bbb", "ccc"] {
        assert!(shown.contains(word), "{shown} is one word after the other");
    }
    for gap in 0..=shown.len() {
        let mut guest = written_by(&all, 9);
        // Two letters one after the other, and one before them: into one's own bunch, to both sides.
        let deltas = [(gap, "X"), (gap + 1, "Y"), (gap, "Z")]
            .map(|(at, new)| edit(&mut guest, |map| map.text("t")?.insert(at, new)));
        let mut expected = shown.clone();
        expected.insert_str(gap, "ZXY");
        assert_eq!(guest.map("m").text("t"), expected.as_str());
        let neighbour = shown.chars().nth(gap.saturating_sub(1)).expect("there is text");
        for (maker, letter) in makers.iter().zip("abc".chars()) {
            let mut remover = maker.clone();
            let removal = edit(&mut remover, |map| map.remove("t").map(drop));
            let left: String = expected
                .chars()
                .filter(|one| *one != letter && !("XYZ".contains(*one) && neighbour == letter))
                .collect();
            let mut later = guest.clone();
            later.apply(&removal).expect("it applies");
            // Whoever hears of the removal first drops what comes too late, in whatever order.
            let mut earlier = all.clone();
            earlier.apply(&removal).expect("it applies");
            for delta in deltas.iter().rev() {
                earlier.apply(delta).expect("it applies");
            }
            assert_eq!((later.version(), later.beacon()), (earlier.version(), earlier.beacon()));
            for document in [later, earlier].iter().flat_map(by_every_way) {
                assert_eq!(document.map("m").text("t"), left.as_str(), "{expected} without {letter}");
                assert_eq!(document.live_count(), left.len() + 2, "the rest, and two creations");
            }
        }
    }
}

#[test]
fn ent_1_elements_between_two_incarnations_live_and_die_with_the_one_before_them() {
    let (makers, all) = created(&[1, 2], |map, id| {
        let mut list = map.list("l")?;
        (0..3).try_for_each(|nth| list.push(10 * id as i64 + nth).map(drop))
    });
    let read = |document: &Document| -> Vec<i64> {
        let map = document.map("m");
        let list = map.list("l");
        (0..list.len()).filter_map(|at| list.get_as(at)).collect()
    };
    let shown = read(&all);
    assert!(shown == [10, 11, 12, 20, 21, 22] || shown == [20, 21, 22, 10, 11, 12], "{shown:?}");
    for gap in 0..=shown.len() {
        let mut guest = written_by(&all, 9);
        let deltas = [(gap, 90), (gap + 1, 91), (gap, 92)]
            .map(|(at, new)| edit(&mut guest, |map| map.list("l")?.insert(at, new).map(drop)));
        let mut expected = shown.clone();
        expected.splice(gap..gap, [92, 90, 91]);
        assert_eq!(read(&guest), expected);
        let neighbour = shown[gap.saturating_sub(1)] / 10;
        for (maker, of) in makers.iter().zip([1, 2]) {
            let removal = edit(&mut maker.clone(), |map| map.remove("l").map(drop));
            let stays = |one: &i64| one / 10 != of && !(one / 10 == 9 && neighbour == of);
            let left: Vec<i64> = expected.iter().copied().filter(stays).collect();
            let mut later = guest.clone();
            later.apply(&removal).expect("it applies");
            let mut earlier = all.clone();
            for delta in [&removal].into_iter().chain(deltas.iter().rev()) {
                earlier.apply(delta).expect("it applies");
            }
            for document in [later, earlier].iter().flat_map(by_every_way) {
                assert_eq!(read(&document), left, "{expected:?} without {of}");
            }
        }
    }
}

#[test]
fn an_element_that_moves_between_incarnations_stays_an_element_of_its_own() {
    let (makers, all) = created(&[1, 2], |map, id| map.list("l")?.push(id as i64).map(drop));
    for mover in [9, 1, 2] {
        let mut guest = written_by(&all, mover);
        let ids: Vec<Dot> = guest.map("m").list("l").ids().collect();
        edit(&mut guest, |map| map.list("l")?.move_to(ids[0], 1));
        for (maker, of) in makers.iter().zip([1, 2]) {
            let removal = edit(&mut written_by(maker, 7), |map| map.remove("l").map(drop));
            let mut document = guest.clone();
            document.apply(&removal).expect("it applies");
            for document in by_every_way(&document) {
                let map = document.map("m");
                assert_eq!((map.list("l").len(), map.list("l").get_as::<i64>(0)), (1, Some(3 - of)));
            }
        }
    }
}
