//! Classes of the operator's own.

use super::*;
use crate::{Ability, Class, Rate, RateKey, RatePer, RateWho};

fn class<'a>(policy: &'a Policy, name: &str) -> &'a Class {
    policy.class(&ClassName::new(name)).unwrap()
}

#[test]
fn a_written_key_replaces_only_that_key() {
    let policy = policy(&format!("{OPEN}\n[class.guest]\nname_suffix = ' (visitor)'"));
    let guest = class(&policy, "guest");
    assert_eq!(guest.name_suffix(), Some(" (visitor)"));
    assert!(guest.may(Ability::Join) && !guest.may(Ability::UploadMedia));
    assert!(!guest.may_send_type("m.call.invite"));
    assert_eq!(guest.rates(RateKey::Message), [Rate::per_minute(6, 10)]);
    assert!(guest.scope().is_some());
}

#[test]
fn one_rate_is_replaced_and_the_others_stay() {
    let toml =
        "[class.guest.rates]\nmessage = '60/min'\njoin = 'off'\ninvite = ['1/h', '5/d per room']";
    let policy = policy(toml);
    let guest = class(&policy, "guest");
    assert_eq!(guest.rates(RateKey::Message), [Rate::per_minute(60, 60)]);
    assert_eq!(guest.rates(RateKey::Join), []);
    assert_eq!(guest.rates(RateKey::Invite).len(), 2);
}

#[test]
fn children_inherit_and_narrow_and_widen_as_written() {
    let policy = policy(
        r#"
        [aliases]
        create = "moderator"
        [class.webchat]
        inherits = "guest"
        may_also = ["upload_media", "set_avatar"]
        [class.kiosk]
        inherits = "webchat"
        may_not = ["set_avatar"]
        "#,
    );
    let kiosk = class(&policy, "kiosk");
    assert!(kiosk.may(Ability::UploadMedia));
    assert!(!kiosk.may(Ability::SetAvatar));
    assert!(kiosk.is_guest_like() && kiosk.is_low_trust());
    assert_eq!(kiosk.name_suffix(), Some(" (guest)"));
    assert_eq!(kiosk.rates(RateKey::Join), [Rate::per_minute(3, 3)]);
}

#[test]
fn a_class_may_have_a_scope_of_its_own() {
    let toml = format!(
        "{OPEN}\n[class.webchat]\ninherits = 'guest'\nscope = {{ list = ['!room:home.test'] }}"
    );
    let policy = policy(&toml);
    let shopper = account("shopper", "webchat");
    assert_eq!(join(&policy, &closed_room(), &shopper), None);
    let mut elsewhere = open_room();
    let other = RoomId::parse("!other:home.test").unwrap();
    room_mut(&mut elsewhere).room_id = other.clone();
    let reason = refused(&policy, &elsewhere, &shopper, Action::Join { room: &other });
    assert_eq!(reason, Some(Reason::OutOfScope), "the guests' alias does not open it");
    assert_eq!(refused(&policy, &elsewhere, &guest(), Action::Join { room: &other }), None);
}

#[test]
fn a_newcomer_is_a_member_with_less_for_a_day() {
    let policy = policy(
        r#"
        [class.newcomer]
        assign = { age_below = "24h" }
        inherits = "member"
        may_not = ["create_room.public", "create_alias", "publish", "send_invite"]
        [class.fresh]
        assign = { age_below = "1h" }
        inherits = "newcomer"
        may_not = ["upload_media"]
        "#,
    );
    let day = 86_400;
    let aged = |age: u32| Subject { created_at: Some(at(NOW - age)), ..account("ada", "member") };
    let class_at = |subject: &Subject| {
        policy.effective_class(subject, at(NOW)).unwrap().name().as_str().to_owned()
    };
    assert_eq!(class_at(&aged(0)), "fresh");
    assert_eq!(class_at(&aged(3_599)), "fresh");
    assert_eq!(class_at(&aged(3_600)), "newcomer");
    assert_eq!(class_at(&aged(day - 1)), "newcomer");
    assert_eq!(class_at(&aged(day)), "member");
    let ageless = Subject { created_at: None, ..account("ada", "member") };
    assert_eq!(class_at(&ageless), "fresh", "an unknown age is no age");
    let moderator = Subject { class: ClassName::moderator(), ..aged(0) };
    assert_eq!(class_at(&moderator), "moderator", "only members are new");

    let room = room_id();
    let publish = Action::Publish { room: &room };
    assert_eq!(refused(&policy, &closed_room(), &aged(10), publish), Some(Reason::NotInClass));
    assert_eq!(refused(&policy, &closed_room(), &aged(day), publish), None);
    assert_eq!(ask(&policy, &closed_room(), &aged(10), publish).class().as_str(), "fresh");
}

#[test]
fn an_account_of_a_class_that_is_gone_can_only_go() {
    let policy = policy(OPEN);
    let orphan = account("ada", "webchat");
    let room = room_id();
    let send = Action::SendEvent { room: &room, event_type: "m.room.message" };
    assert_eq!(refused(&policy, &open_room(), &orphan, send), Some(Reason::ClassUnknown));
    assert_eq!(join(&policy, &open_room(), &orphan), Some(Reason::ClassUnknown));
    assert_eq!(refused(&policy, &open_room(), &orphan, Action::Leave { room: &room }), None);
    assert!(policy.is_scoped(&orphan.class));
}

#[test]
fn buckets_are_shared_as_the_rate_says() {
    let toml = "[class.guest.rates]\nmessage = ['6/min', '60/min per room', '9/min per ip', '99/s per class']";
    let policy = policy(&format!("{OPEN}{toml}"));
    let room = room_id();
    let send = Action::SendEvent { room: &room, event_type: "m.room.message" };
    let decision = ask(&policy, &open_room(), &guest(), send);
    let who: Vec<_> = decision.charges().iter().map(|charge| charge.who.clone()).collect();
    let address = crate::AddressBlock::of([192, 0, 2, 1].into());
    assert_eq!(
        who,
        [
            RateWho::Subject(guest().user_id),
            RateWho::Room(room.clone()),
            RateWho::Address(address),
            RateWho::Class
        ]
    );
    assert_eq!(decision.charges()[1].rate.per, RatePer::Room);
}

#[test]
fn a_provider_brings_its_class() {
    let policy = policy(&format!(
        "{OPEN}\n[class.webchat]\ninherits = 'guest'\nassign = {{ sso = 'shop' }}"
    ));
    assert_eq!(policy.class_by_sso("shop").as_str(), "webchat");
    assert_eq!(policy.class_by_sso("github").as_str(), "member");
}

#[test]
fn observing_writes_down_what_ceiling_and_scope_would_refuse() {
    let toml = format!(
        "{OPEN}\n[audit]\nmode = 'observe'\n[class.kiosk]\ninherits = 'guest'\n\
         scope = {{ list = ['!x:home.test'], never = ['!room:home.test'] }}"
    );
    let (policy, warnings) = compiled(&toml);
    assert!(warnings.iter().any(|warning| warning.key == "audit.mode"));
    let room = room_id();
    let decision = ask(&policy, &closed_room(), &guest(), Action::Join { room: &room });
    assert!(decision.is_allowed());
    assert_eq!(decision.observed(), Some(Reason::OutOfScope));
    let mut facts = closed_room();
    room_mut(&mut facts).guest_can_join = Some(false);
    assert_eq!(join(&policy, &facts, &guest()), Some(Reason::GuestAccessMissing));
    let kiosk = account("k", "kiosk");
    assert_eq!(
        join(&policy, &open_room(), &kiosk),
        Some(Reason::RoomNever),
        "never is never observed"
    );
}
