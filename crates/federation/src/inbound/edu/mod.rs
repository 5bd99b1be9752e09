//! Messages that pass: typing, receipts, messages to devices. What is malformed, not from where it says,
//! or of an unknown type is passed over; nobody is told, for nobody could do anything about it.

mod direct_to_device;
mod receipt;
mod typing;

use std::{collections::HashMap, sync::Arc};

use parking_lot::RwLock;
use ruma::{ServerName, UserId};
use serde::Deserialize;
use serde_json::value::RawValue;
use vestibule_types::{BoxFuture, limits::EDU_BYTES_MAX};

use crate::Federation;

/// Takes the messages of one type.
pub trait EduHandler: Send + Sync + 'static {
    /// Takes the content of a message that `origin` sent. The handler checks that what it says is
    /// `origin`'s to say.
    fn receive<'a>(&'a self, origin: &'a ServerName, content: &'a RawValue) -> BoxFuture<'a, ()>;
}

/// Who takes which type.
#[derive(Default)]
pub(crate) struct EduHandlers(RwLock<HashMap<&'static str, Arc<dyn EduHandler>>>);

#[derive(Deserialize)]
struct Edu<'a> {
    edu_type: String,
    #[serde(borrow)]
    content: &'a RawValue,
}

impl Federation {
    /// Has messages of a type taken by somebody else than this crate: those about devices and keys.
    pub fn on_edu(&self, edu_type: &'static str, handler: Arc<dyn EduHandler>) {
        self.inbound().edus.0.write().insert(edu_type, handler);
    }

    pub(super) async fn receive_edus(&self, origin: &ServerName, edus: Vec<Box<RawValue>>) {
        for json in edus {
            let taken = match serde_json::from_str::<Edu<'_>>(json.get()) {
                Ok(edu) if json.get().len() <= EDU_BYTES_MAX => {
                    self.receive_edu(origin, &edu).await
                }
                Ok(_) | Err(_) => "malformed",
            };
            metrics::counter!("vestibule_federation_edus_total", "outcome" => taken).increment(1);
        }
    }

    /// Hands a message to whoever takes its type, and says under which name it is counted.
    async fn receive_edu(&self, origin: &ServerName, edu: &Edu<'_>) -> &'static str {
        match edu.edu_type.as_str() {
            "m.typing" => self.receive_typing(origin, edu.content).await,
            "m.receipt" => self.receive_receipts(origin, edu.content).await,
            "m.direct_to_device" => self.receive_direct(origin, edu.content).await,
            edu_type => {
                let handler = self.inbound().edus.0.read().get(edu_type).cloned();
                match handler {
                    Some(handler) => {
                        handler.receive(origin, edu.content).await;
                        "handled"
                    }
                    // Presence is among these: this server does not keep it.
                    None => "ignored",
                }
            }
        }
    }
}

/// Whether a user is one of a server's.
fn is_of(user: &UserId, server: &ServerName) -> bool {
    user.server_name() == server
}
