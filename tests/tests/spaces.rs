//! Doors opened by a space, and room upgrades: what may be inherited, and from whom.

use anyhow::{Context as _, Result};
use serde_json::{Value, json};
use vestibule_tests::{MANY_GUESTS, Person, Town, segment};

fn by_space(space: &str, depth: u32) -> String {
    format!(
        r#"
[guests]
enabled = true
open_rooms_by = ["space"]

[[guests.space]]
id = "{space}"
depth = {depth}
curators = ["localhost"]
{MANY_GUESTS}"#
    )
}

async fn make_space(person: &Person) -> Result<String> {
    person.make_room(json!({ "creation_content": { "type": "m.space" } })).await
}

async fn add_child(person: &Person, space: &str, room: &str) -> Result<()> {
    let via = json!({ "via": ["localhost"] });
    person.put_state(space, "m.space.child", room, via).await?.ok()?;
    Ok(())
}

/// Swaps the policy and waits until the space itself lets a guest in.
async fn open_by(town: &Town, guest: &Person, space: &str, depth: u32) -> Result<()> {
    town.swap_policy(&by_space(space, depth))?;
    for _ in 0..200 {
        if guest.join(space).await?.status == 200 {
            return Ok(());
        }
        tokio::time::sleep(std::time::Duration::from_millis(50)).await;
    }
    anyhow::bail!("the policy did not change: {}", town.output()?)
}

async fn early_town() -> Result<Option<Town>> {
    Town::with_policy(&format!("\n[guests]\nenabled = true\n{MANY_GUESTS}")).await
}

#[tokio::test]
async fn a_child_opens_if_its_adder_is_a_curator_of_rank() -> Result<()> {
    let Some(town) = early_town().await? else { return Ok(()) };
    let mona = town.person("mona", "moderator").await?;
    let stray = town.person("stray", "member").await?;
    let guest = town.guest().await?;
    let space = mona
        .make_room(json!({
            "creation_content": { "type": "m.space" },
            "power_level_content_override": { "users": { (stray.user_id.as_str()): 100 } },
        }))
        .await?;
    stray.join(&space).await?.ok()?;
    open_by(&town, &guest, &space, 2).await?;
    let (curated, strayed) = (stray.make_room(json!({})).await?, stray.make_room(json!({})).await?);
    add_child(&mona, &space, &curated).await?;
    add_child(&stray, &space, &strayed).await?;
    guest.join(&curated).await?.ok()?;
    let answer = guest.join(&strayed).await?;
    assert!(answer.refuses_a_guest(), "{answer:?}");
    // Removal by anyone is honoured.
    stray.put_state(&space, "m.space.child", &curated, json!({})).await?.ok()?;
    assert!(guest.speak(&curated, "after").await?.refuses_a_guest());
    Ok(())
}

#[tokio::test]
async fn a_child_without_a_via_and_a_child_too_deep_open_nothing() -> Result<()> {
    let Some(town) = early_town().await? else { return Ok(()) };
    let mona = town.person("mona", "moderator").await?;
    let guest = town.guest().await?;
    let (top, below, deep) =
        (make_space(&mona).await?, make_space(&mona).await?, make_space(&mona).await?);
    let (near, far, unreachable) = (
        mona.make_room(json!({})).await?,
        mona.make_room(json!({})).await?,
        mona.make_room(json!({})).await?,
    );
    for (space, room) in [(&top, &below), (&below, &near), (&below, &deep), (&deep, &far)] {
        add_child(&mona, space, room).await?;
    }
    let no_via = json!({ "via": [] });
    mona.put_state(&top, "m.space.child", &unreachable, no_via).await?.ok()?;
    open_by(&town, &guest, &top, 2).await?;
    guest.join(&near).await?.ok()?;
    for shut in [&far, &unreachable] {
        let answer = guest.join(shut).await?;
        assert!(answer.refuses_a_guest(), "{answer:?}");
    }
    Ok(())
}

