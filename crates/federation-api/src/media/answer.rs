//! A file as the second part of `multipart/mixed`; the first is an empty JSON object.

use std::{fmt::Write, io};

use axum::{
    body::Body,
    response::{IntoResponse, Response},
};
use bytes::Bytes;
use futures_util::{StreamExt, stream};
use http::{HeaderValue, header};
use ruma::http_headers::{ContentDisposition, ContentDispositionType};
use vestibule_http::{MatrixError, internal};
use vestibule_media::{FileInfo, Media};

use super::not_given;

/// The file, piece by piece.
pub(crate) async fn answer(media: &Media, info: &FileInfo) -> Result<Response, MatrixError> {
    let boundary = boundary(info);
    let content_type = info.content_type.as_deref().unwrap_or("application/octet-stream");
    let disposition = ContentDisposition::new(ContentDispositionType::Attachment)
        .with_filename(info.name.clone());
    let before = format!(
        "--{boundary}\r\nContent-Type: application/json\r\n\r\n{{}}\r\n--{boundary}\r\n\
         Content-Type: {content_type}\r\nContent-Disposition: {disposition}\r\n\r\n"
    );
    let after = format!("\r\n--{boundary}--\r\n");
    let framing = u64::try_from(before.len() + after.len()).unwrap_or(u64::MAX);
    let file = media.open_file(info, 0..info.size).await.map_err(not_given)?;
    let pieces = stream::try_unfold(file, |mut file| async move {
        Ok(file.next().await?.map(|piece| (piece, file)))
    });
    let framed = stream::iter([Ok::<_, io::Error>(Bytes::from(before))])
        .chain(pieces)
        .chain(stream::iter([Ok(Bytes::from(after))]));
    let mut response = Body::from_stream(framed).into_response();
    let headers = response.headers_mut();
    let mixed = HeaderValue::try_from(format!("multipart/mixed; boundary={boundary}"));
    headers.insert(header::CONTENT_TYPE, mixed.map_err(|error| internal(&error))?);
    headers.insert(header::CONTENT_LENGTH, info.size.saturating_add(framing).into());
    Ok(response)
}

/// The digest of the file: no file can be made that has its own digest in it.
fn boundary(info: &FileInfo) -> String {
    let mut boundary = String::new();
    for byte in info.digest {
        // Writing to a string cannot fail.
        let _written = write!(boundary, "{byte:02x}");
    }
    boundary
}
