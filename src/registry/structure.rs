//! 井与盖: several covers on one manhole, manholes that turn out to be one, and one that turns out to
//! be two. A cover takes its plates, cases and photos along; no file is ever rewritten.

use serde_json::{Value, json};

use super::amend::{self, Amended, CoverOrder, Taken, Versions};
use super::editing::{self, needed_reason};
use super::fields::{self, Known};
use super::files::{self, NewEntry};
use super::plates::plate_uuid;
use super::{Registry, RegistryError};
use crate::domain::Refusal;
use crate::domain::code::ComponentCode;
use crate::domain::cover::{CoverClass, CoverFile, CoverState, Survey};
use crate::domain::edit::{CoverEdit, MergeKind, RetireReason};
use crate::domain::history::{EntryHash, HistoryKind};
use crate::domain::ids::{CoverId, ManholeId, MergeId, Millis};
use crate::domain::position::Position;
use crate::store::feed::{self, ChangeKind, News};
use crate::store::history::ChainHead;
use crate::store::structure::{self, Belongings, Merge, Moved};
use crate::store::{Tx, cases, covers, edits};

/// A cover to be added to the manhole of another one.
#[derive(Debug, Clone)]
pub struct NewCover {
    pub class: CoverClass,
    pub state: CoverState,
    /// What else is known of it: material, shape, load class, parties, further columns.
    pub edit: CoverEdit,
    /// As somebody types it; `None` = the next free one.
    pub code: Option<String>,
}

/// Another manhole that is the same as the one of the cover named first, which survives.
#[derive(Debug, Clone)]
pub struct MergeOrder {
    /// Code of a cover of the other manhole.
    pub other: String,
    /// The version of that cover that the person saw.
    pub other_version: i64,
    pub kind: MergeKind,
}

/// Covers that leave for a manhole of their own: the cover of the order and these.
#[derive(Debug, Clone)]
pub struct SplitOrder {
    pub with: Vec<String>,
    /// Where it lies; `None` = where the old one does.
    pub position: Option<Position>,
}

/// Name of the source of covers that staff add by hand.
const BY_HAND: &str = "desk";

impl Registry {
    /// Adds a cover to a manhole that has one already. Answers the new cover.
    pub async fn add_cover(&self, mut order: CoverOrder<NewCover>) -> Result<Amended, RegistryError> {
        order.reason = needed_reason(&order.reason)?;
        let NewCover { class, state, edit, code } = &order.what;
        let what = json!({"class": class, "state": state, "edit": edit, "code": code});
        if !edit.is_empty() {
            order.what.edit = fields::checked(edit.clone())?;
        }
        let registry = self.clone();
        self.amend("add", order, what, move |tx, cover, order, now| {
            let registry = registry.clone();
            Box::pin(async move { add(tx, &registry, cover, order, now).await })
        })
        .await
    }

    /// Merges another manhole into that of this cover. Both files stay as they are; the other's goes on
    /// in this one's.
    pub async fn merge_manholes(&self, mut order: CoverOrder<MergeOrder>) -> Result<Amended, RegistryError> {
        order.reason = needed_reason(&order.reason)?;
        let other = self.find_known_cover(&order.what.other, "other").await?.cover;
        let MergeOrder { other_version, kind, .. } = &order.what;
        let what = json!({"other": other, "version": other_version, "kind": kind});
        let registry = self.clone();
        self.amend("merge", order, what, move |tx, cover, order, now| {
            let registry = registry.clone();
            Box::pin(async move { merge(tx, &registry, (cover, other), order, now).await })
        })
        .await
    }

    /// Takes a merge back: the other manhole has its covers, plates, cases and photos again.
    pub async fn undo_merge(&self, mut order: CoverOrder<MergeId>) -> Result<Amended, RegistryError> {
        order.reason = needed_reason(&order.reason)?;
        let what = json!({"merge": order.what});
        let registry = self.clone();
        self.amend("unmerge", order, what, move |tx, cover, order, now| {
            let registry = registry.clone();
            Box::pin(async move { unmerge(tx, &registry, cover, order, now).await })
        })
        .await
    }

