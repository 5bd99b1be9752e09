//! The table of classes × abilities, held in a file: what each built-in class may, before scope.

use std::fmt::Write;

use super::*;
use crate::{Ability, CallRefusal, EndpointRule};

const CLASSES: [&str; 6] = ["guest", "member", "moderator", "admin", "appservice", "system"];

#[test]
fn who_may_make_no_public_room_may_not_make_a_room_public() {
    let policy = policy("[class.newcomer]\ninherits = 'member'\nmay_not = ['create_room.public']");
    let (here, facts) = (room_id(), open_room());
    for (opens, expected) in [(true, Some(Reason::NotInClass)), (false, None)] {
        let action = Action::SendState { room: &here, event_type: "m.room.join_rules", opens };
        assert_eq!(refused(&policy, &facts, &account("new", "newcomer"), action), expected);
        assert_eq!(refused(&policy, &facts, &account("ada", "member"), action), None);
    }
}

#[test]
fn the_built_in_ceilings_are_the_ones_in_the_file() {
    let policy = policy(OPEN);
    let mut table = String::new();
    for ability in Ability::ALL {
        let may: Vec<_> = CLASSES
            .into_iter()
            .filter(|class| policy.class(&ClassName::new(class)).unwrap().may(*ability))
            .collect();
        writeln!(table, "{:<20} {}", ability.name(), may.join(" ")).unwrap();
    }
    insta::assert_snapshot!(table);
}

#[test]
fn an_endpoint_asks_for_login_class_or_ability() {
    use EndpointRule::{
        Admin, Anonymous, Appservice, Authenticated, May, MayAny, PublicDirectory, Unclassified,
    };
    let policy = policy(OPEN);
    let either = MayAny(&[Ability::SendState, Ability::Join]);
    let upload = May(Ability::UploadMedia);
    for (rule, allowed) in [
        (Unclassified, "member moderator admin appservice system"),
        (Anonymous, "nobody guest member moderator admin appservice system"),
        (PublicDirectory, "guest member moderator admin appservice system"),
        (Authenticated, "guest member moderator admin appservice system"),
        (May(Ability::Join), "guest member moderator admin appservice system"),
        (May(Ability::Logout), "guest member moderator admin appservice system"),
        (upload, "member moderator admin appservice system"),
        (either, "guest member moderator admin appservice system"),
        (Admin, "admin system"),
        (Appservice, "appservice"),
    ] {
        let mut may = Vec::new();
        if policy.may_call(None, rule).is_ok() {
            may.push("nobody");
        }
        let called = |class: &&str| policy.may_call(Some(&ClassName::new(class)), rule).is_ok();
        may.extend(CLASSES.into_iter().filter(called));
        assert_eq!(may.join(" "), allowed, "{rule:?}");
    }
    assert_eq!(policy.may_call(None, upload), Err(CallRefusal::LoginNeeded));
}

#[test]
fn a_class_that_is_gone_may_call_what_everybody_may() {
    let policy = policy(OPEN);
    let gone = ClassName::new("gone");
    assert!(policy.may_call(Some(&gone), EndpointRule::Authenticated).is_ok());
    assert!(policy.may_call(Some(&gone), EndpointRule::May(Ability::Leave)).is_ok());
    for rule in [EndpointRule::Unclassified, EndpointRule::Admin, EndpointRule::May(Ability::Join)]
    {
        assert!(policy.may_call(Some(&gone), rule).is_err(), "{rule:?}");
    }
}

#[test]
fn the_directory_is_shown_without_login_only_if_written() {
    let shown = policy("[directory]\nvisible_without_login = true");
    assert!(shown.may_call(None, EndpointRule::PublicDirectory).is_ok());
    assert!(policy("").may_call(None, EndpointRule::PublicDirectory).is_err());
}

#[test]
fn the_state_of_an_account_narrows_its_endpoints() {
    use crate::AccountState::{Expired, Locked, Suspended};
    let policy = policy(OPEN);
    let reading = EndpointRule::Authenticated;
    let state_or_join = EndpointRule::MayAny(&[Ability::SendState, Ability::Join]);
    let redact = EndpointRule::MayAny(&[Ability::RedactOwn, Ability::RedactOther]);
    for (state, rule, expected) in [
        (Suspended, reading, None),
        (Suspended, state_or_join, Some(Reason::AccountSuspended)),
        (Suspended, redact, None),
        (Suspended, EndpointRule::May(Ability::Leave), None),
        (Suspended, EndpointRule::May(Ability::Pushers), None),
        (Suspended, EndpointRule::May(Ability::PushRules), None),
        (Suspended, EndpointRule::May(Ability::Presence), Some(Reason::AccountSuspended)),
        (Locked, reading, Some(Reason::AccountLocked)),
        (Locked, EndpointRule::May(Ability::Logout), None),
        (Locked, EndpointRule::Anonymous, None),
        (Locked, EndpointRule::PublicDirectory, Some(Reason::AccountLocked)),
        (Expired, reading, Some(Reason::AccountExpired)),
        (Expired, EndpointRule::May(Ability::Logout), None),
    ] {
        let subject = Subject { state, ..account("ada", "member") };
        let reason = match policy.admit(&subject, rule) {
            Err(CallRefusal::Denied(denial)) => Some(denial.reason),
            Err(CallRefusal::LoginNeeded) => panic!("somebody is logged in"),
            Ok(()) => None,
        };
        assert_eq!(reason, expected, "{state:?} {rule:?}");
    }
}
