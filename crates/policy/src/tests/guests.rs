//! What guests may and may not, wherever they are.

use super::*;
use crate::{AccountState, DenialKind, Invitee, RoomKind, kind};

#[test]
fn while_guests_are_off_they_can_only_go() {
    let policy = policy("");
    let room = room_id();
    assert_eq!(join(&policy, &open_room(), &guest()), Some(Reason::GuestsDisabled));
    let register = ask(&policy, &closed_room(), &guest(), Action::RegisterGuest);
    let denial = register.denial().unwrap();
    assert_eq!(denial.reason, Reason::GuestsDisabled);
    assert_eq!(denial.kind, DenialKind::GuestAccessForbidden);
    for action in
        [Action::Leave { room: &room }, Action::Logout, Action::Deactivate, Action::Report]
    {
        assert_eq!(refused(&policy, &open_room(), &guest(), action), None, "{action:?}");
    }
}

#[test]
fn guests_are_answered_as_guests_and_others_as_others() {
    let policy = policy(&format!("{OPEN}\n[class.webchat]\ninherits = 'guest'"));
    let room = room_id();
    let kick = Action::Kick { room: &room, target: &guest().user_id };
    let answer = |subject: &Subject| {
        let denial = ask(&policy, &open_room(), subject, kick).denial().unwrap();
        (denial.kind.status(), denial.kind.errcode())
    };
    assert_eq!(answer(&guest()), (403, "M_GUEST_ACCESS_FORBIDDEN"));
    assert_eq!(answer(&account("shopper", "webchat")), (403, "M_FORBIDDEN"));
}

#[test]
fn power_in_a_room_does_not_lift_the_ceiling() {
    // Facts carry no power levels for these: there is nothing a room could say.
    let policy = policy(OPEN);
    let room = room_id();
    let ada = account("ada", "member");
    let alias = RoomAliasId::parse("#mine:home.test").unwrap();
    let mut facts = open_room();
    facts.has_alias_power = Some(true);
    for action in [
        Action::Kick { room: &room, target: &ada.user_id },
        Action::Ban { room: &room, target: &ada.user_id },
        Action::CreateAlias { alias: &alias, room: &room },
        Action::SendState { room: &room, event_type: "m.room.power_levels", opens: false },
        Action::Invite { room: &room, target: Invitee::Local(&ada) },
        Action::Publish { room: &room },
        Action::Knock { room: &room },
        Action::UpgradeRoom { room: &room },
        Action::Redact { room: &room, own: false },
    ] {
        assert_eq!(
            refused(&policy, &facts, &guest(), action),
            Some(Reason::NotInClass),
            "{action:?}"
        );
    }
}

#[test]
fn guests_make_no_rooms_upload_nothing_and_search_nobody() {
    let policy = policy(OPEN);
    for kind in [RoomKind::Dm, RoomKind::Space, RoomKind::Public, RoomKind::Private] {
        let action = Action::CreateRoom { kind };
        let facts = Facts::default();
        assert_eq!(refused(&policy, &facts, &guest(), action), Some(Reason::NotInClass));
        assert_eq!(refused(&policy, &facts, &account("ada", "member"), action), None);
    }
    for action in [
        Action::Upload,
        Action::SearchUsers,
        Action::SearchMessages,
        Action::PreviewUrl,
        Action::AccountData,
        Action::SetAvatar,
    ] {
        let reason = refused(&policy, &Facts::default(), &guest(), action);
        assert_eq!(reason, Some(Reason::NotInClass), "{action:?}");
    }
}

