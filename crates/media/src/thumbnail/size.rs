//! The few sizes there are, so that nobody can fill the disk by asking for all of them.

use super::Thumbnail;

/// One of the sizes thumbnails are made in.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Size {
    pub(crate) width: u32,
    pub(crate) height: u32,
    pub(crate) crop: bool,
}

/// The sizes of the specification ("Thumbnails"), and squares as large as them.
const SIZES: [(u32, u32); 8] =
    [(32, 32), (96, 96), (240, 240), (320, 240), (480, 480), (640, 480), (600, 600), (800, 600)];

/// The largest one: what is asked for beyond is given the image itself.
const WHOLE: (u32, u32) = (0, 0);

impl Size {
    /// The smallest size that covers what is wanted: of its form, if it is to be cropped to a square.
    pub(crate) fn covering(wanted: Thumbnail) -> Self {
        let Thumbnail { width, height, crop, .. } = wanted;
        let square = crop && width == height;
        let covers = |&&(w, h): &&(u32, u32)| {
            w >= width && h >= height && (!crop || square == (w == h) || w < 100)
        };
        let (width, height) = SIZES.iter().find(covers).copied().unwrap_or(WHOLE);
        Self { width, height, crop }
    }

    /// Whether it stands for the image as it is.
    pub(crate) fn is_whole(self) -> bool {
        (self.width, self.height) == WHOLE
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_size_is_never_smaller_than_what_is_wanted() {
        let size = |width, height, crop| {
            let size = Size::covering(Thumbnail { width, height, crop, animated: false });
            (size.width, size.height)
        };
        assert_eq!(size(1, 1, true), (32, 32));
        assert_eq!(size(33, 20, false), (96, 96));
        assert_eq!(size(200, 200, true), (240, 240));
        assert_eq!(size(300, 200, true), (320, 240));
        assert_eq!(size(640, 480, false), (640, 480));
        assert_eq!(size(600, 600, true), (600, 600));
        assert!(size(4_000, 1, false) == WHOLE);
    }
}
