//! Somebody with an access token, and the things that requests of theirs are about.

use std::{
    net::{IpAddr, Ipv4Addr},
    sync::Arc,
};

use axum::{body::Body, extract::Request};
use http::{Method, header};
use http_body_util::BodyExt;
use ruma::{OwnedUserId, RoomId, server_name};
use serde_json::{Value, json};
use vestibule_accounts::{
    Assigner, CreateAccount, LogIn, LogInProof, Named, RegisterGuest, Restrain, Restraint,
};
use vestibule_federation::{Federation, FederationParts};
use vestibule_http::{Entrance, RouteEntry};
use vestibule_media::Upload;
use vestibule_remote::{NoTransport, Remote, RemoteConfig, RemoteParts};
use vestibule_rooms::{CreateRoom, NewGuestLink, SendState};
use vestibule_storage::Store;
use vestibule_testkit::{
    Probe, Services, Settings, TestEnvironment, environment, memory_store, person,
};
use vestibule_types::{Actor, BoxFuture, ClassName, Secret};

use crate::{
    AdminRule, AdminServices, DatabaseAnswer, GuestsSwitch, Maintenance, MaintenanceError,
    remote_doorway, routes,
};

pub(super) type Route = RouteEntry<AdminRule>;

/// Who asks.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Role {
    /// Nobody.
    Anonymous,
    /// A guest.
    Guest,
    /// A member.
    Member,
    /// A moderator.
    Moderator,
    /// An admin.
    Admin,
    /// A moderator who is suspended.
    Suspended,
    /// A moderator who is locked.
    Locked,
}

impl Role {
    pub(super) const ALL: [Self; 7] = [
        Self::Anonymous,
        Self::Guest,
        Self::Member,
        Self::Moderator,
        Self::Admin,
        Self::Suspended,
        Self::Locked,
    ];
}

/// A server that finds nothing wrong with itself.
struct Sound;

impl Maintenance for Sound {
    fn check_database(&self) -> BoxFuture<'_, Result<DatabaseAnswer, MaintenanceError>> {
        let answer = DatabaseAnswer { rows: 1, problems_found: 0, problems: Vec::new() };
        Box::pin(async { Ok(answer) })
    }

    fn switch_guests(
        &self,
        _switch: GuestsSwitch,
        _by: Option<OwnedUserId>,
    ) -> BoxFuture<'_, Result<(), MaintenanceError>> {
        Box::pin(async { Ok(()) })
    }

    fn reload(&self) -> BoxFuture<'_, Result<String, MaintenanceError>> {
        Box::pin(async { Ok("read again".to_owned()) })
    }
}

/// A server with one role played on it.
pub(super) struct Scene {
    pub(super) store: Store,
    services: AdminServices,
    entrance: Entrance,
    token: Option<String>,
    time: TestEnvironment,
    host: Actor,
    room: String,
    child: String,
    media: String,
    link: String,
}

/// The mounted endpoints.
pub(super) async fn all_routes() -> Vec<Route> {
    let scene = Scene::of(Role::Anonymous).await;
    routes(remote_doorway(scene.services.accounts.clone())).table()
}

impl Scene {
    pub(super) async fn of(role: Role) -> Self {
        let mut settings = Settings::of(server_name!("a.example"));
        settings.policy.guests.enabled = true;
        settings.policy.guests.open_rooms_by = vec!["any".to_owned()];
        let services = settings.over(memory_store(1), environment(7));
        let (time, store) = (services.test.clone(), services.store.clone());
        let services = admin_services(services).await;
        let router = routes(remote_doorway(services.accounts.clone()));
        let clock = time.environment.clock.clone();
        let entrance = Entrance::new(router.into_router(services.clone()), clock);
        let host =
            person(&account(&services, "host", ClassName::member()).await, ClassName::member());
        let (room, child, media, link) = Default::default();
        let mut this =
            Self { store, services, entrance, token: None, time, host, room, child, media, link };
        this.furnish().await;
        this.token = this.cast(role).await;
        this
    }

    /// Makes what requests are about.
    async fn furnish(&mut self) {
        account(&self.services, "third", ClassName::member()).await;
        let rooms = &self.services.rooms;
        let child = rooms.create_room(&self.host, CreateRoom::default()).await.unwrap().room_id;
        let space = CreateRoom {
            alias_localpart: Some("tea".to_owned()),
            creation_content: serde_json::from_value(json!({ "type": "m.space" })).unwrap(),
            ..CreateRoom::default()
        };
        let space = rooms.create_room(&self.host, space).await.unwrap().room_id;
        let command = SendState {
            room_id: space.clone(),
            event_type: "m.space.child".to_owned(),
            state_key: child.to_string(),
            content: serde_json::from_value(json!({ "via": ["a.example"] })).unwrap(),
            timestamp: None,
        };
        rooms.send_state(&self.host, command).await.unwrap();
        let file = Ok(bytes::Bytes::from_static(b"tea"));
        let upload = Upload {
            content_type: None,
            name: None,
            size: None,
            chunks: Box::pin(futures_util::stream::iter([file])),
        };
        self.media = self.services.media.upload_media(&self.host, upload).await.unwrap();
        self.link = self.make_link(&space).await;
        self.services
            .accounts
            .create_registration_token(vestibule_accounts::NewRegistrationToken {
                token: Some("known".to_owned()),
                uses_max: None,
                expires_at: None,
                class: None,
            })
            .await
            .unwrap();
        (self.room, self.child) = (space.to_string(), child.to_string());
    }

    async fn make_link(&self, room: &RoomId) -> String {
        let operator = self.services.accounts.system_user();
        let by = vestibule_rooms::Administrator::Operator(operator);
        let wanted = NewGuestLink { room_id: room.to_owned(), uses: 1, life_ms: 600_000 };
        self.services.rooms.create_guest_link(&by, wanted).await.unwrap().0.id
    }

