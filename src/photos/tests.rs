//! Stories of photos, through the store, with pictures made here byte by byte.

use super::*;
use image::codecs::jpeg::JpegEncoder;
use image::{DynamicImage, ImageFormat, Rgb, RgbImage, Rgba, RgbaImage};
use proptest::prelude::*;
use std::fs;
use std::io::{Cursor, Read};
use std::path::PathBuf;
use tempfile::TempDir;

const RED: Rgb<u8> = Rgb([220, 30, 30]);
const GREEN: Rgb<u8> = Rgb([30, 200, 30]);
const BLUE: Rgb<u8> = Rgb([30, 30, 220]);
const WHITE: Rgb<u8> = Rgb([250, 250, 250]);

/// Red, green / blue, white quarters.
fn picture(width: u32, height: u32) -> RgbImage {
    RgbImage::from_fn(width, height, |x, y| match (x < width / 2, y < height / 2) {
        (true, true) => RED,
        (false, true) => GREEN,
        (true, false) => BLUE,
        (false, false) => WHITE,
    })
}

fn encoded(picture: &DynamicImage, format: ImageFormat) -> Vec<u8> {
    let mut bytes = Cursor::new(Vec::new());
    picture.write_to(&mut bytes, format).unwrap();
    bytes.into_inner()
}

fn jpeg(width: u32, height: u32) -> Vec<u8> {
    let mut bytes = Vec::new();
    JpegEncoder::new_with_quality(&mut bytes, 95).encode_image(&picture(width, height)).unwrap();
    bytes
}

fn png(width: u32, height: u32) -> Vec<u8> {
    encoded(&picture(width, height).into(), ImageFormat::Png)
}

fn webp(width: u32, height: u32) -> Vec<u8> {
    encoded(&picture(width, height).into(), ImageFormat::WebP)
}

/// An EXIF block with an orientation, a maker and a place in Dongying.
fn exif(orientation: u8) -> Vec<u8> {
    let mut tiff = b"II*\0\x08\0\0\0".to_vec();
    let entry = |tiff: &mut Vec<u8>, tag: u16, kind: u16, count: u32, value: u32| {
        tiff.extend(tag.to_le_bytes());
        tiff.extend(kind.to_le_bytes());
        tiff.extend(count.to_le_bytes());
        tiff.extend(value.to_le_bytes());
    };
    tiff.extend(3u16.to_le_bytes());
    entry(&mut tiff, 0x010F, 2, 12, 104); // maker
    entry(&mut tiff, 0x0112, 3, 1, u32::from(orientation));
    entry(&mut tiff, 0x8825, 4, 1, 50); // GPS
    tiff.extend(0u32.to_le_bytes());
    assert_eq!(tiff.len(), 50);
    tiff.extend(2u16.to_le_bytes());
    entry(&mut tiff, 1, 2, 2, u32::from_le_bytes(*b"N\0\0\0"));
    entry(&mut tiff, 2, 5, 3, 80);
    tiff.extend(0u32.to_le_bytes());
    assert_eq!(tiff.len(), 80);
    for (above, below) in [(37u32, 1u32), (27, 1), (3599, 100)] {
        tiff.extend(above.to_le_bytes());
        tiff.extend(below.to_le_bytes());
    }
    tiff.extend(b"SECRETMAKER\0");
    [b"Exif\0\0".as_slice(), &tiff].concat()
}

/// Puts a segment behind the start of a JPEG.
fn with_segment(jpeg: &[u8], marker: u8, data: &[u8]) -> Vec<u8> {
    let length = (data.len() as u16 + 2).to_be_bytes();
    [&jpeg[..2], &[0xFF, marker], &length, data, &jpeg[2..]].concat()
}

