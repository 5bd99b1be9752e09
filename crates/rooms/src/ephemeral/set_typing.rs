//! Saying that one is typing.

use std::time::Duration;

use ruma::OwnedRoomId;
use vestibule_policy::kind;
use vestibule_types::{Actor, limits::TYPING_MAX};

use super::{NoticeError, Typing};
use crate::{
    OpenRoom, RoomView, Rooms, UnknownRoom,
    ask::{AskError, Deed, decide},
};

/// Say that one is typing, or no longer.
#[derive(Clone, Debug)]
pub struct SetTyping {
    /// Where.
    pub room_id: OwnedRoomId,
    /// For how long; `None` when one stopped.
    pub timeout: Option<Duration>,
}

impl Rooms {
    /// Notes that the caller is typing, or no longer.
    pub async fn set_typing(&self, actor: &Actor, command: SetTyping) -> Result<(), NoticeError> {
        let SetTyping { room_id, timeout } = command;
        let deed = Deed::Typing(room_id.clone());
        let ask = self.ask(actor, &deed).await?;
        let (rooms, policy) = (self.clone(), self.inner.policy.current());
        let user = actor.user_id();
        let (room, room_id) = self
            .inner
            .store
            .read(move |snapshot| {
                let room = OpenRoom::load(snapshot, &room_id)?.ok_or(UnknownRoom)?;
                let view = RoomView::new(&rooms, snapshot, &room);
                let decision = decide(&policy, snapshot, Some(&view), (&ask, &deed))?;
                let permit = decision.permit::<kind::Ephemeral>().map_err(AskError::Denied)?;
                view.spend_notice(&ask, permit)?;
                Ok::<_, NoticeError>((room.no, room.room_id))
            })
            .await?;
        let now = self.inner.env.clock.monotonic();
        let until = timeout.map(|timeout| now.saturating_add(timeout.min(TYPING_MAX)));
        self.inner.typing.set((room, &room_id), user, until);
        self.acted(actor).await;
        Ok(())
    }

    /// Who is typing where.
    #[must_use]
    pub fn typing(&self) -> &Typing {
        &self.inner.typing
    }
}
