//! Lidmark: the identity service for manhole covers. ARCHITECTURE.md says which room does what.

pub mod commands;
pub mod config;
pub mod cql2;
pub mod crs;
pub mod demo;
pub mod domain;
pub mod export;
pub mod http;
pub mod import;
pub mod intake;
pub mod layers;
pub mod messages;
pub mod outbox;
pub mod outlet;
pub mod photos;
pub mod plates;
pub mod press;
pub mod quality;
pub mod questions;
pub mod registry;
pub mod sensors;
pub mod spatial;
pub mod stats;
pub mod store;
pub mod tiles;
