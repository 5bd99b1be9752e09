//! End-to-end keys over HTTP, on one server and between two.

#![expect(
    clippy::expect_used,
    clippy::indexing_slicing,
    clippy::panic,
    reason = "a test that cannot go on fails"
)]

use std::sync::Arc;

use axum::{
    Json, Router,
    extract::State,
    routing::{get, put},
};
use parking_lot::Mutex;
use ruma::{CanonicalJsonObject, signatures::sign_json};
use serde_json::{Value, json};
use vestibule_events::SigningKey;
use vestibule_testkit::server::{
    Blueprint, Network, PASSWORD, Person, PretendServer, Reply, TestServer, segment,
};

const V3: &str = "/_matrix/client/v3";

/// A key that signs JSON.
struct Key(SigningKey);

impl Key {
    fn new(seed: u8) -> Self {
        Self(SigningKey::from_seed([seed; 32], "x").expect("a key"))
    }

    fn public(&self) -> String {
        self.0.public_key()
    }

    /// Signs an object in the name of a user's key.
    fn sign(&self, object: &mut Value, user: &str, name: &str) {
        let mut signed: CanonicalJsonObject =
            serde_json::from_value(object.clone()).expect("canonical JSON");
        signed.remove("signatures");
        sign_json("me", &self.0, &mut signed).expect("signed");
        let signed = serde_json::to_value(signed).expect("JSON");
        object["signatures"][user][format!("ed25519:{name}")] =
            signed["signatures"]["me"]["ed25519:x"].clone();
    }
}

/// Identity keys of somebody's device, signed by it.
fn identity(who: &Person, key: &Key) -> Value {
    let device = &who.device_id;
    let mut object = json!({
        "user_id": who.user_id,
        "device_id": device,
        "algorithms": ["m.olm.v1.curve25519-aes-sha2", "m.megolm.v1.aes-sha2"],
        "keys": { format!("curve25519:{device}"): "curve", format!("ed25519:{device}"): key.public() },
    });
    key.sign(&mut object, &who.user_id, device);
    object
}

fn one_time_key(who: &Person, key: &Key, content: &str) -> Value {
    let mut object = json!({ "key": content });
    key.sign(&mut object, &who.user_id, &who.device_id);
    object
}

fn cross_signing_key(who: &Person, usage: &str, key: &Key, master: &Key) -> Value {
    let public = key.public();
    let mut object = json!({
        "user_id": who.user_id,
        "usage": [usage],
        "keys": { format!("ed25519:{public}"): public },
    });
    if usage != "master" {
        master.sign(&mut object, &who.user_id, &master.public());
    }
    object
}

async fn post(who: &Person, path: &str, body: &Value) -> Reply {
    who.http().post(&format!("{V3}{path}"), body).await
}

async fn query(who: &Person, whose: &str) -> Value {
    post(who, "/keys/query", &json!({ "device_keys": { whose: [] } })).await.ok()
}

async fn claim(who: &Person, whose: &Person) -> Value {
    let wanted = json!({ &whose.user_id: { &whose.device_id: "signed_curve25519" } });
    post(who, "/keys/claim", &json!({ "one_time_keys": wanted })).await.ok()
}

#[tokio::test]
async fn a_device_tells_who_it_is_and_is_found() {
    let server = TestServer::start().await;
    let (alice, bob) = (server.register("alice").await, server.register("bob").await);
    let key = Key::new(1);
    let upload = json!({
        "device_keys": identity(&alice, &key),
        "one_time_keys": { "signed_curve25519:AA": one_time_key(&alice, &key, "a") },
    });
    let answer = post(&alice, "/keys/upload", &upload).await.ok();
    assert_eq!(answer, json!({ "one_time_key_counts": { "signed_curve25519": 1 } }));

    let found = query(&bob, &alice.user_id).await;
    let device = &found["device_keys"][&alice.user_id][&alice.device_id];
    assert_eq!(device["keys"], upload["device_keys"]["keys"]);
    assert_eq!(found["failures"], json!({}));
    let claimed = claim(&bob, &alice).await;
    let given = &claimed["one_time_keys"][&alice.user_id][&alice.device_id];
    assert_eq!(given["signed_curve25519:AA"], upload["one_time_keys"]["signed_curve25519:AA"]);
    assert_eq!(claim(&bob, &alice).await["one_time_keys"], json!({}));

    server.stop().await;
}

