//! 疑似重复: two covers that lie close and are two. Said once, nobody proposes them again, until it is taken back.

use serde_json::json;

use super::amend;
use super::editing::needed_reason;
use super::{Registry, RegistryError};
use crate::domain::Refusal;
use crate::domain::history::HistoryKind;
use crate::domain::ids::CoverId;
use crate::domain::role::Actor;
use crate::store::{structure, told_apart};

pub use crate::store::told_apart::ToldApart;

impl Registry {
    /// Keeps that two covers are two, with a line in both files. Said twice it is said once.
    pub async fn tell_apart(
        &self,
        pair: (CoverId, CoverId),
        reason: &str,
        actor: &Actor,
    ) -> Result<(), RegistryError> {
        self.decide_apart(pair, reason, actor, true).await
    }

    /// Takes it back: the two may be proposed again.
    pub async fn take_back_apart(
        &self,
        pair: (CoverId, CoverId),
        reason: &str,
        actor: &Actor,
    ) -> Result<(), RegistryError> {
        self.decide_apart(pair, reason, actor, false).await
    }

    async fn decide_apart(
        &self,
        (one, other): (CoverId, CoverId),
        reason: &str,
        actor: &Actor,
        are_two: bool,
    ) -> Result<(), RegistryError> {
        let reason = needed_reason(reason)?;
        if one == other {
            return Err(Refusal::new("apart.same").at("other").into());
        }
        for cover in [one, other] {
            if self.find_cover(cover).await?.is_none() {
                return Err(RegistryError::NotFound(Refusal::new("cover.unknown").with("read", cover)));
            }
        }
        let (actor, registry, now) = (actor.clone(), self.clone(), self.now());
        self.store
            .write::<(), RegistryError, _>(move |tx| {
                let (actor, registry, reason) = (actor.clone(), registry.clone(), reason.clone());
                Box::pin(async move {
                    let (first, second) = amend::take_two(tx, one, other).await?;
                    let (older, newer) = (one.min(other), one.max(other));
                    if are_two {
                        amend::refuse_retired(&registry, &first.file)?;
                        amend::refuse_retired(&registry, &second.file)?;
                        let pair = told_apart::ToldApart {
                            older,
                            newer,
                            actor: actor.word(),
                            reason: reason.clone(),
                            at: now,
                        };
                        if !told_apart::add_told_apart(tx, &pair).await? {
                            return Ok(());
                        }
                    } else if !told_apart::remove_told_apart(tx, (older, newer)).await? {
                        return Err(RegistryError::Conflict(Refusal::new("apart.not_said")));
                    }
                    let verdict = if are_two { "two" } else { "taken_back" };
                    let body = |other: &amend::Taken| json!({"verdict": verdict, "other": other.file.code.digits, "why": reason});
                    let kind = HistoryKind::ToldApart;
                    let by = (&actor, now);
                    amend::enter(tx, (first.file.manhole, &first.locked), by, kind, body(&second)).await?;
                    // Two covers of one manhole have one file.
                    if first.file.manhole != second.file.manhole {
                        let place = (second.file.manhole, &second.locked);
                        amend::enter(tx, place, by, kind, body(&first)).await?;
                    }
                    amend::tell(tx, now, [one, other]).await
                })
            })
            .await
    }

    /// Every pair of covers that are known to be two, the older one first.
    pub async fn list_told_apart(&self) -> Result<Vec<(CoverId, CoverId)>, RegistryError> {
        Ok(told_apart::list_pairs_told_apart(&mut self.store.read().await?).await?)
    }

    /// The latest of them, with who said so; at most 200.
    pub async fn list_latest_told_apart(&self, limit: i64) -> Result<Vec<ToldApart>, RegistryError> {
        let mut tx = self.store.read().await?;
        Ok(told_apart::list_told_apart(&mut tx, limit.clamp(1, 200)).await?)
    }

    /// The latest merges of two covers that were one, which can still be undone; at most 200.
    pub async fn list_latest_same(&self, limit: i64) -> Result<Vec<structure::Merge>, RegistryError> {
        let mut tx = self.store.read().await?;
        Ok(structure::list_latest_same(&mut tx, limit.clamp(1, 200)).await?)
    }
}
