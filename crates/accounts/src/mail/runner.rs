//! Sending what waits.

use std::time::Duration;

use tracing::{error, warn};
use vestibule_storage::{
    SlotNo, StorageError,
    tables::contact::{MAIL_BY_DUE, StoredMail},
};

use super::{
    Letter, Post, PostError,
    queue::{MailKey, due, put_off, remove},
};
use crate::Accounts;

/// Mail taken from the table at once.
const AT_ONCE: usize = 16;
/// The longest pause: a clock that was set forward is noticed.
const LOOK_LATEST: Duration = Duration::from_mins(1);
/// The first wait after a failure; it doubles each time.
const RETRY_FIRST_MS: u64 = 5_000;
/// The longest wait after a failure.
const RETRY_LAST_MS: u64 = 600_000;

impl Accounts {
    /// Sends mail in the background until the server stops.
    pub(crate) fn start_mail(&self) {
        let accounts = self.clone();
        let environment = self.0.environment.clone();
        let stopping = environment.spawner.stopping();
        let spawner = environment.spawner.clone();
        let work = async move {
            loop {
                let pause = match accounts.send_waiting_mail().await {
                    Ok(next) => next.map_or(LOOK_LATEST, |wait| wait.min(LOOK_LATEST)),
                    Err(cause) => {
                        warn!(%cause, "the mail that waits cannot be read");
                        LOOK_LATEST
                    }
                };
                tokio::select! {
                    biased;
                    () = environment.clock.sleep(pause) => {}
                    () = accounts.0.mail_bell.notified() => {}
                }
            }
        };
        spawner.spawn(
            "accounts.mail",
            Box::pin(async move {
                tokio::select! {
                    biased;
                    () = work => {}
                    () = stopping => {}
                }
            }),
        );
    }

    /// Sends everything that is due, and says how long there is nothing more.
    pub async fn send_waiting_mail(&self) -> Result<Option<Duration>, StorageError> {
        let Some(post) = self.0.post.get() else { return Ok(None) };
        loop {
            let now = self.0.now_ms();
            let rows = self
                .0
                .store
                .read(move |read| MAIL_BY_DUE.scan_with(read, due(now, AT_ONCE)))
                .await?;
            let full = rows.len() == AT_ONCE;
            for (key, mail) in rows {
                self.send_one(&**post, key, mail).await?;
            }
            if !full {
                break;
            }
        }
        let next = self.0.store.read(|read| MAIL_BY_DUE.scan(read, (), 1)).await?;
        let next = next.first().map(|((due, ..), _)| due.saturating_sub(self.0.now_ms()));
        Ok(next.map(Duration::from_millis))
    }

    async fn send_one(
        &self,
        post: &dyn Post,
        key: MailKey,
        mail: StoredMail,
    ) -> Result<(), StorageError> {
        let StoredMail { to, subject, text, attempts, expires_at } = mail;
        if expires_at <= self.0.now_ms() {
            metrics::counter!("vestibule_mail_total", "outcome" => "late").increment(1);
            return self.write_mail(move |tx| remove(tx, key)).await;
        }
        let sent = post.send(&Letter { to, subject, text }).await;
        let outcome = match &sent {
            Ok(()) => "sent",
            Err(PostError::Later(_)) => "put_off",
            Err(PostError::Never(_)) => "refused",
        };
        metrics::counter!("vestibule_mail_total", "outcome" => outcome).increment(1);
        match sent {
            Ok(()) => self.write_mail(move |tx| remove(tx, key)).await,
            Err(PostError::Never(cause)) => {
                error!(cause = &*cause as &dyn std::error::Error, "a mail cannot be sent");
                self.write_mail(move |tx| remove(tx, key)).await
            }
            Err(PostError::Later(cause)) => {
                let wait = back_off(attempts);
                warn!(cause = &*cause as &dyn std::error::Error, wait, "a mail has to wait");
                let due = self.0.now_ms().saturating_add(wait);
                self.write_mail(move |tx| put_off(tx, key, due)).await
            }
        }
    }

    async fn write_mail<F>(&self, closure: F) -> Result<(), StorageError>
    where
        F: FnMut(&mut vestibule_storage::Tx<'_>) -> Result<(), StorageError> + Send + 'static,
    {
        self.0.store.write(SlotNo(0), closure).await.map(drop)
    }
}

fn back_off(attempts: u32) -> u64 {
    RETRY_FIRST_MS.saturating_mul(1 << attempts.min(20)).min(RETRY_LAST_MS)
}
