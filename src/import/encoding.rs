//! Which encoding a text is in: by what its characters would be. Every reading is weighed over a
//! bounded sample, so that the finding can be shown with its evidence and its runner-up.

use std::collections::HashSet;
use std::sync::LazyLock;

use serde::{Serialize, Serializer};

use crate::domain::Refusal;
use crate::domain::names::named_enum;

named_enum! {
    /// The encodings that survey files come in.
    Encoding as "encoding" {
        Utf8 = "UTF-8",
        Utf16Le = "UTF-16LE",
        Utf16Be = "UTF-16BE",
        Gb18030 = "GB18030",
        Big5 = "Big5",
        ShiftJis = "Shift_JIS",
        Windows1252 = "windows-1252",
    }
}

/// How an encoding was found.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum FoundBy {
    /// The user said so.
    Told,
    /// The mark at the beginning of the file.
    ByteOrderMark,
    /// There are no bytes beyond ASCII, which are the same in all.
    Ascii,
    /// The characters that it gives are those that people write.
    Text,
    /// A `.cpg` file, or the language byte of the table, which the text bears out.
    Declared,
    /// Likewise declared, and wrong: the text is something else.
    TextAgainstDeclared,
}

/// An encoding with its evidence.
#[derive(Debug, Clone, Copy, PartialEq, Serialize)]
pub struct EncodingFound {
    pub encoding: Encoding,
    pub by: FoundBy,
    /// Share of the bytes beyond ASCII that give characters in common use, in percent.
    pub common_percent: u8,
    /// The next best reading, with its share.
    #[serde(serialize_with = "as_runner_up")]
    pub runner_up: Option<(Encoding, u8)>,
}

fn as_runner_up<S: Serializer>(found: &Option<(Encoding, u8)>, serializer: S) -> Result<S::Ok, S::Error> {
    found.map(|(encoding, percent)| format!("{encoding} {percent} %")).serialize(serializer)
}

impl EncodingFound {
    pub(super) fn certain(encoding: Encoding, by: FoundBy) -> Self {
        Self { encoding, by, common_percent: 100, runner_up: None }
    }
}

impl Encoding {
    /// By any of the names in use: `GBK`, `cp936`, `sjis`, `latin1`, …
    pub fn of_label(label: &str) -> Result<Self, Refusal> {
        Self::known_label(label).ok_or_else(|| {
            let known: Vec<String> = Self::ALL.iter().map(ToString::to_string).collect();
            Refusal::new("encoding.unknown")
                .at("encoding")
                .with("read", super::shown(label))
                .with("fits", known.join(", "))
        })
    }

    /// `None` = a name that no encoding of ours has.
    pub(super) fn known_label(label: &str) -> Option<Self> {
        let plain: String =
            label.chars().filter(char::is_ascii_alphanumeric).collect::<String>().to_ascii_lowercase();
        let bare = ["ansi", "cp", "oem", "ms", "windows"]
            .iter()
            .find_map(|prefix| plain.strip_prefix(prefix).filter(|rest| !rest.is_empty()))
            .unwrap_or(&plain);
        Some(match bare {
            "utf8" | "utf8bom" | "65001" => Self::Utf8,
            "utf16" | "utf16le" | "1200" | "unicode" => Self::Utf16Le,
            "utf16be" | "1201" => Self::Utf16Be,
            "gb18030" | "gbk" | "gb2312" | "936" | "54936" | "euccn" | "chinesesimplified" => Self::Gb18030,
            "big5" | "big5hkscs" | "950" => Self::Big5,
            "shiftjis" | "sjis" | "932" | "31j" => Self::ShiftJis,
            "1252" | "latin1" | "iso88591" | "88591" | "iso885915" | "885915" => Self::Windows1252,
            _ => return None,
        })
    }

