//! What carries frames between a client and its session.
//!
//! A transport is driven by polling, both directions from one task: a session must go on reading while a slow client keeps it from
//! writing, and must not need a second task for it.
//!
//! Not here: what is in a frame; that is [`weftline::sync`].

use std::task::{Context, Poll};

use bytes::Bytes;

pub mod stream;
pub mod tls;
pub mod websocket;

/// A connection that carries whole binary frames.
pub trait Transport: Send + 'static {
    /// The next frame from the client; `None` when the client has closed the connection.
    fn poll_receive(&mut self, context: &mut Context<'_>) -> Poll<Result<Option<Bytes>, TransportError>>;

    /// Ready when another frame may be handed over. A transport holds at most about one frame that the client has not taken.
    fn poll_ready(&mut self, context: &mut Context<'_>) -> Poll<Result<(), TransportError>>;

    /// Hands a frame over, once ready.
    fn start_send(&mut self, frame: Bytes) -> Result<(), TransportError>;

    /// Hands over the announcement that nothing will follow, once ready.
    fn start_close(&mut self, code: CloseCode, reason: &str) -> Result<(), TransportError>;

    /// Ready when everything that was handed over has left the process.
    fn poll_flush(&mut self, context: &mut Context<'_>) -> Poll<Result<(), TransportError>>;
}

/// Why a relay closes a connection. Clients may come back at once, later, or not before something is changed.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum CloseCode {
    /// Both sides are done.
    Normal,
    /// The client broke the protocol; the same bytes would fail again.
    Protocol,
    /// A text frame: the protocol is binary.
    NotBinary,
    /// The client asks for more than a limit allows.
    TooMuch,
    /// A frame or message is over the limit.
    TooBig,
    /// The client may not be here, or not any more.
    Unauthorized,
    /// Something failed here; come back later.
    Internal,
    /// The relay stops or restarts; come back after the time named in the goodbye.
    Restart,
}

impl CloseCode {
    /// The number that a websocket client sees (RFC 6455, 7.4, and the registry it founds).
    #[must_use]
    pub fn number(self) -> u16 {
        match self {
            CloseCode::Normal => 1000,
            CloseCode::Protocol => 1002,
            CloseCode::NotBinary => 1003,
            CloseCode::TooMuch => 1008,
            CloseCode::TooBig => 1009,
            CloseCode::Unauthorized => 3000,
            CloseCode::Internal => 1011,
            CloseCode::Restart => 1012,
        }
    }
}

/// Why a transport cannot go on.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum TransportError {
    /// The connection broke.
    #[error("the connection broke: {0}")]
    Broken(String),
    /// The client broke the rules of the transport.
    #[error("not a websocket client: {0}")]
    Protocol(String),
    /// A frame is longer than the limit.
    #[error("a frame is over the limit")]
    TooBig,
    /// A text frame.
    #[error("a text frame; the protocol is binary")]
    NotBinary,
}

impl TransportError {
    /// How to tell the client, if there is still one to tell.
    #[must_use]
    pub fn close_code(&self) -> Option<CloseCode> {
        match self {
            TransportError::Broken(_) => None,
            TransportError::Protocol(_) => Some(CloseCode::Protocol),
            TransportError::TooBig => Some(CloseCode::TooBig),
            TransportError::NotBinary => Some(CloseCode::NotBinary),
        }
    }
}
