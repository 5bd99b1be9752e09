//! What this server and others tell each other: the key ring, transactions in and out,
//! memberships across servers, history fetched from elsewhere.
//!
//! Services below name what they need from other servers as small traits
//! ([`vestibule_rooms::Elsewhere`]); this crate implements them over [`vestibule_remote::Remote`].

mod elsewhere;
mod handshake;
mod inbound;
mod key_ring;
mod keys;
mod media;
mod sender;
mod service;
mod third_party;

pub use vestibule_remote::{FailingServer, Finding, Outcome};

pub use self::{
    elsewhere::as_sent,
    handshake::{BringInviteError, BroughtInvite, HandInError, OldInvite},
    inbound::{PduAnswers, PduOutcome, ReceiveTransactionError, Transaction},
    key_ring::{
        ChecksBusy, KeyRing, OwnKey, PublishKeysError, QueryKeysError, RequestKeys,
        RequestSignature, RotateKeyError, VerifyEventError, VerifyObjectError, VerifyRequestError,
    },
    service::{Federation, FederationParts},
    third_party::{BoundInvite, ExchangeError, FederationJobError, ThirdPartyBoundError},
};
