//! What a sync shows of rooms.

use ruma::{api::client::filter::FilterDefinition, serde::Raw};
use serde_json::{Value, json};
use vestibule_rooms::{ChangeMember, CreateRoom, Knock, Preset, Redact, TimelinePosition};
use vestibule_sync::{SyncError, SyncRequest};

use crate::support::{Answer, House, LONG, bodies, keys, state};

fn filtered(since: Option<String>, filter: &Value) -> SyncRequest {
    SyncRequest { since, filter: Some(filter.to_string()), ..SyncRequest::default() }
}

#[tokio::test]
async fn the_first_sync_shows_the_room_and_the_next_only_what_is_new() {
    for slots in [1, 3] {
        let house = House::new(slots);
        let alice = house.account("alice").await;
        let rooms = [house.room(&alice).await, house.room(&alice).await, house.room(&alice).await];
        for room in &rooms {
            house.say(&alice, room, "before").await;
        }
        let first = house.first(&alice).await;
        for room in &rooms {
            let shown = first.joined(room);
            assert_eq!(bodies(shown), ["before"]);
            let create = ("m.room.create".to_owned(), String::new());
            let everything = [keys(&shown["state"]), keys(&shown["timeline"])].concat();
            assert_eq!(everything.iter().filter(|key| **key == create).count(), 1);
            assert_eq!(shown["summary"]["m.joined_member_count"], 1);
        }

        let quiet = house.next(&alice, &first).await;
        assert_eq!(quiet.rooms(), 0);
        house.say(&alice, &rooms[1], "after").await;
        let news = house.next(&alice, &quiet).await;
        assert_eq!(news.rooms(), 1);
        let shown = news.joined(&rooms[1]);
        assert_eq!(bodies(shown), ["after"]);
        assert_eq!(shown["timeline"]["limited"], false);
        assert_eq!(shown["state"]["events"], json!([]));
        assert_eq!(house.next(&alice, &first).await.rooms(), 1, "the same token, the same news");
    }
}

