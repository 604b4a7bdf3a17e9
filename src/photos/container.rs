//! What a file is, by its bytes: type, size in pixels, and whether it ends where the picture ends.
//! Nothing is decoded here; a hostile file costs one walk over its bytes.

use crate::domain::Refusal;

use super::PhotoLimits;

/// The types that are taken.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum MediaType {
    Jpeg,
    Png,
    WebP,
}

impl MediaType {
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Jpeg => "image/jpeg",
            Self::Png => "image/png",
            Self::WebP => "image/webp",
        }
    }
}

/// What the header of a picture promises.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Header {
    pub media_type: MediaType,
    pub width: u32,
    pub height: u32,
    /// A JPEG that keeps all coefficients in memory until the last scan.
    pub progressive: bool,
}

/// Checks a file up to where decoding it is known to be affordable.
pub(super) fn inspect(bytes: &[u8], limits: &PhotoLimits) -> Result<Header, Refusal> {
    if bytes.is_empty() {
        return Err(refuse("photo.empty"));
    }
    if bytes.len() > limits.bytes {
        let most = limits.bytes / 1_000_000;
        return Err(refuse("photo.too_large").with("most", most).with("megabytes", most));
    }
    let (header, trailer) = match sniff(bytes)? {
        MediaType::Jpeg => walk_jpeg(bytes)?,
        MediaType::Png => walk_png(bytes)?,
        MediaType::WebP => walk_webp(bytes)?,
    };
    check_pixels(&header, limits)?;
    check_trailer(header.media_type, trailer)?;
    check_hidden_content(bytes)?;
    Ok(header)
}

fn refuse(code: &'static str) -> Refusal {
    Refusal::new(code).at("photo")
}

fn sniff(bytes: &[u8]) -> Result<MediaType, Refusal> {
    let brand = || bytes.get(8..12).unwrap_or_default();
    let is_iso_media = bytes.get(4..8) == Some(b"ftyp");
    let code = match bytes {
        [0xFF, 0xD8, 0xFF, ..] => return Ok(MediaType::Jpeg),
        _ if bytes.starts_with(PNG_SIGNATURE) => return Ok(MediaType::Png),
        _ if bytes.starts_with(b"RIFF") && brand() == b"WEBP" => return Ok(MediaType::WebP),
        _ if bytes.starts_with(b"GIF8") => "photo.gif",
        _ if bytes.starts_with(b"%PDF-") => "photo.pdf",
        _ if is_iso_media && matches!(brand(), b"avif" | b"avis") => "photo.avif",
        _ if is_iso_media
            && matches!(
                brand(),
                b"heic" | b"heix" | b"heim" | b"heis" | b"hevc" | b"hevx" | b"mif1" | b"msf1"
            ) =>
        {
            "photo.heic"
        }
        _ if is_iso_media || bytes.starts_with(&[0x1A, 0x45, 0xDF, 0xA3]) => "photo.video",
        _ if looks_like_svg(bytes) => "photo.svg",
        _ => "photo.type",
    };
    Err(refuse(code))
}

fn looks_like_svg(bytes: &[u8]) -> bool {
    let start = &bytes[..bytes.len().min(1024)];
    start
        .trim_ascii_start()
        .strip_prefix(b"\xEF\xBB\xBF")
        .unwrap_or(start)
        .trim_ascii_start()
        .starts_with(b"<")
        && find_word(start, b"<svg").is_some()
}

fn check_pixels(header: &Header, limits: &PhotoLimits) -> Result<(), Refusal> {
    let &Header { width, height, progressive, .. } = header;
    if width == 0 || height == 0 {
        return Err(refuse("photo.damaged"));
    }
    let sized = |code| refuse(code).with("width", width).with("height", height);
    if width > limits.side || height > limits.side {
        return Err(sized("photo.side").with("max", limits.side));
    }
    let pixels = u64::from(width) * u64::from(height);
    if pixels > limits.pixels {
        return Err(sized("photo.pixels").with("max", limits.pixels / 1_000_000));
    }
    // Three components as one byte and, until the last scan, as a 16-bit coefficient.
    let memory = pixels * if progressive { 9 } else { 3 };
    if memory > limits.memory {
        return Err(refuse("photo.memory").with("bytes", memory).with("max", limits.memory));
    }
    Ok(())
}

const PNG_SIGNATURE: &[u8] = b"\x89PNG\r\n\x1a\n";
/// A progressive JPEG has about ten scans. Each makes the decoder pass over the whole picture, and
/// costs its sender a few bytes.
const SCAN_LIMIT: usize = 32;

fn truncated() -> Refusal {
    refuse("photo.truncated")
}

fn damaged() -> Refusal {
    refuse("photo.damaged")
}

fn u16_be(bytes: &[u8], at: usize) -> Result<u32, Refusal> {
    let pair = bytes.get(at..at + 2).ok_or_else(truncated)?;
    Ok(u32::from(pair[0]) << 8 | u32::from(pair[1]))
}

