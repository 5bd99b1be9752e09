//! Facts about the policy as a whole, stated through the few helpers of this file.

mod ceilings;
mod classes;
mod doors;
mod guests;
mod lint;
mod manual;
mod people;
mod permits;
mod properties;
mod simulation;
mod space;

use std::sync::Arc;

use ruma::{
    MilliSecondsSinceUnixEpoch, OwnedRoomId, RoomAliasId, RoomId, UInt, UserId, server_name,
};
use vestibule_types::ClassName;

use crate::{
    Action, AliasFact, AliasOrigin, Counts, Decision, Facts, Pins, Policy, PolicyConfig,
    PolicyError, RateFact, Reason, Request, RoomFacts, Subject, Verdict, Warning, compile,
};

/// Guests are let in where an alias, made by a moderator, opens a door.
const OPEN: &str = r#"
    [guests]
    enabled = true
    [aliases]
    create = "moderator"
"#;

fn config(toml: &str) -> PolicyConfig {
    toml::from_str(toml).unwrap()
}

fn policy(toml: &str) -> Policy {
    compiled(toml).0
}

fn compiled(toml: &str) -> (Policy, Vec<Warning>) {
    compile(&config(toml), server_name!("home.test")).unwrap()
}

fn errors(toml: &str) -> Vec<PolicyError> {
    compile(&config(toml), server_name!("home.test")).unwrap_err()
}

fn at(seconds: u32) -> MilliSecondsSinceUnixEpoch {
    MilliSecondsSinceUnixEpoch(UInt::from(seconds) * UInt::from(1_000_u32))
}

/// Long after every account was made.
const NOW: u32 = 100_000_000;

fn account(localpart: &str, class: &str) -> Subject {
    let user = UserId::parse(format!("@{localpart}:home.test")).unwrap();
    Subject::new(user, ClassName::new(class), Some(at(0)))
}

fn guest() -> Subject {
    account("guest-a", "guest")
}

fn room_id() -> OwnedRoomId {
    RoomId::parse("!room:home.test").unwrap()
}

fn row(alias: &str, creator_class: &str, origin: AliasOrigin) -> AliasFact {
    AliasFact {
        alias: RoomAliasId::parse(alias).unwrap(),
        creator: Some(UserId::parse("@maker:home.test").unwrap()),
        creator_class: ClassName::new(creator_class),
        origin,
    }
}

/// A room that admits guests, is hosted, and has no door.
fn closed_room() -> Facts {
    let mut room = RoomFacts::new(&room_id());
    room.guest_can_join = Some(true);
    room.world_readable = Some(true);
    room.has_host = Some(true);
    room.made_here = Some(true);
    let counts = Counts {
        rooms_joined: Some(0),
        guests_in_room: Some(0),
        live_guests: Some(0),
        new_guests_in_minute: Some(0),
        live_from_address: Some(0),
        live_from_network: Some(0),
        day_from_address: Some(0),
        day_from_network: Some(0),
    };
    Facts {
        counts,
        pins: Some(Arc::new(Pins::default())),
        rate: RateFact::Charged,
        ..Facts::of_room(room)
    }
}

/// The same with an alias that a moderator made.
fn open_room() -> Facts {
    let mut facts = closed_room();
    room_mut(&mut facts).aliases = vec![row("#tea:home.test", "moderator", AliasOrigin::User)];
    facts
}

fn room_mut(facts: &mut Facts) -> &mut RoomFacts {
    facts.room.as_mut().unwrap()
}

fn ask(policy: &Policy, facts: &Facts, subject: &Subject, action: Action<'_>) -> Decision {
    policy.decide(facts, &Request::new(subject, action, at(NOW), Some([192, 0, 2, 1].into())))
}

/// The reason for which it is refused, or `None` if it is allowed.
fn refused(
    policy: &Policy,
    facts: &Facts,
    subject: &Subject,
    action: Action<'_>,
) -> Option<Reason> {
    match ask(policy, facts, subject, action).verdict() {
        Verdict::Allow => None,
        Verdict::Deny(reason) => Some(reason),
        Verdict::Limited { .. } => Some(Reason::RateLimited),
    }
}

/// Whether, and why not, the subject may join the room of these facts.
fn join(policy: &Policy, facts: &Facts, subject: &Subject) -> Option<Reason> {
    refused(policy, facts, subject, Action::Join { room: &room_id() })
}
