//! `fields=code,class,lon`: answers with the members that somebody wants and no others, for lists and single things
//! alike.

use axum::extract::FromRequestParts;
use axum::http::request::Parts;
use serde::Deserialize;
use serde::de::DeserializeOwned;
use serde_json::{Map, Value};

use super::Problem;
use super::ask::read_query;
use super::forms::shortened;
use crate::domain::Refusal;

/// The members that an answer may have.
pub(super) struct Shape {
    pub own: &'static [&'static str],
    /// Members of members.
    pub nested: &'static [(&'static str, &'static [&'static str])],
}

const POSITION: &[&str] = &["lon", "lat", "raw", "method", "accuracy_m", "surveyed_at"];
const PARTY: &[&str] = &["id", "name", "hotline"];

/// A cover of the registry.
pub(super) const COVER: Shape = Shape {
    own: &[
        "id",
        "manhole",
        "code",
        "scheme",
        "district",
        "class",
        "state",
        "position",
        "road",
        "address",
        "placement",
        "material",
        "shape",
        "load_class",
        "owner",
        "maintainer",
        "supervisor",
        "extra",
        "source",
        "source_key",
        "version",
        "former_codes",
        "retired",
    ],
    nested: &[("position", POSITION), ("owner", PARTY), ("maintainer", PARTY), ("supervisor", PARTY)],
};

/// A cover of the map's list.
pub(super) const MAP_COVER: Shape = Shape {
    own: &[
        "id",
        "code",
        "class",
        "state",
        "district",
        "road",
        "owner",
        "load_class",
        "material",
        "lon",
        "lat",
        "has_plate",
        "open_case",
    ],
    nested: &[],
};

const CASE: &[&str] = &[
    "id",
    "number",
    "hazard",
    "state",
    "emergency",
    "report_count",
    "party",
    "until",
    "source",
    "triage",
    "offered_to",
    "condition",
    "due_at",
    "reminded_percent",
    "dispatches",
    "refusals",
    "reworks",
    "reopenings",
    "late_ms",
    "exempt",
    "strike_number",
    "made_safe_at",
    "created_at",
    "updated_at",
    "filed_at",
    "dispatched_at",
    "handled_at",
    "closed_at",
    "version",
];

/// A line of the list of cases.
pub(super) const CASE_LINE: Shape =
    Shape { own: &["case", "cover_code", "road", "district", "party_name"], nested: &[("case", CASE)] };

/// A case with all that belongs to it.
pub(super) const CASE_FILE: Shape = Shape {
    own: &["case", "reports", "photos", "timeline", "moves", "asks", "advice", "hold", "cover_code", "party"],
    nested: &[("case", CASE)],
};

/// A plate as anybody may see it.
pub(super) const PUBLIC_PLATE: Shape = Shape {
    own: &["state", "cover", "open_hazards", "successor"],
    nested: &[("cover", &["code", "code_grouped", "class", "district", "road", "owner"])],
};

/// A plate of the ledger.
pub(super) const LEDGER_PLATE: Shape = Shape {
    own: &["token", "ordinal", "state", "code", "page", "position", "crew", "successor", "state_at"],
    nested: &[],
};

/// A report as whoever sent it sees it.
pub(super) const REPORT: Shape = Shape {
    own: &["tracking", "state", "hazard", "reported_at", "updated_at", "party", "timeline", "photos"],
    nested: &[],
};

impl Shape {
    /// Own members by their names; those of a member as `position.lon`, or as `lon` where nothing else is called so.
    fn find(&self, word: &str) -> Option<(&'static str, Option<&'static str>)> {
        if let Some(own) = self.own.iter().find(|own| **own == word) {
            return Some((own, None));
        }
        let pairs = || self.nested.iter().flat_map(|(outer, inner)| inner.iter().map(|name| (*outer, *name)));
        if let Some((outer, inner)) = word.split_once('.') {
            return pairs().find(|pair| *pair == (outer, inner)).map(|(outer, inner)| (outer, Some(inner)));
        }
        let mut called = pairs().filter(|(_, inner)| *inner == word);
        match (called.next(), called.next()) {
            (Some((outer, inner)), None) => Some((outer, Some(inner))),
            _ => None,
        }
    }

