//! Layer 3: where a scoped class may be. Alias or list or space or guest link, any one opens.

use ruma::{RoomId, UserId};
use vestibule_types::limits;

use super::{Case, Trail};
use crate::{
    Action, FederatedJoin, Invitee, Layer, Outcome, Reason, Request, Residency, RoomFacts, Scope,
    SpaceFinding, WhenRoomLeavesScope,
};

const LAYER: Layer = Layer::Scope;

/// How one way in turned out.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Door {
    Open,
    Closed,
    Unknown,
}

impl Case<'_> {
    pub(super) fn scope(&self, trail: &mut Trail) {
        if let Action::Invite { target: Invitee::Local(_), .. } = self.action() {
            self.invitee(trail);
        }
        if self.is_never_withheld() {
            trail.skip(LAYER, "scope", "never withheld");
            return;
        }
        let Some(class) = self.class else { return };
        let Some(scope) = &class.scope else {
            trail.skip(LAYER, "scope", "the class may be in any room");
            return;
        };
        match self.action() {
            Action::QueryKeys { target }
            | Action::ClaimKeys { target }
            | Action::ToDevice { target } => {
                self.shared_room(target, trail);
            }
            Action::LookupProfile { target } if self.policy.profiles_need_shared_room => {
                self.shared_room(target, trail);
            }
            // It is what opens the room; whether it may be joined then, the join asks.
            Action::RedeemGuestLink { .. } => trail.skip(LAYER, "scope", "a link opens the room"),
            // Those who may not speak any more may still read.
            Action::ReadMarker { .. } => trail.skip(LAYER, "scope", "reading"),
            action => match (action.room(), self.room()) {
                (Some(_), Some(room)) => self.room_scope(scope, room, trail),
                // The missing facts were refused in layer 0.
                (Some(_), None) => {}
                (None, _) => trail.skip(LAYER, "scope", "not about a room"),
            },
        }
    }

    fn shared_room(&self, target: &UserId, trail: &mut Trail) {
        let at = (LAYER, "shared_room");
        if self.is_self(target) {
            trail.pass(LAYER, at.1, "it is the account itself");
        } else if self.facts.shares_room == Some(true) {
            trail.pass(LAYER, at.1, "a room in scope is shared");
        } else {
            let evidence = "no room in scope is known to be shared";
            trail.refuse(at, Reason::NoSharedRoom, evidence, "being in a room in scope together");
        }
    }

    /// An invitation never widens the scope of whoever is invited.
    fn invitee(&self, trail: &mut Trail) {
        let Action::Invite { room, target: Invitee::Local(target) } = self.action() else { return };
        let action = Action::BeInvited { room };
        let request = Request { subject: target, action, now: self.request.now, ip: None };
        // The link and the freeze are the sender's own.
        let mut facts = self.facts.clone();
        if let Some(room) = &mut facts.room {
            room.grant = None;
            room.frozen = false;
        }
        let inner = self.policy.decide(&facts, &request);
        let refusal = inner
            .trace()
            .iter()
            .find(|step| matches!(step.outcome, Outcome::Refuse | Outcome::Observe));
        match refusal {
            None => trail.pass(LAYER, "invitee", format!("open to class \"{}\"", inner.class())),
            Some(step) => {
                let evidence = format!("class \"{}\": {}", inner.class(), step.evidence);
                let what = step.what_would_allow.clone().unwrap_or_default();
                trail.refuse((step.layer, "invitee"), Reason::InviteeOutOfScope, evidence, what);
            }
        }
    }

    fn room_scope(&self, scope: &Scope, room: &RoomFacts, trail: &mut Trail) {
        if room.frozen && self.is_acting() {
            let what = "the room coming back into scope";
            let evidence = "the membership was frozen";
            trail.refuse((LAYER, "frozen"), Reason::Frozen, evidence, what);
        }
        let keeps = self.policy.guests.when_room_leaves_scope == WhenRoomLeavesScope::Keep;
        if keeps && (self.is_acting() || matches!(self.action(), Action::Stay { .. })) {
            trail.pass(LAYER, "when_room_leaves_scope", "keep");
            return;
        }
        if room.is_direct {
            let what = "a room that is not a direct chat";
            trail.refuse((LAYER, "direct_chat"), Reason::DirectChat, "a direct chat", what);
            return;
        }
        self.doors(scope, room, trail);
        residency(scope, room, trail);
        host(scope, room, trail);
    }

    /// Speaking and doing in a room one is in already.
    fn is_acting(&self) -> bool {
        matches!(
            self.action(),
            Action::SendEvent { .. }
                | Action::SendState { .. }
                | Action::Redact { .. }
                | Action::Rename { .. }
                | Action::Typing { .. }
                | Action::Receipt { .. }
                | Action::Invite { .. }
                | Action::Kick { .. }
                | Action::Ban { .. }
                | Action::Unban { .. }
                | Action::UpgradeRoom { .. }
                | Action::Publish { .. }
                | Action::CreateAlias { .. }
                | Action::DeleteAlias { .. }
                | Action::MoveAlias { .. }
        )
    }

    fn doors(&self, scope: &Scope, room: &RoomFacts, trail: &mut Trail) {
        let doors = [
            self.door_any(scope, room, trail),
            self.door_alias(scope, room, trail),
            self.door_list(scope, &room.room_id, trail),
            self.door_space(scope, room, trail),
            self.door_link(room, trail),
        ];
        if doors.contains(&Door::Open) {
            return;
        }
        let at = (LAYER, "open_rooms_by");
        let what = self.what_opens(scope);
        if doors.contains(&Door::Unknown) {
            trail.refuse(at, Reason::ScopeUnknown, "no rule is known to open the room", what);
        } else if self.is_acting() && room.residency == Residency::Resident {
            trail.refuse(at, Reason::Frozen, "no rule opens the room any more", what);
        } else {
            trail.refuse(at, Reason::OutOfScope, "no rule opens the room", what);
        }
    }

    /// The room's own settings: its guest access, or for those who only read, its history visibility.
    fn door_any(&self, scope: &Scope, room: &RoomFacts, trail: &mut Trail) -> Door {
        const RULE: &str = "any";
        if !scope.any {
            return Door::Closed;
        }
        let reads = matches!(self.action(), Action::Peek { .. });
        if reads && room.world_readable == Some(true) && room.residency == Residency::Resident {
            trail.pass(LAYER, RULE, "the room itself lets anybody read");
            return Door::Open;
        }
        match room.guest_can_join {
            Some(true) => {
                trail.pass(LAYER, RULE, "the room itself admits guests");
                Door::Open
            }
            Some(false) => {
                trail.closed(LAYER, RULE, "the room does not admit guests");
                Door::Closed
            }
            None => {
                trail.closed(LAYER, RULE, "it is not known whether the room admits guests");
                Door::Unknown
            }
        }
    }

    fn door_alias(&self, scope: &Scope, room: &RoomFacts, trail: &mut Trail) -> Door {
        const RULE: &str = "alias";
        if scope.alias.is_empty() {
            return Door::Closed;
        }
        for row in &room.aliases {
            let Some(glob) = scope.alias.iter().find(|glob| glob.matches(row.alias.as_str()))
            else {
                trail.closed(LAYER, RULE, format!("{} does not match", row.alias));
                continue;
            };
            if let Some(why) = self.policy.alias_opens_nothing_because(row) {
                trail.closed(LAYER, RULE, format!("{} opens nothing: {why}", row.alias));
                continue;
            }
            let by = &row.creator_class;
            trail.pass(LAYER, RULE, format!("{} matches {glob}, made by \"{by}\"", row.alias));
            return Door::Open;
        }
        if room.aliases.is_empty() {
            trail.closed(LAYER, RULE, "the room has no alias of ours");
        }
        Door::Closed
    }

    fn door_list(&self, scope: &Scope, room: &RoomId, trail: &mut Trail) -> Door {
        const RULE: &str = "list";
        if scope.list.rooms.is_empty() && scope.list.aliases.is_empty() {
            return Door::Closed;
        }
        if scope.list.rooms.iter().any(|listed| listed == room) {
            trail.pass(LAYER, RULE, format!("{room} is listed"));
            return Door::Open;
        }
        let pins = self.facts.pins.as_deref();
        let pinned = scope.list.aliases.iter().find(|alias| {
            pins.and_then(|pins| pins.listed(alias)).is_some_and(|pinned| pinned == room)
        });
        if let Some(alias) = pinned {
            trail.pass(LAYER, RULE, format!("{alias} is listed and pinned to the room"));
            return Door::Open;
        }
        trail.closed(LAYER, RULE, "not listed");
        if pins.is_none() && !scope.list.aliases.is_empty() { Door::Unknown } else { Door::Closed }
    }

    fn door_space(&self, scope: &Scope, room: &RoomFacts, trail: &mut Trail) -> Door {
        let mut best = Door::Closed;
        for rule in &scope.spaces {
            let fact = room.spaces.iter().find(|fact| fact.space == rule.id);
            let door = self.one_space(&rule.id, fact.map(|fact| &fact.finding), trail);
            match door {
                Door::Open => return Door::Open,
                Door::Unknown => best = Door::Unknown,
                Door::Closed => {}
            }
        }
        best
    }

    fn one_space(&self, space: &RoomId, finding: Option<&SpaceFinding>, trail: &mut Trail) -> Door {
        const RULE: &str = "space";
        match finding {
            Some(SpaceFinding::Inside { path }) => {
                let path: Vec<_> = path.iter().map(|room| room.as_str()).collect();
                trail.pass(LAYER, RULE, format!("curated: {}", path.join(" > ")));
                Door::Open
            }
            Some(SpaceFinding::Outside) => {
                trail.closed(LAYER, RULE, format!("no curated edge of {space} leads here"));
                Door::Closed
            }
            Some(SpaceFinding::Overflow) => {
                trail.closed(LAYER, RULE, format!("{space} is too large to be walked to its end"));
                Door::Closed
            }
            // Whoever is in already stays for a while when the space cannot be read.
            Some(SpaceFinding::Unknown { inside_ms_ago: Some(ago) })
                if *ago <= limits::SPACE_GRACE_MS
                    && (self.is_acting() || matches!(self.action(), Action::Stay { .. })) =>
            {
                trail.pass(
                    LAYER,
                    RULE,
                    format!("{space} cannot be read; seen inside {ago} ms ago"),
                );
                Door::Open
            }
            Some(SpaceFinding::Unknown { .. }) | None => {
                trail.closed(LAYER, RULE, format!("{space} cannot be read now"));
                Door::Unknown
            }
        }
    }

    fn door_link(&self, room: &RoomFacts, trail: &mut Trail) -> Door {
        const RULE: &str = "guest_link";
        match &room.grant {
            Some(grant) if grant.room_id != room.room_id => {
                trail.closed(LAYER, RULE, "the link is for another room");
                Door::Closed
            }
            Some(grant) if grant.expires_at <= self.request.now => {
                trail.closed(LAYER, RULE, "the link has expired");
                Door::Closed
            }
            Some(_) => {
                trail.pass(LAYER, RULE, "a guest link was redeemed");
                Door::Open
            }
            None => Door::Closed,
        }
    }

    /// The ways in that this class has, in words.
    fn what_opens(&self, scope: &Scope) -> String {
        let mut ways = Vec::new();
        if scope.any && matches!(self.action(), Action::Peek { .. }) {
            ways.push("history_visibility = world_readable in the room".to_owned());
        } else if scope.any {
            ways.push("guest_access = can_join in the room".to_owned());
        }
        if let Some(glob) = scope.alias.first() {
            let by = self.policy.aliases.create.name();
            ways.push(format!("an alias {glob} made by class \"{by}\" or above"));
        }
        if !scope.list.rooms.is_empty() || !scope.list.aliases.is_empty() {
            ways.push("an entry in the list".to_owned());
        }
        ways.extend(scope.spaces.iter().map(|rule| format!("a curator adding it to {}", rule.id)));
        ways.push("a guest link for it".to_owned());
        ways.join(", or ")
    }
}

