//! `[rooms]`; `last_admin_guard` of the same section belongs to the policy.

use ruma::RoomVersionId;

use crate::section::section;

section! {
    /// New rooms.
    pub struct Rooms {
        /// The room version of rooms whose creator does not say, "3" to "12".
        pub default_version: RoomVersionId = RoomVersionId::V12;
    }
}
