//! How large the frames of an image claim to be, read from its headers alone: a decoder takes memory for a
//! frame before it finds out that the frame is a lie, and in GIF and WebP a frame may claim to be larger
//! than the image it is part of.

use image::ImageFormat;
use vestibule_types::limits::{
    ANIMATION_FRAMES_MAX, ANIMATION_SOURCE_PIXELS_MAX, THUMBNAIL_SOURCE_PIXELS_MAX,
};

/// What the frames of an image claim.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) struct Claims {
    /// How many there are, as far as they were counted.
    frames: usize,
    /// Pixels of the largest one.
    largest: u64,
    /// Pixels of all of them.
    pixels: u64,
}

impl Claims {
    /// What is claimed by a GIF or a WebP. Others check their frames before they take memory.
    pub(super) fn of(image: &[u8], format: ImageFormat) -> Self {
        let mut claims = Self::default();
        // What breaks off claims no more; whoever decodes it finds out.
        let _read = match format {
            ImageFormat::Gif => gif(image, &mut claims),
            ImageFormat::WebP => webp(image, &mut claims),
            _ => None,
        };
        claims
    }

    /// Whether there is more than one frame.
    pub(super) fn moves(self) -> bool {
        self.frames > 1
    }

    /// Whether each frame may be decoded.
    pub(super) fn fit_one_by_one(self) -> bool {
        self.largest <= THUMBNAIL_SOURCE_PIXELS_MAX
    }

    /// Whether all frames may be decoded.
    pub(super) fn fit_together(self) -> bool {
        self.frames <= ANIMATION_FRAMES_MAX && self.pixels <= ANIMATION_SOURCE_PIXELS_MAX
    }

    /// Counts a frame; whoever counts goes no further than the first that is too many.
    fn frame(&mut self, width: u64, height: u64) -> Option<()> {
        let pixels = width.saturating_mul(height);
        self.frames += 1;
        self.largest = self.largest.max(pixels);
        self.pixels = self.pixels.saturating_add(pixels);
        (self.frames <= ANIMATION_FRAMES_MAX || self.largest <= THUMBNAIL_SOURCE_PIXELS_MAX)
            .then_some(())
    }
}

/// Takes so many bytes off the beginning.
fn take<'a>(bytes: &mut &'a [u8], count: usize) -> Option<&'a [u8]> {
    let (taken, rest) = bytes.split_at_checked(count)?;
    *bytes = rest;
    Some(taken)
}

fn byte(bytes: &mut &[u8]) -> Option<u8> {
    take(bytes, 1)?.first().copied()
}

/// A whole number, its lowest byte first.
fn number(bytes: &[u8]) -> u64 {
    bytes.iter().rev().fold(0, |number, byte| number << 8 | u64::from(*byte))
}

/// `GIF89a`: header, screen, then blocks.
fn gif(mut image: &[u8], claims: &mut Claims) -> Option<()> {
    take(&mut image, 6 + 4)?;
    colours(&mut image, 2)?;
    loop {
        match byte(&mut image)? {
            0x21 => {
                byte(&mut image)?;
                pieces(&mut image)?;
            }
            0x2C => {
                take(&mut image, 4)?;
                let (width, height) = (number(take(&mut image, 2)?), number(take(&mut image, 2)?));
                claims.frame(width, height)?;
                colours(&mut image, 0)?;
                byte(&mut image)?;
                pieces(&mut image)?;
            }
            0x3B => return None,
            // Decoders go on behind what they do not know.
            _ => {}
        }
    }
}

/// Skips the table of colours that flags announce, and what lies between them.
fn colours(image: &mut &[u8], between: usize) -> Option<()> {
    let flags = byte(image)?;
    take(image, between)?;
    if flags & 0x80 != 0 {
        take(image, 3 << (usize::from(flags & 0x07) + 1))?;
    }
    Some(())
}

/// Skips pieces of a GIF up to the empty one that ends them.
fn pieces(image: &mut &[u8]) -> Option<()> {
    loop {
        let length = byte(image)?;
        if length == 0 {
            return Some(());
        }
        take(image, usize::from(length))?;
    }
}

/// WebP: chunks, of which those with a frame have chunks in them.
fn webp(mut image: &[u8], claims: &mut Claims) -> Option<()> {
    take(&mut image, 12)?;
    loop {
        let (name, body) = chunk(&mut image)?;
        match name {
            b"ANMF" => {
                // The place and size that the animation gives it.
                let (mut inside, framed) = (body, body.get(6..12)?);
                let (width, height) = framed.split_at(3);
                claims.frame(number(width) + 1, number(height) + 1)?;
                take(&mut inside, 16)?;
                while let Some((name, body)) = chunk(&mut inside) {
                    still(name, body, claims)?;
                }
            }
            name => still(name, body, claims)?,
        }
    }
}

/// The name of the next chunk and what is in it, as far as it is there.
fn chunk<'a>(bytes: &mut &'a [u8]) -> Option<(&'a [u8], &'a [u8])> {
    let name = take(bytes, 4)?;
    let size = usize::try_from(number(take(bytes, 4)?)).ok()?;
    let body = take(bytes, size.min(bytes.len()))?;
    // Each begins at an even place.
    take(bytes, (size % 2).min(bytes.len()))?;
    Some((name, body))
}

/// The size in the header of the picture itself: it is what memory is taken for.
fn still(name: &[u8], body: &[u8], claims: &mut Claims) -> Option<()> {
    let (width, height) = match name {
        b"VP8 " => (number(body.get(6..8)?) & 0x3FFF, number(body.get(8..10)?) & 0x3FFF),
        b"VP8L" => {
            let both = number(body.get(1..5)?);
            ((both & 0x3FFF) + 1, (both >> 14 & 0x3FFF) + 1)
        }
        _ => return Some(()),
    };
    claims.largest = claims.largest.max(width.saturating_mul(height));
    Some(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn headers_say_what_the_encoder_was_told() {
        let picture = image::DynamicImage::new_rgba8(30, 20);
        for format in [ImageFormat::Gif, ImageFormat::WebP] {
            let mut bytes = std::io::Cursor::new(Vec::new());
            picture.write_to(&mut bytes, format).unwrap();
            assert_eq!(Claims::of(bytes.get_ref(), format).largest, 600, "{format:?}");
        }
    }

    #[test]
    fn what_breaks_off_claims_nothing_more() {
        let mut bytes = std::io::Cursor::new(Vec::new());
        image::DynamicImage::new_rgba8(30, 20).write_to(&mut bytes, ImageFormat::Gif).unwrap();
        let whole = bytes.into_inner();
        for end in 0..whole.len() {
            let claims = Claims::of(whole.get(..end).unwrap(), ImageFormat::Gif);
            assert!(claims.largest <= 600);
            assert!(Claims::of(whole.get(..end).unwrap(), ImageFormat::WebP).largest == 0);
        }
    }
}
