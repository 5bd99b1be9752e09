//! Facts about the surface, asked over HTTP without a socket.

mod accounts;
mod around;
mod bundles;
mod contacts;
mod coverage;
mod dehydrated;
mod directory;
mod discovery;
mod endpoints;
mod fallback;
mod generated;
mod guest_tokens;
mod limits;
mod login_tokens;
mod malformed;
mod moderation;
mod moments;
mod mutual_rooms;
mod people;
mod permissions;
mod plausible;
mod presence;
mod previews;
mod purge;
mod push;
mod redactions;
mod refusals;
mod relations;
mod rooms;
mod scene;
mod search;
mod sessions;
mod sliding;
mod spaces;
mod stream;
mod sync;
mod upgrades;
mod uploads;
mod user_data;
mod waiting;

use std::{sync::Arc, time::Duration};

use axum::{body::Body, extract::Request};
use http::{Method, StatusCode, header};
use http_body_util::BodyExt;
use ruma::{RoomVersionId, server_name};
use serde_json::{Value, json};
use vestibule_accounts::{AccountsConfig, RegistrationMode};
use vestibule_http::Entrance;
use vestibule_media::MemoryObjects;
use vestibule_policy::PolicyConfig;
use vestibule_push::{Push, PushConfig, PushParts};
use vestibule_remote::{NoTransport, Web, WebPurpose};
use vestibule_rooms::Rooms;
use vestibule_search::{Search, SearchParts};
use vestibule_storage::Store;
use vestibule_sync::{Sync, SyncParts};
use vestibule_testkit::{
    Services, Settings, TestEnvironment, environment, memory_store,
    spec::{self, Answer},
};
use vestibule_types::Environment;

use crate::{ClientApi, ClientApiSettings, router};

/// A server without a socket.
pub(crate) struct Server {
    pub(crate) api: ClientApi,
    pub(crate) time: TestEnvironment,
    pub(crate) store: Store,
    pub(crate) objects: MemoryObjects,
    entrance: Entrance,
}

/// Registration is open, and guests are on.
pub(crate) fn server() -> Server {
    server_with(|_| {}, |_| {})
}

/// As [`server`], with other settings of this surface.
pub(crate) fn server_set(settings: impl FnOnce(&mut ClientApiSettings)) -> Server {
    server().set(settings)
}

pub(crate) fn server_with(
    policy: impl FnOnce(&mut PolicyConfig),
    accounts: impl FnOnce(&mut AccountsConfig),
) -> Server {
    server_over(memory_store(1), policy, accounts)
}

/// As [`server_with`], over what another one has left.
pub(crate) fn server_over(
    store: Store,
    policy: impl FnOnce(&mut PolicyConfig),
    accounts: impl FnOnce(&mut AccountsConfig),
) -> Server {
    let mut with = Settings::of(server_name!("a.example"));
    with.policy = guests_in_the_lobby();
    policy(&mut with.policy);
    with.accounts.registration.mode = RegistrationMode::Open;
    accounts(&mut with.accounts);
    with.rooms.presence.enabled = true;
    with.media.remote_bytes_max = Some(3_000);
    let services = with.over(store, environment(7));
    let Services { store, policy, test: time, accounts, rooms, keys, media, objects, .. } =
        services;
    let environment = time.environment.clone();
    let push = push(&rooms, &environment);
    let unread = push.unread().clone();
    let parts = SyncParts { rooms: rooms.clone(), unread, environment: environment.clone() };
    let api = ClientApi {
        accounts,
        keys,
        media,
        search: Search::new(SearchParts { rooms: rooms.clone(), environment }),
        sync: Sync::new(parts),
        push,
        rooms,
        policy,
        settings: settings(),
    };
    let entrance = Entrance::new(router(api.clone()), time.environment.clock.clone());
    Server { api, time, store, objects, entrance }
}

fn settings() -> Arc<ClientApiSettings> {
    Arc::new(ClientApiSettings {
        public_base_url: Some("https://chat.a.example".to_owned()),
        policy_server_key: None,
        support: None,
        default_room_version: RoomVersionId::V12,
    })
}

fn guests_in_the_lobby() -> PolicyConfig {
    let mut rules = PolicyConfig::default();
    rules.guests.enabled = true;
    rules.guests.open_rooms_by = vec!["list".to_owned()];
    rules.guests.list = vec!["!lobby:a.example".to_owned()];
    rules
}