#[test]
fn guests_send_the_listed_types_only() {
    let policy = policy(OPEN);
    let room = room_id();
    for (event_type, expected) in [
        ("m.room.message", None),
        ("m.room.encrypted", None),
        ("m.reaction", None),
        ("m.poll.start", None),
        ("org.matrix.msc3381.poll.response", None),
        ("m.key.verification.ready", None),
        ("m.call.invite", Some(Reason::EventTypeNotInClass)),
        ("m.room.member", Some(Reason::EventTypeNotInClass)),
        ("org.example.spam", Some(Reason::EventTypeNotInClass)),
    ] {
        let action = Action::SendEvent { room: &room, event_type };
        assert_eq!(refused(&policy, &open_room(), &guest(), action), expected, "{event_type}");
    }
    let own = Action::Redact { room: &room, own: true };
    assert_eq!(refused(&policy, &open_room(), &guest(), own), None);
}

#[test]
fn without_redactions_in_may_send_nothing_is_redacted() {
    let policy = policy(&format!("{OPEN}\n[class.guest]\nmay_send = ['m.room.message']"));
    let room = room_id();
    let own = Action::Redact { room: &room, own: true };
    assert_eq!(refused(&policy, &open_room(), &guest(), own), Some(Reason::NotInClass));
}

#[test]
fn an_invitation_never_widens_the_scope_of_a_guest() {
    let policy = policy(OPEN);
    let (ada, somebody, room) = (account("ada", "member"), guest(), room_id());
    let invite = Action::Invite { room: &room, target: Invitee::Local(&somebody) };
    assert_eq!(refused(&policy, &open_room(), &ada, invite), None);
    assert_eq!(refused(&policy, &closed_room(), &ada, invite), Some(Reason::InviteeOutOfScope));
    let admin = account("root", "admin");
    assert_eq!(refused(&policy, &closed_room(), &admin, invite), Some(Reason::InviteeOutOfScope));
    let from_afar = Action::BeInvited { room: &room };
    assert_eq!(refused(&policy, &closed_room(), &somebody, from_afar), Some(Reason::OutOfScope));
    assert_eq!(refused(&policy, &open_room(), &somebody, from_afar), None);
    // Being invited does not help joining either: no rule looks at it.
    assert_eq!(join(&policy, &closed_room(), &somebody), Some(Reason::OutOfScope));
    let member = account("bob", "member");
    let invite = Action::Invite { room: &room, target: Invitee::Local(&member) };
    assert_eq!(refused(&policy, &closed_room(), &ada, invite), None);
}

#[test]
fn a_guest_link_of_the_sender_does_not_open_for_the_invited() {
    let policy =
        policy(&format!("{OPEN}\n[class.webchat]\ninherits = 'guest'\nmay_also = ['send_invite']"));
    let (shopper, somebody, room) = (account("shopper", "webchat"), guest(), room_id());
    let mut facts = closed_room();
    room_mut(&mut facts).grant =
        Some(crate::GrantFact { room_id: room.clone(), expires_at: at(NOW + 1) });
    assert_eq!(join(&policy, &facts, &shopper), None);
    let invite = Action::Invite { room: &room, target: Invitee::Local(&somebody) };
    assert_eq!(refused(&policy, &facts, &shopper, invite), Some(Reason::InviteeOutOfScope));
    assert_eq!(refused(&policy, &closed_room(), &shopper, invite), Some(Reason::InviteeOutOfScope));
    assert_eq!(refused(&policy, &open_room(), &shopper, invite), None);
}

#[test]
fn facts_are_gathered_for_everyone_whose_scope_is_asked_about() {
    let policy = policy(&format!("{OPEN}\n[class.webchat]\ninherits = 'guest'"));
    let (ada, bob, room) = (account("ada", "member"), account("bob", "member"), room_id());
    let (shopper, somebody) = (account("shopper", "webchat"), guest());
    let whose = |subject: &Subject, target: &Subject| {
        let action = Action::Invite { room: &room, target: Invitee::Local(target) };
        let request = Request::new(subject, action, at(NOW), None);
        let subjects = policy.scoped_subjects(&request);
        subjects.iter().map(|subject| subject.user_id.localpart().to_owned()).collect::<Vec<_>>()
    };
    assert_eq!(whose(&ada, &bob), [""; 0]);
    assert_eq!(whose(&ada, &somebody), ["guest-a"]);
    assert_eq!(whose(&shopper, &somebody), ["shopper", "guest-a"]);
    let join = Request::new(&somebody, Action::Join { room: &room }, at(NOW), None);
    assert_eq!(policy.scoped_subjects(&join), [&somebody]);
}

