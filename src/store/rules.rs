//! Versions of a city's rules, and what the rules need to know of the city.

use sqlx::FromRow;
use uuid::Uuid;

use super::{StoreError, Tx, on_db};
use crate::domain::cover::CoverClass;
use crate::domain::ids::{Millis, PartyId};
use crate::domain::rule_set::RuleVersion;

#[derive(FromRow)]
struct VersionRow {
    kind: String,
    version: i64,
    valid_from: i64,
    text: String,
    note: String,
    actor: String,
    created_at: i64,
}

/// Every version of every kind, oldest first. They are few.
pub async fn list_versions(tx: &mut Tx) -> Result<Vec<RuleVersion>, StoreError> {
    let rows: Vec<VersionRow> = on_db!(tx, |c| {
        sqlx::query_as(
            "SELECT kind, version, valid_from, text, note, actor, created_at FROM rule_versions
             ORDER BY kind, version",
        )
        .fetch_all(&mut *c)
        .await?
    });
    rows.into_iter()
        .map(|row| {
            let kind = row
                .kind
                .parse()
                .map_err(|_| StoreError::inconsistent("rule_versions", "kind", row.version))?;
            Ok(RuleVersion {
                kind,
                version: row.version,
                valid_from: Millis(row.valid_from),
                text: row.text,
                note: row.note,
                actor: row.actor,
                created_at: Millis(row.created_at),
            })
        })
        .collect()
}

pub async fn add_version(tx: &mut Tx, rules: &RuleVersion) -> Result<(), StoreError> {
    on_db!(tx, |c| {
        sqlx::query(
            "INSERT INTO rule_versions (kind, version, valid_from, text, note, actor, created_at)
             VALUES ($1, $2, $3, $4, $5, $6, $7)",
        )
        .bind(rules.kind.as_str())
        .bind(rules.version)
        .bind(rules.valid_from.0)
        .bind(&rules.text)
        .bind(&rules.note)
        .bind(&rules.actor)
        .bind(rules.created_at.0)
        .execute(&mut *c)
        .await?;
        Ok(())
    })
}

/// By what a copy of the rules in memory is known to be the newest: how many versions and parties there
/// are, and the weather mode as it stands in the settings.
#[derive(Debug, Clone, PartialEq, Eq, FromRow)]
pub struct RulesMark {
    pub versions: i64,
    pub parties: i64,
    pub weather: Option<String>,
}

/// Key of the weather mode in the settings.
pub const WEATHER: &str = "weather_mode";

pub async fn find_mark(tx: &mut Tx) -> Result<RulesMark, StoreError> {
    on_db!(tx, |c| {
        Ok(sqlx::query_as(
            "SELECT (SELECT COUNT(*) FROM rule_versions) AS versions, (SELECT COUNT(*) FROM parties) AS parties,
             (SELECT value FROM settings WHERE key = $1) AS weather",
        )
        .bind(WEATHER)
        .fetch_one(&mut *c)
        .await?)
    })
}

/// Who looks after covers in use, by class: the maintainer, or where there is none the owner. Reads every cover, and
/// sorts what is left here: told to group or to sort, SQLite would sort all covers, a gigabyte at ten million.
pub async fn list_lookers_after(tx: &mut Tx) -> Result<Vec<(CoverClass, PartyId)>, StoreError> {
    let mut rows: Vec<(String, Uuid)> = on_db!(tx, |c| {
        sqlx::query_as(
            "SELECT DISTINCT class, COALESCE(maintainer_id, owner_id) AS party FROM covers
             WHERE retired_at IS NULL AND (maintainer_id IS NOT NULL OR owner_id IS NOT NULL)",
        )
        .fetch_all(&mut *c)
        .await?
    });
    rows.sort_unstable();
    rows.into_iter()
        .map(|(class, party)| {
            let class = class.parse().map_err(|_| StoreError::inconsistent("covers", "class", party))?;
            Ok((class, PartyId(party)))
        })
        .collect()
}
