//! 无主井盖认领: notices and the covers in them.

use std::collections::BTreeMap;

use askama::Template;

use super::quality_pages::district_choices;
use super::words::{Choice, Names};
use super::{Page, write};
use crate::domain::Refusal;
use crate::domain::claim::{ClaimAnswer, ClaimRules};
use crate::domain::cover::{CoverClass, Party};
use crate::domain::ids::{CoverId, IdempotencyKey, Millis, PartyId};
use crate::registry::{ClaimLine, ClaimNoticeFile};

/// What the list of notices shows.
pub struct ClaimsView<'a> {
    pub notices: &'a [ClaimNoticeFile],
    /// Covers without an owner, by the code of the district and by class.
    pub by_district: &'a BTreeMap<String, u64>,
    pub by_class: &'a [(CoverClass, u64)],
    pub names: Names<'a>,
    pub rules: &'a ClaimRules,
    /// When a notice opened now is over.
    pub due_at: Millis,
    pub next: Option<String>,
    pub key: IdempotencyKey,
    pub may_decide: bool,
    pub wrong: Option<&'a Refusal>,
}

struct Count {
    word: String,
    count: u64,
    address: String,
}

struct Row {
    number: String,
    what: String,
    reason: String,
    opened: String,
    due: String,
    counts: Vec<Count>,
    is_filling: bool,
}

#[derive(Template)]
#[template(path = "claims.html")]
struct ClaimsPage<'a> {
    page: Page<'a>,
    rows: Vec<Row>,
    by_district: Vec<Count>,
    by_class: Vec<Count>,
    districts: Vec<Choice>,
    classes: Vec<Choice>,
    due: String,
    days: u32,
    fallback: String,
    next: Option<String>,
    key: String,
    may_decide: bool,
    wrong: Option<String>,
}

fn what(page: &Page, names: Names, file: &ClaimNoticeFile) -> String {
    let district = file.notice.district.as_ref().map(|code| {
        let known = names.districts.iter().find(|district| district.code == *code);
        known.map_or_else(|| code.clone(), |district| page.district(district).to_owned())
    });
    let class = file.notice.class.map(|class| page.word("class", class));
    let parts: Vec<String> = district.into_iter().chain(class).collect();
    if parts.is_empty() { page.t("claims.all").to_owned() } else { parts.join(" · ") }
}

fn counts(page: &Page, file: &ClaimNoticeFile) -> Vec<Count> {
    let number = &file.notice.number;
    let count = |word: String, count: i64, state: &str| Count {
        word,
        count: count.unsigned_abs(),
        address: format!("/quality/claims/{number}?state={state}"),
    };
    let by_state =
        file.counts.iter().map(|(state, n)| count(page.word("claim_state", state), *n, state.as_str()));
    let contested = (file.contested > 0)
        .then(|| count(page.t("claims.contested").to_owned(), file.contested, "contested"));
    by_state.chain(contested).collect()
}

/// Which party answers for what nobody claims, in words.
fn fallback(page: &Page, view: &ClaimsView) -> String {
    let rules = view.rules;
    let mut named: Vec<(Option<String>, &str)> = Vec::new();
    for (class, name) in &rules.fallback_by_class {
        named.push((Some(page.word("class", class)), name));
    }
    for (code, name) in &rules.fallback_by_district {
        let known = view.names.districts.iter().find(|district| district.code == *code);
        named.push((Some(known.map_or(code.as_str(), |district| page.district(district)).to_owned()), name));
    }
    if !rules.fallback.is_empty() {
        named.push((None, &rules.fallback));
    }
    let words: Vec<String> = named
        .into_iter()
        .filter(|(_, name)| !name.is_empty())
        .map(|(of, name)| {
            let is_known = view.names.parties.iter().any(|party| party.name == name);
            let name =
                if is_known { name.to_owned() } else { page.fill("claims.no_such_party", "name", name) };
            of.map_or_else(|| name.clone(), |of| format!("{of}: {name}"))
        })
        .collect();
    if words.is_empty() {
        return page.t("claims.no_fallback").to_owned();
    }
    let values =
        [("who", words.join(page.t("list.comma"))), ("role", page.word("fact", rules.fallback_role))];
    let values: Vec<(&str, &str)> = values.iter().map(|(name, value)| (*name, value.as_str())).collect();
    page.catalogue.fill("claims.fallback", &values)
}

/// The list of notices, and how to open one.
pub fn claim_notices(page: &Page, view: &ClaimsView) -> String {
    let by_district = view.by_district.iter().filter(|(_, count)| **count > 0).map(|(code, count)| {
        let known = view.names.districts.iter().find(|district| district.code == *code);
        Count {
            word: known.map_or(code.as_str(), |district| page.district(district)).to_owned(),
            count: *count,
            address: format!("/quality/files?finding=ownerless&district={code}"),
        }
    });
    let by_class = view.by_class.iter().map(|(class, count)| Count {
        word: page.word("class", class),
        count: *count,
        address: format!("/quality/files?finding=ownerless&class={class}"),
    });
    let classes = CoverClass::ALL.iter().map(|class| Choice {
        value: class.to_string(),
        word: page.word("class", class),
        chosen: false,
    });
    write(&ClaimsPage {
        page: *page,
        rows: view
            .notices
            .iter()
            .map(|file| Row {
                number: file.notice.number.clone(),
                what: what(page, view.names, file),
                reason: file.notice.reason.clone(),
                opened: page.date(file.notice.opened_at),
                due: last_day(page, file.notice.due_at),
                counts: counts(page, file),
                is_filling: file.notice.cursor.is_some(),
            })
            .collect(),
        by_district: by_district.collect(),
        by_class: by_class.collect(),
        districts: district_choices(page, view.names.districts, ""),
        classes: classes.collect(),
        due: last_day(page, view.due_at),
        days: view.rules.notice_days,
        fallback: fallback(page, view),
        next: view.next.clone(),
        key: view.key.to_string(),
        may_decide: view.may_decide,
        wrong: view.wrong.map(|refusal| page.catalogue.refusal_in_words(refusal)),
    })
}

