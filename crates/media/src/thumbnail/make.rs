//! Making one thumbnail out of an image. Images are hostile: what they may cost is bounded before they
//! are decoded.

use std::io::Cursor;

use bytes::Bytes;
use image::{
    DynamicImage, ImageDecoder, ImageError, ImageFormat, ImageReader, Limits,
    codecs::jpeg::JpegEncoder, imageops::FilterType,
};
use vestibule_types::limits::{
    THUMBNAIL_DECODE_BYTES_MAX, THUMBNAIL_SOURCE_PIXELS_MAX, THUMBNAIL_SOURCE_SIDE_MAX,
};

use super::{Size, claims::Claims, moving};

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

/// What came of making a thumbnail.
#[derive(Debug)]
pub(crate) enum Made {
    /// The image itself is small enough; this is what its bytes are, whatever was claimed.
    Itself(&'static str),
    /// A smaller picture.
    Smaller(Picture),
}

/// What decoding may cost.
pub(super) fn limits() -> Limits {
    let mut limits = Limits::default();
    limits.max_image_width = Some(THUMBNAIL_SOURCE_SIDE_MAX);
    limits.max_image_height = Some(THUMBNAIL_SOURCE_SIDE_MAX);
    limits.max_alloc = Some(THUMBNAIL_DECODE_BYTES_MAX);
    limits
}

/// The content type of an image of a kind that is read here.
fn content_type(format: ImageFormat) -> Result<&'static str, MakeError> {
    match format {
        ImageFormat::Gif | ImageFormat::Jpeg | ImageFormat::Png | ImageFormat::WebP => {
            Ok(format.to_mime_type())
        }
        _ => Err(MakeError::NotAnImage),
    }
}

fn unreadable(error: &ImageError) -> MakeError {
    match error {
        ImageError::Limits(_) => MakeError::TooLarge,
        _ => MakeError::NotAnImage,
    }
}

/// Makes the thumbnail, unless the image itself is small enough. It stands still unless it may move.
pub(crate) fn make(image: &[u8], size: Size, may_move: bool) -> Result<Made, MakeError> {
    let mut reader = ImageReader::new(Cursor::new(image))
        .with_guessed_format()
        .map_err(|_| MakeError::NotAnImage)?;
    let mut limits = limits();
    reader.limits(limits.clone());
    let format = reader.format().ok_or(MakeError::NotAnImage)?;
    let content_type = content_type(format)?;
    let claims = Claims::of(image, format);
    if !claims.fit_one_by_one() {
        return Err(MakeError::TooLarge);
    }
    let mut decoder = reader.into_decoder().map_err(|error| unreadable(&error))?;
    let (width, height) = decoder.dimensions();
    if u64::from(width) * u64::from(height) > THUMBNAIL_SOURCE_PIXELS_MAX {
        return Err(MakeError::TooLarge);
    }
    let fits = width <= size.width && height <= size.height;
    let has_form = !size.crop || within(size, (width, height)) == (width, height);
    let small = size.is_whole() || (fits && has_form);
    let moves = moving::moves(image, format, claims);
    if small && (may_move || !moves) {
        return Ok(Made::Itself(content_type));
    }
    if moves
        && may_move
        && claims.fit_together()
        && let Some(picture) = moving::smaller(image, format, size)
    {
        return Ok(Made::Smaller(picture));
    }
    // An image whose orientation cannot be read stands as it is.
    let orientation = decoder.orientation().ok();
    // What is decoded into counts as well.
    limits.reserve(decoder.total_bytes()).map_err(|error| unreadable(&error))?;
    decoder.set_limits(limits).map_err(|error| unreadable(&error))?;
    let mut picture = DynamicImage::from_decoder(decoder).map_err(|error| unreadable(&error))?;
    if let Some(orientation) = orientation {
        picture.apply_orientation(orientation);
    }
    let picture = if small { picture } else { fit(&picture, size) };
    write(&picture, format).map(Made::Smaller).map_err(|error| unreadable(&error))
}

