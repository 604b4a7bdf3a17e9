//! The walls of ARCHITECTURE.md: which room may know which, read from the sources themselves.

use std::collections::BTreeSet;
use std::path::{Path, PathBuf};

use crate::support::checkout;

/// Who may import whom. A new arrow is a design change: draw it in ARCHITECTURE.md first.
pub const ARROWS: &[(&str, &[&str])] = &[
    ("domain", &[]),
    ("config", &["domain"]),
    ("messages", &["domain"]),
    ("spatial", &["domain"]),
    ("photos", &["domain"]),
    ("crs", &["domain"]),
    ("cql2", &["domain"]),
    ("layers", &["cql2", "spatial", "domain"]),
    ("import", &["crs", "domain"]),
    ("export", &["crs", "domain"]),
    ("plates", &["domain"]),
    ("tiles", &["domain"]),
    ("demo", &["domain"]),
    ("quality", &["spatial", "domain"]),
    ("questions", &["layers", "cql2", "spatial", "domain"]),
    ("stats", &["domain"]),
    ("store", &["domain"]),
    ("registry", &["store", "spatial", "domain"]),
    ("outbox", &["registry", "messages", "config", "domain"]),
    ("sensors", &["registry", "config", "domain"]),
    ("intake", &["registry", "import", "domain"]),
    ("outlet", &["registry", "export", "crs", "spatial", "messages", "photos", "domain"]),
    ("press", &["registry", "plates", "messages", "config", "domain"]),
    (
        "http",
        &[
            "registry",
            "intake",
            "outlet",
            "press",
            "import",
            "crs",
            "cql2",
            "layers",
            "plates",
            "quality",
            "questions",
            "stats",
            "spatial",
            "tiles",
            "photos",
            "messages",
            "config",
            "domain",
        ],
    ),
    (
        "commands",
        &[
            "http", "outbox", "sensors", "demo", "registry", "intake", "outlet", "press", "import", "crs",
            "plates", "spatial", "tiles", "photos", "messages", "config", "domain",
        ],
    ),
];

/// One source file, without its comments and texts.
struct Source {
    path: PathBuf,
    room: String,
    /// Folders between `src` and the module of this file: 1 for `src/http/mod.rs`.
    depth: usize,
    code: String,
}

fn sources() -> Vec<Source> {
    let root = checkout().join("src");
    let mut found = Vec::new();
    walk(&root, &mut found);
    assert!(found.len() > 10, "no sources under {}", root.display());
    found
        .into_iter()
        .map(|path| {
            let inside = path.strip_prefix(&root).expect("it was found there").with_extension("");
            let mut parts: Vec<String> =
                inside.iter().map(|part| part.to_string_lossy().into_owned()).collect();
            if parts.last().is_some_and(|last| matches!(last.as_str(), "mod" | "lib" | "main")) {
                parts.pop();
            }
            let text = std::fs::read_to_string(&path).expect("sources are readable");
            Source {
                room: parts.first().cloned().unwrap_or_else(|| "the top".into()),
                depth: parts.len(),
                code: without_comments_and_texts(&text),
                path: path.strip_prefix(checkout()).expect("it was found there").to_owned(),
            }
        })
        .collect()
}

fn walk(folder: &Path, found: &mut Vec<PathBuf>) {
    let mut entries: Vec<PathBuf> = std::fs::read_dir(folder)
        .expect("sources are readable")
        .flatten()
        .map(|entry| entry.path())
        .collect();
    entries.sort();
    for entry in entries {
        if entry.is_dir() {
            walk(&entry, found);
        } else if entry.extension().is_some_and(|extension| extension == "rs") {
            found.push(entry);
        }
    }
}

/// Blanks out comments, strings and character literals, so that a word in a sentence is no import.
fn without_comments_and_texts(text: &str) -> String {
    let bytes = text.as_bytes();
    let mut out = String::with_capacity(text.len());
    let mut at = 0;
    while at < bytes.len() {
        let rest = &text[at..];
        let skip = if rest.starts_with("//") {
            rest.find('\n').unwrap_or(rest.len())
        } else if rest.starts_with("/*") {
            rest.find("*/").map_or(rest.len(), |end| end + 2)
        } else if let Some(len) = raw_text_len(rest) {
            len
        } else if rest.starts_with('"') {
            text_len(rest)
        } else if let Some(escape) = rest.strip_prefix("'\\") {
            // The escaped character may itself be a quote, so the search starts behind it.
            escape[1..].find('\'').map_or(rest.len(), |end| end + 4)
        } else if rest.starts_with('\'') && rest.chars().nth(2) == Some('\'') {
            rest.char_indices().nth(3).map_or(rest.len(), |(end, _)| end)
        } else {
            let character = rest.chars().next().expect("there is a rest");
            out.push(character);
            at += character.len_utf8();
            continue;
        };
        out.push(' ');
        at += skip;
    }
    out
}

fn raw_text_len(rest: &str) -> Option<usize> {
    let after = rest.strip_prefix('r')?;
    let hashes = after.bytes().take_while(|byte| *byte == b'#').count();
    if !after[hashes..].starts_with('"') {
        return None;
    }
    let end = format!("\"{}", "#".repeat(hashes));
    let body = 1 + hashes + 1;
    Some(rest[body..].find(&end).map_or(rest.len(), |found| body + found + end.len()))
}

fn text_len(rest: &str) -> usize {
    let mut escaped = false;
    for (at, character) in rest.char_indices().skip(1) {
        match character {
            _ if escaped => escaped = false,
            '\\' => escaped = true,
            '"' => return at + 1,
            _ => {}
        }
    }
    rest.len()
}