fn u24_le(bytes: &[u8], at: usize) -> Result<u32, Refusal> {
    let three = bytes.get(at..at + 3).ok_or_else(truncated)?;
    Ok(u32::from(three[0]) | u32::from(three[1]) << 8 | u32::from(three[2]) << 16)
}

fn u32_from(bytes: &[u8], at: usize, read: fn([u8; 4]) -> u32) -> Result<u32, Refusal> {
    let four = bytes.get(at..at + 4).ok_or_else(truncated)?;
    Ok(read([four[0], four[1], four[2], four[3]]))
}

/// Walks the segments up to the end-of-image marker; answers with what follows it.
fn walk_jpeg(bytes: &[u8]) -> Result<(Header, &[u8]), Refusal> {
    let mut header: Option<Header> = None;
    let mut scans = 0;
    let mut at = 2;
    loop {
        if *bytes.get(at).ok_or_else(truncated)? != 0xFF {
            return Err(damaged());
        }
        let marker = *bytes.get(at + 1).ok_or_else(truncated)?;
        match marker {
            0xFF => {
                at += 1; // fill byte
                continue;
            }
            0xD9 => {
                let header = header.filter(|_| scans > 0).ok_or_else(damaged)?;
                return Ok((header, &bytes[at + 2..]));
            }
            0x01 | 0xD0..=0xD7 => {
                at += 2;
                continue;
            }
            0x00 | 0xD8 => return Err(damaged()),
            _ => {}
        }
        let length = u16_be(bytes, at + 2)? as usize;
        if length < 2 {
            return Err(damaged());
        }
        match marker {
            // Start of frame. Two of them could tell the walker and the decoder different sizes.
            0xC0..=0xC3 | 0xC5..=0xC7 | 0xC9..=0xCB | 0xCD..=0xCF => {
                let frame = Header {
                    media_type: MediaType::Jpeg,
                    width: u16_be(bytes, at + 7)?,
                    height: u16_be(bytes, at + 5)?,
                    progressive: marker & 0x03 == 2,
                };
                if header.replace(frame).is_some() {
                    return Err(damaged());
                }
            }
            0xDA => scans += 1,
            _ => {}
        }
        at += 2 + length;
        if marker == 0xDA {
            if scans > SCAN_LIMIT {
                return Err(refuse("photo.scans").with("max", SCAN_LIMIT));
            }
            at += end_of_scan(bytes.get(at..).ok_or_else(truncated)?).ok_or_else(truncated)?;
        }
    }
}

/// Where entropy-coded data ends: at the first marker that is neither stuffing nor a restart.
fn end_of_scan(data: &[u8]) -> Option<usize> {
    let mut at = 0;
    loop {
        at += data[at..].iter().position(|byte| *byte == 0xFF)?;
        match data.get(at + 1)? {
            0x00 | 0xD0..=0xD7 => at += 2,
            0xFF => at += 1,
            _ => return Some(at),
        }
    }
}

fn walk_png(bytes: &[u8]) -> Result<(Header, &[u8]), Refusal> {
    let mut header = None;
    let mut has_data = false;
    let mut at = PNG_SIGNATURE.len();
    loop {
        let length = u32_from(bytes, at, u32::from_be_bytes)? as usize;
        let kind = bytes.get(at + 4..at + 8).ok_or_else(truncated)?;
        let data = bytes.get(at + 8..).and_then(|rest| rest.get(..length)).ok_or_else(truncated)?;
        at += 12 + length;
        match kind {
            b"IHDR" if header.is_none() && length == 13 => {
                header = Some(Header {
                    media_type: MediaType::Png,
                    width: u32_from(data, 0, u32::from_be_bytes)?,
                    height: u32_from(data, 4, u32::from_be_bytes)?,
                    progressive: false,
                });
            }
            _ if header.is_none() => return Err(damaged()),
            b"IHDR" => return Err(damaged()),
            b"IDAT" => has_data = true,
            b"IEND" => {
                let header = header.filter(|_| has_data).ok_or_else(damaged)?;
                return Ok((header, bytes.get(at..).ok_or_else(truncated)?));
            }
            _ => {}
        }
    }
}

fn walk_webp(bytes: &[u8]) -> Result<(Header, &[u8]), Refusal> {
    let size = u32_from(bytes, 4, u32::from_le_bytes)? as usize;
    let end = (size + 8).next_multiple_of(2);
    // A last padding byte is often forgotten.
    let riff =
        bytes.get(12..end.min(bytes.len())).filter(|_| bytes.len() + 1 >= end).ok_or_else(truncated)?;
    let mut canvas = None;
    check_webp_chunks(riff, &mut canvas, 0)?;
    let (width, height) = canvas.ok_or_else(damaged)?;
    let header = Header { media_type: MediaType::WebP, width, height, progressive: false };
    Ok((header, bytes.get(end..).unwrap_or_default()))
}

