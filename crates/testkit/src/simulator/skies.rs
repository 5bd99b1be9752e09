//! The network between the servers of a simulation, and the weather on it.

use std::{
    collections::{BTreeMap, BTreeSet, VecDeque},
    hash::{DefaultHasher, Hash, Hasher},
    sync::Arc,
    time::Duration,
};

use axum::body::{Body, Bytes};
use http::Request;
use http_body_util::{BodyExt, Limited};
use parking_lot::Mutex;
use ruma::{OwnedServerName, ServerName};
use vestibule_http::Entrance;
use vestibule_remote::{Exchange, Reply, Transport, TransportError};
use vestibule_types::{BoxFuture, Clock, watch};

use super::clock::SimClock;
use crate::SeededRandom;

/// The last lines of a trace that are kept for who asks why.
const LINES_KEPT: usize = 4_000;

/// How bad the network is. Percentages are of all requests.
#[derive(Clone, Copy, Debug)]
pub struct Weather {
    /// Requests that never arrive.
    pub lost_percent: u64,
    /// Requests that arrive and whose answer does not.
    pub unanswered_percent: u64,
    /// Requests that arrive a second time, later.
    pub repeated_percent: u64,
    /// How long a request, and its answer, is on its way at most. Different ways overtake each other.
    pub delay_max: Duration,
}

impl Weather {
    /// Nothing is lost, and everything arrives at once.
    pub const CALM: Self = Self {
        lost_percent: 0,
        unanswered_percent: 0,
        repeated_percent: 0,
        delay_max: Duration::ZERO,
    };
    /// Every tenth exchange goes wrong, and seconds pass.
    pub const STORM: Self = Self {
        lost_percent: 5,
        unanswered_percent: 5,
        repeated_percent: 10,
        delay_max: Duration::from_secs(4),
    };
}

/// One life of a server: from its start to its crash.
#[derive(Clone)]
pub(super) struct Life {
    pub(super) clients: Entrance,
    pub(super) servers: Entrance,
    /// Changes at the crash.
    pub(super) ended: watch::Receiver<()>,
}

struct Inside {
    lives: BTreeMap<OwnedServerName, Life>,
    apart: BTreeSet<(OwnedServerName, OwnedServerName)>,
    weather: Weather,
    lines: VecDeque<String>,
    digest: DefaultHasher,
    faults: Vec<String>,
}

/// The network. Everything on it is noted in one trace.
pub(super) struct Skies {
    random: SeededRandom,
    pub(super) clock: SimClock,
    inside: Mutex<Inside>,
}

impl Skies {
    pub(super) fn new(seed: u64, clock: SimClock) -> Self {
        let inside = Inside {
            lives: BTreeMap::new(),
            apart: BTreeSet::new(),
            weather: Weather::CALM,
            lines: VecDeque::new(),
            digest: DefaultHasher::new(),
            faults: Vec::new(),
        };
        Self { random: SeededRandom::new(seed), clock, inside: Mutex::new(inside) }
    }

    pub(super) fn set_weather(&self, weather: Weather) {
        self.inside.lock().weather = weather;
    }

    /// Puts a server on the network, or takes it off.
    pub(super) fn set_life(&self, name: &ServerName, life: Option<Life>) {
        let mut inside = self.inside.lock();
        match life {
            Some(life) => inside.lives.insert(name.to_owned(), life),
            None => inside.lives.remove(name),
        };
    }

    /// Keeps two servers from reaching each other, until [`Skies::reunite`].
    pub(super) fn part(&self, one: &ServerName, other: &ServerName) {
        self.inside.lock().apart.insert(pair(one, other));
    }

    /// Lets everybody reach everybody again.
    pub(super) fn reunite(&self) {
        self.inside.lock().apart.clear();
    }

    /// Writes a line into the trace.
    pub(super) fn note(&self, line: &str) {
        let line = format!("{:>9} {line}", self.clock.elapsed_ms());
        let mut inside = self.inside.lock();
        line.hash(&mut inside.digest);
        if inside.lines.len() == LINES_KEPT {
            inside.lines.pop_front();
        }
        inside.lines.push_back(line);
    }

    /// Something that must never happen, whatever the weather.
    pub(super) fn fault(&self, fault: String) {
        self.note(&fault);
        self.inside.lock().faults.push(fault);
    }

    pub(super) fn faults(&self) -> Vec<String> {
        self.inside.lock().faults.clone()
    }

    /// A number for the whole trace, and its last lines.
    pub(super) fn trace(&self) -> (u64, Vec<String>) {
        let inside = self.inside.lock();
        (inside.digest.finish(), inside.lines.iter().cloned().collect())
    }

    fn weather(&self) -> Weather {
        self.inside.lock().weather
    }

    fn happens(&self, percent: u64) -> bool {
        percent > 0 && self.random.below(100) < percent
    }

