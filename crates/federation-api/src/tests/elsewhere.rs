//! Other servers: they publish keys, sign requests, and lie where a test wants it.

use std::{
    collections::BTreeMap,
    sync::{Arc, Mutex, PoisonError},
};

use http::{HeaderMap, Method, StatusCode};
use ruma::{
    CanonicalJsonObject, OwnedServerName, ServerName,
    serde::{Base64, base64::Standard},
    signatures::KeyPair,
};
use serde_json::{Value, json};
use vestibule_events::SigningKey;
use vestibule_remote::{Exchange, Reply, Transport, TransportError};
use vestibule_types::BoxFuture;

/// What answers a request: method and path, body.
type Answer = Arc<dyn Fn(&str, &[u8]) -> Option<Value> + Send + Sync>;

#[derive(Default)]
struct Inside {
    answers: BTreeMap<OwnedServerName, Answer>,
    asked: Vec<String>,
    silent: Option<String>,
}

/// The servers that can be reached, and what was asked of them.
#[derive(Clone, Default)]
pub(crate) struct Internet(Arc<Mutex<Inside>>);

impl Internet {
    /// Lets a server answer.
    pub(crate) fn attach(
        &self,
        server: &ServerName,
        answer: impl Fn(&str, &[u8]) -> Option<Value> + Send + Sync + 'static,
    ) {
        let mut inside = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        inside.answers.insert(server.to_owned(), Arc::new(answer));
    }

    /// Takes a server off the network.
    pub(crate) fn cut(&self, server: &ServerName) {
        self.0.lock().unwrap_or_else(PoisonError::into_inner).answers.remove(server);
    }

    /// Servers below this domain take requests and never answer.
    pub(crate) fn never_answer(&self, below: &str) {
        let domain = below.trim_start_matches('*').to_owned();
        self.0.lock().unwrap_or_else(PoisonError::into_inner).silent = Some(domain);
    }

    /// Every request so far: server, method and path.
    pub(crate) fn asked(&self) -> Vec<String> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner).asked.clone()
    }
}

impl Transport for Internet {
    fn exchange(&self, exchange: Exchange) -> BoxFuture<'_, Result<Reply, TransportError>> {
        let line = format!("{} {}", exchange.method, exchange.path);
        let (answer, silent) = {
            let mut inside = self.0.lock().unwrap_or_else(PoisonError::into_inner);
            inside.asked.push(format!("{} {line}", exchange.server));
            let silent = inside.silent.as_deref();
            let silent = silent.is_some_and(|below| exchange.server.as_str().ends_with(below));
            (inside.answers.get(&exchange.server).cloned(), silent)
        };
        Box::pin(async move {
            if silent {
                std::future::pending::<()>().await;
            }
            let gone = || TransportError::Unreachable("nobody is there".to_owned());
            let body = answer.ok_or_else(gone)?(&line, &exchange.body).ok_or_else(gone)?;
            let body = body.to_string();
            if body.len() > exchange.answer_bytes_max {
                return Err(TransportError::BadAnswer("too large".to_owned()));
            }
            let headers = HeaderMap::new();
            Ok(Reply { status: StatusCode::OK, headers, body: body.into() })
        })
    }
}

/// Another server.
pub(crate) struct Elsewhere {
    pub(crate) name: OwnedServerName,
    pub(crate) key: SigningKey,
}

impl Elsewhere {
    /// A server with a key of its own.
    pub(crate) fn new(name: &str, seed: u8) -> Self {
        let name = ServerName::parse(name).unwrap();
        Self { name, key: SigningKey::from_seed([seed; 32], "k_1").unwrap() }
    }

    /// The server under test, as it sees itself.
    pub(crate) fn ourselves() -> Self {
        let name = ServerName::parse("us.example").unwrap();
        Self { name, key: SigningKey::from_seed([7; 32], "a").unwrap() }
    }

    /// Signs an object with the same key under another name.
    pub(crate) fn signed_with(&self, object: Value, key_name: &str) -> Value {
        let key = SigningKey::from_seed(self.key.seed(), key_name).unwrap();
        Self { name: self.name.clone(), key }.signed(object)
    }

    /// The header of a request whose signed object has this text.
    pub(crate) fn sign_text(&self, text: &str) -> String {
        let (_, signature) = self.key.sign(text.as_bytes()).into_parts();
        let (origin, key_id) = (&self.name, self.key.key_id());
        let signature = Base64::<Standard>::new(signature).encode();
        format!("X-Matrix origin=\"{origin}\",key=\"{key_id}\",sig=\"{signature}\"")
    }

    /// The header of a request to `us.example`.
    pub(crate) fn sign(&self, method: &Method, target: &str, content: Option<&Value>) -> String {
        self.sign_for("us.example", method, target, content)
    }

    /// The header of a request.
    pub(crate) fn sign_for(
        &self,
        destination: &str,
        method: &Method,
        target: &str,
        content: Option<&Value>,
    ) -> String {
        let mut signed = json!({
            "origin": self.name, "destination": destination, "method": method.as_str(),
            "uri": target,
        });
        if let Some(content) = content {
            signed["content"] = content.clone();
        }
        let signed = self.signed(signed);
        let key_id = self.key.key_id();
        let signature = signed["signatures"][self.name.as_str()][key_id.as_str()].as_str().unwrap();
        let origin = &self.name;
        format!(
            "X-Matrix origin=\"{origin}\",destination=\"{destination}\",key=\"{key_id}\",sig=\"{signature}\""
        )
    }

    /// Signs an object.
    pub(crate) fn signed(&self, object: Value) -> Value {
        let mut object: CanonicalJsonObject = serde_json::from_value(object).unwrap();
        self.key.sign_json(&self.name, &mut object).unwrap();
        serde_json::to_value(object).unwrap()
    }

    /// Puts it on the network with honest keys.
    pub(crate) fn publish(&self, internet: &Internet, valid_until: u64) {
        self.publish_as(internet, self.signed(self.keys(valid_until)));
    }

    /// Puts it on the network with this answer about its keys.
    pub(crate) fn publish_as(&self, internet: &Internet, keys: Value) {
        internet.attach(&self.name, move |line, _| {
            (line == "GET /_matrix/key/v2/server").then(|| keys.clone())
        });
    }

    /// The keys it publishes, before they are signed.
    pub(crate) fn keys(&self, valid_until: u64) -> Value {
        json!({
            "server_name": self.name,
            "verify_keys": { self.key.key_id().as_str(): { "key": self.key.public_key() } },
            "old_verify_keys": {},
            "valid_until_ts": valid_until,
        })
    }
}
