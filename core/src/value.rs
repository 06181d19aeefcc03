//! Plain values: what registers, set members and list elements hold.
//!
//! A Rust type becomes a value by `From` and comes back by `TryFrom<&Value>`, which is what the typed readers
//! ([`MapRef::get_as`](crate::MapRef::get_as) and its siblings) go through.

use alloc::string::String;
use alloc::sync::Arc;
use alloc::vec::Vec;
use core::cmp::Ordering;
use core::fmt;

use crate::hash::Seed;
use crate::string::Str;

/// A plain value, of 24 bytes. Cloning is cheap: long text and bytes are shared.
///
/// ```
/// # use weftline::Value;
/// let title = Value::from("buy milk");
/// assert_eq!(title.as_str(), Some("buy milk"));
/// assert_eq!(i64::try_from(&Value::from(3)), Ok(3));
/// assert!(i64::try_from(&title).is_err());
/// assert!(Value::from(2) < Value::from(1.5)); // integers before floats: an order, not arithmetic
/// ```
///
/// Values are totally ordered, first by type in the order of the variants, so that sets list their members the same way
/// everywhere. Floats are ordered by [`f64::total_cmp`]; every NaN is one canonical NaN.
#[derive(Clone)]
pub enum Value {
    /// Nothing.
    Null,
    /// True or false.
    Bool(bool),
    /// A 64-bit integer.
    Int(i64),
    /// A 64-bit float. Build it with [`Value::from`], which makes every NaN the canonical one.
    Float(f64),
    /// Text.
    String(Str),
    /// Bytes.
    Bytes(Arc<[u8]>),
}

impl Value {
    /// The text, if it is a string.
    pub fn as_str(&self) -> Option<&str> {
        if let Self::String(text) = self { Some(text) } else { None }
    }

    /// The number, if it is an integer. A float is none, also where it is a whole number.
    pub fn as_int(&self) -> Option<i64> {
        if let Self::Int(number) = self { Some(*number) } else { None }
    }

    /// The truth value, if it is one.
    pub fn as_bool(&self) -> Option<bool> {
        if let Self::Bool(truth) = self { Some(*truth) } else { None }
    }

    /// The number, if it is a float. An integer is none; `f64::try_from(&value)` takes both.
    pub fn as_float(&self) -> Option<f64> {
        if let Self::Float(number) = self { Some(*number) } else { None }
    }

    /// Whether it is [`Value::Null`].
    pub fn is_null(&self) -> bool {
        matches!(self, Self::Null)
    }

    /// The bytes, if it is bytes.
    pub fn as_bytes(&self) -> Option<&[u8]> {
        if let Self::Bytes(bytes) = self { Some(bytes) } else { None }
    }

    /// How many bytes the content takes: what limits count.
    pub fn byte_len(&self) -> usize {
        match self {
            Self::Null | Self::Bool(_) => 1,
            Self::Int(_) | Self::Float(_) => 8,
            Self::String(text) => text.len(),
            Self::Bytes(bytes) => bytes.len(),
        }
    }

    /// Its hash in a table with this seed. Equal values have equal hashes.
    pub(crate) fn hash(&self, seed: Seed) -> u32 {
        let kind = 8 + self.rank();
        match self {
            Self::Null => 0,
            Self::Bool(truth) => 1 + u32::from(*truth),
            Self::Int(number) => seed.hash(kind, &number.to_le_bytes()),
            Self::Float(number) => seed.hash(kind, &canonical(*number).to_bits().to_le_bytes()),
            Self::String(text) => seed.hash(kind, text.as_bytes()),
            Self::Bytes(bytes) => seed.hash(kind, bytes),
        }
    }

    /// What it is called in messages.
    pub const fn type_name(&self) -> &'static str {
        match self {
            Self::Null => "null",
            Self::Bool(_) => "bool",
            Self::Int(_) => "int",
            Self::Float(_) => "float",
            Self::String(_) => "string",
            Self::Bytes(_) => "bytes",
        }
    }

    pub(crate) fn rank(&self) -> u8 {
        match self {
            Self::Null => 0,
            Self::Bool(_) => 1,
            Self::Int(_) => 2,
            Self::Float(_) => 3,
            Self::String(_) => 4,
            Self::Bytes(_) => 5,
        }
    }
}

impl Ord for Value {
    fn cmp(&self, other: &Self) -> Ordering {
        match (self, other) {
            (Self::Bool(a), Self::Bool(b)) => a.cmp(b),
            (Self::Int(a), Self::Int(b)) => a.cmp(b),
            (Self::Float(a), Self::Float(b)) => canonical(*a).total_cmp(&canonical(*b)),
            (Self::String(a), Self::String(b)) => a.cmp(b),
            (Self::Bytes(a), Self::Bytes(b)) => a.cmp(b),
            _ => self.rank().cmp(&other.rank()),
        }
    }
}

impl PartialOrd for Value {
    fn partial_cmp(&self, other: &Self) -> Option<Ordering> {
        Some(self.cmp(other))
    }
}

impl PartialEq for Value {
    fn eq(&self, other: &Self) -> bool {
        self.cmp(other) == Ordering::Equal
    }
}

impl Eq for Value {}

fn canonical(number: f64) -> f64 {
    if number.is_nan() { f64::NAN } else { number }
}

impl fmt::Debug for Value {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Null => f.write_str("null"),
            Self::Bool(truth) => write!(f, "{truth}"),
            Self::Int(number) => write!(f, "{number}"),
            Self::Float(number) => write!(f, "{number:?}"),
            Self::String(text) => write!(f, "{text:?}"),
            Self::Bytes(bytes) => write!(f, "{bytes:?}"),
        }
    }
}

