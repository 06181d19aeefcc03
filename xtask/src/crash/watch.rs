//! Somebody who looks at the clock: a round that does not end is a failure like any other, and is said to be one.
//!
//! Everything that waits in a round has its own patience. This is for what nobody thought of.

use std::process;
use std::sync::mpsc::{self, RecvTimeoutError, Sender};
use std::thread;
use std::time::Duration;

use super::process::kill_all;

/// Longer than everything that a round waits for may take together.
const PATIENCE: Duration = Duration::from_secs(480);

/// Watches until it is dropped.
pub(crate) struct Watch {
    _until: Sender<()>,
}

impl Watch {
    /// Says `words` and ends the program with a failure if it is not dropped in time. The last of them is the last line of all.
    pub(crate) fn over(words: [String; 2]) -> Self {
        Self::for_as_long_as(PATIENCE, move || {
            kill_all();
            let [what, figures] = words;
            eprintln!("{what}: it did not end within {} s", PATIENCE.as_secs());
            println!("{figures}");
            process::exit(1);
        })
    }

    fn for_as_long_as(time: Duration, give_up: impl FnOnce() + Send + 'static) -> Self {
        let (until, over) = mpsc::channel();
        thread::spawn(move || {
            if over.recv_timeout(time) == Err(RecvTimeoutError::Timeout) {
                give_up();
            }
        });
        Self { _until: until }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_does_not_end_is_given_up_and_what_ends_is_not() {
        let (sender, gave_up) = mpsc::channel();
        let hangs = Watch::for_as_long_as(Duration::ZERO, move || sender.send(()).expect("the test waits"));
        assert_eq!(gave_up.recv(), Ok(()));
        drop(hangs);
        let (sender, gave_up) = mpsc::channel();
        drop(Watch::for_as_long_as(PATIENCE, move || sender.send(()).expect("the test waits")));
        assert!(gave_up.recv().is_err(), "nobody gave up, and nobody will");
    }
}
