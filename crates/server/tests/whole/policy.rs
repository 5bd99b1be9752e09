//! What the operator sees of the policy: its counts, and what it refused.

use std::time::Duration;

use serde_json::{Value, json};
use vestibule_testkit::server::{Blueprint, Person, TestServer, segment};

const V3: &str = "/_matrix/client/v3";

/// The numbers of this server, by name and labels.
async fn metrics(server: &TestServer) -> String {
    let told = server.http().get("/metrics").await.ok();
    told.as_str().unwrap().to_owned()
}

/// The value of the series with this name and all of these labels, without its fraction; zero if there is none.
fn value(metrics: &str, name: &str, labels: &[(&str, &str)]) -> u64 {
    let labels = labels.iter().map(|(label, value)| format!("{label}=\"{value}\""));
    let labels = labels.collect::<Vec<_>>();
    let line = metrics.lines().find(|line| {
        let series = line.split(' ').next().unwrap_or_default();
        series.split('{').next() == Some(name) && labels.iter().all(|it| series.contains(it))
    });
    let number = line.map_or("0", |line| line.rsplit(' ').next().unwrap());
    number.split('.').next().unwrap().parse().unwrap()
}

/// The newest refusals, as soon as there is one that fits.
async fn denial(server: &TestServer, fits: impl Fn(&Value) -> bool) -> Value {
    let look = async {
        loop {
            let told = server.operator("GET", "/policy/denials", &Value::Null).await.ok();
            let found = told["denials"].as_array().unwrap().iter().find(|it| fits(it)).cloned();
            if let Some(found) = found {
                return found;
            }
            tokio::time::sleep(Duration::from_millis(10)).await;
        }
    };
    tokio::time::timeout(Duration::from_secs(10), look).await.unwrap()
}

async fn denials(server: &TestServer) -> Vec<Value> {
    let told = server.operator("GET", "/policy/denials?limit=1000", &Value::Null).await.ok();
    told["denials"].as_array().unwrap().clone()
}

fn visitors() -> Blueprint {
    Blueprint::default().with_guests().with("[class.visitor]\ninherits = \"guest\"\n")
}

#[tokio::test]
async fn metrics_tell_what_was_decided_who_is_here_and_which_rule_opened() {
    let server = visitors().start().await;
    let moderator = server.person("mod", "moderator").await;
    let open = moderator.create_guest_room(Some("tea")).await;
    let shut = moderator.create_guest_room(None).await;
    let visitor = server.person("visitor", "visitor").await;
    let decisions = |text: &str, labels: &[(&str, &str)]| {
        let mut all = vec![("class", "visitor")];
        all.extend_from_slice(labels);
        value(text, "vestibule_policy_decisions_total", &all)
    };
    let by_alias = |text: &str| value(text, "vestibule_policy_grants_total", &[("rule", "alias")]);
    let before = metrics(&server).await;
    assert_eq!(decisions(&before, &[("action", "join")]), 0);

    visitor.join("#tea:localhost").await.ok();
    assert_eq!(visitor.join(&shut).await.reason(), Some("out_of_scope"));
    visitor.say(&open, "hello").await;
    let refused = visitor.http().post(&format!("{V3}/createRoom"), &json!({})).await;
    assert_eq!(refused.reason(), Some("endpoint_not_in_class"));
    let _guest = server.guest_with_account().await;

    let after = metrics(&server).await;
    let (yes, no) = (("verdict", "allow"), ("verdict", "deny"));
    assert_eq!(decisions(&after, &[("action", "join"), yes, ("reason", "")]), 1);
    assert_eq!(decisions(&after, &[("action", "join"), no, ("reason", "out_of_scope")]), 1);
    assert_eq!(decisions(&after, &[("action", "send_event"), yes]), 1);
    assert_eq!(decisions(&after, &[("action", "call"), no]), 1);
    assert_eq!(by_alias(&after) - by_alias(&before), 1);
    for work in ["freeze", "evict", "expire"] {
        let lag = value(&after, "vestibule_policy_sweep_lag_seconds", &[("work", work)]);
        assert!(lag < 5, "{work}: {lag}");
    }
    assert!(after.contains("vestibule_policy_sweep_lag_seconds{work=\"evict\"}"));
    assert_eq!(value(&after, "vestibule_policy_live_guests", &[]), 1);
    // Nobody's name and no room is a label.
    let ours = after.lines().filter(|line| line.starts_with("vestibule_policy"));
    assert!(ours.into_iter().all(|line| !line.contains(['@', '!', '#'])));
    // Reading changes nothing.
    assert_eq!(decisions(&metrics(&server).await, &[("action", "join"), yes]), 1);
}

