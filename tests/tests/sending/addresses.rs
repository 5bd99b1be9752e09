//! Inviting by an address: what an identity server knows, keeps and signs.

use std::sync::Arc;

use axum::{
    Json, Router,
    extract::State,
    http::{HeaderMap, StatusCode},
    response::{IntoResponse, Response},
    routing::{get, post},
};
use parking_lot::Mutex;
use serde_json::{Value, json};
use vestibule_testkit::server::{Blueprint, Person, PretendServer, Reply, TestServer, segment};

use crate::town::{Two, V3, eventually};

const IDENTITY: &str = "/_matrix/identity/v2";
const V1: &str = "/_matrix/federation/v1";

/// What the identity server remembers and how it is minded.
#[derive(Default)]
struct Memory {
    kept: Vec<Value>,
    tokens: Vec<String>,
    public_key: String,
    revoked: bool,
    silent: bool,
}

type Shared = Arc<Mutex<Memory>>;

/// An identity server that knows whose `alice@example.com` is, and nobody else.
struct Identity {
    server: PretendServer,
    memory: Shared,
}

async fn lookup(Json(asked): Json<Value>) -> Json<Value> {
    // The hash of alice@example.com with the pepper "matrixrocks", from the specification.
    let known = "4kenr7N9drpCJ4AfalmlGQVsOn3o2RHjkADUpXJWZUc";
    let is_known = asked["algorithm"] == "sha256" && asked["addresses"][0] == known;
    let mappings = if is_known { json!({ known: "@bob:b.example" }) } else { json!({}) };
    Json(json!({ "mappings": mappings }))
}

async fn keep(
    State(memory): State<Shared>,
    headers: HeaderMap,
    Json(invite): Json<Value>,
) -> Response {
    if headers.get("authorization").is_none_or(|token| token != "Bearer theirs") {
        let body = json!({ "errcode": "M_UNAUTHORIZED", "error": "who are you" });
        return (StatusCode::UNAUTHORIZED, Json(body)).into_response();
    }
    let mut memory = memory.lock();
    let token = format!("token{}", memory.kept.len());
    memory.kept.push(invite);
    memory.tokens.push(token.clone());
    let key = json!({
        "public_key": memory.public_key,
        "key_validity_url": format!("https://id.example{IDENTITY}/pubkey/isvalid"),
    });
    Json(json!({ "token": token, "public_keys": [key], "display_name": "c..." })).into_response()
}

async fn is_valid(State(memory): State<Shared>) -> Response {
    let memory = memory.lock();
    if memory.silent {
        return StatusCode::INTERNAL_SERVER_ERROR.into_response();
    }
    Json(json!({ "valid": !memory.revoked })).into_response()
}

impl Identity {
    fn of(two: &Two) -> Self {
        let memory = Shared::default();
        let details = json!({ "algorithms": ["none", "sha256"], "lookup_pepper": "matrixrocks" });
        let router = Router::new()
            .route(&format!("{IDENTITY}/hash_details"), get(async || Json(details)))
            .route(&format!("{IDENTITY}/lookup"), post(lookup))
            .route(&format!("{IDENTITY}/store-invite"), post(keep))
            .route(&format!("{IDENTITY}/pubkey/isvalid"), get(is_valid))
            .with_state(memory.clone());
        let server = PretendServer::answering(&two.network, "id.example", router);
        memory.lock().public_key = server.key().public_key();
        Self { server, memory }
    }

    /// The proof that a user owns the address of the last invitation.
    fn proof(&self, owner: &str) -> Value {
        let token = self.memory.lock().tokens.last().expect("an invitation").clone();
        self.server.signed(&json!({ "mxid": owner, "token": token, "sender": "@alice:a.example" }))
    }

