//! Connections outlive a restart of the server, and what the server no longer knows begins anew.

use std::{collections::BTreeSet, pin::pin};

use anyhow::Context;
use futures_util::StreamExt;
use matrix_sdk::ruma::api::{client::sync::sync_events::v5::Request as Slide, error::ErrorKind};

use super::{
    World,
    sliding::{count, made, news},
};
use crate::facts::until;

/// States the facts.
pub async fn play(world: &mut World<'_>) -> anyhow::Result<()> {
    restart(world).await?;
    kicked(world).await?;
    unknown(world).await
}

/// The server is stopped and started while every device listens.
async fn restart(world: &World<'_>) -> anyhow::Result<()> {
    let (facts, room, windows) = (world.facts, world.room()?, made(&world.windows)?);
    let before = count(&windows.sync, "all").await;
    world.stage.restart().await?;
    let devices = [
        (&world.phone, "Alice's phone"),
        (&world.laptop, "Alice's laptop"),
        (&world.bob, "Bob's phone"),
    ];
    for (speaker, name) in devices {
        let text = format!("said on {name} after the restart");
        speaker.say(room, &text).await?;
        for (hearer, other) in devices {
            facts.check(
                &format!("after a restart {other} reads what is said on {name}"),
                hearer.reads(&text).await,
                (),
            );
        }
    }
    for (device, name) in &devices[1..] {
        facts.check(
            &format!("the sliding connection of {name} goes on after the restart"),
            device.expired() == 0,
            device.expired(),
        );
    }
    // What was said in the encrypted room comes first.
    news(&windows.sync).await?;
    world.phone.say(&windows.rooms[3], "news after the restart").await?;
    let told = news(&windows.sync).await?;
    let alone = told == BTreeSet::from([windows.rooms[3].clone()]);
    facts.check(
        "a connection that outlived the restart brings the news, and nothing twice",
        alone,
        &told,
    );
    facts.check(
        "its message among it",
        windows.tablet.read("news after the restart").is_some(),
        (),
    );
    let after = count(&windows.sync, "all").await;
    facts.check("the list has lost no room", before.is_some() && before == after, (before, after));
    Ok(())
}

/// Bob is put out of a room that is on his list.
async fn kicked(world: &World<'_>) -> anyhow::Result<()> {
    let (facts, windows) = (world.facts, made(&world.windows)?);
    let id = &windows.rooms[3];
    let before = count(&windows.sync, "all").await.context("no list")?;
    world.phone.room(id).await?.kick_user(&world.bob.user(), None).await?;
    let told = news(&windows.sync).await?;
    facts.check("who is put out is told so once", told.contains(id), &told);
    let left =
        until(async || world.bob.client.left_rooms().iter().any(|room| room.room_id() == id)).await;
    facts.check("and so are their other devices", left, ());
    world.phone.say(id, "not for Bob").await?;
    world.phone.say(&windows.rooms[4], "for Bob").await?;
    let told = news(&windows.sync).await?;
    facts.check(
        "the room's further news are not told",
        told == BTreeSet::from([windows.rooms[4].clone()]),
        &told,
    );
    // Leaving on one's own takes a room off the list, being put out does not.
    let own = &windows.rooms[6];
    world.bob.room(own).await?.leave().await?;
    let told = news(&windows.sync).await?;
    facts.check(
        "who leaves is told so on their other devices",
        told == BTreeSet::from([own.clone()]),
        &told,
    );
    world.phone.say(&windows.rooms[4], "for Bob again").await?;
    news(&windows.sync).await?;
    let after = count(&windows.sync, "all").await;
    facts.check(
        "the list counts the room that was left no more",
        after == Some(before - 1),
        (before, after),
    );
    Ok(())
}

/// The server does not know a position.
async fn unknown(world: &World<'_>) -> anyhow::Result<()> {
    let (facts, windows) = (world.facts, made(&world.windows)?);
    let client = &windows.tablet.client;
    let mut asked = Slide::new();
    asked.pos = Some("nothing-of-this-server's".to_owned());
    asked.conn_id = Some("strange".to_owned());
    let refused = client.send(asked).await.err();
    let kind = refused.as_ref().and_then(|stop| stop.client_api_error_kind());
    facts.check(
        "a strange position is refused as unknown",
        kind == Some(&ErrorKind::UnknownPos),
        &refused,
    );

    // The same connection begun anew elsewhere makes the SDK's position one of the past.
    let mut asked = Slide::new();
    asked.conn_id = Some("windows".to_owned());
    client.send(asked).await?;
    let before = count(&windows.sync, "all").await;
    let refused = pin!(windows.sync.sync()).next().await.context("no answer")?.err();
    let kind = refused.as_ref().and_then(|stop| stop.client_api_error_kind());
    facts.check(
        "a position of a connection that was begun anew is unknown",
        kind == Some(&ErrorKind::UnknownPos),
        &refused,
    );
    let begun = pin!(windows.sync.sync()).next().await.context("no answer")??;
    let after = count(&windows.sync, "all").await;
    facts.check(
        "the SDK begins anew and has its list again",
        !begun.rooms.is_empty() && before == after,
        (before, after),
    );
    world.phone.say(&windows.rooms[5], "after all that").await?;
    news(&windows.sync).await?;
    facts.check("and hears the news", windows.tablet.read("after all that").is_some(), ());
    Ok(())
}
