//! Recorded editing, replayed by three replicas in turn that hear of each other at random: it ends in its own final text.
//!
//! The variable `WEFTLINE_TRACES` names a folder of recordings, unpacked: JSON with a final text `endContent` and transactions
//! `txns` of patches `[position, deleted, inserted]`, as in the public collection josephg/editing-traces. Those of several
//! authors at once are left out here. Without the folder a trace is drawn from a seed, and the test says so.

use std::path::Path;

use serde_json::Value;
use weftline::testing::Random;
use weftline::{Commit, Delta, Document, EditError, ReplicaId, Timestamp, codec};

/// At so many characters so many go, and this comes.
type Patch = (usize, usize, String);

struct Trace {
    name: String,
    begin: String,
    patches: Vec<Patch>,
    end: String,
}

fn recorded(path: &Path) -> Option<Trace> {
    let text = std::fs::read_to_string(path).expect("a recording can be read");
    let recording: Value = serde_json::from_str(&text).expect("a recording is JSON");
    let all = recording["txns"].as_array().expect("it has transactions");
    if all.iter().any(|one| one.get("parents").is_some()) {
        return None;
    }
    let number = |value: &Value| value.as_u64().and_then(|number| usize::try_from(number).ok()).expect("a number");
    let text = |value: &Value| value.as_str().expect("a text").to_string();
    let patches = all.iter().flat_map(|one| one["patches"].as_array().expect("it has patches"));
    let patches = patches.map(|patch| (number(&patch[0]), number(&patch[1]), text(&patch[2]))).collect();
    let begin = recording["startContent"].as_str().unwrap_or_default().to_string();
    Some(Trace { name: path.display().to_string(), begin, patches, end: text(&recording["endContent"]) })
}

/// Somebody who types words, takes back what was wrong, and jumps about.
fn synthetic(seed: u64) -> Trace {
    let mut random = Random::seeded(seed);
    let (mut text, mut at, mut patches): (Vec<char>, usize, Vec<Patch>) = (Vec::new(), 0, Vec::new());
    while patches.len() < 6000 {
        if random.one_in(12) {
            at = random.below(text.len() + 1);
        }
        for _ in 0..1 + random.below(9) {
            let new = *random.pick(&['e', 't', 'a', 'o', 'n', ' ', 'ä', '語', '🎈', '\n']);
            patches.push((at, 0, new.into()));
            text.insert(at, new);
            at += 1;
        }
        if random.one_in(3) {
            for _ in 0..random.below(6).min(at) {
                at -= 1;
                patches.push((at, 1, String::new()));
                text.remove(at);
            }
        }
        if random.one_in(40) {
            // A part is cut, and put elsewhere.
            let from = random.below(text.len() + 1);
            let more = random.below(80).min(text.len() - from);
            let cut: String = text.drain(from..from + more).collect();
            patches.push((from, more, String::new()));
            at = random.below(text.len() + 1);
            patches.push((at, 0, cut.clone()));
            text.splice(at..at, cut.chars());
        }
    }
    Trace { name: format!("seed {seed}"), begin: String::new(), patches, end: text.into_iter().collect() }
}

fn traces() -> Vec<Trace> {
    let Some(folder) = std::env::var_os("WEFTLINE_TRACES") else {
        println!("WEFTLINE_TRACES names no folder: the traces are drawn from seeds");
        return (0..3).map(synthetic).collect();
    };
    let files = std::fs::read_dir(&folder).expect("the folder of traces can be read");
    let mut paths: Vec<_> = files.map(|file| file.expect("a file can be named").path()).collect();
    paths.retain(|path| path.extension().is_some_and(|extension| extension == "json"));
    paths.sort();
    let traces: Vec<Trace> = paths.iter().filter_map(|path| recorded(path)).collect();
    assert!(!traces.is_empty(), "there is a sequential trace, unpacked, in the folder that WEFTLINE_TRACES names");
    traces
}

