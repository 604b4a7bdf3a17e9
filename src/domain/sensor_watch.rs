//! What is remembered of a device, and what its readings come to: one small machine for each alarm. A reading counts when
//! it was measured later than the last of its quantity, so that whatever is sent again, or late, changes nothing.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};

use super::ids::{CaseId, Millis};
use super::names::named_enum;
use super::sensor::{AlarmRule, Quantity, SensorRules};

named_enum! {
    /// How an alarm stands.
    Phase as "phase" {
        /// 正常
        Quiet = "quiet",
        /// 待确认: trouble, not for long enough.
        Pending = "pending",
        /// 告警
        Alarmed = "alarmed",
        /// 待恢复: no more trouble, not for long enough.
        Clearing = "clearing",
    }
}

/// One alarm of one device.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub struct Watch {
    pub phase: Phase,
    /// When what it waits for began, by the clock of the device and by ours.
    pub since: Millis,
    pub heard: Millis,
    /// Readings in a row that said so.
    pub readings: u32,
    /// Where its alarm is filed.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub case: Option<CaseId>,
}

/// What became of an alarm.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Turn {
    /// There is trouble since then.
    Alarm { since: Millis },
    /// There is none since then; with the case that was filed.
    Quiet { since: Millis, case: Option<CaseId> },
}

/// When something was measured and when it came here.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Moment {
    pub at: Millis,
    pub heard: Millis,
}

impl Watch {
    const QUIET: Self =
        Self { phase: Phase::Quiet, since: Millis(0), heard: Millis(0), readings: 0, case: None };

    /// Whether its alarm was raised and is not over.
    pub fn is_raised(&self) -> bool {
        matches!(self.phase, Phase::Alarmed | Phase::Clearing)
    }

    fn enter(&mut self, phase: Phase, moment: Moment) {
        *self = Self { phase, since: moment.at, heard: moment.heard, readings: 1, case: self.case };
    }

    /// Hears a reading that was measured after all before it.
    fn hear(&mut self, rule: &AlarmRule, value: f64, moment: Moment, on_guard: bool) -> Option<Turn> {
        let (trouble, calm) = (rule.is_trouble(value), rule.is_calm(value));
        match self.phase {
            Phase::Quiet if trouble && on_guard => self.enter(Phase::Pending, moment),
            Phase::Pending if !trouble || !on_guard => *self = Self::QUIET,
            Phase::Alarmed if calm => self.enter(Phase::Clearing, moment),
            Phase::Clearing if !calm => self.enter(Phase::Alarmed, moment),
            Phase::Quiet | Phase::Alarmed => {}
            Phase::Pending | Phase::Clearing => self.readings = self.readings.saturating_add(1),
        }
        self.settle(rule, moment.at.0 - self.since.0)
    }

    /// Hears nothing: what the device said last holds until it says otherwise.
    fn wait(&mut self, rule: &AlarmRule, now: Millis) -> Option<Turn> {
        self.settle(rule, now.0 - self.heard.0)
    }

    fn settle(&mut self, rule: &AlarmRule, passed_ms: i64) -> Option<Turn> {
        let since = self.since;
        match self.phase {
            Phase::Pending if passed_ms >= rule.hold_s * 1000 && self.readings >= rule.readings => {
                self.phase = Phase::Alarmed;
                Some(Turn::Alarm { since })
            }
            Phase::Clearing if passed_ms >= rule.quiet_s * 1000 => {
                let case = self.case;
                *self = Self::QUIET;
                Some(Turn::Quiet { since, case })
            }
            _ => None,
        }
    }

    /// When time alone will settle it.
    fn due(&self, rule: &AlarmRule) -> Option<Millis> {
        match self.phase {
            Phase::Pending if self.readings >= rule.readings => {
                Some(Millis(self.heard.0 + rule.hold_s * 1000))
            }
            Phase::Clearing => Some(Millis(self.heard.0 + rule.quiet_s * 1000)),
            _ => None,
        }
    }
}

/// The last reading of a quantity, and the hour in which it lies.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
pub struct LastReading {
    pub value: f64,
    pub at: Millis,
    /// Of the readings of that hour.
    pub count: i64,
    pub least: f64,
    pub most: f64,
}

/// An hour that is over.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct ReadingHour {
    pub quantity: Quantity,
    /// Its beginning.
    pub hour: Millis,
    pub count: i64,
    pub least: f64,
    pub most: f64,
    pub last: f64,
}

const HOUR_MS: i64 = 3_600_000;
/// Ids of messages that are remembered, to know one that comes again without a time of its own.
const REMEMBERED: usize = 16;

/// All that is remembered of a device.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
#[serde(default)]
pub struct SensorMemory {
    pub readings: BTreeMap<Quantity, LastReading>,
    /// Those that are not quiet.
    pub watches: BTreeMap<String, Watch>,
    /// Hashes of the ids of the last messages.
    seen: Vec<u64>,
}

/// What one message came to.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct Heard {
    /// Readings that were new.
    pub taken: usize,
    /// Names of alarms, each with what became of it.
    pub turns: Vec<(String, Turn)>,
    pub hours: Vec<ReadingHour>,
}

