//! Reading the log: what in it is for whom.

use ruma::ServerName;
use vestibule_rooms::{LoggedEvent, OpenRoom, RoomView, Rooms, StoredMembership};
use vestibule_storage::{
    Read, Scan, SlotNo, Snapshot, Stamp, StorageError,
    tables::{
        room::{RECEIPT_BY_POSITION, STREAM, StoredNews},
        sender::{RELAY, StoredCursor},
    },
};
use vestibule_types::{EventNo, RoomNo, limits::NEWS_READ_MAX};

use super::{
    cursor::Cursor,
    hub::{Line, News},
    presence::Arrival,
    servers::{RoomServers, Servers},
};

/// The receipts that others are told of.
pub(super) const PUBLIC_RECEIPT: &str = "m.read";

/// Looks for what other servers are told.
pub(super) struct Dispatch<'r> {
    pub(super) rooms: &'r Rooms,
    pub(super) servers: &'r RoomServers,
    pub(super) us: &'r ServerName,
}

impl Dispatch<'_> {
    /// Reads on from a place in the log, a bounded stretch of each slot.
    pub(super) fn read(
        &self,
        snapshot: &Snapshot<'_>,
        from: &StoredCursor,
    ) -> Result<(News, Vec<Arrival>), StorageError> {
        let mut news = News { to: from.clone(), ..News::default() };
        let mut arrivals = Vec::new();
        for (slot, commit) in snapshot.positions()?.iter() {
            let scan = Scan::prefix((slot.0,)).after((slot.0, from.at(slot))).limit(NEWS_READ_MAX);
            let lines = STREAM.scan_with(snapshot, scan)?;
            let end = match lines.last() {
                Some(((_, last), _)) if lines.len() == NEWS_READ_MAX => *last,
                _ => Stamp::end_of(commit),
            };
            for ((_, stamp), line) in lines {
                arrivals.extend(Arrival::of(stamp, &line));
                self.one(snapshot, (slot, stamp), line, &mut news)?;
            }
            news.to.advance(slot, end);
        }
        Ok((news, arrivals))
    }

    fn one(
        &self,
        snapshot: &Snapshot<'_>,
        (slot, stamp): (SlotNo, Stamp),
        line: StoredNews,
        news: &mut News,
    ) -> Result<(), StorageError> {
        let (room, event, servers) = match line {
            StoredNews::Event { room, event, member } => {
                let abroad = member.is_some_and(|user| user.server_name() != self.us);
                let there = self.servers.at(snapshot, room, stamp)?;
                if there.is_empty() && !abroad {
                    return Ok(());
                }
                (room, Some(event), self.told(snapshot, (room, event), there)?)
            }
            StoredNews::Receipt { room } => {
                let there = self.servers.at(snapshot, room, stamp)?;
                if there.is_empty() || !self.is_public_receipt(snapshot, room, stamp)? {
                    return Ok(());
                }
                (room, None, there)
            }
            StoredNews::Outbox { servers } => {
                news.outbox.extend(servers);
                return Ok(());
            }
            StoredNews::State { .. } | StoredNews::User { .. } | StoredNews::DeviceList { .. } => {
                return Ok(());
            }
        };
        if !servers.is_empty() {
            news.lines.push((Line { slot, stamp, room, event }, servers));
        }
        Ok(())
    }

    /// Who is told of an event: nobody of what others send out themselves.
    fn told(
        &self,
        snapshot: &Snapshot<'_>,
        (room, no): (RoomNo, EventNo),
        there: Servers,
    ) -> Result<Servers, StorageError> {
        let Some(open) = OpenRoom::load_no(snapshot, room)? else { return Ok(Servers::default()) };
        let view = RoomView::new(self.rooms, snapshot, &open);
        let Some(event) = view.event(no)? else { return Ok(Servers::default()) };
        let sender = event.pdu.sender().server_name();
        if !self.is_ours(snapshot, (room, &event))? {
            return Ok(Servers::default());
        }
        if sender != self.us {
            return Ok(there.iter().filter(|server| *server != sender).cloned().collect());
        }
        let out = turned_away(&view, &event)?.filter(|user| *user != *self.us);
        match out {
            Some(out) if !there.contains(&out) => Ok(there.iter().cloned().chain([out]).collect()),
            _ => Ok(there),
        }
    }

    /// Whether the receipt at a position still stands there, is one of ours, and is for everybody.
    pub(super) fn is_public_receipt(
        &self,
        reader: &impl Read,
        room: RoomNo,
        stamp: Stamp,
    ) -> Result<bool, StorageError> {
        let row = RECEIPT_BY_POSITION.get(reader, (room, stamp))?;
        Ok(row.is_some_and(|row| {
            row.receipt_type == PUBLIC_RECEIPT && row.user_id.server_name() == self.us
        }))
    }

    /// Whether an event is one that we tell others of.
    pub(super) fn is_ours(
        &self,
        reader: &impl Read,
        (room, event): (RoomNo, &LoggedEvent),
    ) -> Result<bool, StorageError> {
        let own = event.pdu.sender().server_name() == self.us;
        // Only memberships are brought by another server than their sender's.
        if event.membership().is_none() {
            return Ok(own);
        }
        let relay = RELAY.get(reader, (room, event.no))?;
        Ok(relay.map_or(own, |relay| relay.ours))
    }
}

/// The server of somebody whose invitation or knock an event ends: it need not have anybody else in
/// the room, and would not hear of it. An invitation itself was brought to its server before it
/// came into the room.
pub(super) fn turned_away<R: Read>(
    view: &RoomView<'_, R>,
    event: &LoggedEvent,
) -> Result<Option<ruma::OwnedServerName>, StorageError> {
    if event.pdu.kind() != "m.room.member" {
        return Ok(None);
    }
    let Some(Ok(user)) = event.pdu.state_key().map(<&ruma::UserId>::try_from) else {
        return Ok(None);
    };
    let ends = matches!(event.membership(), Some(StoredMembership::Leave | StoredMembership::Ban));
    let Some(around) = view.around(event.no)?.filter(|_| ends) else { return Ok(None) };
    let before = view.state_event_at(around.value.before, "m.room.member", user.as_str())?;
    let was = before.and_then(|before| before.membership());
    let waited = matches!(was, Some(StoredMembership::Invite | StoredMembership::Knock));
    Ok(waited.then(|| user.server_name().to_owned()))
}
