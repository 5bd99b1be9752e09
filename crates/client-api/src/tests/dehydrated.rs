//! A device nobody is logged in on receives what others send it, until somebody takes it over.

use super::{
    plausible::{DEHYDRATED, dehydrated},
    *,
};

const DEVICE: &str = "/_matrix/client/unstable/org.matrix.msc3814.v1/dehydrated_device";

/// Where its messages are read. A key may have a slash in it.
fn events(device: &str) -> String {
    format!("{DEVICE}/{}/events", device.replace('/', "%2F").replace('+', "%2B"))
}

async fn dehydrates(server: &Server, who: &Person) {
    let answer = server.put(DEVICE, who, dehydrated(&who.user_id)).await;
    assert_eq!(answer, (200, json!({ "device_id": DEHYDRATED })));
}

/// The same with another name.
fn another(who: &Person, name: &str) -> Value {
    let mut device = dehydrated(&who.user_id);
    device["device_id"] = json!(name);
    device["device_keys"]["device_id"] = json!(name);
    device["device_keys"]["keys"] = json!({ (format!("curve25519:{name}")): "AA" });
    device["device_keys"]["signatures"] =
        json!({ (&who.user_id): { (format!("x:{name}")): "AA" } });
    device
}

async fn keys_of(server: &Server, asker: &Person, whose: &Person) -> Value {
    let body = json!({ "device_keys": { (&whose.user_id): [] } });
    let (status, mut body) = server.post("/_matrix/client/v3/keys/query", asker, body).await;
    assert_eq!(status, 200, "{body}");
    body["device_keys"][&whose.user_id].take()
}

/// Takes a one-time key, and says whether there was one.
async fn claims(server: &Server, asker: &Person, whose: &Person, device: &str) -> Value {
    let body = json!({ "one_time_keys": { (&whose.user_id): { (device): "signed_curve25519" } } });
    let (status, mut body) = server.post("/_matrix/client/v3/keys/claim", asker, body).await;
    assert_eq!(status, 200, "{body}");
    body["one_time_keys"][&whose.user_id][device].take()
}

async fn sends(server: &Server, from: &Person, to: &Person, device: &str, number: usize) {
    let path = format!("/_matrix/client/v3/sendToDevice/m.room.encrypted/t{number}");
    let body = json!({ "messages": { (&to.user_id): { (device): { "number": number } } } });
    assert_eq!(server.put(&path, from, body).await.0, 200);
}

async fn devices_of(server: &Server, who: &Person) -> Vec<String> {
    let all = server.fetch(who, "/_matrix/client/v3/devices").await;
    let devices = all["devices"].as_array().unwrap();
    devices.iter().map(|device| device["device_id"].as_str().unwrap().to_owned()).collect()
}

#[tokio::test]
async fn is_kept_with_its_keys_and_found_by_others() {
    let server = server();
    let (alice, bob) = (server.person("alice").await, server.person("bob").await);
    assert_eq!(error(server.get(DEVICE, &alice).await), code(404, "M_NOT_FOUND"));
    dehydrates(&server, &alice).await;
    let kept = dehydrated(&alice.user_id)["device_data"].clone();
    let answer = server.get(DEVICE, &alice).await;
    assert_eq!(answer, (200, json!({ "device_id": DEHYDRATED, "device_data": kept })));
    assert_eq!(error(server.get(DEVICE, &bob).await), code(404, "M_NOT_FOUND"));

    let shown = keys_of(&server, &bob, &alice).await;
    assert_eq!(shown[DEHYDRATED]["dehydrated"], true);
    assert_eq!(shown[DEHYDRATED]["unsigned"]["device_display_name"], "Dehydrated device");
    let first = claims(&server, &bob, &alice, DEHYDRATED).await;
    assert_eq!(first["signed_curve25519:AAAAAQ"]["key"], "AA");
    // Then there is the fallback key, again and again.
    for _ in 0..2 {
        let next = claims(&server, &bob, &alice, DEHYDRATED).await;
        assert_eq!(next["signed_curve25519:AAAAAg"]["key"], "AQ");
    }
}

