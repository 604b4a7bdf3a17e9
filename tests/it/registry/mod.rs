//! Contract of the verbs and, beneath them, of every store function: each story on both engines.

mod abuse;
mod any_changes;
mod areas;
pub mod bulk_edits;
pub mod cases;
mod census;
mod citizens;
mod crew;
mod crew_watch;
pub(crate) mod deadlines;
pub mod editing;
pub(crate) mod ground;
mod history;
mod import_profiles;
mod imports;
mod meetings;
pub(crate) mod notices;
mod plate_steps;
mod plates;
pub(crate) mod quality;
mod report_desk;
mod retirement;
mod rewards;
pub(crate) mod sensors;
mod staff;
pub mod structure;
mod tasks;
