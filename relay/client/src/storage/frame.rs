//! Frames: how groups of records lie in a log or snapshot file.
//!
//! A file is a header and then frames, one per atomic group of items. A frame is whole or it is not there: its
//! checksum covers its own place in the file, so that bytes which only look like a frame (a value may hold anything)
//! are not one.
//!
//! ```text
//! header  magic "weftline" (8) · format version u32 · kind u32 (1 log, 2 snapshot)
//! frame   magic "WFfr" (4) · payload length u32 · synced u64 · crc32 u32 · payload
//! payload (item length u32 · item)*      the crc32 covers offset, length, synced and payload
//! ```
//! All numbers are little-endian. `synced` is the end of what had reached stable storage when the frame was written.
//! It decides what a damaged place means: if a later frame says that the place had been synced, stored data was
//! destroyed and nobody should guess; if none does, the power failed before the sync and what follows was promised to
//! nobody.
//!
//! Not here: files; that is [`super::log`].

/// Length of the file header.
pub(crate) const FILE_HEADER_LEN: usize = 16;
/// Length of what stands before a frame's payload.
pub(crate) const FRAME_HEADER_LEN: usize = 20;

const FILE_MAGIC: &[u8; 8] = b"weftline";
const FORMAT_VERSION: u32 = 1;
const FRAME_MAGIC: &[u8; 4] = b"WFfr";

/// Which kind of file a header announces.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum FileKind {
    /// A log: frames are appended.
    Log = 1,
    /// A snapshot: one frame, written once.
    Snapshot = 2,
}

/// What the first bytes of a file are.
#[derive(Debug, PartialEq, Eq)]
pub(crate) enum Header {
    /// A file of the expected kind, in the version this build writes.
    Valid,
    /// Too short, or zero in parts: its creation was cut off before the first sync.
    Unwritten,
    /// Something else: another program's file, another kind, a newer version.
    Foreign,
}

/// The bytes every file of this kind starts with.
pub(crate) fn file_header(kind: FileKind) -> [u8; FILE_HEADER_LEN] {
    let mut header = [0; FILE_HEADER_LEN];
    header[..8].copy_from_slice(FILE_MAGIC);
    header[8..12].copy_from_slice(&FORMAT_VERSION.to_le_bytes());
    header[12..].copy_from_slice(&(kind as u32).to_le_bytes());
    header
}

/// Judges the first bytes of a file.
pub(crate) fn read_header(bytes: &[u8], kind: FileKind) -> Header {
    match bytes.get(..FILE_HEADER_LEN) {
        None => Header::Unwritten,
        Some(start) if start == file_header(kind) => Header::Valid,
        Some(start) if start.iter().zip(file_header(kind)).all(|(&byte, wanted)| byte == 0 || byte == wanted) => {
            Header::Unwritten
        }
        Some(_) => Header::Foreign,
    }
}

/// Appends one item to a payload under construction.
pub(crate) fn push_item(payload: &mut Vec<u8>, item: &[u8]) {
    let length = u32::try_from(item.len()).expect("an item is far below 4 GiB: deltas and snapshots have limits");
    payload.extend_from_slice(&length.to_le_bytes());
    payload.extend_from_slice(item);
}

/// The items of a payload whose checksum was right; `None` if it is not made of whole items.
pub(crate) fn items(payload: &[u8]) -> Option<Vec<&[u8]>> {
    let mut found = Vec::new();
    let mut rest = payload;
    while !rest.is_empty() {
        let (length, after) = rest.split_first_chunk::<4>()?;
        let length = u32::from_le_bytes(*length) as usize;
        found.push(after.get(..length)?);
        rest = &after[length..];
    }
    Some(found)
}

/// Appends to `out` the frame that will stand at `offset` of its file.
pub(crate) fn push_frame(out: &mut Vec<u8>, offset: u64, synced: u64, payload: &[u8]) {
    let length = u32::try_from(payload.len()).expect("a frame is far below 4 GiB: deltas and snapshots have limits");
    out.extend_from_slice(FRAME_MAGIC);
    out.extend_from_slice(&length.to_le_bytes());
    out.extend_from_slice(&synced.to_le_bytes());
    out.extend_from_slice(&checksum(offset, length, synced, payload).to_le_bytes());
    out.extend_from_slice(payload);
}

/// What lies in a file after its header.
#[derive(Debug)]
pub(crate) struct Scan<'a> {
    /// Every whole frame from the start on: where it begins, and its payload.
    pub(crate) frames: Vec<(u64, &'a [u8])>,
    /// Where the whole frames end.
    pub(crate) end: u64,
    /// What stands there.
    pub(crate) rest: Rest,
}

/// What follows the last whole frame.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Rest {
    /// Nothing: the file ends with a whole frame.
    Nothing,
    /// Bytes that were never confirmed as stored; they may be cut off.
    Torn,
    /// Bytes that were stored and are not readable any more.
    Corrupt,
}

/// Reads the frames of a whole file, whose header was already judged. Starts at `from`, which must be where a frame
/// begins.
pub(crate) fn scan(file: &[u8], from: u64) -> Scan<'_> {
    let mut frames = Vec::new();
    let mut at = usize::try_from(from).unwrap_or(usize::MAX);
    while let Some((payload, _)) = frame_at(file, at) {
        frames.push((at as u64, payload));
        at += FRAME_HEADER_LEN + payload.len();
    }
    let rest = if at >= file.len() {
        Rest::Nothing
    } else if (at + 1..file.len()).filter_map(|later| frame_at(file, later)).any(|(_, synced)| synced > at as u64) {
        Rest::Corrupt
    } else {
        Rest::Torn
    };
    Scan { frames, end: at as u64, rest }
}

