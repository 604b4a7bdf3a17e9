//! What sensors say over MQTT: hears the broker, hands what it says to the registry, and acknowledges it when it is on
//! disk. What is not acknowledged the broker says again, so that a server that is killed loses nothing.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::{Duration, Instant};

use tokio::sync::mpsc;

use crate::config::Mqtt;
use crate::domain::Refusal;
use crate::domain::sensor::{SENSOR_BATCH, SensorRules};
use crate::domain::sensor_message::{Read, SensorMessage, read_messages};
use crate::registry::{IntakeOutcome, Registry};

mod link;

use link::{Acknowledger, Heard, Link, Said};

/// Deliveries that are taken in together.
const GROUP: usize = 2000;
/// Acknowledgments that may wait to be sent, which is more than there will ever be. While one waits for room nobody hears
/// the broker, and nothing is sent: with 6,000, and with 65,536, a flood stopped the intake for good, because mosquitto says
/// more at once than it was asked for, and our end reads ten deliveries in the time in which it sends one acknowledgment.
const WAITING_ACKNOWLEDGMENTS: usize = 1 << 24;
/// Largest text of one delivery.
const PAYLOAD_LIMIT: usize = 256 * 1024;
/// How long to wait after the first vain try, and at most.
const PAUSES: (Duration, Duration) = (Duration::from_millis(500), Duration::from_secs(30));
/// How often it is told that messages are refused.
const COMPLAINTS: Duration = Duration::from_secs(60);

/// Hears a broker until the task is dropped. Trouble is logged and tried again.
pub async fn run(registry: Registry, mqtt: Mqtt) {
    let (link, acknowledger) = match Link::open(&mqtt, WAITING_ACKNOWLEDGMENTS) {
        Ok(opened) => opened,
        // What settings say is looked at when the server starts; a file may be gone since.
        Err(refusal) => return tracing::error!(%refusal, "sensors are not heard over MQTT"),
    };
    let (heard, arriving) = mpsc::channel(GROUP);
    let connection = Arc::new(AtomicU64::new(0));
    let taking = take_in(registry, Arc::new(mqtt), acknowledger, connection.clone(), arriving);
    // Both end together, when the task is dropped.
    tokio::join!(listen(link, connection, heard), taking);
}

/// A delivery, and the connection on which it came: on another one its number may mean another delivery.
struct Delivery {
    connection: u64,
    said: Box<Said>,
}

/// Follows the connection: whatever breaks it, it is made again.
async fn listen(mut link: Link, connection: Arc<AtomicU64>, heard: mpsc::Sender<Delivery>) {
    let mut pause = PAUSES.0;
    let mut now = 0;
    loop {
        match link.hear().await {
            Ok(Heard::Connected) => {
                now = connection.fetch_add(1, Ordering::SeqCst) + 1;
                pause = PAUSES.0;
                tracing::info!("sensors are heard over MQTT");
                link.subscribe();
            }
            Ok(Heard::Refused(reason)) => tracing::error!(reason, "the broker does not let us hear a topic"),
            Ok(Heard::Said(said)) => {
                if heard.send(Delivery { connection: now, said }).await.is_err() {
                    return;
                }
            }
            Ok(Heard::Nothing) => {}
            Err(reason) => {
                connection.fetch_add(1, Ordering::SeqCst);
                tracing::warn!(reason, retry_ms = pause.as_millis() as u64, "the MQTT broker is away");
                tokio::time::sleep(pause).await;
                pause = (pause * 2).min(PAUSES.1);
            }
        }
    }
}

async fn take_in(
    registry: Registry,
    mqtt: Arc<Mqtt>,
    acknowledger: Acknowledger,
    connection: Arc<AtomicU64>,
    mut arriving: mpsc::Receiver<Delivery>,
) {
    let mut complaints = Complaints::default();
    let mut deliveries = Vec::with_capacity(GROUP);
    while arriving.recv_many(&mut deliveries, GROUP).await > 0 {
        let mut messages = Vec::with_capacity(deliveries.len());
        for delivery in &deliveries {
            for read in read(&delivery.said, &mqtt, registry.sensor_rules()) {
                match read {
                    // What a broker keeps for newcomers says nothing of now, unless it says when it was measured.
                    Ok(message) if delivery.said.is_kept && message.measured_at.is_none() => {}
                    Ok(message) => messages.push(message),
                    Err(refusal) => complaints.add(&refusal),
                }
            }
        }
        keep(&registry, messages, &mut complaints).await;
        for delivery in deliveries.drain(..) {
            if delivery.connection == connection.load(Ordering::SeqCst) {
                acknowledger.acknowledge(*delivery.said).await;
            }
        }
        complaints.tell();
    }
}

/// Keeps messages, however long the store is in trouble: the broker keeps what comes meanwhile.
async fn keep(registry: &Registry, messages: Vec<SensorMessage>, complaints: &mut Complaints) {
    let mut pause = PAUSES.0;
    for some in messages.chunks(SENSOR_BATCH * 2) {
        loop {
            match registry.take_readings(some.to_vec()).await {
                Ok(answers) => {
                    for answer in answers.iter().filter(|answer| answer.outcome == IntakeOutcome::Refused) {
                        answer.problems.iter().for_each(|refusal| complaints.add(refusal));
                    }
                    break;
                }
                Err(error) => {
                    tracing::warn!(%error, "what sensors said waits for the registry");
                    tokio::time::sleep(pause).await;
                    pause = (pause * 2).min(PAUSES.1);
                }
            }
        }
    }
}

/// The messages of a delivery. One that cannot be read is told, and acknowledged: it would come again for ever.
fn read(said: &Said, mqtt: &Mqtt, rules: &SensorRules) -> Vec<Read> {
    let fit = mqtt.topics.iter().find_map(|topic| topic.fits(&said.topic).map(|serial| (topic, serial)));
    let Some((topic, serial)) = fit else { return vec![Err(Refusal::new("sensor.topic"))] };
    if said.payload.len() > PAYLOAD_LIMIT {
        let refusal = Refusal::new("sensor.payload").with("count", said.payload.len());
        return vec![Err(refusal.with("most", PAYLOAD_LIMIT))];
    }
    match read_messages(&said.payload, rules, rules.mappings.get(&topic.mapping), serial) {
        None => vec![Err(Refusal::new("sensor.unreadable"))],
        Some(messages) if messages.len() > SENSOR_BATCH => {
            let refusal = Refusal::new("sensor.too_many").with("count", messages.len());
            vec![Err(refusal.with("most", SENSOR_BATCH))]
        }
        Some(messages) => messages,
    }
}

/// Refused messages, told together now and then.
#[derive(Default)]
struct Complaints {
    count: u64,
    last: Option<Refusal>,
    told: Option<Instant>,
}

impl Complaints {
    fn add(&mut self, refusal: &Refusal) {
        self.count += 1;
        self.last = Some(refusal.clone());
    }

    fn tell(&mut self) {
        if self.told.is_some_and(|told| told.elapsed() < COMPLAINTS) {
            return;
        }
        if let Some(last) = self.last.take() {
            tracing::warn!(messages.refused = self.count, %last, "messages of sensors are refused");
            *self = Self { told: Some(Instant::now()), ..Self::default() };
        }
    }
}
