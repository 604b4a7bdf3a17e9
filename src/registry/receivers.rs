//! 事件接收方: who hears of events by webhook, kept by administrators; and what could not be delivered.

use base64::prelude::{BASE64_STANDARD, Engine};
use rand::RngExt;
use serde::{Deserialize, Serialize};

use super::reports::clean_text;
use super::{Call, Registry, RegistryError, sha256};
use crate::domain::Refusal;
use crate::domain::ids::{IdempotencyKey, Millis, ReceiverId};
use crate::domain::receiver::{
    LetterState, LetterStep, NAME_LIMIT, ROTATION_MS, ReceiverKind, ReceiverState, ReceiverStep,
    UpstreamRules, Wishes, check_url,
};
use crate::domain::role::Actor;
use crate::store::deliveries::{self, Letter};
use crate::store::receivers::{self, Receiver, UpstreamCase};
use crate::store::{StoreError, Tx};

/// What somebody sets of a receiver, as typed.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct ReceiverDraft {
    pub name: String,
    pub url: String,
    /// Patterns and codes, apart by blanks or commas.
    pub events: String,
    pub districts: String,
    pub personal: bool,
    /// Of an upstream platform; else empty.
    pub rules: String,
}

#[derive(Debug, Clone)]
pub struct NewReceiver {
    pub key: IdempotencyKey,
    pub kind: ReceiverKind,
    pub draft: ReceiverDraft,
    pub actor: Actor,
}

#[derive(Debug, Clone)]
pub struct ReceiverChange {
    pub key: IdempotencyKey,
    pub id: ReceiverId,
    /// The version that the person saw.
    pub version: i64,
    pub draft: ReceiverDraft,
    pub actor: Actor,
}

#[derive(Debug, Clone)]
pub struct ReceiverStepOrder {
    pub key: IdempotencyKey,
    pub id: ReceiverId,
    pub step: ReceiverStep,
    /// From when on everything is sent again.
    pub since: Option<Millis>,
    pub actor: Actor,
}

#[derive(Debug, Clone)]
pub struct LetterOrder {
    pub key: IdempotencyKey,
    pub receiver: ReceiverId,
    pub sequence: i64,
    pub step: LetterStep,
    pub actor: Actor,
}

/// A receiver with how it stands.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ReceiverFile {
    pub receiver: Receiver,
    /// Events of the log that it has not come to yet.
    pub behind: i64,
    pub waiting: i64,
    pub dead: i64,
}

/// A receiver whose secret is new: it is told this once.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ReceiverMade {
    /// `None` when it was removed.
    pub file: Option<ReceiverFile>,
    pub secret: Option<String>,
}

#[derive(Serialize, Deserialize)]
struct Answered {
    id: ReceiverId,
    /// Which version's secret the answer told.
    tells: Option<i64>,
}

/// Letters of one page.
const PAGE_LIMIT: i64 = 500;
/// Cases of a platform that are shown.
const UPSTREAM_SHOWN: i64 = 100;

impl Registry {
    /// Adds a receiver, which hears of what happens from now on. A repeated call is told the secret again as long as
    /// nobody changed the receiver.
    pub async fn add_receiver(&self, new: NewReceiver) -> Result<ReceiverMade, RegistryError> {
        let draft = self.checked(&new.draft, new.kind)?;
        let now = self.now();
        let fresh = Receiver {
            id: ReceiverId::fresh(),
            name: draft.name,
            kind: new.kind,
            url: draft.url,
            wishes: draft.wishes,
            state: ReceiverState::Active,
            rules: draft.rules,
            secret: draw_secret(),
            old_secret: None,
            absences: 0,
            next_at: Millis(0),
            trouble: None,
            actor: new.actor.word(),
            created_at: now,
            version: 1,
        };
        let hash = hash_of(&new.draft, &[new.kind.as_str()]);
        let scope = format!("receiver:{}", new.actor.word());
        let answered = self
            .once::<Answered, _>(Call { key: new.key, scope, hash, now }, move |tx| {
                let fresh = fresh.clone();
                Box::pin(async move {
                    if !receivers::add_receiver(tx, &fresh).await? {
                        return Err(name_taken(&fresh.name));
                    }
                    let last = receivers::last_event(tx).await?;
                    receivers::set_cursor(tx, fresh.id, last).await?;
                    Ok(Answered { id: fresh.id, tells: Some(1) })
                })
            })
            .await?;
        self.made(&answered).await
    }

