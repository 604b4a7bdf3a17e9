//! One cover changed by hand: fields, positions, codes, and what happens when two do so at once.

use lidmark::domain::cover::{CoverClass, CoverFile, CoverState, Material};
use lidmark::domain::edit::{CodeChoice, CoverEdit};
use lidmark::domain::history::HistoryKind;
use lidmark::domain::ids::IdempotencyKey;
use lidmark::domain::position::RawPosition;
use lidmark::domain::role::{Actor, Role};
use lidmark::registry::{Amended, CodeEdit, CoverOrder, FieldEdit, Meanwhile, RegistryError};

use super::ground::{Town, candidate};
use crate::both_engines;

/// An order about a cover as it is now.
pub fn order<T>(file: &CoverFile, actor: &Actor, what: T) -> CoverOrder<T> {
    CoverOrder {
        key: IdempotencyKey::fresh(),
        code: file.code.digits.clone(),
        expected_version: file.version,
        reason: "为了测试".into(),
        actor: actor.clone(),
        what,
    }
}

pub fn set(edit: CoverEdit) -> FieldEdit {
    FieldEdit { edit, code: CodeChoice::ByScheme }
}

pub fn done(outcome: Result<Amended, RegistryError>) -> CoverFile {
    match outcome {
        Ok(Amended::Done(file)) => *file,
        other => panic!("{other:?}"),
    }
}

pub fn too_late(outcome: Result<Amended, RegistryError>) -> Meanwhile {
    match outcome {
        Ok(Amended::Meanwhile(meanwhile)) => *meanwhile,
        other => panic!("{other:?}"),
    }
}

/// The stable code of a refusal.
pub fn refused<T: std::fmt::Debug>(outcome: Result<T, RegistryError>) -> &'static str {
    match outcome {
        Err(
            RegistryError::Refused(refusal)
            | RegistryError::Conflict(refusal)
            | RegistryError::NotFound(refusal),
        ) => refusal.code,
        other => panic!("{other:?}"),
    }
}

impl Town {
    /// Covers along the street without plates.
    pub async fn street(&self, count: u64) -> Vec<CoverFile> {
        self.import((0..count).map(|at| candidate(at, CoverClass::Sewage)).collect()).await;
        let mut files = Vec::new();
        for at in 1..=count {
            files.push(self.cover(&format!("3705020102{at:06}")).await);
        }
        files
    }

    pub async fn cover(&self, code: &str) -> CoverFile {
        self.registry.find_cover_by_code(code).await.unwrap().unwrap()
    }

    /// The cover as it is now.
    pub async fn now(&self, file: &CoverFile) -> CoverFile {
        self.registry.find_cover(file.cover).await.unwrap().unwrap()
    }

    pub async fn assert_sound(&self) {
        assert_eq!(self.registry.check_tables().await.unwrap().findings, []);
    }

    pub async fn kinds(&self, file: &CoverFile) -> Vec<HistoryKind> {
        let entries = self.registry.list_history(self.now(file).await.manhole).await.unwrap();
        entries.into_iter().map(|entry| entry.kind).collect()
    }
}

pub fn material(material: Material) -> CoverEdit {
    CoverEdit { material: Some(Some(material)), ..CoverEdit::default() }
}

