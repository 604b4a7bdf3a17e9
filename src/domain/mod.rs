//! Nouns and rules, pure: no async, no SQL, no HTTP, no clock.
//! Everything here can be called from every other room; nothing here calls out.

pub mod abuse;
pub mod archive;
mod archive_tables;
pub mod area;
pub mod calendar;
pub mod campaign;
pub mod case;
pub mod case_ask;
pub mod case_clock;
pub mod checklist;
pub mod claim;
pub mod clock;
pub mod code;
pub mod cover;
pub mod crew;
pub mod edit;
pub mod formula;
pub mod hazard;
pub mod history;
pub mod ids;
pub mod import_profile;
pub mod import_run;
pub mod limits;
pub mod meeting;
pub mod names;
pub mod notice;
pub mod open311;
pub mod plate;
pub mod plate_batch;
pub mod position;
pub mod quality;
pub mod receiver;
pub mod refusal;
pub mod reward;
pub mod role;
pub mod routing;
pub mod rule_set;
pub mod rule_text;
pub mod sensor;
pub mod sensor_message;
pub mod sensor_watch;
pub mod task;
pub mod token;
pub mod triage;

pub use refusal::Refusal;
