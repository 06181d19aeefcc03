//! What the module exports: five functions of numbers. The other half is `js/module.ts`.
//!
//! Bytes cross in the memory of the module. JavaScript reserves room for the arguments and writes them there, calls, and copies the
//! reply before it calls again. Engines have numbers, which are used again when their engine is gone.

use alloc::vec::Vec;
use core::cell::RefCell;

use crate::Engine;

/// What calls share.
#[derive(Debug)]
struct Shared {
    args: Vec<u8>,
    reply: Vec<u8>,
    engines: Vec<Option<Engine>>,
}

struct SharedCell(RefCell<Shared>);

// SAFETY: the target has no threads, as `not(target_feature = "atomics")` says: a module with them does not compile.
#[cfg(not(target_feature = "atomics"))]
unsafe impl Sync for SharedCell {}

static SHARED: SharedCell =
    SharedCell(RefCell::new(Shared { args: Vec::new(), reply: Vec::new(), engines: Vec::new() }));

/// Makes room for the arguments of the next call, and says where.
#[unsafe(no_mangle)]
extern "C" fn reserve(len: usize) -> *mut u8 {
    let args = &mut SHARED.0.borrow_mut().args;
    *args = Vec::from_iter(core::iter::repeat_n(0, len));
    args.as_mut_ptr()
}

/// Makes an engine of the random bytes that were reserved for, and gives its number.
#[unsafe(no_mangle)]
extern "C" fn create() -> usize {
    let shared = &mut *SHARED.0.borrow_mut();
    let engine = Some(Engine::new(&shared.args));
    match shared.engines.iter().position(Option::is_none) {
        Some(free) => {
            shared.engines[free] = engine;
            free
        }
        None => {
            shared.engines.push(engine);
            shared.engines.len() - 1
        }
    }
}

/// Asks an engine for something, and says where the reply is.
#[unsafe(no_mangle)]
extern "C" fn call(engine: usize, command: u8, now: f64) -> *const u8 {
    let shared = &mut *SHARED.0.borrow_mut();
    // Not kept: what is opened once can be large.
    let args = core::mem::take(&mut shared.args);
    if let Some(Some(engine)) = shared.engines.get_mut(engine) {
        shared.reply = engine.call(command, now, &args);
    }
    shared.reply.as_ptr()
}

/// How long the reply is.
#[unsafe(no_mangle)]
extern "C" fn reply_len() -> usize {
    SHARED.0.borrow().reply.len()
}

/// Ends an engine.
#[unsafe(no_mangle)]
extern "C" fn destroy(engine: usize) {
    if let Some(engine) = SHARED.0.borrow_mut().engines.get_mut(engine) {
        *engine = None;
    }
}
