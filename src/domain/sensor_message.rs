//! How devices write what they measured: our own form, and those of vendors by mappings of the city's settings.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};
use serde_json::Value;

use super::Refusal;
use super::ids::Millis;
use super::names::named_enum;
use super::sensor::{Quantity, SENSOR_NAME_LIMIT, SensorRules, check_serial};

/// What one device measured at one moment.
#[derive(Debug, Clone, PartialEq)]
pub struct SensorMessage {
    pub serial: String,
    /// The device's own; by it a message without a time is known again.
    pub message_id: Option<String>,
    /// `None` = now, for devices without a clock.
    pub measured_at: Option<Millis>,
    pub values: Vec<(Quantity, f64)>,
    /// What else it said and cannot be used.
    pub problems: Vec<Refusal>,
}

/// How a vendor writes messages: places in its JSON (RFC 6901), each quantity with its factor.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Mapping {
    /// Where several messages stand in one text; empty = the text is one message, or a list of them.
    #[serde(default, skip_serializing_if = "String::is_empty")]
    pub messages: String,
    /// Empty = the topic says which device it is.
    #[serde(default, skip_serializing_if = "String::is_empty")]
    pub serial: String,
    #[serde(default, skip_serializing_if = "String::is_empty")]
    pub message_id: String,
    /// Empty = now.
    #[serde(default, skip_serializing_if = "String::is_empty")]
    pub measured_at: String,
    #[serde(default)]
    pub time: TimeForm,
    pub values: BTreeMap<Quantity, ValuePlace>,
}

/// Where a quantity stands, and how it becomes one in our unit: `read × scale + offset`.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct ValuePlace {
    pub pointer: String,
    #[serde(default = "one")]
    pub scale: f64,
    #[serde(default)]
    pub offset: f64,
}

fn one() -> f64 {
    1.0
}

named_enum! {
    /// How a vendor writes times.
    TimeForm as "time_form" {
        /// `2026-03-02T08:00:00+08:00`
        Rfc3339 = "rfc3339",
        /// Since 1970.
        Seconds = "seconds",
        Milliseconds = "milliseconds",
    }
}

#[expect(clippy::derivable_impls, reason = "the enum is written by a macro")]
impl Default for TimeForm {
    fn default() -> Self {
        TimeForm::Rfc3339
    }
}

impl Mapping {
    pub(super) fn check(&self, name: &str) -> Result<(), Refusal> {
        let own = [&self.messages, &self.serial, &self.message_id, &self.measured_at];
        let places = self.values.values().map(|place| &place.pointer);
        let is_pointer = |text: &&String| text.is_empty() || text.starts_with('/');
        let numbers = self.values.values().flat_map(|place| [place.scale, place.offset]);
        if own.into_iter().chain(places).all(|text| is_pointer(&text))
            && !self.values.is_empty()
            && numbers.into_iter().all(f64::is_finite)
        {
            return Ok(());
        }
        let reason = format!("sensors.mappings.{name}: values, with places that begin with / as in RFC 6901");
        Err(Refusal::new("config.unusable").with("reason", reason))
    }
}

/// A message, or why it is none.
pub type Read = Result<SensorMessage, Refusal>;

/// Reads a text that holds one message or a list of them. `topic_serial` is the device that the topic names; `None` when
/// the text is no JSON of either kind.
pub fn read_messages(
    text: &[u8],
    rules: &SensorRules,
    mapping: Option<&Mapping>,
    topic_serial: Option<&str>,
) -> Option<Vec<Read>> {
    let said: Value = serde_json::from_slice(text).ok()?;
    let place = mapping.map_or("", |mapping| mapping.messages.as_str());
    let read = |one: &Value| read_message(one, rules, mapping, topic_serial);
    match said.pointer(place)? {
        Value::Array(list) => Some(list.iter().map(read).collect()),
        one @ Value::Object(_) => Some(vec![read(one)]),
        _ => None,
    }
}

