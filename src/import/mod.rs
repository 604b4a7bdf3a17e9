//! Files of a census → candidates and problems. Knows the nouns and reference systems, nothing else: what is created,
//! updated or a duplicate is for the registry to say. One bad row never loses a good one.
//!
//! ```text
//! Profile::from_toml(text)? ─► read_file(&profile, &schemes, &source, path)? ─► Iterator<Result<Candidate, Problem>>
//! ```
//!
//! Rows come one at a time in the order of the file; memory stays flat whatever the file's size.
//! What was understood of the file on the way is in its [`Findings`].

mod archive;
mod areas;
mod biff;
mod cells;
mod cfb;
mod city;
mod csv;
mod csv_cut;
mod csv_dialect;
mod dates;
mod dbf;
mod declared;
mod encoding;
mod format;
mod geojson;
mod geojson_parts;
mod geopackage;
mod header;
mod kept;
mod kml;
mod layers;
mod lexicon;
mod look;
mod mapping;
mod merged;
mod ods;
mod order_lists;
mod place;
mod profile;
mod profile_edit;
mod profile_file;
mod propose;
mod route;
mod shapefile;
mod shared_texts;
mod sheet;
mod text;
mod units;
mod wkb;
mod xls;
mod xlsx;
mod xlsx_parts;
mod xml;

pub use areas::{AreaColumn, AreaColumns, AreaFindings, AreaLook, AreaOrder, read_areas};
pub use cells::{ColumnLook, ColumnNote, Means, PROBLEM_COLUMN, read_cells};
pub use city::City;
pub use csv_dialect::Quoting;
pub use declared::DeclaredCrs;
pub use encoding::{Encoding, EncodingFound, FoundBy};
pub use format::Format;
pub use lexicon::Lexicon;
pub use look::{Coordinates, Look, Observation, WantedCrs, look};
pub use order_lists::{ListedCode, decode_text, read_codes, read_outline};
pub use profile::{AUTO, Field, Profile, built_in_profiles, find_built_in, find_built_in_for};
pub use profile_edit::{ColumnUse, ProfileChange, change_profile, unit_kept_in};
pub use route::{Way, read_way};

use std::io::Read;
use std::path::Path;

use serde::Serialize;

use crate::domain::Refusal;
use crate::domain::code::Scheme;
use crate::domain::cover::Candidate;
use archive::TooLarge;
use layers::{choose_layer, one_layer};
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

/// What is to be read.
#[derive(Debug, Clone, Copy)]
pub struct Source<'a> {
    pub format: Format,
    /// Without folders. Profiles may take the district from it.
    pub file_name: &'a str,
    /// Scheme of the codes that the file brings, by id; `None` = as the profile says.
    pub scheme: Option<&'a str>,
    pub told: &'a Told,
}

/// What a person says of a file, instead of what would be found.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Told {
    pub encoding: Option<Encoding>,
    pub delimiter: Option<u8>,
    pub quoting: Option<Quoting>,
    /// Sheet of a workbook, layer of a database, file of an archive.
    pub layer: Option<String>,
    /// Which of day and month comes first where both could.
    pub dates: Option<DateOrder>,
}

crate::domain::names::named_enum! {
    /// How 03/07/2019 is read.
    DateOrder as "date_order" {
        MonthFirst = "month-first",
        DayFirst = "day-first",
    }
}

/// The same as it was typed.
#[derive(Debug, Clone, Copy, Default)]
pub struct TypedTold<'t> {
    pub encoding: Option<&'t str>,
    pub delimiter: Option<&'t str>,
    pub quoting: Option<&'t str>,
    pub layer: Option<&'t str>,
    pub dates: Option<&'t str>,
}

impl Told {
    /// Reads what was typed; refuses an encoding nobody knows and signs that cannot part or quote.
    pub fn parse(typed: TypedTold<'_>) -> Result<Self, Refusal> {
        let delimiter = match typed.delimiter {
            None => None,
            Some("tab" | "\\t") => Some(b'\t'),
            Some(text) => match text.as_bytes() {
                [byte] if byte.is_ascii() && !matches!(byte, b'"' | b'\n' | b'\r' | 0) => Some(*byte),
                _ => {
                    return Err(Refusal::new("delimiter.unknown")
                        .at("delimiter")
                        .with("read", shown(text))
                        .with("fits", ", ; | tab"));
                }
            },
        };
        Ok(Self {
            encoding: typed.encoding.map(Encoding::of_label).transpose()?,
            delimiter,
            quoting: typed.quoting.map(str::parse).transpose()?,
            layer: typed.layer.map(str::to_owned),
            dates: typed.dates.map(str::parse).transpose()?,
        })
    }
}

/// What was understood of a file.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct Findings {
    pub format: Format,
    /// Sheet, layer or file of an archive that was read, and those that were not.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub layer: Option<String>,
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub other_layers: Vec<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub encoding: Option<EncodingFound>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub delimiter: Option<char>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub quoting: Option<Quoting>,
    /// Line of the header, and the lines above it that are none of its rows.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub header_line: Option<u64>,
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub above_header: Vec<String>,
    /// Reference system that the file declares.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub crs: Option<DeclaredCrs>,
    /// What its coordinates mean, from whoever had a [`look`] at them.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub coordinates: Option<Coordinates>,
    /// Texts that end in half a character, because the program that wrote them cut them by bytes.
    #[serde(skip_serializing_if = "is_zero")]
    pub cut_texts: u64,
    /// Rows that got the value of a cell that is merged down to them.
    #[serde(skip_serializing_if = "is_zero")]
    pub merged_down: u64,
    /// Records that are marked as deleted and were passed over.
    #[serde(skip_serializing_if = "is_zero")]
    pub deleted: u64,
}

