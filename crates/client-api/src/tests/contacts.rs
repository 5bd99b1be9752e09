//! E-mail addresses: proving one, and what it is good for.

use std::{collections::VecDeque, time::Duration};

use parking_lot::Mutex;
use vestibule_accounts::{
    Assigner, EmailAtRegistration, EmailConfig, Letter, Post, PostError, Restrain, Restraint,
};
use vestibule_types::BoxFuture;

use super::*;

const ADD: &str = "/_matrix/client/v3/account/3pid/email/requestToken";
const RESET: &str = "/_matrix/client/v3/account/password/email/requestToken";
const REGISTER: &str = "/_matrix/client/v3/register/email/requestToken";
const PASSWORD: &str = "/_matrix/client/v3/account/password";
const THREEPIDS: &str = "/_matrix/client/v3/account/3pid";

/// A mail server that keeps what it is given, unless it is told to fail.
#[derive(Default)]
struct Mailbox {
    letters: Mutex<Vec<Letter>>,
    failures: Mutex<VecDeque<PostError>>,
}

impl Post for Mailbox {
    fn send<'a>(&'a self, letter: &'a Letter) -> BoxFuture<'a, Result<(), PostError>> {
        Box::pin(async move {
            let failure = self.failures.lock().pop_front();
            self.letters.lock().extend(failure.is_none().then(|| letter.clone()));
            failure.map_or(Ok(()), Err)
        })
    }
}

/// A server with a mailbox behind it.
struct Scene {
    server: Server,
    mailbox: Arc<Mailbox>,
}

fn scene() -> Scene {
    scene_with(EmailAtRegistration::Off)
}

fn scene_with(registration: EmailAtRegistration) -> Scene {
    let server = server_with(
        |_| {},
        |config| {
            config.registration.email = registration;
            config.email = Some(EmailConfig {
                link_base: "https://chat.a.example/".to_owned(),
                link_life: Duration::from_hours(1),
                next_link_hosts: vec!["app.a.example".to_owned()],
            });
        },
    );
    let mailbox = Arc::new(Mailbox::default());
    server.api.accounts.set_post(mailbox.clone());
    Scene { server, mailbox }
}

impl Scene {
    /// Asks for a mail and returns the session and the mails that were sent for it.
    async fn ask(&self, path: &str, body: Value) -> (String, Vec<Letter>) {
        let (status, body) = self.server.ask(Method::POST, path, body).await;
        assert_eq!(status, 200, "{body}");
        assert_eq!(body.get("submit_url"), None);
        (body["sid"].as_str().unwrap().to_owned(), self.letters().await)
    }

    async fn letters(&self) -> Vec<Letter> {
        self.server.api.accounts.send_waiting_mail().await.unwrap();
        std::mem::take(&mut *self.mailbox.letters.lock())
    }

    /// Opens a link of a mail and presses the button; the status and where it leads.
    async fn press(&self, link: &str) -> (u16, Option<String>) {
        let (status, page) = self.page(Method::POST, link).await;
        let next = page.split_once("<a href=\"").and_then(|(_, rest)| rest.split_once('"'));
        (status, next.map(|(next, _)| next.to_owned()))
    }

    /// A page behind a link of a mail.
    async fn page(&self, method: Method, link: &str) -> (u16, String) {
        let request = Request::builder().method(method).uri(link);
        let response = self.server.entrance.answer(request.body(Body::empty()).unwrap()).await;
        assert!(response.headers().get(header::LOCATION).is_none());
        let status = response.status().as_u16();
        let body = axum::body::to_bytes(response.into_body(), usize::MAX).await.unwrap();
        (status, String::from_utf8(body.to_vec()).unwrap())
    }

    /// Proves to have an address and returns the session.
    async fn prove(&self, path: &str, address: &str) -> String {
        let (sid, letters) = self.ask(path, wanted(address, 1)).await;
        assert_eq!(self.press(&link(&letters[0])).await, (200, None));
        sid
    }

    /// Gives somebody an address.
    async fn add(&self, who: &Person, address: &str) {
        let sid = self.prove(ADD, address).await;
        let (status, body) = self.server.post(&added(), who, proven(&sid, who)).await;
        assert_eq!(status, 200, "{body}");
    }

    async fn addresses(&self, who: &Person) -> Vec<String> {
        let (_, body) = self.server.get(THREEPIDS, who).await;
        let listed = body["threepids"].as_array().unwrap().iter();
        listed.map(|it| it["address"].as_str().unwrap().to_owned()).collect()
    }
}

