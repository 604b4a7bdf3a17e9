//! Brings events to their receivers: each receiver hears the log in order, many keys at once and each key one after the
//! other. What it does not take becomes a letter, behind which later events of that key wait; a receiver that is not to
//! be reached at all is let be for a while, and the log waits for it.

use std::collections::{BTreeSet, HashMap};
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use axum::body::Bytes;
use futures_util::{StreamExt, stream};
use rand::RngExt;
use serde_json::json;
use tokio::task::JoinSet;
use url::Url;

use super::mail::Mailer;
use super::post::{Answer, CONNECTIONS, Post};
use super::scribe::Scribe;
use super::sign::signatures;
use super::{OutboxError, webhook_id};
use crate::config::Config;
use crate::domain::ids::{Millis, ReceiverId};
use crate::domain::receiver::{LetterState, ReceiverKind, Verdict, end_of_absence, judge, next_try};
use crate::registry::{CitizenLetter, Letter, OutboxEvent, Receiver, Registry};

/// How long a courier with nothing to bring sleeps.
const IDLE: Duration = Duration::from_millis(500);
/// Events of the log that are settled together.
const PAGE: i64 = 500;

/// What came of one event.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Outcome {
    Delivered,
    Failed {
        status: Option<i64>,
        trouble: Option<String>,
    },
    /// It will never be taken: no further try.
    Refused {
        status: Option<i64>,
        trouble: Option<String>,
    },
    Absent {
        trouble: String,
        retry_after_s: Option<i64>,
    },
    Gone,
}

impl Outcome {
    pub(super) fn failed(status: Option<i64>, trouble: String) -> Self {
        Outcome::Failed { status, trouble: Some(trouble.chars().take(200).collect()) }
    }

    pub(super) fn refused(status: Option<i64>, trouble: String) -> Self {
        Outcome::Refused { status, trouble: Some(trouble.chars().take(200).collect()) }
    }

    pub(super) fn of(kind: ReceiverKind, answer: Answer) -> Self {
        match answer {
            Answer::Unreached(trouble) => Outcome::Absent { trouble, retry_after_s: None },
            Answer::Silent(trouble) => Outcome::failed(None, trouble),
            Answer::Said { status, retry_after_s, .. } => match judge(kind, status) {
                Verdict::Delivered => Outcome::Delivered,
                Verdict::Gone => Outcome::Gone,
                Verdict::Absent => Outcome::Absent { trouble: format!("HTTP {status}"), retry_after_s },
                Verdict::Failed => Outcome::Failed { status: Some(status.into()), trouble: None },
            },
        }
    }
}

/// Brings events to receivers. Cheap to clone.
#[derive(Clone)]
pub struct Courier {
    registry: Registry,
    post: Post,
    /// How messages to citizens are written, and the way to the mail server where there is one.
    scribe: Option<Arc<Scribe>>,
    mailer: Option<Mailer>,
    /// What was delivered beyond a receiver's cursor before it became absent, so that it is not sent twice.
    ahead: Arc<Mutex<HashMap<ReceiverId, BTreeSet<i64>>>>,
}

impl Courier {
    /// `private`: whether receivers may lie in the house's own network.
    pub fn new(registry: Registry, private: bool) -> std::io::Result<Self> {
        let post = Post::new(private)?;
        Ok(Self { registry, post, scribe: None, mailer: None, ahead: Arc::default() })
    }

    /// The courier that also writes to citizens, as the city's settings say. `password`: of the log-in at its mail server.
    pub fn writing_to_citizens(mut self, config: &Config, password: Option<String>) -> std::io::Result<Self> {
        let scribe = Scribe::new(config);
        if config.mail.is_on() {
            self.mailer = Some(Mailer::new(&config.mail, password, &scribe.site)?);
        }
        self.scribe = Some(Arc::new(scribe));
        Ok(self)
    }

    pub(super) fn mailer(&self) -> Option<(&Mailer, &Scribe)> {
        self.mailer.as_ref().zip(self.scribe.as_deref())
    }

