//! The days of a report: a month, a quarter, a year, or from one day until another, on the city's clock.

use time::{Date, Duration, Month};

use crate::domain::Refusal;
use crate::domain::ids::Millis;

/// From this moment on, and before that one.
pub type Span = (Millis, Millis);

/// Days from the first to the last, both included.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub struct Period {
    first: Date,
    last: Date,
}

impl Period {
    /// `2026-10`, `2026-Q4` or `2026`.
    pub fn parse(text: &str) -> Result<Self, Refusal> {
        let read = || {
            let (year, rest) = text.split_once('-').map_or((text, None), |(year, rest)| (year, Some(rest)));
            let digits = |text: &str| text.bytes().all(|byte| byte.is_ascii_digit());
            let year: i32 = Some(year).filter(|year| year.len() == 4 && digits(year))?.parse().ok()?;
            let (month, months) = match rest {
                None => (1, 12),
                Some(rest) => match rest.strip_prefix('Q') {
                    Some(quarter) if quarter.len() == 1 => match quarter.parse::<u8>().ok()? {
                        quarter @ 1..=4 => (quarter * 3 - 2, 3),
                        _ => return None,
                    },
                    _ => (Some(rest).filter(|rest| rest.len() == 2 && digits(rest))?.parse().ok()?, 1),
                },
            };
            let first = Date::from_calendar_date(year, Month::try_from(month).ok()?, 1).ok()?;
            let last = months_on(first, months).previous_day()?;
            (1971..=2199).contains(&year).then_some(Self { first, last })
        };
        let short: String = text.chars().filter(|c| !c.is_control()).take(60).collect();
        read().ok_or_else(|| Refusal::new("statistics.period").at("period").with("read", short))
    }

    /// From one day until another, written as `2026-10-31`.
    pub fn between(first: &str, last: &str) -> Result<Self, Refusal> {
        let day = |field, text: &str| {
            let format = time::macros::format_description!("[year]-[month]-[day]");
            let short: String = text.chars().filter(|c| !c.is_control()).take(60).collect();
            Date::parse(text.trim(), format)
                .ok()
                .filter(|date| (1971..=2199).contains(&date.year()))
                .ok_or_else(|| Refusal::new("form.day").at(field).with("read", short))
        };
        let (first, last) = (day("from", first)?, day("until", last)?);
        if first > last {
            return Err(Refusal::new("statistics.order").at("until"));
        }
        Ok(Self { first, last })
    }

    /// The month in which a moment lies.
    pub fn month_of(at: Millis, utc_offset_minutes: i32) -> Self {
        let seconds = at.0.div_euclid(1000) + i64::from(utc_offset_minutes) * 60;
        let date = time::OffsetDateTime::from_unix_timestamp(seconds).map_or(Date::MIN, |at| at.date());
        let first = date.replace_day(1).unwrap_or(date);
        Self { first, last: months_on(first, 1).previous_day().unwrap_or(first) }
    }

    fn months(&self) -> Option<i32> {
        let behind = self.last.next_day()?;
        (self.first.day() == 1 && behind.day() == 1).then(|| month_number(behind) - month_number(self.first))
    }

    /// 环比: as many months or days before.
    pub fn previous(&self) -> Self {
        let last = self.first.previous_day().unwrap_or(self.first);
        let first = match self.months() {
            Some(months) => months_on(self.first, -months),
            None => self.first - (self.last - self.first) - Duration::DAY,
        };
        Self { first, last }
    }

    /// 同比: the same days a year before.
    pub fn last_year(&self) -> Self {
        let last = match self.months() {
            Some(_) => self.last.next_day().and_then(|behind| months_on(behind, -12).previous_day()),
            None => None,
        };
        Self { first: months_on(self.first, -12), last: last.unwrap_or_else(|| months_on(self.last, -12)) }
    }

    /// So many months that end with the one of the last day, the earliest first.
    pub fn months_until(&self, count: i32) -> Vec<Self> {
        let last = self.last.replace_day(1).unwrap_or(self.last);
        (0..count)
            .rev()
            .map(|back| {
                let first = months_on(last, -back);
                Self { first, last: months_on(first, 1).previous_day().unwrap_or(first) }
            })
            .collect()
    }

