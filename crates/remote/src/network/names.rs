//! Asking DNS.

use std::{
    net::{IpAddr, SocketAddr},
    time::Duration,
};

use hickory_resolver::{
    ResolverBuilder, TokioResolver,
    config::{NameServerConfig, ResolverConfig},
    net::{NetError, runtime::TokioRuntimeProvider},
    proto::rr::{RData, RecordType},
};
use vestibule_types::{
    BoxFuture,
    limits::{REMOTE_ADDRESSES_MAX, SRV_TARGETS_MAX},
};

/// How long one question to one name server may take.
const QUESTION_MAX: Duration = Duration::from_secs(3);

/// How long an answer is kept at most, whatever it says of itself.
const AGE_MAX: Duration = Duration::from_hours(1);

/// How long it is kept at most that there is no such name.
const ABSENCE_AGE_MAX: Duration = Duration::from_mins(2);

/// Where a service of a domain is (RFC 2782).
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ServiceRecord {
    /// Lower ones come first.
    pub priority: u16,
    /// The share of requests among records of the same priority.
    pub weight: u16,
    /// The host, without a dot at its end. Empty: the service is not offered.
    pub target: String,
    /// The port.
    pub port: u16,
}

/// Knows where names lead.
pub trait Names: Send + Sync + 'static {
    /// The addresses of a host, by A, AAAA and CNAME records. None is an empty list.
    fn addresses(&self, host: String) -> BoxFuture<'_, Result<Vec<IpAddr>, String>>;

    /// The SRV records of a service, such as `_matrix-fed._tcp.example.org`. None is an empty list.
    fn services(&self, service: String) -> BoxFuture<'_, Result<Vec<ServiceRecord>, String>>;
}

/// The resolver of the machine, `/etc/resolv.conf` and `/etc/hosts`; or name servers of our choice.
#[derive(Debug)]
pub struct SystemNames(Option<TokioResolver>);

impl SystemNames {
    /// Reads the machine's configuration. Without a usable one, no name leads anywhere.
    #[must_use]
    pub fn new() -> Self {
        let builder = TokioResolver::builder_tokio().unwrap_or_else(|error| {
            tracing::warn!(%error, "cannot read the resolver configuration of this machine");
            let nobody = ResolverConfig::from_parts(None, Vec::new(), Vec::new());
            TokioResolver::builder_with_config(nobody, TokioRuntimeProvider::default())
        });
        Self::built(builder)
    }

    /// Asks these name servers, and not those of the machine.
    #[must_use]
    pub fn asking(servers: &[SocketAddr]) -> Self {
        let servers = servers.iter().map(|socket| {
            let mut server = NameServerConfig::udp_and_tcp(socket.ip());
            for connection in &mut server.connections {
                connection.port = socket.port();
            }
            server
        });
        let config = ResolverConfig::from_parts(None, Vec::new(), servers.collect());
        Self::built(TokioResolver::builder_with_config(config, TokioRuntimeProvider::default()))
    }

    fn built(mut builder: ResolverBuilder<TokioRuntimeProvider>) -> Self {
        let options = builder.options_mut();
        options.timeout = QUESTION_MAX;
        options.attempts = 2;
        options.positive_max_ttl = Some(AGE_MAX);
        options.negative_max_ttl = Some(ABSENCE_AGE_MAX);
        let resolver = builder.build();
        Self(resolver.inspect_err(|error| tracing::warn!(%error, "no name can be resolved")).ok())
    }

    fn resolver(&self) -> Result<&TokioResolver, String> {
        self.0.as_ref().ok_or_else(|| "no resolver".to_owned())
    }
}

impl Default for SystemNames {
    fn default() -> Self {
        Self::new()
    }
}

impl Names for SystemNames {
    fn addresses(&self, host: String) -> BoxFuture<'_, Result<Vec<IpAddr>, String>> {
        Box::pin(async move {
            match self.resolver()?.lookup_ip(absolute(host)).await {
                Ok(found) => Ok(found.iter().take(REMOTE_ADDRESSES_MAX).collect()),
                Err(error) => nothing_or(&error),
            }
        })
    }

    fn services(&self, service: String) -> BoxFuture<'_, Result<Vec<ServiceRecord>, String>> {
        Box::pin(async move {
            match self.resolver()?.lookup(absolute(service), RecordType::SRV).await {
                Ok(found) => Ok(found
                    .answers()
                    .iter()
                    .filter_map(|record| match &record.data {
                        RData::SRV(srv) => Some(ServiceRecord {
                            priority: srv.priority,
                            weight: srv.weight,
                            target: srv.target.to_ascii().trim_end_matches('.').to_owned(),
                            port: srv.port,
                        }),
                        _ => None,
                    })
                    .take(SRV_TARGETS_MAX)
                    .collect()),
                Err(error) => nothing_or(&error),
            }
        })
    }
}

