//! Mail that this server writes. It is stored in the transaction that makes it necessary, and sent by a
//! runner of its own, so that a mail server that does not answer holds up nothing but mail.

mod queue;
mod runner;

use vestibule_types::BoxFuture;

pub(crate) use self::queue::enqueue;

/// A mail.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Letter {
    /// To whom: one address, in canonical form.
    pub to: String,
    /// What it is about: one line.
    pub subject: String,
    /// What it says, as plain text.
    pub text: String,
}

/// Why a mail did not leave.
#[derive(Debug, thiserror::Error)]
pub enum PostError {
    /// Another attempt may succeed.
    #[error("the mail server cannot take it now")]
    Later(#[source] Box<dyn std::error::Error + Send + Sync>),
    /// No attempt ever will.
    #[error("the mail server refuses it")]
    Never(#[source] Box<dyn std::error::Error + Send + Sync>),
}

/// Who carries mail out of the house. The server plugs one in.
pub trait Post: Send + Sync + 'static {
    /// Hands one mail to a mail server.
    fn send<'a>(&'a self, letter: &'a Letter) -> BoxFuture<'a, Result<(), PostError>>;
}
