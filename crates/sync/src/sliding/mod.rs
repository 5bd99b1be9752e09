//! Sliding sync (MSC4186): a client is told of the rooms in its windows, over connections that
//! remember what they sent.
//!
//! A request is one pass over one snapshot, as with `/sync`, and shows a room by the same code. What is
//! kept of a connection changes only when a room is sent for the first time, is sent differently, or
//! changes out of sight; a connection at rest costs no write.

mod connection;
mod extensions;
mod known;
mod lists;
mod others;
mod pos;
mod request;
mod response;
mod room;
mod slide;
mod state;
mod wants;

use std::{collections::HashMap, sync::Arc};

use ruma::OwnedRoomId;
use tracing::instrument;
use vestibule_types::{Actor, limits::SYNC_WAIT_MAX};

use self::{
    connection::{Connection, Connections, Name, NewStep, SentRoom},
    known::Known,
    pos::Pos,
    slide::{Ask, Found},
};
pub use self::{
    request::{SlidingError, SlidingRequest},
    response::SlidingResponse,
};
use crate::{
    Sync,
    pass::to_device,
    service::{Inner, stands},
};

/// What is kept in memory for connections.
#[derive(Debug, Default)]
pub(crate) struct Sliding {
    pub(crate) connections: Connections,
    pub(crate) known: Known,
}

impl Sync {
    /// What is new on a connection of the caller's device. Waits for it when there is nothing.
    #[instrument(name = "sync.sliding_sync", skip_all)]
    pub async fn sliding_sync(
        &self,
        actor: &Actor,
        request: SlidingRequest,
    ) -> Result<SlidingResponse, SlidingError> {
        request.check()?;
        let inner = self.inner();
        let clock = &inner.environment.clock;
        // As long as it is held, the device is there.
        let _attendance = inner.rooms.attend(actor, request.presence).await?;
        let timeout = request.timeout.min(SYNC_WAIT_MAX);
        let mut ask = ask(inner, actor, request)?;
        if ask.pos.is_none() || timeout.is_zero() {
            let found = self.slide(&ask).await?;
            return self.answer(&ask, found).await;
        }
        let mut seat = inner.hub.enter(actor.user_id(), clock.monotonic());
        let mut over = clock.sleep(timeout);
        let mut stopping = inner.environment.spawner.stopping();
        loop {
            // The bell first, the snapshot after it: what rings later is not in the snapshot.
            seat.listen();
            let found = self.slide(&ask).await?;
            if !found.response.is_empty() {
                return self.answer(&ask, found).await;
            }
            if found.rooms.is_empty()
                && let Some(pos) = &mut ask.pos
            {
                // There was nothing up to here, so the next pass begins here.
                pos.token.clone_from(&found.token);
            }
            tokio::select! {
                biased;
                () = seat.rung() => ask.now = inner.environment.now(),
                () = &mut over => return self.answer(&ask, found).await,
                () = &mut stopping => return self.answer(&ask, found).await,
            }
        }
    }

    /// One pass, with its future in a box: who waits must not hold it.
    async fn slide(&self, ask: &Ask) -> Result<Found, SlidingError> {
        let ask = ask.clone();
        Box::pin(async {
            // Nobody closes the semaphores.
            let turn = self.inner().turn(ask.pos.is_none()).await;
            let inner = self.shared_inner();
            let (store, actor) = (inner.rooms.store().clone(), ask.actor.clone());
            let passing = Arc::clone(&inner);
            let found = store.read(move |snapshot| {
                stands::<SlidingError>(snapshot, &ask.actor)?;
                slide::run(&passing, snapshot, &ask)?.ok_or(SlidingError::UnknownPos)
            });
            let found = found.await?;
            drop(turn);
            if let Some(has) = found.forget {
                to_device::forget(&inner, &actor, has).await?;
            }
            Ok(found)
        })
        .await
    }

    /// Notes what is about to be sent, and names the position after it.
    async fn answer(&self, ask: &Ask, found: Found) -> Result<SlidingResponse, SlidingError> {
        let Found { mut response, token, before, rooms, .. } = found;
        let now_ms = u64::from(ask.now.get());
        let kept = before.step.filter(|_| rooms.is_empty() && !before.is_due(now_ms));
        let step = match kept {
            Some(step) => step,
            None => self.note(&ask.name, before, (rooms, now_ms)).await?,
        };
        response.pos = Pos { step, token }.to_string();
        Ok(response)
    }

    /// Writes a step of a connection, and says which it is.
    async fn note(
        &self,
        name: &Name,
        before: Connection,
        (rooms, now_ms): (HashMap<OwnedRoomId, SentRoom>, u64),
    ) -> Result<u64, SlidingError> {
        let inner = self.shared_inner();
        let step = NewStep { name: name.clone(), before, rooms, now_ms };
        let step = Arc::new(step);
        let (writing, store) = (Arc::clone(&step), inner.rooms.store());
        let slot = store.slot_of_user(&name.0);
        let row = store.write(slot, move |tx| writing.write(tx)).await?.value;
        inner.sliding.connections.wrote(&step, row);
        Ok(row.0.latest)
    }
}

fn ask(inner: &Inner, actor: &Actor, request: SlidingRequest) -> Result<Ask, SlidingError> {
    let slots = inner.rooms.store().slots();
    let pos = match request.pos.as_deref().filter(|pos| !pos.is_empty()) {
        Some(pos) => Some(Pos::parse(pos, slots).ok_or(SlidingError::UnknownPos)?),
        None => None,
    };
    let to_device = &request.extensions.to_device;
    let has = match to_device.since.as_deref().filter(|since| !since.is_empty()) {
        Some(since) => {
            let known = extensions::parse_letter_token(since);
            Some(known.ok_or(SlidingError::Bad("to_device.since is none of this server"))?)
        }
        None => None,
    };
    let name = connection::name_of(actor, request.name());
    let now = inner.environment.now();
    Ok(Ask { actor: actor.clone(), request: Arc::new(request), name, pos, has, now })
}
