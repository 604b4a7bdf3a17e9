//! Where reports are filed: those that arrive together share one transaction and one statement a
//! table, because a report touches nine tables and a statement costs more than its rows. What is
//! wrong with one of them is told to that one alone.

use std::collections::hash_map::Entry;
use std::collections::{BTreeMap, BTreeSet, HashMap, HashSet};
use std::sync::Arc;
use std::time::Duration;

use serde_json::json;
use sha2::{Digest, Sha256};
use tokio::sync::{mpsc, oneshot};

use super::abuse::{self, Weighed};
use super::case_flow::{self, Ground, NewCase};
use super::files::{self, NewEntry, PhotoHome};
use super::filing::RECURS_WITHIN_MS;
use super::rule_book::RuleBook;
use super::{Clock, NewReport, RegistryError, Reported};
use crate::domain::Refusal;
use crate::domain::abuse::{AbuseRules, Doubt};
use crate::domain::case::{Case, CaseSource, CaseState, Report};
use crate::domain::hazard::Hazard;
use crate::domain::history::HistoryKind;
use crate::domain::ids::{CaseId, CoverId, IdempotencyKey, ManholeId, Millis, PartyId, ReportId};
use crate::domain::role::Actor;
use crate::domain::token::Token;
use crate::domain::triage::TriageFacts;
use crate::store::abuse::Watched;
use crate::store::feed::ChangeKind;
use crate::store::history::ChainHead;
use crate::store::people::AnsweredCall;
use crate::store::reports::{self, Filed, JoinedReports, OpenCase, Place};
use crate::store::{Store, StoreError, Tx, cases, people};

/// Most reports that share a transaction.
const GROUP: usize = 256;
/// How long a group waits for as many reports as were under way during the one before. Without it
/// clients fall into two groups that follow each other, each with half of the reports and a whole
/// commit of its own.
const GATHERING: Duration = Duration::from_millis(1);
const SCOPE: &str = "report";
/// Not of the family `case.*`: other systems hear of the case when somebody looked.
pub(super) const HELD_EVENT: &str = "moderation.held";

/// A report that passed its checks.
#[derive(Debug)]
pub(super) struct Arrived {
    pub new: NewReport,
    /// SHA-256 of what the citizen said, to know a repeated call from another one under its key.
    pub request_hash: [u8; 32],
    /// Where it came from, where that is watched.
    pub weighed: Option<Weighed>,
}

struct Waiting {
    arrived: Arrived,
    reply: oneshot::Sender<Result<Reported, RegistryError>>,
}

/// Takes reports from everybody and files them in groups. Ends when the last registry goes.
pub(super) struct ReportDesk {
    queue: mpsc::Sender<Waiting>,
}

impl ReportDesk {
    pub(super) fn open(
        store: Store,
        clock: Clock,
        book: Arc<RuleBook>,
        utc_offset_minutes: i32,
        abuse: AbuseRules,
    ) -> Self {
        let (queue, arriving) = mpsc::channel(GROUP * 4);
        let rules = Arc::new((book, abuse));
        tokio::spawn(file_groups(store, clock, rules, utc_offset_minutes, arriving));
        Self { queue }
    }

    /// Files a report; answers when it is on disk.
    pub(super) async fn file(&self, arrived: Arrived) -> Result<Reported, RegistryError> {
        let stopped = || RegistryError::Broken(StoreError::Stopped);
        let (reply, answer) = oneshot::channel();
        self.queue.send(Waiting { arrived, reply }).await.map_err(|_| stopped())?;
        answer.await.map_err(|_| stopped())?
    }
}

/// By what reports are filed.
type FilingRules = (Arc<RuleBook>, AbuseRules);

