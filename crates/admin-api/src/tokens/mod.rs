//! Registration tokens.

pub(crate) mod create;
pub(crate) mod delete;
pub(crate) mod list;

use vestibule_accounts::RegistrationToken;

use crate::TokenAnswer;

fn told(token: RegistrationToken) -> TokenAnswer {
    let RegistrationToken { token, row } = token;
    TokenAnswer {
        token,
        uses_left: row.uses_max.map(|max| max.saturating_sub(row.uses)),
        expires_at_ms: row.expires_at,
        class: row.class.map(|class| class.to_string()),
    }
}