/// Reads one message.
pub fn read_message(
    said: &Value,
    rules: &SensorRules,
    mapping: Option<&Mapping>,
    topic_serial: Option<&str>,
) -> Read {
    if !said.is_object() {
        return Err(Refusal::new("sensor.no_object"));
    }
    let places = Places::of(mapping);
    let serial = match (text_at(said, places.serial), topic_serial) {
        (Some(own), Some(topic)) if own != topic => {
            let refusal = Refusal::new("sensor.two_serials").at("serial");
            return Err(refusal.with("read", shortened(&own)).with("topic", shortened(topic)));
        }
        (Some(own), _) => own,
        (None, Some(topic)) => topic.to_owned(),
        (None, None) => return Err(Refusal::new("sensor.no_serial").at("serial")),
    };
    let serial = check_serial(&serial)?.to_owned();
    let message_id = text_at(said, places.message_id);
    if message_id.as_ref().is_some_and(|id| id.len() > SENSOR_NAME_LIMIT) {
        return Err(Refusal::new("sensor.message_id").at("message_id").with("most", SENSOR_NAME_LIMIT));
    }
    let measured_at = match at(said, places.measured_at) {
        None => None,
        Some(value) => Some(read_time(value, mapping.map(|mapping| mapping.time))?),
    };
    let mut message =
        SensorMessage { serial, message_id, measured_at, values: Vec::new(), problems: Vec::new() };
    match mapping {
        Some(mapping) => {
            for (quantity, place) in &mapping.values {
                if let Some(value) = at(said, &place.pointer) {
                    message.take(rules, *quantity, value, (place.scale, place.offset));
                }
            }
        }
        None => {
            let Some(values) = said.get("values").and_then(Value::as_object) else {
                return Err(Refusal::new("sensor.no_values").at("values"));
            };
            for (name, value) in values {
                match shortened(name).parse::<Quantity>() {
                    Ok(quantity) => message.take(rules, quantity, value, (1.0, 0.0)),
                    Err(refusal) => message.problems.push(refusal.at(shortened(name))),
                }
                if message.problems.len() > Quantity::ALL.len() {
                    break;
                }
            }
        }
    }
    match (message.values.is_empty(), message.problems.first()) {
        (false, _) => Ok(message),
        (true, Some(first)) => Err(first.clone()),
        (true, None) => Err(Refusal::new("sensor.no_values").at("values")),
    }
}

struct Places<'m> {
    serial: &'m str,
    message_id: &'m str,
    measured_at: &'m str,
}

impl<'m> Places<'m> {
    fn of(mapping: Option<&'m Mapping>) -> Self {
        match mapping {
            None => Self { serial: "/serial", message_id: "/message_id", measured_at: "/measured_at" },
            Some(own) => {
                Self { serial: &own.serial, message_id: &own.message_id, measured_at: &own.measured_at }
            }
        }
    }
}

impl SensorMessage {
    fn take(&mut self, rules: &SensorRules, quantity: Quantity, value: &Value, (scale, offset): (f64, f64)) {
        // Some vendors write numbers as texts.
        let number = value.as_f64().or_else(|| value.as_str()?.trim().parse().ok());
        let Some(number) = number.filter(|number: &f64| number.is_finite()) else {
            if !value.is_null() {
                let refusal = Refusal::new("sensor.number").at(quantity.as_str());
                self.problems.push(refusal.with("read", shortened(&value.to_string())));
            }
            return;
        };
        match rules.believe(quantity, number * scale + offset) {
            Ok(value) => self.values.push((quantity, value)),
            Err(refusal) => self.problems.push(refusal),
        }
    }
}

/// What stands at a place; nothing where the place is empty or holds `null`.
fn at<'v>(said: &'v Value, pointer: &str) -> Option<&'v Value> {
    if pointer.is_empty() {
        return None;
    }
    said.pointer(pointer).filter(|value| !value.is_null())
}

fn text_at(said: &Value, pointer: &str) -> Option<String> {
    match at(said, pointer)? {
        Value::String(text) => Some(text.clone()),
        Value::Number(number) => Some(number.to_string()),
        // It is refused as a text that fits nothing.
        other => Some(other.to_string()),
    }
}

fn read_time(value: &Value, form: Option<TimeForm>) -> Result<Millis, Refusal> {
    let refuse = || Refusal::new("form.moment").at("measured_at").with("read", shortened(&plain(value)));
    let whole = || value.as_i64().or_else(|| value.as_str()?.trim().parse().ok());
    let millis = match form {
        Some(TimeForm::Seconds) => whole().and_then(|seconds| seconds.checked_mul(1000)),
        Some(TimeForm::Milliseconds) => whole(),
        // In our own form a number is milliseconds.
        None if value.is_number() => value.as_i64(),
        Some(TimeForm::Rfc3339) | None => {
            let format = &time::format_description::well_known::Rfc3339;
            let read = value.as_str().and_then(|text| time::OffsetDateTime::parse(text.trim(), format).ok());
            read.and_then(|at| i64::try_from(at.unix_timestamp_nanos() / 1_000_000).ok())
        }
    };
    // Between 2000 and 2200: whatever says otherwise is no clock.
    millis.filter(|at| (946_684_800_000..7_258_118_400_000).contains(at)).map(Millis).ok_or_else(refuse)
}

fn plain(value: &Value) -> String {
    value.as_str().map_or_else(|| value.to_string(), str::to_owned)
}

