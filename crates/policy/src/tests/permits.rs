//! Permits fit one act, one object, one policy.

use super::*;
use crate::{Object, PermitMismatch, PolicyHandle, kind};

#[test]
fn a_permit_fits_its_subject_object_and_epoch_only() {
    let policy = policy(OPEN).at_epoch(7);
    let room = room_id();
    let other = RoomId::parse("!other:home.test").unwrap();
    let permit = || {
        ask(&policy, &open_room(), &guest(), Action::Join { room: &room })
            .permit::<kind::Join>()
            .unwrap()
    };
    let (me, you) = (guest().user_id, account("ada", "member").user_id);
    assert!(permit().verify(&me, &Object::room(&room), 7).is_ok());
    for (user, object, epoch, mismatch) in [
        (&me, Object::room(&room), 8, PermitMismatch::Stale),
        (&me, Object::room(&room), 6, PermitMismatch::Stale),
        (&you, Object::room(&room), 7, PermitMismatch::Subject),
        (&me, Object::room(&other), 7, PermitMismatch::Object),
        (&me, Object::member(&room, &me), 7, PermitMismatch::Object),
    ] {
        assert_eq!(permit().verify(user, &object, epoch).unwrap_err(), mismatch);
    }
}

#[test]
fn a_permit_is_of_the_kind_that_was_decided() {
    let policy = policy(OPEN);
    let room = room_id();
    let ada = account("ada", "member");
    let decide = || ask(&policy, &open_room(), &ada, Action::Knock { room: &room });
    assert!(decide().permit::<kind::Knock>().is_ok());
    assert_eq!(decide().permit::<kind::Join>().unwrap_err().reason, Reason::PermitKind);
}

#[test]
fn a_refusal_makes_no_permit() {
    let policy = policy(OPEN);
    let room = room_id();
    let decision = ask(&policy, &closed_room(), &guest(), Action::Join { room: &room });
    assert_eq!(decision.permit::<kind::Join>().unwrap_err().reason, Reason::OutOfScope);
}

#[test]
fn an_alias_permit_names_alias_and_room() {
    let policy = policy(OPEN);
    let (room, other) = (room_id(), RoomId::parse("!other:home.test").unwrap());
    let alias = RoomAliasId::parse("#tea:home.test").unwrap();
    let maker = account("mo", "moderator");
    let action = Action::CreateAlias { alias: &alias, room: &room };
    let permit =
        || ask(&policy, &open_room(), &maker, action).permit::<kind::CreateAlias>().unwrap();
    let spent = permit().verify(&maker.user_id, &Object::alias(&alias, &room), 0).unwrap();
    assert_eq!(spent.class, ClassName::moderator());
    let wrong = permit().verify(&maker.user_id, &Object::alias(&alias, &other), 0);
    assert_eq!(wrong.unwrap_err(), PermitMismatch::Object);
}

#[test]
fn joining_obliges_to_the_suffix_and_leaving_to_silence() {
    let policy = policy(OPEN);
    let room = room_id();
    let spend = |subject: &Subject| {
        let permit = ask(&policy, &open_room(), subject, Action::Join { room: &room });
        let permit = permit.permit::<kind::Join>().unwrap();
        permit.verify(&subject.user_id, &Object::room(&room), 0).unwrap()
    };
    assert_eq!(spend(&guest()).name_suffix(), Some(" (guest)"));
    assert_eq!(spend(&account("ada", "member")).name_suffix(), None);
    let leave = |subject: &Subject| {
        let permit = ask(&policy, &open_room(), subject, Action::Leave { room: &room });
        let permit = permit.permit::<kind::Leave>().unwrap();
        permit.verify(&subject.user_id, &Object::room(&room), 0).unwrap().strips_reason()
    };
    assert!(leave(&guest()));
    assert!(!leave(&account("ada", "member")));
}

#[test]
fn a_reload_swaps_as_a_whole_and_is_not_undone_by_a_late_one() {
    let handle = PolicyHandle::new(policy("").at_epoch(1));
    let before = handle.current();
    handle.swap(policy(OPEN).at_epoch(3));
    handle.swap(policy("").at_epoch(2));
    assert_eq!((before.epoch(), before.guests_enabled()), (1, false));
    assert_eq!((handle.current().epoch(), handle.current().guests_enabled()), (3, true));
}

#[test]
fn an_announced_policy_counts_only_for_who_reads_its_epoch() {
    let handle = PolicyHandle::new(policy("").at_epoch(1));
    handle.announce(policy(OPEN).at_epoch(2));
    assert_eq!((handle.current().epoch(), handle.of_epoch(1).epoch()), (1, 1));
    assert_eq!((handle.of_epoch(2).epoch(), handle.of_epoch(2).guests_enabled()), (2, true));
    handle.swap(policy(OPEN).at_epoch(2));
    assert_eq!((handle.current().epoch(), handle.of_epoch(1).epoch()), (2, 2));
}

#[test]
fn every_action_that_writes_has_a_kind_of_permit() {
    // What never writes, or writes only to the caller's own session.
    let without = [
        "stay",
        "discover",
        "peek",
        "lookup_profile",
        "search_users",
        "search_messages",
        "preview_url",
        "remote_alias",
        "remote_directory",
        "logout",
        "deactivate",
    ];
    let covered: Vec<&str> = kind::COVERED.iter().flat_map(|names| names.iter().copied()).collect();
    let (room, user) = (room_id(), guest().user_id);
    let (alias, class) = (RoomAliasId::parse("#a:home.test").unwrap(), ClassName::member());
    let subject = guest();
    for action in properties::every_action(&room, &user, &alias, (&subject, &class)) {
        let known = covered.contains(&action.name()) != without.contains(&action.name());
        assert!(known, "{}", action.name());
    }
}

#[test]
fn acts_are_found_by_the_names_they_are_shown_under() {
    let (room, user) = (room_id(), guest().user_id);
    let (alias, class) = (RoomAliasId::parse("#a:home.test").unwrap(), ClassName::member());
    let subject = guest();
    let mut found = 0;
    for action in properties::every_action(&room, &user, &alias, (&subject, &class)) {
        if let Some(named) = Action::in_room(action.name(), &room) {
            assert_eq!(named.name(), action.name());
            found += 1;
        }
    }
    assert_eq!(found, 19);
    let sticker = Action::in_room("send_event:m.sticker", &room).unwrap();
    assert_eq!(sticker.object(), Object::event(&room, "m.sticker"));
    for name in ["", "fly", "join:m.sticker", "create_alias", "kick"] {
        assert!(Action::in_room(name, &room).is_none(), "{name}");
    }
}
