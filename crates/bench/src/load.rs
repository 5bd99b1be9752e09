//! Senders: each has its own connection and one message in flight.

use std::{net::SocketAddr, sync::Arc, time::Duration};

use anyhow::{Context as _, Result};
use tokio::{sync::Barrier, task::JoinSet, time::Instant};

use crate::{
    client::{Client, write_request},
    clock,
    matrix::{User, accepted, message_path},
    process,
    report::quantile,
};

/// The text of a message; a number before it makes each different.
const TEXT: &str =
    "the quick brown fox jumps over the lazy dog while the five boxing wizards watch";

/// Who sends where.
#[derive(Debug, Clone)]
pub struct Lane {
    /// The sender.
    pub user: User,
    /// The room.
    pub room: String,
    /// The text of a message, from what tells it apart and its number.
    pub says: fn(&str, u64) -> String,
}

impl Lane {
    /// A sender whose messages are much alike.
    #[must_use]
    pub fn of(user: User, room: String) -> Self {
        Self { user, room, says: |tag, number| format!("{tag} {number} {TEXT}") }
    }
}

/// When senders stop.
#[derive(Debug, Clone, Copy)]
pub enum Until {
    /// After this time; answers that come later do not count.
    Elapsed(Duration),
    /// After this many messages of each sender.
    EachSent(u64),
}

/// What was seen while sending.
#[derive(Debug)]
pub struct Load {
    /// Acknowledged messages.
    pub events: u64,
    /// Over which time.
    pub seconds: f64,
    /// From request to answer, in milliseconds.
    pub latencies_ms: Vec<f64>,
    /// Processor seconds of the generator itself.
    pub generator_cpu_s: f64,
    /// Processor seconds of the server.
    pub server_cpu_s: f64,
}

impl Load {
    /// Acknowledged messages per second.
    #[must_use]
    #[expect(clippy::cast_precision_loss, reason = "counts are far below 2^52")]
    pub fn per_second(&self) -> f64 {
        self.events as f64 / self.seconds
    }

    /// The latency below which `share` of the messages lie.
    #[must_use]
    pub fn latency_ms(&self, share: f64) -> f64 {
        quantile(&self.latencies_ms, share)
    }
}

/// Lets all lanes send at once. `run` keeps transaction identifiers of different runs apart.
pub async fn send(
    address: SocketAddr,
    server_pid: u32,
    lanes: &[Lane],
    until: Until,
    run: &str,
) -> Result<Load> {
    let start = Arc::new(Barrier::new(lanes.len().saturating_add(1)));
    let mut senders = JoinSet::new();
    for (number, lane) in lanes.iter().enumerate() {
        let client = Client::connect(address).await?;
        let sender = Sender { client, lane: lane.clone(), tag: format!("{run}-{number}") };
        senders.spawn(sender.run(Arc::clone(&start), until));
    }
    let generator_before = process::own_cpu_seconds()?;
    let server_before = process::cpu_seconds(server_pid)?;
    let started = clock::now();
    start.wait().await;
    let mut latencies_ms = Vec::new();
    while let Some(outcome) = senders.join_next().await {
        latencies_ms.extend(outcome.context("a sender broke off")??);
    }
    let seconds = match until {
        Until::Elapsed(lasting) => lasting.as_secs_f64(),
        Until::EachSent(_) => started.elapsed().as_secs_f64(),
    };
    Ok(Load {
        events: u64::try_from(latencies_ms.len())?,
        seconds,
        latencies_ms,
        generator_cpu_s: process::own_cpu_seconds()? - generator_before,
        server_cpu_s: process::cpu_seconds(server_pid)? - server_before,
    })
}

struct Sender {
    client: Client,
    lane: Lane,
    tag: String,
}

impl Sender {
    async fn run(mut self, start: Arc<Barrier>, until: Until) -> Result<Vec<f64>> {
        let mut latencies = Vec::new();
        let mut request = Vec::new();
        start.wait().await;
        let started = clock::now();
        for number in 0_u64.. {
            if matches!(until, Until::EachSent(count) if number >= count) {
                break;
            }
            let path = message_path(&self.lane.room, &format!("{}-{number}", self.tag));
            let text = (self.lane.says)(&self.tag, number);
            let body = format!(r#"{{"msgtype":"m.text","body":"{text}"}}"#);
            write_request(&mut request, "PUT", &path, Some(&self.lane.user.token), body.as_bytes());
            let asked = clock::now();
            accepted(self.client.call(&request).await?, "a message")?;
            let answered = clock::now();
            if matches!(until, Until::Elapsed(lasting) if answered - started > lasting) {
                break;
            }
            latencies.push((answered - asked).as_secs_f64() * 1_000.0);
        }
        Ok(latencies)
    }
}

/// Runs `work` for every item with at most `width` at a time, in no promised order.
pub async fn in_parallel<I, T, F>(
    width: usize,
    items: impl IntoIterator<Item = I>,
    mut work: impl FnMut(I) -> F,
) -> Result<Vec<T>>
where
    T: Send + 'static,
    F: Future<Output = Result<T>> + Send + 'static,
{
    let mut running = JoinSet::new();
    let mut done = Vec::new();
    for item in items {
        while running.len() >= width.max(1) {
            if let Some(outcome) = running.join_next().await {
                done.push(outcome.context("a task broke off")??);
            }
        }
        running.spawn(work(item));
    }
    while let Some(outcome) = running.join_next().await {
        done.push(outcome.context("a task broke off")??);
    }
    Ok(done)
}

/// Waits in real time.
pub async fn pause(lasting: Duration) {
    tokio::time::sleep_until(Instant::from_std(clock::now()) + lasting).await;
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_rate_is_events_over_time() {
        let load = Load {
            events: 500,
            seconds: 0.5,
            latencies_ms: vec![1.0, 3.0, 2.0],
            generator_cpu_s: 0.0,
            server_cpu_s: 0.0,
        };
        assert!((load.per_second() - 1_000.0).abs() < 1e-9);
        assert!((load.latency_ms(0.5) - 2.0).abs() < 1e-9);
    }

    #[tokio::test]
    async fn runs_everything_and_never_more_than_the_width_at_once() {
        use std::sync::atomic::{AtomicUsize, Ordering};
        let (now, most) = (Arc::new(AtomicUsize::new(0)), Arc::new(AtomicUsize::new(0)));
        let done = in_parallel(3, 0..10, |item| {
            let (now, most) = (Arc::clone(&now), Arc::clone(&most));
            async move {
                most.fetch_max(now.fetch_add(1, Ordering::SeqCst) + 1, Ordering::SeqCst);
                tokio::task::yield_now().await;
                now.fetch_sub(1, Ordering::SeqCst);
                Ok(item)
            }
        })
        .await
        .unwrap();
        assert_eq!(done.len(), 10);
        assert!((2..=3).contains(&most.load(Ordering::SeqCst)));
    }
}
