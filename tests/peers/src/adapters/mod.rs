//! One file per library.

mod automerge;
mod crdts;
mod dson;
mod floor;
mod loro;
mod weftline;
mod yrs;

pub use self::automerge::Automerge;
pub use self::crdts::Crdts;
pub use self::dson::Dson;
pub use self::floor::Floor;
pub use self::loro::Loro;
pub use self::weftline::Weftline;
pub use self::yrs::Yrs;
