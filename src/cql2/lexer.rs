//! Characters → the words, texts, numbers and signs of the text encoding, each with its place.

use super::schema::shortened;
use crate::domain::Refusal;

/// What stands there.
#[derive(Debug, Clone, PartialEq)]
pub(super) enum Token {
    /// A name or keyword without quotes.
    Word(String),
    /// A name in double quotes.
    Quoted(String),
    /// A text in single quotes.
    Text(String),
    /// A number without a sign.
    Number(f64),
    Sign(&'static str),
    End,
}

/// A token and the number of its first character, counted from one.
pub(super) type Placed = (Token, usize);

const SIGNS: [&str; 15] = ["<>", "<=", ">=", "=", "<", ">", "(", ")", ",", "+", "-", "*", "/", "%", "^"];

/// What a Chinese keyboard writes instead.
const FULL_WIDTH: [(char, char); 17] = [
    ('（', '('),
    ('）', ')'),
    ('，', ','),
    ('、', ','),
    ('＝', '='),
    ('＜', '<'),
    ('＞', '>'),
    ('＋', '+'),
    ('－', '-'),
    ('＊', '*'),
    ('／', '/'),
    ('％', '%'),
    ('‘', '\''),
    ('’', '\''),
    ('＇', '\''),
    ('“', '"'),
    ('”', '"'),
];

pub(super) fn tokens(text: &str) -> Result<Vec<Placed>, Refusal> {
    let mut lexer = Lexer { rest: text, position: 1 };
    let mut tokens = Vec::new();
    loop {
        lexer.skip(|character| character.is_whitespace());
        let position = lexer.position;
        let token = lexer.token()?;
        let ended = token == Token::End;
        tokens.push((token, position));
        if ended {
            return Ok(tokens);
        }
    }
}

/// Whether a name can stand without quotes and begin with this character (rule `identifierStart`).
pub(super) fn starts_name(character: char) -> bool {
    matches!(character,
        ':' | '_' | 'A'..='Z' | 'a'..='z' | '\u{C0}'..='\u{D6}' | '\u{D8}'..='\u{F6}' | '\u{F8}'..='\u{2FF}'
        | '\u{370}'..='\u{37D}' | '\u{37F}'..='\u{1FFE}' | '\u{200C}'..='\u{200D}' | '\u{2070}'..='\u{218F}'
        | '\u{2C00}'..='\u{2FEF}' | '\u{3001}'..='\u{D7FF}' | '\u{F900}'..='\u{FDCF}' | '\u{FDF0}'..='\u{FFFD}'
        | '\u{10000}'..='\u{EFFFF}')
        && !character.is_whitespace()
        && FULL_WIDTH.iter().all(|(wide, _)| *wide != character)
}

/// Whether a name can go on with this character (rule `identifierPart`).
pub(super) fn continues_name(character: char) -> bool {
    starts_name(character)
        || matches!(character, '.' | '0'..='9' | '\u{300}'..='\u{36F}' | '\u{203F}'..='\u{2040}')
}

struct Lexer<'a> {
    rest: &'a str,
    /// Of the first character of `rest`.
    position: usize,
}

impl<'a> Lexer<'a> {
    fn token(&mut self) -> Result<Token, Refusal> {
        let Some(first) = self.rest.chars().next() else { return Ok(Token::End) };
        if starts_name(first) {
            return Ok(Token::Word(self.skip(continues_name).to_owned()));
        }
        let digit_follows = self.rest[first.len_utf8()..].starts_with(|next: char| next.is_ascii_digit());
        if first.is_ascii_digit() || first == '.' && digit_follows {
            return self.number();
        }
        if first == '\'' {
            return self.text();
        }
        if first == '"' {
            return self.quoted();
        }
        if let Some(sign) = SIGNS.iter().find(|sign| self.rest.starts_with(**sign)) {
            self.advance(sign.len());
            return Ok(Token::Sign(sign));
        }
        let wide = FULL_WIDTH.iter().find(|(wide, _)| *wide == first);
        Err(match wide {
            Some((_, narrow)) => self.refuse(Refusal::new("cql2.full_width")).with("instead", narrow),
            None => self.refuse(Refusal::new("cql2.character")),
        }
        .with("read", first.escape_debug()))
    }

