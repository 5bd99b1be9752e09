//! What an operator sees and does about other servers.

use std::path::Path;

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
async fn a_server_that_answers_is_told_to_be_reachable() {
    let network = Network::new();
    let server = Blueprint::default().on(&network, "a.example").start().await;
    let _other = Blueprint::default().on(&network, "b.example").start().await;
    let told = test(&server, "b.example").await;
    assert_eq!(told["reachable"], true, "{told}");
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

/// A server on an address of its own, with TLS, that knows where another one is.
async fn over_tls(name: &str, bind: &str, other: (&str, &str), folder: &Path) -> TestServer {
    let certificates = folder.join(name);
    let federation = format!(
        "[[listener]]\nbind = \"{bind}\"\nserves = [\"federation\"]\n\
         tls = {{ certificate = \"{0}.pem\", private_key = \"{0}.key\" }}\n\
         [federation]\nca_file = \"{1}\"\nresolve = {{ \"{2}\" = \"{3}\" }}\n",
        certificates.display(),
        folder.join("authority.pem").display(),
        other.0,
        other.1,
    );
    let blueprint = Blueprint::default().with(&federation);
    blueprint.set("server__name", &format!("\"{name}\"")).start().await
}

#[tokio::test]
async fn two_servers_reach_each_other_over_tls_by_addresses_that_are_configured() {
    let folder = tempfile::tempdir().unwrap();
    let authority = TestAuthority::new();
    let _ca = authority.write_to(folder.path());
    for name in ["a.test", "b.test"] {
        let _files = authority.certificate(&[name]).write_to(folder.path(), name);
    }
    let [high, low] = u16::try_from(std::process::id() % 65_536).unwrap().to_be_bytes();
    let (a_bind, b_bind) =
        (format!("127.{high}.{low}.251:8448"), format!("127.{high}.{low}.252:8448"));
    let a = over_tls("a.test", &a_bind, ("b.test", &b_bind), folder.path()).await;
    let b = over_tls("b.test", &b_bind, ("a.test", &a_bind), folder.path()).await;
    for (from, to) in [(&a, "b.test"), (&b, "a.test")] {
        let told = test(from, to).await;
        assert_eq!(told["reachable"], true, "{told}");
        let steps = told["findings"].as_array().unwrap().iter().map(|it| it["step"].clone());
        let expected = ["name", "address", "connect", "tls", "version", "keys", "signed request"];
        assert_eq!(steps.collect::<Vec<_>>(), expected.map(Value::from), "{told}");
    }
}
