//! The link to the home relay: connect, pass frames both ways, keep the core's deadlines, try again.
//!
//! One connection at a time. What the core thinks of a connection ends before the next begins, so that no frame of an
//! old one is ever read (SES-1). Attempts are spread by full jitter; the delay starts small again only after a
//! connection that got as far as live. While there are edits that the relay does not have the wait is short, and
//! whoever asks to be connected does not wait at all. A relay that does not take the token is not asked that often, whatever waits: most
//! likely the next one is no better.

use crate::shared::{Shared, Wish, describe};
use crate::status::reason;
use crate::token::TokenSource;
use crate::websocket::{self, Address, LinkError, Receiver, Sender};
use futures_util::FutureExt;
use std::sync::Arc;
use std::time::Duration;
use tokio::sync::watch;
use tokio::time::{Instant, sleep, sleep_until, timeout};
use weftline::sync::{Backoff, CloseReason, Link, ProtocolError, Retry};

/// How long an attempt to connect may take, name lookup and handshake included.
const DIAL_TIMEOUT: Duration = Duration::from_secs(10);

/// How long whoever gives tokens may take.
const TOKEN_TIMEOUT: Duration = Duration::from_secs(30);

/// The wait after a token could not be had for a connection that is there.
const TOKEN_PAUSE: Duration = Duration::from_secs(5);

/// How long a goodbye may take.
const CLOSE_TIMEOUT: Duration = Duration::from_secs(1);

/// The longest wait by the backoff while there are edits that the relay does not have: somebody is at work.
const LONGEST_WAIT_AT_WORK_MS: u64 = 5_000;

/// Why a connection is over.
#[derive(Debug)]
enum End {
    /// The application asked for it.
    Wish,
    /// Something went wrong, in words.
    Failure(String),
    /// The core asked for it, and perhaps for a delay.
    HangUp(Retry),
}

/// Keeps the link as the application wishes, until it is closed.
pub(crate) async fn run(shared: Arc<Shared>, address: Address, token: Option<TokenSource>, mut backoff: Backoff) {
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
        let end = connection(&shared, &address, token.as_ref(), &mut wish, &mut was_live).await;
        if was_live {
            backoff.reset();
        }
        let (asked_ms, jitter_ms) = match &end {
            End::Wish => (0, 0),
            End::Failure(_) => (0, backoff.next_delay_ms()),
            // Jitter on top, or all clients of a relay that restarts would come back in the same moment.
            End::HangUp(retry) => (retry.delay_ms().unwrap_or(0).into(), backoff.next_delay_ms()),
        };
        // The same would happen again: it is for the application to change something, and to say so.
        let is_parked = matches!(end, End::HangUp(Retry::NEVER));
        if !is_parked {
            // Who asked before this moment had a connection, or one being made. Of one that is parked the status may have told already.
            let _ = shared.hurry.notified().now_or_never();
        }
        shared.with(|state, now| {
            state.link_error = match end {
                End::Failure(reason) => Some(reason),
                // We have left by ourselves, and why stands in the error of the store.
                End::HangUp(_) if state.store_error.is_some() => None,
                End::HangUp(_) => Some(state.machine.status().closed.map_or_else(
                    || "the connection was ended".to_owned(),
                    |close| format!("the relay ended the connection: {}", reason(close.reason)),
                )),
                End::Wish => None,
            };
            state.machine.disconnected(now);
            state.outgoing.clear();
        });
        tokio::select! {
            () = wait(&shared, asked_ms, jitter_ms), if !is_parked => {}
            () = shared.hurry.notified() => {}
            // What is known of others is forgotten in time.
            _ = keep_time(&shared) => {}
            changed = wish.changed() => if changed.is_err() { return },
        }
    }
}

/// Waits for the next attempt: as long as the relay asked for, and then as the backoff says.
async fn wait(shared: &Shared, asked_ms: u64, jitter_ms: u64) {
    let start = Instant::now();
    let until = |jitter_ms| start + Duration::from_millis(asked_ms.saturating_add(jitter_ms));
    let status = shared.lock().machine.status();
    let is_unwelcome = status
        .closed
        .is_some_and(|close| matches!(close.reason, CloseReason::Token | CloseReason::Expired | CloseReason::Revoked));
    let at_work = async {
        if is_unwelcome {
            std::future::pending::<()>().await;
        }
        let mut status = shared.status.subscribe();
        // The sender lives as long as what is shared.
        let _ = status.wait_for(|status| status.unsaved > 0).await;
        // The remainder is as evenly spread as the delay, where a minimum would bring everybody back at once.
        sleep_until(until(jitter_ms % LONGEST_WAIT_AT_WORK_MS)).await;
    };
    tokio::select! {
        () = at_work => {}
        () = sleep_until(until(jitter_ms)) => {}
    }
}

