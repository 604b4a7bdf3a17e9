//! What readings come to, step by step and whatever they are.

use proptest::prelude::*;

use super::*;

const RULE: &str = "tilt";

fn rules() -> SensorRules {
    SensorRules::default()
}

fn moment(seconds: i64) -> Moment {
    Moment { at: Millis(seconds * 1000), heard: Millis(seconds * 1000) }
}

fn tilt(memory: &mut SensorMemory, seconds: i64, degrees: f64) -> Vec<Turn> {
    let heard = memory.hear(&rules(), &[(Quantity::Tilt, degrees)], moment(seconds), true);
    heard.turns.into_iter().map(|(_, turn)| turn).collect()
}

#[test]
fn a_tilt_is_an_alarm_when_it_lasts_and_over_when_it_has_been_over_for_a_while() {
    let mut memory = SensorMemory::default();
    assert!(tilt(&mut memory, 0, 40.0).is_empty());
    assert!(tilt(&mut memory, 29, 41.0).is_empty());
    assert_eq!(tilt(&mut memory, 30, 39.0), [Turn::Alarm { since: Millis(0) }]);
    assert!(tilt(&mut memory, 40, 12.0).is_empty(), "between the thresholds nothing changes");
    assert!(tilt(&mut memory, 50, 3.0).is_empty());
    assert!(tilt(&mut memory, 100, 16.0).is_empty(), "up again before it was over: no second alarm");
    assert!(tilt(&mut memory, 200, 3.0).is_empty());
    assert_eq!(tilt(&mut memory, 260, 3.0), [Turn::Quiet { since: Millis(200_000), case: None }]);
    assert!(memory.watches.is_empty());
}

#[test]
fn a_device_that_speaks_once_and_sleeps_is_taken_at_its_word() {
    let mut memory = SensorMemory::default();
    tilt(&mut memory, 0, 40.0);
    assert_eq!(memory.due(&rules()), Some(Millis(30_000)));
    assert!(memory.wait(&rules(), Millis(29_999)).is_empty());
    assert_eq!(memory.wait(&rules(), Millis(30_000)), [(RULE.to_owned(), Turn::Alarm { since: Millis(0) })]);
    assert!(memory.wait(&rules(), Millis(900_000)).is_empty(), "once");
}

#[test]
fn a_device_whose_clock_is_slow_is_given_its_time_by_ours() {
    let mut memory = SensorMemory::default();
    let late = Moment { at: Millis(0), heard: Millis(600_000) };
    memory.hear(&rules(), &[(Quantity::Tilt, 40.0)], late, true);
    assert!(memory.wait(&rules(), Millis(629_999)).is_empty());
    assert_eq!(memory.wait(&rules(), Millis(630_000)).len(), 1);
}

#[test]
fn planned_work_raises_nothing_and_what_is_still_wrong_behind_it_does() {
    let mut memory = SensorMemory::default();
    tilt(&mut memory, 0, 40.0);
    memory.disarm();
    for second in [10, 60, 3600] {
        let heard = memory.hear(&rules(), &[(Quantity::Tilt, 80.0)], moment(second), false);
        assert_eq!((heard.taken, heard.turns.len()), (1, 0), "it is kept, and raises nothing");
    }
    memory.arm(&rules(), Millis(7_200_000));
    assert!(memory.wait(&rules(), Millis(7_229_999)).is_empty());
    assert_eq!(memory.wait(&rules(), Millis(7_230_000)).len(), 1);
}

#[test]
fn a_low_battery_marks_the_device_and_is_no_alarm_of_the_cover() {
    let mut memory = SensorMemory::default();
    let heard = memory.hear(&rules(), &[(Quantity::Battery, 12.0)], moment(0), true);
    assert_eq!(heard.turns.len(), 1);
    assert!(memory.wants_care(&rules()) && !memory.is_alarmed(&rules()));
    memory.hear(&rules(), &[(Quantity::Battery, 25.0)], moment(1), true);
    assert!(memory.wants_care(&rules()));
    memory.hear(&rules(), &[(Quantity::Battery, 90.0)], moment(2), true);
    assert!(!memory.wants_care(&rules()));
}

#[test]
fn an_hour_is_told_once_when_the_next_one_begins() {
    let mut memory = SensorMemory::default();
    for (second, degrees) in [(0, 1.0), (1800, 5.0), (3599, 2.0)] {
        tilt(&mut memory, second, degrees);
    }
    let heard = memory.hear(&rules(), &[(Quantity::Tilt, 0.0)], moment(7200), true);
    let hour =
        ReadingHour { quantity: Quantity::Tilt, hour: Millis(0), count: 3, least: 1.0, most: 5.0, last: 2.0 };
    assert_eq!(heard.hours, [hour]);
}

