//! How values, paths and ids cross to JavaScript and back: as bytes. The other half is `js/codec.ts`.
//!
//! Numbers are LEB128, text is UTF-8 behind its length. Both halves are always of one build, so nothing is versioned, and
//! nothing of it is ever stored or sent. Reading is checked all the same, so that a mistake there is an error here, no trap.

use alloc::vec::Vec;

use weftline::{Dot, Kind, Path, PathStep, ReplicaId, Value};

use crate::error::Fault;

const NULL: u8 = 0;
const FALSE: u8 = 1;
const TRUE: u8 = 2;
/// An integer that a float holds exactly, as a float: what JavaScript handles fastest.
const SAFE: u8 = 3;
const FLOAT: u8 = 4;
const STRING: u8 = 5;
const BYTES: u8 = 6;
/// Any other integer of 64 bits.
const INT: u8 = 7;
/// A counter beyond 64 bits: the low half, then the high half.
const WIDE: u8 = 8;

/// 2^53 − 1: up to here floats hold every integer.
const MAX_SAFE: i64 = (1 << 53) - 1;

const ROOT: u8 = 0;
const KEY: u8 = 1;
const ELEMENT: u8 = 2;

/// Reads what JavaScript wrote. What cannot be read gives zero or nothing, and so does everything after it: whoever is about to
/// change something asks before. That is half the code of a check after each field.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Reader<'a> {
    rest: &'a [u8],
    is_failed: bool,
}

impl<'a> Reader<'a> {
    pub(crate) fn new(bytes: &'a [u8]) -> Self {
        Self { rest: bytes, is_failed: false }
    }

    /// Whether everything asked for was there.
    pub(crate) fn ok(&self) -> Result<(), Fault> {
        if self.is_failed { Err(Fault::argument()) } else { Ok(()) }
    }

    pub(crate) fn is_empty(&self) -> bool {
        self.rest.is_empty()
    }

    pub(crate) fn is_failed(&self) -> bool {
        self.is_failed
    }

    /// What was read makes no sense.
    #[cold]
    pub(crate) fn fail(&mut self) {
        *self = Self { rest: &[], is_failed: true };
    }

    fn take(&mut self, len: usize) -> &'a [u8] {
        match self.rest.split_at_checked(len) {
            Some((taken, rest)) => {
                self.rest = rest;
                taken
            }
            None => {
                self.fail();
                &[]
            }
        }
    }

    /// Eight bytes, as a number.
    fn word(&mut self) -> u64 {
        self.take(8).try_into().map(u64::from_le_bytes).unwrap_or_default()
    }

    /// Everything that is left.
    pub(crate) fn rest(&mut self) -> &'a [u8] {
        core::mem::take(&mut self.rest)
    }

    pub(crate) fn byte(&mut self) -> u8 {
        self.take(1).first().copied().unwrap_or_default()
    }

    pub(crate) fn uint(&mut self) -> u64 {
        let mut value = 0;
        for shift in (0..63).step_by(7) {
            let byte = self.byte();
            value |= u64::from(byte & 0x7f) << shift;
            if byte < 0x80 {
                return value;
            }
        }
        self.fail();
        0
    }

    /// An index or a length: beyond what fits it is out of range anyway.
    pub(crate) fn index(&mut self) -> usize {
        usize::try_from(self.uint()).unwrap_or(usize::MAX)
    }

    /// A number of things that follow, each in a byte at least.
    pub(crate) fn count(&mut self) -> usize {
        let count = self.index();
        if count > self.rest.len() {
            self.fail();
        }
        count.min(self.rest.len())
    }

    pub(crate) fn bytes(&mut self) -> &'a [u8] {
        let len = self.index();
        self.take(len)
    }

    pub(crate) fn text(&mut self) -> &'a str {
        core::str::from_utf8(self.bytes()).unwrap_or_else(|_| {
            self.fail();
            ""
        })
    }

    pub(crate) fn kind(&mut self) -> Kind {
        Kind(self.byte())
    }

    pub(crate) fn value(&mut self) -> Value {
        match self.byte() {
            NULL => Value::Null,
            FALSE => Value::Bool(false),
            TRUE => Value::Bool(true),
            SAFE => Value::Int(f64::from_bits(self.word()) as i64),
            FLOAT => Value::from(f64::from_bits(self.word())),
            STRING => Value::from(self.text()),
            BYTES => Value::from(self.bytes()),
            INT => Value::Int(self.word() as i64),
            _ => {
                self.fail();
                Value::Null
            }
        }
    }

    pub(crate) fn element(&mut self) -> Dot {
        let replica = ReplicaId::from_bytes(self.take(16).try_into().unwrap_or_default());
        Dot::new(replica, self.uint().min(Dot::MAX_SEQ))
    }

    pub(crate) fn path(&mut self) -> Path {
        let mut steps = Vec::new();
        for _ in 0..self.count() {
            steps.push(match self.byte() {
                ELEMENT => PathStep::Element(self.element()),
                step => {
                    let kind = self.kind();
                    let name = self.text().into();
                    if step == ROOT { PathStep::Root { kind, name } } else { PathStep::Key { kind, key: name } }
                }
            });
            if self.is_failed {
                break;
            }
        }
        Path::new(steps)
    }
}

