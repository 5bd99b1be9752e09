//! Every table without its types, so that they can be listed and checked.

use crate::{Key, Value, tables};

/// What the registry knows of a table.
#[derive(Clone, Copy, Debug)]
pub struct TableInfo {
    /// The number every key of the table begins with.
    pub id: u16,
    /// The table's name.
    pub name: &'static str,
    /// Says what is wrong with a row, given its key without the table's number and its value.
    pub(crate) problem: fn(&[u8], &[u8]) -> Option<String>,
}

macro_rules! registered {
    ($($noun:ident: $($table:ident)+;)+) => {
        &[$($(tables::$noun::$table.info(),)+)+]
    };
}

/// Every table there is. A test fails when one of `tables/` is missing here.
pub(crate) const REGISTERED: &[TableInfo] = registered! {
    meta: FORMAT_VERSION SLOT_POSITION SERVER MIGRATION_PROGRESS;
    signing_key: SIGNING_KEY OLD_SIGNING_KEY SIGNING_KEY_CHANGE;
    server_key: SERVER_KEYS SERVER_KEYS_BY_TIME SERVER_KEYS_KEPT;
    account: ACCOUNT_BY_ID ACCOUNT_BY_CLASS ADMIN_COUNT DEVICE_BY_USER SEEN_BY_DEVICE AGENT_BY_DEVICE
        SESSION_BY_TOKEN REFRESH_BY_TOKEN TOKEN_BY_DEVICE SESSION_GUARD REGISTRATION_TOKEN ERASED_USER
        GUEST_BY_ID GUESTS_LIVE GUESTS_BY_ADDRESS GUESTS_BY_DAY GUESTS_OF_MINUTE;
    guest_token: GUEST_TOKEN_KEY REFUSED_GUEST_TOKEN REFUSED_GUEST_TOKENS;
    dehydrated: DEHYDRATED_DEVICE;
    room: ROOM_NO_BY_ID ROOM_BY_NO ROOM_HEAD EVENT_BY_ID EVENT_BY_NO EVENT_STATE TIMELINE STREAM
        STATE_ENTRY STATE_CHANGE STATE_BRANCH HEAD_STATE MEMBER_BY_ROOM LOCAL_MEMBER_BY_ROOM
        ROOM_BY_MEMBER MEMBER_COUNT RELATION_BY_PARENT REDACTION_BY_TARGET TRANSACTION
        TRANSACTION_BY_TIME RECEIPT RECEIPT_BY_POSITION ANNOTATION ROOM_POSITION TRANSACTION_OF_EVENT
        THREAD_REPLY SERVER_BY_ROOM ROOM_BY_SERVER DEPARTURE JOINS_GUARD;
    relation: RELATION_BY_TYPE AGGREGATED RELATION_BY_SENDER;
    exchange: EXCHANGE_WAITING;
    handshake: OUTSIDE_BY_USER OUTSIDE_BY_ROOM OUTSIDE_FORGOTTEN OUTSIDE_EARLIER IMPORT_BY_ROOM;
    report: REPORT REPORTS_KEPT;
    directory: ALIAS_BY_NAME ALIAS_BY_ROOM SCOPE_GUARD PUBLICATION_BY_ROOM LIST_PIN NEVER_ROOM
        SPACE_APPROVAL SPACE_EDGE_FIRST SPACE_SEEN SPACE_FOLLOWED GUEST_LINK
        GUEST_GRANT GUEST_GRANT_BY_ROOM BLOCKED_ROOM;
    user_data: USER_CHANGE ACCOUNT_DATA PROFILE_FIELD PROFILE_GUARD FILTER_BY_ID USER_DATA_GUARD
        ACCOUNT_DATA_BYTES;
    to_device: TO_DEVICE TO_DEVICE_COUNT TO_DEVICE_BY_SHARE TO_DEVICE_SENT TO_DEVICE_SENT_BY_TIME;
    search: POSTINGS FINDABLE SEARCH_ROOM SEARCH_POSITION;
    sender: SEND_TAIL OUTGOING EDU_OUT EDU_OUT_BY_KEY EDU_OUT_COUNT SERVER_CHANGE
        ROOM_LEFT_BY_SERVER RELAY;
    device_key: DEVICE_KEY KEY_SIGNATURE;
    cross_signing: CROSS_SIGNING_KEY SIGNED_BY_POSITION SIGNED_POSITION;
    one_time_key: ONE_TIME_KEY ONE_TIME_KEY_BY_ORDER ONE_TIME_KEY_COUNT FALLBACK_KEY SPENT_KEY
        SPENT_KEY_BY_ORDER SPENT_KEY_COUNT KEY_COUNT_POSITION;
    key_backup: KEY_BACKUP KEY_BACKUP_NEWEST ROOM_KEY KEY_BACKUP_BYTES;
    device_list: DEVICE_LIST_CHANGE DEVICE_LIST_POSITION DEVICE_LIST_VERSION DEVICE_LIST_NEWS
        DEVICE_LIST_FOLLOWED REMOTE_DEVICE_LIST JOINED_ROOM_BY_USER;
    media: MEDIA MEDIA_BY_USER MEDIA_PENDING_BY_USER MEDIA_BYTES_BY_USER THUMBNAIL COPY_USED
        MOVING_THUMBNAIL WITHHELD_FILE PREVIEW_PICTURE_BY_TIME;
    openid: OPENID_TOKEN OPENID_TOKEN_BY_USER;
    login_token: LOGIN_TOKEN LOGIN_TOKEN_BY_USER;
    moderation: MODERATION_ACT MODERATION_NEXT;
    notice: NOTICE_ROOM;
    contact: CONTACT_BY_USER USER_BY_CONTACT VALIDATION VALIDATION_BY_CLIENT VALIDATION_BY_END
        VALIDATION_COUNT MAIL_BY_DUE MAIL_COUNT;
    policy: POLICY_EPOCH DENIAL_BY_TIME DENIALS_KEPT GUESTS_OFF;
    presence: PRESENCE_BY_USER;
    push: PUSHER PUSHER_OWNER PUSH_TAIL PUSH_WAITING PUSHER_STANDING;
    staging: STAGED_EVENT STAGED_BY_ID STAGED_COUNT GAP_BY_PREV ANSWERED ANSWERED_BY_TIME DIRECT_TAKEN
        DIRECT_TAKEN_BY_TIME;
    history: REDACTION_WAITING REDACTION_WITHHELD PURGED;
    job: JOB_BY_DUE;
    destination: DESTINATION;
    sliding: SLIDING_CONNECTION SLIDING_STEP;
};

