//! Max and min registers: one value that only grows, or only shrinks, in the order of values.
//!
//! What is read is the greatest (least) of the live entries, so no clock decides anything. A write that would not change
//! what is read writes nothing; any other replaces all that it has seen, each entry in its own incarnation, so that what was
//! written concurrently is all that is ever kept beside the value itself.
//!
//! Not here: registers that take whatever is written last, in [`crate::RegisterRef`].

use core::cmp::Ordering;

use super::{At, AtMut};
use crate::document::{Content, DotsRef, EditError};
use crate::store::{Kind, LocalSlot, Payload};
use crate::value::Value;

fn dots(at: At<'_>) -> DotsRef<'_> {
    if let Some(Content::Unit(dots)) = at.content() { dots.view() } else { DotsRef::None }
}

/// The value that comes out `best` of a comparison with any other.
fn extreme(at: At<'_>, best: Ordering) -> Option<&Value> {
    at.state().extreme(dots(at), best)
}

fn write(at: &mut AtMut<'_, '_>, value: Value, best: Ordering) -> Result<bool, EditError> {
    if extreme(at.read(), best).is_some_and(|now| value.cmp(now) != best) {
        return Ok(false);
    }
    let observed = dots(at.read()).to_vec();
    at.replace(&observed, |_| LocalSlot::Unit, Kind::REGISTER, Payload::Value(value))?;
    Ok(true)
}

macro_rules! extreme_register {
    ($reader:ident, $editor:ident, $write:ident, $best:expr, $kind:literal, $most:literal) => {
        #[doc = concat!("A ", $kind, " register, to read: the ", $most, " value that was written.")]
        #[derive(Clone, Copy)]
        pub struct $reader<'d> {
            at: At<'d>,
        }

        impl<'d> $reader<'d> {
            pub(super) fn at(at: At<'d>) -> Self {
                Self { at }
            }

            #[doc = concat!("The ", $most, " value that was written, in the order of [`Value`]; nothing if there is none.")]
            /// O(concurrent writes).
            pub fn get(&self) -> Option<Value> {
                self.get_ref().cloned()
            }

            /// The same, borrowed. O(concurrent writes).
            pub fn get_ref(&self) -> Option<&'d Value> {
                extreme(self.at, $best)
            }

            /// The same, as a Rust type; nothing if it is of another type. O(concurrent writes).
            pub fn get_as<T: TryFrom<&'d Value>>(&self) -> Option<T> {
                T::try_from(self.get_ref()?).ok()
            }
        }

        #[doc = concat!("A ", $kind, " register, to edit.")]
        #[derive(Debug)]
        pub struct $editor<'t, 'd> {
            at: AtMut<'t, 'd>,
        }

        impl<'t, 'd> $editor<'t, 'd> {
            pub(super) fn at(at: AtMut<'t, 'd>) -> Self {
                Self { at }
            }

            /// The register as it is now, to read.
            pub fn read(&self) -> $reader<'_> {
                $reader::at(self.at.read())
            }

            #[doc = concat!("Makes `value` the value if that is then the ", $most, " one, and says whether that changed anything.")]
            /// Otherwise nothing is written. O(log n).
            ///
            /// # Errors
            /// When the transaction is full.
            pub fn $write(&mut self, value: impl Into<Value>) -> Result<bool, EditError> {
                write(&mut self.at, value.into(), $best)
            }
        }
    };
}

extreme_register!(MaxRegisterRef, MaxRegisterMut, raise, Ordering::Greater, "max", "greatest");
extreme_register!(MinRegisterRef, MinRegisterMut, lower, Ordering::Less, "min", "least");
