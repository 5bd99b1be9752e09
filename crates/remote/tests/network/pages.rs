//! The web is reached over the same walls as other servers.

use std::{
    net::{IpAddr, Ipv4Addr},
    sync::Arc,
};

use tokio::{
    io::{AsyncReadExt, AsyncWriteExt},
    net::TcpListener,
};
use vestibule_remote::{PageNetwork, PageReply, PageRequest, Pages, TransportError, WebOptions};
use vestibule_testkit::environment;

use crate::scene::Zone;

/// A web server that gives everybody this answer; its port.
async fn serving(answer: &'static str) -> u16 {
    let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).await.unwrap();
    let port = listener.local_addr().unwrap().port();
    let serve = async move {
        while let Ok((mut stream, _)) = listener.accept().await {
            let mut request = [0; 4_096];
            let read = stream.read(&mut request).await.unwrap();
            assert!(request.get(..read).unwrap().starts_with(b"GET /page HTTP/1.1\r\n"));
            stream.write_all(answer.as_bytes()).await.unwrap();
        }
    };
    environment(3).environment.spawner.spawn("a web server", Box::pin(serve));
    port
}

async fn get(allowed: &[&str], address: &str) -> Result<PageReply, TransportError> {
    let zone = Zone::default();
    zone.lead("inner.test", IpAddr::V4(Ipv4Addr::LOCALHOST));
    let web = PageNetwork::new(WebOptions {
        names: Arc::new(zone),
        allowed_networks: allowed.iter().map(|net| net.parse().unwrap()).collect(),
        plain: true,
        ..WebOptions::new(environment(3).environment)
    });
    let request = PageRequest {
        uri: address.parse().unwrap(),
        accept: "text/html",
        accept_language: None,
        bytes_max: 10,
    };
    web.unwrap().get(request).await
}

#[tokio::test]
async fn a_page_is_read_up_to_its_bound() {
    let port = serving("HTTP/1.1 200 OK\r\ncontent-length: 16\r\n\r\n0123456789abcdef").await;
    let reply = get(&["127.0.0.0/8"], &format!("http://inner.test:{port}/page")).await.unwrap();
    assert_eq!((&*reply.body, reply.cut), (&b"0123456789"[..], true));
}

#[tokio::test]
async fn a_redirect_is_an_answer() {
    let answer = "HTTP/1.1 302 Found\r\nlocation: /on\r\ncontent-length: 0\r\n\r\n";
    let port = serving(answer).await;
    let reply = get(&["127.0.0.0/8"], &format!("http://127.0.0.1:{port}/page")).await.unwrap();
    assert_eq!(
        (reply.status.as_u16(), &reply.headers["location"], reply.cut),
        (302, &"/on".parse().unwrap(), false)
    );
}

#[tokio::test]
async fn private_addresses_are_refused_however_they_are_written() {
    let port = serving("HTTP/1.1 200 OK\r\ncontent-length: 0\r\n\r\n").await;
    for host in ["127.0.0.1", "inner.test", "[::ffff:127.0.0.1]", "[::1]"] {
        for scheme in ["http", "https"] {
            let refused = get(&[], &format!("{scheme}://{host}:{port}/page")).await;
            assert!(matches!(refused, Err(TransportError::Refused)), "{scheme} {host}");
        }
    }
}
