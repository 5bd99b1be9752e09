//! Unused guest tokens that were logged out: few rows, however many there are.

use ruma::UserId;
use vestibule_storage::{
    Read, Scan, StorageError, Tx,
    tables::{
        account::{ACCOUNT_BY_ID, TokenDigest},
        guest_token::{REFUSED_GUEST_TOKEN, REFUSED_GUEST_TOKENS},
    },
};
use vestibule_types::{
    Actor, Credential,
    limits::{REFUSED_GUEST_TOKENS_FORGOTTEN, REFUSED_GUEST_TOKENS_MAX},
};

use crate::Accounts;

/// Whether an unused token was logged out.
pub(crate) fn is_refused(
    read: &dyn Read,
    (ends_at, digest): (u64, TokenDigest),
) -> Result<bool, StorageError> {
    let all = REFUSED_GUEST_TOKENS.get(read, (0,))?.unwrap_or_default();
    Ok(ends_at <= all.until || REFUSED_GUEST_TOKEN.contains(read, (ends_at, digest))?)
}

/// Refuses an unused token from now on. Those that ended are forgotten; where there are too many, the
/// first to end makes room, and everything that ends until then is refused with it.
pub(crate) fn refuse(
    tx: &mut Tx<'_>,
    (ends_at, digest): (u64, TokenDigest),
    now: u64,
) -> Result<(), StorageError> {
    if is_refused(tx, (ends_at, digest))? {
        return Ok(());
    }
    let mut all = REFUSED_GUEST_TOKENS.get(tx, (0,))?.unwrap_or_default();
    let first = Scan::prefix(()).limit(REFUSED_GUEST_TOKENS_FORGOTTEN);
    for (key, ()) in REFUSED_GUEST_TOKEN.scan_with(tx, first)? {
        let too_many = all.count >= REFUSED_GUEST_TOKENS_MAX;
        if key.0 > now && !too_many {
            break;
        }
        if key.0 > now {
            all.until = all.until.max(key.0);
        }
        REFUSED_GUEST_TOKEN.delete(tx, key)?;
        all.count = all.count.saturating_sub(1);
    }
    if ends_at > all.until {
        REFUSED_GUEST_TOKEN.put(tx, (ends_at, digest), &())?;
        all.count = all.count.saturating_add(1);
    }
    REFUSED_GUEST_TOKENS.put(tx, (0,), &all)
}

impl Accounts {
    /// Logs a guest out who has no rows. Says whether it was one: not if they got some meanwhile.
    pub(super) async fn log_out_unused(&self, actor: &Actor) -> Result<bool, StorageError> {
        let whose = (actor.credential(), actor.session(), actor.ends_at());
        let (Credential::GuestToken, Some(digest), Some(ends_at)) = whose else { return Ok(false) };
        let (user, digest, now) =
            (actor.user_id().to_owned(), TokenDigest(digest), self.0.now_ms());
        // One slot for all: they share a bound.
        let slot = self.0.store.slot_of_user(&self.0.system_user);
        let refused = self.0.store.write_apart(slot, move |tx| {
            let unused = has_no_rows(tx, &user)?;
            if unused {
                refuse(tx, (ends_at, digest), now)?;
            }
            Ok::<_, StorageError>(unused)
        });
        let unused = refused.await?.value;
        if unused {
            // Nobody listens where no request is under way.
            let _: Result<_, _> = self.0.guest_logouts.send(digest);
        }
        Ok(unused)
    }
}

pub(super) fn has_no_rows(read: &dyn Read, user_id: &UserId) -> Result<bool, StorageError> {
    Ok(!ACCOUNT_BY_ID.contains(read, (user_id,))?)
}
