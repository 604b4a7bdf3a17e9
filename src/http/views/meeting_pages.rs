//! 会商: hot spots, the record of a meeting, and how it bears on cases at the desk.

use askama::Template;

use super::words::{Choice, Names, joined};
use super::{Page, write};
use crate::domain::Refusal;
use crate::domain::ids::{IdempotencyKey, PartyId};
use crate::registry::{HotPlace, HotSpot, Meeting, MeetingFile, MeetingSubject};

/// What somebody typed into the record of a meeting.
#[derive(Debug, Clone, Default)]
pub struct MeetingForm {
    pub held: String,
    pub place: String,
    pub attendees: String,
    pub cases: String,
    pub covers: String,
    pub district: String,
    pub roads: String,
    pub decision: String,
    pub lead: String,
    pub due: String,
}

impl MeetingForm {
    /// From a form, by the names of its fields.
    pub fn of(said: impl Fn(&'static str) -> String) -> Self {
        Self {
            held: said("held"),
            place: said("place"),
            attendees: said("attendees"),
            cases: said("cases"),
            covers: said("covers"),
            district: said("district"),
            roads: said("roads"),
            decision: said("decision"),
            lead: said("lead"),
            due: said("due"),
        }
    }
}

/// What the list of meetings shows.
pub struct MeetingListView<'a> {
    pub spots: &'a [HotSpot],
    pub days: i64,
    pub meetings: &'a [Meeting],
    pub names: Names<'a>,
    pub next: Option<String>,
    pub may_record: bool,
    pub typed: &'a MeetingForm,
    pub key: IdempotencyKey,
    pub wrong: Option<&'a Refusal>,
}

struct SpotRow {
    /// The code of a cover in groups, with its digits for the address.
    code: Option<(String, String)>,
    place: String,
    cases: i64,
    repeats: i64,
    open: i64,
}

struct MeetingRow {
    number: String,
    held: String,
    decision: String,
    lead: String,
    due: String,
    standing: &'static str,
}

#[derive(Template)]
#[template(path = "meetings.html")]
struct ListPage<'a> {
    page: Page<'a>,
    spots: Vec<SpotRow>,
    days: i64,
    rows: Vec<MeetingRow>,
    districts: Vec<Choice>,
    parties: Vec<Choice>,
    next: Option<String>,
    may_record: bool,
    typed: &'a MeetingForm,
    key: String,
    wrong: Option<String>,
}

fn district<'p>(page: &Page, names: Names<'p>, code: &'p str) -> &'p str {
    let known = names.districts.iter().find(|district| district.code == code);
    known.map_or(code, |district| page.district(district))
}

fn party(names: Names, id: PartyId) -> String {
    let known = names.parties.iter().find(|party| party.id == id);
    known.map_or_else(|| id.to_string(), |party| party.name.clone())
}

/// The key of the word for how a decision stands.
fn standing(page: &Page, meeting: &Meeting) -> &'static str {
    match &meeting.revoked {
        Some(_) => "meetings.revoked",
        None if meeting.due_at > page.now => "meetings.in_force",
        None => "meetings.over",
    }
}

/// The list.
pub fn meeting_list(page: &Page, view: &MeetingListView) -> String {
    let spots = view.spots.iter().map(|spot| SpotRow {
        code: match &spot.place {
            HotPlace::Cover(code) => Some((code.digits.clone(), page.code(code))),
            HotPlace::Road => None,
        },
        place: joined([Some(district(page, view.names, &spot.district)), spot.road.as_deref()]),
        cases: spot.cases,
        repeats: spot.repeats,
        open: spot.open,
    });
    let rows = view.meetings.iter().map(|meeting| MeetingRow {
        number: meeting.number.clone(),
        held: page.date(meeting.held_at),
        decision: meeting.decision.clone(),
        lead: party(view.names, meeting.lead),
        due: page.date(meeting.due_at),
        standing: standing(page, meeting),
    });
    let parties = view.names.parties.iter().map(|party| Choice {
        chosen: party.id.to_string() == view.typed.lead,
        value: party.id.to_string(),
        word: party.name.clone(),
    });
    write(&ListPage {
        page: *page,
        spots: spots.collect(),
        days: view.days,
        rows: rows.collect(),
        districts: super::quality_pages::district_choices(page, view.names.districts, &view.typed.district),
        parties: parties.collect(),
        next: view.next.clone(),
        may_record: view.may_record,
        typed: view.typed,
        key: view.key.to_string(),
        wrong: view.wrong.map(|refusal| page.catalogue.refusal_in_words(refusal)),
    })
}

