//! What people do all day, by the calls the SDK has for it.

use anyhow::Context;
use futures_util::StreamExt;
use matrix_sdk::{
    RoomState,
    deserialized_responses::TimelineEvent,
    notification_settings::RoomNotificationMode,
    room::{ListThreadsOptions, MessagesOptions, RelationsOptions},
    ruma::{
        OwnedEventId, OwnedRoomId,
        api::{
            client::{
                directory::get_public_rooms_filtered::v3::Request as PublicRooms,
                room::{
                    Visibility,
                    create_room::v3::{Request as CreateRoom, RoomPreset},
                },
            },
            error::ErrorKind,
        },
        directory::Filter,
        events::{
            reaction::ReactionEventContent,
            relation::{Annotation, Thread},
            room::{
                join_rules::JoinRule,
                message::{Relation, RoomMessageEventContent},
            },
        },
        int, uint,
    },
};

use super::World;
use crate::{device::client, facts::until};

/// How many pages of history are asked for at most.
const PAGES_MAX: usize = 20;

/// States the facts.
pub async fn play(world: &mut World<'_>) -> anyhow::Result<()> {
    let room = finding(world).await?;
    knocking(world).await?;
    relating(world, &room).await?;
    paging(world, &room).await?;
    settings(world, &room).await?;
    powers(world, &room).await?;
    refreshing(world).await
}

/// A room is made public, found, looked at from outside, and joined by its alias.
async fn finding(world: &World<'_>) -> anyhow::Result<OwnedRoomId> {
    let (facts, phone, bob) = (world.facts, &world.phone, &world.bob);
    let mut asked = CreateRoom::new();
    asked.name = Some("Tea house".to_owned());
    asked.topic = Some("Leaves and water".to_owned());
    asked.preset = Some(RoomPreset::PublicChat);
    asked.room_alias_name = Some("tea".to_owned());
    asked.visibility = Visibility::Public;
    let room = phone.client.create_room(asked).await?;
    let (id, server) = (room.room_id().to_owned(), phone.user().server_name().to_owned());
    let (alias, via) = (format!("#tea:{server}"), vec![server.clone()]);
    // The SDK asks without a token, and for that this server asks no other.
    if world.stage.elsewhere.is_none() {
        let known = bob.client.resolve_room_alias(alias.as_str().try_into()?).await?;
        facts.check("an alias leads to its room", known.room_id == id, &known.room_id);
    }
    let mut search = PublicRooms::new();
    search.server = Some(server.clone());
    search.filter = Filter::new();
    search.filter.generic_search_term = Some("leaves".to_owned());
    let found = bob.client.public_rooms_filtered(search).await?.chunk;
    facts.check(
        "the directory finds a room by its topic",
        found.len() == 1 && found[0].room_id == id,
        &found,
    );
    let shown = bob.client.get_room_preview((*id).into(), via.clone()).await?;
    let right = shown.name.as_deref() == Some("Tea house") && shown.num_joined_members == 1;
    facts.check("a room is looked at before one joins", right && shown.state.is_none(), &shown);
    bob.client.join_room_by_id_or_alias(alias.as_str().try_into()?, &[]).await?;
    bob.room(&id).await?;
    let shown = bob.client.get_room_preview((*id).into(), via.clone()).await?;
    facts.check("and afterwards", shown.state == Some(RoomState::Joined), &shown);
    // The directory of people has those of its own server.
    if world.stage.elsewhere.is_none() {
        let people = bob.client.search_users("alice", 10).await?.results;
        let found = people.iter().any(|it| it.user_id == phone.user());
        facts.check("the user directory finds a person", found, &people);
    }
    Ok(id)
}

