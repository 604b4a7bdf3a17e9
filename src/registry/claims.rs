//! 无主井盖认领: notices of covers without an owner, what parties say of them, what the desk decides, and what the
//! clock does where nobody says anything. Each step is a line in the cover's file.

use std::collections::{BTreeMap, BTreeSet};

use serde::{Deserialize, Serialize};
use serde_json::json;

use super::amend;
use super::claim_steps::{expire, step};
use super::editing::needed_reason;
use super::files::{self, NewEntry};
use super::reports::clean_text;
use super::{Call, Registry, RegistryError, sha256};
use crate::domain::Refusal;
use crate::domain::case::TEXT_LIMIT;
use crate::domain::claim::{Claim, ClaimRules, ClaimState, ClaimStep};
use crate::domain::cover::{CoverClass, CoverFile};
use crate::domain::history::HistoryKind;
use crate::domain::ids::{CoverId, IdempotencyKey, ManholeId, Millis};
use crate::domain::role::Actor;
use crate::store::claims::{self, Answer, ClaimRow};
use crate::store::{StoreError, Tx, covers, history, people};

pub use crate::store::claims::{Answer as PartyAnswer, ClaimFilter, ClaimNotice};

/// Covers of one transaction, so that no report waits for a notice.
const TURN: usize = 200;
/// Claims whose notice is over and that are settled in one go.
const DUE: i64 = 500;
const PAGE_LIMIT: i64 = 500;

/// Which covers are put up.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum ClaimNoticeSet {
    /// Every cover in use without an owner, here and of this class.
    Found { district: Option<String>, class: Option<CoverClass> },
    /// These, at most 200; one that has an owner is refused.
    Covers(Vec<CoverId>),
}

#[derive(Debug, Clone)]
pub struct NewClaimNotice {
    pub key: IdempotencyKey,
    pub set: ClaimNoticeSet,
    pub reason: String,
    /// When it is over, by the city's calendar.
    pub due_at: Millis,
    pub actor: Actor,
}

/// A step about one cover of a notice.
#[derive(Debug, Clone)]
pub struct ClaimOrder {
    pub notice: String,
    pub cover: CoverId,
    /// The version of the claim that the person saw.
    pub expected_version: i64,
    pub step: ClaimStep,
    pub reason: String,
    pub actor: Actor,
}

/// A notice with how its covers stand.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ClaimNoticeFile {
    pub notice: ClaimNotice,
    pub counts: BTreeMap<ClaimState, i64>,
    /// Of those that are pending, how many several parties claim.
    pub contested: i64,
}

/// One cover of a notice.
#[derive(Debug, Clone, PartialEq)]
pub struct ClaimLine {
    pub notice: String,
    pub file: CoverFile,
    pub claim: Claim,
    pub answers: Vec<Answer>,
    pub version: i64,
}

#[derive(Serialize, Deserialize)]
struct Answered {
    notice: String,
}

/// What the clock did.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Settled {
    pub fell_back: u64,
    pub unclaimed: u64,
    /// Had an owner meanwhile, or were no longer in use.
    pub withdrawn: u64,
}

