//! `GET /_matrix/client/v3/login`
//!
//! <https://spec.matrix.org/v1.19/client-server-api/#get_matrixclientv3login>

use axum::extract::State;
use ruma::api::client::session::get_login_types::v3::{
    LoginType, PasswordLoginType, Response, TokenLoginType,
};
use vestibule_accounts::Accounts;
use vestibule_http::Outgoing;

pub(crate) async fn handle(State(accounts): State<Accounts>) -> Outgoing<Response> {
    let mut token = TokenLoginType::new();
    token.get_login_token = true;
    let token = accounts.config().sessions.login_tokens.then_some(LoginType::Token(token));
    let flows = [LoginType::Password(PasswordLoginType::new())].into_iter().chain(token);
    Outgoing(Response::new(flows.collect()))
}
