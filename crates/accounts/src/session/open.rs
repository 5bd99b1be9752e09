//! Opening and closing sessions, inside somebody's transaction.

use std::time::Duration;

use ruma::{DeviceId, OwnedDeviceId, OwnedUserId, UserId};
use vestibule_storage::{
    StorageError, Tx, inbox,
    tables::{
        account::{
            AGENT_BY_DEVICE, DEVICE_BY_USER, REFRESH_BY_TOKEN, SEEN_BY_DEVICE, SESSION_BY_TOKEN,
            SESSION_GUARD, StoredDevice, StoredRefresh, StoredSeen, StoredSession, TOKEN_BY_DEVICE,
            TokenDigest,
        },
        cross_signing::{CROSS_SIGNING_KEY, MASTER, SELF_SIGNING, USER_SIGNING},
        push::{PUSHER, remove_pusher},
        sliding::{SLIDING_CONNECTION, SLIDING_STEP},
    },
};
use vestibule_types::{Secret, limits};

use super::{login_token, wake};
use crate::{
    Accounts,
    device::{
        dehydrated,
        list_change::{device_changed, drop_keys},
    },
    openid, token,
};

/// The kind of an access token in `TOKEN_BY_DEVICE`.
pub(crate) const ACCESS: u8 = 0;
/// The kind of a refresh token in `TOKEN_BY_DEVICE`.
pub(crate) const REFRESH: u8 = 1;
/// The kind of an access token that ended because somebody logged in on its device.
pub(crate) const REPLACED: u8 = 2;
/// Replaced tokens of a device that are remembered, for requests that are still under way.
const REPLACED_MAX: usize = 16;
/// A device has one of each, and twice that while a refresh is under way.
const TOKENS_PER_DEVICE_MAX: usize = 64;

/// The tokens of a new session. They are shown once.
#[derive(Clone, Debug)]
pub struct NewSession {
    /// Whose it is.
    pub user_id: OwnedUserId,
    /// The device.
    pub device_id: OwnedDeviceId,
    /// The access token.
    pub access_token: Secret,
    /// The refresh token, when one was asked for.
    pub refresh_token: Option<Secret>,
    /// How long the access token lives, when it ends.
    pub expires_in: Option<Duration>,
}

/// Tokens that were drawn, but are not stored yet: a closure that reruns must not draw anew.
#[derive(Clone, Debug)]
pub(crate) struct Minted {
    pub(crate) device_id: OwnedDeviceId,
    pub(crate) access: Secret,
    pub(crate) refresh: Option<Secret>,
    pub(crate) expires_in: Option<Duration>,
    pub(crate) now: u64,
}

impl Minted {
    pub(crate) fn access_digest(&self) -> TokenDigest {
        token::digest(self.access.expose())
    }

    pub(crate) fn refresh_digest(&self) -> Option<TokenDigest> {
        self.refresh.as_ref().map(|refresh| token::digest(refresh.expose()))
    }

    pub(crate) fn into_session(self, user_id: OwnedUserId) -> NewSession {
        NewSession {
            user_id,
            device_id: self.device_id,
            access_token: self.access,
            refresh_token: self.refresh,
            expires_in: self.expires_in,
        }
    }
}

impl Accounts {
    /// Draws the tokens of a session.
    pub(crate) fn mint(&self, device_id: Option<OwnedDeviceId>, refresh: bool) -> Minted {
        let environment = &self.0.environment;
        Minted {
            device_id: device_id.unwrap_or_else(|| token::mint_device_id(environment)),
            access: token::mint_access(environment),
            refresh: refresh.then(|| token::mint_refresh(environment)),
            expires_in: refresh.then_some(self.0.config.sessions.access_token_life),
            now: self.0.now_ms(),
        }
    }
}

/// Whether a client may choose this as its device's identifier.
pub(crate) fn is_device_id(device_id: &DeviceId) -> bool {
    (1..=limits::DEVICE_ID_BYTES_MAX).contains(&device_id.as_str().len())
}

/// Whether a cross-signing key of the account has this name. Keys of devices and of users are told
/// apart by their names alone, so no device may have one (client-server API, "Cross-signing").
pub(crate) fn is_named_like_a_key(
    tx: &Tx<'_>,
    user_id: &UserId,
    device_id: &DeviceId,
) -> Result<bool, StorageError> {
    let rows = [MASTER, SELF_SIGNING, USER_SIGNING].map(|usage| (user_id, usage));
    let keys = CROSS_SIGNING_KEY.multi_get(tx, rows)?;
    Ok(keys.into_iter().flatten().any(|key| key.public_key == device_id.as_str()))
}

