//! What users are told of: counts, rules, pushers, notifications. What push gateways are told is in
//! the tests of whole servers.

use ruma::{OwnedRoomId, OwnedUserId};
use vestibule_storage::{
    Stamp, StorageError,
    tables::{
        push::PUSHER_OWNER,
        room::{RECEIPT_BY_POSITION, ROOM_NO_BY_ID, StoredReceiptKey},
        user_data::ACCOUNT_DATA,
    },
};
use vestibule_types::limits::RECEIPTS_SHOWN_MAX;

use super::{rooms::encoded, *};

const SYNC: &str = "/_matrix/client/v3/sync";
const SET: &str = "/_matrix/client/v3/pushers/set";
const PUSHERS: &str = "/_matrix/client/v3/pushers";
const NOTIFICATIONS: &str = "/_matrix/client/v3/notifications";
const RULES: &str = "/_matrix/client/v3/pushrules/global";

/// Asks for counts by thread.
const BY_THREAD: &str =
    "%7B%22room%22:%7B%22timeline%22:%7B%22unread_thread_notifications%22:true%7D%7D%7D";

/// Alice and Bob in a public room of Alice's, with Carol so that it is no direct one.
async fn company(server: &Server) -> (Person, Person, String) {
    let (alice, bob) = (server.person("alice").await, server.person("bob").await);
    let room = server.public_room(&alice, json!({})).await;
    for who in [&bob, &server.person("carol").await] {
        server.joins(who, &room).await;
    }
    (alice, bob, room)
}

/// Notifications and highlights that somebody has in a room, as a full sync says.
async fn counts(server: &Server, who: &Person, room: &str) -> (u64, u64) {
    let (_, sync) = server.get(SYNC, who).await;
    pair(&sync["rooms"]["join"][room]["unread_notifications"])
}

fn pair(counts: &Value) -> (u64, u64) {
    let count = |name: &str| counts[name].as_u64().unwrap();
    (count("notification_count"), count("highlight_count"))
}

async fn reads(server: &Server, who: &Person, (room, event): (&str, &str), body: Value) {
    reads_as(server, who, "m.read", (room, event), body).await;
}

async fn reads_as(
    server: &Server,
    who: &Person,
    kind: &str,
    (room, event): (&str, &str),
    body: Value,
) {
    let path = format!("/_matrix/client/v3/rooms/{room}/receipt/{kind}/{}", encoded(event));
    let (status, body) = server.post(&path, who, body).await;
    assert_eq!(status, 200, "{body}");
}

fn text(body: &str) -> (&'static str, Value) {
    ("m.room.message", json!({ "msgtype": "m.text", "body": body }))
}

fn mentioning(who: &Person) -> (&'static str, Value) {
    let mentions = json!({ "user_ids": [who.user_id] });
    ("m.room.message", json!({ "msgtype": "m.text", "body": "you", "m.mentions": mentions }))
}

#[tokio::test]
async fn a_message_and_its_count_come_in_the_same_sync() {
    let server = server();
    let (alice, bob, room) = company(&server).await;
    let (_, first) = server.get(SYNC, &bob).await;
    assert_eq!(pair(&first["rooms"]["join"][&room]["unread_notifications"]), (0, 0));
    let mut since = first["next_batch"].as_str().unwrap().to_owned();
    for (event, expected) in
        [(text("one"), (1, 0)), (mentioning(&bob), (2, 1)), (text("three"), (3, 1))]
    {
        server.sends(&alice, &room, event).await;
        let (_, next) = server.get(&format!("{SYNC}?since={since}"), &bob).await;
        let shown = &next["rooms"]["join"][&room];
        assert_eq!(shown["timeline"]["events"].as_array().unwrap().len(), 1);
        assert_eq!(pair(&shown["unread_notifications"]), expected);
        since = next["next_batch"].as_str().unwrap().to_owned();
    }
    assert_eq!(counts(&server, &alice, &room).await, (0, 0), "one's own messages never count");
}

