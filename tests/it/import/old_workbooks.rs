//! XLS by its records: what Excel writes and other programs do not, and what nobody should.

use super::{read_path, story};
use lidmark::import::{Findings, Told, find_built_in};

/// A container with one stream: the table of sectors, the folder, the stream.
fn container(name: &str, stream: &[u8]) -> Vec<u8> {
    // Small streams lie elsewhere; this one is made large enough.
    let mut stream = stream.to_vec();
    stream.resize(stream.len().max(4096).next_multiple_of(512), 0);
    let count = (stream.len() / 512) as u32;
    let mut head = b"\xD0\xCF\x11\xE0\xA1\xB1\x1A\xE1".to_vec();
    head.resize(512, 0);
    let put = |bytes: &mut Vec<u8>, at: usize, value: u32| {
        bytes[at..at + 4].copy_from_slice(&value.to_le_bytes());
    };
    put(&mut head, 0x1E, 9);
    put(&mut head, 0x2C, 1);
    put(&mut head, 0x30, 1);
    put(&mut head, 0x3C, u32::MAX - 1);
    put(&mut head, 0x44, u32::MAX - 1);
    head[0x4C..].fill(0xFF);
    put(&mut head, 0x4C, 0);
    let mut table = vec![0xFF; 512];
    put(&mut table, 0, u32::MAX - 2);
    put(&mut table, 4, u32::MAX - 1);
    for at in 0..count {
        put(&mut table, 8 + 4 * at as usize, if at + 1 == count { u32::MAX - 1 } else { at + 3 });
    }
    let mut folder = vec![0; 512];
    for (at, (name, kind, first, length)) in
        [("Root Entry", 5, u32::MAX - 1, 0), (name, 2, 2, stream.len() as u32)].into_iter().enumerate()
    {
        let entry = 128 * at;
        for (letter, unit) in name.encode_utf16().enumerate() {
            folder[entry + 2 * letter..entry + 2 * letter + 2].copy_from_slice(&unit.to_le_bytes());
        }
        folder[entry + 0x40] = 2 * (name.len() as u8 + 1);
        folder[entry + 0x42] = kind;
        put(&mut folder, entry + 0x74, first);
        put(&mut folder, entry + 0x78, length);
    }
    [head, table, folder, stream].concat()
}

fn record(kind: u16, body: &[u8]) -> Vec<u8> {
    [&kind.to_le_bytes(), &(body.len() as u16).to_le_bytes(), body].concat()
}

fn bof(version: u16, kind: u16) -> Vec<u8> {
    record(0x0809, &[version.to_le_bytes(), kind.to_le_bytes()].concat())
}

fn end() -> Vec<u8> {
    record(0x000A, &[])
}

/// A text of two-byte characters with its length before it.
fn text(text: &str) -> Vec<u8> {
    let units: Vec<u16> = text.encode_utf16().collect();
    let mut bytes = (units.len() as u16).to_le_bytes().to_vec();
    bytes.push(1);
    bytes.extend(units.iter().flat_map(|unit| unit.to_le_bytes()));
    bytes
}

fn at(row: u16, column: u16, style: u16) -> Vec<u8> {
    [row, column, style].iter().flat_map(|number| number.to_le_bytes()).collect()
}

fn label(row: u16, column: u16, said: &str) -> Vec<u8> {
    record(0x0204, &[at(row, column, 0), text(said)].concat())
}

fn number(row: u16, column: u16, value: f64) -> Vec<u8> {
    record(0x0203, &[&at(row, column, 0)[..], &value.to_le_bytes()].concat())
}

/// A formula; its result as eight bytes.
fn formula(row: u16, column: u16, result: [u8; 8]) -> Vec<u8> {
    record(0x0006, &[&at(row, column, 0)[..], &result, &[0; 6]].concat())
}

/// A workbook whose first sheet is hidden and whose second one has these records.
fn workbook(sheet: &[u8]) -> Vec<u8> {
    let bound = |offset: u32, hidden: u8, name: &str| {
        let units: Vec<u8> = name.encode_utf16().flat_map(u16::to_le_bytes).collect();
        let count = (units.len() / 2) as u8;
        record(0x0085, &[&offset.to_le_bytes()[..], &[hidden, 0, count, 1], &units].concat())
    };
    let globals = |hidden: u32, shown: u32| {
        [
            bof(0x0600, 5),
            record(0x00E0, &[0; 20]),
            record(0x00E0, &[[0, 0, 14, 0].as_slice(), &[0; 16]].concat()),
            bound(hidden, 1, "草稿"),
            bound(shown, 0, "井盖"),
            end(),
        ]
        .concat()
    };
    let draft = [bof(0x0600, 0x10), label(0, 0, "无"), end()].concat();
    let hidden = globals(0, 0).len() as u32;
    let shown = hidden + draft.len() as u32;
    [globals(hidden, shown), draft, bof(0x0600, 0x10), sheet.to_vec(), end()].concat()
}

fn read(bytes: &[u8]) -> Result<(Vec<super::Row>, Findings), lidmark::domain::Refusal> {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("普查.xls");
    std::fs::write(&path, bytes).unwrap();
    read_path(&find_built_in("census-zh").unwrap(), &path, &Told::default())
}

fn header() -> Vec<u8> {
    let names = ["区划代码", "井盖类别", "道路", "经度", "纬度", "普查日期"];
    names.iter().zip(0..).flat_map(|(name, column)| label(0, column, name)).collect()
}

