//! A device of a person: the SDK's client, its sync loop, and what it was told.

use std::{
    sync::{Arc, Mutex, MutexGuard},
    time::Duration,
};

use anyhow::Context;
use futures_util::{StreamExt, pin_mut};
use matrix_sdk::{
    Client, Room, RoomState, SlidingSyncBuilder, SlidingSyncList, SlidingSyncListBuilder,
    SlidingSyncMode,
    config::{RequestConfig, SyncSettings},
    deserialized_responses::EncryptionInfo,
    encryption::{BackupDownloadStrategy, EncryptionSettings, VerificationState},
    ruma::{
        OwnedEventId, OwnedRoomId, OwnedUserId, RoomId,
        api::{
            client::sync::sync_events::v5::request::{E2EE, ToDevice},
            client::uiaa::{AuthData, MatrixUserIdentifier, Password, UiaaInfo, UserIdentifier},
            error::ErrorKind,
        },
        events::{
            StateEventType,
            key::verification::request::ToDeviceKeyVerificationRequestEvent,
            room::{
                encrypted::OriginalSyncRoomEncryptedEvent,
                message::{MessageType, OriginalSyncRoomMessageEvent, RoomMessageEventContent},
            },
        },
    },
    sliding_sync::VersionBuilder,
};
use tokio::task::JoinHandle;

use crate::{facts::until, stage::Stage};

/// How long the server may hold a sync that has nothing to say.
const POLL: Duration = Duration::from_secs(10);
/// How long a loop waits before it asks a server again that does not answer.
const RETRY: Duration = Duration::from_millis(100);

/// A message a device could read.
#[derive(Clone, Debug)]
pub struct Message {
    pub sender: OwnedUserId,
    pub event: OwnedEventId,
    pub body: String,
    /// The Megolm session it came in; `None` in a room without encryption.
    pub session: Option<String>,
}

/// What a device was told.
#[derive(Default)]
pub struct Heard {
    pub messages: Vec<Message>,
    pub unreadable: Vec<(OwnedRoomId, OwnedEventId)>,
    /// How often the server did not know the position of the sliding sync any more.
    pub expired: u32,
    /// Verifications asked for: who asks, and the flow.
    pub requests: Vec<(OwnedUserId, String)>,
}

/// How a device is told.
#[derive(Clone, Copy, Debug, PartialEq)]
pub enum Way {
    /// `/_matrix/client/v3/sync`
    V3,
    /// `/_matrix/client/unstable/org.matrix.simplified_msc3575/sync`
    Sliding,
    /// By two sliding connections beside each other, as Element X: one for keys, one for rooms.
    Split,
    /// Not by a loop: whoever has the device asks.
    ByHand,
}

/// One device.
pub struct Device {
    pub client: Client,
    heard: Arc<Mutex<Heard>>,
    way: Way,
    loops: Option<JoinHandle<()>>,
}

impl Device {
    /// Logs a person's new device in and starts its loop.
    pub async fn log_in(stage: &Stage, who: &str, name: &str, way: Way) -> anyhow::Result<Self> {
        let client = client(stage.of(who)).await?;
        client
            .matrix_auth()
            .login_username(who, stage.password(who)?)
            .initial_device_display_name(name)
            .send()
            .await
            .with_context(|| format!("{who} logs {name} in"))?;
        let heard = Arc::default();
        listen(&client, &heard);
        let mut device = Self { client, heard, way, loops: None };
        device.client.encryption().wait_for_e2ee_initialization_tasks().await;
        device.start().await?;
        Ok(device)
    }

    /// Starts the loop, if it does not run.
    pub async fn start(&mut self) -> anyhow::Result<()> {
        if self.loops.is_none() {
            self.loops = Some(match self.way {
                Way::V3 => tokio::spawn(v3(self.client.clone())),
                Way::Sliding => tokio::spawn(sliding(self.client.clone(), self.heard.clone())),
                Way::Split => tokio::spawn(split(self.client.clone(), self.heard.clone())),
                Way::ByHand => return Ok(()),
            });
        }
        Ok(())
    }

    /// Stops the loop: the device is off.
    pub async fn stop(&mut self) {
        if let Some(loops) = self.loops.take() {
            loops.abort();
            let _ = loops.await;
        }
    }

