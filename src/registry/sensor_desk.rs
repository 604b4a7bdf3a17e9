//! Where readings are taken in: those that arrive together share one transaction, in which each device is read and
//! written once. What is wrong with one message is told to that one alone.

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex};

use tokio::sync::oneshot;

use super::sensor_alarms::{lock_files, mark, next_at, settle};
use super::{Registry, RegistryError};
use crate::domain::Refusal;
use crate::domain::ids::Millis;
use crate::domain::names::named_enum;
use crate::domain::sensor::{SENSOR_BATCH, SensorState};
use crate::domain::sensor_message::SensorMessage;
use crate::domain::sensor_watch::{Heard, Moment, Turn};
use crate::store::sensors::{self, SensorRecord};
use crate::store::{StoreError, Tx};

named_enum! {
    /// What became of a message.
    IntakeOutcome as "intake_outcome" {
        /// Something of it was new.
        Taken = "taken",
        /// It came before, or what was measured later is known.
        Known = "known",
        Refused = "refused",
    }
}

/// What a message is answered.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct MessageAnswer {
    pub outcome: IntakeOutcome,
    /// Why it was refused, or what of it could not be used.
    pub problems: Vec<Refusal>,
}

impl MessageAnswer {
    pub fn refused(refusal: Refusal) -> Self {
        Self { outcome: IntakeOutcome::Refused, problems: vec![refusal] }
    }
}

type Answers = Vec<MessageAnswer>;

struct Waiting {
    messages: Vec<SensorMessage>,
    reply: oneshot::Sender<Result<Answers, RegistryError>>,
}

/// What waits to be taken in. One of those who wait takes in what has gathered, for all of them.
#[derive(Default)]
pub(super) struct SensorDesk {
    waiting: Mutex<Vec<Waiting>>,
    at_work: Arc<tokio::sync::Mutex<()>>,
}

/// A group is full with so many messages.
const GROUP: usize = 2 * SENSOR_BATCH;

impl SensorDesk {
    fn take_group(&self) -> Vec<Waiting> {
        let Ok(mut waiting) = self.waiting.lock() else { return Vec::new() };
        let mut count = 0;
        let fits = waiting.iter().take_while(|one| {
            count += one.messages.len();
            count <= GROUP
        });
        let fits = fits.count().max(1).min(waiting.len());
        waiting.drain(..fits).collect()
    }
}

impl Registry {
    /// Takes in what devices measured; answers in the order of the messages when it is on disk.
    pub async fn take_readings(&self, messages: Vec<SensorMessage>) -> Result<Answers, RegistryError> {
        if messages.is_empty() {
            return Ok(Vec::new());
        }
        let stopped = || RegistryError::Broken(StoreError::Stopped);
        let (reply, mut answer) = oneshot::channel();
        let desk = &self.sensor_desk;
        desk.waiting.lock().map_err(|_| stopped())?.push(Waiting { messages, reply });
        loop {
            tokio::select! {
                biased;
                done = &mut answer => return done.map_err(|_| stopped())?,
                turn = desk.at_work.clone().lock_owned() => {
                    let group = desk.take_group();
                    if !group.is_empty() {
                        let registry = self.clone();
                        // Whoever called may go away meanwhile; what it does for the others goes on.
                        let work = tokio::spawn(async move {
                            take_in(registry, group).await;
                            drop(turn);
                        });
                        work.await.map_err(|_| stopped())?;
                    }
                }
            }
        }
    }
}

/// Takes a group in together, or call by call where that cannot be done.
async fn take_in(registry: Registry, group: Vec<Waiting>) {
    let (calls, replies): (Vec<Vec<SensorMessage>>, Vec<_>) =
        group.into_iter().map(|one| (one.messages, one.reply)).unzip();
    let counts: Vec<usize> = calls.iter().map(Vec::len).collect();
    let calls: Vec<Arc<[SensorMessage]>> = match replies.len() {
        1 => calls.into_iter().map(Into::into).collect(),
        _ => vec![calls.into_iter().flatten().collect()],
    };
    let mut answers = match write(&registry, calls[0].clone()).await {
        Ok(answers) => answers.into_iter(),
        Err(error) => return answer_one_by_one(&registry, error, &calls[0], &counts, replies).await,
    };
    for (reply, count) in replies.into_iter().zip(counts) {
        // Whoever sent it may have gone away; what was measured stands all the same.
        let _ = reply.send(Ok(answers.by_ref().take(count).collect()));
    }
}

async fn answer_one_by_one(
    registry: &Registry,
    error: RegistryError,
    messages: &[SensorMessage],
    counts: &[usize],
    replies: Vec<oneshot::Sender<Result<Answers, RegistryError>>>,
) {
    let mut rest = messages;
    let (is_full, is_alone) = (matches!(error, RegistryError::Storage(_)), replies.len() == 1);
    let mut first = Some(error);
    for (reply, count) in replies.into_iter().zip(counts) {
        let (own, others) = rest.split_at(*count);
        rest = others;
        let answer = match first.take_if(|_| is_full || is_alone) {
            Some(error) if is_alone => Err(error),
            Some(RegistryError::Storage(refusal)) => {
                first = Some(RegistryError::Storage(refusal.clone()));
                Err(RegistryError::Storage(refusal))
            }
            _ => write(registry, own.into()).await,
        };
        let _ = reply.send(answer);
    }
}

