use crate::domain::Refusal;
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Language {
    Zh,
    En,
}
impl Language {
    pub const ALL: [Language; 2] = [Language::Zh, Language::En];
    pub fn tag(self) -> &'static str {
        "en"
    }
    pub fn from_header(_: Option<&str>, _: Option<&str>) -> Self {
        Language::Zh
    }
}
#[derive(Debug)]
pub struct Catalogue;
impl Catalogue {
    pub fn of(_: Language) -> &'static Catalogue {
        &Catalogue
    }
    pub fn refusal(&self, r: &Refusal) -> String {
        r.to_string()
    }
}
