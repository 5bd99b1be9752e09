//! Making one thumbnail out of an image. Images are hostile: what they may cost is bounded before they
//! are decoded.

use std::io::Cursor;

use bytes::Bytes;
use image::{
    DynamicImage, ImageDecoder, ImageFormat, ImageReader, Limits, codecs::jpeg::JpegEncoder,
    imageops::FilterType,
};
use vestibule_types::limits::{
    THUMBNAIL_DECODE_BYTES_MAX, THUMBNAIL_SOURCE_PIXELS_MAX, THUMBNAIL_SOURCE_SIDE_MAX,
};

use super::{Size, moving};

/// A picture that was made.
#[derive(Debug)]
pub(crate) struct Picture {
    pub(crate) bytes: Bytes,
    pub(crate) content_type: &'static str,
}

/// Why none was made.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum MakeError {
    NotAnImage,
    TooLarge,
}

const JPEG_QUALITY: u8 = 85;

/// Makes the thumbnail; `None` where the image itself is small enough. It stands still unless it may move.
pub(crate) fn make(image: &[u8], size: Size, may_move: bool) -> Result<Option<Picture>, MakeError> {
    let not_an_image = |_| MakeError::NotAnImage;
    let mut reader = ImageReader::new(Cursor::new(image))
        .with_guessed_format()
        .map_err(|_| MakeError::NotAnImage)?;
    let mut limits = Limits::default();
    limits.max_alloc = Some(THUMBNAIL_DECODE_BYTES_MAX);
    reader.limits(limits);
    let format = reader.format().ok_or(MakeError::NotAnImage)?;
    let mut decoder = reader.into_decoder().map_err(not_an_image)?;
    let (width, height) = decoder.dimensions();
    if width.max(height) > THUMBNAIL_SOURCE_SIDE_MAX
        || u64::from(width) * u64::from(height) > THUMBNAIL_SOURCE_PIXELS_MAX
    {
        return Err(MakeError::TooLarge);
    }
    let small = size.is_whole() || (width <= size.width && height <= size.height);
    let moves = moving::moves(image, format);
    if small && (may_move || !moves) {
        return Ok(None);
    }
    if moves
        && may_move
        && let Some(picture) = moving::smaller(image, format, size)
    {
        return Ok(Some(picture));
    }
    // An image whose orientation cannot be read stands as it is.
    let orientation = decoder.orientation().ok();
    let mut picture = DynamicImage::from_decoder(decoder).map_err(not_an_image)?;
    if let Some(orientation) = orientation {
        picture.apply_orientation(orientation);
    }
    let picture = if small { picture } else { fit(&picture, size) };
    write(&picture, format).map(Some).map_err(not_an_image)
}

/// Makes it smaller, never larger.
pub(super) fn fit(picture: &DynamicImage, size: Size) -> DynamicImage {
    let (width, height) = (size.width.min(picture.width()), size.height.min(picture.height()));
    if size.crop {
        picture.resize_to_fill(width, height, FilterType::Triangle)
    } else {
        picture.thumbnail(size.width, size.height)
    }
}

