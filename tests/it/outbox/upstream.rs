//! 数字城管一体化平台: a small platform that loses answers, and what it says of our cases.

use std::collections::BTreeMap;
use std::sync::Mutex;
use std::sync::atomic::Ordering;

use lidmark::domain::case::{CaseMove, CaseState, MoveRequest};
use lidmark::domain::hazard::Hazard;
use lidmark::domain::history::HistoryKind;
use lidmark::domain::ids::{IdempotencyKey, Millis, ReceiverId};
use lidmark::domain::receiver::ReceiverKind;
use lidmark::domain::role::{Actor, Role};
use lidmark::registry::{MoveOrder, NewReceiver, RegistryError, UpstreamOutcome, UpstreamWord};
use serde_json::json;

use super::hook::{Heard, Hook, courier, draft};
use crate::both_engines;
use crate::registry::ground::Town;

pub const RULES: &str = "[states]\nfiled = '立案'\ndispatched = '派遣'\nhandling = '处置'\nreturned = '退回'\nrejected = '不予立案'\n\
    [moves]\n'受理' = 'accept'\n'退回' = 'refuse'\n'办结' = 'hand_in'\n";

/// Every second call is carried out and its answer lost.
fn platform() -> impl Fn(&Heard) -> (u16, String) + Send + Sync {
    let known: Mutex<(u64, BTreeMap<String, u64>)> = Mutex::default();
    move |heard| {
        let mut known = known.lock().unwrap();
        known.0 += 1;
        let lost = known.0 % 2 == 1;
        if heard.path == "/api/cases" {
            let fresh = 9_000 + known.1.len() as u64;
            let id = *known.1.entry(heard.key.clone().unwrap()).or_insert(fresh);
            return if lost { (500, String::new()) } else { (201, json!({"data": {"id": id}}).to_string()) };
        }
        let id = heard.path.strip_prefix("/api/cases/").and_then(|rest| rest.strip_suffix("/states"));
        let fits = known.1.values().any(|known| Some(known.to_string().as_str()) == id);
        (
            if !fits {
                404
            } else if lost {
                500
            } else {
                204
            },
            String::new(),
        )
    }
}

fn word(receiver: ReceiverId, number: &str, state: &str, actor: &Actor) -> UpstreamWord {
    UpstreamWord {
        key: IdempotencyKey::fresh(),
        receiver,
        upstream_id: None,
        number: Some(number.to_owned()),
        state: state.to_owned(),
        at: Millis(0),
        note: String::new(),
        external_number: None,
        actor: actor.clone(),
    }
}

