//! What a session says to rooms, and their mailboxes have no place for yet.

use std::collections::VecDeque;
use std::task::{Context, Poll, ready};

use futures_util::FutureExt;
use futures_util::future::BoxFuture;
use tokio::sync::mpsc;
use tokio::sync::mpsc::error::{SendError, TrySendError};

use crate::room::actor::ToRoom;
use crate::room::registry::RoomHandle;

/// What waits to enter mailboxes: at most one message of the client, and one notice per channel.
#[derive(Default)]
pub(super) struct Forward {
    waiting: VecDeque<(mpsc::Sender<ToRoom>, ToRoom)>,
    /// The place in the mailbox of the front that is waited for.
    place: Option<BoxFuture<'static, Place>>,
}

type Place = Result<mpsc::OwnedPermit<ToRoom>, SendError<()>>;

impl Forward {
    pub(super) fn push(&mut self, room: &RoomHandle, message: ToRoom) {
        self.waiting.push_back((room.mailbox().clone(), message));
    }

    pub(super) fn is_empty(&self) -> bool {
        self.waiting.is_empty()
    }

    /// Gets the front into its mailbox, and gives it back if the room is gone. Ready at once when there is nothing.
    pub(super) fn poll(&mut self, context: &mut Context<'_>) -> Poll<Option<ToRoom>> {
        let place = match &mut self.place {
            Some(place) => place,
            none => {
                let Some((mailbox, message)) = self.waiting.pop_front() else { return Poll::Ready(None) };
                match mailbox.try_send(message) {
                    Ok(()) => {
                        if self.waiting.is_empty() {
                            self.waiting = VecDeque::new();
                        }
                        return Poll::Ready(None);
                    }
                    Err(TrySendError::Closed(message)) => return Poll::Ready(Some(message)),
                    Err(TrySendError::Full(message)) => {
                        let place = mailbox.clone().reserve_owned().boxed();
                        self.waiting.push_front((mailbox, message));
                        none.insert(place)
                    }
                }
            }
        };
        let place = ready!(place.as_mut().poll(context));
        self.place = None;
        let (_, message) = self.waiting.pop_front().expect("a place is only waited for when there is a message");
        match place {
            Ok(place) => {
                place.send(message);
                Poll::Ready(None)
            }
            Err(_) => Poll::Ready(Some(message)),
        }
    }
}
