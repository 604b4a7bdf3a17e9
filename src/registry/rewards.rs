//! 红包奖励: who reported first says where a reward is paid to, somebody reviews it, the payer is told and tells back. No money
//! passes here.

use serde::{Deserialize, Serialize};
use serde_json::json;

use super::reports::clean_text;
use super::{Call, Registry, RegistryError, Tracked, sha256};
use crate::domain::Refusal;
use crate::domain::case::{CaseState, TEXT_LIMIT};
use crate::domain::ids::{IdempotencyKey, Millis, PayoutId, RewardId};
use crate::domain::reward::{
    PAYEE_LIMIT, Payout, Reward, RewardReason, RewardRules, RewardState, RewardStep, check_reviewer,
    next_state, normal_payee, refused_by,
};
use crate::domain::role::Actor;
use crate::store::feed::{self, News};
use crate::store::rewards::{self, RewardFilter, StepRecord};
use crate::store::{Tx, cases, people};

const DAY_MS: i64 = 86_400_000;
/// Rewards on one page, and in one payout.
const PAGE_LIMIT: i64 = 200;
pub(super) const PAYOUT_MOST: i64 = 1_000;
/// Most lines of a payer's answer.
const RESULTS_MOST: usize = 10_000;
/// Claims that the clock settles in one turn.
const SETTLED_AT_ONCE: i64 = 200;

/// What a tracking page says about a reward.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum RewardOffer {
    /// The city pays none, or not for this.
    None,
    /// Whoever reported may say where it is paid to.
    Open {
        amount_fen: i64,
    },
    Claimed(Box<Reward>),
}

/// Where a reward is paid to, said behind the secret link of a report.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct RewardClaim {
    pub key: IdempotencyKey,
    pub link: String,
    pub payee: String,
    pub payee_name: String,
}

/// What a reviewer says.
#[derive(Debug, Clone, PartialEq)]
pub struct RewardOrder {
    pub key: IdempotencyKey,
    pub id: RewardId,
    pub step: RewardStep,
    pub note: String,
    pub actor: Actor,
}

/// What the payer says of one reward.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct PaymentResult {
    pub line: usize,
    /// As it was told to the payer.
    pub tracking: String,
    pub paid: bool,
    /// The payer's number of the payment, or why it failed.
    pub said: String,
}

/// What became of the lines of a payer's answer.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct ResultsTaken {
    pub paid: usize,
    pub failed: usize,
    /// Said before.
    pub unchanged: usize,
    /// Lines that do not fit, each with why.
    pub problems: Vec<(usize, Refusal)>,
}

#[derive(Serialize, Deserialize)]
struct Stepped {
    id: RewardId,
}

#[derive(Serialize, Deserialize)]
struct PaidOut {
    number: String,
}

impl Registry {
    pub fn reward_rules(&self) -> &RewardRules {
        &self.rewards
    }

    /// What whoever reported can expect.
    pub async fn find_reward_offer(&self, tracked: &Tracked) -> Result<RewardOffer, RegistryError> {
        let mut tx = self.store.read().await?;
        if let Some(reward) = rewards::find_by_report(&mut tx, tracked.report.id).await? {
            return Ok(RewardOffer::Claimed(Box::new(reward)));
        }
        Ok(match self.open_amount(&mut tx, tracked).await? {
            Ok(amount_fen) => RewardOffer::Open { amount_fen },
            Err(_) => RewardOffer::None,
        })
    }

    /// What a report may still earn, or why it earns nothing.
    async fn open_amount(
        &self,
        tx: &mut Tx,
        tracked: &Tracked,
    ) -> Result<Result<i64, Refusal>, RegistryError> {
        let report = &tracked.report;
        let amount_fen = self.rewards.amount_fen(report.hazard);
        let until = report.created_at.0 + i64::from(self.rewards.claim_days) * DAY_MS;
        if !self.rewards.enabled || amount_fen == 0 {
            return Ok(Err(Refusal::new("reward.none")));
        }
        if self.now().0 > until {
            let refusal = Refusal::new("reward.too_late").with("days", self.rewards.claim_days);
            return Ok(Err(refusal));
        }
        let standing = rewards::find_standing(tx, report.id).await?.unwrap_or_default();
        // The case that it was joined to is somebody else's.
        let own = cases::find_case(tx, report.case).await?;
        let reason = own.and_then(|case| refused_by(&case, report.source, standing));
        Ok(match reason {
            Some(reason) => Err(Refusal::new("reward.not_owed").with("reason", reason)),
            None => Ok(amount_fen),
        })
    }

