//! One report at a time, by staff or by Lidmark itself: it joins the open case of its cover and hazard or opens one.
//! What citizens send in goes through `report_desk.rs`, many together.

use serde_json::{Map, Value, json};
use sha2::{Digest, Sha256};

use super::abuse::{self, Weighed};
use super::case_flow::{self, Ground, NewCase, event_body, triage_facts};
use super::files::{self, NewEntry, PhotoHome};
use super::report_desk::HELD_EVENT;
use super::rule_book::ActiveRules;
use super::{AttachedPhoto, Registry, RegistryError, year_at};
use crate::domain::Refusal;
use crate::domain::abuse::Doubt;
use crate::domain::case::{Case, CaseSource, PhonePosition, Report};
use crate::domain::hazard::Hazard;
use crate::domain::history::HistoryKind;
use crate::domain::ids::{CoverId, ManholeId, Millis, ReportId};
use crate::store::abuse::find_hold;
use crate::store::feed::ChangeKind;
use crate::store::history::ChainHead;
use crate::store::reports::{self, Filed, JoinedReports};
use crate::store::{Tx, cases, people};

/// In which staff are answered when a case of theirs moves.
pub(super) const STAFF_LANGUAGE: &str = "zh-CN";
/// How long after its closing a hazard that is found again counts as the same one.
pub(super) const RECURS_WITHIN_MS: i64 = 90 * 86_400_000;

