//! The parts of the scenario, in the order they are played.

mod everyday;
pub mod greeting;
mod keeping;
mod lasting;
mod parting;
mod sliding;
mod spending;
mod talking;
mod verifying;

use matrix_sdk::ruma::OwnedRoomId;

use crate::{
    device::{Device, Way},
    facts::Facts,
    stage::Stage,
};

/// What the parts share: the people, their devices, and the room they talk in.
pub struct World<'a> {
    pub stage: &'a Stage,
    pub facts: &'a Facts,
    /// Alice's first device, told by `/v3/sync`.
    pub phone: Device,
    /// Alice's second device, told by two sliding syncs.
    pub laptop: Device,
    /// Bob's device, told by sliding sync.
    pub bob: Device,
    /// Alice's third device, which logs in later.
    pub tablet: Option<Device>,
    /// Bob's second device, with a sliding sync driven by hand.
    pub windows: Option<sliding::Windows>,
    /// The encrypted room both are in.
    pub room: Option<OwnedRoomId>,
}

impl<'a> World<'a> {
    /// Logs two people and three devices in.
    pub async fn begin(stage: &'a Stage, facts: &'a Facts) -> anyhow::Result<Self> {
        Ok(Self {
            stage,
            facts,
            phone: Device::log_in(stage, "alice", "Alice's phone", Way::V3).await?,
            laptop: Device::log_in(stage, "alice", "Alice's laptop", Way::Split).await?,
            bob: Device::log_in(stage, "bob", "Bob's phone", Way::Sliding).await?,
            tablet: None,
            windows: None,
            room: None,
        })
    }

    /// The encrypted room, once it was made.
    pub fn room(&self) -> anyhow::Result<&OwnedRoomId> {
        self.room.as_ref().ok_or_else(|| anyhow::anyhow!("the encrypted room was not made"))
    }
}

/// Plays every part that needs the people.
pub async fn play(world: &mut World<'_>) {
    let facts = world.facts;
    facts.part("talking", talking::play(world)).await;
    facts.part("verifying", verifying::play(world)).await;
    facts.part("keeping keys", keeping::play(world)).await;
    facts.part("spending keys", spending::play(world)).await;
    facts.part("parting", parting::play(world)).await;
    facts.part("sliding", sliding::play(world)).await;
    facts.part("lasting", lasting::play(world)).await;
    facts.part("everyday", everyday::play(world)).await;
}

/// Plays what is different when Bob and Carol are on another server.
pub async fn play_abroad(world: &mut World<'_>) {
    let facts = world.facts;
    facts.part("talking", talking::play(world)).await;
    facts.part("verifying", verifying::play(world)).await;
    facts.part("spending keys", spending::play(world)).await;
    facts.part("parting", parting::play(world)).await;
    facts.part("everyday", everyday::play(world)).await;
}
