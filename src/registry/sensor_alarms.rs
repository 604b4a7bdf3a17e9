//! What alarms of devices come to: a case by the way of every other report, a line in its file when the device is quiet
//! again, a mark where the device itself wants looking after. And what time alone does: holds that end, planned work
//! that is over.

use std::collections::BTreeSet;

use serde_json::{Map, json};

use super::case_flow::Ground;
use super::files::{self, NewEntry};
use super::filing::{self, Finding};
use super::{Registry, RegistryError, amend, sensors as devices};
use crate::domain::case::CaseSource;
use crate::domain::history::HistoryKind;
use crate::domain::ids::{CaseId, CoverId, ManholeId, Millis};
use crate::domain::role::Actor;
use crate::domain::sensor::SensorRules;
use crate::domain::sensor_watch::Turn;
use crate::store::feed::{self, ChangeKind, News};
use crate::store::sensors::{self, NEVER, SensorRecord};
use crate::store::{EngineKind, Tx, cases, edits};

/// Devices of one transaction of a sweep.
const TURN: i64 = 200;
const DAY_MS: i64 = 86_400_000;

/// What a sweep did.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct SensorsSwept {
    /// Alarms that were raised.
    pub alarms: u64,
    /// Alarms that are over.
    pub quiet: u64,
    /// Devices that are on guard again.
    pub armed: u64,
}

impl Registry {
    /// What the clock does with devices. It may be called at any time and as often as one likes.
    pub async fn sweep_sensors(&self) -> Result<SensorsSwept, RegistryError> {
        let mut swept = SensorsSwept::default();
        loop {
            let now = self.now();
            let due = sensors::list_due_sensors(&mut self.store.read().await?, now, TURN).await?;
            if due.is_empty() {
                return Ok(swept);
            }
            let registry = self.clone();
            let turn = self
                .store
                .write::<SensorsSwept, RegistryError, _>(move |tx| {
                    let (registry, due) = (registry.clone(), due.clone());
                    Box::pin(async move { sweep(tx, &registry, &due, now).await })
                })
                .await?;
            swept.alarms += turn.alarms;
            swept.quiet += turn.quiet;
            swept.armed += turn.armed;
        }
    }

    /// Clears hours away that are older than the rules keep them; answers how many.
    pub async fn clear_sensor_hours(&self) -> Result<u64, RegistryError> {
        let before = Millis(self.now().0 - self.sensors.keep_days * DAY_MS);
        self.store
            .write::<u64, RegistryError, _>(move |tx| {
                Box::pin(async move { Ok(sensors::clear_hours(tx, before).await?) })
            })
            .await
    }
}

async fn sweep(
    tx: &mut Tx,
    registry: &Registry,
    due: &[String],
    now: Millis,
) -> Result<SensorsSwept, RegistryError> {
    let mut swept = SensorsSwept::default();
    let mut taken = sensors::take_sensors(tx, due).await?;
    let mut kept: Vec<SensorRecord> = due.iter().filter_map(|serial| taken.remove(serial)).collect();
    lock_files(tx, kept.iter().filter_map(|record| record.sensor.cover)).await?;
    for record in &mut kept {
        if record.sensor.disarmed.as_ref().is_some_and(|disarmed| disarmed.until <= now) {
            record.sensor.disarmed = None;
            record.memory.arm(&registry.sensors, now);
            sensors::update_sensor(tx, &record.sensor).await?;
            swept.armed += 1;
            if let Some(cover) = record.sensor.cover {
                let story = Map::from_iter([("sensor".to_owned(), json!(record.sensor.serial))]);
                devices::enter(tx, cover, &Actor::System, HistoryKind::SensorArmed, story, now).await?;
            }
        }
        for (name, turn) in record.memory.wait(&registry.sensors, now) {
            match turn {
                Turn::Alarm { .. } => swept.alarms += 1,
                Turn::Quiet { .. } => swept.quiet += 1,
            }
            settle(tx, registry, record, &name, turn, now).await?;
        }
        mark(record, &registry.sensors);
    }
    let kept: Vec<(&SensorRecord, i64)> =
        kept.iter().map(|record| (record, next_at(record, &registry.sensors))).collect();
    sensors::keep_memories(tx, &kept, &[]).await?;
    Ok(swept)
}

/// Takes the files of the manholes under whose covers devices lie, in one order, so that two groups do not wait for each
/// other.
pub(super) async fn lock_files(
    tx: &mut Tx,
    covers: impl Iterator<Item = CoverId>,
) -> Result<(), RegistryError> {
    if tx.engine() == EngineKind::Sqlite {
        return Ok(());
    }
    let covers: BTreeSet<CoverId> = covers.collect();
    let mut manholes: BTreeSet<ManholeId> = BTreeSet::new();
    for cover in covers {
        manholes.extend(edits::find_manhole_of(tx, cover).await?);
    }
    for manhole in manholes {
        files::lock(tx, manhole).await?;
    }
    Ok(())
}

