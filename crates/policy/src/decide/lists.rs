//! Layer 1: rooms that are never open to scoped classes, whatever else speaks for them.

use super::{Case, Trail};
use crate::{Layer, Reason, Scope};

const LAYER: Layer = Layer::Lists;

impl Case<'_> {
    pub(super) fn lists(&self, trail: &mut Trail) {
        let at = (LAYER, "never");
        if self.is_never_withheld() || self.action().room().is_none() {
            trail.skip(LAYER, at.1, "not about being in a room");
            return;
        }
        let Some(scope) = self.class.and_then(|class| class.scope.as_ref()) else {
            trail.skip(LAYER, at.1, "the class is not confined to some rooms");
            return;
        };
        match self.never(scope) {
            Ok(()) => trail.pass(LAYER, at.1, "not on a never list"),
            Err((reason, evidence)) => {
                trail.refuse(at, reason, evidence, "taking the room off the never list");
            }
        }
    }

    fn never(&self, scope: &Scope) -> Result<(), (Reason, String)> {
        let Some(room) = self.action().room() else { return Ok(()) };
        if scope.never.rooms.iter().any(|never| never == room) {
            return Err((Reason::RoomNever, format!("{room} is listed")));
        }
        if scope.never.aliases.is_empty() {
            return Ok(());
        }
        let pointed_now = self.room().and_then(|facts| {
            let mut aliases = facts.aliases.iter().map(|row| &row.alias);
            aliases.find(|alias| scope.never.aliases.contains(alias))
        });
        if let Some(alias) = pointed_now {
            return Err((Reason::RoomNever, format!("{alias} points to the room")));
        }
        let Some(pins) = &self.facts.pins else {
            let evidence = "it is not known where the aliases of the never list pointed";
            return Err((Reason::NeverUnknown, evidence.to_owned()));
        };
        match scope.never.aliases.iter().find(|alias| pins.ever_pointed(alias, room)) {
            Some(alias) => {
                Err((Reason::RoomNever, format!("{alias} points or pointed to the room")))
            }
            None => Ok(()),
        }
    }
}
