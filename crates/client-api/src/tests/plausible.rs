//! For every endpoint, a request that gets as far as it can: what stands for the parameters of its
//! path, a query and a body.

use vestibule_http::RouteEntry;
use vestibule_policy::EndpointRule;
use vestibule_testkit::Probe;

use super::*;

/// The public part of a signing key.
const PUBLIC_KEY: &str = "nqOvzeuGWT/sRx3h7+MHoInYj3Uk2LD/unI9kDYcHwk";

pub(super) type Route = RouteEntry<EndpointRule>;

/// What requests are about. Texts stand in paths as they are, not yet encoded.
#[derive(Clone, Debug)]
pub(super) struct Things {
    /// Who asks.
    pub(super) own: String,
    /// What a session of theirs is refreshed with.
    pub(super) refresh: String,
    /// What an account is made with by a shared secret.
    pub(super) nonce: String,
    /// Whose things these are.
    pub(super) user: String,
    /// Their device.
    pub(super) device: String,
    /// A room.
    pub(super) room: String,
    /// An event in it.
    pub(super) event: String,
    /// Its alias.
    pub(super) alias: String,
    /// A file on this server.
    pub(super) media: String,
    /// From where they synchronise on.
    pub(super) since: String,
    /// A filter of theirs.
    pub(super) filter: String,
    /// Somebody else to act on.
    pub(super) other: String,
    /// A number that was not used before.
    pub(super) fresh: usize,
}

impl Things {
    /// The plausible request of a route.
    pub(super) fn probe(&self, route: &Route) -> Probe {
        Probe {
            parameters: self.parameters(route),
            query: self.query(route),
            body: self.body(route),
        }
    }

    /// The values of the parameters of a path, in their order.
    fn parameters(&self, route: &Route) -> Vec<String> {
        let names = route.path.split('/').filter_map(|segment| segment.strip_prefix('{'));
        names.map(|name| self.parameter(route, name.trim_end_matches('}'))).collect()
    }

    fn parameter(&self, route: &Route, name: &str) -> String {
        let is_admin = route.path.contains("/admin/") || route.path.contains("/users/");
        let text = match name {
            "room_id" | "room_id_or_alias" => &self.room,
            "room_alias" if route.method == Method::PUT => {
                return format!("#new{}:a.example", self.fresh);
            }
            "room_alias" => &self.alias,
            "event_id" => &self.event,
            "user_id" if is_admin && !route.path.ends_with("/whois/{user_id}") => &self.other,
            "user_id" => &self.user,
            "device_id" if route.path.contains("/dehydrated_device/") => DEHYDRATED,
            "device_id" => &self.device,
            "media_id" => &self.media,
            "filter_id" => &self.filter,
            "server_name" => "a.example",
            "txn_id" => return format!("n{}", self.fresh),
            "event_type" if route.path.contains("/state/") => "m.room.topic",
            "event_type" if route.path.contains("/account_data/") => "org.example.tea",
            "event_type" => "m.room.message",
            "state_key" => "",
            "rel_type" => "m.annotation",
            "receipt_type" => "m.read",
            "field" => "displayname",
            "kind" => "content",
            "version" => "1",
            "tag" => "m.favourite",
            _ => "x",
        };
        text.to_owned()
    }

    /// The query, as names and values.
    fn query(&self, route: &Route) -> Vec<(String, String)> {
        let path = route.path.as_str();
        let ends: &[(&str, &str)] = &[
            ("/mutual_rooms", &format!("user_id={}", self.other)),
            ("/timestamp_to_event", "ts=1&dir=f"),
            ("/keys/changes", &format!("from={0}&to={0}", self.since)),
            ("/messages", "dir=b"),
            ("/thirdparty/location", "alias=#tea:a.example"),
            ("/thirdparty/user", "userid=@tea:a.example"),
            ("/preview_url", "url=https://x.example/"),
            ("/sync", "timeout=0"),
            ("/v3/events", &format!("timeout=0&room_id={}", self.room)),
            ("/available", &format!("username=free{}", self.fresh)),
            ("/validity", "token=x"),
            ("/fallback/web", "session=x"),
            ("/thumbnail/{server_name}/{media_id}", "width=32&height=32&method=crop"),
            ("/login/sso/redirect", "redirectUrl=https://x.example"),
            ("/login/sso/redirect/{idp_id}", "redirectUrl=https://x.example"),
        ];
        let of_backup = path.contains("/room_keys/keys").then_some("version=1");
        let query = ends.iter().find(|(end, _)| path.ends_with(end)).map(|(_, query)| *query);
        let pairs = of_backup.or(query).unwrap_or_default().split('&');
        let pair = |pair: &str| pair.split_once('=').map(|(a, b)| (a.to_owned(), b.to_owned()));
        pairs.filter_map(pair).collect()
    }

