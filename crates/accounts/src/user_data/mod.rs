//! What clients keep for their user: account data, tags, push rules, filters.

mod account_data;
mod filter;
mod push_rule;
mod successor;
mod tag;

pub use self::{
    account_data::{AccountDataItem, PutAccountData, SetAccountDataError},
    filter::{CreateFilterError, renew_filter},
    push_rule::{
        ChangePushRuleError, PutPushRule, all_kinds as push_rules_of_all_kinds,
        content as push_rules_content,
    },
    successor::follow_room,
    tag::{SetTagError, tag_notice_room},
};
