//! What lies on the web and is no homeserver: reached with TLS or without, through the same walls.

use std::{net::SocketAddr, time::Duration};

use bytes::Bytes;
use http::{HeaderMap, Method};
use tokio::{
    io::{AsyncReadExt, AsyncWriteExt},
    net::TcpListener,
};
use vestibule_remote::{Reply, Transport, TransportError, WebPurpose, WebRequest};

use crate::{
    peer::page,
    scene::{Scene, refused, unreachable},
};

async fn fetch(scene: &mut Scene, url: &str) -> Result<Reply, TransportError> {
    let request = WebRequest {
        method: Method::GET,
        url: url.parse().unwrap(),
        headers: HeaderMap::new(),
        body: Bytes::new(),
        answer_bytes_max: 1_000,
        time_max: Duration::from_mins(1),
    };
    let reply = scene.network().fetch(request, WebPurpose::Servers).await?;
    reply.whole(1_000).await
}

#[tokio::test]
async fn a_page_is_fetched_over_tls() {
    let mut scene = Scene::new();
    let site = scene.website("id.test", |_| page(200, &[], "hello")).await;
    let reply = fetch(&mut scene, "https://id.test/_matrix/identity/v2?x=1").await.unwrap();
    assert_eq!((reply.status.as_u16(), &*reply.body), (200, &b"hello"[..]));
    let heard = site.only();
    assert_eq!((&*heard.host, heard.sni.as_deref()), ("id.test", Some("id.test")));
    assert_eq!(heard.path, "/_matrix/identity/v2?x=1");
}

#[tokio::test]
async fn a_redirect_is_an_answer() {
    let mut scene = Scene::new();
    let site =
        scene.website("id.test", |_| page(302, &[("location", "https://b.test/")], "")).await;
    assert_eq!(fetch(&mut scene, "https://id.test/").await.unwrap().status.as_u16(), 302);
    site.only();
}

#[tokio::test]
async fn a_page_is_fetched_without_tls_where_the_address_says_so() {
    let mut scene = Scene::new();
    let listener = TcpListener::bind(SocketAddr::new(scene.open_address(), 0)).await.unwrap();
    let socket = listener.local_addr().unwrap();
    let answer = async {
        let (mut tcp, _) = listener.accept().await.unwrap();
        let mut heard = vec![0; 1_000];
        let length = tcp.read(&mut heard).await.unwrap();
        tcp.write_all(b"HTTP/1.1 200 OK\r\ncontent-length: 2\r\n\r\nok").await.unwrap();
        String::from_utf8_lossy(heard.get(..length).unwrap()).into_owned()
    };
    let url = format!("http://{socket}/page");
    let (heard, reply) = tokio::join!(answer, fetch(&mut scene, &url));
    assert!(heard.starts_with("GET /page HTTP/1.1\r\n"), "{heard}");
    assert_eq!(&*reply.unwrap().body, b"ok");
}

#[tokio::test]
async fn nothing_behind_the_wall_is_fetched() {
    let mut scene = Scene::new();
    let address = crate::peer::address();
    let listener = TcpListener::bind(SocketAddr::new(address, 0)).await.unwrap();
    let socket = listener.local_addr().unwrap();
    scene.name("inner.test", &[address]);
    for host in [socket.to_string(), format!("inner.test:{}", socket.port())] {
        refused(fetch(&mut scene, &format!("http://{host}/")).await);
        refused(fetch(&mut scene, &format!("https://{host}/")).await);
    }
    unreachable(fetch(&mut scene, "http://somebody@inner.test/").await);
}
