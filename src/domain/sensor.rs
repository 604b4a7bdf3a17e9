//! 传感器: a device under a cover, its life from the store room to the scrap, and what the city wants to know of it.
//! What its readings mean is `sensor_watch.rs`, how they are written `sensor_message.rs`.

use std::collections::BTreeMap;
use std::sync::LazyLock;

use serde::{Deserialize, Serialize};

use super::Refusal;
use super::hazard::Hazard;
use super::ids::{CoverId, Millis, SensorId};
use super::names::named_enum;
use super::quality::lay_over;
use super::role::Role;
use super::sensor_message::Mapping;

named_enum! {
    /// What a device measures; the unit stands in the word.
    Quantity as "quantity" {
        /// 倾角, in any direction.
        Tilt = "tilt_deg",
        /// 位移, in any direction.
        Displacement = "displacement_mm",
        /// 水位
        Water = "water_cm",
        /// 可燃气体
        Gas = "gas_ppm",
        /// 电量
        Battery = "battery_percent",
        /// 电压
        Voltage = "battery_v",
        /// 信号
        Signal = "signal_dbm",
        /// 温度
        Temperature = "temperature_c",
    }
}

impl Quantity {
    /// Whether only its size matters.
    pub const fn is_undirected(self) -> bool {
        matches!(self, Quantity::Tilt | Quantity::Displacement)
    }
}

named_enum! {
    /// Where a device is in its life.
    SensorState as "sensor_state" {
        /// 在库
        Stock = "stock",
        /// 在用
        Installed = "installed",
        /// 已拆除
        Removed = "removed",
        /// 已报废
        Scrapped = "scrapped",
    }
}

named_enum! {
    /// What people do with a device.
    SensorMove as "sensor_move" {
        /// 安装
        Install = "install",
        /// 拆除
        Remove = "remove",
        /// 报废
        Scrap = "scrap",
        /// 撤防: planned work; what it says raises no case until the work is over.
        Disarm = "disarm",
        /// 设防
        Arm = "arm",
    }
}

named_enum! {
    /// What a device is listed for.
    SensorMark as "sensor_mark" {
        /// 告警中
        Alarmed = "alarmed",
        /// 电量低
        LowBattery = "low_battery",
        /// 失联
        Silent = "silent",
        /// 已撤防
        Disarmed = "disarmed",
    }
}

named_enum! {
    /// How much an alarm matters.
    Severity as "severity" { Low = "low", Medium = "medium", High = "high" }
}

/// One line of the life of a device. Anything that has no line is refused.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct SensorMoveRule {
    pub from: SensorState,
    pub made: SensorMove,
    pub to: SensorState,
    /// Admins always.
    pub roles: &'static [Role],
}

const FIELD: &[Role] = &[Role::Crew, Role::Engineer];
const KEEPERS: &[Role] = &[Role::Engineer];
const GUARDS: &[Role] = &[Role::Engineer, Role::Dispatcher, Role::Supervisor];

/// Who may see devices.
pub const SENSOR_READERS: &[Role] =
    &[Role::Crew, Role::Dispatcher, Role::Supervisor, Role::Engineer, Role::Admin];

pub const SENSOR_MOVES: &[SensorMoveRule] = {
    use SensorMove::*;
    use SensorState::*;
    const fn rule(
        from: SensorState,
        made: SensorMove,
        to: SensorState,
        roles: &'static [Role],
    ) -> SensorMoveRule {
        SensorMoveRule { from, made, to, roles }
    }
    &[
        rule(Stock, Install, Installed, FIELD),
        rule(Stock, Scrap, Scrapped, KEEPERS),
        rule(Installed, Remove, Removed, FIELD),
        rule(Installed, Disarm, Installed, GUARDS),
        rule(Installed, Arm, Installed, GUARDS),
        rule(Removed, Install, Installed, FIELD),
        rule(Removed, Scrap, Scrapped, KEEPERS),
    ]
};

/// The line of a move, or why there is none.
pub fn check_sensor_move(
    sensor: &Sensor,
    made: SensorMove,
    role: Role,
) -> Result<&'static SensorMoveRule, Refusal> {
    let rule = SENSOR_MOVES.iter().find(|rule| rule.from == sensor.state && rule.made == made);
    let rule = rule.ok_or_else(|| {
        let fits = SENSOR_MOVES.iter().filter(|rule| rule.made == made).map(|rule| rule.from.as_str());
        let fits = fits.collect::<Vec<_>>().join(", ");
        Refusal::new("sensor.move")
            .with("sensor_move", made)
            .with("sensor_state", sensor.state)
            .with("fits", fits)
    })?;
    if made == SensorMove::Arm && sensor.disarmed.is_none() {
        return Err(Refusal::new("sensor.is_armed").with("serial", &sensor.serial));
    }
    if role != Role::Admin && !rule.roles.contains(&role) {
        let fits = rule.roles.iter().map(|role| role.as_str()).collect::<Vec<_>>().join(", ");
        return Err(Refusal::new("sensor.role").with("sensor_move", made).with("fits", fits));
    }
    Ok(rule)
}

