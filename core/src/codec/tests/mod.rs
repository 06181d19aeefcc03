//! Tests of the codec as a whole: what comes back, what it costs, what is refused, what hostile bytes do.

mod generators;
mod hostile;
mod invalid;
mod round_trip;
mod size;
mod text;
