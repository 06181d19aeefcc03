//! One task per connection: frames in, messages to rooms; messages from rooms, frames out.
//!
//! The connection itself (hello, fragments, heartbeat) is the machine [`weftline::sync::Session`]; this task gives it frames and time. A
//! client opens documents on channels of its choice; each channel is a *member* of one room.
//!
//! Each time the task runs it does all that can be done: it hands over everything that rooms have said, reads what has arrived, and then writes
//! once. It has one timer, which is set when it has rung and not when something happens, so that a busy connection does not move it about.
//!
//! Nothing here queues without bound. Downward, a room hands a member so much ([`WINDOW`]) before it hears in [`ToRoom::Drained`] that the socket has
//! taken some of it: a slow client is a cursor into the log, not a queue. Upward, a message is read only when the one before it is in the room's
//! mailbox, and while a client does not take what it is sent, only a few more of its frames are read.
//!
//! Rules: SES-3 what comes on a channel that is not open is dropped.

use std::collections::{BTreeMap, VecDeque};
use std::future::{Future, poll_fn};
use std::panic::AssertUnwindSafe;
use std::pin::{Pin, pin};
use std::task::{Context, Poll, ready};
use std::time::Duration;

use bytes::Bytes;
use futures_util::FutureExt;
use futures_util::future::BoxFuture;
use tokio::sync::mpsc::error::{SendError, TrySendError};
use tokio::sync::{mpsc, watch};
use tokio::time::{Instant, Sleep, sleep_until, timeout_at};
use tracing::{debug, error};
use weftline::Timestamp;
use weftline::sync::{Close, CloseReason, Message, Open, ProtocolError, Session, SessionConfig, limits};

use crate::config::Config;
use crate::room::MemberId;
use crate::room::actor::{FromRoom, Said, ToRoom, WINDOW};
use crate::room::inbox::{Inbox, inbox};
use crate::room::registry::{Registry, RoomHandle};
use crate::transport::{CloseCode, Transport, TransportError};

/// What rooms may have said to one connection and the connection not yet taken. It takes at once, so this fills only when a room says
/// much in one go; a connection that lets it fill is closed by the room.
const INBOX: usize = 4 << 10;

/// How many frames are read from a client that does not take what it is sent. Two peers that both insist on writing before they read would
/// wait for each other; after so many, this one insists.
const READ_AHEAD: usize = 64;

/// After so many frames and flushes in a row a connection lets others run.
const MOST_AT_ONCE: usize = 128;

/// How long a closing connection may take for its last words.
const CLOSE_WITHIN: Duration = Duration::from_secs(2);

/// Clients that are sent away by a stopping relay come back within this time, each at its own moment.
const RETURN_WITHIN_MS: u32 = 3_000;

/// Serves a connection to its end.
pub(crate) async fn run<T: Transport>(transport: T, registry: &Registry, config: &Config, stop: watch::Receiver<bool>) {
    let started = Instant::now();
    let link = SessionConfig {
        agent: concat!("weftline-relay/", env!("CARGO_PKG_VERSION")).into(),
        max_frame: config.max_frame,
        heartbeat_ms: u64::try_from(config.heartbeat.as_millis()).unwrap_or(u64::MAX),
        ..SessionConfig::default()
    };
    let (_, inbox) = inbox(INBOX);
    let mut connection = Connection {
        transport,
        link: Session::new(link, Timestamp(0)),
        started,
        registry,
        max_documents: config.max_documents,
        hello_within: config.handshake_timeout,
        channels: BTreeMap::new(),
        inbox,
        heard: VecDeque::new(),
        handed: Vec::new(),
        forward: Forward::default(),
        pending: None,
        unflushed: false,
        opened: false,
        read_ahead: 0,
    };
    // A bug that some bytes bring out ends this connection in good order: its rooms must hear that it is gone.
    let served = AssertUnwindSafe(connection.serve(stop)).catch_unwind().await;
    let ending = served.unwrap_or_else(|_| {
        error!("a connection ends because of a bug");
        Ending::Bug
    });
    debug!(?ending, "ending");
    connection.leave().await;
    connection.close(&ending).await;
}

/// Why a connection ends.
#[derive(Debug)]
enum Ending {
    /// The client closed it, or it broke.
    Gone,
    /// The client has not said hello.
    Silent,
    /// The client said something that cannot be.
    Protocol(ProtocolError),
    /// The client broke the rules of the transport.
    Transport(TransportError),
    /// The relay stops.
    Stop,
    /// Serving it panicked.
    Bug,
}

