//! 专项巡护: the list of campaigns, the form for a new one, one with its progress, map and answers.

use std::collections::BTreeMap;

use askama::Template;

use super::campaign_map::{Map, map};
use super::field_words;
use super::quality_pages::district_choices;
use super::words::{Choice, Names, joined};
use super::{Page, write};
use crate::domain::Refusal;
use crate::domain::area::AreaKind;
use crate::domain::campaign::{CampaignState, CampaignStep, Progress};
use crate::domain::checklist::{AnswerKind, QuestionSummary};
use crate::domain::code::ComponentCode;
use crate::domain::cover::{CoverClass, CoverState, LoadClass, Placement};
use crate::domain::ids::{IdempotencyKey, Millis, UserId};
use crate::domain::task::TaskKind;
use crate::registry::{Campaign, Recurrence, TaskCount, TaskLine, TaskPoint, User};

pub struct CampaignListView<'a> {
    pub names: Names<'a>,
    pub rows: &'a [(&'a Campaign, Vec<TaskCount>)],
    pub looked: &'a [Recurrence],
    pub next: Option<String>,
}

struct ListRow {
    id: String,
    name: String,
    kind: String,
    state: String,
    period: String,
    repeat: String,
    progress: Progress,
    percent: i64,
}

#[derive(Template)]
#[template(path = "campaigns.html")]
struct ListPage<'a> {
    page: Page<'a>,
    rows: Vec<ListRow>,
    looked: &'a [Recurrence],
    next: Option<String>,
}

/// Campaigns, newest first, with their newest rounds; and what looks back found of each party's work.
pub fn campaigns(page: &Page, view: &CampaignListView) -> String {
    let row = |(campaign, counts): &(&Campaign, Vec<TaskCount>)| {
        let progress = sum(counts);
        ListRow {
            id: campaign.id.to_string(),
            name: campaign.name.clone(),
            kind: page.word("task_kind", campaign.kind),
            state: page.word("campaign_state", campaign.state),
            period: period(page, campaign.from_at, campaign.until_at),
            repeat: repeat(page, campaign),
            percent: progress.percent(),
            progress,
        }
    };
    write(&ListPage {
        page: *page,
        rows: view.rows.iter().map(row).collect(),
        looked: view.looked,
        next: view.next.clone(),
    })
}

fn sum<'c>(counts: impl IntoIterator<Item = &'c TaskCount>) -> Progress {
    let mut sum = Progress::default();
    counts.into_iter().for_each(|count| sum.add(count.state, count.result, count.count));
    sum
}

/// Days, the last one whole.
fn period(page: &Page, from: Millis, until: Millis) -> String {
    let (first, last) = (page.date(from), page.date(Millis(until.0 - 1)));
    if first == last { first } else { format!("{first} – {last}") }
}

fn repeat(page: &Page, campaign: &Campaign) -> String {
    use crate::domain::campaign::Repeat;
    match &campaign.repeat {
        None => String::new(),
        Some(Repeat::Every(days)) => page.fill("campaigns.every", "days", days),
        Some(Repeat::On(days)) => {
            let words: Vec<String> = days
                .iter()
                .filter_map(|day| WEEK.get(usize::from(*day)))
                .map(|day| page.word("weekday", day))
                .collect();
            words.join(page.t("list.comma"))
        }
    }
}

const WEEK: [&str; 7] = ["mon", "tue", "wed", "thu", "fri", "sat", "sun"];

pub struct CampaignFormView<'a> {
    pub names: Names<'a>,
    pub crews: &'a [User],
    /// What was filled in so far.
    pub value: &'a dyn Fn(&str) -> String,
    pub ticked: &'a dyn Fn(&str, &str) -> bool,
    pub key: IdempotencyKey,
    pub wrong: Option<&'a Refusal>,
}

#[derive(Template)]
#[template(path = "campaign_form.html")]
struct FormPage<'a> {
    page: Page<'a>,
    name: String,
    kinds: Vec<Choice>,
    districts: Vec<Choice>,
    area_kinds: Vec<Choice>,
    area_code: String,
    outline: String,
    road: String,
    classes: Vec<Choice>,
    states: Vec<Choice>,
    placements: Vec<Choice>,
    load_classes: Vec<Choice>,
    owners: Vec<Choice>,
    crews: Vec<Choice>,
    days: Vec<Choice>,
    every: String,
    from: String,
    until: String,
    checklist: String,
    key: String,
    wrong: Option<String>,
}

