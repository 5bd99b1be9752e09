//! `GET /users`

use axum::extract::State;
use serde::Deserialize;
use vestibule_accounts::{AccountState, AccountSummary};
use vestibule_http::{MatrixError, OutgoingJson, QueryArgs, internal};

use crate::{AdminServices, UserAnswer, UsersAnswer, class_of::class_of, user_name::local_user};

/// Accounts in one answer, unless fewer are asked for.
const PAGE: usize = 500;

#[derive(Debug, Deserialize)]
pub(crate) struct Page {
    class: Option<String>,
    from: Option<String>,
    limit: Option<usize>,
}

pub(crate) async fn handle(
    State(services): State<AdminServices>,
    QueryArgs(page): QueryArgs<Page>,
) -> Result<OutgoingJson<UsersAnswer>, MatrixError> {
    let server = services.accounts.server_name();
    let policy = services.policy.current();
    let class = page.class.as_deref().map(|name| class_of(name, &policy)).transpose()?;
    let after = page.from.as_deref().map(|name| local_user(name, server)).transpose()?;
    let limit = page.limit.unwrap_or(PAGE).clamp(1, PAGE);
    let accounts = services.accounts.list(class, after, limit).await;
    let accounts = accounts.map_err(|cause| internal(&cause))?;
    let full = accounts.len() == limit;
    let next = accounts.last().filter(|_| full).map(|last| last.user_id.to_string());
    let users = accounts.iter().map(shown);
    Ok(OutgoingJson(UsersAnswer { users: users.collect(), next }))
}

/// An account as operators read it.
pub(super) fn shown(account: &AccountSummary) -> UserAnswer {
    UserAnswer {
        user_id: account.user_id.to_string(),
        class: account.class.to_string(),
        state: word(account.state).to_owned(),
        created_at_ms: account.created_at,
    }
}

/// The state as operators read it.
fn word(state: AccountState) -> &'static str {
    match state {
        AccountState::Active => "active",
        AccountState::Suspended => "suspended",
        AccountState::Locked => "locked",
        AccountState::LockedWhileSuspended => "locked, suspended",
        AccountState::Deactivated => "deactivated",
    }
}
