//! The text of a type, as the source writes it.

use proc_macro2::{Delimiter, Spacing, TokenStream, TokenTree};
use quote::ToTokens;

/// Returns the source text of a type, such as `[f32; 3]`, with spaces as rustfmt sets them.
///
/// The text has one line, because schemas are stored as one line per field.
pub(crate) fn type_name(ty: &syn::Type) -> String {
    let mut text = String::new();
    write_tokens(&mut text, ty.to_token_stream());
    text.split_whitespace().collect::<Vec<_>>().join(" ")
}

fn write_tokens(text: &mut String, tokens: TokenStream) {
    for token in tokens {
        match token {
            TokenTree::Group(group) => {
                let (open, close) = brackets(group.delimiter());
                text.push_str(open);
                write_tokens(text, group.stream());
                text.push_str(close);
            }
            TokenTree::Punct(punct) => match punct.as_char() {
                ',' | ';' => text.extend([punct.as_char(), ' ']),
                sign @ ('+' | '-' | '*' | '/' | '%') if punct.spacing() == Spacing::Alone => {
                    text.extend([' ', sign, ' ']);
                }
                char => text.push(char),
            },
            word => {
                if text.ends_with(|c: char| c.is_alphanumeric() || c == '_') {
                    text.push(' ');
                }
                text.push_str(&word.to_string());
            }
        }
    }
}

fn brackets(delimiter: Delimiter) -> (&'static str, &'static str) {
    match delimiter {
        Delimiter::Parenthesis => ("(", ")"),
        Delimiter::Brace => ("{ ", " }"),
        Delimiter::Bracket => ("[", "]"),
        // The replacement of a `macro_rules` variable.
        Delimiter::None => ("", ""),
    }
}

#[cfg(test)]
mod tests {
    use super::type_name;

    #[test]
    fn a_type_reads_as_in_the_source() {
        let cases = [
            ("u64", "u64"),
            ("[f32;3]", "[f32; 3]"),
            ("[ [ u8 ; 4 ] ; SLOTS * 2 ]", "[[u8; 4]; SLOTS * 2]"),
            ("game::Ref < Guild >", "game::Ref<Guild>"),
            ("Pair<u8,u16>", "Pair<u8, u16>"),
            ("[u8; \"two\n lines\".len()]", "[u8; \"two lines\".len()]"),
            ("[u8; limits::MAX as usize]", "[u8; limits::MAX as usize]"),
        ];
        for (source, expected) in cases {
            assert_eq!(type_name(&syn::parse_str(source).unwrap()), expected);
        }
    }
}