#[tokio::test]
async fn a_member_is_counted_where_the_room_decides_and_the_refusal_is_kept() {
    let server = Blueprint::default().with("[class.quiet]\ninherits = \"member\"\n").start().await;
    let quiet = server.person("quiet", "quiet").await;
    let room = quiet.create_room(&json!({})).await;
    quiet.say(&room, "one").await;
    quiet.say(&room, "two").await;
    server
        .operator("PUT", &format!("/rooms/{}/block", segment(&room)), &json!({ "blocked": true }))
        .await
        .ok();
    let refused = quiet.try_say(&room, "three").await;
    assert_eq!(refused.reason(), Some("room_blocked"), "{}", refused.body);
    let text = metrics(&server).await;
    let count = |verdict: &str| {
        let labels = [("class", "quiet"), ("action", "send_event"), ("verdict", verdict)];
        value(&text, "vestibule_policy_decisions_total", &labels)
    };
    assert_eq!((count("allow"), count("deny")), (2, 1));
    let kept = denial(&server, |it| it["action"] == "send_event").await;
    assert_eq!(kept["reason"], "room_blocked");
    assert!(!kept["object"].as_str().unwrap().contains("three"), "{kept}");
}

#[tokio::test]
async fn a_refusal_at_the_gate_is_kept_and_a_flood_of_them_is_a_few_rows() {
    let server = Blueprint::default().with_guests().start().await;
    let guest = server.guest().await;
    let make =
        || async { guest.http().post(&format!("{V3}/createRoom"), &json!({})).await.refusal().0 };
    for _ in 0..50 {
        assert_eq!(make().await, 403);
    }
    let kept = denial(&server, |it| it["action"] == "call").await;
    assert_eq!(kept["user_id"], guest.user_id);
    assert_eq!(kept["class"], "guest");
    assert_eq!(kept["reason"], "endpoint_not_in_class");
    assert_eq!(kept["object"], "POST /_matrix/client/v3/createRoom");
    assert_eq!(kept["address"], "127.0.0.0");
    let calls = denials(&server).await.iter().filter(|it| it["action"] == "call").count();
    assert!((1..=7).contains(&calls), "{calls} rows");
}

#[tokio::test]
async fn a_guest_that_may_not_come_in_is_kept_and_a_crowd_of_them_is_a_few_rows() {
    let server =
        Blueprint::default().with_guests().with("[guests.caps]\nper_ip = 1\n").start().await;
    let _first = server.guest_with_account().await;
    let first_act = || async { server.guest().await.store_filter().await };
    let refused = first_act().await;
    assert_eq!(refused.reason(), Some("cap_per_ip"), "{}", refused.body);
    let kept = denial(&server, |it| it["action"] == "register_guest").await;
    assert_eq!((&kept["reason"], &kept["address"]), (&json!("cap_per_ip"), &json!("127.0.0.0")));
    for _ in 0..20 {
        assert!(matches!(first_act().await.status, 403 | 429));
    }
    let rows = denials(&server).await;
    let rows = rows.iter().filter(|it| it["action"] == "register_guest").count();
    assert!((1..=7).contains(&rows), "{rows} rows");
}

