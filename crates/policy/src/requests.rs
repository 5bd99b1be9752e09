//! How many requests a caller may make to the endpoints that the specification wants limited.
//!
//! All of them share one bucket for each account, whatever they do; what some of them do has a rate of
//! its own beside it. Who shows no token is counted by address.

use std::net::IpAddr;

use ruma::UserId;
use vestibule_types::ClassName;

use crate::{AddressBlock, Charge, Policy, Rate, RateKey, RatePer, RateWho};

/// What everybody behind one address may ask without a token.
const WITHOUT_LOGIN: Rate = Rate { per: RatePer::Ip, ..Rate::per_minute(1_200, 1_200) };

impl Policy {
    /// The buckets that a request is charged to. Requests of this machine without a token come from the
    /// operator, or from a proxy that does not tell whom it speaks for: they are not counted.
    #[must_use]
    pub fn request_charges(
        &self,
        caller: Option<(&UserId, &ClassName)>,
        address: IpAddr,
    ) -> Vec<Charge> {
        let Some((user_id, class_name)) = caller else {
            let canonical = address.to_canonical();
            let here = canonical.is_loopback() || canonical.is_unspecified();
            let who = RateWho::Address(AddressBlock::of(address));
            let charge = Charge {
                class: ClassName::new(""),
                key: RateKey::Request,
                who,
                rate: WITHOUT_LOGIN,
            };
            return if here { Vec::new() } else { vec![charge] };
        };
        let rates = self.class(class_name).map_or(&[][..], |class| class.rates(RateKey::Request));
        let charge = |rate: &Rate| Charge {
            class: class_name.clone(),
            key: RateKey::Request,
            who: match rate.per {
                RatePer::Ip => RateWho::Address(AddressBlock::of(address)),
                RatePer::Class => RateWho::Class,
                // A request is about no room and no server.
                RatePer::Subject | RatePer::Room | RatePer::Server => {
                    RateWho::Subject(user_id.to_owned())
                }
            },
            rate: *rate,
        };
        rates.iter().map(charge).collect()
    }
}
