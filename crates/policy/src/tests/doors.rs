//! What opens a room for guests, and what does not.

use std::sync::Arc;
use vestibule_types::limits;

use super::*;
use crate::{GrantFact, Residency, SpaceFact, SpaceFinding};

#[test]
fn an_alias_made_by_a_moderator_opens_a_room() {
    let policy = policy(OPEN);
    assert_eq!(join(&policy, &closed_room(), &guest()), Some(Reason::OutOfScope));
    assert_eq!(join(&policy, &open_room(), &guest()), None);
}

#[test]
fn an_alias_added_after_a_refusal_works_at_once() {
    let policy = policy(OPEN);
    let mut facts = closed_room();
    assert_eq!(join(&policy, &facts, &guest()), Some(Reason::OutOfScope));
    room_mut(&mut facts).aliases.push(row("#new:home.test", "moderator", AliasOrigin::User));
    assert_eq!(join(&policy, &facts, &guest()), None);
}

#[test]
fn only_a_row_of_our_own_by_somebody_with_the_right_opens() {
    let policy = policy(&format!("{OPEN}\n[class.old]\ninherits = 'member'"));
    for (alias, class, origin, opens) in [
        ("#tea:home.test", "moderator", AliasOrigin::User, true),
        ("#tea:home.test", "admin", AliasOrigin::Admin, true),
        ("#tea:home.test", "moderator", AliasOrigin::Moved, true),
        ("#tea:home.test", "member", AliasOrigin::User, false),
        ("#tea:home.test", "guest", AliasOrigin::User, false),
        ("#tea:home.test", "old", AliasOrigin::User, false),
        ("#tea:home.test", "gone", AliasOrigin::User, false),
        ("#tea:home.test", "member", AliasOrigin::Moved, false),
        ("#tea:home.test", "appservice", AliasOrigin::User, false),
        ("#tea:home.test", "moderator", AliasOrigin::Appservice, false),
        ("#~ada~tea:home.test", "admin", AliasOrigin::User, false),
        ("#tea:evil.test", "moderator", AliasOrigin::User, false),
    ] {
        let mut facts = closed_room();
        room_mut(&mut facts).aliases = vec![row(alias, class, origin)];
        let expected = (!opens).then_some(Reason::OutOfScope);
        assert_eq!(join(&policy, &facts, &guest()), expected, "{alias} {class} {origin:?}");
    }
}

#[test]
fn a_name_of_another_server_opens_nothing_whatever_the_pattern() {
    let policy = policy(&OPEN.replace("enabled = true", "enabled = true\nalias = '#*:*'"));
    assert_eq!(join(&policy, &open_room(), &guest()), None);
    let mut facts = closed_room();
    room_mut(&mut facts).aliases = vec![row("#tea:evil.test", "admin", AliasOrigin::Admin)];
    assert_eq!(join(&policy, &facts, &guest()), Some(Reason::OutOfScope));
}

#[test]
fn one_alias_that_opens_nothing_does_not_close_another() {
    let policy = policy(OPEN);
    let mut facts = open_room();
    room_mut(&mut facts).aliases.insert(0, row("#x:home.test", "member", AliasOrigin::User));
    assert_eq!(join(&policy, &facts, &guest()), None);
}

#[test]
fn the_alias_pattern_decides() {
    let policy =
        policy(&OPEN.replace("enabled = true", "enabled = true\nalias = '#pub-*:home.test'"));
    assert_eq!(join(&policy, &open_room(), &guest()), Some(Reason::OutOfScope));
    let mut facts = closed_room();
    room_mut(&mut facts).aliases = vec![row("#pub-tea:home.test", "moderator", AliasOrigin::User)];
    assert_eq!(join(&policy, &facts, &guest()), None);
}

