//! The network as a [`Transport`]: finding a server, connecting to it, sending one request.
//!
//! A server name is first turned into an *authority*, host and perhaps port: itself, or what its
//! `.well-known` file says. The authority is what the `Host` header and the certificate are about,
//! and what connections are pooled by; where it leads is found when a connection is opened.

mod address;
mod authority;
mod client;
mod connect;
mod delegation;
mod examine;
mod names;
mod pages;
mod route;
mod tls;
mod trace;
mod web;
mod well_known;

use std::{collections::BTreeMap, fmt, net::SocketAddr, path::PathBuf, sync::Arc};

use http::{Request, Uri, uri::Scheme};
use http_body_util::Full;
use ipnet::IpNet;
use ruma::{OwnedServerName, ServerName};
use vestibule_types::{BoxFuture, Environment};

use self::{
    address::AddressFilter,
    authority::{Authority, Host},
    client::HttpClient,
    connect::Connector,
    delegation::Delegations,
    route::{Purpose, Router},
};
pub use self::{
    names::{Names, ServiceRecord, SystemNames},
    pages::PageNetwork,
    trace::{Finding, Outcome},
    web::{Letter, Web, WebError, WebOptions},
};
use crate::{Exchange, Reply, Transport, TransportError, WebRequest};

/// What the network is reached with.
pub struct NetworkOptions {
    /// Time, randomness, spawning.
    pub environment: Environment,
    /// Where names lead.
    pub names: Arc<dyn Names>,
    /// Certificate authorities beside those of the machine, as PEM.
    pub ca_file: Option<PathBuf>,
    /// Networks that are reached although they are private.
    pub allowed_networks: Vec<IpNet>,
    /// Servers whose socket is known: nothing is looked up for them.
    pub known: BTreeMap<OwnedServerName, SocketAddr>,
    /// The port of a server that names none.
    pub default_port: u16,
    /// The port of `https`, at which delegations lie.
    pub web_port: u16,
}

impl NetworkOptions {
    /// The internet as this machine sees it.
    #[must_use]
    pub fn new(environment: Environment) -> Self {
        Self {
            environment,
            names: Arc::new(SystemNames::new()),
            ca_file: None,
            allowed_networks: Vec::new(),
            known: BTreeMap::new(),
            default_port: 8448,
            web_port: 443,
        }
    }
}

impl fmt::Debug for NetworkOptions {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("NetworkOptions").finish_non_exhaustive()
    }
}

/// Why the network cannot be used.
#[derive(Debug, thiserror::Error)]
pub enum NetworkError {
    /// The file of certificate authorities is of no use.
    #[error("the certificate authorities in `{}` cannot be used: {reason}", path.display())]
    CaFile {
        /// The file.
        path: PathBuf,
        /// What is wrong with it.
        reason: String,
    },
    /// TLS cannot be set up.
    #[error("TLS cannot be set up: {0}")]
    Tls(rustls::Error),
}

/// The network.
pub struct Network {
    connector: Connector,
    client: HttpClient,
    web: HttpClient,
    delegations: Delegations,
}

impl fmt::Debug for Network {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Network").finish_non_exhaustive()
    }
}

impl Network {
    /// Gets ready to reach others; reaches nobody yet.
    pub fn new(options: NetworkOptions) -> Result<Self, NetworkError> {
        let environment = options.environment;
        let tls = tls::client_config(options.ca_file.as_deref())?;
        let known = options
            .known
            .into_iter()
            .map(|(name, socket)| (Authority::of_server(&name).to_string(), socket))
            .collect();
        let router = Arc::new(Router {
            names: options.names,
            filter: AddressFilter::new(options.allowed_networks),
            known,
            environment: environment.clone(),
            default_port: options.default_port,
            web_port: options.web_port,
        });
        let connector = Connector { router, tls, purpose: Purpose::Federation };
        let web = Connector { purpose: Purpose::Web, ..connector.clone() };
        let web = HttpClient::new(web, environment.clone());
        Ok(Self {
            client: HttpClient::new(connector.clone(), environment.clone()),
            delegations: Delegations::new(web.clone(), environment),
            web,
            connector,
        })
    }

    /// The host that is asked for a delegation; none if the name says itself where it leads.
    fn delegating_host(&self, server: &ServerName) -> Option<String> {
        let authority = Authority::of_server(server);
        let known = self.connector.router.known(&authority).is_some();
        match authority {
            Authority { host: Host::Name(name), port: None } if !known => Some(name),
            _ => None,
        }
    }

    async fn authority(&self, server: &ServerName) -> Authority {
        let delegated = match self.delegating_host(server) {
            Some(host) => self.delegations.of(&host).await,
            None => None,
        };
        delegated.unwrap_or_else(|| Authority::of_server(server))
    }

    async fn send(&self, exchange: Exchange) -> Result<Reply, TransportError> {
        let authority = self.authority(&exchange.server).await;
        let uri = Uri::builder()
            .scheme(Scheme::HTTPS)
            .authority(authority.to_string())
            .path_and_query(exchange.path)
            .build()
            .map_err(|error| TransportError::Unreachable(format!("{authority}: {error}")))?;
        let mut request = Request::new(Full::new(exchange.body));
        *request.method_mut() = exchange.method;
        *request.uri_mut() = uri;
        *request.headers_mut() = exchange.headers;
        self.client.send(request, exchange.answer_bytes_max).await
    }
}

impl Transport for Network {
    fn exchange(&self, exchange: Exchange) -> BoxFuture<'_, Result<Reply, TransportError>> {
        Box::pin(self.send(exchange))
    }

    fn fetch(&self, request: WebRequest) -> BoxFuture<'_, Result<Reply, TransportError>> {
        let answer_bytes_max = request.answer_bytes_max;
        let mut sent = Request::new(Full::new(request.body));
        *sent.method_mut() = request.method;
        *sent.uri_mut() = request.url;
        *sent.headers_mut() = request.headers;
        Box::pin(self.web.send(sent, answer_bytes_max))
    }

    fn examine(&self, server: OwnedServerName) -> BoxFuture<'_, Vec<Finding>> {
        Box::pin(async move { self.find(&server).await })
    }

    fn forget(&self, server: &ServerName) {
        if let Some(host) = self.delegating_host(server) {
            self.delegations.forget(&host);
        }
    }
}
