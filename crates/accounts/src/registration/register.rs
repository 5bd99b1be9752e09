//! `POST /register` for people who want an account.

use std::{net::IpAddr, time::Duration};

use ruma::{OwnedDeviceId, OwnedUserId, UserId};
use tracing::instrument;
use vestibule_storage::{StorageError, Tx, tables::contact::StoredContact};
use vestibule_types::{ClassName, Secret};

use super::{NewAccount, repeat::Outcome, tokens::spend, upgrade::Upgrade};
use crate::{
    Accounts, EmailAtRegistration, NewSession, RegistrationMode, ValidationPurpose,
    account::{PasswordError, class_suffix},
    contact::{ProvenEmail, consume, put_contact},
    facts,
    password::HasherBusy,
    service::counted_address,
    session::{self, Minted},
    token,
    uia::{Attempt, Question, Stage, UiaError},
    username::{UsernameError, chosen_user_id},
};

/// A registration.
#[derive(Clone, Debug)]
pub struct Register {
    /// The wanted localpart; `None` for a random one.
    pub username: Option<String>,
    /// The password.
    pub password: Option<Secret>,
    /// The identifier of the first device.
    pub device_id: Option<OwnedDeviceId>,
    /// The name of the first device.
    pub initial_device_display_name: Option<String>,
    /// Whether no session is wanted; one is where nothing is said.
    pub inhibit_login: Option<bool>,
    /// Whether the client can refresh its token; it cannot where nothing is said.
    pub refresh_token: Option<bool>,
    /// The token of the guest who wants to become this account.
    pub guest_access_token: Option<Secret>,
    /// The interactive authentication so far.
    pub attempt: Option<Attempt>,
    /// Where the request comes from.
    pub peer: IpAddr,
}

/// A new account.
#[derive(Clone, Debug)]
pub struct Registered {
    /// Its identifier.
    pub user_id: OwnedUserId,
    /// Its first session, unless none was wanted.
    pub session: Option<NewSession>,
}

