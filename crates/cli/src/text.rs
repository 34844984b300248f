//! Turns values into words: sizes, times, numbers, columns. Prints nothing.

use std::time::Duration;

/// Bytes as a person reads them, in powers of ten: `251 MB`, `74.6 MB`, `900 B`.
pub(crate) fn size(bytes: u64) -> String {
    const UNITS: [&str; 4] = ["kB", "MB", "GB", "TB"];
    if bytes < 1000 {
        return format!("{bytes} B");
    }
    // In tenths of a unit, so that no rounding can give `1000 kB`.
    let (mut tenths, mut unit) = (bytes / 100, 0);
    while tenths >= 9995 && unit + 1 < UNITS.len() {
        tenths = (tenths + 500) / 1000;
        unit += 1;
    }
    match tenths {
        0..1000 => format!("{}.{} {}", tenths / 10, tenths % 10, UNITS[unit]),
        _ => format!("{} {}", (tenths + 5) / 10, UNITS[unit]),
    }
}

/// A number with its digits in groups: `10,773`.
pub(crate) fn grouped(number: u64) -> String {
    let digits = number.to_string();
    let mut out = String::with_capacity(digits.len() + digits.len() / 3);
    for (at, digit) in digits.chars().enumerate() {
        if at > 0 && (digits.len() - at).is_multiple_of(3) {
            out.push(',');
        }
        out.push(digit);
    }
    out
}

/// So many of a thing: `1 version`, `2 versions`.
pub(crate) fn count(number: usize, thing: &str) -> String {
    format!("{number} {thing}{}", if number == 1 { "" } else { "s" })
}

/// How long something took: `3.4s`, `2m 05s`.
pub(crate) fn took(time: Duration) -> String {
    let seconds = time.as_secs();
    match seconds {
        0..60 => format!("{}.{}s", seconds, time.subsec_millis() / 100),
        _ => format!("{}m {:02}s", seconds / 60, seconds % 60),
    }
}

/// How long something lasts already: `12 s`, `5 min`, `2 h`, `6 d`.
pub(crate) fn lasting(seconds: u64) -> String {
    match seconds {
        0..60 => format!("{seconds} s"),
        60..3600 => format!("{} min", seconds / 60),
        3600..172_800 => format!("{} h", seconds / 3600),
        _ => format!("{} d", seconds / 86_400),
    }
}

/// How long ago something was: `now`, `5 min ago`.
pub(crate) fn ago(then: u64, now: u64) -> String {
    match now.saturating_sub(then) {
        0..60 => "now".to_owned(),
        seconds => format!("{} ago", lasting(seconds)),
    }
}

/// Rows as aligned columns with three blanks between them, each line behind `indent`; no blanks at line ends.
pub(crate) fn columns(rows: &[Vec<String>], indent: &str) -> String {
    let width = |column: usize| rows.iter().filter_map(|row| row.get(column)).map(|cell| cell.chars().count()).max();
    let widths: Vec<usize> = (0..).map_while(width).collect();
    let mut out = String::new();
    for row in rows {
        let mut line = indent.to_owned();
        for (cell, width) in row.iter().zip(&widths) {
            line.push_str(&format!("{cell:<width$}   "));
        }
        out.push_str(line.trim_end());
        out.push('\n');
    }
    out
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::{ago, columns, count, grouped, lasting, size, took};

    #[test]
    fn sizes_are_short_and_round_up_into_the_next_unit() {
        let check = |bytes: u64, expect: &str| assert_eq!(size(bytes), expect, "{bytes}");
        check(0, "0 B");
        check(999, "999 B");
        check(1000, "1.0 kB");
        check(74_640_000, "74.6 MB");
        check(99_990_000, "100 MB");
        check(251_400_000, "251 MB");
        check(251_500_000, "252 MB");
        check(999_400_000, "999 MB");
        check(999_600_000, "1.0 GB");
        check(1_200_000_000, "1.2 GB");
    }

    #[test]
    fn numbers_are_grouped_and_nouns_have_the_right_number() {
        assert_eq!(grouped(7), "7");
        assert_eq!(grouped(773), "773");
        assert_eq!(grouped(10_773), "10,773");
        assert_eq!(grouped(1_010_773), "1,010,773");
        assert_eq!(count(1, "version"), "1 version");
        assert_eq!(count(0, "version"), "0 versions");
    }

    #[test]
    fn times_are_told_in_one_unit() {
        assert_eq!(took(Duration::from_millis(3449)), "3.4s");
        assert_eq!(took(Duration::from_secs(125)), "2m 05s");
        assert_eq!(lasting(59), "59 s");
        assert_eq!(lasting(7200), "2 h");
        assert_eq!(lasting(6 * 86_400), "6 d");
        assert_eq!(ago(100, 130), "now");
        assert_eq!(ago(100, 400), "5 min ago");
        assert_eq!(ago(500, 400), "now");
    }

    #[test]
    fn columns_line_up_and_end_without_blanks() {
        let row = |cells: &[&str]| cells.iter().map(|c| (*c).to_owned()).collect::<Vec<_>>();
        let rows = [row(&["", "VERSION", "SIZE"]), row(&["*", "1.26.8", "251 MB", "x"]), row(&["", "1.27", ""])];
        let expect = "     VERSION   SIZE\n *   1.26.8    251 MB   x\n     1.27\n";
        assert_eq!(columns(&rows, " "), expect);
    }
}