/// A name with dots is complete: no domain of this machine is tried behind it. One without is a
/// machine next door.
fn absolute(mut name: String) -> String {
    if name.contains('.') && !name.ends_with('.') {
        name.push('.');
    }
    name
}

fn nothing_or<T>(error: &NetError) -> Result<Vec<T>, String> {
    if error.is_no_records_found() { Ok(Vec::new()) } else { Err(error.to_string()) }
}

#[cfg(test)]
mod tests {
    use std::net::Ipv4Addr;

    use hickory_resolver::proto::{
        op::{Message, OpCode, ResponseCode},
        rr::{
            Name, Record,
            rdata::{A, CNAME, SRV},
        },
    };
    use tokio::net::UdpSocket;

    use super::*;

    fn name(text: &str) -> Name {
        Name::from_ascii(text).unwrap()
    }

    /// What the name server of the test knows.
    fn records(question: &str, kind: RecordType) -> Option<Vec<RData>> {
        let alias = || RData::CNAME(CNAME(name("real.test.")));
        let address = || RData::A(A(Ipv4Addr::new(192, 0, 2, 1)));
        match (question, kind) {
            ("alias.test.", RecordType::A) => Some(vec![alias(), address()]),
            ("alias.test.", RecordType::AAAA) => Some(vec![alias()]),
            ("_matrix-fed._tcp.a.test.", RecordType::SRV) => Some(vec![
                RData::SRV(SRV::new(10, 5, 8449, name("One.test."))),
                RData::SRV(SRV::new(20, 0, 1, Name::root())),
            ]),
            ("broken.test.", _) => None,
            _ => Some(Vec::new()),
        }
    }

    fn answer(question: &Message) -> Message {
        let query = question.queries[0].clone();
        let mut answer = Message::response(question.metadata.id, OpCode::Query);
        let asked = query.name().to_ascii().to_ascii_lowercase();
        match records(&asked, query.query_type()) {
            None => answer.metadata.response_code = ResponseCode::ServFail,
            Some(found) if found.is_empty() => {
                answer.metadata.response_code = ResponseCode::NXDomain;
            }
            Some(found) => {
                let mut owner = query.name().clone();
                for data in found {
                    let next = if let RData::CNAME(to) = &data { Some(to.0.clone()) } else { None };
                    answer.add_answer(Record::from_rdata(owner.clone(), 60, data));
                    owner = next.unwrap_or(owner);
                }
            }
        }
        answer.add_query(query);
        answer
    }

    /// A resolver that asks a name server on loopback, and what runs that name server.
    async fn resolver() -> (SystemNames, impl Future<Output = ()>) {
        let socket = UdpSocket::bind("127.0.0.1:0").await.unwrap();
        let address = socket.local_addr().unwrap();
        let names = SystemNames::asking(&[address]);
        let serving = async move {
            let mut buffer = [0; 1_500];
            loop {
                let (length, from) = socket.recv_from(&mut buffer).await.unwrap();
                let question = Message::from_vec(&buffer[..length]).unwrap();
                socket.send_to(&answer(&question).to_vec().unwrap(), from).await.unwrap();
            }
        };
        (names, serving)
    }

    async fn asking<T>(ask: impl AsyncFnOnce(&SystemNames) -> T) -> T {
        let (names, serving) = resolver().await;
        tokio::select! {
            biased;
            found = ask(&names) => found,
            () = serving => unreachable!("a name server does not end"),
        }
    }

    #[tokio::test]
    async fn records_of_services_are_read() {
        let service = "_matrix-fed._tcp.a.test".to_owned();
        let found = asking(async |names| names.services(service).await.unwrap()).await;
        let one = "One.test".to_owned();
        let none = String::new();
        assert_eq!(
            found,
            [
                ServiceRecord { priority: 10, weight: 5, target: one, port: 8449 },
                ServiceRecord { priority: 20, weight: 0, target: none, port: 1 },
            ]
        );
    }

    #[tokio::test]
    async fn aliases_are_followed_to_their_addresses() {
        let found = asking(async |names| names.addresses("alias.test".to_owned()).await);
        assert_eq!(found.await, Ok(vec![IpAddr::from([192, 0, 2, 1])]));
    }

    #[tokio::test]
    async fn what_does_not_exist_is_an_empty_list_and_what_fails_is_a_failure() {
        let nothing = "nothing.test".to_owned();
        let found = asking(async |names| {
            (names.addresses(nothing.clone()).await, names.services(nothing.clone()).await)
        });
        assert_eq!(found.await, (Ok(Vec::new()), Ok(Vec::new())));
        asking(async |names| names.services("broken.test".to_owned()).await).await.unwrap_err();
    }
}
