//! Three devices in an encrypted room, and files in it.

use anyhow::Context;
use matrix_sdk::{
    attachment::AttachmentConfig,
    media::{MediaFormat, MediaRequestParameters, MediaThumbnailSettings},
    ruma::{
        api::client::room::create_room::v3::{Request as CreateRoom, RoomPreset},
        events::room::{
            MediaSource,
            message::{MessageType, OriginalSyncRoomMessageEvent},
        },
        uint,
    },
};

use super::World;
use crate::facts::until;

/// One pixel, red.
const PIXEL: &[u8] = &[
    0x89, b'P', b'N', b'G', 0x0d, 0x0a, 0x1a, 0x0a, 0, 0, 0, 13, b'I', b'H', b'D', b'R', 0, 0, 0,
    1, 0, 0, 0, 1, 8, 2, 0, 0, 0, 0x90, 0x77, 0x53, 0xde, 0, 0, 0, 12, b'I', b'D', b'A', b'T',
    0x78, 0x9c, 0x63, 0xf8, 0xcf, 0xc0, 0, 0, 3, 1, 1, 0, 0xc9, 0xfe, 0x92, 0xef, 0, 0, 0, 0, b'I',
    b'E', b'N', b'D', 0xae, 0x42, 0x60, 0x82,
];

/// States the facts.
pub async fn play(world: &mut World<'_>) -> anyhow::Result<()> {
    let each_other =
        world.phone.knows(&world.laptop).await && world.laptop.knows(&world.phone).await;
    world.facts.check("devices of a user hear of each other", each_other, ());
    capabilities(world).await?;
    meet(world).await?;
    let (facts, room) = (world.facts, world.room()?.clone());
    let devices = [
        (&world.phone, "Alice's phone"),
        (&world.laptop, "Alice's laptop"),
        (&world.bob, "Bob's phone"),
    ];
    for (speaker, name) in devices {
        let text = format!("said on {name}");
        speaker.say(&room, &text).await?;
        for (hearer, other) in devices {
            let seen = hearer.reads(&text).await;
            let message = hearer.read(&text);
            let encrypted = message.as_ref().is_some_and(|message| message.session.is_some());
            facts.check(
                &format!("what is said on {name} is decrypted on {other}"),
                seen && encrypted,
                message,
            );
        }
    }
    let unread: Vec<_> =
        devices.iter().flat_map(|(device, _)| device.heard().unreadable.clone()).collect();
    facts.check(
        "nothing said among devices that know each other was unreadable",
        unread.is_empty(),
        unread,
    );
    secret_file(world).await?;
    plain_file(world).await
}

async fn capabilities(world: &World<'_>) -> anyhow::Result<()> {
    let server = world.phone.client.homeserver_capabilities();
    let facts = world.facts;
    let name = server.can_change_displayname().await?;
    facts.check("the capabilities let a member change the name they show", name, name);
    let versions = server.room_versions().await?;
    facts.check(
        "the default room version is one of those offered",
        versions.available.contains_key(&versions.default),
        &versions,
    );
    let bytes = world.phone.client.load_or_fetch_max_upload_size().await?;
    facts.check("the size an upload may have is told", bytes > uint!(0), bytes);
    world.phone.client.account().set_display_name(Some("Alice of Vestibule")).await?;
    let shown = world.bob.client.account().fetch_user_profile_of(&world.phone.user()).await?;
    let shown = shown.get("displayname").cloned();
    facts.check(
        "a profile set with the SDK is read with it",
        shown == Some("Alice of Vestibule".into()),
        shown,
    );
    Ok(())
}

async fn meet(world: &mut World<'_>) -> anyhow::Result<()> {
    let mut asked = CreateRoom::new();
    asked.name = Some("Whispers".to_owned());
    asked.preset = Some(RoomPreset::PrivateChat);
    asked.invite = vec![world.bob.user()];
    let room = world.phone.client.create_room(asked).await?;
    room.enable_encryption().await?;
    let id = room.room_id().to_owned();
    let bob = &world.bob.client;
    let invited = until(async || bob.invited_rooms().iter().any(|room| room.room_id() == id)).await;
    world.facts.check("sliding sync brings an invitation", invited, bob.rooms());
    world.bob.joins(&id).await?;
    let knows = until(async || match bob.get_room(&id) {
        Some(room) => room.latest_encryption_state().await.is_ok_and(|state| state.is_encrypted()),
        None => false,
    })
    .await;
    world.facts.check("who joins learns that the room is encrypted", knows, &id);
    for device in [&world.phone, &world.laptop] {
        let bob = world.bob.user();
        until(async || match device.client.get_room(&id) {
            Some(room) => room.get_member(&bob).await.is_ok_and(|member| {
                member.is_some_and(|member| member.membership().as_str() == "join")
            }),
            None => false,
        })
        .await;
    }
    world.room = Some(id);
    Ok(())
}

async fn secret_file(world: &World<'_>) -> anyhow::Result<()> {
    let id = world.room()?;
    let room = world.laptop.room(id).await?;
    let sent = room
        .send_attachment("pixel.png", &mime("image/png")?, PIXEL.to_vec(), AttachmentConfig::new())
        .await?
        .event_id;
    let arrived = world.bob.reads("pixel.png").await;
    world.facts.check("an encrypted file is announced", arrived, &sent);
    let event = world.bob.room(id).await?.event(&sent, None).await?;
    let event: OriginalSyncRoomMessageEvent = event.raw().deserialize_as_unchecked()?;
    let MessageType::Image(image) = event.content.msgtype else { anyhow::bail!("not an image") };
    let secret = matches!(image.source, MediaSource::Encrypted(_));
    let request = MediaRequestParameters { source: image.source, format: MediaFormat::File };
    let bytes = world.bob.client.media().get_media_content(&request, false).await?;
    world.facts.check(
        "an encrypted file is fetched with a token and decrypted",
        secret && bytes == PIXEL,
        bytes,
    );
    Ok(())
}

async fn plain_file(world: &World<'_>) -> anyhow::Result<()> {
    let media = world.phone.client.media();
    let uri = media.upload(&mime("image/png")?, PIXEL.to_vec(), None).await?.content_uri;
    let source = MediaSource::Plain(uri);
    let format = MediaFormat::Thumbnail(MediaThumbnailSettings::new(uint!(32), uint!(32)));
    let asked = MediaRequestParameters { source, format };
    let small = world.bob.client.media().get_media_content(&asked, false).await?;
    world.facts.check(
        "a thumbnail comes by the authenticated road",
        small.starts_with(&[0x89, b'P', b'N', b'G']),
        small.len(),
    );
    let later = media.create_content_uri().await?;
    let asked = MediaRequestParameters {
        source: MediaSource::Plain(later.uri.clone()),
        format: MediaFormat::File,
    };
    media.upload_preallocated(later, &mime("text/plain")?, b"later".to_vec()).await?;
    let bytes = world.bob.client.media().get_media_content(&asked, false).await?;
    world.facts.check("an address taken first is filled afterwards", bytes == b"later", bytes);
    Ok(())
}

fn mime(name: &str) -> anyhow::Result<mime::Mime> {
    name.parse().context("a media type")
}
