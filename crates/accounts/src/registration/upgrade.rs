//! A guest becomes an account: same name, same rooms, everything else anew.

use ruma::OwnedUserId;
use vestibule_storage::{
    StorageError, Tx, jobs,
    tables::account::{ACCOUNT_BY_ID, StoredAccount, StoredAccountState},
};

use super::{NewAccount, Register, RegisterError, guest_tally};
use crate::{
    Accounts, NewGuest, Resolved, Sighting,
    job::{self, ProfileFanOut},
    profile::rename_for_class,
    registration::put_account,
    session::close_all,
    username::{GUEST_PREFIX, user_id_of},
};

/// The guest that is to become an account.
#[derive(Clone, Debug)]
pub(super) struct Upgrade {
    pub(super) user_id: OwnedUserId,
    now: u64,
    old_suffix: Option<String>,
    /// The guest, where it had no rows yet.
    arriving: Option<NewGuest>,
}

impl Accounts {
    /// The guest whose token was handed in, if one was. It may take no name but its own.
    pub(super) async fn upgrade(
        &self,
        command: &Register,
    ) -> Result<Option<Upgrade>, RegisterError> {
        let Some(token) = &command.guest_access_token else { return Ok(None) };
        let seen = Sighting { address: Some(command.peer), user_agent: None };
        let (actor, arriving) = match self.resolve(token.expose(), seen).await? {
            Resolved::Active(actor) => (actor, None),
            Resolved::Arriving(actor, guest) => (actor, Some(guest)),
            _ => return Err(RegisterError::GuestToken),
        };
        if !actor.is_guest() {
            return Err(RegisterError::GuestToken);
        }
        let username = command.username.as_deref().ok_or(RegisterError::NotOwnName)?;
        let named = user_id_of(username, self.server_name())?;
        if named != actor.user_id() {
            let others =
                named.localpart().starts_with(GUEST_PREFIX) || self.is_taken(&named).await?;
            return Err(if others { RegisterError::OthersName } else { RegisterError::NotOwnName });
        }
        Ok(Some(Upgrade {
            user_id: actor.user_id().to_owned(),
            now: self.0.now_ms(),
            old_suffix: self.name_suffix(actor.class()),
            arriving,
        }))
    }
}

impl Upgrade {
    /// Turns the guest's row into that of an account, ends the guest's session and gives its place
    /// in the counts back.
    pub(super) fn write(&self, tx: &mut Tx<'_>, new: &NewAccount) -> Result<(), RegisterError> {
        if let Some(arriving) = &self.arriving
            && arriving.is_new(tx)?
        {
            // It never was one of the guests that are counted, and its token ends with the row.
            let written = new.write(tx)?;
            return if written { Ok(()) } else { Err(RegisterError::GuestToken) };
        }
        let guest = ACCOUNT_BY_ID.get(tx, (&*self.user_id,))?.filter(is_live_guest);
        let guest = guest.ok_or(RegisterError::GuestToken)?;
        let account = StoredAccount {
            class: new.class.clone(),
            password: new.password.clone(),
            created_at: new.now,
            ..guest.clone()
        };
        put_account(tx, &self.user_id, Some(&guest), &account)?;
        guest_tally::release(tx, &self.user_id)?;
        close_all(tx, &self.user_id, None)?;
        self.rename(tx, new)?;
        Ok(())
    }

    /// The name loses what the guest class appended to it, also in the rooms.
    fn rename(&self, tx: &mut Tx<'_>, new: &NewAccount) -> Result<(), StorageError> {
        let suffixes = (self.old_suffix.as_deref(), new.name_suffix.as_deref());
        if rename_for_class(tx, &self.user_id, suffixes)? {
            let payload = job::encode(&ProfileFanOut { user_id: self.user_id.clone() });
            jobs::enqueue(tx, job::PROFILE_FAN_OUT, payload, self.now)?;
        }
        Ok(())
    }
}

fn is_live_guest(account: &StoredAccount) -> bool {
    account.class.is_guest() && account.state == StoredAccountState::Active
}
