//! Cross-signing, interactive verification, and the keys a verified device is given.

use anyhow::Context;
use matrix_sdk::{
    encryption::{
        CrossSigningResetAuthType,
        verification::{
            SasVerification, Verification, VerificationRequest, VerificationRequestState,
        },
    },
    ruma::{OwnedEventId, UserId},
};

use super::World;
use crate::{
    device::{Device, Way, password},
    facts::until,
};

/// States the facts.
pub async fn play(world: &mut World<'_>) -> anyhow::Result<()> {
    bootstrap(world).await?;
    own_devices(world).await?;
    each_other(world).await?;
    late(world).await
}

/// Cross-signing keys are uploaded, and replaced with the password.
async fn bootstrap(world: &World<'_>) -> anyhow::Result<()> {
    let (stage, facts) = (world.stage, world.facts);
    let carol = Device::log_in(stage, "carol", "Carol's phone", Way::Sliding).await?;
    for (device, who) in [(&world.phone, "alice"), (&world.bob, "bob"), (&carol, "carol")] {
        let encryption = device.client.encryption();
        // The first keys of an account may go up without a password.
        if let Err(stop) = encryption.bootstrap_cross_signing(None).await {
            let asked = stop.as_uiaa_response().with_context(|| format!("{stop}"))?;
            let given = password(stage, who, asked)?;
            encryption.bootstrap_cross_signing(Some(given)).await?;
        }
        facts.check(
            &format!("{who}'s first device signs itself in {who}'s name"),
            device.becomes_verified().await,
            (),
        );
    }
    let before = master_key(&carol).await?;
    let handle = carol.client.encryption().reset_cross_signing().await?;
    let handle = handle.context("cross-signing keys were replaced without a password")?;
    let CrossSigningResetAuthType::Uiaa(asked) = handle.auth_type() else {
        anyhow::bail!("no password was asked for")
    };
    facts.check("to replace cross-signing keys takes the password", before.is_some(), &before);
    handle.auth(Some(password(stage, "carol", asked)?)).await?;
    let replaced = until(async || {
        master_key(&carol).await.is_ok_and(|after| after.is_some() && after != before)
    })
    .await;
    facts.check("with the password they are replaced", replaced, ());
    facts.check("and the device is signed with the new ones", carol.becomes_verified().await, ());
    carol.client.matrix_auth().logout().await?;
    Ok(())
}

/// The public master key of a device's user, as the server tells it.
async fn master_key(device: &Device) -> anyhow::Result<Option<String>> {
    let identity = device.client.encryption().request_user_identity(&device.user()).await?;
    Ok(identity
        .and_then(|identity| identity.master_key().get_first_key().map(|key| key.to_base64())))
}

/// Alice compares emoji on her two devices.
async fn own_devices(world: &World<'_>) -> anyhow::Result<()> {
    let (phone, laptop, facts) = (&world.phone, &world.laptop, world.facts);
    let alice = phone.user();
    let knows = until(async || {
        laptop
            .client
            .encryption()
            .get_user_identity(&alice)
            .await
            .is_ok_and(|found| found.is_some())
    })
    .await;
    facts.check("a device hears of its user's cross-signing keys by sliding sync", knows, ());
    let own = laptop.client.encryption().get_user_identity(&alice).await?.context("no identity")?;
    let asked = own.request_verification().await?;
    let asked_of = request(phone, &alice, asked.flow_id()).await?;
    compare(world, "two devices of a user compare emoji", (laptop, &asked), (phone, &asked_of))
        .await?;
    facts.check("the device compared with is verified", laptop.becomes_verified().await, ());
    let id = laptop.client.device_id().context("no device")?.to_owned();
    let seen = until(async || {
        let device = phone.client.encryption().get_device(&alice, &id).await;
        device.is_ok_and(|device| {
            device.is_some_and(|device| device.is_verified_with_cross_signing())
        })
    });
    facts.check("the verifying device sees the other's signature", seen.await, ());
    let complete = until(async || {
        laptop
            .client
            .encryption()
            .cross_signing_status()
            .await
            .is_some_and(|status| status.is_complete())
    });
    facts.check("the verified device is given the private cross-signing keys", complete.await, ());
    Ok(())
}

/// Alice and Bob compare emoji in the room.
async fn each_other(world: &World<'_>) -> anyhow::Result<()> {
    let (phone, bob, facts) = (&world.phone, &world.bob, world.facts);
    let (alice, id) = (phone.user(), bob.user());
    for (device, other) in [(phone, &id), (bob, &alice)] {
        device.client.encryption().request_user_identity(other).await?;
    }
    let direct = phone.client.create_dm(&id).await?.room_id().to_owned();
    bob.joins(&direct).await?;
    let between = until(async || {
        let Some(room) = phone.client.get_dm_room(&id) else {
            return false;
        };
        let member = room.get_member_no_sync(&id).await;
        member.is_ok_and(|it| it.is_some_and(|it| it.membership().as_str() == "join"))
    });
    facts.check("a room for two is known as one", between.await, &direct);
    let identity =
        phone.client.encryption().get_user_identity(&id).await?.context("Bob has no identity")?;
    let asked = identity.request_verification().await?;
    facts.check(
        "a user is asked for a verification in the room for two",
        asked.room_id() == Some(&direct),
        asked.room_id(),
    );
    let asked_of = request(bob, &alice, asked.flow_id()).await?;
    compare(world, "two users compare emoji", (phone, &asked), (bob, &asked_of)).await?;
    for (device, other, name) in [
        (phone, &id, "Alice sees Bob"),
        (bob, &alice, "Bob sees Alice"),
        (&world.laptop, &id, "Alice's other device sees Bob"),
    ] {
        let verified = until(async || {
            let found = device.client.encryption().get_user_identity(other).await;
            found.is_ok_and(|found| found.is_some_and(|identity| identity.is_verified()))
        });
        facts.check(&format!("{name} as verified"), verified.await, ());
    }
    Ok(())
}

