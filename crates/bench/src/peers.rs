//! Other servers, of which there is a name and a key: they sign requests and events, and answer over
//! TLS what the server under test asks them.

mod handshake;
mod listener;
mod room;

use std::{
    collections::BTreeMap,
    fmt::Write as _,
    fs,
    net::SocketAddr,
    path::Path,
    sync::{Arc, Mutex, PoisonError},
};

use anyhow::{Context as _, Result, bail};
use bytes::Bytes;
use ruma::{CanonicalJsonObject, OwnedServerName, OwnedUserId};
use serde_json::{Value, json};
use tokio::task::JoinSet;
use vestibule_events::SigningKey;
use vestibule_testkit::tls::{TestAuthority, TestCertificate};

pub use self::{
    handshake::{Seat, Transaction},
    room::Room,
};
use crate::{client::write_signed_request, matrix::decoded};

/// The name of the server under test.
const HOME: &str = "bench.localhost";
/// Until when keys say they are good: 2100-01-01.
const VALID_UNTIL_MS: u64 = 4_102_444_800_000;

/// Answers by path; what has none is answered 404.
type Answers = Arc<Mutex<BTreeMap<String, Bytes>>>;

/// One of the other servers.
#[derive(Debug)]
pub struct Peer {
    name: OwnedServerName,
    key: SigningKey,
}

/// Other servers behind one address.
#[derive(Debug)]
pub struct Peers {
    list: Vec<Arc<Peer>>,
    authority: String,
    address: SocketAddr,
    answers: Answers,
    certificate: TestCertificate,
    listener: JoinSet<()>,
}

impl Peers {
    /// So many servers that are reached over loopback.
    pub async fn listen(count: usize) -> Result<Self> {
        let list = (0..count).map(|number| Peer::new(number).map(Arc::new));
        let list = list.collect::<Result<Vec<_>>>()?;
        let authority = TestAuthority::new();
        let names: Vec<&str> = list.iter().map(|peer| peer.name.as_str()).collect();
        let certificate = authority.certificate(&names);
        let answers = Answers::default();
        let mut this = Self {
            authority: authority.pem(),
            address: SocketAddr::from(([127, 0, 0, 1], 0)),
            answers,
            certificate,
            listener: JoinSet::new(),
            list,
        };
        this.come_back().await?;
        Ok(this)
    }

    /// Listens, at first on a free port, later on the same one.
    pub async fn come_back(&mut self) -> Result<()> {
        let (desk, tasks) = (self.desk(), &mut self.listener);
        self.address = listener::start(tasks, &self.certificate, (self.address, desk)).await?;
        Ok(())
    }

    /// The servers.
    #[must_use]
    pub fn list(&self) -> &[Arc<Peer>] {
        &self.list
    }

    /// One of them.
    pub fn first(&self) -> Result<&Arc<Peer>> {
        self.list.first().context("there are no other servers")
    }

    /// What all of them answer to requests of this path.
    pub fn answer(&self, path: &str, with: Bytes) {
        let mut answers = self.answers.lock().unwrap_or_else(PoisonError::into_inner);
        answers.insert(decoded(path), with);
    }

    /// Takes them off the network, with every connection.
    pub async fn vanish(&mut self) {
        self.listener.shutdown().await;
    }

    /// What the configuration of a server that talks to them says.
    pub(crate) fn sections(&self, folder: &Path, federation: SocketAddr) -> Result<String> {
        let authority = folder.join("authority.pem");
        fs::write(&authority, &self.authority)?;
        let mut known = String::new();
        for peer in &self.list {
            write!(known, r#""{}" = "{}", "#, peer.name, self.address)?;
        }
        Ok(format!(
            r#"
[[listener]]
bind = "{federation}"
serves = ["federation"]

[federation]
ca_file = "{authority}"
resolve = {{ {known} }}
"#,
            authority = authority.display(),
            known = known.trim_end_matches(", "),
        ))
    }

    fn desk(&self) -> listener::Desk {
        let keys = self.list.iter();
        let keys = keys.filter_map(|peer| Some((peer.name.to_string(), peer.own_keys().ok()?)));
        listener::Desk { keys: Arc::new(keys.collect()), answers: Arc::clone(&self.answers) }
    }
}

impl Peer {
    /// The server of a number.
    pub fn new(number: usize) -> Result<Self> {
        let mut seed = [91; 32];
        for (byte, place) in seed.iter_mut().zip(number.to_be_bytes()) {
            *byte = place;
        }
        let name = format!("s{number}.peers.localhost");
        Ok(Self { name: name.try_into()?, key: SigningKey::from_seed(seed, "bench")? })
    }

    /// Its name.
    #[must_use]
    pub fn name(&self) -> &OwnedServerName {
        &self.name
    }

    /// The key it signs with.
    #[must_use]
    pub fn key(&self) -> &SigningKey {
        &self.key
    }

    /// A user of this server.
    pub fn user(&self, localpart: &str) -> Result<OwnedUserId> {
        Ok(OwnedUserId::try_from(format!("@{localpart}:{}", self.name))?)
    }

    fn own_keys(&self) -> Result<Bytes> {
        let keys = json!({
            "server_name": self.name,
            "verify_keys": { self.key.key_id().as_str(): { "key": self.key.public_key() } },
            "old_verify_keys": {},
            "valid_until_ts": VALID_UNTIL_MS,
        });
        let mut keys: CanonicalJsonObject = serde_json::from_value(keys)?;
        self.key.sign_json(&self.name, &mut keys)?;
        Ok(serde_json::to_vec(&keys)?.into())
    }

    /// Writes a request to the server under test, signed.
    pub fn write(
        &self,
        out: &mut Vec<u8>,
        (method, path): (&str, &str),
        body: Option<&Value>,
    ) -> Result<()> {
        let mut request = json!({
            "method": method, "uri": path, "origin": self.name, "destination": HOME,
        });
        if let (Some(body), Some(request)) = (body, request.as_object_mut()) {
            request.insert("content".to_owned(), body.clone());
        }
        let mut request: CanonicalJsonObject = serde_json::from_value(request)?;
        self.key.sign_json(&self.name, &mut request)?;
        let id = self.key.key_id();
        let signed = serde_json::to_value(request.get("signatures"))?;
        let signature = signed.get(self.name.as_str()).and_then(|it| it.get(id.as_str()));
        let Some(signature) = signature.and_then(Value::as_str) else {
            bail!("a request is not signed");
        };
        let name = &self.name;
        let header = format!(
            r#"X-Matrix origin="{name}",destination="{HOME}",key="{id}",sig="{signature}""#
        );
        let body = body.map(serde_json::to_vec).transpose()?.unwrap_or_default();
        write_signed_request(out, method, path, Some(&header), &body);
        Ok(())
    }
}