fn added() -> String {
    format!("{THREEPIDS}/add")
}

fn wanted(address: &str, send_attempt: u8) -> Value {
    json!({ "client_secret": "s3cret", "email": address, "send_attempt": send_attempt })
}

/// The path of the link in a mail.
fn link(letter: &Letter) -> String {
    let begin = letter.text.find("https://chat.a.example/_matrix/").unwrap();
    let rest = letter.text[begin..].strip_prefix("https://chat.a.example").unwrap();
    rest.split_whitespace().next().unwrap().to_owned()
}

fn with_password(who: &Person) -> Value {
    json!({ "type": "m.login.password", "password": "tea", "user": who.user_id })
}

fn proven(sid: &str, who: &Person) -> Value {
    json!({ "sid": sid, "client_secret": "s3cret", "auth": with_password(who) })
}

fn by_email(sid: &str, client_secret: &str) -> Value {
    json!({
        "type": "m.login.email.identity",
        "threepid_creds": { "sid": sid, "client_secret": client_secret },
    })
}

#[tokio::test]
async fn an_address_is_added_once_its_link_was_opened_and_the_owner_proved_themselves() {
    let scene = scene();
    let alice = scene.server.person("alice").await;
    let (sid, letters) = scene.ask(ADD, wanted("Alice@B.Example", 1)).await;
    assert_eq!((letters.len(), letters[0].to.as_str()), (1, "alice@b.example"));
    let answer = scene.server.post(&added(), &alice, proven(&sid, &alice)).await;
    assert_eq!(error(answer), code(400, "M_THREEPID_AUTH_FAILED"), "nobody opened the link");
    // Who only looks at the page, as programs do that read mail, proves nothing.
    let looked = scene.server.ask(Method::GET, &link(&letters[0]), Value::Null).await;
    assert_eq!(looked.0, 200);
    let answer = scene.server.post(&added(), &alice, proven(&sid, &alice)).await;
    assert_eq!(error(answer), code(400, "M_THREEPID_AUTH_FAILED"));
    assert_eq!(scene.press(&link(&letters[0])).await.0, 200);
    assert_eq!(scene.press(&link(&letters[0])).await.0, 200, "twice is no mistake");
    let unproven = json!({ "sid": sid, "client_secret": "s3cret" });
    let (status, told) = scene.server.post(&added(), &alice, unproven).await;
    assert_eq!((status, &told["flows"]), (401, &json!([{ "stages": ["m.login.password"] }])));
    let mut foreign = proven(&sid, &alice);
    foreign["client_secret"] = json!("guessed");
    let answer = scene.server.post(&added(), &alice, foreign).await;
    assert_eq!(error(answer), code(400, "M_THREEPID_AUTH_FAILED"));
    assert_eq!(scene.server.post(&added(), &alice, proven(&sid, &alice)).await.0, 200);
    let (_, body) = scene.server.get(THREEPIDS, &alice).await;
    let now = vestibule_testkit::EPOCH_MS;
    let expected = json!({ "threepids": [{
        "medium": "email", "address": "alice@b.example", "validated_at": now, "added_at": now,
    }]});
    assert_eq!(body, expected);
    let answer = scene.server.post(&added(), &alice, proven(&sid, &alice)).await;
    assert_eq!(error(answer), code(400, "M_THREEPID_AUTH_FAILED"), "a proof is good once");
}

#[tokio::test]
async fn an_address_is_one_accounts_and_only_its_mail_says_so() {
    let scene = scene();
    let (alice, bob) = (scene.server.person("alice").await, scene.server.person("bob").await);
    let early = scene.prove(ADD, "alice@b.example").await;
    let mut again = wanted("alice@b.example", 1);
    again["client_secret"] = json!("other");
    let (second, letters) = scene.ask(ADD, again).await;
    assert_eq!(scene.press(&link(&letters[0])).await.0, 200);
    assert_eq!(scene.server.post(&added(), &alice, proven(&early, &alice)).await.0, 200);
    let mut body = proven(&second, &bob);
    body["client_secret"] = json!("other");
    let answer = scene.server.post(&added(), &bob, body).await;
    assert_eq!(error(answer), code(400, "M_THREEPID_IN_USE"));
    for path in [ADD, REGISTER] {
        let (_, letters) = scene.ask(path, wanted("alice@b.example", 2)).await;
        assert!(!letters[0].text.contains("https://"), "{}", letters[0].text);
        assert!(letters[0].text.contains("belongs to an account"), "{}", letters[0].text);
    }
    let (_, letters) = scene.ask(RESET, wanted("nobody@b.example", 1)).await;
    assert!(letters[0].text.contains("no account has this address"), "{}", letters[0].text);
}