    /// Keeps where the reward for a report is paid to; corrects it as long as the payer was not told.
    pub async fn claim_reward(&self, mut claim: RewardClaim) -> Result<Reward, RegistryError> {
        claim.payee = clean_text(&claim.payee, "payee", PAYEE_LIMIT)?;
        claim.payee_name = clean_text(&claim.payee_name, "payee_name", PAYEE_LIMIT)?;
        if normal_payee(&claim.payee).chars().count() < 5 {
            return Err(Refusal::new("reward.payee").at("payee").into());
        }
        let unknown = || RegistryError::NotFound(Refusal::new("report.unknown"));
        let tracked = self.find_tracked(&claim.link).await?.ok_or_else(unknown)?;
        let person = self.person_of(&claim.payee);
        let hash = sha256(&[claim.payee.as_bytes(), claim.payee_name.as_bytes()]);
        let scope = format!("reward:{}", tracked.report.id);
        let (registry, now) = (self.clone(), self.now());
        let stepped = self
            .once::<Stepped, _>(Call { key: claim.key, scope, hash, now }, move |tx| {
                let (registry, tracked, claim) = (registry.clone(), tracked.clone(), claim.clone());
                Box::pin(async move { registry.claim(tx, &tracked, claim, (person, now)).await })
            })
            .await?;
        self.known_reward(stepped.id).await
    }

    /// By whom one person is known again without keeping who it is.
    fn person_of(&self, payee: &str) -> [u8; 32] {
        sha256(&[b"payee", self.instance_secret.as_slice(), normal_payee(payee).as_bytes()])
    }

    async fn claim(
        &self,
        tx: &mut Tx,
        tracked: &Tracked,
        claim: RewardClaim,
        (person, now): ([u8; 32], Millis),
    ) -> Result<Stepped, RegistryError> {
        let report = &tracked.report;
        let reward = match rewards::find_by_report(tx, report.id).await? {
            Some(mut reward) => {
                reward.state =
                    next_state(reward.state, RewardStep::Claim).map_err(RegistryError::Conflict)?;
                reward.version += 1;
                Reward { person, payee: claim.payee, payee_name: claim.payee_name, updated_at: now, ..reward }
            }
            None => {
                let amount_fen = self.open_amount(tx, tracked).await?.map_err(RegistryError::Conflict)?;
                Reward {
                    id: RewardId::fresh(),
                    report: report.id,
                    tracking: report.tracking.clone(),
                    case: report.case,
                    case_number: tracked.case.number.clone(),
                    hazard: report.hazard,
                    person,
                    payee: claim.payee,
                    payee_name: claim.payee_name,
                    amount_fen,
                    month: self.month_of(report.created_at),
                    state: RewardState::Claimed,
                    reason: None,
                    note: String::new(),
                    payout: None,
                    payment: None,
                    created_at: now,
                    updated_at: now,
                    version: 1,
                }
            }
        };
        keep(tx, &reward, RewardStep::Claim, &Actor::Citizen.word()).await?;
        Ok(Stepped { id: reward.id })
    }

    /// `2026-11`, on the city's clock.
    fn month_of(&self, at: Millis) -> String {
        let local = at.0.div_euclid(1000) + i64::from(self.utc_offset_minutes) * 60;
        let date =
            time::OffsetDateTime::from_unix_timestamp(local).unwrap_or(time::OffsetDateTime::UNIX_EPOCH);
        format!("{}-{:02}", date.year(), u8::from(date.month()))
    }

    /// One page of the ledger, the newest first.
    pub async fn list_rewards(&self, mut filter: RewardFilter) -> Result<Vec<Reward>, RegistryError> {
        filter.limit = filter.limit.clamp(1, PAGE_LIMIT);
        Ok(rewards::list_rewards(&mut self.store.read().await?, &filter).await?)
    }

