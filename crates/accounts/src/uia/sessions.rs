//! The conversations in progress. They are kept in memory: bounded, and gone after a restart,
//! when clients simply begin anew.

use std::{collections::BTreeMap, time::Duration};

use parking_lot::Mutex;
use ruma::OwnedUserId;
use vestibule_storage::tables::account::TokenDigest;
use vestibule_types::limits;

use super::Stage;
use crate::{ValidationPurpose, contact::ProvenEmail};

/// What a conversation is about, so that a page of this server can lead it on.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Asked {
    pub(crate) operation: TokenDigest,
    pub(crate) flows: Vec<Vec<Stage>>,
    pub(crate) caller: Option<OwnedUserId>,
    pub(crate) email_for: Option<ValidationPurpose>,
}

struct UiaSession {
    asked: Asked,
    completed: Vec<Stage>,
    shown: Shown,
    ends_at: Duration,
}

/// What was shown for the stages that are done, as far as the operation needs it.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct Shown {
    pub(crate) registration_token: Option<String>,
    pub(crate) email: Option<ProvenEmail>,
}

/// How far a conversation is.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Step {
    pub(crate) session: String,
    pub(crate) completed: Vec<Stage>,
    pub(crate) shown: Shown,
}

#[derive(Default)]
pub(crate) struct UiaSessions {
    by_name: Mutex<BTreeMap<String, UiaSession>>,
}

impl UiaSessions {
    /// Begins a conversation under a fresh name.
    pub(crate) fn begin(&self, name: String, asked: Asked, now: Duration) -> Step {
        let mut by_name = self.by_name.lock();
        if by_name.len() >= limits::UIA_SESSIONS_MAX {
            by_name.retain(|_, session| session.ends_at > now);
        }
        if by_name.len() >= limits::UIA_SESSIONS_MAX {
            let oldest = by_name.iter().min_by_key(|(_, session)| session.ends_at);
            if let Some(oldest) = oldest.map(|(name, _)| name.clone()) {
                by_name.remove(&oldest);
            }
        }
        let session = UiaSession {
            asked,
            completed: Vec::new(),
            shown: Shown::default(),
            ends_at: now + Duration::from_millis(limits::UIA_SESSION_MS_MAX),
        };
        by_name.insert(name.clone(), session);
        Step { session: name, completed: Vec::new(), shown: Shown::default() }
    }

    /// How far the conversation is; `None` when there is none, or it is about something else.
    pub(crate) fn resume(&self, name: &str, operation: TokenDigest, now: Duration) -> Option<Step> {
        let (asked, step) = self.find(name, now)?;
        (asked.operation == operation).then_some(step)
    }

    /// What a conversation is about, and how far it is.
    pub(crate) fn find(&self, name: &str, now: Duration) -> Option<(Asked, Step)> {
        let by_name = self.by_name.lock();
        let session = by_name.get(name).filter(|session| session.ends_at > now)?;
        let step = Step {
            session: name.to_owned(),
            completed: session.completed.clone(),
            shown: session.shown.clone(),
        };
        Some((session.asked.clone(), step))
    }

    /// Notes a stage as done.
    pub(crate) fn complete(&self, step: &mut Step, stage: Stage, shown: Shown) {
        if !step.completed.contains(&stage) {
            step.completed.push(stage);
        }
        let before = std::mem::take(&mut step.shown);
        step.shown = Shown {
            registration_token: shown.registration_token.or(before.registration_token),
            email: shown.email.or(before.email),
        };
        if let Some(session) = self.by_name.lock().get_mut(&step.session) {
            session.completed.clone_from(&step.completed);
            session.shown.clone_from(&step.shown);
        }
    }

    /// Forgets the conversation: what it proved is spent.
    pub(crate) fn finish(&self, name: &str) {
        self.by_name.lock().remove(name);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const NOW: Duration = Duration::from_secs(1);

    fn about(operation: &str) -> TokenDigest {
        crate::token::digest(operation)
    }

    fn asked(operation: &str) -> Asked {
        Asked { operation: about(operation), flows: Vec::new(), caller: None, email_for: None }
    }

    #[test]
    fn a_conversation_is_about_one_operation_and_ends() {
        let sessions = UiaSessions::default();
        let mut step = sessions.begin("s".to_owned(), asked("delete A"), NOW);
        sessions.complete(&mut step, Stage::Password, Shown::default());
        let resumed = sessions.resume("s", about("delete A"), NOW).unwrap();
        assert_eq!(resumed.completed, [Stage::Password]);
        assert_eq!(sessions.resume("s", about("delete B"), NOW), None);
        assert_eq!(sessions.resume("t", about("delete A"), NOW), None);
        let late = NOW + Duration::from_millis(limits::UIA_SESSION_MS_MAX);
        assert_eq!(sessions.resume("s", about("delete A"), late), None);
        sessions.finish("s");
        assert_eq!(sessions.resume("s", about("delete A"), NOW), None);
    }

    #[test]
    fn only_so_many_conversations_are_kept_and_the_oldest_goes() {
        let sessions = UiaSessions::default();
        for number in 0..=limits::UIA_SESSIONS_MAX {
            let at = Duration::from_millis(u64::try_from(number).unwrap());
            sessions.begin(format!("s{number}"), asked("op"), at);
        }
        assert_eq!(sessions.by_name.lock().len(), limits::UIA_SESSIONS_MAX);
        assert_eq!(sessions.resume("s0", about("op"), NOW), None);
        assert!(sessions.resume("s1", about("op"), NOW).is_some());
    }
}
