//! 红包奖励: what whoever reported can expect, and the ledger with its review and payouts.

use askama::Template;

use super::words::Choice;
use super::{Page, write};
use crate::domain::Refusal;
use crate::domain::ids::{IdempotencyKey, RewardId};
use crate::domain::reward::{
    Payout, Reward, RewardRules, RewardState, RewardStep, money, next_state, reviewer_steps,
};
use crate::registry::{ResultsTaken, RewardOffer, Tracked};

#[derive(Template)]
#[template(path = "reward.html")]
struct OfferPage<'a> {
    page: Page<'a>,
    link: &'a str,
    tracking: &'a str,
    /// What is owed, or may be.
    amount: Option<String>,
    state: Option<String>,
    /// Why nothing is owed, or what the payer said.
    why: Option<String>,
    /// Where it may still be said or corrected to where it is paid.
    is_open: bool,
    payee: &'a str,
    payee_name: &'a str,
    key: IdempotencyKey,
    wrong: Option<String>,
}

/// What whoever reported can expect; with what was typed and why it was refused.
pub fn reward(
    page: &Page,
    (link, tracked): (&str, &Tracked),
    offer: &RewardOffer,
    (payee, payee_name, wrong): (&str, &str, Option<&Refusal>),
) -> String {
    let rules = &page.config.rewards;
    let amount = |fen: i64| format!("{} {}", rules.currency, money(fen));
    let claimed = match offer {
        RewardOffer::Claimed(reward) => Some(reward.as_ref()),
        _ => None,
    };
    let may_correct = |reward: &Reward| next_state(reward.state, RewardStep::Claim).is_ok();
    write(&OfferPage {
        page: *page,
        link,
        tracking: &tracked.report.tracking,
        amount: match offer {
            RewardOffer::None => None,
            RewardOffer::Open { amount_fen } => Some(amount(*amount_fen)),
            RewardOffer::Claimed(reward) => Some(amount(reward.amount_fen)),
        },
        state: claimed.map(|reward| page.word("public_reward_state", reward.state)),
        why: claimed.and_then(|reward| why(page, reward)),
        is_open: matches!(offer, RewardOffer::Open { .. }) || claimed.is_some_and(may_correct),
        payee,
        payee_name,
        key: IdempotencyKey::fresh(),
        wrong: wrong.map(|refusal| page.catalogue.refusal_in_words(refusal)),
    })
}

/// Why a reward stands where it does.
fn why(page: &Page, reward: &Reward) -> Option<String> {
    let reason = reward.reason.map(|reason| page.word("reward_reason", reason));
    let note = Some(reward.note.clone()).filter(|note| !note.is_empty());
    match (reason, note) {
        (Some(reason), Some(note)) => Some(format!("{reason} · {note}")),
        (reason, note) => reason.or(note),
    }
}

/// What the ledger shows.
pub struct RewardListView<'a> {
    pub rewards: &'a [Reward],
    /// The last one, where there is a page after this.
    pub next: Option<RewardId>,
    pub sums: &'a [(RewardState, i64, i64)],
    pub payouts: &'a [Payout],
    /// What it is narrowed by, as typed.
    pub state: &'a str,
    pub month: &'a str,
    pub rules: &'a RewardRules,
    pub wrong: Option<&'a Refusal>,
    pub taken: Option<&'a ResultsTaken>,
}

struct RewardRow<'a> {
    id: String,
    tracking: &'a str,
    case_number: &'a str,
    hazard: String,
    payee: &'a str,
    payee_name: &'a str,
    amount: String,
    month: &'a str,
    state: String,
    why: Option<String>,
    payment: Option<&'a str>,
    steps: Vec<(&'static str, String)>,
    key: IdempotencyKey,
}

struct Sum {
    state: String,
    count: i64,
    amount: String,
}

struct PayoutRow<'a> {
    number: &'a str,
    at: String,
    count: i64,
    amount: String,
    paid: i64,
    failed: i64,
    is_open: bool,
}

