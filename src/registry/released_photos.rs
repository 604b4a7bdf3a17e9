//! 照片公开: photos of work that somebody looked at and released to the public. The original stays as it is; what is
//! covered up stands beside it.

use serde::{Deserialize, Serialize};
use serde_json::json;

use super::cases::take_case;
use super::citizens::no_zero;
use super::files::{self, NewEntry};
use super::{Call, Registry, RegistryError, citizen_messages, sha256};
use crate::domain::Refusal;
use crate::domain::case::CaseState;
use crate::domain::citizen::{BlurBox, MessageKind, ReleasedPhoto, check_boxes};
use crate::domain::history::HistoryKind;
use crate::domain::ids::{CoverId, IdempotencyKey, Millis, PhotoId};
use crate::domain::role::{Actor, Role};
use crate::store::feed::{self, ChangeKind, News};
use crate::store::photos::PhotoRecord;
use crate::store::{Tx, citizens, photos};

/// A photo that is to be seen by the public, or no longer.
#[derive(Debug, Clone)]
pub struct ReleaseOrder {
    pub key: IdempotencyKey,
    /// The case's number.
    pub number: String,
    pub photo: PhotoId,
    /// What is covered up; `None` = the release is taken back.
    pub boxes: Option<Vec<BlurBox>>,
    pub actor: Actor,
}

#[derive(Serialize, Deserialize)]
struct Released {
    cover: Option<CoverId>,
}

impl Registry {
    /// Releases a photo of the work on a case, or takes that back; answers the cover whose pages change.
    pub async fn release_photo(&self, order: ReleaseOrder) -> Result<Option<CoverId>, RegistryError> {
        if !matches!(
            order.actor,
            Actor::System | Actor::Staff { role: Role::Dispatcher | Role::Supervisor | Role::Admin, .. }
        ) {
            return Err(RegistryError::Forbidden(Refusal::new("citizen.desk_only")));
        }
        no_zero(&order.number)?;
        check_boxes(order.boxes.as_deref().unwrap_or_default())?;
        let boxes = serde_json::to_string(&order.boxes).expect("boxes are numbers");
        let hash = sha256(&[order.number.as_bytes(), order.photo.0.as_bytes(), boxes.as_bytes()]);
        let (scope, now) = (format!("release:{}", order.actor.word()), self.now());
        let done = self
            .once::<Released, _>(Call { key: order.key, scope, hash, now }, move |tx| {
                let order = order.clone();
                Box::pin(async move { release(tx, order, now).await })
            })
            .await?;
        Ok(done.cover)
    }

    /// A photo of a case that can be released, and what is covered up in it where it was.
    pub async fn find_releasable(
        &self,
        number: &str,
        photo: PhotoId,
        actor: &Actor,
    ) -> Result<Option<(PhotoRecord, Option<Vec<BlurBox>>)>, RegistryError> {
        let Some(file) = self.find_case(number, actor).await? else { return Ok(None) };
        let Some(photo) = file.photos.into_iter().find(|known| known.id == photo && is_releasable(known))
        else {
            return Ok(None);
        };
        let released = citizens::list_released(&mut self.store.read().await?, &[photo.id]).await?;
        Ok(Some((photo, released.into_iter().next().map(|released| released.boxes))))
    }
}

/// What citizens sent is theirs, and what a party answers to a notice is for the desk.
pub fn is_releasable(photo: &PhotoRecord) -> bool {
    photo.report.is_none() && photo.role != super::notice_answers::FEEDBACK_PHOTO
}

/// Releases photos without covering anything up: whoever attached them has looked.
pub(super) async fn release_as_they_are(
    tx: &mut Tx,
    photos: &[PhotoId],
    actor: &Actor,
    now: Millis,
) -> Result<(), RegistryError> {
    for photo in photos {
        let released =
            ReleasedPhoto { photo: *photo, boxes: Vec::new(), actor: actor.word(), released_at: now };
        citizens::put_released(tx, &released).await?;
    }
    Ok(())
}

async fn release(tx: &mut Tx, order: ReleaseOrder, now: Millis) -> Result<Released, RegistryError> {
    let (case, head) = take_case(tx, &order.number, &order.actor).await?;
    let unknown = || RegistryError::NotFound(Refusal::new("photo.unknown"));
    let photo = photos::list_case_photos(tx, case.id)
        .await?
        .into_iter()
        .find(|photo| photo.id == order.photo && is_releasable(photo))
        .ok_or_else(unknown)?;
    let was_released = !citizens::list_released(tx, &[photo.id]).await?.is_empty();
    let (kind, boxes) = match order.boxes {
        Some(boxes) => {
            let count = boxes.len();
            let actor = order.actor.word();
            let released = ReleasedPhoto { photo: photo.id, boxes, actor, released_at: now };
            citizens::put_released(tx, &released).await?;
            (HistoryKind::PhotoReleased, count)
        }
        None if was_released => {
            citizens::remove_released(tx, photo.id).await?;
            (HistoryKind::PhotoWithdrawn, 0)
        }
        None => return Err(RegistryError::Conflict(Refusal::new("release.not_released"))),
    };
    let body = json!({"case": case.number, "photos": [super::hex(&photo.digest)], "boxes": boxes});
    let entry = NewEntry { actor: order.actor.word(), kind, case: Some(case.id), body };
    files::append(tx, case.manhole, head, now, vec![entry]).await?;
    let is_new = kind == HistoryKind::PhotoReleased && !was_released;
    let events = match is_new && case.state == CaseState::Closed {
        true => citizen_messages::tell_all(tx, &case, MessageKind::Result, now).await?,
        false => Vec::new(),
    };
    let mut changed = vec![(ChangeKind::Case, case.id.0)];
    changed.extend(case.cover.map(|cover| (ChangeKind::Cover, cover.0)));
    feed::record(tx, now, News { events, changed }).await?;
    Ok(Released { cover: case.cover })
}
