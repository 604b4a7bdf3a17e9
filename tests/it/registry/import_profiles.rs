//! 导入方案: a profile is saved in versions that never change.

use std::sync::Arc;

use lidmark::domain::import_profile::{ProfileName, ProfileRef};
use lidmark::domain::role::Actor;
use lidmark::import::{Format, find_built_in};
use lidmark::intake::{self, FileAt, Prepared, Wish};
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

both_engines! {
    async fn a_killed_import_goes_on_with_the_version_it_began_with(ground: Ground) {
        let town = Town::found(&ground).await;
        let (registry, home) = (&town.registry, ground.home());
        let folder = home.folder();
        // Where the files lie; the registry of PostgreSQL has not made it.
        std::fs::create_dir_all(folder).unwrap();
        let city = Arc::new(intake::city_of(Some(registry), folder, "component-16", 480).await.unwrap());
        let save = async |source: &str| {
            let text = format!("source = \"{source}\"\n{}", find_built_in("census-zh").unwrap().text);
            let order = ProfileOrder { name: "survey".parse().unwrap(), text, why: String::new() };
            intake::save_profile(registry, &city, order, &Actor::System).await.unwrap()
        };
        let file = |name: &str, key: &str| {
            let path = folder.join(name);
            let text = format!("普查编号,区划代码,井盖类别,经度,纬度\n{key},370502,污水井盖,118.61,37.46\n");
            std::fs::write(&path, text).unwrap();
            FileAt { format: Format::of_file(&path, name).unwrap(), name: name.into(), path }
        };
        let wish = Wish { city_scheme: "component-16".into(), match_radius_m: 1.0, ..Wish::default() };
        let prepare = async |files: &[FileAt]| -> Prepared {
            let by_name = ("survey", registry.schemes());
            intake::prepare_by_name(Some(registry), &city, by_name, &wish, files, &Actor::System).await.unwrap()
        };
        let begin = async |prepared: &Prepared, files: &[FileAt]| {
            let file = prepared.census_file(files).await.unwrap();
            let options = ImportOptions { mode: ImportMode::Write, file, ..prepared.options.clone() };
            registry.begin_import(options).await.unwrap()
        };
        let (census, other) = ([file("census.csv", "A1")], [file("other.csv", "B1")]);
        save("a").await;
        let killed = begin(&prepare(&census).await, &census).await;
        let number = killed.number();
        drop(killed);

        assert_eq!(save("b").await.profile().version, 2);
        assert_eq!(prepare(&other).await.looks[0].profile.version, 2, "another file is read by the newest");
        let again = prepare(&census).await;
        assert_eq!((again.looks[0].profile.version, again.options.source.as_str()), (1, "a"));
        let mut run = begin(&again, &census).await;
        assert_eq!(run.number(), number);
        intake::take_file(&mut run, &again.reading, census[0].open(), |_| {}, |_| {}).await.unwrap();
        assert_eq!(run.finish().await.unwrap().created, 1);
        assert_eq!(registry.find_import(number.unwrap()).await.unwrap().profile_version, 1);
        assert_eq!(prepare(&census).await.looks[0].profile.version, 2, "what is done is done");
    }
}
