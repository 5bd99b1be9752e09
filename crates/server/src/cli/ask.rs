//! Putting a question to the admin API, wherever it answers.

use std::{io, path::Path};

use anyhow::{Context, anyhow, bail};
use axum::{Router, body::Body, http::Request};
use http::{Method, StatusCode, header::CONTENT_TYPE};
use http_body_util::{BodyExt, Full};
use hyper::client::conn::http1::handshake;
use hyper_util::rt::TokioIo;
use serde::{Serialize, de::DeserializeOwned};
use serde_json::Value;
use tokio::net::UnixStream;
use tower::ServiceExt;
use vestibule_config::{Loaded, load};
use vestibule_http::connect_unix;

use crate::{socket_path, start};

/// Whoever answers.
pub(super) enum Operator {
    /// A running server.
    Running(UnixStream),
    /// The database, opened by this process.
    Here(Box<start::Offline>),
}

/// A question: method, path below `/_vestibule/admin/v1`, body.
pub(super) struct Question {
    method: Method,
    path: String,
    body: Vec<u8>,
}

impl Question {
    /// A question without a body.
    pub(super) fn get(path: impl Into<String>) -> Self {
        Self { method: Method::GET, path: path.into(), body: Vec::new() }
    }

    /// A question without a body that takes something away.
    pub(super) fn delete(path: impl Into<String>) -> Self {
        Self { method: Method::DELETE, path: path.into(), body: Vec::new() }
    }

    /// A question with a body.
    pub(super) fn with(
        method: Method,
        path: impl Into<String>,
        body: &impl Serialize,
    ) -> anyhow::Result<Self> {
        Ok(Self { method, path: path.into(), body: serde_json::to_vec(body)? })
    }

    fn request<B: From<Vec<u8>>>(self) -> anyhow::Result<Request<B>> {
        Request::builder()
            .method(self.method)
            .uri(format!("{}{}", vestibule_admin_api::PREFIX, self.path))
            .header("host", "localhost")
            .header(CONTENT_TYPE, "application/json")
            .body(B::from(self.body))
            .context("this cannot be asked")
    }
}

/// Asks the running server, or opens the database, and returns the answer.
pub(super) fn ask<T: DeserializeOwned>(file: &Path, question: Question) -> anyhow::Result<T> {
    let loaded = load(file)?;
    let runtime = tokio::runtime::Builder::new_multi_thread()
        .worker_threads(1)
        .enable_all()
        .build()
        .context("cannot start")?;
    runtime.block_on(async {
        let answer = match Box::pin(operator(loaded)).await? {
            Operator::Running(stream) => over_socket(stream, question).await,
            Operator::Here(offline) => {
                let answer = in_process(offline.router(), question).await;
                offline.close().await;
                answer
            }
        };
        let (status, body) = answer?;
        understand(status, &body)
    })
}

/// The socket decides: whoever answers there owns the database. A server that starts just now has
/// the database already and its socket a moment later.
async fn operator(loaded: Loaded) -> anyhow::Result<Operator> {
    let path = socket_path(&loaded.config.server.data_dir);
    match connect_unix(&path).await {
        Ok(stream) => return Ok(Operator::Running(stream)),
        Err(error) if error.kind() == io::ErrorKind::PermissionDenied => bail!(
            "no permission to talk to the server at {}; run this as the server's account, for example with \
             `sudo -u vestibule`",
            path.display()
        ),
        Err(_) => {}
    }
    match start::offline(loaded).await {
        Ok(offline) => Ok(Operator::Here(Box::new(offline))),
        Err(reason) => {
            let running = connect_unix(&path).await;
            running.map(Operator::Running).map_err(|_| reason)
        }
    }
}

async fn over_socket(
    stream: UnixStream,
    question: Question,
) -> anyhow::Result<(StatusCode, Vec<u8>)> {
    let (mut sender, connection) = handshake(TokioIo::new(stream)).await?;
    let asked = async {
        let response = sender.send_request(question.request::<Full<bytes::Bytes>>()?).await?;
        let status = response.status();
        let body = response.into_body().collect().await?.to_bytes();
        anyhow::Ok((status, body.to_vec()))
    };
    tokio::select! {
        answer = asked => answer.context("the running server did not answer"),
        ended = connection => bail!("the running server hung up: {ended:?}"),
    }
}

async fn in_process(router: Router, question: Question) -> anyhow::Result<(StatusCode, Vec<u8>)> {
    let response = router.oneshot(question.request::<Body>()?).await?;
    let status = response.status();
    let body = response.into_body().collect().await?.to_bytes();
    Ok((status, body.to_vec()))
}

fn understand<T: DeserializeOwned>(status: StatusCode, body: &[u8]) -> anyhow::Result<T> {
    if status.is_success() {
        return serde_json::from_slice(body).context("the answer is not understood");
    }
    let body: Value = serde_json::from_slice(body).unwrap_or_default();
    let told = body.get("error").and_then(Value::as_str).unwrap_or("no reason given");
    Err(anyhow!("{told} ({status})"))
}
