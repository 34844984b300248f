//! The bars of running installs: bytes, speed and time left, then files, on a terminal. Anywhere else nothing moves.
//! Leaves out what is said at the end (`ui`).

use std::collections::BTreeSet;
use std::fmt::{self, Write};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use govern_api::body::JobEvent;
use indicatif::{MultiProgress, ProgressBar, ProgressDrawTarget, ProgressState, ProgressStyle};

use crate::text::{grouped, size};
use crate::ui::Ui;

/// The bars of the installs that run at once.
pub(crate) struct Progress {
    all: MultiProgress,
    is_watched: bool,
    notes: Arc<Notes>,
}

/// The bar of one install.
#[derive(Clone)]
pub(crate) struct Bar {
    bar: ProgressBar,
    all: MultiProgress,
    notes: Arc<Notes>,
}

/// What is said above the bars.
struct Notes {
    ui: Ui,
    /// What was said already: that a site does not answer is the same for all.
    said: Mutex<BTreeSet<String>>,
}

/// How often a bar is drawn again while nothing happens: the speed of a stalled download sinks before one's eyes.
const TICK: Duration = Duration::from_millis(200);

impl Progress {
    /// Bars, if somebody looks.
    pub(crate) fn new(ui: &Ui) -> Progress {
        let is_watched = ui.is_watched && !ui.is_quiet;
        let target = if is_watched { ProgressDrawTarget::stderr_with_hz(10) } else { ProgressDrawTarget::hidden() };
        let notes = Arc::new(Notes { ui: ui.clone(), said: Mutex::default() });
        Progress { all: MultiProgress::with_draw_target(target), is_watched, notes }
    }

    /// One more bar, below the others.
    pub(crate) fn bar(&self, name: &str) -> Bar {
        let bar = ProgressBar::no_length().with_style(waiting()).with_prefix(name.to_owned());
        bar.set_message("looks for it");
        let bar = self.all.add(bar);
        if self.is_watched {
            bar.enable_steady_tick(TICK);
        }
        Bar { bar, all: self.all.clone(), notes: Arc::clone(&self.notes) }
    }
}

impl Bar {
    /// Moves the bar.
    pub(crate) fn event(&self, event: &JobEvent) {
        match event {
            JobEvent::Resolved { version } => self.bar.set_prefix(version.clone()),
            JobEvent::Waiting { holder } => self.wait(format!("waits for {holder}")),
            JobEvent::Source { size: Some(size), .. } => {
                self.bar.reset();
                self.bar.set_length(*size);
                self.bar.set_style(downloading());
            }
            JobEvent::Source { size: None, .. } => self.wait("downloads".to_owned()),
            JobEvent::Trouble { reason } => self.note(reason),
            JobEvent::Downloaded { bytes } if self.bar.length().is_none() => {
                self.wait(format!("downloads     {}", size(*bytes)));
            }
            JobEvent::Downloaded { bytes } => self.bar.set_position(*bytes),
            // While bytes arrive they are what takes the time; a tarball is unpacked as it comes.
            JobEvent::Unpacked { .. } if self.bar.length().is_some_and(|length| self.bar.position() < length) => {}
            JobEvent::Unpacked { files } => self.wait(format!("unpacks       {} files", grouped(*files))),
            JobEvent::Proving => self.wait("checks the proof".to_owned()),
            JobEvent::Done { .. } | JobEvent::Failed { .. } => self.bar.finish_and_clear(),
            JobEvent::Unknown => {}
        }
    }

    /// Takes the bar away.
    pub(crate) fn clear(&self) {
        self.bar.finish_and_clear();
    }

    /// Says something above the bars.
    fn note(&self, text: &str) {
        let is_new = self.notes.said.lock().unwrap_or_else(PoisonError::into_inner).insert(text.to_owned());
        if is_new {
            self.all.suspend(|| self.notes.ui.note(text));
        }
    }

