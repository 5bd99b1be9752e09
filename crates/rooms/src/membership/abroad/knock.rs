//! Knocking at a room this server is not in.

use std::sync::Arc;

use ruma::OwnedServerName;
use serde::Deserialize;
use serde_json::value::RawValue;
use vestibule_events::Pdu;
use vestibule_policy::{Object, kind};
use vestibule_storage::tables::room::StoredMembership;
use vestibule_types::{Actor, limits::STRIPPED_STATE_MAX};

use super::is_worth_another;
use crate::{
    Answer, ElsewhereError, Handshake, Knock, MembershipError, RoomTx, Rooms, UnknownRoom, Wanted,
    ask::{Afar, Ask, AskError, Deed},
    outside::Outside,
};

impl Rooms {
    pub(crate) async fn knock_elsewhere(
        &self,
        actor: &Actor,
        command: Knock,
    ) -> Result<(), MembershipError> {
        let deed = Deed::Knock(command.room_id.clone());
        let ask = self.ask_afar(actor, &deed, Afar::default()).await?;
        let rooms = self.clone();
        self.see_through(async move {
            let _turn = rooms.inner.turns.wait(&command.room_id).await;
            // Whoever had the turn before may have brought the room here.
            if rooms.is_here(&command.room_id).await? {
                return rooms.knock_here(ask, command).await;
            }
            rooms.hand_in_knock(&ask, &command).await
        })
        .await
    }

    async fn hand_in_knock(&self, ask: &Ask, command: &Knock) -> Result<(), MembershipError> {
        let vias = self.vias(ask, &command.room_id, command.via.clone()).await?;
        let mut last = MembershipError::UnknownRoom(UnknownRoom);
        for server in vias {
            match self.knock_through(&server, ask, command).await {
                Ok(()) => return Ok(()),
                Err(error) if is_worth_another(&error) => last = error,
                Err(error) => return Err(error),
            }
        }
        Err(last)
    }

    async fn knock_through(
        &self,
        server: &OwnedServerName,
        ask: &Ask,
        command: &Knock,
    ) -> Result<(), MembershipError> {
        let handshake = Handshake {
            wanted: Wanted::Knock,
            room_id: command.room_id.clone(),
            user_id: ask.user_id.clone(),
        };
        let prepared = self.elsewhere().prepare(server, &handshake).await?;
        let deed = Deed::Knock(command.room_id.clone());
        let decision = self.decide_now(ask.clone(), deed).await?;
        decision.allowed().map_err(AskError::Denied)?;
        let (wanted, reason) = (Wanted::Knock, command.reason.as_deref());
        let content = self.content_abroad(ask, (wanted, reason), decision.obligations()).await?;
        let whose = (&*command.room_id, &*ask.user_id, Wanted::Knock);
        let knock = self.sign_prepared(whose, prepared, content)?;
        let answer = self.elsewhere().hand_in(server, Wanted::Knock, &knock).await?;
        let Answer::Knocked(shown) = answer else {
            return Err(ElsewhereError::BadAnswer("no room state came back".to_owned()).into());
        };
        let (ask, via, shown) = (ask.clone(), server.clone(), pruned_state(&shown));
        let work =
            move |room: &mut RoomTx<'_, '_>| room.knocked_outside(&ask, &knock, (&via, &shown));
        self.in_room(&command.room_id, work).await?;
        self.inner.spaces_elsewhere.forget(&command.room_id);
        Ok(())
    }
}

impl RoomTx<'_, '_> {
    fn knocked_outside(
        &mut self,
        ask: &Ask,
        knock: &Arc<Pdu>,
        (via, stripped): (&OwnedServerName, &[String]),
    ) -> Result<(), MembershipError> {
        let user = &ask.user_id;
        let permit = self.permit::<kind::Knock>(ask, &Deed::Knock(self.room_id.clone()))?;
        self.spend_permit(ask, permit, &Object::room(&self.room_id))?;
        let outside = Outside {
            membership: StoredMembership::Knock,
            event: knock,
            stripped,
            via: std::slice::from_ref(via),
        };
        Ok(self.put_outside(user, &outside)?)
    }
}

#[derive(Deserialize)]
struct Sent<'a> {
    #[serde(borrow)]
    content: &'a RawValue,
    #[serde(borrow)]
    sender: &'a RawValue,
    #[serde(borrow)]
    state_key: &'a RawValue,
    #[serde(borrow)]
    r#type: &'a RawValue,
}

/// State for somebody outside of the room, cut down to what clients are shown (client-server API,
/// "Stripped state"). What is none of it is left out.
#[must_use]
pub fn pruned_state(shown: &[Box<RawValue>]) -> Vec<String> {
    let shown = shown.iter().take(STRIPPED_STATE_MAX);
    let stripped = shown.filter_map(|json| {
        let Sent { content, sender, state_key, r#type } = serde_json::from_str(json.get()).ok()?;
        let is_text = |it: &RawValue| it.get().starts_with('"');
        let whole = content.get().starts_with('{')
            && is_text(sender)
            && is_text(state_key)
            && is_text(r#type);
        whole.then(|| {
            let (content, sender, key, kind) =
                (content.get(), sender.get(), state_key.get(), r#type.get());
            format!(r#"{{"content":{content},"sender":{sender},"state_key":{key},"type":{kind}}}"#)
        })
    });
    stripped.collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn prune(json: &str) -> Vec<String> {
        pruned_state(&[RawValue::from_string(json.to_owned()).expect("JSON")])
    }

    #[test]
    fn keeps_what_clients_are_shown_and_nothing_else() {
        let whole = r#"{"auth_events":[],"content":{"name":"Tea"},"depth":3,"sender":"@a:b",
            "state_key":"","type":"m.room.name","unsigned":{"age":1},"event_id":"$x"}"#;
        let kept =
            r#"{"content":{"name":"Tea"},"sender":"@a:b","state_key":"","type":"m.room.name"}"#;
        assert_eq!(prune(whole), [kept]);
    }

    #[test]
    fn leaves_out_what_is_no_state() {
        for json in [
            r#"{"content":{},"sender":"@a:b","type":"m.room.message"}"#,
            r#"{"content":[],"sender":"@a:b","state_key":"","type":"m.room.name"}"#,
            r#"{"content":{},"sender":1,"state_key":"","type":"m.room.name"}"#,
            "null",
            "[]",
        ] {
            assert!(prune(json).is_empty(), "{json}");
        }
    }
}
