//! The pushers of a user.

use tracing::instrument;
use vestibule_storage::{StorageError, tables::push::PUSHER};
use vestibule_types::{Actor, limits::PUSHERS_PER_USER_MAX};

use crate::Push;

/// A pusher as its owner sees it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ShownPusher {
    /// Which application.
    pub app_id: String,
    /// Which device, as its provider names it.
    pub pushkey: String,
    /// The gateway.
    pub url: String,
    /// Its `data` without the URL: the text of a JSON object.
    pub data: String,
    /// What the application is called.
    pub app_display_name: String,
    /// What the device is called.
    pub device_display_name: String,
    /// Which rules of a device it executes.
    pub profile_tag: Option<String>,
    /// The language of its user.
    pub lang: String,
}

impl Push {
    /// The pushers of the caller.
    #[instrument(name = "push.pusher.list", skip_all)]
    pub async fn pushers(&self, actor: &Actor) -> Result<Vec<ShownPusher>, StorageError> {
        let user = actor.user_id().to_owned();
        let read = self.store().read::<_, StorageError, _>(move |snapshot| {
            PUSHER.scan(snapshot, (&user,), PUSHERS_PER_USER_MAX)
        });
        let shown = read.await?.into_iter().map(|((_, app_id, pushkey), it)| ShownPusher {
            app_id,
            pushkey,
            url: it.url,
            data: it.data,
            app_display_name: it.app_display_name,
            device_display_name: it.device_display_name,
            profile_tag: it.profile_tag,
            lang: it.lang,
        });
        Ok(shown.collect())
    }
}
