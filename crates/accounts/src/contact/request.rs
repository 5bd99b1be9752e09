//! `requestToken`: beginning to prove to have an e-mail address.

use std::{net::IpAddr, time::Duration};

use tracing::instrument;
use vestibule_storage::{
    SlotNo, StorageError, Tx,
    tables::{
        account::TokenDigest,
        contact::{StoredValidation, VALIDATION_BY_CLIENT},
    },
};

use super::{
    ValidationPurpose,
    address::{canonical_email, web_host},
    letter, owner,
    session::{begin, client_digest, live, renew},
};
use crate::{Accounts, config::EmailConfig, mail, service::counted_address, token};

/// A wish to prove to have an e-mail address.
#[derive(Clone, Debug)]
pub struct RequestValidation {
    /// What for.
    pub purpose: ValidationPurpose,
    /// What the client made up to name this attempt.
    pub client_secret: String,
    /// The address.
    pub email: String,
    /// Counts the mails the client wants: the same number again sends nothing.
    pub send_attempt: u64,
    /// Where the person wants to be afterwards.
    pub next_link: Option<String>,
    /// Where the request comes from.
    pub peer: IpAddr,
}

/// Why no mail is sent.
#[derive(Debug, thiserror::Error)]
pub enum RequestValidationError {
    /// This server sends no mail.
    #[error("this server does not support e-mail addresses")]
    NotSupported,
    /// It is no address.
    #[error("this is no e-mail address")]
    Address,
    /// It is no address of the web.
    #[error("next_link is no http or https address")]
    NextLink,
    /// Too much mail was asked for.
    #[error("too much mail was asked for")]
    Limited(Duration),
    /// Too much mail waits to be sent.
    #[error("too much mail waits to be sent")]
    Busy,
    /// The session could not be stored.
    #[error("could not store the session")]
    Storage(#[from] StorageError),
}

/// Everything the write needs, drawn beforehand.
struct Request {
    purpose: ValidationPurpose,
    address: String,
    client_secret: TokenDigest,
    send_attempt: u64,
    next_link: Option<String>,
    sid: String,
    token: String,
    server: String,
    link_base: String,
    expires_at: u64,
    now: u64,
}

impl Accounts {
    /// Mails a link to an address and returns the session in which opening it counts. Whether the
    /// address has an account shows in the mail alone.
    #[instrument(name = "accounts.contact.request_validation", skip_all)]
    pub async fn request_validation(
        &self,
        command: RequestValidation,
    ) -> Result<String, RequestValidationError> {
        let email = self.0.config.email.as_ref();
        let email = email.ok_or(RequestValidationError::NotSupported)?;
        let address = canonical_email(&command.email).ok_or(RequestValidationError::Address)?;
        let next_link = command.next_link.filter(|link| !link.is_empty());
        if next_link.as_deref().is_some_and(|link| web_host(link).is_none()) {
            return Err(RequestValidationError::NextLink);
        }
        let client_secret = token::digest(&command.client_secret);
        let client = client_digest(command.purpose, client_secret, &address);
        if let Some(sid) = self.mailed(client, command.send_attempt).await? {
            return Ok(sid);
        }
        self.charge_mail(command.peer, &address)?;
        let request = Request {
            purpose: command.purpose,
            client_secret,
            send_attempt: command.send_attempt,
            next_link,
            address,
            ..self.request(email)
        };
        let written = self.0.store.write(SlotNo(0), move |tx| request.write(tx, client)).await?;
        self.0.mail_bell.notify_one();
        Ok(written.value)
    }

    /// The session of a client's attempt, if that attempt was mailed already.
    async fn mailed(
        &self,
        client: TokenDigest,
        send_attempt: u64,
    ) -> Result<Option<String>, StorageError> {
        let now = self.0.now_ms();
        self.0
            .store
            .read(move |read| {
                let Some(sid) = VALIDATION_BY_CLIENT.get(read, (client,))? else {
                    return Ok(None);
                };
                let row = live(read, &sid, now)?;
                Ok(row.filter(|row| row.send_attempt >= send_attempt).map(|_| sid))
            })
            .await
    }

    fn charge_mail(&self, peer: IpAddr, address: &str) -> Result<(), RequestValidationError> {
        let (now, throttles) = (self.0.monotonic(), &self.0.throttles);
        let limited = RequestValidationError::Limited;
        throttles.mails_of_address.check(address, now).map_err(limited)?;
        if let Some(peer) = counted_address(peer) {
            throttles.mails.charge(&peer, now).map_err(limited)?;
        }
        throttles.mails_of_address.charge(address, now).map_err(limited)
    }

    /// What every request draws anew.
    fn request(&self, email: &EmailConfig) -> Request {
        let alphabet = b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789__";
        let (environment, now) = (&self.0.environment, self.0.now_ms());
        let life = u64::try_from(email.link_life.as_millis()).unwrap_or(u64::MAX);
        Request {
            purpose: ValidationPurpose::Add,
            address: String::new(),
            client_secret: TokenDigest([0; 32]),
            send_attempt: 0,
            next_link: None,
            sid: environment.random_text(alphabet, 24),
            token: environment.random_text(alphabet, 40),
            server: self.server_name().to_string(),
            link_base: email.link_base.clone(),
            expires_at: now.saturating_add(life),
            now,
        }
    }
}

impl Request {
    /// Stores the session and its mail, or neither.
    fn write(
        &self,
        tx: &mut Tx<'_>,
        client: TokenDigest,
    ) -> Result<String, RequestValidationError> {
        let owned = owner(tx, &self.address)?.is_some();
        let answers = owned == (self.purpose == ValidationPurpose::Password);
        let known = match VALIDATION_BY_CLIENT.get(tx, (client,))? {
            Some(sid) => live(tx, &sid, self.now)?.map(|row| (sid, row)),
            None => None,
        };
        let row = StoredValidation {
            purpose: self.purpose,
            address: self.address.clone(),
            client_secret: self.client_secret,
            send_attempt: self.send_attempt,
            token: answers.then(|| token::digest(&self.token)),
            next_link: self.next_link.clone(),
            expires_at: self.expires_at,
            validated_at: known.as_ref().and_then(|(_, row)| row.validated_at),
        };
        let sid = if let Some((sid, before)) = known {
            renew(tx, &sid, (&before, &row))?;
            sid
        } else {
            begin(tx, &self.sid, &row, self.now)?;
            self.sid.clone()
        };
        let whom = (self.server.as_str(), self.address.as_str());
        let letter = if answers {
            letter::link(whom, self.purpose, (&self.link_base, &sid, &self.token))
        } else {
            letter::notice(whom, self.purpose)
        };
        let noted = mail::enqueue(tx, letter, (self.now, self.expires_at))?;
        if noted { Ok(sid) } else { Err(RequestValidationError::Busy) }
    }
}
