//! 时限: how long something may take, counted by one of four clocks over the hours and days on which
//! people work (domain.md §1.5).

use std::collections::BTreeSet;
use std::fmt;
use std::str::FromStr;

use jiff::civil::{Date, DateTime, Time};
use jiff::tz::TimeZone;
use jiff::{SignedDuration, Timestamp, ToSpan};
use serde::{Deserialize, Serialize};

use super::calendar::Day;
use super::ids::Millis;
use super::names::named_enum;

named_enum! {
    /// What of the time counts.
    Clock as "clock" {
        /// 紧急工作时: every hour, nights, weekends and holidays too.
        Continuous = "continuous",
        /// 工作时: only hours in which people work.
        WorkHours = "work_hours",
        /// 工作日: whole days, but only those on which people work.
        WorkDays = "work_days",
        /// 自然日: whole days.
        Days = "days",
    }
}

const MINUTE_MS: i64 = 60_000;
const HOUR_MS: i64 = 60 * MINUTE_MS;
const DAY_MS: i64 = 24 * HOUR_MS;
/// Longest limit: a year.
const LONGEST_MS: i64 = 366 * DAY_MS;

/// So much of a clock's time; a day counts 24 hours, whatever its place makes of summer time.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub struct Limit {
    pub clock: Clock,
    pub ms: i64,
}

/// A limit as a rules file has it: `30 min`, `2 h`, `4 work_h`, `5 work_days`, `3 days`.
impl FromStr for Limit {
    type Err = String;
    fn from_str(text: &str) -> Result<Self, String> {
        let read = || {
            let (number, unit) = text.trim().split_once(' ')?;
            let number: i64 = number.parse().ok()?;
            let (clock, unit_ms) = match unit.trim() {
                "min" => (Clock::Continuous, MINUTE_MS),
                "h" => (Clock::Continuous, HOUR_MS),
                "work_min" => (Clock::WorkHours, MINUTE_MS),
                "work_h" => (Clock::WorkHours, HOUR_MS),
                "work_day" | "work_days" => (Clock::WorkDays, DAY_MS),
                "day" | "days" => (Clock::Days, DAY_MS),
                _ => return None,
            };
            let ms = number.checked_mul(unit_ms)?;
            (ms > 0 && ms <= LONGEST_MS).then_some(Self { clock, ms })
        };
        read().ok_or_else(|| {
            format!("{text} is no limit; write 30 min, 2 h, 4 work_h, 5 work_days or 3 days, at most a year")
        })
    }
}

impl fmt::Display for Limit {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let (unit_ms, unit) = match (self.clock, self.ms % HOUR_MS == 0) {
            (Clock::Continuous, true) => (HOUR_MS, "h"),
            (Clock::Continuous, false) => (MINUTE_MS, "min"),
            (Clock::WorkHours, true) => (HOUR_MS, "work_h"),
            (Clock::WorkHours, false) => (MINUTE_MS, "work_min"),
            (Clock::WorkDays, _) => (DAY_MS, "work_days"),
            (Clock::Days, _) => (DAY_MS, "days"),
        };
        write!(f, "{} {unit}", self.ms / unit_ms)
    }
}

impl TryFrom<String> for Limit {
    type Error = String;
    fn try_from(text: String) -> Result<Self, String> {
        text.parse()
    }
}

impl From<Limit> for String {
    fn from(limit: Limit) -> Self {
        limit.to_string()
    }
}

/// Hours of one day in which people work, in their order, none touching another; written
/// `08:00-12:00 14:00-18:00`, and empty where nobody works.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub struct WorkHours(Vec<(i32, i32)>);

const DAY_MINUTES: i32 = 24 * 60;

impl TryFrom<String> for WorkHours {
    type Error = String;
    fn try_from(text: String) -> Result<Self, String> {
        let minutes = |text: &str| {
            let (hours, minutes) = text.split_once(':')?;
            let (hours, minutes): (i32, i32) = (hours.parse().ok()?, minutes.parse().ok()?);
            let at = hours * 60 + minutes;
            ((0..=59).contains(&minutes) && (0..=DAY_MINUTES).contains(&at)).then_some(at)
        };
        let span = |text: &str| {
            let (start, end) = text.split_once('-')?;
            Some((minutes(start)?, minutes(end)?))
        };
        let spans: Option<Vec<(i32, i32)>> = text.split_whitespace().map(span).collect();
        let in_order = |spans: &Vec<(i32, i32)>| {
            spans.iter().all(|(start, end)| start < end) && spans.windows(2).all(|two| two[0].1 < two[1].0)
        };
        spans
            .filter(in_order)
            .map(Self)
            .ok_or_else(|| format!("{text} are no hours of a day; write them like 08:00-12:00 14:00-18:00"))
    }
}

