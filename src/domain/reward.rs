//! 红包奖励: a ledger of what a city owes to those who reported first, without paying it. Amounts are in fen, hundredths of
//! the city's currency.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};

use super::Refusal;
use super::case::{Case, CaseSource, CaseState};
use super::hazard::Hazard;
use super::ids::{CaseId, Millis, PayoutId, ReportId, RewardId};
use super::names::named_enum;
use super::role::{Actor, Role};

named_enum! {
    RewardState as "reward_state" {
        /// Wanted; the case is not closed yet.
        Claimed = "claimed",
        /// 待审核: the hazard was real and is mended.
        Review = "review",
        /// 待发放
        Approved = "approved",
        /// 发放中: told to the payer.
        Exported = "exported",
        /// 已发放
        Paid = "paid",
        /// 发放失败
        Failed = "failed",
        /// 不予奖励
        Refused = "refused",
    }
}

named_enum! {
    RewardStep as "reward_step" {
        /// Whoever reported says where it shall be paid to.
        Claim = "claim",
        /// The case is closed.
        Ready = "ready",
        Approve = "approve",
        Refuse = "refuse",
        /// A refusal is looked at again.
        Reconsider = "reconsider",
        Export = "export",
        Pay = "pay",
        Fail = "fail",
    }
}

named_enum! {
    /// Why nothing is owed.
    RewardReason as "reward_reason" {
        /// Somebody else said so before.
        NotFirst = "not_first",
        /// The case was not taken.
        Rejected = "rejected",
        /// The case was the same as another one.
        Joined = "joined",
        /// Sent by staff.
        Staff = "staff",
        PersonCap = "person_cap",
        MonthCap = "month_cap",
        TotalCap = "total_cap",
        /// Whoever reviewed it says why.
        Reviewed = "reviewed",
    }
}

/// What a city rewards; `[rewards]` of its settings.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct RewardRules {
    pub enabled: bool,
    /// Before an amount.
    pub currency: String,
    /// For a hazard that `amounts_fen` does not name.
    pub amount_fen: u32,
    /// By hazard; 0 = none.
    pub amounts_fen: BTreeMap<String, u32>,
    /// Most for one person within a month of the city's calendar. 0 = no limit, as below.
    pub person_month_fen: u32,
    /// Most for all within a month.
    pub month_fen: u32,
    /// Most for all, ever.
    pub total_fen: u32,
    /// Days after a report within which it can be claimed.
    pub claim_days: u32,
    /// Days after its end for which it is kept where a reward was paid to.
    pub keep_days: u32,
}

impl Default for RewardRules {
    /// As in Chengyang, Qingdao: ¥20 for the first, ¥1,000 a person and ¥30,000 in all a month.
    fn default() -> Self {
        Self {
            enabled: false,
            currency: "¥".into(),
            amount_fen: 2_000,
            amounts_fen: BTreeMap::new(),
            person_month_fen: 100_000,
            month_fen: 3_000_000,
            total_fen: 0,
            claim_days: 30,
            keep_days: 365,
        }
    }
}

impl RewardRules {
    pub fn check(&self) -> Result<(), Refusal> {
        let unusable = |reason: String| Err(Refusal::new("config.unusable").with("reason", reason));
        if let Some(word) = self.amounts_fen.keys().find(|word| word.parse::<Hazard>().is_err()) {
            return unusable(format!("rewards.amounts_fen names {word}, which is no hazard"));
        }
        for (name, days) in [("claim_days", self.claim_days), ("keep_days", self.keep_days)] {
            if !(1..=3_650).contains(&days) {
                return unusable(format!("rewards.{name} is {days}; it lies between 1 and 3650"));
            }
        }
        Ok(())
    }

    /// What the first report of a hazard is worth.
    pub fn amount_fen(&self, hazard: Hazard) -> i64 {
        i64::from(self.amounts_fen.get(hazard.as_str()).copied().unwrap_or(self.amount_fen))
    }

