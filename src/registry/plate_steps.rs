//! Steps that many plates take together: printed, spoiled, printed once more, handed to a crew, handed
//! back. Each plate keeps its step; the file of a manhole hears of what came out wrong alone, because
//! who carries a plate around is no matter of the manhole.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};
use serde_json::{Value, json};

use super::files::{self, NewEntry};
use super::plates::plate_uuid;
use super::{Call, Registry, RegistryError, User, reports};
use crate::domain::Refusal;
use crate::domain::case::TEXT_LIMIT;
use crate::domain::history::HistoryKind;
use crate::domain::ids::{BatchId, IdempotencyKey, Millis, UserId};
use crate::domain::plate::{Plate, PlateState};
use crate::domain::plate_batch::Ordinals;
use crate::domain::role::{Actor, Role};
use crate::domain::token::Token;
use crate::store::feed::{self, ChangeKind, News};
use crate::store::plate_steps::{self as steps, PlateRange, RangeStep, Stand, Stepped, StockLine};
use crate::store::{Tx, plates};

/// What is done with plates.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum PlateMove {
    /// The print shop delivered them.
    Printed,
    Spoiled {
        reason: String,
    },
    /// Spoiled ones came out right under the same token.
    Reprinted,
    Issued {
        crew: UserId,
    },
    /// By this crew; `None` = by whoever has them.
    Returned {
        crew: Option<UserId>,
    },
}

impl PlateMove {
    fn word(&self) -> &'static str {
        match self {
            PlateMove::Printed => "printed",
            PlateMove::Spoiled { .. } => "spoiled",
            PlateMove::Reprinted => "reprinted",
            PlateMove::Issued { .. } => "issued",
            PlateMove::Returned { .. } => "returned",
        }
    }

    fn from(&self) -> &'static [PlateState] {
        use PlateState::*;
        match self {
            PlateMove::Printed => &[Made],
            PlateMove::Spoiled { .. } => &[Made, Printed],
            PlateMove::Reprinted => &[Spoiled],
            PlateMove::Issued { .. } => &[Printed],
            PlateMove::Returned { .. } => &[Issued],
        }
    }

    fn to(&self) -> PlateState {
        match self {
            PlateMove::Printed | PlateMove::Reprinted | PlateMove::Returned { .. } => PlateState::Printed,
            PlateMove::Spoiled { .. } => PlateState::Spoiled,
            PlateMove::Issued { .. } => PlateState::Issued,
        }
    }
}

/// Which plates.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum WhichPlates {
    /// Those of a whole batch that can take the step.
    Batch(BatchId),
    Ordinals(BatchId, Ordinals),
    /// One by one, of any batch; each must be able to.
    Tokens(Vec<Token>),
    /// All that a crew has.
    StockOf(UserId),
}

/// A step of many plates.
#[derive(Debug, Clone)]
pub struct PlateMoveOrder {
    pub key: IdempotencyKey,
    pub what: PlateMove,
    pub which: WhichPlates,
    pub actor: Actor,
}

/// What became of it.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct PlatesMoved {
    pub moved: i64,
    /// Those that stayed as they were, by their state.
    pub left: BTreeMap<PlateState, i64>,
}

/// Tokens that one call may name.
const MOST_TOKENS: usize = 2000;
/// News that are written together, so that memory does not grow with a batch.
const AT_ONCE: usize = 10_000;

