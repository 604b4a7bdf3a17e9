//! One macro for the closed lists of the domain: an enum whose variants have one stored word each.

/// Defines a field-less enum with its stored word per variant, `ALL`, `as_str`, `Display`, and a
/// `FromStr` that refuses unknown words with a list of those that fit.
macro_rules! named_enum {
    (
        $(#[$meta:meta])*
        $name:ident as $code:literal { $( $(#[$vmeta:meta])* $variant:ident = $word:literal ),+ $(,)? }
    ) => {
        $(#[$meta])*
        #[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord, serde::Serialize, serde::Deserialize)]
        #[repr(u8)]
        pub enum $name { $( $(#[$vmeta])* #[serde(rename = $word)] $variant, )+ }

        impl $name {
            /// Every variant, in the order of its stored number.
            pub const ALL: &'static [$name] = &[ $( $name::$variant, )+ ];

            /// Every stored word, in the same order.
            #[allow(dead_code, reason = "not every list is offered as words")]
            pub const WORDS: &'static [&'static str] = &[ $( $word, )+ ];

            /// The stored word.
            pub const fn as_str(self) -> &'static str {
                match self { $( $name::$variant => $word, )+ }
            }

            /// The variant at this index of [`Self::ALL`]; `None` beyond it.
            pub fn from_index(index: u8) -> Option<Self> {
                Self::ALL.get(usize::from(index)).copied()
            }
        }

        impl std::fmt::Display for $name {
            fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
                f.write_str(self.as_str())
            }
        }

        impl std::str::FromStr for $name {
            type Err = $crate::domain::Refusal;
            fn from_str(text: &str) -> Result<Self, Self::Err> {
                match text {
                    $( $word => Ok($name::$variant), )+
                    _ => Err($crate::domain::Refusal::new(concat!($code, ".unknown"))
                        .at($code)
                        .with("read", text.chars().take(60).collect::<String>())
                        .with("fits", [$( $word, )+].join(", "))),
                }
            }
        }
    };
}
pub(crate) use named_enum;
