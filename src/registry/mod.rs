//! Verbs: one function for each thing a person does. A verb opens the transaction, applies the
//! domain's rules, writes the history entry and commits. SQL is the store's, bytes are `http`'s.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::sync::atomic::{AtomicI64, Ordering};

use rand::RngExt;
use serde::Serialize;
use serde::de::DeserializeOwned;
use sha2::{Digest, Sha256};

use crate::domain::Refusal;
use crate::domain::abuse::AbuseRules;
use crate::domain::code::{ComponentCode, Scheme};
use crate::domain::crew::CrewRules;
use crate::domain::ids::{IdempotencyKey, Millis};
use crate::domain::receiver::OutboxRules;
use crate::domain::reward::RewardRules;
use crate::domain::sensor::SensorRules;
use crate::domain::task::TaskRules;
use crate::store::{JobFuture, Store, StoreError, Tx, WriteError, people};

mod abuse;
mod agreement;
mod amend;
mod archive;
mod areas;
mod bulk_edit;
mod bulk_turn;
mod campaigns;
mod case_advice;
mod case_asks;
mod case_flow;
mod cases;
mod census;
mod check;
mod chunk;
mod citizen_messages;
mod citizens;
mod claim_steps;
mod claims;
mod codebook;
mod conflicts;
mod cover_writes;
mod covers;
mod crew;
mod crew_cases;
mod crew_checks;
mod crew_fit;
mod crew_survey;
mod crew_tasks;
mod crew_watch;
mod deadlines;
mod deliveries;
mod editing;
mod exemplary;
mod exports;
mod features;
mod feed;
mod field_photos;
mod fields;
mod files;
mod filing;
mod fitting;
mod identity;
mod import_profiles;
mod imports;
mod intake;
mod ledger;
mod map;
mod marks;
mod meetings;
mod newcomers;
mod notice_answers;
mod notice_steps;
mod notices;
mod numbering;
mod open311;
mod packages;
mod past;
mod past_belongings;
mod past_notices;
mod plate_orders;
mod plate_steps;
mod plates;
mod questions;
mod ratings;
mod receivers;
mod released_photos;
mod replay;
mod report_desk;
mod reports;
mod resurvey;
mod retirement;
mod rewards;
mod rule_book;
mod rules;
mod sensor_alarms;
mod sensor_desk;
mod sensors;
mod staff;
mod structure;
mod suspicion;
mod tasks;
mod told_apart;
mod upstream;
mod user_areas;

