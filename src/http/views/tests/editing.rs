//! The pages on which staff change covers, each with something awkward on it.

use std::collections::BTreeMap;

use serde_json::json;

use super::*;
use crate::domain::cover::Retired;
use crate::domain::edit::{BulkRowState, BulkState, CodeChoice, CoverEdit, RetireReason};
use crate::registry::{
    BulkEdit, BulkLine, BulkRecord, BulkSet, EarlierFile, FieldChange, Meanwhile, Merge, StoredRefusal,
};

fn retired() -> CoverFile {
    let successor = Some((CoverId(id(9)), cover().code));
    let at = Millis(1_790_000_000_000);
    CoverFile { retired: Some(Retired { at, reason: RetireReason::Replaced, successor }), ..cover() }
}

fn changes() -> Vec<FieldChange> {
    let position = json!(cover().survey.position);
    [
        ("material", json!("cast_iron"), json!("ductile_iron")),
        ("owner", json!(null), json!("东营水务")),
        ("extra.管径", json!(NASTY), json!(null)),
        ("position", position.clone(), position),
        ("code", json!("3705020102000041"), json!("3705020102000042")),
        ("retired", json!(null), json!("filled")),
        ("manhole", json!(ManholeId(id(2))), json!(ManholeId(id(3)))),
    ]
    .into_iter()
    .map(|(field, before, after)| FieldChange {
        field: field.into(),
        before,
        after,
        actor: "user:00000000-0000-0000-0000-0000000000ff".into(),
        at: Millis(1_790_000_000_000),
    })
    .collect()
}

fn earlier() -> EarlierFile {
    let merge = Merge {
        id: crate::domain::ids::MergeId(id(12)),
        survivor: ManholeId(id(2)),
        absorbed: ManholeId(id(13)),
        same: Some((CoverId(id(9)), CoverId(id(1)))),
        moved: Default::default(),
        reason: NASTY.into(),
        actor: "system".into(),
        at: Millis(1_790_000_000_000),
        undone_at: None,
    };
    let chain = ChainState::Broken { sequence: 3 };
    EarlierFile { manhole: ManholeId(id(13)), merge: Some(merge), entries: history(), chain }
}

fn bulk(state: BulkState) -> BulkEdit {
    let record = BulkRecord {
        id: crate::domain::ids::BulkEditId(id(14)),
        state,
        filter: "class=sewage".into(),
        edit: String::new(),
        reason: NASTY.into(),
        actor: "user:00000000-0000-0000-0000-0000000000ff".into(),
        matched: 4,
        unchanged: 1,
        created_at: Millis(1_790_000_000_000),
        applied_at: Some(Millis(1_790_000_000_000)),
        undone_at: Some(Millis(1_790_000_000_000)),
        undone_by: Some("system".into()),
        version: 3,
    };
    let set = CoverEdit {
        owner: Some(Some(PartyId(id(3)))),
        material: Some(None),
        extra: [("管径".to_owned(), Some(NASTY.to_owned()))].into(),
        ..CoverEdit::default()
    };
    let counts = BulkRowState::ALL.iter().map(|state| (*state, 1)).collect();
    BulkEdit { record, set: BulkSet { set, code: CodeChoice::Keep }, counts }
}

fn line(state: BulkRowState) -> BulkLine {
    let params = [("code", "370502 01 02 000041"), ("by", "system"), ("fields", "state, extra.管径")];
    let params = params.map(|(name, value)| (name.to_owned(), value.to_owned()));
    let refusal = StoredRefusal { code: "bulk.changed_since".into(), params: params.into() };
    let fields = json!({"class": ["sewage", "storm"], "code": ["3705020102000041", null], "extra.管径": [NASTY, null]});
    BulkLine {
        cover: cover(),
        state,
        fields: fields.as_object().cloned().unwrap(),
        refusal: (state == BulkRowState::Kept).then_some(refusal),
    }
}

