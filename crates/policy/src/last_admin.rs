//! The last one able to change power levels is told before the room is left without any.

use crate::Policy;

/// `last_admin_guard`.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum LastAdminGuard {
    /// Told in the answer.
    #[default]
    Warn,
    /// Refused once; the same request again within ten minutes proceeds.
    RefuseOnce,
    /// Not minded.
    Off,
}

/// How long a refused leave may be asked again.
pub const LAST_ADMIN_WINDOW_MS: u64 = 600_000;

/// What is known when somebody leaves or lowers their own power.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
#[expect(clippy::struct_excessive_bools, reason = "each is a fact of its own")]
pub struct PowerFacts {
    /// Whether they can change power levels now.
    pub can_change_power: bool,
    /// Whether they will still be joined and able to afterwards.
    pub still_can_afterwards: bool,
    /// Joined users beside them.
    pub others_joined: u64,
    /// Joined users beside them who can change power levels.
    pub others_able: u64,
    /// Whether the room is a direct chat.
    pub is_direct: bool,
    /// Whether the account is being deactivated.
    pub deactivating: bool,
    /// How long ago the same request was refused, if it was.
    pub refused_ms_ago: Option<u64>,
}

/// What to do about it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum GuardAnswer {
    /// Go on.
    Proceed,
    /// Go on, and say so in the answer.
    ProceedAndTell,
    /// Refuse this time, and remember that it was refused.
    RefuseOnce,
}

impl Policy {
    /// Whether somebody may leave a room, or lower their own power, without more ado.
    #[must_use]
    pub fn last_admin_guard(&self, facts: PowerFacts) -> GuardAnswer {
        let leaves_nobody = facts.can_change_power
            && !facts.still_can_afterwards
            && facts.others_able == 0
            && facts.others_joined > 0
            && !facts.is_direct
            && !facts.deactivating;
        if !leaves_nobody {
            return GuardAnswer::Proceed;
        }
        let asked_before = facts.refused_ms_ago.is_some_and(|ago| ago <= LAST_ADMIN_WINDOW_MS);
        match self.last_admin_guard {
            LastAdminGuard::Off => GuardAnswer::Proceed,
            LastAdminGuard::RefuseOnce if !asked_before => GuardAnswer::RefuseOnce,
            LastAdminGuard::Warn | LastAdminGuard::RefuseOnce => GuardAnswer::ProceedAndTell,
        }
    }
}
