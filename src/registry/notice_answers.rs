//! What addressees answered to notices, as the files of the cases say it: whose photos are whose.

use std::collections::BTreeSet;

use serde::Deserialize;

use super::{Registry, RegistryError};
use crate::domain::history::HistoryKind;
use crate::domain::ids::{CaseId, PartyId};
use crate::store::photos::{self, PhotoRecord};
use crate::store::{Tx, history};

/// Role of a photo that came with what an addressee said.
pub(super) const FEEDBACK_PHOTO: &str = "feedback";

#[derive(Deserialize)]
struct Answer {
    supervision: String,
    of_party: PartyId,
    photos: Vec<String>,
}

impl Registry {
    /// Whether a photo came with what a party answered to a notice. Its people see it, whoever handles the case.
    pub async fn is_feedback_of(&self, photo: &PhotoRecord, party: PartyId) -> Result<bool, RegistryError> {
        let Some(case) = photo.case.filter(|_| photo.role == FEEDBACK_PHOTO) else { return Ok(false) };
        let answers = list_answers(&mut self.store.read().await?, case).await?;
        let digest = super::hex(&photo.digest);
        Ok(answers.iter().any(|said| said.of_party == party && said.photos.contains(&digest)))
    }
}

/// The photos with which a party answered to a notice about a case, which may be on several, to several parties.
pub(super) async fn list_photos(
    tx: &mut Tx,
    case: CaseId,
    (notice, party): (String, PartyId),
) -> Result<Vec<PhotoRecord>, RegistryError> {
    let answers = list_answers(tx, case).await?;
    let here = answers.into_iter().filter(|said| said.supervision == notice && said.of_party == party);
    let digests: BTreeSet<String> = here.flat_map(|said| said.photos).collect();
    let mut found = photos::list_case_photos(tx, case).await?;
    found.retain(|photo| photo.role == FEEDBACK_PHOTO && digests.contains(&super::hex(&photo.digest)));
    Ok(found)
}

/// Every answer about a case, to whichever notice.
async fn list_answers(tx: &mut Tx, case: CaseId) -> Result<Vec<Answer>, RegistryError> {
    let entries = history::list_case_entries(tx, case).await?;
    let answers = entries.iter().filter(|entry| entry.kind == HistoryKind::NoticeFeedback);
    // Of notices of former years only the text was taken over.
    Ok(answers.filter_map(|entry| serde_json::from_str(&entry.body).ok()).collect())
}
