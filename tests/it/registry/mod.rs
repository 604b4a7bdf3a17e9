//! Contract of the verbs and, beneath them, of every store function: each story on both engines.

mod areas;
mod cases;
mod census;
pub(crate) mod ground;
mod history;
mod plates;
mod report_desk;
mod staff;
