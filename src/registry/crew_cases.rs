//! 即查即改 and 上报: what crews say about a hazard, with photos of before and after where they mended it.

use serde_json::json;
use sha2::{Digest, Sha256};

use super::crew::{Noted, Work, tidy};
use super::files::{self, NewEntry, PhotoHome};
use super::report_desk::open_case;
use super::{RegistryError, year_at};
use crate::domain::Refusal;
use crate::domain::case::{self, Case, CaseMove, CaseState, MoveRequest, PhonePosition, Report};
use crate::domain::cover::CoverFile;
use crate::domain::crew::{CrewKind, Found};
use crate::domain::history::HistoryKind;
use crate::domain::ids::{PartyId, ReportId};
use crate::domain::role::Actor;
use crate::store::feed::ChangeKind;
use crate::store::reports::{self, Filed, JoinedReports};
use crate::store::{Tx, cases, people};

/// In which crews are answered when a case of theirs moves.
pub(super) const LANGUAGE: &str = "zh-CN";

impl Work {
    pub(super) async fn report(&self, tx: &mut Tx, found: &Found) -> Result<Noted, RegistryError> {
        self.file_case(tx, found, CrewKind::Report).await
    }

    pub(super) async fn fix(&self, tx: &mut Tx, found: &Found) -> Result<Noted, RegistryError> {
        self.file_case(tx, found, CrewKind::Fix).await
    }

    /// Files a report as a citizen's is filed; a fix moves the case on to be checked by somebody else.
    pub(super) async fn file_case(
        &self,
        tx: &mut Tx,
        found: &Found,
        kind: CrewKind,
    ) -> Result<Noted, RegistryError> {
        let description = tidy(found.description.as_deref(), "description")?.unwrap_or_default();
        let taken = self.take(tx, found.cover).await?;
        self.refuse_changed(tx, &taken.file, None).await?;
        let file = &taken.file;
        let open = cases::list_open_cases(tx, file.manhole).await?;
        let same = |case: &Case| case.cover == Some(found.cover) && case.hazard == found.hazard;
        let known = open.into_iter().find(same);
        let is_new = known.is_none();
        let year = year_at(self.now, self.registry.utc_offset_minutes);
        let may_move =
            |case: &Case| kind == CrewKind::Fix && case::find_rule(case.state, CaseMove::Fix).is_some();
        let will_move = known.as_ref().map_or(kind == CrewKind::Fix, may_move);
        // In the order of the report desk, so that the two do not wait for each other.
        let [case_number, last_change, last_event, report_number] = people::advance_counters(
            tx,
            [
                (&format!("case:{year}"), i64::from(is_new)),
                ("changes", 2),
                ("outbox", 1 + i64::from(will_move)),
                (&format!("report:{year}"), 1),
            ],
        )
        .await?;
        let mut case = known.unwrap_or_else(|| {
            open_case(format!("{year}-{case_number:06}"), (file.manhole, file.cover), found.hazard, self.now)
        });
        let report = Report {
            id: ReportId::fresh(),
            tracking: format!("R{year}-{report_number:06}"),
            case: case.id,
            hazard: found.hazard,
            description,
            contact: None,
            phone_position: self.action.position.map(|fix| PhonePosition {
                lon: fix.lon,
                lat: fix.lat,
                accuracy_m: fix.accuracy_m,
            }),
            created_at: self.now,
        };
        let place = &file.survey.position;
        let fix = self.fix_at((place.lon, place.lat));
        let mut entries = vec![self.reported(&report, is_new, fix)];
        if is_new && case.emergency {
            entries.push(filed_at_once(&case));
        }
        let mut filed = Filed::default();
        filed.news.events.push(event(&case, if is_new { "case" } else { "report" }));
        let home = PhotoHome {
            manhole: file.manhole,
            cover: Some(file.cover),
            case: Some(case.id),
            report: Some(report.id),
        };
        for (role, photo) in &self.photos {
            let photo = std::slice::from_ref(photo);
            filed.photos.extend(files::photo_records(home, role.as_str(), photo, self.now));
        }
        filed.reports.push((report, LANGUAGE));
        filed.news.changed = vec![(ChangeKind::Case, case.id.0), (ChangeKind::Cover, file.cover.0)];
        let expected_version = match is_new {
            true => {
                filed.opened.push((case.clone(), taken.locked.district.clone()));
                case.version
            }
            false => {
                let joined = JoinedReports { case: case.id, expected_version: case.version, count: 1 };
                filed.joined.push(joined);
                case.report_count += 1;
                case.version + 1
            }
        };
        let mut noted = Noted { cover: Some(file.cover), ..Noted::of(kind) };
        noted.case = Some((case.id, case.number.clone()));
        noted.distance_m = fix.and_then(|fix| fix.distance_m);
        let from = case.state;
        if will_move {
            self.mend(&mut case, file, expected_version)?;
            entries.push(self.mended(&case, from));
            filed.news.events.push(event(&case, "case"));
        } else if kind == CrewKind::Fix {
            noted.notice(&Refusal::new("crew.case_underway").with("number", &case.number));
        } else if !is_new {
            noted.notice(&Refusal::new("crew.case_joined").with("number", &case.number));
        }
        filed.entries = files::chained(file.manhole, taken.locked.head, self.now, entries);
        let moved = || RegistryError::Conflict(Refusal::new("case.moved_meanwhile").with("state", from));
        if !reports::write(tx, &filed, "", self.now, [last_change, last_event]).await? {
            return Err(moved());
        }
        if will_move && !cases::update_case(tx, &case, expected_version).await? {
            return Err(moved());
        }
        self.keep(tx, &noted, (None, fix), None).await?;
        Ok(noted)
    }