    /// By the language-driver byte of a dBASE table; `None` where the byte says nothing reliable.
    /// 0x57 is "the code page of the machine", whatever that was.
    pub(super) fn of_language_driver(byte: u8) -> Option<Self> {
        Some(match byte {
            0x4D | 0x7A => Self::Gb18030,
            0x4F | 0x78 => Self::Big5,
            0x13 | 0x7B => Self::ShiftJis,
            0x03 | 0x58 | 0x59 => Self::Windows1252,
            _ => return None,
        })
    }

    /// `None` for Windows-1252, which is read by [`windows_1252`].
    pub(super) fn decoder(self) -> Option<encoding_rs::Decoder> {
        let encoding = match self {
            Self::Utf8 => encoding_rs::UTF_8,
            Self::Utf16Le => encoding_rs::UTF_16LE,
            Self::Utf16Be => encoding_rs::UTF_16BE,
            Self::Gb18030 => encoding_rs::GB18030,
            Self::Big5 => encoding_rs::BIG5,
            Self::ShiftJis => encoding_rs::SHIFT_JIS,
            Self::Windows1252 => return None,
        };
        Some(encoding.new_decoder_without_bom_handling())
    }

    /// The text of a whole value; `None` when the bytes are none in this encoding.
    pub(super) fn decode(self, bytes: &[u8]) -> Option<String> {
        let Some(mut decoder) = self.decoder() else {
            return bytes.iter().map(|byte| windows_1252(*byte)).collect();
        };
        let mut text =
            String::with_capacity(decoder.max_utf8_buffer_length_without_replacement(bytes.len())?);
        let (result, _) = decoder.decode_to_string_without_replacement(bytes, &mut text, true);
        matches!(result, encoding_rs::DecoderResult::InputEmpty).then_some(text)
    }
}

/// The character of a byte; `None` for the five that have none.
pub(super) fn windows_1252(byte: u8) -> Option<char> {
    const HIGH: [char; 32] = [
        '€', '\0', '‚', 'ƒ', '„', '…', '†', '‡', 'ˆ', '‰', 'Š', '‹', 'Œ', '\0', 'Ž', '\0', '\0', '‘', '’',
        '“', '”', '•', '–', '—', '˜', '™', 'š', '›', 'œ', '\0', 'ž', 'Ÿ',
    ];
    match byte {
        0x80..=0x9F => Some(HIGH[usize::from(byte - 0x80)]).filter(|character| *character != '\0'),
        _ => Some(char::from(byte)),
    }
}

/// Weighs every reading of a sample. `whole` = the sample ends where the text ends, and not in the
/// middle of a character.
pub(super) fn detect(sample: &[u8], whole: bool) -> EncodingFound {
    if sample.is_ascii() {
        return EncodingFound::certain(Encoding::Utf8, FoundBy::Ascii);
    }
    let mut weighed: Vec<(Encoding, f64)> =
        [Encoding::Utf8, Encoding::Gb18030, Encoding::Big5, Encoding::ShiftJis, Encoding::Windows1252]
            .into_iter()
            .map(|encoding| (encoding, weigh(sample, encoding, whole)))
            .collect();
    // Stable: of equals the one that is more usual stays in front.
    weighed.sort_by(|(_, left), (_, right)| right.total_cmp(left));
    let percent = |weight: f64| (weight.clamp(0.0, 1.0) * 100.0).round() as u8;
    EncodingFound {
        encoding: weighed[0].0,
        by: FoundBy::Text,
        common_percent: percent(weighed[0].1),
        runner_up: weighed
            .get(1)
            .filter(|(_, weight)| *weight > 0.0)
            .map(|(name, weight)| (*name, percent(*weight))),
    }
}

/// Checks what a file declares against its text. A declaration is only set aside when another
/// reading is plainly the better one.
pub(super) fn check_declared(declared: Encoding, sample: &[u8], whole: bool) -> EncodingFound {
    let kept = EncodingFound::certain(declared, FoundBy::Declared);
    if sample.is_ascii() {
        return kept;
    }
    let found = detect(sample, whole);
    let beyond_ascii = sample.iter().filter(|byte| !byte.is_ascii()).count();
    let as_declared = weigh(sample, declared, whole);
    let as_found = weigh(sample, found.encoding, whole);
    if found.encoding != declared && beyond_ascii >= 8 && as_found - as_declared > 0.4 {
        return EncodingFound { by: FoundBy::TextAgainstDeclared, ..found };
    }
    EncodingFound { common_percent: (as_declared.clamp(0.0, 1.0) * 100.0).round() as u8, ..kept }
}

