//! The harnesses of `core/fuzz` without a fuzzer: over the kept corpus, over valid messages, and over what chance makes of both.
//!
//! `WEFTLINE_SEEDS` says how many byte strings chance makes; a release build with a large number stands in for the fuzzer where there is
//! none. `WEFTLINE_CORPUS=write` writes the valid strings into the corpus, which is due when the format or a harness has changed.
#![cfg(feature = "testing")]

#[path = "common/allocations.rs"]
mod allocations;

use std::path::{Path, PathBuf};
use std::{env, fs, panic};

use allocations::peak_of;
use weftline::testing::{Random, fuzz};

/// As for every decoder: an entry takes about 350 bytes while it is read and at least one byte of input.
const FACTOR: usize = 512;
const CONSTANT: usize = 4096;
/// A spoiled string is soon nothing but the garbage in it.
const LONGEST: usize = 4096;

#[test]
fn seq_4_a_rope_is_as_the_sorted_list_whatever_bytes_say() {
    let mut random = Random::seeded(1);
    let kept = [kept("corpus/rope"), kept("crashes/rope"), fuzz::valid_ropes()].concat();
    kept.iter().for_each(|bytes| run(fuzz::rope, bytes));
    for nth in 0..seeds() {
        let bytes = if nth % 3 == 0 {
            (0..random.below(1000)).map(|_| random.next_u64() as u8).collect()
        } else {
            spoil(&kept, &mut random)
        };
        run(fuzz::rope, &bytes);
    }
}

#[test]
fn bytes_1_messages_with_positions_are_refused_or_taken_in_whole() {
    let mut random = Random::seeded(2);
    let kept = [kept("corpus/positions"), kept("crashes/positions"), fuzz::valid_positions()].concat();
    kept.iter().for_each(|bytes| run(fuzz::positions, bytes));
    let mut read = 0;
    for _ in 0..4 * seeds() {
        let bytes = spoil(&kept, &mut random);
        let peak = peak_of(|| read += usize::from(fuzz::decode(&bytes)));
        assert!(peak <= FACTOR * bytes.len() + CONSTANT, "{peak} bytes for {}", hex(&bytes));
        run(fuzz::positions, &bytes);
    }
    assert!(read > seeds() / 10, "only {read} spoiled messages could be read");
}

#[test]
fn the_corpus_is_kept_for_both_targets() {
    let valid = [("rope", fuzz::valid_ropes()), ("positions", fuzz::valid_positions())];
    for (target, valid) in valid {
        let folder = root().join("corpus").join(target);
        if env::var("WEFTLINE_CORPUS").is_ok_and(|wish| wish == "write") {
            fs::create_dir_all(&folder).expect("the folder can be made");
            for (nth, bytes) in valid.iter().enumerate() {
                fs::write(folder.join(format!("valid-{nth:02}")), bytes).expect("it can be written");
            }
        }
        let kept = kept(&format!("corpus/{target}"));
        let lacks = valid.iter().filter(|bytes| !kept.contains(bytes)).count();
        assert_eq!(lacks, 0, "{} lacks what is valid now: WEFTLINE_CORPUS=write writes it", folder.display());
    }
}

fn seeds() -> usize {
    env::var("WEFTLINE_SEEDS").map_or(200, |seeds| seeds.parse().expect("a number"))
}

/// Runs a harness, and says on which bytes it panicked.
fn run(harness: fn(&[u8]), bytes: &[u8]) {
    if let Err(panicked) = panic::catch_unwind(|| harness(bytes)) {
        eprintln!("on the bytes {}", hex(bytes));
        panic::resume_unwind(panicked);
    }
}

fn hex(bytes: &[u8]) -> String {
    bytes.iter().map(|byte| format!("{byte:02x}")).collect()
}

fn root() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("fuzz")
}

/// The byte strings that are kept in a folder of `core/fuzz`; none where there is no such folder.
fn kept(folder: &str) -> Vec<Vec<u8>> {
    let Ok(entries) = fs::read_dir(root().join(folder)) else { return Vec::new() };
    let mut paths: Vec<PathBuf> = entries.map(|entry| entry.expect("the folder can be listed").path()).collect();
    paths.sort();
    paths.iter().map(|path| fs::read(path).expect("it can be read")).collect()
}

/// One of the strings with a few bytes changed, lost, doubled, or taken from another one.
fn spoil(kept: &[Vec<u8>], random: &mut Random) -> Vec<u8> {
    let mut bytes = random.pick(kept).clone();
    for _ in 0..=random.below(3) {
        let at = random.below(bytes.len() + 1);
        match random.below(7) {
            0 if at < bytes.len() => bytes[at] ^= 1 << random.below(8),
            1 if at < bytes.len() => bytes[at] = random.next_u64() as u8,
            2 if at < bytes.len() => bytes[at] = bytes[at].wrapping_add(1),
            3 if at < bytes.len() => drop(bytes.remove(at)),
            4 => bytes.insert(at, random.below(8) as u8),
            5 => {
                let other = random.pick(kept);
                let from = random.below(other.len() + 1);
                let piece = &other[from..(from + random.below(16)).min(other.len())];
                bytes.splice(at..at, piece.iter().copied());
            }
            _ if random.one_in(4) => bytes.truncate(at),
            _ => {}
        }
    }
    bytes.truncate(LONGEST);
    bytes
}
