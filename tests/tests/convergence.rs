//! Replicas that gossip without a relay: deltas and diffs are lost, repeated and reordered at will, and everybody ends up the same.
//!
//! This is the layer below the protocol. Nothing here is ordered or acknowledged; whoever misses something gets a diff from whoever it
//! meets. Everything travels as bytes.

use weftline::testing::dump;
use weftline::{Delta, Diff, Document, Outcome, ReplicaId, Tag, Tier, Timestamp, VersionVector, codec};
use weftline_tests::{Rng, workload};

/// A delta on its way to one replica.
struct Parcel {
    to: usize,
    prev_tag: Tag,
    bytes: std::sync::Arc<[u8]>,
}

struct Gossip {
    rng: Rng,
    now: u64,
    edits: u64,
    replicas: Vec<Document>,
    parcels: Vec<Parcel>,
    full_diffs: usize,
    digest_diffs: usize,
}

impl Gossip {
    fn new(seed: u64, replicas: usize) -> Self {
        let mut rng = Rng::new(seed);
        let ids: Vec<ReplicaId> = (0..replicas).map(|_| ReplicaId::from_random(rng.entropy())).collect();
        let replicas = ids.into_iter().map(Document::with_writer).collect();
        Self { rng, now: 1_700_000_000_000, edits: 0, replicas, parcels: Vec::new(), full_diffs: 0, digest_diffs: 0 }
    }

    fn edit(&mut self, at: usize) {
        self.edits += 1;
        // Clocks differ, and run backwards now and then.
        let now = Timestamp(self.now + self.rng.between(0, 5_000));
        self.now += 50;
        let (rng, number) = (&mut self.rng, self.edits);
        let commit = self.replicas[at].transact(now, |tx| workload::edit(tx, rng, number)).unwrap();
        let delta = commit.delta.expect("every edit leaves its number");
        for to in (0..self.replicas.len()).filter(|to| *to != at) {
            let copies = [0, 1, 1, 1, 2][self.rng.below(5)];
            for _ in 0..copies {
                self.parcels.push(Parcel { to, prev_tag: delta.prev_tag(), bytes: delta.bytes().clone() });
            }
        }
    }

    fn deliver(&mut self) {
        if self.parcels.is_empty() {
            return;
        }
        let parcel = self.parcels.swap_remove(self.rng.below(self.parcels.len()));
        let delta = Delta::decode(&parcel.bytes, parcel.prev_tag).unwrap();
        let before = self.replicas[parcel.to].version();
        let applied = self.replicas[parcel.to].apply(&delta).unwrap();
        match applied.outcome {
            Outcome::Applied => assert!(self.replicas[parcel.to].covers(delta.dot())),
            // Neither repetition nor waiting is anything the application would hear of.
            Outcome::Known | Outcome::Parked => {
                assert!(applied.changes.is_empty());
                assert_eq!(self.replicas[parcel.to].version(), before);
            }
        }
    }

    /// One replica tells another what it lacks.
    fn meet(&mut self, from: usize, to: usize) {
        if from == to {
            return;
        }
        // By version, or by a digest, which travels as bytes and may be out of date when the answer is there.
        let by_digest = self.rng.chance(50);
        let diff = if by_digest {
            let asked = codec::decode_digest(&codec::encode_digest(&self.replicas[to].digest())).unwrap();
            for _ in 0..self.rng.below(4) {
                self.deliver();
            }
            self.replicas[from].diff_for(&asked)
        } else {
            self.replicas[from].diff_since(&self.replicas[to].version())
        };
        self.digest_diffs += usize::from(diff.tier == Tier::Digest);
        self.full_diffs += usize::from(diff.tier == Tier::Full);
        self.take(to, &diff);
        let covered = self.replicas[to].version();
        assert!(covered.dominates(&self.replicas[from].version()), "DIFF-5");
        // A second time changes nothing.
        let again = self.replicas[to].apply_diff(&diff).unwrap();
        assert_eq!((again.outcome, again.changes.is_empty()), (Outcome::Known, true));
    }

    fn take(&mut self, to: usize, diff: &Diff) {
        let bytes = codec::encode_diff(diff);
        let diff = codec::decode_diff(&bytes).unwrap();
        self.replicas[to].apply_diff(&diff).unwrap();
    }

    fn step(&mut self) {
        let count = self.replicas.len();
        let (one, other) = (self.rng.below(count), self.rng.below(count));
        match self.rng.below(100) {
            0..35 => self.edit(one),
            35..85 => self.deliver(),
            85..93 => self.meet(one, other),
            // Restarts from what is at rest.
            93..97 => {
                let writer = self.replicas[one].writer();
                let loaded = Document::load(&self.replicas[one].snapshot()).unwrap();
                assert_eq!(dump(&loaded), dump(&self.replicas[one]));
                self.replicas[one] = loaded;
                self.replicas[one].set_writer(writer).unwrap();
            }
            // Forgets what it knew of the dead, without asking anybody.
            _ => self.replicas[one].truncate_removals(),
        }
    }

    fn settle(&mut self) {
        // What is still on its way arrives or not; then everybody meets everybody, there and back.
        for _ in 0..self.rng.below(self.parcels.len() + 1) {
            self.deliver();
        }
        let count = self.replicas.len();
        for to in 1..count {
            self.meet(to, 0);
        }
        for to in 1..count {
            self.meet(0, to);
        }
    }

    fn check(&self) {
        let first = &self.replicas[0];
        for replica in &self.replicas {
            assert_eq!(replica.version(), first.version());
            assert_eq!(dump(replica), dump(first));
            assert_eq!(replica.beacon(), first.beacon());
            assert_eq!(replica.heads(), first.heads());
            let edits = replica.grow_only_set(workload::EDITS);
            for number in 1..=self.edits {
                assert!(workload::shows(&edits, number), "edit {number} is lost");
            }
        }
        // The full tier says the same as all the deltas did.
        let mut fresh = Document::new();
        fresh.apply_diff(&first.diff_since(&VersionVector::new())).unwrap();
        assert_eq!(dump(&fresh), dump(first));
        assert_eq!(fresh.beacon(), first.beacon());
    }
}

#[test]
fn gossip_with_loss_repetition_and_reordering_converges() {
    let seeds: u64 = std::env::var("WEFTLINE_SEEDS").ok().and_then(|text| text.parse().ok()).unwrap_or(150);
    let (mut full_diffs, mut digest_diffs) = (0, 0);
    for seed in 0..seeds {
        println!("seed {seed}");
        let mut gossip = Gossip::new(seed, 2 + (seed % 4) as usize);
        for _ in 0..150 {
            gossip.step();
        }
        gossip.settle();
        gossip.check();
        full_diffs += gossip.full_diffs;
        digest_diffs += gossip.digest_diffs;
    }
    assert!(full_diffs > 0 && digest_diffs > 0, "every tier was used");
}

#[test]
fn offline_for_the_whole_history_and_back() {
    for seed in 0..20 {
        println!("seed {seed}");
        let mut gossip = Gossip::new(seed, 2);
        for _ in 0..60 {
            let at = gossip.rng.below(2);
            gossip.edit(at);
        }
        gossip.parcels.clear();
        // The one forgets its removals before they ever met: REM-3 moves the other to a costlier tier, never to a wrong answer.
        gossip.replicas[0].truncate_removals();
        gossip.meet(0, 1);
        gossip.meet(1, 0);
        gossip.check();
    }
}
