//! Every service of a server, each given exactly the collaborators it uses.

use std::sync::Arc;

use anyhow::Context;
use axum::Router;
use ruma::api::client::discovery::discover_support::Contact;
use tokio::sync::Notify;
use vestibule_accounts::{
    AccountLimits, Accounts, AccountsConfig, AccountsParts, EmailAtRegistration, EmailConfig,
    RegistrationConfig, RegistrationMode, SessionConfig, Terms, TurnConfig, TurnKey,
};
use vestibule_client_api::{ClientApi, ClientApiSettings, Support};
use vestibule_config::{
    Config, EmailAtRegistration as WrittenEmail, Engine, Loaded, RegistrationMode as WrittenMode,
};
use vestibule_events::{RoomVersion, SigningKey};
use vestibule_federation::{Federation, FederationParts};
use vestibule_federation_api::{FederationApi, FederationApiSettings};
use vestibule_keys::{Keys, KeysParts};
use vestibule_media::{FileObjects, Media, MediaConfig, MediaParts, MemoryObjects, ObjectStore};
use vestibule_policy::{PolicyHandle, RateBuckets};
use vestibule_push::{Push, PushConfig, PushParts};
use vestibule_remote::Transport;
use vestibule_rooms::{NoticesConfig, PresenceConfig, Rooms, RoomsConfig, RoomsParts};
use vestibule_search::{Search, SearchParts};
use vestibule_storage::{Executor, Store, ThreadPool};
use vestibule_sync::{Sync, SyncParts};
use vestibule_types::{
    Environment,
    limits::{THUMBNAILS_AT_ONCE_MAX, THUMBNAILS_WAITING_MAX},
};

use crate::{
    guests_switch::as_switched,
    identity::{next_policy_epoch, policy_epoch, signing_key},
    mail::Smtp,
    reaching,
};

/// The services.
#[derive(Clone)]
pub(crate) struct House {
    pub(crate) store: Store,
    pub(crate) policy: PolicyHandle,
    pub(crate) environment: Environment,
    pub(crate) accounts: Accounts,
    pub(crate) rooms: Rooms,
    pub(crate) keys: Keys,
    pub(crate) media: Media,
    pub(crate) push: Push,
    pub(crate) sync: Sync,
    pub(crate) search: Search,
    pub(crate) federation: Federation,
    pub(crate) job_bell: Arc<Notify>,
    settings: Arc<ClientApiSettings>,
    federation_settings: Arc<FederationApiSettings>,
}

/// Whether this process serves, or only answers one question.
pub(crate) enum Purpose {
    /// It serves: its policy is a new one. It may be given what carries requests to other servers.
    Serve(Option<Arc<dyn Transport>>),
    /// It answers and ends: permits of the last policy stay good.
    Answer,
}

impl Purpose {
    /// The epoch of the policy, and what carries requests instead of the network.
    async fn begin(
        self,
        config: &Config,
        environment: &Environment,
        store: &Store,
    ) -> anyhow::Result<(u64, Option<Arc<dyn Transport>>)> {
        match self {
            Self::Serve(transport) => {
                // The database is ours alone by now, so nobody else is writing a file.
                media_files(config, environment)
                    .forget_unfinished()
                    .await
                    .context("cannot remove unfinished uploads")?;
                Ok((next_policy_epoch(store).await?, transport))
            }
            Self::Answer => Ok((policy_epoch(store).await?, None)),
        }
    }
}

impl House {
    /// Brings the database up to date and builds the services over it.
    pub(crate) async fn build(
        loaded: Loaded,
        (store, executor): (Store, Arc<dyn Executor>),
        environment: &Environment,
        purpose: Purpose,
    ) -> anyhow::Result<(Self, Config)> {
        let Loaded { config, policy, .. } = loaded;
        vestibule_migrations::run(&store, config.server_name(), environment.now_ms())
            .await
            .context("cannot use the database")?;
        let signing_key = Arc::new(signing_key(&store, environment).await?);
        let (epoch, transport) = purpose.begin(&config, environment, &store).await?;
        let policy = as_switched(&store, policy.at_epoch(epoch)).await?;
        let policy = PolicyHandle::new(policy);
        let ground = Ground {
            config: &config,
            environment,
            store: &store,
            policy: &policy,
            signing_key: &signing_key,
        };
        let way_out = reaching::transport(&config, environment, transport.as_ref())?;
        let AtHome { accounts, rooms, keys, media, push, job_bell } =
            AtHome::build(&ground, executor, &way_out)?;
        let sync = Sync::new(SyncParts {
            rooms: rooms.clone(),
            unread: push.unread().clone(),
            environment: environment.clone(),
        });
        let search =
            Search::new(SearchParts { rooms: rooms.clone(), environment: environment.clone() });
        let ours = (store.clone(), signing_key.clone());
        let remote =
            reaching::remote(&config, environment, ours, (way_out, transport.is_some())).await?;
        let federation = Federation::new(FederationParts {
            store: store.clone(),
            policy: policy.clone(),
            environment: environment.clone(),
            server_name: config.server_name().to_owned(),
            signing_key,
            remote,
            notaries: config.federation.notaries.clone(),
            accounts: accounts.clone(),
            rooms: rooms.clone(),
            keys: keys.clone(),
            media: media.clone(),
        });
        if federation.remote().is_enabled() {
            federation.plug_in();
        }
        federation.trust_identity_servers(config.identity.trusted_servers.clone());
        let environment = environment.clone();
        let house = Self {
            store,
            policy,
            environment,
            accounts,
            rooms,
            keys,
            media,
            push,
            sync,
            search,
            federation,
            job_bell,
            settings: client_settings(&config),
            federation_settings: federation_settings(&config),
        };
        Ok((house, config))
    }

