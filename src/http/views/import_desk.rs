//! The import desk: runs and waiting files, and the page of one run.

use askama::Template;

use super::words::Choice;
use super::{Page, write};
use crate::domain::Refusal;
use crate::domain::cover::CoverFile;
use crate::domain::ids::CoverId;
use crate::domain::import_profile::SavedProfile;
use crate::domain::import_run::{ImportNumber, ImportState};
use crate::http::census_files::{CensusUpload, Wishes};
use crate::import::{AUTO, DateOrder, Encoding, Profile};
use crate::registry::{ImportRecord, ImportSummary};

/// Sends a large file in pieces and goes on after a broken network; the form works without it.
pub const UPLOAD_SCRIPT: &str = include_str!("../../../assets/web/upload.js");

/// In the place of a profile: the one that was changed column by column for this file.
pub const CHANGED_HERE: &str = "@changed";

/// What the desk shows.
pub struct DeskView<'a> {
    pub runs: &'a [ImportRecord],
    pub waiting: &'a [CensusUpload],
    /// Those that come with the program and those that were saved.
    pub profiles: (&'a [Profile], &'a [SavedProfile]),
    pub wishes: &'a Wishes,
    /// Where the older runs begin.
    pub next: Option<ImportNumber>,
    pub wrong: Option<&'a Refusal>,
}

struct RunRow<'a> {
    record: &'a ImportRecord,
    state: String,
    started: String,
    read: u64,
    counts: String,
}

struct WaitingRow {
    upload: CensusUpload,
    stage: String,
    at: String,
}

/// The fields that say how a file is read.
pub(super) struct Fields<'a> {
    pub(super) profiles: Vec<Choice>,
    pub(super) encodings: Vec<Choice>,
    pub(super) dates: Vec<Choice>,
    pub(super) wishes: &'a Wishes,
}

#[derive(Template)]
#[template(path = "imports.html")]
struct DeskPage<'a> {
    page: Page<'a>,
    rows: Vec<RunRow<'a>>,
    waiting: Vec<WaitingRow>,
    fields: Fields<'a>,
    next: Option<ImportNumber>,
    wrong: Option<String>,
    most: u64,
    script: &'a str,
}

/// The runs and the form.
pub fn import_desk(page: &Page, view: &DeskView) -> String {
    let run = |record| {
        let summary = ImportRecord::summary(record);
        RunRow {
            record,
            state: page.word("import_state", record.state),
            started: page.date_time(record.started_at),
            read: summary.read,
            counts: counts(page, &summary),
        }
    };
    let waiting = |upload: &'_ CensusUpload| WaitingRow {
        upload: upload.clone(),
        stage: page.word("census_stage", upload.stage.as_str()),
        at: page.date_time(upload.at),
    };
    write(&DeskPage {
        page: *page,
        rows: view.runs.iter().map(run).collect(),
        waiting: view.waiting.iter().map(waiting).collect(),
        fields: fields(page, view.profiles, view.wishes),
        next: view.next,
        wrong: view.wrong.map(|refusal| page.catalogue.refusal_in_words(refusal)),
        most: page.config.census_megabytes,
        script: UPLOAD_SCRIPT,
    })
}

pub(super) fn fields<'a>(
    page: &Page,
    (profiles, saved): (&[Profile], &[SavedProfile]),
    wishes: &'a Wishes,
) -> Fields<'a> {
    let chosen = wishes.profile.as_deref().unwrap_or(AUTO);
    let profile = |profile: &Profile| Choice {
        value: profile.id.clone(),
        word: if page.is_chinese() { profile.name_zh.clone() } else { profile.name_en.clone() },
        chosen: profile.id == chosen,
    };
    let newest = |saved: &SavedProfile| Choice {
        value: saved.name.to_string(),
        word: format!("{} @{}", saved.name, saved.version),
        chosen: saved.name.as_str() == chosen || format!("{}@{}", saved.name, saved.version) == chosen,
    };
    let listed = |saved: &SavedProfile| newest(saved).chosen;
    // A file stays with the version it was shown with.
    let older = (chosen.contains('@') && !saved.iter().any(listed)).then(|| Choice {
        value: chosen.to_owned(),
        word: chosen.to_owned(),
        chosen: true,
    });
    let changed = wishes.mapping.as_ref().map(|_| Choice {
        value: CHANGED_HERE.to_owned(),
        word: page.t("mapping.changed_here").to_owned(),
        chosen: true,
    });
    let encoding = |encoding: &Encoding| Choice {
        value: encoding.to_string(),
        word: encoding.to_string(),
        chosen: wishes.encoding.as_deref() == Some(encoding.as_str()),
    };
    let profiles = saved.iter().map(newest).chain(older).chain(profiles.iter().map(profile));
    let profiles = profiles.map(|choice| Choice { chosen: choice.chosen && changed.is_none(), ..choice });
    let profiles: Vec<Choice> = profiles.collect();
    let profiles = changed.into_iter().chain(profiles).collect();
    Fields {
        profiles,
        dates: DateOrder::ALL
            .iter()
            .map(|order| Choice {
                value: order.to_string(),
                word: page.word("date_order", order),
                chosen: wishes.dates.as_deref() == Some(order.as_str()),
            })
            .collect(),
        encodings: Encoding::ALL.iter().map(encoding).collect(),
        wishes,
    }
}