#[tokio::test]
async fn receipts_of_either_kind_read_up_to_the_further_one() {
    let server = server();
    let (alice, bob, room) = company(&server).await;
    let mut events = Vec::new();
    for body in ["a", "b", "c", "d"] {
        events.push(server.sends(&alice, &room, text(body)).await);
    }
    assert_eq!(counts(&server, &bob, &room).await, (4, 0));
    reads_as(&server, &bob, "m.read", (&room, &events[2]), json!({})).await;
    assert_eq!(counts(&server, &bob, &room).await, (1, 0));
    reads_as(&server, &bob, "m.read.private", (&room, &events[0]), json!({})).await;
    assert_eq!(counts(&server, &bob, &room).await, (1, 0), "the public one is further");
    reads_as(&server, &bob, "m.read.private", (&room, &events[3]), json!({})).await;
    assert_eq!(counts(&server, &bob, &room).await, (0, 0));
}

#[tokio::test]
async fn a_private_receipt_is_told_to_its_own_user_with_the_new_count() {
    let server = server();
    let (alice, bob, room) = company(&server).await;
    let event = server.sends(&alice, &room, text("a")).await;
    let (_, first) = server.get(SYNC, &bob).await;
    let since = first["next_batch"].as_str().unwrap();
    reads_as(&server, &bob, "m.read.private", (&room, &event), json!({})).await;
    let (_, next) = server.get(&format!("{SYNC}?since={since}&timeout=30000"), &bob).await;
    assert_eq!(pair(&next["rooms"]["join"][&room]["unread_notifications"]), (0, 0));
}

#[tokio::test]
async fn who_speaks_has_read_and_who_is_renamed_has_not() {
    let server = server();
    let (alice, bob, room) = company(&server).await;
    server.sends(&alice, &room, text("one")).await;
    let name = format!("/_matrix/client/v3/profile/{}/displayname", bob.user_id);
    assert_eq!(server.put(&name, &bob, json!({ "displayname": "Bobby" })).await.0, 200);
    assert_eq!(counts(&server, &bob, &room).await, (1, 0));
    server.sends(&bob, &room, text("two")).await;
    assert_eq!(counts(&server, &bob, &room).await, (0, 0));
    server.sends(&alice, &room, text("three")).await;
    assert_eq!(counts(&server, &bob, &room).await, (1, 0));
}

#[tokio::test]
async fn what_was_said_before_one_came_in_is_not_unread() {
    let server = server();
    let (alice, _, room) = company(&server).await;
    let origin = server.sends(&alice, &room, text("old")).await;
    let thread = json!({ "rel_type": "m.thread", "event_id": origin });
    server.says(&alice, &room, thread).await;
    let dora = server.person("dora").await;
    server.joins(&dora, &room).await;
    assert_eq!(counts(&server, &dora, &room).await, (0, 0));
    server.sends(&alice, &room, text("new")).await;
    assert_eq!(counts(&server, &dora, &room).await, (1, 0));
}

#[tokio::test]
async fn edits_reactions_notices_and_what_was_redacted_do_not_count() {
    let server = server();
    let (alice, bob, room) = company(&server).await;
    let event = server.sends(&alice, &room, mentioning(&bob)).await;
    assert_eq!(counts(&server, &bob, &room).await, (1, 1));
    let edit = json!({ "rel_type": "m.replace", "event_id": event });
    let key = json!({ "rel_type": "m.annotation", "event_id": event, "key": "!" });
    let (kind, mut edited) = text("* better");
    edited["m.relates_to"] = edit;
    edited["m.new_content"] = json!({ "msgtype": "m.text", "body": "better" });
    server.sends(&alice, &room, (kind, edited)).await;
    server.sends(&alice, &room, ("m.reaction", json!({ "m.relates_to": key }))).await;
    let notice = json!({ "msgtype": "m.notice", "body": "beep" });
    server.sends(&alice, &room, ("m.room.message", notice)).await;
    assert_eq!(counts(&server, &bob, &room).await, (1, 1));
    let path = format!("/_matrix/client/v3/rooms/{room}/redact/{}/1", encoded(&event));
    assert_eq!(server.put(&path, &alice, json!({})).await.0, 200);
    assert_eq!(counts(&server, &bob, &room).await, (0, 0));
}