#[test]
fn a_direct_chat_with_a_guest_is_out_of_scope() {
    let policy = policy(OPEN);
    let (ada, somebody, room) = (account("ada", "member"), guest(), room_id());
    let mut facts = open_room();
    room_mut(&mut facts).is_direct = true;
    let invite = Action::Invite { room: &room, target: Invitee::Local(&somebody) };
    assert_eq!(refused(&policy, &facts, &ada, invite), Some(Reason::InviteeOutOfScope));
    assert_eq!(join(&policy, &facts, &somebody), Some(Reason::DirectChat));
}

#[test]
fn guests_peek_only_into_resident_world_readable_rooms_in_scope() {
    let policy = policy(OPEN);
    let room = room_id();
    let peek = Action::Peek { room: &room };
    assert_eq!(refused(&policy, &open_room(), &guest(), peek), None);
    assert_eq!(refused(&policy, &closed_room(), &guest(), peek), Some(Reason::OutOfScope));
    let mut hidden = open_room();
    room_mut(&mut hidden).world_readable = Some(false);
    assert_eq!(refused(&policy, &hidden, &guest(), peek), Some(Reason::NotWorldReadable));
    let mut absent = open_room();
    room_mut(&mut absent).residency = crate::Residency::Absent;
    assert_eq!(refused(&policy, &absent, &guest(), peek), Some(Reason::NotResident));
}

#[test]
fn strangers_are_not_reached() {
    let policy = policy(OPEN);
    let ada = account("ada", "member");
    let target = &*ada.user_id;
    for action in
        [Action::ToDevice { target }, Action::ClaimKeys { target }, Action::QueryKeys { target }]
    {
        for (shares_room, expected) in [
            (None, Some(Reason::NoSharedRoom)),
            (Some(false), Some(Reason::NoSharedRoom)),
            (Some(true), None),
        ] {
            let facts = Facts { shares_room, ..Facts::default() };
            assert_eq!(refused(&policy, &facts, &guest(), action), expected, "{action:?}");
            assert_eq!(refused(&policy, &facts, &ada, action), None);
        }
    }
    let own = guest();
    let itself = Action::QueryKeys { target: &own.user_id };
    assert_eq!(refused(&policy, &Facts::default(), &own, itself), None);
}

#[test]
fn caps_refuse_with_403_and_caps_by_address_with_429() {
    let policy = policy(OPEN);
    let count = |change: fn(&mut Counts)| {
        let mut facts = open_room();
        change(&mut facts.counts);
        facts
    };
    for (change, reason, status) in [
        ((|counts| counts.live_guests = Some(2000)) as fn(&mut Counts), Reason::CapLive, 403),
        (|counts| counts.new_guests_in_minute = Some(30), Reason::CapNewPerMinute, 403),
        (|counts| counts.live_from_address = Some(3), Reason::CapPerIp, 429),
        (|counts| counts.day_from_address = Some(10), Reason::CapPerIpPerDay, 429),
        (|counts| counts.live_guests = None, Reason::CapUnknown, 403),
    ] {
        let decision = ask(&policy, &count(change), &guest(), Action::RegisterGuest);
        let denial = decision.denial().unwrap();
        assert_eq!((denial.reason, denial.kind.status()), (reason, status));
        assert_eq!(denial.retry_after_ms.is_some(), status == 429, "{reason}");
    }
    for (change, reason) in [
        ((|counts| counts.rooms_joined = Some(5)) as fn(&mut Counts), Reason::CapRoomsEach),
        (|counts| counts.guests_in_room = Some(200), Reason::CapPerRoom),
        (|counts| counts.rooms_joined = None, Reason::CapUnknown),
    ] {
        assert_eq!(join(&policy, &count(change), &guest()), Some(reason));
        assert_eq!(join(&policy, &count(change), &account("ada", "member")), None);
    }
}

