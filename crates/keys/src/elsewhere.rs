//! Asking several servers at once.

use std::{collections::BTreeMap, pin::Pin};

use futures_util::{StreamExt, stream};
use ruma::{OwnedServerName, OwnedUserId};
use vestibule_types::limits::LIST_FETCHES_MAX;

/// What is wanted of each user, by their server.
pub(crate) fn by_server<T>(
    wanted: BTreeMap<OwnedUserId, T>,
) -> BTreeMap<OwnedServerName, BTreeMap<OwnedUserId, T>> {
    let mut servers: BTreeMap<OwnedServerName, BTreeMap<OwnedUserId, T>> = BTreeMap::new();
    for (user, it) in wanted {
        servers.entry(user.server_name().to_owned()).or_default().insert(user, it);
    }
    servers
}

/// A question to another server.
pub(crate) type Question<T> = Pin<Box<dyn Future<Output = T> + Send>>;

/// Asks side by side, [`LIST_FETCHES_MAX`] at once.
pub(crate) async fn everywhere<T: Send>(questions: Vec<Question<T>>) -> Vec<T> {
    stream::iter(questions).buffer_unordered(LIST_FETCHES_MAX).collect().await
}
