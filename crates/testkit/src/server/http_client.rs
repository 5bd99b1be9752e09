//! JSON over HTTP/1.1, and nothing else.

use std::{net::SocketAddr, path::Path};

use bytes::Bytes;
use http::{HeaderMap, Method, Request, Response, header};
use http_body_util::{BodyExt, Full};
use hyper::body::Incoming;
use hyper_util::{
    client::legacy::{Client, connect::HttpConnector},
    rt::{TokioExecutor, TokioIo},
};
use serde_json::Value;
use tokio::net::UnixStream;

use super::Network;
use crate::spec::{self, Answer};

/// An answer.
#[derive(Clone, Debug, PartialEq)]
pub struct Reply {
    /// The status.
    pub status: u16,
    /// The body; a string when it is no JSON.
    pub body: Value,
}

impl Reply {
    /// The body of a success; fails the test otherwise.
    #[track_caller]
    #[expect(clippy::must_use_candidate, reason = "often it is only the success that matters")]
    pub fn ok(self) -> Value {
        assert_eq!(self.status, 200, "{}", self.body);
        self.body
    }

    /// Status and error code.
    #[must_use]
    pub fn refusal(&self) -> (u16, &str) {
        (self.status, self.body["errcode"].as_str().unwrap_or_default())
    }

    /// The policy's reason.
    #[must_use]
    pub fn reason(&self) -> Option<&str> {
        self.body["org.vestibule.reason"].as_str()
    }
}

/// An answer as it came.
#[derive(Clone, Debug)]
pub struct Fetched {
    /// The status.
    pub status: u16,
    /// The headers.
    pub headers: HeaderMap,
    /// The body.
    pub body: Bytes,
}

impl Fetched {
    /// A header as text; empty when there is none.
    #[must_use]
    pub fn header(&self, name: &str) -> &str {
        self.headers.get(name).and_then(|value| value.to_str().ok()).unwrap_or_default()
    }

    /// The error code of its body.
    #[must_use]
    pub fn errcode(&self) -> String {
        let body: Value = serde_json::from_slice(&self.body).unwrap_or_default();
        body["errcode"].as_str().unwrap_or_default().to_owned()
    }
}

/// Sends requests to one server, with or without a token. Every answer is compared with the
/// specification, as [`spec`] says.
#[derive(Clone, Debug)]
pub struct HttpClient {
    client: Client<HttpConnector, Full<Bytes>>,
    address: SocketAddr,
    token: Option<String>,
    network: Option<Network>,
}

impl HttpClient {
    /// A client of the server at this address.
    #[must_use]
    pub fn to(address: SocketAddr) -> Self {
        let client = Client::builder(TokioExecutor::new()).build_http();
        Self { client, address, token: None, network: None }
    }

    /// The same, which fails the test when servers have sent each other on this network what the
    /// specification forbids.
    pub(super) fn watching(self, network: Option<Network>) -> Self {
        Self { network, ..self }
    }

    /// The same with a token.
    #[must_use]
    pub fn with_token(&self, token: &str) -> Self {
        Self { token: Some(token.to_owned()), ..self.clone() }
    }

    /// The server's address.
    #[must_use]
    pub fn address(&self) -> SocketAddr {
        self.address
    }

    /// `GET`
    pub async fn get(&self, path: &str) -> Reply {
        self.request(Method::GET, path, None).await
    }

    /// `POST`
    pub async fn post(&self, path: &str, body: &Value) -> Reply {
        self.request(Method::POST, path, Some(body)).await
    }

    /// `PUT`
    pub async fn put(&self, path: &str, body: &Value) -> Reply {
        self.request(Method::PUT, path, Some(body)).await
    }

    /// `DELETE`
    pub async fn delete(&self, path: &str) -> Reply {
        self.request(Method::DELETE, path, None).await
    }

    /// Any request.
    pub async fn request(&self, method: Method, path: &str, body: Option<&Value>) -> Reply {
        let body = body.map(ToString::to_string).unwrap_or_default();
        self.send(method, path, body.into()).await
    }

    /// A request with a body as it stands, JSON or not.
    pub async fn send(&self, method: Method, path: &str, body: Bytes) -> Reply {
        let headers = [("content-type", "application/json")];
        reply(&self.fetch(method, path, &headers, body).await)
    }

    /// A request with headers and a body as they stand, and the answer as it came.
    pub async fn fetch(
        &self,
        method: Method,
        path: &str,
        headers: &[(&str, &str)],
        body: impl Into<Bytes>,
    ) -> Fetched {
        let name = method.to_string();
        let response = self.exchange((method, path), headers, body.into()).await;
        let fetched = whole(response).await;
        spec::check(Answer {
            method: &name,
            path,
            status: fetched.status,
            is_json: fetched.header("content-type").starts_with("application/json"),
            body: &fetched.body,
        });
        if let Some(network) = &self.network {
            network.check();
        }
        fetched
    }

    async fn exchange(
        &self,
        (method, path): (Method, &str),
        headers: &[(&str, &str)],
        body: Bytes,
    ) -> Response<Incoming> {
        let mut request =
            Request::builder().method(method).uri(format!("http://{}{path}", self.address));
        for (name, value) in headers {
            request = request.header(*name, *value);
        }
        if let Some(token) = &self.token {
            request = request.header(header::AUTHORIZATION, format!("Bearer {token}"));
        }
        let request = request.body(Full::new(body)).expect("a request that can be sent");
        self.client.request(request).await.expect("an answer")
    }
}

/// One request over a Unix socket.
pub(super) async fn over_socket(socket: &Path, method: &str, path: &str, body: &Value) -> Reply {
    let stream = UnixStream::connect(socket).await.expect("the local socket");
    let (mut sender, connection) =
        hyper::client::conn::http1::handshake(TokioIo::new(stream)).await.expect("a connection");
    let body = if body.is_null() { String::new() } else { body.to_string() };
    let request = Request::builder()
        .method(method)
        .uri(path)
        .header(header::HOST, "localhost")
        .body(Full::new(Bytes::from(body)))
        .expect("a request that can be sent");
    let answer =
        async { reply(&whole(sender.send_request(request).await.expect("an answer")).await) };
    tokio::select! {
        reply = answer => reply,
        ended = connection => panic!("the server hung up: {ended:?}"),
    }
}

async fn whole(response: Response<Incoming>) -> Fetched {
    let (parts, body) = response.into_parts();
    let body = body.collect().await.expect("a whole answer").to_bytes();
    Fetched { status: parts.status.as_u16(), headers: parts.headers, body }
}

fn reply(fetched: &Fetched) -> Reply {
    let text = || Value::String(String::from_utf8_lossy(&fetched.body).into_owned());
    let body = serde_json::from_slice(&fetched.body).unwrap_or_else(|_| text());
    Reply { status: fetched.status, body }
}