    async fn under_way(&self) {
        let delay_max = u64::try_from(self.weather().delay_max.as_millis()).unwrap_or(u64::MAX);
        if delay_max > 0 {
            self.clock.sleep(Duration::from_millis(self.random.below(delay_max))).await;
        }
    }

    fn reach(&self, from: &ServerName, to: &ServerName) -> Option<Life> {
        let inside = self.inside.lock();
        inside.lives.get(to).filter(|_| !inside.apart.contains(&pair(from, to))).cloned()
    }

    async fn carry(
        self: &Arc<Self>,
        from: &ServerName,
        exchange: Exchange,
    ) -> Result<Reply, TransportError> {
        let weather = self.weather();
        let line = format!("{from} -> {} {} {}", exchange.server, exchange.method, exchange.path);
        if self.happens(weather.lost_percent) {
            self.under_way().await;
            self.note(&format!("{line} lost"));
            return Err(unreachable("lost"));
        }
        if self.happens(weather.repeated_percent) {
            self.repeat_later(from, exchange.clone());
        }
        self.under_way().await;
        let reply = self.deliver(from, &line, exchange.clone()).await?;
        let lost = self.happens(weather.unanswered_percent);
        self.under_way().await;
        if lost || self.reach(from, &exchange.server).is_none() {
            self.note(&format!("{line} answer lost"));
            return Err(unreachable("the answer was lost"));
        }
        Ok(reply)
    }

    fn repeat_later(self: &Arc<Self>, from: &ServerName, exchange: Exchange) {
        let (skies, from) = (Arc::clone(self), from.to_owned());
        #[expect(clippy::disallowed_methods, reason = "a network repeats on its own")]
        drop(tokio::spawn(async move {
            skies.under_way().await;
            skies.under_way().await;
            let line =
                format!("{from} => {} {} {}", exchange.server, exchange.method, exchange.path);
            drop(skies.deliver(&from, &line, exchange).await);
        }));
    }

    async fn deliver(
        &self,
        from: &ServerName,
        line: &str,
        exchange: Exchange,
    ) -> Result<Reply, TransportError> {
        let Some(mut there) = self.reach(from, &exchange.server) else {
            self.note(&format!("{line} unreachable"));
            return Err(unreachable("no way there"));
        };
        let bytes_max = exchange.answer_bytes_max;
        let mut request = Request::builder()
            .method(exchange.method)
            .uri(exchange.path)
            .body(Body::from(exchange.body))
            .map_err(|error| unreachable(&error.to_string()))?;
        *request.headers_mut() = exchange.headers;
        let answered = answer(&there.servers, request, bytes_max);
        let reply = tokio::select! {
            biased;
            _ = there.ended.changed() => Err(unreachable("it crashed")),
            reply = answered => reply,
        };
        match &reply {
            Ok(reply) => {
                let (status, body) = (reply.status.as_u16(), digest(&reply.body));
                let text = String::from_utf8_lossy(&reply.body);
                // Why an event was refused is worth a place in the story.
                let refused = line.contains("/v1/send/") && text.contains("error");
                let text = if refused { &*text } else { "" };
                self.note(&format!("{line} {status} {body:016x}{text}"));
                if reply.status.as_u16() == 500 {
                    self.fault(format!("{line}: {}", String::from_utf8_lossy(&reply.body)));
                }
            }
            Err(error) => self.note(&format!("{line} {error}")),
        }
        reply
    }
}

/// One server's way into the network.
pub(super) struct Post {
    pub(super) from: OwnedServerName,
    pub(super) skies: Arc<Skies>,
}

impl Transport for Post {
    fn exchange(&self, exchange: Exchange) -> BoxFuture<'_, Result<Reply, TransportError>> {
        Box::pin(async move { self.skies.carry(&self.from, exchange).await })
    }
}

/// Asks a server, without sockets.
pub(super) async fn answer(
    entrance: &Entrance,
    request: Request<Body>,
    bytes_max: usize,
) -> Result<Reply, TransportError> {
    let (parts, body) = entrance.answer(request).await.into_parts();
    let body = Limited::new(body, bytes_max).collect().await;
    let body = body.map_err(|error| TransportError::BadAnswer(error.to_string()))?;
    Ok(Reply { status: parts.status, headers: parts.headers, body: body.to_bytes() })
}

fn pair(one: &ServerName, other: &ServerName) -> (OwnedServerName, OwnedServerName) {
    let (one, other) = if one < other { (one, other) } else { (other, one) };
    (one.to_owned(), other.to_owned())
}

fn unreachable(reason: &str) -> TransportError {
    TransportError::Unreachable(reason.to_owned())
}

fn digest(bytes: &Bytes) -> u64 {
    let mut hasher = DefaultHasher::new();
    bytes.hash(&mut hasher);
    hasher.finish()
}
