//! How a cover is changed: its file is taken first, what is written is compared with what the person
//! saw, and every cover whose version moves on is named in the entry.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use serde::{Deserialize, Serialize};
use serde_json::{Map, Value, json};

use super::conflicts::Meanwhile;
use super::files::{self, NewEntry};
use super::{Call, Registry, RegistryError, sha256};
use crate::domain::Refusal;
use crate::domain::code::ComponentCode;
use crate::domain::cover::CoverFile;
use crate::domain::edit::PLACE_FIELDS;
use crate::domain::history::HistoryKind;
use crate::domain::ids::{CoverId, IdempotencyKey, ManholeId, Millis};
use crate::domain::role::Actor;
use crate::store::feed::{self, ChangeKind, News};
use crate::store::history::LockedFile;
use crate::store::{JobFuture, StoreError, Tx, covers, edits};

/// Something that staff do to a cover that they have before them.
#[derive(Debug, Clone)]
pub struct CoverOrder<T> {
    pub key: IdempotencyKey,
    /// The cover's code, present or former.
    pub code: String,
    /// The version that the person saw.
    pub expected_version: i64,
    pub reason: String,
    pub actor: Actor,
    pub what: T,
}

/// What came of it.
#[derive(Debug, Clone, PartialEq)]
pub enum Amended {
    /// The cover as it is now.
    Done(Box<CoverFile>),
    /// Somebody changed the cover since; nothing was done.
    Meanwhile(Box<Meanwhile>),
}

/// What is kept under the idempotency key: enough to give the same answer again.
#[derive(Serialize, Deserialize)]
pub(super) struct Answered {
    pub cover: CoverId,
}

/// A cover and its manhole's file, taken until the commit.
pub(super) struct Taken {
    pub file: CoverFile,
    pub locked: LockedFile,
}

/// The covers whose versions moved on, with their new versions.
pub(super) type Versions = BTreeMap<CoverId, i64>;

pub(super) fn changed_meanwhile() -> RegistryError {
    RegistryError::Conflict(Refusal::new(CHANGED_MEANWHILE))
}

pub(super) const CHANGED_MEANWHILE: &str = "cover.changed_meanwhile";

impl Registry {
    /// Runs what is done to a cover under its idempotency key. `what` tells one order from another.
    pub(super) async fn amend<T, F>(
        &self,
        scope: &'static str,
        order: CoverOrder<T>,
        what: Value,
        work: F,
    ) -> Result<Amended, RegistryError>
    where
        T: Clone + Send + Sync + 'static,
        F: for<'t> Fn(&'t mut Tx, CoverId, CoverOrder<T>, Millis) -> JobFuture<'t, CoverId, RegistryError>,
        F: Send + Sync + 'static,
    {
        let cover = self.find_known_cover(&order.code, "code").await?.cover;
        let (version, now) = (order.expected_version, self.now());
        let scope = format!("{scope}:{}:{cover}", order.actor.word());
        let request_hash =
            sha256(&[what.to_string().as_bytes(), &version.to_be_bytes(), order.reason.as_bytes()]);
        let work = Arc::new(work);
        let answered = self
            .once::<Answered, _>(Call { key: order.key, scope, hash: request_hash, now }, move |tx| {
                let (order, work) = (order.clone(), work.clone());
                Box::pin(async move { Ok(Answered { cover: work(tx, cover, order, now).await? }) })
            })
            .await;
        match answered {
            Ok(answered) => {
                let done = self.find_cover(answered.cover).await?;
                let gone = || StoreError::inconsistent("covers", "id", answered.cover);
                Ok(Amended::Done(Box::new(done.ok_or_else(gone)?)))
            }
            Err(RegistryError::Conflict(refusal)) if refusal.code == CHANGED_MEANWHILE => {
                Ok(Amended::Meanwhile(Box::new(self.find_meanwhile(cover, version).await?)))
            }
            Err(error) => Err(error),
        }
    }

    /// The cover of a code that somebody named in `field`.
    pub(super) async fn find_known_cover(
        &self,
        code: &str,
        field: &'static str,
    ) -> Result<CoverFile, RegistryError> {
        let read: String = code.chars().take(40).collect();
        let unknown = || RegistryError::NotFound(Refusal::new("cover.unknown").at(field).with("read", read));
        self.find_cover_by_code(code).await?.ok_or_else(unknown)
    }
}

