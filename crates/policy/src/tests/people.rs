//! Aliases, the directory, names and classes: what people of each class may.

use super::*;
use crate::{GuardAnswer, PowerFacts, Rung};

const LAST: PowerFacts = PowerFacts {
    can_change_power: true,
    still_can_afterwards: false,
    others_joined: 3,
    others_able: 0,
    is_direct: false,
    deactivating: false,
    refused_ms_ago: None,
};

fn create(policy: &Policy, class: &str, alias: &str) -> Option<Reason> {
    let alias = RoomAliasId::parse(alias).unwrap();
    let room = room_id();
    let action = Action::CreateAlias { alias: &alias, room: &room };
    refused(policy, &closed_room(), &account("ada", class), action)
}

#[test]
fn members_name_rooms_until_doors_hang_on_names() {
    let plain = policy("");
    assert_eq!(plain.alias_creators(), Rung::Member);
    assert_eq!(create(&plain, "member", "#tea:home.test"), None);
    let open = policy(OPEN);
    assert_eq!(create(&open, "member", "#tea:home.test"), Some(Reason::AliasClassTooLow));
    assert_eq!(create(&open, "moderator", "#tea:home.test"), None);
    assert_eq!(create(&open, "admin", "#tea:home.test"), None);
    assert_eq!(create(&open, "guest", "#tea:home.test"), Some(Reason::NotInClass));
}

#[test]
fn members_have_a_prefix_of_their_own_and_no_other() {
    let policy = policy(OPEN);
    assert_eq!(create(&policy, "member", "#~ada~tea:home.test"), None);
    assert_eq!(create(&policy, "member", "#~bob~tea:home.test"), Some(Reason::AliasClassTooLow));
    assert_eq!(create(&policy, "member", "#~adaa~tea:home.test"), Some(Reason::AliasClassTooLow));
    let mut facts = closed_room();
    room_mut(&mut facts).aliases = vec![row("#~ada~tea:home.test", "member", AliasOrigin::User)];
    assert_eq!(join(&policy, &facts, &guest()), Some(Reason::OutOfScope));
}

#[test]
fn nobody_names_rooms_for_another_server() {
    for class in ["member", "moderator", "admin", "system"] {
        assert_eq!(create(&policy(""), class, "#tea:evil.test"), Some(Reason::AliasForeign));
    }
}

#[test]
fn protected_names_and_what_looks_like_them_are_for_admins() {
    let policy = policy(
        r##"
        [guests]
        enabled = true
        open_rooms_by = ["alias", "list"]
        list = ["#welcome:home.test"]
        never = ["#staff:home.test"]
        [aliases]
        create = "moderator"
        protected = ["#*support*", "#admin*"]
        members_may = ["#~{localpart}~*:{server.name}"]
        "##,
    );
    for alias in [
        "#support:home.test",
        "#our-SUPPORT-desk:home.test",
        "#ѕuррοrt:home.test",
        "#Admin:home.test",
        "#welcome:home.test",
        "#WELCOME:home.test",
        "#staff:home.test",
        "#ѕtaff:home.test",
        "#~ada~support:home.test",
    ] {
        assert_eq!(create(&policy, "moderator", alias), Some(Reason::AliasProtected), "{alias}");
        assert_eq!(create(&policy, "admin", alias), None, "{alias}");
    }
    assert_eq!(create(&policy, "moderator", "#sport:home.test"), None);
    assert_eq!(create(&policy, "moderator", "#welcome2:home.test"), None);
}

#[test]
fn an_application_service_names_rooms_in_its_namespace_only() {
    let policy = policy(OPEN);
    let alias = RoomAliasId::parse("#irc_tea:home.test").unwrap();
    let room = room_id();
    let action = Action::CreateAlias { alias: &alias, room: &room };
    let ghost = account("irc_ada", "appservice");
    let mut facts = closed_room();
    assert_eq!(refused(&policy, &facts, &ghost, action), Some(Reason::AliasOutsideNamespace));
    facts.in_own_namespace = true;
    assert_eq!(refused(&policy, &facts, &ghost, action), None);
}