/// The moves that somebody of this role could make now.
pub fn possible_sensor_moves(sensor: &Sensor, role: Role) -> Vec<SensorMove> {
    SensorMove::ALL.iter().copied().filter(|made| check_sensor_move(sensor, *made, role).is_ok()).collect()
}

/// 撤防: until when a device raises nothing, and why.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Disarmed {
    pub until: Millis,
    pub reason: String,
}

/// A device.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Sensor {
    pub id: SensorId,
    /// 设备编号: as it stands on the device, and as it names itself.
    pub serial: String,
    pub model: String,
    pub state: SensorState,
    /// Under which it is, while it is installed.
    pub cover: Option<CoverId>,
    pub installed_at: Option<Millis>,
    pub disarmed: Option<Disarmed>,
    pub created_at: Millis,
}

impl Sensor {
    /// Whether an alarm of it files a case.
    pub fn is_on_guard(&self) -> bool {
        self.state == SensorState::Installed && self.disarmed.is_none()
    }
}

/// Longest serial number, model, or id of a message.
pub const SENSOR_NAME_LIMIT: usize = 64;
/// Most devices that are registered, and most messages that are sent, at once.
pub const SENSOR_BATCH: usize = 1000;
/// Longest that planned work may go on.
pub const LONGEST_DISARM_MS: i64 = 31 * 86_400_000;

/// A serial number as it is kept.
pub fn check_serial(text: &str) -> Result<&str, Refusal> {
    let text = text.trim();
    let fits = (1..=SENSOR_NAME_LIMIT).contains(&text.len())
        && text.bytes().all(|byte| byte.is_ascii_alphanumeric() || b"._:-".contains(&byte));
    match fits {
        true => Ok(text),
        false => {
            let read: String = text.chars().take(60).collect();
            Err(Refusal::new("sensor.serial").at("serial").with("read", read).with("most", SENSOR_NAME_LIMIT))
        }
    }
}

named_enum! {
    /// Which side of a threshold is trouble.
    Side as "side" { Above = "above", Below = "below" }
}

/// What makes an alarm.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct AlarmRule {
    pub quantity: Quantity,
    pub when: Side,
    /// From here on it is trouble.
    pub on: f64,
    /// Back to here it is none; between the two nothing changes.
    pub off: f64,
    /// How long there must be nothing but trouble.
    pub hold_s: i64,
    /// How long there must be none for it to be over.
    pub quiet_s: i64,
    /// How many readings must say so.
    pub readings: u32,
    /// The case that is filed; `None` = the device is marked.
    pub hazard: Option<Hazard>,
    pub severity: Severity,
}

impl AlarmRule {
    pub fn is_trouble(&self, value: f64) -> bool {
        match self.when {
            Side::Above => value >= self.on,
            Side::Below => value <= self.on,
        }
    }

    pub fn is_calm(&self, value: f64) -> bool {
        match self.when {
            Side::Above => value <= self.off,
            Side::Below => value >= self.off,
        }
    }
}

/// `labels/sensors.toml` with what the city wants otherwise laid over it.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(try_from = "toml::Table")]
pub struct SensorRules {
    pub silent_hours: i64,
    pub keep_days: i64,
    pub future_s: i64,
    /// Least and most of each quantity.
    pub plausible: BTreeMap<Quantity, (f64, f64)>,
    pub alarms: BTreeMap<String, AlarmRule>,
    /// How vendors write messages, by names of the city's own.
    pub mappings: BTreeMap<String, Mapping>,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct RulesFile {
    silent_hours: i64,
    keep_days: i64,
    future_s: i64,
    plausible: BTreeMap<Quantity, (f64, f64)>,
    alarms: BTreeMap<String, AlarmRule>,
    #[serde(default)]
    mappings: BTreeMap<String, Mapping>,
}

static BUILT_IN: LazyLock<SensorRules> =
    LazyLock::new(|| SensorRules::try_from(toml::Table::new()).expect("the rules are read by a test"));

impl TryFrom<toml::Table> for SensorRules {
    type Error = toml::de::Error;
    fn try_from(said: toml::Table) -> Result<Self, Self::Error> {
        let mut whole: toml::Table = toml::from_str(include_str!("../../labels/sensors.toml"))?;
        lay_over(&mut whole, said);
        let RulesFile { silent_hours, keep_days, future_s, plausible, alarms, mappings } =
            whole.try_into()?;
        Ok(Self { silent_hours, keep_days, future_s, plausible, alarms, mappings })
    }
}

impl Default for SensorRules {
    fn default() -> Self {
        BUILT_IN.clone()
    }
}

impl SensorRules {
    /// Refuses rules by which nothing could be judged.
    pub fn check(&self) -> Result<(), Refusal> {
        let refuse = |reason: String| Err(Refusal::new("config.unusable").with("reason", reason));
        if !(1..=8784).contains(&self.silent_hours)
            || !(1..=3660).contains(&self.keep_days)
            || !(0..=86_400).contains(&self.future_s)
        {
            let reason = "[sensors]: silent_hours 1 to 8784, keep_days 1 to 3660, future_s 0 to 86400";
            return refuse(reason.to_owned());
        }
        if let Some(quantity) = Quantity::ALL.iter().find(|quantity| !self.is_bounded(**quantity)) {
            return refuse(format!("sensors.plausible.{quantity}: two numbers, the smaller first"));
        }
        for (name, rule) in &self.alarms {
            let is_ordered = match rule.when {
                Side::Above => rule.off <= rule.on,
                Side::Below => rule.off >= rule.on,
            };
            let fits = rule.on.is_finite()
                && rule.off.is_finite()
                && is_ordered
                && (0..=86_400).contains(&rule.hold_s)
                && (0..=604_800).contains(&rule.quiet_s)
                && (1..=1000).contains(&rule.readings);
            if !fits || name.is_empty() || name.len() > SENSOR_NAME_LIMIT {
                return refuse(format!(
                    "sensors.alarms.{name}: off lies on the calm side of on; hold_s 0 to 86400, quiet_s 0 to 604800, readings 1 to 1000"
                ));
            }
        }
        self.mappings.iter().try_for_each(|(name, mapping)| mapping.check(name))
    }

