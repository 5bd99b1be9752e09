//! Opening the link of a mail.

use std::{net::IpAddr, time::Duration};

use tracing::instrument;
use vestibule_storage::{SlotNo, StorageError, Tx};

use super::{
    ValidationPurpose,
    address::web_host,
    session::{live, renew},
};
use crate::{Accounts, token};

/// Why a link does not count.
#[derive(Debug, thiserror::Error)]
pub enum ConfirmEmailError {
    /// It is too old, was replaced by a newer one, or never was.
    #[error("this link is not good any more")]
    Unknown,
    /// Too many links were tried.
    #[error("too many attempts")]
    Limited(Duration),
    /// The session could not be stored.
    #[error("could not store the session")]
    Storage(#[from] StorageError),
}

/// What the reader of a mail is asked to allow.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct EmailQuestion {
    /// What it is for.
    pub purpose: ValidationPurpose,
    /// The address.
    pub address: String,
}

impl Accounts {
    /// What the link of a mail allows, for whoever opens it. Reading it allows nothing.
    #[instrument(name = "accounts.contact.email_question", skip_all)]
    pub async fn email_question(
        &self,
        sid: &str,
        token: &str,
        peer: IpAddr,
    ) -> Result<EmailQuestion, ConfirmEmailError> {
        self.charge_lookup(peer).map_err(ConfirmEmailError::Limited)?;
        let (sid, token, now) = (sid.to_owned(), token::digest(token), self.0.now_ms());
        self.0
            .store
            .read(move |read| {
                let row = live(read, &sid, now)?.filter(|row| row.token == Some(token));
                let row = row.ok_or(ConfirmEmailError::Unknown)?;
                Ok(EmailQuestion { purpose: row.purpose, address: row.address })
            })
            .await
    }

    /// Notes that whoever has the mail of a session allows what it asks for. Returns where the person
    /// wanted to be afterwards, if the operator lets people be sent there. Once more is no mistake.
    #[instrument(name = "accounts.contact.confirm_email", skip_all)]
    pub async fn confirm_email(
        &self,
        sid: &str,
        token: &str,
        peer: IpAddr,
    ) -> Result<Option<String>, ConfirmEmailError> {
        self.charge_lookup(peer).map_err(ConfirmEmailError::Limited)?;
        let email = self.0.config.email.as_ref().ok_or(ConfirmEmailError::Unknown)?;
        let (sid, token, now) = (sid.to_owned(), token::digest(token), self.0.now_ms());
        let next = self
            .0
            .store
            .write(SlotNo(0), move |tx: &mut Tx<'_>| {
                let before = live(tx, &sid, now)?.ok_or(ConfirmEmailError::Unknown)?;
                if before.token != Some(token) {
                    return Err(ConfirmEmailError::Unknown);
                }
                let mut after = before.clone();
                after.validated_at = before.validated_at.or(Some(now));
                renew(tx, &sid, (&before, &after))?;
                Ok(after.next_link)
            })
            .await?
            .value;
        let trusted = |host: &str| email.next_link_hosts.iter().any(|it| it == host);
        Ok(next.filter(|link| web_host(link).is_some_and(trusted)))
    }
}
