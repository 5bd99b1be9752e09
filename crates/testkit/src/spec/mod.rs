//! Answers, compared with the schemas of the specification.
//!
//! `VESTIBULE_SPEC_DIR` names the folder with the specification's data. Without it nothing is
//! compared, and the process says so once. With it every answer to an operation of the
//! client-server or server-server API has to be what the specification says about that operation
//! and status, but for the exceptions named in [`exceptions`].

mod catalogue;
mod documents;
mod exceptions;
mod operations;

use std::{
    collections::HashMap,
    env,
    io::{self, Write},
    path::PathBuf,
    sync::{Arc, OnceLock},
};

use jsonschema::Validator;
use parking_lot::Mutex;
use serde_json::{Value, json};

use self::{
    catalogue::{Catalogue, Operation},
    documents::Documents,
};

pub use self::operations::{ListedOperation, listed, operation};

/// How many violations of one answer are told.
const TOLD_MAX: usize = 8;

const PARTIAL_CONTENT: u16 = 206;

/// An answer, as it came over the wire.
#[derive(Clone, Copy, Debug)]
pub struct Answer<'a> {
    /// The request's method.
    pub method: &'a str,
    /// The request's path, with or without the query.
    pub path: &'a str,
    /// The status.
    pub status: u16,
    /// Whether the answer says that it is JSON.
    pub is_json: bool,
    /// The body.
    pub body: &'a [u8],
}

/// Says how an answer differs from the specification; nothing when it does not, or when there is no
/// specification to compare with.
///
/// # Errors
///
/// The operation, the status, and for each violation the place in the answer and the rule.
pub fn compare(answer: Answer<'_>) -> Result<(), String> {
    let Some(specification) = specification() else { return Ok(()) };
    specification.compare(answer)
}

/// Fails the test when an answer differs from the specification.
#[track_caller]
#[expect(clippy::panic, reason = "a helper of tests fails the test that called it")]
pub fn check(answer: Answer<'_>) {
    if let Err(violations) = compare(answer) {
        panic!("{violations}");
    }
}

fn specification() -> Option<&'static Specification> {
    static SPECIFICATION: OnceLock<Option<Specification>> = OnceLock::new();
    SPECIFICATION.get_or_init(Specification::named).as_ref()
}

/// The schema of an answer, compiled; nothing when the specification has none for it.
type Compiled = Option<Arc<Validator>>;

struct Specification {
    catalogue: Catalogue,
    documents: Documents,
    compiled: Mutex<HashMap<(String, u16), Compiled>>,
}

impl Specification {
    fn named() -> Option<Self> {
        let Some(folder) = env::var_os("VESTIBULE_SPEC_DIR") else {
            // Not `eprintln!`: what a test prints is not shown when it passes.
            let _told = writeln!(
                io::stderr(),
                "skipped: VESTIBULE_SPEC_DIR is not set, no answer is compared with its schema"
            );
            return None;
        };
        let folder = PathBuf::from(folder);
        Some(Self {
            catalogue: Catalogue::read(&folder),
            documents: Documents::under(folder.join("data/api")),
            compiled: Mutex::default(),
        })
    }

    fn compare(&self, answer: Answer<'_>) -> Result<(), String> {
        let path = answer.path.split('?').next().unwrap_or_default();
        let operation = self.catalogue.find(answer.method, path);
        let told = |what: &str| {
            let name = operation.map_or("an operation of our own", |it| &it.id);
            Err(format!("{name}: {} {path}: {}: {what}", answer.method, answer.status))
        };
        let parsed = serde_json::from_slice::<Value>(answer.body);
        if answer.status >= 400 {
            let Ok(body) = parsed else {
                // Pages for people say so in markup.
                let is_page = operation.is_none() && path.ends_with("/fallback/web");
                let is_ours = path.starts_with("/_matrix/") && !is_page;
                return if is_ours { told("an error without JSON") } else { Ok(()) };
            };
            if !path.starts_with("/_matrix/") {
                return Ok(());
            }
            return self.error(operation, answer.status, &body).or_else(|what| told(&what));
        }
        // What is no success is HTTP's business, and so are parts of a file.
        let compared = answer.status < 300 && answer.status != PARTIAL_CONTENT;
        let Some(operation) = operation.filter(|_| compared) else { return Ok(()) };
        let schema = match self.schema(operation, answer.status) {
            Ok(Some(schema)) => schema,
            Ok(None) => return Ok(()),
            Err(what) => return told(&what),
        };
        if !answer.is_json {
            return told("no `application/json`");
        }
        match parsed {
            Ok(body) => violations(&schema, &operation.id, &body).or_else(|what| told(&what)),
            Err(error) => told(&format!("no JSON: {error}")),
        }
    }

