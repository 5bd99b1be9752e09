//! Pages that do a stage, or the whole login, for clients that cannot.

use vestibule_accounts::{NewRegistrationToken, RegistrationMode, Terms};

use super::*;

const REGISTER: &str = "/_matrix/client/v3/register";

impl Server {
    /// Opens a page, or sends its form: the status, what it says, and what it may do.
    pub(crate) async fn page(&self, path: &str, form: Option<&str>) -> (u16, String, String) {
        let method = if form.is_some() { Method::POST } else { Method::GET };
        let request = Request::builder()
            .method(method)
            .uri(path)
            .header(header::CONTENT_TYPE, "application/x-www-form-urlencoded")
            .body(Body::from(form.unwrap_or_default().to_owned()))
            .unwrap();
        let response = self.entrance.answer(request).await;
        let status = response.status().as_u16();
        let policy = response.headers().get(header::CONTENT_SECURITY_POLICY).cloned();
        let policy = policy.map(|it| it.to_str().unwrap().to_owned()).unwrap_or_default();
        let bytes = response.into_body().collect().await.unwrap().to_bytes();
        (status, String::from_utf8(bytes.to_vec()).unwrap(), policy)
    }
}

fn page_of(stage: &str, session: &str) -> String {
    format!("/_matrix/client/v3/auth/{stage}/fallback/web?session={session}")
}

fn wanted(session: Option<&str>) -> Value {
    let auth = session.map(|session| json!({ "session": session }));
    let mut body = json!({ "username": "alice", "password": "tea" });
    if let Some(auth) = auth {
        body["auth"] = auth;
    }
    body
}

async fn session_of(server: &Server) -> String {
    let (status, body) = server.ask(Method::POST, REGISTER, wanted(None)).await;
    assert_eq!(status, 401, "{body}");
    body["session"].as_str().unwrap().to_owned()
}

/// Registration needs a token and agreement to a document with an odd title.
fn careful() -> Server {
    server_with(
        |_| {},
        |config| {
            config.registration.mode = RegistrationMode::Token;
            config.registration.terms = vec![Terms {
                name: "rules".to_owned(),
                version: "1".to_owned(),
                language: "de".to_owned(),
                title: "<b>Our rules</b>".to_owned(),
                url: "https://a.example/?a=\"b".to_owned(),
            }];
        },
    )
}

#[tokio::test]
async fn somebody_registers_whose_client_knows_no_stage() {
    let server = careful();
    let token = NewRegistrationToken {
        token: Some("welcome".to_owned()),
        uses_max: None,
        expires_at: None,
        class: None,
    };
    server.api.accounts.create_registration_token(token).await.unwrap();
    let session = session_of(&server).await;
    let terms = page_of("m.login.terms", &session);
    let (status, text, policy) = server.page(&terms, None).await;
    assert_eq!(status, 200);
    assert!(text.contains("&lt;b&gt;Our rules&lt;/b&gt;"), "{text}");
    assert!(text.contains("https://a.example/?a=&quot;b"), "{text}");
    assert!(policy.contains("default-src 'none'") && policy.contains("frame-ancestors 'none'"));
    assert_eq!(server.page(&terms, Some("")).await.0, 401, "the token comes first");

    let by_token = page_of("m.login.registration_token", &session);
    assert!(server.page(&by_token, None).await.1.contains("name=\"token\""));
    assert_eq!(server.page(&by_token, Some("token=wrong")).await.0, 401);
    let (status, text, _) = server.page(&by_token, Some("token=welcome")).await;
    assert_eq!(status, 200);
    assert!(text.contains("/_matrix/static/client/auth_done.js"), "{text}");
    let (status, body) = server.ask(Method::POST, REGISTER, wanted(Some(&session))).await;
    assert_eq!(
        (status, &body["completed"]),
        (401, &json!(["m.login.registration_token"])),
        "{body}"
    );
    let rules = &body["params"]["m.login.terms"]["policies"]["rules"];
    let shown = json!({ "name": "<b>Our rules</b>", "url": "https://a.example/?a=\"b" });
    assert_eq!(rules, &json!({ "version": "1", "de": shown }));
    assert_eq!(server.page(&terms, Some("")).await.0, 200);

    let (status, body) = server.ask(Method::POST, REGISTER, wanted(Some(&session))).await;
    assert_eq!((status, &body["user_id"]), (200, &json!("@alice:a.example")), "{body}");
    assert_eq!(server.page(&terms, None).await.0, 404, "the conversation is over");
}

#[tokio::test]
async fn an_owner_proves_their_password_on_a_page_for_one_operation_only() {
    let server = server();
    let alice = server.person("alice").await;
    let path = format!("/_matrix/client/v3/devices/{}", alice.device_id);
    let (status, body) = server.delete(&path, &alice, json!({})).await;
    assert_eq!(status, 401, "{body}");
    let session = body["session"].as_str().unwrap().to_owned();
    let page = page_of("m.login.password", &session);
    assert!(server.page(&page, None).await.1.contains("type=\"password\""));
    assert_eq!(server.page(&page, Some("password=coffee")).await.0, 401);
    assert_eq!(server.page(&page, Some("")).await.0, 401, "nothing proves nothing");
    assert_eq!(server.page(&page, Some("password=tea")).await.0, 200);
    assert!(server.page(&page, None).await.1.contains("auth_done.js"), "it is done");

    let with = json!({ "auth": { "session": session } });
    let other = server.post("/_matrix/client/v3/account/deactivate", &alice, with.clone()).await;
    assert_eq!(error(other), code(403, "M_UNKNOWN"), "it was proven for something else");
    assert_eq!(server.delete(&path, &alice, with).await.0, 200);
    assert_eq!(error(server.get("/_matrix/client/v3/account/whoami", &alice).await).0, 401);
}

#[tokio::test]
async fn there_is_a_page_for_stages_of_conversations_only() {
    let server = careful();
    let session = session_of(&server).await;
    for stage in ["m.login.password", "m.login.dummy", "m.login.email.identity", "m.login.sso"] {
        assert_eq!(server.page(&page_of(stage, &session), None).await.0, 404, "{stage}");
    }
    assert_eq!(server.page(&page_of("m.login.dummy", &session), Some("")).await.0, 401);
    let unknown = page_of("m.login.terms", "nobody");
    assert_eq!(server.page(&unknown, None).await.0, 404);
    assert_eq!(server.page(&unknown, Some("")).await.0, 401);
    assert_eq!(
        server.page("/_matrix/client/v3/auth/m.login.terms/fallback/web", None).await.0,
        400
    );
    let long = format!("token={}", "x".repeat(vestibule_types::limits::FORM_BYTES_MAX));
    let by_token = page_of("m.login.registration_token", &session);
    assert_eq!(server.page(&by_token, Some(&long)).await.0, 413);
}

#[tokio::test]
async fn the_login_page_brings_its_script() {
    let server = server();
    let (status, text, policy) = server.page("/_matrix/static/client/login/", None).await;
    assert_eq!(status, 200);
    assert!(text.contains("src=\"login.js\"") && policy.contains("script-src 'self'"), "{text}");
    let (status, script, _) = server.page("/_matrix/static/client/login/login.js", None).await;
    assert!(status == 200 && script.contains("window.matrixLogin.onLogin(response)"));
    let (status, script, _) = server.page("/_matrix/static/client/auth_done.js", None).await;
    assert!(status == 200 && script.contains("window.onAuthDone()"));
}
