//! 传感器: devices from the store room to the scrap, kept by people; what they measured is `sensor_desk.rs`.

use std::collections::{BTreeSet, HashMap};

use serde::{Deserialize, Serialize};
use serde_json::{Map, Value, json};

use super::files::{self, NewEntry};
use super::reports::clean_text;
use super::sensor_alarms::{self, next_at};
use super::{Call, Registry, RegistryError, sha256};
use crate::domain::Refusal;
use crate::domain::history::HistoryKind;
use crate::domain::ids::{CoverId, IdempotencyKey, Millis, SensorId};
use crate::domain::role::{Actor, Role};
use crate::domain::sensor::{
    Disarmed, LONGEST_DISARM_MS, Quantity, SENSOR_BATCH, SENSOR_NAME_LIMIT, Sensor, SensorMark, SensorMove,
    SensorState, check_sensor_move, check_serial,
};
use crate::domain::sensor_watch::ReadingHour;
use crate::store::feed::{self, ChangeKind, News};
use crate::store::sensors::{self, SensorFilter, SensorLine, SensorRecord};
use crate::store::{StoreError, Tx, cases, covers};

/// Devices that come into the store room.
#[derive(Debug, Clone)]
pub struct NewSensors {
    pub key: IdempotencyKey,
    pub serials: Vec<String>,
    pub model: String,
    pub actor: Actor,
}

/// Something that staff do with a device.
#[derive(Debug, Clone)]
pub struct SensorOrder {
    pub key: IdempotencyKey,
    pub serial: String,
    pub made: SensorMove,
    /// Code of the cover under which it goes; for `install`.
    pub cover: Option<String>,
    /// For `disarm`.
    pub until: Option<Millis>,
    pub reason: String,
    pub actor: Actor,
}

/// How many devices are where, and what they are listed for.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct SensorCounts {
    pub states: HashMap<SensorState, i64>,
    pub marks: HashMap<SensorMark, i64>,
}

#[derive(Serialize, Deserialize)]
struct Answered {
    serials: Vec<String>,
}

/// Longest reason for planned work.
const REASON_LIMIT: usize = 500;
/// Devices of a page, and hours of an answer.
const PAGE_LIMIT: i64 = 1000;

impl Registry {
    /// Registers devices, all of them or none; answers their serial numbers.
    pub async fn add_sensors(&self, new: NewSensors) -> Result<Vec<String>, RegistryError> {
        let model = clean_text(&new.model, "model", SENSOR_NAME_LIMIT)?;
        let mut serials = Vec::with_capacity(new.serials.len());
        let mut seen = BTreeSet::new();
        for text in &new.serials {
            let serial = check_serial(text).map_err(|refusal| refusal.at("serials"))?;
            if !seen.insert(serial) {
                return Err(Refusal::new("sensor.twice").at("serials").with("read", serial).into());
            }
            serials.push(serial.to_owned());
        }
        if serials.is_empty() {
            return Err(Refusal::new("form.missing").at("serials").with("field", "serials").into());
        }
        if serials.len() > SENSOR_BATCH {
            let refusal = Refusal::new("sensor.too_many").at("serials").with("count", serials.len());
            return Err(refusal.with("most", SENSOR_BATCH).into());
        }
        let now = self.now();
        let mut parts: Vec<&[u8]> = vec![model.as_bytes()];
        parts.extend(serials.iter().map(|serial| serial.as_bytes()));
        let hash = sha256(&parts);
        let scope = format!("sensors:{}", new.actor.word());
        let fresh: Vec<Sensor> = serials
            .iter()
            .map(|serial| Sensor {
                id: SensorId::fresh(),
                serial: serial.clone(),
                model: model.clone(),
                state: SensorState::Stock,
                cover: None,
                installed_at: None,
                disarmed: None,
                created_at: now,
            })
            .collect();
        let answered = self
            .once::<Answered, _>(Call { key: new.key, scope, hash, now }, move |tx| {
                let fresh = fresh.clone();
                Box::pin(async move {
                    match sensors::add_sensors(tx, &fresh).await?.first() {
                        None => {
                            Ok(Answered { serials: fresh.into_iter().map(|sensor| sensor.serial).collect() })
                        }
                        Some(known) => {
                            let refusal = Refusal::new("sensor.known").at("serials").with("read", known);
                            Err(RegistryError::Conflict(refusal))
                        }
                    }
                })
            })
            .await?;
        Ok(answered.serials)
    }

