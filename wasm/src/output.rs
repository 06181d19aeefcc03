//! What the engine wants done, as bytes: the kind of output, then what it is about. Read by `js/replica.ts`.

use weftline::sync::{Class, Output, Persist, Retry, StoreChange, Table};
use weftline::{ChangeKind, ChangeOrigin, Changes, TextStep};

use crate::wire::Writer;

const TRANSMIT: u8 = 1;
const PERSIST: u8 = 2;
const CHANGED: u8 = 3;
const DISCONNECT: u8 = 4;
const PRESENCE: u8 = 5;
const FORK_REPAIRED: u8 = 6;
const TOKEN_WANTED: u8 = 7;

/// Writes one output. False if there is nothing for JavaScript to do about it.
pub(crate) fn put(out: &mut Writer, output: &Output) -> bool {
    match output {
        Output::Transmit(bytes) => {
            out.byte(TRANSMIT);
            out.raw(bytes);
        }
        Output::Persist(persist) => put_persist(out, persist),
        Output::Changed(changes) => {
            out.byte(CHANGED);
            put_changes(out, changes);
        }
        Output::Disconnect { retry } => {
            out.byte(DISCONNECT);
            put_retry(out, *retry);
        }
        Output::Presence(news) => {
            out.byte(PRESENCE);
            for state in news {
                out.raw(&state.peer.0.to_le_bytes());
                out.byte(u8::from(state.value.is_some()));
                state.value.iter().for_each(|value| out.bytes(value));
            }
        }
        // All that is shown is read again, so it need not be said what it was.
        Output::ForkRepaired { .. } => out.byte(FORK_REPAIRED),
        Output::TokenWanted => out.byte(TOKEN_WANTED),
        // The status is asked for after each call.
        _ => return false,
    }
    true
}

/// 0 for as the backoff says, 1 for not before the application asks, else after so many milliseconds.
fn put_retry(out: &mut Writer, retry: Retry) {
    out.uint(retry.delay_ms().unwrap_or(u32::from(retry == Retry::NEVER)).into());
}

fn put_persist(out: &mut Writer, persist: &Persist) {
    out.byte(PERSIST);
    out.uint(persist.token.0);
    out.byte(u8::from(persist.class == Class::Strict));
    for record in &persist.records {
        put_change(out, &record.change());
    }
}

/// Writes a change of the store, with text keys.
pub(crate) fn put_change(out: &mut Writer, change: &StoreChange) {
    match change {
        StoreChange::Put { table, key, value } => {
            out.byte(0);
            put_key(out, *table, key);
            out.bytes(value);
        }
        StoreChange::Delete { table, first, last } => {
            out.byte(1);
            put_key(out, *table, first);
            put_key(out, *table, last);
        }
    }
}

/// The name of the table and the key in hexadecimal, which sorts as the key does.
fn put_key(out: &mut Writer, table: Table, key: &[u8]) {
    let name = table.name().as_bytes();
    out.count(name.len() + 1 + 2 * key.len());
    out.raw(name);
    out.byte(b'/');
    for byte in key {
        for digit in [byte >> 4, byte & 15] {
            out.byte(if digit < 10 { b'0' + digit } else { b'a' - 10 + digit });
        }
    }
}

/// Writes what changed in the document.
pub(crate) fn put_changes(out: &mut Writer, changes: &Changes) {
    out.byte(u8::from(changes.origin == ChangeOrigin::Remote));
    for change in &changes.list {
        out.path(&change.path);
        match &change.kind {
            ChangeKind::Key(key) => {
                out.byte(0);
                out.text(key);
            }
            ChangeKind::Member(value) => {
                out.byte(1);
                out.value(value);
            }
            ChangeKind::Value => out.byte(2),
            ChangeKind::Inserted(dot) => {
                out.byte(3);
                out.element(*dot);
            }
            ChangeKind::Removed(dot) => {
                out.byte(4);
                out.element(*dot);
            }
            ChangeKind::Moved(dot) => {
                out.byte(5);
                out.element(*dot);
            }
            ChangeKind::Text(steps) => {
                out.byte(6);
                out.count(steps.len());
                for step in steps {
                    put_step(out, step);
                }
            }
            // Where, is seen when the text is read.
            ChangeKind::Marks { key, .. } => {
                out.byte(7);
                out.text(key);
            }
        }
    }
}

/// Writes one step of a text, in units of UTF-16.
fn put_step(out: &mut Writer, step: &TextStep) {
    match step {
        TextStep::Retain(len) => {
            out.byte(0);
            out.count(len.utf16);
        }
        TextStep::Insert(text) => {
            out.byte(1);
            out.text(text);
        }
        TextStep::Delete(len) => {
            out.byte(2);
            out.count(len.utf16);
        }
    }
}
