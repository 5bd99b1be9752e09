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
    servers_max: u64,
}

impl Kept {
    pub(super) fn new(store: Store) -> Self {
        Self::with_room_for(store, SERVERS_WITH_KEYS_MAX)
    }

    fn with_room_for(store: Store, servers_max: u64) -> Self {
        Self { store, ready: Cache::new(SERVERS_WITH_KEYS_READY_MAX), servers_max }
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
        let servers_max = self.servers_max;
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
            if count > servers_max
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

#[cfg(test)]
mod tests {
    use ruma::server_name;
    use vestibule_testkit::memory_store;

    use super::*;

    fn keys(fetched_at: u64) -> ServerKeys {
        ServerKeys { fetched_at, answer: b"{}".to_vec(), ..ServerKeys::default() }
    }

    async fn fetched_at(kept: &Kept, server: &ServerName) -> Option<u64> {
        kept.of(vec![server]).await.unwrap().remove(server).map(|keys| keys.fetched_at)
    }

    #[tokio::test]
    async fn keys_outlive_the_process_and_a_new_answer_takes_the_place_of_the_old() {
        for slots in [1, 3] {
            let store = memory_store(slots);
            let kept = Kept::new(store.clone());
            let server = server_name!("a.example");
            kept.keep(server, keys(1)).await.unwrap();
            kept.keep(server, keys(2)).await.unwrap();
            assert_eq!(fetched_at(&kept, server).await, Some(2));
            assert_eq!(fetched_at(&Kept::new(store.clone()), server).await, Some(2));
            let rows = store.read(|read| SERVER_KEYS_BY_TIME.scan(read, (), 9)).await.unwrap();
            assert_eq!(rows, [((2, server.to_owned()), ())]);
        }
    }

    #[tokio::test]
    async fn the_server_with_the_oldest_answer_makes_room() {
        let store = memory_store(1);
        let kept = Kept::with_room_for(store.clone(), 2);
        let [a, b, c] = ["a.example", "b.example", "c.example"]
            .map(|name| <&ServerName>::try_from(name).unwrap());
        kept.keep(a, keys(1)).await.unwrap();
        kept.keep(b, keys(2)).await.unwrap();
        kept.keep(a, keys(3)).await.unwrap();
        kept.keep(c, keys(4)).await.unwrap();
        let found = [a, b, c].map(|server| fetched_at(&kept, server));
        let found = futures_util::future::join_all(found).await;
        assert_eq!(found, [Some(3), None, Some(4)]);
        let again = Kept::new(store);
        assert_eq!(fetched_at(&again, b).await, None, "nor is it in the database");
    }
}