/// What somebody found, on a file that this transaction has taken.
pub(super) struct Finding {
    pub manhole: ManholeId,
    pub cover: Option<CoverId>,
    pub head: ChainHead,
    pub ground: Ground,
    pub hazard: Hazard,
    pub source: CaseSource,
    /// The case it belongs to; `None` = the open one of its cover and hazard, or a new one.
    pub known: Option<Case>,
    pub description: String,
    pub contact: Option<String>,
    pub external_number: Option<String>,
    pub phone_position: Option<PhonePosition>,
    pub photos: Vec<(&'static str, AttachedPhoto)>,
    /// 即查即改: a new case is not sent to anybody.
    pub mended: bool,
    /// `user:<uuid>` or `system`.
    pub actor: String,
    /// What the file's entry says beside the usual.
    pub story: Map<String, Value>,
    /// In which whoever reported it is answered.
    pub language: &'static str,
    /// Where it came from, where that is watched.
    pub weighed: Option<Weighed>,
}

/// What became of it.
pub(super) struct FiledReport {
    pub case: Case,
    pub report: ReportId,
    /// `R2026-000123`
    pub tracking: String,
    pub is_new: bool,
}

/// Files what was found. Nothing else may have been appended to the manhole's file since `head`.
pub(super) async fn file(
    tx: &mut Tx,
    registry: &Registry,
    rules: &ActiveRules,
    finding: Finding,
) -> Result<FiledReport, RegistryError> {
    let now = rules.now();
    let attached: Vec<AttachedPhoto> = finding.photos.iter().map(|(_, photo)| photo.clone()).collect();
    let mut weighed = finding.weighed;
    if let Some(weighed) = weighed.as_mut().filter(|weighed| !weighed.by_staff)
        && abuse::are_photos_seen(tx, &registry.abuse, &attached, (finding.manhole, now)).await?
    {
        weighed.doubts.push(Doubt::PhotoSeen);
    }
    let doubts = weighed.as_ref().map(|weighed| weighed.doubts.clone()).unwrap_or_default();
    let known = match &finding.known {
        Some(case) => Some(case.clone()),
        None => {
            let open = cases::list_open_cases(tx, finding.manhole).await?;
            let same = |case: &Case| {
                finding.cover.is_some() && case.cover == finding.cover && case.hazard == finding.hazard
            };
            open.into_iter().find(same)
        }
    };
    let is_new = known.is_none();
    let year = year_at(now, registry.utc_offset_minutes);
    let (cases_of, reports_of) = (format!("case:{year}"), format!("report:{year}"));
    let wanted = [(cases_of.as_str(), i64::from(is_new)), (reports_of.as_str(), 1)];
    let [case_number, report_number] = people::advance_counters(tx, wanted).await?;
    let mut filed = Filed::default();
    let mut opening = Vec::new();
    let case = match known {
        Some(mut case) => {
            if doubts.is_empty() && find_hold(tx, case.id).await?.is_some_and(|hold| hold.ended_at.is_none())
            {
                filed.watched.confirmed.push(case.id);
                opening.push(abuse::hold_ended(case.id, &case.number, "second_report"));
                filed.news.events.push(case_flow::opened_event(&case));
            }
            let expected_version = case.version;
            case.report_count += 1;
            case.version += 1;
            case.updated_at = now;
            case.triage = rules.routing.triage.score(&triage_facts(&case, finding.ground.placement, rules));
            let joined = JoinedReports { case: case.id, expected_version, count: 1, triage: case.triage };
            filed.joined.push(joined);
            filed.news.events.push(("report.joined".to_owned(), event_body(&case).to_string()));
            case
        }
        None => {
            let since = Millis(now.0 - RECURS_WITHIN_MS);
            let before = cases::list_closed_since(tx, &[finding.manhole], since).await?;
            let same =
                before.iter().find(|case| case.cover == finding.cover && case.hazard == finding.hazard);
            let new = NewCase {
                number: format!("{year}-{case_number:06}"),
                manhole: finding.manhole,
                cover: finding.cover,
                hazard: finding.hazard,
                source: finding.source,
                recurs: same.map(|case| case.id),
                mended: finding.mended,
            };
            let opened = case_flow::open(tx, &registry.rule_book, rules, &finding.ground, new).await?;
            opening = opened.entries;
            let mut event = case_flow::opened_event(&opened.case);
            if registry.abuse.holds(finding.hazard, &doubts) {
                filed.watched.held.push((opened.case.id, doubts));
                HELD_EVENT.clone_into(&mut event.0);
            }
            filed.news.events.push(event);
            filed.news.events.extend(opened.events);
            opened.case
        }
    };
    let report = Report {
        id: ReportId::fresh(),
        tracking: format!("R{year}-{report_number:06}"),
        case: case.id,
        hazard: finding.hazard,
        description: finding.description,
        contact: finding.contact,
        phone_position: finding.phone_position,
        source: finding.source,
        external_number: finding.external_number,
        created_at: now,
    };
    let home = PhotoHome {
        manhole: finding.manhole,
        cover: finding.cover,
        case: Some(case.id),
        report: Some(report.id),
    };
    for (role, photo) in &finding.photos {
        filed.photos.extend(files::photo_records(home, role, std::slice::from_ref(photo), now));
    }
    if let Some(weighed) = weighed {
        weighed.note(report.id, (&filed.photos, &attached), &mut filed.watched);
    }
    let mut body = finding.story;
    body.extend([
        ("report".to_owned(), json!(report.tracking)),
        ("hazard".to_owned(), json!(report.hazard)),
        ("source".to_owned(), json!(report.source)),
        ("description_sha256".to_owned(), json!(super::hex(&Sha256::digest(report.description.as_bytes())))),
    ]);
    let kind = if is_new { HistoryKind::Reported } else { HistoryKind::ReportJoined };
    let said = NewEntry { actor: finding.actor, kind, case: Some(case.id), body: body.into() };
    let entries = std::iter::once(said).chain(opening).collect();
    filed.entries = files::chained(finding.manhole, finding.head, now, entries);
    filed.news.changed = vec![(ChangeKind::Case, case.id.0)];
    filed.news.changed.extend(finding.cover.map(|cover| (ChangeKind::Cover, cover.0)));
    if is_new {
        filed.opened.push((case.clone(), finding.ground.district));
    }
    let done = FiledReport { case, report: report.id, tracking: report.tracking.clone(), is_new };
    filed.reports.push((report, finding.language));
    if reports::write(tx, &filed, "", now).await? {
        Ok(done)
    } else {
        Err(RegistryError::Conflict(Refusal::new("case.moved_meanwhile").with("state", done.case.state)))
    }
}
