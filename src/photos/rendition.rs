//! The picture that the public sees: upright, bounded, encoded anew, so that nothing of the
//! original file but its pixels gets through.

use std::io::Cursor;
use std::panic::{AssertUnwindSafe, catch_unwind};

use image::codecs::jpeg::JpegEncoder;
use image::metadata::Orientation;
use image::{DynamicImage, ImageDecoder, ImageFormat, ImageReader, ImageResult, Limits, RgbImage};

use super::PhotoLimits;
use super::container::{Header, MediaType};
use crate::domain::Refusal;
use crate::domain::citizen::BlurBox;

/// Longest side of a public rendition, in pixels.
pub const PUBLIC_SIDE: u32 = 1600;
/// JPEG quality of a public rendition.
pub const PUBLIC_QUALITY: u8 = 82;

/// Width and height as a person sees the picture, its orientation applied.
pub(super) fn upright_size(
    bytes: &[u8],
    header: &Header,
    limits: &PhotoLimits,
) -> Result<(u32, u32), Refusal> {
    shielded(|| {
        let mut decoder = decoder(bytes, header, limits)?;
        let (width, height) = decoder.dimensions();
        let turned = matches!(
            orientation(&mut decoder),
            Orientation::Rotate90
                | Orientation::Rotate270
                | Orientation::Rotate90FlipH
                | Orientation::Rotate270FlipH
        );
        Ok(if turned { (height, width) } else { (width, height) })
    })
}

/// Decodes a file that `inspect` has passed and encodes its public rendition, with what it looks like. An animation
/// gives its first picture.
pub(super) fn render_public(
    bytes: &[u8],
    header: &Header,
    limits: &PhotoLimits,
) -> Result<(Vec<u8>, Option<i64>), Refusal> {
    shielded(|| {
        let mut decoder = decoder(bytes, header, limits)?;
        let orientation = orientation(&mut decoder);
        let mut picture = shrink(DynamicImage::from_decoder(decoder).map_err(|_| damaged())?);
        picture.apply_orientation(orientation);
        let picture = flatten(picture);
        Ok((encode(&picture).map_err(|_| damaged())?, look_of(&picture)))
    })
}

/// What is left where something was covered up: nothing of it, not even a mean color.
const COVERED: image::Rgb<u8> = image::Rgb([96, 96, 96]);

/// A rendition of ours with these boxes covered up.
pub(super) fn cover_up(public: &[u8], boxes: &[BlurBox]) -> Result<Vec<u8>, Refusal> {
    shielded(|| {
        let mut reader = ImageReader::with_format(Cursor::new(public), ImageFormat::Jpeg);
        let mut bounds = Limits::default();
        bounds.max_image_width = Some(PUBLIC_SIDE);
        bounds.max_image_height = Some(PUBLIC_SIDE);
        reader.limits(bounds);
        // Of ours, and upright already.
        let decoder = reader.into_decoder().map_err(|_| damaged())?;
        let mut picture = DynamicImage::from_decoder(decoder).map_err(|_| damaged())?.into_rgb8();
        let (width, height) = picture.dimensions();
        // Outward to whole pixels: nothing of the edge is left.
        let span = |from: f64, length: f64, side: u32| {
            let at = |percent: f64| percent / 100.0 * f64::from(side);
            (at(from).floor() as u32)..(at(from + length).ceil() as u32).min(side)
        };
        for covered in boxes {
            for y in span(covered.top, covered.height, height) {
                for x in span(covered.left, covered.width, width) {
                    picture.put_pixel(x, y, COVERED);
                }
            }
        }
        encode(&picture).map_err(|_| damaged())
    })
}

fn damaged() -> Refusal {
    Refusal::new("photo.damaged").at("photo")
}

/// A decoder that loses its footing on a hostile file refuses that file and nothing else.
fn shielded<T>(work: impl FnOnce() -> Result<T, Refusal>) -> Result<T, Refusal> {
    catch_unwind(AssertUnwindSafe(work)).unwrap_or_else(|_| Err(damaged()))
}

