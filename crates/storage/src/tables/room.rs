//! Rooms: the event log, the state index and who is where.
//!
//! Every key of a room's data begins with its short number, so purging a room is a few range
//! deletes. Rows of `EVENT_BY_NO` and of the state index never change once written.

use bytes::Bytes;
use ruma::{OwnedDeviceId, OwnedEventId, OwnedRoomId, OwnedServerName, OwnedUserId};
use serde::{Deserialize, Serialize};
use vestibule_types::{EventNo, RoomNo};

use crate::{Counter, Stamp, Stamped, Table, value};

/// A version of a room's state: a branch of the state index and how far along it.
#[derive(
    Clone, Copy, Debug, Default, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize,
)]
pub struct StateAt {
    /// The branch.
    pub branch: u32,
    /// The version on that branch. Zero on branch zero is the empty state.
    pub version: u64,
}

/// A room this server knows.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct StoredRoom {
    /// The room's identifier.
    pub room_id: OwnedRoomId,
    /// The room version, as in `m.room.create`.
    pub version: String,
    /// When this server first saw it, in milliseconds since the Unix epoch.
    pub seen_at: u64,
    /// Whether an operator blocked it.
    pub blocked: bool,
}
value!(StoredRoom, 1);

/// The growing end of a room.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct StoredRoomHead {
    /// Events nobody has named as previous yet.
    pub extremities: Vec<EventNo>,
    /// The state resolved from the extremities.
    pub state: StateAt,
    /// The next event number.
    pub next_event: u64,
    /// The next branch of the state index.
    pub next_branch: u32,
    /// The greatest depth among the extremities.
    pub depth: u64,
    /// How many events lie before what this server first had.
    pub backfilled: u64,
}
value!(StoredRoomHead, 1);

/// Where an event is.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct StoredEventPlace {
    /// Its room.
    pub room: RoomNo,
    /// Its number in that room.
    pub event: EventNo,
}
value!(StoredEventPlace, 1);

/// An event as received; never changes.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct StoredEvent {
    /// Its identifier.
    pub event_id: OwnedEventId,
    /// The events that authorize it.
    pub auth: Vec<EventNo>,
    /// Whether the authorization rules refused it.
    pub rejected: bool,
    /// The canonical JSON, signatures included.
    pub json: Bytes,
}
value!(StoredEvent, 1);

/// What an accepted event found and left behind. The stamp is its place in the stream.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct StoredEventState {
    /// The state before it.
    pub before: StateAt,
    /// The state after it.
    pub after: StateAt,
    /// Kept out of the timeline because the room's current state refuses it.
    pub soft_failed: bool,
}
value!(StoredEventState, 1);

/// One line of the global stream, for those who follow it.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum StoredNews {
    /// An event entered a room's timeline.
    Event {
        /// The room.
        room: RoomNo,
        /// The event.
        event: EventNo,
        /// The user whose membership it sets, when it is a membership event.
        member: Option<OwnedUserId>,
    },
    /// The resolved state of a room changed without a new event.
    State {
        /// The room.
        room: RoomNo,
    },
    /// Receipts of a room changed.
    Receipt {
        /// The room.
        room: RoomNo,
    },
    /// Something kept for one user changed.
    User {
        /// The user.
        user: OwnedUserId,
    },
    /// A message was queued for other servers.
    Outbox {
        /// The servers.
        servers: Vec<OwnedServerName>,
    },
    /// The devices or cross-signing keys of a user of any server changed.
    DeviceList {
        /// The user.
        user: OwnedUserId,
    },
}
value!(StoredNews, 1);

/// One change of a state key on a branch.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct StoredStateChange {
    /// The event type.
    pub event_type: String,
    /// The state key.
    pub state_key: String,
    /// What the key leads to now.
    pub new: Option<EventNo>,
    /// What it led to before.
    pub old: Option<EventNo>,
}
value!(StoredStateChange, 1);

/// A branch of the state index.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct StoredBranch {
    /// Where it left its parent; `None` for the first branch.
    pub parent: Option<StateAt>,
    /// How many branches lie above it.
    pub depth: u8,
    /// Its newest version.
    pub head: u64,
}
value!(StoredBranch, 1);

/// What a state key leads to from some version on: an event, or nothing any more.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct StoredStateEntry(pub Option<EventNo>);
value!(StoredStateEntry, 1);

