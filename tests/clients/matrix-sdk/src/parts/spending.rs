//! One-time keys are spent and made again; when none is left the fallback key serves.

use std::collections::{BTreeMap, BTreeSet};

use anyhow::Context;
use matrix_sdk::ruma::{
    OneTimeKeyAlgorithm,
    api::client::{
        keys::claim_keys::v3::Request as ClaimKeys, sync::sync_events::v3::Request as Sync,
    },
};
use serde_json::Value;

use super::World;
use crate::{
    device::{Device, Way},
    facts::until,
};

/// More keys than a device of the SDK keeps on the server, even when it made them twice over.
const CLAIMS_MAX: usize = 160;
/// How often the fallback key is claimed.
const FALLBACKS: usize = 3;

/// States the facts.
pub async fn play(world: &mut World<'_>) -> anyhow::Result<()> {
    let (facts, room) = (world.facts, world.room()?.clone());
    let full = until(async || counted(&world.bob).await.is_ok_and(|count| count >= 50)).await;
    facts.check(
        "a device keeps fifty one-time keys on the server",
        full,
        counted(&world.bob).await.ok(),
    );
    world.bob.stop().await;
    let here = counted(&world.bob).await?;
    let spent = drain(world).await?;
    facts.check(
        "each one-time key is given out once",
        spent.once.len() as u64 == here,
        (spent.once.len(), here),
    );
    facts.check(
        "then the one fallback key is given out again and again",
        spent.fallback.len() == 1,
        &spent.fallback,
    );

    // A device that never spoke with Bob can only reach him by the fallback key.
    world.laptop.client.get_room(&room).context("no room")?.discard_room_key().await?;
    let stranger = Device::log_in(world.stage, "robot", "A robot", Way::V3).await?;
    world.phone.room(&room).await?.invite_user_by_id(&stranger.user()).await?;
    stranger.joins(&room).await?;
    stranger.room(&room).await?.sync_members().await?;
    stranger.say(&room, "reached by the fallback key").await?;
    world.bob.start().await?;
    facts.check(
        "what was sent with the fallback key is read",
        world.bob.reads("reached by the fallback key").await,
        (),
    );
    let again = until(async || counted(&world.bob).await.is_ok_and(|count| count >= 50)).await;
    facts.check(
        "a device that comes back makes new one-time keys",
        again,
        counted(&world.bob).await.ok(),
    );
    world.bob.stop().await;
    let newer = drain(world).await?;
    facts.check(
        "none of the new one-time keys was there before",
        newer.once.is_disjoint(&spent.once),
        newer.once.len(),
    );
    facts.check(
        "the fallback key is there again when they are spent",
        newer.fallback.len() == 1,
        &newer.fallback,
    );
    world.bob.start().await?;
    stranger.client.get_room(&room).context("no room")?.leave().await?;
    Ok(())
}

/// The ids of keys that were given out.
#[derive(Default)]
struct Spent {
    once: BTreeSet<String>,
    fallback: BTreeSet<String>,
}

/// Claims keys of Bob's until only the fallback key is left.
async fn drain(world: &World<'_>) -> anyhow::Result<Spent> {
    let mut spent = Spent::default();
    let mut fallbacks = 0;
    for _ in 0..CLAIMS_MAX {
        let (id, key) = claim(&world.phone, &world.bob).await?;
        if key.get("fallback") == Some(&Value::Bool(true)) {
            spent.fallback.insert(id);
            fallbacks += 1;
        } else {
            anyhow::ensure!(spent.once.insert(id), "a one-time key was given out twice");
        }
        if fallbacks == FALLBACKS {
            return Ok(spent);
        }
    }
    anyhow::bail!("{} one-time keys, and no end", spent.once.len())
}

/// How many one-time keys of a device the server counts.
async fn counted(device: &Device) -> anyhow::Result<u64> {
    let answer = device.client.send(Sync::new()).await?;
    let count = answer.device_one_time_keys_count.get(&OneTimeKeyAlgorithm::SignedCurve25519);
    Ok(count.copied().map(u64::from).unwrap_or_default())
}

/// Claims one key of a device: its id and itself.
async fn claim(who: &Device, of: &Device) -> anyhow::Result<(String, Value)> {
    let device = of.client.device_id().context("no device")?.to_owned();
    let wanted = BTreeMap::from([(
        of.user(),
        BTreeMap::from([(device.clone(), OneTimeKeyAlgorithm::SignedCurve25519)]),
    )]);
    let answer = who.client.send(ClaimKeys::new(wanted)).await?;
    let keys = answer
        .one_time_keys
        .get(&of.user())
        .and_then(|devices| devices.get(&device))
        .context("no key")?;
    let (id, key) = keys.first_key_value().context("no key")?;
    Ok((id.to_string(), key.deserialize_as_unchecked()?))
}
