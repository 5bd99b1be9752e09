//! Asking DNS.

use std::{net::IpAddr, time::Duration};

use hickory_resolver::{
    TokioResolver,
    config::ResolverConfig,
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

/// The resolver of the machine: `/etc/resolv.conf` and `/etc/hosts`.
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
        let mut builder = builder;
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
