//! Adding an identifier to an account.

use std::net::IpAddr;

use tracing::instrument;
use vestibule_storage::{StorageError, tables::contact::StoredContact};
use vestibule_types::Actor;

use super::{ValidationPurpose, consume, put_contact, rows::NotPut};
use crate::{
    Accounts,
    uia::{Attempt, Question, UiaError},
};

/// An address for an account.
#[derive(Clone, Debug)]
pub struct AddContact {
    /// The session in which it was proven.
    pub sid: String,
    /// What the client made up for that session.
    pub client_secret: String,
    /// The interactive authentication so far.
    pub attempt: Option<Attempt>,
    /// Where the request comes from.
    pub peer: IpAddr,
}

/// Why an address was not added.
#[derive(Debug, thiserror::Error)]
pub enum AddContactError {
    /// This server sends no mail.
    #[error("this server does not support e-mail addresses")]
    NotSupported,
    /// Nothing was proven in that session.
    #[error("the address is not proven: open the link in the mail first")]
    NotProven,
    /// It is another account's.
    #[error("this address is in use")]
    InUse,
    /// The account has as many as it may.
    #[error("this account has as many addresses as it may")]
    TooMany,
    /// There is more to prove, or the proof could not be checked.
    #[error(transparent)]
    Uia(#[from] UiaError),
    /// It could not be stored.
    #[error("could not store the address")]
    Storage(#[from] StorageError),
}

impl From<NotPut> for AddContactError {
    fn from(not_put: NotPut) -> Self {
        match not_put {
            NotPut::InUse => Self::InUse,
            NotPut::TooMany => Self::TooMany,
        }
    }
}

impl Accounts {
    /// Adds an address that was proven to the caller's account.
    #[instrument(name = "accounts.contact.add_contact", skip_all)]
    pub async fn add_contact(
        &self,
        actor: &Actor,
        command: AddContact,
    ) -> Result<(), AddContactError> {
        if !self.has_email() {
            return Err(AddContactError::NotSupported);
        }
        let AddContact { sid, client_secret, attempt, peer } = command;
        let flows = self.owner_flows(actor.user_id()).await?;
        let question = Question::of_owner("add contact", flows, actor.user_id(), peer);
        // Asked first: a wrong session costs nobody a proof, and a proof is good for one address.
        let proven = self.proven_email(&sid, &client_secret, ValidationPurpose::Add).await?;
        let proven = proven.ok_or(AddContactError::NotProven)?;
        self.authenticate(&question, attempt).await?;
        let (user, now) = (actor.user_id().to_owned(), self.0.now_ms());
        self.0
            .write(actor.user_id(), move |tx| {
                if !consume(tx, &proven, now)? {
                    return Err(AddContactError::NotProven);
                }
                let row = StoredContact { validated_at: proven.validated_at, added_at: now };
                Ok(put_contact(tx, &user, &proven.address, row)??)
            })
            .await
    }
}
