//! Sewer points of sixteen Vermont towns, as published (assets/demo/vermont-manholes/SOURCE.md).

use std::io::Read;

use super::party;
use crate::domain::cover::{District, Party};

/// One file as the town published it, compressed.
#[derive(Debug, Clone, Copy)]
pub struct VermontFile {
    pub file_name: &'static str,
    pub town: &'static str,
    pub town_zh: &'static str,
    /// `001` to `016`.
    pub district: &'static str,
    compressed: &'static [u8],
}

impl VermontFile {
    /// The file's bytes, unpacked while they are read.
    pub fn reader(&self) -> impl Read + use<> {
        brotli_decompressor::Decompressor::new(self.compressed, 64 * 1024)
    }

    /// All of the file's bytes, exactly as upstream.
    pub fn bytes(&self) -> Vec<u8> {
        let mut bytes = Vec::new();
        self.reader().read_to_end(&mut bytes).expect("a test unpacks every file");
        bytes
    }
}

macro_rules! files {
    ($( $file:literal $district:literal $town:literal $zh:literal ),+ $(,)?) => {
        const FILES: &[VermontFile] = &[ $( VermontFile {
            file_name: concat!($file, "PointFeatures.geojson"),
            town: $town,
            town_zh: $zh,
            district: $district,
            compressed: include_bytes!(concat!(
                "../../assets/demo/vermont-manholes/points/", $file, "PointFeatures.geojson.br"
            )),
        }, )+ ];
    };
}

files! {
    "Barre" "001" "Barre" "巴里",
    "Bennington" "002" "Bennington" "本宁顿",
    "Brattleboro" "003" "Brattleboro" "布拉特尔伯勒",
    "Colchester" "004" "Colchester" "科尔切斯特",
    "Enosburg" "005" "Enosburg" "伊诺斯堡",
    "Killington" "006" "Killington" "基灵顿",
    "Middlebury" "007" "Middlebury" "米德尔伯里",
    "Montpelier" "008" "Montpelier" "蒙彼利埃",
    "Northfield" "009" "Northfield" "诺斯菲尔德",
    "Rockingham" "010" "Rockingham" "罗金厄姆",
    "RutlandCity" "011" "Rutland City" "拉特兰市",
    "RutlandTown" "012" "Rutland Town" "拉特兰镇",
    "StJohnsbury" "013" "St. Johnsbury" "圣约翰斯伯里",
    "Stowe" "014" "Stowe" "斯托",
    "Vergennes" "015" "Vergennes" "弗金斯",
    "Wilmington" "016" "Wilmington" "威尔明顿",
}

/// The sixteen files, in the order of their towns' names.
pub fn vermont_files() -> impl Iterator<Item = VermontFile> {
    FILES.iter().copied()
}

/// The towns as districts of the scheme `town-11`.
pub fn vermont_districts() -> Vec<District> {
    FILES
        .iter()
        .map(|file| District {
            code: file.district.to_owned(),
            name_zh: file.town_zh.to_owned(),
            name_en: file.town.to_owned(),
        })
        .collect()
}

/// Those who answer for the towns' sewers, made up, with telephone numbers reserved for fiction.
/// Their names are those that the profile `vermont-manholes` gives as owners.
pub fn parties() -> Vec<Party> {
    FILES
        .iter()
        .zip(1..)
        .map(|(file, number)| {
            party(number, format!("{} Public Works (demo)", file.town), &format!("802-555-01{number:02}"))
        })
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_files_unpack_to_the_sizes_in_their_list() {
        let list = include_str!("../../assets/demo/vermont-manholes/FILES.csv");
        let mut total = 0;
        for (file, line) in vermont_files().zip(list.lines().skip(1)) {
            let mut cells = line.split(',');
            assert_eq!(cells.next(), Some(file.file_name));
            let size = file.bytes().len();
            assert_eq!(cells.nth(1), Some(size.to_string().as_str()), "{}", file.file_name);
            total += size;
        }
        assert_eq!(total, 5_520_320);
    }
}
