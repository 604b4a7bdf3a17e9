//! 外业: what crews send, each action once. What does not fit what is true now comes back as a question with
//! what is true; nothing was changed then.

use serde::{Deserialize, Serialize};
use serde_json::{Map, Value, json};

use super::conflicts::FieldChange;
use super::crew_checks::LOOKED;
use super::crew_tasks::{DONE_MEANWHILE, WITHDRAWN};
use super::field_photos::{self, NOT_HERE, staff};
use super::files::{self, PhotoHome};
use super::packages::{CrewCover, CrewPlate};
use super::reports::clean_text;
use super::{AttachedPhoto, Call, Registry, RegistryError, sha256};
use crate::domain::Refusal;
use crate::domain::case::{PhonePosition, TEXT_LIMIT};
use crate::domain::crew::{CheckResult, CrewAction, CrewKind, Deed, FieldFix, FieldPhotoRole};
use crate::domain::edit::StoredRefusal;
use crate::domain::ids::{CaseId, CoverId, IdempotencyKey, Millis, UserId};
use crate::domain::plate::PlateFix;
use crate::domain::position::distance_m;
use crate::domain::role::Actor;
use crate::domain::token::Token;
use crate::store::Tx;
use crate::store::crew::{self, ActionRow};
use crate::store::spot_checks::Look;
use crate::store::tasks::Task;

/// What came of an action.
#[derive(Debug, Clone, PartialEq)]
pub enum CrewOutcome {
    Done(Box<CrewDone>),
    /// Nothing was done; the crew decides.
    Question(Box<CrewQuestion>),
}

/// An action that is in the registry.
#[derive(Debug, Clone, PartialEq)]
pub struct CrewDone {
    pub action: IdempotencyKey,
    pub kind: CrewKind,
    /// As it is now.
    pub cover: Option<CrewCover>,
    /// Number of the case.
    pub case: Option<String>,
    pub result: Option<CheckResult>,
    /// From the phone to the surveyed place of the cover.
    pub distance_m: Option<f64>,
    /// What the crew should know; refusals that refuse nothing.
    pub notices: Vec<StoredRefusal>,
}

/// What is otherwise than the crew thought, and what they can do.
#[derive(Debug, Clone, PartialEq)]
pub struct CrewQuestion {
    pub refusal: Refusal,
    pub theirs: Theirs,
    /// Covers of the class close by, nearest first.
    pub nearby: Vec<CrewCover>,
    /// What became of the cover since the crew saw it.
    pub changes: Vec<FieldChange>,
    /// What somebody else found there since the draw.
    pub look: Option<Look>,
    /// What somebody else found when they did the task.
    pub visit: Option<Task>,
    pub choices: &'static [&'static str],
}

/// What is true now.
#[derive(Debug, Clone, PartialEq)]
pub enum Theirs {
    Nothing,
    Cover(Box<CrewCover>),
    Plate(Box<CrewPlate>),
}

/// What is kept under the key: enough to give the same answer again.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub(super) struct Noted {
    pub(super) kind: CrewKind,
    pub(super) cover: Option<CoverId>,
    pub(super) case: Option<(CaseId, String)>,
    pub(super) result: Option<CheckResult>,
    pub(super) distance_m: Option<f64>,
    pub(super) notices: Vec<StoredRefusal>,
}

impl Noted {
    pub(super) fn of(kind: CrewKind) -> Self {
        Self { kind, cover: None, case: None, result: None, distance_m: None, notices: Vec::new() }
    }

    pub(super) fn notice(&mut self, refusal: &Refusal) {
        self.notices.push(refusal.into());
    }
}

/// How often an action is tried anew when somebody else took the plate in between.
const TRIES: usize = 4;

impl Registry {
    /// Carries out what a crew did. The same key again gives the same answer and does nothing.
    pub async fn carry_out(
        &self,
        mut action: CrewAction,
        actor: &Actor,
    ) -> Result<CrewOutcome, RegistryError> {
        let user = staff(actor)?;
        action.note = tidy(action.note.as_deref(), "note")?;
        action.check(&self.crew)?;
        let told = serde_json::to_string(&action).expect("an action is text and finite numbers");
        let request_hash = sha256(&[told.as_bytes()]);
        let mut noted = self.try_action(&action, (actor, user), request_hash).await;
        for _ in 1..TRIES {
            match &noted {
                Err(RegistryError::Conflict(refusal)) if refusal.code == "plate.moved_meanwhile" => {
                    noted = self.try_action(&action, (actor, user), request_hash).await;
                }
                _ => break,
            }
        }
        match noted {
            Ok(noted) => {
                if let (CrewKind::Check, Some(cover), Some(fix)) = (noted.kind, noted.cover, action.position)
                {
                    let FieldFix { lon, lat, accuracy_m, .. } = fix;
                    self.weigh_sighting(cover, PhonePosition { lon, lat, accuracy_m }).await;
                }
                Ok(CrewOutcome::Done(Box::new(self.show_done(action.key, noted).await?)))
            }
            Err(RegistryError::Conflict(refusal)) => self.ask_back(&action, actor, refusal).await,
            Err(RegistryError::NotFound(refusal)) if refusal.code == "plate.unknown" => {
                self.ask_back(&action, actor, refusal).await
            }
            Err(error) => Err(error),
        }
    }

