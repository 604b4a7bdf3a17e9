//! 工作日历: which days are worked on. Monday to Friday, but for holidays, and the weekend days on which
//! people work instead (调休).

use std::collections::BTreeSet;

use serde::{Deserialize, Serialize};
use time::{Date, Duration, Month, OffsetDateTime, UtcOffset, Weekday};

use super::ids::Millis;

/// Days are those of the city's clock, written as `2026-10-01`.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct WorkCalendar {
    pub holidays: BTreeSet<Day>,
    pub workdays: BTreeSet<Day>,
}

/// A day of the calendar.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub struct Day(Date);

impl TryFrom<String> for Day {
    type Error = String;
    fn try_from(text: String) -> Result<Self, String> {
        let parsed = || {
            let mut parts = text.split('-');
            let (year, month, day) = (parts.next()?, parts.next()?, parts.next()?);
            let month = Month::try_from(month.parse::<u8>().ok()?).ok()?;
            let date = Date::from_calendar_date(year.parse().ok()?, month, day.parse().ok()?).ok()?;
            (parts.next().is_none() && (1900..=2999).contains(&date.year())).then_some(Self(date))
        };
        parsed().ok_or_else(|| format!("{text} is no day; write it like 2026-10-01"))
    }
}

impl Day {
    /// The day of a moment on a clock so many minutes east of Greenwich.
    pub fn of(at: Millis, utc_offset_minutes: i32) -> Self {
        let local = at.0.div_euclid(1000) + i64::from(utc_offset_minutes) * 60;
        Self(OffsetDateTime::from_unix_timestamp(local).map_or(Date::MIN, OffsetDateTime::date))
    }

    /// The first moment behind the day.
    pub fn end(self, utc_offset_minutes: i32) -> Millis {
        let offset = UtcOffset::from_whole_seconds(utc_offset_minutes * 60).unwrap_or(UtcOffset::UTC);
        Millis((self.0.midnight().assume_offset(offset) + Duration::DAY).unix_timestamp() * 1000)
    }
}

impl From<jiff::civil::Date> for Day {
    fn from(date: jiff::civil::Date) -> Self {
        let month = Month::try_from(date.month().unsigned_abs()).unwrap_or(Month::January);
        let date = Date::from_calendar_date(i32::from(date.year()), month, date.day().unsigned_abs());
        Self(date.unwrap_or(Date::MIN))
    }
}

impl From<Day> for String {
    fn from(Day(date): Day) -> Self {
        format!("{:04}-{:02}-{:02}", date.year(), u8::from(date.month()), date.day())
    }
}

/// Where a search for working days ends: a calendar without any is no calendar.
const LONGEST_DAYS: u32 = 4000;

impl WorkCalendar {
    fn is_worked(&self, date: Date) -> bool {
        let weekend = matches!(date.weekday(), Weekday::Saturday | Weekday::Sunday);
        match weekend {
            true => self.workdays.contains(&Day(date)),
            false => !self.holidays.contains(&Day(date)),
        }
    }

    /// The end of the `days`-th working day after the day of `from`, on a clock so many minutes east of
    /// Greenwich: the first moment of the day behind it.
    pub fn end_after(&self, from: Millis, days: u32, utc_offset_minutes: i32) -> Millis {
        let offset = UtcOffset::from_whole_seconds(utc_offset_minutes * 60).unwrap_or(UtcOffset::UTC);
        let Ok(at) = OffsetDateTime::from_unix_timestamp(from.0.div_euclid(1000)) else { return from };
        let mut date = at.to_offset(offset).date();
        let mut left = days;
        for _ in 0..LONGEST_DAYS {
            if left == 0 {
                break;
            }
            let Some(next) = date.next_day() else { return from };
            date = next;
            left -= u32::from(self.is_worked(date));
        }
        Day(date).end(utc_offset_minutes)
    }
}

/// Days since 1970-01-01 on a clock so many minutes ahead of UTC; `None` beyond all calendars.
pub fn day_number(at: Millis, utc_offset_minutes: i32) -> Option<i32> {
    i32::try_from((at.0 + i64::from(utc_offset_minutes) * 60_000).div_euclid(86_400_000)).ok()
}

/// The first and the last millisecond of a day since 1970-01-01 on the city's clock.
pub fn day_span(day: i32, utc_offset_minutes: i32) -> (i64, i64) {
    let begin = i64::from(day) * 86_400_000 - i64::from(utc_offset_minutes) * 60_000;
    (begin, begin + 86_399_999)
}

/// The year of a moment on the city's clock.
pub fn year_of(at: Millis, utc_offset_minutes: i32) -> u16 {
    let local = at.0.div_euclid(1000) + i64::from(utc_offset_minutes) * 60;
    let year = OffsetDateTime::from_unix_timestamp(local).map_or(1970, |at| at.year());
    u16::try_from(year).unwrap_or(1970)
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    const HOUR: i64 = 3_600_000;
    /// 2026-03-02 08:00 in China, a Monday.
    const MONDAY: i64 = 1_772_409_600_000;

    fn calendar(holidays: &[&str], workdays: &[&str]) -> WorkCalendar {
        let days = |list: &[&str]| list.iter().map(|day| Day::try_from((*day).to_owned()).unwrap()).collect();
        WorkCalendar { holidays: days(holidays), workdays: days(workdays) }
    }

    /// Hours from Monday 8:00 to the end.
    fn hours(calendar: &WorkCalendar, days: u32) -> i64 {
        (calendar.end_after(Millis(MONDAY), days, 480).0 - MONDAY) / HOUR
    }

    #[test]
    fn a_notice_ends_with_its_last_working_day() {
        let plain = calendar(&[], &[]);
        assert_eq!(hours(&plain, 0), 16, "the day itself");
        assert_eq!(hours(&plain, 1), 16 + 24, "Tuesday midnight");
        assert_eq!(hours(&plain, 5), 16 + 7 * 24, "the weekend does not count");
        assert_eq!(hours(&calendar(&["2026-03-03"], &[]), 1), 16 + 48, "a holiday does not count");
        assert_eq!(hours(&calendar(&[], &["2026-03-07"]), 5), 16 + 5 * 24, "a Saturday that is worked does");
    }

    #[test]
    fn a_day_is_read_and_written_alike() {
        for wrong in ["2026-13-01", "2026-02-30", "26-1-1", "2026-1-1-1", "x", ""] {
            assert!(Day::try_from(wrong.to_owned()).is_err(), "{wrong}");
        }
        let text = "holidays = ['2026-10-01']\nworkdays = ['2026-10-10']";
        let read: WorkCalendar = toml::from_str(text).unwrap();
        assert_eq!(read, calendar(&["2026-10-01"], &["2026-10-10"]));
        assert_eq!(toml::from_str::<WorkCalendar>(&toml::to_string(&read).unwrap()).unwrap(), read);
    }

    proptest! {
        #[test]
        fn more_days_end_later_and_never_on_the_way(at in 0i64..4_000_000_000_000, days in 0u32..60, offset in -840i32..=840) {
            let plain = WorkCalendar::default();
            let end = plain.end_after(Millis(at), days, offset);
            prop_assert!(end.0 > at);
            prop_assert!(plain.end_after(Millis(at), days + 1, offset) > end);
            prop_assert_eq!((end.0 / 1000 + i64::from(offset) * 60).rem_euclid(86_400), 0);
            // A working week has five days: never more than the two days of one weekend for every five.
            let span_days = (end.0 - at) / (24 * HOUR);
            prop_assert!(span_days <= i64::from(days) + 2 * (i64::from(days) / 5 + 1) + 1);
        }
    }
}
