//! The shared texts of a workbook: in memory up to a bound, beyond it in a file without a name, so
//! that a million rows of texts of their own fit as well.

use std::fs::{File, OpenOptions};
use std::io::Write;
use std::os::unix::fs::FileExt;
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicU64, Ordering};

use crate::domain::Refusal;

/// Bytes of text that stay in memory.
const IN_MEMORY: usize = 64 << 20;
/// Texts, and bytes of them, that a workbook may have.
const MAX_COUNT: usize = 16_000_000;
const MAX_BYTES: u64 = u32::MAX as u64;
/// Texts are read back in blocks; neighbors in a sheet are neighbors in the table.
const BLOCK: usize = 64 << 10;
const BLOCKS: usize = 128;

/// Texts by their number, one behind the other.
pub(super) struct SharedTexts {
    /// Those that are not in the file.
    texts: String,
    ends: Vec<u32>,
    bytes: u64,
    in_memory: usize,
    /// The folder for the file.
    folder: PathBuf,
    file: Option<Spilled>,
}

struct Spilled {
    file: File,
    length: u64,
    /// Blocks at hand, each in the slot of its number.
    blocks: Vec<Option<(u64, Vec<u8>)>>,
}

impl SharedTexts {
    /// `folder`: where a file can be made for texts that do not fit into the memory.
    pub(super) fn new(folder: &Path) -> Self {
        Self {
            texts: String::new(),
            ends: Vec::new(),
            bytes: 0,
            in_memory: IN_MEMORY,
            folder: folder.to_owned(),
            file: None,
        }
    }

    /// Adds the next text. Refuses more of them than any survey has.
    pub(super) fn push(&mut self, text: &str) -> Result<(), Refusal> {
        self.bytes += text.len() as u64;
        if self.bytes > MAX_BYTES || self.ends.len() == MAX_COUNT {
            return Err(Refusal::new("sheet.too_many_texts"));
        }
        self.texts.push_str(text);
        self.ends.push(self.bytes as u32);
        if self.texts.len() > self.in_memory { self.spill() } else { Ok(()) }
    }

    fn spill(&mut self) -> Result<(), Refusal> {
        let unwritable = |error: std::io::Error| Refusal::new("sheet.no_room").with("reason", error);
        let spilled = match &mut self.file {
            Some(spilled) => spilled,
            empty => {
                let file = nameless(&self.folder).or_else(|_| nameless(&std::env::temp_dir()));
                let blocks = (0..BLOCKS).map(|_| None).collect();
                empty.insert(Spilled { file: file.map_err(unwritable)?, length: 0, blocks })
            }
        };
        spilled.file.write_all(self.texts.as_bytes()).map_err(unwritable)?;
        spilled.length += self.texts.len() as u64;
        self.texts.clear();
        Ok(())
    }

    /// The text of a number, added to `into`; `false` = there is none.
    pub(super) fn read(&mut self, at: usize, into: &mut String) -> Result<bool, Refusal> {
        let Some(end) = self.ends.get(at).copied() else { return Ok(false) };
        let from = at.checked_sub(1).map_or(0, |before| self.ends[before]);
        let (from, end) = (u64::from(from), u64::from(end));
        let in_file = self.file.as_ref().map_or(0, |spilled| spilled.length);
        if from >= in_file {
            let text = self.texts.get((from - in_file) as usize..(end - in_file) as usize);
            into.push_str(text.unwrap_or_default());
            return Ok(text.is_some());
        }
        let Some(spilled) = &mut self.file else { return Ok(false) };
        // What was spilled was whole texts.
        let bytes = spilled.read(from, end).map_err(|error| super::unreadable(&error))?;
        into.push_str(&String::from_utf8_lossy(&bytes));
        Ok(true)
    }
}

impl Spilled {
    fn read(&mut self, mut from: u64, end: u64) -> std::io::Result<Vec<u8>> {
        let mut bytes = Vec::with_capacity((end - from) as usize);
        while from < end {
            let number = from / BLOCK as u64;
            let slot = &mut self.blocks[number as usize % BLOCKS];
            let block = match slot {
                Some((there, block)) if *there == number => block,
                other => {
                    let start = number * BLOCK as u64;
                    let mut block = vec![0; (self.length - start).min(BLOCK as u64) as usize];
                    self.file.read_exact_at(&mut block, start)?;
                    &mut other.insert((number, block)).1
                }
            };
            let within = (from % BLOCK as u64) as usize;
            let part = &block[within..block.len().min(within + (end - from) as usize)];
            bytes.extend_from_slice(part);
            from += part.len() as u64;
        }
        Ok(bytes)
    }
}

/// A file that is gone when it is closed.
fn nameless(folder: &Path) -> std::io::Result<File> {
    static COUNT: AtomicU64 = AtomicU64::new(0);
    let name = format!(".lidmark-texts-{}-{}", std::process::id(), COUNT.fetch_add(1, Ordering::Relaxed));
    let path = folder.join(name);
    let file = OpenOptions::new().read(true).write(true).create_new(true).open(&path)?;
    std::fs::remove_file(&path)?;
    Ok(file)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn texts_come_back_from_memory_and_from_the_file() {
        let folder = tempfile::tempdir().unwrap();
        let mut texts = SharedTexts { in_memory: 1 << 16, ..SharedTexts::new(folder.path()) };
        let text = |at: usize| format!("{}{at}", "井盖".repeat(at % 50));
        let long = "长".repeat(100_000);
        for at in 0..10_000 {
            texts.push(&text(at)).unwrap();
        }
        texts.push(&long).unwrap();
        texts.push("").unwrap();
        texts.push("last").unwrap();
        assert!(texts.file.is_some() && std::fs::read_dir(folder.path()).unwrap().next().is_none());
        let mut read = |at: usize| {
            let mut text = String::new();
            texts.read(at, &mut text).unwrap().then_some(text)
        };
        for at in (0..10_000).chain((0..10_000).rev().step_by(7)) {
            assert_eq!(read(at), Some(text(at)));
        }
        assert_eq!(read(10_000), Some(long));
        assert_eq!((read(10_001).as_deref(), read(10_002).as_deref()), (Some(""), Some("last")));
        assert_eq!(read(10_003), None);
    }
}
