//! The compiled policy: immutable, shared, swapped as a whole.

use std::{
    collections::BTreeMap,
    sync::{Arc, PoisonError, RwLock},
};

use ruma::{MilliSecondsSinceUnixEpoch, OwnedServerName, RoomAliasId, ServerName};
use vestibule_types::ClassName;

use crate::{
    Action, AliasRules, CapsConfig, Class, Decision, Facts, Invitee, LastAdminGuard, Opener,
    RateFact, Recording, Request, Rung, Scope, SpaceRule, Standing, Subject, Told,
    names::NameGuard, record::Records, tally::Tally,
};

/// The rules this server runs with. [`crate::compile`] makes it, [`Policy::decide`] asks it.
#[derive(Clone, Debug)]
#[expect(clippy::struct_excessive_bools, reason = "each is a setting of its own")]
pub struct Policy {
    pub(crate) epoch: u64,
    pub(crate) server_name: OwnedServerName,
    pub(crate) classes: BTreeMap<ClassName, Class>,
    pub(crate) guests: GuestRules,
    pub(crate) aliases: AliasRules,
    pub(crate) publish: Rung,
    pub(crate) directory_without_login: bool,
    pub(crate) directory_to_servers: bool,
    pub(crate) search: Rung,
    pub(crate) profiles_need_shared_room: bool,
    pub(crate) profiles_without_login: bool,
    pub(crate) names: NameGuard,
    pub(crate) audit_denials: bool,
    pub(crate) observe: bool,
    pub(crate) last_admin_guard: LastAdminGuard,
}

/// What of `[guests]` is not scope.
#[derive(Clone, Debug)]
pub(crate) struct GuestRules {
    pub(crate) enabled: bool,
    pub(crate) switched_off: bool,
    pub(crate) when_room_leaves_scope: WhenRoomLeavesScope,
    pub(crate) life: GuestLife,
    pub(crate) caps: CapsConfig,
}

/// What happens to guests in a room that is no longer open.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum WhenRoomLeavesScope {
    /// They stay as they are.
    Keep,
    /// They may read and leave, and are removed after a while.
    Freeze {
        /// How long they stay.
        evict_after_ms: u64,
    },
    /// They are removed at once.
    Evict,
}

/// How long a guest lives.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct GuestLife {
    /// Without ever joining a room.
    pub never_joined_ms: u64,
    /// After the last request.
    pub idle_ms: u64,
    /// At most.
    pub max_ms: u64,
    /// Whether the account is erased then, or only deactivated.
    pub erase: bool,
}

impl Policy {
    /// The number of this policy; a reload makes the next one.
    #[must_use]
    pub fn epoch(&self) -> u64 {
        self.epoch
    }

    /// The same rules under another number, the one that was committed.
    #[must_use]
    pub fn at_epoch(mut self, epoch: u64) -> Self {
        self.epoch = epoch;
        self
    }

    /// Our own name.
    #[must_use]
    pub fn server_name(&self) -> &ServerName {
        &self.server_name
    }

    /// The class of that name.
    #[must_use]
    pub fn class(&self, name: &ClassName) -> Option<&Class> {
        self.classes.get(name)
    }

    /// Every class, built-in or not.
    pub fn classes(&self) -> impl Iterator<Item = &Class> {
        self.classes.values()
    }

    /// The class that decides for an account now: its own, or for a member the one its age puts
    /// over it. `None` if the account's class is no longer configured.
    #[must_use]
    pub fn effective_class(
        &self,
        subject: &Subject,
        now: MilliSecondsSinceUnixEpoch,
    ) -> Option<&Class> {
        self.class_at(&subject.class, subject.created_at, now)
    }

    /// The same for an account of that class that was made then.
    #[must_use]
    pub fn class_at(
        &self,
        class: &ClassName,
        created_at: Option<MilliSecondsSinceUnixEpoch>,
        now: MilliSecondsSinceUnixEpoch,
    ) -> Option<&Class> {
        if class.as_str() != ClassName::MEMBER {
            return self.class(class);
        }
        // An unknown age counts as new.
        let age_ms = created_at.map_or(0, |created_at| {
            u64::from(now.get()).saturating_sub(u64::from(created_at.get()))
        });
        self.classes
            .values()
            .filter_map(|class| class.age_below_ms.map(|below| (below, class)))
            .filter(|(below, _)| age_ms < *below)
            .min_by_key(|(below, _)| *below)
            .map_or_else(|| self.class(class), |(_, young)| Some(young))
    }

    /// The rooms a class is confined to; `None` if it may be anywhere, or does not exist.
    #[must_use]
    pub fn scope_of(&self, class: &ClassName) -> Option<&Scope> {
        self.class(class).and_then(Class::scope)
    }