    /// `12`, `12.5`, `.5`, `1.5E-3`.
    fn number(&mut self) -> Result<Token, Refusal> {
        let position = self.position;
        let whole = self.rest;
        let digits = |lexer: &mut Self| lexer.skip(|character| character.is_ascii_digit()).len();
        digits(self);
        if self.rest.starts_with('.') {
            self.advance(1);
            digits(self);
        }
        if let Some(exponent) = self.rest.strip_prefix(['e', 'E']) {
            let sign = usize::from(exponent.starts_with(['+', '-']));
            if exponent[sign..].starts_with(|next: char| next.is_ascii_digit()) {
                self.advance(1 + sign);
                digits(self);
            }
        }
        let read = &whole[..whole.len() - self.rest.len()];
        // `5km` is neither a number nor a name.
        let glued = self.rest.starts_with(continues_name);
        match read.parse::<f64>() {
            Ok(number) if number.is_finite() && !glued => Ok(Token::Number(number)),
            _ => {
                let read = format!("{read}{}", self.skip(continues_name));
                Err(Refusal::new("cql2.number")
                    .at("filter")
                    .with("position", position)
                    .with("read", shortened(&read)))
            }
        }
    }

    /// A text until its closing quote, with `''` and the escapes of requirement `cql2-text/escaping`. A backslash
    /// before any other character stays, since it is the escape of LIKE as well.
    fn text(&mut self) -> Result<Token, Refusal> {
        let unclosed = self.refuse(Refusal::new("cql2.unclosed_text"));
        self.advance(1);
        let mut text = String::new();
        loop {
            let plain = self.skip(|character| character != '\'' && character != '\\');
            text.push_str(plain);
            let mut next = self.rest.chars();
            match (next.next(), next.next()) {
                (Some('\''), Some('\'')) => text.push('\''),
                (Some('\''), _) => {
                    self.advance(1);
                    return Ok(Token::Text(text));
                }
                (Some('\\'), Some(escaped)) => match escaped {
                    '\'' | '\\' => text.push(escaped),
                    'a' => text.push('\u{7}'),
                    'b' => text.push('\u{8}'),
                    't' => text.push('\t'),
                    'n' => text.push('\n'),
                    'v' => text.push('\u{B}'),
                    'f' => text.push('\u{C}'),
                    'r' => text.push('\r'),
                    other => text.extend(['\\', other]),
                },
                _ => return Err(unclosed),
            }
            let both: usize = self.rest.chars().take(2).map(char::len_utf8).sum();
            self.advance(both);
        }
    }

    /// A name until its closing double quote; `""` is one of them inside.
    fn quoted(&mut self) -> Result<Token, Refusal> {
        let unclosed = self.refuse(Refusal::new("cql2.unclosed_name"));
        self.advance(1);
        let mut name = String::new();
        loop {
            name.push_str(self.skip(|character| character != '"'));
            if self.rest.is_empty() {
                return Err(unclosed);
            }
            self.advance(1);
            if !self.rest.starts_with('"') {
                return Ok(Token::Quoted(name));
            }
            self.advance(1);
            name.push('"');
        }
    }

    /// Takes the characters that fit and gives them.
    fn skip(&mut self, fits: impl Fn(char) -> bool) -> &'a str {
        let rest = self.rest;
        let end = rest.find(|character| !fits(character)).unwrap_or(rest.len());
        self.advance(end);
        &rest[..end]
    }

    fn advance(&mut self, bytes: usize) {
        let (taken, rest) = self.rest.split_at(bytes);
        self.position += taken.chars().count();
        self.rest = rest;
    }

    fn refuse(&self, refusal: Refusal) -> Refusal {
        refusal.at("filter").with("position", self.position)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn texts_names_and_numbers_are_read_as_the_standard_writes_them() {
        let read = |text: &str| tokens(text).unwrap().into_iter().map(|(token, _)| token).collect::<Vec<_>>();
        let text = |text: &str| vec![Token::Text(text.to_owned()), Token::End];
        assert_eq!(read("'it''s'"), text("it's"));
        assert_eq!(read(r"'it\'s'"), text("it's"));
        assert_eq!(read(r"'50\% \\ \n'"), text("50\\% \\ \n"));
        assert_eq!(read("\"a \"\"b\"\"\"")[0], Token::Quoted("a \"b\"".to_owned()));
        assert_eq!(read("layer:ids 承载等级")[1], Token::Word("承载等级".to_owned()));
        assert_eq!(read("6.*.5E-1")[..2], [Token::Number(6.0), Token::Sign("*")]);
        assert_eq!(read("6.*.5E-1")[2], Token::Number(0.05));
    }

    #[test]
    fn what_cannot_be_read_is_named_with_its_place() {
        for (text, code, position) in [
            ("井 = 'a", "cql2.unclosed_text", "5"),
            ("\"井", "cql2.unclosed_name", "1"),
            ("井盖 = 5km", "cql2.number", "6"),
            ("a = 1e999", "cql2.number", "5"),
            ("a = （1)", "cql2.full_width", "5"),
            ("井盖 ; b", "cql2.character", "4"),
        ] {
            let refusal = tokens(text).unwrap_err();
            assert_eq!((refusal.code, refusal.params[0].1.as_str()), (code, position), "{text}");
        }
    }
}