    async fn try_action(
        &self,
        action: &CrewAction,
        (actor, user): (&Actor, UserId),
        request_hash: [u8; 32],
    ) -> Result<Noted, RegistryError> {
        let (registry, action, actor, now) = (self.clone(), action.clone(), actor.clone(), self.now());
        let scope = format!("crew:{}", actor.word());
        self.once::<Noted, _>(Call { key: action.key, scope, hash: request_hash, now }, move |tx| {
            let (registry, action, actor) = (registry.clone(), action.clone(), actor.clone());
            Box::pin(async move {
                let photos = field_photos::named(tx, user, &action.photos).await?;
                let work = Work { registry, action, actor, user, now, photos };
                work.do_it(tx).await
            })
        })
        .await
    }

    async fn show_done(&self, action: IdempotencyKey, noted: Noted) -> Result<CrewDone, RegistryError> {
        let cover = match noted.cover {
            Some(cover) => self.find_crew_cover(cover).await?,
            None => None,
        };
        let Noted { kind, case, result, distance_m, notices, .. } = noted;
        let case = case.map(|(_, number)| number);
        Ok(CrewDone { action, kind, cover, case, result, distance_m, notices })
    }

    /// Turns a conflict into a question, where it is one.
    async fn ask_back(
        &self,
        action: &CrewAction,
        actor: &Actor,
        refusal: Refusal,
    ) -> Result<CrewOutcome, RegistryError> {
        let mut question = CrewQuestion {
            choices: match refusal.code {
                "plate.bound_elsewhere" | "plate.withdrawn" | "plate.unknown" => &["other_plate", "discard"],
                "plate.step" => &["other_plate", "discard"],
                "cover.wears_plate" => &["replace", "discard"],
                "cover.changed" => &["again", "discard"],
                "cover.nearby" => &["same_cover", "new_cover", "discard"],
                LOOKED | DONE_MEANWHILE => &["mine_counts", "discard"],
                WITHDRAWN if action.deed.finds_trouble() => &["as_report", "discard"],
                WITHDRAWN => &["discard"],
                NOT_HERE => &["send_photos"],
                _ => return Err(RegistryError::Conflict(refusal)),
            },
            refusal,
            theirs: Theirs::Nothing,
            nearby: Vec::new(),
            changes: Vec::new(),
            look: None,
            visit: None,
        };
        let theirs = async |cover: Option<CoverId>| -> Result<Theirs, RegistryError> {
            let Some(cover) = cover else { return Ok(Theirs::Nothing) };
            let cover = self.find_crew_cover(cover).await?;
            Ok(cover.map_or(Theirs::Nothing, |cover| Theirs::Cover(Box::new(cover))))
        };
        match (question.refusal.code, &action.deed) {
            ("plate.bound_elsewhere" | "plate.withdrawn" | "plate.step", deed) => {
                if let Some(token) = deed.token()
                    && let Some(plate) = self.find_crew_plate(token, actor).await?
                {
                    question.theirs = Theirs::Plate(Box::new(plate));
                }
            }
            ("cover.changed", deed) => {
                question.theirs = theirs(deed.cover()).await?;
                if let Theirs::Cover(cover) = &question.theirs
                    && cover.file.retired.is_some()
                {
                    question.choices = &["discard"];
                }
                if let Deed::Fit(fit) = deed
                    && let Some(version) = fit.seen_version
                {
                    question.changes = self.find_meanwhile(fit.cover, version).await?.changes;
                }
            }
            ("cover.nearby", Deed::Survey(find)) => {
                question.nearby = self.list_nearby(find, action.position.as_ref()).await?;
                if let Some(nearest) = question.nearby.first() {
                    question.theirs = Theirs::Cover(Box::new(nearest.clone()));
                }
            }
            (LOOKED, Deed::Check(check)) => {
                question.theirs = theirs(Some(check.cover)).await?;
                question.look = self.find_look(check).await?;
            }
            (DONE_MEANWHILE, Deed::Task(done)) => {
                question.theirs = theirs(Some(done.cover)).await?;
                question.visit = self.find_visit(done).await?;
            }
            (_, deed) => question.theirs = theirs(deed.cover()).await?,
        }
        Ok(CrewOutcome::Question(Box::new(question)))
    }
}

