//! The real server, killed and cut from power under load: what it acknowledged is there afterwards.

use std::time::Duration;

use anyhow::Result;
use tokio::sync::Mutex;
use vestibule_bench::{
    crash::{Plan, kill_loop, power_cut},
    server::Durability,
};
use vestibule_tests::{launch, say};

const KILLS: usize = 50;
const CUTS: usize = 3;
const WORKERS: usize = 8;
/// On a machine that does other things as well: how fast it can be is for the bench to say.
const RESTART_MAX: Duration = Duration::from_secs(30);
/// A restart is timed, so the other test waits meanwhile.
static ONE_AT_A_TIME: Mutex<()> = Mutex::const_new(());

/// A folder on the disk the tests were built on: elsewhere it may be memory, and nothing is synced.
fn folder() -> Result<tempfile::TempDir> {
    Ok(tempfile::Builder::new().prefix("crash-").tempdir_in(env!("CARGO_TARGET_TMPDIR"))?)
}

#[tokio::test]
async fn fifty_kills_under_load_lose_nothing_that_was_acknowledged() -> Result<()> {
    let Some(launch) = launch()? else { return Ok(()) };
    let _alone = ONE_AT_A_TIME.lock().await;
    let folder = folder()?;
    let plan = Plan { kills: KILLS, workers: WORKERS, seed: 1, restart_max: RESTART_MAX };
    let outcome = kill_loop(&launch, folder.path(), plan).await?;
    let slowest_ms = outcome.restart_ms.iter().copied().fold(0.0, f64::max);
    let (messages, rooms) = (outcome.messages, outcome.rooms);
    say(&format!("{messages} messages and {rooms} rooms, slowest restart {slowest_ms:.0} ms"))?;
    outcome.verdict()?;
    assert_eq!(outcome.kills, KILLS);
    assert!(messages > KILLS * WORKERS, "there was hardly any load: {messages} messages");
    assert!(rooms > 0, "no room was made under load");
    Ok(())
}

#[tokio::test]
async fn a_power_cut_loses_nothing_with_fsync_and_something_without() -> Result<()> {
    let Some(launch) = launch()? else { return Ok(()) };
    let _alone = ONE_AT_A_TIME.lock().await;
    let folder = folder()?;
    let plan = Plan { kills: CUTS, workers: WORKERS, seed: 2, restart_max: RESTART_MAX };
    let cut = |durability| power_cut(&launch, folder.path(), plan, durability);
    let fsync = cut(Durability::Fsync).await?;
    let os = cut(Durability::Os).await?;
    assert!(fsync.acknowledged > 0, "nothing was acknowledged: {fsync:?}");
    assert_eq!(fsync.lost, 0, "{fsync:?}");
    assert!(os.lost > 0, "the cut does not cut: {os:?}");
    Ok(())
}