impl Registry {
    /// Carries out a step for all plates that are meant, or for none.
    pub async fn move_plates(&self, order: PlateMoveOrder) -> Result<PlatesMoved, RegistryError> {
        let (now, actor) = (self.now(), order.actor.word());
        let mut what = order.what.clone();
        if let PlateMove::Spoiled { reason } = &mut what {
            *reason = reports::clean_text(reason, "reason", TEXT_LIMIT)?;
            if reason.is_empty() {
                return Err(Refusal::new("form.missing").at("reason").with("field", "reason").into());
            }
        }
        if let PlateMove::Issued { crew } = &what {
            self.known_crew(*crew).await?;
        }
        if let WhichPlates::Tokens(tokens) = &order.which
            && (tokens.is_empty() || tokens.len() > MOST_TOKENS)
        {
            let refusal = Refusal::new("plates.tokens").at("tokens").with("count", tokens.len());
            return Err(refusal.with("most", MOST_TOKENS).into());
        }
        let scope = format!("plate_move:{actor}");
        let hash = super::sha256(&[format!("{:?}", (&what, tokens_said(&order.which))).as_bytes()]);
        let (key, which) = (order.key, order.which);
        self.once::<PlatesMoved, _>(Call { key, scope, hash, now }, move |tx| {
            let (actor, what, which) = (actor.clone(), what.clone(), which.clone());
            Box::pin(async move { move_all(tx, &what, &which, &actor, now).await })
        })
        .await
    }

    /// A crew by its id; refused where it is none, or may no longer log in.
    pub async fn known_crew(&self, id: UserId) -> Result<User, RegistryError> {
        let crews = self.list_crews().await?;
        let fits: Vec<&str> = crews.iter().map(|crew| crew.login.as_str()).collect();
        let refusal = Refusal::new("plates.crew_unknown").at("crew").with("fits", fits.join(", "));
        crews.iter().find(|crew| crew.id == id).cloned().ok_or(RegistryError::Refused(refusal))
    }

    /// Crews that may be given plates.
    pub async fn list_crews(&self) -> Result<Vec<User>, RegistryError> {
        let mut users = self.list_users().await?;
        users.retain(|user| user.role == Role::Crew && !user.disabled);
        Ok(users)
    }

    /// What crews have, by batch; `None` = all crews.
    pub async fn list_stock(&self, crew: Option<UserId>) -> Result<Vec<StockLine>, RegistryError> {
        Ok(steps::list_stock(&mut self.store.read().await?, crew).await?)
    }

    /// How many plates of each batch stand in each state.
    pub async fn count_batches(
        &self,
        batches: &[BatchId],
    ) -> Result<Vec<(BatchId, PlateState, i64)>, RegistryError> {
        Ok(steps::count_by_batch(&mut self.store.read().await?, batches).await?)
    }

    /// A page of the plates of a batch that stand in this state.
    pub async fn list_batch_plates_in(
        &self,
        (id, state): (BatchId, PlateState),
        after: i64,
        limit: i64,
    ) -> Result<Vec<Plate>, RegistryError> {
        Ok(plates::list_batch_plates_in(&mut self.store.read().await?, (id, state), after, limit).await?)
    }

    /// The plates of these tokens in the same order; refuses an unknown one.
    pub async fn list_plates_by_token(&self, tokens: &[Token]) -> Result<Vec<Plate>, RegistryError> {
        known_plates(&mut self.store.read().await?, tokens).await
    }

    /// Refuses plates of which one left the house: its token may be in the street.
    pub async fn check_never_issued(&self, id: BatchId, ordinals: &Ordinals) -> Result<(), RegistryError> {
        let mut tx = self.store.read().await?;
        for (first, last) in ordinals.ranges() {
            refuse_issued(&mut tx, PlateRange { batch: id, first: *first, last: *last }).await?;
        }
        Ok(())
    }

    /// Which of these plates left the house at some time, so that each needs a successor.
    pub async fn split_by_issued(
        &self,
        id: BatchId,
        ordinals: &Ordinals,
    ) -> Result<(Vec<i64>, Vec<Plate>), RegistryError> {
        let mut tx = self.store.read().await?;
        let (mut at_home, mut issued) = (Vec::new(), Vec::new());
        for (first, last) in ordinals.ranges() {
            let mut after = first - 1;
            while after < *last {
                let page = plates::list_batch_plates(&mut tx, id, after, 1000).await?;
                let Some(end) = page.last().map(|plate| plate.ordinal) else { break };
                for plate in page.into_iter().filter(|plate| plate.ordinal <= *last) {
                    let range = PlateRange { batch: id, first: plate.ordinal, last: plate.ordinal };
                    match steps::find_issued(&mut tx, range).await? {
                        None => at_home.push(plate.ordinal),
                        Some(_) => issued.push(plate),
                    }
                }
                after = end;
            }
        }
        Ok((at_home, issued))
    }
}

