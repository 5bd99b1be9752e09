//! Sliding sync: windows, lists that grow, filters, subscriptions and extensions.

use std::{collections::BTreeSet, future::ready, time::Duration};

use anyhow::Context;
use matrix_sdk::{
    SlidingSync, SlidingSyncList, SlidingSyncListBuilder, SlidingSyncListLoadingState,
    SlidingSyncMode,
    ruma::{
        OwnedRoomId, RoomId,
        api::client::{
            receipt::create_receipt::v3::ReceiptType as Sent,
            room::create_room::v3::{CreationContent, Request as CreateRoom, RoomPreset},
            sync::sync_events::v5::request::{ListFilters, RoomSubscription},
        },
        directory::RoomTypeFilter,
        events::receipt::{ReceiptThread, ReceiptType},
        room::RoomType,
        serde::Raw,
        uint,
    },
};

use super::World;
use crate::{
    device::{Device, Way, required_state},
    facts::until,
};

/// How many rooms are made to look through windows at.
const ROOMS: usize = 9;
/// How long a connection driven by hand waits for news.
const POLL: Duration = Duration::from_secs(2);
/// How many answers without a room are read over.
const ANSWERS_MAX: usize = 5;

/// What is handed on to the parts after this one.
pub struct Windows {
    pub tablet: Device,
    pub sync: SlidingSync,
    /// The rooms that were made, the one with the oldest news first.
    pub rooms: Vec<OwnedRoomId>,
}

/// States the facts.
pub async fn play(world: &mut World<'_>) -> anyhow::Result<()> {
    let rooms = rooms(world).await?;
    let windows = windows(world, rooms).await?;
    growing(world, &windows.tablet).await?;
    filters(world, &windows.tablet).await?;
    subscription(world, &windows).await?;
    extensions(world, &windows.rooms[1]).await?;
    world.windows = Some(windows);
    Ok(())
}

/// Rooms of Alice's and Bob's, each with news newer than the one before.
async fn rooms(world: &World<'_>) -> anyhow::Result<Vec<OwnedRoomId>> {
    let mut made = Vec::new();
    for number in 1..=ROOMS {
        let mut asked = CreateRoom::new();
        asked.name = Some(format!("Room {number}"));
        asked.preset = Some(RoomPreset::PrivateChat);
        asked.invite = vec![world.bob.user()];
        let id = world.phone.client.create_room(asked).await?.room_id().to_owned();
        world.bob.joins(&id).await?;
        world.phone.say(&id, &format!("first in room {number}")).await?;
        world.phone.say(&id, &format!("second in room {number}")).await?;
        made.push(id);
    }
    let mut asked = CreateRoom::new();
    let mut content = CreationContent::new();
    content.room_type = Some(RoomType::Space);
    asked.creation_content = Some(Raw::new(&content)?);
    asked.name = Some("A space".to_owned());
    world.bob.client.create_room(asked).await?;
    world.phone.say(&made[ROOMS - 1], "the newest there is").await?;
    Ok(made)
}

async fn windows(world: &World<'_>, rooms: Vec<OwnedRoomId>) -> anyhow::Result<Windows> {
    let facts = world.facts;
    let tablet = Device::log_in(world.stage, "bob", "Bob's tablet", Way::ByHand).await?;
    let list = list("all").sync_mode(SlidingSyncMode::new_selective().add_range(0..=2));
    let sync = tablet.client.sliding_sync("windows")?.add_list(list).with_all_extensions();
    let sync = sync.poll_timeout(POLL).build().await?;
    let seen = news(&sync).await?;
    // The space is the newest but one: nothing was said in it, and it was made after the others.
    facts.check("a window of three brings three rooms", seen.len() == 3, &seen);
    let newest = rooms[ROOMS - 2..].iter().all(|room| seen.contains(room));
    facts.check("and those with the newest messages", newest, (&seen, &rooms));
    let name = tablet.client.get_room(&rooms[ROOMS - 1]).and_then(|room| room.name());
    facts.check(
        "a room comes with its name",
        name.as_deref() == Some(&format!("Room {ROOMS}")),
        &name,
    );
    let all = world.bob.client.joined_rooms().len();
    let count = count(&sync, "all").await;
    facts.check("the list counts every room", count == u32::try_from(all).ok(), (count, all));

    set_mode(&sync, SlidingSyncMode::new_selective().add_range(0..=5)).await;
    let more = news(&sync).await?;
    facts.check(
        "a wider window brings what was not told yet",
        more.len() == 3 && more.is_disjoint(&seen),
        (&more, &seen),
    );
    world.phone.say(&rooms[0], "up from below").await?;
    let up = news(&sync).await?;
    facts.check(
        "a room with news comes up into the window, alone",
        up == BTreeSet::from([rooms[0].clone()]),
        &up,
    );
    let stamps = |room: &OwnedRoomId| {
        tablet.client.get_room(room).and_then(|room| room.recency_stamp()).map(u64::from)
    };
    let highest = seen.union(&more).all(|other| stamps(other) < stamps(&rooms[0]));
    facts.check("its stamp puts it above the others", highest, stamps(&rooms[0]));
    Ok(Windows { tablet, sync, rooms })
}