async fn file_groups(
    store: Store,
    clock: Clock,
    rules: Arc<FilingRules>,
    utc_offset_minutes: i32,
    mut arriving: mpsc::Receiver<Waiting>,
) {
    let mut waiting = Vec::new();
    let mut under_way = 0;
    while !waiting.is_empty() || arriving.recv_many(&mut waiting, GROUP).await > 0 {
        gather(&mut waiting, under_way, &mut arriving).await;
        let (group, replies): (Vec<Arrived>, Vec<_>) =
            take_group(&mut waiting).into_iter().map(|one| (one.arrived, one.reply)).unzip();
        let now = clock.now();
        let year = super::year_at(now, utc_offset_minutes);
        let answers = file_group(&store, &rules, group, now, year).await;
        under_way = replies.len() + waiting.len() + arriving.len();
        for (reply, answer) in replies.into_iter().zip(answers) {
            // The citizen may have gone away; the report stands all the same.
            let _ = reply.send(answer);
        }
    }
}

/// Lets a group grow to `expected` reports while its time lasts. A lone report never waits.
async fn gather(waiting: &mut Vec<Waiting>, expected: usize, arriving: &mut mpsc::Receiver<Waiting>) {
    let grow = async {
        while waiting.len() < expected.min(GROUP) && arriving.recv_many(waiting, GROUP).await > 0 {}
    };
    // Late reports are in the next group.
    let _ = tokio::time::timeout(GATHERING, grow).await;
}

/// A repeated call waits for the next group, where it finds the first one's answer.
fn take_group(waiting: &mut Vec<Waiting>) -> Vec<Waiting> {
    let mut keys = HashSet::new();
    let (group, again) = waiting.drain(..).partition(|one| keys.insert(one.arrived.new.key));
    *waiting = again;
    group
}

/// Files a group together, or one by one where that cannot be done.
async fn file_group(
    store: &Store,
    rules: &Arc<FilingRules>,
    group: Vec<Arrived>,
    now: Millis,
    year: i32,
) -> Vec<Result<Reported, RegistryError>> {
    let group: Arc<[Arrived]> = group.into();
    let together = store.write::<_, RegistryError, _>({
        let (group, rules) = (group.clone(), rules.clone());
        move |tx| {
            let (group, rules) = (group.clone(), rules.clone());
            Box::pin(async move { file_together(tx, &rules, &group, now, year).await })
        }
    });
    let error = match together.await {
        Ok(answers) => return answers,
        Err(error) => error,
    };
    if let RegistryError::Storage(refusal) = error {
        return group.iter().map(|_| Err(RegistryError::Storage(refusal.clone()))).collect();
    }
    // Another server may have been faster with a key or a case: what it wrote is found now.
    let mut answers = Vec::with_capacity(group.len());
    for at in 0..group.len() {
        let (group, rules) = (group.clone(), rules.clone());
        let alone = store.write::<_, RegistryError, _>(move |tx| {
            let (group, rules) = (group.clone(), rules.clone());
            Box::pin(async move { file_together(tx, &rules, &group[at..=at], now, year).await })
        });
        let stopped = || RegistryError::Broken(StoreError::Stopped);
        answers.push(match alone.await {
            Ok(mut answer) => answer.pop().unwrap_or_else(|| Err(stopped())),
            Err(error) => Err(error),
        });
    }
    answers
}

/// A report whose plate hangs somewhere.
struct Placed<'a> {
    arrived: &'a Arrived,
    /// Its place in the group.
    at: usize,
    place: Place,
}

/// A case that reports of this group belong to.
enum Standing {
    /// Open before, with how many reports of this group joined it.
    Known(OpenCase, i64),
    Opened(Box<Case>),
}

