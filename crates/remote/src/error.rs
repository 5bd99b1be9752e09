//! Why another server did not answer as hoped.

use std::time::Duration;

use ruma::OwnedServerName;
use serde_json::Value;

/// Why a call to another server failed.
#[derive(Debug, thiserror::Error)]
pub enum RemoteError {
    /// It failed lately; it is not asked again before this much time has passed.
    #[error("{server} is not asked again for {} s", retry_after.as_secs())]
    BackingOff {
        /// The server.
        server: OwnedServerName,
        /// How long to wait.
        retry_after: Duration,
    },
    /// This server may not be asked: its address is private and not listed, or federation is off.
    #[error("{0} may not be reached")]
    Refused(OwnedServerName),
    /// It could not be found or connected to, or it did not answer in time.
    #[error("{server} cannot be reached: {reason}")]
    Unreachable {
        /// The server.
        server: OwnedServerName,
        /// What went wrong.
        reason: String,
    },
    /// It answered with a Matrix error.
    #[error("{server} answered {status}: {body}")]
    Answered {
        /// The server.
        server: OwnedServerName,
        /// The status.
        status: u16,
        /// The body, `null` when it was no JSON.
        body: Value,
    },
    /// Its answer was too large, cut off, or not what the endpoint promises.
    #[error("{server} sent a bad answer: {reason}")]
    BadAnswer {
        /// The server.
        server: OwnedServerName,
        /// What was wrong with it.
        reason: String,
    },
    /// Our own request could not be written.
    #[error("the request could not be written: {0}")]
    Request(String),
    /// The database failed.
    #[error(transparent)]
    Storage(#[from] vestibule_storage::StorageError),
}

impl RemoteError {
    /// The error code of a Matrix error.
    #[must_use]
    pub fn errcode(&self) -> Option<&str> {
        match self {
            Self::Answered { body, .. } => body.get("errcode")?.as_str(),
            _ => None,
        }
    }

    /// The status of an answer.
    #[must_use]
    pub fn status(&self) -> Option<u16> {
        match self {
            Self::Answered { status, .. } => Some(*status),
            _ => None,
        }
    }

    /// The kind of failure, for counting.
    pub(crate) fn kind(&self) -> &'static str {
        match self {
            Self::BackingOff { .. } => "backing_off",
            Self::Refused(_) => "refused",
            Self::Unreachable { .. } => "unreachable",
            Self::Answered { .. } => "answered_error",
            Self::BadAnswer { .. } => "bad_answer",
            Self::Request(_) => "bad_request",
            Self::Storage(_) => "storage",
        }
    }
}