#[tokio::test]
async fn an_address_logs_in_until_it_is_deleted() {
    let scene = scene();
    let alice = scene.server.person("alice").await;
    let log_in = async |identifier: Value| {
        let body = json!({
            "type": "m.login.password", "identifier": identifier, "password": "tea",
        });
        scene.server.ask(Method::POST, "/_matrix/client/v3/login", body).await
    };
    let typed =
        json!({ "type": "m.id.thirdparty", "medium": "email", "address": "Alice@b.example" });
    assert_eq!(error(log_in(typed.clone()).await), code(403, "M_FORBIDDEN"));
    scene.add(&alice, "alice@b.example").await;
    let (status, body) = log_in(typed.clone()).await;
    assert_eq!((status, &body["user_id"]), (200, &json!(alice.user_id)));
    let bare = json!({ "medium": "email", "address": "alice@b.example" });
    assert_eq!(log_in(bare).await.0, 200);
    let phone = json!({ "type": "m.id.phone", "country": "GB", "phone": "07700900000" });
    assert_eq!(error(log_in(phone).await), code(403, "M_FORBIDDEN"));
    let old = json!({
        "type": "m.login.password", "medium": "email", "address": "alice@b.example", "password": "tea",
    });
    let path = "/_matrix/client/v3/login";
    assert_eq!(scene.server.ask(Method::POST, path, old).await.0, 200);
    let delete = format!("{THREEPIDS}/delete");
    let body = json!({ "medium": "email", "address": "alice@b.example" });
    let none = json!({ "id_server_unbind_result": "no-support" });
    assert_eq!(scene.server.post(&delete, &alice, body.clone()).await, (200, none.clone()));
    assert_eq!(scene.server.post(&delete, &alice, body).await, (200, none));
    assert!(scene.addresses(&alice).await.is_empty());
    assert_eq!(error(log_in(typed).await), code(403, "M_FORBIDDEN"));
}

#[tokio::test]
async fn the_same_attempt_sends_nothing_and_the_next_replaces_the_link() {
    let scene = scene();
    let (first, letters) = scene.ask(ADD, wanted("a@b.example", 1)).await;
    let old = link(&letters[0]);
    let (again, letters) = scene.ask(ADD, wanted("a@b.example", 1)).await;
    assert_eq!((&again, letters.len()), (&first, 0));
    let (next, letters) = scene.ask(ADD, wanted("a@b.example", 2)).await;
    assert_eq!((&next, letters.len()), (&first, 1));
    assert_eq!(scene.press(&old).await.0, 404, "only the newest link counts");
    assert_eq!(scene.press(&link(&letters[0])).await.0, 200);
    let (other, letters) = scene.ask(ADD, wanted("c@b.example", 1)).await;
    assert_ne!(other, first);
    scene.server.time.clock.advance(Duration::from_hours(1));
    assert_eq!(scene.press(&link(&letters[0])).await.0, 404, "its time is over");
}

#[tokio::test]
async fn a_password_is_reset_by_an_address_of_the_account() {
    let scene = scene();
    let alice = scene.server.person("alice").await;
    scene.add(&alice, "alice@b.example").await;
    let reset = async |auth: Value| {
        let body = json!({ "new_password": "coffee", "auth": auth });
        scene.server.ask(Method::POST, PASSWORD, body).await
    };
    let body = json!({ "new_password": "coffee" });
    let (status, told) = scene.server.ask(Method::POST, PASSWORD, body).await;
    let flows = json!([{ "stages": ["m.login.email.identity"] }]);
    assert_eq!((status, &told["flows"]), (401, &flows));
    let (sid, letters) = scene.ask(RESET, wanted("alice@b.example", 1)).await;
    let early = reset(by_email(&sid, "s3cret")).await;
    assert_eq!(error(early), code(401, "M_THREEPID_AUTH_FAILED"));
    assert_eq!(scene.press(&link(&letters[0])).await.0, 200);
    assert_eq!(reset(by_email(&sid, "guessed")).await.0, 401);
    assert_eq!(reset(by_email(&sid, "s3cret")).await.0, 200);
    assert_eq!(scene.server.log_in("alice", "tea").await.0, 403);
    assert_eq!(scene.server.log_in("alice", "coffee").await.0, 200);
    let answer = scene.server.get(THREEPIDS, &alice).await;
    assert_eq!(error(answer), code(401, "M_UNKNOWN_TOKEN"), "every session ended");
    let replayed = reset(by_email(&sid, "s3cret")).await;
    assert_eq!(error(replayed), code(401, "M_THREEPID_AUTH_FAILED"), "a proof is good once");
}

