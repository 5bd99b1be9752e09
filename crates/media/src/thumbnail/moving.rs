//! Pictures that move: GIF, WebP and PNG with more than one frame. What moves is made smaller as a GIF, within
//! bounds; what is beyond them stands still.

use std::io::Cursor;

use image::{
    AnimationDecoder, DynamicImage, Frame, Frames, ImageDecoder, ImageFormat,
    codecs::{
        gif::{GifDecoder, GifEncoder, Repeat},
        png::PngDecoder,
        webp::WebPDecoder,
    },
};
use vestibule_types::limits::{
    ANIMATION_FRAMES_MAX, ANIMATION_MADE_PIXELS_MAX, ANIMATION_SOURCE_PIXELS_MAX,
};

use super::{
    Size,
    claims::Claims,
    make::{Picture, fit, limits},
};

/// How much of the time goes into colours: of 1 to 30, the quickest.
const SPEED: i32 = 30;

/// Whether an image has more than one frame.
pub(super) fn moves(image: &[u8], format: ImageFormat, claims: Claims) -> bool {
    match format {
        ImageFormat::Gif => claims.moves(),
        ImageFormat::WebP => {
            WebPDecoder::new(Cursor::new(image)).is_ok_and(|it| it.has_animation())
        }
        ImageFormat::Png => {
            let decoder = PngDecoder::with_limits(Cursor::new(image), limits());
            decoder.and_then(|it| it.is_apng()).unwrap_or(false)
        }
        _ => false,
    }
}

/// The moving picture made smaller; `None` where that would take too much, or it cannot be read.
pub(super) fn smaller(image: &[u8], format: ImageFormat, size: Size) -> Option<Picture> {
    let mut bytes = Cursor::new(Vec::new());
    let mut encoder = GifEncoder::new_with_speed(&mut bytes, SPEED);
    encoder.set_repeat(Repeat::Infinite).ok()?;
    let (mut read, mut made) = (0_u64, 0_u64);
    for (count, frame) in frames(image, format)?.enumerate() {
        let frame = frame.ok()?;
        let delay = frame.delay();
        let picture = DynamicImage::ImageRgba8(frame.into_buffer());
        read = read.saturating_add(pixels(&picture));
        let picture = fit(&picture, size);
        made = made.saturating_add(pixels(&picture));
        if count >= ANIMATION_FRAMES_MAX
            || read > ANIMATION_SOURCE_PIXELS_MAX
            || made > ANIMATION_MADE_PIXELS_MAX
        {
            return None;
        }
        encoder.encode_frame(Frame::from_parts(picture.to_rgba8(), 0, 0, delay)).ok()?;
    }
    drop(encoder);
    Some(Picture { bytes: bytes.into_inner().into(), content_type: "image/gif" })
}

/// The frames, each of which takes no more memory than one image may.
fn frames(image: &[u8], format: ImageFormat) -> Option<Frames<'_>> {
    let image = Cursor::new(image);
    Some(match format {
        ImageFormat::Gif => {
            let mut decoder = GifDecoder::new(image).ok()?;
            decoder.set_limits(limits()).ok()?;
            decoder.into_frames()
        }
        ImageFormat::WebP => {
            let mut decoder = WebPDecoder::new(image).ok()?;
            decoder.set_limits(limits()).ok()?;
            decoder.into_frames()
        }
        ImageFormat::Png => {
            PngDecoder::with_limits(image, limits()).ok()?.apng().ok()?.into_frames()
        }
        _ => return None,
    })
}

fn pixels(picture: &DynamicImage) -> u64 {
    u64::from(picture.width()) * u64::from(picture.height())
}
