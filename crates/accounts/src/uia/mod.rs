//! User-interactive authentication: proving oneself in stages, for one operation.

mod authenticate;
mod fallback;
mod prove_owner;
mod sessions;
mod stage;

pub use self::authenticate::UiaError;
pub use self::fallback::{FallbackMail, FallbackStage};
pub use self::stage::{Attempt, Proof, Stage};
pub(crate) use self::{
    authenticate::Question,
    sessions::{Asked, Beginner, Shown, Step, UiaSessions},
};

use crate::config::Terms;

/// What a client still has to do before the operation is carried out: the body of a 401.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Challenge {
    /// The ways that lead to the end; one is enough.
    pub flows: Vec<Vec<Stage>>,
    /// What was done.
    pub completed: Vec<Stage>,
    /// The name of this conversation.
    pub session: String,
    /// The documents of the terms stage.
    pub terms: Vec<Terms>,
    /// Why the last proof did not count.
    pub failure: Option<Failure>,
}

/// Why a proof did not count.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum Failure {
    /// The session is unknown or over.
    #[error("this authentication session is unknown or over")]
    Session,
    /// No flow of this operation has such a stage.
    #[error("no flow of this operation has such a stage")]
    Stage,
    /// A stage before it is not done.
    #[error("another stage has to be completed before this one")]
    Order,
    /// The password is wrong.
    #[error("the password is not right")]
    Password,
    /// No address was proven in the session that was named.
    #[error("the e-mail address is not proven: open the link in the mail first")]
    Email,
    /// The registration token is unknown, used up or too old.
    #[error("the registration token is not valid")]
    RegistrationToken,
}
