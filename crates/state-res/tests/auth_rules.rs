//! The authorization rules, version by version.

#![cfg(test)]

mod support;

use std::{cell::Cell, collections::HashMap, sync::Arc};

use ruma::{EventId, int};
use serde_json::{Value, json};
use vestibule_events::{Pdu, RoomVersion};
use vestibule_state_res::{
    CheckError, Power, PowerLevels, StateMap, check, check_auth_events, check_state,
};

use support::{Room, Say, id, user};

/// A room and its state, to ask whether an event may follow.
struct Trial {
    room: Room,
    state: StateMap,
    count: Cell<u64>,
}

impl Trial {
    /// A room made by alice, with a join rule, no power levels event, and nobody else in it.
    fn new(version: RoomVersion, join_rule: Value) -> Self {
        let mut trial = Self::created(version, json!({}));
        trial.accept("alice", "m.room.member", &user("alice"), json!({ "membership": "join" }));
        trial.accept("alice", "m.room.join_rules", "", join_rule);
        trial
    }

    /// A room with nothing but its create event.
    fn created(version: RoomVersion, mut content: Value) -> Self {
        content["room_version"] = json!(version);
        if version.create_names_creator() {
            content["creator"] = json!(user("alice"));
        }
        let mut trial =
            Self { room: Room::new(version), state: StateMap::new(), count: Cell::new(0) };
        let sender = user("alice");
        let say = Say {
            name: "create",
            sender: &sender,
            kind: "m.room.create",
            key: Some(""),
            content,
            ts: 0,
        };
        let pdu = trial.room.event(&say, &[]);
        assert_eq!(trial.verdict(&pdu), Ok(()));
        trial.state.insert(pdu.state_place().expect("state"), id("create"));
        trial.room.add(pdu);
        trial
    }

    fn draft(&self, who: &str, kind: &str, key: Option<&str>, content: Value) -> Pdu {
        self.count.set(self.count.get() + 1);
        let (name, ts) = (format!("event{}", self.count.get()), self.count.get());
        let sender = if who.starts_with('@') { who.to_owned() } else { user(who) };
        let say = Say { name: &name, sender: &sender, kind, key, content, ts };
        let mut state = self.state.clone();
        if self.room.version.room_id_is_create_event() {
            state.remove(&("m.room.create".to_owned(), String::new()));
        }
        self.room.auth_from(&say, &state)
    }

    fn verdict(&self, pdu: &Pdu) -> Result<(), String> {
        let by_place = |kind: &str, key: &str| {
            let held = self.state.get(&(kind.to_owned(), key.to_owned()));
            Ok::<_, ()>(held.map(|event_id| self.room.get(event_id)))
        };
        let by_id = |event_id: &EventId| Ok(self.room.events.get(event_id).cloned());
        match check(pdu, by_id, by_place) {
            Ok(()) => Ok(()),
            Err(CheckError::Denied(error)) => Err(error.reason),
            Err(CheckError::Facts(())) => panic!("no fact fails here"),
        }
    }

    /// Whether a state event would be allowed.
    fn may(&self, who: &str, kind: &str, key: &str, content: Value) -> bool {
        self.verdict(&self.draft(who, kind, Some(key), content)).is_ok()
    }

    /// Whether a message would be allowed.
    fn may_say(&self, who: &str, kind: &str) -> bool {
        self.verdict(&self.draft(who, kind, None, json!({ "body": "hi" }))).is_ok()
    }

    /// Adds a state event that must be allowed.
    fn accept(&mut self, who: &str, kind: &str, key: &str, content: Value) {
        let pdu = self.draft(who, kind, Some(key), content);
        assert_eq!(self.verdict(&pdu), Ok(()), "{who} {kind} {key}");
        self.state.insert(pdu.state_place().expect("state"), pdu.event_id().clone());
        self.room.add(pdu);
    }

    fn join(&mut self, who: &str) {
        self.accept(who, "m.room.member", &user(who), json!({ "membership": "join" }));
    }

    fn may_join(&self, who: &str) -> bool {
        self.may(who, "m.room.member", &user(who), json!({ "membership": "join" }))
    }

    fn may_knock(&self, who: &str) -> bool {
        self.may(who, "m.room.member", &user(who), json!({ "membership": "knock" }))
    }

    fn may_set(&self, who: &str, of: &str, membership: &str) -> bool {
        self.may(who, "m.room.member", &user(of), json!({ "membership": membership }))
    }
}

fn rule(join_rule: &str) -> Value {
    json!({ "join_rule": join_rule })
}

