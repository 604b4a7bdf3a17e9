//! Plates made anew: under the same token where the plate never left the house, else as a successor in
//! a batch of its own, to which the old plate points from then on.

use std::path::Path;

use super::again::Printed;
use super::print::{Piece, plate_run, render};
use super::wanted::{blank_words, find_covers, words_of};
use super::{DRAWS, PressError, labels, unknown_batch};
use crate::config::Config;
use crate::domain::Refusal;
use crate::domain::ids::{BatchId, CoverId, IdempotencyKey};
use crate::domain::plate::Plate;
use crate::domain::plate_batch::{BatchState, Ordered};
use crate::domain::role::Actor;
use crate::plates::Level;
use crate::registry::{
    Batch, BatchExtras, BatchOrder, NewBatch, OrderCall, PlateLine, Registry, RegistryError,
};

/// Plates to be replaced.
#[derive(Debug, Clone)]
pub struct NewPlates {
    /// The batch whose plates they are, and how it was printed.
    pub of: BatchId,
    pub plates: Vec<Plate>,
    pub note: String,
    pub actor: Actor,
    pub key: Option<IdempotencyKey>,
}

/// Makes a successor for each of these plates; the old ones are `replaced` from then on.
pub async fn replace_plates(
    registry: &Registry,
    config: &Config,
    data: &Path,
    new: &NewPlates,
    target: &Path,
) -> Result<Printed, PressError> {
    let old = registry.find_batch(new.of).await?.ok_or_else(|| unknown_batch(new.of))?;
    let labels = labels::labels_of(data, &old)?;
    if config.plate_host.is_empty() {
        return Err(Refusal::new("plates.no_host").into());
    }
    let level = old.order.level.and_then(|level| level.to_string().parse::<Level>().ok());
    let lines = lines(registry, config, &new.plates, level).await?;
    let call = new.key.map(|key| OrderCall { key, request_hash: hash(new) });
    let mut draws = 0;
    loop {
        draws += 1;
        let batch = Batch {
            id: BatchId::fresh(),
            host: config.plate_host.clone(),
            note: new.note.clone(),
            actor: new.actor.word(),
            plate_count: new.plates.len() as i64,
            created_at: registry.now(),
            order: BatchOrder {
                state: BatchState::Released,
                ordered: Some(Ordered::Successors { of: new.of, count: new.plates.len() as i64 }),
                labels: crate::domain::plate_batch::BatchLabels {
                    blank: Some(blank_words(config, level)),
                    ..old.order.labels.clone()
                },
                split: None,
                target: None,
                lines_done: 0,
                ..old.order.clone()
            },
            ..old.clone()
        };
        let piece = Piece::Mixed(batch.plate_count, &lines);
        let specs = piece.draw(config, &batch)?;
        let (waiting, specs, summary) =
            render(plate_run(&batch, labels.clone(), None), specs, target.to_owned()).await?;
        let plates = piece.plates(&batch, specs, &summary);
        let replaces = new.plates.iter().zip(&plates).map(|(old, new)| (old.token, new.token)).collect();
        let extras = BatchExtras { lines: lines.clone(), replaces, call };
        match registry.commit_order(NewBatch { batch: batch.clone(), plates }, extras).await {
            Ok(id) if id == batch.id => {
                waiting.release(target)?;
                let count = new.plates.len();
                return Ok(Printed { batch, count, pages: summary.pages, bytes: summary.bytes });
            }
            Ok(first) => {
                return super::reprint(registry, config, data, (first, &super::Sheets::All), target).await;
            }
            Err(RegistryError::Conflict(refusal)) if refusal.code == "registry.conflict" && draws < DRAWS => {
                continue;
            }
            Err(error) => return Err(error.into()),
        }
    }
}

async fn lines(
    registry: &Registry,
    config: &Config,
    plates: &[Plate],
    level: Option<Level>,
) -> Result<Vec<PlateLine>, PressError> {
    let ids: Vec<CoverId> = plates.iter().filter_map(|plate| plate.cover).collect();
    let covers = find_covers(registry, &ids).await?;
    let line = |(plate, ordinal): (&Plate, i64)| {
        let file = covers.get(&plate.cover?)?;
        let words = words_of(registry, config, file, level);
        Some(PlateLine { ordinal, cover: file.cover, code: file.code.digits.clone(), words })
    };
    Ok(plates.iter().zip(1..).filter_map(line).collect())
}

fn hash(new: &NewPlates) -> [u8; 32] {
    use sha2::{Digest, Sha256};
    let mut hasher = Sha256::new();
    hasher.update(b"successors");
    for plate in &new.plates {
        hasher.update(plate.token.to_i64().to_be_bytes());
    }
    hasher.update(new.note.as_bytes());
    hasher.finalize().into()
}
