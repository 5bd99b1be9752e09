//! Messages to devices of ours from users of other servers.
//!
//! A message is taken once, whatever its server repeats. It reaches accounts whose class may deal with
//! its sender: for scoped classes, where a room in their scope is shared. What does not get through
//! is dropped without a word to the sender, and noted for the operator.

use std::collections::BTreeMap;

use ruma::{OwnedUserId, UserId};
use serde_json::value::RawValue;
use vestibule_accounts::Acquaintance;
use vestibule_policy::{
    AccountState, Action, Decision, Denial, Facts, Rate, RateFact, RateKey, RateWho, Request,
};
use vestibule_storage::StorageError;
use vestibule_types::limits::{
    TO_DEVICE_FROM_SENDER_AT_ONCE, TO_DEVICE_FROM_SENDER_PER_MINUTE, TO_DEVICE_FROM_SERVER_AT_ONCE,
    TO_DEVICE_FROM_SERVER_PER_MINUTE,
};

use crate::{Rooms, ask::subject, to_device::Letter};

/// A message from a user of another server to devices of one user of ours.
#[derive(Clone, Debug)]
pub struct DirectMessage {
    /// Who sent it.
    pub sender: OwnedUserId,
    /// Whose devices get it.
    pub receiver: OwnedUserId,
    /// Its type.
    pub event_type: String,
    /// The sender's name for it.
    pub message_id: String,
    /// The content for each device; `*` stands for all of them.
    pub messages: BTreeMap<String, Box<RawValue>>,
}

/// Messages of everybody on one other server.
const OF_SERVER: Rate =
    Rate::per_minute(TO_DEVICE_FROM_SERVER_PER_MINUTE, TO_DEVICE_FROM_SERVER_AT_ONCE);

/// Messages of one user there.
const OF_SENDER: Rate =
    Rate::per_minute(TO_DEVICE_FROM_SENDER_PER_MINUTE, TO_DEVICE_FROM_SENDER_AT_ONCE);

impl Rooms {
    /// Charges a user of another server, and that server, for one message to a user of ours. What is refused
    /// is to be dropped.
    pub fn charge_direct(&self, sender: &UserId) -> Result<(), Denial> {
        let server = RateWho::Server(sender.server_name().to_owned());
        let buckets = [(RateWho::Subject(sender.to_owned()), OF_SENDER), (server, OF_SERVER)];
        let now = self.inner.env.clock.monotonic();
        self.inner.rates.charge_servers(RateKey::ToDevice, buckets, now)
    }

    /// Takes a message from another server. Says whether it was new and let through.
    pub async fn deliver_direct(&self, message: DirectMessage) -> Result<bool, StorageError> {
        if message.receiver.server_name() != self.inner.server_name
            || !self.may_reach(&message.sender, &message.receiver).await?
        {
            return Ok(false);
        }
        let now = self.inner.env.now_ms();
        let slot = self.inner.store.slot_of_user(&message.receiver);
        let DirectMessage { sender, receiver, event_type, message_id, messages } = message;
        let letter = Letter { sender, receiver, event_type, messages };
        let taken = self.inner.store.write(slot, move |tx| letter.put_once(tx, (&message_id, now)));
        Ok(taken.await?.value)
    }

    /// Whether a user of another server may reach an account of ours: as the account might reach them.
    async fn may_reach(&self, sender: &UserId, receiver: &UserId) -> Result<bool, StorageError> {
        if self.weigh_direct(sender, receiver, false).await?.is_allowed() {
            return Ok(true);
        }
        let known = self.share_room(receiver, sender).await?;
        let decision = self.weigh_direct(sender, receiver, known).await?;
        if decision.is_allowed() {
            return Ok(true);
        }
        self.inner.ledger.refuse_server(&decision, sender.server_name()).await;
        Ok(false)
    }

    async fn weigh_direct(
        &self,
        sender: &UserId,
        receiver: &UserId,
        shares_room: bool,
    ) -> Result<Decision, StorageError> {
        let (policy, now) = (self.inner.policy.current(), self.inner.env.now());
        let (sender, receiver) = (sender.to_owned(), receiver.to_owned());
        self.inner
            .store
            .read(move |snapshot| {
                let mut subject = subject(snapshot, &receiver)?;
                // Who may not act for now is still written to.
                if matches!(subject.state, AccountState::Suspended | AccountState::Locked) {
                    subject.state = AccountState::Active;
                }
                let request =
                    Request::new(&subject, Action::ToDevice { target: &sender }, now, None);
                let rate = RateFact::Charged;
                let facts = Facts { shares_room: Some(shares_room), rate, ..Facts::default() };
                Ok(policy.decide(&facts, &request))
            })
            .await
    }
}