/// Files the reports, each with a key of its own; answers in their order.
async fn file_together(
    tx: &mut Tx,
    rules: &FilingRules,
    group: &[Arrived],
    now: Millis,
    year: i32,
) -> Result<Vec<Result<Reported, RegistryError>>, RegistryError> {
    let keys: Vec<IdempotencyKey> = group.iter().map(|arrived| arrived.new.key).collect();
    let known = people::list_first_answers(tx, &keys).await?;
    let tokens: BTreeSet<Token> = group.iter().map(|arrived| arrived.new.token).collect();
    let scenes = reports::take_scenes(tx, &tokens.into_iter().collect::<Vec<_>>()).await?;
    let places: HashMap<Token, Option<&Place>> =
        scenes.iter().map(|scene| (scene.token, scene.place.as_ref())).collect();
    let mut answers = Vec::with_capacity(group.len());
    let mut placed = Vec::with_capacity(group.len());
    for (at, arrived) in group.iter().enumerate() {
        let new = &arrived.new;
        let refusal = |code| Refusal::new(code).at("token");
        answers.push(match (known.get(&new.key), places.get(&new.token)) {
            (Some(first), _) => Some(super::first_answer(first, new.key, SCOPE, &arrived.request_hash)),
            (None, None) => Some(Err(RegistryError::NotFound(refusal("plate.unknown")))),
            (None, Some(None)) => Some(Err(RegistryError::Refused(refusal("plate.blank")))),
            (None, Some(Some(place))) if place.is_retired => {
                Some(Err(RegistryError::Conflict(refusal("plate.cover_retired"))))
            }
            (None, Some(Some(place))) => {
                placed.push(Placed { arrived, at, place: (*place).clone() });
                None
            }
        });
    }
    if !placed.is_empty() {
        let mut standing = HashMap::new();
        for scene in scenes {
            if let (Some(place), Some(open)) = (scene.place, scene.open) {
                standing.insert((place.cover, open.hazard), Standing::Known(open, 0));
            }
        }
        let filed = file_placed(tx, rules, &placed, standing, now, year).await?;
        for (report, reported) in placed.iter().zip(filed) {
            answers[report.at] = Some(Ok(reported));
        }
    }
    let lost = || Err(RegistryError::Broken(StoreError::Stopped));
    Ok(answers.into_iter().map(|answer| answer.unwrap_or_else(lost)).collect())
}

