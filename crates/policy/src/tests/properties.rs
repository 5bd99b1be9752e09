//! What holds for every policy, every room and every act, on random inputs.

use std::sync::Arc;

use proptest::{prelude::*, sample::select};
use ruma::OwnedRoomAliasId;

use super::*;
use crate::{
    AccountState, Class, GrantFact, GuestsConfig, Invitee, Outcome, PermitKind, PolicyHandle,
    Recording, Residency, RoomKind, SpaceConfig, SpaceFact, SpaceFinding, Texts, kind,
};

const ALIASES: [&str; 5] = [
    "#tea:home.test",
    "#staff:home.test",
    "#~ada~tea:home.test",
    "#pub-tea:home.test",
    "#tea:evil.test",
];
const CLASSES: [&str; 8] =
    ["guest", "webchat", "newcomer", "member", "moderator", "admin", "appservice", "gone"];
const LADDER: [&str; 4] = ["guest", "member", "moderator", "admin"];
const ROOMS: [&str; 3] = ["!room:home.test", "!other:home.test", "!space"];

fn alias(index: usize) -> OwnedRoomAliasId {
    RoomAliasId::parse(ALIASES[index]).unwrap()
}

/// Every action, about these.
pub(super) fn every_action<'a>(
    room: &'a RoomId,
    user: &'a UserId,
    alias: &'a RoomAliasId,
    (target, class): (&'a Subject, &'a ClassName),
) -> Vec<Action<'a>> {
    vec![
        Action::Join { room },
        Action::Stay { room },
        Action::Discover { room },
        Action::Peek { room },
        Action::Knock { room },
        Action::Leave { room },
        Action::Invite { room, target: Invitee::Local(target) },
        Action::Invite { room, target: Invitee::Remote(user) },
        Action::BeInvited { room },
        Action::Kick { room, target: user },
        Action::Ban { room, target: user },
        Action::Unban { room, target: user },
        Action::SendEvent { room, event_type: "m.room.message" },
        Action::SendEvent { room, event_type: "m.call.invite" },
        Action::SendState { room, event_type: "m.room.topic", opens: false },
        Action::SendState { room, event_type: "m.room.join_rules", opens: true },
        Action::Rename { room, name: Some("Ada") },
        Action::Redact { room, own: true },
        Action::Redact { room, own: false },
        Action::CreateRoom { kind: RoomKind::Dm },
        Action::CreateRoom { kind: RoomKind::Space },
        Action::CreateRoom { kind: RoomKind::Public },
        Action::CreateRoom { kind: RoomKind::Private },
        Action::UpgradeRoom { room },
        Action::CreateAlias { alias, room },
        Action::DeleteAlias { alias, room },
        Action::MoveAlias { alias, room },
        Action::Publish { room },
        Action::SetDisplayname { name: Some("support") },
        Action::SetDisplayname { name: Some("Ada") },
        Action::SetAvatar,
        Action::SetProfileField,
        Action::Typing { room },
        Action::Receipt { room },
        Action::ReadMarker { room },
        Action::Report,
        Action::UploadKeys,
        Action::QueryKeys { target: user },
        Action::ClaimKeys { target: user },
        Action::ToDevice { target: user },
        Action::LookupProfile { target: user },
        Action::SearchUsers,
        Action::SearchMessages,
        Action::PreviewUrl,
        Action::Upload,
        Action::AccountData,
        Action::ResolveRemoteAlias { alias },
        Action::BrowseRemoteDirectory { server: alias.server_name() },
        Action::Logout,
        Action::Deactivate,
        Action::RegisterGuest,
        Action::AssignClass { target, class },
    ]
}

fn texts(words: &'static [&'static str]) -> impl Strategy<Value = Vec<String>> {
    prop::sample::subsequence(words.to_vec(), 0..=words.len())
        .prop_map(|words| words.into_iter().map(str::to_owned).collect())
}