#[tokio::test]
async fn what_is_wrong_with_an_upload_is_told_by_its_code() {
    let server = TestServer::start().await;
    let alice = server.register("alice").await;
    let key = Key::new(1);
    let other = {
        let mut object = identity(&alice, &key);
        object["device_id"] = "OTHER".into();
        object
    };
    let wrong = {
        let mut object = identity(&alice, &key);
        object["user_id"] = 7.into();
        object
    };
    post(&alice, "/keys/upload", &json!({ "one_time_keys": { "a:1": "first" } })).await.ok();
    let table = [
        (json!({ "device_keys": other }), (400, "M_BAD_JSON")),
        (json!({ "device_keys": wrong }), (400, "M_BAD_JSON")),
        (json!({ "device_keys": { "user_id": &alice.user_id } }), (400, "M_MISSING_PARAM")),
        (json!({ "device_keys": [] }), (400, "M_BAD_JSON")),
        (json!({ "one_time_keys": { "nocolon": "k" } }), (400, "M_BAD_JSON")),
        (json!({ "one_time_keys": { "a:1": "second" } }), (400, "M_UNKNOWN")),
        (json!({ "one_time_keys": [] }), (400, "M_BAD_JSON")),
        (json!({ "fallback_keys": { "a:1": "k", "a:2": "k" } }), (400, "M_INVALID_PARAM")),
    ];
    for (body, expected) in table {
        let reply = post(&alice, "/keys/upload", &body).await;
        assert_eq!(reply.refusal(), expected, "{body}");
    }
    let refused = post(&alice, "/keys/query", &json!({})).await;
    assert_eq!(refused.refusal(), (400, "M_BAD_JSON"));
    let refused = post(&alice, "/keys/query", &json!({ "device_keys": { "nobody": 1 } })).await;
    assert_eq!(refused.refusal(), (400, "M_BAD_JSON"));
    server.stop().await;
}

#[tokio::test]
async fn who_is_named_like_nobody_takes_nothing_from_the_others() {
    let server = TestServer::start().await;
    let alice = server.register("alice").await;
    let asked = json!({ "device_keys": { "nobody": [], &alice.user_id: [] } });
    let found = post(&alice, "/keys/query", &asked).await.ok();
    assert_eq!(found["device_keys"], json!({ &alice.user_id: {} }));
    let hello = json!({ "*": { "hello": 1 } });
    let messages = json!({ "messages": { "nobody": hello, &alice.user_id: hello } });
    alice.http().put(&format!("{V3}/sendToDevice/m.tea/1"), &messages).await.ok();
    let told = alice.sync("").await;
    assert_eq!(told["to_device"]["events"][0]["content"], json!({ "hello": 1 }));
    server.stop().await;
}

/// The identity keys the specification shows, for somebody's device: nothing in them can be checked.
fn placeholder_identity(who: &Person) -> Value {
    let device = &who.device_id;
    json!({
        "user_id": who.user_id,
        "device_id": device,
        "algorithms": ["m.olm.v1.curve25519-aes-sha2", "m.megolm.v1.aes-sha2"],
        "keys": {
            format!("curve25519:{device}"): "3C5BFWi2Y8MaVvjM8M22DBmh24PmgR0nPvJOIArzgyI",
            format!("ed25519:{device}"): "lEuiRJBit0IG6nUf5pUzWTUEsRVVe/HJkoKuEww9ULI",
        },
        "signatures": { &who.user_id: { format!("ed25519:{device}"):
            "dSO80A01XiigH3uBiDVx/EjzaoycHcjq9lfQX0uWsqxl2giMIiSPR8a4d291W1ihKJL/a+myXS367WT6NAIcBA" } },
    })
}

