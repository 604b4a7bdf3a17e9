//! Changes of covers for programs. Each names the version that it saw, and its own idempotency key.

use axum::extract::{FromRequest, Request, State};
use axum::http::{HeaderMap, StatusCode};
use axum::response::{IntoResponse, Response};
use serde::Deserialize;
use serde_json::{Map, Value};

use super::ask::{Asked, Named, Nothing, Object, Reader, Said, idempotency_key};
use super::auth::Caller;
use super::conflict::{answer, if_match};
use super::edit_fields::{PositionBody, SetBody, code_choice, read_position};
use super::{AppState, Problem};
use crate::domain::Refusal;
use crate::domain::cover::CoverState;
use crate::domain::edit::PlatesGo;
use crate::domain::ids::MergeId;
use crate::registry::{
    Amended, CodeEdit, CoverOrder, FieldEdit, MergeOrder, NewCover, NewManhole, Retirement, SplitOrder,
};

/// What every change of a cover says of itself.
struct Call {
    state: AppState,
    caller: Caller,
    reader: Reader,
    code: String,
    headers: HeaderMap,
}

impl Call {
    fn order<T>(&self, reason: Option<String>, what: T) -> Result<CoverOrder<T>, Problem> {
        Ok(CoverOrder {
            key: idempotency_key(&self.headers)?,
            code: self.code.clone(),
            expected_version: if_match(&self.headers)?,
            reason: reason.unwrap_or_default(),
            actor: self.caller.actor(),
            what,
        })
    }

    fn answer(&self, amended: Amended) -> Response {
        answer(&self.state, &self.reader, amended, StatusCode::OK, &Map::new())
    }
}

/// The call and its body. What is wrong with the headers is said before the body is read.
async fn hear<T: serde::de::DeserializeOwned>(
    state: AppState,
    caller: Caller,
    reader: Reader,
    code: String,
    request: Request,
) -> Result<(Call, T), Problem> {
    let headers = request.headers().clone();
    idempotency_key(&headers)?;
    if_match(&headers)?;
    let Said(body) = Said::<T>::from_request(request, &state).await?;
    Ok((Call { state, caller, reader, code, headers }, body))
}

