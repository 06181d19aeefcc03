//! Recorded editing, and what takes its place where there is none.
//!
//! Traces are those of the public collection josephg/editing-traces, as gzipped JSON in a folder that is named on the command line; they are
//! no part of the project. A patch is a position, how many characters go there, and what comes; positions are in Unicode scalar values. In a
//! trace of several authors each transaction names its parents, and its positions are in the text after all of those were merged. An
//! author goes on from their own last transaction, so that each of them is one replica.
//!
//! Where the folder or the file is not there, a synthetic trace of the same size is drawn from the seed ([`super::typing`]). Smaller runs
//! take the beginning of a trace.

use std::fs::File;
use std::io::{BufReader, ErrorKind};
use std::path::Path;

use ropey::Rope;
use serde::Deserialize;

use super::typing;
use crate::peer::Edit;

/// One author's paper.
pub const PAPER: &str = "automerge-paper.json.gz";
/// One author's program.
pub const RUST: &str = "rustcode.json.gz";
/// Two authors at once.
pub const FRIENDS: &str = "friendsforever.json.gz";

/// Edits of one author, grouped into transactions as they were made.
pub struct Sequential {
    /// All of them, in order.
    pub edits: Vec<Edit>,
    /// Where each transaction ends.
    pub ends: Vec<usize>,
    /// The text after them.
    pub end: String,
}

impl Sequential {
    /// The transactions, in order.
    pub fn transactions(&self) -> impl Iterator<Item = &[Edit]> {
        let begins = std::iter::once(0).chain(self.ends.iter().copied());
        begins.zip(&self.ends).map(|(begin, end)| &self.edits[begin..*end])
    }
}

/// Edits of several authors at once.
pub struct Concurrent {
    /// How many authors there are.
    pub authors: usize,
    /// All transactions, in an order that causality allows.
    pub transactions: Vec<Step>,
    /// The text after all of them, where it is known.
    pub end: Option<String>,
}

/// One transaction of one of several authors.
pub struct Step {
    /// Who.
    pub author: usize,
    /// What of the others is merged before it: so many further transactions of this author, and so on in this order.
    pub merges: Vec<(usize, usize)>,
    /// What is edited.
    pub edits: Vec<Edit>,
}

/// A transaction of several authors, as traces have it.
pub struct Recorded {
    /// Who.
    pub author: usize,
    /// The transactions, by index, whose merged texts it was made on.
    pub parents: Vec<usize>,
    /// What is edited.
    pub edits: Vec<Edit>,
}

/// The first `1 / divisor` of a trace of one author, or a synthetic one of about `edits`.
pub fn sequential(folder: Option<&Path>, name: &str, divisor: usize, synthetic: typing::Typing) -> Sequential {
    match recorded(folder, name) {
        Some(file) => file.sequential(divisor),
        None => typing::sequential(&synthetic, divisor),
    }
}

