//! One file per library.

mod automerge;
mod crdts;
mod diamond;
mod dson;
mod floor;
mod loro;
mod weftline;
mod yrs;

pub use self::automerge::Automerge;
pub use self::crdts::Crdts;
pub use self::diamond::Diamond;
pub use self::dson::Dson;
pub use self::floor::Floor;
pub use self::loro::Loro;
pub use self::weftline::Weftline;
pub use self::yrs::Yrs;

use crate::peer::Traffic;

/// A library whose replicas bring one another up to date by a question, which says what is known, and an answer, which gives the rest.
trait Answers {
    fn question(&self) -> Vec<u8>;
    fn answer(&self, question: &[u8]) -> Vec<u8>;
    fn take(&mut self, answer: &[u8]);
}

/// Brings `other` up to date, and `one` as well if `both_ways`.
fn question_and_answer<P: Answers>(one: &mut P, other: &mut P, both_ways: bool) -> Traffic {
    let mut traffic = Traffic::default();
    let asked = other.question();
    traffic.count(&asked);
    let mut answer = one.answer(&asked);
    let answered = answer.len();
    if both_ways {
        // Where both want to know, the answer is followed by a question, in one message.
        answer.extend_from_slice(&one.question());
    }
    traffic.count(&answer);
    other.take(&answer[..answered]);
    if both_ways {
        let back = other.answer(&answer[answered..]);
        traffic.count(&back);
        one.take(&back);
    }
    traffic
}

#[cfg(test)]
mod common {
    use crate::cells::{self, Scale};
    use crate::peer::{Edit, Peer, Value};
    use crate::row::Row;

    pub(super) fn put(key: &str, value: &str) -> Edit {
        Edit::Put { key: key.into(), value: Value::Text(value.into()) }
    }

    pub(super) fn every_row_converges_when_small<P: Peer>() {
        for row in Row::all().into_iter().filter(|row| P::supports(*row)) {
            let metrics = cells::run::<P>(row, Scale(1_000), None);
            assert!(metrics.iter().all(|metric| metric.value.is_finite()), "{row:?}: {metrics:?}");
        }
    }
}
