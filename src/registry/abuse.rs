//! 防滥用: weighs where a report came from, keeps who is blocked, and lets held cases go on. Nobody is known by name: what
//! is kept are digests under the secret of this registry.

use std::collections::{HashMap, HashSet};
use std::net::IpAddr;
use std::sync::{Mutex, RwLock};

use serde::{Deserialize, Serialize};
use serde_json::json;

use super::case_flow::state_event;
use super::cases::take_case;
use super::files::{self, NewEntry};
use super::reports::clean_text;
use super::{AttachedPhoto, Call, Registry, RegistryError, sha256};
use crate::domain::Refusal;
use crate::domain::abuse::{AbuseRules, BLOCK_DAYS, Block, Doubt, Facts, OriginKind, weigh};
use crate::domain::case::TEXT_LIMIT;
use crate::domain::history::HistoryKind;
use crate::domain::ids::{BlockId, CaseId, IdempotencyKey, ManholeId, Millis, ReportId};
use crate::domain::role::Actor;
use crate::store::abuse::{self, BY_SYSTEM, Hold, OriginRecord, PhotoLook, ReportOrigin, Watched};
use crate::store::case_list::{CaseFilter, CaseLine};
use crate::store::feed::{self, ChangeKind, News};
use crate::store::photos::PhotoRecord;
use crate::store::{StoreError, Tx};

const HOUR_MS: i64 = 3_600_000;
const DAY_MS: i64 = 24 * HOUR_MS;
/// How long it may take until another server knows of a block.
const BLOCKS_KNOWN_MS: i64 = 60_000;
/// Senders counted at once; beyond it the hour starts anew for all.
const REMEMBERED: usize = 200_000;
/// Held cases that go on in one turn of the clock.
const RELEASED_AT_ONCE: i64 = 100;
/// Blocks on one page.
const PAGE_LIMIT: i64 = 500;
/// Held cases on one page.
const HELD_LIMIT: i64 = 200;

/// Where a report comes from, as far as that is known without an account.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Origin {
    pub network: IpAddr,
    /// The random word that the browser keeps; `None` where it keeps none.
    pub device: Option<String>,
    /// Somebody of staff is logged in there.
    pub by_staff: bool,
}

/// An origin with what speaks against it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Weighed {
    pub device: Option<[u8; 32]>,
    pub network: [u8; 32],
    pub by_staff: bool,
    pub doubts: Vec<Doubt>,
}

/// What one server remembers of senders.
#[derive(Default)]
pub(super) struct SenderBook {
    hour: Mutex<(i64, HashMap<[u8; 32], u32>)>,
    /// With the moment at which they were read.
    blocked: RwLock<Option<(Millis, HashSet<Vec<u8>>)>>,
}

impl SenderBook {
    /// Counts one more of this hour.
    fn count(&self, sender: [u8; 32], now: Millis) -> u32 {
        let Ok(mut hour) = self.hour.lock() else { return 0 };
        let this = now.0.div_euclid(HOUR_MS);
        if hour.0 != this || hour.1.len() > REMEMBERED {
            *hour = (this, HashMap::new());
        }
        let count = hour.1.entry(sender).or_default();
        *count += 1;
        *count
    }

    fn forget_blocks(&self) {
        if let Ok(mut blocked) = self.blocked.write() {
            *blocked = None;
        }
    }

    fn is_blocked(&self, senders: &[[u8; 32]], now: Millis) -> Option<bool> {
        let blocked = self.blocked.read().ok()?;
        let (read_at, blocked) = blocked.as_ref()?;
        let fresh = (0..BLOCKS_KNOWN_MS).contains(&(now.0 - read_at.0));
        fresh.then(|| senders.iter().any(|sender| blocked.contains(sender.as_slice())))
    }
}

/// 处置: reports of a sender wait for a look from now on.
#[derive(Debug, Clone, PartialEq)]
pub struct BlockOrder {
    pub key: IdempotencyKey,
    /// A report that came from there.
    pub tracking: String,
    pub kind: OriginKind,
    pub days: u32,
    pub reason: String,
    pub actor: Actor,
}

#[derive(Serialize, Deserialize)]
struct Blocked {
    id: BlockId,
}

/// The first half of an address of IPv6, which is one household; the whole of IPv4.
fn network_of(address: IpAddr) -> [u8; 16] {
    match address.to_canonical() {
        IpAddr::V4(address) => address.to_ipv6_mapped().octets(),
        IpAddr::V6(address) => {
            let mut octets = address.octets();
            octets[8..].fill(0);
            octets
        }
    }
}

