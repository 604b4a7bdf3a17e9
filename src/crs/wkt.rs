//! Well-known text as a tree: keywords with lists in brackets or parentheses. What it means is left
//! to `prj`.

/// Longest text and deepest tree that are read; real ones have 2 KB and a depth of 8.
const MAX_LEN: usize = 64 << 10;
const MAX_DEPTH: usize = 32;

#[derive(Debug, Clone, PartialEq)]
pub(super) struct Node {
    /// In capitals.
    pub(super) keyword: String,
    pub(super) items: Vec<Item>,
}

#[derive(Debug, Clone, PartialEq)]
pub(super) enum Item {
    Text(String),
    Number(f64),
    /// A bare word, such as the direction of an axis.
    Word(String),
    Node(Node),
}

impl Node {
    /// Reads one tree; `None` when the text is none.
    pub(super) fn parse(text: &str) -> Option<Self> {
        // Some programs end the file with a NUL.
        let text = text.trim_start_matches('\u{FEFF}').trim_matches(|c: char| c.is_whitespace() || c == '\0');
        if text.len() > MAX_LEN {
            return None;
        }
        let (node, rest) = node(text, 0)?;
        rest.trim_start().is_empty().then_some(node)
    }

    /// The first text, which is the name.
    pub(super) fn name(&self) -> &str {
        self.items
            .iter()
            .find_map(|item| if let Item::Text(text) = item { Some(text.as_str()) } else { None })
            .unwrap_or("")
    }

    /// The first number.
    pub(super) fn number(&self) -> Option<f64> {
        self.items.iter().find_map(|item| if let Item::Number(number) = item { Some(*number) } else { None })
    }

    pub(super) fn nodes(&self) -> impl Iterator<Item = &Node> {
        self.items.iter().filter_map(|item| if let Item::Node(node) = item { Some(node) } else { None })
    }

    /// The first child of one of these keywords.
    pub(super) fn child(&self, keywords: &[&str]) -> Option<&Node> {
        self.nodes().find(|node| keywords.contains(&node.keyword.as_str()))
    }

    /// The code that EPSG gave to this very node.
    pub(super) fn epsg(&self) -> Option<u32> {
        let id = self.nodes().find(|node| {
            matches!(node.keyword.as_str(), "AUTHORITY" | "ID") && node.name().eq_ignore_ascii_case("EPSG")
        })?;
        id.items.iter().skip(1).find_map(|item| match item {
            Item::Number(number) if number.fract() == 0.0 && (0.0..1e9).contains(number) => {
                Some(*number as u32)
            }
            Item::Text(text) | Item::Word(text) => text.trim().parse().ok(),
            _ => None,
        })
    }
}

fn node(text: &str, depth: usize) -> Option<(Node, &str)> {
    let text = text.trim_start();
    let end = text.find(|c: char| !(c.is_ascii_alphanumeric() || c == '_'))?;
    let (keyword, rest) = text.split_at(end);
    let rest = rest.trim_start();
    let close = match rest.chars().next()? {
        '[' => ']',
        '(' => ')',
        _ => return None,
    };
    if keyword.is_empty() || depth == MAX_DEPTH {
        return None;
    }
    let mut items = Vec::new();
    let mut rest = rest[1..].trim_start();
    if let Some(after) = rest.strip_prefix(close) {
        return Some((Node { keyword: keyword.to_ascii_uppercase(), items }, after));
    }
    loop {
        let (item, after) = item(rest, depth)?;
        items.push(item);
        let after = after.trim_start();
        if let Some(next) = after.strip_prefix(',') {
            rest = next.trim_start();
        } else {
            let after = after.strip_prefix(close)?;
            return Some((Node { keyword: keyword.to_ascii_uppercase(), items }, after));
        }
    }
}

fn item(text: &str, depth: usize) -> Option<(Item, &str)> {
    if let Some(body) = text.strip_prefix('"') {
        return quoted(body);
    }
    let end = text.find([',', ']', ')', '[', '(']).unwrap_or(text.len());
    let word = text[..end].trim_end();
    if let Ok(number) = word.parse::<f64>() {
        return number.is_finite().then_some((Item::Number(number), &text[end..]));
    }
    if text[end..].starts_with(['[', '(']) {
        let (node, rest) = node(text, depth + 1)?;
        return Some((Item::Node(node), rest));
    }
    (!word.is_empty()).then(|| (Item::Word(word.to_owned()), &text[end..]))
}

/// A text up to its closing quote; a doubled quote is one.
fn quoted(body: &str) -> Option<(Item, &str)> {
    let mut text = String::new();
    let mut rest = body;
    loop {
        let (before, after) = rest.split_once('"')?;
        text.push_str(before);
        match after.strip_prefix('"') {
            Some(next) => {
                text.push('"');
                rest = next;
            }
            None => return Some((Item::Text(text), after)),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn a_tree_is_read_in_either_kind_of_brackets() {
        for text in [
            "\u{FEFF}UNIT[\"metre\",1,AUTHORITY[\"EPSG\",\"9001\"],EAST]\0\n",
            "unit ( \"metre\" , 1.0 , Authority(\"EPSG\", 9001), EAST )",
        ] {
            let node = Node::parse(text).unwrap();
            assert_eq!((node.keyword.as_str(), node.name(), node.number()), ("UNIT", "metre", Some(1.0)));
            assert_eq!(node.epsg(), Some(9001));
            assert_eq!(node.items[3], Item::Word("EAST".into()));
        }
        assert_eq!(Node::parse("A[\"say \"\"b\"\"\"]").unwrap().name(), "say \"b\"");
        for text in ["", "A", "A[", "A[\"", "A[1,]", "A[1]]", "A[1)", "[1]", "A[inf]", &"A[".repeat(100_000)]
        {
            assert_eq!(Node::parse(text), None, "{}", &text[..text.len().min(20)]);
        }
    }

    proptest! {
        #[test]
        fn no_text_is_a_panic(text in "[A-B\\[\\]()\",.0-9 +é井-]{0,40}") {
            let _ = Node::parse(&text);
        }
    }
}
