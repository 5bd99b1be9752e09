//! Asking the policy: once outside any transaction, where rates are charged, and again inside the
//! one that acts, where the answer becomes a permit.

use std::{net::IpAddr, sync::Arc};

use parking_lot::Mutex;

use ruma::{
    MilliSecondsSinceUnixEpoch, OwnedRoomAliasId, OwnedRoomId, OwnedServerName, OwnedUserId,
    RoomId, UserId,
};
pub use vestibule_accounts::Refusal as AskError;
use vestibule_accounts::{GUEST_PREFIX, SYSTEM_LOCALPART, spend};
use vestibule_policy::{
    AccountState, Action, Decision, Facts, Invitee, Object, Obligation, Permit, PermitKind, Policy,
    RateFact, RateKey, Request, RoomKind, Spent, Subject, Told, Word,
};
use vestibule_storage::{
    Read, Snapshot, StorageError,
    tables::{directory::BLOCKED_ROOM, policy::POLICY_EPOCH},
};
use vestibule_types::{Actor, ClassName};

use crate::{OpenRoom, RoomTx, RoomView, Rooms, facts};

/// Something a user may want to do to a room: the policy's actions, owned.
#[derive(Clone, Debug)]
pub enum Deed {
    /// Become joined.
    Join(OwnedRoomId),
    /// Stay joined.
    Stay(OwnedRoomId),
    /// Be shown the room.
    Discover(OwnedRoomId),
    /// Read from outside.
    Peek(OwnedRoomId),
    /// Ask to be let in.
    Knock(OwnedRoomId),
    /// Leave.
    Leave(OwnedRoomId),
    /// Invite somebody.
    Invite(OwnedRoomId, OwnedUserId),
    /// Receive an invitation from another server.
    BeInvited(OwnedRoomId),
    /// Remove somebody.
    Kick(OwnedRoomId, OwnedUserId),
    /// Ban somebody.
    Ban(OwnedRoomId, OwnedUserId),
    /// Lift a ban.
    Unban(OwnedRoomId, OwnedUserId),
    /// Send an event of a type.
    SendEvent(OwnedRoomId, String),
    /// Set state of a type.
    SendState(OwnedRoomId, String),
    /// Set join rules that let anybody in.
    MakePublic(OwnedRoomId),
    /// Redact one's own event, or somebody else's.
    Redact(OwnedRoomId, bool),
    /// Make a room.
    CreateRoom(RoomKind),
    /// Replace a room.
    UpgradeRoom(OwnedRoomId),
    /// Name a room.
    CreateAlias(OwnedRoomAliasId, OwnedRoomId),
    /// Take a name away from a room.
    DeleteAlias(OwnedRoomAliasId, OwnedRoomId),
    /// Give a room's name to its successor.
    MoveAlias(OwnedRoomAliasId, OwnedRoomId),
    /// Ask the server of an alias what it names.
    ResolveRemoteAlias(OwnedRoomAliasId),
    /// Look at the public rooms of another server.
    BrowseRemoteDirectory(OwnedServerName),
    /// List the room, or take it off the list.
    Publish(OwnedRoomId),
    /// Be called something in a room one stays in.
    Rename(OwnedRoomId, Option<String>),
    /// Say that one is typing.
    Typing(OwnedRoomId),
    /// Say how far one has read.
    Receipt(OwnedRoomId),
    /// Move one's read marker.
    ReadMarker(OwnedRoomId),
    /// Answer for an alias somebody else made.
    AdoptAlias(OwnedRoomAliasId, OwnedRoomId),
    /// Approve a space's edge that no curator set.
    ApproveSpaceChild(OwnedRoomId, OwnedRoomId),
    /// Have a guest link open the room.
    RedeemGuestLink(OwnedRoomId),
    /// Make and revoke guest links for the room.
    ManageGuestLinks(OwnedRoomId),
    /// Block the room, or let people in again.
    BlockRoom(OwnedRoomId),
    /// Report something.
    Report,
    /// Search the user directory.
    SearchUsers,
    /// Search messages.
    SearchMessages,
}

