//! Whole files from one registry into another, whatever its engine: the same codes, tokens and histories.

use std::collections::{BTreeMap, BTreeSet};
use std::io::{Read, Write};
use std::path::{Path, PathBuf};
use std::sync::atomic::Ordering;

use lidmark::domain::archive::{LEFT_BEHIND, TABLES};
use lidmark::domain::case::{CaseMove, MoveRequest};
use lidmark::domain::cover::{CoverClass, Material};
use lidmark::domain::edit::{MergeKind, PlatesGo, RetireReason};
use lidmark::domain::hazard::Hazard;
use lidmark::domain::history::HistoryKind;
use lidmark::domain::ids::IdempotencyKey;
use lidmark::domain::role::{Actor, Role};
use lidmark::outlet::{OutletError, TakenIn, export_archive, import_archive, open_archive};
use lidmark::photos::{PhotoLimits, PhotoStore};
use lidmark::registry::{
    Amended, AttachedPhoto, Clock, CodeEdit, CoverFilter, LogIn, MoveOrder, NewBatch, Outcome, Registry,
    RegistryError, RegistryOptions, Retirement, SplitOrder,
};
use serde_json::Value;

use crate::both_engines;
use crate::contract::house::jpeg;
use crate::registry::bulk_edits::{bulk, step};
use crate::registry::editing::{done, material, order};
use crate::registry::ground::{MONDAY, Town, batch, candidate, plate, report};
use crate::registry::structure::{merge, sibling};
use crate::support::engines::Ground;
use crate::support::server::run_command;

fn photos_of(ground: &Ground) -> PhotoStore {
    PhotoStore::new(ground.home().folder().join("photos"), PhotoLimits::default())
}

fn keep(store: &PhotoStore, shade: u8) -> AttachedPhoto {
    let stored = store.intake(&jpeg(shade)).unwrap();
    AttachedPhoto {
        digest: stored.digest.0,
        media_type: stored.media_type.as_str().into(),
        bytes: stored.bytes,
        width: stored.width,
        height: stored.height,
        look: stored.look,
    }
}

fn move_of(number: &str, made: CaseMove, actor: &Actor) -> MoveOrder {
    MoveOrder {
        pool: None,
        condition: None,
        position: None,
        before_photos: Vec::new(),
        key: IdempotencyKey::fresh(),
        number: number.into(),
        expected_version: None,
        made,
        request: MoveRequest::default(),
        target_number: None,
        photos: Vec::new(),
        actor: actor.clone(),
    }
}

/// A town with a bit of everything: plates that took over from others, blank ones, a case on its way with
/// photos, one that was joined, a code that a cover had before, extra columns, people.
async fn lived_in(ground: &Ground) -> Town {
    let town = Town::found(ground).await;
    let photos = photos_of(ground);
    let tokens = town.plated(4).await;
    let spare = batch(2);
    let mut random = <rand::rngs::SmallRng as rand::SeedableRng>::seed_from_u64(77);
    let blank: Vec<_> =
        (1..=2).map(|at| plate(&spare, at, lidmark::domain::token::Token::draw(&mut random))).collect();
    town.registry.commit_batch(NewBatch { batch: spare, plates: blank.clone() }).await.unwrap();
    let (dispatcher, handler) =
        (town.staff("desk", Role::Dispatcher).await, town.staff("handler", Role::Handler).await);

    let worn = town.registry.find_plate(tokens[0]).await.unwrap().unwrap();
    let code = worn.cover.unwrap().code.digits;
    town.registry.install_plate(blank[0].token, &code, &Actor::System).await.unwrap();
    town.registry.add_cover_photos(&code, vec![keep(&photos, 1)], &dispatcher).await.unwrap();
    let mut new = report(tokens[1], Hazard::Broken);
    (new.contact, new.photos) = (Some("13800000000".into()), vec![keep(&photos, 2)]);
    let number = town.registry.report_hazard(new).await.unwrap().case_number;
    town.registry.move_case(move_of(&number, CaseMove::File, &dispatcher)).await.unwrap();
    let mut dispatch = move_of(&number, CaseMove::Dispatch, &dispatcher);
    dispatch.request.party = Some(town.water);
    town.registry.move_case(dispatch).await.unwrap();
    town.registry.move_case(move_of(&number, CaseMove::Accept, &handler)).await.unwrap();
    let mut hand_in = move_of(&number, CaseMove::HandIn, &handler);
    hand_in.photos = vec![keep(&photos, 3)];
    town.registry.move_case(hand_in).await.unwrap();
    let twin = town.report(tokens[1], Hazard::Rocking).await.case_number;
    let mut join = move_of(&twin, CaseMove::Join, &dispatcher);
    join.target_number = Some(number);
    town.registry.move_case(join).await.unwrap();
    change_by_hand(&town).await;
    ground.sql(
        "INSERT INTO code_aliases (code, scheme, cover_id) SELECT '3705020102000999', scheme, id FROM covers
         WHERE code = '3705020102000002'",
    );
    ground.sql(
        "INSERT INTO areas (kind, code, name_zh, name_en, shape, updated_at) VALUES ('management', 'zone', '开发区',
         'Zone', '[[[[118.5,37.4],[118.7,37.4],[118.7,37.5],[118.5,37.4]]]]', 1)",
    );
    town
}