#[tokio::test]
async fn switched_off_guests_that_want_in_are_kept() {
    let server = TestServer::start().await;
    let refused = server.http().post("/_matrix/client/v3/register?kind=guest", &json!({})).await;
    assert_eq!(refused.reason(), Some("guests_disabled"), "{}", refused.body);
    let kept = denial(&server, |it| it["action"] == "register_guest").await;
    assert_eq!(kept["reason"], "guests_disabled");
}

#[tokio::test]
async fn a_name_and_a_profile_that_are_withheld_from_a_guest_are_kept() {
    let server = Blueprint::default()
        .with_guests()
        .with("[users]\nprotected_names = [\"Support\"]\n")
        .start()
        .await;
    let guest = server.guest_with_account().await;
    let stranger = server.register("stranger").await;
    let name = |who: &Person| format!("{V3}/profile/{}/displayname", segment(&who.user_id));
    let wanted = json!({ "displayname": "Ѕupport" });
    assert_eq!(guest.http().put(&name(&guest), &wanted).await.reason(), Some("name_protected"));
    let kept = denial(&server, |it| it["action"] == "set_displayname").await;
    assert_eq!(
        (&kept["reason"], &kept["user_id"]),
        (&json!("name_protected"), &json!(guest.user_id))
    );
    assert_eq!(guest.http().get(&name(&stranger)).await.reason(), Some("no_shared_room"));
    let kept = denial(&server, |it| it["action"] == "lookup_profile").await;
    assert_eq!(
        (&kept["reason"], &kept["user_id"]),
        (&json!("no_shared_room"), &json!(guest.user_id))
    );
    // Nor is the guest shown to a member who is no acquaintance.
    assert_eq!(stranger.http().get(&name(&guest)).await.reason(), Some("no_shared_room"));
    let kept = denial(&server, |it| it["user_id"] == stranger.user_id.as_str()).await;
    assert_eq!(kept["reason"], "no_shared_room");
}

#[tokio::test]
async fn an_invitation_that_keeps_a_room_from_being_made_is_kept_and_paced() {
    let server = Blueprint::default().with_guests().start().await;
    let (alice, guest) = (server.register("alice").await, server.guest().await);
    let wanted = json!({ "invite": [guest.user_id] });
    for _ in 0..40 {
        let refused = alice.http().post(&format!("{V3}/createRoom"), &wanted).await;
        assert!(matches!(refused.status, 403 | 429), "{}", refused.body);
    }
    let kept = denial(&server, |it| it["action"] == "send_invite").await;
    assert_eq!(kept["user_id"], alice.user_id);
    let rows = denials(&server).await.len();
    assert!((1..=31).contains(&rows), "{rows} rows");
}

async fn switch(server: &TestServer, to: Value) -> Value {
    server.operator("PUT", "/guests/switch", &to).await.ok()
}

async fn membership(of: &Person, room: &str, user: &str) -> Value {
    of.state(room, "m.room.member", user).await.ok()["membership"].clone()
}

async fn until_left(of: &Person, room: &str, user: &str) {
    let left = async {
        while membership(of, room, user).await != "leave" {
            tokio::time::sleep(Duration::from_millis(20)).await;
        }
    };
    tokio::time::timeout(Duration::from_secs(20), left).await.unwrap();
}

