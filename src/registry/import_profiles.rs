//! 导入方案: profiles that were saved under a name. What they mean is for `import` to say; here they are
//! texts in versions that never change.

use super::{Registry, RegistryError};
use crate::domain::Refusal;
use crate::domain::import_profile::{ProfileName, ProfileRef, SavedProfile, TEXT_LIMIT, WHY_LIMIT};
use crate::domain::role::Actor;
use crate::store::import_profiles as profiles;
use crate::store::imports;

/// A version to be saved.
#[derive(Debug, Clone)]
pub struct ProfileOrder {
    pub name: ProfileName,
    pub text: String,
    pub why: String,
}

/// What became of it.
#[derive(Debug, Clone, PartialEq)]
pub enum ProfileSaved {
    New(SavedProfile),
    /// The newest version says the same.
    Same(SavedProfile),
}

impl ProfileSaved {
    pub fn profile(&self) -> &SavedProfile {
        match self {
            Self::New(profile) | Self::Same(profile) => profile,
        }
    }
}

impl Registry {
    /// Saves a profile as the next version of its name. A text that the newest version has already makes
    /// no other one.
    pub async fn save_profile(
        &self,
        order: ProfileOrder,
        actor: &Actor,
    ) -> Result<ProfileSaved, RegistryError> {
        for (field, text, most) in [("text", &order.text, TEXT_LIMIT), ("why", &order.why, WHY_LIMIT)] {
            let count = text.chars().count();
            if count > most {
                let refusal = Refusal::new("text.too_long").at(field);
                return Err(refusal.with("count", count).with("most", most).into());
            }
        }
        let (word, now) = (actor.word(), self.now());
        self.store
            .write::<_, RegistryError, _>(move |tx| {
                let (order, word) = (order.clone(), word.clone());
                Box::pin(async move {
                    let newest = profiles::list_profile_versions(tx, &order.name).await?.into_iter().next();
                    let version = newest.as_ref().map_or(1, |newest| newest.version + 1);
                    if let Some(newest) = newest
                        && newest.text == order.text
                        && newest.removed_at.is_none()
                    {
                        return Ok(ProfileSaved::Same(newest));
                    }
                    let profile = SavedProfile {
                        name: order.name,
                        version,
                        text: order.text,
                        why: order.why.trim().to_owned(),
                        actor: word,
                        saved_at: now,
                        removed_at: None,
                    };
                    if profiles::insert_profile(tx, &profile).await? {
                        return Ok(ProfileSaved::New(profile));
                    }
                    let refusal = Refusal::new("profile.saved_meanwhile").with("profile", &profile.name);
                    Err(RegistryError::Conflict(refusal))
                })
            })
            .await
    }

    /// The newest version of every profile that is offered, by name.
    pub async fn list_profiles(&self) -> Result<Vec<SavedProfile>, RegistryError> {
        Ok(profiles::list_profiles(&mut self.store.read().await?).await?)
    }

    /// Every version of a profile, the newest first; refuses a name that nobody has saved.
    pub async fn list_profile_versions(
        &self,
        name: &ProfileName,
    ) -> Result<Vec<SavedProfile>, RegistryError> {
        let versions = profiles::list_profile_versions(&mut self.store.read().await?, name).await?;
        if versions.is_empty() {
            return Err(RegistryError::NotFound(Refusal::new("profile.not_saved").with("profile", name)));
        }
        Ok(versions)
    }

    /// A version of a profile; without a number the newest that is offered, with one also of a removed
    /// profile, because a run may have begun with it.
    pub async fn find_profile(&self, wanted: &ProfileRef) -> Result<SavedProfile, RegistryError> {
        let versions = self.list_profile_versions(&wanted.name).await?;
        let found = versions.into_iter().find(|one| match wanted.version {
            Some(version) => one.version == version,
            None => one.removed_at.is_none(),
        });
        found.ok_or_else(|| {
            let name = match wanted.version {
                Some(version) => format!("{}@{version}", wanted.name),
                None => wanted.name.to_string(),
            };
            RegistryError::NotFound(Refusal::new("profile.not_saved").with("profile", name))
        })
    }

    /// Takes a profile out of what is offered; its versions stay for the record.
    pub async fn remove_profile(&self, name: &ProfileName) -> Result<(), RegistryError> {
        let (name, now) = (name.clone(), self.now());
        self.store
            .write::<_, RegistryError, _>(move |tx| {
                let name = name.clone();
                Box::pin(async move {
                    if profiles::remove_profile(tx, &name, now).await? {
                        return Ok(());
                    }
                    let refusal = Refusal::new("profile.not_saved").with("profile", &name);
                    Err(RegistryError::NotFound(refusal))
                })
            })
            .await
    }

    /// Versions of a profile with which runs began that did not come to their end.
    pub async fn list_versions_begun(&self, name: &ProfileName) -> Result<Vec<i64>, RegistryError> {
        Ok(profiles::list_versions_begun(&mut self.store.read().await?, name).await?)
    }

    /// Whether a run of this file, read in this way, did not come to its end.
    pub async fn is_unfinished(&self, fingerprint: &[u8; 32]) -> Result<bool, RegistryError> {
        Ok(imports::find_unfinished(&mut self.store.read().await?, fingerprint).await?.is_some())
    }
}