#[test]
fn never_wins_over_everything() {
    let toml = r##"
        [guests]
        enabled = true
        open_rooms_by = ["alias", "list"]
        list = ["!room:home.test", "#listed:home.test"]
        never = ["#staff:home.test"]
        [aliases]
        create = "moderator"
    "##;
    let policy = policy(toml);
    assert_eq!(join(&policy, &open_room(), &guest()), None);

    let mut pointing = open_room();
    let staff = row("#staff:home.test", "admin", AliasOrigin::Admin);
    room_mut(&mut pointing).aliases.push(staff.clone());
    assert_eq!(join(&policy, &pointing, &guest()), Some(Reason::RoomNever));

    let mut pointed = open_room();
    let mut pins = Pins::default();
    pins.note_never(staff.alias, room_id());
    pointed.pins = Some(Arc::new(pins));
    assert_eq!(join(&policy, &pointed, &guest()), Some(Reason::RoomNever));

    let mut unknown = open_room();
    unknown.pins = None;
    assert_eq!(join(&policy, &unknown, &guest()), Some(Reason::NeverUnknown));

    assert_eq!(join(&policy, &pointing, &account("ada", "member")), None, "members are not scoped");
}

#[test]
fn a_never_room_by_id_is_closed_to_every_scoped_class() {
    let toml = r##"
        [guests]
        enabled = true
        never = ["!room:home.test"]
        [aliases]
        create = "moderator"
        [class.webchat]
        inherits = "guest"
        scope = { alias = "#*:home.test" }
    "##;
    let policy = policy(toml);
    for subject in [guest(), account("shopper", "webchat")] {
        assert_eq!(join(&policy, &open_room(), &subject), Some(Reason::RoomNever));
    }
}

#[test]
fn a_listed_alias_opens_the_room_it_was_first_seen_with_and_no_other() {
    let toml = r##"
        [guests]
        enabled = true
        open_rooms_by = ["list"]
        list = ["#welcome:home.test"]
    "##;
    let policy = policy(toml);
    let alias = RoomAliasId::parse("#welcome:home.test").unwrap();
    let facts = closed_room();
    assert_eq!(join(&policy, &facts, &guest()), Some(Reason::OutOfScope), "unresolved");

    let mut pins = Pins::default();
    assert!(!pins.note_listed(alias.clone(), room_id()));
    let pinned = Facts { pins: Some(Arc::new(pins.clone())), ..closed_room() };
    assert_eq!(join(&policy, &pinned, &guest()), None);

    let mut elsewhere = Pins::default();
    elsewhere.note_listed(alias.clone(), RoomId::parse("!first:home.test").unwrap());
    assert!(elsewhere.note_listed(alias, room_id()), "drift is told");
    let drifted = Facts { pins: Some(Arc::new(elsewhere)), ..closed_room() };
    assert_eq!(join(&policy, &drifted, &guest()), Some(Reason::OutOfScope));

    let unknown = Facts { pins: None, ..closed_room() };
    assert_eq!(join(&policy, &unknown, &guest()), Some(Reason::ScopeUnknown));
}

#[test]
fn any_is_the_rooms_own_guest_access_but_never_a_direct_chat() {
    let policy = policy("[guests]\nenabled = true\nopen_rooms_by = ['any']");
    assert_eq!(join(&policy, &closed_room(), &guest()), None);
    let mut direct = closed_room();
    room_mut(&mut direct).is_direct = true;
    assert_eq!(join(&policy, &direct, &guest()), Some(Reason::DirectChat));
}

#[test]
fn any_opens_a_world_readable_room_to_reading_and_to_nothing_else() {
    let any =
        policy("[guests]\nenabled = true\nopen_rooms_by = ['any']\nnever = ['!never:home.test']");
    let (here, never) = (room_id(), RoomId::parse("!never:home.test").unwrap());
    let peek = |policy: &Policy, facts: &Facts, room| {
        refused(policy, facts, &guest(), Action::Peek { room })
    };
    let mut facts = closed_room();
    room_mut(&mut facts).guest_can_join = Some(false);
    room_mut(&mut facts).world_readable = Some(false);
    assert_eq!(peek(&any, &facts, &here), Some(Reason::NotWorldReadable));
    room_mut(&mut facts).world_readable = Some(true);
    assert_eq!(peek(&any, &facts, &here), None);
    assert_eq!(join(&any, &facts, &guest()), Some(Reason::GuestAccessMissing));
    assert_eq!(
        refused(&any, &facts, &guest(), Action::Discover { room: &here }),
        Some(Reason::OutOfScope)
    );
    // Other ways of opening ask for the door as ever.
    assert_eq!(peek(&policy(OPEN), &facts, &here), Some(Reason::OutOfScope));
    let mut direct = facts.clone();
    room_mut(&mut direct).is_direct = true;
    assert_eq!(peek(&any, &direct, &here), Some(Reason::DirectChat));
    let mut blocked = facts.clone();
    room_mut(&mut blocked).blocked = true;
    assert_eq!(peek(&any, &blocked, &here), Some(Reason::RoomBlocked));
    let mut closed = facts.clone();
    room_mut(&mut closed).room_id = never.clone();
    assert_eq!(peek(&any, &closed, &never), Some(Reason::RoomNever));
    room_mut(&mut facts).residency = Residency::Absent;
    assert_eq!(peek(&any, &facts, &here), Some(Reason::NotResident));
}

