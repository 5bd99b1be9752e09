//! The listener over real sockets: proxies, TLS and its reload, Unix sockets, bounds, stopping.

use std::{fs, os::unix::fs::PermissionsExt, path::Path, sync::Arc, time::Duration};

use crate::support::{Server, answer, connect_unix, exchange, unix};
use rustls::{ClientConfig, RootCertStore, pki_types::ServerName};
use tokio::{
    io::{AsyncReadExt, AsyncWriteExt},
    net::TcpStream,
    time::timeout,
};
use tokio_rustls::{TlsConnector, client::TlsStream};
use vestibule_http::{Certificates, ListenerOptions};

fn plain() -> ListenerOptions {
    ListenerOptions::new("127.0.0.1:0".parse().unwrap())
}

#[tokio::test]
async fn forwarded_addresses_count_only_from_trusted_proxies() {
    let forwarded = "x-forwarded-for: 6.6.6.6, 198.51.100.7\r\n";
    let trusting = Server::start().await;
    let seen = trusting.send("GET", "/test/whence", forwarded, "").await;
    assert_eq!(seen.json()["address"], "198.51.100.7");
    let options = ListenerOptions { trusted_proxies: Some(Vec::new()), ..plain() };
    let wary = Server::start_with(options).await;
    let seen = wary.send("GET", "/test/whence", forwarded, "").await;
    assert_eq!(seen.json()["address"], "127.0.0.1");
}

#[tokio::test]
async fn a_unix_socket_is_for_its_owner_and_leaves_no_file_behind() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("admin.sock");
    let server = Server::start_with(unix(path.clone())).await;
    assert_eq!(fs::metadata(&path).unwrap().permissions().mode() & 0o777, 0o600);
    let io = connect_unix(&path).await.unwrap();
    assert_eq!(exchange(io, "GET", "/test/whence", "", "").await.status, 200);
    server.stop().await;
    assert!(fs::read_dir(folder.path()).unwrap().next().is_none());
}

#[tokio::test]
async fn a_unix_socket_in_a_folder_with_a_long_name_is_reached_all_the_same() {
    let top = tempfile::tempdir().unwrap();
    let folder = top.path().join("n".repeat(120)).join("m".repeat(120));
    fs::create_dir_all(&folder).unwrap();
    let path = folder.join("admin.sock");
    // One that was left by a killed process is in nobody's way either.
    for _ in 0..2 {
        let server = Server::start_with(unix(path.clone())).await;
        assert_eq!(fs::metadata(&path).unwrap().permissions().mode() & 0o777, 0o600);
        let second = vestibule_http::Listener::bind(unix(path.clone())).await;
        assert_eq!(second.unwrap_err().kind(), std::io::ErrorKind::AddrInUse);
        let io = vestibule_http::connect_unix(&path).await.unwrap();
        assert_eq!(exchange(io, "GET", "/test/whence", "", "").await.status, 200);
        server.stop().await;
        assert!(fs::read_dir(&folder).unwrap().next().is_none());
        std::os::unix::net::UnixListener::bind(top.path().join("left")).unwrap();
        fs::rename(top.path().join("left"), &path).unwrap();
    }
}

#[tokio::test]
async fn a_dead_socket_is_replaced_and_a_live_one_is_not() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("admin.sock");
    drop(std::os::unix::net::UnixListener::bind(&path).unwrap());
    let server = Server::start_with(unix(path.clone())).await;
    let second = vestibule_http::Listener::bind(unix(path.clone())).await;
    assert_eq!(second.unwrap_err().kind(), std::io::ErrorKind::AddrInUse);
    assert!(connect_unix(&path).await.is_ok());
    server.stop().await;
}

#[tokio::test]
async fn stopping_finishes_what_is_under_way_and_takes_nothing_new() {
    let server = Server::start().await;
    let address = server.address.unwrap();
    let mut busy = server.connect().await;
    busy.write_all(b"GET /test/slow HTTP/1.1\r\nhost: t\r\n\r\n").await.unwrap();
    let mut idle = server.connect().await;
    server.has_begun(1).await;
    timeout(Duration::from_secs(20), server.stop()).await.expect("stops soon");
    assert_eq!(answer(busy).await.status, 200);
    assert_eq!(idle.read(&mut [0; 16]).await.unwrap_or(0), 0);
    assert!(TcpStream::connect(address).await.is_err());
}

#[tokio::test]
async fn stopping_does_not_wait_for_ever() {
    let drain = Duration::from_millis(50);
    let server = Server::start_with(ListenerOptions { drain, ..plain() }).await;
    let mut busy = server.connect().await;
    busy.write_all(b"GET /test/endless HTTP/1.1\r\nhost: t\r\n\r\n").await.unwrap();
    server.has_begun(1).await;
    timeout(Duration::from_secs(20), server.stop()).await.expect("stops without the answer");
    assert_eq!(busy.read(&mut [0; 16]).await.unwrap_or(0), 0);
}

#[tokio::test]
async fn more_connections_than_allowed_wait_their_turn() {
    let server = Server::start_with(ListenerOptions { connections_max: 2, ..plain() }).await;
    let first = server.connect().await;
    let second = server.connect().await;
    tokio::time::sleep(Duration::from_millis(100)).await;
    let mut third = server.connect().await;
    let request = b"GET /test/whence HTTP/1.1\r\nhost: t\r\nconnection: close\r\n\r\n";
    third.write_all(request).await.unwrap();
    let early = timeout(Duration::from_millis(200), third.read(&mut [0; 16])).await;
    assert!(early.is_err(), "served beyond the bound");
    drop((first, second));
    assert_eq!(answer(third).await.status, 200);
}

