//! Sending a message-like event.

use std::sync::Arc;

use ruma::{CanonicalJsonObject, CanonicalJsonValue, EventId, OwnedEventId, OwnedRoomId};
use vestibule_policy::kind;
use vestibule_storage::tables::room::ANNOTATION;
use vestibule_types::Actor;

use super::{Redact, SendError, transaction::Transaction};
use crate::{
    RoomTx, Rooms,
    append::{Authority, Draft},
    ask::{Ask, Deed},
};

/// Send an event that is not state.
#[derive(Clone, Debug)]
pub struct SendEvent {
    /// The room.
    pub room_id: OwnedRoomId,
    /// Its type.
    pub event_type: String,
    /// Its content.
    pub content: CanonicalJsonObject,
    /// The client's transaction id.
    pub transaction_id: Option<String>,
    /// When it is said to have been sent, for application services.
    pub timestamp: Option<ruma::MilliSecondsSinceUnixEpoch>,
}

impl Rooms {
    /// Sends an event. A transaction id that was spent gives the event it made.
    pub async fn send_event(
        &self,
        actor: &Actor,
        command: SendEvent,
    ) -> Result<OwnedEventId, SendError> {
        if command.event_type == "m.room.redaction" {
            return self.send_redaction(actor, command).await;
        }
        check_content(&command)?;
        let deed = Deed::SendEvent(command.room_id.clone(), command.event_type.clone());
        let ask = self.ask(actor, &deed).await?;
        let scope = format!("send/{}/{}", command.room_id, command.event_type);
        let transaction = Transaction::new(actor, scope, command.transaction_id.as_deref());
        let (room_id, at) = (command.room_id.clone(), ask.now);
        let asked = Arc::new((ask, deed));
        let (ask, deed) = &*asked;
        let asking = Arc::clone(&asked);
        let sent = self
            .make_once(&room_id, transaction, at, move |room| {
                room.send(&asking.0, &asking.1, &command)
            })
            .await;
        self.settle_later(ask, deed).await?;
        let sent = sent?;
        self.acted(actor).await;
        Ok(sent)
    }

    /// A redaction sent like any other event: its target is in the content.
    async fn send_redaction(
        &self,
        actor: &Actor,
        command: SendEvent,
    ) -> Result<OwnedEventId, SendError> {
        let target = match command.content.get("redacts") {
            Some(CanonicalJsonValue::String(target)) => EventId::parse(target).ok(),
            _ => None,
        };
        let event_id = target.ok_or(SendError::BadContent("`redacts` must name an event"))?;
        let mut content = command.content;
        content.remove("redacts");
        let redact = Redact {
            room_id: command.room_id,
            event_id,
            content,
            transaction_id: command.transaction_id,
        };
        self.redact(actor, redact).await
    }
}

impl RoomTx<'_, '_> {
    fn send(
        &mut self,
        ask: &Ask,
        deed: &Deed,
        command: &SendEvent,
    ) -> Result<OwnedEventId, SendError> {
        self.known()?;
        self.check_relation(ask, command)?;
        let permit = self.permit::<kind::Send>(ask, deed)?;
        let draft = Draft {
            sender: ask.user_id.clone(),
            event_type: command.event_type.clone(),
            state_key: None,
            content: command.content.clone(),
            redacts: None,
            at: command.timestamp.unwrap_or(ask.now),
        };
        let appended = self.append_local(Authority::Send(permit), draft)?;
        Ok(appended.pdu.event_id().to_owned())
    }

    /// A reaction is given once; a thread does not grow out of an event that relates itself.
    fn check_relation(&self, ask: &Ask, command: &SendEvent) -> Result<(), SendError> {
        let Some(relation) = object(&command.content, "m.relates_to") else { return Ok(()) };
        let parent = text(relation, "event_id").and_then(|id| EventId::parse(id).ok());
        let Some(parent) = parent else { return Ok(()) };
        match text(relation, "rel_type") {
            Some("m.annotation") => {
                let Some(key) = text(relation, "key") else { return Ok(()) };
                let room = self.known()?.no;
                let kind = command.event_type.as_str();
                let place = (room, &parent, &ask.user_id, kind, key);
                let Some(row) = ANNOTATION.get(&self.tx.fixed(), place)? else { return Ok(()) };
                let view = self.view()?;
                let known = view.event(row.0)?;
                let stands = known.filter(|known| {
                    !view.redaction_of(known.pdu.event_id()).is_ok_and(|it| it.is_some())
                });
                match stands {
                    Some(event) => {
                        Err(SendError::DuplicateAnnotation(event.pdu.event_id().to_owned()))
                    }
                    None => Ok(()),
                }
            }
            Some("m.thread") => {
                let root = self.view()?.event_by_id(&parent)?;
                let relates = root
                    .and_then(|root| root.pdu.content_as::<serde_json::Value>().ok())
                    .is_some_and(|content| {
                        content
                            .pointer("/m.relates_to/rel_type")
                            .is_some_and(serde_json::Value::is_string)
                    });
                if relates {
                    return Err(SendError::NoThread);
                }
                Ok(())
            }
            _ => Ok(()),
        }
    }
}

/// What a server should refuse from its own clients.
fn check_content(command: &SendEvent) -> Result<(), SendError> {
    if command.event_type == "m.room.message" {
        let has_texts = ["msgtype", "body"].iter().all(|key| text(&command.content, key).is_some());
        if !has_texts {
            return Err(SendError::BadContent("a message needs `msgtype` and `body`"));
        }
    }
    Ok(())
}

fn object<'c>(content: &'c CanonicalJsonObject, key: &str) -> Option<&'c CanonicalJsonObject> {
    match content.get(key) {
        Some(CanonicalJsonValue::Object(object)) => Some(object),
        _ => None,
    }
}

fn text<'c>(content: &'c CanonicalJsonObject, key: &str) -> Option<&'c str> {
    match content.get(key) {
        Some(CanonicalJsonValue::String(text)) => Some(text),
        _ => None,
    }
}
