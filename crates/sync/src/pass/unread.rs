//! What the user has not read: counted when they ask, by their own push rules. A send costs nothing
//! for it, whatever the number of members.
//!
//! Only the newest events count, up to a bound. One's own message reads what was before it.

use std::{
    collections::{BTreeMap, HashMap},
    sync::Arc,
};

use futures_util::FutureExt;
use ruma::{
    OwnedEventId, OwnedUserId, UInt,
    events::room::power_levels::RoomPowerLevelsEventContent,
    push::{Action, PushConditionPowerLevelsCtx, PushConditionRoomCtx, Ruleset},
    room_version_rules::RoomPowerLevelsRules,
    serde::Raw,
};
use serde::Deserialize;
use vestibule_events::{Unsigned, client_event};
use vestibule_rooms::{LoggedEvent, ReceiptKind, TimelinePosition};
use vestibule_storage::{
    Scan, Stamp, Stamped, StorageError,
    tables::{
        room::{MEMBER_COUNT, RECEIPT, RECEIPT_BY_POSITION, StoredMember, StoredMembership},
        user_data::ACCOUNT_DATA,
    },
};
use vestibule_types::{EventNo, limits::UNREAD_COUNTED_MAX};

use super::{Sight, account_data::PUSH_RULES, damaged, timeline::LIVE};
use crate::{
    UnreadCounts,
    unread::{MAIN, Tally},
};

#[derive(Deserialize)]
struct Threaded {
    #[serde(rename = "m.relates_to")]
    relates_to: Relation,
}

#[derive(Deserialize)]
struct Relation {
    rel_type: String,
    event_id: OwnedEventId,
}

#[derive(Deserialize)]
struct RulesContent {
    global: Ruleset,
}

#[derive(Default, Deserialize)]
#[serde(default)]
struct MemberName {
    displayname: Option<String>,
}

#[derive(Default, Deserialize)]
#[serde(default)]
struct Creators {
    additional_creators: Vec<OwnedUserId>,
}

/// Events to count, oldest first, with the tally they are added to.
struct Job {
    tally: Tally,
    events: Vec<(Stamp, EventNo)>,
}

