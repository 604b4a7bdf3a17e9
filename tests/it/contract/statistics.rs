//! 台账与统计 over HTTP: every figure is what a plain recount of the cases says, and files show what the page shows.

use std::collections::BTreeMap;
use std::io::Read;

use lidmark::domain::case::{CaseSource, CaseState};
use lidmark::domain::cover::{District, Party};
use lidmark::domain::hazard::Hazard;
use lidmark::domain::ids::{Millis, PartyId};
use lidmark::domain::role::Role;
use lidmark::registry::{Database, LedgerLine};
use rand::rngs::SmallRng;
use rand::seq::IndexedRandom;
use rand::{RngExt, SeedableRng};
use serde_json::{Value, json};

use super::house::{As, House};
use crate::both_engines;
use crate::registry::ground::MONDAY;

const SUPERVISOR: As = As::Staff(Role::Supervisor);
const HANDLER: As = As::Staff(Role::Handler);
const HOUR: i64 = 3_600_000;
const DAY: i64 = 24 * HOUR;

/// Every operation about ledger and statistics.
pub async fn statistics(house: &House) {
    for path in
        ["/desk/ledger", "/desk/ledger?state=open&late=overdue&text=2026&from=2026-01-01&class=sewage"]
    {
        house.get(SUPERVISOR, path).expect(200).await;
    }
    for format in ["csv", "xlsx"] {
        house.get(HANDLER, &format!("/desk/ledger/export?format={format}&state=all")).expect(200).await;
    }
    house.get(HANDLER, "/desk/statistics?period=2026-Q1&source=citizen_scan").expect(200).await;
    house.get(SUPERVISOR, "/desk/statistics").expect(200).await;
    house.get(SUPERVISOR, "/desk/statistics?from=2026-03-01").expect(200).await;
    let report = house.get(SUPERVISOR, "/desk/statistics/report.pdf?period=2026-03").expect(200).await;
    assert!(report.body.starts_with(b"%PDF-"));
    house.get(SUPERVISOR, "/api/v1/statistics?period=2026&baseline=2020-01").expect(200).await;
    for wrong in [
        "period=2026-13",
        "period=%00",
        "from=2026-03-02&until=2026-03-01",
        "until=tomorrow",
        "class=x",
        "party=x",
        "source=x",
        "baseline=x",
        "colour=red",
    ] {
        let answer = house.get(SUPERVISOR, &format!("/api/v1/statistics?{wrong}")).send().await;
        assert_eq!(answer.status, 400, "{wrong}");
        house.get(SUPERVISOR, &format!("/desk/statistics?{wrong}")).expect(400).await;
    }
    for wrong in ["state=x", "late=x", "closed_until=x", "hazard=x", "party=%00", "text=%07", "colour=red"] {
        let status = house.get(SUPERVISOR, &format!("/desk/ledger?{wrong}")).send().await.status;
        assert!([400, 422].contains(&status), "{wrong}: {status}");
    }
    for format in ["", "shp", "gpkg", "doc"] {
        house.get(SUPERVISOR, &format!("/desk/ledger/export?format={format}")).expect(400).await;
    }
    // What names nothing finds nothing.
    let empty = house.get(SUPERVISOR, "/api/v1/statistics?district=%00").expect(200).await.json();
    assert_eq!((&empty["now"]["reported"], &empty["cells"]), (&json!(0), &json!([])));
    house.get(SUPERVISOR, "/desk/ledger?district=%00&before=x").expect(200).await;
}

