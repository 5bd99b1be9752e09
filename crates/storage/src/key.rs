//! Keys: tuples of parts whose bytes sort as the tuples do.

use std::fmt;

use smallvec::SmallVec;

use crate::Stamp;

/// Where pending stamps lie in a key or value.
pub(crate) type StampOffsets = SmallVec<[u32; 2]>;

/// Bytes of a key or value under construction.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct EncodeBuf {
    pub(crate) bytes: Vec<u8>,
    pub(crate) stamps: StampOffsets,
    pub(crate) failure: Option<String>,
}

impl EncodeBuf {
    pub(crate) fn for_key(table: u16) -> Self {
        let mut bytes = Vec::with_capacity(64);
        bytes.extend_from_slice(&table.to_be_bytes());
        Self { bytes, ..Self::default() }
    }

    /// Appends bytes as they are.
    pub fn raw(&mut self, bytes: &[u8]) {
        self.bytes.extend_from_slice(bytes);
    }

    /// Appends bytes of any length so that what follows does not disturb their order: a zero
    /// becomes `00 FF`, the end is `00 01`.
    pub fn escaped(&mut self, bytes: &[u8]) {
        for (number, stretch) in bytes.split(|byte| *byte == 0).enumerate() {
            if number > 0 {
                self.bytes.extend_from_slice(&[0, 0xff]);
            }
            self.bytes.extend_from_slice(stretch);
        }
        self.bytes.extend_from_slice(&[0, 1]);
    }

    /// Appends a stamp. A pending one is remembered and filled in when the batch is committed.
    pub fn stamp(&mut self, stamp: Stamp) {
        if stamp.is_pending()
            && let Ok(offset) = u32::try_from(self.bytes.len())
        {
            self.stamps.push(offset);
        }
        self.bytes.extend_from_slice(&stamp.to_bytes());
    }

    /// Remembers that the value refused to be encoded; whoever puts it must not store it.
    pub(crate) fn fail(&mut self, error: &impl fmt::Display) {
        self.failure = Some(error.to_string());
    }

    pub(crate) fn vec(&mut self) -> &mut Vec<u8> {
        &mut self.bytes
    }
}

/// Takes the first `N` bytes off the input.
pub(crate) fn take<const N: usize>(input: &mut &[u8]) -> Option<[u8; N]> {
    let (head, rest) = input.split_first_chunk::<N>()?;
    *input = rest;
    Some(*head)
}

/// Takes what [`EncodeBuf::escaped`] wrote off the input.
pub(crate) fn take_escaped(input: &mut &[u8]) -> Option<Vec<u8>> {
    let mut bytes = Vec::new();
    loop {
        let zero = input.iter().position(|byte| *byte == 0)?;
        let (stretch, rest) = input.split_at_checked(zero)?;
        bytes.extend_from_slice(stretch);
        let [_, mark] = take::<2>(&mut { rest })?;
        *input = rest.get(2..)?;
        match mark {
            0xff => bytes.push(0),
            1 => return Some(bytes),
            _ => return None,
        }
    }
}

/// One part of a key.
pub trait KeyPart: Sized {
    /// Appends the part; the bytes sort as the values do, and no encoding is the beginning of
    /// another.
    fn encode(&self, out: &mut EncodeBuf);

    /// Takes the part off the input; `None` if the bytes are not one.
    fn decode(input: &mut &[u8]) -> Option<Self>;
}

/// Something that can stand for the key part `P`: the part itself, a reference to it, or its
/// borrowed form.
pub trait AsPart<P> {
    /// Appends the part as `P` would.
    fn encode_part(&self, out: &mut EncodeBuf);
}

impl<P: KeyPart> AsPart<P> for P {
    fn encode_part(&self, out: &mut EncodeBuf) {
        self.encode(out);
    }
}

impl<P: KeyPart> AsPart<P> for &P {
    fn encode_part(&self, out: &mut EncodeBuf) {
        (**self).encode(out);
    }
}

/// A whole key: a tuple of parts.
pub trait Key: Sized {
    /// Appends all parts.
    fn encode(&self, out: &mut EncodeBuf);

    /// Reads all parts; `None` if the bytes are not exactly one key.
    fn decode(input: &[u8]) -> Option<Self>;
}

/// Something that can stand for the whole key `K`.
pub trait AsKey<K>: Sized {
    /// Appends the key as `K` would.
    fn encode_key(self, out: &mut EncodeBuf);
}

