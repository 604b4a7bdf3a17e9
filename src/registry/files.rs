//! The file of a manhole: how entries are chained, read and proved, and how photos are attached.

use std::collections::{BTreeSet, HashMap};

use serde_json::{Value, json};

use super::{Registry, RegistryError};
use crate::domain::Refusal;
use crate::domain::case::{CaseMove, CaseState, PHOTO_LIMIT};
use crate::domain::citizen::BlurBox;
use crate::domain::cover::CoverFile;
use crate::domain::history::{EntryHash, HistoryEntry, HistoryKind};
use crate::domain::ids::{CaseId, CoverId, ManholeId, Millis, PhotoId, ReportId};
use crate::domain::role::Actor;
use crate::store::cases;
use crate::store::feed::{self, ChangeKind, News};
use crate::store::history::{ChainHead, LockedFile};
use crate::store::photos::{self, PhotoRecord};
use crate::store::structure::{self, Merge};
use crate::store::{StoreError, Tx, citizens, edits, history};

/// Whether a file's chain is whole.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum ChainState {
    Whole {
        length: i64,
    },
    /// The first entry that does not follow from the one before, or is missing at the end.
    Broken {
        sequence: i64,
    },
}

/// A file in which the first part of another one stands.
#[derive(Debug, Clone, PartialEq)]
pub struct EarlierFile {
    pub manhole: ManholeId,
    /// The merge by which it goes on in the other; `None` where the other was split off from it.
    pub merge: Option<Merge>,
    /// Oldest first; of a file that was split, those up to the split.
    pub entries: Vec<HistoryEntry>,
    /// Of the whole file.
    pub chain: ChainState,
}

fn speaks_of_split(entry: &HistoryEntry, into: ManholeId) -> bool {
    entry.kind == HistoryKind::Split && entry.body.contains(&into.to_string())
}

/// Role of a photo that staff took of a cover. The other roles are `report` and the moves of a case.
const OF_COVER: &str = "cover";

/// A photo that the photo store has on disk already, to be named by a row.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct AttachedPhoto {
    /// SHA-256 of the original.
    pub digest: [u8; 32],
    pub media_type: String,
    pub bytes: u64,
    pub width: u32,
    pub height: u32,
    /// What it looks like, by which it is known again when it was sent on; see `photos::Look`.
    pub look: Option<i64>,
}

/// A line to be added to a file.
pub(super) struct NewEntry {
    /// `citizen`, `system` or `user:<uuid>`.
    pub actor: String,
    pub kind: HistoryKind,
    pub case: Option<CaseId>,
    pub body: Value,
}

/// Takes a manhole's file for writing until the commit.
pub(super) async fn lock(tx: &mut Tx, manhole: ManholeId) -> Result<LockedFile, RegistryError> {
    let file = history::lock_file(tx, manhole).await?;
    Ok(file.ok_or_else(|| StoreError::inconsistent("history", "manhole_id", manhole))?)
}

/// Where a file stands now, within this transaction.
pub(super) async fn head_of(tx: &mut Tx, manhole: ManholeId) -> Result<ChainHead, RegistryError> {
    let head = history::find_head(tx, manhole).await?;
    Ok(head.ok_or_else(|| StoreError::inconsistent("manholes", "history_length", manhole))?)
}

/// Takes the file of the manhole on which a cover lies. The cover may move while this waits for the
/// file; then it is the other manhole's that is taken.
pub(super) async fn lock_of_cover(
    tx: &mut Tx,
    cover: CoverId,
) -> Result<(ManholeId, LockedFile), RegistryError> {
    let gone = || StoreError::inconsistent("covers", "id", cover);
    let mut manhole = edits::find_manhole_of(tx, cover).await?.ok_or_else(gone)?;
    loop {
        let locked = lock(tx, manhole).await?;
        let now = edits::find_manhole_of(tx, cover).await?.ok_or_else(gone)?;
        if now == manhole {
            return Ok((manhole, locked));
        }
        manhole = now;
    }
}

/// Chains and appends entries to a manhole's file that this transaction has not appended to yet.
pub(super) async fn append(
    tx: &mut Tx,
    manhole: ManholeId,
    head: ChainHead,
    at: Millis,
    entries: Vec<NewEntry>,
) -> Result<(), RegistryError> {
    Ok(history::append(tx, &chained(manhole, head, at, entries)).await?)
}

/// Entries as they follow in a file from its head.
pub(super) fn chained(
    manhole: ManholeId,
    head: ChainHead,
    at: Millis,
    entries: Vec<NewEntry>,
) -> Vec<HistoryEntry> {
    let (mut sequence, mut previous) = (head.length, head.hash);
    entries
        .into_iter()
        .map(|new| {
            sequence += 1;
            let mut entry = HistoryEntry {
                manhole,
                sequence,
                at,
                actor: new.actor,
                kind: new.kind,
                case: new.case,
                body: new.body.to_string(),
                hash: EntryHash::default(),
            };
            entry.hash = entry.expected_hash(&previous);
            previous = entry.hash;
            entry
        })
        .collect()
}

