//! Somebody, and the things that requests of theirs are about.

use ruma::serde::Base64;
use vestibule_accounts::{EmailConfig, TurnConfig, TurnKey};
use vestibule_types::Secret;

use super::{
    moderation::admin,
    plausible::{Route, Things, backup, dehydrated},
    rooms::encoded,
    *,
};
use crate::Support;

/// Who asks, and about whose things.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Role {
    /// Nobody, about somebody's private room and things.
    Anonymous,
    /// A guest, about its own things and a room it is in.
    Guest,
    /// A member, about its own things and a room it made.
    Member,
    /// A member, about its own things and a room of somebody else that it is in.
    Joined,
    /// A member, about somebody else's private room and things.
    Other,
    /// An admin, about somebody else's private room and things.
    Admin,
    /// As [`Self::Member`], and suspended.
    Suspended,
    /// As [`Self::Member`], and locked.
    Locked,
}

impl Role {
    pub(super) const ALL: [Self; 8] = [
        Self::Anonymous,
        Self::Guest,
        Self::Member,
        Self::Joined,
        Self::Other,
        Self::Admin,
        Self::Suspended,
        Self::Locked,
    ];

    fn owns_the_room(self) -> bool {
        matches!(self, Self::Member | Self::Suspended | Self::Locked)
    }

    fn is_in_the_room(self) -> bool {
        matches!(self, Self::Guest | Self::Joined) || self.owns_the_room()
    }
}

/// A server with one role played on it.
pub(super) struct Scene {
    pub(super) server: Server,
    pub(super) role: Role,
    pub(super) actor: Option<Person>,
    /// Whoever made the room.
    pub(super) host: Person,
    pub(super) things: Things,
    /// Whose the things are.
    whose: Person,
    root: Person,
    third: Person,
    made: usize,
}

/// A server on which guests may enter rooms that let them.
fn open_server() -> Server {
    server_with(
        |policy| {
            policy.guests.open_rooms_by = vec!["any".to_owned()];
            policy.guests.caps.per_ip = 1_000;
            policy.guests.caps.per_ip_per_day = 1_000;
            policy.guests.caps.new_per_minute = 1_000;
            policy.guests.caps.rooms_each = 1_000;
        },
        |accounts| {
            accounts.registration.shared_secret = Some(Secret::new("key".to_owned()));
            accounts.turn = Some(TurnConfig {
                uris: vec!["turn:turn.a.example".to_owned()],
                key: TurnKey::Shared(Secret::new("key".to_owned())),
                life: Duration::from_hours(1),
            });
            accounts.email = Some(EmailConfig {
                link_base: "https://chat.a.example/".to_owned(),
                link_life: Duration::from_hours(1),
                next_link_hosts: Vec::new(),
            });
        },
    )
    .set(|settings| {
        settings.support =
            Some(Support { contacts: Vec::new(), page: Some("https://a.example".to_owned()) });
        settings.policy_server_key = Some(Base64::new(vec![7; 32]));
    })
}

/// A picture of a few points.
fn picture() -> Vec<u8> {
    let mut bytes = std::io::Cursor::new(Vec::new());
    image::RgbImage::new(3, 2).write_to(&mut bytes, image::ImageFormat::Png).unwrap();
    bytes.into_inner()
}

impl Scene {
    pub(super) async fn of(role: Role) -> Self {
        let server = open_server();
        let root = admin(&server, "root").await;
        let third = server.person("third").await;
        let things = Things {
            own: String::new(),
            refresh: "x".to_owned(),
            nonce: "x".to_owned(),
            user: String::new(),
            device: String::new(),
            room: String::new(),
            event: String::new(),
            alias: String::new(),
            media: String::new(),
            since: String::new(),
            filter: String::new(),
            other: third.user_id.clone(),
            fresh: 0,
        };
        let (actor, host, whose) = (None, root.clone(), root.clone());
        let mut this = Self { server, role, actor, host, things, whose, root, third, made: 0 };
        this.cast().await;
        this
    }