    /// How many rewards stand where, with their sums in fen; of a month, or of all.
    pub async fn count_rewards(
        &self,
        month: Option<&str>,
    ) -> Result<Vec<(RewardState, i64, i64)>, RegistryError> {
        Ok(rewards::count_rewards(&mut self.store.read().await?, month).await?)
    }

    /// Every step of a reward, oldest first.
    pub async fn list_reward_steps(&self, id: RewardId) -> Result<Vec<StepRecord>, RegistryError> {
        Ok(rewards::list_steps(&mut self.store.read().await?, id).await?)
    }

    /// Approves, refuses, or looks again at a reward. What breaks a limit of the city is refused by it.
    pub async fn review_reward(&self, mut order: RewardOrder) -> Result<Reward, RegistryError> {
        check_reviewer(&order.actor).map_err(RegistryError::Forbidden)?;
        order.note = clean_text(&order.note, "note", TEXT_LIMIT)?;
        if order.step == RewardStep::Refuse && order.note.is_empty() {
            return Err(Refusal::new("reward.needs_reason").at("note").into());
        }
        let by_hand = [RewardStep::Approve, RewardStep::Refuse, RewardStep::Reconsider];
        if !by_hand.contains(&order.step) {
            let fits = by_hand.map(RewardStep::as_str).join(", ");
            let refusal = Refusal::new("reward.step_by_hand").at("step").with("read", order.step);
            return Err(refusal.with("fits", fits).into());
        }
        let hash = sha256(&[order.step.as_str().as_bytes(), order.note.as_bytes()]);
        let scope = format!("reward:{}:{}", order.id, order.actor.word());
        let (registry, now, id) = (self.clone(), self.now(), order.id);
        self.once::<Stepped, _>(Call { key: order.key, scope, hash, now }, move |tx| {
            let (registry, order) = (registry.clone(), order.clone());
            Box::pin(async move { registry.review(tx, order, now).await })
        })
        .await?;
        self.known_reward(id).await
    }

    async fn review(&self, tx: &mut Tx, order: RewardOrder, now: Millis) -> Result<Stepped, RegistryError> {
        // Two reviewers count one after the other, or both find room for the last amount.
        people::advance_counters(tx, [("reward:reviews", 1)]).await?;
        let found = rewards::find_reward(tx, order.id).await?;
        let mut reward = found.ok_or_else(|| unknown_reward(order.id))?;
        reward.state = next_state(reward.state, order.step).map_err(RegistryError::Conflict)?;
        reward.note = order.note;
        reward.reason = (order.step == RewardStep::Refuse).then_some(RewardReason::Reviewed);
        if order.step == RewardStep::Approve {
            let owed = rewards::sum_owed(tx, &reward.person, &reward.month).await?;
            if let Some(reason) = self.rewards.broken_cap(reward.amount_fen, &owed) {
                let refusal = Refusal::new("reward.cap").with("reason", reason).with("month", &reward.month);
                return Err(RegistryError::Conflict(refusal));
            }
        }
        (reward.updated_at, reward.version) = (now, reward.version + 1);
        keep(tx, &reward, order.step, &order.actor.word()).await?;
        Ok(Stepped { id: reward.id })
    }

    /// Tells the payer of all that is approved, up to a thousand; refused when nothing is.
    pub async fn make_payout(&self, key: IdempotencyKey, actor: &Actor) -> Result<Payout, RegistryError> {
        check_reviewer(actor).map_err(RegistryError::Forbidden)?;
        let (registry, by, now) = (self.clone(), actor.word(), self.now());
        let scope = format!("payout:{by}");
        let made = self
            .once::<PaidOut, _>(Call { key, scope, hash: [0; 32], now }, move |tx| {
                let (registry, by) = (registry.clone(), by.clone());
                Box::pin(async move { registry.pay_out(tx, by, now).await })
            })
            .await?;
        self.find_payout(&made.number).await
    }