#[derive(Template)]
#[template(path = "rewards.html")]
struct LedgerPage<'a> {
    page: Page<'a>,
    is_enabled: bool,
    rows: Vec<RewardRow<'a>>,
    next: Option<String>,
    sums: Vec<Sum>,
    limits: Vec<(&'static str, String)>,
    payouts: Vec<PayoutRow<'a>>,
    states: Vec<Choice>,
    state: &'a str,
    month: &'a str,
    approved: i64,
    key: IdempotencyKey,
    wrong: Option<String>,
    taken: Option<String>,
    problems: Vec<String>,
}

pub fn rewards(page: &Page, view: &RewardListView) -> String {
    let rules = view.rules;
    let amount = |fen: i64| format!("{} {}", rules.currency, money(fen));
    let limit = |name: &'static str, fen: u32| {
        (name, if fen == 0 { page.t("rewards.no_limit").to_owned() } else { amount(fen.into()) })
    };
    let taken = |taken: &ResultsTaken| {
        let counts = [taken.paid, taken.failed, taken.unchanged].map(|count| count.to_string());
        let values = [("paid", &*counts[0]), ("failed", &*counts[1]), ("unchanged", &*counts[2])];
        page.catalogue.fill("rewards.taken", &values)
    };
    let problem = |(line, refusal): &(usize, Refusal)| {
        let (line, why) = (line.to_string(), page.catalogue.refusal(refusal));
        page.catalogue.fill("rewards.line", &[("line", &line), ("why", &why)])
    };
    let state_choice =
        |value: &str, word: String| Choice { value: value.to_owned(), word, chosen: value == view.state };
    write(&LedgerPage {
        page: *page,
        is_enabled: rules.enabled,
        rows: view
            .rewards
            .iter()
            .map(|reward| RewardRow {
                id: reward.id.to_string(),
                tracking: &reward.tracking,
                case_number: &reward.case_number,
                hazard: page.word("hazard", reward.hazard),
                payee: &reward.payee,
                payee_name: &reward.payee_name,
                amount: amount(reward.amount_fen),
                month: &reward.month,
                state: page.word("reward_state", reward.state),
                why: why(page, reward),
                payment: reward.payment.as_deref(),
                steps: reviewer_steps(reward.state)
                    .into_iter()
                    .map(|step| (step.as_str(), page.word("reward_step", step)))
                    .collect(),
                key: IdempotencyKey::fresh(),
            })
            .collect(),
        next: view
            .next
            .map(|last| format!("/admin/rewards?state={}&month={}&cursor={last}", view.state, view.month)),
        sums: view
            .sums
            .iter()
            .map(|(state, count, fen)| Sum {
                state: page.word("reward_state", state),
                count: *count,
                amount: amount(*fen),
            })
            .collect(),
        limits: vec![
            limit("rewards.person_month", rules.person_month_fen),
            limit("rewards.all_month", rules.month_fen),
            limit("rewards.all_ever", rules.total_fen),
        ],
        payouts: view
            .payouts
            .iter()
            .map(|payout| PayoutRow {
                number: &payout.number,
                at: page.date_time(payout.created_at),
                count: payout.count,
                amount: amount(payout.total_fen),
                paid: payout.paid,
                failed: payout.failed,
                is_open: payout.paid < payout.count,
            })
            .collect(),
        states: std::iter::once(state_choice("", page.t("desk.any").to_owned()))
            .chain(
                RewardState::ALL.iter().map(|one| state_choice(one.as_str(), page.word("reward_state", one))),
            )
            .collect(),
        state: view.state,
        month: view.month,
        approved: view
            .sums
            .iter()
            .find(|(state, ..)| *state == RewardState::Approved)
            .map_or(0, |(_, count, _)| *count),
        key: IdempotencyKey::fresh(),
        wrong: view.wrong.map(|refusal| page.catalogue.refusal_in_words(refusal)),
        taken: view.taken.map(taken),
        problems: view.taken.map(|taken| taken.problems.iter().map(problem).collect()).unwrap_or_default(),
    })
}
