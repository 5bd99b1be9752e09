//! Our end of the network, with names as the test has them.

use std::{
    collections::BTreeMap,
    net::{IpAddr, SocketAddr},
    sync::Arc,
    time::Duration,
};

use bytes::Bytes;
use http::{HeaderMap, Method};
use parking_lot::Mutex;
use ruma::{OwnedServerName, ServerName};
use tempfile::TempDir;
use vestibule_remote::{
    Exchange, Names, Network, NetworkOptions, Reply, ServiceRecord, Transport, TransportError,
};
use vestibule_testkit::{ManualClock, environment, tls::TestAuthority};
use vestibule_types::BoxFuture;

use crate::peer::{Answer, Heard, Peer, Plan, address, page};

/// The port of servers that name none.
pub(crate) const PORT: u16 = 8448;

/// Where `.well-known` files lie, in place of 443.
pub(crate) const WEB_PORT: u16 = 8443;

/// DNS.
#[derive(Clone, Default)]
pub(crate) struct Zone(Arc<Mutex<Records>>);

#[derive(Default)]
struct Records {
    addresses: BTreeMap<String, Vec<IpAddr>>,
    services: BTreeMap<String, Vec<ServiceRecord>>,
    broken: bool,
    asked: Vec<String>,
}

impl Zone {
    /// A host is at an address.
    pub(crate) fn lead(&self, host: &str, address: IpAddr) {
        self.0.lock().addresses.insert(host.to_owned(), vec![address]);
    }
}

impl Names for Zone {
    fn addresses(&self, host: String) -> BoxFuture<'_, Result<Vec<IpAddr>, String>> {
        let mut records = self.0.lock();
        records.asked.push(host.clone());
        let found = records.addresses.get(&host).cloned().unwrap_or_default();
        Box::pin(async move { Ok(found) })
    }

    fn services(&self, service: String) -> BoxFuture<'_, Result<Vec<ServiceRecord>, String>> {
        let mut records = self.0.lock();
        records.asked.push(service.clone());
        let found = records.services.get(&service).cloned().unwrap_or_default();
        let broken = records.broken;
        Box::pin(async move { if broken { Err("SERVFAIL".to_owned()) } else { Ok(found) } })
    }
}

/// Our server, and the world it may reach.
pub(crate) struct Scene {
    pub(crate) zone: Zone,
    pub(crate) authority: TestAuthority,
    pub(crate) clock: Arc<ManualClock>,
    /// Private addresses that are allowed.
    allowed: Vec<IpAddr>,
    known: BTreeMap<OwnedServerName, SocketAddr>,
    known_web: BTreeMap<OwnedServerName, SocketAddr>,
    network: Option<Network>,
    folder: TempDir,
}

impl Scene {
    pub(crate) fn new() -> Self {
        Self {
            zone: Zone::default(),
            authority: TestAuthority::new(),
            clock: Arc::new(ManualClock::at(0)),
            allowed: Vec::new(),
            known: BTreeMap::new(),
            known_web: BTreeMap::new(),
            network: None,
            folder: tempfile::tempdir().unwrap(),
        }
    }

    /// `host` is at these addresses.
    pub(crate) fn name(&self, host: &str, addresses: &[IpAddr]) -> &Self {
        self.zone.0.lock().addresses.insert(host.to_owned(), addresses.to_vec());
        self
    }

    /// An SRV record.
    pub(crate) fn service(&self, service: &str, priority: u16, target: &str, port: u16) -> &Self {
        let target = target.to_owned();
        let record = ServiceRecord { priority, weight: 1, target, port };
        self.zone.0.lock().services.entry(service.to_owned()).or_default().push(record);
        self
    }

    /// The name server answers no question for SRV records.
    pub(crate) fn services_are_broken(&self) {
        self.zone.0.lock().broken = true;
    }

    /// What the name server was asked.
    pub(crate) fn asked(&self) -> Vec<String> {
        self.zone.0.lock().asked.clone()
    }

    /// The operator says where a server is.
    pub(crate) fn known(&mut self, server: &str, socket: SocketAddr) {
        self.known.insert(server.try_into().unwrap(), socket);
    }

    /// The operator says where a web server is.
    pub(crate) fn known_web(&mut self, host: &str, socket: SocketAddr) {
        self.known_web.insert(host.try_into().unwrap(), socket);
    }

