//! Reaching web servers whose addresses users named, such as push gateways.
//!
//! The same walls stand around this as around federation, but with doors of their own: an operator who
//! lets other servers be in a private network does not thereby let users name addresses there.
//! Redirects are not followed, size and time are bounded.

use std::{fmt, path::PathBuf, sync::Arc, time::Duration};

use bytes::Bytes;
use http::{HeaderValue, Method, Request, Uri, header::CONTENT_TYPE, uri::Scheme};
use http_body_util::Full;
use ipnet::IpNet;
use vestibule_types::Environment;

use super::{
    Names, NetworkError, SystemNames,
    address::AddressFilter,
    authority::Authority,
    client::HttpClient,
    connect::Connector,
    route::{Purpose, Router},
    tls,
};
use crate::TransportError;

/// What web servers are reached with.
pub struct WebOptions {
    /// Time, randomness, spawning.
    pub environment: Environment,
    /// Where names lead.
    pub names: Arc<dyn Names>,
    /// Certificate authorities beside those of the machine, as PEM.
    pub ca_file: Option<PathBuf>,
    /// Networks that are reached although they are private.
    pub allowed_networks: Vec<IpNet>,
    /// Whether `http` is spoken, without TLS.
    pub plain: bool,
}

impl WebOptions {
    /// The internet as this machine sees it, over TLS.
    #[must_use]
    pub fn new(environment: Environment) -> Self {
        Self {
            environment,
            names: Arc::new(SystemNames::new()),
            ca_file: None,
            allowed_networks: Vec::new(),
            plain: false,
        }
    }
}

impl fmt::Debug for WebOptions {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("WebOptions").finish_non_exhaustive()
    }
}

/// A JSON text for an address.
#[derive(Clone, Debug)]
pub struct Letter {
    /// Where it goes: an absolute `https` or `http` URL.
    pub url: String,
    /// The JSON text.
    pub body: Bytes,
    /// The largest answer that is read.
    pub answer_bytes_max: usize,
    /// How long everything together may take.
    pub time_max: Duration,
}

/// Why a letter was not taken.
#[derive(Clone, Debug, thiserror::Error)]
pub enum WebError {
    /// No URL that can be reached.
    #[error("the URL cannot be reached")]
    BadUrl,
    /// The answer was an error.
    #[error("it answered {0}")]
    Answered(u16),
    /// There was no answer.
    #[error(transparent)]
    Transport(#[from] TransportError),
}

/// The way to web servers. Cloning is cheap.
#[derive(Clone)]
pub struct Web {
    client: HttpClient,
    environment: Environment,
    plain: bool,
}

impl fmt::Debug for Web {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Web").finish_non_exhaustive()
    }
}

impl Web {
    /// Gets ready to reach others; reaches nobody yet.
    pub fn new(options: WebOptions) -> Result<Self, NetworkError> {
        let environment = options.environment;
        let router = Router {
            names: options.names,
            filter: AddressFilter::new(options.allowed_networks),
            known: std::collections::BTreeMap::new(),
            environment: environment.clone(),
            default_port: 443,
            web_port: 443,
        };
        let connector = Connector {
            router: Arc::new(router),
            tls: tls::client_config(options.ca_file.as_deref())?,
            purpose: Purpose::Web,
        };
        let client = HttpClient::new(connector, environment.clone());
        Ok(Self { client, environment, plain: options.plain })
    }

    /// Whether a text is the URL of something that can be asked: absolute, over TLS unless the
    /// operator said otherwise, without a user in it. Its path is given back.
    #[must_use]
    pub fn path_of(&self, url: &str) -> Option<String> {
        self.parse(url).map(|uri| uri.path().to_owned())
    }

    fn parse(&self, url: &str) -> Option<Uri> {
        let uri = url.parse::<Uri>().ok()?;
        let scheme = uri.scheme()?;
        let spoken = *scheme == Scheme::HTTPS || (self.plain && *scheme == Scheme::HTTP);
        let host = uri.authority().and_then(Authority::of_uri);
        (spoken && host.is_some()).then_some(uri)
    }

    /// Sends a JSON text and gives back the answer of a success.
    pub async fn post(&self, letter: Letter) -> Result<Bytes, WebError> {
        let Some(uri) = self.parse(&letter.url) else { return Err(WebError::BadUrl) };
        let mut request = Request::new(Full::new(letter.body));
        *request.method_mut() = Method::POST;
        *request.uri_mut() = uri;
        let json = HeaderValue::from_static("application/json");
        request.headers_mut().insert(CONTENT_TYPE, json);
        let late = self.environment.clock.sleep(letter.time_max);
        let reply = tokio::select! {
            reply = self.client.send(request, letter.answer_bytes_max) => reply?,
            () = late => {
                return Err(TransportError::Unreachable("no answer in time".to_owned()).into());
            }
        };
        if reply.status.is_success() {
            Ok(reply.body)
        } else {
            Err(WebError::Answered(reply.status.as_u16()))
        }
    }
}
