//! The report of a campaign as a document: what its page shows, on paper.

use super::Page;
use super::campaign_pages::{
    CampaignView, ProgressRow, by_crew, by_district, by_street, facts, questions, trouble_lines,
};
use crate::domain::cover::CoverClass;
use crate::plates::{Body, Dossier, Section};

/// What the report says. `address` is the campaign's page, in full.
pub fn campaign_paper(page: &Page, view: &CampaignView, address: String) -> Dossier {
    let section = |key: &'static str, body| Section { heading: page.catalogue.text(key).to_owned(), body };
    let rows = |rows: Vec<ProgressRow>| {
        let said = |row: ProgressRow| {
            let values = said(page, &row);
            (row.name, values)
        };
        Body::Facts(rows.into_iter().map(said).collect())
    };
    let districts = by_district(page, view);
    let mut total = crate::domain::campaign::Progress::default();
    view.counts.iter().for_each(|count| total.add(count.state, count.result, count.count));
    let total =
        ProgressRow { name: page.t("campaigns.total").to_owned(), percent: total.percent(), progress: total };
    let answers = questions(page, view.questions).into_iter().map(|row| {
        (row.text, format!("{} · {}", page.fill("campaigns.answered_by", "count", row.answered), row.said))
    });
    let round = page.fill("campaigns.round_of", "round", view.round.max(1));
    Dossier {
        title: page.t("campaigns.report_title").to_owned(),
        code: short_name(&view.campaign.name),
        lead: vec![view.campaign.name.clone(), round, said(page, &total)],
        class: CoverClass::Unidentified,
        address_hint: page.t("campaigns.symbol").to_owned(),
        sections: vec![
            section("campaigns.about", Body::Facts(facts(page, view))),
            section("campaigns.by_district", rows(districts)),
            section("campaigns.by_crew", rows(by_crew(page, view))),
            section("campaigns.by_street", rows(by_street(page, view))),
            section("campaigns.questions", Body::Lines(answers.collect())),
            section("campaigns.troubled", Body::Lines(trouble_lines(page, view))),
        ],
        footer: page
            .catalogue
            .fill("campaigns.footer", &[("city", page.city()), ("at", &page.date_time(page.now))]),
        dated: page.now,
        address,
    }
}

/// A name as it fits beside the symbol.
fn short_name(name: &str) -> String {
    let fits: String = name.chars().take(20).collect();
    if fits.len() < name.len() { format!("{fits}…") } else { fits }
}

/// A row in one line.
fn said(page: &Page, row: &ProgressRow) -> String {
    let of = &row.progress;
    let values = [
        ("percent", row.percent),
        ("done", of.done),
        ("total", of.total),
        ("trouble", of.trouble),
        ("unseen", of.unseen),
        ("missed", of.missed),
        ("open", of.open),
    ];
    let values: Vec<(&str, String)> = values.iter().map(|(name, value)| (*name, value.to_string())).collect();
    let values: Vec<(&str, &str)> = values.iter().map(|(name, value)| (*name, value.as_str())).collect();
    page.catalogue.fill("campaigns.said", &values)
}