    async fn pay_out(&self, tx: &mut Tx, by: String, now: Millis) -> Result<PaidOut, RegistryError> {
        let year = super::year_at(now, self.utc_offset_minutes);
        let [number] = people::advance_counters(tx, [(&format!("payout:{year}"), 1)]).await?;
        let approved = RewardFilter {
            state: Some(RewardState::Approved),
            limit: PAYOUT_MOST,
            ..RewardFilter::default()
        };
        let approved = rewards::list_rewards(tx, &approved).await?;
        if approved.is_empty() {
            return Err(RegistryError::Conflict(Refusal::new("reward.nothing_approved")));
        }
        let payout = Payout {
            id: PayoutId::fresh(),
            number: format!("{year}-{number:03}"),
            actor: by.clone(),
            created_at: now,
            count: 0,
            total_fen: 0,
            paid: 0,
            failed: 0,
        };
        rewards::add_payout(tx, &payout).await?;
        for mut reward in approved {
            reward.state = next_state(reward.state, RewardStep::Export)?;
            reward.payout = Some(payout.id);
            (reward.updated_at, reward.version) = (now, reward.version + 1);
            keep(tx, &reward, RewardStep::Export, &by).await?;
        }
        Ok(PaidOut { number: payout.number })
    }

    pub async fn list_payouts(&self) -> Result<Vec<Payout>, RegistryError> {
        Ok(rewards::list_payouts(&mut self.store.read().await?, PAGE_LIMIT).await?)
    }

    pub async fn find_payout(&self, number: &str) -> Result<Payout, RegistryError> {
        let unknown = || Refusal::new("reward.payout_unknown").with("read", number);
        if number.contains('\0') {
            return Err(RegistryError::NotFound(Refusal::new("reward.payout_unknown").with("read", "\\0")));
        }
        let found = rewards::find_payout(&mut self.store.read().await?, number).await?;
        found.ok_or_else(|| RegistryError::NotFound(unknown()))
    }

    /// The rewards of a payout, for the payer.
    pub async fn list_payout_lines(&self, payout: PayoutId) -> Result<Vec<Reward>, RegistryError> {
        let filter = RewardFilter { payout: Some(payout), limit: PAYOUT_MOST, ..RewardFilter::default() };
        Ok(rewards::list_rewards(&mut self.store.read().await?, &filter).await?)
    }

    /// Takes what the payer says of a payout, line by line: what was said before changes nothing, and what does not
    /// fit is told with its line.
    pub async fn take_results(
        &self,
        number: &str,
        results: Vec<PaymentResult>,
        actor: &Actor,
    ) -> Result<ResultsTaken, RegistryError> {
        check_reviewer(actor).map_err(RegistryError::Forbidden)?;
        if results.len() > RESULTS_MOST {
            let refusal = Refusal::new("reward.too_many_results").with("count", results.len());
            return Err(refusal.with("most", RESULTS_MOST).into());
        }
        let payout = self.find_payout(number).await?;
        let (by, now) = (actor.word(), self.now());
        let results = std::sync::Arc::new(results);
        self.store
            .write::<ResultsTaken, RegistryError, _>(move |tx| {
                let (by, results, payout) = (by.clone(), results.clone(), payout.id);
                Box::pin(async move { take_lines(tx, payout, &results, (&by, now)).await })
            })
            .await
    }

    /// Moves claims on whose cases are over, and forgets to where old ones were paid; answers how many moved.
    pub async fn sweep_rewards(&self) -> Result<usize, RegistryError> {
        let now = self.now();
        let ids = rewards::list_settled_claims(&mut self.store.read().await?, SETTLED_AT_ONCE).await?;
        let count = ids.len();
        let forget = Millis(now.0 - i64::from(self.rewards.keep_days) * DAY_MS);
        self.store
            .write::<(), RegistryError, _>(move |tx| {
                let ids = ids.clone();
                Box::pin(async move {
                    for id in ids {
                        settle(tx, id, now).await?;
                    }
                    Ok(rewards::forget_payees(tx, forget).await.map(drop)?)
                })
            })
            .await?;
        Ok(count)
    }

    pub async fn known_reward(&self, id: RewardId) -> Result<Reward, RegistryError> {
        let found = rewards::find_reward(&mut self.store.read().await?, id).await?;
        found.ok_or_else(|| unknown_reward(id))
    }
}

