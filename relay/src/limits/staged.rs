//! How many bytes unfinished messages of all connections may take together.
//!
//! A message may be put together from many frames, up to the protocol's limit on each connection. Many connections that all begin one and
//! never end it would take as many times that. So what they hold is added up; beyond a limit, whoever holds much of it is sent away for a
//! time, and with the connection goes what it held. Who holds little is left alone.

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

/// A connection that holds no more than this is never the one to go.
const LITTLE: usize = 1 << 20;

/// What all connections hold together.
#[derive(Debug)]
pub(crate) struct Staged {
    bytes: AtomicUsize,
    most: usize,
}

impl Staged {
    pub(crate) fn new(most: usize) -> Self {
        Staged { bytes: AtomicUsize::new(0), most }
    }
}

/// What one connection holds of it, until it is dropped.
#[derive(Debug)]
pub(crate) struct Share {
    all: Arc<Staged>,
    bytes: usize,
}

impl Share {
    pub(crate) fn new(all: &Arc<Staged>) -> Self {
        Share { all: Arc::clone(all), bytes: 0 }
    }

    /// The connection holds so many bytes now; says whether that is too much.
    pub(crate) fn hold(&mut self, bytes: usize) -> bool {
        if bytes == self.bytes {
            return false;
        }
        // Relaxed: it is a number by itself.
        let before = self.all.bytes.fetch_add(bytes.wrapping_sub(self.bytes), Ordering::Relaxed);
        let together = before.wrapping_add(bytes).wrapping_sub(self.bytes);
        self.bytes = bytes;
        bytes > LITTLE && together > self.all.most
    }
}

impl Drop for Share {
    fn drop(&mut self) {
        self.all.bytes.fetch_sub(self.bytes, Ordering::Relaxed);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn who_holds_much_when_all_hold_too_much_is_the_one_to_go() {
        let all = Arc::new(Staged::new(10 << 20));
        let (mut one, mut two, mut little) = (Share::new(&all), Share::new(&all), Share::new(&all));
        assert!(!one.hold(6 << 20) && !two.hold(4 << 20));
        assert!(!little.hold(1 << 20), "it holds little");
        assert!(two.hold(5 << 20));
        drop(two);
        assert!(!one.hold(8 << 20) && !one.hold(0) && !little.hold(0));
        drop((one, little));
        assert_eq!(all.bytes.load(Ordering::Relaxed), 0);
    }
}
