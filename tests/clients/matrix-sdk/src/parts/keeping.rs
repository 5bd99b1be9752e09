//! Key backup and secret storage: all devices are lost, and a recovery key brings back what was said.

use matrix_sdk::encryption::{backups::BackupState, recovery::RecoveryState};

use super::World;
use crate::{
    device::{Device, Way},
    facts::until,
};

/// States the facts.
pub async fn play(world: &mut World<'_>) -> anyhow::Result<()> {
    let (facts, room) = (world.facts, world.room()?.clone());
    let old = world.bob.say(&room, "kept in the backup").await?;
    world.phone.reads("kept in the backup").await;
    let recovery = world.phone.client.encryption().recovery();
    facts.check(
        "no backup is on the server before one was made",
        !world.phone.client.encryption().backups().fetch_exists_on_server().await?,
        (),
    );
    let key = recovery.enable().wait_for_backups_to_upload().await?;
    facts.check(
        "recovery is set up with a key",
        recovery.state() == RecoveryState::Enabled,
        recovery.state(),
    );
    let backups = world.phone.client.encryption().backups();
    facts.check(
        "the backup is on the server",
        backups.fetch_exists_on_server().await?,
        backups.state(),
    );
    let newest = world.bob.say(&room, "said after the backup was made").await?;
    world.phone.reads("said after the backup was made").await;
    backups.wait_for_steady_state().await?;

    // Everything Alice had is gone but her key.
    let rescued = Device::log_in(world.stage, "alice", "Alice's new phone", Way::V3).await?;
    rescued.room(&room).await?;
    let incomplete =
        until(async || rescued.client.encryption().recovery().state() == RecoveryState::Incomplete)
            .await;
    facts.check(
        "a new device knows that there is something to recover",
        incomplete,
        rescued.client.encryption().recovery().state(),
    );
    let wrong = rescued
        .client
        .encryption()
        .recovery()
        .recover("EsTc LW2K PGiF wKEA 3As5 g5c4 BXwk qeeJ ZJV8 Q9fu gUMN UE4d")
        .await;
    facts.check("a wrong recovery key opens nothing", wrong.is_err(), wrong);
    rescued.client.encryption().recovery().recover(&key).await?;
    facts.check("a recovery key verifies a new device", rescued.becomes_verified().await, ());
    let state = rescued.client.encryption().backups().state();
    facts.check("and turns the backup on", state == BackupState::Enabled, state);
    rescued.client.encryption().backups().download_room_keys_for_room(&room).await?;
    let shown = rescued.room(&room).await?;
    for (event, name) in [(old, "before"), (newest, "after")] {
        let opened = shown.event(&event, None).await?.encryption_info().is_some();
        facts.check(
            &format!("a new device decrypts from the backup what was said {name} it was made"),
            opened,
            event,
        );
    }
    rescued.client.matrix_auth().logout().await?;
    Ok(())
}
