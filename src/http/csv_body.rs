//! Lists as CSV: with the mark by which Excel knows UTF-8, page by page, and no cell that a spreadsheet would
//! take for a formula.

use std::borrow::Cow;

use axum::body::{Body, Bytes};
use axum::http::header;
use axum::response::{IntoResponse, Response};
use futures_util::stream::{self, Stream, StreamExt};

use super::Problem;
use crate::domain::formula::guarded;

const BYTE_ORDER_MARK: &[u8] = b"\xEF\xBB\xBF";

/// A file of the rows that `pages` brings, under a line of headings. Trouble on the way breaks the answer off,
/// so that a part is never taken for the whole.
pub(super) fn csv<P>(name: &str, headings: Vec<String>, pages: P) -> Response
where
    P: Stream<Item = Result<Vec<Vec<String>>, Problem>> + Send + 'static,
{
    let head = stream::once(async move {
        let mut bytes = BYTE_ORDER_MARK.to_vec();
        bytes.extend(lines(&[headings]));
        Ok(Bytes::from(bytes))
    });
    let body = pages.map(|page| match page {
        Ok(rows) => Ok(Bytes::from(lines(&rows))),
        Err(problem) => Err(std::io::Error::other(problem.refusal.code)),
    });
    let headers = [
        (header::CONTENT_TYPE, "text/csv; charset=utf-8".to_owned()),
        (header::CONTENT_DISPOSITION, format!("attachment; filename=\"{name}.csv\"")),
        (header::CACHE_CONTROL, "no-store".to_owned()),
    ];
    (headers, Body::from_stream(head.chain(body))).into_response()
}

fn lines(rows: &[Vec<String>]) -> Vec<u8> {
    let mut writer = csv::WriterBuilder::new().terminator(csv::Terminator::CRLF).from_writer(Vec::new());
    for row in rows {
        let written = writer.write_record(row.iter().map(|cell| safe(cell).into_owned()));
        debug_assert!(written.is_ok(), "rows of one list are equally long");
    }
    writer.into_inner().unwrap_or_default()
}

/// A number stays a number, even a negative one.
fn safe(cell: &str) -> Cow<'_, str> {
    if cell.parse::<f64>().is_ok() { Cow::Borrowed(cell) } else { guarded(cell) }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn no_cell_is_taken_for_a_formula_and_numbers_stay_numbers() {
        for (cell, written) in [
            ("=1+1", "'=1+1"),
            ("+86 546", "'+86 546"),
            ("@SUM(A1)", "'@SUM(A1)"),
            ("-cmd|x", "'-cmd|x"),
            ("＝1", "'＝1"),
            ("'=1", "''=1"),
            ("-71.5", "-71.5"),
            ("黄河路", "黄河路"),
            ("", ""),
        ] {
            assert_eq!(safe(cell), written);
        }
        let rows = [vec!["a,\"b\"".to_owned(), "=x".to_owned()]];
        assert_eq!(String::from_utf8(lines(&rows)).unwrap(), "\"a,\"\"b\"\"\",'=x\r\n");
    }
}