impl SensorMemory {
    /// Whether a message with this id came before; it is remembered from now on.
    pub fn is_repeat(&mut self, id_hash: u64) -> bool {
        if self.seen.contains(&id_hash) {
            return true;
        }
        if self.seen.len() >= REMEMBERED {
            self.seen.remove(0);
        }
        self.seen.push(id_hash);
        false
    }

    /// When the last of its readings was measured.
    pub fn latest(&self) -> Option<Millis> {
        self.readings.values().map(|last| last.at).max()
    }

    /// Hears what a device measured at one moment.
    pub fn hear(
        &mut self,
        rules: &SensorRules,
        values: &[(Quantity, f64)],
        moment: Moment,
        on_guard: bool,
    ) -> Heard {
        let mut heard = Heard::default();
        for &(quantity, value) in values {
            if !self.note(quantity, value, moment.at, &mut heard.hours) {
                continue;
            }
            heard.taken += 1;
            for (name, rule) in rules.alarms_of(quantity) {
                let turn = self.with_watch(name, |watch| watch.hear(rule, value, moment, on_guard));
                heard.turns.extend(turn.map(|turn| (name.to_owned(), turn)));
            }
        }
        heard
    }

    /// Keeps a reading; `false` when one as late or later is known.
    fn note(&mut self, quantity: Quantity, value: f64, at: Millis, hours: &mut Vec<ReadingHour>) -> bool {
        let fresh = LastReading { value, at, count: 1, least: value, most: value };
        let Some(last) = self.readings.get_mut(&quantity) else {
            self.readings.insert(quantity, fresh);
            return true;
        };
        if at <= last.at {
            return false;
        }
        let hour = last.at.0.div_euclid(HOUR_MS);
        if hour == at.0.div_euclid(HOUR_MS) {
            *last = LastReading {
                count: last.count + 1,
                least: last.least.min(value),
                most: last.most.max(value),
                ..fresh
            };
            return true;
        }
        hours.push(ReadingHour {
            quantity,
            hour: Millis(hour * HOUR_MS),
            count: last.count,
            least: last.least,
            most: last.most,
            last: last.value,
        });
        *last = fresh;
        true
    }

    /// Lets time pass.
    pub fn wait(&mut self, rules: &SensorRules, now: Millis) -> Vec<(String, Turn)> {
        let mut turns = Vec::new();
        for name in self.watches.keys().cloned().collect::<Vec<_>>() {
            match rules.alarms.get(&name) {
                Some(rule) => {
                    let turn = self.with_watch(&name, |watch| watch.wait(rule, now));
                    turns.extend(turn.map(|turn| (name, turn)));
                }
                // The city no longer has this alarm.
                None => drop(self.watches.remove(&name)),
            }
        }
        turns
    }

    fn with_watch(&mut self, name: &str, change: impl FnOnce(&mut Watch) -> Option<Turn>) -> Option<Turn> {
        let mut watch = self.watches.get(name).copied().unwrap_or(Watch::QUIET);
        let turn = change(&mut watch);
        match watch.phase {
            Phase::Quiet => drop(self.watches.remove(name)),
            _ => drop(self.watches.insert(name.to_owned(), watch)),
        }
        turn
    }

    /// Where an alarm was filed.
    pub fn set_case(&mut self, name: &str, case: CaseId) {
        if let Some(watch) = self.watches.get_mut(name) {
            watch.case = Some(case);
        }
    }

    /// 设防: what was in trouble meanwhile, and still is by its last word, is waited for from now on.
    pub fn arm(&mut self, rules: &SensorRules, now: Millis) {
        let moment = Moment { at: now, heard: now };
        for (name, rule) in &rules.alarms {
            let last = self.readings.get(&rule.quantity);
            if last.is_some_and(|last| rule.is_trouble(last.value)) && !self.watches.contains_key(name) {
                self.watches.entry(name.clone()).or_insert(Watch::QUIET).enter(Phase::Pending, moment);
            }
        }
    }

    /// 撤防: what was not raised yet is dropped.
    pub fn disarm(&mut self) {
        self.watches.retain(|_, watch| watch.is_raised());
    }

    /// Forgets every alarm: the device lies elsewhere now.
    pub fn forget_watches(&mut self) {
        self.watches.clear();
    }

    /// Whether an alarm with a hazard is raised.
    pub fn is_alarmed(&self, rules: &SensorRules) -> bool {
        self.has_raised(rules, true)
    }

    /// Whether the device itself wants looking after.
    pub fn wants_care(&self, rules: &SensorRules) -> bool {
        self.has_raised(rules, false)
    }

    fn has_raised(&self, rules: &SensorRules, hazard: bool) -> bool {
        self.watches.iter().any(|(name, watch)| {
            let rule = rules.alarms.get(name);
            watch.is_raised() && rule.is_some_and(|rule| rule.hazard.is_some() == hazard)
        })
    }

    /// When time alone will settle something.
    pub fn due(&self, rules: &SensorRules) -> Option<Millis> {
        let watches = self.watches.iter();
        watches.filter_map(|(name, watch)| watch.due(rules.alarms.get(name)?)).min()
    }
}

#[cfg(test)]
mod tests;
