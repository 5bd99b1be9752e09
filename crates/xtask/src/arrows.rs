//! Every dependency between our crates must be drawn on the floor plan.

use std::{
    collections::{BTreeMap, BTreeSet},
    process::Command,
};

use anyhow::{Context, Result, ensure};
use serde_json::Value;

use crate::workspace_root;

/// Compares `cargo metadata` with `[workspace.metadata]` in the root manifest.
pub(crate) fn check() -> Result<()> {
    let output = Command::new("cargo")
        .args(["metadata", "--format-version=1", "--no-deps", "--offline"])
        .current_dir(workspace_root())
        .output()
        .context("could not run cargo")?;
    let metadata: Value =
        serde_json::from_slice(&output.stdout).context("could not read cargo's answer")?;

    let complaints = complaints(&metadata);
    ensure!(complaints.is_empty(), "{}", complaints.join("\n"));
    Ok(())
}

fn complaints(metadata: &Value) -> Vec<String> {
    let plan = field(metadata, "metadata");
    let drawn = string_lists(field(plan, "arrows"));
    let floors = floor_of_each(field(plan, "floors"), metadata);
    let mut complaints = Vec::new();

    for package in list(field(metadata, "packages")) {
        let name = text(field(package, "name"));
        let (Some(allowed), Some(floor)) = (drawn.get(name), floors.get(name)) else {
            complaints.push(format!("{name}: not on the floor plan"));
            continue;
        };
        for target in real_arrows(package).filter(|target| floors.contains_key(*target)) {
            if !allowed.contains(target) {
                complaints.push(format!("{name} -> {target}: arrow not drawn"));
            }
            if floors.get(target).is_some_and(|below| floor < below) {
                complaints.push(format!("{name} -> {target}: arrow points up"));
            }
        }
    }
    complaints
}

/// Normal and build dependencies; tests may lean on anything.
fn real_arrows(package: &Value) -> impl Iterator<Item = &str> {
    list(field(package, "dependencies"))
        .iter()
        .filter(|dependency| field(dependency, "kind") != "dev")
        .map(|dependency| text(field(dependency, "name")))
}

/// The floors in the order the manifest lists them. JSON maps are sorted, so the
/// order is read from `floor_order`.
fn floor_of_each<'a>(floors: &'a Value, metadata: &'a Value) -> BTreeMap<&'a str, usize> {
    let order = list(metadata.pointer("/metadata/floor_order").unwrap_or(&Value::Null));
    order
        .iter()
        .enumerate()
        .flat_map(|(level, floor)| {
            list(field(floors, text(floor))).iter().map(move |name| (text(name), level))
        })
        .collect()
}

fn string_lists(value: &Value) -> BTreeMap<&str, BTreeSet<&str>> {
    let entries = value.as_object().into_iter().flatten();
    entries.map(|(name, list_)| (name.as_str(), list(list_).iter().map(text).collect())).collect()
}

fn field<'a>(value: &'a Value, name: &str) -> &'a Value {
    value.get(name).unwrap_or(&Value::Null)
}

fn list(value: &Value) -> &[Value] {
    value.as_array().map_or(&[], Vec::as_slice)
}

fn text(value: &Value) -> &str {
    value.as_str().unwrap_or_default()
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn complaints_about(dependency: &str) -> Vec<String> {
        complaints(&json!({
            "metadata": {
                "floor_order": ["ground", "services"],
                "floors": { "ground": ["types"], "services": ["rooms"] },
                "arrows": { "types": [], "rooms": ["types"] },
            },
            "packages": [
                { "name": "types", "dependencies": [{ "name": dependency, "kind": null }] },
                { "name": "rooms", "dependencies": [{ "name": "types", "kind": null }] },
            ],
        }))
    }

    #[test]
    fn outside_crates_are_not_our_business() {
        assert_eq!(complaints_about("serde"), [""; 0]);
    }

    #[test]
    fn the_workspace_obeys_its_own_plan() {
        check().unwrap();
    }

    #[test]
    fn an_upward_arrow_is_reported() {
        let expected = ["types -> rooms: arrow not drawn", "types -> rooms: arrow points up"];
        assert_eq!(complaints_about("rooms"), expected);
    }
}
