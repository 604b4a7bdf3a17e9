//! A 督办单 on paper: the letter that is signed, sent, confirmed and kept.

use super::Page;
use super::words::{Names, joined};
use crate::plates::{Letter, LetterTable, Slip};
use crate::registry::{NoticeFile, NoticeItem};

/// What the letter says. It is dated by the notice, so that printing it again makes the same bytes.
pub fn notice_paper(page: &Page, file: &NoticeFile, names: Names) -> Letter {
    let t = |key: &'static str| page.catalogue.text(key).to_owned();
    let notice = &file.notice;
    let number = number_words(page, file);
    let due = page.date(notice.due_at);
    let parties: Vec<&str> = file.parties.iter().map(|one| one.name.as_str()).collect();
    let parties = parties.join(page.catalogue.text("list.comma"));
    let dated = notice.issued_at.unwrap_or(notice.created_at);
    let columns = [
        ("notices.ordinal", 1.0),
        ("desk.number", 2.5),
        ("desk.hazard", 2.4),
        ("desk.place", 4.2),
        ("desk.code", 3.9),
        ("desk.party", 2.9),
        ("notices.due", 2.2),
    ];
    let rows = file.items.iter().enumerate().map(|(at, item)| {
        let party = file.parties.iter().find(|one| one.party == item.party);
        vec![
            (at + 1).to_string(),
            item.number.clone(),
            page.word("hazard", item.hazard),
            place(page, names, item),
            item.code.as_ref().map(|code| page.code(code)).unwrap_or_default(),
            party.map(|one| one.name.clone()).unwrap_or_default(),
            due.clone(),
        ]
    });
    let fill = |key: &'static str, values: &[(&str, &str)]| page.catalogue.fill(key, values);
    Letter {
        head: fill("letter.head", &[("city", page.city())]),
        number: number.clone(),
        title: notice.title.clone(),
        to: fill("letter.to", &[("parties", &parties)]),
        paragraphs: vec![notice.body.clone()],
        table: LetterTable {
            columns: columns.map(|(key, share)| (t(key), share)).into(),
            rows: rows.collect(),
        },
        closing: vec![fill(
            "letter.closing",
            &[("due", &due), ("count", &file.items.len().to_string()), ("hotline", &page.config.hotline)],
        )],
        signature: vec![page.city().to_owned(), page.date(dated)],
        slip: notice.number.map(|_| Slip {
            title: t("letter.slip"),
            text: fill("letter.slip_text", &[("number", &number), ("title", &notice.title)]),
            lines: ["letter.slip_party", "letter.slip_person", "letter.slip_phone", "letter.slip_date"]
                .map(t)
                .into(),
        }),
        footer: fill("letter.footer", &[("city", page.city()), ("number", &number)]),
        dated,
    }
}

/// 〔2026〕12号; of a draft that it is one.
pub(super) fn number_words(page: &Page, file: &NoticeFile) -> String {
    match file.notice.number {
        Some(number) => page.catalogue.fill(
            "notices.number_words",
            &[("year", &number.year.to_string()), ("issue", &number.issue.to_string())],
        ),
        None => page.catalogue.text("notices.no_number").to_owned(),
    }
}

/// District, road and what is known beside.
pub(super) fn place(page: &Page, names: Names, item: &NoticeItem) -> String {
    let district = names.districts.iter().find(|district| district.code == item.district);
    let district = district.map_or(item.district.as_str(), |district| page.district(district));
    joined([Some(district), item.road.as_deref(), item.address.as_deref()])
}
