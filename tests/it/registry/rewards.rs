//! 红包: claimed by who came first, reviewed within the city's limits, told to the payer once, and paid elsewhere.

use std::sync::atomic::Ordering;

use lidmark::domain::case::CaseMove;
use lidmark::domain::hazard::Hazard;
use lidmark::domain::ids::IdempotencyKey;
use lidmark::domain::reward::{Reward, RewardReason, RewardState, RewardStep};
use lidmark::domain::role::{Actor, Role};
use lidmark::domain::token::Token;
use lidmark::registry::{
    PaymentResult, RegistryError, Reported, RewardClaim, RewardFilter, RewardOffer, RewardOrder,
};

use super::cases::{because, order};
use super::deadlines::{Desk, code};
use super::ground::Town;
use crate::both_engines;

async fn claim(town: &Town, reported: &Reported, payee: &str) -> Result<Reward, RegistryError> {
    let link = town.registry.tracking_link(reported);
    let (key, payee) = (IdempotencyKey::fresh(), payee.to_owned());
    town.registry.claim_reward(RewardClaim { key, link, payee, payee_name: String::new() }).await
}

async fn offer(town: &Town, reported: &Reported) -> RewardOffer {
    let link = town.registry.tracking_link(reported);
    let tracked = town.registry.find_tracked(&link).await.unwrap().unwrap();
    town.registry.find_reward_offer(&tracked).await.unwrap()
}

fn step(reward: &Reward, step: RewardStep, note: &str, actor: &Actor) -> RewardOrder {
    let (key, note) = (IdempotencyKey::fresh(), note.to_owned());
    RewardOrder { key, id: reward.id, step, note, actor: actor.clone() }
}

fn result(line: usize, tracking: &str, paid: bool, said: &str) -> PaymentResult {
    PaymentResult { line, tracking: tracking.to_owned(), paid, said: said.to_owned() }
}

async fn find(town: &Town, reward: &Reward) -> Reward {
    town.registry.known_reward(reward.id).await.unwrap()
}

/// A report that was first, its case closed, claimed and ready for review.
async fn ready(town: &Town, desk: &Desk<'_>, plate: Token, payee: &str) -> Reward {
    let reported = town.report(plate, Hazard::Rocking).await;
    let reward = claim(town, &reported, payee).await.unwrap();
    desk.close(&reported.case_number).await;
    town.registry.sweep_rewards().await.unwrap();
    find(town, &reward).await
}

