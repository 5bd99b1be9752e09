//! Messages to other servers that must arrive: queued in the transaction that makes them necessary,
//! delivered by the federation sender, each once as far as the receiver can tell.

use ruma::{OwnedServerName, ServerName};
use vestibule_types::limits::{EDUS_EACH_WAITING_MAX, EDUS_NEWEST_WAITING_MAX, EDUS_WAITING_MAX};

use crate::{
    Stamp, Stamped, StorageError, Tx,
    tables::{
        room::{STREAM, StoredNews},
        sender::{EDU_OUT, EDU_OUT_BY_KEY, EDU_OUT_COUNT, StoredEdu},
    },
};

/// Queues a message for each of these servers and wakes the sender. Where `edu.key` is set, a message
/// with that key that still waits is replaced: for what only its newest state counts of.
///
/// A server for which too much waits gets nothing more but what has a key: how many did not is returned.
pub fn queue_edu(
    tx: &mut Tx<'_>,
    servers: impl IntoIterator<Item = OwnedServerName>,
    edu: &StoredEdu,
) -> Result<usize, StorageError> {
    let slot = tx.slot().0;
    let (mut queued, mut full) = (Vec::new(), 0);
    for server in servers {
        let replaced = forget_key(tx, &server, edu.key.as_deref())?;
        let waiting = EDU_OUT_COUNT.get(&tx.fixed(), (&server,))?;
        let waiting_max =
            if edu.key.is_some() { EDUS_NEWEST_WAITING_MAX } else { EDUS_WAITING_MAX };
        // What takes the place of another makes nothing longer.
        if waiting >= waiting_max && !replaced {
            full += 1;
            continue;
        }
        let stamp = tx.next_stamp();
        EDU_OUT.put(tx, (&server, slot, stamp), edu)?;
        if !replaced {
            EDU_OUT_COUNT.add(tx, (&server,), 1)?;
        }
        if let Some(key) = &edu.key {
            EDU_OUT_BY_KEY.put(tx, (&server, key), &Stamped::new(stamp, u64::from(slot)))?;
        }
        queued.push(server);
    }
    if !queued.is_empty() {
        let stamp = tx.next_stamp();
        STREAM.put(tx, (slot, stamp), &StoredNews::Outbox { servers: queued })?;
    }
    Ok(full)
}

/// Queues a message of which each counts, and the newest alone does as well if need be: a server for
/// which little waits gets each of them, and one for which much waits the newest with this key.
pub fn queue_newest(
    tx: &mut Tx<'_>,
    servers: impl IntoIterator<Item = OwnedServerName>,
    edu: &StoredEdu,
    key: &str,
) -> Result<usize, StorageError> {
    let (mut each, mut newest) = (Vec::new(), Vec::new());
    for server in servers {
        let waiting = EDU_OUT_COUNT.get(&tx.fixed(), (&server,))?;
        let much = waiting >= EDUS_EACH_WAITING_MAX;
        if much { newest.push(server) } else { each.push(server) }
    }
    let full = queue_edu(tx, each, edu)?;
    let keyed = StoredEdu { key: Some(key.to_owned()), ..edu.clone() };
    Ok(full + queue_edu(tx, newest, &keyed)?)
}

fn forget_key(
    tx: &mut Tx<'_>,
    server: &ServerName,
    key: Option<&str>,
) -> Result<bool, StorageError> {
    let Some(key) = key else { return Ok(false) };
    let Some(place) = EDU_OUT_BY_KEY.get(tx, (server, key))? else { return Ok(false) };
    EDU_OUT.delete(tx, (server, slot_of(&place), place.stamp))?;
    Ok(true)
}