#[tokio::test]
async fn what_a_device_says_of_itself_is_taken_without_the_signature_that_does_not_hold() {
    let server = TestServer::start().await;
    let (alice, bob) = (server.register("alice").await, server.register("bob").await);
    let identity = placeholder_identity(&alice);
    let one_time = json!({ "key": "k", "signatures": identity["signatures"] });
    let upload = json!({
        "device_keys": identity,
        "one_time_keys": { "signed_curve25519:AA": one_time },
        "fallback_keys": { "signed_curve25519:AF": one_time },
    });
    let answer = post(&alice, "/keys/upload", &upload).await.ok();
    assert_eq!(answer, json!({ "one_time_key_counts": { "signed_curve25519": 1 } }));
    let found = query(&bob, &alice.user_id).await;
    let shown = &found["device_keys"][&alice.user_id][&alice.device_id];
    let expected = {
        let mut object = identity.clone();
        object["signatures"] = json!({});
        object["unsigned"] = json!({});
        object
    };
    assert_eq!(*shown, expected);
    for name in ["AA", "AF"] {
        let claimed = claim(&bob, &alice).await;
        let given = &claimed["one_time_keys"][&alice.user_id][&alice.device_id];
        let key = &given[format!("signed_curve25519:{name}")];
        assert_eq!(*key, json!({ "key": "k", "signatures": {} }));
    }
    server.stop().await;
}

#[tokio::test]
async fn replacing_cross_signing_keys_takes_the_password() {
    let server = TestServer::start().await;
    let alice = server.register("alice").await;
    let upload = |seed: u8| {
        let [master, own, others] = [seed, seed + 1, seed + 2].map(Key::new);
        json!({
            "master_key": cross_signing_key(&alice, "master", &master, &master),
            "self_signing_key": cross_signing_key(&alice, "self_signing", &own, &master),
            "user_signing_key": cross_signing_key(&alice, "user_signing", &others, &master),
        })
    };
    let path = "/keys/device_signing/upload";
    let lonely = json!({ "self_signing_key": upload(10)["self_signing_key"] });
    assert_eq!(post(&alice, path, &lonely).await.refusal(), (400, "M_MISSING_PARAM"));
    for _ in 0..2 {
        assert_eq!(post(&alice, path, &upload(10)).await.ok(), json!({}));
    }
    let mut mixed = upload(10);
    mixed["self_signing_key"] = upload(20)["self_signing_key"].clone();
    assert_eq!(post(&alice, path, &mixed).await.refusal(), (400, "M_INVALID_SIGNATURE"));

    let mut others = upload(20);
    let challenge = post(&alice, path, &others).await;
    assert_eq!(challenge.status, 401, "{challenge:?}");
    assert_eq!(challenge.body["flows"], json!([{ "stages": ["m.login.password"] }]));
    let auth = |password: &str| {
        json!({
            "type": "m.login.password",
            "session": challenge.body["session"],
            "identifier": { "type": "m.id.user", "user": alice.user_id },
            "password": password,
        })
    };
    others["auth"] = auth("wrong");
    assert_eq!(post(&alice, path, &others).await.status, 401);
    others["auth"] = auth(PASSWORD);
    assert_eq!(post(&alice, path, &others).await.ok(), json!({}));
    let shown = query(&alice, &alice.user_id).await;
    assert_eq!(shown["master_keys"][&alice.user_id], others["master_key"]);
    assert_eq!(shown["user_signing_keys"][&alice.user_id], others["user_signing_key"]);
    server.stop().await;
}

