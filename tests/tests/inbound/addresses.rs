//! Invitations of addresses that the invitee's server, being in the room, turned into invitations of a
//! user by itself: in the inviter's name, and without the signature of the inviter's server.

use ruma::OwnedUserId;
use serde_json::{Value, json};
use vestibule_testkit::server::PretendServer;

use crate::support::{error_of, scene_of};

fn invitation(proof: &Value) -> Value {
    json!({
        "membership": "invite",
        "third_party_invite": { "display_name": "m...", "signed": proof },
    })
}

#[tokio::test]
async fn the_invitees_server_may_make_the_invitation_that_a_proof_allows() {
    for version in ["11", "12"] {
        let mut scene = scene_of(vestibule_testkit::server::Blueprint::default(), version).await;
        let identity = PretendServer::on(&scene.network, "id.example");
        let invite = json!({
            "display_name": "m...",
            "public_key": identity.key().public_key(),
            "key_validity_url": "https://id.example/valid",
        });
        let set = scene.alice.set_state(&scene.room, "m.room.third_party_invite", "token", &invite);
        set.await.ok();
        let alice = OwnedUserId::try_from(scene.alice.user_id.as_str()).expect("a user id");
        let away = &scene.away.server;
        let (mallory, max) = (away.user("mallory"), away.user("max"));
        let ends = scene.ends().await;
        let invited = |proof: &Value, user: &OwnedUserId| {
            let place = ("m.room.member", Some(user.as_str()));
            away.event(&ends, &alice, place, &invitation(proof))
        };
        let proof = json!({ "mxid": mallory, "token": "token" });
        let forged = invited(&away.signed(&proof), &mallory);
        let of_another = invited(&identity.signed(&proof), &max);
        let good = invited(&identity.signed(&proof), &mallory);
        let words = json!({ "msgtype": "m.text", "body": "in her name" });
        let words = away.event(&ends, &alice, ("m.room.message", None), &words);
        let join = away.join(&ends.after(&good), &mallory);

        let all = [forged.clone(), of_another.clone(), words.clone(), good.clone(), join.clone()];
        let answers = scene.send(&all).await;
        for refused in [&forged, &of_another, &words] {
            assert!(error_of(&answers, refused).is_some(), "{answers}");
        }
        for taken in [&good, &join] {
            assert_eq!(error_of(&answers, taken), None, "{answers}");
        }
        let member = scene.alice.state(&scene.room, "m.room.member", mallory.as_str()).await.ok();
        assert_eq!(member["membership"], "join");
        let none = scene.alice.state(&scene.room, "m.room.member", max.as_str()).await;
        assert_eq!(none.status, 404);
        scene.still_works("after an invitation in our name").await;
    }
}
