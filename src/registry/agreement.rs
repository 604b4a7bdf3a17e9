//! What the tables say against what the files say. A chain proves that nobody rewrote a file; only
//! this proves that what the pages show is what the file says.

use std::borrow::Cow;
use std::collections::{BTreeMap, HashMap};

use serde::Deserialize;
use serde_json::Value;
use sha2::{Digest, Sha256};
use uuid::Uuid;

use super::check::CheckReport;
use super::replay::{AddedClaim, ChangeClaim, FirstClaim, MoveClaim};
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
    /// What passed between the desk and citizens → SHA-256 of the text, in hex.
    words: HashMap<Uuid, String>,
    /// Cover and notice → state of the cover in it.
    notices: HashMap<(Uuid, String), String>,
    /// Case and number of a 督办单 → state of that notice.
    supervised: HashMap<(Uuid, String), &'static str>,
    /// Serial number and cover → whether the sensor is there.
    sensors: HashMap<(String, Uuid), bool>,
}

/// A file's last word on a cover; `None` = this file does not say. Parties are left out: the file has
/// their name of that day.
#[derive(Default, Clone)]
struct CoverClaim {
    manhole: Uuid,
    place: PlaceClaim,
    scheme: Option<String>,
    code: Option<String>,
    class: Option<String>,
    state: Option<String>,
    retired: Option<Option<String>>,
}

/// A file's last word on the place, which all its covers share.
#[derive(Default, Clone)]
struct PlaceClaim {
    district: Option<String>,
    at: Option<(f64, f64)>,
    road: Option<Option<String>>,
    address: Option<Option<String>>,
}

#[derive(Deserialize)]
struct PlateClaim<'e> {
    batch: Uuid,
    ordinal: i64,
    #[serde(borrow)]
    to: Option<Cow<'e, str>>,
}

#[derive(Deserialize)]
struct ReportClaim<'e> {
    #[serde(borrow)]
    report: Cow<'e, str>,
    #[serde(borrow)]
    description_sha256: Cow<'e, str>,
}

#[derive(Deserialize)]
struct WordClaim<'e> {
    word: Uuid,
    #[serde(borrow)]
    text_sha256: Cow<'e, str>,
}

#[derive(Deserialize)]
struct NoticeClaim {
    cover: Uuid,
    notice: String,
    claim_state: String,
}

#[derive(Deserialize)]
struct SensorClaim {
    sensor: String,
    cover: Uuid,
}

#[derive(Deserialize)]
struct SupervisionClaim {
    supervision: String,
}

/// What one file says, as far as it was read.
struct FileClaims {
    manhole: Uuid,
    place: PlaceClaim,
    covers: BTreeMap<Uuid, CoverClaim>,
    plates: HashMap<(Uuid, i64), String>,
    cases: HashMap<Uuid, String>,
    notices: HashMap<(Uuid, String), String>,
    supervised: HashMap<(Uuid, String), &'static str>,
    sensors: HashMap<(String, Uuid), bool>,
}

impl Claims {
    /// Takes in one file whose chain is whole.
    pub(super) fn read(&mut self, entries: &[HistoryEntry]) {
        let Some(first) = entries.first() else { return };
        let mut file = FileClaims::of(first.manhole.0);
        // Of covers only a file is believed whose every entry is understood here.
        let mut is_understood = true;
        for entry in entries {
            is_understood &= file.read(entry).is_some();
            if matches!(entry.kind, HistoryKind::Reported | HistoryKind::ReportJoined) {
                self.read_report(entry);
            }
            if entry.kind == HistoryKind::CitizenWord
                && let Ok(claim) = serde_json::from_str::<WordClaim>(&entry.body)
            {
                self.words.insert(claim.word, claim.text_sha256.into_owned());
            }
        }
        if is_understood {
            self.covers.extend(file.covers.into_iter().map(|(cover, mut claim)| {
                claim.place = file.place.clone();
                (cover, claim)
            }));
            self.plates.extend(file.plates);
            self.notices.extend(file.notices);
        }
        self.cases.extend(file.cases);
        self.supervised.extend(file.supervised);
        self.sensors.extend(file.sensors);
    }