    /// The message that an event names; `None` when it names none, or nobody wants it any more.
    pub(super) async fn find_letter(
        &self,
        event: &OutboxEvent,
    ) -> Result<Option<CitizenLetter>, OutboxError> {
        let body: serde_json::Value = serde_json::from_str(&event.body).unwrap_or_default();
        match body["message"].as_str().and_then(|id| id.parse().ok()) {
            Some(id) => Ok(self.registry.compose_message(id).await?),
            None => Ok(None),
        }
    }

    pub(super) fn registry(&self) -> &Registry {
        &self.registry
    }

    pub(super) fn post(&self) -> &Post {
        &self.post
    }

    /// Serves every active receiver, each by tasks of its own so that none waits for another, until it is dropped.
    pub async fn run(self) {
        let mut tasks = JoinSet::new();
        let mut served: HashMap<ReceiverId, tokio::task::AbortHandle> = HashMap::new();
        loop {
            while tasks.try_join_next().is_some() {}
            served.retain(|_, task| !task.is_finished());
            match self.registry.list_active_receivers().await {
                Ok(active) => {
                    for id in active.into_iter().map(|receiver| receiver.id) {
                        let courier = self.clone();
                        served.entry(id).or_insert_with(|| {
                            tasks.spawn(async move {
                                tokio::join!(courier.keep_bringing(id), courier.keep_trying(id));
                            })
                        });
                    }
                }
                Err(error) => tracing::warn!(%error, "receivers of events wait"),
            }
            tokio::time::sleep(IDLE).await;
        }
    }

    /// One turn for every active receiver; answers how many events were delivered.
    pub async fn turn(&self) -> Result<usize, OutboxError> {
        let mut delivered = 0;
        for receiver in self.registry.list_active_receivers().await? {
            delivered += self.try_letters(&receiver).await?;
            // The letters may have said that it is not there.
            if let Some(receiver) = self.registry.find_active_receiver(receiver.id).await? {
                delivered += self.bring(&receiver).await?.delivered;
            }
        }
        Ok(delivered)
    }

    async fn keep_bringing(&self, id: ReceiverId) {
        loop {
            let brought = match self.registry.find_active_receiver(id).await {
                Ok(None) => return,
                Ok(Some(receiver)) => self.bring(&receiver).await,
                Err(error) => Err(error.into()),
            };
            match brought {
                Ok(Brought { more: true, .. }) => continue,
                Ok(_) => {}
                Err(error) => tracing::warn!(receiver.id = %id, %error, "events wait"),
            }
            tokio::time::sleep(IDLE).await;
        }
    }

    async fn keep_trying(&self, id: ReceiverId) {
        loop {
            let tried = match self.registry.find_active_receiver(id).await {
                Ok(None) => return,
                Ok(Some(receiver)) => self.try_letters(&receiver).await,
                Err(error) => Err(error.into()),
            };
            match tried {
                Ok(delivered) if delivered > 0 => continue,
                Ok(_) => {}
                Err(error) => tracing::warn!(receiver.id = %id, %error, "letters wait"),
            }
            tokio::time::sleep(IDLE).await;
        }
    }

