//! May this actor do this? Decision, reason, trace and permit. Pure.
//!
//! A caller gathers [`Facts`], asks [`Policy::decide`] with a [`Request`], and gets a [`Decision`]
//! that carries its own explanation. Services take a [`Permit`], which only a decision can make.
//! Nothing here performs I/O, reads a clock, draws random numbers or awaits.

mod ability;
mod action;
mod aliases;
mod buckets;
mod class;
mod compile;
mod config;
mod decide;
mod decision;
mod denial;
mod doubts;
mod endpoint;
mod explain;
mod facts;
mod last_admin;
mod names;
mod permit;
mod policy;
mod rate;
mod record;
mod requests;
mod skeleton;
mod space;
mod tally;

pub use self::{
    ability::{Ability, AbilitySet},
    action::{AccountState, Action, Invitee, Object, Request, RoomKind, Subject},
    buckets::{AddressBlock, Charge, RateBuckets, RateWho},
    class::{Class, FederatedJoin, RoomNames, Rung, Scope, Standing},
    compile::{PolicyError, Warning, compile},
    config::{
        AliasesConfig, AssignConfig, AuditConfig, CapsConfig, ClassConfig, DirectoryConfig,
        GuestsConfig, LeavesScopeConfig, LifeConfig, PolicyConfig, RoomRulesConfig, ScopeConfig,
        SpaceConfig, Texts, UsersConfig,
    },
    decision::{Decision, Layer, Obligation, Outcome, TraceStep, Verdict},
    denial::{Denial, DenialKind, Reason},
    doubts::StartFacts,
    endpoint::{CallRefusal, EndpointRule},
    explain::{Answer, Explanation},
    facts::{
        AliasFact, AliasOrigin, Counts, Facts, GrantFact, Pins, RateFact, Residency, RoomFacts,
        SpaceFact, SpaceFinding,
    },
    last_admin::{GuardAnswer, LAST_ADMIN_WINDOW_MS, LastAdminGuard, PowerFacts},
    names::{GUEST_LOCALPART_PREFIX, shown_name, with_suffix},
    permit::{Permit, PermitKind, PermitMismatch, Spent, kind},
    policy::{GuestLife, Policy, PolicyHandle, WhenRoomLeavesScope},
    rate::{Bucket, RATE_COUNT_MAX, Rate, RateKey, RatePer},
    record::{Act, Flip, Invited, Outcomes, Recorded, Recording, Simulation, Tried},
    space::{ChildEdge, Children, EdgeJudgement, Setter, SpaceChildren, SpaceRule, SpaceWalk},
    tally::{CALL, Opener, Told, Word},
};
pub(crate) use aliases::AliasRules;

#[cfg(test)]
mod tests;
