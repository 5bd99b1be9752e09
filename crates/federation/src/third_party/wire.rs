//! `PUT /_matrix/federation/v1/exchange_third_party_invite/{roomId}` as it is sent: its body names the
//! room as well as its path does, which ruma's type for it leaves out.

use http::{HeaderValue, Method, header};
use ruma::api::{
    BytesBody, Metadata, OutgoingBody, OutgoingRequest,
    error::IntoHttpError,
    federation::thirdparty::exchange_invite::v1::{Request, Response},
};
use serde_json::Value;

/// The request with the room in its body.
#[derive(Clone)]
pub(super) struct Exchange(pub(super) Request);

impl Metadata for Exchange {
    const METHOD: Method = Request::METHOD;
    const RATE_LIMITED: bool = Request::RATE_LIMITED;
    type Authentication = <Request as Metadata>::Authentication;
    type PathBuilder = <Request as Metadata>::PathBuilder;
    const PATH_BUILDER: Self::PathBuilder = Request::PATH_BUILDER;
}

impl OutgoingRequest for Exchange {
    type Body = BytesBody;
    type EndpointError = <Request as OutgoingRequest>::EndpointError;
    type IncomingResponse = Response;

    fn try_into_http_request_inner(
        self,
        base_url: &str,
        (): (),
    ) -> Result<http::Request<BytesBody>, IntoHttpError> {
        let room_id = self.0.room_id.to_string();
        let (mut parts, body) = self.0.try_into_http_request_inner(base_url, ())?.into_parts();
        let written: Vec<u8> = body.try_into_buf()?;
        let mut body: Value = serde_json::from_slice(&written)?;
        if let Value::Object(body) = &mut body {
            body.insert("room_id".to_owned(), room_id.into());
        }
        let json = HeaderValue::from_static("application/json");
        parts.headers.insert(header::CONTENT_TYPE, json);
        Ok(http::Request::from_parts(parts, BytesBody(serde_json::to_vec(&body)?)))
    }
}
