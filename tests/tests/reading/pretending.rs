//! The pretended server itself: what it signs and makes is good.

use serde_json::json;
use vestibule_testkit::server::{Blueprint, Network, PretendServer};

#[tokio::test]
async fn somebody_from_a_pretended_server_gets_into_a_room() {
    let network = Network::new();
    let server = Blueprint::default().on(&network, "home.test").start().await;
    let away = PretendServer::on(&network, "away.test");
    let alice = server.register("alice").await;
    for version in ["10", "12"] {
        let options = json!({ "preset": "public_chat", "room_version": version });
        let room = alice.create_room(&options).await;
        let bob = away.slip_in(&server, &room, "bob").await;
        let members = format!("/_matrix/client/v3/rooms/{room}/joined_members");
        let members = alice.http().get(&members).await.ok();
        assert!(members["joined"][bob.as_str()].is_object(), "{members}");
    }
}