#[tokio::test]
async fn others_are_told_that_it_comes_and_goes() {
    let server = server();
    let alice = server.person("alice").await;
    let since = server.fetch(&alice, "/_matrix/client/v3/sync").await["next_batch"].clone();
    dehydrates(&server, &alice).await;
    let path = format!("/_matrix/client/v3/sync?since={}", since.as_str().unwrap());
    let told = server.fetch(&alice, &path).await;
    assert_eq!(told["device_lists"]["changed"], json!([alice.user_id]));
    // Its keys are not those of who uploaded it.
    assert_eq!(told["device_one_time_keys_count"], json!({ "signed_curve25519": 0 }));
    assert_eq!(server.delete(DEVICE, &alice, json!({})).await.0, 200);
    let path = format!("/_matrix/client/v3/sync?since={}", told["next_batch"].as_str().unwrap());
    let told = server.fetch(&alice, &path).await;
    assert_eq!(told["device_lists"]["changed"], json!([alice.user_id]));
}

#[tokio::test]
async fn its_messages_are_read_in_parts_and_stay() {
    let server = server();
    let (alice, bob) = (server.person("alice").await, server.person("bob").await);
    dehydrates(&server, &alice).await;
    for number in 0..150 {
        sends(&server, &bob, &alice, if number == 0 { "*" } else { DEHYDRATED }, number).await;
    }
    let numbers = |body: &Value| -> Vec<u64> {
        let events = body["events"].as_array().unwrap().iter();
        events.map(|event| event["content"]["number"].as_u64().unwrap()).collect()
    };
    // Twice: reading removes nothing.
    for _ in 0..2 {
        let (status, first) = server.get(&events(DEHYDRATED), &alice).await;
        assert_eq!((status, numbers(&first)), (200, (0..100).collect()));
        assert_eq!(first["events"][0]["sender"], bob.user_id);
        assert_eq!(first["events"][0]["type"], "m.room.encrypted");
        let next = first["next_batch"].as_str().unwrap();
        let last = server.fetch(&alice, &format!("{}?from={next}", events(DEHYDRATED))).await;
        assert_eq!(numbers(&last), (100..150).collect::<Vec<_>>());
        assert_eq!(last.get("next_batch"), None);
    }
    // As earlier clients read them: until nothing comes.
    let (mut read, mut body) = (Vec::new(), json!({}));
    loop {
        let (status, answer) = server.post(&events(DEHYDRATED), &alice, body).await;
        assert_eq!(status, 200, "{answer}");
        if answer["events"] == json!([]) {
            break;
        }
        read.extend(numbers(&answer));
        assert!(read.len() <= 150, "the same is told again");
        body = json!({ "next_batch": answer["next_batch"] });
    }
    assert_eq!(read, (0..150).collect::<Vec<_>>());
}

#[tokio::test]
async fn nobody_reads_messages_of_another_device() {
    let server = server();
    let (alice, bob) = (server.person("alice").await, server.person("bob").await);
    assert_eq!(error(server.get(&events(DEHYDRATED), &alice).await), code(403, "M_FORBIDDEN"));
    dehydrates(&server, &alice).await;
    for (who, device) in [(&bob, DEHYDRATED), (&alice, &alice.device_id), (&alice, "x")] {
        assert_eq!(error(server.get(&events(device), who).await), code(403, "M_FORBIDDEN"));
        let posted = server.post(&events(device), who, json!({})).await;
        assert_eq!(error(posted), code(403, "M_FORBIDDEN"));
    }
    let path = format!("{}?from=x", events(DEHYDRATED));
    assert_eq!(error(server.get(&path, &alice).await), code(400, "M_INVALID_PARAM"));
    let posted = server.post(&events(DEHYDRATED), &alice, json!({ "next_batch": "s1" })).await;
    assert_eq!(error(posted), code(400, "M_INVALID_PARAM"));
}