/// The form for a new campaign.
pub fn campaign_form(page: &Page, view: &CampaignFormView) -> String {
    let value = view.value;
    fn words<T: Copy + std::fmt::Display>(page: &Page, list: &str, all: &[T], chosen: &str) -> Vec<Choice> {
        all.iter()
            .map(|word| Choice {
                value: word.to_string(),
                word: page.word(list, word),
                chosen: word.to_string() == chosen,
            })
            .collect()
    }
    let kinds: Vec<TaskKind> = TaskKind::ALL.iter().copied().filter(|kind| kind.lapses()).collect();
    let owner = value("owner");
    write(&FormPage {
        page: *page,
        name: value("name"),
        kinds: words(page, "task_kind", &kinds, &value("kind")),
        districts: district_choices(page, view.names.districts, &value("district")),
        area_kinds: words(page, "area_kind", AreaKind::ALL, &value("area_kind")),
        area_code: value("area_code"),
        outline: value("outline"),
        road: value("road"),
        classes: words(page, "class", CoverClass::ALL, &value("class")),
        states: words(page, "state", CoverState::ALL, &value("state")),
        placements: words(page, "placement", Placement::ALL, &value("placement")),
        load_classes: LoadClass::ALL
            .iter()
            .map(|class| Choice {
                value: class.to_string(),
                word: class.to_string(),
                chosen: class.as_str() == value("load_class"),
            })
            .collect(),
        owners: view
            .names
            .parties
            .iter()
            .map(|party| Choice {
                value: party.id.to_string(),
                word: party.name.clone(),
                chosen: party.id.to_string() == owner,
            })
            .collect(),
        crews: view
            .crews
            .iter()
            .map(|crew| {
                let id = crew.id.to_string();
                Choice { chosen: (view.ticked)("crew", &id), word: crew.name.clone(), value: id }
            })
            .collect(),
        days: WEEK
            .iter()
            .map(|day| Choice {
                value: (*day).to_owned(),
                word: page.word("weekday", day),
                chosen: (view.ticked)("day", day),
            })
            .collect(),
        every: value("every"),
        from: value("from"),
        until: value("until"),
        checklist: value("checklist"),
        key: view.key.to_string(),
        wrong: view.wrong.map(|refusal| page.catalogue.refusal_in_words(refusal)),
    })
}

/// What the page of a campaign shows, and its report.
pub struct CampaignView<'a> {
    pub names: Names<'a>,
    pub campaign: &'a Campaign,
    pub round: i64,
    pub counts: &'a [TaskCount],
    pub questions: &'a [QuestionSummary],
    pub points: &'a [TaskPoint],
    /// Where something was wrong.
    pub troubled: &'a [TaskLine],
    pub key: IdempotencyKey,
    pub wrong: Option<&'a Refusal>,
}

pub(super) struct ProgressRow {
    pub(super) name: String,
    pub(super) progress: Progress,
    pub(super) percent: i64,
}

impl ProgressRow {
    fn of(name: String, progress: Progress) -> Self {
        Self { name, percent: progress.percent(), progress }
    }
}

/// One question with what was answered, in words.
pub(super) struct QuestionRow {
    pub(super) text: String,
    pub(super) answered: i64,
    pub(super) said: String,
}

struct TroubleRow {
    digits: String,
    code: String,
    place: String,
    who: String,
    at: String,
    note: String,
    case: Option<String>,
}

#[derive(Template)]
#[template(path = "campaign.html")]
struct CampaignPage<'a> {
    page: Page<'a>,
    id: String,
    name: &'a str,
    facts: Vec<(String, String)>,
    is_filling: bool,
    total: ProgressRow,
    districts: Vec<ProgressRow>,
    crews: Vec<ProgressRow>,
    streets: Vec<ProgressRow>,
    questions: Vec<QuestionRow>,
    troubled: Vec<TroubleRow>,
    map: Option<Map>,
    rounds: Vec<Choice>,
    steps: Vec<(CampaignStep, String)>,
    version: i64,
    key: String,
    wrong: Option<String>,
    files: Vec<(String, String)>,
}

