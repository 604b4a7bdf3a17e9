//! The ledger of a batch for the print shop: one line a plate, in the order of the pages.

use std::io::Write;

use crate::domain::plate::Plate;

const COLUMNS: [&str; 7] = ["batch", "token", "payload", "cover_code", "face", "page", "position"];

/// Writes plates as CSV. `cover_code` is empty on a blank plate; `position` counts from 1 on its page,
/// row by row.
pub fn write_ledger<'p>(plates: impl IntoIterator<Item = &'p Plate>, out: impl Write) -> csv::Result<()> {
    let mut csv = csv::Writer::from_writer(out);
    csv.write_record(COLUMNS)?;
    for plate in plates {
        csv.write_record([
            plate.batch.to_string().as_str(),
            &plate.token.to_string(),
            &plate.payload,
            plate.printed_code.as_deref().unwrap_or(""),
            &plate.face,
            &plate.page.to_string(),
            &plate.place_on_page.to_string(),
        ])?;
    }
    csv.flush()?;
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::domain::ids::{BatchId, Millis};
    use crate::domain::plate::{PlateSpot, PlateState, SymbolRecord};
    use crate::domain::token::Token;

    #[test]
    fn a_ledger_has_the_promised_columns() {
        let token = Token::from_i64(5).unwrap();
        let plate = Plate {
            token,
            batch: BatchId(uuid::Uuid::nil()),
            ordinal: 1,
            state: PlateState::Made,
            payload: format!("HTTPS://LID.EXAMPLE.CN/C/{token}"),
            face: "rect-90x60".into(),
            symbol: SymbolRecord { version: 3, level: 'Q', mask: 2 },
            cover: None,
            manhole: None,
            printed_code: Some("3705020102000017".into()),
            page: 2,
            place_on_page: 8,
            successor: None,
            spot: PlateSpot::Public,
            holder: None,
            state_at: Millis(0),
        };
        let mut out = Vec::new();
        write_ledger([&plate], &mut out).unwrap();
        let text = String::from_utf8(out).unwrap();
        assert_eq!(
            text,
            format!(
                "batch,token,payload,cover_code,face,page,position\n00000000-0000-0000-0000-000000000000,{token},\
                 HTTPS://LID.EXAMPLE.CN/C/{token},3705020102000017,rect-90x60,2,8\n"
            )
        );
    }
}