pub use crate::domain::edit::StoredRefusal;
pub use crate::store::abuse::{Hold, ReportOrigin, SenderCount};
pub use crate::store::case_list::{CaseFilter, CaseLine, CaseOrder, DueFilter};
pub use crate::store::cases::NearCase;
pub use crate::store::citizens::CallBackLine;
pub use crate::store::covers::PointRow;
pub use crate::store::crew_watch::{DeedCount, FittingDay, ProgressPoint, StreetProgress};
pub use crate::store::deliveries::Letter;
pub use crate::store::feed::{Change, ChangeKind, OutboxEvent};
pub use crate::store::imports::ImportRecord;
pub use crate::store::meetings::{HotPlace, HotSpot};
pub use crate::store::open311::{RequestFilter, RequestStep, ServiceRequest};
pub use crate::store::people::ApiTokenRecord;
pub use crate::store::photos::PhotoRecord;
pub use crate::store::plate_batches::{Batch, BatchOrder, PlateLine};
pub use crate::store::plate_steps::StockLine;
pub use crate::store::receivers::{Receiver, UpstreamCase};
pub use crate::store::rewards::{RewardFilter, StepRecord as RewardStepRecord};
pub use crate::store::sensors::{SensorFilter, SensorLine, SensorRecord};
pub use crate::store::spot_checks::{CheckedPlate, Look, OpenDraw, SpotCheck};
pub use crate::store::structure::Merge;
pub use crate::store::{Database, PageCache};
pub use abuse::{BlockOrder, Origin};
pub use amend::{Amended, CoverOrder};
pub use archive::{ArchiveCounts, ArchiveImport, ArchivePage, ArchiveSource};
pub use areas::{AreaName, AreaPlan, AreaSet, BORDER_TOLERANCE_M, DistrictCheck, Others};
pub use bulk_edit::{BulkEdit, BulkLine, BulkOrder, BulkRecord, BulkSet, BulkStep};
pub use campaigns::{Campaign, CampaignOrder, NewCampaign};
pub use case_advice::{CaseAdvice, RouteAdvice, RuleTrial, RuleVerdict, SimilarCase, is_overdue};
pub use case_asks::{AskAnswer, NewAsk, OpenAsk};
pub use cases::{CaseFile, MoveOrder};
pub use census::{
    CensusFile, ImportMode, ImportOptions, ImportRun, ImportSummary, MATCH_RADIUS_M, Outcome, Prepared,
    RowOutcome, RowRef,
};
pub use check::{CheckReport, Finding};
pub use citizen_messages::{CitizenLetter, Followed, FollowedThing, NewFollower};
pub use citizens::{CaseVoices, CitizenSays, CityWord, OpenWord};
pub use claims::{
    ClaimFilter, ClaimLine, ClaimNotice, ClaimNoticeFile, ClaimNoticeSet, ClaimOrder, NewClaimNotice,
    PartyAnswer, Settled,
};
pub use conflicts::{FieldChange, Meanwhile};
pub use cover_writes::{
    CoverName, CoverWrite, CoverWrites, CoversRead, CoversWritten, MOST_READ, MOST_WRITTEN, WriteMode,
    WriteOutcome, WriteState,
};
pub use covers::{CoverFilter, CoversWithin, Fact, Standing};
pub use crew::{CrewDone, CrewOutcome, CrewQuestion, Theirs};
pub use crew_watch::{MOST_DRAWN, NewSpotCheck};
pub use deadlines::{DeadlineChange, DryRun, RowChange, Swept};
pub use deliveries::Undelivered;
pub use editing::{CodeEdit, FieldEdit};
pub use exemplary::{ExemplaryFile, ExemplaryOrder};
pub use exports::{
    CaseRecord, CaseSelection, CoverLine, CoverPage, ExportPages, PlateRecord, PlateSelection,
};
pub use features::{
    FeatureCell, FeatureKey, FeatureQuery, FeatureRow, FeatureSearch, FeatureTest, feature_columns,
};
pub use feed::Counts;
pub use field_photos::{FieldPhoto, KeptPhoto, NOT_HERE};
pub use files::{AttachedPhoto, ChainState, EarlierFile};
pub use import_profiles::{ProfileOrder, ProfileSaved};
pub use imports::RolledBack;
pub use intake::{NewFinding, Spot};
pub use ledger::LedgerLine;
pub use meetings::{Meeting, MeetingFile, MeetingSubject, NamedSubject, NewMeeting, RevokeOrder};
pub use newcomers::NewManhole;
pub use notices::{
    Addressee, CandidateFilter, NOTICE_CASES, Notice, NoticeAnswer, NoticeCandidate, NoticeDraft,
    NoticeFeedback, NoticeFile, NoticeFilter, NoticeItem, NoticeLine, NoticeOrder, NoticeText, NoticeYear,
    OverdueParty, Reminded,
};
pub use open311::{MORE_CHARS, NewRequest, NewWord, Sent};
pub use packages::{CrewCover, CrewPlate, PackageOrder, Street};
pub use past::{PastCovers, PastMap};
pub use past_notices::{PastItem, PastNotice};
pub use plate_orders::{BatchExtras, NewBatch, NewPart, OrderCall};
pub use plate_steps::{PlateMove, PlateMoveOrder, PlatesMoved, WhichPlates};
pub use plates::ScannedPlate;
pub use questions::{HazardCount, Visit, VisitFilter};
pub use ratings::{CallBackDone, NewRating, Rated};
pub use receivers::{
    LetterOrder, NewReceiver, ReceiverChange, ReceiverDraft, ReceiverFile, ReceiverMade, ReceiverStepOrder,
};
pub use released_photos::{ReleaseOrder, is_releasable};
pub use reports::{NewReport, Reported, Tracked};
pub use retirement::Retirement;
pub use rewards::{PaymentResult, ResultsTaken, RewardClaim, RewardOffer, RewardOrder};
pub use rule_book::{ActiveRules, WeatherMode};
pub use rules::{NewRules, RouteChange, RulesLook};
pub use sensor_alarms::SensorsSwept;
pub use sensor_desk::{IntakeOutcome, MessageAnswer};
pub use sensors::{NewSensors, SensorCounts, SensorOrder};
pub use staff::{DEVICE_KEEPERS, LogIn, NewToken, NewUser, Session, TokenHolder, User};
pub use structure::{MergeOrder, NewCover, SplitOrder};
pub use tasks::{
    DueDateOrder, DueLine, NewTask, OpenTask, Recurrence, Task, TaskCount, TaskFilter, TaskLine, TaskPoint,
    TasksSwept,
};
pub use told_apart::ToldApart;
pub use upstream::{CaseForUpstream, UpstreamHeard, UpstreamOutcome, UpstreamWord};
pub use user_areas::{OwnArea, UserAreasOrder};

