//! Facts in people's words: dates on the city's clock and lines of a manhole's file.

use std::collections::HashMap;

use serde_json::Value;
use time::{OffsetDateTime, UtcOffset};

use super::Page;
use super::field_words::{self, change_words};
use crate::config::Config;
use crate::domain::cover::{CoverFile, District, Party};
use crate::domain::history::{HistoryEntry, HistoryKind};
use crate::domain::ids::Millis;
use crate::registry::User;

/// `2026-11-23 16:05` on the city's clock.
fn moment(config: &Config, at: Millis) -> String {
    let local = UtcOffset::from_whole_seconds(config.utc_offset_minutes * 60)
        .ok()
        .zip(OffsetDateTime::from_unix_timestamp(at.0.div_euclid(1000)).ok())
        .map(|(offset, at)| at.to_offset(offset));
    match local {
        Some(at) => {
            let (month, day) = (u8::from(at.month()), at.day());
            format!("{:04}-{month:02}-{day:02} {:02}:{:02}", at.year(), at.hour(), at.minute())
        }
        None => at.0.to_string(),
    }
}

/// `2026-11-23` on the city's clock.
pub fn day(config: &Config, at: Millis) -> String {
    moment(config, at).chars().take(10).collect()
}

impl Page<'_> {
    /// `2026-11-23 16:05` on the city's clock.
    pub(super) fn date_time(&self, at: Millis) -> String {
        moment(self.config, at)
    }

    /// `2026-11-23` on the city's clock.
    pub(super) fn date(&self, at: Millis) -> String {
        day(self.config, at)
    }

    pub(super) fn district<'d>(&self, district: &'d District) -> &'d str {
        if self.is_chinese() { &district.name_zh } else { &district.name_en }
    }

    /// District and road.
    pub(super) fn place(&self, file: &CoverFile) -> String {
        joined([Some(self.district(&file.district)), file.survey.road.as_deref()])
    }
}

/// The parts that say something, with dots between.
pub(super) fn joined<'p>(parts: impl IntoIterator<Item = Option<&'p str>>) -> String {
    parts.into_iter().flatten().filter(|part| !part.is_empty()).collect::<Vec<_>>().join(" · ")
}

/// What the public may know of a cover.
pub(super) struct PublicCover {
    pub class_word: String,
    pub class_key: &'static str,
    pub code: String,
    pub place: String,
    pub owner: Option<String>,
    pub hotline: String,
    pub hotline_dialed: String,
}

impl PublicCover {
    pub(super) fn new(page: &Page, file: &CoverFile) -> Self {
        let hotline = file.owner.as_ref().and_then(|owner| owner.hotline.as_deref());
        let hotline = hotline.unwrap_or(&page.config.hotline);
        Self {
            class_word: page.word("class", file.survey.class),
            class_key: file.survey.class.as_str(),
            code: page.code(&file.code),
            place: page.place(file),
            owner: file.owner.as_ref().map(|owner| owner.name.clone()),
            hotline: hotline.to_owned(),
            hotline_dialed: page.dialed(hotline),
        }
    }
}

/// A choice of a list.
#[derive(Clone)]
pub(super) struct Choice {
    pub value: String,
    pub word: String,
    pub chosen: bool,
}

/// A line of a file, ready to be shown.
pub(super) struct Line {
    pub sequence: i64,
    pub at: String,
    pub who: String,
    pub what: String,
    pub details: Vec<String>,
}

/// The names that lines of a file speak of.
#[derive(Clone, Copy)]
pub struct Names<'a> {
    pub parties: &'a [Party],
    pub staff: &'a [User],
    pub districts: &'a [District],
}

impl Names<'_> {
    /// Who is behind a change.
    pub(super) fn who(&self, page: &Page, actor: &str) -> String {
        let known = actor.strip_prefix("user:").and_then(|id| {
            self.staff.iter().find(|user| user.id.to_string() == id).map(|user| user.name.clone())
        });
        known.unwrap_or_else(|| who(page, &HashMap::new(), actor))
    }
}

/// Lines of a file as staff see them, newest first.
pub(super) fn lines(page: &Page, names: Names, entries: &[HistoryEntry]) -> Vec<Line> {
    let parties: HashMap<String, &str> =
        names.parties.iter().map(|party| (party.id.to_string(), party.name.as_str())).collect();
    let staff: HashMap<String, &str> =
        names.staff.iter().map(|user| (user.id.to_string(), user.name.as_str())).collect();
    entries.iter().rev().map(|entry| line(page, names, &parties, &staff, entry)).collect()
}

type ById<'a> = HashMap<String, &'a str>;