#[tokio::test]
async fn signatures_that_do_not_hold_are_named_one_by_one() {
    let server = TestServer::start().await;
    let alice = server.register("alice").await;
    let (device, master, own) = (Key::new(1), Key::new(2), Key::new(3));
    let identity = identity(&alice, &device);
    post(&alice, "/keys/upload", &json!({ "device_keys": identity })).await.ok();
    let keys = json!({
        "master_key": cross_signing_key(&alice, "master", &master, &master),
        "self_signing_key": cross_signing_key(&alice, "self_signing", &own, &master),
    });
    post(&alice, "/keys/device_signing/upload", &keys).await.ok();
    let mut good = identity.clone();
    own.sign(&mut good, &alice.user_id, &own.public());
    let mut bad = keys["master_key"].clone();
    own.sign(&mut bad, &alice.user_id, &alice.device_id);
    let body = json!({
        &alice.user_id: { &alice.device_id: good, master.public(): bad, "UNKNOWN": good },
    });
    let answer = post(&alice, "/keys/signatures/upload", &body).await.ok();
    let failures = answer["failures"][&alice.user_id].as_object().expect("failures");
    assert_eq!(failures.len(), 2, "{answer}");
    assert_eq!(failures[&master.public()]["errcode"], "M_INVALID_SIGNATURE");
    assert_eq!(failures["UNKNOWN"]["errcode"], "M_NOT_FOUND");
    let shown = query(&alice, &alice.user_id).await;
    let shown = &shown["device_keys"][&alice.user_id][&alice.device_id];
    assert_eq!(shown["signatures"], good["signatures"]);
    server.stop().await;
}

#[tokio::test]
async fn backups_over_http() {
    let server = TestServer::start().await;
    let alice = server.register("alice").await;
    let http = alice.http();
    let missing = http.get(&format!("{V3}/room_keys/version")).await;
    assert_eq!(missing.refusal(), (404, "M_NOT_FOUND"));
    let algorithm = "m.megolm_backup.v1.curve25519-aes-sha2";
    let backup = json!({ "algorithm": algorithm, "auth_data": { "public_key": "p" } });
    let made = post(&alice, "/room_keys/version", &backup).await.ok();
    let version = made["version"].as_str().expect("a version").to_owned();
    let key = json!({
        "first_message_index": 1, "forwarded_count": 0, "is_verified": true,
        "session_data": { "ciphertext": "c" },
    });
    let room = segment("!room:localhost");
    let in_backup = |rest: &str| format!("{V3}/room_keys/keys{rest}?version={version}");
    let one = in_backup(&format!("/{room}/session"));
    let put = http.put(&one, &key).await.ok();
    assert_eq!(put["count"], 1);
    assert_eq!(http.get(&one).await.ok(), key);
    let of_room = in_backup(&format!("/{room}"));
    assert_eq!(http.get(&of_room).await.ok(), json!({ "sessions": { "session": key } }));
    let more = json!({ "sessions": { "second": key } });
    assert_eq!(http.put(&of_room, &more).await.ok()["count"], 2);
    let all = json!({ "rooms": { "!room:localhost": { "sessions": { "third": key } } } });
    assert_eq!(http.put(&in_backup(""), &all).await.ok()["count"], 3);
    let everything = http.get(&in_backup("")).await.ok();
    let sessions = everything["rooms"]["!room:localhost"]["sessions"].as_object();
    assert_eq!(sessions.map(serde_json::Map::len), Some(3));
    let info = http.get(&format!("{V3}/room_keys/version")).await.ok();
    assert_eq!(
        info,
        json!({
            "algorithm": algorithm, "auth_data": { "public_key": "p" }, "count": 3,
            "etag": info["etag"], "version": version,
        })
    );

    let second = post(&alice, "/room_keys/version", &backup).await.ok();
    let refused = http.put(&one, &key).await;
    assert_eq!(refused.refusal(), (403, "M_WRONG_ROOM_KEYS_VERSION"));
    assert_eq!(refused.body["current_version"], second["version"]);
    assert_eq!(http.delete(&one).await.ok()["count"], 2);
    let gone = http.get(&one).await;
    assert_eq!(gone.refusal(), (404, "M_NOT_FOUND"));
    let empty = http.get(&in_backup("/!other:localhost")).await.ok();
    assert_eq!(empty, json!({ "sessions": {} }));
    let wrong = json!({ "algorithm": "m.other", "auth_data": {} });
    let change = http.put(&format!("{V3}/room_keys/version/{version}"), &wrong).await;
    assert_eq!(change.refusal(), (400, "M_INVALID_PARAM"));
    for _ in 0..2 {
        http.delete(&format!("{V3}/room_keys/version/{version}")).await.ok();
    }
    assert_eq!(http.get(&in_backup("")).await.refusal(), (404, "M_NOT_FOUND"));
    let unversioned = http.put(&format!("{V3}/room_keys/keys"), &all).await;
    assert_eq!(unversioned.status, 400);
    server.stop().await;
}

