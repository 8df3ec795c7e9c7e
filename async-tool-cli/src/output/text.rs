//! Texts of others, and moments, as people read them.

use std::borrow::Cow;
use std::fmt::Write;
use std::time::Duration;

/// A text without what a terminal would obey: control characters and those that
/// change the direction of writing are shown as escapes.
pub(crate) fn clean(text: &str) -> Cow<'_, str> {
    if !text.contains(is_command) {
        return Cow::Borrowed(text);
    }
    let mut cleaned = String::with_capacity(text.len() + 16);
    for character in text.chars() {
        match character {
            '\t' => cleaned.push(' '),
            c if is_command(c) => cleaned.extend(c.escape_default()),
            c => cleaned.push(c),
        }
    }
    Cow::Owned(cleaned)
}

/// JSON whose strings have no such character either. JSON itself asks for that
/// up to U+001F alone.
pub(crate) fn json(text: &str) -> Cow<'_, str> {
    let escaped = |c: char| is_command(c) && !c.is_ascii_whitespace();
    if !text.contains(escaped) {
        return Cow::Borrowed(text);
    }
    let mut cleaned = String::with_capacity(text.len() + 16);
    for character in text.chars() {
        if escaped(character) {
            // All of them are in the first plane.
            let _ = write!(cleaned, "\\u{:04x}", u32::from(character));
        } else {
            cleaned.push(character);
        }
    }
    Cow::Owned(cleaned)
}

fn is_command(character: char) -> bool {
    character.is_control()
        || matches!(
            character,
            '\u{200e}' | '\u{200f}' | '\u{2028}'..='\u{202e}' | '\u{2066}'..='\u{2069}'
        )
}

/// A duration in at most six characters up to a thousand days: `400ms`, `12s`,
/// `3m20s`, `2h05m`, `4d06h`.
pub(crate) fn short(duration: Duration) -> String {
    let seconds = duration.as_secs();
    let (minutes, hours, days) = (seconds / 60, seconds / 3600, seconds / 86_400);
    match seconds {
        0 if duration.is_zero() => "0s".to_owned(),
        0 => format!("{}ms", duration.subsec_millis()),
        1..60 => format!("{seconds}s"),
        60..3600 => format!("{minutes}m{:02}s", seconds % 60),
        3600..86_400 => format!("{hours}h{:02}m", minutes % 60),
        _ => format!("{days}d{:02}h", hours % 24),
    }
}

/// `1 task`, `2 tasks`.
pub(crate) fn count(number: usize, what: &str) -> String {
    let plural = if number == 1 { "" } else { "s" };
    format!("{number} {what}{plural}")
}

/// A bar of so many columns, its frame included.
#[expect(
    clippy::cast_possible_truncation,
    clippy::cast_sign_loss,
    clippy::cast_precision_loss,
    reason = "a fraction of a terminal's width"
)]
pub(crate) fn bar(fraction: f64, width: usize) -> String {
    let room = width.saturating_sub(2);
    let full = ((fraction.clamp(0.0, 1.0) * room as f64) as usize).min(room);
    let head = if full < room { ">" } else { "" };
    let rest = room - full - head.len();
    format!("[{}{head}{}]", "=".repeat(full), " ".repeat(rest))
}

/// `41 %`; 100 only where all is done.
#[expect(
    clippy::cast_possible_truncation,
    clippy::cast_sign_loss,
    reason = "between 0 and 100"
)]
pub(crate) fn percent(fraction: f64) -> String {
    format!("{} %", (fraction.clamp(0.0, 1.0) * 100.0) as u8)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_a_terminal_would_obey_is_shown() {
        for (text, shown) in [
            ("plain äöü 日本 \u{1f600}", "plain äöü 日本 \u{1f600}"),
            ("\x1b]0;owned\x07\x1b[2J", "\\u{1b}]0;owned\\u{7}\\u{1b}[2J"),
            ("a\r\nb\tc", "a\\r\\nb c"),
            ("\u{9b}31m", "\\u{9b}31m"),
            ("abc\u{202e}fed", "abc\\u{202e}fed"),
            ("del\u{7f}", "del\\u{7f}"),
        ] {
            assert_eq!(clean(text), shown);
        }
    }

    #[test]
    fn json_stays_what_it_was() {
        let text =
            serde_json::to_string("\x1b[2J \u{9b}31m \u{202e} \u{7f} \u{2028} ä").expect("JSON");
        let safe = json(&text);
        assert!(!safe.contains(is_command), "{safe}");
        let (before, after): (String, String) = (
            serde_json::from_str(&text).expect("JSON"),
            serde_json::from_str(&safe).expect("JSON"),
        );
        assert_eq!(before, after);
    }

    #[test]
    fn durations_are_short() {
        for (millis, text) in [
            (0, "0s"),
            (1, "1ms"),
            (999, "999ms"),
            (59_999, "59s"),
            (60_000, "1m00s"),
            (3_599_000, "59m59s"),
            (7_500_000, "2h05m"),
            (86_400_000 * 4 + 3_600_000 * 6, "4d06h"),
        ] {
            assert_eq!(short(Duration::from_millis(millis)), text);
        }
    }

    #[test]
    fn bars_have_their_width() {
        assert_eq!(bar(0.0, 12), "[>         ]");
        assert_eq!(bar(0.42, 12), "[====>     ]");
        assert_eq!(bar(0.99, 12), "[=========>]");
        assert_eq!(bar(1.0, 12), "[==========]");
        assert_eq!(bar(f64::NAN, 12).len(), 12);
        assert_eq!(bar(7.0, 2), "[]");
    }

    #[test]
    fn a_hundred_percent_is_all() {
        assert_eq!(percent(0.999), "99 %");
        assert_eq!(percent(1.0), "100 %");
        assert_eq!(percent(0.0), "0 %");
    }

    #[test]
    fn things_are_counted() {
        assert_eq!(count(1, "task"), "1 task");
        assert_eq!(count(0, "task"), "0 tasks");
    }
}
