//! Ed25519 keys and signatures of devices and users, as they stand in signed JSON objects.

use base64::{
    Engine, alphabet,
    engine::{DecodePaddingMode, GeneralPurpose, GeneralPurposeConfig},
};
use ruma::{CanonicalJsonObject, SigningKeyAlgorithm, signatures};

/// Clients write keys and signatures without padding; some write it all the same.
const LENIENT: GeneralPurpose = GeneralPurpose::new(
    &alphabet::STANDARD,
    GeneralPurposeConfig::new()
        .with_decode_allow_trailing_bits(true)
        .with_decode_padding_mode(DecodePaddingMode::Indifferent),
);

/// A public Ed25519 key.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct DeviceSigningKey([u8; 32]);

impl DeviceSigningKey {
    /// Reads 32 bytes in base64. `None` for anything else.
    #[must_use]
    pub fn from_base64(text: &str) -> Option<Self> {
        let bytes = LENIENT.decode(text).ok()?;
        bytes.try_into().ok().map(Self)
    }

    /// Whether the signature, in base64, is this key's over the object. What signatures do not
    /// cover (`signatures`, `unsigned`) plays no part.
    #[must_use]
    pub fn signed(&self, object: &CanonicalJsonObject, signature: &str) -> bool {
        let Ok(signature) = LENIENT.decode(signature) else { return false };
        let Ok(covered) = signatures::to_canonical_json_string_for_signing(object) else {
            return false;
        };
        let algorithm = SigningKeyAlgorithm::Ed25519;
        let checked = signatures::verify_canonical_json_bytes(
            &algorithm,
            &self.0,
            &signature,
            covered.as_bytes(),
        );
        checked.is_ok()
    }
}

#[cfg(test)]
mod tests {
    use ruma::{CanonicalJsonValue, server_name};

    use super::*;
    use crate::SigningKey;

    fn signed() -> (CanonicalJsonObject, String, DeviceSigningKey) {
        let key = SigningKey::from_seed([3; 32], "DEVICE").unwrap();
        let mut object = CanonicalJsonObject::new();
        object.insert("one".to_owned(), CanonicalJsonValue::String("thing".to_owned()));
        key.sign_json(server_name!("a.example"), &mut object).unwrap();
        let signature = object["signatures"].as_object().unwrap()["a.example"].as_object().unwrap()
            ["ed25519:DEVICE"]
            .as_str()
            .unwrap()
            .to_owned();
        (object, signature, DeviceSigningKey::from_base64(&key.public_key()).unwrap())
    }

    #[test]
    fn a_signature_holds_for_its_object_and_its_key_only() {
        let (mut object, signature, key) = signed();
        assert!(key.signed(&object, &signature));
        assert!(key.signed(&object, &format!("{signature}==")), "padding does not matter");
        object.insert("unsigned".to_owned(), CanonicalJsonValue::Null);
        assert!(key.signed(&object, &signature), "what is unsigned is not covered");
        let other = SigningKey::from_seed([4; 32], "DEVICE").unwrap().public_key();
        assert!(!DeviceSigningKey::from_base64(&other).unwrap().signed(&object, &signature));
        object.insert("two".to_owned(), CanonicalJsonValue::Null);
        assert!(!key.signed(&object, &signature));
    }

    #[test]
    fn what_is_no_key_and_no_signature_is_refused() {
        let (object, _, key) = signed();
        for text in ["", "ed25519+key", "AAAA", "not base64!"] {
            assert_eq!(DeviceSigningKey::from_base64(text), None, "{text}");
            assert!(!key.signed(&object, text), "{text}");
        }
    }
}
