//! Pushers: where a user's devices are told of news.

mod list;
mod set;

pub(crate) use self::set::disown;
pub use self::{
    list::ShownPusher,
    set::{DeletePusher, SetPusher, SetPusherError},
};

use ruma::OwnedUserId;

/// Which pusher.
#[derive(Clone, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub(crate) struct PusherId {
    pub(crate) user: OwnedUserId,
    pub(crate) app_id: String,
    pub(crate) pushkey: String,
}

impl PusherId {
    /// Its key in the tables.
    pub(crate) fn key(&self) -> (&OwnedUserId, &str, &str) {
        (&self.user, &self.app_id, &self.pushkey)
    }
}
