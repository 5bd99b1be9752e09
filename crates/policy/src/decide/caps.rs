//! Layer 4: how much and how often.

use std::net::IpAddr;

use super::{Case, Trail};
use crate::{
    Action, AddressBlock, Charge, Layer, Outcome, RateFact, RateKey, RatePer, RateWho, Reason,
};

const LAYER: Layer = Layer::Caps;

/// An IPv6 /48 may hold so many times what a /64 may.
const NETWORK_FACTOR: u64 = 8;

impl Case<'_> {
    pub(super) fn caps(&self, trail: &mut Trail) {
        let guest_like = self.class.is_none_or(crate::Class::is_guest_like);
        match self.action() {
            Action::Join { .. } if guest_like => self.join_caps(trail),
            Action::RegisterGuest => self.register_caps(trail),
            _ => trail.skip(LAYER, "caps", "not capped"),
        }
    }

    fn join_caps(&self, trail: &mut Trail) {
        let (counts, caps) = (&self.facts.counts, &self.policy.guests.caps);
        cap(trail, "rooms_each", counts.rooms_joined, caps.rooms_each, Reason::CapRoomsEach);
        cap(trail, "per_room", counts.guests_in_room, caps.per_room, Reason::CapPerRoom);
    }

    fn register_caps(&self, trail: &mut Trail) {
        let (counts, caps) = (&self.facts.counts, &self.policy.guests.caps);
        cap(trail, "live", counts.live_guests, caps.live, Reason::CapLive);
        let in_minute = counts.new_guests_in_minute;
        cap(trail, "new_per_minute", in_minute, caps.new_per_minute, Reason::CapNewPerMinute);
        let Some(ip) = self.request.ip else {
            let what = "a request whose address is known";
            trail.refuse((LAYER, "per_ip"), Reason::CapUnknown, "the address is not known", what);
            return;
        };
        cap(trail, "per_ip", counts.live_from_address, caps.per_ip, Reason::CapPerIp);
        let day = counts.day_from_address;
        cap(trail, "per_ip_per_day", day, caps.per_ip_per_day, Reason::CapPerIpPerDay);
        if matches!(ip.to_canonical(), IpAddr::V6(_)) {
            let live_max = caps.per_ip.saturating_mul(NETWORK_FACTOR);
            cap(trail, "per_ip /48", counts.live_from_network, live_max, Reason::CapPerIp);
            let day_max = caps.per_ip_per_day.saturating_mul(NETWORK_FACTOR);
            let day = counts.day_from_network;
            cap(trail, "per_ip_per_day /48", day, day_max, Reason::CapPerIpPerDay);
        }
    }

    /// The buckets to charge for this, if it is not refused.
    pub(super) fn charges(&self) -> Vec<Charge> {
        let (Some(class), Some(key)) = (self.class, rate_key(self.action())) else {
            return Vec::new();
        };
        class
            .rates(key)
            .iter()
            .map(|rate| Charge {
                class: class.name.clone(),
                key,
                who: self.sharers(rate.per),
                rate: *rate,
            })
            .collect()
    }

    fn sharers(&self, per: RatePer) -> RateWho {
        let subject = || RateWho::Subject(self.request.subject.user_id.clone());
        match per {
            RatePer::Subject => subject(),
            RatePer::Ip => self
                .request
                .ip
                .map_or_else(subject, |address| RateWho::Address(AddressBlock::of(address))),
            RatePer::Room => {
                self.action().room().map_or_else(subject, |room| RateWho::Room(room.to_owned()))
            }
            RatePer::Server => {
                let server = match self.action() {
                    Action::ToDevice { target }
                    | Action::QueryKeys { target }
                    | Action::ClaimKeys { target }
                    | Action::LookupProfile { target } => Some(target.server_name()),
                    Action::Invite { target, .. } => Some(target.user_id().server_name()),
                    Action::ResolveRemoteAlias { alias } => Some(alias.server_name()),
                    Action::BrowseRemoteDirectory { server } => Some(server),
                    _ => None,
                };
                server.map_or(RateWho::Class, |server| RateWho::Server(server.to_owned()))
            }
            RatePer::Class => RateWho::Class,
        }
    }

    pub(super) fn rates(&self, charges: &[Charge], trail: &mut Trail) {
        let Some(charge) = charges.first() else {
            trail.skip(LAYER, "rates", "no rate applies");
            return;
        };
        let evidence = format!("{}: {}", charge.key.name(), charge.rate);
        match self.facts.rate {
            RateFact::Charged => trail.pass(LAYER, "rates", evidence),
            RateFact::NotCharged => {
                trail.push(
                    LAYER,
                    "rates",
                    Outcome::NotConcerned,
                    format!("{evidence}; not charged yet").into(),
                );
            }
            RateFact::Exhausted { retry_after_ms } => {
                let what = format!("waiting {retry_after_ms} ms");
                trail.refuse((LAYER, "rates"), Reason::RateLimited, evidence, what);
            }
        }
    }
}

