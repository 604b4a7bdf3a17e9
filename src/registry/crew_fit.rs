//! What crews do with plates: fit them to covers, and say that one came to harm.

use serde_json::json;

use super::RegistryError;
use super::conflicts::changes_since;
use super::crew::{Noted, Work, tidy};
use super::files::{self, NewEntry, PhotoHome};
use super::fitting::{self, Fitting};
use super::plates::{plate_uuid, step_or_conflict};
use crate::domain::Refusal;
use crate::domain::cover::CoverFile;
use crate::domain::crew::{CrewKind, Fit, Mishap, PlateMishap};
use crate::domain::history::HistoryKind;
use crate::domain::plate::{Plate, PlateFix, PlateSpot, PlateState};
use crate::domain::token::Token;
use crate::store::feed::{self, ChangeKind, News};
use crate::store::history::ChainHead;
use crate::store::plates::{self, PlateStep};
use crate::store::{Tx, history};

/// What a crew relies on when it fits a plate; another change does not concern it.
const RELIED_ON: &[&str] = &["class", "position", "retired", "manhole"];

/// Code of the notice that a plate hung there before.
const ALREADY: &str = "crew.already_fitted";

impl Work {
    pub(super) async fn fit(&self, tx: &mut Tx, fit: &Fit) -> Result<Noted, RegistryError> {
        let taken = self.take(tx, fit.cover).await?;
        let mut noted = Noted { cover: Some(fit.cover), ..Noted::of(CrewKind::Fit) };
        self.refuse_changed(tx, &taken.file, fit.seen_version).await?;
        let place = &taken.file.survey.position;
        let fix = self.fix_at((place.lon, place.lat));
        noted.distance_m = fix.and_then(|fix| fix.distance_m);
        let plate = (fit.token, fit.spot, fit.replace);
        self.hang(tx, (&taken.file, taken.locked.head), plate, fix, &mut noted).await?;
        let already = noted.notices.iter().any(|notice| notice.code == ALREADY);
        self.keep(tx, &noted, (Some(fit.token), fix), already.then_some("already")).await?;
        Ok(noted)
    }

    /// Refuses a cover that is no longer what the crew had on the phone.
    pub(super) async fn refuse_changed(
        &self,
        tx: &mut Tx,
        file: &CoverFile,
        seen_version: Option<i64>,
    ) -> Result<(), RegistryError> {
        let changed = || {
            let code = self.registry.grouped_code(&file.code);
            Err(RegistryError::Conflict(Refusal::new("cover.changed").at("cover").with("code", code)))
        };
        if file.retired.is_some() {
            return changed();
        }
        if seen_version.is_none_or(|seen| seen >= file.version) {
            return Ok(());
        }
        let entries = history::list_entries(tx, file.manhole).await?;
        let changes = changes_since(file.cover, seen_version.unwrap_or_default(), entries);
        match changes.iter().any(|change| RELIED_ON.contains(&change.field.as_str())) {
            true => changed(),
            false => Ok(()),
        }
    }

    /// Hangs a plate, writes the file and the feed, and notes what the crew should know.
    pub(super) async fn hang(
        &self,
        tx: &mut Tx,
        (file, head): (&CoverFile, ChainHead),
        (token, spot, replace): (Token, PlateSpot, bool),
        fix: Option<PlateFix>,
        noted: &mut Noted,
    ) -> Result<(), RegistryError> {
        let plate = plates::find_plate(tx, token).await?;
        if plate.as_ref().is_some_and(|plate| !plate.state.is_live()) {
            return Err(RegistryError::Conflict(Refusal::new("plate.withdrawn").at("token")));
        }
        let mut story = self.story(fix);
        let far = fix.is_some_and(|fix| {
            let (distance_m, accuracy_m) = (fix.distance_m, fix.accuracy_m.unwrap_or_default());
            distance_m.is_some_and(|distance_m| self.registry.crew.is_far(distance_m, accuracy_m))
        });
        if far {
            story.insert("far".into(), json!(true));
            let distance_m = noted.distance_m.unwrap_or_default().round();
            noted.notice(&Refusal::new("crew.far").with("distance_m", distance_m));
        }
        if plate.and_then(|plate| plate.holder).is_some_and(|holder| holder != self.user) {
            noted.notice(&Refusal::new("crew.held_by_other"));
        }
        let actor = self.actor.word();
        let order = Fitting { token, spot, replace, actor: &actor, now: self.now, fix, story };
        let mut hung = fitting::hang(tx, &self.registry, file, order).await?;
        if hung.already {
            noted.notice(&Refusal::new("crew.already_fitted"));
            if !self.photos.is_empty() {
                let body = self.story(fix);
                hung.entries.push(self.entry(HistoryKind::PhotoAdded, body.into()));
                hung.changed.push((ChangeKind::Cover, file.cover.0));
            }
        }
        let home = PhotoHome { manhole: file.manhole, cover: Some(file.cover), case: None, report: None };
        self.attach(tx, home).await?;
        if !hung.entries.is_empty() {
            files::append(tx, file.manhole, head, self.now, hung.entries).await?;
        }
        if !hung.changed.is_empty() {
            feed::record(tx, self.now, News { events: Vec::new(), changed: hung.changed }).await?;
        }
        Ok(())
    }