    /// The body.
    fn body(&self, route: &Route) -> Value {
        let path = route.path.as_str();
        let end = path.rsplit('/').find(|it| !it.starts_with('{') && !it.is_empty());
        let (user, other, room, event) = (&self.user, &self.other, &self.room, &self.event);
        match end.unwrap_or_default() {
            _ if route.method == Method::GET => Value::Null,
            "3pid" | "add" | "bind" | "delete" | "unbind" | "requestToken" | "deactivate"
            | "password" | "devices" | "delete_devices" | "get_token" => self.proof(path),
            "register" if path.starts_with("/_synapse/") => self.shared(),
            "kick" | "ban" | "unban" | "invite" => json!({ "user_id": other }),
            "send" => json!({ "msgtype": "m.text", "body": "tea?" }),
            "state" => json!({ "topic": "tea" }),
            "read_markers" => json!({ "m.fully_read": event, "m.read": event }),
            "typing" => json!({ "typing": true, "timeout": 1_000 }),
            "upgrade" => json!({ "new_version": "12" }),
            "report" => json!({ "reason": "tea" }),
            "room" | "appservice" if path.contains("/list/") => {
                json!({ "visibility": "public" })
            }
            "room" => json!({ "room_id": room }),
            "profile" => json!({ "displayname": "Tea" }),
            "content" | "global" if path.ends_with("{rule_id}") => {
                json!({ "actions": ["notify"], "pattern": "tea" })
            }
            "enabled" => json!({ "enabled": true }),
            "actions" => json!({ "actions": ["notify"] }),
            "upload" if path.ends_with("/device_signing/upload") => json!({ "master_key": {
                "user_id": user, "usage": ["master"],
                "keys": { (format!("ed25519:{PUBLIC_KEY}")): PUBLIC_KEY },
            } }),
            "query" => json!({ "device_keys": { (user): [] } }),
            "claim" => {
                json!({ "one_time_keys": { (user): { (&self.device): "signed_curve25519" } } })
            }
            "sendToDevice" => json!({ "messages": { (user): { "*": { "tea": true } } } }),
            "login" => json!({
                "type": "m.login.password", "password": "tea",
                "identifier": { "type": "m.id.user", "user": user },
            }),
            "register" => json!({
                "username": format!("new{}", self.fresh), "password": "tea",
                "auth": { "type": "m.login.dummy" },
            }),
            "refresh" => json!({ "refresh_token": self.refresh }),
            "search" if path.ends_with("/user_directory/search") => json!({ "search_term": "p" }),
            "search" => {
                json!({ "search_categories": { "room_events": { "search_term": "tea" } } })
            }
            "lock" => json!({ "locked": true }),
            "suspend" => json!({ "suspended": true }),
            "version" if route.method == Method::POST => backup(),
            "version" => {
                let mut changed = backup();
                changed["version"] = json!("1");
                changed
            }
            "keys" if path.contains("/room_keys/") => self.room_keys(path),
            "status" => json!({ "presence": "online" }),
            "set" if path.contains("/pushers/") => json!({
                "app_id": "a", "pushkey": "k", "kind": "http", "lang": "en",
                "app_display_name": "A", "device_display_name": "D",
                "data": { "url": "https://x.example/_matrix/push/v1/notify" },
            }),
            "tags" => json!({ "order": 0.5 }),
            "dehydrated_device" => dehydrated(user),
            "sync" => json!({ "lists": { "all": {
                "ranges": [[0, 20]], "timeline_limit": 1, "required_state": [["*", "*"]],
            } } }),
            _ => json!({}),
        }
    }