#[test]
fn a_frozen_guest_keeps_its_name_and_says_nothing_by_it() {
    let (policy, here) = (policy(OPEN), room_id());
    let rename = |facts: &Facts| {
        refused(&policy, facts, &guest(), Action::Rename { room: &here, name: Some("Ada") })
    };
    assert_eq!(rename(&open_room()), None);
    assert_eq!(rename(&closed_room()), Some(Reason::Frozen));
    let mut frozen = open_room();
    room_mut(&mut frozen).frozen = true;
    assert_eq!(rename(&frozen), Some(Reason::Frozen));
}

#[test]
fn a_guest_needs_guest_access_even_where_a_door_is_open() {
    let policy = policy(OPEN);
    for (guest_can_join, reason) in
        [(Some(false), Reason::GuestAccessMissing), (None, Reason::GuestAccessUnknown)]
    {
        let mut facts = open_room();
        room_mut(&mut facts).guest_can_join = guest_can_join;
        assert_eq!(join(&policy, &facts, &guest()), Some(reason));
    }
}

#[test]
fn a_class_that_inherits_guest_is_no_guest_of_the_specification() {
    let policy = policy(&format!("{OPEN}\n[class.webchat]\ninherits = 'guest'"));
    let mut facts = open_room();
    room_mut(&mut facts).guest_can_join = Some(false);
    assert_eq!(join(&policy, &facts, &account("shopper", "webchat")), None);
    let mut renamed = account("guest-a", "webchat");
    renamed.is_spec_guest = true;
    assert_eq!(join(&policy, &facts, &renamed), Some(Reason::GuestAccessMissing));
}

#[test]
fn guests_need_a_host_unless_the_operator_says_otherwise() {
    let mut hostless = open_room();
    room_mut(&mut hostless).has_host = Some(false);
    assert_eq!(join(&policy(OPEN), &hostless, &guest()), Some(Reason::NoHost));
    room_mut(&mut hostless).has_host = None;
    assert_eq!(join(&policy(OPEN), &hostless, &guest()), Some(Reason::NoHost));
    let lax = policy(&OPEN.replace("enabled = true", "enabled = true\nneed_host = false"));
    assert_eq!(join(&lax, &hostless, &guest()), None);
}

#[test]
fn who_hosts_is_neither_guest_nor_system() {
    let policy = policy(&format!(
        "{OPEN}\n[class.webchat]\ninherits = 'guest'\n[class.external]\ninherits = 'member'"
    ));
    for (class, hosts) in [
        ("guest", false),
        ("webchat", false),
        ("system", false),
        ("gone", false),
        ("external", true),
        ("member", true),
        ("admin", true),
    ] {
        assert_eq!(policy.is_host(&ClassName::new(class)), hosts, "{class}");
    }
}

