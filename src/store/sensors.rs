//! Devices under covers: the rows of their lives, what is remembered of their readings, and hours that are over.

use std::collections::HashMap;

use sqlx::{AssertSqlSafe, FromRow};
use uuid::Uuid;

use super::piece::{Piece, push_pieces};
use super::script::Script;
use super::sheet::{Sheet, cells};
use super::{StoreError, Tx, on_db};
use crate::domain::ids::{CoverId, Millis, SensorId};
use crate::domain::sensor::{Disarmed, Quantity, Sensor, SensorMark, SensorState};
use crate::domain::sensor_watch::{ReadingHour, SensorMemory};

/// A device with what is remembered of it.
#[derive(Debug, Clone, PartialEq)]
pub struct SensorRecord {
    pub sensor: Sensor,
    /// `None` = it never spoke.
    pub heard_at: Option<Millis>,
    pub alarmed: bool,
    pub low_battery: bool,
    pub memory: SensorMemory,
}

/// A device with the cover under which it is, as lists show it.
#[derive(Debug, Clone, PartialEq)]
pub struct SensorLine {
    pub record: SensorRecord,
    /// Scheme and digits.
    pub code: Option<(String, String)>,
    pub road: Option<String>,
}

/// Stands for "time alone will change nothing".
pub const NEVER: i64 = i64::MAX;

#[derive(FromRow)]
struct SensorRow {
    id: Uuid,
    serial: String,
    model: String,
    state: String,
    cover_id: Option<Uuid>,
    installed_at: Option<i64>,
    disarmed_until: Option<i64>,
    disarm_reason: Option<String>,
    created_at: i64,
    heard_at: i64,
    alarmed: bool,
    low_battery: bool,
    memory: String,
}

#[derive(FromRow)]
struct LineRow {
    #[sqlx(flatten)]
    sensor: SensorRow,
    scheme: Option<String>,
    code: Option<String>,
    road: Option<String>,
}

const SENSOR: &str =
    "s.id, s.serial, s.model, s.state, s.cover_id, s.installed_at, s.disarmed_until, s.disarm_reason,
    s.created_at, s.heard_at, s.alarmed, s.low_battery, s.memory";

impl TryFrom<SensorRow> for SensorRecord {
    type Error = StoreError;
    fn try_from(row: SensorRow) -> Result<Self, StoreError> {
        let broken = |column| StoreError::inconsistent("sensors", column, row.id);
        let disarmed = row
            .disarmed_until
            .map(|until| Disarmed { until: Millis(until), reason: row.disarm_reason.unwrap_or_default() });
        Ok(Self {
            sensor: Sensor {
                id: SensorId(row.id),
                state: row.state.parse().map_err(|_| broken("state"))?,
                serial: row.serial,
                model: row.model,
                cover: row.cover_id.map(CoverId),
                installed_at: row.installed_at.map(Millis),
                disarmed,
                created_at: Millis(row.created_at),
            },
            heard_at: (row.heard_at > 0).then_some(Millis(row.heard_at)),
            alarmed: row.alarmed,
            low_battery: row.low_battery,
            memory: serde_json::from_str(&row.memory).map_err(|_| broken("memory"))?,
        })
    }
}

impl TryFrom<LineRow> for SensorLine {
    type Error = StoreError;
    fn try_from(row: LineRow) -> Result<Self, StoreError> {
        Ok(Self { record: row.sensor.try_into()?, code: row.scheme.zip(row.code), road: row.road })
    }
}

/// Adds devices in stock; answers the serial numbers that were there already, with which nothing is added.
pub async fn add_sensors(tx: &mut Tx, sensors: &[Sensor]) -> Result<Vec<String>, StoreError> {
    let serials: Vec<&str> = sensors.iter().map(|sensor| sensor.serial.as_str()).collect();
    let known: Vec<String> = on_db!(tx, |c| {
        let mut query = sqlx::QueryBuilder::new("SELECT serial FROM sensors WHERE serial IN (");
        let mut list = query.separated(", ");
        for serial in serials {
            list.push_bind(serial);
        }
        query.push(") ORDER BY serial");
        query.build_query_scalar().fetch_all(&mut *c).await?
    });
    if !known.is_empty() {
        return Ok(known);
    }
    let columns = ["id", "serial", "model", "state", "created_at"];
    let row = |sensor| {
        let sensor: &Sensor = sensor;
        let (serial, model) = (sensor.serial.as_str(), sensor.model.as_str());
        cells![sensor.id.0, serial, model, sensor.state.as_str(), sensor.created_at.0]
    };
    let mut script = Script::new(tx.engine());
    script.add(Sheet::new("sensors", columns, sensors.iter().map(row)));
    script.execute(tx).await?;
    Ok(known)
}