fn decoder<'a>(
    bytes: &'a [u8],
    header: &Header,
    limits: &PhotoLimits,
) -> Result<impl ImageDecoder + 'a, Refusal> {
    let format = match header.media_type {
        MediaType::Jpeg => ImageFormat::Jpeg,
        MediaType::Png => ImageFormat::Png,
        MediaType::WebP => ImageFormat::WebP,
    };
    let mut bounds = Limits::default();
    bounds.max_image_width = Some(limits.side);
    bounds.max_image_height = Some(limits.side);
    bounds.max_alloc = Some(limits.memory);
    let mut reader = ImageReader::with_format(Cursor::new(bytes), format);
    reader.limits(bounds);
    let decoder = reader.into_decoder().map_err(|_| damaged())?;
    // What was bounded is what is decoded.
    if decoder.dimensions() != (header.width, header.height) {
        return Err(damaged());
    }
    if decoder.total_bytes() > limits.memory {
        return Err(Refusal::new("photo.memory")
            .at("photo")
            .with("bytes", decoder.total_bytes())
            .with("max", limits.memory));
    }
    Ok(decoder)
}

/// Metadata that cannot be read is no reason to refuse the picture.
fn orientation(decoder: &mut impl ImageDecoder) -> Orientation {
    decoder.orientation().unwrap_or(Orientation::NoTransforms)
}

fn shrink(picture: DynamicImage) -> DynamicImage {
    let longest = picture.width().max(picture.height());
    if longest <= PUBLIC_SIDE {
        return picture;
    }
    let to = |side: u32| {
        let scaled = |length: u32| (u64::from(length) * u64::from(side) / u64::from(longest)).max(1) as u32;
        (scaled(picture.width()), scaled(picture.height()))
    };
    let (width, height) = to(PUBLIC_SIDE);
    // The good filter works in floats, 16 bytes a pixel: let a box filter bring large pictures down first.
    let halved = 2 * PUBLIC_SIDE;
    if longest > 2 * halved {
        let (double_width, double_height) = to(halved);
        let smaller = picture.thumbnail_exact(double_width, double_height);
        drop(picture);
        smaller.resize_exact(width, height, image::imageops::FilterType::CatmullRom)
    } else {
        picture.resize_exact(width, height, image::imageops::FilterType::CatmullRom)
    }
}

/// Fewest bits of either kind in a look that tells pictures apart: one color all over has none.
const TELLING_BITS: u32 = 8;

/// The look of a picture: of 8 rows of 9 averaged patches, whether each is brighter than the next, a bit a pair (a
/// difference hash). A picture that was made smaller or encoded again has the same, or nearly so.
/// `None` where it says too little.
pub(super) fn look_of(picture: &RgbImage) -> Option<i64> {
    let patches = image::imageops::thumbnail(picture, 9, 8);
    let brightness = |x, y| {
        let [red, green, blue] = patches.get_pixel(x, y).0.map(u32::from);
        2 * red + 5 * green + blue
    };
    let look: i64 = (0..8)
        .flat_map(|y| (0..8).map(move |x| (x, y)))
        .fold(0, |look, (x, y)| look << 1 | i64::from(brightness(x, y) > brightness(x + 1, y)));
    (TELLING_BITS..=64 - TELLING_BITS).contains(&look.count_ones()).then_some(look)
}

/// Transparent parts become white paper.
fn flatten(picture: DynamicImage) -> RgbImage {
    if !picture.color().has_alpha() {
        return picture.into_rgb8();
    }
    let picture = picture.into_rgba8();
    RgbImage::from_fn(picture.width(), picture.height(), |x, y| {
        let [red, green, blue, alpha] = picture.get_pixel(x, y).0;
        let over_white = |value: u8| {
            ((u32::from(value) * u32::from(alpha) + 255 * (255 - u32::from(alpha)) + 127) / 255) as u8
        };
        image::Rgb([red, green, blue].map(over_white))
    })
}

fn encode(picture: &RgbImage) -> ImageResult<Vec<u8>> {
    let mut out = Vec::new();
    JpegEncoder::new_with_quality(&mut out, PUBLIC_QUALITY).encode(
        picture.as_raw(),
        picture.width(),
        picture.height(),
        image::ExtendedColorType::Rgb8,
    )?;
    Ok(out)
}
