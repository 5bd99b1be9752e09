//! The documents of the specification, and the schema of an answer with all it refers to in place.

use std::{
    collections::HashMap,
    fs,
    path::{Component, Path, PathBuf},
    sync::Arc,
};

use parking_lot::Mutex;
use serde_json::{Map, Value, json};

use super::catalogue::Operation;

/// How deep references may lead.
const DEPTH_MAX: usize = 64;

/// Documents, read when they are first asked for.
pub(super) struct Documents {
    folder: PathBuf,
    read: Mutex<HashMap<PathBuf, Arc<Value>>>,
}

impl Documents {
    pub(super) fn under(folder: PathBuf) -> Self {
        Self { folder, read: Mutex::default() }
    }

    /// The schema of an operation's answer with this status; nothing when the specification says
    /// nothing about its body.
    ///
    /// # Errors
    ///
    /// The specification knows no such success.
    pub(super) fn answer(
        &self,
        operation: &Operation,
        status: u16,
    ) -> Result<Option<Value>, String> {
        let at = self.folder.join(&operation.document);
        let document = self.document(&at)?;
        let paths = document["paths"].as_object().ok_or("a document without paths")?;
        let methods = paths.values().filter_map(Value::as_object).flat_map(Map::values);
        let mut named = methods.filter(|it| it["operationId"] == operation.name.as_str());
        let found = named.next().ok_or("a document without its operation")?;
        let Some(answer) = found["responses"].get(status.to_string()) else {
            let unknown = Err("a success that the specification does not know".to_owned());
            return if status < 300 { unknown } else { Ok(None) };
        };
        let answer = self.whole(answer, &at, DEPTH_MAX)?;
        Ok(answer["content"]["application/json"].get("schema").cloned())
    }

    fn document(&self, at: &Path) -> Result<Arc<Value>, String> {
        if let Some(document) = self.read.lock().get(at) {
            return Ok(document.clone());
        }
        let text = fs::read_to_string(at).map_err(|error| format!("{}: {error}", at.display()))?;
        let document: Value =
            serde_yaml_ng::from_str(&text).map_err(|error| format!("{}: {error}", at.display()))?;
        let document = Arc::new(document);
        self.read.lock().insert(at.to_owned(), document.clone());
        Ok(document)
    }

    /// A value with what it refers to in place, and without examples.
    fn whole(&self, value: &Value, at: &Path, depth: usize) -> Result<Value, String> {
        if depth == 0 {
            return Ok(json!(true));
        }
        match value {
            Value::Array(values) => {
                let values = values.iter().map(|it| self.whole(it, at, depth - 1));
                Ok(Value::Array(values.collect::<Result<_, _>>()?))
            }
            Value::Object(object) => self.whole_object(object, at, depth - 1),
            other => Ok(other.clone()),
        }
    }

    fn whole_object(
        &self,
        object: &Map<String, Value>,
        at: &Path,
        depth: usize,
    ) -> Result<Value, String> {
        let mut whole = Map::new();
        for (key, value) in object {
            // A property may be called `example`; then it is a schema.
            let is_example = matches!(key.as_str(), "example" | "examples" | "default")
                && !object.values().all(Value::is_object);
            // The specification's alternatives overlap: an event is also any object.
            let key = if key == "oneOf" && value.is_array() { "anyOf" } else { key };
            if key != "$ref" && !is_example && !key.starts_with("x-") {
                whole.insert(key.to_owned(), self.whole(value, at, depth)?);
            }
        }
        let Some(reference) = object.get("$ref").and_then(Value::as_str) else {
            return Ok(Value::Object(whole));
        };
        let there = self.referred(reference, at, depth)?;
        if whole.is_empty() {
            return Ok(there);
        }
        Ok(json!({ "allOf": [there, whole] }))
    }

    fn referred(&self, reference: &str, at: &Path, depth: usize) -> Result<Value, String> {
        let (file, pointer) = reference.split_once('#').unwrap_or((reference, ""));
        let at = match file {
            "" => at.to_owned(),
            file => plain(&at.parent().unwrap_or(at).join(file)),
        };
        let document = self.document(&at)?;
        let target = document.pointer(pointer);
        let target = target.ok_or_else(|| format!("{reference} leads nowhere"))?;
        self.whole(target, &at, depth)
    }
}

/// A path without `..`, so that one document has one name.
fn plain(path: &Path) -> PathBuf {
    let mut plain = PathBuf::new();
    for component in path.components() {
        match component {
            Component::ParentDir => drop(plain.pop()),
            other => plain.push(other),
        }
    }
    plain
}
