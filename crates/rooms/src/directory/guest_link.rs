//! Guest links: a secret that opens one room to so many guests, until a moment.

use ruma::{OwnedRoomId, OwnedUserId, RoomId, UserId};
use sha2::{Digest, Sha256};
use vestibule_policy::{
    AddressBlock, Charge, Denial, Object, Rate, RateFact, RateKey, RatePer, RateWho, kind,
};
use vestibule_storage::{
    Read, Scan, Snapshot, StorageError,
    tables::{
        account::TokenDigest,
        directory::{GUEST_GRANT, GUEST_GRANT_BY_ROOM, GUEST_LINK, StoredGrant, StoredGuestLink},
    },
};
use vestibule_types::{
    Actor, Secret,
    limits::{
        GUEST_GRANTS_PER_ROOM_MAX, GUEST_LINK_LIFE_MS_MAX, GUEST_LINK_USES_MAX, GUEST_LINKS_MAX,
        JOINED_ROOMS_MAX, TOKEN_BYTES_MAX,
    },
};

use super::{Administrator, adopt_alias::AdminAsk};
use crate::{
    RoomTx, Rooms, UnknownRoom,
    ask::{Ask, AskError, Deed, subject},
};

/// Begins every guest link's token.
const TOKEN: &str = "vgl_";
/// How often everybody behind one address may redeem links, whoever they are.
const REDEEMED_PER_ADDRESS: Rate = Rate { per: RatePer::Ip, ..Rate::per_minute(10, 10) };

/// A guest link to be made.
#[derive(Clone, Debug)]
pub struct NewGuestLink {
    /// The one room it opens.
    pub room_id: OwnedRoomId,
    /// How many accounts it lets in.
    pub uses: u32,
    /// How long it is good for, in milliseconds. What it opened closes with it.
    pub life_ms: u64,
}

/// A guest link as operators see it. Its token is told once, by whoever made it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct GuestLink {
    /// Names it. Nobody gets in with it.
    pub id: String,
    /// The one room it opens.
    pub room_id: OwnedRoomId,
    /// Who made it.
    pub maker: OwnedUserId,
    /// How many accounts it still lets in.
    pub uses_left: u32,
    /// When it ends, in milliseconds since the Unix epoch.
    pub expires_at: u64,
}

