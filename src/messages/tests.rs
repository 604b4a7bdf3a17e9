//! Holds the catalogues to each other and to the sources that name their keys.

use std::collections::BTreeSet;
use std::path::Path;

use super::*;
use crate::domain::campaign::{CampaignState, CampaignStep};
use crate::domain::case::{CaseMove, CaseState};
use crate::domain::claim::{ClaimAnswer, ClaimMove, ClaimState};
use crate::domain::cover::{CoverClass, CoverState, Material, Placement, Shape};
use crate::domain::crew::{CheckResult, FieldPhotoRole};
use crate::domain::hazard::Hazard;
use crate::domain::history::HistoryKind;
use crate::domain::notice::{NoticeMove, NoticeStanding, NoticeState};
use crate::domain::plate::{Finish, PlateSpot, PlateState};
use crate::domain::plate_batch::{BatchState, PlateAction};
use crate::domain::position::PositionMethod;
use crate::domain::quality::{FileField, Finding};
use crate::domain::receiver::{LetterState, LetterStep, ReceiverKind, ReceiverState, ReceiverStep};
use crate::domain::role::Role;
use crate::domain::sensor::{Quantity, SensorMark, SensorMove, SensorState};
use crate::domain::sensor_watch::Phase;
use crate::domain::task::{TaskKind, TaskResult, TaskState};

fn texts_under(folder: &Path, ending: &str) -> Vec<String> {
    let mut found = Vec::new();
    for entry in std::fs::read_dir(folder).unwrap().flatten() {
        let path = entry.path();
        if path.is_dir() {
            found.extend(texts_under(&path, ending));
        } else if path.to_string_lossy().ends_with(ending) {
            found.push(std::fs::read_to_string(path).unwrap());
        }
    }
    found
}

/// The quoted text right behind each `before`.
fn quoted_after(text: &str, before: &str) -> Vec<String> {
    text.match_indices(before)
        .filter_map(|(at, _)| {
            let rest = text[at + before.len()..].trim_start().strip_prefix('"')?;
            rest.split('"').next().map(str::to_owned)
        })
        .collect()
}

fn source(folder: &str) -> std::path::PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join(folder)
}

#[test]
fn both_catalogues_say_the_same_things() {
    let [chinese, english]: [BTreeSet<&str>; 2] =
        Language::ALL.map(|language| Catalogue::of(language).keys().collect());
    let differ: Vec<_> = chinese.symmetric_difference(&english).collect();
    assert!(differ.is_empty(), "in one catalogue only: {differ:?}");
}

#[test]
fn the_places_to_fill_are_the_same_in_both_languages() {
    let places = |text: &str| -> BTreeSet<String> {
        text.split('{')
            .skip(1)
            .filter_map(|rest| rest.split_once('}'))
            .map(|(name, _)| name.to_owned())
            .collect()
    };
    let (chinese, english) = (Catalogue::of(Language::Zh), Catalogue::of(Language::En));
    for key in english.keys() {
        assert_eq!(places(chinese.text(key)), places(english.text(key)), "{key}");
    }
}

#[test]
fn every_refusal_in_the_sources_has_its_sentence() {
    let catalogue = Catalogue::of(Language::En);
    let mut missing = BTreeSet::new();
    for text in texts_under(&source("src"), ".rs") {
        let mut codes = quoted_after(&text, "Refusal::new(");
        codes.extend(quoted_after(&text, "Problem::not_found("));
        let is_code =
            |code: &String| code.bytes().all(|byte| byte.is_ascii_lowercase() || b"._".contains(&byte));
        codes.retain(|code| !code.is_empty() && is_code(code));
        missing.extend(codes.into_iter().filter(|code| !catalogue.has(&format!("refusal.{code}"))));
    }
    assert!(missing.is_empty(), "no sentence for {missing:?}");
}

#[test]
fn every_key_that_a_template_names_exists() {
    let catalogue = Catalogue::of(Language::En);
    for text in texts_under(&source("templates"), ".html") {
        for call in ["page.t(", "page.fill("] {
            for key in quoted_after(&text, call) {
                assert!(catalogue.has(&key), "{key}");
            }
        }
    }
}

#[test]
fn every_stored_word_has_a_shown_one() {
    fn words<T: Copy + Display>(list: &str, all: &[T]) {
        for language in Language::ALL {
            for word in all {
                let key = format!("{list}.{word}");
                assert!(Catalogue::of(language).has(&key), "{key} in {language:?}");
            }
        }
    }
    words("hazard", Hazard::ALL);
    words("hazard_hint", Hazard::ALL);
    words("case_state", CaseState::ALL);
    words("move", CaseMove::ALL);
    words("role", Role::ALL);
    words("receiver_kind", ReceiverKind::ALL);
    words("receiver_state", ReceiverState::ALL);
    words("receiver_step", ReceiverStep::ALL);
    words("letter_state", LetterState::ALL);
    words("letter_step", LetterStep::ALL);
    words("class", CoverClass::ALL);
    words("state", CoverState::ALL);
    words("plate_state", PlateState::ALL);
    words("plate_spot", PlateSpot::ALL);
    words("check_result", CheckResult::ALL);
    words("photo_role", FieldPhotoRole::ALL);
    words("finish", Finish::ALL);
    words("placement", Placement::ALL);
    words("material", Material::ALL);
    words("shape", Shape::ALL);
    words("position_method", PositionMethod::ALL);
    words("history_kind", HistoryKind::ALL);
    words("file_field", FileField::ALL);
    words("finding", Finding::ALL);
    words("finding_hint", Finding::ALL);
    words("batch_state", BatchState::ALL);
    words("plate_action", PlateAction::ALL);
    words("claim_state", ClaimState::ALL);
    words("claim_answer", ClaimAnswer::ALL);
    words("claim_move", ClaimMove::ALL);
    words("campaign_state", CampaignState::ALL);
    words("campaign_step", CampaignStep::ALL);
    words("task_kind", TaskKind::ALL);
    words("task_state", TaskState::ALL);
    words("task_result", TaskResult::ALL);
    words("notice_state", NoticeState::ALL);
    words("notice_standing", NoticeStanding::ALL);
    words("notice_move", NoticeMove::ALL);
    words("sensor_state", SensorState::ALL);
    words("sensor_mark", SensorMark::ALL);
    words("sensor_move", SensorMove::ALL);
    words("sensor_move_hint", SensorMove::ALL);
    words("quantity", Quantity::ALL);
    words("phase", Phase::ALL);
}

#[test]
fn the_hand_beats_the_browser_and_chinese_is_the_default() {
    assert_eq!(Language::from_header(Some("en-GB,en;q=0.9"), None), Language::En);
    assert_eq!(Language::from_header(Some("en-GB,en;q=0.9"), Some("zh-CN")), Language::Zh);
    assert_eq!(Language::from_header(Some("de, en;q=0.5, zh;q=0.8"), None), Language::Zh);
    assert_eq!(Language::from_header(Some("fr"), None), Language::Zh);
    assert_eq!(Language::from_header(None, Some("nonsense")), Language::Zh);
}

#[test]
fn what_a_person_typed_is_never_taken_for_a_place_to_fill() {
    let refusal = Refusal::new("token.length").with("read", "{count}").with("count", 7);
    let sentence = Catalogue::of(Language::En).refusal(&refusal);
    assert!(sentence.contains("{count}") && sentence.contains('7'), "{sentence}");
}