/// Brings a document to all that was written: by deltas in disorder, some of them twice, or by a diff of any tier.
fn catch_up(document: &mut Document, from: &Document, deltas: &[Delta], random: &mut Random) {
    match random.below(8) {
        0 => {
            let diff = from.diff_since(&document.version());
            document
                .apply_diff(&codec::decode_diff(&codec::encode_diff(&diff)).expect("it is read"))
                .expect("it applies");
        }
        1 => drop(document.apply_diff(&from.diff_for(&document.digest())).expect("it applies")),
        _ => {
            let mut missing: Vec<&Delta> = deltas.iter().filter(|delta| !document.covers(delta.dot())).collect();
            for window in missing.chunks_mut(20) {
                random.shuffle(window);
                for delta in window.iter() {
                    document.apply(delta).expect("an honest delta is taken");
                    if random.one_in(10) {
                        document.apply(window[random.below(window.len())]).expect("an honest delta is taken");
                    }
                }
            }
        }
    }
    if document.version() != from.version() {
        // Something hung on what is forgotten here.
        document.apply_diff(&from.diff_since(&document.version())).expect("it applies");
    }
    assert_eq!((document.version(), document.beacon()), (from.version(), from.beacon()));
}

fn transact(document: &mut Document, patches: &[Patch]) -> Option<Delta> {
    let commit: Result<Commit<()>, EditError> = document.transact(Timestamp(1), |tx| {
        let mut text = tx.text("t")?;
        patches.iter().try_for_each(|(at, deleted, new)| {
            text.delete(*at..at + deleted)?;
            text.insert(*at, new)
        })
    });
    let delta = commit.expect("the edit is possible").delta?;
    Some(Delta::decode(delta.bytes(), delta.prev_tag()).expect("what was written is read"))
}

fn replay(trace: &Trace, seed: u64) {
    let mut random = Random::seeded(seed);
    let mut documents: Vec<Document> = [5_u128, 1 << 90, 3].map(|id| Document::with_writer(ReplicaId::from(id))).into();
    let mut deltas: Vec<Delta> = Vec::new();
    deltas.extend(transact(&mut documents[0], &[(0, 0, trace.begin.clone())]));
    let (mut writer, mut done) = (0, 0);
    while done < trace.patches.len() {
        let next = random.below(documents.len());
        if next != writer {
            let from = documents[writer].clone();
            catch_up(&mut documents[next], &from, &deltas, &mut random);
            writer = next;
        }
        // A sitting, in transactions of a key or of many.
        let sitting = 1 + random.below(1500);
        let end = (done + sitting).min(trace.patches.len());
        let size = *random.pick(&[1, 7, 300]);
        for patches in trace.patches[done..end].chunks(size) {
            deltas.extend(transact(&mut documents[writer], patches));
        }
        done = end;
        match random.below(6) {
            0 => documents[writer].truncate_removals(),
            1 => {
                let id = documents[writer].writer();
                documents[writer] = Document::load(&documents[writer].snapshot()).expect("what was saved loads");
                documents[writer].set_writer(id).expect("no transaction is open");
            }
            _ => {}
        }
    }
    let last = documents[writer].clone();
    assert!(last.text("t") == trace.end.as_str(), "{}: the text is another one", trace.name);
    for document in &mut documents {
        catch_up(document, &last, &deltas, &mut random);
        assert!(document.text("t") == trace.end.as_str(), "{}: the text is another one", trace.name);
    }
    // Whoever comes last hears it all at once.
    let mut late = Document::new();
    catch_up(&mut late, &last, &deltas, &mut random);
    assert!(late.text("t") == trace.end.as_str());
}

#[test]
fn a_trace_that_three_replicas_hand_over_ends_in_its_own_text() {
    for (seed, trace) in (0..).zip(traces()) {
        println!("{}: {} patches", trace.name, trace.patches.len());
        replay(&trace, seed);
    }
}
