//! The file of a cover as a document: what its page shows, on paper.

use super::Page;
use super::case_pages::Shot;
use super::cover_page::{CoverView, earlier_title, facts, proof};
use super::words::{Names, joined, lines};
use crate::domain::history::HistoryEntry;
use crate::plates::{Body, Dossier, Section};
use crate::registry::ChainState;

/// What the document says. `address` is its own, in full; its pictures are the photos of the view.
pub fn cover_paper(page: &Page, view: &CoverView, address: String) -> Dossier {
    let file = view.file;
    let plates = view.plates.iter().map(|plate| {
        let (state, at) = (page.word("plate_state", plate.state), page.date_time(plate.state_at));
        let said = [plate.token.grouped(), state, at];
        (joined(said.iter().map(|part| Some(part.as_str()))), String::new())
    });
    let cases = view.cases.iter().rev().map(|case| {
        let (hazard, state) = (page.word("hazard", case.hazard), page.word("case_state", case.state));
        let said = [case.number.clone(), hazard, state, page.date(case.created_at)];
        (joined(said.iter().map(|part| Some(part.as_str()))), String::new())
    });
    let photos = view.photos.iter().map(|photo| {
        let Shot { what, at, .. } = Shot::new(page, photo);
        joined([Some(what.as_str()), Some(&at)])
    });
    let extra = file.survey.extra.iter().map(|(name, value)| (name.clone(), value.clone()));
    let beside = view.beside.iter().map(|other| {
        let retired = other.retired.as_ref().map(|_| page.t("file.retired"));
        let (code, class) = (page.code(&other.code), page.word("class", other.survey.class));
        (joined([Some(code.as_str()), Some(&class), retired]), String::new())
    });
    let section = |key: &'static str, body| Section { heading: page.catalogue.text(key).to_owned(), body };
    let mut sections = vec![
        section("file.facts", Body::Facts(facts(page, file))),
        section("file.extra", Body::Facts(extra.collect())),
        section("file.beside", Body::Lines(beside.collect())),
        section("file.plates", Body::Lines(plates.collect())),
        section("file.cases", Body::Lines(cases.collect())),
        section("case.photo_list", Body::Pictures(photos.collect())),
        section("file.history", Body::Lines(history(page, view.names, view.chain, view.history))),
    ];
    sections.extend(view.earlier.iter().map(|earlier| Section {
        heading: earlier_title(page, earlier),
        body: Body::Lines(history(page, view.names, earlier.chain, &earlier.entries)),
    }));
    Dossier {
        title: page.catalogue.text("paper.title").to_owned(),
        code: page.code(&file.code),
        lead: lead(page, view),
        class: file.survey.class,
        address_hint: page.catalogue.text("paper.symbol").to_owned(),
        sections,
        footer: page.catalogue.fill(
            "paper.footer",
            &[("city", page.city()), ("code", &page.code(&file.code)), ("at", &page.date_time(page.now))],
        ),
        dated: page.now,
        address,
    }
}

/// What it is and where, that it is no longer in use, and the codes it had before.
fn lead(page: &Page, view: &CoverView) -> Vec<String> {
    let file = view.file;
    let mut lead = vec![page.word("class", file.survey.class), page.place(file)];
    if let Some(retired) = &file.retired {
        let reason = page.word("retire_reason", retired.reason);
        let said = format!("{}: {reason} {}", page.t("file.retired"), page.date_time(retired.at));
        let successor = retired.successor.as_ref();
        let successor =
            successor.map(|(_, code)| format!("{} {}", page.t("file.successor"), page.code(code)));
        lead.push(joined([Some(said.as_str()), successor.as_deref()]));
    }
    if !view.former.is_empty() {
        let codes: Vec<String> = view.former.iter().map(|code| page.code(code)).collect();
        lead.push(format!("{} {}", page.t("code.former"), codes.join(page.t("list.comma"))));
    }
    lead
}

/// The lines of a file from the beginning, as paper is read, behind the proof and the last hash of the chain:
/// whoever keeps the paper can tell whether the file was rewritten since.
fn history(page: &Page, names: Names, chain: ChainState, entries: &[HistoryEntry]) -> Vec<(String, String)> {
    let last = entries.last().map(|entry| entry.hash).unwrap_or_default();
    let hex: String = last.iter().map(|byte| format!("{byte:02x}")).collect();
    let mut said = vec![(proof(page, chain).1, format!("SHA-256 {hex}"))];
    said.extend(lines(page, names, entries).into_iter().rev().map(|line| {
        let first = format!("#{}  {}  {}  {}", line.sequence, line.at, line.who, line.what);
        (first, line.details.join("  ·  "))
    }));
    said
}
