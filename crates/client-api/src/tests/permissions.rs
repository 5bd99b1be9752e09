//! What everybody is answered at every endpoint. The golden file is what reviewers read; with
//! `INSTA_UPDATE=always` the test writes it anew.

use vestibule_testkit::AnswerTable;

use super::{
    plausible::current_routes,
    scene::{Role, Scene},
    *,
};

/// What nobody in the table is let do, and where it is shown that it can be done.
const NEVER_DONE: &[(&str, &str)] = &[
    (
        "POST /_matrix/client/v1/appservice/{appservice_id}/ping",
        "there are no application services",
    ),
    ("GET /_matrix/client/v1/auth_metadata", "there is no OAuth"),
    ("GET /_matrix/client/v1/media/preview_url", "previews are off; see `previews`"),
    ("POST /_matrix/client/v3/account/3pid", "nothing is bound to identity servers"),
    ("POST /_matrix/client/v3/account/3pid/add", "nobody proved the address; see `contacts`"),
    ("POST /_matrix/client/v3/account/3pid/bind", "nothing is bound to identity servers"),
    ("POST /_matrix/client/v3/account/3pid/msisdn/requestToken", "telephone numbers are not taken"),
    (
        "POST /_matrix/client/v3/account/password/msisdn/requestToken",
        "telephone numbers are not taken",
    ),
    (
        "GET /_matrix/client/v3/auth/{auth_type}/fallback/web",
        "the scene needs no stage on a page; see `fallback`",
    ),
    (
        "POST /_matrix/client/v3/auth/{auth_type}/fallback/web",
        "the scene needs no stage on a page; see `fallback`",
    ),
    (
        "PUT /_matrix/client/v3/directory/list/appservice/{network_id}/{room_id}",
        "there are no application services",
    ),
    ("GET /_matrix/client/v3/login/sso/redirect", "there is no single sign-on"),
    ("GET /_matrix/client/v3/login/sso/redirect/{idp_id}", "there is no single sign-on"),
    ("POST /_matrix/client/v3/register/msisdn/requestToken", "telephone numbers are not taken"),
    ("GET /_matrix/client/v3/thirdparty/location/{protocol}", "there are no other networks"),
    ("GET /_matrix/client/v3/thirdparty/protocol/{protocol}", "there are no other networks"),
    ("GET /_matrix/client/v3/thirdparty/user/{protocol}", "there are no other networks"),
    (
        "GET /_matrix/media/v3/download/{server_name}/{media_id}",
        "files are newer than the end of these endpoints; see the tests of media over sockets",
    ),
    (
        "GET /_matrix/media/v3/download/{server_name}/{media_id}/{filename}",
        "files are newer than the end of these endpoints; see the tests of media over sockets",
    ),
    ("GET /_matrix/media/v3/preview_url", "previews are off; see `previews`"),
    (
        "GET /_matrix/media/v3/thumbnail/{server_name}/{media_id}",
        "files are newer than the end of these endpoints; see the tests of media over sockets",
    ),
    (
        "POST /_synapse/admin/v1/register",
        "the scene does not know the secret; see the tests of accounts",
    ),
    (
        "POST /_vestibule/client/v1/guest_links/redeem",
        "there is no link; see the tests of guest links in rooms and `doors`",
    ),
];

/// What nobody in the table is refused, and why.
const NEVER_REFUSED: &[(&str, &str)] = &[
    ("GET /.well-known/matrix/client", "public"),
    ("GET /.well-known/matrix/policy_server", "public"),
    ("GET /.well-known/matrix/support", "public"),
    ("GET /_matrix/client/v1/register/m.login.registration_token/validity", "public"),
    (
        "POST /_matrix/client/v3/account/3pid/email/requestToken",
        "whether an account has the address is told to its reader alone; see `contacts`",
    ),
    (
        "POST /_matrix/client/v3/account/password/email/requestToken",
        "whether an account has the address is told to its reader alone; see `contacts`",
    ),
    ("GET /_matrix/client/v3/directory/list/room/{room_id}", "public"),
    ("GET /_matrix/client/v3/directory/room/{room_alias}", "aliases of this server are public"),
    ("GET /_matrix/client/v3/login", "public"),
    ("GET /_matrix/client/v3/profile/{user_id}", "public"),
    ("GET /_matrix/client/v3/profile/{user_id}/{field}", "public"),
    ("POST /_matrix/client/v3/register", "registration is open; see `accounts`"),
    ("GET /_matrix/client/v3/register/available", "public"),
    (
        "POST /_matrix/client/v3/register/email/requestToken",
        "whether an account has the address is told to its reader alone; see `contacts`",
    ),
    ("GET /_matrix/client/versions", "public"),
    ("GET /_matrix/static/client/auth_done.js", "public"),
    ("GET /_matrix/static/client/login/", "public"),
    ("GET /_matrix/static/client/login/login.js", "public"),
    ("GET /_synapse/admin/v1/register", "what it gives is worth nothing without the secret"),
];

/// Every endpoint has somebody who may and somebody who may not, or it is known why it has not.
fn check_coverage(table: &AnswerTable) {
    let known = |list: &[(&'static str, &str)]| -> Vec<&'static str> {
        list.iter().map(|(name, _)| *name).collect()
    };
    assert_eq!(table.without(&['2', '3']), known(NEVER_DONE), "endpoints nobody is let through to");
    assert_eq!(table.without(&['4']), known(NEVER_REFUSED), "endpoints nobody is turned away from");
}

#[tokio::test]
async fn what_everybody_is_answered_at_every_endpoint_is_as_reviewed() {
    let routes = current_routes(&server());
    let names = routes.iter().map(|route| format!("{} {}", route.method, route.path));
    let mut table = AnswerTable::of(names);
    for role in Role::ALL {
        let mut scene = Scene::of(role).await;
        let mut column = Vec::new();
        for route in &routes {
            column.push(scene.play(route).await);
        }
        table.add(&format!("{role:?}"), column);
    }
    insta::with_settings!({
        snapshot_path => "../../tests/golden",
        prepend_module_to_snapshot => false,
        description => "anonymous, other and admin ask about somebody else's private room and things; joined about \
                        a room of somebody else that it is in; the rest about what is theirs",
    }, {
        insta::assert_snapshot!("permissions", table.text());
    });
    check_coverage(&table);
}