    /// Puts a device under a cover, takes it away, scraps it, or lets it rest while people work there.
    pub async fn move_sensor(&self, order: SensorOrder) -> Result<SensorLine, RegistryError> {
        let mut order = order;
        order.reason = clean_text(&order.reason, "reason", REASON_LIMIT)?;
        let now = self.now();
        let cover = match (order.made, order.cover.as_deref()) {
            (SensorMove::Install, Some(code)) => Some(self.find_known_cover(code, "cover").await?.cover),
            (SensorMove::Install, None) => {
                return Err(Refusal::new("form.missing").at("cover").with("field", "cover").into());
            }
            _ => None,
        };
        if order.made == SensorMove::Disarm {
            check_disarm(&order, now)?;
        }
        let until = order.until.map_or(0, |until| until.0);
        let cover_bytes = cover.map(|cover| *cover.0.as_bytes()).unwrap_or_default();
        let parts =
            [order.made.as_str().as_bytes(), &until.to_be_bytes(), order.reason.as_bytes(), &cover_bytes];
        let hash = sha256(&parts);
        let scope = format!("sensor:{}:{}", shortened(&order.serial), order.actor.word());
        let (registry, serial) = (self.clone(), order.serial.clone());
        self.once::<Answered, _>(Call { key: order.key, scope, hash, now }, move |tx| {
            let (registry, order) = (registry.clone(), order.clone());
            Box::pin(async move {
                make_move(tx, &registry, &order, cover, now).await?;
                Ok(Answered { serials: vec![order.serial] })
            })
        })
        .await?;
        self.known_sensor(&serial).await
    }

    pub async fn find_sensor(&self, serial: &str) -> Result<Option<SensorLine>, RegistryError> {
        Ok(sensors::find_sensor(&mut self.store.read().await?, serial).await?)
    }

    pub async fn known_sensor(&self, serial: &str) -> Result<SensorLine, RegistryError> {
        self.find_sensor(serial).await?.ok_or_else(|| unknown(serial))
    }

    /// A page of devices by their serial numbers.
    pub async fn list_sensors(
        &self,
        filter: &SensorFilter,
        limit: i64,
    ) -> Result<Vec<SensorLine>, RegistryError> {
        let limit = limit.clamp(1, PAGE_LIMIT);
        Ok(sensors::list_sensors(&mut self.store.read().await?, filter, limit).await?)
    }

    pub async fn count_sensors(&self) -> Result<SensorCounts, RegistryError> {
        let silent_before = self.sensors.silent_before(self.now());
        let (states, marks) = sensors::count_sensors(&mut self.store.read().await?, silent_before).await?;
        Ok(SensorCounts { states, marks })
    }

    /// What a device is listed for now.
    pub fn sensor_marks(&self, record: &SensorRecord) -> Vec<SensorMark> {
        let before = self.sensors.silent_before(self.now());
        let sensor = &record.sensor;
        let is_silent = sensor.state == SensorState::Installed
            && record.heard_at.is_none_or(|at| at < before)
            && sensor.installed_at.is_some_and(|at| at < before);
        let marks = [
            (SensorMark::Alarmed, record.alarmed),
            (SensorMark::LowBattery, record.low_battery),
            (SensorMark::Silent, is_silent),
            (SensorMark::Disarmed, sensor.disarmed.is_some()),
        ];
        marks.into_iter().filter(|(_, holds)| *holds).map(|(mark, _)| mark).collect()
    }

    /// A filter for devices with this mark.
    pub fn marked(&self, mark: SensorMark) -> (SensorMark, Millis) {
        (mark, self.sensors.silent_before(self.now()))
    }

    /// Hours of a device since a moment that are over, the newest first.
    pub async fn list_sensor_hours(
        &self,
        sensor: SensorId,
        quantity: Quantity,
        since: Millis,
    ) -> Result<Vec<ReadingHour>, RegistryError> {
        let mut tx = self.store.read().await?;
        Ok(sensors::list_hours(&mut tx, sensor, quantity, since, PAGE_LIMIT).await?)
    }

    /// The numbers of the cases that a device raised and still speaks of, by the names of their alarms.
    pub async fn list_sensor_cases(
        &self,
        record: &SensorRecord,
    ) -> Result<HashMap<String, String>, RegistryError> {
        let mut tx = self.store.read().await?;
        let mut numbers = HashMap::new();
        for (name, watch) in &record.memory.watches {
            let Some(case) = watch.case else { continue };
            if let Some(case) = cases::find_case(&mut tx, case).await? {
                numbers.insert(name.clone(), case.number);
            }
        }
        Ok(numbers)
    }

    /// By what its sensors are judged.
    pub fn sensor_rules(&self) -> &crate::domain::sensor::SensorRules {
        &self.sensors
    }
}

fn shortened(text: &str) -> String {
    text.chars().take(SENSOR_NAME_LIMIT).collect()
}