    pub fn heard(&self) -> MutexGuard<'_, Heard> {
        self.heard.lock().unwrap_or_else(|poisoned| poisoned.into_inner())
    }

    pub fn user(&self) -> OwnedUserId {
        self.client.user_id().map(ToOwned::to_owned).expect("a device is logged in")
    }

    /// A room the device is in, once it was told.
    pub async fn room(&self, id: &RoomId) -> anyhow::Result<Room> {
        let joined =
            async || self.client.get_room(id).is_some_and(|room| room.state() == RoomState::Joined);
        until(joined).await;
        self.client.get_room(id).with_context(|| format!("{} never heard of {id}", self.user()))
    }

    /// Joins a room once the invitation is there.
    pub async fn joins(&self, id: &RoomId) -> anyhow::Result<()> {
        let invited = async || {
            self.client.get_room(id).is_some_and(|room| room.state() == RoomState::Invited)
        };
        until(invited).await;
        self.client.join_room_by_id(id).await?;
        Ok(())
    }

    /// Sends a text once the device knows how the room's messages are sent.
    pub async fn say(&self, id: &RoomId, text: &str) -> anyhow::Result<OwnedEventId> {
        let room = self.room(id).await?;
        Ok(room.send(RoomMessageEventContent::text_plain(text)).await?.response.event_id)
    }

    /// Whether the device comes to read a text. Keys may come by a connection of their own, or from
    /// another server after the message: what was unreadable is looked at again.
    pub async fn reads(&self, text: &str) -> bool {
        until(async || {
            if self.read(text).is_none() {
                self.look_again().await;
            }
            self.read(text).is_some()
        })
        .await
    }

    async fn look_again(&self) {
        let waiting = self.heard().unreadable.clone();
        for (room, event) in waiting {
            let Some(found) = self.client.get_room(&room) else {
                continue;
            };
            let Ok(found) = found.event(&event, None).await else {
                continue;
            };
            let session = found.encryption_info().and_then(|info| info.session_id());
            let Some(session) = session.map(ToOwned::to_owned) else {
                continue;
            };
            let read = found.raw().deserialize_as_unchecked::<OriginalSyncRoomMessageEvent>();
            let mut heard = self.heard();
            heard.unreadable.retain(|(_, it)| *it != event);
            heard.messages.extend(read.ok().map(|read| Message {
                sender: read.sender,
                event: read.event_id,
                body: read.content.body().to_owned(),
                session: Some(session),
            }));
        }
    }

    /// A text the device has read.
    pub fn read(&self, text: &str) -> Option<Message> {
        self.heard().messages.iter().find(|message| message.body == text).cloned()
    }

    /// Whether the device comes to know the keys of another, without which it sends it none.
    pub async fn knows(&self, other: &Self) -> bool {
        let (encryption, user) = (self.client.encryption(), other.user());
        let Some(id) = other.client.device_id() else {
            return false;
        };
        until(async || encryption.get_device(&user, id).await.is_ok_and(|it| it.is_some())).await
    }

    /// How often its sliding sync had to begin anew.
    pub fn expired(&self) -> u32 {
        self.heard().expired
    }

    /// Whether the device comes to be verified in its owner's eyes.
    pub async fn becomes_verified(&self) -> bool {
        until(async || {
            self.client.encryption().verification_state().get() == VerificationState::Verified
        })
        .await
    }
}

impl Drop for Device {
    fn drop(&mut self) {
        if let Some(loops) = self.loops.take() {
            loops.abort();
        }
    }
}

/// A client that has not logged in yet.
pub async fn client(stage: &Stage) -> anyhow::Result<Client> {
    let encryption = EncryptionSettings {
        auto_enable_cross_signing: false,
        backup_download_strategy: BackupDownloadStrategy::Manual,
        auto_enable_backups: false,
    };
    Ok(Client::builder()
        .homeserver_url(&stage.url)
        .sliding_sync_version_builder(VersionBuilder::DiscoverNative)
        .with_encryption_settings(encryption)
        .request_config(RequestConfig::new().timeout(Duration::from_secs(20)).retry_limit(3))
        .build()
        .await?)
}

/// The answer to a request for a password that came with `asked`.
pub fn password(stage: &Stage, who: &str, asked: &UiaaInfo) -> anyhow::Result<AuthData> {
    let user = UserIdentifier::Matrix(MatrixUserIdentifier::new(who.to_owned()));
    let mut given = Password::new(user, stage.password(who)?.to_owned());
    given.session = asked.session.clone();
    Ok(AuthData::Password(given))
}

