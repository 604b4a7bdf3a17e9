//! 档案质量: what the quality pages count, read for the board that answers them from memory.

use super::{Registry, RegistryError};
use crate::domain::ids::CoverId;
use crate::store::quality;

pub use crate::store::quality::QualityRow;

impl Registry {
    /// What is known of covers in use, by id, page by page.
    pub async fn list_quality_rows(
        &self,
        after: Option<CoverId>,
        limit: i64,
    ) -> Result<Vec<QualityRow>, RegistryError> {
        Ok(quality::list_quality_rows(&mut self.store.read().await?, after, limit).await?)
    }

    /// What is known of these covers; an id that has no cover in use is left out.
    pub async fn list_quality_rows_by_id(&self, ids: &[CoverId]) -> Result<Vec<QualityRow>, RegistryError> {
        Ok(quality::list_quality_rows_by_id(&mut self.store.read().await?, ids).await?)
    }
}