/// Writes what JavaScript reads.
#[derive(Debug)]
pub(crate) struct Writer {
    bytes: Vec<u8>,
}

impl Writer {
    pub(crate) fn starting(byte: u8) -> Self {
        Self { bytes: Vec::from([byte]) }
    }

    pub(crate) fn into_bytes(self) -> Vec<u8> {
        self.bytes
    }

    pub(crate) fn byte(&mut self, value: u8) {
        self.bytes.push(value);
    }

    pub(crate) fn uint(&mut self, mut value: u64) {
        while value > 0x7f {
            self.bytes.push(value as u8 | 0x80);
            value >>= 7;
        }
        self.bytes.push(value as u8);
    }

    pub(crate) fn count(&mut self, value: usize) {
        self.uint(value as u64);
    }

    pub(crate) fn float(&mut self, value: f64) {
        self.raw(&value.to_le_bytes());
    }

    /// Bytes without a length, where the reader knows it or takes all.
    pub(crate) fn raw(&mut self, bytes: &[u8]) {
        self.bytes.extend_from_slice(bytes);
    }

    pub(crate) fn bytes(&mut self, bytes: &[u8]) {
        self.count(bytes.len());
        self.raw(bytes);
    }

    pub(crate) fn text(&mut self, text: &str) {
        self.bytes(text.as_bytes());
    }

    pub(crate) fn kind(&mut self, kind: Kind) {
        self.byte(kind.0);
    }

    pub(crate) fn value(&mut self, value: &Value) {
        match value {
            Value::Null => self.byte(NULL),
            Value::Bool(false) => self.byte(FALSE),
            Value::Bool(true) => self.byte(TRUE),
            Value::Int(number) => self.integer(i128::from(*number)),
            Value::Float(number) => {
                self.byte(FLOAT);
                self.float(*number);
            }
            Value::String(text) => {
                self.byte(STRING);
                self.text(text);
            }
            Value::Bytes(bytes) => {
                self.byte(BYTES);
                self.bytes(bytes);
            }
        }
    }

    pub(crate) fn integer(&mut self, number: i128) {
        match i64::try_from(number) {
            Ok(number) if number.unsigned_abs() <= MAX_SAFE.unsigned_abs() => {
                self.byte(SAFE);
                self.float(number as f64);
            }
            Ok(number) => {
                self.byte(INT);
                self.raw(&number.to_le_bytes());
            }
            Err(_) => {
                self.byte(WIDE);
                self.raw(&number.to_le_bytes());
            }
        }
    }

    /// A value that may be absent.
    pub(crate) fn optional(&mut self, value: Option<&Value>) {
        self.byte(u8::from(value.is_some()));
        if let Some(value) = value {
            self.value(value);
        }
    }

    pub(crate) fn values(&mut self, values: &[Value]) {
        self.count(values.len());
        for value in values {
            self.value(value);
        }
    }

    pub(crate) fn element(&mut self, dot: Dot) {
        self.raw(&dot.replica.to_bytes());
        self.uint(dot.seq);
    }

    pub(crate) fn path(&mut self, path: &Path) {
        self.count(path.steps().len());
        for step in path.steps() {
            match step {
                PathStep::Root { name, kind } => {
                    self.byte(ROOT);
                    self.kind(*kind);
                    self.text(name);
                }
                PathStep::Key { key, kind } => {
                    self.byte(KEY);
                    self.kind(*kind);
                    self.text(key);
                }
                PathStep::Element(dot) => {
                    self.byte(ELEMENT);
                    self.element(*dot);
                }
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_written_is_read_back() {
        let values = [
            Value::Null,
            Value::from(true),
            Value::from(MAX_SAFE),
            Value::from(-MAX_SAFE - 1),
            Value::from(i64::MIN),
            Value::from(0.5),
            Value::from("grün"),
            Value::from([1, 2].as_slice()),
        ];
        let dot = Dot::new(ReplicaId::from(7), 300);
        let key = PathStep::Key { key: "k".into(), kind: Kind::LIST };
        let path = Path::root("r", Kind::MAP).join(key).join(PathStep::Element(dot));
        let mut out = Writer::starting(0);
        values.iter().for_each(|value| out.value(value));
        out.path(&path);
        let bytes = out.into_bytes();
        let mut reader = Reader::new(&bytes[1..]);
        for value in &values {
            assert_eq!(reader.value(), *value);
        }
        assert_eq!(reader.path(), path);
        assert!(reader.is_empty());
        assert_eq!(reader.ok(), Ok(()));
    }

    #[test]
    fn truncated_and_overlong_input_is_an_error() {
        for bytes in [
            &[STRING, 5, b'a'][..],
            &[SAFE, 0],
            &[9],
            &[BYTES, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 1],
            &[],
        ] {
            let mut reader = Reader::new(bytes);
            reader.value();
            assert_eq!(reader.ok(), Err(Fault::argument()), "{bytes:?}");
            assert_eq!((reader.byte(), reader.text(), reader.is_empty()), (0, "", true), "what follows is empty");
        }
        for bytes in [&[1, 3][..], &[0xff, 0xff, 0xff, 0x7f]] {
            let mut reader = Reader::new(bytes);
            reader.path();
            assert_eq!(reader.ok(), Err(Fault::argument()));
        }
    }
}
