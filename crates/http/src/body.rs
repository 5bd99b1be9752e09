//! Reading a request body: bounded in size, time and depth, and JSON where JSON is expected.

use std::{error::Error, time::Duration};

use axum::body::{Body, HttpBody};
use bytes::Bytes;
use http::{Method, StatusCode, header::EXPECT, request::Parts};
use http_body_util::{BodyExt, LengthLimitError, Limited};
use ruma::api::error::ErrorKind;
use serde::de::IgnoredAny;
use vestibule_types::{
    json_depth,
    limits::{
        BODY_BYTES_DRAINED_MAX, BODY_BYTES_MAX, BODY_DRAIN_WAIT_MAX, BODY_READ_SECONDS_MAX,
        FORM_BYTES_MAX, JSON_DEPTH_MAX,
    },
};

use crate::MatrixError;

/// A body that was read and checked before its handler runs, because it is signed. Extractors take
/// it in place of what is left of the request's own.
#[derive(Clone, Debug)]
pub struct ReadBody(pub Bytes);

/// Reads the whole body, up to so many bytes, and checks that it is one JSON object or nothing. How deep
/// it is nested is left to those who parse it.
pub async fn read_signed_body(body: Body, bytes_max: usize) -> Result<Bytes, MatrixError> {
    let bytes = read_within(PATIENCE, (body, Sent::Already), bytes_max).await?;
    if !bytes.is_empty() {
        check_is_object(&bytes)?;
    }
    Ok(bytes)
}

/// How long a body may take to arrive.
const PATIENCE: Duration = Duration::from_secs(BODY_READ_SECONDS_MAX);

/// Whether a client sends its body without having been told to.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Sent {
    /// As most do.
    Already,
    /// It waits for `100 Continue` first.
    WhenAsked,
}

impl Sent {
    fn of(parts: &Parts) -> Self {
        if parts.headers.contains_key(EXPECT) { Self::WhenAsked } else { Self::Already }
    }
}

async fn read_within(
    patience: Duration,
    (mut body, sent): (Body, Sent),
    bytes_max: usize,
) -> Result<Bytes, MatrixError> {
    // Who announces more than that is not waited for.
    if body.size_hint().lower() > bytes_max as u64 {
        if sent == Sent::Already {
            drain(body).await;
        }
        return Err(MatrixError::too_large("the request body is too large"));
    }
    let limited = Limited::new(&mut body, bytes_max).collect();
    match tokio::time::timeout(patience, limited).await {
        Ok(Ok(collected)) => Ok(collected.to_bytes()),
        Ok(Err(error)) if is_length_limit(&*error) => {
            drain(body).await;
            Err(MatrixError::too_large("the request body is too large"))
        }
        Ok(Err(_)) => Err(MatrixError::not_json("the request body could not be read")),
        Err(_) => Err(MatrixError::new(
            StatusCode::REQUEST_TIMEOUT,
            ErrorKind::Unknown,
            "the request body took too long to arrive",
        )),
    }
}

/// Takes what is on its way and throws it away, up to a bound: a client that is still sending when the
/// connection is closed does not read why.
async fn drain(mut body: Body) {
    let taking = async {
        let mut left = BODY_BYTES_DRAINED_MAX;
        while let Some(Ok(frame)) = body.frame().await {
            match left.checked_sub(frame.data_ref().map_or(0, Bytes::len)) {
                Some(rest) => left = rest,
                None => return,
            }
        }
    };
    let _ended = tokio::time::timeout(BODY_DRAIN_WAIT_MAX, taking).await;
}

/// Reads a body that must be one JSON object, or nothing at all.
async fn read_object(body: Body, sent: Sent) -> Result<Bytes, MatrixError> {
    let bytes = read_within(PATIENCE, (body, sent), BODY_BYTES_MAX).await?;
    if !bytes.is_empty() {
        check_object(&bytes)?;
    }
    Ok(bytes)
}

