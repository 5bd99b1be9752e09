//! Telling the operators about something: kept, bounded, for them to read.

use ruma::{OwnedEventId, OwnedRoomId, OwnedUserId, UserId};
use vestibule_accounts::spend;
use vestibule_policy::{Denial, Object, Policy, kind};
use vestibule_storage::{
    Fixed, Scan, StorageError, Tx,
    tables::{
        account::ACCOUNT_BY_ID,
        report::{REPORT, REPORTS_KEPT, StoredReport, StoredReported},
    },
};
use vestibule_types::{
    Actor,
    limits::{REPORT_REASON_BYTES_MAX, REPORTS_MAX},
};

use crate::{
    ReadError, RoomView, Rooms, StoredMembership,
    ask::{Ask, AskError, Deed, decide},
};

/// What a report is about.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Reported {
    /// A room.
    Room(OwnedRoomId),
    /// An event of a room.
    Event(OwnedRoomId, OwnedEventId),
    /// A user.
    User(OwnedUserId),
}

/// Report something to the operators.
#[derive(Clone, Debug)]
pub struct Report {
    /// What.
    pub about: Reported,
    /// Why, in the reporter's words.
    pub reason: String,
}

/// A report as an operator reads it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct FiledReport {
    /// Who reported.
    pub reporter: OwnedUserId,
    /// When, in milliseconds since the Unix epoch.
    pub at: u64,
    /// What.
    pub about: Reported,
    /// Why.
    pub reason: String,
}

/// Why a report was not taken.
#[derive(Debug, thiserror::Error)]
pub enum ReportError {
    /// There is no such event, or the reporter is not in its room.
    #[error("the event was not found, or you are not in its room")]
    UnknownEvent,
    /// The policy or the database refused.
    #[error(transparent)]
    Ask(#[from] AskError),
}

impl From<StorageError> for ReportError {
    fn from(error: StorageError) -> Self {
        Self::Ask(AskError::Storage(error))
    }
}

impl From<Denial> for ReportError {
    fn from(denial: Denial) -> Self {
        Self::Ask(AskError::Denied(denial))
    }
}

impl Rooms {
    /// Keeps a report. Whether a room or a user exists is not told: a report about one that does
    /// not is taken and not kept.
    pub async fn report(&self, actor: &Actor, command: Report) -> Result<(), ReportError> {
        let ask = self.ask(actor, &Deed::Report).await?;
        if !self.can_be_reported(actor, &command.about).await? {
            return Ok(());
        }
        let row = StoredReport {
            reporter: ask.user_id.clone(),
            at: ask.now.get().into(),
            about: stored(command.about),
            reason: shortened(command.reason),
        };
        let policy = self.inner.policy.clone();
        let slot = self.inner.store.slot_of_user(&ask.user_id);
        self.inner
            .store
            .write(slot, move |tx| file(tx, &policy.current(), (&ask, &row)))
            .await
            .map(|_| ())
    }

    /// The newest reports, newest first.
    pub async fn reports(&self, limit: usize) -> Result<Vec<FiledReport>, StorageError> {
        let (slots, limit) = (self.inner.store.slots(), limit.min(REPORTS_MAX));
        self.inner
            .store
            .read(move |snapshot| {
                let mut all = Vec::new();
                for slot in 0..slots {
                    let newest = Scan::prefix((slot,)).reverse().limit(limit);
                    let rows = REPORT.scan_with(snapshot, newest)?;
                    all.extend(rows.into_iter().map(|(_, row)| filed(row)));
                }
                all.sort_by_key(|report| std::cmp::Reverse(report.at));
                all.truncate(limit);
                Ok(all)
            })
            .await
    }

    async fn can_be_reported(&self, actor: &Actor, about: &Reported) -> Result<bool, ReportError> {
        match about {
            Reported::Room(room_id) => Ok(self.knows(room_id).await?),
            Reported::User(user_id) if user_id.server_name() == self.server_name() => {
                Ok(self.has_account(user_id).await?)
            }
            Reported::User(_) => Ok(true),
            Reported::Event(room_id, event_id) => {
                let (user, event_id) = (actor.user_id().to_owned(), event_id.clone());
                let seen = self.read_as(actor, room_id, move |view, mut access| {
                    let member = view.local_member(&user)?;
                    if member.is_none_or(|it| it.value.membership != StoredMembership::Join) {
                        return Err(ReadError::NotMember);
                    }
                    let no = view.event_no(&event_id)?.ok_or(ReadError::NotFound)?;
                    Ok(access.viewer.may_see(view, no)?)
                });
                match seen.await {
                    Ok(true) => Ok(true),
                    Err(ReadError::Ask(error)) => Err(error.into()),
                    Ok(false) | Err(_) => Err(ReportError::UnknownEvent),
                }
            }
        }
    }

    async fn has_account(&self, user_id: &UserId) -> Result<bool, StorageError> {
        let user_id = user_id.to_owned();
        self.inner.store.read(move |snapshot| ACCOUNT_BY_ID.contains(snapshot, (&user_id,))).await
    }
}

/// Spends the permit and writes the report; the oldest one makes room.
fn file(
    tx: &mut Tx<'_>,
    policy: &Policy,
    (ask, row): (&Ask, &StoredReport),
) -> Result<(), ReportError> {
    let nowhere = None::<&RoomView<'_, Fixed<'_>>>;
    let permit = decide(policy, &*tx, nowhere, (ask, &Deed::Report))?.permit::<kind::Report>()?;
    spend(&*tx, permit, &ask.user_id, &Object::Own)?;

    let slot = tx.slot().0;
    let kept = REPORTS_KEPT.get(&*tx, (slot,))?.unwrap_or_default();
    let full = usize::try_from(kept).unwrap_or(usize::MAX) >= REPORTS_MAX;
    if full {
        for (key, _) in REPORT.scan(&*tx, (slot,), 1)? {
            REPORT.delete(tx, key)?;
        }
    }
    REPORTS_KEPT.put(tx, (slot,), &if full { kept } else { kept + 1 })?;
    let stamp = tx.next_stamp();
    REPORT.put(tx, (slot, stamp), row)?;
    Ok(())
}

/// Cuts a reason that is too long, between two characters.
fn shortened(mut reason: String) -> String {
    if reason.len() > REPORT_REASON_BYTES_MAX {
        let mut end = REPORT_REASON_BYTES_MAX;
        while !reason.is_char_boundary(end) {
            end -= 1;
        }
        reason.truncate(end);
    }
    reason
}

fn stored(about: Reported) -> StoredReported {
    match about {
        Reported::Room(room_id) => StoredReported::Room { room_id },
        Reported::Event(room_id, event_id) => StoredReported::Event { room_id, event_id },
        Reported::User(user_id) => StoredReported::User { user_id },
    }
}

fn filed(row: StoredReport) -> FiledReport {
    let about = match row.about {
        StoredReported::Room { room_id } => Reported::Room(room_id),
        StoredReported::Event { room_id, event_id } => Reported::Event(room_id, event_id),
        StoredReported::User { user_id } => Reported::User(user_id),
    };
    FiledReport { reporter: row.reporter, at: row.at, about, reason: row.reason }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_long_reason_is_cut_between_two_characters() {
        let long = "ä".repeat(REPORT_REASON_BYTES_MAX);
        let short = shortened(format!("x{long}"));
        assert_eq!(short.len(), REPORT_REASON_BYTES_MAX - 1);
        assert!(short.ends_with('ä'));
        assert_eq!(shortened("spam".to_owned()), "spam");
    }
}
