//! A `multipart/mixed` body, read piece by piece (RFC 2046, 5.1). What is kept of it in memory is the piece
//! that came last, and what may turn out to be the beginning of a boundary. Lines end in CRLF, as the
//! standard has it; nothing else is understood.

use bytes::{Buf, Bytes, BytesMut};
use futures_util::StreamExt;
use http::{HeaderMap, HeaderName, HeaderValue};
use vestibule_remote::{ReplyBody, TransportError};
use vestibule_types::limits::{MEDIA_ENVELOPE_BYTES_MAX, MEDIA_PART_HEADERS_MAX};

/// The longest boundary there is (RFC 2046, 5.1.1).
const BOUNDARY_MAX: usize = 70;

/// Why a body was not understood.
#[derive(Debug, thiserror::Error)]
pub(super) enum MixedError {
    /// It did not arrive.
    #[error(transparent)]
    Transport(#[from] TransportError),
    /// It ended too early.
    #[error("it ends before its last boundary")]
    CutOff,
    /// What is around the file is larger than allowed.
    #[error("too much around the file")]
    TooMuch,
    /// It is no such body.
    #[error("{0}")]
    Malformed(&'static str),
}

/// A body of several parts, which are read one after the other.
pub(super) struct Mixed {
    body: ReplyBody,
    /// CRLF, two dashes and the boundary.
    delimiter: Vec<u8>,
    unread: BytesMut,
    /// How much may still be read that is not in the file.
    envelope_left: usize,
}

/// What follows a boundary.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Turn {
    Part,
    End,
}

/// The boundary that a content type names.
pub(super) fn boundary(content_type: &str) -> Option<String> {
    let mut parameters = content_type.split(';');
    let kind = parameters.next()?.trim();
    if !kind.eq_ignore_ascii_case("multipart/mixed") {
        return None;
    }
    let (_, value) = parameters
        .filter_map(|parameter| parameter.split_once('='))
        .find(|(name, _)| name.trim().eq_ignore_ascii_case("boundary"))?;
    let value = value.trim();
    let value = value.strip_prefix('"').map_or(Some(value), |rest| rest.strip_suffix('"'))?;
    let allowed = |byte: u8| byte.is_ascii_alphanumeric() || b"'()+_,-./:=? ".contains(&byte);
    let valid = !value.is_empty()
        && value.len() <= BOUNDARY_MAX
        && value.bytes().all(allowed)
        && !value.ends_with(' ');
    valid.then(|| value.to_owned())
}

impl Mixed {
    /// A body with this boundary.
    pub(super) fn new(body: ReplyBody, boundary: &str) -> Self {
        let delimiter = format!("\r\n--{boundary}").into_bytes();
        // The first boundary may be the very first line.
        let unread = BytesMut::from(&b"\r\n"[..]);
        Self { body, delimiter, unread, envelope_left: MEDIA_ENVELOPE_BYTES_MAX }
    }

    /// Goes on to the next part and reads its headers. What is left of the part before is dropped.
    pub(super) async fn next_part(&mut self) -> Result<HeaderMap, MixedError> {
        while let Some(skipped) = self.piece().await? {
            self.spend(skipped.len())?;
        }
        match self.turn().await? {
            Turn::Part => self.headers().await,
            Turn::End => Err(MixedError::Malformed("there are fewer than two parts")),
        }
    }

    /// The next piece of the part that is being read; `None` at its end.
    pub(super) async fn piece(&mut self) -> Result<Option<Bytes>, MixedError> {
        loop {
            let ends = self.delimiter_at();
            // Whether it is a boundary is seen by what follows.
            let safe = ends.unwrap_or_else(|| self.certain());
            if safe > 0 {
                return Ok(Some(self.unread.split_to(safe).freeze()));
            }
            if ends == Some(0) {
                return Ok(None);
            }
            self.fill().await?;
        }
    }

    /// Where the part ends, if that is known.
    fn delimiter_at(&self) -> Option<usize> {
        let starts = self.unread.iter().enumerate().filter(|(_, byte)| **byte == b'\r');
        starts.map(|(at, _)| at).find(|at| {
            let rest = self.unread.get(*at..).unwrap_or_default();
            let after = rest.strip_prefix(&*self.delimiter).unwrap_or_default();
            matches!(after, [b'-', b'-', ..] | [b'\r', b'\n', ..] | [b' ' | b'\t', _, ..])
        })
    }