/// What photos belong to.
#[derive(Debug, Clone, Copy)]
pub(super) struct PhotoHome {
    pub manhole: ManholeId,
    pub cover: Option<CoverId>,
    pub case: Option<CaseId>,
    pub report: Option<ReportId>,
}

/// Names photos by rows; their bytes are on disk already.
pub(super) async fn attach_photos(
    tx: &mut Tx,
    home: PhotoHome,
    role: &str,
    photos: &[AttachedPhoto],
    at: Millis,
) -> Result<Vec<PhotoId>, RegistryError> {
    let records: Vec<PhotoRecord> = photo_records(home, role, photos, at).collect();
    photos::add_photos(tx, &records).await?;
    Ok(records.iter().map(|record| record.id).collect())
}

pub(super) fn photo_records(
    home: PhotoHome,
    role: &str,
    photos: &[AttachedPhoto],
    at: Millis,
) -> impl Iterator<Item = PhotoRecord> {
    photos.iter().map(move |photo| PhotoRecord {
        id: PhotoId::fresh(),
        digest: photo.digest,
        manhole: home.manhole,
        cover: home.cover,
        case: home.case,
        report: home.report,
        role: role.to_owned(),
        media_type: photo.media_type.clone(),
        bytes: photo.bytes as i64,
        width: i64::from(photo.width),
        height: i64::from(photo.height),
        created_at: at,
    })
}

/// The digests as the history keeps them.
pub(super) fn digest_list(photos: &[AttachedPhoto]) -> Vec<String> {
    photos.iter().map(|photo| super::hex(&photo.digest)).collect()
}

/// Follows a chain from its start; `entries` are one manhole's, in order.
pub(super) fn prove_chain(entries: &[HistoryEntry], length: i64, head: &EntryHash) -> ChainState {
    let mut previous = EntryHash::default();
    for (at, entry) in entries.iter().enumerate() {
        let sequence = at as i64 + 1;
        if entry.sequence != sequence || entry.hash != entry.expected_hash(&previous) {
            return ChainState::Broken { sequence };
        }
        previous = entry.hash;
    }
    if entries.len() as i64 == length && previous == *head {
        ChainState::Whole { length }
    } else {
        ChainState::Broken { sequence: entries.len() as i64 + 1 }
    }
}

impl Registry {
    /// The file of a manhole, oldest entry first.
    pub async fn list_history(&self, manhole: ManholeId) -> Result<Vec<HistoryEntry>, RegistryError> {
        Ok(history::list_entries(&mut self.store.read().await?, manhole).await?)
    }

    /// The files that go on in a manhole's and those from which it was split off, with theirs in turn,
    /// each proved by itself.
    pub async fn list_earlier_files(&self, manhole: ManholeId) -> Result<Vec<EarlierFile>, RegistryError> {
        let mut tx = self.store.read().await?;
        let mut seen = BTreeSet::from([manhole]);
        let mut open = vec![manhole];
        let mut found = Vec::new();
        while let Some(next) = open.pop() {
            let merges = structure::list_merges_into(&mut tx, next).await?;
            let origin = structure::find_ties(&mut tx, next).await?.split_from;
            let absorbed = merges.into_iter().map(|merge| (merge.absorbed, Some(merge)));
            for (manhole, merge) in absorbed.chain(origin.map(|origin| (origin, None))) {
                if !seen.insert(manhole) {
                    continue;
                }
                open.push(manhole);
                let mut entries = history::list_entries(&mut tx, manhole).await?;
                let Some(head) = history::find_head(&mut tx, manhole).await? else { continue };
                let chain = prove_chain(&entries, head.length, &head.hash);
                if merge.is_none() {
                    // What came after the split is the other manhole's business.
                    let split = entries.iter().position(|entry| speaks_of_split(entry, next));
                    entries.truncate(split.map_or(entries.len(), |at| at + 1));
                }
                found.push(EarlierFile { manhole, merge, entries, chain });
            }
        }
        Ok(found)
    }

    /// Proves one file; `None` when there is no such manhole.
    pub async fn verify_history(&self, manhole: ManholeId) -> Result<Option<ChainState>, RegistryError> {
        let mut tx = self.store.read().await?;
        // Entries first: one added in between makes the head newer, never the file longer than it.
        let entries = history::list_entries(&mut tx, manhole).await?;
        let Some(head) = history::find_head(&mut tx, manhole).await? else { return Ok(None) };
        if head.length > entries.len() as i64 {
            let entries = history::list_entries(&mut tx, manhole).await?;
            return Ok(Some(prove_chain(&entries, head.length, &head.hash)));
        }
        Ok(Some(prove_chain(&entries, head.length, &head.hash)))
    }