/// A year of cases at random: reported one by one, then moved by hand to wherever a case can stand.
async fn random_year(house: &House, seed: u64) -> [PartyId; 2] {
    let mut random = SmallRng::seed_from_u64(seed);
    let registry = &house.town.registry;
    let roads = PartyId::fresh();
    registry.put_party(Party { id: roads, name: "市政养护".into(), hotline: None }).await.unwrap();
    let east = District { code: "370503".into(), name_zh: "河口区".into(), name_en: "Hekou".into() };
    registry.put_districts(&[east]).await.unwrap();
    let hazards = Hazard::ALL.iter().filter(|hazard| !hazard.is_emergency());
    let is_sqlite = matches!(house.ground.database(), Database::Sqlite(_));
    let mut statements = Vec::new();
    for hazard in hazards {
        for token in &house.plates {
            let reported = house.town.report(*token, *hazard).await;
            let created = MONDAY - random.random_range(0..800) * DAY + random.random_range(0..DAY);
            let state = *CaseState::ALL.choose(&mut random).unwrap();
            // Half of them are closed, as in life.
            let state = if random.random_bool(0.5) { CaseState::Closed } else { state };
            let closed = created + random.random_range(0..60) * 7 * HOUR;
            let due = (state.is_open() && random.random_bool(0.7))
                .then(|| MONDAY + random.random_range(-40..40) * HOUR);
            let party = match random.random_range(0..5) {
                0 => None,
                1 | 2 => Some(house.town.water),
                _ => Some(roads),
            };
            let or_null = |value: Option<String>| value.unwrap_or_else(|| "NULL".into());
            let id = |id: PartyId| format!("'{id}'");
            let party_sql = match (party, is_sqlite) {
                (Some(party), true) => Some(format!("x'{}'", party.0.simple())),
                (party, _) => party.map(id),
            };
            let flag = match (random.random_bool(0.2), is_sqlite) {
                (exempt, true) => i64::from(exempt).to_string(),
                (exempt, false) => exempt.to_string(),
            };
            statements.push(format!(
                "UPDATE cases SET state = '{state}', created_at = {created}, closed_at = {}, due_at = {}, \
                 party_id = {}, source = '{}', district = '{}', late_ms = {}, exempt = {flag}, dispatches = {}, \
                 refusals = {}, reworks = {}, reopenings = {} WHERE number = '{}'",
                or_null((state == CaseState::Closed).then(|| closed.to_string())),
                or_null(due.map(|due| due.to_string())),
                or_null(party_sql),
                CaseSource::ALL.choose(&mut random).unwrap(),
                ["370502", "370503"].choose(&mut random).unwrap(),
                if random.random_bool(0.3) { random.random_range(1..9) * HOUR } else { 0 },
                random.random_range(1..4),
                random.random_range(0..2),
                random.random_range(0..3),
                random.random_range(0..2),
                reported.case_number,
            ));
        }
    }
    for statement in statements {
        house.ground.sql(&statement);
    }
    [house.town.water, roads]
}

/// One value as the order of all has it: so many percent are not above it.
fn rank(took: &mut [i64], percent: usize) -> Value {
    took.sort_unstable();
    let at = took.iter().enumerate().find(|(at, _)| (at + 1) * 100 >= percent * took.len());
    at.map_or(Value::Null, |(_, value)| json!(value))
}

type Span = (i64, i64);

/// The plain recount: one figure after the other, by going through all lines each time.
fn recount(lines: &[&LedgerLine], (begin, end): Span, as_of: Option<i64>) -> Value {
    let is_closed = |line: &LedgerLine| line.state == CaseState::Closed;
    let overdue =
        |line: &LedgerLine, now: i64| line.state.is_open() && line.due_at.is_some_and(|due| due.0 <= now);
    let reported: Vec<_> =
        lines.iter().filter(|line| (begin..end).contains(&line.created_at.0)).copied().collect();
    let closed: Vec<_> = lines
        .iter()
        .filter(|line| is_closed(line) && line.closed_at.is_some_and(|at| (begin..end).contains(&at.0)))
        .copied()
        .collect();
    let of = |list: &[&LedgerLine], fits: &dyn Fn(&LedgerLine) -> bool| {
        list.iter().filter(|line| fits(line)).count()
    };
    let is_void = |line: &LedgerLine| matches!(line.state, CaseState::Rejected | CaseState::Joined);
    let is_due =
        |line: &LedgerLine| !is_void(line) && !line.exempt && (is_closed(line) || overdue(line, NOW));
    let total = |count: &dyn Fn(&LedgerLine) -> i64| reported.iter().map(|line| count(line)).sum::<i64>();
    let took: Vec<i64> =
        closed.iter().map(|line| line.closed_at.unwrap_or(Millis(0)).0 - line.created_at.0).collect();
    let share = |part: usize, whole: usize| json!({"part": part, "whole": whole});
    let done = of(&reported, &is_closed);
    json!({
        "reported": reported.len(),
        "void": of(&reported, &is_void),
        "closed": closed.len(),
        "late": of(&closed, &|line| line.late_ms > 0 && !line.exempt),
        "exempt": of(&closed, &|line| line.late_ms > 0 && line.exempt),
        "reworks": total(&|line| line.counts.reworks),
        "recurrences": total(&|line| line.counts.reopenings + i64::from(line.recurs)),
        "open": as_of.map_or(0, |_| of(lines, &|line| line.state.is_open())),
        "overdue": as_of.map_or(0, |now| of(lines, &|line| overdue(line, now))),
        "median_ms": rank(&mut took.clone(), 50),
        "p90_ms": rank(&mut took.clone(), 90),
        "rates": {
            "closed": share(done, reported.len()),
            "closed_of_valid": share(done, reported.len() - of(&reported, &is_void)),
            "on_time": share(
                of(&reported, &|line| is_due(line) && is_closed(line) && line.late_ms == 0),
                of(&reported, &is_due),
            ),
            "misdispatch": share(
                total(&|line| line.counts.refusals) as usize,
                total(&|line| line.counts.dispatches) as usize,
            ),
        },
    })
}

