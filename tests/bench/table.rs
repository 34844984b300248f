//! The rows of the benchmark, and how they are shown.

use std::time::Duration;

/// The times of one program.
pub(crate) struct Row {
    name: String,
    pub(crate) times: Vec<Duration>,
}

impl Row {
    pub(crate) fn of(name: &str) -> Row {
        Row { name: name.to_owned(), times: Vec::new() }
    }

    /// The same times, where they stand for something else.
    pub(crate) fn renamed(self, name: &str) -> Row {
        Row { name: name.to_owned(), ..self }
    }

    /// The time that `percent` of all calls did not pass, in microseconds.
    fn percentile(&self, percent: usize) -> f64 {
        let mut times = self.times.clone();
        times.sort_unstable();
        let at = (times.len() * percent / 100).min(times.len() - 1);
        times[at].as_nanos() as f64 / 1000.0
    }
}

/// Prints medians beside those of two rows: `base`, over which a time is added, and `limit`, which nothing can beat.
pub(crate) fn print(title: &str, rows: &[Row], base: usize, limit: usize) {
    let median = |at: usize| rows[at].percentile(50);
    println!("\n{:<34} {:>10} {:>10} {:>8} {:>12} {:>8}", title, "median µs", "p99 µs", "p99/med", "added µs", "ratio");
    for row in rows {
        let (middle, worst) = (row.percentile(50), row.percentile(99));
        println!(
            "{:<34} {middle:>10.0} {worst:>10.0} {:>8.2} {:>12.0} {:>8.3}",
            row.name,
            worst / middle,
            middle - median(base),
            middle / median(limit),
        );
    }
    println!("  {} calls of each; ratio: to {}", rows[0].times.len(), rows[limit].name);
}
