//! 可疑铭牌: a plate that several people met far from its cover was carried away or copied. One case for
//! somebody to look, not one for each of them.

use serde_json::json;

use super::case_flow::Ground;
use super::filing::{self, Finding};
use super::{Registry, RegistryError, amend};
use crate::domain::case::{CaseSource, PhonePosition};
use crate::domain::hazard::Hazard;
use crate::domain::ids::{CoverId, Millis};
use crate::domain::position::distance_m;
use crate::domain::role::Actor;
use crate::store::{Tx, cases, covers, crew};

const DAY_MS: i64 = 86_400_000;
const HAZARD: Hazard = Hazard::PlateOutOfPlace;

impl Registry {
    /// Looks whether the plate of a cover is met far from it, after somebody met it at `place`. What was
    /// said stands whatever becomes of this; the next one who meets it leads here again.
    pub(super) async fn weigh_sighting(&self, cover: CoverId, place: PhonePosition) {
        if let Err(error) = self.look_out_of_place(cover, place).await {
            tracing::warn!(%error, "a plate that may be out of place was not looked at");
        }
    }

    async fn look_out_of_place(&self, cover: CoverId, place: PhonePosition) -> Result<(), RegistryError> {
        let file = covers::find_cover(&mut self.store.read().await?, cover).await?;
        let Some(file) = file.filter(|file| file.retired.is_none()) else { return Ok(()) };
        let home = (file.survey.position.lon, file.survey.position.lat);
        if !self.crew.is_out_of_place(distance_m((place.lon, place.lat), home), place.accuracy_m) {
            return Ok(());
        }
        let (registry, now) = (self.clone(), self.now());
        self.store
            .write::<(), RegistryError, _>(move |tx| {
                let registry = registry.clone();
                Box::pin(async move { raise(tx, &registry, cover, now).await })
            })
            .await
    }
}

/// Opens the case when enough met the plate elsewhere since the last one was opened.
async fn raise(tx: &mut Tx, registry: &Registry, cover: CoverId, now: Millis) -> Result<(), RegistryError> {
    let taken = amend::take(tx, cover).await?;
    let (file, rules) = (&taken.file, &registry.crew);
    let open = cases::list_open_cases(tx, file.manhole).await?;
    let is_open = open.iter().any(|case| case.cover == Some(cover) && case.hazard == HAZARD);
    if file.retired.is_some() || is_open {
        return Ok(());
    }
    let days_ago = Millis(now.0 - i64::from(rules.out_of_place_days) * DAY_MS);
    let looked = crew::find_last_case(tx, cover, HAZARD.as_str()).await?;
    let sightings = crew::list_sightings(tx, cover, looked.map_or(days_ago, |at| at.max(days_ago))).await?;
    let home = (file.survey.position.lon, file.survey.position.lat);
    let elsewhere = sightings
        .iter()
        .filter(|at| rules.is_out_of_place(distance_m((at.lon, at.lat), home), at.accuracy_m));
    let elsewhere = elsewhere.count();
    if elsewhere < rules.out_of_place_reports as usize {
        return Ok(());
    }
    let rules_now = registry.rule_book.active(tx, now).await?;
    // Lidmark itself reports it; what people said belongs to cases of their own.
    let story =
        json!({"sightings": elsewhere, "meters": rules.out_of_place_m, "days": rules.out_of_place_days});
    let finding = Finding {
        manhole: file.manhole,
        cover: Some(cover),
        head: taken.locked.head,
        ground: Ground::of(file),
        hazard: HAZARD,
        source: CaseSource::Watch,
        known: None,
        description: String::new(),
        contact: None,
        external_number: None,
        phone_position: None,
        photos: Vec::new(),
        mended: false,
        actor: Actor::System.word(),
        story: story.as_object().cloned().unwrap_or_default(),
        language: filing::STAFF_LANGUAGE,
        weighed: None,
    };
    filing::file(tx, registry, &rules_now, finding).await.map(drop)
}