/// Removes messages that a server has, given by slot and stamp. Those that are not there any more
/// are passed over.
pub fn delivered(
    tx: &mut Tx<'_>,
    server: &ServerName,
    places: &[(u16, Stamp)],
) -> Result<(), StorageError> {
    for (slot, stamp) in places.iter().copied() {
        let Some(edu) = EDU_OUT.get(tx, (server, slot, stamp))? else { continue };
        EDU_OUT.delete(tx, (server, slot, stamp))?;
        EDU_OUT_COUNT.add(tx, (server,), -1)?;
        let Some(key) = &edu.key else { continue };
        let newest = EDU_OUT_BY_KEY.get(tx, (server, key))?;
        if newest.is_some_and(|newest| (slot_of(&newest), newest.stamp) == (slot, stamp)) {
            EDU_OUT_BY_KEY.delete(tx, (server, key))?;
        }
    }
    Ok(())
}

fn slot_of(place: &Stamped<u64>) -> u16 {
    u16::try_from(place.value).unwrap_or_default()
}

#[cfg(test)]
mod tests {
    use ruma::{OwnedServerName, server_name};

    use super::*;
    use crate::{
        CommitMode, Durability, Executor, InlineExecutor, MemoryEngine, SlotNo, Store, StoreOptions,
    };

    fn store() -> Store {
        let options = StoreOptions {
            slots: 1,
            durability: Durability::Os,
            commit: CommitMode::Inline,
            executor: std::sync::Arc::new(InlineExecutor) as std::sync::Arc<dyn Executor>,
        };
        Store::open(MemoryEngine::new(1), options).unwrap()
    }

    fn edu(content: &str, key: Option<&str>) -> StoredEdu {
        StoredEdu {
            edu_type: "m.device_list_update".to_owned(),
            content: content.to_owned(),
            key: key.map(ToOwned::to_owned),
        }
    }

    async fn queue(store: &Store, edu: StoredEdu) {
        let servers: Vec<OwnedServerName> = vec![server_name!("b").to_owned()];
        let write = store
            .write::<_, StorageError, _>(SlotNo(0), move |tx| queue_edu(tx, servers.clone(), &edu));
        assert_eq!(write.await.unwrap().value, 0);
    }

    async fn waiting(store: &Store) -> (Vec<((u16, Stamp), String)>, u64) {
        let read = store.read::<_, StorageError, _>(|snapshot| {
            let rows = EDU_OUT.scan(snapshot, (server_name!("b"),), 10)?;
            let rows = rows.into_iter().map(|((_, slot, at), edu)| ((slot, at), edu.content));
            Ok((rows.collect(), EDU_OUT_COUNT.get(snapshot, (server_name!("b"),))?))
        });
        read.await.unwrap()
    }

    async fn deliver(store: &Store, places: Vec<(u16, Stamp)>) {
        let write = store.write::<_, StorageError, _>(SlotNo(0), move |tx| {
            delivered(tx, server_name!("b"), &places)
        });
        write.await.unwrap();
    }

    #[tokio::test]
    async fn a_message_waits_until_it_was_delivered() {
        let store = store();
        queue(&store, edu("1", None)).await;
        queue(&store, edu("2", None)).await;
        let (rows, count) = waiting(&store).await;
        assert_eq!(rows.iter().map(|row| &*row.1).collect::<Vec<_>>(), ["1", "2"]);
        assert_eq!(count, 2);
        deliver(&store, vec![rows[0].0]).await;
        deliver(&store, vec![rows[0].0]).await;
        let (rows, count) = waiting(&store).await;
        assert_eq!(rows.iter().map(|row| &*row.1).collect::<Vec<_>>(), ["2"]);
        assert_eq!(count, 1);
    }

    #[tokio::test]
    async fn a_later_message_with_the_same_key_takes_the_place_of_the_earlier() {
        let store = store();
        queue(&store, edu("old", Some("device"))).await;
        let (old, _) = waiting(&store).await;
        queue(&store, edu("new", Some("device"))).await;
        let (rows, count) = waiting(&store).await;
        assert_eq!(rows.iter().map(|row| &*row.1).collect::<Vec<_>>(), ["new"]);
        assert_eq!(count, 1);
        deliver(&store, vec![old[0].0]).await;
        assert_eq!(waiting(&store).await.1, 1, "the old one was on its way; the new one waits");
        deliver(&store, vec![rows[0].0]).await;
        assert_eq!(waiting(&store).await, (Vec::new(), 0));
    }
}