/// A merge that holds, a split, a cover that another one replaced, a changed code, a change of many.
async fn change_by_hand(town: &Town) {
    let engineer = town.staff("ying", Role::Engineer).await;
    town.import((20..24).map(|at| candidate(at, CoverClass::Storm)).collect()).await;
    let [one, other, third, fourth] = ["1", "2", "3", "4"].map(|end| format!("370502010300000{end}"));
    let registry = &town.registry;
    let (one, other) = (town.cover(&one).await, town.cover(&other).await);
    let merged = done(registry.merge_manholes(order(&one, &engineer, merge(&other, MergeKind::Both))).await);
    let beside = done(registry.add_cover(order(&merged, &engineer, sibling(CoverClass::Gas))).await);
    let split = SplitOrder { with: Vec::new(), position: None };
    done(registry.split_manhole(order(&beside, &engineer, split)).await);
    let third = town.cover(&third).await;
    let gone = Retirement {
        reason: RetireReason::Replaced,
        successor: Some(fourth.clone()),
        plates: PlatesGo::Withdrawn,
    };
    done(registry.retire_cover(order(&third, &engineer, gone)).await);
    let fourth = town.cover(&fourth).await;
    done(registry.change_code(order(&fourth, &engineer, CodeEdit { code: None, scheme: None })).await);
    let storm = CoverFilter { class: Some(CoverClass::Storm), ..CoverFilter::default() };
    let looked = registry.preview_bulk_edit(bulk(storm, material(Material::Steel), &engineer)).await.unwrap();
    town.apply(&looked, &engineer).await;
}

async fn export(registry: &Registry, ground: &Ground, file: &Path) {
    let out = std::fs::File::create(file).unwrap();
    let manifest = export_archive(registry, &photos_of(ground), out, |_, _| {}).await.unwrap();
    assert_eq!(manifest.missing_photos, Vec::<String>::new());
}

async fn open(ground: &Ground) -> Registry {
    let clock = Clock::Fixed(std::sync::Arc::new((MONDAY + 86_400_000).into()));
    Registry::open(&ground.database(), RegistryOptions { clock, ..RegistryOptions::default() }).await.unwrap()
}

async fn take(registry: &Registry, ground: &Ground, file: &Path, dry: bool) -> Result<TakenIn, OutletError> {
    import_archive(registry, &photos_of(ground), file, Actor::System, dry).await
}

/// The lines of every table, in no particular order, and the names of the photos.
fn contents(file: &Path) -> (BTreeMap<String, BTreeSet<String>>, BTreeSet<String>) {
    let mut zip = zip::ZipArchive::new(std::fs::File::open(file).unwrap()).unwrap();
    let (mut tables, mut photos) = (BTreeMap::new(), BTreeSet::new());
    for at in 0..zip.len() {
        let mut entry = zip.by_index(at).unwrap();
        let name = entry.name().unwrap().into_owned();
        if let Some(table) = name.strip_suffix(".jsonl") {
            let mut text = String::new();
            entry.read_to_string(&mut text).unwrap();
            tables.insert(table.to_owned(), text.lines().map(str::to_owned).collect());
        } else if name.starts_with("photos/") {
            photos.insert(name);
        }
    }
    (tables, photos)
}

fn refusal(error: OutletError) -> String {
    match error {
        OutletError::Registry(RegistryError::Refused(refusal) | RegistryError::Conflict(refusal))
        | OutletError::Export(lidmark::outlet::ExportError::Refused(refusal)) => refusal.code.to_owned(),
        other => panic!("{other:?}"),
    }
}

