//! Photos from the field on their way in: announced under an id that the phone made, kept in the photo store
//! when they are whole, named by an action later.

use super::{AttachedPhoto, Registry, RegistryError};
use crate::domain::Refusal;
use crate::domain::crew::{FieldPhotoRef, FieldPhotoRole};
use crate::domain::ids::{FieldPhotoId, Millis, UserId};
use crate::domain::role::Actor;
use crate::store::{Tx, field_photos};

pub use crate::store::field_photos::{FieldPhoto, KeptPhoto};

impl Registry {
    /// Announces a photo of `total` bytes, or finds it announced; its bytes may come now.
    pub async fn announce_field_photo(
        &self,
        id: FieldPhotoId,
        total: u64,
        actor: &Actor,
    ) -> Result<FieldPhoto, RegistryError> {
        let user = staff(actor)?;
        let (now, total) = (self.now(), i64::try_from(total).unwrap_or(i64::MAX));
        let known = match self.find_announced(id).await? {
            Some(known) => known,
            None => {
                self.store
                    .write::<_, RegistryError, _>(move |tx| {
                        Box::pin(async move { Ok(field_photos::add(tx, id, user, total, now).await?) })
                    })
                    .await?;
                self.find_announced(id).await?.ok_or_else(unknown)?
            }
        };
        if known.user != user {
            return Err(RegistryError::Conflict(Refusal::new("photo.taken").at("id")));
        }
        if known.total != total {
            let refusal = Refusal::new("photo.total").at("total").with("read", total);
            return Err(RegistryError::Conflict(refusal.with("known", known.total)));
        }
        Ok(known)
    }

    /// A photo that this member of staff announced.
    pub async fn find_field_photo(
        &self,
        id: FieldPhotoId,
        actor: &Actor,
    ) -> Result<Option<FieldPhoto>, RegistryError> {
        let user = staff(actor)?;
        Ok(self.find_announced(id).await?.filter(|known| known.user == user))
    }

    async fn find_announced(&self, id: FieldPhotoId) -> Result<Option<FieldPhoto>, RegistryError> {
        Ok(field_photos::find(&mut self.store.read().await?, id).await?)
    }

    /// Notes what a whole photo became; its picture is in the photo store already.
    pub async fn keep_field_photo(&self, id: FieldPhotoId, kept: KeptPhoto) -> Result<(), RegistryError> {
        let known = self
            .store
            .write::<_, RegistryError, _>(move |tx| {
                let kept = kept.clone();
                Box::pin(async move { Ok(field_photos::keep(tx, id, &kept).await?) })
            })
            .await?;
        if known { Ok(()) } else { Err(unknown()) }
    }

    /// Forgets a photo whose bytes are no picture.
    pub async fn forget_field_photo(&self, id: FieldPhotoId) -> Result<(), RegistryError> {
        self.store
            .write::<_, RegistryError, _>(move |tx| {
                Box::pin(async move { Ok(field_photos::forget(tx, id).await?) })
            })
            .await
    }

    /// Forgets photos that were announced before this moment; answers which of them.
    pub async fn forget_old_field_photos(&self, before: Millis) -> Result<Vec<FieldPhotoId>, RegistryError> {
        self.store
            .write::<_, RegistryError, _>(move |tx| {
                Box::pin(async move { Ok(field_photos::forget_older(tx, before).await?) })
            })
            .await
    }
}

fn unknown() -> RegistryError {
    RegistryError::NotFound(Refusal::new("photo.unknown").at("id"))
}

pub(super) fn staff(actor: &Actor) -> Result<UserId, RegistryError> {
    actor.user().ok_or_else(|| RegistryError::Forbidden(Refusal::new("http.log_in")))
}

/// Code of the refusal that names photos which must be sent (again) first.
pub const NOT_HERE: &str = "photo.not_here";

/// The photos that an action names; all of them must be here.
pub(super) async fn named(
    tx: &mut Tx,
    user: UserId,
    wanted: &[FieldPhotoRef],
) -> Result<Vec<(FieldPhotoRole, AttachedPhoto)>, RegistryError> {
    let (mut found, mut missing) = (Vec::new(), Vec::new());
    for photo in wanted {
        let known = field_photos::find(tx, photo.id).await?.filter(|known| known.user == user);
        match known.and_then(|known| Some((known.total, known.kept?))) {
            Some((total, kept)) => {
                let KeptPhoto { digest, media_type, width, height } = kept;
                let bytes = u64::try_from(total).unwrap_or_default();
                found.push((
                    photo.role,
                    AttachedPhoto { digest, media_type, bytes, width, height, look: None },
                ));
            }
            None => missing.push(photo.id.to_string()),
        }
    }
    if missing.is_empty() {
        return Ok(found);
    }
    let refusal = Refusal::new(NOT_HERE).at("photos").with("count", missing.len());
    Err(RegistryError::Conflict(refusal.with("ids", missing.join(", "))))
}
