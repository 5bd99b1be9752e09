//! `[push]`

use crate::{Network, Period, section::section};

section! {
    /// Telling devices of news, by way of the push gateways that their applications name.
    pub struct Push {
        /// Addresses or networks at which push gateways may be although they are private.
        pub allowed_networks: Vec<Network> = Vec::new();
        /// Whether a push gateway may be called over plain http. What is sent can be read on the way.
        pub plain_http: bool = false;
        /// How long a push gateway may take to answer. Then it counts as failed, and is tried again later.
        pub request_timeout: Period = Period::seconds(20);
    }
}