both_engines! {
    async fn files_move_into_another_registry_as_they_are(ground: Ground) {
        let source = Ground::sqlite().unwrap();
        let town = lived_in(&source).await;
        let desk = tempfile::tempdir().unwrap();
        let [first, second] = ["first.zip", "second.zip"].map(|name| desk.path().join(name));
        export(&town.registry, &source, &first).await;

        let there = open(&ground).await;
        let tried = take(&there, &ground, &first, true).await.unwrap();
        assert_eq!(there.counts().await.unwrap().covers, 0, "a trial leaves nothing");
        let taken = take(&there, &ground, &first, false).await.unwrap();
        assert_eq!(taken, tried);
        assert_eq!((taken.rows["covers"], taken.rows["plates"], taken.rows["cases"], taken.photos), (9, 6, 2, 3));
        assert_eq!(there.check_tables().await.unwrap().findings, []);
        export(&there, &ground, &second).await;

        // The same to the last digit, but for one more entry in each file.
        let ((before, photos), (mut after, photos_after)) = (contents(&first), contents(&second));
        assert_eq!(photos, photos_after);
        let mut arrived = 0;
        after.get_mut("history").unwrap().retain(|line| {
            let entry: Value = serde_json::from_str(line).unwrap();
            arrived += usize::from(entry["kind"] == "transferred");
            entry["kind"] != "transferred"
        });
        // The merged file has ended.
        assert_eq!((taken.rows["manholes"], arrived), (9, 8));
        let without_heads = |lines: &BTreeSet<String>| -> BTreeSet<String> {
            let line = |line: &String| {
                let mut manhole: Value = serde_json::from_str(line).unwrap();
                let fields = manhole.as_object_mut().unwrap();
                fields.retain(|name, _| !name.starts_with("history_"));
                manhole.to_string()
            };
            lines.iter().map(line).collect()
        };
        for (table, lines) in &before {
            if table == "manholes" {
                assert_eq!(without_heads(lines), without_heads(&after[table]));
            } else {
                assert_eq!(lines, &after[table], "{table}");
            }
        }
        assert_eq!(before.keys().collect::<Vec<_>>(), after.keys().collect::<Vec<_>>());

        // Life goes on: the plate leads to its cover, numbers continue, a former code still finds.
        let file = there.find_cover_by_code("3705020102000999").await.unwrap().unwrap();
        assert_eq!(file.code.digits, "3705020102000002");
        let entries = there.list_history(file.manhole).await.unwrap();
        let last = entries.last().unwrap();
        assert_eq!((last.kind, last.sequence), (HistoryKind::Transferred, entries.len() as i64));
        assert!(last.body.contains("\"source\":\"first.zip\""), "{}", last.body);
        let plates = there.list_cover_plates(file.cover).await.unwrap();
        let scanned = there.find_plate(plates[0].token).await.unwrap().unwrap();
        assert_eq!(scanned.cover.unwrap().code, file.code);
        let reported = there.report_hazard(report(plates[0].token, Hazard::Odour)).await.unwrap();
        assert_eq!((reported.case_number.as_str(), reported.tracking.as_str()), ("2026-000003", "R2026-000003"));
        let mut run = there.begin_import(town.options(lidmark::registry::ImportMode::Write)).await.unwrap();
        run.begin_file();
        let rows = run.take(vec![candidate(9, CoverClass::Sewage)]).await.unwrap();
        let Outcome::Created(cover) = rows[0].outcome else { panic!("{rows:?}") };
        let created = there.find_cover(cover).await.unwrap().unwrap();
        assert_eq!(created.code.digits, "3705020102000005");
        assert!(there.last_change().await.unwrap() >= 12, "the map hears of what came");

        // What was changed by hand can still be taken back.
        let merged = there.find_cover_by_code("3705020103000001").await.unwrap().unwrap();
        let earlier = there.list_earlier_files(merged.manhole).await.unwrap();
        let merge = earlier[0].merge.clone().unwrap();
        let engineer = town.staff("later", Role::Engineer).await;
        let undone = there.undo_merge(order(&merged, &engineer, merge.id)).await.unwrap();
        assert!(matches!(undone, Amended::Done(_)), "{undone:?}");
        let edits = there.list_bulk_edits(None, 10).await.unwrap();
        let edit = there.find_bulk_edit(edits[0].id).await.unwrap().unwrap();
        there.undo_bulk_edit(step(&edit, &engineer)).await.unwrap();
        there.carry_on_bulk_edit(edit.record.id).await.unwrap();
        let replaced = there.find_cover_by_code("3705020103000003").await.unwrap().unwrap();
        let (_, successor) = replaced.retired.unwrap().successor.unwrap();
        assert_eq!(there.find_cover_by_code(&successor.digits).await.unwrap().unwrap().code, successor);
        assert_eq!(there.list_imports(None, 10).await.unwrap().len(), 3);

        // People came without their passwords.
        assert!(matches!(there.log_in("desk", "correct horse").await.unwrap(), LogIn::WrongCredentials));
        there.set_password("desk", "battery staple").await.unwrap();
        assert!(matches!(there.log_in("desk", "battery staple").await.unwrap(), LogIn::Welcome(_)));
        let again = take(&there, &ground, &second, false).await.unwrap_err();
        assert_eq!(refusal(again), "archive.not_empty");
        assert_eq!(there.check_tables().await.unwrap().findings, []);
    }

    async fn an_archive_that_was_tampered_with_leaves_the_registry_empty(ground: Ground) {
        let source = Ground::sqlite().unwrap();
        let town = lived_in(&source).await;
        let desk = tempfile::tempdir().unwrap();
        let whole = desk.path().join("whole.zip");
        export(&town.registry, &source, &whole).await;
        let there = open(&ground).await;
        let spoil = |name: &str, change: &dyn Fn(&str, String) -> Option<String>| -> PathBuf {
            rewrite(&whole, &desk.path().join(name), change)
        };
        let replaced = |table: &'static str, from: &'static str, to: &'static str| {
            move |name: &str, text: String| {
                let changed = if name == format!("{table}.jsonl") { text.replacen(from, to, 1) } else { text };
                Some(changed)
            }
        };
        let in_manifest = |name: &str, text: String| {
            Some(if name == "lidmark.json" { text.replace("\"version\": 1", "\"version\": 9") } else { text })
        };
        let without = |left_out: &'static str| move |name: &str, text: String| (name != left_out).then_some(text);
        let changes: [(&dyn Fn(&str, String) -> Option<String>, &str); 9] = [
            (&replaced("history", "\"actor\":\"system\"", "\"actor\":\"nobody\""), "archive.broken"),
            (&replaced("manholes", "\"lon\":118.59,", "\"lon\":118.58,"), "archive.broken"),
            (&replaced("covers", "\"class\":\"sewage\"", "\"class\":\"swamp\""), "archive.line"),
            (&replaced("covers", "\"version\":1", "\"version\":1,\"color\":\"red\""), "archive.line"),
            (&replaced("plates", "\"token\":\"", "\"token\":\"Z"), "archive.line"),
            (&replaced("manholes", "\"district\":\"370502\"", "\"district\":\"999999\""), "archive.rows"),
            (&without("history.jsonl"), "archive.count"),
            (&without("lidmark.json"), "archive.torn"),
            (&in_manifest, "archive.version"),
        ];
        for (at, (change, code)) in changes.into_iter().enumerate() {
            let file = spoil(&format!("{at}.zip"), change);
            let refused = take(&there, &ground, &file, false).await.unwrap_err();
            assert_eq!(refusal(refused), code, "change {at}");
            assert_eq!(there.counts().await.unwrap().covers, 0, "change {at}");
        }
        let stranger = desk.path().join("stranger.zip");
        with_other_photo(&whole, &stranger);
        assert_eq!(refusal(take(&there, &ground, &stranger, false).await.unwrap_err()), "archive.photo_altered");
        assert!(open_archive(&whole).unwrap().is_some());
        take(&there, &ground, &whole, false).await.unwrap();
        assert_eq!(there.check_tables().await.unwrap().findings, []);
    }

    async fn every_table_and_column_goes_along_or_is_named_as_left_behind(ground: Ground) {
        drop(open(&ground).await);
        let listed = match ground.database() {
            lidmark::registry::Database::Sqlite(_) => ground.sql(
                "SELECT m.name || '.' || p.name || CASE WHEN p.\"notnull\" = 1 OR p.pk > 0 THEN '!' ELSE '' END
                 FROM sqlite_master m JOIN pragma_table_info(m.name) p WHERE m.type = 'table'
                 AND m.name NOT LIKE '\\_sqlx%' ESCAPE '\\' AND m.name NOT LIKE 'sqlite%'",
            ),
            lidmark::registry::Database::Postgres(_) => ground.sql(
                "SELECT table_name || '.' || column_name || CASE WHEN is_nullable = 'NO' THEN '!' ELSE '' END
                 FROM information_schema.columns WHERE table_schema = 'public' AND table_name NOT LIKE '\\_sqlx%'",
            ),
        };
        let mut known: BTreeSet<String> = BTreeSet::new();
        for table in TABLES {
            for column in table.columns {
                let required = if column.required { "!" } else { "" };
                known.insert(format!("{}.{}{required}", table.name, column.name));
            }
        }
        let left = |name: &str| {
            let name = name.trim_end_matches('!');
            LEFT_BEHIND.iter().any(|(left, _)| name == *left || name.starts_with(&format!("{left}.")))
        };
        let there: BTreeSet<String> =
            listed.lines().map(|line| line.trim().to_owned()).filter(|name| !left(name)).collect();
        assert_eq!(there, known, "domain/archive.rs does not know the tables as they are");
    }
}

