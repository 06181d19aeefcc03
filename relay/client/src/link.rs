//! The link to the home relay: connect, pass frames both ways, keep the core's deadlines, try again.
//!
//! One connection at a time. What the core thinks of a connection ends before the next begins, so that no frame of an
//! old one is ever read (SES-1). Attempts are spread by full jitter; the delay starts small again only after a
//! connection that got as far as live.

use crate::shared::{Shared, Wish, describe};
use crate::websocket::{self, Address, LinkError, Receiver, Sender};
use std::sync::Arc;
use std::time::Duration;
use tokio::sync::watch;
use tokio::time::{sleep, timeout};
use weftline::sync::{Backoff, Link};

/// How long an attempt to connect may take, name lookup and handshake included.
const DIAL_TIMEOUT: Duration = Duration::from_secs(10);

/// How long a goodbye may take.
const CLOSE_TIMEOUT: Duration = Duration::from_secs(1);

/// Why a connection is over.
#[derive(Debug)]
enum End {
    /// The application asked for it.
    Wish,
    /// Something went wrong, in words.
    Failure(String),
    /// The core asked for it, and perhaps for a delay.
    HangUp(Option<u64>),
}

/// Keeps the link as the application wishes, until it is closed.
pub(crate) async fn run(shared: Arc<Shared>, address: Address, mut backoff: Backoff) {
    let mut wish = shared.wish.subscribe();
    loop {
        let present = *wish.borrow_and_update();
        match present {
            Wish::Closed => return,
            Wish::Offline => {
                if wish.changed().await.is_err() {
                    return;
                }
                continue;
            }
            Wish::Online => {}
        }
        let mut was_live = false;
        shared.with(|state, _| {
            state.outgoing.clear();
            state.hang_up = None;
            state.machine.dialing();
        });
        let end = connection(&shared, &address, &mut wish, &mut was_live).await;
        if was_live {
            backoff.reset();
        }
        let delay_ms = match &end {
            End::Wish => 0,
            End::Failure(_) => backoff.next_delay_ms(),
            // Jitter on top, or all clients of a relay that restarts would come back in the same moment.
            End::HangUp(retry_after_ms) => retry_after_ms.unwrap_or(0).saturating_add(backoff.next_delay_ms()),
        };
        shared.with(|state, now| {
            state.link_error = match end {
                End::Failure(reason) => Some(reason),
                End::Wish | End::HangUp(_) => None,
            };
            state.machine.disconnected(now);
            state.outgoing.clear();
        });
        tokio::select! {
            () = sleep(Duration::from_millis(delay_ms)) => {}
            changed = wish.changed() => if changed.is_err() { return },
        }
    }
}

/// One connection, from dialling to its end.
async fn connection(shared: &Shared, address: &Address, wish: &mut watch::Receiver<Wish>, was_live: &mut bool) -> End {
    let dialed = tokio::select! {
        dialed = timeout(DIAL_TIMEOUT, websocket::dial(address)) => dialed,
        _ = wish.changed() => return End::Wish,
    };
    let (mut sender, mut receiver) = match dialed {
        Ok(Ok(halves)) => halves,
        Ok(Err(error)) => return End::Failure(describe(&error)),
        Err(_) => return End::Failure("the relay does not answer".to_owned()),
    };
    shared.with(|state, now| {
        state.link_error = None;
        state.machine.connected(now);
    });
    let end = tokio::select! {
        end = receive(shared, &mut receiver, was_live) => end,
        end = send(shared, &mut sender) => end,
        end = keep_time(shared) => end,
        _ = wish.changed() => End::Wish,
    };
    // What is left to send may be the core's goodbye. The connection is given up either way.
    let left = std::mem::take(&mut shared.lock().outgoing);
    let _ = timeout(CLOSE_TIMEOUT, async {
        sender.send(left).await?;
        sender.close().await
    })
    .await;
    end
}

async fn receive(shared: &Shared, receiver: &mut Receiver, was_live: &mut bool) -> End {
    loop {
        let frame = match receiver.receive().await {
            Ok(frame) => frame,
            Err(error) => return End::from(error),
        };
        let taken = shared.with(|state, now| {
            let taken = state.machine.frame(now, &frame);
            *was_live |= state.machine.status().link == Link::Live;
            taken
        });
        if let Err(error) = taken {
            return End::Failure(describe(&error));
        }
    }
}

async fn send(shared: &Shared, sender: &mut Sender) -> End {
    loop {
        let (frames, hang_up) = {
            let mut state = shared.lock();
            (std::mem::take(&mut state.outgoing), state.hang_up.take())
        };
        if !frames.is_empty()
            && let Err(error) = sender.send(frames).await
        {
            return End::from(error);
        }
        if let Some(hang_up) = hang_up {
            return End::HangUp(hang_up.retry_after_ms);
        }
        shared.frames.notified().await;
    }
}

async fn keep_time(shared: &Shared) -> End {
    loop {
        let wait_ms = {
            let mut state = shared.lock();
            let now = state.now();
            state.machine.deadline().map(|deadline| deadline.0.saturating_sub(now.0))
        };
        let moved = shared.deadline.notified();
        match wait_ms {
            None => moved.await,
            Some(wait_ms) => tokio::select! {
                () = moved => {}
                () = sleep(Duration::from_millis(wait_ms)) => {
                    if let Err(error) = shared.with(|state, now| state.machine.tick(now)) {
                        return End::Failure(describe(&error));
                    }
                }
            },
        }
    }
}

impl From<LinkError> for End {
    fn from(error: LinkError) -> Self {
        Self::Failure(describe(&error))
    }
}