#[tokio::test]
async fn guests_keep_keys_but_no_backups() {
    let server = Blueprint::default().with_guests().start().await;
    let guest = server.guest().await;
    let member = server.register("member").await;
    let upload = json!({ "device_keys": identity(&guest, &Key::new(1)) });
    post(&guest, "/keys/upload", &upload).await.ok();
    post(&member, "/keys/upload", &json!({ "device_keys": identity(&member, &Key::new(2)) }))
        .await
        .ok();
    let own = query(&guest, &guest.user_id).await;
    assert!(own["device_keys"][&guest.user_id].get(&guest.device_id).is_some(), "{own}");
    assert_eq!(query(&guest, &member.user_id).await["device_keys"], json!({}));
    let none = guest.http().get(&format!("{V3}/room_keys/version")).await;
    assert_eq!(none.refusal(), (404, "M_NOT_FOUND"));
    let backup = json!({ "algorithm": "a", "auth_data": {} });
    let refused = post(&guest, "/room_keys/version", &backup).await;
    assert_eq!(refused.refusal(), (403, "M_GUEST_ACCESS_FORBIDDEN"));
    server.stop().await;
}

#[tokio::test]
async fn what_was_given_out_stays_given_out_after_a_restart() {
    let server = Blueprint::default().on_disk().start().await;
    let (alice, bob) = (server.register("alice").await, server.register("bob").await);
    let key = Key::new(1);
    let names = ["AA", "AB", "AC"];
    let keys: serde_json::Map<String, Value> = names
        .iter()
        .map(|name| (format!("signed_curve25519:{name}"), one_time_key(&alice, &key, name)))
        .collect();
    let upload = json!({ "device_keys": identity(&alice, &key), "one_time_keys": keys });
    post(&alice, "/keys/upload", &upload).await.ok();
    let first = claim(&bob, &alice).await;
    let server = server.restart().await;
    let (alice_again, bob) = (server.login("alice").await, server.login("bob").await);
    assert_ne!(alice_again.device_id, alice.device_id);
    let mut given = vec![first["one_time_keys"].to_string()];
    for _ in 0..2 {
        given.push(claim(&bob, &alice).await["one_time_keys"].to_string());
    }
    given.sort();
    given.dedup();
    assert_eq!(given.len(), 3, "{given:?}");
    assert_eq!(claim(&bob, &alice).await["one_time_keys"], json!({}));
    server.stop().await;
}