impl Deed {
    /// The deed as the policy's question. An invitation is about the account `target`.
    fn action<'a>(&'a self, target: Option<&'a Subject>) -> Action<'a> {
        match self {
            Self::Join(room) => Action::Join { room },
            Self::Stay(room) => Action::Stay { room },
            Self::Discover(room) => Action::Discover { room },
            Self::Peek(room) => Action::Peek { room },
            Self::Knock(room) => Action::Knock { room },
            Self::Leave(room) => Action::Leave { room },
            Self::Invite(room, user) => {
                let target = target.map_or(Invitee::Unknown(user), Invitee::Local);
                Action::Invite { room, target }
            }
            Self::BeInvited(room) => Action::BeInvited { room },
            Self::Kick(room, target) => Action::Kick { room, target },
            Self::Ban(room, target) => Action::Ban { room, target },
            Self::Unban(room, target) => Action::Unban { room, target },
            Self::SendEvent(room, event_type) => Action::SendEvent { room, event_type },
            Self::SendState(room, event_type) => {
                Action::SendState { room, event_type, opens: false }
            }
            Self::MakePublic(room) => {
                Action::SendState { room, event_type: "m.room.join_rules", opens: true }
            }
            Self::Redact(room, own) => Action::Redact { room, own: *own },
            Self::CreateRoom(kind) => Action::CreateRoom { kind: *kind },
            Self::UpgradeRoom(room) => Action::UpgradeRoom { room },
            Self::CreateAlias(alias, room) => Action::CreateAlias { alias, room },
            Self::DeleteAlias(alias, room) => Action::DeleteAlias { alias, room },
            Self::MoveAlias(alias, room) => Action::MoveAlias { alias, room },
            Self::ResolveRemoteAlias(alias) => Action::ResolveRemoteAlias { alias },
            Self::BrowseRemoteDirectory(server) => Action::BrowseRemoteDirectory { server },
            Self::Publish(room) => Action::Publish { room },
            Self::AdoptAlias(alias, room) => Action::AdoptAlias { alias, room },
            Self::ApproveSpaceChild(space, child) => Action::ApproveSpaceChild { space, child },
            Self::RedeemGuestLink(room) => Action::RedeemGuestLink { room },
            Self::ManageGuestLinks(room) => Action::ManageGuestLinks { room },
            Self::BlockRoom(room) => Action::BlockRoom { room },
            Self::Rename(room, name) => Action::Rename { room, name: name.as_deref() },
            Self::Typing(room) => Action::Typing { room },
            Self::Receipt(room) => Action::Receipt { room },
            Self::ReadMarker(room) => Action::ReadMarker { room },
            Self::Report => Action::Report,
            Self::SearchUsers => Action::SearchUsers,
            Self::SearchMessages => Action::SearchMessages,
        }
    }

    /// The room this is about.
    #[must_use]
    pub fn room(&self) -> Option<&RoomId> {
        self.action(None).room()
    }

    /// The room, for those acts that may be about one this server knows nothing of, or that is only
    /// about to be made.
    fn somewhere_else(&self, reader: &impl Read) -> Result<Option<OpenRoom>, StorageError> {
        let (Self::Join(room)
        | Self::Knock(room)
        | Self::BeInvited(room)
        | Self::CreateAlias(_, room)
        | Self::Publish(room)
        | Self::Invite(room, _)) = self
        else {
            return Ok(None);
        };
        let blocked = BLOCKED_ROOM.contains(reader, (room,))?;
        Ok(Some(OpenRoom { blocked, ..OpenRoom::nowhere(room) }))
    }

    pub(crate) fn alias(&self) -> Option<&OwnedRoomAliasId> {
        match self {
            Self::CreateAlias(alias, _)
            | Self::DeleteAlias(alias, _)
            | Self::MoveAlias(alias, _) => Some(alias),
            _ => None,
        }
    }
}

/// Somebody's request with what was settled before any transaction: its time, and its rate.
#[derive(Clone, Debug)]
pub(crate) struct Ask {
    pub(crate) user_id: OwnedUserId,
    pub(crate) now: MilliSecondsSinceUnixEpoch,
    pub(crate) address: Option<IpAddr>,
    pub(crate) rate: RateFact,
    pub(crate) afar: Afar,
    /// Where the transaction leaves what it decided, if nothing was decided before it.
    pub(crate) later: Option<Arc<Mutex<Option<Told>>>>,
}

/// What a decision goes by in a room this server is not in. What is stored of such a room is not
/// evidence.
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct Afar {
    /// Whether it admits guests, as another server said, or as is assumed before anybody is asked.
    pub(crate) guest_can_join: Option<bool>,
    /// Whether the user was invited to a direct chat.
    pub(crate) is_direct: bool,
    /// The state in this transaction has just been handed over and checked: it is evidence.
    pub(crate) arriving: bool,
}

impl Ask {
    /// The server's own work on behalf of a user: nobody waits, so nothing is charged.
    pub(crate) fn unattended(user_id: &UserId, now: MilliSecondsSinceUnixEpoch) -> Self {
        Self {
            user_id: user_id.to_owned(),
            now,
            address: None,
            rate: RateFact::Charged,
            afar: Afar::default(),
            later: None,
        }
    }
}

impl Rooms {
    /// Charges the rates of a deed and notes the time. A refusal is found before anything is
    /// charged, so it is a refusal and not a limit.
    pub(crate) async fn ask(&self, actor: &Actor, deed: &Deed) -> Result<Ask, AskError> {
        self.ask_afar(actor, deed, Afar::default()).await
    }

