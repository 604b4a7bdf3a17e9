//! Days and moments: how they are written, and which comes first.

use std::cmp::Ordering;

use time::format_description::well_known::Rfc3339;
use time::{Date, OffsetDateTime};

use super::schema::shortened;
use crate::domain::Refusal;

/// 1970-01-01 as a Julian day.
const EPOCH: i32 = 2_440_588;

/// A point of time as fine as it is known, or an end that an interval does not have.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Moment {
    /// Before everything: the open start of an interval.
    Always,
    /// Days since 1970-01-01 on the city's clock.
    Day(i32),
    /// Microseconds since 1970-01-01T00:00:00Z.
    Micros(i64),
    /// After everything: the open end of an interval.
    Forever,
}

/// So many minutes ahead of UTC are the clocks on which a day begins and ends.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Clock(pub i32);

impl Clock {
    /// Which of two is earlier. A moment and a day are compared by the day in which the moment lies; clause 7.6 of
    /// the standard leaves such a cast to the system.
    pub(super) fn compare(self, left: Moment, right: Moment) -> Ordering {
        match (left, right) {
            (Moment::Day(left), Moment::Day(right)) => left.cmp(&right),
            (Moment::Micros(left), Moment::Micros(right)) => left.cmp(&right),
            (Moment::Day(left), Moment::Micros(right)) => left.cmp(&self.day_of(right)),
            (Moment::Micros(left), Moment::Day(right)) => self.day_of(left).cmp(&right),
            (Moment::Always, Moment::Always) | (Moment::Forever, Moment::Forever) => Ordering::Equal,
            (Moment::Always, _) | (_, Moment::Forever) => Ordering::Less,
            (_, Moment::Always) | (Moment::Forever, _) => Ordering::Greater,
        }
    }

    fn day_of(self, micros: i64) -> i32 {
        let local = micros.saturating_add(i64::from(self.0) * 60_000_000);
        i32::try_from(local.div_euclid(86_400_000_000)).unwrap_or(if local < 0 { i32::MIN } else { i32::MAX })
    }
}

/// Days since 1970-01-01 of `2026-01-31`.
pub(super) fn read_date(text: &str) -> Result<i32, Refusal> {
    day(text).ok_or_else(|| Refusal::new("cql2.date").at("filter").with("read", shortened(text)))
}

/// Microseconds since 1970-01-01T00:00:00Z of `2026-01-31T08:00:00Z` (RFC 3339); finer digits are cut off.
/// The standard writes `Z` alone; another offset is understood as well.
pub(super) fn read_timestamp(text: &str) -> Result<i64, Refusal> {
    micros(text).ok_or_else(|| Refusal::new("cql2.timestamp").at("filter").with("read", shortened(text)))
}

fn day(text: &str) -> Option<i32> {
    let fits = text.len() == 10
        && text.bytes().enumerate().all(|(at, byte)| match at {
            4 | 7 => byte == b'-',
            _ => byte.is_ascii_digit(),
        });
    let format = time::macros::format_description!("[year]-[month]-[day]");
    Some(Date::parse(Some(text).filter(|_| fits)?, format).ok()?.to_julian_day() - EPOCH)
}

fn micros(text: &str) -> Option<i64> {
    let nanos = OffsetDateTime::parse(text, &Rfc3339).ok()?.unix_timestamp_nanos();
    i64::try_from(nanos.div_euclid(1000)).ok()
}

/// `2026-01-31` of days since 1970-01-01.
pub(super) fn date_text(days: i32) -> String {
    let date = days.checked_add(EPOCH).and_then(|day| Date::from_julian_day(day).ok()).unwrap_or(Date::MIN);
    format!("{:04}-{:02}-{:02}", date.year(), u8::from(date.month()), date.day())
}

/// `2026-01-31T08:00:00Z` of microseconds since 1970-01-01T00:00:00Z, with as many decimals as it takes.
pub(super) fn timestamp_text(micros: i64) -> String {
    let seconds = micros.div_euclid(1_000_000);
    let at = OffsetDateTime::from_unix_timestamp(seconds).unwrap_or(OffsetDateTime::UNIX_EPOCH);
    let date = at.date();
    let mut text = format!(
        "{:04}-{:02}-{:02}T{:02}:{:02}:{:02}",
        date.year(),
        u8::from(date.month()),
        date.day(),
        at.hour(),
        at.minute(),
        at.second()
    );
    let rest = micros.rem_euclid(1_000_000);
    if rest != 0 {
        text.push_str(format!(".{rest:06}").trim_end_matches('0'));
    }
    text.push('Z');
    text
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_moment_belongs_to_the_day_on_the_city_s_clock() {
        let evening = Moment::Micros(read_timestamp("2026-03-31T16:30:00Z").unwrap());
        let [last, first] = ["2026-03-31", "2026-04-01"].map(|text| Moment::Day(read_date(text).unwrap()));
        assert_eq!(Clock(0).compare(evening, last), Ordering::Equal);
        assert_eq!(Clock(480).compare(evening, last), Ordering::Greater);
        assert_eq!(Clock(480).compare(first, evening), Ordering::Equal);
    }

    #[test]
    fn what_is_no_day_and_no_moment_is_refused() {
        for text in ["2026-02-29", "2026-2-01", "+026-01-01", "二〇二六年一月", "2026-01-01T00:00:00Z", ""]
        {
            assert_eq!(read_date(text).unwrap_err().code, "cql2.date", "{text}");
        }
        for text in ["2026-01-31", "2026-01-31T25:00:00Z", "2026-01-31T08:00:00", "now"] {
            assert_eq!(read_timestamp(text).unwrap_err().code, "cql2.timestamp", "{text}");
        }
        let micros = read_timestamp("2005-01-10T01:01:01.393216Z").unwrap();
        assert_eq!(timestamp_text(micros), "2005-01-10T01:01:01.393216Z");
        assert_eq!(
            timestamp_text(read_timestamp("0001-01-01T00:00:00.5Z").unwrap()),
            "0001-01-01T00:00:00.5Z"
        );
        assert_eq!(read_timestamp("2026-01-01T08:00:00+08:00"), read_timestamp("2026-01-01T00:00:00Z"));
    }
}