    /// Changes what is set of a receiver; it is tried at once where it was absent.
    pub async fn change_receiver(&self, change: ReceiverChange) -> Result<ReceiverFile, RegistryError> {
        let seen = self.known_receiver(change.id).await?.receiver;
        let draft = self.checked(&change.draft, seen.kind)?;
        let hash = hash_of(&change.draft, &[&change.version.to_string()]);
        let scope = format!("receiver:{}:{}", change.id, change.actor.word());
        let (id, now) = (change.id, self.now());
        self.once::<Answered, _>(Call { key: change.key, scope, hash, now }, move |tx| {
            let (change, draft) = (change.clone(), draft.clone());
            Box::pin(async move {
                let mut receiver = receivers::find_receiver(tx, id).await?.ok_or_else(|| unknown(id))?;
                if receivers::is_name_taken(tx, &draft.name, id).await? {
                    return Err(name_taken(&draft.name));
                }
                receiver.name = draft.name;
                receiver.url = draft.url;
                receiver.wishes = draft.wishes;
                receiver.rules = draft.rules;
                (receiver.absences, receiver.next_at) = (0, Millis(0));
                receiver.actor = change.actor.word();
                receiver.version = change.version + 1;
                keep(tx, &receiver, change.version).await?;
                Ok(Answered { id, tells: None })
            })
        })
        .await?;
        self.known_receiver(id).await
    }

    /// Pauses it, lets it go on, gives it a new secret, sends it everything since a moment again, or removes it.
    pub async fn step_receiver(&self, order: ReceiverStepOrder) -> Result<ReceiverMade, RegistryError> {
        if order.step == ReceiverStep::Replay && order.since.is_none() {
            return Err(Refusal::new("form.missing").at("since").with("field", "since").into());
        }
        let since = order.since.map_or(0, |since| since.0);
        let hash = sha256(&[order.step.as_str().as_bytes(), &since.to_be_bytes()]);
        let scope = format!("receiver:{}:{}", order.id, order.actor.word());
        let (now, fresh) = (self.now(), draw_secret());
        let answered = self
            .once::<Answered, _>(Call { key: order.key, scope, hash, now }, move |tx| {
                let (order, fresh) = (order.clone(), fresh.clone());
                Box::pin(async move { step(tx, &order, fresh, now).await })
            })
            .await?;
        self.made(&answered).await
    }

    /// Tries a dead or waiting event again at once, or gives it up.
    pub async fn step_letter(&self, order: LetterOrder) -> Result<(), RegistryError> {
        let hash = sha256(&[order.step.as_str().as_bytes(), &order.sequence.to_be_bytes()]);
        let scope = format!("letter:{}:{}", order.receiver, order.actor.word());
        let now = self.now();
        self.once::<Answered, _>(Call { key: order.key, scope, hash, now }, move |tx| {
            let order = order.clone();
            Box::pin(async move {
                let unknown = || {
                    let refusal = Refusal::new("receiver.letter_unknown").with("read", order.sequence);
                    RegistryError::NotFound(refusal)
                };
                let found = deliveries::find_letter(tx, order.receiver, order.sequence).await?;
                let mut letter = found.ok_or_else(unknown)?;
                match order.step {
                    LetterStep::Skip => {
                        deliveries::remove_letters(tx, order.receiver, &[order.sequence]).await?;
                    }
                    LetterStep::TryAgain => {
                        (letter.state, letter.tries, letter.next_at) = (LetterState::Waiting, 0, Millis(0));
                        deliveries::update_letter(tx, order.receiver, &letter).await?;
                    }
                }
                Ok(Answered { id: order.receiver, tells: None })
            })
        })
        .await
        .map(drop)
    }

    /// Sees to it that there is a receiver for mail exactly while the settings name a server, whatever it was called
    /// before. It hears from now on.
    pub async fn settle_mail_receiver(&self, server: Option<String>) -> Result<(), RegistryError> {
        let (now, secret) = (self.now(), draw_secret());
        let stands =
            self.list_receivers().await?.into_iter().find(|file| file.receiver.kind == ReceiverKind::Mail);
        if stands.map(|file| file.receiver.url) == server {
            return Ok(());
        }
        self.store
            .write::<(), RegistryError, _>(move |tx| {
                let (server, secret) = (server.clone(), secret.clone());
                Box::pin(async move {
                    let all = receivers::list_receivers(tx).await?;
                    let known = all.into_iter().find(|receiver| receiver.kind == ReceiverKind::Mail);
                    match (known, server) {
                        (None, None) => Ok(()),
                        (Some(known), None) => Ok(receivers::remove_receiver(tx, known.id).await?),
                        (Some(known), Some(server)) if known.url == server => Ok(()),
                        (Some(mut known), Some(server)) => {
                            let version = known.version;
                            known.url = server;
                            (known.absences, known.next_at) = (0, Millis(0));
                            known.version += 1;
                            keep(tx, &known, version).await
                        }
                        (None, Some(server)) => {
                            let fresh = mail_receiver(server, secret, now);
                            if !receivers::add_receiver(tx, &fresh).await? {
                                return Err(name_taken(&fresh.name));
                            }
                            let last = receivers::last_event(tx).await?;
                            Ok(receivers::set_cursor(tx, fresh.id, last).await?)
                        }
                    }
                })
            })
            .await
    }

