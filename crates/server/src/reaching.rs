//! How other servers are reached, as the configuration wants it.

use std::sync::Arc;

use vestibule_config::Config;
use vestibule_events::SigningKey;
use vestibule_media::{PreviewSettings, Previews};
use vestibule_remote::{
    Network, NetworkOptions, NoTransport, PageNetwork, Remote, RemoteConfig, RemoteParts,
    ServerLists, Transport, Web, WebOptions,
};
use vestibule_storage::Store;
use vestibule_types::Environment;

/// The way to other servers, over the network unless something else carries requests.
pub(crate) async fn remote(
    config: &Config,
    environment: &Environment,
    (store, signing_key): (Store, Arc<SigningKey>),
    instead: Option<Arc<dyn Transport>>,
) -> anyhow::Result<Remote> {
    let enabled = wanted(config, instead.is_some());
    let transport = match instead {
        Some(transport) => transport,
        None => network(config, environment)?,
    };
    let remote = Remote::open(RemoteParts {
        store,
        environment: environment.clone(),
        server_name: config.server_name().to_owned(),
        signing_key,
        config: decided(config, enabled),
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

/// The network. Where no other server is talked to it serves the web alone, and may be missing.
fn network(config: &Config, environment: &Environment) -> anyhow::Result<Arc<dyn Transport>> {
    let section = &config.federation;
    let options = NetworkOptions {
        ca_file: section.ca_file.clone(),
        allowed_networks: section.allowed_networks.iter().map(|network| network.0).collect(),
        known: section.resolve.clone(),
        ..NetworkOptions::new(environment.clone())
    };
    match Network::new(options) {
        Ok(network) => Ok(Arc::new(network)),
        Err(error) if config.federates() => Err(error.into()),
        Err(error) => {
            tracing::warn!(%error, "nothing outside of this machine can be reached");
            Ok(Arc::new(NoTransport))
        }
    }
}

/// The way to push gateways.
pub(crate) fn push_gateways(config: &Config, environment: &Environment) -> anyhow::Result<Web> {
    let section = &config.push;
    Ok(Web::new(WebOptions {
        ca_file: config.federation.ca_file.clone(),
        allowed_networks: section.allowed_networks.iter().map(|network| network.0).collect(),
        plain: section.plain_http,
        ..WebOptions::new(environment.clone())
    })?)
}

/// Previews of web pages, where they are made.
pub(crate) fn previews(
    config: &Config,
    environment: &Environment,
) -> anyhow::Result<Option<Previews>> {
    let section = &config.previews;
    if !section.enabled {
        return Ok(None);
    }
    let web = PageNetwork::new(WebOptions {
        allowed_networks: section.allowed_networks.iter().map(|network| network.0).collect(),
        plain: true,
        ..WebOptions::new(environment.clone())
    })?;
    let settings = PreviewSettings {
        hosts: ServerLists::new(&section.allowed_hosts, &section.denied_hosts),
        page_bytes_max: section.page_bytes_max,
        image_bytes_max: section.image_bytes_max,
        languages: section.languages.clone(),
    };
    Ok(Some(Previews::new(Arc::new(web), settings)))
}