#[tokio::test]
async fn threads_are_counted_and_read_by_themselves() {
    let server = server();
    let (alice, bob, room) = company(&server).await;
    let origin = server.sends(&alice, &room, text("root")).await;
    let thread = json!({ "rel_type": "m.thread", "event_id": origin });
    let reply = server.says(&alice, &room, thread.clone()).await;
    let (_, mut loud) = mentioning(&bob);
    loud["m.relates_to"] = thread;
    let loud = server.sends(&alice, &room, ("m.room.message", loud)).await;
    // What relates to a reply is in its thread.
    let related = json!({ "rel_type": "org.example.note", "event_id": reply });
    server.says(&alice, &room, related).await;

    let sections = async || {
        let (_, sync) = server.get(&format!("{SYNC}?filter={BY_THREAD}"), &bob).await;
        let shown = sync["rooms"]["join"][&room].clone();
        let threads = shown["unread_thread_notifications"].get(&origin).map(pair);
        (pair(&shown["unread_notifications"]), threads)
    };
    assert_eq!(sections().await, ((1, 0), Some((3, 1))));
    assert_eq!(counts(&server, &bob, &room).await, (4, 1), "without the filter all is one");
    reads(&server, &bob, (&room, &origin), json!({ "thread_id": "main" })).await;
    assert_eq!(sections().await, ((0, 0), Some((3, 1))));
    reads(&server, &bob, (&room, &loud), json!({ "thread_id": origin })).await;
    assert_eq!(sections().await, ((0, 0), Some((1, 0))));
    let last = server.sends(&alice, &room, text("end")).await;
    assert_eq!(sections().await, ((1, 0), Some((1, 0))));
    reads(&server, &bob, (&room, &last), json!({})).await;
    assert_eq!(sections().await, ((0, 0), None), "a receipt without a thread reads everything");
}

#[tokio::test]
async fn a_mention_far_back_still_counts_whether_it_was_counted_as_it_came_or_all_at_once() {
    let server = server();
    let (alice, bob, room) = company(&server).await;
    counts(&server, &bob, &room).await;
    let dave = server.person("dave").await;
    server.joins(&dave, &room).await;
    let call = json!({ "user_ids": [bob.user_id, dave.user_id] });
    let first = json!({ "msgtype": "m.text", "body": "you", "m.mentions": call });
    let origin = server.sends(&alice, &room, ("m.room.message", first)).await;
    let thread = json!({ "rel_type": "m.thread", "event_id": origin });
    server.says(&alice, &room, thread).await;
    for n in 0..260 {
        server.sends(&alice, &room, text(&format!("message {n}"))).await;
        if n % 100 == 0 {
            counts(&server, &bob, &room).await;
        }
    }
    assert_eq!(counts(&server, &bob, &room).await, (262, 1), "counted as it came");
    assert_eq!(counts(&server, &dave, &room).await, (262, 1), "counted at once");

    let last = server.sends(&alice, &room, text("end")).await;
    for who in [&bob, &dave] {
        reads(&server, who, (&room, &last), json!({ "thread_id": "main" })).await;
        assert_eq!(counts(&server, who, &room).await, (1, 0), "the thread is left");
    }
    // Who never asked before counts what is left of both, one after the other.
    let erin = server.person("erin").await;
    server.joins(&erin, &room).await;
    let thread = json!({ "rel_type": "m.thread", "event_id": last });
    server.says(&alice, &room, thread).await;
    let end = server.sends(&alice, &room, text("the very end")).await;
    reads(&server, &erin, (&room, &end), json!({ "thread_id": "main" })).await;
    server.sends(&alice, &room, mentioning(&erin)).await;
    assert_eq!(counts(&server, &erin, &room).await, (2, 1), "not what was before they came");
}

#[tokio::test]
async fn what_was_counted_stays_as_the_rules_were_when_it_came() {
    let server = server();
    let (alice, bob, room) = company(&server).await;
    let mute = format!("{RULES}/room/{}", encoded(&room));
    server.sends(&alice, &room, text("loud")).await;
    assert_eq!(counts(&server, &bob, &room).await, (1, 0));
    assert_eq!(server.put(&mute, &bob, json!({ "actions": [] })).await.0, 200);
    assert_eq!(counts(&server, &bob, &room).await, (1, 0), "it was told");
    server.sends(&alice, &room, text("muted")).await;
    assert_eq!(counts(&server, &bob, &room).await, (1, 0));
    assert_eq!(server.delete(&mute, &bob, json!({})).await.0, 200);
    assert_eq!(counts(&server, &bob, &room).await, (1, 0), "it was not told");
    server.sends(&alice, &room, text("loud again")).await;
    assert_eq!(counts(&server, &bob, &room).await, (2, 0));
}