    /// How many bytes at the front are certainly part of the file: those before the last thing that
    /// may be the beginning of a boundary.
    fn certain(&self) -> usize {
        let length = self.unread.len();
        let from = length.saturating_sub(self.delimiter.len().saturating_add(1));
        let tail = self.unread.get(from..).unwrap_or_default();
        let begins = tail.iter().enumerate().position(|(at, byte)| {
            let rest = tail.get(at..).unwrap_or_default();
            let shared = rest.len().min(self.delimiter.len());
            *byte == b'\r' && rest.get(..shared) == self.delimiter.get(..shared)
        });
        begins.map_or(length, |at| from.saturating_add(at))
    }

    /// Reads a boundary to the end of its line.
    async fn turn(&mut self) -> Result<Turn, MixedError> {
        self.unread.advance(self.delimiter.len().min(self.unread.len()));
        let line = self.line().await?;
        if line.starts_with(b"--") {
            return Ok(Turn::End);
        }
        if line.iter().all(|byte| matches!(byte, b' ' | b'\t')) {
            return Ok(Turn::Part);
        }
        Err(MixedError::Malformed("there is something beside a boundary"))
    }

    /// Headers up to the empty line.
    async fn headers(&mut self) -> Result<HeaderMap, MixedError> {
        let mut headers = HeaderMap::new();
        loop {
            let line = self.line().await?;
            if line.is_empty() {
                return Ok(headers);
            }
            if headers.len() >= MEDIA_PART_HEADERS_MAX {
                return Err(MixedError::TooMuch);
            }
            let malformed = || MixedError::Malformed("a part has a header that is none");
            let colon = line.iter().position(|byte| *byte == b':').ok_or_else(malformed)?;
            let (name, value) = line.split_at_checked(colon).ok_or_else(malformed)?;
            let name = HeaderName::from_bytes(name).map_err(|_| malformed())?;
            let value = value.get(1..).unwrap_or_default().trim_ascii();
            let value = HeaderValue::from_bytes(value).map_err(|_| malformed())?;
            headers.append(name, value);
        }
    }

    /// The next line, without its end.
    async fn line(&mut self) -> Result<Bytes, MixedError> {
        // What was looked at is not looked at again, however small the pieces are.
        let mut seen = 0_usize;
        loop {
            let rest = self.unread.get(seen..).unwrap_or_default();
            if let Some(end) = rest.windows(2).position(|two| two == b"\r\n") {
                let line = self.unread.split_to(seen.saturating_add(end)).freeze();
                self.unread.advance(2);
                self.spend(line.len().saturating_add(2))?;
                return Ok(line);
            }
            // `--` after the last boundary needs no line end.
            if self.unread.starts_with(b"--") {
                return Ok(self.unread.split().freeze());
            }
            if self.unread.len() > self.envelope_left {
                return Err(MixedError::TooMuch);
            }
            seen = self.unread.len().saturating_sub(1);
            self.fill().await?;
        }
    }

    /// Counts what is not in the file.
    fn spend(&mut self, bytes: usize) -> Result<(), MixedError> {
        let left = self.envelope_left.checked_sub(bytes).ok_or(MixedError::TooMuch)?;
        self.envelope_left = left;
        Ok(())
    }