    /// The same where the deed may be about a room this server is not in.
    pub(crate) async fn ask_afar(
        &self,
        actor: &Actor,
        deed: &Deed,
        afar: Afar,
    ) -> Result<Ask, AskError> {
        let ask = Ask {
            user_id: actor.user_id().to_owned(),
            now: self.inner.env.now(),
            address: actor.address(),
            rate: RateFact::NotCharged,
            afar,
            later: None,
        };
        // A message of an unrated class is decided in its transaction alone, and settled after it.
        // Everything else is found out here as well.
        let hot = matches!(deed, Deed::SendEvent(..));
        let policy = self.inner.policy.current();
        let recorded = self.inner.policy.samples(deed.action(None).name());
        if hot && !recorded && !policy.observes() && !is_rated(&policy, actor.class()) {
            let later = Some(Arc::default());
            return Ok(Ask { rate: RateFact::Charged, later, ..ask });
        }
        let decision = self.decide_before(ask.clone(), deed.clone(), recorded).await?;
        let rate = self.inner.ledger.settle(&decision, ask.address).await?;
        Ok(Ask { rate, ..ask })
    }

    /// Settles what was decided in a transaction alone: counts what was allowed, and notes a refusal like
    /// any other. Its facts are gathered once more, because the transaction left nothing behind.
    pub(crate) async fn settle_later(&self, ask: &Ask, deed: &Deed) -> Result<(), AskError> {
        let Some(told) = ask.later.as_ref().and_then(|later| later.lock().take()) else {
            return Ok(());
        };
        if told.word == Word::Deny {
            let decision = self.decide_now(ask.clone(), deed.clone()).await?;
            return Ok(self.inner.ledger.refuse(&decision, 0, ask.address).await?);
        }
        self.inner.policy.count_told(&told);
        Ok(())
    }

    /// Decides outside of any write, on the newest snapshot.
    pub(crate) async fn decide_now(&self, ask: Ask, deed: Deed) -> Result<Decision, StorageError> {
        self.decide_before(ask, deed, false).await
    }

    /// The same, and records the decision if it is to be.
    async fn decide_before(
        &self,
        ask: Ask,
        deed: Deed,
        recorded: bool,
    ) -> Result<Decision, StorageError> {
        self.decide_as((ask, deed, recorded), |snapshot, user| subject(snapshot, user)).await
    }

    /// The same for whoever `who` says the user is.
    pub(crate) async fn decide_as(
        &self,
        (ask, deed, recorded): (Ask, Deed, bool),
        who: impl FnOnce(&Snapshot<'_>, &UserId) -> Result<Subject, StorageError> + Send + 'static,
    ) -> Result<Decision, StorageError> {
        let (rooms, policy) = (self.clone(), self.inner.policy.current());
        self.inner
            .store
            .read(move |snapshot| {
                let room = match deed.room() {
                    Some(room_id) => OpenRoom::load(snapshot, room_id)?,
                    None => None,
                };
                let room = match room {
                    Some(room) => Some(room),
                    None => deed.somewhere_else(snapshot)?,
                };
                let view = room.as_ref().map(|room| RoomView::new(&rooms, snapshot, room));
                let subject = who(snapshot, &ask.user_id)?;
                let question = (&subject, &ask, &deed);
                weigh(&policy, snapshot, view.as_ref(), question, |facts, request, decision| {
                    if recorded {
                        rooms.inner.policy.record(facts, request, decision);
                    }
                })
            })
            .await
    }
}

impl RoomTx<'_, '_> {
    /// Spends a permit of whoever asked.
    pub(crate) fn spend_permit<K: PermitKind>(
        &self,
        ask: &Ask,
        permit: Permit<K>,
        object: &Object,
    ) -> Result<Spent, AskError> {
        spend(&*self.tx, permit, &ask.user_id, object)
    }

    /// Asks the policy on this transaction's own reads, which the batch asserts.
    pub(crate) fn decide(&self, ask: &Ask, deed: &Deed) -> Result<Decision, StorageError> {
        let epoch = POLICY_EPOCH.get(&*self.tx, (0,))?.unwrap_or_default();
        let policy = self.rooms.inner.policy.of_epoch(epoch);
        let view = self.view().ok().filter(|view| deed.room() == Some(&view.room.room_id));
        let elsewhere = if view.is_none() { deed.somewhere_else(&*self.tx)? } else { None };
        let fixed = self.tx.fixed();
        let afar = elsewhere.as_ref().map(|room| RoomView::new(self.rooms, fixed, room));
        decide(&policy, &*self.tx, view.or(afar).as_ref(), (ask, deed))
    }

