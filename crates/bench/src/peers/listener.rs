//! What the other servers answer: their keys, whatever a row prepared, and thanks for transactions.

use std::{collections::BTreeMap, convert::Infallible, net::SocketAddr, sync::Arc};

use anyhow::Result;
use bytes::Bytes;
use http_body_util::{BodyExt as _, Full};
use hyper::{
    Request, Response, StatusCode, body::Incoming, header::HOST, server::conn::http1,
    service::service_fn,
};
use hyper_util::rt::TokioIo;
use rustls::{ServerConfig, crypto::aws_lc_rs};
use rustls_pki_types::{CertificateDer, PrivateKeyDer, pem::PemObject as _};
use tokio::{
    net::{TcpListener, TcpStream},
    task::JoinSet,
};
use tokio_rustls::TlsAcceptor;
use vestibule_testkit::tls::TestCertificate;

use super::Answers;
use crate::matrix::decoded;

const NOTHING: &[u8] = br#"{"errcode":"M_UNRECOGNIZED","error":"not here"}"#;

/// What is answered.
#[derive(Clone)]
pub(super) struct Desk {
    /// The keys by server.
    pub(super) keys: Arc<BTreeMap<String, Bytes>>,
    pub(super) answers: Answers,
}

/// Listens as long as the set lives.
pub(super) async fn start(
    tasks: &mut JoinSet<()>,
    certificate: &TestCertificate,
    (at, desk): (SocketAddr, Desk),
) -> Result<SocketAddr> {
    let listener = TcpListener::bind(at).await?;
    let address = listener.local_addr()?;
    let acceptor = TlsAcceptor::from(tls(certificate)?);
    tasks.spawn(async move {
        let mut connections = JoinSet::new();
        while let Ok((stream, _)) = listener.accept().await {
            connections.spawn(serve(acceptor.clone(), stream, desk.clone()));
            while connections.try_join_next().is_some() {}
        }
    });
    Ok(address)
}

fn tls(certificate: &TestCertificate) -> Result<Arc<ServerConfig>> {
    let chain = CertificateDer::pem_slice_iter(certificate.certificate.as_bytes());
    let chain = chain.collect::<Result<Vec<_>, _>>()?;
    let key = PrivateKeyDer::from_pem_slice(certificate.private_key.as_bytes())?;
    let provider = Arc::new(aws_lc_rs::default_provider());
    let config = ServerConfig::builder_with_provider(provider)
        .with_safe_default_protocol_versions()?
        .with_no_client_auth()
        .with_single_cert(chain, key)?;
    Ok(Arc::new(config))
}

async fn serve(acceptor: TlsAcceptor, stream: TcpStream, desk: Desk) {
    let Ok(stream) = acceptor.accept(stream).await else { return };
    let service = service_fn(move |request| {
        let desk = desk.clone();
        async move { Ok::<_, Infallible>(desk.answer(request).await) }
    });
    // A connection that breaks is the other side's to notice.
    let _ended = http1::Builder::new().serve_connection(TokioIo::new(stream), service).await;
}

impl Desk {
    async fn answer(&self, request: Request<Incoming>) -> Response<Full<Bytes>> {
        let host = request.headers().get(HOST).and_then(|host| host.to_str().ok());
        let host = host.unwrap_or_default();
        let host = host.split_once(':').map_or(host, |(host, _)| host).to_owned();
        let path = decoded(request.uri().path());
        let _read = request.into_body().collect().await;
        let found = match path.as_str() {
            "/_matrix/key/v2/server" => self.keys.get(&host).cloned(),
            path if path.starts_with("/_matrix/federation/v1/send/") => {
                Some(Bytes::from_static(br#"{"pdus":{}}"#))
            }
            path => self.prepared(path),
        };
        let status = if found.is_some() { StatusCode::OK } else { StatusCode::NOT_FOUND };
        let body = found.unwrap_or(Bytes::from_static(NOTHING));
        let mut response = Response::new(Full::new(body));
        *response.status_mut() = status;
        response
    }

    /// The longest prepared path that this one begins with: some end in what nobody can foresee.
    fn prepared(&self, path: &str) -> Option<Bytes> {
        let answers = self.answers.lock().unwrap_or_else(std::sync::PoisonError::into_inner);
        let fitting = answers.iter().filter(|(prepared, _)| path.starts_with(prepared.as_str()));
        fitting.max_by_key(|(prepared, _)| prepared.len()).map(|(_, answer)| answer.clone())
    }
}
