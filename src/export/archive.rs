//! The archive that whole files travel in: a ZIP of one file of JSON lines a table, the originals of the
//! photos by their digests, and `lidmark.json`, which says what it is. The one format that is read here as
//! well, so that both sides stand together; what the lines say is `domain::archive`'s.

use std::fs::File;
use std::io::{self, BufRead, BufReader, BufWriter, Read, Write};
use std::path::Path;

use serde::{Deserialize, Serialize};
use std::collections::BTreeMap;
use zip::write::SimpleFileOptions;
use zip::{CompressionMethod, ZipArchive, ZipWriter};

use super::ExportError;
use crate::domain::Refusal;
use crate::domain::archive::VERSION;

const MANIFEST: &str = "lidmark.json";
/// Longest manifest and longest line that are read.
const MANIFEST_BYTES: u64 = 1 << 20;
const LINE_BYTES: u64 = 16 << 20;

/// What an archive says of itself.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Manifest {
    pub format: String,
    pub version: u32,
    /// Version of the program that wrote it.
    pub program: String,
    /// Milliseconds since 1970.
    pub exported_at: i64,
    /// Lines by table.
    pub lines: BTreeMap<String, u64>,
    pub photos: u64,
    /// Digests of photos that are named and were not there.
    pub missing_photos: Vec<String>,
}

impl Manifest {
    pub const FORMAT: &str = "lidmark files";

    pub fn new(exported_at: i64) -> Self {
        Self {
            format: Self::FORMAT.into(),
            version: VERSION,
            program: env!("CARGO_PKG_VERSION").into(),
            exported_at,
            lines: BTreeMap::new(),
            photos: 0,
            missing_photos: Vec::new(),
        }
    }
}

/// An archive on its way out.
pub struct ArchiveWriter {
    zip: ZipWriter<BufWriter<File>>,
    table: Option<&'static str>,
    pub manifest: Manifest,
}

fn from_zip(error: zip::result::ZipError) -> ExportError {
    match error {
        zip::result::ZipError::Io(error) => error.into(),
        other => io::Error::other(other).into(),
    }
}

impl ArchiveWriter {
    pub fn begin(out: File, exported_at: i64) -> Self {
        let zip = ZipWriter::new(BufWriter::with_capacity(1 << 20, out));
        Self { zip, table: None, manifest: Manifest::new(exported_at) }
    }

    /// Adds lines of a table; those of one table come together.
    pub fn lines(&mut self, table: &'static str, count: u64, lines: &[u8]) -> Result<(), ExportError> {
        if self.table != Some(table) {
            let options = SimpleFileOptions::default().large_file(true);
            self.zip.start_file(format!("{table}.jsonl"), options).map_err(from_zip)?;
            self.table = Some(table);
        }
        *self.manifest.lines.entry(table.to_owned()).or_default() += count;
        Ok(self.zip.write_all(lines)?)
    }

    /// Adds the original of a photo; pictures are packed already.
    pub fn photo(&mut self, digest: &str, mut original: impl Read) -> Result<(), ExportError> {
        let options = SimpleFileOptions::default().compression_method(CompressionMethod::Stored);
        self.zip.start_file(format!("photos/{digest}"), options).map_err(from_zip)?;
        io::copy(&mut original, &mut self.zip)?;
        self.manifest.photos += 1;
        Ok(())
    }

    /// Completes the archive; answers its file, which is not synced yet.
    pub fn finish(mut self) -> Result<File, ExportError> {
        self.zip.start_file(MANIFEST, SimpleFileOptions::default()).map_err(from_zip)?;
        serde_json::to_writer_pretty(&mut self.zip, &self.manifest).map_err(io::Error::from)?;
        let out = self.zip.finish().map_err(from_zip)?;
        Ok(out.into_inner().map_err(io::IntoInnerError::into_error)?)
    }
}

/// An archive on its way in.
pub struct ArchiveReader {
    zip: ZipArchive<BufReader<File>>,
}

impl ArchiveReader {
    /// Opens an archive and reads what it says of itself; `None` when the file is something else.
    pub fn open(path: &Path) -> io::Result<Option<(Self, Result<Manifest, Refusal>)>> {
        let mut head = [0; 4];
        let mut file = File::open(path)?;
        if file.read(&mut head)? < 4 || head != *b"PK\x03\x04" {
            return Ok(None);
        }
        let Ok(mut zip) = ZipArchive::new(BufReader::with_capacity(1 << 18, File::open(path)?)) else {
            return Ok(None);
        };
        let mut text = String::new();
        match zip.by_name(MANIFEST) {
            Ok(entry) => drop(entry.take(MANIFEST_BYTES).read_to_string(&mut text)?),
            Err(_) => return Ok(None),
        }
        let manifest = serde_json::from_str::<Manifest>(&text)
            .map_err(|error| Refusal::new("archive.manifest").with("reason", error))
            .and_then(|manifest| {
                if manifest.format == Manifest::FORMAT && manifest.version == VERSION {
                    Ok(manifest)
                } else {
                    let read = format!("{} {}", manifest.format, manifest.version);
                    Err(Refusal::new("archive.version").with("read", read).with("fits", VERSION))
                }
            });
        Ok(Some((Self { zip }, manifest)))
    }

