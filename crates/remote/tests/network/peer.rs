//! A server on an address of its own.

use std::{
    convert::Infallible,
    net::{IpAddr, Ipv4Addr, SocketAddr},
    pin::Pin,
    sync::{
        Arc,
        atomic::{AtomicU8, AtomicUsize, Ordering},
    },
    time::Duration,
};

use bytes::Bytes;
use futures_util::{Stream, StreamExt, stream};
use http::{Request, Response, Version, header};
use http_body_util::{BodyExt, StreamBody, combinators::UnsyncBoxBody};
use hyper::{
    body::{Frame, Incoming},
    service::service_fn,
};
use hyper_util::{
    rt::{TokioExecutor, TokioIo},
    server::conn::auto,
};
use parking_lot::Mutex;
use rustls::{ServerConfig, crypto::aws_lc_rs};
use rustls_pki_types::{CertificateDer, PrivateKeyDer, pem::PemObject};
use tokio::net::{TcpListener, TcpStream};
use tokio_rustls::TlsAcceptor;
use vestibule_testkit::tls::TestCertificate;

/// A loopback address that no other test uses.
pub(crate) fn address() -> IpAddr {
    static NEXT: AtomicU8 = AtomicU8::new(1);
    let process = std::process::id().to_be_bytes();
    let next = NEXT.fetch_add(1, Ordering::Relaxed);
    Ipv4Addr::new(127, process[2] | 1, process[3], next).into()
}

/// What a server heard.
#[derive(Clone, Debug)]
pub(crate) struct Heard {
    /// The name in the TLS handshake.
    pub(crate) sni: Option<String>,
    /// Which host was asked for.
    pub(crate) host: String,
    pub(crate) path: String,
    pub(crate) version: Version,
}

/// What a server answers.
pub(crate) type Answer = Response<UnsyncBoxBody<Bytes, std::io::Error>>;

type Handler = Arc<dyn Fn(&Heard) -> Answer + Send + Sync>;

/// A running server. Its tasks end with the test's runtime.
#[derive(Clone)]
pub(crate) struct Peer {
    pub(crate) socket: SocketAddr,
    heard: Arc<Mutex<Vec<Heard>>>,
    connections: Arc<AtomicUsize>,
}

/// How a server is made.
pub(crate) struct Plan {
    pub(crate) socket: SocketAddr,
    pub(crate) certificate: TestCertificate,
    /// What it offers in the handshake.
    pub(crate) protocols: Vec<&'static str>,
    /// Whether it hangs up after each answer without having said so.
    pub(crate) hangs_up: bool,
}

impl Plan {
    pub(crate) async fn answering(
        self,
        answer: impl Fn(&Heard) -> Answer + Send + Sync + 'static,
    ) -> Peer {
        let listener = TcpListener::bind(self.socket).await.unwrap();
        let peer = Peer {
            socket: listener.local_addr().unwrap(),
            heard: Arc::default(),
            connections: Arc::default(),
        };
        let acceptor = TlsAcceptor::from(tls(&self.certificate, &self.protocols));
        let (seen, answer, hangs_up) = (peer.clone(), Arc::new(answer) as Handler, self.hangs_up);
        spawn(async move {
            while let Ok((tcp, _)) = listener.accept().await {
                seen.connections.fetch_add(1, Ordering::Relaxed);
                spawn(serve(acceptor.clone(), tcp, (seen.clone(), answer.clone(), hangs_up)));
            }
        });
        peer
    }
}

impl Peer {
    pub(crate) fn heard(&self) -> Vec<Heard> {
        self.heard.lock().clone()
    }

    /// The one request that came.
    pub(crate) fn only(&self) -> Heard {
        let mut heard = self.heard();
        assert_eq!(heard.len(), 1, "{heard:?}");
        heard.remove(0)
    }

    pub(crate) fn connections(&self) -> usize {
        self.connections.load(Ordering::Relaxed)
    }

    /// Waits until so many requests came.
    pub(crate) async fn heard_so_many(&self, number: usize) {
        while self.heard().len() < number {
            tokio::time::sleep(Duration::from_millis(2)).await;
        }
    }
}

#[expect(clippy::disallowed_methods, reason = "a test has no other spawner")]
fn spawn(work: impl Future<Output = ()> + Send + 'static) {
    drop(tokio::spawn(work));
}

fn tls(certificate: &TestCertificate, protocols: &[&str]) -> Arc<ServerConfig> {
    let chain = vec![CertificateDer::from_pem_slice(certificate.certificate.as_bytes()).unwrap()];
    let key = PrivateKeyDer::from_pem_slice(certificate.private_key.as_bytes()).unwrap();
    let mut config = ServerConfig::builder_with_provider(Arc::new(aws_lc_rs::default_provider()))
        .with_safe_default_protocol_versions()
        .unwrap()
        .with_no_client_auth()
        .with_single_cert(chain, key)
        .unwrap();
    config.alpn_protocols = protocols.iter().map(|it| it.as_bytes().to_vec()).collect();
    Arc::new(config)
}

async fn serve(acceptor: TlsAcceptor, tcp: TcpStream, what: (Peer, Handler, bool)) {
    let (peer, answer, hangs_up) = what;
    let Ok(stream) = acceptor.accept(tcp).await else { return };
    let sni = stream.get_ref().1.server_name().map(str::to_owned);
    let answered = Arc::new(tokio::sync::Notify::new());
    let told = answered.clone();
    let service = service_fn(move |request: Request<Incoming>| {
        let heard = heard(sni.clone(), &request);
        peer.heard.lock().push(heard.clone());
        let response = answer(&heard);
        if hangs_up {
            told.notify_one();
        }
        async move { Ok::<_, Infallible>(response) }
    });
    let builder = auto::Builder::new(TokioExecutor::new());
    let connection = builder.serve_connection(TokioIo::new(stream), service);
    let ending = async {
        answered.notified().await;
        tokio::time::sleep(Duration::from_millis(50)).await;
    };
    tokio::select! {
        _ = connection => {}
        () = ending => {}
    }
}

fn heard(sni: Option<String>, request: &Request<Incoming>) -> Heard {
    let uri = request.uri();
    let header = request.headers().get(header::HOST).map(|it| it.to_str().unwrap().to_owned());
    let host = header.or_else(|| uri.authority().map(ToString::to_string)).unwrap_or_default();
    let path = uri.path_and_query().map(ToString::to_string).unwrap_or_default();
    Heard { sni, host, path, version: request.version() }
}

/// A whole answer.
pub(crate) fn page(status: u16, headers: &[(&str, &str)], body: impl Into<Bytes>) -> Answer {
    let frames = stream::iter([Ok(Frame::data(body.into()))]);
    streamed(status, headers, frames)
}

/// An answer in pieces.
pub(crate) fn streamed(
    status: u16,
    headers: &[(&str, &str)],
    frames: impl Stream<Item = Result<Frame<Bytes>, std::io::Error>> + Send + 'static,
) -> Answer {
    let frames: Pin<Box<dyn Stream<Item = _> + Send>> = Box::pin(frames);
    let mut response = Response::builder().status(status);
    for (name, value) in headers {
        response = response.header(*name, *value);
    }
    response.body(StreamBody::new(frames).boxed_unsync()).unwrap()
}

/// Some bytes, again and again, for ever.
pub(crate) fn endless() -> impl Stream<Item = Result<Frame<Bytes>, std::io::Error>> + Send {
    stream::repeat_with(|| Ok(Frame::data(Bytes::from_static(&[b' '; 4096])))).boxed()
}
