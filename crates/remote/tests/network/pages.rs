//! The web is reached over the same walls as other servers, with doors of its own for each purpose.

use std::{
    net::{IpAddr, Ipv4Addr},
    sync::Arc,
    time::Duration,
};

use bytes::Bytes;
use http::{HeaderMap, Method};
use tokio::{
    io::{AsyncReadExt, AsyncWriteExt},
    net::TcpListener,
};
use vestibule_remote::{
    Network, NetworkOptions, Reply, TransportError, Web, WebPurpose, WebRequest,
};
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

/// The web for a purpose, with the networks that are open for it.
fn web(purpose: WebPurpose, allowed: &[&str]) -> Web {
    let zone = Zone::default();
    zone.lead("inner.test", IpAddr::V4(Ipv4Addr::LOCALHOST));
    let networks: Vec<_> = allowed.iter().map(|net| net.parse().unwrap()).collect();
    let open = |whose| if purpose == whose { networks.clone() } else { Vec::new() };
    let test = environment(3);
    let network = Network::new(NetworkOptions {
        names: Arc::new(zone),
        allowed_networks: open(WebPurpose::Servers),
        gateway_networks: open(WebPurpose::Gateways),
        page_networks: open(WebPurpose::Pages),
        ..NetworkOptions::new(test.environment.clone())
    });
    Web::over(Arc::new(network.unwrap()), test.environment, purpose, true)
}

fn request(address: &str) -> WebRequest {
    WebRequest {
        method: Method::GET,
        url: address.parse().unwrap(),
        headers: HeaderMap::new(),
        body: Bytes::new(),
        answer_bytes_max: 10,
        time_max: Duration::from_mins(1),
    }
}

async fn get(allowed: &[&str], address: &str) -> Result<(Reply, bool), TransportError> {
    web(WebPurpose::Pages, allowed).beginning(request(address)).await
}

#[tokio::test]
async fn a_page_is_read_up_to_its_bound() {
    let port = serving("HTTP/1.1 200 OK\r\ncontent-length: 16\r\n\r\n0123456789abcdef").await;
    let address = format!("http://inner.test:{port}/page");
    let (reply, cut) = get(&["127.0.0.0/8"], &address).await.unwrap();
    assert_eq!((&*reply.body, cut), (&b"0123456789"[..], true));
    // Who asks for all of it is told that there is too much, before and while it is read.
    let web = web(WebPurpose::Pages, &["127.0.0.0/8"]);
    for answer in [web.send(request(&address)).await.map(|_| ()), {
        let reply = web.open(request(&address)).await.unwrap();
        reply.whole(usize::MAX).await.map(|_| ())
    }] {
        let Err(TransportError::BadAnswer(reason)) = answer else { panic!("{answer:?}") };
        assert_eq!(reason, "more than 10 bytes");
    }
}

#[tokio::test]
async fn a_redirect_is_an_answer() {
    let answer = "HTTP/1.1 302 Found\r\nlocation: /on\r\ncontent-length: 0\r\n\r\n";
    let port = serving(answer).await;
    let (reply, cut) =
        get(&["127.0.0.0/8"], &format!("http://127.0.0.1:{port}/page")).await.unwrap();
    assert_eq!(
        (reply.status.as_u16(), &reply.headers["location"], cut),
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

#[tokio::test]
async fn a_network_that_is_open_for_one_purpose_is_closed_for_the_others() {
    let port = serving("HTTP/1.1 200 OK\r\ncontent-length: 0\r\n\r\n").await;
    let address = format!("http://inner.test:{port}/page");
    let zone = Zone::default();
    zone.lead("inner.test", IpAddr::V4(Ipv4Addr::LOCALHOST));
    let test = environment(3);
    let network = Network::new(NetworkOptions {
        names: Arc::new(zone),
        gateway_networks: vec!["127.0.0.0/8".parse().unwrap()],
        ..NetworkOptions::new(test.environment.clone())
    });
    let network = Arc::new(network.unwrap());
    let over = |purpose| Web::over(network.clone(), test.environment.clone(), purpose, true);
    // The connection that this one leaves open is not used by the others.
    over(WebPurpose::Gateways).send(request(&address)).await.unwrap();
    for purpose in [WebPurpose::Servers, WebPurpose::Pages] {
        let refused = over(purpose).send(request(&address)).await;
        assert!(matches!(refused, Err(TransportError::Refused)), "{purpose:?}: {refused:?}");
    }
}

#[tokio::test]
async fn without_leave_nothing_is_sent_in_the_clear() {
    let test = environment(3);
    let network = Network::new(NetworkOptions::new(test.environment.clone())).unwrap();
    let web = Web::over(Arc::new(network), test.environment, WebPurpose::Gateways, false);
    assert_eq!(web.path_of("https://push.test/notify").as_deref(), Some("/notify"));
    for address in ["http://push.test/notify", "https://me@push.test/notify", "push.test/notify"] {
        assert_eq!(web.path_of(address), None, "{address}");
    }
    let refused = web.send(request("http://push.test/page")).await;
    assert!(matches!(refused, Err(TransportError::Unreachable(_))), "{refused:?}");
}
