//! Facts about the surface, asked over HTTP without a socket.

mod coverage;
mod elsewhere;
mod endpoints;
mod events;
mod key_lies;
mod notaries;
mod openid;
mod signatures;
mod third_party;

use std::sync::Arc;

use axum::{body::Body, extract::Request};
use http::{Method, StatusCode, header};
use http_body_util::BodyExt;
use ruma::server_name;
use serde_json::Value;
use vestibule_federation::{Federation, FederationParts};
use vestibule_http::Entrance;
use vestibule_remote::{Remote, RemoteConfig, RemoteParts, ServerLists};
use vestibule_testkit::{Services, Settings, TestEnvironment, environment, memory_store};

use self::elsewhere::Internet;
use crate::{FederationApi, FederationApiSettings, router};

/// A server without a socket, and the servers it can reach.
pub(crate) struct Server {
    pub(crate) api: FederationApi,
    pub(crate) time: TestEnvironment,
    pub(crate) internet: Internet,
    entrance: Entrance,
}

/// The server `us.example`.
pub(crate) async fn server() -> Server {
    server_with(FederationApiSettings::default()).await
}

pub(crate) async fn server_with(settings: FederationApiSettings) -> Server {
    let with = Settings::of(server_name!("us.example"));
    let Services {
        server_name,
        signing_key,
        store,
        policy,
        test,
        accounts,
        rooms,
        keys,
        media,
        ..
    } = with.over(memory_store(1), environment(7));
    let (time, environment) = (test.clone(), test.environment);
    let internet = Internet::default();
    let remote = RemoteParts {
        store: store.clone(),
        environment: environment.clone(),
        server_name: server_name.clone(),
        signing_key: signing_key.clone(),
        config: RemoteConfig {
            servers: ServerLists::new(&[], &["*.denied.example".to_owned()]),
            ..RemoteConfig::default()
        },
        transport: Arc::new(internet.clone()),
    };
    let federation = Federation::new(FederationParts {
        store,
        policy: policy.clone(),
        environment,
        server_name,
        signing_key,
        remote: Remote::open(remote).await.unwrap(),
        notaries: vec![server_name!("notary.example").to_owned()],
        accounts: accounts.clone(),
        rooms: rooms.clone(),
        keys: keys.clone(),
        media: media.clone(),
    });
    let api = FederationApi {
        accounts,
        rooms,
        keys,
        media,
        federation,
        policy,
        settings: Arc::new(settings),
    };
    let entrance = Entrance::new(router(api.clone()), time.environment.clock.clone());
    Server { api, time, internet, entrance }
}

impl Server {
    /// Sends a request and returns the status and the JSON of the answer.
    pub(crate) async fn send(&self, request: Request) -> (u16, Value) {
        let response = self.entrance.answer(request).await;
        let status = response.status();
        assert_ne!(status, StatusCode::INTERNAL_SERVER_ERROR);
        let bytes = response.into_body().collect().await.unwrap().to_bytes();
        (status.as_u16(), serde_json::from_slice(&bytes).unwrap_or_default())
    }

    /// Asks without a signature.
    pub(crate) async fn ask(&self, method: Method, path: &str, body: Value) -> (u16, Value) {
        self.with_header(method, path, None, body).await
    }

    /// Asks with this `Authorization` header.
    pub(crate) async fn with_header(
        &self,
        method: Method,
        path: &str,
        authorization: Option<&str>,
        body: Value,
    ) -> (u16, Value) {
        let mut request = Request::builder().method(method).uri(path);
        if let Some(authorization) = authorization {
            request = request.header(header::AUTHORIZATION, authorization);
        }
        let body = if body.is_null() { Body::empty() } else { body.to_string().into() };
        self.send(request.body(body).unwrap()).await
    }
}

/// The status and the error code of an answer.
pub(crate) fn error((status, body): (u16, Value)) -> (u16, String) {
    (status, body["errcode"].as_str().unwrap_or_default().to_owned())
}

/// What [`error`] gives for this answer.
pub(crate) fn code(status: u16, errcode: &str) -> (u16, String) {
    (status, errcode.to_owned())
}