/// The resolved state of a room from some stream position on.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct StoredHeadState(pub StateAt);
value!(StoredHeadState, 1);

/// A user's membership, as stored.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
pub enum StoredMembership {
    /// In the room.
    Join,
    /// Invited.
    Invite,
    /// Asking to be let in.
    Knock,
    /// Gone, or never there.
    Leave,
    /// Kept out.
    Ban,
}

impl StoredMembership {
    /// The byte it is in keys.
    #[must_use]
    pub const fn key(self) -> u8 {
        match self {
            Self::Join => 0,
            Self::Invite => 1,
            Self::Knock => 2,
            Self::Leave => 3,
            Self::Ban => 4,
        }
    }
}

/// The membership of a user in a room, from the user's side. The stamp says since when.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct StoredMember {
    /// What it is.
    pub membership: StoredMembership,
    /// The membership event.
    pub event: EventNo,
    /// What it was before.
    pub previous: Option<StoredMembership>,
    /// The user asked not to see the room any more.
    pub forgotten: bool,
    /// The member may read and leave, but not send: the room left their scope. Holds the time.
    pub frozen_at: Option<u64>,
}
value!(StoredMember, 1);

/// A relation towards an event.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct StoredRelation {
    /// The relation type.
    pub rel_type: String,
    /// The event that relates.
    pub event: EventNo,
}
value!(StoredRelation, 1);

/// What a transaction id already led to.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct StoredTransaction {
    /// The event it made.
    pub event_id: OwnedEventId,
    /// When, in milliseconds since the Unix epoch.
    pub at: u64,
}
value!(StoredTransaction, 1);

/// A read receipt.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct StoredReceipt {
    /// The event read up to.
    pub event_id: OwnedEventId,
    /// When, in milliseconds since the Unix epoch.
    pub at: u64,
}
value!(StoredReceipt, 1);

/// An event number as a stored value.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct StoredEventNo(pub EventNo);
value!(StoredEventNo, 1);

/// A room number as a stored value.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct StoredRoomNo(pub RoomNo);
value!(StoredRoomNo, 1);

/// The number of a room.
pub const ROOM_NO_BY_ID: Table<(OwnedRoomId,), StoredRoomNo> = Table::new(0x0200, "room_no_by_id");
/// The room of a number.
pub const ROOM_BY_NO: Table<(RoomNo,), StoredRoom> = Table::new(0x0201, "room_by_no");
/// The growing end of a room.
pub const ROOM_HEAD: Table<(RoomNo,), StoredRoomHead> = Table::new(0x0202, "room_head");
/// Where an event is.
pub const EVENT_BY_ID: Table<(OwnedEventId,), StoredEventPlace> = Table::new(0x0203, "event_by_id");
/// Events as received.
pub const EVENT_BY_NO: Table<(RoomNo, EventNo), StoredEvent> = Table::new(0x0204, "event_by_no");
/// State around an event, and its stream position.
pub const EVENT_STATE: Table<(RoomNo, EventNo), Stamped<StoredEventState>> =
    Table::new(0x0205, "event_state");
/// A room's events in the order clients see them; the side is 1 (`docs/decisions/`, "History that is fetched lies between").
pub const TIMELINE: Table<(RoomNo, u8, Stamp), StoredEventNo> = Table::new(0x0206, "timeline");
/// All rooms' news, by slot and position.
pub const STREAM: Table<(u16, Stamp), StoredNews> = Table::new(0x0207, "stream");
/// The state index; versions are stored inverted, newest first.
pub const STATE_ENTRY: Table<(RoomNo, u32, String, String, u64), StoredStateEntry> =
    Table::new(0x0208, "state_entry");
/// What changed at each version.
pub const STATE_CHANGE: Table<(RoomNo, u32, u64, u32), StoredStateChange> =
    Table::new(0x0209, "state_change");
/// The branches of a room's state.
pub const STATE_BRANCH: Table<(RoomNo, u32), StoredBranch> = Table::new(0x020A, "state_branch");
/// The resolved state from a position on.
pub const HEAD_STATE: Table<(RoomNo, Stamp), StoredHeadState> = Table::new(0x020B, "head_state");
/// Who is in a room, by membership.
pub const MEMBER_BY_ROOM: Table<(RoomNo, u8, OwnedUserId), StoredEventNo> =
    Table::new(0x020C, "member_by_room");
