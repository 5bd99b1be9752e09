//! A large file, up and down: it must pass through the server and not be held in it.

use std::net::SocketAddr;

use anyhow::{Context as _, Result, ensure};
use serde_json::Value;

use super::{Bench, figure};
use crate::{
    client::Client,
    clock,
    load::pause,
    matrix::{Api, User, accepted},
    process,
    report::{Bar, Row, median, rounded},
    server::{Durability, Home, Server},
};

const BAR_MIB: f64 = 32.0;
/// Bytes written at once.
const PIECE_BYTES: usize = 256 * 1024;
/// The size of the file that warms the server.
const WARM_BYTES: u64 = 4 << 20;
const MIB: f64 = 1_048_576.0;

#[derive(Default)]
struct Samples {
    growth_mib: Vec<f64>,
    up_mib_per_s: Vec<f64>,
    down_mib_per_s: Vec<f64>,
}

/// A fresh server per sample: up, down, and down again by ranges.
pub async fn measure(bench: &Bench) -> Result<Vec<Row>> {
    let bytes = bench.scale.file_bytes;
    let allowed = bytes.max(WARM_BYTES);
    let mut samples = Samples::default();
    for _ in 0..bench.scale.rounds {
        let home = Home::fresh(&bench.folder, Durability::Fsync)?;
        home.configure(&format!("\n[media]\nupload_bytes_max = {allowed}\nuser_bytes_max = 0\n"))?;
        let (server, _) = Server::start(&bench.launch, &home).await?;
        sample(bench, &server, &mut samples).await?;
        server.stop().await?;
    }
    let row = Row::new("memory for a large file", "MiB", samples.growth_mib)
        .with_bar(Bar::at_most(BAR_MIB, "32 MiB more than before it"))
        .with("file_mib", rounded(figure(bytes) / MIB))
        .with("up_mib_per_s", rounded(median(&samples.up_mib_per_s)))
        .with("down_mib_per_s", rounded(median(&samples.down_mib_per_s)));
    Ok(vec![row])
}

async fn sample(bench: &Bench, server: &Server, into: &mut Samples) -> Result<()> {
    let user = Api::anonymous(server.address).await?.register("carrier").await?;
    let carrier = Carrier { address: server.address, user };
    let warm = carrier.upload(WARM_BYTES).await?;
    carrier.download(&warm, WARM_BYTES, None).await?;
    pause(bench.scale.settle).await;

    let bytes = bench.scale.file_bytes;
    let size = figure(bytes) / MIB;
    let before = process::resident_bytes(server.pid())?;
    process::reset_peak(server.pid())?;
    let started = clock::now();
    let file = carrier.upload(bytes).await?;
    into.up_mib_per_s.push(size / started.elapsed().as_secs_f64());
    let started = clock::now();
    carrier.download(&file, bytes, None).await?;
    into.down_mib_per_s.push(size / started.elapsed().as_secs_f64());
    let half = bytes / 2;
    carrier.download(&file, bytes, Some((0, half))).await?;
    carrier.download(&file, bytes, Some((half, bytes))).await?;
    let peak = process::peak_resident_bytes(server.pid())?;
    into.growth_mib.push(figure(peak.saturating_sub(before)) / MIB);
    Ok(())
}

/// Who carries the file.
struct Carrier {
    address: SocketAddr,
    user: User,
}

impl Carrier {
    /// Uploads a file of this size; where it is.
    async fn upload(&self, bytes: u64) -> Result<String> {
        let mut client = Client::connect(self.address).await?;
        let head = format!(
            "POST /_matrix/media/v3/upload?filename=large HTTP/1.1\r\nHost: localhost\r\n\
             Authorization: Bearer {}\r\nContent-Type: application/octet-stream\r\n\
             Content-Length: {bytes}\r\n\r\n",
            self.user.token,
        );
        client.send(head.as_bytes()).await?;
        let mut at = 0;
        while at < bytes {
            let piece = piece(at, bytes);
            at = at.saturating_add(u64::try_from(piece.len())?);
            client.send(&piece).await?;
        }
        let answer = accepted(client.receive().await?, "an upload")?;
        let answer: Value = serde_json::from_slice(&answer.body)?;
        let uri = answer.get("content_uri").and_then(Value::as_str);
        let place = uri.and_then(|uri| uri.strip_prefix("mxc://"));
        Ok(place.context("an upload without an address")?.to_owned())
    }

    /// Downloads the file or a range of it (the second end excluded), and compares every byte.
    async fn download(&self, file: &str, size: u64, range: Option<(u64, u64)>) -> Result<()> {
        let mut client = Client::connect(self.address).await?;
        let (start, end) = range.unwrap_or((0, size));
        let asked = match range {
            Some(_) => format!("Range: bytes={start}-{}\r\n", end.saturating_sub(1)),
            None => String::new(),
        };
        let head = format!(
            "GET /_matrix/client/v1/media/download/{file} HTTP/1.1\r\nHost: localhost\r\n\
             Authorization: Bearer {}\r\n{asked}\r\n",
            self.user.token,
        );
        client.send(head.as_bytes()).await?;
        let (mut at, mut same, mut wanted) = (start, true, Vec::new());
        let (status, read) = client
            .receive_pieces(|bytes| {
                for byte in bytes {
                    if wanted.is_empty() {
                        wanted = piece(at, size);
                        wanted.reverse();
                    }
                    same &= wanted.pop() == Some(*byte);
                    at = at.saturating_add(1);
                }
            })
            .await?;
        let expected = if range.is_some() { 206 } else { 200 };
        ensure!(status == expected, "a download was answered with {status}");
        ensure!(read == end.saturating_sub(start), "a download has {read} bytes");
        ensure!(same, "a download holds other bytes than the upload");
        Ok(())
    }
}

/// The bytes of the file from a place to the end of the piece it is in. Each piece differs.
fn piece(at: u64, size: u64) -> Vec<u8> {
    let length = u64::try_from(PIECE_BYTES).unwrap_or(u64::MAX);
    let number = at / length;
    let end = number.saturating_add(1).saturating_mul(length).min(size);
    let mut state = number.wrapping_mul(0x9e37_79b9_7f4a_7c15) | 1;
    let mut bytes = Vec::with_capacity(PIECE_BYTES);
    let whole = usize::try_from(end - number * length).unwrap_or_default();
    while bytes.len() < whole {
        state ^= state << 13;
        state ^= state >> 7;
        state ^= state << 17;
        bytes.extend_from_slice(&state.to_le_bytes());
    }
    bytes.truncate(whole);
    bytes.drain(..usize::try_from(at - number * length).unwrap_or_default());
    bytes
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_file_is_the_same_from_wherever_it_is_read() {
        let size = 700_001;
        let whole: Vec<u8> =
            [0, 262_144, 524_288].into_iter().flat_map(|at| piece(at, size)).collect();
        assert_eq!(u64::try_from(whole.len()).unwrap(), size);
        for at in [1, 262_143, 262_145, 600_000, 700_000] {
            assert!(whole[usize::try_from(at).unwrap()..].starts_with(&piece(at, size)), "{at}");
        }
    }
}
