//! 隐患: what can be wrong with a cover and how urgent it is (domain.md §3).

use super::names::named_enum;

named_enum! {
    /// Category of what is wrong.
    Hazard as "hazard" {
        /// 缺失: the cover is gone, the hole is open.
        Missing = "missing",
        /// 移位
        Displaced = "displaced",
        /// 井周塌陷
        Collapsed = "collapsed",
        /// 疑似燃气
        Gas = "gas",
        /// 破损
        Broken = "broken",
        /// 松动异响
        Rocking = "rocking",
        /// 沉降或凸起
        Level = "level",
        /// 冒溢
        Overflow = "overflow",
        /// 积水
        Ponding = "ponding",
        /// 异味
        Odour = "odour",
        /// 无防坠网
        NoNet = "no_net",
        /// 井盖混用
        WrongCover = "wrong_cover",
        /// 箅子堵塞
        Blocked = "blocked",
        /// 违规线缆
        Cable = "cable",
        /// 铭牌损坏、被覆盖或伪码
        Plate = "plate",
        /// 铭牌被覆盖: another code is pasted over it, perhaps one that asks for money.
        PlatePastedOver = "plate_pasted_over",
        /// 铭牌移位: it is met far from its cover.
        PlateOutOfPlace = "plate_out_of_place",
        /// 废弃井
        Abandoned = "abandoned",
        Other = "other",
    }
}

impl Hazard {
    /// 特急: the form shows the emergency number first, and the report is filed at once.
    pub const fn is_emergency(self) -> bool {
        matches!(self, Hazard::Missing | Hazard::Displaced | Hazard::Collapsed | Hazard::Gas)
    }
}
