//! Messages from device to device. They reach those whom the sender's class may reach: for scoped
//! classes, people with whom a room in their scope is shared. What does not get through is dropped
//! without a word to the sender, and noted for the operator.

mod abroad;

use std::{collections::BTreeMap, net::IpAddr};

use ruma::{MilliSecondsSinceUnixEpoch, OwnedDeviceId, OwnedUserId};
use serde_json::value::RawValue;
use vestibule_accounts::Acquaintance;
use vestibule_policy::{Action, Decision, Facts, Object, Policy, RateFact, Request, Subject, kind};
use vestibule_storage::{
    StorageError, Tx,
    tables::{
        account::DEVICE_BY_USER,
        policy::POLICY_EPOCH,
        room::{STREAM, StoredNews},
        to_device::{
            StoredToDevice, TO_DEVICE, TO_DEVICE_COUNT, TO_DEVICE_SENT, TO_DEVICE_SENT_BY_TIME,
        },
    },
};
use vestibule_types::{
    Actor,
    limits::{DEVICES_PER_USER_MAX, TO_DEVICE_RECEIVERS_MAX, TO_DEVICE_WAITING_MAX},
};

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
    /// Too fast.
    #[error(transparent)]
    Limited(vestibule_policy::Denial),
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
        if self.to_device_was_sent(actor, &command.transaction_id).await? {
            return Ok(());
        }
        let mut allowed = Vec::with_capacity(command.messages.len());
        let (mut refused, mut more) = (None, 0_usize);
        for (receiver, messages) in command.messages {
            let (weighed, decision) = self.weigh_to_device(actor, receiver).await?;
            if decision.denial().is_some() {
                more += usize::from(refused.is_some());
                refused.get_or_insert(decision);
            } else {
                allowed.push((weighed, decision, messages));
            }
        }
        // What does not get through counts as one refusal, however much it is.
        if let Some(first) = refused {
            let counted = self.refuse(&first, more, actor.address()).await;
            counted.map_err(SendToDeviceError::Limited)?;
        }
        for (weighed, decision, messages) in allowed {
            let letter = Letter {
                sender: actor.user_id().to_owned(),
                receiver: weighed.receiver.clone(),
                event_type: command.event_type.clone(),
                messages,
            };
            self.charge_to_device(&decision)?;
            self.deliver(actor, &command.transaction_id, (letter, weighed)).await?;
        }
        // Last: a request that broke off on the way is sent again by its client, and what it did
        // not deliver then is delivered.
        self.spend_to_device(actor, &command.transaction_id).await?;
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

    fn charge_to_device(&self, decision: &Decision) -> Result<(), SendToDeviceError> {
        match self.inner.rates.take(decision.charges(), self.inner.env.clock.monotonic()) {
            RateFact::Exhausted { retry_after_ms } => {
                let denial = vestibule_policy::Denial::limited(retry_after_ms);
                Err(SendToDeviceError::Limited(denial))
            }
            RateFact::NotCharged | RateFact::Charged => Ok(()),
        }
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
        let origin = origin(actor, transaction_id);
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
            if abroad { letter.queue(tx, &origin) } else { letter.put(tx) }
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

/// What makes a request of a device unlike every other.
fn origin(actor: &Actor, transaction_id: &str) -> String {
    let device = actor.device_id().map(ToString::to_string).unwrap_or_default();
    format!("{device}/{transaction_id}")
}

/// Messages for one user.
pub(crate) struct Letter {
    pub(crate) sender: OwnedUserId,
    pub(crate) receiver: OwnedUserId,
    pub(crate) event_type: String,
    pub(crate) messages: BTreeMap<String, Box<RawValue>>,
}

impl Letter {
    pub(crate) fn put(&self, tx: &mut Tx<'_>) -> Result<(), StorageError> {
        let devices = DEVICE_BY_USER.scan(tx, (&self.receiver,), DEVICES_PER_USER_MAX)?;
        let mut delivered = false;
        for ((_, device), _) in devices {
            let own = self.messages.get(device.as_str()).or_else(|| self.messages.get("*"));
            let Some(content) = own else { continue };
            if TO_DEVICE_COUNT.get(tx, (&self.receiver, &device))? >= TO_DEVICE_WAITING_MAX {
                tracing::warn!("a device that reads nothing loses messages");
                continue;
            }
            self.put_for(tx, &device, content)?;
            delivered = true;
        }
        if delivered {
            let (slot, stamp) = (tx.slot().0, tx.next_stamp());
            STREAM.put(tx, (slot, stamp), &StoredNews::User { user: self.receiver.clone() })?;
        }
        Ok(())
    }

    fn put_for(
        &self,
        tx: &mut Tx<'_>,
        device: &OwnedDeviceId,
        content: &RawValue,
    ) -> Result<(), StorageError> {
        let row = StoredToDevice {
            sender: self.sender.clone(),
            event_type: self.event_type.clone(),
            content: content.get().to_owned(),
        };
        let stamp = tx.next_stamp();
        TO_DEVICE.put(tx, (&self.receiver, device, stamp), &row)?;
        TO_DEVICE_COUNT.add(tx, (&self.receiver, device), 1)
    }
}