both_engines! {
    async fn the_first_is_rewarded_after_a_look_and_the_payer_told_once(ground: Ground) {
        let town = Town::found(&ground).await;
        let desk = Desk::of(&town).await;
        let plates = town.plated(3).await;
        let first = town.report(plates[0], Hazard::Broken).await;
        let second = town.report(plates[0], Hazard::Broken).await;
        assert_eq!(offer(&town, &first).await, RewardOffer::Open { amount_fen: 2_000 });
        assert_eq!(offer(&town, &second).await, RewardOffer::None, "whoever came after the first");
        assert_eq!(code(claim(&town, &second, "13800000002").await), "reward.not_owed");
        assert_eq!(code(claim(&town, &first, "138").await), "reward.payee");
        let link = town.registry.tracking_link(&first);
        let once = RewardClaim {
            key: IdempotencyKey::fresh(),
            link,
            payee: "13800000001".into(),
            payee_name: "李".into(),
        };
        let claimed = town.registry.claim_reward(once.clone()).await.unwrap();
        assert_eq!(town.registry.claim_reward(once).await.unwrap(), claimed, "a repeat changes nothing");
        assert_eq!((claimed.state, claimed.month.as_str()), (RewardState::Claimed, "2026-03"));
        let early = step(&claimed, RewardStep::Approve, "", &desk.supervisor);
        assert_eq!(code(town.registry.review_reward(early).await), "reward.step_not_allowed");
        town.registry.sweep_rewards().await.unwrap();
        assert_eq!(find(&town, &claimed).await.state, RewardState::Claimed, "its case is open");
        desk.close(&first.case_number).await;
        town.registry.sweep_rewards().await.unwrap();
        assert_eq!(find(&town, &claimed).await.state, RewardState::Review);

        let by_other = step(&claimed, RewardStep::Approve, "", &desk.dispatcher);
        assert_eq!(code(town.registry.review_reward(by_other).await), "reward.role");
        let wordless = step(&claimed, RewardStep::Refuse, " ", &desk.supervisor);
        assert_eq!(code(town.registry.review_reward(wordless).await), "reward.needs_reason");
        let nothing = town.registry.make_payout(IdempotencyKey::fresh(), &desk.supervisor).await;
        assert_eq!(code(nothing), "reward.nothing_approved");
        let approve = step(&claimed, RewardStep::Approve, "", &desk.supervisor);
        town.registry.review_reward(approve).await.unwrap();
        let key = IdempotencyKey::fresh();
        let payout = town.registry.make_payout(key, &desk.supervisor).await.unwrap();
        assert_eq!((payout.count, payout.total_fen, payout.number.as_str()), (1, 2_000, "2026-001"));
        assert_eq!(town.registry.make_payout(key, &desk.supervisor).await.unwrap(), payout, "once");
        assert_eq!(code(claim(&town, &first, "13800000009").await), "reward.step_not_allowed");

        let answers = [
            result(2, &first.tracking, false, "户名不符"),
            result(3, &second.tracking, true, "42"),
        ];
        let take = async |results: &[PaymentResult]| {
            town.registry.take_results(&payout.number, results.to_vec(), &desk.supervisor).await.unwrap()
        };
        let taken = take(&answers).await;
        assert_eq!((taken.failed, taken.paid, taken.problems.len()), (1, 0, 1));
        assert_eq!(taken.problems[0].1.code, "reward.not_in_payout");
        assert_eq!(take(&answers[..1]).await.unchanged, 1);
        // Whoever reported puts it right; it is reviewed, told and paid in the next payout.
        claim(&town, &first, "13800000003").await.unwrap();
        let approve = step(&claimed, RewardStep::Approve, "", &desk.supervisor);
        town.registry.review_reward(approve).await.unwrap();
        let next = town.registry.make_payout(IdempotencyKey::fresh(), &desk.supervisor).await.unwrap();
        let paid = [result(2, &first.tracking, true, "4200001")];
        let done = town.registry.take_results(&next.number, paid.to_vec(), &desk.supervisor).await.unwrap();
        assert_eq!(done.paid, 1);
        let contradicted = [result(2, &first.tracking, false, "又说失败")];
        let done = town.registry.take_results(&next.number, contradicted.to_vec(), &desk.supervisor).await.unwrap();
        assert_eq!(done.problems[0].1.code, "reward.step_not_allowed");
        let last = find(&town, &claimed).await;
        assert_eq!((last.state, last.payment.as_deref()), (RewardState::Paid, Some("4200001")));
        let steps = town.registry.list_reward_steps(claimed.id).await.unwrap();
        let steps: Vec<RewardStep> = steps.iter().map(|record| record.step).collect();
        use RewardStep::*;
        assert_eq!(steps, [Claim, Ready, Approve, Export, Fail, Claim, Approve, Export, Pay]);
        let events = town.registry.list_waiting_events("gateway", 1000).await.unwrap();
        assert!(events.iter().all(|event| !event.body.contains("138")), "no account leaves the house");
        town.clock.fetch_add(366 * 86_400_000, Ordering::SeqCst);
        town.registry.sweep_rewards().await.unwrap();
        assert_eq!(find(&town, &claimed).await.payee, "", "nor is it kept for ever");
    }

    async fn no_limit_is_broken_and_what_is_not_owed_is_refused(ground: Ground) {
        let town = Town::found(&ground).await;
        let desk = Desk::of(&town).await;
        let plates = town.plated(7).await;
        let mut ours = Vec::new();
        for plate in &plates[..3] {
            ours.push(ready(&town, &desk, *plate, "138-0000 0001").await);
        }
        for plate in &plates[3..5] {
            ours.push(ready(&town, &desk, *plate, &format!("wx{:06}", ours.len())).await);
        }
        // Two supervisors approve everything at once.
        let other = town.staff("another", Role::Supervisor).await;
        let mut under_way = Vec::new();
        for reward in &ours {
            for actor in [&desk.supervisor, &other] {
                let (registry, order) = (town.registry.clone(), step(reward, RewardStep::Approve, "", actor));
                under_way.push(tokio::spawn(async move { registry.review_reward(order).await }));
            }
        }
        let mut refused = Vec::new();
        for one in under_way {
            refused.extend(one.await.unwrap().err().map(|error| code::<()>(Err(error))));
        }
        let sums = town.registry.count_rewards(Some("2026-03")).await.unwrap();
        let approved = sums.iter().find(|(state, ..)| *state == RewardState::Approved).unwrap();
        assert_eq!((approved.1, approved.2), (3, 6_000), "of 7,000 for all, and 4,000 for one: {sums:?}");
        assert!(refused.contains(&"reward.cap"), "{refused:?}");
        let filter = RewardFilter { state: Some(RewardState::Approved), limit: 10, ..RewardFilter::default() };
        let approved = town.registry.list_rewards(filter).await.unwrap();
        let of_one = approved.iter().filter(|reward| reward.payee == "138-0000 0001").count();
        assert!(of_one <= 2, "one person under two spellings is one");

        // A case that is not taken.
        let invented = town.report(plates[5], Hazard::Level).await;
        let reward = claim(&town, &invented, "13800000005").await.unwrap();
        let reject = order(&invented.case_number, CaseMove::Reject, &desk.dispatcher);
        desk.make(because(reject, "查无此事")).await;
        town.registry.sweep_rewards().await.unwrap();
        let refused = find(&town, &reward).await;
        assert_eq!((refused.state, refused.reason), (RewardState::Refused, Some(RewardReason::Rejected)));
        // Too late.
        let late = town.report(plates[6], Hazard::Level).await;
        town.clock.fetch_add(31 * 86_400_000, Ordering::SeqCst);
        assert_eq!(code(claim(&town, &late, "13800000006").await), "reward.too_late");
    }
}