fn from(version: RoomVersion) -> impl Iterator<Item = RoomVersion> {
    RoomVersion::ALL.into_iter().filter(move |one| *one >= version)
}

fn before(version: RoomVersion) -> impl Iterator<Item = RoomVersion> {
    RoomVersion::ALL.into_iter().filter(move |one| *one < version)
}

#[test]
fn the_creator_comes_in_and_strangers_need_a_public_room_or_an_invite() {
    for version in RoomVersion::ALL {
        let public = Trial::new(version, rule("public"));
        assert!(public.may_join("bob"), "{version}");
        let mut private = Trial::new(version, rule("invite"));
        assert!(!private.may_join("bob"), "{version}");
        assert!(!private.may_set("mallory", "bob", "invite"), "{version}: not a member");
        private.accept("alice", "m.room.member", &user("bob"), json!({ "membership": "invite" }));
        assert!(private.may_join("bob"), "{version}");
        assert!(!private.may_set("alice", "bob", "join"), "{version}: for somebody else");
    }
}

#[test]
fn only_members_speak_and_the_banned_stay_away() {
    for version in RoomVersion::ALL {
        let mut trial = Trial::new(version, rule("public"));
        assert!(!trial.may_say("bob", "m.room.message"), "{version}");
        trial.join("bob");
        assert!(trial.may_say("bob", "m.room.message"), "{version}");
        assert!(!trial.may_set("bob", "alice", "ban"), "{version}");
        trial.accept("alice", "m.room.member", &user("bob"), json!({ "membership": "ban" }));
        assert!(!trial.may_join("bob"), "{version}");
        assert!(!trial.may_say("bob", "m.room.message"), "{version}");
        assert!(trial.may_set("alice", "bob", "leave"), "{version}: unban");
        assert!(!trial.may_set("bob", "bob", "leave"), "{version}: leaving is no way out of a ban");
    }
}

#[test]
fn knocking_exists_since_version_7() {
    for version in before(RoomVersion::V7) {
        assert!(!Trial::new(version, rule("knock")).may_knock("bob"), "{version}");
    }
    for version in from(RoomVersion::V7) {
        let trial = Trial::new(version, rule("knock"));
        assert!(trial.may_knock("bob"), "{version}");
        assert!(!trial.may_set("bob", "carol", "knock"), "{version}: for somebody else");
        assert!(!trial.may_join("bob"), "{version}: a knock is not a join");
        assert!(!Trial::new(version, rule("invite")).may_knock("bob"), "{version}");
    }
}

#[test]
fn a_knock_can_be_taken_back_and_answered() {
    for version in from(RoomVersion::V7) {
        let mut trial = Trial::new(version, rule("knock"));
        trial.accept("bob", "m.room.member", &user("bob"), json!({ "membership": "knock" }));
        assert!(trial.may_set("bob", "bob", "leave"), "{version}");
        assert!(trial.may_set("alice", "bob", "invite"), "{version}");
        assert!(trial.may_set("alice", "bob", "leave"), "{version}: refused");
    }
}

#[test]
fn a_restricted_room_is_entered_through_a_member_who_may_invite_since_version_8() {
    let through =
        |by: &str| json!({ "membership": "join", "join_authorised_via_users_server": user(by) });
    for version in from(RoomVersion::V8) {
        let mut trial = Trial::new(version, rule("restricted"));
        assert!(!trial.may_join("bob"), "{version}: nobody vouches");
        let may_join =
            |trial: &Trial, by: &str| trial.may("bob", "m.room.member", &user("bob"), through(by));
        assert!(may_join(&trial, "alice"), "{version}");
        assert!(!may_join(&trial, "stranger"), "{version}: not a member");
        trial.accept("carol", "m.room.member", &user("carol"), through("alice"));
        assert!(may_join(&trial, "carol"), "{version}: invite takes no power by default");
        let users =
            if version == RoomVersion::V12 { json!({}) } else { json!({ user("alice"): 100 }) };
        trial.accept("alice", "m.room.power_levels", "", json!({ "users": users, "invite": 50 }));
        assert!(!may_join(&trial, "carol"), "{version}: may not invite");
        assert!(may_join(&trial, "alice"), "{version}");
        trial.accept("alice", "m.room.member", &user("bob"), json!({ "membership": "invite" }));
        assert!(trial.may_join("bob"), "{version}: invited users need nobody");
    }
    for version in before(RoomVersion::V8) {
        let trial = Trial::new(version, rule("restricted"));
        let joins = trial.may("bob", "m.room.member", &user("bob"), through("alice"));
        assert!(!joins, "{version}: an unknown rule lets nobody in");
    }
}

