//! Events that are kept from the timeline: what lies before them, and what follows them.

use ruma::{OwnedEventId, OwnedRoomId};
use serde_json::json;
use vestibule_events::{Pdu, RoomVersion, Verified};
use vestibule_rooms::{Incoming, Received};
use vestibule_storage::StorageError;

use crate::{
    forks::{Away, ends_of, room_with_remote_admins},
    support::House,
};

const EVE: &str = "@eve:away.test";
const TRENT: &str = "@trent:away.test";

/// A room out of which trent is about to be banned.
struct Scene {
    house: House,
    away: Away,
    room: OwnedRoomId,
    base: Vec<OwnedEventId>,
}

fn id(pdu: &Pdu) -> OwnedEventId {
    pdu.event_id().clone()
}

impl Scene {
    async fn new() -> Self {
        let (house, away, room) = room_with_remote_admins(RoomVersion::V11).await;
        let base = ends_of(&house, &room).await;
        Self { house, away, room, base }
    }

    /// An event that this server does not get yet.
    fn said(&mut self, sender: &str, prev: &[&Pdu]) -> Pdu {
        let content = json!({ "msgtype": "m.text", "body": "said" });
        let prev: Vec<OwnedEventId> = prev.iter().map(|pdu| id(pdu)).collect();
        let prev = if prev.is_empty() { self.base.clone() } else { prev };
        let pdu = self.away.build(sender, ("m.room.message", None), content, &prev);
        self.away.learn(pdu.clone());
        pdu
    }

    async fn ban(&mut self) -> Pdu {
        let ban = json!({ "membership": "ban" });
        let base = self.base.clone();
        let ban = self.away.build(EVE, ("m.room.member", Some(TRENT)), ban, &base);
        self.away.learn(ban.clone());
        assert_eq!(self.receive(&ban).await, Received::Accepted);
        ban
    }

    async fn receive(&self, pdu: &Pdu) -> Received {
        let outcome = self.house.rooms.receive(Verified::unchecked_for_tests(pdu.clone())).await;
        outcome.expect("judged")
    }

    /// Judges an event by the state before it, which other servers tell.
    async fn receive_over_gap(&self, pdu: &Pdu) -> Received {
        let mut incoming = Incoming::from(Verified::unchecked_for_tests(pdu.clone()));
        let state = self.away.state_before(pdu.prev_events());
        incoming.fetched = vec![state.into_values().collect::<Vec<_>>().into()];
        let outcome = self.house.rooms.receive_all(&self.room, vec![incoming]).await.pop();
        outcome.expect("an outcome").expect("judged")
    }

    /// What is missing, by the event of the timeline that it lies before.
    async fn gaps(&self) -> Vec<(OwnedEventId, Vec<OwnedEventId>)> {
        let read = self.house.rooms.with_view::<_, StorageError, _>(&self.room, |view| {
            let (gaps, mut found) = (view.gaps()?, Vec::new());
            for (_, no) in view.timeline_forward(None, None, usize::MAX)? {
                if let Some(missing) = gaps.before(no) {
                    let event = view.event(no)?.expect("stored");
                    found.push((event.pdu.event_id().clone(), missing.to_vec()));
                }
            }
            Ok(found)
        });
        read.await.expect("read").expect("a room")
    }

    async fn shows(&self, pdu: &Pdu) -> bool {
        let wanted = id(pdu);
        let read = self.house.rooms.with_view::<_, StorageError, _>(&self.room, move |view| {
            let rows = view.timeline_forward(None, None, usize::MAX)?;
            let wanted = view.event_no(&wanted)?;
            Ok(rows.iter().any(|(_, no)| Some(*no) == wanted))
        });
        read.await.expect("read").expect("a room")
    }
}

#[tokio::test]
async fn what_lies_before_a_hidden_event_is_looked_for_before_what_comes_after_it() {
    let mut scene = Scene::new().await;
    let ban = scene.ban().await;
    let lost = scene.said(EVE, &[]);
    let hidden = scene.said(TRENT, &[&lost]);
    assert_eq!(scene.receive_over_gap(&hidden).await, Received::SoftFailed);
    assert!(scene.gaps().await.is_empty(), "nothing comes after it yet");
    let after = scene.said(EVE, &[&ban, &hidden]);
    assert_eq!(scene.receive(&after).await, Received::Accepted);
    assert_eq!(scene.gaps().await, [(id(&after), vec![id(&lost)])]);

    let lost_too = Incoming::from(Verified::unchecked_for_tests(lost.clone()));
    let stored = scene.house.rooms.store_history(&scene.room, vec![lost_too]).await;
    assert_eq!(stored.expect("stored"), 1);
    assert!(scene.shows(&lost).await && !scene.shows(&hidden).await);
    assert!(scene.gaps().await.is_empty());
}