#[tokio::test]
async fn a_loop_of_spaces_is_walked_once() -> Result<()> {
    let Some(town) = early_town().await? else { return Ok(()) };
    let mona = town.person("mona", "moderator").await?;
    let guest = town.guest().await?;
    let (one, two) = (make_space(&mona).await?, make_space(&mona).await?);
    let (inside, outside) = (mona.make_room(json!({})).await?, mona.make_room(json!({})).await?);
    for (space, room) in [(&one, &two), (&two, &one), (&one, &one), (&two, &inside)] {
        add_child(&mona, space, room).await?;
    }
    open_by(&town, &guest, &one, 8).await?;
    guest.join(&inside).await?.ok()?;
    let answer = guest.join(&outside).await?;
    assert!(answer.refuses_a_guest(), "{answer:?}");
    Ok(())
}

#[tokio::test]
async fn a_child_taken_out_while_a_guest_joins_is_seen_before_or_after() -> Result<()> {
    let Some(town) = early_town().await? else { return Ok(()) };
    let mona = town.person("mona", "moderator").await?;
    let first = town.guest().await?;
    let space = make_space(&mona).await?;
    open_by(&town, &first, &space, 1).await?;
    for round in 0..20 {
        let guest = town.guest().await?;
        let room = mona.make_room(json!({})).await?;
        add_child(&mona, &space, &room).await?;
        let (removed, joined) = tokio::join!(
            mona.put_state(&space, "m.space.child", &room, json!({})),
            guest.join(&room),
        );
        removed?.ok()?;
        let joined = joined?;
        assert!(joined.status == 200 || joined.refuses_a_guest(), "round {round}: {joined:?}");
        // Whichever came first: after the removal nothing can be said there.
        let spoken = guest.speak(&room, "after").await?;
        assert_eq!(spoken.status, 403, "round {round}: {joined:?} {spoken:?}");
    }
    Ok(())
}

async fn upgrade(person: &Person, room: &str) -> Result<String> {
    let path = format!("/rooms/{}/upgrade", segment(room));
    let answer = person.ask("POST", &path, json!({ "new_version": "12" })).await?.ok()?;
    let room = answer.get("replacement_room").and_then(Value::as_str);
    Ok(room.context("no replacement_room")?.to_owned())
}

async fn room_of(person: &Person, alias: &str) -> Result<Value> {
    let answer = person.get(&format!("/directory/room/{}", segment(alias))).await?.ok()?;
    Ok(answer.get("room_id").cloned().unwrap_or_default())
}

#[tokio::test]
async fn an_upgrade_moves_an_alias_only_for_somebody_who_may_make_it() -> Result<()> {
    let Some(town) = Town::with_guests().await? else { return Ok(()) };
    let mona = town.person("mona", "moderator").await?;
    let alice = town.person("alice", "member").await?;
    for (owner, moves) in [(&alice, false), (&mona, true)] {
        let alias = town.alias(if moves { "moved" } else { "kept" });
        let old = owner.make_room(json!({ "room_version": "11" })).await?;
        if !moves {
            mona.join(&old).await?.ok()?;
        }
        mona.put_alias(&alias, &old).await?.ok()?;
        let guest = town.guest().await?;
        guest.join(&alias).await?.ok()?;
        let new = upgrade(owner, &old).await?;
        assert_eq!(room_of(&mona, &alias).await? == json!(new), moves);
        let answer = guest.join(&new).await?;
        if moves {
            answer.ok()?;
        } else {
            assert!(answer.refuses_a_guest(), "{answer:?}");
        }
    }
    Ok(())
}

#[tokio::test]
async fn a_listed_room_does_not_hand_its_place_to_its_successor() -> Result<()> {
    let Some(town) = early_town().await? else { return Ok(()) };
    let mona = town.person("mona", "moderator").await?;
    let old = mona.make_room(json!({ "room_version": "11" })).await?;
    let list = format!(
        "\n[guests]\nenabled = true\nopen_rooms_by = [\"list\"]\nlist = [\"{old}\"]\n{MANY_GUESTS}"
    );
    let guest = town.guest().await?;
    town.swap_policy(&list)?;
    for _ in 0..200 {
        if guest.join(&old).await?.status == 200 {
            break;
        }
        tokio::time::sleep(std::time::Duration::from_millis(50)).await;
    }
    let new = upgrade(&mona, &old).await?;
    let answer = guest.join(&new).await?;
    assert!(answer.refuses_a_guest(), "{answer:?}");
    Ok(())
}