    /// Tells a server that the address is now its user's.
    async fn bound(&self, server: &TestServer, owner: &str, room: &str) -> Reply {
        let invite = json!({
            "medium": "email", "address": "carol@example.org", "mxid": owner, "room_id": room,
            "sender": "@alice:a.example", "signed": self.proof(owner),
        });
        let body = json!({
            "medium": "email", "address": "carol@example.org", "mxid": owner, "invites": [invite],
        });
        self.server.put(server, &format!("{V1}/3pid/onbind"), &body).await
    }
}

fn trusting() -> Blueprint {
    Blueprint::default().with("[identity]\ntrusted_servers = [\"id.example\"]\n")
}

fn address(address: &str) -> Value {
    json!({
        "id_server": "id.example", "id_access_token": "theirs", "medium": "email",
        "address": address,
    })
}

async fn private_room(person: &Person) -> String {
    person.create_room(&json!({ "preset": "private_chat", "name": "Den" })).await
}

async fn invited(person: &Person, room: &str) {
    eventually("the invitation arrives", async || {
        person.sync("").await["rooms"]["invite"].get(room).map(|_| ())
    })
    .await;
}

/// The request of a server for a user of its own.
fn exchange(room: &str, owner: &str, proof: &Value) -> Value {
    json!({
        "type": "m.room.member", "room_id": room, "sender": "@alice:a.example",
        "state_key": owner,
        "content": {
            "membership": "invite",
            "third_party_invite": { "display_name": "c...", "signed": proof },
        },
    })
}

#[tokio::test]
async fn whoever_turns_out_to_own_an_address_is_invited_on_another_server() {
    let two = Two::like(trusting()).await;
    let identity = Identity::of(&two);
    let room = private_room(&two.alice).await;
    two.alice.in_room(&room, "invite", &address("Carol@example.org")).await.ok();
    let kept = identity.memory.lock().kept.clone();
    assert_eq!(kept.len(), 1, "{kept:?}");
    assert_eq!(
        (&kept[0]["address"], &kept[0]["room_name"]),
        (&"carol@example.org".into(), &"Den".into())
    );
    let invite = two.alice.state(&room, "m.room.third_party_invite", "token0").await.ok();
    assert_eq!(invite["display_name"], "c...");
    assert_eq!(invite["public_key"], identity.server.key().public_key());

    identity.bound(&two.b, "@bob:b.example", &room).await.ok();
    invited(&two.bob, &room).await;
    two.bob.join(&room).await.ok();
    two.in_room(&room, "@bob:b.example").await;
    let shown = two.bob.of_room(&room, "members?not_membership=leave").await.ok();
    let shown = shown["chunk"].as_array().expect("members").clone();
    let bob = shown.iter().find(|it| it["state_key"] == "@bob:b.example").expect("bob");
    assert_eq!(bob["content"]["membership"], "join");
}

#[tokio::test]
async fn an_owner_of_the_inviters_own_server_is_invited_as_well() {
    let two = Two::like(trusting()).await;
    let identity = Identity::of(&two);
    let dave = two.a.register("dave").await;
    let room = private_room(&two.alice).await;
    two.alice.in_room(&room, "invite", &address("carol@example.org")).await.ok();
    identity.bound(&two.a, &dave.user_id, &room).await.ok();
    invited(&dave, &room).await;
    let member = two.alice.state(&room, "m.room.member", &dave.user_id).await.ok();
    let proof = &member["third_party_invite"];
    assert_eq!(
        (&proof["display_name"], &proof["signed"]["token"]),
        (&"c...".into(), &"token0".into())
    );
    dave.join(&room).await.ok();
}

/// Joins by what the identity server signed.
async fn join_by(person: &Person, room: &str, proof: &Value) -> Reply {
    let path = format!("{V3}/join/{}?via=a.example", segment(room));
    person.http().post(&path, &json!({ "third_party_signed": proof })).await
}

