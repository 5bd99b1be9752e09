//! Messages that pass: typing, receipts, messages to devices.

use serde_json::{Value, json};
use vestibule_testkit::server::Blueprint;
use vestibule_types::limits;

use crate::support::{Scene, scene, scene_of};

fn typing(scene: &Scene, user: &str, types: bool) -> Value {
    let content = json!({ "room_id": scene.room, "user_id": user, "typing": types });
    json!({ "edu_type": "m.typing", "content": content })
}

fn receipt(scene: &Scene, user: &str, event_id: &str) -> Value {
    let receipt = json!({ "event_ids": [event_id], "data": { "ts": 1_700_000_000_000_u64 } });
    let content = json!({ scene.room.clone(): { "m.read": { user: receipt } } });
    json!({ "edu_type": "m.receipt", "content": content })
}

/// What passed in the room since a token: typing users, and receipts.
async fn passed(scene: &Scene, since: &str) -> (Value, Value) {
    let sync = scene.alice.sync(since).await;
    let events = sync["rooms"]["join"][&scene.room]["ephemeral"]["events"].clone();
    let of = |kind: &str| {
        let all = events.as_array().cloned().unwrap_or_default();
        all.into_iter()
            .find(|it| it["type"] == kind)
            .map_or(Value::Null, |it| it["content"].clone())
    };
    (of("m.typing"), of("m.receipt"))
}

#[tokio::test]
async fn typing_and_receipts_from_elsewhere_reach_clients_here() {
    let mut scene = scene().await;
    let said = scene.alice.say(&scene.room, "read this").await;
    let since = scene.alice.sync("").await["next_batch"].as_str().unwrap().to_owned();
    let eve = scene.eve.to_string();
    let edus = vec![typing(&scene, &eve, true), receipt(&scene, &eve, &said)];
    scene.pass(edus).await.ok();
    let (types, read) = passed(&scene, &since).await;
    assert_eq!(types, json!({ "user_ids": [eve] }));
    assert_eq!(read[&said]["m.read"][&eve]["ts"], 1_700_000_000_000_u64);
    let since = scene.alice.sync(&since).await["next_batch"].as_str().unwrap().to_owned();
    let edus = vec![typing(&scene, &eve, false)];
    scene.pass(edus).await.ok();
    assert_eq!(passed(&scene, &since).await.0, json!({ "user_ids": [] }));
}

#[tokio::test]
async fn what_a_server_may_not_say_is_passed_over() {
    let mut scene = scene().await;
    let said = scene.alice.say(&scene.room, "read this").await;
    let since = scene.alice.sync("").await["next_batch"].as_str().unwrap().to_owned();
    let alice = scene.alice.user_id.clone();
    let stranger = "@stranger:away.example";
    let mut foreign_room = typing(&scene, scene.eve.as_str(), true);
    foreign_room["content"]["room_id"] = "!other:away.example".into();
    let edus = vec![
        typing(&scene, &alice, true),
        typing(&scene, stranger, true),
        foreign_room,
        receipt(&scene, &alice, &said),
        receipt(&scene, stranger, &said),
        receipt(&scene, scene.eve.as_str(), "$nothing"),
        json!({ "edu_type": "m.presence", "content": { "push": [] } }),
        json!({ "edu_type": "org.unknown", "content": {} }),
        json!({ "edu_type": "m.typing", "content": 7 }),
        json!({ "edu_type": "m.receipt", "content": { "x": 1, "!a:b": { "m.read": [] } } }),
        json!({ "edu_type": 1 }),
        json!(null),
    ];
    scene.pass(edus).await.ok();
    assert_eq!(passed(&scene, &since).await, (Value::Null, Value::Null));
    let acl = json!({ "allow": ["*"], "deny": ["away.example"] });
    scene.alice.set_state(&scene.room, "m.room.server_acl", "", &acl).await.ok();
    let eve = scene.eve.to_string();
    let edus = vec![typing(&scene, &eve, true), receipt(&scene, &eve, &said)];
    scene.pass(edus).await.ok();
    assert_eq!(passed(&scene, &since).await, (Value::Null, Value::Null), "the room shuts it out");
}

