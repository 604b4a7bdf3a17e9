//! The ways in which surveys write a day or a moment.

use serde::{Deserialize, Serialize};
use time::{Date, Month};

use crate::domain::ids::Millis;

#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub(super) enum DateFormat {
    /// `2023-05-06`, `2023-05-06T07:08:09Z`, `2023-05-06 07:08`, with or without an offset.
    Iso,
    /// `2023/5/6`, also `2023.5.6`, with or without a time of day.
    Slash,
    /// `20230506`, `20230506070809`
    Compact,
    /// `2023年5月6日`, with or without a time of day.
    Chinese,
    /// `5/6/2023`, `5/6/23 0:00`, `5/6/2023 12:00:00 AM`: month first, as American programs export.
    Us,
    /// `6/5/2023`, `06.05.2023`, `06-05-23 07:08`: day first, as in most of the world.
    DayFirst,
    /// `May 6 2023`, `6-May-23`, `6 May 2023`
    MonthName,
    /// `Tue, 01 Jun 2010 00:00:00 GMT`
    Rfc1123,
    /// `2023-05`, `2023.05`, `2023年5月`: the first of the month.
    YearMonth,
    /// `2023`, `2023年`: the first of the year.
    Year,
    /// `45052`, `45052.5`: days of a spreadsheet whose cells lost their form.
    Serial,
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
            Self::DayFirst => "6/5/2023",
            Self::MonthName => "6 May 2023",
            Self::YearMonth => "2023-05",
            Self::Year => "2023",
            Self::Serial => "45052",
            Self::Rfc1123 => "Sat, 06 May 2023 00:00:00 GMT",
            Self::EpochMs => "1683331200000",
        }
    }

    /// Every form, in the order in which they are tried.
    pub(super) const ALL: [Self; 12] = [
        Self::Iso,
        Self::Slash,
        Self::Chinese,
        Self::Compact,
        Self::Us,
        Self::DayFirst,
        Self::MonthName,
        Self::Rfc1123,
        Self::YearMonth,
        Self::Year,
        Self::Serial,
        Self::EpochMs,
    ];

    /// `None` = not written this way, or no such day.
    pub(super) fn parse(self, text: &str, calendar: Calendar) -> Option<Millis> {
        let Calendar { zone_seconds, .. } = calendar;
        match self {
            Self::Iso => parse_iso(text, zone_seconds),
            Self::Slash => {
                let (day, clock) = text.split_once(' ').unwrap_or((text, ""));
                let separator = if day.contains('/') { '/' } else { '.' };
                moment(parse_day(day.splitn(3, separator))?, parse_half_days(clock)? - zone_seconds)
            }
            Self::Compact => {
                if !matches!(text.len(), 8 | 14) || !text.is_ascii() {
                    return None;
                }
                let day = parse_day([&text[..4], &text[4..6], &text[6..8]].into_iter())?;
                let seconds = match text.len() {
                    8 => 0,
                    _ => parse_clock(&format!("{}:{}:{}", &text[8..10], &text[10..12], &text[12..]))?,
                };
                moment(day, seconds - zone_seconds)
            }
            Self::Chinese => {
                let (year, rest) = text.split_once('年')?;
                let (month, rest) = rest.split_once('月')?;
                let (day, clock) = rest.split_once(['日', '号'])?;
                let clock = clock.trim().replace(['时', '分'], ":").replace('秒', "");
                let clock = clock.trim_end_matches(':');
                // 8时, without minutes.
                let whole = if clock.is_empty() || clock.contains(':') {
                    clock.to_owned()
                } else {
                    format!("{clock}:00")
                };
                moment(
                    parse_day([year, month, day].into_iter().map(str::trim))?,
                    parse_half_days(&whole)? - zone_seconds,
                )
            }
            Self::Us | Self::DayFirst => {
                let (day, clock) = text.split_once(' ').unwrap_or((text, ""));
                let separator = day.chars().find(|c| matches!(c, '/' | '.' | '-'))?;
                let mut parts = day.splitn(3, separator);
                let (first, second, year) = (parts.next()?, parts.next()?, parts.next()?);
                let (month, day) = if self == Self::Us { (first, second) } else { (second, first) };
                let year = calendar.whole_year(year)?;
                moment(
                    parse_day([year.as_str(), month, day].into_iter())?,
                    parse_half_days(clock)? - zone_seconds,
                )
            }
            Self::MonthName => parse_named_month(text, calendar),
            Self::Rfc1123 => parse_rfc1123(text),
            Self::YearMonth => {
                let text = text.strip_suffix('月').unwrap_or(text);
                let (year, month) = text.split_once(['-', '/', '.', '年'])?;
                moment(parse_day([year, month, "1"].into_iter())?, -zone_seconds)
            }
            Self::Year => {
                let year = text.strip_suffix('年').unwrap_or(text);
                moment(parse_day([year, "1", "1"].into_iter())?, -zone_seconds)
            }
            Self::Serial => parse_serial(text, zone_seconds),
            Self::EpochMs => digits(text, 14).filter(|_| text.len() > 8).map(|ms| Millis(ms as i64)),
        }
    }

    /// The day as it is kept: no more of it than was written.
    pub(super) fn write(self, at: Millis, calendar: Calendar) -> String {
        let mut text = calendar.write(at);
        match self {
            Self::Year => text.truncate(4),
            Self::YearMonth => text.truncate(7),
            _ => {}
        }
        text
    }

    /// Whether the form leaves the day open.
    pub(super) fn is_rough(self) -> bool {
        matches!(self, Self::Year | Self::YearMonth)
    }
}

