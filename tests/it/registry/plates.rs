//! 铭牌: every token ever made resolves for ever.

use lidmark::domain::cover::CoverClass;
use lidmark::domain::plate::PlateState;
use lidmark::domain::role::Actor;
use lidmark::domain::token::Token;
use lidmark::registry::{NewBatch, RegistryError};
use rand::SeedableRng;

use super::ground::{Town, batch, candidate, plate};
use crate::both_engines;

both_engines! {
    async fn a_blank_plate_is_bound_in_the_field_and_replaces_the_old_one(ground: Ground) {
        let town = Town::found(&ground).await;
        let old = town.plated(1).await[0];
        let code = town.registry.find_plate(old).await.unwrap().unwrap().cover.unwrap().code;
        let mut random = rand::rngs::SmallRng::seed_from_u64(5);
        let blank = Token::draw(&mut random);
        let order = batch(1);
        let plates = vec![plate(&order, 1, blank)];
        town.registry.commit_batch(NewBatch { batch: order.clone(), plates }).await.unwrap();
        assert_eq!(town.registry.find_plate(blank).await.unwrap().unwrap().cover, None);
        let fitted = town.registry.install_plate(blank, &code.digits, &Actor::System).await.unwrap();
        assert_eq!(fitted.plate.state, PlateState::Installed);
        assert_eq!(town.registry.install_plate(blank, &code.digits, &Actor::System).await.unwrap(), fitted);
        let withdrawn = town.registry.find_plate(old).await.unwrap().unwrap();
        assert_eq!((withdrawn.plate.state, withdrawn.plate.successor), (PlateState::Replaced, Some(blank)));
        let refused = town.registry.install_plate(old, &code.digits, &Actor::System).await;
        assert!(matches!(refused, Err(RegistryError::Conflict(refusal)) if refusal.code == "plate.step"));
        town.registry.revoke_plate(blank, "cover scrapped", &Actor::System).await.unwrap();
        assert_eq!(town.registry.find_plate(blank).await.unwrap().unwrap().plate.state, PlateState::Revoked);
        let life = town.registry.list_plate_events(blank).await.unwrap();
        let states: Vec<_> = life.iter().map(|event| (event.step, event.state)).collect();
        assert_eq!(states, [(1, PlateState::Installed), (2, PlateState::Revoked)]);
        assert_eq!(life[1].reason.as_deref(), Some("cover scrapped"));
        assert_eq!(town.registry.count_plates().await.unwrap(), [("replaced".into(), 1), ("revoked".into(), 1)]);
        assert_eq!(town.registry.check_tables().await.unwrap().findings, []);
    }

    async fn a_batch_is_all_or_nothing(ground: Ground) {
        let town = Town::found(&ground).await;
        town.import(vec![candidate(1, CoverClass::Sewage)]).await;
        let mut random = rand::rngs::SmallRng::seed_from_u64(6);
        let first = batch(2);
        let plates: Vec<_> = (1..=2).map(|at| plate(&first, at, Token::draw(&mut random))).collect();
        let taken = plates[1].token;
        town.registry.commit_batch(NewBatch { batch: first.clone(), plates }).await.unwrap();
        let second = batch(3);
        let mut plates: Vec<_> = (1..=3).map(|at| plate(&second, at, Token::draw(&mut random))).collect();
        plates[2].token = taken;
        let refused = town.registry.commit_batch(NewBatch { batch: second.clone(), plates }).await;
        assert!(matches!(refused, Err(RegistryError::Conflict(_))));
        assert_eq!(town.registry.list_batches().await.unwrap(), std::slice::from_ref(&first));
        assert_eq!(town.registry.find_batch(second.id).await.unwrap(), None);
        let ledger = town.registry.list_batch_plates(first.id, 0, 10).await.unwrap();
        assert_eq!(ledger.iter().map(|plate| plate.ordinal).collect::<Vec<_>>(), [1, 2]);
    }

    async fn a_plate_of_another_cover_is_refused_by_name(ground: Ground) {
        let town = Town::found(&ground).await;
        let tokens = town.plated(2).await;
        let code = town.registry.find_plate(tokens[1]).await.unwrap().unwrap().cover.unwrap().code;
        let refused = town.registry.install_plate(tokens[0], &code.digits, &Actor::System).await;
        assert!(matches!(refused, Err(RegistryError::Conflict(refusal)) if refusal.code == "plate.bound_elsewhere"));
        let refused = town.registry.install_plate(tokens[0], "nonsense", &Actor::System).await;
        assert!(matches!(refused, Err(RegistryError::NotFound(refusal)) if refusal.code == "cover.unknown"));
    }
}
