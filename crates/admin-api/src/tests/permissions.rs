//! What everybody is answered at every endpoint. The golden file is what reviewers read; with
//! `INSTA_UPDATE=always` the test writes it anew.

use vestibule_testkit::AnswerTable;

use super::scene::{Role, Scene, all_routes};

#[tokio::test]
async fn what_everybody_is_answered_at_every_endpoint_is_as_reviewed() {
    let routes = all_routes().await;
    let names = routes.iter().map(|route| format!("{} {}", route.method, route.path));
    let mut table = AnswerTable::of(names);
    for role in Role::ALL {
        let mut scene = Scene::of(role).await;
        let mut column = Vec::new();
        for route in &routes {
            scene.rest();
            let probe = scene.probe(route);
            let answer = scene.send(route, &probe.target(&route.path), probe.bytes()).await;
            if answer.0 == 200 && route.method != http::Method::GET {
                scene = Scene::of(role).await;
            }
            column.push(answer);
        }
        table.add(&format!("{role:?}"), column);
    }
    insta::with_settings!({
        snapshot_path => "../../tests/golden",
        prepend_module_to_snapshot => false,
        description => "suspended and locked are moderators: admins are not restrained",
    }, {
        insta::assert_snapshot!("permissions", table.text());
    });
    assert_eq!(table.without(&['2']), [""; 0], "endpoints nobody is let through to");
    assert_eq!(table.without(&['4']), [""; 0], "endpoints nobody is turned away from");
}
