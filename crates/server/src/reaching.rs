//! How other servers are reached, as the configuration wants it.

use std::sync::Arc;

use vestibule_config::{Config, Network as OpenNetwork};
use vestibule_events::SigningKey;
use vestibule_media::{PreviewSettings, Previews};
use vestibule_remote::{
    Network, NetworkOptions, Remote, RemoteConfig, RemoteParts, ServerLists, SystemNames,
    Transport, Web, WebPurpose,
};
use vestibule_storage::Store;
use vestibule_types::Environment;

/// What carries requests out of this process: the network, unless something else was brought along.
pub(crate) fn transport(
    config: &Config,
    environment: &Environment,
    instead: Option<&Arc<dyn Transport>>,
) -> anyhow::Result<Arc<dyn Transport>> {
    instead.map_or_else(|| network(config, environment), |it| Ok(Arc::clone(it)))
}

/// The way to other servers.
pub(crate) async fn remote(
    config: &Config,
    environment: &Environment,
    (store, signing_key): (Store, Arc<SigningKey>),
    (transport, own_network): (Arc<dyn Transport>, bool),
) -> anyhow::Result<Remote> {
    let remote = Remote::open(RemoteParts {
        store,
        environment: environment.clone(),
        server_name: config.server_name().to_owned(),
        signing_key,
        config: decided(config, wanted(config, own_network)),
        transport,
    });
    Ok(remote.await?)
}

/// Whether other servers are talked to. Whoever brings a network of their own means to use it,
/// unless the configuration says no.
fn wanted(config: &Config, own_network: bool) -> bool {
    config.federates() || (own_network && config.federation.enabled != Some(false))
}

/// What the operator decided.
pub(crate) fn decided(config: &Config, enabled: bool) -> RemoteConfig {
    let section = &config.federation;
    RemoteConfig {
        enabled,
        servers: ServerLists::new(&section.allowed_servers, &section.denied_servers),
        call_time_max: section.request_timeout.duration(),
    }
}

fn network(config: &Config, environment: &Environment) -> anyhow::Result<Arc<dyn Transport>> {
    let section = &config.federation;
    let open = |networks: &[OpenNetwork]| networks.iter().map(|network| network.0).collect();
    let mut options = NetworkOptions {
        ca_file: section.ca_file.clone(),
        allowed_networks: open(&section.allowed_networks),
        gateway_networks: open(&config.push.allowed_networks),
        page_networks: open(&config.previews.allowed_networks),
        known: section.resolve.clone(),
        known_web: section.resolve_web.clone(),
        ..NetworkOptions::new(environment.clone())
    };
    if !section.name_servers.is_empty() {
        options.names = Arc::new(SystemNames::asking(&section.name_servers));
    }
    Ok(Arc::new(Network::new(options)?))
}

/// The way to push gateways.
pub(crate) fn gateways(
    config: &Config,
    environment: &Environment,
    transport: &Arc<dyn Transport>,
) -> Web {
    let (transport, environment) = (Arc::clone(transport), environment.clone());
    Web::over(transport, environment, WebPurpose::Gateways, config.push.plain_http)
}

/// Previews of web pages, where they are made.
pub(crate) fn previews(
    config: &Config,
    environment: &Environment,
    transport: &Arc<dyn Transport>,
) -> Option<Previews> {
    let section = &config.previews;
    if !section.enabled {
        return None;
    }
    let (transport, environment) = (Arc::clone(transport), environment.clone());
    let web = Web::over(transport, environment, WebPurpose::Pages, true);
    let settings = PreviewSettings {
        hosts: ServerLists::new(&section.allowed_hosts, &section.denied_hosts),
        page_bytes_max: section.page_bytes_max,
        image_bytes_max: section.image_bytes_max,
        languages: section.languages.clone(),
    };
    Some(Previews::new(web, settings))
}
