//! History that is fetched after what it leads to.

use ruma::{OwnedEventId, OwnedRoomId};
use serde_json::{Value, json};
use vestibule_events::{Pdu, RoomVersion, Verified};
use vestibule_rooms::{Incoming, Received};
use vestibule_state_res::StateMap;
use vestibule_storage::{Scan, StorageError, tables::room::STREAM};

use crate::{
    forks::{Away, ends_of, room_with_remote_admins, state_of},
    support::House,
};

const EVE: &str = "@eve:away.test";
const MALLORY: &str = "@mallory:away.test";

/// A room in which much was said and only the last of it arrived.
struct Lost {
    house: House,
    away: Away,
    room: OwnedRoomId,
    /// What was not seen, oldest first.
    unseen: Vec<Pdu>,
    after: Pdu,
}

fn id(pdu: &Pdu) -> OwnedEventId {
    pdu.event_id().clone()
}

impl Lost {
    async fn new(version: RoomVersion) -> Self {
        let (house, mut away, room) = room_with_remote_admins(version).await;
        let mut ends = ends_of(&house, &room).await;
        let mut unseen = Vec::new();
        let say = |text: &str| json!({ "msgtype": "m.text", "body": text });
        for (sender, kind, key, content) in [
            (EVE, "m.room.message", None, say("one")),
            (EVE, "m.room.topic", Some(""), json!({ "topic": "first" })),
            (MALLORY, "m.room.message", None, say("two")),
            (EVE, "m.room.topic", Some(""), json!({ "topic": "second" })),
            (MALLORY, "m.room.message", None, say("three")),
            (EVE, "m.room.message", None, say("four")),
        ] {
            let pdu = away.build(sender, (kind, key), content, &ends);
            away.learn(pdu.clone());
            ends = vec![id(&pdu)];
            unseen.push(pdu);
        }
        let after = away.build(EVE, ("m.room.message", None), say("after"), &ends);
        away.learn(after.clone());
        let lost = Self { house, away, room, unseen, after };
        lost.outliers().await;
        let mut incoming = Lost::incoming(&lost.after);
        incoming.fetched = vec![lost.before(&lost.after)];
        let received = lost.house.rooms.receive_all(&lost.room, vec![incoming]).await;
        assert!(matches!(received[..], [Ok(Received::Accepted)]), "{received:?}");
        lost
    }

    /// Fetches what the states are made of.
    async fn outliers(&self) {
        let state = self.unseen.iter().filter(|pdu| pdu.is_state());
        let state = state.map(|pdu| Verified::unchecked_for_tests(pdu.clone())).collect();
        let left = self.house.rooms.store_outliers(&self.room, state).await.expect("kept");
        assert!(left.is_empty());
    }

    fn state_before(&self, pdu: &Pdu) -> StateMap {
        self.away.state_before(pdu.prev_events())
    }

    fn before(&self, pdu: &Pdu) -> std::sync::Arc<[OwnedEventId]> {
        self.state_before(pdu).into_values().collect::<Vec<_>>().into()
    }

    fn incoming(pdu: &Pdu) -> Incoming {
        Incoming::from(Verified::unchecked_for_tests(pdu.clone()))
    }

    /// Stores some of what was not seen; the first comes with the state before it.
    async fn store(&self, unseen: &[Pdu], with_state: bool) -> usize {
        let mut events: Vec<Incoming> = unseen.iter().map(Self::incoming).collect();
        if let (true, Some(first), Some(event)) = (with_state, unseen.first(), events.first_mut()) {
            event.fetched = vec![self.before(first)];
        }
        events.reverse();
        self.house.rooms.store_history(&self.room, events).await.expect("stored")
    }

    /// The ids in the timeline, from the first that was not seen.
    async fn timeline(&self) -> Vec<OwnedEventId> {
        let shown = self.house.rooms.with_view::<_, StorageError, _>(&self.room, |view| {
            let mut ids = Vec::new();
            for (_, no) in view.timeline_forward(None, None, usize::MAX)? {
                ids.push(view.event(no)?.expect("stored").pdu.event_id().clone());
            }
            Ok(ids)
        });
        let shown = shown.await.expect("read").expect("a room");
        let of_these = |it: &OwnedEventId| {
            self.unseen.iter().chain([&self.after]).any(|pdu| pdu.event_id() == it)
        };
        shown.into_iter().filter(of_these).collect()
    }

    async fn has_gaps(&self) -> bool {
        let gaps = self.house.rooms.with_view::<_, StorageError, _>(&self.room, |view| {
            let gaps = view.gaps()?;
            let rows = view.timeline_forward(None, None, usize::MAX)?;
            Ok(rows.into_iter().any(|(_, no)| gaps.before(no).is_some()))
        });
        gaps.await.expect("read").expect("a room")
    }

    /// The state stored before an event.
    async fn stored_before(&self, pdu: &Pdu) -> StateMap {
        let wanted = id(pdu);
        let read = self.house.rooms.with_view::<_, StorageError, _>(&self.room, move |view| {
            let no = view.event_no(&wanted)?.expect("here");
            let around = view.around(no)?.expect("judged");
            let mut state = StateMap::new();
            for (key, no) in view.full_state(around.value.before, None)? {
                state.insert(key, view.event(no)?.expect("stored").pdu.event_id().clone());
            }
            Ok(state)
        });
        read.await.expect("read").expect("a room")
    }