async fn growing(world: &World<'_>, tablet: &Device) -> anyhow::Result<()> {
    let list = list("grows").sync_mode(SlidingSyncMode::new_growing(4));
    let sync =
        tablet.client.sliding_sync("growing")?.add_list(list).poll_timeout(POLL).build().await?;
    let (mut told, mut most) = (BTreeSet::new(), 0);
    for _ in 0..ROOMS {
        let new: BTreeSet<_> = sync.sync_once().await?.rooms.into_iter().collect();
        most = most.max(new.len());
        told.extend(new);
        if sync.on_list("grows", |list| ready(list.state())).await
            == Some(SlidingSyncListLoadingState::FullyLoaded)
        {
            break;
        }
    }
    let all: BTreeSet<_> =
        world.bob.client.joined_rooms().iter().map(|room| room.room_id().to_owned()).collect();
    world.facts.check("a growing list ends with every room", told == all, (told.len(), all.len()));
    world.facts.check("and never brings more than one step", most <= 4, most);
    Ok(())
}

async fn filters(world: &World<'_>, tablet: &Device) -> anyhow::Result<()> {
    let filter = |change: fn(&mut ListFilters)| {
        let mut filters = ListFilters::default();
        change(&mut filters);
        Some(filters)
    };
    let all = || SlidingSyncMode::new_selective().add_range(0..=19);
    let lists = [
        ("secret", filter(|it| it.is_encrypted = Some(true))),
        ("open", filter(|it| it.is_encrypted = Some(false))),
        ("spaces", filter(|it| it.room_types = vec![RoomTypeFilter::Space])),
        ("plain", filter(|it| it.not_room_types = vec![RoomTypeFilter::Space])),
        ("invites", filter(|it| it.is_invite = Some(true))),
    ];
    let mut sync = tablet.client.sliding_sync("filters")?.poll_timeout(POLL);
    for (name, filters) in lists {
        sync = sync.add_list(list(name).sync_mode(all()).filters(filters));
    }
    let sync = sync.build().await?;
    sync.sync_once().await?;
    let joined = world.bob.client.joined_rooms();
    let total = u32::try_from(joined.len())?;
    let mut secret = 0;
    for room in &joined {
        secret += u32::from(room.latest_encryption_state().await?.is_encrypted());
    }
    let expected = [
        ("secret", secret),
        ("open", total - secret),
        ("spaces", 1),
        ("plain", total - 1),
        ("invites", 0),
    ];
    for (name, expected) in expected {
        let counted = count(&sync, name).await;
        world.facts.check(
            &format!("the list of {name} rooms holds those and no others"),
            counted == Some(expected),
            (counted, expected),
        );
    }
    Ok(())
}

async fn subscription(world: &World<'_>, windows: &Windows) -> anyhow::Result<()> {
    let (facts, room) = (world.facts, &windows.rooms[1]);
    facts.check(
        "a room outside every window is not told of",
        windows.tablet.read("first in room 2").is_none(),
        (),
    );
    windows.sync.subscribe_to_rooms(&[room], Some(subscribed(10)), false);
    let told = news(&windows.sync).await?;
    facts.check("a subscription brings it", told == BTreeSet::from([room.clone()]), &told);
    facts.check(
        "with as much of its past as was asked for",
        windows.tablet.read("first in room 2").is_some(),
        (),
    );
    world.phone.say(room, "to the subscriber").await?;
    news(&windows.sync).await?;
    facts.check("and its news", windows.tablet.read("to the subscriber").is_some(), ());
    // Somebody outside gains nothing by naming the room.
    let carol = Device::log_in(world.stage, "carol", "Carol's tablet", Way::ByHand).await?;
    let sync = carol.client.sliding_sync("outside")?.poll_timeout(POLL).build().await?;
    let rooms = [room.as_ref(), world.room()?.as_ref()];
    sync.subscribe_to_rooms(&rooms, Some(subscribed(10)), false);
    let told = sync.sync_once().await?.rooms;
    facts.check(
        "a subscription opens no room to somebody outside, or put out",
        told.is_empty(),
        &told,
    );
    carol.client.matrix_auth().logout().await?;
    Ok(())
}