#[test]
fn formulas_packed_numbers_errors_and_merged_cells_of_an_old_workbook_are_read() {
    let rk_date = [at(1, 5, 1), ((45_052_u32 << 2) | 2).to_le_bytes().to_vec()].concat();
    let packed = |row: u16| {
        // 118.59 and 37.46 in hundredths, as Excel packs them.
        let rk = |hundredths: u32| ((hundredths << 2) | 3).to_le_bytes();
        let numbers = [&[0, 0][..], &rk(11_859), &[0, 0], &rk(3_746)].concat();
        record(
            0x00BD,
            &[[row, 3].iter().flat_map(|n| n.to_le_bytes()).collect(), numbers, vec![4, 0]].concat(),
        )
    };
    let said = [0, 0, 0, 0, 0, 0, 0xFF, 0xFF];
    let failed = [2, 0, 0x17, 0, 0, 0, 0xFF, 0xFF];
    let sheet = [
        header(),
        number(1, 0, 370_502.0),
        formula(1, 1, said),
        record(0x0207, &text("污水井盖")),
        label(1, 2, "黄河路"),
        packed(1),
        record(0x027E, &rk_date),
        // A chart within the sheet has records of its own.
        bof(0x0600, 0x20),
        number(9, 0, 1.0),
        end(),
        number(2, 0, 370_502.0),
        label(2, 1, "雨水井盖"),
        packed(2),
        number(3, 0, 370_502.0),
        formula(3, 1, failed),
        record(0x00E5, &[&[1, 0][..], &[1, 0, 2, 0, 2, 0, 2, 0]].concat()),
    ]
    .concat();
    let (rows, findings) = read(&container("Workbook", &workbook(&sheet))).unwrap();
    assert_eq!(story(&rows), ["2 ok", "3 ok", "4 sheet.error 井盖类别"], "{rows:?}");
    assert_eq!((findings.layer.as_deref(), findings.merged_down), (Some("井盖"), 1));
    assert_eq!(findings.other_layers, ["草稿"]);
    let survey = |at: usize| &rows[at].as_ref().unwrap().survey;
    assert_eq!(survey(0).position.surveyed_at.unwrap().to_rfc3339(), "2023-05-05T16:00:00Z");
    assert_eq!((survey(0).position.raw.x, survey(0).position.raw.y), (118.59, 37.46));
    assert_eq!((survey(0).road.as_deref(), survey(1).road.as_deref()), (Some("黄河路"), Some("黄河路")));
}

#[test]
fn a_workbook_of_excel_95_is_read_in_its_code_page() {
    let (sheet_name, ..) = encoding_rs::GB18030.encode("井盖");
    let old = |row: u16, column: u16, said: &str| {
        let (bytes, ..) = encoding_rs::GB18030.encode(said);
        record(0x0204, &[&at(row, column, 0)[..], &(bytes.len() as u16).to_le_bytes(), &bytes].concat())
    };
    let globals = |offset: u32| {
        [
            bof(0x0500, 5),
            record(0x0042, &936_u16.to_le_bytes()),
            record(
                0x0085,
                &[&offset.to_le_bytes()[..], &[0, 0, sheet_name.len() as u8], &sheet_name].concat(),
            ),
            end(),
        ]
        .concat()
    };
    let names = ["区划代码", "井盖类别", "经度", "纬度"];
    let header: Vec<u8> = names.iter().zip(0..).flat_map(|(name, column)| old(0, column, name)).collect();
    let stream = [
        globals(globals(0).len() as u32),
        bof(0x0500, 0x10),
        header,
        old(1, 0, "370502"),
        old(1, 1, "污水井盖"),
        number(1, 2, 118.59),
        number(1, 3, 37.46),
        end(),
    ]
    .concat();
    let (rows, findings) = read(&container("Book", &stream)).unwrap();
    assert_eq!(story(&rows), ["2 ok"]);
    assert_eq!(findings.layer.as_deref(), Some("井盖"));
}

#[test]
fn a_container_that_goes_round_in_circles_comes_to_an_end() {
    let good = container("Workbook", &workbook(&header()));
    assert_eq!(story(&read(&good).unwrap().0), [""; 0]);
    let sectors = good.len() / 512 - 1;
    // Each sector in turn is followed by itself, by the first, or by one that is not there.
    for sector in 0..sectors {
        for next in [sector as u32, 0, 2, 1_000_000] {
            let mut spoiled = good.clone();
            spoiled[512 + 4 * sector..512 + 4 * sector + 4].copy_from_slice(&next.to_le_bytes());
            let _ = read(&spoiled);
        }
    }
    assert_eq!(read(&container("EncryptedPackage", b"")).unwrap_err().code, "sheet.locked");
    let locked = [bof(0x0600, 5), record(0x002F, &[0; 6]), end()].concat();
    assert_eq!(read(&container("Workbook", &locked)).unwrap_err().code, "sheet.locked");
    assert_eq!(read(&container("WordDocument", b"")).unwrap_err().code, "sheet.unreadable");
    let cut_off = [bof(0x0600, 5), [0xFC, 0, 0xFF, 0xFF].to_vec()].concat();
    assert_eq!(read(&container("Workbook", &cut_off)).unwrap_err().code, "sheet.truncated");
}
