//! The container of old workbooks (compound file, OLE 2), believed in nothing: one stream out of it,
//! read where it lies, sector by sector, never more of them than the file has.

use std::fs::File;
use std::io::{Error, Read};
use std::os::unix::fs::FileExt;
use std::path::Path;
use std::sync::Arc;

/// Above these, numbers of sectors mean "none" and "free".
const LAST_SECTOR: u32 = 0xFFFF_FFF9;
/// Streams smaller than this lie in the stream of small ones, in sectors of their own size.
const SMALL: u64 = 4096;
const SMALL_SECTOR: u64 = 64;
/// A folder of more entries is no workbook's.
const MAX_ENTRIES: usize = 100_000;

pub(super) struct CompoundFile {
    file: Arc<File>,
    sector_len: u64,
    /// The sector after each one.
    next: Arc<Vec<u32>>,
    entries: Vec<Entry>,
    small_next: Vec<u32>,
}

struct Entry {
    name: String,
    is_root: bool,
    first: u32,
    length: u64,
}

fn damaged() -> Error {
    Error::other("its container is damaged")
}

fn long(bytes: &[u8], at: usize) -> u32 {
    bytes.get(at..at + 4).and_then(|four| four.try_into().ok()).map_or(u32::MAX, u32::from_le_bytes)
}

fn short(bytes: &[u8], at: usize) -> u16 {
    bytes.get(at..at + 2).and_then(|two| two.try_into().ok()).map_or(0, u16::from_le_bytes)
}

impl CompoundFile {
    pub(super) fn open(path: &Path) -> Result<Self, Error> {
        let file = Arc::new(File::open(path)?);
        let length = file.metadata()?.len();
        let mut head = [0; 512];
        file.read_exact_at(&mut head, 0)?;
        let shift = short(&head, 0x1E);
        if !head.starts_with(b"\xD0\xCF\x11\xE0\xA1\xB1\x1A\xE1") || !matches!(shift, 9 | 12) {
            return Err(damaged());
        }
        let mut compound = Self {
            file,
            sector_len: 1 << shift,
            next: Arc::default(),
            entries: Vec::new(),
            small_next: Vec::new(),
        };
        // The last sector may be cut off.
        let sectors = (length / compound.sector_len + 1) as usize;
        compound.next = Arc::new(compound.read_table(&head, sectors)?);
        let mut folder = compound.chain(long(&head, 0x30), u64::MAX);
        let mut entry = [0; 128];
        while read_whole(&mut folder, &mut entry)? && compound.entries.len() < MAX_ENTRIES {
            compound.entries.extend(Entry::read(&entry));
        }
        let mut small = compound.chain(long(&head, 0x3C), u64::MAX);
        let mut number = [0; 4];
        while compound.small_next.len() < sectors * 64 && read_whole(&mut small, &mut number)? {
            compound.small_next.push(u32::from_le_bytes(number));
        }
        Ok(compound)
    }

    /// The table of which sector follows which. Its own sectors are listed in the head and, where
    /// these are too many, in sectors that name each other.
    fn read_table(&self, head: &[u8], sectors: usize) -> Result<Vec<u32>, Error> {
        let per_sector = (self.sector_len / 4) as usize;
        let most = sectors / per_sector + 1;
        let mut parts: Vec<u32> = (0..109).map(|at| long(head, 0x4C + 4 * at)).collect();
        let mut more = long(head, 0x44);
        let mut sector = vec![0; self.sector_len as usize];
        while more < LAST_SECTOR && parts.len() < most + 109 {
            self.read_sector(more, &mut sector)?;
            parts.extend((0..per_sector - 1).map(|at| long(&sector, 4 * at)));
            more = long(&sector, 4 * (per_sector - 1));
        }
        let mut next = Vec::new();
        for part in parts.into_iter().filter(|part| *part < LAST_SECTOR).take(most) {
            self.read_sector(part, &mut sector)?;
            next.extend((0..per_sector).map(|at| long(&sector, 4 * at)));
        }
        next.truncate(sectors);
        Ok(next)
    }

    fn read_sector(&self, number: u32, into: &mut [u8]) -> Result<(), Error> {
        self.file.read_exact_at(into, (u64::from(number) + 1) * self.sector_len)
    }