    /// Gives covers a manhole of their own, whose file begins with where it came from.
    pub async fn split_manhole(&self, mut order: CoverOrder<SplitOrder>) -> Result<Amended, RegistryError> {
        order.reason = needed_reason(&order.reason)?;
        let mut with = Vec::new();
        for code in &order.what.with {
            with.push(self.find_known_cover(code, "with").await?.cover);
        }
        if let Some(position) = order.what.position.clone() {
            fields::checked(CoverEdit { position: Some(position), ..CoverEdit::default() })?;
        }
        let what = json!({"with": with, "position": order.what.position});
        let registry = self.clone();
        self.amend("split", order, what, move |tx, cover, order, now| {
            let (registry, with) = (registry.clone(), with.clone());
            Box::pin(async move { split(tx, &registry, (cover, with), order, now).await })
        })
        .await
    }

    /// Every cover of a manhole, the oldest first.
    pub async fn list_manhole_covers(&self, manhole: ManholeId) -> Result<Vec<CoverFile>, RegistryError> {
        Ok(edits::list_manhole_covers(&mut self.store.read().await?, manhole).await?)
    }
}

async fn add(
    tx: &mut Tx,
    registry: &Registry,
    beside: CoverId,
    order: CoverOrder<NewCover>,
    now: Millis,
) -> Result<CoverId, RegistryError> {
    let known = Known::read(tx, false).await?;
    let taken = amend::take_expected(tx, beside, order.expected_version).await?;
    let NewCover { class, state, edit, code } = &order.what;
    let scheme = registry.scheme(&taken.file.code.scheme)?;
    let district = &taken.file.survey.district;
    let code = match code {
        None => editing::next_code(tx, scheme, district, *class).await?,
        Some(text) => {
            let (code, lift) = editing::read_code(scheme, text, district, *class)?;
            editing::refuse_taken(tx, registry, &code).await?;
            covers::lift_sequences(tx, &[lift]).await?;
            code
        }
    };
    let blank = blank_cover(&taken.file, *class, *state, code);
    let edit = CoverEdit {
        district: None,
        position: None,
        road: None,
        address: None,
        placement: None,
        ..edit.clone()
    };
    let (file, fields) = fields::edited(&blank, &edit, &known)?;
    structure::add_cover(tx, &file).await?;
    editing::refuse_shared_code(tx, &file).await?;
    let versions = [(file.cover, 1)].into();
    let body = amend::body(
        file.cover,
        &versions,
        fields,
        json!({"code": file.code.digits, "scheme": file.code.scheme, "class": class, "state": state, "why": order.reason}),
    );
    let place = (taken.file.manhole, &taken.locked);
    amend::enter(tx, place, (&order.actor, now), HistoryKind::CoverAdded, body).await?;
    amend::tell(tx, now, [file.cover]).await?;
    Ok(file.cover)
}

/// A cover of which no more is known than its place, class, state and code.
fn blank_cover(beside: &CoverFile, class: CoverClass, state: CoverState, code: ComponentCode) -> CoverFile {
    CoverFile {
        cover: CoverId::fresh(),
        code,
        survey: Survey {
            class,
            state,
            material: None,
            shape: None,
            load_class: None,
            owner: None,
            maintainer: None,
            supervisor: None,
            extra: Default::default(),
            ..beside.survey.clone()
        },
        owner: None,
        maintainer: None,
        supervisor: None,
        source: BY_HAND.to_owned(),
        source_key: None,
        version: 1,
        retired: None,
        ..beside.clone()
    }
}

