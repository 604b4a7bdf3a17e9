//! `lidmark plates list|printed|spoil|issue|return`: where plates are, and who has them.

use std::collections::BTreeMap;

use clap::Args;
use serde_json::json;

use super::{Ending, Ground, Outcome};
use crate::domain::Refusal;
use crate::domain::ids::{BatchId, IdempotencyKey, UserId};
use crate::domain::plate::PlateState;
use crate::domain::plate_batch::Ordinals;
use crate::domain::role::Actor;
use crate::domain::token::Token;
use crate::registry::{PlateMove, PlateMoveOrder, Registry, WhichPlates};

#[derive(Args)]
pub(super) struct ListArgs {
    /// What crews have, instead of batches
    #[arg(long)]
    stock: bool,
}

#[derive(Args)]
pub(super) struct StepArgs {
    /// The batch; none where --tokens names plates of any
    batch: Option<String>,
    /// Numbers within the batch, e.g. 1-50,60; all that can take the step unless given
    #[arg(long, requires = "batch")]
    ordinals: Option<String>,
    /// Single plates by their tokens
    #[arg(long, value_name = "TOKEN", num_args = 1.., conflicts_with = "ordinals")]
    tokens: Vec<String>,
    /// Log-in of the crew
    #[arg(long, value_name = "LOGIN")]
    crew: Option<String>,
    /// Why they are no good
    #[arg(long)]
    reason: Option<String>,
}

/// Which step.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Way {
    Printed,
    Spoil,
    Issue,
    Return,
}

pub(super) async fn step(ground: &Ground, args: StepArgs, way: Way) -> Outcome<Ending> {
    let registry = ground.open(&ground.config()?).await?;
    let crew = match &args.crew {
        Some(login) => Some(find_crew(&registry, login).await?),
        None => None,
    };
    let missing = |field: &'static str| Refusal::new("form.missing").at(field).with("field", field);
    let what = match way {
        Way::Printed => PlateMove::Printed,
        Way::Spoil => PlateMove::Spoiled { reason: args.reason.clone().ok_or_else(|| missing("reason"))? },
        Way::Issue => PlateMove::Issued { crew: crew.ok_or_else(|| missing("crew"))? },
        Way::Return => PlateMove::Returned { crew },
    };
    let batch = args.batch.as_deref().map(str::parse::<BatchId>).transpose()?;
    if let Some(id) = batch
        && registry.find_batch(id).await?.is_none()
    {
        return Err(Refusal::new("batch.unknown").at("batch").with("read", id).into());
    }
    let tokens = args.tokens.iter().map(|token| token.parse::<Token>()).collect::<Result<Vec<_>, _>>()?;
    let which = match (batch, &args.ordinals, tokens.as_slice()) {
        (_, _, [_, ..]) => WhichPlates::Tokens(tokens),
        (Some(id), Some(ordinals), _) => WhichPlates::Ordinals(id, ordinals.parse::<Ordinals>()?),
        (Some(id), None, _) => WhichPlates::Batch(id),
        (None, _, _) => match (way, crew) {
            (Way::Return, Some(crew)) => WhichPlates::StockOf(crew),
            _ => return Err(missing("batch").into()),
        },
    };
    let order = PlateMoveOrder { key: IdempotencyKey::fresh(), what, which, actor: Actor::System };
    let moved = registry.move_plates(order).await?;
    registry.close().await;
    let left: i64 = moved.left.values().sum();
    ground.say.words(
        format!("铭牌 {} 块已登记，{left} 块保持原状", moved.moved),
        format!("{} plates took the step, {left} stayed as they were", moved.moved),
    );
    ground.say.summary(&json!({"moved": moved.moved, "left": moved.left}));
    Ok(Ending::Done)
}

async fn find_crew(registry: &Registry, login: &str) -> Outcome<UserId> {
    let crews = registry.list_crews().await?;
    let fits: Vec<&str> = crews.iter().map(|crew| crew.login.as_str()).collect();
    let refusal = Refusal::new("plates.crew_unknown").at("crew").with("fits", fits.join(", "));
    Ok(crews.iter().find(|crew| crew.login == login).map(|crew| crew.id).ok_or(refusal)?)
}

pub(super) async fn list(ground: &Ground, args: ListArgs) -> Outcome<Ending> {
    let registry = ground.open(&ground.config()?).await?;
    let said = if args.stock { stock(ground, &registry).await? } else { batches(ground, &registry).await? };
    registry.close().await;
    ground.say.summary(&said);
    Ok(Ending::Done)
}

async fn batches(ground: &Ground, registry: &Registry) -> Outcome<serde_json::Value> {
    let batches = registry.list_batches().await?;
    let mut said = Vec::with_capacity(batches.len());
    for batch in &batches {
        let counts: BTreeMap<PlateState, i64> = registry
            .count_batches(&[batch.id])
            .await?
            .into_iter()
            .map(|(_, state, count)| (state, count))
            .collect();
        let words: Vec<String> = counts.iter().map(|(state, count)| format!("{count} {state}")).collect();
        let (id, note, state) = (batch.id, &batch.note, batch.order.state);
        let line = format!("{id}  {}  {state}  {}  {note}", batch.plate_count, words.join(", "));
        ground.say.words(line.clone(), line);
        said.push(json!({
            "id": id, "state": state, "plates": batch.plate_count, "face": batch.face, "sheet": batch.sheet,
            "note": note, "counts": counts,
        }));
    }
    Ok(json!({"batches": said}))
}

async fn stock(ground: &Ground, registry: &Registry) -> Outcome<serde_json::Value> {
    let users = registry.list_users().await?;
    let mut said = Vec::new();
    for line in registry.list_stock(None).await? {
        let login = users.iter().find(|user| user.id == line.crew).map_or("", |user| user.login.as_str());
        ground.say.words(
            format!("{login}  批次 {}  空白 {}，有编号 {}", line.batch, line.blank, line.for_covers),
            format!("{login}  batch {}  {} blank, {} for covers", line.batch, line.blank, line.for_covers),
        );
        said.push(json!({
            "crew": login, "batch": line.batch, "blank": line.blank, "for_covers": line.for_covers,
        }));
    }
    Ok(json!({"stock": said}))
}
