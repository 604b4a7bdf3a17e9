//! What the outbox asks for and says: which events a receiver has still to hear, what became of them, and what nobody
//! needs any more.

use std::collections::BTreeSet;

use serde_json::Value;

use super::{Registry, RegistryError};
use crate::domain::ids::{Millis, ReceiverId};
use crate::domain::receiver::{ReceiverState, order_key};
use crate::store::deliveries::{self, Letter};
use crate::store::feed::{self, OutboxEvent};
use crate::store::receivers::{self, Receiver};

/// A piece of the log behind where a receiver has heard.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Undelivered {
    /// Where it stands.
    pub from: i64,
    /// The last event of this piece.
    pub to: i64,
    /// What it wants to hear of it, with the key of each.
    pub events: Vec<(String, OutboxEvent)>,
    /// Keys of which something waits: what is new goes behind it.
    pub queued: BTreeSet<String>,
    /// Whether there is more behind.
    pub more: bool,
}

/// Events that are cleared away in one go.
const CLEARED: i64 = 5_000;
const DAY_MS: i64 = 86_400_000;

impl Registry {
    /// The next events for a receiver; at most so many of the log.
    pub async fn list_undelivered(
        &self,
        receiver: &Receiver,
        limit: i64,
    ) -> Result<Undelivered, RegistryError> {
        let mut tx = self.store.read().await?;
        let from = receivers::find_cursor(&mut tx, receiver.id).await?.unwrap_or(0);
        let events = feed::list_events_after(&mut tx, from, limit).await?;
        // Behind the events, so that what another server put aside meanwhile is known.
        let queued = deliveries::list_waiting_keys(&mut tx, receiver.id).await?;
        let to = events.last().map_or(from, |event| event.sequence);
        let more = events.len() as i64 == limit;
        let bodies: Vec<Value> =
            events.iter().map(|event| serde_json::from_str(&event.body).unwrap_or_default()).collect();
        let case_of = |body: &Value| body["case"].as_str().map(str::to_owned);
        let districts = match receiver.wishes.districts.is_empty() {
            true => Default::default(),
            false => {
                let cases: BTreeSet<String> = bodies.iter().filter_map(case_of).collect();
                deliveries::list_districts_of(&mut tx, &cases.into_iter().collect::<Vec<_>>()).await?
            }
        };
        let wanted = |(event, body): (OutboxEvent, Value)| {
            let district = case_of(&body).and_then(|case| districts.get(&case).map(String::as_str));
            let key = order_key(&event.event, &body);
            receiver.wishes.want(&event.event, district).then_some((key, event))
        };
        let events = events.into_iter().zip(bodies).filter_map(wanted).collect();
        Ok(Undelivered { from, to, events, queued: queued.into_iter().collect(), more })
    }

    /// A receiver has heard up to `to`, apart from what these letters bring later. `false`, and nothing is kept, when
    /// somebody moved it from where it was seen.
    pub async fn settle_deliveries(
        &self,
        receiver: ReceiverId,
        (from, to): (i64, i64),
        letters: Vec<Letter>,
    ) -> Result<bool, RegistryError> {
        self.store
            .write::<bool, RegistryError, _>(move |tx| {
                let letters = letters.clone();
                Box::pin(async move {
                    if !receivers::move_cursor(tx, receiver, from, to).await? {
                        return Ok(false);
                    }
                    deliveries::add_letters(tx, receiver, &letters).await?;
                    Ok(true)
                })
            })
            .await
    }

    /// The first letter of each key whose time has come, with its event.
    pub async fn list_due_letters(
        &self,
        receiver: ReceiverId,
        limit: i64,
    ) -> Result<Vec<(Letter, Option<OutboxEvent>)>, RegistryError> {
        let mut tx = self.store.read().await?;
        let letters = deliveries::list_due_letters(&mut tx, receiver, self.now(), limit).await?;
        let sequences: Vec<i64> = letters.iter().map(|letter| letter.sequence).collect();
        let events = feed::list_events(&mut tx, &sequences).await?;
        let with_event = |letter: Letter| {
            let event = events.iter().find(|event| event.sequence == letter.sequence).cloned();
            (letter, event)
        };
        Ok(letters.into_iter().map(with_event).collect())
    }

    /// What became of letters.
    pub async fn settle_letters(
        &self,
        receiver: ReceiverId,
        delivered: Vec<i64>,
        failed: Vec<Letter>,
    ) -> Result<(), RegistryError> {
        if delivered.is_empty() && failed.is_empty() {
            return Ok(());
        }
        self.store
            .write::<(), RegistryError, _>(move |tx| {
                let (delivered, failed) = (delivered.clone(), failed.clone());
                Box::pin(async move {
                    deliveries::remove_letters(tx, receiver, &delivered).await?;
                    for letter in &failed {
                        // One that somebody skipped meanwhile stays away.
                        deliveries::update_letter(tx, receiver, letter).await?;
                    }
                    Ok(())
                })
            })
            .await
    }

    /// A receiver was not to be reached; nothing is sent before `next_at`.
    pub async fn mark_receiver_absent(
        &self,
        receiver: &Receiver,
        next_at: Millis,
        trouble: String,
    ) -> Result<(), RegistryError> {
        let (id, absences, now) = (receiver.id, receiver.absences + 1, self.now());
        self.store
            .write::<(), RegistryError, _>(move |tx| {
                let trouble = trouble.clone();
                Box::pin(async move {
                    Ok(receivers::set_absence(tx, id, (absences, next_at), Some((&trouble, now))).await?)
                })
            })
            .await
    }

    /// It was reached again.
    pub async fn mark_receiver_back(&self, receiver: ReceiverId) -> Result<(), RegistryError> {
        self.store
            .write::<(), RegistryError, _>(move |tx| {
                Box::pin(async move { Ok(receivers::set_absence(tx, receiver, (0, Millis(0)), None).await?) })
            })
            .await
    }

    /// It said that it wants nothing any more: it pauses until a person lets it go on.
    pub async fn mark_receiver_gone(&self, id: ReceiverId, trouble: String) -> Result<(), RegistryError> {
        let now = self.now();
        self.store
            .write::<(), RegistryError, _>(move |tx| {
                let trouble = trouble.clone();
                Box::pin(async move {
                    let Some(mut receiver) = receivers::find_receiver(tx, id).await? else { return Ok(()) };
                    let version = receiver.version;
                    receiver.state = ReceiverState::Paused;
                    receiver.version += 1;
                    if receivers::update_receiver(tx, &receiver, version).await? {
                        receivers::set_absence(tx, id, (0, Millis(0)), Some((&trouble, now))).await?;
                    }
                    Ok(())
                })
            })
            .await
    }

    /// Clears away what everybody has heard and the city no longer keeps; answers how many events.
    pub async fn clear_events(&self) -> Result<u64, RegistryError> {
        let days = i64::from(self.outbox.keep_days);
        if days == 0 {
            return Ok(0);
        }
        let before = Millis(self.now().0 - days * DAY_MS);
        let mut sum = 0;
        loop {
            let cleared = self
                .store
                .write::<u64, RegistryError, _>(move |tx| {
                    Box::pin(async move { Ok(deliveries::clear_events(tx, before, CLEARED).await?) })
                })
                .await?;
            sum += cleared;
            if cleared < CLEARED as u64 {
                return Ok(sum);
            }
        }
    }
}
