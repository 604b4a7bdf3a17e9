//! The ways in which surveys write a day or a moment.

use serde::Deserialize;
use time::{Date, Month};

use crate::domain::ids::Millis;

#[derive(Debug, Clone, Copy, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "snake_case")]
pub(super) enum DateFormat {
    /// `2023-05-06`, `2023-05-06T07:08:09Z`, `2023-05-06 07:08`, with or without an offset.
    Iso,
    /// `2023/5/6`, also `2023.5.6`, with or without a time of day.
    Slash,
    /// `20230506`
    Compact,
    /// `2023年5月6日`
    Chinese,
    /// `5/6/2023`, `5/6/23 0:00`, `5/6/2023 12:00:00 AM`: month first, as American programs export.
    Us,
    /// `Tue, 01 Jun 2010 00:00:00 GMT`
    Rfc1123,
    /// Milliseconds since 1970, as ArcGIS writes them.
    EpochMs,
}

impl DateFormat {
    /// How a person would write it, for the sentence that refuses something else.
    pub(super) fn example(self) -> &'static str {
        match self {
            Self::Iso => "2023-05-06",
            Self::Slash => "2023/5/6",
            Self::Compact => "20230506",
            Self::Chinese => "2023年5月6日",
            Self::Us => "5/6/2023",
            Self::Rfc1123 => "Sat, 06 May 2023 00:00:00 GMT",
            Self::EpochMs => "1683331200000",
        }
    }

    /// `None` = not written this way, or no such day.
    pub(super) fn parse(self, text: &str, calendar: Calendar) -> Option<Millis> {
        let Calendar { zone_seconds, years_from } = calendar;
        match self {
            Self::Iso => parse_iso(text, zone_seconds),
            Self::Slash => {
                let (day, clock) = text.split_once(' ').unwrap_or((text, ""));
                let separator = if day.contains('/') { '/' } else { '.' };
                let seconds = if clock.is_empty() { 0 } else { parse_clock(clock)? };
                moment(parse_day(day.splitn(3, separator))?, seconds - zone_seconds)
            }
            Self::Compact => {
                if text.len() != 8 || !text.is_ascii() {
                    return None;
                }
                moment(parse_day([&text[..4], &text[4..6], &text[6..]].into_iter())?, -zone_seconds)
            }
            Self::Chinese => {
                let (year, rest) = text.split_once('年')?;
                let (month, rest) = rest.split_once('月')?;
                let day = rest.strip_suffix('日').or_else(|| rest.strip_suffix('号'))?;
                moment(parse_day([year, month, day].into_iter())?, -zone_seconds)
            }
            Self::Us => {
                let (day, clock) = text.split_once(' ').unwrap_or((text, ""));
                let mut parts = day.splitn(3, '/');
                let (month, day, year) = (parts.next()?, parts.next()?, parts.next()?);
                let year = match (digits(year, 2), years_from) {
                    (Some(short), Some(from)) if year.len() == 2 => {
                        (from + (short as i64 - from).rem_euclid(100)).to_string()
                    }
                    _ => year.to_owned(),
                };
                let seconds = if clock.is_empty() { 0 } else { parse_half_days(clock)? };
                moment(parse_day([year.as_str(), month, day].into_iter())?, seconds - zone_seconds)
            }
            Self::Rfc1123 => parse_rfc1123(text),
            Self::EpochMs => digits(text, 14).filter(|_| text.len() > 8).map(|ms| Millis(ms as i64)),
        }
    }
}

/// What a date leaves open.
#[derive(Debug, Clone, Copy)]
pub(super) struct Calendar {
    /// Zone of a text without an offset.
    pub(super) zone_seconds: i64,
    /// The first of the hundred years that are meant by two digits; `None` = such years are not read.
    pub(super) years_from: Option<i64>,
}

