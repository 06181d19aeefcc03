//! Very many documents, each for a moment: whether what is over leaves anything behind.

use std::time::Duration;

use anyhow::Result;
use futures_util::{StreamExt, TryStreamExt, stream};
use tokio::time::{Instant, sleep};

use super::load::AT_ONCE;
use crate::client::{Client, Target};
use crate::host::{Host, Kind, Server};
use crate::measure::Metrics;
use crate::protocol::Role;

/// How long documents stay in memory without anybody.
const ROOM_IDLE: &str = "1s";

/// How long to wait until they have left.
const LEAVE_WITHIN: Duration = Duration::from_secs(15);

/// What everything needs once (threads, caches of the store) is there after so many.
const FIRST: usize = 500;

pub(crate) async fn run(host: &Host, quick: bool) -> Result<Metrics> {
    let (first, count) = if quick { (10, 50) } else { (FIRST, 10_000) };
    let server = host.start(Kind::Weftline, &["--room-idle", ROOM_IDLE])?;
    let target = Target { kind: Kind::Weftline, address: server.address };
    touch(target, 0..first).await?;
    let before = rest(&server, 0).await?;
    touch(target, first..first + count).await?;
    let most = server.resident()?;
    let after = rest(&server, before).await?;
    let mut metrics = Metrics::default();
    metrics.add("RSS before", "B", before as f64);
    metrics.add("RSS most", "B", most as f64);
    metrics.add("RSS after", "B", after as f64);
    metrics.add("RSS ratio", "", after as f64 / before as f64);
    Ok(metrics)
}

async fn touch(target: Target, numbers: std::ops::Range<usize>) -> Result<()> {
    stream::iter(numbers)
        .map(|number| async move {
            let mut client = Client::new(target, &format!("document-{number}"), Role::Replica)?;
            client.enter(None).await?;
            client.put(0, "touched")?;
            client.send()?;
            client.until("saved", |client| client.talk.is_saved()).await?;
            client.cut();
            anyhow::Ok(())
        })
        .buffer_unordered(AT_ONCE)
        .try_collect()
        .await
}

/// What is resident when nothing falls any more, or it is as low as it was.
async fn rest(server: &Server, before: u64) -> Result<u64> {
    let limit = Instant::now() + LEAVE_WITHIN;
    sleep(Duration::from_secs(3)).await;
    loop {
        let resident = server.resident()?;
        sleep(Duration::from_secs(1)).await;
        let later = server.resident()?;
        if later <= before || later >= resident || Instant::now() > limit {
            return Ok(later);
        }
    }
}
