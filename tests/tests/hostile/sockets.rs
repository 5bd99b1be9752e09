//! The federation listener over real sockets: whoever sends slowly, for ever or nonsense is held to its
//! bounds, and nobody else notices.

#![expect(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::indexing_slicing,
    reason = "helpers of tests fail the test that called them"
)]

use std::{net::SocketAddr, time::Duration};

use serde_json::json;
use tokio::{
    io::{AsyncReadExt, AsyncWriteExt},
    net::TcpStream,
    time::timeout,
};
use vestibule_testkit::server::{Blueprint, Network, PretendServer, TestServer};
use vestibule_types::limits::{HEAD_BYTES_MAX, TRANSACTION_BYTES_MAX};

/// Long enough for a busy machine, short enough to tell an answer from a hung connection.
const SOON: Duration = Duration::from_secs(20);
const SEND: &str = "PUT /_matrix/federation/v1/send/1 HTTP/1.1\r\nhost: a.example\r\n";
/// Well formed, and signed by nobody.
const CREDENTIALS: &str = "authorization: X-Matrix origin=\"p.example\",destination=\"a.example\",\
    key=\"ed25519:p\",sig=\"AAAA\"\r\n";

async fn start() -> (TestServer, SocketAddr) {
    let listener = "[[listener]]\nbind = \"127.0.0.1:0\"\nserves = [\"federation\"]\n";
    let server = Blueprint::default().on(&Network::new(), "a.example").with(listener);
    let server = server.start().await;
    let address = *server.running().addresses().last().unwrap();
    (server, address)
}

/// The same, and credentials of a server whose key can be had: only then its body is read at all.
async fn start_with_a_peer() -> (TestServer, SocketAddr, String) {
    let network = Network::new();
    let listener = "[[listener]]\nbind = \"127.0.0.1:0\"\nserves = [\"federation\"]\n";
    let server = Blueprint::default().on(&network, "a.example").with(listener).start().await;
    let address = *server.running().addresses().last().unwrap();
    let peer = PretendServer::on(&network, "p.example");
    let line = (&http::Method::PUT, "/_matrix/federation/v1/send/1");
    let credentials = peer.authorization(server.running().server_name(), line, Some(&json!({})));
    (server, address, format!("authorization: {credentials}\r\n"))
}

/// Status and body of what comes back; status 0 when the connection ends without a word.
async fn read(io: &mut TcpStream) -> (u16, String) {
    let mut bytes = Vec::new();
    let mut chunk = [0; 4_096];
    loop {
        let text = String::from_utf8_lossy(&bytes).into_owned();
        if let Some((head, body)) = text.split_once("\r\n\r\n") {
            let wanted = head.to_ascii_lowercase();
            let wanted = wanted.split("content-length: ").nth(1).and_then(|it| it.lines().next());
            let wanted: usize = wanted.and_then(|it| it.trim().parse().ok()).unwrap_or(0);
            if body.len() >= wanted {
                let status = head.split(' ').nth(1).and_then(|it| it.parse().ok());
                return (status.unwrap_or(0), body.to_owned());
            }
        }
        match timeout(SOON, io.read(&mut chunk)).await.expect("an answer, or the end") {
            Ok(count) if count > 0 => bytes.extend_from_slice(&chunk[..count]),
            _ => return (0, String::from_utf8_lossy(&bytes).into_owned()),
        }
    }
}

async fn is_well(address: SocketAddr) {
    let mut io = TcpStream::connect(address).await.unwrap();
    let request = b"GET /_matrix/federation/v1/version HTTP/1.1\r\nhost: a.example\r\n\r\n";
    io.write_all(request).await.unwrap();
    assert_eq!(read(&mut io).await.0, 200);
}