/// Copies an archive with its texts changed; `None` leaves one out.
fn rewrite(from: &Path, to: &Path, change: &dyn Fn(&str, String) -> Option<String>) -> PathBuf {
    let mut zip = zip::ZipArchive::new(std::fs::File::open(from).unwrap()).unwrap();
    let mut out = zip::ZipWriter::new(std::fs::File::create(to).unwrap());
    for at in 0..zip.len() {
        let mut entry = zip.by_index(at).unwrap();
        let name = entry.name().unwrap().into_owned();
        let mut bytes = Vec::new();
        entry.read_to_end(&mut bytes).unwrap();
        if !name.starts_with("photos/") {
            match change(&name, String::from_utf8(bytes).unwrap()) {
                Some(text) => bytes = text.into_bytes(),
                None => continue,
            }
        }
        out.start_file(name, zip::write::SimpleFileOptions::default()).unwrap();
        out.write_all(&bytes).unwrap();
    }
    out.finish().unwrap();
    to.to_owned()
}

fn with_other_photo(from: &Path, to: &Path) {
    let mut zip = zip::ZipArchive::new(std::fs::File::open(from).unwrap()).unwrap();
    let mut out = zip::ZipWriter::new(std::fs::File::create(to).unwrap());
    for at in 0..zip.len() {
        let mut entry = zip.by_index(at).unwrap();
        let name = entry.name().unwrap().into_owned();
        let mut bytes = Vec::new();
        entry.read_to_end(&mut bytes).unwrap();
        if name.starts_with("photos/") {
            bytes = jpeg(200);
        }
        out.start_file(name, zip::write::SimpleFileOptions::default()).unwrap();
        out.write_all(&bytes).unwrap();
    }
    out.finish().unwrap();
}

