//! The golden vectors: read for ever, and made byte by byte as they are. The reader in another language is `cargo xtask test --only vectors`.

use std::fs;
use std::path::Path;

use weftline::{Delta, Document, Outcome};
use weftline_tests::vectors::{Kind, Vector, from_file, protocol, random, story};

/// The files of every version of the format, with their names.
fn files() -> Vec<(String, Vec<Vector>)> {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("vectors/v1");
    let names = fs::read_dir(&folder).expect("the vectors' folder").map(|file| file.expect("a file of it").path());
    let read = |path: &Path| {
        let text = fs::read_to_string(path).expect("a file of vectors");
        from_file(&text).unwrap_or_else(|error| panic!("{}: {error}", path.display()))
    };
    names.map(|path| (path.file_name().expect("a name").to_string_lossy().into_owned(), read(&path))).collect()
}

#[test]
fn every_vector_says_what_it_always_said_and_is_written_again_as_it_is() {
    let mut read = 0;
    for (file, vectors) in files() {
        for vector in vectors {
            let name = format!("{file}: {}", vector.name);
            let reading = vector.read().unwrap_or_else(|error| panic!("{name}: {error}"));
            assert_eq!(reading.content, vector.content, "{name}");
            assert!(reading.again == vector.bytes, "{name}: other bytes");
            read += 1;
        }
    }
    assert!(read > 40, "the vectors were found");
}

#[test]
fn what_this_version_writes_is_in_the_files() {
    let files = files();
    for (name, told) in [("story", story()), ("protocol", protocol::examples())] {
        let (_, kept) = files.iter().find(|(file, _)| *file == format!("{name}.json")).expect("a file for each");
        for (told, kept) in told.iter().zip(kept) {
            assert_eq!(
                told, kept,
                "{}: cargo run -p weftline-tests --bin vectors -- write tests/vectors/v1 {name}",
                told.name
            );
        }
        assert_eq!(told.len(), kept.len());
    }
}

/// The deltas of the files make the snapshot that is beside them.
#[test]
fn the_deltas_of_the_story_add_up_to_its_snapshot() {
    let story = story();
    let (at, whole) = story
        .iter()
        .enumerate()
        .find(|(_, vector)| vector.name == "the whole: snapshot")
        .expect("the story has a snapshot");
    let mut document = Document::new();
    for vector in story.iter().take(at).filter(|vector| vector.kind == Kind::Delta) {
        let delta = Delta::decode(&vector.bytes, vector.before.expect("a tag")).expect("a delta");
        assert_eq!(document.apply(&delta).expect("it applies").outcome, Outcome::Applied, "{}", vector.name);
    }
    let loaded = Document::load(&whole.bytes).expect("the snapshot loads");
    assert_eq!(loaded.version(), document.version());
    assert_eq!(loaded.beacon(), document.beacon());
    assert_eq!(loaded.to_json(), document.to_json());
    assert_eq!(Some(loaded.to_json()), whole.shows);
}

#[test]
fn random_histories_make_vectors_of_every_kind_but_cursors() {
    let vectors = random(3);
    for kind in [Kind::Delta, Kind::Diff, Kind::Snapshot, Kind::Version, Kind::Digest] {
        assert!(vectors.iter().any(|vector| vector.kind == kind), "{}", kind.name());
    }
}
