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

mod access;
pub(crate) mod connections;
mod forward;

use std::collections::{BTreeMap, VecDeque};
use std::future::{Future, poll_fn};
use std::panic::AssertUnwindSafe;
use std::pin::{Pin, pin};
use std::sync::Arc;
use std::task::{Context, Poll};
use std::time::Duration;

use bytes::Bytes;
use futures_util::FutureExt;
use tokio::sync::watch;
use tokio::time::{Instant, Sleep, sleep_until, timeout_at};
use tracing::{debug, error, info};
use weftline::Timestamp;
use weftline::sync::{
    CONNECTION, Close, CloseReason, Message, Open, ProtocolError, Retry, Session, SessionConfig, limits,
};

use crate::auth::{Authority, Permission};
use crate::config::Config;
use crate::limits::{ConnectionLimits, Doors, Share, Throttle, TokenLimits};
use crate::metrics::{Ended, Metrics, Refused};
use crate::room::actor::{FromRoom, Said, ToRoom, WINDOW};
use crate::room::inbox::{Inbox, inbox};
use crate::room::registry::{Registry, RoomHandle};
use crate::room::{MemberId, Rights, close_for};
use crate::transport::{CloseCode, Transport, TransportError};
use access::{Access, News};
use connections::Peer;
use forward::Forward;

/// What rooms may have said to one connection and the connection not yet taken. It takes at once, so this fills only when a room says
/// much in one go; a connection that lets it fill is closed by the room.
const INBOX: usize = 4 << 10;

/// How many frames are read from a client that does not take what it is sent. Two peers that both insist on writing before they read would
/// wait for each other; after so many, this one insists.
const READ_AHEAD: usize = 64;

/// The longest unfinished messages of somebody of whom nothing is known, where tokens are wanted: a token, or an Open with much to settle. The
/// rest is for those who may be here.
const STRANGERS_STAGED: usize = 256 << 10;

/// After so many frames and flushes in a row a connection lets others run.
const MOST_AT_ONCE: usize = 128;

/// A timer that has rung is set to here, and then to what is due before.
const FAR: Duration = Duration::from_secs(3_600);

/// How long a closing connection may take for its last words.
const CLOSE_WITHIN: Duration = Duration::from_secs(2);

/// Clients that are sent away by a stopping relay come back within this time, each at its own moment.
const RETURN_WITHIN_MS: u32 = 3_000;

/// By what a connection may do what it may do.
pub(crate) struct Credentials<'a> {
    /// Who knows that; nobody, where everybody may do everything.
    pub(crate) authority: Option<&'a Arc<Authority>>,
    /// How many connections of a subject there may be.
    pub(crate) doors: &'a Doors,
    /// The token of the upgrade request.
    pub(crate) bearer: Option<Vec<u8>>,
    /// Who stands for it that brings no token: its address, where that says anything.
    pub(crate) address: Option<Arc<str>>,
}

/// Serves a connection to its end.
pub(crate) async fn run<T: Transport>(
    transport: T,
    peer: Peer,
    registry: &Registry,
    config: &Config,
    limits: ConnectionLimits,
    credentials: Credentials<'_>,
    stop: watch::Receiver<bool>,
) {
    let started = Instant::now();
    let address = credentials.address.clone();
    let (outlet, inbox) = inbox(INBOX);
    let mut link = Session::new(link_config(config), Timestamp(0));
    if credentials.authority.is_some() {
        link.set_max_staged(STRANGERS_STAGED);
    }
    let number = peer.connection;
    let _listed = registry.connections().enter(peer, outlet);
    let mut connection = Connection {
        connection: number,
        transport,
        link,
        started,
        registry,
        access: Access::new(credentials, &limits, config.handshake_timeout),
        limits,
        throttle: Throttle::new(started, config.heartbeat),
        staged: Share::new(registry.staged()),
        address,
        hello_within: config.handshake_timeout,
        channels: BTreeMap::new(),
        inbox,
        heard: VecDeque::new(),
        handed: Vec::new(),
        forward: Forward::default(),
        pending: None,
        unflushed: false,
        read_ahead: 0,
        traffic: Traffic::default(),
    };
    let metrics = registry.metrics();
    let _counted = metrics.connections.hold();
    metrics.connections_opened.one();
    // A bug that some bytes bring out ends this connection in good order: its rooms must hear that it is gone.
    let served = AssertUnwindSafe(connection.serve(stop)).catch_unwind().await;
    let ending = served.unwrap_or_else(|_| {
        error!("a connection ends because of a bug");
        Ending::Bug
    });
    debug!(?ending, "ending");
    metrics.connections_ended.one(ending.counted() as usize);
    connection.traffic.count(metrics);
    Box::pin(connection.leave()).await;
    Box::pin(connection.close(&ending)).await;
}

