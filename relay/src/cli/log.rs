//! Where the log goes: to stderr, as text or JSON, and as spans to a collector of OpenTelemetry if that is wanted.

use std::io::{self, IsTerminal};

use tracing_subscriber::layer::SubscriberExt;
use tracing_subscriber::util::SubscriberInitExt;
use tracing_subscriber::{EnvFilter, Layer};
use weftline_relay::{Config, ConfigError, LogFormat};

/// Sends what is still to be sent when it is dropped. Not inside of a runtime.
#[must_use]
pub(super) struct Log {
    #[cfg(feature = "otlp")]
    spans: Option<opentelemetry_sdk::trace::SdkTracerProvider>,
}

/// Starts logging, for the whole process.
///
/// # Errors
/// When the filter, or the address of the collector, cannot be read.
pub(super) fn start(config: &Config) -> Result<Log, ConfigError> {
    let refused =
        |error: &dyn std::fmt::Display| ConfigError::Log { filter: config.log.clone(), detail: error.to_string() };
    let filter = EnvFilter::builder().parse(&config.log).map_err(|error| refused(&error))?;
    let lines = tracing_subscriber::fmt::layer().with_writer(io::stderr);
    let lines = match config.log_format {
        LogFormat::Text => lines.with_ansi(io::stderr().is_terminal()).boxed(),
        LogFormat::Json => lines.json().flatten_event(true).boxed(),
    };
    let subscriber = tracing_subscriber::registry().with(lines);
    #[cfg(feature = "otlp")]
    let (subscriber, spans) = {
        let spans = config.otlp_endpoint.as_deref().map(spans_to).transpose()?;
        let tracer = spans.as_ref().map(|spans| {
            let tracer = opentelemetry::trace::TracerProvider::tracer(spans, "weftline-relay");
            tracing_opentelemetry::layer().with_tracer(tracer)
        });
        (subscriber.with(tracer), spans)
    };
    subscriber.with(filter).try_init().map_err(|error| refused(&error))?;
    // What libraries trace are the bytes of every frame: content of documents, and tokens. Neither is in a log, whatever the filter says.
    log::set_max_level(log::max_level().min(log::LevelFilter::Debug));
    Ok(Log {
        #[cfg(feature = "otlp")]
        spans,
    })
}

#[cfg(feature = "otlp")]
fn spans_to(endpoint: &str) -> Result<opentelemetry_sdk::trace::SdkTracerProvider, ConfigError> {
    use opentelemetry_otlp::{SpanExporter, WithExportConfig};
    use opentelemetry_sdk::Resource;
    use opentelemetry_sdk::trace::SdkTracerProvider;
    let traces = if endpoint.ends_with("/v1/traces") {
        endpoint.to_owned()
    } else {
        format!("{}/v1/traces", endpoint.trim_end_matches('/'))
    };
    let exporter = SpanExporter::builder().with_http().with_endpoint(traces).build();
    let exporter =
        exporter.map_err(|error| ConfigError::Otlp { endpoint: endpoint.to_owned(), detail: error.to_string() })?;
    let resource = Resource::builder().with_service_name("weftline-relay").build();
    Ok(SdkTracerProvider::builder().with_batch_exporter(exporter).with_resource(resource).build())
}

impl Drop for Log {
    fn drop(&mut self) {
        #[cfg(feature = "otlp")]
        if let Some(spans) = &self.spans {
            // A collector that does not answer gets no more.
            let _ = spans.shutdown();
        }
    }
}
