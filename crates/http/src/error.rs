//! The Matrix error body.

use std::{error::Error, time::Duration};

use axum::response::{IntoResponse, Response};
use http::{HeaderValue, StatusCode, header};
use ruma::api::error::{ErrorKind, StandardErrorBody, UnknownTokenErrorData};
use serde_json::{Map, Value};
use tracing::error;

/// The extra field that carries the policy's reason.
const REASON: &str = "org.vestibule.reason";

/// How long a client is asked to wait when the server cannot write.
const UNAVAILABLE_RETRY: Duration = Duration::from_secs(5);

/// An error as a client sees it.
///
/// It carries no internal detail by construction: the cause was logged by [`internal`] before
/// this value existed.
#[derive(Clone, Debug)]
pub struct MatrixError {
    status: StatusCode,
    body: Map<String, Value>,
    retry_after: Option<Duration>,
}

impl MatrixError {
    /// An error with an explicit status: the specification pairs the two per endpoint, so no
    /// table can guess it.
    #[must_use]
    pub fn new(status: StatusCode, kind: ErrorKind, message: impl Into<String>) -> Self {
        let standard = StandardErrorBody::new(kind, message.into());
        let body = match serde_json::to_value(standard) {
            Ok(Value::Object(body)) => body,
            _ => Map::new(),
        };
        Self { status, body, retry_after: None }
    }

    /// An error whose code is not in the specification.
    #[must_use]
    pub fn custom(status: StatusCode, errcode: &'static str, message: impl Into<String>) -> Self {
        let mut body = Map::new();
        body.insert("errcode".to_owned(), errcode.into());
        body.insert("error".to_owned(), message.into().into());
        Self { status, body, retry_after: None }
    }

    /// An answer with a status and a whole body of its own, such as the 401 of user-interactive
    /// authentication.
    #[must_use]
    pub fn with_body(status: StatusCode, body: Map<String, Value>) -> Self {
        Self { status, body, retry_after: None }
    }

    /// 400 `M_BAD_JSON`.
    #[must_use]
    pub fn bad_json(message: impl Into<String>) -> Self {
        Self::new(StatusCode::BAD_REQUEST, ErrorKind::BadJson, message)
    }

    /// 400 `M_NOT_JSON`.
    #[must_use]
    pub fn not_json(message: impl Into<String>) -> Self {
        Self::new(StatusCode::BAD_REQUEST, ErrorKind::NotJson, message)
    }

    /// 400 `M_INVALID_PARAM`.
    #[must_use]
    pub fn invalid_param(message: impl Into<String>) -> Self {
        Self::new(StatusCode::BAD_REQUEST, ErrorKind::InvalidParam, message)
    }

    /// 400 `M_MISSING_PARAM`.
    #[must_use]
    pub fn missing_param(message: impl Into<String>) -> Self {
        Self::new(StatusCode::BAD_REQUEST, ErrorKind::MissingParam, message)
    }

    /// 403 `M_FORBIDDEN`.
    #[must_use]
    pub fn forbidden(message: impl Into<String>) -> Self {
        Self::new(StatusCode::FORBIDDEN, ErrorKind::Forbidden, message)
    }

    /// 403 `M_GUEST_ACCESS_FORBIDDEN`.
    #[must_use]
    pub fn guest_forbidden(message: impl Into<String>) -> Self {
        Self::new(StatusCode::FORBIDDEN, ErrorKind::GuestAccessForbidden, message)
    }

    /// 404 `M_NOT_FOUND`.
    #[must_use]
    pub fn not_found(message: impl Into<String>) -> Self {
        Self::new(StatusCode::NOT_FOUND, ErrorKind::NotFound, message)
    }

    /// 404 `M_UNRECOGNIZED`: there is no such endpoint.
    #[must_use]
    pub fn unrecognized() -> Self {
        Self::new(StatusCode::NOT_FOUND, ErrorKind::Unrecognized, "unrecognized request")
    }

    /// 405 `M_UNRECOGNIZED`: the endpoint exists, not with this method.
    #[must_use]
    pub fn method_not_allowed() -> Self {
        let status = StatusCode::METHOD_NOT_ALLOWED;
        Self::new(status, ErrorKind::Unrecognized, "the endpoint does not answer this method")
    }

    /// 413 `M_TOO_LARGE`.
    #[must_use]
    pub fn too_large(message: impl Into<String>) -> Self {
        Self::new(StatusCode::PAYLOAD_TOO_LARGE, ErrorKind::TooLarge, message)
    }

    /// 401 `M_MISSING_TOKEN`.
    #[must_use]
    pub fn missing_token() -> Self {
        Self::new(StatusCode::UNAUTHORIZED, ErrorKind::MissingToken, "missing access token")
    }

