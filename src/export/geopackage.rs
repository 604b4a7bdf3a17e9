//! GeoPackage 1.3 (OGC 12-128r18): one layer of points with its spatial index, as any program that reads
//! SQLite finds it. Points are written east first, as the standard asks whatever the system's axes are.

use std::fs::File;
use std::path::{Path, PathBuf};

use super::layer::{Kind, Layer, Row, Value};
use super::moment;
use super::pages::{Numbers, Pages, Record, Tree};
use super::rtree::Points;
use super::{ExportError, Frame, Sink, Written};
use crate::crs::Wkt;
use crate::domain::Refusal;
use crate::domain::position::SystemCode;

/// `GPKG`, and version 1.3.0.
const NUMBERS: Numbers = Numbers { application_id: 0x4750_4b47, user_version: 10_300 };

/// A reference system as its row says it.
struct System {
    id: i64,
    name: String,
    organization: &'static str,
    code: i64,
    definition: String,
    description: String,
}

pub(super) struct GeoPackageSink {
    pages: Pages<File>,
    features: Tree,
    points: Points,
    record: Record,
    layer: Layer,
    system: System,
    scratch: PathBuf,
    /// Header of a geometry: little endian, without an envelope; then the start of its well-known binary.
    geometry: [u8; 29],
    bounds: Option<[f64; 4]>,
    written: Written,
}

impl GeoPackageSink {
    pub(super) fn begin(layer: Layer, frame: &Frame, out: File, scratch: &Path) -> Result<Self, ExportError> {
        let system = system_of(frame)?;
        let mut geometry = [0; 29];
        geometry[..4].copy_from_slice(b"GP\0\x01");
        geometry[4..8].copy_from_slice(&(system.id as i32).to_le_bytes());
        geometry[8..13].copy_from_slice(&[1, 1, 0, 0, 0]);
        Ok(Self {
            pages: Pages::begin(out)?,
            features: Tree::new(),
            points: Points::new(scratch),
            record: Record::default(),
            layer,
            system,
            scratch: scratch.to_owned(),
            geometry,
            bounds: None,
            written: Written::default(),
        })
    }
}

fn system_of(frame: &Frame) -> Result<System, Refusal> {
    let crs = frame.crs();
    let definition = crs
        .wkt(Wkt::Ogc)
        .ok_or_else(|| Refusal::new("export.system_unwritable").at("crs").with("read", crs.to_string()))?;
    let (organization, code) = match (frame.epsg(), crs.code()) {
        (Some(code), _) => ("EPSG", code),
        // Ours begin above all of EPSG's.
        (None, Some(code)) => ("LIDMARK", code),
        (None, None) => ("NONE", 999_999),
    };
    Ok(System {
        id: i64::from(code),
        name: crs.name().to_owned(),
        organization,
        code: i64::from(code),
        definition,
        description: crs.code().map_or_else(String::new, |code| SystemCode(code).to_string()),
    })
}

impl Sink for GeoPackageSink {
    fn row(&mut self, row: &Row<'_>) -> Result<(), ExportError> {
        self.written.rows += 1;
        let id = self.written.rows as i64;
        let record = self.record.null();
        match row.place {
            None => {
                self.written.without_place += 1;
                record.null();
            }
            Some((x, y)) => {
                self.geometry[13..21].copy_from_slice(&x.to_le_bytes());
                self.geometry[21..].copy_from_slice(&y.to_le_bytes());
                record.bytes(&self.geometry);
                self.points.push(id, x, y)?;
                let [west, south, east, north] = self.bounds.unwrap_or([x, y, x, y]);
                self.bounds = Some([west.min(x), south.min(y), east.max(x), north.max(y)]);
            }
        }
        for value in row.values {
            match value {
                Value::Null => record.null(),
                Value::Text(text) | Value::Json(text) => record.text(text),
                Value::Whole(number) => record.int(*number),
                Value::Real(number) => record.real(*number),
                Value::Yes(yes) => record.int(i64::from(*yes)),
                Value::Time(at) => match moment::utc(*at) {
                    Some(text) => record.text(&text),
                    None => record.null(),
                },
            };
        }
        self.features.push(&mut self.pages, id, record.take())?;
        Ok(())
    }