pub(crate) fn table_row_problem<K: Key, V: Value>(key: &[u8], value: &[u8]) -> Option<String> {
    match K::decode(key) {
        None => Some("the key does not decode".to_owned()),
        Some(_) => V::decode(value).err(),
    }
}

pub(crate) fn counter_row_problem<K: Key>(key: &[u8], value: &[u8]) -> Option<String> {
    table_row_problem::<K, u64>(key, value)
}

#[cfg(test)]
mod tests {
    use std::{collections::BTreeSet, fs, path::Path};

    use super::*;

    #[test]
    fn numbers_and_names_are_used_once() {
        let ids: BTreeSet<u16> = REGISTERED.iter().map(|table| table.id).collect();
        let names: BTreeSet<&str> = REGISTERED.iter().map(|table| table.name).collect();
        assert_eq!(ids.len(), REGISTERED.len());
        assert_eq!(names.len(), REGISTERED.len());
    }

    /// Numbers and names as the sources of `tables/` spell them.
    fn declared() -> BTreeSet<(u16, String)> {
        let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("src/tables");
        let mut declared = BTreeSet::new();
        for file in fs::read_dir(folder).unwrap() {
            let source = fs::read_to_string(file.unwrap().path()).unwrap();
            for after in source.split("::new(").skip(1) {
                let (arguments, _) = after.split_once(')').unwrap();
                let Some((id, name)) = arguments.split_once(',') else { continue };
                let Some(digits) = id.trim().strip_prefix("0x") else { continue };
                let name = name.trim().trim_end_matches(',').trim().trim_matches('"');
                let id = u16::from_str_radix(digits, 16).unwrap();
                assert!(declared.insert((id, name.to_owned())), "{name} is declared twice");
            }
        }
        declared
    }

    #[test]
    fn every_declared_table_is_registered() {
        let registered: BTreeSet<(u16, String)> =
            REGISTERED.iter().map(|table| (table.id, table.name.to_owned())).collect();
        let declared = declared();
        let missing: Vec<_> = declared.symmetric_difference(&registered).collect();
        assert!(missing.is_empty(), "add to or take from `REGISTERED`: {missing:?}");
    }
}