async fn file_placed(
    tx: &mut Tx,
    (book, abuse_rules): &FilingRules,
    placed: &[Placed<'_>],
    mut standing: HashMap<(CoverId, Hazard), Standing>,
    now: Millis,
    year: i32,
) -> Result<Vec<Reported>, RegistryError> {
    let of = |report: &Placed<'_>| (report.place.cover, report.arrived.new.hazard);
    let fresh: HashSet<_> = placed.iter().map(of).filter(|of| !standing.contains_key(of)).collect();
    let covers: BTreeSet<CoverId> = placed.iter().map(|report| report.place.cover).collect();
    let rules = book.active(tx, now).await?;
    let before = match fresh.is_empty() {
        true => Vec::new(),
        false => {
            let manholes: BTreeSet<ManholeId> = placed.iter().map(|report| report.place.manhole).collect();
            let manholes: Vec<ManholeId> = manholes.into_iter().collect();
            cases::list_closed_since(tx, &manholes, Millis(now.0 - RECURS_WITHIN_MS)).await?
        }
    };
    let (cases_of, reports_of) = (format!("case:{year}"), format!("report:{year}"));
    let wanted = [(cases_of.as_str(), fresh.len() as i64), (reports_of.as_str(), placed.len() as i64)];
    let [last_case, last_report] = people::advance_counters(tx, wanted).await?;
    let mut case_number = last_case - fresh.len() as i64;
    let mut report_number = last_report - placed.len() as i64;

    let mut filed = Filed::default();
    let mut files: BTreeMap<ManholeId, (ChainHead, Vec<NewEntry>)> = BTreeMap::new();
    let mut answers = Vec::with_capacity(placed.len());
    for report in placed {
        let (new, place) = (&report.arrived.new, &report.place);
        report_number += 1;
        let tracking = format!("R{year}-{report_number:06}");
        let weighed = weigh_photos(tx, abuse_rules, report, now).await?;
        let doubts = weighed.as_ref().map(|weighed| weighed.doubts.as_slice()).unwrap_or_default();
        let is_held = abuse_rules.holds(new.hazard, doubts);
        let mut opening = None;
        let stands = match standing.entry(of(report)) {
            Entry::Occupied(known) => known.into_mut(),
            Entry::Vacant(vacant) => {
                case_number += 1;
                let same =
                    before.iter().find(|case| case.cover == Some(place.cover) && case.hazard == new.hazard);
                let new = NewCase {
                    number: format!("{year}-{case_number:06}"),
                    manhole: place.manhole,
                    cover: Some(place.cover),
                    hazard: new.hazard,
                    source: CaseSource::CitizenScan,
                    recurs: same.map(|case| case.id),
                    mended: false,
                };
                let opened = case_flow::open(tx, book, &rules, &ground_of(place), new).await?;
                opening = Some((opened.entries, opened.events));
                vacant.insert(Standing::Opened(Box::new(opened.case)))
            }
        };
        let joined = opening.is_none();
        let case = stands.case();
        let (_, entries) = files.entry(place.manhole).or_insert_with(|| (place.file.head, Vec::new()));
        entries.push(report_entry(&tracking, new, case.id, joined));
        if is_held && !joined {
            filed.watched.held.push((case.id, doubts.to_vec()));
        }
        filed.news.events.push(event(&case, new.hazard, (joined, is_held)));
        if let Some((opening, events)) = opening {
            entries.extend(opening);
            filed.news.events.extend(events);
        }
        let id = ReportId::fresh();
        let home = PhotoHome {
            manhole: place.manhole,
            cover: Some(place.cover),
            case: Some(case.id),
            report: Some(id),
        };
        let photos: Vec<_> = files::photo_records(home, "report", &new.photos, now).collect();
        if let Some(weighed) = weighed.clone() {
            weighed.note(id, (&photos, &new.photos), &mut filed.watched);
        }
        filed.photos.extend(photos);
        let answer = Reported {
            report: id,
            tracking: tracking.clone(),
            case_number: case.number.to_owned(),
            cover: Some(place.cover),
            joined,
            emergency: case.emergency,
        };
        filed.answers.push(AnsweredCall {
            key: new.key,
            request_hash: report.arrived.request_hash,
            answer: super::answer_text(&answer),
        });
        answers.push(answer);
        let is_confirmed = joined && doubts.is_empty() && stands.end_hold(&mut filed.watched);
        let case = stands.case();
        if is_confirmed {
            entries.push(abuse::hold_ended(case.id, case.number, "second_report"));
            filed.news.events.push(event(&case, new.hazard, (false, false)));
        }
        let case = case.id;
        let (hazard, description, contact) = (new.hazard, new.description.clone(), new.contact.clone());
        let row = Report {
            id,
            tracking,
            case,
            hazard,
            description,
            contact,
            phone_position: new.phone_position,
            source: CaseSource::CitizenScan,
            external_number: None,
            created_at: now,
        };
        filed.reports.push((row, new.language));
        if joined {
            stands.join();
        }
    }
    let cases: BTreeSet<CaseId> = filed.reports.iter().map(|(report, _)| report.case).collect();
    filed.news.changed.extend(cases.into_iter().map(|case| (ChangeKind::Case, case.0)));
    filed.news.changed.extend(covers.into_iter().map(|cover| (ChangeKind::Cover, cover.0)));
    for (manhole, (head, entries)) in files {
        filed.entries.extend(files::chained(manhole, head, now, entries));
    }
    let placement = |cover: Option<CoverId>| {
        let home = placed.iter().find(|report| Some(report.place.cover) == cover);
        home.map(|report| &report.place)
    };
    for ((cover, _), stands) in standing {
        match stands {
            Standing::Known(_, 0) => {}
            Standing::Known(open, count) => {
                let facts = TriageFacts {
                    hazard: open.hazard,
                    placement: placement(Some(cover)).and_then(|place| place.placement),
                    out_of_hours: rules.out_of_hours_at(open.created_at),
                    weather: rules.weather.is_some(),
                    reports: open.report_count + count,
                    recurs: open.recurs,
                };
                let triage = rules.routing.triage.score(&facts);
                let (case, expected_version) = (open.id, open.version);
                filed.joined.push(JoinedReports { case, expected_version, count, triage });
            }
            Standing::Opened(case) => {
                let district = placement(case.cover).map(|place| place.file.district.clone());
                filed.opened.push((*case, district.unwrap_or_default()));
            }
        }
    }
    filed.opened.sort_by(|one, other| one.0.number.cmp(&other.0.number));
    if reports::write(tx, &filed, SCOPE, now).await? {
        Ok(answers)
    } else {
        Err(RegistryError::Conflict(Refusal::new("case.moved_meanwhile")))
    }
}

/// Where a report came from, with what speaks against its photos now that its place is known.
async fn weigh_photos(
    tx: &mut Tx,
    rules: &AbuseRules,
    report: &Placed<'_>,
    now: Millis,
) -> Result<Option<Weighed>, RegistryError> {
    let Some(mut weighed) = report.arrived.weighed.clone() else { return Ok(None) };
    let here = (report.place.manhole, now);
    if !weighed.by_staff && abuse::are_photos_seen(tx, rules, &report.arrived.new.photos, here).await? {
        weighed.doubts.push(Doubt::PhotoSeen);
    }
    Ok(Some(weighed))
}

fn ground_of(place: &Place) -> Ground {
    Ground {
        class: Some(place.class),
        district: place.file.district.clone(),
        road: place.road.clone(),
        placement: place.placement,
        owner: place.owner,
        maintainer: place.maintainer,
        supervisor: place.supervisor,
    }
}

/// What filing needs to know of a case.
struct CaseGlance<'c> {
    id: CaseId,
    number: &'c str,
    state: CaseState,
    emergency: bool,
    party: Option<PartyId>,
    due_at: Option<Millis>,
}

