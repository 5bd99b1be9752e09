//! What everybody is answered at every endpoint. The golden file is what reviewers read; with
//! `INSTA_UPDATE=always` the test writes it anew.

use std::fmt::Write;

use super::{
    plausible::current_routes,
    scene::{Role, Scene},
    *,
};

/// A status, and why.
fn short((status, body): (u16, Value)) -> String {
    let code = body["errcode"].as_str().map(|code| code.trim_start_matches("M_"));
    match code {
        Some(code) => format!("{status} {code}"),
        None if status == 401 => "401 (stages)".to_owned(),
        None => status.to_string(),
    }
}

#[tokio::test]
async fn what_everybody_is_answered_at_every_endpoint_is_as_reviewed() {
    let routes = current_routes(&server());
    let mut columns = Vec::new();
    for role in Role::ALL {
        let mut scene = Scene::of(role).await;
        let mut column = Vec::new();
        for route in &routes {
            column.push(short(scene.play(route).await));
        }
        columns.push(column);
    }
    let mut table = String::new();
    for (row, route) in routes.iter().enumerate() {
        writeln!(table, "{} {}", route.method, route.path).unwrap();
        for (role, column) in Role::ALL.iter().zip(&columns) {
            let role = format!("{role:?}").to_lowercase();
            writeln!(table, "    {role:9} {}", column[row]).unwrap();
        }
    }
    insta::with_settings!({
        snapshot_path => "../../tests/golden",
        prepend_module_to_snapshot => false,
        description => "anonymous, other and admin ask about somebody else's private room and things; joined about \
                        a room of somebody else that it is in; the rest about what is theirs",
    }, {
        insta::assert_snapshot!("permissions", table);
    });
}
