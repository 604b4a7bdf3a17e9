//! 防滥用: cases that wait for a look, from where reports came, and whose wait from now on.

use askama::Template;

use super::words::{Choice, joined};
use super::{Page, write};
use crate::domain::Refusal;
use crate::domain::abuse::{Block, Doubt, OriginKind};
use crate::domain::ids::{IdempotencyKey, Millis};
use crate::registry::{CaseFile, CaseLine, Hold, ReportOrigin, SenderCount};

const HOUR_MS: i64 = 3_600_000;

fn doubt_words(page: &Page, doubts: &[Doubt]) -> Vec<String> {
    doubts.iter().map(|doubt| page.word("doubt", doubt)).collect()
}

/// A hold in words.
pub(super) struct HoldView {
    pub doubts: Vec<String>,
    pub since: String,
    /// When the case goes on by itself.
    pub until: String,
}

impl HoldView {
    pub(super) fn new(page: &Page, hold: &Hold) -> Self {
        let until = Millis(hold.held_at.0 + i64::from(page.config.abuse.hold_hours) * HOUR_MS);
        Self {
            doubts: doubt_words(page, &hold.doubts),
            since: page.date_time(hold.held_at),
            until: page.date_time(until),
        }
    }
}

struct HeldRow<'a> {
    number: &'a str,
    hazard: String,
    place: String,
    hold: HoldView,
}

struct BlockRow<'a> {
    id: String,
    kind: String,
    tracking: &'a str,
    reason: &'a str,
    until: String,
    state: String,
    is_active: bool,
}

#[derive(Template)]
#[template(path = "held.html")]
struct HeldPage<'a> {
    page: Page<'a>,
    rows: Vec<HeldRow<'a>>,
    blocks: Vec<BlockRow<'a>>,
}

pub fn held(page: &Page, held: &[(CaseLine, Hold)], blocks: &[Block]) -> String {
    let district =
        |line: &CaseLine| if page.is_chinese() { line.district_zh.clone() } else { line.district_en.clone() };
    let row = |(line, hold): &'_ (CaseLine, Hold)| (district(line), HoldView::new(page, hold));
    write(&HeldPage {
        page: *page,
        rows: held
            .iter()
            .map(|one| {
                let (line, (district, hold)) = (&one.0, row(one));
                HeldRow {
                    number: &line.case.number,
                    hazard: page.word("hazard", line.case.hazard),
                    place: joined([Some(district.as_str()), line.road.as_deref()]),
                    hold,
                }
            })
            .collect(),
        blocks: blocks
            .iter()
            .map(|block| {
                let is_active = block.is_active(page.now);
                let state = match (is_active, block.lifted_at) {
                    (true, _) => "active",
                    (false, Some(_)) => "lifted",
                    (false, None) => "over",
                };
                BlockRow {
                    id: block.id.to_string(),
                    kind: page.word("origin", block.kind),
                    tracking: &block.tracking,
                    reason: &block.reason,
                    until: page.date_time(block.until),
                    state: page.word("block_state", state),
                    is_active,
                }
            })
            .collect(),
    })
}

/// What the page of senders shows.
pub struct SendersView<'a> {
    pub file: &'a CaseFile,
    pub origins: &'a [ReportOrigin],
    /// What was refused, and the reason that was typed.
    pub wrong: Option<(&'a Refusal, &'a str)>,
}

struct SenderRow<'a> {
    tracking: &'a str,
    doubts: Vec<String>,
    device: String,
    network: String,
}

#[derive(Template)]
#[template(path = "senders.html")]
struct SendersPage<'a> {
    page: Page<'a>,
    number: &'a str,
    hold: Option<HoldView>,
    rows: Vec<SenderRow<'a>>,
    kinds: Vec<Choice>,
    key: IdempotencyKey,
    reason: &'a str,
    wrong: Option<String>,
}

pub fn senders(page: &Page, view: &SendersView) -> String {
    let count = |count: &SenderCount| {
        let values = [("reports", count.reports.to_string()), ("rejected", count.rejected.to_string())];
        let values = values.each_ref().map(|(name, value)| (*name, value.as_str()));
        page.catalogue.fill("held.counts", &values)
    };
    let row = |origin: &'_ ReportOrigin| (count(&origin.network), origin.device.as_ref().map(count));
    let unknown = || page.t("held.no_device").to_owned();
    write(&SendersPage {
        page: *page,
        number: &view.file.case.number,
        hold: view.file.hold.as_ref().map(|hold| HoldView::new(page, hold)),
        rows: view
            .origins
            .iter()
            .map(|origin| {
                let (network, device) = row(origin);
                let mut doubts = doubt_words(page, &origin.doubts);
                if origin.by_staff {
                    doubts.push(page.t("held.by_staff").to_owned());
                }
                SenderRow {
                    tracking: &origin.tracking,
                    doubts,
                    device: device.unwrap_or_else(unknown),
                    network,
                }
            })
            .collect(),
        kinds: OriginKind::ALL
            .iter()
            .map(|kind| Choice {
                value: kind.to_string(),
                word: page.word("origin", kind),
                chosen: *kind == OriginKind::Device,
            })
            .collect(),
        key: IdempotencyKey::fresh(),
        reason: view.wrong.map_or("", |(_, reason)| reason),
        wrong: view.wrong.map(|(refusal, _)| page.catalogue.refusal_in_words(refusal)),
    })
}
