//! One file per library.

mod crdts;
mod floor;
mod weftline;
mod yrs;

pub use self::crdts::Crdts;
pub use self::floor::Floor;
pub use self::weftline::Weftline;
pub use self::yrs::Yrs;