/// The cells of the first sheet of a workbook as text, row by row; moments to the minute as the page writes them.
fn sheet_of(book: &[u8], columns: usize, times: &[usize]) -> Vec<Vec<String>> {
    let mut parts = zip::ZipArchive::new(std::io::Cursor::new(book)).unwrap();
    let mut part = |name: &str| {
        let mut text = String::new();
        if let Ok(mut part) = parts.by_name(name) {
            part.read_to_string(&mut text).unwrap();
        }
        text
    };
    let between = |text: &str, tag: &str| -> String {
        let (open, end) = (format!("<{tag}"), format!("</{tag}>"));
        let pieces = text.split(&open).skip(1).filter_map(|piece| piece.split_once('>'));
        pieces.map(|(_, rest)| rest.split(&end).next().unwrap()).collect()
    };
    let plain = |text: String| {
        let text = text.replace("&lt;", "<").replace("&gt;", ">").replace("&quot;", "\"");
        text.replace("&amp;", "&")
    };
    let shared: Vec<String> =
        part("xl/sharedStrings.xml").split("<si>").skip(1).map(|item| plain(between(item, "t"))).collect();
    let sheet = part("xl/worksheets/sheet1.xml");
    let rows = sheet.split("<row ").skip(1).enumerate().map(|(line, row)| {
        let mut cells = vec![String::new(); columns];
        for cell in row.split("<c ").skip(1) {
            let name = cell.split("r=\"").nth(1).unwrap();
            let column = usize::from(name.as_bytes()[0] - b'A');
            let head = cell.split('>').next().unwrap();
            let value = match between(cell, "v") {
                value if head.contains("t=\"s\"") => shared[value.parse::<usize>().unwrap()].clone(),
                value if value.is_empty() => plain(between(cell, "t")),
                value => value,
            };
            cells[column] = match times.contains(&column) && line > 0 && !value.is_empty() {
                // Days since the end of 1899, on the city's clock.
                true => {
                    let ms = ((value.parse::<f64>().unwrap() - 25_569.0) * 86_400_000.0).round() as i64;
                    let at = time::OffsetDateTime::from_unix_timestamp(ms.div_euclid(1000)).unwrap();
                    at.format(time::macros::format_description!("[year]-[month]-[day] [hour]:[minute]"))
                        .unwrap()
                }
                false => value,
            };
        }
        cells
    });
    rows.collect()
}

/// When the questions are asked; a whole minute.
const NOW: i64 = MONDAY;

/// Midnight in China.
fn midnight(day: &str) -> i64 {
    let format = time::macros::format_description!("[year]-[month]-[day]");
    time::Date::parse(day, format).unwrap().midnight().assume_utc().unix_timestamp() * 1000 - 8 * HOUR
}

fn days(first: &str, behind: &str) -> Span {
    (midnight(first), midnight(behind))
}

async fn all_lines(house: &House) -> Vec<LedgerLine> {
    house.town.registry.list_ledger("", 100_000).await.unwrap()
}

