//! Documents that are written while they are read: what a delivery costs, and how long it takes.
//!
//! First at a pace that every server can hold, which is the same for all; then as fast as it goes.

use std::time::Duration;

use anyhow::Result;

use super::load::{Load, Members};
use crate::client::Target;
use crate::host::{Host, Kind, Server};
use crate::measure::{Metrics, millis};

/// The length of what is written. An edit that a person makes is about as long, with all that it carries.
const LEN: usize = 100;

/// Deliveries a second, when there is a pace.
const PACE: f64 = 10_000.0;

/// How many documents, and how many clients each.
pub(crate) struct Size {
    documents: usize,
    clients: usize,
    /// One of so many documents is also held by a replica that reads.
    checked: usize,
    /// How many messages are on their way in each, when there is no pace. Few: nobody types far ahead of what others see.
    window: u64,
}

pub(crate) const ONE: Size = Size { documents: 1, clients: 100, checked: 1, window: 16 };
pub(crate) const HUNDRED: Size = Size { documents: 100, clients: 10, checked: 10, window: 4 };
pub(crate) const THOUSAND: Size = Size { documents: 1_000, clients: 2, checked: 50, window: 2 };

pub(crate) async fn run(host: &Host, kind: Kind, size: &Size, quick: bool) -> Result<Metrics> {
    let (documents, warm, time) = match quick {
        true => (size.documents.div_ceil(20), Duration::from_millis(50), Duration::from_millis(300)),
        false => (size.documents, Duration::from_secs(1), Duration::from_secs(5)),
    };
    let server = host.start(kind, &[])?;
    let target = Target { kind, address: server.address };
    let load = Load::new(LEN);
    let checked = documents.div_ceil(size.checked);
    let readers = size.clients - 1;
    load.open(target, checked, &Members { readers, replicas: 1 }).await?;
    load.open(target, documents - checked, &Members { readers, replicas: 0 }).await?;

    let mut metrics = Metrics::default();
    let per_second = PACE / readers as f64;
    load.pace(per_second, warm).await?;
    load.settle().await?;
    let paced = Watch::begin(&server, &load)?;
    load.pace(per_second, time).await?;
    load.settle().await?;
    metrics.add("paced cpu", "s/M", paced.end()?.cpu_per_million);
    let latencies = load.take_latencies();
    for (name, quantile) in [("paced p50", 0.5), ("paced p99", 0.99), ("paced p99.9", 0.999)] {
        metrics.add(name, "ms", millis(&latencies, quantile));
    }

    load.rush(size.window, warm).await?;
    load.settle().await?;
    let rushed = Watch::begin(&server, &load)?;
    load.rush(size.window, time).await?;
    let cost = rushed.end()?;
    load.settle().await?;
    metrics.add("full rate", "/s", cost.per_second);
    metrics.add("full cpu", "s/M", cost.cpu_per_million);
    metrics.add("peak RSS", "B", server.peak()? as f64);
    Ok(metrics)
}

/// What happened since.
struct Watch<'a> {
    server: &'a Server,
    load: &'a Load,
    cpu: Duration,
    delivered: u64,
    began: std::time::Instant,
}

struct Cost {
    cpu_per_million: f64,
    per_second: f64,
}

impl<'a> Watch<'a> {
    fn begin(server: &'a Server, load: &'a Load) -> Result<Self> {
        load.take_latencies();
        let (cpu, delivered) = (server.cpu()?, load.delivered());
        Ok(Self { server, load, cpu, delivered, began: std::time::Instant::now() })
    }

    fn end(&self) -> Result<Cost> {
        let delivered = (self.load.delivered() - self.delivered).max(1) as f64;
        let cpu = self.server.cpu()?.saturating_sub(self.cpu).as_secs_f64();
        Ok(Cost { cpu_per_million: cpu * 1e6 / delivered, per_second: delivered / self.began.elapsed().as_secs_f64() })
    }
}
