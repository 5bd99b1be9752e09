//! How often the policy was asked, and what it said. Counting is one look-up among the few answers a
//! class ever gets, and one addition: whoever publishes the counts gives them names.

use std::{
    collections::BTreeMap,
    sync::{
        PoisonError, RwLock,
        atomic::{AtomicU64, Ordering},
    },
};

use vestibule_types::{ClassName, limits::CLASSES_COUNTED_MAX};

use crate::{Decision, Layer, Outcome, RateFact, Reason, Verdict};

/// Counted for accounts of classes the configuration does not know.
const OTHER: &str = "other";

/// What a request to the client API is called that a class may not make at all.
pub const CALL: &str = "call";

/// What the policy said to one request: the labels it is counted under. There are as many of them as
/// the configuration has classes, times the actions, times the reasons.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Told {
    /// The class that was decided for.
    pub class: ClassName,
    /// What somebody wanted to do.
    pub action: &'static str,
    /// The answer.
    pub word: Word,
    /// Why not, or what was only observed.
    pub reason: Option<Reason>,
}

/// An answer, without its reason.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Word {
    /// Go ahead.
    Allow,
    /// No.
    Deny,
    /// Not now.
    Limit,
    /// It would have been no, but the policy only observes.
    Observe,
}

impl Word {
    /// The word as a label.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Self::Allow => "allow",
            Self::Deny => "deny",
            Self::Limit => "limit",
            Self::Observe => "observe",
        }
    }
}

impl Told {
    /// A refusal.
    #[must_use]
    pub fn refused(class: &ClassName, action: &'static str, reason: Reason) -> Self {
        let limits = matches!(reason, Reason::RateLimited | Reason::TooManyRefusals);
        let word = if limits { Word::Limit } else { Word::Deny };
        Self { class: class.clone(), action, word, reason: Some(reason) }
    }
}

/// A rule that opens rooms to classes that are confined to some.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Opener {
    /// The room's own guest access.
    Any,
    /// An alias of ours.
    Alias,
    /// The list.
    List,
    /// A space.
    Space,
    /// A guest link.
    GuestLink,
}

impl Opener {
    /// Every rule, in the order they are asked in.
    pub const ALL: [Self; 5] = [Self::Any, Self::Alias, Self::List, Self::Space, Self::GuestLink];

    /// The name the rule has in explanations.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Self::Any => "any",
            Self::Alias => "alias",
            Self::List => "list",
            Self::Space => "space",
            Self::GuestLink => "guest_link",
        }
    }
}

impl Decision {
    /// What is counted of the decision, once its rate was charged or turned out to be spent.
    #[must_use]
    pub fn told(&self, rate: RateFact) -> Told {
        let (word, reason) = match (self.verdict, self.observed, rate) {
            (Verdict::Deny(reason), ..) => (Word::Deny, Some(reason)),
            (Verdict::Limited { .. }, ..) | (Verdict::Allow, _, RateFact::Exhausted { .. }) => {
                (Word::Limit, Some(Reason::RateLimited))
            }
            (Verdict::Allow, Some(reason), _) => (Word::Observe, Some(reason)),
            (Verdict::Allow, None, _) => (Word::Allow, None),
        };
        Told { class: self.class.clone(), action: self.action, word, reason }
    }

    /// The rule that opened the room, for accounts of classes that are confined to some.
    #[must_use]
    pub fn opened_by(&self) -> Option<Opener> {
        let passed =
            |step: &&crate::TraceStep| step.layer == Layer::Scope && step.outcome == Outcome::Pass;
        let mut steps = self.trace.iter().filter(passed);
        steps.find_map(|step| Opener::ALL.into_iter().find(|it| it.name() == step.rule))
    }
}

/// Every count of this process.
#[derive(Debug, Default)]
pub(crate) struct Tally {
    by_class: RwLock<BTreeMap<ClassName, BTreeMap<Answer, AtomicU64>>>,
    grants: [AtomicU64; Opener::ALL.len()],
}