    pub(super) fn entry(&self, kind: HistoryKind, body: serde_json::Value) -> NewEntry {
        NewEntry { actor: self.actor.word(), kind, case: None, body }
    }

    pub(super) async fn mishap(&self, tx: &mut Tx, mishap: &Mishap) -> Result<Noted, RegistryError> {
        let reason = tidy(Some(&mishap.reason), "reason")?
            .ok_or_else(|| Refusal::new("form.missing").at("reason").with("field", "reason"))?;
        let to = match mishap.state {
            PlateMishap::Damaged => PlateState::Damaged,
            PlateMishap::Lost => PlateState::Lost,
        };
        let mut noted = Noted::of(CrewKind::Plate);
        noted.cover = self.harm(tx, mishap.token, to, Some(reason)).await?;
        self.keep(tx, &noted, (Some(mishap.token), None), Some(to.as_str())).await?;
        Ok(noted)
    }

    /// Marks a plate as damaged or lost; answers the cover on which it hangs.
    async fn harm(
        &self,
        tx: &mut Tx,
        token: Token,
        to: PlateState,
        reason: Option<String>,
    ) -> Result<Option<crate::domain::ids::CoverId>, RegistryError> {
        let unknown = || RegistryError::NotFound(Refusal::new("plate.unknown").at("token"));
        let mut plate = plates::find_plate(tx, token).await?.ok_or_else(unknown)?;
        let mut file = None;
        if let Some(cover) = plate.cover {
            file = Some(files::lock_of_cover(tx, cover).await?);
            plate = plates::find_plate(tx, token).await?.ok_or_else(unknown)?;
        }
        if !plate.state.is_live() {
            return Err(RegistryError::Conflict(Refusal::new("plate.withdrawn").at("token")));
        }
        let mut changed = Vec::new();
        let mut entries = Vec::new();
        if plate.state != to {
            let fix = self.action.position.map(|fix| PlateFix {
                lon: fix.lon,
                lat: fix.lat,
                accuracy_m: Some(fix.accuracy_m),
                distance_m: None,
            });
            entries.push(self.step(tx, &plate, to, (reason, fix)).await?);
            changed.push((ChangeKind::Plate, plate_uuid(token)));
        }
        if let (Some((manhole, locked)), Some(cover)) = (file, plate.cover) {
            let home = PhotoHome { manhole, cover: Some(cover), case: None, report: None };
            self.attach(tx, home).await?;
            if !entries.is_empty() {
                files::append(tx, manhole, locked.head, self.now, entries).await?;
                changed.push((ChangeKind::Cover, cover.0));
            }
        }
        if !changed.is_empty() {
            feed::record(tx, self.now, News { events: Vec::new(), changed }).await?;
        }
        Ok(plate.cover)
    }

    /// Moves a plate on; answers what its cover's file says of it.
    pub(super) async fn step(
        &self,
        tx: &mut Tx,
        plate: &Plate,
        to: PlateState,
        (reason, fix): (Option<String>, Option<PlateFix>),
    ) -> Result<NewEntry, RegistryError> {
        plate.state.check_step(to).map_err(RegistryError::Conflict)?;
        let of = PlateStep::of(plate, to, &self.actor.word(), self.now);
        step_or_conflict(tx, &PlateStep { reason: reason.clone(), fix, ..of }).await?;
        let mut body = self.story(fix);
        body.extend([
            ("batch".to_owned(), json!(plate.batch)),
            ("ordinal".to_owned(), json!(plate.ordinal)),
            ("to".to_owned(), json!(to)),
        ]);
        body.extend(reason.map(|reason| ("why".to_owned(), json!(reason))));
        Ok(self.entry(HistoryKind::PlateChanged, body.into()))
    }
}