fn listen(client: &Client, heard: &Arc<Mutex<Heard>>) {
    let note = move |heard: &Arc<Mutex<Heard>>, what: &dyn Fn(&mut Heard)| {
        what(&mut heard.lock().unwrap_or_else(|poisoned| poisoned.into_inner()));
    };
    let told = heard.clone();
    client.add_event_handler(
        move |event: OriginalSyncRoomMessageEvent, info: Option<EncryptionInfo>| {
            let message = Message {
                sender: event.sender.clone(),
                event: event.event_id.clone(),
                body: event.content.body().to_owned(),
                session: info.and_then(|info| info.session_id().map(ToOwned::to_owned)),
            };
            let asks = matches!(event.content.msgtype, MessageType::VerificationRequest(_));
            note(&told, &|heard| {
                if asks {
                    heard.requests.push((message.sender.clone(), message.event.to_string()));
                }
                heard.messages.push(message.clone());
            });
            async {}
        },
    );
    let told = heard.clone();
    client.add_event_handler(move |event: OriginalSyncRoomEncryptedEvent, room: Room| {
        let unreadable = (room.room_id().to_owned(), event.event_id.clone());
        note(&told, &|heard| heard.unreadable.push(unreadable.clone()));
        async {}
    });
    let told = heard.clone();
    client.add_event_handler(move |event: ToDeviceKeyVerificationRequestEvent| {
        let asked = (event.sender.clone(), event.content.transaction_id.to_string());
        note(&told, &|heard| heard.requests.push(asked.clone()));
        async {}
    });
}

async fn v3(client: Client) {
    loop {
        // It only comes back when the server does not answer, or will not have the token any more.
        let _ = client.sync(SyncSettings::default().timeout(POLL)).await;
        tokio::time::sleep(RETRY).await;
    }
}

async fn sliding(client: Client, heard: Arc<Mutex<Heard>>) {
    let Ok(builder) = client.sliding_sync("all") else {
        return;
    };
    follow(builder.add_list(all_rooms()).with_all_extensions(), heard).await;
}

async fn split(client: Client, heard: Arc<Mutex<Heard>>) {
    let (Ok(keys), Ok(rooms)) = (client.sliding_sync("keys"), client.sliding_sync("rooms")) else {
        return;
    };
    let (mut e2ee, mut to_device) = (E2EE::default(), ToDevice::default());
    (e2ee.enabled, to_device.enabled) = (Some(true), Some(true));
    let keys = keys.with_e2ee_extension(e2ee).with_to_device_extension(to_device);
    let rooms = rooms.add_list(all_rooms()).with_all_extensions();
    let rooms = rooms.without_e2ee_extension().without_to_device_extension();
    tokio::join!(follow(keys, heard.clone()), follow(rooms, heard));
}

async fn follow(builder: SlidingSyncBuilder, heard: Arc<Mutex<Heard>>) {
    let Ok(sync) = builder.poll_timeout(POLL).build().await else {
        return;
    };
    loop {
        let stream = sync.sync();
        pin_mut!(stream);
        while let Some(answer) = stream.next().await {
            let kind = answer.as_ref().err().and_then(|stop| stop.client_api_error_kind());
            if kind == Some(&ErrorKind::UnknownPos) {
                heard.lock().unwrap_or_else(|poisoned| poisoned.into_inner()).expired += 1;
            }
        }
        tokio::time::sleep(RETRY).await;
    }
}

fn all_rooms() -> SlidingSyncListBuilder {
    SlidingSyncList::builder("all")
        .sync_mode(SlidingSyncMode::new_growing(5))
        .timeline_limit(20)
        .required_state(required_state())
}

/// The state a list of rooms is drawn from.
pub fn required_state() -> Vec<(StateEventType, String)> {
    let everyone = [
        StateEventType::RoomEncryption,
        StateEventType::RoomName,
        StateEventType::RoomTopic,
        StateEventType::RoomCanonicalAlias,
        StateEventType::RoomPowerLevels,
        StateEventType::RoomJoinRules,
        StateEventType::RoomTombstone,
        StateEventType::RoomCreate,
        StateEventType::RoomHistoryVisibility,
    ];
    let members = ["$LAZY", "$ME"].map(|who| (StateEventType::RoomMember, who.to_owned()));
    everyone.map(|kind| (kind, String::new())).into_iter().chain(members).collect()
}
