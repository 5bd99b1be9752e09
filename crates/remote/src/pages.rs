//! Pages of the web, which users name: one request for the beginning of one. Nothing is followed: a
//! redirect is an answer, for whoever asked to judge.

use bytes::Bytes;
use http::{HeaderMap, StatusCode, Uri};
use vestibule_types::BoxFuture;

use crate::TransportError;

/// What is asked of a web server.
#[derive(Clone, Debug)]
pub struct PageRequest {
    /// The address, of `http` or `https`.
    pub uri: Uri,
    /// What kinds of answer are understood, as in `Accept`.
    pub accept: &'static str,
    /// Which languages are preferred, as in `Accept-Language`.
    pub accept_language: Option<String>,
    /// How much of the answer is read at most, in bytes.
    pub bytes_max: usize,
}

/// What a web server answered.
#[derive(Clone, Debug)]
pub struct PageReply {
    /// The status.
    pub status: StatusCode,
    /// The headers.
    pub headers: HeaderMap,
    /// The body, or its beginning.
    pub body: Bytes,
    /// Whether there was more of the body.
    pub cut: bool,
}

/// Reaches pages.
pub trait Pages: Send + Sync + 'static {
    /// Asks once.
    fn get(&self, request: PageRequest) -> BoxFuture<'_, Result<PageReply, TransportError>>;
}