#[tokio::test]
async fn a_token_or_filter_that_is_not_ours_is_refused() {
    let house = House::new(1);
    let alice = house.account("alice").await;
    for token in ["x", "s1_2_t0", "t1_1_1"] {
        let request = SyncRequest { since: Some(token.to_owned()), ..SyncRequest::default() };
        let answer = house.try_sync(&alice, request).await;
        assert!(matches!(answer, Err(SyncError::BadToken)), "{token}");
    }
    let refused =
        |filter: &str| SyncRequest { filter: Some(filter.to_owned()), ..SyncRequest::default() };
    let answer = house.try_sync(&alice, refused("nobody")).await;
    assert!(matches!(answer, Err(SyncError::UnknownFilter)));
    let answer = house.try_sync(&alice, refused(r#"{"room":7}"#)).await;
    assert!(matches!(answer, Err(SyncError::BadFilter(_))));
}

#[tokio::test]
async fn a_gap_is_limited_and_brings_the_state_that_changed_in_it() {
    let house = House::new(1);
    let alice = house.account("alice").await;
    let room = house.room(&alice).await;
    let first = house.first(&alice).await;
    house.set(&alice, &room, ("m.room.topic", ""), json!({ "topic": "in the gap" })).await;
    for number in 0..8 {
        house.say(&alice, &room, &number.to_string()).await;
    }
    house.set(&alice, &room, ("m.room.name", ""), json!({ "name": "in the timeline" })).await;

    let filter = json!({ "room": { "timeline": { "limit": 3 } } });
    let answer = house.sync(&alice, filtered(Some(first.token()), &filter)).await;
    let shown = answer.joined(&room);
    assert_eq!(bodies(shown), ["6", "7"]);
    assert_eq!(shown["timeline"]["limited"], true);
    assert_eq!(keys(&shown["state"]), [("m.room.topic".to_owned(), String::new())]);
    let from: TimelinePosition =
        shown["timeline"]["prev_batch"].as_str().expect("a token").parse().expect("a place");
    let room_id = room.clone();
    let before = house
        .rooms
        .with_view::<_, vestibule_storage::StorageError, _>(&room_id, move |view| {
            let rows = view.timeline_back(Some(from), None, 1)?;
            let event = view.event(rows[0].1)?.expect("stored");
            Ok(event.pdu.content_as::<Value>().expect("JSON"))
        })
        .await
        .expect("read")
        .expect("a room");
    assert_eq!(before["body"], "5", "paging back goes on where the timeline begins");

    let request = SyncRequest { use_state_after: true, ..filtered(Some(first.token()), &filter) };
    let answer = house.sync(&alice, request).await;
    let shown = answer.joined(&room);
    assert_eq!(shown.get("state"), None);
    let after = &shown["state_after"];
    assert!(
        state(after, "m.room.topic", "").is_some() && state(after, "m.room.name", "").is_some()
    );
}

#[tokio::test]
async fn who_joins_gets_the_whole_state_and_the_history_they_may_see() {
    for (visibility, seen) in [("shared", true), ("joined", false)] {
        let house = House::new(3);
        let (alice, bob) = (house.account("alice").await, house.account("bob").await);
        let room = house.room(&alice).await;
        let content = json!({ "history_visibility": visibility });
        house.set(&alice, &room, ("m.room.history_visibility", ""), content).await;
        house.say(&alice, &room, "before").await;
        let first = house.first(&bob).await;
        house.join(&bob, &room).await;
        house.say(&alice, &room, "after").await;

        let answer = house.next(&bob, &first).await;
        let shown = answer.joined(&room);
        let expected: &[&str] = if seen { &["before", "after"] } else { &["after"] };
        assert_eq!(bodies(shown), expected);
        let everything = [keys(&shown["state"]), keys(&shown["timeline"])].concat();
        for kind in ["m.room.create", "m.room.power_levels", "m.room.join_rules"] {
            assert!(everything.iter().any(|(it, _)| it == kind), "{kind} under {visibility}");
        }
        assert_eq!(shown["summary"]["m.joined_member_count"], 2);
        assert_eq!(shown["summary"]["m.heroes"], json!(["@alice:home.test"]));
    }
}

#[tokio::test]
async fn who_left_sees_the_room_up_to_there_once() {
    let house = House::new(3);
    let (alice, bob) = (house.account("alice").await, house.account("bob").await);
    let room = house.room(&alice).await;
    house.join(&bob, &room).await;
    let first = house.first(&bob).await;
    house.say(&alice, &room, "while in").await;
    house.leave(&bob, &room).await;
    house.say(&alice, &room, "afterwards").await;
    house.set(&alice, &room, ("m.room.topic", ""), json!({ "topic": "secret" })).await;

    let answer = house.next(&bob, &first).await;
    let shown = answer.room("leave", &room);
    assert_eq!(bodies(shown), ["while in"]);
    let last = shown["timeline"]["events"].as_array().and_then(|events| events.last());
    assert_eq!(last.expect("an event")["content"]["membership"], "leave");
    assert!(!answer.0.to_string().contains("secret"));
    assert_eq!(house.next(&bob, &answer).await.rooms(), 0);

    assert_eq!(house.first(&bob).await.rooms(), 0);
    let filter = json!({ "room": { "include_leave": true } });
    let all = house.sync(&bob, filtered(None, &filter)).await;
    assert!(bodies(all.room("leave", &room)).ends_with(&["while in"]));
    assert!(!all.0.to_string().contains("secret"));
    house.rooms.forget(&bob, &room).await.expect("forgotten");
    assert_eq!(house.sync(&bob, filtered(None, &filter)).await.rooms(), 0);
}

/// Type, and who became what, of the events of a timeline.
fn deeds(room: &Value) -> Vec<String> {
    let events = room["timeline"]["events"].as_array().into_iter().flatten();
    let deed = |event: &Value| {
        let text = |of: &Value| of.as_str().unwrap_or_default().to_owned();
        let content = &event["content"];
        text(&event["state_key"]) + &text(&content["membership"]) + &text(&content["body"])
    };
    events.map(deed).collect()
}

#[tokio::test]
async fn a_room_that_was_left_and_forgotten_is_told_once_as_left() {
    for slots in [1, 3] {
        let house = House::new(slots);
        let (alice, bob) = (house.account("alice").await, house.account("bob").await);
        let (in_it, invited) = (house.room(&alice).await, house.room(&alice).await);
        house.join(&bob, &in_it).await;
        house.invite(&alice, &bob, &invited).await;
        let first = house.first(&bob).await;
        house.say(&alice, &in_it, "history").await;
        for room in [&in_it, &invited] {
            house.leave(&bob, room).await;
            house.rooms.forget(&bob, room).await.expect("forgotten");
        }
        let answer = house.next(&bob, &first).await;
        for room in [&in_it, &invited] {
            let shown = answer.room("leave", room);
            assert_eq!(deeds(shown), ["@bob:home.testleave"], "{shown}");
            assert_eq!(shown["state"]["events"], json!([]));
        }
        assert_eq!(house.next(&bob, &first).await.rooms(), 2, "another client with the token");
        assert_eq!(house.next(&bob, &answer).await.rooms(), 0);
        let filter = json!({ "room": { "include_leave": true } });
        assert_eq!(house.sync(&bob, filtered(None, &filter)).await.rooms(), 0);
    }
}

#[tokio::test]
async fn who_was_kicked_and_then_banned_sees_the_room_up_to_the_kick() {
    let house = House::new(1);
    let (alice, bob) = (house.account("alice").await, house.account("bob").await);
    let room = house.room(&alice).await;
    house.join(&bob, &room).await;
    let first = house.first(&bob).await;
    house.say(&alice, &room, "while in").await;
    let user_id = bob.user_id().to_owned();
    let change = || ChangeMember { room_id: room.clone(), user_id: user_id.clone(), reason: None };
    house.rooms.kick(&alice, change()).await.expect("kicked");
    house.set(&alice, &room, ("m.room.topic", ""), json!({ "topic": "secret" })).await;
    house.rooms.ban(&alice, change()).await.expect("banned");

    let answer = house.next(&bob, &first).await;
    let all = ["while in", "@bob:home.testleave", "@bob:home.testban"];
    assert_eq!(deeds(answer.room("leave", &room)), all);
    assert!(!answer.0.to_string().contains("secret"));
    house.rooms.unban(&alice, change()).await.expect("unbanned");
    let later = house.next(&bob, &answer).await;
    assert_eq!(deeds(later.room("leave", &room)), ["@bob:home.testleave"], "knows the kick");

    let filter = json!({ "room": { "include_leave": true, "timeline": { "limit": 3 } } });
    let archived = house.sync(&bob, filtered(None, &filter)).await;
    let shown = archived.room("leave", &room);
    assert_eq!(deeds(shown), ["while in", "@bob:home.testleave", "@bob:home.testleave"]);
    assert!(state(&shown["state"], "m.room.create", "").is_some(), "{shown}");
    assert!(!archived.0.to_string().contains("secret"));
}

#[tokio::test]
async fn nobody_ignores_themselves() {
    let house = House::new(1);
    let alice = house.account("alice").await;
    let room = house.room(&alice).await;
    let content = json!({ "ignored_users": { alice.user_id().as_str(): {} } });
    house.keep(&alice, None, "m.ignored_user_list", content).await;
    house.say(&alice, &room, "an echo").await;
    assert_eq!(bodies(house.first(&alice).await.joined(&room)), ["an echo"]);
}

#[tokio::test]
async fn a_room_that_is_new_to_a_client_which_goes_on_begins_anew() {
    let house = House::new(1);
    let (alice, bob) = (house.account("alice").await, house.account("bob").await);
    let room = house.room(&alice).await;
    house.join(&bob, &room).await;
    let filter = json!({ "room": { "timeline": { "limit": 50 } } });
    let limited = |answer: &Answer| answer.joined(&room)["timeline"]["limited"].clone();
    let first = house.sync(&bob, filtered(None, &filter)).await;
    assert_eq!(limited(&first), false);
    house.leave(&bob, &room).await;
    let left = house.sync(&bob, filtered(Some(first.token()), &filter)).await;
    house.join(&bob, &room).await;
    let back = house.sync(&bob, filtered(Some(left.token()), &filter)).await;
    assert_eq!(limited(&back), true, "it shows what the client had again");
    house.say(&alice, &room, "hello").await;
    let next = house.sync(&bob, filtered(Some(back.token()), &filter)).await;
    assert_eq!(limited(&next), false);
}

#[tokio::test]
async fn an_invitation_shows_stripped_state_and_its_rejection_nothing_of_the_room() {
    let house = House::new(1);
    let (alice, bob) = (house.account("alice").await, house.account("bob").await);
    let command = CreateRoom {
        preset: Some(Preset::PrivateChat),
        name: Some("the name".to_owned()),
        ..CreateRoom::default()
    };
    let room = house.room_with(&alice, command).await;
    house.say(&alice, &room, "a secret").await;
    let first = house.first(&bob).await;
    house.invite(&alice, &bob, &room).await;

    let invited = house.next(&bob, &first).await;
    let events = &invited.room("invite", &room)["invite_state"];
    for (kind, key) in
        [("m.room.create", ""), ("m.room.name", ""), ("m.room.member", "@bob:home.test")]
    {
        let event = state(events, kind, key).unwrap_or_else(|| panic!("no {kind}"));
        assert_eq!(event.get("event_id"), None, "stripped");
    }
    assert!(house.first(&bob).await.room("invite", &room).is_object());
    assert_eq!(house.next(&bob, &invited).await.rooms(), 0);

    house.leave(&bob, &room).await;
    let rejected = house.next(&bob, &invited).await;
    let shown = rejected.room("leave", &room);
    assert_eq!(shown["timeline"]["events"].as_array().expect("a list").len(), 1);
    assert_eq!(shown["state"]["events"], json!([]));
    assert!(!rejected.0.to_string().contains("secret"));
}

#[tokio::test]
async fn an_invitation_from_somebody_ignored_is_not_shown_nor_are_their_messages() {
    let house = House::new(1);
    let (alice, bob) = (house.account("alice").await, house.account("bob").await);
    let (shared, other) = (house.room(&alice).await, house.room(&bob).await);
    house.join(&bob, &shared).await;
    let ignored = json!({ "ignored_users": { "@bob:home.test": {} } });
    house.keep(&alice, None, "m.ignored_user_list", ignored).await;
    let first = house.first(&alice).await;
    house.invite(&bob, &alice, &other).await;
    house.say(&bob, &shared, "noise").await;
    house.say(&alice, &shared, "signal").await;
    let answer = house.next(&alice, &first).await;
    assert_eq!(answer.rooms(), 1);
    assert_eq!(bodies(answer.joined(&shared)), ["signal"]);
}

#[tokio::test]
async fn a_knock_is_shown_to_who_knocked() {
    let house = House::new(1);
    let (alice, bob) = (house.account("alice").await, house.account("bob").await);
    let room = house.room(&alice).await;
    house.set(&alice, &room, ("m.room.join_rules", ""), json!({ "join_rule": "knock" })).await;
    let first = house.first(&bob).await;
    let command = Knock { room_id: room.clone(), reason: None, via: Vec::new() };
    house.rooms.knock(&bob, command).await.expect("knocked");
    let answer = house.next(&bob, &first).await;
    let events = &answer.room("knock", &room)["knock_state"];
    assert!(state(events, "m.room.create", "").is_some());
    assert!(state(events, "m.room.member", "@bob:home.test").is_some());
}

#[tokio::test]
async fn lazy_clients_get_the_members_they_need_and_each_only_once() {
    let house = House::new(1);
    let (alice, bob) = (house.account("alice").await, house.account("bob").await);
    let room = house.room(&alice).await;
    house.join(&bob, &room).await;
    for name in ["carol", "dave"] {
        let silent = house.account(name).await;
        house.join(&silent, &room).await;
    }
    let named = json!({ "name": "no heroes" });
    house.set(&alice, &room, ("m.room.name", ""), named).await;
    for number in 0..3 {
        house.say(&bob, &room, &number.to_string()).await;
    }
    let filter = json!({ "room": { "state": { "lazy_load_members": true },
                                   "timeline": { "limit": 2 } } });
    let members = |shown: &Value| -> Vec<String> {
        let found = keys(&shown["state"]).into_iter().filter(|(kind, _)| kind == "m.room.member");
        found.map(|(_, user)| user).collect()
    };
    let first = house.sync(&alice, filtered(None, &filter)).await;
    assert_eq!(members(first.joined(&room)), ["@alice:home.test", "@bob:home.test"]);
    assert!(state(&first.joined(&room)["state"], "m.room.create", "").is_some());

    house.say(&bob, &room, "again").await;
    let second = house.sync(&alice, filtered(Some(first.token()), &filter)).await;
    assert_eq!(bodies(second.joined(&room)), ["again"]);
    assert_eq!(members(second.joined(&room)), [""; 0]);

    let redundant = json!({ "room": { "state": { "lazy_load_members": true,
                                                 "include_redundant_members": true } } });
    let second = house.sync(&alice, filtered(Some(first.token()), &redundant)).await;
    assert_eq!(members(second.joined(&room)), ["@bob:home.test"]);
}

#[tokio::test]
async fn members_who_changed_in_a_gap_are_shown_to_lazy_clients_too() {
    let house = House::new(1);
    let (alice, bob) = (house.account("alice").await, house.account("bob").await);
    let room = house.room(&alice).await;
    let filter = json!({ "room": { "state": { "lazy_load_members": true },
                                   "timeline": { "limit": 1 } } });
    let first = house.sync(&alice, filtered(None, &filter)).await;
    house.join(&bob, &room).await;
    for text in ["one", "two"] {
        house.say(&alice, &room, text).await;
    }
    let answer = house.sync(&alice, filtered(Some(first.token()), &filter)).await;
    let shown = answer.joined(&room);
    assert_eq!(shown["timeline"]["limited"], true);
    assert!(state(&shown["state"], "m.room.member", "@bob:home.test").is_some());
    assert_eq!(shown["summary"]["m.joined_member_count"], 2);
}

#[tokio::test]
async fn filters_leave_out_rooms_types_and_senders() {
    let house = House::new(3);
    let (alice, bob) = (house.account("alice").await, house.account("bob").await);
    let (one, two) = (house.room(&alice).await, house.room(&alice).await);
    house.join(&bob, &one).await;
    let first = house.first(&alice).await;
    house.say(&alice, &one, "mine").await;
    house.say(&bob, &one, "theirs").await;
    house.say(&alice, &two, "elsewhere").await;
    house.set(&alice, &one, ("m.room.topic", ""), json!({ "topic": "x" })).await;

    let filter = json!({ "room": { "not_rooms": [two],
        "timeline": { "types": ["m.room.mess*"], "not_senders": ["@bob:home.test"] } } });
    serde_json::from_str::<Raw<FilterDefinition>>(&filter.to_string()).expect("a filter");
    let answer = house.sync(&alice, filtered(Some(first.token()), &filter)).await;
    assert_eq!(answer.rooms(), 1);
    let shown = answer.joined(&one);
    assert_eq!(bodies(shown), ["mine"]);
    assert_eq!(shown["timeline"]["events"].as_array().map(Vec::len), Some(1));
    let topic = state(&shown["state"], "m.room.topic", "");
    assert!(topic.is_some(), "what the timeline leaves out, the state tells");
}

#[tokio::test]
async fn full_state_shows_all_rooms_and_all_of_their_state() {
    let house = House::new(1);
    let alice = house.account("alice").await;
    let rooms = [house.room(&alice).await, house.room(&alice).await];
    let first = house.first(&alice).await;
    let request = SyncRequest { full_state: true, timeout: LONG, ..first.then() };
    let answer = house.sync(&alice, request).await;
    assert_eq!(answer.rooms(), 2);
    for room in &rooms {
        let shown = answer.joined(room);
        assert!(state(&shown["state"], "m.room.create", "").is_some());
        assert_eq!(shown["timeline"]["events"], json!([]));
    }
}

#[tokio::test]
async fn a_token_from_before_a_restart_and_a_long_log_finds_what_changed() {
    for slots in [1, 3] {
        let mut house = House::new(slots);
        let (alice, bob) = (house.account("alice").await, house.account("bob").await);
        let (mine, busy) = (house.room(&alice).await, house.room(&bob).await);
        let quiet = house.room(&alice).await;
        let first = house.first(&alice).await;
        house.say(&alice, &mine, "before the restart").await;
        let noise = async |house: &House| {
            for number in 0..vestibule_types::limits::SYNC_NEWS_MAX {
                house.say(&bob, &busy, &number.to_string()).await;
            }
        };
        noise(&house).await;
        house.sync = house.restarted();
        let second = house.next(&alice, &first).await;
        assert_eq!(second.rooms(), 1);
        assert_eq!(bodies(second.joined(&mine)), ["before the restart"]);

        // The same with what is known in memory since.
        house.say(&alice, &quiet, "after the restart").await;
        noise(&house).await;
        let request = SyncRequest { timeout: LONG, ..second.then() };
        let third = house.sync(&alice, request).await;
        assert_eq!(third.rooms(), 1);
        assert_eq!(bodies(third.joined(&quiet)), ["after the restart"]);
    }
}

#[tokio::test]
async fn the_federation_format_shows_what_redactions_left_and_why() {
    let house = House::new(1);
    let alice = house.account("alice").await;
    let room = house.room(&alice).await;
    let redact = async |event_id: &ruma::EventId, reason: &str| {
        let content = serde_json::from_value(json!({ "reason": reason })).expect("canonical JSON");
        let (room_id, event_id) = (room.clone(), event_id.to_owned());
        let command = Redact { room_id, event_id, content, transaction_id: None };
        house.rooms.redact(&alice, command).await.expect("redacted")
    };
    let said = house.say(&alice, &room, "slander").await;
    house.set(&alice, &room, ("m.room.topic", ""), json!({ "topic": "slander" })).await;
    let whole = json!({ "event_format": "federation" });
    let before = house.sync(&alice, filtered(None, &whole)).await;
    let topic = state(&before.joined(&room)["timeline"], "m.room.topic", "").expect("the topic");
    assert_eq!(topic["content"]["topic"], "slander");
    let topic = house.state_id(&room, "m.room.topic").await;
    for event in [said, topic] {
        let slip = redact(&event, "slander").await;
        redact(&slip, "the reason was no better").await;
    }
    for limit in [1, 50] {
        let filter =
            json!({ "event_format": "federation", "room": { "timeline": { "limit": limit } } });
        let answer = house.sync(&alice, filtered(None, &filter)).await;
        let shown = answer.joined(&room);
        assert!(!shown.to_string().contains("slander"), "{shown}");
        let topic = ["state", "timeline"].map(|part| state(&shown[part], "m.room.topic", ""));
        let topic = topic.into_iter().flatten().next().expect("the topic");
        assert_eq!(topic["content"], json!({}));
        assert!(topic["prev_events"].is_array() && topic["hashes"].is_object(), "{topic}");
        assert_eq!(topic["unsigned"]["redacted_because"]["type"], "m.room.redaction");
    }
}