/// How well the bytes beyond ASCII read in an encoding: 1 = all give characters in common use,
/// below 0 = most give none at all.
fn weigh(sample: &[u8], encoding: Encoding, whole: bool) -> f64 {
    let mut bytes = 0.0;
    let mut weight = 0.0;
    let mut at = 0;
    while at < sample.len() {
        if sample[at].is_ascii() {
            at += 1;
            continue;
        }
        let (len, worth) = match encoding {
            Encoding::Windows1252 => weigh_latin(sample, at),
            Encoding::Utf8 => weigh_utf8(&sample[at..]),
            _ => weigh_double_byte(&sample[at..], encoding),
        };
        // The last character may be cut by the edge of the sample.
        if worth < 0.0 && !whole && sample.len() - at < 4 {
            break;
        }
        bytes += len as f64;
        weight += worth * len as f64;
        at += len;
    }
    if bytes == 0.0 { 0.0 } else { weight / bytes }
}

/// Length and worth of the character at the front.
fn weigh_utf8(rest: &[u8]) -> (usize, f64) {
    let len = match rest[0] {
        0xC2..=0xDF => 2,
        0xE0..=0xEF => 3,
        0xF0..=0xF4 => 4,
        _ => return (1, -1.0),
    };
    let Some(text) = rest.get(..len).and_then(|bytes| std::str::from_utf8(bytes).ok()) else {
        return (1, -1.0);
    };
    // That bytes of another encoding form such a group by chance is rare, and rarer the longer it is.
    let worth = match text.chars().next().map_or(0, u32::from) {
        0xA0..=0x17F => 1.1,
        0x180..=0x7FF => 0.5,
        _ => 1.2,
    };
    (len, worth)
}

fn weigh_double_byte(rest: &[u8], encoding: Encoding) -> (usize, f64) {
    let lead = rest[0];
    if encoding == Encoding::ShiftJis && (0xA1..=0xDF).contains(&lead) {
        return (1, 0.15); // half-width kana: every pair of GBK bytes reads as two
    }
    let trail = rest.get(1).copied().unwrap_or_default();
    let four = encoding == Encoding::Gb18030 && trail.is_ascii_digit() && rest.len() >= 4;
    let len = if four { 4 } else { 2.min(rest.len()) };
    let Some(text) = encoding.decode(&rest[..len]) else { return (1, -1.0) };
    let mut characters = text.chars();
    let (Some(character), None) = (characters.next(), characters.next()) else { return (1, -1.0) };
    if COMMON.contains(&character) {
        return (len, 1.0);
    }
    let frequent_zone = match encoding {
        Encoding::Gb18030 => (0xB0..=0xD7).contains(&lead) && trail >= 0xA1,
        Encoding::Big5 => (0xA4..=0xC6).contains(&lead),
        _ => (0x88..=0x97).contains(&lead),
    };
    let worth = match character {
        '\u{3040}'..='\u{30FF}' if encoding == Encoding::ShiftJis => 1.0,
        '\u{FF01}'..='\u{FF5E}' => 0.8,
        '\u{E000}'..='\u{F8FF}' => -0.5,
        _ if frequent_zone => 0.5,
        '\u{4E00}'..='\u{9FFF}' => 0.1,
        _ => 0.0,
    };
    (len, worth)
}

