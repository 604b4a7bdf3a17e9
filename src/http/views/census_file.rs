//! The preview of one census file: what a look at it found, and what its columns are taken for.

use askama::Template;

use super::census_map::{CensusMap, census_map};
use super::import_desk::{Fields, fields, megabytes};
use super::words::Choice;
use super::{Page, write};
use crate::domain::Refusal;
use crate::domain::area::Area;
use crate::domain::import_profile::SavedProfile;
use crate::http::census_files::{CensusUpload, Preview, ProfileUsed, Stage};
use crate::http::mapping_desk::{AS_IT_IS, KEPT, LEFT_OUT, NOT_A_COVER, UNKNOWN, asks_for_values, choice_of};
use crate::http::percent_encode;
use crate::import::{ColumnLook, ColumnNote, Field, Lexicon, Means, Profile, unit_kept_in};
use crate::messages::Catalogue;
use crate::registry::ImportSummary;

/// What the page of a file shows.
pub struct FileView<'a> {
    pub upload: &'a CensusUpload,
    /// Bytes that are here.
    pub received: u64,
    /// Whether the server is at it.
    pub working: bool,
    /// Rows so far; `None` = other work goes first.
    pub rows: Option<u64>,
    pub preview: Option<&'a Preview>,
    pub areas: &'a [Area],
    /// Where there is a preview.
    pub lexicon: Option<&'a Lexicon>,
    /// Those that come with the program and those that were saved.
    pub profiles: (&'a [Profile], &'a [SavedProfile]),
    /// Why it could not be read, or not be written to its end.
    pub refusal: Option<String>,
    /// Why what was asked for just now was not done.
    pub wrong: Option<&'a Refusal>,
}

struct ColumnRow {
    why: String,
    name: String,
    means: String,
    samples: String,
    /// What it may be taken for.
    uses: Vec<Choice>,
    /// Of a length that is kept; empty for all else.
    units: Vec<Choice>,
    strange: Vec<StrangeRow>,
}

/// A value that no spelling fits, with what it may mean.
struct StrangeRow {
    text: String,
    count: u64,
    words: Vec<Choice>,
}

struct KindRow {
    title: String,
    count: u64,
    samples: Vec<SampleRow>,
}

struct SampleRow {
    place: String,
    read: String,
    sentence: String,
}

struct TwinRow {
    line: u64,
    text: String,
    of: u64,
    of_text: String,
}

/// By which profile a file was read.
struct UsedRow {
    /// Name, with its version where it was saved.
    shown: String,
    /// Of the page of a saved one.
    address: Option<String>,
    /// Under which name it may be saved once more.
    name: String,
    may_save: bool,
}

/// A preview as the page has it.
struct Looked {
    profile: Option<UsedRow>,
    understood: Vec<String>,
    crs: Option<String>,
    evidence: Vec<String>,
    columns: Vec<ColumnRow>,
    read: u64,
    outcomes: Vec<(String, u64)>,
    problems: u64,
    kinds: Vec<KindRow>,
    duplicates: u64,
    twins: Vec<TwinRow>,
    map: Option<CensusMap>,
    to_correct: u64,
    new_districts: Vec<String>,
}

#[derive(Template)]
#[template(path = "census_file.html")]
struct FilePage<'a> {
    page: Page<'a>,
    upload: &'a CensusUpload,
    id: String,
    stage: Stage,
    stage_word: String,
    at: String,
    size: String,
    received: String,
    working: bool,
    progress: String,
    looked: Option<Looked>,
    fields: Fields<'a>,
    refusal: Option<String>,
    wrong: Option<String>,
}

impl FilePage<'_> {
    /// Whether the file may be read otherwise.
    fn open(&self) -> bool {
        !self.working && matches!(self.stage, Stage::Looked | Stage::Refused)
    }

    /// Whether what its columns are taken for may be changed.
    fn may_change_mapping(&self) -> bool {
        !self.working && self.stage == Stage::Looked && self.may_keep_mapping()
    }

    /// Whether how it was read can be saved under a name.
    fn may_keep_mapping(&self) -> bool {
        self.used().is_some_and(|used| used.may_save)
    }

    fn mapping_name(&self) -> &str {
        self.used().map_or("", |used| &used.name)
    }

    fn used(&self) -> Option<&UsedRow> {
        self.looked.as_ref()?.profile.as_ref()
    }

    fn may_write(&self) -> bool {
        !self.working && matches!(self.stage, Stage::Looked | Stage::Writing)
    }

    fn is_written(&self) -> bool {
        self.stage == Stage::Written
    }

    fn is_receiving(&self) -> bool {
        self.stage == Stage::Receiving
    }

    /// Whether the writing was broken off.
    fn goes_on(&self) -> bool {
        self.stage == Stage::Writing
    }
}