#[test]
fn the_last_sixteen_messages_are_known_again() {
    let mut memory = SensorMemory::default();
    assert!((0..20).all(|id| !memory.is_repeat(id)));
    assert!((4..20).all(|id| memory.is_repeat(id)));
    assert!(!memory.is_repeat(0));
}

/// Seconds since the one before, degrees.
fn any_readings() -> impl Strategy<Value = Vec<(i64, f64)>> {
    prop::collection::vec((1..40_i64, prop_oneof![0.0..10.0_f64, 10.0..15.0, 15.0..90.0]), 1..60)
}

fn dated(steps: &[(i64, f64)]) -> Vec<(i64, f64)> {
    let mut now = 0;
    steps
        .iter()
        .map(|(passed, degrees)| {
            now += passed;
            (now, *degrees)
        })
        .collect()
}

proptest! {
    /// Whatever comes in order: an alarm stands on nothing but trouble for its hold time, and alarm and quiet alternate.
    #[test]
    fn no_alarm_without_trouble_all_the_while(steps in any_readings()) {
        let readings = dated(&steps);
        let mut memory = SensorMemory::default();
        let mut raised = false;
        for (at, (second, degrees)) in readings.iter().enumerate() {
            for turn in tilt(&mut memory, *second, *degrees) {
                match turn {
                    Turn::Alarm { since } => {
                        prop_assert!(!raised);
                        raised = true;
                        prop_assert!(second * 1000 - since.0 >= 30_000);
                        let mut within = readings[..=at].iter().filter(|(second, _)| second * 1000 >= since.0);
                        prop_assert!(within.all(|(_, degrees)| *degrees >= 15.0));
                    }
                    Turn::Quiet { since, .. } => {
                        prop_assert!(raised);
                        raised = false;
                        prop_assert!(second * 1000 - since.0 >= 60_000);
                        let mut within = readings[..=at].iter().filter(|(second, _)| second * 1000 >= since.0);
                        prop_assert!(within.all(|(_, degrees)| *degrees <= 10.0));
                    }
                }
            }
        }
    }

    /// Between the thresholds nothing is ever raised and nothing is ever over.
    #[test]
    fn nothing_flaps_between_the_thresholds(steps in prop::collection::vec((1..5000_i64, 10.001..14.999_f64), 1..50), raised: bool) {
        let mut memory = SensorMemory::default();
        if raised {
            tilt(&mut memory, -100, 50.0);
            prop_assert_eq!(tilt(&mut memory, 0, 50.0).len(), 1);
        }
        for (second, degrees) in dated(&steps) {
            prop_assert!(tilt(&mut memory, second, degrees).is_empty());
            prop_assert!(memory.wait(&rules(), Millis((second + 4000) * 1000)).is_empty());
        }
        prop_assert_eq!(memory.is_alarmed(&rules()), raised);
    }

    /// What is sent again, or comes late, changes nothing.
    #[test]
    fn repeats_and_stragglers_change_nothing(steps in any_readings(), picks in prop::collection::vec(any::<prop::sample::Index>(), 0..80)) {
        let readings = dated(&steps);
        let (mut clean, mut noisy) = (SensorMemory::default(), SensorMemory::default());
        let (mut wanted, mut got) = (Vec::new(), Vec::new());
        for at in 0..readings.len() {
            wanted.extend(tilt(&mut clean, readings[at].0, readings[at].1));
            got.extend(tilt(&mut noisy, readings[at].0, readings[at].1));
            for pick in picks.iter().skip(at % 7).step_by(7) {
                let (second, degrees) = readings[pick.index(at + 1)];
                got.extend(tilt(&mut noisy, second, degrees));
            }
        }
        prop_assert_eq!(got, wanted);
        prop_assert_eq!(noisy, clean);
    }

    /// Without a guard nothing is raised, whatever is said.
    #[test]
    fn nothing_is_raised_off_guard(steps in any_readings()) {
        let mut memory = SensorMemory::default();
        for (second, degrees) in dated(&steps) {
            let heard = memory.hear(&rules(), &[(Quantity::Tilt, degrees), (Quantity::Gas, degrees)], moment(second), false);
            prop_assert!(heard.turns.is_empty());
            prop_assert!(memory.wait(&rules(), Millis(second * 1000 + 900_000)).is_empty());
        }
        prop_assert!(memory.watches.is_empty());
    }
}
