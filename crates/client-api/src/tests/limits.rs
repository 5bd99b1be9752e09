//! Every endpoint that the specification wants limited is.

use std::{net::IpAddr, time::Duration};

use vestibule_http::{Peer, TrustedProxies};
use vestibule_policy::{ClassConfig, Texts};

use super::*;
use crate::routes;

/// Method and path of each, as the specification lists them.
const LIMITED: &str = include_str!("../../tests/golden/rate_limited.tsv");

/// A path with its parameters made nameless, as the route table is compared.
fn nameless(path: &str) -> String {
    let segments = path.split('/');
    let segments = segments.map(|it| if it.starts_with('{') { "{}" } else { it });
    segments.collect::<Vec<_>>().join("/")
}

/// The status of an answer and its `Retry-After`.
async fn pace(server: &Server, request: http::request::Builder) -> (u16, Option<u64>) {
    let response = server.entrance.answer(request.body(Body::from("{}")).unwrap()).await;
    let wait = response.headers().get(header::RETRY_AFTER);
    let wait = wait.map(|wait| wait.to_str().unwrap().parse().unwrap());
    (response.status().as_u16(), wait)
}

#[tokio::test]
async fn every_endpoint_the_specification_wants_limited_makes_callers_wait() {
    let server = server_with(
        |policy| {
            let rates = [("request".to_owned(), Texts::One("1/h".to_owned()))].into();
            let class = ClassConfig { rates, ..ClassConfig::default() };
            policy.class.insert("member".to_owned(), class);
        },
        |_| {},
    );
    let alice = server.person("alice").await;
    let table = routes(&server.api).table();
    for row in LIMITED.lines() {
        let (method, path) = row.split_once('\t').unwrap();
        let wanted = nameless(path);
        let mounted =
            table.iter().any(|it| it.method.as_str() == method && nameless(&it.path) == wanted);
        assert!(mounted, "{row} is not there");
        server.time.clock.advance(Duration::from_hours(1));
        let request = || {
            Request::builder()
                .method(method)
                .uri(wanted.replace("{}", "x"))
                .header(header::AUTHORIZATION, format!("Bearer {}", alice.token))
        };
        assert_ne!(pace(&server, request()).await.0, 429, "{row}");
        assert_eq!(pace(&server, request()).await, (429, Some(3_600)), "{row}");
    }
}

#[tokio::test]
async fn without_a_login_an_address_waits_and_others_do_not() {
    let server = server();
    let ask = async |from: &str| {
        let address: Option<IpAddr> = Some(from.parse().unwrap());
        let peer = Peer { address, trusted: TrustedProxies::default() };
        let request = Request::builder().uri("/_matrix/client/v3/login").extension(peer);
        pace(&server, request).await
    };
    for _ in 0..1_200 {
        assert_eq!(ask("198.51.100.7").await.0, 200);
    }
    assert_eq!(ask("198.51.100.7").await, (429, Some(1)));
    assert_eq!(ask("198.51.100.8").await.0, 200);
}

#[tokio::test]
async fn a_rate_per_address_is_shared_by_all_who_are_logged_in_there() {
    let server = server_with(
        |policy| {
            let rates = [("message".to_owned(), Texts::One("1/h per ip".to_owned()))].into();
            let class = ClassConfig { rates, ..ClassConfig::default() };
            policy.class.insert("member".to_owned(), class);
        },
        |_| {},
    );
    let (alice, bob) = (server.person("alice").await, server.person("bob").await);
    let hers = server.public_room(&alice, json!({})).await;
    let his = server.public_room(&bob, json!({})).await;
    let speak = async |who: &Person, room: &str, from: &str| {
        let address: Option<IpAddr> = Some(from.parse().unwrap());
        let peer = Peer { address, trusted: TrustedProxies::default() };
        let path = format!("/_matrix/client/v3/rooms/{room}/send/m.room.message/{from}");
        let request = Request::builder()
            .method("PUT")
            .uri(path)
            .extension(peer)
            .header(header::AUTHORIZATION, format!("Bearer {}", who.token));
        let body = json!({ "msgtype": "m.text", "body": "tea" }).to_string();
        server.entrance.answer(request.body(Body::from(body)).unwrap()).await.status().as_u16()
    };
    assert_eq!(speak(&alice, &hers, "198.51.100.7").await, 200);
    assert_eq!(speak(&bob, &his, "198.51.100.7").await, 429);
    assert_eq!(speak(&bob, &his, "198.51.100.8").await, 200);
}