both_engines! {
    async fn an_edit_is_in_the_file_with_what_was_before_and_after_and_why(ground: Ground) {
        let town = Town::found(&ground).await;
        let engineer = town.staff("ying", Role::Engineer).await;
        let file = town.street(1).await.remove(0);
        let feed = town.registry.last_change().await.unwrap();
        let edit = CoverEdit {
            state: Some(CoverState::Broken),
            material: Some(Some(Material::Composite)),
            owner: Some(None),
            road: Some(Some("  西二路 ".into())),
            extra: [("编号".to_owned(), None), ("井深".to_owned(), Some("2.4".to_owned()))].into(),
            ..CoverEdit::default()
        };
        let asked = order(&file, &engineer, set(edit));
        let after = done(town.registry.edit_cover(asked.clone()).await);
        assert_eq!((after.version, after.survey.state), (2, CoverState::Broken));
        assert_eq!((after.survey.material, after.owner.clone()), (Some(Material::Composite), None));
        assert_eq!(after.survey.road.as_deref(), Some("西二路"));
        assert_eq!(after.survey.extra, [("井深".to_owned(), "2.4".to_owned())].into());
        let history = town.registry.list_history(file.manhole).await.unwrap();
        let entry = history.last().unwrap();
        assert_eq!(entry.kind, HistoryKind::Updated);
        assert_eq!(entry.actor, engineer.word());
        for part in ["\"state\":[\"intact\",\"broken\"]", "\"owner\":[\"东营水务\",null]", "\"extra.编号\":[\"000\",null]", "为了测试"] {
            assert!(entry.body.contains(part), "{part} in {}", entry.body);
        }
        let changes = town.registry.changes_since(feed, 100).await.unwrap();
        assert_eq!(changes.iter().map(|change| change.id).collect::<Vec<_>>(), [file.cover.0]);
        // The same call again after a lost answer; an edit that changes nothing; one that says nothing.
        assert_eq!(done(town.registry.edit_cover(asked).await), after);
        let same = order(&after, &engineer, set(material(Material::Composite)));
        assert_eq!(done(town.registry.edit_cover(same).await).version, 2);
        assert_eq!(refused(town.registry.edit_cover(order(&after, &engineer, set(CoverEdit::default()))).await), "edit.empty");
        let nowhere = CoverEdit { district: Some("999999".into()), ..CoverEdit::default() };
        assert_eq!(refused(town.registry.edit_cover(order(&after, &engineer, set(nowhere))).await), "district.unknown");
        assert_eq!(town.kinds(&file).await, [HistoryKind::Created, HistoryKind::Updated]);
        town.assert_sound().await;
    }

    async fn who_is_too_late_hears_which_fields_changed_and_by_whom(ground: Ground) {
        let town = Town::found(&ground).await;
        let (ying, bo) = (town.staff("ying", Role::Engineer).await, town.staff("bo", Role::Engineer).await);
        let file = town.street(1).await.remove(0);
        done(town.registry.edit_cover(order(&file, &bo, set(material(Material::CastIron)))).await);
        let after = town.now(&file).await;
        done(town.registry.edit_cover(order(&after, &ying, set(material(Material::Steel)))).await);
        let road = CoverEdit { road: Some(None), ..CoverEdit::default() };
        let after = town.now(&file).await;
        done(town.registry.edit_cover(order(&after, &bo, set(road))).await);

        let late = order(&file, &ying, set(material(Material::Concrete)));
        let meanwhile = too_late(town.registry.edit_cover(late.clone()).await);
        assert_eq!(meanwhile.now.version, 4);
        let told: Vec<_> = meanwhile
            .changes
            .iter()
            .map(|change| (change.field.as_str(), change.before.clone(), change.after.clone(), change.actor.clone()))
            .collect();
        assert_eq!(
            told,
            [
                ("material", serde_json::Value::Null, "steel".into(), ying.word()),
                ("road", "黄河路".into(), serde_json::Value::Null, bo.word()),
            ]
        );
        // Nothing was written; having seen it, the same call under the same key goes through.
        assert_eq!(town.now(&file).await.version, 4);
        let again = CoverOrder { expected_version: 4, ..late };
        assert_eq!(done(town.registry.edit_cover(again).await).survey.material, Some(Material::Concrete));
        // Of two at the same time, one goes through.
        let now = town.now(&file).await;
        let (one, two) = tokio::join!(
            town.registry.edit_cover(order(&now, &ying, set(material(Material::Steel)))),
            town.registry.edit_cover(order(&now, &bo, set(material(Material::Polymer)))),
        );
        let through = [one.unwrap(), two.unwrap()];
        assert_eq!(through.iter().filter(|outcome| matches!(outcome, Amended::Done(_))).count(), 1);
        town.assert_sound().await;
    }

    async fn a_better_position_gives_way_to_a_worse_one_only_for_a_reason(ground: Ground) {
        let town = Town::found(&ground).await;
        let engineer = town.staff("ying", Role::Engineer).await;
        let file = town.street(1).await.remove(0);
        let mut position = file.survey.position.clone();
        position.lon += 0.00001;
        position.raw = RawPosition { x: 4_148_750.03, y: 39_640_676.165, epsg: 4527 };
        position.accuracy_m = Some(5.0);
        let edit = CoverEdit { position: Some(position.clone()), ..CoverEdit::default() };
        let silent = CoverOrder { reason: " ".into(), ..order(&file, &engineer, set(edit.clone())) };
        assert_eq!(refused(town.registry.edit_cover(silent).await), "position.worse");
        position.accuracy_m = Some(0.02);
        position.lon += 0.01;
        let far = CoverEdit { position: Some(position), ..CoverEdit::default() };
        let silent = CoverOrder { reason: String::new(), ..order(&file, &engineer, set(far)) };
        assert_eq!(refused(town.registry.edit_cover(silent).await), "position.far");
        let after = done(town.registry.edit_cover(order(&file, &engineer, set(edit.clone()))).await);
        assert_eq!(Some(after.survey.position), edit.position, "the surveyed numbers are kept as they are");
        let history = town.registry.list_history(file.manhole).await.unwrap();
        assert!(history[1].body.contains("4490") && history[1].body.contains("4527"), "{}", history[1].body);
        let points = town.registry.list_points(None, 10).await.unwrap();
        assert_eq!(points[0].quadkey, edit.position.unwrap().quadkey());
        town.assert_sound().await;
    }

    async fn a_class_that_changes_brings_a_new_code_and_the_old_one_still_finds_the_cover(ground: Ground) {
        let town = Town::found(&ground).await;
        let engineer = town.staff("ying", Role::Engineer).await;
        let files = town.street(2).await;
        let storm = || CoverEdit { class: Some(CoverClass::Storm), ..CoverEdit::default() };
        let after = done(town.registry.edit_cover(order(&files[0], &engineer, set(storm()))).await);
        assert_eq!(after.code.digits, "3705020103000001");
        assert_eq!(town.cover("370502 01 02 000001").await, after);
        assert_eq!(town.registry.list_former_codes(after.cover).await.unwrap(), [files[0].code.clone()]);
        // Somebody who knows better keeps it.
        let keep = FieldEdit { edit: storm(), code: CodeChoice::Keep };
        let kept = done(town.registry.edit_cover(order(&files[1], &engineer, keep)).await);
        assert_eq!((kept.survey.class, &kept.code), (CoverClass::Storm, &files[1].code));
        // A class that the scheme has no digits for.
        let combined = CoverEdit { class: Some(CoverClass::Combined), ..CoverEdit::default() };
        assert_eq!(refused(town.registry.edit_cover(order(&after, &engineer, set(combined))).await), "code.class");
        // Back again: its own former code, not one of somebody else's.
        let sewage = FieldEdit {
            edit: CoverEdit { class: Some(CoverClass::Sewage), ..CoverEdit::default() },
            code: CodeChoice::New,
        };
        let back = done(town.registry.edit_cover(order(&after, &engineer, sewage)).await);
        assert_eq!(back.code.digits, "3705020102000003");
        assert_eq!(town.registry.list_former_codes(after.cover).await.unwrap().len(), 2);
        town.assert_sound().await;
    }

    async fn a_code_is_changed_by_hand_and_never_given_to_another_cover(ground: Ground) {
        let town = Town::found(&ground).await;
        let engineer = town.staff("ying", Role::Engineer).await;
        let files = town.street(3).await;
        let typed = |code: &str| CodeEdit { code: Some(code.into()), scheme: None };
        let change = async |file: &CoverFile, what: CodeEdit| {
            town.registry.change_code(order(file, &engineer, what)).await
        };
        let after = done(change(&files[0], typed("370502-01-02-000900")).await);
        assert_eq!(after.code.digits, "3705020102000900");
        assert_eq!(town.cover("3705020102000001").await.cover, after.cover);
        for (code, why) in [
            ("3705020102000001", "code.taken"),
            ("3705020102000900", "code.taken"),
            ("3705020102000002", "code.same"),
            ("3705020103000007", "code.says_other"),
            ("3705030102000007", "code.says_other"),
            ("37050201", "code.length"),
            ("abc", "code.not_digits"),
        ] {
            assert_eq!(refused(change(&files[1], typed(code)).await), why, "{code}");
        }
        let unknown = CodeEdit { code: None, scheme: Some("nobody-7".into()) };
        assert_eq!(refused(change(&files[1], unknown).await), "scheme.unknown");
        // The sequence goes on behind the code that was typed, and the former code comes back to its owner.
        let numbered = done(change(&files[1], CodeEdit { code: None, scheme: None }).await);
        assert_eq!(numbered.code.digits, "3705020102000901");
        let back = done(change(&after, typed("3705020102000001")).await);
        assert_eq!(town.registry.list_former_codes(back.cover).await.unwrap()[0].digits, "3705020102000900");
        assert_eq!(town.cover("3705020102000900").await.code.digits, "3705020102000001");
        // A census that brings a former code is told.
        let mut thief = candidate(9, CoverClass::Sewage);
        thief.code = Some(back.code.clone());
        thief.code.as_mut().unwrap().digits = "3705020102000900".into();
        let outcomes = town.import(vec![thief]).await;
        assert!(matches!(&outcomes[0], lidmark::registry::Outcome::Problem(refusal) if refusal.code == "code.taken"));
        let nameless = CoverOrder { reason: String::new(), ..order(&files[2], &engineer, typed("3705020102000950")) };
        assert_eq!(refused(town.registry.change_code(nameless).await), "form.missing");
        town.assert_sound().await;
    }

    async fn a_census_does_not_write_over_an_edit_that_it_has_not_seen(ground: Ground) {
        let town = Town::found(&ground).await;
        let engineer = town.staff("ying", Role::Engineer).await;
        let file = town.street(1).await.remove(0);
        let mut run = town.registry.begin_import(town.options(lidmark::registry::ImportMode::Write)).await.unwrap();
        run.begin_file();
        let mut row = candidate(0, CoverClass::Sewage);
        row.survey.state = CoverState::Broken;
        let prepared = run.prepare(vec![row], 0).await.unwrap();
        done(town.registry.edit_cover(order(&file, &engineer, set(material(Material::Steel)))).await);
        run.begin_write(prepared);
        run.settle().await.unwrap();
        let after = town.now(&file).await;
        assert_eq!((after.survey.state, after.survey.material), (CoverState::Broken, Some(Material::Steel)));
        assert_eq!(after.version, 3);
        let since = town.registry.find_meanwhile(file.cover, 2).await.unwrap();
        assert_eq!(since.changes.len(), 1);
        assert_eq!((since.changes[0].field.as_str(), since.changes[0].actor.as_str()), ("state", "system"));
        town.assert_sound().await;
    }
}