/// Tells nobody anything: it does not follow the log.
fn push(rooms: &Rooms, environment: &Environment) -> Push {
    Push::new(PushParts {
        rooms: rooms.clone(),
        web: Web::over(Arc::new(NoTransport), environment.clone(), WebPurpose::Gateways, false),
        environment: environment.clone(),
        config: PushConfig { call_time_max: Duration::from_secs(10) },
    })
}

/// Somebody with an access token.
#[derive(Clone)]
pub(crate) struct Person {
    pub(crate) user_id: String,
    pub(crate) device_id: String,
    pub(crate) token: String,
}

impl Server {
    /// The same with other settings of this surface.
    pub(crate) fn set(self, settings: impl FnOnce(&mut ClientApiSettings)) -> Self {
        let Self { mut api, time, store, objects, .. } = self;
        let mut set = ClientApiSettings::clone(&api.settings);
        settings(&mut set);
        api.settings = Arc::new(set);
        let entrance = Entrance::new(router(api.clone()), time.environment.clock.clone());
        Self { api, time, store, objects, entrance }
    }

    /// Sends a request and returns the status and the JSON of the answer.
    pub(crate) async fn send(
        &self,
        method: Method,
        path: &str,
        token: Option<&str>,
        body: impl Into<Body>,
    ) -> (u16, Value) {
        let name = method.to_string();
        let mut request = Request::builder().method(method).uri(path);
        if let Some(token) = token {
            request = request.header(header::AUTHORIZATION, format!("Bearer {token}"));
        }
        let response = self.entrance.answer(request.body(body.into()).unwrap()).await;
        let status = response.status();
        assert_ne!(status, StatusCode::INTERNAL_SERVER_ERROR, "{path}");
        let content = response.headers().get(header::CONTENT_TYPE).cloned();
        let bytes = response.into_body().collect().await.unwrap().to_bytes();
        spec::check(Answer {
            method: &name,
            path,
            status: status.as_u16(),
            is_json: content.is_some_and(|it| it.as_bytes().starts_with(b"application/json")),
            body: &bytes,
        });
        (status.as_u16(), serde_json::from_slice(&bytes).unwrap_or_default())
    }

    pub(crate) async fn get(&self, path: &str, who: &Person) -> (u16, Value) {
        self.send(Method::GET, path, Some(&who.token), "").await
    }

    pub(crate) async fn put(&self, path: &str, who: &Person, body: Value) -> (u16, Value) {
        self.send(Method::PUT, path, Some(&who.token), body.to_string()).await
    }

    pub(crate) async fn post(&self, path: &str, who: &Person, body: Value) -> (u16, Value) {
        self.send(Method::POST, path, Some(&who.token), body.to_string()).await
    }

    pub(crate) async fn delete(&self, path: &str, who: &Person, body: Value) -> (u16, Value) {
        self.send(Method::DELETE, path, Some(&who.token), body.to_string()).await
    }

    /// Asks without a token.
    pub(crate) async fn ask(&self, method: Method, path: &str, body: Value) -> (u16, Value) {
        let body = if body.is_null() { String::new() } else { body.to_string() };
        self.send(method, path, None, body).await
    }

    /// Registers in one request, as test rigs do.
    pub(crate) async fn person(&self, username: &str) -> Person {
        let body = json!({
            "username": username, "password": "tea", "auth": { "type": "m.login.dummy" },
        });
        let (status, body) = self.ask(Method::POST, "/_matrix/client/v3/register", body).await;
        assert_eq!(status, 200, "{body}");
        person_of(&body)
    }

    pub(crate) async fn guest(&self) -> Person {
        let path = "/_matrix/client/v3/register?kind=guest";
        let (status, body) = self.ask(Method::POST, path, json!({})).await;
        assert_eq!(status, 200, "{body}");
        person_of(&body)
    }

    pub(crate) async fn log_in(&self, username: &str, password: &str) -> (u16, Value) {
        let body = json!({
            "type": "m.login.password",
            "identifier": { "type": "m.id.user", "user": username },
            "password": password,
        });
        self.ask(Method::POST, "/_matrix/client/v3/login", body).await
    }
}

fn person_of(body: &Value) -> Person {
    let text = |field: &str| body[field].as_str().unwrap().to_owned();
    Person { user_id: text("user_id"), device_id: text("device_id"), token: text("access_token") }
}

/// The status and the error code of an answer.
pub(crate) fn error((status, body): (u16, Value)) -> (u16, String) {
    (status, body["errcode"].as_str().unwrap_or_default().to_owned())
}

/// What [`error`] gives for this answer.
pub(crate) fn code(status: u16, errcode: &str) -> (u16, String) {
    (status, errcode.to_owned())
}