/// The payload of the frame at `at` and how much was synced when it was written, if a whole frame stands there.
fn frame_at(file: &[u8], at: usize) -> Option<(&[u8], u64)> {
    let header = file.get(at..)?.first_chunk::<FRAME_HEADER_LEN>()?;
    if header[..4] != *FRAME_MAGIC {
        return None;
    }
    let length = u32::from_le_bytes(header[4..8].try_into().ok()?);
    let synced = u64::from_le_bytes(header[8..16].try_into().ok()?);
    let expected = u32::from_le_bytes(header[16..].try_into().ok()?);
    let payload = file.get(at + FRAME_HEADER_LEN..)?.get(..length as usize)?;
    let whole = checksum(at as u64, length, synced, payload) == expected || faulty!(ChecksumIgnored);
    whole.then_some((payload, synced))
}

fn checksum(offset: u64, length: u32, synced: u64, payload: &[u8]) -> u32 {
    let mut hasher = crc32fast::Hasher::new();
    hasher.update(&offset.to_le_bytes());
    hasher.update(&length.to_le_bytes());
    hasher.update(&synced.to_le_bytes());
    hasher.update(payload);
    hasher.finalize()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn file(frames: &[(&[u8], u64)]) -> Vec<u8> {
        let mut bytes = file_header(FileKind::Log).to_vec();
        for (payload, synced) in frames {
            let offset = bytes.len() as u64;
            push_frame(&mut bytes, offset, *synced, payload);
        }
        bytes
    }

    #[test]
    fn items_come_back_as_they_were_put_in() {
        let mut payload = Vec::new();
        for item in [&b"one"[..], b"", b"three"] {
            push_item(&mut payload, item);
        }
        assert_eq!(items(&payload), Some(vec![&b"one"[..], b"", b"three"]));
        assert_eq!(items(&payload[..payload.len() - 1]), None);
    }

    #[test]
    fn every_cut_of_the_last_frame_leaves_the_frames_before_it() {
        let whole = file(&[(b"first", 16), (b"second", 16), (b"third", 16)]);
        let last = whole.len() - FRAME_HEADER_LEN - b"third".len();
        for cut in last..whole.len() {
            let scan = scan(&whole[..cut], FILE_HEADER_LEN as u64);
            assert_eq!(scan.frames.len(), 2, "cut at {cut}");
            assert_eq!(scan.end, last as u64);
            assert_eq!(scan.rest, if cut == last { Rest::Nothing } else { Rest::Torn });
        }
    }

    #[test]
    fn every_changed_byte_of_a_synced_frame_is_corruption() {
        let first_end = FILE_HEADER_LEN + FRAME_HEADER_LEN + b"first".len();
        let whole = file(&[(b"first", 16), (b"second", first_end as u64)]);
        for at in FILE_HEADER_LEN..first_end {
            let mut damaged = whole.clone();
            damaged[at] ^= 0x55;
            let scan = scan(&damaged, FILE_HEADER_LEN as u64);
            assert_eq!((scan.end, scan.rest), (FILE_HEADER_LEN as u64, Rest::Corrupt), "changed byte {at}");
        }
    }

    #[test]
    fn a_lost_page_before_the_first_sync_is_a_torn_tail() {
        // Both frames were written, neither was synced, and the disk stored only the later one.
        let mut whole = file(&[(b"first", 16), (b"second", 16)]);
        whole[FILE_HEADER_LEN..FILE_HEADER_LEN + FRAME_HEADER_LEN].fill(0);
        let scan = scan(&whole, FILE_HEADER_LEN as u64);
        assert_eq!((scan.frames.len(), scan.end, scan.rest), (0, FILE_HEADER_LEN as u64, Rest::Torn));
    }

    #[test]
    fn a_frame_inside_a_value_is_not_taken_for_one_of_the_file() {
        // A stored value that holds a frame as it would stand at the start of a file, claiming that everything was
        // synced.
        let mut inner = Vec::new();
        push_frame(&mut inner, FILE_HEADER_LEN as u64, u64::MAX, b"inner");
        let mut whole = file(&[(b"first", 16), (&inner, 16)]);
        let torn = FILE_HEADER_LEN + FRAME_HEADER_LEN + b"first".len();
        whole[torn] = 0;
        let scan = scan(&whole, FILE_HEADER_LEN as u64);
        assert_eq!((scan.frames.len(), scan.rest), (1, Rest::Torn));
    }

    #[test]
    fn headers_are_judged() {
        let header = file_header(FileKind::Log);
        assert_eq!(read_header(&header, FileKind::Log), Header::Valid);
        assert_eq!(read_header(&header, FileKind::Snapshot), Header::Foreign);
        assert_eq!(read_header(&header[..7], FileKind::Log), Header::Unwritten);
        assert_eq!(read_header(&[0; 40], FileKind::Log), Header::Unwritten);
        assert_eq!(read_header(&[&[0; 5], &header[5..]].concat(), FileKind::Log), Header::Unwritten);
        assert_eq!(read_header(b"#!/bin/sh and so on", FileKind::Log), Header::Foreign);
    }
}