    /// Brings somebody, and returns their token.
    async fn cast(&self, role: Role) -> Option<String> {
        let accounts = &self.services.accounts;
        let (class, restraint) = match role {
            Role::Anonymous => return None,
            Role::Guest => {
                let command = RegisterGuest { initial_device_display_name: None, peer: PEER };
                let session = accounts.register_guest(command).await.unwrap().session.unwrap();
                return Some(session.access_token.expose().clone());
            }
            Role::Member => (ClassName::member(), None),
            Role::Moderator => (ClassName::new("moderator"), None),
            Role::Admin => (ClassName::admin(), None),
            Role::Suspended => (ClassName::new("moderator"), Some(Restraint::Suspension)),
            Role::Locked => (ClassName::new("moderator"), Some(Restraint::Lock)),
        };
        let user_id = account(&self.services, "actor", class).await;
        let login = LogIn {
            proof: LogInProof::Password {
                user: Named::User("actor".to_owned()),
                password: Secret::new(PASSWORD.to_owned()),
            },
            device_id: None,
            initial_device_display_name: None,
            refresh_token: false,
            peer: PEER,
        };
        let token = accounts.log_in(login).await.unwrap().access_token.expose().clone();
        if let Some(restraint) = restraint {
            let command = Restrain { user_id, restraint, on: true };
            accounts.restrain(&Assigner::Operator, command).await.unwrap();
        }
        Some(token)
    }

    /// The request of a route that gets as far as it can.
    pub(super) fn probe(&self, route: &Route) -> Probe {
        let names = route.path.split('/').filter_map(|segment| segment.strip_prefix('{'));
        let parameter = |name: &str| match name.trim_end_matches('}') {
            "user" => "third".to_owned(),
            "room" | "space" => self.room.clone(),
            "child" => self.child.clone(),
            "alias" => "#tea:a.example".to_owned(),
            "server" if route.path.contains("/media/") => "a.example".to_owned(),
            "server" => "b.example".to_owned(),
            "id" if route.path.contains("/media/") => self.media.clone(),
            "id" => self.link.clone(),
            "token" => "known".to_owned(),
            other => panic!("{}: what stands for {other}?", route.path),
        };
        let query: &[(&str, &str)] = if route.path.ends_with("/policy/explain") {
            &[("user", "third"), ("action", "join"), ("room", &self.room)]
        } else {
            &[]
        };
        Probe {
            parameters: names.map(parameter).collect(),
            query: query.iter().map(|(a, b)| ((*a).to_owned(), (*b).to_owned())).collect(),
            body: self.body(route),
        }
    }

    fn body(&self, route: &Route) -> Value {
        if route.method == Method::GET {
            return Value::Null;
        }
        match route.path.rsplit('/').next().unwrap_or_default() {
            "users" => json!({ "name": "new", "password": PASSWORD }),
            "class" => json!({ "class": "moderator" }),
            "password" => json!({ "password": PASSWORD }),
            "lock" => json!({ "locked": true }),
            "suspend" => json!({ "suspended": true }),
            "deactivate" => json!({ "erase": false }),
            "notices" => json!({ "body": "tea?" }),
            "tokens" => json!({ "token": "new" }),
            "guest_links" => json!({ "room": self.room, "uses": 1, "expires_in_ms": 600_000 }),
            "purge" | "purge_history" => json!({ "older_than_ms": 1_000 }),
            "quarantine" => json!({ "quarantined": true }),
            "block" => json!({ "blocked": true }),
            "switch" => json!({ "off": true }),
            _ => json!({}),
        }
    }

    /// Sends a request with a body.
    pub(super) async fn send(&self, route: &Route, path: &str, body: Vec<u8>) -> (u16, Value) {
        let mut request = Request::builder().method(route.method.clone()).uri(path);
        if let Some(token) = &self.token {
            request = request.header(header::AUTHORIZATION, format!("Bearer {token}"));
        }
        let response = self.entrance.answer(request.body(Body::from(body)).unwrap()).await;
        let status = response.status().as_u16();
        let bytes = response.into_body().collect().await.unwrap().to_bytes();
        (status, serde_json::from_slice(&bytes).unwrap_or_default())
    }

    /// Lets a moment pass, in which rates recover.
    pub(super) fn rest(&self) {
        self.time.clock.advance(std::time::Duration::from_secs(10));
    }
}

const PASSWORD: &str = "tea tea tea";
const PEER: IpAddr = IpAddr::V4(Ipv4Addr::LOCALHOST);

async fn account(services: &AdminServices, name: &str, class: ClassName) -> OwnedUserId {
    let command = CreateAccount {
        username: name.to_owned(),
        password: Secret::new(PASSWORD.to_owned()),
        class,
        displayname: None,
    };
    services.accounts.create_account(command).await.unwrap()
}

/// The operations over services that reach nobody.
async fn admin_services(services: Services) -> AdminServices {
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
    } = services;
    let environment = test.environment;
    let remote = Remote::open(RemoteParts {
        store: store.clone(),
        environment: environment.clone(),
        server_name: server_name.clone(),
        signing_key: signing_key.clone(),
        config: RemoteConfig::default(),
        transport: Arc::new(NoTransport),
    });
    let federation = Federation::new(FederationParts {
        store,
        policy: policy.clone(),
        environment: environment.clone(),
        server_name,
        signing_key,
        remote: remote.await.unwrap(),
        notaries: Vec::new(),
        accounts: accounts.clone(),
        rooms: rooms.clone(),
        keys,
        media: media.clone(),
    });
    let maintenance = Arc::new(Sound);
    AdminServices { accounts, rooms, media, federation, policy, environment, maintenance }
}
