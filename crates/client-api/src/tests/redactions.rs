//! What was redacted is told nowhere, and decides nothing.

use super::{rooms::encoded, *};

/// The word that must be gone.
const SLANDER: &str = "slander";

impl Server {
    /// Sets state, and redacts it at once.
    async fn sets_and_redacts(&self, who: &Person, room: &str, (place, content): (&str, Value)) {
        let path = format!("/_matrix/client/v3/rooms/{room}/state/{place}");
        let (status, body) = self.put(&path, who, content).await;
        assert_eq!(status, 200, "{body}");
        self.redacts(who, room, body["event_id"].as_str().unwrap()).await;
    }

    /// A room whose name, topic, picture, aliases, pins and owner's name in it were redacted.
    async fn slandered(&self, who: &Person) -> String {
        let room = self.public_room(who, json!({ "visibility": "public" })).await;
        let alias = format!("#{SLANDER}:a.example");
        let path = format!("/_matrix/client/v3/directory/room/{}", encoded(&alias));
        let (status, body) = self.put(&path, who, json!({ "room_id": room })).await;
        assert_eq!(status, 200, "{body}");
        for (place, content) in [
            ("m.room.name", json!({ "name": SLANDER })),
            ("m.room.topic", json!({ "topic": SLANDER })),
            ("m.room.avatar", json!({ "url": "mxc://a.example/slander" })),
            ("m.room.canonical_alias", json!({ "alias": alias, "alt_aliases": [alias] })),
        ] {
            self.sets_and_redacts(who, &room, (place, content)).await;
        }
        let named = json!({ "membership": "join", "displayname": SLANDER });
        let own = format!("m.room.member/{}", who.user_id);
        self.sets_and_redacts(who, &room, (&own, named)).await;
        room
    }
}

#[tokio::test]
async fn state_that_was_redacted_is_told_nowhere() {
    let server = server();
    let (alice, bob) = (server.person("alice").await, server.person("bob").await);
    let (carol, dave) = (server.person("carol").await, server.person("dave").await);
    let room = server.slandered(&alice).await;
    let said = server.says(&alice, &room, Value::Null).await;
    server.sets(&alice, &room, ("m.room.topic", json!({ "topic": "tea" }))).await;
    let v3 = "/_matrix/client/v3";
    let invite = json!({ "user_id": bob.user_id });
    assert_eq!(server.post(&format!("{v3}/rooms/{room}/invite"), &alice, invite).await.0, 200);
    server.joins(&dave, &room).await;
    server.sets(&alice, &room, ("m.room.join_rules", json!({ "join_rule": "knock" }))).await;
    let knock = server.post(&format!("{v3}/knock/{room}"), &carol, json!({})).await;
    assert_eq!(knock.0, 200, "{}", knock.1);

    let mut told = Vec::new();
    for (who, path) in [
        (&bob, format!("{v3}/sync")),
        (&carol, format!("{v3}/sync")),
        (&dave, format!("{v3}/sync")),
        (&dave, format!("{v3}/publicRooms")),
        (&dave, format!("{v3}/rooms/{room}/joined_members")),
        (&dave, format!("{v3}/rooms/{room}/messages?dir=b&limit=100")),
        (&dave, format!("{v3}/rooms/{room}/context/{}", encoded(&said))),
        (&bob, format!("/_matrix/client/v1/room_summary/{room}")),
        (&dave, format!("/_matrix/client/v1/rooms/{room}/hierarchy")),
    ] {
        told.push((path.clone(), server.fetch(who, &path).await));
    }
    let slide = json!({ "lists": { "all": {
        "ranges": [[0, 9]], "timeline_limit": 20, "required_state": [["*", "*"]],
    } } });
    let sliding = "/_matrix/client/unstable/org.matrix.simplified_msc3575/sync";
    let find = json!({ "search_categories": { "room_events": {
        "search_term": "tea",
        "event_context": { "include_profile": true },
    } } });
    for (path, body) in [(sliding.to_owned(), slide), (format!("{v3}/search"), find)] {
        for who in [&bob, &dave] {
            let (status, answer) = server.post(&path, who, body.clone()).await;
            assert_eq!(status, 200, "{path}: {answer}");
            told.push((path.clone(), answer));
        }
    }
    for (path, answer) in told {
        assert!(!answer.to_string().contains(SLANDER), "{path}: {answer}");
    }
}