    fn finish(mut self: Box<Self>) -> Result<Written, ExportError> {
        let features = std::mem::replace(&mut self.features, Tree::new()).finish(&mut self.pages)?;
        let points = std::mem::replace(&mut self.points, Points::new(&self.scratch));
        let index = points.finish(&mut self.pages, &self.scratch)?;
        let mut schema = Schema { entries: Tree::of_schema(), count: 0, record: Record::default() };
        self.write_catalogue(&mut schema)?;

        let name = self.layer.name;
        let pages = &mut self.pages;
        schema.table(pages, name, features, &features_table(&self.layer))?;
        let mut sequence = Tree::new();
        sequence.push(pages, 1, self.record.text(name).int(self.written.rows as i64).take())?;
        let sequence = sequence.finish(pages)?;
        schema.table(pages, "sqlite_sequence", sequence, "CREATE TABLE sqlite_sequence(name,seq)")?;
        let rtree = format!("rtree_{name}_geom");
        let create = format!("CREATE VIRTUAL TABLE \"{rtree}\" USING rtree(id, minx, maxx, miny, maxy)");
        schema.table(pages, &rtree, 0, &create)?;
        for (part, columns, root) in [
            ("rowid", "rowid INTEGER PRIMARY KEY,nodeno", index.rowid),
            ("node", "nodeno INTEGER PRIMARY KEY,data", index.node),
            ("parent", "nodeno INTEGER PRIMARY KEY,parentnode", index.parent),
        ] {
            let table = format!("{rtree}_{part}");
            schema.table(pages, &table, root, &format!("CREATE TABLE \"{table}\"({columns})"))?;
        }
        for (event, condition, action) in TRIGGERS {
            let trigger = format!("{rtree}_{event}");
            let sql = format!("CREATE TRIGGER \"{trigger}\" {condition} BEGIN {action} END");
            let sql = sql.replace("<insert>", INSERT).replace("<rtree>", &rtree).replace("<t>", name);
            schema.entry(pages, "trigger", (&trigger, name), 0, Some(&sql))?;
        }
        self.pages.finish(schema.entries, NUMBERS)?;
        Ok(self.written)
    }
}

impl GeoPackageSink {
    /// The tables that tell what is in the file.
    fn write_catalogue(&mut self, schema: &mut Schema) -> Result<(), ExportError> {
        let (pages, record) = (&mut self.pages, &mut self.record);
        let undefined = |id, name: &str, description: &str| System {
            id,
            name: name.into(),
            organization: "NONE",
            code: id,
            definition: "undefined".into(),
            description: description.into(),
        };
        let mut systems = vec![
            undefined(-1, "Undefined Cartesian SRS", "undefined Cartesian coordinate reference system"),
            undefined(0, "Undefined geographic SRS", "undefined geographic coordinate reference system"),
            System {
                id: 4326,
                name: "WGS 84 geodetic".into(),
                organization: "EPSG",
                code: 4326,
                definition: WGS_84.into(),
                description: "longitude/latitude coordinates in decimal degrees on the WGS 84 spheroid"
                    .into(),
            },
        ];
        if self.system.id != 4326 {
            let System { id, name, organization, code, definition, description } = &self.system;
            systems.push(System {
                id: *id,
                name: name.clone(),
                organization,
                code: *code,
                definition: definition.clone(),
                description: description.clone(),
            });
        }
        systems.sort_by_key(|system| system.id);
        let mut table = Tree::new();
        for system in &systems {
            // The id is the key of the table, so its column is empty.
            let row = record
                .text(&system.name)
                .null()
                .text(system.organization)
                .int(system.code)
                .text(&system.definition)
                .text(&system.description);
            table.push(pages, system.id, row.take())?;
        }
        let root = table.finish(pages)?;
        schema.table(pages, "gpkg_spatial_ref_sys", root, SPATIAL_REF_SYS)?;

        let (name, title, id) = (self.layer.name, &self.layer.title, self.system.id);
        let row = record.text(name).text("features").text(name).text(title);
        row.text(&moment::utc(self.layer.made_at).unwrap_or_else(|| "1970-01-01T00:00:00.000Z".into()));
        match self.bounds {
            Some([west, south, east, north]) => row.real(west).real(south).real(east).real(north),
            None => row.null().null().null().null(),
        };
        row.int(id);
        schema.one_row(pages, ("gpkg_contents", CONTENTS), record, &[&[name], &[name]])?;

        record.text(name).text("geom").text("POINT").int(id).int(0).int(0);
        schema.one_row(
            pages,
            ("gpkg_geometry_columns", GEOMETRY_COLUMNS),
            record,
            &[&[name, "geom"], &[name]],
        )?;

        let extension = "gpkg_rtree_index";
        record.text(name).text("geom").text(extension);
        record.text("http://www.geopackage.org/spec120/#extension_rtree").text("write-only");
        schema.one_row(pages, ("gpkg_extensions", EXTENSIONS), record, &[&[name, "geom", extension]])?;
        Ok(())
    }
}