    /// An address that may be reached.
    pub(crate) fn open_address(&mut self) -> IpAddr {
        let address = address();
        self.allowed.push(address);
        address
    }

    /// What a server needs that is on an address of its own, and whose certificate is for these
    /// hosts.
    pub(crate) fn plan(&mut self, port: u16, hosts: &[&str]) -> Plan {
        let socket = SocketAddr::new(self.open_address(), port);
        self.plan_at(socket, hosts)
    }

    pub(crate) fn plan_at(&self, socket: SocketAddr, hosts: &[&str]) -> Plan {
        let address = socket.ip().to_string();
        let hosts: Vec<&str> =
            hosts.iter().map(|&it| if it == "ADDRESS" { &*address } else { it }).collect();
        Plan {
            socket,
            certificate: self.authority.certificate(&hosts),
            protocols: vec!["h2", "http/1.1"],
            hangs_up: false,
        }
    }

    /// A homeserver at this port with a certificate for these hosts, or for its `ADDRESS`.
    pub(crate) async fn homeserver(&mut self, port: u16, hosts: &[&str]) -> Peer {
        self.plan(port, hosts).answering(|_| page(200, &[], "{}")).await
    }

    /// A web server for a host, reached by its name.
    pub(crate) async fn website(
        &mut self,
        host: &str,
        answer: impl Fn(&Heard) -> Answer + Send + Sync + 'static,
    ) -> Peer {
        let plan = self.plan(WEB_PORT, &[host]);
        self.name(host, &[plan.socket.ip()]);
        plan.answering(answer).await
    }

    /// A website whose `.well-known` file says this.
    pub(crate) async fn delegating(&mut self, host: &str, to: &str) -> Peer {
        let body = serde_json::json!({ "m.server": to }).to_string();
        self.website(host, move |_| page(200, &[], body.clone())).await
    }

    /// A request to a server, as the transport carries it out.
    pub(crate) async fn send(&mut self, server: &str) -> Result<Reply, TransportError> {
        self.send_with(server, 1_000).await
    }

    pub(crate) async fn send_with(
        &mut self,
        server: &str,
        answer_bytes_max: usize,
    ) -> Result<Reply, TransportError> {
        send_over(self.network(), server, answer_bytes_max).await
    }

    /// The network, made when it is first needed.
    pub(crate) fn network(&mut self) -> &Network {
        let mut test = environment(5);
        test.environment.clock = self.clock.clone();
        self.network.get_or_insert_with(|| {
            let options = NetworkOptions {
                names: Arc::new(self.zone.clone()),
                ca_file: Some(self.authority.write_to(self.folder.path())),
                allowed_networks: self.allowed.iter().map(|it| (*it).into()).collect(),
                known: self.known.clone(),
                known_web: self.known_web.clone(),
                default_port: PORT,
                web_port: WEB_PORT,
                ..NetworkOptions::new(test.environment)
            };
            Network::new(options).unwrap()
        })
    }

    pub(crate) fn pass(&self, time: Duration) {
        self.clock.advance(time);
    }
}

pub(crate) async fn send_over(
    network: &Network,
    server: &str,
    answer_bytes_max: usize,
) -> Result<Reply, TransportError> {
    let exchange = Exchange {
        server: server.try_into().unwrap(),
        method: Method::GET,
        path: "/_matrix/federation/v1/version?x=1".to_owned(),
        headers: HeaderMap::new(),
        body: Bytes::new(),
        answer_bytes_max,
        time_max: Duration::from_mins(1),
    };
    network.exchange(exchange).await
}

/// The text of a failure to reach somebody.
#[track_caller]
pub(crate) fn unreachable(result: Result<Reply, TransportError>) -> String {
    match result {
        Err(TransportError::Unreachable(reason)) => reason,
        other => panic!("{other:?}"),
    }
}

#[track_caller]
#[expect(clippy::needless_pass_by_value, reason = "called with what was just awaited")]
pub(crate) fn refused(result: Result<Reply, TransportError>) {
    assert!(matches!(result, Err(TransportError::Refused)), "{result:?}");
}

pub(crate) fn server(name: &str) -> OwnedServerName {
    <&ServerName>::try_from(name).unwrap().to_owned()
}
