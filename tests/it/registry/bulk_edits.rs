//! 批量修改: looked at, carried out, undone.

use lidmark::domain::cover::{CoverClass, CoverState, Material, Placement};
use lidmark::domain::edit::{BulkRowState, BulkState, CodeChoice, CoverEdit, PlatesGo, RetireReason};
use lidmark::domain::ids::IdempotencyKey;
use lidmark::domain::role::{Actor, Role};
use lidmark::registry::{BulkEdit, BulkOrder, BulkStep, CoverFilter, Fact, RegistryError, Retirement};

use super::editing::{done, material, order, refused, set};
use super::ground::{Town, candidate};
use super::structure::sibling;
use crate::both_engines;
use crate::support::engines::Ground;
use crate::support::server::Server;

pub fn bulk(filter: CoverFilter, edit: CoverEdit, actor: &Actor) -> BulkOrder {
    BulkOrder {
        key: IdempotencyKey::fresh(),
        filter,
        filter_text: "class=sewage".into(),
        edit,
        code: CodeChoice::ByScheme,
        reason: "换了养护单位".into(),
        actor: actor.clone(),
    }
}

impl Town {
    pub async fn apply(&self, edit: &BulkEdit, actor: &Actor) -> BulkEdit {
        self.registry.apply_bulk_edit(step(edit, actor)).await.unwrap();
        self.registry.carry_on_bulk_edit(edit.record.id).await.unwrap();
        self.registry.find_bulk_edit(edit.record.id).await.unwrap().unwrap()
    }

    pub async fn undo(&self, edit: &BulkEdit, actor: &Actor) -> BulkEdit {
        self.registry.undo_bulk_edit(step(edit, actor)).await.unwrap();
        self.registry.carry_on_bulk_edit(edit.record.id).await.unwrap();
        self.registry.find_bulk_edit(edit.record.id).await.unwrap().unwrap()
    }
}

pub fn step(edit: &BulkEdit, actor: &Actor) -> BulkStep {
    BulkStep {
        key: IdempotencyKey::fresh(),
        id: edit.record.id,
        expected_version: edit.record.version,
        actor: actor.clone(),
    }
}

