//! Events that were acknowledged before they could be judged survive a restart.

use std::{path::Path, sync::Arc};

use tempfile::TempDir;
use vestibule_testkit::server::{Blueprint, TestServer};

use crate::support::{error_of, scene_of};

#[tokio::test]
async fn an_acknowledged_event_is_judged_after_a_restart() {
    let mut scene = scene_of(Blueprint::default().on_disk(), "11").await;
    scene.still_works("before").await;
    let pdus = scene.messages(scene.ends().await, &["lost", "found"]).await;
    scene.network.cut("away.example");
    let answers = scene.send(&pdus[1..]).await;
    assert_eq!(error_of(&answers, &pdus[1]), None, "{answers}");
    assert_eq!(scene.read().await.len(), 2);
    scene.home = scene.home.restart().await;
    scene.network.mend("away.example");
    scene.home = scene.home.restart().await;
    scene.alice = scene.home.login("alice").await;
    // That it speaks again tells us that it answers again.
    scene.pass(Vec::new()).await.ok();
    assert_eq!(scene.read_soon("found").await[2..], ["lost", "found"]);
    scene.still_works("after a restart").await;
}

/// Copies a folder of a server that is running: what a `kill -9` at this moment would leave behind, as
/// everything that was acknowledged is in the log of the database by then.
fn left_behind(home: &TestServer) -> Arc<TempDir> {
    let copy = tempfile::tempdir().expect("a folder");
    copy_all(home.folder().path(), copy.path());
    Arc::new(copy)
}

fn copy_all(from: &Path, to: &Path) {
    for entry in std::fs::read_dir(from).expect("a folder") {
        let entry = entry.expect("an entry");
        let (kind, to) = (entry.file_type().expect("a kind"), to.join(entry.file_name()));
        if kind.is_dir() {
            std::fs::create_dir(&to).expect("a folder");
            copy_all(&entry.path(), &to);
        } else if kind.is_file() && entry.file_name() != "LOCK" {
            std::fs::copy(entry.path(), &to).expect("a copy");
        }
    }
}

#[tokio::test]
async fn a_kill_loses_nothing_that_was_acknowledged() {
    let blueprint = Blueprint::default().on_disk();
    let mut scene = scene_of(blueprint.clone(), "11").await;
    scene.still_works("before").await;
    let mut texts = scene.read().await;
    for round in 0..4 {
        let ends = scene.ends().await;
        let accepted = scene.message(&ends, &format!("{round}: accepted")).await;
        let row = scene.messages(ends.after(&accepted), &["lost", "waits"]).await;
        scene.network.cut("away.example");
        let answers = scene.send(&[accepted.clone(), row[1].clone()]).await;
        let copy = left_behind(&scene.home);
        for pdu in [&accepted, &row[1]] {
            assert_eq!(error_of(&answers, pdu), None, "{answers}");
        }
        // The killed one says no more: its database is that of before the copy.
        scene.network.mend("away.example");
        let on = blueprint.clone().on(&scene.network, "home.example");
        scene.home = on.try_start_in(copy).await.expect("the database opens");
        scene.alice = scene.home.login("alice").await;
        scene.pass(Vec::new()).await.ok();
        texts.extend([format!("{round}: accepted"), "lost".to_owned(), "waits".to_owned()]);
        for _ in 0..200 {
            if scene.read().await.len() == texts.len() {
                break;
            }
            tokio::time::sleep(std::time::Duration::from_millis(50)).await;
        }
        assert_eq!(scene.read().await, texts, "round {round}");
    }
    scene.still_works("after four kills").await;
}
