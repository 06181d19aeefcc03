//! Faults: mistakes that an implementation could make, turned on by the tests to show that they would be noticed.
//!
//! A fault is one line in `list`, and one `if fault::active(Fault::…)` where the mistake would be made. One build holds
//! them all; which one is on is chosen at run time: for a whole process by the variable `WEFTLINE_FAULT`, which is how
//! `cargo xtask mutants` runs the ordinary tests against each of them, or for a thread by [`with_fault`]. Outside of tests
//! [`active`] is `false` at compile time, and nothing of this is left.
//!
//! Rules: every fault names the one that it breaks. The table in `docs/rules.md` is written by `cargo xtask mutants --write`.

/// Makes the enum of all faults, their names and their texts from one list, so that they cannot drift apart.
macro_rules! faults {
    ($($(#[doc = $text:literal])+ $name:ident $(equivalent $why:literal)?,)*) => {
        /// A mistake an implementation could make. Named after what it does wrong; its text names the rule it breaks.
        #[derive(Clone, Copy, Debug, PartialEq, Eq)]
        #[non_exhaustive]
        pub enum Fault {
            $($(#[doc = $text])+ $name,)*
        }

        #[cfg(any(test, feature = "testing"))]
        impl Fault {
            /// Every fault there is.
            pub const ALL: &'static [Self] = &[$(Self::$name),*];

            /// Its name, as in the source.
            pub const fn name(self) -> &'static str {
                match self {
                    $(Self::$name => stringify!($name),)*
                }
            }
        }

        #[cfg(feature = "testing")]
        impl Fault {
            /// What it does wrong: the rule it breaks, a colon, and how.
            pub const fn text(self) -> &'static str {
                let text = match self {
                    $(Self::$name => concat!($($text),+),)*
                };
                text.trim_ascii()
            }

            /// Why no test can notice it, for one that breaks nothing.
            pub const fn equivalent(self) -> Option<&'static str> {
                match self {
                    $(Self::$name => optional!($($why)?),)*
                }
            }
        }
    };
}

#[cfg(feature = "testing")]
macro_rules! optional {
    () => {
        None
    };
    ($value:literal) => {
        Some($value)
    };
}

mod list;

pub use list::Fault;

#[cfg(not(any(test, feature = "testing")))]
#[inline]
pub const fn active(_: Fault) -> bool {
    false
}

#[cfg(all(test, not(feature = "testing")))]
pub(crate) use switch::active;
#[cfg(feature = "testing")]
pub use switch::{UnknownFault, active, with_fault};

#[cfg(any(test, feature = "testing"))]
mod switch {
    extern crate std;

    use alloc::string::String;
    use core::cell::Cell;
    use core::str::FromStr;
    use std::sync::OnceLock;

    use super::Fault;

    /// The fault that is on in the whole process.
    const VARIABLE: &str = "WEFTLINE_FAULT";

    std::thread_local! {
        static ACTIVE: Cell<Option<Fault>> = const { Cell::new(None) };
    }

    /// Whether `fault` is on: the one of this thread, or else the one of the process. For the tests of crates around this one.
    pub fn active(fault: Fault) -> bool {
        static PROCESS: OnceLock<Option<Fault>> = OnceLock::new();
        let process = || *PROCESS.get_or_init(|| of_variable(std::env::var(VARIABLE).ok().as_deref()));
        ACTIVE.get().or_else(process) == Some(fault)
    }

    /// A name that is wrong must not pass for "no fault is noticed".
    fn of_variable(value: Option<&str>) -> Option<Fault> {
        let name = value.filter(|name| !name.is_empty())?;
        Some(name.parse().unwrap_or_else(|error| panic!("{VARIABLE}: {error}")))
    }

    /// No fault has this name.
    #[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
    #[error("there is no fault {name:?}")]
    pub struct UnknownFault {
        /// What was asked for.
        pub name: String,
    }

    impl FromStr for Fault {
        type Err = UnknownFault;

        fn from_str(name: &str) -> Result<Self, UnknownFault> {
            let known = Self::ALL.iter().copied().find(|fault| fault.name() == name);
            known.ok_or_else(|| UnknownFault { name: name.into() })
        }
    }

    /// Runs `body` with `fault` on in this thread, in place of the process's one; with none, nothing is different.
    pub fn with_fault<R>(fault: Option<Fault>, body: impl FnOnce() -> R) -> R {
        struct Off;
        impl Drop for Off {
            fn drop(&mut self) {
                ACTIVE.set(None);
            }
        }
        let _off = Off;
        ACTIVE.set(fault);
        body()
    }

    #[cfg(test)]
    mod tests {
        use super::*;

        #[test]
        fn a_fault_has_one_name_and_an_unknown_name_is_an_error() {
            for fault in Fault::ALL {
                assert_eq!(fault.name().parse(), Ok(*fault));
                assert_eq!(of_variable(Some(fault.name())), Some(*fault));
            }
            assert_eq!((of_variable(None), of_variable(Some(""))), (None, None));
            assert!("NoSuchFault".parse::<Fault>().is_err());
            assert!(std::panic::catch_unwind(|| of_variable(Some("NoSuchFault"))).is_err());
        }

        #[test]
        fn a_fault_is_on_in_its_thread_alone() {
            with_fault(Some(Fault::NoCascade), || {
                assert!(active(Fault::NoCascade) && !active(Fault::NoBaseCheck));
                let elsewhere = std::thread::spawn(|| active(Fault::NoCascade)).join();
                assert_eq!(
                    elsewhere.ok(),
                    Some(of_variable(std::env::var(VARIABLE).ok().as_deref()) == Some(Fault::NoCascade))
                );
            });
        }
    }
}
