//! Which events are worth telling a user: their push rules, and how an event is held against them.
//!
//! The rules are `ruma`'s, the evaluation is ours: it takes time in proportion to the event and the
//! pattern, whatever somebody wrote into either.

mod glob;
mod occasion;
mod own;
mod property;
mod room;

pub use self::own::{Own, Rules};
pub(crate) use self::{
    occasion::{Occasion, Whose},
    own::OwnCache,
    room::{MemberName, RoomFacts, display_name},
};

use ruma::push::Action;
use serde_json::{Map, Value};

/// Whether actions notify at all.
pub(crate) fn notifies(actions: &[Action]) -> bool {
    actions.iter().any(Action::should_notify)
}

/// Whether actions emphasize.
pub(crate) fn highlights(actions: &[Action]) -> bool {
    actions.iter().any(Action::is_highlight)
}

/// The tweaks among actions, as the push gateway wants them.
pub(crate) fn tweaks(actions: &[Action]) -> Map<String, Value> {
    let mut tweaks = Map::new();
    for action in actions {
        let Ok(Value::Object(mut action)) = serde_json::to_value(action) else { continue };
        let Some(Value::String(name)) = action.remove("set_tweak") else { continue };
        // A tweak without a value is one that is switched on.
        tweaks.insert(name, action.remove("value").unwrap_or(Value::Bool(true)));
    }
    tweaks
}