/// A device that logs in later reads what comes, and what was, once it is verified.
async fn late(world: &mut World<'_>) -> anyhow::Result<()> {
    let (facts, room) = (world.facts, world.room()?.clone());
    let old = world.bob.say(&room, "before the tablet").await?;
    world.facts.check(
        "the phone reads what the tablet will miss",
        world.phone.reads("before the tablet").await,
        &old,
    );
    let tablet = Device::log_in(world.stage, "alice", "Alice's tablet", Way::Sliding).await?;
    tablet.room(&room).await?;
    facts.check("other people's devices hear of it", world.bob.knows(&tablet).await, ());
    // The SDK drops what comes from a device it has not asked for yet, and asks once in a second.
    facts.check("and those of the user", world.phone.knows(&tablet).await, ());
    world.bob.say(&room, "with the tablet").await?;
    world.facts.check(
        "a device that logs in later reads what comes",
        tablet.reads("with the tablet").await,
        (),
    );
    facts.check("and cannot read what was", !opens(&tablet, &room, &old).await?, &old);
    let alice = tablet.user();
    let own =
        tablet.client.encryption().request_user_identity(&alice).await?.context("no identity")?;
    let asked = own.request_verification().await?;
    let asked_of = request(&world.phone, &alice, asked.flow_id()).await?;
    compare(
        world,
        "the late device is verified by comparing emoji",
        (&tablet, &asked),
        (&world.phone, &asked_of),
    )
    .await?;
    facts.check("and signed in its user's name", tablet.becomes_verified().await, ());
    let forwarded = until(async || opens(&tablet, &room, &old).await.unwrap_or(false)).await;
    facts.check("a verified device is forwarded the key of what was", forwarded, &old);
    world.tablet = Some(tablet);
    Ok(())
}

/// Whether a device can read an event that is fetched for it.
async fn opens(
    device: &Device,
    room: &matrix_sdk::ruma::RoomId,
    event: &OwnedEventId,
) -> anyhow::Result<bool> {
    Ok(device.room(room).await?.event(event, None).await?.encryption_info().is_some())
}

/// The request as it arrives on the other side.
async fn request(
    device: &Device,
    from: &UserId,
    flow: &str,
) -> anyhow::Result<VerificationRequest> {
    let encryption = device.client.encryption();
    until(async || encryption.get_verification_request(from, flow).await.is_some()).await;
    encryption
        .get_verification_request(from, flow)
        .await
        .context("the request for a verification did not arrive")
}

/// Goes through a verification by emoji; both sides see the same and come to their end.
async fn compare(
    world: &World<'_>,
    fact: &str,
    (device, asker): (&Device, &VerificationRequest),
    (other, asked): (&Device, &VerificationRequest),
) -> anyhow::Result<()> {
    asked.accept().await?;
    anyhow::ensure!(until(async || asker.is_ready()).await, "not ready: {:?}", asker.state());
    let ours = asker.start_sas().await?.context("no SAS was started")?;
    until(async || started(asked).is_some()).await;
    let theirs = started(asked).context("the other side heard of no SAS")?;
    theirs.accept().await?;
    let shown = until(async || ours.can_be_presented() && theirs.can_be_presented()).await;
    anyhow::ensure!(shown, "nothing to compare: {:?} {:?}", ours.state(), theirs.state());
    let symbols = |sas: &SasVerification| sas.emoji().map(|emoji| emoji.map(|emoji| emoji.symbol));
    let same = symbols(&ours).is_some() && symbols(&ours) == symbols(&theirs);
    ours.confirm().await?;
    // The SDK sends what it answers to this beside what it confirms itself, in no order: so this
    // arrives first.
    device.say(world.room()?, fact).await?;
    other.reads(fact).await;
    theirs.confirm().await?;
    let done = until(async || ours.is_done() && theirs.is_done()).await;
    world.facts.check(
        fact,
        same && done,
        (symbols(&ours), ours.state(), symbols(&theirs), theirs.state()),
    );
    Ok(())
}

fn started(request: &VerificationRequest) -> Option<SasVerification> {
    match request.state() {
        VerificationRequestState::Transitioned { verification: Verification::SasV1(sas) } => {
            Some(sas)
        }
        _ => None,
    }
}
