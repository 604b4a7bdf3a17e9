//! A filter as it was read, before anybody asked what the properties are: the tree that both encodings share.

use geo::Geometry;

use crate::domain::Refusal;

/// How deep a filter may be nested. The walk over it needs a stack, no person writes so many brackets, and other
/// readers of JSON stop at 128 levels, two of which make one of these.
pub(super) const DEEPEST: usize = 48;

/// One piece of a filter. The JSON encoding has the same shape.
#[derive(Debug, Clone, PartialEq)]
pub(super) enum Node {
    Text(String),
    /// Finite.
    Number(f64),
    Boolean(bool),
    /// Days since 1970-01-01.
    Date(i32),
    /// Microseconds since 1970-01-01T00:00:00Z.
    Timestamp(i64),
    Interval(Box<Node>, Box<Node>),
    /// An end that an interval does not have.
    Open,
    Geometry(Box<Geometry>),
    /// West, south, east, north; west of `east` lies `west` unless the box crosses the antimeridian.
    Box([f64; 4]),
    List(Vec<Node>),
    Property(String),
    Call(Call),
}

/// An operation on other nodes.
#[derive(Debug, Clone, PartialEq)]
pub(super) struct Call {
    pub operation: Operation,
    pub arguments: Vec<Node>,
    height: usize,
}

impl Node {
    /// An operation; refused when the tree becomes deeper than [`DEEPEST`].
    pub(super) fn call(operation: Operation, arguments: Vec<Node>) -> Result<Self, Refusal> {
        let height = 1 + arguments.iter().map(Node::height).max().unwrap_or(0);
        if height > DEEPEST {
            return Err(too_deep());
        }
        Ok(Self::Call(Call { operation, arguments, height }))
    }

    /// Both must hold. What is AND-ed already takes one more condition, so that the tree does not grow.
    pub(super) fn and(self, other: Node) -> Self {
        let mut arguments = match self {
            Self::Call(Call { operation: Operation::And, arguments, .. }) => arguments,
            node => vec![node],
        };
        arguments.push(other);
        let height = 1 + arguments.iter().map(Node::height).max().unwrap_or(0);
        Self::Call(Call { operation: Operation::And, arguments, height })
    }

    fn height(&self) -> usize {
        match self {
            Self::Call(call) => call.height,
            Self::List(items) => 1 + items.iter().map(Node::height).max().unwrap_or(0),
            Self::Interval(start, end) => 1 + start.height().max(end.height()),
            _ => 0,
        }
    }
}

pub(super) fn too_deep() -> Refusal {
    Refusal::new("cql2.too_deep").at("filter").with("most", DEEPEST)
}