    /// The spaces to walk before asking about an account of that class.
    #[must_use]
    pub fn spaces_of(&self, class: &ClassName) -> &[SpaceRule] {
        self.scope_of(class).map_or(&[], Scope::spaces)
    }

    /// Whether any class is confined to some rooms, so that facts about rooms matter at all.
    #[must_use]
    pub fn has_scoped_classes(&self) -> bool {
        self.classes.values().any(|class| class.scope.is_some())
    }

    /// Whether accounts of that class are confined to some rooms. Unknown classes count as such.
    #[must_use]
    pub fn is_scoped(&self, class: &ClassName) -> bool {
        self.class(class).is_none_or(|class| class.scope.is_some())
    }

    /// The accounts whose scope a request asks about: facts about the room must cover the spaces
    /// and pins of each. Empty when nobody concerned is of a scoped or low-trust class. For an
    /// invitation the invited account is one of them.
    #[must_use]
    pub fn scoped_subjects<'a>(&self, request: &Request<'a>) -> Vec<&'a Subject> {
        let invited = match request.action {
            Action::Invite { target: Invitee::Local(target), .. } => Some(target),
            _ => None,
        };
        std::iter::once(request.subject)
            .chain(invited)
            .filter(|subject| {
                subject.is_spec_guest
                    || self
                        .effective_class(subject, request.now)
                        .is_none_or(|class| class.is_low_trust() || class.scope.is_some())
            })
            .collect()
    }

    /// Whether an account of that class can be the host without whom guests may not be in a room:
    /// neither a guest, nor of a guest-derived class, nor the system user.
    #[must_use]
    pub fn is_host(&self, class: &ClassName) -> bool {
        self.class(class)
            .is_some_and(|class| !matches!(class.standing, Standing::GuestLike | Standing::System))
    }

    /// Whether accounts of that class count as guests where guests are counted.
    #[must_use]
    pub fn is_guest_like(&self, class: &ClassName) -> bool {
        self.class(class).is_some_and(Class::is_guest_like)
    }

    /// Whether accounts of that class appear in the user directory.
    #[must_use]
    pub fn is_listed(&self, class: &ClassName) -> bool {
        self.class(class).is_some_and(|class| {
            !matches!(class.standing, Standing::GuestLike | Standing::System | Standing::Appservice)
        })
    }

    /// Whether guests are let in at all.
    #[must_use]
    pub fn guests_enabled(&self) -> bool {
        self.guests.enabled && !self.guests.switched_off
    }

    /// Whether the configuration lets guests in, whatever the operator's switch says.
    #[must_use]
    pub fn guests_configured(&self) -> bool {
        self.guests.enabled
    }

    /// Whether the operator switched guests off.
    #[must_use]
    pub fn guests_switched_off(&self) -> bool {
        self.guests.switched_off
    }

    /// The same rules with guests switched off by the operator, or not.
    #[must_use]
    pub fn with_guests_off(mut self, off: bool) -> Self {
        self.guests.switched_off = off;
        self
    }

    /// What happens to guests in a room that is no longer open.
    #[must_use]
    pub fn when_room_leaves_scope(&self) -> WhenRoomLeavesScope {
        self.guests.when_room_leaves_scope
    }

    /// How long a guest lives.
    #[must_use]
    pub fn guest_life(&self) -> GuestLife {
        self.guests.life
    }

    /// Whether the room directory is shown to other servers.
    #[must_use]
    pub fn directory_visible_to_servers(&self) -> bool {
        self.directory_to_servers
    }

    /// Whether the profiles of whoever is not of low trust are shown without login.
    #[must_use]
    pub fn profiles_visible_without_login(&self) -> bool {
        self.profiles_without_login
    }

    /// Whether the layers 2 to 4 only write down what they would refuse.
    #[must_use]
    pub fn observes(&self) -> bool {
        self.observe
    }

    /// Whether refusals are written down.
    #[must_use]
    pub fn audits_denials(&self) -> bool {
        self.audit_denials
    }

    /// The aliases that some class's `list` names: pin each when it is first resolved.
    pub fn listed_aliases(&self) -> impl Iterator<Item = &RoomAliasId> {
        self.scopes().flat_map(|scope| scope.list.aliases.iter().map(|alias| &**alias))
    }

    /// The aliases that some class's `never` names: note every room each points to.
    pub fn never_aliases(&self) -> impl Iterator<Item = &RoomAliasId> {
        self.scopes().flat_map(|scope| scope.never.aliases.iter().map(|alias| &**alias))
    }

    /// The spaces the server's own user stays in, so that they can be read: those that say so, of
    /// classes that anybody can have. It stays while guests are switched off: a space may not be
    /// open to it a second time.
    pub fn followed_spaces(&self) -> impl Iterator<Item = &SpaceRule> {
        let live = |class: &&Class| self.guests.enabled || !class.name.is_guest();
        let scopes = self.classes.values().filter(live).filter_map(Class::scope);
        scopes.flat_map(Scope::spaces).filter(|rule| rule.follow)
    }

    pub(crate) fn scopes(&self) -> impl Iterator<Item = &Scope> {
        self.classes.values().filter_map(|class| class.scope.as_ref())
    }
}

