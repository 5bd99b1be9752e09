//! The conversations in progress. They are kept in memory: bounded, and gone after a restart,
//! when clients simply begin anew.

use std::{collections::BTreeMap, sync::Arc, time::Duration};

use parking_lot::Mutex;
use ruma::OwnedUserId;
use tokio::sync::Mutex as AsyncMutex;
use vestibule_storage::tables::account::TokenDigest;
use vestibule_types::limits;

use super::Stage;
use crate::{Register, ValidationPurpose, contact::ProvenEmail, registration::Outcome};

/// What a conversation is about, so that a page of this server can lead it on.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Asked {
    pub(crate) operation: TokenDigest,
    pub(crate) flows: Vec<Vec<Stage>>,
    pub(crate) caller: Option<OwnedUserId>,
    pub(crate) email_for: Option<ValidationPurpose>,
}

struct UiaSession {
    /// In which order they began.
    number: u64,
    owner: Option<Beginner>,
    asked: Asked,
    completed: Vec<Stage>,
    shown: Shown,
    /// What a registration said so far.
    draft: Option<Box<Register>>,
    /// What a registration came to, and until when it is told again.
    outcome: Option<(Outcome, Duration)>,
    /// Who registers here now: one request after the other.
    turn: Arc<AsyncMutex<()>>,
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

/// What a conversation is to who names it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Resumed {
    /// It goes on here.
    Step(Step),
    /// It is about something else.
    OtherOperation,
    /// There is none, or it is over.
    Unknown,
}

/// Who began a conversation, and may have so many of them.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum Beginner {
    User(OwnedUserId),
    /// Of nobody who is logged in: as it is counted.
    Address(String),
}

impl Beginner {
    fn sessions_max(&self) -> usize {
        match self {
            Self::User(_) => limits::UIA_SESSIONS_PER_USER_MAX,
            Self::Address(_) => limits::UIA_SESSIONS_PER_ADDRESS_MAX,
        }
    }
}

#[derive(Default)]
struct Kept {
    by_name: BTreeMap<String, UiaSession>,
    /// All of them, the oldest first.
    by_number: BTreeMap<u64, String>,
    by_owner: BTreeMap<(Beginner, u64), String>,
    last: u64,
}

impl Kept {
    fn insert(&mut self, name: String, session: UiaSession) {
        self.by_number.insert(session.number, name.clone());
        if let Some(owner) = &session.owner {
            self.by_owner.insert((owner.clone(), session.number), name.clone());
        }
        self.by_name.insert(name, session);
    }

    fn remove(&mut self, name: &str) {
        let Some(session) = self.by_name.remove(name) else { return };
        self.by_number.remove(&session.number);
        if let Some(owner) = session.owner {
            self.by_owner.remove(&(owner, session.number));
        }
    }

    fn drop_ended(&mut self, now: Duration) {
        // All last equally long, so those that ended are the oldest.
        while let Some(oldest) = self.oldest()
            && self.by_name.get(&oldest).is_none_or(|session| session.ends_at <= now)
        {
            self.remove(&oldest);
        }
    }

    /// Makes room for one more of an owner: by those that ended, their own oldest, or the oldest.
    fn make_room(&mut self, owner: Option<&Beginner>, now: Duration) {
        self.drop_ended(now);
        if let Some(owner) = owner {
            let all = (owner.clone(), 0)..=(owner.clone(), u64::MAX);
            let mut own = self.by_owner.range(all).map(|(_, name)| name.clone());
            let first = own.next();
            // The first, and the others.
            if let Some(first) = first.filter(|_| 1 + own.count() >= owner.sessions_max()) {
                self.remove(&first);
            }
        }
        if self.by_name.len() >= limits::UIA_SESSIONS_MAX
            && let Some(oldest) = self.oldest()
        {
            self.remove(&oldest);
        }
    }

    fn oldest(&self) -> Option<String> {
        self.by_number.first_key_value().map(|(_, name)| name.clone())
    }
}

#[derive(Default)]
pub(crate) struct UiaSessions {
    kept: Mutex<Kept>,
}

impl UiaSessions {
    /// Begins a conversation under a fresh name.
    pub(crate) fn begin(
        &self,
        name: String,
        asked: Asked,
        (owner, now): (Option<Beginner>, Duration),
    ) -> Step {
        let mut kept = self.kept.lock();
        kept.make_room(owner.as_ref(), now);
        kept.last = kept.last.saturating_add(1);
        let session = UiaSession {
            number: kept.last,
            owner,
            asked,
            completed: Vec::new(),
            shown: Shown::default(),
            draft: None,
            outcome: None,
            turn: Arc::default(),
            ends_at: now + Duration::from_millis(limits::UIA_SESSION_MS_MAX),
        };
        kept.insert(name.clone(), session);
        Step { session: name, completed: Vec::new(), shown: Shown::default() }
    }

    /// How far the conversation about this operation is.
    pub(crate) fn resume(&self, name: &str, operation: TokenDigest, now: Duration) -> Resumed {
        match self.find(name, now) {
            Some((asked, step)) if asked.operation == operation => Resumed::Step(step),
            Some(_) => Resumed::OtherOperation,
            None => Resumed::Unknown,
        }
    }

    /// What a conversation is about, and how far it is.
    pub(crate) fn find(&self, name: &str, now: Duration) -> Option<(Asked, Step)> {
        let kept = self.kept.lock();
        let session = kept.by_name.get(name);
        let session = session.filter(|it| it.ends_at > now && it.outcome.is_none())?;
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
        if let Some(session) = self.kept.lock().by_name.get_mut(&step.session) {
            session.completed.clone_from(&step.completed);
            session.shown.clone_from(&step.shown);
        }
    }