struct Connection<'a, T> {
    transport: T,
    link: Session,
    started: Instant,
    registry: &'a Registry,
    max_documents: usize,
    hello_within: Duration,
    channels: BTreeMap<u64, Channel>,
    inbox: Inbox,
    /// What was taken out of the inbox and not looked at.
    heard: VecDeque<FromRoom>,
    /// The channels of which bulk messages were handed over and not flushed.
    handed: Vec<u64>,
    forward: Forward,
    /// The next frame to send.
    pending: Option<Bytes>,
    /// Whether the transport still holds something that was handed over.
    unflushed: bool,
    /// The client has just said hello, so that another deadline holds.
    opened: bool,
    /// Frames read since the client last took something.
    read_ahead: usize,
}

struct Channel {
    member: MemberId,
    room: RoomHandle,
    /// What bulk messages weigh that are not out yet.
    handed: usize,
    /// What those weigh that are, of which the room has not heard.
    drained: usize,
}

/// What came of reading.
#[derive(PartialEq, Eq)]
enum Read {
    /// A frame, which was taken in.
    Frame,
    /// Nothing is there. The transport will say when something is.
    Nothing,
    /// Nothing may be read before something else has happened.
    Held,
}

/// What waits to enter mailboxes: at most one message of the client, and one notice per channel.
#[derive(Default)]
struct Forward {
    waiting: VecDeque<(mpsc::Sender<ToRoom>, ToRoom)>,
    /// The place in a mailbox that is waited for.
    place: Option<BoxFuture<'static, Place>>,
}

type Place = Result<mpsc::OwnedPermit<ToRoom>, SendError<()>>;

impl Forward {
    fn push(&mut self, room: &RoomHandle, message: ToRoom) {
        self.waiting.push_back((room.mailbox().clone(), message));
    }

    fn is_empty(&self) -> bool {
        self.waiting.is_empty()
    }