prop_compose! {
    fn guests()(
        enabled in prop::bool::weighted(0.9),
        open_rooms_by in texts(&["alias", "list", "space", "any"]),
        pattern in select(&["#*:home.test", "#pub-*:home.test"][..]),
        list in texts(&["!room:home.test", "#tea:home.test"]),
        never in texts(&["!other:home.test", "#staff:home.test"]),
        need_host in any::<bool>(),
        federated_join in select(&["never", "resident-only", "in-scope"][..]),
        keeps in any::<bool>(),
        rooms_each in 1_u64..4,
    ) -> GuestsConfig {
        let mut guests = GuestsConfig {
            enabled, open_rooms_by, alias: Texts::from(pattern), list, never, need_host,
            federated_join: federated_join.to_owned(),
            space: vec![SpaceConfig { id: "!space".to_owned(), ..SpaceConfig::default() }],
            ..GuestsConfig::default()
        };
        guests.caps.rooms_each = rooms_each;
        if keeps {
            "keep".clone_into(&mut guests.when_room_leaves_scope.action);
        }
        guests
    }
}

/// Policies without `may_also`, with two classes of the operator's own.
fn any_config() -> impl Strategy<Value = PolicyConfig> {
    let create = select(&["moderator", "admin"][..]);
    let may_not = texts(&["join", "send_event", "to_device", "keys", "set_displayname", "peek"]);
    let guest_not = texts(&["join", "send_event", "to_device", "keys", "set_displayname", "peek"]);
    (guests(), create, may_not, guest_not, texts(&["#*tea*"])).prop_map(
        |(guests, create, may_not, guest_not, protected)| {
            let mut config = config(
                "[class.webchat]\ninherits = 'guest'\nscope = { list = ['!room:home.test'] }\n\
                 [class.newcomer]\ninherits = 'member'\nmay_not = ['create_alias', 'publish']",
            );
            config.guests = guests;
            config.aliases.create = Some(create.to_owned());
            config.aliases.protected = protected;
            config.class.get_mut("webchat").unwrap().may_not = may_not;
            config.class.entry("guest".to_owned()).or_default().may_not = guest_not;
            config
        },
    )
}

fn build(config: &PolicyConfig) -> Policy {
    compile(config, server_name!("home.test")).unwrap().0
}

fn any_row() -> impl Strategy<Value = AliasFact> {
    let origins =
        [AliasOrigin::User, AliasOrigin::Admin, AliasOrigin::Appservice, AliasOrigin::Moved];
    (0..ALIASES.len(), select(&CLASSES[..]), select(origins.to_vec()))
        .prop_map(|(index, class, origin)| row(ALIASES[index], class, origin))
}

fn any_finding() -> impl Strategy<Value = SpaceFinding> {
    prop_oneof![
        Just(SpaceFinding::Inside { path: vec![RoomId::parse("!space").unwrap(), room_id()] }),
        Just(SpaceFinding::Outside),
        Just(SpaceFinding::Overflow),
        Just(SpaceFinding::Unknown { inside_ms_ago: None }),
        Just(SpaceFinding::Unknown { inside_ms_ago: Some(1) }),
    ]
}

/// Mostly known.
fn maybe() -> impl Strategy<Value = Option<bool>> {
    prop_oneof![1 => Just(None), 1 => Just(Some(false)), 6 => Just(Some(true))]
}

