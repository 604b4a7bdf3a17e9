//! Drawn pictures of covers, in place of photos that would show somebody's street.

use std::io::Cursor;

use image::{ImageFormat, ImageResult, Rgb, RgbImage};

/// What is to be seen.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Subject {
    Whole,
    Cracked,
    Missing,
    Wet,
    Repaired,
}

const WIDTH: u32 = 480;
const HEIGHT: u32 = 360;

/// A JPEG; the same bytes for the same subject and seed.
pub(super) fn draw(subject: Subject, seed: u32) -> ImageResult<Vec<u8>> {
    let image = RgbImage::from_fn(WIDTH, HEIGHT, |x, y| pixel(subject, seed, x, y));
    let mut out = Cursor::new(Vec::new());
    image.write_to(&mut out, ImageFormat::Jpeg)?;
    Ok(out.into_inner())
}

fn pixel(subject: Subject, seed: u32, x: u32, y: u32) -> Rgb<u8> {
    let grain = noise(x / 2, y / 2, seed) % 24;
    let shift = (seed % 7) as f32 * 6.0 - 18.0;
    let (dx, dy) = (x as f32 - 240.0 - shift, (y as f32 - 190.0) * 1.35);
    let radius = dx.hypot(dy);
    let gray = |base: u32| Rgb([(base + grain) as u8; 3]);
    if radius > 150.0 {
        // The road, with a white line on one side.
        let line = (40..58).contains(&x);
        return if subject == Subject::Wet && radius < 215.0 {
            let Rgb([level, ..]) = gray(70);
            Rgb([level, level.saturating_add(14), level.saturating_add(34)])
        } else {
            gray(if line { 205 } else { 98 })
        };
    }
    if radius > 138.0 {
        return gray(60);
    }
    if subject == Subject::Missing {
        return gray(((radius / 8.0) as u32).min(18) / 3);
    }
    // Raised squares as foundries cast them.
    let raised = ((dx + 300.0) as u32 / 17 + (dy + 300.0) as u32 / 17).is_multiple_of(2);
    let base = match (subject, raised) {
        (Subject::Repaired, true) => 176,
        (Subject::Repaired, false) => 148,
        (_, true) => 122,
        (_, false) => 96,
    };
    let crack = (dx * 0.7 + dy + (dx / 9.0).sin() * 9.0).abs() < 4.0;
    if subject == Subject::Cracked && crack { gray(8) } else { gray(base) }
}

/// Grain of the road: a small integer hash.
fn noise(x: u32, y: u32, seed: u32) -> u32 {
    let mut hash = x.wrapping_mul(0x9E37_79B1) ^ y.wrapping_mul(0x85EB_CA77) ^ seed.wrapping_mul(0xC2B2_AE3D);
    hash ^= hash >> 15;
    hash = hash.wrapping_mul(0x2C1B_3C6D);
    hash ^ (hash >> 13)
}
