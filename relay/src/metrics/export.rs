//! The counters as Prometheus reads them, with the texts that say what each of them is.
//!
//! The dashboard and the alert rules in `deploy/` are checked against what this writes.

use std::fmt::{self, Debug};

use prometheus_client::collector::Collector;
use prometheus_client::encoding::{DescriptorEncoder, MetricEncoder, NoLabelSet};
use prometheus_client::metrics::MetricType;
use prometheus_client::registry::Registry;
use weftline::sync::{CloseReason, Level, NackReason};

use super::{Ended, Histogram, Metrics, RESUMES, RESYNCS, Refused, StoreFailure, process};

/// The content type of what [`write()`] gives.
pub(crate) const CONTENT_TYPE: &str = "application/openmetrics-text; version=1.0.0; charset=utf-8";

/// What is not counted but looked at when somebody asks.
#[derive(Debug, Default)]
pub(crate) struct Look {
    pub(crate) open_documents: u64,
    pub(crate) is_draining: bool,
    /// The store's files: what each is, and its size.
    pub(crate) files: Vec<(&'static str, u64)>,
    /// What is free where the store is.
    pub(crate) free_bytes: Option<u64>,
    pub(crate) commit_seconds: (f64, Vec<(f64, u64)>),
}

/// Everything, in the text format of OpenMetrics.
pub(crate) fn write(metrics: &Metrics, look: &Look) -> String {
    // The registry wants what lives for ever; so what there is now is written out at once, through a collector that holds the numbers.
    let mut text = String::new();
    let mut registry = Registry::default();
    registry.register_collector(Box::new(Numbers(numbers(metrics, look))));
    prometheus_client::encoding::text::encode(&mut text, &registry).expect("a string takes everything");
    text
}

/// Bounds, each with how many are above the one before it.
type Buckets = Vec<(f64, u64)>;

#[derive(Debug)]
struct Numbers(Vec<Number>);

#[derive(Debug)]
struct Number {
    name: &'static str,
    help: &'static str,
    values: Values,
}

#[derive(Debug)]
enum Values {
    Counter(u64),
    Seconds(f64),
    Gauge(u64),
    Moment(f64),
    /// Label, and the value for each.
    Counters(&'static str, Vec<(String, u64)>),
    Gauges(&'static str, Vec<(String, u64)>),
    Histogram(f64, Buckets),
    Histograms(&'static str, Vec<(String, f64, Buckets)>),
}

impl Collector for Numbers {
    fn encode(&self, mut encoder: DescriptorEncoder<'_>) -> fmt::Result {
        for Number { name, help, values } in &self.0 {
            let kind = match values {
                Values::Counter(_) | Values::Seconds(_) | Values::Counters(..) => MetricType::Counter,
                Values::Gauge(_) | Values::Moment(_) | Values::Gauges(..) => MetricType::Gauge,
                Values::Histogram(..) | Values::Histograms(..) => MetricType::Histogram,
            };
            values.encode(&mut encoder.encode_descriptor(name, help, None, kind)?)?;
        }
        Ok(())
    }
}

impl Values {
    fn encode(&self, encoder: &mut MetricEncoder<'_>) -> fmt::Result {
        match self {
            Values::Counter(value) => encoder.encode_counter::<NoLabelSet, _, u64>(value, None),
            Values::Seconds(value) => encoder.encode_counter::<NoLabelSet, _, u64>(value, None),
            Values::Gauge(value) => encoder.encode_gauge(value),
            Values::Moment(value) => encoder.encode_gauge(value),
            Values::Counters(label, values) => values.iter().try_for_each(|(of, value)| {
                encoder.encode_family(&[(*label, of.as_str())])?.encode_counter::<NoLabelSet, _, u64>(value, None)
            }),
            Values::Gauges(label, values) => values
                .iter()
                .try_for_each(|(of, value)| encoder.encode_family(&[(*label, of.as_str())])?.encode_gauge(value)),
            Values::Histogram(sum, buckets) => encode_histogram(encoder, *sum, buckets),
            Values::Histograms(label, values) => values.iter().try_for_each(|(of, sum, buckets)| {
                encode_histogram(&mut encoder.encode_family(&[(*label, of.as_str())])?, *sum, buckets)
            }),
        }
    }
}

fn encode_histogram(encoder: &mut MetricEncoder<'_>, sum: f64, buckets: &[(f64, u64)]) -> fmt::Result {
    let count = buckets.iter().map(|(_, count)| count).sum();
    encoder.encode_histogram::<NoLabelSet>(sum, count, buckets, None)
}

fn numbers(metrics: &Metrics, look: &Look) -> Vec<Number> {
    let mut all = of_connections(metrics);
    all.extend(of_documents(metrics, look));
    all.extend(of_the_store(metrics, look));
    all.extend(of_the_process(metrics, look));
    all
}

fn of_connections(metrics: &Metrics) -> Vec<Number> {
    vec![
        gauge("weftline_relay_connections", "Websockets that are open", metrics.connections.get()),
        counter("weftline_relay_connections_opened", "Websockets opened", metrics.connections_opened.get()),
        counters(
            "weftline_relay_connections_ended",
            "Websockets ended, by reason",
            "reason",
            Ended::LABELS,
            metrics.connections_ended.get(),
        ),
        counters(
            "weftline_relay_refused",
            "What clients were refused by a limit or a check, by reason",
            "reason",
            Refused::LABELS,
            metrics.refused.get(),
        ),
        counter("weftline_relay_frames_received", "Frames from clients", metrics.frames_received.get()),
        counter("weftline_relay_received_bytes", "Bytes of frames from clients", metrics.bytes_received.get()),
        counter("weftline_relay_frames_sent", "Frames to clients", metrics.frames_sent.get()),
        counter("weftline_relay_sent_bytes", "Bytes of frames to clients", metrics.bytes_sent.get()),
    ]
}

fn of_documents(metrics: &Metrics, look: &Look) -> Vec<Number> {
    let levels = Level::ALL.iter().zip(&metrics.ack_seconds);
    let levels = levels.map(|(level, histogram)| (label(level), histogram.sum(), histogram.buckets())).collect();
    vec![
        gauge("weftline_relay_open_documents", "Documents in memory", look.open_documents),
        counter("weftline_relay_documents_opened", "Documents read into memory", metrics.rooms_opened.get()),
        counter(
            "weftline_relay_documents_evicted",
            "Documents let go because nobody used them",
            metrics.rooms_evicted.get(),
        ),
        counter(
            "weftline_relay_documents_failed",
            "Documents closed because something failed",
            metrics.rooms_failed.get(),
        ),
        gauge("weftline_relay_members", "Documents open on connections", metrics.members.get()),
        gauge(
            "weftline_relay_members_behind",
            "Of those, how many have not taken the last batch while newer rows wait for them",
            metrics.members_behind.get(),
        ),
        counters(
            "weftline_relay_documents_closed",
            "Documents closed on a connection by the relay, by reason",
            "reason",
            &labels(CloseReason::ALL),
            metrics.documents_closed.get(),
        ),
        counters(
            "weftline_relay_resumes",
            "Documents opened on connections, by how they go on",
            "how",
            &RESUMES,
            metrics.resumes.get(),
        ),
        counters(
            "weftline_relay_resyncs",
            "Members that were compared instead of being sent rows, by reason",
            "reason",
            &RESYNCS,
            metrics.resyncs.get(),
        ),
        counter(
            "weftline_relay_deliveries",
            "Rows sent to members, each counted for each of them",
            metrics.deliveries.get(),
        ),
        counter("weftline_relay_delivered_batches", "Messages with those rows", metrics.delivered_batches.get()),
        counter("weftline_relay_delivered_bytes", "Bytes of those messages", metrics.delivered_bytes.get()),
        counter("weftline_relay_diffs", "Diffs sent to members", metrics.diffs.get()),
        counter("weftline_relay_diff_bytes", "Bytes of those diffs", metrics.diff_bytes.get()),
        counter("weftline_relay_acks", "Acks sent, each for all that was committed together", metrics.acks.get()),
        Number {
            name: "weftline_relay_ack_seconds",
            help: "From the arrival of an edit to its ack, by what the ack promises",
            values: Values::Histograms("level", levels),
        },
        counters(
            "weftline_relay_nacks",
            "Edits refused, by reason",
            "reason",
            &labels(NackReason::ALL),
            metrics.nacks.get(),
        ),
        counter(
            "weftline_relay_forks",
            "Edits that contradict what was written under their names before",
            metrics.forks.get(),
        ),
        counter(
            "weftline_relay_refills",
            "Members told that what they gave back, or had, is stored",
            metrics.refills.get(),
        ),
        counter(
            "weftline_relay_presence_received",
            "Changes of presence from clients",
            metrics.presence_received.get(),
        ),
        counter("weftline_relay_presence_sent", "Messages with presence to clients", metrics.presence_sent.get()),
    ]
}

fn of_the_store(metrics: &Metrics, look: &Look) -> Vec<Number> {
    let mut all = vec![
        histogram(
            "weftline_relay_append_seconds",
            "From handing rows to the store to their being stored, waiting included",
            &metrics.append_seconds,
        ),
        counter("weftline_relay_appended_rows", "Rows stored", metrics.appended_rows.get()),
        counter("weftline_relay_appended_bytes", "Bytes of rows stored", metrics.appended_bytes.get()),
        counter("weftline_relay_snapshots", "Snapshots stored in the place of rows", metrics.snapshots.get()),
        counter("weftline_relay_snapshot_bytes", "Bytes of those snapshots", metrics.snapshot_bytes.get()),
        histogram("weftline_relay_recover_seconds", "Reading a document into memory", &metrics.recover_seconds),
        counter(
            "weftline_relay_recovered_bytes",
            "Bytes read for that, snapshots and rows",
            metrics.recovered_bytes.get(),
        ),
        counter("weftline_relay_log_reads", "Reads of old rows for members that are behind", metrics.log_reads.get()),
        counters(
            "weftline_relay_store_failures",
            "What failed in the store, by kind",
            "kind",
            StoreFailure::LABELS,
            metrics.store_failures.get(),
        ),
        Number {
            name: "weftline_relay_commit_seconds",
            help: "Commits of the store with their fsync, each for all that waited",
            values: Values::Histogram(look.commit_seconds.0, look.commit_seconds.1.clone()),
        },
    ];
    if !look.files.is_empty() {
        let files = look.files.iter().map(|(file, bytes)| ((*file).to_owned(), *bytes)).collect();
        let values = Values::Gauges("file", files);
        all.push(Number { name: "weftline_relay_store_bytes", help: "Size of the store's files", values });
    }
    let free = "Bytes free on the disk of the store";
    all.extend(look.free_bytes.map(|bytes| gauge("weftline_relay_store_free_bytes", free, bytes)));
    all
}

fn of_the_process(metrics: &Metrics, look: &Look) -> Vec<Number> {
    let usage = process::usage();
    let gauges = [
        ("process_resident_memory_bytes", "Memory in use", usage.resident_bytes),
        ("process_open_fds", "Files and sockets open", usage.open_files),
        ("process_max_fds", "Files and sockets that may be open", usage.max_files),
        ("weftline_relay_draining", "1 while the relay stops", Some(u64::from(look.is_draining))),
    ];
    let mut all: Vec<Number> =
        gauges.into_iter().filter_map(|(name, help, value)| Some(gauge(name, help, value?))).collect();
    if let Some(seconds) = usage.cpu_seconds {
        let (name, help) = ("process_cpu_seconds", "Processor time used");
        all.push(Number { name, help, values: Values::Seconds(seconds) });
    }
    all.push(Number {
        name: "process_start_time_seconds",
        help: "When the relay started",
        values: Values::Moment(process::now() - metrics.uptime().as_secs_f64()),
    });
    all.push(Number {
        name: "weftline_relay_build_info",
        help: "Which relay this is; always 1",
        values: Values::Gauges("version", vec![(env!("CARGO_PKG_VERSION").to_owned(), 1)]),
    });
    all
}

fn counter(name: &'static str, help: &'static str, value: u64) -> Number {
    Number { name, help, values: Values::Counter(value) }
}

fn gauge(name: &'static str, help: &'static str, value: u64) -> Number {
    Number { name, help, values: Values::Gauge(value) }
}

fn histogram(name: &'static str, help: &'static str, histogram: &Histogram) -> Number {
    Number { name, help, values: Values::Histogram(histogram.sum(), histogram.buckets()) }
}

fn counters(
    name: &'static str,
    help: &'static str,
    label: &'static str,
    of: &[impl ToString],
    values: impl Iterator<Item = u64>,
) -> Number {
    let values = of.iter().map(ToString::to_string).zip(values).collect();
    Number { name, help, values: Values::Counters(label, values) }
}

fn labels<const N: usize>(all: [impl Debug; N]) -> Vec<String> {
    all.iter().map(label).collect()
}

/// `TooManyReplicas` as `too_many_replicas`.
fn label(of: &impl Debug) -> String {
    let mut label = String::new();
    for letter in format!("{of:?}").chars() {
        if letter.is_uppercase() && !label.is_empty() {
            label.push('_');
        }
        label.extend(letter.to_lowercase());
    }
    label
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::*;

    #[test]
    fn every_number_is_written_once_with_its_help_and_its_type() {
        let metrics = Metrics::default();
        metrics.nacks.one(NackReason::TooManyReplicas as usize);
        metrics.ack_seconds[Level::Stored as usize].observe_all(Duration::from_millis(3), 2);
        let text = write(&metrics, &Look { files: vec![("database", 7)], ..Look::default() });
        for line in [
            "weftline_relay_nacks_total{reason=\"too_many_replicas\"} 1",
            "weftline_relay_ack_seconds_bucket{le=\"0.005\",level=\"stored\"} 2",
            "weftline_relay_ack_seconds_count{level=\"memory\"} 0",
            "weftline_relay_store_bytes{file=\"database\"} 7",
            "# TYPE weftline_relay_connections gauge",
        ] {
            assert!(text.lines().any(|found| found == line), "{line}\nis not in\n{text}");
        }
        let mut names: Vec<&str> = text.lines().filter_map(|line| line.strip_prefix("# HELP ")).collect();
        let all = names.len();
        names.sort_unstable();
        names.dedup();
        assert_eq!(names.len(), all);
        assert!(text.ends_with("# EOF\n"));
    }
}