prop_compose! {
    fn any_room()(
        id in select(&ROOMS[..]),
        blocked in prop::bool::weighted(0.1),
        guest_can_join in maybe(),
        world_readable in maybe(),
        aliases in prop::collection::vec(any_row(), 0..3),
        finding in prop::option::of(any_finding()),
        grant in prop::option::weighted(0.2, (select(&ROOMS[..]), NOW - 1..NOW + 2)),
        (has_host, was_hosted) in (maybe(), maybe()),
        resident in prop::bool::weighted(0.9),
        made_here in maybe(),
        is_direct in prop::bool::weighted(0.1),
        frozen in prop::bool::weighted(0.1),
    ) -> RoomFacts {
        let space = RoomId::parse("!space").unwrap();
        RoomFacts {
            room_id: RoomId::parse(id).unwrap(),
            blocked, guest_can_join, world_readable, aliases, has_host, was_hosted, made_here,
            is_direct, frozen,
            spaces: finding.into_iter().map(|finding| SpaceFact { space: space.clone(), finding }).collect(),
            grant: grant.map(|(room, expires)| GrantFact {
                room_id: RoomId::parse(room).unwrap(), expires_at: at(expires),
            }),
            residency: if resident { Residency::Resident } else { Residency::Absent },
        }
    }
}

fn any_pins() -> impl Strategy<Value = Pins> {
    let entries =
        prop::collection::vec((0..ALIASES.len(), select(&ROOMS[..]), any::<bool>()), 0..4);
    entries.prop_map(|entries| {
        let mut pins = Pins::default();
        for (index, room, listed) in entries {
            let room = RoomId::parse(room).unwrap();
            if listed {
                pins.note_listed(alias(index), room);
            } else {
                pins.note_never(alias(index), room);
            }
        }
        pins
    })
}

prop_compose! {
    fn any_counts()(counts in prop::array::uniform8(prop::option::weighted(0.9, 0_u64..5))) -> Counts {
        let [a, b, c, d, e, f, g, h] = counts;
        Counts {
            rooms_joined: a, guests_in_room: b, live_guests: c, new_guests_in_minute: d,
            live_from_address: e, live_from_network: f, day_from_address: g, day_from_network: h,
        }
    }
}

prop_compose! {
    fn any_facts()(
        room in prop::option::weighted(0.95, any_room()),
        alias in prop::option::of(any_row()),
        pins in prop::option::weighted(0.9, any_pins()),
        counts in any_counts(),
        rate in prop_oneof![
            Just(RateFact::NotCharged), Just(RateFact::Charged),
            Just(RateFact::Exhausted { retry_after_ms: 5 }),
        ],
        shares_room in maybe(),
        has_alias_power in maybe(),
        in_own_namespace in any::<bool>(),
    ) -> Facts {
        Facts { room, alias, pins: pins.map(Arc::new), counts, rate, shares_room, has_alias_power, in_own_namespace }
    }
}

prop_compose! {
    fn any_subject()(
        class in select(&CLASSES[..]),
        localpart in select(&["ada", "maker", "guest-a"][..]),
        state in prop_oneof![
            8 => Just(AccountState::Active), 1 => Just(AccountState::Suspended),
            1 => Just(AccountState::Locked), 1 => Just(AccountState::Expired),
            1 => Just(AccountState::Deactivated),
        ],
        was_guest in prop::bool::weighted(0.1),
    ) -> Subject {
        let mut subject = Subject { state, ..account(localpart, class) };
        subject.is_spec_guest |= was_guest;
        subject
    }
}

/// One question of every kind, answered for each.
fn decisions(
    policy: &Policy,
    facts: &Facts,
    subject: &Subject,
    target: &Subject,
) -> Vec<(String, Decision)> {
    let user = UserId::parse("@zoe:far.test").unwrap();
    let (room, alias, class) = (room_id(), alias(0), ClassName::new("webchat"));
    every_action(&room, &user, &alias, (target, &class))
        .into_iter()
        .map(|action| (format!("{action:?}"), ask(policy, facts, subject, action)))
        .collect()
}

