//! Requests of one registration belong together: later ones may leave out what earlier ones said, and the last
//! one sent again gets the account it made (client-server API, "User-interactive API in the REST API").

use ruma::{OwnedDeviceId, OwnedUserId};
use vestibule_storage::{
    StorageError, Tx,
    tables::account::{SESSION_BY_TOKEN, StoredAccountState, TokenDigest},
};
use vestibule_types::limits;

use super::{Register, RegisterError, Registered};
use crate::{
    Accounts, facts,
    session::{self, Minted},
    uia::UiaError,
    username::user_id_of,
};

/// What a registration came to.
#[derive(Clone, Debug)]
pub(crate) struct Outcome {
    user_id: OwnedUserId,
    /// What the account's password was hashed to.
    hash: String,
    /// The session that was opened, if one was.
    opened: Option<Opened>,
}

#[derive(Clone, Debug)]
struct Opened {
    device_id: OwnedDeviceId,
    access: TokenDigest,
    refreshes: bool,
}

impl Opened {
    fn of(minted: &Minted) -> Self {
        Self {
            device_id: minted.device_id.clone(),
            access: minted.access_digest(),
            refreshes: minted.refresh.is_some(),
        }
    }
}

impl Outcome {
    pub(super) fn new(user_id: OwnedUserId, hash: String, minted: Option<&Minted>) -> Self {
        Self { user_id, hash, opened: minted.map(Opened::of) }
    }

    /// Whether the account is as it was made: whoever changed the password or logged out since does not want
    /// another session opened by what was proven before.
    fn holds(&self, tx: &Tx<'_>) -> Result<bool, StorageError> {
        let Some(account) = facts::account(tx, &self.user_id)? else { return Ok(false) };
        let is_live =
            matches!(account.state, StoredAccountState::Active | StoredAccountState::Suspended);
        let is_same = account.password.as_ref() == Some(&self.hash);
        let is_open = match &self.opened {
            Some(opened) => SESSION_BY_TOKEN.contains(tx, (opened.access,))?,
            None => true,
        };
        Ok(is_live && is_same && is_open)
    }
}

impl Register {
    /// The session of interactive authentication that this goes on in.
    pub(super) fn conversation(&self) -> Option<&str> {
        self.attempt.as_ref().and_then(|attempt| attempt.session.as_deref())
    }

    /// What is kept for later requests. Names, passwords and tokens were found to be ones before, so that all
    /// of it is bounded.
    fn for_later(&self) -> Self {
        let device_name = self.initial_device_display_name.as_deref();
        let device_name = device_name.map(|name| session::cut(name, limits::DEVICE_NAME_BYTES_MAX));
        Self { initial_device_display_name: device_name, attempt: None, ..self.clone() }
    }

    /// What is left out here is taken from an earlier request.
    fn completed_by(self, earlier: Self) -> Self {
        Self {
            username: self.username.or(earlier.username),
            password: self.password.or(earlier.password),
            device_id: self.device_id.or(earlier.device_id),
            initial_device_display_name: self
                .initial_device_display_name
                .or(earlier.initial_device_display_name),
            inhibit_login: self.inhibit_login.or(earlier.inhibit_login),
            refresh_token: self.refresh_token.or(earlier.refresh_token),
            guest_access_token: self.guest_access_token.or(earlier.guest_access_token),
            attempt: self.attempt,
            peer: self.peer,
        }
    }
}

impl Accounts {
    /// The request, completed by what earlier ones in its session said.
    pub(super) fn recall(&self, command: Register) -> Register {
        let now = self.0.monotonic();
        let earlier = command.conversation().and_then(|name| self.0.uia.draft(name, now));
        match earlier {
            Some(earlier) => command.completed_by(earlier),
            None => command,
        }
    }

    /// Keeps what was said where there is more to prove.
    pub(super) fn keep_draft(&self, error: &UiaError, command: &Register) {
        if let UiaError::Challenge(challenge) = error {
            self.0.uia.keep_draft(&challenge.session, command.for_later());
        }
    }

    /// Ends the session, or lets it go on where another name or another try may do.
    pub(super) fn conclude(
        &self,
        session: &str,
        written: &Result<(), RegisterError>,
        outcome: Outcome,
    ) {
        match written {
            Ok(()) => self.0.uia.end_with(session, outcome, self.0.monotonic()),
            Err(RegisterError::Taken | RegisterError::Storage(_)) => {}
            Err(_) => self.0.uia.finish(session),
        }
    }

    /// The account that was made in the session of this request, if it is the last one sent again.
    pub(super) async fn repeated(
        &self,
        command: &Register,
    ) -> Result<Option<Registered>, RegisterError> {
        let Some(name) = command.conversation() else { return Ok(None) };
        let Some(outcome) = self.0.uia.outcome(name, self.0.monotonic()) else { return Ok(None) };
        let user_id = outcome.user_id.clone();
        let wanted = command.username.as_ref();
        if wanted.is_some_and(|name| user_id_of(name, self.server_name()) != Ok(user_id.clone())) {
            return Ok(None);
        }
        let minted = outcome
            .opened
            .as_ref()
            .map(|opened| self.mint(Some(opened.device_id.clone()), opened.refreshes));
        let (asked, opening) = (outcome.clone(), minted.clone());
        let holds = self.0.write(&user_id, move |tx| {
            let holds = asked.holds(tx)?;
            if let Some(minted) = opening.as_ref().filter(|_| holds) {
                session::open(tx, &asked.user_id, minted, None)?;
            }
            Ok::<_, StorageError>(holds)
        });
        if !holds.await? {
            self.0.uia.finish(name);
            return Ok(None);
        }
        let again = Outcome { opened: minted.as_ref().map(Opened::of), ..outcome };
        self.0.uia.repeated(name, again);
        if let Some(minted) = &minted {
            self.0.sightings.note_arrival(&user_id, minted, command.peer);
        }
        let session = minted.map(|minted| minted.into_session(user_id.clone()));
        Ok(Some(Registered { user_id, session }))
    }
}