impl Registry {
    /// Opens a notice. Where its covers are told by a filter, [`Self::fill_claim_notice`] adds them.
    pub async fn open_claim_notice(&self, mut new: NewClaimNotice) -> Result<ClaimNotice, RegistryError> {
        new.reason = needed_reason(&new.reason)?;
        let now = self.now();
        match &new.set {
            ClaimNoticeSet::Covers(covers) if covers.is_empty() || covers.len() > TURN => {
                return Err(Refusal::new("claim.count").with("most", TURN).into());
            }
            // Nothing stored holds a NUL, and PostgreSQL refuses to look for one.
            ClaimNoticeSet::Found { district: Some(district), .. } if district.contains('\0') => {
                return Err(RegistryError::Conflict(Refusal::new("claim.nothing")));
            }
            ClaimNoticeSet::Found { district, class } => {
                let mut tx = self.store.read().await?;
                if claims::list_ownerless(&mut tx, (district.as_deref(), *class), None, 1).await?.is_empty() {
                    return Err(RegistryError::Conflict(Refusal::new("claim.nothing")));
                }
            }
            ClaimNoticeSet::Covers(_) => {}
        }
        let scope = format!("notice:{}", new.actor.word());
        let hash = sha256(&[format!("{:?}", new.set).as_bytes(), new.reason.as_bytes()]);
        let year = super::year_at(now, self.utc_offset_minutes);
        let registry = self.clone();
        let answered = self
            .once::<Answered, _>(Call { key: new.key, scope, hash, now }, move |tx| {
                let (new, registry) = (new.clone(), registry.clone());
                Box::pin(async move {
                    let [number] =
                        people::advance_counters(tx, [(format!("claims:{year}").as_str(), 1)]).await?;
                    let (district, class, cursor) = match &new.set {
                        ClaimNoticeSet::Found { district, class } => {
                            (district.clone(), *class, Some(CoverId(uuid::Uuid::nil())))
                        }
                        ClaimNoticeSet::Covers(_) => (None, None, None),
                    };
                    let notice = ClaimNotice {
                        number: format!("{year}-{number:05}"),
                        district,
                        class,
                        reason: new.reason.clone(),
                        actor: new.actor.word(),
                        opened_at: now,
                        due_at: new.due_at,
                        cursor,
                    };
                    claims::add_notice(tx, &notice).await?;
                    if let ClaimNoticeSet::Covers(ids) = &new.set {
                        put_up(tx, &registry, &notice, ids, now, Refusing::Yes).await?;
                    }
                    Ok(Answered { notice: notice.number })
                })
            })
            .await?;
        Ok(self.known_claim_notice(&answered.notice).await?.notice)
    }

    /// Adds the covers that a notice is about, some a transaction, until it has all. Two may do so at once: they
    /// take turns.
    pub async fn fill_claim_notice(&self, number: &str) -> Result<(), RegistryError> {
        loop {
            // Looked for outside the transaction: where few covers fit, it takes a walk over all of them.
            let mut tx = self.store.read().await?;
            let notice = claims::find_notice(&mut tx, number).await?.ok_or_else(|| unknown(number))?;
            let Some(cursor) = notice.cursor else { return Ok(()) };
            let which = (notice.district.as_deref(), notice.class);
            let ids = claims::list_ownerless(&mut tx, which, Some(cursor), TURN as i64).await?;
            drop(tx);
            let (registry, now) = (self.clone(), self.now());
            self.store
                .write::<(), RegistryError, _>(move |tx| {
                    let (registry, notice, ids) = (registry.clone(), notice.clone(), ids.clone());
                    Box::pin(async move { fill(tx, &registry, &notice, &ids, now).await })
                })
                .await?;
        }
    }

    /// Does one step about one cover of a notice.
    pub async fn step_claim(&self, mut order: ClaimOrder) -> Result<ClaimLine, RegistryError> {
        order.reason = clean_text(&order.reason, "reason", TEXT_LIMIT)?;
        let (registry, now) = (self.clone(), self.now());
        let (notice, cover) = (order.notice.clone(), order.cover);
        self.store
            .write::<(), RegistryError, _>(move |tx| {
                let (registry, order) = (registry.clone(), order.clone());
                Box::pin(async move { step(tx, &registry, &order, now).await })
            })
            .await?;
        let mut tx = self.store.read().await?;
        let row = claims::find_claim(&mut tx, (&notice, cover)).await?.ok_or_else(|| unknown(&notice))?;
        let mut lines = lines(&mut tx, &notice, vec![row]).await?;
        lines.pop().ok_or_else(|| unknown(&notice))
    }

    /// Settles what is due and nobody claimed: the fallback answers for it, or it waits for the desk.
    pub async fn settle_due_claims(&self, rules: &ClaimRules) -> Result<Settled, RegistryError> {
        let mut sum = Settled::default();
        loop {
            let due = claims::list_due(&mut self.store.read().await?, self.now(), DUE).await?;
            let before = sum;
            for row in due {
                let (rules, now) = (rules.clone(), self.now());
                let state = self
                    .store
                    .write::<Option<ClaimState>, RegistryError, _>(move |tx| {
                        let (rules, row) = (rules.clone(), row.clone());
                        Box::pin(async move { expire(tx, &rules, &row, now).await })
                    })
                    .await?;
                match state {
                    Some(ClaimState::FellBack) => sum.fell_back += 1,
                    Some(ClaimState::Unclaimed) => sum.unclaimed += 1,
                    Some(_) => sum.withdrawn += 1,
                    None => {}
                }
            }
            // What could not be settled is looked at again by the next call.
            if sum == before {
                return Ok(sum);
            }
        }
    }