#[tokio::test]
async fn the_next_one_takes_its_place_with_nothing_left_of_it() {
    let server = server();
    let (alice, bob) = (server.person("alice").await, server.person("bob").await);
    dehydrates(&server, &alice).await;
    sends(&server, &bob, &alice, DEHYDRATED, 1).await;
    // The same request again is the same device.
    dehydrates(&server, &alice).await;
    let waiting = server.fetch(&alice, &events(DEHYDRATED)).await;
    assert_eq!(waiting["events"].as_array().unwrap().len(), 1);

    assert_eq!(server.put(DEVICE, &alice, another(&alice, "NEXT")).await.0, 200);
    assert_eq!(server.fetch(&alice, DEVICE).await["device_id"], "NEXT");
    assert_eq!(error(server.get(&events(DEHYDRATED), &alice).await), code(403, "M_FORBIDDEN"));
    assert_eq!(server.fetch(&alice, &events("NEXT")).await["events"], json!([]));
    let shown = keys_of(&server, &bob, &alice).await;
    assert_eq!(shown.as_object().unwrap().keys().collect::<Vec<_>>(), ["NEXT"]);
    assert_eq!(claims(&server, &bob, &alice, DEHYDRATED).await, Value::Null);
    // Even under the name it had, nothing of it comes back.
    dehydrates(&server, &alice).await;
    assert_eq!(server.fetch(&alice, &events(DEHYDRATED)).await["events"], json!([]));
}

#[tokio::test]
async fn goes_with_its_keys_and_messages_by_every_road() {
    let server = server();
    let bob = server.person("bob").await;
    for road in ["own", "device", "devices", "all", "deactivate"] {
        let alice = server.person(&format!("alice-{road}")).await;
        dehydrates(&server, &alice).await;
        sends(&server, &bob, &alice, DEHYDRATED, 7).await;
        let auth = json!({
            "type": "m.login.password", "password": "tea",
            "identifier": { "type": "m.id.user", "user": alice.user_id },
        });
        let named = DEHYDRATED.replace('/', "%2F").replace('+', "%2B");
        let (status, body) = match road {
            "own" => server.delete(DEVICE, &alice, json!({})).await,
            "device" => {
                let path = format!("/_matrix/client/v3/devices/{named}");
                server.delete(&path, &alice, json!({ "auth": auth })).await
            }
            "devices" => {
                let body = json!({ "auth": auth, "devices": [DEHYDRATED] });
                server.post("/_matrix/client/v3/delete_devices", &alice, body).await
            }
            "all" => server.post("/_matrix/client/v3/logout/all", &alice, json!({})).await,
            _ => {
                let path = "/_matrix/client/v3/account/deactivate";
                server.post(path, &alice, json!({ "auth": auth })).await
            }
        };
        assert_eq!(status, 200, "{road}: {body}");
        if road == "own" {
            assert_eq!(body, json!({ "device_id": DEHYDRATED }));
        }
        assert_eq!(claims(&server, &bob, &alice, DEHYDRATED).await, Value::Null, "{road}");
        let shown = keys_of(&server, &bob, &alice).await;
        assert!(shown.get(DEHYDRATED).is_none(), "{road}: {shown}");
        if road == "deactivate" {
            continue;
        }
        let alice = person_of(&server.log_in(&alice.user_id, "tea").await.1);
        assert_eq!(error(server.get(DEVICE, &alice).await), code(404, "M_NOT_FOUND"), "{road}");
        let gone = server.delete(DEVICE, &alice, json!({})).await;
        assert_eq!(error(gone), code(404, "M_NOT_FOUND"), "{road}");
        assert!(!devices_of(&server, &alice).await.contains(&DEHYDRATED.to_owned()), "{road}");
        dehydrates(&server, &alice).await;
        assert_eq!(server.fetch(&alice, &events(DEHYDRATED)).await["events"], json!([]), "{road}");
    }
}

#[tokio::test]
async fn outlives_the_sessions_of_its_owner_and_is_none_of_them() {
    let server = server();
    let (alice, bob) = (server.person("alice").await, server.person("bob").await);
    dehydrates(&server, &alice).await;
    let whois = format!("/_matrix/client/v3/admin/whois/{}", alice.user_id);
    let known = server.fetch(&alice, &whois).await;
    assert_eq!(
        known["devices"].as_object().unwrap().keys().collect::<Vec<_>>(),
        [&alice.device_id]
    );
    assert_eq!(server.post("/_matrix/client/v3/logout", &alice, json!({})).await.0, 200);
    sends(&server, &bob, &alice, "*", 7).await;
    let alice = person_of(&server.log_in("alice", "tea").await.1);
    let waiting = server.fetch(&alice, &events(DEHYDRATED)).await;
    assert_eq!(waiting["events"][0]["content"]["number"], 7);
}

