//! Which covers the map means: the parameters of its address become one filter, the same language that programs
//! use, so that map, list, counts and files never mean different covers.

use serde::Deserialize;
use serde_json::{Value, json};

use super::cover_query::UNKNOWN;
use super::forms::shortened;
use super::past_maps::Moment;
use super::{AppState, Problem};
use crate::cql2::{Filter, Kind};
use crate::domain::Refusal;
use crate::layers::{CoverField, cover_schema};

/// Corners of a polygon or a line.
const MOST_POINTS: usize = 2000;
/// Words of a list.
const MOST_WORDS: usize = 200;

#[derive(Debug, Clone, Default, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub(super) struct MapQuery {
    class: Option<String>,
    state: Option<String>,
    district: Option<String>,
    /// Ids of parties.
    owner: Option<String>,
    maintainer: Option<String>,
    placement: Option<String>,
    material: Option<String>,
    load_class: Option<String>,
    has_plate: Option<String>,
    open_case: Option<String>,
    completeness_from: Option<String>,
    completeness_to: Option<String>,
    surveyed_from: Option<String>,
    surveyed_to: Option<String>,
    text: Option<String>,
    bbox: Option<String>,
    polygon: Option<String>,
    near: Option<String>,
    along: Option<String>,
    buffer_m: Option<String>,
    filter: Option<String>,
    /// Of lists.
    pub limit: Option<String>,
    pub cursor: Option<String>,
    /// Of the summary: the box that is in view.
    pub view: Option<String>,
    /// Of a day or moment that is over.
    pub at: Option<String>,
}

impl MapQuery {
    /// What narrows, checked against what somebody may see; `None` where nothing does.
    pub(super) fn filter(&self, state: &AppState, is_staff: bool) -> Result<Option<Filter>, Problem> {
        let schema = cover_schema(is_staff, state.config.utc_offset_minutes);
        let conditions = self.conditions().map_err(Problem::bad_request)?;
        let mut whole = match conditions.as_slice() {
            [] => None,
            [only] => Some(Filter::from_json(&only.to_string(), &schema, None)),
            _ => {
                let all = json!({"op": "and", "args": conditions});
                Some(Filter::from_json(&all.to_string(), &schema, None))
            }
        }
        .transpose()
        .map_err(Problem::bad_request)?;
        if let Some(text) = said(&self.filter) {
            let given = Filter::from_text(text, &schema, None).map_err(Problem::bad_request)?;
            whole = Some(match whole {
                None => given,
                Some(others) => others.and(given),
            });
        }
        Ok(whole)
    }

    /// Of when the map is meant.
    pub(super) fn moment(&self, state: &AppState) -> Result<Moment, Problem> {
        Moment::read(state, "at", &self.at).map_err(Problem::bad_request)
    }

    /// Whether it names a moment.
    pub(super) fn is_of_the_past(&self) -> bool {
        self.at.is_some()
    }

    /// Refuses a moment where the map is always that of now, or names its moments otherwise.
    pub(super) fn refuse_moment(&self) -> Result<(), Problem> {
        if self.is_of_the_past() {
            return Err(Problem::bad_request(
                Refusal::new("http.query").with("reason", "unknown field `at`"),
            ));
        }
        Ok(())
    }

    fn conditions(&self) -> Result<Vec<Value>, Refusal> {
        let mut all = Vec::new();
        for (field, list) in [
            (CoverField::Class, &self.class),
            (CoverField::State, &self.state),
            (CoverField::District, &self.district),
            (CoverField::OwnerId, &self.owner),
            (CoverField::MaintainerId, &self.maintainer),
            (CoverField::Placement, &self.placement),
            (CoverField::Material, &self.material),
            (CoverField::LoadClass, &self.load_class),
        ] {
            all.extend(said(list).map(|list| one_of(field, list)).transpose()?);
        }
        for (field, word) in
            [(CoverField::HasPlate, &self.has_plate), (CoverField::OpenCase, &self.open_case)]
        {
            all.extend(said(word).map(|word| yes_or_no(field, word)).transpose()?);
        }
        for (field, name, bound, op) in [
            (CoverField::Completeness, "completeness_from", &self.completeness_from, ">="),
            (CoverField::Completeness, "completeness_to", &self.completeness_to, "<="),
        ] {
            let number = |text: &str| {
                text.parse::<u8>().map(|number| json!(number)).map_err(|_| wrong("map.number", name, text))
            };
            all.extend(said(bound).map(|text| Ok(compare(op, field, number(text)?))).transpose()?);
        }
        for (bound, op) in [(&self.surveyed_from, ">="), (&self.surveyed_to, "<=")] {
            all.extend(said(bound).map(|day| compare(op, CoverField::SurveyedOn, json!({"date": day}))));
        }
        all.extend(said(&self.text).map(text_condition));
        if let Some(text) = said(&self.bbox) {
            let [west, south, east, north] = text.parse::<crate::spatial::BBox>()?.edges();
            all.push(json!({"op": "s_intersects", "args": [place(), {"bbox": [west, south, east, north]}]}));
        }
        if let Some(text) = said(&self.polygon) {
            let mut ring = points(text, "polygon", 3)?;
            if ring.first() != ring.last() {
                ring.extend(ring.first().copied());
            }
            let polygon = json!({"type": "Polygon", "coordinates": [ring]});
            all.push(json!({"op": "s_intersects", "args": [place(), polygon]}));
        }
        if let Some(text) = said(&self.near) {
            let numbers = numbers(text).filter(|numbers| numbers.len() == 3);
            let Some(&[lon, lat, meters]) = numbers.as_deref() else {
                return Err(wrong("map.near", "near", text));
            };
            all.push(within_m(&json!({"type": "Point", "coordinates": [lon, lat]}), meters, ("near", text))?);
        }
        if let Some(text) = said(&self.along) {
            let line = json!({"type": "LineString", "coordinates": points(text, "along", 2)?});
            let given = said(&self.buffer_m).unwrap_or("20");
            let meters = given.parse::<f64>().map_err(|_| wrong("map.number", "buffer_m", given))?;
            all.push(within_m(&line, meters, ("buffer_m", given))?);
        }
        Ok(all)
    }
}

