//! An answer whose body is still to be read, and the ways to read it. Every way has a bound.

use std::{pin::Pin, time::Duration};

use bytes::{Bytes, BytesMut};
use futures_util::{Stream, StreamExt, stream};
use http::{HeaderMap, StatusCode, header};
use tokio::sync::OwnedSemaphorePermit;
use vestibule_types::Environment;

use crate::TransportError;

/// An answer, read whole.
#[derive(Clone, Debug)]
pub struct Reply {
    /// The status.
    pub status: StatusCode,
    /// The headers.
    pub headers: HeaderMap,
    /// The body.
    pub body: Bytes,
}

/// A body as it arrives. An error ends it.
pub type ReplyBody = Pin<Box<dyn Stream<Item = Result<Bytes, TransportError>> + Send>>;

/// An answer whose body is still to be read.
pub struct OpenReply {
    /// The status.
    pub status: StatusCode,
    /// The headers.
    pub headers: HeaderMap,
    /// The body.
    pub body: ReplyBody,
}

impl std::fmt::Debug for OpenReply {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("OpenReply").field("status", &self.status).finish_non_exhaustive()
    }
}

impl From<Reply> for OpenReply {
    fn from(reply: Reply) -> Self {
        let Reply { status, headers, body } = reply;
        Self { status, headers, body: Box::pin(stream::iter([Ok(body)])) }
    }
}

/// When a body has to have ended, and what is held until it has.
pub(crate) struct Deadline {
    environment: Environment,
    /// By the monotonic clock.
    ends: Duration,
    _turn: Option<OwnedSemaphorePermit>,
}

impl Deadline {
    pub(crate) fn new(
        environment: Environment,
        ends: Duration,
        turn: Option<OwnedSemaphorePermit>,
    ) -> Self {
        Self { environment, ends, _turn: turn }
    }
}

impl OpenReply {
    /// Reads the body, of at most so many bytes. One that says that it is larger is not begun.
    pub async fn whole(mut self, bytes_max: usize) -> Result<Reply, TransportError> {
        if self.stated_length().is_some_and(|length| length > bytes_max as u64) {
            return Err(too_large(bytes_max));
        }
        let mut read = BytesMut::new();
        while let Some(piece) = self.body.next().await.transpose()? {
            if read.len().saturating_add(piece.len()) > bytes_max {
                return Err(too_large(bytes_max));
            }
            read.extend_from_slice(&piece);
        }
        Ok(Reply { status: self.status, headers: self.headers, body: read.freeze() })
    }

    /// Reads the body, or the first so many bytes of it. Says whether there was more.
    pub async fn beginning(mut self, bytes_max: usize) -> Result<(Reply, bool), TransportError> {
        let (mut read, mut cut) = (BytesMut::new(), false);
        while !cut && let Some(piece) = self.body.next().await.transpose()? {
            let room = bytes_max.saturating_sub(read.len()).min(piece.len());
            cut = piece.len() > room;
            read.extend_from_slice(piece.get(..room).unwrap_or_default());
        }
        Ok((Reply { status: self.status, headers: self.headers, body: read.freeze() }, cut))
    }

    /// What the answer says of the length of its body, in bytes.
    #[must_use]
    pub fn stated_length(&self) -> Option<u64> {
        self.headers.get(header::CONTENT_LENGTH)?.to_str().ok()?.parse().ok()
    }

    /// The same with a body that fails beyond so many bytes, and when its time is over.
    pub(crate) fn bounded(self, bytes_max: usize, deadline: Deadline) -> Self {
        let Self { status, headers, body } = self;
        let body =
            stream::try_unfold((body, 0, deadline), move |(mut body, read, deadline)| async move {
                let Some(piece) = next(&mut body, &deadline).await? else { return Ok(None) };
                let read = piece.len().saturating_add(read);
                if read > bytes_max {
                    return Err(too_large(bytes_max));
                }
                Ok(Some((piece, (body, read, deadline))))
            });
        Self { status, headers, body: Box::pin(body) }
    }
}

async fn next(body: &mut ReplyBody, deadline: &Deadline) -> Result<Option<Bytes>, TransportError> {
    let clock = &deadline.environment.clock;
    let late = clock.sleep(deadline.ends.saturating_sub(clock.monotonic()));
    tokio::select! {
        biased;
        piece = body.next() => piece.transpose(),
        () = late => Err(TransportError::Unreachable("no answer in time".to_owned())),
    }
}

fn too_large(bytes_max: usize) -> TransportError {
    TransportError::BadAnswer(format!("more than {bytes_max} bytes"))
}
