//! What happened to a cover since somebody looked at it: who changed which field, from what to what.

use std::collections::BTreeMap;

use serde_json::Value;

use super::{Registry, RegistryError};
use crate::domain::cover::CoverFile;
use crate::domain::edit::PLACE_FIELDS;
use crate::domain::history::HistoryEntry;
use crate::domain::ids::{CoverId, Millis};
use crate::store::{StoreError, covers, history};

/// A cover that was changed since somebody looked at it.
#[derive(Debug, Clone, PartialEq)]
pub struct Meanwhile {
    pub now: CoverFile,
    /// By field, in the order of their names.
    pub changes: Vec<FieldChange>,
}

/// What became of one field since.
#[derive(Debug, Clone, PartialEq)]
pub struct FieldChange {
    /// As in the history: `material`, `extra.编号`, `position`, `code`, `retired`, `manhole`.
    pub field: String,
    /// What the person saw.
    pub before: Value,
    /// What it is now.
    pub after: Value,
    /// Who changed it last: `system`, `user:<uuid>`.
    pub actor: String,
    pub at: Millis,
}

impl Registry {
    /// What happened to a cover since it had this version.
    pub async fn find_meanwhile(&self, cover: CoverId, since: i64) -> Result<Meanwhile, RegistryError> {
        let mut tx = self.store.read().await?;
        let now = covers::find_cover(&mut tx, cover).await?;
        let now = now.ok_or_else(|| StoreError::inconsistent("covers", "id", cover))?;
        let mut entries = history::list_entries(&mut tx, now.manhole).await?;
        drop(tx);
        for earlier in self.list_earlier_files(now.manhole).await? {
            entries.extend(earlier.entries);
        }
        Ok(Meanwhile { changes: changes_since(cover, since, entries), now })
    }
}

/// What became of each field of a cover since a version, by the entries of its files.
pub(super) fn changes_since(cover: CoverId, since: i64, entries: Vec<HistoryEntry>) -> Vec<FieldChange> {
    let mut steps: Vec<(i64, HistoryEntry, Value)> = entries
        .into_iter()
        .filter_map(|entry| {
            let body: Value = serde_json::from_str(&entry.body).ok()?;
            let version = body["versions"][cover.to_string()].as_i64()?;
            (version > since).then_some((version, entry, body))
        })
        .collect();
    steps.sort_by_key(|(version, ..)| *version);
    let mut changes: BTreeMap<String, FieldChange> = BTreeMap::new();
    for (_, entry, body) in steps {
        let own = body["cover"] == Value::String(cover.to_string());
        let Some(fields) = body["fields"].as_object() else { continue };
        for (field, pair) in fields {
            // Of a change to another cover of the manhole, only the place is this one's business.
            let concerns = own || PLACE_FIELDS.contains(&field.as_str()) || field == "manhole";
            if !concerns {
                continue;
            }
            let change = changes.entry(field.clone()).or_insert_with(|| FieldChange {
                field: field.clone(),
                before: pair[0].clone(),
                after: Value::Null,
                actor: String::new(),
                at: entry.at,
            });
            change.after = pair[1].clone();
            change.actor = entry.actor.clone();
            change.at = entry.at;
        }
    }
    changes.into_values().filter(|change| change.before != change.after).collect()
}
