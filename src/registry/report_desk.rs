//! Where reports are filed: those that arrive together share one transaction and one statement a
//! table, because a report touches nine tables and a statement costs more than its rows. What is
//! wrong with one of them is told to that one alone.

use std::collections::{BTreeMap, BTreeSet, HashMap, HashSet};
use std::sync::Arc;

use serde_json::json;
use tokio::sync::{mpsc, oneshot};

use super::files::{self, NewEntry, PhotoHome};
use super::{Clock, NewReport, RegistryError, Reported, sha256};
use crate::domain::Refusal;
use crate::domain::case::{Case, CaseState, Report};
use crate::domain::hazard::Hazard;
use crate::domain::history::HistoryKind;
use crate::domain::ids::{CaseId, CoverId, IdempotencyKey, ManholeId, Millis, ReportId};
use crate::domain::role::Actor;
use crate::store::cases::{self as case_store, JoinedReports};
use crate::store::feed::{self, ChangeKind, News};
use crate::store::people::AnsweredCall;
use crate::store::{Store, StoreError, Tx, history, people, plates};

/// Most reports that share a transaction.
const GROUP: usize = 256;
const SCOPE: &str = "report";

/// A report that passed its checks.
#[derive(Debug)]
pub(super) struct Arrived {
    pub new: NewReport,
    /// SHA-256 of what the citizen said, to know a repeated call from another one under its key.
    pub request_hash: [u8; 32],
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
    pub(super) fn open(store: Store, clock: Clock, utc_offset_minutes: i32) -> Self {
        let (queue, arriving) = mpsc::channel(GROUP * 4);
        tokio::spawn(file_groups(store, clock, utc_offset_minutes, arriving));
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

async fn file_groups(
    store: Store,
    clock: Clock,
    utc_offset_minutes: i32,
    mut arriving: mpsc::Receiver<Waiting>,
) {
    let mut waiting = Vec::new();
    while !waiting.is_empty() || arriving.recv_many(&mut waiting, GROUP).await > 0 {
        let (group, replies): (Vec<Arrived>, Vec<_>) =
            take_group(&mut waiting).into_iter().map(|one| (one.arrived, one.reply)).unzip();
        let now = clock.now();
        let year = super::year_at(now, utc_offset_minutes);
        let answers = file_group(&store, group, now, year).await;
        for (reply, answer) in replies.into_iter().zip(answers) {
            // The citizen may have gone away; the report stands all the same.
            let _ = reply.send(answer);
        }
    }
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
    group: Vec<Arrived>,
    now: Millis,
    year: i32,
) -> Vec<Result<Reported, RegistryError>> {
    let group: Arc<[Arrived]> = group.into();
    let together = store.write::<_, RegistryError, _>({
        let group = group.clone();
        move |tx| {
            let group = group.clone();
            Box::pin(async move { file_together(tx, &group, now, year).await })
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
        let group = group.clone();
        let alone = store.write::<_, RegistryError, _>(move |tx| {
            let group = group.clone();
            Box::pin(async move { file_together(tx, &group[at..=at], now, year).await })
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
    manhole: ManholeId,
    cover: CoverId,
}

/// A case that reports of this group belong to.
struct Standing {
    case: Case,
    /// The version it had before; `None` when this group opens it.
    known: Option<i64>,
    /// How many reports of this group joined it.
    joined: i64,
}

/// Files the reports, each with a key of its own; answers in their order.
async fn file_together(
    tx: &mut Tx,
    group: &[Arrived],
    now: Millis,
    year: i32,
) -> Result<Vec<Result<Reported, RegistryError>>, RegistryError> {
    let mut answers: Vec<Option<Result<Reported, RegistryError>>> = Vec::new();
    let placed = place(tx, group, &mut answers).await?;
    if !placed.is_empty() {
        let filed = file_placed(tx, &placed, now, year).await?;
        for (report, reported) in placed.iter().zip(filed) {
            answers[report.at] = Some(Ok(reported));
        }
    }
    let lost = || Err(RegistryError::Broken(StoreError::Stopped));
    Ok(answers.into_iter().map(|answer| answer.unwrap_or_else(lost)).collect())
}

/// Answers what was answered before or must be refused; gives the rest with their places.
async fn place<'a>(
    tx: &mut Tx,
    group: &'a [Arrived],
    answers: &mut Vec<Option<Result<Reported, RegistryError>>>,
) -> Result<Vec<Placed<'a>>, RegistryError> {
    let keys: Vec<IdempotencyKey> = group.iter().map(|arrived| arrived.new.key).collect();
    let known = people::list_first_answers(tx, &keys).await?;
    let tokens: Vec<_> =
        group.iter().map(|arrived| arrived.new.token).collect::<BTreeSet<_>>().into_iter().collect();
    let homes = plates::list_plate_homes(tx, &tokens).await?;
    let mut placed = Vec::with_capacity(group.len());
    for (at, arrived) in group.iter().enumerate() {
        if let Some(first) = known.get(&arrived.new.key) {
            answers.push(Some(super::first_answer(first, arrived.new.key, SCOPE, &arrived.request_hash)));
            continue;
        }
        let refuse = |code| Refusal::new(code).at("token");
        answers.push(match homes.get(&arrived.new.token) {
            None => Some(Err(RegistryError::NotFound(refuse("plate.unknown")))),
            Some(home) => match (home.manhole, home.cover) {
                (Some(manhole), Some(cover)) => {
                    placed.push(Placed { arrived, at, manhole, cover });
                    None
                }
                _ => Some(Err(RegistryError::Refused(refuse("plate.blank")))),
            },
        });
    }
    Ok(placed)
}

async fn file_placed(
    tx: &mut Tx,
    placed: &[Placed<'_>],
    now: Millis,
    year: i32,
) -> Result<Vec<Reported>, RegistryError> {
    // Takes the files first: reports on one cover queue here, so two cannot both open a case.
    let manholes: BTreeSet<ManholeId> = placed.iter().map(|report| report.manhole).collect();
    let locked = history::lock_files(tx, &manholes.into_iter().collect::<Vec<_>>()).await?;
    let covers: BTreeSet<CoverId> = placed.iter().map(|report| report.cover).collect();
    let open = case_store::list_open_cases_on(tx, &covers.into_iter().collect::<Vec<_>>()).await?;
    let mut standing: HashMap<(CoverId, Hazard), Standing> = open
        .into_iter()
        .filter_map(|case| {
            Some(((case.cover?, case.hazard), Standing { known: Some(case.version), joined: 0, case }))
        })
        .collect();
    let fresh: HashSet<(CoverId, Hazard)> = placed
        .iter()
        .map(|report| (report.cover, report.arrived.new.hazard))
        .filter(|of| !standing.contains_key(of))
        .collect();
    let wanted =
        [(&*format!("case:{year}"), fresh.len() as i64), (&*format!("report:{year}"), placed.len() as i64)];
    let [last_case, last_report] = people::advance_counters(tx, wanted).await?;
    let mut case_number = last_case - fresh.len() as i64;
    let mut report_number = last_report - placed.len() as i64;

    let mut reports = Vec::with_capacity(placed.len());
    let mut entries: BTreeMap<ManholeId, Vec<NewEntry>> = BTreeMap::new();
    let mut news = News::default();
    let mut filed = Vec::with_capacity(placed.len());
    for Placed { arrived, manhole, cover, .. } in placed {
        let new = &arrived.new;
        report_number += 1;
        let tracking = format!("R{year}-{report_number:06}");
        let of = (*cover, new.hazard);
        let mut joined = true;
        let stands = standing.entry(of).or_insert_with(|| {
            joined = false;
            case_number += 1;
            let case = open_case(format!("{year}-{case_number:06}"), *manhole, *cover, new.hazard, now);
            Standing { case, known: None, joined: 0 }
        });
        stands.joined += i64::from(joined);
        let case = &stands.case;
        let file = entries.entry(*manhole).or_default();
        file.push(report_entry(&tracking, new, case, joined));
        file.extend((!joined && case.emergency).then(|| filed_at_once(case)));
        news.events.push(event(case, joined));
        let report = Report {
            id: ReportId::fresh(),
            tracking,
            case: case.id,
            hazard: new.hazard,
            description: new.description.clone(),
            contact: new.contact.clone(),
            phone_position: new.phone_position,
            created_at: now,
        };
        filed.push(Reported {
            report: report.id,
            tracking: report.tracking.clone(),
            case_number: case.number.clone(),
            cover: *cover,
            joined,
            emergency: case.emergency,
        });
        reports.push((report, new.language));
    }

    put_cases(tx, &mut standing, &locked, now).await?;
    case_store::add_reports(tx, &reports).await?;
    for (Placed { arrived, manhole, .. }, (report, _)) in placed.iter().zip(&reports) {
        let home = PhotoHome { manhole: *manhole, case: Some(report.case), report: Some(report.id) };
        files::attach_photos(tx, home, "report", &arrived.new.photos, now).await?;
    }
    files::append_all(tx, entries, &locked, now).await?;
    let cases: BTreeSet<CaseId> = reports.iter().map(|(report, _)| report.case).collect();
    news.changed.extend(cases.into_iter().map(|case| (ChangeKind::Case, case.0)));
    let covers: BTreeSet<CoverId> = placed.iter().map(|report| report.cover).collect();
    news.changed.extend(covers.into_iter().map(|cover| (ChangeKind::Cover, cover.0)));
    let calls: Vec<AnsweredCall> = placed
        .iter()
        .zip(&filed)
        .map(|(report, reported)| AnsweredCall {
            key: report.arrived.new.key,
            request_hash: report.arrived.request_hash,
            answer: super::answer_text(reported),
        })
        .collect();
    people::add_answers(tx, SCOPE, &calls, now).await?;
    feed::record(tx, now, news).await?;
    Ok(filed)
}

/// Writes the cases that this group opened or joined.
async fn put_cases(
    tx: &mut Tx,
    standing: &mut HashMap<(CoverId, Hazard), Standing>,
    locked: &HashMap<ManholeId, history::LockedFile>,
    now: Millis,
) -> Result<(), RegistryError> {
    let mut opened = Vec::new();
    let mut joined = Vec::new();
    for Standing { case, known, joined: count } in standing.values_mut() {
        match known {
            None => {
                case.report_count += *count;
                opened.push((&*case, files::taken(locked, case.manhole)?.district.as_str()));
            }
            Some(version) if *count > 0 => {
                joined.push(JoinedReports {
                    case: case.id,
                    expected_version: *version,
                    count: *count,
                    at: now,
                });
            }
            Some(_) => {}
        }
    }
    case_store::add_cases(tx, &opened).await?;
    if case_store::count_joined_reports(tx, &joined).await? {
        Ok(())
    } else {
        Err(RegistryError::Conflict(Refusal::new("case.moved_meanwhile")))
    }
}

/// A new case; filed at once when it is an emergency, because nobody may be at the desk.
fn open_case(number: String, manhole: ManholeId, cover: CoverId, hazard: Hazard, now: Millis) -> Case {
    let emergency = hazard.is_emergency();
    Case {
        id: CaseId::fresh(),
        number,
        manhole,
        cover: Some(cover),
        hazard,
        state: if emergency { CaseState::Filed } else { CaseState::Reported },
        emergency,
        report_count: 1,
        party: None,
        handed_in_by: None,
        joined_to: None,
        until: None,
        created_at: now,
        updated_at: now,
        closed_at: None,
        version: 1,
    }
}

/// What the citizen wrote stays in the report's row: a file that is never rewritten must not hold
/// personal data that a law may order removed. Its hash is enough to prove it later.
fn report_entry(tracking: &str, new: &NewReport, case: &Case, joined: bool) -> NewEntry {
    NewEntry {
        actor: Actor::Citizen.word(),
        kind: if joined { HistoryKind::ReportJoined } else { HistoryKind::Reported },
        case: Some(case.id),
        body: json!({
            "report": tracking,
            "hazard": new.hazard,
            "description_sha256": super::hex(&sha256(&[new.description.as_bytes()])),
            "photos": files::digest_list(&new.photos),
        }),
    }
}

fn filed_at_once(case: &Case) -> NewEntry {
    NewEntry {
        actor: Actor::System.word(),
        kind: HistoryKind::CaseMoved,
        case: Some(case.id),
        body: json!({"case": case.number, "move": "file", "from": "reported", "to": "filed", "why": "emergency"}),
    }
}

fn event(case: &Case, joined: bool) -> (String, String) {
    let name = match (joined, case.state) {
        (true, _) => "report.joined",
        (false, CaseState::Filed) => "case.filed",
        (false, _) => "case.reported",
    };
    let body =
        json!({"case": case.number, "hazard": case.hazard, "emergency": case.emergency, "state": case.state});
    (name.to_owned(), body.to_string())
}
