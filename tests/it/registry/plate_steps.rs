//! Plates on their way: printed, spoiled, handed to crews, handed back; and a hundred thousand in one order.

use lidmark::domain::history::HistoryKind;
use lidmark::domain::ids::{IdempotencyKey, Millis};
use lidmark::domain::plate::PlateState;
use lidmark::domain::plate_batch::{BatchState, Ordered, Ordinals, PlateWords};
use lidmark::domain::role::{Actor, Role};
use lidmark::domain::token::Token;
use lidmark::registry::{
    Batch, BatchExtras, NewBatch, NewPart, OrderCall, PlateLine, PlateMove, PlateMoveOrder, PlatesMoved,
    RegistryError, WhichPlates,
};
use rand::SeedableRng;

use super::ground::{Town, batch, candidate, plate};
use crate::both_engines;
use lidmark::domain::cover::CoverClass;
use lidmark::domain::ids::UserId;

async fn spare(town: &Town, count: i64, seed: u64) -> (Batch, Vec<Token>) {
    let mut random = rand::rngs::SmallRng::seed_from_u64(seed);
    let order = batch(count);
    let plates: Vec<_> = (1..=count).map(|at| plate(&order, at, Token::draw(&mut random))).collect();
    let tokens = plates.iter().map(|plate| plate.token).collect();
    town.registry.commit_batch(NewBatch { batch: order.clone(), plates }).await.unwrap();
    (order, tokens)
}

fn user(actor: &Actor) -> UserId {
    match actor {
        Actor::Staff { user, .. } => *user,
        other => panic!("{other:?}"),
    }
}

async fn act(town: &Town, what: PlateMove, which: WhichPlates) -> Result<PlatesMoved, RegistryError> {
    let key = IdempotencyKey::fresh();
    town.registry.move_plates(PlateMoveOrder { key, what, which, actor: Actor::System }).await
}

fn code_of(refused: Result<PlatesMoved, RegistryError>) -> &'static str {
    match refused {
        Err(RegistryError::Conflict(refusal) | RegistryError::Refused(refusal)) => refusal.code,
        other => panic!("{other:?}"),
    }
}

async fn states(town: &Town, tokens: &[Token]) -> Vec<PlateState> {
    let plates = town.registry.list_plates_by_token(tokens).await.unwrap();
    plates.into_iter().map(|plate| plate.state).collect()
}

