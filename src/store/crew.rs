//! What crews did, one row an action.

use super::{StoreError, Tx, on_db};
use crate::domain::crew::CrewKind;
use crate::domain::ids::{CaseId, CoverId, IdempotencyKey, Millis, UserId};
use crate::domain::plate::PlateFix;
use crate::domain::token::Token;

/// An action that was carried out.
#[derive(Debug, Clone, PartialEq)]
pub struct ActionRow {
    pub id: IdempotencyKey,
    pub user: UserId,
    pub kind: CrewKind,
    pub at: Millis,
    /// By the phone's clock.
    pub done_at: Millis,
    pub cover: Option<CoverId>,
    pub token: Option<Token>,
    pub case: Option<CaseId>,
    /// What a check found, what became of a plate; `None` where the kind says it all.
    pub result: Option<&'static str>,
    pub note: Option<String>,
    pub fix: Option<PlateFix>,
    /// The refused action to which this is the answer.
    pub answers: Option<IdempotencyKey>,
}

pub async fn add_action(tx: &mut Tx, row: &ActionRow) -> Result<(), StoreError> {
    on_db!(tx, |c| {
        sqlx::query(
            "INSERT INTO crew_actions (id, user_id, kind, at, done_at, cover_id, token, case_id, result, note,
                 lon, lat, accuracy_m, distance_m, answers)
             VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11, $12, $13, $14, $15)",
        )
        .bind(row.id.0)
        .bind(row.user.0)
        .bind(row.kind.as_str())
        .bind(row.at.0)
        .bind(row.done_at.0)
        .bind(row.cover.map(|cover| cover.0))
        .bind(row.token.map(Token::to_i64))
        .bind(row.case.map(|case| case.0))
        .bind(row.result)
        .bind(&row.note)
        .bind(row.fix.map(|fix| fix.lon))
        .bind(row.fix.map(|fix| fix.lat))
        .bind(row.fix.and_then(|fix| fix.accuracy_m))
        .bind(row.fix.and_then(|fix| fix.distance_m))
        .bind(row.answers.map(|answers| answers.0))
        .execute(&mut *c)
        .await?;
        Ok(())
    })
}

/// A place where somebody says that they met the plate of a cover.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Sighting {
    pub lon: f64,
    pub lat: f64,
    pub accuracy_m: f64,
}

/// Positions that came with reports on a cover and with checks of it after `since`.
pub async fn list_sightings(tx: &mut Tx, cover: CoverId, since: Millis) -> Result<Vec<Sighting>, StoreError> {
    let rows: Vec<(f64, f64, Option<f64>)> = on_db!(tx, |c| {
        sqlx::query_as(
            "SELECT r.phone_lon, r.phone_lat, r.phone_accuracy_m FROM reports r JOIN cases k ON k.id = r.case_id
             WHERE k.cover_id = $1 AND r.created_at > $2 AND r.phone_lon IS NOT NULL
             UNION ALL
             SELECT a.lon, a.lat, a.accuracy_m FROM crew_actions a
             WHERE a.cover_id = $1 AND a.at > $2 AND a.kind = 'check' AND a.lon IS NOT NULL",
        )
        .bind(cover.0)
        .bind(since.0)
        .fetch_all(&mut *c)
        .await?
    });
    let sighting = |(lon, lat, accuracy_m): (f64, f64, Option<f64>)| Sighting {
        lon,
        lat,
        accuracy_m: accuracy_m.unwrap_or_default(),
    };
    Ok(rows.into_iter().map(sighting).collect())
}

/// When a case of this hazard was last opened on a cover.
pub async fn find_last_case(
    tx: &mut Tx,
    cover: CoverId,
    hazard: &'static str,
) -> Result<Option<Millis>, StoreError> {
    let at: Option<i64> = on_db!(tx, |c| {
        sqlx::query_scalar("SELECT MAX(created_at) FROM cases WHERE cover_id = $1 AND hazard = $2")
            .bind(cover.0)
            .bind(hazard)
            .fetch_one(&mut *c)
            .await?
    });
    Ok(at.map(Millis))
}
