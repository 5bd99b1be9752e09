//! Trying a policy on what was recorded. Pure, like deciding.

use std::{
    collections::{BTreeMap, BTreeSet},
    sync::Arc,
};

use serde::Serialize;

use super::{Recorded, Recording};
use crate::{Decision, Pins, Policy, Verdict};

/// What another policy says to what was recorded.
#[derive(Clone, Debug, Default, Serialize)]
pub struct Simulation {
    /// How many decisions were tried.
    pub tried: usize,
    /// How many would be answered the other way.
    pub flips: usize,
    /// How many cannot be told: the policy looks at something that was not looked up then.
    pub untold: usize,
    /// Aliases the policy lists of which no room was known: they were left out.
    pub unpinned: Vec<String>,
    /// By class, action and answers.
    pub outcomes: Vec<Outcomes>,
    /// Some of those that flip, the newest first.
    pub examples: Vec<Flip>,
}

/// So many decisions with the same answers.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Outcomes {
    /// What they have in common.
    #[serde(flatten)]
    pub tried: Tried,
    /// How many there are.
    pub count: u64,
}

/// A decision without who and where.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize)]
pub struct Tried {
    /// The class the new policy decides for.
    pub class: String,
    /// What somebody wanted to do.
    pub action: &'static str,
    /// The answer now.
    pub now: String,
    /// The answer then.
    pub then: String,
    /// Whether one is a yes and the other is not.
    pub flips: bool,
}

/// A decision that would be answered the other way.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Flip {
    /// When it was asked, in milliseconds since the Unix epoch.
    pub at_ms: u64,
    /// Who asked.
    pub user_id: String,
    /// Of which class.
    pub class: String,
    /// What they wanted to do.
    pub action: &'static str,
    /// What it was about.
    pub object: String,
    /// The answer now.
    pub now: String,
    /// The answer then.
    pub then: String,
    /// What would make it allowed then, where it is refused.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub what_would_allow: Option<String>,
}

impl Policy {
    /// What this policy would say to what was recorded, with up to so many examples of what it says
    /// otherwise. A rate is not tried: that depends on what else was let through.
    #[must_use]
    pub fn simulate(&self, recording: &Recording, examples_max: usize) -> Simulation {
        let pins: Vec<Arc<Pins>> = recording.pins.iter().cloned().map(Arc::new).collect();
        let mut told = Simulation { tried: recording.decisions.len(), ..Simulation::default() };
        let mut outcomes: BTreeMap<Tried, u64> = BTreeMap::new();
        for recorded in recording.decisions.iter().rev() {
            let known = recorded.pins.and_then(|at| pins.get(at));
            let Some(decision) = recorded.decided_by(self, known) else {
                told.untold += 1;
                continue;
            };
            let tried = tried(recorded, &decision);
            if tried.flips {
                told.flips += 1;
                if told.examples.len() < examples_max {
                    told.examples.push(flip(recorded, &decision, &tried));
                }
            }
            *outcomes.entry(tried).or_default() += 1;
        }
        let listed = self.listed_aliases().chain(self.never_aliases());
        let unknown = listed.filter(|alias| !pins.iter().any(|pins| pins.know(alias)));
        let unpinned: BTreeSet<String> = unknown.map(ToString::to_string).collect();
        told.unpinned = unpinned.into_iter().collect();
        let outcomes = outcomes.into_iter().map(|(tried, count)| Outcomes { tried, count });
        told.outcomes = outcomes.collect();
        told
    }
}

fn tried(recorded: &Recorded, decision: &Decision) -> Tried {
    let now_allowed = recorded.verdict == Verdict::Allow;
    Tried {
        class: decision.class().to_string(),
        action: decision.action(),
        now: word(recorded.verdict),
        then: word(decision.verdict()),
        flips: now_allowed != decision.is_allowed(),
    }
}

fn flip(recorded: &Recorded, decision: &Decision, tried: &Tried) -> Flip {
    Flip {
        at_ms: recorded.now.get().into(),
        user_id: recorded.subject.user_id.to_string(),
        class: tried.class.clone(),
        action: tried.action,
        object: decision.object().to_string(),
        now: tried.now.clone(),
        then: tried.then.clone(),
        what_would_allow: decision.what_would_allow(),
    }
}

fn word(verdict: Verdict) -> String {
    match verdict {
        Verdict::Allow => "allow".to_owned(),
        Verdict::Deny(reason) => format!("deny: {reason}"),
        Verdict::Limited { .. } => "limit".to_owned(),
    }
}