    /// Takes the case where the table of moves says.
    fn mend(&self, case: &mut Case, file: &CoverFile, version: i64) -> Result<(), RegistryError> {
        let request = MoveRequest { photos: self.photos.len(), ..MoveRequest::default() };
        let rule =
            case::check_move(case, CaseMove::Fix, &self.actor, &request).map_err(RegistryError::Forbidden)?;
        case.state = rule.to;
        case.handed_in_by = Some(self.user);
        // Whoever is asked when the check fails.
        case.party = case
            .party
            .or(self.own_party())
            .or_else(|| [&file.maintainer, &file.owner].into_iter().flatten().map(|party| party.id).next());
        case.updated_at = self.now;
        case.version = version + 1;
        Ok(())
    }

    fn own_party(&self) -> Option<PartyId> {
        match &self.actor {
            Actor::Staff { party, .. } => *party,
            _ => None,
        }
    }

    /// As for a citizen's report: the words stay in its row, the file has their hash.
    fn reported(
        &self,
        report: &Report,
        is_new: bool,
        fix: Option<crate::domain::plate::PlateFix>,
    ) -> NewEntry {
        let mut body = self.story(fix);
        body.extend([
            ("report".to_owned(), json!(report.tracking)),
            ("hazard".to_owned(), json!(report.hazard)),
            (
                "description_sha256".to_owned(),
                json!(super::hex(&Sha256::digest(report.description.as_bytes()))),
            ),
        ]);
        let kind = if is_new { HistoryKind::Reported } else { HistoryKind::ReportJoined };
        NewEntry { actor: self.actor.word(), kind, case: Some(report.case), body: body.into() }
    }

    fn mended(&self, case: &Case, from: CaseState) -> NewEntry {
        let body = json!({"case": case.number, "move": CaseMove::Fix, "from": from, "to": case.state, "party": case.party});
        NewEntry { actor: self.actor.word(), kind: HistoryKind::CaseMoved, case: Some(case.id), body }
    }
}

fn filed_at_once(case: &Case) -> NewEntry {
    let body =
        json!({"case": case.number, "move": "file", "from": "reported", "to": "filed", "why": "emergency"});
    NewEntry { actor: Actor::System.word(), kind: HistoryKind::CaseMoved, case: Some(case.id), body }
}

/// What the outbox hears of a case, or of one more report on it.
pub(super) fn event(case: &Case, about: &str) -> (String, String) {
    let name = if about == "report" { "report.joined".to_owned() } else { format!("case.{}", case.state) };
    let body =
        json!({"case": case.number, "hazard": case.hazard, "emergency": case.emergency, "state": case.state});
    (name, body.to_string())
}