    /// Which limit one more amount would break.
    pub fn broken_cap(&self, amount_fen: i64, owed: &Owed) -> Option<RewardReason> {
        let breaks = |sum: i64, most: u32| most > 0 && sum + amount_fen > i64::from(most);
        if breaks(owed.person_month_fen, self.person_month_fen) {
            Some(RewardReason::PersonCap)
        } else if breaks(owed.month_fen, self.month_fen) {
            Some(RewardReason::MonthCap)
        } else if breaks(owed.total_fen, self.total_fen) {
            Some(RewardReason::TotalCap)
        } else {
            None
        }
    }
}

/// What is approved, told to the payer or paid already.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Owed {
    /// To this person, within the month.
    pub person_month_fen: i64,
    pub month_fen: i64,
    pub total_fen: i64,
}

/// One line of the ledger.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Reward {
    pub id: RewardId,
    pub report: ReportId,
    pub tracking: String,
    pub case: CaseId,
    pub case_number: String,
    pub hazard: Hazard,
    /// By whom one person is known again: a digest of where it is paid to.
    pub person: [u8; 32],
    /// Account, telephone or what else the payer needs; empty when it is no longer kept.
    pub payee: String,
    pub payee_name: String,
    pub amount_fen: i64,
    /// `2026-11`, in which it was reported.
    pub month: String,
    pub state: RewardState,
    pub reason: Option<RewardReason>,
    pub note: String,
    pub payout: Option<PayoutId>,
    /// The payer's number of the payment.
    pub payment: Option<String>,
    pub created_at: Millis,
    pub updated_at: Millis,
    pub version: i64,
}

/// 发放批次: rewards that were told to the payer together.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Payout {
    pub id: PayoutId,
    /// `2026-001`
    pub number: String,
    pub actor: String,
    pub created_at: Millis,
    pub count: i64,
    pub total_fen: i64,
    /// How many of them are paid, and how many failed.
    pub paid: i64,
    pub failed: i64,
}

/// Where a step leads from each state; anything else is refused.
pub const REWARD_MOVES: &[(RewardState, RewardStep, RewardState)] = {
    use RewardState::*;
    &[
        // Whoever reported may correct where it is paid to as long as the payer has not been told.
        (Claimed, RewardStep::Claim, Claimed),
        (Review, RewardStep::Claim, Review),
        (Failed, RewardStep::Claim, Review),
        (Claimed, RewardStep::Ready, Review),
        (Claimed, RewardStep::Refuse, Refused),
        (Review, RewardStep::Approve, Approved),
        (Review, RewardStep::Refuse, Refused),
        (Approved, RewardStep::Refuse, Refused),
        (Approved, RewardStep::Export, Exported),
        (Exported, RewardStep::Pay, Paid),
        (Exported, RewardStep::Fail, Failed),
        (Failed, RewardStep::Approve, Approved),
        (Failed, RewardStep::Refuse, Refused),
        // The payer was late to say that it went through after all.
        (Failed, RewardStep::Pay, Paid),
        (Refused, RewardStep::Reconsider, Review),
    ]
};

/// The state to which a step leads.
pub fn next_state(state: RewardState, step: RewardStep) -> Result<RewardState, Refusal> {
    let found = REWARD_MOVES.iter().find(|(from, made, _)| *from == state && *made == step);
    found.map(|(.., to)| *to).ok_or_else(|| {
        let fits: Vec<&str> = steps_of(state).map(RewardStep::as_str).collect();
        let refusal = Refusal::new("reward.step_not_allowed").with("state", state).with("step", step);
        refusal.with("fits", fits.join(", "))
    })
}

fn steps_of(state: RewardState) -> impl Iterator<Item = RewardStep> {
    REWARD_MOVES.iter().filter(move |(from, ..)| *from == state).map(|(_, step, _)| *step)
}

/// What a reviewer can do with a reward now.
pub fn reviewer_steps(state: RewardState) -> Vec<RewardStep> {
    let by_hand = [RewardStep::Approve, RewardStep::Refuse, RewardStep::Reconsider];
    by_hand.into_iter().filter(|step| next_state(state, *step).is_ok()).collect()
}

