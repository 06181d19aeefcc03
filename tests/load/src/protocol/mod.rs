//! What clients say: one kind of client per kind of server, all alike to whoever puts load on them.
//!
//! A client is without a socket: frames that came go in, frames to send come out.

mod replica;
mod yjs;

use anyhow::Result;

use crate::host::Kind;
use replica::{Follower, Full};
use yjs::Yjs;

/// What a client is there for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Role {
    /// It reads, as cheaply as its protocol allows.
    Reader,
    /// It holds the document, writes, and can be compared with others. Where a server has no documents, as a reader.
    Replica,
}

/// A client.
pub(crate) enum Talk {
    /// A replica of Weftline's.
    Full(Box<Full>),
    /// One who follows Weftline's log without reading it.
    Follower(Box<Follower>),
    /// Whatever is said is the message.
    Plain,
    /// A client of either of the servers for Yjs.
    Yjs(Box<Yjs>),
}

/// Frames to send.
pub(crate) type Out = Vec<Vec<u8>>;

impl Talk {
    pub(crate) fn new(kind: Kind, document: &str, role: Role) -> Result<Self> {
        Ok(match (kind, role) {
            (Kind::Weftline, Role::Reader) => Self::Follower(Box::new(Follower::new(document)?)),
            (Kind::Weftline, Role::Replica) => Self::Full(Box::new(Full::new(document)?)),
            (Kind::Raw | Kind::Ws, _) => Self::Plain,
            (Kind::YWebsocket, _) => Self::Yjs(Box::new(Yjs::new(None)?)),
            (Kind::Hocuspocus, _) => Self::Yjs(Box::new(Yjs::new(Some(document))?)),
        })
    }

    /// The path of the server at which a document is reached.
    pub(crate) fn path(kind: Kind, document: &str) -> &str {
        match kind {
            Kind::Weftline | Kind::Hocuspocus => "",
            Kind::Raw | Kind::Ws | Kind::YWebsocket => document,
        }
    }

    /// A connection has come up.
    pub(crate) fn connected(&mut self, out: &mut Out) {
        match self {
            Self::Full(full) => full.connected(out),
            Self::Follower(follower) => follower.connected(out),
            Self::Plain => {}
            Self::Yjs(yjs) => yjs.connected(out),
        }
    }

    /// A connection is gone.
    pub(crate) fn disconnected(&mut self) {
        if let Self::Full(full) = self {
            full.disconnected();
        }
    }

    /// A frame came.
    pub(crate) fn hear(&mut self, frame: &[u8], out: &mut Out) -> Result<()> {
        match self {
            Self::Full(full) => full.hear(frame, out),
            Self::Follower(follower) => follower.hear(frame, out),
            Self::Plain => Ok(()),
            Self::Yjs(yjs) => yjs.hear(frame, out),
        }
    }

    /// Whether everything that there was has come, and what others write from now on will.
    pub(crate) fn is_live(&self) -> bool {
        match self {
            Self::Full(full) => full.is_live(),
            Self::Follower(follower) => follower.is_live(),
            Self::Plain => true,
            Self::Yjs(yjs) => yjs.is_live(),
        }
    }

    /// Puts a text under a key of a map.
    pub(crate) fn put(&mut self, key: usize, text: &str, out: &mut Out) -> Result<()> {
        match self {
            Self::Full(full) => full.put(key, text, out),
            Self::Follower(_) => anyhow::bail!("it only reads"),
            Self::Plain => {
                out.push(text.as_bytes().to_vec());
                Ok(())
            }
            Self::Yjs(yjs) => {
                yjs.put(key, text, out);
                Ok(())
            }
        }
    }

    /// Whether nothing is on its way up; true where nobody says so.
    pub(crate) fn is_saved(&self) -> bool {
        if let Self::Full(full) = self { full.is_saved() } else { true }
    }

    /// What names the state of the document, if it is known here.
    pub(crate) fn state(&self) -> Option<[u8; 16]> {
        if let Self::Full(full) = self { Some(full.state()) } else { None }
    }
}