    fn chain(&self, first: u32, length: u64) -> Stream {
        Stream {
            file: self.file.clone(),
            sector_len: self.sector_len,
            next: self.next.clone(),
            sector: first,
            within: 0,
            left: length,
            visited: 0,
        }
    }

    fn entry(&self, name: &str) -> Option<&Entry> {
        self.entries.iter().find(|entry| !entry.is_root && entry.name.eq_ignore_ascii_case(name))
    }

    pub(super) fn has(&self, name: &str) -> bool {
        self.entry(name).is_some()
    }

    /// The bytes of a stream; `None` = there is none of this name.
    pub(super) fn stream(&self, name: &str) -> Result<Option<Box<dyn Read>>, Error> {
        let Some(entry) = self.entry(name) else { return Ok(None) };
        if entry.length >= SMALL {
            return Ok(Some(Box::new(self.chain(entry.first, entry.length))));
        }
        let root = self.entries.iter().find(|entry| entry.is_root).ok_or_else(damaged)?;
        let mut bytes = Vec::new();
        let mut sector = entry.first;
        while (bytes.len() as u64) < entry.length {
            let mut small = [0; SMALL_SECTOR as usize];
            let mut stream = self.chain(root.first, root.length);
            stream.skip(u64::from(sector) * SMALL_SECTOR);
            if sector >= LAST_SECTOR || !read_whole(&mut stream, &mut small)? {
                return Err(damaged());
            }
            bytes.extend_from_slice(&small);
            sector = self.small_next.get(sector as usize).copied().unwrap_or(u32::MAX);
        }
        bytes.truncate(entry.length as usize);
        Ok(Some(Box::new(std::io::Cursor::new(bytes))))
    }
}

impl Entry {
    fn read(bytes: &[u8; 128]) -> Option<Self> {
        let kind = bytes[0x42];
        if !matches!(kind, 2 | 5) {
            return None;
        }
        let units = usize::from(short(bytes, 0x40) / 2).saturating_sub(1).min(31);
        let name: Vec<u16> = (0..units).map(|at| short(bytes, 2 * at)).collect();
        Some(Self {
            name: String::from_utf16_lossy(&name),
            is_root: kind == 5,
            first: long(bytes, 0x74),
            // Older programs leave the upper half undefined, and no workbook has four gigabytes.
            length: u64::from(long(bytes, 0x78)),
        })
    }
}

/// A chain of sectors.
struct Stream {
    file: Arc<File>,
    sector_len: u64,
    next: Arc<Vec<u32>>,
    sector: u32,
    /// Bytes of the sector at hand that are behind us.
    within: u64,
    left: u64,
    /// Sectors behind us; a chain that goes round ends when there are as many as in the file.
    visited: usize,
}

impl Stream {
    fn advance(&mut self, count: u64) {
        self.within += count;
        self.left -= count.min(self.left);
        if self.within == self.sector_len {
            self.within = 0;
            self.visited += 1;
            self.sector = match self.next.get(self.sector as usize) {
                Some(next) if self.visited < self.next.len() => *next,
                _ => u32::MAX,
            };
        }
    }

    fn skip(&mut self, mut count: u64) {
        while count > 0 && self.sector < LAST_SECTOR {
            let step = count.min(self.sector_len - self.within);
            self.advance(step);
            count -= step;
        }
    }
}

impl Read for Stream {
    fn read(&mut self, into: &mut [u8]) -> Result<usize, Error> {
        if self.sector >= LAST_SECTOR {
            return Ok(0);
        }
        // Sectors that lie behind each other are read at once.
        let wanted = self.left.min(into.len() as u64);
        let mut most = self.sector_len - self.within;
        let mut last = self.sector;
        while most < wanted && self.next.get(last as usize) == Some(&(last + 1)) {
            most += self.sector_len;
            last += 1;
        }
        let at = (u64::from(self.sector) + 1) * self.sector_len + self.within;
        let count = self.file.read_at(&mut into[..most.min(wanted) as usize], at)?;
        // What the file does not have any more ends the stream.
        self.skip(count as u64);
        Ok(count)
    }
}

/// Fills a buffer; `false` = the input ends before.
fn read_whole(input: &mut impl Read, into: &mut [u8]) -> Result<bool, Error> {
    match input.read_exact(into) {
        Ok(()) => Ok(true),
        Err(error) if error.kind() == std::io::ErrorKind::UnexpectedEof => Ok(false),
        Err(error) => Err(error),
    }
}
