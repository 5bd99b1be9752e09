//! Pages over the network, behind the same filter of addresses as everything else.

use std::{collections::BTreeMap, sync::Arc};

use bytes::Bytes;
use http::{Request, header};
use http_body_util::Full;
use vestibule_types::BoxFuture;

use super::{
    NetworkError, WebOptions,
    address::AddressFilter,
    client::HttpClient,
    connect::Connector,
    route::{Purpose, Router},
    tls,
};
use crate::{PageReply, PageRequest, Pages, TransportError};

/// The port of `https`.
const PORT: u16 = 443;

/// The way to pages.
#[derive(Clone)]
pub struct PageNetwork {
    client: HttpClient,
    plain: bool,
}

impl std::fmt::Debug for PageNetwork {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("PageNetwork").finish_non_exhaustive()
    }
}

impl PageNetwork {
    /// Gets ready to reach web servers; reaches nobody yet.
    pub fn new(options: WebOptions) -> Result<Self, NetworkError> {
        let environment = options.environment;
        let router = Router {
            names: options.names,
            filter: AddressFilter::new(options.allowed_networks),
            known: BTreeMap::new(),
            environment: environment.clone(),
            default_port: PORT,
            web_port: PORT,
        };
        let tls = tls::client_config(options.ca_file.as_deref())?;
        let connector = Connector { router: Arc::new(router), tls, purpose: Purpose::Web };
        Ok(Self { client: HttpClient::new(connector, environment), plain: options.plain })
    }

    async fn ask(&self, wanted: PageRequest) -> Result<PageReply, TransportError> {
        let spoken = match wanted.uri.scheme_str() {
            Some("https") => true,
            Some("http") => self.plain,
            _ => false,
        };
        if !spoken {
            return Err(TransportError::Unreachable("not an address of a page".to_owned()));
        }
        let malformed = |error: http::Error| TransportError::Unreachable(error.to_string());
        let mut request = Request::get(wanted.uri).header(header::ACCEPT, wanted.accept);
        if let Some(languages) = wanted.accept_language {
            request = request.header(header::ACCEPT_LANGUAGE, languages);
        }
        let request = request.body(Full::new(Bytes::new())).map_err(malformed)?;
        let (reply, cut) = self.client.send_for_beginning(request, wanted.bytes_max).await?;
        Ok(PageReply { status: reply.status, headers: reply.headers, body: reply.body, cut })
    }
}

impl Pages for PageNetwork {
    fn get(&self, request: PageRequest) -> BoxFuture<'_, Result<PageReply, TransportError>> {
        Box::pin(self.ask(request))
    }
}