/// A file with what a look at it found.
pub fn census_file(page: &Page, view: &FileView) -> String {
    let upload = view.upload;
    let progress = match view.rows {
        None => page.t("imports.queued").to_owned(),
        Some(rows) => page.fill("imports.rows_so_far", "count", rows),
    };
    write(&FilePage {
        page: *page,
        upload,
        id: upload.id.to_string(),
        stage: upload.stage,
        stage_word: page.word("census_stage", upload.stage.as_str()),
        at: page.date_time(upload.at),
        size: megabytes(upload.bytes),
        received: megabytes(view.received),
        working: view.working,
        progress,
        looked: view.preview.map(|preview| looked(page, preview, view)),
        fields: fields(page, view.profiles, &upload.wishes),
        refusal: view.refusal.clone(),
        wrong: view.wrong.map(|refusal| page.catalogue.refusal_in_words(refusal)),
    })
}

fn looked(page: &Page, preview: &Preview, view: &FileView) -> Looked {
    let ImportSummary { read, created, updated, unchanged, duplicates, problems } = preview.summary;
    let here = |said: &std::collections::BTreeMap<String, Vec<String>>| {
        said.get(page.tag()).cloned().unwrap_or_default()
    };
    let outcomes = [
        ("created", created),
        ("updated", updated),
        ("unchanged", unchanged),
        ("duplicates", duplicates),
        ("problems", problems),
    ];
    let text = |line: u64| preview.twin_texts.get(&line).cloned().unwrap_or_default();
    let twins = preview.noted.twins.iter();
    Looked {
        profile: preview.profile.as_ref().map(|used| {
            let row = used_row(page, used, view.profiles.0);
            match view.upload.wishes.mapping {
                Some(_) => {
                    UsedRow { shown: format!("{} · {}", row.shown, page.t("mapping.changed_here")), ..row }
                }
                None => row,
            }
        }),
        understood: here(&preview.understood)
            .into_iter()
            .chain(preview.notes.iter().map(|note| note_in_words(page, note)))
            .collect(),
        crs: preview.crs.clone(),
        evidence: here(&preview.evidence),
        columns: preview
            .columns
            .iter()
            .map(|column| column_row(page, column, preview, view.lexicon))
            .collect(),
        read,
        outcomes: outcomes.iter().map(|(word, count)| (page.word("row_outcome", word), *count)).collect(),
        problems: problems + preview.noted.file_problems,
        kinds: preview.noted.kinds.iter().map(|kind| kind_row(page, kind)).collect(),
        duplicates,
        twins: twins
            .map(|twin| TwinRow {
                line: twin.line,
                text: text(twin.line),
                of: twin.of,
                of_text: text(twin.of),
            })
            .collect(),
        map: census_map(&preview.points, view.areas),
        to_correct: preview.to_correct,
        new_districts: preview.new_districts.iter().map(|(code, name)| format!("{code} {name}")).collect(),
    }
}

fn used_row(page: &Page, used: &ProfileUsed, built_in: &[Profile]) -> UsedRow {
    let may_save = !used.text.is_empty();
    match built_in.iter().find(|profile| profile.id == used.name) {
        Some(profile) => UsedRow {
            shown: if page.is_chinese() { profile.name_zh.clone() } else { profile.name_en.clone() },
            address: None,
            name: String::new(),
            may_save,
        },
        None => UsedRow {
            shown: format!("{}@{}", used.name, used.version),
            address: Some(percent_encode(&used.name)),
            name: used.name.clone(),
            may_save,
        },
    }
}

