//! Saying something to everybody: a durable job that goes through the accounts page by page.
//!
//! A page that is done puts the next one in line. Whoever was told of a page before a crash is not told again: a
//! notice is sent to a user once.

use std::error::Error;

use ruma::OwnedUserId;
use serde::{Deserialize, Serialize};
use tracing::{info, warn};
use vestibule_storage::{Scan, SlotNo, StorageError, jobs, tables::account::ACCOUNT_BY_ID};
use vestibule_types::limits::SERVER_NOTICES_AT_ONCE;

use super::{ServerNotice, ServerNoticeError};
use crate::Rooms;

/// Say something to every user.
pub(crate) const NOTICE_TO_ALL: &str = "server_notice";

/// The payload of [`NOTICE_TO_ALL`], as JSON.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub(crate) struct NoticeToAll {
    /// Which notice this is, so that nobody gets it twice.
    id: String,
    /// What is to be said.
    notice: ServerNotice,
    /// Everybody up to this one was told.
    after: Option<OwnedUserId>,
}

impl Rooms {
    /// Says something to every user of this server, guests excepted, in the background and across restarts.
    pub async fn send_notice_to_all(&self, notice: ServerNotice) -> Result<(), ServerNoticeError> {
        notice.check()?;
        let id = self.inner.env.random_text(b"abcdefghijklmnopqrstuvwxyz0123456789", 16);
        self.line_up(NoticeToAll { id, notice, after: None }).await?;
        Ok(())
    }

    async fn line_up(&self, page: NoticeToAll) -> Result<(), StorageError> {
        let payload = serde_json::to_vec(&page)
            .map_err(|error| StorageError::corrupt("server_notice", error))?;
        let now = self.inner.env.now_ms();
        let lined_up = self
            .inner
            .store
            .write(SlotNo(0), move |tx| jobs::enqueue(tx, NOTICE_TO_ALL, payload.clone(), now));
        lined_up.await?;
        self.inner.job_bell.notify_one();
        Ok(())
    }

    /// One page of a notice to everybody.
    pub(crate) async fn notice_page(&self, page: &NoticeToAll) -> Result<(), StorageError> {
        let after = page.after.clone();
        let users = self
            .inner
            .store
            .read(move |snapshot| {
                let scan = Scan::prefix(()).limit(SERVER_NOTICES_AT_ONCE);
                let scan = match &after {
                    Some(after) => scan.after((after,)),
                    None => scan,
                };
                let rows = ACCOUNT_BY_ID.scan_with(snapshot, scan)?;
                Ok(rows.into_iter().map(|((user,), _)| user).collect::<Vec<_>>())
            })
            .await?;
        for user in &users {
            match self.send_notice_once(user, &page.notice, &page.id).await {
                Ok(_) | Err(ServerNoticeError::UnknownUser | ServerNoticeError::Guest) => {}
                Err(ServerNoticeError::Unwanted) => info!("somebody takes no notices"),
                Err(error) => {
                    if let Some(failed) = storage_failure(&error) {
                        return Err(failed);
                    }
                    warn!(error = &error as &dyn Error, "a user gets no notice");
                }
            }
        }
        match users.last() {
            Some(last) if users.len() == SERVER_NOTICES_AT_ONCE => {
                self.line_up(NoticeToAll { after: Some(last.clone()), ..page.clone() }).await
            }
            _ => Ok(()),
        }
    }
}

/// The failure of the database behind an error, if that is what it is: then the page is tried again. Anything else
/// is about one user, and must not keep the others waiting.
fn storage_failure(error: &ServerNoticeError) -> Option<StorageError> {
    let mut cause: Option<&dyn Error> = Some(error);
    while let Some(error) = cause {
        if let Some(failed) = error.downcast_ref::<StorageError>() {
            return Some(failed.clone());
        }
        cause = error.source();
    }
    None
}
