//! Which class may call which endpoint at all: the ceiling, asked before anything is read.

use vestibule_types::ClassName;

use crate::{Ability, AccountState, Class, Denial, Policy, Reason, Rung, Subject};

/// What an endpoint asks of its caller. Every route names one; the table of endpoints × classes is
/// made from them.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum EndpointRule {
    /// Nobody classified the endpoint: refused to low-trust classes.
    #[default]
    Unclassified,
    /// Anyone, without login.
    Anonymous,
    /// The room directory: without login only if the policy shows it.
    PublicDirectory,
    /// Anyone with an account, whatever its class: reading what one is in, and one's own things.
    Authenticated,
    /// A class with this ability.
    May(Ability),
    /// A class with at least one of these; which one it takes, the operation decides.
    MayAny(&'static [Ability]),
    /// As [`EndpointRule::May`] for who is logged in; who is not may call it too, and proves something
    /// else.
    MayOrNobody(Ability),
    /// Admins.
    Admin,
    /// Application services, by their own token.
    Appservice,
}

impl EndpointRule {
    /// Whether the caller must show a token.
    #[must_use]
    pub fn needs_login(self) -> bool {
        !matches!(self, Self::Anonymous | Self::PublicDirectory | Self::MayOrNobody(_))
    }

    fn abilities(&self) -> &[Ability] {
        match self {
            Self::May(ability) | Self::MayOrNobody(ability) => std::slice::from_ref(ability),
            Self::MayAny(abilities) => abilities,
            _ => &[],
        }
    }
}

/// Why an endpoint may not be called.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum CallRefusal {
    /// Without a token: 401 `M_MISSING_TOKEN`.
    #[error("a login is needed")]
    LoginNeeded,
    /// The class may not.
    #[error(transparent)]
    Denied(#[from] Denial),
}

/// What a suspended account may still do, beside reading (client-server API, "Account suspension"): what
/// is seen by nobody else but by whom it complains to, and marks of what was read.
const SUSPENDED_MAY: &[Ability] = &[
    Ability::AccountData,
    Ability::PushRules,
    Ability::Pushers,
    Ability::Report,
    Ability::SearchMessages,
    Ability::SearchUsers,
    // Not typing, which tells of what is about to be sent: see the hard layer.
    Ability::TypingReceipts,
    Ability::Voip,
    Ability::Leave,
    Ability::Logout,
    Ability::Deactivate,
    Ability::RedactOwn,
    Ability::Keys,
    Ability::KeyBackup,
    Ability::ToDevice,
    Ability::ManageDevices,
    Ability::ManageAccount,
];

/// What a guest whose time is over may still do.
const EXPIRED_MAY: &[Ability] = &[Ability::Leave, Ability::Logout, Ability::Deactivate];

/// Whether the state of the account withholds an ability, and why.
pub(crate) fn withheld_by_state(state: AccountState, ability: Option<Ability>) -> Option<Reason> {
    let listed = |list: &[Ability]| ability.is_some_and(|ability| list.contains(&ability));
    match state {
        AccountState::Active => None,
        AccountState::Suspended => (!listed(SUSPENDED_MAY)).then_some(Reason::AccountSuspended),
        AccountState::Locked => (!listed(&[Ability::Logout])).then_some(Reason::AccountLocked),
        AccountState::Expired => (!listed(EXPIRED_MAY)).then_some(Reason::AccountExpired),
        AccountState::Deactivated => {
            (!listed(&[Ability::Leave])).then_some(Reason::AccountDeactivated)
        }
    }
}

impl Policy {
    /// Whether a class may call an endpoint at all; `None` for a caller without login.
    pub fn may_call(
        &self,
        class: Option<&ClassName>,
        rule: EndpointRule,
    ) -> Result<(), CallRefusal> {
        let Some(class_name) = class else {
            return match rule {
                EndpointRule::Anonymous | EndpointRule::MayOrNobody(_) => Ok(()),
                EndpointRule::PublicDirectory if self.directory_without_login => Ok(()),
                _ => Err(CallRefusal::LoginNeeded),
            };
        };
        let class = self.class(class_name);
        let towards_guest = class_name.is_guest();
        let refuse = |reason, what: String| {
            Err(CallRefusal::Denied(Denial::new(reason, towards_guest, what)))
        };
        match rule {
            EndpointRule::Anonymous
            | EndpointRule::PublicDirectory
            | EndpointRule::Authenticated => Ok(()),
            EndpointRule::Unclassified if class.is_some_and(|class| !class.is_low_trust()) => {
                Ok(())
            }
            EndpointRule::Unclassified => {
                refuse(Reason::EndpointUnclassified, "classifying the endpoint".to_owned())
            }
            EndpointRule::Admin if class.is_some_and(|class| class.at_least(Rung::Admin)) => Ok(()),
            EndpointRule::Admin => refuse(Reason::EndpointNotInClass, "class \"admin\"".to_owned()),
            EndpointRule::Appservice
                if class.is_some_and(|class| class.standing == crate::Standing::Appservice) =>
            {
                Ok(())
            }
            EndpointRule::Appservice => {
                refuse(Reason::EndpointNotInClass, "an application service's token".to_owned())
            }
            EndpointRule::May(_) | EndpointRule::MayOrNobody(_) | EndpointRule::MayAny(_) => {
                may_any(class, rule.abilities()).map_or_else(
                    || refuse(Reason::EndpointNotInClass, grant_text(class_name, rule.abilities())),
                    |_| Ok(()),
                )
            }
        }
    }

    /// As [`Policy::may_call`], for an account whose state is known: what a suspended, locked or
    /// expired account may still call.
    pub fn admit(&self, subject: &Subject, rule: EndpointRule) -> Result<(), CallRefusal> {
        let may = self.may_call(Some(&subject.class), rule);
        // A lock is told whatever the request was, also where the class has no business.
        if subject.state != AccountState::Locked {
            may.clone()?;
        }
        // A token is not needed for the directory, but one that is shown counts: so does a lock.
        let counts = match rule {
            EndpointRule::MayOrNobody(_) => true,
            EndpointRule::PublicDirectory => subject.state == AccountState::Locked,
            _ => false,
        };
        if !rule.needs_login() && !counts {
            return may;
        }
        let abilities = rule.abilities();
        let reads = abilities.is_empty() && rule == EndpointRule::Authenticated;
        let reason = match subject.state {
            AccountState::Active => None,
            AccountState::Suspended if reads => None,
            state if abilities.is_empty() => withheld_by_state(state, None),
            state => {
                let reasons =
                    abilities.iter().map(|ability| withheld_by_state(state, Some(*ability)));
                // One ability left is enough: the operation decides which one it takes.
                reasons.min().flatten()
            }
        };
        let towards_guest = subject.is_spec_guest || subject.class.is_guest();
        match reason {
            None => may,
            Some(reason) => Err(Denial::new(reason, towards_guest, "an active account").into()),
        }
    }
}

fn may_any(class: Option<&Class>, abilities: &[Ability]) -> Option<Ability> {
    abilities.iter().copied().find(|ability| {
        Ability::NEVER_WITHHELD.contains(ability) || class.is_some_and(|class| class.may(*ability))
    })
}

pub(crate) fn grant_text(class: &ClassName, abilities: &[Ability]) -> String {
    let names: Vec<_> = abilities.iter().map(|ability| format!("\"{ability}\"")).collect();
    format!("[class.{class}] may_also = [{}]", names.join(", "))
}
