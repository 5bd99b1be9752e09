//! A lean HTTP/1.1 client: one connection, one request in flight, no parsing beyond what is needed.

use std::net::SocketAddr;

use anyhow::{Context as _, Result, bail};
use tokio::{
    io::{AsyncReadExt as _, AsyncWriteExt as _},
    net::TcpStream,
};

/// The largest answer that is read: an initial sync of ten thousand rooms fits.
const ANSWER_BYTES_MAX: usize = 1 << 30;
/// How much room a read finds at least.
const READ_BYTES: usize = 16 * 1024;
/// The buffer is given back when an answer made it larger than this.
const BUFFER_KEPT_BYTES: usize = 256 * 1024;

/// A keep-alive connection to the server.
#[derive(Debug)]
pub struct Client {
    stream: TcpStream,
    buffer: Vec<u8>,
    /// How many bytes at the front of `buffer` belong to the previous answer.
    spent: usize,
}

/// What the server said.
#[derive(Debug)]
pub struct Answer<'a> {
    /// The HTTP status.
    pub status: u16,
    /// The body with transfer encoding removed.
    pub body: std::borrow::Cow<'a, [u8]>,
}

/// How the end of a body is known.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Framing {
    Length(usize),
    Chunked,
}

/// The part of a response head that matters here.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
struct Head {
    status: u16,
    bytes: usize,
    framing: Framing,
}

impl Client {
    /// Opens a connection without Nagle's delay.
    pub async fn connect(address: SocketAddr) -> Result<Self> {
        let stream = TcpStream::connect(address).await.context("connect to the server")?;
        stream.set_nodelay(true)?;
        Ok(Self { stream, buffer: Vec::new(), spent: 0 })
    }

    /// Sends the bytes of one request and reads the whole answer.
    pub async fn call(&mut self, request: &[u8]) -> Result<Answer<'_>> {
        self.send(request).await?;
        self.receive().await
    }

    /// Sends the bytes of one request.
    pub async fn send(&mut self, request: &[u8]) -> Result<()> {
        self.buffer.drain(..self.spent);
        self.spent = 0;
        if self.buffer.is_empty() && self.buffer.capacity() > BUFFER_KEPT_BYTES {
            self.buffer = Vec::new();
        }
        self.stream.write_all(request).await.context("write a request")
    }

    /// Reads the answer to the request sent last.
    pub async fn receive(&mut self) -> Result<Answer<'_>> {
        let head = loop {
            if let Some(head) = parse_head(&self.buffer)? {
                break head;
            }
            self.fill().await?;
        };
        match head.framing {
            Framing::Length(length) => {
                let end = head.bytes.saturating_add(length);
                self.buffer.reserve(end.min(ANSWER_BYTES_MAX).saturating_sub(self.buffer.len()));
                while self.buffer.len() < end {
                    self.fill().await?;
                }
                self.spent = end;
                let body = self.buffer.get(head.bytes..end).unwrap_or_default();
                Ok(Answer { status: head.status, body: body.into() })
            }
            Framing::Chunked => loop {
                let coded = self.buffer.get(head.bytes..).unwrap_or_default();
                if let Some((body, used)) = decode_chunks(coded)? {
                    self.spent = head.bytes.saturating_add(used);
                    return Ok(Answer { status: head.status, body: body.into() });
                }
                self.fill().await?;
            },
        }
    }

    /// Reads the answer to the request sent last and keeps none of its body: the pieces are handed to
    /// `see`. Says the status and how many bytes there were.
    pub async fn receive_pieces(&mut self, mut see: impl FnMut(&[u8])) -> Result<(u16, u64)> {
        let head = loop {
            if let Some(head) = parse_head(&self.buffer)? {
                break head;
            }
            self.fill().await?;
        };
        let Framing::Length(length) = head.framing else { bail!("the answer has no length") };
        self.buffer.drain(..head.bytes);
        let mut left = length;
        while left > 0 {
            if self.buffer.is_empty() {
                self.fill().await?;
            }
            let piece = self.buffer.get(..left.min(self.buffer.len())).unwrap_or_default();
            see(piece);
            left = left.saturating_sub(piece.len());
            let read = piece.len();
            self.buffer.drain(..read);
        }
        Ok((head.status, u64::try_from(length)?))
    }

    async fn fill(&mut self) -> Result<()> {
        if self.buffer.len() > ANSWER_BYTES_MAX {
            bail!("the answer is larger than {ANSWER_BYTES_MAX} bytes");
        }
        self.buffer.reserve(READ_BYTES);
        if self.stream.read_buf(&mut self.buffer).await.context("read an answer")? == 0 {
            bail!("the server closed the connection");
        }
        Ok(())
    }
}

/// Writes a request head and body into `out`, replacing what it held.
pub fn write_request(
    out: &mut Vec<u8>,
    method: &str,
    path: &str,
    token: Option<&str>,
    body: &[u8],
) {
    let authorization = token.map(|token| format!("Bearer {token}"));
    write_signed_request(out, method, path, authorization.as_deref(), body);
}

