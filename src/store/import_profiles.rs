//! Saved profiles, version by version.

use sqlx::FromRow;

use super::{StoreError, Tx, on_db};
use crate::domain::ids::Millis;
use crate::domain::import_profile::{ProfileName, SavedProfile};
use crate::domain::import_run::ImportState;

#[derive(FromRow)]
struct ProfileRow {
    name: String,
    version: i64,
    text: String,
    why: String,
    actor: String,
    saved_at: i64,
    removed_at: Option<i64>,
}

impl TryFrom<ProfileRow> for SavedProfile {
    type Error = StoreError;
    fn try_from(row: ProfileRow) -> Result<Self, StoreError> {
        let name = row.name.parse();
        Ok(Self {
            name: name.map_err(|_| StoreError::inconsistent("import_profiles", "name", row.version))?,
            version: row.version,
            text: row.text,
            why: row.why,
            actor: row.actor,
            saved_at: Millis(row.saved_at),
            removed_at: row.removed_at.map(Millis),
        })
    }
}

/// Adds a version; `false` when there is one of that number already.
pub async fn insert_profile(tx: &mut Tx, profile: &SavedProfile) -> Result<bool, StoreError> {
    on_db!(tx, |c| {
        let added = sqlx::query(
            "INSERT INTO import_profiles (name, version, text, why, actor, saved_at) VALUES ($1, $2, $3, $4, $5, $6)
             ON CONFLICT (name, version) DO NOTHING",
        )
        .bind(profile.name.as_str())
        .bind(profile.version)
        .bind(&profile.text)
        .bind(&profile.why)
        .bind(&profile.actor)
        .bind(profile.saved_at.0)
        .execute(&mut *c)
        .await?;
        Ok(added.rows_affected() == 1)
    })
}

/// Every version of a profile, removed ones included, the newest first.
pub async fn list_profile_versions(tx: &mut Tx, name: &ProfileName) -> Result<Vec<SavedProfile>, StoreError> {
    let rows: Vec<ProfileRow> = on_db!(tx, |c| {
        sqlx::query_as(
        "SELECT name, version, text, why, actor, saved_at, removed_at FROM import_profiles WHERE name = $1
         ORDER BY version DESC"
    )
    .bind(name.as_str())
    .fetch_all(&mut *c)
    .await?
    });
    rows.into_iter().map(SavedProfile::try_from).collect()
}

/// The newest version of every profile that is offered, in the order of their names.
pub async fn list_profiles(tx: &mut Tx) -> Result<Vec<SavedProfile>, StoreError> {
    let rows: Vec<ProfileRow> = on_db!(tx, |c| sqlx::query_as(
        "SELECT name, version, text, why, actor, saved_at, removed_at FROM import_profiles p
         WHERE removed_at IS NULL
         AND version = (SELECT MAX(version) FROM import_profiles q WHERE q.name = p.name) ORDER BY name"
    )
    .fetch_all(&mut *c)
    .await?);
    rows.into_iter().map(SavedProfile::try_from).collect()
}

/// Takes all versions of a profile out of what is offered; `false` when none was.
pub async fn remove_profile(tx: &mut Tx, name: &ProfileName, at: Millis) -> Result<bool, StoreError> {
    on_db!(tx, |c| {
        let removed =
            sqlx::query("UPDATE import_profiles SET removed_at = $2 WHERE name = $1 AND removed_at IS NULL")
                .bind(name.as_str())
                .bind(at.0)
                .execute(&mut *c)
                .await?;
        Ok(removed.rows_affected() > 0)
    })
}

/// Versions of a profile with which runs began that did not come to their end.
pub async fn list_versions_begun(tx: &mut Tx, name: &ProfileName) -> Result<Vec<i64>, StoreError> {
    Ok(on_db!(tx, |c| {
        sqlx::query_scalar(
        "SELECT DISTINCT profile_version FROM imports WHERE profile = $1 AND state = $2 AND profile_version > 0
         ORDER BY profile_version DESC"
    )
    .bind(name.as_str())
    .bind(ImportState::Running.as_str())
    .fetch_all(&mut *c)
    .await?
    }))
}
