//! What rules ask of a room.

use std::collections::BTreeMap;

use ruma::{
    Int, OwnedUserId, UserId,
    events::room::power_levels::RoomPowerLevelsEventContent,
    power_levels::{NotificationPowerLevels, NotificationPowerLevelsKey},
    push::PushConditionPowerLevelsCtx,
    room_version_rules::RoomPowerLevelsRules,
};
use serde::Deserialize;
use vestibule_rooms::RoomView;
use vestibule_storage::{
    Read, StorageError,
    tables::room::{MEMBER_COUNT, StoredMembership},
};

/// The level of whoever made a room, where nothing says otherwise.
const CREATOR_LEVEL: i32 = 100;

/// What rules ask of a room, the same for everybody in it.
#[derive(Clone, Debug)]
pub(crate) struct RoomFacts {
    /// How many have joined.
    pub(crate) members: u64,
    /// Who may notify everybody; nobody in a room without a beginning.
    pub(crate) levels: Option<PushConditionPowerLevelsCtx>,
}

#[derive(Default, Deserialize)]
#[serde(default)]
struct Creators {
    additional_creators: Vec<OwnedUserId>,
}

/// What a membership event calls its user.
#[derive(Default, Deserialize)]
#[serde(default)]
pub(crate) struct MemberName {
    pub(crate) displayname: Option<String>,
}

impl RoomFacts {
    /// The facts as they are now.
    pub(crate) fn of<R: Read>(view: &RoomView<'_, R>) -> Result<Self, StorageError> {
        let counted = (view.room.no, StoredMembership::Join.key());
        Ok(Self { members: MEMBER_COUNT.get(&view.reader, counted)?, levels: levels(view)? })
    }

    pub(super) fn may_notify(&self, sender: &UserId, key: &NotificationPowerLevelsKey) -> bool {
        let levels = self.levels.as_ref();
        levels.is_some_and(|levels| levels.has_sender_notification_permission(sender, key))
    }
}

fn levels<R: Read>(
    view: &RoomView<'_, R>,
) -> Result<Option<PushConditionPowerLevelsCtx>, StorageError> {
    let Some(create) = view.state_event("m.room.create", "")? else { return Ok(None) };
    let more = create.pdu.content_as::<Creators>().unwrap_or_default().additional_creators;
    let creators: Vec<OwnedUserId> =
        more.into_iter().chain([create.pdu.sender().to_owned()]).collect();
    let rules = RoomPowerLevelsRules::new(&view.room.version.rules().authorization, creators);
    let Some(event) = view.state_event("m.room.power_levels", "")? else {
        let creator = (create.pdu.sender().to_owned(), Int::from(CREATOR_LEVEL));
        return Ok(Some(PushConditionPowerLevelsCtx::new(
            BTreeMap::from([creator]),
            Int::from(0),
            NotificationPowerLevels::new(),
            rules,
        )));
    };
    let content = event.pdu.content_as::<RoomPowerLevelsEventContent>().ok();
    Ok(content.map(|it| {
        PushConditionPowerLevelsCtx::new(it.users, it.users_default, it.notifications, rules)
    }))
}

/// What somebody is called in a room.
pub(crate) fn display_name<R: Read>(
    view: &RoomView<'_, R>,
    user: &UserId,
) -> Result<Option<String>, StorageError> {
    let member = view.state_event("m.room.member", user.as_str())?;
    Ok(member.and_then(|event| event.pdu.content_as::<MemberName>().ok()?.displayname))
}
