//! Searching many messages.

use std::collections::BTreeMap;

use anyhow::{Context as _, Result, ensure};
use serde_json::{Value, json};

use super::{Bench, history::Setting};
use crate::{
    clock, corpus,
    matrix::Api,
    process,
    report::{Bar, Row, median, quantile, rounded},
};

/// Where searches are asked.
pub const PATH: &str = "/_matrix/client/v3/search";
const BAR_MS: f64 = 100.0;
/// Of the questions, this share must be answered in time.
const SHARE: f64 = 0.95;
/// Results of a page.
const RESULTS: usize = 10;

/// A question.
#[derive(Debug, Clone)]
pub struct Query {
    words: String,
    order: &'static str,
    room: Option<String>,
}

/// The kinds of questions; each is asked in both orders.
const KINDS: [&str; 6] = [
    "rare_word",
    "common_word",
    "middling_word",
    "two_common_words",
    "common_and_rare",
    "without_spaces",
];

/// Asks questions of all kinds in turn; the first of each kind warms up.
pub async fn measure(bench: &Bench, setting: &Setting) -> Result<Vec<Row>> {
    let mut api = Api::of(setting.address, &setting.reader).await?;
    for number in 0..2 * u64::try_from(KINDS.len())? {
        ask(&mut api, &question(number)).await?;
    }
    let mut by_kind: BTreeMap<&'static str, Vec<f64>> = BTreeMap::new();
    let (mut samples, mut medians, mut number) = (Vec::new(), Vec::new(), 0);
    let cpu = process::cpu_seconds(setting.pid)?;
    for _ in 0..bench.scale.rounds {
        let mut took = Vec::new();
        for _ in 0..bench.scale.searches {
            let (kind, query) = question(number);
            let took_ms = ask(&mut api, &(kind, query)).await?;
            by_kind.entry(kind).or_default().push(took_ms);
            took.push(took_ms);
            number += 1;
        }
        samples.push(quantile(&took, SHARE));
        medians.push(median(&took));
    }
    let cpu_ms = (process::cpu_seconds(setting.pid)? - cpu) * 1_000.0 / super::figure(number);
    let mut row = Row::new("search, p95", "ms", samples)
        .with_bar(Bar::at_most(BAR_MS, "100 ms"))
        .with("messages", setting.messages)
        .with("median_ms", rounded(median(&medians)))
        .with("server_cpu_ms", rounded(cpu_ms));
    for (kind, took) in by_kind {
        row = row.with(kind, rounded(quantile(&took, SHARE)));
    }
    Ok(vec![row])
}

/// The question of this number, and its kind.
fn question(number: u64) -> (&'static str, Query) {
    let kinds = u64::try_from(KINDS.len()).unwrap_or(1);
    let at = usize::try_from(number % kinds).unwrap_or_default();
    let kind = KINDS.get(at).copied().unwrap_or_default();
    let turn = number / kinds;
    // Each time around other words, so that it is not one row that is warm.
    let words = match kind {
        "rare_word" => corpus::word(12_000 + turn),
        "common_word" => corpus::word(turn % 4),
        "middling_word" => corpus::word(100 + turn),
        "two_common_words" => format!("{} {}", corpus::word(turn % 3), corpus::word(3 + turn % 3)),
        "common_and_rare" => format!("{} {}", corpus::word(0), corpus::word(3_000 + turn)),
        _ => [turn % 5, turn % 3].map(corpus::character).into_iter().collect(),
    };
    let recent = turn.is_multiple_of(2);
    (kind, if recent { Query::recent(&words) } else { Query::ranked(&words) })
}

/// Asks, and looks whether the answer can be right; in milliseconds.
async fn ask(api: &mut Api, (kind, query): &(&'static str, Query)) -> Result<f64> {
    let started = clock::now();
    let (took_ms, body) = api
        .answer("POST", PATH, &query.body(), |body| {
            (started.elapsed().as_secs_f64() * 1_000.0, body.to_vec())
        })
        .await?;
    let answer: Value = serde_json::from_slice(&body)?;
    let results = answer.pointer("/search_categories/room_events/results");
    let results = results.and_then(Value::as_array).context("an answer without results")?;
    if *kind == "common_word" {
        ensure!(results.len() == RESULTS, "a common word is found {} times", results.len());
    }
    for result in results {
        let said = result.pointer("/result/content/body").and_then(Value::as_str);
        let said = said.context("a result without a text")?;
        let holds = query.words.split(' ').all(|word| said.contains(word));
        ensure!(holds, "{} was not said in: {said}", query.words);
    }
    Ok(took_ms)
}

impl Query {
    /// The most recent first.
    #[must_use]
    pub fn recent(words: &str) -> Self {
        Self { words: words.to_owned(), order: "recent", room: None }
    }

    /// The best first.
    #[must_use]
    pub fn ranked(words: &str) -> Self {
        Self { order: "rank", ..Self::recent(words) }
    }

    /// In one room only.
    #[must_use]
    pub fn only(self, room: &str) -> Self {
        Self { room: Some(room.to_owned()), ..self }
    }

    /// What a client sends: with what was said around each result.
    #[must_use]
    pub fn body(&self) -> Value {
        let mut filter = json!({ "limit": RESULTS });
        if let (Some(room), Some(filter)) = (&self.room, filter.as_object_mut()) {
            filter.insert("rooms".to_owned(), json!([room]));
        }
        json!({ "search_categories": { "room_events": {
            "search_term": self.words,
            "order_by": self.order,
            "filter": filter,
            "event_context": { "before_limit": 1, "after_limit": 1, "include_profile": true },
        } } })
    }
}
