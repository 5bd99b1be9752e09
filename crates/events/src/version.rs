//! Which room versions exist and which of them are spoken here.

use std::{fmt, str::FromStr};

use ruma::{RoomVersionId, room_version_rules::RoomVersionRules};
use serde::{Deserialize, Deserializer, Serialize, Serializer};

/// A room version whose rules are implemented: 3 to 12.
///
/// Versions 1 and 2 carry the event id inside the event and name parents by id and hash, and version
/// 1 resolves state by an algorithm of its own. They have their own error, so that a client can be told
/// the difference between "not yet" and "no such thing".
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct RoomVersion(u8);

/// Why a version is not spoken here.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum RoomVersionError {
    /// Known to the specification, but its event format is not implemented.
    #[error("room version {0} is not supported yet")]
    NotSupportedYet(RoomVersionId),
    /// No such version is known.
    #[error("room version {0:?} is not known")]
    Unknown(String),
}

impl RoomVersion {
    /// Version 3.
    pub const V3: Self = Self(3);
    /// Version 4.
    pub const V4: Self = Self(4);
    /// Version 5.
    pub const V5: Self = Self(5);
    /// Version 6.
    pub const V6: Self = Self(6);
    /// Version 7.
    pub const V7: Self = Self(7);
    /// Version 8.
    pub const V8: Self = Self(8);
    /// Version 9.
    pub const V9: Self = Self(9);
    /// Version 10.
    pub const V10: Self = Self(10);
    /// Version 11.
    pub const V11: Self = Self(11);
    /// Version 12.
    pub const V12: Self = Self(12);
    /// The version a room gets when its creator names none.
    pub const DEFAULT: Self = Self::V12;
    /// Every supported version, oldest first.
    pub const ALL: [Self; 10] = [
        Self::V3,
        Self::V4,
        Self::V5,
        Self::V6,
        Self::V7,
        Self::V8,
        Self::V9,
        Self::V10,
        Self::V11,
        Self::V12,
    ];

    /// The rules of this version.
    #[must_use]
    pub const fn rules(self) -> &'static RoomVersionRules {
        match self.0 {
            3 => &RoomVersionRules::V3,
            4 => &RoomVersionRules::V4,
            5 => &RoomVersionRules::V5,
            6 => &RoomVersionRules::V6,
            7 => &RoomVersionRules::V7,
            8 => &RoomVersionRules::V8,
            9 => &RoomVersionRules::V9,
            10 => &RoomVersionRules::V10,
            11 => &RoomVersionRules::V11,
            _ => &RoomVersionRules::V12,
        }
    }

    /// The identifier as it appears in a create event.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self.0 {
            3 => "3",
            4 => "4",
            5 => "5",
            6 => "6",
            7 => "7",
            8 => "8",
            9 => "9",
            10 => "10",
            11 => "11",
            _ => "12",
        }
    }

    /// The identifier as `ruma` knows it.
    #[must_use]
    pub const fn id(self) -> RoomVersionId {
        match self.0 {
            3 => RoomVersionId::V3,
            4 => RoomVersionId::V4,
            5 => RoomVersionId::V5,
            6 => RoomVersionId::V6,
            7 => RoomVersionId::V7,
            8 => RoomVersionId::V8,
            9 => RoomVersionId::V9,
            10 => RoomVersionId::V10,
            11 => RoomVersionId::V11,
            _ => RoomVersionId::V12,
        }
    }

    /// Whether the room id is made from the create event (version 12).
    #[must_use]
    pub const fn room_id_is_create_event(self) -> bool {
        self.rules().authorization.room_create_event_id_as_room_id
    }

    /// Whether a redaction names its target inside `content` (version 11 and later).
    #[must_use]
    pub const fn redacts_in_content(self) -> bool {
        self.rules().redaction.content_field_redacts
    }

    /// Whether the create event must name its sender as `content.creator` (before version 11).
    #[must_use]
    pub const fn create_names_creator(self) -> bool {
        !self.rules().authorization.use_room_create_sender
    }
}

impl TryFrom<&RoomVersionId> for RoomVersion {
    type Error = RoomVersionError;

    fn try_from(id: &RoomVersionId) -> Result<Self, RoomVersionError> {
        id.as_str().parse()
    }
}

impl FromStr for RoomVersion {
    type Err = RoomVersionError;

    fn from_str(text: &str) -> Result<Self, RoomVersionError> {
        match text {
            "1" => Err(RoomVersionError::NotSupportedYet(RoomVersionId::V1)),
            "2" => Err(RoomVersionError::NotSupportedYet(RoomVersionId::V2)),
            _ => Self::ALL
                .into_iter()
                .find(|version| version.as_str() == text)
                .ok_or_else(|| RoomVersionError::Unknown(text.to_owned())),
        }
    }
}

impl fmt::Display for RoomVersion {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

impl fmt::Debug for RoomVersion {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "RoomVersion({})", self.as_str())
    }
}

impl Serialize for RoomVersion {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.serialize_str(self.as_str())
    }
}

impl<'de> Deserialize<'de> for RoomVersion {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        String::deserialize(deserializer)?.parse().map_err(serde::de::Error::custom)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_supported_version_agrees_with_the_rules_of_its_own_id() {
        for version in RoomVersion::ALL {
            let by_id = version.id().rules().expect("known to ruma");
            assert_eq!(format!("{by_id:?}"), format!("{:?}", version.rules()));
            assert_eq!(version.id().as_str(), version.as_str());
            assert_eq!(version.as_str().parse(), Ok(version));
        }
    }

    #[test]
    fn versions_1_and_2_are_told_apart_from_unknown_ones() {
        assert_eq!(
            "1".parse::<RoomVersion>(),
            Err(RoomVersionError::NotSupportedYet(RoomVersionId::V1))
        );
        assert_eq!(
            "2".parse::<RoomVersion>(),
            Err(RoomVersionError::NotSupportedYet(RoomVersionId::V2))
        );
        assert_eq!("13".parse::<RoomVersion>(), Err(RoomVersionError::Unknown("13".to_owned())));
        assert_eq!("".parse::<RoomVersion>(), Err(RoomVersionError::Unknown(String::new())));
    }

    #[test]
    fn survives_being_stored() {
        let json = serde_json::to_string(&RoomVersion::V10).expect("a string");
        assert_eq!(json, "\"10\"");
        assert_eq!(serde_json::from_str::<RoomVersion>(&json).expect("known"), RoomVersion::V10);
        assert!(serde_json::from_str::<RoomVersion>("\"1\"").is_err());
    }
}