    /// An error is what the operation says about its status, or an error as every operation may
    /// answer it.
    fn error(
        &self,
        operation: Option<&Operation>,
        status: u16,
        body: &Value,
    ) -> Result<(), String> {
        let general = violations(&general_error(&body["errcode"]), "error", body);
        let may_be_interactive = operation.is_none_or(|it| it.is_interactive);
        if may_be_interactive && status == 401 && body["flows"].is_array() {
            return Ok(());
        }
        let Some(operation) = operation else { return general };
        let of_operation = match self.schema(operation, status) {
            Ok(Some(schema)) => violations(&schema, &operation.id, body),
            _ => return general,
        };
        match of_operation {
            Ok(()) if body.get("errcode").is_none() => Ok(()),
            Ok(()) => general,
            Err(what) => general.map_err(|other| format!("{what}; {other}")),
        }
    }

    fn schema(&self, operation: &Operation, status: u16) -> Result<Compiled, String> {
        let key = (operation.id.clone(), status);
        if let Some(compiled) = self.compiled.lock().get(&key) {
            return Ok(compiled.clone());
        }
        let compiled = match self.documents.answer(operation, status)? {
            Some(schema) => Some(compile(&schema)?),
            None => None,
        };
        self.compiled.lock().insert(key, compiled.clone());
        Ok(compiled)
    }
}

fn compile(schema: &Value) -> Result<Arc<Validator>, String> {
    let options = jsonschema::draft202012::options();
    let validator = options.build(schema).map_err(|error| format!("a schema: {error}"))?;
    Ok(Arc::new(validator))
}

/// What every error is, and what some codes require beside it.
fn general_error(errcode: &Value) -> Arc<Validator> {
    static COMPILED: OnceLock<Mutex<HashMap<String, Arc<Validator>>>> = OnceLock::new();
    let errcode = errcode.as_str().unwrap_or_default();
    let (more, required): (Value, Vec<&str>) = match errcode {
        "M_LIMIT_EXCEEDED" => (json!({ "retry_after_ms": { "type": "integer" } }), vec![]),
        "M_RESOURCE_LIMIT_EXCEEDED" => {
            (json!({ "admin_contact": { "type": "string" } }), vec!["admin_contact"])
        }
        "M_USER_LIMIT_EXCEEDED" => (json!({ "info_uri": { "type": "string" } }), vec!["info_uri"]),
        "M_UNKNOWN_TOKEN" => (json!({ "soft_logout": { "type": "boolean" } }), vec![]),
        "M_INCOMPATIBLE_ROOM_VERSION" => {
            (json!({ "room_version": { "type": "string" } }), vec!["room_version"])
        }
        "M_WRONG_ROOM_KEYS_VERSION" => (json!({ "current_version": { "type": "string" } }), vec![]),
        _ => (json!({}), vec![]),
    };
    let mut compiled = COMPILED.get_or_init(Mutex::default).lock();
    let made = || {
        let schema = json!({
            "type": "object",
            "properties": {
                "errcode": { "type": "string", "pattern": "^[A-Z][A-Z0-9_.]*$" },
                "error": { "type": "string" },
            },
            "required": ["errcode", "error"],
            "allOf": [{ "properties": more, "required": required }],
        });
        compile(&schema).expect("a schema of our own")
    };
    compiled.entry(errcode.to_owned()).or_insert_with(made).clone()
}

fn violations(schema: &Validator, operation: &str, body: &Value) -> Result<(), String> {
    let mut told = Vec::new();
    for error in schema.iter_errors(body) {
        let (place, message) = (error.instance_path().to_string(), error.to_string());
        if !exceptions::allow(operation, &place, &message, error.instance()) {
            let message: String = message.chars().take(400).collect();
            told.push(format!("\n  at `{place}`: {message} (by {})", error.schema_path()));
        }
        if told.len() == TOLD_MAX {
            break;
        }
    }
    if told.is_empty() { Ok(()) } else { Err(told.concat()) }
}

#[cfg(test)]
mod tests;
