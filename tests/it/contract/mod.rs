//! `openapi.yaml` against the router and against what the server really answers.

mod abuse;
mod areas;
mod citizens;
mod crew;
mod crew_shell;
mod doors;
mod editing;
mod five_doors;
mod hazard_loop;
pub mod house;
mod import_desk;
mod map_page;
mod notices;
mod ogc;
mod open311;
mod photos;
mod plate_batches;
mod plate_designs;
mod profiles;
mod quality;
mod receivers;
mod refusals;
mod rewards;
mod sensors;
mod statistics;
mod story;
mod tasks;
