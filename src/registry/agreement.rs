//! What the tables say against what the files say. A chain proves that nobody rewrote a file; only
//! this proves that what the pages show is what the file says.

use std::borrow::Cow;
use std::collections::{BTreeMap, HashMap};

use serde::Deserialize;
use serde_json::Value;
use sha2::{Digest, Sha256};
use uuid::Uuid;

use super::check::CheckReport;
use super::{RegistryError, hex};
use crate::domain::history::{HistoryEntry, HistoryKind};
use crate::domain::ids::CaseId;
use crate::store::integrity::{StandingCover, StandingReport};
use crate::store::{Tx, cases, integrity};

/// What whole files say, by what they are about; of one page of manholes at a time.
#[derive(Default)]
pub(super) struct Claims {
    covers: HashMap<Uuid, CoverClaim>,
    /// Batch and ordinal → state.
    plates: HashMap<(Uuid, i64), String>,
    cases: HashMap<Uuid, String>,
    /// Tracking number → SHA-256 of what was written, in hex.
    reports: HashMap<String, String>,
}

/// A file's last word on a cover. Parties are left out: the file has their name of that day.
#[derive(Deserialize)]
struct CoverClaim {
    cover: Uuid,
    scheme: String,
    code: String,
    district: String,
    class: String,
    state: String,
    lon: f64,
    lat: f64,
    road: Option<String>,
    address: Option<String>,
}

#[derive(Deserialize)]
struct UpdateClaim {
    cover: Option<Uuid>,
    /// Before and after.
    fields: BTreeMap<String, (Value, Value)>,
}

#[derive(Deserialize)]
struct PlateClaim<'e> {
    batch: Uuid,
    ordinal: i64,
    #[serde(borrow)]
    to: Option<Cow<'e, str>>,
}

#[derive(Deserialize)]
struct MoveClaim<'e> {
    #[serde(borrow)]
    to: Cow<'e, str>,
}

#[derive(Deserialize)]
struct ReportClaim<'e> {
    #[serde(borrow)]
    report: Cow<'e, str>,
    #[serde(borrow)]
    description_sha256: Cow<'e, str>,
}

impl Claims {
    /// Takes in one file whose chain is whole.
    pub(super) fn read(&mut self, entries: &[HistoryEntry]) {
        // Of covers and plates only a file is believed whose every entry is understood here.
        let mut covers: Option<Vec<CoverClaim>> = Some(Vec::new());
        let mut plates = Vec::new();
        for entry in entries {
            match entry.kind {
                HistoryKind::Created => match (&mut covers, serde_json::from_str(&entry.body)) {
                    (Some(known), Ok(claim)) => known.push(claim),
                    _ => covers = None,
                },
                HistoryKind::Updated => {
                    let update = serde_json::from_str(&entry.body).ok();
                    covers = covers.zip(update).and_then(|(known, update)| updated(known, &update));
                }
                HistoryKind::PlateInstalled | HistoryKind::PlateChanged => {
                    if let Ok(claim) = serde_json::from_str::<PlateClaim>(&entry.body) {
                        let state = claim.to.unwrap_or(Cow::Borrowed("installed"));
                        plates.push(((claim.batch, claim.ordinal), state.into_owned()));
                    }
                }
                HistoryKind::Reported | HistoryKind::ReportJoined => self.read_report(entry),
                HistoryKind::CaseMoved => {
                    if let (Some(case), Ok(claim)) =
                        (entry.case, serde_json::from_str::<MoveClaim>(&entry.body))
                    {
                        self.cases.insert(case.0, claim.to.into_owned());
                    }
                }
                HistoryKind::PlateMade | HistoryKind::PhotoAdded => {}
                #[allow(unreachable_patterns, reason = "a kind that comes later is not understood here")]
                _ => covers = None,
            }
        }
        if let Some(covers) = covers {
            self.covers.extend(covers.into_iter().map(|claim| (claim.cover, claim)));
            self.plates.extend(plates);
        }
    }

    fn read_report(&mut self, entry: &HistoryEntry) {
        let Ok(claim) = serde_json::from_str::<ReportClaim>(&entry.body) else { return };
        self.reports.insert(claim.report.into_owned(), claim.description_sha256.into_owned());
        if let (HistoryKind::Reported, Some(case)) = (entry.kind, entry.case) {
            self.cases.insert(case.0, "reported".to_owned());
        }
    }