#[tokio::test]
async fn a_dehydrated_device_outlives_a_restart_with_what_waits_for_it() {
    const DEVICE: &str = "/_matrix/client/unstable/org.matrix.msc3814.v1/dehydrated_device";
    let server = Blueprint::default().on_disk().start().await;
    let (alice, bob) = (server.register("alice").await, server.register("bob").await);
    let key = Key::new(1);
    let mut identity = json!({
        "user_id": alice.user_id, "device_id": "DRY", "dehydrated": true,
        "algorithms": ["m.olm.v1.curve25519-aes-sha2"],
        "keys": { "curve25519:DRY": "curve", "ed25519:DRY": key.public() },
    });
    let device = |identity: &Value| {
        json!({
            "device_id": "DRY", "device_keys": identity, "device_data": { "algorithm": "x", "a": 1 },
        })
    };
    Key::new(2).sign(&mut identity, &alice.user_id, "DRY");
    let nameless = alice.http().put(DEVICE, &device(&json!({ "device_id": "DRY" }))).await;
    assert_eq!(nameless.refusal(), (400, "M_MISSING_PARAM"));
    assert_eq!(alice.http().get(DEVICE).await.refusal(), (404, "M_NOT_FOUND"));
    alice.http().put(DEVICE, &device(&identity)).await.ok();
    let shown = query(&bob, &alice.user_id).await;
    assert_eq!(shown["device_keys"][&alice.user_id]["DRY"]["signatures"], json!({}));
    // The signature that holds is taken with the same request.
    key.sign(&mut identity, &alice.user_id, "DRY");
    alice.http().put(DEVICE, &device(&identity)).await.ok();
    let shown = query(&bob, &alice.user_id).await;
    assert_eq!(shown["device_keys"][&alice.user_id]["DRY"]["signatures"], identity["signatures"]);
    let letter = json!({ "messages": { &alice.user_id: { "DRY": { "tea": 1 } } } });
    bob.http().put(&format!("{V3}/sendToDevice/m.tea/1"), &letter).await.ok();
    post(&alice, "/logout", &json!({})).await.ok();

    let server = server.restart().await;
    let (alice, bob) = (server.login("alice").await, server.login("bob").await);
    assert_eq!(
        query(&bob, &alice.user_id).await["device_keys"][&alice.user_id]["DRY"]["dehydrated"],
        true
    );
    let kept = alice.http().get(DEVICE).await.ok();
    assert_eq!(kept, json!({ "device_id": "DRY", "device_data": { "algorithm": "x", "a": 1 } }));
    let waiting = alice.http().get(&format!("{DEVICE}/DRY/events")).await.ok();
    let told = json!({ "sender": bob.user_id, "type": "m.tea", "content": { "tea": 1 } });
    assert_eq!(waiting, json!({ "events": [told] }));
    server.stop().await;
}

/// Two servers that reach each other, and somebody on each with a device that has keys.
async fn two_servers() -> (Network, [TestServer; 2], [Person; 2]) {
    let network = Network::default();
    let start = |name: &'static str| Box::pin(Blueprint::default().on(&network, name).start());
    let servers = [start("a.example").await, start("b.example").await];
    let people = [servers[0].register("alice").await, servers[1].register("bob").await];
    for (person, seed) in people.iter().zip([1, 2]) {
        let key = Key::new(seed);
        let upload = json!({
            "device_keys": identity(person, &key),
            "one_time_keys": { "signed_curve25519:AA": one_time_key(person, &key, "a") },
        });
        post(person, "/keys/upload", &upload).await.ok();
    }
    (network, servers, people)
}

#[tokio::test]
async fn keys_of_people_elsewhere_are_shown_and_claimed() {
    let (network, servers, [alice, bob]) = two_servers().await;
    let found = query(&alice, &bob.user_id).await;
    let keys = &found["device_keys"][&bob.user_id][&bob.device_id]["keys"];
    assert_eq!(*keys, identity(&bob, &Key::new(2))["keys"], "{found}");
    let claimed = claim(&alice, &bob).await;
    let given = &claimed["one_time_keys"][&bob.user_id][&bob.device_id];
    assert!(given.get("signed_curve25519:AA").is_some(), "{claimed}");
    assert_eq!(claim(&alice, &bob).await["one_time_keys"], json!({}));

    network.cut("b.example");
    let lost = query(&alice, &bob.user_id).await;
    assert_eq!(lost["device_keys"], json!({}));
    assert!(lost["failures"].get("b.example").is_some(), "{lost}");
    for server in servers {
        server.stop().await;
    }
}

/// A server elsewhere with one user, whose device list it tells, and what it was sent.
#[derive(Clone, Default)]
struct Far {
    list: Arc<Mutex<Value>>,
    asked: Arc<Mutex<usize>>,
    received: Arc<Mutex<Vec<Value>>>,
}