#[tokio::test]
async fn redacting_what_was_read_leaves_the_rest_and_what_was_not_takes_it_away() {
    let server = server();
    let (alice, bob, room) = company(&server).await;
    let read = server.sends(&alice, &room, text("read")).await;
    reads(&server, &bob, (&room, &read), json!({ "thread_id": "main" })).await;
    let unread = server.sends(&alice, &room, text("unread")).await;
    server.sends(&alice, &room, text("another")).await;
    assert_eq!(counts(&server, &bob, &room).await, (2, 0));
    for (event, left) in [(read, 2), (unread, 1)] {
        let path = format!("/_matrix/client/v3/rooms/{room}/redact/{}/{left}", encoded(&event));
        assert_eq!(server.put(&path, &alice, json!({})).await.0, 200);
        assert_eq!(counts(&server, &bob, &room).await, (left, 0));
    }
}

#[tokio::test]
async fn counts_follow_the_rules_of_each_user() {
    let server = server();
    let (alice, bob, room) = company(&server).await;
    let mute = format!("{RULES}/room/{}", encoded(&room));
    assert_eq!(server.put(&mute, &bob, json!({ "actions": [] })).await.0, 200);
    let word = format!("{RULES}/content/cake");
    let body = json!({ "pattern": "cake", "actions": ["notify", { "set_tweak": "highlight" }] });
    assert_eq!(server.put(&word, &bob, body).await.0, 200);
    server.sends(&alice, &room, text("tea")).await;
    assert_eq!(counts(&server, &bob, &room).await, (0, 0));
    server.sends(&alice, &room, text("Cake?")).await;
    assert_eq!(counts(&server, &bob, &room).await, (1, 1));

    let ignored = json!({ "ignored_users": { alice.user_id.clone(): {} } });
    let path = format!("/_matrix/client/v3/user/{}/account_data/m.ignored_user_list", bob.user_id);
    assert_eq!(server.put(&path, &bob, ignored).await.0, 200);
    assert_eq!(counts(&server, &bob, &room).await, (0, 0), "who is ignored says nothing");
}

#[tokio::test]
async fn a_change_of_rules_comes_down_the_sync() {
    let server = server();
    let alice = server.person("alice").await;
    let (_, first) = server.get(SYNC, &alice).await;
    let kinds = |sync: &Value| -> Vec<String> {
        let events = sync["account_data"]["events"].as_array().unwrap().clone();
        events.iter().map(|event| event["type"].as_str().unwrap().to_owned()).collect()
    };
    assert_eq!(kinds(&first), ["m.push_rules"]);
    let since = first["next_batch"].as_str().unwrap();
    let body = json!({ "pattern": "tea", "actions": ["notify"] });
    assert_eq!(server.put(&format!("{RULES}/content/tea"), &alice, body).await.0, 200);
    let (_, next) = server.get(&format!("{SYNC}?since={since}"), &alice).await;
    assert_eq!(kinds(&next), ["m.push_rules"]);
    let content = &next["account_data"]["events"][0]["content"]["global"]["content"];
    assert_eq!(content[0]["rule_id"], "tea");
}

#[tokio::test]
async fn rules_are_placed_beside_others_and_the_servers_own_stay() {
    let server = server();
    let alice = server.person("alice").await;
    let put = async |rule: &str| {
        let body = json!({ "pattern": "x", "actions": [] });
        error(server.put(&format!("{RULES}/content/{rule}"), &alice, body).await)
    };
    let fine = || (200, String::new());
    for rule in ["a", "b", "c?after=a", "d?before=a", "b?after=c"] {
        assert_eq!(put(rule).await, fine(), "{rule}");
    }
    let (_, all) = server.get(&format!("{RULES}/"), &alice).await;
    let ids: Vec<&str> = all["content"]
        .as_array()
        .unwrap()
        .iter()
        .map(|rule| rule["rule_id"].as_str().unwrap())
        .collect();
    assert_eq!(ids, ["d", "a", "c", "b"]);
    for (rule, errcode) in [
        ("e?after=none", "M_UNKNOWN"),
        ("e?before=none", "M_UNKNOWN"),
        ("e?before=.m.rule.master", "M_INVALID_PARAM"),
        (".m.rule.mine", "M_INVALID_PARAM"),
        ("a%5Cb", "M_INVALID_PARAM"),
    ] {
        assert_eq!(put(rule).await, code(400, errcode), "{rule}");
    }
    let long = json!({ "pattern": "*".repeat(1_000), "actions": [] });
    let refused = server.put(&format!("{RULES}/content/long"), &alice, long).await;
    assert_eq!(error(refused), code(400, "M_INVALID_PARAM"));
    let own = format!("{RULES}/underride/.m.rule.message");
    let refused = server.delete(&own, &alice, json!({})).await;
    assert_eq!(error(refused), code(400, "M_INVALID_PARAM"));
    let actions = json!({ "actions": [] });
    assert_eq!(server.put(&format!("{own}/actions"), &alice, actions.clone()).await.0, 200);
    assert_eq!(server.get(&format!("{own}/actions"), &alice).await.1, actions);
    let unknown = format!("{RULES}/override/.m.rule.none/enabled");
    let refused = server.put(&unknown, &alice, json!({ "enabled": true })).await;
    assert_eq!(error(refused), code(404, "M_NOT_FOUND"));
}

