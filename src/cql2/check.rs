//! A tree as it was read → a condition over a schema: properties are looked up, types are compared, and what does not
//! fit is refused with an example that does.

use super::figure::{Figure, mirrored};
use super::moment::{Clock, Moment};
use super::node::{Call, Comparison, ListRelation, Node, Operation, SpatialRelation, TemporalRelation};
use super::predicate::{Items, Place, Predicate, Scalar, Span};
use super::schema::{Kind, Schema, shortened};
use super::text_out;
use super::words::{Pattern, fold_case, strip_accents};
use crate::domain::Refusal;

/// Between two geometries of a filter the work grows with the square of their positions, so at most these.
const MOST_CORNERS: usize = 2000;

/// Checks a tree against the properties it may name.
pub(super) struct Checker<'a> {
    pub schema: &'a Schema,
    pub clock: Clock,
}

/// What an expression gives. The words stand in the catalogues under `cql2_type`.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Type {
    Text,
    Number,
    Boolean,
    Date,
    Timestamp,
}

impl Type {
    fn word(self) -> &'static str {
        match self {
            Self::Text => "text",
            Self::Number => "number",
            Self::Boolean => "boolean",
            Self::Date => "date",
            Self::Timestamp => "timestamp",
        }
    }

    fn is_time(self) -> bool {
        matches!(self, Self::Date | Self::Timestamp)
    }

    /// A moment is compared with a day by the day in which it lies; nothing else is cast.
    fn fits(self, other: Self) -> bool {
        self == other || self.is_time() && other.is_time()
    }
}

