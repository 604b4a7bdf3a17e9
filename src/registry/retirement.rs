//! 退役: a cover that is no longer in use, what becomes of its plates, and covers taken into use again.

use serde_json::{Value, json};

use super::amend::{self, Amended, CoverOrder, Taken};
use super::editing::needed_reason;
use super::files::{self, NewEntry};
use super::plates::{plate_uuid, step_or_conflict};
use super::{Registry, RegistryError};
use crate::domain::Refusal;
use crate::domain::edit::{PlatesGo, RetireReason};
use crate::domain::history::HistoryKind;
use crate::domain::ids::{CoverId, ManholeId, Millis};
use crate::domain::plate::{Plate, PlateState};
use crate::domain::role::Actor;
use crate::domain::token::Token;
use crate::store::feed::{self, ChangeKind, News};
use crate::store::history::LockedFile;
use crate::store::plates::{self, PlateStep};
use crate::store::{Tx, cases, edits, structure};

/// How a cover is retired.
#[derive(Debug, Clone)]
pub struct Retirement {
    pub reason: RetireReason,
    /// Code of the cover that takes its place.
    pub successor: Option<String>,
    pub plates: PlatesGo,
}

impl Registry {
    /// Retires a cover: it leaves the map and the counts; its code, file and tokens stay for ever.
    /// Refused while a case on it is open.
    pub async fn retire_cover(&self, mut order: CoverOrder<Retirement>) -> Result<Amended, RegistryError> {
        order.reason = needed_reason(&order.reason)?;
        let Retirement { reason, successor, plates } = &order.what;
        let follows = matches!(reason, RetireReason::Replaced | RetireReason::Duplicate);
        if successor.is_none() && (follows || *plates == PlatesGo::ToSuccessor) {
            return Err(Refusal::new("retire.needs_successor").at("successor").with("reason", reason).into());
        }
        let successor = match successor {
            Some(code) => Some(self.find_known_cover(code, "successor").await?.cover),
            None => None,
        };
        let what = json!({"reason": reason, "successor": successor, "plates": plates});
        let registry = self.clone();
        self.amend("retire", order, what, move |tx, cover, order, now| {
            let registry = registry.clone();
            Box::pin(async move { retire(tx, &registry, (cover, successor), order, now).await })
        })
        .await
    }

    /// Takes a cover into use again. Plates that were withdrawn stay so: it needs new ones.
    pub async fn reinstate_cover(&self, mut order: CoverOrder<()>) -> Result<Amended, RegistryError> {
        order.reason = needed_reason(&order.reason)?;
        let registry = self.clone();
        self.amend("reinstate", order, Value::Null, move |tx, cover, order, now| {
            let registry = registry.clone();
            Box::pin(async move { reinstate(tx, &registry, cover, order, now).await })
        })
        .await
    }
}

async fn retire(
    tx: &mut Tx,
    registry: &Registry,
    (cover, successor): (CoverId, Option<CoverId>),
    order: CoverOrder<Retirement>,
    now: Millis,
) -> Result<CoverId, RegistryError> {
    let (taken, heir) = match successor {
        Some(successor) if successor == cover => {
            return Err(Refusal::new("retire.own_successor").at("successor").into());
        }
        Some(successor) => {
            let (taken, heir) = amend::take_two(tx, cover, successor).await?;
            (taken, Some(heir))
        }
        None => (amend::take(tx, cover).await?, None),
    };
    if taken.file.version != order.expected_version {
        return Err(amend::changed_meanwhile());
    }
    amend::refuse_retired(registry, &taken.file)?;
    if let Some(heir) = &heir
        && heir.file.retired.is_some()
    {
        let code = registry.grouped_code(&heir.file.code);
        let refusal = Refusal::new("retire.successor_retired").at("successor").with("code", code);
        return Err(RegistryError::Conflict(refusal));
    }
    let open = cases::list_open_cases(tx, taken.file.manhole).await?;
    let open: Vec<String> =
        open.into_iter().filter(|case| case.cover == Some(cover)).map(|case| case.number).collect();
    if !open.is_empty() {
        let refusal = Refusal::new("retire.open_cases").with("numbers", open.join(", "));
        return Err(RegistryError::Conflict(refusal));
    }
    let Retirement { reason, plates: go, .. } = &order.what;
    if !edits::retire(tx, &taken.file, *reason, successor, now).await? {
        return Err(amend::changed_meanwhile());
    }
    let mut parting = part_with_plates(tx, &taken, heir.as_ref(), *go, (&order.actor, now)).await?;
    let versions = [(cover, taken.file.version + 1)].into();
    let body = amend::body(
        cover,
        &versions,
        amend::field("retired", Value::Null, reason),
        json!({
            "why": order.reason,
            "successor": heir.as_ref().map(|heir| &heir.file.code.digits),
            "plates_withdrawn": parting.withdrawn.len(),
            "plates_moved": parting.moved.len(),
        }),
    );
    parting.enter(tx, (&taken, heir.as_ref()), (&order.actor, now), body).await?;
    let mut changed = vec![(ChangeKind::Cover, cover.0)];
    changed.extend(heir.map(|heir| (ChangeKind::Cover, heir.file.cover.0)));
    let plates = parting.withdrawn.iter().chain(&parting.moved);
    changed.extend(plates.map(|plate| (ChangeKind::Plate, plate_uuid(plate.token))));
    feed::record(tx, now, News { events: Vec::new(), changed }).await?;
    Ok(cover)
}

