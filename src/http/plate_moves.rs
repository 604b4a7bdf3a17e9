//! Steps of plates as forms and programs order them: printed, spoiled, printed once more, issued, returned.

use uuid::Uuid;

use super::{AppState, Problem};
use crate::domain::Refusal;
use crate::domain::ids::{IdempotencyKey, UserId};
use crate::domain::plate_batch::{Ordinals, PlateAction};
use crate::domain::role::Actor;
use crate::press::{self, NewPlates};
use crate::registry::{Batch, PlateMove, PlateMoveOrder, PlatesMoved, WhichPlates};

/// A step as it was ordered.
pub(super) struct ActionOrder {
    pub key: IdempotencyKey,
    pub action: PlateAction,
    /// `None` = all that can take the step.
    pub ordinals: Option<Ordinals>,
    pub crew: Option<UserId>,
    pub reason: Option<String>,
    pub actor: Actor,
}

/// What became of it.
#[derive(Default)]
pub(super) struct ActionDone {
    pub moved: PlatesMoved,
    /// Plates of the batch to be printed again under their tokens.
    pub again: Option<Ordinals>,
    /// The batch of successors.
    pub successors: Option<Batch>,
}

fn missing(field: &'static str) -> Refusal {
    Refusal::new("form.missing").at(field).with("field", field)
}

/// A crew by its log-in, or by its id.
pub(super) async fn find_crew(state: &AppState, text: &str) -> Result<UserId, Problem> {
    let crews = state.registry.list_crews().await?;
    let fits: Vec<&str> = crews.iter().map(|crew| crew.login.as_str()).collect();
    let refusal = Refusal::new("plates.crew_unknown").at("crew").with("fits", fits.join(", "));
    let known = crews.iter().find(|crew| crew.login == text || crew.id.to_string() == text);
    Ok(known.map(|crew| crew.id).ok_or(refusal)?)
}

/// Carries out a step of plates of one batch.
pub(super) async fn act(state: &AppState, batch: &Batch, order: ActionOrder) -> Result<ActionDone, Problem> {
    let what = match order.action {
        PlateAction::Printed => PlateMove::Printed,
        PlateAction::Spoil => {
            PlateMove::Spoiled { reason: order.reason.clone().ok_or_else(|| missing("reason"))? }
        }
        PlateAction::Issue => PlateMove::Issued { crew: order.crew.ok_or_else(|| missing("crew"))? },
        PlateAction::Return => PlateMove::Returned { crew: order.crew },
        PlateAction::Reprint => return print_again(state, batch, order).await,
    };
    if order.action == PlateAction::Spoil && order.ordinals.is_none() {
        return Err(missing("ordinals").into());
    }
    let which = match order.ordinals {
        Some(ordinals) => WhichPlates::Ordinals(batch.id, ordinals),
        None => WhichPlates::Batch(batch.id),
    };
    let moved = state
        .registry
        .move_plates(PlateMoveOrder { key: order.key, what, which, actor: order.actor })
        .await?;
    Ok(ActionDone { moved, ..ActionDone::default() })
}

/// Most plates that are printed once more together.
const MOST_AGAIN: i64 = 2000;

/// Plates that never left the house keep their tokens; the others get successors in a batch of their own.
async fn print_again(state: &AppState, batch: &Batch, order: ActionOrder) -> Result<ActionDone, Problem> {
    let ordinals = order.ordinals.ok_or_else(|| missing("ordinals"))?;
    let named: i64 = ordinals.ranges().iter().map(|(first, last)| last - first + 1).sum();
    if named > MOST_AGAIN {
        let refusal = Refusal::new("batch.too_many").at("ordinals").with("most", MOST_AGAIN);
        return Err(refusal.into());
    }
    let registry = &state.registry;
    let (at_home, issued) = registry.split_by_issued(batch.id, &ordinals).await?;
    if at_home.is_empty() && issued.is_empty() {
        let refusal = Refusal::new("batch.ordinals").at("ordinals").with("read", ordinals);
        return Err(refusal.into());
    }
    let mut done = ActionDone::default();
    if !issued.is_empty() {
        let _slot = state.shared.heavy_slots.acquire().await;
        let folder = state.data.join("batches");
        std::fs::create_dir_all(&folder).map_err(|error| super::problem::from_io(&error))?;
        let note = order.reason.clone().unwrap_or_default();
        let (key, actor) = (Some(order.key), order.actor.clone());
        let new = NewPlates { of: batch.id, plates: issued, note, actor, key };
        // Named by the batch once there is one; until then nobody else knows this name.
        let unnamed = folder.join(format!("{}.pdf", crate::domain::ids::BatchId::fresh()));
        let printed = press::replace_plates(registry, &state.config, &state.data, &new, &unnamed).await?;
        std::fs::rename(&unnamed, folder.join(format!("{}.pdf", printed.batch.id)))
            .map_err(|error| super::problem::from_io(&error))?;
        let covers: Vec<_> = new.plates.iter().filter_map(|plate| plate.cover).collect();
        state.covers_changed(&covers);
        done.moved.moved += new.plates.len() as i64;
        done.successors = Some(printed.batch);
    }
    if !at_home.is_empty() {
        let again = Ordinals::of(at_home);
        // A key of its own for the half of the order that needs no successors.
        let key = IdempotencyKey(Uuid::from_u128(order.key.0.as_u128() ^ 1));
        let which = WhichPlates::Ordinals(batch.id, again.clone());
        let what = PlateMove::Reprinted;
        let moved = registry.move_plates(PlateMoveOrder { key, what, which, actor: order.actor }).await;
        match moved {
            Ok(moved) => {
                done.moved.moved += moved.moved;
                done.moved.left = moved.left;
            }
            // None of them was spoiled: printing them once more changes nothing.
            Err(crate::registry::RegistryError::Conflict(refusal))
                if refusal.code == "plates.nothing_moves" => {}
            Err(error) => return Err(error.into()),
        }
        done.again = Some(again);
    }
    Ok(done)
}