    /// Compares with the rows of the manholes after `range.0` up to `range.1`, and forgets.
    pub(super) async fn settle(
        &mut self,
        tx: &mut Tx,
        range: (Uuid, Uuid),
        report: &mut CheckReport,
    ) -> Result<(), RegistryError> {
        for row in integrity::list_standing_covers(tx, range).await? {
            if let Some(claim) = self.covers.remove(&row.cover) {
                for difference in claim.differences(&row) {
                    report.add("cover.differs", row.cover, difference);
                }
            }
        }
        self.settle_work(tx, range, report).await?;
        *self = Self::default();
        Ok(())
    }

    /// Cases, what citizens wrote, and plates.
    async fn settle_work(
        &mut self,
        tx: &mut Tx,
        range: (Uuid, Uuid),
        report: &mut CheckReport,
    ) -> Result<(), RegistryError> {
        if !self.plates.is_empty() {
            for (batch, ordinal, state) in integrity::list_standing_plates(tx, range).await? {
                if let Some(claimed) = self.plates.get(&(batch, ordinal)).filter(|claimed| **claimed != state)
                {
                    let which = format!("{batch}/{ordinal}");
                    report.add("plate.differs", which, format!("is {state}, the file says {claimed}"));
                }
            }
        }
        if self.cases.is_empty() && self.reports.is_empty() {
            return Ok(());
        }
        for (case, number, state) in integrity::list_standing_cases(tx, range).await? {
            if let Some(claimed) = self.cases.remove(&case).filter(|claimed| *claimed != state) {
                report.add("case.differs", number, format!("is {state}, the file says {claimed}"));
            }
        }
        for row in integrity::list_standing_reports(tx, range).await? {
            self.compare_report(&row, report);
        }
        // What is left has no row in this page: moved to another file, or gone.
        for (case, claimed) in self.cases.drain() {
            if cases::find_case(tx, CaseId(case)).await?.is_none() {
                report.add("case.missing", case, format!("the file says it is {claimed}"));
            }
        }
        for tracking in self.reports.keys().cloned().collect::<Vec<_>>() {
            match cases::find_report(tx, &tracking).await? {
                Some(found) => {
                    let row = StandingReport { tracking, description: found.description };
                    self.compare_report(&row, report);
                }
                None => report.add("report.missing", tracking, "the file says that it came"),
            }
        }
        Ok(())
    }

    fn compare_report(&mut self, row: &StandingReport, report: &mut CheckReport) {
        let Some(claimed) = self.reports.remove(&row.tracking) else { return };
        // A text that had to be removed is empty now; that is no forgery.
        let written = &row.description;
        if !written.is_empty() && hex(&Sha256::digest(written.as_bytes())) != claimed {
            report.add(
                "report.altered",
                &row.tracking,
                "its words are not those of which the file has the hash",
            );
        }
    }
}

/// The claims after a new survey; `None` when it says something that is not understood here.
fn updated(mut known: Vec<CoverClaim>, update: &UpdateClaim) -> Option<Vec<CoverClaim>> {
    let alone = known.len() == 1;
    let claim = known.iter_mut().find(|claim| update.cover.map_or(alone, |cover| cover == claim.cover))?;
    for (field, (_, now)) in &update.fields {
        let text = || now.as_str().map(str::to_owned);
        match field.as_str() {
            "district" => claim.district = text()?,
            "class" => claim.class = text()?,
            "state" => claim.state = text()?,
            "road" => claim.road = text(),
            "address" => claim.address = text(),
            "position" => (claim.lon, claim.lat) = (now["lon"].as_f64()?, now["lat"].as_f64()?),
            "code" | "scheme" => return None,
            _ => {}
        }
    }
    Some(known)
}

impl CoverClaim {
    fn differences(&self, row: &StandingCover) -> Vec<String> {
        let mut found = Vec::new();
        let texts = [
            ("code scheme", Some(&row.scheme), Some(&self.scheme)),
            ("code", Some(&row.code), Some(&self.code)),
            ("district", Some(&row.district), Some(&self.district)),
            ("class", Some(&row.class), Some(&self.class)),
            ("state", Some(&row.state), Some(&self.state)),
            ("road", row.road.as_ref(), self.road.as_ref()),
            ("address", row.address.as_ref(), self.address.as_ref()),
        ];
        let shown = |text: Option<&String>| text.map_or("empty", String::as_str).to_owned();
        for (field, now, claimed) in texts {
            if now != claimed {
                found.push(format!("{field} is {}, the file says {}", shown(now), shown(claimed)));
            }
        }
        // A number read back from JSON may differ in its last bit.
        let apart = |one: f64, other: f64| (one - other).abs() > 1e-9;
        if apart(row.lon, self.lon) || apart(row.lat, self.lat) {
            found.push(format!(
                "position is {}, {}, the file says {}, {}",
                row.lon, row.lat, self.lon, self.lat
            ));
        }
        found
    }
}
