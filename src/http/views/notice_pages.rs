//! 督办单: the list with what years come to, the form of a draft, one notice.

use askama::Template;

use super::case_pages::Shot;
use super::notice_paper::{number_words, place};
use super::words::{Choice, Names, joined};
use super::{Page, write};
use crate::domain::Refusal;
use crate::domain::case::PHOTO_LIMIT;
use crate::domain::hazard::Hazard;
use crate::domain::ids::{IdempotencyKey, PartyId};
use crate::domain::notice::{NoticeMove, NoticeStanding, NoticeState, percent, rate_tenths};
use crate::registry::{
    NOTICE_CASES, NoticeCandidate, NoticeFile, NoticeItem, NoticeLine, NoticeYear, OverdueParty,
};

/// What the list of notices shows.
pub struct NoticeListView<'a> {
    pub lines: &'a [NoticeLine],
    pub years: &'a [NoticeYear],
    pub overdue: &'a [OverdueParty],
    pub names: Names<'a>,
    /// Year, standing and party, as they stand in the address.
    pub query: [&'a str; 3],
    pub next: Option<String>,
    pub may_draft: bool,
    /// The reader sees one party's notices.
    pub is_party: bool,
}

struct ListRow {
    reference: String,
    number: String,
    title: String,
    standing: String,
    standing_key: &'static str,
    is_late: bool,
    issued: String,
    due: String,
    items: i64,
    struck_off: i64,
    answered: i64,
    parties: i64,
    confirmed: i64,
}

struct YearRow {
    name: String,
    /// `None` for all of them together.
    address: Option<String>,
    notices: i64,
    items: i64,
    struck_off: i64,
    rate: String,
}

struct LateRow {
    name: String,
    address: String,
    notices: i64,
    items: i64,
    oldest: String,
}

#[derive(Template)]
#[template(path = "notices.html")]
struct ListPage<'a> {
    page: Page<'a>,
    rows: Vec<ListRow>,
    years: Vec<YearRow>,
    overdue: Vec<LateRow>,
    year_choices: Vec<Choice>,
    standings: Vec<Choice>,
    parties: Vec<Choice>,
    next: Option<String>,
    may_draft: bool,
    is_party: bool,
}

fn year_row(name: String, address: Option<String>, year: &NoticeYear) -> YearRow {
    YearRow {
        name,
        address,
        notices: year.notices,
        items: year.items,
        struck_off: year.struck_off,
        rate: rate_tenths(year.struck_off, year.items).map_or_else(|| "–".to_owned(), percent),
    }
}

fn party_choices(names: Names, chosen: &str) -> Vec<Choice> {
    let choice = |id: PartyId, name: &str| Choice {
        chosen: id.to_string() == chosen,
        value: id.to_string(),
        word: name.to_owned(),
    };
    names.parties.iter().map(|party| choice(party.id, &party.name)).collect()
}

/// The list.
pub fn notice_list(page: &Page, view: &NoticeListView) -> String {
    let [year, standing, party] = view.query;
    let rows = view.lines.iter().map(|line| {
        let notice = &line.notice;
        let standing = NoticeStanding::of(notice.state, notice.due_at, line.open, page.now);
        ListRow {
            reference: notice.reference(),
            number: match notice.number {
                Some(number) => page.catalogue.fill(
                    "notices.number_words",
                    &[("year", &number.year.to_string()), ("issue", &number.issue.to_string())],
                ),
                None => page.word("notice_state", notice.state),
            },
            title: notice.title.clone(),
            standing: page.word("notice_standing", standing),
            standing_key: standing.as_str(),
            is_late: standing == NoticeStanding::Overdue,
            issued: notice.issued_at.map_or_else(|| "–".to_owned(), |at| page.date(at)),
            due: page.date(notice.due_at),
            items: line.items,
            struck_off: line.struck_off,
            answered: line.answered,
            parties: line.parties,
            confirmed: line.confirmed,
        }
    });
    let mut years: Vec<YearRow> = view
        .years
        .iter()
        .map(|one| year_row(one.year.to_string(), Some(format!("/desk/notices?year={}", one.year)), one))
        .collect();
    if !view.years.is_empty() {
        let sum = NoticeYear::sum(view.years);
        years.push(year_row(page.fill("notices.since", "year", sum.year), None, &sum));
    }
    let overdue = view.overdue.iter().map(|one| LateRow {
        name: one.name.clone(),
        address: format!("/desk/notices?state=overdue&party={}", one.party),
        notices: one.notices,
        items: one.items,
        oldest: page.date(one.oldest_due_at),
    });
    let year_choices = view.years.iter().map(|one| one.year.to_string());
    write(&ListPage {
        page: *page,
        rows: rows.collect(),
        years,
        overdue: overdue.collect(),
        year_choices: year_choices
            .map(|word| Choice { chosen: word == year, value: word.clone(), word })
            .collect(),
        standings: NoticeStanding::ALL
            .iter()
            .map(|one| Choice {
                value: one.to_string(),
                word: page.word("notice_standing", one),
                chosen: one.as_str() == standing,
            })
            .collect(),
        parties: if view.is_party { Vec::new() } else { party_choices(view.names, party) },
        next: view.next.clone(),
        may_draft: view.may_draft,
        is_party: view.is_party,
    })
}

