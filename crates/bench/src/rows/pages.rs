//! A page of a room's history must not cost more when the history is long.

use anyhow::{Context as _, Result, ensure};
use serde_json::Value;

use super::{Bench, history::Setting};
use vestibule_types::segment;

use crate::{
    clock,
    matrix::Api,
    report::{Bar, Row, median, quantile, rounded},
};

const BAR_RATIO: f64 = 1.5;
/// Events of a page that is measured.
const PAGE: usize = 50;
/// Events of a page that only leads on.
const STRIDE: usize = 1_000;
/// Places in each history where pages begin, from either end.
const PLACES: usize = 8;
/// Pages of either room in one sample.
const PAGES: usize = 100;

/// A room whose history is read.
struct Book<'a> {
    room: &'a str,
    /// Where pages begin: the direction and the token.
    places: Vec<(&'static str, Option<String>)>,
}

/// Reads pages of the long and of the short history in turn.
pub async fn measure(bench: &Bench, setting: &Setting) -> Result<Vec<Row>> {
    let mut api = Api::of(setting.address, &setting.reader).await?;
    let long = Book::open(&mut api, &setting.long).await?;
    let short = Book::open(&mut api, &setting.short).await?;
    let (mut ratios, mut of_long, mut of_short) = (Vec::new(), Vec::new(), Vec::new());
    let mut slow = Vec::new();
    for _ in 0..bench.scale.rounds {
        let (mut long_ms, mut short_ms) = (Vec::new(), Vec::new());
        for page in 0..PAGES {
            // The order alternates, so that neither always comes second.
            if page.is_multiple_of(2) {
                long_ms.push(long.page(&mut api, page).await?);
                short_ms.push(short.page(&mut api, page).await?);
            } else {
                short_ms.push(short.page(&mut api, page).await?);
                long_ms.push(long.page(&mut api, page).await?);
            }
        }
        ratios.push(median(&long_ms) / median(&short_ms));
        slow.push(quantile(&long_ms, 0.95));
        of_long.push(median(&long_ms));
        of_short.push(median(&short_ms));
    }
    let row = Row::new("page of messages, long/short history", "ratio", ratios)
        .with_bar(Bar::at_most(BAR_RATIO, "1.5"))
        .with("events_long", bench.scale.long_history)
        .with("events_short", bench.scale.short_history)
        .with("long_ms", rounded(median(&of_long)))
        .with("short_ms", rounded(median(&of_short)))
        .with("long_p95_ms", rounded(median(&slow)));
    Ok(vec![row])
}

impl<'a> Book<'a> {
    /// Finds places to begin at: both ends, and some way into the history from either.
    async fn open(api: &mut Api, room: &'a str) -> Result<Self> {
        let mut places = Vec::new();
        for direction in ["b", "f"] {
            let mut from = None;
            for _ in 0..PLACES {
                let shown = page(api, room, (direction, from.as_deref(), STRIDE)).await?.1;
                places.push((direction, from));
                from = shown.get("end").and_then(Value::as_str).map(str::to_owned);
                if from.is_none() {
                    break;
                }
            }
        }
        Ok(Self { room, places })
    }

    /// One page, in milliseconds.
    async fn page(&self, api: &mut Api, number: usize) -> Result<f64> {
        let at = number % self.places.len().max(1);
        let (direction, from) = self.places.get(at).context("a history without places")?;
        let (took_ms, shown) = page(api, self.room, (direction, from.as_deref(), PAGE)).await?;
        let events = shown.get("chunk").and_then(Value::as_array).map_or(0, Vec::len);
        ensure!(events == PAGE, "a page holds {events} events");
        Ok(took_ms)
    }
}

/// A page and how many milliseconds it took.
async fn page(
    api: &mut Api,
    room: &str,
    (direction, from, limit): (&str, Option<&str>, usize),
) -> Result<(f64, Value)> {
    let mut path = format!(
        "/_matrix/client/v3/rooms/{}/messages?dir={direction}&limit={limit}",
        segment(room)
    );
    if let Some(from) = from {
        path.push_str("&from=");
        path.push_str(&segment(from));
    }
    let started = clock::now();
    let shown = api.get_bytes(&path).await?;
    let took_ms = started.elapsed().as_secs_f64() * 1_000.0;
    Ok((took_ms, serde_json::from_slice(&shown)?))
}
