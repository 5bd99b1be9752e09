//! Accounts: who has one, what they are logged in on, what they say of themselves and keep.
//!
//! The class of an account is a column of its row, read in whatever transaction decides by it; no
//! cache stands before it. What the policy may refuse takes a permit, minted inside the write.
//! Rooms are above: what has to happen there is left as a durable job ([`job`]), and what has to be
//! known from there is asked through [`Acquaintance`].

mod account;
mod config;
mod contact;
mod device;
pub mod facts;
mod flush;
mod gate;
pub mod job;
mod ledger;
mod mail;
mod openid;
mod pace;
mod password;
mod profile;
mod registration;
mod seen;
mod service;
mod session;
mod throttle;
mod token;
mod turn;
mod uia;
mod user_data;
mod username;

pub use vestibule_storage::{
    StorageError,
    tables::account::{StoredAccountState as AccountState, StoredSeen as Seen},
};

pub use self::{
    account::{
        AccountSummary, Assigner, ChangePassword, ChangePasswordError, Deactivate, DeactivateError,
        EndAccount, EndAccountError, ModerationAct, PasswordError, Restrain, RestrainError,
        Restraint, SetClass, SetClassError,
    },
    config::{
        AccountLimits, AccountsConfig, EmailAtRegistration, EmailConfig, RegistrationConfig,
        RegistrationMode, SessionConfig, Terms, TurnConfig, TurnKey,
    },
    contact::{
        AddContact, AddContactError, CONFIRM_PATH, ConfirmEmailError, Contact, DeleteContactError,
        EmailQuestion, RequestValidation, RequestValidationError, ValidationPurpose,
    },
    device::{
        DeleteDevices, DeleteDevicesError, Device, DeviceTrace, UpdateDeviceError, WhoisError,
        dehydrated, list_change,
    },
    gate::{Refusal, known_subject, spend},
    ledger::{AuditedDenial, Ledger, Refused},
    mail::{Letter, Post, PostError},
    openid::{OpenidToken, RequestOpenidTokenError},
    password::HasherBusy,
    profile::{
        LookUpProfileError, ProfileElsewhereError, ProfileForServerError, ProfilesElsewhere,
        SetProfileField, SetProfileFieldError,
    },
    registration::{
        AvailableError, CreateAccount, CreateAccountError, CreateTokenError, NewRegistrationToken,
        Register, RegisterError, RegisterGuest, RegisterGuestError, RegisterShared,
        RegisterSharedError, Registered, RegistrationToken,
    },
    service::{Accounts, AccountsParts, Acquaintance, system_user_of},
    session::{
        LogIn, LogInError, LogInProof, LoginToken, Named, NewGuest, NewSession, RefreshError,
        Refreshed, RequestLoginTokenError, Resolved, SessionEnd, Sighting, session_end,
    },
    throttle::Rate,
    token::TokenKind,
    turn::TurnCredentials,
    uia::{Attempt, Challenge, Failure, FallbackMail, FallbackStage, Proof, Stage, UiaError},
    user_data::{
        AccountDataItem, ChangePushRuleError, CreateFilterError, PutAccountData, PutPushRule,
        SetAccountDataError, SetTagError, follow_room, push_rules_content, push_rules_of_all_kinds,
        renew_filter, tag_notice_room,
    },
    username::{GUEST_PREFIX, SYSTEM_LOCALPART, UsernameError},
};

#[cfg(test)]
mod tests;
