//! Decisions of late with the facts they were made from, so that another policy can be tried on what
//! happened. They are in memory only, the newest of each action; of what people do all the time a
//! sample is kept.

mod act;
mod replay;
mod ring;

use std::net::IpAddr;

use ruma::MilliSecondsSinceUnixEpoch;
use serde::{Deserialize, Serialize};

pub(crate) use self::ring::Records;
pub use self::{
    act::{Act, Invited},
    replay::{Flip, Outcomes, Simulation, Tried},
};
use crate::{Facts, Pins, Subject, Verdict};

/// One decision: the question, what was known, and what the policy in force says to it.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Recorded {
    /// Who asked, and of which class they were.
    pub subject: Subject,
    /// What they wanted to do. A display name is in it where one was to be set; no other text is.
    pub act: Act,
    /// When.
    pub now: MilliSecondsSinceUnixEpoch,
    /// Where from, truncated.
    pub address: Option<IpAddr>,
    /// What was known. Whether a rate was spent is not kept.
    pub facts: Facts,
    /// Which of the recording's pins were known.
    pub pins: Option<usize>,
    /// Whether everything was looked up that confined classes are judged by.
    pub gathered: bool,
    /// What the policy in force says.
    pub verdict: Verdict,
}

/// What a server recorded, the oldest first.
#[derive(Clone, Debug, Default, Serialize, Deserialize)]
pub struct Recording {
    /// The policy in force.
    pub epoch: u64,
    /// Whether guests are switched off by the operator, whatever a configuration says.
    pub guests_off: bool,
    /// Where listed aliases pointed, for the decisions to refer to.
    pub pins: Vec<Pins>,
    /// The decisions.
    pub decisions: Vec<Recorded>,
}