#[tokio::test]
async fn whoever_brings_a_proof_joins_by_it() {
    let two = Two::like(trusting()).await;
    let identity = Identity::of(&two);
    let dave = two.a.register("dave").await;
    let erin = two.b.register("erin").await;
    let room = private_room(&two.alice).await;
    for (person, here) in [(&dave, true), (&two.bob, false), (&erin, false)] {
        two.alice.in_room(&room, "invite", &address("carol@example.org")).await.ok();
        assert_eq!(join_by(person, &room, &json!({})).await.refusal(), (400, "M_BAD_JSON"));
        let good = identity.proof(&person.user_id);
        let mut forged = good.clone();
        forged["extra"] = "changed after it was signed".into();
        let others = identity.proof("@mallory:b.example");
        for wrong in [&forged, &others] {
            let refused = join_by(person, &room, wrong).await;
            assert_eq!(refused.refusal(), (403, "M_FORBIDDEN"), "{refused:?}");
        }
        identity.memory.lock().revoked = true;
        assert_eq!(join_by(person, &room, &good).await.refusal(), (403, "M_FORBIDDEN"));
        identity.memory.lock().revoked = false;
        if here {
            let path = format!("{V3}/rooms/{}/join", segment(&room));
            person.http().post(&path, &json!({ "third_party_signed": good })).await.ok();
        } else {
            join_by(person, &room, &good).await.ok();
        }
        two.in_room(&room, &person.user_id).await;
        // Whoever is in needs no proof any more.
        join_by(person, &room, &forged).await.ok();
    }
}

#[tokio::test]
async fn the_user_an_address_is_known_for_is_invited_at_once() {
    let two = Two::like(trusting()).await;
    let identity = Identity::of(&two);
    let room = private_room(&two.alice).await;
    two.alice.in_room(&room, "invite", &address("alice@example.com")).await.ok();
    invited(&two.bob, &room).await;
    assert_eq!(identity.memory.lock().kept.len(), 0);
}

#[tokio::test]
async fn a_room_may_begin_with_the_invitation_of_an_address() {
    let two = Two::like(trusting()).await;
    let identity = Identity::of(&two);
    let options =
        json!({ "preset": "private_chat", "invite_3pid": [address("carol@example.org")] });
    let room = two.alice.create_room(&options).await;
    two.alice.state(&room, "m.room.third_party_invite", "token0").await.ok();
    identity.bound(&two.b, "@bob:b.example", &room).await.ok();
    invited(&two.bob, &room).await;
}

#[tokio::test]
async fn an_identity_server_that_is_not_trusted_is_not_asked() {
    let two = Two::new().await;
    let identity = Identity::of(&two);
    let room = private_room(&two.alice).await;
    let refused = two.alice.in_room(&room, "invite", &address("carol@example.org")).await;
    assert_eq!(refused.refusal(), (403, "M_SERVER_NOT_TRUSTED"));
    let options = json!({ "invite_3pid": [address("carol@example.org")] });
    let refused = two.alice.http().post(&format!("{V3}/createRoom"), &options).await;
    assert_eq!(refused.refusal(), (403, "M_SERVER_NOT_TRUSTED"));
    let nobody = two.alice.in_room(&room, "invite", &json!({ "medium": "email" })).await;
    assert_eq!(nobody.refusal(), (400, "M_MISSING_PARAM"));
    assert_eq!(two.requests("id.example", "/"), 0);
    drop(identity);
}

#[tokio::test]
async fn what_an_identity_server_refuses_is_refused() {
    let two = Two::like(trusting()).await;
    let _identity = Identity::of(&two);
    let room = private_room(&two.alice).await;
    let mut unknown = address("carol@example.org");
    unknown["id_access_token"] = "another".into();
    let refused = two.alice.in_room(&room, "invite", &unknown).await;
    assert_eq!(refused.refusal(), (403, "M_FORBIDDEN"));
    let mut pigeon = address("carol@example.org");
    pigeon["medium"] = "pigeon".into();
    let refused = two.alice.in_room(&room, "invite", &pigeon).await;
    assert_eq!(refused.refusal(), (400, "M_INVALID_PARAM"));
    two.network.cut("id.example");
    let refused = two.alice.in_room(&room, "invite", &address("carol@example.org")).await;
    assert_eq!(refused.status, 502);
}

