//! The state before an event, with what authorizes it.

use ruma::{EventId, OwnedEventId, RoomId, ServerName};
use vestibule_types::EventNo;

use super::{EventList, ServerReadError, access::event_of};
use crate::Rooms;

/// The state before an event.
#[derive(Debug)]
pub struct StateForServer {
    /// The state events.
    pub state: EventList,
    /// What authorizes them, each after its own auth events.
    pub auth_chain: EventList,
}

/// The ids of the state before an event.
#[derive(Debug)]
pub struct StateIdsForServer {
    /// The state events.
    pub state: Vec<OwnedEventId>,
    /// What authorizes them, each after its own auth events.
    pub auth_chain: Vec<OwnedEventId>,
}

impl Rooms {
    /// The state before an event, for a server that is in the room or saw the event. Soft-failed and
    /// rejected events have a state before them as others do; an outlier has none that is known.
    pub async fn state_for_server(
        &self,
        server: &ServerName,
        room_id: &RoomId,
        event_id: &EventId,
    ) -> Result<StateForServer, ServerReadError> {
        let rooms = self.clone();
        self.read_state_before(server, (room_id, event_id), move |view, (state, auth_chain)| {
            Ok(StateForServer {
                state: EventList::new(&rooms, view.room, state),
                auth_chain: EventList::new(&rooms, view.room, auth_chain),
            })
        })
        .await
    }

    /// The same as ids.
    pub async fn state_ids_for_server(
        &self,
        server: &ServerName,
        room_id: &RoomId,
        event_id: &EventId,
    ) -> Result<StateIdsForServer, ServerReadError> {
        self.read_state_before(server, (room_id, event_id), |view, (state, auth_chain)| {
            Ok(StateIdsForServer {
                state: view.ids_of(&state)?,
                auth_chain: view.ids_of(&auth_chain)?,
            })
        })
        .await
    }

    async fn read_state_before<T, F>(
        &self,
        server: &ServerName,
        (room_id, event_id): (&RoomId, &EventId),
        show: F,
    ) -> Result<T, ServerReadError>
    where
        F: FnOnce(
                &crate::RoomView<'_, &vestibule_storage::Snapshot<'_>>,
                (Vec<EventNo>, Vec<EventNo>),
            ) -> Result<T, ServerReadError>
            + Send
            + 'static,
        T: Send + 'static,
    {
        let event_id = event_id.to_owned();
        // A whole state is read at once; too many at a time would take all memory and threads.
        let turn = self.inner.state_reads.acquire().await;
        let read = self.read_for_server(server, room_id, move |view, mut viewer| {
            let event = event_of(view, &mut viewer, &event_id)?;
            let around = view.around(event.no)?.ok_or(ServerReadError::NotFound)?;
            let state = view.full_state(around.value.before, None)?;
            let state: Vec<EventNo> = state.into_values().collect();
            let auth_chain = view.auth_chain(state.iter().copied())?;
            show(view, (state, auth_chain))
        });
        let read = read.await;
        drop(turn);
        read
    }
}
