//! Facts about accounts, on the in-memory engine with one slot and with three.

mod classes;
mod contacts;
mod guests;
mod idle;
mod openid;
mod profiles;
mod registration;
mod sessions;
mod states;
mod unwritten;
mod user_data;

use std::{
    net::{IpAddr, Ipv4Addr},
    sync::Arc,
};

use ruma::{OwnedUserId, ServerName, UserId, server_name};
use vestibule_policy::{ClassConfig, Denial, PolicyConfig, PolicyHandle, RateBuckets, compile};
use vestibule_storage::{InlineExecutor, StorageError, Store, jobs};
use vestibule_testkit::{TestEnvironment, environment, memory_store};
use vestibule_types::{Actor, BoxFuture, ClassName, Secret};

use crate::{
    Accounts, AccountsConfig, AccountsParts, Acquaintance, Assigner, Attempt, CreateAccount,
    CreateFilterError, LogIn, LogInProof, Named, NewGuest, NewSession, Proof, Register,
    RegisterError, Registered, RegistrationMode, Resolved, Restrain, RestrainError, Restraint,
    Sighting, UiaError,
};

/// Somewhere on the internet.
pub(crate) const PEER: IpAddr = IpAddr::V4(Ipv4Addr::new(198, 51, 100, 7));

/// The accounts of one server, and what steers them.
pub(crate) struct House {
    pub(crate) accounts: Accounts,
    pub(crate) store: Store,
    pub(crate) policy: PolicyHandle,
    pub(crate) time: TestEnvironment,
}

/// Guests are on, registration is open, and there is a class `webchat` whose names end in
/// ` [web]`.
pub(crate) fn policy_config() -> PolicyConfig {
    let mut config = PolicyConfig::default();
    config.guests.enabled = true;
    config.guests.list = vec!["!lobby:a.example".to_owned()];
    config.guests.open_rooms_by = vec!["list".to_owned()];
    config.class.insert(
        "webchat".to_owned(),
        ClassConfig {
            inherits: Some("member".to_owned()),
            name_suffix: Some(" [web]".to_owned()),
            ..ClassConfig::default()
        },
    );
    config
}

/// What is known of everybody: the one they share a room with, the server that is in a room with them, and
/// whether they were in one.
pub(crate) struct Known {
    pub(crate) to: &'static str,
    pub(crate) near: &'static str,
    pub(crate) joined: bool,
}

impl Acquaintance for Known {
    fn share_room<'a>(
        &'a self,
        _: &'a UserId,
        other: &'a UserId,
    ) -> BoxFuture<'a, Result<bool, StorageError>> {
        Box::pin(std::future::ready(Ok(other.localpart() == self.to)))
    }

    fn share_room_with_server<'a>(
        &'a self,
        _: &'a UserId,
        server: &'a ServerName,
    ) -> BoxFuture<'a, Result<bool, StorageError>> {
        Box::pin(std::future::ready(Ok(server == self.near)))
    }

    fn was_in_a_room<'a>(&'a self, _: &'a UserId) -> BoxFuture<'a, Result<bool, StorageError>> {
        Box::pin(std::future::ready(Ok(self.joined)))
    }
}

pub(crate) fn house() -> House {
    house_with(1, |_| {}, |_| {})
}

pub(crate) fn house_with(
    slots: u16,
    policy: impl FnOnce(&mut PolicyConfig),
    accounts: impl FnOnce(&mut AccountsConfig),
) -> House {
    house_over(memory_store(slots), environment(7), (policy, accounts))
}

/// The same over a store that was used before.
pub(crate) fn house_over(
    store: Store,
    time: TestEnvironment,
    (policy, accounts): (impl FnOnce(&mut PolicyConfig), impl FnOnce(&mut AccountsConfig)),
) -> House {
    let server_name = server_name!("a.example");
    let mut rules = policy_config();
    policy(&mut rules);
    let (compiled, _warnings) = compile(&rules, server_name).unwrap();
    let policy = PolicyHandle::new(compiled);
    let mut config = AccountsConfig::new(server_name.to_owned());
    config.registration.mode = RegistrationMode::Open;
    accounts(&mut config);
    let accounts = Accounts::new(AccountsParts {
        store: store.clone(),
        policy: policy.clone(),
        rates: Arc::new(RateBuckets::default()),
        environment: time.environment.clone(),
        executor: Arc::new(InlineExecutor),
        config,
    });
    House { accounts, store, policy, time }
}

pub(crate) fn secret(text: &str) -> Secret {
    Secret::new(text.to_owned())
}

pub(crate) fn dummy() -> Attempt {
    Attempt { session: None, proof: Some(Proof::Dummy) }
}

pub(crate) fn password(text: &str) -> Attempt {
    let proof = Proof::Password { user: None, password: secret(text) };
    Attempt { session: None, proof: Some(proof) }
}

/// A registration as test rigs send it: one request, `m.login.dummy`.
pub(crate) fn registration(username: &str) -> Register {
    Register {
        username: Some(username.to_owned()),
        password: Some(secret("tea")),
        device_id: None,
        initial_device_display_name: Some("phone".to_owned()),
        inhibit_login: None,
        refresh_token: None,
        guest_access_token: None,
        attempt: Some(dummy()),
        peer: PEER,
    }
}