fn kind_row(page: &Page, kind: &crate::intake::Kind) -> KindRow {
    let samples: Vec<SampleRow> = kind
        .samples
        .iter()
        .map(|sample| SampleRow {
            place: page.fill("imports.line", "line", sample.line),
            read: if sample.column.is_empty() {
                sample.read.clone()
            } else {
                format!("{}: {}", sample.column, sample.read)
            },
            sentence: page.catalogue.stored_refusal_in_words(&kind.code, &sample.params),
        })
        .collect();
    let title = samples.first().map_or_else(|| kind.code.clone(), |sample| sample.sentence.clone());
    KindRow { title, count: kind.count, samples }
}

fn column_row(page: &Page, column: &ColumnLook, preview: &Preview, lexicon: Option<&Lexicon>) -> ColumnRow {
    let chosen = choice_of(&column.means);
    let offered = |value: String, word: String| Choice { chosen: value == chosen, value, word };
    let (mut uses, mut units) = (Vec::new(), Vec::new());
    if let Some(lexicon) = lexicon {
        uses.push(offered(AS_IT_IS.to_owned(), page.t("imports.kept").to_owned()));
        uses.push(offered(LEFT_OUT.to_owned(), page.t("imports.left_out_by_choice").to_owned()));
        let field = |field: &Field| offered(field.to_string(), page.word("import_field", field));
        uses.extend(Field::ALL.iter().map(field));
        let kept = |name: &str| offered(format!("{KEPT}{name}"), page.fill("imports.kept_as", "name", name));
        uses.extend(lexicon.attributes().map(kept));
        if uses.iter().all(|choice| !choice.chosen) {
            uses.push(offered(chosen.clone(), means(page.catalogue, &column.means)));
        }
        if let Means::Kept(name) = &column.means
            && lexicon.is_length(name)
        {
            let text = preview.profile.as_ref().map_or("", |used| &used.text);
            let now = unit_kept_in(text, name).unwrap_or_default();
            let unit = |unit: &str| Choice { value: unit.into(), word: unit.into(), chosen: unit == now };
            let unsaid = Choice { word: page.t("mapping.as_it_stands").to_owned(), ..unit("") };
            units = std::iter::once(unsaid).chain(lexicon.units().map(unit)).collect();
        }
    }
    let strange = match asks_for_values(column) {
        None => Vec::new(),
        Some(field) => {
            let offered = |value: &str, word: String| Choice { value: value.into(), word, chosen: false };
            let mut words = vec![
                offered("", page.t("mapping.value_open").to_owned()),
                offered(UNKNOWN, page.t("mapping.value_unknown").to_owned()),
            ];
            if field == Field::Class {
                words.push(offered(NOT_A_COVER, page.t("mapping.value_no_cover").to_owned()));
            }
            words
                .extend(field.words().into_iter().map(|word| offered(word, page.word(field.as_str(), word))));
            let row = |(text, count): &(String, u64)| StrangeRow {
                text: text.clone(),
                count: *count,
                words: words.clone(),
            };
            column.strange.iter().map(row).collect()
        }
    };
    ColumnRow {
        why: why(page, column),
        name: column.name.clone(),
        means: means(page.catalogue, &column.means),
        samples: column.samples.join(page.t("list.comma")),
        uses,
        units,
        strange,
    }
}

/// What speaks for what a column is taken for, and against.
fn why(page: &Page, column: &ColumnLook) -> String {
    let note = |note: &ColumnNote| note_in_words(page, note);
    let mut said: Vec<String> = column.notes.iter().map(note).collect();
    if !column.strange.is_empty() {
        let strange: Vec<String> =
            column.strange.iter().map(|(text, count)| format!("{text} ×{count}")).collect();
        said.push(page.fill("mapping.strange", "read", strange.join(page.t("list.comma"))));
    }
    said.join(" · ")
}

fn note_in_words(page: &Page, note: &ColumnNote) -> String {
    let facts: Vec<(&str, &str)> =
        note.facts.iter().map(|(name, value)| (name.as_str(), value.as_str())).collect();
    page.catalogue.mapping_note(&note.code, &facts)
}

/// What a column is taken for, in words.
pub fn means(catalogue: &Catalogue, means: &Means) -> String {
    match means {
        Means::Field(field) => catalogue.word("import_field", field),
        Means::Kept(name) => catalogue.fill("imports.kept_as", &[("name", name)]),
        Means::AsItIs => catalogue.text("imports.kept").to_owned(),
        Means::LeftOut => catalogue.text("imports.left_out").to_owned(),
    }
}