impl Far {
    fn on(&self, network: &Network) -> PretendServer {
        let devices = get(|State(far): State<Self>| async move {
            *far.asked.lock() += 1;
            Json(far.list.lock().clone())
        });
        let take = put(|State(far): State<Self>, Json(body): Json<Value>| async move {
            far.received.lock().extend(body["edus"].as_array().into_iter().flatten().cloned());
            Json(json!({ "pdus": {} }))
        });
        let router = Router::new()
            .route("/_matrix/federation/v1/user/devices/{user}", devices)
            .route("/_matrix/federation/v1/send/{id}", take)
            .with_state(self.clone());
        PretendServer::answering(network, "far.example", router)
    }

    /// The messages of a type it was sent, once there are so many.
    async fn received(&self, edu_type: &str, count: usize) -> Vec<Value> {
        for _ in 0..200 {
            let all = self.received.lock().clone();
            let wanted: Vec<Value> = all
                .into_iter()
                .filter(|edu| edu["edu_type"] == edu_type)
                .map(|edu| edu["content"].clone())
                .collect();
            if wanted.len() >= count {
                return wanted;
            }
            tokio::time::sleep(std::time::Duration::from_millis(20)).await;
        }
        panic!("{:?}", self.received.lock());
    }
}

const ZOE: &str = "@zoe:far.example";

fn remote_identity(device: &str) -> Value {
    let key = Key::new(9);
    let mut object = json!({
        "user_id": ZOE,
        "device_id": device,
        "algorithms": ["m.olm.v1.curve25519-aes-sha2"],
        "keys": { format!("ed25519:{device}"): key.public() },
    });
    key.sign(&mut object, ZOE, device);
    object
}

fn remote_list(version: u64, devices: &[&str]) -> Value {
    let device = |it: &&str| json!({ "device_id": it, "keys": remote_identity(it) });
    let devices: Vec<Value> = devices.iter().map(device).collect();
    json!({ "user_id": ZOE, "stream_id": version, "devices": devices })
}

async fn devices_of_zoe(who: &Person) -> Vec<String> {
    let found = query(who, ZOE).await;
    let devices = found["device_keys"][ZOE].as_object().into_iter().flatten();
    devices.map(|(device, _)| device.clone()).collect()
}

#[tokio::test]
async fn device_lists_follow_those_of_other_servers_in_both_directions() {
    let network = Network::default();
    let server = Box::pin(Blueprint::default().on(&network, "a.example").start()).await;
    let alice = server.register("alice").await;
    let far = Far::default();
    *far.list.lock() = remote_list(5, &["ONE"]);
    let elsewhere = far.on(&network);
    let options = json!({ "preset": "public_chat", "room_version": "11" });
    let room = alice.create_room(&options).await;
    elsewhere.slip_in(&server, &room, "zoe").await;
    assert_eq!(devices_of_zoe(&alice).await, ["ONE"]);
    assert_eq!(devices_of_zoe(&alice).await, ["ONE"]);
    assert_eq!(*far.asked.lock(), 1, "the list is kept");

    // In a row: applied. After a gap: fetched anew.
    let first = alice.sync("").await;
    let since = first["next_batch"].as_str().expect("a token").to_owned();
    let update = |version: u64, before: u64, device: &str| {
        let content = json!({
            "user_id": ZOE, "device_id": device, "stream_id": version, "prev_id": [before],
            "keys": remote_identity(device),
        });
        json!({ "edu_type": "m.device_list_update", "content": content })
    };
    let send = async |id: &str, edu: Value| {
        let body = json!({
            "origin": "far.example", "origin_server_ts": 1, "pdus": [], "edus": [edu],
        });
        let path = format!("/_matrix/federation/v1/send/{id}");
        elsewhere.put(&server, &path, &body).await.ok();
    };
    send("t1", update(6, 5, "TWO")).await;
    let told = alice.sync_for(&since, 5_000).await;
    assert_eq!(told["device_lists"]["changed"], json!([ZOE]));
    assert_eq!(devices_of_zoe(&alice).await, ["ONE", "TWO"]);
    assert_eq!(*far.asked.lock(), 1);
    *far.list.lock() = remote_list(8, &["FOUR"]);
    send("t2", update(8, 7, "FOUR")).await;
    assert_eq!(devices_of_zoe(&alice).await, ["FOUR"]);
    assert_eq!(*far.asked.lock(), 2);

    // What changes here is told there, in its order.
    let key = Key::new(1);
    let upload = json!({ "device_keys": identity(&alice, &key) });
    post(&alice, "/keys/upload", &upload).await.ok();
    let rename = format!("{V3}/devices/{}", alice.device_id);
    alice.http().put(&rename, &json!({ "display_name": "desk" })).await.ok();
    let master = Key::new(2);
    let keys = json!({ "master_key": cross_signing_key(&alice, "master", &master, &master) });
    post(&alice, "/keys/device_signing/upload", &keys).await.ok();
    let updates = far.received("m.device_list_update", 2).await;
    assert_eq!(updates[0]["keys"]["keys"], upload["device_keys"]["keys"]);
    assert_eq!(updates[1]["device_display_name"], "desk");
    assert_eq!(updates[1]["prev_id"], json!([updates[0]["stream_id"]]));
    let signing = far.received("m.signing_key_update", 1).await;
    assert_eq!(signing[0]["master_key"], keys["master_key"]);

    // And the list can be asked for, with the version of the last update.
    let path = format!("/_matrix/federation/v1/user/devices/{}", segment(&alice.user_id));
    let list = elsewhere.get(&server, &path).await.ok();
    assert_eq!(list["stream_id"], updates[1]["stream_id"]);
    assert_eq!(list["devices"][0]["device_display_name"], "desk");
    assert_eq!(list["master_key"], keys["master_key"]);
    server.stop().await;
}