#[test]
fn who_may_delete_an_alias() {
    let (alias, room) = (RoomAliasId::parse("#tea:home.test").unwrap(), room_id());
    let action = Action::DeleteAlias { alias: &alias, room: &room };
    let (plain, open) = (policy(""), policy(OPEN));
    let mut facts = closed_room();
    assert_eq!(
        refused(&plain, &facts, &account("ada", "member"), action),
        Some(Reason::FactsMissing),
        "the row was not looked up"
    );
    facts.alias = Some(row("#tea:home.test", "member", AliasOrigin::User));
    let powerful = Facts { has_alias_power: Some(true), ..facts.clone() };
    for (policy, facts, who, class, expected) in [
        (&plain, &facts, "maker", "member", None),
        (&plain, &facts, "ada", "member", Some(Reason::AliasNotYours)),
        (&plain, &powerful, "ada", "member", None),
        (&plain, &facts, "mo", "moderator", None),
        (&open, &facts, "maker", "member", None),
        (&open, &powerful, "ada", "member", Some(Reason::AliasNotYours)),
        (&open, &facts, "mo", "moderator", None),
        (&open, &powerful, "guest-a", "guest", Some(Reason::NotInClass)),
    ] {
        let reason = refused(policy, facts, &account(who, class), action);
        assert_eq!(reason, expected, "{who} {class}");
    }
}

#[test]
fn an_upgrade_moves_an_alias_only_for_those_who_may_make_it() {
    let (alias, successor) = (RoomAliasId::parse("#tea:home.test").unwrap(), room_id());
    let action = Action::MoveAlias { alias: &alias, room: &successor };
    let mut facts = closed_room();
    facts.alias = Some(row("#tea:home.test", "moderator", AliasOrigin::User));
    let never = policy(&format!("{OPEN}\nfollow_upgrade = 'never'"));
    for (policy, who, class, expected) in [
        (policy(OPEN), "ada", "member", Some(Reason::AliasClassTooLow)),
        (policy(OPEN), "mo", "moderator", None),
        (policy(OPEN), "maker", "member", None),
        (policy(""), "ada", "member", None),
        (never, "mo", "moderator", Some(Reason::AliasStays)),
    ] {
        assert_eq!(
            refused(&policy, &facts, &account(who, class), action),
            expected,
            "{who} {class}"
        );
    }
}

#[test]
fn publishing_follows_aliases_create_unless_it_is_written() {
    let room = room_id();
    let publish = Action::Publish { room: &room };
    let ada = account("ada", "member");
    assert_eq!(refused(&policy(""), &closed_room(), &ada, publish), None);
    let open = policy(OPEN);
    assert_eq!(refused(&open, &closed_room(), &ada, publish), Some(Reason::PublishClassTooLow));
    assert_eq!(refused(&open, &closed_room(), &account("mo", "moderator"), publish), None);
    let lax = policy(&format!("{OPEN}\n[directory]\npublish = 'member'"));
    assert_eq!(refused(&lax, &closed_room(), &ada, publish), None);
}

#[test]
fn searching_users_takes_a_class() {
    let policy =
        policy("[users]\nsearchable_by = 'moderator'\n[class.external]\ninherits = 'member'");
    for (class, expected) in [
        ("member", Some(Reason::SearchClassTooLow)),
        ("external", Some(Reason::SearchClassTooLow)),
        ("moderator", None),
        ("admin", None),
    ] {
        let reason =
            refused(&policy, &Facts::default(), &account("ada", class), Action::SearchUsers);
        assert_eq!(reason, expected, "{class}");
    }
}