fn pusher(app: &str, key: &str) -> Value {
    json!({
        "app_id": app,
        "pushkey": key,
        "kind": "http",
        "app_display_name": "App",
        "device_display_name": "Phone",
        "profile_tag": "tag",
        "lang": "en",
        "data": {
            "url": "https://push.example/_matrix/push/v1/notify",
            "format": "event_id_only",
            "org.example": { "more": 1 },
        },
    })
}

/// The pushkeys of somebody.
async fn keys(server: &Server, who: &Person) -> Vec<String> {
    let (status, body) = server.get(PUSHERS, who).await;
    assert_eq!(status, 200, "{body}");
    let pushers = body["pushers"].as_array().unwrap().iter();
    pushers.map(|it| it["pushkey"].as_str().unwrap().to_owned()).collect()
}

#[tokio::test]
async fn pushers_are_set_shown_changed_and_taken_away() {
    let server = server();
    let alice = server.person("alice").await;
    assert_eq!(server.get(PUSHERS, &alice).await, (200, json!({ "pushers": [] })));
    assert_eq!(server.post(SET, &alice, pusher("app", "key")).await, (200, json!({})));
    assert_eq!(
        server.get(PUSHERS, &alice).await,
        (200, json!({ "pushers": [pusher("app", "key")] }))
    );
    let mut changed = pusher("app", "key");
    changed["lang"] = "fr".into();
    assert_eq!(server.post(SET, &alice, changed.clone()).await.0, 200);
    assert_eq!(server.get(PUSHERS, &alice).await.1, json!({ "pushers": [changed] }));
    let gone = json!({ "app_id": "app", "pushkey": "key", "kind": null });
    assert_eq!(server.post(SET, &alice, gone.clone()).await, (200, json!({})));
    assert_eq!(server.post(SET, &alice, gone).await.0, 200, "what is gone stays gone");
    assert_eq!(keys(&server, &alice).await, Vec::<String>::new());
}

#[tokio::test]
async fn pushers_that_cannot_be_are_refused() {
    let server = server();
    let alice = server.person("alice").await;
    let changed = |field: &str, value: Value| {
        let mut pusher = pusher("app", "key");
        pusher[field] = value;
        pusher
    };
    let url = |url: &str| changed("data", json!({ "url": url }));
    for (body, errcode) in [
        (json!({ "app_id": "app", "pushkey": "key", "kind": "http" }), "M_MISSING_PARAM"),
        (json!({ "app_id": "app", "kind": null }), "M_MISSING_PARAM"),
        (json!({ "app_id": "app", "pushkey": "key" }), "M_MISSING_PARAM"),
        (changed("kind", json!("email")), "M_INVALID_PARAM"),
        (changed("kind", json!(7)), "M_BAD_JSON"),
        (changed("pushkey", json!("k".repeat(513))), "M_INVALID_PARAM"),
        (changed("app_id", json!("a".repeat(65))), "M_INVALID_PARAM"),
        (changed("data", json!({ "format": "event_id_only" })), "M_MISSING_PARAM"),
        (changed("data", json!([])), "M_BAD_JSON"),
        (url("http://push.example/_matrix/push/v1/notify"), "M_INVALID_PARAM"),
        (url("https://push.example/notify"), "M_INVALID_PARAM"),
        (url("https://me@push.example/_matrix/push/v1/notify"), "M_INVALID_PARAM"),
        (url("/_matrix/push/v1/notify"), "M_INVALID_PARAM"),
        (url("nonsense"), "M_INVALID_PARAM"),
    ] {
        let refused = server.post(SET, &alice, body.clone()).await;
        assert_eq!(error(refused), code(400, errcode), "{body}");
    }
    let longest = pusher(&"a".repeat(64), &"k".repeat(512));
    assert_eq!(server.post(SET, &alice, longest).await.0, 200);
    for number in 1..32 {
        assert_eq!(server.post(SET, &alice, pusher("app", &number.to_string())).await.0, 200);
    }
    let refused = server.post(SET, &alice, pusher("app", "one more")).await;
    assert_eq!(error(refused), code(403, "M_FORBIDDEN"));
}

