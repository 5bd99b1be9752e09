//! What becomes of guests when a door closes: frozen, then out, and never kept from leaving.

use std::time::Duration;

use anyhow::Result;
use serde_json::{Value, json};
use tokio::time::sleep;
use vestibule_tests::{Answer, MANY_GUESTS, Person, Town, segment};

/// How often two requests are raced.
const ROUNDS: usize = 40;
/// A guest that was refused more often within a minute is told to wait.
const ROUNDS_OF_A_GUEST: usize = 10;
/// Patience with what takes effect a moment later, in looks of 50 ms.
const LOOKS_MAX: usize = 400;

fn guests(more: &str) -> String {
    format!("\n[guests]\nenabled = true\n{more}\n{MANY_GUESTS}")
}

async fn until<F: Future<Output = Result<bool>>>(test: impl Fn() -> F) -> Result<bool> {
    for _ in 0..LOOKS_MAX {
        if test().await? {
            return Ok(true);
        }
        sleep(Duration::from_millis(50)).await;
    }
    Ok(false)
}

async fn membership(witness: &Person, room: &str, user_id: &str) -> Result<Value> {
    let state = witness.state(room, "m.room.member", user_id).await?;
    Ok(state.body.get("membership").cloned().unwrap_or_default())
}

#[tokio::test]
async fn an_alias_deleted_while_a_guest_joins_is_seen_before_or_after_and_never_half() -> Result<()>
{
    let policy = guests(r#"when_room_leaves_scope = { do = "freeze", evict_after = "24h" }"#);
    let Some(town) = Town::with_policy(&policy).await? else { return Ok(()) };
    let mona = town.person("mona", "moderator").await?;
    let mut guest = town.nobody();
    let room = mona.make_room(json!({})).await?;
    let alias = town.alias("hall");
    let mut entered = 0;
    for round in 0..ROUNDS {
        if round % ROUNDS_OF_A_GUEST == 0 {
            guest = town.guest().await?;
        }
        mona.put_alias(&alias, &room).await?.ok()?;
        // Lets the two requests meet at different moments, now one ahead and now the other.
        let head_start = Duration::from_millis((round / 2 % 5) as u64);
        let (delete_after, join_after) = if round % 2 == 0 {
            (head_start, Duration::ZERO)
        } else {
            (Duration::ZERO, head_start)
        };
        let (deleted, joined) = tokio::join!(
            async {
                sleep(delete_after).await;
                mona.delete_alias(&alias).await
            },
            async {
                sleep(join_after).await;
                guest.join(&room).await
            },
        );
        deleted?.ok()?;
        let joined = joined?;
        let inside = membership(&mona, &room, &guest.user_id).await? == "join";
        match joined.status {
            200 => assert!(inside, "round {round}: let in and not inside"),
            _ => assert!(
                joined.refuses_a_guest() && !inside,
                "round {round}: {joined:?}, inside: {inside}"
            ),
        }
        // Whichever came first: after the deletion nothing can be said here any more.
        let spoken = guest.speak(&room, &format!("round {round}")).await?;
        assert!(spoken.status == 403, "round {round}: {spoken:?}");
        if inside {
            entered += 1;
            guest.leave(&room).await?.ok()?;
        }
    }
    assert!(entered > 0 && entered < ROUNDS, "no race: {entered} of {ROUNDS} joins came first");
    Ok(())
}

#[tokio::test]
async fn a_closed_room_freezes_then_evicts_and_is_left_in_peace_before() -> Result<()> {
    let policy = guests(r#"when_room_leaves_scope = { do = "freeze", evict_after = "3s" }"#);
    let Some(town) = Town::with_policy(&policy).await? else { return Ok(()) };
    let mona = town.person("mona", "moderator").await?;
    let (stays, leaves) = (town.guest().await?, town.guest().await?);
    let room = mona.make_room(json!({ "room_alias_name": "hall" })).await?;
    for guest in [&stays, &leaves] {
        guest.join(&room).await?.ok()?;
    }
    stays.speak(&room, "while it is open").await?.ok()?;
    let since = stays.sync(None).await?;
    let since = since.get("next_batch").and_then(Value::as_str).unwrap_or_default();
    mona.delete_alias(&town.alias("hall")).await?.ok()?;
    assert!(stays.speak(&room, "too late").await?.refuses_a_guest());
    let history =
        stays.get(&format!("/rooms/{}/messages?dir=b&limit=10", segment(&room))).await?.ok()?;
    assert!(history.to_string().contains("while it is open"), "{history}");
    leaves.leave(&room).await?.ok()?;
    assert!(
        until(|| async { Ok(membership(&mona, &room, &stays.user_id).await? == "leave") }).await?
    );
    let told = stays.sync(Some(since)).await?;
    assert!(told.pointer(&format!("/rooms/leave/{room}")).is_some(), "{told}");
    assert!(stays.join(&room).await?.refuses_a_guest());
    Ok(())
}

#[tokio::test]
async fn a_door_opened_again_in_time_keeps_its_guests() -> Result<()> {
    let policy = guests(r#"when_room_leaves_scope = { do = "freeze", evict_after = "4s" }"#);
    let Some(town) = Town::with_policy(&policy).await? else { return Ok(()) };
    let mona = town.person("mona", "moderator").await?;
    let guest = town.guest().await?;
    let room = mona.make_room(json!({ "room_alias_name": "hall" })).await?;
    guest.join(&room).await?.ok()?;
    for turn in 0..3 {
        mona.delete_alias(&town.alias("hall")).await?.ok()?;
        assert!(guest.speak(&room, &format!("closed {turn}")).await?.refuses_a_guest());
        // Once right away, once after the sweep has been here.
        sleep(Duration::from_millis(turn * 500)).await;
        mona.put_alias(&town.alias("hall"), &room).await?.ok()?;
        guest.speak(&room, &format!("open {turn}")).await?.ok()?;
    }
    sleep(Duration::from_secs(5)).await;
    assert_eq!(membership(&mona, &room, &guest.user_id).await?, "join");
    // Closing once more starts the delay anew.
    mona.delete_alias(&town.alias("hall")).await?.ok()?;
    sleep(Duration::from_secs(1)).await;
    assert_eq!(membership(&mona, &room, &guest.user_id).await?, "join");
    Ok(())
}

#[tokio::test]
async fn guest_access_taken_back_makes_guests_leave_at_once() -> Result<()> {
    let policy = guests(r#"when_room_leaves_scope = { do = "keep" }"#);
    let Some(town) = Town::with_policy(&policy).await? else { return Ok(()) };
    let mona = town.person("mona", "moderator").await?;
    let bob = town.person("bob", "member").await?;
    let guest = town.guest().await?;
    let room = mona.make_room(json!({ "room_alias_name": "hall" })).await?;
    for person in [&bob, &guest] {
        person.join(&room).await?.ok()?;
    }
    let forbidden = json!({ "guest_access": "forbidden" });
    mona.put_state(&room, "m.room.guest_access", "", forbidden).await?.ok()?;
    assert!(
        until(|| async { Ok(membership(&mona, &room, &guest.user_id).await? == "leave") }).await?
    );
    assert_eq!(membership(&mona, &room, &bob.user_id).await?, "join");
    Ok(())
}

#[tokio::test]
async fn leaving_is_possible_when_everything_else_is_closed() -> Result<()> {
    let Some(town) = Town::with_policy(&guests("")).await? else { return Ok(()) };
    let mona = town.person("mona", "moderator").await?;
    let guest = town.guest().await?;
    let room = mona.make_room(json!({ "room_alias_name": "hall" })).await?;
    guest.join(&room).await?.ok()?;
    town.swap_policy("\n[guests]\nenabled = false\n")?;
    let closed = || async { Ok(!guest.speak(&room, "still here").await?.status.eq(&200)) };
    assert!(until(closed).await?, "guests are off and one still speaks");
    guest.leave(&room).await?.ok()?;
    guest.ask("POST", "/logout", json!({})).await?.ok()?;
    Ok(())
}

#[tokio::test]
async fn a_reload_swaps_the_whole_policy_and_a_broken_file_changes_nothing() -> Result<()> {
    let Some(town) = Town::with_policy(&guests("")).await? else { return Ok(()) };
    let mona = town.person("mona", "moderator").await?;
    let (one, two) = (mona.make_room(json!({})).await?, mona.make_room(json!({})).await?);
    let only = |room: &str| guests(&format!("open_rooms_by = [\"list\"]\nlist = [\"{room}\"]"));
    for (open, shut) in [(&one, &two), (&two, &one)] {
        let guest = town.guest().await?;
        town.swap_policy(&only(open))?;
        let opened = || async { Ok(guest.join(open).await?.status == 200) };
        assert!(until(opened).await?, "the reload did not open {open}");
        assert!(guest.join(shut).await?.refuses_a_guest());
    }
    town.swap_policy("\n[guests]\nenabled = true\nopen_rooms_by = [\"doors\"]\n")?;
    sleep(Duration::from_secs(1)).await;
    let guest = town.guest().await?;
    guest.join(&two).await?.ok()?;
    assert!(guest.join(&one).await?.refuses_a_guest());
    Ok(())
}

#[tokio::test]
async fn guests_are_not_left_alone_in_a_room_nobody_hosts() -> Result<()> {
    let policy = guests(r#"when_room_leaves_scope = { do = "freeze", evict_after = "1s" }"#);
    let Some(town) = Town::with_policy(&policy).await? else { return Ok(()) };
    let mona = town.person("mona", "moderator").await?;
    let (guest, other) = (town.guest().await?, town.guest().await?);
    let room = mona.make_room(json!({ "room_alias_name": "hall" })).await?;
    guest.join(&room).await?.ok()?;
    guest.speak(&room, "with a host").await?.ok()?;
    // The sweep that the new alias rang for has been here: only the host's going can ring again.
    sleep(Duration::from_secs(1)).await;
    mona.leave(&room).await?.ok()?;
    assert!(guest.speak(&room, "without a host").await?.refuses_a_guest());
    assert!(other.join(&room).await?.refuses_a_guest());
    assert!(until(|| async { Ok(guest.rooms().await?.is_empty()) }).await?);
    Ok(())
}

#[tokio::test]
async fn a_guest_that_never_joins_is_gone_after_its_time_and_makes_room() -> Result<()> {
    let policy =
        guests("[guests.life]\nnever_joined = \"5s\"").replace("per_ip = 1000", "per_ip = 2");
    let Some(town) = Town::with_policy(&policy).await? else { return Ok(()) };
    let mona = town.person("mona", "moderator").await?;
    let room = mona.make_room(json!({})).await?;
    mona.put_alias(&town.alias("hall"), &room).await?.ok()?;
    let inside = town.guest().await?;
    inside.join(&room).await?.ok()?;
    let outside = town.guest().await?;
    act(&outside).await?.ok()?;
    let late = town.guest().await?;
    assert_eq!(act(&late).await?.status, 429, "both places are taken");

    let gone = || async { Ok(outside.get("/joined_rooms").await?.status == 401) };
    assert!(until(gone).await?, "its session has ended");
    inside.speak(&room, "still here").await?.ok()?;
    act(&town.guest().await?).await?.ok()?;
    Ok(())
}

/// Keeps something of a guest's, who has a place from then on.
async fn act(guest: &Person) -> Result<Answer> {
    guest.ask("POST", &format!("/user/{}/filter", guest.user_id), json!({})).await
}