    async fn lines(&self) -> usize {
        let read = self.house.store.read::<_, StorageError, _>(|snapshot| {
            Ok(STREAM.scan_with(snapshot, Scan::prefix(()))?.len())
        });
        read.await.expect("read")
    }

    fn ids(&self, from: usize) -> Vec<OwnedEventId> {
        self.unseen.iter().skip(from).chain([&self.after]).map(id).collect()
    }
}

#[tokio::test]
async fn history_fills_its_gap_in_order_and_changes_nothing_else() {
    for version in [RoomVersion::V6, RoomVersion::V12] {
        let lost = Lost::new(version).await;
        let state = state_of(&lost.house, &lost.room).await;
        let after = vec![id(&lost.after)];
        let lines = lost.lines().await;
        assert_eq!(ends_of(&lost.house, &lost.room).await.len(), 2, "nothing leads to the old end");
        assert_eq!(lost.store(&lost.unseen[3..], true).await, 3);
        assert_eq!(lost.timeline().await, lost.ids(3));
        assert!(lost.has_gaps().await, "the gap has moved");
        assert_eq!(lost.store(&lost.unseen[3..], true).await, 0, "it is here already");
        assert_eq!(lost.store(&lost.unseen[..3], false).await, 3);
        assert_eq!(lost.timeline().await, lost.ids(0));
        assert!(!lost.has_gaps().await);
        for pdu in &lost.unseen {
            assert_eq!(lost.stored_before(pdu).await, lost.state_before(pdu), "{pdu:?}");
        }
        assert_eq!(ends_of(&lost.house, &lost.room).await, after, "the old end lies before it");
        assert_eq!(state_of(&lost.house, &lost.room).await, state);
        assert_eq!(lost.lines().await, lines, "nobody is told of what is long past");
    }
}

#[tokio::test]
async fn a_line_of_messages_needs_no_state_and_a_change_of_state_does() {
    let lost = Lost::new(RoomVersion::V11).await;
    assert_eq!(lost.store(&lost.unseen[3..], false).await, 0, "who knows what was before");
    assert_eq!(lost.store(&lost.unseen[4..], false).await, 2);
    for pdu in &lost.unseen[4..] {
        assert_eq!(lost.stored_before(pdu).await, lost.state_before(pdu));
    }
}

#[tokio::test]
async fn what_leads_to_no_gap_is_left_out() {
    let lost = Lost::new(RoomVersion::V11).await;
    assert_eq!(lost.store(&lost.unseen[..2], true).await, 0);
    assert_eq!(lost.timeline().await, [id(&lost.after)]);
}

#[tokio::test]
async fn what_the_rules_refused_then_has_no_place_and_what_lies_before_it_does() {
    let mut lost = Lost::new(RoomVersion::V11).await;
    let ends = vec![id(&lost.unseen[5])];
    let forged = json!({ "msgtype": "m.text", "body": "by nobody in the room" });
    let mut builder = Vec::new();
    for sender in ["@stranger:away.test", EVE] {
        let ends = builder.last().map_or(ends.clone(), |pdu: &Pdu| vec![id(pdu)]);
        let pdu = lost.away.build(sender, ("m.room.message", None), forged.clone(), &ends);
        lost.away.learn(pdu.clone());
        builder.push(pdu);
    }
    let [refused, next] = &builder[..] else { panic!("two") };
    let mut incoming = Lost::incoming(next);
    incoming.fetched = vec![lost.before(next)];
    let received = lost.house.rooms.receive_all(&lost.room, vec![incoming]).await;
    assert!(matches!(received[..], [Ok(Received::Accepted)]), "{received:?}");

    let mut events = vec![Lost::incoming(refused)];
    events[0].fetched = vec![lost.before(refused)];
    let stored = lost.house.rooms.store_history(&lost.room, events).await.expect("stored");
    assert_eq!(stored, 1);
    let shown: Vec<OwnedEventId> = lost.timeline().await;
    assert!(!shown.contains(&id(refused)));
    assert_eq!(lost.store(&lost.unseen[3..], true).await, 3, "the gap goes on before it");
}

#[tokio::test]
async fn a_redaction_takes_effect_on_what_comes_after_it() {
    let mut lost = Lost::new(RoomVersion::V11).await;
    let target = id(&lost.unseen[4]);
    let ends = ends_of(&lost.house, &lost.room).await;
    let content: Value = json!({ "redacts": target });
    let redaction = lost.away.build(EVE, ("m.room.redaction", None), content, &ends);
    assert_eq!(lost.away.send(&lost.house, redaction.clone()).await, Received::Accepted);
    assert_eq!(lost.store(&lost.unseen[4..], false).await, 2);
    let read = lost.house.rooms.with_view::<_, StorageError, _>(&lost.room, move |view| {
        Ok(view.redaction_of(&target)?.map(|event| event.pdu.event_id().clone()))
    });
    assert_eq!(read.await.expect("read").expect("a room"), Some(id(&redaction)));
}