/// A single letter with a mark stands among plain letters; a run of such bytes is another encoding.
fn weigh_latin(sample: &[u8], at: usize) -> (usize, f64) {
    let Some(character) = windows_1252(sample[at]) else { return (1, -1.0) };
    let before = at.checked_sub(1).map(|at| sample[at]);
    let after = sample.get(at + 1).copied();
    // Quotation marks stand beside letters with marks as beside any others.
    let is_quote = |byte: u8| matches!(byte, 0x91..=0x94 | 0xAB | 0xBB);
    let alone = |byte: Option<u8>| byte.is_none_or(|byte| byte.is_ascii() || is_quote(byte));
    let lettered = |byte: Option<u8>| byte.is_some_and(|byte| byte.is_ascii_alphabetic());
    let worth = if character.is_alphabetic() {
        match (alone(before), alone(after)) {
            (true, true) if lettered(before) || lettered(after) => 0.9,
            (true, true) => 0.4,
            (true, false) | (false, true) if lettered(before) || lettered(after) => 0.4,
            _ => 0.0,
        }
    } else if alone(before) && alone(after) || is_quote(sample[at]) && (lettered(before) || lettered(after)) {
        0.7
    } else {
        0.0
    };
    (1, worth)
}

/// What is written most: in general, and in surveys of covers. Simplified, traditional, and signs.
static COMMON: LazyLock<HashSet<char>> = LazyLock::new(|| {
    const SIMPLIFIED: &str = "的一是不了在人有我他这个们中来上大为和国地到以说时要就出会可也你对生能而子那得于着下自之年过发后作里用道行所然家种事成方多经么去法学如都同现当没动面起看定天分还进好小部其些主样理心她本前开但因只从想实日军者意无力它与长把机十民第公此已工使情明性知全三又关点正业外将两高间由问很最重并物手应战向头文体政美相见被利什二等产或新己制身果加西斯月话合回特代内信表化老给世位次度门任常先海通教儿原东声提立及比员解水名真论处走义各入几口认条平系气题活尔更别打女变四神总何电数安少报才结反受目太量再感建务做接必场件计管期市直德资命山金指克许统区保至队形社便空决治展马科司五基眼书非则听白却界达光放强即像难且权思王象完设式色路记南品住告类求据程北边死张该交规万取拉格望觉术领共确传师观清今切院让识候带导争运笔六七八九零百千";
    const SURVEY: &str = "井盖雨污水检查号编码经纬度类别权属单位养护管材质铸铁球墨复合圆方形承载等级状态完好破损缺失道路街巷社区机动车道人行绿化带普查日期时间备注坐标位置地址燃供热力电信通讯弱箅篦子阀消防栓照片图深直径长宽高程城垦津广饶河县镇乡村主管责任联系移视警灯给排蒸汽尺寸规格型厂家安装份填写审核调员标识混凝土树脂球钢塑料矩异未知损坏丢失沉降翘响动轻重型沟渠泵站闸线缆箱桩杆桥涵隧辅侧分隔停园商住宅小学校医院楼号院东南西北中左右段起止至与交叉口处旁边附近黄青济淄";
    const TRADITIONAL: &str = "這個們來為國說時會對於後裡裏過發開經現當沒動還進樣從實軍無與長機將兩間問點業關戰頭體見產話內門給變總電數報結務場計資統區隊決馬書則聽達強難權設記類據邊張該規萬覺術領確傳師觀讓識帶導爭運筆蓋號編碼緯屬單養護鑄鐵圓載級狀態損車綠備註標圖徑寬東縣鎮鄉責聯繫燈廠裝寫審調廣視溝維孔線座雄臺台灣桃園瓦斯稱別鋼樹異壞丟輕樓學校醫側隔離閘纜橋誌種質縱橫斷圍牆巷弄鄰里段";
    const JAPANESE: &str = "経緯号種別蓋汚円図径県区町村丁目番地設置管理者状態備考調査鉄鋳材歩道車線国府駅橋";
    const SIGNS: &str = "，。、；：！？（）【】《》“”‘’—…·　「」『』～〜・ー％℃㎡";
    [SIMPLIFIED, SURVEY, TRADITIONAL, JAPANESE, SIGNS].iter().flat_map(|text| text.chars()).collect()
});

#[cfg(test)]
#[path = "encoding_tests.rs"]
mod tests;