/// What somebody typed into the form of a draft.
#[derive(Debug, Clone, Default)]
pub struct NoticeForm {
    pub title: String,
    pub body: String,
    pub due: String,
    pub to: String,
    pub cases: Vec<String>,
}

/// The form of a new draft, with cases to choose from.
pub struct NoticeFormView<'a> {
    pub candidates: &'a [NoticeCandidate],
    pub names: Names<'a>,
    /// Party, hazard, district, days, whether only overdue and only fresh ones, as they stand in the address.
    pub query: [&'a str; 6],
    pub typed: &'a NoticeForm,
    pub key: IdempotencyKey,
    pub wrong: Option<&'a Refusal>,
}

struct CandidateRow {
    number: String,
    ticked: bool,
    hazard: String,
    is_hot: bool,
    state: String,
    place: String,
    party: String,
    created: String,
    notices: String,
}

#[derive(Template)]
#[template(path = "notice_form.html")]
struct FormPage<'a> {
    page: Page<'a>,
    rows: Vec<CandidateRow>,
    hazards: Vec<Choice>,
    districts: Vec<Choice>,
    parties: Vec<Choice>,
    to: Vec<Choice>,
    days: &'a str,
    overdue: bool,
    fresh: bool,
    typed: &'a NoticeForm,
    /// Numbers that no row stands for.
    cases: String,
    most: usize,
    key: String,
    wrong: Option<String>,
}

/// The form of a new draft.
pub fn notice_form(page: &Page, view: &NoticeFormView) -> String {
    let [party, hazard, district, days, overdue, fresh] = view.query;
    let rows: Vec<CandidateRow> = view
        .candidates
        .iter()
        .map(|one| {
            let line = &one.line;
            let district = if page.is_chinese() { &line.district_zh } else { &line.district_en };
            let notices: Vec<String> = one.notices.iter().map(ToString::to_string).collect();
            CandidateRow {
                ticked: view.typed.cases.contains(&line.case.number),
                number: line.case.number.clone(),
                hazard: page.word("hazard", line.case.hazard),
                is_hot: line.case.emergency,
                state: page.word("case_state", line.case.state),
                place: joined([Some(district.as_str()), line.road.as_deref()]),
                party: line.party_name.clone().unwrap_or_else(|| "–".to_owned()),
                created: page.date(line.case.created_at),
                notices: notices.join(page.t("list.comma")),
            }
        })
        .collect();
    let unlisted = view.typed.cases.iter().filter(|number| !rows.iter().any(|row| row.number == **number));
    let cases: Vec<&str> = unlisted.map(String::as_str).collect();
    write(&FormPage {
        page: *page,
        cases: cases.join("\n"),
        rows,
        hazards: Hazard::ALL
            .iter()
            .map(|one| Choice {
                value: one.to_string(),
                word: page.word("hazard", one),
                chosen: one.as_str() == hazard,
            })
            .collect(),
        districts: super::quality_pages::district_choices(page, view.names.districts, district),
        parties: party_choices(view.names, party),
        to: party_choices(view.names, &view.typed.to),
        days,
        overdue: overdue == "true",
        fresh: fresh == "true",
        typed: view.typed,
        most: NOTICE_CASES,
        key: view.key.to_string(),
        wrong: view.wrong.map(|refusal| page.catalogue.refusal_in_words(refusal)),
    })
}

/// What the page of a notice shows.
pub struct NoticeView<'a> {
    pub file: &'a NoticeFile,
    pub names: Names<'a>,
    /// For whom the reader speaks.
    pub own_party: Option<PartyId>,
    /// What went wrong, and what was typed.
    pub wrong: Option<(&'a Refusal, &'a NoticeForm)>,
}

struct PartyRow {
    name: String,
    confirmed: Option<String>,
    who: String,
}

struct ItemView {
    number: String,
    hazard: String,
    place: String,
    digits: String,
    code: String,
    party: String,
    state: String,
    state_key: &'static str,
    struck_off: Option<String>,
    feedback: Option<(String, String, String)>,
    shots: Vec<Shot>,
    /// Of the form for what is said of it; `None` where the reader says nothing.
    key: Option<String>,
    /// Typed already, where it was refused.
    typed: String,
}

