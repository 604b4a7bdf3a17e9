//! Webhooks: signed, at least once, in order for each case, whatever receivers do.

use std::collections::BTreeMap;
use std::sync::Mutex;
use std::sync::atomic::{AtomicBool, Ordering};

use lidmark::domain::hazard::Hazard;
use lidmark::domain::ids::{IdempotencyKey, Millis, ReceiverId};
use lidmark::domain::receiver::{LetterState, LetterStep, ReceiverKind, ReceiverState, ReceiverStep};
use lidmark::domain::role::Actor;
use lidmark::domain::token::Token;
use lidmark::registry::{
    LetterOrder, NewReceiver, ReceiverChange, ReceiverFile, ReceiverMade, ReceiverStepOrder, Registry,
    RegistryError,
};

use super::hook::{Hook, courier, draft, ok, register};
use crate::both_engines;
use crate::registry::ground::Town;

const HOUR: i64 = 3_600_000;

/// Reports on every plate, again and again: the first opens a case, the others join it.
async fn reports(town: &Town, tokens: &[Token], rounds: usize) {
    for _ in 0..rounds {
        for token in tokens {
            town.report(*token, Hazard::Broken).await;
        }
    }
}

fn pass(town: &Town, ms: i64) {
    town.clock.fetch_add(ms, Ordering::SeqCst);
}

async fn file(registry: &Registry, id: ReceiverId) -> ReceiverFile {
    registry.find_receiver(id).await.unwrap().unwrap()
}

fn id_of(made: &ReceiverMade) -> ReceiverId {
    made.file.as_ref().unwrap().receiver.id
}

async fn step(
    registry: &Registry,
    id: ReceiverId,
    step: ReceiverStep,
    since: Option<Millis>,
) -> ReceiverMade {
    let key = IdempotencyKey::fresh();
    registry.step_receiver(ReceiverStepOrder { key, id, step, since, actor: Actor::System }).await.unwrap()
}

async fn bring_all(town: &Town) -> usize {
    let courier = courier(&town.registry);
    let mut sum = 0;
    loop {
        match courier.turn().await.unwrap() {
            0 => return sum,
            delivered => sum += delivered,
        }
    }
}

