//! How many requests somebody may make at all.

use std::net::IpAddr;

use vestibule_policy::{Denial, RateFact};
use vestibule_types::{Actor, Credential};

use crate::Accounts;

impl Accounts {
    /// Charges a request to an endpoint that the specification wants limited, or says how long to wait.
    pub fn charge_request(&self, caller: Option<&Actor>, address: IpAddr) -> Result<(), Denial> {
        let policy = self.0.policy.current();
        let who = caller.map(|actor| (actor.user_id(), actor.ruling_class()));
        let mut charges = policy.request_charges(who, address);
        // Names that cost nothing have no bounds of their own: what bounds them is where they come from.
        if caller.is_some_and(|actor| actor.credential() == Credential::GuestToken) {
            charges.extend(policy.request_charges(None, address));
        }
        match self.0.rates.take(&charges, self.0.monotonic()) {
            RateFact::Charged | RateFact::NotCharged => Ok(()),
            RateFact::Exhausted { retry_after_ms } => Err(Denial::limited(retry_after_ms)),
        }
    }
}
