//! Nonsense, thrown at every endpoint: it is answered with a code of the specification, and never
//! with a failure of the server.

use vestibule_http::{Login, RouteEntry};
use vestibule_policy::EndpointRule;
use vestibule_types::ClassName;

use super::{rooms::encoded, *};
use crate::routes;

/// Every name an endpoint reads from a body, and a few it does not.
const FIELDS: &str = "additional_creators actions aliases auth auth_data avatar_url canonical_alias \
    conditions creation_content device_id devices displayname display_name enabled erase event_id \
    filter guest_access_token id identifier inhibit_login initial_device_display_name \
    initial_state invite is_direct kind limit logout_devices m.fully_read m.read name \
    new_password new_version nonce order password pattern power_level_content_override preset \
    reason refresh_token room room_alias_name room_id room_version search_term server since \
    timeline timeout token topic type typing user user_id username via visibility";

const QUERY: &str = "?limit=x&dir=z&from=t9&to=%FF&ts=x&timeout=x&filter=%7B&since=s&at=q\
    &membership=x&max_depth=-1&suggested_only=2&recurse=7&include=zz&kind=x&server=!!&via=!!\
    &format=x&username=%00&token=%00&set_presence=x&full_state=x&org.matrix.msc4222=x";

fn bodies() -> Vec<Vec<u8>> {
    let mut bodies: Vec<Vec<u8>> = ["", "{", "[]", "null", "7", "\"x\"", "{}", "{\"a\":1e999}"]
        .iter()
        .map(|body| body.as_bytes().to_vec())
        .collect();
    bodies.push(vec![b'{', b'"', 0xff, 0xfe, b'"', b':', b'1', b'}']);
    bodies.push(format!("{{\"content\":{}{}}}", "[".repeat(500), "]".repeat(500)).into_bytes());
    for value in [json!(7), json!({}), json!("x"), json!([null]), json!(null), json!(-1.5)] {
        let fields = FIELDS.split_whitespace().map(|field| (field.to_owned(), value.clone()));
        bodies.push(Value::Object(fields.collect()).to_string().into_bytes());
    }
    bodies
}

/// What stands for a parameter of a path when the request should get as far as it can.
struct Plausible<'a> {
    person: &'a Person,
    room: &'a str,
    event: &'a str,
}

impl Plausible<'_> {
    fn path(&self, route: &RouteEntry<EndpointRule>) -> String {
        let segments = route.path.split('/').map(|segment| {
            let Some(name) = segment.strip_prefix('{').and_then(|it| it.strip_suffix('}')) else {
                return segment.to_owned();
            };
            match name {
                _ if name.contains("room_id") => self.room.to_owned(),
                _ if name.contains("alias") => "#tea:a.example".to_owned(),
                _ if name.contains("event_id") => self.event.to_owned(),
                _ if name.contains("user_id") => self.person.user_id.clone(),
                _ if name.contains("device_id") => self.person.device_id.clone(),
                "event_type" => "m.room.topic".to_owned(),
                "rel_type" => "m.annotation".to_owned(),
                "kind" => "content".to_owned(),
                _ => "x".to_owned(),
            }
        });
        encoded(&segments.collect::<Vec<_>>().join("/"))
    }
}

/// A path whose every parameter is this.
fn filled(route: &RouteEntry<EndpointRule>, with: &str) -> String {
    let segments =
        route.path.split('/').map(|part| if part.starts_with('{') { with } else { part });
    segments.collect::<Vec<_>>().join("/")
}

fn assert_answered(path: &str, (status, body): (u16, Value)) -> bool {
    assert!(status < 500, "{path}: {status} {body}");
    let is_code = body["errcode"].as_str().is_some_and(|code| !code.is_empty());
    let is_interactive = status == 401 && body["flows"].is_array();
    assert!(status < 400 || is_code || is_interactive, "{path}: {status} {body}");
    status != 401 || is_interactive
}

#[tokio::test]
async fn nonsense_is_answered_with_a_code_at_every_endpoint() {
    let server = server();
    let mut person = server.person("p0").await;
    for (number, route) in routes(&server.api).table().iter().enumerate() {
        // What was sent before may have left the room, or logged out.
        if server.get("/_matrix/client/v3/account/whoami", &person).await.0 != 200 {
            person = server.person(&format!("p{number}")).await;
        }
        let room = server.public_room(&person, json!({})).await;
        let event = server.says(&person, &room, Value::Null).await;
        let plausible = Plausible { person: &person, room: &room, event: &event }.path(route);
        let paths = [
            plausible.clone(),
            format!("{plausible}{QUERY}"),
            filled(route, "%00"),
            filled(route, "%FF"),
            filled(route, &"x".repeat(300)),
        ];
        let token = Some(person.token.as_str());
        for path in &paths {
            let answer = server.send(route.method.clone(), path, token, "{}").await;
            assert_answered(path, answer);
        }
        if route.method == Method::GET {
            continue;
        }
        for body in bodies() {
            let answer = server.send(route.method.clone(), &plausible, token, body).await;
            if !assert_answered(&plausible, answer) {
                break;
            }
        }
    }
}

#[tokio::test]
async fn the_door_of_every_endpoint_answers_as_the_table_says() {
    let server = server();
    let guest = server.guest().await;
    let policy = server.api.policy.current();
    for route in routes(&server.api).table() {
        let path = filled(&route, "x");
        let (method, rule) = (&route.method, route.rule);
        if policy.may_call(None, rule).is_err() {
            let answer = server.send(method.clone(), &path, None, "{}").await;
            assert_eq!(error(answer), code(401, "M_MISSING_TOKEN"), "{method} {path}");
            assert_ne!(route.login, Login::Ignored, "{method} {path}");
        }
        if policy.may_call(Some(&ClassName::guest()), rule).is_err() {
            let answer = server.send(method.clone(), &path, Some(&guest.token), "{}").await;
            let expected = code(403, "M_GUEST_ACCESS_FORBIDDEN");
            assert_eq!(error(answer), expected, "{method} {path}");
        }
    }
}
