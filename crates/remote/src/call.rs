//! One request to one server: signed, sent, judged.

use std::time::Duration;

use http::{Request, Response, StatusCode};
use ruma::{
    ServerName,
    api::{IncomingResponseExt, OutgoingBody, OutgoingRequest, error::IntoHttpError},
};
use serde_json::Value;
use vestibule_types::limits::{REMOTE_ANSWER_BYTES_MAX, REMOTE_CALL_MAX};

use crate::{
    Exchange, Remote, RemoteAuthentication, RemoteError, RemotePath, Reply, TransportError,
    sign::sign,
};

/// What servers ask each other.
pub trait RemoteRequest:
    OutgoingRequest<Authentication: RemoteAuthentication, PathBuilder: RemotePath>
{
}

impl<R> RemoteRequest for R where
    R: OutgoingRequest<Authentication: RemoteAuthentication, PathBuilder: RemotePath>
{
}

/// What a call may cost, and whether it is made at all.
#[derive(Clone, Copy, Debug)]
pub struct CallOptions {
    /// The largest answer that is read.
    pub answer_bytes_max: usize,
    /// How long it may take altogether, waiting for its turn included.
    pub time_max: Duration,
    /// Whether a server that failed lately is asked nevertheless.
    pub ignore_back_off: bool,
}

impl Default for CallOptions {
    fn default() -> Self {
        Self {
            answer_bytes_max: REMOTE_ANSWER_BYTES_MAX,
            time_max: REMOTE_CALL_MAX,
            ignore_back_off: false,
        }
    }
}

/// What an exchange says about the server.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Standing {
    /// It is there and speaks Matrix.
    Well,
    /// Nothing to go by.
    Open,
    /// It is not there, or something else answers in its place.
    Failing(String),
}

impl Remote {
    /// Sends a request within the default bounds.
    pub async fn call<R: RemoteRequest>(
        &self,
        server: &ServerName,
        request: R,
    ) -> Result<R::IncomingResponse, RemoteError> {
        let time_max = self.call_time_max();
        let options = CallOptions { time_max, ..CallOptions::default() };
        self.call_with(server, request, options).await
    }

    /// Sends a request.
    ///
    /// An answer with an error of Matrix is no failure of the server. No answer at all, an answer
    /// with a status of 500 or more, and one that does not come from a Matrix server are: then the
    /// server is left alone for a while, the longer the more often.
    pub async fn call_with<R: RemoteRequest>(
        &self,
        server: &ServerName,
        request: R,
        options: CallOptions,
    ) -> Result<R::IncomingResponse, RemoteError> {
        let result = match self.admit(server, options) {
            Ok(()) => self.ask(server, request, options).await,
            Err(refused) => Err(refused),
        };
        Self::count(result.as_ref().err());
        result
    }

    pub(crate) fn count(error: Option<&RemoteError>) {
        let outcome = error.map_or("answered", RemoteError::kind);
        metrics::counter!("vestibule_remote_requests_total", "outcome" => outcome).increment(1);
    }

    /// Whether this server is asked anything now.
    pub(crate) fn admit(
        &self,
        server: &ServerName,
        options: CallOptions,
    ) -> Result<(), RemoteError> {
        if !self.permits(server) || server == self.server_name() {
            return Err(RemoteError::Refused(server.to_owned()));
        }
        match self.retry_after(server) {
            Some(retry_after) if !options.ignore_back_off => {
                Err(RemoteError::BackingOff { server: server.to_owned(), retry_after })
            }
            _ => Ok(()),
        }
    }

    async fn ask<R: RemoteRequest>(
        &self,
        server: &ServerName,
        request: R,
        options: CallOptions,
    ) -> Result<R::IncomingResponse, RemoteError> {
        let exchange = self.exchange_of(server, request, options)?;
        let started = self.parts().environment.now_ms();
        let exchanged = self.exchange(exchange).await;
        self.stands(server, started, standing(&exchanged)).await;
        let reply = exchanged.map_err(|error| error.of(server))?;
        read::<R>(server, &reply)
    }

    /// The request as it is sent, signed where it has to be.
    pub(crate) fn exchange_of<R: RemoteRequest>(
        &self,
        server: &ServerName,
        request: R,
        options: CallOptions,
    ) -> Result<Exchange, RemoteError> {
        let mut request = written(request).map_err(|it| RemoteError::Request(it.to_string()))?;
        if R::Authentication::SIGNED {
            let parts = self.parts();
            let us = (&*parts.server_name, &*parts.signing_key);
            sign(&mut request, us, server.to_owned()).map_err(RemoteError::Request)?;
        }
        Ok(exchange(server, request, options))
    }