fn riff(chunks: &[(&[u8; 4], Vec<u8>)]) -> Vec<u8> {
    let mut body = b"WEBP".to_vec();
    for (kind, data) in chunks {
        body.extend(*kind);
        body.extend((data.len() as u32).to_le_bytes());
        body.extend(data);
        if data.len() % 2 == 1 {
            body.push(0);
        }
    }
    [b"RIFF".as_slice(), &(body.len() as u32).to_le_bytes(), &body].concat()
}

fn u24(value: u32) -> [u8; 3] {
    let [low, middle, high, _] = value.to_le_bytes();
    [low, middle, high]
}

fn vp8x(flags: u8, width: u32, height: u32) -> Vec<u8> {
    [[flags, 0, 0, 0].as_slice(), &u24(width - 1), &u24(height - 1)].concat()
}

/// The VP8L chunk of a WebP, header and all.
fn frame_chunk(webp: &[u8]) -> Vec<u8> {
    webp[12..].to_vec()
}

fn crc32(bytes: &[u8]) -> u32 {
    !bytes.iter().fold(!0, |crc: u32, byte| {
        (0..8).fold(
            crc ^ u32::from(*byte),
            |crc, _| if crc & 1 == 1 { crc >> 1 ^ 0xEDB8_8320 } else { crc >> 1 },
        )
    })
}

fn png_chunk(kind: &[u8; 4], data: &[u8]) -> Vec<u8> {
    let body = [kind.as_slice(), data].concat();
    [&(data.len() as u32).to_be_bytes(), body.as_slice(), &crc32(&body).to_be_bytes()].concat()
}

/// A PNG whose header promises a size and whose data is a few bytes.
fn png_bomb(width: u32, height: u32) -> Vec<u8> {
    let header = [&width.to_be_bytes(), &height.to_be_bytes(), [8u8, 2, 0, 0, 0].as_slice()].concat();
    let zeros = [0x78, 0x01, 0x01, 0x04, 0x00, 0xFB, 0xFF, 0, 0, 0, 0, 0x00, 0x04, 0x00, 0x01];
    [
        b"\x89PNG\r\n\x1a\n".to_vec(),
        png_chunk(b"IHDR", &header),
        png_chunk(b"IDAT", &zeros),
        png_chunk(b"IEND", b""),
    ]
    .concat()
}

/// A JPEG whose frame header says another size than its data.
fn jpeg_of_promised_size(width: u16, height: u16) -> Vec<u8> {
    let mut bytes = jpeg(16, 16);
    let frame = bytes.windows(2).position(|pair| pair == [0xFF, 0xC0]).unwrap();
    bytes[frame + 5..frame + 7].copy_from_slice(&height.to_be_bytes());
    bytes[frame + 7..frame + 9].copy_from_slice(&width.to_be_bytes());
    bytes
}

fn store() -> (TempDir, PhotoStore) {
    let folder = tempfile::tempdir().unwrap();
    let store = PhotoStore::new(folder.path().join("photos"), PhotoLimits::default());
    (folder, store)
}

fn public_bytes(store: &PhotoStore, photo: &StoredPhoto) -> Vec<u8> {
    let mut bytes = Vec::new();
    store.open_public(photo.digest).unwrap().unwrap().read_to_end(&mut bytes).unwrap();
    bytes
}

#[expect(clippy::disallowed_methods, reason = "our own picture is looked at, not a stranger's")]
fn public_picture(store: &PhotoStore, photo: &StoredPhoto) -> RgbImage {
    image::load_from_memory(&public_bytes(store, photo)).unwrap().into_rgb8()
}

fn files_below(store: &TempDir) -> Vec<PathBuf> {
    fn walk(folder: PathBuf, found: &mut Vec<PathBuf>) {
        for entry in fs::read_dir(folder).unwrap() {
            let path = entry.unwrap().path();
            if path.is_dir() { walk(path, found) } else { found.push(path) }
        }
    }
    let mut found = Vec::new();
    walk(store.path().to_owned(), &mut found);
    found.sort();
    found
}

fn refusal(store: &PhotoStore, bytes: &[u8]) -> &'static str {
    match store.intake(bytes) {
        Err(PhotoError::Refused(refusal)) => refusal.code,
        other => panic!("{other:?}"),
    }
}