#[tokio::test]
async fn a_proof_for_one_thing_is_none_for_another_and_none_for_somebody_else() {
    let scene = scene();
    let (alice, bob) = (scene.server.person("alice").await, scene.server.person("bob").await);
    let sid = scene.prove(ADD, "alice@b.example").await;
    assert_eq!(scene.server.post(&added(), &alice, proven(&sid, &alice)).await.0, 200);
    scene.add(&bob, "bob@b.example").await;
    let sid = scene.prove(RESET, "alice@b.example").await;
    let change = |auth: Value| json!({ "new_password": "coffee", "auth": auth });
    let answer = scene.server.post(PASSWORD, &bob, change(by_email(&sid, "s3cret"))).await;
    assert_eq!(error(answer), code(401, "M_THREEPID_AUTH_FAILED"));
    let sid = scene.prove(ADD, "new@b.example").await;
    let answer = scene.server.post(PASSWORD, &alice, change(by_email(&sid, "s3cret"))).await;
    assert_eq!(error(answer), code(401, "M_THREEPID_AUTH_FAILED"));
    let answer = scene.server.post(PASSWORD, &scene.server.guest().await, change(json!({}))).await;
    assert_eq!(error(answer), code(403, "M_GUEST_ACCESS_FORBIDDEN"));
}

#[tokio::test]
async fn registration_asks_for_an_address_where_it_must_and_offers_it_where_it_may() {
    let register = "/_matrix/client/v3/register";
    let email = "m.login.email.identity";
    let may = scene_with(EmailAtRegistration::Optional);
    let (_, told) = may.server.ask(Method::POST, register, json!({})).await;
    assert_eq!(told["flows"], json!([{ "stages": ["m.login.dummy"] }, { "stages": [email] }]));
    let scene = scene_with(EmailAtRegistration::Required);
    let (status, told) = scene.server.ask(Method::POST, register, json!({})).await;
    assert_eq!((status, &told["flows"]), (401, &json!([{ "stages": [email] }])));
    let sid = scene.prove(REGISTER, "carol@b.example").await;
    let body = |auth: Value| json!({ "username": "carol", "password": "tea", "auth": auth });
    let dummy = body(json!({ "type": "m.login.dummy" }));
    let answer = scene.server.ask(Method::POST, register, dummy).await;
    assert_eq!(error(answer), code(401, "M_UNRECOGNIZED"));
    let made = scene.server.ask(Method::POST, register, body(by_email(&sid, "s3cret"))).await;
    assert_eq!(made.0, 200, "{}", made.1);
    let carol = person_of(&made.1);
    assert_eq!(scene.addresses(&carol).await, ["carol@b.example"]);
}

#[tokio::test]
async fn a_server_without_mail_says_so() {
    let server = server();
    let alice = server.person("alice").await;
    let phone = json!({
        "client_secret": "s", "country": "GB", "phone_number": "07700900000", "send_attempt": 1,
    });
    let mail = wanted("a@b.example", 1);
    let denied = code(403, "M_THREEPID_DENIED");
    let unsupported = code(400, "M_THREEPID_MEDIUM_NOT_SUPPORTED");
    for (path, expected) in [(REGISTER, &denied), (RESET, &denied), (ADD, &unsupported)] {
        let answer = server.ask(Method::POST, path, mail.clone()).await;
        assert_eq!(&error(answer), expected, "{path}");
        let path = path.replace("/email/", "/msisdn/");
        let answer = server.ask(Method::POST, &path, phone.clone()).await;
        assert_eq!(&error(answer), expected, "{path}");
    }
    let answer = server.post(&added(), &alice, proven("x", &alice)).await;
    assert_eq!(error(answer), unsupported);
    let answer = server.ask(Method::POST, PASSWORD, json!({ "new_password": "x" })).await;
    assert_eq!(error(answer), code(401, "M_MISSING_TOKEN"));
    let (_, body) = server.get("/_matrix/client/v3/capabilities", &alice).await;
    assert_eq!(body["capabilities"]["m.3pid_changes"], json!({ "enabled": false }));
}