    async fn fill(&mut self) -> Result<(), MixedError> {
        let piece = self.body.next().await.ok_or(MixedError::CutOff)??;
        self.unread.extend_from_slice(&piece);
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use std::sync::{
        Arc,
        atomic::{AtomicUsize, Ordering},
    };

    use futures_util::stream;
    use http::header;

    use super::*;

    const WHOLE: &[u8] = b"--b\r\nContent-Type: application/json\r\n\r\n{}\r\n--b \r\n\
        content-type:text/plain\r\nContent-Disposition: attachment; filename=a.txt\r\n\r\n\
        one\r\n--bee\r\n-- b\r\rtwo\r\n\r\n--b--\r\nwhatever follows";
    const FILE: &[u8] = b"one\r\n--bee\r\n-- b\r\rtwo\r\n";

    fn in_pieces(bytes: &[u8], length: usize) -> ReplyBody {
        let pieces: Vec<_> =
            bytes.chunks(length).map(|it| Ok(Bytes::copy_from_slice(it))).collect();
        Box::pin(stream::iter(pieces))
    }

    async fn read(body: ReplyBody) -> Result<(HeaderMap, Vec<u8>), MixedError> {
        let mut mixed = Mixed::new(body, "b");
        mixed.next_part().await?;
        let headers = mixed.next_part().await?;
        let mut file = Vec::new();
        while let Some(piece) = mixed.piece().await? {
            assert!(!piece.is_empty());
            file.extend_from_slice(&piece);
        }
        Ok((headers, file))
    }

    #[tokio::test]
    async fn a_file_is_read_however_it_is_cut_into_pieces() {
        for length in 1..=WHOLE.len() {
            let (headers, file) = read(in_pieces(WHOLE, length)).await.unwrap();
            assert_eq!(headers[header::CONTENT_TYPE], "text/plain", "{length}");
            assert_eq!(headers[header::CONTENT_DISPOSITION], "attachment; filename=a.txt");
            assert_eq!(file, FILE, "{length}");
        }
    }

    #[tokio::test]
    async fn a_preamble_is_skipped_and_empty_parts_are_read() {
        for text in [
            "an old mail reader sees this\r\n--b\r\n\r\n\r\n--b\r\n\r\n\r\n--b--",
            "--b\r\n\r\n\r\n--b\r\n\r\n\r\n--b--",
        ] {
            for length in [1, 3, 100] {
                let (headers, file) = read(in_pieces(text.as_bytes(), length)).await.unwrap();
                assert_eq!((headers.len(), file.len()), (0, 0));
            }
        }
    }

    #[tokio::test]
    async fn what_ends_too_early_is_no_file() {
        let last_boundary = WHOLE.len() - "--\r\nwhatever follows".len();
        for length in 0..=last_boundary {
            let failed = read(in_pieces(&WHOLE[..length], 7)).await.unwrap_err();
            assert!(matches!(failed, MixedError::CutOff), "{length}: {failed}");
        }
    }

    #[tokio::test]
    async fn what_is_no_such_body_is_refused() {
        for text in [
            "--b--\r\n",
            "--b\r\n\r\n{}\r\n--b--\r\n",
            "--b\r\nno header\r\n\r\n",
            "--b\r\n: empty\r\n\r\n",
            "--b\r\na: b\r\n folded\r\n\r\n",
            "--b\r\na: \0\r\n\r\n",
            "--b x\r\n",
        ] {
            let failed = read(in_pieces(text.as_bytes(), 5)).await.unwrap_err();
            assert!(matches!(failed, MixedError::Malformed(_)), "{text:?}: {failed}");
        }
    }

    #[tokio::test]
    async fn what_is_around_the_file_is_bounded() {
        let endless = |text: &'static str, again: &'static str| {
            let begin = stream::iter([Ok(Bytes::from_static(text.as_bytes()))]);
            let rest = stream::repeat_with(move || Ok(Bytes::from_static(again.as_bytes())));
            Box::pin(begin.chain(rest)) as ReplyBody
        };
        for (begin, again) in [
            ("", "a preamble "),
            ("--b\r\n", "endless"),
            ("--b\r\n", "a: b\r\n"),
            ("--b\r\n\r\n{", "\"a\":1,"),
            ("--b  ", "  "),
            ("--b\r\n\r\n{}\r\n--b\r\na: ", "b"),
        ] {
            let failed = read(endless(begin, again)).await.unwrap_err();
            assert!(matches!(failed, MixedError::TooMuch), "{begin:?}: {failed}");
        }
    }

    #[tokio::test]
    async fn nothing_is_read_ahead_of_the_file() {
        let made = Arc::new(AtomicUsize::new(0));
        let count = Arc::clone(&made);
        let begin = stream::iter([Ok(Bytes::from_static(b"--b\r\n\r\n{}\r\n--b\r\n\r\n"))]);
        let rest = stream::repeat_with(move || {
            count.fetch_add(1, Ordering::Relaxed);
            Ok(Bytes::from_static(&[b'\r'; 1_000]))
        });
        let mut mixed = Mixed::new(Box::pin(begin.chain(rest)), "b");
        mixed.next_part().await.unwrap();
        mixed.next_part().await.unwrap();
        for taken in 1..=100 {
            assert!(mixed.piece().await.unwrap().unwrap().len() <= 1_004);
            assert!(made.load(Ordering::Relaxed) <= taken + 1);
            assert!(mixed.unread.len() < 1_004);
        }
    }

    #[test]
    fn boundaries_are_read_as_the_standard_has_them() {
        for (text, expected) in [
            ("multipart/mixed; boundary=abc", Some("abc")),
            ("Multipart/Mixed;charset=utf-8; BOUNDARY=\"a b:c\"", Some("a b:c")),
            ("multipart/mixed", None),
            ("multipart/mixed; boundary=", None),
            ("multipart/mixed; boundary=\"open", None),
            ("multipart/mixed; boundary=\"a\r\n\"", None),
            ("multipart/form-data; boundary=abc", None),
            ("application/json", None),
        ] {
            assert_eq!(boundary(text).as_deref(), expected, "{text}");
        }
        assert_eq!(boundary(&format!("multipart/mixed; boundary={}", "a".repeat(71))), None);
    }
}
