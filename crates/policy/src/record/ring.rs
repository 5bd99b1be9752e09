//! The newest decisions of each action, in memory.

use std::{
    collections::{BTreeMap, VecDeque},
    sync::{
        Arc, Mutex, PoisonError,
        atomic::{AtomicU64, Ordering},
    },
};

use vestibule_types::limits::{
    RECORDED_ALIASES_MAX, RECORDED_EVERY, RECORDED_OF_ACTION_MAX, RECORDED_TEXT_BYTES_MAX,
};

use super::{Act, Recorded, Recording};
use crate::{AddressBlock, Decision, Facts, Pins, Policy, RateFact, Request, Verdict};

/// What people do all the time: of these one in so many is looked at.
const FREQUENT: [&str; 4] = ["send_event", "typing", "receipt", "read_marker"];

/// The newest decisions, refused and allowed ones apart, so that neither pushes the others out.
#[derive(Debug, Default)]
pub(crate) struct Records {
    seen: [AtomicU64; FREQUENT.len()],
    kept: Mutex<Kept>,
}

#[derive(Debug, Default)]
struct Kept {
    of_action: BTreeMap<(&'static str, bool), VecDeque<One>>,
    /// The pins of the last decision: most decisions share theirs.
    pins: Option<Arc<Pins>>,
}

#[derive(Clone, Debug)]
struct One {
    recorded: Arc<Recorded>,
    pins: Option<Arc<Pins>>,
}

impl Records {
    /// Whether the next decision about this action is one to keep.
    pub(crate) fn samples(&self, action: &str) -> bool {
        let at = FREQUENT.iter().position(|frequent| *frequent == action);
        at.and_then(|at| self.seen.get(at))
            .is_none_or(|seen| seen.fetch_add(1, Ordering::Relaxed).is_multiple_of(RECORDED_EVERY))
    }

    /// Keeps a decision, unless it is too large to be kept.
    pub(crate) fn keep(
        &self,
        policy: &Policy,
        facts: &Facts,
        request: &Request<'_>,
        decision: &Decision,
    ) {
        let aliases = facts.room.as_ref().map_or(0, |room| room.aliases.len());
        let act = Act::of(request.action);
        let text = match &act {
            Act::SetDisplayname { name } | Act::Rename { name, .. } => {
                name.as_ref().map_or(0, String::len)
            }
            Act::SendEvent { event_type, .. } | Act::SendState { event_type, .. } => {
                event_type.len()
            }
            _ => 0,
        };
        if aliases > RECORDED_ALIASES_MAX || text > RECORDED_TEXT_BYTES_MAX {
            return;
        }
        let recorded = Recorded {
            subject: request.subject.clone(),
            act,
            now: request.now,
            address: request.ip.map(|address| AddressBlock::of(address).truncated()),
            facts: Facts { pins: None, rate: RateFact::NotCharged, ..facts.clone() },
            pins: None,
            gathered: !policy.scoped_subjects(request).is_empty(),
            verdict: decision.verdict(),
        };
        let key = (decision.action(), decision.is_allowed() && decision.observed().is_none());
        let mut kept = self.kept.lock().unwrap_or_else(PoisonError::into_inner);
        let pins = facts.pins.as_ref().map(|pins| match &kept.pins {
            Some(last) if **last == **pins => Arc::clone(last),
            _ => Arc::clone(pins),
        });
        if pins.is_some() {
            kept.pins.clone_from(&pins);
        }
        let ring = kept.of_action.entry(key).or_default();
        while ring.len() >= RECORDED_OF_ACTION_MAX {
            ring.pop_front();
        }
        ring.push_back(One { recorded: Arc::new(recorded), pins });
    }

    /// What is kept, with what this policy says to it. What was looked up for a policy of before, and
    /// does not suffice for this one, is left out.
    pub(crate) fn recording(&self, policy: &Policy) -> Recording {
        let kept = self.kept.lock().unwrap_or_else(PoisonError::into_inner);
        let mut all: Vec<One> = kept.of_action.values().flatten().cloned().collect();
        drop(kept);
        all.sort_by_key(|one| one.recorded.now);
        let mut recording = Recording {
            epoch: policy.epoch(),
            guests_off: policy.guests_switched_off(),
            ..Recording::default()
        };
        let mut shared: Vec<Arc<Pins>> = Vec::new();
        for One { recorded, pins } in all {
            let mut recorded = Recorded::clone(&recorded);
            recorded.pins = pins.as_ref().map(|pins| {
                let known = shared.iter().position(|it| Arc::ptr_eq(it, pins));
                known.unwrap_or_else(|| {
                    shared.push(Arc::clone(pins));
                    shared.len() - 1
                })
            });
            if let Some(decision) = recorded.decided_by(policy, pins.as_ref()) {
                recorded.verdict = decision.verdict();
                recording.decisions.push(recorded);
            }
        }
        recording.pins = shared.iter().map(|pins| Pins::clone(pins)).collect();
        recording
    }
}

impl Recorded {
    /// What a policy says to the same question. `None` where more would have had to be looked up.
    pub(super) fn decided_by(&self, policy: &Policy, pins: Option<&Arc<Pins>>) -> Option<Decision> {
        let facts = Facts { pins: pins.cloned(), ..self.facts.clone() };
        let request = Request::new(&self.subject, self.act.action(), self.now, self.address);
        let needs = !policy.scoped_subjects(&request).is_empty();
        if needs && !self.gathered {
            return None;
        }
        let decision = policy.decide(&facts, &request);
        let unknown = matches!(decision.verdict(), Verdict::Deny(reason) if reason.is_ignorance());
        let as_then = decision.verdict() == self.verdict;
        (!unknown || as_then).then_some(decision)
    }
}