#[tokio::test]
async fn nothing_is_bound_to_an_identity_server() {
    let Scene { server, .. } = scene();
    let alice = server.person("alice").await;
    let info = json!({
        "client_secret": "s", "sid": "x", "id_server": "id.example", "id_access_token": "t",
    });
    let answer = server.post(&format!("{THREEPIDS}/bind"), &alice, info.clone()).await;
    assert_eq!(error(answer), code(400, "M_SERVER_NOT_TRUSTED"));
    let answer = server.post(THREEPIDS, &alice, json!({ "three_pid_creds": info })).await;
    assert_eq!(error(answer), code(403, "M_THREEPID_AUTH_FAILED"));
    let answer = server.post(THREEPIDS, &alice, json!({})).await;
    assert_eq!(error(answer), code(400, "M_BAD_JSON"));
    let body = json!({ "medium": "email", "address": "a@b.example" });
    let answer = server.post(&format!("{THREEPIDS}/unbind"), &alice, body).await;
    assert_eq!(answer, (200, json!({ "id_server_unbind_result": "no-support" })));
}

#[tokio::test]
async fn the_end_of_an_account_frees_its_addresses_and_a_suspended_one_keeps_them() {
    let scene = scene();
    let (alice, bob) = (scene.server.person("alice").await, scene.server.person("bob").await);
    scene.add(&alice, "alice@b.example").await;
    let user_id = alice.user_id.as_str().try_into().unwrap();
    let command = Restrain { user_id, restraint: Restraint::Suspension, on: true };
    scene.server.api.accounts.restrain(&Assigner::Operator, command).await.unwrap();
    let body = json!({ "medium": "email", "address": "alice@b.example" });
    let answer = scene.server.post(&format!("{THREEPIDS}/delete"), &alice, body).await;
    assert_eq!(error(answer), code(403, "M_USER_SUSPENDED"));
    assert_eq!(scene.addresses(&alice).await, ["alice@b.example"]);
    let end = json!({ "auth": with_password(&alice) });
    let ended = scene.server.post("/_matrix/client/v3/account/deactivate", &alice, end).await;
    assert_eq!(ended, (200, json!({ "id_server_unbind_result": "success" })));
    let mut again = wanted("alice@b.example", 3);
    again["client_secret"] = json!("bobs");
    let (sid, letters) = scene.ask(ADD, again).await;
    assert_eq!(scene.press(&link(&letters[0])).await.0, 200);
    let mut body = proven(&sid, &bob);
    body["client_secret"] = json!("bobs");
    assert_eq!(scene.server.post(&added(), &bob, body).await.0, 200);
}

#[tokio::test]
async fn people_are_sent_only_where_the_operator_lets_them() {
    let scene = scene();
    let with_next = |attempt, next: &str| {
        let mut body = wanted("a@b.example", attempt);
        body["next_link"] = json!(next);
        body
    };
    for bad in ["javascript:alert(1)", "https://app.a.example@evil.example/", "//evil.example"] {
        let answer = scene.server.ask(Method::POST, ADD, with_next(1, bad)).await;
        assert_eq!(error(answer), code(400, "M_INVALID_PARAM"), "{bad}");
    }
    let home = "https://app.a.example/welcome?x=y";
    let (_, letters) = scene.ask(ADD, with_next(1, home)).await;
    assert_eq!(scene.press(&link(&letters[0])).await, (200, Some(home.to_owned())));
    let (_, letters) = scene.ask(ADD, with_next(2, "https://evil.example/")).await;
    assert_eq!(scene.press(&link(&letters[0])).await, (200, None));
    let mut foreign = wanted("a@b.example", 3);
    foreign["client_secret"] = json!("s\u{e9}cret");
    let answer = scene.server.ask(Method::POST, ADD, foreign).await;
    assert_eq!(error(answer), code(400, "M_INVALID_PARAM"));
    for bad in ["a", "a@b\r\nBcc: c@d", "<a@b>", ""] {
        let answer = scene.server.ask(Method::POST, ADD, wanted(bad, 1)).await;
        assert_eq!(error(answer), code(400, "M_INVALID_PARAM"), "{bad:?}");
    }
}

#[tokio::test]
async fn the_page_behind_a_link_says_what_it_allows() {
    let scene = scene();
    let alice = scene.server.person("alice").await;
    let (_, letters) = scene.ask(ADD, wanted("a@b.example", 1)).await;
    let path = link(&letters[0]);
    let (status, page) = scene.page(Method::GET, &path).await;
    assert_eq!(status, 200);
    assert!(page.contains("add this address to the account") && page.contains("a@b.example"));
    let (status, page) = scene.page(Method::GET, &path.replace("token=", "token=x")).await;
    assert_eq!(status, 404);
    assert!(!page.contains("<button>"));
    scene.add(&alice, "alice@b.example").await;
    let (_, letters) = scene.ask(RESET, wanted("alice@b.example", 2)).await;
    let (_, page) = scene.page(Method::GET, &link(&letters[0])).await;
    assert!(page.contains("let a new password be set for my account"), "{page}");
    assert!(!page.contains("add this address"), "{page}");
}

