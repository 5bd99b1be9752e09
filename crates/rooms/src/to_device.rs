//! Messages from device to device. They reach those whom the sender's class may reach: for scoped
//! classes, people with whom a room in their scope is shared. What does not get through is dropped
//! without a word to the sender, and noted for the operator.

mod abroad;
mod letter;

pub(crate) use self::letter::Letter;

use std::{collections::BTreeMap, net::IpAddr};

use ruma::{MilliSecondsSinceUnixEpoch, OwnedUserId};
use serde_json::value::RawValue;
use vestibule_accounts::Acquaintance;
use vestibule_policy::{
    Action, Charge, Decision, Denial, Facts, Object, Policy, RateFact, Request, Subject, kind,
};
use vestibule_storage::{
    StorageError,
    tables::{
        policy::POLICY_EPOCH,
        to_device::{TO_DEVICE_SENT, TO_DEVICE_SENT_BY_TIME},
    },
};
use vestibule_types::{Actor, limits::TO_DEVICE_RECEIVERS_MAX};

use crate::{Rooms, ask::subject};

/// Send messages to devices.
#[derive(Debug)]
pub struct SendToDevice {
    /// The type of all of them.
    pub event_type: String,
    /// The client's transaction id.
    pub transaction_id: String,
    /// The content for each device of each user; `*` stands for all of a user's devices.
    pub messages: BTreeMap<OwnedUserId, BTreeMap<String, Box<RawValue>>>,
}

/// Why nothing was sent.
#[derive(Debug, thiserror::Error)]
pub enum SendToDeviceError {
    /// More receivers than one request may name.
    #[error("one request may not name so many devices")]
    TooMany,
    /// The content of a message is over its bound.
    #[error("a message to a device may not be so large")]
    TooLarge,
    /// Too fast.
    #[error(transparent)]
    Limited(Denial),
    /// The database failed.
    #[error("could not store the messages")]
    Storage(#[from] StorageError),
}

impl Rooms {
    /// Sends messages to devices here and elsewhere. A transaction id that was spent sends nothing.
    pub async fn send_to_device(
        &self,
        actor: &Actor,
        command: SendToDevice,
    ) -> Result<(), SendToDeviceError> {
        // A user counts also where no device of theirs is named.
        let receivers = command.messages.values().map(|devices| devices.len().max(1));
        if receivers.sum::<usize>() > TO_DEVICE_RECEIVERS_MAX {
            return Err(SendToDeviceError::TooMany);
        }
        if !command.messages.values().flat_map(BTreeMap::values).all(|it| letter::fits(it)) {
            return Err(SendToDeviceError::TooLarge);
        }
        let of_type = typed(&command.event_type, &command.transaction_id);
        if self.to_device_was_sent(actor, &of_type).await? {
            return Ok(());
        }
        let mut allowed = Vec::with_capacity(command.messages.len());
        let (mut charges, mut first, mut refused, mut more) = (Vec::new(), None, None, 0_usize);
        for (receiver, messages) in command.messages {
            let (weighed, decision) = self.weigh_to_device(actor, receiver).await?;
            if decision.denial().is_some() {
                more += usize::from(refused.is_some());
                refused.get_or_insert(decision);
            } else {
                charges.extend(decision.charges().iter().cloned());
                allowed.push((weighed, messages));
                first.get_or_insert(decision);
            }
        }
        // What does not get through counts as one refusal, however much it is.
        if let Some(refused) = refused {
            let counted = self.inner.ledger.refuse(&refused, more, actor.address()).await;
            counted.map_err(SendToDeviceError::Limited)?;
        }
        let rate = self.charge_to_device(charges);
        if let Some(first) = first {
            self.inner.policy.count(&first, rate);
        }
        if let RateFact::Exhausted { retry_after_ms } = rate {
            return Err(SendToDeviceError::Limited(Denial::limited(retry_after_ms)));
        }
        for (weighed, messages) in allowed {
            let letter = Letter {
                sender: actor.user_id().to_owned(),
                receiver: weighed.receiver.clone(),
                event_type: command.event_type.clone(),
                messages,
            };
            self.deliver(actor, &command.transaction_id, (letter, weighed)).await?;
        }
        // Last: a request that broke off on the way is sent again by its client, and what it did
        // not deliver then is delivered.
        self.spend_to_device(actor, &of_type).await?;
        Ok(())
    }