/// Asks for a period with some filter and holds every figure to the recount.
async fn compare(
    house: &House,
    who: As,
    query: &str,
    [now, previous, last_year]: [Span; 3],
    fits: impl Fn(&LedgerLine) -> bool,
) -> Value {
    let told = house.get(who, &format!("/api/v1/statistics?{query}")).expect(200).await.json();
    let lines = all_lines(house).await;
    let lines: Vec<&LedgerLine> = lines.iter().filter(|line| fits(line)).collect();
    assert_eq!(told["now"], recount(&lines, now, Some(NOW)), "{query}");
    assert_eq!(told["previous"], recount(&lines, previous, None), "{query}: the period before");
    assert_eq!(told["last_year"], recount(&lines, last_year, None), "{query}: last year");
    let groups: [(&str, &str, &dyn Fn(&LedgerLine) -> Value); 4] = [
        ("sources", "source", &|line| json!(line.source)),
        ("parties", "party", &|line| json!(line.party)),
        ("districts", "district", &|line| json!(line.district)),
        ("classes", "class", &|line| json!(line.class)),
    ];
    for (list, name, of) in groups {
        let mut by_key: BTreeMap<String, Vec<&LedgerLine>> = BTreeMap::new();
        lines.iter().for_each(|line| by_key.entry(of(line).to_string()).or_default().push(line));
        let mut expected: Vec<(String, Value)> = by_key
            .into_iter()
            .map(|(key, lines)| (key, recount(&lines, now, Some(NOW))))
            .filter(|(_, sum)| ["reported", "closed", "open"].iter().any(|figure| sum[*figure] != json!(0)))
            .collect();
        let mut answered: Vec<(String, Value)> = told[list]
            .as_array()
            .unwrap()
            .iter()
            .map(|sum| {
                let mut sum = sum.clone();
                let key = sum.as_object_mut().unwrap().remove(name).unwrap();
                (key.to_string(), sum)
            })
            .collect();
        expected.sort_by(|one, other| one.0.cmp(&other.0));
        answered.sort_by(|one, other| one.0.cmp(&other.0));
        assert_eq!(answered, expected, "{query}: {list}");
    }
    for month in told["months"].as_array().unwrap() {
        let first = format!("{}-01", month["month"].as_str().unwrap());
        let (year, number) = (first[..4].parse::<i32>().unwrap(), first[5..7].parse::<i32>().unwrap());
        let next = if number == 12 { (year + 1, 1) } else { (year, number + 1) };
        let sum = recount(&lines, days(&first, &format!("{:04}-{:02}-01", next.0, next.1)), None);
        assert_eq!(
            (&month["closed"], &month["median_ms"]),
            (&sum["closed"], &sum["median_ms"]),
            "{query}: {first}"
        );
    }
    let mut cells: BTreeMap<(i64, i64), i64> = BTreeMap::new();
    for line in lines.iter().filter(|line| (now.0..now.1).contains(&line.created_at.0)) {
        let cell = |degrees: f64| (degrees * 100.0).floor() as i64;
        *cells.entry((cell(line.lon), cell(line.lat))).or_default() += 1;
    }
    let answered: BTreeMap<(i64, i64), i64> = told["cells"]
        .as_array()
        .unwrap()
        .iter()
        .map(|cell| {
            let hundredths = |name: &str| (cell[name].as_f64().unwrap() * 100.0).round() as i64;
            ((hundredths("lon"), hundredths("lat")), cell["cases"].as_i64().unwrap())
        })
        .collect();
    assert_eq!(answered, cells, "{query}: heat map");
    told
}

