//! Shapes of load: how many documents, how many clients, and what they do.

mod documents;
mod fan_out;
mod idle;
mod load;
mod stalled;
mod storm;

use std::fmt;

use anyhow::Result;
use clap::ValueEnum;

use crate::host::{Host, Kind};
use crate::measure::Metrics;

/// A shape of load.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub(crate) enum Shape {
    /// One document with a hundred clients.
    #[value(name = "1x100")]
    One,
    /// A hundred documents with ten clients each.
    #[value(name = "100x10")]
    Hundred,
    /// A thousand documents with two clients each.
    #[value(name = "1000x2")]
    Thousand,
    /// Five thousand connections on which nothing happens.
    #[value(name = "idle-5000")]
    Idle,
    /// Twenty thousand of them.
    #[value(name = "idle-20000")]
    IdleMany,
    /// Long updates, and one member that stops reading for a while.
    #[value(name = "stalled-reader")]
    StalledReader,
    /// A thousand readers, of whom every tenth does not read.
    #[value(name = "1000-readers")]
    Readers,
    /// Ten thousand documents that are written to in turn.
    #[value(name = "10000-documents")]
    Documents,
    /// Two thousand clients come back at once and have missed nothing.
    #[value(name = "storm-2000")]
    Storm,
}

impl fmt::Display for Shape {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str(self.to_possible_value().expect("no shape is hidden").get_name())
    }
}

/// Every cell that makes sense.
pub(crate) fn cells() -> impl Iterator<Item = (Kind, Shape)> {
    Shape::value_variants().iter().flat_map(|shape| {
        let kinds = Kind::value_variants().iter().copied();
        kinds.filter(|kind| is_for(*kind, *shape)).map(|kind| (kind, *shape))
    })
}

fn is_for(kind: Kind, shape: Shape) -> bool {
    match shape {
        // The others keep documents in memory for ever, or have none.
        Shape::Documents => kind == Kind::Weftline,
        // Without documents there is nothing to come back to.
        Shape::Storm => !matches!(kind, Kind::Raw | Kind::Ws),
        _ => true,
    }
}

/// Runs one cell.
pub(crate) async fn run(host: &Host, kind: Kind, shape: Shape, quick: bool) -> Result<Metrics> {
    match shape {
        Shape::One => fan_out::run(host, kind, &fan_out::ONE, quick).await,
        Shape::Hundred => fan_out::run(host, kind, &fan_out::HUNDRED, quick).await,
        Shape::Thousand => fan_out::run(host, kind, &fan_out::THOUSAND, quick).await,
        Shape::Idle => idle::run(host, kind, 5_000, quick).await,
        Shape::IdleMany => idle::run(host, kind, 20_000, quick).await,
        Shape::StalledReader => stalled::one(host, kind, quick).await,
        Shape::Readers => stalled::many(host, kind, quick).await,
        Shape::Documents => documents::run(host, quick).await,
        Shape::Storm => storm::run(host, kind, quick).await,
    }
}
