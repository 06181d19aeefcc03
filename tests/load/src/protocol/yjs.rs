//! Clients of the servers for Yjs, as far as a measurement needs them: the handshake, and updates that put a text under a key of a map.
//!
//! The bytes are those of Yjs's first format and of `y-protocols`; around them Hocuspocus says each time which document is meant.

use anyhow::{Context, Result, bail};

use super::Out;

const SYNC: u8 = 0;
const AUTH: u8 = 2;
const SYNC_REPLY: u8 = 4;

const STEP_1: u8 = 0;
const STEP_2: u8 = 1;
const UPDATE: u8 = 2;

/// Nothing is known, and nothing is deleted: the state vector of an empty document, and an update of nothing.
const NOTHING_KNOWN: &[u8] = &[0];
const NO_UPDATE: &[u8] = &[0, 0];

/// How many keys there are.
const KEYS: usize = 64;

/// A client.
pub(crate) struct Yjs {
    /// What every message begins with.
    head: Vec<u8>,
    is_hocuspocus: bool,
    live: bool,
    client: u32,
    clock: u64,
    /// The last item at each key.
    last: [Option<u64>; KEYS],
}

impl Yjs {
    /// With the name of the document that Hocuspocus is told each time.
    pub(super) fn new(document: Option<&str>) -> Result<Self> {
        let mut head = Vec::new();
        if let Some(document) = document {
            put_bytes(&mut head, document.as_bytes());
        }
        let is_hocuspocus = document.is_some();
        Ok(Self { head, is_hocuspocus, live: false, client: getrandom::u32()?, clock: 0, last: [None; KEYS] })
    }

    pub(super) fn connected(&mut self, out: &mut Out) {
        self.live = false;
        if self.is_hocuspocus {
            let mut message = self.message(&[AUTH, 0]);
            put_bytes(&mut message, b"nobody checks it");
            out.push(message);
        }
        out.push(self.sync(STEP_1, NOTHING_KNOWN));
    }

    pub(super) fn hear(&mut self, frame: &[u8], out: &mut Out) -> Result<()> {
        let rest = frame.strip_prefix(&self.head[..]).context("it is about another document")?;
        match rest {
            [SYNC | SYNC_REPLY, STEP_1, ..] => out.push(self.sync(STEP_2, NO_UPDATE)),
            [SYNC | SYNC_REPLY, STEP_2, ..] => self.live = true,
            [AUTH, 1, ..] => bail!("it is not let in"),
            _ => {}
        }
        Ok(())
    }

    pub(super) fn is_live(&self) -> bool {
        self.live
    }

    pub(super) fn put(&mut self, key: usize, text: &str, out: &mut Out) {
        let update = self.update(key % KEYS, text);
        out.push(self.sync(UPDATE, &update));
    }

    /// One item of any content: after the last one at its key, or at the key by its name.
    fn update(&mut self, key: usize, text: &str) -> Vec<u8> {
        const ANY: u8 = 8;
        const HAS_ORIGIN: u8 = 0x80;
        const HAS_KEY: u8 = 0x20;
        const STRING: u8 = 119;

        let before = self.last[key].replace(self.clock);
        let mut update = vec![1, 1];
        put_varint(&mut update, self.client.into());
        put_varint(&mut update, self.clock);
        match before {
            Some(before) => {
                update.push(ANY | HAS_ORIGIN | HAS_KEY);
                put_varint(&mut update, self.client.into());
                put_varint(&mut update, before);
            }
            None => {
                update.extend_from_slice(&[ANY | HAS_KEY, 1]);
                put_bytes(&mut update, b"m");
                put_bytes(&mut update, format!("k{key}").as_bytes());
            }
        }
        update.extend_from_slice(&[1, STRING]);
        put_bytes(&mut update, text.as_bytes());
        update.push(0);
        self.clock += 1;
        update
    }

    fn sync(&self, step: u8, payload: &[u8]) -> Vec<u8> {
        let mut message = self.message(&[SYNC, step]);
        put_bytes(&mut message, payload);
        message
    }

    fn message(&self, kind: &[u8]) -> Vec<u8> {
        [&self.head[..], kind].concat()
    }
}

fn put_bytes(out: &mut Vec<u8>, bytes: &[u8]) {
    put_varint(out, bytes.len() as u64);
    out.extend_from_slice(bytes);
}

fn put_varint(out: &mut Vec<u8>, mut number: u64) {
    while number >= 0x80 {
        out.push(number as u8 | 0x80);
        number >>= 7;
    }
    out.push(number as u8);
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_update_names_its_key_once_and_then_the_item_before() {
        let mut yjs = Yjs::new(None).unwrap();
        yjs.client = 5;
        assert_eq!(yjs.update(3, "ab"), [1, 1, 5, 0, 0x28, 1, 1, b'm', 2, b'k', b'3', 1, 119, 2, b'a', b'b', 0]);
        assert_eq!(yjs.update(3, "c"), [1, 1, 5, 1, 0xa8, 5, 0, 1, 119, 1, b'c', 0]);
    }

    #[test]
    fn every_message_to_hocuspocus_names_the_document() {
        let mut yjs = Yjs::new(Some("d1")).unwrap();
        let mut out = Out::new();
        yjs.connected(&mut out);
        assert_eq!(out[0][..5], [2, b'd', b'1', AUTH, 0]);
        assert_eq!(out[1], [2, b'd', b'1', SYNC, STEP_1, 1, 0]);
        yjs.hear(&[2, b'd', b'1', SYNC, STEP_2, 2, 0, 0], &mut out).unwrap();
        assert!(yjs.is_live());
        assert!(yjs.hear(&[2, b'd', b'2', SYNC, STEP_2, 2, 0, 0], &mut out).is_err());
    }
}
