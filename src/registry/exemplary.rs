//! 典型案例: cases that supervisors hold up as examples, by quarter, each with a sentence why.

use serde::{Deserialize, Serialize};
use serde_json::json;

use super::editing::needed_reason;
use super::files::NewEntry;
use super::marks::Held;
use super::{Call, Registry, RegistryError, sha256};
use crate::domain::Refusal;
use crate::domain::case::Case;
use crate::domain::cover::{CoverFile, Party};
use crate::domain::history::HistoryKind;
use crate::domain::ids::{IdempotencyKey, Millis};
use crate::domain::meeting::Quarter;
use crate::domain::role::Actor;
use crate::store::cases as case_store;
use crate::store::meetings::{self, Exemplary};
use crate::store::{StoreError, Tx, covers, people};

/// A case to be held up, or no longer.
#[derive(Debug, Clone)]
pub struct ExemplaryOrder {
    pub key: IdempotencyKey,
    /// The case's number.
    pub number: String,
    /// `None` = it is an example no longer.
    pub quarter: Option<Quarter>,
    /// Why.
    pub sentence: String,
    pub actor: Actor,
}

/// An example with what its list shows.
#[derive(Debug, Clone, PartialEq)]
pub struct ExemplaryFile {
    pub mark: Exemplary,
    pub case: Case,
    pub cover: Option<CoverFile>,
    pub party: Option<Party>,
}

#[derive(Serialize, Deserialize)]
struct Answered {}

impl Registry {
    /// Holds a case up as an example, in place of an earlier mark of it, or takes the mark back.
    pub async fn mark_exemplary(&self, mut order: ExemplaryOrder) -> Result<(), RegistryError> {
        order.sentence = needed_reason(&order.sentence)?;
        let now = self.now();
        let scope = format!("exemplary:{}:{}", order.actor.word(), order.number);
        let quarter = order.quarter.map(|quarter| quarter.to_string()).unwrap_or_default();
        let hash = sha256(&[order.sentence.as_bytes(), quarter.as_bytes()]);
        self.once::<Answered, _>(Call { key: order.key, scope, hash, now }, move |tx| {
            let order = order.clone();
            Box::pin(async move {
                mark(tx, &order, now).await?;
                Ok(Answered {})
            })
        })
        .await
        .map(drop)
    }

    /// The examples of a quarter in the order in which they were marked.
    pub async fn list_exemplary(&self, quarter: Quarter) -> Result<Vec<ExemplaryFile>, RegistryError> {
        let mut tx = self.store.read().await?;
        let mut found = Vec::new();
        for mark in meetings::list_exemplary(&mut tx, quarter).await? {
            let gone = || StoreError::inconsistent("exemplary_cases", "case_id", mark.case);
            let case = case_store::find_case(&mut tx, mark.case).await?.ok_or_else(gone)?;
            let cover = match case.cover {
                Some(cover) => covers::find_cover(&mut tx, cover).await?,
                None => None,
            };
            let party = match case.party {
                Some(party) => people::find_party(&mut tx, party).await?,
                None => None,
            };
            found.push(ExemplaryFile { mark, case, cover, party });
        }
        Ok(found)
    }
}

async fn mark(tx: &mut Tx, order: &ExemplaryOrder, now: Millis) -> Result<(), RegistryError> {
    let read: String = order.number.chars().take(60).collect();
    let known = match order.number.contains('\0') {
        true => None,
        false => case_store::find_case_by_number(tx, &order.number).await?,
    };
    let unknown = || Refusal::new("case.unknown").at("number").with("read", &read);
    let case = known.ok_or_else(|| RegistryError::NotFound(unknown()))?;
    let mut held = Held::take(tx, &[case.id], &[]).await?;
    let kind = match order.quarter {
        Some(quarter) => {
            let mark = Exemplary {
                case: case.id,
                quarter,
                sentence: order.sentence.clone(),
                actor: order.actor.word(),
                marked_at: now,
            };
            meetings::put_exemplary(tx, &mark).await?;
            HistoryKind::ExemplaryMarked
        }
        None => {
            if !meetings::remove_exemplary(tx, case.id).await? {
                return Err(RegistryError::Conflict(
                    Refusal::new("exemplary.not_marked").with("read", &read),
                ));
            }
            HistoryKind::ExemplaryUnmarked
        }
    };
    let quarter = order.quarter.map(|quarter| quarter.to_string());
    let body = json!({"case": case.number, "quarter": quarter, "why": order.sentence});
    let entry = NewEntry { actor: order.actor.word(), kind, case: None, body };
    if let Some(case) = held.cases.first().cloned() {
        held.of_case(&case, entry);
    }
    held.write(tx, now, Vec::new()).await
}
