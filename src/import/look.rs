//! A first look at a file: which reference system its coordinates are read in. Said by the user,
//! declared by the file, seen in the numbers, or asked for; nothing is read in a system that the
//! numbers contradict.

use std::path::Path;
use std::sync::Arc;

use serde::Serialize;

use super::cells::{ColumnLook, ColumnNote, Gather};
use super::declared::DeclaredCrs;
use super::profile::AUTO;
use super::propose::{Proposal, propose};
use super::{Findings, Format, Profile, Source, geojson_parts, open_rows};
use crate::crs::{Axes, Crs, Detection, Evidence, Plausible, Reading, detect};
use crate::domain::Refusal;
use crate::domain::code::Scheme;

/// Rows that are looked at.
const SAMPLE: u64 = 1000;
/// Share of the points from which on another reading than the expected degrees is worth asking for.
const ASKED: f64 = 0.5;

/// What the user says of the coordinates.
#[derive(Debug, Clone)]
pub enum WantedCrs {
    /// Nothing: as the file declares, else as the profile says.
    Unsaid,
    /// To be found in the numbers, where the file does not declare it.
    Auto,
    /// This one, whatever the file says.
    Named(Crs),
}

impl WantedCrs {
    /// Reads what was typed: `EPSG:4527`, `CM:118.5`, `gcj02`, `auto`. Refuses what names no system.
    pub fn parse(text: Option<&str>, profile: &Profile) -> Result<Self, Refusal> {
        match text {
            None => Ok(Self::Unsaid),
            Some(text) if text.trim().eq_ignore_ascii_case("auto") => Ok(Self::Auto),
            Some(text) => profile.book().named(text).map(Self::Named),
        }
    }
}

/// A file that was looked at.
#[derive(Debug, Clone)]
pub struct Look {
    /// Reads this file.
    pub profile: Arc<Profile>,
    /// What its first rows showed; `None` = it comes as a stream, which is read once.
    pub findings: Option<Findings>,
    /// The columns, with some of what stands in them.
    pub columns: Vec<ColumnLook>,
    /// What else speaks for the profile that was proposed.
    pub notes: Vec<ColumnNote>,
}

impl Look {
    /// What its coordinates mean; `None` = each row is judged by itself, as the profile says.
    pub fn coordinates(&self) -> Option<&Coordinates> {
        self.findings.as_ref()?.coordinates.as_ref()
    }
}

/// What the coordinates of a file mean, with what speaks for it.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct Coordinates {
    /// [`crate::domain::position::SystemCode`] under which positions are kept.
    pub epsg: u32,
    /// As a person may also type it, with its name.
    pub crs: String,
    pub datum: String,
    /// Meters within which degrees of this datum are those of CGCS2000.
    pub within_m: f64,
    pub axes: Axes,
    /// Points that were looked at, and the share of them that lie where the system is used.
    pub points: usize,
    pub share: f64,
    pub evidence: Vec<Observation>,
}

/// One thing that speaks for a reading.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct Observation {
    /// Key of its sentence under `evidence` in the catalogues.
    pub code: &'static str,
    /// The sentence, once somebody's language is known.
    pub detail: String,
    pub facts: std::collections::BTreeMap<&'static str, String>,
}

impl Observation {
    fn of(evidence: &Evidence) -> Self {
        let facts = evidence.params().into_iter().collect();
        Self { code: evidence.code(), detail: String::new(), facts }
    }
}

impl Coordinates {
    pub(super) fn of(detection: &Detection, decided: &Plausible, epsg: u32, said: Option<Evidence>) -> Self {
        let Reading { crs, axes } = &decided.reading;
        // Who declared it is known here, and not where the numbers are weighed.
        let by_user = !matches!(
            said,
            Some(Evidence::FileSays { .. } | Evidence::FormatSays | Evidence::ProfileSays { .. })
        );
        let weighed = decided.evidence.iter().filter(|found| by_user || **found != Evidence::Declared);
        Self {
            epsg,
            crs: crs.to_string(),
            datum: crs.datum().name.clone(),
            within_m: crs.datum().within_m,
            axes: *axes,
            points: detection.points,
            share: decided.share,
            evidence: said.iter().chain(weighed).map(Observation::of).collect(),
        }
    }

    /// Of a file without a point that could speak for or against a reading.
    pub(super) fn without_points(reading: &Reading, epsg: u32) -> Self {
        let (crs, axes) = (&reading.crs, reading.axes);
        let datum = crs.datum();
        let (datum, within_m) = (datum.name.clone(), datum.within_m);
        Self {
            epsg,
            crs: crs.to_string(),
            datum,
            within_m,
            axes,
            points: 0,
            share: 0.0,
            evidence: Vec::new(),
        }
    }

    /// Puts every observation into words: `sentence` has the sentence of a code with its facts.
    pub fn say(&mut self, sentence: impl Fn(&str, &[(&str, &str)]) -> String) {
        for observation in &mut self.evidence {
            let facts: Vec<(&str, &str)> =
                observation.facts.iter().map(|(name, value)| (*name, value.as_str())).collect();
            observation.detail = sentence(observation.code, &facts);
        }
    }
}