impl From<()> for Value {
    fn from((): ()) -> Self {
        Self::Null
    }
}

impl From<bool> for Value {
    fn from(truth: bool) -> Self {
        Self::Bool(truth)
    }
}

impl From<i64> for Value {
    fn from(number: i64) -> Self {
        Self::Int(number)
    }
}

impl From<i32> for Value {
    fn from(number: i32) -> Self {
        Self::Int(number.into())
    }
}

impl From<u32> for Value {
    fn from(number: u32) -> Self {
        Self::Int(number.into())
    }
}

impl From<f64> for Value {
    fn from(number: f64) -> Self {
        Self::Float(canonical(number))
    }
}

impl From<&str> for Value {
    fn from(text: &str) -> Self {
        Self::String(text.into())
    }
}

impl From<String> for Value {
    fn from(text: String) -> Self {
        Self::String(text.into())
    }
}

impl From<&[u8]> for Value {
    fn from(bytes: &[u8]) -> Self {
        Self::Bytes(bytes.into())
    }
}

impl From<&Value> for Value {
    /// A clone, which shares text and bytes.
    fn from(value: &Value) -> Self {
        value.clone()
    }
}

/// A plain value is not of the Rust type that was asked for, or is a number outside of its range.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("a value of Rust's type {expected} was expected, this is a {found}")]
pub struct WrongType {
    /// The Rust type.
    pub expected: &'static str,
    /// What the value is: [`Value::type_name`].
    pub found: &'static str,
}

macro_rules! from_value {
    ($($type:ty, $name:literal, $what:literal, $value:ident => $result:expr;)*) => {$(
        impl<'v> TryFrom<&'v Value> for $type {
            type Error = WrongType;

            #[doc = $what]
            fn try_from($value: &'v Value) -> Result<Self, WrongType> {
                let found = $value.type_name();
                $result.ok_or(WrongType { expected: $name, found })
            }
        }
    )*};
}

from_value! {
    bool, "bool", "From a truth value.", value => value.as_bool();
    i64, "i64", "From an integer.", value => value.as_int();
    i32, "i32", "From an integer in range.", value => value.as_int().and_then(|number| number.try_into().ok());
    u32, "u32", "From an integer in range.", value => value.as_int().and_then(|number| number.try_into().ok());
    u64, "u64", "From an integer that is not negative.", value => value.as_int().and_then(|number| number.try_into().ok());
    f64, "f64", "From a float, and from an integer that a float holds exactly: JavaScript writes whole numbers as integers.",
        value => value.as_float().or_else(|| exact(value.as_int()?));
    &'v str, "&str", "From text.", value => value.as_str();
    &'v [u8], "&[u8]", "From bytes.", value => value.as_bytes();
    String, "String", "From text, copied.", value => value.as_str().map(Into::into);
    Vec<u8>, "Vec<u8>", "From bytes, copied.", value => value.as_bytes().map(Into::into);
    Str, "Str", "From text, shared.", value => if let Value::String(text) = value { Some(text.clone()) } else { None };
    Arc<[u8]>, "Arc<[u8]>", "From bytes, shared.", value => if let Value::Bytes(bytes) = value { Some(bytes.clone()) } else { None };
}

/// Beyond 2^53 two integers share a float.
fn exact(number: i64) -> Option<f64> {
    (number.unsigned_abs() <= 1 << 53).then_some(number as f64)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_value_comes_back_as_what_it_was() {
        assert_eq!(bool::try_from(&Value::from(true)), Ok(true));
        assert_eq!(i64::try_from(&Value::from(-7)), Ok(-7));
        assert_eq!(u64::try_from(&Value::from(i64::MAX)), Ok(i64::MAX as u64));
        assert_eq!(f64::try_from(&Value::from(0.5)), Ok(0.5));
        assert_eq!(<&str>::try_from(&Value::from("é")), Ok("é"));
        assert_eq!(String::try_from(&Value::from("é")), Ok("é".into()));
        assert_eq!(<&[u8]>::try_from(&Value::from(&[0, 255][..])), Ok(&[0, 255][..]));
        let text = Value::from("shared");
        let shared = Str::try_from(&text).expect("it is text");
        assert_eq!(text.as_str(), Some(shared.as_str()));
    }

    #[test]
    fn a_whole_number_is_a_float_only_where_nothing_is_lost() {
        assert_eq!(f64::try_from(&Value::from(-3)), Ok(-3.0));
        assert_eq!(f64::try_from(&Value::from(1_i64 << 53)), Ok(9_007_199_254_740_992.0));
        for number in [(1_i64 << 53) + 1, i64::MAX, i64::MIN] {
            assert_eq!(f64::try_from(&Value::from(number)), Err(WrongType { expected: "f64", found: "int" }));
        }
        assert!(i64::try_from(&Value::from(3.0)).is_err(), "a float is no integer");
    }

    #[test]
    fn another_type_and_another_range_are_told() {
        assert_eq!(i64::try_from(&Value::from("7")), Err(WrongType { expected: "i64", found: "string" }));
        assert!(u64::try_from(&Value::from(-1)).is_err());
        assert!(u32::try_from(&Value::from(1_i64 << 32)).is_err());
        assert!(i32::try_from(&Value::from(i64::MIN)).is_err());
        assert!(<&str>::try_from(&Value::Null).is_err());
        assert!(bool::try_from(&Value::from(1)).is_err());
    }
}