async fn extensions(world: &World<'_>, id: &RoomId) -> anyhow::Result<()> {
    let (facts, phone, laptop, bob) = (world.facts, &world.phone, &world.laptop, &world.bob);
    let (alice, room) = (phone.user(), phone.room(id).await?);
    let shown = bob.room(id).await?;
    let (_guard, mut typing) = shown.subscribe_to_typing_notifications();
    room.typing_notice(true).await?;
    let types = until(async || typing.try_recv().is_ok_and(|who| who.contains(&alice))).await;
    facts.check("sliding sync tells who is typing", types, ());
    room.typing_notice(false).await?;
    let stops = until(async || typing.try_recv().is_ok_and(|who| who.is_empty())).await;
    facts.check("and that nobody is any more", stops, ());

    let spoken = bob.say(id, "has Alice read this?").await?;
    phone.reads("has Alice read this?").await;
    room.send_single_receipt(Sent::Read, ReceiptThread::Unthreaded, spoken.clone()).await?;
    let read = until(async || {
        let receipt =
            shown.load_user_receipt(ReceiptType::Read, ReceiptThread::Unthreaded, &alice).await;
        receipt.is_ok_and(|receipt| receipt.is_some_and(|(event, _)| event == spoken))
    });
    facts.check("sliding sync brings receipts", read.await, &spoken);

    let asked = phone.say(id, "Bob, this is for you").await?;
    let counted = until(async || shown.unread_notification_counts().notification_count > 0).await;
    facts.check("sliding sync counts what is unread", counted, shown.unread_notification_counts());
    shown.send_single_receipt(Sent::Read, ReceiptThread::Unthreaded, asked).await?;
    let none = until(async || shown.unread_notification_counts().notification_count == 0).await;
    facts.check("and counts nothing once it was read", none, shown.unread_notification_counts());

    room.set_is_favourite(true, None).await?;
    let other = laptop.room(id).await?;
    facts.check(
        "sliding sync brings a room's account data",
        until(async || other.is_favourite()).await,
        (),
    );
    let content = Raw::new(&serde_json::json!({ "tea": "green" }))?.cast_unchecked();
    phone.client.account().set_account_data_raw("org.example.taste".into(), content).await?;
    let told = until(async || {
        let held = laptop.client.account().account_data_raw("org.example.taste".into()).await;
        held.is_ok_and(|held| held.is_some_and(|held| held.json().get().contains("green")))
    });
    facts.check("and a person's", told.await, ());
    Ok(())
}

/// A list with what a room is drawn from and its last message.
pub fn list(name: &str) -> SlidingSyncListBuilder {
    SlidingSyncList::builder(name).timeline_limit(1).required_state(required_state())
}

/// A subscription with so many messages.
fn subscribed(messages: u32) -> RoomSubscription {
    let mut wanted = RoomSubscription::default();
    wanted.required_state = required_state();
    wanted.timeline_limit = uint!(0) + messages.into();
    wanted
}

/// The rooms of the next answer that has any.
pub async fn news(sync: &SlidingSync) -> anyhow::Result<BTreeSet<OwnedRoomId>> {
    for _ in 0..ANSWERS_MAX {
        let rooms = sync.sync_once().await?.rooms;
        if !rooms.is_empty() {
            return Ok(rooms.into_iter().collect());
        }
    }
    Ok(BTreeSet::new())
}

/// How many rooms a list has.
pub async fn count(sync: &SlidingSync, name: &str) -> Option<u32> {
    sync.on_list(name, |list| ready(list.maximum_number_of_rooms())).await.flatten()
}

async fn set_mode(sync: &SlidingSync, mode: impl Into<SlidingSyncMode>) {
    let mode = mode.into();
    sync.on_list("all", |list| ready(list.set_sync_mode(mode.clone()))).await;
}

/// The parts after this one need what it made.
pub fn made(windows: &Option<Windows>) -> anyhow::Result<&Windows> {
    windows.as_ref().context("the windows were not opened")
}