/// Makes it smaller, never larger.
pub(super) fn fit(picture: &DynamicImage, size: Size) -> DynamicImage {
    if size.crop {
        let (width, height) = within(size, (picture.width(), picture.height()));
        picture.resize_to_fill(width, height, FilterType::Triangle)
    } else {
        picture.thumbnail(size.width, size.height)
    }
}

/// The largest sides of the same form that are not larger than the picture.
fn within(Size { width, height, .. }: Size, picture: (u32, u32)) -> (u32, u32) {
    let scaled = |side: u32, by: u32, of: u32| {
        let side = u64::from(side) * u64::from(by) / u64::from(of.max(1));
        u32::try_from(side.max(1)).unwrap_or(u32::MAX)
    };
    let (width, height) = match picture.0 {
        most if most < width => (most, scaled(height, most, width)),
        _ => (width, height),
    };
    match picture.1 {
        most if most < height => (scaled(width, most, height), most),
        _ => (width, height),
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

    fn smaller(image: &[u8], size: Size, may_move: bool) -> Picture {
        match make(image, size, may_move).unwrap() {
            Made::Smaller(picture) => picture,
            Made::Itself(_) => panic!("the image itself"),
        }
    }

    fn itself(image: &[u8], size: Size, may_move: bool) -> &'static str {
        match make(image, size, may_move).unwrap() {
            Made::Itself(content_type) => content_type,
            Made::Smaller(_) => panic!("a smaller one"),
        }
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
            let scaled = smaller(&source, scale, true);
            assert_eq!(size_of(&scaled), (96, 48), "{format:?}");
            let cropped = smaller(&source, Size { crop: true, ..scale }, false);
            assert_eq!(size_of(&cropped), (96, 96), "{format:?}");
        }
    }

    #[test]
    fn nothing_becomes_larger() {
        let small = image(20, 20, ImageFormat::Png);
        let size = Size { width: 32, height: 32, crop: false };
        assert!(itself(&small, size, true).starts_with("image/"));
        let square = Size { crop: true, ..size };
        assert!(itself(&small, square, true).starts_with("image/"));
        let wide = image(20, 10, ImageFormat::Png);
        assert_eq!(size_of(&smaller(&wide, square, false)), (10, 10));
        let flat = image(400, 10, ImageFormat::Png);
        let cropped = smaller(&flat, Size { crop: true, ..size }, false);
        assert_eq!(size_of(&cropped), (10, 10), "the form stays what was wanted");
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
        let picture = smaller(&source, size, true);
        assert_eq!((size_of(&picture), picture.content_type), ((32, 32), "image/gif"));
        assert!(moving::moves(
            &picture.bytes,
            ImageFormat::Gif,
            Claims::of(&picture.bytes, ImageFormat::Gif)
        ));
        let still = smaller(&source, size, false);
        assert_eq!((size_of(&still), still.content_type), ((32, 32), "image/png"));
        // A small one is itself where it may move, and never made larger where it may not.
        let large = Size { width: 640, height: 480, crop: false };
        assert!(itself(&source, large, true).starts_with("image/"));
        let still = smaller(&source, large, false);
        assert_eq!((size_of(&still), still.content_type), ((100, 100), "image/png"));
        // One frame is no moving picture.
        assert!(itself(&gif(1, 20), size, false).starts_with("image/"));
        assert_eq!(smaller(&gif(1, 100), size, true).content_type, "image/png");
    }

    #[test]
    fn what_has_too_many_frames_stands_still() {
        use vestibule_types::limits::ANIMATION_FRAMES_MAX;
        let size = Size { width: 32, height: 32, crop: false };
        let most = smaller(&gif(ANIMATION_FRAMES_MAX, 40), size, true);
        assert_eq!(most.content_type, "image/gif");
        let more = smaller(&gif(ANIMATION_FRAMES_MAX + 1, 40), size, true);
        assert_eq!(more.content_type, "image/png");
    }

    const SMALL: Size = Size { width: 32, height: 32, crop: false };

    /// A GIF of two by two pixels whose frames claim another size.
    fn lying_gif(frames: usize, side: u16) -> Vec<u8> {
        let mut bytes = b"GIF89a\x02\x00\x02\x00\x80\x00\x00\x00\x00\x00\xFF\xFF\xFF".to_vec();
        for _ in 0..frames {
            bytes.extend(b"\x2C\x00\x00\x00\x00");
            bytes.extend(side.to_le_bytes());
            bytes.extend(side.to_le_bytes());
            bytes.extend(b"\x00\x02\x02\x4C\x01\x00");
        }
        bytes.push(0x3B);
        bytes
    }

    #[test]
    fn a_frame_that_is_larger_than_its_gif_is_not_decoded() {
        let bomb = lying_gif(1, u16::MAX);
        assert!(bomb.len() < 50);
        for may_move in [true, false] {
            assert_eq!(make(&bomb, SMALL, may_move).unwrap_err(), MakeError::TooLarge);
        }
        // Neither where none of them is too large, but all of them together are.
        let bomb = lying_gif(100, 6_000);
        assert!(Claims::of(&bomb, ImageFormat::Gif).fit_one_by_one());
        assert!(!Claims::of(&bomb, ImageFormat::Gif).fit_together());
        // A decoder that is asked all the same takes no more than it may.
        assert!(moving::smaller(&lying_gif(1, u16::MAX), ImageFormat::Gif, SMALL).is_none());
    }

    #[test]
    fn a_frame_that_is_larger_than_its_webp_is_not_decoded() {
        // An animation of two by two pixels, in which lies a picture of 16383 by 16383.
        let mut frame = b"\0\0\0\0\0\0\x01\0\0\x01\0\0\x10\0\0\0".to_vec();
        frame.extend(b"VP8 \x0A\0\0\0\x10\0\0\x9D\x01\x2A\xFF\x3F\xFF\x3F");
        let mut body = b"WEBPVP8X\x0A\0\0\0\x02\0\0\0\x01\0\0\x01\0\0".to_vec();
        body.extend(b"ANIM\x06\0\0\0\0\0\0\0\0\0ANMF");
        body.extend(u32::try_from(frame.len()).unwrap().to_le_bytes());
        body.extend(frame);
        let mut bomb = b"RIFF".to_vec();
        bomb.extend(u32::try_from(body.len()).unwrap().to_le_bytes());
        bomb.extend(body);
        assert!(
            image::codecs::webp::WebPDecoder::new(Cursor::new(&*bomb)).unwrap().has_animation()
        );
        for may_move in [true, false] {
            assert_eq!(make(&bomb, SMALL, may_move).unwrap_err(), MakeError::TooLarge);
        }
    }

    #[test]
    fn what_is_decoded_into_counts() {
        // As many pixels as there may be, of eight bytes each.
        let mut large = image(8_000, 5_000, ImageFormat::Png);
        let shallow = smaller(&large, SMALL, true);
        assert_eq!(shallow.content_type, "image/png");
        let mut deep = Cursor::new(Vec::new());
        DynamicImage::new_rgba16(10, 10).write_to(&mut deep, ImageFormat::Png).unwrap();
        // The header of the deep one says how large it is; where it ends is found out later.
        large = deep.into_inner();
        large[16..24].copy_from_slice(&[0, 0, 0x1F, 0x40, 0, 0, 0x13, 0x88]);
        let checksum = crc(&large[12..29]);
        large[29..33].copy_from_slice(&checksum.to_be_bytes());
        assert_eq!(make(&large, SMALL, true).unwrap_err(), MakeError::TooLarge);
    }

    /// The checksum of a chunk of a PNG.
    fn crc(bytes: &[u8]) -> u32 {
        !bytes.iter().fold(u32::MAX, |crc, byte| {
            (0..8).fold(crc ^ u32::from(*byte), |crc, _| {
                if crc & 1 == 1 { crc >> 1 ^ 0xEDB8_8320 } else { crc >> 1 }
            })
        })
    }
}