#[derive(Template)]
#[template(path = "notice.html")]
struct FilePage<'a> {
    page: Page<'a>,
    file: &'a NoticeFile,
    reference: String,
    number: String,
    standing: String,
    standing_key: &'static str,
    due: String,
    created: String,
    created_by: String,
    issued: Option<(String, String)>,
    withdrawn: Option<(String, &'a str)>,
    reminded: Option<String>,
    parties: Vec<PartyRow>,
    items: Vec<ItemView>,
    struck_off: usize,
    may_edit: bool,
    may_issue: bool,
    may_withdraw: bool,
    may_confirm: bool,
    opens_cases: bool,
    typed: NoticeForm,
    to: Vec<Choice>,
    photo_limit: usize,
    keys: [String; 4],
    wrong: Option<String>,
}

fn item_view(page: &Page, view: &NoticeView, item: &NoticeItem) -> ItemView {
    let party = view.file.parties.iter().find(|one| one.party == item.party);
    let says = view.own_party == Some(item.party) && view.file.moves.contains(&NoticeMove::Feedback);
    let typed = view.wrong.filter(|(_, typed)| typed.cases.contains(&item.number) && says);
    let shots = view.file.photos.iter().filter(|photo| photo.case == Some(item.case));
    ItemView {
        number: item.number.clone(),
        hazard: page.word("hazard", item.hazard),
        place: place(page, view.names, item),
        digits: item.code.as_ref().map(|code| code.digits.clone()).unwrap_or_default(),
        code: item.code.as_ref().map(|code| page.code(code)).unwrap_or_default(),
        party: party.map(|one| one.name.clone()).unwrap_or_default(),
        state: page.word("case_state", item.state),
        state_key: item.state.as_str(),
        struck_off: item.closed_at.map(|at| page.date(at)),
        feedback: item
            .feedback
            .as_ref()
            .map(|said| (said.text.clone(), page.date_time(said.at), view.names.who(page, &said.by))),
        shots: shots.map(|photo| Shot::new(page, photo)).collect(),
        key: says.then(|| IdempotencyKey::fresh().to_string()),
        typed: typed.map(|(_, typed)| typed.body.clone()).unwrap_or_default(),
    }
}

/// A notice with its cases, and what may be done about it.
pub fn notice_file(page: &Page, view: &NoticeView) -> String {
    let (file, notice) = (view.file, &view.file.notice);
    let may = |made| file.moves.contains(&made);
    let may_edit = may(NoticeMove::Edit);
    let own = file.parties.iter().find(|one| Some(one.party) == view.own_party);
    let stored = || NoticeForm {
        title: notice.title.clone(),
        body: notice.body.clone(),
        due: page.date(notice.due_at),
        to: match file.parties.as_slice() {
            [only] => only.party.to_string(),
            _ => String::new(),
        },
        cases: file.items.iter().map(|item| item.number.clone()).collect(),
    };
    let typed =
        view.wrong.map(|(_, typed)| typed.clone()).filter(|typed| may_edit && !typed.title.is_empty());
    let typed = typed.unwrap_or_else(stored);
    write(&FilePage {
        page: *page,
        file,
        reference: notice.reference(),
        number: number_words(page, file),
        standing: page.word("notice_standing", file.standing),
        standing_key: file.standing.as_str(),
        due: page.date(notice.due_at),
        created: page.date_time(notice.created_at),
        created_by: view.names.who(page, &notice.created_by),
        issued: notice
            .issued_at
            .zip(notice.issued_by.as_deref())
            .map(|(at, by)| (page.date_time(at), view.names.who(page, by))),
        withdrawn: notice
            .withdrawn_at
            .map(|at| (page.date_time(at), notice.withdrawn_why.as_deref().unwrap_or_default())),
        reminded: (notice.reminded > 0 && notice.state == NoticeState::Issued)
            .then(|| page.fill("notices.reminded", "percent", notice.reminded)),
        parties: file
            .parties
            .iter()
            .map(|one| PartyRow {
                name: one.name.clone(),
                confirmed: one.confirmed_at.map(|at| page.date_time(at)),
                who: one.confirmed_by.as_deref().map(|by| view.names.who(page, by)).unwrap_or_default(),
            })
            .collect(),
        items: file.items.iter().map(|item| item_view(page, view, item)).collect(),
        struck_off: file.items.iter().filter(|item| item.closed_at.is_some()).count(),
        may_edit,
        may_issue: may(NoticeMove::Issue),
        may_withdraw: may(NoticeMove::Withdraw),
        may_confirm: may(NoticeMove::Confirm) && own.is_some_and(|one| one.confirmed_at.is_none()),
        opens_cases: view.own_party.is_none(),
        to: party_choices(view.names, &typed.to),
        typed,
        photo_limit: PHOTO_LIMIT,
        keys: [(); 4].map(|()| IdempotencyKey::fresh().to_string()),
        wrong: view.wrong.map(|(refusal, _)| page.catalogue.refusal_in_words(refusal)),
    })
}
