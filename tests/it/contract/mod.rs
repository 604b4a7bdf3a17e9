//! `openapi.yaml` against the router and against what the server really answers.

mod doors;
mod editing;
mod house;
mod photos;
mod refusals;
mod story;
