//! Tokens with which a user proves to somebody else who they are (client-server API, "`OpenID`").

mod exchange;
mod request;

pub(crate) use self::request::forget;
pub use self::request::{OpenidToken, RequestOpenidTokenError};
