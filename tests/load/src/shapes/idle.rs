//! Connections on which nothing happens: what each keeps resident at the server.

use anyhow::Result;
use futures_util::{StreamExt, TryStreamExt, stream};

use super::load::AT_ONCE;
use crate::client::{Client, Target};
use crate::host::{Host, Kind};
use crate::measure::Metrics;
use crate::protocol::Role;

/// How many have the same document open.
const PER_DOCUMENT: usize = 50;

pub(crate) async fn run(host: &Host, kind: Kind, connections: usize, quick: bool) -> Result<Metrics> {
    let connections = if quick { connections / 50 } else { connections };
    let mut metrics = Metrics::default();
    if (connections + 100) as u64 > host.files {
        eprintln!("{connections} connections are more than the {} files that a process may have open here", host.files);
        return Ok(metrics);
    }
    let server = host.start(kind, &[])?;
    let target = Target { kind, address: server.address };
    let enter = |number: usize| async move {
        let mut client = Client::new(target, &format!("document-{}", number / PER_DOCUMENT), Role::Reader)?;
        client.enter(None).await?;
        anyhow::Ok(client)
    };
    // What the first ones cost is what any do.
    let first: Vec<Client> = stream::iter(0..PER_DOCUMENT).then(enter).try_collect().await?;
    let before = server.resident()?;
    let rest: Vec<Client> =
        stream::iter(PER_DOCUMENT..connections).map(enter).buffer_unordered(AT_ONCE).try_collect().await?;
    let grown = server.resident()?.saturating_sub(before);
    metrics.add("RSS each", "B", grown as f64 / rest.len() as f64);
    drop((first, rest));
    Ok(metrics)
}