fn residency(scope: &Scope, room: &RoomFacts, trail: &mut Trail) {
    let at = (LAYER, "federated_join");
    match (scope.federated_join, room.residency) {
        (FederatedJoin::ResidentOnly | FederatedJoin::InScope, Residency::Resident) => {
            trail.pass(LAYER, at.1, "this server is in the room");
        }
        (FederatedJoin::Never, Residency::Resident) if room.made_here == Some(true) => {
            trail.pass(LAYER, at.1, "the room was made here");
        }
        (FederatedJoin::InScope, Residency::Absent) => {
            trail.pass(LAYER, at.1, "federated_join = \"in-scope\"");
        }
        (FederatedJoin::Never, Residency::Resident) => {
            let evidence = "the room was not made here, or it is not known";
            let what = "federated_join = \"resident-only\"";
            trail.refuse(at, Reason::NotResident, evidence, what);
        }
        (FederatedJoin::Never | FederatedJoin::ResidentOnly, Residency::Absent) => {
            let what = "a member of ours in the room";
            trail.refuse(at, Reason::NotResident, "this server is not in the room", what);
        }
    }
}

fn host(scope: &Scope, room: &RoomFacts, trail: &mut Trail) {
    let at = (LAYER, "need_host");
    let ours = [room.has_host, room.was_hosted];
    if !scope.need_host || room.residency == Residency::Absent {
        trail.skip(LAYER, at.1, "no host is needed");
    } else if room.has_host == Some(true) {
        trail.pass(LAYER, at.1, "a member of ours is in the room");
    } else if scope.federated_join == FederatedJoin::InScope && ours == [Some(false); 2] {
        // It is asked of rooms we were in before. A guest who came in here can speak here.
        trail.pass(LAYER, at.1, "only guests brought this server into the room");
    } else {
        let evidence = "no member of ours is known to be in the room";
        let what = "a local member that is not a guest in the room";
        trail.refuse(at, Reason::NoHost, evidence, what);
    }
}