    /// Brings the next page of the log.
    async fn bring(&self, receiver: &Receiver) -> Result<Brought, OutboxError> {
        if receiver.next_at > self.registry.now() {
            return Ok(Brought::default());
        }
        let page = self.registry.list_undelivered(receiver, PAGE).await?;
        if page.to == page.from {
            return Ok(Brought::default());
        }
        let ahead = self.ahead_of(receiver.id);
        let round = Round::new(self, receiver);
        let keys = grouped(page.events);
        let width = width_for(receiver);
        let under_way: Vec<_> = keys
            .into_iter()
            .map(|(key, events)| {
                let queued = page.queued.contains(&key);
                round.bring_key(key, events, queued, &ahead)
            })
            .collect();
        let groups: Vec<Group> = stream::iter(under_way)
            .buffer_unordered(width)
            .collect::<Vec<_>>()
            .await
            .into_iter()
            .collect::<Result<_, _>>()?;
        let left = groups.iter().flat_map(|group| &group.left).min();
        let to = left.map_or(page.to, |left| left - 1);
        let delivered: BTreeSet<i64> = groups.iter().flat_map(|group| &group.delivered).copied().collect();
        let fresh = delivered.difference(&ahead).count();
        let mut letters: Vec<Letter> = groups.into_iter().flat_map(|group| group.letters).collect();
        letters.retain(|letter| letter.sequence <= to);
        letters.sort_by_key(|letter| letter.sequence);
        let settled =
            to == page.from || self.registry.settle_deliveries(receiver.id, (page.from, to), letters).await?;
        // Somebody who moved the cursor wants what is behind it, whether or not it was sent before.
        let beyond = delivered.into_iter().filter(|sequence| settled && *sequence > to).collect();
        self.set_ahead(receiver.id, beyond);
        let present = round.close(fresh > 0).await?;
        Ok(Brought { delivered: fresh, more: present && (page.more || fresh > 0) })
    }

    /// Tries the letters whose time has come, the first of each key; answers how many were delivered.
    async fn try_letters(&self, receiver: &Receiver) -> Result<usize, OutboxError> {
        if receiver.next_at > self.registry.now() {
            return Ok(0);
        }
        let width = width_for(receiver);
        let due = self.registry.list_due_letters(receiver.id, width as i64).await?;
        if due.is_empty() {
            return Ok(0);
        }
        let round = Round::new(self, receiver);
        let under_way: Vec<_> =
            due.into_iter().map(|(letter, event)| round.try_letter(letter, event)).collect();
        let tried: Vec<(Letter, Outcome)> = stream::iter(under_way)
            .buffer_unordered(width)
            .collect::<Vec<_>>()
            .await
            .into_iter()
            .collect::<Result<_, _>>()?;
        let (mut delivered, mut failed) = (Vec::new(), Vec::new());
        for (letter, outcome) in tried {
            match outcome {
                Outcome::Delivered => delivered.push(letter.sequence),
                Outcome::Failed { status, trouble } => {
                    failed.push(self.tried_again(letter, status, trouble));
                }
                Outcome::Refused { status, trouble } => {
                    failed.push(given_up(letter, status, trouble));
                }
                Outcome::Absent { .. } | Outcome::Gone => {}
            }
        }
        let count = delivered.len();
        self.registry.settle_letters(receiver.id, delivered, failed).await?;
        round.close(count > 0).await?;
        Ok(count)
    }

    /// A letter after one more vain try.
    fn tried_again(&self, mut letter: Letter, status: Option<i64>, trouble: Option<String>) -> Letter {
        letter.tries += 1;
        (letter.last_status, letter.trouble) = (status, trouble);
        match next_try(letter.tries, self.registry.now(), jitter()) {
            Some(at) => letter.next_at = at,
            None => letter.state = LetterState::Dead,
        }
        letter
    }

    /// Sends one event.
    async fn carry(&self, receiver: &Receiver, event: &OutboxEvent) -> Result<Outcome, OutboxError> {
        match receiver.kind {
            ReceiverKind::Upstream => return self.tell_upstream(receiver, event).await,
            ReceiverKind::Mail => return self.send_mail(event).await,
            ReceiverKind::Webhook => {}
        }
        let Ok(url) = Url::parse(&receiver.url) else {
            return Ok(Outcome::failed(None, "its address is none".to_owned()));
        };
        let body = Bytes::from(self.body_for(receiver, event).await?);
        let headers = self.signed_headers(receiver, &webhook_id(receiver.id, event.sequence), &body);
        Ok(Outcome::of(receiver.kind, self.post.send(&url, &headers, body).await))
    }

