//! Doubts about push gateways.

use super::Checked;
use crate::{Period, Problem, Push};

pub(super) fn push(push: &Push, found: &mut Checked) {
    if push.allowed_networks.iter().any(|network| network.0.prefix_len() == 0) {
        found.warnings.push(Problem::new(
            "push.allowed_networks",
            "anybody with an account can make this server ask any machine it can reach",
            "list only the networks of the push gateways you mean",
        ));
    }
    if push.request_timeout < Period::seconds(1) {
        found.problems.push(
            Problem::new(
                "push.request_timeout",
                "push gateways could not answer in time",
                "write \"1s\" or more",
            )
            .with_value(format!("\"{}\"", push.request_timeout)),
        );
    }
}