/// The first names behind every `root`, groups in braces included: `crate::{a::b, c}` names a and c.
fn names_behind(code: &str, root: &str) -> BTreeSet<String> {
    let mut names = BTreeSet::new();
    for (at, _) in code.match_indices(root) {
        let before = code[..at].chars().next_back();
        if before.is_some_and(|c| c.is_alphanumeric() || c == '_' || c == ':') {
            continue;
        }
        let rest = code[at + root.len()..].trim_start();
        if let Some(group) = rest.strip_prefix('{') {
            names.extend(first_names_of_group(group));
        } else {
            names.insert(first_name(rest));
        }
    }
    names.remove("");
    names
}

fn first_name(text: &str) -> String {
    text.trim_start().chars().take_while(|c| c.is_alphanumeric() || *c == '_').collect()
}

fn first_names_of_group(group: &str) -> Vec<String> {
    let mut names = vec![first_name(group)];
    let mut depth = 1;
    for (at, character) in group.char_indices() {
        match character {
            '{' => depth += 1,
            '}' => depth -= 1,
            ',' if depth == 1 => names.push(first_name(&group[at + 1..])),
            _ => {}
        }
        if depth == 0 {
            break;
        }
    }
    names
}

/// The code before the unit tests.
fn without_unit_tests(code: &str) -> &str {
    code.split("#[cfg(test)]").next().unwrap_or(code)
}

#[test]
fn no_room_knows_more_than_its_walls_allow() {
    let rooms: BTreeSet<&str> = ARROWS.iter().map(|(room, _)| *room).collect();
    let mut holes = Vec::new();
    for source in sources() {
        let knows = names_behind(&source.code, "crate::");
        if source.depth == 0 {
            continue;
        }
        let Some((_, allowed)) = ARROWS.iter().find(|(room, _)| *room == source.room) else {
            holes.push(format!("{}: a room that ARCHITECTURE.md does not draw", source.path.display()));
            continue;
        };
        for known in knows.iter().filter(|known| rooms.contains(known.as_str()) && **known != source.room) {
            if !allowed.contains(&known.as_str()) {
                holes.push(format!(
                    "{}: {} must not know {known}; it may know {allowed:?}",
                    source.path.display(),
                    source.room
                ));
            }
        }
        let up = "super::".repeat(source.depth);
        let escapes = names_behind(without_unit_tests(&source.code), &up);
        if let Some(name) = escapes.iter().find(|name| rooms.contains(name.as_str())) {
            holes.push(format!(
                "{}: write crate::{name}, so that this test can see it",
                source.path.display()
            ));
        }
    }
    assert!(holes.is_empty(), "{}", holes.join("\n"));
}

#[test]
fn sql_is_spoken_in_the_store_alone() {
    // A GeoPackage is a foreign SQLite file; its reader opens it by itself and sees nothing of ours.
    let foreign = ["src/import/geopackage.rs", "src/import/areas/geopackage.rs"].map(Path::new);
    for source in
        sources().iter().filter(|source| source.room != "store" && !foreign.contains(&&*source.path))
    {
        let code = without_unit_tests(&source.code);
        assert!(
            names_behind(code, "sqlx::").is_empty() && !code.contains("use sqlx"),
            "{} speaks SQL; that is the store's",
            source.path.display()
        );
    }
}

#[test]
fn handlers_never_see_the_store() {
    for source in sources().iter().filter(|source| source.room == "http") {
        assert!(
            !names_behind(&source.code, "crate::").contains("store") && !source.code.contains("StoreError"),
            "{} sees the store; a verb of the registry is missing",
            source.path.display()
        );
    }
}

#[test]
fn the_environment_is_read_in_one_place() {
    const READS: [&str; 5] = ["env::var", "env::vars", "env::var_os", "env::args", "dotenv"];
    for source in sources().iter().filter(|source| source.room != "config" && source.room != "main") {
        for read in READS {
            // `env!` is the compiler's; a hit must be the function.
            assert!(
                !source.code.contains(read),
                "{} reads the environment ({read}); config.rs parses everything once",
                source.path.display()
            );
        }
    }
}

#[test]
fn the_domain_is_pure() {
    const IMPURE: [&str; 9] =
        ["async fn", ".await", "axum", "tokio", "sqlx", "std::fs", "std::net", "SystemTime", "now_utc"];
    for source in sources().iter().filter(|source| source.room == "domain") {
        for impure in IMPURE {
            assert!(
                !without_unit_tests(&source.code).contains(impure),
                "{} is not pure: {impure}",
                source.path.display()
            );
        }
    }
}

#[test]
fn both_engines_have_the_same_migrations() {
    let names = |engine: &str| -> BTreeSet<String> {
        let Ok(folder) = std::fs::read_dir(checkout().join("migrations").join(engine)) else {
            return BTreeSet::new();
        };
        folder.flatten().map(|entry| entry.file_name().to_string_lossy().into_owned()).collect()
    };
    assert_eq!(names("sqlite"), names("postgres"));
}

#[test]
fn every_module_says_what_it_is_for() {
    for source in sources() {
        let text = std::fs::read_to_string(checkout().join(&source.path)).expect("sources are readable");
        assert!(
            text.starts_with("//!") || source.path.ends_with("main.rs"),
            "{} does not say what it is for and what it leaves to others",
            source.path.display()
        );
    }
}

#[test]
fn the_reader_of_this_test_understands_rust_well_enough() {
    let code = without_comments_and_texts(
        r##"use crate::{domain::{Refusal, ids}, store::Tx}; // crate::http
            let text = "crate::tiles \" crate::plates"; let c = '"'; let raw = r#"crate::import"#;
            let other = crate::spatial::range(); let e = '\''; mycrate::photos(); let life: &'static str;"##,
    );
    let names: Vec<String> = names_behind(&code, "crate::").into_iter().collect();
    assert_eq!(names, ["domain", "spatial", "store"]);
}
