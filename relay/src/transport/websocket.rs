//! Websockets: the only user of tungstenite.
//!
//! The handshake is split as HTTP demands: [`accept`] looks at the request and gives the response at once; the connection itself comes out
//! of [`Handshake::complete`] after the response has been sent. Pings of the websocket itself are answered below this level, and say nothing
//! about the client: a browser's page can be frozen while its network process still answers. The session has a heartbeat of its own.

use std::pin::Pin;
use std::task::{Context, Poll, ready};

use bytes::Bytes;
use futures_util::{Sink, Stream as _};
use hyper::body::Incoming;
use hyper::upgrade::OnUpgrade;
use hyper::{Request, Response};
use hyper_util::rt::TokioIo;
use tokio_tungstenite::WebSocketStream;
use tokio_tungstenite::tungstenite::error::{CapacityError, Error, ProtocolError};
use tokio_tungstenite::tungstenite::handshake::server::create_response_with_body;
use tokio_tungstenite::tungstenite::protocol::frame::coding::CloseCode as WireCode;
use tokio_tungstenite::tungstenite::protocol::{CloseFrame, Message, Role, WebSocketConfig};

use super::stream::Stream;
use super::{CloseCode, Transport, TransportError};

/// Kept for every connection, idle or not, so it is small; a longer frame gets a buffer while it is read.
const BUFFER_BYTES: usize = 2 << 10;

/// The longest reason of a close: what RFC 6455, 5.5, leaves of a control frame.
const MAX_REASON: usize = 123;

/// A request that asked for a websocket, answered but not yet upgraded.
#[derive(Debug)]
pub struct Handshake {
    upgrade: OnUpgrade,
    max_frame: usize,
}

/// Checks a request for a websocket; gives the response to send, and what follows after it.
pub fn accept(request: &mut Request<Incoming>, max_frame: usize) -> Result<(Response<()>, Handshake), TransportError> {
    let response = create_response_with_body(request, || ()).map_err(|error| failure(&error))?;
    Ok((response, Handshake { upgrade: hyper::upgrade::on(request), max_frame }))
}

impl Handshake {
    /// Waits until the response is out, then takes the connection over.
    pub async fn complete(self) -> Result<WebSocket, TransportError> {
        let upgraded = self.upgrade.await.map_err(|error| TransportError::Broken(error.to_string()))?;
        let parts = upgraded
            .downcast::<TokioIo<Stream>>()
            .map_err(|_| TransportError::Broken("the connection is not the one that was accepted".into()))?;
        let config = WebSocketConfig::default()
            .read_buffer_size(BUFFER_BYTES)
            .write_buffer_size(BUFFER_BYTES)
            .max_frame_size(Some(self.max_frame))
            .max_message_size(Some(self.max_frame));
        let stream = parts.io.into_inner();
        let stream =
            WebSocketStream::from_partially_read(stream, parts.read_buf.to_vec(), Role::Server, Some(config)).await;
        Ok(WebSocket { stream })
    }
}

/// A websocket on a connection.
#[derive(Debug)]
pub struct WebSocket {
    stream: WebSocketStream<Stream>,
}

impl Transport for WebSocket {
    fn poll_receive(&mut self, context: &mut Context<'_>) -> Poll<Result<Option<Bytes>, TransportError>> {
        loop {
            return Poll::Ready(match ready!(Pin::new(&mut self.stream).poll_next(context)) {
                Some(Ok(Message::Binary(bytes))) => Ok(Some(bytes)),
                Some(Ok(Message::Text(_))) => Err(TransportError::NotBinary),
                // Answered below.
                Some(Ok(Message::Ping(_) | Message::Pong(_) | Message::Frame(_) | Message::Close(_))) => continue,
                Some(Err(Error::ConnectionClosed | Error::AlreadyClosed)) | None => Ok(None),
                Some(Err(error)) => Err(failure(&error)),
            });
        }
    }

    fn poll_ready(&mut self, context: &mut Context<'_>) -> Poll<Result<(), TransportError>> {
        Pin::new(&mut self.stream).poll_ready(context).map_err(|error| failure(&error))
    }

    fn start_send(&mut self, frame: Bytes) -> Result<(), TransportError> {
        Pin::new(&mut self.stream).start_send(Message::Binary(frame)).map_err(|error| failure(&error))
    }

    fn start_close(&mut self, code: CloseCode, reason: &str) -> Result<(), TransportError> {
        let end = (0..=MAX_REASON.min(reason.len())).rev().find(|at| reason.is_char_boundary(*at)).unwrap_or(0);
        let reason = &reason[..end];
        let frame = CloseFrame { code: WireCode::from(code.number()), reason: reason.into() };
        Pin::new(&mut self.stream).start_send(Message::Close(Some(frame))).map_err(|error| failure(&error))
    }

    fn poll_flush(&mut self, context: &mut Context<'_>) -> Poll<Result<(), TransportError>> {
        Pin::new(&mut self.stream).poll_flush(context).map_err(|error| failure(&error))
    }
}

fn failure(error: &Error) -> TransportError {
    match error {
        Error::Capacity(CapacityError::MessageTooLong { .. }) => TransportError::TooBig,
        // A client that is gone without a goodbye is everyday life, not a breach.
        Error::Protocol(ProtocolError::ResetWithoutClosingHandshake) => TransportError::Broken(error.to_string()),
        Error::Protocol(_) | Error::Utf8(_) | Error::Capacity(_) | Error::Http(_) | Error::HttpFormat(_) => {
            TransportError::Protocol(error.to_string())
        }
        _ => TransportError::Broken(error.to_string()),
    }
}
