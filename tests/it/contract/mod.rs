//! `openapi.yaml` against the router and against what the server really answers.

mod doors;
pub mod house;
mod photos;
mod refusals;
mod story;
