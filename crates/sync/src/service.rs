//! The service: one pass, and waiting for the next.

use std::{fmt, sync::Arc};

use tokio::sync::{Semaphore, SemaphorePermit};
use tracing::instrument;
use vestibule_accounts::{SessionEnd, session_end};
use vestibule_push::Unread;
use vestibule_rooms::Rooms;
use vestibule_storage::{Read, Snapshot, StorageError};
use vestibule_types::{
    Actor, Environment,
    limits::{RENDERINGS_AWAITED_MAX, SYNC_PASSES_MAX, SYNC_WAIT_MAX, SYNC_WHOLE_PASSES_MAX},
};

use crate::{
    DeviceLists, SyncError, SyncRequest, SyncResponse, SyncToken,
    filters::Filters,
    glance::{Glanced, glance},
    hub::Hub,
    members::ShownMembers,
    pass::{self, Query},
    presence,
    shared::{Lack, ReceiptsKey, Shared, Turn},
    sliding::Sliding,
    tail,
};

/// What [`Sync`] is made of.
#[derive(Debug)]
pub struct SyncParts {
    /// The rooms, and the store under them.
    pub rooms: Rooms,
    /// What users have not read.
    pub unread: Unread,
    /// Time, randomness, spawning.
    pub environment: Environment,
}

/// Tells clients what is new. Cloning is cheap.
#[derive(Clone)]
pub struct Sync {
    inner: Arc<Inner>,
}

pub(crate) struct Inner {
    pub(crate) rooms: Rooms,
    pub(crate) hub: Arc<Hub>,
    pub(crate) shown: ShownMembers,
    pub(crate) unread: Unread,
    pub(crate) shared: Shared,
    pub(crate) sliding: Sliding,
    /// Turns for looking for news, and for showing everything.
    turns: [Semaphore; 2],
    pub(crate) environment: Environment,
    pub(crate) filters: Filters,
}

impl fmt::Debug for Sync {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Sync").finish_non_exhaustive()
    }
}

impl Inner {
    /// A turn to look for news, or to show everything.
    pub(crate) async fn turn(&self, whole: bool) -> Option<SemaphorePermit<'_>> {
        let [news, everything] = &self.turns;
        // Nobody closes the semaphores.
        if whole { everything } else { news }.acquire().await.ok()
    }
}

impl Sync {
    pub(crate) fn inner(&self) -> &Inner {
        &self.inner
    }

    pub(crate) fn shared_inner(&self) -> Arc<Inner> {
        Arc::clone(&self.inner)
    }

    /// The service over the rooms.
    #[must_use]
    pub fn new(parts: SyncParts) -> Self {
        let hub = Arc::new(Hub::new(parts.rooms.store().positions()));
        Self {
            inner: Arc::new(Inner {
                rooms: parts.rooms,
                hub,
                shown: ShownMembers::default(),
                unread: parts.unread,
                shared: Shared::default(),
                sliding: Sliding::default(),
                turns: [SYNC_PASSES_MAX, SYNC_WHOLE_PASSES_MAX].map(Semaphore::new),
                environment: parts.environment,
                filters: Filters::default(),
            }),
        }
    }

    /// Begins to follow the log. Without it nobody who waits is ever woken.
    pub fn start(&self) {
        let inner = &self.inner;
        let follow =
            tail::follow(inner.hub.clone(), inner.rooms.clone(), inner.environment.clone());
        let spawner = &inner.environment.spawner;
        spawner.spawn("sync.tail", Box::pin(follow));
        if inner.rooms.presence().config().enabled {
            let (hub, rooms) = (inner.hub.clone(), inner.rooms.clone());
            let follow = presence::follow(hub, rooms, inner.environment.clone());
            spawner.spawn("sync.presence", Box::pin(follow));
        }
    }

    /// What is new for the caller since their token. Waits for it when there is nothing.
    #[instrument(name = "sync.sync", skip_all)]
    pub async fn sync(
        &self,
        actor: &Actor,
        request: SyncRequest,
    ) -> Result<SyncResponse, SyncError> {
        let inner = &self.inner;
        let clock = &inner.environment.clock;
        let since = self.since(request.since.as_deref())?;
        // As long as it is held, the device is there.
        let _attendance = inner.rooms.attend(actor, request.presence).await?;
        let waits = since.is_some() && !request.full_state && !request.timeout.is_zero();
        let mut query = Query {
            actor: actor.clone(),
            filter: self.filter(actor, request.filter).await?,
            since,
            full_state: request.full_state,
            use_state_after: request.use_state_after,
            now: inner.environment.now(),
        };
        if !waits {
            // What was committed when they asked is what they want to see.
            let all_heard = inner.hub.tail() == inner.rooms.store().positions();
            return if all_heard {
                Box::pin(self.look(&query)).await
            } else {
                self.pass(query).await
            };
        }

        let mut seat = inner.hub.enter(actor.user_id(), clock.monotonic());
        let mut over = clock.sleep(request.timeout.min(SYNC_WAIT_MAX));
        let mut stopping = inner.environment.spawner.stopping();
        loop {
            // The bell first, the snapshot after it: what rings later is not in the snapshot.
            seat.listen();
            // In a box: who waits must not hold it.
            let response = Box::pin(self.look(&query)).await?;
            if !response.is_empty() {
                return Ok(response);
            }
            // There was nothing up to here, so the next pass begins here.
            query.since = SyncToken::parse(&response.next_batch, inner.rooms.store().slots());
            drop(response);
            let next_batch =
                |query: &Query| query.since.as_ref().map(ToString::to_string).unwrap_or_default();
            tokio::select! {
                biased;
                () = seat.rung() => query.now = inner.environment.now(),
                () = &mut over => {
                    return Ok(SyncResponse { next_batch: next_batch(&query), ..Default::default() });
                }
                () = &mut stopping => {
                    return Ok(SyncResponse { next_batch: next_batch(&query), ..Default::default() });
                }
            }
        }
    }

