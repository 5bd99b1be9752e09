//! A whole server in this process, and people who use it over HTTP.

mod http_client;
mod network;
mod person;
mod pretend;

use std::{net::SocketAddr, sync::Arc};

use axum::Router;
use parking_lot::Mutex;
use serde_json::{Value, json};
use tempfile::TempDir;
use tokio::runtime::Handle;
use vestibule_config::{LoadError, Loaded};
use vestibule_http::Entrance;
use vestibule_remote::Transport;
use vestibule_server::{
    environment::{self, SystemClock, Tasks},
    reload::Reload,
    start::{Options, Running, start, start_over},
};
use vestibule_storage::{Executor, InlineExecutor};

pub use self::{
    http_client::{Fetched, HttpClient, Reply},
    network::{Held, Network, Sent},
    person::{Person, texts},
    pretend::{PretendServer, RoomEnds},
};
use crate::memory_store;
pub use crate::tls;
pub use vestibule_types::segment;

/// What every test server has unless its test says otherwise.
const USUAL: &str = "\
[server]
name = \"localhost\"

[[listener]]
bind = \"127.0.0.1:0\"
serves = [\"client\", \"admin\", \"metrics\"]

[registration]
mode = \"open\"
shared_secret = \"a secret for tests\"
";

/// The password of everybody in a test.
pub const PASSWORD: &str = "correct horse battery staple";

/// How a test server is made.
#[derive(Clone, Debug)]
pub struct Blueprint {
    text: String,
    variables: Vec<(String, String)>,
    slots: Option<u16>,
    network: Option<Network>,
}

impl Default for Blueprint {
    fn default() -> Self {
        Self { text: USUAL.to_owned(), variables: Vec::new(), slots: Some(1), network: None }
    }
}

impl Blueprint {
    /// Adds sections to the usual configuration, as TOML.
    #[must_use]
    pub fn with(mut self, sections: &str) -> Self {
        self.text.push('\n');
        self.text.push_str(sections);
        self
    }

    /// Sets one key, given as `section__key`; the value is TOML, or else text.
    #[must_use]
    pub fn set(mut self, key: &str, value: &str) -> Self {
        self.variables.push((format!("VESTIBULE_{}", key.to_uppercase()), value.to_owned()));
        self
    }

    /// Stores in memory, in so many slots. One is the default.
    #[must_use]
    pub fn slots(mut self, slots: u16) -> Self {
        self.slots = Some(slots);
        self
    }

    /// Stores in the embedded database, as the real server does.
    #[must_use]
    pub fn on_disk(mut self) -> Self {
        self.slots = None;
        self
    }

    /// Guests may join rooms that have an alias which a moderator made.
    #[must_use]
    pub fn with_guests(self) -> Self {
        self.with("[guests]\nenabled = true\n\n[aliases]\ncreate = \"moderator\"\n")
    }

    /// Gives it another name, and other servers to talk to.
    #[must_use]
    pub fn on(mut self, network: &Network, name: &str) -> Self {
        self.network = Some(network.clone());
        self.set("server__name", &format!("\"{name}\""))
    }

    /// Starts the server.
    pub async fn start(self) -> TestServer {
        let folder = tempfile::tempdir().expect("a folder for the test");
        Box::pin(TestServer::start_in(Arc::new(folder), self)).await
    }

    /// Starts the server over the folder of one that was stopped; says why if it does not start.
    pub async fn try_start_in(self, folder: Arc<TempDir>) -> Result<TestServer, String> {
        let started = Box::pin(TestServer::try_start_in(folder, self)).await;
        started.map_err(|reason| format!("{reason:#}"))
    }

    fn loaded(&self, folder: &TempDir) -> Result<Loaded, LoadError> {
        let data_dir = folder.path().join("data").display().to_string();
        let mut variables = self.variables.clone();
        variables.push(("VESTIBULE_SERVER__DATA_DIR".to_owned(), data_dir));
        Ok(vestibule_config::parse(&self.text, variables)?)
    }
}

/// A server on a port of its own. It stops when told to, and dies with its runtime.
#[derive(Debug)]
pub struct TestServer {
    running: Running,
    http: HttpClient,
    folder: Arc<TempDir>,
    blueprint: Arc<Mutex<Blueprint>>,
}

impl TestServer {
    /// A server with open registration, in memory.
    pub async fn start() -> Self {
        Blueprint::default().start().await
    }

    async fn start_in(folder: Arc<TempDir>, blueprint: Blueprint) -> Self {
        // In a box: what a server is made of is large.
        let started = Box::pin(Self::try_start_in(folder, blueprint)).await;
        started.expect("the test server starts")
    }

    async fn try_start_in(folder: Arc<TempDir>, blueprint: Blueprint) -> anyhow::Result<Self> {
        let loaded = blueprint.loaded(&folder)?;
        let tasks = Tasks::on(Handle::current());
        let environment = environment::system(&tasks);
        let slots = blueprint.slots;
        let blueprint = Arc::new(Mutex::new(blueprint));
        let reload = Some(Reload::from({
            let (blueprint, folder) = (blueprint.clone(), folder.clone());
            move || blueprint.lock().loaded(&folder)
        }));
        let transport =
            blueprint.lock().network.clone().map(|it| Arc::new(it) as Arc<dyn Transport>);
        let options = Options { tasks, environment, reload, transport };
        let running = match slots {
            Some(slots) => {
                let data_dir = &loaded.config.server.data_dir;
                std::fs::create_dir_all(data_dir).expect("a data folder");
                let executor: Arc<dyn Executor> = Arc::new(InlineExecutor);
                start_over(loaded, (memory_store(slots), executor), options).await
            }
            None => start(loaded, options).await,
        };
        let running = running?;
        if let Some(network) = &blueprint.lock().network {
            network.attach_real(running.server_name(), entered(&running));
        }
        let address = *running.addresses().first().expect("the test server listens");
        let http = HttpClient::to(address).watching(blueprint.lock().network.clone());
        Ok(Self { running, http, folder, blueprint })
    }

    /// Where it listens.
    #[must_use]
    pub fn address(&self) -> SocketAddr {
        self.http.address()
    }

    /// The running server itself.
    #[must_use]
    pub fn running(&self) -> &Running {
        &self.running
    }

    /// Its folder, with `data` in it. Holding it keeps the folder when the server is gone.
    #[must_use]
    pub fn folder(&self) -> Arc<TempDir> {
        self.folder.clone()
    }

    /// Requests without a token.
    #[must_use]
    pub fn http(&self) -> &HttpClient {
        &self.http
    }

    /// Changes the configuration that the next reload, or the next start, reads.
    pub fn rewrite(&self, change: impl FnOnce(Blueprint) -> Blueprint) {
        let mut blueprint = self.blueprint.lock();
        *blueprint = change(blueprint.clone());
    }

    /// Stops the server in good order.
    pub async fn stop(self) {
        self.running.stop().await;
    }

    /// Stops the server and starts it again over the same folder. What is in memory is lost.
    pub async fn restart(self) -> Self {
        let Self { running, folder, blueprint, .. } = self;
        let blueprint = blueprint.lock().clone();
        if let Some(network) = &blueprint.network {
            network.detach(running.server_name());
        }
        running.stop().await;
        Box::pin(Self::start_in(folder, blueprint)).await
    }

    /// A new member.
    pub async fn register(&self, name: &str) -> Person {
        let body = json!({
            "username": name,
            "password": PASSWORD,
            "auth": { "type": "m.login.dummy" },
        });
        self.enter("/_matrix/client/v3/register", &body).await
    }

    /// A new guest.
    pub async fn guest(&self) -> Person {
        self.enter("/_matrix/client/v3/register?kind=guest", &json!({})).await
    }

    /// The same, who did something, and so has an account.
    pub async fn guest_with_account(&self) -> Person {
        let guest = self.guest().await;
        guest.store_filter().await.ok();
        guest
    }

    /// Another session of somebody who registered.
    pub async fn login(&self, name: &str) -> Person {
        let body = json!({
            "type": "m.login.password",
            "identifier": { "type": "m.id.user", "user": name },
            "password": PASSWORD,
        });
        self.enter("/_matrix/client/v3/login", &body).await
    }

    /// A new account of a class, made the way operators make them.
    pub async fn person(&self, name: &str, class: &str) -> Person {
        let path = self.running.socket();
        let body = json!({ "name": name, "class": class, "password": PASSWORD });
        let reply = http_client::over_socket(&path, "POST", "/_vestibule/admin/v1/users", &body);
        reply.await.ok();
        self.login(name).await
    }

    /// Asks over the local socket, as the command line does.
    pub async fn operator(&self, method: &str, path: &str, body: &Value) -> Reply {
        let path = format!("/_vestibule/admin/v1{path}");
        http_client::over_socket(&self.running.socket(), method, &path, body).await
    }

    async fn enter(&self, path: &str, body: &Value) -> Person {
        let session = self.http.post(path, body).await.ok();
        Person::of(&self.http, &session)
    }
}

/// The server-server API behind an entrance, as it is behind a socket.
fn entered(running: &Running) -> Router {
    let clock = Arc::new(SystemClock::new());
    Router::new().fallback_service(Entrance::new(running.federation_router(), clock))
}
