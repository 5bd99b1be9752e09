//! Rooms: the one road by which an event enters a room, and everything read from one.
//!
//! Whoever changes a room does it in the room's queue ([`Rooms::in_room`], private): the policy is
//! asked inside the same transaction, the permit is spent where the event is appended, and what
//! follows from the event (state, membership index, stream) is in the same batch. There is no other
//! function that appends.

mod acquaintance;
mod append;
mod ask;
mod bundle;
mod client_event;
mod content;
mod create_room;
mod directory;
mod doubts;
mod elsewhere;
mod ephemeral;
mod erased;
mod explain;
mod facts;
mod for_servers;
mod handshake;
mod ignored;
mod import;
mod log;
mod membership;
mod outside;
mod points;
mod presence;
mod purge;
mod queue;
mod read;
mod report;
mod room_tx;
mod send;
mod server_notice;
mod service;
mod shown;
mod state;
mod sweep;
mod timeline_token;
mod to_device;
mod to_device_in;
mod upgrade;
mod view;
mod visibility;

use self::room_tx::RoomTx;
pub use self::{
    append::{AppendError, Appended, Incoming, ReceiveError, Received, StagedEvent, Staging},
    ask::{AskError, Deed},
    bundle::ShownEvents,
    client_event::{Showing, name_of},
    create_room::{CreateRoom, CreateRoomError, CreatedRoom, InitialState, Preset},
    directory::{
        Administrator, DirectoryError, GuestLink, GuestLinkError, NewGuestLink, NotAToken,
        PublicRoom, PublicRoomsPage, PublicRoomsQuery, PublicRoomsToken, RoomSummary,
    },
    elsewhere::{
        AliasElsewhere, Answer, Elsewhere, ElsewhereError, Handshake, InviteAbroad, JoinAnswer,
        Prepared, RoomsElsewhere, RoomsElsewhereQuery, SpaceElsewhere,
    },
    ephemeral::{
        NoticeError, ReceiptElsewhere, ReceiptKind, SendReceipt, SetTyping, Typing, TypingIn,
    },
    explain::OpenRoomFinding,
    for_servers::{
        DirectoryForServerError, EventList, MissingEvents, NamedRoom, ServerReadError,
        ServerViewer, SpaceForServer, StateForServer, StateIdsForServer,
    },
    handshake::{
        HandedIn, HandshakeError, JoinedState, MakeMembership, STRIPPED_TYPES, Template, Wanted,
    },
    ignored::ignored_users,
    log::LoggedEvent,
    membership::{
        Address, AddressInvite, AddressProof, ChangeMember, ExchangeInvite, ExchangeInviteError,
        ForgetError, GuardNote, IdentityAccess, IdentityError, IdentityServers, Invite,
        InviteByAddress, Join, KeptInvite, Knock, Leave, MembershipError, UnmanagedRoom,
        blocks_invites, pruned_state,
    },
    outside::{BeInvited, BeInvitedError, OutsideRoom},
    presence::{
        Attendance, Availability, Presence, PresenceConfig, PresenceElsewhere, PresenceError,
        SetPresence, UserPresence,
    },
    purge::{EventIndex, PurgeHistoryError},
    read::{
        Context, ContextQuery, Direction, EventAt, EventKnown, FoundUser, FoundUsers, Gaps,
        Hierarchy, HierarchyQuery, InboundRoom, JoinedMember, MembersQuery, Messages,
        MessagesQuery, MutualRooms, MutualRoomsError, PolicyServer, ReadError, RelatedBy,
        Relations, RelationsQuery, RoomAccountData, RoomPreview, RoomSnapshot, SpaceRoom, Threads,
        ThreadsQuery, filter_wants, type_matches,
    },
    report::{FiledReport, Report, ReportError, Reported},
    room_tx::UnknownRoom,
    send::{Redact, SendError, SendEvent, SendState},
    server_notice::{NoticesConfig, SentNotice, ServerNotice, ServerNoticeError, UsageLimit},
    service::{Rooms, RoomsConfig, RoomsParts},
    state::{StateAt, StateChange, StateKey},
    sweep::{JOB_KINDS, JobError, job_lane},
    timeline_token::BadToken,
    to_device::{SendToDevice, SendToDeviceError},
    to_device_in::DirectMessage,
    upgrade::{UpgradeRoom, UpgradeRoomError},
    view::{OpenRoom, RoomView, TimelinePosition},
    visibility::Viewer,
};
pub use vestibule_storage::tables::room::StoredMembership;