async fn merge(
    tx: &mut Tx,
    registry: &Registry,
    (cover, other): (CoverId, CoverId),
    order: CoverOrder<MergeOrder>,
    now: Millis,
) -> Result<CoverId, RegistryError> {
    let (kept, gone) = amend::take_two(tx, cover, other).await?;
    if kept.file.version != order.expected_version {
        return Err(amend::changed_meanwhile());
    }
    let other_code = registry.grouped_code(&gone.file.code);
    let conflict = |code: &'static str| {
        RegistryError::Conflict(Refusal::new(code).at("other").with("code", &other_code))
    };
    if gone.file.version != order.what.other_version {
        return Err(conflict("merge.other_changed"));
    }
    amend::refuse_retired(registry, &kept.file)?;
    amend::refuse_retired(registry, &gone.file)?;
    let (survivor, absorbed) = (kept.file.manhole, gone.file.manhole);
    if survivor == absorbed {
        return Err(conflict("merge.same_manhole"));
    }
    let same = (order.what.kind == MergeKind::Same).then_some((other, cover));
    if same.is_some() {
        refuse_open_twins(tx, &kept, &gone).await?;
    }
    let mut moved = Moved::default();
    let mut versions = Versions::new();
    for file in edits::list_manhole_covers(tx, absorbed).await? {
        versions.insert(
            file.cover,
            structure::move_cover(tx, file.cover, survivor, &kept.locked.district).await?,
        );
        moved.covers.push(file.cover);
    }
    if same.is_some() {
        moved.given = structure::list_belongings(tx, other).await?;
        structure::give_belongings(tx, &moved.given, other, cover).await?;
        let file = amend::take(tx, other).await?.file;
        if !edits::retire(tx, &file, RetireReason::Duplicate, Some(cover), now).await? {
            return Err(amend::changed_meanwhile());
        }
        versions.insert(other, file.version + 1);
    }
    structure::set_merged_into(tx, absorbed, Some(survivor)).await?;
    let record = Merge {
        id: MergeId::fresh(),
        survivor,
        absorbed,
        same,
        moved,
        reason: order.reason.clone(),
        actor: order.actor.word(),
        at: now,
        undone_at: None,
    };
    structure::add_merge(tx, &record).await?;
    let story = json!({
        "merge": record.id,
        "kind": order.what.kind,
        "codes": codes_of(tx, &record.moved.covers).await?,
        "why": order.reason,
    });
    let mut fields = amend::field("manhole", absorbed, survivor);
    if same.is_some() {
        fields.extend(amend::field("retired", Value::Null, RetireReason::Duplicate));
    }
    let away = amend::body(other, &versions, fields.clone(), with(&story, json!({"into_manhole": survivor})));
    amend::enter(tx, (absorbed, &gone.locked), (&order.actor, now), HistoryKind::MergedAway, away).await?;
    // The file that goes on here is proved to be the one that ended there.
    let end = files::head_of(tx, absorbed).await?;
    let came = with(
        &story,
        json!({"from_manhole": absorbed, "from_entries": end.length, "from_hash": super::hex(&end.hash)}),
    );
    let came = amend::body(other, &versions, fields, came);
    amend::enter(tx, (survivor, &kept.locked), (&order.actor, now), HistoryKind::Merged, came).await?;
    tell_all(tx, now, record.moved.covers.iter().copied().chain([cover])).await?;
    Ok(cover)
}

/// Two covers that are one may not have two open cases of the same hazard.
async fn refuse_open_twins(tx: &mut Tx, kept: &Taken, gone: &Taken) -> Result<(), RegistryError> {
    let of = |taken: &Taken| (taken.file.manhole, taken.file.cover);
    let mut open = Vec::new();
    for (manhole, cover) in [of(kept), of(gone)] {
        let mut cases = cases::list_open_cases(tx, manhole).await?;
        cases.retain(|case| case.cover == Some(cover));
        open.push(cases);
    }
    let twins: Vec<String> = open[0]
        .iter()
        .flat_map(|one| {
            open[1].iter().filter(|other| other.hazard == one.hazard).map(move |other| (one, other))
        })
        .map(|(one, other)| format!("{} / {}", one.number, other.number))
        .collect();
    if twins.is_empty() {
        return Ok(());
    }
    let refusal = Refusal::new("merge.open_twins").at("other").with("numbers", twins.join(", "));
    Err(RegistryError::Conflict(refusal))
}