pub(crate) fn login(user: &str, password: &str) -> LogIn {
    LogIn {
        proof: with_password(user, password),
        device_id: None,
        initial_device_display_name: None,
        refresh_token: false,
        peer: PEER,
    }
}

pub(crate) fn with_password(user: &str, password: &str) -> LogInProof {
    LogInProof::Password { user: Named::User(user.to_owned()), password: secret(password) }
}

async fn resolve_from(accounts: &Accounts, token: &Secret, peer: IpAddr) -> Resolved {
    let seen = Sighting { address: Some(peer), user_agent: Some("test") };
    accounts.resolve(token.expose(), seen).await.unwrap()
}

async fn arriving(accounts: &Accounts, guest: &Registered, peer: IpAddr) -> (Actor, NewGuest) {
    let token = &guest.session.as_ref().unwrap().access_token;
    match resolve_from(accounts, token, peer).await {
        Resolved::Arriving(actor, arriving) => (actor, arriving),
        other => panic!("not a guest without rows: {other:?}"),
    }
}

/// The guest stores a filter, as its first act. Says why not, if the policy refuses.
pub(crate) async fn first_act(
    accounts: &Accounts,
    guest: &Registered,
    peer: IpAddr,
) -> Result<(), Denial> {
    let (actor, arriving) = arriving(accounts, guest, peer).await;
    let stored = accounts.create_filter(&actor, guest.user_id.clone(), serde_json::Map::new());
    let done = arriving.act(stored).await.expect("nobody logged out");
    match (done, arriving.refusal().await) {
        (Ok(_), None) => Ok(()),
        (Err(CreateFilterError::Storage(StorageError::NotLetIn)), Some(denial)) => Err(denial),
        other => panic!("neither kept nor refused: {other:?}"),
    }
}

impl House {
    pub(crate) async fn register(&self, username: &str) -> NewSession {
        let registered = self.accounts.register(registration(username)).await.unwrap();
        registered.session.unwrap()
    }

    /// Registers and says who acts then.
    pub(crate) async fn person(&self, username: &str) -> Actor {
        let session = self.register(username).await;
        self.actor(&session).await
    }

    pub(crate) async fn create(&self, username: &str, class: &str) -> OwnedUserId {
        let command = CreateAccount {
            username: username.to_owned(),
            password: secret("tea"),
            class: ClassName::new(class),
            displayname: None,
        };
        self.accounts.create_account(command).await.unwrap()
    }

    /// A guest who did something, so that it has rows.
    pub(crate) async fn guest(&self) -> Registered {
        self.guest_from(PEER).await.unwrap()
    }

    /// The same, from an address; or why it may do nothing.
    pub(crate) async fn guest_from(
        &self,
        peer: IpAddr,
    ) -> Result<Registered, crate::RegisterGuestError> {
        let guest = self.unwritten_guest_from(peer).await?;
        first_act(&self.accounts, &guest, peer).await?;
        Ok(guest)
    }

    /// A guest who has a token and nothing else.
    pub(crate) async fn unwritten_guest(&self) -> Registered {
        self.unwritten_guest_from(PEER).await.unwrap()
    }

    async fn unwritten_guest_from(
        &self,
        peer: IpAddr,
    ) -> Result<Registered, crate::RegisterGuestError> {
        let name = Some("browser".to_owned());
        let command = crate::RegisterGuest { initial_device_display_name: name, peer };
        self.accounts.register_guest(command).await
    }

    pub(crate) async fn resolve(&self, token: &Secret) -> Resolved {
        self.resolve_from(token, PEER).await
    }

    pub(crate) async fn resolve_from(&self, token: &Secret, peer: IpAddr) -> Resolved {
        resolve_from(&self.accounts, token, peer).await
    }

    /// Who acts with this token of a guest without rows.
    pub(crate) async fn arriving(&self, guest: &Registered) -> (Actor, NewGuest) {
        arriving(&self.accounts, guest, PEER).await
    }

    /// Restrains an account as the operator at the machine.
    pub(crate) async fn restrain(
        &self,
        user_id: &OwnedUserId,
        restraint: Restraint,
        on: bool,
    ) -> Result<(), RestrainError> {
        let command = Restrain { user_id: user_id.clone(), restraint, on };
        self.accounts.restrain(&Assigner::Operator, command).await
    }

    /// Who acts with this session.
    pub(crate) async fn actor(&self, session: &NewSession) -> Actor {
        match self.resolve(&session.access_token).await {
            Resolved::Active(actor) => actor,
            other => panic!("not an active session: {other:?}"),
        }
    }

    /// The kinds of all jobs that wait.
    pub(crate) async fn jobs(&self) -> Vec<String> {
        self.store
            .read(|read| jobs::due(read, None, u64::MAX, 100))
            .await
            .unwrap()
            .into_iter()
            .map(|(_, job)| job.kind)
            .collect()
    }
}

/// The challenge in an error, for those who expect one.
pub(crate) fn challenge(error: impl Into<RegisterError>) -> crate::Challenge {
    match error.into() {
        RegisterError::Uia(UiaError::Challenge(challenge)) => *challenge,
        other => panic!("not a challenge: {other:?}"),
    }
}