/// A text that may be missing; an empty one is.
pub(super) fn tidy(text: Option<&str>, field: &'static str) -> Result<Option<String>, Refusal> {
    let text = text.map(|text| clean_text(text, field, TEXT_LIMIT)).transpose()?;
    Ok(text.filter(|text| !text.is_empty()))
}

/// An action within its transaction.
pub(super) struct Work {
    pub(super) registry: Registry,
    pub(super) action: CrewAction,
    pub(super) actor: Actor,
    pub(super) user: UserId,
    pub(super) now: Millis,
    /// All of them are on disk.
    pub(super) photos: Vec<(FieldPhotoRole, AttachedPhoto)>,
}

impl Work {
    async fn do_it(&self, tx: &mut Tx) -> Result<Noted, RegistryError> {
        match &self.action.deed {
            Deed::Fit(fit) => self.fit(tx, fit).await,
            Deed::Survey(find) => self.survey(tx, find).await,
            Deed::Plate(mishap) => self.mishap(tx, mishap).await,
            Deed::Fix(found) => self.fix(tx, found).await,
            Deed::Report(found) => self.report(tx, found).await,
            Deed::Check(check) => self.check(tx, check).await,
            Deed::Task(done) => self.task(tx, done).await,
        }
    }

    /// Where the phone stood, with its distance from a surveyed place.
    pub(super) fn fix_at(&self, place: (f64, f64)) -> Option<PlateFix> {
        let fix = self.action.position?;
        let distance_m = (distance_m((fix.lon, fix.lat), place) * 10.0).round() / 10.0;
        let accuracy_m = Some(fix.accuracy_m);
        Some(PlateFix { lon: fix.lon, lat: fix.lat, accuracy_m, distance_m: Some(distance_m) })
    }

    /// What the file says of every action.
    pub(super) fn story(&self, fix: Option<PlateFix>) -> Map<String, Value> {
        let photos: Vec<String> = self.photos.iter().map(|(_, photo)| super::hex(&photo.digest)).collect();
        let story = json!({
            "action": self.action.key,
            "answers": self.action.answers,
            "done_at": self.action.done_at,
            "position": self.action.position,
            "distance_m": fix.and_then(|fix| fix.distance_m),
            "note": self.action.note,
            "photos": Some(photos).filter(|photos| !photos.is_empty()),
        });
        let story = story.as_object().cloned().unwrap_or_default();
        story.into_iter().filter(|(_, value)| !value.is_null()).collect()
    }

    /// Names every photo by a row.
    pub(super) async fn attach(&self, tx: &mut Tx, home: PhotoHome) -> Result<(), RegistryError> {
        for (role, photo) in &self.photos {
            files::attach_photos(tx, home, role.as_str(), std::slice::from_ref(photo), self.now).await?;
        }
        Ok(())
    }

    /// Keeps the action for those who look after the crew's work.
    pub(super) async fn keep(
        &self,
        tx: &mut Tx,
        noted: &Noted,
        (token, fix): (Option<Token>, Option<PlateFix>),
        result: Option<&'static str>,
    ) -> Result<(), RegistryError> {
        let row = ActionRow {
            id: self.action.key,
            user: self.user,
            kind: noted.kind,
            at: self.now,
            done_at: self.action.done_at,
            cover: noted.cover,
            token,
            case: noted.case.as_ref().map(|(case, _)| *case),
            result,
            note: self.action.note.clone(),
            fix,
            answers: self.action.answers,
        };
        Ok(crew::add_action(tx, &row).await?)
    }

    /// The cover's file, taken until the commit; a cover that nobody made is refused.
    pub(super) async fn take(
        &self,
        tx: &mut Tx,
        cover: CoverId,
    ) -> Result<super::amend::Taken, RegistryError> {
        if crate::store::edits::find_manhole_of(tx, cover).await?.is_none() {
            let refusal = Refusal::new("cover.unknown").at("cover").with("read", cover);
            return Err(RegistryError::NotFound(refusal));
        }
        super::amend::take(tx, cover).await
    }
}
