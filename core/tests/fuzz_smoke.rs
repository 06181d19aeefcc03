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

/// A harness, what it is called, and what it begins with.
struct Target {
    name: &'static str,
    harness: fn(&[u8]),
    valid: fn() -> Vec<Vec<u8>>,
    /// So many of its byte strings are as dear as one of the others.
    share: usize,
}

const TARGETS: [Target; 6] = [
    Target { name: "rope", harness: fuzz::rope, valid: fuzz::valid_ropes, share: 1 },
    Target { name: "positions", harness: fuzz::positions, valid: fuzz::valid_positions, share: 4 },
    Target { name: "decoders", harness: fuzz::decoders, valid: fuzz::valid_decoders, share: 20 },
    Target { name: "snapshot", harness: fuzz::snapshot, valid: fuzz::valid_snapshots, share: 4 },
    Target { name: "apply", harness: fuzz::apply, valid: fuzz::valid_applies, share: 1 },
    Target { name: "session", harness: fuzz::session, valid: fuzz::valid_sessions, share: 1 },
];

#[test]
fn seq_4_a_rope_is_as_the_sorted_list_whatever_bytes_say() {
    smoke("rope");
}

#[test]
fn bytes_2_what_any_decoder_reads_is_written_as_it_was() {
    smoke("decoders");
}

#[test]
fn bytes_1_documents_at_rest_are_refused_or_work() {
    smoke("snapshot");
}

#[test]
fn valid_1_documents_outlive_what_strangers_write() {
    smoke("apply");
}

#[test]
fn dur_1_replicas_outlive_what_relays_say() {
    smoke("session");
}

#[test]
fn bytes_1_messages_with_positions_are_refused_or_taken_in_whole() {
    let kept = smoke("positions");
    let mut random = Random::seeded(2);
    let mut read = 0;
    for _ in 0..4 * seeds() {
        let bytes = spoil(&kept, &mut random);
        let peak = peak_of(|| read += usize::from(fuzz::decode(&bytes)));
        assert!(peak <= FACTOR * bytes.len() + CONSTANT, "{peak} bytes for {}", hex(&bytes));
    }
    assert!(read > seeds() / 10, "only {read} spoiled messages could be read");
}

#[test]
fn every_target_of_the_fuzzer_is_tried_here_and_keeps_what_is_valid_now() {
    let names = |folder: &str| {
        let entries = fs::read_dir(root().join(folder)).expect("the folder can be listed");
        let mut names: Vec<String> =
            entries.map(|entry| entry.expect("it can be listed").file_name().to_string_lossy().into_owned()).collect();
        names.sort();
        names
    };
    let mut sources: Vec<String> = TARGETS.iter().map(|target| format!("{}.rs", target.name)).collect();
    sources.sort();
    assert_eq!(names("fuzz_targets"), sources);
    for target in &TARGETS {
        let folder = root().join("corpus").join(target.name);
        let valid = (target.valid)();
        if env::var("WEFTLINE_CORPUS").is_ok_and(|wish| wish == "write") {
            _ = fs::remove_dir_all(&folder);
            fs::create_dir_all(&folder).expect("the folder can be made");
            // Named by what is in them, so that what two people add does not get the same name.
            for bytes in &valid {
                let name = bytes.iter().fold(bytes.len() as u64, |hash, byte| {
                    (hash ^ u64::from(*byte)).wrapping_mul(0x0100_0000_01b3).rotate_left(23)
                });
                fs::write(folder.join(format!("valid-{name:016x}")), bytes).expect("it can be written");
            }
        }
        let kept = kept(&format!("corpus/{}", target.name));
        let lacks = valid.iter().filter(|bytes| !kept.contains(bytes)).count();
        assert_eq!(lacks, 0, "{} lacks what is valid now: WEFTLINE_CORPUS=write writes it", folder.display());
    }
}

/// Runs a harness over what is kept, and over what chance makes of that and of nothing; gives what is kept.
fn smoke(name: &str) -> Vec<Vec<u8>> {
    let target = TARGETS.iter().find(|target| target.name == name).expect("it is a target");
    let kept = [kept(&format!("corpus/{name}")), kept(&format!("crashes/{name}")), (target.valid)()].concat();
    kept.iter().for_each(|bytes| run(target.harness, bytes));
    let mut random = Random::seeded(1);
    for nth in 0..target.share * seeds() {
        let bytes = if nth % 5 == 0 {
            (0..random.below(1000)).map(|_| random.next_u64() as u8).collect()
        } else {
            spoil(&kept, &mut random)
        };
        run(target.harness, &bytes);
    }
    kept
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