/// One campaign with its progress, its map and what was answered.
pub fn campaign(page: &Page, view: &CampaignView) -> String {
    let campaign = view.campaign;
    let steps = CampaignStep::ALL.iter().filter(|step| campaign.state.after(**step).is_some());
    let id = campaign.id.to_string();
    let file = |name: &str, key: &str| {
        (format!("/desk/campaigns/{id}/{name}?round={}", view.round), page.catalogue.text(key).to_owned())
    };
    let files = match view.round {
        0 => Vec::new(),
        _ => vec![file("report.pdf", "campaigns.report"), file("results.csv", "campaigns.results")],
    };
    use crate::domain::campaign::CampaignStage;
    write(&CampaignPage {
        page: *page,
        name: &campaign.name,
        facts: facts(page, view),
        is_filling: campaign.state == CampaignState::Running
            && matches!(campaign.stage, CampaignStage::Dividing | CampaignStage::Filling),
        total: ProgressRow::of(page.t("campaigns.total").to_owned(), sum(view.counts)),
        districts: by_district(page, view),
        crews: by_crew(page, view),
        streets: by_street(page, view),
        questions: questions(page, view.questions),
        troubled: view.troubled.iter().map(|line| trouble(page, view.names, line)).collect(),
        map: map(view.points, campaign.scope.outline.as_ref()),
        rounds: (1..=campaign.round)
            .rev()
            .take(60)
            .map(|round| Choice {
                value: round.to_string(),
                word: page.fill("campaigns.round_of", "round", round),
                chosen: round == view.round,
            })
            .collect(),
        steps: steps.map(|step| (*step, page.word("campaign_step", step))).collect(),
        version: campaign.version,
        key: view.key.to_string(),
        wrong: view.wrong.map(|refusal| page.catalogue.refusal_in_words(refusal)),
        files,
        id,
    })
}

/// What a campaign is about.
pub(super) fn facts(page: &Page, view: &CampaignView) -> Vec<(String, String)> {
    let (campaign, scope) = (view.campaign, &view.campaign.scope);
    let fact = |name: &str, value: String| (page.word("fact", name), value);
    let own = |key: &'static str, value: String| (page.catalogue.text(key).to_owned(), value);
    let mut facts = vec![
        own("campaigns.kind", page.word("task_kind", campaign.kind)),
        own("campaigns.state", page.word("campaign_state", campaign.state)),
        own("campaigns.period", period(page, campaign.from_at, campaign.until_at)),
    ];
    if campaign.repeat.is_some() {
        facts.push(own("campaigns.repeat", repeat(page, campaign)));
    }
    if view.round > 0 && campaign.repeat.is_some() && view.round == campaign.round {
        let days = period(page, campaign.round_from, campaign.round_until);
        facts.push(own("campaigns.round", format!("{} · {days}", view.round)));
    }
    if let Some(district) = &scope.district {
        facts.push(fact("district", field_words::text(page, view.names, "district", district)));
    }
    match (&scope.area, &scope.outline) {
        (Some((kind, code)), _) => {
            facts.push(own("campaigns.area", format!("{} {code}", page.word("area_kind", kind))));
        }
        (None, Some(_)) => facts.push(own("campaigns.area", page.t("campaigns.drawn").to_owned())),
        _ => {}
    }
    facts.extend(scope.road.clone().map(|road| fact("road", road)));
    facts.extend(scope.class.map(|class| fact("class", page.word("class", class))));
    facts.extend(scope.state.map(|state| fact("state", page.word("state", state))));
    facts.extend(scope.placement.map(|placement| fact("placement", page.word("placement", placement))));
    facts.extend(scope.load_class.map(|class| fact("load_class", class.to_string())));
    if let Some(owner) = scope.owner {
        let known = view.names.parties.iter().find(|party| party.id == owner);
        facts.push(fact("owner", known.map_or_else(|| owner.to_string(), |party| party.name.clone())));
    }
    let crews: Vec<String> = campaign.crews.iter().map(|crew| who(page, view.names, Some(*crew))).collect();
    if !crews.is_empty() {
        facts.push(own("campaigns.crews", crews.join(page.t("list.comma"))));
    }
    facts.push(own("campaigns.made_by", view.names.who(page, &campaign.actor)));
    facts
}

pub(super) fn who(page: &Page, names: Names, user: Option<UserId>) -> String {
    user.map_or_else(
        || page.t("campaigns.any_crew").to_owned(),
        |user| names.who(page, &format!("user:{user}")),
    )
}