/// What the dates of a file show of their forms.
#[derive(Debug, Clone, Default, PartialEq)]
pub(super) struct FormsSeen {
    /// Those that are met, in the order in which they are to be tried.
    pub(super) forms: Vec<DateFormat>,
    /// Days that can be read with the month or with the day first, and an example.
    pub(super) ambiguous: Option<String>,
    /// A day that proves that the month comes first, and one that proves the day.
    pub(super) month_first: Option<String>,
    pub(super) day_first: Option<String>,
    /// Days such as 5/5/2023, which are the same either way.
    pub(super) either: bool,
    /// The first text that no form fits.
    pub(super) strange: Option<String>,
    pub(super) read: u64,
}

impl FormsSeen {
    pub(super) fn see(&mut self, text: &str, count: u64, calendar: Calendar) {
        let fits = |form: DateFormat| form.parse(text, calendar).is_some_and(is_possible);
        let same = DateFormat::Us.parse(text, calendar) == DateFormat::DayFirst.parse(text, calendar);
        match (fits(DateFormat::Us), fits(DateFormat::DayFirst)) {
            (true, true) if same => self.either = true,
            (true, true) => drop(self.ambiguous.get_or_insert_with(|| text.to_owned())),
            (true, false) => drop(self.month_first.get_or_insert_with(|| text.to_owned())),
            (false, true) => drop(self.day_first.get_or_insert_with(|| text.to_owned())),
            (false, false) => {
                let Some(form) = DateFormat::ALL.into_iter().find(|form| fits(*form)) else {
                    self.strange.get_or_insert_with(|| text.to_owned());
                    return;
                };
                if !self.forms.contains(&form) {
                    self.forms.push(form);
                }
            }
        }
        self.read += count;
    }
}

/// Whether a day can be meant at all, or is a sentinel: 1753 and the zero days among them.
fn is_possible(at: Millis) -> bool {
    // Year 1 and year 10000.
    (-62_135_683_200_000..253_402_387_200_000).contains(&at.0)
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
    /// A year of two digits as one of four; `None` = which hundred is meant is not said.
    fn whole_year(self, year: &str) -> Option<String> {
        if year.len() != 2 {
            return Some(year.to_owned());
        }
        let (short, from) = (digits(year, 2)? as i64, self.years_from?);
        Some((from + (short - from).rem_euclid(100)).to_string())
    }

    /// The days since 1970 of a moment, in this zone.
    pub(super) fn day(self, at: Millis) -> i64 {
        (at.0.div_euclid(1000) + self.zone_seconds).div_euclid(86_400)
    }

    /// The year of a moment, in this zone.
    pub(super) fn year(self, at: Millis) -> Option<i32> {
        let day = i32::try_from(self.day(at) + UNIX_EPOCH_JULIAN).ok()?;
        Date::from_julian_day(day).ok().map(Date::year)
    }

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
    let month = named_month(month)?.to_string();
    moment(parse_day([year, month.as_str(), day].into_iter())?, parse_clock(clock)? - zone)
}

