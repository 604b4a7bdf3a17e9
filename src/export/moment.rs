//! Instants as files want them, without going through a calendar library a million times.

use crate::domain::ids::Millis;

/// A moment taken apart on a clock so many minutes east of Greenwich.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Moment {
    pub(super) year: i64,
    pub(super) month: u8,
    pub(super) day: u8,
    pub(super) hour: u8,
    pub(super) minute: u8,
    pub(super) second: u8,
    pub(super) millisecond: u16,
}

const DAY_MS: i64 = 86_400_000;

impl Moment {
    /// `None` outside of the years 1 to 9999, which no file can hold.
    pub(super) fn of(at: Millis, utc_offset_minutes: i32) -> Option<Self> {
        let local = at.0.checked_add(i64::from(utc_offset_minutes) * 60_000)?;
        let (days, rest) = (local.div_euclid(DAY_MS), local.rem_euclid(DAY_MS));
        let (year, month, day) = civil(days);
        (1..=9999).contains(&year).then_some(Self {
            year,
            month,
            day,
            hour: (rest / 3_600_000) as u8,
            minute: (rest / 60_000 % 60) as u8,
            second: (rest / 1000 % 60) as u8,
            millisecond: (rest % 1000) as u16,
        })
    }

    /// `2026-11-24T08:00:00.000`
    pub(super) fn iso(&self) -> String {
        let Self { year, month, day, hour, minute, second, millisecond } = self;
        format!("{year:04}-{month:02}-{day:02}T{hour:02}:{minute:02}:{second:02}.{millisecond:03}")
    }
}

/// `2026-11-24T08:00:00.000Z`, as GeoPackage wants it.
pub(super) fn utc(at: Millis) -> Option<String> {
    Moment::of(at, 0).map(|moment| moment.iso() + "Z")
}

/// `2026-11-24T16:00:00+08:00`: the city's clock, and which one it is.
pub(super) fn local(at: Millis, utc_offset_minutes: i32) -> Option<String> {
    let moment = Moment::of(at, utc_offset_minutes)?;
    let mut text = moment.iso();
    if moment.millisecond == 0 {
        text.truncate(19);
    }
    let east = utc_offset_minutes.unsigned_abs();
    let sign = if utc_offset_minutes < 0 { '-' } else { '+' };
    Some(format!("{text}{sign}{:02}:{:02}", east / 60, east % 60))
}

/// Days since 1970 → year, month, day of the Gregorian calendar. Years are counted from March, so that
/// the leap day comes last; 719 468 days lie between 0000-03-01 and 1970-01-01.
fn civil(days: i64) -> (i64, u8, u8) {
    let shifted = days + 719_468;
    let (era, day_of_era) = (shifted.div_euclid(146_097), shifted.rem_euclid(146_097));
    let year_of_era = (day_of_era - day_of_era / 1460 + day_of_era / 36_524 - day_of_era / 146_096) / 365;
    let day_of_year = day_of_era - (365 * year_of_era + year_of_era / 4 - year_of_era / 100);
    let from_march = (5 * day_of_year + 2) / 153;
    let day = (day_of_year - (153 * from_march + 2) / 5 + 1) as u8;
    let month = if from_march < 10 { from_march + 3 } else { from_march - 9 } as u8;
    (year_of_era + era * 400 + i64::from(month <= 2), month, day)
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn a_moment_is_told_on_the_clock_of_the_city() {
        let at = Millis(1_795_680_000_000);
        assert_eq!(utc(at).as_deref(), Some("2026-11-26T08:00:00.000Z"));
        assert_eq!(local(at, 480).as_deref(), Some("2026-11-26T16:00:00+08:00"));
        assert_eq!(local(Millis(at.0 + 7), -210).as_deref(), Some("2026-11-26T04:30:00.007-03:30"));
        for beyond in [i64::MAX, i64::MIN, 253_402_300_800_000] {
            assert_eq!(utc(Millis(beyond)), None);
        }
    }

    proptest! {
        #[test]
        fn the_calendar_is_that_of_the_library(seconds in -62_135_596_800i64..253_402_300_800) {
            let ours = Moment::of(Millis(seconds * 1000), 0).unwrap();
            let theirs = time::OffsetDateTime::from_unix_timestamp(seconds).unwrap();
            prop_assert_eq!(
                (ours.year, ours.month, ours.day, ours.hour, ours.minute, ours.second),
                (i64::from(theirs.year()), u8::from(theirs.month()), theirs.day(), theirs.hour(),
                    theirs.minute(), theirs.second())
            );
        }
    }
}
