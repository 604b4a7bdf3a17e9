//! What a plate lives through in ten years, put upon finished sheets: paint, mud, a broken corner, a phone
//! out of focus. The same seed does the same damage. `LIDMARK_DAMAGE=200 cargo nextest run damage
//! --no-capture` prints the whole table for that many plates a row.

use image::{GrayImage, Luma};
use lidmark::domain::plate::Finish;
use lidmark::plates::{Face, Level, Palette, PlateRun, PlateSpec, Sheet};
use rand::rngs::SmallRng;
use rand::{Rng, RngExt, SeedableRng};
use std::collections::HashSet;
use std::path::{Path, PathBuf};
use std::process::Command;

use super::{plates, render};
use crate::support::decode::zxing_reads;
use crate::support::{have, skip_or_fail};

/// Pixels a module: a phone with twelve megapixels, a good 20 cm above a plate with modules of half a
/// millimetre. No whole number: modules must not fall on the blocks into which decoders cut a picture.
const PX: f64 = 7.4;
const MODULE_MM: f64 = 0.5;
const QUIET: f64 = 4.0;
/// Of finder patterns with their light rim.
const FINDER: f64 = 8.0;

#[derive(Clone, Copy, PartialEq)]
enum Damage {
    None,
    /// A share of the symbol outside its finder patterns under this many spots of paint.
    Spots {
        share: f64,
        count: usize,
    },
    /// The corner without a finder pattern is gone, a share of the symbol with it.
    Corner {
        share: f64,
    },
    /// Out of focus: every point becomes a disc with this radius, in modules.
    Blur(f64),
    /// Smeared: standard deviation in modules.
    Smear(f64),
    /// Seen from the side, in degrees, whichever side that is.
    Tilt(f64),
    /// A film of mud that hides up to this share, of unequal thickness, and on it specks of up to half a
    /// module, so many for each module of surface.
    Dirt {
        film: f64,
        specks: f64,
    },
    /// What is left between dark and light, with the noise of a camera.
    Contrast(f64),
}

/// Damage, lowest share that two of three decoders must read at Q and at H; `None` = only reported.
const TABLE: [(&str, Damage, Option<f64>, Option<f64>); 14] = [
    ("as printed", Damage::None, Some(1.0), Some(1.0)),
    ("10 % under one spot", Damage::Spots { share: 0.10, count: 1 }, Some(0.90), Some(0.90)),
    ("10 % under two spots", Damage::Spots { share: 0.10, count: 2 }, Some(0.90), Some(0.90)),
    ("10 % under three spots", Damage::Spots { share: 0.10, count: 3 }, None, Some(0.90)),
    ("10 % under five spots", Damage::Spots { share: 0.10, count: 5 }, None, None),
    ("15 % under two spots", Damage::Spots { share: 0.15, count: 2 }, None, None),
    ("corner broken off, 20 %", Damage::Corner { share: 0.20 }, None, Some(1.0)),
    ("blur of half a module", Damage::Blur(0.5), Some(0.95), Some(0.95)),
    ("smear of half a module", Damage::Smear(0.5), None, None),
    ("tilt of 30°", Damage::Tilt(30.0), Some(0.95), Some(0.95)),
    ("tilt of 45°", Damage::Tilt(45.0), None, None),
    ("dirt", Damage::Dirt { film: 0.30, specks: 0.01 }, Some(0.95), Some(0.95)),
    ("heavy dirt", Damage::Dirt { film: 0.45, specks: 0.02 }, None, None),
    ("contrast of 12 %", Damage::Contrast(0.12), Some(0.95), Some(0.95)),
];

