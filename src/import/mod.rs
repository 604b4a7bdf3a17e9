//! Files of a census → candidates and problems. Knows the nouns and reference systems, nothing else: what is created,
//! updated or a duplicate is for the registry to say. One bad row never loses a good one.
//!
//! ```text
//! Profile::from_toml(text)? ─► read_rows(&profile, &schemes, &source, reader)? ─► Iterator<Result<Candidate, Problem>>
//! ```
//!
//! Rows come one at a time in the order of the file; memory stays flat whatever the file's size.

mod areas;
mod csv;
mod dates;
mod geojson;
mod mapping;
mod profile;

pub use areas::{AreaColumns, LARGEST as LARGEST_AREA_FILE, read_areas};
pub use mapping::RawSample;
pub use profile::{Field, Profile, built_in_profiles, find_built_in};

use std::cell::RefCell;
use std::io::Read;

use crate::domain::Refusal;
use crate::domain::code::Scheme;
use crate::domain::cover::Candidate;
use mapping::Mapper;

/// Why a row, or the file itself, gave no candidate.
#[derive(Debug, Clone, PartialEq)]
pub struct Problem {
    /// As in [`Candidate::line`].
    pub line: u64,
    /// Column as the file spells it; `geometry` for the shape of a feature; `None` = the whole row.
    pub column: Option<String>,
    /// What stood there, cut to [`READ_SHOWN`] characters.
    pub read: String,
    pub refusal: Refusal,
    pub scope: Scope,
}

/// What a problem is about.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Scope {
    /// One row, which is counted by [`Rows::rows_read`].
    Row,
    /// The file: its header, its end, its encoding. Not a row and not counted as one.
    File,
}

/// How many characters of a bad value a problem shows.
pub const READ_SHOWN: usize = 120;

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Format {
    Csv,
    GeoJson,
}

impl Format {
    /// By the name of the file, else by its first bytes; `None` = a kind that is not read.
    pub fn guess(file_name: &str, head: &[u8]) -> Option<Self> {
        let name = file_name.to_ascii_lowercase();
        if [".geojson", ".json", ".geojsonl", ".geojsons", ".ndjson"].iter().any(|end| name.ends_with(end)) {
            return Some(Self::GeoJson);
        }
        if [".csv", ".tsv", ".txt"].iter().any(|end| name.ends_with(end)) {
            return Some(Self::Csv);
        }
        if head.starts_with(b"PK") {
            return None;
        }
        let head = head.strip_prefix(BOM).unwrap_or(head);
        match head.iter().find(|byte| !byte.is_ascii_whitespace()) {
            Some(b'{' | b'[' | 0x1E) => Some(Self::GeoJson),
            Some(_) => Some(Self::Csv),
            None => None,
        }
    }
}

/// What is to be read.
#[derive(Debug, Clone, Copy)]
pub struct Source<'a> {
    pub format: Format,
    /// Without folders. Profiles may take the district from it.
    pub file_name: &'a str,
    /// Scheme of the codes that the file brings, by id; `None` = as the profile says.
    pub scheme: Option<&'a str>,
}

/// The rows of a file, in its order: each is yielded exactly once, as a candidate or as a problem.
pub struct Rows<'a, R> {
    mapper: Mapper<'a>,
    reader: Reader<R>,
    rows_read: u64,
}

enum Reader<R> {
    Csv(csv::CsvReader<R>),
    GeoJson(geojson::GeoJsonReader<R>),
}

/// Begins to read a file. Refuses a scheme nobody knows and a file name that a profile which needs
/// it cannot place; everything else that is wrong becomes a [`Problem`] on the way.
pub fn read_rows<'a, R: Read>(
    profile: &'a Profile,
    schemes: &'a [Scheme],
    source: &Source<'_>,
    bytes: R,
) -> Result<Rows<'a, R>, Refusal> {
    let mapper = Mapper::new(profile, schemes, source)?;
    let reader = match source.format {
        Format::Csv => Reader::Csv(csv::CsvReader::new(bytes, profile.delimiter)),
        Format::GeoJson => Reader::GeoJson(geojson::GeoJsonReader::new(bytes)),
    };
    Ok(Rows { mapper, reader, rows_read: 0 })
}

/// The coordinates of the first rows as numbers, whatever else is right or wrong in these rows: what
/// the reference system of a file is found by. At most `rows` rows are read.
pub fn sample_positions<R: Read>(
    profile: &Profile,
    schemes: &[Scheme],
    source: &Source<'_>,
    bytes: R,
    rows: u64,
) -> Result<RawSample, Refusal> {
    let mut read = read_rows(profile, schemes, source, bytes)?;
    read.mapper.sample = Some(RefCell::default());
    while read.rows_read < rows && read.next().is_some() {}
    Ok(read.mapper.sample.take().unwrap_or_default().into_inner())
}

impl<R> Rows<'_, R> {
    /// Rows yielded so far; problems of scope [`Scope::File`] are not rows.
    pub fn rows_read(&self) -> u64 {
        self.rows_read
    }
}

impl<R: Read> Iterator for Rows<'_, R> {
    type Item = Result<Candidate, Problem>;

    fn next(&mut self) -> Option<Self::Item> {
        let item = match &mut self.reader {
            Reader::Csv(reader) => reader.next_row(&self.mapper),
            Reader::GeoJson(reader) => reader.next_row(&self.mapper),
        }?;
        if !matches!(&item, Err(Problem { scope: Scope::File, .. })) {
            self.rows_read += 1;
        }
        Some(item)
    }
}

const BOM: &[u8] = b"\xEF\xBB\xBF";

impl Problem {
    fn new(line: u64, scope: Scope, read: &str, refusal: Refusal) -> Self {
        Self { line, column: None, read: shown(read), refusal, scope }
    }

    fn of_row(line: u64, read: &str, refusal: Refusal) -> Self {
        Self::new(line, Scope::Row, read, refusal)
    }

    fn of_file(line: u64, read: &str, refusal: Refusal) -> Self {
        Self::new(line, Scope::File, read, refusal)
    }
}

/// The beginning of a value, as problems and sentences show it.
fn shown(text: &str) -> String {
    let mut shown: String = text
        .chars()
        .take(READ_SHOWN)
        .map(|c| if c.is_control() { char::REPLACEMENT_CHARACTER } else { c })
        .collect();
    if text.chars().nth(READ_SHOWN).is_some() {
        shown.push('…');
    }
    shown
}

fn shown_bytes(bytes: &[u8]) -> String {
    shown(&String::from_utf8_lossy(&bytes[..bytes.len().min(4 * READ_SHOWN)]))
}

/// Encodings and containers that would only give garbage further on, told apart by their first bytes.
fn refuse_by_magic(head: &[u8]) -> Option<Refusal> {
    if head.starts_with(b"\xFF\xFE") || head.starts_with(b"\xFE\xFF") {
        return Some(Refusal::new("text.utf16"));
    }
    if head.starts_with(b"PK\x03\x04")
        || head.starts_with(b"\xD0\xCF\x11\xE0")
        || head.starts_with(b"\x1F\x8B")
    {
        return Some(Refusal::new("file.container"));
    }
    None
}