    pub fn span(&self, utc_offset_minutes: i32) -> Span {
        let midnight = |date: Date| {
            Millis(
                (date.midnight().assume_utc().unix_timestamp() - i64::from(utc_offset_minutes) * 60) * 1000,
            )
        };
        (midnight(self.first), midnight(self.last.next_day().unwrap_or(self.last)))
    }

    pub fn first_day(&self) -> String {
        day_text(self.first)
    }

    pub fn last_day(&self) -> String {
        day_text(self.last)
    }

    /// As `parse` reads it; days where it is neither a month, a quarter nor a year.
    pub fn name(&self) -> String {
        let (year, month) = (self.first.year(), u8::from(self.first.month()));
        match self.months() {
            Some(1) => format!("{year:04}-{month:02}"),
            Some(3) if month % 3 == 1 => format!("{year:04}-Q{}", month.div_ceil(3)),
            Some(12) if month == 1 => format!("{year:04}"),
            _ => format!("{}–{}", self.first_day(), self.last_day()),
        }
    }
}

fn day_text(date: Date) -> String {
    format!("{:04}-{:02}-{:02}", date.year(), u8::from(date.month()), date.day())
}

fn month_number(date: Date) -> i32 {
    date.year() * 12 + i32::from(u8::from(date.month())) - 1
}

/// The same day so many months on, or the last one of a shorter month.
fn months_on(date: Date, months: i32) -> Date {
    let number = month_number(date) + months;
    let month = Month::try_from(number.rem_euclid(12) as u8 + 1).unwrap_or(Month::January);
    let day = date.day().min(month.length(number.div_euclid(12)));
    Date::from_calendar_date(number.div_euclid(12), month, day).unwrap_or(date)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_period_knows_the_one_before_and_that_of_last_year() {
        for (text, previous, last_year) in [
            ("2026-10", "2026-09", "2025-10"),
            ("2026-01", "2025-12", "2025-01"),
            ("2024-02", "2024-01", "2023-02"),
            ("2026-Q1", "2025-Q4", "2025-Q1"),
            ("2026", "2025", "2025"),
        ] {
            let period = Period::parse(text).unwrap();
            assert_eq!(period.name(), text);
            assert_eq!(
                (period.previous().name(), period.last_year().name()),
                (previous.into(), last_year.into())
            );
        }
        let days = Period::between("2024-02-20", "2024-02-29").unwrap();
        assert_eq!(days.previous().name(), "2024-02-10–2024-02-19");
        assert_eq!(days.last_year().name(), "2023-02-20–2023-02-28");
        assert_eq!(
            Period::parse("2023-02").unwrap().last_year().span(480),
            Period::parse("2022-02").unwrap().span(480)
        );
    }

    #[test]
    fn days_are_those_of_the_city() {
        let (begin, end) = Period::parse("2026-03").unwrap().span(480);
        assert_eq!(
            (begin.to_rfc3339().as_str(), end.to_rfc3339().as_str()),
            ("2026-02-28T16:00:00Z", "2026-03-31T16:00:00Z")
        );
        assert_eq!(Period::month_of(begin, 480).name(), "2026-03");
        assert_eq!(Period::month_of(Millis(begin.0 - 1), 480).name(), "2026-02");
        let months: Vec<String> =
            Period::parse("2026-Q1").unwrap().months_until(4).iter().map(Period::name).collect();
        assert_eq!(months, ["2025-12", "2026-01", "2026-02", "2026-03"]);
    }

    #[test]
    fn what_names_no_period_is_refused() {
        for text in [
            "",
            "2026-13",
            "2026-Q5",
            "2026-Q",
            "26-01",
            "2026-1",
            "0000",
            "9999-12",
            "2026-10-01",
            "+026",
            "二〇二六",
        ] {
            assert_eq!(Period::parse(text).unwrap_err().code, "statistics.period", "{text}");
        }
        assert_eq!(Period::between("2026-02-30", "2026-03-01").unwrap_err().code, "form.day");
        assert_eq!(Period::between("2026-03-02", "2026-03-01").unwrap_err().code, "statistics.order");
    }
}