#[tokio::test]
async fn nobody_is_flooded_with_mail() {
    let scene = scene();
    for attempt in 1..=5 {
        scene.ask(ADD, wanted("a@b.example", attempt)).await;
    }
    let answer = scene.server.ask(Method::POST, ADD, wanted("a@b.example", 6)).await;
    assert_eq!(error(answer), code(429, "M_LIMIT_EXCEEDED"));
    scene.ask(ADD, wanted("c@b.example", 1)).await;
}

#[tokio::test]
async fn mail_waits_for_a_server_that_is_away_and_is_dropped_when_it_is_refused() {
    let scene = scene();
    let away = || PostError::Later("away".into());
    scene.mailbox.failures.lock().extend([away(), away()]);
    let (_, letters) = scene.ask(ADD, wanted("a@b.example", 1)).await;
    assert!(letters.is_empty());
    scene.server.time.clock.advance(Duration::from_secs(5));
    assert!(scene.letters().await.is_empty());
    scene.server.time.clock.advance(Duration::from_secs(5));
    assert!(scene.letters().await.is_empty(), "the second wait is longer");
    scene.server.time.clock.advance(Duration::from_secs(5));
    assert_eq!(scene.letters().await.len(), 1);

    scene.mailbox.failures.lock().push_back(PostError::Never("no such address".into()));
    scene.ask(ADD, wanted("b@b.example", 1)).await;
    scene.server.time.clock.advance(Duration::from_mins(30));
    assert!(scene.letters().await.is_empty());
}

#[tokio::test]
async fn a_password_is_reset_on_a_page_by_whoever_reads_the_mail() {
    let scene = scene();
    let alice = scene.server.person("alice").await;
    scene.add(&alice, "alice@mail.example").await;
    let wanted = json!({ "new_password": "coffee" });
    let (status, body) = scene.server.ask(Method::POST, PASSWORD, wanted.clone()).await;
    assert_eq!(status, 401, "{body}");
    let session = body["session"].as_str().unwrap();
    let page =
        format!("/_matrix/client/v3/auth/m.login.email.identity/fallback/web?session={session}");
    assert!(scene.server.page(&page, None).await.1.contains("type=\"email\""));
    assert_eq!(scene.server.page(&page, Some("email=nothing")).await.0, 401, "it is no address");
    let (status, text, _) = scene.server.page(&page, Some("email=alice%40mail.example")).await;
    assert_eq!(status, 200, "{text}");
    let letters = scene.letters().await;
    let hidden = |name: &str| {
        let begin = text.split(&format!("name=\"{name}\" value=\"")).nth(1).unwrap();
        begin.split('"').next().unwrap().to_owned()
    };
    let form = format!("sid={}&client_secret={}", hidden("sid"), hidden("client_secret"));
    assert_eq!(scene.server.page(&page, Some(&form)).await.0, 401, "the link was not opened");
    assert_eq!(scene.press(&link(&letters[0])).await.0, 200);
    assert_eq!(scene.server.page(&page, Some(&form)).await.0, 200);
    let mut wanted = wanted;
    wanted["auth"] = json!({ "session": session });
    let (status, body) = scene.server.ask(Method::POST, PASSWORD, wanted).await;
    assert_eq!(status, 200, "{body}");
    assert_eq!(scene.server.log_in("alice", "coffee").await.0, 200);
}

#[tokio::test]
async fn no_page_mails_where_no_address_is_asked_for() {
    let scene = scene();
    let wanted = json!({ "username": "alice", "password": "tea" });
    let (_, body) = scene.server.ask(Method::POST, "/_matrix/client/v3/register", wanted).await;
    let session = body["session"].as_str().unwrap();
    for (stage, status) in [("m.login.email.identity", 404), ("m.login.registration_token", 401)] {
        let page = format!("/_matrix/client/v3/auth/{stage}/fallback/web?session={session}");
        assert_eq!(scene.server.page(&page, Some("email=bob%40mail.example")).await.0, status);
    }
    assert_eq!(scene.letters().await.len(), 0);
}