fn line(page: &Page, names: Names, parties: &ById, staff: &ById, entry: &HistoryEntry) -> Line {
    let body: Value = serde_json::from_str(&entry.body).unwrap_or_default();
    let what = match entry.kind {
        HistoryKind::CaseMoved => page.word("move", body["move"].as_str().unwrap_or_default()),
        HistoryKind::ClaimAnswered | HistoryKind::ClaimSettled => {
            page.word("claim_move", body["claim_move"].as_str().unwrap_or_default())
        }
        kind => page.word("history_kind", kind),
    };
    let mut details = Vec::new();
    let mut add = |key: &str, value: &str| {
        if !value.is_empty() {
            details.push(page.fill(key, "value", value));
        }
    };
    let text = |name: &str| body[name].as_str().unwrap_or_default();
    match (body["from"].as_str(), body["to"].as_str()) {
        (Some(from), Some(to)) => {
            let (from, to) = (page.word("case_state", from), page.word("case_state", to));
            add("line.state", &format!("{from} → {to}"));
        }
        (None, Some(to)) => add("line.state", &page.word("plate_state", to)),
        _ => {}
    }
    add("line.case", text("case"));
    add("line.report", text("report"));
    if let Some(hazard) = body["hazard"].as_str() {
        add("line.hazard", &page.word("hazard", hazard));
    }
    let party = text("party");
    add("line.notice", text("notice"));
    add("line.supervision", text("supervision"));
    add("line.meeting", text("meeting"));
    add("line.quarter", text("quarter"));
    let of_party = text("of_party");
    add("line.of_party", parties.get(of_party).copied().unwrap_or(of_party));
    if let Some(state) = body["claim_state"].as_str() {
        add("line.state", &page.word("claim_state", state));
    }
    if let Some(verdict) = body["verdict"].as_str() {
        add("line.state", &page.word("verdict", verdict));
        add("line.other", &field_words::code(page, text("other")));
    }
    add("line.party", parties.get(party).copied().unwrap_or(party));
    add("line.why", &page.word("why", text("why")));
    add("line.joined_to", text("joined_to"));
    if let Some(until) = body["until"].as_i64() {
        add("line.until", &page.date(Millis(until)));
    }
    if let Some(result) = body["result"].as_str() {
        add("line.result", &page.word("check_result", result));
    }
    if let Some(kind) = body["task_kind"].as_str() {
        add("line.task", &page.word("task_kind", kind));
    }
    if let Some(result) = body["task_result"].as_str() {
        add("line.result", &page.word("task_result", result));
    }
    add("line.raised", text("raised"));
    if let Some(spot) = body["spot"].as_str() {
        add("line.spot", &page.word("plate_spot", spot));
    }
    if let Some(sightings) = body["sightings"].as_i64() {
        add("line.sightings", &sightings.to_string());
    }
    if let Some(meters) = body["distance_m"].as_f64() {
        add("line.distance", &format!("{meters:.0}"));
    }
    add("line.sensor", text("sensor"));
    if let (Some(quantity), Some(value)) = (body["quantity"].as_str(), body["value"].as_f64()) {
        add("line.state", &format!("{} {value}", page.word("quantity", quantity)));
    }
    if let Some(since) = body["since_at"].as_i64() {
        add("line.since", &page.date_time(Millis(since)));
    }
    if let Some(until) = body["until_at"].as_i64() {
        add("line.until", &page.date_time(Millis(until)));
    }
    add("line.note", text("note"));
    if let Some(photos) = body["photos"].as_array().filter(|photos| !photos.is_empty()) {
        add("line.photos", &photos.len().to_string());
    }
    let source = match entry.kind {
        HistoryKind::Reported | HistoryKind::ReportJoined => page.word("case_source", text("source")),
        _ => text("source").to_owned(),
    };
    add("line.source", &source);
    add("line.upstream", text("upstream"));
    add("line.external", text("external_number"));
    if let Some(ask) = body["ask"].as_str() {
        add("line.state", &page.word("ask_kind", ask));
        add("line.state", &page.word("ask_state", text("ask_state")));
    }
    if let Some(score) = body["score"].as_i64() {
        add("line.score", &page.word("score", score));
    }
    add("line.rule", text("rule"));
    add("line.pool", text("pool"));
    add("line.strike", text("strike_number"));
    if let Some(due) = body["due_at"].as_i64() {
        add("line.due", &page.date_time(Millis(due)));
    }
    if let Some(percent) = body["percent"].as_i64() {
        add("line.percent", &percent.to_string());
    }
    add("line.code", &field_words::code(page, text("code")));
    add("line.successor", &field_words::code(page, text("successor")));
    add("line.cover_from", &field_words::code(page, text("cover_from")));
    add("line.cover_to", &field_words::code(page, text("cover_to")));
    if let Some(codes) = body["codes"].as_array() {
        let codes: Vec<String> =
            codes.iter().filter_map(|code| Some(field_words::code(page, code.as_str()?))).collect();
        add("line.covers", &codes.join(page.t("list.comma")));
    }
    for (key, count) in [("line.plates_withdrawn", "plates_withdrawn"), ("line.plates_moved", "plates_moved")]
    {
        if let Some(count) = body[count].as_i64().filter(|count| *count > 0) {
            add(key, &count.to_string());
        }
    }
    if body["bulk"].is_string() {
        let key = if body["undo"] == true { "line.bulk_undo" } else { "line.bulk" };
        add(key, &text("bulk").chars().take(8).collect::<String>());
    }
    if let Some(fields) = body["fields"].as_object() {
        // Which manhole a cover lies on is told by its own words; ids say nothing to people.
        for (field, pair) in fields.iter().filter(|(field, _)| *field != "manhole") {
            add("line.field", &change_words(page, names, field, pair));
        }
    }
    if let (Some(batch), Some(ordinal)) = (body["batch"].as_str(), body["ordinal"].as_i64()) {
        let batch: String = batch.chars().take(8).collect();
        add("line.plate", &format!("{batch}… · {ordinal}"));
    }
    if body["released"] == true {
        details.push(page.t("line.released").to_owned());
    }
    Line {
        sequence: entry.sequence,
        at: page.date_time(entry.at),
        who: who(page, staff, &entry.actor),
        what,
        details,
    }
}

fn who(page: &Page, staff: &ById, actor: &str) -> String {
    let Some(id) = actor.strip_prefix("user:") else { return page.word("actor", actor) };
    match staff.get(id) {
        Some(name) => (*name).to_owned(),
        // The end of the id tells two people apart without naming them.
        None => page.fill("actor.staff", "id", &id[id.len().saturating_sub(6)..]),
    }
}
