//! Log-in, lock-out, tokens.

use std::sync::atomic::Ordering;

use lidmark::domain::role::Role;
use lidmark::registry::{LogIn, NewUser, RegistryError};

use super::ground::{MONDAY, Town};
use crate::both_engines;

both_engines! {
    async fn wrong_passwords_lock_the_account_politely_and_time_opens_it(ground: Ground) {
        let town = Town::found(&ground).await;
        town.staff("wang", Role::Dispatcher).await;
        for _ in 0..4 {
            assert!(matches!(town.registry.log_in("wang", "wrong").await.unwrap(), LogIn::WrongCredentials));
        }
        assert!(matches!(town.registry.log_in("wang", "wrong").await.unwrap(), LogIn::LockedUntil(_)));
        assert!(matches!(town.registry.log_in("wang", "correct horse").await.unwrap(), LogIn::LockedUntil(_)));
        assert!(matches!(town.registry.log_in("nobody", "wrong").await.unwrap(), LogIn::WrongCredentials));
        town.clock.store(MONDAY + 301_000, Ordering::SeqCst);
        let LogIn::Welcome(session) = town.registry.log_in(" Wang ", "correct horse").await.unwrap() else {
            panic!("the lock should be over");
        };
        let found = town.registry.find_session(&session.secret).await.unwrap().unwrap();
        assert_eq!((found.user.login.as_str(), found.csrf == session.csrf), ("wang", true));
        town.registry.log_out(&session.secret).await.unwrap();
        assert!(town.registry.find_session(&session.secret).await.unwrap().is_none());
    }

    async fn a_disabled_user_is_out_at_once_with_session_and_token(ground: Ground) {
        let town = Town::found(&ground).await;
        town.staff("li", Role::Engineer).await;
        let LogIn::Welcome(session) = town.registry.log_in("li", "correct horse").await.unwrap() else { panic!() };
        let token = town.registry.add_api_token("li", "qgis").await.unwrap();
        assert_eq!(town.registry.find_api_token(&token).await.unwrap().unwrap().user.role, Role::Engineer);
        assert!(matches!(town.registry.add_api_token("li", "qgis").await, Err(RegistryError::Conflict(_))));
        town.registry.disable_user("li").await.unwrap();
        assert!(town.registry.find_session(&session.secret).await.unwrap().is_none());
        assert!(town.registry.find_api_token(&token).await.unwrap().is_none());
        assert!(matches!(town.registry.log_in("li", "correct horse").await.unwrap(), LogIn::WrongCredentials));
        assert!(matches!(town.registry.disable_user("nobody").await, Err(RegistryError::NotFound(_))));
        town.registry.revoke_api_token("qgis").await.unwrap();
        assert!(town.registry.list_api_tokens().await.unwrap()[0].revoked_at.is_some());
    }

    async fn people_without_what_their_role_needs_are_refused(ground: Ground) {
        let town = Town::found(&ground).await;
        let new = |login: &str, password: &str, role| NewUser {
            login: login.into(),
            name: "x".into(),
            role,
            party: None,
            password: password.into(),
        };
        for (user, code) in [
            (new("a b", "correct horse", Role::Admin), "user.login"),
            (new("ok", "short", Role::Admin), "user.password_short"),
            (new("ok", "correct horse", Role::Handler), "user.handler_needs_party"),
        ] {
            let refused = town.registry.add_user(user).await;
            assert!(matches!(refused, Err(RegistryError::Refused(refusal)) if refusal.code == code));
        }
        town.registry.add_user(new("ok", "correct horse", Role::Admin)).await.unwrap();
        let twice = town.registry.add_user(new("OK", "correct horse", Role::Admin)).await;
        assert!(matches!(twice, Err(RegistryError::Conflict(_))));
        assert_eq!(town.registry.list_users().await.unwrap().len(), 1);
    }
}
