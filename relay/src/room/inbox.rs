//! The way from rooms to one connection.
//!
//! A queue behind a lock instead of a channel: an idle connection has an empty list and no block of places, a room that speaks to a thousand
//! members takes a thousand uncontended locks, and a connection that wakes up takes all that waits at once.
//!
//! What rooms say in answer is bounded by their patience: whoever lets its inbox fill is closed by the room that finds it full.

use std::collections::VecDeque;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::task::{Context, Poll};

use futures_util::task::AtomicWaker;

use super::actor::FromRoom;

/// A connection's end.
#[derive(Debug)]
pub(crate) struct Inbox(Arc<Shared>);

/// A room's end.
#[derive(Debug, Clone)]
pub(crate) struct Outlet(Arc<Shared>);

#[derive(Debug)]
struct Shared {
    most: usize,
    waiting: Mutex<Waiting>,
    waker: AtomicWaker,
}

#[derive(Debug, Default)]
struct Waiting {
    said: VecDeque<FromRoom>,
    closed: bool,
}

/// Why something was not taken.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum NotTaken {
    /// As much waits as may.
    Full,
    /// The connection has ended.
    Closed,
}

/// An inbox in which so much may wait.
pub(crate) fn inbox(most: usize) -> (Outlet, Inbox) {
    let shared = Arc::new(Shared { most, waiting: Mutex::default(), waker: AtomicWaker::new() });
    (Outlet(Arc::clone(&shared)), Inbox(shared))
}

impl Outlet {
    /// Says something, unless too much waits.
    pub(crate) fn say(&self, said: FromRoom) -> Result<(), NotTaken> {
        self.put(said, self.0.most)
    }

    /// Says the last thing that a room says to a member. There are no more members than documents open, so this is bounded, too.
    pub(crate) fn say_last(&self, said: FromRoom) {
        // A connection that has ended hears nothing, and need not.
        let _ = self.put(said, usize::MAX);
    }

    fn put(&self, said: FromRoom, most: usize) -> Result<(), NotTaken> {
        let mut waiting = self.0.waiting();
        if waiting.closed {
            return Err(NotTaken::Closed);
        }
        if waiting.said.len() >= most {
            return Err(NotTaken::Full);
        }
        waiting.said.push_back(said);
        let was_empty = waiting.said.len() == 1;
        drop(waiting);
        if was_empty {
            self.0.waker.wake();
        }
        Ok(())
    }
}

impl Inbox {
    /// The way to here.
    pub(crate) fn outlet(&self) -> Outlet {
        Outlet(Arc::clone(&self.0))
    }

    /// Moves all that waits into `taken`, which is empty.
    pub(crate) fn poll_take(&self, context: &Context<'_>, taken: &mut VecDeque<FromRoom>) -> Poll<()> {
        if self.0.take(taken) {
            return Poll::Ready(());
        }
        self.0.waker.register(context.waker());
        // It may have come before the waker was there.
        if self.0.take(taken) { Poll::Ready(()) } else { Poll::Pending }
    }

    /// Takes nothing any more.
    pub(crate) fn close(&self) {
        let mut waiting = self.0.waiting();
        waiting.closed = true;
        waiting.said = VecDeque::new();
    }
}

impl Drop for Inbox {
    fn drop(&mut self) {
        self.close();
    }
}

impl Shared {
    fn waiting(&self) -> MutexGuard<'_, Waiting> {
        // Nothing that can panic runs while the list is half changed.
        self.waiting.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn take(&self, taken: &mut VecDeque<FromRoom>) -> bool {
        let mut waiting = self.waiting();
        if waiting.said.is_empty() {
            return false;
        }
        std::mem::swap(&mut waiting.said, taken);
        true
    }
}

#[cfg(test)]
mod tests {
    use futures_util::FutureExt;
    use futures_util::future::poll_fn;

    use super::*;
    use crate::room::MemberId;
    use crate::room::actor::Said;

    fn said(member: u64) -> FromRoom {
        FromRoom { member: MemberId(member), channel: 1, said: Said::Finished }
    }

    async fn take(inbox: &Inbox) -> Vec<u64> {
        let mut taken = VecDeque::new();
        poll_fn(|context| inbox.poll_take(context, &mut taken)).await;
        taken.into_iter().map(|from| from.member.0).collect()
    }

    #[tokio::test]
    async fn all_that_waits_is_taken_at_once_and_in_order() {
        let (outlet, inbox) = inbox(3);
        for number in 1..=3 {
            outlet.say(said(number)).unwrap();
        }
        assert_eq!(outlet.say(said(4)), Err(NotTaken::Full));
        outlet.say_last(said(5));
        assert_eq!(take(&inbox).await, [1, 2, 3, 5]);
        assert!(take(&inbox).now_or_never().is_none());
        inbox.close();
        assert_eq!(outlet.say(said(6)), Err(NotTaken::Closed));
    }

    #[tokio::test]
    async fn whoever_waits_is_woken() {
        let (outlet, inbox) = inbox(3);
        let waits = tokio::spawn(async move { take(&inbox).await });
        tokio::task::yield_now().await;
        outlet.say(said(7)).unwrap();
        assert_eq!(waits.await.unwrap(), [7]);
    }
}