#[tokio::test]
async fn guests_that_are_switched_off_come_in_nowhere_until_they_are_switched_on() {
    let server = Blueprint::default().with_guests().on_disk().start().await;
    let moderator = server.person("mod", "moderator").await;
    let (tea, cake) = (
        moderator.create_guest_room(Some("tea")).await,
        moderator.create_guest_room(Some("cake")).await,
    );
    let guest = server.guest().await;
    guest.join("#tea:localhost").await.ok();
    let before = server.operator("GET", "/guests", &Value::Null).await.ok();
    assert_eq!((&before["enabled"], &before["live"]), (&json!(true), &json!(1)));

    let off = switch(&server, json!({ "off": true })).await;
    assert_eq!((&off["enabled"], &off["configured"]), (&json!(false), &json!(true)));
    assert_eq!(off["switched_off"]["evict"], false);
    assert_eq!(off["epoch"].as_u64(), before["epoch"].as_u64().map(|it| it + 1));
    assert_eq!(guest.join("#cake:localhost").await.reason(), Some("guests_disabled"));
    assert_eq!(guest.try_say(&tea, "hello").await.reason(), Some("guests_disabled"));
    let register = "/_matrix/client/v3/register?kind=guest";
    let nobody = server.http().post(register, &json!({})).await;
    assert_eq!(nobody.refusal(), (403, "M_GUEST_ACCESS_FORBIDDEN"));
    // Members notice nothing, and a guest that was inside stays inside.
    moderator.say(&tea, "a quiet day").await;
    assert_eq!(membership(&moderator, &tea, &guest.user_id).await, "join");
    let explain = format!(
        "/policy/explain?user={}&action=join&room={}",
        segment(&guest.user_id),
        segment(&cake)
    );
    let why = server.operator("GET", &explain, &Value::Null).await.ok();
    assert_eq!(why["allowed"], false);
    assert!(why["text"].as_str().unwrap().contains("`vestibule guests on`"), "{}", why["text"]);
    let doubts = server.operator("GET", "/policy/check", &Value::Null).await.ok();
    assert!(doubts["warnings"].to_string().contains("switched off"), "{doubts}");

    // Neither a reload nor a restart lifts it.
    server.running().reload().await.unwrap();
    assert_eq!(guest.join("#cake:localhost").await.reason(), Some("guests_disabled"));
    let server = server.restart().await;
    let still = server.operator("GET", "/guests", &Value::Null).await.ok();
    assert_eq!((&still["enabled"], &still["live"]), (&json!(false), &json!(1)));
    assert_eq!(server.http().post(register, &json!({})).await.status, 403);

    let on = switch(&server, json!({ "off": false })).await;
    assert_eq!((&on["enabled"], &on["switched_off"]), (&json!(true), &Value::Null));
    server.guest().await.join("#cake:localhost").await.ok();
}

#[tokio::test]
async fn guests_that_are_put_out_leave_and_hear_of_their_end() {
    for slots in [1, 3] {
        let server = Blueprint::default().with_guests().slots(slots).start().await;
        let moderator = server.person("mod", "moderator").await;
        let room = moderator.create_guest_room(Some("tea")).await;
        let mut guests = Vec::new();
        for _ in 0..3 {
            let guest = server.guest().await;
            guest.join("#tea:localhost").await.ok();
            guests.push(guest);
        }
        let parked = &guests[0];
        let since = parked.sync("").await["next_batch"].as_str().unwrap().to_owned();
        let path = format!("{V3}/sync?timeout=30000&since={since}");
        let waiting = async { parked.http().get(&path).await };
        let putting_out = async {
            tokio::time::sleep(Duration::from_millis(100)).await;
            switch(&server, json!({ "off": true, "evict": true })).await
        };
        let started = tokio::time::Instant::now();
        let (answer, off) = tokio::join!(waiting, putting_out);
        assert!(started.elapsed() < Duration::from_secs(15));
        assert_eq!(off["switched_off"]["evict"], true);
        // It may have heard of a neighbour's leave first.
        if answer.status == 200 {
            let again = async {
                while parked.http().get(&format!("{V3}/sync")).await.status == 200 {
                    tokio::time::sleep(Duration::from_millis(20)).await;
                }
            };
            tokio::time::timeout(Duration::from_secs(10), again).await.unwrap();
        } else {
            assert_eq!(answer.refusal(), (401, "M_UNKNOWN_TOKEN"));
        }
        for guest in &guests {
            until_left(&moderator, &room, &guest.user_id).await;
            let whoami = guest.http().get(&format!("{V3}/account/whoami")).await;
            assert_eq!(whoami.refusal(), (401, "M_UNKNOWN_TOKEN"));
        }
        assert_eq!(server.operator("GET", "/guests", &Value::Null).await.ok()["live"], 0);
    }
}

