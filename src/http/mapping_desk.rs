//! 字段对应: what the columns of a waiting file are taken for, changed column by column by a person who has
//! the preview before them; the file is looked at once more with it.

use axum::extract::{FromRequest, Request, State};
use axum::http::StatusCode;
use axum::response::Response;

use super::api_profiles::city;
use super::ask::{Asked, Named, Nothing, Reader};
use super::auth::Caller;
use super::census_files::{self as files, CensusUpload, Preview, Stage};
use super::forms::{Form, shortened};
use super::import_desk::{self, idle};
use super::{AppState, Problem};
use crate::domain::Refusal;
use crate::import::{
    ColumnLook, ColumnUse, Field, Lexicon, Means, Profile, ProfileChange, change_profile, unit_kept_in,
};

/// What a choice says that is not the name of a field or of an attribute.
pub const AS_IT_IS: &str = "as_it_is";
pub const LEFT_OUT: &str = "left_out";
/// How the choice of an attribute begins.
pub const KEPT: &str = "kept:";
/// Not one of our words: the rows are no covers.
pub const NOT_A_COVER: &str = "not_a_cover";
/// Nobody knows.
pub const UNKNOWN: &str = "unknown";

/// Changes what columns and values are taken for, and looks at the file once more.
pub(super) async fn change(
    State(state): State<AppState>,
    reader: Reader,
    caller: Caller,
    Named(id): Named,
    _: Asked<Nothing>,
    request: Request,
) -> Result<Response, Problem> {
    let form = Form::from_request(request, &state).await?;
    form.only_or_beginning(&["csrf"], "column.")?;
    caller.check_csrf(form.field("csrf"))?;
    let upload = files::find(&state, files::read_id(&id)?)?;
    let id = upload.id;
    match mapped(&state, upload, &form).await {
        Ok(upload) => import_desk::begin_look(&state, &reader, upload),
        Err(problem) if matches!(problem.status.as_u16(), 409 | 422) => {
            import_desk::file_with_problem(&state, &reader, &caller, id, &problem).await
        }
        Err(problem) => Err(problem),
    }
}

/// The file as it is to be looked at once more.
async fn mapped(state: &AppState, mut upload: CensusUpload, form: &Form) -> Result<CensusUpload, Problem> {
    let busy = |refusal| Problem { status: StatusCode::CONFLICT, refusal };
    idle(state, &upload, &[Stage::Looked]).map_err(busy)?;
    let preview = files::need_preview(state, &upload)?;
    let used = preview.profile_with_text()?;
    let city = city(state).await?;
    let change = read_change(form, &preview, &used.text, &city.lexicon)?;
    if change == ProfileChange::default() {
        return Err(Refusal::new("mapping.unchanged").into());
    }
    let text = change_profile(&used.text, &change, &city.lexicon)?;
    Profile::from_toml_in(&text, &city)?;
    upload.wishes.mapping = Some(text);
    Ok(upload)
}

/// What the form says otherwise than the preview.
fn read_change(
    form: &Form,
    preview: &Preview,
    text: &str,
    lexicon: &Lexicon,
) -> Result<ProfileChange, Refusal> {
    let mut change = ProfileChange::default();
    for (name, said) in form.beginning("column.") {
        let unknown = || Refusal::new("mapping.unknown").with("field", shortened(name));
        let unfit =
            || Refusal::new("mapping.unfit").with("field", shortened(name)).with("read", shortened(said));
        let (at, what) = name.split_once('.').ok_or_else(unknown)?;
        let column = at.parse::<usize>().ok().and_then(|at| preview.columns.get(at)).ok_or_else(unknown)?;
        match what.split_once('.') {
            None if what == "use" => {
                if said != choice_of(&column.means) {
                    let usage = read_use(said, lexicon).ok_or_else(unfit)?;
                    change.columns.insert(column.name.clone(), usage);
                }
            }
            None if what == "unit" => {
                let Means::Kept(attribute) = &column.means else { return Err(unknown()) };
                let unit = Some(said).filter(|said| !said.is_empty());
                if unit.is_some_and(|unit| !lexicon.units().any(|known| known == unit)) {
                    return Err(unfit());
                }
                // Fields come by their names: another `use` comes after the `unit` and takes its place.
                if unit != unit_kept_in(text, attribute).as_deref() {
                    let (name, unit) = (attribute.clone(), unit.map(str::to_owned));
                    change.columns.insert(column.name.clone(), ColumnUse::Attribute { name, unit });
                }
            }
            Some(("value", at)) => {
                let spelling = at.parse::<usize>().ok().and_then(|at| column.strange.get(at));
                let ((spelling, _), Means::Field(field)) = (spelling.ok_or_else(unknown)?, &column.means)
                else {
                    return Err(unknown());
                };
                if !said.is_empty() {
                    let word = read_word(said, *field).ok_or_else(unfit)?;
                    change.values.insert((*field, spelling.clone()), word);
                }
            }
            _ => return Err(unknown()),
        }
    }
    Ok(change)
}

/// The choice that stands for what a column is taken for.
pub fn choice_of(means: &Means) -> String {
    match means {
        Means::Field(field) => field.to_string(),
        Means::Kept(name) => format!("{KEPT}{name}"),
        Means::AsItIs => AS_IT_IS.to_owned(),
        Means::LeftOut => LEFT_OUT.to_owned(),
    }
}

fn read_use(said: &str, lexicon: &Lexicon) -> Option<ColumnUse> {
    match said {
        AS_IT_IS => return Some(ColumnUse::AsItIs),
        LEFT_OUT => return Some(ColumnUse::LeftOut),
        _ => {}
    }
    match said.strip_prefix(KEPT) {
        Some(name) => {
            let name = lexicon.attributes().find(|known| *known == name)?.to_owned();
            Some(ColumnUse::Attribute { name, unit: None })
        }
        None => said.parse().ok().map(ColumnUse::Field),
    }
}

/// Our word for a spelling as [`ProfileChange`] has it.
fn read_word(said: &str, field: Field) -> Option<String> {
    match said {
        UNKNOWN => Some(String::new()),
        NOT_A_COVER => (field == Field::Class).then(|| NOT_A_COVER.to_owned()),
        word => field.words().contains(&word).then(|| word.to_owned()),
    }
}

/// Whether the form can ask what the column's values mean.
pub fn asks_for_values(column: &ColumnLook) -> Option<Field> {
    match column.means {
        Means::Field(field) if !column.strange.is_empty() && !field.words().is_empty() => Some(field),
        _ => None,
    }
}