both_engines! {
    async fn a_change_of_many_is_looked_at_carried_out_and_undone(ground: Ground) {
        let town = Town::found(&ground).await;
        let engineer = town.staff("ying", Role::Engineer).await;
        // More than one turn's worth.
        let rows = (0..450).map(|at| candidate(at, if at % 3 == 0 { CoverClass::Storm } else { CoverClass::Sewage }));
        town.import(rows.collect()).await;
        let sewage = CoverFilter { class: Some(CoverClass::Sewage), ..CoverFilter::default() };
        let edit = CoverEdit {
            maintainer: Some(Some(town.water)),
            material: Some(Some(Material::DuctileIron)),
            ..CoverEdit::default()
        };
        let feed = town.registry.last_change().await.unwrap();
        let asked = bulk(sewage.clone(), edit, &engineer);
        let seen = town.registry.preview_bulk_edit(asked.clone()).await.unwrap();
        assert_eq!((seen.record.state, seen.record.matched, seen.record.unchanged), (BulkState::Previewed, 300, 0));
        assert_eq!(seen.count(BulkRowState::Waiting), 300);
        assert_eq!(town.registry.preview_bulk_edit(asked).await.unwrap(), seen, "the same call again");
        assert_eq!(town.registry.last_change().await.unwrap(), feed, "looking changes nothing");
        let lines = town.registry.list_bulk_lines(seen.record.id, &[BulkRowState::Waiting], None, 20).await.unwrap();
        assert_eq!(lines.len(), 20);
        assert_eq!(lines[0].fields["maintainer"], serde_json::json!([null, "东营水务"]));

        let applied = town.apply(&seen, &engineer).await;
        assert_eq!((applied.record.state, applied.count(BulkRowState::Applied)), (BulkState::Applied, 300));
        let sample = town.cover("3705020102000001").await;
        assert_eq!((sample.survey.material, sample.maintainer.unwrap().id), (Some(Material::DuctileIron), town.water));
        assert_eq!(town.cover("3705020103000001").await.survey.material, None, "others are left alone");
        let changes = town.registry.changes_since(feed, 1000).await.unwrap();
        assert_eq!(changes.len(), 300);
        let again = town.registry.preview_bulk_edit(bulk(sewage, material(Material::DuctileIron), &engineer)).await.unwrap();
        assert_eq!((again.record.matched, again.record.unchanged), (300, 300));

        // Somebody changes three of them; an undo leaves those alone and says who.
        let bo = town.staff("bo", Role::Engineer).await;
        for at in 1..=3 {
            let file = town.cover(&format!("3705020102{at:06}")).await;
            let broken = CoverEdit { state: Some(CoverState::Broken), ..CoverEdit::default() };
            done(town.registry.edit_cover(order(&file, &bo, set(broken))).await);
        }
        let undone = town.undo(&applied, &engineer).await;
        assert_eq!((undone.record.state, undone.count(BulkRowState::Undone), undone.count(BulkRowState::Kept)), (BulkState::Undone, 297, 3));
        let kept = town.registry.list_bulk_lines(seen.record.id, &[BulkRowState::Kept], None, 20).await.unwrap();
        let refusal = kept[0].refusal.clone().unwrap();
        assert_eq!(refusal.code, "bulk.changed_since");
        assert!(refusal.params.contains(&("by".into(), bo.word())), "{refusal:?}");
        assert!(refusal.params.contains(&("fields".into(), "state".into())), "{refusal:?}");
        assert_eq!(town.cover("3705020102000001").await.survey.material, Some(Material::DuctileIron));
        let back = town.cover("3705020102000004").await;
        assert_eq!((back.survey.material, back.maintainer, back.version), (None, None, 3));
        town.assert_sound().await;
    }

    async fn covers_changed_since_the_look_and_those_that_cannot_be_are_named(ground: Ground) {
        let town = Town::found(&ground).await;
        let engineer = town.staff("ying", Role::Engineer).await;
        let files = town.street(5).await;
        let combined = CoverEdit { class: Some(CoverClass::Combined), ..CoverEdit::default() };
        let seen = town.registry.preview_bulk_edit(bulk(CoverFilter::default(), combined, &engineer)).await.unwrap();
        assert_eq!((seen.count(BulkRowState::Refused), seen.count(BulkRowState::Waiting)), (5, 0));
        let lines = town.registry.list_bulk_lines(seen.record.id, &[BulkRowState::Refused], None, 9).await.unwrap();
        assert_eq!(lines[0].refusal.as_ref().unwrap().code, "code.class");

        let storm = CoverEdit { class: Some(CoverClass::Storm), ..CoverEdit::default() };
        let seen = town.registry.preview_bulk_edit(bulk(CoverFilter::default(), storm, &engineer)).await.unwrap();
        done(town.registry.edit_cover(order(&files[1], &engineer, set(material(Material::Steel)))).await);
        let gone = Retirement { reason: RetireReason::Removed, successor: None, plates: PlatesGo::Withdrawn };
        done(town.registry.retire_cover(order(&files[2], &engineer, gone)).await);
        let applied = town.apply(&seen, &engineer).await;
        assert_eq!((applied.count(BulkRowState::Applied), applied.count(BulkRowState::Refused)), (3, 2));
        assert_eq!(town.now(&files[1]).await.survey.class, CoverClass::Sewage);
        // With the class came a code; with the undo comes the old one back.
        assert_eq!(town.now(&files[0]).await.code.digits, "3705020103000001");
        let undone = town.undo(&applied, &engineer).await;
        assert_eq!(undone.count(BulkRowState::Undone), 3);
        let back = town.now(&files[0]).await;
        assert_eq!((&back.code, back.survey.class), (&files[0].code, CoverClass::Sewage));
        assert_eq!(town.cover("3705020103000001").await.cover, files[0].cover, "a code once given finds its cover for ever");
        town.assert_sound().await;
    }

    async fn covers_of_one_manhole_do_not_stand_in_each_others_way(ground: Ground) {
        let town = Town::found(&ground).await;
        let engineer = town.staff("ying", Role::Engineer).await;
        let files = town.street(1).await;
        let second = done(town.registry.add_cover(order(&files[0], &engineer, sibling(CoverClass::Sewage))).await);
        let edit = CoverEdit {
            road: Some(Some("西二路".into())),
            placement: Some(Some(Placement::Footway)),
            material: Some(Some(Material::Steel)),
            ..CoverEdit::default()
        };
        let seen = town.registry.preview_bulk_edit(bulk(CoverFilter::default(), edit, &engineer)).await.unwrap();
        let applied = town.apply(&seen, &engineer).await;
        assert_eq!(applied.count(BulkRowState::Applied), 2);
        assert_eq!(town.now(&second).await.survey.road.as_deref(), Some("西二路"));
        let undone = town.undo(&applied, &engineer).await;
        assert_eq!((undone.count(BulkRowState::Undone), undone.count(BulkRowState::Kept)), (2, 0));
        let back = town.now(&second).await;
        assert_eq!((back.survey.road.as_deref(), back.survey.placement, back.survey.material), (Some("黄河路"), None, Some(Material::DuctileIron)));
        town.assert_sound().await;
    }

    async fn a_change_that_was_broken_off_goes_on_and_who_comes_too_late_is_told(ground: Ground) {
        let town = Town::found(&ground).await;
        let engineer = town.staff("ying", Role::Engineer).await;
        town.street(3).await;
        let order = bulk(CoverFilter::default(), material(Material::Steel), &engineer);
        let nameless = BulkOrder { reason: " ".into(), ..order.clone() };
        assert_eq!(refused(town.registry.preview_bulk_edit(nameless).await), "form.missing");
        let empty = BulkOrder { edit: CoverEdit::default(), ..order.clone() };
        assert_eq!(refused(town.registry.preview_bulk_edit(empty).await), "edit.empty");
        let seen = town.registry.preview_bulk_edit(order).await.unwrap();
        assert_eq!(refused(town.registry.undo_bulk_edit(step(&seen, &engineer)).await), "bulk.not_now");
        let begun = town.registry.apply_bulk_edit(step(&seen, &engineer)).await.unwrap();
        assert_eq!(begun.record.state, BulkState::Applying);
        assert_eq!(refused(town.registry.apply_bulk_edit(step(&seen, &engineer)).await), "bulk.moved_meanwhile");
        // The power goes here. After it, the server finds what was left.
        assert_eq!(town.registry.list_unfinished_bulk_edits().await.unwrap(), [seen.record.id]);
        let (one, two) = tokio::join!(
            town.registry.carry_on_bulk_edit(seen.record.id),
            town.registry.carry_on_bulk_edit(seen.record.id)
        );
        one.unwrap();
        two.unwrap();
        let applied = town.registry.find_bulk_edit(seen.record.id).await.unwrap().unwrap();
        assert_eq!((applied.record.state, applied.count(BulkRowState::Applied)), (BulkState::Applied, 3));
        assert_eq!(town.cover("3705020102000001").await.version, 2, "each cover once");
        assert_eq!(town.registry.list_bulk_edits(None, 10).await.unwrap()[0].id, seen.record.id);
        let unknown = BulkStep { id: lidmark::domain::ids::BulkEditId::fresh(), ..step(&seen, &engineer) };
        assert!(matches!(town.registry.undo_bulk_edit(unknown).await, Err(RegistryError::NotFound(_))));
        town.assert_sound().await;
    }

    async fn lists_narrow_by_what_is_known_and_by_what_is_not(ground: Ground) {
        let town = Town::found(&ground).await;
        let engineer = town.staff("ying", Role::Engineer).await;
        let files = town.street(4).await;
        done(town.registry.edit_cover(order(&files[0], &engineer, set(material(Material::Steel)))).await);
        let count = async |filter: CoverFilter| {
            let found = town.registry.list_covers(CoverFilter { limit: 50, ..filter }).await.unwrap();
            found.len()
        };
        let with = |material| CoverFilter { material: Some(material), ..CoverFilter::default() };
        assert_eq!(count(with(Fact::Is(Material::Steel))).await, 1);
        assert_eq!(count(with(Fact::Unknown)).await, 3);
        let owner = |owner| CoverFilter { owner: Some(owner), ..CoverFilter::default() };
        assert_eq!((count(owner(Fact::Is(town.water))).await, count(owner(Fact::Unknown)).await), (4, 0));
        for (text, found) in [("370502 01 02", 4), ("3705020102000003", 1), ("黄河", 4), ("黄_", 0), ("002", 1), ("nobody", 0), ("100%", 0)] {
            assert_eq!(count(CoverFilter { text: Some(text.into()), ..CoverFilter::default() }).await, found, "{text}");
        }
    }

    async fn what_a_column_that_nobody_named_says_is_found_however_it_is_written(ground: Ground) {
        let town = Town::found(&ground).await;
        let mut row = candidate(0, CoverClass::Sewage);
        row.survey.extra.insert("Remark".into(), "near the \"Old Mill\"\\Gate".into());
        row.survey.road = Some("Mill Lane".into());
        town.import(vec![row, candidate(1, CoverClass::Sewage)]).await;
        for (text, found) in [("old mill", 1), ("\"Old", 1), ("Mill\"\\gate", 1), ("MILL LANE", 1), ("remark", 1), ("new mill", 0)] {
            let filter = CoverFilter { text: Some(text.into()), limit: 50, ..CoverFilter::default() };
            assert_eq!(town.registry.list_covers(filter).await.unwrap().len(), found, "{text}");
        }
    }
}

/// After a power cut a server ends what was begun before it.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_server_that_starts_ends_what_was_begun() {
    let ground = Ground::sqlite().unwrap();
    let town = Town::found(&ground).await;
    let engineer = town.staff("ying", Role::Engineer).await;
    let secret = town.registry.add_api_token("ying", "bulk").await.unwrap();
    town.street(3).await;
    let order = bulk(CoverFilter::default(), material(Material::Steel), &engineer);
    let seen = town.registry.preview_bulk_edit(order).await.unwrap();
    town.registry.apply_bulk_edit(step(&seen, &engineer)).await.unwrap();
    town.registry.close().await;
    let server = Server::start(ground.home()).await;
    let url = server.url(&format!("/api/v1/bulk-edits/{}", seen.record.id));
    let client = reqwest::Client::new();
    for _ in 0..500 {
        let answer = client.get(&url).bearer_auth(&secret).send().await.unwrap();
        let edit: serde_json::Value = answer.json().await.unwrap();
        if edit["state"] == "applied" {
            assert_eq!(edit["counts"]["applied"], 3);
            return;
        }
        tokio::time::sleep(std::time::Duration::from_millis(20)).await;
    }
    panic!("nobody carried it on:\n{}", server.log());
}