    fn is_bounded(&self, quantity: Quantity) -> bool {
        let bounds = self.plausible.get(&quantity);
        bounds.is_some_and(|(least, most)| least.is_finite() && most.is_finite() && least <= most)
    }

    /// A value as it is kept, or why it is a fault of the device.
    pub fn believe(&self, quantity: Quantity, value: f64) -> Result<f64, Refusal> {
        let value = if quantity.is_undirected() { value.abs() } else { value };
        let (least, most) = self.plausible.get(&quantity).copied().unwrap_or((0.0, 0.0));
        if (least..=most).contains(&value) {
            return Ok(value);
        }
        let refusal = Refusal::new("sensor.absurd").at(quantity.as_str()).with("read", value);
        Err(refusal.with("least", least).with("most", most))
    }

    /// The alarms that one quantity can raise.
    pub fn alarms_of(&self, quantity: Quantity) -> impl Iterator<Item = (&str, &AlarmRule)> {
        let alarms = self.alarms.iter().filter(move |(_, rule)| rule.quantity == quantity);
        alarms.map(|(name, rule)| (name.as_str(), rule))
    }

    /// A device that was last heard before is silent.
    pub fn silent_before(&self, now: Millis) -> Millis {
        Millis(now.0 - self.silent_hours * 3_600_000)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn sensor(state: SensorState) -> Sensor {
        Sensor {
            id: SensorId::fresh(),
            serial: "LM-1".into(),
            model: String::new(),
            state,
            cover: None,
            installed_at: None,
            disarmed: None,
            created_at: Millis(0),
        }
    }

    #[test]
    fn a_scrapped_device_stays_scrapped_and_every_other_can_be_scrapped_in_time() {
        let roles = Role::ALL;
        for made in SensorMove::ALL {
            let refused = check_sensor_move(&sensor(SensorState::Scrapped), *made, Role::Admin).unwrap_err();
            assert_eq!(refused.code, "sensor.move");
        }
        assert!(
            roles.iter().all(|role| possible_sensor_moves(&sensor(SensorState::Scrapped), *role).is_empty())
        );
        assert_eq!(
            possible_sensor_moves(&sensor(SensorState::Installed), Role::Admin),
            [SensorMove::Remove, SensorMove::Disarm],
            "what is armed cannot be armed"
        );
        assert_eq!(possible_sensor_moves(&sensor(SensorState::Stock), Role::Crew), [SensorMove::Install]);
    }

    #[test]
    fn a_city_says_only_what_it_wants_otherwise_and_no_nonsense() {
        let read = |text: &str| SensorRules::try_from(text.parse::<toml::Table>().unwrap());
        let rules = read("[alarms.tilt]\non = 20").unwrap();
        assert_eq!((rules.alarms["tilt"].on, rules.alarms["tilt"].off), (20.0, 10.0));
        rules.check().unwrap();
        read("").unwrap().check().unwrap();
        assert!(read("[alarms.tilt]\nonn = 20").is_err());
        for wrong in ["silent_hours = 0", "[alarms.tilt]\noff = 16", "[plausible]\ngas_ppm = [5, 1]"] {
            assert!(read(wrong).unwrap().check().is_err(), "{wrong}");
        }
    }

    #[test]
    fn a_serial_number_is_what_fits_on_a_device_and_into_a_topic() {
        assert_eq!(check_serial(" LM-00:1 "), Ok("LM-00:1"));
        for wrong in ["", "a b", "a/b", "a+b", "编号", &"x".repeat(65)] {
            assert!(check_serial(wrong).is_err(), "{wrong}");
        }
    }
}