impl From<WorkHours> for String {
    fn from(WorkHours(spans): WorkHours) -> Self {
        let clock = |at: i32| format!("{:02}:{:02}", at / 60, at % 60);
        let spans: Vec<String> =
            spans.iter().map(|(start, end)| format!("{}-{}", clock(*start), clock(*end))).collect();
        spans.join(" ")
    }
}

/// A place's clock: a zone of the IANA database, such as `Asia/Shanghai`.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub struct Zone(TimeZone);

impl TryFrom<String> for Zone {
    type Error = String;
    fn try_from(name: String) -> Result<Self, String> {
        TimeZone::get(&name).map(Self).map_err(|_| format!("{name} is no time zone; write Asia/Shanghai"))
    }
}

impl From<Zone> for String {
    fn from(Zone(zone): Zone) -> Self {
        zone.iana_name().unwrap_or("UTC").to_owned()
    }
}

/// 工作日历: when people work.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct WorkTime {
    pub zone: Zone,
    /// From Monday to Sunday.
    pub hours: [WorkHours; 7],
    /// Of a day in `workdays` that has none by its weekday; Monday's unless it says otherwise.
    #[serde(skip_serializing_if = "Option::is_none", default)]
    pub makeup_hours: Option<WorkHours>,
    #[serde(default)]
    pub holidays: BTreeSet<Day>,
    /// 调休: days on which people work though their weekday is free or they are a holiday.
    #[serde(default)]
    pub workdays: BTreeSet<Day>,
}

/// Days after which a search for working time gives up: a calendar without any is no calendar.
const LONGEST_SEARCH_DAYS: i32 = 4000;

impl WorkTime {
    /// Whether there is any time at which people work, so that every limit has an end.
    pub fn has_hours(&self) -> bool {
        self.hours.iter().any(|hours| !hours.0.is_empty())
    }

    fn hours_of(&self, date: Date) -> &WorkHours {
        static FREE: WorkHours = WorkHours(Vec::new());
        let usual = &self.hours[date.weekday().to_monday_zero_offset() as usize];
        if self.workdays.contains(&Day::from(date)) {
            return if usual.0.is_empty() {
                self.makeup_hours.as_ref().unwrap_or(&self.hours[0])
            } else {
                usual
            };
        }
        if self.holidays.contains(&Day::from(date)) { &FREE } else { usual }
    }

    fn is_counted(&self, clock: Clock, date: Date) -> bool {
        clock == Clock::Days || !self.hours_of(date).0.is_empty()
    }

    fn local(&self, at: Millis) -> Option<DateTime> {
        Some(self.zone.0.to_datetime(Timestamp::from_millisecond(at.0).ok()?))
    }

    /// A time that summer time skips is the one as long after the gap; of two alike the first.
    fn instant(&self, local: DateTime) -> Option<Millis> {
        let at = self.zone.0.to_ambiguous_zoned_datetime(local).compatible().ok()?;
        Some(Millis(at.timestamp().as_millisecond()))
    }

    /// Working spans of a day as moments.
    fn spans(&self, date: Date) -> impl Iterator<Item = (i64, i64)> {
        let moment = move |minutes: i32| {
            let local = date.to_datetime(Time::midnight()).checked_add(i64::from(minutes).minutes()).ok()?;
            Some(self.instant(local)?.0)
        };
        self.hours_of(date).0.iter().filter_map(move |(start, end)| Some((moment(*start)?, moment(*end)?)))
    }

    /// Milliseconds of a clock between two moments; negative when `to` is before `from`.
    pub fn count(&self, clock: Clock, from: Millis, to: Millis) -> i64 {
        if to < from {
            return -self.count(clock, to, from);
        }
        if clock == Clock::Continuous {
            return to.0 - from.0;
        }
        let (Some(start), Some(end)) = (self.local(from), self.local(to)) else { return 0 };
        let mut counted = 0;
        let mut date = start.date();
        loop {
            if clock == Clock::WorkHours {
                counted += self
                    .spans(date)
                    .map(|(open, close)| (close.min(to.0) - open.max(from.0)).max(0))
                    .sum::<i64>();
            } else if self.is_counted(clock, date) {
                let midnight = date.to_datetime(Time::midnight());
                counted += (wall_ms(midnight, end).min(DAY_MS) - wall_ms(midnight, start).max(0)).max(0);
            }
            match date.tomorrow() {
                Ok(next) if next <= end.date() => date = next,
                _ => return counted,
            }
        }
    }

