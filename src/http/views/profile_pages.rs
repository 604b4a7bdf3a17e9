//! 导入方案: what is saved under which name, the versions of one, and what a new one would change.

use askama::Template;

use super::line_diff::{Differs, differs};
use super::{Names, Page, write};
use crate::domain::Refusal;
use crate::domain::import_profile::{NAME_LIMIT, SavedProfile, WHY_LIMIT};
use crate::http::percent_encode;
use crate::import::Profile;

/// A version as it is about to be saved.
#[derive(Debug, Clone, Default)]
pub struct ProfileDraft {
    pub name: String,
    pub why: String,
    /// TOML; blank where none is chosen yet.
    pub text: String,
}

/// What the page of all profiles shows.
pub struct ProfileListView<'a> {
    pub saved: &'a [SavedProfile],
    pub built_in: &'a [Profile],
    pub names: Names<'a>,
    pub draft: &'a ProfileDraft,
    pub wrong: Option<&'a Refusal>,
}

struct VersionRow {
    name: String,
    /// For addresses.
    address: String,
    version: i64,
    who: String,
    at: String,
    why: String,
    removed: bool,
}

struct BuiltInRow {
    id: String,
    word: String,
}

#[derive(Template)]
#[template(path = "profiles.html")]
struct ListPage<'a> {
    page: Page<'a>,
    rows: Vec<VersionRow>,
    built_in: Vec<BuiltInRow>,
    draft: &'a ProfileDraft,
    wrong: Option<String>,
    name_limit: usize,
    why_limit: usize,
}

fn row(page: &Page, names: Names, profile: &SavedProfile) -> VersionRow {
    VersionRow {
        name: profile.name.to_string(),
        address: percent_encode(profile.name.as_str()),
        version: profile.version,
        who: names.who(page, &profile.actor),
        at: page.date_time(profile.saved_at),
        why: profile.why.clone(),
        removed: profile.removed_at.is_some(),
    }
}

/// All profiles.
pub fn profile_list(page: &Page, view: &ProfileListView) -> String {
    let built_in = |profile: &Profile| BuiltInRow {
        id: profile.id.clone(),
        word: if page.is_chinese() { profile.name_zh.clone() } else { profile.name_en.clone() },
    };
    write(&ListPage {
        page: *page,
        rows: view.saved.iter().map(|saved| row(page, view.names, saved)).collect(),
        built_in: view.built_in.iter().map(built_in).collect(),
        draft: view.draft,
        wrong: view.wrong.map(|refusal| page.catalogue.refusal_in_words(refusal)),
        name_limit: NAME_LIMIT,
        why_limit: WHY_LIMIT,
    })
}

#[derive(Template)]
#[template(path = "profile.html")]
struct ProfilePage<'a> {
    page: Page<'a>,
    name: &'a str,
    address: String,
    rows: Vec<VersionRow>,
    /// Of the newest version.
    text: &'a str,
    why_limit: usize,
    offered: bool,
}

/// One profile with its versions, the newest first.
pub fn profile_versions(page: &Page, versions: &[SavedProfile], names: Names) -> String {
    let newest = versions.first();
    let name = newest.map_or("", |newest| newest.name.as_str());
    write(&ProfilePage {
        page: *page,
        name,
        address: percent_encode(name),
        rows: versions.iter().map(|version| row(page, names, version)).collect(),
        text: newest.map_or("", |newest| &newest.text),
        why_limit: WHY_LIMIT,
        offered: versions.iter().any(|version| version.removed_at.is_none()),
    })
}

struct DiffLine {
    kind: &'static str,
    sign: &'static str,
    text: String,
}

#[derive(Template)]
#[template(path = "profile_look.html")]
struct LookPage<'a> {
    page: Page<'a>,
    draft: &'a ProfileDraft,
    /// The newest version that there is; 0 = none.
    seen: i64,
    next: String,
    /// Whether the newest version is offered and says the same.
    same: bool,
    lines: Vec<DiffLine>,
    /// The page of the file that was read by it.
    file: Option<&'a str>,
}

/// What saving a version would change; nothing is saved yet.
pub fn profile_look(
    page: &Page,
    draft: &ProfileDraft,
    newest: Option<&SavedProfile>,
    file: Option<&str>,
) -> String {
    let seen = newest.map_or(0, |newest| newest.version);
    let line = |one: Differs| match one {
        Differs::Gone(text) => DiffLine { kind: "gone", sign: "−", text },
        Differs::New(text) => DiffLine { kind: "new", sign: "+", text },
        Differs::Same(count) => {
            DiffLine { kind: "same", sign: "…", text: page.fill("profiles.same_lines", "count", count) }
        }
    };
    let lines = newest.map(|newest| differs(&newest.text, &draft.text)).unwrap_or_default();
    write(&LookPage {
        page: *page,
        draft,
        seen,
        next: format!("{}@{}", draft.name, seen + 1),
        same: lines.is_empty() && newest.is_some_and(|newest| newest.removed_at.is_none()),
        lines: lines.into_iter().map(line).collect(),
        file,
    })
}