#[tokio::test]
async fn nobody_without_the_power_to_invite_makes_an_identity_server_write() {
    let two = Two::like(trusting()).await;
    let identity = Identity::of(&two);
    let levels = json!({ "invite": 50 });
    let options = json!({ "preset": "public_chat", "power_level_content_override": levels });
    let room = two.alice.create_room(&options).await;
    let dave = two.a.register("dave").await;
    let outside = dave.in_room(&room, "invite", &address("carol@example.org")).await;
    assert_eq!(outside.status, 403);
    dave.join(&room).await.ok();
    let refused = dave.in_room(&room, "invite", &address("carol@example.org")).await;
    assert_eq!(refused.refusal(), (403, "M_FORBIDDEN"));
    assert_eq!(identity.memory.lock().kept.len(), 0);
}

#[tokio::test]
async fn a_proof_that_does_not_fit_invites_nobody() {
    let two = Two::like(trusting()).await;
    let identity = Identity::of(&two);
    let away = PretendServer::on(&two.network, "away.example");
    let room = private_room(&two.alice).await;
    two.alice.in_room(&room, "invite", &address("carol@example.org")).await.ok();
    let path = format!("{V1}/exchange_third_party_invite/{}", segment(&room));
    let owner = "@mallory:away.example";
    let good = identity.proof(owner);
    let mut forged = good.clone();
    forged["mxid"] = "@mallory:away.example".into();
    forged["extra"] = "changed after it was signed".into();
    let by_somebody_else = away.signed(&json!({ "mxid": owner, "token": "token0" }));
    let unknown_token = identity.server.signed(&json!({ "mxid": owner, "token": "none" }));
    let others = identity.proof("@bob:b.example");
    let room_elsewhere = exchange("!no:a.example", owner, &good);
    let elsewhere = format!("{V1}/exchange_third_party_invite/{}", segment("!no:a.example"));
    let mut no_invite = exchange(&room, owner, &good);
    no_invite["content"]["membership"] = "join".into();
    let mut wrong_sender = exchange(&room, owner, &good);
    wrong_sender["sender"] = "@bob:b.example".into();
    for (what, path, body, expected) in [
        ("forged", &path, exchange(&room, owner, &forged), (403, "M_FORBIDDEN")),
        ("another key", &path, exchange(&room, owner, &by_somebody_else), (403, "M_FORBIDDEN")),
        ("no such token", &path, exchange(&room, owner, &unknown_token), (403, "M_FORBIDDEN")),
        ("another owner", &path, exchange(&room, owner, &others), (400, "M_INVALID_PARAM")),
        ("not theirs", &path, exchange(&room, "@bob:b.example", &others), (403, "M_FORBIDDEN")),
        ("no such room", &elsewhere, room_elsewhere, (404, "M_NOT_FOUND")),
        ("no invitation", &path, no_invite, (400, "M_INVALID_PARAM")),
        ("not our user", &path, wrong_sender, (400, "M_INVALID_PARAM")),
        ("no proof", &path, exchange(&room, owner, &json!("x")), (400, "M_BAD_JSON")),
    ] {
        let refused = away.put(&two.a, path, &body).await;
        assert_eq!(refused.refusal(), expected, "{what}: {refused:?}");
    }
    identity.memory.lock().silent = true;
    let refused = away.put(&two.a, &path, &exchange(&room, owner, &good)).await;
    assert_eq!(refused.status, 502, "the key cannot be checked");
    identity.memory.lock().silent = false;
    identity.memory.lock().revoked = true;
    let refused = away.put(&two.a, &path, &exchange(&room, owner, &good)).await;
    assert_eq!(refused.refusal(), (403, "M_FORBIDDEN"), "the key was revoked");
    let member = two.alice.state(&room, "m.room.member", owner).await;
    assert_eq!(member.status, 404, "nobody was invited");
}
