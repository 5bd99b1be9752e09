use toml::{Table, Value};
use vestibule_policy::PolicyConfig;

use super::*;

/// The example with every `#key` line switched on.
fn switched_on() -> String {
    let on = |line: &str| match line.strip_prefix('#') {
        Some(rest) if !rest.is_empty() && !rest.starts_with(' ') => rest.to_owned(),
        _ => line.to_owned(),
    };
    example().lines().map(on).collect::<Vec<_>>().join("\n")
}

fn table(text: &str) -> Table {
    text.parse().unwrap()
}

#[test]
fn the_example_is_a_valid_configuration_as_it_stands() {
    let loaded = crate::parse(&example(), Vec::new()).unwrap();
    assert_eq!(loaded.config.policy, PolicyConfig::default());
    assert_eq!(loaded.config.limits, Limits::default());
    assert_eq!(loaded.warnings, []);
}

#[test]
fn the_committed_example_is_the_generated_one() {
    let path = concat!(env!("CARGO_MANIFEST_DIR"), "/../../config.example.toml");
    let committed = std::fs::read_to_string(path).unwrap_or_default();
    let remedy = "cargo run -p vestibule-server -- config example > config.example.toml";
    assert!(committed == example(), "config.example.toml is stale: {remedy}");
}

/// All leaves of a table, dotted.
fn leaves(prefix: &str, value: &Value, into: &mut Vec<(String, Value)>) {
    match value {
        Value::Table(table) => {
            for (key, value) in table {
                leaves(&format!("{prefix}.{key}"), value, into);
            }
        }
        other => into.push((prefix.to_owned(), other.clone())),
    }
}

#[test]
fn every_policy_key_is_shown_with_its_default() {
    let shown = Value::Table(table(&switched_on()));
    let mut all = Vec::new();
    leaves("", &shown, &mut all);
    let mut defaults = Vec::new();
    leaves("", &Value::try_from(PolicyConfig::default()).unwrap(), &mut defaults);
    // A list of tables cannot be shown empty and filled at once.
    defaults.retain(|(key, _)| key != ".guests.space");
    assert!(defaults.len() > 25);
    for (key, default) in defaults {
        let found = all.iter().find(|(shown, _)| *shown == key);
        assert_eq!(found.map(|(_, value)| value), Some(&default), "{key}");
    }
}

#[test]
fn what_is_switched_on_is_understood() {
    let problems = crate::parse(&switched_on(), Vec::new()).unwrap_err().0;
    let keys = problems.iter().map(|problem| problem.key.as_str()).collect::<Vec<_>>();
    // Only what names files of another machine, and secrets given in more than one way.
    let files = ["listener[0].tls.certificate", "listener[0].tls.private_key"];
    let more = ["registration.shared_secret_file", "federation.ca_file"];
    let mail = ["email.password_file", ""];
    let calls = ["voip.turn_shared_secret_file", "voip.turn_username"];
    let expected = [files, more, mail, calls].concat();
    assert_eq!(keys, expected.iter().filter(|key| !key.is_empty()).copied().collect::<Vec<_>>());
}

#[test]
fn no_key_is_without_a_word_of_explanation_and_a_value() {
    for section in sections() {
        assert!(!section.docs.is_empty(), "{}", section.name);
        for key in section.keys {
            assert!(!key.docs.is_empty(), "{}.{}", section.name, key.name);
            assert!(key.default.is_some() || key.example.is_some(), "{}", key.name);
        }
    }
}