impl Registry {
    /// Weighs a report before it is filed; its photos are weighed with it, when its place is known.
    pub(super) async fn weigh_origin(
        &self,
        origin: &Origin,
        place: &[u8],
        now: Millis,
    ) -> Result<Weighed, RegistryError> {
        let known = |kind: &str, bytes: &[u8]| {
            sha256(&[b"origin", self.instance_secret.as_slice(), kind.as_bytes(), bytes])
        };
        let network = known("network", &network_of(origin.network));
        let device = origin.device.as_deref().map(|device| known("device", device.as_bytes()));
        let mut weighed = Weighed { device, network, by_staff: origin.by_staff, doubts: Vec::new() };
        if origin.by_staff {
            return Ok(weighed);
        }
        let senders: Vec<[u8; 32]> = device.into_iter().chain([network]).collect();
        let facts = Facts {
            is_blocked: self.is_blocked(&senders, now).await?,
            of_device: device.map_or(0, |device| self.senders.count(device, now)),
            of_network: self.senders.count(network, now),
            of_plate: self.senders.count(known("plate", place), now),
            is_photo_seen: false,
        };
        weighed.doubts = weigh(&facts, &self.abuse);
        Ok(weighed)
    }

    async fn is_blocked(&self, senders: &[[u8; 32]], now: Millis) -> Result<bool, RegistryError> {
        if let Some(known) = self.senders.is_blocked(senders, now) {
            return Ok(known);
        }
        let list = abuse::list_blocked(&mut self.store.read().await?, now).await?;
        let blocked: HashSet<Vec<u8>> = list.into_iter().collect();
        let found = senders.iter().any(|sender| blocked.contains(sender.as_slice()));
        if let Ok(mut book) = self.senders.blocked.write() {
            *book = Some((now, blocked));
        }
        Ok(found)
    }

    /// How many cases wait for a look before the public sees them.
    pub async fn count_held(&self) -> Result<i64, RegistryError> {
        Ok(abuse::count_held(&mut self.store.read().await?).await?)
    }

    /// Cases that wait for a look, the newest first, with what speaks against them.
    pub async fn list_held(&self, actor: &Actor) -> Result<Vec<(CaseLine, Hold)>, RegistryError> {
        let filter = CaseFilter { held: Some(true), limit: HELD_LIMIT, ..CaseFilter::default() };
        let lines = self.list_cases(filter, actor).await?;
        let mut tx = self.store.read().await?;
        let mut held = Vec::with_capacity(lines.len());
        for line in lines {
            let hold = abuse::find_hold(&mut tx, line.case.id).await?;
            held.extend(hold.map(|hold| (line, hold)));
        }
        Ok(held)
    }

    /// From where the reports of a case came, as long as it is kept; for those who deal with cases.
    pub async fn list_case_origins(&self, case: CaseId) -> Result<Vec<ReportOrigin>, RegistryError> {
        Ok(abuse::list_origins(&mut self.store.read().await?, case).await?)
    }

    /// Has what the sender of a report sends from now on wait for a look. Never refuses anybody anything.
    pub async fn block_sender(&self, mut order: BlockOrder) -> Result<Block, RegistryError> {
        order.reason = clean_text(&order.reason, "reason", TEXT_LIMIT)?;
        if order.reason.is_empty() {
            return Err(Refusal::new("form.missing").at("reason").with("field", "reason").into());
        }
        if !(1..=BLOCK_DAYS).contains(&order.days) {
            let refusal = Refusal::new("block.days").at("days").with("read", order.days);
            return Err(refusal.with("most", BLOCK_DAYS).into());
        }
        let days = order.days.to_be_bytes();
        let parts: [&[u8]; 4] =
            [order.tracking.as_bytes(), order.kind.as_str().as_bytes(), &days, order.reason.as_bytes()];
        let (hash, now) = (sha256(&parts), self.now());
        let scope = format!("block:{}", order.actor.word());
        let blocked = self
            .once::<Blocked, _>(Call { key: order.key, scope, hash, now }, move |tx| {
                let order = order.clone();
                Box::pin(async move { block(tx, &order, now).await })
            })
            .await?;
        self.senders.forget_blocks();
        self.known_block(blocked.id).await
    }

    /// Lets a sender be heard as any other again.
    pub async fn lift_block(&self, id: BlockId, actor: &Actor) -> Result<Block, RegistryError> {
        let (by, now) = (actor.word(), self.now());
        self.store
            .write::<(), RegistryError, _>(move |tx| {
                let by = by.clone();
                Box::pin(async move {
                    let lifted = abuse::lift_block(tx, id, (&by, now)).await?;
                    lifted.map(drop).ok_or_else(|| unknown_block(id))
                })
            })
            .await?;
        self.senders.forget_blocks();
        self.known_block(id).await
    }

    /// Blocks, the newest first.
    pub async fn list_blocks(&self) -> Result<Vec<Block>, RegistryError> {
        Ok(abuse::list_blocks(&mut self.store.read().await?, PAGE_LIMIT).await?)
    }

