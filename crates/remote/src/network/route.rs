//! From an authority to the sockets that stand for it (server-server API, "Resolving server
//! names", all steps but `.well-known`).

use std::{
    collections::BTreeMap,
    net::{IpAddr, SocketAddr},
    sync::Arc,
};

use vestibule_types::{
    Environment,
    limits::{REMOTE_ADDRESSES_MAX, SRV_LOOKUP_MAX, SRV_TARGETS_MAX},
};

use super::{
    address::AddressFilter,
    authority::{Authority, Host},
    names::{Names, ServiceRecord},
    trace::Trace,
};
use crate::TransportError;

/// The services a server may be found by; the second one is deprecated.
const SERVICES: [&str; 2] = ["_matrix-fed._tcp", "_matrix._tcp"];

/// What finding a socket takes.
#[derive(Clone)]
pub(crate) struct Router {
    pub(crate) names: Arc<dyn Names>,
    pub(crate) filter: AddressFilter,
    /// Servers whose socket the operator gave.
    pub(crate) known: BTreeMap<String, SocketAddr>,
    /// Web servers whose socket the operator gave.
    pub(crate) known_web: BTreeMap<String, SocketAddr>,
    pub(crate) environment: Environment,
    /// The port of a server that names none.
    pub(crate) default_port: u16,
    /// The port of `https`.
    pub(crate) web_port: u16,
}

/// What is looked for at an authority.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Purpose {
    /// The server-server API.
    Federation,
    /// A file on a web server.
    Web,
}

impl Router {
    /// The socket that the operator gave for an authority.
    pub(crate) fn known(&self, authority: &Authority, purpose: Purpose) -> Option<SocketAddr> {
        let known = match purpose {
            Purpose::Federation => &self.known,
            Purpose::Web => &self.known_web,
        };
        known.get(&authority.to_string()).copied()
    }

    /// The sockets to try, in order. Every one of them may be reached.
    pub(crate) async fn sockets(
        &self,
        authority: &Authority,
        purpose: Purpose,
        trace: &Trace,
    ) -> Result<Vec<SocketAddr>, TransportError> {
        if let Some(socket) = self.known(authority, purpose) {
            trace.fine("address", format!("{authority} is at {socket}, says the configuration"));
            return Ok(vec![socket]);
        }
        match (&authority.host, authority.port, purpose) {
            (Host::Ip(address), port, _) => {
                let port = port.unwrap_or_else(|| self.port(purpose));
                self.filtered(authority, vec![SocketAddr::new(*address, port)], trace)
            }
            (Host::Name(name), None, Purpose::Federation) => {
                let services = self.services(name, trace).await?;
                let hosts = match services {
                    Some(services) => services,
                    None => vec![(name.clone(), self.default_port)],
                };
                let found = self.resolved(hosts, trace).await?;
                self.filtered(authority, found, trace)
            }
            (Host::Name(name), port, _) => {
                let port = port.unwrap_or_else(|| self.port(purpose));
                let found = self.resolved(vec![(name.clone(), port)], trace).await?;
                self.filtered(authority, found, trace)
            }
        }
    }

    fn port(&self, purpose: Purpose) -> u16 {
        match purpose {
            Purpose::Federation => self.default_port,
            Purpose::Web => self.web_port,
        }
    }

    /// Hosts and ports by SRV records; `None` when there are no records. Both services are asked
    /// for at once, since a name server that does not answer costs its time only once then.
    async fn services(
        &self,
        name: &str,
        trace: &Trace,
    ) -> Result<Option<Vec<(String, u16)>>, TransportError> {
        let [new, old] = SERVICES.map(|service| self.service(format!("{service}.{name}")));
        let (new, old) = tokio::join!(new, old);
        for (service, records) in SERVICES.into_iter().zip([new, old]) {
            let records = match records {
                Ok(records) if records.is_empty() => {
                    trace.fine("srv", format!("{service}.{name}: no record"));
                    continue;
                }
                Ok(records) => records,
                Err(error) => {
                    trace.notable("srv", format!("{service}.{name}: {error}"));
                    continue;
                }
            };
            let hosts: Vec<_> = self
                .in_order(records)
                .into_iter()
                .filter(|record| !record.target.is_empty())
                .map(|record| (record.target, record.port))
                .collect();
            let listed: Vec<_> =
                hosts.iter().map(|(host, port)| format!("{host}:{port}")).collect();
            trace.fine("srv", format!("{service}.{name}: {}", listed.join(", ")));
            if hosts.is_empty() {
                let reason = format!("{service}.{name} says that there is no server");
                return Err(TransportError::Unreachable(reason));
            }
            return Ok(Some(hosts));
        }
        Ok(None)
    }