/// Ways to take something away from a policy.
fn narrow(config: &mut PolicyConfig, how: usize) -> &'static str {
    let guests = &mut config.guests;
    match how {
        0 => guests.enabled = false,
        1 => guests.never.push("!room:home.test".to_owned()),
        2 => guests.never.push("#pub-tea:home.test".to_owned()),
        3 => drop(guests.open_rooms_by.pop()),
        4 => guests.alias = Texts::from("#pub-tea:home.test"),
        5 => guests.space.clear(),
        6 => guests.need_host = true,
        7 => "never".clone_into(&mut guests.federated_join),
        8 => guests.caps.rooms_each = 1,
        9 => guests.caps.per_room = 1,
        10 => guests.caps.per_ip = 1,
        11 => config.aliases.create = Some("admin".to_owned()),
        12 => config.aliases.members_may.clear(),
        13 => config.aliases.protected.push("#*".to_owned()),
        14 => "never".clone_into(&mut config.aliases.follow_upgrade),
        15 => config.users.searchable_by = "admin".to_owned(),
        16 => config.users.protected_names.push("Ada".to_owned()),
        17 => {
            let class = config.class.entry("guest".to_owned()).or_default();
            class.may_send = Some(vec!["m.reaction".to_owned()]);
        }
        18 => {
            let class = config.class.get_mut("webchat").unwrap();
            class.may_not.extend(["knock", "peek"].map(str::to_owned));
        }
        19 => "freeze".clone_into(&mut guests.when_room_leaves_scope.action),
        20 => {
            let class = config.class.get_mut("webchat").unwrap();
            class.scope.as_mut().unwrap().never = vec!["#tea:home.test".to_owned()];
        }
        _ => {
            let class = config.class.entry("guest".to_owned()).or_default();
            let all = ["join", "to_device", "keys", "peek", "send_event", "set_displayname"];
            class.may_not = all.map(str::to_owned).to_vec();
        }
    }
    "narrowed"
}

/// The lists of a narrowed policy may contradict each other; that is refused, not decided.
fn without_contradictions(config: &mut PolicyConfig) {
    let never = config.guests.never.clone();
    config.guests.list.retain(|entry| !never.contains(entry));
    let scope = config.class.get_mut("webchat").unwrap().scope.as_mut().unwrap();
    scope.list.retain(|entry| !never.contains(entry));
    if scope.list.is_empty() {
        scope.list.push("!elsewhere:home.test".to_owned());
    }
}

