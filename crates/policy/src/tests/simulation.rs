//! Another policy on what was recorded.

use super::*;
use crate::{Act, Flip, Invitee, PolicyHandle, Recording, RoomKind};

/// A handle that has recorded one question under a policy.
fn recorded(toml: &str, facts: &Facts, subject: &Subject, action: Action<'_>) -> PolicyHandle {
    let handle = PolicyHandle::new(policy(toml));
    record(&handle, facts, subject, action);
    handle
}

fn record(handle: &PolicyHandle, facts: &Facts, subject: &Subject, action: Action<'_>) {
    let request = Request::new(subject, action, at(NOW), Some([192, 0, 2, 77].into()));
    let decision = handle.current().decide(facts, &request);
    handle.record(facts, &request, &decision);
}

/// As it arrives where it is asked for.
fn sent(recording: &Recording) -> Recording {
    serde_json::from_str(&serde_json::to_string(recording).unwrap()).unwrap()
}

#[test]
fn a_policy_without_the_alias_flips_the_join_it_let_in() {
    let room = room_id();
    let handle = recorded(OPEN, &open_room(), &guest(), Action::Join { room: &room });
    let recording = sent(&handle.recording());
    assert_eq!(handle.current().simulate(&recording, 5).flips, 0);

    let closed =
        policy(&OPEN.replace("enabled = true", "enabled = true\nalias = \"#none:home.test\""));
    let told = closed.simulate(&recording, 5);
    assert_eq!((told.tried, told.flips, told.untold), (1, 1, 0));
    let Flip { action, now, then, what_would_allow, .. } = &told.examples[0];
    assert_eq!((*action, &**now, &**then), ("join", "allow", "deny: out_of_scope"));
    assert!(what_would_allow.as_ref().is_some_and(|what| what.contains("#none:home.test")));
    assert!(closed.simulate(&recording, 0).examples.is_empty(), "no more than asked for");
}

#[test]
fn a_policy_that_opens_the_room_flips_the_refusal() {
    let room = room_id();
    let handle = recorded(OPEN, &closed_room(), &guest(), Action::Join { room: &room });
    let open = "open_rooms_by = [\"alias\", \"list\"]\nlist = [\"!room:home.test\"]";
    let open = policy(&OPEN.replace("enabled = true", &format!("enabled = true\n{open}")));
    let told = open.simulate(&sent(&handle.recording()), 5);
    assert_eq!((told.flips, &*told.examples[0].then), (1, "allow"));
}

#[test]
fn what_was_not_looked_up_is_not_told() {
    let room = room_id();
    // For a member nobody looked where the room's aliases are.
    let mut facts = closed_room();
    facts.pins = None;
    let handle = recorded(OPEN, &facts, &account("ada", "newcomer"), Action::Join { room: &room });
    let class = "[class.newcomer]\ninherits = \"member\"\n";
    let handle_member = recorded(
        &format!("{OPEN}{class}"),
        &facts,
        &account("ada", "newcomer"),
        Action::Join { room: &room },
    );
    let confined = format!("{OPEN}{class}scope = {{ list = [\"#tea:home.test\"] }}\n");
    let told = policy(&confined).simulate(&sent(&handle_member.recording()), 5);
    assert_eq!((told.flips, told.untold), (0, 1));
    assert_eq!(told.unpinned, ["#tea:home.test"]);
    // A class that was unknown then, and is not now, was looked up for like a guest.
    let told = policy(&format!("{OPEN}{class}")).simulate(&sent(&handle.recording()), 5);
    assert_eq!((told.tried, told.flips, told.untold), (1, 1, 0));
}

#[test]
fn a_recording_says_what_the_policy_in_force_says_now() {
    let room = room_id();
    let handle = recorded(OPEN, &open_room(), &guest(), Action::Join { room: &room });
    handle.swap(policy("[guests]\nenabled = false\n").at_epoch(2));
    let recording = sent(&handle.recording());
    assert_eq!(recording.decisions[0].verdict, Verdict::Deny(Reason::GuestsDisabled));
    assert_eq!(handle.current().simulate(&recording, 5).flips, 0);
    assert_eq!(policy(OPEN).simulate(&recording, 5).flips, 1);
}

#[test]
fn the_newest_of_each_action_are_kept_and_refusals_apart() {
    use vestibule_types::limits::RECORDED_OF_ACTION_MAX;
    let room = room_id();
    let handle = recorded(OPEN, &closed_room(), &guest(), Action::Join { room: &room });
    for _ in 0..3 * RECORDED_OF_ACTION_MAX {
        record(&handle, &open_room(), &guest(), Action::Join { room: &room });
        record(&handle, &open_room(), &guest(), Action::Leave { room: &room });
    }
    let recording = handle.recording();
    assert_eq!(recording.decisions.len(), 2 * RECORDED_OF_ACTION_MAX + 1);
    assert_eq!(recording.pins.len(), 1, "what is the same is kept once");
    let address = recording.decisions[0].address.unwrap();
    assert_eq!(address.to_string(), "192.0.2.0");
}

#[test]
fn of_what_people_do_all_the_time_a_sample_is_taken() {
    use vestibule_types::limits::RECORDED_EVERY;
    let handle = PolicyHandle::new(policy(OPEN));
    let taken = |action: &str| (0..10 * RECORDED_EVERY).filter(|_| handle.samples(action)).count();
    assert_eq!((taken("send_event"), taken("typing")), (10, 10));
    assert_eq!(taken("join"), usize::try_from(10 * RECORDED_EVERY).unwrap());
}

#[test]
fn every_question_is_the_same_when_it_is_asked_again() {
    let (room, user) = (room_id(), UserId::parse("@b:home.test").unwrap());
    let alias = RoomAliasId::parse("#tea:home.test").unwrap();
    let (ada, class) = (account("ada", "member"), ClassName::member());
    let (room, alias, target) = (&*room, &*alias, &*user);
    let server = server_name!("b.test");
    let actions = [
        Action::Join { room },
        Action::Invite { room, target: Invitee::Local(&ada) },
        Action::Invite { room, target: Invitee::Remote(target) },
        Action::Invite { room, target: Invitee::Unknown(target) },
        Action::Kick { room, target },
        Action::SendEvent { room, event_type: "m.room.message" },
        Action::Redact { room, own: true },
        Action::CreateRoom { kind: RoomKind::Space },
        Action::CreateAlias { alias, room },
        Action::SetDisplayname { name: Some("Ada") },
        Action::SetDisplayname { name: None },
        Action::SetAvatar,
        Action::LookupProfile { target },
        Action::BrowseRemoteDirectory { server },
        Action::AssignClass { target: &ada, class: &class },
        Action::ApproveSpaceChild { space: room, child: room },
    ];
    for action in actions {
        let kept = Act::of(action);
        let json = serde_json::to_string(&kept).unwrap();
        let read: Act = serde_json::from_str(&json).unwrap();
        assert_eq!(read, kept, "{json}");
        assert_eq!(format!("{:?}", read.action()), format!("{action:?}"));
    }
}
