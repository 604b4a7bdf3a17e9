//! Statements whose conditions depend on what is asked, in pieces.

use uuid::Uuid;

/// A piece of a statement: text of ours, or a value to be bound.
pub(super) enum Piece {
    Sql(&'static str),
    Text(String),
    Id(Uuid),
    Int(i64),
    Real(f64),
    Bool(bool),
}

/// Adds pieces to a query of either engine.
macro_rules! push_pieces {
    ($query:expr, $pieces:expr) => {
        for piece in $pieces {
            match piece {
                $crate::store::piece::Piece::Sql(sql) => $query.push(sql),
                $crate::store::piece::Piece::Text(text) => $query.push_bind(text),
                $crate::store::piece::Piece::Id(id) => $query.push_bind(id),
                $crate::store::piece::Piece::Int(number) => $query.push_bind(number),
                $crate::store::piece::Piece::Real(number) => $query.push_bind(number),
                $crate::store::piece::Piece::Bool(yes) => $query.push_bind(yes),
            };
        }
    };
}
pub(super) use push_pieces;
