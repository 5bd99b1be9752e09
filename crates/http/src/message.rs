//! Matrix requests in, Matrix responses out.

use axum::{
    Form,
    body::Body,
    extract::{FromRequest, FromRequestParts, RawPathParams, Request},
    response::{IntoResponse, Response},
};
use bytes::{Bytes, BytesMut};
use http::{HeaderValue, Method, StatusCode, header};
use ruma::api::{
    IncomingRequest, IncomingRequestExt, OutgoingResponse, OutgoingResponseExt,
    error::{DeserializationError, FromHttpRequestError, HeaderDeserializationError},
};
use serde::{Serialize, de::DeserializeOwned};

use crate::{MatrixError, body, internal};

/// A request of type `T`, parsed and validated.
///
/// The body must be a JSON object or absent, so this is not for endpoints that take raw bytes.
#[derive(Debug)]
pub struct Incoming<T>(pub T);

/// A response of type `T`, about to be sent.
#[derive(Debug)]
pub struct Outgoing<T>(pub T);

/// The JSON body of an endpoint that has no type in the specification.
#[derive(Debug)]
pub struct IncomingJson<T>(pub T);

/// What a form of a page of this server sends.
#[derive(Debug)]
pub struct IncomingForm<T>(pub T);

/// A JSON answer of an endpoint that has no type in the specification.
#[derive(Debug)]
pub struct OutgoingJson<T>(pub T);

impl<T, S> FromRequest<S> for Incoming<T>
where
    T: IncomingRequest,
    S: Send + Sync,
{
    type Rejection = MatrixError;

    async fn from_request(request: Request, state: &S) -> Result<Self, MatrixError> {
        let (mut parts, body) = request.into_parts();
        let path = RawPathParams::from_request_parts(&mut parts, state)
            .await
            .map_err(|_| MatrixError::invalid_param("the path is not valid UTF-8"))?;
        let path: Vec<&str> = path.iter().map(|(_, value)| value).collect();
        let body = if parts.method == Method::GET || parts.method == Method::HEAD {
            Bytes::new()
        } else {
            body::take_object(&mut parts, body).await?
        };

        T::try_from_http_request(http::Request::from_parts(parts, &*body), &path)
            .map(Self)
            .map_err(malformed)
    }
}

impl<T: OutgoingResponse> IntoResponse for Outgoing<T> {
    fn into_response(self) -> Response {
        match self.0.try_into_http_response::<BytesMut>() {
            Ok(response) => response.map(|body| Body::from(body.freeze())),
            Err(error) => internal(&error).into_response(),
        }
    }
}

impl<T, S> FromRequest<S> for IncomingJson<T>
where
    T: DeserializeOwned,
    S: Send + Sync,
{
    type Rejection = MatrixError;

    async fn from_request(request: Request, _state: &S) -> Result<Self, MatrixError> {
        let (mut parts, body) = request.into_parts();
        let body = body::take_object(&mut parts, body).await?;
        serde_json::from_slice(&body).map(Self).map_err(|error| bad_body(&error))
    }
}

impl<T, S> FromRequest<S> for IncomingForm<T>
where
    T: DeserializeOwned,
    S: Send + Sync,
{
    type Rejection = MatrixError;

    async fn from_request(request: Request, state: &S) -> Result<Self, MatrixError> {
        let (parts, body) = request.into_parts();
        let body = body::read_form(body).await?;
        let Form(form) = Form::from_request(Request::from_parts(parts, body.into()), state)
            .await
            .map_err(|error| MatrixError::invalid_param(error.body_text()))?;
        Ok(Self(form))
    }
}

/// Most answers are not longer than this.
const ANSWER_BYTES_USUAL: usize = 1_024;

const JSON: HeaderValue = HeaderValue::from_static("application/json");

impl<T: Serialize> IntoResponse for OutgoingJson<T> {
    fn into_response(self) -> Response {
        let mut bytes = Vec::with_capacity(ANSWER_BYTES_USUAL);
        match serde_json::to_writer(&mut bytes, &self.0) {
            Ok(()) => (StatusCode::OK, [(header::CONTENT_TYPE, JSON)], bytes).into_response(),
            Err(error) => internal(&error).into_response(),
        }
    }
}

fn malformed(error: FromHttpRequestError) -> MatrixError {
    match error {
        FromHttpRequestError::Deserialization(DeserializationError::Json(error)) => {
            bad_body(&error)
        }
        FromHttpRequestError::Deserialization(DeserializationError::Query(error)) => {
            bad_parameter(&error.to_string())
        }
        FromHttpRequestError::Deserialization(DeserializationError::Header(
            HeaderDeserializationError::MissingHeader(name),
        )) => MatrixError::missing_param(format!("missing header `{name}`")),
        FromHttpRequestError::MethodMismatch { .. } => MatrixError::method_not_allowed(),
        other => MatrixError::invalid_param(other.to_string()),
    }
}

/// The text is JSON, it was checked before; so this is about its shape, also where serde calls that syntax,
/// as of a number in the place of a name.
fn bad_body(error: &serde_json::Error) -> MatrixError {
    MatrixError::bad_json(error.to_string())
}

/// Path arguments and query parameters share an error type that has no kinds, only a text.
pub(crate) fn bad_parameter(text: &str) -> MatrixError {
    if text.contains("missing field") {
        MatrixError::missing_param(text)
    } else {
        MatrixError::invalid_param(text)
    }
}
