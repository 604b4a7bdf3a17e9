//! A reader of PMTiles, version 3: one file with all tiles of a base map, found by their places on a Hilbert curve. Only
//! what a tile needs is read; the file may be larger than memory.

use std::fs::File;
use std::io::{Error, ErrorKind, Read, Result, Seek, SeekFrom};
use std::path::Path;
use std::sync::{Mutex, PoisonError};

use flate2::read::GzDecoder;

const HEADER: usize = 127;
/// Bytes of a directory as it is stored and as it is read, and of a tile.
const PACKED_DIRECTORY: u64 = 4 << 20;
const DIRECTORY: u64 = 64 << 20;
const TILE: u64 = 16 << 20;
/// Directories below each other that are followed; writers make two.
const DEPTH: u32 = 4;

/// What the tiles of a file are.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum TileKind {
    /// Mapbox vector tiles.
    Vector,
    Png,
    Jpeg,
    Webp,
}

impl TileKind {
    pub fn media_type(self) -> &'static str {
        match self {
            Self::Vector => "application/vnd.mapbox-vector-tile",
            Self::Png => "image/png",
            Self::Jpeg => "image/jpeg",
            Self::Webp => "image/webp",
        }
    }
}

/// An open file of tiles.
pub struct PmTiles {
    file: Mutex<File>,
    root: Vec<Entry>,
    leaves: u64,
    tiles: u64,
    is_packed: bool,
    is_tile_packed: bool,
    pub kind: TileKind,
    /// Finest zoom of the file.
    pub max_zoom: u8,
}

/// So many tiles from `tile` on are the bytes at `offset`; with a run of 0, those bytes are a directory of what follows.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
struct Entry {
    tile: u64,
    run: u64,
    offset: u64,
    length: u64,
}

fn broken(reason: &'static str) -> Error {
    Error::new(ErrorKind::InvalidData, reason)
}

impl PmTiles {
    /// Opens a file. An error says what is wrong with it.
    pub fn open(path: &Path) -> Result<Self> {
        let mut file = File::open(path)?;
        let mut header = [0; HEADER];
        file.read_exact(&mut header).map_err(|_| broken("the file is too short for PMTiles"))?;
        if &header[..7] != b"PMTiles" || header[7] != 3 {
            return Err(broken("the file is not PMTiles, version 3"));
        }
        let number =
            |at: usize| u64::from_le_bytes(header[at..at + 8].try_into().expect("eight bytes of the header"));
        let packed = |compression: u8| match compression {
            1 => Ok(false),
            2 => Ok(true),
            _ => {
                Err(broken("its directories or tiles are neither plain nor gzipped; write it anew with gzip"))
            }
        };
        let kind = match header[99] {
            1 => TileKind::Vector,
            2 => TileKind::Png,
            3 => TileKind::Jpeg,
            4 => TileKind::Webp,
            _ => return Err(broken("its tiles are neither vector tiles nor PNG, JPEG or WebP")),
        };
        let is_packed = packed(header[97])?;
        let is_tile_packed = packed(header[98])?;
        let root = read_directory(&mut file, number(8), number(16), is_packed)?;
        Ok(Self {
            file: Mutex::new(file),
            root,
            leaves: number(40),
            tiles: number(56),
            is_packed,
            is_tile_packed,
            kind,
            max_zoom: header[101],
        })
    }

    /// The bytes of a tile, unpacked; `None` where the file has none. Blocks on the disk.
    pub fn read(&self, zoom: u32, x: u32, y: u32) -> Result<Option<Vec<u8>>> {
        let Some(wanted) = tile_number(zoom, x, y) else { return Ok(None) };
        let mut file = self.file.lock().unwrap_or_else(PoisonError::into_inner);
        let mut found = find(&self.root, wanted);
        for _ in 0..DEPTH {
            let Some(entry) = found else { return Ok(None) };
            if entry.run > 0 {
                let bytes = read_at(&mut file, after(self.tiles, entry.offset)?, entry.length, TILE)?;
                return if self.is_tile_packed { unpack(&bytes, TILE).map(Some) } else { Ok(Some(bytes)) };
            }
            let leaf =
                read_directory(&mut file, after(self.leaves, entry.offset)?, entry.length, self.is_packed)?;
            found = find(&leaf, wanted);
        }
        Err(broken("its directories lie too deep"))
    }
}

fn after(start: u64, offset: u64) -> Result<u64> {
    start.checked_add(offset).ok_or_else(|| broken("a place in it lies beyond every file"))
}