/// Bob knocks, and Alice lets him in.
async fn knocking(world: &World<'_>) -> anyhow::Result<()> {
    let (facts, bob) = (world.facts, &world.bob);
    let server = world.phone.user().server_name().to_owned();
    let mut asked = CreateRoom::new();
    asked.preset = Some(RoomPreset::PrivateChat);
    let room = world.phone.client.create_room(asked).await?;
    let id = room.room_id().to_owned();
    room.privacy_settings().update_join_rule(JoinRule::Knock).await?;
    let (requests, _task) = world.phone.room(&id).await?.subscribe_to_knock_requests().await?;
    let mut requests = Box::pin(requests);
    bob.client.knock(id.clone().into(), Some("let me in".to_owned()), vec![server]).await?;
    let knocked = until(async || {
        bob.client.get_room(&id).is_some_and(|room| room.state() == RoomState::Knocked)
    });
    facts.check("who knocks sees that they did", knocked.await, ());
    let waiting = tokio::time::timeout(std::time::Duration::from_secs(20), async {
        while let Some(waiting) = requests.next().await {
            if let Some(first) = waiting.into_iter().next() {
                return Some(first);
            }
        }
        None
    });
    let request = waiting.await?.context("no knock arrived")?;
    facts.check(
        "a knock arrives with its reason",
        request.member_info.reason.as_deref() == Some("let me in"),
        (),
    );
    request.accept().await?;
    bob.joins(&id).await?;
    facts.check("who was let in joins", bob.room(&id).await?.state() == RoomState::Joined, ());
    Ok(())
}

/// Reactions, threads, edits, redactions and pins.
async fn relating(world: &World<'_>, id: &OwnedRoomId) -> anyhow::Result<()> {
    let facts = world.facts;
    let (phone, bob) = (world.phone.room(id).await?, world.bob.room(id).await?);
    let root = world.phone.say(id, "which tea?").await?;
    let reaction = ReactionEventContent::new(Annotation::new(root.clone(), "🍵".to_owned()));
    bob.send(reaction).await?;
    let mut reply = RoomMessageEventContent::text_plain("green tea");
    reply.relates_to = Some(Relation::Thread(Thread::plain(root.clone(), root.clone())));
    let reply = bob.send(reply).await?.response.event_id;
    let related = until(async || {
        let related = phone.relations(root.clone(), RelationsOptions::default()).await;
        related.is_ok_and(|related| related.chunk.len() == 2)
    });
    facts.check("the relations of a message are its reaction and its reply", related.await, &root);
    let listed = until(async || {
        let threads = phone.list_threads(ListThreadsOptions::default()).await;
        let ids = |it: &TimelineEvent| it.event_id();
        threads.is_ok_and(|it| it.chunk.iter().filter_map(ids).eq([root.clone()]))
    });
    facts.check("its thread is listed", listed.await, &root);
    phone.pin_event(&root).await?;
    let pinned = until(async || {
        bob.load_pinned_events().await.is_ok_and(|it| it == Some(vec![root.clone()]))
    });
    facts.check("a message is pinned", pinned.await, &root);
    bob.redact(&reply, Some("coffee"), None).await?;
    let emptied = until(async || match phone.event(&reply, None).await {
        Ok(event) => event.raw().json().get().contains("redacted_because"),
        Err(_) => false,
    });
    facts.check("a redacted message is emptied, and says by whom", emptied.await, &reply);
    let around = phone.event_with_context(&root, true, uint!(4), None).await?;
    let found = around.event.as_ref().and_then(|event| event.event_id());
    facts.check(
        "a message comes with what is around it",
        found == Some(root) && !around.events_before.is_empty(),
        &found,
    );
    Ok(())
}

/// The room's history, a few events at a time, to its beginning.
async fn paging(world: &World<'_>, id: &OwnedRoomId) -> anyhow::Result<()> {
    let room = world.bob.room(id).await?;
    let (mut seen, mut options): (Vec<OwnedEventId>, _) = (Vec::new(), MessagesOptions::backward());
    let mut ends = false;
    for _ in 0..PAGES_MAX {
        options.limit = uint!(3);
        let page = room.messages(options).await?;
        seen.extend(page.chunk.iter().filter_map(|event| event.event_id()));
        let Some(end) = page.end else {
            ends = true;
            break;
        };
        options = MessagesOptions::backward().from(Some(end.as_str()));
    }
    let mut once = seen.clone();
    once.sort();
    once.dedup();
    world.facts.check(
        "the history is paged through to its beginning",
        ends && seen.len() > 8,
        seen.len(),
    );
    world.facts.check(
        "and no event comes twice",
        once.len() == seen.len(),
        (once.len(), seen.len()),
    );
    Ok(())
}