/// Reads the body of a form.
pub(crate) async fn read_form(body: Body) -> Result<Bytes, MatrixError> {
    read_within(PATIENCE, (body, Sent::Already), FORM_BYTES_MAX).await
}

/// As [`read_object`], where the body may have been read before. Nothing counts as `{}` where every field is
/// optional, because clients leave the body out there.
pub(crate) async fn take_object(parts: &mut Parts, body: Body) -> Result<Bytes, MatrixError> {
    let bytes = match parts.extensions.remove::<ReadBody>() {
        Some(ReadBody(bytes)) => bytes,
        None => read_object(body, Sent::of(parts)).await?,
    };
    if !bytes.is_empty() {
        return Ok(bytes);
    }
    let sends = parts.method == Method::PUT || parts.method == Method::POST;
    if sends && is_content(parts.uri.path()) {
        return Err(MatrixError::not_json("the request has no body"));
    }
    Ok(Bytes::from_static(b"{}"))
}

/// Whether the body of a request to this path is kept or sent as it is, or says to whom something is to
/// happen: nothing at all must not be taken for `{}` there.
fn is_content(path: &str) -> bool {
    let Some(path) = path.strip_prefix("/_matrix/client/") else { return false };
    let path: Vec<&str> = path.trim_end_matches('/').split('/').skip(1).collect();
    matches!(
        path.as_slice(),
        ["rooms", _, "state" | "send" | "typing" | "invite" | "kick" | "ban" | "unban", ..]
            | ["user", _, "account_data" | "filter", ..]
            | ["user", _, "rooms", _, "account_data" | "tags", ..]
            | ["sendToDevice" | "pushrules" | "presence" | "profile", ..]
            | ["keys", "query" | "claim" | "upload"]
            | ["search"]
            | ["user_directory", "search"]
    )
}

/// Refuses what is not JSON, not an object, or nested deeper than anything we would store.
fn check_object(bytes: &[u8]) -> Result<(), MatrixError> {
    check_is_object(bytes)?;
    if json_depth(bytes) > JSON_DEPTH_MAX {
        return Err(MatrixError::bad_json("the request body is nested too deeply"));
    }
    Ok(())
}

fn check_is_object(bytes: &[u8]) -> Result<(), MatrixError> {
    let not_json = || MatrixError::not_json("the request body is not JSON");
    let text = str::from_utf8(bytes).map_err(|_| not_json())?;
    serde_json::from_str::<IgnoredAny>(text).map_err(|_| not_json())?;
    if bytes.iter().find(|byte| !byte.is_ascii_whitespace()) != Some(&b'{') {
        return Err(MatrixError::bad_json("the request body is not a JSON object"));
    }
    Ok(())
}

