//! Everybody comes back at once, and has missed nothing.

use std::time::Instant;

use anyhow::Result;
use futures_util::{StreamExt, TryStreamExt, stream};

use super::load::AT_ONCE;
use crate::client::{Client, Target};
use crate::host::{Host, Kind};
use crate::measure::Metrics;
use crate::protocol::Role;
use crate::socket::Socket;

const PER_DOCUMENT: usize = 50;

pub(crate) async fn run(host: &Host, kind: Kind, quick: bool) -> Result<Metrics> {
    let count = if quick { 100 } else { 2_000 };
    let server = host.start(kind, &[])?;
    let target = Target { kind, address: server.address };
    let enter = |number: usize| async move {
        let mut client = Client::new(target, &format!("document-{}", number / PER_DOCUMENT), Role::Replica)?;
        client.enter(None).await?;
        // Something is there, and everybody has it.
        if number.is_multiple_of(PER_DOCUMENT) {
            client.put(0, "written before")?;
            client.send()?;
            client.until("saved", |client| client.talk.is_saved()).await?;
        }
        client.cut();
        anyhow::Ok((number, client))
    };
    let writers = (0..count).step_by(PER_DOCUMENT);
    let readers = (0..count).filter(|number: &usize| !number.is_multiple_of(PER_DOCUMENT));
    let mut clients: Vec<Client> = Vec::with_capacity(count);
    for part in [writers.collect::<Vec<_>>(), readers.collect()] {
        let entered: Vec<(usize, Client)> =
            stream::iter(part).map(enter).buffer_unordered(AT_ONCE).try_collect().await?;
        clients.extend(entered.into_iter().map(|(_, client)| client));
    }

    let cpu = server.cpu()?;
    let began = Instant::now();
    // They stay until all are back.
    let back: Vec<Client> = stream::iter(clients)
        .map(|mut client| async move { client.enter(None).await.map(|()| client) })
        .buffer_unordered(count)
        .try_collect()
        .await?;
    let took = began.elapsed();
    let cpu = server.cpu()?.saturating_sub(cpu);
    let most = |of: fn(&Socket) -> u64| back.iter().flat_map(Client::socket).map(of).max().unwrap_or_default() as f64;
    let mut metrics = Metrics::default();
    metrics.add("bytes up", "B", most(|socket| socket.bytes_sent));
    metrics.add("bytes down", "B", most(|socket| socket.bytes_received));
    metrics.add("all live", "ms", took.as_secs_f64() * 1e3);
    metrics.add("cpu each", "ms", cpu.as_secs_f64() * 1e3 / count as f64);
    Ok(metrics)
}