    /// 401 `M_UNKNOWN_TOKEN`. After a soft logout the client may refresh or log in again without
    /// losing its device.
    #[must_use]
    pub fn unknown_token(soft_logout: bool) -> Self {
        let mut data = UnknownTokenErrorData::new();
        data.soft_logout = soft_logout;
        let kind = ErrorKind::UnknownToken(data);
        Self::new(StatusCode::UNAUTHORIZED, kind, "unknown access token")
    }

    /// 429 `M_LIMIT_EXCEEDED` with the time to wait, in the body and as `Retry-After`.
    #[must_use]
    pub fn limit_exceeded(retry_after: Duration) -> Self {
        let status = StatusCode::TOO_MANY_REQUESTS;
        let kind = ErrorKind::LimitExceeded(ruma::api::error::LimitExceededErrorData::new());
        let milliseconds = u64::try_from(retry_after.as_millis()).unwrap_or(u64::MAX);
        Self::new(status, kind, "too many requests")
            .with("retry_after_ms", milliseconds)
            .with_retry_after(retry_after)
    }

    /// Adds a field to the body.
    #[must_use]
    pub fn with(mut self, field: &str, value: impl Into<Value>) -> Self {
        self.body.insert(field.to_owned(), value.into());
        self
    }

    /// Adds the policy's reason, a stable word that operators can look up.
    #[must_use]
    pub fn with_reason(self, reason: &str) -> Self {
        self.with(REASON, reason)
    }

    /// Adds a `Retry-After` header.
    #[must_use]
    pub fn with_retry_after(mut self, retry_after: Duration) -> Self {
        self.retry_after = Some(retry_after);
        self
    }

    /// The status this error is answered with.
    #[must_use]
    pub fn status(&self) -> StatusCode {
        self.status
    }

    /// The `errcode` of the body, if it has one.
    #[must_use]
    pub fn errcode(&self) -> Option<&str> {
        self.body.get("errcode").and_then(Value::as_str)
    }

    /// The body, for those who embed the error in something larger.
    #[must_use]
    pub fn body(&self) -> &Map<String, Value> {
        &self.body
    }
}

/// Logs the whole cause chain and answers with a blank 500.
pub fn internal(cause: &(dyn Error + 'static)) -> MatrixError {
    error!(error = cause, "request failed");
    let status = StatusCode::INTERNAL_SERVER_ERROR;
    MatrixError::new(status, ErrorKind::Unknown, "internal server error")
}

/// Logs the whole cause chain and answers that the server cannot do this now: 503.
pub fn unavailable(cause: &(dyn Error + 'static)) -> MatrixError {
    error!(error = cause, "the server cannot serve this now");
    let status = StatusCode::SERVICE_UNAVAILABLE;
    MatrixError::new(status, ErrorKind::Unknown, "the server cannot do this now, try again later")
        .with_retry_after(UNAVAILABLE_RETRY)
}

impl IntoResponse for MatrixError {
    fn into_response(self) -> Response {
        let bytes = serde_json::to_vec(&self.body).unwrap_or_else(|_| b"{}".to_vec());
        let content_type = (header::CONTENT_TYPE, "application/json");
        let mut response = (self.status, [content_type], bytes).into_response();
        if let Some(wait) = self.retry_after {
            let seconds = wait.as_millis().div_ceil(1000).max(1);
            if let Ok(value) = HeaderValue::try_from(seconds.to_string()) {
                response.headers_mut().insert(header::RETRY_AFTER, value);
            }
        }
        response
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn extra_fields_stand_beside_the_standard_ones() {
        let error = MatrixError::guest_forbidden("no door is open").with_reason("scope.none");
        let expected = json!({
            "errcode": "M_GUEST_ACCESS_FORBIDDEN",
            "error": "no door is open",
            "org.vestibule.reason": "scope.none",
        });
        assert_eq!(Value::Object(error.body().clone()), expected);
        assert_eq!(error.status(), StatusCode::FORBIDDEN);
    }

    #[test]
    fn a_soft_logout_says_so_and_a_hard_one_does_not() {
        let field = |soft| MatrixError::unknown_token(soft).body().get("soft_logout").cloned();
        assert_eq!(field(true), Some(json!(true)));
        assert_ne!(field(false), Some(json!(true)));
    }

    #[test]
    fn waiting_times_are_rounded_up_to_whole_seconds_in_the_header() {
        let response = MatrixError::limit_exceeded(Duration::from_millis(1_200)).into_response();
        assert_eq!(response.headers()[header::RETRY_AFTER], "2");
        assert_eq!(response.status(), StatusCode::TOO_MANY_REQUESTS);
    }

    #[test]
    fn internal_causes_never_reach_the_body() {
        let error = internal(&std::io::Error::other("the secret path"));
        assert!(!format!("{:?}", error.body()).contains("secret"));
    }
}
