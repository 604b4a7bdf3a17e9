//! New manholes, covers and plates by the thousand: many rows a statement instead of one.

use std::borrow::Cow;

use super::sheet::{Sheet, Statement, cells};
use super::{EngineKind, StoreError, Tx};
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

/// The statements that write new covers with their manholes and files; the change feed is the caller's.
pub fn prepare_covers(engine: EngineKind, mut rows: Vec<NewCover<'_>>, at: Millis) -> Vec<Statement> {
    let bodies: Vec<String> = rows.iter_mut().map(|new| std::mem::take(&mut new.first_entry.body)).collect();
    let mut statements = manholes(&rows, at).into_statements(engine);
    statements.extend(covers(&rows).into_statements(engine));
    statements.extend(first_entries(&rows, bodies).into_statements(engine));
    statements
}

/// Runs prepared statements in their order.
pub async fn execute(tx: &mut Tx, statements: Vec<Statement>) -> Result<(), StoreError> {
    for statement in statements {
        statement.execute(tx).await?;
    }
    Ok(())
}

fn manholes<'r>(rows: &'r [NewCover<'_>], at: Millis) -> Sheet<'r, 18> {
    let columns = [
        "id",
        "district",
        "road",
        "address",
        "placement",
        "lon",
        "lat",
        "quadkey",
        "raw_x",
        "raw_y",
        "raw_epsg",
        "position_method",
        "accuracy_m",
        "surveyed_at",
        "device",
        "history_length",
        "history_hash",
        "created_at",
    ];
    let row = move |new: &'r NewCover<'_>| {
        let (survey, position) = (&new.candidate.survey, &new.candidate.survey.position);
        cells![
            new.manhole.0,
            survey.district.as_str(),
            survey.road.as_deref(),
            survey.address.as_deref(),
            survey.placement.map(|word| word.as_str()),
            position.lon,
            position.lat,
            position.quadkey(),
            position.raw.x,
            position.raw.y,
            i64::from(position.raw.epsg),
            position.method.as_str(),
            position.accuracy_m,
            position.surveyed_at.map(|at| at.0),
            position.device.as_deref(),
            new.first_entry.sequence,
            new.first_entry.hash.as_slice(),
            at.0,
        ]
    };
    Sheet::new("manholes", columns, rows.iter().map(row))
}

fn covers<'r>(rows: &'r [NewCover<'_>]) -> Sheet<'r, 16> {
    let columns = [
        "id",
        "manhole_id",
        "scheme",
        "code",
        "class",
        "state",
        "material",
        "shape",
        "load_class",
        "owner_id",
        "maintainer_id",
        "supervisor_id",
        "source",
        "source_key",
        "extra",
        "version",
    ];
    let row = |new: &'r NewCover<'_>| {
        let survey = &new.candidate.survey;
        let extra = if survey.extra.is_empty() {
            Cow::Borrowed("{}")
        } else {
            Cow::Owned(serde_json::to_string(&survey.extra).expect("a map of strings is always JSON"))
        };
        cells![
            new.cover.0,
            new.manhole.0,
            new.code.scheme.as_str(),
            new.code.digits.as_str(),
            survey.class.as_str(),
            survey.state.as_str(),
            survey.material.map(|word| word.as_str()),
            survey.shape.map(|word| word.as_str()),
            survey.load_class.map(|word| word.as_str()),
            new.owner.map(|party| party.0),
            new.maintainer.map(|party| party.0),
            new.supervisor.map(|party| party.0),
            new.source,
            new.candidate.source_key.as_deref(),
            extra,
            1i64,
        ]
    };
    Sheet::new("covers", columns, rows.iter().map(row))
}

fn first_entries<'r>(rows: &'r [NewCover<'_>], bodies: Vec<String>) -> Sheet<'r, 8> {
    let columns = ["manhole_id", "sequence", "at", "actor", "kind", "case_id", "body", "hash"];
    let row = |(new, body): (&'r NewCover<'_>, String)| {
        let entry = &new.first_entry;
        cells![
            entry.manhole.0,
            entry.sequence,
            entry.at.0,
            entry.actor.as_str(),
            entry.kind.as_str(),
            entry.case.map(|case| case.0),
            body,
            entry.hash.as_slice(),
        ]
    };
    Sheet::new("history", columns, rows.iter().zip(bodies).map(row))
}

/// Writes the plates of a batch.
pub async fn insert_plates(tx: &mut Tx, plates: &[Plate]) -> Result<(), StoreError> {
    let columns = [
        "token",
        "batch_id",
        "ordinal",
        "state",
        "payload",
        "qr_version",
        "qr_level",
        "qr_mask",
        "cover_id",
        "manhole_id",
        "printed_code",
        "page",
        "place_on_page",
        "state_at",
    ];
    let row = |plate: &'_ Plate| {
        cells![
            plate.token.to_i64(),
            plate.batch.0,
            plate.ordinal,
            plate.state.as_str(),
            plate.payload.clone(),
            i64::from(plate.symbol.version),
            plate.symbol.level.to_string(),
            i64::from(plate.symbol.mask),
            plate.cover.map(|cover| cover.0),
            plate.manhole.map(|manhole| manhole.0),
            plate.printed_code.clone(),
            plate.page,
            plate.place_on_page,
            plate.state_at.0,
        ]
    };
    let sheet = Sheet::new("plates", columns, plates.iter().map(row));
    let engine = tx.engine();
    execute(tx, sheet.into_statements(engine)).await
}