async fn write(registry: &Registry, messages: Arc<[SensorMessage]>) -> Result<Answers, RegistryError> {
    let (registry, now) = (registry.clone(), registry.now());
    let store = registry.store.clone();
    store
        .write::<_, RegistryError, _>(move |tx| {
            let (registry, messages) = (registry.clone(), messages.clone());
            Box::pin(async move { take_together(tx, &registry, &messages, now).await })
        })
        .await
}

/// A device whose alarm was raised or is over: its place among those that are kept, and which alarm.
type Turned = (usize, String, Turn);

async fn take_together(
    tx: &mut Tx,
    registry: &Registry,
    messages: &[SensorMessage],
    now: Millis,
) -> Result<Answers, RegistryError> {
    let mut of_device: BTreeMap<&str, Vec<usize>> = BTreeMap::new();
    for (at, message) in messages.iter().enumerate() {
        of_device.entry(&message.serial).or_default().push(at);
    }
    let serials: Vec<String> = of_device.keys().map(|serial| (*serial).to_owned()).collect();
    let mut taken = sensors::take_sensors(tx, &serials).await?;
    let unknown = |message: &SensorMessage| {
        let refusal = Refusal::new("sensor.unknown").at("serial").with("read", &message.serial);
        MessageAnswer::refused(refusal)
    };
    let mut answers: Answers = messages.iter().map(unknown).collect();
    let mut kept: Vec<SensorRecord> = Vec::with_capacity(taken.len());
    let (mut hours, mut turned) = (Vec::new(), Vec::<Turned>::new());
    for (serial, mut own) in of_device {
        let Some(mut record) = taken.remove(serial) else { continue };
        // What was measured first is heard first, however a batch is sorted.
        own.sort_by_key(|at| messages[*at].measured_at.unwrap_or(now));
        for at in own {
            let (answer, heard) = hear(&mut record, &messages[at], registry, now);
            answers[at] = answer;
            hours.extend(heard.hours.into_iter().map(|hour| (record.sensor.id, hour)));
            turned.extend(heard.turns.into_iter().map(|(name, turn)| (kept.len(), name, turn)));
        }
        kept.push(record);
    }
    lock_files(tx, turned.iter().filter_map(|(place, ..)| kept[*place].sensor.cover)).await?;
    for (place, name, turn) in turned {
        settle(tx, registry, &mut kept[place], &name, turn, now).await?;
    }
    kept.iter_mut().for_each(|record| mark(record, &registry.sensors));
    let rows: Vec<(&SensorRecord, i64)> =
        kept.iter().map(|record| (record, next_at(record, &registry.sensors))).collect();
    sensors::keep_memories(tx, &rows, &hours).await?;
    Ok(answers)
}

fn hear(
    record: &mut SensorRecord,
    message: &SensorMessage,
    registry: &Registry,
    now: Millis,
) -> (MessageAnswer, Heard) {
    let rules = &registry.sensors;
    let refuse = |refusal: Refusal| (MessageAnswer::refused(refusal), Heard::default());
    if record.sensor.state == SensorState::Scrapped {
        return refuse(Refusal::new("sensor.scrapped").at("serial").with("read", &message.serial));
    }
    if message.measured_at.is_some_and(|at| at.0 > now.0 + rules.future_s * 1000) {
        let refusal = Refusal::new("sensor.future").at("measured_at").with("seconds", rules.future_s);
        return refuse(refusal);
    }
    record.heard_at = Some(now);
    let id = message.message_id.as_deref();
    if id.is_some_and(|id| record.memory.is_repeat(hash_of(id))) {
        let answer = MessageAnswer { outcome: IntakeOutcome::Known, problems: message.problems.clone() };
        return (answer, Heard::default());
    }
    // Two messages of a device without a clock may come within a millisecond.
    let behind = record.memory.latest().map_or(now, |latest| Millis(latest.0 + 1).max(now));
    let moment = Moment { at: message.measured_at.unwrap_or(behind), heard: now };
    let heard = record.memory.hear(rules, &message.values, moment, record.sensor.is_on_guard());
    let outcome = if heard.taken > 0 { IntakeOutcome::Taken } else { IntakeOutcome::Known };
    (MessageAnswer { outcome, problems: message.problems.clone() }, heard)
}

/// The same in every version of the program, because it is kept.
fn hash_of(id: &str) -> u64 {
    let digest = super::sha256(&[id.as_bytes()]);
    u64::from_be_bytes(std::array::from_fn(|at| digest[at]))
}
