//! The bench proves itself on a stand-in server: every row runs, and the document holds them all.

use std::process::Command;

use anyhow::{Result, ensure};
use serde_json::Value;

fn rehearse(extra: &[&str]) -> Result<Value> {
    let folder = tempfile::tempdir()?;
    let json = folder.path().join("bench.json");
    let output = Command::new(env!("CARGO_BIN_EXE_vestibule-bench"))
        .args(["--self-test", "--folder"])
        .arg(folder.path().join("work"))
        .arg("--json")
        .arg(&json)
        .args(extra)
        .output()?;
    ensure!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    let left = std::fs::read_dir(folder.path().join("work"))?.count();
    ensure!(left == 0, "a run leaves data folders behind");
    Ok(serde_json::from_slice(&std::fs::read(&json)?)?)
}

#[test]
fn every_row_has_its_samples_and_the_rows_with_bars_their_verdict() {
    let document = rehearse(&[]).unwrap();
    assert_eq!(document["quick"], true, "a rehearsal is no claim");
    let rows = document["rows"].as_array().unwrap();
    let with_bar: Vec<_> = rows
        .iter()
        .filter(|row| row["reached"].is_boolean())
        .map(|row| row["name"].as_str().unwrap())
        .collect();
    assert_eq!(
        with_bar,
        [
            "idle memory",
            "one sender",
            "many senders, many rooms",
            "many senders, one room",
            "sync of one change, many/few rooms",
            "parked long-poll",
            "wake all long-polls, server/broadcast",
            "ready after a clean stop",
            "resolve 100 joins, bans v11",
            "resolve 100 joins, bans v12",
        ]
    );
    for row in rows {
        assert_eq!(row["samples"].as_array().unwrap().len(), 2, "{row}");
    }
    assert_eq!(document["probes"]["append_fdatasync_per_s"].as_array().unwrap().len(), 2);
    assert!(rows[1]["detail"]["generator_cpu_s"].is_number());
}

#[test]
fn only_the_rows_asked_for_are_measured() {
    let document = rehearse(&["--only", "idle"]).unwrap();
    let rows = document["rows"].as_array().unwrap();
    assert_eq!(rows.len(), 1);
    assert_eq!(rows[0]["name"], "idle memory");
    assert!(document["probes"].is_null());
}

#[test]
fn a_server_that_forgets_does_not_pass_the_crash_test() {
    let folder = tempfile::tempdir().unwrap();
    let output = Command::new(env!("CARGO_BIN_EXE_vestibule-bench"))
        .args(["--self-test", "--folder"])
        .arg(folder.path())
        .args(["crash", "--kills", "1", "--workers", "2", "--json"])
        .arg(folder.path().join("crash.json"))
        .output()
        .unwrap();
    assert!(!output.status.success());
    let seen = std::fs::read_to_string(folder.path().join("crash.json")).unwrap();
    for fault in ["lost: $e", "lost room: !r", "no history: !r", "db check: "] {
        assert!(seen.contains(fault), "{fault} was not noticed");
    }
}
