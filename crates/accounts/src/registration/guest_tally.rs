//! Counting guests, exactly: every count a cap is decided from is read in the transaction that
//! writes the guest's rows, so two guests that arrive together cannot both take the last place.

use std::net::IpAddr;

use ruma::UserId;
use vestibule_policy::Counts;
use vestibule_storage::{
    Read, Scan, StorageError, Tx,
    tables::account::{
        GUEST_BY_ID, GUESTS_BY_ADDRESS, GUESTS_BY_DAY, GUESTS_LIVE, GUESTS_OF_MINUTE, StoredGuest,
        StoredTally,
    },
};

const MINUTE_MS: u64 = 60 * 1_000;
const DAY_MS: u64 = 24 * 60 * MINUTE_MS;
/// Rows of past days that one new guest clears away.
const PAST_ROWS_PER_GUEST: usize = 16;

/// The prefixes an address is counted under: an IPv4 address; the /64 and the /48 of an IPv6
/// address. None for the server's own work.
pub(crate) fn prefixes_of(address: Option<IpAddr>) -> Vec<Vec<u8>> {
    match address.map(|address| address.to_canonical()) {
        None => Vec::new(),
        Some(IpAddr::V4(ip)) => vec![ip.octets().to_vec()],
        Some(IpAddr::V6(ip)) => {
            let octets = ip.octets();
            [8, 6].iter().filter_map(|length| octets.get(..*length)).map(<[u8]>::to_vec).collect()
        }
    }
}

/// What the policy wants to know before it lets a guest in.
pub(crate) fn counts(
    read: &impl Read,
    prefixes: &[Vec<u8>],
    now: u64,
) -> Result<Counts, StorageError> {
    let live = GUESTS_LIVE.get(read, (0,))?.unwrap_or_default();
    let minute = GUESTS_OF_MINUTE.get(read, (0,))?.unwrap_or_default();
    let in_minute = if minute.period == now / MINUTE_MS { minute.count } else { 0 };
    let of = |index: usize| -> Result<(Option<u64>, Option<u64>), StorageError> {
        let Some(prefix) = prefixes.get(index) else { return Ok((None, None)) };
        let live = GUESTS_BY_ADDRESS.get(read, (prefix,))?.unwrap_or_default();
        let day = GUESTS_BY_DAY.get(read, (now / DAY_MS, prefix))?.unwrap_or_default();
        Ok((Some(live), Some(day)))
    };
    let (live_from_address, day_from_address) = of(0)?;
    let (live_from_network, day_from_network) = of(1)?;
    Ok(Counts {
        live_guests: Some(live),
        new_guests_in_minute: Some(in_minute),
        live_from_address,
        live_from_network,
        day_from_address,
        day_from_network,
        ..Counts::default()
    })
}

/// Counts a new guest.
pub(crate) fn take(
    tx: &mut Tx<'_>,
    user_id: &UserId,
    prefixes: &[Vec<u8>],
    now: u64,
) -> Result<(), StorageError> {
    let live = GUESTS_LIVE.get(tx, (0,))?.unwrap_or_default();
    GUESTS_LIVE.put(tx, (0,), &live.saturating_add(1))?;
    let mut minute = GUESTS_OF_MINUTE.get(tx, (0,))?.unwrap_or_default();
    if minute.period != now / MINUTE_MS {
        minute = StoredTally { period: now / MINUTE_MS, count: 0 };
    }
    minute.count = minute.count.saturating_add(1);
    GUESTS_OF_MINUTE.put(tx, (0,), &minute)?;
    for prefix in prefixes {
        let live = GUESTS_BY_ADDRESS.get(tx, (prefix,))?.unwrap_or_default();
        GUESTS_BY_ADDRESS.put(tx, (prefix,), &live.saturating_add(1))?;
        let day = GUESTS_BY_DAY.get(tx, (now / DAY_MS, prefix))?.unwrap_or_default();
        GUESTS_BY_DAY.put(tx, (now / DAY_MS, prefix), &day.saturating_add(1))?;
    }
    forget_past_days(tx, now)?;
    GUEST_BY_ID.put(tx, (user_id,), &StoredGuest { prefixes: prefixes.to_vec() })
}

/// Gives the place of a guest back, when it is one no more. Safe to repeat.
pub(crate) fn release(tx: &mut Tx<'_>, user_id: &UserId) -> Result<(), StorageError> {
    let Some(guest) = GUEST_BY_ID.get(tx, (user_id,))? else { return Ok(()) };
    GUEST_BY_ID.delete(tx, (user_id,))?;
    let live = GUESTS_LIVE.get(tx, (0,))?.unwrap_or_default();
    GUESTS_LIVE.put(tx, (0,), &live.saturating_sub(1))?;
    for prefix in &guest.prefixes {
        match GUESTS_BY_ADDRESS.get(tx, (prefix,))?.unwrap_or_default() {
            0 | 1 => GUESTS_BY_ADDRESS.delete(tx, (prefix,))?,
            live => GUESTS_BY_ADDRESS.put(tx, (prefix,), &(live - 1))?,
        }
    }
    Ok(())
}

fn forget_past_days(tx: &mut Tx<'_>, now: u64) -> Result<(), StorageError> {
    let scan = Scan::prefix(()).before((now / DAY_MS,)).limit(PAST_ROWS_PER_GUEST);
    for ((day, prefix), _) in GUESTS_BY_DAY.scan_with(tx, scan)? {
        GUESTS_BY_DAY.delete(tx, (day, prefix))?;
    }
    Ok(())
}