#[test]
fn rooms_we_are_not_in_open_only_when_the_operator_says_so() {
    let toml = |federated_join: &str| {
        format!(
            "[guests]\nenabled = true\nopen_rooms_by = ['list']\nlist = ['!room:home.test']\n\
             federated_join = '{federated_join}'"
        )
    };
    let mut absent = closed_room();
    room_mut(&mut absent).residency = Residency::Absent;
    room_mut(&mut absent).has_host = None;
    for (setting, expected) in [
        ("never", Some(Reason::NotResident)),
        ("resident-only", Some(Reason::NotResident)),
        ("in-scope", None),
    ] {
        assert_eq!(join(&policy(&toml(setting)), &absent, &guest()), expected, "{setting}");
    }
    let mut made_elsewhere = closed_room();
    room_mut(&mut made_elsewhere).made_here = Some(false);
    for (setting, expected) in
        [("never", Some(Reason::NotResident)), ("resident-only", None), ("in-scope", None)]
    {
        assert_eq!(join(&policy(&toml(setting)), &made_elsewhere, &guest()), expected, "{setting}");
    }
    // Only guests brought us in, or the host who did is gone again.
    for (was_hosted, expected) in
        [(Some(false), None), (Some(true), Some(Reason::NoHost)), (None, Some(Reason::NoHost))]
    {
        let mut hostless = made_elsewhere.clone();
        room_mut(&mut hostless).has_host = Some(false);
        room_mut(&mut hostless).was_hosted = was_hosted;
        let decided = join(&policy(&toml("in-scope")), &hostless, &guest());
        assert_eq!(decided, expected, "{was_hosted:?}");
        let decided = join(&policy(&toml("resident-only")), &hostless, &guest());
        assert_eq!(decided, Some(Reason::NoHost), "{was_hosted:?}");
    }
}

#[test]
fn a_space_opens_its_rooms_and_an_unreadable_one_only_keeps_who_is_in() {
    let toml =
        "[guests]\nenabled = true\nopen_rooms_by = ['space']\n[[guests.space]]\nid = '!space'";
    let policy = policy(toml);
    let space = RoomId::parse("!space").unwrap();
    let with = |finding| {
        let mut facts = closed_room();
        room_mut(&mut facts).spaces = vec![SpaceFact { space: space.clone(), finding }];
        facts
    };
    let room = room_id();
    let inside = with(SpaceFinding::Inside { path: vec![space.clone(), room.clone()] });
    assert_eq!(join(&policy, &inside, &guest()), None);
    for (finding, joins, stays) in [
        (SpaceFinding::Outside, Reason::OutOfScope, Some(Reason::OutOfScope)),
        (SpaceFinding::Overflow, Reason::OutOfScope, Some(Reason::OutOfScope)),
        (
            SpaceFinding::Unknown { inside_ms_ago: None },
            Reason::ScopeUnknown,
            Some(Reason::ScopeUnknown),
        ),
        (SpaceFinding::Unknown { inside_ms_ago: Some(60_000) }, Reason::ScopeUnknown, None),
        (
            SpaceFinding::Unknown { inside_ms_ago: Some(limits::SPACE_GRACE_MS + 1) },
            Reason::ScopeUnknown,
            Some(Reason::ScopeUnknown),
        ),
    ] {
        let facts = with(finding.clone());
        assert_eq!(join(&policy, &facts, &guest()), Some(joins), "{finding:?}");
        let stay = Action::Stay { room: &room };
        assert_eq!(refused(&policy, &facts, &guest(), stay), stays, "{finding:?}");
    }
    assert_eq!(join(&policy, &closed_room(), &guest()), Some(Reason::ScopeUnknown), "not walked");
}

#[test]
fn a_guest_link_opens_its_own_room_until_it_expires() {
    let policy = policy(OPEN);
    let with = |room: &str, expires_at| {
        let mut facts = closed_room();
        let room_id = RoomId::parse(room).unwrap();
        room_mut(&mut facts).grant = Some(GrantFact { room_id, expires_at });
        facts
    };
    assert_eq!(join(&policy, &with("!room:home.test", at(NOW + 1)), &guest()), None);
    let expired = with("!room:home.test", at(NOW));
    assert_eq!(join(&policy, &expired, &guest()), Some(Reason::OutOfScope));
    // A link for the room that this one succeeded is not copied by an upgrade.
    let other = with("!predecessor:home.test", at(NOW + 1));
    assert_eq!(join(&policy, &other, &guest()), Some(Reason::OutOfScope));
}