/// Why somebody was not registered.
#[derive(Debug, thiserror::Error)]
pub enum RegisterError {
    /// Nobody can register here.
    #[error("registration is closed")]
    Closed,
    /// It cannot be a name.
    #[error(transparent)]
    Username(#[from] UsernameError),
    /// It is or was somebody's.
    #[error("the user name is taken")]
    Taken,
    /// A guest that becomes an account keeps its name, and has to say so.
    #[error("a guest that becomes an account has to name itself as username")]
    NotOwnName,
    /// As [`RegisterError::NotOwnName`], and the name is another's.
    #[error("a guest that becomes an account cannot take the name of somebody else")]
    OthersName,
    /// The guest token is nobody's, or not a guest's.
    #[error("the guest access token is not a guest's")]
    GuestToken,
    /// There is more to prove, or the proof could not be checked.
    #[error(transparent)]
    Uia(#[from] UiaError),
    /// The password is missing.
    #[error("a password is needed")]
    NoPassword,
    /// The password is not good enough.
    #[error(transparent)]
    Password(#[from] PasswordError),
    /// The device identifier cannot be one.
    #[error("this cannot be a device identifier")]
    DeviceId,
    /// Somebody used the registration token up meanwhile.
    #[error("the registration token is not valid any more")]
    TokenSpent,
    /// The session that proved the e-mail address is over or was used.
    #[error("the e-mail address is not proven any more")]
    EmailSpent,
    /// The e-mail address is another account's.
    #[error("the e-mail address is in use")]
    EmailInUse,
    /// Too many registrations.
    #[error("too many registrations")]
    Limited(Duration),
    /// Too many passwords are being hashed.
    #[error(transparent)]
    Busy(#[from] HasherBusy),
    /// The account could not be stored.
    #[error("could not store the account")]
    Storage(#[from] StorageError),
}

/// Everything the write needs, drawn and computed beforehand.
#[derive(Clone, Debug)]
struct Registration {
    account: NewAccount,
    upgrade: Option<Upgrade>,
    token: Option<String>,
    email: Option<ProvenEmail>,
    session: Option<Minted>,
    device_name: Option<String>,
    /// What each class appends to names: the class a token gives is known only in the write.
    suffixes: vestibule_policy::PolicyHandle,
}

impl Accounts {
    /// Registers an account, once everything that has to be proven is. What earlier requests in the same
    /// session of interactive authentication said holds on, and the last one sent again is answered again.
    #[instrument(name = "accounts.registration.register", skip_all)]
    pub async fn register(&self, command: Register) -> Result<Registered, RegisterError> {
        self.charge_registration(command.peer)?;
        if self.0.config.registration.mode == RegistrationMode::Closed {
            return Err(RegisterError::Closed);
        }
        let turn = command.conversation().and_then(|name| self.0.uia.turn(name));
        let _turn = match &turn {
            Some(turn) => Some(turn.lock().await),
            None => None,
        };
        if let Some(registered) = self.repeated(&command).await? {
            return Ok(registered);
        }
        self.register_anew(self.recall(command)).await
    }

    async fn register_anew(&self, command: Register) -> Result<Registered, RegisterError> {
        if command.device_id.as_ref().is_some_and(|id| !session::is_device_id(id)) {
            return Err(RegisterError::DeviceId);
        }
        let upgrade = self.upgrade(&command).await?;
        let user_id = self.wanted_user_id(&command, upgrade.as_ref()).await?;
        if let Some(password) = &command.password {
            self.check_password(password)?;
        }
        let question = Question {
            operation: token::digest("register"),
            flows: self.registration_flows(),
            caller: None,
            email_for: Some(ValidationPurpose::Register),
            peer: command.peer,
        };
        let granted = match self.walk(&question, command.attempt.clone()).await {
            Ok(granted) => granted,
            Err(error) => {
                self.keep_draft(&error, &command);
                return Err(error.into());
            }
        };
        let password = command.password.clone().ok_or(RegisterError::NoPassword)?;
        let hash = self.0.passwords.hash(password).await?;
        let refreshes = command.refresh_token.unwrap_or_default();
        let session = (!command.inhibit_login.unwrap_or_default())
            .then(|| self.mint(command.device_id.clone(), refreshes));
        let outcome = Outcome::new(user_id.clone(), hash.clone(), session.as_ref());
        let registration = Registration {
            account: NewAccount {
                user_id: user_id.clone(),
                class: ClassName::member(),
                password: Some(hash),
                displayname: None,
                name_suffix: None,
                now: self.0.now_ms(),
            },
            upgrade,
            token: granted.registration_token,
            email: granted.email,
            session: session.clone(),
            device_name: command.initial_device_display_name.clone(),
            suffixes: self.0.policy.clone(),
        };
        let written = self.0.write(&user_id, move |tx| registration.write(tx)).await;
        match command.conversation() {
            Some(session) => self.conclude(session, &written, outcome),
            // Nobody can name it again.
            None => self.0.uia.finish(&granted.session),
        }
        written?;
        self.0.ring();
        if let Some(minted) = &session {
            self.0.sightings.note_arrival(&user_id, minted, command.peer);
        }
        let session = session.map(|minted| minted.into_session(user_id.clone()));
        Ok(Registered { user_id, session })
    }

    fn charge_registration(&self, peer: IpAddr) -> Result<(), RegisterError> {
        match counted_address(peer) {
            Some(address) => self
                .0
                .throttles
                .registrations
                .charge(&address, self.0.monotonic())
                .map_err(RegisterError::Limited),
            None => Ok(()),
        }
    }

    /// What somebody has to go through: a token where one is needed, terms where there are some, an
    /// e-mail address where the operator wants one.
    fn registration_flows(&self) -> Vec<Vec<Stage>> {
        let mut flow = Vec::new();
        if self.0.config.registration.mode == RegistrationMode::Token {
            flow.push(Stage::RegistrationToken);
        }
        if !self.0.config.registration.terms.is_empty() {
            flow.push(Stage::Terms);
        }
        let email = self.0.config.registration.email;
        match email {
            EmailAtRegistration::Required if self.has_email() => {
                flow.push(Stage::Email);
                vec![flow]
            }
            EmailAtRegistration::Optional if self.has_email() => {
                // One flow must not be the beginning of the other: it would end before the address.
                let without = [&flow[..], &[Stage::Dummy]].concat();
                flow.push(Stage::Email);
                vec![without, flow]
            }
            _ => {
                if flow.is_empty() {
                    flow.push(Stage::Dummy);
                }
                vec![flow]
            }
        }
    }

    /// The identifier the account will have. Refuses early what the write would refuse.
    async fn wanted_user_id(
        &self,
        command: &Register,
        upgrade: Option<&Upgrade>,
    ) -> Result<OwnedUserId, RegisterError> {
        if let Some(upgrade) = upgrade {
            return Ok(upgrade.user_id.clone());
        }
        let username = match &command.username {
            Some(username) => username.clone(),
            None => self.0.environment.random_text(b"abcdefghijklmnopqrstuvwxyz234567", 12),
        };
        let user_id = chosen_user_id(&username, self.server_name())?;
        if self.is_taken(&user_id).await? { Err(RegisterError::Taken) } else { Ok(user_id) }
    }

    /// Whether the name is or was somebody's.
    pub(super) async fn is_taken(&self, user_id: &UserId) -> Result<bool, StorageError> {
        let asked = user_id.to_owned();
        self.0.store.read(move |read| Ok(facts::account(read, &asked)?.is_some())).await
    }
}

impl Registration {
    fn write(&self, tx: &mut Tx<'_>) -> Result<(), RegisterError> {
        let mut account = self.account.clone();
        if let Some(token) = &self.token {
            let token = spend(tx, token, account.now)?.ok_or(RegisterError::TokenSpent)?;
            account.class = token.class.unwrap_or(account.class);
        }
        account.name_suffix =
            class_suffix(&self.suffixes.current(), &account.class).map(ToOwned::to_owned);
        match &self.upgrade {
            Some(upgrade) => upgrade.write(tx, &account)?,
            None if !account.write(tx)? => return Err(RegisterError::Taken),
            None => {}
        }
        self.add_contact(tx)?;
        if let Some(minted) = &self.session {
            let open = if self.upgrade.is_some() { session::open_and_tell } else { session::open };
            open(tx, &account.user_id, minted, self.device_name.as_deref())?;
        }
        Ok(())
    }

    /// The address that was proven becomes the account's.
    fn add_contact(&self, tx: &mut Tx<'_>) -> Result<(), RegisterError> {
        let Some(email) = &self.email else { return Ok(()) };
        let (user_id, now) = (&self.account.user_id, self.account.now);
        if !consume(tx, email, now)? {
            return Err(RegisterError::EmailSpent);
        }
        let row = StoredContact { validated_at: email.validated_at, added_at: now };
        let put = put_contact(tx, user_id, &email.address, row)?;
        put.map_err(|_| RegisterError::EmailInUse)
    }
}
