//! The text encoding of the standard, read by precedence: OR, AND, NOT, comparisons, sums, products, powers.

use super::lexer::{Placed, Token, tokens};
use super::literal::Coordinates;
use super::moment::{read_date, read_timestamp};
use super::node::{Arithmetic, Comparison, DEEPEST, Node, OPERATIONS, Operation, too_deep};
use super::schema::{nearest, shortened};
use crate::domain::Refusal;

/// How tightly an operation holds its operands together.
pub(super) mod binding {
    pub(crate) const OR: u8 = 1;
    pub(crate) const AND: u8 = 2;
    pub(crate) const NOT: u8 = 3;
    pub(crate) const COMPARISON: u8 = 4;
    pub(crate) const SUM: u8 = 5;
    pub(crate) const PRODUCT: u8 = 6;
    pub(crate) const POWER: u8 = 7;
    pub(crate) const OPERAND: u8 = 8;
}

/// Words that stand for themselves; a property of that name is written in double quotes.
pub(super) const RESERVED: [&str; 11] =
    ["AND", "OR", "NOT", "LIKE", "BETWEEN", "IN", "IS", "NULL", "TRUE", "FALSE", "DIV"];

/// Functions that make a literal.
pub(super) const LITERALS: [&str; 11] = [
    "DATE",
    "TIMESTAMP",
    "INTERVAL",
    "BBOX",
    "POINT",
    "LINESTRING",
    "POLYGON",
    "MULTIPOINT",
    "MULTILINESTRING",
    "MULTIPOLYGON",
    "GEOMETRYCOLLECTION",
];

pub(super) fn read(text: &str, coordinates: Coordinates<'_>) -> Result<Node, Refusal> {
    let mut parser = Parser { tokens: tokens(text)?, at: 0, open: 0, coordinates };
    if *parser.token() == Token::End {
        return Err(Refusal::new("cql2.empty").at("filter"));
    }
    let node = parser.expression(binding::OR)?;
    if *parser.token() != Token::End {
        return Err(parser.refuse(Refusal::new("cql2.not_at_end")));
    }
    Ok(node)
}

pub(super) struct Parser<'a> {
    tokens: Vec<Placed>,
    at: usize,
    /// How many expressions are being read inside one another.
    open: usize,
    pub(super) coordinates: Coordinates<'a>,
}

/// What stands between two operands, or behind one.
enum Infix {
    Chain(Operation),
    Compare(Comparison),
    Calculate(Arithmetic),
    /// LIKE, BETWEEN, IN and IS, some with NOT.
    Test,
}

