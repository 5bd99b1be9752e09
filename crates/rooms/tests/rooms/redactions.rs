//! What was redacted is not told to other servers either, and decides nothing any more.

use std::sync::Arc;

use ruma::{OwnedEventId, RoomId};
use serde_json::json;
use vestibule_events::Pdu;
use vestibule_rooms::{Redact, STRIPPED_TYPES, SendError};
use vestibule_storage::StorageError;
use vestibule_types::Actor;

use crate::support::{House, content, open_by_alias};

impl House {
    /// The event that sets a key of the current state.
    async fn setter(&self, room: &RoomId, kind: &str, key: &str) -> Arc<Pdu> {
        let (kind, key) = (kind.to_owned(), key.to_owned());
        let found = self.rooms.with_view::<_, StorageError, _>(room, move |view| {
            Ok(view.state_event(&kind, &key)?.expect("it is set").pdu)
        });
        found.await.expect("read").expect("the room is here")
    }

    async fn redact(
        &self,
        who: &Actor,
        room: &RoomId,
        event: &Pdu,
    ) -> Result<OwnedEventId, SendError> {
        let command = Redact {
            room_id: room.to_owned(),
            event_id: event.event_id().clone(),
            content: content(json!({})),
            transaction_id: None,
        };
        self.rooms.redact(who, command).await
    }
}

#[tokio::test]
async fn servers_that_join_or_knock_are_sent_what_redactions_left() {
    let house = House::new(&open_by_alias(), 1);
    let alice = house.account("alice", "moderator").await;
    let bob = house.account("bob", "member").await;
    let room = house.open_room(&alice).await;
    for (kind, value) in [
        ("m.room.name", json!({ "name": "slander" })),
        ("m.room.topic", json!({ "topic": "slander" })),
    ] {
        house.set(&alice, &room, (kind, ""), value).await.expect("set");
        let event = house.setter(&room, kind, "").await;
        house.redact(&alice, &room, &event).await.expect("redacted");
    }
    house.join(&bob, &room).await.expect("joined");

    let join = house.setter(&room, "m.room.member", bob.user_id().as_str()).await;
    let joined = house.rooms.joined_state(&join, false).await.expect("an answer");
    let outside = house.rooms.state_from_outside(&room).await.expect("an answer");
    let topics = |events: &[Box<serde_json::value::RawValue>]| {
        events.iter().filter(|event| event.get().contains("m.room.topic")).count()
    };
    assert_eq!((topics(&joined.state), topics(&outside)), (1, 1));
    assert!(outside.len() > 2 && outside.len() <= STRIPPED_TYPES.len());
    for event in joined.state.iter().chain(&joined.auth_chain).chain(&outside) {
        assert!(!event.get().contains("slander"), "{event}");
        assert!(event.get().contains("signatures"), "whole, but for its content: {event}");
    }
}

#[tokio::test]
async fn guests_leave_when_what_admitted_them_is_redacted() {
    let (house, alice, guest, room) = House::with_a_guest_by("welcome").await;

    let access = house.setter(&room, "m.room.guest_access", "").await;
    house.redact(&alice, &room, &access).await.expect("redacted");
    house.run_jobs().await;
    assert_eq!(house.membership(&room, &guest).await.as_deref(), Some("leave"));
    house.join(&guest, &room).await.expect_err("the room admits guests no more");
    assert_eq!(house.membership(&room, &alice).await.as_deref(), Some("join"));
}