/// Whose lists a sync says have changed.
fn changed(sync: &Value) -> Vec<&str> {
    let changed = sync["device_lists"]["changed"].as_array().into_iter().flatten();
    changed.filter_map(Value::as_str).collect()
}

#[tokio::test]
async fn devices_without_keys_are_told_of_when_they_come_are_renamed_and_go() {
    let network = Network::default();
    let server = Box::pin(Blueprint::default().on(&network, "a.example").start()).await;
    let (alice, bob) = (server.register("alice").await, server.register("bob").await);
    let far = Far::default();
    let elsewhere = far.on(&network);
    let options = json!({ "preset": "public_chat", "room_version": "11" });
    let room = alice.create_room(&options).await;
    bob.join(&room).await.ok();
    elsewhere.slip_in(&server, &room, "zoe").await;

    let token = |sync: &Value| sync["next_batch"].as_str().expect("a token").to_owned();
    let mut places = [token(&alice.sync("").await), token(&bob.sync("").await)];
    let mut told = async |what: &str| {
        for (who, since) in [&alice, &bob].into_iter().zip(&mut places) {
            let sync = who.sync_for(since, 5_000).await;
            assert_eq!(changed(&sync), [alice.user_id.as_str()], "{what}");
            *since = token(&sync);
            assert!(changed(&who.sync(since).await).is_empty(), "{what}: once");
        }
    };
    let second = server.login("alice").await;
    told("a login").await;
    let path = format!("{V3}/devices/{}", second.device_id);
    second.http().put(&path, &json!({ "display_name": "desk" })).await.ok();
    told("a name").await;
    second.http().post(&format!("{V3}/logout"), &json!({})).await.ok();
    told("a logout").await;

    let updates = far.received("m.device_list_update", 3).await;
    let update = |at: u64| {
        let before: Vec<u64> = (1..at).rev().take(1).collect();
        json!({
            "user_id": alice.user_id, "device_id": second.device_id, "stream_id": at, "prev_id": before,
        })
    };
    let (mut renamed, mut gone) = (update(2), update(3));
    renamed["device_display_name"] = "desk".into();
    gone["deleted"] = true.into();
    assert_eq!(updates, [update(1), renamed, gone]);
    server.stop().await;
}
