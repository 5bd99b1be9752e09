//! Signatures and hashes of many events at once.

use vestibule_events::{Pdu, Verified};

use crate::{Federation, VerifyEventError};

/// Why an event is not verified.
#[derive(Clone, Debug)]
pub(super) enum NotVerified {
    /// Its signatures are wrong, or no key for them can be had.
    Invalid(String),
    /// Nobody can tell right now.
    NotNow(String),
}

impl Federation {
    /// Verifies events; each has its own outcome. An event whose hash does not hold comes back redacted.
    pub(super) async fn verified(&self, events: Vec<Pdu>) -> Vec<Result<Verified, NotVerified>> {
        if events.is_empty() {
            return Vec::new();
        }
        let outcomes = self.key_ring().verify_events(events).await;
        let outcome = |outcome: Result<Verified, VerifyEventError>| {
            outcome.map_err(|error| match &error {
                VerifyEventError::Invalid(_) | VerifyEventError::NoKeys(_) => {
                    NotVerified::Invalid(error.to_string())
                }
                VerifyEventError::Unavailable(_) => NotVerified::NotNow(error.to_string()),
            })
        };
        outcomes.into_iter().map(outcome).collect()
    }
}
