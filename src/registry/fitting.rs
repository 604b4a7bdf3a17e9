//! 安装: a plate comes to hang on a cover, whoever asks for it: the desk, a program or a crew.

use serde_json::{Map, Value, json};

use super::files::NewEntry;
use super::plates::{plate_uuid, step_or_conflict};
use super::{Registry, RegistryError};
use crate::domain::Refusal;
use crate::domain::cover::CoverFile;
use crate::domain::history::HistoryKind;
use crate::domain::ids::Millis;
use crate::domain::plate::{Plate, PlateFix, PlateSpot, PlateState};
use crate::domain::token::Token;
use crate::store::feed::ChangeKind;
use crate::store::plates::{self, PlateStep};
use crate::store::{Tx, covers};

/// A plate to be hung.
pub(super) struct Fitting<'f> {
    pub(super) token: Token,
    pub(super) spot: PlateSpot,
    /// Takes the place of a plate that hangs there; else that one is a conflict.
    pub(super) replace: bool,
    pub(super) actor: &'f str,
    pub(super) now: Millis,
    pub(super) fix: Option<PlateFix>,
    /// What else the file says of it.
    pub(super) story: Map<String, Value>,
}

/// What hanging a plate leaves to be written by the caller.
#[derive(Default)]
pub(super) struct Hung {
    pub(super) entries: Vec<NewEntry>,
    pub(super) changed: Vec<(ChangeKind, uuid::Uuid)>,
    /// It hung there before; nothing was done.
    pub(super) already: bool,
}

/// Hangs a plate on a cover whose file is taken. A plate that hangs on the same spot is replaced and leads
/// to this one, also one that is damaged or lost.
pub(super) async fn hang(
    tx: &mut Tx,
    registry: &Registry,
    cover: &CoverFile,
    fitting: Fitting<'_>,
) -> Result<Hung, RegistryError> {
    let Fitting { token, spot, actor, now, .. } = fitting;
    let unknown = || RegistryError::NotFound(Refusal::new("plate.unknown").at("token"));
    let mut plate = plates::find_plate(tx, token).await?.ok_or_else(unknown)?;
    if let Some(bound) = plate.cover.filter(|bound| *bound != cover.cover) {
        // A plate that was blank has no printed code: the cover itself says which.
        let file = covers::find_cover(tx, bound).await?;
        let code = file.map(|file| registry.grouped_code(&file.code)).unwrap_or_default();
        return Err(RegistryError::Conflict(
            Refusal::new("plate.bound_elsewhere").at("token").with("code", code),
        ));
    }
    if plate.state == PlateState::Installed {
        // The same order again, after a lost answer.
        return Ok(Hung { already: true, ..Hung::default() });
    }
    if plate.state == PlateState::Made {
        // Whoever has it in the hand proves that it was printed.
        step_or_conflict(tx, &PlateStep::of(&plate, PlateState::Printed, actor, now)).await?;
        plate.state = PlateState::Printed;
    }
    plate.state.check_step(PlateState::Installed).map_err(RegistryError::Conflict)?;
    let mut hung = Hung::default();
    for worn in plates::list_cover_plates(tx, cover.cover).await? {
        if worn.token == token || worn.spot != spot || !hangs(&worn) {
            continue;
        }
        if worn.state == PlateState::Installed && !fitting.replace {
            let code = registry.grouped_code(&cover.code);
            return Err(RegistryError::Conflict(
                Refusal::new("cover.wears_plate").at("cover").with("code", code),
            ));
        }
        let step =
            PlateStep { successor: Some(token), ..PlateStep::of(&worn, PlateState::Replaced, actor, now) };
        step_or_conflict(tx, &step).await?;
        hung.changed.push((ChangeKind::Plate, plate_uuid(worn.token)));
        let body = json!({"batch": worn.batch, "ordinal": worn.ordinal, "to": PlateState::Replaced});
        hung.entries.push(entry(actor, HistoryKind::PlateChanged, body));
    }
    let step = PlateStep {
        cover: Some(cover.cover),
        manhole: Some(cover.manhole),
        spot,
        fix: fitting.fix,
        ..PlateStep::of(&plate, PlateState::Installed, actor, now)
    };
    step_or_conflict(tx, &step).await?;
    let mut body =
        json!({"batch": plate.batch, "ordinal": plate.ordinal, "was_blank": plate.cover.is_none()});
    if let Some(body) = body.as_object_mut() {
        if spot != PlateSpot::Public {
            body.insert("spot".into(), json!(spot));
        }
        body.extend(fitting.story);
    }
    hung.entries.push(entry(actor, HistoryKind::PlateInstalled, body));
    hung.changed.extend([(ChangeKind::Cover, cover.cover.0), (ChangeKind::Plate, plate_uuid(token))]);
    Ok(hung)
}

/// Whether a plate is on its cover, or was and nobody took its place.
fn hangs(plate: &Plate) -> bool {
    matches!(plate.state, PlateState::Installed | PlateState::Damaged | PlateState::Lost)
}

fn entry(actor: &str, kind: HistoryKind, body: Value) -> NewEntry {
    NewEntry { actor: actor.to_owned(), kind, case: None, body }
}