impl Checker<'_> {
    /// What is true, false or unknown.
    pub(super) fn predicate(&self, node: &Node) -> Result<Predicate, Refusal> {
        match node {
            Node::Boolean(truth) => Ok(Predicate::Constant(Some(*truth))),
            Node::Property(name) => {
                let field = self.schema.resolve(name)?;
                match self.schema.fields()[field].kind {
                    Kind::Boolean => {
                        let truth = Scalar::Boolean(true);
                        Ok(Predicate::Compare(Comparison::Equal, Scalar::Field(field), truth))
                    }
                    _ => Err(self.no_condition(node)),
                }
            }
            Node::Call(call) => self.call(call, node),
            _ => Err(self.no_condition(node)),
        }
    }

    fn call(&self, call: &Call, node: &Node) -> Result<Predicate, Refusal> {
        let arguments = call.arguments.as_slice();
        Ok(match (call.operation, arguments) {
            (Operation::And, [_, _, ..]) => Predicate::And(self.predicates(arguments)?),
            (Operation::Or, [_, _, ..]) => Predicate::Or(self.predicates(arguments)?),
            (Operation::Not, [one]) => Predicate::Not(Box::new(self.predicate(one)?)),
            (Operation::Compare(comparison), [left, right]) => {
                let (first, second) = self.alike(left, right)?;
                Predicate::Compare(comparison, first, second)
            }
            (Operation::Like, [text, pattern]) => {
                Predicate::Like(self.of_type(call, text, Type::Text)?, Pattern::new(&known_text(pattern)?))
            }
            (Operation::Between, [value, low, high]) => {
                let (scalar, from) = self.alike(value, low)?;
                let (_, until) = self.alike(value, high)?;
                Predicate::Between(scalar, from, until)
            }
            (Operation::In, [value, Node::List(list)]) if !list.is_empty() => {
                let (scalar, _) = self.scalar(value)?;
                let list = list.iter().map(|item| Ok(self.alike(value, item)?.1));
                Predicate::In(scalar, list.collect::<Result<_, _>>()?)
            }
            (Operation::IsNull, [operand]) => self.is_null(operand)?,
            (Operation::Spatial(relation), [left, right]) => self.spatial(call, relation, left, right)?,
            (Operation::WithinDistance, [left, right, meters]) => {
                self.within_distance(call, left, right, meters)?
            }
            (Operation::Temporal(relation), [left, right]) => self.temporal(call, relation, left, right)?,
            (Operation::List(relation), [left, right]) => self.lists(call, relation, left, right)?,
            (Operation::FoldCase | Operation::StripAccents | Operation::Calculate(_), _) => {
                return Err(self.no_condition(node));
            }
            _ => return Err(wrong_count(call)),
        })
    }

    fn predicates(&self, nodes: &[Node]) -> Result<Vec<Predicate>, Refusal> {
        nodes.iter().map(|node| self.predicate(node)).collect()
    }

    /// Two operands of one type.
    fn alike(&self, left: &Node, right: &Node) -> Result<(Scalar, Scalar), Refusal> {
        let ((first, left_type), (second, right_type)) = (self.scalar(left)?, self.scalar(right)?);
        if left_type.fits(right_type) {
            return Ok((first, second));
        }
        Err(self.types_differ((left, left_type), (right, right_type)))
    }

    fn types_differ(&self, (left, left_type): (&Node, Type), (right, right_type): (&Node, Type)) -> Refusal {
        Refusal::new("cql2.types_differ")
            .at("filter")
            .with("left", described(left))
            .with("left_type", left_type.word())
            .with("right", described(right))
            .with("right_type", right_type.word())
            .with("example", self.example(&[left, right]))
    }

    fn scalar(&self, node: &Node) -> Result<(Scalar, Type), Refusal> {
        Ok(match node {
            Node::Text(text) => (Scalar::Text(text.clone()), Type::Text),
            Node::Number(number) => (Scalar::Number(*number), Type::Number),
            Node::Boolean(truth) => (Scalar::Boolean(*truth), Type::Boolean),
            Node::Date(days) => (Scalar::Moment(Moment::Day(*days)), Type::Date),
            Node::Timestamp(micros) => (Scalar::Moment(Moment::Micros(*micros)), Type::Timestamp),
            Node::Property(name) => {
                let field = self.schema.resolve(name)?;
                let kind = match self.schema.fields()[field].kind {
                    Kind::Text | Kind::Word(_) => Type::Text,
                    Kind::Number | Kind::Integer => Type::Number,
                    Kind::Boolean => Type::Boolean,
                    Kind::Date => Type::Date,
                    Kind::Timestamp => Type::Timestamp,
                    Kind::Point | Kind::Areas | Kind::TextList => return Err(self.not_one_value(node)),
                };
                (Scalar::Field(field), kind)
            }
            Node::Call(call) => match (call.operation, call.arguments.as_slice()) {
                (Operation::FoldCase, [text]) => {
                    (Scalar::FoldCase(Box::new(self.of_type(call, text, Type::Text)?)), Type::Text)
                }
                (Operation::StripAccents, [text]) => {
                    (Scalar::StripAccents(Box::new(self.of_type(call, text, Type::Text)?)), Type::Text)
                }
                (Operation::Calculate(arithmetic), [left, right]) => {
                    let operand = |node| Ok(Box::new(self.of_type(call, node, Type::Number)?));
                    (Scalar::Calculate(arithmetic, operand(left)?, operand(right)?), Type::Number)
                }
                (Operation::FoldCase | Operation::StripAccents | Operation::Calculate(_), _) => {
                    return Err(wrong_count(call));
                }
                _ => (Scalar::Truth(Box::new(self.call(call, node)?)), Type::Boolean),
            },
            Node::Geometry(_) | Node::Box(_) | Node::List(_) | Node::Interval(..) | Node::Open => {
                return Err(self.not_one_value(node));
            }
        })
    }

    fn of_type(&self, call: &Call, node: &Node, wanted: Type) -> Result<Scalar, Refusal> {
        let (scalar, found) = self.scalar(node)?;
        if found == wanted { Ok(scalar) } else { Err(self.unfit(call, node, wanted.word())) }
    }

    fn is_null(&self, node: &Node) -> Result<Predicate, Refusal> {
        let any = |nodes: &mut dyn Iterator<Item = &Node>| -> Result<Predicate, Refusal> {
            Ok(Predicate::Or(nodes.map(|node| self.is_null(node)).collect::<Result<_, _>>()?))
        };
        match node {
            Node::Property(name) => Ok(Predicate::IsFieldNull(self.schema.resolve(name)?)),
            Node::Geometry(_) | Node::Box(_) | Node::Open => Ok(Predicate::Constant(Some(false))),
            Node::Interval(start, end) => any(&mut [start.as_ref(), end.as_ref()].into_iter()),
            Node::List(items) => any(&mut items.iter()),
            _ => Ok(Predicate::IsNull(self.scalar(node)?.0)),
        }
    }

    fn spatial(
        &self,
        call: &Call,
        relation: SpatialRelation,
        left: &Node,
        right: &Node,
    ) -> Result<Predicate, Refusal> {
        Ok(match (self.place(call, left)?, self.place(call, right)?) {
            (Place::Field(field), place) => self.of_field(relation, field, place)?,
            (place, Place::Field(field)) => self.of_field(mirrored(relation), field, place)?,
            (Place::Figure(first), Place::Figure(second)) => {
                let corners = first.corners() + second.corners();
                if corners > MOST_CORNERS {
                    return Err(Refusal::new("cql2.too_many_corners")
                        .at("filter")
                        .with("count", corners)
                        .with("most", MOST_CORNERS));
                }
                let truth = first.relation(relation, &second);
                Predicate::Constant(Some(truth.ok_or_else(crossing)?))
            }
        })
    }

    fn of_field(&self, relation: SpatialRelation, field: usize, place: Place) -> Result<Predicate, Refusal> {
        match &place {
            Place::Figure(figure)
                if self.schema.fields()[field].kind == Kind::Areas && !figure.is_valid() =>
            {
                Err(crossing())
            }
            _ => Ok(Predicate::Spatial(relation, field, place)),
        }
    }

    fn within_distance(
        &self,
        call: &Call,
        left: &Node,
        right: &Node,
        meters: &Node,
    ) -> Result<Predicate, Refusal> {
        let meters = match meters {
            Node::Number(meters) if *meters >= 0.0 => *meters,
            other => return Err(Refusal::new("cql2.distance").at("filter").with("read", described(other))),
        };
        Ok(match (self.place(call, left)?, self.place(call, right)?) {
            (Place::Field(field), place) | (place, Place::Field(field)) => {
                Predicate::WithinDistance(field, place, meters)
            }
            (Place::Figure(first), Place::Figure(second)) => {
                let distance = match (first.point(), second.point()) {
                    (Some(at), _) => second.distance_m(at),
                    (_, Some(at)) => first.distance_m(at),
                    _ => return Err(Refusal::new("cql2.point_needed").at("filter")),
                };
                Predicate::Constant(Some(distance <= meters))
            }
        })
    }

    fn place(&self, call: &Call, node: &Node) -> Result<Place, Refusal> {
        let figure = match node {
            Node::Property(name) => {
                let field = self.schema.resolve(name)?;
                return match self.schema.fields()[field].kind {
                    kind if kind.is_place() => Ok(Place::Field(field)),
                    _ => Err(self.unfit(call, node, "geometry")),
                };
            }
            Node::Geometry(geometry) => Figure::new((**geometry).clone()),
            Node::Box(sides) => Figure::of_box(*sides),
            _ => None,
        };
        figure.map(|figure| Place::Figure(Box::new(figure))).ok_or_else(|| self.unfit(call, node, "geometry"))
    }

    fn temporal(
        &self,
        call: &Call,
        relation: TemporalRelation,
        left: &Node,
        right: &Node,
    ) -> Result<Predicate, Refusal> {
        use TemporalRelation::{After, Before, Disjoint, Equals, Intersects};
        let of_instants = matches!(relation, After | Before | Disjoint | Equals | Intersects);
        let (first, second) = (self.span(call, left)?, self.span(call, right)?);
        for node in [left, right] {
            if !of_instants && !matches!(node, Node::Interval(..)) {
                return Err(Refusal::new("cql2.interval_needed")
                    .at("filter")
                    .with("name", shown_name(call))
                    .with("read", described(node)));
            }
        }
        Ok(Predicate::Temporal(relation, first, second))
    }

    fn span(&self, call: &Call, node: &Node) -> Result<Span, Refusal> {
        let moment = |node: &Node| match self.scalar(node) {
            Ok((scalar, found)) if found.is_time() => Ok(scalar),
            Err(refusal) if refusal.code == "cql2.unknown_property" => Err(refusal),
            _ => Err(self.unfit(call, node, "time")),
        };
        let end = |node: &Node, open| match node {
            Node::Open => Ok(Scalar::Moment(open)),
            other => moment(other),
        };
        match node {
            Node::Interval(start, until) => {
                let span = Span { start: end(start, Moment::Always)?, end: end(until, Moment::Forever)? };
                if let (Scalar::Moment(start), Scalar::Moment(end)) = (&span.start, &span.end)
                    && self.clock.compare(*start, *end).is_gt()
                {
                    return Err(Refusal::new("cql2.interval_order")
                        .at("filter")
                        .with("read", described(node)));
                }
                Ok(span)
            }
            other => Ok(Span::at(moment(other)?)),
        }
    }

    fn lists(
        &self,
        call: &Call,
        relation: ListRelation,
        left: &Node,
        right: &Node,
    ) -> Result<Predicate, Refusal> {
        let (first, left_type) = self.items(call, left)?;
        let (second, right_type) = self.items(call, right)?;
        match (left_type, right_type) {
            (Some(left_type), Some(right_type)) if !left_type.fits(right_type) => {
                Err(self.types_differ((left, left_type), (right, right_type)))
            }
            _ => Ok(Predicate::List(relation, first, second)),
        }
    }

    /// A list and the one type of all that is in it; an empty one fits every other.
    fn items(&self, call: &Call, node: &Node) -> Result<(Items, Option<Type>), Refusal> {
        match node {
            Node::Property(name) => {
                let field = self.schema.resolve(name)?;
                match self.schema.fields()[field].kind {
                    Kind::TextList => Ok((Items::Field(field), Some(Type::Text))),
                    _ => Err(self.unfit(call, node, "list")),
                }
            }
            Node::List(items) => {
                let mut common = None;
                let mut scalars = Vec::new();
                for item in items {
                    let (scalar, found) = self.scalar(item)?;
                    if !common.get_or_insert(found).fits(found) {
                        self.alike(&items[0], item)?;
                    }
                    scalars.push(scalar);
                }
                Ok((Items::Listed(scalars), common))
            }
            _ => Err(self.unfit(call, node, "list")),
        }
    }

    /// An argument that the operation cannot take.
    fn unfit(&self, call: &Call, node: &Node, wanted: &'static str) -> Refusal {
        let nodes: Vec<&Node> = std::iter::once(node).chain(&call.arguments).collect();
        Refusal::new("cql2.argument_type")
            .at("filter")
            .with("name", shown_name(call))
            .with("read", described(node))
            .with("fits_type", wanted)
            .with("example", self.example(&nodes))
    }

    fn no_condition(&self, node: &Node) -> Refusal {
        Refusal::new("cql2.no_condition")
            .at("filter")
            .with("read", described(node))
            .with("example", self.example(&[node]))
    }

    fn not_one_value(&self, node: &Node) -> Refusal {
        Refusal::new("cql2.not_one_value")
            .at("filter")
            .with("read", described(node))
            .with("example", self.example(&[node]))
    }

    /// A condition that fits the first property among these.
    fn example(&self, nodes: &[&Node]) -> String {
        let named = nodes.iter().find_map(|node| property_in(node));
        let field = named.and_then(|name| self.schema.find(name)).unwrap_or(0);
        if field < self.schema.fields().len() { self.schema.example(field) } else { "1 = 1".to_owned() }
    }
}