    pub async fn list_receivers(&self) -> Result<Vec<ReceiverFile>, RegistryError> {
        let mut tx = self.store.read().await?;
        let mut files = Vec::new();
        for receiver in receivers::list_receivers(&mut tx).await? {
            files.push(file_of(&mut tx, receiver).await?);
        }
        Ok(files)
    }

    pub async fn find_receiver(&self, id: ReceiverId) -> Result<Option<ReceiverFile>, RegistryError> {
        let mut tx = self.store.read().await?;
        match receivers::find_receiver(&mut tx, id).await? {
            Some(receiver) => Ok(Some(file_of(&mut tx, receiver).await?)),
            None => Ok(None),
        }
    }

    pub(super) async fn known_receiver(&self, id: ReceiverId) -> Result<ReceiverFile, RegistryError> {
        self.find_receiver(id).await?.ok_or_else(|| unknown(id))
    }

    /// Those that are sent something, as they are stored.
    pub async fn list_active_receivers(&self) -> Result<Vec<Receiver>, RegistryError> {
        let mut all = receivers::list_receivers(&mut self.store.read().await?).await?;
        all.retain(|receiver| receiver.state == ReceiverState::Active);
        Ok(all)
    }

    /// One of them; `None` when it is paused or was removed.
    pub async fn find_active_receiver(&self, id: ReceiverId) -> Result<Option<Receiver>, RegistryError> {
        let found = receivers::find_receiver(&mut self.store.read().await?, id).await?;
        Ok(found.filter(|receiver| receiver.state == ReceiverState::Active))
    }

    /// Events that could not be delivered, in the order of the log; at most 500.
    pub async fn list_letters(
        &self,
        receiver: ReceiverId,
        state: LetterState,
        (after, limit): (i64, i64),
    ) -> Result<Vec<Letter>, RegistryError> {
        let mut tx = self.store.read().await?;
        Ok(deliveries::list_letters(&mut tx, receiver, state, after, limit.clamp(1, PAGE_LIMIT)).await?)
    }

    /// The cases that a platform was last told or spoke of.
    pub async fn list_upstream_cases(
        &self,
        receiver: ReceiverId,
    ) -> Result<Vec<UpstreamCase>, RegistryError> {
        let mut tx = self.store.read().await?;
        Ok(receivers::list_upstream_cases(&mut tx, receiver, UPSTREAM_SHOWN).await?)
    }

    fn checked(&self, draft: &ReceiverDraft, kind: ReceiverKind) -> Result<Checked, RegistryError> {
        let name = clean_text(&draft.name, "name", NAME_LIMIT)?;
        if name.is_empty() {
            return Err(Refusal::new("form.missing").at("name").with("field", "name").into());
        }
        if kind == ReceiverKind::Mail {
            return Err(mail_by_settings());
        }
        let url = check_url(draft.url.trim(), self.outbox.private_receivers)?;
        let wishes = Wishes::read(&draft.events, &draft.districts, draft.personal)?;
        let rules = draft.rules.trim().replace("\r\n", "\n");
        match kind {
            ReceiverKind::Upstream => drop(UpstreamRules::read(&rules)?),
            ReceiverKind::Webhook if !rules.is_empty() => {
                return Err(Refusal::new("receiver.no_rules").at("rules").into());
            }
            ReceiverKind::Webhook | ReceiverKind::Mail => {}
        }
        Ok(Checked { name, url: url.into(), wishes, rules })
    }

    async fn made(&self, answered: &Answered) -> Result<ReceiverMade, RegistryError> {
        let file = self.find_receiver(answered.id).await?;
        let told = file.as_ref().filter(|file| Some(file.receiver.version) == answered.tells);
        let secret = told.map(|file| file.receiver.secret.clone());
        Ok(ReceiverMade { secret, file })
    }
}