/// Takes the file of a cover's manhole until the commit, and reads the cover behind the lock.
pub(super) async fn take(tx: &mut Tx, cover: CoverId) -> Result<Taken, RegistryError> {
    let (_, locked) = files::lock_of_cover(tx, cover).await?;
    let file = covers::find_cover(tx, cover).await?;
    let file = file.ok_or_else(|| StoreError::inconsistent("covers", "id", cover))?;
    Ok(Taken { file, locked })
}

/// The same for a cover that must still be as the person saw it, and in use.
pub(super) async fn take_expected(
    tx: &mut Tx,
    cover: CoverId,
    expected_version: i64,
) -> Result<Taken, RegistryError> {
    let taken = take(tx, cover).await?;
    if taken.file.version != expected_version {
        return Err(changed_meanwhile());
    }
    Ok(taken)
}

/// Takes the files of two covers in the order of their manholes, so that two such orders do not wait
/// for each other. One manhole is taken once.
pub(super) async fn take_two(
    tx: &mut Tx,
    one: CoverId,
    other: CoverId,
) -> Result<(Taken, Taken), RegistryError> {
    let mut manholes = BTreeSet::new();
    for cover in [one, other] {
        manholes.extend(edits::find_manhole_of(tx, cover).await?);
    }
    for manhole in manholes {
        files::lock(tx, manhole).await?;
    }
    Ok((take(tx, one).await?, take(tx, other).await?))
}

/// Refuses a cover that is no longer in use.
pub(super) fn refuse_retired(registry: &Registry, file: &CoverFile) -> Result<(), RegistryError> {
    match &file.retired {
        None => Ok(()),
        Some(_) => {
            let code = registry.grouped_code(&file.code);
            Err(RegistryError::Conflict(Refusal::new("cover.retired").with("code", code)))
        }
    }
}

/// Writes a cover that became `after`; answers the versions that moved on, or `None` when somebody was
/// faster than whoever read `before`.
pub(super) async fn write(
    tx: &mut Tx,
    before: &CoverFile,
    after: &CoverFile,
    fields: &Map<String, Value>,
) -> Result<Option<Versions>, RegistryError> {
    let after = CoverFile { version: before.version, manhole: before.manhole, ..after.clone() };
    if !edits::update_cover(tx, &after).await? {
        return Ok(None);
    }
    let mut versions = Versions::from([(before.cover, before.version + 1)]);
    if PLACE_FIELDS.iter().any(|field| fields.contains_key(*field)) {
        edits::update_place(tx, &after).await?;
        if before.covers_here > 1 {
            versions.extend(edits::bump_neighbors(tx, before.manhole, before.cover).await?);
        }
    }
    Ok(Some(versions))
}

/// The body of an entry about a cover: what changed from what to what, and to which versions.
pub(super) fn body(cover: CoverId, versions: &Versions, fields: Map<String, Value>, more: Value) -> Value {
    let mut body = json!({"cover": cover, "versions": versions, "fields": fields});
    if let (Some(body), Value::Object(more)) = (body.as_object_mut(), more) {
        body.extend(
            more.into_iter().filter(|(_, value)| !matches!(value, Value::Null) && *value != json!("")),
        );
    }
    body
}

/// One field of an entry.
pub(super) fn field(name: &str, before: impl Serialize, after: impl Serialize) -> Map<String, Value> {
    Map::from_iter([(name.to_owned(), json!([before, after]))])
}

/// A code in an entry: with its scheme where the scheme changes, too.
pub(super) fn code_field(before: &ComponentCode, after: &ComponentCode) -> Map<String, Value> {
    let mut fields = field("code", &before.digits, &after.digits);
    if before.scheme != after.scheme {
        fields.extend(field("scheme", &before.scheme, &after.scheme));
    }
    fields
}

/// Appends one entry to a file that was taken.
pub(super) async fn enter(
    tx: &mut Tx,
    (manhole, locked): (ManholeId, &LockedFile),
    (actor, now): (&Actor, Millis),
    kind: HistoryKind,
    body: Value,
) -> Result<(), RegistryError> {
    let entry = NewEntry { actor: actor.word(), kind, case: None, body };
    files::append(tx, manhole, locked.head, now, vec![entry]).await
}

/// Tells the feed of covers that changed. Call it last.
pub(super) async fn tell(
    tx: &mut Tx,
    now: Millis,
    covers: impl IntoIterator<Item = CoverId>,
) -> Result<(), RegistryError> {
    let changed: BTreeSet<CoverId> = covers.into_iter().collect();
    if changed.is_empty() {
        return Ok(());
    }
    let changed = changed.into_iter().map(|cover| (ChangeKind::Cover, cover.0)).collect();
    Ok(feed::record(tx, now, News { events: Vec::new(), changed }).await?)
}
