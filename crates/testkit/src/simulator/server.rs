//! One server of a simulation: it crashes, and starts again over what it had committed.

use std::sync::Arc;

use axum::body::Body;
use http::{Method, Request, header};
use ruma::OwnedServerName;
use serde_json::{Value, json};
use tempfile::TempDir;
use tokio::runtime::Handle;
use vestibule_http::Entrance;
use vestibule_server::{
    environment::Tasks,
    start::{Options, Running, start_over},
};
use vestibule_storage::{Executor, InlineExecutor, MemoryEngine, Store};
use vestibule_types::{Environment, watch};

use super::{
    clock::SimClock,
    skies::{Life, Post, Skies, answer},
    spawner::MortalSpawner,
};
use crate::{SeededRandom, memory_store_with, server::Reply};

const ANSWER_BYTES_MAX: usize = 16 * 1_048_576;

struct Alive {
    running: Running,
    spawner: Arc<MortalSpawner>,
    life: Life,
    end: watch::Sender<()>,
}

/// A server, up or down.
pub(super) struct SimServer {
    pub(super) name: OwnedServerName,
    engine: MemoryEngine,
    folder: TempDir,
    clock: SimClock,
    random: Arc<SeededRandom>,
    skies: Arc<Skies>,
    alive: Option<Alive>,
}

/// Somebody with a session.
#[derive(Clone, Debug)]
pub(super) struct SimPerson {
    /// Which server they are on.
    pub(super) server: usize,
    pub(super) user_id: String,
    pub(super) token: String,
}

impl SimServer {
    pub(super) async fn start(
        (number, seed): (usize, u64),
        clock: SimClock,
        skies: Arc<Skies>,
    ) -> Self {
        let name = format!("s{number}.example");
        let mut server = Self {
            name: name.as_str().try_into().expect("a server name"),
            engine: MemoryEngine::new(1),
            folder: tempfile::tempdir().expect("a folder for the server"),
            clock,
            random: Arc::new(SeededRandom::new(seed)),
            skies,
            alive: None,
        };
        server.rise().await;
        server
    }

    /// Starts it over what is in its engine.
    pub(super) async fn rise(&mut self) {
        if self.alive.is_some() {
            return;
        }
        let text = format!(
            "{CONFIGURATION}\n[server]\nname = \"{}\"\ndata_dir = \"{}\"\n",
            self.name,
            self.folder.path().display()
        );
        let loaded = vestibule_config::parse(&text, Vec::<(String, String)>::new());
        let spawner = Arc::new(MortalSpawner::new());
        let environment = Environment {
            clock: Arc::new(self.clock.clone()),
            random: self.random.clone(),
            spawner: spawner.clone(),
        };
        let post = Post { from: self.name.clone(), skies: self.skies.clone() };
        let options = Options {
            tasks: Tasks::on(Handle::current()),
            environment,
            reload: None,
            transport: Some(Arc::new(post)),
        };
        let executor: Arc<dyn Executor> = Arc::new(InlineExecutor);
        let opened = (memory_store_with(self.engine.clone(), 1), executor);
        let running = start_over(loaded.expect("a configuration"), opened, options).await;
        let running = running.expect("a simulated server starts");
        let end = watch::Sender::new(());
        let entrance = |router| Entrance::new(router, Arc::new(self.clock.clone()));
        let life = Life {
            clients: entrance(running.client_router()),
            servers: entrance(running.federation_router()),
            ended: end.subscribe(),
        };
        self.skies.set_life(&self.name, Some(life.clone()));
        self.skies.note(&format!("{} is up", self.name));
        self.alive = Some(Alive { running, spawner, life, end });
    }

    /// Ends it in the middle of everything it does. What was committed stays.
    pub(super) fn crash(&mut self) {
        let Some(alive) = self.alive.take() else { return };
        self.skies.set_life(&self.name, None);
        self.skies.note(&format!("{} crashes", self.name));
        alive.spawner.crash();
        alive.end.send(());
    }

    pub(super) fn is_up(&self) -> bool {
        self.alive.is_some()
    }

    pub(super) fn store(&self) -> &Store {
        self.alive.as_ref().expect("the server is up").running.store()
    }

    /// What answers its clients now.
    pub(super) fn life(&self) -> Option<Life> {
        self.alive.as_ref().map(|alive| alive.life.clone())
    }

    /// A new member.
    pub(super) async fn register(&self, number: usize, name: &str) -> SimPerson {
        let body = json!({
            "username": name,
            "password": "correct horse battery staple",
            "auth": { "type": "m.login.dummy" },
        });
        let life = self.life().expect("the server is up");
        let path = "/_matrix/client/v3/register";
        let session = life.ask(None, Method::POST, path, &body).await.expect("an answer").ok();
        let text = |key: &str| session[key].as_str().unwrap_or_default().to_owned();
        SimPerson { server: number, user_id: text("user_id"), token: text("access_token") }
    }
}

impl Life {
    /// One request of a client. Nothing when the server crashes meanwhile.
    pub(super) async fn ask(
        &self,
        person: Option<&SimPerson>,
        method: Method,
        path: &str,
        body: &Value,
    ) -> Option<Reply> {
        let body = if body.is_null() { String::new() } else { body.to_string() };
        let mut request = Request::builder()
            .method(method)
            .uri(path)
            .header(header::CONTENT_TYPE, "application/json");
        if let Some(person) = person {
            request = request.header(header::AUTHORIZATION, format!("Bearer {}", person.token));
        }
        let request = request.body(Body::from(body)).expect("a request that can be sent");
        let mut ended = self.ended.clone();
        let reply = tokio::select! {
            biased;
            _ = ended.changed() => return None,
            reply = answer(&self.clients, request, ANSWER_BYTES_MAX) => reply.expect("a whole answer"),
        };
        let text = || Value::String(String::from_utf8_lossy(&reply.body).into_owned());
        let body = serde_json::from_slice(&reply.body).unwrap_or_else(|_| text());
        Some(Reply { status: reply.status.as_u16(), body })
    }
}

/// Files are in memory too: who waits for one on a disk waits for a thread, and time goes on meanwhile.
const CONFIGURATION: &str = r#"
[storage]
engine = "memory"
[[listener]]
bind = "127.0.0.1:0"
serves = ["client"]

[registration]
mode = "open"

[class.member]
rates = { message = "60000/min burst 10000", join = "60000/min burst 10000", invite = "60000/min burst 10000" }
"#;
