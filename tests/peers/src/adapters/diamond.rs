//! `diamond-types` 1.0, what is published: a text and nothing else. (The versions its author measures today are on no registry.)
//!
//! A replica is a `ListCRDT`: the log of all operations, and the text at its tip. It has no transactions, so that edits of one are done
//! one after the other; deletions do not keep what they delete (`delete_without_content`). What is sent is a patch from the version before
//! (`ENCODE_PATCH`), applied by `merge_data_and_ff`, many of them by one merge of the branch after all were added to the log. Catching up is
//! the version of one, by agent and number, answered with a patch from what the other knows of it.
//!
//! Saved is `ENCODE_FULL` without its compression, and as small as it gets with it (LZ4 of the text), deflated where that makes it smaller.
//! Either holds the whole history, with what was deleted. Loading decodes the log and replays it into a text.

use diamond_types::list::ListCRDT;
use diamond_types::list::encoding::{ENCODE_FULL, ENCODE_PATCH, EncodeOptions};
use diamond_types::list::remote_ids::RemoteId;

use super::{Answers, question_and_answer};
use crate::peer::{self, Contents, Edit, Peer, Scan, Traffic, Value};
use crate::row::Row;

/// A replica in Diamond types.
pub struct Diamond {
    document: ListCRDT,
    agent: u32,
}

impl Peer for Diamond {
    const NAME: &'static str = "diamond-types";

    fn supports(row: Row) -> bool {
        row.is_text()
    }

    fn new(replica: u64) -> Self {
        Self::of(ListCRDT::new(), replica)
    }

    fn transact(&mut self, edits: &[Edit], send: bool) -> Option<Vec<u8>> {
        let before = send.then(|| self.document.oplog.local_version());
        for edit in edits {
            let Edit::Splice { at, delete, insert } = edit else { unreachable!("only rows with texts are supported") };
            if *delete > 0 {
                self.document.delete_without_content(self.agent, *at..*at + *delete);
            }
            if !insert.is_empty() {
                self.document.insert(self.agent, *at, insert);
            }
        }
        before.map(|before| self.document.oplog.encode_from(ENCODE_PATCH, &before))
    }

    fn apply(&mut self, sent: &[u8]) {
        self.document.merge_data_and_ff(sent).expect("a patch that follows what is here");
    }

    fn apply_all(&mut self, sent: &[Vec<u8>]) {
        for patch in sent {
            self.document.oplog.decode_and_add(patch).expect("a patch that follows what is here");
        }
        self.document.branch.merge(&self.document.oplog, self.document.oplog.local_version_ref());
    }

    fn save(&mut self) -> Vec<u8> {
        self.document.oplog.encode(EncodeOptions { compress_content: false, ..ENCODE_FULL })
    }

    fn save_compressed(&mut self) -> Vec<u8> {
        let compressed = self.document.oplog.encode(ENCODE_FULL);
        let deflated = peer::deflate(&self.save());
        if deflated.len() < compressed.len() { deflated } else { compressed }
    }

    fn load(bytes: &[u8], replica: u64) -> Self {
        Self::of(ListCRDT::load_from(bytes).expect("what was written can be read"), replica)
    }

    fn get(&self, _key: &str) -> Option<Value> {
        None
    }

    fn scan(&self) -> Scan {
        Scan::default()
    }

    fn contents(&self) -> Contents {
        Contents { text: self.text(), ..Contents::default() }
    }

    fn text(&self) -> String {
        self.document.branch.content().to_string()
    }

    fn catch_up(&mut self, other: &mut Self, both_ways: bool) -> Traffic {
        question_and_answer(self, other, both_ways)
    }
}

impl Answers for Diamond {
    fn question(&self) -> Vec<u8> {
        let version = self.document.oplog.remote_version();
        let version: Vec<(&str, usize)> = version.iter().map(|id| (id.agent.as_str(), id.seq)).collect();
        postcard::to_stdvec(&version).expect("names and numbers can be written")
    }

    fn answer(&self, asked: &[u8]) -> Vec<u8> {
        let version: Vec<(&str, usize)> = postcard::from_bytes(asked).expect("what was just encoded");
        // Of what is not known here nothing can be said.
        let ids: Vec<RemoteId> =
            version.into_iter().map(|(agent, seq)| RemoteId { agent: agent.into(), seq }).collect();
        let known = ids.iter().filter(|id| self.document.oplog.try_remote_to_local_time(id).is_ok());
        self.document.oplog.encode_from(ENCODE_PATCH, &self.document.oplog.remote_to_local_version(known))
    }

    fn take(&mut self, answer: &[u8]) {
        self.apply(answer);
    }
}

impl Diamond {
    fn of(mut document: ListCRDT, replica: u64) -> Self {
        let agent = document.get_or_create_agent_id(&format!("{replica:016x}"));
        Self { document, agent }
    }
}

#[cfg(test)]
mod tests {
    use super::super::common;
    use super::*;
    use crate::workload::replica;

    fn splice(at: usize, delete: usize, insert: &str) -> Edit {
        Edit::Splice { at, delete, insert: insert.into() }
    }

    #[test]
    fn every_row_converges_when_small() {
        common::every_row_converges_when_small::<Diamond>();
    }

    #[test]
    fn patches_and_answers_reach_the_same_text() {
        let (mut one, mut other) = (Diamond::new(replica(1)), Diamond::new(replica(2)));
        let first = one.transact(&[splice(0, 0, "hé"), splice(1, 1, "ello")], true).expect("a patch");
        let second = one.transact(&[splice(5, 0, "!")], true).expect("a patch");
        other.apply_all(&[first, second]);
        assert_eq!(other.text(), "hello!");
        other.transact(&[splice(0, 1, "J")], false);
        one.transact(&[splice(6, 0, "!")], false);
        assert_eq!(one.catch_up(&mut other, true).messages, 3);
        assert_eq!((one.text(), other.text()), ("Jello!!".into(), "Jello!!".into()));
        assert_eq!(Diamond::load(&one.save(), replica(3)).text(), "Jello!!");
    }
}
