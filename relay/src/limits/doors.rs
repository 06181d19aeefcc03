//! Who may come in: connections, counted by address and by subject.
//!
//! An address is counted twice: while its connections are in their handshakes, where nothing is known of them and nothing is said to those who
//! are too many; and once they are websockets, where they are told. Loopback is not counted unless asked for: behind a proxy on this machine
//! everybody seems to come from there.

use std::net::IpAddr;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

use weftline::sync::{Close, CloseReason, Retry};

use super::options::LimitOptions;
use super::places::{Network, Place, Places};
use crate::metrics::{Metrics, Refused};

/// Who found no place comes back after this time, and as much again at random.
const COME_BACK_MS: u32 = 15_000;

/// See the module.
#[derive(Debug)]
pub struct Doors {
    options: LimitOptions,
    max_connections: usize,
    connections: Arc<AtomicUsize>,
    handshakes: Places<Network>,
    addresses: Places<Network>,
    subjects: Places<Arc<str>>,
    metrics: Arc<Metrics>,
}

/// A connection that was let in. Its places are free again when this is dropped.
#[derive(Debug)]
pub struct Admitted {
    _one: Counted,
    _address: Option<Place<Network>>,
    _subject: Option<Place<Arc<str>>>,
}

impl Doors {
    pub(crate) fn new(options: LimitOptions, max_connections: usize, metrics: Arc<Metrics>) -> Self {
        Doors {
            options,
            max_connections,
            connections: Arc::default(),
            handshakes: Places::default(),
            addresses: Places::default(),
            subjects: Places::default(),
            metrics,
        }
    }

    /// Whether somebody may begin a handshake: a place for the time it takes, where addresses are counted.
    ///
    /// # Errors
    /// When its address has too many begun.
    pub fn knock(&self, peer: IpAddr) -> Result<Option<Place<Network>>, Refused> {
        if !self.counts(peer) {
            return Ok(None);
        }
        let place = self.handshakes.take(peer.into(), self.options.max_address_handshakes);
        place.map(Some).ok_or_else(|| self.refuse(Refused::AddressHandshakes))
    }

    /// Whether a connection may be served. `address` is its client's, also behind a proxy that names it.
    ///
    /// # Errors
    /// When there are too many.
    pub fn admit(&self, address: IpAddr, subject: Option<&Arc<str>>) -> Result<Admitted, Refused> {
        let one = Counted::one_more(&self.connections);
        if one.before >= self.max_connections {
            return Err(self.refuse(Refused::Connections));
        }
        let most = self.options.max_address_connections;
        let address = if most > 0 && self.counts(address) {
            let place = self.addresses.take(address.into(), most);
            Some(place.ok_or_else(|| self.refuse(Refused::AddressConnections))?)
        } else {
            None
        };
        let subject = subject.map(|subject| self.subject(subject)).transpose()?;
        Ok(Admitted { _one: one, _address: address, _subject: subject })
    }

    /// Whether one more connection of a subject may be served, once it is known whose it is.
    ///
    /// # Errors
    /// When there are too many.
    pub fn subject(&self, subject: &Arc<str>) -> Result<Place<Arc<str>>, Refused> {
        let place = self.subjects.take(Arc::clone(subject), self.options.max_subject_connections);
        place.ok_or_else(|| self.refuse(Refused::SubjectConnections))
    }

    /// How many connections are served.
    #[must_use]
    pub fn connections(&self) -> usize {
        self.connections.load(Ordering::Relaxed)
    }

    /// What somebody is told for whom there is no place. `random` spreads those who were turned away together.
    #[must_use]
    pub fn full(random: u32) -> Close {
        Close { reason: CloseReason::TooMany, retry: Retry::after_ms(COME_BACK_MS + random % COME_BACK_MS) }
    }

    /// Who stands for a client without a token: its address, where addresses are counted.
    #[must_use]
    pub fn name_of(&self, address: IpAddr) -> Option<Arc<str>> {
        self.counts(address).then(|| format!("address {}", Network::from(address)).into())
    }

    fn counts(&self, address: IpAddr) -> bool {
        self.options.limit_loopback || !address.to_canonical().is_loopback()
    }

    fn refuse(&self, reason: Refused) -> Refused {
        self.metrics.refused.one(reason as usize);
        reason
    }
}

/// One of all connections, until it is dropped.
#[derive(Debug)]
struct Counted {
    counter: Arc<AtomicUsize>,
    before: usize,
}

impl Counted {
    fn one_more(counter: &Arc<AtomicUsize>) -> Self {
        Counted { counter: Arc::clone(counter), before: counter.fetch_add(1, Ordering::Relaxed) }
    }
}

impl Drop for Counted {
    fn drop(&mut self) {
        self.counter.fetch_sub(1, Ordering::Relaxed);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn doors(options: LimitOptions, max_connections: usize) -> Doors {
        Doors::new(options, max_connections, Arc::default())
    }

    fn address(last: u8) -> IpAddr {
        [192, 0, 2, last].into()
    }

    #[test]
    fn connections_are_counted_in_all_by_address_and_by_subject() {
        let options =
            LimitOptions { max_address_connections: 2, max_subject_connections: 3, ..LimitOptions::default() };
        let doors = doors(options, 5);
        let ann: Arc<str> = "ann".into();
        let mut inside = vec![doors.admit(address(1), Some(&ann)).unwrap(), doors.admit(address(1), None).unwrap()];
        assert_eq!(doors.admit(address(1), None).unwrap_err(), Refused::AddressConnections);
        inside.push(doors.admit(address(2), Some(&ann)).unwrap());
        inside.push(doors.admit(address(3), Some(&ann)).unwrap());
        assert_eq!(doors.admit(address(4), Some(&ann)).unwrap_err(), Refused::SubjectConnections);
        assert_eq!(doors.addresses.taken(&address(4).into()), 0, "a refused connection holds no place");
        inside.push(doors.admit(address(4), None).unwrap());
        assert_eq!(doors.admit(address(5), None).unwrap_err(), Refused::Connections);
        assert_eq!(doors.connections(), 5);
        drop(inside);
        assert_eq!(doors.connections(), 0);
        doors.admit(address(1), Some(&ann)).unwrap();
        for reason in [Refused::Connections, Refused::AddressConnections, Refused::SubjectConnections] {
            assert_eq!(doors.metrics.refused.get().nth(reason as usize), Some(1));
        }
    }

    #[test]
    fn loopback_counts_only_where_that_is_asked_for() {
        let limited = LimitOptions { max_address_connections: 1, max_address_handshakes: 1, ..LimitOptions::default() };
        let local: IpAddr = [127, 0, 0, 1].into();
        let open = doors(limited.clone(), 10);
        let inside = [open.admit(local, None).unwrap(), open.admit(local, None).unwrap()];
        assert!(open.knock(local).unwrap().is_none());
        let counted = doors(LimitOptions { limit_loopback: true, ..limited }, 10);
        let first = (counted.admit(local, None).unwrap(), counted.knock(local).unwrap());
        assert_eq!(counted.admit(local, None).unwrap_err(), Refused::AddressConnections);
        assert_eq!(counted.knock(local).unwrap_err(), Refused::AddressHandshakes);
        drop((inside, first));
        assert!(counted.knock(local).unwrap().is_some());
    }

    #[test]
    fn who_finds_no_place_is_told_when_to_come_back_and_not_all_at_once() {
        let times = [0, 1, u32::MAX].map(|random| Doors::full(random).retry.delay_ms().unwrap());
        assert!(times.iter().all(|ms| (15_000..30_000).contains(ms)) && times[0] != times[1]);
    }
}
