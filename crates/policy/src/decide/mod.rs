//! The decision: five layers, in order, all of which must allow. Pure and total.

mod caps;
mod ceiling;
mod hard;
mod lists;
mod scope;

use std::borrow::Cow;

use vestibule_types::ClassName;

use crate::{
    Ability, Action, Class, Decision, Denial, Facts, Layer, Obligation, Outcome, Permit,
    PermitKind, Policy, RateFact, Reason, Request, RoomFacts, TraceStep, Verdict,
};

/// One question with everything the layers look at.
struct Case<'a> {
    policy: &'a Policy,
    facts: &'a Facts,
    request: &'a Request<'a>,
    /// The class that decides; `None` if the account's class is not configured any more.
    class: Option<&'a Class>,
}

impl Case<'_> {
    fn action(&self) -> Action<'_> {
        self.request.action
    }

    /// Whether the account is a guest of the specification.
    fn is_spec_guest(&self) -> bool {
        self.request.subject.is_spec_guest || self.request.subject.class.is_guest()
    }

    /// The facts about the room the action names.
    fn room(&self) -> Option<&RoomFacts> {
        let room = self.action().room()?;
        self.facts.room.as_ref().filter(|facts| facts.room_id == room)
    }

    fn class_name(&self) -> &ClassName {
        self.class.map_or(&self.request.subject.class, |class| &class.name)
    }

    /// Whether no policy may refuse this.
    fn is_never_withheld(&self) -> bool {
        self.action().ability().is_some_and(|ability| Ability::NEVER_WITHHELD.contains(&ability))
    }
}

/// The steps so far.
struct Trail {
    steps: Vec<TraceStep>,
    observes: bool,
}

type Text = Cow<'static, str>;

impl Trail {
    fn pass(&mut self, layer: Layer, rule: &'static str, evidence: impl Into<Text>) {
        self.push(layer, rule, Outcome::Pass, evidence.into());
    }

    fn skip(&mut self, layer: Layer, rule: &'static str, evidence: impl Into<Text>) {
        self.push(layer, rule, Outcome::NotConcerned, evidence.into());
    }

    fn closed(&mut self, layer: Layer, rule: &'static str, evidence: impl Into<Text>) {
        self.push(layer, rule, Outcome::DoesNotOpen, evidence.into());
    }

    fn push(&mut self, layer: Layer, rule: &'static str, outcome: Outcome, evidence: Text) {
        let step =
            TraceStep { layer, rule, outcome, evidence, reason: None, what_would_allow: None };
        self.steps.push(step);
    }

    fn refuse(
        &mut self,
        (layer, rule): (Layer, &'static str),
        reason: Reason,
        evidence: impl Into<Text>,
        what_would_allow: impl Into<Text>,
    ) {
        // What the specification and the `never` lists forbid is not up for observation.
        let soft = matches!(layer, Layer::Ceiling | Layer::Scope | Layer::Caps);
        let outcome = if self.observes && soft { Outcome::Observe } else { Outcome::Refuse };
        self.steps.push(TraceStep {
            layer,
            rule,
            outcome,
            evidence: evidence.into(),
            reason: Some(reason),
            what_would_allow: Some(what_would_allow.into()),
        });
    }

    fn first(&self, outcome: Outcome) -> Option<&TraceStep> {
        self.steps.iter().find(|step| step.outcome == outcome)
    }

    fn is_refused(&self) -> bool {
        self.first(Outcome::Refuse).is_some()
    }
}

impl Policy {
    /// Answers one question. Total and pure: the same facts and question give the same answer, and
    /// explaining is reading its trace.
    #[must_use]
    pub fn decide(&self, facts: &Facts, request: &Request<'_>) -> Decision {
        let class = self.effective_class(request.subject, request.now);
        let case = Case { policy: self, facts, request, class };
        let mut trail = Trail { steps: Vec::with_capacity(8), observes: self.observe };
        case.hard(&mut trail);
        case.lists(&mut trail);
        case.ceiling(&mut trail);
        case.scope(&mut trail);
        case.caps(&mut trail);
        let charges = if trail.is_refused() { Vec::new() } else { case.charges() };
        case.rates(&charges, &mut trail);
        let obligations = if trail.is_refused() { Vec::new() } else { case.obligations() };
        let unpaid = !charges.is_empty() && facts.rate == RateFact::NotCharged;
        Decision {
            verdict: verdict_of(&trail, facts.rate),
            observed: trail.first(Outcome::Observe).and_then(|step| step.reason),
            obligations,
            charges,
            unpaid,
            epoch: self.epoch,
            action: request.action.name(),
            subject: request.subject.user_id.clone(),
            class: case.class_name().clone(),
            towards_guest: case.is_spec_guest(),
            object: request.action.object(),
            trace: trail.steps,
        }
    }

    /// Decides and makes the permit.
    pub fn permit<K: PermitKind>(
        &self,
        facts: &Facts,
        request: &Request<'_>,
    ) -> Result<Permit<K>, Denial> {
        self.decide(facts, request).permit()
    }
}

fn verdict_of(trail: &Trail, rate: RateFact) -> Verdict {
    let Some(step) = trail.first(Outcome::Refuse) else { return Verdict::Allow };
    match (step.reason, rate) {
        (Some(Reason::RateLimited), RateFact::Exhausted { retry_after_ms }) => {
            Verdict::Limited { retry_after_ms }
        }
        (reason, _) => Verdict::Deny(reason.unwrap_or(Reason::FactsMissing)),
    }
}

impl Case<'_> {
    fn obligations(&self) -> Vec<Obligation> {
        let mut obligations = Vec::new();
        let suffix = self.class.and_then(Class::name_suffix);
        let writes_membership = matches!(
            self.action(),
            Action::Join { .. }
                | Action::Knock { .. }
                | Action::Rename { .. }
                | Action::CreateRoom { .. }
        );
        let writes_name = writes_membership
            || matches!(
                self.action(),
                Action::SetDisplayname { .. } | Action::Invite { .. } | Action::BeInvited { .. }
            );
        if let (Some(suffix), true) = (suffix, writes_name) {
            obligations.push(Obligation::AppendNameSuffix(suffix.to_owned()));
        }
        let low_trust = self.class.is_none_or(Class::is_low_trust);
        if low_trust && writes_membership {
            let avatar = self.class.is_some_and(|class| class.may(Ability::SetAvatar));
            obligations.push(Obligation::BareMembership { avatar });
        }
        if low_trust && matches!(self.action(), Action::Leave { .. }) {
            obligations.push(Obligation::StripReason);
        }
        obligations
    }
}
