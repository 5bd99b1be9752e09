//! A decision in words: what `vestibule policy explain` prints and the admin API answers. It is
//! read off the decision, so it cannot say anything else.

use std::fmt;

use ruma::UserId;
use serde::Serialize;

use crate::{Decision, Layer, Object, Obligation, Outcome, TraceStep, Verdict};

/// A decision, ready to be shown.
#[derive(Clone, Debug, Serialize)]
pub struct Explanation<'a> {
    /// Whose request.
    pub user_id: &'a UserId,
    /// The class that decided.
    pub class: &'a str,
    /// The action.
    pub action: &'static str,
    /// What it is about.
    pub object: String,
    /// The answer.
    pub verdict: Verdict,
    /// Whether that is a yes.
    pub allowed: bool,
    /// The answer a client would get, if it is a no.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub answer: Option<Answer>,
    /// What would make it allowed, if it is a no.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub what_would_allow: Option<String>,
    /// What would have been refused if the policy did not only observe.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub observed: Option<&'static str>,
    /// Every rule, in order.
    pub steps: &'a [TraceStep],
    /// What must be done with the act.
    pub obligations: &'a [Obligation],
    /// The number of the policy.
    pub epoch: u64,
}

/// What a client is told.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Answer {
    /// The HTTP status.
    pub status: u16,
    /// The Matrix error code.
    pub errcode: &'static str,
    /// `org.vestibule.reason`.
    pub reason: &'static str,
    /// The text.
    pub error: &'static str,
    /// When to try again.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub retry_after_ms: Option<u64>,
}

impl Decision {
    /// The decision in words.
    #[must_use]
    pub fn explain(&self) -> Explanation<'_> {
        let answer = self.denial().map(|denial| Answer {
            status: denial.kind.status(),
            errcode: denial.kind.errcode(),
            reason: denial.reason.code(),
            error: denial.message,
            retry_after_ms: denial.retry_after_ms,
        });
        Explanation {
            user_id: &self.subject,
            class: self.class.as_str(),
            action: self.action,
            object: self.object.to_string(),
            verdict: self.verdict,
            allowed: self.is_allowed(),
            answer,
            what_would_allow: self.what_would_allow(),
            observed: self.observed.map(crate::Reason::code),
            steps: &self.trace,
            obligations: &self.obligations,
            epoch: self.epoch,
        }
    }
}

impl fmt::Display for Explanation<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let word = match self.verdict {
            Verdict::Allow => "allowed".to_owned(),
            Verdict::Deny(reason) => format!("refused: {reason}"),
            Verdict::Limited { retry_after_ms } => format!("not now: wait {retry_after_ms} ms"),
        };
        let Self { user_id, class, action, object, epoch, .. } = self;
        writeln!(f, "{user_id} (class {class}) {action} {object}: {word}")?;
        let mut layer = None;
        for step in self.steps {
            if layer != Some(step.layer) {
                layer = Some(step.layer);
                writeln!(f, "  {}", step.layer)?;
            }
            writeln!(f, "    {} {}: {}", mark(step.outcome), step.rule, step.evidence)?;
        }
        if let Some(what) = &self.what_would_allow {
            writeln!(f, "  would be allowed by: {what}")?;
        }
        if let Some(answer) = &self.answer {
            writeln!(f, "  answer: {} {} ({})", answer.status, answer.errcode, answer.error)?;
        }
        if let Some(observed) = self.observed {
            writeln!(f, "  only observed: {observed}")?;
        }
        for obligation in self.obligations {
            match obligation {
                Obligation::AppendNameSuffix(suffix) => {
                    writeln!(f, "  obliges: append {suffix:?} to the display name")?;
                }
                Obligation::StripReason => writeln!(f, "  obliges: leave out the reason text")?,
                Obligation::BareMembership { avatar } => {
                    let avatar = if *avatar { "a name and an avatar" } else { "a name" };
                    writeln!(f, "  obliges: nothing but {avatar} in the membership event")?;
                }
            }
        }
        write!(f, "  policy epoch {epoch}")
    }
}

fn mark(outcome: Outcome) -> &'static str {
    match outcome {
        Outcome::Pass => "yes ",
        Outcome::Refuse => "NO  ",
        Outcome::NotConcerned => "-   ",
        Outcome::DoesNotOpen => "shut",
        Outcome::Observe => "(no)",
    }
}

impl fmt::Display for Layer {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Hard => "0 hard",
            Self::Lists => "1 lists",
            Self::Ceiling => "2 ceiling",
            Self::Scope => "3 scope",
            Self::Caps => "4 caps and rates",
        })
    }
}

impl fmt::Display for Object {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Own => f.write_str("own account"),
            Self::Room(room) => write!(f, "{room}"),
            Self::NewRoom(_) => f.write_str("a new room"),
            Self::Event { room, event_type } => write!(f, "{event_type} in {room}"),
            Self::Member { room, user } => write!(f, "{user} in {room}"),
            Self::Edge { space, child } => write!(f, "{child} in space {space}"),
            Self::Alias { alias, room } => write!(f, "{alias} of {room}"),
            Self::User(user) => write!(f, "{user}"),
        }
    }
}