#[derive(Clone)]
struct Checked {
    name: String,
    url: String,
    wishes: Wishes,
    rules: String,
}

/// Signs nothing: its secret is there because every receiver has one.
fn mail_receiver(server: String, secret: String, now: Millis) -> Receiver {
    Receiver {
        id: ReceiverId::fresh(),
        name: "SMTP".to_owned(),
        kind: ReceiverKind::Mail,
        url: server,
        wishes: Wishes { events: vec!["citizen.message".to_owned()], districts: Vec::new(), personal: true },
        state: ReceiverState::Active,
        rules: String::new(),
        secret,
        old_secret: None,
        absences: 0,
        next_at: Millis(0),
        trouble: None,
        actor: Actor::System.word(),
        created_at: now,
        version: 1,
    }
}

fn hash_of(draft: &ReceiverDraft, also: &[&str]) -> [u8; 32] {
    let ReceiverDraft { name, url, events, districts, personal, rules } = draft;
    let mut parts: Vec<&[u8]> = [name, url, events, districts, rules].map(|text| text.as_bytes()).into();
    parts.push(if *personal { b"yes" } else { b"no" });
    parts.extend(also.iter().map(|text| text.as_bytes()));
    sha256(&parts)
}

/// 32 random bytes, as Standard Webhooks writes them.
fn draw_secret() -> String {
    format!("whsec_{}", BASE64_STANDARD.encode(rand::rng().random::<[u8; 32]>()))
}

fn mail_by_settings() -> RegistryError {
    Refusal::new("receiver.mail_by_settings").at("kind").into()
}

pub(super) fn unknown(id: ReceiverId) -> RegistryError {
    RegistryError::NotFound(Refusal::new("receiver.unknown").with("read", id))
}

fn name_taken(name: &str) -> RegistryError {
    RegistryError::Conflict(Refusal::new("receiver.name_taken").at("name").with("read", name))
}

async fn keep(tx: &mut Tx, receiver: &Receiver, version: i64) -> Result<(), RegistryError> {
    match receivers::update_receiver(tx, receiver, version).await? {
        true => Ok(()),
        false => Err(RegistryError::Conflict(Refusal::new("receiver.changed_meanwhile"))),
    }
}

async fn step(
    tx: &mut Tx,
    order: &ReceiverStepOrder,
    fresh_secret: String,
    now: Millis,
) -> Result<Answered, RegistryError> {
    let id = order.id;
    let mut receiver = receivers::find_receiver(tx, id).await?.ok_or_else(|| unknown(id))?;
    if receiver.kind == ReceiverKind::Mail
        && matches!(order.step, ReceiverStep::Rotate | ReceiverStep::Remove)
    {
        return Err(mail_by_settings());
    }
    let version = receiver.version;
    let mut tells = None;
    match order.step {
        ReceiverStep::Pause => receiver.state = ReceiverState::Paused,
        ReceiverStep::Resume => {
            receiver.state = ReceiverState::Active;
            (receiver.absences, receiver.next_at) = (0, Millis(0));
        }
        ReceiverStep::Rotate => {
            let before = std::mem::replace(&mut receiver.secret, fresh_secret);
            receiver.old_secret = Some((before, Millis(now.0 + ROTATION_MS)));
            tells = Some(version + 1);
        }
        ReceiverStep::Replay => {
            let since = order.since.unwrap_or(now);
            let stood = receivers::find_cursor(tx, id).await?.unwrap_or(0);
            let wanted = receivers::number_before(tx, since).await?;
            if wanted >= stood {
                return Err(RegistryError::Conflict(Refusal::new("receiver.nothing_since").at("since")));
            }
            receivers::set_cursor(tx, id, wanted).await?;
            deliveries::remove_letters_after(tx, id, wanted).await?;
        }
        ReceiverStep::Remove => {
            receivers::remove_receiver(tx, id).await?;
            return Ok(Answered { id, tells });
        }
    }
    receiver.actor = order.actor.word();
    receiver.version += 1;
    keep(tx, &receiver, version).await?;
    Ok(Answered { id, tells })
}

async fn file_of(tx: &mut Tx, receiver: Receiver) -> Result<ReceiverFile, StoreError> {
    let last = receivers::last_event(tx).await?;
    let stands = receivers::find_cursor(tx, receiver.id).await?.unwrap_or(0);
    let counts = deliveries::count_letters(tx).await?;
    let [waiting, dead] = counts.get(&receiver.id).copied().unwrap_or_default();
    Ok(ReceiverFile { receiver, behind: (last - stands).max(0), waiting, dead })
}