impl Parser<'_> {
    /// An expression whose operations hold at least this tightly.
    fn expression(&mut self, minimum: u8) -> Result<Node, Refusal> {
        self.open += 1;
        // Each level of the tree opens at most a bracket and an operand.
        if self.open > 2 * DEEPEST + 2 {
            return Err(too_deep());
        }
        let mut most = binding::OPERAND;
        let mut left = match self.word().as_deref() {
            Some("NOT") if minimum <= binding::NOT => {
                self.next();
                let operand = self.expression(binding::NOT)?;
                most = binding::NOT;
                Node::call(Operation::Not, vec![operand])?
            }
            _ => self.operand()?,
        };
        // Comparisons and powers do not chain: `a < b < c` says nothing that the standard defines.
        while let Some((infix, holds)) = self.infix() {
            if holds < minimum || holds > most {
                break;
            }
            left = match infix {
                Infix::Chain(operation) => {
                    let mut operands = vec![left];
                    while self.word().as_deref()
                        == Some(if operation == Operation::And { "AND" } else { "OR" })
                    {
                        self.next();
                        operands.push(self.expression(holds + 1)?);
                    }
                    Node::call(operation, operands)?
                }
                Infix::Compare(comparison) => {
                    self.next();
                    let right = self.expression(binding::SUM)?;
                    Node::call(Operation::Compare(comparison), vec![left, right])?
                }
                Infix::Calculate(arithmetic) => {
                    self.next();
                    let right = self.expression(holds + 1)?;
                    Node::call(Operation::Calculate(arithmetic), vec![left, right])?
                }
                Infix::Test => self.test(left)?,
            };
            most = match holds {
                binding::COMPARISON | binding::POWER => holds - 1,
                _ => holds,
            };
        }
        self.open -= 1;
        Ok(left)
    }

    fn infix(&self) -> Option<(Infix, u8)> {
        let calculate = |arithmetic, holds| Some((Infix::Calculate(arithmetic), holds));
        let compare = |comparison| Some((Infix::Compare(comparison), binding::COMPARISON));
        match self.token() {
            Token::Sign(sign) => match *sign {
                "=" => compare(Comparison::Equal),
                "<>" => compare(Comparison::Different),
                "<" => compare(Comparison::Less),
                ">" => compare(Comparison::Greater),
                "<=" => compare(Comparison::AtMost),
                ">=" => compare(Comparison::AtLeast),
                "+" => calculate(Arithmetic::Add, binding::SUM),
                "-" => calculate(Arithmetic::Subtract, binding::SUM),
                "*" => calculate(Arithmetic::Multiply, binding::PRODUCT),
                "/" => calculate(Arithmetic::Divide, binding::PRODUCT),
                "%" => calculate(Arithmetic::Modulo, binding::PRODUCT),
                "^" => calculate(Arithmetic::Power, binding::POWER),
                _ => None,
            },
            _ => match self.word()?.as_str() {
                "AND" => Some((Infix::Chain(Operation::And), binding::AND)),
                "OR" => Some((Infix::Chain(Operation::Or), binding::OR)),
                "DIV" => calculate(Arithmetic::IntegerDivide, binding::PRODUCT),
                "NOT" | "LIKE" | "BETWEEN" | "IN" | "IS" => Some((Infix::Test, binding::COMPARISON)),
                _ => None,
            },
        }
    }

    /// What stands behind its operand: `[NOT] LIKE`, `[NOT] BETWEEN`, `[NOT] IN`, `IS [NOT] NULL`.
    fn test(&mut self, operand: Node) -> Result<Node, Refusal> {
        let mut negated = self.take_word("NOT");
        let word = self.word().unwrap_or_default();
        let node = match word.as_str() {
            "LIKE" => {
                self.next();
                let pattern = self.expression(binding::SUM)?;
                Node::call(Operation::Like, vec![operand, pattern])?
            }
            "BETWEEN" => {
                self.next();
                let low = self.expression(binding::SUM)?;
                self.need_word("AND")?;
                let high = self.expression(binding::SUM)?;
                Node::call(Operation::Between, vec![operand, low, high])?
            }
            "IN" => {
                self.next();
                let list = self.list()?;
                Node::call(Operation::In, vec![operand, list])?
            }
            "IS" if !negated => {
                self.next();
                negated = self.take_word("NOT");
                self.need_word("NULL")?;
                Node::call(Operation::IsNull, vec![operand])?
            }
            _ => return Err(self.expected("LIKE / BETWEEN / IN")),
        };
        if negated { Node::call(Operation::Not, vec![node]) } else { Ok(node) }
    }

    fn operand(&mut self) -> Result<Node, Refusal> {
        match self.token().clone() {
            Token::Text(text) => self.done(Node::Text(text)),
            Token::Number(number) => self.done(Node::Number(number)),
            Token::Quoted(name) => self.done(Node::Property(name)),
            Token::Word(word) => self.named(word),
            Token::Sign("(") => {
                self.next();
                let inside = self.expression(binding::OR)?;
                self.need(")")?;
                Ok(inside)
            }
            Token::Sign(sign @ ("-" | "+")) => {
                self.next();
                match (sign, self.token().clone()) {
                    ("-", Token::Number(number)) => self.done(Node::Number(-number)),
                    ("+", Token::Number(number)) => self.done(Node::Number(number)),
                    ("-", Token::Word(_) | Token::Quoted(_) | Token::Sign("(")) => {
                        let operand = self.operand()?;
                        let multiply = Operation::Calculate(Arithmetic::Multiply);
                        Node::call(multiply, vec![Node::Number(-1.0), operand])
                    }
                    _ => Err(self.operand_expected()),
                }
            }
            Token::Sign(_) | Token::End => Err(self.operand_expected()),
        }
    }

    /// A keyword, a literal, a function or a property.
    fn named(&mut self, word: String) -> Result<Node, Refusal> {
        let upper = word.to_ascii_uppercase();
        match upper.as_str() {
            "TRUE" => return self.done(Node::Boolean(true)),
            "FALSE" => return self.done(Node::Boolean(false)),
            _ if RESERVED.contains(&upper.as_str()) => return Err(self.operand_expected()),
            _ => {}
        }
        let behind = self.tokens.get(self.at + 1).map(|(token, _)| token);
        let solid = matches!(behind, Some(Token::Word(z)) if z.eq_ignore_ascii_case("z"))
            && matches!(self.tokens.get(self.at + 2), Some((Token::Sign("("), _)));
        let literal = LITERALS.contains(&upper.as_str());
        if behind != Some(&Token::Sign("(")) && !(literal && solid) {
            return self.done(Node::Property(word));
        }
        if !literal {
            return self.function(&word);
        }
        self.next();
        match upper.as_str() {
            "DATE" => self.in_brackets(|parser| Ok(Node::Date(read_date(&parser.text()?)?))),
            "TIMESTAMP" => self.in_brackets(|parser| Ok(Node::Timestamp(read_timestamp(&parser.text()?)?))),
            "INTERVAL" => self.in_brackets(|parser| {
                let start = parser.interval_end()?;
                parser.need(",")?;
                Ok(Node::Interval(Box::new(start), Box::new(parser.interval_end()?)))
            }),
            _ => self.geometry(&upper),
        }
    }

    fn function(&mut self, name: &str) -> Result<Node, Refusal> {
        let operation = Operation::named(name).filter(|operation| operation.is_function());
        let Some(operation) = operation else {
            let functions = OPERATIONS.iter().filter(|(_, operation)| operation.is_function());
            let upper: Vec<String> = functions.map(|(name, _)| name.to_ascii_uppercase()).collect();
            let names = upper.iter().map(String::as_str).chain(LITERALS);
            return Err(Refusal::new("cql2.unknown_function")
                .at("filter")
                .with("read", shortened(name))
                .with("near", nearest(name, names)));
        };
        self.next();
        let takes_lists = matches!(operation, Operation::List(_));
        self.in_brackets(|parser| {
            let mut arguments = Vec::new();
            loop {
                arguments.push(match parser.token() {
                    Token::Sign("(") if takes_lists => parser.list()?,
                    _ => parser.expression(binding::OR)?,
                });
                if !parser.take(",") {
                    return Node::call(operation, arguments);
                }
            }
        })
    }

    /// `('a', 'b')`, also empty.
    fn list(&mut self) -> Result<Node, Refusal> {
        self.in_brackets(|parser| {
            let mut items = Vec::new();
            if *parser.token() != Token::Sign(")") {
                loop {
                    items.push(parser.expression(binding::OR)?);
                    if !parser.take(",") {
                        break;
                    }
                }
            }
            Ok(Node::List(items))
        })
    }

    fn interval_end(&mut self) -> Result<Node, Refusal> {
        match self.token().clone() {
            Token::Text(text) => {
                self.next();
                interval_end(&text)
            }
            _ => self.operand(),
        }
    }

    fn text(&mut self) -> Result<String, Refusal> {
        match self.token().clone() {
            Token::Text(text) => {
                self.next();
                Ok(text)
            }
            _ => Err(self.expected("'…'")),
        }
    }

    pub(super) fn in_brackets<T>(
        &mut self,
        inside: impl FnOnce(&mut Self) -> Result<T, Refusal>,
    ) -> Result<T, Refusal> {
        self.need("(")?;
        let read = inside(self)?;
        self.need(")")?;
        Ok(read)
    }

    /// A number with or without a sign.
    pub(super) fn signed_number(&mut self) -> Result<f64, Refusal> {
        let negative = self.take("-");
        if !negative {
            self.take("+");
        }
        match *self.token() {
            Token::Number(number) => {
                self.next();
                Ok(if negative { -number } else { number })
            }
            _ => Err(self.expected("1.5")),
        }
    }

    pub(super) fn token(&self) -> &Token {
        &self.tokens[self.at].0
    }

    /// A keyword in capitals, where an unquoted name stands.
    pub(super) fn word(&self) -> Option<String> {
        match self.token() {
            Token::Word(word) => Some(word.to_ascii_uppercase()),
            _ => None,
        }
    }

    pub(super) fn next(&mut self) {
        // The last token is the end, which nobody takes away.
        self.at = (self.at + 1).min(self.tokens.len() - 1);
    }

    fn done(&mut self, node: Node) -> Result<Node, Refusal> {
        self.next();
        Ok(node)
    }

    pub(super) fn take(&mut self, sign: &str) -> bool {
        let there = matches!(self.token(), Token::Sign(read) if *read == sign);
        if there {
            self.next();
        }
        there
    }

    pub(super) fn need(&mut self, sign: &'static str) -> Result<(), Refusal> {
        if self.take(sign) { Ok(()) } else { Err(self.expected(sign)) }
    }

    pub(super) fn take_word(&mut self, keyword: &str) -> bool {
        let there = self.word().as_deref() == Some(keyword);
        if there {
            self.next();
        }
        there
    }

    fn need_word(&mut self, keyword: &'static str) -> Result<(), Refusal> {
        if self.take_word(keyword) { Ok(()) } else { Err(self.expected(keyword)) }
    }

    pub(super) fn expected(&self, expected: &str) -> Refusal {
        match self.token() {
            Token::End => self.refuse(Refusal::new("cql2.ends_early")).with("expected", expected),
            _ => self.refuse(Refusal::new("cql2.expected")).with("expected", expected),
        }
    }

    fn operand_expected(&self) -> Refusal {
        match self.token() {
            Token::End => self.refuse(Refusal::new("cql2.operand_missing")),
            _ => self.refuse(Refusal::new("cql2.operand")),
        }
    }

    fn refuse(&self, refusal: Refusal) -> Refusal {
        let (token, position) = &self.tokens[self.at];
        let refusal = refusal.at("filter").with("position", position);
        match token {
            Token::Word(read) => refusal.with("read", shortened(read)),
            Token::Quoted(read) => refusal.with("read", format!("\"{}\"", shortened(read))),
            Token::Text(read) => refusal.with("read", format!("'{}'", shortened(read))),
            Token::Number(read) => refusal.with("read", read),
            Token::Sign(read) => refusal.with("read", read),
            Token::End => refusal,
        }
    }
}

/// A day, a moment or `..` inside an interval.
pub(super) fn interval_end(text: &str) -> Result<Node, Refusal> {
    match text {
        ".." => Ok(Node::Open),
        _ if text.contains(['T', 't']) => Ok(Node::Timestamp(read_timestamp(text)?)),
        _ => Ok(Node::Date(read_date(text)?)),
    }
}