#[test]
fn low_trust_names_carry_the_suffix_and_do_not_pass_for_others() {
    let policy = policy(OPEN);
    let class = ClassName::guest();
    assert_eq!(policy.display_name(&class, "Ada"), "Ada (guest)");
    assert_eq!(policy.display_name(&class, "Ada (guest)"), "Ada (guest)");
    assert_eq!(policy.display_name(&ClassName::member(), "Ada"), "Ada");
    for (name, expected) in [
        ("Ada", None),
        ("Support", Some(Reason::NameProtected)),
        ("ѕuррοrt", Some(Reason::NameProtected)),
        ("support (guest)", Some(Reason::NameProtected)),
        ("@root:home.test", Some(Reason::NameProtected)),
        ("\u{202e}enimda", Some(Reason::NameDisguised)),
        ("\u{2066}x", Some(Reason::NameDisguised)),
        ("a\nb", Some(Reason::NameDisguised)),
        ("x\0y", Some(Reason::NameDisguised)),
        ("Ada\u{200f}", None),
    ] {
        let action = Action::SetDisplayname { name: Some(name) };
        assert_eq!(refused(&policy, &Facts::default(), &guest(), action), expected, "{name}");
        assert_eq!(refused(&policy, &Facts::default(), &account("ada", "member"), action), None);
    }
    let unset = Action::SetDisplayname { name: None };
    assert_eq!(refused(&policy, &Facts::default(), &guest(), unset), None);
}

#[test]
fn a_guest_is_never_made_more_than_a_guest() {
    let policy = policy(&format!("{OPEN}\n[class.webchat]\ninherits = 'guest'"));
    let (root, ada, somebody) = (account("root", "admin"), account("ada", "member"), guest());
    for (by, target, class, expected) in [
        (&root, &somebody, "admin", Some(Reason::GuestStaysGuest)),
        (&root, &somebody, "member", Some(Reason::GuestStaysGuest)),
        (&root, &somebody, "webchat", None),
        (&root, &ada, "moderator", None),
        (&root, &ada, "admin", None),
        (&root, &ada, "webchat", None),
        (&root, &ada, "guest", Some(Reason::ClassUnassignable)),
        (&root, &ada, "system", Some(Reason::ClassUnassignable)),
        (&root, &ada, "appservice", Some(Reason::ClassUnassignable)),
        (&root, &ada, "nonesuch", Some(Reason::ClassUnknown)),
        (&ada, &ada, "admin", Some(Reason::NotInClass)),
        (&somebody, &somebody, "admin", Some(Reason::GuestStaysGuest)),
    ] {
        let class_name = ClassName::new(class);
        let action = Action::AssignClass { target, class: &class_name };
        let reason = refused(&policy, &Facts::default(), by, action);
        assert_eq!(reason, expected, "{} {class}", by.user_id);
    }
    let mut first = ada.clone();
    first.class = ClassName::moderator();
    let admin = ClassName::admin();
    let action = Action::AssignClass { target: &ada, class: &admin };
    assert_eq!(refused(&policy, &Facts::default(), &first, action), Some(Reason::NotInClass));
}

#[test]
fn application_services_do_not_act_as_guests() {
    let policy = policy(&format!("{OPEN}\n[class.webchat]\ninherits = 'guest'"));
    for (class, allowed) in
        [("guest", false), ("webchat", false), ("system", false), ("gone", false), ("member", true)]
    {
        assert_eq!(policy.may_masquerade(&account("x", class)).is_ok(), allowed, "{class}");
    }
}

#[test]
fn the_last_one_in_power_is_told_or_asked_twice() {
    use GuardAnswer::{Proceed, ProceedAndTell, RefuseOnce};
    let warn = policy("");
    let once = policy("[rooms]\nlast_admin_guard = 'refuse_once'");
    let off = policy("[rooms]\nlast_admin_guard = 'off'");
    for (policy, facts, expected) in [
        (&warn, LAST, ProceedAndTell),
        (&off, LAST, Proceed),
        (&once, LAST, RefuseOnce),
        (&once, PowerFacts { refused_ms_ago: Some(600_000), ..LAST }, ProceedAndTell),
        (&once, PowerFacts { refused_ms_ago: Some(600_001), ..LAST }, RefuseOnce),
        (&once, PowerFacts { is_direct: true, ..LAST }, Proceed),
        (&once, PowerFacts { others_joined: 0, ..LAST }, Proceed),
        (&once, PowerFacts { others_able: 1, ..LAST }, Proceed),
        (&once, PowerFacts { deactivating: true, ..LAST }, Proceed),
        (&once, PowerFacts { can_change_power: false, ..LAST }, Proceed),
        (&once, PowerFacts { still_can_afterwards: true, ..LAST }, Proceed),
    ] {
        assert_eq!(policy.last_admin_guard(facts), expected, "{facts:?}");
    }
}
