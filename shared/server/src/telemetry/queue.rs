//! Spans on their way to the collector: a bounded queue, batches, and a count of what is lost.

use std::time::Duration;

use metrics::Counter;
use opentelemetry::Context;
use opentelemetry_sdk::error::OTelSdkResult;
use opentelemetry_sdk::trace::{Span, SpanData, SpanExporter, SpanProcessor};
use tokio::sync::{mpsc, oneshot};
use tokio::time::{Instant, sleep_until};

use super::config::TelemetryConfig;

/// What comes through the queue.
pub(super) enum Queued {
    Span(Box<SpanData>),
    /// Send all that is there, and tell when it is sent.
    Flush(oneshot::Sender<()>),
}

/// Puts spans into the queue and never waits: over the bound, or with a collector that is down, they are dropped.
#[derive(Debug)]
pub(super) struct QueueSpans {
    queue: mpsc::Sender<Queued>,
    dropped: Dropped,
}

struct Dropped(Counter);

impl std::fmt::Debug for Dropped {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("Dropped")
    }
}

fn dropped(reason: &'static str) -> Counter {
    metrics::counter!("forebay_trace_spans_dropped_total", "reason" => reason)
}

impl QueueSpans {
    pub fn new(queue: mpsc::Sender<Queued>) -> Self {
        QueueSpans {
            queue,
            dropped: Dropped(dropped("queue_full")),
        }
    }
}

impl SpanProcessor for QueueSpans {
    fn on_start(&self, _: &mut Span, _: &Context) {}

    fn on_end(&self, span: SpanData) {
        if span.span_context.is_sampled() && self.queue.try_send(Queued::Span(Box::new(span))).is_err() {
            self.dropped.0.increment(1);
        }
    }

    fn force_flush(&self) -> OTelSdkResult {
        Ok(())
    }

    fn shutdown_with_timeout(&self, _: Duration) -> OTelSdkResult {
        Ok(())
    }
}

/// Sends what comes through the queue until nobody can put anything into it any more.
pub(super) async fn send(mut queue: mpsc::Receiver<Queued>, exporter: impl SpanExporter, config: TelemetryConfig) {
    let sending = Sending {
        exporter,
        timeout: config.export_timeout,
        exported: metrics::counter!("forebay_trace_spans_exported_total"),
        dropped: dropped("export_failed"),
    };
    let most = config.batch_spans.max(1);
    let mut batch: Vec<SpanData> = Vec::new();
    let mut failures = 0;
    let mut due = Instant::now();
    loop {
        let received = tokio::select! {
            received = queue.recv() => received,
            () = sleep_until(due), if !batch.is_empty() => {
                sending.send(&mut batch, &mut failures).await;
                continue;
            }
        };
        match received {
            Some(Queued::Span(span)) => {
                if batch.is_empty() {
                    due = Instant::now() + config.export_interval;
                }
                batch.push(*span);
                if batch.len() >= most {
                    sending.send(&mut batch, &mut failures).await;
                }
            }
            Some(Queued::Flush(done)) => {
                sending.send(&mut batch, &mut failures).await;
                // Whoever asked may have gone.
                let _ = done.send(());
            }
            None => {
                sending.send(&mut batch, &mut failures).await;
                return;
            }
        }
    }
}

struct Sending<E> {
    exporter: E,
    timeout: Duration,
    exported: Counter,
    dropped: Counter,
}

impl<E: SpanExporter> Sending<E> {
    /// Sends a batch, once: a collector that is down must not make the next ones wait.
    async fn send(&self, batch: &mut Vec<SpanData>, failures: &mut u32) {
        if batch.is_empty() {
            return;
        }
        let spans = std::mem::take(batch);
        let count = spans.len() as u64;
        let failure = match tokio::time::timeout(self.timeout, self.exporter.export(spans)).await {
            Ok(Ok(())) => None,
            Ok(Err(error)) => Some(error.to_string()),
            Err(_) => Some("it does not answer in time".to_owned()),
        };
        match failure {
            None => {
                self.exported.increment(count);
                if std::mem::take(failures) > 0 {
                    tracing::info!("the collector of traces takes spans again");
                }
            }
            Some(failure) => {
                self.dropped.increment(count);
                if *failures == 0 {
                    tracing::warn!("the collector of traces does not take spans, which are dropped: {failure}");
                }
                *failures = failures.saturating_add(1);
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use opentelemetry::trace::{Span as _, Tracer, TracerProvider};
    use opentelemetry_sdk::error::OTelSdkError;
    use opentelemetry_sdk::trace::SdkTracerProvider;
    use parking_lot::Mutex;

    use super::*;

    #[derive(Clone, Debug, Default)]
    struct Collector {
        batches: Arc<Mutex<Vec<usize>>>,
        is_down: bool,
    }

    impl SpanExporter for Collector {
        async fn export(&self, batch: Vec<SpanData>) -> OTelSdkResult {
            self.batches.lock().push(batch.len());
            match self.is_down {
                false => Ok(()),
                true => Err(OTelSdkError::InternalFailure("connection refused".to_owned())),
            }
        }
    }

    fn spans(queue: mpsc::Sender<Queued>, count: usize) {
        let provider = SdkTracerProvider::builder()
            .with_span_processor(QueueSpans::new(queue))
            .build();
        let tracer = provider.tracer("test");
        (0..count).for_each(|_| tracer.start("span").end());
    }

    fn config(batch_spans: usize) -> TelemetryConfig {
        TelemetryConfig {
            batch_spans,
            export_interval: Duration::from_secs(3600),
            ..TelemetryConfig::default()
        }
    }

    async fn flush(queue: &mpsc::Sender<Queued>) {
        let (done, flushed) = oneshot::channel();
        assert!(queue.send(Queued::Flush(done)).await.is_ok());
        flushed.await.expect("flushed");
    }

    #[tokio::test]
    async fn spans_go_in_batches_and_the_rest_with_a_flush() {
        let collector = Collector::default();
        let (queue, received) = mpsc::channel(100);
        spans(queue.clone(), 25);
        let sending = tokio::spawn(send(received, collector.clone(), config(10)));
        flush(&queue).await;
        assert_eq!(*collector.batches.lock(), [10, 10, 5]);
        drop(queue);
        sending.await.expect("it ends with its queue");
    }

    #[tokio::test]
    async fn over_the_bound_spans_are_dropped_and_nobody_waits() {
        let collector = Collector::default();
        let (queue, received) = mpsc::channel(10);
        spans(queue.clone(), 1_000);
        tokio::spawn(send(received, collector.clone(), config(100)));
        flush(&queue).await;
        assert_eq!(*collector.batches.lock(), [10]);
    }

    #[tokio::test]
    async fn a_collector_that_is_down_is_asked_once_per_batch() {
        let collector = Collector {
            is_down: true,
            ..Collector::default()
        };
        let (queue, received) = mpsc::channel(100);
        spans(queue.clone(), 20);
        tokio::spawn(send(received, collector.clone(), config(10)));
        flush(&queue).await;
        flush(&queue).await;
        assert_eq!(*collector.batches.lock(), [10, 10]);
    }
}
