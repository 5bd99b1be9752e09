//! How many requests somebody may make at all.

use std::net::IpAddr;

use vestibule_policy::{Denial, RateFact};
use vestibule_types::Actor;

use crate::Accounts;

impl Accounts {
    /// Charges a request to an endpoint that the specification wants limited, or says how long to wait.
    pub fn charge_request(&self, caller: Option<&Actor>, address: IpAddr) -> Result<(), Denial> {
        let caller = caller.map(|actor| (actor.user_id(), actor.ruling_class()));
        let charges = self.0.policy.current().request_charges(caller, address);
        match self.0.rates.take(&charges, self.0.monotonic()) {
            RateFact::Charged | RateFact::NotCharged => Ok(()),
            RateFact::Exhausted { retry_after_ms } => Err(Denial::limited(retry_after_ms)),
        }
    }
}
