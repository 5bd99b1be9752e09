//! Requests to every endpoint of a surface, and what is said of their answers.

use std::fmt::Write;

use serde_json::{Value, json};
use vestibule_types::segment;

use crate::Mutator;

/// What a request is made of, beside the method and the path with its parameters in braces.
#[derive(Clone, Debug, Default)]
pub struct Probe {
    /// What stands for the parameters of the path, in their order. Not yet encoded.
    pub parameters: Vec<String>,
    /// The query, as names and values. Not yet encoded.
    pub query: Vec<(String, String)>,
    /// The body; null for none.
    pub body: Value,
}

impl Probe {
    /// The path with its parameters, and the query.
    #[must_use]
    pub fn target(&self, path: &str) -> String {
        let mut parameters = self.parameters.iter();
        let segments = path.split('/').map(|part| {
            if part.starts_with('{') {
                segment(parameters.next().map_or("", String::as_str))
            } else {
                part.to_owned()
            }
        });
        let mut target = segments.collect::<Vec<_>>().join("/");
        for (at, (name, value)) in self.query.iter().enumerate() {
            let sign = if at == 0 { '?' } else { '&' };
            let _infallible = write!(target, "{sign}{}={}", segment(name), segment(value));
        }
        target
    }

    /// The bytes of the body.
    #[must_use]
    pub fn bytes(&self) -> Vec<u8> {
        if self.body.is_null() { Vec::new() } else { self.body.to_string().into_bytes() }
    }

    /// Bends the path, the query, which may get more of these names, or the body out of shape. Returns the
    /// bytes of the body.
    #[must_use]
    pub fn bend(&mut self, mutator: &Mutator, names: &[&str]) -> Vec<u8> {
        let part = mutator.below(6);
        if part == 0 {
            for parameter in &mut self.parameters {
                if mutator.below(2) == 0 {
                    *parameter = bent_text(parameter, mutator);
                }
            }
        }
        if part == 1 || part == 2 {
            for _ in 0..mutator.below(4) {
                let name = mutator.pick(names).copied().unwrap_or_default().to_owned();
                self.query.push((name, bent_text("t1", mutator)));
            }
            for (name, value) in &mut self.query {
                // The clock of these tests stands still: nobody would be answered who waits.
                if name != "timeout" && mutator.below(3) == 0 {
                    *value = bent_text(value, mutator);
                }
            }
        }
        if part >= 2 {
            mutator.change(&mut self.body);
        }
        let mut bytes = self.bytes();
        if part == 5 {
            mutator.change_bytes(&mut bytes);
        }
        bytes
    }
}

fn bent_text(text: &str, mutator: &Mutator) -> String {
    let mut value = json!(text);
    mutator.change(&mut value);
    value.as_str().map_or_else(|| value.to_string(), str::to_owned)
}

/// Whether an answer is one that a client can make something of: not a failure of the server, and with a
/// code if it is a refusal.
#[must_use]
pub fn is_told((status, body): &(u16, Value)) -> bool {
    let is_interactive = *status == 401 && body.get("flows").is_some_and(Value::is_array);
    let code = body.get("errcode").and_then(Value::as_str);
    *status < 400 || (*status < 500 && (is_interactive || code.is_some_and(|it| !it.is_empty())))
}

/// What everybody is answered at every endpoint.
#[derive(Clone, Debug)]
pub struct AnswerTable {
    roles: Vec<String>,
    rows: Vec<(String, Vec<String>)>,
}

impl AnswerTable {
    /// A table of these endpoints, without columns.
    #[must_use]
    pub fn of(endpoints: impl IntoIterator<Item = String>) -> Self {
        let rows = endpoints.into_iter().map(|endpoint| (endpoint, Vec::new())).collect();
        Self { roles: Vec::new(), rows }
    }

    /// Adds what somebody is answered, in the order of the endpoints.
    pub fn add(&mut self, role: &str, answers: impl IntoIterator<Item = (u16, Value)>) {
        self.roles.push(role.to_lowercase());
        for ((_, cells), answer) in self.rows.iter_mut().zip(answers) {
            cells.push(short(&answer));
        }
    }

    /// The table as a golden file has it.
    #[must_use]
    pub fn text(&self) -> String {
        let mut text = String::new();
        for (endpoint, cells) in &self.rows {
            let _infallible = writeln!(text, "{endpoint}");
            for (role, cell) in self.roles.iter().zip(cells) {
                let _infallible = writeln!(text, "    {role:9} {cell}");
            }
        }
        text
    }

    /// The endpoints at which nobody is answered with a status that begins like this.
    #[must_use]
    pub fn without(&self, kinds: &[char]) -> Vec<&str> {
        let has = |cell: &String| kinds.iter().any(|kind| cell.starts_with(*kind));
        let rows = self.rows.iter().filter(|(_, cells)| !cells.iter().any(has));
        rows.map(|(endpoint, _)| endpoint.as_str()).collect()
    }
}

/// A status, and why.
fn short((status, body): &(u16, Value)) -> String {
    let code = body.get("errcode").and_then(Value::as_str);
    match code.map(|code| code.trim_start_matches("M_")) {
        Some(code) => format!("{status} {code}"),
        None if *status == 401 => "401 (stages)".to_owned(),
        None => status.to_string(),
    }
}
