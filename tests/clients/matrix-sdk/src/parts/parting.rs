//! A device is deleted, a member is put out: neither is given another key.

use anyhow::Context;
use matrix_sdk::ruma::{OwnedRoomId, api::error::ErrorKind};

use super::World;
use crate::{
    device::{Device, Way, password},
    facts::until,
};

/// States the facts.
pub async fn play(world: &mut World<'_>) -> anyhow::Result<()> {
    deleted(world).await?;
    kicked(world).await
}

/// The tablet is deleted from the phone.
async fn deleted(world: &mut World<'_>) -> anyhow::Result<()> {
    let (facts, room) = (world.facts, world.room()?.clone());
    let tablet = world.tablet.take().context("the tablet never logged in")?;
    world.bob.say(&room, "while the tablet is there").await?;
    facts.check(
        "the tablet reads while it is there",
        tablet.reads("while the tablet is there").await,
        (),
    );
    let before = session(&world.bob, "while the tablet is there").await;
    let id = tablet.client.device_id().context("no device")?.to_owned();
    let refused = world.phone.client.delete_devices(std::slice::from_ref(&id), None).await;
    let asked = refused.as_ref().err().and_then(|stop| stop.as_uiaa_response()).cloned();
    facts.check("to delete a device takes the password", asked.is_some(), &refused.as_ref().err());
    let given = password(world.stage, "alice", &asked.context("not asked for a password")?)?;
    world.phone.client.delete_devices(std::slice::from_ref(&id), Some(given)).await?;
    let left = world.phone.client.devices().await?.devices;
    facts.check(
        "a deleted device is off the list",
        left.iter().all(|device| device.device_id != id),
        &left,
    );
    let locked_out = until(async || {
        let answer = tablet.client.whoami().await;
        answer.is_err_and(|stop| {
            matches!(stop.client_api_error_kind(), Some(ErrorKind::UnknownToken { .. }))
        })
    });
    facts.check("a deleted device's token opens nothing", locked_out.await, ());
    let alice = world.phone.user();
    let told = until(async || {
        world
            .bob
            .client
            .encryption()
            .get_device(&alice, &id)
            .await
            .is_ok_and(|device| device.is_none())
    });
    facts.check("another user's device hears of the deletion", told.await, ());
    world.bob.say(&room, "when the tablet is gone").await?;
    facts.check(
        "the remaining devices go on reading",
        world.laptop.reads("when the tablet is gone").await,
        (),
    );
    let after = session(&world.bob, "when the tablet is gone").await;
    facts.check(
        "the room's key is changed when a device is gone",
        after.is_some() && before != after,
        (before, after),
    );
    Ok(())
}

/// Carol is let in and put out again.
async fn kicked(world: &mut World<'_>) -> anyhow::Result<()> {
    let (facts, room) = (world.facts, world.room()?.clone());
    let carol = Device::log_in(world.stage, "carol", "Carol's phone", Way::Sliding).await?;
    world.phone.room(&room).await?.invite_user_by_id(&carol.user()).await?;
    carol.joins(&room).await?;
    carol.room(&room).await?;
    let joined = until(async || member(world, &room, &carol).await == "join").await;
    facts.check("the room hears of who joined", joined, ());
    world.bob.say(&room, "Carol may read this").await?;
    facts.check("a new member reads", carol.reads("Carol may read this").await, ());
    let before = session(&world.bob, "Carol may read this").await;
    world.phone.room(&room).await?.kick_user(&carol.user(), Some("a test")).await?;
    let out =
        until(async || carol.client.left_rooms().iter().any(|left| left.room_id() == room)).await;
    facts.check("who is put out is told by sliding sync", out, carol.client.rooms());
    until(async || member(world, &room, &carol).await == "leave").await;
    let unsaid = world.bob.say(&room, "Carol may not read this").await?;
    world.phone.reads("Carol may not read this").await;
    let after = session(&world.bob, "Carol may not read this").await;
    facts.check(
        "the room's key is changed when a member is gone",
        after.is_some() && before != after,
        (before, after),
    );
    // What comes after shows that the sync went on without the room's news.
    let other = world.bob.client.create_room(Default::default()).await?;
    other.invite_user_by_id(&carol.user()).await?;
    let on = until(async || {
        carol.client.invited_rooms().iter().any(|invited| invited.room_id() == other.room_id())
    })
    .await;
    let quiet = carol.read("Carol may not read this").is_none()
        && carol.heard().unreadable.iter().all(|(_, event)| *event != unsaid);
    facts.check("who is put out hears no more of the room", on && quiet, (on, quiet));
    Ok(())
}

/// The Megolm session a text came in, as the sender's own device reads it back.
async fn session(device: &Device, text: &str) -> Option<String> {
    device.reads(text).await;
    device.read(text)?.session
}

/// What the sender believes somebody's membership to be.
async fn member(world: &World<'_>, room: &OwnedRoomId, who: &Device) -> String {
    let Some(room) = world.bob.client.get_room(room) else {
        return String::new();
    };
    match room.get_member_no_sync(&who.user()).await {
        Ok(Some(member)) => member.membership().to_string(),
        _ => String::new(),
    }
}
