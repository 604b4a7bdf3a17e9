//! Lidmark: the identity service for manhole covers. ARCHITECTURE.md says which room does what.

pub mod config;
pub mod domain;
pub mod outbox;
pub mod photos;
pub mod import;
pub mod registry;
pub mod spatial;
pub mod store;
pub mod tiles;
pub mod plates;