/// One connection, from dialling to its end.
async fn connection(
    shared: &Shared,
    address: &Address,
    token: Option<&TokenSource>,
    wish: &mut watch::Receiver<Wish>,
    was_live: &mut bool,
) -> End {
    let asked = tokio::select! {
        asked = get(token) => asked,
        _ = wish.changed() => return End::Wish,
    };
    let shown = match asked {
        Ok(shown) => shown,
        Err(reason) => return End::Failure(reason),
    };
    let dialed = tokio::select! {
        dialed = timeout(DIAL_TIMEOUT, websocket::dial(address)) => dialed,
        _ = wish.changed() => return End::Wish,
    };
    let (mut sender, mut receiver) = match dialed {
        Ok(Ok(halves)) => halves,
        Ok(Err(error)) => return End::Failure(describe(&error)),
        Err(_) => return End::Failure(format!("the relay at {} does not answer", address.host())),
    };
    shared.with(|state, now| {
        state.link_error = None;
        state.machine.set_token(shown.as_bytes());
        state.machine.connected(now);
    });
    let end = tokio::select! {
        end = receive(shared, &mut receiver, was_live) => end,
        end = send(shared, &mut sender) => end,
        end = keep_time(shared) => end,
        end = renew(shared, token) => end,
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
            return End::from(error);
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
            return End::HangUp(hang_up.retry);
        }
        shared.frames.notified().await;
    }
}

/// A token, or in words why there is none. Where none is needed it is empty.
async fn get(token: Option<&TokenSource>) -> Result<String, String> {
    let Some(token) = token else { return Ok(String::new()) };
    match timeout(TOKEN_TIMEOUT, token.get()).await {
        Ok(Ok(token)) => Ok(token),
        Ok(Err(error)) => Err(format!("there is no token for the relay: {}", describe(&*error))),
        Err(_) => Err("there is no token for the relay: nobody answers".to_owned()),
    }
}

/// Gets another token whenever the relay wants one. Without it the relay ends the connection, so it is tried again until then.
async fn renew(shared: &Shared, token: Option<&TokenSource>) -> End {
    let Some(token) = token.filter(|token| token.is_renewable()) else { return std::future::pending().await };
    loop {
        shared.renew.notified().await;
        let shown = loop {
            match get(Some(token)).await {
                Ok(shown) => break shown,
                Err(reason) => tracing::warn!("{reason}"),
            }
            sleep(TOKEN_PAUSE).await;
        };
        shared.with(|state, _| state.machine.set_token(shown.as_bytes()));
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
                        return End::from(error);
                    }
                }
            },
        }
    }
}

impl From<ProtocolError> for End {
    fn from(error: ProtocolError) -> Self {
        Self::Failure(match error {
            ProtocolError::TimedOut { .. } => format!("the relay has gone silent: {error}"),
            ProtocolError::Version { .. } => format!("the relay has another version: {error}"),
            _ => format!("the relay does not keep to the protocol: {error}"),
        })
    }
}

impl From<LinkError> for End {
    fn from(error: LinkError) -> Self {
        Self::Failure(describe(&error))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::clock::Clock;
    use weftline::sync::{Opening, Replica as Machine};

    fn shared() -> Shared {
        let mut clock = Clock::new();
        let opening = Opening { slot: None, entropy: [7; 16], now: clock.now() };
        Shared::new(Machine::open("a", opening, []).unwrap(), false, Wish::Online, clock)
    }

    fn edit(shared: &Shared) {
        let put = shared.with(|state, now| state.machine.transact(now, |tx| tx.map("m")?.put("a", "b")));
        assert!(put.is_ok_and(|commit| commit.delta.is_some()));
    }

    async fn waited_ms(shared: &Shared, asked_ms: u64, jitter_ms: u64) -> u128 {
        let start = Instant::now();
        wait(shared, asked_ms, jitter_ms).await;
        start.elapsed().as_millis()
    }

    #[tokio::test(start_paused = true)]
    async fn a_wait_is_short_while_there_are_edits_that_the_relay_does_not_have() {
        let idle = shared();
        assert_eq!(waited_ms(&idle, 0, 28_000).await, 28_000);
        assert_eq!(waited_ms(&idle, 2_000, 28_000).await, 30_000);
        let at_work = shared();
        edit(&at_work);
        assert_eq!(waited_ms(&at_work, 0, 28_000).await, 3_000);
        assert_eq!(waited_ms(&at_work, 0, 400).await, 400);
        assert_eq!(waited_ms(&at_work, 2_000, 28_000).await, 5_000, "a relay that asks for time gets it");
    }

    #[tokio::test(start_paused = true)]
    async fn an_edit_cuts_a_long_wait_short() {
        let shared = shared();
        let later = async {
            sleep(Duration::from_secs(10)).await;
            edit(&shared);
        };
        assert_eq!(tokio::join!(waited_ms(&shared, 0, 28_000), later).0, 10_000);
    }
}