/// The first `1 / divisor` of a trace of several authors, or a synthetic one.
pub fn concurrent(folder: Option<&Path>, name: &str, divisor: usize) -> Concurrent {
    match recorded(folder, name) {
        Some(file) => file.concurrent(divisor),
        None => typing::concurrent(divisor),
    }
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct Recording {
    #[serde(default)]
    start_content: String,
    end_content: String,
    #[serde(default)]
    num_agents: usize,
    txns: Vec<Transaction>,
}

#[derive(Deserialize)]
struct Transaction {
    #[serde(default)]
    parents: Vec<usize>,
    #[serde(default)]
    agent: usize,
    patches: Vec<(usize, usize, String)>,
}

/// What the file holds; nothing if it is not there.
fn recorded(folder: Option<&Path>, name: &str) -> Option<Recording> {
    let path = folder?.join(name);
    let file = match File::open(&path) {
        Ok(file) => file,
        Err(error) if error.kind() == ErrorKind::NotFound => return None,
        Err(error) => panic!("cannot open {}: {error}", path.display()),
    };
    let text = std::io::read_to_string(flate2::bufread::GzDecoder::new(BufReader::new(file)));
    let read = text.map_err(serde_json::Error::io).and_then(|text| serde_json::from_str(&text));
    Some(read.unwrap_or_else(|error| panic!("{} is no trace: {error}", path.display())))
}

impl Recording {
    fn sequential(self, divisor: usize) -> Sequential {
        let (mut edits, mut ends) = (Vec::new(), Vec::new());
        if !self.start_content.is_empty() {
            edits.push(Edit::Splice { at: 0, delete: 0, insert: self.start_content });
            ends.push(1);
        }
        let count = (self.txns.len() / divisor).max(1);
        for transaction in self.txns.into_iter().take(count) {
            edits.extend(transaction.patches.into_iter().map(splice));
            ends.push(edits.len());
        }
        let end = text_after("", &edits);
        assert!(divisor > 1 || end == self.end_content, "the trace does not lead to its own end");
        Sequential { edits, ends, end }
    }

    fn concurrent(self, divisor: usize) -> Concurrent {
        assert!(self.start_content.is_empty(), "a text that is there before anybody typed has no author");
        let count = (self.txns.len() / divisor).max(1);
        let recorded = self.txns.into_iter().take(count).map(|transaction| Recorded {
            author: transaction.agent,
            parents: transaction.parents,
            edits: transaction.patches.into_iter().map(splice).collect(),
        });
        let end = (divisor == 1).then_some(self.end_content);
        Concurrent { authors: self.num_agents, transactions: steps(self.num_agents, recorded), end }
    }
}

fn splice((at, delete, insert): (usize, usize, String)) -> Edit {
    assert!(insert.chars().all(|c| c <= '\u{ffff}'), "texts beyond U+FFFF count differently in UTF-16: {insert:?}");
    Edit::Splice { at, delete, insert }
}

/// What each author merges when, from what each transaction was made on.
pub fn steps(authors: usize, recorded: impl Iterator<Item = Recorded>) -> Vec<Step> {
    // Who made each transaction, and how many of each author's transactions it knows, its own included.
    let mut makers: Vec<usize> = Vec::new();
    let mut known: Vec<Vec<usize>> = Vec::new();
    // The transactions of each author, and how much each author has merged of each.
    let mut made: Vec<Vec<usize>> = vec![Vec::new(); authors];
    let mut merged = vec![vec![0; authors]; authors];
    recorded
        .map(|Recorded { author, parents, edits }| {
            let mut base = vec![0; authors];
            for parent in &parents {
                base.iter_mut().zip(&known[*parent]).for_each(|(most, known)| *most = (*most).max(*known));
            }
            let behind = base.iter().zip(&merged[author]).any(|(base, merged)| base < merged);
            assert!(!behind, "an author forgets what they knew: one replica for each does not do");
            let mut missing: Vec<usize> =
                (0..authors).flat_map(|other| &made[other][merged[author][other]..base[other]]).copied().collect();
            missing.sort_unstable();
            let runs = missing.chunk_by(|one, next| makers[*one] == makers[*next]);
            let merges = runs.map(|run| (makers[run[0]], run.len())).collect();
            made[author].push(known.len());
            makers.push(author);
            base[author] += 1;
            merged[author].clone_from(&base);
            known.push(base);
            Step { author, merges, edits }
        })
        .collect()
}

/// What a text becomes.
pub fn text_after<'a>(start: &str, edits: impl IntoIterator<Item = &'a Edit>) -> String {
    let mut text = Rope::from_str(start);
    edits.into_iter().for_each(|edit| splice_rope(&mut text, edit));
    text.to_string()
}

/// Does an edit of a text to a rope.
pub fn splice_rope(text: &mut Rope, edit: &Edit) {
    let Edit::Splice { at, delete, insert } = edit else { panic!("{edit:?} is no edit of a text") };
    if *delete > 0 {
        text.remove(*at..*at + *delete);
    }
    if !insert.is_empty() {
        text.insert(*at, insert);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn recording(text: &str) -> Recording {
        serde_json::from_str(text).expect("a trace")
    }

    #[test]
    fn a_trace_of_one_author_keeps_its_transactions_and_its_end() {
        let trace = recording(
            r#"{"startContent": "ab", "endContent": "aXYb!", "txns": [
                {"time": "now", "patches": [[1, 0, "X"], [2, 0, "Y"]]}, {"time": "now", "patches": [[4, 0, "!"]]}]}"#,
        )
        .sequential(1);
        let sizes: Vec<usize> = trace.transactions().map(<[Edit]>::len).collect();
        assert_eq!((sizes, trace.end.as_str()), (vec![1, 2, 1], "aXYb!"));
    }

    #[test]
    fn authors_merge_what_the_parents_had_and_no_more() {
        // 0 ─ 1 ─ 2 ─────── 5     author 0 but for 3 and 4; 3 is made on 1, 4 on 3, 5 on 2 and 3.
        //      └─ 3 ─ 4    /
        //          └──────┘
        let trace = recording(
            r#"{"endContent": "", "numAgents": 2, "txns": [
                {"parents": [], "agent": 0, "patches": []}, {"parents": [0], "agent": 0, "patches": []},
                {"parents": [1], "agent": 0, "patches": []}, {"parents": [1], "agent": 1, "patches": []},
                {"parents": [3], "agent": 1, "patches": []}, {"parents": [2, 3], "agent": 0, "patches": []}]}"#,
        )
        .concurrent(1);
        let merges: Vec<_> = trace.transactions.iter().map(|step| step.merges.as_slice()).collect();
        assert_eq!(merges, [[].as_slice(), &[], &[], &[(0, 2)], &[], &[(1, 1)]]);
    }

    #[test]
    #[should_panic(expected = "an author forgets what they knew")]
    fn an_author_who_forgets_is_refused() {
        let forgets = r#"{"endContent": "", "numAgents": 1, "txns": [
            {"parents": [], "patches": []}, {"parents": [0], "patches": []}, {"parents": [0], "patches": []}]}"#;
        recording(forgets).concurrent(1);
    }

    #[test]
    fn where_no_folder_is_named_or_it_is_not_there_nothing_is_read() {
        assert!(recorded(None, PAPER).is_none());
        assert!(recorded(Some(Path::new("no such folder")), PAPER).is_none());
    }
}