use rule_book::RuleBook;

/// Why a verb did not do what was asked. Nothing was changed.
#[derive(Debug, thiserror::Error)]
pub enum RegistryError {
    /// The input does not fit; the sentence says what would.
    #[error("refused: {0}")]
    Refused(Refusal),
    #[error("not found: {0}")]
    NotFound(Refusal),
    /// Somebody else was faster, or the thing exists already.
    #[error("conflict: {0}")]
    Conflict(Refusal),
    #[error("forbidden: {0}")]
    Forbidden(Refusal),
    /// The disk is full or read-only; reads go on.
    #[error("storage: {0}")]
    Storage(Refusal),
    #[error("the store is broken")]
    Broken(#[source] StoreError),
}

impl RegistryError {
    /// What the people who run the machine can do about a broken store; `None` when it is ours to
    /// mend.
    pub fn for_operators(&self) -> Option<Refusal> {
        let RegistryError::Broken(error) = self else { return None };
        Some(match error {
            StoreError::Damaged(reason) => Refusal::new("database.damaged").with("reason", reason),
            StoreError::Unreachable(reason) => Refusal::new("database.unreachable").with("reason", reason),
            StoreError::Newer(migration) => Refusal::new("database.newer").with("migration", migration),
            StoreError::Inconsistent { table, column, row } => {
                Refusal::new("database.row").with("table", table).with("column", column).with("row", row)
            }
            _ => return None,
        })
    }
}

impl From<StoreError> for RegistryError {
    fn from(error: StoreError) -> Self {
        match error {
            StoreError::Full => RegistryError::Storage(Refusal::new("storage.full")),
            StoreError::ReadOnly => RegistryError::Storage(Refusal::new("storage.read_only")),
            StoreError::Conflict(constraint) => {
                RegistryError::Conflict(Refusal::new("registry.conflict").with("constraint", constraint))
            }
            other => RegistryError::Broken(other),
        }
    }
}

impl From<Refusal> for RegistryError {
    fn from(refusal: Refusal) -> Self {
        RegistryError::Refused(refusal)
    }
}

impl WriteError for RegistryError {
    fn is_transient(&self) -> bool {
        matches!(self, RegistryError::Broken(error) if WriteError::is_transient(error))
    }
}

/// What time it is. Tests fix it.
#[derive(Debug, Clone)]
pub enum Clock {
    System,
    /// Milliseconds since 1970, set from outside.
    Fixed(Arc<AtomicI64>),
}

impl Clock {
    pub fn now(&self) -> Millis {
        match self {
            #[expect(clippy::disallowed_methods, reason = "the one place that asks the machine for the time")]
            Clock::System => Millis(
                std::time::SystemTime::now()
                    .duration_since(std::time::UNIX_EPOCH)
                    .map_or(0, |since| since.as_millis() as i64),
            ),
            Clock::Fixed(at) => Millis(at.load(Ordering::SeqCst)),
        }
    }
}

/// What a registry needs to know of its city.
#[derive(Debug, Clone)]
pub struct RegistryOptions {
    pub clock: Clock,
    pub schemes: Vec<Scheme>,
    /// Minutes east of Greenwich; decides in which year a case is numbered. China: 480.
    pub utc_offset_minutes: i32,
    /// Scheme in which covers that crews find are numbered.
    pub scheme: String,
    pub crew: CrewRules,
    pub tasks: TaskRules,
    pub outbox: OutboxRules,
    pub abuse: AbuseRules,
    pub rewards: RewardRules,
    pub sensors: SensorRules,
    pub cache: PageCache,
}

impl Default for RegistryOptions {
    fn default() -> Self {
        Self {
            clock: Clock::System,
            schemes: crate::domain::code::built_in_schemes(),
            utc_offset_minutes: 480,
            scheme: "component-16".to_owned(),
            crew: CrewRules::default(),
            tasks: TaskRules::default(),
            outbox: OutboxRules::default(),
            abuse: AbuseRules::default(),
            rewards: RewardRules::default(),
            sensors: SensorRules::default(),
            cache: PageCache::default(),
        }
    }
}

/// The registry. Cheap to clone; two of them fit in one process.
#[derive(Clone)]
pub struct Registry {
    store: Store,
    clock: Clock,
    schemes: Arc<BTreeMap<String, Scheme>>,
    report_desk: Arc<report_desk::ReportDesk>,
    sensor_desk: Arc<sensor_desk::SensorDesk>,
    rule_book: Arc<RuleBook>,
    /// From which the secret part of tracking links is derived; never leaves the process.
    instance_secret: Arc<[u8; 32]>,
    /// Minutes east of Greenwich of the city's clock.
    utc_offset_minutes: i32,
    /// Scheme of new finds.
    scheme: Arc<str>,
    crew: CrewRules,
    tasks: TaskRules,
    outbox: OutboxRules,
    abuse: AbuseRules,
    rewards: Arc<RewardRules>,
    senders: Arc<abuse::SenderBook>,
    sensors: Arc<SensorRules>,
}

impl Registry {
    /// Opens (and creates or migrates) the registry.
    pub async fn open(database: &Database, options: RegistryOptions) -> Result<Self, RegistryError> {
        let store = Store::open(database, options.cache).await?;
        let fresh: [u8; 32] = rand::rng().random();
        let fresh = hex(&fresh);
        let settled: String = store
            .write::<_, StoreError, _>(move |tx| {
                let fresh = fresh.clone();
                Box::pin(async move { people::settle_setting(tx, "instance_secret", &fresh).await })
            })
            .await?;
        let instance_secret = unhex(&settled)
            .ok_or_else(|| StoreError::inconsistent("settings", "value", "instance_secret"))
            .map_err(RegistryError::from)?;
        let rule_book = Arc::new(RuleBook::default());
        let desk = report_desk::ReportDesk::open(
            store.clone(),
            options.clock.clone(),
            rule_book.clone(),
            options.utc_offset_minutes,
            options.abuse.clone(),
        );
        Ok(Self {
            report_desk: Arc::new(desk),
            sensor_desk: Arc::default(),
            rule_book,
            store,
            clock: options.clock,
            schemes: Arc::new(
                options.schemes.into_iter().map(|scheme| (scheme.id.clone(), scheme)).collect(),
            ),
            instance_secret: Arc::new(instance_secret),
            utc_offset_minutes: options.utc_offset_minutes,
            scheme: options.scheme.into(),
            crew: options.crew,
            tasks: options.tasks,
            outbox: options.outbox,
            abuse: options.abuse,
            rewards: Arc::new(options.rewards),
            senders: Arc::default(),
            sensors: Arc::new(options.sensors),
        })
    }

