//! The websocket to the relay: the only file that knows the websocket library.

use futures_util::stream::{SplitSink, SplitStream};
use futures_util::{SinkExt, StreamExt};
use tokio::net::TcpStream;
use tokio_tungstenite::tungstenite::client::IntoClientRequest;
use tokio_tungstenite::tungstenite::handshake::client::Request;
use tokio_tungstenite::tungstenite::protocol::WebSocketConfig;
use tokio_tungstenite::tungstenite::{Error, Message};
use tokio_tungstenite::{MaybeTlsStream, WebSocketStream, connect_async_with_config};
use weftline::sync::limits::MAX_FRAME;

type Socket = WebSocketStream<MaybeTlsStream<TcpStream>>;

/// Where the relay is.
#[derive(Debug, Clone)]
pub(crate) struct Address(Request);

impl Address {
    /// Reads a websocket address; the error says what is wrong with it.
    pub(crate) fn parse(text: &str) -> Result<Self, String> {
        let request = text.into_client_request().map_err(|error| error.to_string())?;
        match request.uri().scheme_str() {
            Some("ws") => {}
            Some("wss") => {
                return Err(
                    "there is no TLS in this version; use ws://, through a tunnel where the way is not safe".to_owned()
                );
            }
            _ => return Err("a relay address starts with ws://".to_owned()),
        }
        Ok(Self(request))
    }

    /// Host and port, for messages; what else an address holds may be secret.
    pub(crate) fn host(&self) -> &str {
        let authority = self.0.uri().authority().map_or("", |authority| authority.as_str());
        authority.rsplit_once('@').map_or(authority, |(_, host)| host)
    }
}

/// A connection that ended, or was never made.
#[derive(Debug, thiserror::Error)]
pub(crate) enum LinkError {
    /// There is nobody at the address, or no way there.
    #[error("the relay at {host} cannot be reached: {reason}")]
    Unreachable {
        /// Where it should be.
        host: String,
        /// What the operating system said.
        reason: std::io::Error,
    },
    /// The connection broke, or the other side does not speak websocket.
    #[error("the connection failed: {0}")]
    Socket(Box<Error>),
    /// The relay closed the connection.
    #[error("the relay closed the connection{}", .0.as_ref().map(|reason| format!(": {reason}")).unwrap_or_default())]
    Closed(Option<String>),
    /// The relay sent something else than binary messages.
    #[error("the relay sent a text message: is this a Weftline relay?")]
    Text,
}

impl From<Error> for LinkError {
    fn from(error: Error) -> Self {
        match error {
            Error::ConnectionClosed | Error::AlreadyClosed => Self::Closed(None),
            other => Self::Socket(Box::new(other)),
        }
    }
}

/// Connects. Nagle's algorithm is off: a delta is sent when it is there, not when the last one was acknowledged.
pub(crate) async fn dial(address: &Address) -> Result<(Sender, Receiver), LinkError> {
    let limits = WebSocketConfig::default().max_message_size(Some(MAX_FRAME)).max_frame_size(Some(MAX_FRAME));
    let connected = connect_async_with_config(address.0.clone(), Some(limits), true).await;
    let (socket, _) = connected.map_err(|error| match error {
        Error::Io(reason) => LinkError::Unreachable { host: address.host().to_owned(), reason },
        other => other.into(),
    })?;
    let (sink, stream) = socket.split();
    Ok((Sender(sink), Receiver(stream)))
}

/// The sending half.
#[derive(Debug)]
pub(crate) struct Sender(SplitSink<Socket, Message>);

impl Sender {
    /// Sends these frames in one go.
    pub(crate) async fn send(&mut self, frames: impl IntoIterator<Item = Vec<u8>>) -> Result<(), LinkError> {
        for frame in frames {
            self.0.feed(Message::Binary(frame.into())).await?;
        }
        Ok(self.0.flush().await?)
    }

    /// Says goodbye.
    pub(crate) async fn close(&mut self) -> Result<(), LinkError> {
        Ok(self.0.close().await?)
    }
}

/// The receiving half.
#[derive(Debug)]
pub(crate) struct Receiver(SplitStream<Socket>);

impl Receiver {
    /// The next binary message. An error is the end of the connection.
    pub(crate) async fn receive(&mut self) -> Result<bytes::Bytes, LinkError> {
        loop {
            match self.0.next().await {
                Some(Ok(Message::Binary(bytes))) => return Ok(bytes),
                Some(Ok(Message::Text(_))) => return Err(LinkError::Text),
                Some(Ok(Message::Close(frame))) => {
                    let reason = frame.map(|frame| frame.reason.to_string()).filter(|reason| !reason.is_empty());
                    return Err(LinkError::Closed(reason));
                }
                Some(Ok(Message::Ping(_) | Message::Pong(_) | Message::Frame(_))) => {}
                Some(Err(error)) => return Err(error.into()),
                None => return Err(LinkError::Closed(None)),
            }
        }
    }
}
