//! The network as a [`Transport`]: finding a server, connecting to it, sending one request.
//!
//! A server name is first turned into an *authority*, host and perhaps port: itself, or what its
//! `.well-known` file says. The authority is what the `Host` header and the certificate are about,
//! and what connections are pooled by; where it leads is found when a connection is opened, and judged
//! there. What lies on the web goes the same way, with pools and open networks for each purpose.

mod address;
pub(crate) mod authority;
mod client;
mod connect;
mod delegation;
mod examine;
mod names;
mod route;
mod tls;
mod trace;
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
    trace::{Finding, Outcome},
};
use crate::{Exchange, OpenReply, Reply, Transport, TransportError, WebPurpose, WebRequest};

/// What the network is reached with.
pub struct NetworkOptions {
    /// Time, randomness, spawning.
    pub environment: Environment,
    /// Where names lead.
    pub names: Arc<dyn Names>,
    /// Certificate authorities beside those of the machine, as PEM.
    pub ca_file: Option<PathBuf>,
    /// Networks where servers, and what is theirs on the web, are reached although they are private.
    pub allowed_networks: Vec<IpNet>,
    /// The same for push gateways.
    pub gateway_networks: Vec<IpNet>,
    /// The same for pages that users link to.
    pub page_networks: Vec<IpNet>,
    /// Servers whose socket is known: nothing is looked up for them.
    pub known: BTreeMap<OwnedServerName, SocketAddr>,
    /// Web servers whose socket is known, by the host and port of their `https` addresses.
    pub known_web: BTreeMap<OwnedServerName, SocketAddr>,
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
            gateway_networks: Vec::new(),
            page_networks: Vec::new(),
            known: BTreeMap::new(),
            known_web: BTreeMap::new(),
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
    web: Doors,
    delegations: Delegations,
}

/// A client for each purpose: a connection that was opened for one is not used for another.
struct Doors {
    servers: HttpClient,
    gateways: HttpClient,
    pages: HttpClient,
}

impl Doors {
    fn of(&self, purpose: WebPurpose) -> &HttpClient {
        match purpose {
            WebPurpose::Servers => &self.servers,
            WebPurpose::Gateways => &self.gateways,
            WebPurpose::Pages => &self.pages,
        }
    }
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
        let router = Router {
            names: options.names,
            filter: AddressFilter::new(options.allowed_networks),
            known: by_authority(options.known),
            known_web: by_authority(options.known_web),
            environment: environment.clone(),
            default_port: options.default_port,
            web_port: options.web_port,
        };
        let door = |networks: Vec<IpNet>| {
            // What the operator says of servers opens no door for what users name.
            let (filter, known_web) = (AddressFilter::new(networks), BTreeMap::new());
            let router = Router { filter, known_web, ..router.clone() };
            let (router, tls) = (Arc::new(router), Arc::clone(&tls));
            let connector = Connector { router, tls, purpose: Purpose::Web };
            HttpClient::new(connector, environment.clone())
        };
        let (gateways, pages) = (door(options.gateway_networks), door(options.page_networks));
        let router = Arc::new(router);
        let connector = Connector { router, tls: Arc::clone(&tls), purpose: Purpose::Federation };
        let servers = Connector { purpose: Purpose::Web, ..connector.clone() };
        let servers = HttpClient::new(servers, environment.clone());
        Ok(Self {
            client: HttpClient::new(connector.clone(), environment.clone()),
            delegations: Delegations::new(servers.clone(), environment.clone()),
            web: Doors { servers, gateways, pages },
            connector,
        })
    }

    /// The host that is asked for a delegation; none if the name says itself where it leads.
    fn delegating_host(&self, server: &ServerName) -> Option<String> {
        let authority = Authority::of_server(server);
        let known = self.connector.router.known(&authority, Purpose::Federation).is_some();
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

    async fn send(&self, exchange: Exchange) -> Result<OpenReply, TransportError> {
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
        self.client.open(request).await
    }
}

fn by_authority(known: BTreeMap<OwnedServerName, SocketAddr>) -> BTreeMap<String, SocketAddr> {
    let of = |name: OwnedServerName| Authority::of_server(&name).to_string();
    known.into_iter().map(|(name, socket)| (of(name), socket)).collect()
}

impl Transport for Network {
    fn exchange(&self, exchange: Exchange) -> BoxFuture<'_, Result<Reply, TransportError>> {
        let bytes_max = exchange.answer_bytes_max;
        Box::pin(async move { self.send(exchange).await?.whole(bytes_max).await })
    }

    fn open(&self, exchange: Exchange) -> BoxFuture<'_, Result<OpenReply, TransportError>> {
        Box::pin(self.send(exchange))
    }

    fn fetch(
        &self,
        request: WebRequest,
        purpose: WebPurpose,
    ) -> BoxFuture<'_, Result<OpenReply, TransportError>> {
        let mut sent = Request::new(Full::new(request.body));
        *sent.method_mut() = request.method;
        *sent.uri_mut() = request.url;
        *sent.headers_mut() = request.headers;
        Box::pin(self.web.of(purpose).open(sent))
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