impl Sight<'_> {
    /// What the user has not read in this room.
    pub(crate) fn unread(
        &mut self,
        member: &Stamped<StoredMember>,
    ) -> Result<Arc<Tally>, StorageError> {
        let (pass, room) = (self.pass, self.view.room.no);
        let stored = ACCOUNT_DATA.get(pass.snapshot, (pass.user(), "", PUSH_RULES))?;
        let rules = stored.as_ref().map(|row| row.stamp).unwrap_or_default();
        let fresh = Tally { at: 0, rules, member: member.stamp, by_thread: BTreeMap::new() };

        let known = pass.inner.unread.get(pass.user(), room);
        let known = known.filter(|it| it.rules == rules && it.member == member.stamp);
        let job = match known {
            Some(known) if !self.read_on_since(known.at)? => self.since_tally(&known)?,
            _ => None,
        };
        let job = match job {
            Some(job) => job,
            None => self.all_unread(fresh)?,
        };
        let parse = || stored.and_then(|row| serde_json::from_str::<RulesContent>(&row.value).ok());
        let own_rules = pass.inner.unread.rules(pass.user(), rules, || {
            parse().map_or_else(|| Ruleset::server_default(pass.user()), |content| content.global)
        });
        let mut tally = self.count(job, &own_rules)?;
        tally.at = pass.now_of(self.view.room);
        let tally = Arc::new(tally);
        pass.inner.unread.put(pass.user(), room, Arc::clone(&tally));
        Ok(tally)
    }

    /// Whether a receipt of the user changed after a commit.
    fn read_on_since(&self, commit: u64) -> Result<bool, StorageError> {
        let no = self.view.room.no;
        let since = Scan::prefix((no,)).after((no, Stamp::end_of(commit)));
        let mut found = false;
        RECEIPT_BY_POSITION.each(self.pass.snapshot, since, |_, receipt| {
            found = receipt.user_id == self.pass.user();
            if found {
                std::ops::ControlFlow::Break(())
            } else {
                std::ops::ControlFlow::Continue(())
            }
        })?;
        Ok(found)
    }

    /// What is new since a tally; `None` when that is too much to add to it.
    fn since_tally(&self, known: &Tally) -> Result<Option<Job>, StorageError> {
        let events = self.newest(Some(Stamp::end_of(known.at)))?;
        let few = events.len() < UNREAD_COUNTED_MAX;
        Ok(few.then(|| Job { tally: known.clone(), events }))
    }

    /// Everything after what the user has read.
    fn all_unread(&self, tally: Tally) -> Result<Job, StorageError> {
        let read = self.read_up_to("")?;
        Ok(Job { tally, events: self.newest(read)? })
    }

    /// The newest events after a place, oldest first.
    fn newest(&self, after: Option<Stamp>) -> Result<Vec<(Stamp, EventNo)>, StorageError> {
        let after = after.map(|stamp| TimelinePosition { side: LIVE, stamp });
        let rows = self.view.timeline_back(None, after, UNREAD_COUNTED_MAX)?;
        let live = rows.into_iter().filter(|(place, _)| place.side == LIVE);
        Ok(live.rev().map(|(place, no)| (place.stamp, no)).collect())
    }

    /// The place of the later of the user's two receipts in a thread.
    fn read_up_to(&self, thread: &str) -> Result<Option<Stamp>, StorageError> {
        let mut last = None;
        for kind in [ReceiptKind::Public, ReceiptKind::Private] {
            let key = (self.view.room.no, kind.name(), thread, self.pass.user());
            let Some(row) = RECEIPT.get(self.pass.snapshot, key)? else { continue };
            let Some(no) = self.view.event_no(&row.value.event_id)? else { continue };
            last = last.max(self.view.around(no)?.map(|around| around.stamp));
        }
        Ok(last)
    }

    fn count(&mut self, job: Job, rules: &Ruleset) -> Result<Tally, StorageError> {
        let Job { mut tally, events } = job;
        let mut read: HashMap<String, Option<Stamp>> = HashMap::new();
        let mut context = None;
        for (place, no) in events {
            let Some(event) = self.view.event(no)? else { continue };
            let thread = thread_of(&event).unwrap_or_else(|| MAIN.to_owned());
            if event.pdu.sender() == self.pass.user() {
                tally.by_thread.remove(&thread);
                continue;
            }
            let read_in_thread = if let Some(known) = read.get(&thread) {
                *known
            } else {
                let place = self.read_up_to(&thread)?;
                read.insert(thread.clone(), place);
                place
            };
            if Some(place) <= read_in_thread || !self.counts(&event)? {
                continue;
            }
            if context.is_none() {
                context = Some(self.push_context()?);
            }
            let Some(context) = &context else { continue };
            let shown = client_event(&event.pdu, true, &Unsigned::default());
            let json = Raw::<serde_json::Value>::from_json(shown.map_err(|it| damaged(&it))?);
            // Nothing in it waits.
            let actions = rules.get_actions(&json, context).now_or_never().unwrap_or_default();
            if actions.iter().any(Action::should_notify) {
                let unread = tally.by_thread.entry(thread).or_default();
                unread.notification_count += 1;
                unread.highlight_count += u64::from(actions.iter().any(Action::is_highlight));
            }
        }
        Ok(tally)
    }

    /// Whether an event is one the user sees.
    fn counts(&mut self, event: &LoggedEvent) -> Result<bool, StorageError> {
        let gone = self.view.redaction_of(event.pdu.event_id())?.is_some();
        let ignored = self.pass.ignored.contains(event.pdu.sender());
        Ok(!gone && !ignored && self.viewer.may_see(&self.view, event.no)?)
    }

    fn push_context(&self) -> Result<PushConditionRoomCtx, StorageError> {
        let (view, user) = (&self.view, self.pass.user());
        let count =
            MEMBER_COUNT.get(self.pass.snapshot, (view.room.no, StoredMembership::Join.key()))?;
        let own = view.state_event("m.room.member", user.as_str())?;
        let name = own.and_then(|event| event.pdu.content_as::<MemberName>().ok()?.displayname);
        let context = PushConditionRoomCtx::new(
            view.room.room_id.clone(),
            UInt::new_saturating(count),
            user.to_owned(),
            name.unwrap_or_else(|| user.localpart().to_owned()),
        );
        let levels = view.state_event("m.room.power_levels", "")?;
        let levels =
            levels.and_then(|event| event.pdu.content_as::<RoomPowerLevelsEventContent>().ok());
        let (Some(levels), Some(create)) = (levels, view.state_event("m.room.create", "")?) else {
            return Ok(context);
        };
        let more = create.pdu.content_as::<Creators>().unwrap_or_default().additional_creators;
        let creators = more.into_iter().chain([create.pdu.sender().to_owned()]);
        let rules = RoomPowerLevelsRules::new(&view.room.version.rules().authorization, creators);
        Ok(context.with_power_levels(PushConditionPowerLevelsCtx::new(
            levels.users,
            levels.users_default,
            levels.notifications,
            rules,
        )))
    }
}

/// The thread an event is a reply in.
fn thread_of(event: &LoggedEvent) -> Option<String> {
    let Threaded { relates_to } = event.pdu.content_as().ok()?;
    (relates_to.rel_type == "m.thread").then(|| relates_to.event_id.to_string())
}

impl Tally {
    /// The counts as the client wants them: of everything, or of the main timeline and of each
    /// thread.
    pub(crate) fn sections(
        &self,
        by_thread: bool,
    ) -> (UnreadCounts, BTreeMap<String, UnreadCounts>) {
        if !by_thread {
            return (self.total(), BTreeMap::new());
        }
        let mut threads = self.by_thread.clone();
        (threads.remove(MAIN).unwrap_or_default(), threads)
    }
}