/// The policy in force, swapped as a whole.
///
/// Its epoch is a stored row. Between the moment that row changes and the moment the swap is done, a
/// transaction may see the new epoch already: it finds the policy of that epoch by
/// [`PolicyHandle::of_epoch`], because the next one was announced before.
#[derive(Clone, Debug)]
pub struct PolicyHandle {
    in_force: Arc<RwLock<InForce>>,
    tally: Arc<Tally>,
    records: Arc<Records>,
}

#[derive(Debug)]
struct InForce {
    current: Arc<Policy>,
    announced: Option<Arc<Policy>>,
}

impl PolicyHandle {
    /// Puts a policy in force.
    #[must_use]
    pub fn new(policy: Policy) -> Self {
        let in_force = InForce { current: Arc::new(policy), announced: None };
        Self {
            in_force: Arc::new(RwLock::new(in_force)),
            tally: Arc::default(),
            records: Arc::default(),
        }
    }

    /// The policy in force now. Take it once per request.
    #[must_use]
    pub fn current(&self) -> Arc<Policy> {
        Arc::clone(&self.in_force.read().unwrap_or_else(PoisonError::into_inner).current)
    }

    /// The policy for a transaction that read this epoch: the one in force, or the one announced.
    #[must_use]
    pub fn of_epoch(&self, epoch: u64) -> Arc<Policy> {
        let in_force = self.in_force.read().unwrap_or_else(PoisonError::into_inner);
        let announced = in_force.announced.as_ref().filter(|next| next.epoch == epoch);
        Arc::clone(announced.unwrap_or(&in_force.current))
    }

    /// Says which policy is the next one, before its epoch is committed.
    pub fn announce(&self, policy: Policy) {
        let mut in_force = self.in_force.write().unwrap_or_else(PoisonError::into_inner);
        in_force.announced = Some(Arc::new(policy));
    }

    /// Puts another policy in force, whose epoch is the one that was just committed. An older one
    /// than the present is not put back.
    pub fn swap(&self, policy: Policy) {
        let mut in_force = self.in_force.write().unwrap_or_else(PoisonError::into_inner);
        if policy.epoch >= in_force.current.epoch {
            in_force.current = Arc::new(policy);
            in_force.announced = None;
        }
    }

    /// Counts what was decided about a request, once its rate was charged or turned out to be spent.
    pub fn count(&self, decision: &Decision, rate: RateFact) {
        self.count_told(&decision.told(rate));
        let goes_ahead = decision.is_allowed() && !matches!(rate, RateFact::Exhausted { .. });
        if decision.action() == JOIN
            && goes_ahead
            && let Some(opener) = decision.opened_by()
        {
            self.tally.grant(opener);
        }
    }

    /// Counts an answer that is not a decision, or of which nothing else is known.
    pub fn count_told(&self, told: &Told) {
        self.tally.count(told, self.current().class(&told.class).is_some());
    }

    /// Whether the next decision about an action is one to record: every one, but a sample of what people
    /// do all the time.
    #[must_use]
    pub fn samples(&self, action: &str) -> bool {
        self.records.samples(action)
    }

    /// Records a decision with its facts, so that another policy can be tried on it.
    pub fn record(&self, facts: &Facts, request: &Request<'_>, decision: &Decision) {
        self.records.keep(&self.current(), facts, request, decision);
    }

    /// The decisions of late, with what the policy in force says to them.
    #[must_use]
    pub fn recording(&self) -> Recording {
        self.records.recording(&self.current())
    }

    /// How often what was said, since the start of this process.
    #[must_use]
    pub fn counts(&self) -> Vec<(Told, u64)> {
        self.tally.counts()
    }

    /// How many joins of confined classes which rule let in, since the start of this process.
    #[must_use]
    pub fn grants(&self) -> Vec<(Opener, u64)> {
        self.tally.grants()
    }
}

/// The name of the action that makes a member.
const JOIN: &str = "join";