#[tokio::test]
async fn a_body_that_never_ends_is_refused_at_the_bound() {
    let (_server, address, credentials) = start_with_a_peer().await;
    let mut io = TcpStream::connect(address).await.unwrap();
    let head = format!("{SEND}{credentials}transfer-encoding: chunked\r\n\r\n");
    io.write_all(head.as_bytes()).await.unwrap();
    let (mut reading, mut writing) = io.into_split();
    let chunk = format!("10000\r\n{}\r\n", " ".repeat(0x1_0000));
    let flood = async {
        let mut sent = 0;
        while sent < 4 * TRANSACTION_BYTES_MAX && writing.write_all(chunk.as_bytes()).await.is_ok()
        {
            sent += 0x1_0000;
        }
        sent
    };
    let answered = async {
        let mut start = [0; 12];
        reading.read_exact(&mut start).await.map(|_| start)
    };
    let (sent, start) = timeout(SOON, async { tokio::join!(flood, answered) }).await.unwrap();
    // The answer may be lost when the connection is closed on a flood; then the flood was cut short.
    match start {
        Ok(start) => assert_eq!(&start, b"HTTP/1.1 413"),
        Err(_) => assert!(sent < 4 * TRANSACTION_BYTES_MAX, "{sent} bytes were taken"),
    }
    is_well(address).await;
}

#[tokio::test]
async fn a_body_announced_too_large_is_not_waited_for() {
    let (_server, address, credentials) = start_with_a_peer().await;
    let mut io = TcpStream::connect(address).await.unwrap();
    let bytes = TRANSACTION_BYTES_MAX + 1;
    let head = format!("{SEND}{credentials}content-length: {bytes}\r\n\r\n{{");
    io.write_all(head.as_bytes()).await.unwrap();
    let (status, body) = read(&mut io).await;
    assert_eq!(status, 413, "{body}");
    assert!(body.contains("M_TOO_LARGE"), "{body}");
}

#[tokio::test]
async fn nobody_reads_the_body_of_who_does_not_even_claim_a_name() {
    let (_server, address) = start().await;
    let mut io = TcpStream::connect(address).await.unwrap();
    let head = format!("{SEND}content-length: 1000000\r\n\r\n");
    io.write_all(head.as_bytes()).await.unwrap();
    let (status, body) = read(&mut io).await;
    assert_eq!(status, 401, "{body}");
    assert!(body.contains("M_UNAUTHORIZED"), "{body}");
}

#[tokio::test]
async fn many_slow_senders_keep_nobody_from_being_served() {
    let (_server, address) = start().await;
    let mut slow = Vec::new();
    for number in 0..300 {
        let mut io = TcpStream::connect(address).await.unwrap();
        let piece = match number % 3 {
            0 => "P".to_owned(),
            1 => SEND.to_owned(),
            _ => format!("{SEND}{CREDENTIALS}content-length: 500\r\n\r\n{{\"pdus\": ["),
        };
        io.write_all(piece.as_bytes()).await.unwrap();
        slow.push(io);
    }
    timeout(SOON, is_well(address)).await.expect("served beside them");
}

#[tokio::test]
async fn nonsense_on_the_wire_is_refused_and_forgotten() {
    let (_server, address) = start().await;
    let long = "x".repeat(4 * HEAD_BYTES_MAX);
    let table = [
        "\0\0\0\0\0\0\0\0\r\n\r\n".to_owned(),
        "GET\r\n\r\n".to_owned(),
        "GET /%ff%00 HTTP/1.1\r\nhost: a\r\n\r\n".to_owned(),
        "PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n".to_owned(),
        "\u{16}\u{3}\u{1}\u{2}\0\u{1}\0\u{1}\u{fc}\u{3}\u{3}".to_owned() + "\r\n\r\n",
        format!("GET /{long} HTTP/1.1\r\nhost: a\r\n\r\n"),
        format!("{SEND}authorization: X-Matrix {long}\r\n\r\n"),
        format!("{SEND}authorization: X-Matrix origin=,key=,sig=\r\ncontent-length: 2\r\n\r\n{{}}"),
        format!("{SEND}{CREDENTIALS}{CREDENTIALS}content-length: 2\r\n\r\n{{}}"),
        format!("{SEND}{CREDENTIALS}content-length: 2\r\ncontent-length: 3\r\n\r\n{{}}"),
        format!("{SEND}{CREDENTIALS}transfer-encoding: chunked\r\n\r\nzz\r\n{{}}\r\n0\r\n\r\n"),
        format!("{SEND}{CREDENTIALS}content-length: 1\r\n\r\n{{"),
    ];
    for request in table {
        let mut io = TcpStream::connect(address).await.unwrap();
        io.write_all(request.as_bytes()).await.unwrap();
        let (status, body) = read(&mut io).await;
        let refused = status == 0 || (400..500).contains(&status);
        assert!(refused, "{status} {body} for {:?}", request.chars().take(60).collect::<String>());
    }
    is_well(address).await;
}