/// Every page, by the name under which the tests know it.
pub fn pages(page: &Page) -> Vec<(&'static str, String)> {
    let (parties, staff, districts) = ([party()], [session(Role::Crew).user], [cover().district]);
    let names = Names { parties: &parties, staff: &staff, districts: &districts };
    let (here, gone, meanwhile) = (cover(), retired(), Meanwhile { now: cover(), changes: changes() });
    let refusal = Refusal::new("position.far").at("reason").with("meters", 77);
    let around = |file, wrong, meanwhile| FormAround {
        file,
        key: IdempotencyKey(id(15)),
        names,
        reason: NASTY,
        wrong,
        meanwhile,
    };
    let mut texts: BTreeMap<String, String> =
        [("class", "sewage"), ("owner", ""), ("crs", "EPSG:4490"), ("extra:管径", NASTY), ("reason", NASTY)]
            .map(|(name, text)| (name.to_owned(), text.to_owned()))
            .into();
    let clash =
        |field: &str, theirs: &str| Clash { field: field.into(), theirs: theirs.into(), mine: NASTY.into() };
    let clashes = [clash("material", "cast_iron"), clash("extra:管径", ""), clash("position", "")];
    let edit = |clashes, meanwhile| {
        let around = around(&here, Some(&refusal), meanwhile);
        cover_form(page, &EditView { around, texts: &texts, clashes, code: CodeChoice::New, extra: "extra:" })
    };
    let mut all = vec![
        ("edit form", edit(&[], None)),
        ("edit form with two values", edit(&clashes, Some(&meanwhile))),
        ("code form", code_form(page, around(&here, None, None), &[cover().code], &texts)),
    ];
    texts.insert("other".into(), NASTY.into());
    let (beside, open, earlier) = ([cover(), retired()], ["2026-000041".to_owned()], [earlier()]);
    for file in [&here, &gone] {
        let around = around(file, None, Some(&meanwhile));
        let view = RetireView { around, beside: &beside, open_cases: &open, live_plates: 2, texts: &texts };
        all.push(("retire form", retire_form(page, &view)));
    }
    let around = around(&here, Some(&refusal), None);
    all.push(("add form", add_form(page, &AddView { around, beside: &beside, texts: &texts })));
    let near = [(cover(), 3.2)];
    for other in [None, Some(&gone)] {
        let view =
            MergeView { around, other, distance_m: 34.0, near: &near, earlier: &earlier, texts: &texts };
        all.push(("merge form", merge_form(page, &view)));
    }
    let with = [cover().code.digits];
    all.push((
        "split form",
        split_form(page, &SplitView { around, beside: &beside, with: &with, texts: &texts }),
    ));
    let filters = [
        ("class", "sewage"),
        ("owner", "unknown"),
        ("text", NASTY),
        ("standing", "any"),
        ("without_plate", "true"),
    ];
    let list = CoverListView {
        covers: &beside,
        names,
        filters: &filters,
        query: "class=sewage",
        next: Some(CoverId(id(1)).to_string()),
    };
    all.push(("covers", cover_list(page, &list)));
    all.push(("no covers", cover_list(page, &CoverListView { covers: &[], next: None, ..list })));
    let form = BulkForm {
        names,
        filters: &filters,
        query: "class=sewage",
        texts: &texts,
        code: CodeChoice::ByScheme,
        key: IdempotencyKey(id(15)),
        wrong: Some(&refusal),
    };
    all.push(("bulk form", bulk_form(page, &form)));
    let lines: Vec<BulkLine> = BulkRowState::ALL.iter().map(|state| line(*state)).collect();
    for state in BulkState::ALL {
        let edit = bulk(*state);
        let one_state = (*state == BulkState::Applied).then(|| OneState {
            state: BulkRowState::Kept,
            lines: &lines,
            next: Some(CoverId(id(1)).to_string()),
        });
        let view = BulkView {
            edit: &edit,
            names,
            filters: &filters,
            changed: &lines,
            left: &lines,
            one_state,
            key: IdempotencyKey(id(15)),
            wrong: Some(&refusal),
        };
        all.push(("bulk edit", bulk_edit(page, &view)));
    }
    all.push(("bulk edits", bulk_list(page, &[bulk(BulkState::Undone).record], names, Some("x".into()))));
    let view = CoverView {
        file: &gone,
        beside: &beside,
        former: &[cover().code],
        earlier: &earlier,
        plates: &[],
        cases: &[],
        photos: &[],
        history: &history(),
        chain: ChainState::Whole { length: 3 },
        neighbors: &[],
        asked: None,
        names,
    };
    all.push(("retired file", cover_file(page, &view, None)));
    all
}