/// What stands there; nothing but blanks is nothing.
pub(super) fn said(text: &Option<String>) -> Option<&str> {
    text.as_deref().map(str::trim).filter(|text| !text.is_empty())
}

pub(super) fn wrong(code: &'static str, field: &'static str, read: &str) -> Refusal {
    Refusal::new(code).at(field).with("field", field).with("read", shortened(read))
}

fn property(field: CoverField) -> Value {
    json!({"property": field.as_str()})
}

fn place() -> Value {
    property(CoverField::Geometry)
}

fn compare(op: &str, field: CoverField, value: Value) -> Value {
    json!({"op": op, "args": [property(field), value]})
}

/// `sewage,storm,unknown`; a word that no cover can have is refused.
fn one_of(field: CoverField, list: &str) -> Result<Value, Refusal> {
    let words: Vec<&str> = list.split(',').map(str::trim).filter(|word| !word.is_empty()).collect();
    if words.is_empty() || words.len() > MOST_WORDS {
        return Err(wrong("map.list", field.as_str(), list).with("most", MOST_WORDS));
    }
    let known: Vec<&str> = words.iter().copied().filter(|word| *word != UNKNOWN).collect();
    if let Kind::Word(fits) = field.kind()
        && let Some(read) = known.iter().find(|word| !fits.contains(word))
    {
        return Err(wrong("ogc.value", field.as_str(), read).with("fits", fits.join(", ")));
    }
    let is_null = json!({"op": "isNull", "args": [property(field)]});
    let is_known = json!({"op": "in", "args": [property(field), known]});
    Ok(match (known.is_empty(), known.len() < words.len()) {
        (true, _) => is_null,
        (false, false) => is_known,
        (false, true) => json!({"op": "or", "args": [is_known, is_null]}),
    })
}

fn yes_or_no(field: CoverField, word: &str) -> Result<Value, Refusal> {
    let yes = word
        .parse::<bool>()
        .map_err(|_| Refusal::new("form.true_or_false").at(field.as_str()).with("read", shortened(word)))?;
    Ok(compare("=", field, json!(yes)))
}

/// The beginning of a code, or part of a road or of an owner's name.
fn text_condition(text: &str) -> Value {
    let digits: String = text.chars().filter(|sign| !matches!(sign, ' ' | '-')).collect();
    if digits.len() >= 4 && digits.bytes().all(|byte| byte.is_ascii_digit()) {
        return json!({"op": "like", "args": [property(CoverField::Code), format!("{digits}%")]});
    }
    let mut plain = String::with_capacity(text.len() + 8);
    for sign in text.chars() {
        if matches!(sign, '%' | '_' | '\\') {
            plain.push('\\');
        }
        plain.push(sign);
    }
    let part = format!("%{plain}%");
    let like = |field| json!({"op": "like", "args": [{"op": "casei", "args": [property(field)]}, {"op": "casei", "args": [part]}]});
    json!({"op": "or", "args": [like(CoverField::Road), like(CoverField::Owner)]})
}

fn numbers(text: &str) -> Option<Vec<f64>> {
    text.split(',').map(|part| part.trim().parse::<f64>().ok().filter(|number| number.is_finite())).collect()
}

/// `lon,lat lon,lat …` in degrees.
fn points(text: &str, field: &'static str, least: usize) -> Result<Vec<[f64; 2]>, Refusal> {
    let point = |part: &str| match numbers(part).as_deref() {
        Some(&[lon, lat]) if lon.abs() <= 180.0 && lat.abs() <= 90.0 => Some([lon, lat]),
        _ => None,
    };
    let points: Option<Vec<[f64; 2]>> = text.split_whitespace().map(point).collect();
    points
        .filter(|points| (least..=MOST_POINTS).contains(&points.len()))
        .ok_or_else(|| wrong("map.points", field, text).with("least", least).with("most", MOST_POINTS))
}

/// No farther than so many meters, 100 km at most.
fn within_m(shape: &Value, meters: f64, (field, read): (&'static str, &str)) -> Result<Value, Refusal> {
    if !(0.0..=100_000.0).contains(&meters) {
        return Err(wrong("map.meters", field, read));
    }
    Ok(json!({"op": "s_dwithin", "args": [place(), shape, meters]}))
}
