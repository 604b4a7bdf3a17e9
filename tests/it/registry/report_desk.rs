//! Reports that arrive together are filed together, and each is answered for itself.

use std::collections::BTreeMap;

use lidmark::domain::hazard::Hazard;
use lidmark::domain::token::Token;
use lidmark::registry::{NewReport, RegistryError, Reported};
use rand::SeedableRng;
use rand::rngs::SmallRng;

use super::ground::{Town, photo, report};
use crate::both_engines;

/// Sends all at once; answers in order.
async fn send(town: &Town, reports: Vec<NewReport>) -> Vec<Result<Reported, RegistryError>> {
    let sent: Vec<_> = reports
        .into_iter()
        .map(|new| {
            let registry = town.registry.clone();
            tokio::spawn(async move { registry.report_hazard(new).await })
        })
        .collect();
    let mut answers = Vec::new();
    for answer in sent {
        answers.push(answer.await.unwrap());
    }
    answers
}

both_engines! {
    async fn each_of_a_crowd_gets_the_answer_that_is_theirs(ground: Ground) {
        let town = Town::found(&ground).await;
        let tokens = town.plated(3).await;
        let mut reports = Vec::new();
        for round in 0..20 {
            for (at, token) in tokens.iter().enumerate() {
                let mut new = report(*token, if at == 0 { Hazard::Missing } else { Hazard::Rocking });
                new.photos = (round % 7 == 0).then(|| photo(round + 1)).into_iter().collect();
                reports.push(new);
            }
        }
        let unknown = Token::draw(&mut SmallRng::seed_from_u64(7));
        reports.push(report(unknown, Hazard::Gas));
        let repeated = reports[4].clone();
        reports.push(repeated.clone());
        let mut other = repeated;
        other.description = "another sentence under a used key".into();
        reports.push(other);

        let mut answers = send(&town, reports.clone()).await;
        let conflict = answers.pop().unwrap();
        let again = answers.pop().unwrap();
        // Whichever of the three came first has the key; the two others follow from it.
        let under_key = [&answers[4], &again, &conflict];
        let filed: Vec<&Reported> = under_key.iter().filter_map(|answer| answer.as_ref().ok()).collect();
        assert!(filed.windows(2).all(|pair| pair[0] == pair[1]), "one key, one report: {filed:?}");
        assert!(under_key.iter().any(|answer| matches!(answer, Err(RegistryError::Conflict(_)))));
        assert!(!filed.is_empty());
        let refused = answers.pop().unwrap();
        assert!(matches!(refused, Err(RegistryError::NotFound(refusal)) if refusal.code == "plate.unknown"));

        let reported: Vec<&Reported> = answers.iter().filter_map(|answer| answer.as_ref().ok()).collect();
        let mut tracking: Vec<&str> = reported.iter().map(|one| one.tracking.as_str()).collect();
        tracking.sort_unstable();
        tracking.dedup();
        assert_eq!(tracking.len(), reported.len(), "no tracking number twice");
        assert_eq!(reported.iter().filter(|one| !one.joined).count(), 3, "one case a cover");
        let mut by_case: BTreeMap<&str, i64> = BTreeMap::new();
        for one in &reported {
            *by_case.entry(&one.case_number).or_default() += 1;
        }
        assert_eq!(by_case.keys().copied().collect::<Vec<_>>(), ["2026-000001", "2026-000002", "2026-000003"]);
        // The one under the contested key may be counted through its twin.
        let total: i64 = by_case.values().sum();
        assert!((59..=60).contains(&total));
        for one in &reported {
            assert!(town.registry.find_tracked(&town.registry.tracking_link(one)).await.unwrap().is_some());
        }
        assert_eq!(town.registry.check_tables().await.unwrap().findings, []);
        let counts = town.registry.counts().await.unwrap();
        assert_eq!(counts.cases, [("dispatched".to_owned(), 1), ("reported".to_owned(), 2)]);
        let events = town.registry.list_waiting_events("gateway", 1000).await.unwrap();
        assert_eq!(events.len(), 62, "one event a report, and that an emergency is there and was sent on");
        assert!(events.windows(2).all(|pair| pair[0].sequence + 1 == pair[1].sequence));
    }
}