/// Takes devices until the commit; those that nobody knows are left out.
pub async fn take_sensors(
    tx: &mut Tx,
    serials: &[String],
) -> Result<HashMap<String, SensorRecord>, StoreError> {
    if let Tx::Postgres(connection) = tx {
        // SQLite's one writer is alone anyway.
        sqlx::query("SELECT id FROM sensors WHERE serial = ANY($1) ORDER BY id FOR UPDATE")
            .bind(serials)
            .execute(&mut **connection)
            .await?;
    }
    let mut found = HashMap::with_capacity(serials.len());
    for some in serials.chunks(SERIALS) {
        let rows: Vec<SensorRow> = on_db!(tx, |c| {
            let mut query =
                sqlx::QueryBuilder::new(format!("SELECT {SENSOR} FROM sensors s WHERE s.serial IN ("));
            let mut list = query.separated(", ");
            for serial in some {
                list.push_bind(serial.as_str());
            }
            query.push(")");
            query.build_query_as().fetch_all(&mut *c).await?
        });
        for row in rows {
            found.insert(row.serial.clone(), SensorRecord::try_from(row)?);
        }
    }
    Ok(found)
}

/// Serial numbers of a statement.
const SERIALS: usize = 1000;

/// Keeps what is remembered of devices that were taken, and the hours that are over.
pub async fn keep_memories(
    tx: &mut Tx,
    records: &[(&SensorRecord, i64)],
    hours: &[(SensorId, ReadingHour)],
) -> Result<(), StoreError> {
    let mut texts = Vec::with_capacity(records.len());
    for (record, _) in records {
        texts.push(serde_json::to_string(&record.memory).expect("a memory is plain values"));
    }
    let mut script = Script::new(tx.engine());
    script.add(Sheet::changing(
        "UPDATE sensors SET heard_at = given.heard, next_at = given.next, alarmed = given.alarm,
            low_battery = given.low, memory = given.memory FROM given WHERE sensors.id = given.id",
        ["id", "heard", "next", "alarm", "low", "memory"],
        records.iter().zip(&texts).map(|((record, next), memory)| {
            let heard = record.heard_at.map_or(0, |at| at.0);
            cells![record.sensor.id.0, heard, *next, record.alarmed, record.low_battery, memory.as_str()]
        }),
    ));
    let columns = ["sensor_id", "quantity", "hour", "readings", "least", "most", "last"];
    script.add(Sheet::new(
        "sensor_hours",
        columns,
        hours.iter().map(|(sensor, hour)| {
            let ReadingHour { quantity, hour, count, least, most, last } = *hour;
            cells![sensor.0, quantity.as_str(), hour.0, count, least, most, last]
        }),
    ));
    match script.execute(tx).await? {
        true => Ok(()),
        false => Err(StoreError::inconsistent("sensors", "id", "a device that was taken")),
    }
}

/// Keeps where a device is in its life; its memory is kept apart.
pub async fn update_sensor(tx: &mut Tx, sensor: &Sensor) -> Result<(), StoreError> {
    on_db!(tx, |c| {
        sqlx::query(
            "UPDATE sensors SET state = $2, cover_id = $3, installed_at = $4, disarmed_until = $5, disarm_reason = $6
             WHERE id = $1",
        )
        .bind(sensor.id.0)
        .bind(sensor.state.as_str())
        .bind(sensor.cover.map(|cover| cover.0))
        .bind(sensor.installed_at.map(|at| at.0))
        .bind(sensor.disarmed.as_ref().map(|disarmed| disarmed.until.0))
        .bind(sensor.disarmed.as_ref().map(|disarmed| disarmed.reason.as_str()))
        .execute(&mut *c)
        .await?;
        Ok(())
    })
}

/// Devices for which time has come, by their serial numbers.
pub async fn list_due_sensors(tx: &mut Tx, now: Millis, limit: i64) -> Result<Vec<String>, StoreError> {
    on_db!(tx, |c| {
        // The second bound lets SQLite use the index, which has only those that wait for something.
        Ok(sqlx::query_scalar(
            "SELECT serial FROM sensors WHERE next_at <= $1 AND next_at < 9223372036854775807 ORDER BY next_at LIMIT $2",
        )
        .bind(now.0)
        .bind(limit)
        .fetch_all(&mut *c)
        .await?)
    })
}

/// What is asked of a list of devices.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct SensorFilter {
    pub state: Option<SensorState>,
    /// With the moment before which a silent device was last heard.
    pub mark: Option<(SensorMark, Millis)>,
    pub cover: Option<CoverId>,
    /// How the serial number begins.
    pub prefix: Option<String>,
    /// The last of the page before.
    pub after: Option<String>,
}

const LINE_TABLES: &str =
    "FROM sensors s LEFT JOIN covers c ON c.id = s.cover_id LEFT JOIN manholes h ON h.id = c.manhole_id";