#[test]
#[expect(clippy::disallowed_methods, reason = "asks for the whole table")]
#[expect(clippy::print_stdout, reason = "the table")]
fn plates_with_modules_of_half_a_millimetre_stay_readable_when_damaged() {
    if !have("pdftoppm") || !have("zbarimg") {
        return skip_or_fail("pdftoppm and zbarimg (packages poppler-utils, zbar-tools)");
    }
    let asked = std::env::var("LIDMARK_DAMAGE").ok().and_then(|count| count.parse().ok());
    let count: usize = asked.unwrap_or(40);
    let levels: &[Level] = if asked.is_some() { Level::ALL } else { &[Level::Q, Level::H] };
    let folder = tempfile::tempdir().unwrap();
    for level in levels {
        let (plates, symbols) = printed(folder.path(), *level, count);
        for (name, damage, least_q, least_h) in TABLE {
            let least = match level {
                Level::M => None,
                Level::Q => least_q,
                Level::H => least_h,
            };
            // What nothing is expected of is only looked at when somebody asks.
            if asked.is_none() && least.is_none() {
                continue;
            }
            let mut random = SmallRng::seed_from_u64(7);
            let damaged: Vec<GrayImage> =
                symbols.iter().map(|symbol| damage.done_to(symbol, &mut random)).collect();
            let read = read_by_three(folder.path(), &damaged);
            let printed: HashSet<&str> = plates.iter().map(|plate| plate.payload.as_str()).collect();
            let wrong = read.iter().flatten().find(|said| !printed.contains(said.as_str()));
            assert_eq!(wrong, None, "{level} {name}: on no plate");
            let by_two = |payload: &&&str| read.iter().filter(|read| read.contains(**payload)).count() >= 2;
            let both = printed.iter().filter(by_two).count();
            let share = |read: usize| read as f64 / count as f64;
            if asked.is_some() {
                let [zbar, zxing, quirc] = [0, 1, 2].map(|at| share(read[at].len()));
                let both = share(both);
                println!("| {level} | {name} | {zbar:.2} | {zxing:.2} | {quirc:.2} | {both:.2} |");
            }
            let least = least.filter(|_| asked.is_none()).unwrap_or(0.0);
            assert!(share(both) >= least, "{level} {name}: two read {:.2} of {count} plates", share(both));
        }
    }
}

/// Symbols of plates cut out of their finished PDF.
fn printed(folder: &Path, level: Level, count: usize) -> (Vec<PlateSpec>, Vec<GrayImage>) {
    let mut plates = plates(count);
    plates.iter_mut().for_each(|plate| plate.level = Some(level));
    // Version 3 at M and Q, 4 at H: 29 and 33 modules.
    let modules = if level == Level::H { 33.0 } else { 29.0 };
    let square = (modules + 2.0 * QUIET) * MODULE_MM;
    let face = include_str!("../../../labels/faces/rect-60x40.toml")
        .replace("size = 24.3", &format!("size = {square}"));
    let run = PlateRun {
        face: Face::from_toml(&face).unwrap(),
        sheet: Sheet::built_in().into_iter().find(|sheet| sheet.id == "roll").unwrap(),
        palette: Palette::built_in(),
        finish: Finish::Color,
        title: "damage".into(),
        dated: lidmark::domain::ids::Millis(1_790_000_000_000),
    };
    let (bytes, summary) = render(&run, &plates);
    assert!(summary.plates.iter().all(|placed| placed.symbol.level.to_string() == level.as_str()));
    let pdf = folder.join(format!("{level}.pdf"));
    std::fs::write(&pdf, bytes).unwrap();
    let dpi = PX / MODULE_MM * 25.4;
    let pages = folder.join(format!("{level}"));
    let status = Command::new("pdftoppm")
        .args(["-gray", "-png", "-r", &dpi.to_string()])
        .arg(&pdf)
        .arg(&pages)
        .status();
    assert!(status.unwrap().success());
    let mut files: Vec<PathBuf> =
        std::fs::read_dir(folder).unwrap().map(|entry| entry.unwrap().path()).collect();
    files.retain(|file| {
        file.extension().is_some_and(|extension| extension == "png")
            && file.file_name().unwrap().to_string_lossy().starts_with(level.as_str())
    });
    files.sort();
    assert_eq!(files.len(), count);
    let px = |mm: f64| (mm / MODULE_MM * PX).round() as u32;
    let cut = |file: &PathBuf| {
        let page = image::open(file).unwrap().to_luma8();
        let (x, y, side) = (px(run.face.qr.x), px(run.face.qr.y), px(square));
        let symbol = image::imageops::crop_imm(&page, x, y, side, side).to_image();
        assert_eq!(symbol.dimensions(), (side, side));
        symbol
    };
    (plates, files.iter().map(cut).collect())
}

/// What zbar, ZXing and quirc (in Rust) read from pictures.
fn read_by_three(folder: &Path, pictures: &[GrayImage]) -> [HashSet<String>; 3] {
    let files: Vec<PathBuf> =
        (0..pictures.len()).map(|at| folder.join(format!("damaged-{at}.png"))).collect();
    for (picture, file) in pictures.iter().zip(&files) {
        picture.save(file).unwrap();
    }
    let zbar = Command::new("zbarimg")
        .args(["--quiet", "--raw", "-Sdisable", "-Sqrcode.enable"])
        .args(&files)
        .output()
        .unwrap();
    let zbar = String::from_utf8_lossy(&zbar.stdout).lines().map(str::to_owned).collect();
    let zxing = pictures.iter().flat_map(zxing_reads).collect();
    let mut quirc = HashSet::new();
    for picture in pictures {
        let (width, height) = picture.dimensions();
        let mut reader = quircs::Quirc::default();
        let found = reader.identify(width as usize, height as usize, picture.as_raw());
        let said = found.filter_map(|code| code.ok()?.decode().ok());
        quirc.extend(said.filter_map(|said| String::from_utf8(said.payload).ok()));
    }
    [zbar, zxing, quirc]
}

