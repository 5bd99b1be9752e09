//! What an operator is told of the way to a server.

use vestibule_remote::{Finding, Outcome, Transport};

use crate::{
    peer::page,
    scene::{PORT, Scene, server},
};

async fn examine(scene: &mut Scene, name: &str) -> Vec<Finding> {
    scene.network().examine(server(name)).await
}

fn steps(findings: &[Finding]) -> Vec<(&str, Outcome)> {
    findings.iter().map(|finding| (finding.step, finding.outcome)).collect()
}

#[tokio::test]
async fn every_step_to_a_good_server_is_told() {
    let mut scene = Scene::new();
    let peer = scene.homeserver(0, &["b.test"]).await;
    scene.delegating("a.test", "b.test").await;
    scene.service("_matrix-fed._tcp.b.test", 1, "c.test", peer.socket.port());
    scene.name("c.test", &[peer.socket.ip()]);
    let findings = examine(&mut scene, "a.test").await;
    let fine = |step| (step, Outcome::Fine);
    let expected = ["well-known", "srv", "dns", "connect", "tls"].map(fine);
    assert_eq!(steps(&findings), expected, "{findings:?}");
    assert!(findings[0].text.contains("a.test delegates to b.test"), "{findings:?}");
    assert!(findings[4].text.contains("HTTP/2"), "{findings:?}");
}

#[tokio::test]
async fn the_step_at_which_the_way_ends_is_told() {
    let mut scene = Scene::new();
    let peer = scene.homeserver(PORT, &["b.test"]).await;
    scene.website("a.test", |_| page(404, &[], "")).await;
    scene.name("a.test", &[peer.socket.ip()]);
    let findings = examine(&mut scene, "a.test").await;
    assert_eq!(findings.last().unwrap().step, "tls", "{findings:?}");
    assert_eq!(findings.last().unwrap().outcome, Outcome::Failed);

    let findings = examine(&mut scene, "10.0.0.1").await;
    let expected = [Outcome::Fine, Outcome::Notable, Outcome::Failed];
    assert_eq!(findings.iter().map(|it| it.outcome).collect::<Vec<_>>(), expected);
    assert!(findings[1].text.contains("federation.allowed_networks"), "{findings:?}");

    let findings = examine(&mut scene, "nowhere.test:1").await;
    assert_eq!(findings.last().unwrap().outcome, Outcome::Failed, "{findings:?}");
}