async fn codes_of(tx: &mut Tx, covers: &[CoverId]) -> Result<Vec<String>, RegistryError> {
    let mut files = covers::list_covers_by_id(tx, covers).await?;
    files.sort_by_key(|file| file.cover);
    Ok(files.into_iter().map(|file| file.code.digits).collect())
}

fn with(story: &Value, more: Value) -> Value {
    let mut story = story.clone();
    if let (Some(story), Value::Object(more)) = (story.as_object_mut(), more) {
        story.extend(more);
    }
    story
}

/// Tells the feed of covers, with their plates and cases.
async fn tell_all(
    tx: &mut Tx,
    now: Millis,
    covers: impl Iterator<Item = CoverId>,
) -> Result<(), RegistryError> {
    let mut changed = Vec::new();
    for cover in covers {
        changed.push((ChangeKind::Cover, cover.0));
        let Belongings { plates, cases, .. } = structure::list_belongings(tx, cover).await?;
        changed.extend(structure::tokens(&plates).map(|token| (ChangeKind::Plate, plate_uuid(token))));
        changed.extend(cases.iter().map(|case| (ChangeKind::Case, case.0)));
    }
    Ok(feed::record(tx, now, News { events: Vec::new(), changed }).await?)
}

async fn unmerge(
    tx: &mut Tx,
    registry: &Registry,
    cover: CoverId,
    order: CoverOrder<MergeId>,
    now: Millis,
) -> Result<CoverId, RegistryError> {
    let unknown = || RegistryError::NotFound(Refusal::new("merge.unknown").at("merge"));
    let seen = structure::find_merge(tx, order.what).await?.ok_or_else(unknown)?;
    // Both files, in the order in which a merge takes them.
    let mut manholes = [seen.survivor, seen.absorbed];
    manholes.sort();
    for manhole in manholes {
        files::lock(tx, manhole).await?;
    }
    let taken = amend::take_expected(tx, cover, order.expected_version).await?;
    let record = structure::find_merge(tx, order.what).await?.ok_or_else(unknown)?;
    if record.undone_at.is_some() || taken.file.manhole != record.survivor {
        return Err(unknown());
    }
    let here = edits::list_manhole_covers(tx, record.survivor).await?;
    let kept = record.same.map(|(_, kept)| kept);
    let must_lie_here = record.moved.covers.iter().copied().chain(kept);
    for id in must_lie_here {
        if !here.iter().any(|file| file.cover == id) {
            let code = codes_of(tx, &[id]).await?.pop().unwrap_or_default();
            return Err(RegistryError::Conflict(Refusal::new("unmerge.moved").with("code", code)));
        }
    }
    if !here.iter().any(|file| !record.moved.covers.contains(&file.cover)) {
        // Everything that was here before has left since.
        let code = registry.grouped_code(&taken.file.code);
        return Err(RegistryError::Conflict(Refusal::new("unmerge.nobody_stays").with("code", code)));
    }
    if let Some((same, kept)) = record.same {
        structure::give_belongings(tx, &record.moved.given, kept, same).await?;
    }
    let home = files::lock(tx, record.absorbed).await?;
    let mut versions = Versions::new();
    for id in &record.moved.covers {
        versions.insert(*id, structure::move_cover(tx, *id, record.absorbed, &home.district).await?);
    }
    if let Some((same, _)) = record.same {
        let file = amend::take(tx, same).await?.file;
        if file.retired.is_some() && !edits::reinstate(tx, &file).await? {
            return Err(amend::changed_meanwhile());
        }
        versions.insert(same, covers_version(tx, same).await?);
    }
    structure::set_merged_into(tx, record.absorbed, None).await?;
    if !structure::end_merge(tx, record.id, now).await? {
        return Err(unknown());
    }
    let about = record.same.map_or(record.moved.covers[0], |(same, _)| same);
    let story =
        json!({"merge": record.id, "codes": codes_of(tx, &record.moved.covers).await?, "why": order.reason});
    let mut fields = amend::field("manhole", record.survivor, record.absorbed);
    if record.same.is_some() {
        fields.extend(amend::field("retired", RetireReason::Duplicate, Value::Null));
    }
    let body = amend::body(about, &versions, fields, story);
    for (manhole, locked) in [(record.survivor, &taken.locked), (record.absorbed, &home)] {
        amend::enter(tx, (manhole, locked), (&order.actor, now), HistoryKind::Unmerged, body.clone()).await?;
    }
    tell_all(tx, now, record.moved.covers.iter().copied().chain(kept).chain([cover])).await?;
    Ok(cover)
}

