//! Documents that are put aside: what is stored of them cannot be read, or brings out a bug again and again.
//!
//! Whoever asks for one is told so, and when it will be tried again; its room is not opened meanwhile, so that it takes no part in a loop of
//! crashes and takes nothing from others. What is stored stays as it is. After the time it is tried once more, in case the disk or an
//! operator has helped; each time in vain doubles the time, up to an hour. [`Quarantine::release`] ends it at once.

use std::collections::HashMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use tokio::time::Instant;
use weftline::sync::{Close, CloseReason, Retry};

/// Two failures within this time are one too many.
const WITHIN: Duration = Duration::from_secs(60);

/// How long a document is put aside for the first time.
const SHORTEST: Duration = Duration::from_secs(60);

/// How long it is at most.
const LONGEST: Duration = Duration::from_secs(3_600);

/// How many documents are remembered. It takes a bug or a damaged disk to get here, and then a list this long says enough.
const MOST: usize = 10_000;

/// See the module.
#[derive(Debug, Default)]
pub struct Quarantine {
    documents: Mutex<HashMap<Arc<str>, Record>>,
}

#[derive(Debug)]
struct Record {
    last: Instant,
    why: Arc<str>,
    /// Until when it is aside, and how often it was put there.
    until: Option<Instant>,
    times: u32,
}

/// A document that is aside.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Aside {
    /// Its name.
    pub document: Arc<str>,
    /// What went wrong last.
    pub why: Arc<str>,
    /// How long until it is tried again.
    pub left: Duration,
    /// How often it was put aside, one time after the other.
    pub times: u32,
}

impl Quarantine {
    /// What to tell whoever asks for a document, if it is aside.
    #[must_use]
    pub fn check(&self, document: &str, now: Instant) -> Option<Close> {
        self.documents().get(document)?.close(now)
    }

    /// A document has failed. One that is `damaged` is put aside at once, another one when it fails again soon; gives what to tell whoever
    /// has it open, if it was put aside.
    pub(crate) fn failed(&self, document: &Arc<str>, why: &str, damaged: bool, now: Instant) -> Option<Close> {
        let mut documents = self.documents();
        // Nothing was heard of these for longer than any is aside.
        documents.retain(|_, record| now < record.until.unwrap_or(record.last) + LONGEST);
        if documents.len() >= MOST && !documents.contains_key(document) {
            return None;
        }
        let record = documents.entry(Arc::clone(document)).or_insert_with(|| Record {
            last: now - WITHIN,
            why: Arc::default(),
            until: None,
            times: 0,
        });
        // Once it was aside, one more failure is enough.
        let again = record.times > 0 || now < record.last + WITHIN;
        record.last = now;
        record.why = why.into();
        if damaged || again {
            let time = SHORTEST.saturating_mul(1 << record.times.min(16)).min(LONGEST);
            record.times += 1;
            record.until = Some(now + time);
        }
        record.close(now)
    }

    /// Forgets that a document was put aside: whoever asks next opens it. Says whether it was.
    pub fn release(&self, document: &str) -> bool {
        self.documents().remove(document).is_some_and(|record| record.until.is_some())
    }

    /// The documents that are aside, by name.
    #[must_use]
    pub fn list(&self, now: Instant) -> Vec<Aside> {
        let documents = self.documents();
        let aside = documents.iter().filter_map(|(document, record)| {
            let left = record.until?.checked_duration_since(now).filter(|left| !left.is_zero())?;
            Some(Aside { document: Arc::clone(document), why: Arc::clone(&record.why), left, times: record.times })
        });
        let mut list: Vec<Aside> = aside.collect();
        list.sort_by(|one, other| one.document.cmp(&other.document));
        list
    }

    fn documents(&self) -> MutexGuard<'_, HashMap<Arc<str>, Record>> {
        self.documents.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Record {
    fn close(&self, now: Instant) -> Option<Close> {
        let left = self.until?.checked_duration_since(now).filter(|left| !left.is_zero())?;
        let ms = u32::try_from(left.as_millis()).unwrap_or(u32::MAX);
        Some(Close { reason: CloseReason::Quarantined, retry: Retry::after_ms(ms) })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn seconds(close: Option<Close>) -> Option<u32> {
        close.map(|close| {
            assert_eq!(close.reason, CloseReason::Quarantined);
            close.retry.delay_ms().expect("it says when") / 1_000
        })
    }

    #[test]
    fn one_failure_is_an_accident_and_two_in_a_minute_are_not() {
        let (quarantine, start) = (Quarantine::default(), Instant::now());
        let at = |seconds| start + Duration::from_secs(seconds);
        let name: Arc<str> = "d".into();
        let fails = |seconds| quarantine.failed(&name, "a bug", false, at(seconds));
        assert_eq!(fails(0), None);
        assert_eq!(fails(61), None, "long ago");
        assert_eq!(quarantine.check("d", at(61)), None);
        assert_eq!(seconds(fails(100)), Some(60));
        assert_eq!(seconds(quarantine.check("d", at(130))), Some(30));
        assert_eq!(quarantine.check("other", at(130)), None);
        let [aside] = &quarantine.list(at(130))[..] else { panic!("one") };
        assert_eq!(
            (&*aside.document, &*aside.why, aside.left, aside.times),
            ("d", "a bug", Duration::from_secs(30), 1)
        );
        // Tried again, it fails again.
        assert_eq!(quarantine.check("d", at(160)), None);
        assert_eq!(seconds(fails(170)), Some(120));
        assert_eq!(seconds(fails(300)), Some(240));
        for _ in 0..10 {
            fails(300);
        }
        assert_eq!(seconds(fails(300)), Some(3_600));
    }

    #[test]
    fn what_is_damaged_is_put_aside_at_once_until_it_is_released() {
        let (quarantine, now) = (Quarantine::default(), Instant::now());
        let name: Arc<str> = "d".into();
        assert_eq!(seconds(quarantine.failed(&name, "damaged", true, now)), Some(60));
        assert!(quarantine.release("d") && !quarantine.release("d"));
        assert_eq!((quarantine.check("d", now), quarantine.list(now)), (None, Vec::new()));
        // What was long ago is forgotten.
        quarantine.failed(&name, "damaged", true, now);
        let later = now + Duration::from_secs(7_200);
        quarantine.failed(&"other".into(), "damaged", true, later);
        assert_eq!(quarantine.documents().len(), 1);
    }
}