impl Damage {
    fn done_to(self, symbol: &GrayImage, random: &mut SmallRng) -> GrayImage {
        let modules = f64::from(symbol.width()) / PX - 2.0 * QUIET;
        match self {
            Damage::None => symbol.clone(),
            Damage::Spots { share, count } => spots(symbol, modules, share, count, random),
            Damage::Corner { share } => corner(symbol, modules, share, random),
            Damage::Blur(radius) => out_of_focus(symbol, radius * PX),
            Damage::Smear(deviation) => image::imageops::blur(symbol, (deviation * PX) as f32),
            Damage::Tilt(degrees) => tilt(symbol, degrees, random),
            Damage::Dirt { film, specks } => dirt(symbol, (film, specks), random),
            Damage::Contrast(left) => {
                let middle = random.random_range(90.0..170.0);
                picture(symbol, |x, y| {
                    let swing = f64::from(symbol.get_pixel(x, y).0[0]) / 255.0 - 0.5;
                    middle + swing * 255.0 * left + noise(random, 1.5)
                })
            }
        }
    }
}

fn picture(like: &GrayImage, mut value: impl FnMut(u32, u32) -> f64) -> GrayImage {
    GrayImage::from_fn(like.width(), like.height(), |x, y| {
        Luma([value(x, y).clamp(0.0, 255.0).round() as u8])
    })
}

/// Bell-shaped around 0, by the sum of uniform numbers.
fn noise(random: &mut impl Rng, deviation: f64) -> f64 {
    (0..12).map(|_| random.random_range(-0.5..0.5)).sum::<f64>() * deviation
}

fn is_spoilable(modules: f64, x: f64, y: f64) -> bool {
    let (far, inside) = (modules - FINDER, 0.0..modules);
    let on_finder = (x < FINDER && (y < FINDER || y >= far)) || (x >= far && y < FINDER);
    inside.contains(&x) && inside.contains(&y) && !on_finder
}

/// Ellipses of white, black or gray paint, grown until together they cover their share.
fn spots(symbol: &GrayImage, modules: f64, share: f64, count: usize, random: &mut SmallRng) -> GrayImage {
    let mut out = symbol.clone();
    let paint = [255, 128, 0][random.random_range(0..3)];
    let (mut covered, whole) = (HashSet::new(), (modules * PX).powi(2) * share);
    for spot in 1..=count {
        let (x, y) = loop {
            let (x, y) = (random.random_range(0.0..modules), random.random_range(0.0..modules));
            if is_spoilable(modules, x, y) {
                break (x, y);
            }
        };
        let (narrow, (sin, cos)) =
            (random.random_range(0.6..1.0), random.random_range(0.0..std::f64::consts::PI).sin_cos());
        let wanted = (whole * spot as f64 / count as f64) as usize;
        // Dots by their distance from the middle of the ellipse.
        let mut near: Vec<(u32, (u32, u32))> = Vec::new();
        for (px_x, px_y, _) in symbol.enumerate_pixels() {
            let (at_x, at_y) = (f64::from(px_x) / PX - QUIET, f64::from(px_y) / PX - QUIET);
            let (dx, dy) = (at_x - x, at_y - y);
            let (along, across) = (dx * cos + dy * sin, (dy * cos - dx * sin) / narrow);
            if is_spoilable(modules, at_x, at_y) && !covered.contains(&(px_x, px_y)) {
                near.push(((along.hypot(across) * 1000.0) as u32, (px_x, px_y)));
            }
        }
        let more = (wanted - covered.len()).min(near.len());
        if more > 0 {
            near.select_nth_unstable(more - 1);
        }
        covered.extend(near.into_iter().take(more).map(|(_, dot)| dot));
    }
    for (x, y) in covered {
        out.put_pixel(x, y, Luma([paint]));
    }
    out
}

/// Cut off along a rough line; what is behind is light, dark or between.
fn corner(symbol: &GrayImage, modules: f64, share: f64, random: &mut SmallRng) -> GrayImage {
    let leg = (2.0 * share).sqrt() * modules;
    let behind = [255.0, 128.0, 60.0][random.random_range(0..3)];
    let rough: Vec<f64> = (0..9).map(|_| random.random_range(-0.5..0.5)).collect();
    picture(symbol, |x, y| {
        let (at_x, at_y) = (f64::from(x) / PX - QUIET, f64::from(y) / PX - QUIET);
        let along = ((at_x - at_y) / (2.0 * modules) + 0.5).clamp(0.0, 1.0) * 8.0;
        let gone = at_x + at_y > 2.0 * modules - leg + rough[along as usize];
        if gone { behind } else { f64::from(symbol.get_pixel(x, y).0[0]) }
    })
}

