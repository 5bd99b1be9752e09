//! Values: one byte of version, then a compact encoding.

use bytes::Bytes;

use crate::{EncodeBuf, Stamp, key::take};

/// What a table can hold.
pub trait Value: Sized {
    /// Appends the value.
    fn encode(&self, out: &mut EncodeBuf);

    /// Reads the value; the error says what is wrong with the bytes.
    fn decode(bytes: &[u8]) -> Result<Self, String>;
}

/// Makes a struct a value: `value!(StoredAlias, 1);` where 1 is the version of its layout. A
/// released layout is frozen; a change is a new struct with the next version and a migration.
#[macro_export]
macro_rules! value {
    ($name:ty, $version:literal) => {
        impl $crate::Value for $name {
            fn encode(&self, out: &mut $crate::EncodeBuf) {
                $crate::__encode(out, $version, self);
            }

            fn decode(bytes: &[u8]) -> ::core::result::Result<Self, ::std::string::String> {
                $crate::__decode(bytes, $version)
            }
        }
    };
}

/// Used by [`value!`].
#[doc(hidden)]
pub fn __encode<V: serde::Serialize>(out: &mut EncodeBuf, version: u8, value: &V) {
    out.raw(&[version]);
    match postcard::to_extend(value, std::mem::take(out.vec())) {
        Ok(bytes) => *out.vec() = bytes,
        Err(error) => out.fail(&error),
    }
}

/// Used by [`value!`].
#[doc(hidden)]
pub fn __decode<V: serde::de::DeserializeOwned>(bytes: &[u8], version: u8) -> Result<V, String> {
    match bytes.split_first() {
        Some((found, rest)) if *found == version => match postcard::take_from_bytes(rest) {
            Ok((value, [])) => Ok(value),
            Ok((_, left)) => Err(format!("{} bytes too many", left.len())),
            Err(error) => Err(error.to_string()),
        },
        Some((found, _)) => Err(format!("layout version {found}, expected {version}")),
        None => Err("empty value".to_owned()),
    }
}

/// A value that carries where it was committed. Put with a pending stamp, the stamp is filled in
/// when the batch is committed.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
pub struct Stamped<V> {
    /// Where the row was committed.
    pub stamp: Stamp,
    /// The value itself.
    pub value: V,
}

impl<V> Stamped<V> {
    /// A value with its stamp.
    pub const fn new(stamp: Stamp, value: V) -> Self {
        Self { stamp, value }
    }
}

impl<V: Value> Value for Stamped<V> {
    fn encode(&self, out: &mut EncodeBuf) {
        out.stamp(self.stamp);
        self.value.encode(out);
    }

    fn decode(mut bytes: &[u8]) -> Result<Self, String> {
        let stamp = take(&mut bytes).map(Stamp::from_bytes).ok_or("no stamp")?;
        Ok(Self { stamp, value: V::decode(bytes)? })
    }
}

impl Value for Stamp {
    fn encode(&self, out: &mut EncodeBuf) {
        out.stamp(*self);
    }

    fn decode(bytes: &[u8]) -> Result<Self, String> {
        bytes.try_into().map(Self::from_bytes).map_err(|_| "not a stamp".to_owned())
    }
}

impl Value for () {
    fn encode(&self, _: &mut EncodeBuf) {}

    fn decode(bytes: &[u8]) -> Result<Self, String> {
        if bytes.is_empty() { Ok(()) } else { Err("a value where none belongs".to_owned()) }
    }
}

impl Value for u64 {
    fn encode(&self, out: &mut EncodeBuf) {
        out.raw(&self.to_be_bytes());
    }

    fn decode(bytes: &[u8]) -> Result<Self, String> {
        bytes.try_into().map(Self::from_be_bytes).map_err(|_| "not a number".to_owned())
    }
}

impl Value for String {
    fn encode(&self, out: &mut EncodeBuf) {
        out.raw(self.as_bytes());
    }

    fn decode(bytes: &[u8]) -> Result<Self, String> {
        Self::from_utf8(bytes.to_vec()).map_err(|_| "not UTF-8".to_owned())
    }
}

impl Value for Vec<u8> {
    fn encode(&self, out: &mut EncodeBuf) {
        out.raw(self);
    }

    fn decode(bytes: &[u8]) -> Result<Self, String> {
        Ok(bytes.to_vec())
    }
}

impl Value for Bytes {
    fn encode(&self, out: &mut EncodeBuf) {
        out.raw(self);
    }

    fn decode(bytes: &[u8]) -> Result<Self, String> {
        Ok(Self::copy_from_slice(bytes))
    }
}

#[cfg(test)]
mod tests {
    use serde::{Deserialize, Serialize};

    use super::*;

    #[derive(Debug, PartialEq, Serialize, Deserialize)]
    struct StoredCat {
        name: String,
        lives: u8,
    }
    crate::value!(StoredCat, 3);

    fn bytes_of(value: &impl Value) -> EncodeBuf {
        let mut out = EncodeBuf::default();
        value.encode(&mut out);
        out
    }

    #[test]
    fn a_value_comes_back_as_it_was_put() {
        let cat = StoredCat { name: "Mia".to_owned(), lives: 9 };
        assert_eq!(StoredCat::decode(&bytes_of(&cat).bytes), Ok(cat));
    }

    #[test]
    fn another_layout_version_is_refused() {
        let cat = StoredCat { name: "Mia".to_owned(), lives: 9 };
        let mut bytes = bytes_of(&cat).bytes;
        bytes[0] = 4;
        assert_eq!(StoredCat::decode(&bytes), Err("layout version 4, expected 3".to_owned()));
    }

    #[test]
    fn a_cut_or_lengthened_value_is_refused() {
        let bytes = bytes_of(&StoredCat { name: "Mia".to_owned(), lives: 9 }).bytes;
        assert!(StoredCat::decode(&bytes[..bytes.len() - 1]).is_err());
        assert!(StoredCat::decode(&[&bytes[..], &[0]].concat()).is_err());
        assert!(StoredCat::decode(&[]).is_err());
    }

    #[test]
    fn only_a_pending_stamp_is_remembered() {
        let pending = Stamped::new(Stamp { commit: Stamp::PENDING, index: 2 }, 7_u64);
        assert_eq!(bytes_of(&pending).stamps.as_slice(), [0]);
        let filled = Stamped::new(Stamp { commit: 4, index: 2 }, 7_u64);
        assert!(bytes_of(&filled).stamps.is_empty());
        assert_eq!(Stamped::decode(&bytes_of(&filled).bytes), Ok(filled));
    }
}