/// Photographs stay photographs; everything else keeps its transparency.
fn write(picture: &DynamicImage, format: ImageFormat) -> image::ImageResult<Picture> {
    let mut bytes = Cursor::new(Vec::new());
    let content_type = if format == ImageFormat::Jpeg {
        let encoder = JpegEncoder::new_with_quality(&mut bytes, JPEG_QUALITY);
        picture.to_rgb8().write_with_encoder(encoder)?;
        "image/jpeg"
    } else {
        picture.to_rgba8().write_to(&mut bytes, ImageFormat::Png)?;
        "image/png"
    };
    Ok(Picture { bytes: bytes.into_inner().into(), content_type })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn image(width: u32, height: u32, format: ImageFormat) -> Vec<u8> {
        let mut bytes = Cursor::new(Vec::new());
        DynamicImage::new_rgb8(width, height).write_to(&mut bytes, format).unwrap();
        bytes.into_inner()
    }

    fn size_of(picture: &Picture) -> (u32, u32) {
        let read = image::load_from_memory(&picture.bytes).unwrap();
        (read.width(), read.height())
    }

    #[test]
    fn every_kind_of_image_becomes_smaller() {
        use ImageFormat::{Gif, Jpeg, Png, WebP};
        for format in [Jpeg, Png, Gif, WebP] {
            let source = image(400, 200, format);
            let scale = Size { width: 96, height: 96, crop: false };
            let scaled = make(&source, scale, true).unwrap().unwrap();
            assert_eq!(size_of(&scaled), (96, 48), "{format:?}");
            let cropped = make(&source, Size { crop: true, ..scale }, false).unwrap().unwrap();
            assert_eq!(size_of(&cropped), (96, 96), "{format:?}");
        }
    }

    #[test]
    fn nothing_becomes_larger() {
        let small = image(20, 20, ImageFormat::Png);
        let size = Size { width: 32, height: 32, crop: false };
        assert!(make(&small, size, true).unwrap().is_none());
        let flat = image(400, 10, ImageFormat::Png);
        let cropped = make(&flat, Size { crop: true, ..size }, false).unwrap().unwrap();
        assert_eq!(size_of(&cropped), (32, 10));
    }

    #[test]
    fn an_image_that_claims_to_be_huge_is_not_decoded() {
        let mut bomb = image(10, 10, ImageFormat::Png);
        // Width and height in the first chunk; its checksum is not looked at before they are.
        bomb[16..24].copy_from_slice(&[0, 0, 0xFF, 0xFF, 0, 0, 0xFF, 0xFF]);
        let size = Size { width: 32, height: 32, crop: false };
        assert!(make(&bomb, size, true).is_err());
        let tall = image(1, THUMBNAIL_SOURCE_SIDE_MAX + 1, ImageFormat::Png);
        assert_eq!(make(&tall, size, true).unwrap_err(), MakeError::TooLarge);
        assert_eq!(make(b"no image", size, true).unwrap_err(), MakeError::NotAnImage);
    }

    /// A GIF of so many frames.
    fn gif(frames: usize, side: u32) -> Vec<u8> {
        let mut bytes = Vec::new();
        let mut encoder = image::codecs::gif::GifEncoder::new_with_speed(&mut bytes, 30);
        for shade in 0..frames {
            let shade = u8::try_from(shade % 256).unwrap();
            let pixel = image::Rgba([shade, 0, 0, 255]);
            let picture = image::RgbaImage::from_pixel(side, side, pixel);
            let delay = image::Delay::from_numer_denom_ms(50, 1);
            encoder.encode_frame(image::Frame::from_parts(picture, 0, 0, delay)).unwrap();
        }
        drop(encoder);
        bytes
    }

    #[test]
    fn what_moves_moves_only_where_it_may() {
        let source = gif(3, 100);
        let size = Size { width: 32, height: 32, crop: false };
        let picture = make(&source, size, true).unwrap().unwrap();
        assert_eq!((size_of(&picture), picture.content_type), ((32, 32), "image/gif"));
        assert!(moving::moves(&picture.bytes, ImageFormat::Gif));
        let still = make(&source, size, false).unwrap().unwrap();
        assert_eq!((size_of(&still), still.content_type), ((32, 32), "image/png"));
        // A small one is itself where it may move, and never made larger where it may not.
        let large = Size { width: 640, height: 480, crop: false };
        assert!(make(&source, large, true).unwrap().is_none());
        let still = make(&source, large, false).unwrap().unwrap();
        assert_eq!((size_of(&still), still.content_type), ((100, 100), "image/png"));
        // One frame is no moving picture.
        assert!(make(&gif(1, 20), size, false).unwrap().is_none());
        assert_eq!(make(&gif(1, 100), size, true).unwrap().unwrap().content_type, "image/png");
    }

    #[test]
    fn what_has_too_many_frames_stands_still() {
        use vestibule_types::limits::ANIMATION_FRAMES_MAX;
        let size = Size { width: 32, height: 32, crop: false };
        let most = make(&gif(ANIMATION_FRAMES_MAX, 40), size, true).unwrap().unwrap();
        assert_eq!(most.content_type, "image/gif");
        let more = make(&gif(ANIMATION_FRAMES_MAX + 1, 40), size, true).unwrap().unwrap();
        assert_eq!(more.content_type, "image/png");
    }
}
