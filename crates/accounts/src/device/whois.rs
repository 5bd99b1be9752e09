//! Where and when the devices of an account were last seen.

use ruma::{OwnedDeviceId, UserId};
use tracing::instrument;
use vestibule_policy::{Ability, Denial, Reason};
use vestibule_storage::{
    Read, StorageError,
    tables::account::{AGENT_BY_DEVICE, DEVICE_BY_USER, SEEN_BY_DEVICE},
};
use vestibule_types::{Actor, limits};

use super::dehydrated::dehydrated_device;
use crate::{Accounts, facts, seen::Seeing};

/// The newest trace of one device.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct DeviceTrace {
    /// The device.
    pub device_id: OwnedDeviceId,
    /// When it was seen, in milliseconds since the Unix epoch; `None` when it never made a request.
    pub at: Option<u64>,
    /// The address it came from.
    pub address: Option<String>,
    /// What it called itself.
    pub user_agent: Option<String>,
}

/// Why nothing is told of an account.
#[derive(Debug, thiserror::Error)]
pub enum WhoisError {
    /// It is somebody else's, and the caller is no admin.
    #[error(transparent)]
    Denied(#[from] Denial),
    /// There is no such account here.
    #[error("there is no such account")]
    UnknownUser,
    /// It could not be read.
    #[error("could not read the devices")]
    Storage(#[from] StorageError),
}

impl Accounts {
    /// Where and when the devices of an account were last seen, for its owner or an admin. Who may not
    /// know is refused before anything is looked up.
    #[instrument(name = "accounts.device.whois", skip_all)]
    pub async fn whois(
        &self,
        actor: &Actor,
        user_id: &UserId,
    ) -> Result<Vec<DeviceTrace>, WhoisError> {
        let policy = self.0.policy.current();
        let class = policy.class(actor.class());
        let admin = class.is_some_and(|class| class.may(Ability::Administer));
        if actor.user_id() != user_id && !admin {
            let what = "class \"admin\", or asking about oneself";
            return Err(Denial::new(Reason::EndpointNotInClass, actor.is_guest(), what).into());
        }
        let user = user_id.to_owned();
        let traces = self.0.store.read(move |read| traces(read, &user)).await?;
        let traces = traces.ok_or(WhoisError::UnknownUser)?.into_iter();
        Ok(traces.map(|trace| self.newest(user_id, trace)).collect())
    }

    /// What was seen since the last flush counts.
    fn newest(&self, user_id: &UserId, trace: DeviceTrace) -> DeviceTrace {
        match self.0.sightings.get(user_id, &trace.device_id) {
            Some(Seeing { seen, user_agent }) => DeviceTrace {
                at: Some(seen.at),
                address: seen.address,
                user_agent,
                device_id: trace.device_id,
            },
            None => trace,
        }
    }
}

fn traces(read: &impl Read, user_id: &UserId) -> Result<Option<Vec<DeviceTrace>>, StorageError> {
    if facts::account(read, user_id)?.is_none() {
        return Ok(None);
    }
    let mut devices = DEVICE_BY_USER.scan(read, (user_id,), limits::DEVICES_PER_USER_MAX)?;
    // Nobody is logged in on it.
    let dehydrated = dehydrated_device(read, user_id)?.map(|device| device.device_id);
    devices.retain(|((_, device_id), _)| Some(device_id) != dehydrated.as_ref());
    let keys = || devices.iter().map(|((_, device), _)| (user_id, device));
    let seen = SEEN_BY_DEVICE.multi_get(read, keys())?;
    let agents = AGENT_BY_DEVICE.multi_get(read, keys())?;
    let traces =
        devices.iter().zip(seen).zip(agents).map(|((((_, device_id), _), seen), agent)| {
            let (at, address) = seen.map_or((None, None), |seen| (Some(seen.at), seen.address));
            DeviceTrace { device_id: device_id.clone(), at, address, user_agent: agent }
        });
    Ok(Some(traces.collect()))
}