/// What the page of a meeting shows.
pub struct MeetingView<'a> {
    pub file: &'a MeetingFile,
    pub names: Names<'a>,
    pub may_revoke: bool,
    pub may_dispatch: bool,
    pub wrong: Option<&'a Refusal>,
}

struct SubjectRow {
    what: &'static str,
    address: Option<String>,
    name: String,
    more: String,
}

struct WaitingRow {
    number: String,
    version: i64,
    hazard: String,
    state: String,
    state_key: &'static str,
    place: String,
    key: String,
}

#[derive(Template)]
#[template(path = "meeting.html")]
struct FilePage<'a> {
    page: Page<'a>,
    meeting: &'a Meeting,
    standing: &'static str,
    held: String,
    lead: String,
    due: String,
    recorded: String,
    recorded_by: String,
    revoked: Option<(String, String, &'a str)>,
    subjects: Vec<SubjectRow>,
    waiting: Vec<WaitingRow>,
    in_force: bool,
    may_revoke: bool,
    may_dispatch: bool,
    reason: String,
    key: String,
    wrong: Option<String>,
}

fn subject_row(page: &Page, names: Names, subject: &MeetingSubject) -> SubjectRow {
    match subject {
        MeetingSubject::Case(case) => SubjectRow {
            what: "case.title",
            address: Some(format!("/desk/cases/{}", case.number)),
            name: case.number.clone(),
            more: joined([
                Some(page.word("hazard", case.hazard).as_str()),
                Some(&page.word("case_state", case.state)),
            ]),
        },
        MeetingSubject::Cover(file) => SubjectRow {
            what: "case.cover",
            address: Some(format!("/covers/{}", file.code.digits)),
            name: page.code(&file.code),
            more: page.place(file),
        },
        MeetingSubject::Road { district: code, road } => SubjectRow {
            what: "fact.road",
            address: None,
            name: road.clone(),
            more: district(page, names, code).to_owned(),
        },
    }
}

/// A meeting with what it decided.
pub fn meeting_file(page: &Page, view: &MeetingView) -> String {
    let (file, meeting) = (view.file, &view.file.meeting);
    let waiting = file.waiting.iter().map(|line| WaitingRow {
        number: line.case.number.clone(),
        version: line.case.version,
        hazard: page.word("hazard", line.case.hazard),
        state: page.word("case_state", line.case.state),
        state_key: line.case.state.as_str(),
        place: joined([
            Some(if page.is_chinese() { line.district_zh.as_str() } else { line.district_en.as_str() }),
            line.road.as_deref(),
        ]),
        key: IdempotencyKey::fresh().to_string(),
    });
    write(&FilePage {
        page: *page,
        meeting,
        standing: standing(page, meeting),
        held: page.date(meeting.held_at),
        lead: party(view.names, meeting.lead),
        due: page.date(meeting.due_at),
        recorded: page.date_time(meeting.created_at),
        recorded_by: view.names.who(page, &meeting.actor),
        revoked: meeting.revoked.as_ref().map(|revoked| {
            (page.date_time(revoked.at), view.names.who(page, &revoked.by), revoked.why.as_str())
        }),
        subjects: file.subjects.iter().map(|subject| subject_row(page, view.names, subject)).collect(),
        waiting: waiting.collect(),
        in_force: file.in_force,
        may_revoke: view.may_revoke && meeting.revoked.is_none(),
        may_dispatch: view.may_dispatch,
        reason: page.fill("meetings.by_decision", "number", &meeting.number),
        key: IdempotencyKey::fresh().to_string(),
        wrong: view.wrong.map(|refusal| page.catalogue.refusal_in_words(refusal)),
    })
}