/// The plates that a retired cover wore.
struct Parting {
    withdrawn: Vec<Plate>,
    moved: Vec<Plate>,
}

/// Withdraws every live plate of a cover; where they go to the successor, those that hang on the spot
/// go, and those that lie in a drawer with the old code on them are withdrawn.
async fn part_with_plates(
    tx: &mut Tx,
    taken: &Taken,
    heir: Option<&Taken>,
    go: PlatesGo,
    (actor, now): (&Actor, Millis),
) -> Result<Parting, RegistryError> {
    let mut parting = Parting { withdrawn: Vec::new(), moved: Vec::new() };
    // A withdrawn plate leads to one that hangs on the successor.
    let mut leads_to: Option<Token> = None;
    if let Some(heir) = heir {
        let worn = plates::list_cover_plates(tx, heir.file.cover).await?;
        leads_to = worn.iter().find(|plate| plate.state == PlateState::Installed).map(|plate| plate.token);
    }
    let live = plates::list_cover_plates(tx, taken.file.cover).await?.into_iter();
    for plate in live.filter(|plate| plate.state.is_live()) {
        let hangs = matches!(plate.state, PlateState::Installed | PlateState::Damaged | PlateState::Lost);
        let home = heir.filter(|_| go == PlatesGo::ToSuccessor && hangs);
        let to = if home.is_some() { plate.state } else { PlateState::Revoked };
        let step = PlateStep {
            cover: home.map_or(plate.cover, |heir| Some(heir.file.cover)),
            manhole: home.map_or(plate.manhole, |heir| Some(heir.file.manhole)),
            successor: if home.is_some() { None } else { leads_to },
            ..PlateStep::of(&plate, to, &actor.word(), now)
        };
        step_or_conflict(tx, &step).await?;
        if home.is_some() { parting.moved.push(plate) } else { parting.withdrawn.push(plate) }
    }
    Ok(parting)
}

impl Parting {
    /// Writes what happened into the file of the cover, and of the successor where it got plates.
    async fn enter(
        &mut self,
        tx: &mut Tx,
        (taken, heir): (&Taken, Option<&Taken>),
        (actor, now): (&Actor, Millis),
        retired: Value,
    ) -> Result<(), RegistryError> {
        let entry = |kind, body| NewEntry { actor: actor.word(), kind, case: None, body };
        let of = |plate: &Plate, more: Value| {
            let mut body = json!({"batch": plate.batch, "ordinal": plate.ordinal});
            if let (Some(body), Value::Object(more)) = (body.as_object_mut(), more) {
                body.extend(more);
            }
            entry(HistoryKind::PlateChanged, body)
        };
        let mut own = vec![entry(HistoryKind::Retired, retired)];
        own.extend(self.withdrawn.iter().map(|plate| of(plate, json!({"to": PlateState::Revoked}))));
        let Some(heir) = heir.filter(|_| !self.moved.is_empty()) else {
            return append(tx, (taken.file.manhole, &taken.locked), now, own).await;
        };
        let (from, to) = (&taken.file.code.digits, &heir.file.code.digits);
        let left = self.moved.iter().map(|plate| of(plate, json!({"cover_to": to})));
        let came = self.moved.iter().map(|plate| of(plate, json!({"cover_from": from})));
        if heir.file.manhole == taken.file.manhole {
            own.extend(left);
            return append(tx, (taken.file.manhole, &taken.locked), now, own).await;
        }
        let came: Vec<NewEntry> = came.collect();
        own.extend(left);
        append(tx, (taken.file.manhole, &taken.locked), now, own).await?;
        append(tx, (heir.file.manhole, &heir.locked), now, came).await
    }
}

async fn append(
    tx: &mut Tx,
    (manhole, locked): (ManholeId, &LockedFile),
    now: Millis,
    entries: Vec<NewEntry>,
) -> Result<(), RegistryError> {
    files::append(tx, manhole, locked.head, now, entries).await
}

async fn reinstate(
    tx: &mut Tx,
    registry: &Registry,
    cover: CoverId,
    order: CoverOrder<()>,
    now: Millis,
) -> Result<CoverId, RegistryError> {
    let taken = amend::take_expected(tx, cover, order.expected_version).await?;
    let Some(retired) = &taken.file.retired else {
        let code = registry.grouped_code(&taken.file.code);
        return Err(RegistryError::Conflict(Refusal::new("reinstate.in_use").with("code", code)));
    };
    let merges = structure::list_merges_into(tx, taken.file.manhole).await?;
    if merges.iter().any(|merge| merge.same.is_some_and(|(same, _)| same == cover)) {
        let code = registry.grouped_code(&taken.file.code);
        return Err(RegistryError::Conflict(Refusal::new("reinstate.merged").with("code", code)));
    }
    if !edits::reinstate(tx, &taken.file).await? {
        return Err(amend::changed_meanwhile());
    }
    let versions = [(cover, taken.file.version + 1)].into();
    let fields = amend::field("retired", retired.reason, Value::Null);
    let body = amend::body(cover, &versions, fields, json!({"why": order.reason}));
    let place = (taken.file.manhole, &taken.locked);
    amend::enter(tx, place, (&order.actor, now), HistoryKind::Reinstated, body).await?;
    amend::tell(tx, now, [cover]).await?;
    Ok(cover)
}