/// A page of devices by their serial numbers.
pub async fn list_sensors(
    tx: &mut Tx,
    filter: &SensorFilter,
    limit: i64,
) -> Result<Vec<SensorLine>, StoreError> {
    let mut pieces = Vec::new();
    if let Some(state) = filter.state {
        pieces.extend([Piece::Sql(" AND s.state = "), Piece::Text(state.to_string())]);
    }
    match filter.mark {
        None => {}
        Some((SensorMark::Alarmed, _)) => {
            pieces.extend([Piece::Sql(" AND s.alarmed = "), Piece::Bool(true)]);
        }
        Some((SensorMark::LowBattery, _)) => {
            pieces.extend([Piece::Sql(" AND s.low_battery = "), Piece::Bool(true)]);
        }
        Some((SensorMark::Disarmed, _)) => pieces.push(Piece::Sql(" AND s.disarmed_until IS NOT NULL")),
        Some((SensorMark::Silent, before)) => pieces.extend([
            Piece::Sql(" AND s.state = 'installed' AND s.heard_at < "),
            Piece::Int(before.0),
            Piece::Sql(" AND s.installed_at < "),
            Piece::Int(before.0),
        ]),
    }
    if let Some(cover) = filter.cover {
        pieces.extend([Piece::Sql(" AND s.cover_id = "), Piece::Id(cover.0)]);
    }
    if let Some(prefix) = &filter.prefix {
        pieces.extend([Piece::Sql(" AND SUBSTR(s.serial, 1, LENGTH("), Piece::Text(prefix.clone())]);
        pieces.extend([Piece::Sql(")) = "), Piece::Text(prefix.clone())]);
    }
    if let Some(after) = &filter.after {
        pieces.extend([Piece::Sql(" AND s.serial > "), Piece::Text(after.clone())]);
    }
    let rows: Vec<LineRow> = on_db!(tx, |c| {
        let select =
            format!("SELECT {SENSOR}, c.scheme, c.code, h.road {LINE_TABLES} WHERE s.created_at >= 0");
        let mut query = sqlx::QueryBuilder::new(select);
        push_pieces!(query, pieces);
        query.push(" ORDER BY s.serial LIMIT ").push_bind(limit);
        query.build_query_as().fetch_all(&mut *c).await?
    });
    rows.into_iter().map(SensorLine::try_from).collect()
}

pub async fn find_sensor(tx: &mut Tx, serial: &str) -> Result<Option<SensorLine>, StoreError> {
    let row: Option<LineRow> = on_db!(tx, |c| {
        let sql = format!("SELECT {SENSOR}, c.scheme, c.code, h.road {LINE_TABLES} WHERE s.serial = $1");
        sqlx::query_as(AssertSqlSafe(sql)).bind(serial).fetch_optional(&mut *c).await?
    });
    row.map(SensorLine::try_from).transpose()
}

/// How many there are in each state, and for each mark; `silent_before` as in [`SensorFilter`].
pub async fn count_sensors(
    tx: &mut Tx,
    silent_before: Millis,
) -> Result<(HashMap<SensorState, i64>, HashMap<SensorMark, i64>), StoreError> {
    let rows: Vec<(String, i64, i64, i64, i64, i64)> = on_db!(tx, |c| {
        sqlx::query_as(
        "SELECT state, COUNT(*), COUNT(CASE WHEN alarmed = $1 THEN 1 END), COUNT(CASE WHEN low_battery = $1 THEN 1 END),
            COUNT(disarmed_until),
            COUNT(CASE WHEN state = 'installed' AND heard_at < $2 AND installed_at < $2 THEN 1 END)
         FROM sensors GROUP BY state"
    )
    .bind(true)
    .bind(silent_before.0)
    .fetch_all(&mut *c)
    .await?
    });
    let (mut states, mut marks) = (HashMap::new(), HashMap::new());
    for (state, count, alarmed, low, disarmed, silent) in rows {
        let state =
            state.parse().map_err(|_| StoreError::inconsistent("sensors", "state", "of some device"))?;
        states.insert(state, count);
        let counts = [
            (SensorMark::Alarmed, alarmed),
            (SensorMark::LowBattery, low),
            (SensorMark::Disarmed, disarmed),
            (SensorMark::Silent, silent),
        ];
        for (mark, count) in counts {
            *marks.entry(mark).or_default() += count;
        }
    }
    Ok((states, marks))
}

/// Hours of a device since a moment, the newest first.
pub async fn list_hours(
    tx: &mut Tx,
    sensor: SensorId,
    quantity: Quantity,
    since: Millis,
    limit: i64,
) -> Result<Vec<ReadingHour>, StoreError> {
    let rows: Vec<(i64, i64, f64, f64, f64)> = on_db!(tx, |c| sqlx::query_as(
        "SELECT hour, readings, least, most, last FROM sensor_hours
         WHERE sensor_id = $1 AND quantity = $2 AND hour >= $3 ORDER BY hour DESC LIMIT $4"
    )
    .bind(sensor.0)
    .bind(quantity.as_str())
    .bind(since.0)
    .bind(limit)
    .fetch_all(&mut *c)
    .await?);
    let hour = |(hour, count, least, most, last)| ReadingHour {
        quantity,
        hour: Millis(hour),
        count,
        least,
        most,
        last,
    };
    Ok(rows.into_iter().map(hour).collect())
}

/// Clears hours before a moment away; answers how many.
pub async fn clear_hours(tx: &mut Tx, before: Millis) -> Result<u64, StoreError> {
    on_db!(tx, |c| {
        let cleared =
            sqlx::query("DELETE FROM sensor_hours WHERE hour < $1").bind(before.0).execute(&mut *c).await?;
        Ok(cleared.rows_affected())
    })
}