/// An independent statement of what must hold when a guest joins.
fn may_be_joined(config: &PolicyConfig, facts: &Facts) -> bool {
    let Some(room) = &facts.room else { return false };
    let by = |word: &str| config.guests.open_rooms_by.iter().any(|written| written == word);
    let pattern = &config.guests.alias.as_slice()[0];
    let alias_opens = |row: &AliasFact| {
        let name = row.alias.as_str();
        let rung = ["moderator", "admin"];
        let least = rung.iter().position(|rung| Some(*rung) == config.aliases.create.as_deref());
        let trusted =
            rung.iter().skip(least.unwrap()).any(|rung| *rung == row.creator_class.as_str());
        let matches = name.ends_with(":home.test")
            && (pattern.as_str() == "#*:home.test" || name.starts_with("#pub-"));
        matches && trusted && row.origin != AliasOrigin::Appservice && !name.starts_with("#~")
    };
    let id = room.room_id.as_str();
    let pins = facts.pins.as_deref();
    let listed = config.guests.list.iter().any(|entry| {
        entry == id
            || RoomAliasId::parse(entry).is_ok_and(|alias| {
                pins.and_then(|pins| pins.listed(&alias)).is_some_and(|pinned| pinned == id)
            })
    });
    let inside = room.spaces.iter().any(|fact| matches!(fact.finding, SpaceFinding::Inside { .. }));
    let linked =
        room.grant.as_ref().is_some_and(|grant| grant.room_id == id && grant.expires_at > at(NOW));
    let open = by("any")
        || (by("alias") && room.aliases.iter().any(alias_opens))
        || (by("list") && listed)
        || (by("space") && inside)
        || linked;
    let never = config.guests.never.iter().any(|entry| {
        entry == id
            || RoomAliasId::parse(entry).is_ok_and(|alias| {
                room.aliases.iter().any(|row| row.alias == alias)
                    || pins.is_none_or(|pins| pins.ever_pointed(&alias, &room.room_id))
            })
    });
    config.guests.enabled && room.guest_can_join == Some(true) && open && !never
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(400))]

    #[test]
    fn no_escape(config in any_config(), facts in any_facts(), state in any_subject()) {
        let policy = build(&config);
        let subject = Subject { state: state.state, ..guest() };
        if join(&policy, &facts, &subject).is_none() {
            prop_assert!(may_be_joined(&config, &facts));
        }
    }

    #[test]
    fn explaining_is_deciding_and_every_question_has_an_answer(
        config in any_config(), facts in any_facts(), subject in any_subject(), target in any_subject()
    ) {
        let policy = build(&config);
        let again = decisions(&policy, &facts, &subject, &target);
        for ((action, decision), (_, second)) in
            decisions(&policy, &facts, &subject, &target).into_iter().zip(again)
        {
            prop_assert_eq!(&decision, &second, "the same question, the same answer");
            let refusal = decision.trace().iter().find(|step| step.outcome == Outcome::Refuse);
            match (decision.verdict(), refusal) {
                (Verdict::Allow, None) => {}
                (Verdict::Deny(reason), Some(step)) => prop_assert_eq!(step.reason, Some(reason)),
                (Verdict::Limited { .. }, Some(step)) => {
                    prop_assert_eq!(step.reason, Some(Reason::RateLimited));
                }
                (verdict, step) => prop_assert!(false, "{action}: {verdict:?} {step:?}"),
            }
            let layers: Vec<_> = decision.trace().iter().map(|step| step.layer).collect();
            let invited = action.starts_with("Invite");
            prop_assert!(invited || layers.is_sorted(), "{}: the layers come in order", action);
            let explanation = decision.explain();
            prop_assert_eq!(explanation.allowed, decision.is_allowed());
            prop_assert_eq!(explanation.answer.is_some(), decision.denial().is_some());
            let json = serde_json::to_value(&explanation).unwrap();
            prop_assert_eq!(json["allowed"].as_bool(), Some(decision.is_allowed()));
            prop_assert!(explanation.to_string().contains(decision.action()));
        }
    }

    #[test]
    fn narrowing_never_allows_what_was_refused(
        config in any_config(), hows in prop::collection::vec(0_usize..22, 1..4),
        facts in any_facts(), subject in any_subject(), target in any_subject()
    ) {
        let wide = build(&config);
        let mut narrowed = config.clone();
        for how in &hows {
            narrow(&mut narrowed, *how);
        }
        without_contradictions(&mut narrowed);
        let narrow = build(&narrowed);
        let wide = decisions(&wide, &facts, &subject, &target);
        for ((action, wide), (_, narrow)) in wide.into_iter().zip(decisions(&narrow, &facts, &subject, &target)) {
            // A name that leaves a list is no longer a protected name; that is about names.
            let about_names = action.contains("Alias");
            let both = (narrow.is_allowed(), wide.is_allowed());
            prop_assert!(about_names || both != (true, false), "{action} {hows:?}\n{}\n{}", wide.explain(), narrow.explain());
        }
    }

    #[test]
    fn what_a_lower_class_may_a_higher_one_may(
        config in any_config(), facts in any_facts(), subject in any_subject(), target in any_subject()
    ) {
        let policy = build(&config);
        let as_class = |class: &str| {
            let subject = Subject { class: ClassName::new(class), is_spec_guest: false, ..subject.clone() };
            decisions(&policy, &facts, &subject, &target)
        };
        for pair in LADDER.windows(2) {
            for ((action, lower), (_, higher)) in as_class(pair[0]).into_iter().zip(as_class(pair[1])) {
                let both = (lower.is_allowed(), higher.is_allowed());
                prop_assert!(both != (true, false), "{pair:?} {action}\n{}", higher.explain());
            }
        }
    }

    #[test]
    fn an_unknown_fact_never_helps_low_trust(
        config in any_config(), facts in any_facts(), subject in any_subject(), forget in 0_usize..12
    ) {
        let policy = build(&config);
        let low_trust = policy.class(&subject.class).is_none_or(Class::is_low_trust);
        prop_assume!(low_trust);
        let mut unknown = facts.clone();
        match (forget, &mut unknown.room) {
            (0, room) => *room = None,
            (1, Some(room)) => room.guest_can_join = None,
            (2, Some(room)) => room.world_readable = None,
            (3, Some(room)) => room.has_host = None,
            (4, Some(room)) => room.made_here = None,
            (5, Some(room)) => room.spaces.clear(),
            (6, Some(room)) => room.grant = None,
            (7, _) => unknown.pins = None,
            (8, _) => unknown.counts = Counts::default(),
            (9, _) => unknown.shares_room = None,
            (10, _) => unknown.alias = None,
            _ => unknown.has_alias_power = None,
        }
        let knowing = decisions(&policy, &facts, &subject, &guest());
        for ((action, known), (_, unknown)) in knowing.into_iter().zip(decisions(&policy, &unknown, &subject, &guest())) {
            let both = (unknown.is_allowed(), known.is_allowed());
            prop_assert!(both != (true, false), "{action} without {forget}\n{}", unknown.explain());
        }
    }

    #[test]
    fn a_policy_tried_on_what_it_decided_flips_nothing(
        config in any_config(), facts in any_facts(), subject in any_subject(), target in any_subject()
    ) {
        let handle = PolicyHandle::new(build(&config));
        let policy = handle.current();
        let user = UserId::parse("@zoe:far.test").unwrap();
        let (room, alias, class) = (room_id(), alias(0), ClassName::new("webchat"));
        let actions = every_action(&room, &user, &alias, (&target, &class));
        for action in &actions {
            let request = Request::new(&subject, *action, at(NOW), None);
            handle.record(&facts, &request, &policy.decide(&facts, &request));
        }
        let recording = handle.recording();
        let json = serde_json::to_string(&recording).unwrap();
        let sent: Recording = serde_json::from_str(&json).unwrap();
        prop_assert_eq!(&sent.decisions, &recording.decisions);
        let told = policy.simulate(&sent, 5);
        prop_assert_eq!((told.tried, told.flips, told.untold), (actions.len(), 0, 0));
        let off = PolicyHandle::new(build(&config).with_guests_off(true));
        prop_assert!(off.recording().guests_off);
    }

    #[test]
    fn leaving_is_always_possible(
        config in any_config(), facts in any_facts(), subject in any_subject()
    ) {
        let policy = build(&config);
        let room = room_id();
        let denied = |action| matches!(ask(&policy, &facts, &subject, action).verdict(), Verdict::Deny(_));
        if !matches!(subject.state, AccountState::Locked) {
            prop_assert!(!denied(Action::Leave { room: &room }), "leave");
        }
        if !matches!(subject.state, AccountState::Deactivated) {
            prop_assert!(!denied(Action::Logout));
        }
        if subject.state == AccountState::Active {
            prop_assert!(!denied(Action::Report));
            prop_assert!(!denied(Action::Deactivate));
        }
    }

    #[test]
    fn a_permit_is_made_exactly_when_it_is_allowed_and_paid(
        config in any_config(), facts in any_facts(), subject in any_subject()
    ) {
        let policy = build(&config).at_epoch(4);
        let room = room_id();
        let decision = ask(&policy, &facts, &subject, Action::Join { room: &room });
        let paid = decision.charges().is_empty() || facts.rate != RateFact::NotCharged;
        let expected = decision.is_allowed() && paid;
        let permit = decision.permit::<kind::Join>();
        prop_assert_eq!(permit.is_ok(), expected);
        if let Ok(permit) = permit {
            prop_assert_eq!((permit.subject(), permit.epoch()), (&*subject.user_id, 4));
            prop_assert!(kind::Join::ACTIONS.contains(&"join"));
        }
    }
}