    /// Notes what an exchange says about the server.
    pub(crate) async fn stands(&self, server: &ServerName, started: u64, standing: Standing) {
        match standing {
            Standing::Well => self.heard_from(server).await,
            Standing::Open => {}
            Standing::Failing(reason) => self.failed(server, started, reason).await,
        }
    }

    /// Sends it when it is its turn. The time limit is kept by this side's clock, whatever carries
    /// the request.
    async fn exchange(&self, exchange: Exchange) -> Result<Reply, TransportError> {
        let parts = self.parts();
        let late = parts.environment.clock.sleep(exchange.time_max);
        let sent = async {
            let _turn = self.turn().await;
            parts.transport.exchange(exchange).await
        };
        tokio::select! {
            biased;
            result = sent => result,
            () = late => Err(TransportError::Unreachable("no answer in time".to_owned())),
        }
    }
}

fn written<R: RemoteRequest>(request: R) -> Result<Request<Vec<u8>>, IntoHttpError> {
    let (mut parts, body) =
        request.try_into_http_request_inner("", R::PathBuilder::newest())?.into_parts();
    if let Some(content_type) = body.content_type() {
        parts.headers.entry(http::header::CONTENT_TYPE).or_insert(content_type);
    }
    Ok(Request::from_parts(parts, body.try_into_buf().map_err(Into::into)?))
}

fn exchange(server: &ServerName, request: Request<Vec<u8>>, options: CallOptions) -> Exchange {
    let (parts, body) = request.into_parts();
    let path = parts.uri.path_and_query().map(ToString::to_string).unwrap_or_default();
    Exchange {
        server: server.to_owned(),
        method: parts.method,
        path,
        headers: parts.headers,
        body: body.into(),
        answer_bytes_max: options.answer_bytes_max,
        time_max: options.time_max,
    }
}

pub(crate) fn standing(exchanged: &Result<Reply, TransportError>) -> Standing {
    match exchanged {
        Ok(reply) if reply.status.is_success() => Standing::Well,
        Ok(reply) if reply.status == StatusCode::TOO_MANY_REQUESTS => Standing::Open,
        Ok(reply) if reply.status.is_client_error() && speaks_matrix(reply) => Standing::Well,
        Ok(reply) if is_about_a_file(reply) => Standing::Well,
        Ok(reply) => Standing::Failing(format!("it answered {}", reply.status)),
        Err(TransportError::Refused) => Standing::Open,
        Err(error) => Standing::Failing(error.to_string()),
    }
}

/// Whether an error comes from a Matrix server, and not from what stands where one was.
fn speaks_matrix(reply: &Reply) -> bool {
    let body: Result<Value, _> = serde_json::from_slice(&reply.body);
    body.is_ok_and(|body| body.get("errcode").is_some_and(Value::is_string))
}

/// Whether the server says something about a file with a status that otherwise tells of a server that does
/// not work (server-server API, "Content Repository"). Anybody can ask for such files.
fn is_about_a_file(reply: &Reply) -> bool {
    let body: Result<Value, _> = serde_json::from_slice(&reply.body);
    let about_a_file = |code: &Value| code == "M_NOT_YET_UPLOADED" || code == "M_TOO_LARGE";
    body.is_ok_and(|body| body.get("errcode").is_some_and(about_a_file))
}

fn read<R: OutgoingRequest>(
    server: &ServerName,
    reply: &Reply,
) -> Result<R::IncomingResponse, RemoteError> {
    if !reply.status.is_success() {
        return Err(failed(server, reply));
    }
    let mut response = Response::new(&*reply.body);
    *response.status_mut() = reply.status;
    response.headers_mut().clone_from(&reply.headers);
    R::IncomingResponse::try_from_http_response(response).map_err(|error| bad(server, &error))
}

/// What an answer that is no success says.
pub(crate) fn failed(server: &ServerName, reply: &Reply) -> RemoteError {
    let status = reply.status.as_u16();
    if status < 400 {
        return bad(server, &format_args!("status {}", reply.status));
    }
    let body = serde_json::from_slice(&reply.body).unwrap_or_default();
    RemoteError::Answered { server: server.to_owned(), status, body }
}

fn bad(server: &ServerName, reason: &dyn std::fmt::Display) -> RemoteError {
    RemoteError::BadAnswer { server: server.to_owned(), reason: reason.to_string() }
}
