//! Lidmark: the identity service for manhole covers. ARCHITECTURE.md says which room does what.

pub mod demo;
pub mod domain;
pub mod import;
pub mod registry;
pub mod store;
