//! Following the log: one task that looks at everything once, and starts the tasks of the servers it
//! concerns.

use std::time::Duration;

use ruma::OwnedServerName;
use tokio::sync::broadcast::error::RecvError;
use vestibule_storage::{
    StorageError, outbox,
    tables::sender::{OUTGOING, SEND_TAIL, StoredCursor, StoredOutgoing},
};
use vestibule_types::limits::{
    FLUSH_SERVERS_MAX, OUTGOING_MAX, SEND_FLUSH_EVERY, SEND_RETRY_MIN, SEND_TAIL_COMMITS_MAX,
};

use super::{
    Sender,
    cursor::Cursor,
    dispatch::Dispatch,
    hub::{Flush, News, Settled},
    presence::{Arrival, Present},
    typing::Typists,
    work::{SLOT, Work},
};

/// How long to wait after a failed read or write.
const RETRY: Duration = Duration::from_secs(1);

impl Sender {
    /// Follows the log until the server stops.
    pub(super) async fn follow(self) {
        let mut stopping = self.parts().environment.spawner.stopping();
        let followed = async {
            while let Err(error) = self.load().await {
                warn(&error, "what is to be sent to other servers cannot be read");
                self.parts().environment.clock.sleep(RETRY).await;
            }
            self.run().await;
        };
        tokio::select! {
            biased;
            () = followed => {}
            () = &mut stopping => {}
        }
        if let Err(error) = self.flush().await {
            warn(&error, "what was sent to other servers cannot be noted");
        }
    }

    async fn run(&self) {
        let parts = self.parts();
        let clock = &parts.environment.clock;
        let mut published = parts.store.watch_for(self.servers().concerns());
        let mut recovered = parts.remote.recoveries();
        let (typing, presence) = (parts.rooms.typing(), parts.rooms.presence());
        let mut passing = (Typists::new(typing), Present::new(presence));
        let (mut typed, mut present) = (typing.watch(), presence.watch());
        let (mut flush_at, sends) = (None, presence.config().send);
        loop {
            // Whatever was published before this is in the snapshot read next.
            published.mark_unchanged();
            typed.mark_unchanged();
            present.mark_unchanged();
            if let Err(error) = self.round(&mut passing, &mut flush_at).await {
                warn(&error, "the log cannot be followed for other servers");
                clock.sleep(RETRY).await;
                continue;
            }
            let (typists, told) = &passing;
            let until = [self.hub().next_due(), flush_at, typists.next(), told.next()];
            let until = until.into_iter().flatten().min();
            let pause = until.map(|until| until.saturating_sub(clock.monotonic()));
            tokio::select! {
                // In order, so that a simulation does the same twice.
                biased;
                changed = published.changed() => if changed.is_err() { return },
                changed = typed.changed() => if changed.is_err() { return },
                changed = present.changed(), if sends => if changed.is_err() { return },
                server = recovered.recv() => match server {
                    Ok(server) => self.wake(&server),
                    Err(RecvError::Lagged(_)) => self.start_all(self.hub().due(None)),
                    Err(RecvError::Closed) => return,
                },
                () = self.rung() => {}
                () = clock.sleep(pause.unwrap_or_default()), if pause.is_some() => {}
            }
        }
    }

    /// Everything there is to do now.
    async fn round(
        &self,
        (typists, present): &mut (Typists, Present),
        flush_at: &mut Option<Duration>,
    ) -> Result<(), StorageError> {
        let before = self.hub().tail();
        while !self.hub().tail().covers(&StoredCursor::end_of(&self.parts().store.positions())) {
            let (news, arrivals) = self.news().await?;
            if !(news.lines.is_empty() && news.outbox.is_empty()) {
                self.flush_soon(flush_at);
            }
            self.start_all(self.hub().follow(news));
            self.start_all(present.greet(self, arrivals).await?);
        }
        if self.lags_by(&before) || self.hub().has_settled() {
            self.flush_soon(flush_at);
        }
        self.start_all(typists.tell(self).await?);
        self.start_all(present.tell(self).await?);
        let now = self.parts().environment.clock.monotonic();
        self.start_all(self.hub().due(Some(now)));
        metrics::gauge!("vestibule_federation_servers_waiting")
            .set(u32::try_from(self.hub().behind()).unwrap_or(u32::MAX));
        if flush_at.is_some_and(|at| at <= now) {
            *flush_at = None;
            if self.flush().await? {
                self.flush_soon(flush_at);
            }
        }
        Ok(())
    }

    async fn news(&self) -> Result<(News, Vec<Arrival>), StorageError> {
        let (sender, from) = (self.clone(), self.hub().tail());
        // Lines in memory that concern nobody need no read.
        if let Some(lately) = from.positions().and_then(|from| self.parts().store.lately(&from)) {
            let concerns = self.servers().concerns();
            if !lately.lines.iter().any(concerns) {
                let to = StoredCursor::end_of(&lately.to);
                return Ok((News { to, ..News::default() }, Vec::new()));
            }
        }
        let read = self.parts().store.read(move |snapshot| {
            let parts = sender.parts();
            let servers = sender.servers();
            let dispatch = Dispatch { rooms: &parts.rooms, servers, us: &parts.server_name };
            dispatch.read(snapshot, &from)
        });
        read.await
    }

    fn flush_soon(&self, flush_at: &mut Option<Duration>) {
        let now = self.parts().environment.clock.monotonic();
        flush_at.get_or_insert(now.saturating_add(SEND_FLUSH_EVERY));
    }