/// `sqlite_schema` on its way out.
struct Schema {
    entries: Tree,
    count: i64,
    record: Record,
}

impl Schema {
    fn entry(
        &mut self,
        pages: &mut Pages<File>,
        kind: &str,
        (name, table): (&str, &str),
        root: u32,
        sql: Option<&str>,
    ) -> Result<(), ExportError> {
        self.count += 1;
        let row = self.record.text(kind).text(name).text(table).int(i64::from(root));
        match sql {
            Some(sql) => row.text(sql),
            None => row.null(),
        };
        Ok(self.entries.push(pages, self.count, row.take())?)
    }

    fn table(
        &mut self,
        pages: &mut Pages<File>,
        name: &str,
        root: u32,
        sql: &str,
    ) -> Result<(), ExportError> {
        self.entry(pages, "table", (name, name), root, Some(sql))
    }

    /// A table with the row that `record` holds, and an index for each of its constraints.
    fn one_row(
        &mut self,
        pages: &mut Pages<File>,
        (name, sql): (&str, &str),
        record: &mut Record,
        unique: &[&[&str]],
    ) -> Result<(), ExportError> {
        let mut table = Tree::new();
        table.push(pages, 1, record.take())?;
        let root = table.finish(pages)?;
        self.table(pages, name, root, sql)?;
        for (at, key) in unique.iter().enumerate() {
            for word in *key {
                record.text(word);
            }
            let root = pages.index(&[record.int(1).take().to_vec()])?;
            let index = format!("sqlite_autoindex_{name}_{}", at + 1);
            self.entry(pages, "index", (&index, name), root, None)?;
        }
        Ok(())
    }
}

fn features_table(layer: &Layer) -> String {
    let mut sql = format!(
        "CREATE TABLE \"{}\" (\"fid\" INTEGER PRIMARY KEY AUTOINCREMENT NOT NULL, \"geom\" POINT",
        layer.name
    );
    for column in &layer.columns {
        let kind = match column.kind {
            Kind::Text | Kind::Json => "TEXT",
            Kind::Whole => "INTEGER",
            Kind::Real => "REAL",
            Kind::Yes => "BOOLEAN",
            Kind::Time => "DATETIME",
        };
        sql.push_str(&format!(", \"{}\" {kind}", column.name));
    }
    sql + ")"
}

const SPATIAL_REF_SYS: &str = "CREATE TABLE gpkg_spatial_ref_sys (srs_name TEXT NOT NULL, \
    srs_id INTEGER NOT NULL PRIMARY KEY, organization TEXT NOT NULL, organization_coordsys_id INTEGER NOT NULL, \
    definition TEXT NOT NULL, description TEXT)";
const CONTENTS: &str = "CREATE TABLE gpkg_contents (table_name TEXT NOT NULL PRIMARY KEY, data_type TEXT NOT NULL, \
    identifier TEXT UNIQUE, description TEXT DEFAULT '', \
    last_change DATETIME NOT NULL DEFAULT (strftime('%Y-%m-%dT%H:%M:%fZ','now')), \
    min_x DOUBLE, min_y DOUBLE, max_x DOUBLE, max_y DOUBLE, srs_id INTEGER, \
    CONSTRAINT fk_gc_r_srs_id FOREIGN KEY (srs_id) REFERENCES gpkg_spatial_ref_sys(srs_id))";
