//! 导入方案: a profile is saved in versions that never change.

use lidmark::domain::import_profile::{ProfileName, ProfileRef};
use lidmark::domain::role::Actor;
use lidmark::registry::{CensusFile, ImportMode, ImportOptions, ProfileOrder, ProfileSaved, RegistryError};

use super::ground::Town;
use crate::both_engines;

fn order(text: &str) -> ProfileOrder {
    ProfileOrder { name: "东营 普查".parse().unwrap(), text: text.into(), why: " 新表头 ".into() }
}

both_engines! {
    async fn a_profile_is_saved_in_versions_that_never_change(ground: Ground) {
        let registry = Town::found(&ground).await.registry;
        let name: ProfileName = "东营 普查".parse().unwrap();
        let wanted = |version| ProfileRef { name: "东营 普查".parse().unwrap(), version };
        let first = registry.save_profile(order("a = 1"), &Actor::System).await.unwrap();
        let ProfileSaved::New(first) = first else { panic!("{first:?}") };
        assert_eq!((first.version, first.why.as_str(), first.actor.as_str()), (1, "新表头", "system"));
        let same = registry.save_profile(order("a = 1"), &Actor::System).await.unwrap();
        assert_eq!(same, ProfileSaved::Same(first.clone()));
        let second = registry.save_profile(order("a = 2"), &Actor::System).await.unwrap();
        assert_eq!(second.profile().version, 2);
        assert_eq!(registry.find_profile(&wanted(None)).await.unwrap().text, "a = 2");
        assert_eq!(registry.find_profile(&wanted(Some(1))).await.unwrap(), first);
        assert!(matches!(registry.find_profile(&wanted(Some(3))).await, Err(RegistryError::NotFound(_))));

        registry.remove_profile(&name).await.unwrap();
        assert!(matches!(registry.remove_profile(&name).await, Err(RegistryError::NotFound(_))));
        assert!(registry.list_profiles().await.unwrap().is_empty());
        assert!(matches!(registry.find_profile(&wanted(None)).await, Err(RegistryError::NotFound(_))));
        assert_eq!(registry.find_profile(&wanted(Some(1))).await.unwrap().text, "a = 1");
        let again = registry.save_profile(order("a = 2"), &Actor::System).await.unwrap();
        assert_eq!(again.profile().version, 3);
        assert_eq!(registry.list_profiles().await.unwrap(), [again.profile().clone()]);
        assert_eq!(registry.list_profile_versions(&name).await.unwrap().len(), 3);
    }
}

both_engines! {
    async fn a_run_that_was_killed_names_the_version_it_began_with(ground: Ground) {
        let town = Town::found(&ground).await;
        let name: ProfileName = "census".parse().unwrap();
        assert!(town.registry.list_versions_begun(&name).await.unwrap().is_empty());
        let file = CensusFile {
            name: "census.csv".into(),
            profile: "census".into(),
            profile_version: 4,
            fingerprint: Some([9; 32]),
        };
        let run = town.registry.begin_import(ImportOptions { file, ..town.options(ImportMode::Write) }).await.unwrap();
        assert_eq!(town.registry.list_versions_begun(&name).await.unwrap(), [4]);
        assert!(town.registry.is_unfinished(&[9; 32]).await.unwrap());
        let number = run.number().unwrap();
        assert_eq!(town.registry.find_import(number).await.unwrap().profile_version, 4);
        run.finish().await.unwrap();
        assert!(town.registry.list_versions_begun(&name).await.unwrap().is_empty());
        assert!(!town.registry.is_unfinished(&[9; 32]).await.unwrap());
    }
}