    async fn service(&self, service: String) -> Result<Vec<ServiceRecord>, String> {
        tokio::select! {
            biased;
            records = self.names.services(service) => records,
            () = self.environment.clock.sleep(SRV_LOOKUP_MAX) => Err("no answer in time".to_owned()),
        }
    }

    /// By priority; by lot among equals, with chances by weight (RFC 2782).
    fn in_order(&self, mut records: Vec<ServiceRecord>) -> Vec<ServiceRecord> {
        records.truncate(SRV_TARGETS_MAX);
        records.sort_by_key(|record| record.priority);
        let mut ordered = Vec::with_capacity(records.len());
        while let Some(first) = records.first() {
            let priority = first.priority;
            let equals = records.iter().take_while(|record| record.priority == priority);
            let weights: Vec<u64> = equals.map(|record| u64::from(record.weight) + 1).collect();
            let draw = u64::from_be_bytes(self.environment.random_bytes());
            let mut left = draw % weights.iter().sum::<u64>().max(1);
            let chosen = weights.iter().position(|weight| {
                let hit = left < *weight;
                left = left.saturating_sub(*weight);
                hit
            });
            ordered.push(records.remove(chosen.unwrap_or_default()));
        }
        ordered
    }

    async fn resolved(
        &self,
        hosts: Vec<(String, u16)>,
        trace: &Trace,
    ) -> Result<Vec<SocketAddr>, TransportError> {
        let mut sockets = Vec::new();
        let mut reasons = Vec::new();
        for (host, port) in hosts {
            // A target of an SRV record may be written as an address.
            let found = match host.parse::<IpAddr>() {
                Ok(address) => Ok(vec![address]),
                Err(_) => self.names.addresses(host.clone()).await,
            };
            match found {
                Ok(found) if found.is_empty() => {
                    trace.notable("dns", format!("{host}: no address"));
                    reasons.push(format!("{host} has no address"));
                }
                Ok(found) => {
                    let listed: Vec<_> = found.iter().map(ToString::to_string).collect();
                    trace.fine("dns", format!("{host}: {}", listed.join(", ")));
                    sockets.extend(found.into_iter().map(|it| SocketAddr::new(it, port)));
                }
                Err(error) => {
                    trace.notable("dns", format!("{host}: {error}"));
                    reasons.push(format!("the address of {host} is not known: {error}"));
                }
            }
        }
        sockets.truncate(REMOTE_ADDRESSES_MAX);
        if sockets.is_empty() {
            return Err(TransportError::Unreachable(reasons.join("; ")));
        }
        Ok(sockets)
    }

    fn filtered(
        &self,
        authority: &Authority,
        found: Vec<SocketAddr>,
        trace: &Trace,
    ) -> Result<Vec<SocketAddr>, TransportError> {
        let (open, closed): (Vec<_>, Vec<_>) =
            found.into_iter().partition(|socket| self.filter.allows(socket.ip()));
        for socket in closed {
            let ip = socket.ip();
            trace.notable(
                "address",
                format!("{ip} is private and not in federation.allowed_networks"),
            );
        }
        if open.is_empty() {
            tracing::info!(%authority, "its address may not be reached");
            trace.failed("address", format!("{authority} has no address that may be reached"));
            return Err(TransportError::Refused);
        }
        Ok(open)
    }
}