#[test]
fn knock_restricted_rooms_exist_since_version_10() {
    let through_alice = json!({
        "membership": "join",
        "join_authorised_via_users_server": user("alice"),
    });
    for version in from(RoomVersion::V7) {
        let trial = Trial::new(version, rule("knock_restricted"));
        let known = version >= RoomVersion::V10;
        assert_eq!(trial.may_knock("bob"), known, "{version}");
        let joins = trial.may("bob", "m.room.member", &user("bob"), through_alice.clone());
        assert_eq!(joins, known, "{version}");
    }
}

#[test]
fn power_levels_are_integers_since_version_10_and_may_be_text_before() {
    for version in RoomVersion::ALL {
        let trial = Trial::new(version, rule("public"));
        let levels = |content| trial.may("alice", "m.room.power_levels", "", content);
        let text_is_fine = version < RoomVersion::V10;
        assert_eq!(levels(json!({ "kick": "50" })), text_is_fine, "{version}");
        assert_eq!(
            levels(json!({ "events": { "m.room.name": " 7 " } })),
            text_is_fine,
            "{version}"
        );
        assert_eq!(levels(json!({ "users": { user("bob"): "+5" } })), text_is_fine, "{version}");
        assert!(levels(json!({ "kick": 50, "users": { user("bob"): 5 } })), "{version}");
        assert!(!levels(json!({ "users": { "bob": 5 } })), "{version}: not a user id");
    }
}

#[test]
fn nobody_hands_out_more_power_than_it_has() {
    for version in RoomVersion::ALL {
        let v12 = version == RoomVersion::V12;
        let with = |extra: &[(&str, i64)], field: Option<(&str, i64)>| {
            let mut users = HashMap::from([(user("bob"), 50_i64), (user("carol"), 50)]);
            if !v12 {
                users.insert(user("alice"), 100);
            }
            users.extend(extra.iter().map(|(name, level)| (user(name), *level)));
            let mut content = json!({ "users": users });
            if let Some((field, level)) = field {
                content[field] = level.into();
            }
            content
        };
        let mut trial = Trial::new(version, rule("public"));
        trial.join("bob");
        trial.accept("alice", "m.room.power_levels", "", with(&[], None));
        let levels = |content| trial.may("bob", "m.room.power_levels", "", content);
        assert!(levels(with(&[("dave", 50)], None)), "{version}");
        assert!(!levels(with(&[("dave", 51)], None)), "{version}");
        assert!(levels(with(&[("bob", 0)], None)), "{version}: giving up power");
        assert!(!levels(with(&[("carol", 0)], None)), "{version}: demoting an equal");
        assert!(levels(with(&[], Some(("redact", 40)))), "{version}");
        assert!(!levels(with(&[], Some(("redact", 60)))), "{version}");
        assert!(!trial.may_set("bob", "carol", "leave"), "{version}: kicking an equal");
    }
}

#[test]
fn notification_levels_are_guarded_since_version_6() {
    for version in RoomVersion::ALL {
        let v12 = version == RoomVersion::V12;
        let mut users = json!({ user("bob"): 50 });
        if !v12 {
            users[user("alice")] = 100.into();
        }
        let mut trial = Trial::new(version, rule("public"));
        trial.join("bob");
        trial.accept("alice", "m.room.power_levels", "", json!({ "users": users }));
        let raised = json!({ "users": users, "notifications": { "room": 90 } });
        let allowed = trial.may("bob", "m.room.power_levels", "", raised);
        assert_eq!(allowed, version < RoomVersion::V6, "{version}");
    }
}

#[test]
fn state_named_after_another_user_is_refused() {
    for version in RoomVersion::ALL {
        let trial = Trial::new(version, rule("public"));
        assert!(trial.may("alice", "org.example.note", &user("alice"), json!({})), "{version}");
        assert!(!trial.may("alice", "org.example.note", &user("bob"), json!({})), "{version}");
        assert!(trial.may("alice", "org.example.note", "anything", json!({})), "{version}");
    }
}

#[test]
fn alias_events_need_no_membership_before_version_6() {
    for version in RoomVersion::ALL {
        let trial = Trial::new(version, rule("invite"));
        let own = trial.may("bob", "m.room.aliases", "example.com", json!({ "aliases": [] }));
        assert_eq!(own, version < RoomVersion::V6, "{version}");
        assert!(!trial.may("bob", "m.room.aliases", "other.org", json!({})), "{version}");
    }
}