    /// The permit for a deed, or the refusal.
    pub(crate) fn permit<K: PermitKind>(
        &self,
        ask: &Ask,
        deed: &Deed,
    ) -> Result<Permit<K>, AskError> {
        let decision = self.decide(ask, deed)?;
        if let Some(later) = &ask.later {
            // The last run of the closure is the one that counts.
            *later.lock() = Some(decision.told(ask.rate));
        }
        Ok(decision.permit()?)
    }
}

/// Whether a message of this account may cost a rate: its own class's, or that of a class that its age
/// puts over `member`.
fn is_rated(policy: &Policy, class: &ClassName) -> bool {
    policy.classes().any(|it| {
        let concerns =
            it.name() == class || (class.as_str() == ClassName::MEMBER && it.is_by_age());
        concerns && !it.rates(RateKey::Message).is_empty()
    })
}

/// Gathers the facts of one question and asks it.
pub(crate) fn decide<R: Read, V: Read>(
    policy: &Policy,
    reader: &R,
    view: Option<&RoomView<'_, V>>,
    (ask, deed): (&Ask, &Deed),
) -> Result<Decision, StorageError> {
    let subject = subject(reader, &ask.user_id)?;
    decide_for(policy, reader, view, (&subject, ask, deed))
}

/// The same for an account that is known, or only thought of.
pub(crate) fn decide_for<R: Read, V: Read>(
    policy: &Policy,
    reader: &R,
    view: Option<&RoomView<'_, V>>,
    question: (&Subject, &Ask, &Deed),
) -> Result<Decision, StorageError> {
    weigh(policy, reader, view, question, |_, _, _| {})
}

/// The same, for whoever wants to see what it was decided from.
fn weigh<R: Read, V: Read>(
    policy: &Policy,
    reader: &R,
    view: Option<&RoomView<'_, V>>,
    (subject, ask, deed): (&Subject, &Ask, &Deed),
    see: impl FnOnce(&Facts, &Request<'_>, &Decision),
) -> Result<Decision, StorageError> {
    let target = match deed {
        Deed::Invite(_, user) if user.server_name() == ask.user_id.server_name() => {
            vestibule_accounts::facts::subject(reader, user)?.or_else(|| unwritten_guest(user))
        }
        _ => None,
    };
    let action = match deed {
        Deed::Invite(room, user) if user.server_name() != ask.user_id.server_name() => {
            Action::Invite { room, target: Invitee::Remote(user) }
        }
        _ => deed.action(target.as_ref()),
    };
    let request = Request::new(subject, action, ask.now, ask.address);
    let facts = facts::gather(policy, reader, view, (ask, deed, &request))?;
    let decision = policy.decide(&facts, &request);
    see(&facts, &request, &decision);
    Ok(decision)
}

/// A local account as the policy sees it. One without a row has no class that may do anything, but for the
/// server's own user, who has none.
pub(crate) fn subject(reader: &impl Read, user_id: &UserId) -> Result<Subject, StorageError> {
    Ok(vestibule_accounts::facts::subject(reader, user_id)?.unwrap_or_else(|| {
        // Nobody can have an account of this name, or act as it.
        if user_id.localpart() == SYSTEM_LOCALPART {
            return Subject::system(user_id.to_owned());
        }
        let mut nobody = Subject::new(user_id.to_owned(), ClassName::new("unknown"), None);
        nobody.state = AccountState::Deactivated;
        nobody
    }))
}

/// Who a local user without a row is, whose name only guests are given: a guest who did nothing yet. Only
/// for asking about them: whoever acts is read from their rows.
pub(crate) fn unwritten_guest(user_id: &UserId) -> Option<Subject> {
    let is_guest = user_id.localpart().starts_with(GUEST_PREFIX);
    is_guest.then(|| Subject::new(user_id.to_owned(), ClassName::guest(), None))
}

/// The suffix a permit obliges to put behind the display name.
pub(crate) fn name_suffix(obligations: &[Obligation]) -> Option<&str> {
    obligations.iter().find_map(|obligation| match obligation {
        Obligation::AppendNameSuffix(suffix) => Some(suffix.as_str()),
        Obligation::StripReason | Obligation::BareMembership { .. } => None,
    })
}

/// Whether a permit obliges to make the content of one's own membership here; if so, whether the avatar
/// may be chosen.
pub(crate) fn bare_membership(obligations: &[Obligation]) -> Option<bool> {
    obligations.iter().find_map(|obligation| match obligation {
        Obligation::BareMembership { avatar } => Some(*avatar),
        Obligation::AppendNameSuffix(_) | Obligation::StripReason => None,
    })
}

/// Whether a permit obliges to leave free text out.
pub(crate) fn strips_reason(obligations: &[Obligation]) -> bool {
    obligations.contains(&Obligation::StripReason)
}
