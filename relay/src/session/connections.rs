//! The connections that there are, for operators: who they are, and how to end one.

use std::collections::BTreeMap;
use std::net::IpAddr;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::SystemTime;

use weftline::sync::Close;

use crate::room::MemberId;
use crate::room::actor::{FromRoom, Said};
use crate::room::inbox::Outlet;

/// Who is at the other end of a connection.
#[derive(Debug, Clone)]
pub(crate) struct Peer {
    /// The connection's number, also in the log.
    pub(crate) connection: u64,
    /// The address, of the client itself if a trusted proxy tells it.
    pub(crate) address: IpAddr,
    /// Whom its token names.
    pub(crate) subject: Option<Arc<str>>,
}

/// See the module.
#[derive(Debug, Default)]
pub(crate) struct Connections(Mutex<BTreeMap<u64, Entry>>);

#[derive(Debug)]
struct Entry {
    peer: Peer,
    since: SystemTime,
    outlet: Outlet,
}

/// A connection as it is listed.
#[derive(Debug, Clone)]
pub(crate) struct Listed {
    pub(crate) peer: Peer,
    pub(crate) since: SystemTime,
}

impl Connections {
    /// Lists a connection while the guard lives.
    pub(crate) fn enter(&self, peer: Peer, outlet: Outlet) -> Entered<'_> {
        let connection = peer.connection;
        self.lock().insert(connection, Entry { peer, since: SystemTime::now(), outlet });
        Entered { connections: self, connection }
    }

    /// A connection has shown a token.
    pub(crate) fn set_subject(&self, connection: u64, subject: Arc<str>) {
        if let Some(entry) = self.lock().get_mut(&connection) {
            entry.peer.subject = Some(subject);
        }
    }

    /// Those after a number, at most so many.
    pub(crate) fn after(&self, connection: u64, most: usize) -> Vec<Listed> {
        let all = self.lock();
        let after = all.range(connection.saturating_add(1)..).take(most);
        after.map(|(_, entry)| Listed { peer: entry.peer.clone(), since: entry.since }).collect()
    }

    /// One of them.
    pub(crate) fn get(&self, connection: u64) -> Option<Listed> {
        self.lock().get(&connection).map(|entry| Listed { peer: entry.peer.clone(), since: entry.since })
    }

    /// Ends those that are meant; says how many.
    pub(crate) fn end(&self, close: Close, is_meant: impl Fn(&Peer) -> bool) -> usize {
        let all = self.lock();
        let meant = all.values().filter(|entry| is_meant(&entry.peer));
        let end = |entry: &Entry| {
            entry.outlet.say_last(FromRoom { member: MemberId(0), channel: 0, said: Said::End(close) });
        };
        meant.map(end).count()
    }

    fn lock(&self) -> MutexGuard<'_, BTreeMap<u64, Entry>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// See [`Connections::enter`].
pub(crate) struct Entered<'a> {
    connections: &'a Connections,
    connection: u64,
}

impl Drop for Entered<'_> {
    fn drop(&mut self) {
        self.connections.lock().remove(&self.connection);
    }
}
