//! Guests and people they share nothing with: peeking, to-device messages, and addresses.

use anyhow::Result;
use serde_json::{Value, json};
use vestibule_tests::{Person, Town, segment};

fn visible(value: &str) -> Value {
    json!([
        { "type": "m.room.guest_access", "state_key": "", "content": { "guest_access": "can_join" } },
        { "type": "m.room.history_visibility", "state_key": "", "content": { "history_visibility": value } },
    ])
}

async fn peeks(guest: &Person, room: &str) -> Result<u16> {
    let id = segment(room);
    let state = guest.get(&format!("/rooms/{id}/state")).await?;
    let messages = guest.get(&format!("/rooms/{id}/messages?dir=b")).await?;
    assert_eq!(state.status, messages.status, "{state:?} {messages:?}");
    Ok(state.status)
}

#[tokio::test]
async fn guests_peek_into_open_world_readable_rooms_and_no_others() -> Result<()> {
    let Some(town) = Town::with_guests().await? else { return Ok(()) };
    let mona = town.person("mona", "moderator").await?;
    let guest = town.guest().await?;
    let room = |history: &str, alias: Value| {
        mona.make_room(json!({ "initial_state": visible(history), "room_alias_name": alias }))
    };
    let open = room("world_readable", json!("open")).await?;
    let discreet = room("shared", json!("discreet")).await?;
    let closed = room("world_readable", Value::Null).await?;
    assert_eq!(peeks(&guest, &open).await?, 200);
    assert_eq!(peeks(&guest, &discreet).await?, 403);
    assert_eq!(peeks(&guest, &closed).await?, 403);
    Ok(())
}

#[tokio::test]
async fn where_rooms_decide_themselves_guests_read_what_anybody_may_read() -> Result<()> {
    let any = "[guests]\nenabled = true\nopen_rooms_by = [\"any\"]\n";
    let Some(town) = Town::with_policy(any).await? else { return Ok(()) };
    let mona = town.person("mona", "member").await?;
    let guest = town.guest().await?;
    let room = |history: &str| {
        let history = json!({ "history_visibility": history });
        let state =
            json!([{ "type": "m.room.history_visibility", "state_key": "", "content": history }]);
        mona.make_room(json!({ "preset": "public_chat", "initial_state": state }))
    };
    let (open, discreet) = (room("world_readable").await?, room("shared").await?);
    assert_eq!(peeks(&guest, &open).await?, 200);
    let id = segment(&open);
    for path in ["initialSync", "members", "state/m.room.create", "messages?dir=f"] {
        guest.get(&format!("/rooms/{id}/{path}")).await?.ok()?;
    }
    guest.get(&format!("/events?room_id={id}&timeout=0")).await?.ok()?;
    assert_eq!(peeks(&guest, &discreet).await?, 403);
    assert!(guest.join(&open).await?.refuses_a_guest(), "the room does not let guests join");
    Ok(())
}

async fn to_device(from: &Person, to: &Person, transaction: &str) -> Result<u16> {
    let path = format!("/sendToDevice/m.room_key_request/{transaction}");
    let body = json!({ "messages": { (to.user_id.as_str()): { "*": { "from": from.user_id } } } });
    Ok(from.ask("PUT", &path, body).await?.status)
}

async fn letters(person: &Person) -> Result<usize> {
    let told = person.sync(None).await?;
    Ok(told.pointer("/to_device/events").and_then(Value::as_array).map_or(0, Vec::len))
}

#[tokio::test]
async fn to_device_messages_to_strangers_are_dropped_without_a_word() -> Result<()> {
    let Some(town) = Town::with_guests().await? else { return Ok(()) };
    let mona = town.person("mona", "moderator").await?;
    let stranger = town.person("stranger", "member").await?;
    let room = mona.make_room(json!({ "room_alias_name": "hall" })).await?;
    let guest = town.guest().await?;
    guest.join(&room).await?.ok()?;
    assert_eq!(to_device(&guest, &stranger, "t1").await?, 200);
    assert_eq!(letters(&stranger).await?, 0, "a stranger was reached");
    assert_eq!(to_device(&guest, &mona, "t2").await?, 200);
    assert_eq!(letters(&mona).await?, 1, "somebody in the same room was not reached");
    Ok(())
}

const TWO_PER_ADDRESS: &str = r#"
[guests]
enabled = true

[guests.caps]
per_ip = 2

[aliases]
create = "moderator"
"#;

/// A new guest does something for the first time.
async fn arrives(town: &Town, from: &str) -> Result<u16> {
    let nobody = town.nobody().forwarded_for(from);
    let registered = nobody.ask("POST", "/register?kind=guest", json!({})).await?.ok()?;
    let guest = nobody.with_session(&registered)?;
    let filter = format!("/user/{}/filter", segment(&guest.user_id));
    Ok(guest.ask("POST", &filter, json!({})).await?.status)
}

#[tokio::test]
async fn a_trusted_proxy_says_where_guests_come_from() -> Result<()> {
    let Some(town) = Town::with_policy(TWO_PER_ADDRESS).await? else { return Ok(()) };
    // A listener on loopback trusts loopback.
    for expected in [200, 200, 429] {
        assert_eq!(arrives(&town, "198.51.100.7").await?, expected);
    }
    assert_eq!(arrives(&town, "203.0.113.9").await?, 200);
    Ok(())
}

#[tokio::test]
async fn an_untrusted_peer_cannot_say_where_it_comes_from() -> Result<()> {
    let listener = "trusted_proxies = []";
    let Some(town) = Town::raise(TWO_PER_ADDRESS, listener).await? else { return Ok(()) };
    for (number, expected) in [(1, 200), (2, 200), (3, 429), (4, 429)] {
        assert_eq!(arrives(&town, &format!("198.51.100.{number}")).await?, expected);
    }
    Ok(())
}