    /// Brings new people, and what is theirs.
    pub(super) async fn cast(&mut self) {
        self.made += 1;
        self.host = self.server.person(&format!("p{}", self.made)).await;
        self.actor = match self.role {
            Role::Anonymous => None,
            Role::Guest => Some(self.server.guest().await),
            Role::Joined | Role::Other => {
                Some(self.server.person(&format!("q{}", self.made)).await)
            }
            Role::Admin => Some(admin(&self.server, &format!("q{}", self.made)).await),
            Role::Member | Role::Suspended | Role::Locked => Some(self.host.clone()),
        };
        let about_own = self.role.is_in_the_room();
        let whose = self.actor.clone().filter(|_| about_own).unwrap_or(self.host.clone());
        self.whose = whose.clone();
        let own = self.actor.as_ref().unwrap_or(&whose);
        self.things.own = own.user_id.clone();
        self.things.user = whose.user_id.clone();
        self.things.device = whose.device_id.clone();
        let upload = "/_matrix/media/v3/upload?filename=tea.png";
        let token = Some(self.host.token.as_str());
        let (status, body) = self.server.send(Method::POST, upload, token, picture()).await;
        assert_eq!(status, 200, "{body}");
        let uri = body["content_uri"].as_str().unwrap();
        self.things.media = uri.rsplit('/').next().unwrap().to_owned();
        let filter = format!("/_matrix/client/v3/user/{}/filter", whose.user_id);
        let (status, body) = self.server.post(&filter, &whose, json!({})).await;
        assert_eq!(status, 200, "{body}");
        self.things.filter = body["filter_id"].as_str().unwrap().to_owned();
        let named = format!("/_matrix/client/v3/profile/{}/displayname", whose.user_id);
        let (status, body) = self.server.put(&named, &whose, json!({ "displayname": "T" })).await;
        assert_eq!(status, 200, "{body}");
        let all = self.server.fetch(&whose, "/_matrix/client/v3/sync").await;
        self.things.since = all["next_batch"].as_str().unwrap().to_owned();
        if self.role != Role::Guest {
            let version = "/_matrix/client/v3/room_keys/version";
            let (status, body) = self.server.post(version, &whose, backup()).await;
            assert_eq!((status, &body["version"]), (200, &json!("1")));
            let data =
                format!("/_matrix/client/v3/user/{}/account_data/org.example.tea", whose.user_id);
            assert_eq!(self.server.put(&data, &whose, json!({ "tea": 1 })).await.0, 200);
            let rule = "/_matrix/client/v3/pushrules/global/content/x";
            let body = json!({ "actions": ["notify"], "pattern": "tea" });
            assert_eq!(self.server.put(rule, &whose, body).await.0, 200);
            let device = "/_matrix/client/unstable/org.matrix.msc3814.v1/dehydrated_device";
            let body = dehydrated(&whose.user_id);
            assert_eq!(self.server.put(device, &whose, body).await.0, 200);
        }
        self.furnish().await;
        self.sanction(true).await;
    }

    /// Makes a new room with an alias and an event.
    async fn furnish(&mut self) {
        self.made += 1;
        // Guests join no more than a few rooms a minute.
        self.server.time.clock.advance(Duration::from_secs(30));
        let guests = json!({
            "type": "m.room.guest_access", "content": { "guest_access": "can_join" },
        });
        let preset = if self.role.is_in_the_room() { "public_chat" } else { "private_chat" };
        let name = format!("tea{}", self.made);
        let options = json!({
            "preset": preset, "room_alias_name": name, "topic": "tea", "initial_state": [guests],
        });
        let (host, server) = (&self.host, &self.server);
        let room = server.public_room(host, options).await;
        self.things.alias = format!("#{name}:a.example");
        let joins = self.role.is_in_the_room() && !self.role.owns_the_room();
        if let Some(actor) = self.actor.as_ref().filter(|_| joins) {
            server.joins(actor, &room).await;
        }
        // Guests send too, and take back what they sent.
        let author = self.actor.as_ref().filter(|_| self.role == Role::Guest).unwrap_or(host);
        self.things.event = server.says(author, &room, Value::Null).await;
        let invite = format!("/_matrix/client/v3/rooms/{room}/invite");
        let body = json!({ "user_id": self.third.user_id });
        assert_eq!(server.post(&invite, host, body).await.0, 200);
        self.things.room = room;
    }

    async fn sanction(&self, on: bool) {
        let (what, body) = match self.role {
            Role::Suspended => ("suspend", json!({ "suspended": on })),
            Role::Locked => ("lock", json!({ "locked": on })),
            _ => return,
        };
        let path = format!("/_matrix/client/v1/admin/{what}/{}", self.host.user_id);
        assert_eq!(self.server.put(&path, &self.root, body).await.0, 200);
    }

