//! What the operator decides about accounts.

use std::time::Duration;

use ruma::OwnedServerName;
use vestibule_types::Secret;

use crate::Rate;

/// Who may register.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum RegistrationMode {
    /// Nobody; the operator makes accounts.
    #[default]
    Closed,
    /// Whoever has a registration token.
    Token,
    /// Everybody.
    Open,
}

/// A document that people agree to when they register.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Terms {
    /// A name for the document, such as `privacy_policy`.
    pub name: String,
    /// The version of the document.
    pub version: String,
    /// The language of the title and the text.
    pub language: String,
    /// What people see.
    pub title: String,
    /// Where it can be read.
    pub url: String,
}

/// Whether those who register prove to have an e-mail address.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum EmailAtRegistration {
    /// Nobody is asked.
    #[default]
    Off,
    /// Who wants to.
    Optional,
    /// Everybody.
    Required,
}

/// The `[email]` section, as this service needs it.
#[derive(Clone, Debug)]
pub struct EmailConfig {
    /// Where clients reach this server: links in mail begin with it.
    pub link_base: String,
    /// How long a link is good.
    pub link_life: Duration,
    /// The hosts to which people are sent after they opened a link.
    pub next_link_hosts: Vec<String>,
}

/// The TURN server for calls, as this service needs it.
#[derive(Clone, Debug)]
pub struct TurnConfig {
    /// Where it listens.
    pub uris: Vec<String>,
    /// How users log in there.
    pub key: TurnKey,
    /// How long credentials are good.
    pub life: Duration,
}

/// How users log in at a TURN server.
#[derive(Clone, Debug)]
pub enum TurnKey {
    /// Each with credentials of their own, made with a secret that the TURN server shares.
    Shared(Secret),
    /// All with the same.
    Fixed {
        /// The name.
        username: String,
        /// The password.
        password: Secret,
    },
}

/// The `[registration]` section, as this service needs it.
#[derive(Clone, Debug, Default)]
pub struct RegistrationConfig {
    /// Who may register.
    pub mode: RegistrationMode,
    /// The secret of `/_synapse/admin/v1/register`; without one the endpoint is closed.
    pub shared_secret: Option<Secret>,
    /// What people agree to.
    pub terms: Vec<Terms>,
    /// Whether they prove to have an e-mail address, where this server sends mail.
    pub email: EmailAtRegistration,
}

/// How long sessions last.
#[derive(Clone, Debug)]
pub struct SessionConfig {
    /// The life of an access token that comes with a refresh token. Others do not end.
    pub access_token_life: Duration,
    /// How long a device is kept that nobody uses; `None` keeps it for ever.
    pub device_idle_life: Option<Duration>,
    /// How often sightings of devices are written.
    pub seen_flush_every: Duration,
    /// Whether somebody who is logged in may let one more client in with a token.
    pub login_tokens: bool,
}

impl Default for SessionConfig {
    fn default() -> Self {
        Self {
            access_token_life: Duration::from_hours(1),
            device_idle_life: None,
            seen_flush_every: Duration::from_mins(5),
            login_tokens: true,
        }
    }
}

/// How often things may be tried. Requests from the machine itself are not counted by address,
/// because they come from an operator, or from a proxy that does not tell whom it speaks for.
#[derive(Clone, Debug)]
pub struct AccountLimits {
    /// Logins by address.
    pub logins: Rate,
    /// Wrong passwords by address and account, and by account alone ten times as many.
    pub wrong_passwords: Rate,
    /// Registrations by address.
    pub registrations: Rate,
    /// Questions whether a registration token is good, or a name is free, by address.
    pub lookups: Rate,
    /// `OpenID` tokens, per user.
    pub openid_tokens: Rate,
    /// Tokens for one more login, per user.
    pub login_tokens: Rate,
    /// Mail asked for, by address of the asker.
    pub mails: Rate,
    /// Mail asked for, by address of the mail.
    pub mails_of_address: Rate,
    /// Passwords hashed at the same time.
    pub hashes_at_once: usize,
    /// The shortest password.
    pub password_bytes_min: usize,
}

impl Default for AccountLimits {
    fn default() -> Self {
        Self {
            logins: Rate { burst: 60, every: Duration::from_secs(2) },
            wrong_passwords: Rate { burst: 10, every: Duration::from_secs(20) },
            registrations: Rate { burst: 100, every: Duration::from_secs(10) },
            lookups: Rate { burst: 60, every: Duration::from_secs(2) },
            openid_tokens: Rate { burst: 20, every: Duration::from_secs(10) },
            login_tokens: Rate { burst: 5, every: Duration::from_mins(1) },
            mails: Rate { burst: 20, every: Duration::from_mins(1) },
            mails_of_address: Rate { burst: 5, every: Duration::from_mins(10) },
            hashes_at_once: 2,
            password_bytes_min: 1,
        }
    }
}

/// Everything the operator decides about accounts.
#[derive(Clone, Debug)]
pub struct AccountsConfig {
    /// The name behind the colon of every account.
    pub server_name: OwnedServerName,
    /// Who may register, and how.
    pub registration: RegistrationConfig,
    /// How long sessions last.
    pub sessions: SessionConfig,
    /// How mail is written; `None` when this server sends none.
    pub email: Option<EmailConfig>,
    /// The TURN server for calls, if there is one.
    pub turn: Option<TurnConfig>,
    /// How often things may be tried.
    pub limits: AccountLimits,
}

impl AccountsConfig {
    /// The defaults: registration is closed.
    #[must_use]
    pub fn new(server_name: OwnedServerName) -> Self {
        Self {
            server_name,
            registration: RegistrationConfig::default(),
            sessions: SessionConfig::default(),
            email: None,
            turn: None,
            limits: AccountLimits::default(),
        }
    }
}
