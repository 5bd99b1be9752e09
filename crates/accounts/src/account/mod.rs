//! What happens to an account as a whole.

mod class;
mod deactivate;
mod end_account;
mod list;
mod moderation_log;
mod password;
mod state;

pub(crate) use self::class::class_suffix;
pub use self::{
    class::{Assigner, SetClass, SetClassError},
    deactivate::{Deactivate, DeactivateError},
    end_account::{EndAccount, EndAccountError},
    list::AccountSummary,
    moderation_log::ModerationAct,
    password::{ChangePassword, ChangePasswordError, PasswordError},
    state::{Restrain, RestrainError, Restraint},
};
