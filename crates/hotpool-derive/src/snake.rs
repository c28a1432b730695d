//! The default name of a type: the name of its struct in snake case.

/// Converts to snake case: `HttpSession` and `HTTPSession` to `http_session`, `PlayerV2` to
/// `player_v2`.
pub(crate) fn snake_case(name: &str) -> String {
    let chars: Vec<char> = name.chars().collect();
    let mut snake = String::new();
    for (at, &char) in chars.iter().enumerate() {
        if char.is_uppercase() && at > 0 && starts_word(chars[at - 1], chars.get(at + 1)) {
            snake.push('_');
        }
        snake.extend(char.to_lowercase());
    }
    snake
}

/// Returns whether an upper-case letter between these two begins a word.
///
/// It does after a lower-case letter or a digit, and as the last of several upper-case letters.
fn starts_word(before: char, after: Option<&char>) -> bool {
    before.is_lowercase()
        || before.is_numeric()
        || before.is_uppercase() && after.is_some_and(|c| c.is_lowercase())
}

#[cfg(test)]
mod tests {
    use super::snake_case;

    #[test]
    fn words_are_parted_where_a_reader_parts_them() {
        let cases = [
            ("Player", "player"),
            ("HttpSession", "http_session"),
            ("HTTPSession", "http_session"),
            ("Vec3", "vec3"),
            ("PlayerV2", "player_v2"),
            ("Vec3Array", "vec3_array"),
            ("GMCommand_Log", "gm_command_log"),
            ("already_snake", "already_snake"),
            ("A", "a"),
            ("AB", "ab"),
        ];
        for (name, expected) in cases {
            assert_eq!(snake_case(name), expected);
        }
    }
}
