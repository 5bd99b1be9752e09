//! Requests over a real socket: what is refused, with which words, and before what.

use crate::support::{Rule, Server, routes};
use http::Method;
use serde_json::json;
use vestibule_http::Login;

const ALICE: &str = "authorization: Bearer alice\r\n";
const GUEST: &str = "authorization: Bearer gast\r\n";
const TEA: &str = "/_matrix/client/v3/directory/room/%23tea%3Ahome.test";
const ROOM: &str = r#"{"room_id":"!r:home.test"}"#;

#[tokio::test]
async fn a_good_request_reaches_its_handler_decoded() {
    let server = Server::start().await;
    let answer = server.send("PUT", TEA, ALICE, ROOM).await;
    assert_eq!(answer.status, 200);
    assert_eq!(answer.json(), json!({ "by": "@alice:home.test", "alias": "#tea:home.test" }));
    let old = TEA.replace("/v3/", "/r0/");
    assert_eq!(server.send("PUT", &old, ALICE, ROOM).await.status, 200);
    let in_query = format!("{TEA}?access_token=alice");
    assert_eq!(server.send("PUT", &in_query, "", ROOM).await.status, 200);
}

#[tokio::test]
async fn bodies_are_refused_with_the_code_the_specification_names() {
    let server = Server::start().await;
    let deep = format!(r#"{{"room_id":{}{}}}"#, "[".repeat(5_000), "]".repeat(5_000));
    let large = format!(r#"{{"room_id":"{}"}}"#, "x".repeat(1_100_000));
    let table = [
        ("{", 400, "M_NOT_JSON"),
        ("room", 400, "M_NOT_JSON"),
        ("[\"!r:home.test\"]", 400, "M_BAD_JSON"),
        ("{}", 400, "M_BAD_JSON"),
        ("", 400, "M_BAD_JSON"),
        (r#"{"room_id":3}"#, 400, "M_BAD_JSON"),
        (&deep, 400, "M_BAD_JSON"),
        (&large, 413, "M_TOO_LARGE"),
    ];
    for (body, status, errcode) in table {
        let answer = server.send("PUT", TEA, ALICE, body).await;
        let start: String = body.chars().take(40).collect();
        assert_eq!((answer.status, &*answer.errcode()), (status, errcode), "{start}");
    }
    assert_eq!(server.counted.ran(), 0);
}

#[tokio::test]
async fn an_absent_body_is_an_empty_object() {
    let server = Server::start().await;
    let join = "/_matrix/client/v3/rooms/!r:home.test/join";
    let answer = server.send("POST", join, ALICE, "").await;
    assert_eq!((answer.status, answer.json()["reason"].is_null()), (200, true));
    let answer = server.send("POST", "/test/echo", "", "").await;
    assert_eq!(answer.json(), json!({}));
}

#[tokio::test]
async fn bad_path_arguments_are_invalid_parameters() {
    let server = Server::start().await;
    for target in ["/_matrix/client/v3/directory/room/tea", "/_matrix/client/v3/directory/room/%ff"]
    {
        let answer = server.send("GET", target, "", "").await;
        assert_eq!((answer.status, &*answer.errcode()), (400, "M_INVALID_PARAM"), "{target}");
    }
}

#[tokio::test]
async fn nobody_is_told_before_the_body_is_looked_at() {
    let server = Server::start().await;
    let table = [
        ("", 401, "M_MISSING_TOKEN"),
        ("authorization: Basic alice\r\n", 401, "M_MISSING_TOKEN"),
        ("authorization: Bearer \r\n", 401, "M_MISSING_TOKEN"),
        ("authorization: Bearer mallory\r\n", 401, "M_UNKNOWN_TOKEN"),
        (GUEST, 403, "M_GUEST_ACCESS_FORBIDDEN"),
    ];
    for (headers, status, errcode) in table {
        let answer = server.send("PUT", TEA, headers, "not even JSON").await;
        assert_eq!((answer.status, &*answer.errcode()), (status, errcode), "{headers}");
    }
    let answer = server.send("PUT", TEA, GUEST, ROOM).await;
    assert_eq!(answer.json()["org.vestibule.reason"], "ceiling");
    let answer = server.send("PUT", TEA, "authorization: Bearer expired\r\n", ROOM).await;
    assert_eq!(answer.json()["soft_logout"], true);
    assert_eq!(server.counted.ran(), 0);
}

#[tokio::test]
async fn a_handler_that_forgets_to_ask_is_still_guarded() {
    // `join` takes no `Caller`; its route asks all the same.
    let server = Server::start().await;
    let answer = server.send("POST", "/_matrix/client/v3/rooms/!r:home.test/join", "", "{}").await;
    assert_eq!((answer.status, server.counted.ran()), (401, 0));
}

#[tokio::test]
async fn where_no_login_is_needed_the_class_of_a_good_token_still_counts() {
    let server = Server::start().await;
    assert_eq!(server.send("GET", TEA, "", "").await.json()["anonymous"], true);
    assert_eq!(server.send("GET", TEA, ALICE, "").await.json()["anonymous"], false);
    assert_eq!(server.send("GET", TEA, "authorization: Bearer old\r\n", "").await.status, 200);
    assert_eq!(server.send("GET", TEA, GUEST, "").await.status, 403);
}

#[tokio::test]
async fn other_spellings_of_a_path_reach_the_same_verdict_or_nothing() {
    let server = Server::start().await;
    let same = [
        "/_matrix/client/v3/directory/room/%23tea:home.test",
        "/_matrix/client/v3/directory/room/%23%74ea%3ahome.test",
        "/_matrix/client/v3/%64irectory/r%6fom/%23tea%3Ahome%2Etest",
        "http://elsewhere/_matrix/client/v3/directory/room/%23tea%3Ahome.test",
    ];
    for target in same {
        let answer = server.send("PUT", target, GUEST, ROOM).await;
        assert_eq!(
            (answer.status, &*answer.errcode()),
            (403, "M_GUEST_ACCESS_FORBIDDEN"),
            "{target}"
        );
    }
    let nothing = [
        "/_matrix/client/v3/directory/room/%23tea%3Ahome.test/",
        "//_matrix/client/v3/directory/room/%23tea%3Ahome.test",
        "/_matrix//client/v3/directory/room/%23tea%3Ahome.test",
        "/_matrix/client/v3/directory//%23tea%3Ahome.test",
        "/_matrix/client/v3/../v3/directory/room/%23tea%3Ahome.test",
        "/_matrix/client/v3%2Fdirectory/room/%23tea%3Ahome.test",
        "/_MATRIX/client/v3/directory/room/%23tea%3Ahome.test",
    ];
    for target in nothing {
        let answer = server.send("PUT", target, ALICE, ROOM).await;
        assert_eq!((answer.status, &*answer.errcode()), (404, "M_UNRECOGNIZED"), "{target}");
    }
    assert_eq!(server.counted.ran(), 0);
}

#[tokio::test]
async fn unknown_paths_and_methods_are_unrecognized() {
    let server = Server::start().await;
    let answer = server.send("GET", "/_matrix/client/v3/nothing", "", "").await;
    assert_eq!((answer.status, &*answer.errcode()), (404, "M_UNRECOGNIZED"));
    let answer = server.send("PATCH", TEA, "", "").await;
    assert_eq!((answer.status, &*answer.errcode()), (405, "M_UNRECOGNIZED"));
    let answer = server.send("POST", "/", "", "").await;
    assert_eq!((answer.status, &*answer.errcode()), (404, "M_UNRECOGNIZED"));
}

#[tokio::test]
async fn browsers_may_read_every_answer_and_ask_first_without_running_anything() {
    let server = Server::start().await;
    for (method, target) in
        [("GET", TEA), ("PUT", TEA), ("GET", "/nothing"), ("PATCH", TEA), ("GET", "/test/panics")]
    {
        let answer = server.send(method, target, "", "").await;
        assert_eq!(answer.header("access-control-allow-origin"), Some("*"), "{method} {target}");
    }
    let join = "/_matrix/client/v3/rooms/!r:home.test/join";
    let answer = server.send("OPTIONS", join, ALICE, "").await;
    assert_eq!((answer.status, server.counted.ran()), (204, 0));
    assert!(answer.header("access-control-allow-headers").unwrap().contains("Authorization"));
    assert!(answer.header("access-control-allow-methods").unwrap().contains("DELETE"));
}

#[tokio::test]
async fn a_panic_is_a_500_and_the_server_lives_on() {
    let server = Server::start().await;
    let answer = server.send("GET", "/test/panics", "", "").await;
    assert_eq!((answer.status, &*answer.errcode()), (500, "M_UNKNOWN"));
    assert!(!String::from_utf8_lossy(&answer.body).contains("purpose"));
    assert_eq!(server.send("GET", "/test/whence", "", "").await.status, 200);
}

#[tokio::test]
async fn large_answers_are_compressed_for_those_who_ask() {
    let server = Server::start().await;
    let plain = server.send("GET", "/test/large", "", "").await;
    let packed = server.send("GET", "/test/large", "accept-encoding: gzip\r\n", "").await;
    assert_eq!(packed.header("content-encoding"), Some("gzip"));
    assert!(packed.body.len() * 10 < plain.body.len());
    let small = server.send("GET", "/test/whence", "accept-encoding: gzip\r\n", "").await;
    assert_eq!(small.header("content-encoding"), None);
}

#[test]
fn the_table_names_every_path_with_its_rule() {
    let table = routes().table();
    let of_alias: Vec<_> = table
        .iter()
        .filter(|entry| entry.path == "/_matrix/client/v3/directory/room/{room_alias}")
        .map(|entry| (entry.method.clone(), entry.rule, entry.login))
        .collect();
    let expected = [
        (Method::GET, Rule::Directory, Login::Ignored),
        (Method::PUT, Rule::Members, Login::Required),
    ];
    assert_eq!(of_alias, expected);
    assert!(table.iter().any(|entry| entry.path.starts_with("/_matrix/client/r0/directory/room")));
}