fn grouped<K: Ord>(counts: &[TaskCount], key: impl Fn(&TaskCount) -> K) -> BTreeMap<K, Progress> {
    let mut sums: BTreeMap<K, Progress> = BTreeMap::new();
    for count in counts {
        sums.entry(key(count)).or_default().add(count.state, count.result, count.count);
    }
    sums
}

pub(super) fn by_district(page: &Page, view: &CampaignView) -> Vec<ProgressRow> {
    let sums = grouped(view.counts, |count| count.district.clone());
    let name = |code: &str| field_words::text(page, view.names, "district", code);
    sums.into_iter().map(|(code, sum)| ProgressRow::of(name(&code), sum)).collect()
}

pub(super) fn by_crew(page: &Page, view: &CampaignView) -> Vec<ProgressRow> {
    let sums = grouped(view.counts, |count| count.crew);
    sums.into_iter().map(|(crew, sum)| ProgressRow::of(who(page, view.names, crew), sum)).collect()
}

pub(super) fn by_street(page: &Page, view: &CampaignView) -> Vec<ProgressRow> {
    let sums = grouped(view.counts, |count| (count.district.clone(), count.road.clone()));
    let name = |code: &str, road: Option<String>| {
        let district = field_words::text(page, view.names, "district", code);
        joined([Some(road.as_deref().unwrap_or(page.t("crews.no_road"))), Some(district.as_str())])
    };
    sums.into_iter().map(|((code, road), sum)| ProgressRow::of(name(&code, road), sum)).collect()
}

pub(super) fn questions(page: &Page, summaries: &[QuestionSummary]) -> Vec<QuestionRow> {
    summaries
        .iter()
        .map(|summary| {
            let question = &summary.question;
            let english = question.text_en.as_ref().filter(|_| !page.is_chinese());
            let said = match (question.kind, summary.numbers) {
                (AnswerKind::Number, Some([least, mean, most])) => {
                    let unit = question.unit.as_deref().unwrap_or_default();
                    let number = |number: f64| format!("{} {unit}", (number * 100.0).round() / 100.0);
                    let values = [("least", number(least)), ("mean", number(mean)), ("most", number(most))];
                    let values: Vec<(&str, &str)> =
                        values.iter().map(|(name, value)| (*name, value.trim_end())).collect();
                    page.catalogue.fill("campaigns.numbers", &values)
                }
                _ => {
                    let said = summary.counts.iter().map(|(answer, count)| {
                        let answer = match question.kind {
                            AnswerKind::YesNo => page.word("yes_no", answer),
                            _ => answer.clone(),
                        };
                        format!("{answer} {count}")
                    });
                    said.collect::<Vec<_>>().join(" · ")
                }
            };
            QuestionRow { text: english.unwrap_or(&question.text).clone(), answered: summary.answered, said }
        })
        .collect()
}

fn code_of(page: &Page, line: &TaskLine) -> String {
    page.code(&ComponentCode { scheme: line.scheme.clone(), digits: line.code.clone() })
}

fn place_of(page: &Page, names: Names, line: &TaskLine) -> String {
    let district = field_words::text(page, names, "district", &line.task.district);
    joined([line.task.road.as_deref(), Some(district.as_str())])
}

fn trouble(page: &Page, names: Names, line: &TaskLine) -> TroubleRow {
    TroubleRow {
        digits: line.code.clone(),
        code: code_of(page, line),
        place: place_of(page, names, line),
        who: line.task.done_by.map(|user| who(page, names, Some(user))).unwrap_or_default(),
        at: line.task.done_at.map(|at| page.date_time(at)).unwrap_or_default(),
        note: line.task.note.clone().unwrap_or_default(),
        case: line.raised_number.clone(),
    }
}

/// The same as two texts, for paper.
pub(super) fn trouble_lines(page: &Page, view: &CampaignView) -> Vec<(String, String)> {
    let line = |line: &TaskLine| {
        let row = trouble(page, view.names, line);
        let first = joined([Some(row.code.as_str()), Some(&row.place), row.case.as_deref()]);
        (first, joined([Some(row.who.as_str()), Some(&row.at), Some(&row.note)]))
    };
    view.troubled.iter().map(line).collect()
}