async fn covers_version(tx: &mut Tx, cover: CoverId) -> Result<i64, RegistryError> {
    Ok(amend::take(tx, cover).await?.file.version)
}

async fn split(
    tx: &mut Tx,
    registry: &Registry,
    (cover, with_covers): (CoverId, Vec<CoverId>),
    order: CoverOrder<SplitOrder>,
    now: Millis,
) -> Result<CoverId, RegistryError> {
    let taken = amend::take_expected(tx, cover, order.expected_version).await?;
    amend::refuse_retired(registry, &taken.file)?;
    let old = taken.file.manhole;
    let here = edits::list_manhole_covers(tx, old).await?;
    let mut leaving = vec![cover];
    for id in with_covers {
        if !here.iter().any(|file| file.cover == id) {
            let code = codes_of(tx, &[id]).await?.pop().unwrap_or_default();
            let refusal = Refusal::new("split.elsewhere").at("with").with("code", code);
            return Err(RegistryError::Conflict(refusal));
        }
        if !leaving.contains(&id) {
            leaving.push(id);
        }
    }
    if !here.iter().any(|file| file.retired.is_none() && !leaving.contains(&file.cover)) {
        let code = registry.grouped_code(&taken.file.code);
        return Err(RegistryError::Conflict(
            Refusal::new("split.nobody_stays").at("with").with("code", code),
        ));
    }
    let new = ManholeId::fresh();
    let mut place = taken.file.clone();
    if let Some(position) = &order.what.position {
        place.survey.position = position.clone();
        Known::read(tx, true).await?.check_place(&place.survey)?;
    }
    structure::add_manhole(tx, new, &place, old, now).await?;
    let mut versions = Versions::new();
    for id in &leaving {
        versions.insert(*id, structure::move_cover(tx, *id, new, &place.survey.district).await?);
    }
    let story = json!({"codes": codes_of(tx, &leaving).await?, "why": order.reason});
    let mut fields = amend::field("manhole", old, new);
    if place.survey.position != taken.file.survey.position {
        fields.extend(amend::field("position", &taken.file.survey.position, &place.survey.position));
    }
    let left = amend::body(cover, &versions, fields.clone(), with(&story, json!({"to_manhole": new})));
    amend::enter(tx, (old, &taken.locked), (&order.actor, now), HistoryKind::Split, left).await?;
    let end = files::head_of(tx, old).await?;
    let survey = &place.survey;
    let came = with(
        &story,
        json!({
            "from_manhole": old,
            "from_entries": end.length,
            "from_hash": super::hex(&end.hash),
            "district": survey.district,
            "road": survey.road,
            "address": survey.address,
            "position": survey.position,
        }),
    );
    let body = amend::body(cover, &versions, fields, came);
    let first = NewEntry { actor: order.actor.word(), kind: HistoryKind::SplitOff, case: None, body };
    let head = ChainHead { length: 0, hash: EntryHash::default() };
    files::append(tx, new, head, now, vec![first]).await?;
    tell_all(tx, now, leaving.into_iter()).await?;
    Ok(cover)
}