/// The first chunk with a size sets the canvas; no frame may be larger, whatever the canvas says.
fn check_webp_chunks(chunks: &[u8], canvas: &mut Option<(u32, u32)>, depth: u32) -> Result<(), Refusal> {
    let mut at = 0;
    while at < chunks.len() {
        let kind = chunks.get(at..at + 4).ok_or_else(truncated)?;
        let length = u32_from(chunks, at + 4, u32::from_le_bytes)? as usize;
        let data = chunks.get(at + 8..).and_then(|rest| rest.get(..length)).ok_or_else(truncated)?;
        let size = match kind {
            b"VP8X" => Some((u24_le(data, 4)? + 1, u24_le(data, 7)? + 1)),
            b"VP8 " => {
                if data.get(3..6) != Some(&[0x9D, 0x01, 0x2A]) {
                    return Err(damaged());
                }
                let side = |at| Ok(u16_be(data, at)?.swap_bytes() >> 16 & 0x3FFF);
                Some((side(6)?, side(8)?))
            }
            b"VP8L" => {
                let bits = u32_from(data, 1, u32::from_le_bytes)?;
                Some(((bits & 0x3FFF) + 1, (bits >> 14 & 0x3FFF) + 1))
            }
            b"ANMF" if depth == 0 && canvas.is_some() => {
                check_webp_chunks(data.get(16..).ok_or_else(truncated)?, canvas, 1)?;
                None
            }
            _ => None,
        };
        if let Some((width, height)) = size {
            let (widest, highest) = *canvas.get_or_insert((width, height));
            if width > widest || height > highest {
                return Err(damaged());
            }
        }
        at += 8 + length.next_multiple_of(2);
    }
    Ok(())
}

/// Phones put things behind the picture: the gain map of an HDR photo, the clip of a live photo,
/// depth data of the maker. Those are let pass behind a JPEG; text is not, nor anything that some
/// program would open as a file of its own.
fn check_trailer(media_type: MediaType, trailer: &[u8]) -> Result<(), Refusal> {
    let padding = |byte: &&u8| matches!(byte, 0 | b' ' | b'\t' | b'\r' | b'\n');
    let trailer = &trailer[trailer.iter().take_while(padding).count()..];
    if trailer.is_empty() {
        return Ok(());
    }
    let sample = &trailer[..trailer.len().min(4096)];
    let text = sample.iter().filter(|byte| byte.is_ascii_graphic() || byte.is_ascii_whitespace()).count();
    let found = if media_type != MediaType::Jpeg {
        "data_after_end"
    } else if text * 4 > sample.len() * 3 {
        "text_after_end"
    } else if sample.starts_with(b"PK") {
        "ZIP"
    } else if sample.starts_with(b"MZ") || sample.starts_with(b"\x7FELF") {
        "program"
    } else if find_word(trailer, b"%pdf-").is_some() {
        "PDF"
    } else {
        return Ok(());
    };
    Err(refuse("photo.hidden_content").with("found", found))
}

/// Refuses pictures that are something else as well: programs look for these marks anywhere in a
/// file, or in its first or last stretch. They are long enough not to occur by chance.
fn check_hidden_content(bytes: &[u8]) -> Result<(), Refusal> {
    const MARKUP: [&[u8]; 8] =
        [b"<script", b"<?php ", b"<?php\n", b"<!doctype", b"<html>", b"<html ", b"<iframe", b"<svg xmlns"];
    const ARCHIVES: [(&[u8], &str); 2] = [(b"Rar!\x1A\x07", "RAR"), (b"7z\xBC\xAF\x27\x1C", "7-Zip")];
    let hidden = |found: &str| Err(refuse("photo.hidden_content").with("found", found));
    // PDF readers take the mark anywhere in the first kilobyte.
    if find_word(&bytes[..bytes.len().min(1024 + 5)], b"%pdf-").is_some() {
        return hidden("PDF");
    }
    // ZIP readers look for the end record from behind: signature, two disk numbers (0).
    let tail = &bytes[bytes.len().saturating_sub(65_557)..];
    if tail.windows(8).any(|window| window == b"PK\x05\x06\0\0\0\0") {
        return hidden("ZIP");
    }
    for (at, byte) in bytes.iter().enumerate() {
        let rest = &bytes[at..];
        match byte {
            b'<' if MARKUP.iter().any(|word| starts_with_word(rest, word)) => return hidden("HTML"),
            b'R' | b'7' => {
                if let Some((_, found)) = ARCHIVES.iter().find(|(mark, _)| rest.starts_with(mark)) {
                    return hidden(found);
                }
            }
            _ => {}
        }
    }
    Ok(())
}

/// `word` in lower case.
fn starts_with_word(bytes: &[u8], word: &[u8]) -> bool {
    bytes.get(..word.len()).is_some_and(|start| start.eq_ignore_ascii_case(word))
}

fn find_word(bytes: &[u8], word: &[u8]) -> Option<usize> {
    bytes.windows(word.len()).position(|window| window.eq_ignore_ascii_case(word))
}