/// Looks at the first rows of a file, where nobody has said how it is read for a profile of its own
/// first. Refuses one that cannot be opened; one that declares a system that is not understood; and, with
/// the readings that would fit, numbers that do not lie where the system is used, or that leave several
/// systems open.
pub fn look(
    profile: &Arc<Profile>,
    schemes: &[Scheme],
    source: &Source<'_>,
    path: &Path,
    wanted: &WantedCrs,
) -> Result<Look, Refusal> {
    if !profile.propose {
        return look_as(profile, schemes, source, path, wanted);
    }
    let mut rows = open_rows(profile, schemes, source, path)?;
    rows.mapper.begin_cells(Gather::Survey);
    rows.reader.begin_sample();
    rows.mapper.begin_sample();
    while rows.rows_read < SAMPLE && rows.next().is_some() {}
    let surveyed = rows.mapper.take_survey();
    drop(rows);
    let Proposal { profile, notes, mut by_column } = propose(profile, schemes, source, &surveyed)?;
    let mut look = look_as(&Arc::new(profile), schemes, source, path, wanted)?;
    for column in &mut look.columns {
        if let Some(said) = by_column.remove(&column.name) {
            column.notes.splice(0..0, said);
        }
    }
    look.notes = notes;
    Ok(look)
}

fn look_as(
    profile: &Arc<Profile>,
    schemes: &[Scheme],
    source: &Source<'_>,
    path: &Path,
    wanted: &WantedCrs,
) -> Result<Look, Refusal> {
    let with_file = |refusal: Refusal| refusal.with("file", source.file_name);
    let mut rows = open_rows(profile, schemes, source, path)?;
    rows.mapper.begin_sample();
    rows.reader.begin_sample();
    rows.mapper.begin_cells(Gather::Samples);
    rows.hear_declaration()?;
    while rows.rows_read < SAMPLE && rows.next().is_some() {}
    let ended = rows.rows_read < SAMPLE;
    let mut sample = rows.mapper.take_sample();
    let columns = rows.mapper.take_columns();
    if sample.declared.is_none() && !ended && rows.findings.format == Format::GeoJson {
        // Some programs put it behind a million features.
        sample.declared = geojson_parts::late_crs(path)
            .map(|declared| (declared.clone(), declared.understand(profile.book())));
    }
    let mut findings = rows.findings();
    drop(rows);
    findings.crs = findings.crs.or_else(|| sample.declared.as_ref().map(|(declared, _)| declared.clone()));

    let (expected, mut said) = match (wanted, sample.declared) {
        (WantedCrs::Named(crs), declared) => (Some(crs.clone()), overruled(crs, declared)),
        (_, Some((declared, meant))) => {
            let said = Evidence::FileSays { said: declared.to_string() };
            (Some(meant.map_err(with_file)?), Some(said))
        }
        (WantedCrs::Auto, None) => (None, None),
        (WantedCrs::Unsaid, None) => {
            (Some(profile.crs().clone()), Some(Evidence::ProfileSays { profile: profile.id.clone() }))
        }
    };
    let unnamed = matches!(wanted, WantedCrs::Unsaid);
    let mut detection = detect(&sample.points, expected.as_ref(), profile.bbox(), profile.book());
    if unnamed
        && profile.id == AUTO
        && !matches!(said, Some(Evidence::FileSays { .. }))
        && !is_expected(&detection)
    {
        // Nobody said that these are degrees: what the numbers show stands, where it stands alone.
        let free = detect(&sample.points, None, profile.bbox(), profile.book());
        if free.decided().is_ok() {
            (detection, said) = (free, None);
        }
    }
    let degrees_by_default = unnamed && expected.as_ref().is_some_and(Crs::is_degrees);
    if degrees_by_default && !is_expected(&detection) && !points_elsewhere(&detection) {
        // Degrees that cannot be are told row by row; that they are turned round is for the user to say.
        let profile = match expected {
            Some(crs) if crs.code() != profile.crs().code() => {
                Arc::new(profile.read_in(Reading::new(crs)).map_err(with_file)?)
            }
            _ => profile.clone(),
        };
        return Ok(Look { profile, findings: Some(findings), columns, notes: Vec::new() });
    }
    if detection.points == 0 && (ended || expected.is_some()) {
        // Without a single coordinate every row, or the header, is a problem of its own.
        let profile = match expected {
            Some(expected) => Arc::new(profile.read_in(Reading::new(expected)).map_err(with_file)?),
            None => profile.clone(),
        };
        return Ok(Look { profile, findings: Some(findings), columns, notes: Vec::new() });
    }
    let decided = detection.decided().map_err(with_file)?;
    let read_in = profile.read_in(decided.reading.clone()).map_err(with_file)?;
    findings.coordinates = Some(Coordinates::of(&detection, decided, read_in.epsg, said));
    Ok(Look { profile: Arc::new(read_in), findings: Some(findings), columns, notes: Vec::new() })
}

/// What there is to say where the user and the file name two systems.
pub(super) fn overruled(
    wanted: &Crs,
    declared: Option<(DeclaredCrs, Result<Crs, Refusal>)>,
) -> Option<Evidence> {
    let (declared, meant) = declared?;
    let same = meant.is_ok_and(|meant| meant.code().is_some() && meant.code() == wanted.code());
    (!same).then(|| Evidence::FileOverruled { said: declared.to_string() })
}

/// Whether the numbers lie where they should, in the order in which they should.
fn is_expected(detection: &Detection) -> bool {
    matches!(detection.decided(), Ok(decided) if decided.reading.axes == Axes::EastNorth)
}

/// Whether the numbers are no degrees at all and would fall into a grid.
fn points_elsewhere(detection: &Detection) -> bool {
    detection
        .plausible
        .iter()
        .any(|plausible| !plausible.reading.crs.is_degrees() && plausible.share >= ASKED)
}