    fn fits(&self) -> String {
        let nested = self
            .nested
            .iter()
            .flat_map(|(outer, inner)| inner.iter().map(move |name| format!("{outer}.{name}")));
        self.own.iter().map(|own| (*own).to_owned()).chain(nested).collect::<Vec<_>>().join(", ")
    }
}

/// Which members are wanted.
#[derive(Debug, Clone, Default)]
pub(super) struct Sparse(Option<Vec<(&'static str, Option<&'static str>)>>);

/// Query parameters as others take them, with `fields` beside them.
pub(super) struct Picked<T>(pub T, pub Fields);

/// The parameter `fields`, before it is known of which shape.
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct Fields {
    fields: Option<String>,
}

impl Fields {
    pub(super) fn of(&self, shape: &Shape) -> Result<Sparse, Problem> {
        Sparse::read(self.fields.as_deref(), shape)
    }
}

impl<T: DeserializeOwned, S: Sync> FromRequestParts<S> for Picked<T> {
    type Rejection = Problem;
    async fn from_request_parts(parts: &mut Parts, _: &S) -> Result<Self, Problem> {
        let pairs = parts.uri.query().unwrap_or_default().split('&');
        let (own, others): (Vec<&str>, Vec<&str>) = pairs.partition(|pair| pair.starts_with("fields="));
        let read = |pairs: Vec<&str>| format!("/?{}", pairs.join("&")).parse().unwrap_or_default();
        Ok(Self(read_query(&read(others))?, read_query(&read(own))?))
    }
}

impl Sparse {
    /// Words with commas between; nothing said is everything wanted.
    pub(super) fn read(text: Option<&str>, shape: &Shape) -> Result<Self, Problem> {
        let words = text.unwrap_or_default().split(',').map(str::trim).filter(|word| !word.is_empty());
        let found = words.map(|word| {
            shape.find(word).ok_or_else(|| {
                let refusal = Refusal::new("http.fields").at("fields").with("read", shortened(word));
                Problem::bad_request(refusal.with("fits", shape.fits()))
            })
        });
        let found = found.collect::<Result<Vec<_>, _>>()?;
        Ok(Self((!found.is_empty()).then_some(found)))
    }

    /// The wanted members of an object; what is not known is absent, as ever.
    pub(super) fn pick(&self, whole: Value) -> Value {
        let Some(wanted) = &self.0 else { return whole };
        let mut picked = Map::new();
        for (own, inner) in wanted {
            let Some(value) = whole.get(*own) else { continue };
            let Some(inner) = inner else {
                picked.insert((*own).to_owned(), value.clone());
                continue;
            };
            let Some(value) = value.get(*inner) else { continue };
            let member = picked.entry(*own).or_insert_with(|| Value::Object(Map::new()));
            if let Some(member) = member.as_object_mut() {
                member.insert((*inner).to_owned(), value.clone());
            }
        }
        Value::Object(picked)
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn members_are_picked_by_their_names_and_by_the_last_word_where_one_is_called_so() {
        let cover = json!({"code": "1", "class": "storm", "position": {"lon": 118.5, "lat": 37.4, "method": "rtk"},
            "owner": {"id": "x", "name": "water"}, "version": 3});
        let pick = |fields: &str| Sparse::read(Some(fields), &COVER).unwrap().pick(cover.clone());
        assert_eq!(
            pick("code,class,lon"),
            json!({"code": "1", "class": "storm", "position": {"lon": 118.5}})
        );
        assert_eq!(pick("position.lat, lon"), json!({"position": {"lon": 118.5, "lat": 37.4}}));
        assert_eq!(pick("position,lon")["position"]["lat"], 37.4);
        assert_eq!(pick("lon,position"), json!({"position": {"lon": 118.5, "lat": 37.4, "method": "rtk"}}));
        assert_eq!(pick("road"), json!({}));
        assert_eq!(pick("owner.name"), json!({"owner": {"name": "water"}}));
        assert_eq!(pick(""), cover);
        for wrong in ["colour", "name", "position.x", "code.x", "code,,colour"] {
            let problem = Sparse::read(Some(wrong), &COVER).unwrap_err();
            assert_eq!(problem.refusal.code, "http.fields", "{wrong}");
        }
    }
}