/// What can be done with nodes.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Operation {
    And,
    Or,
    Not,
    Compare(Comparison),
    Like,
    Between,
    In,
    IsNull,
    FoldCase,
    StripAccents,
    Calculate(Arithmetic),
    Spatial(SpatialRelation),
    /// Lidmark's own: nearer than so many meters.
    WithinDistance,
    Temporal(TemporalRelation),
    List(ListRelation),
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Comparison {
    Equal,
    Different,
    Less,
    Greater,
    AtMost,
    AtLeast,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Arithmetic {
    Add,
    Subtract,
    Multiply,
    Divide,
    Modulo,
    IntegerDivide,
    Power,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum SpatialRelation {
    Intersects,
    Equals,
    Disjoint,
    Touches,
    Within,
    Overlaps,
    Crosses,
    Contains,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum TemporalRelation {
    After,
    Before,
    Contains,
    Disjoint,
    During,
    Equals,
    FinishedBy,
    Finishes,
    Intersects,
    Meets,
    MetBy,
    OverlappedBy,
    Overlaps,
    StartedBy,
    Starts,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum ListRelation {
    Equals,
    Contains,
    ContainedBy,
    Overlaps,
}

/// Every operation with its name in the JSON encoding. The text encoding writes functions in capitals.
pub(super) const OPERATIONS: &[(&str, Operation)] = &[
    ("and", Operation::And),
    ("or", Operation::Or),
    ("not", Operation::Not),
    ("=", Operation::Compare(Comparison::Equal)),
    ("<>", Operation::Compare(Comparison::Different)),
    ("<", Operation::Compare(Comparison::Less)),
    (">", Operation::Compare(Comparison::Greater)),
    ("<=", Operation::Compare(Comparison::AtMost)),
    (">=", Operation::Compare(Comparison::AtLeast)),
    ("like", Operation::Like),
    ("between", Operation::Between),
    ("in", Operation::In),
    ("isNull", Operation::IsNull),
    ("casei", Operation::FoldCase),
    ("accenti", Operation::StripAccents),
    ("+", Operation::Calculate(Arithmetic::Add)),
    ("-", Operation::Calculate(Arithmetic::Subtract)),
    ("*", Operation::Calculate(Arithmetic::Multiply)),
    ("/", Operation::Calculate(Arithmetic::Divide)),
    ("%", Operation::Calculate(Arithmetic::Modulo)),
    ("div", Operation::Calculate(Arithmetic::IntegerDivide)),
    ("^", Operation::Calculate(Arithmetic::Power)),
    ("s_intersects", Operation::Spatial(SpatialRelation::Intersects)),
    ("s_equals", Operation::Spatial(SpatialRelation::Equals)),
    ("s_disjoint", Operation::Spatial(SpatialRelation::Disjoint)),
    ("s_touches", Operation::Spatial(SpatialRelation::Touches)),
    ("s_within", Operation::Spatial(SpatialRelation::Within)),
    ("s_overlaps", Operation::Spatial(SpatialRelation::Overlaps)),
    ("s_crosses", Operation::Spatial(SpatialRelation::Crosses)),
    ("s_contains", Operation::Spatial(SpatialRelation::Contains)),
    ("s_dwithin", Operation::WithinDistance),
    ("t_after", Operation::Temporal(TemporalRelation::After)),
    ("t_before", Operation::Temporal(TemporalRelation::Before)),
    ("t_contains", Operation::Temporal(TemporalRelation::Contains)),
    ("t_disjoint", Operation::Temporal(TemporalRelation::Disjoint)),
    ("t_during", Operation::Temporal(TemporalRelation::During)),
    ("t_equals", Operation::Temporal(TemporalRelation::Equals)),
    ("t_finishedBy", Operation::Temporal(TemporalRelation::FinishedBy)),
    ("t_finishes", Operation::Temporal(TemporalRelation::Finishes)),
    ("t_intersects", Operation::Temporal(TemporalRelation::Intersects)),
    ("t_meets", Operation::Temporal(TemporalRelation::Meets)),
    ("t_metBy", Operation::Temporal(TemporalRelation::MetBy)),
    ("t_overlappedBy", Operation::Temporal(TemporalRelation::OverlappedBy)),
    ("t_overlaps", Operation::Temporal(TemporalRelation::Overlaps)),
    ("t_startedBy", Operation::Temporal(TemporalRelation::StartedBy)),
    ("t_starts", Operation::Temporal(TemporalRelation::Starts)),
    ("a_equals", Operation::List(ListRelation::Equals)),
    ("a_contains", Operation::List(ListRelation::Contains)),
    ("a_containedBy", Operation::List(ListRelation::ContainedBy)),
    ("a_overlaps", Operation::List(ListRelation::Overlaps)),
];

impl Operation {
    /// The operation with this name, in capitals or not.
    pub(super) fn named(name: &str) -> Option<Self> {
        let found = OPERATIONS.iter().find(|(known, _)| known.eq_ignore_ascii_case(name));
        found.map(|(_, operation)| *operation)
    }

    /// Its name in the JSON encoding.
    pub(super) fn name(self) -> &'static str {
        let found = OPERATIONS.iter().find(|(_, operation)| *operation == self);
        found.map_or("", |(name, _)| name)
    }

    /// Whether the text encoding writes it as a name with arguments in brackets.
    pub(super) fn is_function(self) -> bool {
        matches!(
            self,
            Self::FoldCase
                | Self::StripAccents
                | Self::Spatial(_)
                | Self::WithinDistance
                | Self::Temporal(_)
                | Self::List(_)
        )
    }
}
