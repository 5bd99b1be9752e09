//! Redacting an event.

use ruma::{CanonicalJsonObject, OwnedEventId, OwnedRoomId};
use vestibule_events::Pdu;
use vestibule_policy::kind;
use vestibule_state_res::Power;
use vestibule_storage::tables::room::EVENT_BY_ID;
use vestibule_types::Actor;

use super::{SendError, transaction::Transaction};
use crate::{
    RoomTx, Rooms,
    append::{AppendError, Authority, Draft, power_levels},
    ask::{Ask, Deed},
};

/// Redact an event.
#[derive(Clone, Debug)]
pub struct Redact {
    /// The room.
    pub room_id: OwnedRoomId,
    /// The event to redact.
    pub event_id: OwnedEventId,
    /// The content of the redaction: a reason, if any.
    pub content: CanonicalJsonObject,
    /// The client's transaction id.
    pub transaction_id: Option<String>,
}

impl Rooms {
    /// Redacts an event, one's own or, with the power for it, somebody else's.
    pub async fn redact(&self, actor: &Actor, command: Redact) -> Result<OwnedEventId, SendError> {
        let deed = Deed::Redact(command.room_id.clone(), true);
        let ask = self.ask(actor, &deed).await?;
        let scope = format!("redact/{}/{}", command.room_id, command.event_id);
        let transaction = Transaction::new(actor, scope, command.transaction_id.as_deref());
        let (room_id, at) = (command.room_id.clone(), ask.now);
        self.make_once(&room_id, transaction, at, move |room| room.redact(&ask, &command)).await
    }
}

impl RoomTx<'_, '_> {
    fn redact(&mut self, ask: &Ask, command: &Redact) -> Result<OwnedEventId, SendError> {
        let at = self.known()?.head.state;
        // What is not here may be on other servers: the redaction goes out, and takes effect where its
        // target is, or once it comes here.
        let target = self.view()?.event_by_id(&command.event_id)?;
        if target.is_none() && EVENT_BY_ID.contains(&self.tx.fixed(), (&command.event_id,))? {
            return Err(SendError::BadContent("the event is of another room"));
        }
        if let Some(reason) = target.as_ref().and_then(|target| must_stay(&target.pdu)) {
            return Err(AppendError::Forbidden(reason.to_owned()).into());
        }
        let own = target.as_ref().is_some_and(|target| target.pdu.sender() == ask.user_id);
        let deed = Deed::Redact(self.room_id.clone(), own);
        let permit = self.permit::<kind::Redact>(ask, &deed)?;
        if target.is_some() && !own {
            let power = power_levels(&self.view()?, at)?;
            let level = power.user(&ask.user_id).map_err(malformed)?;
            if level < Power::Int(power.to_redact().map_err(malformed)?) {
                let message = "you may only redact your own events in this room";
                return Err(AppendError::Forbidden(message.to_owned()).into());
            }
        }
        let draft = Draft {
            sender: ask.user_id.clone(),
            event_type: "m.room.redaction".to_owned(),
            state_key: None,
            content: command.content.clone(),
            redacts: Some(command.event_id.clone()),
            at: ask.now,
        };
        let appended = self.append_local(Authority::Redact(permit), draft)?;
        Ok(appended.pdu.event_id().to_owned())
    }
}

/// Why an event cannot be taken back without taking the room with it. An access control list that says
/// nothing lets no server take part, and what would put it right is an event like any other; a room
/// without what it was created with is none.
fn must_stay(target: &Pdu) -> Option<&'static str> {
    target.state_key()?;
    match target.kind() {
        "m.room.server_acl" => {
            Some("set another access control list instead of redacting this one")
        }
        "m.room.create" => Some("the event that created the room cannot be redacted"),
        _ => None,
    }
}

fn malformed(error: vestibule_state_res::AuthError) -> AppendError {
    AppendError::Forbidden(error.reason)
}
