//! The `Authorization` header of servers (server-server API, "Request Authentication").

use std::collections::BTreeMap;

use http::{HeaderMap, header};
use ruma::{
    OwnedServerName, OwnedServerSigningKeyId,
    serde::{Base64, base64::Standard},
};
use vestibule_types::limits::REQUEST_SIGNATURES_MAX;

const SCHEME: &str = "X-Matrix";

/// Who says they sent a request, to whom, and what they signed it with.
#[derive(Clone, Debug, PartialEq)]
pub(crate) struct Credentials {
    /// The sending server.
    pub(crate) origin: OwnedServerName,
    /// The server it is meant for; old servers leave it out.
    pub(crate) destination: Option<OwnedServerName>,
    /// The signatures, by key id.
    pub(crate) signatures: BTreeMap<String, Base64<Standard>>,
}

/// Why there are no credentials.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub(crate) enum CredentialsError {
    /// No header of this scheme.
    #[error("no X-Matrix authorization")]
    Missing,
    /// A header that is not understood, or headers that contradict each other.
    #[error("malformed X-Matrix authorization")]
    Malformed,
}

impl Credentials {
    /// Reads every header of the scheme: a server that changes its key may sign with both.
    pub(crate) fn of(headers: &HeaderMap) -> Result<Self, CredentialsError> {
        let values = headers.get_all(header::AUTHORIZATION).iter();
        let mut parameters =
            values.filter_map(|value| after_scheme(value.to_str().ok()?)).map(Parameters::parse);
        let first = parameters.next().ok_or(CredentialsError::Missing)??;
        let Parameters { origin, destination, key, sig } = first;
        let mut credentials =
            Self { origin, destination, signatures: BTreeMap::from([(key, sig)]) };
        for other in parameters {
            let Parameters { origin, destination, key, sig } = other?;
            let agrees = origin == credentials.origin && destination == credentials.destination;
            if !agrees || credentials.signatures.len() >= REQUEST_SIGNATURES_MAX {
                return Err(CredentialsError::Malformed);
            }
            credentials.signatures.insert(key, sig);
        }
        Ok(credentials)
    }
}

/// What follows the scheme, if it is ours.
fn after_scheme(value: &str) -> Option<&str> {
    let (scheme, rest) = value.trim_start().split_once([' ', '\t'])?;
    scheme.eq_ignore_ascii_case(SCHEME).then_some(rest)
}

/// One header.
struct Parameters {
    origin: OwnedServerName,
    destination: Option<OwnedServerName>,
    key: String,
    sig: Base64<Standard>,
}

impl Parameters {
    fn parse(text: &str) -> Result<Self, CredentialsError> {
        let mut by_name = pairs(text)?;
        let mut take = |name: &str| by_name.remove(name);
        let mut needed = |name: &str| take(name).ok_or(CredentialsError::Malformed);
        let (origin, key, sig) = (needed("origin")?, needed("key")?, needed("sig")?);
        let destination = take("destination");
        let malformed = |_| CredentialsError::Malformed;
        let key = OwnedServerSigningKeyId::try_from(key).map_err(malformed)?;
        Ok(Self {
            origin: origin.try_into().map_err(malformed)?,
            destination: destination.map(TryInto::try_into).transpose().map_err(malformed)?,
            key: key.to_string(),
            sig: Base64::parse(sig).map_err(|_| CredentialsError::Malformed)?,
        })
    }
}

/// The parameters, by name in lower case. Values without quotes may hold anything but white space and
/// commas: old servers write colons there.
fn pairs(mut text: &str) -> Result<BTreeMap<String, String>, CredentialsError> {
    let mut by_name = BTreeMap::new();
    loop {
        text = text.trim_start_matches([' ', '\t', ',']);
        if text.is_empty() {
            return Ok(by_name);
        }
        let (name, rest) = text.split_once('=').ok_or(CredentialsError::Malformed)?;
        let rest = rest.trim_start_matches([' ', '\t']);
        let (value, rest) = if let Some(quoted) = rest.strip_prefix('"') {
            unquote(quoted)?
        } else {
            let end = rest.find([',', ' ', '\t']).unwrap_or(rest.len());
            let (value, rest) = rest.split_at(end);
            (value.to_owned(), rest)
        };
        let rest = rest.trim_start_matches([' ', '\t']);
        let ended = rest.is_empty() || rest.starts_with(',');
        let name = name.trim_end_matches([' ', '\t']).to_ascii_lowercase();
        if !ended || by_name.insert(name, value).is_some() {
            return Err(CredentialsError::Malformed);
        }
        text = rest;
    }
}