type Answer = (&'static str, Word, Option<Reason>);

impl Tally {
    /// Counts an answer. `known` tells whether the configuration has the class.
    pub(crate) fn count(&self, told: &Told, known: bool) {
        let answer = (told.action, told.word, told.reason);
        let counted = self.by_class.read().unwrap_or_else(PoisonError::into_inner);
        let there = counted.get(&told.class).and_then(|answers| answers.get(&answer));
        if let (Some(count), true) = (there, known) {
            count.fetch_add(1, Ordering::Relaxed);
            return;
        }
        drop(counted);
        let mut counted = self.by_class.write().unwrap_or_else(PoisonError::into_inner);
        let room = counted.len() < CLASSES_COUNTED_MAX || counted.contains_key(&told.class);
        let class = if known && room { told.class.clone() } else { ClassName::new(OTHER) };
        let count = counted.entry(class).or_default().entry(answer).or_default();
        count.fetch_add(1, Ordering::Relaxed);
    }

    /// Counts a join by the rule that opened the room.
    pub(crate) fn grant(&self, opener: Opener) {
        let at = Opener::ALL.iter().position(|it| *it == opener);
        if let Some(count) = at.and_then(|at| self.grants.get(at)) {
            count.fetch_add(1, Ordering::Relaxed);
        }
    }

    /// Every count that is not zero.
    pub(crate) fn counts(&self) -> Vec<(Told, u64)> {
        let counted = self.by_class.read().unwrap_or_else(PoisonError::into_inner);
        let of_class = |(class, answers): (&ClassName, &BTreeMap<Answer, AtomicU64>)| {
            let told = |((action, word, reason), count): (&Answer, &AtomicU64)| {
                let told = Told { class: class.clone(), action, word: *word, reason: *reason };
                (told, count.load(Ordering::Relaxed))
            };
            answers.iter().map(told).collect::<Vec<_>>()
        };
        counted.iter().flat_map(of_class).collect()
    }

    /// Joins by the rule that opened the room.
    pub(crate) fn grants(&self) -> Vec<(Opener, u64)> {
        let counts = self.grants.iter().map(|count| count.load(Ordering::Relaxed));
        Opener::ALL.into_iter().zip(counts).collect()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn told(class: &str) -> Told {
        Told::refused(&ClassName::new(class), "join", Reason::OutOfScope)
    }

    #[test]
    fn the_same_answer_is_one_count() {
        let tally = Tally::default();
        tally.count(&told("guest"), true);
        tally.count(&told("guest"), true);
        let limited = Told::refused(&ClassName::guest(), "join", Reason::RateLimited);
        tally.count(&limited, true);
        assert_eq!(tally.counts(), [(told("guest"), 2), (limited.clone(), 1)]);
        assert_eq!(limited.word, Word::Limit);
    }

    #[test]
    fn classes_nobody_configured_share_one_count_and_so_does_the_overflow() {
        let tally = Tally::default();
        for number in 0..CLASSES_COUNTED_MAX + 10 {
            tally.count(&told(&format!("class{number}")), true);
            tally.count(&told(&format!("gone{number}")), false);
        }
        let counts = tally.counts();
        assert!(counts.len() <= CLASSES_COUNTED_MAX + 1, "{}", counts.len());
        let other = counts.iter().find(|(it, _)| it.class.as_str() == OTHER);
        assert!(other.is_some_and(|(_, count)| *count > 10));
    }

    #[test]
    fn joins_are_counted_by_what_opened_the_room() {
        let tally = Tally::default();
        tally.grant(Opener::List);
        tally.grant(Opener::List);
        let grants = tally.grants();
        assert_eq!(grants.iter().find(|(it, _)| *it == Opener::List), Some(&(Opener::List, 2)));
        assert_eq!(grants.iter().map(|(_, count)| count).sum::<u64>(), 2);
    }
}
