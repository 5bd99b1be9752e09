//! Proof that the policy allowed one act. Services take permits; only a decision makes them.

use std::marker::PhantomData;

use ruma::{OwnedUserId, UserId};
use vestibule_types::ClassName;

use crate::{Decision, Denial, Object, Obligation, Reason};

/// The kind of act a permit is for. Sealed: the kinds are the ones below.
pub trait PermitKind: sealed::Sealed + 'static {
    /// The names of the actions it covers.
    const ACTIONS: &'static [&'static str];
}

mod sealed {
    pub trait Sealed {}
}

/// Markers that name what a [`Permit`] is for.
pub mod kind {
    use super::{PermitKind, sealed::Sealed};

    macro_rules! kinds {
        ($($(#[$doc:meta])+ $kind:ident = [$($action:literal),+];)+) => {$(
            $(#[$doc])+
            #[derive(Debug)]
            pub enum $kind {}
            impl Sealed for $kind {}
            impl PermitKind for $kind {
                const ACTIONS: &'static [&'static str] = &[$($action),+];
            }
        )+

            /// Every action some kind of permit covers.
            #[cfg(test)]
            pub(crate) const COVERED: &[&[&str]] = &[$($kind::ACTIONS),+];
        };
    }

    kinds! {
        /// Become joined, by whatever road.
        Join = ["join"];
        /// Leave or reject.
        Leave = ["leave"];
        /// Ask to be let in.
        Knock = ["knock"];
        /// Invite somebody.
        Invite = ["send_invite"];
        /// Receive an invitation from another server.
        BeInvited = ["be_invited"];
        /// Remove somebody.
        Kick = ["kick"];
        /// Ban or unban somebody.
        Ban = ["ban", "unban"];
        /// Send a message-like event.
        Send = ["send_event"];
        /// Send a state event.
        SendState = ["send_state"];
        /// Redact an event.
        Redact = ["redact_own", "redact_other"];
        /// Make a room.
        CreateRoom = ["create_room.dm", "create_room.space", "create_room.public", "create_room.private"];
        /// Replace a room.
        UpgradeRoom = ["upgrade_room"];
        /// Give a room an alias.
        CreateAlias = ["create_alias"];
        /// Take an alias away.
        DeleteAlias = ["delete_alias"];
        /// Point an alias to a successor.
        MoveAlias = ["move_alias"];
        /// List a room.
        Publish = ["publish"];
        /// Change one's own profile.
        SetProfile = ["set_displayname", "set_avatar", "set_profile_field", "rename"];
        /// Typing notices, receipts, read markers.
        Ephemeral = ["typing", "receipt", "read_marker"];
        /// Report something.
        Report = ["report"];
        /// Upload, query or claim keys.
        Keys = ["keys"];
        /// Send a to-device message.
        ToDevice = ["to_device"];
        /// Upload media.
        Upload = ["upload_media"];
        /// Write account data.
        AccountData = ["account_data"];
        /// Become a guest.
        RegisterGuest = ["register_guest"];
        /// Give an account another class.
        AssignClass = ["assign_class"];
        /// Answer for somebody else's alias.
        AdoptAlias = ["adopt_alias"];
        /// Approve a space's edge.
        ApproveSpaceChild = ["approve_space_child"];
        /// Have a guest link open a room.
        RedeemGuestLink = ["redeem_guest_link"];
        /// Make and revoke guest links.
        ManageGuestLinks = ["manage_guest_links"];
        /// Block a room, or let people in again.
        BlockRoom = ["block_room"];
    }
}

/// Proof that the policy of one epoch allowed one act of one account on one object.
///
/// It cannot be cloned and is spent by [`Permit::verify`].
#[derive(Debug)]
#[must_use = "a permit that is not spent allowed nothing"]
pub struct Permit<K> {
    subject: OwnedUserId,
    object: Object,
    epoch: u64,
    class: ClassName,
    obligations: Vec<Obligation>,
    kind: PhantomData<fn() -> K>,
}

impl<K: PermitKind> Permit<K> {
    pub(crate) fn mint(decision: Decision) -> Self {
        Self {
            subject: decision.subject,
            object: decision.object,
            epoch: decision.epoch,
            class: decision.class,
            obligations: decision.obligations,
            kind: PhantomData,
        }
    }

    /// Whose permit it is.
    #[must_use]
    pub fn subject(&self) -> &UserId {
        &self.subject
    }

    /// What it is for.
    #[must_use]
    pub fn object(&self) -> &Object {
        &self.object
    }

    /// The policy it was made by.
    #[must_use]
    pub fn epoch(&self) -> u64 {
        self.epoch
    }

    /// The class the decision was made for: what an alias row records as its creator's class.
    #[must_use]
    pub fn class(&self) -> &ClassName {
        &self.class
    }

    /// What whoever spends it must do.
    #[must_use]
    pub fn obligations(&self) -> &[Obligation] {
        &self.obligations
    }

    /// Spends the permit. It must be for this subject and object and of the epoch that is asserted
    /// by the batch that it allows.
    pub fn verify(
        self,
        subject: &UserId,
        object: &Object,
        epoch: u64,
    ) -> Result<Spent, PermitMismatch> {
        if self.epoch != epoch {
            return Err(PermitMismatch::Stale);
        }
        if self.subject != subject {
            return Err(PermitMismatch::Subject);
        }
        if self.object != *object {
            return Err(PermitMismatch::Object);
        }
        Ok(Spent { class: self.class, obligations: self.obligations })
    }
}

/// What is left of a permit: what its spender must write down and do.
#[derive(Debug)]
pub struct Spent {
    /// The class the decision was made for.
    pub class: ClassName,
    /// What must be done with the act.
    pub obligations: Vec<Obligation>,
}

impl Spent {
    /// The suffix to append to the display name, if any.
    #[must_use]
    pub fn name_suffix(&self) -> Option<&str> {
        self.obligations.iter().find_map(|obligation| match obligation {
            Obligation::AppendNameSuffix(suffix) => Some(suffix.as_str()),
            Obligation::StripReason | Obligation::BareMembership { .. } => None,
        })
    }

    /// Whether free text must be left out.
    #[must_use]
    pub fn strips_reason(&self) -> bool {
        self.obligations.contains(&Obligation::StripReason)
    }
}

/// A permit that does not fit what it was shown for.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum PermitMismatch {
    /// Made by an earlier policy: decide again.
    #[error("the permit is of an earlier policy")]
    Stale,
    /// Somebody else's.
    #[error("the permit belongs to another account")]
    Subject,
    /// For something else.
    #[error("the permit is for another object")]
    Object,
}

impl From<PermitMismatch> for Denial {
    fn from(mismatch: PermitMismatch) -> Self {
        Self::new(Reason::PermitStale, false, mismatch.to_string())
    }
}
