//! Which reference system a file is read in: declared, seen in its numbers, or asked for. Nothing is
//! read in a system that its numbers contradict.

use std::path::Path;
use std::sync::Arc;

use serde_json::{Map, Value, json};

use super::import::open_file;
use super::{Ground, Outcome};
use crate::crs::{Axes, CrsBook, Detection, Plausible, Reading, detect};
use crate::domain::code::Scheme;
use crate::import::{Profile, Source, sample_positions};

/// Rows that are looked at.
const SAMPLE: u64 = 1000;

/// What is known before a file is opened.
pub(super) struct Coordinates<'a> {
    pub(super) ground: &'a Ground,
    pub(super) book: &'a CrsBook,
    pub(super) profile: &'a Arc<Profile>,
    pub(super) schemes: &'a [Scheme],
    pub(super) scheme: Option<&'a str>,
    /// What `--crs` says.
    pub(super) wanted: Option<&'a str>,
}

/// A file's profile, and what was found out about its coordinates, for the summary.
pub(super) struct Understood {
    pub(super) profile: Arc<Profile>,
    pub(super) found: Option<Value>,
}

impl Coordinates<'_> {
    /// Looks at the first rows of a file. Refuses, with the readings that would fit, when the numbers
    /// do not lie where the declared system is used, or when nothing is declared and several fit.
    pub(super) fn understand(&self, path: &Path) -> Outcome<Understood> {
        let as_the_profile_says = Understood { profile: self.profile.clone(), found: None };
        let auto = self.wanted.is_some_and(|wanted| wanted.trim().eq_ignore_ascii_case("auto"));
        let wanted = match self.wanted {
            Some(name) if !auto => Some(self.book.named(name)?),
            Some(_) => None,
            // Degrees in named columns are checked row by row.
            None if self.profile.crs().is_degrees() => return Ok(as_the_profile_says),
            None => Some(self.profile.crs().clone()),
        };
        let file = open_file(path)?;
        let source = Source { format: file.format, file_name: &file.name, scheme: self.scheme };
        let sample = sample_positions(self.profile, self.schemes, &source, file.bytes, SAMPLE)?;
        let declared = match sample.declared {
            // The file knows better than a profile, and less than the user.
            Some(code) if auto => self.book.find(code).ok(),
            Some(_) if self.wanted.is_none() => return Ok(as_the_profile_says),
            _ => wanted,
        };
        let detection = detect(&sample.points, declared.as_ref(), self.profile.bbox(), self.book);
        if let Some(declared) = declared.filter(|_| detection.points == 0) {
            // Without a single coordinate every row is a problem of its own.
            let profile = Arc::new(self.profile.read_in(Reading::new(declared))?);
            return Ok(Understood { profile, found: None });
        }
        let decided = detection.decided().map_err(|refusal| refusal.with("file", &file.name))?;
        let profile = Arc::new(self.profile.read_in(decided.reading.clone())?);
        self.say(&file.name, decided);
        let found = self.summary(&file.name, &detection, decided);
        Ok(Understood { profile, found: Some(found) })
    }

    fn say(&self, file: &str, decided: &Plausible) {
        let say = &self.ground.say;
        say.line(format!("{file}: {}", decided.reading.crs));
        for evidence in &decided.evidence {
            say.line(format!("  {}", say.evidence(evidence)));
        }
    }

    fn summary(&self, file: &str, detection: &Detection, decided: &Plausible) -> Value {
        let Reading { crs, axes } = &decided.reading;
        let evidence: Vec<Value> = decided
            .evidence
            .iter()
            .map(|evidence| {
                let mut said: Map<String, Value> =
                    evidence.params().into_iter().map(|(name, value)| (name.into(), value.into())).collect();
                said.insert("code".into(), evidence.code().into());
                said.insert("detail".into(), self.ground.say.evidence(evidence).into());
                Value::Object(said)
            })
            .collect();
        json!({
            "file": file, "epsg": crs.code(), "crs": crs.to_string(),
            "datum": crs.datum().name, "within_m": crs.datum().within_m,
            "axes": match axes { Axes::EastNorth => "east_north", Axes::NorthEast => "north_east" },
            "points": detection.points, "share": decided.share, "evidence": evidence,
        })
    }
}
