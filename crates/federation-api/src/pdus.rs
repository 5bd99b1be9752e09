//! Answers that are lists of events, sent while they are read: the state of a large room is not held
//! in memory.

use axum::{
    body::Body,
    response::{IntoResponse, Response},
};
use bytes::Bytes;
use futures_util::stream::try_unfold;
use http::{HeaderValue, header};
use vestibule_accounts::StorageError;
use vestibule_rooms::EventList;

/// A JSON object whose fields are lists of events.
#[derive(Debug)]
pub(crate) struct PduLists {
    waiting: std::vec::IntoIter<(&'static str, EventList)>,
    /// The list that is being sent.
    current: Option<EventList>,
    /// Whether a list, and an event of this one, was begun.
    began: (bool, bool),
    ended: bool,
}

impl PduLists {
    pub(crate) fn new<const N: usize>(lists: [(&'static str, EventList); N]) -> Self {
        let waiting = Vec::from(lists).into_iter();
        Self { waiting, current: None, began: (false, false), ended: false }
    }

    /// The next piece of the text.
    async fn next(&mut self) -> Result<Option<Bytes>, StorageError> {
        if self.ended {
            return Ok(None);
        }
        let mut text = Vec::new();
        if let Some(list) = &mut self.current {
            let events = list.read_some().await?;
            if events.is_empty() {
                text.push(b']');
                self.current = None;
            }
            for event in events {
                if std::mem::replace(&mut self.began.1, true) {
                    text.push(b',');
                }
                text.extend_from_slice(event.get().as_bytes());
            }
        } else if let Some((name, list)) = self.waiting.next() {
            let opening = if self.began.0 { "," } else { "{" };
            text.extend_from_slice(format!("{opening}\"{name}\":[").as_bytes());
            self.began = (true, false);
            self.current = Some(list);
        } else {
            text.push(b'}');
            self.ended = true;
        }
        Ok(Some(text.into()))
    }
}

impl IntoResponse for PduLists {
    fn into_response(self) -> Response {
        // An answer that breaks off is no JSON, so what the other server has of it counts for nothing.
        let pieces = try_unfold(self, |mut lists| async move {
            let piece = lists.next().await?;
            Ok::<_, StorageError>(piece.map(|piece| (piece, lists)))
        });
        let json = HeaderValue::from_static("application/json");
        ([(header::CONTENT_TYPE, json)], Body::from_stream(pieces)).into_response()
    }
}
