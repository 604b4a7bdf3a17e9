//! Texts that people look for.

use super::EngineKind;

/// Compares a column with a pattern, capitals or not. PostgreSQL's LIKE would heed them, SQLite's does not.
pub(super) fn like(engine: EngineKind) -> &'static str {
    match engine {
        EngineKind::Sqlite => " LIKE ",
        EngineKind::Postgres => " ILIKE ",
    }
}

/// The pattern of a part of a text; wants `ESCAPE '\\'` behind it.
pub(super) fn part_of(text: &str) -> String {
    let escaped = text.replace('\\', "\\\\").replace('%', "\\%").replace('_', "\\_");
    format!("%{escaped}%")
}

/// The same of a text in JSON.
pub(super) fn part_of_json(text: &str) -> String {
    let quoted = serde_json::to_string(text).expect("a text is always JSON");
    part_of(&quoted[1..quoted.len() - 1])
}
