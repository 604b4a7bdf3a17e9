//! Features as GeoJSON, written straight into the answer, and the links around them.

use std::fmt::Write;

use axum::http::{HeaderMap, HeaderValue, header};
use axum::response::Response;
use serde_json::{Value, json};

use super::crs::System;
use super::params::Params;
use crate::cql2;
use crate::domain::Refusal;
use crate::http::Problem;
use crate::http::forms::shortened;

/// How an answer is written.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Media {
    Json,
    Html,
}

impl Media {
    /// As `f` says, otherwise what a browser wants.
    pub(super) fn wanted(params: &Params, headers: &HeaderMap) -> Result<Self, Problem> {
        match params.get("f") {
            Some("json" | "geojson") => Ok(Self::Json),
            Some("html") => Ok(Self::Html),
            Some(other) => {
                let refusal = Refusal::new("ogc.format").with("read", shortened(other));
                Err(Problem::bad_request(refusal.with("fits", "json, html")))
            }
            None => {
                let accept = headers.get(header::ACCEPT).and_then(|value| value.to_str().ok());
                Ok(if accept.is_some_and(|accept| accept.contains("text/html")) {
                    Self::Html
                } else {
                    Self::Json
                })
            }
        }
    }
}

/// Addresses of one resource in its forms.
pub(super) struct Links {
    base: String,
    path: String,
    /// The query without the form.
    query: String,
    /// The same with the form to be appended.
    glue: &'static str,
}

impl Links {
    pub(super) fn new(base: &str, path: &str, params: &Params) -> Self {
        let query = params.with("f", None);
        let glue = if query.is_empty() { "" } else { "&" };
        Self { base: base.to_owned(), path: path.to_owned(), query, glue }
    }

    /// Without what was asked.
    pub(super) fn plain(base: &str, path: &str) -> Self {
        Self::new(base, path, &Params::default())
    }

    fn href(&self, form: &str) -> String {
        format!("{}{}?{}{}f={form}", self.base, self.path, self.query, self.glue)
    }

    /// To itself in JSON and to the page.
    pub(super) fn own(&self, media_type: &str) -> Vec<Value> {
        vec![
            json!({"rel": "self", "type": media_type, "href": self.href("json")}),
            json!({"rel": "alternate", "type": "text/html", "href": self.href("html")}),
        ]
    }
}

/// Writes text into JSON.
pub(super) fn write_text(out: &mut String, text: &str) {
    out.push('"');
    if text.bytes().all(|byte| byte >= b' ' && byte != b'"' && byte != b'\\') {
        out.push_str(text);
    } else {
        text.chars().for_each(|character| write_character(out, character));
    }
    out.push('"');
}

fn write_character(out: &mut String, character: char) {
    match character {
        '"' => out.push_str("\\\""),
        '\\' => out.push_str("\\\\"),
        control if control < ' ' => {
            write!(out, "\\u{:04x}", control as u32).expect("a String takes all text");
        }
        other => out.push(other),
    }
}

/// Writes the value of a property into JSON.
pub(super) fn write_value(out: &mut String, value: &cql2::Value<'_>, system: &System) {
    match value {
        cql2::Value::Null => out.push_str("null"),
        cql2::Value::Text(text) => write_text(out, text),
        cql2::Value::Number(number) => write_number(out, *number),
        cql2::Value::Boolean(yes) => out.push_str(if *yes { "true" } else { "false" }),
        cql2::Value::Date(day) => {
            out.push('"');
            out.push_str(&date(*day));
            out.push('"');
        }
        cql2::Value::Timestamp(at) => write_text(out, &crate::domain::ids::Millis(*at).to_rfc3339()),
        cql2::Value::Point(lon, lat) => write_point(out, (*lon, *lat), system),
        // The features that have one write it themselves.
        cql2::Value::Figure(_) => out.push_str("null"),
        cql2::Value::TextList(list) => {
            out.push('[');
            for (at, text) in list.iter().enumerate() {
                if at > 0 {
                    out.push(',');
                }
                write_text(out, text);
            }
            out.push(']');
        }
    }
}

/// A point; null where the system does not reach.
pub(super) fn write_point(out: &mut String, place: (f64, f64), system: &System) {
    let digits = system.digits();
    match system.write(place) {
        None => out.push_str("null"),
        Some([first, second]) => {
            out.push_str("{\"type\":\"Point\",\"coordinates\":[");
            write_ordinate(out, first, digits);
            out.push(',');
            write_ordinate(out, second, digits);
            out.push_str("]}");
        }
    }
}

/// A number of so many decimals at most, as whole numbers are written: several times as fast as the shortest form of
/// any number, which it is too.
fn write_ordinate(out: &mut String, ordinate: f64, digits: u32) {
    let scale = 10_u64.pow(digits);
    let units = (ordinate.abs() * scale as f64).round() as u64;
    if ordinate < 0.0 && units > 0 {
        out.push('-');
    }
    let (whole, mut rest) = (units / scale, units % scale);
    write!(out, "{whole}").expect("a String takes all text");
    if rest > 0 {
        let mut width = digits as usize;
        while rest.is_multiple_of(10) {
            rest /= 10;
            width -= 1;
        }
        write!(out, ".{rest:0width$}").expect("a String takes all text");
    }
}

pub(super) fn write_number(out: &mut String, number: f64) {
    write!(out, "{number}").expect("a String takes all text");
}

/// Every answer with coordinates says in which system they are.
pub(super) fn with_system(mut response: Response, system: &System) -> Response {
    if let Ok(value) = HeaderValue::from_str(&format!("<{}>", system.uri())) {
        response.headers_mut().insert("content-crs", value);
    }
    response
}

/// A day as `2026-01-31`.
pub(super) fn date(days: i32) -> String {
    let at = crate::domain::ids::Millis(i64::from(days) * 86_400_000).to_rfc3339();
    at.chars().take_while(|character| *character != 'T').collect()
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    proptest! {
        #[test]
        fn an_ordinate_reads_back_as_it_was(units in -1_800_000_000_i64..=1_800_000_000) {
            let (ordinate, mut text) = (units as f64 / 1e7, String::new());
            write_ordinate(&mut text, ordinate, 7);
            prop_assert_eq!(text.parse::<f64>().unwrap(), ordinate);
            prop_assert_eq!(serde_json::from_str::<Value>(&text).unwrap().as_f64(), Some(ordinate));
        }

        #[test]
        fn a_text_reads_back_as_it_was(text in ".*|[\\x00-\\x7f]*") {
            let mut written = String::new();
            write_text(&mut written, &text);
            prop_assert_eq!(serde_json::from_str::<String>(&written).unwrap(), text);
        }
    }
}