both_engines! {
    async fn events_leave_signed_and_the_secret_is_told_once(ground: Ground) {
        let town = Town::found(&ground).await;
        let tokens = town.plated(2).await;
        town.report(tokens[1], Hazard::Rocking).await;
        let hook = Hook::open(ok).await;
        let key = IdempotencyKey::fresh();
        let new = NewReceiver {
            key, kind: ReceiverKind::Webhook, draft: draft("短信网关", &hook.url(), "case.*"), actor: Actor::System,
        };
        let made = town.registry.add_receiver(new.clone()).await.unwrap();
        assert_eq!(made, town.registry.add_receiver(new).await.unwrap(), "the same key, the same answer");
        let (id, secret) = (id_of(&made), made.secret.unwrap());
        assert!(!format!("{:?}", made.file).contains(&secret), "no log tells it");

        reports(&town, &tokens[..1], 2).await;
        assert_eq!(bring_all(&town).await, 1, "what was before and what is not wanted stays");
        let heard = &hook.taken()[0];
        assert!(heard.is_signed_by(&secret) && !heard.is_signed_by("whsec_AAAA"));
        assert_eq!(heard.timestamp, (town.clock.load(Ordering::SeqCst) / 1000).to_string());
        let body = heard.json();
        assert_eq!((body["type"].as_str(), body["data"]["hazard"].as_str()), (Some("case.reported"), Some("broken")));
        assert_eq!(body["timestamp"], "2026-03-02T00:00:00Z");

        // For a day the secret before signs as well.
        let fresh = step(&town.registry, id, ReceiverStep::Rotate, None).await.secret.unwrap();
        assert_ne!(fresh, secret);
        for (wait, old_signs) in [(0, true), (25 * HOUR, false)] {
            pass(&town, wait);
            town.report(tokens[0], [Hazard::Level, Hazard::Odour][usize::from(wait > 0)]).await;
            assert_eq!(bring_all(&town).await, 1);
            let heard = hook.taken().pop().unwrap();
            assert!(heard.is_signed_by(&fresh));
            assert_eq!(heard.is_signed_by(&secret), old_signs);
        }

        // Paused nothing leaves; afterwards everything does.
        step(&town.registry, id, ReceiverStep::Pause, None).await;
        town.report(tokens[0], Hazard::Gas).await;
        assert_eq!(bring_all(&town).await, 0);
        assert!(file(&town.registry, id).await.behind > 0);
        step(&town.registry, id, ReceiverStep::Resume, None).await;
        assert!(bring_all(&town).await > 0);
        assert_eq!(file(&town.registry, id).await.behind, 0);
        let gone = step(&town.registry, id, ReceiverStep::Remove, None).await;
        assert!(gone.file.is_none() && town.registry.list_receivers().await.unwrap().is_empty());
        assert_eq!(ground.sql("SELECT count(*) FROM outbox_receivers"), "0");
    }

    async fn whatever_fails_at_random_arrives_in_the_order_of_its_case(ground: Ground) {
        let town = Town::found(&ground).await;
        let tokens = town.plated(9).await;
        let tries: Mutex<BTreeMap<String, i64>> = Mutex::default();
        // Some events fail once to four times, those of every third case never.
        let hook = Hook::open(move |heard| {
            let mut tries = tries.lock().unwrap();
            let count = tries.entry(heard.id.clone()).or_default();
            *count += 1;
            let case: i64 = heard.case().rsplit('-').next().unwrap().parse().unwrap();
            let vain = if case % 3 == 0 { 0 } else { heard.sequence() * 7 % 5 };
            (if *count <= vain { 500 } else { 200 }, "x".repeat(100_000))
        }).await;
        let id = id_of(&register(&town.registry, &hook).await);
        reports(&town, &tokens, 8).await;
        bring_all(&town).await;
        for (case, sequences) in hook.by_case() {
            let number: i64 = case.rsplit('-').next().unwrap().parse().unwrap();
            assert!(number % 3 != 0 || sequences.len() == 8, "{case} waits for others: {sequences:?}");
        }
        let stands = file(&town.registry, id).await;
        assert!(stands.waiting > 0 && stands.behind == 0 && stands.dead == 0, "{stands:?}");
        // More happens while letters wait.
        reports(&town, &tokens, 3).await;
        for _ in 0..200 {
            pass(&town, 9 * HOUR);
            bring_all(&town).await;
        }
        assert_eq!(ground.sql("SELECT count(*) FROM deliveries"), "0");
        hook.assert_heard_all(99);
    }

    async fn a_receiver_that_is_away_for_a_day_costs_nothing_and_misses_nothing(ground: Ground) {
        let town = Town::found(&ground).await;
        let tokens = town.plated(10).await;
        let mut hook = Hook::absent(ok);
        let id = id_of(&register(&town.registry, &hook).await);
        let courier = courier(&town.registry);
        for _ in 0..24 {
            reports(&town, &tokens, 1).await;
            for _ in 0..6 {
                pass(&town, HOUR / 6);
                assert_eq!(courier.turn().await.unwrap(), 0);
            }
        }
        let stands = file(&town.registry, id).await;
        assert_eq!((stands.behind, stands.waiting, stands.dead), (240, 0, 0), "no row an event");
        assert!(stands.receiver.trouble.is_some() && stands.receiver.absences > 100);
        // It is served within minutes of being back, by another courier as after a restart.
        hook.begin().await;
        pass(&town, HOUR / 6);
        assert_eq!(bring_all(&town).await, 240);
        hook.assert_heard_all(240);
        let stands = file(&town.registry, id).await;
        assert_eq!((stands.behind, stands.receiver.absences), (0, 0));
        assert_eq!(hook.heard().len(), 240, "nothing twice");
        // Away in the middle of its work, over and over.
        for _ in 0..3 {
            reports(&town, &tokens, 1).await;
            hook.end().await;
            assert_eq!(courier.turn().await.unwrap(), 0);
            hook.begin().await;
            pass(&town, HOUR);
            while courier.turn().await.unwrap() > 0 {}
        }
        hook.assert_heard_all(270);
    }

    async fn what_cannot_be_delivered_dies_alone_and_can_be_tried_again(ground: Ground) {
        let town = Town::found(&ground).await;
        let tokens = town.plated(2).await;
        static MENDED: [AtomicBool; 2] = [AtomicBool::new(false), AtomicBool::new(false)];
        let engine = usize::from(matches!(ground.database(), lidmark::registry::Database::Postgres(_)));
        let hook = Hook::open(move |heard| {
            let poisoned = heard.sequence() == 1 && !MENDED[engine].load(Ordering::SeqCst);
            (if poisoned { 422 } else { 200 }, String::new())
        }).await;
        let id = id_of(&register(&town.registry, &hook).await);
        reports(&town, &tokens[..1], 3).await;
        town.report(tokens[1], Hazard::Broken).await;
        assert_eq!(bring_all(&town).await, 1, "the other case is not held up");
        for _ in 0..9 {
            pass(&town, 30 * HOUR);
            bring_all(&town).await;
        }
        let dead = town.registry.list_letters(id, LetterState::Dead, (0, 100)).await.unwrap();
        assert_eq!((dead.len(), dead[0].tries, dead[0].last_status), (1, 10, Some(422)));
        bring_all(&town).await;
        assert_eq!(hook.taken().iter().map(|heard| heard.sequence()).collect::<Vec<_>>(), [4, 2, 3]);
        let stands = file(&town.registry, id).await;
        assert_eq!((stands.waiting, stands.dead), (0, 1));

        // What waits as a letter is not cleared away, what everybody has had is.
        pass(&town, 31 * 24 * HOUR);
        assert_eq!(town.registry.clear_events().await.unwrap(), 3);
        MENDED[engine].store(true, Ordering::SeqCst);
        let order = |step| LetterOrder { key: IdempotencyKey::fresh(), receiver: id, sequence: 1, step, actor: Actor::System };
        town.registry.step_letter(order(LetterStep::TryAgain)).await.unwrap();
        assert_eq!(bring_all(&town).await, 1);
        assert_eq!(hook.taken().last().unwrap().sequence(), 1);
        let unknown = town.registry.step_letter(order(LetterStep::Skip)).await;
        assert!(matches!(unknown, Err(RegistryError::NotFound(_))));

        // Everything of the last hours once more, under the same ids.
        let since = Millis(town.clock.load(Ordering::SeqCst));
        reports(&town, &tokens, 1).await;
        assert_eq!(bring_all(&town).await, 2);
        let before = hook.heard().len();
        step(&town.registry, id, ReceiverStep::Replay, Some(since)).await;
        assert_eq!(bring_all(&town).await, 2);
        assert_eq!((hook.heard().len(), hook.taken().len()), (before + 2, 6));
    }

    async fn a_receiver_that_wants_nothing_more_pauses_and_one_that_is_busy_is_let_be(ground: Ground) {
        let town = Town::found(&ground).await;
        let tokens = town.plated(3).await;
        let hook = Hook::open(|heard| (if heard.sequence() < 4 { 410 } else { 503 }, String::new())).await;
        let id = id_of(&register(&town.registry, &hook).await);
        reports(&town, &tokens, 1).await;
        assert_eq!(bring_all(&town).await, 0);
        let stands = file(&town.registry, id).await;
        assert_eq!((stands.receiver.state, stands.behind, stands.waiting), (ReceiverState::Paused, 3, 0));
        step(&town.registry, id, ReceiverStep::Remove, None).await;

        let id = id_of(&register(&town.registry, &hook).await);
        reports(&town, &tokens, 1).await;
        assert_eq!(bring_all(&town).await, 0);
        let stands = file(&town.registry, id).await;
        assert_eq!((stands.receiver.state, stands.waiting), (ReceiverState::Active, 0), "busy, not failing");
        assert_eq!(stands.receiver.trouble.as_ref().map(|(text, _)| text.as_str()), Some("HTTP 503"));
        let asked = hook.heard().len();
        assert_eq!((bring_all(&town).await, hook.heard().len()), (0, asked), "it is let be");
    }

    async fn receivers_hear_of_their_districts_and_are_checked(ground: Ground) {
        let town = Town::found(&ground).await;
        let tokens = town.plated(1).await;
        let hook = Hook::open(ok).await;
        let registry = &town.registry;
        let add = async |edit: fn(&mut lidmark::registry::ReceiverDraft)| {
            let mut draft = draft("one", &hook.url(), "*");
            edit(&mut draft);
            let (key, kind) = (IdempotencyKey::fresh(), ReceiverKind::Webhook);
            registry.add_receiver(NewReceiver { key, kind, draft, actor: Actor::System }).await
        };
        let code = |refused: Result<ReceiverMade, RegistryError>| match refused {
            Err(RegistryError::Refused(refusal) | RegistryError::Conflict(refusal)) => refusal.code,
            other => panic!("{other:?}"),
        };
        assert_eq!(code(add(|draft| draft.url = "https://169.254.169.254/".into()).await), "receiver.private");
        assert_eq!(code(add(|draft| draft.events = "case closed".into()).await), "receiver.event");
        assert_eq!(code(add(|draft| draft.name = "a\0b".into()).await), "text.control_character");
        assert_eq!(code(add(|draft| draft.rules = "[states]".into()).await), "receiver.no_rules");
        let here = id_of(&add(|draft| draft.districts = "370502".into()).await.unwrap());
        assert_eq!(code(add(|_| {}).await), "receiver.name_taken");
        let there = id_of(&add(|draft| { draft.name = "two".into(); draft.districts = "370503".into(); }).await.unwrap());
        town.report(tokens[0], Hazard::Broken).await;
        assert_eq!(bring_all(&town).await, 1);
        assert_eq!((file(registry, here).await.behind, file(registry, there).await.behind), (0, 0));

        let mut change = ReceiverChange {
            key: IdempotencyKey::fresh(), id: there, version: 1, draft: draft("two", &hook.url(), "case.*"), actor: Actor::System,
        };
        assert_eq!(registry.change_receiver(change.clone()).await.unwrap().receiver.version, 2);
        change.key = IdempotencyKey::fresh();
        let late = registry.change_receiver(change).await;
        assert!(matches!(late, Err(RegistryError::Conflict(refusal)) if refusal.code == "receiver.changed_meanwhile"));
        town.report(tokens[0], Hazard::Rocking).await;
        assert_eq!(bring_all(&town).await, 2);
    }
}