    /// The photos of a manhole, oldest first.
    pub async fn list_photos(&self, manhole: ManholeId) -> Result<Vec<PhotoRecord>, RegistryError> {
        Ok(photos::list_manhole_photos(&mut self.store.read().await?, manhole).await?)
    }

    /// What everybody may see of a cover: photos that staff took of it, newest first, then those that
    /// came with the closing of a case that is closed still and were released, each with what is covered up
    /// in it. Never what a citizen sent.
    pub async fn list_public_photos(
        &self,
        (manhole, cover): (ManholeId, CoverId),
    ) -> Result<Vec<(PhotoRecord, Vec<BlurBox>)>, RegistryError> {
        let mut tx = self.store.read().await?;
        let mut photos = photos::list_manhole_photos(&mut tx, manhole).await?;
        photos.retain(|photo| photo.report.is_none() && photo.cover.is_none_or(|of| of == cover));
        if photos.is_empty() {
            return Ok(Vec::new());
        }
        let closed: Vec<CaseId> = cases::list_manhole_cases(&mut tx, manhole)
            .await?
            .into_iter()
            .filter(|case| case.state == CaseState::Closed && case.cover == Some(cover))
            .map(|case| case.id)
            .collect();
        let of_closing = |photo: &PhotoRecord| {
            photo.role == CaseMove::Close.as_str() && photo.case.is_some_and(|case| closed.contains(&case))
        };
        photos.retain(|photo| photo.role == OF_COVER || of_closing(photo));
        photos.sort_by_key(|photo| (photo.role != OF_COVER, std::cmp::Reverse(photo.created_at)));
        let ids: Vec<PhotoId> = photos.iter().map(|photo| photo.id).collect();
        let mut released: HashMap<PhotoId, Vec<BlurBox>> = citizens::list_released(&mut tx, &ids)
            .await?
            .into_iter()
            .map(|released| (released.photo, released.boxes))
            .collect();
        let shown = |photo: PhotoRecord| match released.remove(&photo.id) {
            Some(boxes) => Some((photo, boxes)),
            None => (photo.role == OF_COVER).then_some((photo, Vec::new())),
        };
        Ok(photos.into_iter().filter_map(shown).collect())
    }

    /// Adds photos that staff took of a cover, for everybody to see. One that is there already is
    /// left alone, so the same form twice adds nothing.
    pub async fn add_cover_photos(
        &self,
        code: &str,
        photos: Vec<AttachedPhoto>,
        actor: &Actor,
    ) -> Result<CoverFile, RegistryError> {
        let read: String = code.chars().take(40).collect();
        let cover = self.find_cover_by_code(code).await?.ok_or_else(|| {
            RegistryError::NotFound(Refusal::new("cover.unknown").at("code").with("read", read))
        })?;
        if photos.is_empty() {
            return Err(Refusal::new("form.missing").at("photos").with("field", "photos").into());
        }
        if photos.len() > PHOTO_LIMIT {
            let refusal = Refusal::new("photo.too_many").at("photos").with("count", photos.len());
            return Err(refusal.with("most", PHOTO_LIMIT).into());
        }
        let (now, actor, target) = (self.now(), actor.word(), cover.cover);
        self.store
            .write::<(), RegistryError, _>(move |tx| {
                let (mut photos, actor) = (photos.clone(), actor.clone());
                Box::pin(async move {
                    let cover = target;
                    let (manhole, file) = lock_of_cover(tx, cover).await?;
                    let known = photos::list_manhole_photos(tx, manhole).await?;
                    let of_cover = |photo: &PhotoRecord| {
                        photo.role == OF_COVER && photo.cover.is_none_or(|of| of == cover)
                    };
                    photos.retain(|photo| {
                        !known.iter().any(|known| of_cover(known) && known.digest == photo.digest)
                    });
                    if photos.is_empty() {
                        return Ok(());
                    }
                    let home = PhotoHome { manhole, cover: Some(cover), case: None, report: None };
                    attach_photos(tx, home, OF_COVER, &photos, now).await?;
                    let body = json!({"photos": digest_list(&photos)});
                    let entry = NewEntry { actor, kind: HistoryKind::PhotoAdded, case: None, body };
                    append(tx, manhole, file.head, now, vec![entry]).await?;
                    let changed = vec![(ChangeKind::Cover, cover.0)];
                    Ok(feed::record(tx, now, News { events: Vec::new(), changed }).await?)
                })
            })
            .await?;
        Ok(cover)
    }

    /// Where a photo with this digest is used, to decide who may see it.
    pub async fn list_photo_uses(&self, digest: &[u8; 32]) -> Result<Vec<PhotoRecord>, RegistryError> {
        Ok(photos::list_photo_uses(&mut self.store.read().await?, digest).await?)
    }
}