    /// The moment at which so much of a clock has passed; `None` where it never does.
    pub fn advance(&self, from: Millis, limit: Limit) -> Option<Millis> {
        let Limit { clock, ms: mut left } = limit;
        if left <= 0 {
            return Some(from);
        }
        if clock == Clock::Continuous {
            return Some(Millis(from.0.checked_add(left)?));
        }
        let start = self.local(from)?;
        let mut date = start.date();
        for _ in 0..LONGEST_SEARCH_DAYS {
            if clock == Clock::WorkHours {
                for (open, close) in self.spans(date) {
                    let open = open.max(from.0);
                    if close - open >= left {
                        return Some(Millis(open + left));
                    }
                    left -= (close - open).max(0);
                }
            } else if self.is_counted(clock, date) {
                let midnight = date.to_datetime(Time::midnight());
                let gone = wall_ms(midnight, start).max(0);
                if DAY_MS - gone >= left {
                    let end = midnight.checked_add(SignedDuration::from_millis(gone + left)).ok()?;
                    return self.instant(end);
                }
                left -= DAY_MS - gone;
            }
            date = date.tomorrow().ok()?;
        }
        None
    }
}

/// Milliseconds on the wall between two local times.
fn wall_ms(from: DateTime, to: DateTime) -> i64 {
    to.duration_since(from).as_millis() as i64
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn spans(text: &str) -> WorkHours {
        WorkHours::try_from(text.to_owned()).unwrap()
    }

    fn days(list: &[&str]) -> BTreeSet<Day> {
        list.iter().map(|day| Day::try_from((*day).to_owned()).unwrap()).collect()
    }

    /// The hours of Yuncheng's sheet, and China's holidays around 1 October 2026.
    fn city() -> WorkTime {
        let worked = spans("08:00-12:00 14:00-18:00");
        let free = WorkHours::default();
        let [one, two, three, four, five] = std::array::from_fn(|_| worked.clone());
        WorkTime {
            zone: Zone::try_from("Asia/Shanghai".to_owned()).unwrap(),
            hours: [one, two, three, four, five, free.clone(), free],
            makeup_hours: None,
            holidays: days(&["2026-10-01", "2026-10-02", "2026-10-05", "2026-10-06", "2026-10-07"]),
            workdays: days(&["2026-10-10"]),
        }
    }

    fn at(work: &WorkTime, local: &str) -> Millis {
        work.instant(local.parse().unwrap()).unwrap()
    }

    fn due(work: &WorkTime, from: &str, limit: &str) -> String {
        let end = work.advance(at(work, from), limit.parse().unwrap()).unwrap();
        work.local(end).unwrap().strftime("%Y-%m-%d %H:%M").to_string()
    }

    #[test]
    fn each_clock_counts_what_its_name_says() {
        let city = city();
        for (from, limit, end) in [
            ("2026-09-30T17:00", "2 h", "2026-09-30 19:00"),
            ("2026-09-30T17:00", "30 min", "2026-09-30 17:30"),
            ("2026-09-30T14:00", "4 work_h", "2026-09-30 18:00"),
            ("2026-09-30T17:00", "4 work_h", "2026-10-08 11:00"),
            ("2026-09-30T13:00", "30 work_min", "2026-09-30 14:30"),
            ("2026-09-30T17:00", "1 work_day", "2026-10-08 17:00"),
            ("2026-10-03T09:00", "1 work_day", "2026-10-09 00:00"),
            ("2026-10-09T10:00", "1 work_days", "2026-10-10 10:00"),
            ("2026-10-09T17:00", "3 work_h", "2026-10-10 10:00"),
            ("2026-09-30T17:00", "3 days", "2026-10-03 17:00"),
        ] {
            assert_eq!(due(&city, from, limit), end, "{limit} from {from}");
        }
    }

    #[test]
    fn a_clock_without_hours_has_no_end() {
        let nobody = WorkTime { hours: Default::default(), workdays: BTreeSet::new(), ..city() };
        assert!(!nobody.has_hours());
        assert_eq!(nobody.advance(Millis(0), "1 work_h".parse().unwrap()), None);
        assert_eq!(nobody.advance(Millis(0), "1 work_days".parse().unwrap()), None);
    }

    #[test]
    fn limits_and_hours_are_read_as_they_are_written() {
        for text in ["30 min", "2 h", "4 work_h", "90 work_min", "5 work_days", "3 days"] {
            assert_eq!(text.parse::<Limit>().unwrap().to_string(), text);
        }
        for wrong in
            ["", "2", "2h", "0 h", "-1 h", "1.5 h", "2 weeks", "999999 days", "9223372036854775807 h"]
        {
            assert!(wrong.parse::<Limit>().is_err(), "{wrong}");
        }
        assert_eq!(String::from(spans("08:00-12:00 14:00-24:00")), "08:00-12:00 14:00-24:00");
        for wrong in ["8", "08:00", "12:00-08:00", "08:00-12:00 12:00-14:00", "23:00-25:00", "08:60-09:00"] {
            assert!(WorkHours::try_from(wrong.to_owned()).is_err(), "{wrong}");
        }
    }

    prop_compose! {
        /// Summer time begins and ends between one and three o'clock in these zones: an edge of working
        /// hours in between would be two moments, or none.
        fn any_work_time()(
            zone in prop::sample::select(vec!["Asia/Shanghai", "Europe/London", "America/New_York", "Australia/Lord_Howe"]),
            edges in prop::collection::vec(prop::collection::btree_set(16i32..=96, 0..=6), 7),
            free in prop::collection::vec(0u16..800, 0..30),
            worked in prop::collection::vec(0u16..800, 0..10),
        ) -> WorkTime {
            let hours = |edges: &BTreeSet<i32>| {
                let edges: Vec<i32> = edges.iter().map(|quarter| quarter * 15).collect();
                WorkHours(edges.chunks_exact(2).map(|two| (two[0], two[1])).collect())
            };
            let day = |after: &u16| {
                let first = jiff::civil::date(2025, 9, 1);
                Day::from(first.checked_add(i64::from(*after).days()).unwrap())
            };
            WorkTime {
                zone: Zone::try_from(zone.to_owned()).unwrap(),
                hours: std::array::from_fn(|at| hours(&edges[at])),
                makeup_hours: Some(hours(&BTreeSet::from([40, 60]))),
                holidays: free.iter().map(day).collect(),
                workdays: worked.iter().map(day).collect(),
            }
        }
    }

    impl WorkTime {
        /// Whether people work in this minute of the wall clock.
        fn is_worked_minute(&self, local: DateTime) -> bool {
            let minute = i32::from(local.hour()) * 60 + i32::from(local.minute());
            self.hours_of(local.date()).0.iter().any(|(open, close)| (*open..*close).contains(&minute))
        }

        /// Counts minute by minute; for the clocks of hours minutes that pass, for those of days minutes
        /// that the wall shows.
        fn end_by_hand(&self, from: Millis, limit: Limit) -> Option<Millis> {
            let minutes = limit.ms / MINUTE_MS;
            let mut counted = 0;
            if matches!(limit.clock, Clock::Continuous | Clock::WorkHours) {
                let mut now = from;
                while counted < minutes {
                    let counts = limit.clock == Clock::Continuous || self.is_worked_minute(self.local(now)?);
                    counted += i64::from(counts);
                    now = Millis(now.0 + MINUTE_MS);
                }
                return Some(now);
            }
            let mut now = self.local(from)?;
            while counted < minutes {
                counted += i64::from(limit.clock == Clock::Days || !self.hours_of(now.date()).0.is_empty());
                now = now.checked_add(1.minute()).ok()?;
            }
            self.instant(now)
        }
    }

    proptest! {
        #![proptest_config(ProptestConfig::with_cases(96))]

        #[test]
        fn a_limit_ends_where_counting_minutes_ends(
            work in any_work_time(),
            after_minutes in 0i64..1_000_000,
            clock in prop::sample::select(Clock::ALL.to_vec()),
            minutes in 1i64..12_000,
        ) {
            prop_assume!(work.has_hours());
            // From 1 September 2025 on: two winters and two summers.
            let from = Millis(1_756_684_800_000 + after_minutes * MINUTE_MS);
            let minutes = if clock == Clock::WorkHours { minutes / 4 + 1 } else { minutes };
            let limit = Limit { clock, ms: minutes * MINUTE_MS };
            let end = work.advance(from, limit);
            prop_assert_eq!(end, work.end_by_hand(from, limit));
            let longer = Limit { ms: limit.ms + MINUTE_MS, ..limit };
            prop_assert!(work.advance(from, longer) > end);
        }

        #[test]
        fn time_that_was_counted_is_counted_once(
            work in any_work_time(),
            after_minutes in 0i64..1_000_000,
            clock in prop::sample::select(vec![Clock::Continuous, Clock::WorkHours]),
            first in 1i64..3_000,
            then in 1i64..3_000,
        ) {
            prop_assume!(work.has_hours());
            let from = Millis(1_756_684_800_000 + after_minutes * MINUTE_MS);
            let part = |minutes: i64| Limit { clock, ms: minutes * MINUTE_MS };
            let middle = work.advance(from, part(first)).unwrap();
            let end = work.advance(middle, part(then)).unwrap();
            prop_assert_eq!(work.advance(from, part(first + then)), Some(end));
            prop_assert_eq!(work.count(clock, from, end), (first + then) * MINUTE_MS);
            prop_assert_eq!(work.count(clock, end, from), -(first + then) * MINUTE_MS);
        }
    }
}