/// Something that can stand for the first parts of the key `K`: a tuple of none to all of them.
pub trait AsPrefix<K>: Sized {
    /// Appends the parts as `K` would.
    fn encode_prefix(self, out: &mut EncodeBuf);
}

impl<K> AsPrefix<K> for () {
    fn encode_prefix(self, _: &mut EncodeBuf) {}
}

macro_rules! key_tuple {
    ($($part:ident $query:ident $value:ident),+) => {
        impl<$($part: KeyPart),+> Key for ($($part,)+) {
            fn encode(&self, out: &mut EncodeBuf) {
                let ($($value,)+) = self;
                $($value.encode(out);)+
            }

            fn decode(mut input: &[u8]) -> Option<Self> {
                let key = ($($part::decode(&mut input)?,)+);
                input.is_empty().then_some(key)
            }
        }

        impl<$($part: KeyPart, $query: AsPart<$part>),+> AsKey<($($part,)+)> for ($($query,)+) {
            fn encode_key(self, out: &mut EncodeBuf) {
                let ($($value,)+) = self;
                $($value.encode_part(out);)+
            }
        }

        impl<$($part: KeyPart, $query: AsPart<$part>),+> AsKey<($($part,)+)> for &($($query,)+) {
            fn encode_key(self, out: &mut EncodeBuf) {
                let ($($value,)+) = self;
                $($value.encode_part(out);)+
            }
        }
    };
}

key_tuple!(A QA a);
key_tuple!(A QA a, B QB b);
key_tuple!(A QA a, B QB b, C QC c);
key_tuple!(A QA a, B QB b, C QC c, D QD d);
key_tuple!(A QA a, B QB b, C QC c, D QD d, E QE e);
key_tuple!(A QA a, B QB b, C QC c, D QD d, E QE e, F QF f);

macro_rules! prefix_tuple {
    ([$($part:ident $query:ident $value:ident),+] [$($rest:ident),*]) => {
        impl<$($part: KeyPart, $query: AsPart<$part>,)+ $($rest),*>
            AsPrefix<($($part,)+ $($rest,)*)> for ($($query,)+)
        {
            fn encode_prefix(self, out: &mut EncodeBuf) {
                let ($($value,)+) = self;
                $($value.encode_part(out);)+
            }
        }

        impl<$($part: KeyPart, $query: AsPart<$part>,)+ $($rest),*>
            AsPrefix<($($part,)+ $($rest,)*)> for &($($query,)+)
        {
            fn encode_prefix(self, out: &mut EncodeBuf) {
                let ($($value,)+) = self;
                $($value.encode_part(out);)+
            }
        }
    };
}

prefix_tuple!([A QA a] []);
prefix_tuple!([A QA a] [B]);
prefix_tuple!([A QA a] [B, C]);
prefix_tuple!([A QA a] [B, C, D]);
prefix_tuple!([A QA a] [B, C, D, E]);
prefix_tuple!([A QA a] [B, C, D, E, F]);
prefix_tuple!([A QA a, B QB b] []);
prefix_tuple!([A QA a, B QB b] [C]);
prefix_tuple!([A QA a, B QB b] [C, D]);
prefix_tuple!([A QA a, B QB b] [C, D, E]);
prefix_tuple!([A QA a, B QB b] [C, D, E, F]);
prefix_tuple!([A QA a, B QB b, C QC c] []);
prefix_tuple!([A QA a, B QB b, C QC c] [D]);
prefix_tuple!([A QA a, B QB b, C QC c] [D, E]);
prefix_tuple!([A QA a, B QB b, C QC c] [D, E, F]);
prefix_tuple!([A QA a, B QB b, C QC c, D QD d] []);
prefix_tuple!([A QA a, B QB b, C QC c, D QD d] [E]);
prefix_tuple!([A QA a, B QB b, C QC c, D QD d] [E, F]);
prefix_tuple!([A QA a, B QB b, C QC c, D QD d, E QE e] []);
prefix_tuple!([A QA a, B QB b, C QC c, D QD d, E QE e] [F]);
prefix_tuple!([A QA a, B QB b, C QC c, D QD d, E QE e, F QF f] []);

/// Shows the first bytes of a key in messages.
pub(crate) struct Shown<'a>(pub(crate) &'a [u8]);

impl fmt::Display for Shown<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.iter().take(48).try_for_each(|byte| write!(f, "{byte:02x}"))?;
        if self.0.len() > 48 { f.write_str("…") } else { Ok(()) }
    }
}

#[cfg(test)]
#[path = "key_tests.rs"]
mod tests;