/// Says hello and goodbye, to somebody for whom there is no place.
pub(crate) async fn turn_away<T: Transport>(mut transport: T, config: &Config, Close { reason, retry }: Close) {
    let mut link = Session::new(link_config(config), Timestamp(0));
    link.goodbye(reason, retry);
    let mut pending = None;
    let last_words = last_words(&mut transport, &mut link, &mut pending, CloseCode::TooMuch, "");
    if timeout_at(Instant::now() + CLOSE_WITHIN, last_words).await.is_err() {
        debug!("who was turned away did not take the last words");
    }
}

fn link_config(config: &Config) -> SessionConfig {
    SessionConfig {
        agent: concat!("weftline-relay/", env!("CARGO_PKG_VERSION")).into(),
        max_frame: config.max_frame,
        heartbeat_ms: u64::try_from(config.heartbeat.as_millis()).unwrap_or(u64::MAX),
        ..SessionConfig::default()
    }
}

/// Sends what is left, and closes. Waits for the client to close too: a socket that is closed with unread input resets, and what was sent
/// last is lost.
async fn last_words(
    transport: &mut impl Transport,
    link: &mut Session,
    pending: &mut Option<Bytes>,
    code: CloseCode,
    why: &str,
) -> Result<(), TransportError> {
    poll_fn(|context| match hand_over(transport, link, pending, context) {
        Ok(_) if pending.is_some() => Poll::Pending,
        handed => Poll::Ready(handed),
    })
    .await?;
    poll_fn(|context| transport.poll_ready(context)).await?;
    transport.start_close(code, why)?;
    poll_fn(|context| transport.poll_flush(context)).await?;
    while poll_fn(|context| transport.poll_receive(context)).await?.is_some() {}
    Ok(())
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
    /// It may not be here, or not any more.
    Access { close: Close, why: String },
    /// The relay stops.
    Stop,
    /// An operator wanted it.
    Kicked(Close),
    /// Serving it panicked.
    Bug,
}

impl Ending {
    fn counted(&self) -> Ended {
        match self {
            Ending::Gone => Ended::Gone,
            Ending::Silent | Ending::Protocol(ProtocolError::TimedOut { .. }) => Ended::Silent,
            Ending::Protocol(_) => Ended::Protocol,
            Ending::Transport(_) => Ended::Transport,
            Ending::Access { .. } => Ended::Token,
            Ending::Stop => Ended::Drain,
            Ending::Kicked(_) => Ended::Kicked,
            Ending::Bug => Ended::Bug,
        }
    }
}

/// What went over a connection and is not counted yet: it is added up here, and to what all threads share once per wake-up.
#[derive(Default)]
struct Traffic {
    frames_received: u64,
    bytes_received: u64,
    frames_sent: u64,
    bytes_sent: u64,
}

impl Traffic {
    fn count(&mut self, metrics: &Metrics) {
        for (counter, more) in [
            (&metrics.frames_received, &mut self.frames_received),
            (&metrics.bytes_received, &mut self.bytes_received),
            (&metrics.frames_sent, &mut self.frames_sent),
            (&metrics.bytes_sent, &mut self.bytes_sent),
        ] {
            if *more > 0 {
                counter.add(std::mem::take(more));
            }
        }
    }
}

