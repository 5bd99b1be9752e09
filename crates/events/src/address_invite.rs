//! Invitations by an address that an identity server knows (client-server API, "Third-party
//! invites"): which of the keys an invitation names signed that a user owns the address.

use ruma::{
    CanonicalJsonObject, CanonicalJsonValue,
    serde::{
        Base64,
        base64::{Standard, UrlSafe},
    },
    signatures::{self, to_canonical_json_string_for_signing},
};
use serde::Deserialize;
use vestibule_types::limits::{ADDRESS_INVITE_KEYS_MAX, ADDRESS_SIGNATURES_MAX};

/// A key of an identity server, as `m.room.third_party_invite` names it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct AddressKey {
    /// The key, as it is written.
    pub public_key: String,
    /// Where to ask whether it was revoked; a key without that is good for ever.
    pub validity_url: Option<String>,
}

#[derive(Deserialize)]
struct InviteContent {
    public_key: Option<String>,
    key_validity_url: Option<String>,
    #[serde(default)]
    public_keys: Vec<KeyContent>,
}

#[derive(Deserialize)]
struct KeyContent {
    public_key: String,
    key_validity_url: Option<String>,
}

/// The keys that the content of an `m.room.third_party_invite` names, up to
/// [`ADDRESS_INVITE_KEYS_MAX`]. None when it is not such a content, as that of an invitation taken
/// back.
#[must_use]
pub fn address_keys(content: &str) -> Vec<AddressKey> {
    let Ok(content) = serde_json::from_str::<InviteContent>(content) else { return Vec::new() };
    let InviteContent { public_key, key_validity_url, public_keys } = content;
    let first = public_key.map(|public_key| KeyContent { public_key, key_validity_url });
    let keys = public_keys.into_iter().chain(first).filter(|key| !key.public_key.is_empty());
    keys.take(ADDRESS_INVITE_KEYS_MAX)
        .map(|key| AddressKey {
            public_key: key.public_key,
            validity_url: key.key_validity_url.filter(|url| !url.is_empty()),
        })
        .collect()
}

/// Those of the keys by which an object is signed, whatever names its signatures go by.
#[must_use]
pub fn address_keys_that_signed(
    signed: &CanonicalJsonObject,
    keys: &[AddressKey],
) -> Vec<AddressKey> {
    let Ok(text) = to_canonical_json_string_for_signing(signed) else { return Vec::new() };
    let made = signatures_of(signed);
    let good = |key: &&AddressKey| {
        public_key(&key.public_key).is_some_and(|key| {
            let holds = |(algorithm, signature): &(_, Vec<u8>)| {
                let text = text.as_bytes();
                signatures::verify_canonical_json_bytes(algorithm, &key, signature, text).is_ok()
            };
            made.iter().any(holds)
        })
    };
    keys.iter().filter(good).cloned().collect()
}

fn signatures_of(signed: &CanonicalJsonObject) -> Vec<(ruma::SigningKeyAlgorithm, Vec<u8>)> {
    let Some(CanonicalJsonValue::Object(servers)) = signed.get("signatures") else {
        return Vec::new();
    };
    let of_servers = servers.values().filter_map(CanonicalJsonValue::as_object);
    let parsed = |(key_id, signature): (&String, &CanonicalJsonValue)| {
        let (algorithm, _) = key_id.split_once(':')?;
        let signature = Base64::<Standard>::parse(signature.as_str()?).ok()?;
        Some((algorithm.into(), signature.into_inner()))
    };
    of_servers.flatten().filter_map(parsed).take(ADDRESS_SIGNATURES_MAX).collect()
}

/// Either alphabet of base64 will do.
fn public_key(text: &str) -> Option<Vec<u8>> {
    let standard = Base64::<Standard>::parse(text).map(Base64::into_inner);
    standard.or_else(|_| Base64::<UrlSafe>::parse(text).map(Base64::into_inner)).ok()
}

#[cfg(test)]
mod tests {
    use ruma::server_name;
    use serde_json::json;

    use super::*;
    use crate::SigningKey;

    fn signed_by(key: &SigningKey) -> CanonicalJsonObject {
        let mut signed: CanonicalJsonObject =
            serde_json::from_value(json!({ "mxid": "@alice:a", "token": "t" })).unwrap();
        key.sign_json(server_name!("id.a"), &mut signed).unwrap();
        signed
    }

    #[test]
    fn the_keys_that_signed_are_found_among_those_of_the_invitation() {
        let [one, other] = [1, 2].map(|it| SigningKey::from_seed([it; 32], "0").unwrap());
        let content = json!({
            "display_name": "a...",
            "public_key": one.public_key(), "key_validity_url": "https://id.a/valid",
            "public_keys": [{ "public_key": other.public_key() }],
        });
        let keys = address_keys(&content.to_string());
        assert_eq!(keys.len(), 2);
        let found = address_keys_that_signed(&signed_by(&one), &keys);
        let expected = AddressKey {
            public_key: one.public_key(),
            validity_url: Some("https://id.a/valid".to_owned()),
        };
        assert_eq!(found, [expected]);
        let found = address_keys_that_signed(&signed_by(&other), &keys);
        assert_eq!(found, [AddressKey { public_key: other.public_key(), validity_url: None }]);
    }

    #[test]
    fn nothing_signs_what_was_changed_afterwards_or_by_somebody_else() {
        let [one, other] = [1, 2].map(|it| SigningKey::from_seed([it; 32], "0").unwrap());
        let key = AddressKey { public_key: one.public_key(), validity_url: None };
        let keys = [key, AddressKey { public_key: "no key".to_owned(), validity_url: None }];
        assert_eq!(address_keys_that_signed(&signed_by(&other), &keys), []);
        let mut changed = signed_by(&one);
        assert_eq!(address_keys_that_signed(&changed, &keys).len(), 1);
        changed.insert("mxid".to_owned(), CanonicalJsonValue::String("@mallory:a".to_owned()));
        assert_eq!(address_keys_that_signed(&changed, &keys), []);
        changed.remove("signatures");
        assert_eq!(address_keys_that_signed(&changed, &keys), []);
    }

    #[test]
    fn an_invitation_that_was_taken_back_names_no_key() {
        assert_eq!(address_keys("{}"), []);
        assert_eq!(address_keys(r#"{"public_key":1}"#), []);
    }

    #[test]
    fn a_key_may_be_written_in_either_alphabet() {
        let one = SigningKey::from_seed([3; 32], "0").unwrap();
        let url_safe = one.public_key().replace('+', "-").replace('/', "_");
        let keys = [AddressKey { public_key: url_safe, validity_url: None }];
        assert_eq!(address_keys_that_signed(&signed_by(&one), &keys), keys);
    }
}