/// The last day of a notice: it is over when the day is.
fn last_day(page: &Page, due_at: Millis) -> String {
    page.date(Millis(due_at.0 - 1))
}

/// What a notice shows.
pub struct ClaimNoticeView<'a> {
    pub notice: &'a ClaimNoticeFile,
    pub lines: &'a [ClaimLine],
    pub query_state: &'a str,
    pub cursor: &'a str,
    pub names: Names<'a>,
    /// For whom the reader speaks.
    pub own_party: Option<PartyId>,
    pub may_decide: bool,
    pub next: Option<CoverId>,
    pub wrong: &'a [Refusal],
}

struct Said {
    party: String,
    answer: String,
    reason: String,
    at: String,
}

struct Line {
    cover: String,
    version: i64,
    digits: String,
    code: String,
    class_word: String,
    class_key: &'static str,
    place: String,
    state: String,
    state_key: &'static str,
    contested: bool,
    outcome: Option<String>,
    said: Vec<Said>,
}

#[derive(Template)]
#[template(path = "claim_notice.html")]
struct ClaimNoticePage<'a> {
    page: Page<'a>,
    number: &'a str,
    what: String,
    reason: &'a str,
    who: String,
    opened: String,
    due: String,
    is_over: bool,
    is_filling: bool,
    counts: Vec<Count>,
    lines: Vec<Line>,
    parties: Vec<Choice>,
    own_party: Option<String>,
    may_decide: bool,
    query_state: &'a str,
    cursor: &'a str,
    next: Option<String>,
    wrong: Vec<String>,
}

fn name_of(parties: &[Party], id: PartyId) -> String {
    parties.iter().find(|party| party.id == id).map_or_else(|| id.to_string(), |party| party.name.clone())
}

/// A notice with its covers.
pub fn claim_notice(page: &Page, view: &ClaimNoticeView) -> String {
    let notice = &view.notice.notice;
    let parties = view.names.parties;
    let line = |line: &ClaimLine| Line {
        cover: line.file.cover.to_string(),
        version: line.version,
        digits: line.file.code.digits.clone(),
        code: page.code(&line.file.code),
        class_word: page.word("class", line.file.survey.class),
        class_key: line.file.survey.class.as_str(),
        place: page.place(&line.file),
        state: page.word("claim_state", line.claim.state),
        state_key: line.claim.state.as_str(),
        contested: line.claim.is_contested(),
        outcome: line.claim.outcome.map(|party| name_of(parties, party)),
        said: line
            .answers
            .iter()
            .map(|answer| Said {
                party: name_of(parties, answer.party),
                answer: page.word("claim_answer", answer.answer),
                reason: answer.reason.clone(),
                at: page.date_time(answer.at),
            })
            .collect(),
    };
    write(&ClaimNoticePage {
        page: *page,
        number: &notice.number,
        what: what(page, view.names, view.notice),
        reason: &notice.reason,
        who: view.names.who(page, &notice.actor),
        opened: page.date_time(notice.opened_at),
        due: last_day(page, notice.due_at),
        is_over: page.now >= notice.due_at,
        is_filling: notice.cursor.is_some(),
        counts: counts(page, view.notice),
        lines: view.lines.iter().map(line).collect(),
        parties: parties
            .iter()
            .map(|party| Choice { value: party.id.to_string(), word: party.name.clone(), chosen: false })
            .collect(),
        own_party: view.own_party.map(|party| name_of(parties, party)),
        may_decide: view.may_decide,
        query_state: view.query_state,
        cursor: view.cursor,
        next: view.next.map(|last| {
            let state = if view.query_state.is_empty() {
                String::new()
            } else {
                format!("state={}&", view.query_state)
            };
            format!("/quality/claims/{}?{state}cursor={last}", notice.number)
        }),
        wrong: view.wrong.iter().map(|refusal| page.catalogue.refusal_in_words(refusal)).collect(),
    })
}

/// The headings of a notice as a file.
pub fn claim_headings(page: &Page) -> Vec<String> {
    let keys = [
        "fact.code",
        "fact.class",
        "fact.district",
        "fact.road",
        "fact.address",
        "claims.state",
        "claims.outcome",
        "claims.claimed_by",
        "claims.declined_by",
    ];
    keys.map(|key| page.t(key).to_owned()).into()
}

/// A line of that file.
pub fn claim_cells(page: &Page, parties: &[Party], line: &ClaimLine) -> Vec<String> {
    let survey = &line.file.survey;
    let who = |answer: ClaimAnswer| {
        let said = line.answers.iter().filter(|said| said.answer == answer);
        let names: Vec<String> = said.map(|said| name_of(parties, said.party)).collect();
        names.join(page.t("list.comma"))
    };
    let state = match line.claim.is_contested() {
        true => page.t("claims.contested").to_owned(),
        false => page.word("claim_state", line.claim.state),
    };
    vec![
        line.file.code.digits.clone(),
        page.word("class", survey.class),
        page.district(&line.file.district).to_owned(),
        survey.road.clone().unwrap_or_default(),
        survey.address.clone().unwrap_or_default(),
        state,
        line.claim.outcome.map(|party| name_of(parties, party)).unwrap_or_default(),
        who(ClaimAnswer::Claimed),
        who(ClaimAnswer::Declined),
    ]
}