const GEOMETRY_COLUMNS: &str = "CREATE TABLE gpkg_geometry_columns (table_name TEXT NOT NULL, \
    column_name TEXT NOT NULL, geometry_type_name TEXT NOT NULL, srs_id INTEGER NOT NULL, z TINYINT NOT NULL, \
    m TINYINT NOT NULL, CONSTRAINT pk_geom_cols PRIMARY KEY (table_name, column_name), \
    CONSTRAINT uk_gc_table_name UNIQUE (table_name), \
    CONSTRAINT fk_gc_tn FOREIGN KEY (table_name) REFERENCES gpkg_contents(table_name), \
    CONSTRAINT fk_gc_srs FOREIGN KEY (srs_id) REFERENCES gpkg_spatial_ref_sys (srs_id))";
const EXTENSIONS: &str = "CREATE TABLE gpkg_extensions (table_name TEXT, column_name TEXT, \
    extension_name TEXT NOT NULL, definition TEXT NOT NULL, scope TEXT NOT NULL, \
    CONSTRAINT ge_tce UNIQUE (table_name, column_name, extension_name))";
const WGS_84: &str = "GEOGCS[\"WGS 84\",DATUM[\"WGS_1984\",SPHEROID[\"WGS 84\",6378137,298.257223563,\
    AUTHORITY[\"EPSG\",\"7030\"]],AUTHORITY[\"EPSG\",\"6326\"]],PRIMEM[\"Greenwich\",0,AUTHORITY[\"EPSG\",\"8901\"]],\
    UNIT[\"degree\",0.0174532925199433,AUTHORITY[\"EPSG\",\"9122\"]],AUTHORITY[\"EPSG\",\"4326\"]]";

const INSERT: &str = "INSERT OR REPLACE INTO \"<rtree>\" VALUES (NEW.\"fid\",ST_MinX(NEW.\"geom\"), \
    ST_MaxX(NEW.\"geom\"),ST_MinY(NEW.\"geom\"), ST_MaxY(NEW.\"geom\"));";
/// What keeps the index in step when somebody edits the layer: annex F.3 of the standard.
const TRIGGERS: &[(&str, &str, &str)] = &[
    (
        "insert",
        "AFTER INSERT ON \"<t>\" WHEN (new.\"geom\" NOT NULL AND NOT ST_IsEmpty(NEW.\"geom\"))",
        "<insert>",
    ),
    (
        "update1",
        "AFTER UPDATE OF \"geom\" ON \"<t>\" WHEN OLD.\"fid\" = NEW.\"fid\" AND (NEW.\"geom\" NOTNULL AND \
         NOT ST_IsEmpty(NEW.\"geom\"))",
        "<insert>",
    ),
    (
        "update2",
        "AFTER UPDATE OF \"geom\" ON \"<t>\" WHEN OLD.\"fid\" = NEW.\"fid\" AND (NEW.\"geom\" ISNULL OR \
         ST_IsEmpty(NEW.\"geom\"))",
        "DELETE FROM \"<rtree>\" WHERE id = OLD.\"fid\";",
    ),
    (
        "update3",
        "AFTER UPDATE ON \"<t>\" WHEN OLD.\"fid\" != NEW.\"fid\" AND (NEW.\"geom\" NOTNULL AND \
         NOT ST_IsEmpty(NEW.\"geom\"))",
        "DELETE FROM \"<rtree>\" WHERE id = OLD.\"fid\"; <insert>",
    ),
    (
        "update4",
        "AFTER UPDATE ON \"<t>\" WHEN OLD.\"fid\" != NEW.\"fid\" AND (NEW.\"geom\" ISNULL OR \
         ST_IsEmpty(NEW.\"geom\"))",
        "DELETE FROM \"<rtree>\" WHERE id IN (OLD.\"fid\", NEW.\"fid\");",
    ),
    (
        "delete",
        "AFTER DELETE ON \"<t>\" WHEN old.\"geom\" NOT NULL",
        "DELETE FROM \"<rtree>\" WHERE id = OLD.\"fid\";",
    ),
];
