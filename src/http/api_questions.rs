//! 问一问: what lies nearest, what is like this one, and which covers may be two of one.

use std::collections::{BTreeMap, HashSet};

use axum::extract::State;
use axum::response::Response;
use serde_json::{Value, json};

use super::ask::Asked;
use super::question::{FORMS, Form, Question, ask_map, collection, cover, millimeters, points, private};
use super::{AppState, Problem};
use crate::domain::Refusal;
use crate::questions::{COMPARED, isolated_twins, most_alike, nearest};

/// Parameters of an address, apart from which are the map's.
pub(super) type Parameters = Asked<BTreeMap<String, String>>;

pub(super) async fn find_nearest(
    State(state): State<AppState>,
    Asked(asked): Parameters,
) -> Result<Response, Problem> {
    let question = Question::of(asked, &["at", "within_m"])?;
    question.needed("at")?;
    let Some(at) = question.place("at")? else { return Err(Problem::broken()) };
    let within_m = question.number("within_m", 100_000.0, 0.0..=100_000.0)?;
    let (many, form) = (question.many(10, 1000)?, question.form(FORMS)?);
    let said = ask_map(&state, &question.filters, move |_, reader, search| {
        let found = nearest(search, at, many, within_m);
        let covers: Vec<Value> = found
            .iter()
            .map(|near| {
                let bearing = (near.bearing * 10.0).round() / 10.0;
                cover(
                    reader,
                    &near.row,
                    json!({"distance_m": millimeters(near.distance_m), "bearing": bearing}),
                )
            })
            .collect();
        Ok(match form {
            Form::Json => json!({"at": [at.0, at.1], "covers": covers}),
            _ => collection(points(covers)),
        })
    });
    Ok(private(form, said.await?.to_string()))
}

pub(super) async fn find_alike(
    State(state): State<AppState>,
    Asked(asked): Parameters,
) -> Result<Response, Problem> {
    let question = Question::of(asked, &["like"])?;
    let code: String = question.needed("like")?.chars().filter(|sign| !matches!(sign, ' ' | '-')).collect();
    let (many, form) = (question.many(20, 200)?, question.form(FORMS)?);
    let Some(like) = state.snapshot.load().find_code(&code) else {
        return Err(super::desk::unknown_cover(&code));
    };
    let said = ask_map(&state, &question.filters, move |_, reader, search| {
        let found = most_alike(search, &like, many);
        let share = |share: f64| (share * 1e4).round() / 1e4;
        let covers: Vec<Value> = found
            .iter()
            .map(|one| {
                let more = json!({"similarity": share(one.similarity), "compared": share(one.compared),
                    "shares": one.shares, "differs": one.differs, "distance_m": millimeters(one.distance_m)});
                cover(reader, &one.row, more)
            })
            .collect();
        let weights: BTreeMap<&str, f64> =
            COMPARED.iter().map(|(field, weight)| (field.as_str(), *weight)).collect();
        Ok(match form {
            Form::Json => {
                json!({"like": cover(reader, &like, json!({})), "method": "gower", "weights": weights, "covers": covers})
            }
            _ => collection(points(covers)),
        })
    });
    Ok(private(form, said.await?.to_string()))
}

/// Groups beside which another cover lies so near are none.
const ALONE_M: f64 = 15.0;

pub(super) async fn find_duplicates(
    State(state): State<AppState>,
    Asked(asked): Parameters,
) -> Result<Response, Problem> {
    let question = Question::of(asked, &["alone_m"])?;
    let alone_m = question.number("alone_m", ALONE_M, 0.0..=500.0)?;
    let (many, form) = (question.many(100, 1000)?, question.form(FORMS)?);
    let tolerance_m = state.rules().duplicates.tolerance_m;
    let sweep = state.sweep().await?;
    // A sweep of a large city may be some seconds old.
    let apart: HashSet<_> = state.registry.list_told_apart().await?.into_iter().collect();
    let said = ask_map(&state, &question.filters, move |map, reader, search| {
        let pairs = sweep.pairs.iter().map(|pair| (pair.older, pair.newer));
        let pairs = pairs.filter(|(one, other)| !apart.contains(&((*one).min(*other), (*one).max(*other))));
        let found = isolated_twins(map, search, pairs, alone_m);
        let groups = found.iter().take(many).enumerate().map(|(at, twins)| {
            let more = json!({"group": at + 1, "distance_m": millimeters(twins.distance_m),
                "next_m": twins.next_m.map(millimeters), "shares": twins.shares});
            (twins, more)
        });
        Ok(match form {
            Form::Json => {
                let groups: Vec<Value> = groups
                    .map(|(twins, mut more)| {
                        more["covers"] = twins.rows.iter().map(|row| cover(reader, row, json!({}))).collect();
                        more
                    })
                    .collect();
                json!({"groups": groups, "matched": found.len(), "is_cut": sweep.is_cut, "tolerance_m": tolerance_m, "alone_m": alone_m})
            }
            _ => {
                let rows = groups.flat_map(|(twins, more)| {
                    twins.rows.iter().map(|row| cover(reader, row, more.clone())).collect::<Vec<_>>()
                });
                collection(points(rows))
            }
        })
    });
    Ok(private(form, said.await?.to_string()))
}

/// What a person cannot ask about.
pub(super) fn unknown(name: &'static str, read: &str) -> Problem {
    Problem::bad_request(
        Refusal::new("question.unknown")
            .at(name)
            .with("field", name)
            .with("read", super::forms::shortened(read)),
    )
}
