//! `openapi.yaml` against the router and against what the server really answers.

mod areas;
mod crew;
mod crew_shell;
mod doors;
mod editing;
pub mod house;
mod import_desk;
mod photos;
mod plate_batches;
mod plate_designs;
mod profiles;
mod quality;
mod refusals;
mod statistics;
mod story;