fn near(a: Rgb<u8>, b: Rgb<u8>) -> bool {
    a.0.iter().zip(b.0).all(|(a, b)| a.abs_diff(b) < 40)
}

#[test]
fn the_public_sees_every_orientation_upright_and_no_metadata() {
    let (_folder, store) = store();
    // What is seen at the top left and the top right, by orientation 1 to 8.
    let corners = [
        (RED, GREEN),
        (GREEN, RED),
        (WHITE, BLUE),
        (BLUE, WHITE),
        (RED, BLUE),
        (BLUE, RED),
        (WHITE, GREEN),
        (GREEN, WHITE),
    ];
    for (orientation, (left, right)) in (1u8..).zip(corners) {
        let with_exif = with_segment(&jpeg(64, 32), 0xE1, &exif(orientation));
        let with_comment = with_segment(&with_exif, 0xFE, b"SECRETMAKER says hello");
        let xmp = b"http://ns.adobe.com/xap/1.0/\0<x:xmpmeta>SECRETMAKER</x:xmpmeta>";
        let photo = store.intake(&with_segment(&with_comment, 0xE1, xmp)).unwrap();
        let size = if orientation > 4 { (32, 64) } else { (64, 32) };
        let seen = public_picture(&store, &photo);
        assert_eq!(((photo.width, photo.height), seen.dimensions(), photo.public_size()), (size, size, size));
        assert!(near(*seen.get_pixel(3, 3), left), "orientation {orientation}");
        assert!(near(*seen.get_pixel(size.0 - 4, 3), right), "orientation {orientation}");
        let public = public_bytes(&store, &photo);
        for secret in [b"Exif".as_slice(), b"SECRETMAKER", b"xmpmeta", b"II*\0", &3599u32.to_le_bytes()] {
            assert!(!public.windows(secret.len()).any(|window| window == secret));
        }
    }
}

#[test]
fn metadata_of_png_and_webp_stays_private_too() {
    let (folder, store) = store();
    let tiff = &exif(6)[6..];
    let plain = png(64, 32);
    let with_exif =
        [&plain[..33], &png_chunk(b"eXIf", tiff), &png_chunk(b"tEXt", b"Comment\0SECRETMAKER"), &plain[33..]]
            .concat();
    let webp_with_exif = riff(&[
        (b"VP8X", vp8x(0x08, 64, 32)),
        (b"VP8L", frame_chunk(&webp(64, 32))[8..].to_vec()),
        (b"EXIF", tiff.to_vec()),
    ]);
    for bytes in [with_exif, webp_with_exif] {
        let photo = store.intake(&bytes).unwrap();
        let public = public_bytes(&store, &photo);
        assert!(!public.windows(6).any(|window| window == b"SECRET"));
        assert_eq!((photo.width, photo.height), (32, 64), "{photo:?}");
        assert!(near(*public_picture(&store, &photo).get_pixel(3, 3), BLUE));
        assert_eq!(
            fs::read(
                files_below(&folder)
                    .iter()
                    .find(|path| path.ends_with(&photo.digest.to_string()[2..]))
                    .unwrap()
            )
            .unwrap(),
            bytes
        );
    }
}

#[test]
fn a_large_photo_is_shown_smaller_and_kept_whole() {
    let (_folder, store) = store();
    for (width, height, shown) in [(4000, 100, (1600, 40)), (100, 7000, (22, 1600)), (1601, 1, (1600, 1))] {
        let bytes = jpeg(width, height);
        let photo = store.intake(&bytes).unwrap();
        assert_eq!((photo.width, photo.height, photo.bytes), (width, height, bytes.len() as u64));
        assert_eq!((public_picture(&store, &photo).dimensions(), photo.public_size()), (shown, shown));
        let mut original = Vec::new();
        store.open_original(photo.digest).unwrap().unwrap().read_to_end(&mut original).unwrap();
        assert_eq!(original, bytes);
    }
}