/// Brings the columns by which lists are asked up to what is remembered.
pub(super) fn mark(record: &mut SensorRecord, rules: &SensorRules) {
    record.alarmed = record.memory.is_alarmed(rules);
    record.low_battery = record.memory.wants_care(rules);
}

/// When time alone will change something.
pub(super) fn next_at(record: &SensorRecord, rules: &SensorRules) -> i64 {
    let armed = record.sensor.disarmed.as_ref().map(|disarmed| disarmed.until);
    let due = record.memory.due(rules);
    armed.into_iter().chain(due).map(|at| at.0).min().unwrap_or(NEVER)
}

/// Does what an alarm asks for that was raised or is over.
pub(super) async fn settle(
    tx: &mut Tx,
    registry: &Registry,
    record: &mut SensorRecord,
    name: &str,
    turn: Turn,
    now: Millis,
) -> Result<(), RegistryError> {
    match turn {
        Turn::Alarm { since } => {
            if let Some(case) = raise(tx, registry, record, name, since, now).await? {
                record.memory.set_case(name, case);
            }
            Ok(())
        }
        Turn::Quiet { since, case: Some(case) } => tell_quiet(tx, record, name, since, case, now).await,
        Turn::Quiet { case: None, .. } => Ok(()),
    }
}

/// Files the case of an alarm, or adds the alarm to the case of its cover and hazard that is open; `None` where the alarm
/// is none of the cover, or the cover is no longer in use.
async fn raise(
    tx: &mut Tx,
    registry: &Registry,
    record: &SensorRecord,
    name: &str,
    since: Millis,
    now: Millis,
) -> Result<Option<CaseId>, RegistryError> {
    let sensor = &record.sensor;
    let (Some(rule), Some(cover)) = (registry.sensors.alarms.get(name), sensor.cover) else {
        return Ok(None);
    };
    let value = record.memory.readings.get(&rule.quantity).map(|last| last.value);
    let Some(hazard) = rule.hazard else {
        let body = json!({"sensor": sensor.serial, "cover": cover, "alarm": name, "quantity": rule.quantity,
            "value": value, "since": since.to_rfc3339()});
        let events = vec![("sensor.wants_care".to_owned(), body.to_string())];
        feed::record(tx, now, News { events, changed: Vec::new() }).await?;
        return Ok(None);
    };
    let taken = amend::take(tx, cover).await?;
    if taken.file.retired.is_some() {
        return Ok(None);
    }
    let story = json!({"sensor": sensor.serial, "alarm": name, "quantity": rule.quantity, "value": value,
        "severity": rule.severity, "since_at": since.0});
    let rules = registry.rule_book.active(tx, now).await?;
    let finding = Finding {
        manhole: taken.file.manhole,
        cover: Some(cover),
        head: taken.locked.head,
        ground: Ground::of(&taken.file),
        hazard,
        source: CaseSource::Sensor,
        known: None,
        // What it measured is in the entry, whose words are those of the reader's language.
        description: String::new(),
        contact: None,
        external_number: None,
        phone_position: None,
        photos: Vec::new(),
        mended: false,
        actor: Actor::System.word(),
        story: story.as_object().cloned().unwrap_or_default(),
        language: filing::STAFF_LANGUAGE,
        weighed: None,
    };
    let filed = filing::file(tx, registry, &rules, finding).await?;
    Ok(Some(filed.case.id))
}

/// Notes in the file of an open case that its sensor no longer says so. Whether it is mended, people see.
async fn tell_quiet(
    tx: &mut Tx,
    record: &SensorRecord,
    name: &str,
    since: Millis,
    case: CaseId,
    now: Millis,
) -> Result<(), RegistryError> {
    let Some(case) = cases::find_case(tx, case).await?.filter(|case| case.state.is_open()) else {
        return Ok(());
    };
    let locked = files::lock(tx, case.manhole).await?;
    let body =
        json!({"case": case.number, "sensor": record.sensor.serial, "alarm": name, "since_at": since.0});
    let entry =
        NewEntry { actor: Actor::System.word(), kind: HistoryKind::SensorQuiet, case: Some(case.id), body };
    files::append(tx, case.manhole, locked.head, now, vec![entry]).await?;
    let body = json!({"case": case.number, "sensor": record.sensor.serial, "since": since.to_rfc3339()});
    let events = vec![("sensor.quiet".to_owned(), body.to_string())];
    Ok(feed::record(tx, now, News { events, changed: vec![(ChangeKind::Case, case.id.0)] }).await?)
}