fn read_at(file: &mut File, offset: u64, length: u64, most: u64) -> Result<Vec<u8>> {
    if length > most {
        return Err(broken("a part of it is larger than any map needs"));
    }
    file.seek(SeekFrom::Start(offset))?;
    let mut bytes = Vec::new();
    file.take(length).read_to_end(&mut bytes)?;
    if bytes.len() as u64 == length { Ok(bytes) } else { Err(broken("the file ends too early")) }
}

fn unpack(packed: &[u8], most: u64) -> Result<Vec<u8>> {
    let mut bytes = Vec::new();
    GzDecoder::new(packed).take(most + 1).read_to_end(&mut bytes)?;
    if bytes.len() as u64 > most {
        Err(broken("a part of it is larger than any map needs"))
    } else {
        Ok(bytes)
    }
}

fn read_directory(file: &mut File, offset: u64, length: u64, is_packed: bool) -> Result<Vec<Entry>> {
    let bytes = read_at(file, offset, length, PACKED_DIRECTORY)?;
    parse_directory(&if is_packed { unpack(&bytes, DIRECTORY)? } else { bytes })
}

/// Columns one after the other: differences of numbers, runs, lengths, offsets; an offset of 0 follows the entry before.
fn parse_directory(bytes: &[u8]) -> Result<Vec<Entry>> {
    let mut rest = bytes;
    let count = varint(&mut rest)?;
    // Each entry takes a byte in each column at least.
    if count > rest.len() as u64 / 4 {
        return Err(broken("a directory promises more than it holds"));
    }
    let mut entries = vec![Entry { tile: 0, run: 0, offset: 0, length: 0 }; count as usize];
    let mut tile = 0_u64;
    for entry in &mut entries {
        tile = after(tile, varint(&mut rest)?)?;
        entry.tile = tile;
    }
    for entry in &mut entries {
        entry.run = varint(&mut rest)?;
    }
    for entry in &mut entries {
        entry.length = varint(&mut rest)?;
    }
    let mut next = 0;
    for entry in &mut entries {
        entry.offset = match varint(&mut rest)? {
            0 => next,
            offset => offset - 1,
        };
        next = after(entry.offset, entry.length)?;
    }
    Ok(entries)
}

fn varint(rest: &mut &[u8]) -> Result<u64> {
    let mut value = 0_u64;
    for shift in (0..64).step_by(7) {
        let (byte, after) = rest.split_first().ok_or_else(|| broken("a directory ends too early"))?;
        *rest = after;
        value |= u64::from(byte & 0x7f) << shift;
        if byte & 0x80 == 0 {
            return Ok(value);
        }
    }
    Err(broken("a number in a directory never ends"))
}

/// The entry that holds a tile or leads to it.
fn find(entries: &[Entry], tile: u64) -> Option<Entry> {
    let entry = *entries.get(entries.partition_point(|entry| entry.tile <= tile).checked_sub(1)?)?;
    (entry.run == 0 || tile - entry.tile < entry.run).then_some(entry)
}