#[test]
fn transparent_parts_become_white_and_deep_colors_are_read() {
    let (_folder, store) = store();
    let clear = RgbaImage::from_pixel(20, 20, Rgba([200, 0, 0, 0]));
    let photo = store.intake(&encoded(&clear.into(), ImageFormat::Png)).unwrap();
    assert!(near(*public_picture(&store, &photo).get_pixel(10, 10), Rgb([255, 255, 255])));
    let deep = DynamicImage::from(picture(20, 20)).into_rgba16();
    let photo = store.intake(&encoded(&deep.into(), ImageFormat::Png)).unwrap();
    assert!(near(*public_picture(&store, &photo).get_pixel(2, 2), RED));
    let gray = DynamicImage::from(picture(20, 20)).into_luma8();
    assert!(store.intake(&encoded(&gray.into(), ImageFormat::Jpeg)).is_ok());
}

#[test]
fn an_animation_gives_its_first_picture() {
    let (_folder, store) = store();
    let frame =
        |frame: &[u8]| [&u24(0), &u24(0), &u24(63), &u24(31), &u24(100), [0u8].as_slice(), frame].concat();
    let second = encoded(&RgbImage::from_pixel(64, 32, BLUE).into(), ImageFormat::WebP);
    let animation = riff(&[
        (b"VP8X", vp8x(0x02, 64, 32)),
        (b"ANIM", vec![0; 6]),
        (b"ANMF", frame(&frame_chunk(&webp(64, 32)))),
        (b"ANMF", frame(&frame_chunk(&second))),
    ]);
    let photo = store.intake(&animation).unwrap();
    assert!(near(*public_picture(&store, &photo).get_pixel(3, 3), RED));
}

#[test]
fn what_is_no_photo_is_refused_with_its_own_sentence() {
    let (folder, store) = store();
    let iso = |brand: &[u8; 4]| [b"\0\0\0\x20ftyp".as_slice(), brand, &[0; 40]].concat();
    let cases: Vec<(Vec<u8>, &str)> = vec![
        (Vec::new(), "photo.empty"),
        (b"GIF89a\x01\0\x01\0".to_vec(), "photo.gif"),
        (iso(b"heic"), "photo.heic"),
        (iso(b"mif1"), "photo.heic"),
        (iso(b"avif"), "photo.avif"),
        (iso(b"mp42"), "photo.video"),
        (iso(b"qt  "), "photo.video"),
        (b"%PDF-1.7\n".to_vec(), "photo.pdf"),
        (b"<svg xmlns='http://www.w3.org/2000/svg'/>".to_vec(), "photo.svg"),
        (b"\xEF\xBB\xBF <?xml version='1.0'?>\n<!-- x --><SVG/>".to_vec(), "photo.svg"),
        (b"<html><script>alert(1)</script>".to_vec(), "photo.type"),
        (b"PK\x03\x04".to_vec(), "photo.type"),
        (b"BM\x3a\0\0\0".to_vec(), "photo.type"),
        (vec![0; 100], "photo.type"),
        (b"hello".to_vec(), "photo.type"),
        (b"\xFF\xD8\xFF".to_vec(), "photo.truncated"),
        (b"\x89PNG\r\n\x1a\n".to_vec(), "photo.truncated"),
        (b"RIFF\xFF\xFF\xFF\x7FWEBP".to_vec(), "photo.truncated"),
        (riff(&[]), "photo.damaged"),
        (vec![0xFF; (12 << 20) + 1], "photo.too_large"),
    ];
    for (bytes, code) in cases {
        assert_eq!(refusal(&store, &bytes), code, "{:?}", &bytes[..bytes.len().min(20)]);
    }
    assert!(files_below(&folder).is_empty(), "what is refused leaves nothing behind");
}