    /// Notices that do not have all their covers yet, e.g. because the power went.
    pub async fn list_filling_claim_notices(&self) -> Result<Vec<String>, RegistryError> {
        Ok(claims::list_filling(&mut self.store.read().await?).await?)
    }

    pub async fn find_claim_notice(&self, number: &str) -> Result<Option<ClaimNoticeFile>, RegistryError> {
        if number.contains('\0') {
            return Ok(None);
        }
        let mut tx = self.store.read().await?;
        let Some(notice) = claims::find_notice(&mut tx, number).await? else { return Ok(None) };
        let (counts, contested) = claims::count_claims(&mut tx, number).await?;
        Ok(Some(ClaimNoticeFile { notice, counts: counts.into_iter().collect(), contested }))
    }

    async fn known_claim_notice(&self, number: &str) -> Result<ClaimNoticeFile, RegistryError> {
        self.find_claim_notice(number).await?.ok_or_else(|| unknown(number))
    }

    /// The newest before `before`; at most 200.
    pub async fn list_claim_notices(
        &self,
        before: Option<&str>,
        limit: i64,
    ) -> Result<Vec<ClaimNoticeFile>, RegistryError> {
        let before = before.filter(|before| !before.contains('\0'));
        let mut tx = self.store.read().await?;
        let mut files = Vec::new();
        for notice in claims::list_notices(&mut tx, before, limit.clamp(1, 200)).await? {
            let (counts, contested) = claims::count_claims(&mut tx, &notice.number).await?;
            files.push(ClaimNoticeFile { notice, counts: counts.into_iter().collect(), contested });
        }
        Ok(files)
    }

    /// Covers of a notice, by id, page by page; at most 500.
    pub async fn list_claims(
        &self,
        number: &str,
        mut filter: ClaimFilter,
    ) -> Result<Vec<ClaimLine>, RegistryError> {
        filter.limit = filter.limit.clamp(1, PAGE_LIMIT);
        let mut tx = self.store.read().await?;
        let rows = claims::list_claims(&mut tx, number, &filter).await?;
        lines(&mut tx, number, rows).await
    }

    /// The notice that is pending about a cover.
    pub async fn find_pending_claim_notice(
        &self,
        cover: CoverId,
    ) -> Result<Option<ClaimNotice>, RegistryError> {
        let mut tx = self.store.read().await?;
        let rows = claims::list_claims_of(&mut tx, cover).await?;
        match rows.into_iter().find(|row| row.state.is_pending()) {
            Some(row) => Ok(claims::find_notice(&mut tx, &row.notice).await?),
            None => Ok(None),
        }
    }

    /// Covers of notices about which somebody has still to do something.
    pub async fn count_pending_claims(&self) -> Result<i64, RegistryError> {
        Ok(claims::count_pending(&mut self.store.read().await?).await?)
    }
}

pub(super) fn unknown(number: &str) -> RegistryError {
    let read: String = number.chars().take(60).collect();
    RegistryError::NotFound(Refusal::new("claim.unknown").with("read", read))
}

/// A claim with what was said, as the rules know it.
pub(super) fn claim_of(row: &ClaimRow, answers: &[Answer]) -> Claim {
    let of_cover = answers.iter().filter(|answer| answer.cover == row.cover);
    Claim {
        state: row.state,
        answers: of_cover.map(|answer| (answer.party, answer.answer)).collect(),
        outcome: row.outcome,
        due_at: row.due_at,
    }
}

async fn lines(tx: &mut Tx, notice: &str, rows: Vec<ClaimRow>) -> Result<Vec<ClaimLine>, RegistryError> {
    let ids: Vec<CoverId> = rows.iter().map(|row| row.cover).collect();
    let answers = claims::list_answers(tx, notice, &ids).await?;
    let files = covers::list_covers_by_id(tx, &ids).await?;
    let mut files: BTreeMap<CoverId, CoverFile> = files.into_iter().map(|file| (file.cover, file)).collect();
    rows.into_iter()
        .map(|row| {
            let gone = || StoreError::inconsistent("claims", "cover_id", row.cover);
            Ok(ClaimLine {
                claim: claim_of(&row, &answers),
                answers: answers.iter().filter(|answer| answer.cover == row.cover).cloned().collect(),
                file: files.remove(&row.cover).ok_or_else(gone)?,
                notice: row.notice,
                version: row.version,
            })
        })
        .collect()
}