    /// Every line of a table in order, until `take` answers `false`. No lines for a table that is not there.
    pub fn each_line(&mut self, table: &str, mut take: impl FnMut(String) -> bool) -> Result<(), Refusal> {
        let torn = |error: &dyn std::fmt::Display| {
            Refusal::new("archive.torn").with("table", table).with("reason", error)
        };
        let entry = match self.zip.by_name(&format!("{table}.jsonl")) {
            Ok(entry) => entry,
            Err(zip::result::ZipError::FileNotFound) => return Ok(()),
            Err(error) => return Err(torn(&error)),
        };
        let mut input = BufReader::with_capacity(1 << 18, entry);
        loop {
            let mut line = String::new();
            let read = input.by_ref().take(LINE_BYTES).read_line(&mut line).map_err(|error| torn(&error))?;
            if read == 0 {
                return Ok(());
            }
            if read as u64 == LINE_BYTES {
                return Err(torn(&"a line is longer than any row"));
            }
            line.truncate(line.trim_end_matches(['\n', '\r']).len());
            if !take(line) {
                return Ok(());
            }
        }
    }

    /// The photos in the archive, one after the other: digest as text, and bytes up to `most` and one more.
    pub fn each_photo<E>(
        &mut self,
        most: u64,
        mut take: impl FnMut(&str, Vec<u8>) -> Result<(), E>,
    ) -> Result<Result<(), E>, Refusal> {
        for at in 0..self.zip.len() {
            let torn = |error: &dyn std::fmt::Display| {
                Refusal::new("archive.torn").with("table", "photos").with("reason", error)
            };
            let entry = self.zip.by_index(at).map_err(|error| torn(&error))?;
            let name = entry.name().map_err(|error| torn(&error))?.into_owned();
            let Some(digest) = name.strip_prefix("photos/") else { continue };
            let mut bytes = Vec::new();
            entry.take(most + 1).read_to_end(&mut bytes).map_err(|error| torn(&error))?;
            if let Err(error) = take(digest, bytes) {
                return Ok(Err(error));
            }
        }
        Ok(Ok(()))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_archive_is_read_back_and_another_file_is_none() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("city.zip");
        let mut writer = ArchiveWriter::begin(File::create(&path).unwrap(), 7);
        writer.lines("districts", 2, b"{\"a\":1}\n{\"a\":2}\n").unwrap();
        writer.lines("districts", 1, b"{\"a\":3}\n").unwrap();
        writer.photo("abcd", &b"jpeg"[..]).unwrap();
        drop(writer.finish().unwrap());

        let (mut reader, manifest) = ArchiveReader::open(&path).unwrap().unwrap();
        let manifest = manifest.unwrap();
        assert_eq!((manifest.lines["districts"], manifest.photos, manifest.exported_at), (3, 1, 7));
        let mut lines = Vec::new();
        reader
            .each_line("districts", |line| {
                lines.push(line);
                true
            })
            .unwrap();
        assert_eq!(lines, ["{\"a\":1}", "{\"a\":2}", "{\"a\":3}"]);
        reader.each_line("covers", |_| panic!("there are none")).unwrap();
        let mut photos = Vec::new();
        reader
            .each_photo(2, |digest, bytes| {
                photos.push((digest.to_owned(), bytes));
                Ok::<(), ()>(())
            })
            .unwrap()
            .unwrap();
        assert_eq!(photos, [("abcd".to_owned(), b"jpe".to_vec())]);

        let other = folder.path().join("census.csv");
        for bytes in [&b"code,lon\n"[..], b"PK\x03\x04 torn", b"", b"PK"] {
            std::fs::write(&other, bytes).unwrap();
            assert!(ArchiveReader::open(&other).unwrap().is_none());
        }
    }

    #[test]
    fn a_newer_archive_is_refused_by_its_version() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("city.zip");
        let mut writer = ArchiveWriter::begin(File::create(&path).unwrap(), 7);
        writer.manifest.version = VERSION + 1;
        drop(writer.finish().unwrap());
        let (_, manifest) = ArchiveReader::open(&path).unwrap().unwrap();
        assert_eq!(manifest.unwrap_err().code, "archive.version");
    }
}