    /// What a receiver hears of an event. What is only for some receivers is added here: a message to a citizen is
    /// written out for those that may hear of people, so that a gateway can send it on.
    async fn body_for(&self, receiver: &Receiver, event: &OutboxEvent) -> Result<String, OutboxError> {
        let (name, at) = (json!(event.event), Millis(event.created_at).to_rfc3339());
        let mut more = String::new();
        if let Some(scribe) = &self.scribe
            && receiver.wishes.personal
            && event.event == "citizen.message"
        {
            let citizen = self.find_letter(event).await?.map(|letter| {
                let written = scribe.write(&letter);
                json!({
                    "channel": letter.channel,
                    "address": letter.address,
                    "language": letter.language,
                    "subject": written.subject,
                    "text": written.text,
                    "link": written.link,
                    "unsubscribe": written.stop,
                })
            });
            more = format!(",\"citizen\":{}", json!(citizen));
        }
        Ok(format!("{{\"type\":{name},\"timestamp\":\"{at}\",\"data\":{}{more}}}", event.body))
    }

    pub(super) fn signed_headers(
        &self,
        receiver: &Receiver,
        id: &str,
        body: &Bytes,
    ) -> Vec<(&'static str, String)> {
        let now = self.registry.now();
        let old = receiver.old_secret.as_ref().filter(|(_, until)| *until > now);
        let secrets = [Some(receiver.secret.as_str()), old.map(|(secret, _)| secret.as_str())];
        let timestamp_s = now.0.div_euclid(1000);
        vec![
            ("webhook-id", id.to_owned()),
            ("webhook-timestamp", timestamp_s.to_string()),
            ("webhook-signature", signatures(secrets.into_iter().flatten(), id, timestamp_s, body)),
        ]
    }

    fn ahead_of(&self, id: ReceiverId) -> BTreeSet<i64> {
        self.ahead.lock().map(|ahead| ahead.get(&id).cloned().unwrap_or_default()).unwrap_or_default()
    }

    fn set_ahead(&self, id: ReceiverId, sequences: BTreeSet<i64>) {
        if let Ok(mut ahead) = self.ahead.lock() {
            ahead.insert(id, sequences);
        }
    }
}

#[derive(Debug, Clone, Copy, Default)]
struct Brought {
    delivered: usize,
    /// Whether it is worth looking again at once.
    more: bool,
}

/// What became of the events of one key.
#[derive(Default)]
struct Group {
    delivered: Vec<i64>,
    letters: Vec<Letter>,
    /// Not tried, because the receiver is not there.
    left: Vec<i64>,
}

/// Events by key, each key in the order of the log.
fn grouped(events: Vec<(String, OutboxEvent)>) -> Vec<(String, Vec<OutboxEvent>)> {
    let mut places: HashMap<String, usize> = HashMap::new();
    let mut groups: Vec<(String, Vec<OutboxEvent>)> = Vec::new();
    for (key, event) in events {
        let place = *places.entry(key).or_insert_with_key(|key| {
            groups.push((key.clone(), Vec::new()));
            groups.len() - 1
        });
        groups[place].1.push(event);
    }
    groups
}

/// One round of sending to one receiver: it ends early when the receiver is not there.
struct Round<'c> {
    courier: &'c Courier,
    receiver: &'c Receiver,
    over: AtomicBool,
    why: Mutex<Option<Outcome>>,
}

impl<'c> Round<'c> {
    fn new(courier: &'c Courier, receiver: &'c Receiver) -> Self {
        Self { courier, receiver, over: AtomicBool::new(false), why: Mutex::new(None) }
    }

    async fn carry(&self, event: &OutboxEvent) -> Result<Outcome, OutboxError> {
        if self.over.load(Ordering::Relaxed) {
            return Ok(Outcome::Gone);
        }
        let outcome = self.courier.carry(self.receiver, event).await?;
        if matches!(outcome, Outcome::Absent { .. } | Outcome::Gone) {
            self.over.store(true, Ordering::Relaxed);
            if let Ok(mut why) = self.why.lock() {
                why.get_or_insert(outcome.clone());
            }
        }
        Ok(outcome)
    }