    /// Brings about what the request of a route is about, so that nothing but who asks decides.
    async fn prepare(&mut self, route: &Route) {
        let get = route.method == Method::GET;
        let (server, host, room) = (&self.server, &self.host, &self.things.room);
        let v3 = "/_matrix/client/v3";
        match route.path.trim_start_matches(v3) {
            "/rooms/{room_id}/forget" if self.role.is_in_the_room() => {
                let leave = format!("{v3}/rooms/{room}/leave");
                let mut left = server.post(&leave, &self.whose, json!({})).await;
                if left.0 != 200 {
                    // The last one who may do everything is told so once.
                    left = server.post(&leave, &self.whose, json!({})).await;
                }
                assert_eq!(left.0, 200, "{left:?}");
            }
            "/rooms/{room_id}/unban" => {
                let body = json!({ "user_id": self.third.user_id });
                let (status, body) =
                    server.post(&format!("{v3}/rooms/{room}/ban"), host, body).await;
                assert_eq!(status, 200, "{body}");
            }
            "/knock/{room_id_or_alias}" => {
                let rule =
                    json!({ "type": "m.room.join_rules", "content": { "join_rule": "knock" } });
                self.things.room =
                    server.public_room(&self.root, json!({ "initial_state": [rule] })).await;
            }
            "/_matrix/media/v3/upload/{server_name}/{media_id}" => {
                let maker = if self.role == Role::Guest { host } else { &self.whose };
                let made = server.post("/_matrix/media/v1/create", maker, json!({})).await;
                let uri = made.1["content_uri"].as_str().unwrap();
                self.things.media = uri.rsplit('/').next().unwrap().to_owned();
            }
            "/refresh" if self.role != Role::Guest => {
                let body = json!({
                    "type": "m.login.password", "password": "tea", "refresh_token": true,
                    "identifier": { "type": "m.id.user", "user": self.things.own },
                });
                let made = server.ask(Method::POST, &format!("{v3}/login"), body).await;
                self.things.refresh = made.1["refresh_token"].as_str().unwrap().to_owned();
            }
            "/room_keys/keys/{room_id}/{session_id}" if get && self.role != Role::Guest => {
                let path = format!("{v3}/room_keys/keys/{}/x?version=1", encoded(room));
                let keys = self.things.room_keys(&route.path);
                assert_eq!(server.put(&path, &self.whose, keys).await.0, 200);
            }
            "/user/{user_id}/rooms/{room_id}/account_data/{event_type}"
                if get && self.role != Role::Guest =>
            {
                let user = &self.things.user;
                let path = format!("{v3}/user/{user}/rooms/{room}/account_data/org.example.tea");
                assert_eq!(server.put(&path, &self.whose, json!({ "tea": 1 })).await.0, 200);
            }
            "/_synapse/admin/v1/register" => {
                let made =
                    server.ask(Method::GET, "/_synapse/admin/v1/register", Value::Null).await;
                self.things.nonce = made.1["nonce"].as_str().unwrap().to_owned();
            }
            _ => {}
        }
    }

    /// Sends the plausible request of a route, and puts back what it may have changed.
    pub(super) async fn play(&mut self, route: &Route) -> (u16, Value) {
        self.server.time.clock.advance(Duration::from_secs(2));
        self.made += 1;
        self.things.fresh = self.made;
        let (room, media) = (self.things.room.clone(), self.things.media.clone());
        self.sanction(false).await;
        self.prepare(route).await;
        self.sanction(true).await;
        let things = &self.things;
        let probe = things.probe(route);
        let path = probe.target(&route.path);
        let token = self.actor.as_ref().map(|actor| actor.token.as_str());
        let answer = self.server.send(route.method.clone(), &path, token, probe.bytes()).await;
        (self.things.room, self.things.media) = (room, media);
        // Who wants to forget a room has left it.
        let changed = answer.0 == 200 || route.path.ends_with("/forget");
        if route.method != Method::GET && changed {
            self.mend(route).await;
        }
        answer
    }

    /// Replaces what a request may have used up.
    pub(super) async fn mend(&mut self, route: &Route) {
        let path = &route.path;
        let is_about = |parts: &[&str]| parts.iter().any(|part| path.contains(part));
        if is_about(&["/admin/"]) {
            let body = json!({ "locked": false, "suspended": false });
            for what in ["lock", "suspend"] {
                let path = format!("/_matrix/client/v1/admin/{what}/{}", self.things.other);
                assert_eq!(self.server.put(&path, &self.root, body.clone()).await.0, 200);
            }
        }
        if is_about(&[
            "/logout",
            "/account/",
            "/devices",
            "/delete_devices",
            "/dehydrated_device",
            "/room_keys",
            "/filter",
            "/profile",
            "/pushrules",
        ]) {
            self.root = match self.server.log_in("root", "tea").await {
                (200, session) => person_of(&session),
                answer => panic!("{answer:?}"),
            };
            self.cast().await;
        } else if is_about(&["room"]) || is_about(&["/join/", "/knock/"]) {
            self.sanction(false).await;
            self.furnish().await;
            self.sanction(true).await;
        }
    }
}