#[tokio::test]
async fn guests_have_no_pushers_and_no_notifications() {
    let server = server();
    let guest = server.guest().await;
    for refused in [
        server.post(SET, &guest, pusher("app", "key")).await,
        server.get(PUSHERS, &guest).await,
        server.get(NOTIFICATIONS, &guest).await,
    ] {
        assert_eq!(error(refused), code(403, "M_GUEST_ACCESS_FORBIDDEN"));
    }
}

#[tokio::test]
async fn a_pushkey_belongs_to_one_user_unless_it_is_appended() {
    let server = server();
    let (alice, bob) = (server.person("alice").await, server.person("bob").await);
    assert_eq!(server.post(SET, &alice, pusher("app", "key")).await.0, 200);
    assert_eq!(server.post(SET, &alice, pusher("other", "key")).await.0, 200);
    let mut appended = pusher("app", "key");
    appended["append"] = true.into();
    assert_eq!(server.post(SET, &bob, appended).await.0, 200);
    assert_eq!(keys(&server, &alice).await, ["key", "key"]);
    assert_eq!(server.post(SET, &bob, pusher("app", "key")).await.0, 200);
    assert_eq!(keys(&server, &alice).await, ["key"], "that of the other application stays");
    assert_eq!(keys(&server, &bob).await, ["key"]);
}

#[tokio::test]
async fn pushers_go_with_the_session_that_set_them() {
    let server = server();
    let alice = server.person("alice").await;
    let phone = person_of(&server.log_in("alice", "tea").await.1);
    let tablet = person_of(&server.log_in("alice", "tea").await.1);
    for (who, key) in [(&alice, "desk"), (&phone, "phone"), (&tablet, "tablet")] {
        assert_eq!(server.post(SET, who, pusher("app", key)).await.0, 200);
    }
    assert_eq!(server.post("/_matrix/client/v3/logout", &phone, json!({})).await.0, 200);
    assert_eq!(keys(&server, &alice).await, ["desk", "tablet"]);
    let body = json!({
        "new_password": "a much better one",
        "auth": {
            "type": "m.login.password", "password": "tea",
            "identifier": { "type": "m.id.user", "user": "alice" },
        },
    });
    let (status, body) = server.post("/_matrix/client/v3/account/password", &alice, body).await;
    assert_eq!(status, 200, "{body}");
    assert_eq!(keys(&server, &alice).await, ["desk"], "only the session that changed it stays");
    let rows = server.store.read::<_, StorageError, _>(|read| PUSHER_OWNER.scan(read, (), 100));
    let known: Vec<String> = rows.await.unwrap().into_iter().map(|((_, key, _), ())| key).collect();
    assert_eq!(known, ["desk"], "nothing is known any more of whose the others were");
}