    /// Whose devices changed since a token, and whose need not be followed any more.
    #[instrument(name = "sync.key_changes", skip_all)]
    pub async fn key_changes(&self, actor: &Actor, from: &str) -> Result<DeviceLists, SyncError> {
        let since = self.since(Some(from))?.ok_or(SyncError::BadToken)?;
        let query = Query {
            actor: actor.clone(),
            filter: Arc::default(),
            since: Some(since),
            full_state: false,
            use_state_after: false,
            now: self.inner.environment.now(),
        };
        let _turn = self.inner.turn(false).await;
        let (inner, store) = (Arc::clone(&self.inner), self.inner.rooms.store());
        store.read(move |snapshot| Ok(pass::key_changes(&inner, snapshot, &query)?)).await
    }

    /// What is known from memory, or one pass. Of many who lack the same, one goes first.
    async fn look(&self, query: &Query) -> Result<SyncResponse, SyncError> {
        // What the first makes of it may be of no use for others, above all when it is their own.
        for _ in 0..RENDERINGS_AWAITED_MAX {
            let lacks = match glance(&self.inner, query) {
                Some(Glanced::Told(response)) => return Ok(*response),
                Some(Glanced::Lacks(lack)) => lack,
                None => break,
            };
            match (self.inner.shared.turn(lacks), lacks) {
                (Turn::Own(_rendering), Lack::Receipts(key)) => self.render_receipts(key).await?,
                (Turn::Own(_rendering), Lack::Stretch(_)) => {
                    return self.pass(query.clone()).await;
                }
                // It ends when they are done, whatever became of it.
                (Turn::Others(mut theirs), _) => while theirs.changed().await.is_ok() {},
            }
        }
        match glance(&self.inner, query) {
            Some(Glanced::Told(response)) => Ok(*response),
            _ => self.pass(query.clone()).await,
        }
    }

    /// Renders receipts for everybody who is about to be shown them.
    async fn render_receipts(&self, key: ReceiptsKey) -> Result<(), StorageError> {
        let _turn = self.inner.turn(false).await;
        let read = move |snapshot: &Snapshot<'_>| pass::ephemeral::render_receipts(snapshot, key);
        if let Some(rendered) = self.inner.rooms.store().read(read).await? {
            self.inner.shared.put_receipts(key, rendered);
        }
        Ok(())
    }

    /// One pass, with its future in a box: who waits must not hold it.
    async fn pass(&self, query: Query) -> Result<SyncResponse, SyncError> {
        Box::pin(async {
            let turn = self.inner.turn(query.since.is_none() || query.full_state).await;
            let (inner, actor) = (Arc::clone(&self.inner), query.actor.clone());
            let store = inner.rooms.store().clone();
            let response = store.read::<SyncResponse, SyncError, _>(move |snapshot| {
                stands::<SyncError>(snapshot, &query.actor)?;
                Ok(pass::run(&inner, snapshot, &query)?)
            });
            let response = response.await?;
            drop(turn);
            if let Some(has) = response.acknowledged {
                pass::to_device::forget(&self.inner, &actor, has).await?;
            }
            Ok(response)
        })
        .await
    }

    fn since(&self, text: Option<&str>) -> Result<Option<SyncToken>, SyncError> {
        let Some(text) = text.filter(|text| !text.is_empty()) else { return Ok(None) };
        let store = self.inner.rooms.store();
        let token = SyncToken::parse(text, store.slots()).ok_or(SyncError::BadToken)?;
        Ok(Some(token))
    }
}

/// Refuses who was logged out or locked since they asked: nobody waits on for a session that ended.
pub(crate) fn stands<E: From<SessionEnd> + From<StorageError>>(
    read: &impl Read,
    actor: &Actor,
) -> Result<(), E> {
    match session_end(read, actor)? {
        Some(end) => Err(end.into()),
        None => Ok(()),
    }
}
