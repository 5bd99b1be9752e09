//! Objects in requests whose fields are named like users.

use std::collections::BTreeMap;

use ruma::OwnedUserId;
use serde::Deserialize;

/// Values by user. A name that can be nobody's is passed over, as that of a user nobody knows is: the rest
/// of the request is about others.
#[derive(Debug, Deserialize)]
#[serde(from = "BTreeMap<String, V>", bound(deserialize = "V: Deserialize<'de>"))]
pub(crate) struct ByUser<V>(pub(crate) BTreeMap<OwnedUserId, V>);

impl<V> From<BTreeMap<String, V>> for ByUser<V> {
    fn from(named: BTreeMap<String, V>) -> Self {
        let users = named.into_iter().filter_map(|(name, it)| Some((name.try_into().ok()?, it)));
        Self(users.collect())
    }
}