fn cap(trail: &mut Trail, rule: &'static str, count: Option<u64>, most: u64, reason: Reason) {
    match count {
        Some(count) if count < most => trail.pass(LAYER, rule, format!("{count} of {most}")),
        Some(count) => {
            let what = format!("[guests.caps] {rule} above {most}, or fewer of them");
            trail.refuse((LAYER, rule), reason, format!("{count} of {most}"), what);
        }
        None => {
            let what = "the count being known";
            trail.refuse((LAYER, rule), Reason::CapUnknown, "the count is not known", what);
        }
    }
}

fn rate_key(action: Action<'_>) -> Option<RateKey> {
    Some(match action {
        Action::SendEvent { .. }
        | Action::SendState { .. }
        | Action::Redact { .. }
        | Action::Kick { .. }
        | Action::Ban { .. }
        | Action::Unban { .. } => RateKey::Message,
        Action::Join { .. } | Action::Knock { .. } => RateKey::Join,
        Action::RedeemGuestLink { .. } => RateKey::GuestLink,
        Action::Leave { .. } => RateKey::Leave,
        Action::Invite { .. } => RateKey::Invite,
        Action::CreateRoom { .. } | Action::UpgradeRoom { .. } => RateKey::CreateRoom,
        Action::CreateAlias { .. }
        | Action::DeleteAlias { .. }
        | Action::MoveAlias { .. }
        | Action::Publish { .. } => RateKey::Alias,
        Action::SetDisplayname { .. }
        | Action::Rename { .. }
        | Action::SetAvatar
        | Action::SetProfileField => RateKey::Profile,
        Action::Typing { .. } | Action::Receipt { .. } | Action::ReadMarker { .. } => {
            RateKey::Typing
        }
        Action::Report => RateKey::Report,
        Action::UploadKeys | Action::QueryKeys { .. } | Action::ClaimKeys { .. } => RateKey::Keys,
        Action::ToDevice { .. } => RateKey::ToDevice,
        Action::Upload => RateKey::Upload,
        Action::LookupProfile { .. }
        | Action::SearchUsers
        | Action::SearchMessages
        | Action::PreviewUrl
        | Action::ResolveRemoteAlias { .. }
        | Action::BrowseRemoteDirectory { .. }
        | Action::Peek { .. } => RateKey::Lookup,
        Action::AccountData => RateKey::AccountData,
        Action::Stay { .. }
        | Action::Discover { .. }
        | Action::BeInvited { .. }
        | Action::Logout
        | Action::Deactivate
        | Action::RegisterGuest
        | Action::AssignClass { .. }
        | Action::AdoptAlias { .. }
        | Action::ApproveSpaceChild { .. }
        | Action::ManageGuestLinks { .. }
        | Action::BlockRoom { .. } => return None,
    })
}
