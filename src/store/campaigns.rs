//! Campaigns and patrol plans, and their streets.

use sqlx::{AssertSqlSafe, FromRow};
use uuid::Uuid;

use super::sheet::{Sheet, cells};
use super::{StoreError, Tx, bulk, on_db};
use crate::domain::campaign::{CampaignStage, CampaignState, Repeat, Scope, Street};
use crate::domain::ids::{CampaignId, CoverId, Millis, UserId};
use crate::domain::task::TaskKind;

/// One campaign as it is kept.
#[derive(Debug, Clone, PartialEq)]
pub struct Campaign {
    pub id: CampaignId,
    pub name: String,
    /// What its tasks are.
    pub kind: TaskKind,
    pub state: CampaignState,
    pub scope: Scope,
    /// TOML.
    pub checklist: String,
    /// Among whom the streets are divided; empty = any crew.
    pub crews: Vec<UserId>,
    /// `None` = it has one round.
    pub repeat: Option<Repeat>,
    pub from_at: Millis,
    /// First moment at which it is over.
    pub until_at: Millis,
    /// The newest round; 0 = none yet.
    pub round: i64,
    pub round_from: Millis,
    pub round_until: Millis,
    pub stage: CampaignStage,
    /// Covers up to here have their task of this round.
    pub cursor: Option<CoverId>,
    pub actor: String,
    pub created_at: Millis,
    pub ended_at: Option<Millis>,
    pub version: i64,
}

#[derive(FromRow)]
struct CampaignRow {
    id: Uuid,
    name: String,
    kind: String,
    state: String,
    scope: String,
    checklist: String,
    crews: String,
    repeat_rule: Option<String>,
    from_at: i64,
    until_at: i64,
    round: i64,
    round_from: i64,
    round_until: i64,
    stage: String,
    cursor: Option<Uuid>,
    actor: String,
    created_at: i64,
    ended_at: Option<i64>,
    version: i64,
}

impl TryFrom<CampaignRow> for Campaign {
    type Error = StoreError;
    fn try_from(row: CampaignRow) -> Result<Self, StoreError> {
        let id = CampaignId(row.id);
        let broken = |column| StoreError::inconsistent("campaigns", column, id);
        Ok(Self {
            id,
            name: row.name,
            kind: row.kind.parse().map_err(|_| broken("kind"))?,
            state: row.state.parse().map_err(|_| broken("state"))?,
            scope: serde_json::from_str(&row.scope).map_err(|_| broken("scope"))?,
            checklist: row.checklist,
            crews: serde_json::from_str(&row.crews).map_err(|_| broken("crews"))?,
            repeat: row
                .repeat_rule
                .as_deref()
                .map(str::parse)
                .transpose()
                .map_err(|_| broken("repeat_rule"))?,
            from_at: Millis(row.from_at),
            until_at: Millis(row.until_at),
            round: row.round,
            round_from: Millis(row.round_from),
            round_until: Millis(row.round_until),
            stage: row.stage.parse().map_err(|_| broken("stage"))?,
            cursor: row.cursor.map(CoverId),
            actor: row.actor,
            created_at: Millis(row.created_at),
            ended_at: row.ended_at.map(Millis),
            version: row.version,
        })
    }
}

const CAMPAIGN: &str =
    "SELECT id, name, kind, state, scope, checklist, crews, repeat_rule, from_at, until_at, round,
    round_from, round_until, stage, cursor, actor, created_at, ended_at, version FROM campaigns ";

fn json<T: serde::Serialize>(value: &T) -> String {
    serde_json::to_string(value).expect("plain values with texts for keys")
}

pub async fn add_campaign(tx: &mut Tx, campaign: &Campaign) -> Result<(), StoreError> {
    on_db!(tx, |c| {
        sqlx::query(
            "INSERT INTO campaigns (id, name, kind, state, scope, checklist, crews, repeat_rule, from_at, until_at,
             round, round_from, round_until, stage, cursor, actor, created_at, ended_at, version)
             VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11, $12, $13, $14, $15, $16, $17, $18, $19)",
        )
        .bind(campaign.id.0)
        .bind(&campaign.name)
        .bind(campaign.kind.as_str())
        .bind(campaign.state.as_str())
        .bind(json(&campaign.scope))
        .bind(&campaign.checklist)
        .bind(json(&campaign.crews))
        .bind(campaign.repeat.as_ref().map(ToString::to_string))
        .bind(campaign.from_at.0)
        .bind(campaign.until_at.0)
        .bind(campaign.round)
        .bind(campaign.round_from.0)
        .bind(campaign.round_until.0)
        .bind(campaign.stage.as_str())
        .bind(campaign.cursor.map(|cover| cover.0))
        .bind(&campaign.actor)
        .bind(campaign.created_at.0)
        .bind(campaign.ended_at.map(|at| at.0))
        .bind(campaign.version)
        .execute(&mut *c)
        .await?;
        Ok(())
    })
}