impl Calendar {
    /// A moment as day, or as day and time of day, in this zone.
    pub(super) fn write(self, at: Millis) -> String {
        let seconds = at.0.div_euclid(1000) + self.zone_seconds;
        let (days, clock) = (seconds.div_euclid(86_400), seconds.rem_euclid(86_400));
        let date =
            i32::try_from(days + UNIX_EPOCH_JULIAN).ok().and_then(|day| Date::from_julian_day(day).ok());
        let Some(date) = date else { return at.to_rfc3339() };
        let day = format!("{:04}-{:02}-{:02}", date.year(), u8::from(date.month()), date.day());
        match clock {
            0 => day,
            _ => format!("{day} {:02}:{:02}:{:02}", clock / 3600, clock / 60 % 60, clock % 60),
        }
    }
}

/// `+08:00`, `-05:00` or `Z`, in seconds.
pub(super) fn parse_zone(text: &str) -> Option<i64> {
    if text.eq_ignore_ascii_case("z") {
        return Some(0);
    }
    let (sign, rest) = match text.as_bytes().first()? {
        b'+' => (1, &text[1..]),
        b'-' => (-1, &text[1..]),
        _ => return None,
    };
    let (hours, minutes) = match rest.split_once(':') {
        Some(pair) => pair,
        None if rest.len() == 4 && rest.is_ascii() => rest.split_at(2),
        None => (rest, "0"),
    };
    let (hours, minutes) = (digits(hours, 2)?, digits(minutes, 2)?);
    (hours <= 14 && minutes < 60).then(|| sign * (hours * 3600 + minutes * 60) as i64)
}

fn parse_iso(text: &str, zone_seconds: i64) -> Option<Millis> {
    let Some((day, rest)) = text.split_once(['T', 't', ' ']) else {
        return moment(parse_day(text.splitn(3, '-'))?, -zone_seconds);
    };
    let rest = rest.trim();
    let (clock, zone) = match rest.find(['Z', 'z', '+', '-']) {
        Some(at) => (&rest[..at], parse_zone(&rest[at..])?),
        None => (rest, zone_seconds),
    };
    moment(parse_day(day.splitn(3, '-'))?, parse_clock(clock)? - zone)
}

fn parse_rfc1123(text: &str) -> Option<Millis> {
    let rest = text.split_once(',').map_or(text, |(_, rest)| rest).trim();
    let mut words = rest.split_ascii_whitespace();
    let (day, month, year) = (words.next()?, words.next()?, words.next()?);
    let clock = words.next()?;
    let zone = match words.next()? {
        "GMT" | "UTC" | "Z" => 0,
        other => parse_zone(other)?,
    };
    const MONTHS: [&str; 12] =
        ["Jan", "Feb", "Mar", "Apr", "May", "Jun", "Jul", "Aug", "Sep", "Oct", "Nov", "Dec"];
    let month = (MONTHS.iter().position(|name| name.eq_ignore_ascii_case(month))? + 1).to_string();
    moment(parse_day([year, month.as_str(), day].into_iter())?, parse_clock(clock)? - zone)
}

/// Year, month, day in digits. Years of two digits are not guessed at.
fn parse_day<'t>(mut parts: impl Iterator<Item = &'t str>) -> Option<Date> {
    let year = parts.next().filter(|year| year.len() == 4)?;
    let (year, month, day) = (digits(year, 4)?, digits(parts.next()?, 2)?, digits(parts.next()?, 2)?);
    Date::from_calendar_date(year as i32, Month::try_from(month as u8).ok()?, day as u8).ok()
}

/// Seconds of the day of `7:08`, `07:08:09` or `07:08:09.123`; parts of a second are dropped.
fn parse_clock(text: &str) -> Option<i64> {
    let mut parts = text.splitn(3, ':');
    let (hour, minute) = (digits(parts.next()?, 2)?, digits(parts.next()?, 2)?);
    let second = match parts.next() {
        Some(second) => digits(second.split_once('.').map_or(second, |(whole, _)| whole), 2)?,
        None => 0,
    };
    (hour < 24 && minute < 60 && second < 61).then_some((hour * 3600 + minute * 60 + second) as i64)
}

/// A time of day that may be counted in halves of twelve hours: `12:00:00 AM` is midnight.
fn parse_half_days(text: &str) -> Option<i64> {
    let (clock, half) = text.trim().split_once(' ').unwrap_or((text, ""));
    let seconds = parse_clock(clock)?;
    match half.to_ascii_uppercase().as_str() {
        "" => Some(seconds),
        "AM" | "PM" if (1..=12).contains(&(seconds / 3600)) => {
            Some(seconds % 43_200 + if half.eq_ignore_ascii_case("pm") { 43_200 } else { 0 })
        }
        _ => None,
    }
}

