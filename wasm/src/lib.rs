//! The engine of the npm package `weftline`: one replica, as JavaScript drives it.
//!
//! Thin on purpose: each call converts, calls [`weftline::sync::Replica`], and converts back. Everything crosses as bytes,
//! many values in one call (`wire`); the other half is `js/codec.ts` and `js/engine.ts`.
//!
//! Three rules keep JavaScript out of trouble. Nothing here calls JavaScript, so no call can come back into an engine that is
//! busy. Errors are returned as codes and numbers, and nothing is thrown, so whatever is thrown is a trap, after which the
//! caller uses the module no more. Time and randomness are arguments.
//!
//! On wasm the crate does without `std`, which would bring text formatting along for messages that nobody sees: a panic is
//! a trap, by `trap` and not by a hook.
//!
//! Not here: sockets, storage, timers, snapshots, the texts of errors: `js/`.

#![cfg_attr(target_arch = "wasm32", no_std)]
// Elsewhere nothing calls it: there the parts are checked and tested.
#![cfg_attr(not(target_arch = "wasm32"), allow(dead_code))]

extern crate alloc;

#[cfg(target_arch = "wasm32")]
mod door;
mod edit;
mod error;
mod output;
mod read;
mod wire;

use alloc::vec::Vec;

use weftline::Timestamp;
use weftline::sync::{Backoff, Link, Opening, Record, Replica, Retry, Status, Token, compaction_due};

use error::Fault;
use wire::{Reader, Writer};

// What can be asked of an engine; `js/ops.ts` has the same numbers.
const OPEN: u8 = 0;
const BEGIN: u8 = 1;
const EDIT: u8 = 2;
const COMMIT: u8 = 3;
const ROLLBACK: u8 = 4;
const READ: u8 = 5;
const DIALING: u8 = 6;
const CONNECTED: u8 = 7;
const DISCONNECTED: u8 = 8;
const FRAME: u8 = 9;
const TICK: u8 = 10;
const DURABLE: u8 = 11;
const RETIRE: u8 = 12;
const DEADLINE: u8 = 13;
const POLL: u8 = 14;
const STATUS: u8 = 15;
const NEXT_DELAY: u8 = 16;
const RESET_DELAY: u8 = 17;
const IS_COMPACTION_DUE: u8 = 18;
const COMPACT: u8 = 19;
const COVERS: u8 = 20;
const SET_PRESENCE: u8 = 21;
const SET_TOKEN: u8 = 22;

/// A replica and what its driver needs beside it.
#[derive(Debug)]
struct Engine {
    /// There from `OPEN` on.
    replica: Option<Replica>,
    entropy: [u8; 16],
    backoff: Backoff,
}

impl Engine {
    /// An engine without a replica. It takes 32 random bytes, fresh ones for each engine.
    fn new(entropy: &[u8]) -> Self {
        let mut halves = [[0; 16]; 2];
        for (to, from) in halves.as_flattened_mut().iter_mut().zip(entropy) {
            *to = *from;
        }
        let [entropy, jitter] = halves;
        Self { replica: None, entropy, backoff: Backoff::new(jitter) }
    }

    /// Everything else: one door, because each costs a page some hundred bytes on both sides. Answers with 0 and what was
    /// asked for, or with a fault.
    fn call(&mut self, command: u8, now: f64, args: &[u8]) -> Vec<u8> {
        let mut out = Writer::starting(0);
        match self.run(command, Timestamp(now as u64), &mut Reader::new(args), &mut out) {
            Ok(()) => out.into_bytes(),
            Err(fault) => fault.reply(),
        }
    }

    fn run(&mut self, command: u8, now: Timestamp, args: &mut Reader<'_>, out: &mut Writer) -> Result<(), Fault> {
        match command {
            OPEN => return self.open(now, args),
            NEXT_DELAY => {
                out.uint(self.backoff.next_delay_ms());
                return Ok(());
            }
            RESET_DELAY => {
                self.backoff.reset();
                return Ok(());
            }
            _ => {}
        }
        let replica = self.replica.as_mut().ok_or_else(Fault::argument)?;
        match command {
            BEGIN => replica.begin(now)?,
            EDIT => edit::run(&mut replica.edit()?, args.byte(), args, out)?,
            COMMIT => output::put_changes(out, &replica.commit()?.changes),
            ROLLBACK => replica.rollback(),
            READ => read::run(replica.document(), args.byte(), args, out),
            DIALING => replica.dialing(),
            CONNECTED => replica.connected(now),
            DISCONNECTED => replica.disconnected(now),
            // After an error the connection is to be closed.
            FRAME => replica.frame(now, args.rest()).map_err(|error| Fault::broken(&error))?,
            TICK => replica.tick(now).map_err(|error| Fault::broken(&error))?,
            DURABLE => replica.durable(Token(args.uint()), now),
            RETIRE => replica.retire(),
            DEADLINE => replica.deadline().iter().for_each(|deadline| out.uint(deadline.0)),
            POLL => {
                while let Some(output) = replica.poll(now) {
                    if output::put(out, &output) {
                        break;
                    }
                }
            }
            STATUS => put_status(out, replica.status()),
            IS_COMPACTION_DUE => out.byte(u8::from(compaction_due(args.index(), args.index()))),
            COMPACT => replica.compact().iter().for_each(|record| output::put_change(out, &record.change())),
            // Whether a stored record is superfluous beside what the last compaction gave.
            COVERS => {
                out.byte(u8::from(Record::decode(args.rest()).is_ok_and(|record| replica.covers(&record))));
            }
            SET_PRESENCE => {
                let value = (args.byte() != 0).then(|| args.rest());
                replica.set_presence(now, value)?;
            }
            SET_TOKEN => replica.set_token(args.rest()),
            _ => args.fail(),
        }
        args.ok()
    }

    /// Opens the replica: its name, the slot plus one or 0 for none, then what was stored, each record behind its length.
    fn open(&mut self, now: Timestamp, args: &mut Reader<'_>) -> Result<(), Fault> {
        let name = args.text();
        let slot = u32::try_from(args.uint()).map_err(|_| Fault::argument())?.checked_sub(1);
        let mut records = Vec::new();
        while !args.is_empty() {
            records.push(Record::decode(args.bytes()).map_err(|_| Fault::stored_data(0))?);
        }
        args.ok()?;
        self.replica = Some(Replica::open(name, Opening { slot, entropy: self.entropy, now }, records)?);
        Ok(())
    }
}

fn put_status(out: &mut Writer, status: Status) {
    out.byte(match status.link {
        Link::Offline => 0,
        Link::Connecting => 1,
        Link::CatchingUp => 2,
        Link::Live => 3,
    });
    out.count(status.unsaved);
    out.count(status.unstored);
    out.count(status.stuck);
    // Reasons by their numbers, which begin at 0: no reason is 0 here.
    out.byte(status.closed.map_or(0, |close| 1 + close.reason as u8));
    out.byte(u8::from(status.closed.is_some_and(|close| close.retry == Retry::NEVER)));
    out.byte(status.refused.map_or(0, |refused| 1 + refused.reason as u8));
    status.refused.iter().for_each(|refused| out.element(refused.dot));
}

#[cfg(target_arch = "wasm32")]
#[global_allocator]
static ALLOCATOR: talc::wasm::WasmDynamicTalc = talc::wasm::new_wasm_dynamic_allocator();

/// One of our own invariants broke. JavaScript sees the trap and uses the module no more.
#[cfg(target_arch = "wasm32")]
#[panic_handler]
fn trap(_: &core::panic::PanicInfo<'_>) -> ! {
    core::arch::wasm32::unreachable()
}