/// Members of this server in a room, by membership.
pub const LOCAL_MEMBER_BY_ROOM: Table<(RoomNo, u8, OwnedUserId), ()> =
    Table::new(0x020D, "local_member_by_room");
/// Where a user of this server is.
pub const ROOM_BY_MEMBER: Table<(OwnedUserId, RoomNo), Stamped<StoredMember>> =
    Table::new(0x020E, "room_by_member");
/// The guard of the rooms a user of this server is in, kept for those who may be in only so many: how
/// often they joined one.
pub const JOINS_GUARD: Table<(OwnedUserId,), u64> = Table::new(0x0D60, "joins_guard");
/// When and by which event a user of this server last ceased to be joined. Gone once they forget the
/// room; missing where that was before such rows were kept.
pub const DEPARTURE: Table<(OwnedUserId, RoomNo), Stamped<StoredEventNo>> =
    Table::new(0x0B50, "departure");
/// How many members a room has, by membership.
pub const MEMBER_COUNT: Counter<(RoomNo, u8)> = Counter::new(0x020F, "member_count");
/// The servers in a room, ours too: how many joined members each has there.
pub const SERVER_BY_ROOM: Table<(RoomNo, OwnedServerName), u64> =
    Table::new(0x0230, "server_by_room");
/// The rooms a server is in.
pub const ROOM_BY_SERVER: Table<(OwnedServerName, RoomNo), ()> =
    Table::new(0x0231, "room_by_server");
/// What relates to an event, oldest first.
pub const RELATION_BY_PARENT: Table<(RoomNo, OwnedEventId, Stamp), StoredRelation> =
    Table::new(0x0210, "relation_by_parent");
/// The redaction of an event, if any.
pub const REDACTION_BY_TARGET: Table<(RoomNo, OwnedEventId), StoredEventNo> =
    Table::new(0x0211, "redaction_by_target");
/// Transaction ids that were spent: user, device, scope, id.
pub const TRANSACTION: Table<(OwnedUserId, OwnedDeviceId, String, String), StoredTransaction> =
    Table::new(0x0212, "transaction");
/// When a transaction id may be forgotten.
pub const TRANSACTION_BY_TIME: Table<(u64, OwnedUserId, OwnedDeviceId, String, String), ()> =
    Table::new(0x0213, "transaction_by_time");
/// The transaction id an event was sent with, for telling the sending device.
pub const TRANSACTION_OF_EVENT: Table<(OwnedEventId,), StoredTransactionOf> =
    Table::new(0x0218, "transaction_of_event");

/// The transaction that made an event.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct StoredTransactionOf {
    /// The device that sent it.
    pub device_id: OwnedDeviceId,
    /// The client's transaction id.
    pub id: String,
}
value!(StoredTransactionOf, 1);

/// Read receipts: room, type, thread (empty: unthreaded), user.
pub const RECEIPT: Table<(RoomNo, String, String, OwnedUserId), Stamped<StoredReceipt>> =
    Table::new(0x0214, "receipt");
/// Read receipts by the position they changed at: what receipt it was.
pub const RECEIPT_BY_POSITION: Table<(RoomNo, Stamp), StoredReceiptKey> =
    Table::new(0x0215, "receipt_by_position");

/// Which receipt changed.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct StoredReceiptKey {
    /// `m.read` or `m.read.private`.
    pub receipt_type: String,
    /// The thread, `main`, or empty for an unthreaded receipt.
    pub thread: String,
    /// Whose receipt.
    pub user_id: OwnedUserId,
}
value!(StoredReceiptKey, 1);

/// Events relating by annotation: room, parent, sender, type, key. Keeps reactions unique.
pub const ANNOTATION: Table<(RoomNo, OwnedEventId, OwnedUserId, String, String), StoredEventNo> =
    Table::new(0x0216, "annotation");
/// The newest live position of a room, for finding rooms that changed.
pub const ROOM_POSITION: Table<(RoomNo,), Stamped<()>> = Table::new(0x0217, "room_position");
/// The replies in threads of a room, for listing threads by their newest reply.
pub const THREAD_REPLY: Table<(RoomNo, Stamp), StoredThreadReply> =
    Table::new(0x0219, "thread_reply");

/// A reply in a thread.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct StoredThreadReply {
    /// The event the thread grows out of.
    pub root: OwnedEventId,
    /// The reply.
    pub event: EventNo,
}
value!(StoredThreadReply, 1);
