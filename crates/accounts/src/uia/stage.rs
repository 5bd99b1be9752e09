//! The stages this server knows, and what a client sends for them.

use vestibule_types::Secret;

use crate::Named;

/// One step of an interactive authentication.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Stage {
    /// Nothing to prove.
    Dummy,
    /// The account's password.
    Password,
    /// A token that lets its holder register.
    RegistrationToken,
    /// Agreement to documents.
    Terms,
    /// An e-mail address.
    Email,
}

impl Stage {
    /// The name in the specification.
    #[must_use]
    pub fn name(self) -> &'static str {
        match self {
            Self::Dummy => "m.login.dummy",
            Self::Password => "m.login.password",
            Self::RegistrationToken => "m.login.registration_token",
            Self::Terms => "m.login.terms",
            Self::Email => "m.login.email.identity",
        }
    }

    /// The stage of a name in the specification, if this server knows it.
    #[must_use]
    pub fn named(name: &str) -> Option<Self> {
        [Self::Dummy, Self::Password, Self::RegistrationToken, Self::Terms, Self::Email]
            .into_iter()
            .find(|stage| stage.name() == name)
    }
}

/// What a client offers for a stage.
#[derive(Clone, Debug)]
pub enum Proof {
    /// Nothing, for the dummy stage.
    Dummy,
    /// A password, and whose it is said to be.
    Password {
        /// `None` for the caller.
        user: Option<Named>,
        /// The password.
        password: Secret,
    },
    /// A registration token.
    RegistrationToken(String),
    /// Agreement.
    Terms,
    /// A session in which an e-mail address was proven.
    Email {
        /// The session.
        sid: String,
        /// What the client made up for it.
        client_secret: String,
    },
    /// A stage this server does not know.
    Unknown,
}

impl Proof {
    /// The stage it is meant for.
    #[must_use]
    pub fn stage(&self) -> Option<Stage> {
        match self {
            Self::Dummy => Some(Stage::Dummy),
            Self::Password { .. } => Some(Stage::Password),
            Self::RegistrationToken(_) => Some(Stage::RegistrationToken),
            Self::Terms => Some(Stage::Terms),
            Self::Email { .. } => Some(Stage::Email),
            Self::Unknown => None,
        }
    }
}

/// The `auth` of a request.
#[derive(Clone, Debug)]
pub struct Attempt {
    /// The conversation it continues; `None` begins one.
    pub session: Option<String>,
    /// What is offered; `None` only asks how far things are.
    pub proof: Option<Proof>,
}