#[tokio::test]
async fn putting_guests_out_goes_on_after_a_restart() {
    let server = Blueprint::default().with_guests().on_disk().start().await;
    let moderator = server.person("mod", "moderator").await;
    let room = moderator.create_guest_room(Some("tea")).await;
    let mut guests = Vec::new();
    for _ in 0..3 {
        let guest = server.guest().await;
        guest.join("#tea:localhost").await.ok();
        guests.push(guest.user_id.clone());
    }
    switch(&server, json!({ "off": true, "evict": true })).await;
    // Stopped in the middle, wherever that is.
    let server = server.restart().await;
    let moderator = server.login("mod").await;
    for guest in &guests {
        until_left(&moderator, &room, guest).await;
    }
    assert_eq!(server.operator("GET", "/guests", &Value::Null).await.ok()["live"], 0);
}

#[tokio::test]
async fn only_admins_and_the_operator_switch_guests() {
    let server = Blueprint::default().with_guests().start().await;
    let path = "/_vestibule/admin/v1/guests";
    let put = format!("{path}/switch");
    let off = json!({ "off": true });
    assert_eq!(server.http().get(path).await.refusal(), (401, "M_MISSING_TOKEN"));
    assert_eq!(server.http().put(&put, &off).await.refusal(), (401, "M_MISSING_TOKEN"));
    let guest = server.guest().await;
    for (name, class) in [("member", "member"), ("mod", "moderator")] {
        let person = server.person(name, class).await;
        assert_eq!(person.http().get(path).await.refusal(), (403, "M_FORBIDDEN"));
        assert_eq!(person.http().put(&put, &off).await.refusal(), (403, "M_FORBIDDEN"));
    }
    assert_eq!(guest.http().put(&put, &off).await.status, 403);
    let admin = server.person("admin", "admin").await;
    let told = admin.http().put(&put, &off).await.ok();
    assert_eq!(told["switched_off"]["by"], admin.user_id);
    let both = json!({ "off": false, "evict": true });
    assert_eq!(admin.http().put(&put, &both).await.status, 400);
    assert_eq!(admin.http().put(&put, &json!({ "of": true })).await.status, 400);
    assert_eq!(admin.http().get(path).await.ok()["enabled"], false);
}

#[tokio::test]
async fn what_is_recorded_is_for_admins_and_holds_no_message_and_no_whole_address() {
    let server = Blueprint::default().with_guests().start().await;
    let moderator = server.person("mod", "moderator").await;
    let room = moderator.create_guest_room(Some("tea")).await;
    let guest = server.guest().await;
    guest.join("#tea:localhost").await.ok();
    guest.say(&room, "a secret nobody is to read").await;
    let path = "/_vestibule/admin/v1/policy/recorded";
    assert_eq!(guest.http().get(path).await.refusal(), (403, "M_FORBIDDEN"));
    assert_eq!(moderator.http().get(path).await.refusal(), (403, "M_FORBIDDEN"));
    let admin = server.person("admin", "admin").await;
    let told = admin.http().get(path).await.ok();
    assert_eq!(told["guests_off"], false);
    let of_guest = |it: &&Value| it["subject"]["user_id"] == guest.user_id.as_str();
    let decisions = told["decisions"].as_array().unwrap();
    let acts: Vec<&Value> = decisions.iter().filter(of_guest).map(|it| &it["act"]).collect();
    assert!(acts.iter().any(|act| act["join"]["room"] == room.as_str()), "{acts:?}");
    assert!(acts.iter().any(|act| act["send_event"]["event_type"] == "m.room.message"), "{acts:?}");
    let text = told.to_string();
    assert!(text.contains("127.0.0.0") && !text.contains("127.0.0.1"));
    assert!(!text.contains("a secret"));
    // A switch that the file does not know of is told beside it.
    switch(&server, json!({ "off": true })).await;
    assert_eq!(admin.http().get(path).await.ok()["guests_off"], true);
}