    /// Forgets the conversation: what it proved is spent.
    pub(crate) fn finish(&self, name: &str) {
        self.kept.lock().remove(name);
    }

    /// Forgets the conversations that ended, and what was said in them.
    pub(crate) fn drop_ended(&self, now: Duration) {
        self.kept.lock().drop_ended(now);
    }

    /// What requests that register in this conversation take their turns by.
    pub(crate) fn turn(&self, name: &str) -> Option<Arc<AsyncMutex<()>>> {
        self.kept.lock().by_name.get(name).map(|session| session.turn.clone())
    }

    /// Keeps what a registration said for its later requests.
    pub(crate) fn keep_draft(&self, name: &str, draft: Register) {
        if let Some(session) = self.kept.lock().by_name.get_mut(name) {
            session.draft = Some(Box::new(draft));
        }
    }

    /// What a registration said so far.
    pub(crate) fn draft(&self, name: &str, now: Duration) -> Option<Register> {
        let kept = self.kept.lock();
        let session = kept.by_name.get(name).filter(|session| session.ends_at > now)?;
        session.draft.as_deref().cloned()
    }

    /// Ends the conversation of a registration, and keeps a while what it came to.
    pub(crate) fn end_with(&self, name: &str, outcome: Outcome, now: Duration) {
        if let Some(session) = self.kept.lock().by_name.get_mut(name) {
            let until = now + Duration::from_millis(limits::REGISTRATION_REPEAT_MS_MAX);
            session.draft = None;
            session.shown = Shown::default();
            session.outcome = Some((outcome, until.min(session.ends_at)));
        }
    }

    /// What a registration came to, if that is told again.
    pub(crate) fn outcome(&self, name: &str, now: Duration) -> Option<Outcome> {
        let kept = self.kept.lock();
        let (outcome, until) = kept.by_name.get(name)?.outcome.as_ref()?;
        (*until > now).then(|| outcome.clone())
    }

    /// It was told again, which takes the place of what was told before.
    pub(crate) fn repeated(&self, name: &str, again: Outcome) {
        let mut kept = self.kept.lock();
        let session = kept.by_name.get_mut(name);
        if let Some((outcome, _)) = session.and_then(|session| session.outcome.as_mut()) {
            *outcome = again;
        }
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
        let mut step = sessions.begin("s".to_owned(), asked("delete A"), (None, NOW));
        sessions.complete(&mut step, Stage::Password, Shown::default());
        assert_eq!(step.completed, [Stage::Password]);
        assert_eq!(sessions.resume("s", about("delete A"), NOW), Resumed::Step(step));
        assert_eq!(sessions.resume("s", about("delete B"), NOW), Resumed::OtherOperation);
        assert_eq!(sessions.resume("t", about("delete A"), NOW), Resumed::Unknown);
        let late = NOW + Duration::from_millis(limits::UIA_SESSION_MS_MAX);
        assert_eq!(sessions.resume("s", about("delete A"), late), Resumed::Unknown);
        sessions.finish("s");
        assert_eq!(sessions.resume("s", about("delete A"), NOW), Resumed::Unknown);
    }

    #[test]
    fn only_so_many_conversations_are_kept_and_the_oldest_goes() {
        let sessions = UiaSessions::default();
        for number in 0..=limits::UIA_SESSIONS_MAX {
            let at = Duration::from_millis(u64::try_from(number).unwrap());
            sessions.begin(format!("s{number}"), asked("op"), (None, at));
        }
        assert_eq!(sessions.kept.lock().by_name.len(), limits::UIA_SESSIONS_MAX);
        assert_eq!(sessions.find("s0", NOW), None);
        assert!(sessions.find("s1", NOW).is_some());
    }
    #[test]
    fn who_begins_many_conversations_ends_their_own() {
        let sessions = UiaSessions::default();
        let alice = Beginner::User(ruma::owned_user_id!("@alice:home.test"));
        let bob = Beginner::User(ruma::owned_user_id!("@bob:home.test"));
        let address = Beginner::Address("192.0.2.1".to_owned());
        for owner in [&alice, &address] {
            let name = format!("{owner:?}");
            sessions.begin(name, asked("op"), (Some(owner.clone()), NOW));
        }
        for number in 0..limits::UIA_SESSIONS_MAX {
            sessions.begin(format!("bob {number}"), asked("op"), (Some(bob.clone()), NOW));
        }
        for owner in [&alice, &address] {
            assert!(sessions.find(&format!("{owner:?}"), NOW).is_some());
        }
        let kept = sessions.kept.lock();
        let own = kept.by_name.keys().filter(|name| name.starts_with("bob")).count();
        assert_eq!(own, limits::UIA_SESSIONS_PER_USER_MAX);
        assert_eq!((kept.by_number.len(), kept.by_owner.len()), (own + 2, own + 2));
    }

    #[test]
    fn those_that_ended_make_room_first() {
        let sessions = UiaSessions::default();
        sessions.begin("old".to_owned(), asked("op"), (None, NOW));
        let late = NOW + Duration::from_millis(limits::UIA_SESSION_MS_MAX);
        sessions.begin("new".to_owned(), asked("op"), (None, late));
        assert_eq!(sessions.kept.lock().by_name.len(), 1);
    }
}