fn shortened(text: &str) -> String {
    text.chars().take(60).collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;
    use serde_json::json;

    fn read(said: Value) -> Read {
        read_message(&said, &SensorRules::default(), None, None)
    }

    #[test]
    fn our_own_form_says_who_when_and_what() {
        let message =
            read(json!({"serial": "LM-1", "message_id": 7, "measured_at": "2026-03-02T08:00:00+08:00",
            "values": {"tilt_deg": -17.5, "battery_percent": "80"}, "firmware": "2.1"}))
            .unwrap();
        assert_eq!(message.message_id.as_deref(), Some("7"));
        assert_eq!(message.measured_at, Some(Millis(1_772_409_600_000)));
        assert_eq!(message.values, [(Quantity::Battery, 80.0), (Quantity::Tilt, 17.5)]);
        assert!(message.problems.is_empty());
    }

    #[test]
    fn what_cannot_be_used_is_told_and_loses_nothing_else() {
        let message = read(json!({"serial": "LM-1", "values":
            {"tilt_deg": 500, "water_cm": "deep", "tilt": 3, "gas_ppm": 2, "battery_v": null}}))
        .unwrap();
        assert_eq!(message.values, [(Quantity::Gas, 2.0)]);
        let codes: Vec<&str> = message.problems.iter().map(|problem| problem.code).collect();
        assert_eq!(codes, ["quantity.unknown", "sensor.absurd", "sensor.number"]);
        for (said, code) in [
            (json!([]), "sensor.no_object"),
            (json!({"values": {"gas_ppm": 2}}), "sensor.no_serial"),
            (json!({"serial": "a b", "values": {"gas_ppm": 2}}), "sensor.serial"),
            (json!({"serial": "LM-1"}), "sensor.no_values"),
            (json!({"serial": "LM-1", "values": {}}), "sensor.no_values"),
            (json!({"serial": "LM-1", "values": {"gas_ppm": 1e300}}), "sensor.absurd"),
            (json!({"serial": "LM-1", "measured_at": "soon", "values": {"gas_ppm": 2}}), "form.moment"),
            (json!({"serial": "LM-1", "measured_at": 5, "values": {"gas_ppm": 2}}), "form.moment"),
            (
                json!({"serial": "LM-1", "message_id": "x".repeat(65), "values": {"gas_ppm": 2}}),
                "sensor.message_id",
            ),
        ] {
            assert_eq!(read(said.clone()).unwrap_err().code, code, "{said}");
        }
    }

    #[test]
    fn a_vendor_is_read_by_a_mapping() {
        let rules: toml::Table = r#"
            [mappings.acme]
            messages = "/devices"
            serial = "/sn"
            measured_at = "/ts"
            time = "seconds"
            [mappings.acme.values]
            tilt_deg = { pointer = "/d/0/ang", scale = 0.1 }
            temperature_c = { pointer = "/d/0/t", offset = -40 }"#
            .parse()
            .unwrap();
        let rules = SensorRules::try_from(rules).unwrap();
        rules.check().unwrap();
        let text =
            br#"{"devices": [{"sn": "A1", "ts": 1772409600, "d": [{"ang": 171, "t": 61}]}, {"sn": "A2"}]}"#;
        let messages = read_messages(text, &rules, rules.mappings.get("acme"), None).unwrap();
        let first = messages[0].as_ref().unwrap();
        assert_eq!(first.measured_at, Some(Millis(1_772_409_600_000)));
        assert_eq!(first.values[0].0, Quantity::Tilt);
        assert!((first.values[0].1 - 17.1).abs() < 1e-9 && (first.values[1].1 - 21.0).abs() < 1e-9);
        assert_eq!(messages[1].as_ref().unwrap_err().code, "sensor.no_values");
        assert!(read_messages(b"{}", &rules, rules.mappings.get("acme"), None).is_none());
    }

    #[test]
    fn the_topic_names_the_device_and_the_text_may_not_contradict_it() {
        let text = br#"{"values": {"tilt_deg": 3}}"#;
        let messages = read_messages(text, &SensorRules::default(), None, Some("LM-9")).unwrap();
        assert_eq!(messages[0].as_ref().unwrap().serial, "LM-9");
        let text = br#"{"serial": "LM-1", "values": {"tilt_deg": 3}}"#;
        let messages = read_messages(text, &SensorRules::default(), None, Some("LM-9")).unwrap();
        assert_eq!(messages[0].as_ref().unwrap_err().code, "sensor.two_serials");
    }

    proptest! {
        #[test]
        fn any_bytes_are_read_or_refused(bytes in prop::collection::vec(any::<u8>(), 0..200), text in "[\\[\\]{}:,\"a-z0-9.e-]{0,80}") {
            let rules = SensorRules::default();
            let _ = read_messages(&bytes, &rules, None, None);
            let _ = read_messages(text.as_bytes(), &rules, None, Some("LM-1"));
        }
    }
}