pub(super) fn unknown(serial: &str) -> RegistryError {
    RegistryError::NotFound(Refusal::new("sensor.unknown").at("serial").with("read", shortened(serial)))
}

fn check_disarm(order: &SensorOrder, now: Millis) -> Result<(), Refusal> {
    let Some(until) = order.until else {
        return Err(Refusal::new("form.missing").at("until").with("field", "until"));
    };
    if order.reason.is_empty() {
        return Err(Refusal::new("form.missing").at("reason").with("field", "reason"));
    }
    if until <= now || until.0 > now.0 + LONGEST_DISARM_MS {
        let days = LONGEST_DISARM_MS / 86_400_000;
        return Err(Refusal::new("sensor.until").at("until").with("days", days));
    }
    Ok(())
}

async fn make_move(
    tx: &mut Tx,
    registry: &Registry,
    order: &SensorOrder,
    cover: Option<CoverId>,
    now: Millis,
) -> Result<(), RegistryError> {
    let mut taken = sensors::take_sensors(tx, std::slice::from_ref(&order.serial)).await?;
    let mut record = taken.remove(&order.serial).ok_or_else(|| unknown(&order.serial))?;
    let role = match &order.actor {
        Actor::Staff { role, .. } => *role,
        Actor::System => Role::Admin,
        Actor::Citizen => return Err(unknown(&order.serial)),
    };
    let rule = check_sensor_move(&record.sensor, order.made, role).map_err(|refusal| match refusal.code {
        "sensor.role" => RegistryError::Forbidden(refusal),
        _ => RegistryError::Conflict(refusal),
    })?;
    let lies = record.sensor.cover;
    record.sensor.state = rule.to;
    let mut story = Map::from_iter([("sensor".to_owned(), json!(order.serial))]);
    let kind = match order.made {
        SensorMove::Install => {
            record.sensor.cover = cover;
            record.sensor.installed_at = Some(now);
            Some(HistoryKind::SensorInstalled)
        }
        SensorMove::Remove => {
            record.sensor.cover = None;
            record.sensor.disarmed = None;
            record.memory.forget_watches();
            Some(HistoryKind::SensorRemoved)
        }
        SensorMove::Scrap => None,
        SensorMove::Disarm => {
            let until = order.until.unwrap_or(now);
            record.sensor.disarmed = Some(Disarmed { until, reason: order.reason.clone() });
            record.memory.disarm();
            story.insert("until_at".to_owned(), json!(until.0));
            Some(HistoryKind::SensorDisarmed)
        }
        SensorMove::Arm => {
            record.sensor.disarmed = None;
            record.memory.arm(&registry.sensors, now);
            Some(HistoryKind::SensorArmed)
        }
    };
    if !order.reason.is_empty() {
        story.insert("note".to_owned(), json!(order.reason));
    }
    if order.made == SensorMove::Install {
        refuse_retired(tx, registry, cover).await?;
    }
    if let (Some(kind), Some(at)) = (kind, record.sensor.cover.or(lies)) {
        enter(tx, at, &order.actor, kind, story, now).await?;
    }
    keep(tx, registry, &mut record).await
}

async fn refuse_retired(
    tx: &mut Tx,
    registry: &Registry,
    cover: Option<CoverId>,
) -> Result<(), RegistryError> {
    let Some(cover) = cover else { return Ok(()) };
    let file = covers::find_cover(tx, cover).await?;
    let file = file.ok_or_else(|| StoreError::inconsistent("covers", "id", cover))?;
    super::amend::refuse_retired(registry, &file)
}

/// Writes a line about a device into the file of the manhole on which its cover lies.
pub(super) async fn enter(
    tx: &mut Tx,
    cover: CoverId,
    actor: &Actor,
    kind: HistoryKind,
    mut story: Map<String, Value>,
    now: Millis,
) -> Result<(), RegistryError> {
    let (manhole, locked) = files::lock_of_cover(tx, cover).await?;
    story.insert("cover".to_owned(), json!(cover));
    let entry = NewEntry { actor: actor.word(), kind, case: None, body: story.into() };
    files::append(tx, manhole, locked.head, now, vec![entry]).await?;
    let changed = vec![(ChangeKind::Cover, cover.0)];
    Ok(feed::record(tx, now, News { events: Vec::new(), changed }).await?)
}

/// Keeps a device with all that is remembered of it.
pub(super) async fn keep(
    tx: &mut Tx,
    registry: &Registry,
    record: &mut SensorRecord,
) -> Result<(), RegistryError> {
    sensor_alarms::mark(record, &registry.sensors);
    sensors::update_sensor(tx, &record.sensor).await?;
    let next = next_at(record, &registry.sensors);
    Ok(sensors::keep_memories(tx, &[(record, next)], &[]).await?)
}
