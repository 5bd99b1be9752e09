//! The table of endpoints. The golden file is what reviewers read; with `INSTA_UPDATE=always` the test
//! writes it anew.

use std::fmt::Write;

use http::Method;
use serde_json::{Value, json};
use vestibule_http::Login;

use super::{code, error, server};
use crate::routes;

#[tokio::test]
async fn the_table_of_endpoints_is_as_reviewed() {
    let mut table = String::new();
    for route in routes(&server().await.api).table() {
        let signed = if route.login == Login::Required { "signed" } else { "open" };
        let (method, path, size) = (route.method.as_str(), route.path, route.rule);
        writeln!(table, "{method:6} {path} | {signed} {size:?}").unwrap();
    }
    insta::with_settings!({
        snapshot_path => "../../tests/golden",
        prepend_module_to_snapshot => false,
    }, {
        insta::assert_snapshot!("endpoints", table);
    });
}

#[tokio::test]
async fn unknown_paths_and_methods_are_unrecognized() {
    let server = server().await;
    let nowhere = server.ask(Method::GET, "/_matrix/federation/v1/nowhere", Value::Null).await;
    assert_eq!(error(nowhere), code(404, "M_UNRECOGNIZED"));
    let posted = server.ask(Method::POST, "/_matrix/federation/v1/version", json!({})).await;
    assert_eq!(error(posted), code(405, "M_UNRECOGNIZED"));
}

#[tokio::test]
async fn every_endpoint_that_wants_a_signature_refuses_to_go_without() {
    let server = server().await;
    for route in routes(&server.api).table() {
        if route.login == Login::Required {
            let answer = server.ask(route.method.clone(), &route.path, json!({})).await;
            assert_eq!(
                error(answer),
                code(401, "M_UNAUTHORIZED"),
                "{} {}",
                route.method,
                route.path
            );
        }
    }
}
