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

/// The forms that images are cropped to, as width and height in parts, and the parts of each size.
const FORMS: [((u32, u32), &[u32]); 9] = [
    ((1, 1), &[32, 96, 240, 480, 600, 960]),
    ((4, 3), &[24, 80, 160, 200]),
    ((3, 4), &[24, 80, 160, 200]),
    ((16, 9), &[20, 40, 60]),
    ((9, 16), &[20, 40, 60]),
    ((2, 1), &[160, 320, 400]),
    ((1, 2), &[160, 320, 400]),
    ((3, 1), &[100, 200, 300]),
    ((1, 3), &[100, 200, 300]),
];

/// The largest one: what is asked for beyond is given the image itself.
const WHOLE: (u32, u32) = (0, 0);

impl Size {
    /// The smallest size that covers what is wanted: of the form nearest to it, if it is to be cropped.
    pub(crate) fn covering(wanted: Thumbnail) -> Self {
        let Thumbnail { width, height, crop, .. } = wanted;
        let covers = |&(w, h): &(u32, u32)| w >= width && h >= height;
        let (width, height) = if crop {
            let mut sizes = sizes_of_form(width, height);
            let largest = sizes.clone().last();
            sizes.find(covers).or(largest).unwrap_or(WHOLE)
        } else {
            SIZES.iter().copied().find(covers).unwrap_or(WHOLE)
        };
        Self { width, height, crop }
    }

    /// Whether it stands for the image as it is.
    pub(crate) fn is_whole(self) -> bool {
        (self.width, self.height) == WHOLE
    }
}

/// The sizes of the form that is nearest to these sides, the smallest first.
fn sizes_of_form(width: u32, height: u32) -> impl Iterator<Item = (u32, u32)> + Clone {
    let form = FORMS.iter().min_by(|(one, _), (other, _)| {
        distance(*one, (width, height)).total_cmp(&distance(*other, (width, height)))
    });
    form.into_iter().flat_map(|((w, h), parts)| {
        parts.iter().map(move |part| (w.saturating_mul(*part), h.saturating_mul(*part)))
    })
}

/// How far two forms are from each other: by how much one is wider than the other, whichever it is.
fn distance(one: (u32, u32), other: (u32, u32)) -> f64 {
    let wide = |(width, height): (u32, u32)| f64::from(width).ln() - f64::from(height).ln();
    (wide(one) - wide(other)).abs()
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
        assert_eq!(size(320, 240, true), (320, 240));
        assert_eq!(size(33, 20, false), (96, 96));
        assert_eq!(size(200, 200, true), (240, 240));
        assert_eq!(size(640, 480, false), (640, 480));
        assert_eq!(size(600, 600, true), (600, 600));
        assert!(size(4_000, 1, false) == WHOLE);
    }

    #[test]
    fn what_is_cropped_keeps_about_the_form_that_is_wanted() {
        for (width, height) in
            [(320, 100), (100, 320), (300, 200), (640, 360), (360, 640), (900, 900), (800, 600)]
        {
            let wanted = Thumbnail { width, height, crop: true, animated: false };
            let size = Size::covering(wanted);
            assert!(size.width >= width && size.height >= height, "{size:?}");
            let off = distance((size.width, size.height), (width, height));
            assert!(off < 0.13, "{width}x{height} becomes {size:?}");
        }
        // There are no more sizes than these, so that what is larger is smaller than wanted.
        let huge = Thumbnail { width: 4_000, height: 4_000, crop: true, animated: false };
        assert_eq!(Size::covering(huge), Size { width: 960, height: 960, crop: true });
    }
}
