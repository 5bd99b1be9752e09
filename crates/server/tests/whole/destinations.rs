//! What an operator sees and does about other servers.

use serde_json::{Value, json};
use vestibule_testkit::server::{Blueprint, Network, TestServer, tls::TestAuthority};

async fn test(server: &TestServer, name: &str) -> Value {
    let path = format!("/federation/destinations/{name}/test");
    server.operator("POST", &path, &json!({})).await.ok()
}

async fn failing(server: &TestServer) -> Value {
    let answer = server.operator("GET", "/federation/destinations", &json!(null)).await.ok();
    answer["destinations"].clone()
}

#[tokio::test]
async fn a_server_that_does_not_answer_is_listed_until_it_is_retried() {
    let network = Network::new();
    let server = Blueprint::default().on(&network, "a.example").start().await;
    assert_eq!(failing(&server).await, json!([]));
    assert_eq!(test(&server, "b.example").await["reachable"], false);
    let listed = failing(&server).await;
    assert_eq!(listed[0]["server"], "b.example");
    assert!(listed[0]["failures"].as_u64().unwrap() > 0, "{listed}");
    assert!(listed[0]["retry_in_ms"].as_u64().unwrap() > 0, "{listed}");

    let retry = "/federation/destinations/b.example/retry";
    let retried = server.operator("POST", retry, &json!({})).await.ok();
    assert_eq!(retried["had_failed"], true);
    assert_eq!(failing(&server).await, json!([]));
    let retried = server.operator("POST", retry, &json!({})).await.ok();
    assert_eq!(retried["had_failed"], false);
}

#[tokio::test]
async fn a_server_that_answers_is_told_with_its_software() {
    let network = Network::new();
    let server = Blueprint::default().on(&network, "a.example").start().await;
    let _other = Blueprint::default().on(&network, "b.example").start().await;
    let told = test(&server, "b.example").await;
    assert_eq!(told["findings"][0]["step"], "version", "{told}");
    assert_eq!(told["findings"][0]["outcome"], "fine", "{told}");
    assert!(told["findings"][0]["text"].as_str().unwrap().starts_with("Vestibule"), "{told}");
    assert_eq!(failing(&server).await, json!([]));
}

#[tokio::test]
async fn what_is_no_server_name_is_refused() {
    let server = TestServer::start().await;
    let asked = server.operator("POST", "/federation/destinations/a%20b/test", &json!({})).await;
    assert_eq!(asked.refusal(), (400, "M_INVALID_PARAM"));
}

#[tokio::test]
async fn nobody_is_asked_where_federation_is_off() {
    let server = TestServer::start().await;
    let told = test(&server, "b.example").await;
    assert_eq!(told["findings"][0]["step"], "permission");
    assert_eq!(told["reachable"], false);
}

#[tokio::test]
async fn two_servers_reach_each_other_over_tls_by_addresses_that_are_configured() {
    let folder = tempfile::tempdir().unwrap();
    let authority = TestAuthority::new();
    let file = authority.write_to(folder.path());
    let certificate = authority.certificate(&["b.example"]).write_to(folder.path(), "b");
    let listener = format!(
        "[[listener]]\nbind = \"127.0.0.1:0\"\nserves = [\"federation\"]\n\
         tls = {{ certificate = \"{}\", private_key = \"{}\" }}\n",
        certificate.certificate.display(),
        certificate.private_key.display(),
    );
    let other =
        Blueprint::default().with(&listener).set("server__name", "\"b.example\"").start().await;
    let socket = other.running().addresses()[1];
    let federation = format!(
        "[federation]\nenabled = true\nca_file = \"{}\"\nresolve = {{ \"b.example\" = \"{socket}\" }}\n",
        file.display(),
    );
    let named = Blueprint::default().with(&federation).set("server__name", "\"a.example\"");
    let server = named.start().await;
    let told = test(&server, "b.example").await;
    let findings = told["findings"].as_array().unwrap();
    for (finding, step) in findings.iter().zip(["name", "address", "connect", "tls", "version"]) {
        assert_eq!(
            (&finding["step"], &finding["outcome"]),
            (&json!(step), &json!("fine")),
            "{told}"
        );
    }
    assert!(findings.len() > 5, "{told}");
}