    async fn try_letter(
        &self,
        letter: Letter,
        event: Option<OutboxEvent>,
    ) -> Result<(Letter, Outcome), OutboxError> {
        let outcome = match &event {
            Some(event) => self.carry(event).await?,
            None => Outcome::failed(None, "the event is no longer kept".to_owned()),
        };
        Ok((letter, outcome))
    }

    async fn bring_key(
        &self,
        key: String,
        events: Vec<OutboxEvent>,
        queued: bool,
        ahead: &BTreeSet<i64>,
    ) -> Result<Group, OutboxError> {
        let mut group = Group::default();
        let mut waits = queued;
        for event in &events {
            if ahead.contains(&event.sequence) {
                group.delivered.push(event.sequence);
                continue;
            }
            if waits {
                group.letters.push(letter_of(&key, event));
                continue;
            }
            match self.carry(event).await? {
                Outcome::Delivered => group.delivered.push(event.sequence),
                Outcome::Failed { status, trouble } => {
                    waits = true;
                    group.letters.push(self.courier.tried_again(letter_of(&key, event), status, trouble));
                }
                Outcome::Refused { status, trouble } => {
                    group.letters.push(given_up(letter_of(&key, event), status, trouble));
                }
                Outcome::Absent { .. } | Outcome::Gone => {
                    let rest = events.iter().map(|event| event.sequence);
                    group.left.extend(rest.filter(|sequence| *sequence >= event.sequence));
                    break;
                }
            }
        }
        Ok(group)
    }

    /// Keeps what the round says of the receiver as a whole; `false` when it is not there.
    async fn close(self, reached: bool) -> Result<bool, OutboxError> {
        let (registry, receiver) = (&self.courier.registry, self.receiver);
        match self.why.into_inner().ok().flatten() {
            Some(Outcome::Absent { trouble, retry_after_s }) => {
                // Reached in between, it begins to be absent anew.
                let mut seen = receiver.clone();
                seen.absences = if reached { 0 } else { receiver.absences };
                let next_at = end_of_absence(seen.absences + 1, retry_after_s, registry.now(), jitter());
                tracing::warn!(receiver.id = %receiver.id, %trouble, "a receiver of events is not to be reached");
                registry.mark_receiver_absent(&seen, next_at, trouble).await?;
                Ok(false)
            }
            Some(_) => {
                tracing::warn!(receiver.id = %receiver.id, "a receiver of events wants nothing any more");
                registry.mark_receiver_gone(receiver.id, "HTTP 410".to_owned()).await?;
                Ok(false)
            }
            None => {
                if reached && receiver.absences > 0 {
                    registry.mark_receiver_back(receiver.id).await?;
                }
                Ok(true)
            }
        }
    }
}

/// How many events go out at once: one at first where it was absent, since it may still be.
fn width_for(receiver: &Receiver) -> usize {
    match receiver.kind {
        _ if receiver.absences > 0 => 1,
        ReceiverKind::Mail => super::mail::CONNECTIONS,
        _ => CONNECTIONS,
    }
}

/// A letter that nobody will ever take.
fn given_up(mut letter: Letter, status: Option<i64>, trouble: Option<String>) -> Letter {
    letter.tries += 1;
    (letter.last_status, letter.trouble, letter.state) = (status, trouble, LetterState::Dead);
    letter
}

/// An event that is not delivered in its turn.
fn letter_of(key: &str, event: &OutboxEvent) -> Letter {
    Letter {
        sequence: event.sequence,
        key: key.to_owned(),
        event: event.event.clone(),
        state: LetterState::Waiting,
        tries: 0,
        next_at: Millis(0),
        last_status: None,
        trouble: None,
        at: Millis(event.created_at),
    }
}

fn jitter() -> f64 {
    rand::rng().random()
}
