//! One model for both formats: XML, and JSON by the "Spark" mapping, in which a list loses the element around it and an
//! empty element is `null`.

use std::fmt::Write;

use axum::http::header;
use axum::response::{IntoResponse, Response};

/// What an address ends with.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub(in crate::http) enum Format {
    Xml,
    Json,
}

impl Format {
    /// The format in which an address of Open311 answers; XML where it does not say. `None` elsewhere.
    pub(in crate::http) fn of_path(path: &str) -> Option<Self> {
        path.starts_with("/open311/").then(|| match path.ends_with(".json") {
            true => Format::Json,
            false => Format::Xml,
        })
    }

    pub(super) fn of_ending(ending: &str) -> Option<Self> {
        match ending {
            "xml" => Some(Format::Xml),
            "json" => Some(Format::Json),
            _ => None,
        }
    }

    pub(in crate::http) const fn content_type(self) -> &'static str {
        match self {
            Format::Xml => "text/xml; charset=utf-8",
            Format::Json => "application/json; charset=utf-8",
        }
    }

    /// The document whose outermost element is `name`.
    pub(in crate::http) fn write(self, name: &str, node: &Node) -> String {
        let mut out = String::new();
        match self {
            Format::Xml => {
                out.push_str("<?xml version=\"1.0\" encoding=\"utf-8\"?>\n");
                write_xml(&mut out, name, node);
                out.push('\n');
            }
            Format::Json => write_json(&mut out, node),
        }
        out
    }

    pub(super) fn answer(self, name: &str, node: &Node) -> Response {
        let headers = [(header::CONTENT_TYPE, self.content_type()), (header::CACHE_CONTROL, "no-cache")];
        (headers, self.write(name, node)).into_response()
    }
}

/// An element without its name.
#[derive(Debug, Clone, PartialEq)]
pub(in crate::http) enum Node {
    Empty,
    Text(String),
    Whole(i64),
    Yes(bool),
    /// Six decimals: a tenth of a meter.
    Degrees(f64),
    Object(Vec<(&'static str, Node)>),
    /// Elements of one name.
    List(&'static str, Vec<Node>),
}

impl Node {
    pub(in crate::http) fn text(text: impl Into<String>) -> Self {
        match text.into() {
            text if text.is_empty() => Node::Empty,
            text => Node::Text(text),
        }
    }

    pub(super) fn text_if(text: Option<impl Into<String>>) -> Self {
        text.map_or(Node::Empty, Node::text)
    }
}

fn write_xml(out: &mut String, name: &str, node: &Node) {
    let is_empty = match node {
        Node::Empty => true,
        Node::List(_, items) => items.is_empty(),
        _ => false,
    };
    if is_empty {
        write!(out, "<{name}/>").expect("a String takes everything");
        return;
    }
    write!(out, "<{name}>").expect("a String takes everything");
    match node {
        Node::Empty => {}
        Node::Text(text) => {
            let readable: String = text.chars().filter(|c| is_xml(*c)).collect();
            out.push_str(&quick_xml::escape::escape(readable.as_str()));
        }
        Node::Object(fields) => fields.iter().for_each(|(name, node)| write_xml(out, name, node)),
        Node::List(item, nodes) => nodes.iter().for_each(|node| write_xml(out, item, node)),
        Node::Whole(_) | Node::Yes(_) | Node::Degrees(_) => write_plain(out, node),
    }
    write!(out, "</{name}>").expect("a String takes everything");
}

/// Whether XML 1.0 has a place for it.
fn is_xml(c: char) -> bool {
    matches!(c, '\t' | '\n' | '\r' | '\u{20}'..='\u{d7ff}' | '\u{e000}'..='\u{fffd}' | '\u{10000}'..)
}

/// What is spelled alike in both formats.
fn write_plain(out: &mut String, node: &Node) {
    match node {
        Node::Whole(number) => write!(out, "{number}"),
        Node::Yes(yes) => write!(out, "{yes}"),
        Node::Degrees(degrees) => write!(out, "{degrees:.6}"),
        _ => Ok(()),
    }
    .expect("a String takes everything");
}

fn write_json(out: &mut String, node: &Node) {
    match node {
        Node::Empty => out.push_str("null"),
        Node::Text(text) => out.push_str(&serde_json::Value::from(text.as_str()).to_string()),
        Node::Object(fields) => {
            for (at, (name, node)) in fields.iter().enumerate() {
                out.push_str(if at == 0 { "{\"" } else { ",\"" });
                out.push_str(name);
                out.push_str("\":");
                write_json(out, node);
            }
            out.push_str(if fields.is_empty() { "{}" } else { "}" });
        }
        Node::List(_, nodes) => {
            for (at, node) in nodes.iter().enumerate() {
                out.push(if at == 0 { '[' } else { ',' });
                write_json(out, node);
            }
            out.push_str(if nodes.is_empty() { "[]" } else { "]" });
        }
        Node::Whole(_) | Node::Yes(_) | Node::Degrees(_) => write_plain(out, node),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn both(node: &Node) -> (String, String) {
        let xml = Format::Xml.write("requests", node);
        let xml =
            xml.strip_prefix("<?xml version=\"1.0\" encoding=\"utf-8\"?>\n").unwrap().trim_end().to_owned();
        (xml, Format::Json.write("requests", node))
    }

    #[test]
    fn none_one_and_many_are_lists_in_both_formats() {
        let one = || {
            Node::Object(vec![("id", Node::text("R1")), ("zip", Node::Empty), ("lat", Node::Degrees(37.5))])
        };
        let list = |items| both(&Node::List("request", items));
        assert_eq!(list(vec![]), ("<requests/>".into(), "[]".into()));
        let (xml, json) = (
            "<request><id>R1</id><zip/><lat>37.500000</lat></request>",
            r#"{"id":"R1","zip":null,"lat":37.500000}"#,
        );
        assert_eq!(list(vec![one()]), (format!("<requests>{xml}</requests>"), format!("[{json}]")));
        assert_eq!(
            list(vec![one(), one()]),
            (format!("<requests>{xml}{xml}</requests>"), format!("[{json},{json}]"))
        );
    }

    #[test]
    fn what_people_write_breaks_neither_format() {
        let (xml, json) = both(&Node::text("<b>\"&' 井\u{0}\u{8}\n"));
        assert_eq!(xml, "<requests>&lt;b&gt;&quot;&amp;&apos; 井\n</requests>");
        assert_eq!(serde_json::from_str::<String>(&json).unwrap(), "<b>\"&' 井\u{0}\u{8}\n");
    }

    #[test]
    fn a_list_within_an_object_keeps_its_name() {
        let values = Node::List("value", vec![Node::Object(vec![("key", Node::text("yes"))])]);
        let (xml, json) = both(&Node::Object(vec![
            ("order", Node::Whole(1)),
            ("required", Node::Yes(true)),
            ("values", values),
        ]));
        assert_eq!(
            xml,
            "<requests><order>1</order><required>true</required><values><value><key>yes</key></value></values></requests>"
        );
        assert_eq!(json, r#"{"order":1,"required":true,"values":[{"key":"yes"}]}"#);
    }
}