#[tokio::test]
async fn who_logs_in_under_its_name_does_not_inherit_it() {
    let server = server();
    let (alice, bob) = (server.person("alice").await, server.person("bob").await);
    dehydrates(&server, &alice).await;
    sends(&server, &bob, &alice, DEHYDRATED, 7).await;
    let body = json!({
        "type": "m.login.password", "password": "tea", "device_id": DEHYDRATED,
        "identifier": { "type": "m.id.user", "user": "alice" },
    });
    let (status, session) = server.ask(Method::POST, "/_matrix/client/v3/login", body).await;
    assert_eq!(status, 200, "{session}");
    let alice = person_of(&session);
    assert_eq!(error(server.get(DEVICE, &alice).await), code(404, "M_NOT_FOUND"));
    let all = server.fetch(&alice, "/_matrix/client/v3/sync").await;
    assert_eq!(all["to_device"]["events"], json!([]), "{all}");
    assert!(keys_of(&server, &bob, &alice).await.get(DEHYDRATED).is_none());
    // And nobody dehydrates a device that somebody is logged in on.
    let refused = server.put(DEVICE, &alice, dehydrated(&alice.user_id)).await;
    assert_eq!(error(refused), code(400, "M_INVALID_PARAM"));
}

#[tokio::test]
async fn one_that_is_refused_leaves_the_one_before_as_it_was() {
    let server = server();
    let (alice, bob) = (server.person("alice").await, server.person("bob").await);
    dehydrates(&server, &alice).await;
    sends(&server, &bob, &alice, DEHYDRATED, 7).await;
    let change = |pointer: &str, to: Value| {
        let mut device = another(&alice, "NEXT");
        *device.pointer_mut(pointer).unwrap() = to;
        device
    };
    let many: serde_json::Map<_, _> =
        (0..1_001).map(|number| (format!("k:{number}"), json!("AA"))).collect();
    let large = json!({ "algorithm": "x", "device_pickle": "A".repeat(65_536) });
    let wrong = [
        (change("/device_id", json!("")), 400, "M_BAD_JSON"),
        (change("/device_id", json!("OTHER")), 400, "M_BAD_JSON"),
        (change("/device_id", json!(7)), 400, "M_BAD_JSON"),
        (change("/device_data", json!({ "device_pickle": "AA" })), 400, "M_BAD_JSON"),
        (change("/device_data", json!("AA")), 400, "M_BAD_JSON"),
        (change("/device_data", large), 413, "M_TOO_LARGE"),
        (change("/device_keys", Value::Null), 400, "M_MISSING_PARAM"),
        (change("/device_keys/user_id", json!(bob.user_id)), 400, "M_BAD_JSON"),
        (change("/device_keys/keys", json!(1)), 400, "M_BAD_JSON"),
        (change("/one_time_keys", json!({ "x": "AA" })), 400, "M_BAD_JSON"),
        (change("/one_time_keys", Value::Object(many)), 413, "M_TOO_LARGE"),
        (change("/fallback_keys", json!({ "a:1": "AA", "a:2": "AA" })), 400, "M_INVALID_PARAM"),
    ];
    for (device, status, errcode) in wrong {
        let shown = device.to_string().chars().take(300).collect::<String>();
        assert_eq!(
            error(server.put(DEVICE, &alice, device).await),
            code(status, errcode),
            "{shown}"
        );
    }
    assert_eq!(server.fetch(&alice, DEVICE).await["device_id"], DEHYDRATED);
    let waiting = server.fetch(&alice, &events(DEHYDRATED)).await;
    assert_eq!(waiting["events"].as_array().unwrap().len(), 1);
    assert_eq!(devices_of(&server, &alice).await.len(), 2);
}

#[tokio::test]
async fn guests_and_strangers_have_none() {
    let server = server();
    let guest = server.guest().await;
    let refused = server.put(DEVICE, &guest, dehydrated(&guest.user_id)).await;
    assert_eq!(error(refused), code(403, "M_GUEST_ACCESS_FORBIDDEN"));
    assert_eq!(error(server.get(DEVICE, &guest).await), code(403, "M_GUEST_ACCESS_FORBIDDEN"));
    for method in [Method::GET, Method::PUT, Method::DELETE] {
        let answer = server.ask(method, DEVICE, Value::Null).await;
        assert_eq!(error(answer), code(401, "M_MISSING_TOKEN"));
    }
}