    async fn known_block(&self, id: BlockId) -> Result<Block, RegistryError> {
        let blocks = self.list_blocks().await?;
        blocks.into_iter().find(|block| block.id == id).ok_or_else(|| unknown_block(id))
    }

    /// Lets held cases go on at which nobody looked in time, and forgets what is kept long enough; answers how many
    /// cases went on.
    pub async fn sweep_holds(&self) -> Result<usize, RegistryError> {
        let now = self.now();
        let until = Millis(now.0 - i64::from(self.abuse.hold_hours) * HOUR_MS);
        let numbers = abuse::list_held_before(&mut self.store.read().await?, until, RELEASED_AT_ONCE).await?;
        let mut released = 0;
        for number in numbers {
            let is_released = self
                .store
                .write::<bool, RegistryError, _>(move |tx| {
                    let number = number.clone();
                    Box::pin(async move { release(tx, &number, now).await })
                })
                .await?;
            released += usize::from(is_released);
        }
        let AbuseRules { keep_days, photo_days, .. } = self.abuse;
        let [origins, looks] = [keep_days, photo_days].map(|days| Millis(now.0 - i64::from(days) * DAY_MS));
        self.store
            .write::<(), RegistryError, _>(move |tx| {
                Box::pin(async move { Ok(abuse::forget(tx, origins, looks).await.map(drop)?) })
            })
            .await?;
        Ok(released)
    }
}

fn unknown_block(id: BlockId) -> RegistryError {
    RegistryError::NotFound(Refusal::new("block.unknown").with("read", id))
}

async fn block(tx: &mut Tx, order: &BlockOrder, now: Millis) -> Result<Blocked, RegistryError> {
    let origin = abuse::find_origin(tx, &order.tracking, order.kind).await?.ok_or_else(|| {
        let refusal = Refusal::new("block.no_origin").at("kind").with("read", &order.tracking);
        RegistryError::Conflict(refusal.with("kind", order.kind))
    })?;
    let block = Block {
        id: BlockId::fresh(),
        kind: order.kind,
        reason: order.reason.clone(),
        tracking: order.tracking.clone(),
        until: Millis(now.0 + i64::from(order.days) * DAY_MS),
        actor: order.actor.word(),
        created_at: now,
        lifted_at: None,
    };
    abuse::add_block(tx, &block, &origin).await?;
    Ok(Blocked { id: block.id })
}

/// A held case goes on as if nothing had spoken against it.
async fn release(tx: &mut Tx, number: &str, now: Millis) -> Result<bool, RegistryError> {
    let (case, head) = take_case(tx, number, &Actor::System).await?;
    if !abuse::end_hold(tx, case.id, BY_SYSTEM, now).await? {
        return Ok(false);
    }
    files::append(tx, case.manhole, head, now, vec![hold_ended(case.id, &case.number, "time")]).await?;
    let mut changed = vec![(ChangeKind::Case, case.id.0)];
    changed.extend(case.cover.map(|cover| (ChangeKind::Cover, cover.0)));
    feed::record(tx, now, News { events: vec![state_event(&case)], changed }).await?;
    Ok(true)
}

/// `why`: `time`, or `second_report`.
pub(super) fn hold_ended(case: CaseId, number: &str, why: &str) -> NewEntry {
    NewEntry {
        actor: Actor::System.word(),
        kind: HistoryKind::HoldEnded,
        case: Some(case),
        body: json!({"case": number, "why": why}),
    }
}

/// Whether one of the photos was sent before, of another place. Their place must be known.
pub(super) async fn are_photos_seen(
    tx: &mut Tx,
    rules: &AbuseRules,
    photos: &[AttachedPhoto],
    (here, now): (ManholeId, Millis),
) -> Result<bool, StoreError> {
    if photos.is_empty() || rules.photo_days == 0 {
        return Ok(false);
    }
    let since = Millis(now.0 - i64::from(rules.photo_days) * DAY_MS);
    let photos: Vec<_> = photos.iter().map(|photo| (photo.digest, photo.look)).collect();
    abuse::is_photo_seen(tx, &photos, (here, since)).await
}

impl Weighed {
    /// Keeps from where a report came, with what its photos look like.
    pub(super) fn note(
        self,
        report: ReportId,
        photos: (&[PhotoRecord], &[AttachedPhoto]),
        watched: &mut Watched,
    ) {
        let (records, attached) = photos;
        let looks = records
            .iter()
            .zip(attached)
            .filter_map(|(record, photo)| photo.look.map(|look| PhotoLook { photo: record.id, look }));
        watched.looks.extend(looks);
        watched.origins.push(OriginRecord {
            report,
            device: self.device,
            network: self.network,
            by_staff: self.by_staff,
            doubts: self.doubts,
        });
    }
}