/// A token never shows in debug output, and must count here.
fn tokens_said(which: &WhichPlates) -> String {
    match which {
        WhichPlates::Tokens(tokens) => tokens.iter().map(|token| format!("{token} ")).collect(),
        other => format!("{other:?}"),
    }
}

async fn known_plates(tx: &mut Tx, tokens: &[Token]) -> Result<Vec<Plate>, RegistryError> {
    let found = plates::list_plates_by_token(tx, tokens).await?;
    let by_token: BTreeMap<Token, Plate> = found.into_iter().map(|plate| (plate.token, plate)).collect();
    let unknown = |token: &Token| {
        let refusal = Refusal::new("plate.unknown_among").at("tokens").with("read", token.grouped());
        RegistryError::NotFound(refusal)
    };
    tokens.iter().map(|token| by_token.get(token).cloned().ok_or_else(|| unknown(token))).collect()
}

async fn refuse_issued(tx: &mut Tx, range: PlateRange) -> Result<(), RegistryError> {
    match steps::find_issued(tx, range).await? {
        None => Ok(()),
        Some((first, count)) => {
            let refusal = Refusal::new("plates.issued_once").at("ordinals");
            Err(RegistryError::Conflict(refusal.with("ordinal", first).with("count", count)))
        }
    }
}

async fn ranges(tx: &mut Tx, which: &WhichPlates) -> Result<Vec<PlateRange>, RegistryError> {
    Ok(match which {
        WhichPlates::Batch(batch) => vec![PlateRange { batch: *batch, first: 1, last: i64::MAX }],
        WhichPlates::Ordinals(batch, ordinals) => {
            let range = |(first, last): &(i64, i64)| PlateRange { batch: *batch, first: *first, last: *last };
            ordinals.ranges().iter().map(range).collect()
        }
        WhichPlates::Tokens(tokens) => {
            let mut by_batch: BTreeMap<BatchId, Vec<i64>> = BTreeMap::new();
            for plate in known_plates(tx, tokens).await? {
                by_batch.entry(plate.batch).or_default().push(plate.ordinal);
            }
            let mut ranges = Vec::new();
            for (batch, ordinals) in by_batch {
                let ordinals = Ordinals::of(ordinals);
                let range = |(first, last): &(i64, i64)| PlateRange { batch, first: *first, last: *last };
                ranges.extend(ordinals.ranges().iter().map(range));
            }
            ranges
        }
        WhichPlates::StockOf(crew) => {
            let stock = steps::list_stock(tx, Some(*crew)).await?;
            let range =
                |line: &StockLine| PlateRange { batch: line.batch, first: line.first, last: line.last };
            stock.iter().map(range).collect()
        }
    })
}

