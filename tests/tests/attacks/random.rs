//! Clients that say anything at all: nobody else notices, and nothing panics (BYTES-1).
//!
//! The attacker is a real replica whose frames are damaged on the way, so that what arrives is mostly almost right, which is what finds the
//! most. Beside it an honest replica works on the same document.

use weftline::testing::dump;
use weftline_tests::{Rng, workload};

use super::desk::{Client, NOW, Relay};

/// What arrives of a frame.
pub(super) fn damaged(frame: Vec<u8>, damage: u64, rng: &mut Rng) -> Vec<Vec<u8>> {
    if !rng.chance(damage) {
        return vec![frame];
    }
    let mut other = frame.clone();
    match rng.below(8) {
        0..=3 => {
            for _ in 0..rng.between(1, 3) {
                let at = rng.below(other.len());
                other[at] ^= 1 << rng.below(8);
            }
            vec![other]
        }
        4 => {
            other.truncate(rng.below(other.len()));
            vec![other]
        }
        5 => vec![frame, other],
        6 => {
            let at = rng.below(other.len());
            other.insert(at, rng.bits() as u8);
            vec![other]
        }
        _ => vec![(0..rng.below(60)).map(|_| rng.bits() as u8).collect(), frame],
    }
}

#[test]
fn bytes_1_a_hostile_client_harms_only_itself() {
    for seed in 0..120 {
        println!("seed {seed}");
        let mut rng = Rng::new(seed);
        let mut relay = Relay::new();
        let mut honest = Client::new(1, 0, &mut rng);
        let mut hostile = Client::new(2, 30, &mut rng);
        let mut last = 0;
        for number in 1..=80 {
            for client in [&mut honest, &mut hostile] {
                client.ensure_connected(&mut relay, &mut rng);
            }
            let client = if rng.chance(50) { &mut honest } else { &mut hostile };
            let _ = client.replica.transact(NOW, |tx| workload::edit(tx, &mut rng, number)).unwrap();
            client.settle(&mut relay, &mut rng);
            if client.number == 1 {
                last = number;
            }
            honest.settle(&mut relay, &mut rng);
            assert!(relay.connections.contains_key(&1), "the honest client was never closed");
        }
        honest.settle(&mut relay, &mut rng);
        assert!(honest.replica.status().is_synced(), "{:?}", honest.replica.status());
        assert_eq!(dump(honest.replica.document()), dump(relay.room.document()));
        assert!(workload::shows(&relay.room.document().grow_only_set(workload::EDITS), last));

        let mut fresh = Client::new(3, 0, &mut rng);
        fresh.ensure_connected(&mut relay, &mut rng);
        assert_eq!(dump(fresh.replica.document()), dump(relay.room.document()));
    }
}
