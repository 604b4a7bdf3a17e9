//! Lidmark: the identity service for manhole covers. ARCHITECTURE.md says which room does what.

pub mod domain;
pub mod registry;
pub mod store;