impl Standing {
    fn case(&self) -> CaseGlance<'_> {
        macro_rules! glance {
            ($case:expr) => {
                CaseGlance {
                    id: $case.id,
                    number: &$case.number,
                    state: $case.state,
                    emergency: $case.emergency,
                    party: $case.party,
                    due_at: $case.due_at,
                }
            };
        }
        match self {
            Standing::Known(case, _) => glance!(case),
            Standing::Opened(case) => glance!(case),
        }
    }

    /// Ends the hold of the case; `false` when it is not held.
    fn end_hold(&mut self, watched: &mut Watched) -> bool {
        match self {
            Standing::Known(case, _) => {
                let was_held = std::mem::take(&mut case.is_held);
                if was_held {
                    watched.confirmed.push(case.id);
                }
                was_held
            }
            Standing::Opened(case) => {
                let held = watched.held.len();
                watched.held.retain(|(id, _)| *id != case.id);
                watched.held.len() < held
            }
        }
    }

    /// One more report belongs to it.
    fn join(&mut self) {
        match self {
            Standing::Known(_, count) => *count += 1,
            Standing::Opened(case) => case.report_count += 1,
        }
    }
}

/// What the citizen wrote stays in the report's row: a file that is never rewritten must not hold
/// personal data that a law may order removed. Its hash is enough to prove it later.
fn report_entry(tracking: &str, new: &NewReport, case: CaseId, joined: bool) -> NewEntry {
    NewEntry {
        actor: Actor::Citizen.word(),
        kind: if joined { HistoryKind::ReportJoined } else { HistoryKind::Reported },
        case: Some(case),
        body: json!({
            "report": tracking,
            "hazard": new.hazard,
            "description_sha256": super::hex(&Sha256::digest(new.description.as_bytes())),
            "photos": files::digest_list(&new.photos),
        }),
    }
}

fn event(case: &CaseGlance<'_>, hazard: Hazard, (joined, held): (bool, bool)) -> (String, String) {
    // Whatever happened to a new case at once is told by events of its own.
    let (name, state) = match (joined, case.emergency) {
        (true, _) => ("report.joined", case.state),
        (false, true) => ("case.filed", CaseState::Filed),
        (false, false) if held => (HELD_EVENT, CaseState::Reported),
        (false, false) => ("case.reported", CaseState::Reported),
    };
    let body = json!({
        "case": case.number,
        "hazard": hazard,
        "emergency": case.emergency,
        "state": state,
        "party": case.party,
        "due_at": case.due_at.map(Millis::to_rfc3339),
    });
    (name.to_owned(), body.to_string())
}