/// The number of a month by its English name, whole or cut to three letters or more.
fn named_month(name: &str) -> Option<usize> {
    const MONTHS: [&str; 12] = [
        "january",
        "february",
        "march",
        "april",
        "may",
        "june",
        "july",
        "august",
        "september",
        "october",
        "november",
        "december",
    ];
    let name = name.trim_end_matches('.').to_ascii_lowercase();
    let fits = |month: &&str| name.len() >= 3 && month.starts_with(&name);
    MONTHS.iter().position(fits).map(|at| at + 1)
}

/// `May 6 2023`, `May 6, 2023 7:08 AM`, `6-May-23`, `06 May 2023 07:08`.
fn parse_named_month(text: &str, calendar: Calendar) -> Option<Millis> {
    if !text.is_ascii() {
        return None;
    }
    let mut rest = text;
    let mut words = [""; 3];
    for word in &mut words {
        rest = rest.trim_start_matches([' ', '-', ',', '/', '.']);
        let ends = rest.find([' ', '-', ',', '/', '.']).unwrap_or(rest.len());
        (*word, rest) = rest.split_at(ends);
    }
    let clock = rest.trim_start_matches([',', ' ']);
    let [first, second, year] = words;
    let (month, day) = match named_month(first) {
        Some(month) => (month, second),
        None => (named_month(second)?, first),
    };
    let day = ["st", "nd", "rd", "th"].iter().find_map(|end| day.strip_suffix(end)).unwrap_or(day);
    let (year, month) = (calendar.whole_year(year)?, month.to_string());
    let seconds = parse_half_days(clock)?;
    moment(parse_day([year.as_str(), month.as_str(), day].into_iter())?, seconds - calendar.zone_seconds)
}

