//! The ledger of supervision notices of a city's first years. That since 2019 there were 2,251 items of which 2,196 were
//! struck off, and in 2021 59 notices with 543 items of which 532 were, is Dongying's own report; how the rest falls on
//! 2019 and 2020, the notices of those years, and every single item are made up.

use crate::domain::hazard::Hazard;
use crate::domain::ids::Millis;
use crate::domain::notice::NoticeNumber;

/// What a year comes to.
struct Year {
    year: i32,
    notices: usize,
    items: usize,
    struck_off: usize,
}

const YEARS: [Year; 3] = [
    Year { year: 2019, notices: 71, items: 796, struck_off: 773 },
    Year { year: 2020, notices: 83, items: 912, struck_off: 891 },
    Year { year: 2021, notices: 59, items: 543, struck_off: 532 },
];

/// Places on which something is open: one cover each.
pub const OPEN_PLACES: usize = 55;

/// What was supervised, none of it an emergency.
const HAZARDS: [Hazard; 8] = [
    Hazard::Broken,
    Hazard::Rocking,
    Hazard::Level,
    Hazard::Overflow,
    Hazard::Ponding,
    Hazard::NoNet,
    Hazard::WrongCover,
    Hazard::Blocked,
];

/// A notice of the ledger.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct LedgerNotice {
    pub number: NoticeNumber,
    pub issued_at: Millis,
    pub due_at: Millis,
    pub items: Vec<LedgerItem>,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct LedgerItem {
    /// Which of the covers that there are; to be taken modulo their number. Open items have the first
    /// [`OPEN_PLACES`] of them for themselves.
    pub place: usize,
    pub hazard: Hazard,
    pub reported_at: Millis,
    /// `None` = still open.
    pub closed_at: Option<Millis>,
}

const DAY_MS: i64 = 86_400_000;

/// Every notice in the order of numbers, on a clock so many minutes east of Greenwich.
pub fn ledger(utc_offset_minutes: i32) -> Vec<LedgerNotice> {
    let (mut notices, mut opened, mut running) = (Vec::new(), 0, OPEN_PLACES);
    for year in &YEARS {
        let open = year.items - year.struck_off;
        let start = start_of(year.year, utc_offset_minutes);
        for at in 0..year.notices {
            let count = year.items / year.notices + usize::from(at < year.items % year.notices);
            let nine = start + (at as i64 + 1) * 350 / (year.notices as i64 + 1) * DAY_MS + 9 * 3_600_000;
            // The last notices of a year have one item each that could not be solved.
            let is_left = at >= year.notices - open;
            let items = (0..count).map(|item| {
                let is_open = is_left && item + 1 == count;
                let place = if is_open { opened } else { running };
                opened += usize::from(is_open);
                running += usize::from(!is_open);
                LedgerItem {
                    place,
                    hazard: HAZARDS[(at + item) % HAZARDS.len()],
                    reported_at: Millis(nine - (1 + item as i64 % 5) * DAY_MS),
                    closed_at: (!is_open).then_some(Millis(nine + (2 + item as i64 * 7 % 12) * DAY_MS)),
                }
            });
            notices.push(LedgerNotice {
                items: items.collect(),
                number: NoticeNumber { year: year.year, issue: at as i64 + 1 },
                issued_at: Millis(nine),
                due_at: Millis(nine + 15 * DAY_MS),
            });
        }
    }
    notices
}

fn start_of(year: i32, utc_offset_minutes: i32) -> i64 {
    let first = time::Date::from_calendar_date(year, time::Month::January, 1);
    let seconds = first.map_or(0, |day| day.midnight().assume_utc().unix_timestamp());
    (seconds - i64::from(utc_offset_minutes) * 60) * 1000
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_years_add_up_to_the_city_s_report() {
        let sum = |of: fn(&Year) -> usize| YEARS.iter().map(of).sum::<usize>();
        assert_eq!((sum(|year| year.items), sum(|year| year.struck_off)), (2251, 2196));
        let notices = ledger(480);
        assert_eq!(notices.len(), sum(|year| year.notices));
        let items: Vec<&LedgerItem> = notices.iter().flat_map(|notice| &notice.items).collect();
        let open: Vec<usize> =
            items.iter().filter(|item| item.closed_at.is_none()).map(|item| item.place).collect();
        assert_eq!((items.len(), open), (2251, (0..OPEN_PLACES).collect()));
        assert!(items.iter().all(|item| !item.hazard.is_emergency()));
    }
}
