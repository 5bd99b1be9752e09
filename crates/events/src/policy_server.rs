//! Signatures of policy servers (server-server API, "Policy Servers").

use ruma::{
    CanonicalJsonValue, ServerName,
    events::room::policy::{POLICY_SERVER_ED25519_SIGNING_KEY_ID, RoomPolicyEventContent},
    serde::Base64,
    signatures,
};

use crate::{Pdu, PduError, Verified};

/// Whether a policy server signed an event with the key that the room's state has for it. The event
/// that names a policy server needs no signature of one.
#[must_use]
pub fn is_recommended(pdu: &Pdu, via: &ServerName, ed25519: &str) -> bool {
    let (Ok(key), Ok(object)) = (Base64::parse(ed25519), pdu.to_object()) else { return false };
    let policy = RoomPolicyEventContent::new(via.to_owned(), key);
    signatures::verify_policy_server_signature(&policy, &object, pdu.version().rules()).is_ok()
}

impl Pdu {
    /// The event with the signature of a policy server, beside those it has. The event id does not
    /// change.
    pub fn with_policy_signature(
        &self,
        via: &ServerName,
        signature: &str,
    ) -> Result<Self, PduError> {
        signed(self, via, signature)
    }

    /// The same with the signature that another copy of the event has. Without one it stays as it is.
    pub fn with_policy_signature_of(
        &self,
        other: &Self,
        via: &ServerName,
    ) -> Result<Self, PduError> {
        let object = other.to_object()?;
        match object.get("signatures").and_then(|signatures| signature_of(signatures, via)) {
            Some(signature) => self.with_policy_signature(via, signature),
            None => Ok(self.clone()),
        }
    }
}

/// The signature of a policy server among those of an event.
fn signature_of<'s>(signatures: &'s CanonicalJsonValue, via: &ServerName) -> Option<&'s str> {
    let of_server = signatures.as_object()?.get(via.as_str())?.as_object()?;
    of_server.get(POLICY_SERVER_ED25519_SIGNING_KEY_ID)?.as_str()
}

impl Verified {
    /// The event with the signature of a policy server, beside those it has. The event id does not
    /// change, nor what is known of its other signatures.
    pub fn with_policy_signature(
        &self,
        via: &ServerName,
        signature: &str,
    ) -> Result<Self, PduError> {
        Ok(Self { pdu: signed(&self.pdu, via, signature)?, whole: self.whole })
    }
}

fn signed(pdu: &Pdu, via: &ServerName, signature: &str) -> Result<Pdu, PduError> {
    let mut object = pdu.to_object()?;
    if let Some(CanonicalJsonValue::Object(signatures)) = object.get_mut("signatures") {
        let nothing = || CanonicalJsonValue::Object(ruma::CanonicalJsonObject::new());
        let of_server = signatures.entry(via.to_string()).or_insert_with(nothing);
        if let CanonicalJsonValue::Object(of_server) = of_server {
            let signature = CanonicalJsonValue::String(signature.to_owned());
            of_server.insert(POLICY_SERVER_ED25519_SIGNING_KEY_ID.to_owned(), signature);
        }
    }
    crate::format::check_size(&object)?;
    let json = serde_json::to_vec(&object)?.into();
    let signed = Pdu::from_stored(pdu.event_id().clone(), json, pdu.version())?;
    Ok(signed.with_rejected(pdu.rejected()))
}

#[cfg(test)]
mod tests {
    use ruma::{MilliSecondsSinceUnixEpoch, server_name, uint, user_id};

    use super::*;
    use crate::{EventBuilder, RoomVersion, SigningKey};

    fn event(version: RoomVersion) -> Pdu {
        let builder = EventBuilder {
            room_id: Some("!room:a".try_into().unwrap()),
            sender: user_id!("@alice:a").to_owned(),
            event_type: "m.room.message".to_owned(),
            state_key: None,
            content: serde_json::from_str(r#"{"body":"hello"}"#).unwrap(),
            origin_server_ts: MilliSecondsSinceUnixEpoch(uint!(1)),
            prev_events: vec!["$before".try_into().unwrap()],
            auth_events: Vec::new(),
            depth: 2,
            redacts: None,
        };
        let key = SigningKey::from_seed([1; 32], "a").unwrap();
        builder.build_and_sign(version, &key, server_name!("a")).unwrap()
    }

    /// The signature a policy server with this key makes.
    fn signature(pdu: &Pdu, key: &SigningKey) -> String {
        let mut redacted = crate::redact(pdu).unwrap().to_object().unwrap();
        redacted.remove("signatures");
        key.sign_json(server_name!("policy.a"), &mut redacted).unwrap();
        let signatures = redacted["signatures"].as_object().unwrap();
        let of_server = signatures["policy.a"].as_object().unwrap();
        of_server["ed25519:policy_server"].as_str().unwrap().to_owned()
    }

    #[test]
    fn an_event_is_recommended_by_the_key_of_the_room_and_no_other() {
        let via = server_name!("policy.a");
        for version in [RoomVersion::V6, RoomVersion::V12] {
            let [right, wrong] =
                [[7; 32], [8; 32]].map(|it| SigningKey::from_seed(it, "policy_server").unwrap());
            let pdu = event(version);
            let key = right.public_key();
            assert!(!is_recommended(&pdu, via, &key));
            let recommended = signed(&pdu, via, &signature(&pdu, &right)).unwrap();
            assert_eq!(recommended.event_id(), pdu.event_id());
            assert!(is_recommended(&recommended, via, &key));
            assert!(!is_recommended(&recommended, server_name!("other.a"), &key));
            assert!(!is_recommended(&recommended, via, &wrong.public_key()));
            assert!(!is_recommended(&recommended, via, "no key"));
            let forged = signed(&pdu, via, &signature(&pdu, &wrong)).unwrap();
            assert!(!is_recommended(&forged, via, &key));
        }
    }
}
