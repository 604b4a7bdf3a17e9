//! What the quality pages count: of every cover in use, which facts are known.

use std::collections::BTreeMap;

use sqlx::{AssertSqlSafe, FromRow};
use uuid::Uuid;

use super::covers::list_by_key;
use super::{StoreError, Tx, on_db};
use crate::domain::cover::{CoverClass, LoadClass, Material, Placement, Shape};
use crate::domain::ids::{CoverId, ManholeId};
use crate::domain::quality::{Attached, FileSketch};

/// A cover in use with what is known of it.
#[derive(Debug, Clone, PartialEq)]
pub struct QualityRow {
    pub cover: CoverId,
    pub manhole: ManholeId,
    pub district: String,
    /// `installed` is not filled in: which columns say it is a rule.
    pub sketch: FileSketch,
    pub extra: BTreeMap<String, String>,
}

#[derive(FromRow)]
struct QualitySql {
    id: Uuid,
    manhole_id: Uuid,
    district: String,
    class: String,
    placement: Option<String>,
    material: Option<String>,
    shape: Option<String>,
    load_class: Option<String>,
    has_owner: bool,
    has_maintainer: bool,
    has_supervisor: bool,
    has_road: bool,
    has_address: bool,
    has_accuracy: bool,
    has_survey: bool,
    has_plate: bool,
    has_photo: bool,
    extra: String,
}

const ROW: &str =
    "SELECT c.id, c.manhole_id, h.district, c.class, h.placement, c.material, c.shape, c.load_class,
    c.owner_id IS NOT NULL AS has_owner, c.maintainer_id IS NOT NULL AS has_maintainer,
    c.supervisor_id IS NOT NULL AS has_supervisor, h.road IS NOT NULL AS has_road,
    h.address IS NOT NULL AS has_address, h.accuracy_m IS NOT NULL AS has_accuracy,
    h.surveyed_at IS NOT NULL AS has_survey,
    EXISTS (SELECT 1 FROM plates p WHERE p.cover_id = c.id AND p.state = 'installed') AS has_plate,
    EXISTS (SELECT 1 FROM photos f WHERE f.manhole_id = c.manhole_id AND f.cover_id = c.id) AS has_photo,
    c.extra
    FROM covers c JOIN manholes h ON h.id = c.manhole_id AND c.retired_at IS NULL ";

impl TryFrom<QualitySql> for QualityRow {
    type Error = StoreError;
    fn try_from(row: QualitySql) -> Result<Self, StoreError> {
        let broken = |column| StoreError::inconsistent("covers", column, row.id);
        fn word<T: std::str::FromStr>(text: Option<&String>) -> Result<Option<T>, T::Err> {
            text.map(|text| text.parse()).transpose()
        }
        Ok(Self {
            cover: CoverId(row.id),
            manhole: ManholeId(row.manhole_id),
            sketch: FileSketch {
                class: row.class.parse::<CoverClass>().map_err(|_| broken("class"))?,
                placement: word::<Placement>(row.placement.as_ref()).map_err(|_| broken("placement"))?,
                material: word::<Material>(row.material.as_ref()).map_err(|_| broken("material"))?,
                shape: word::<Shape>(row.shape.as_ref()).map_err(|_| broken("shape"))?,
                load_class: word::<LoadClass>(row.load_class.as_ref()).map_err(|_| broken("load_class"))?,
                owner: row.has_owner,
                maintainer: row.has_maintainer,
                supervisor: row.has_supervisor,
                road: row.has_road,
                address: row.has_address,
                accuracy: row.has_accuracy,
                surveyed_at: row.has_survey,
                installed: None,
                attached: Attached { plate: row.has_plate, photo: row.has_photo },
            },
            extra: match row.extra.as_str() {
                "{}" => BTreeMap::new(),
                text => serde_json::from_str(text).map_err(|_| broken("extra"))?,
            },
            district: row.district,
        })
    }
}

/// Covers in use in the order of their ids, after `after`.
pub async fn list_quality_rows(
    tx: &mut Tx,
    after: Option<CoverId>,
    limit: i64,
) -> Result<Vec<QualityRow>, StoreError> {
    let rows: Vec<QualitySql> = on_db!(tx, |c| {
        let sql = format!("{ROW} WHERE c.id > $1 ORDER BY c.id LIMIT $2");
        sqlx::query_as(AssertSqlSafe(sql))
            .bind(after.map_or(Uuid::nil(), |id| id.0))
            .bind(limit)
            .fetch_all(&mut *c)
            .await?
    });
    rows.into_iter().map(QualityRow::try_from).collect()
}

/// These covers, as far as they are in use.
pub async fn list_quality_rows_by_id(tx: &mut Tx, ids: &[CoverId]) -> Result<Vec<QualityRow>, StoreError> {
    let ids: Vec<Uuid> = ids.iter().map(|id| id.0).collect();
    let rows: Vec<QualitySql> = list_by_key(tx, ROW, "c.id", &ids).await?;
    rows.into_iter().map(QualityRow::try_from).collect()
}