both_engines! {
    async fn a_platform_that_loses_answers_has_each_case_once_and_its_states_come_back(ground: Ground) {
        let town = Town::found(&ground).await;
        let registry = &town.registry;
        let tokens = town.plated(3).await;
        let dispatcher = town.staff("pai", Role::Dispatcher).await;
        let handler = town.staff("xiu", Role::Handler).await;
        let hook = Hook::open(platform()).await;
        let mut draft = draft("一体化平台", &format!("http://{}/api/", hook.address), "case.*");
        draft.rules = RULES.into();
        let new = NewReceiver { key: IdempotencyKey::fresh(), kind: ReceiverKind::Upstream, draft, actor: Actor::System };
        let made = registry.add_receiver(new).await.unwrap();
        let (id, secret) = (made.file.unwrap().receiver.id, made.secret.unwrap());
        let courier = courier(registry);
        let bring = async || {
            for _ in 0..12 {
                while courier.turn().await.unwrap() > 0 {}
                town.clock.fetch_add(600_000, Ordering::SeqCst);
            }
        };

        let mut numbers = Vec::new();
        for token in &tokens {
            numbers.push(town.report(*token, Hazard::Broken).await.case_number);
        }
        let make = async |number: &str, made: CaseMove, request: MoveRequest, actor: &Actor| {
            let order = MoveOrder {
                key: IdempotencyKey::fresh(), number: number.into(), expected_version: None, made, request,
                target_number: None, pool: None, condition: None, position: None, photos: vec![], before_photos: vec![],
                actor: actor.clone(),
            };
            registry.move_case(order).await.unwrap()
        };
        for number in &numbers {
            make(number, CaseMove::File, MoveRequest::default(), &dispatcher).await;
            let to = MoveRequest { party: Some(town.water), ..MoveRequest::default() };
            if registry.find_case(number, &dispatcher).await.unwrap().unwrap().case.state == CaseState::Filed {
                make(number, CaseMove::Dispatch, to, &dispatcher).await;
            }
        }
        bring().await;
        let known = registry.list_upstream_cases(id).await.unwrap();
        let ids: BTreeMap<String, String> =
            known.iter().map(|case| (case.number.clone(), case.upstream_id.clone())).collect();
        assert_eq!(ids.len(), 3);
        assert!(known.iter().all(|case| case.told == "派遣"), "{known:?}");
        let created: Vec<Heard> =
            hook.heard().into_iter().map(|(heard, _)| heard).filter(|heard| heard.path == "/api/cases").collect();
        assert!(created.len() > 3, "some were tried again");
        for heard in &created {
            assert!(heard.is_signed_by(&secret));
            assert_eq!(heard.json()["number"].as_str(), heard.key.as_deref());
            assert!(heard.json().get("description").is_none(), "it may not hear what people said");
            assert_eq!(heard.json()["state"], "立案");
        }

        // What it says is a move where that is allowed. The same word again changes nothing.
        let mut accepted = word(id, &numbers[0], "受理", &handler);
        (accepted.upstream_id, accepted.number) = (Some(ids[&numbers[0]].clone()), None);
        let heard = registry.hear_upstream(accepted.clone()).await.unwrap();
        assert_eq!((heard.outcome, heard.state, &heard.number), (UpstreamOutcome::Moved, CaseState::Handling, &numbers[0]));
        assert_eq!(registry.hear_upstream(accepted).await.unwrap(), heard);
        // Where it is not (no photo, no such word), it stands in the file and the desk is asked, once.
        let mut done = word(id, &numbers[0], "办结", &handler);
        done.note = "已更换井盖".into();
        done.external_number = Some("12345-77".into());
        let heard = registry.hear_upstream(done.clone()).await.unwrap();
        assert_eq!((heard.outcome, heard.state), (UpstreamOutcome::Noted, CaseState::Handling));
        assert_eq!(registry.hear_upstream(done).await.unwrap(), heard);
        let odd = registry.hear_upstream(word(id, &numbers[0], "督查", &handler)).await.unwrap();
        assert_eq!(odd.outcome, UpstreamOutcome::Noted);
        let file = registry.find_case(&numbers[0], &dispatcher).await.unwrap().unwrap();
        let said: Vec<&str> = file.timeline.iter().filter(|entry| entry.kind == HistoryKind::UpstreamSaid)
            .map(|entry| entry.body.as_str()).collect();
        assert_eq!(said.len(), 2);
        assert!(said[0].contains("已更换井盖") && said[0].contains("12345-77"));
        let asks = registry.list_open_asks(&dispatcher).await.unwrap();
        assert_eq!((asks.len(), asks[0].ask.reason.as_str()), (1, "办结: 已更换井盖"));

        let back = registry.hear_upstream(word(id, &numbers[1], "退回", &handler)).await.unwrap();
        assert_eq!((back.outcome, back.state), (UpstreamOutcome::Moved, CaseState::Returned));
        bring().await;
        let told: BTreeMap<String, String> =
            registry.list_upstream_cases(id).await.unwrap().into_iter().map(|case| (case.number, case.told)).collect();
        let stands = numbers.iter().map(|number| told[number].as_str()).collect::<Vec<_>>();
        assert_eq!(stands, ["处置", "退回", "派遣"]);

        let refused = async |word: UpstreamWord| match registry.hear_upstream(word).await {
            Err(RegistryError::Refused(refusal) | RegistryError::NotFound(refusal)) => refusal.code,
            other => panic!("{other:?}"),
        };
        assert_eq!(refused(word(id, "2026-999999", "受理", &handler)).await, "upstream.unknown_case");
        assert_eq!(refused(word(ReceiverId::fresh(), &numbers[2], "受理", &handler)).await, "receiver.unknown");
        assert_eq!(refused(word(id, &numbers[2], "受\0理", &handler)).await, "text.control_character");
        let mut nameless = word(id, "", "受理", &handler);
        nameless.number = None;
        assert_eq!(refused(nameless).await, "upstream.which_case");
        assert_eq!(ground.sql("SELECT count(*) FROM deliveries"), "0");
        assert!(registry.check_tables().await.unwrap().findings.is_empty());
    }
}