    /// The client-server API.
    pub(crate) fn client_router(&self) -> Router {
        vestibule_client_api::router(ClientApi {
            accounts: self.accounts.clone(),
            rooms: self.rooms.clone(),
            keys: self.keys.clone(),
            media: self.media.clone(),
            push: self.push.clone(),
            sync: self.sync.clone(),
            search: self.search.clone(),
            policy: self.policy.clone(),
            settings: self.settings.clone(),
        })
    }

    /// The server-server API.
    pub(crate) fn federation_router(&self) -> Router {
        vestibule_federation_api::router(FederationApi {
            accounts: self.accounts.clone(),
            rooms: self.rooms.clone(),
            keys: self.keys.clone(),
            media: self.media.clone(),
            federation: self.federation.clone(),
            policy: self.policy.clone(),
            settings: self.federation_settings.clone(),
        })
    }
}

/// The services that need no other server, but for web servers that users name.
struct AtHome {
    accounts: Accounts,
    rooms: Rooms,
    keys: Keys,
    media: Media,
    push: Push,
    job_bell: Arc<Notify>,
}

/// What the services at home stand on.
struct Ground<'a> {
    config: &'a Config,
    environment: &'a Environment,
    store: &'a Store,
    policy: &'a PolicyHandle,
    signing_key: &'a Arc<SigningKey>,
}

impl AtHome {
    fn build(
        ground: &Ground<'_>,
        executor: Arc<dyn Executor>,
        way_out: &Arc<dyn Transport>,
    ) -> anyhow::Result<Self> {
        let Ground { config, environment, store, policy, signing_key } = *ground;
        let rates = Arc::new(RateBuckets::default());
        let job_bell = Arc::new(Notify::new());
        let accounts = Accounts::new(AccountsParts {
            store: store.clone(),
            policy: policy.clone(),
            rates: rates.clone(),
            environment: environment.clone(),
            executor,
            config: accounts_config(config),
        });
        let rooms = Rooms::new(RoomsParts {
            store: store.clone(),
            policy: policy.clone(),
            rates: rates.clone(),
            environment: environment.clone(),
            server_name: config.server_name().to_owned(),
            signing_key: Arc::clone(signing_key),
            config: RoomsConfig {
                default_version: RoomVersion::try_from(&config.rooms.default_version)?,
                presence: presence_config(config),
                notices: NoticesConfig {
                    room_name: config.notices.room_name.clone(),
                    avatar: config.notices.avatar.as_ref().map(ToString::to_string),
                },
            },
            job_bell: job_bell.clone(),
        });
        accounts.set_acquaintance(Arc::new(rooms.clone()));
        accounts.set_job_bell(job_bell.clone());
        if let Some(smtp) = Smtp::of(config, environment)? {
            accounts.set_post(Arc::new(smtp));
        }
        let media = media(ground, &rates, way_out)?;
        let push = push(ground, &rooms, way_out);
        let keys = Keys::new(KeysParts {
            store: store.clone(),
            policy: policy.clone(),
            rates,
            environment: environment.clone(),
            server_name: config.server_name().to_owned(),
            accounts: accounts.clone(),
            rooms: rooms.clone(),
        });
        Ok(Self { accounts, rooms, keys, media, push, job_bell })
    }
}

fn client_settings(config: &Config) -> Arc<ClientApiSettings> {
    Arc::new(ClientApiSettings {
        public_base_url: config.server.public_url.clone(),
        policy_server_key: config.server.policy_server_key.clone(),
        support: support(&config.support),
        default_room_version: config.rooms.default_version.clone(),
    })
}

/// What is told to those who look for help, if anything.
fn support(written: &vestibule_config::Support) -> Option<Support> {
    let contacts = written.contacts.iter().map(contact).collect::<Vec<_>>();
    let page = written.page.clone();
    (page.is_some() || !contacts.is_empty()).then_some(Support { contacts, page })
}

fn contact(written: &vestibule_config::Contact) -> Contact {
    let vestibule_config::Contact { role, matrix_id, email_address } = written.clone();
    let mut contact = Contact::with_email_address(role.into(), String::new());
    contact.email_address = email_address;
    contact.matrix_id = matrix_id;
    contact
}

fn federation_settings(config: &Config) -> Arc<FederationApiSettings> {
    let well_known_server = config.server.well_known_server.clone();
    Arc::new(FederationApiSettings { well_known_server })
}

