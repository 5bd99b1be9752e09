//! Giving an account another class. It acts on live tokens at once, because the class is read from
//! the account's row whenever a token is resolved.

use ruma::{OwnedUserId, UserId};
use tracing::instrument;
use vestibule_policy::{
    Action, Class, Denial, Facts, Object, Policy, PolicyHandle, RateFact, Request, Subject, kind,
};
use vestibule_storage::{
    StorageError, Tx, jobs,
    tables::account::{ADMIN_COUNT, StoredAccount, StoredAccountState},
};
use vestibule_types::{Actor, ClassName};

use crate::{
    Accounts, facts,
    gate::{self, Refusal},
    job::{self, ProfileFanOut},
    profile::rename_for_class,
    registration::put_account,
};

/// Who assigns a class.
#[derive(Clone, Debug)]
pub enum Assigner {
    /// The operator, over the local socket or the database itself.
    Operator,
    /// An admin.
    Admin(Actor),
}

/// A class for an account.
#[derive(Clone, Debug)]
pub struct SetClass {
    /// Whose.
    pub user_id: OwnedUserId,
    /// Which.
    pub class: ClassName,
    /// Whether even the last admin may lose that class.
    pub even_last_admin: bool,
}

/// Why an account kept its class.
#[derive(Debug, thiserror::Error)]
pub enum SetClassError {
    /// There is no such account.
    #[error("there is no such account")]
    UnknownUser,
    /// No such class, or it is not one that accounts are given.
    #[error("there is no class {0} that an account can be given")]
    Class(ClassName),
    /// A guest gets a class only by becoming an account.
    #[error("a guest has to register before it can be given a class")]
    Guest,
    /// Nobody would be left to administer the server.
    #[error("this is the last admin")]
    LastAdmin,
    /// The policy refuses.
    #[error(transparent)]
    Denied(#[from] Denial),
    /// The class could not be stored.
    #[error("could not store the class")]
    Storage(#[from] StorageError),
}

impl From<Refusal> for SetClassError {
    fn from(refusal: Refusal) -> Self {
        match refusal {
            Refusal::Denied(denial) => Self::Denied(denial),
            Refusal::Storage(error) => Self::Storage(error),
        }
    }
}

/// What a class appends to display names.
pub(crate) fn class_suffix<'a>(policy: &'a Policy, class: &ClassName) -> Option<&'a str> {
    policy.class(class).and_then(Class::name_suffix)
}

#[derive(Clone)]
struct Assignment {
    command: SetClass,
    by: Option<OwnedUserId>,
    system: Subject,
    policy: PolicyHandle,
    now: ruma::MilliSecondsSinceUnixEpoch,
    now_ms: u64,
}

impl Accounts {
    /// Whether the policy knows the class, and an account may be given it.
    pub(crate) fn is_assignable(&self, class: &ClassName) -> bool {
        let kept = [ClassName::GUEST, ClassName::APPSERVICE, ClassName::SYSTEM];
        !kept.contains(&class.as_str()) && self.0.policy.current().class(class).is_some()
    }

    /// What the class appends to display names.
    pub(crate) fn name_suffix(&self, class: &ClassName) -> Option<String> {
        class_suffix(&self.0.policy.current(), class).map(ToOwned::to_owned)
    }

    /// Gives an account another class.
    #[instrument(name = "accounts.account.set_class", skip_all)]
    pub async fn set_class(&self, by: &Assigner, command: SetClass) -> Result<(), SetClassError> {
        if !self.is_assignable(&command.class) {
            return Err(SetClassError::Class(command.class));
        }
        let user_id = command.user_id.clone();
        let assignment = Assignment {
            command,
            by: match by {
                Assigner::Operator => None,
                Assigner::Admin(actor) => Some(actor.user_id().to_owned()),
            },
            system: Subject::system(self.system_user()),
            policy: self.0.policy.clone(),
            now: self.0.environment.now(),
            now_ms: self.0.now_ms(),
        };
        self.0.write(&user_id, move |tx| assignment.write(tx)).await?;
        self.0.ring();
        Ok(())
    }

    /// How many admins there are.
    pub async fn admins(&self) -> Result<u64, StorageError> {
        self.0.store.read(|read| Ok(ADMIN_COUNT.get(read, (0,))?.unwrap_or_default())).await
    }
}

impl Assignment {
    fn write(&self, tx: &mut Tx<'_>) -> Result<(), SetClassError> {
        let user_id = &*self.command.user_id;
        let before = facts::account(tx, user_id)?
            .filter(|account| account.state != StoredAccountState::Deactivated)
            .ok_or(SetClassError::UnknownUser)?;
        if before.class.is_guest() {
            return Err(SetClassError::Guest);
        }
        self.spend(tx, user_id, &before)?;
        let class = self.command.class.clone();
        if before.class.is_admin() && !class.is_admin() && !self.command.even_last_admin {
            let admins = ADMIN_COUNT.get(tx, (0,))?.unwrap_or_default();
            if admins <= 1 {
                return Err(SetClassError::LastAdmin);
            }
        }
        let after = StoredAccount { class, ..before.clone() };
        put_account(tx, user_id, Some(&before), &after)?;
        self.rename(tx, &before.class)
    }

    /// The act takes a permit, whoever assigns.
    fn spend(
        &self,
        tx: &Tx<'_>,
        target: &UserId,
        account: &StoredAccount,
    ) -> Result<(), SetClassError> {
        let assigner = match &self.by {
            None => self.system.clone(),
            Some(admin) => facts::subject(tx, admin)?.ok_or(SetClassError::UnknownUser)?,
        };
        let target_subject = facts::subject_of(target, account);
        let action = Action::AssignClass { target: &target_subject, class: &self.command.class };
        let request = Request::new(&assigner, action, self.now, None);
        let facts = Facts { rate: RateFact::Charged, ..Facts::default() };
        let permit =
            self.policy.current().decide(&facts, &request).permit::<kind::AssignClass>()?;
        gate::spend(tx, permit, &assigner.user_id, &Object::User(target.to_owned()))?;
        Ok(())
    }

    /// The name loses what the old class appended, and gets what the new one appends.
    fn rename(&self, tx: &mut Tx<'_>, before: &ClassName) -> Result<(), SetClassError> {
        let policy = self.policy.current();
        let suffixes = (class_suffix(&policy, before), class_suffix(&policy, &self.command.class));
        let user_id = &self.command.user_id;
        if rename_for_class(tx, user_id, suffixes)? {
            let payload = job::encode(&ProfileFanOut { user_id: user_id.clone() });
            jobs::enqueue(tx, job::PROFILE_FAN_OUT, payload, self.now_ms)?;
        }
        Ok(())
    }
}