struct Connection<'a, T> {
    /// Its number, also in the log.
    connection: u64,
    transport: T,
    link: Session,
    started: Instant,
    registry: &'a Registry,
    access: Access<'a>,
    limits: ConnectionLimits,
    throttle: Throttle,
    staged: Share,
    address: Option<Arc<str>>,
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
    /// Frames read since the client last took something.
    read_ahead: usize,
    traffic: Traffic,
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

/// Hands frames to the transport while it takes them; gives how many, and their bytes.
fn hand_over(
    transport: &mut impl Transport,
    link: &mut Session,
    pending: &mut Option<Bytes>,
    context: &mut Context<'_>,
) -> Result<(u64, u64), TransportError> {
    let (mut frames, mut bytes) = (0, 0);
    loop {
        if pending.is_none() {
            *pending = link.poll().map(Bytes::from);
        }
        if pending.is_none() || transport.poll_ready(context)?.is_pending() {
            return Ok((frames, bytes));
        }
        if let Some(frame) = pending.take() {
            frames += 1;
            bytes += frame.len() as u64;
            transport.start_send(frame)?;
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
            while self.hear(context)? {}
            if let Poll::Ready(news) = self.access.poll_news(context, !self.channels.is_empty()) {
                if let Some(ending) = self.learnt(news, stopping) {
                    return Err(ending);
                }
                continue;
            }
            self.forward(context);
            if stopping && self.channels.is_empty() && self.forward.is_empty() {
                return Ok(true);
            }
            self.hand_over(context).map_err(failed)?;
            let paused = self.throttle.paused_until(Instant::now());
            let read = if stopping || paused.is_some() { Read::Nothing } else { self.read(context)? };
            if read == Read::Frame {
                continue;
            }
            // What has been handed over leaves in one piece, when there is nothing to add to it.
            let flushed = self.flush(context).map_err(failed)?;
            if flushed && (read == Read::Held || !self.forward.is_empty()) {
                continue;
            }
            // It is moved when it has rung, and when something is due earlier; not each time that something happens.
            let due = paused.into_iter().chain([self.deadline()]).min().expect("there is a deadline");
            if due < timer.deadline() {
                timer.as_mut().reset(due);
            }
            if timer.as_mut().poll(context).is_pending() {
                return Ok(false);
            }
            self.tick()?;
            let far = Instant::now() + FAR;
            timer.as_mut().reset(far);
        }
        // Others want to run, too.
        self.flush(context).map_err(failed)?;
        context.waker().wake_by_ref();
        Ok(false)
    }

    /// Takes in what rooms have said; says whether there was something.
    fn hear(&mut self, context: &Context<'_>) -> Result<bool, Ending> {
        if self.heard.is_empty() && self.inbox.poll_take(context, &mut self.heard).is_pending() {
            return Ok(false);
        }
        while let Some(said) = self.heard.pop_front() {
            match said {
                FromRoom { said: Said::End(close), .. } => return Err(Ending::Kicked(close)),
                said => self.said(said),
            }
        }
        Ok(true)
    }

    /// Gets into mailboxes what fits.
    fn forward(&mut self, context: &mut Context<'_>) {
        while !self.forward.is_empty() {
            match self.forward.poll(context) {
                Poll::Pending => return,
                Poll::Ready(None) => {}
                Poll::Ready(Some(undelivered)) => {
                    undelivered.member().into_iter().for_each(|member| self.room_is_gone(member));
                }
            }
        }
    }

    fn hand_over(&mut self, context: &mut Context<'_>) -> Result<(), TransportError> {
        let (frames, bytes) = hand_over(&mut self.transport, &mut self.link, &mut self.pending, context)?;
        if frames > 0 {
            self.traffic.frames_sent += frames;
            self.traffic.bytes_sent += bytes;
            self.unflushed = true;
            self.read_ahead = 0;
        }
        Ok(())
    }

    /// Reads a frame, if one is there and may be read.
    fn read(&mut self, context: &mut Context<'_>) -> Result<Read, Ending> {
        let blocked = self.pending.is_some() || self.unflushed;
        let is_free = self.forward.is_empty() && !self.access.is_busy();
        if !is_free || (blocked && self.read_ahead >= READ_AHEAD) {
            return Ok(Read::Held);
        }
        match self.transport.poll_receive(context) {
            Poll::Pending => Ok(Read::Nothing),
            Poll::Ready(Ok(Some(frame))) => {
                self.read_ahead += usize::from(blocked);
                self.throttle.frame(&self.limits, frame.len(), Instant::now());
                self.traffic.frames_received += 1;
                self.traffic.bytes_received += frame.len() as u64;
                self.frame(&frame).map_err(Ending::Protocol)?;
                if self.staged.hold(self.link.staged_bytes()) {
                    self.registry.metrics().refused.one(Refused::Unfinished as usize);
                    return Err(Ending::Kicked(Doors::full(getrandom::u32().unwrap_or_default())));
                }
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
        self.traffic.count(self.registry.metrics());
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
        let message = self.link.frame(now, frame)?;
        if let Some((channel, message)) = &message {
            let room = self.channels.get(channel).map(|channel| channel.room.meters());
            if self.throttle.message(&self.limits, room, message, Instant::now()) {
                self.registry.metrics().refused.one(Refused::Rate as usize);
            }
        }
        match message {
            // After a Goodbye the client closes the connection, which is all there is to know.
            None | Some((_, Message::Goodbye(_))) => {}
            Some((channel, Message::Open(open))) => self.open(channel, open)?,
            Some((_, Message::Token(token))) => self.access.token(token.to_vec()),
            Some((channel, Message::Close(_))) => {
                if let Some(left) = self.channels.remove(&channel) {
                    self.forward.push(&left.room, ToRoom::Leave { member: left.member });
                }
            }
            Some((channel, message)) => {
                // SES-3. The room may have closed the channel before the client could know.
                if let Some(open) = self.channels.get(&channel) {
                    let at = Instant::now();
                    self.forward
                        .push(&open.room, ToRoom::Message { member: open.member, message: Box::new(message), at });
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
        let is_name = (1..=limits::MAX_DOCUMENT_NAME).contains(&name);
        if !is_name || self.channels.len() >= self.limits.max_documents {
            // There is place for it when the client closes another one, which nobody else can.
            let reason = if is_name { CloseReason::TooMany } else { CloseReason::Limit };
            let close = Close { reason, retry: Retry::NEVER };
            debug!(name, open = self.channels.len(), "refused to open a document: over a limit");
            let refused = if is_name { Refused::Documents } else { Refused::Name };
            self.registry.metrics().refused.one(refused as usize);
            self.link.send(channel, &Message::Close(close));
            return Ok(());
        }
        if let Some((open, rights)) = self.access.open(channel, Box::new(open)) {
            self.join(channel, open, rights);
        }
        Ok(())
    }

    fn join(&mut self, channel: u64, open: Box<Open>, mut rights: Rights) {
        rights.subject = rights.subject.or_else(|| self.address.clone());
        let member = MemberId(self.registry.next_number());
        debug!(document = &*open.document, member = member.0, channel, "opening");
        let room = match self.registry.enter(&open.document) {
            Ok(room) => room,
            Err(close) => {
                self.registry.metrics().documents_closed.one(close.reason as usize);
                return self.link.send(channel, &Message::Close(close));
            }
        };
        let join =
            ToRoom::Join { member, connection: self.connection, channel, outlet: self.inbox.outlet(), open, rights };
        self.forward.push(&room, join);
        self.channels.insert(channel, Channel { member, room, handed: 0, drained: 0 });
    }

    /// What may be done has been found out, or has changed.
    fn learnt(&mut self, news: News, stopping: bool) -> Option<Ending> {
        match news {
            // Who comes in now would not be told to finish.
            News::Opened { .. } if stopping => {}
            News::Opened { channel, open, permission: Ok(permission) } => {
                self.lower(permission.limits);
                self.link.set_max_staged(limits::MAX_STAGED);
                self.join(channel, open, permission.rights);
            }
            News::Opened { channel, permission: Err(close), .. } => self.turn_away(channel, close),
            News::Admitted { limits: by_token, subject } => {
                self.registry.connections().set_subject(self.connection, subject);
                self.limits = by_token;
                self.link.set_max_staged(limits::MAX_STAGED);
                let name = |(channel, open): (&u64, &Channel)| (*channel, Arc::clone(open.room.name()));
                self.access.review(self.channels.iter().map(name).collect());
            }
            News::Reviewed(permissions) => {
                for (channel, permission) in permissions {
                    self.reviewed(channel, permission);
                }
            }
            News::Renew => self.link.send(CONNECTION, &Message::Token(Arc::default())),
            News::End { close, why } => return Some(Ending::Access { close, why }),
        }
        None
    }

    /// A document may not be opened, or not stay open.
    fn turn_away(&mut self, channel: u64, close: Close) {
        let refused = match close.reason {
            CloseReason::Token => Refused::Token,
            CloseReason::Denied => Refused::Denied,
            _ => Refused::Webhook,
        };
        self.registry.metrics().refused.one(refused as usize);
        self.link.send(channel, &Message::Close(close));
    }

    fn reviewed(&mut self, channel: u64, permission: Result<Permission, Close>) {
        // It may have been closed meanwhile.
        let Some(open) = self.channels.get(&channel) else { return };
        match permission {
            Ok(Permission { mut rights, limits }) => {
                rights.subject = rights.subject.or_else(|| self.address.clone());
                self.forward.push(&open.room, ToRoom::Rights { member: open.member, rights });
                self.lower(limits);
            }
            Err(close) => {
                self.forward.push(&open.room, ToRoom::Leave { member: open.member });
                self.channels.remove(&channel);
                self.turn_away(channel, close);
            }
        }
    }

    /// The webhook may lower the limits of its connection.
    fn lower(&mut self, limits: TokenLimits) {
        self.limits = self.limits.lowered(&limits);
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
            Said::Closed(close) => {
                self.registry.metrics().documents_closed.one(close.reason as usize);
                self.link.send(channel, &Message::Close(close));
                self.channels.remove(&channel);
            }
            // Heard before it comes here.
            Said::End(_) => {}
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
            self.said(FromRoom { member, channel, said: Said::Closed(close_for(CloseReason::Restart)) });
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

    /// The last words, and a moment for them to arrive.
    async fn close(mut self, ending: &Ending) {
        let (code, reason, retry) = match ending {
            Ending::Gone | Ending::Silent | Ending::Protocol(ProtocolError::TimedOut { .. }) => return,
            Ending::Bug => (CloseCode::Internal, CloseReason::Restart, Retry::after_ms(jitter(RETURN_WITHIN_MS))),
            Ending::Protocol(error) => {
                debug!(%error, "the client broke the protocol");
                let code = match error.reason() {
                    CloseReason::Limit => CloseCode::TooBig,
                    _ => CloseCode::Protocol,
                };
                (code, error.reason(), close_for(error.reason()).retry)
            }
            Ending::Transport(error) => {
                debug!(%error, "the client broke the protocol");
                let reason = match error {
                    TransportError::TooBig => CloseReason::Limit,
                    _ => CloseReason::Protocol,
                };
                (error.close_code().unwrap_or(CloseCode::Protocol), reason, close_for(reason).retry)
            }
            Ending::Access { close, why } => {
                info!(reason = ?close.reason, why, "the connection may not be here");
                if close.reason != CloseReason::TooMany {
                    self.registry.metrics().refused.one(Refused::Token as usize);
                }
                (CloseCode::Unauthorized, close.reason, close.retry)
            }
            Ending::Kicked(close) => (CloseCode::TooMuch, close.reason, close.retry),
            Ending::Stop => (CloseCode::Restart, CloseReason::Restart, Retry::after_ms(jitter(RETURN_WITHIN_MS))),
        };
        let why = if let Ending::Access { why, .. } = ending { why.as_str() } else { "" };
        self.link.goodbye(reason, retry);
        let last_words = last_words(&mut self.transport, &mut self.link, &mut self.pending, code, why);
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
