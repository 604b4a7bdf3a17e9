//! New manholes, covers and plates by the thousand: many rows a statement instead of one.

use super::{StoreError, Tx, on_db};
use crate::domain::code::ComponentCode;
use crate::domain::cover::Candidate;
use crate::domain::history::HistoryEntry;
use crate::domain::ids::{CoverId, ManholeId, Millis, PartyId};
use crate::domain::plate::Plate;

/// A cover that a census adds, with its manhole and the first entry of its file.
#[derive(Debug, Clone)]
pub struct NewCover<'a> {
    pub cover: CoverId,
    pub manhole: ManholeId,
    pub code: ComponentCode,
    pub candidate: &'a Candidate,
    pub owner: Option<PartyId>,
    pub maintainer: Option<PartyId>,
    pub supervisor: Option<PartyId>,
    pub source: &'a str,
    pub first_entry: HistoryEntry,
}

/// Rows a statement: below SQLite's 32 766 variables and PostgreSQL's 65 535 at 18 columns.
const ROWS: usize = 500;

/// Writes new covers with their manholes and files; the change feed is the caller's.
pub async fn insert_covers(tx: &mut Tx, rows: &[NewCover<'_>], at: Millis) -> Result<(), StoreError> {
    for chunk in rows.chunks(ROWS) {
        insert_manholes(tx, chunk, at).await?;
        insert_cover_rows(tx, chunk).await?;
        insert_first_entries(tx, chunk).await?;
    }
    Ok(())
}

async fn insert_manholes(tx: &mut Tx, chunk: &[NewCover<'_>], at: Millis) -> Result<(), StoreError> {
    on_db!(tx, |c| {
        let mut query = sqlx::QueryBuilder::new(
            "INSERT INTO manholes (id, district, road, address, placement, lon, lat, quadkey, raw_x, raw_y, raw_epsg,
             position_method, accuracy_m, surveyed_at, device, history_length, history_hash, created_at) ",
        );
        query.push_values(chunk, |mut row, new| {
            let (survey, position) = (&new.candidate.survey, &new.candidate.survey.position);
            row.push_bind(new.manhole.0)
                .push_bind(survey.district.as_str())
                .push_bind(survey.road.as_deref())
                .push_bind(survey.address.as_deref())
                .push_bind(survey.placement.map(|word| word.as_str()))
                .push_bind(position.lon)
                .push_bind(position.lat)
                .push_bind(position.quadkey())
                .push_bind(position.raw.x)
                .push_bind(position.raw.y)
                .push_bind(i64::from(position.raw.epsg))
                .push_bind(position.method.as_str())
                .push_bind(position.accuracy_m)
                .push_bind(position.surveyed_at.map(|at| at.0))
                .push_bind(position.device.as_deref())
                .push_bind(new.first_entry.sequence)
                .push_bind(new.first_entry.hash.as_slice())
                .push_bind(at.0);
        });
        query.build().execute(&mut *c).await?;
        Ok(())
    })
}

async fn insert_cover_rows(tx: &mut Tx, chunk: &[NewCover<'_>]) -> Result<(), StoreError> {
    on_db!(tx, |c| {
        let mut query = sqlx::QueryBuilder::new(
            "INSERT INTO covers (id, manhole_id, scheme, code, class, state, material, shape, load_class, owner_id,
             maintainer_id, supervisor_id, source, source_key, extra, version) ",
        );
        query.push_values(chunk, |mut row, new| {
            let survey = &new.candidate.survey;
            let extra = if survey.extra.is_empty() {
                "{}".to_owned()
            } else {
                serde_json::to_string(&survey.extra).expect("a map of strings is always JSON")
            };
            row.push_bind(new.cover.0)
                .push_bind(new.manhole.0)
                .push_bind(new.code.scheme.as_str())
                .push_bind(new.code.digits.as_str())
                .push_bind(survey.class.as_str())
                .push_bind(survey.state.as_str())
                .push_bind(survey.material.map(|word| word.as_str()))
                .push_bind(survey.shape.map(|word| word.as_str()))
                .push_bind(survey.load_class.map(|word| word.as_str()))
                .push_bind(new.owner.map(|party| party.0))
                .push_bind(new.maintainer.map(|party| party.0))
                .push_bind(new.supervisor.map(|party| party.0))
                .push_bind(new.source)
                .push_bind(new.candidate.source_key.as_deref())
                .push_bind(extra)
                .push_bind(1i64);
        });
        query.build().execute(&mut *c).await?;
        Ok(())
    })
}

async fn insert_first_entries(tx: &mut Tx, chunk: &[NewCover<'_>]) -> Result<(), StoreError> {
    on_db!(tx, |c| {
        let mut query = sqlx::QueryBuilder::new(
            "INSERT INTO history (manhole_id, sequence, at, actor, kind, case_id, body, hash) ",
        );
        query.push_values(chunk, |mut row, new| {
            let entry = &new.first_entry;
            row.push_bind(entry.manhole.0)
                .push_bind(entry.sequence)
                .push_bind(entry.at.0)
                .push_bind(entry.actor.as_str())
                .push_bind(entry.kind.as_str())
                .push_bind(entry.case.map(|case| case.0))
                .push_bind(entry.body.as_str())
                .push_bind(entry.hash.as_slice());
        });
        query.build().execute(&mut *c).await?;
        Ok(())
    })
}

/// Writes the plates of a batch.
pub async fn insert_plates(tx: &mut Tx, plates: &[Plate]) -> Result<(), StoreError> {
    for chunk in plates.chunks(ROWS) {
        on_db!(tx, |c| {
            let mut query = sqlx::QueryBuilder::new(
                "INSERT INTO plates (token, batch_id, ordinal, state, payload, qr_version, qr_level, qr_mask, cover_id,
                 manhole_id, printed_code, page, place_on_page, state_at) ",
            );
            query.push_values(chunk, |mut row, plate| {
                row.push_bind(plate.token.to_i64())
                    .push_bind(plate.batch.0)
                    .push_bind(plate.ordinal)
                    .push_bind(plate.state.as_str())
                    .push_bind(plate.payload.as_str())
                    .push_bind(i64::from(plate.symbol.version))
                    .push_bind(plate.symbol.level.to_string())
                    .push_bind(i64::from(plate.symbol.mask))
                    .push_bind(plate.cover.map(|cover| cover.0))
                    .push_bind(plate.manhole.map(|manhole| manhole.0))
                    .push_bind(plate.printed_code.as_deref())
                    .push_bind(plate.page)
                    .push_bind(plate.place_on_page)
                    .push_bind(plate.state_at.0);
            });
            query.build().execute(&mut *c).await?;
        });
    }
    Ok(())
}