#[test]
fn a_room_that_does_not_federate_keeps_other_servers_out() {
    for version in RoomVersion::ALL {
        let mut trial = Trial::created(version, json!({ "m.federate": false }));
        trial.join("alice");
        trial.accept("alice", "m.room.join_rules", "", rule("public"));
        assert!(trial.may_join("bob"), "{version}");
        let stranger = "@eve:other.org";
        let joins = trial.may(stranger, "m.room.member", stranger, json!({ "membership": "join" }));
        assert!(!joins, "{version}");
    }
}

#[test]
fn a_create_event_names_its_creator_before_version_11() {
    for version in RoomVersion::ALL {
        let trial = Trial::new(version, rule("public"));
        let sender = user("alice");
        let say = Say {
            name: "second",
            sender: &sender,
            kind: "m.room.create",
            key: Some(""),
            content: json!({ "room_version": version }),
            ts: 0,
        };
        let verdict = trial.verdict(&trial.room.event(&say, &[]));
        assert_eq!(verdict.is_err(), version < RoomVersion::V11, "{version}");
    }
}

#[test]
fn a_create_event_of_another_version_is_refused() {
    let sender = user("alice");
    for version in RoomVersion::ALL {
        let denied = |content: Value| {
            let (kind, key) = ("m.room.create", Some(""));
            let say = Say { name: "create", sender: &sender, kind, key, content, ts: 0 };
            let pdu = Room::new(version).event(&say, &[]);
            check_auth_events(&pdu, |_| Ok::<_, ()>(None)).is_err()
        };
        assert!(denied(json!({ "creator": sender, "room_version": "1" })), "{version}");
        assert!(!denied(json!({ "creator": sender, "room_version": version })), "{version}");
        let redacted = denied(json!({ "creator": sender }));
        assert_eq!(redacted, version >= RoomVersion::V11, "{version}");
    }
}

#[test]
fn creators_of_version_12_stand_above_every_number() {
    let additional = json!({ "additional_creators": [user("bob")] });
    let mut trial = Trial::created(RoomVersion::V12, additional);
    trial.join("alice");
    trial.accept("alice", "m.room.join_rules", "", rule("public"));
    trial.join("bob");
    trial.join("carol");
    let most = (1_i64 << 53) - 1;
    let levels = json!({ "users": { user("carol"): most }, "kick": most });
    trial.accept("bob", "m.room.power_levels", "", levels);
    assert!(trial.may_set("bob", "carol", "leave"));
    assert!(!trial.may_set("carol", "alice", "leave"), "creators cannot be removed");
    assert!(!trial.may_set("bob", "alice", "leave"), "not even by each other");
    for creator in ["alice", "bob"] {
        let named = json!({ "users": { user(creator): 100 } });
        assert!(!trial.may("alice", "m.room.power_levels", "", named), "{creator} in `users`");
    }
}

#[test]
fn additional_creators_are_valid_user_ids() {
    let room = Room::new(RoomVersion::V12);
    let sender = user("alice");
    for additional in [json!("@bob:example.com"), json!(["bob"]), json!([5])] {
        let content = json!({ "room_version": "12", "additional_creators": additional });
        let say = Say {
            name: "create",
            sender: &sender,
            kind: "m.room.create",
            key: Some(""),
            content,
            ts: 0,
        };
        let pdu = room.event(&say, &[]);
        assert!(check_auth_events(&pdu, |_| Ok::<_, ()>(None)).is_err(), "{additional}");
    }
}

#[test]
fn an_event_of_version_12_needs_an_accepted_create_event() {
    let mut trial = Trial::new(RoomVersion::V12, rule("public"));
    let join =
        trial.draft("bob", "m.room.member", Some(&user("bob")), json!({ "membership": "join" }));
    assert_eq!(trial.verdict(&join), Ok(()));
    let create = (*trial.room.get(&id("create"))).clone().with_rejected(true);
    trial.room.events.insert(id("create"), Arc::new(create));
    assert!(trial.verdict(&join).expect_err("rejected").contains("rejected"));
    trial.room.events.remove(&id("create"));
    let by_id = |event_id: &EventId| Ok::<_, ()>(trial.room.events.get(event_id).cloned());
    assert!(check_auth_events(&join, by_id).is_err());
}

