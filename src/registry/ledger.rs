//! 台账 and statistics: cases as the ledger shows them and as they are counted, read for the tally that answers
//! questions from memory.

use super::reports::clean_text;
use super::{Registry, RegistryError};
use crate::domain::ids::{CaseId, CoverId};
use crate::store::ledger;

pub use crate::store::ledger::LedgerLine;

impl Registry {
    /// Every case after a number, page by page.
    pub async fn list_ledger(&self, after: &str, limit: i64) -> Result<Vec<LedgerLine>, RegistryError> {
        Ok(ledger::list_ledger(&mut self.store.read().await?, after, limit).await?)
    }

    /// The cases with these numbers, in this order.
    pub async fn list_ledger_by_number(&self, numbers: &[String]) -> Result<Vec<LedgerLine>, RegistryError> {
        let mut lines = ledger::list_ledger_by_number(&mut self.store.read().await?, numbers).await?;
        let places: std::collections::HashMap<&str, usize> =
            numbers.iter().enumerate().map(|(at, number)| (number.as_str(), at)).collect();
        lines.sort_by_key(|line| places.get(line.number.as_str()).copied());
        Ok(lines)
    }

    /// These cases, and those on the manholes of these covers, as they are now.
    pub async fn list_ledger_changed(
        &self,
        cases: &[CaseId],
        covers: &[CoverId],
    ) -> Result<Vec<LedgerLine>, RegistryError> {
        let mut tx = self.store.read().await?;
        let mut lines = ledger::list_ledger_by_id(&mut tx, cases).await?;
        lines.extend(ledger::list_ledger_of_covers(&mut tx, covers).await?);
        Ok(lines)
    }

    /// Numbers of the cases in whose number, code or road a text is found; `None` when there is nothing to look for.
    pub async fn find_in_ledger(&self, text: &str) -> Result<Option<Vec<String>>, RegistryError> {
        let text = clean_text(text, "text", 100)?;
        if text.is_empty() {
            return Ok(None);
        }
        Ok(Some(ledger::list_numbers_with(&mut self.store.read().await?, &text).await?))
    }
}