    /// Whether so much was looked through since the tail was written that it would be a pity to do
    /// it again.
    fn lags_by(&self, before: &StoredCursor) -> bool {
        let looked: u64 = {
            let now = self.hub().tail();
            let pairs = now.0.iter().zip(before.0.iter().chain(std::iter::repeat(&DEFAULT)));
            pairs.map(|(now, before)| now.commit.saturating_sub(before.commit)).sum()
        };
        let mut unwritten = self.unwritten();
        *unwritten = unwritten.saturating_add(looked);
        *unwritten >= SEND_TAIL_COMMITS_MAX
    }

    /// Begins where an earlier run ended, or, at the very first start, here and now.
    async fn load(&self) -> Result<(), StorageError> {
        let read = self.parts().store.read::<_, StorageError, _>(|snapshot| {
            let tail = SEND_TAIL.get(snapshot, (0,))?;
            let rows = OUTGOING.scan(snapshot, (), OUTGOING_MAX)?;
            Ok((tail, rows.into_iter().map(|((server,), _)| server).collect::<Vec<_>>()))
        });
        let (tail, behind) = read.await?;
        let now = StoredCursor::end_of(&self.parts().store.positions());
        let first = tail.is_none();
        let clock = &self.parts().environment.clock;
        let until = |server: &OwnedServerName| {
            clock.monotonic() + self.parts().remote.retry_after(server).unwrap_or_default()
        };
        let behind = behind.into_iter().map(|server| (server.clone(), until(&server)));
        self.hub().load(tail.unwrap_or(now), behind);
        if first {
            self.write_tail(self.hub().tail()).await?;
        }
        Ok(())
    }

    async fn write_tail(&self, tail: StoredCursor) -> Result<(), StorageError> {
        let write = self
            .parts()
            .store
            .write::<_, StorageError, _>(SLOT, move |tx| SEND_TAIL.put(tx, (0,), &tail));
        write.await.map(drop)
    }

    /// Writes down how far everybody is. Says whether there is more to write.
    pub(super) async fn flush(&self) -> Result<bool, StorageError> {
        let flush = self.hub().to_flush();
        let written = self.write_flush(&flush).await;
        self.start_all(self.hub().flushed(&flush, written.is_ok()));
        written?;
        *self.unwritten() = 0;
        Ok(flush.more)
    }

    /// Whoever does not have everything up to the tail has a row before the tail is written.
    async fn write_flush(&self, flush: &Flush) -> Result<(), StorageError> {
        for chunk in flush.begun.chunks(FLUSH_SERVERS_MAX) {
            self.write_begun(chunk.to_vec()).await?;
        }
        if flush.tail.0.is_empty() {
            return Ok(());
        }
        let (tail, settled) = (flush.tail.clone(), flush.settled.clone());
        let write = self.parts().store.write::<_, StorageError, _>(SLOT, move |tx| {
            SEND_TAIL.put(tx, (0,), &tail)?;
            for (server, Settled { transaction, edus }) in &settled {
                let row = OUTGOING.get(tx, (server,))?;
                if row.is_some_and(|row| row.transaction.map(|it| it.id) == *transaction) {
                    OUTGOING.delete(tx, (server,))?;
                }
                outbox::delivered(tx, server, edus)?;
            }
            Ok(())
        });
        write.await.map(drop)
    }

    async fn write_begun(
        &self,
        begun: Vec<(OwnedServerName, StoredCursor)>,
    ) -> Result<(), StorageError> {
        let write = self.parts().store.write::<_, StorageError, _>(SLOT, move |tx| {
            for (server, cursor) in &begun {
                // A task that wrote its row knows better.
                if OUTGOING.get(tx, (server,))?.is_none() {
                    let row = StoredOutgoing { cursor: cursor.clone(), ..Default::default() };
                    OUTGOING.put(tx, (server,), &row)?;
                }
            }
            Ok(())
        });
        write.await.map(drop)
    }

    pub(super) fn start_all(&self, servers: Vec<OwnedServerName>) {
        for server in servers {
            self.start_task(server);
        }
    }

    fn wake(&self, server: &OwnedServerName) {
        if self.hub().wake(server) {
            self.start_task(server.clone());
        }
    }

    fn start_task(&self, server: OwnedServerName) {
        let sender = self.clone();
        let environment = &self.parts().environment;
        let stopping = environment.spawner.stopping();
        let work = async move {
            tokio::select! {
                biased;
                () = sender.work(&server) => {}
                () = stopping => {}
            }
        };
        environment.spawner.spawn("federation.send", Box::pin(work));
    }

    async fn work(&self, server: &OwnedServerName) {
        let Ok(_turn) = self.turn().await else { return };
        let worked = match Work::begin(self, server).await {
            Ok(mut work) => work.run().await,
            Err(error) => Err(error),
        };
        if let Err(error) = worked {
            warn(&error, "a transaction cannot be prepared");
            let now = self.parts().environment.clock.monotonic();
            self.left_alone(server, now.saturating_add(SEND_RETRY_MIN));
        }
        self.ring();
    }
}

/// Before everything.
const DEFAULT: vestibule_storage::Stamp = vestibule_storage::Stamp { commit: 0, index: 0 };

fn warn(error: &StorageError, what: &str) {
    tracing::warn!(error = error as &dyn std::error::Error, "{what}");
}