#[test]
fn a_network_of_many_prefixes_is_capped_as_a_whole() {
    let policy = policy(OPEN);
    let mut facts = closed_room();
    facts.counts.live_from_network = Some(24);
    let guest = guest();
    let register = |ip: &str| {
        let ip = Some(ip.parse().unwrap());
        policy.decide(&facts, &Request::new(&guest, Action::RegisterGuest, at(NOW), ip)).denial()
    };
    assert_eq!(register("2001:db8::1").unwrap().reason, Reason::CapPerIp);
    assert_eq!(register("192.0.2.1"), None, "IPv4 has no such network");
    assert_eq!(register("::ffff:192.0.2.1"), None, "nor has IPv4 written as IPv6");
}

#[test]
fn a_refusal_is_not_charged_and_an_uncharged_act_gets_no_permit() {
    let policy = policy(OPEN);
    let room = room_id();
    let action = Action::Join { room: &room };
    assert!(ask(&policy, &closed_room(), &guest(), action).charges().is_empty());
    let unpaid = Facts { rate: RateFact::NotCharged, ..open_room() };
    let decision = ask(&policy, &unpaid, &guest(), action);
    assert!(decision.is_allowed());
    assert_eq!(decision.charges().len(), 1);
    assert_eq!(decision.permit::<kind::Join>().unwrap_err().reason, Reason::RateNotCharged);
    let empty = Facts { rate: RateFact::Exhausted { retry_after_ms: 7 }, ..open_room() };
    let denial = ask(&policy, &empty, &guest(), action).denial().unwrap();
    assert_eq!((denial.kind, denial.retry_after_ms), (DenialKind::LimitExceeded, Some(7)));
    assert_eq!(
        join(&policy, &Facts { rate: empty.rate, ..closed_room() }, &guest()),
        Some(Reason::OutOfScope)
    );
}

#[test]
fn suspended_locked_and_expired_accounts_may_what_the_specification_lists() {
    use AccountState::{Deactivated, Expired, Locked, Suspended};
    let policy = policy(OPEN);
    let room = room_id();
    let send = Action::SendEvent { room: &room, event_type: "m.room.message" };
    let leave = Action::Leave { room: &room };
    let own = Action::Redact { room: &room, own: true };
    for (state, action, expected) in [
        (Suspended, send, Some(Reason::AccountSuspended)),
        (Suspended, leave, None),
        (Suspended, own, None),
        (Suspended, Action::Logout, None),
        (Suspended, Action::Report, None),
        (Suspended, Action::AccountData, None),
        (Suspended, Action::Receipt { room: &room }, None),
        (Suspended, Action::ReadMarker { room: &room }, None),
        (Suspended, Action::Typing { room: &room }, Some(Reason::AccountSuspended)),
        (Suspended, Action::SetAvatar, Some(Reason::AccountSuspended)),
        (Suspended, Action::Upload, Some(Reason::AccountSuspended)),
        (Locked, Action::Report, Some(Reason::AccountLocked)),
        (Locked, leave, Some(Reason::AccountLocked)),
        (Locked, Action::Logout, None),
        (Expired, send, Some(Reason::AccountExpired)),
        (Expired, leave, None),
        (Expired, Action::Logout, None),
        (Expired, Action::Stay { room: &room }, Some(Reason::AccountExpired)),
        (Deactivated, leave, None),
        (Deactivated, send, Some(Reason::AccountDeactivated)),
    ] {
        let subject = Subject { state, ..account("ada", "member") };
        let reason = refused(&policy, &open_room(), &subject, action);
        assert_eq!(reason, expected, "{state:?} {action:?}");
    }
    let locked = Subject { state: Locked, ..account("ada", "member") };
    let denial = ask(&policy, &open_room(), &locked, send).denial().unwrap();
    assert_eq!((denial.kind.status(), denial.kind.errcode()), (401, "M_USER_LOCKED"));
}