#[tokio::test]
async fn a_city_moves_from_one_engine_to_the_other_on_the_command_line() {
    let source = Ground::sqlite().unwrap();
    let town = lived_in(&source).await;
    town.clock.store(MONDAY, Ordering::SeqCst);
    town.registry.close().await;
    let Some(target) = Ground::postgres() else { return };
    let archive = source.home().folder().with_file_name("city.zip").display().to_string();
    let out = run_command(&source.home(), &["export", "files", "-o", &archive, "--json"]);
    assert_eq!(out.code, Some(0), "{out:?}");
    assert_eq!((&out.json()["rows"]["manholes"], &out.json()["photos"]), (&9.into(), &3.into()));
    use std::os::unix::fs::PermissionsExt;
    let mode = std::fs::metadata(&archive).unwrap().permissions().mode();
    assert_eq!(mode & 0o777, 0o600, "it holds what citizens wrote");

    let tried = run_command(&target.home(), &["import", &archive, "--dry-run", "--json"]);
    assert_eq!((tried.code, &tried.json()["created"]), (Some(0), &9.into()), "{tried:?}");
    let taken = run_command(&target.home(), &["import", &archive, "--json"]);
    assert_eq!((taken.code, &taken.json()["created"]), (Some(0), &9.into()), "{taken:?}");
    let check = run_command(&target.home(), &["check", "--json"]);
    assert_eq!((check.code, &check.json()["clean"]), (Some(0), &true.into()), "{check:?}");
    assert_eq!(check.json()["photos"], 3);
    let again = run_command(&target.home(), &["import", &archive, "--json"]);
    assert_eq!((again.code, &again.json()["error"]["code"]), (Some(2), &"archive.not_empty".into()));
}