/// Days since 1899-12-30, as spreadsheets count; those of 1925 to 2149, because any number could be one.
fn parse_serial(text: &str, zone_seconds: i64) -> Option<Millis> {
    const DAYS_TO_1970: i64 = 25_569;
    let (whole, part) = text.split_once('.').unwrap_or((text, "0"));
    if whole.len() != 5 || part.is_empty() || !part.bytes().all(|byte| byte.is_ascii_digit()) {
        return None;
    }
    let days = digits(whole, 5).filter(|days| (9_133..=91_312).contains(days))? as i64;
    let seconds = (format!("0.{part}").parse::<f64>().ok()? * 86_400.0).round() as i64;
    Some(Millis(((days - DAYS_TO_1970) * 86_400 + seconds - zone_seconds) * 1000))
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

/// A time of day that may be counted in halves of twelve hours, `12:00:00 AM` is midnight, or missing.
fn parse_half_days(text: &str) -> Option<i64> {
    let text = text.trim();
    if text.is_empty() {
        return Some(0);
    }
    let (clock, half) = text.split_once(' ').unwrap_or((text, ""));
    let seconds = parse_clock(clock)?;
    match half.trim().to_ascii_uppercase().as_str() {
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
            (DateFormat::Compact, "20230506120000"),
            (DateFormat::Chinese, "2023年5月6日12时"),
            (DateFormat::Serial, "45052.5"),
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
            (DateFormat::Chinese, "2023年05月06日 0时0分"),
            (DateFormat::DayFirst, "6/5/2023"),
            (DateFormat::DayFirst, "06.05.2023 00:00"),
            (DateFormat::MonthName, "May 6 2023"),
            (DateFormat::MonthName, "may 6th, 2023"),
            (DateFormat::MonthName, "6-May-2023"),
            (DateFormat::MonthName, "06 May 2023 0:00"),
            (DateFormat::Serial, "45052"),
            (DateFormat::Serial, "45052.0"),
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
            "yesterday",
            "6 Mai 2023",
            "May 2023",
            "31-Apr-2023",
            "999",
            "123456",
            "2023-05-06T25:00",
            "年月日",
        ] {
            for format in DateFormat::ALL {
                assert_eq!(format.parse(text, CHINA), None, "{text}");
            }
        }
    }

    #[test]
    fn a_day_that_is_not_whole_is_kept_as_far_as_it_goes() {
        for (format, text, written) in [
            (DateFormat::Year, "2019", "2019"),
            (DateFormat::Year, "2019年", "2019"),
            (DateFormat::YearMonth, "2019.03", "2019-03"),
            (DateFormat::YearMonth, "2019年3月", "2019-03"),
            (DateFormat::YearMonth, "2019/3", "2019-03"),
            (DateFormat::Slash, "2019.3.7", "2019-03-07"),
        ] {
            let read = format.parse(text, CHINA).unwrap_or_else(|| panic!("{text}"));
            assert_eq!(format.write(read, CHINA), written, "{text}");
        }
    }

    #[test]
    fn which_of_day_and_month_comes_first_is_seen_or_left_open() {
        let calendar = Calendar { years_from: Some(1950), ..CHINA };
        let seen = |texts: &[&str]| {
            let mut seen = FormsSeen::default();
            texts.iter().for_each(|text| seen.see(text, 1, calendar));
            seen
        };
        let open = seen(&["03/07/2019", "2019-03-07", "7-Mar-19", "Mar 7 2019", "soon"]);
        assert_eq!(open.ambiguous.as_deref(), Some("03/07/2019"));
        assert_eq!(open.forms, [DateFormat::Iso, DateFormat::MonthName]);
        assert_eq!((open.month_first, open.day_first, open.strange.as_deref()), (None, None, Some("soon")));
        assert_eq!(seen(&["03/27/2019"]).month_first.as_deref(), Some("03/27/2019"));
        assert_eq!(seen(&["27.03.19"]).day_first.as_deref(), Some("27.03.19"));
    }

    proptest::proptest! {
        #[test]
        fn a_day_is_the_same_however_it_is_written(day in -18_262i32..47_482, clock in 0i64..86_400) {
            let date = Date::from_julian_day(UNIX_EPOCH_JULIAN as i32 + day).unwrap();
            let (year, month, at) = (date.year(), u8::from(date.month()), date.day());
            let name = ["Jan", "Feb", "Mar", "Apr", "May", "Jun", "Jul", "Aug", "Sep", "Oct", "Nov", "Dec"][usize::from(month) - 1];
            let time = format!("{:02}:{:02}:{:02}", clock / 3600, clock / 60 % 60, clock % 60);
            let moment = Millis((i64::from(day) * 86_400 + clock - CHINA.zone_seconds) * 1000);
            for (format, text) in [
                (DateFormat::Iso, format!("{year:04}-{month:02}-{at:02}T{time}+08:00")),
                (DateFormat::Slash, format!("{year}/{month}/{at} {time}")),
                (DateFormat::Chinese, format!("{year}年{month}月{at}日 {time}")),
                (DateFormat::Compact, format!("{year:04}{month:02}{at:02}{}", time.replace(':', ""))),
                (DateFormat::Us, format!("{month}/{at}/{year} {time}")),
                (DateFormat::DayFirst, format!("{at:02}-{month:02}-{year} {time}")),
                (DateFormat::MonthName, format!("{name} {at}, {year} {time}")),
                (DateFormat::MonthName, format!("{at}-{name}-{year} {time}")),
            ] {
                proptest::prop_assert_eq!(format.parse(&text, CHINA), Some(moment), "{}", text);
            }
            // Serials from five digits on: 9999 stands for "unknown".
            if day >= -15_569 {
                let serial = format!("{}", f64::from(day + 25_569) + clock as f64 / 86_400.0);
                proptest::prop_assert_eq!(DateFormat::Serial.parse(&serial, CHINA), Some(moment), "{}", serial);
            }
        }

        #[test]
        fn no_text_breaks_the_reading_of_days(text in "\\PC{0,24}", digits in "[0-9年月日/.: T-]{0,20}") {
            let calendar = Calendar { years_from: Some(1950), ..CHINA };
            for format in DateFormat::ALL {
                for text in [&text, &digits] {
                    if let Some(at) = format.parse(text, calendar) {
                        let _ = format.write(at, calendar);
                    }
                }
            }
        }
    }
}