    fn wait(&self, message: String) {
        self.bar.set_style(waiting());
        self.bar.set_message(message);
    }
}

fn waiting() -> ProgressStyle {
    ProgressStyle::with_template("  {prefix:<11} {msg}").expect("the template is well formed")
}

fn downloading() -> ProgressStyle {
    let amount = |state: &ProgressState, out: &mut dyn Write| {
        let amount = format!("{} / {}", size(state.pos()), size(state.len().unwrap_or_default()));
        written(write!(out, "{amount:>17}"));
    };
    let speed = |state: &ProgressState, out: &mut dyn Write| {
        written(write!(out, "{:>10}/s", size(whole(state.per_sec()))));
    };
    let left = |state: &ProgressState, out: &mut dyn Write| written(out.write_str(&left(state.eta())));
    ProgressStyle::with_template("  {prefix:<11} {bar:24.cyan/dim}  {amount}  {speed}  {left}")
        .expect("the template is well formed")
        .progress_chars("━╸─")
        .with_key("amount", amount)
        .with_key("speed", speed)
        .with_key("left", left)
}

fn written(result: fmt::Result) {
    result.expect("a line in memory has room");
}

/// Whole bytes a second, of a measurement that may be anything at the start: the cast takes what is no number for 0.
fn whole(measured: f64) -> u64 {
    measured as u64
}

/// The time left: `4s`, `2m 05s`; nothing while it cannot be known.
fn left(eta: Duration) -> String {
    match eta.as_secs() {
        0 => String::new(),
        seconds @ 1..60 => format!("{seconds}s"),
        seconds @ 60..3600 => format!("{}m {:02}s", seconds / 60, seconds % 60),
        _ => "more than an hour".to_owned(),
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use govern_api::body::JobEvent;
    use indicatif::{InMemoryTerm, MultiProgress, ProgressDrawTarget};

    use super::{Progress, left};
    use crate::ui::Ui;

    #[test]
    fn a_bar_tells_bytes_then_files_then_nothing() {
        let term = InMemoryTerm::new(10, 100);
        let target = ProgressDrawTarget::term_like(Box::new(term.clone()));
        let all = MultiProgress::with_draw_target(target);
        let progress = Progress { all, ..Progress::new(&Ui::silent()) };
        let bar = progress.bar("1.26");
        let shown = |event: JobEvent| {
            bar.event(&event);
            bar.bar.tick();
            term.contents()
        };
        shown(JobEvent::Resolved { version: "go1.26.8".to_owned() });
        let waits = shown(JobEvent::Waiting { holder: "process 7".to_owned() });
        assert_eq!(waits, "  go1.26.8    waits for process 7");
        shown(JobEvent::Source { url: String::new(), size: Some(80_000_000) });
        let half = shown(JobEvent::Downloaded { bytes: 40_000_000 });
        assert!(half.starts_with("  go1.26.8    ━━━━━━━━━━━━╸───────────  40.0 MB / 80.0 MB"), "{half}");
        let still = shown(JobEvent::Unpacked { files: 10 });
        assert!(still.contains("40.0 MB / 80.0 MB"), "{still}");
        shown(JobEvent::Downloaded { bytes: 80_000_000 });
        assert_eq!(shown(JobEvent::Unpacked { files: 7214 }), "  go1.26.8    unpacks       7,214 files");
        assert_eq!(shown(JobEvent::Proving), "  go1.26.8    checks the proof");
        let done = JobEvent::Done { version: "go1.26.8".to_owned(), goroot: None, already: false, freed: None };
        assert_eq!(shown(done), "");
    }

    #[test]
    fn the_time_left_is_short() {
        assert_eq!(left(Duration::from_millis(300)), "");
        assert_eq!(left(Duration::from_secs(4)), "4s");
        assert_eq!(left(Duration::from_secs(125)), "2m 05s");
        assert_eq!(left(Duration::from_secs(90_000)), "more than an hour");
    }
}
