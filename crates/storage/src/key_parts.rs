//! Numbers, texts, stamps and newtypes as key parts.

use std::cmp::Reverse;

use vestibule_types::{ClassName, EventNo, RoomNo};

use crate::{
    AsPart, EncodeBuf, KeyPart, Stamp,
    key::{take, take_escaped},
};

macro_rules! unsigned {
    ($($number:ty),+) => {$(
        impl KeyPart for $number {
            fn encode(&self, out: &mut EncodeBuf) {
                out.raw(&self.to_be_bytes());
            }

            fn decode(input: &mut &[u8]) -> Option<Self> {
                take(input).map(Self::from_be_bytes)
            }
        }

        impl KeyPart for Reverse<$number> {
            fn encode(&self, out: &mut EncodeBuf) {
                out.raw(&(!self.0).to_be_bytes());
            }

            fn decode(input: &mut &[u8]) -> Option<Self> {
                take(input).map(|bytes| Self(!<$number>::from_be_bytes(bytes)))
            }
        }
    )+};
}

unsigned!(u8, u16, u32, u64);

impl KeyPart for i64 {
    fn encode(&self, out: &mut EncodeBuf) {
        out.raw(&(self.cast_unsigned() ^ (1 << 63)).to_be_bytes());
    }

    fn decode(input: &mut &[u8]) -> Option<Self> {
        take(input).map(|bytes| (u64::from_be_bytes(bytes) ^ (1 << 63)).cast_signed())
    }
}

impl KeyPart for bool {
    fn encode(&self, out: &mut EncodeBuf) {
        out.raw(&[u8::from(*self)]);
    }

    fn decode(input: &mut &[u8]) -> Option<Self> {
        match take(input)? {
            [0] => Some(false),
            [1] => Some(true),
            _ => None,
        }
    }
}

impl<const N: usize> KeyPart for [u8; N] {
    fn encode(&self, out: &mut EncodeBuf) {
        out.raw(self);
    }

    fn decode(input: &mut &[u8]) -> Option<Self> {
        take(input)
    }
}

impl KeyPart for Vec<u8> {
    fn encode(&self, out: &mut EncodeBuf) {
        out.escaped(self);
    }

    fn decode(input: &mut &[u8]) -> Option<Self> {
        take_escaped(input)
    }
}

impl AsPart<Vec<u8>> for &[u8] {
    fn encode_part(&self, out: &mut EncodeBuf) {
        out.escaped(self);
    }
}

impl KeyPart for String {
    fn encode(&self, out: &mut EncodeBuf) {
        out.escaped(self.as_bytes());
    }

    fn decode(input: &mut &[u8]) -> Option<Self> {
        Self::from_utf8(take_escaped(input)?).ok()
    }
}

impl AsPart<String> for &str {
    fn encode_part(&self, out: &mut EncodeBuf) {
        out.escaped(self.as_bytes());
    }
}

impl KeyPart for ClassName {
    fn encode(&self, out: &mut EncodeBuf) {
        out.escaped(self.as_str().as_bytes());
    }

    fn decode(input: &mut &[u8]) -> Option<Self> {
        String::decode(input).map(|name| Self::new(&name))
    }
}

impl KeyPart for Stamp {
    fn encode(&self, out: &mut EncodeBuf) {
        out.stamp(*self);
    }

    fn decode(input: &mut &[u8]) -> Option<Self> {
        take(input).map(Self::from_bytes)
    }
}

/// `None` sorts before every value.
impl<P: KeyPart> KeyPart for Option<P> {
    fn encode(&self, out: &mut EncodeBuf) {
        match self {
            None => out.raw(&[0]),
            Some(part) => {
                out.raw(&[1]);
                part.encode(out);
            }
        }
    }

    fn decode(input: &mut &[u8]) -> Option<Self> {
        match take(input)? {
            [0] => Some(None),
            [1] => P::decode(input).map(Some),
            _ => None,
        }
    }
}

/// Makes a newtype a key part: it is stored as what it wraps.
///
/// ```
/// #[derive(Debug, PartialEq)]
/// struct LaneNo(u32);
/// vestibule_storage::key_part!(LaneNo(u32));
/// ```
#[macro_export]
macro_rules! key_part {
    ($name:ident($inner:ty)) => {
        impl $crate::KeyPart for $name {
            fn encode(&self, out: &mut $crate::EncodeBuf) {
                <$inner as $crate::KeyPart>::encode(&self.0, out);
            }

            fn decode(input: &mut &[u8]) -> ::core::option::Option<Self> {
                <$inner as $crate::KeyPart>::decode(input).map($name)
            }
        }
    };
}

key_part!(RoomNo(u64));
key_part!(EventNo(u64));