#[test]
fn a_bomb_is_refused_before_it_is_opened() {
    let (folder, store) = store();
    let tiny_frame = frame_chunk(&webp(8, 8))[8..].to_vec();
    let mut large_frame = tiny_frame.clone();
    large_frame[1..5].copy_from_slice(&0x0FFF_FFFFu32.to_le_bytes());
    let mut scans = jpeg(16, 16);
    let scan = scans.windows(2).position(|pair| pair == [0xFF, 0xDA]).unwrap();
    let body = scans[scan..scans.len() - 2].to_vec();
    scans.truncate(scans.len() - 2);
    (0..40).for_each(|_| scans.extend(&body));
    scans.extend([0xFF, 0xD9]);
    let mut progressive = jpeg_of_promised_size(7000, 7000);
    let frame = progressive.windows(2).position(|pair| pair == [0xFF, 0xC0]).unwrap();
    progressive[frame + 1] = 0xC2;
    let started = std::time::Instant::now();
    for (bytes, code) in [
        (png_bomb(100_000, 100_000), "photo.side"),
        (png_bomb(u32::MAX, 1), "photo.side"),
        (png_bomb(19_000, 19_000), "photo.pixels"),
        (png_bomb(0, 10), "photo.damaged"),
        (png_bomb(5000, 5000), "photo.damaged"),
        (jpeg_of_promised_size(65_500, 65_500), "photo.side"),
        (jpeg_of_promised_size(9000, 9000), "photo.pixels"),
        (jpeg_of_promised_size(16, 0), "photo.damaged"),
        (progressive, "photo.memory"),
        (scans, "photo.scans"),
        (riff(&[(b"VP8X", vp8x(0, 1 << 24, 1 << 24)), (b"VP8L", tiny_frame.clone())]), "photo.side"),
        (riff(&[(b"VP8X", vp8x(0, 8, 8)), (b"VP8L", large_frame.clone())]), "photo.damaged"),
        (riff(&[(b"VP8L", large_frame)]), "photo.pixels"),
    ] {
        assert_eq!(refusal(&store, &bytes), code);
    }
    assert!(started.elapsed().as_secs() < 3, "{:?}", started.elapsed());
    let deep = encoded(&DynamicImage::new_rgba16(300, 300), ImageFormat::Png);
    let small =
        PhotoStore::new(folder.path(), PhotoLimits { memory: 300 * 300 * 7, ..PhotoLimits::default() });
    assert_eq!(refusal(&small, &deep), "photo.memory");
}

#[test]
fn a_file_that_is_two_things_is_refused() {
    let (folder, store) = store();
    let zip_end = b"PK\x05\x06\0\0\0\0\x01\0\x01\0\x20\0\0\0\x40\0\0\0\0\0";
    let zip = [b"PK\x03\x04rest of an archive".as_slice(), zip_end].concat();
    let behind: [&[u8]; 9] = [
        &zip,
        b"%PDF-1.4 and so on",
        b"<html><body>",
        b"<script>alert(1)</script>",
        b"/*\n*/ alert(1);",
        b"#!/bin/sh\nrm -rf /\n",
        b"MZ\x90\0\x03\0\0\0\x04\0\0\0\xFF\xFF\0\0\xB8\0\0\0\0\0\0\0",
        b"\x7FELF\x02\x01\x01\0\0\0\0\0\0\0\0\0\x03\0>\0\x01\0\0\0",
        b"Rar!\x1A\x07\x01\0\x80\x81\x82\x83\x84\x85\x86",
    ];
    for (kind, picture) in [jpeg(16, 16), png(16, 16), webp(16, 16)].iter().enumerate() {
        for trailer in behind {
            for padding in [b"".as_slice(), b"\0\0\0\n"] {
                let both = [picture, padding, trailer].concat();
                assert_eq!(refusal(&store, &both), "photo.hidden_content", "{kind} {trailer:?}");
            }
        }
    }
    for inside in
        [b"%PDF-1.4".as_slice(), b"<SCRIPT src=x>", b"<?php system($_GET[0]);", b"<!DOCTYPE html>", zip_end]
    {
        let comment = with_segment(&jpeg(16, 16), 0xFE, inside);
        assert_eq!(refusal(&store, &comment), "photo.hidden_content");
        let plain = png(16, 16);
        let text =
            [&plain[..33], &png_chunk(b"tEXt", &[b"a\0".as_slice(), inside].concat()), &plain[33..]].concat();
        assert_eq!(refusal(&store, &text), "photo.hidden_content");
    }
    // The size that a WebP tells may be stretched over what is behind it.
    let stretched = riff(&[(b"VP8L", frame_chunk(&webp(16, 16))[8..].to_vec()), (b"junk", zip)]);
    assert_eq!(refusal(&store, &stretched), "photo.hidden_content");
    assert!(files_below(&folder).is_empty());
}

