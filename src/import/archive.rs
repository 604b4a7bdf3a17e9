//! Zip archives, believed in nothing: a bounded directory, entries read where they lie by their
//! offset, never unpacked to their own names, each up to a bound and checked by its sum.

use std::fmt;
use std::fs::File;
use std::io::{BufReader, Read, Seek, SeekFrom, Take};
use std::path::{Path, PathBuf};

use flate2::Crc;
use flate2::read::DeflateDecoder;
use zip::{CompressionMethod, ZipArchive};

use super::encoding::detect;
use crate::domain::Refusal;

/// Entries that an archive may list.
const MAX_ENTRIES: usize = 10_000;
/// What any entry may come to. Tables of blanks shrink a hundredfold; more than this is a bomb.
const ALWAYS_ALLOWED: u64 = 64 << 20;
const MAX_RATIO: u64 = 250;
const MAX_UNPACKED: u64 = 16 << 30;

#[derive(Clone)]
pub(super) struct Archive {
    path: PathBuf,
    pub(super) entries: Vec<Entry>,
}

#[derive(Debug, Clone)]
pub(super) struct Entry {
    /// With folders, as text.
    pub(super) name: String,
    header_start: u64,
    packed: u64,
    deflated: bool,
    sum: u32,
    /// Encrypted, or packed in a way that is not read here.
    locked: bool,
}

/// The error of an entry that unpacks to more than is allowed.
#[derive(Debug)]
pub(super) struct TooLarge;

impl fmt::Display for TooLarge {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("the entry unpacks to more than is allowed")
    }
}

impl std::error::Error for TooLarge {}

impl Archive {
    pub(super) fn open(path: &Path) -> Result<Self, Refusal> {
        let damaged = || Refusal::new("archive.damaged");
        let file = File::open(path).map_err(|error| super::unreadable(&error))?;
        let archive = ZipArchive::new(BufReader::new(file)).map_err(|_| damaged())?;
        if archive.len() > MAX_ENTRIES {
            return Err(Refusal::new("archive.entries")
                .with("count", archive.len())
                .with("most", MAX_ENTRIES));
        }
        let mut entries = Vec::with_capacity(archive.len());
        for at in 0..archive.len() {
            let entry = archive.by_index_data(at).map_err(|_| damaged())?;
            if !entry.is_file() {
                continue;
            }
            let deflated = entry.compression() == CompressionMethod::Deflated;
            entries.push(Entry {
                name: text_of(entry.name_raw()),
                header_start: entry.header_start(),
                packed: entry.compressed_size(),
                deflated,
                sum: entry.crc32(),
                locked: entry.encrypted() || !(deflated || entry.compression() == CompressionMethod::Stored),
            });
        }
        Ok(Self { path: path.to_owned(), entries })
    }

    /// Where the archive lies.
    pub(super) fn folder(&self) -> &Path {
        self.path.parent().filter(|folder| !folder.as_os_str().is_empty()).unwrap_or(Path::new("."))
    }

    /// The entry of this name, in capitals or not.
    pub(super) fn find(&self, name: &str) -> Option<&Entry> {
        self.entries.iter().find(|entry| entry.name.eq_ignore_ascii_case(name))
    }

    pub(super) fn reader(&self, entry: &Entry) -> Result<EntryReader, Refusal> {
        if entry.locked {
            return Err(Refusal::new("archive.locked").with("read", super::shown(&entry.name)));
        }
        let open = || -> std::io::Result<Take<File>> {
            let mut file = File::open(&self.path)?;
            let mut header = [0; 30];
            file.seek(SeekFrom::Start(entry.header_start))?;
            file.read_exact(&mut header)?;
            if !header.starts_with(b"PK\x03\x04") {
                return Err(std::io::Error::other("no entry begins where the directory says"));
            }
            let behind = u16::from_le_bytes([header[26], header[27]]) as i64
                + u16::from_le_bytes([header[28], header[29]]) as i64;
            file.seek(SeekFrom::Current(behind))?;
            Ok(file.take(entry.packed))
        };
        let bytes = BufReader::with_capacity(1 << 16, open().map_err(|error| super::unreadable(&error))?);
        let unpacked = if entry.deflated {
            Unpacked::Deflated(Box::new(DeflateDecoder::new(bytes)))
        } else {
            Unpacked::Stored(bytes)
        };
        let most = entry.packed.saturating_mul(MAX_RATIO).clamp(ALWAYS_ALLOWED, MAX_UNPACKED);
        Ok(EntryReader { unpacked, left: most, sum: Crc::new(), expected: entry.sum, ended: false })
    }
}

/// An entry's bytes, unpacked on the way.
pub(super) struct EntryReader {
    unpacked: Unpacked,
    left: u64,
    sum: Crc,
    expected: u32,
    ended: bool,
}

enum Unpacked {
    Stored(BufReader<Take<File>>),
    Deflated(Box<DeflateDecoder<BufReader<Take<File>>>>),
}

impl Read for EntryReader {
    fn read(&mut self, into: &mut [u8]) -> std::io::Result<usize> {
        if self.ended || into.is_empty() {
            return Ok(0);
        }
        let count = match &mut self.unpacked {
            Unpacked::Stored(bytes) => bytes.read(into)?,
            Unpacked::Deflated(bytes) => bytes.read(into)?,
        };
        self.left = self.left.checked_sub(count as u64).ok_or_else(|| std::io::Error::other(TooLarge))?;
        self.sum.update(&into[..count]);
        if count == 0 {
            self.ended = true;
            if self.sum.sum() != self.expected {
                return Err(std::io::Error::other(
                    "the sum of the bytes is not the one that the archive states",
                ));
            }
        }
        Ok(count)
    }
}

/// Names are UTF-8, or in whatever the machine that packed it wrote.
fn text_of(name: &[u8]) -> String {
    match std::str::from_utf8(name) {
        Ok(name) => name.to_owned(),
        Err(_) => detect(name, true)
            .encoding
            .decode(name)
            .unwrap_or_else(|| String::from_utf8_lossy(name).into_owned()),
    }
}