fn is_zero(count: &u64) -> bool {
    *count == 0
}

type Item = Result<Candidate, Problem>;

/// A file of some format, open.
trait RowReader {
    fn next_row(&mut self, mapper: &Mapper<'_>) -> Option<Item>;
    /// The reference system that it declares, where that stands before the rows.
    fn declared(&self) -> Option<DeclaredCrs> {
        None
    }

    /// Hears that only the numbers of the first rows are wanted.
    fn begin_sample(&mut self) {}

    /// Adds what was understood so far.
    fn tell(&self, findings: &mut Findings);
}

/// The rows of a file, in its order: each is yielded exactly once, as a candidate or as a problem.
pub struct Rows<'a, 'r> {
    mapper: Mapper<'a>,
    reader: Box<dyn RowReader + 'r>,
    findings: Findings,
    rows_read: u64,
}

/// Refuses a scheme nobody knows and a file name that a profile which needs it cannot place.
pub fn check_source(profile: &Profile, schemes: &[Scheme], source: &Source<'_>) -> Result<(), Refusal> {
    Mapper::new(profile, schemes, source).map(|_| ())
}

/// Begins to read a stream of text: CSV, GeoJSON or KML. Refuses what [`check_source`] refuses;
/// everything else that is wrong becomes a [`Problem`] on the way.
pub fn read_rows<'a, 'r, R: Read + 'r>(
    profile: &'a Profile,
    schemes: &'a [Scheme],
    source: &Source<'_>,
    bytes: R,
) -> Result<Rows<'a, 'r>, Refusal> {
    let mapper = Mapper::new(profile, schemes, source)?;
    let reader = layers::open_stream(source.format, Box::new(bytes), source.told, profile.delimiter)?;
    let rows = Rows::new(mapper, reader, source.format, None);
    rows.hear_declaration()?;
    Ok(rows)
}

/// Begins to read a file of any format. Refuses a file that is not what its format says, that has
/// several layers of which none was chosen, or that declares a reference system nobody knows; whether
/// its numbers lie there, [`look`] sees.
pub fn read_file<'a>(
    profile: &'a Profile,
    schemes: &'a [Scheme],
    source: &Source<'_>,
    path: &Path,
) -> Result<Rows<'a, 'static>, Refusal> {
    let rows = open_rows(profile, schemes, source, path)?;
    rows.hear_declaration()?;
    Ok(rows)
}

/// Opens a file without a word on what it declares.
fn open_rows<'a>(
    profile: &'a Profile,
    schemes: &'a [Scheme],
    source: &Source<'_>,
    path: &Path,
) -> Result<Rows<'a, 'static>, Refusal> {
    let mapper = Mapper::new(profile, schemes, source)?;
    let opened = layers::open_file(source.format, path, source.told, profile.delimiter)?;
    Ok(Rows::new(mapper, opened.reader, opened.format, opened.layer))
}

impl<'a, 'r> Rows<'a, 'r> {
    fn new(
        mapper: Mapper<'a>,
        reader: Box<dyn RowReader + 'r>,
        format: Format,
        layer: Option<(String, Vec<String>)>,
    ) -> Self {
        let (layer, other_layers) = layer.map_or((None, Vec::new()), |(layer, others)| (Some(layer), others));
        let findings = Findings {
            format,
            layer,
            other_layers,
            encoding: None,
            delimiter: None,
            quoting: None,
            header_line: None,
            above_header: Vec::new(),
            crs: None,
            coordinates: None,
            cut_texts: 0,
            merged_down: 0,
            deleted: 0,
        };
        Self { mapper, reader, findings, rows_read: 0 }
    }

    /// Reads shapes in the system that the file declares, where it does so before its rows.
    fn hear_declaration(&self) -> Result<(), Refusal> {
        match self.reader.declared() {
            Some(declared) => self.mapper.declare(&declared),
            None => Ok(()),
        }
    }

    /// Rows yielded so far; problems of scope [`Scope::File`] are not rows.
    pub fn rows_read(&self) -> u64 {
        self.rows_read
    }

    /// What was understood so far; all of it once the rows are out.
    pub fn findings(&self) -> Findings {
        let mut findings = self.findings.clone();
        self.reader.tell(&mut findings);
        findings
    }
}

impl Iterator for Rows<'_, '_> {
    type Item = Result<Candidate, Problem>;

    fn next(&mut self) -> Option<Self::Item> {
        let item = self.reader.next_row(&self.mapper)?;
        if !matches!(&item, Err(Problem { scope: Scope::File, .. })) {
            self.rows_read += 1;
        }
        Some(item)
    }
}

/// What an input says that cannot be read on.
fn unreadable(error: &std::io::Error) -> Refusal {
    if error.get_ref().is_some_and(|inner| inner.is::<TooLarge>()) {
        return Refusal::new("archive.too_large");
    }
    Refusal::new("file.unreadable").with("reason", error)
}

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

/// Containers that would only give garbage further on, told apart by their first bytes.
fn refuse_by_magic(head: &[u8]) -> Option<Refusal> {
    if head.starts_with(b"PK\x03\x04")
        || head.starts_with(b"\xD0\xCF\x11\xE0")
        || head.starts_with(b"\x1F\x8B")
    {
        return Some(Refusal::new("file.container"));
    }
    None
}