both_engines! {
    async fn every_figure_is_what_a_plain_recount_says(ground: Ground) {
        let house = House::on(ground).await;
        let [water, roads] = random_year(&house, 20_261_129).await;
        let year = [days("2025-01-01", "2026-01-01"), days("2024-01-01", "2025-01-01"), days("2024-01-01", "2025-01-01")];
        let told = compare(&house, SUPERVISOR, "period=2025", year, |_| true).await;
        assert!(told["now"]["reported"].as_i64().unwrap() > 20 && told["now"]["late"] != json!(0), "{told}");
        let quarter =
            [days("2026-01-01", "2026-04-01"), days("2025-10-01", "2026-01-01"), days("2025-01-01", "2025-04-01")];
        compare(&house, SUPERVISOR, "period=2026-Q1&baseline=2024-06", quarter, |_| true).await;
        let month = [days("2026-02-01", "2026-03-01"), days("2026-01-01", "2026-02-01"), days("2025-02-01", "2025-03-01")];
        compare(&house, SUPERVISOR, "period=2026-02&district=370503", month, |line| line.district == "370503").await;
        let some = [days("2025-06-10", "2025-09-18"), days("2025-03-02", "2025-06-10"), days("2024-06-10", "2024-09-18")];
        let query = format!("from=2025-06-10&until=2025-09-17&party={roads}&class=sewage");
        compare(&house, SUPERVISOR, &query, some, |line| line.party == Some(roads)).await;
        compare(&house, SUPERVISOR, "period=2025&source=hotline", year, |line| line.source == CaseSource::Hotline).await;
        // A handler gets those of their own party, whatever they ask for.
        compare(&house, HANDLER, &format!("period=2025&party={roads}"), year, |line| line.party == Some(water)).await;

        // What somebody does now is in the next answer.
        let number = house.town.report(house.plates[0], Hazard::Missing).await.case_number;
        compare(&house, SUPERVISOR, "period=2026-Q1&baseline=2024-06", quarter, |_| true).await;
        assert!(all_lines(&house).await.iter().any(|line| line.number == number));
        house.assert_faultless();
    }

    async fn the_ledger_is_exported_as_it_is_shown(ground: Ground) {
        let house = House::on(ground).await;
        let [water, roads] = random_year(&house, 7).await;
        let lines = all_lines(&house).await;
        let (begin, end) = days("2025-05-01", "2025-12-01");
        let filters: [(&str, &dyn Fn(&LedgerLine) -> bool); 8] = [
            ("", &|_| true),
            ("from=2025-05-01&until=2025-11-30", &|line| (begin..end).contains(&line.created_at.0)),
            ("closed_from=2025-05-01&closed_until=2025-11-30", &|line| {
                line.state == CaseState::Closed && line.closed_at.is_some_and(|at| (begin..end).contains(&at.0))
            }),
            ("state=open&late=overdue", &|line| line.state.is_open() && line.due_at.is_some_and(|due| due.0 <= NOW)),
            ("late=exempt", &|line| line.late_ms > 0 && line.exempt),
            ("hazard=broken", &|line| line.hazard == Hazard::Broken),
            ("district=370503&source=hotline&class=sewage", &|line| {
                line.district == "370503" && line.source == CaseSource::Hotline
            }),
            ("text=2026-00000", &|line| line.number.contains("2026-00000")),
        ];
        for (query, fits) in filters {
            let expected: Vec<&str> =
                lines.iter().rev().filter(|line| fits(line)).map(|line| line.number.as_str()).collect();
            assert!(!expected.is_empty(), "{query} asks for nothing");
            let csv = house
                .get(SUPERVISOR, &format!("/desk/ledger/export?format=csv&{query}"))
                .header("accept-language", "zh-CN")
                .expect(200)
                .await;
            let text = csv.text();
            let mut rows = csv::Reader::from_reader(text.trim_start_matches('\u{feff}').as_bytes());
            let headings: Vec<String> = rows.headers().unwrap().iter().map(str::to_owned).collect();
            let rows: Vec<csv::StringRecord> = rows.records().map(Result::unwrap).collect();
            assert_eq!(rows.iter().map(|row| &row[0]).collect::<Vec<_>>(), expected, "{query}");
            // The pages show the same numbers in the same order, and the same words below the same headings.
            let (mut shown, mut before) = (Vec::new(), String::new());
            loop {
                let page = house
                    .get(SUPERVISOR, &format!("/desk/ledger?{query}{before}"))
                    .header("accept-language", "zh-CN")
                    .expect(200)
                    .await
                    .text();
                assert!(page.contains(&format!("共 {} 件", expected.len())), "{query}");
                for part in page.split("<th scope=\"row\">").skip(1) {
                    let number = part.split("</a>").next().unwrap().rsplit('>').next().unwrap();
                    let cells = part.split("<td data-label=\"").skip(1).map(|cell| {
                        let (head, rest) = cell.split_once("\"><span>").unwrap();
                        (head.to_owned(), rest.split("</span>").next().unwrap().to_owned())
                    });
                    let row = &rows[shown.len()];
                    for (at, (head, cell)) in cells.enumerate() {
                        assert_eq!(head, headings[at + 1]);
                        let told = if row[at + 1].is_empty() { "–" } else { &row[at + 1] };
                        assert_eq!(cell, told, "{number}: {head}");
                    }
                    shown.push(number.to_owned());
                }
                match page.contains("class=\"pager\"") {
                    true => before = format!("&before={}", shown.last().unwrap()),
                    false => break,
                }
            }
            assert_eq!(shown, expected, "{query}");
            // And so does the workbook, cell by cell.
            let book = house
                .get(SUPERVISOR, &format!("/desk/ledger/export?format=xlsx&{query}"))
                .header("accept-language", "zh-CN")
                .expect(200)
                .await;
            let times: Vec<usize> = (9..=14).collect();
            let book = sheet_of(&book.body, headings.len(), &times);
            assert_eq!(book[0], headings, "{query}");
            assert_eq!(book.len(), rows.len() + 1, "{query}");
            for (cells, row) in book[1..].iter().zip(&rows) {
                assert_eq!(*cells, row.iter().collect::<Vec<_>>(), "{query}: {}", &row[0]);
            }
        }
        let own = house.get(HANDLER, &format!("/desk/ledger/export?format=csv&party={roads}")).expect(200).await.text();
        let count = lines.iter().filter(|line| line.party == Some(water)).count();
        assert_eq!(own.lines().count(), count + 1);
        house.assert_faultless();
    }
}
