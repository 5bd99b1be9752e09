//! The sessions in which somebody proves to have an e-mail address. They are stored, bounded in number,
//! and over after a time; each is good for one use of one purpose.

use ruma::OwnedUserId;
use vestibule_storage::{
    Read, Scan, StorageError, Tx,
    tables::{
        account::TokenDigest,
        contact::{
            StoredValidation, VALIDATION, VALIDATION_BY_CLIENT, VALIDATION_BY_END, VALIDATION_COUNT,
        },
    },
};
use vestibule_types::limits::VALIDATIONS_MAX;

use super::ValidationPurpose;
use crate::{Accounts, token};

/// Sessions that are over and are removed when a new one begins.
const ENDED_AT_ONCE: usize = 16;

/// An address somebody proved to have.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct ProvenEmail {
    /// The session in which they did.
    pub(crate) sid: String,
    /// The address.
    pub(crate) address: String,
    /// When, in milliseconds since the Unix epoch.
    pub(crate) validated_at: u64,
    /// Whose it was when it was asked.
    pub(crate) owner: Option<OwnedUserId>,
}

impl Accounts {
    /// What was proven in a session, if it was begun for this purpose by who knows the secret.
    pub(crate) async fn proven_email(
        &self,
        sid: &str,
        client_secret: &str,
        purpose: ValidationPurpose,
    ) -> Result<Option<ProvenEmail>, StorageError> {
        let (sid, secret, now) = (sid.to_owned(), token::digest(client_secret), self.0.now_ms());
        self.0
            .store
            .read(move |read| {
                let Some(row) = live(read, &sid, now)? else { return Ok(None) };
                let Some(validated_at) = row.validated_at else { return Ok(None) };
                if row.client_secret != secret || row.purpose != purpose {
                    return Ok(None);
                }
                let owner = super::owner(read, &row.address)?;
                Ok(Some(ProvenEmail { sid, address: row.address, validated_at, owner }))
            })
            .await
    }
}

/// The row of a session that is not over.
pub(super) fn live(
    read: &impl Read,
    sid: &str,
    now: u64,
) -> Result<Option<StoredValidation>, StorageError> {
    Ok(VALIDATION.get(read, (sid,))?.filter(|row| row.expires_at > now))
}

/// The name under which the session of a client's attempt is found again.
pub(super) fn client_digest(
    purpose: ValidationPurpose,
    client_secret: TokenDigest,
    address: &str,
) -> TokenDigest {
    token::digest(&format!("{purpose:?}\n{:?}\n{address}", client_secret.0))
}

/// Stores a session that is not there yet, and makes room for it.
pub(super) fn begin(
    tx: &mut Tx<'_>,
    sid: &str,
    row: &StoredValidation,
    now: u64,
) -> Result<(), StorageError> {
    let ended = Scan::prefix(()).to((now,)).limit(ENDED_AT_ONCE);
    for ((_, sid), ()) in VALIDATION_BY_END.scan_with(tx, ended)? {
        remove(tx, &sid)?;
    }
    let count = VALIDATION_COUNT.get(tx, (0,))?.unwrap_or_default();
    if count >= VALIDATIONS_MAX as u64 {
        for ((_, sid), ()) in VALIDATION_BY_END.scan(tx, (), 1)? {
            remove(tx, &sid)?;
        }
    }
    let count = VALIDATION_COUNT.get(tx, (0,))?.unwrap_or_default();
    VALIDATION_COUNT.put(tx, (0,), &count.saturating_add(1))?;
    VALIDATION.put(tx, (sid,), row)?;
    VALIDATION_BY_CLIENT.put(tx, (client_of(row),), &sid.to_owned())?;
    VALIDATION_BY_END.put(tx, (row.expires_at, sid), &())
}

/// Stores a session that is there already, maybe with another end.
pub(super) fn renew(
    tx: &mut Tx<'_>,
    sid: &str,
    (old, new): (&StoredValidation, &StoredValidation),
) -> Result<(), StorageError> {
    VALIDATION_BY_END.delete(tx, (old.expires_at, sid))?;
    VALIDATION_BY_END.put(tx, (new.expires_at, sid), &())?;
    VALIDATION.put(tx, (sid,), new)
}

/// Uses a proof up. `false` if somebody else did, or its time is over.
pub(crate) fn consume(
    tx: &mut Tx<'_>,
    proven: &ProvenEmail,
    now: u64,
) -> Result<bool, StorageError> {
    let row = live(tx, &proven.sid, now)?;
    let good = row.is_some_and(|row| {
        row.validated_at == Some(proven.validated_at) && row.address == proven.address
    });
    if good {
        remove(tx, &proven.sid)?;
    }
    Ok(good)
}

fn remove(tx: &mut Tx<'_>, sid: &str) -> Result<(), StorageError> {
    let Some(row) = VALIDATION.get(tx, (sid,))? else { return Ok(()) };
    VALIDATION.delete(tx, (sid,))?;
    VALIDATION_BY_CLIENT.delete(tx, (client_of(&row),))?;
    VALIDATION_BY_END.delete(tx, (row.expires_at, sid))?;
    let count = VALIDATION_COUNT.get(tx, (0,))?.unwrap_or_default();
    VALIDATION_COUNT.put(tx, (0,), &count.saturating_sub(1))
}

fn client_of(row: &StoredValidation) -> TokenDigest {
    client_digest(row.purpose, row.client_secret, &row.address)
}