#[test]
fn auth_events_are_known_accepted_expected_and_given_once() {
    for version in RoomVersion::ALL {
        let mut trial = Trial::new(version, rule("public"));
        let sender = user("alice");
        let topic = |name| Say {
            name,
            sender: &sender,
            kind: "m.room.topic",
            key: Some(""),
            content: json!({}),
            ts: 9,
        };
        let good = trial.room.auth_from(&topic("good"), &{
            let mut state = trial.state.clone();
            if version == RoomVersion::V12 {
                state.remove(&("m.room.create".to_owned(), String::new()));
            }
            state
        });
        assert_eq!(trial.verdict(&good), Ok(()), "{version}");
        let with = |name: &'static str, more: &str| {
            let mut auth = good.auth_events().to_vec();
            auth.push(id(more));
            trial.room.event(&topic(name), &auth)
        };
        assert!(trial.verdict(&with("unknown", "nowhere")).is_err(), "{version}: unknown");
        assert!(trial.verdict(&with("twice", "event1")).is_err(), "{version}: twice");
        assert!(trial.verdict(&with("odd", "event2")).is_err(), "{version}: join rules of a topic");
        let without_create = trial.room.event(&topic("bare"), &[id("event1")]);
        let bare = trial.verdict(&without_create);
        assert_eq!(bare.is_ok(), version == RoomVersion::V12, "{version}: no create event");
        let rejected = (*trial.room.get(&id("event1"))).clone().with_rejected(true);
        trial.room.events.insert(id("event1"), Arc::new(rejected));
        assert!(trial.verdict(&good).expect_err("rejected").contains("rejected"), "{version}");
    }
}

#[test]
fn an_unreadable_fact_is_neither_yes_nor_no() {
    let trial = Trial::new(RoomVersion::V12, rule("public"));
    let message = trial.draft("alice", "m.room.message", None, json!({}));
    let by_id = check_auth_events(&message, |_| Err("disk"));
    assert!(matches!(by_id, Err(CheckError::Facts("disk"))));
    let by_place = check_state(&message, |_, _| Err("disk"));
    assert!(matches!(by_place, Err(CheckError::Facts("disk"))));
}

#[test]
fn power_levels_read_as_the_rules_read_them() {
    let of = |version, content: Option<Value>| {
        let mut trial = Trial::new(version, rule("public"));
        let event = content.map(|content| {
            trial.accept("alice", "m.room.power_levels", "", content);
            trial.room.get(trial.room.order.last().expect("just added"))
        });
        let create = trial.room.get(&id("create"));
        PowerLevels::new(&create, event).expect("well formed")
    };
    let (alice, bob) = (user("alice"), user("bob"));
    let (alice, bob) = (
        <&ruma::UserId>::try_from(alice.as_str()).expect("valid"),
        <&ruma::UserId>::try_from(bob.as_str()).expect("valid"),
    );
    let power = |level: i32| Power::Int(level.into());

    let absent = of(RoomVersion::V11, None);
    assert_eq!(absent.user(alice).expect("read"), power(100));
    assert_eq!(absent.user(bob).expect("read"), power(0));
    assert_eq!(absent.to_send("m.room.name", true).expect("read"), int!(50));
    assert_eq!(absent.to_send("m.room.message", false).expect("read"), int!(0));
    assert_eq!(absent.to_ban().expect("read"), int!(50));

    let text =
        of(RoomVersion::V9, Some(json!({ "users": { alice: 100, bob: "42" }, "ban": "70" })));
    assert_eq!(text.user(bob).expect("read"), power(42));
    assert_eq!(text.to_ban().expect("read"), int!(70));
    assert_eq!(text.to_kick().expect("read"), int!(50));
    assert_eq!(text.to_invite().expect("read"), int!(0));

    let newest = of(RoomVersion::V12, Some(json!({ "events": { "m.room.name": 9 }, "redact": 7 })));
    assert_eq!(newest.user(alice).expect("read"), Power::Infinite);
    assert_eq!(newest.to_send("m.room.name", true).expect("read"), int!(9));
    assert_eq!(newest.to_redact().expect("read"), int!(7));
    assert!(newest.user(alice).expect("read") > power(i32::MAX));
}

#[test]
fn a_redaction_needs_the_power_or_the_same_server() {
    let mut trial = Trial::new(RoomVersion::V11, rule("public"));
    trial.join("bob");
    let levels = |trial: &Trial| {
        let create = trial.room.get(&id("create"));
        PowerLevels::new(&create, None).expect("well formed")
    };
    let message = |who| trial.draft(who, "m.room.message", None, json!({}));
    let redaction = |who| trial.draft(who, "m.room.redaction", None, json!({ "redacts": "$x" }));
    let applies = |by, of| levels(&trial).redaction_applies(&redaction(by), &message(of));
    assert_eq!(applies("alice", "@eve:other.org"), Ok(true));
    assert_eq!(applies("bob", "@eve:other.org"), Ok(false));
    assert_eq!(applies("@eve:other.org", "@mallory:other.org"), Ok(true));
    assert_eq!(applies("@eve:other.org", "bob"), Ok(false));
}