/// What became of the rows, in one line.
fn counts(page: &Page, summary: &ImportSummary) -> String {
    let parts = [
        ("created", summary.created),
        ("updated", summary.updated),
        ("unchanged", summary.unchanged),
        ("duplicates", summary.duplicates),
        ("problems", summary.problems),
    ];
    let shown = parts.iter().filter(|(_, count)| *count > 0);
    let words: Vec<String> =
        shown.map(|(word, count)| format!("{} {count}", page.word("row_outcome", word))).collect();
    words.join(" · ")
}

pub(super) fn megabytes(bytes: u64) -> String {
    if bytes < 1 << 20 {
        format!("{} KB", bytes.div_ceil(1024))
    } else {
        format!("{:.1} MB", bytes as f64 / (1u64 << 20) as f64)
    }
}

/// What the page of a run shows.
pub struct RunView<'a> {
    pub record: &'a ImportRecord,
    /// Whether it is being taken back.
    pub working: bool,
    /// Covers that it passed over and nobody has decided about; a page of them.
    pub passed_over: &'a [CoverFile],
    pub passed_over_count: i64,
    pub next: Option<CoverId>,
    pub wrong: Option<&'a Refusal>,
}

struct PassedRow {
    cover: CoverId,
    digits: String,
    code: String,
    what: String,
}

#[derive(Template)]
#[template(path = "import_run.html")]
struct RunPage<'a> {
    page: Page<'a>,
    record: &'a ImportRecord,
    state_word: String,
    started: String,
    touched: String,
    read: u64,
    outcomes: Vec<(String, u64)>,
    working: bool,
    may_take_back: bool,
    goes_on: bool,
    passed: Vec<PassedRow>,
    passed_count: i64,
    next: Option<CoverId>,
    wrong: Option<String>,
}

/// One run.
pub fn import_run(page: &Page, view: &RunView) -> String {
    let record = view.record;
    let ImportSummary { read, created, updated, unchanged, duplicates, problems } = record.summary();
    let outcomes = [
        ("created", created),
        ("updated", updated),
        ("unchanged", unchanged),
        ("duplicates", duplicates),
        ("problems", problems),
    ];
    let passed = view.passed_over.iter().map(|file| PassedRow {
        cover: file.cover,
        digits: file.code.digits.clone(),
        code: page.code(&file.code),
        what: [
            Some(page.word("class", file.survey.class)),
            file.survey.road.clone(),
            file.survey.address.clone(),
        ]
        .into_iter()
        .flatten()
        .collect::<Vec<_>>()
        .join(" · "),
    });
    write(&RunPage {
        page: *page,
        record,
        state_word: page.word("import_state", record.state),
        started: page.date_time(record.started_at),
        touched: page.date_time(record.touched_at),
        read,
        outcomes: outcomes.iter().map(|(word, count)| (page.word("row_outcome", word), *count)).collect(),
        working: view.working,
        may_take_back: !view.working && record.state != ImportState::RolledBack,
        goes_on: record.state == ImportState::RollingBack,
        passed: passed.collect(),
        passed_count: view.passed_over_count,
        next: view.next,
        wrong: view.wrong.map(|refusal| page.catalogue.refusal_in_words(refusal)),
    })
}
