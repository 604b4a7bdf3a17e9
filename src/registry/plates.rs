//! 铭牌: plates scanned and fitted.

use serde_json::json;
use uuid::Uuid;

use super::files::{self, NewEntry};
use super::fitting::{self, Fitting};
use super::{Registry, RegistryError, amend};
use crate::domain::Refusal;
use crate::domain::case::Case;
use crate::domain::cover::CoverFile;
use crate::domain::history::HistoryKind;
use crate::domain::plate::{Plate, PlateEvent, PlateSpot, PlateState};
use crate::domain::role::Actor;
use crate::domain::token::Token;
use crate::store::feed::{self, ChangeKind, News};
use crate::store::plates::{self, PlateStep};
use crate::store::{Tx, cases, covers, people};

/// What a scan finds.
#[derive(Debug, Clone, PartialEq)]
pub struct ScannedPlate {
    pub plate: Plate,
    /// `None` = a blank plate, not bound yet.
    pub cover: Option<CoverFile>,
    /// Those that everybody may know of.
    pub open_cases: Vec<Case>,
}

/// A token's bits in the change feed.
pub(super) fn plate_uuid(token: Token) -> Uuid {
    Uuid::from_u128(token.to_i64() as u128)
}

impl Registry {
    /// What a scan shows; `None` for a token that was never made, which is counted.
    pub async fn find_plate(&self, token: Token) -> Result<Option<ScannedPlate>, RegistryError> {
        let mut tx = self.store.read().await?;
        let Some(mut plate) = plates::find_plate(&mut tx, token).await? else {
            return Ok(None);
        };
        plate.successor = end_of_chain(&mut tx, &plate).await?;
        let cover = match plate.cover {
            Some(cover) => covers::find_cover(&mut tx, cover).await?,
            None => None,
        };
        let open_cases = match plate.manhole {
            Some(manhole) => cases::list_public_cases(&mut tx, manhole).await?,
            None => Vec::new(),
        };
        Ok(Some(ScannedPlate { plate, cover, open_cases }))
    }

    /// Fits a plate to the cover of this code, outside: a plate made for it, or a blank one. A plate that the
    /// cover wears there already is replaced and points to its successor.
    pub async fn install_plate(
        &self,
        token: Token,
        code: &str,
        actor: &Actor,
    ) -> Result<ScannedPlate, RegistryError> {
        let cover = self.find_known_cover(code, "code").await?.cover;
        let (now, actor) = (self.now(), actor.word());
        let registry = self.clone();
        self.store
            .write::<(), RegistryError, _>(move |tx| {
                let (actor, registry) = (actor.clone(), registry.clone());
                Box::pin(async move {
                    let taken = amend::take(tx, cover).await?;
                    amend::refuse_retired(&registry, &taken.file)?;
                    let order = Fitting {
                        token,
                        spot: PlateSpot::Public,
                        replace: true,
                        actor: &actor,
                        now,
                        fix: None,
                        story: serde_json::Map::new(),
                    };
                    let hung = fitting::hang(tx, &registry, &taken.file, order).await?;
                    if hung.already {
                        return Ok(());
                    }
                    files::append(tx, taken.file.manhole, taken.locked.head, now, hung.entries).await?;
                    Ok(feed::record(tx, now, News { events: Vec::new(), changed: hung.changed }).await?)
                })
            })
            .await?;
        self.find_plate(token)
            .await?
            .ok_or_else(|| RegistryError::NotFound(Refusal::new("plate.unknown").at("token")))
    }

    /// The steps of a plate's life after it was made, oldest first; empty for an unknown token.
    pub async fn list_plate_events(&self, token: Token) -> Result<Vec<PlateEvent>, RegistryError> {
        Ok(plates::list_plate_events(&mut self.store.read().await?, token).await?)
    }

    /// Withdraws a plate for good; its token goes on resolving to "withdrawn".
    pub async fn revoke_plate(&self, token: Token, reason: &str, actor: &Actor) -> Result<(), RegistryError> {
        let (now, actor) = (self.now(), actor.word());
        let reason = super::reports::clean_text(reason, "reason", crate::domain::case::TEXT_LIMIT)?;
        self.store
            .write::<(), RegistryError, _>(move |tx| {
                let (actor, reason) = (actor.clone(), reason.clone());
                Box::pin(async move {
                    let unknown = || RegistryError::NotFound(Refusal::new("plate.unknown").at("token"));
                    let mut plate = plates::find_plate(tx, token).await?.ok_or_else(unknown)?;
                    let mut file = None;
                    if let Some(cover) = plate.cover {
                        file = Some(files::lock_of_cover(tx, cover).await?);
                        plate = plates::find_plate(tx, token).await?.ok_or_else(unknown)?;
                    }
                    plate.state.check_step(PlateState::Revoked).map_err(RegistryError::Conflict)?;
                    let step = PlateStep {
                        reason: Some(reason.clone()),
                        ..PlateStep::of(&plate, PlateState::Revoked, &actor, now)
                    };
                    step_or_conflict(tx, &step).await?;
                    let mut changed = vec![(ChangeKind::Plate, plate_uuid(token))];
                    if let Some((manhole, file)) = file {
                        let body = json!({"batch": plate.batch, "ordinal": plate.ordinal, "to": PlateState::Revoked,
                            "why": reason});
                        let entry = NewEntry { actor, kind: HistoryKind::PlateChanged, case: None, body };
                        files::append(tx, manhole, file.head, now, vec![entry]).await?;
                    }
                    changed.extend(plate.cover.map(|cover| (ChangeKind::Cover, cover.0)));
                    Ok(feed::record(tx, now, News { events: Vec::new(), changed }).await?)
                })
            })
            .await
    }

    /// How many plates stand in each state.
    pub async fn count_plates(&self) -> Result<Vec<(String, i64)>, RegistryError> {
        Ok(plates::count_plates(&mut self.store.read().await?).await?)
    }

    /// Parties by name, founding those that are not known yet.
    pub async fn find_or_add_party(&self, name: &str) -> Result<crate::domain::ids::PartyId, RegistryError> {
        let name = name.to_owned();
        self.store
            .write::<_, RegistryError, _>(move |tx| {
                let name = name.clone();
                Box::pin(async move {
                    Ok(people::find_or_add_party(tx, &name, crate::domain::ids::PartyId::fresh()).await?)
                })
            })
            .await
    }
}

/// The plate that took over in the end: of a chain A → B → C, C. `None` for a plate without a successor.
async fn end_of_chain(tx: &mut Tx, plate: &Plate) -> Result<Option<Token>, RegistryError> {
    let mut end = plate.successor;
    // Tokens are never recycled, so a chain has no ring; the bound is for rows that somebody wrote by hand.
    for _ in 0..LONGEST_CHAIN {
        let Some(token) = end else { break };
        match plates::find_plate(tx, token).await?.and_then(|next| next.successor) {
            Some(next) => end = Some(next),
            None => break,
        }
    }
    Ok(end)
}

/// A cover whose plate is replaced twice a year for thirty years.
const LONGEST_CHAIN: usize = 60;

pub(super) async fn step_or_conflict(tx: &mut Tx, step: &PlateStep) -> Result<(), RegistryError> {
    if plates::step_plate(tx, step).await? {
        Ok(())
    } else {
        Err(RegistryError::Conflict(Refusal::new("plate.moved_meanwhile").at("token")))
    }
}
