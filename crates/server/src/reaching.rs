//! How other servers are reached, as the configuration wants it.

use std::sync::Arc;

use vestibule_config::Config;
use vestibule_remote::{
    Network, NetworkOptions, NoTransport, RemoteConfig, ServerLists, Transport,
};
use vestibule_types::Environment;

/// Whether other servers are talked to. Whoever brings a network of their own means to use it,
/// unless the configuration says no.
pub(crate) fn wanted(config: &Config, own_network: bool) -> bool {
    config.federates() || (own_network && config.federation.enabled != Some(false))
}

/// What the operator decided.
pub(crate) fn config(config: &Config, enabled: bool) -> RemoteConfig {
    let section = &config.federation;
    RemoteConfig {
        enabled,
        servers: ServerLists::new(&section.allowed_servers, &section.denied_servers),
        call_time_max: section.request_timeout.duration(),
    }
}

/// The network; nothing at all where no other server is talked to.
pub(crate) fn transport(
    config: &Config,
    environment: &Environment,
) -> anyhow::Result<Arc<dyn Transport>> {
    if !config.federates() {
        return Ok(Arc::new(NoTransport));
    }
    let section = &config.federation;
    let options = NetworkOptions {
        ca_file: section.ca_file.clone(),
        allowed_networks: section.allowed_networks.iter().map(|network| network.0).collect(),
        known: section.resolve.clone(),
        ..NetworkOptions::new(environment.clone())
    };
    Ok(Arc::new(Network::new(options)?))
}
