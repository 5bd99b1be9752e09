//! What stands before every endpoint: which server is asking, and may it?

use axum::{
    body::Body,
    extract::{FromRequestParts, Request},
};
use bytes::Bytes;
use http::{Method, StatusCode, request::Parts};
use ruma::{OwnedServerName, api::error::ErrorKind};
use vestibule_federation::{Federation, RequestSignature, VerifyRequestError};
use vestibule_http::{
    Guard, Login, MatrixError, ReadBody, WrittenTarget, read_signed_body, unavailable,
};
use vestibule_types::{
    BoxFuture,
    limits::{BODY_BYTES_MAX, TRANSACTION_BYTES_MAX},
};

use crate::{
    failure,
    x_matrix::{Credentials, CredentialsError},
};

/// How large the body of a request may be.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum BodySize {
    /// [`BODY_BYTES_MAX`].
    Usual,
    /// [`TRANSACTION_BYTES_MAX`].
    Transaction,
}

impl BodySize {
    fn bytes_max(self) -> usize {
        match self {
            Self::Usual => BODY_BYTES_MAX,
            Self::Transaction => TRANSACTION_BYTES_MAX,
        }
    }
}

/// The server that signed this request and addressed it to us. A handler that takes one cannot run
/// without it.
#[derive(Clone, Debug)]
pub(crate) struct Origin(pub(crate) OwnedServerName);

impl<S: Send + Sync> FromRequestParts<S> for Origin {
    type Rejection = MatrixError;

    async fn from_request_parts(parts: &mut Parts, _state: &S) -> Result<Self, MatrixError> {
        let origin = parts.extensions.get::<Self>().cloned();
        origin.ok_or_else(|| unauthorized("this request is not signed"))
    }
}

/// Checks the signatures of requests.
pub(crate) struct ServerGuard(Federation);

impl ServerGuard {
    pub(crate) fn new(federation: Federation) -> Self {
        Self(federation)
    }

    async fn identify(&self, size: BodySize, request: Request) -> Result<Request, MatrixError> {
        let (mut parts, body) = request.into_parts();
        let credentials = Credentials::of(&parts.headers).map_err(|error| match error {
            CredentialsError::Missing | CredentialsError::Malformed => {
                unauthorized(error.to_string())
            }
        })?;
        let Credentials { origin, destination, signatures } = credentials;
        if destination.is_some_and(|destination| destination != self.0.server_name()) {
            return Err(unauthorized("this request is meant for another server"));
        }
        if !self.0.remote().permits(&origin) {
            return Err(MatrixError::forbidden("this server does not talk to yours"));
        }
        let key_ids = signatures.keys().cloned().collect();
        let ring = self.0.key_ring();
        let keys = ring.request_keys(&origin, key_ids).await.map_err(refusal)?;
        let content = match parts.method {
            Method::GET | Method::HEAD => Bytes::new(),
            _ => read_signed_body(body, size.bytes_max()).await?,
        };
        let signed = RequestSignature {
            method: parts.method.to_string(),
            target: target(&parts),
            content: content.clone(),
            signatures,
        };
        ring.verify_request(keys, signed).await.map_err(refusal)?;
        self.0.remote().heard_from(&origin).await;
        parts.extensions.insert(Origin(origin));
        parts.extensions.insert(ReadBody(content));
        Ok(Request::from_parts(parts, Body::empty()))
    }
}

impl Guard<BodySize> for ServerGuard {
    fn welcome(
        &self,
        size: BodySize,
        login: Login,
        request: Request,
    ) -> BoxFuture<'_, Result<Request, MatrixError>> {
        Box::pin(async move {
            match login {
                Login::Required => self.identify(size, request).await,
                Login::Optional | Login::Ignored => Ok(request),
            }
        })
    }
}

/// Path and query as they were written; the signature covers those.
fn target(parts: &Parts) -> String {
    let written = parts.extensions.get::<WrittenTarget>();
    match (written, parts.uri.path_and_query()) {
        (Some(written), _) => written.0.to_string(),
        (None, Some(target)) => target.to_string(),
        (None, None) => "/".to_owned(),
    }
}

fn unauthorized(message: impl Into<String>) -> MatrixError {
    MatrixError::new(StatusCode::UNAUTHORIZED, ErrorKind::Unauthorized, message)
}

fn refusal(error: VerifyRequestError) -> MatrixError {
    match error {
        VerifyRequestError::Forged | VerifyRequestError::NoKey(_) => {
            unauthorized(error.to_string())
        }
        VerifyRequestError::BadContent(_) => MatrixError::bad_json(error.to_string()),
        VerifyRequestError::Busy(cause) => unavailable(&cause),
        VerifyRequestError::Storage(cause) => failure::storage(cause),
    }
}