    /// Gets the front into its mailbox, and gives it back if the room is gone. Ready at once when there is nothing.
    fn poll(&mut self, context: &mut Context<'_>) -> Poll<Option<ToRoom>> {
        let place = match &mut self.place {
            Some(place) => place,
            none => {
                let Some((mailbox, message)) = self.waiting.pop_front() else { return Poll::Ready(None) };
                match mailbox.try_send(message) {
                    Ok(()) => return Poll::Ready(None),
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

impl<T: Transport> Connection<'_, T> {
    /// Runs until there is a reason to end. On a stop, first waits until the rooms have settled all that was read.
    async fn serve(&mut self, mut stop: watch::Receiver<bool>) -> Ending {
        // An error means that the relay was dropped, which stops it too.
        let mut stop = pin!(async move { _ = stop.wait_for(|stop| *stop).await });
        let mut timer = pin!(sleep_until(self.deadline()));
        let mut stopping = false;
        poll_fn(|context| {
            if !stopping && stop.as_mut().poll(context).is_ready() {
                stopping = true;
                for channel in self.channels.values() {
                    self.forward.push(&channel.room, ToRoom::Finish { member: channel.member });
                }
            }
            match self.turn(context, timer.as_mut(), stopping) {
                Ok(false) => Poll::Pending,
                Ok(true) => Poll::Ready(Ending::Stop),
                Err(ending) => Poll::Ready(ending),
            }
        })
        .await
    }

    /// Does all that can be done now; says whether everything is settled on a stop.
    fn turn(&mut self, context: &mut Context<'_>, mut timer: Pin<&mut Sleep>, stopping: bool) -> Result<bool, Ending> {
        for _ in 0..MOST_AT_ONCE {
            while self.hear(context) {}
            self.forward(context);
            if stopping && self.channels.is_empty() && self.forward.is_empty() {
                return Ok(true);
            }
            self.hand_over(context).map_err(failed)?;
            let read = if stopping { Read::Nothing } else { self.read(context)? };
            if read == Read::Frame {
                continue;
            }
            // What has been handed over leaves in one piece, when there is nothing to add to it.
            let flushed = self.flush(context).map_err(failed)?;
            if flushed && (read == Read::Held || !self.forward.is_empty()) {
                continue;
            }
            if std::mem::take(&mut self.opened) {
                timer.as_mut().reset(self.deadline());
            }
            if timer.as_mut().poll(context).is_pending() {
                return Ok(false);
            }
            self.tick()?;
            timer.as_mut().reset(self.deadline());
        }
        // Others want to run, too.
        self.flush(context).map_err(failed)?;
        context.waker().wake_by_ref();
        Ok(false)
    }

    /// Takes in what a room has said; says whether there was something.
    fn hear(&mut self, context: &Context<'_>) -> bool {
        if self.heard.is_empty() && self.inbox.poll_take(context, &mut self.heard).is_pending() {
            return false;
        }
        while let Some(said) = self.heard.pop_front() {
            self.said(said);
        }
        true
    }

    /// Gets into mailboxes what fits.
    fn forward(&mut self, context: &mut Context<'_>) {
        while !self.forward.is_empty() {
            match self.forward.poll(context) {
                Poll::Pending => return,
                Poll::Ready(None) => {}
                Poll::Ready(Some(undelivered)) => self.room_is_gone(undelivered.member()),
            }
        }
    }

    /// Hands frames to the transport while it takes them.
    fn hand_over(&mut self, context: &mut Context<'_>) -> Result<(), TransportError> {
        loop {
            if self.pending.is_none() {
                self.pending = self.link.poll().map(Bytes::from);
            }
            if self.pending.is_none() {
                return Ok(());
            }
            match self.transport.poll_ready(context)? {
                Poll::Pending => return Ok(()),
                Poll::Ready(()) => {
                    let frame = self.pending.take().expect("it was just there");
                    self.transport.start_send(frame)?;
                    self.unflushed = true;
                    self.read_ahead = 0;
                }
            }
        }
    }

    /// Reads a frame, if one is there and may be read.
    fn read(&mut self, context: &mut Context<'_>) -> Result<Read, Ending> {
        let blocked = self.pending.is_some() || self.unflushed;
        if !self.forward.is_empty() || (blocked && self.read_ahead >= READ_AHEAD) {
            return Ok(Read::Held);
        }
        match self.transport.poll_receive(context) {
            Poll::Pending => Ok(Read::Nothing),
            Poll::Ready(Ok(Some(frame))) => {
                self.read_ahead += usize::from(blocked);
                self.frame(&frame).map_err(Ending::Protocol)?;
                Ok(Read::Frame)
            }
            Poll::Ready(Ok(None)) => Err(Ending::Gone),
            Poll::Ready(Err(error)) => Err(failed(error)),
        }
    }

    /// Makes the transport write all it has; says whether it has.
    fn flush(&mut self, context: &mut Context<'_>) -> Result<bool, TransportError> {
        if !self.unflushed || self.pending.is_some() || self.transport.poll_flush(context)?.is_pending() {
            return Ok(false);
        }
        self.unflushed = false;
        self.read_ahead = 0;
        self.drained();
        Ok(true)
    }

    /// Time has passed.
    fn tick(&mut self) -> Result<(), Ending> {
        let now = self.now();
        self.link.tick(now).map_err(Ending::Protocol)?;
        if !self.link.is_open() && self.started.elapsed() >= self.hello_within {
            return Err(Ending::Silent);
        }
        Ok(())
    }

    fn deadline(&self) -> Instant {
        let machine = self.started + Duration::from_millis(self.link.deadline().0);
        if self.link.is_open() { machine } else { machine.min(self.started + self.hello_within) }
    }

    fn now(&self) -> Timestamp {
        Timestamp(u64::try_from(self.started.elapsed().as_millis()).unwrap_or(u64::MAX))
    }

    fn frame(&mut self, frame: &[u8]) -> Result<(), ProtocolError> {
        let now = self.now();
        let was_open = self.link.is_open();
        let heard = self.link.frame(now, frame)?;
        self.opened |= !was_open && self.link.is_open();
        match heard {
            // After a Goodbye the client closes the connection, which is all there is to know.
            None | Some((_, Message::Goodbye(_))) => {}
            Some((channel, Message::Open(open))) => self.open(channel, open)?,
            Some((channel, Message::Close(_))) => {
                if let Some(left) = self.channels.remove(&channel) {
                    self.forward.push(&left.room, ToRoom::Leave { member: left.member });
                }
            }
            Some((channel, message)) => {
                // SES-3. The room may have closed the channel before the client could know.
                if let Some(open) = self.channels.get(&channel) {
                    self.forward.push(&open.room, ToRoom::Message { member: open.member, message });
                }
            }
        }
        Ok(())
    }

    fn open(&mut self, channel: u64, open: Open) -> Result<(), ProtocolError> {
        if self.channels.contains_key(&channel) {
            return Err(ProtocolError::Unexpected { what: "Open on an open channel" });
        }
        let name = open.document.len();
        if name == 0 || name > limits::MAX_DOCUMENT_NAME || self.channels.len() >= self.max_documents {
            debug!(name, open = self.channels.len(), "refused to open a document: over a limit");
            self.link.send(channel, &Message::Close(Close { reason: CloseReason::Limit }));
            return Ok(());
        }
        let member = MemberId(self.registry.next_number());
        let room = self.registry.enter(&open.document);
        self.forward.push(&room, ToRoom::Join { member, channel, outlet: self.inbox.outlet(), open: Box::new(open) });
        self.channels.insert(channel, Channel { member, room, handed: 0, drained: 0 });
        Ok(())
    }

    fn said(&mut self, FromRoom { member, channel, said }: FromRoom) {
        // Left meanwhile, or the channel is another member's now.
        let Some(open) = self.channels.get_mut(&channel).filter(|open| open.member == member) else { return };
        match said {
            Said::Message(message) => {
                let is_sent = self.link.send_body(channel, message.kind, &message.body);
                if message.bulk {
                    if open.handed == 0 {
                        self.handed.push(channel);
                    }
                    open.handed += message.weight();
                    // What a client does not take is out at once, or with what was handed over before.
                    self.unflushed |= !is_sent;
                }
            }
            Said::Closed(reason) => {
                self.link.send(channel, &Message::Close(Close { reason }));
                self.channels.remove(&channel);
            }
            Said::Finished => {
                if let Some(left) = self.channels.remove(&channel) {
                    self.forward.push(&left.room, ToRoom::Leave { member });
                }
            }
        }
    }

    /// A message found its room gone. Members have been told, but who was just coming in was none.
    fn room_is_gone(&mut self, member: MemberId) {
        let found = self.channels.iter().find(|(_, channel)| channel.member == member).map(|(channel, _)| *channel);
        if let Some(channel) = found {
            self.said(FromRoom { member, channel, said: Said::Closed(CloseReason::Restart) });
        }
    }

    /// Everything that rooms have handed over is out: a flush is only tried when the link has nothing more to send.
    fn drained(&mut self) {
        for channel in self.handed.drain(..) {
            let Some(open) = self.channels.get_mut(&channel) else { continue };
            open.drained += std::mem::take(&mut open.handed);
            // A room that waits has handed over more than the window since it last heard.
            if open.drained > WINDOW / 2 {
                let bytes = std::mem::take(&mut open.drained);
                self.forward.push(&open.room, ToRoom::Drained { member: open.member, bytes });
            }
        }
    }

    /// Tells every room.
    async fn leave(&mut self) {
        for (_, left) in std::mem::take(&mut self.channels) {
            self.forward.push(&left.room, ToRoom::Leave { member: left.member });
        }
        // Rooms always get on, also when they only wait for a commit; what they say to us now has nowhere to go.
        self.inbox.close();
        while !self.forward.is_empty() {
            poll_fn(|context| self.forward.poll(context)).await;
        }
    }

    /// The last words, and a moment for them to arrive: a socket that is closed with unread input resets, and what was sent last is lost.
    async fn close(mut self, ending: &Ending) {
        let (code, reason, retry_after_ms) = match ending {
            Ending::Gone | Ending::Silent | Ending::Protocol(ProtocolError::TimedOut { .. }) => return,
            Ending::Bug => (CloseCode::Internal, CloseReason::Restart, Some(jitter(RETURN_WITHIN_MS))),
            Ending::Protocol(error) => {
                debug!(%error, "the client broke the protocol");
                let code = match error.reason() {
                    CloseReason::Limit => CloseCode::TooBig,
                    _ => CloseCode::Protocol,
                };
                (code, error.reason(), None)
            }
            Ending::Transport(error) => {
                debug!(%error, "the client broke the protocol");
                (error.close_code().unwrap_or(CloseCode::Protocol), CloseReason::Protocol, None)
            }
            Ending::Stop => (CloseCode::Restart, CloseReason::Restart, Some(jitter(RETURN_WITHIN_MS))),
        };
        self.link.goodbye(reason, retry_after_ms);
        let last_words = async {
            poll_fn(|context| match self.hand_over(context) {
                Ok(()) if self.pending.is_some() => Poll::Pending,
                handed => Poll::Ready(handed),
            })
            .await?;
            poll_fn(|context| self.transport.poll_ready(context)).await?;
            self.transport.start_close(code, "")?;
            poll_fn(|context| self.transport.poll_flush(context)).await?;
            while poll_fn(|context| self.transport.poll_receive(context)).await?.is_some() {}
            Ok::<(), TransportError>(())
        };
        match timeout_at(Instant::now() + CLOSE_WITHIN, last_words).await {
            Ok(Ok(())) => {}
            Ok(Err(error)) => debug!(%error, "no last words"),
            Err(_) => debug!("the client did not take the last words"),
        }
    }
}

fn failed(error: TransportError) -> Ending {
    match error {
        TransportError::Broken(_) => Ending::Gone,
        error => Ending::Transport(error),
    }
}

/// A number from 0 to `most`. Without randomness everybody comes back at once, which is worse than nothing but no reason to fail.
fn jitter(most: u32) -> u32 {
    getrandom::u32().map_or(0, |random| random % (most + 1))
}