/// The number of a tile: those of all coarser zooms come first, then along the Hilbert curve of its zoom.
fn tile_number(zoom: u32, x: u32, y: u32) -> Option<u64> {
    if zoom > 26 || x >> zoom != 0 || y >> zoom != 0 {
        return None;
    }
    let coarser = ((1_u64 << (2 * zoom)) - 1) / 3;
    let (mut x, mut y) = (u64::from(x), u64::from(y));
    let mut along = 0;
    for level in (0..zoom).rev() {
        let side = 1_u64 << level;
        let (right, low) = (u64::from(x & side != 0), u64::from(y & side != 0));
        along += side * side * ((3 * right) ^ low);
        (x, y) = (x & (side - 1), y & (side - 1));
        if low == 0 {
            if right == 1 {
                (x, y) = (side - 1 - x, side - 1 - y);
            }
            (x, y) = (y, x);
        }
    }
    Some(coarser + along)
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;
    use std::io::Write;

    fn put_varint(out: &mut Vec<u8>, mut value: u64) {
        while value >= 0x80 {
            out.push(value as u8 | 0x80);
            value >>= 7;
        }
        out.push(value as u8);
    }

    fn directory(entries: &[Entry]) -> Vec<u8> {
        let mut out = Vec::new();
        put_varint(&mut out, entries.len() as u64);
        let mut before = 0;
        for entry in entries {
            put_varint(&mut out, entry.tile - before);
            before = entry.tile;
        }
        entries.iter().for_each(|entry| put_varint(&mut out, entry.run));
        entries.iter().for_each(|entry| put_varint(&mut out, entry.length));
        entries.iter().for_each(|entry| put_varint(&mut out, entry.offset + 1));
        out
    }

    fn gzip(bytes: &[u8]) -> Vec<u8> {
        let mut out = flate2::write::GzEncoder::new(Vec::new(), flate2::Compression::fast());
        out.write_all(bytes).unwrap();
        out.finish().unwrap()
    }

    /// A file with three tiles: the world in the root, two alike behind a leaf.
    fn sample() -> Vec<u8> {
        let (world, both) = (gzip(b"world"), gzip(b"two alike"));
        let leaf = gzip(&directory(&[Entry {
            tile: 1,
            run: 2,
            offset: world.len() as u64,
            length: both.len() as u64,
        }]));
        let root = gzip(&directory(&[
            Entry { tile: 0, run: 1, offset: 0, length: world.len() as u64 },
            Entry { tile: 1, run: 0, offset: 0, length: leaf.len() as u64 },
        ]));
        let mut file = b"PMTiles\x03".to_vec();
        let root_at = HEADER as u64;
        let leaf_at = root_at + root.len() as u64;
        let tiles_at = leaf_at + leaf.len() as u64;
        for number in [root_at, root.len() as u64, 0, 0, leaf_at, leaf.len() as u64, tiles_at, 99, 3, 2, 2] {
            file.extend(number.to_le_bytes());
        }
        file.extend([1, 2, 2, 1, 0, 1]);
        file.resize(HEADER, 0);
        [root, leaf, world, both].iter().for_each(|part| file.extend(part));
        file
    }

    fn open(bytes: &[u8]) -> Result<PmTiles> {
        let mut file = tempfile::NamedTempFile::new().unwrap();
        file.write_all(bytes).unwrap();
        PmTiles::open(file.path())
    }

    #[test]
    fn a_tile_is_found_in_the_root_and_behind_a_leaf() {
        let tiles = open(&sample()).unwrap();
        assert_eq!((tiles.kind, tiles.max_zoom), (TileKind::Vector, 1));
        assert_eq!(tiles.read(0, 0, 0).unwrap().as_deref(), Some(b"world".as_slice()));
        assert_eq!(tiles.read(1, 0, 0).unwrap().as_deref(), Some(b"two alike".as_slice()));
        assert_eq!(tiles.read(1, 0, 1).unwrap().as_deref(), Some(b"two alike".as_slice()));
        assert_eq!(tiles.read(1, 1, 1).unwrap(), None);
        assert_eq!(tiles.read(9, 3, 3).unwrap(), None);
    }

    /// Numbers as the specification gives them.
    #[test]
    fn tiles_are_numbered_along_the_curve() {
        for (place, number) in [
            ((0, 0, 0), 0),
            ((1, 0, 0), 1),
            ((1, 0, 1), 2),
            ((1, 1, 1), 3),
            ((1, 1, 0), 4),
            ((2, 0, 0), 5),
            ((12, 3423, 1763), 19_078_479),
        ] {
            assert_eq!(tile_number(place.0, place.1, place.2), Some(number), "{place:?}");
        }
        let mut seen: Vec<u64> =
            (0..64).flat_map(|x| (0..64).map(move |y| tile_number(6, x, y).unwrap())).collect();
        seen.sort_unstable();
        assert!(seen.iter().enumerate().all(|(at, number)| *number == 1365 + at as u64));
        assert_eq!(tile_number(2, 4, 0), None);
    }

    #[test]
    fn what_is_no_file_of_tiles_is_refused_in_words() {
        assert!(open(b"PMTiles").is_err_and(|error| error.to_string().contains("too short")));
        assert!(open(&[0; 200]).is_err_and(|error| error.to_string().contains("not PMTiles")));
        let mut zstd = sample();
        zstd[98] = 4;
        assert!(open(&zstd).is_err_and(|error| error.to_string().contains("gzip")));
    }

    proptest! {
        #[test]
        fn a_spoiled_file_is_an_error_and_never_a_panic(at in 0usize..400, byte: u8, cut in 0usize..400, x in 0u32..2, y in 0u32..2) {
            let mut bytes = sample();
            let length = bytes.len();
            bytes[at % length] = byte;
            bytes.truncate(length - cut % 40);
            if let Ok(tiles) = open(&bytes) {
                let _ = tiles.read(1, x, y);
                let _ = tiles.read(0, 0, 0);
            }
        }
    }
}