/// Notifications, ignored people, unread marks and reports.
async fn settings(world: &World<'_>, id: &OwnedRoomId) -> anyhow::Result<()> {
    let (facts, phone, laptop, bob) = (world.facts, &world.phone, &world.laptop, &world.bob);
    // What is set is told to those who listen already.
    let other = laptop.client.notification_settings().await;
    let rules = phone.client.notification_settings().await;
    rules.set_room_notification_mode(id, RoomNotificationMode::MentionsAndKeywordsOnly).await?;
    rules.add_keyword("oolong".to_owned()).await?;
    let told = until(async || {
        let mode = other.get_user_defined_room_notification_mode(id).await;
        mode == Some(RoomNotificationMode::MentionsAndKeywordsOnly)
            && other.enabled_keywords().await.contains("oolong")
    });
    facts.check("push rules set on one device hold on the other", told.await, ());
    bob.say(id, "black or white?").await?;
    bob.say(id, "oolong, please").await?;
    laptop.reads("oolong, please").await;
    let shown = laptop.room(id).await?;
    let counted = until(async || shown.unread_notification_counts().notification_count == 1).await;
    facts.check(
        "a keyword counts and the rest does not",
        counted,
        shown.unread_notification_counts(),
    );
    rules.remove_keyword("oolong").await?;

    phone.room(id).await?.set_unread_flag(true).await?;
    facts.check(
        "a room marked as unread is so on the other device",
        until(async || shown.is_marked_unread()).await,
        (),
    );
    let event = bob.say(id, "an annoyance").await?;
    phone.reads("an annoyance").await;
    phone.room(id).await?.report_content(event, Some("annoying".to_owned())).await?;
    phone.room(id).await?.report_room("too".to_owned()).await?;
    facts.check("a message and a room are reported", true, ());
    phone.client.account().ignore_user(&bob.user()).await?;
    let ignored = until(async || laptop.client.is_user_ignored(&bob.user()).await).await;
    facts.check("who is ignored is so on the other device", ignored, ());
    phone.client.account().unignore_user(&bob.user()).await?;
    Ok(())
}

/// Power levels, a ban, and the way back.
async fn powers(world: &World<'_>, id: &OwnedRoomId) -> anyhow::Result<()> {
    let (facts, bob) = (world.facts, &world.bob);
    let (room, theirs) = (world.phone.room(id).await?, bob.room(id).await?);
    let refused = theirs.set_name("Coffee house".to_owned()).await.err();
    let kind = refused.as_ref().and_then(|stop| stop.client_api_error_kind()).cloned();
    facts.check("a member may not rename the room", kind == Some(ErrorKind::Forbidden), &refused);
    room.update_power_levels(vec![(&bob.user(), int!(50))]).await?;
    let may = until(async || theirs.set_name("Coffee house".to_owned()).await.is_ok()).await;
    facts.check("until they are given the power for it", may, ());
    let renamed = until(async || room.name().as_deref() == Some("Coffee house")).await;
    facts.check("the new name is told", renamed, room.name());
    room.ban_user(&bob.user(), Some("coffee")).await?;
    let banned = until(async || {
        bob.client.get_room(id).is_some_and(|room| room.state() == RoomState::Banned)
    })
    .await;
    facts.check("who is banned is told so", banned, ());
    let refused = bob.client.join_room_by_id(id).await.err();
    facts.check("and does not get in", refused.is_some(), &refused);
    room.unban_user(&bob.user(), None).await?;
    bob.client.join_room_by_id(id).await?;
    facts.check("until the ban is lifted", bob.room(id).await?.state() == RoomState::Joined, ());
    Ok(())
}

/// A session with a refresh token.
async fn refreshing(world: &World<'_>) -> anyhow::Result<()> {
    let fresh = client(world.stage.of("robot")).await?;
    let login = fresh.matrix_auth().login_username("robot", world.stage.password("robot")?);
    login.request_refresh_token().send().await?;
    let before = fresh.access_token().context("no token")?;
    fresh.refresh_access_token().await?;
    let after = fresh.access_token().context("no token")?;
    world.facts.check("a refreshed session has another token", before != after, ());
    let works = fresh.whoami().await;
    world.facts.check("which opens the account", works.is_ok(), &works);
    let url = format!("{}_matrix/client/v3/account/whoami", fresh.homeserver());
    let old = fresh.http_client().get(url).bearer_auth(before).send().await?.status();
    world.facts.check("and the old one does not", old.as_u16() == 401, old);
    fresh.matrix_auth().logout().await?;
    Ok(())
}