/// Opens a session of an account that may be in rooms: of a new device everybody in them is told.
pub(crate) fn open_and_tell(
    tx: &mut Tx<'_>,
    user_id: &UserId,
    minted: &Minted,
    display_name: Option<&str>,
) -> Result<(), StorageError> {
    let is_new = !DEVICE_BY_USER.contains(tx, (user_id, &minted.device_id))?;
    open(tx, user_id, minted, display_name)?;
    if is_new { device_changed(tx, user_id, &minted.device_id) } else { Ok(()) }
}

/// Opens a session: makes the device if it is new, and ends what it had before. Of a new device nobody is
/// told: of a new account nobody knows anything yet.
pub(crate) fn open(
    tx: &mut Tx<'_>,
    user_id: &UserId,
    minted: &Minted,
    display_name: Option<&str>,
) -> Result<(), StorageError> {
    touch(tx, user_id)?;
    let device_id = &*minted.device_id;
    if dehydrated::is_dehydrated(tx, user_id, device_id)? {
        // Whoever logs in under its name brings keys of their own.
        close_device(tx, user_id, device_id)?;
    }
    replace_tokens(tx, user_id, device_id)?;
    if DEVICE_BY_USER.get(tx, (user_id, device_id))?.is_none() {
        make_room(tx, user_id, None)?;
        let display_name = display_name.map(|name| cut(name, limits::DEVICE_NAME_BYTES_MAX));
        let device = StoredDevice { display_name, created_at: minted.now };
        DEVICE_BY_USER.put(tx, (user_id, device_id), &device)?;
    } else {
        // A device that is known in memory alone could be taken for one that nobody uses.
        let address = SEEN_BY_DEVICE.get(tx, (user_id, device_id))?.and_then(|seen| seen.address);
        SEEN_BY_DEVICE.put(tx, (user_id, device_id), &StoredSeen { at: minted.now, address })?;
    }
    store_tokens(tx, user_id, minted, None)
}

/// Stores the tokens of a session for a device that exists.
pub(crate) fn store_tokens(
    tx: &mut Tx<'_>,
    user_id: &UserId,
    minted: &Minted,
    replaces: Option<TokenDigest>,
) -> Result<(), StorageError> {
    let device_id = &*minted.device_id;
    let life = minted.expires_in.map(|life| u64::try_from(life.as_millis()).unwrap_or(u64::MAX));
    let session = StoredSession {
        user_id: user_id.to_owned(),
        device_id: device_id.to_owned(),
        expires_at: life.map(|life| minted.now.saturating_add(life)),
        replaces,
    };
    let access = minted.access_digest();
    SESSION_BY_TOKEN.put(tx, (access,), &session)?;
    TOKEN_BY_DEVICE.put(tx, (user_id, device_id, ACCESS, access), &())?;
    let Some(refresh) = minted.refresh_digest() else { return Ok(()) };
    let row = StoredRefresh {
        user_id: user_id.to_owned(),
        device_id: device_id.to_owned(),
        access,
        replaces,
        next: None,
    };
    REFRESH_BY_TOKEN.put(tx, (refresh,), &row)?;
    TOKEN_BY_DEVICE.put(tx, (user_id, device_id, REFRESH, refresh), &())
}

/// Removes one token of a device.
pub(crate) fn revoke_token(
    tx: &mut Tx<'_>,
    user_id: &UserId,
    device_id: &DeviceId,
    (kind, digest): (u8, TokenDigest),
) -> Result<(), StorageError> {
    match kind {
        ACCESS => SESSION_BY_TOKEN.delete(tx, (digest,))?,
        REFRESH => REFRESH_BY_TOKEN.delete(tx, (digest,))?,
        _ => {}
    }
    TOKEN_BY_DEVICE.delete(tx, (user_id, device_id, kind, digest))
}

/// Removes a device and its tokens.
pub(crate) fn close_device(
    tx: &mut Tx<'_>,
    user_id: &UserId,
    device_id: &DeviceId,
) -> Result<(), StorageError> {
    touch(tx, user_id)?;
    wake(tx, user_id)?;
    revoke_tokens(tx, user_id, device_id)?;
    drop_keys(tx, user_id, device_id)?;
    DEVICE_BY_USER.delete(tx, (user_id, device_id))?;
    dehydrated::forget(tx, user_id, device_id)?;
    inbox::remove_all(tx, (user_id, device_id))?;
    SLIDING_CONNECTION.delete_prefix(tx, (user_id, device_id))?;
    SLIDING_STEP.delete_prefix(tx, (user_id, device_id))?;
    AGENT_BY_DEVICE.delete(tx, (user_id, device_id))?;
    drop_pushers(tx, user_id, |of| of == Some(device_id))?;
    SEEN_BY_DEVICE.delete(tx, (user_id, device_id))
}