    /// An account by a secret that is shared, which is not known here.
    fn shared(&self) -> Value {
        json!({
            "nonce": self.nonce, "username": format!("new{}", self.fresh), "password": "tea",
            "mac": "00",
        })
    }

    /// What proves who somebody is, or that an address is theirs, and what is done with it.
    fn proof(&self, path: &str) -> Value {
        let address = format!("tea{}@x.example", self.fresh);
        let auth = json!({
            "type": "m.login.password", "password": "tea",
            "identifier": { "type": "m.id.user", "user": self.own },
        });
        if path.ends_with("/requestToken") {
            return json!({
                "client_secret": "c", "send_attempt": 1, "email": address,
                "country": "GB", "phone_number": "07700900001",
            });
        }
        json!({
            "auth": auth, "new_password": "tea tea tea", "devices": [self.device],
            "client_secret": "c", "sid": "1", "medium": "email", "address": address,
            "id_server": "id.x.example", "id_access_token": "t",
            "three_pid_creds": {
                "client_secret": "c", "sid": "1", "id_server": "id.x.example", "id_access_token": "t",
            },
        })
    }

    pub(super) fn room_keys(&self, path: &str) -> Value {
        let session = json!({
            "first_message_index": 0, "forwarded_count": 0, "is_verified": true,
            "session_data": { "ephemeral": "AA", "ciphertext": "AA", "mac": "AA" },
        });
        let sessions = json!({ "sessions": { "x": session } });
        match path.matches('{').count() {
            0 => json!({ "rooms": { (&self.room): sessions } }),
            1 => sessions,
            _ => session,
        }
    }
}

/// The name of a dehydrated device: a key, as clients choose it.
pub(super) const DEHYDRATED: &str = "qCxSkL8X4r2jbRWuR6ljfr8/p5L+GmBRPyQYlwAz8Fc";

/// A device to be dehydrated, with one key of each kind.
pub(super) fn dehydrated(user: &str) -> Value {
    let signatures = json!({ (user): { (format!("ed25519:{DEHYDRATED}")): "AA" } });
    let key = |key: &str| json!({ "key": key, "signatures": signatures });
    json!({
        "device_id": DEHYDRATED,
        "initial_device_display_name": "Dehydrated device",
        "device_data": { "algorithm": "org.matrix.msc3814.v2", "device_pickle": "AA", "nonce": "AA" },
        "device_keys": {
            "user_id": user, "device_id": DEHYDRATED, "dehydrated": true, "algorithms": ["m.olm.v1"],
            "keys": { (format!("curve25519:{DEHYDRATED}")): DEHYDRATED },
            "signatures": signatures,
        },
        "one_time_keys": { "signed_curve25519:AAAAAQ": key("AA") },
        "fallback_keys": { "signed_curve25519:AAAAAg": key("AQ") },
    })
}

/// What a backup is made with.
pub(super) fn backup() -> Value {
    json!({
        "algorithm": "m.megolm_backup.v1.curve25519-aes-sha2",
        "auth_data": { "public_key": "AA", "signatures": {} },
    })
}

/// What has no other path yet.
const NOT_SPECIFIED: [&str; 2] = ["org.matrix.msc3814.v1", "org.matrix.simplified_msc3575"];

/// The mounted endpoints under their current paths: earlier and provisional paths lead to the same
/// handlers.
pub(super) fn current_routes(server: &Server) -> Vec<Route> {
    let table = crate::routes(&server.api).table();
    let is_only = |path: &str| NOT_SPECIFIED.iter().any(|name| path.contains(name));
    let is_old = |path: &str| {
        path.contains("/r0/")
            || (path.contains("/unstable/") && !is_only(path))
            || path.ends_with("/state/{event_type}/")
    };
    table.into_iter().filter(|route| !is_old(&route.path)).collect()
}