/// Where it stands now; what it is about never changes.
pub async fn update_campaign(tx: &mut Tx, campaign: &Campaign) -> Result<(), StoreError> {
    on_db!(tx, |c| {
        sqlx::query(
            "UPDATE campaigns SET state = $2, round = $3, round_from = $4, round_until = $5, stage = $6, cursor = $7,
             ended_at = $8, version = $9 WHERE id = $1",
        )
        .bind(campaign.id.0)
        .bind(campaign.state.as_str())
        .bind(campaign.round)
        .bind(campaign.round_from.0)
        .bind(campaign.round_until.0)
        .bind(campaign.stage.as_str())
        .bind(campaign.cursor.map(|cover| cover.0))
        .bind(campaign.ended_at.map(|at| at.0))
        .bind(campaign.version)
        .execute(&mut *c)
        .await?;
        Ok(())
    })
}

pub async fn find_campaign(tx: &mut Tx, id: CampaignId) -> Result<Option<Campaign>, StoreError> {
    let row: Option<CampaignRow> = on_db!(tx, |c| {
        let sql = format!("{CAMPAIGN} WHERE id = $1");
        sqlx::query_as(AssertSqlSafe(sql)).bind(id.0).fetch_optional(&mut *c).await?
    });
    row.map(Campaign::try_from).transpose()
}

/// Takes it until the commit, so that two servers do not make its tasks at once.
pub async fn lock_campaign(tx: &mut Tx, id: CampaignId) -> Result<Option<Campaign>, StoreError> {
    on_db!(tx, |c| {
        sqlx::query("UPDATE campaigns SET version = version WHERE id = $1")
            .bind(id.0)
            .execute(&mut *c)
            .await?;
    });
    find_campaign(tx, id).await
}

/// The newest before `before`.
pub async fn list_campaigns(
    tx: &mut Tx,
    before: Option<CampaignId>,
    limit: i64,
) -> Result<Vec<Campaign>, StoreError> {
    let rows: Vec<CampaignRow> = on_db!(tx, |c| {
        let sql = format!("{CAMPAIGN} WHERE id < $1 ORDER BY id DESC LIMIT $2");
        let before = before.map_or(Uuid::max(), |id| id.0);
        sqlx::query_as(AssertSqlSafe(sql)).bind(before).bind(limit).fetch_all(&mut *c).await?
    });
    rows.into_iter().map(Campaign::try_from).collect()
}

/// Those that are under way.
pub async fn list_running(tx: &mut Tx) -> Result<Vec<Campaign>, StoreError> {
    let rows: Vec<CampaignRow> = on_db!(tx, |c| {
        let sql = format!("{CAMPAIGN} WHERE state = 'running' ORDER BY id");
        sqlx::query_as(AssertSqlSafe(sql)).fetch_all(&mut *c).await?
    });
    rows.into_iter().map(Campaign::try_from).collect()
}

/// Those that are over and have open tasks still.
pub async fn list_unsettled(tx: &mut Tx) -> Result<Vec<CampaignId>, StoreError> {
    let rows: Vec<Uuid> = on_db!(tx, |c| sqlx::query_scalar(
        "SELECT k.id FROM campaigns k WHERE k.state IN ('closed', 'withdrawn')
         AND EXISTS (SELECT 1 FROM tasks t WHERE t.campaign_id = k.id AND t.state = 'open') ORDER BY k.id"
    )
    .fetch_all(&mut *c)
    .await?);
    Ok(rows.into_iter().map(CampaignId).collect())
}

/// Puts these streets in the place of those of the round before.
pub async fn set_streets(tx: &mut Tx, id: CampaignId, streets: &[Street]) -> Result<(), StoreError> {
    on_db!(tx, |c| {
        sqlx::query("DELETE FROM campaign_streets WHERE campaign_id = $1")
            .bind(id.0)
            .execute(&mut *c)
            .await?;
    });
    let columns = ["campaign_id", "district", "road", "covers", "crew_id"];
    let row = |street: &Street| {
        let (district, road) = (street.district.clone(), street.road.clone());
        cells![id.0, district, road, street.covers, street.crew.map(|crew| crew.0)]
    };
    let engine = tx.engine();
    bulk::execute(
        tx,
        Sheet::new("campaign_streets", columns, streets.iter().map(row)).into_statements(engine),
    )
    .await
}

#[derive(FromRow)]
struct StreetRow {
    district: String,
    road: String,
    covers: i64,
    crew_id: Option<Uuid>,
}

/// The streets of the newest round, by district and road.
pub async fn list_streets(tx: &mut Tx, id: CampaignId) -> Result<Vec<Street>, StoreError> {
    let rows: Vec<StreetRow> = on_db!(tx, |c| {
        sqlx::query_as(
        "SELECT district, road, covers, crew_id FROM campaign_streets WHERE campaign_id = $1 ORDER BY district, road"
    )
    .bind(id.0)
    .fetch_all(&mut *c)
    .await?
    });
    let street = |row: StreetRow| Street {
        district: row.district,
        road: row.road,
        covers: row.covers,
        crew: row.crew_id.map(UserId),
    };
    Ok(rows.into_iter().map(street).collect())
}