const UNIX_EPOCH_JULIAN: i64 = 2_440_588;

fn moment(day: Date, seconds: i64) -> Option<Millis> {
    let days = i64::from(day.to_julian_day()) - UNIX_EPOCH_JULIAN;
    Some(Millis((days * 86_400 + seconds) * 1000))
}

fn digits(text: &str, at_most: usize) -> Option<u64> {
    if text.is_empty() || text.len() > at_most || !text.bytes().all(|byte| byte.is_ascii_digit()) {
        return None;
    }
    text.parse().ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    const CHINA: Calendar = Calendar { zone_seconds: 8 * 3600, years_from: None };

    #[test]
    fn years_of_two_digits_are_read_where_it_is_said_which_hundred_they_are() {
        let calendar = Calendar { years_from: Some(1930), ..CHINA };
        for (text, written) in [
            ("11/26/74 0:00", "1974-11-26"),
            ("9/4/02 13:05", "2002-09-04 13:05:00"),
            ("1/1/30 1:00 PM", "1930-01-01 13:00:00"),
            ("1/1/29", "2029-01-01"),
            ("1/1/1753 12:00:00 AM", "1753-01-01"),
        ] {
            let read = DateFormat::Us.parse(text, calendar).unwrap_or_else(|| panic!("{text}"));
            assert_eq!(calendar.write(read), written, "{text}");
        }
        assert_eq!(DateFormat::Us.parse("11/26/74 0:00", CHINA), None);
        for text in ["11/26/074", "26/11/74", "1/1/2000 13:00 PM", "1/1/2000 0:30 AM", "1/1/2000 1:00 XM"] {
            assert_eq!(DateFormat::Us.parse(text, calendar), None, "{text}");
        }
    }

    #[test]
    fn each_way_of_writing_a_day_gives_the_same_moment() {
        let noon = "2023-05-06T04:00:00Z";
        for (format, text) in [
            (DateFormat::Iso, "2023-05-06T12:00:00+08:00"),
            (DateFormat::Iso, "2023-05-06 12:00"),
            (DateFormat::Iso, "2023-05-06T04:00:00.5Z"),
            (DateFormat::Slash, "2023/5/6 12:00:00"),
            (DateFormat::Rfc1123, "Sat, 06 May 2023 04:00:00 GMT"),
            (DateFormat::EpochMs, "1683345600000"),
            (DateFormat::Us, "5/6/2023 12:00:00 PM"),
            (DateFormat::Us, "05/06/2023 12:00"),
        ] {
            let read = format.parse(text, CHINA).unwrap_or_else(|| panic!("{text}"));
            assert_eq!(read.to_rfc3339(), noon, "{text}");
        }
        for (format, text) in [
            (DateFormat::Iso, "2023-05-06"),
            (DateFormat::Slash, "2023/05/06"),
            (DateFormat::Slash, "2023.5.6"),
            (DateFormat::Compact, "20230506"),
            (DateFormat::Chinese, "2023年5月6日"),
            (DateFormat::Us, "5/6/2023"),
            (DateFormat::Us, "5/6/2023 12:00:00 AM"),
        ] {
            let read = format.parse(text, CHINA).unwrap_or_else(|| panic!("{text}"));
            assert_eq!(read.to_rfc3339(), "2023-05-05T16:00:00Z", "{text}");
        }
    }

    #[test]
    fn what_is_no_day_is_no_day() {
        for text in [
            "",
            " ",
            "2023-02-29",
            "2023-13-01",
            "23-5-6",
            "2023-5",
            "yesterday",
            "2023-05-06T25:00",
            "年月日",
        ] {
            for format in [
                DateFormat::Iso,
                DateFormat::Slash,
                DateFormat::Compact,
                DateFormat::Chinese,
                DateFormat::Rfc1123,
                DateFormat::EpochMs,
                DateFormat::Us,
            ] {
                assert_eq!(format.parse(text, CHINA), None, "{text}");
            }
        }
    }
}