    fn read_report(&mut self, entry: &HistoryEntry) {
        let Ok(claim) = serde_json::from_str::<ReportClaim>(&entry.body) else { return };
        self.reports.insert(claim.report.into_owned(), claim.description_sha256.into_owned());
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
        for (cover, claim) in self.covers.drain() {
            report.add("cover.missing", cover, format!("the file of {} says that it is here", claim.manhole));
        }
        self.settle_work(tx, range, report).await?;
        if !self.notices.is_empty() {
            for (cover, notice, state) in integrity::list_standing_claims(tx, range).await? {
                if let Some(claimed) =
                    self.notices.remove(&(cover, notice)).filter(|claimed| *claimed != state)
                {
                    report.add("claim.differs", cover, format!("is {state}, the file says {claimed}"));
                }
            }
            for ((cover, notice), claimed) in self.notices.drain() {
                report.add(
                    "claim.missing",
                    cover,
                    format!("the file says it is {claimed} in notice {notice}"),
                );
            }
        }
        for ((case, number), claimed) in self.supervised.drain() {
            match integrity::find_standing_notice(tx, case, &number).await? {
                Some(state) if state == claimed => {}
                Some(state) => {
                    report.add("notice.differs", number, format!("is {state}, a file says {claimed}"))
                }
                None => {
                    report.add("notice.missing", number, format!("the file says that case {case} is on it"))
                }
            }
        }
        for ((serial, cover), claimed) in self.sensors.drain() {
            match integrity::find_standing_sensor(tx, &serial).await? {
                Some(lies) if (lies == Some(cover)) == claimed => {}
                Some(_) => {
                    let word = if claimed { "under" } else { "no longer under" };
                    report.add("sensor.differs", serial, format!("the file says it is {word} {cover}"));
                }
                None => report.add("sensor.missing", serial, format!("the file of {cover} speaks of it")),
            }
        }
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
        for (word, claimed) in self.words.drain() {
            match integrity::find_standing_word(tx, word).await? {
                // A text that had to be removed is empty now.
                Some(text) if text.is_empty() || hex(&Sha256::digest(text.as_bytes())) == claimed => {}
                Some(_) => report.add("word.altered", word, "is not the text of which the file has the hash"),
                None => report.add("word.missing", word, "the file says that it was written"),
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

/// Whether covers left this file or came into it.
fn is_move(kind: HistoryKind) -> bool {
    matches!(kind, HistoryKind::Merged | HistoryKind::MergedAway | HistoryKind::Unmerged | HistoryKind::Split)
}

impl FileClaims {
    fn of(manhole: Uuid) -> Self {
        Self {
            manhole,
            place: PlaceClaim::default(),
            covers: BTreeMap::new(),
            plates: HashMap::new(),
            cases: HashMap::new(),
            notices: HashMap::new(),
            supervised: HashMap::new(),
            sensors: HashMap::new(),
        }
    }

    /// `None` when it says something of its covers that is not understood here.
    fn read(&mut self, entry: &HistoryEntry) -> Option<()> {
        let change = || serde_json::from_str::<ChangeClaim>(&entry.body).ok();
        match entry.kind {
            HistoryKind::Created => {
                let first: FirstClaim = serde_json::from_str(&entry.body).ok()?;
                let FirstClaim { cover, scheme, code, class, state, .. } = first;
                self.place = PlaceClaim {
                    district: Some(first.district),
                    at: Some((first.lon, first.lat)),
                    road: Some(first.road),
                    address: Some(first.address),
                };
                self.add(AddedClaim { cover, scheme, code, class, state });
            }
            HistoryKind::CoverAdded => self.add(serde_json::from_str(&entry.body).ok()?),
            HistoryKind::SplitOff => {
                let change = change()?;
                self.read_split(entry)?;
                self.covers_move(&change)?;
            }
            HistoryKind::Updated
            | HistoryKind::CodeChanged
            | HistoryKind::Retired
            | HistoryKind::Reinstated
            | HistoryKind::Merged
            | HistoryKind::MergedAway
            | HistoryKind::Unmerged
            | HistoryKind::Split
            | HistoryKind::ClaimSettled
            | HistoryKind::ClaimUndone => {
                self.change(&change()?)?;
                self.read_claim(entry);
                if is_move(entry.kind) {
                    // Where covers come and go, the file to which they went says what became of their sensors.
                    self.sensors.clear();
                }
            }
            HistoryKind::ClaimOpened | HistoryKind::ClaimAnswered => self.read_claim(entry),
            HistoryKind::PlateInstalled | HistoryKind::PlateChanged => self.read_plate(entry),
            HistoryKind::Reported => {
                self.cases.extend(entry.case.map(|case| (case.0, "reported".to_owned())));
            }
            HistoryKind::CaseMoved => {
                if let (Some(case), Ok(claim)) = (entry.case, serde_json::from_str::<MoveClaim>(&entry.body))
                {
                    self.cases.insert(case.0, claim.to.into_owned());
                }
            }
            HistoryKind::NoticeIssued | HistoryKind::NoticeFeedback => self.read_supervision(entry, "issued"),
            HistoryKind::SensorInstalled | HistoryKind::SensorRemoved => self.read_sensor(entry),
            HistoryKind::NoticeWithdrawn => self.read_supervision(entry, "withdrawn"),
            HistoryKind::PlateMade
            | HistoryKind::PlateChecked
            | HistoryKind::PhotoAdded
            | HistoryKind::ReportJoined
            | HistoryKind::HoldEnded
            | HistoryKind::CaseOverdue
            | HistoryKind::CaseAsked
            | HistoryKind::ToldApart
            | HistoryKind::TaskDone
            | HistoryKind::DueDateSet
            | HistoryKind::MeetingDecided
            | HistoryKind::MeetingRevoked
            | HistoryKind::ExemplaryMarked
            | HistoryKind::ExemplaryUnmarked
            | HistoryKind::UpstreamSaid
            | HistoryKind::SensorDisarmed
            | HistoryKind::SensorArmed
            | HistoryKind::SensorQuiet
            | HistoryKind::CitizenWord
            | HistoryKind::CitizenRated
            | HistoryKind::CitizenCalled
            | HistoryKind::PhotoReleased
            | HistoryKind::PhotoWithdrawn
            | HistoryKind::Transferred => {}
        }
        Some(())
    }

    fn read_claim(&mut self, entry: &HistoryEntry) {
        let Ok(claim) = serde_json::from_str::<NoticeClaim>(&entry.body) else { return };
        self.notices.insert((claim.cover, claim.notice), claim.claim_state);
    }

    fn read_sensor(&mut self, entry: &HistoryEntry) {
        let Ok(claim) = serde_json::from_str::<SensorClaim>(&entry.body) else { return };
        // It lies under one cover at a time.
        self.sensors.retain(|(serial, _), _| *serial != claim.sensor);
        let is_there = entry.kind == HistoryKind::SensorInstalled;
        self.sensors.insert((claim.sensor, claim.cover), is_there);
    }

    fn read_supervision(&mut self, entry: &HistoryEntry, state: &'static str) {
        if let (Some(case), Ok(claim)) = (entry.case, serde_json::from_str::<SupervisionClaim>(&entry.body)) {
            self.supervised.insert((case.0, claim.supervision), state);
        }
    }

    fn add(&mut self, new: AddedClaim) {
        let claim = CoverClaim {
            manhole: self.manhole,
            scheme: Some(new.scheme),
            code: Some(new.code),
            class: Some(new.class),
            state: Some(new.state),
            retired: Some(None),
            ..CoverClaim::default()
        };
        self.covers.insert(new.cover, claim);
    }

    /// Where a manhole lies that was split off.
    fn read_split(&mut self, entry: &HistoryEntry) -> Option<()> {
        let body: Value = serde_json::from_str(&entry.body).ok()?;
        let text = |name: &str| body[name].as_str().map(str::to_owned);
        self.place = PlaceClaim {
            district: Some(text("district")?),
            at: Some(point(&body["position"])?),
            road: Some(text("road")),
            address: Some(text("address")),
        };
        Some(())
    }

    fn read_plate(&mut self, entry: &HistoryEntry) {
        let Ok(claim) = serde_json::from_str::<PlateClaim>(&entry.body) else { return };
        let plate = (claim.batch, claim.ordinal);
        match (claim.to, entry.kind) {
            (Some(state), _) => self.plates.insert(plate, state.into_owned()),
            (None, HistoryKind::PlateInstalled) => self.plates.insert(plate, "installed".to_owned()),
            // Went to another cover as it is.
            (None, _) => self.plates.remove(&plate),
        };
    }

    fn change(&mut self, change: &ChangeClaim) -> Option<()> {
        if change.is_move() {
            self.covers_move(change)?;
        }
        for (field, (_, now)) in &change.fields {
            let text = || now.as_str().map(str::to_owned);
            match field.as_str() {
                "district" => self.place.district = Some(text()?),
                "road" => self.place.road = Some(text()),
                "address" => self.place.address = Some(text()),
                // The new place of a split is that of the other file.
                "position" if !change.is_move() => self.place.at = Some(point(now)?),
                "class" => self.cover(change)?.class = Some(text()?),
                "state" => self.cover(change)?.state = Some(text()?),
                "code" => self.cover(change)?.code = Some(text()?),
                "scheme" => self.cover(change)?.scheme = Some(text()?),
                // A cover that was merged as the same one retires in the file to which it goes.
                "retired" => {
                    if let Some(claim) = self.cover(change) {
                        claim.retired = Some(text());
                    }
                }
                _ => {}
            }
        }
        Some(())
    }

    /// The cover that an entry is about; the only one where older entries do not name it.
    fn cover(&mut self, change: &ChangeClaim) -> Option<&mut CoverClaim> {
        match change.cover {
            Some(cover) => self.covers.get_mut(&cover),
            None if self.covers.len() == 1 => self.covers.values_mut().next(),
            None => None,
        }
    }

    /// Covers that go to another manhole or come from one. What goes along with them has a life there
    /// of which this file does not hear.
    fn covers_move(&mut self, change: &ChangeClaim) -> Option<()> {
        let (from, to) = change.fields.get("manhole")?;
        let id = |value: &Value| serde_json::from_value::<Uuid>(value.clone()).ok();
        if id(to)? == self.manhole {
            for cover in change.versions.keys() {
                self.covers.insert(*cover, CoverClaim { manhole: self.manhole, ..CoverClaim::default() });
            }
        } else if id(from)? == self.manhole {
            self.covers.retain(|cover, _| !change.versions.contains_key(cover));
            self.plates.clear();
            self.cases.clear();
            self.notices.retain(|(cover, _), _| !change.versions.contains_key(cover));
        } else {
            return None;
        }
        Some(())
    }
}

fn point(position: &Value) -> Option<(f64, f64)> {
    Some((position["lon"].as_f64()?, position["lat"].as_f64()?))
}

impl CoverClaim {
    fn differences(&self, row: &StandingCover) -> Vec<String> {
        let mut found = Vec::new();
        let place = &self.place;
        // What the file does not say is as it may be.
        let certain = |text: &Option<String>| text.clone().map(Some);
        let texts = [
            ("code scheme", Some(&row.scheme), certain(&self.scheme)),
            ("code", Some(&row.code), certain(&self.code)),
            ("district", Some(&row.district), certain(&place.district)),
            ("class", Some(&row.class), certain(&self.class)),
            ("state", Some(&row.state), certain(&self.state)),
            ("retirement", row.retired_reason.as_ref(), self.retired.clone()),
            ("road", row.road.as_ref(), place.road.clone()),
            ("address", row.address.as_ref(), place.address.clone()),
        ];
        let shown = |text: Option<&String>| text.map_or("empty", String::as_str).to_owned();
        for (field, now, claimed) in texts {
            if let Some(claimed) = claimed
                && now != claimed.as_ref()
            {
                found.push(format!("{field} is {}, the file says {}", shown(now), shown(claimed.as_ref())));
            }
        }
        if row.manhole != self.manhole {
            found.push(format!("manhole is {}, the file says {}", row.manhole, self.manhole));
        }
        // A number read back from JSON may differ in its last bit.
        let apart = |one: f64, other: f64| (one - other).abs() > 1e-9;
        if let Some((lon, lat)) = place.at
            && (apart(row.lon, lon) || apart(row.lat, lat))
        {
            found.push(format!("position is {}, {}, the file says {lon}, {lat}", row.lon, row.lat));
        }
        found
    }
}
