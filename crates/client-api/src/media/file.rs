//! Files as bodies of requests and answers.

use std::{fmt::Write, io, time::Duration};

use axum::{
    body::Body,
    response::{IntoResponse, Response},
};
use futures_util::{TryStreamExt, stream};
use http::{HeaderMap, HeaderName, HeaderValue, StatusCode, header};
use ruma::{
    OwnedServerName,
    api::error::ErrorKind,
    http_headers::{ContentDisposition, ContentDispositionType},
    media::Method,
};
use serde::Deserialize;
use vestibule_http::MatrixError;
use vestibule_media::{DownloadMedia, FileInfo, Media, OpenFile, Span, Thumbnail, Upload};
use vestibule_types::limits::MEDIA_WAIT_USUAL;

use super::not_given;

/// The query of an upload.
#[derive(Debug, Deserialize)]
pub(crate) struct Named {
    filename: Option<String>,
}

/// The query of a download. Nothing is ever redirected, so `allow_redirect` is not asked for.
#[derive(Debug, Deserialize)]
pub(crate) struct Patience {
    timeout_ms: Option<u64>,
    allow_remote: Option<bool>,
}

/// The query of a thumbnail.
#[derive(Debug, Deserialize)]
pub(crate) struct Picture {
    width: u32,
    height: u32,
    method: Option<Method>,
    animated: Option<bool>,
    timeout_ms: Option<u64>,
    allow_remote: Option<bool>,
}

impl Picture {
    pub(crate) fn patience(&self) -> Patience {
        Patience { timeout_ms: self.timeout_ms, allow_remote: self.allow_remote }
    }

    pub(crate) fn thumbnail(&self) -> Thumbnail {
        let crop = self.method == Some(Method::Crop);
        let animated = self.animated.unwrap_or(false);
        Thumbnail { width: self.width, height: self.height, crop, animated }
    }
}

/// The body of a request as an upload.
pub(crate) fn upload(named: Named, headers: &HeaderMap, body: Body) -> Upload {
    let text = |name: HeaderName| headers.get(name).and_then(|value| value.to_str().ok());
    Upload {
        content_type: text(header::CONTENT_TYPE).map(str::to_owned),
        name: named.filename,
        size: text(header::CONTENT_LENGTH).and_then(|length| length.parse().ok()),
        chunks: Box::pin(body.into_data_stream().map_err(io::Error::other)),
    }
}

/// Which file a request asks for.
pub(crate) fn wanted(
    server: OwnedServerName,
    media_id: String,
    patience: &Patience,
) -> DownloadMedia {
    DownloadMedia {
        server,
        media_id,
        wait: patience.timeout_ms.map_or(MEDIA_WAIT_USUAL, Duration::from_millis),
        fetch: patience.allow_remote.unwrap_or(true),
    }
}

/// The policy the specification recommends.
const POLICY: &str = "sandbox; default-src 'none'; script-src 'none'; plugin-types application/pdf; \
    style-src 'unsafe-inline'; object-src 'self';";

/// What an id names never changes.
const FOR_A_DAY: &str = "private, max-age=86400, immutable";

/// Types that may be shown in place (client-server API, "Serving inline content").
const INLINE: [&str; 26] = [
    "text/css",
    "text/plain",
    "text/csv",
    "application/json",
    "application/ld+json",
    "image/jpeg",
    "image/gif",
    "image/png",
    "image/apng",
    "image/webp",
    "image/avif",
    "video/mp4",
    "video/webm",
    "video/ogg",
    "video/quicktime",
    "audio/mp4",
    "audio/webm",
    "audio/aac",
    "audio/mpeg",
    "audio/ogg",
    "audio/wave",
    "audio/wav",
    "audio/x-wav",
    "audio/x-pn-wav",
    "audio/flac",
    "audio/x-flac",
];

/// Which part of a file a request asks for.
#[derive(Debug, PartialEq, Eq)]
enum Part {
    Whole,
    Some(Span),
    Outside,
}

/// The file as an answer: the part that is asked for, or nothing when the client has it.
pub(crate) async fn answer(
    media: &Media,
    info: FileInfo,
    asked: &HeaderMap,
) -> Result<Response, MatrixError> {
    let tag = tag(&info);
    let mut response = if knows(asked, &tag) {
        StatusCode::NOT_MODIFIED.into_response()
    } else {
        let part = part(asked, info.size, &tag);
        body(media, &info, part).await?
    };
    let headers = response.headers_mut();
    for (name, value) in [
        (header::CONTENT_SECURITY_POLICY, POLICY),
        (HeaderName::from_static("cross-origin-resource-policy"), "cross-origin"),
        (header::X_CONTENT_TYPE_OPTIONS, "nosniff"),
        (header::CACHE_CONTROL, FOR_A_DAY),
        (header::ACCEPT_RANGES, "bytes"),
    ] {
        headers.insert(name, HeaderValue::from_static(value));
    }
    if let Ok(tag) = HeaderValue::try_from(tag) {
        headers.insert(header::ETAG, tag);
    }
    Ok(response)
}

async fn body(media: &Media, info: &FileInfo, part: Part) -> Result<Response, MatrixError> {
    let (status, span) = match part {
        Part::Whole => (StatusCode::OK, 0..info.size),
        Part::Some(span) => (StatusCode::PARTIAL_CONTENT, span),
        Part::Outside => return Ok(outside(info.size)),
    };
    let file = media.open_file(info, span.clone()).await.map_err(not_given)?;
    let mut response = (status, Body::from_stream(pieces(file))).into_response();
    let headers = response.headers_mut();
    headers.insert(header::CONTENT_LENGTH, span.end.saturating_sub(span.start).into());
    headers.insert(header::CONTENT_TYPE, content_type(info));
    headers.insert(header::CONTENT_DISPOSITION, disposition(info));
    if status == StatusCode::PARTIAL_CONTENT {
        let last = span.end.saturating_sub(1);
        let range = format!("bytes {}-{last}/{}", span.start, info.size);
        headers.extend(HeaderValue::try_from(range).map(|range| (header::CONTENT_RANGE, range)));
    }
    Ok(response)
}