#[test]
fn a_room_that_leaves_scope_can_be_read_and_left_but_not_spoken_in() {
    let policy = policy(OPEN);
    let room = room_id();
    let send = Action::SendEvent { room: &room, event_type: "m.room.message" };
    assert_eq!(refused(&policy, &open_room(), &guest(), send), None);
    let gone = closed_room();
    assert_eq!(refused(&policy, &gone, &guest(), send), Some(Reason::Frozen));
    assert_eq!(refused(&policy, &gone, &guest(), Action::ReadMarker { room: &room }), None);
    assert_eq!(refused(&policy, &gone, &guest(), Action::Leave { room: &room }), None);
    let mut frozen = open_room();
    room_mut(&mut frozen).frozen = true;
    assert_eq!(refused(&policy, &frozen, &guest(), send), Some(Reason::Frozen));
    assert_eq!(refused(&policy, &frozen, &guest(), Action::Leave { room: &room }), None);
}

#[test]
fn keep_lets_guests_stay_but_no_new_ones_in() {
    let toml =
        OPEN.replace("enabled = true", "enabled = true\nwhen_room_leaves_scope = { do = 'keep' }");
    let policy = policy(&toml);
    let room = room_id();
    let send = Action::SendEvent { room: &room, event_type: "m.room.message" };
    assert_eq!(refused(&policy, &closed_room(), &guest(), send), None);
    assert_eq!(refused(&policy, &closed_room(), &guest(), Action::Stay { room: &room }), None);
    assert_eq!(join(&policy, &closed_room(), &guest()), Some(Reason::OutOfScope));
}

#[test]
fn facts_about_another_room_are_no_facts() {
    let policy = policy(OPEN);
    let other = RoomId::parse("!other:home.test").unwrap();
    for subject in [guest(), account("ada", "member")] {
        let reason = refused(&policy, &open_room(), &subject, Action::Join { room: &other });
        assert_eq!(reason, Some(Reason::FactsMissing));
    }
}

#[test]
fn a_blocked_room_is_closed_to_all_and_can_be_left() {
    let policy = policy(OPEN);
    let mut facts = open_room();
    room_mut(&mut facts).blocked = true;
    let room = room_id();
    for subject in [guest(), account("ada", "member"), account("root", "admin")] {
        assert_eq!(join(&policy, &facts, &subject), Some(Reason::RoomBlocked));
        assert_eq!(refused(&policy, &facts, &subject, Action::Leave { room: &room }), None);
    }
}

#[test]
fn rooms_of_version_12_without_a_server_in_their_id_are_rooms() {
    let id = "!31hneApxJ_1o-63DmFrpeqnkFfWppnzWso1JvH3ogLM";
    let policy =
        policy(&format!("[guests]\nenabled = true\nopen_rooms_by = ['list']\nlist = ['{id}']"));
    let room = RoomId::parse(id).unwrap();
    let mut facts = closed_room();
    room_mut(&mut facts).room_id = room.clone();
    assert_eq!(refused(&policy, &facts, &guest(), Action::Join { room: &room }), None);
    assert_eq!(join(&policy, &closed_room(), &guest()), Some(Reason::OutOfScope));
}

#[test]
fn members_may_be_anywhere() {
    let policy = policy(OPEN);
    for class in ["member", "moderator", "admin"] {
        assert_eq!(join(&policy, &closed_room(), &account("ada", class)), None);
    }
}

#[test]
fn everything_that_is_in_the_way_is_told() {
    let policy = policy(OPEN);
    let mut facts = closed_room();
    room_mut(&mut facts).has_host = Some(false);
    let room = room_id();
    let decision = ask(&policy, &facts, &guest(), Action::Join { room: &room });
    let what = decision.what_would_allow().unwrap();
    for part in
        ["an alias #*:home.test made by class \"moderator\"", "a guest link", "a local member"]
    {
        assert!(what.contains(part), "{what}");
    }
    assert_eq!(decision.obligations(), []);
    let open = ask(&policy, &open_room(), &guest(), Action::Join { room: &room });
    assert_eq!(open.what_would_allow(), None);
}