    /// Lets queued writes finish and closes the database.
    pub async fn close(&self) {
        self.store.close().await;
    }

    pub fn now(&self) -> Millis {
        self.clock.now()
    }

    /// The code scheme of this id.
    pub fn scheme(&self, id: &str) -> Result<&Scheme, RegistryError> {
        self.schemes.get(id).ok_or_else(|| {
            let known: Vec<&str> = self.schemes.keys().map(String::as_str).collect();
            RegistryError::Refused(
                Refusal::new("scheme.unknown").with("read", id).with("fits", known.join(", ")),
            )
        })
    }

    /// Every scheme this registry numbers in.
    pub fn schemes(&self) -> Vec<Scheme> {
        self.schemes.values().cloned().collect()
    }

    /// The schemes by their ids.
    pub fn schemes_by_id(&self) -> &BTreeMap<String, Scheme> {
        &self.schemes
    }

    /// A code in the groups of its scheme; as it is when the scheme is not known here.
    pub fn grouped_code(&self, code: &ComponentCode) -> String {
        code.grouped(&self.schemes)
    }
}

/// The year in which something at `at` is numbered, on the city's clock.
fn year_at(at: Millis, utc_offset_minutes: i32) -> i32 {
    let local = at.0.div_euclid(1000) + i64::from(utc_offset_minutes) * 60;
    time::OffsetDateTime::from_unix_timestamp(local).map_or(1970, |at| at.year())
}

/// A call under its idempotency key.
struct Call {
    key: IdempotencyKey,
    /// Who calls what; a key is of one scope.
    scope: String,
    /// Of what was asked, to know a repeated call from another one under its key.
    hash: [u8; 32],
    now: Millis,
}

impl Registry {
    /// Does in one transaction what a call asks for, once: the same call again gets the first answer and changes
    /// nothing, another one under the same key is a conflict.
    async fn once<A, F>(&self, call: Call, work: F) -> Result<A, RegistryError>
    where
        A: Serialize + DeserializeOwned + Send + Sync + 'static,
        F: for<'t> Fn(&'t mut Tx) -> JobFuture<'t, A, RegistryError> + Send + Sync + 'static,
    {
        let (call, work) = (Arc::new(call), Arc::new(work));
        self.store
            .write::<A, RegistryError, _>(move |tx| {
                let (call, work) = (call.clone(), work.clone());
                Box::pin(async move {
                    if let Some(first) =
                        repeat_or_claim(tx, call.key, &call.scope, &call.hash, call.now).await?
                    {
                        return Ok(first);
                    }
                    let answer = work(tx).await?;
                    keep_answer(tx, call.key, &answer).await?;
                    Ok(answer)
                })
            })
            .await
    }
}