#[tokio::test]
async fn notifications_are_listed_newest_first_by_page_with_what_was_read() {
    let server = server();
    let (alice, bob, room) = company(&server).await;
    let other = server.public_room(&alice, json!({})).await;
    server.joins(&bob, &other).await;
    let mut sent = Vec::new();
    for (room, event) in [
        (&room, text("one")),
        (&other, text("two")),
        (&room, mentioning(&bob)),
        (&other, text("four")),
    ] {
        sent.push(server.sends(&alice, room, event).await);
    }
    server.sends(&alice, &room, ("m.reaction", json!({}))).await;
    reads(&server, &bob, (&room, &sent[0]), json!({})).await;

    let mut query = "?limit=3".to_owned();
    let mut found = Vec::new();
    for pages in 1.. {
        let (status, page) = server.get(&format!("{NOTIFICATIONS}{query}"), &bob).await;
        assert_eq!(status, 200, "{page}");
        for it in page["notifications"].as_array().unwrap() {
            let id = it["event"]["event_id"].as_str().unwrap().to_owned();
            found.push((id, it["read"].as_bool().unwrap(), it["room_id"] == room));
            assert_eq!(it["actions"][0], "notify");
            assert!(it["ts"].is_u64() && it["event"].get("room_id").is_none(), "{it}");
        }
        let Some(next) = page["next_token"].as_str() else { break };
        assert!(pages < 9, "the pages do not end");
        query = format!("?limit=3&from={next}");
    }
    let expected: Vec<_> = sent
        .iter()
        .cloned()
        .zip([(true, true), (false, false), (false, true), (false, false)])
        .map(|(id, (read, here))| (id, read, here))
        .rev()
        .collect();
    assert_eq!(found, expected);

    let (_, loud) = server.get(&format!("{NOTIFICATIONS}?only=highlight"), &bob).await;
    let loud: Vec<&Value> = loud["notifications"]
        .as_array()
        .unwrap()
        .iter()
        .map(|it| &it["event"]["event_id"])
        .collect();
    assert_eq!(loud, [&json!(sent[2])]);
    let (_, own) = server.get(NOTIFICATIONS, &alice).await;
    let own = own["notifications"].as_array().unwrap();
    assert!(own.iter().all(|it| it["event"]["sender"] != alice.user_id), "{own:?}");
    let (_, none) = server.get(&format!("{NOTIFICATIONS}?limit=0"), &bob).await;
    assert_eq!(none["notifications"], json!([]));
    let refused = server.get(&format!("{NOTIFICATIONS}?from=nonsense"), &bob).await;
    assert_eq!(error(refused), code(400, "M_INVALID_PARAM"));
}

#[tokio::test]
async fn only_who_says_something_has_read_what_was_said() {
    let server = server();
    let (alice, bob, room) = company(&server).await;
    let own = server.sends(&bob, &room, text("mine")).await;
    let event = server.sends(&alice, &room, text("one")).await;
    let read = async || {
        let (_, page) = server.get(NOTIFICATIONS, &bob).await;
        let listed = page["notifications"].as_array().unwrap();
        let found = listed.iter().find(|it| it["event"]["event_id"] == event).unwrap();
        (counts(&server, &bob, &room).await.0, found["read"].as_bool().unwrap())
    };
    let related = |kind: &str| json!({ "rel_type": kind, "event_id": event });
    let reaction = json!({ "m.relates_to": related("m.annotation") });
    server.sends(&bob, &room, ("m.reaction", reaction)).await;
    let vote = json!({ "m.relates_to": related("m.reference") });
    server.sends(&bob, &room, ("m.poll.response", vote)).await;
    let path = format!("/_matrix/client/v3/rooms/{room}/redact/{}/1", encoded(&own));
    assert_eq!(server.put(&path, &bob, json!({})).await.0, 200);
    assert_eq!(read().await, (1, false));
    server.says(&bob, &room, related("m.thread")).await;
    assert_eq!(read().await, (1, false), "a reply counts for its thread");
    server.sends(&bob, &room, text("two")).await;
    assert_eq!(read().await, (0, true));
}

#[tokio::test]
async fn invitations_are_among_the_notifications_until_they_are_answered() {
    let server = server();
    let (alice, bob, room) = company(&server).await;
    server.sends(&alice, &room, text("before")).await;
    let other = server.public_room(&alice, json!({})).await;
    let invite = format!("/_matrix/client/v3/rooms/{other}/invite");
    assert_eq!(server.post(&invite, &alice, json!({ "user_id": bob.user_id })).await.0, 200);
    server.sends(&alice, &room, text("after")).await;
    let told = async |query: &str| {
        let (status, page) = server.get(&format!("{NOTIFICATIONS}{query}"), &bob).await;
        assert_eq!(status, 200, "{page}");
        page
    };
    let kinds = |page: &Value| -> Vec<String> {
        let listed = page["notifications"].as_array().unwrap().iter();
        listed.map(|it| it["event"]["type"].as_str().unwrap().to_owned()).collect()
    };
    let all = told("").await;
    assert_eq!(kinds(&all), ["m.room.message", "m.room.member", "m.room.message"]);
    let invited = &all["notifications"][1];
    assert_eq!((&invited["room_id"], &invited["read"]), (&json!(other), &json!(false)));
    assert_eq!(invited["event"]["content"]["membership"], "invite");
    // By pages each comes once.
    let first = told("?limit=2").await;
    assert_eq!(kinds(&first), ["m.room.message", "m.room.member"]);
    let rest = told(&format!("?from={}", first["next_token"].as_str().unwrap())).await;
    assert_eq!(kinds(&rest), ["m.room.message"]);

    let path =
        format!("/_matrix/client/v3/user/{}/account_data/m.invite_permission_config", bob.user_id);
    for (action, count) in [("block", 2), ("allow", 3)] {
        assert_eq!(server.put(&path, &bob, json!({ "default_action": action })).await.0, 200);
        assert_eq!(kinds(&told("").await).len(), count, "{action}");
    }
    let leave = format!("/_matrix/client/v3/rooms/{other}/leave");
    assert_eq!(server.post(&leave, &bob, json!({})).await.0, 200);
    assert_eq!(kinds(&told("").await).len(), 2);
}

