//! Mail, from a client's wish to a mail server over a socket.

use serde_json::{Value, json};
use tokio::{
    io::{AsyncBufReadExt, AsyncWriteExt, BufReader},
    net::{TcpListener, TcpStream},
    sync::mpsc,
};
use vestibule_testkit::server::{Blueprint, PASSWORD, TestServer};

/// A mail server that takes everything and hands it on, after it refused so many connections.
#[expect(
    clippy::disallowed_methods,
    reason = "the mail server is not part of the server under test"
)]
async fn mail_server(mut refusals: usize) -> (u16, mpsc::UnboundedReceiver<String>) {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let port = listener.local_addr().unwrap().port();
    let (taken, letters) = mpsc::unbounded_channel();
    tokio::spawn(async move {
        while let Ok((stream, _)) = listener.accept().await {
            let greeting = if refusals > 0 { "421 later\r\n" } else { "220 mail.test\r\n" };
            refusals = refusals.saturating_sub(1);
            if let Some(letter) = converse(stream, greeting).await
                && taken.send(letter).is_err()
            {
                break;
            }
        }
    });
    (port, letters)
}

/// One conversation (RFC 5321); the envelope and the text of its mail.
async fn converse(stream: TcpStream, greeting: &str) -> Option<String> {
    let (read, mut write) = stream.into_split();
    let mut lines = BufReader::new(read).lines();
    write.write_all(greeting.as_bytes()).await.ok()?;
    let mut letter = String::new();
    while let Some(line) = lines.next_line().await.ok()? {
        let answer = match line.split(' ').next().unwrap_or_default() {
            "DATA" => {
                write.write_all(b"354 go on\r\n").await.ok()?;
                while let Some(line) = lines.next_line().await.ok()? {
                    if line == "." {
                        break;
                    }
                    letter.push_str(&line);
                    letter.push('\n');
                }
                write.write_all(b"250 taken\r\n").await.ok()?;
                return Some(letter);
            }
            "RCPT" => {
                letter.push_str(&line);
                letter.push('\n');
                "250 ok\r\n"
            }
            _ => "250 ok\r\n",
        };
        write.write_all(answer.as_bytes()).await.ok()?;
    }
    None
}

async fn server_with_mail(port: u16) -> TestServer {
    Blueprint::default()
        .set("email__from", "House <noreply@localhost>")
        .set("email__server", "127.0.0.1")
        .set("email__port", &port.to_string())
        .set("email__tls", "none")
        .set("email__link_base", "http://link.test")
        .start()
        .await
}

fn wanted() -> Value {
    json!({ "client_secret": "s", "email": "alice@b.example", "send_attempt": 1 })
}

/// The path of the link in a mail, put together again where its lines were broken.
fn link(letter: &str) -> String {
    let letter = letter.replace("=\n", "").replace("=3D", "=");
    let begin = letter.find("http://link.test").unwrap() + "http://link.test".len();
    letter[begin..].split_whitespace().next().unwrap().to_owned()
}

#[tokio::test]
async fn a_link_reaches_the_mailbox_and_adds_the_address() {
    let (port, mut letters) = mail_server(0).await;
    let server = server_with_mail(port).await;
    let alice = server.register("alice").await;
    let threepid = "/_matrix/client/v3/account/3pid";
    let path = format!("{threepid}/email/requestToken");
    let asked = server.http().post(&path, &wanted()).await.ok();
    let letter = letters.recv().await.unwrap();
    assert!(letter.starts_with("RCPT TO:<alice@b.example>"), "{letter}");
    for line in ["From: House <noreply@localhost>", "Auto-Submitted: auto-generated", "Date: "] {
        assert!(letter.lines().any(|it| it.starts_with(line)), "{line} in {letter}");
    }
    assert_eq!(server.http().post(&link(&letter), &json!({})).await.status, 200);
    let body = json!({
        "sid": asked["sid"], "client_secret": "s",
        "auth": { "type": "m.login.password", "user": "alice", "password": PASSWORD },
    });
    alice.http().post(&format!("{threepid}/add"), &body).await.ok();
    let listed = alice.http().get(threepid).await.ok();
    assert_eq!(listed["threepids"][0]["address"], "alice@b.example");
}

#[tokio::test]
async fn mail_outlives_a_mail_server_that_was_away_for_a_moment() {
    let (port, mut letters) = mail_server(1).await;
    let server = server_with_mail(port).await;
    let path = "/_matrix/client/v3/register/email/requestToken";
    server.http().post(path, &wanted()).await.ok();
    let letter = letters.recv().await.unwrap();
    assert!(letter.contains("to make an account"), "{letter}");
}