/// Each dot the mean of those within `radius` dots.
fn out_of_focus(symbol: &GrayImage, radius: f64) -> GrayImage {
    let reach = radius.ceil() as i64;
    let offsets: Vec<(i64, i64)> = (-reach..=reach)
        .flat_map(|dy| (-reach..=reach).map(move |dx| (dx, dy)))
        .filter(|(dx, dy)| (*dx as f64).hypot(*dy as f64) <= radius)
        .collect();
    let (width, height) = (i64::from(symbol.width()), i64::from(symbol.height()));
    picture(symbol, |x, y| {
        let dot = |(dx, dy): &(i64, i64)| {
            let (x, y) = ((i64::from(x) + dx).clamp(0, width - 1), (i64::from(y) + dy).clamp(0, height - 1));
            f64::from(symbol.get_pixel(x as u32, y as u32).0[0])
        };
        offsets.iter().map(dot).sum::<f64>() / offsets.len() as f64
    })
}

/// In perspective, the camera twice the width of the symbol away.
fn tilt(symbol: &GrayImage, degrees: f64, random: &mut SmallRng) -> GrayImage {
    let side = f64::from(symbol.width());
    let (room, far) = (side * 1.4, side * 2.0);
    let (sin, cos) = random.random_range(0.0..std::f64::consts::TAU).sin_cos();
    let (lean_sin, lean_cos) = degrees.to_radians().sin_cos();
    GrayImage::from_fn(room as u32, room as u32, |x, y| {
        let (x, y) = (f64::from(x) - room / 2.0, f64::from(y) - room / 2.0);
        let (along, across) = (x * cos + y * sin, y * cos - x * sin);
        // The ray through this pixel meets the leaning plate at `on_plate` along the slope.
        let on_plate = along * far / (far * lean_cos - along * lean_sin);
        let nearer = (far + on_plate * lean_sin) / far;
        let (along, across) = (on_plate, across * nearer);
        let (x, y) = (along * cos - across * sin + side / 2.0, along * sin + across * cos + side / 2.0);
        let (left, top) = (x.floor(), y.floor());
        let dot = |x: f64, y: f64| {
            let inside = x >= 0.0 && y >= 0.0 && x < side && y < side;
            if inside { f64::from(symbol.get_pixel(x as u32, y as u32).0[0]) } else { 255.0 }
        };
        let between = |a: f64, b: f64, share: f64| a + (b - a) * share;
        let upper = between(dot(left, top), dot(left + 1.0, top), x - left);
        let lower = between(dot(left, top + 1.0), dot(left + 1.0, top + 1.0), x - left);
        Luma([between(upper, lower, y - top).clamp(0.0, 255.0).round() as u8])
    })
}

fn dirt(symbol: &GrayImage, (film, specks): (f64, f64), random: &mut SmallRng) -> GrayImage {
    const GRID: usize = 5;
    let film: Vec<f64> = (0..GRID * GRID).map(|_| random.random_range(0.0..film)).collect();
    let side = f64::from(symbol.width());
    let mut out = picture(symbol, |x, y| {
        let (x_at, y_at) = (f64::from(x) / side * 3.999, f64::from(y) / side * 3.999);
        let (left, top) = (x_at as usize, y_at as usize);
        let thick = |x: usize, y: usize| film[y * GRID + x];
        let between = |a: f64, b: f64, share: f64| a + (b - a) * share;
        let upper = between(thick(left, top), thick(left + 1, top), x_at.fract());
        let lower = between(thick(left, top + 1), thick(left + 1, top + 1), x_at.fract());
        let mud = between(upper, lower, y_at.fract());
        between(f64::from(symbol.get_pixel(x, y).0[0]), 95.0, mud) + noise(random, 6.0)
    });
    let modules = side / PX;
    for _ in 0..(modules * modules * specks) as usize {
        let (x, y) = (random.random_range(0.0..side), random.random_range(0.0..side));
        let (radius, shade) = (random.random_range(0.15..0.5) * PX, random.random_range(60..150));
        for (px_x, px_y, dot) in out.enumerate_pixels_mut() {
            if (f64::from(px_x) - x).hypot(f64::from(px_y) - y) <= radius {
                *dot = Luma([shade]);
            }
        }
    }
    out
}