both_engines! {
    async fn what_a_crew_has_is_its_own_until_it_comes_back(ground: Ground) {
        use PlateState::{Issued, Printed};
        let town = Town::found(&ground).await;
        let (one, other) = (town.staff("one", Role::Crew).await, town.staff("other", Role::Crew).await);
        let (one, other) = (user(&one), user(&other));
        let engineer = town.staff("engineer", Role::Engineer).await;
        let (order, tokens) = spare(&town, 5, 1).await;
        let numbers = |text: &str| WhichPlates::Ordinals(order.id, text.parse().unwrap());
        let issue = |crew| PlateMove::Issued { crew };

        let first = PlateMoveOrder {
            key: IdempotencyKey::fresh(), what: issue(one), which: numbers("1-3"), actor: engineer.clone(),
        };
        assert_eq!(town.registry.move_plates(first.clone()).await.unwrap().moved, 3);
        assert_eq!(town.registry.move_plates(first.clone()).await.unwrap().moved, 3, "the first answer again");
        let otherwise = PlateMoveOrder { which: numbers("1-4"), ..first };
        assert_eq!(code_of(town.registry.move_plates(otherwise).await), "idempotency.other_request");
        assert_eq!(code_of(act(&town, issue(other), numbers("3-4")).await), "plates.with_crew");
        assert_eq!(states(&town, &tokens).await, [Issued, Issued, Issued, Printed, Printed], "refused as a whole");
        assert_eq!(code_of(act(&town, issue(user(&engineer)), numbers("4")).await), "plates.crew_unknown");
        let whole = act(&town, issue(other), WhichPlates::Batch(order.id)).await.unwrap();
        assert_eq!((whole.moved, whole.left.get(&Issued)), (2, Some(&3)), "the rest of the batch");

        let stock = town.registry.list_stock(Some(other)).await.unwrap();
        assert_eq!((stock.len(), stock[0].blank, stock[0].first, stock[0].last), (1, 2, 4, 5));
        assert_eq!(town.registry.list_stock(None).await.unwrap().len(), 2);
        let wrong_crew = act(&town, PlateMove::Returned { crew: Some(one) }, numbers("4-5")).await;
        assert_eq!(code_of(wrong_crew), "plates.nothing_moves");
        let back = act(&town, PlateMove::Returned { crew: None }, WhichPlates::Tokens(vec![tokens[4]])).await;
        assert_eq!(back.unwrap().moved, 1);
        assert_eq!(act(&town, PlateMove::Returned { crew: Some(one) }, WhichPlates::StockOf(one)).await.unwrap().moved, 3);
        assert_eq!(states(&town, &tokens).await, [Printed, Printed, Printed, Issued, Printed]);
        let life = town.registry.list_plate_events(tokens[0]).await.unwrap();
        let said: Vec<_> = life.iter().map(|event| (event.step, event.state, event.holder, event.actor.clone())).collect();
        assert_eq!(said, [(1, Issued, Some(one), engineer.word()), (2, Printed, None, "system".into())]);
        let scanned = act(&town, issue(one), WhichPlates::Tokens(vec![tokens[0], tokens[3]])).await;
        assert_eq!(code_of(scanned), "plates.with_crew", "one of two scanned plates is elsewhere");
        assert_eq!(town.registry.check_tables().await.unwrap().findings, []);
    }

    async fn a_token_is_printed_again_only_while_it_never_left_the_house(ground: Ground) {
        let town = Town::found(&ground).await;
        let crew = user(&town.staff("crew", Role::Crew).await);
        town.import(vec![candidate(1, CoverClass::Sewage)]).await;
        let file = town.registry.list_covers(Default::default()).await.unwrap().remove(0);
        let mut random = rand::rngs::SmallRng::seed_from_u64(2);
        let order = batch(2);
        let mut plates: Vec<_> = (1..=2).map(|at| plate(&order, at, Token::draw(&mut random))).collect();
        plates[0].cover = Some(file.cover);
        plates[0].printed_code = Some(file.code.digits.clone());
        let tokens: Vec<Token> = plates.iter().map(|plate| plate.token).collect();
        town.registry.commit_batch(NewBatch { batch: order.clone(), plates }).await.unwrap();
        let numbers = |text: &str| WhichPlates::Ordinals(order.id, text.parse().unwrap());
        let spoiled = || PlateMove::Spoiled { reason: "模糊".into() };

        assert_eq!(code_of(act(&town, PlateMove::Spoiled { reason: " ".into() }, numbers("1")).await), "form.missing");
        assert_eq!(act(&town, spoiled(), numbers("1-2")).await.unwrap().moved, 2);
        let history = town.registry.list_history(file.manhole).await.unwrap();
        let last = history.last().unwrap();
        assert!(last.kind == HistoryKind::PlateChanged && last.body.contains("模糊"), "{last:?}");
        assert_eq!(town.registry.check_tables().await.unwrap().findings, []);
        assert_eq!(act(&town, PlateMove::Reprinted, numbers("1-2")).await.unwrap().moved, 2);
        assert_eq!(act(&town, PlateMove::Issued { crew }, numbers("2")).await.unwrap().moved, 1);
        assert_eq!(act(&town, PlateMove::Returned { crew: None }, numbers("2")).await.unwrap().moved, 1);
        assert_eq!(act(&town, spoiled(), numbers("1-2")).await.unwrap().moved, 2);
        assert_eq!(code_of(act(&town, PlateMove::Reprinted, numbers("1-2")).await), "plates.issued_once");
        let all = Ordinals::between(1, 2);
        assert!(town.registry.check_never_issued(order.id, &all).await.is_err());
        let (at_home, issued) = town.registry.split_by_issued(order.id, &all).await.unwrap();
        assert_eq!((at_home, issued.iter().map(|plate| plate.token).collect::<Vec<_>>()), (vec![1], vec![tokens[1]]));
        assert_eq!(act(&town, PlateMove::Reprinted, numbers("1")).await.unwrap().moved, 1);
        assert_eq!(town.registry.check_tables().await.unwrap().findings, []);
    }

    async fn an_order_is_seen_when_its_last_line_is_written(ground: Ground) {
        let town = Town::found(&ground).await;
        town.import(vec![candidate(1, CoverClass::Sewage)]).await;
        let file = town.registry.list_covers(Default::default()).await.unwrap().remove(0);
        let draft = |created_at: Millis| {
            let mut order = batch(0);
            order.created_at = created_at;
            order.order.state = BatchState::Drafted;
            order.order.split = Some(10);
            order
        };
        let drafts = || ground.sql("SELECT COUNT(*) FROM plate_batches WHERE state = 'drafted'");
        let line = PlateLine {
            ordinal: 1,
            cover: file.cover,
            code: file.code.digits.clone(),
            words: PlateWords {
                code: None,
                class: CoverClass::Sewage,
                label: "污水井盖".into(),
                owner: "水务局".into(),
                hotline: "12345".into(),
                road: "济南路".into(),
                level: None,
            },
        };
        let killed = draft(Millis(town.registry.now().0 - 25 * 3_600_000));
        town.registry.draft_order(killed.clone()).await.unwrap();
        town.registry.add_order_lines(killed.id, vec![line.clone()]).await.unwrap();
        let order = draft(town.registry.now());
        town.registry.draft_order(order.clone()).await.unwrap();
        assert_eq!(drafts(), "1", "one that was left lying is forgotten");
        town.registry.add_order_lines(order.id, vec![line.clone()]).await.unwrap();
        assert_eq!(town.registry.list_batches().await.unwrap(), []);
        assert_eq!(town.registry.list_batches_before(None, 10).await.unwrap(), []);
        assert_eq!(town.registry.list_open_orders().await.unwrap(), []);
        assert_eq!(town.registry.find_batch(order.id).await.unwrap(), None);

        let call = OrderCall { key: IdempotencyKey::fresh(), request_hash: [1; 32] };
        assert_eq!(town.registry.begin_drafted(order.id, 1, Some(call)).await.unwrap(), order.id);
        let begun = town.registry.find_batch(order.id).await.unwrap().unwrap();
        assert_eq!((begun.order.state, begun.plate_count), (BatchState::UnderWay, 1));
        assert_eq!(town.registry.list_plate_lines(order.id, (1, 9)).await.unwrap(), [line]);
        let again = draft(town.registry.now());
        town.registry.draft_order(again.clone()).await.unwrap();
        assert_eq!(town.registry.begin_drafted(again.id, 1, Some(call)).await.unwrap(), order.id, "the first answer");
        let refused = draft(town.registry.now());
        town.registry.draft_order(refused.clone()).await.unwrap();
        town.registry.drop_draft(refused.id).await.unwrap();
        assert_eq!((drafts().as_str(), town.registry.list_batches().await.unwrap().len()), ("0", 1));
        assert_eq!(town.registry.check_tables().await.unwrap().findings, []);
    }

    async fn a_ledger_of_a_hundred_thousand_tokens_has_no_repeat(ground: Ground) {
        const PLATES: i64 = 100_000;
        const FILE: i64 = 10_000;
        let town = Town::found(&ground).await;
        let mut order = batch(PLATES);
        order.order.state = BatchState::UnderWay;
        order.order.split = Some(FILE);
        order.order.ordered = Some(Ordered::Blank { count: PLATES });
        town.registry.begin_order(order.clone(), BatchExtras::default()).await.unwrap();
        let mut random = rand::rngs::SmallRng::seed_from_u64(3);
        for from in (0..PLATES).step_by(FILE as usize) {
            let plates = (from + 1..=from + FILE).map(|at| plate(&order, at, Token::draw(&mut random))).collect();
            let part = NewPart { batch: order.id, from, done: from + FILE, plates };
            let now = town.registry.commit_part(part.clone()).await.unwrap();
            let last = from + FILE == PLATES;
            assert_eq!(now.order.state, if last { BatchState::Released } else { BatchState::UnderWay });
            if from == 0 {
                let twice = town.registry.commit_part(part).await;
                assert!(matches!(twice, Err(RegistryError::Conflict(refusal)) if refusal.code == "batch.moved_meanwhile"));
                assert_eq!(town.registry.check_tables().await.unwrap().findings, [], "an order under way is sound");
            }
        }
        let counted = "SELECT COUNT(DISTINCT token) || ' ' || COUNT(DISTINCT ordinal) || ' ' || MIN(ordinal) || ' ' || MAX(ordinal) FROM plates";
        assert_eq!(ground.sql(counted), "100000 100000 1 100000");
        let crew = user(&town.staff("crew", Role::Crew).await);
        let issued = act(&town, PlateMove::Issued { crew }, WhichPlates::Batch(order.id)).await.unwrap();
        assert_eq!(issued.moved, PLATES);
        assert_eq!(ground.sql("SELECT COUNT(*) FROM history"), "0", "blank plates are in nobody's file");
        assert_eq!(ground.sql("SELECT COUNT(*) FROM plate_events WHERE state = 'issued' AND step = 1"), "100000");
        assert_eq!(town.registry.check_tables().await.unwrap().findings, []);
    }
}