/// Why a guest link was not made, redeemed or revoked.
#[derive(Debug, thiserror::Error)]
pub enum GuestLinkError {
    /// There is no such link, or not any more.
    #[error("there is no such guest link")]
    Unknown,
    /// Its time is over.
    #[error("the guest link has expired")]
    Expired,
    /// It let in as many as it may.
    #[error("the guest link is used up")]
    UsedUp,
    /// It would let in too many, or for too long.
    #[error("a guest link has 1 to {GUEST_LINK_USES_MAX} uses and lives for up to 90 days")]
    OutOfBounds,
    /// There are as many as there may be, on this server or into this room.
    #[error("there are too many guest links, or too many guests came by one into this room")]
    TooMany,
    /// This server does not know the room.
    #[error(transparent)]
    UnknownRoom(#[from] UnknownRoom),
    /// The policy or the database refused.
    #[error(transparent)]
    Ask(#[from] AskError),
}

impl From<StorageError> for GuestLinkError {
    fn from(error: StorageError) -> Self {
        Self::Ask(AskError::Storage(error))
    }
}

impl From<Denial> for GuestLinkError {
    fn from(denial: Denial) -> Self {
        Self::Ask(AskError::Denied(denial))
    }
}

impl Rooms {
    /// Makes a guest link. Returns its token, which nobody is told again.
    pub async fn create_guest_link(
        &self,
        by: &Administrator,
        wanted: NewGuestLink,
    ) -> Result<(GuestLink, Secret), GuestLinkError> {
        let NewGuestLink { room_id, uses, life_ms } = wanted;
        if uses == 0
            || uses > GUEST_LINK_USES_MAX
            || life_ms == 0
            || life_ms > GUEST_LINK_LIFE_MS_MAX
        {
            return Err(GuestLinkError::OutOfBounds);
        }
        self.forget_ended_links().await?;
        let random = self
            .inner
            .env
            .random_text(b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789", 32);
        let token = Secret::new(format!("{TOKEN}{random}"));
        let digest = digest_of(token.expose());
        let ask = by.ask(self.inner.env.now());
        let made_at = self.inner.env.now_ms();
        let row = StoredGuestLink {
            room_id: room_id.clone(),
            maker: ask.ask.user_id.clone(),
            made_at,
            uses_left: uses,
            expires_at: made_at.saturating_add(life_ms),
        };
        let made = shown(&digest, &row);
        self.in_room(&room_id, move |room| {
            room.known()?;
            room.manage_links(&ask)?;
            if GUEST_LINK.scan(&*room.tx, (), GUEST_LINKS_MAX)?.len() >= GUEST_LINKS_MAX {
                return Err(GuestLinkError::TooMany);
            }
            GUEST_LINK.put(room.tx, (digest,), &row)?;
            // Whoever came in by it is looked at when it ends.
            Ok(room.scope_changed(row.expires_at)?)
        })
        .await?;
        Ok((made, token))
    }

    /// The guest links there are, those that are used up included.
    pub async fn guest_links(&self) -> Result<Vec<GuestLink>, StorageError> {
        let rows = self.inner.store.read(|it| GUEST_LINK.scan(it, (), GUEST_LINKS_MAX)).await?;
        let now = self.inner.env.now_ms();
        let live = rows.into_iter().filter(|(_, row)| row.expires_at > now);
        Ok(live.map(|((digest,), row)| shown(&digest, &row)).collect())
    }

    /// Ends a guest link. Whoever came in by it and has no other door is frozen, or put out, as the
    /// policy says.
    pub async fn revoke_guest_link(
        &self,
        by: &Administrator,
        id: &str,
    ) -> Result<(), GuestLinkError> {
        let rows = self.inner.store.read(|it| GUEST_LINK.scan(it, (), GUEST_LINKS_MAX)).await?;
        let found = rows.into_iter().find(|((digest,), _)| id_of(digest) == id);
        let ((digest,), row) = found.ok_or(GuestLinkError::Unknown)?;
        let ask = by.ask(self.inner.env.now());
        let now = self.inner.env.now_ms();
        self.in_room(&row.room_id, move |room| {
            room.manage_links(&ask)?;
            if GUEST_LINK.get(&*room.tx, (digest,))?.is_none() {
                return Err(GuestLinkError::Unknown);
            }
            room.end_link(digest)?;
            room.bump_scope_guard()?;
            Ok(room.scope_changed(now)?)
        })
        .await?;
        Ok(())
    }

    /// Redeems a guest link: from now on the one room it is for is open to the account, until the link
    /// ends. Redeeming it again takes no further use, nor does a second link that is not good for
    /// longer, nor an account that needs no door.
    pub async fn redeem_guest_link(
        &self,
        actor: &Actor,
        token: &str,
    ) -> Result<OwnedRoomId, GuestLinkError> {
        self.charge_redemption(actor)?;
        if token.len() > TOKEN_BYTES_MAX || !token.starts_with(TOKEN) {
            return Err(GuestLinkError::Unknown);
        }
        let digest = digest_of(token);
        let row = self.inner.store.read(move |it| GUEST_LINK.get(it, (digest,))).await?;
        let row = row.ok_or(GuestLinkError::Unknown)?;
        let room_id = row.room_id;
        let deed = Deed::RedeemGuestLink(room_id.clone());
        let ask = self.ask(actor, &deed).await?;
        self.in_room(&room_id, move |room| room.redeem(&ask, digest)).await?;
        Ok(room_id)
    }

    fn charge_redemption(&self, actor: &Actor) -> Result<(), Denial> {
        let who = match actor.address() {
            Some(address) => RateWho::Address(AddressBlock::of(address)),
            None => RateWho::Subject(actor.user_id().to_owned()),
        };
        let charge = Charge {
            class: vestibule_types::ClassName::new(""),
            key: RateKey::GuestLink,
            who,
            rate: REDEEMED_PER_ADDRESS,
        };
        match self.inner.rates.take(&[charge], self.inner.env.clock.monotonic()) {
            RateFact::Exhausted { retry_after_ms } => Err(Denial::limited(retry_after_ms)),
            RateFact::Charged | RateFact::NotCharged => Ok(()),
        }
    }

    /// Forgets the links whose time is over, and what they opened.
    pub(crate) async fn forget_ended_links(&self) -> Result<(), StorageError> {
        let rows = self.inner.store.read(|it| GUEST_LINK.scan(it, (), GUEST_LINKS_MAX)).await?;
        let now = self.inner.env.now_ms();
        for ((digest,), row) in rows.into_iter().filter(|(_, row)| row.expires_at <= now) {
            let forget = move |room: &mut RoomTx<'_, '_>| {
                room.end_link(digest)?;
                room.bump_scope_guard()
            };
            self.in_room(&row.room_id, forget).await?;
        }
        Ok(())
    }

    /// Forgets what links opened to an account that is gone.
    pub(crate) async fn forget_grants_of(&self, user: &OwnedUserId) -> Result<(), StorageError> {
        let whose = user.clone();
        let read = move |it: &Snapshot<'_>| GUEST_GRANT.scan(it, (&whose,), JOINED_ROOMS_MAX);
        for ((_, room_id), _) in self.inner.store.read(read).await? {
            let user = user.clone();
            self.in_room(&room_id, move |room| room.forget_grant(&user)).await?;
        }
        Ok(())
    }
}

impl RoomTx<'_, '_> {
    fn manage_links(&self, ask: &AdminAsk) -> Result<(), AskError> {
        let deed = Deed::ManageGuestLinks(self.room_id.clone());
        self.administer_with::<kind::ManageGuestLinks>((ask, &deed), &Object::room(&self.room_id))
    }

    fn redeem(&mut self, ask: &Ask, digest: TokenDigest) -> Result<(), GuestLinkError> {
        let now: u64 = ask.now.get().into();
        let row = GUEST_LINK.get(&*self.tx, (digest,))?.ok_or(GuestLinkError::Unknown)?;
        if row.expires_at <= now {
            return Err(GuestLinkError::Expired);
        }
        let deed = Deed::RedeemGuestLink(self.room_id.clone());
        let permit = self.permit::<kind::RedeemGuestLink>(ask, &deed)?;
        self.spend_permit(ask, permit, &Object::room(&self.room_id))?;
        let whose = subject(&*self.tx, &ask.user_id)?;
        let policy = self.rooms.inner.policy.current();
        let scope = policy.effective_class(&whose, ask.now).map(vestibule_policy::Class::scope);
        if matches!(scope, Some(None)) {
            // No door is needed, so nothing is used up.
            return Ok(());
        }
        let key = (&ask.user_id, &self.room_id);
        let known = GUEST_GRANT.get(&*self.tx, key)?;
        if known.is_some_and(|known| known.link == digest || known.expires_at >= row.expires_at) {
            // What is open for as long already takes no use.
            return Ok(());
        }
        let uses_left = row.uses_left.checked_sub(1).ok_or(GuestLinkError::UsedUp)?;
        let many = Scan::prefix((&self.room_id,)).limit(GUEST_GRANTS_PER_ROOM_MAX);
        let held = GUEST_GRANT.scan(&*self.tx, (&ask.user_id,), JOINED_ROOMS_MAX)?.len();
        if held >= JOINED_ROOMS_MAX
            || GUEST_GRANT_BY_ROOM.scan_with(&*self.tx, many)?.len() >= GUEST_GRANTS_PER_ROOM_MAX
        {
            return Err(GuestLinkError::TooMany);
        }
        let grant = StoredGrant { link: digest, expires_at: row.expires_at };
        GUEST_LINK.put(self.tx, (digest,), &StoredGuestLink { uses_left, ..row })?;
        GUEST_GRANT.put(self.tx, key, &grant)?;
        GUEST_GRANT_BY_ROOM.put(self.tx, (&self.room_id, &ask.user_id), &())?;
        Ok(self.bump_scope_guard()?)
    }

    /// Takes a link away with everything it opened.
    fn end_link(&mut self, digest: TokenDigest) -> Result<(), StorageError> {
        GUEST_LINK.delete(self.tx, (digest,))?;
        let all = Scan::prefix((&self.room_id,)).limit(GUEST_GRANTS_PER_ROOM_MAX);
        for ((_, user), ()) in GUEST_GRANT_BY_ROOM.scan_with(&*self.tx, all)? {
            let grant = GUEST_GRANT.get(&*self.tx, (&user, &self.room_id))?;
            if grant.is_some_and(|grant| grant.link == digest) {
                self.forget_grant(&user)?;
            }
        }
        Ok(())
    }

    fn forget_grant(&mut self, user: &UserId) -> Result<(), StorageError> {
        GUEST_GRANT.delete(self.tx, (user, &self.room_id))?;
        GUEST_GRANT_BY_ROOM.delete(self.tx, (&self.room_id, user))
    }
}

/// What a link opened to an account in a room, and when that ends.
pub(crate) fn grant_of(
    reader: &impl Read,
    user: &UserId,
    room_id: &RoomId,
) -> Result<Option<StoredGrant>, StorageError> {
    GUEST_GRANT.get(reader, (user, room_id))
}

fn digest_of(token: &str) -> TokenDigest {
    TokenDigest(Sha256::digest(token.as_bytes()).into())
}

/// The name of a link: the beginning of its digest, of which no token can be made.
fn id_of(digest: &TokenDigest) -> String {
    let beginning = digest.0.iter().take(8);
    format!("{:016x}", beginning.fold(0_u64, |name, byte| (name << 8) | u64::from(*byte)))
}

fn shown(digest: &TokenDigest, row: &StoredGuestLink) -> GuestLink {
    GuestLink {
        id: id_of(digest),
        room_id: row.room_id.clone(),
        maker: row.maker.clone(),
        uses_left: row.uses_left,
        expires_at: row.expires_at,
    }
}
