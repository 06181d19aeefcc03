//! Members that stop reading, and read again: what they cost the server and the others, and whether they get everything.

use std::time::Duration;

use anyhow::Result;
use tokio::time::{Instant, sleep, timeout};

use super::load::{Load, Members};
use crate::client::{Client, Target};
use crate::host::{Host, Kind};
use crate::measure::{Metrics, millis};
use crate::protocol::Role;

/// How long to wait for what may be lost.
const GIVE_UP: Duration = Duration::from_secs(20);

/// What the system keeps for a member that does not read is to be little: not its memory is measured.
const SMALL: u32 = 4 << 10;

/// One member of four stops while long updates are written.
pub(crate) async fn one(host: &Host, kind: Kind, quick: bool) -> Result<Metrics> {
    const LEN: usize = 20_000;
    const PER_SECOND: f64 = 300.0;
    let time = if quick { Duration::from_millis(500) } else { Duration::from_secs(10) };
    let server = host.start(kind, &[])?;
    let target = Target { kind, address: server.address };
    let load = Load::new(LEN);
    load.open(target, 1, &Members { readers: 2, replicas: 1 }).await?;
    let mut stalled = vec![Client::new(target, "document-0", Role::Replica)?];
    stalled[0].enter(None).await?;
    load.pace(PER_SECOND, time / 10).await?;
    load.settle().await?;
    let missed = catch_up(&load, &mut stalled, load.sent()).await?;
    anyhow::ensure!(missed == 0, "{missed} messages did not come to one that reads");

    let before = server.resident()?;
    let written = load.sent();
    load.pace(PER_SECOND, time).await?;
    load.settle().await?;
    let mut metrics = Metrics::default();
    metrics.add("growth", "B", server.peak()?.saturating_sub(before) as f64);
    metrics.add("p99", "ms", millis(&load.take_latencies(), 0.99));
    metrics.add("lost", "", catch_up(&load, &mut stalled, load.sent() - written).await? as f64);
    Ok(metrics)
}

/// A thousand, of whom every tenth stops.
pub(crate) async fn many(host: &Host, kind: Kind, quick: bool) -> Result<Metrics> {
    const LEN: usize = 4_000;
    const PER_SECOND: f64 = 20.0;
    let (readers, time) = if quick { (100, Duration::from_millis(500)) } else { (1_000, Duration::from_secs(10)) };
    let server = host.start(kind, &[])?;
    let target = Target { kind, address: server.address };
    let load = Load::new(LEN);
    load.open(target, 1, &Members { readers: readers * 9 / 10, replicas: 1 }).await?;
    let mut stalled = Vec::new();
    for _ in 0..readers / 10 {
        let mut client = Client::new(target, "document-0", Role::Replica)?;
        client.enter(Some(SMALL)).await?;
        stalled.push(client);
    }

    // First they read as the others do.
    let mut metrics = Metrics::default();
    let reading = async {
        loop {
            for client in &mut stalled {
                client.serve(|_| ())?;
            }
            sleep(Duration::from_millis(5)).await;
        }
        #[expect(unreachable_code, reason = "says what kind of error ends it")]
        anyhow::Ok(())
    };
    tokio::select! {
        paced = load.pace(PER_SECOND, time) => paced?,
        failed = reading => failed?,
    }
    load.settle().await?;
    let calm = millis(&load.take_latencies(), 0.99);
    catch_up(&load, &mut stalled, 0).await?;

    let before = server.resident()?;
    let written = load.sent();
    load.pace(PER_SECOND, time).await?;
    load.settle().await?;
    let disturbed = millis(&load.take_latencies(), 0.99);
    metrics.add("growth", "B", server.peak()?.saturating_sub(before) as f64);
    metrics.add("calm p99", "ms", calm);
    metrics.add("p99", "ms", disturbed);
    metrics.add("p99 ratio", "", disturbed / calm);
    metrics.add("lost", "", catch_up(&load, &mut stalled, load.sent() - written).await? as f64);
    Ok(metrics)
}

/// Reads until everything is there, or it takes too long; gives what is missing. Where a document is held, that is what its writer has and they
/// do not; elsewhere it is messages.
async fn catch_up(load: &Load, stalled: &mut [Client], messages: u64) -> Result<u64> {
    let limit = Instant::now() + GIVE_UP;
    let state = load.state();
    let mut missing = 0;
    for client in stalled {
        let mut seen = 0;
        loop {
            client.serve(|frame| seen += load.stamps_in(frame))?;
            let has_all = if state.is_some() { client.talk.state() == state } else { seen >= messages };
            if has_all {
                break;
            }
            let left = limit.saturating_duration_since(Instant::now());
            let stream = client.socket()?.stream();
            if timeout(left, stream.readable()).await.is_err() {
                missing += if state.is_some() { 1 } else { messages - seen };
                break;
            }
        }
    }
    Ok(missing)
}
