//! The file of a cover as a document: what its page shows, on paper.

use super::Page;
use super::case_pages::Shot;
use super::cover_page::{CoverView, facts};
use super::words::{joined, lines};
use crate::plates::{Body, Dossier, Section};
use crate::registry::ChainState;

/// What the document says. `address` is its own, in full; its pictures are the photos of the view.
pub fn cover_paper(page: &Page, view: &CoverView, address: String) -> Dossier {
    let file = view.file;
    let proof = match view.chain {
        ChainState::Whole { length } => page.fill("file.proof_whole", "count", length),
        ChainState::Broken { sequence } => page.fill("file.proof_broken", "sequence", sequence),
    };
    let mut history = vec![(proof, head_of(view))];
    // Paper is read from the beginning.
    history.extend(lines(page, view.names, view.history).into_iter().rev().map(|line| {
        let said = format!("#{}  {}  {}  {}", line.sequence, line.at, line.who, line.what);
        (said, line.details.join("  ·  "))
    }));
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
    let section = |key: &'static str, body| Section { heading: page.catalogue.text(key).to_owned(), body };
    Dossier {
        title: page.catalogue.text("paper.title").to_owned(),
        code: page.code(&file.code),
        lead: vec![page.word("class", file.survey.class), page.place(file)],
        class: file.survey.class,
        address_hint: page.catalogue.text("paper.symbol").to_owned(),
        sections: vec![
            section("file.facts", Body::Facts(facts(page, file))),
            section("file.extra", Body::Facts(extra.collect())),
            section("file.plates", Body::Lines(plates.collect())),
            section("file.cases", Body::Lines(cases.collect())),
            section("case.photo_list", Body::Pictures(photos.collect())),
            section("file.history", Body::Lines(history)),
        ],
        footer: page.catalogue.fill(
            "paper.footer",
            &[("city", page.city()), ("code", &page.code(&file.code)), ("at", &page.date_time(page.now))],
        ),
        dated: page.now,
        address,
    }
}

/// The last hash of the chain: whoever keeps the paper can tell whether the file was rewritten since.
fn head_of(view: &CoverView) -> String {
    let last = view.history.last().map(|entry| entry.hash).unwrap_or_default();
    let hex: String = last.iter().map(|byte| format!("{byte:02x}")).collect();
    format!("SHA-256 {hex}")
}