async fn move_all(
    tx: &mut Tx,
    what: &PlateMove,
    which: &WhichPlates,
    actor: &str,
    now: Millis,
) -> Result<PlatesMoved, RegistryError> {
    let mut answer = PlatesMoved::default();
    let mut moved: Vec<(BatchId, Stepped)> = Vec::new();
    for range in ranges(tx, which).await? {
        let stands = steps::list_stands(tx, range).await?;
        for stand in &stands {
            check_stand(what, which, stand)?;
        }
        if *what == PlateMove::Reprinted {
            refuse_issued(tx, range).await?;
        }
        let only_of = match (what, which) {
            (_, WhichPlates::StockOf(crew)) => Some(*crew),
            (PlateMove::Returned { crew }, _) => *crew,
            _ => None,
        };
        let step = RangeStep {
            range,
            from: what.from(),
            to: what.to(),
            holder: if let PlateMove::Issued { crew } = what { Some(*crew) } else { None },
            only_of,
            at: now,
            actor,
            reason: if let PlateMove::Spoiled { reason } = what { Some(reason) } else { None },
        };
        let stepped = steps::step_range(tx, &step).await?;
        let all: i64 = stands.iter().map(|stand| stand.count).sum();
        for stand in stands.iter().filter(|stand| !takes(what, stand, only_of)) {
            *answer.left.entry(stand.state).or_default() += stand.count;
        }
        debug_assert!(all >= stepped.len() as i64);
        moved.extend(stepped.into_iter().map(|plate| (range.batch, plate)));
    }
    if moved.is_empty() {
        return Err(RegistryError::Conflict(
            Refusal::new("plates.nothing_moves").at("ordinals").with("step", what.word()),
        ));
    }
    answer.moved = moved.len() as i64;
    let note = match what {
        PlateMove::Spoiled { reason } => Some(json!({"to": PlateState::Spoiled, "why": reason})),
        // It is as if it had never been spoiled, and who has it from now on is no matter of the file.
        PlateMove::Reprinted => Some(json!({"why": "reprinted"})),
        _ => None,
    };
    if let Some(note) = note {
        note_in_files(tx, &moved, &note, actor, now).await?;
    }
    for chunk in moved.chunks(AT_ONCE) {
        let changed = chunk.iter().map(|(_, plate)| (ChangeKind::Plate, plate_uuid(plate.token))).collect();
        feed::record(tx, now, News { events: Vec::new(), changed }).await?;
    }
    Ok(answer)
}

fn takes(what: &PlateMove, stand: &Stand, only_of: Option<UserId>) -> bool {
    what.from().contains(&stand.state) && (only_of.is_none() || stand.holder == only_of)
}

/// Plates that were named and cannot take the step stop all of it where somebody must know: they are with
/// another crew, or were never printed. A plate that was scanned must always be able to.
fn check_stand(what: &PlateMove, which: &WhichPlates, stand: &Stand) -> Result<(), RegistryError> {
    let named = matches!(which, WhichPlates::Ordinals(..) | WhichPlates::Tokens(_));
    let conflict = |code| {
        let refusal =
            Refusal::new(code).at("ordinals").with("ordinal", stand.first).with("count", stand.count);
        Err(RegistryError::Conflict(refusal))
    };
    match (what, stand.state) {
        (PlateMove::Issued { crew }, PlateState::Issued) if named && stand.holder != Some(*crew) => {
            conflict("plates.with_crew")
        }
        (PlateMove::Issued { .. }, PlateState::Made) => conflict("plates.not_printed"),
        // Handed over already: the same order again.
        (PlateMove::Issued { .. }, PlateState::Issued) => Ok(()),
        (_, state) if matches!(which, WhichPlates::Tokens(_)) && !what.from().contains(&state) => {
            let refusal = Refusal::new("plates.cannot").at("tokens").with("plate_state", state);
            Err(RegistryError::Conflict(refusal.with("ordinal", stand.first).with("count", stand.count)))
        }
        _ => Ok(()),
    }
}

/// The file of a known cover says that the plate made for it is no good, or is made again.
async fn note_in_files(
    tx: &mut Tx,
    moved: &[(BatchId, Stepped)],
    note: &Value,
    actor: &str,
    now: Millis,
) -> Result<(), RegistryError> {
    for (batch, plate) in moved {
        let Some(cover) = plate.cover else { continue };
        let (manhole, _) = files::lock_of_cover(tx, cover).await?;
        let mut body = note.clone();
        body["batch"] = json!(batch);
        body["ordinal"] = json!(plate.ordinal);
        let entry = NewEntry { actor: actor.to_owned(), kind: HistoryKind::PlateChanged, case: None, body };
        // Two plates of one cover may be spoiled together.
        let head = files::head_of(tx, manhole).await?;
        files::append(tx, manhole, head, now, vec![entry]).await?;
    }
    Ok(())
}