#[derive(Clone, Copy, PartialEq, Eq)]
enum Refusing {
    /// A cover that cannot be put up refuses the notice.
    Yes,
    /// It is left out.
    No,
}

/// Adds the covers that come behind the cursor of a notice, unless somebody was faster.
async fn fill(
    tx: &mut Tx,
    registry: &Registry,
    seen: &ClaimNotice,
    ids: &[CoverId],
    now: Millis,
) -> Result<(), RegistryError> {
    let notice = claims::lock_notice(tx, &seen.number).await?.ok_or_else(|| unknown(&seen.number))?;
    if notice.cursor != seen.cursor {
        return Ok(());
    }
    put_up(tx, registry, &notice, ids, now, Refusing::No).await?;
    Ok(claims::set_notice_cursor(tx, &notice.number, ids.last().copied()).await?)
}

/// Puts covers up in a notice, with a line in the file of each.
async fn put_up(
    tx: &mut Tx,
    registry: &Registry,
    notice: &ClaimNotice,
    ids: &[CoverId],
    now: Millis,
    refusing: Refusing,
) -> Result<(), RegistryError> {
    let ids: BTreeSet<CoverId> = ids.iter().copied().collect();
    let ids: Vec<CoverId> = ids.into_iter().collect();
    let manholes: BTreeSet<ManholeId> =
        covers::list_covers_by_id(tx, &ids).await?.iter().map(|file| file.manhole).collect();
    let mut heads = BTreeMap::new();
    for manhole in manholes {
        heads.insert(manhole, files::lock(tx, manhole).await?.head);
    }
    // Read again behind the locks.
    let mut entries: BTreeMap<ManholeId, Vec<NewEntry>> = BTreeMap::new();
    let mut fit = Vec::new();
    let known = covers::list_covers_by_id(tx, &ids).await?;
    for id in &ids {
        let file = known.iter().find(|file| file.cover == *id);
        let refusal = match file {
            None => Some(Refusal::new("cover.unknown").with("read", id)),
            Some(file) => not_ownerless(tx, registry, file).await?,
        };
        match (file, refusal) {
            (Some(file), None) if heads.contains_key(&file.manhole) => {
                let body = json!({
                    "cover": file.cover,
                    "notice": notice.number,
                    "claim_state": ClaimState::Open,
                    "until": notice.due_at.0,
                    "why": notice.reason,
                });
                let entry = NewEntry {
                    actor: notice.actor.clone(),
                    kind: HistoryKind::ClaimOpened,
                    case: None,
                    body,
                };
                entries.entry(file.manhole).or_default().push(entry);
                fit.push(file.cover);
            }
            (_, Some(refusal)) if refusing == Refusing::Yes => return Err(RegistryError::Conflict(refusal)),
            _ => {}
        }
    }
    if fit.is_empty() {
        return Ok(());
    }
    claims::add_claims(tx, notice, &fit, now).await?;
    let mut chained = Vec::new();
    for (manhole, entries) in entries {
        let head = heads[&manhole];
        chained.extend(files::chained(manhole, head, now, entries));
    }
    history::append(tx, &chained).await?;
    amend::tell(tx, now, fit).await
}

/// Why a cover cannot be put up.
async fn not_ownerless(
    tx: &mut Tx,
    registry: &Registry,
    file: &CoverFile,
) -> Result<Option<Refusal>, RegistryError> {
    let code = registry.grouped_code(&file.code);
    if file.retired.is_some() {
        return Ok(Some(Refusal::new("cover.retired").with("code", code)));
    }
    if let Some(owner) = &file.owner {
        return Ok(Some(Refusal::new("claim.owned").with("code", code).with("owner", &owner.name)));
    }
    let pending =
        claims::list_claims_of(tx, file.cover).await?.into_iter().find(|row| row.state.is_pending());
    Ok(pending.map(|row| Refusal::new("claim.pending").with("code", code).with("notice", row.notice)))
}