#[test]
fn what_phones_put_behind_a_photo_does_no_harm() {
    let (_folder, store) = store();
    let gain_map = jpeg(8, 8);
    let clip = [b"\0\0\0\x18ftypmp42\0\0\0\0".as_slice(), &[0x93; 300]].concat();
    let maker_data: Vec<u8> = (0..500u32).map(|at| ((at * 7919) >> 3) as u8).collect();
    for trailer in [gain_map, clip, maker_data, vec![0; 5000]] {
        let photo = store.intake(&[jpeg(16, 16), trailer].concat()).unwrap();
        assert_eq!((photo.width, photo.height), (16, 16));
        assert!(public_bytes(&store, &photo).ends_with(&[0xFF, 0xD9]));
    }
}

#[test]
fn a_photo_that_breaks_off_is_refused_wherever_it_breaks() {
    let (folder, store) = store();
    for whole in [jpeg(24, 24), png(24, 24), webp(24, 24)] {
        for length in 12..whole.len() - 1 {
            let code = refusal(&store, &whole[..length]);
            assert!(matches!(code, "photo.truncated" | "photo.damaged"), "{code} at {length}");
        }
    }
    assert!(files_below(&folder).is_empty());
}

#[test]
fn the_same_photo_again_changes_nothing() {
    let (folder, store) = store();
    let bytes = jpeg(40, 30);
    let first = store.intake(&bytes).unwrap();
    let files = files_below(&folder);
    let times: Vec<_> = files.iter().map(|file| fs::metadata(file).unwrap().modified().unwrap()).collect();
    assert_eq!(files.len(), 3);
    assert_eq!(store.intake(&bytes).unwrap(), first);
    assert_eq!(files_below(&folder), files);
    assert_eq!(
        times,
        files.iter().map(|file| fs::metadata(file).unwrap().modified().unwrap()).collect::<Vec<_>>()
    );
    assert_eq!(first.digest, PhotoDigest::of(&bytes));
    assert!(files[0].ends_with(format!(
        "original/{}/{}",
        &first.digest.to_string()[..2],
        &first.digest.to_string()[2..]
    )));
}

#[test]
fn a_missing_or_altered_file_is_noticed_and_healed_by_the_same_photo() {
    let (folder, store) = store();
    let bytes = jpeg(40, 30);
    let digest = PhotoDigest::of(&bytes);
    assert_eq!(store.verify(digest).unwrap(), Verified::Missing);
    assert!(store.open_public(digest).unwrap().is_none() && store.open_original(digest).unwrap().is_none());
    store.intake(&bytes).unwrap();
    assert_eq!(store.verify(digest).unwrap(), Verified::Whole);
    for file in files_below(&folder) {
        let mut altered = fs::read(&file).unwrap();
        altered[20] ^= 1;
        fs::write(&file, altered).unwrap();
        assert_eq!(store.verify(digest).unwrap(), Verified::Altered, "{}", file.display());
        store.intake(&bytes).unwrap();
        assert_eq!(store.verify(digest).unwrap(), Verified::Whole);
        fs::remove_file(&file).unwrap();
        assert_eq!(store.verify(digest).unwrap(), Verified::Missing, "{}", file.display());
        store.intake(&bytes).unwrap();
        assert_eq!(store.verify(digest).unwrap(), Verified::Whole);
    }
}

