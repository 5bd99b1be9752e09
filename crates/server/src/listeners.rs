//! The sockets of a server, and what each of them answers.

use std::{net::SocketAddr, sync::Arc};

use anyhow::Context;
use axum::Router;
use vestibule_config::{Config, Listener as Section, Surface};
use vestibule_http::{Bind, Certificates, Entrance, Listener, ListenerOptions};
use vestibule_types::Environment;

use crate::{metrics, policy_metrics::PolicyMetrics, socket_path};

/// The routers a listener may be made of.
pub(crate) struct Surfaces {
    pub(crate) client: Router,
    pub(crate) federation: Router,
    pub(crate) admin: Router,
    pub(crate) local: Router,
    pub(crate) health: Router,
    pub(crate) metrics: Arc<PolicyMetrics>,
}

/// Sockets that are bound and not yet accepting.
pub(crate) struct Bound {
    listeners: Vec<(Listener, Entrance)>,
    /// Where the configured listeners are, in their order.
    pub(crate) addresses: Vec<SocketAddr>,
    /// The certificates that a reload reads again.
    pub(crate) certificates: Vec<Arc<Certificates>>,
}

impl Bound {
    /// Binds everything, so that a taken port stops the start before anything is served.
    pub(crate) async fn bind(
        config: &Config,
        surfaces: &Surfaces,
        environment: &Environment,
    ) -> anyhow::Result<Self> {
        let mut bound =
            Self { listeners: Vec::new(), addresses: Vec::new(), certificates: Vec::new() };
        for (index, section) in config.listeners.iter().enumerate() {
            let connections_max = usize::try_from(config.limits.connections_max)?;
            let tls = certificates(section).with_context(|| format!("listener[{index}].tls"))?;
            bound.certificates.extend(tls.clone());
            let options = ListenerOptions {
                tls,
                trusted_proxies: Some(section.trusted_networks()),
                connections_max,
                ..ListenerOptions::new(Bind::Tcp(section.bind))
            };
            let listener = Listener::bind(options).await.with_context(|| {
                format!("listener[{index}].bind = {}: cannot listen there", section.bind)
            })?;
            bound.addresses.extend(listener.local_addr());
            let router = surfaces.router(section);
            bound.listeners.push((listener, Entrance::new(router, environment.clock.clone())));
        }
        let path = socket_path(&config.server.data_dir);
        let local = Listener::bind(ListenerOptions::new(Bind::Unix(path.clone())))
            .await
            .with_context(|| format!("cannot listen on {}", path.display()))?;
        let entrance = Entrance::new(surfaces.local.clone(), environment.clock.clone());
        bound.listeners.push((local, entrance));
        Ok(bound)
    }

    /// Serves until the server stops.
    pub(crate) fn serve(self, environment: &Environment) {
        for (listener, entrance) in self.listeners {
            let stopping = environment.spawner.stopping();
            let serving = listener.serve(entrance, stopping);
            environment.spawner.spawn("listener", Box::pin(serving));
        }
    }
}

impl Surfaces {
    fn router(&self, section: &Section) -> Router {
        let serves = |surface| section.serves.contains(&surface);
        let mut router = self.health.clone();
        if serves(Surface::Client) {
            router = router.merge(self.client.clone());
        }
        if serves(Surface::Federation) {
            router = router.merge(self.federation.clone());
        }
        if serves(Surface::Admin) {
            router = router.merge(self.admin.clone());
        }
        if serves(Surface::Metrics) {
            router = router.merge(metrics::router(self.metrics.clone()));
        }
        router
    }
}

fn certificates(section: &Section) -> anyhow::Result<Option<Arc<Certificates>>> {
    let Some(tls) = &section.tls else { return Ok(None) };
    Ok(Some(Certificates::open(&tls.certificate, &tls.private_key)?))
}