/// Removes every device but `keep`, and their tokens. What was to prove elsewhere who the user is, or
/// to let one more client in, too.
pub(crate) fn close_all(
    tx: &mut Tx<'_>,
    user_id: &UserId,
    keep: Option<&DeviceId>,
) -> Result<(), StorageError> {
    touch(tx, user_id)?;
    openid::forget(tx, user_id)?;
    login_token::forget(tx, user_id)?;
    let devices = DEVICE_BY_USER.scan(tx, (user_id,), limits::DEVICES_PER_USER_MAX + 1)?;
    for ((_, device_id), _) in devices {
        if keep != Some(&device_id) {
            close_device(tx, user_id, &device_id)?;
        }
    }
    // Whatever set a pusher without a device has its token no longer.
    drop_pushers(tx, user_id, |of| of.is_none())
}

/// Removes pushers by the device that set them: nothing more is told to who is logged out.
fn drop_pushers(
    tx: &mut Tx<'_>,
    user_id: &UserId,
    gone: impl Fn(Option<&DeviceId>) -> bool,
) -> Result<(), StorageError> {
    for ((user, app_id, pushkey), pusher) in
        PUSHER.scan(tx, (user_id,), limits::PUSHERS_PER_USER_MAX)?
    {
        if gone(pusher.device_id.as_deref()) {
            remove_pusher(tx, (&user, &app_id, &pushkey))?;
        }
    }
    Ok(())
}

fn revoke_tokens(
    tx: &mut Tx<'_>,
    user_id: &UserId,
    device_id: &DeviceId,
) -> Result<Vec<(u8, TokenDigest)>, StorageError> {
    let tokens = TOKEN_BY_DEVICE.scan(tx, (user_id, device_id), TOKENS_PER_DEVICE_MAX)?;
    let tokens: Vec<_> =
        tokens.into_iter().map(|((_, _, kind, digest), ())| (kind, digest)).collect();
    for token in &tokens {
        revoke_token(tx, user_id, device_id, *token)?;
    }
    Ok(tokens)
}

/// Ends the session that a device has, and wakes its requests that wait.
fn replace_tokens(
    tx: &mut Tx<'_>,
    user_id: &UserId,
    device_id: &DeviceId,
) -> Result<(), StorageError> {
    let ended = revoke_tokens(tx, user_id, device_id)?;
    let of_kind = |wanted| ended.iter().filter(move |(kind, _)| *kind == wanted);
    if of_kind(ACCESS).next().is_none() {
        return Ok(());
    }
    wake(tx, user_id)?;
    for (_, digest) in of_kind(ACCESS).chain(of_kind(REPLACED)).take(REPLACED_MAX) {
        TOKEN_BY_DEVICE.put(tx, (user_id, device_id, REPLACED, *digest), &())?;
    }
    Ok(())
}

/// Makes the scans of this account's devices and tokens hold: whoever changes them writes this.
pub(crate) fn touch(tx: &mut Tx<'_>, user_id: &UserId) -> Result<(), StorageError> {
    let changes = SESSION_GUARD.get(tx, (user_id,))?.unwrap_or_default();
    SESSION_GUARD.put(tx, (user_id,), &changes.wrapping_add(1))
}

/// Removes the device that was made first when there is no room for one more. Neither `keep` nor a
/// device that is dehydrated goes: that one has its own time.
pub(crate) fn make_room(
    tx: &mut Tx<'_>,
    user_id: &UserId,
    keep: Option<&DeviceId>,
) -> Result<(), StorageError> {
    let devices = DEVICE_BY_USER.scan(tx, (user_id,), limits::DEVICES_PER_USER_MAX)?;
    if devices.len() < limits::DEVICES_PER_USER_MAX {
        return Ok(());
    }
    let dehydrated = dehydrated::dehydrated_device(tx, user_id)?.map(|device| device.device_id);
    let stays = |id: &DeviceId| Some(id) == keep || Some(id) == dehydrated.as_deref();
    let oldest = devices
        .into_iter()
        .filter(|((_, device_id), _)| !stays(device_id))
        .min_by_key(|(_, device)| device.created_at);
    match oldest {
        Some(((_, device_id), _)) => close_device(tx, user_id, &device_id),
        None => Ok(()),
    }
}

/// The text, cut at a character so that it fits.
pub(crate) fn cut(text: &str, bytes_max: usize) -> String {
    text.chars()
        .scan(0, |length, character| {
            *length += character.len_utf8();
            (*length <= bytes_max).then_some(character)
        })
        .collect()
}