#[test]
fn all_photos_are_listed_and_leftovers_are_cleared() {
    let (folder, store) = store();
    assert_eq!((store.digests().unwrap().count(), store.remove_leftovers().unwrap()), (0, 0));
    let mut digests: Vec<PhotoDigest> =
        (1..20).map(|side| store.intake(&jpeg(side, 5)).unwrap().digest).collect();
    digests.sort();
    let below = folder.path().join("photos/original").join(&digests[3].to_string()[..2]);
    fs::write(below.join(".0123.tmp"), b"half a pho").unwrap();
    fs::write(folder.path().join("photos/original/README"), b"by hand").unwrap();
    assert_eq!(store.digests().unwrap().collect::<Result<Vec<_>, _>>().unwrap(), digests);
    assert_eq!(store.remove_leftovers().unwrap(), 1);
    assert_eq!(files_below(&folder).len(), 19 * 3 + 1);
}

#[test]
fn a_folder_that_cannot_be_used_is_an_error_and_leaves_nothing() {
    let folder = tempfile::tempdir().unwrap();
    fs::write(folder.path().join("photos"), b"a file in the way").unwrap();
    let store = PhotoStore::new(folder.path().join("photos"), PhotoLimits::default());
    let error = store.intake(&jpeg(8, 8)).unwrap_err();
    assert_eq!(error.refusal().code, "storage.failed");
    assert_eq!(files_below(&folder).len(), 1);
}

#[test]
fn many_intakes_of_one_photo_at_a_time_agree() {
    let (folder, store) = store();
    let bytes = jpeg(40, 30);
    let answers: Vec<StoredPhoto> = std::thread::scope(|scope| {
        let threads: Vec<_> = (0..8).map(|_| scope.spawn(|| store.intake(&bytes).unwrap())).collect();
        threads.into_iter().map(|thread| thread.join().unwrap()).collect()
    });
    assert!(answers.windows(2).all(|pair| pair[0] == pair[1]));
    assert_eq!(store.verify(answers[0].digest).unwrap(), Verified::Whole);
    assert_eq!(files_below(&folder).len(), 3);
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(400))]

    #[test]
    fn no_bytes_make_it_stumble(
        start in prop::sample::select(vec![b"".to_vec(), b"\xFF\xD8\xFF\xE0".to_vec(), b"\x89PNG\r\n\x1a\n\0\0\0\rIHDR".to_vec(), b"RIFF\x40\0\0\0WEBPVP8 ".to_vec(), b"RIFF\x40\0\0\0WEBPVP8X\x0A\0\0\0".to_vec()]),
        rest in prop::collection::vec(any::<u8>(), 0..200),
    ) {
        let (_folder, store) = store();
        let refused = matches!(store.intake(&[start, rest].concat()), Err(PhotoError::Refused(_)));
        prop_assert!(refused);
    }

    #[test]
    fn no_damage_to_a_photo_makes_it_stumble(
        which in 0usize..4,
        hits in prop::collection::vec((any::<prop::sample::Index>(), any::<u8>()), 1..8),
    ) {
        let (_folder, store) = store();
        let mut bytes = match which {
            0 => jpeg(40, 24),
            1 => png(40, 24),
            2 => webp(40, 24),
            _ => with_segment(&jpeg(40, 24), 0xE1, &exif(6)),
        };
        for (at, value) in hits {
            let at = at.index(bytes.len());
            bytes[at] = value;
        }
        match store.intake(&bytes) {
            Ok(photo) => prop_assert_eq!(public_picture(&store, &photo).dimensions(), photo.public_size()),
            Err(PhotoError::Refused(_)) => {}
            Err(other) => prop_assert!(false, "{other:?}"),
        }
    }
}