#[tokio::test]
async fn rules_are_told_without_what_must_be_ignored_and_with_the_defaults_of_today() {
    let server = server();
    let alice = server.person("alice").await;
    let rule = format!("{RULES}/content/tea");
    let old = json!({ "pattern": "tea", "actions": ["dont_notify", "notify", "coalesce"] });
    assert_eq!(server.put(&rule, &alice, old).await.0, 200);
    let own = async || {
        let fetched = server.fetch(&alice, "/_matrix/client/v3/pushrules/").await;
        let (_, sync) = server.get(SYNC, &alice).await;
        let told = sync["account_data"]["events"].as_array().unwrap().iter();
        let told = told.filter(|it| it["type"] == "m.push_rules").collect::<Vec<_>>();
        assert_eq!((told.len(), &told[0]["content"]), (1, &fetched));
        fetched["global"]["content"][0]["actions"].clone()
    };
    assert_eq!(own().await, json!(["notify"]));
    let actions = json!({ "actions": ["coalesce", "notify"] });
    assert_eq!(server.put(&format!("{rule}/actions"), &alice, actions).await.0, 200);
    assert_eq!(own().await, json!(["notify"]));

    // Rules that an older version of the server stored.
    let user = OwnedUserId::try_from(alice.user_id.as_str()).unwrap();
    let slot = server.store.slot_of_user(&user);
    let written = server.store.write::<_, StorageError, _>(slot, move |tx| {
        let key = (&user, "", "m.push_rules");
        let mut row = ACCOUNT_DATA.get(tx, key)?.unwrap();
        let rule = json!({
            "rule_id": "cake", "pattern": "cake", "default": false, "enabled": true,
            "actions": ["dont_notify", "notify"],
        });
        row.value = json!({ "global": { "content": [rule] } }).to_string();
        ACCOUNT_DATA.put(tx, key, &row)
    });
    written.await.unwrap();
    assert_eq!(own().await, json!(["notify"]));
}

#[tokio::test]
async fn ones_own_receipts_are_told_however_many_others_there_are() {
    let server = server();
    let (alice, bob, room) = company(&server).await;
    let event = server.sends(&alice, &room, text("one")).await;
    let (_, first) = server.get(SYNC, &bob).await;
    let since = first["next_batch"].as_str().unwrap();
    reads(&server, &bob, (&room, &event), json!({})).await;
    reads_as(&server, &bob, "m.read.private", (&room, &event), json!({ "thread_id": "main" }))
        .await;
    let (id, slot) = {
        let id = OwnedRoomId::try_from(room.as_str()).unwrap();
        let slot = server.store.slot_of_room(&id);
        (id, slot)
    };
    let crowd = server.store.write::<_, StorageError, _>(slot, move |tx| {
        let no = ROOM_NO_BY_ID.get(tx, (&id,))?.unwrap().0;
        for index in 0..u16::try_from(RECEIPTS_SHOWN_MAX).unwrap() {
            let row = StoredReceiptKey {
                receipt_type: "m.read".to_owned(),
                thread: String::new(),
                user_id: format!("@somebody{index}:far.example").try_into().unwrap(),
            };
            let later = Stamp { commit: 1 << 40, index };
            RECEIPT_BY_POSITION.put(tx, (no, later), &row)?;
        }
        Ok(())
    });
    crowd.await.unwrap();
    for query in [String::new(), format!("?since={since}")] {
        let (_, sync) = server.get(&format!("{SYNC}{query}"), &bob).await;
        let told = &sync["rooms"]["join"][&room]["ephemeral"]["events"][0]["content"][&event];
        for kind in ["m.read", "m.read.private"] {
            assert!(told[kind].get(&bob.user_id).is_some(), "{kind}: {told}");
        }
    }
}