fn direct(scene: &Scene, receiver: &str, id: &str, content: &Value) -> Value {
    json!({
        "edu_type": "m.direct_to_device",
        "content": {
            "sender": scene.eve,
            "type": "m.test",
            "message_id": id,
            "messages": { receiver: { "*": content } },
        },
    })
}

#[tokio::test]
async fn a_message_to_a_device_arrives_once() {
    let mut scene = scene().await;
    let alice = scene.alice.user_id.clone();
    let mut foreign = direct(&scene, &alice, "foreign", &json!({ "n": 3 }));
    foreign["content"]["sender"] = "@eve:other.example".into();
    let broken = direct(&scene, &alice, "broken", &json!("no object"));
    for _ in 0..2 {
        let edus = vec![
            direct(&scene, &alice, "a", &json!({ "n": 1 })),
            direct(&scene, &alice, "b", &json!({ "n": 2 })),
            foreign.clone(),
            broken.clone(),
        ];
        scene.pass(edus).await.ok();
    }
    let sync = scene.alice.sync("").await;
    let sent = |n: u32| json!({ "type": "m.test", "sender": scene.eve, "content": { "n": n } });
    assert_eq!(sync["to_device"]["events"], json!([sent(1), sent(2)]));
}

/// A message to a thousand people who do not exist.
fn flood(scene: &Scene, sender: &str, id: usize) -> Value {
    let home = scene.alice.user_id.split_once(':').unwrap().1;
    let nobody = |number| (format!("@nobody{number}:{home}"), json!({ "*": {} }));
    let messages: serde_json::Map<String, Value> =
        (0..limits::TO_DEVICE_RECEIVERS_MAX).map(nobody).collect();
    let content = json!({
        "sender": sender, "type": "m.test", "message_id": format!("f{id}"), "messages": messages,
    });
    json!({ "edu_type": "m.direct_to_device", "content": content })
}

#[tokio::test]
async fn more_messages_to_devices_than_a_sender_may_send_are_dropped_and_others_are_not() {
    let mut scene = scene().await;
    let alice = scene.alice.user_id.clone();
    let mallory = "@mallory:away.example";
    let at_once = usize::try_from(limits::TO_DEVICE_FROM_SENDER_AT_ONCE).unwrap();
    let floods = at_once / limits::TO_DEVICE_RECEIVERS_MAX + 1;
    let mut edus: Vec<Value> = (0..floods).map(|id| flood(&scene, mallory, id)).collect();
    // More than come free while they are passed over.
    for number in 0..50 {
        let mut more = direct(&scene, &alice, &format!("m{number}"), &json!({ "n": number }));
        more["content"]["sender"] = mallory.into();
        edus.push(more);
    }
    edus.push(direct(&scene, &alice, "e", &json!({ "n": "of eve" })));
    scene.pass(edus).await.ok();
    let sync = scene.alice.sync("").await;
    let events = sync["to_device"]["events"].as_array().unwrap();
    assert_eq!(events.last().unwrap()["content"]["n"], "of eve");
    assert!(events.len() < 50, "{} arrived", events.len());
}

#[tokio::test]
async fn a_guest_hears_from_elsewhere_only_whom_it_shares_a_room_with() {
    let mut scene = scene_of(Blueprint::default().with_guests(), "11").await;
    let guest = scene.home.guest().await;
    let edus = vec![direct(&scene, &guest.user_id, "a", &json!({ "n": 1 }))];
    scene.pass(edus).await.ok();
    let sync = guest.sync("").await;
    assert_eq!(sync["to_device"]["events"], json!([]), "nothing is shared");
    let denials = scene.home.operator("GET", "/policy/denials", &Value::Null).await.ok();
    assert!(denials.to_string().contains("to_device"), "it is audited: {denials}");

    let open = json!({ "guest_access": "can_join" });
    scene.alice.set_state(&scene.room, "m.room.guest_access", "", &open).await.ok();
    let moderator = scene.home.person("mo", "moderator").await;
    moderator.join(&scene.room).await.ok();
    moderator.create_alias("#door:home.example", &scene.room).await.ok();
    guest.join(&scene.room).await.ok();
    let edus = vec![direct(&scene, &guest.user_id, "b", &json!({ "n": 2 }))];
    scene.pass(edus).await.ok();
    let sync = guest.sync("").await;
    assert_eq!(sync["to_device"]["events"][0]["content"], json!({ "n": 2 }));
}