    /// Whether the sender may write to somebody.
    async fn weigh_to_device(
        &self,
        actor: &Actor,
        receiver: OwnedUserId,
    ) -> Result<(Weighed, Decision), StorageError> {
        let weighed = Weighed {
            knows: self.share_room(actor.user_id(), &receiver).await?,
            sender: actor.user_id().to_owned(),
            receiver,
            now: self.inner.env.now(),
            address: actor.address(),
        };
        let (policy, asked) = (self.inner.policy.current(), weighed.clone());
        let read = self.inner.store.read::<_, StorageError, _>(move |snapshot| {
            let subject = subject(snapshot, &asked.sender)?;
            Ok(asked.decide(&policy, &subject, RateFact::NotCharged))
        });
        Ok((weighed, read.await?))
    }

    /// Charges a request once for each bucket, however many receivers it has: before anything of it
    /// is delivered.
    fn charge_to_device(&self, all: Vec<Charge>) -> RateFact {
        let mut charges: Vec<Charge> = Vec::new();
        for charge in all {
            if !charges.contains(&charge) {
                charges.push(charge);
            }
        }
        self.inner.rates.take(&charges, self.inner.env.clock.monotonic())
    }

    async fn deliver(
        &self,
        actor: &Actor,
        transaction_id: &str,
        (letter, weighed): (Letter, Weighed),
    ) -> Result<(), SendToDeviceError> {
        let policies = self.inner.policy.clone();
        // What one sends to other servers keeps its order: it lies in the slot of the sender.
        let abroad = letter.receiver.server_name() != self.inner.server_name;
        let (origin, at) = (origin(actor, transaction_id), self.inner.env.now_ms());
        let owner = if abroad { &letter.sender } else { &letter.receiver };
        let slot = self.inner.store.slot_of_user(owner);
        let stored = self.inner.store.write(slot, move |tx| {
            let epoch = POLICY_EPOCH.get(tx, (0,))?.unwrap_or_default();
            let policy = policies.of_epoch(epoch);
            let subject = subject(&*tx, &letter.sender)?;
            let decision = weighed.decide(&policy, &subject, RateFact::Charged);
            // A permit that is not to be had any more drops the message like any refusal.
            let Ok(permit) = decision.permit::<kind::ToDevice>() else { return Ok(()) };
            let object = Object::User(letter.receiver.clone());
            if permit.verify(&letter.sender, &object, epoch).is_err() {
                return Ok(());
            }
            if abroad {
                return letter.queue(tx, &origin);
            }
            letter.put_once(tx, (&letter.message_id(&origin), at))?;
            Ok(())
        });
        stored.await?;
        Ok(())
    }

    /// Whether everything of this transaction was delivered before.
    async fn to_device_was_sent(&self, actor: &Actor, id: &str) -> Result<bool, StorageError> {
        let Some(device) = actor.device_id().map(ToOwned::to_owned) else { return Ok(false) };
        let (user, id) = (actor.user_id().to_owned(), id.to_owned());
        let seen = move |snapshot: &vestibule_storage::Snapshot<'_>| {
            TO_DEVICE_SENT.contains(snapshot, (&user, &device, &id))
        };
        self.inner.store.read(seen).await
    }

    /// Remembers that everything of this transaction was delivered.
    async fn spend_to_device(&self, actor: &Actor, id: &str) -> Result<(), StorageError> {
        let Some(device) = actor.device_id().map(ToOwned::to_owned) else { return Ok(()) };
        let (user, id, at) = (actor.user_id().to_owned(), id.to_owned(), self.inner.env.now_ms());
        let slot = self.inner.store.slot_of_user(&user);
        let spent = self.inner.store.write(slot, move |tx| {
            TO_DEVICE_SENT.put(tx, (&user, &device, &id), &at)?;
            TO_DEVICE_SENT_BY_TIME.put(tx, (at, &user, &device, &id), &())
        });
        spent.await?;
        Ok(())
    }
}

/// Whether somebody may write to somebody: what is known of it before it is written.
#[derive(Clone)]
struct Weighed {
    sender: OwnedUserId,
    receiver: OwnedUserId,
    /// Whether they share a room.
    knows: bool,
    now: MilliSecondsSinceUnixEpoch,
    address: Option<IpAddr>,
}

impl Weighed {
    fn decide(&self, policy: &Policy, subject: &Subject, rate: RateFact) -> Decision {
        let action = Action::ToDevice { target: &self.receiver };
        let request = Request::new(subject, action, self.now, self.address);
        let facts = Facts { shares_room: Some(self.knows), rate, ..Facts::default() };
        policy.decide(&facts, &request)
    }
}

/// A transaction id with the type it was used for: one that was spent on another says nothing.
fn typed(event_type: &str, transaction_id: &str) -> String {
    format!("{}/{event_type}/{transaction_id}", event_type.len())
}

/// What makes a request of a device unlike every other.
fn origin(actor: &Actor, transaction_id: &str) -> String {
    let device = actor.device_id().map(ToString::to_string).unwrap_or_default();
    format!("{device}/{transaction_id}")
}
