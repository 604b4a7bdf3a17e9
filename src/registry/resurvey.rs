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
    macro_rules! take_missing {
        ($($field:ident),+) => { $( if old.$field.is_none() { take_known!($field); } )+ };
    }
    // The place belongs to all covers of the manhole: the first one's rows speak for it, those of the
    // others tell what is not known. Else two rows of one file would overrule each other for ever.
    if before.leads {
        take!(district);
        take_known!(road, address, placement);
    } else {
        take_missing!(road, address, placement);
    }
    take!(class);
    take!(state);
    take_known!(material, shape, load_class, owner, maintainer, supervisor);
    for (name, value) in &new.extra {
        if old.extra.get(name) != Some(value) {
            fields.insert(format!("extra.{name}"), json!([old.extra.get(name), value]));
            now.extra.insert(name.clone(), value.clone());
        }
    }
    if new.position != old.position && takes_position(before, new) {
        fields.insert("position".to_owned(), json!([old.position, new.position]));
        now.position = new.position.clone();
    }
    (after, fields)
}

/// A position gives way to one that is at least as sure, on a row that does not speak for the manhole
/// only to a better one.
fn takes_position(before: &CoverFile, new: &Survey) -> bool {
    let (old, new) = (&before.survey.position, &new.position);
    old.gives_way_to(new) && (before.leads || old.accuracy_m != new.accuracy_m)
}