/// The same with any `Authorization`.
pub fn write_signed_request(
    out: &mut Vec<u8>,
    method: &str,
    path: &str,
    authorization: Option<&str>,
    body: &[u8],
) {
    out.clear();
    for part in [method, " ", path, " HTTP/1.1\r\nHost: localhost\r\n"] {
        out.extend_from_slice(part.as_bytes());
    }
    if let Some(authorization) = authorization {
        for part in ["Authorization: ", authorization, "\r\n"] {
            out.extend_from_slice(part.as_bytes());
        }
    }
    if method != "GET" {
        let length = body.len().to_string();
        for part in ["Content-Type: application/json\r\nContent-Length: ", &length, "\r\n"] {
            out.extend_from_slice(part.as_bytes());
        }
    }
    out.extend_from_slice(b"\r\n");
    out.extend_from_slice(body);
}

fn find(haystack: &[u8], needle: &[u8]) -> Option<usize> {
    haystack.windows(needle.len()).position(|window| window == needle)
}

fn parse_head(buffer: &[u8]) -> Result<Option<Head>> {
    let Some(end) = find(buffer, b"\r\n\r\n") else { return Ok(None) };
    let text = std::str::from_utf8(buffer.get(..end).unwrap_or_default()).context("head")?;
    let mut lines = text.split("\r\n");
    let status = lines
        .next()
        .and_then(|line| line.split(' ').nth(1))
        .and_then(|word| word.parse().ok())
        .context("the answer has no status line")?;
    let mut framing = Framing::Length(0);
    for (name, value) in lines.filter_map(|line| line.split_once(':')) {
        if name.eq_ignore_ascii_case("content-length") {
            framing = Framing::Length(value.trim().parse().context("content-length")?);
        } else if name.eq_ignore_ascii_case("transfer-encoding") {
            framing = Framing::Chunked;
        }
    }
    Ok(Some(Head { status, bytes: end.saturating_add(4), framing }))
}

/// The decoded body and the number of bytes it took, or nothing when more must be read.
fn decode_chunks(coded: &[u8]) -> Result<Option<(Vec<u8>, usize)>> {
    let mut body = Vec::new();
    let mut at = 0_usize;
    loop {
        let rest = coded.get(at..).unwrap_or_default();
        let Some(line_end) = find(rest, b"\r\n") else { return Ok(None) };
        let line = std::str::from_utf8(rest.get(..line_end).unwrap_or_default())?;
        let digits = line.split(';').next().unwrap_or_default().trim();
        let size = usize::from_str_radix(digits, 16).context("chunk size")?;
        let start = line_end.saturating_add(2);
        let end = start.saturating_add(size);
        let Some(chunk) = rest.get(start..end) else { return Ok(None) };
        if rest.get(end..end.saturating_add(2)).is_none() {
            return Ok(None);
        }
        body.extend_from_slice(chunk);
        at = at.saturating_add(end).saturating_add(2);
        if size == 0 {
            return Ok(Some((body, at)));
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn reads_the_head_of_an_answer_with_a_length() {
        let bytes = b"HTTP/1.1 429 Too Many\r\ncontent-type: x\r\nContent-Length: 12\r\n\r\n";
        let head = parse_head(bytes).unwrap().unwrap();
        assert_eq!((head.status, head.bytes), (429, bytes.len()));
        assert_eq!(head.framing, Framing::Length(12));
    }

    #[test]
    fn waits_for_the_rest_of_a_head() {
        assert_eq!(parse_head(b"HTTP/1.1 200 OK\r\ncontent-le").unwrap(), None);
    }

    #[test]
    fn refuses_an_answer_without_a_status() {
        assert!(parse_head(b"nonsense\r\n\r\n").is_err());
    }

    #[test]
    fn joins_chunks_and_says_how_many_bytes_they_took() {
        let coded = b"4\r\nabcd\r\n2;x=y\r\nef\r\n0\r\n\r\nnext";
        let (body, used) = decode_chunks(coded).unwrap().unwrap();
        assert_eq!(body, b"abcdef");
        assert_eq!(&coded[used..], b"next");
    }

    #[test]
    fn waits_for_the_rest_of_a_chunk() {
        assert_eq!(decode_chunks(b"4\r\nabc").unwrap(), None);
        assert_eq!(decode_chunks(b"4\r\nabcd\r\n0\r\n").unwrap(), None);
    }

    #[test]
    fn a_request_names_its_length_and_its_bearer() {
        let mut out = b"old".to_vec();
        write_request(&mut out, "PUT", "/a", Some("t"), b"{}");
        assert_eq!(
            String::from_utf8(out).unwrap(),
            "PUT /a HTTP/1.1\r\nHost: localhost\r\nAuthorization: Bearer t\r\n\
             Content-Type: application/json\r\nContent-Length: 2\r\n\r\n{}"
        );
    }
}
