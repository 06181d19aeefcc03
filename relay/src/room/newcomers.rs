//! How many ids that nobody has written under yet a subject has brought of late, by deltas.
//!
//! Each id is a longer version vector, for everybody and for ever. A connection is cheap to make again, so the count is by subject, over all
//! its connections; and it outlives the room, or whoever is alone there would be given a new one by waiting until the room is let go. It is
//! not stored: who can make a relay start again has other means.
//!
//! A diff gives back what others wrote, and is not counted.

use std::collections::BTreeMap;
use std::sync::Arc;

use weftline::Timestamp;

/// For how long ids count.
const WINDOW_MS: u64 = 3_600_000;

/// How many subjects are counted. Those beyond have only the limits of their connections.
const MOST: usize = 10_000;

/// See the module.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Newcomers {
    windows: BTreeMap<Arc<str>, Window>,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
struct Window {
    since: Timestamp,
    count: usize,
}

impl Window {
    fn is_over(&self, now: Timestamp) -> bool {
        now >= self.since.plus_ms(WINDOW_MS)
    }
}

impl Newcomers {
    /// How long a subject has to wait before it may bring another, when it may bring so many in a window.
    #[must_use]
    pub fn wait_ms(&self, subject: &str, most: usize, now: Timestamp) -> Option<u64> {
        let window = self.windows.get(subject).filter(|window| !window.is_over(now) && window.count >= most)?;
        Some(window.since.plus_ms(WINDOW_MS).0.saturating_sub(now.0))
    }

    /// A subject has brought one.
    pub fn one(&mut self, subject: &Arc<str>, now: Timestamp) {
        if let Some(window) = self.windows.get_mut(subject).filter(|window| !window.is_over(now)) {
            window.count += 1;
            return;
        }
        if self.windows.len() >= MOST {
            self.forget(now);
        }
        if self.windows.len() < MOST || self.windows.contains_key(subject) {
            self.windows.insert(Arc::clone(subject), Window { since: now, count: 1 });
        }
    }

    /// Forgets what counts no more; says whether anything does.
    pub fn forget(&mut self, now: Timestamp) -> bool {
        self.windows.retain(|_, window| !window.is_over(now));
        !self.windows.is_empty()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn so_many_may_come_in_an_hour_of_each_subject() {
        let mut newcomers = Newcomers::default();
        let (ann, ben): (Arc<str>, Arc<str>) = ("ann".into(), "ben".into());
        let start = Timestamp(1_000_000);
        for later in 0..3 {
            assert_eq!(newcomers.wait_ms(&ann, 3, start), None);
            newcomers.one(&ann, start.plus_ms(later));
        }
        assert_eq!(newcomers.wait_ms(&ann, 3, start.plus_ms(60_000)), Some(3_540_000));
        assert_eq!(newcomers.wait_ms(&ben, 3, start.plus_ms(60_000)), None);
        let next = start.plus_ms(WINDOW_MS);
        assert_eq!(newcomers.wait_ms(&ann, 3, next), None);
        newcomers.one(&ann, next);
        assert_eq!(newcomers.wait_ms(&ann, 3, next), None);
        assert!(newcomers.forget(next) && !newcomers.forget(next.plus_ms(WINDOW_MS)));
    }

    #[test]
    fn what_is_remembered_is_bounded() {
        let mut newcomers = Newcomers::default();
        for number in 0..=MOST {
            newcomers.one(&number.to_string().into(), Timestamp(0));
        }
        assert_eq!(newcomers.windows.len(), MOST);
        newcomers.one(&"late".into(), Timestamp(WINDOW_MS));
        assert_eq!(newcomers.windows.len(), 1);
    }
}
