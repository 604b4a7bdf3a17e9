//! 督办台账接续: notices of years in which the city kept its ledger elsewhere, taken over with their cases as they ended.
//! Nobody is told of them and nothing is reminded of; each case says in its file where it came from.

use serde_json::json;
use sha2::{Digest, Sha256};

use super::files::NewEntry;
use super::marks::Held;
use super::{Registry, RegistryError, hex};
use crate::domain::Refusal;
use crate::domain::case::{Case, CaseSource, CaseState, Report};
use crate::domain::hazard::Hazard;
use crate::domain::history::HistoryKind;
use crate::domain::ids::{CoverId, Millis, NoticeId, PartyId, ReportId};
use crate::domain::notice::{NoticeNumber, NoticeState};
use crate::domain::role::Actor;
use crate::store::notices::{self, NewItem, Notice, TakenOver};
use crate::store::{StoreError, Tx, covers, people};

/// 重点督查: supervisors found it.
const SOURCE: CaseSource = CaseSource::KeyInspection;

/// A notice as a ledger has it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct PastNotice {
    pub number: NoticeNumber,
    pub title: String,
    pub body: String,
    pub issued_at: Millis,
    pub due_at: Millis,
    pub items: Vec<PastItem>,
    /// Where it comes from.
    pub source: String,
}

/// A case of such a notice.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct PastItem {
    pub cover: CoverId,
    pub hazard: Hazard,
    pub party: PartyId,
    pub reported_at: Millis,
    /// When it was struck off; `None` = somebody has still to act.
    pub closed_at: Option<Millis>,
}

impl Registry {
    /// Takes a notice over; `false` when its number is known already. New notices of its year are counted on from it.
    pub async fn take_over_notice(&self, past: PastNotice) -> Result<bool, RegistryError> {
        if past.items.is_empty() {
            return Err(Refusal::new("notice.case_count")
                .with("count", 0)
                .with("most", super::NOTICE_CASES)
                .into());
        }
        let now = self.now();
        let offset = self.utc_offset_minutes;
        self.store
            .write::<bool, RegistryError, _>(move |tx| {
                let past = past.clone();
                Box::pin(async move { take_over(tx, &past, offset, now).await })
            })
            .await
    }
}

async fn take_over(
    tx: &mut Tx,
    past: &PastNotice,
    utc_offset_minutes: i32,
    now: Millis,
) -> Result<bool, RegistryError> {
    if notices::find_by_number(tx, past.number).await?.is_some() {
        return Ok(false);
    }
    let year = super::year_at(past.issued_at, utc_offset_minutes);
    let count = past.items.len() as i64;
    let counters = [format!("case:{year}"), format!("notice:{}", past.number.year), format!("report:{year}")];
    let wanted = [(counters[0].as_str(), count), (counters[1].as_str(), 0), (counters[2].as_str(), count)];
    let [last_case, last_notice, last_report] = people::advance_counters(tx, wanted).await?;
    let behind = past.number.issue - last_notice;
    if behind > 0 {
        people::advance_counters(tx, [(counters[1].as_str(), behind)]).await?;
    }
    let ids: Vec<CoverId> = past.items.iter().map(|item| item.cover).collect();
    let files = covers::list_covers_by_id(tx, &ids).await?;
    let mut held = Held::take(tx, &[], &unique(&ids)).await?;
    let mut taken =
        TakenOver { notice: notice_of(past), items: Vec::new(), cases: Vec::new(), reports: Vec::new() };
    for (at, item) in past.items.iter().enumerate() {
        let file = files.iter().find(|file| file.cover == item.cover);
        let file = file.ok_or_else(|| StoreError::inconsistent("covers", "id", item.cover))?;
        let place = |last: i64| last - count + 1 + at as i64;
        let number = format!("{year}-{:06}", place(last_case));
        let case = Case {
            state: if item.closed_at.is_some() { CaseState::Closed } else { CaseState::Handling },
            party: Some(item.party),
            updated_at: item.closed_at.unwrap_or(item.reported_at),
            closed_at: item.closed_at,
            filed_at: Some(item.reported_at),
            dispatched_at: Some(past.issued_at),
            handled_at: item.closed_at,
            ..Case::open(number, (file.manhole, Some(item.cover)), item.hazard, SOURCE, item.reported_at)
        };
        let tracking = format!("R{year}-{:06}", place(last_report));
        let report = Report {
            id: ReportId::fresh(),
            tracking: tracking.clone(),
            case: case.id,
            hazard: item.hazard,
            description: past.source.clone(),
            contact: None,
            phone_position: None,
            source: SOURCE,
            external_number: None,
            created_at: item.reported_at,
        };
        enter(&mut held, past, &case, &tracking);
        taken.items.push(NewItem { case: case.id, party: item.party });
        taken.reports.push((report, "zh-CN"));
        taken.cases.push((case, file.district.code.clone()));
    }
    notices::take_over(tx, &taken).await?;
    held.write(tx, now, Vec::new()).await?;
    Ok(true)
}

fn unique(covers: &[CoverId]) -> Vec<CoverId> {
    let mut covers = covers.to_vec();
    covers.sort();
    covers.dedup();
    covers
}

fn notice_of(past: &PastNotice) -> Notice {
    Notice {
        id: NoticeId::fresh(),
        number: Some(past.number),
        title: past.title.clone(),
        body: past.body.clone(),
        state: NoticeState::Issued,
        due_at: past.due_at,
        created_by: Actor::System.word(),
        // When it was drafted nobody wrote down; not after it was issued.
        created_at: past.issued_at,
        issued_by: Some(Actor::System.word()),
        issued_at: Some(past.issued_at),
        withdrawn_at: None,
        withdrawn_why: None,
        // Its reminders were somebody else's.
        reminded: 100,
        version: 1,
    }
}

/// What the file of its manhole says of a case that was taken over: that it was reported, how it stands, and its notice.
fn enter(held: &mut Held, past: &PastNotice, case: &Case, tracking: &str) {
    let entry = |kind, body| NewEntry { actor: Actor::System.word(), kind, case: None, body };
    let source = &past.source;
    let reported = json!({
        "report": tracking,
        "hazard": case.hazard,
        "description_sha256": hex(&Sha256::digest(source.as_bytes())),
        "source": source,
    });
    held.of_case(case, entry(HistoryKind::Reported, reported));
    let made = if case.state == CaseState::Closed { "close" } else { "accept" };
    let moved =
        json!({"case": case.number, "move": made, "from": "reported", "to": case.state, "source": source});
    held.of_case(case, entry(HistoryKind::CaseMoved, moved));
    let supervised = json!({
        "case": case.number,
        "supervision": past.number.to_string(),
        "of_party": case.party,
        "until": past.due_at,
        "source": source,
    });
    held.of_case(case, entry(HistoryKind::NoticeIssued, supervised));
}
