//! Everything that crosses rooms, in one binary, foldered like `src`.
#![allow(clippy::unwrap_used, reason = "a panic is how a test fails")]
#![allow(clippy::type_complexity, reason = "a table of examples is read where it stands")]

mod architecture;
mod browser;
mod campaign_pages;
mod citizen_pages;
mod commands;
mod contract;
mod crew_kill;
mod crew_page;
mod crs;
mod editing_pages;
mod export;
mod faults;
mod gis_clients;
mod import;
mod import_desk;
mod kill;
mod map_page;
mod mirror;
mod notice_pages;
mod outbox;
mod plate_pages;
mod plates;
mod quality_pages;
mod question_panel;
mod receiver_pages;
mod registry;
mod rooms;
mod self_test;
mod sensor_pages;
mod sensors;
mod spatial;
mod stranger_pages;
#[allow(dead_code, reason = "the ground is also laid for stories to come")]
mod support;
mod tour;
mod year;
