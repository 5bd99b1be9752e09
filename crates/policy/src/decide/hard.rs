//! Layer 0: what the specification, the state of the account and the operator's blocks forbid.

use ruma::UserId;
use vestibule_types::ClassName;

use super::{Case, Trail};
use crate::{
    AccountState, Action, Layer, Reason, Residency, Standing, Subject, endpoint::withheld_by_state,
};

const LAYER: Layer = Layer::Hard;

impl Case<'_> {
    pub(super) fn hard(&self, trail: &mut Trail) {
        self.account_state(trail);
        self.guests_enabled(trail);
        self.room_facts(trail);
        self.room_blocked(trail);
        self.guest_access(trail);
        match self.action() {
            Action::SetDisplayname { name } | Action::Rename { name, .. } => {
                self.protected_name(name, trail);
            }
            Action::AssignClass { target, class } => self.assignable(target, class, trail),
            Action::Peek { .. } => self.readable(trail),
            _ => {}
        }
    }

    fn account_state(&self, trail: &mut Trail) {
        let at = (LAYER, "account_state");
        let state = self.request.subject.state;
        let reason = match (self.action(), state) {
            // These happen to the account; it does not act.
            (
                Action::Stay { .. } | Action::BeInvited { .. },
                AccountState::Suspended | AccountState::Locked,
            )
            | (Action::Discover { .. } | Action::Peek { .. }, AccountState::Suspended) => None,
            (Action::Typing { .. }, AccountState::Suspended) => Some(Reason::AccountSuspended),
            (action, state) => withheld_by_state(state, action.ability()),
        };
        match reason {
            None => trail.pass(LAYER, at.1, format!("{state:?}")),
            Some(reason) => {
                trail.refuse(at, reason, format!("{state:?}"), "an active account");
            }
        }
    }

    fn guests_enabled(&self, trail: &mut Trail) {
        if !self.is_spec_guest() || self.is_never_withheld() {
            return;
        }
        let at = (LAYER, "guests_enabled");
        let guests = &self.policy.guests;
        if guests.switched_off {
            let evidence = "switched off with `vestibule guests off`";
            let what = if guests.enabled {
                "`vestibule guests on`"
            } else {
                "`vestibule guests on`, and [guests] enabled = true"
            };
            trail.refuse(at, Reason::GuestsDisabled, evidence, what);
        } else if guests.enabled {
            trail.pass(LAYER, at.1, "guests.enabled = true");
        } else {
            let what = "[guests] enabled = true";
            trail.refuse(at, Reason::GuestsDisabled, "guests.enabled = false", what);
        }
    }

    /// Facts about another room are no facts; none at all are enough only where no rule looks.
    fn room_facts(&self, trail: &mut Trail) {
        let Some(room) = self.action().room() else { return };
        let at = (LAYER, "room_facts");
        let needs = self.is_spec_guest()
            || self.class.is_none_or(|class| class.is_low_trust() || class.scope.is_some());
        match &self.facts.room {
            Some(facts) if facts.room_id == room => {}
            Some(facts) if !self.is_never_withheld() => {
                let evidence = format!("the facts are about {}", facts.room_id);
                trail.refuse(at, Reason::FactsMissing, evidence, "the facts of this room");
            }
            None if needs && !self.is_never_withheld() => {
                trail.refuse(at, Reason::FactsMissing, "no facts", "the facts of this room");
            }
            _ => {}
        }
    }

    fn room_blocked(&self, trail: &mut Trail) {
        let is_system = self.class.is_some_and(|class| class.standing == Standing::System);
        // Whoever may block a room may let people in again.
        let is_about_it = matches!(self.action(), Action::BlockRoom { .. });
        if self.is_never_withheld() || is_system || is_about_it {
            return;
        }
        let at = (LAYER, "room_blocked");
        match self.room() {
            Some(room) if room.blocked => {
                trail.refuse(at, Reason::RoomBlocked, "the room is blocked", "unblocking the room");
            }
            Some(_) => trail.pass(LAYER, at.1, "not blocked"),
            None => {}
        }
    }

    /// Guests may be only where the room's current state says `can_join`.
    fn guest_access(&self, trail: &mut Trail) {
        let concerned = self.action().room().is_some()
            && !self.is_never_withheld()
            && !matches!(self.action(), Action::Peek { .. } | Action::Discover { .. });
        if !concerned || !self.is_spec_guest() {
            return;
        }
        let at = (LAYER, "guest_access");
        let what = "m.room.guest_access = can_join in the room's state";
        match self.room().and_then(|room| room.guest_can_join) {
            Some(true) => trail.pass(LAYER, at.1, "guest_access = can_join"),
            Some(false) => {
                let evidence = "guest_access is not can_join";
                trail.refuse(at, Reason::GuestAccessMissing, evidence, what);
            }
            None => trail.refuse(at, Reason::GuestAccessUnknown, "guest_access is not known", what),
        }
    }

    fn protected_name(&self, name: Option<&str>, trail: &mut Trail) {
        let at = (LAYER, "protected_name");
        let protected =
            name.is_some_and(|name| self.policy.name_is_protected(self.class_name(), name));
        let disguised =
            name.is_some_and(|name| self.policy.name_is_disguised(self.class_name(), name));
        if protected {
            let evidence = "the name is, or looks like, a protected one";
            trail.refuse(at, Reason::NameProtected, evidence, "another name");
        } else if disguised {
            let evidence = "the name has characters that turn text round or break it";
            trail.refuse(at, Reason::NameDisguised, evidence, "a name without them");
        } else {
            trail.pass(LAYER, at.1, "not a protected name");
        }
    }

    fn assignable(&self, target: &Subject, class: &ClassName, trail: &mut Trail) {
        let at = (LAYER, "assignable_class");
        let unassignable = |standing| matches!(standing, Standing::Appservice | Standing::System);
        let Some(wanted) = self.policy.class(class) else {
            let evidence = format!("there is no class \"{class}\"");
            trail.refuse(at, Reason::ClassUnknown, evidence, "a class of the configuration");
            return;
        };
        let target_standing = self.policy.class(&target.class).map(|class| class.standing);
        if unassignable(wanted.standing) || target_standing.is_some_and(unassignable) {
            let evidence = format!("from \"{}\" to \"{class}\"", target.class);
            let what = "a class of the ladder, for an account of the ladder";
            trail.refuse(at, Reason::ClassUnassignable, evidence, what);
        } else if target.is_spec_guest && !wanted.is_guest_like() {
            let what = "the guest making a real account of itself first";
            trail.refuse(at, Reason::GuestStaysGuest, "the account was made by kind=guest", what);
        } else if class.is_guest() && !target.is_spec_guest {
            let what = "a class of your own that inherits from \"guest\"";
            let evidence = "only kind=guest accounts have class \"guest\"";
            trail.refuse(at, Reason::ClassUnassignable, evidence, what);
        } else {
            trail.pass(LAYER, at.1, format!("\"{class}\" can be assigned"));
        }
    }

    /// From outside one reads only what is world-readable, and only where our state is current.
    fn readable(&self, trail: &mut Trail) {
        let at = (LAYER, "world_readable");
        let low_trust = self.class.is_none_or(crate::Class::is_low_trust);
        match self.room() {
            Some(room) if low_trust && room.residency == Residency::Absent => {
                let evidence = "this server is not in the room";
                trail.refuse(at, Reason::NotResident, evidence, "a member of ours in the room");
            }
            Some(room) if room.world_readable == Some(true) => {
                trail.pass(LAYER, at.1, "history_visibility = world_readable");
            }
            _ => {
                let evidence = "the room is not known to be world-readable";
                let what = "history_visibility = world_readable";
                trail.refuse(at, Reason::NotWorldReadable, evidence, what);
            }
        }
    }

    /// Whether the action is aimed at the account itself.
    pub(super) fn is_self(&self, target: &UserId) -> bool {
        self.request.subject.user_id == target
    }
}
