//! What waits for a dehydrated device (MSC3814). Unlike a sync, reading it removes nothing: whoever
//! breaks off, or is logged out meanwhile, leaves all of it to the next who logs in.

use ruma::DeviceId;
use tracing::instrument;
use vestibule_accounts::dehydrated::dehydrated_device;
use vestibule_storage::{Stamp, StorageError};
use vestibule_types::{Actor, limits::TO_DEVICE_PER_SYNC_MAX};

use crate::{RawEvent, Sync, pass::to_device::waiting, token};

/// Messages for a dehydrated device, oldest first.
#[derive(Debug)]
pub struct DehydratedEvents {
    /// The messages.
    pub events: Vec<RawEvent>,
    /// From where to read on.
    pub next_batch: String,
    /// Whether there may be more.
    pub more: bool,
}

/// Why no messages are told.
#[derive(Debug, thiserror::Error)]
pub enum DehydratedEventsError {
    /// It is not the caller's dehydrated device.
    #[error("this is not your dehydrated device")]
    NotDehydrated,
    /// The token is none of ours.
    #[error("the token is not one of this server's")]
    BadToken,
    /// They could not be read.
    #[error("could not read the messages")]
    Storage(#[from] StorageError),
}

impl Sync {
    /// The next messages for the caller's dehydrated device, from the first or from a token on.
    #[instrument(name = "sync.dehydrated.events", skip_all)]
    pub async fn dehydrated_events(
        &self,
        actor: &Actor,
        device_id: &DeviceId,
        from: Option<&str>,
    ) -> Result<DehydratedEvents, DehydratedEventsError> {
        let from = from.map(|text| read_token(text).ok_or(DehydratedEventsError::BadToken));
        let from = from.transpose()?.unwrap_or_default();
        let (user, device) = (actor.user_id().to_owned(), device_id.to_owned());
        let store = self.inner().rooms.store();
        let own_slot = store.slot_of_user(&user);
        store
            .read(move |read| {
                let from = token::letters_at_most(from, &read.positions()?, own_slot);
                let own = dehydrated_device(read, &user)?;
                if own.is_none_or(|own| own.device_id != device) {
                    return Err(DehydratedEventsError::NotDehydrated);
                }
                let place = (&*user, &*device);
                let (events, reaches) = waiting(read, place, from, TO_DEVICE_PER_SYNC_MAX)?;
                let more = !waiting(read, place, reaches, 1)?.0.is_empty();
                Ok(DehydratedEvents { events, next_batch: write_token(reaches), more })
            })
            .await
    }
}

fn write_token(reaches: Stamp) -> String {
    format!("d{}_{}", reaches.commit, reaches.index)
}

fn read_token(text: &str) -> Option<Stamp> {
    let (commit, index) = text.strip_prefix('d')?.split_once('_')?;
    let index = u16::try_from(token::number(index)?).ok()?;
    Some(Stamp { commit: token::number(commit)?, index })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_token_comes_back_as_it_was_given_out_and_others_do_not() {
        let stamp = Stamp { commit: u64::MAX, index: u16::MAX };
        assert_eq!(read_token(&write_token(stamp)), Some(stamp));
        for text in ["", "d", "d1", "d1_", "d_1", "d1_65536", "d+1_1", "s1_t2_d1_1", "d1_1 "] {
            assert_eq!(read_token(text), None, "{text}");
        }
    }
}
