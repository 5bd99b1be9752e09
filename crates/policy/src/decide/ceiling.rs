//! Layer 2: what the class may do at all, wherever it is.

use super::{Case, Trail};
use crate::{
    Ability, Action, Class, Layer, Reason, Standing, aliases::Ruled, endpoint::grant_text,
};

const LAYER: Layer = Layer::Ceiling;

impl Case<'_> {
    pub(super) fn ceiling(&self, trail: &mut Trail) {
        let at = (LAYER, "class_may");
        let Some(ability) = self.action().ability() else {
            trail.skip(LAYER, at.1, "the ceiling has no say in this");
            return;
        };
        if self.is_never_withheld() {
            trail.pass(LAYER, at.1, format!("\"{ability}\" is never withheld"));
            return;
        }
        let Some(class) = self.class else {
            let evidence = format!("there is no class \"{}\"", self.class_name());
            trail.refuse(at, Reason::ClassUnknown, evidence, "a class of the configuration");
            return;
        };
        if !class.may(ability) {
            let evidence = format!("class \"{}\" may not \"{ability}\"", class.name);
            let what = grant_text(&class.name, &[ability]);
            trail.refuse(at, Reason::NotInClass, evidence, what);
            return;
        }
        trail.pass(LAYER, at.1, format!("class \"{}\" may \"{ability}\"", class.name));
        self.event_type(class, trail);
        self.opening(class, trail);
        self.alias_rules(class, trail);
        self.thresholds(class, trail);
    }

    fn event_type(&self, class: &Class, trail: &mut Trail) {
        let event_type = match self.action() {
            Action::SendEvent { event_type, .. } | Action::SendState { event_type, .. } => {
                event_type
            }
            Action::Redact { .. } => "m.room.redaction",
            _ => return,
        };
        if class.may_send_type(event_type) {
            trail.pass(LAYER, "may_send", format!("{event_type} may be sent"));
        } else {
            let evidence = format!("{event_type} is not in may_send");
            let what = format!("[class.{}] may_send with \"{event_type}\"", class.name);
            let at = (LAYER, "may_send");
            trail.refuse(at, Reason::EventTypeNotInClass, evidence, what);
        }
    }

    /// Whoever may not make a public room may not make a room public either.
    fn opening(&self, class: &Class, trail: &mut Trail) {
        let Action::SendState { opens: true, .. } = self.action() else { return };
        let (at, ability) = ((LAYER, "join_rules"), Ability::CreatePublic);
        if class.may(ability) {
            trail.pass(LAYER, at.1, format!("class \"{}\" may \"{ability}\"", class.name));
        } else {
            let evidence = format!("class \"{}\" may not \"{ability}\"", class.name);
            let what = grant_text(&class.name, &[ability]);
            trail.refuse(at, Reason::NotInClass, evidence, what);
        }
    }

    fn alias_rules(&self, class: &Class, trail: &mut Trail) {
        let user = &self.request.subject.user_id;
        let (rule, ruled): (_, Ruled) = match self.action() {
            Action::CreateAlias { alias, .. } => {
                ("aliases.create", self.policy.rule_create_alias(class, user, alias, self.facts))
            }
            Action::DeleteAlias { alias, .. } => {
                ("aliases.delete", self.policy.rule_delete_alias(class, user, alias, self.facts))
            }
            Action::MoveAlias { alias, .. } => (
                "aliases.follow_upgrade",
                self.policy.rule_move_alias(class, user, alias, self.facts),
            ),
            Action::AdoptAlias { alias, .. } => {
                ("aliases.members_may", self.policy.rule_adopt_alias(alias))
            }
            _ => return,
        };
        match ruled {
            Ok(evidence) => trail.pass(LAYER, rule, evidence),
            Err((reason, what)) => trail.refuse((LAYER, rule), reason, reason.message(), what),
        }
    }

    fn thresholds(&self, class: &Class, trail: &mut Trail) {
        let (rule, rung, reason) = match self.action() {
            Action::Publish { .. } => {
                ("directory.publish", self.policy.publish, Reason::PublishClassTooLow)
            }
            Action::SearchUsers => {
                ("users.searchable_by", self.policy.search, Reason::SearchClassTooLow)
            }
            _ => return,
        };
        // Ghosts are outside of the ladder; what they publish lies in their own namespace.
        let is_appservice = class.standing == Standing::Appservice;
        if class.at_least(rung) || is_appservice {
            trail.pass(LAYER, rule, format!("\"{}\" or above", rung.name()));
        } else {
            let evidence = format!("class \"{}\" is below \"{}\"", class.name, rung.name());
            trail.refuse((LAYER, rule), reason, evidence, format!("class \"{}\"", rung.name()));
        }
    }
}