fn unknown_reward(id: RewardId) -> RegistryError {
    RegistryError::NotFound(Refusal::new("reward.unknown").with("read", id))
}

/// Writes a reward with the step that brought it there, and tells of it without telling who it is.
async fn keep(tx: &mut Tx, reward: &Reward, step: RewardStep, actor: &str) -> Result<(), RegistryError> {
    if !rewards::put_reward(tx, reward).await? {
        return Err(RegistryError::Conflict(Refusal::new("reward.changed_meanwhile")));
    }
    rewards::add_step(tx, reward, step, actor).await?;
    let body = json!({
        "reward": reward.id,
        "tracking": reward.tracking,
        "case": reward.case_number,
        "state": reward.state,
        "amount_fen": reward.amount_fen,
    });
    let events = vec![(format!("reward.{}", reward.state), body.to_string())];
    Ok(feed::record(tx, reward.updated_at, News { events, changed: Vec::new() }).await?)
}

/// A claim whose case is over goes to review, or is refused for a reason that nobody needs to look at.
async fn settle(tx: &mut Tx, id: RewardId, now: Millis) -> Result<(), RegistryError> {
    let Some(mut reward) = rewards::find_reward(tx, id).await? else { return Ok(()) };
    let Some(case) = cases::find_case(tx, reward.case).await? else { return Ok(()) };
    let Some((source, standing)) = standing_of(tx, &reward).await? else { return Ok(()) };
    let step = match refused_by(&case, source, standing) {
        Some(reason) => {
            reward.reason = Some(reason);
            RewardStep::Refuse
        }
        None if case.state == CaseState::Closed => RewardStep::Ready,
        None => return Ok(()),
    };
    let Ok(state) = next_state(reward.state, step) else { return Ok(()) };
    reward.state = state;
    (reward.updated_at, reward.version) = (now, reward.version + 1);
    keep(tx, &reward, step, &Actor::System.word()).await
}

async fn standing_of(
    tx: &mut Tx,
    reward: &Reward,
) -> Result<Option<(crate::domain::case::CaseSource, (bool, bool))>, RegistryError> {
    let Some(report) = cases::find_report(tx, &reward.tracking).await? else { return Ok(None) };
    let standing = rewards::find_standing(tx, reward.report).await?;
    Ok(standing.map(|standing| (report.source, standing)))
}

async fn take_lines(
    tx: &mut Tx,
    payout: PayoutId,
    results: &[PaymentResult],
    (by, now): (&str, Millis),
) -> Result<ResultsTaken, RegistryError> {
    let filter = RewardFilter { payout: Some(payout), limit: PAYOUT_MOST, ..RewardFilter::default() };
    let lines = rewards::list_rewards(tx, &filter).await?;
    let mut known: std::collections::HashMap<String, Reward> =
        lines.into_iter().map(|reward| (reward.tracking.clone(), reward)).collect();
    let mut taken = ResultsTaken::default();
    for result in results {
        let said = clean_text(&result.said, "said", 100);
        let (said, reward) = match (said, known.get_mut(&result.tracking)) {
            (Err(refusal), _) => {
                taken.problems.push((result.line, refusal));
                continue;
            }
            (_, None) => {
                let refusal = Refusal::new("reward.not_in_payout").with("read", &result.tracking);
                taken.problems.push((result.line, refusal));
                continue;
            }
            (Ok(said), Some(reward)) => (said, reward),
        };
        let (step, end) = match result.paid {
            true => (RewardStep::Pay, RewardState::Paid),
            false => (RewardStep::Fail, RewardState::Failed),
        };
        if reward.state == end {
            taken.unchanged += 1;
            continue;
        }
        match next_state(reward.state, step) {
            Err(refusal) => taken.problems.push((result.line, refusal)),
            Ok(state) => {
                reward.state = state;
                match result.paid {
                    true => (reward.payment, reward.note) = (Some(said), String::new()),
                    false => reward.note = said,
                }
                (reward.updated_at, reward.version) = (now, reward.version + 1);
                keep(tx, reward, step, by).await?;
                match result.paid {
                    true => taken.paid += 1,
                    false => taken.failed += 1,
                }
            }
        }
    }
    Ok(taken)
}
