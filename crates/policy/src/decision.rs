//! The answer: verdict, trace, obligations.

use std::borrow::Cow;

use ruma::{OwnedUserId, UserId};
use serde::{Deserialize, Serialize};
use vestibule_types::ClassName;

use crate::{Charge, Denial, Object, Permit, PermitKind, Reason};

/// One of the five layers a request passes, in this order.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum Layer {
    /// What the specification and the state of the account forbid.
    Hard,
    /// Rooms that are never open.
    Lists,
    /// What the class may do at all.
    Ceiling,
    /// Where a scoped class may do it.
    Scope,
    /// How much and how often.
    Caps,
}

/// How one rule turned out.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum Outcome {
    /// The rule lets it pass.
    Pass,
    /// The rule does not concern this request.
    NotConcerned,
    /// One of several ways in, and not the one that opens.
    DoesNotOpen,
    /// The rule refuses.
    Refuse,
    /// The rule would refuse, but only observes.
    Observe,
}

/// What one rule said, and from which evidence.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct TraceStep {
    /// In which layer.
    pub layer: Layer,
    /// Which rule.
    pub rule: &'static str,
    /// How it turned out.
    pub outcome: Outcome,
    /// From what.
    pub evidence: Cow<'static, str>,
    /// Why it refused, if it did.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub reason: Option<Reason>,
    /// What would make it allowed, if it refused.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub what_would_allow: Option<Cow<'static, str>>,
}

/// The answer in one word.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Verdict {
    /// Go ahead.
    Allow,
    /// No.
    Deny(Reason),
    /// Not now.
    Limited {
        /// When to try again.
        retry_after_ms: u64,
    },
}

/// What whoever spends the permit must do with it.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum Obligation {
    /// Append this to the display name in profile and membership, unless it is there already.
    AppendNameSuffix(String),
    /// Leave `reason` and other free text out of the event.
    StripReason,
    /// Make the content of one's own membership here: of what was asked for go in only the display
    /// name, a bounded `reason`, and the avatar if it is said so.
    BareMembership {
        /// Whether the class may choose an avatar.
        avatar: bool,
    },
}

/// The answer to one request. Only [`crate::Policy::decide`] makes one.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Decision {
    pub(crate) verdict: Verdict,
    pub(crate) trace: Vec<TraceStep>,
    pub(crate) obligations: Vec<Obligation>,
    pub(crate) charges: Vec<Charge>,
    pub(crate) unpaid: bool,
    pub(crate) observed: Option<Reason>,
    pub(crate) epoch: u64,
    pub(crate) action: &'static str,
    pub(crate) subject: OwnedUserId,
    pub(crate) class: ClassName,
    pub(crate) towards_guest: bool,
    pub(crate) object: Object,
}

impl Decision {
    /// The answer in one word.
    #[must_use]
    pub fn verdict(&self) -> Verdict {
        self.verdict
    }

    /// Whether the answer is yes.
    #[must_use]
    pub fn is_allowed(&self) -> bool {
        self.verdict == Verdict::Allow
    }

    /// What every rule said, in order.
    #[must_use]
    pub fn trace(&self) -> &[TraceStep] {
        &self.trace
    }

    /// What whoever acts on this must do.
    #[must_use]
    pub fn obligations(&self) -> &[Obligation] {
        &self.obligations
    }

    /// The buckets to charge before a permit is made.
    #[must_use]
    pub fn charges(&self) -> &[Charge] {
        &self.charges
    }

    /// What would have been refused if the policy did not only observe.
    #[must_use]
    pub fn observed(&self) -> Option<Reason> {
        self.observed
    }

    /// The policy this was decided by.
    #[must_use]
    pub fn epoch(&self) -> u64 {
        self.epoch
    }

    /// The class that was decided for: the account's own, or the one its age puts over it.
    #[must_use]
    pub fn class(&self) -> &ClassName {
        &self.class
    }

    /// Who asked.
    #[must_use]
    pub fn subject(&self) -> &UserId {
        &self.subject
    }

    /// What it was about.
    #[must_use]
    pub fn object(&self) -> &Object {
        &self.object
    }

    /// The name of the action.
    #[must_use]
    pub fn action(&self) -> &'static str {
        self.action
    }

    /// The refusal, if it is one.
    #[must_use]
    pub fn denial(&self) -> Option<Denial> {
        match self.verdict {
            Verdict::Allow => None,
            Verdict::Limited { retry_after_ms } => Some(Denial::limited(retry_after_ms)),
            Verdict::Deny(reason) => {
                let what = self.what_would_allow().unwrap_or_default();
                Some(Denial::new(reason, self.towards_guest, what))
            }
        }
    }

    /// What would make it allowed, if it was refused: all of it, since every layer must allow.
    #[must_use]
    pub fn what_would_allow(&self) -> Option<String> {
        let refusals = self.trace.iter().filter(|step| step.outcome == Outcome::Refuse);
        let all: Vec<&str> = refusals.filter_map(|step| step.what_would_allow.as_deref()).collect();
        (!all.is_empty()).then(|| all.join("; and "))
    }

    /// Nothing, or the refusal: for checks that end in no write.
    pub fn allowed(&self) -> Result<(), Denial> {
        self.denial().map_or(Ok(()), Err)
    }

    /// The permit to do it, or the refusal. The only way to make a permit.
    pub fn permit<K: PermitKind>(self) -> Result<Permit<K>, Denial> {
        if let Some(denial) = self.denial() {
            return Err(denial);
        }
        if !K::ACTIONS.contains(&self.action) {
            return Err(Denial::new(Reason::PermitKind, self.towards_guest, ""));
        }
        if self.unpaid {
            let what = "charging the decision's buckets before asking for the permit";
            return Err(Denial::new(Reason::RateNotCharged, self.towards_guest, what));
        }
        Ok(Permit::mint(self))
    }
}