fn outside(size: u64) -> Response {
    let status = StatusCode::RANGE_NOT_SATISFIABLE;
    let error = MatrixError::new(status, ErrorKind::InvalidParam, "the file is shorter than that");
    let mut response = error.into_response();
    let range = HeaderValue::try_from(format!("bytes */{size}"));
    response.headers_mut().extend(range.map(|range| (header::CONTENT_RANGE, range)));
    response
}

fn pieces(file: OpenFile) -> impl futures_util::Stream<Item = io::Result<bytes::Bytes>> + Send {
    stream::try_unfold(
        file,
        |mut file| async move { Ok(file.next().await?.map(|piece| (piece, file))) },
    )
}

fn content_type(info: &FileInfo) -> HeaderValue {
    let given = info.content_type.as_deref().and_then(|it| HeaderValue::try_from(it).ok());
    given.unwrap_or(HeaderValue::from_static("application/octet-stream"))
}

fn disposition(info: &FileInfo) -> HeaderValue {
    let essence = info.content_type.as_deref().unwrap_or_default().split(';').next();
    let essence = essence.unwrap_or_default().trim().to_ascii_lowercase();
    let (kind, plain) = if INLINE.contains(&&*essence) {
        (ContentDispositionType::Inline, "inline")
    } else {
        (ContentDispositionType::Attachment, "attachment")
    };
    let written = ContentDisposition::new(kind).with_filename(info.name.clone()).to_string();
    HeaderValue::try_from(written).unwrap_or(HeaderValue::from_static(plain))
}

fn tag(info: &FileInfo) -> String {
    let mut tag = String::from("\"");
    for byte in info.digest {
        // Writing to a string cannot fail.
        let _written = write!(tag, "{byte:02x}");
    }
    tag.push('"');
    tag
}

/// Whether the client has the file already (RFC 9110, 13.1.2).
fn knows(asked: &HeaderMap, tag: &str) -> bool {
    let listed = asked.get(header::IF_NONE_MATCH).and_then(|value| value.to_str().ok());
    listed.is_some_and(|listed| {
        let mut tags = listed.split(',').map(str::trim);
        tags.any(|it| it == "*" || it.strip_prefix("W/").unwrap_or(it) == tag)
    })
}

/// One range of bytes (RFC 9110, 14.2). What is no such range is ignored, as is one of another version.
fn part(asked: &HeaderMap, size: u64, tag: &str) -> Part {
    let text = |name: HeaderName| asked.get(name).and_then(|value| value.to_str().ok());
    if text(header::IF_RANGE).is_some_and(|it| it != tag) {
        return Part::Whole;
    }
    let range = text(header::RANGE).and_then(|range| range.trim().strip_prefix("bytes="));
    let Some((first, last)) = range.and_then(|range| range.split_once('-')) else {
        return Part::Whole;
    };
    let (first, last) = (first.trim(), last.trim());
    let span = match (first.parse::<u64>(), last.parse::<u64>()) {
        (Ok(first), Ok(last)) if first <= last => first..last.saturating_add(1).min(size),
        (Ok(first), Err(_)) if last.is_empty() => first..size,
        (Err(_), Ok(length)) if first.is_empty() => size.saturating_sub(length)..size,
        _ => return Part::Whole,
    };
    if span.is_empty() { Part::Outside } else { Part::Some(span) }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn part_of(range: &str) -> Part {
        let mut asked = HeaderMap::new();
        asked.insert(header::RANGE, HeaderValue::try_from(range).unwrap());
        part(&asked, 10, "\"a\"")
    }

    #[test]
    fn ranges_are_cut_to_the_file_and_odd_ones_are_ignored() {
        for (range, expected) in [
            ("bytes=0-3", Part::Some(0..4)),
            ("bytes=4-", Part::Some(4..10)),
            ("bytes=-3", Part::Some(7..10)),
            ("bytes=-30", Part::Some(0..10)),
            ("bytes=8-99", Part::Some(8..10)),
            ("bytes=9-18446744073709551615", Part::Some(9..10)),
            ("bytes=10-", Part::Outside),
            ("bytes=-0", Part::Outside),
            ("bytes=3-1", Part::Whole),
            ("bytes=0-1,4-5", Part::Whole),
            ("lines=0-1", Part::Whole),
            ("bytes=a-b", Part::Whole),
        ] {
            assert_eq!(part_of(range), expected, "{range}");
        }
    }

    #[test]
    fn only_safe_types_are_shown_in_place() {
        let shown = |content_type: &str, name: Option<&str>| {
            let info = FileInfo {
                digest: [0; 32],
                size: 0,
                content_type: Some(content_type.to_owned()),
                name: name.map(str::to_owned),
                ours: true,
            };
            disposition(&info).to_str().unwrap().to_owned()
        };
        assert_eq!(shown("text/plain; charset=utf-8", Some("a.txt")), "inline; filename=a.txt");
        assert_eq!(shown("image/svg+xml", None), "attachment");
        assert_eq!(shown("TEXT/HTML", Some("a b.html")), "attachment; filename=\"a b.html\"");
        let odd = shown("image/png", Some("ü\".png"));
        assert!(odd.starts_with("inline; filename*=utf-8''%C3%BC"), "{odd}");
    }
}
