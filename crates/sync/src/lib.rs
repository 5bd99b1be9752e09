//! What a client must be told: `/sync`, and sliding sync.
//!
//! A request is one pass over one snapshot of the store, which finds the rooms that changed since the
//! client's token and shows each as the client may see it. When there is nothing, the request waits
//! for its user's bell. One task follows the published log and rings: by room for those who are in
//! it, by user for what is theirs alone. A seat is taken before the snapshot is, so nothing falls
//! between.

mod dehydrated;
mod filter;
mod filters;
mod glance;
mod hub;
mod members;
mod pass;
mod passing;
mod presence;
mod recent;
mod request;
mod response;
mod service;
mod shared;
mod sliding;
mod stream;
mod tail;
mod token;

pub use self::{
    dehydrated::{DehydratedEvents, DehydratedEventsError},
    passing::Passing,
    request::{SyncError, SyncRequest},
    response::{
        DeviceLists, Events, InvitedRoom, JoinedRoom, KeyCounts, KnockedRoom, LeftRoom, RawEvent,
        Rooms, State, Summary, SyncResponse, Timeline,
    },
    service::{Sync, SyncParts},
    sliding::{SlidingError, SlidingRequest, SlidingResponse},
    stream::{Everything, Heard, Listen, ListenError, RoomNow},
    token::SyncToken,
};
pub use vestibule_push::UnreadCounts;