/// A quoted value, unescaped, and what follows it.
fn unquote(quoted: &str) -> Result<(String, &str), CredentialsError> {
    let mut value = String::new();
    let mut characters = quoted.char_indices();
    while let Some((at, character)) = characters.next() {
        match character {
            '"' => return Ok((value, quoted.get(at + 1..).unwrap_or_default())),
            '\\' => value.extend(characters.next().map(|(_, escaped)| escaped)),
            _ => value.push(character),
        }
    }
    Err(CredentialsError::Malformed)
}

#[cfg(test)]
mod tests {
    use http::HeaderValue;

    use super::*;

    fn read(headers: &[&str]) -> Result<Credentials, CredentialsError> {
        let mut map = HeaderMap::new();
        for header in headers {
            map.append(header::AUTHORIZATION, HeaderValue::from_str(header).unwrap());
        }
        Credentials::of(&map)
    }

    #[track_caller]
    fn check(header: &str) {
        let read = read(&[header]).unwrap();
        assert_eq!(read.origin, "a.example:8448", "{header}");
        assert_eq!(read.destination.as_deref().unwrap(), "b.example", "{header}");
        assert_eq!(read.signatures["ed25519:k_1"].as_bytes(), b"sig", "{header}");
    }

    #[test]
    fn headers_are_read_as_leniently_as_the_specification_says() {
        for header in [
            r#"X-Matrix origin="a.example:8448",destination="b.example",key="ed25519:k_1",sig="c2ln""#,
            "X-Matrix origin=a.example:8448,destination=b.example,key=ed25519:k_1,sig=c2ln",
            "x-matrix   KEY=\"ed25519:k_1\" \t,  Sig=c2ln ,origin=\"a.example:8448\"\t,destination=b.example",
            r#"X-Matrix origin="a\.example:8448",destination="b.\example",key="ed25519:\k_1",sig="c2ln",other="\"","#,
        ] {
            check(header);
        }
    }

    #[test]
    fn padding_of_the_signature_does_not_matter_and_the_destination_may_be_absent() {
        let read = read(&[r#"X-Matrix origin=a.example,key="ed25519:1",sig="c2lnbg==""#]).unwrap();
        assert_eq!(read.destination, None);
        assert_eq!(read.signatures["ed25519:1"].as_bytes(), b"sign");
    }

    #[test]
    fn several_headers_are_several_signatures_of_one_server() {
        let one = "X-Matrix origin=a.example,destination=b.example,key=ed25519:1,sig=c2ln";
        let two = "X-Matrix origin=a.example,destination=b.example,key=ed25519:2,sig=c2ln";
        let other = "X-Matrix origin=c.example,destination=b.example,key=ed25519:2,sig=c2ln";
        let both = read(&[one, "Bearer x", two]).unwrap();
        assert_eq!(both.signatures.keys().collect::<Vec<_>>(), ["ed25519:1", "ed25519:2"]);
        assert_eq!(read(&[one, other]), Err(CredentialsError::Malformed));
    }

    #[test]
    fn what_is_not_understood_is_refused() {
        assert_eq!(read(&[]), Err(CredentialsError::Missing));
        assert_eq!(read(&["Bearer token"]), Err(CredentialsError::Missing));
        for header in [
            "X-Matrix origin=a.example",
            "X-Matrix origin=a.example,key=ed25519:1,sig=c2ln,sig=c2ln",
            "X-Matrix origin=a.example,key=ed25519:1,sig=\"c2ln",
            "X-Matrix origin=a.example,key=ed25519:1,sig=***",
            "X-Matrix origin=a example,key=ed25519:1,sig=c2ln",
            "X-Matrix origin=\"\",key=ed25519:1,sig=c2ln",
            "X-Matrix origin=a.example,key=1,sig=c2ln",
            "X-Matrix nonsense",
        ] {
            assert_eq!(read(&[header]), Err(CredentialsError::Malformed), "{header}");
        }
    }
}