#[tokio::test]
async fn heads_larger_than_the_bound_are_refused() {
    let server = Server::start().await;
    let headers = format!("x-padding: {}\r\n", "x".repeat(40_000));
    assert_eq!(server.send("GET", "/test/whence", &headers, "").await.status, 431);
}

#[tokio::test]
async fn heads_that_never_end_are_hung_up_on() {
    let head_patience = Duration::from_millis(200);
    let server = Server::start_with(ListenerOptions { head_patience, ..plain() }).await;
    let mut slow = server.connect().await;
    slow.write_all(b"GET /test/whence HTTP/1.1\r\nhost: t\r\nx-slow: ").await.unwrap();
    let mut silent = server.connect().await;
    let mut rest = Vec::new();
    for io in [&mut slow, &mut silent] {
        let ended = timeout(Duration::from_secs(5), io.read_to_end(&mut rest)).await;
        assert!(ended.is_ok(), "still connected");
    }
    // What a handler takes its time for is not the client's doing.
    assert_eq!(server.send("GET", "/test/slow", "", "").await.status, 200);
}

#[tokio::test]
async fn several_requests_share_a_connection() {
    let server = Server::start().await;
    let mut io = server.connect().await;
    io.write_all(b"GET /test/whence HTTP/1.1\r\nhost: t\r\n\r\n").await.unwrap();
    let mut buffer = [0; 2_048];
    let read = io.read(&mut buffer).await.unwrap();
    assert!(buffer[..read].starts_with(b"HTTP/1.1 200"));
    assert_eq!(exchange(io, "GET", "/test/whence", "", "").await.status, 200);
}

/// Writes a fresh self-signed certificate and its key.
fn write_certificate(folder: &Path) -> rustls::pki_types::CertificateDer<'static> {
    let made = rcgen::generate_simple_self_signed(vec!["home.test".to_owned()]).unwrap();
    fs::write(folder.join("cert.pem"), made.cert.pem()).unwrap();
    fs::write(folder.join("key.pem"), made.signing_key.serialize_pem()).unwrap();
    made.cert.der().clone()
}

async fn shake_hands(
    server: &Server,
    trusted: &rustls::pki_types::CertificateDer<'static>,
    protocols: &[&[u8]],
) -> std::io::Result<TlsStream<TcpStream>> {
    let mut roots = RootCertStore::empty();
    roots.add(trusted.clone()).unwrap();
    let mut config = ClientConfig::builder().with_root_certificates(roots).with_no_client_auth();
    config.alpn_protocols = protocols.iter().map(|name| name.to_vec()).collect();
    let name = ServerName::try_from("home.test").unwrap();
    TlsConnector::from(Arc::new(config)).connect(name, server.connect().await).await
}

#[tokio::test]
async fn tls_certificates_are_replaced_while_running_and_bad_ones_are_not_taken() {
    let folder = tempfile::tempdir().unwrap();
    let first = write_certificate(folder.path());
    let (cert, key) = (folder.path().join("cert.pem"), folder.path().join("key.pem"));
    let certificates = Certificates::open(&cert, &key).unwrap();
    let options = ListenerOptions { tls: Some(Arc::clone(&certificates)), ..plain() };
    let server = Server::start_with(options).await;

    let io = shake_hands(&server, &first, &[]).await.unwrap();
    assert_eq!(exchange(io, "GET", "/test/whence", "", "").await.status, 200);

    fs::write(&key, "nonsense").unwrap();
    assert!(certificates.reload().is_err());
    assert!(shake_hands(&server, &first, &[]).await.is_ok(), "the old ones stay");

    let second = write_certificate(folder.path());
    certificates.reload().unwrap();
    assert!(shake_hands(&server, &second, &[]).await.is_ok());
    assert!(shake_hands(&server, &first, &[]).await.is_err());
}

#[tokio::test]
async fn http_2_is_spoken_where_it_was_negotiated() {
    let folder = tempfile::tempdir().unwrap();
    let certificate = write_certificate(folder.path());
    let (cert, key) = (folder.path().join("cert.pem"), folder.path().join("key.pem"));
    let tls = Some(Certificates::open(&cert, &key).unwrap());
    let server = Server::start_with(ListenerOptions { tls, ..plain() }).await;
    let io = shake_hands(&server, &certificate, &[b"h2", b"http/1.1"]).await.unwrap();
    assert_eq!(io.get_ref().1.alpn_protocol(), Some(&b"h2"[..]));

    let executor = hyper_util::rt::TokioExecutor::new();
    let io = hyper_util::rt::TokioIo::new(io);
    let (mut sender, connection) =
        hyper::client::conn::http2::handshake(executor, io).await.unwrap();
    let tasks = tokio_util::task::TaskTracker::new();
    tasks.spawn(connection);
    let request = http::Request::get("https://home.test/test/whence")
        .body(axum::body::Body::empty())
        .unwrap();
    assert_eq!(sender.send_request(request).await.unwrap().status(), 200);
}

#[tokio::test]
async fn a_certificate_and_a_foreign_key_are_refused_with_the_file_named() {
    let folder = tempfile::tempdir().unwrap();
    write_certificate(folder.path());
    let cert = folder.path().join("cert.pem");
    let kept = fs::read(&cert).unwrap();
    write_certificate(folder.path());
    fs::write(&cert, kept).unwrap();
    let error = Certificates::open(&cert, &folder.path().join("key.pem")).unwrap_err();
    assert!(error.to_string().contains("cert.pem"), "{error}");
    let error = Certificates::open(&cert, &folder.path().join("none.pem")).unwrap_err();
    assert!(error.to_string().contains("none.pem"), "{error}");
}