/// The text of a pattern, plain or folded, which is known beforehand.
fn known_text(node: &Node) -> Result<String, Refusal> {
    match node {
        Node::Text(text) => return Ok(text.clone()),
        Node::Call(inner) => match (inner.operation, inner.arguments.as_slice()) {
            (Operation::FoldCase, [text]) => return Ok(fold_case(&known_text(text)?)),
            (Operation::StripAccents, [text]) => return Ok(strip_accents(&known_text(text)?)),
            _ => {}
        },
        _ => {}
    }
    Err(Refusal::new("cql2.pattern").at("filter").with("read", described(node)))
}

fn property_in(node: &Node) -> Option<&str> {
    match node {
        Node::Property(name) => Some(name),
        Node::Call(call) => call.arguments.iter().find_map(property_in),
        Node::List(items) => items.iter().find_map(property_in),
        Node::Interval(start, end) => property_in(start).or_else(|| property_in(end)),
        _ => None,
    }
}

fn described(node: &Node) -> String {
    shortened(&text_out::write(node))
}

fn shown_name(call: &Call) -> String {
    call.operation.name().to_ascii_uppercase()
}

fn crossing() -> Refusal {
    Refusal::new("cql2.crossing").at("filter")
}

fn wrong_count(call: &Call) -> Refusal {
    let fits = match call.operation {
        Operation::And | Operation::Or => "2 …",
        Operation::Not | Operation::IsNull | Operation::FoldCase | Operation::StripAccents => "1",
        Operation::Between | Operation::WithinDistance => "3",
        Operation::In => return Refusal::new("cql2.in_list").at("filter"),
        _ => "2",
    };
    Refusal::new("cql2.argument_count")
        .at("filter")
        .with("name", shown_name(call))
        .with("count", call.arguments.len())
        .with("fits", fits)
}