/// Who reviews rewards and tells the payer of them.
pub const REWARD_DESK: &[Role] = &[Role::Supervisor, Role::Admin];

/// Refuses whoever does not review rewards.
pub fn check_reviewer(actor: &Actor) -> Result<(), Refusal> {
    match actor {
        Actor::Staff { role, .. } if REWARD_DESK.contains(role) => Ok(()),
        _ => Err(Refusal::new("reward.role")),
    }
}

/// Why the first report of a case earns nothing, as far as that is known; `is_first`: nobody reported the case before.
pub fn refused_by(
    case: &Case,
    source: CaseSource,
    (is_first, by_staff): (bool, bool),
) -> Option<RewardReason> {
    let by_citizen = matches!(source, CaseSource::CitizenScan | CaseSource::CitizenPlace);
    if !by_citizen || by_staff {
        Some(RewardReason::Staff)
    } else if !is_first {
        Some(RewardReason::NotFirst)
    } else {
        match case.state {
            CaseState::Rejected => Some(RewardReason::Rejected),
            CaseState::Joined => Some(RewardReason::Joined),
            _ => None,
        }
    }
}

/// Longest account and name.
pub const PAYEE_LIMIT: usize = 60;

/// An account as one person writes it this way and that: without blanks and hyphens, in one case.
pub fn normal_payee(text: &str) -> String {
    text.chars().filter(|c| !c.is_whitespace() && *c != '-').flat_map(char::to_lowercase).collect()
}

/// An amount of money as people and payers write it: `20.00`.
pub fn money(fen: i64) -> String {
    let sign = if fen < 0 { "-" } else { "" };
    format!("{sign}{}.{:02}", fen.abs() / 100, fen.abs() % 100)
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn every_state_is_reached_and_only_paid_is_the_end_for_good() {
        for state in RewardState::ALL {
            let is_reached = *state == RewardState::Claimed
                || REWARD_MOVES.iter().any(|(from, _, to)| to == state && from != state);
            assert!(is_reached, "{state}");
            assert_eq!(steps_of(*state).next().is_none(), *state == RewardState::Paid, "{state}");
        }
    }

    #[test]
    fn money_has_two_places_and_an_account_one_spelling() {
        assert_eq!([money(2_000), money(5), money(-105)], ["20.00", "0.05", "-1.05"]);
        assert_eq!(normal_payee(" WX-138 0000 0000"), "wx13800000000");
    }

    #[test]
    fn rules_that_name_no_hazard_are_refused() {
        RewardRules::default().check().unwrap();
        let amounts_fen = BTreeMap::from([("hole".to_owned(), 5)]);
        let refusal = RewardRules { amounts_fen, ..RewardRules::default() }.check().unwrap_err();
        assert!(refusal.to_string().contains("hole"), "{refusal}");
    }

    proptest! {
        /// Whatever comes in whatever order, nothing that fits goes beyond a limit.
        #[test]
        fn limits_hold(
            amounts in prop::collection::vec((0u8..3, 1i64..500), 1..60),
            person in 0u32..800, month in 0u32..1500, total in 0u32..1500,
        ) {
            let rules = RewardRules {
                person_month_fen: person, month_fen: month, total_fen: total, ..RewardRules::default()
            };
            let mut paid: BTreeMap<u8, i64> = BTreeMap::new();
            for (who, amount) in amounts {
                let all: i64 = paid.values().sum();
                let of_person = paid.get(&who).copied().unwrap_or(0);
                let owed = Owed { person_month_fen: of_person, month_fen: all, total_fen: all };
                if rules.broken_cap(amount, &owed).is_none() {
                    *paid.entry(who).or_default() += amount;
                }
            }
            let all: i64 = paid.values().sum();
            prop_assert!(person == 0 || paid.values().all(|sum| *sum <= i64::from(person)));
            prop_assert!(month == 0 || all <= i64::from(month));
            prop_assert!(total == 0 || all <= i64::from(total));
        }
    }
}