/// Runs a call under its idempotency key inside the transaction: the first answer again when the
/// key was used for the same request, a conflict when for another.
async fn repeat_or_claim<A: DeserializeOwned>(
    tx: &mut Tx,
    key: IdempotencyKey,
    scope: &str,
    request_hash: &[u8; 32],
    now: Millis,
) -> Result<Option<A>, RegistryError> {
    let Some(first) = people::claim_key(tx, key, scope, request_hash, now).await? else {
        return Ok(None);
    };
    first_answer(&first, key, scope, request_hash).map(Some)
}

/// The answer that a key has had; a conflict when it was for another request.
fn first_answer<A: DeserializeOwned>(
    first: &people::FirstAnswer,
    key: IdempotencyKey,
    scope: &str,
    request_hash: &[u8; 32],
) -> Result<A, RegistryError> {
    if first.scope != scope || first.request_hash != request_hash {
        return Err(RegistryError::Conflict(Refusal::new("idempotency.other_request")));
    }
    serde_json::from_str(&first.answer)
        .map_err(|_| RegistryError::Broken(StoreError::inconsistent("idempotency", "answer", key)))
}

fn answer_text<A: Serialize>(answer: &A) -> String {
    serde_json::to_string(answer).expect("answers are plain structs")
}

async fn keep_answer<A: Serialize>(
    tx: &mut Tx,
    key: IdempotencyKey,
    answer: &A,
) -> Result<(), RegistryError> {
    Ok(people::keep_answer(tx, key, &answer_text(answer)).await?)
}

fn sha256(parts: &[&[u8]]) -> [u8; 32] {
    let mut hasher = Sha256::new();
    for part in parts {
        hasher.update((part.len() as u64).to_be_bytes());
        hasher.update(part);
    }
    hasher.finalize().into()
}

fn hex(bytes: &[u8]) -> String {
    bytes.iter().map(|byte| format!("{byte:02x}")).collect()
}

fn unhex(text: &str) -> Option<[u8; 32]> {
    let mut out = [0; 32];
    if text.len() != 64 || !text.is_ascii() {
        return None;
    }
    for (at, byte) in out.iter_mut().enumerate() {
        *byte = u8::from_str_radix(&text[2 * at..2 * at + 2], 16).ok()?;
    }
    Some(out)
}

/// Bytes as Crockford base32 digits, 8 characters for 5 bytes.
fn base32(bytes: &[u8]) -> String {
    const DIGITS: &[u8; 32] = b"0123456789ABCDEFGHJKMNPQRSTVWXYZ";
    let mut out = String::new();
    for chunk in bytes.chunks_exact(5) {
        let bits = chunk.iter().fold(0u64, |bits, byte| bits << 8 | u64::from(*byte));
        for at in (0..8).rev() {
            out.push(char::from(DIGITS[(bits >> (5 * at) & 31) as usize]));
        }
    }
    out
}

/// Equal without telling by time where they differ.
fn same_secret(left: &[u8], right: &[u8]) -> bool {
    left.len() == right.len() && left.iter().zip(right).fold(0, |differ, (a, b)| differ | (a ^ b)) == 0
}
