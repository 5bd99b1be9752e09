//! One declaration per section: the type, its defaults, its documentation.
//!
//! A field's doc comment is the text of `config.example.toml`, so the two cannot drift apart.

/// One key of a section, as the example shows it.
#[derive(Clone, Debug)]
pub(crate) struct Key {
    /// The key.
    pub(crate) name: &'static str,
    /// Its documentation, a line each.
    pub(crate) docs: &'static [&'static str],
    /// The default, unless there is none.
    pub(crate) default: Option<toml::Value>,
    /// What to write when there is no default.
    pub(crate) example: Option<&'static str>,
}

/// A section that can describe itself.
pub(crate) trait Section {
    /// What the section is for, a line each.
    const DOCS: &'static [&'static str];

    /// Its keys in the order of the declaration.
    fn keys() -> Vec<Key>;
}

/// The default as TOML; `None` stands for "absent".
pub(crate) fn shown(value: &impl serde::Serialize) -> Option<toml::Value> {
    toml::Value::try_from(value).ok()
}

/// Declares a section: a struct that refuses unknown keys, its `Default`, and its [`Section`].
macro_rules! section {
    (
        $(#[doc = $about:literal])*
        pub struct $section:ident {
            $(
                $(#[doc = $doc:literal])*
                pub $key:ident : $type:ty = $default:expr $(, example $example:literal)? ;
            )*
        }
    ) => {
        $(#[doc = $about])*
        #[derive(Clone, Debug, PartialEq, serde::Serialize, serde::Deserialize)]
        #[serde(default, deny_unknown_fields)]
        pub struct $section {
            $(
                $(#[doc = $doc])*
                pub $key: $type,
            )*
        }

        impl Default for $section {
            fn default() -> Self {
                Self { $( $key: $default, )* }
            }
        }

        impl $crate::section::Section for $section {
            const DOCS: &'static [&'static str] = &[$( $about, )*];

            fn keys() -> Vec<$crate::section::Key> {
                let default = Self::default();
                vec![ $(
                    $crate::section::Key {
                        name: stringify!($key),
                        docs: &[$( $doc, )*],
                        default: $crate::section::shown(&default.$key),
                        example: None $( .or(Some($example)) )?,
                    },
                )* ]
            }
        }
    };
}

pub(crate) use section;