fn is_length_limit(error: &(dyn Error + 'static)) -> bool {
    let mut cause = Some(error);
    while let Some(error) = cause {
        if error.is::<LengthLimitError>() {
            return true;
        }
        cause = error.source();
    }
    false
}

#[cfg(test)]
mod tests {
    use std::{
        convert::Infallible,
        sync::{
            Arc,
            atomic::{AtomicUsize, Ordering},
        },
    };

    use super::*;

    fn errcode(json: &str) -> Option<String> {
        check_object(json.as_bytes()).err().and_then(|error| error.errcode().map(str::to_owned))
    }

    #[test]
    fn tells_what_is_not_json_from_what_is_not_an_object() {
        let table = [
            ("{}", None),
            (" \n{\"a\": [1, {}]}", None),
            ("{", Some("M_NOT_JSON")),
            ("{\"a\":1}x", Some("M_NOT_JSON")),
            ("{\"a\":\"\u{1}\"}", Some("M_NOT_JSON")),
            ("[]", Some("M_BAD_JSON")),
            ("\"text\"", Some("M_BAD_JSON")),
            ("null", Some("M_BAD_JSON")),
        ];
        for (json, expected) in table {
            assert_eq!(errcode(json).as_deref(), expected, "{json}");
        }
    }

    #[tokio::test]
    async fn nothing_is_an_empty_object_only_where_no_content_is_asked_for() {
        let table = [
            ("/_matrix/client/v3/rooms/!a:b/state/m.room.topic", false),
            ("/_matrix/client/v3/rooms/!a:b/state/m.room.topic/", false),
            ("/_matrix/client/v3/rooms/!a:b/send/m.room.message/1", false),
            ("/_matrix/client/v3/user/@a:b/account_data/x", false),
            ("/_matrix/client/v3/user/@a:b/rooms/!a:b/account_data/x", false),
            ("/_matrix/client/r0/user/@a:b/filter", false),
            ("/_matrix/client/v3/rooms/!a:b/typing/@a:b", false),
            ("/_matrix/client/v3/rooms/!a:b/leave", true),
            ("/_matrix/client/v3/join/state", true),
            ("/_matrix/client/v3/rooms/!a:b/receipt/m.read/$c", true),
            ("/_matrix/client/v3/logout", true),
            ("/_matrix/federation/v1/send/1", true),
        ];
        for (path, taken) in table {
            let request = http::Request::put(path).body(()).expect("a request");
            let (mut parts, ()) = request.into_parts();
            let read = take_object(&mut parts, Body::empty()).await;
            let errcode = read.err().and_then(|error| error.errcode().map(str::to_owned));
            let expected = if taken { None } else { Some("M_NOT_JSON") };
            assert_eq!(errcode.as_deref(), expected, "{path}");
        }
    }

    #[tokio::test]
    async fn a_body_that_never_ends_is_given_up() {
        let endless =
            Body::from_stream(futures_util::stream::pending::<Result<Bytes, Infallible>>());
        let endless = (endless, Sent::Already);
        let error = read_within(Duration::from_millis(20), endless, 9).await.unwrap_err();
        assert_eq!(error.status(), StatusCode::REQUEST_TIMEOUT);
    }

    #[tokio::test]
    async fn what_is_too_large_is_taken_before_the_answer_up_to_a_bound() {
        let piece = Bytes::from(vec![0; 64 * 1_024]);
        for (pieces, taken) in [(40, 40), (1_000, BODY_BYTES_DRAINED_MAX / piece.len() + 2)] {
            let seen = Arc::new(AtomicUsize::new(0));
            let (count, piece) = (Arc::clone(&seen), piece.clone());
            let sent = (0..pieces).map(move |_| {
                count.fetch_add(1, Ordering::Relaxed);
                Ok::<_, Infallible>(piece.clone())
            });
            let body = Body::from_stream(futures_util::stream::iter(sent));
            let read = read_within(PATIENCE, (body, Sent::Already), 10).await;
            assert_eq!(read.unwrap_err().status(), StatusCode::PAYLOAD_TOO_LARGE);
            assert_eq!(seen.load(Ordering::Relaxed), taken);
        }
    }

    #[test]
    fn invalid_utf_8_is_not_json() {
        assert!(check_object(b"{\"a\":\"\xff\"}").is_err());
    }

    #[test]
    fn nesting_is_bounded_and_strings_do_not_count() {
        let nested =
            |depth: usize| format!("{{\"a\":{}{}}}", "[".repeat(depth - 1), "]".repeat(depth - 1));
        assert_eq!(errcode(&nested(JSON_DEPTH_MAX)), None);
        assert_eq!(errcode(&nested(JSON_DEPTH_MAX + 1)).as_deref(), Some("M_BAD_JSON"));
        assert_eq!(errcode(&nested(500_000)).as_deref(), Some("M_BAD_JSON"));
        assert_eq!(errcode(&format!(r#"{{"a":"{}"}}"#, "[".repeat(JSON_DEPTH_MAX))), None);
    }
}