fn accounts_config(config: &Config) -> AccountsConfig {
    let registration = RegistrationConfig {
        mode: match config.registration.mode {
            WrittenMode::Closed => RegistrationMode::Closed,
            WrittenMode::Token => RegistrationMode::Token,
            WrittenMode::Open => RegistrationMode::Open,
        },
        shared_secret: config.shared_secret().cloned(),
        terms: config.registration.terms.iter().map(terms).collect(),
        email: match config.registration.email {
            WrittenEmail::Off => EmailAtRegistration::Off,
            WrittenEmail::Optional => EmailAtRegistration::Optional,
            WrittenEmail::Required => EmailAtRegistration::Required,
        },
    };
    AccountsConfig {
        registration,
        email: email_config(config),
        turn: turn_config(config),
        sessions: SessionConfig {
            access_token_life: config.limits.access_token_life.duration(),
            device_idle_life: Some(config.limits.device_idle_life.duration())
                .filter(|life| !life.is_zero()),
            login_tokens: config.login.tokens,
            ..SessionConfig::default()
        },
        limits: AccountLimits {
            hashes_at_once: usize::from(config.limits.password_checks_max),
            ..AccountLimits::default()
        },
        ..AccountsConfig::new(config.server_name().to_owned())
    }
}

/// The TURN server that clients are told of, if anything was written of one.
fn turn_config(config: &Config) -> Option<TurnConfig> {
    let written = &config.voip;
    let key = match (config.turn_secret(), &written.turn_username, &written.turn_password) {
        (Some(secret), _, _) => TurnKey::Shared(secret.clone()),
        (None, Some(username), Some(password)) => {
            TurnKey::Fixed { username: username.clone(), password: password.clone() }
        }
        _ => return None,
    };
    let life = written.turn_lifetime.duration();
    Some(TurnConfig { uris: written.turn_uris.clone(), key, life })
}

fn presence_config(config: &Config) -> PresenceConfig {
    let written = &config.presence;
    PresenceConfig {
        enabled: written.enabled,
        send: written.enabled && written.send_presence,
        receive: written.enabled && written.receive_presence,
    }
}

/// How mail is written, if any is.
fn email_config(config: &Config) -> Option<EmailConfig> {
    let email = &config.email;
    email.from.as_ref()?;
    let link_base = email.link_base.as_ref().or(config.server.public_url.as_ref())?.clone();
    Some(EmailConfig {
        link_base,
        link_life: email.link_life.duration(),
        next_link_hosts: email.next_link_hosts.clone(),
    })
}

/// Who keeps files. Previews of pages are made whether other servers are talked to or not.
fn media(
    ground: &Ground<'_>,
    rates: &Arc<RateBuckets>,
    way_out: &Arc<dyn Transport>,
) -> anyhow::Result<Media> {
    let Ground { config, environment, store, policy, .. } = *ground;
    let media = Media::new(MediaParts {
        store: store.clone(),
        objects: media_files(config, environment),
        executor: Arc::new(
            ThreadPool::new("thumbnail", THUMBNAILS_AT_ONCE_MAX, THUMBNAILS_WAITING_MAX)
                .context("cannot start the thumbnail threads")?,
        ),
        policy: policy.clone(),
        rates: rates.clone(),
        environment: environment.clone(),
        server_name: config.server_name().to_owned(),
        config: media_config(config),
    });
    if let Some(previews) = reaching::previews(config, environment, way_out) {
        media.set_previews(previews);
    }
    Ok(media)
}

/// Who tells devices of news. Push gateways are called whether other servers are talked to or not.
fn push(ground: &Ground<'_>, rooms: &Rooms, way_out: &Arc<dyn Transport>) -> Push {
    let Ground { config, environment, .. } = *ground;
    Push::new(PushParts {
        environment: environment.clone(),
        rooms: rooms.clone(),
        web: reaching::gateways(config, environment, way_out),
        config: PushConfig { call_time_max: config.push.request_timeout.duration() },
    })
}

/// Where files are: beside the database, also where that is in memory.
fn media_files(config: &Config, environment: &Environment) -> Arc<dyn ObjectStore> {
    match config.storage.engine {
        Engine::Rocksdb => Arc::new(FileObjects::in_folder(config.server.data_dir.join("media"))),
        Engine::Memory => Arc::new(MemoryObjects::new(Arc::clone(&environment.clock))),
    }
}

fn media_config(config: &Config) -> MediaConfig {
    let written = &config.media;
    MediaConfig {
        upload_bytes_max: written.upload_bytes_max,
        user_bytes_max: (written.user_bytes_max > 0).then_some(written.user_bytes_max),
        remote_bytes_max: (written.remote_bytes_max > 0).then_some(written.remote_bytes_max),
        open_downloads: written.open_downloads,
    }
}

fn terms(written: &vestibule_config::Terms) -> Terms {
    Terms {
        name: written.id.clone(),
        version: written.version.clone(),
        language: written.language.clone(),
        title: written.name.clone(),
        url: written.url.clone(),
    }
}