#[tokio::test]
async fn a_parent_that_is_hidden_when_it_comes_is_missing_no_more() {
    let mut scene = Scene::new().await;
    let late = scene.said(TRENT, &[]);
    let after = scene.said(EVE, &[&late]);
    assert_eq!(scene.receive_over_gap(&after).await, Received::Accepted);
    assert_eq!(scene.gaps().await, [(id(&after), vec![id(&late)])]);
    scene.ban().await;
    assert_eq!(scene.receive(&late).await, Received::SoftFailed);
    assert!(scene.gaps().await.is_empty(), "nobody could read past a gap that is none");
}

#[tokio::test]
async fn whoever_follows_a_hidden_event_follows_what_it_follows() {
    let mut scene = Scene::new().await;
    let ban = scene.ban().await;
    let beside = scene.said(EVE, &[]);
    assert_eq!(scene.receive(&beside).await, Received::Accepted);
    let hidden = scene.said(TRENT, &[&beside]);
    assert_eq!(scene.receive(&hidden).await, Received::SoftFailed);
    assert_eq!(ends_of(&scene.house, &scene.room).await, [id(&ban), id(&beside)]);
    let after = scene.said(EVE, &[&hidden]);
    assert_eq!(scene.receive(&after).await, Received::Accepted);
    assert_eq!(ends_of(&scene.house, &scene.room).await, [id(&ban), id(&after)]);
}

#[tokio::test]
async fn an_event_of_ours_that_only_others_have_comes_back() {
    let mut scene = Scene::new().await;
    let ours = scene.said("@alice:home.test", &[]);
    let after = scene.said(EVE, &[&ours]);
    assert_eq!(scene.receive(&ours).await, Received::Accepted);
    assert_eq!(scene.receive(&after).await, Received::Accepted);
    assert!(scene.shows(&ours).await);
    assert_eq!(ends_of(&scene.house, &scene.room).await, [id(&after)]);
}

#[tokio::test]
async fn what_a_hidden_event_follows_is_no_end_where_something_followed_it_before_it_came() {
    let mut scene = Scene::new().await;
    let beside = scene.said(EVE, &[]);
    assert_eq!(scene.receive(&beside).await, Received::Accepted);
    let late = scene.said(TRENT, &[&beside]);
    let after = scene.said(EVE, &[&late]);
    assert_eq!(scene.receive_over_gap(&after).await, Received::Accepted);
    let ban = scene.ban().await;
    let ends = ends_of(&scene.house, &scene.room).await;
    assert_eq!(ends, [id(&beside), id(&after), id(&ban)]);
    assert_eq!(scene.receive(&late).await, Received::SoftFailed);
    assert_eq!(ends_of(&scene.house, &scene.room).await, [id(&after), id(&ban)]);
}

#[tokio::test]
async fn what_comes_before_a_hidden_event_that_is_followed_is_no_end() {
    for hidden_first in [true, false] {
        let mut scene = Scene::new().await;
        let ban = scene.ban().await;
        let lost = scene.said(EVE, &[]);
        let hidden = scene.said(TRENT, &[&lost]);
        let after = scene.said(EVE, &[&ban, &hidden]);
        if hidden_first {
            assert_eq!(scene.receive_over_gap(&hidden).await, Received::SoftFailed);
            assert_eq!(scene.receive(&after).await, Received::Accepted);
        } else {
            assert_eq!(scene.receive_over_gap(&after).await, Received::Accepted);
            assert_eq!(scene.receive_over_gap(&hidden).await, Received::SoftFailed);
        }
        assert_eq!(scene.gaps().await, [(id(&after), vec![id(&lost)])]);
        assert_eq!(scene.receive(&lost).await, Received::Accepted);
        assert_eq!(ends_of(&scene.house, &scene.room).await, [id(&after)]);
        assert!(scene.gaps().await.is_empty());
    }
}
