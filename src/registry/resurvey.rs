//! What a new survey changes in the file of a known cover.

use serde_json::{Map, Value, json};

use crate::domain::cover::{CoverFile, Survey};

/// The cover after a new survey and the fields that changed, each as `[before, after]`. What the
/// survey does not know stays; a position gives way only to one that is at least as accurate.
pub(super) fn merged(before: &CoverFile, new: &Survey) -> (CoverFile, Map<String, Value>) {
    let mut after = before.clone();
    let mut fields = Map::new();
    let old = &before.survey;
    let now = &mut after.survey;
    macro_rules! take {
        ($field:ident) => {
            if new.$field != old.$field {
                fields.insert(stringify!($field).to_owned(), json!([old.$field, new.$field]));
                now.$field = new.$field.clone();
            }
        };
    }
    macro_rules! take_known {
        ($($field:ident),+) => { $( if new.$field.is_some() { take!($field); } )+ };
    }
    take!(district);
    take!(class);
    take!(state);
    take_known!(road, address, placement, material, shape, load_class, owner, maintainer, supervisor);
    for (name, value) in &new.extra {
        if old.extra.get(name) != Some(value) {
            fields.insert(format!("extra.{name}"), json!([old.extra.get(name), value]));
            now.extra.insert(name.clone(), value.clone());
        }
    }
    let no_worse = match (old.position.accuracy_m, new.position.accuracy_m) {
        (Some(old), Some(new)) => new <= old,
        (Some(_), None) => false,
        (None, _) => true,
    };
    if new.position != old.position && no_worse {
        fields.insert("position".to_owned(), json!([old.position, new.position]));
        now.position = new.position.clone();
    }
    (after, fields)
}
