//! Keys of other servers, kept in the database and a part of them in memory.

use std::{collections::BTreeMap, sync::Arc};

use moka::sync::Cache;
use ruma::{OwnedServerName, ServerName};
use vestibule_storage::{
    SlotNo, StorageError, Store,
    tables::server_key::{SERVER_KEYS, SERVER_KEYS_BY_TIME, SERVER_KEYS_KEPT, StoredServerKeys},
};
use vestibule_types::limits::{SERVERS_WITH_KEYS_MAX, SERVERS_WITH_KEYS_READY_MAX};

use super::known::ServerKeys;

pub(super) struct Kept {
    store: Store,
    ready: Cache<OwnedServerName, Arc<ServerKeys>>,
}

impl Kept {
    pub(super) fn new(store: Store) -> Self {
        Self { store, ready: Cache::new(SERVERS_WITH_KEYS_READY_MAX) }
    }

    /// What is known of these servers; those nothing is known of are left out.
    pub(super) async fn of(
        &self,
        servers: Vec<&ServerName>,
    ) -> Result<BTreeMap<OwnedServerName, Arc<ServerKeys>>, StorageError> {
        let mut known = BTreeMap::new();
        let mut missing: Vec<OwnedServerName> = Vec::new();
        for server in servers {
            match self.ready.get(server) {
                Some(keys) => drop(known.insert(server.to_owned(), keys)),
                None => missing.push(server.to_owned()),
            }
        }
        if missing.is_empty() {
            return Ok(known);
        }
        let read = self.store.read(move |read| {
            let rows = SERVER_KEYS.multi_get(read, missing.iter().map(|server| (&**server,)))?;
            Ok::<_, StorageError>(missing.into_iter().zip(rows).collect::<Vec<_>>())
        });
        for (server, row) in read.await? {
            let Some(row) = row else { continue };
            let keys = Arc::new(ServerKeys::from(row));
            self.ready.insert(server.clone(), Arc::clone(&keys));
            known.insert(server, keys);
        }
        Ok(known)
    }

    /// Keeps what a server told, in place of what it told before.
    pub(super) async fn keep(
        &self,
        server: &ServerName,
        keys: ServerKeys,
    ) -> Result<Arc<ServerKeys>, StorageError> {
        let (name, row) = (server.to_owned(), StoredServerKeys::from(&keys));
        let dropped = self.store.write(SlotNo(0), move |tx| {
            let before = SERVER_KEYS.get(tx, (&*name,))?;
            let mut count = SERVER_KEYS_KEPT.get(tx, (0_u8,))?.unwrap_or_default();
            match &before {
                Some(before) => {
                    SERVER_KEYS_BY_TIME.delete(tx, (before.fetched_at, &*name))?;
                }
                None => count += 1,
            }
            let mut dropped = None;
            if count > SERVERS_WITH_KEYS_MAX
                && let Some(((at, oldest), ())) = SERVER_KEYS_BY_TIME.scan(tx, (), 1)?.pop()
            {
                SERVER_KEYS_BY_TIME.delete(tx, (at, &*oldest))?;
                SERVER_KEYS.delete(tx, (&*oldest,))?;
                count -= 1;
                dropped = Some(oldest);
            }
            SERVER_KEYS.put(tx, (&*name,), &row)?;
            SERVER_KEYS_BY_TIME.put(tx, (row.fetched_at, &*name), &())?;
            SERVER_KEYS_KEPT.put(tx, (0_u8,), &count)?;
            Ok::<_, StorageError>(dropped)
        });
        if let Some(dropped) = dropped.await?.value {
            self.ready.invalidate(&dropped);
        }
        let keys = Arc::new(keys);
        self.ready.insert(server.to_owned(), Arc::clone(&keys));
        Ok(keys)
    }
}