/// One handler a kind of change: its body, and what is done with it.
macro_rules! change {
    ($name:ident, $body:ty, |$call:ident, $said:ident| $done:block) => {
        pub(super) async fn $name(
            State(state): State<AppState>,
            caller: Caller,
            reader: Reader,
            _: Asked<Nothing>,
            Named(code): Named,
            request: Request,
        ) -> Result<Response, Problem> {
            let ($call, $said) = hear::<$body>(state, caller, reader, code, request).await?;
            $done
        }
    };
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct EditBody {
    pub set: Object<Value>,
    pub code: Option<String>,
    pub reason: Option<String>,
}

change!(update_cover, EditBody, |call, body| {
    let Object(set) = body.set;
    let wanted = wanted(&set);
    let set: SetBody = read(set)?;
    let edit = set.edit(&call.state).await?;
    let what = FieldEdit { edit, code: code_choice(body.code.as_deref())? };
    let order = call.order(body.reason, what)?;
    let amended = call.state.registry.edit_cover(order).await?;
    Ok(answer(&call.state, &call.reader, amended, StatusCode::OK, &wanted))
});

/// The fields that a program wants to set, by the names that the history uses.
fn wanted(set: &Value) -> Map<String, Value> {
    let mut wanted = set.as_object().cloned().unwrap_or_default();
    if let Some(Value::Object(extra)) = wanted.remove("extra") {
        wanted.extend(extra.into_iter().map(|(name, value)| (format!("extra.{name}"), value)));
    }
    wanted
}

fn read<T: serde::de::DeserializeOwned>(value: Value) -> Result<T, Problem> {
    serde_json::from_value(value).map_err(|error| Refusal::new("http.json_data").with("reason", error).into())
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct CodeBody {
    code: Option<String>,
    scheme: Option<String>,
    reason: Option<String>,
}

change!(change_code, CodeBody, |call, body| {
    let order = call.order(body.reason, CodeEdit { code: body.code, scheme: body.scheme })?;
    Ok(call.answer(call.state.registry.change_code(order).await?))
});

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct RetireBody {
    retire_reason: String,
    reason: Option<String>,
    successor: Option<String>,
    plates: Option<String>,
}

change!(retire_cover, RetireBody, |call, body| {
    let plates = body.plates.as_deref().map_or(Ok(PlatesGo::Withdrawn), str::parse)?;
    let what = Retirement { reason: body.retire_reason.parse()?, successor: body.successor, plates };
    let order = call.order(body.reason, what)?;
    Ok(call.answer(call.state.registry.retire_cover(order).await?))
});

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct ReasonBody {
    reason: Option<String>,
}

change!(reinstate_cover, ReasonBody, |call, body| {
    let order = call.order(body.reason, ())?;
    Ok(call.answer(call.state.registry.reinstate_cover(order).await?))
});

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct AddBody {
    class: String,
    state: String,
    code: Option<String>,
    #[serde(default)]
    set: Option<Object<SetBody>>,
    reason: Option<String>,
}

change!(add_cover, AddBody, |call, body| {
    let set = body.set.map(|Object(set)| set).unwrap_or_default();
    let what = NewCover {
        class: body.class.parse()?,
        state: body.state.parse()?,
        edit: set.edit(&call.state).await?,
        code: body.code,
    };
    let order = call.order(body.reason, what)?;
    let amended = call.state.registry.add_cover(order).await?;
    Ok(answer(&call.state, &call.reader, amended, StatusCode::CREATED, &Map::new()))
});

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct RegisterBody {
    class: String,
    state: Option<String>,
    code: Option<String>,
    set: Object<SetBody>,
    reason: Option<String>,
}

/// A manhole that nobody knew, with its cover.
pub(super) async fn register_manhole(
    State(state): State<AppState>,
    caller: Caller,
    _: Asked<Nothing>,
    headers: HeaderMap,
    Said(body): Said<RegisterBody>,
) -> Result<Response, Problem> {
    let key = idempotency_key(&headers)?;
    let Object(set) = body.set;
    let new = NewManhole {
        key,
        actor: caller.actor(),
        class: body.class.parse()?,
        state: body.state.as_deref().map_or(Ok(CoverState::Intact), str::parse)?,
        edit: set.edit(&state).await?,
        code: body.code,
        reason: body.reason.unwrap_or_default(),
    };
    let file = state.registry.register_manhole(new).await?;
    state.covers_changed(&[file.cover]);
    let version = super::conflict::etag(file.version);
    Ok((StatusCode::CREATED, version, axum::Json(super::json::cover(&file))).into_response())
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct MergeBody {
    other: String,
    other_version: i64,
    kind: String,
    reason: Option<String>,
}

change!(merge_manholes, MergeBody, |call, body| {
    let what = MergeOrder { other: body.other, other_version: body.other_version, kind: body.kind.parse()? };
    let order = call.order(body.reason, what)?;
    Ok(call.answer(call.state.registry.merge_manholes(order).await?))
});

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct UnmergeBody {
    merge: String,
    reason: Option<String>,
}

change!(undo_merge, UnmergeBody, |call, body| {
    let merge = body.merge.parse::<MergeId>().map_err(|refusal| refusal.at("merge"))?;
    let order = call.order(body.reason, merge)?;
    Ok(call.answer(call.state.registry.undo_merge(order).await?))
});

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct SplitBody {
    #[serde(default)]
    with: Vec<String>,
    position: Option<Object<PositionBody>>,
    reason: Option<String>,
}

change!(split_manhole, SplitBody, |call, body| {
    let position = match body.position {
        Some(Object(body)) => Some(read_position(&call.state, body).await?),
        None => None,
    };
    let order = call.order(body.reason, SplitOrder { with: body.with, position })?;
    Ok(call.answer(call.state.registry.split_manhole(order).await?))
});
