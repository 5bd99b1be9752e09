//! Events of our own users in a room with a policy server: they need its signature before anybody
//! is told of them (server-server API, "Policy Servers").
//!
//! A room's writer never waits for the network. So a piece of work that makes such an event is run,
//! and undone; the policy server is asked for a signature on the event as it was laid out; and the
//! work is run again with the signed event at hand. That event is recorded where it was laid out, by
//! the state there and by the room's current state, as one that another server saw first is.

use std::sync::Arc;

use parking_lot::Mutex;
use ruma::{CanonicalJsonValue, RoomId};
use vestibule_events::{Pdu, is_recommended};
use vestibule_storage::StorageError;
use vestibule_types::limits::RECOMMENDED_EVENTS_MAX;

use super::{AppendError, Appended, Draft};
use crate::{ElsewhereError, PolicyServer, RoomTx, Rooms};

/// What passes between a piece of work on a room and whoever asks the policy server for it.
#[derive(Debug, Default)]
pub(crate) struct Desk {
    /// What came back signed, beside what it was meant as.
    signed: Vec<(Draft, Arc<Pdu>)>,
    /// Events for which there will be no signature and which enter the room all the same.
    unsigned: Vec<Draft>,
    /// The event that the work could not go on without.
    wanted: Option<Wanted>,
}

/// An event that a policy server has to sign.
#[derive(Debug)]
struct Wanted {
    server: PolicyServer,
    draft: Draft,
    pdu: Arc<Pdu>,
}

impl Rooms {
    /// Does a piece of work on a room, as [`Rooms::in_room`] does, and asks the room's policy server
    /// for its signature on the events it makes. It runs once more for each of them.
    ///
    /// Nobody can be kept in a room: somebody who leaves does so without a signature where none is
    /// given. Any other event without one is not made, and what the policy server answered is the
    /// reason.
    pub(crate) async fn in_room_recommended<T, E, F>(
        &self,
        room_id: &RoomId,
        work: F,
    ) -> Result<(T, u64), E>
    where
        F: FnMut(&mut RoomTx<'_, '_>) -> Result<T, E> + Send + 'static,
        T: Send + 'static,
        E: From<StorageError> + From<AppendError> + Send + 'static,
    {
        let (work, desk) = (Arc::new(Mutex::new(work)), Arc::new(Mutex::new(Desk::default())));
        for _ in 0..=RECOMMENDED_EVENTS_MAX {
            let (work, at_work) = (Arc::clone(&work), Arc::clone(&desk));
            let done = self.in_room(room_id, move |room| {
                room.desk = Some(Arc::clone(&at_work));
                at_work.lock().wanted = None;
                let outcome = (work.lock())(room);
                room.desk = None;
                outcome
            });
            let outcome = done.await;
            let wanted = desk.lock().wanted.take();
            let Some(wanted) = wanted.filter(|_| outcome.is_err()) else { return outcome };
            self.settle(wanted, &desk).await?;
        }
        let endless = ElsewhereError::BadAnswer("the policy server's key does not stay".to_owned());
        Err(AppendError::NotRecommended(endless).into())
    }

    /// Asks for the signature on one event.
    async fn settle(&self, wanted: Wanted, desk: &Mutex<Desk>) -> Result<(), AppendError> {
        let Wanted { server, draft, pdu } = wanted;
        match self.recommend(&server, &pdu).await {
            Ok(signed) => desk.lock().signed.push((draft, signed)),
            Err(error) if is_own_leave(&draft) => {
                tracing::debug!(%error, "somebody leaves without the policy server's signature");
                desk.lock().unsigned.push(draft);
            }
            Err(error) => return Err(AppendError::NotRecommended(error)),
        }
        Ok(())
    }

    /// An event of ours with the signature of a room's policy server.
    pub(crate) async fn recommend(
        &self,
        server: &PolicyServer,
        pdu: &Pdu,
    ) -> Result<Arc<Pdu>, ElsewhereError> {
        let signed = self.elsewhere().recommend(server, pdu).await?;
        if is_recommended(&signed, &server.via, &server.ed25519) {
            return Ok(Arc::new(signed));
        }
        let reason = "the policy server's signature is not by the key that the room has for it";
        Err(ElsewhereError::BadAnswer(reason.to_owned()))
    }
}

impl RoomTx<'_, '_> {
    /// The policy server that has to sign this event, if the room uses one. The event that names
    /// the policy server needs no signature.
    pub(crate) fn policy_server_for(
        &self,
        draft: &Draft,
    ) -> Result<Option<PolicyServer>, AppendError> {
        let names_it =
            draft.event_type == "m.room.policy" && draft.state_key.as_deref() == Some("");
        if names_it { Ok(None) } else { Ok(self.view()?.policy_server()?) }
    }

    /// Appends an event that a policy server has to sign, if it did, and says that it is wanted
    /// otherwise. `None` where the event enters the room without a signature.
    pub(super) fn append_recommended(
        &mut self,
        server: PolicyServer,
        draft: &Draft,
    ) -> Result<Option<Appended>, AppendError> {
        let Some(desk) = self.desk.clone() else {
            return Err(AppendError::NotRecommended(ElsewhereError::Alone));
        };
        let signed = {
            let desk = desk.lock();
            if desk.unsigned.contains(draft) {
                return Ok(None);
            }
            let holds = |pdu: &Pdu| is_recommended(pdu, &server.via, &server.ed25519);
            let known = desk.signed.iter().find(|(of, pdu)| of == draft && holds(pdu));
            known.map(|(_, pdu)| Arc::clone(pdu))
        };
        if let Some(pdu) = signed {
            return self.append_laid_out(&pdu).map(Some);
        }
        let place = self.place_for(draft)?;
        let version = self.known()?.version;
        let inner = &self.rooms.inner;
        let builder = self.builder(draft.clone(), &place);
        let pdu = builder.build_and_sign(version, &inner.signing_key, &inner.server_name)?;
        // What the room's rules refuse is nobody else's business.
        self.authorize(&pdu, &place.auth, place.before)?;
        desk.lock().wanted = Some(Wanted { server, draft: draft.clone(), pdu: Arc::new(pdu) });
        Err(AppendError::NotRecommended(ElsewhereError::Unreachable))
    }
}

fn is_own_leave(draft: &Draft) -> bool {
    let leaves = matches!(
        draft.content.get("membership"),
        Some(CanonicalJsonValue::String(membership)) if membership == "leave"
    );
    let own = draft.state_key.as_deref() == Some(draft.sender.as_str());
    leaves && own && draft.event_type == "m.room.member"
}
