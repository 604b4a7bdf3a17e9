use crate::config::Config;
use crate::domain::Refusal;
use crate::domain::case::*;
use crate::domain::cover::*;
use crate::domain::hazard::Hazard;
use crate::domain::history::HistoryEntry;
use crate::domain::ids::*;
use crate::domain::plate::Plate;
use crate::domain::token::Token;
use crate::messages::Catalogue;
use crate::registry::*;
use crate::spatial::Near;
pub struct Page<'a> {
    pub catalogue: &'a Catalogue,
    pub config: &'a Config,
    pub session: Option<&'a Session>,
    pub path: &'a str,
    pub now: Millis,
}
pub fn home(_: &Page, _: Option<(&str, &Refusal)>) -> String {
    String::new()
}
pub fn scan(_: &Page, _: &ScannedPlate, _: &str) -> String {
    String::new()
}
pub fn blank_plate(_: &Page, _: Token) -> String {
    String::new()
}
pub fn withdrawn_plate(_: &Page, _: &ScannedPlate, _: Option<Token>) -> String {
    String::new()
}
pub fn unknown_plate(_: &Page) -> String {
    String::new()
}
pub struct ReportDraft {
    pub key: IdempotencyKey,
    pub hazard: Option<Hazard>,
    pub description: String,
    pub contact: String,
}
pub fn report_form(_: &Page, _: &ScannedPlate, _: &ReportDraft, _: Option<&Refusal>) -> String {
    String::new()
}
pub fn tracking(_: &Page, _: &str, _: &Tracked) -> String {
    String::new()
}
pub fn login(_: &Page, _: &str, _: Option<&str>) -> String {
    String::new()
}
pub struct CaseQuery {
    pub state: String,
    pub hazard: String,
    pub district: String,
    pub party: String,
    pub emergency: String,
    pub text: String,
}
pub fn case_list(
    _: &Page,
    _: &CaseQuery,
    _: &[CaseLine],
    _: Option<&str>,
    _: &[District],
    _: &[Party],
    _: Option<&Refusal>,
) -> String {
    String::new()
}
pub fn case_file(
    _: &Page,
    _: &CaseFile,
    _: &[&MoveRule],
    _: &[Party],
    _: IdempotencyKey,
    _: Option<&Refusal>,
) -> String {
    String::new()
}
pub struct CoverView<'a> {
    pub file: &'a CoverFile,
    pub code_grouped: &'a str,
    pub plates: &'a [Plate],
    pub cases: &'a [Case],
    pub photos: &'a [PhotoRecord],
    pub history: &'a [HistoryEntry],
    pub chain: ChainState,
    pub neighbors: &'a [Near],
}
pub fn cover_file(_: &Page, _: &CoverView, _: Option<&Refusal>) -> String {
    String::new()
}
pub fn error(_: &Page, _: u16, _: &Refusal) -> String {
    String::new()
}
