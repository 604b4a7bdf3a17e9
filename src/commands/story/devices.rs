//! Sensors of the demo city: one that raises an alarm, one that went silent, one with a weak battery, one in the store room.

use std::collections::HashMap;

use super::{Stage, actor_of, key};
use crate::commands::Outcome;
use crate::domain::cover::CoverFile;
use crate::domain::ids::Millis;
use crate::domain::role::Role;
use crate::domain::sensor::{Quantity, SensorMove};
use crate::domain::sensor_message::SensorMessage;
use crate::registry::{NewSensors, SensorOrder, User};

const SERIALS: [&str; 5] = ["LM-000001", "LM-000002", "LM-000003", "LM-000004", "LM-000005"];
/// Under which covers of the street they lie, the last in the store room.
const PLACES: [usize; 4] = [20, 21, 22, 23];

async fn tell(stage: &Stage<'_>, serial: &str, at: i64, values: &[(Quantity, f64)]) -> Outcome<()> {
    let message = SensorMessage {
        serial: serial.to_owned(),
        message_id: None,
        measured_at: Some(Millis(at)),
        values: values.to_vec(),
        problems: Vec::new(),
    };
    stage.registry.take_readings(vec![message]).await?;
    Ok(())
}

/// Puts them under their covers, where each says once that it is there.
pub(super) async fn install(
    stage: &Stage<'_>,
    staff: &HashMap<Role, User>,
    street: &[CoverFile],
) -> Outcome<()> {
    let actor = actor_of(staff, Role::Engineer);
    let serials = SERIALS.map(str::to_owned).to_vec();
    let new = NewSensors { key: key(0x9100), serials, model: "LM-T2".to_owned(), actor: actor.clone() };
    stage.registry.add_sensors(new).await?;
    let now = stage.registry.now().0;
    for (at, (serial, place)) in SERIALS.iter().zip(PLACES).enumerate() {
        let Some(cover) = street.get(place) else { continue };
        let order = SensorOrder {
            key: key(0x9101 + at as u128),
            serial: (*serial).to_owned(),
            made: SensorMove::Install,
            cover: Some(cover.code.digits.clone()),
            until: None,
            reason: String::new(),
            actor: actor.clone(),
        };
        stage.registry.move_sensor(order).await?;
        let values = [(Quantity::Tilt, 0.4), (Quantity::Water, 12.0), (Quantity::Battery, 96.0)];
        tell(stage, serial, now, &values).await?;
    }
    Ok(())
}

/// What they say today; the second says nothing.
pub(super) async fn speak(stage: &Stage<'_>) -> Outcome<()> {
    let now = stage.now;
    tell(stage, SERIALS[0], now - 3_600_000, &[(Quantity::Tilt, 34.0), (Quantity::Battery, 91.0)]).await?;
    tell(stage, SERIALS[0], now - 3_540_000, &[(Quantity::Tilt, 35.5)]).await?;
    tell(stage, SERIALS[2], now - 1_800_000, &[(Quantity::Tilt, 0.6), (Quantity::Battery, 11.0)]).await?;
    tell(stage, SERIALS[3], now - 900_000, &[(Quantity::Tilt, 1.1), (Quantity::Water, 31.0)]).await
}
