//! One running change and what happened to it so far. Whoever follows it hears the past first, then the news.
//!
//! Events are kept as a short history and not as a queue: of bytes and files only the newest number counts, so a
//! follower that is slow, or comes late, never makes anybody wait and never misses how it ended.

use std::collections::VecDeque;
use std::mem;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use govern_api::body::{self, JobEvent};
use govern_core::event::{Event, Watch};
use govern_core::version::Version;
use tokio::sync::watch;

use crate::jobs::Verb;

/// Followers hear of bytes and files this often at most.
const PROGRESS: Duration = Duration::from_millis(50);

/// The most events that are kept. Beyond them the oldest is forgotten: a source that fails for hours has much to tell.
const KEPT: usize = 256;

/// A running or finished change.
#[derive(Debug)]
pub(crate) struct Job {
    /// Its number.
    pub(crate) id: u64,
    /// What it does.
    pub(crate) verb: Verb,
    /// To which release.
    pub(crate) version: Version,
    /// Std mutex: never held across an await. Taken last.
    track: Mutex<Track>,
    /// The number of the newest event that followers were told of.
    news: watch::Sender<u64>,
}

#[derive(Debug, Default)]
struct Track {
    /// The number of the newest event.
    number: u64,
    /// Events with their numbers, which grow.
    history: VecDeque<(u64, JobEvent)>,
    told_at: Option<Instant>,
}

impl Job {
    /// A job to which nothing has happened yet.
    pub(crate) fn new(id: u64, verb: Verb, version: Version) -> Job {
        Job { id, verb, version, track: Mutex::default(), news: watch::Sender::new(0) }
    }

    /// Adds an event.
    pub(crate) fn tell(&self, event: JobEvent) {
        let mut track = self.track();
        track.number += 1;
        let number = track.number;
        let is_progress = is_progress(&event);
        if is_progress && let Some(at) = track.newest_of_this_source(&event) {
            track.history.remove(at);
        }
        track.history.push_back((number, event));
        if track.history.len() > KEPT {
            track.history.pop_front();
        }
        let now = Instant::now();
        let too_soon = track.told_at.is_some_and(|at| now.duration_since(at) < PROGRESS);
        if !(is_progress && too_soon) {
            track.told_at = Some(now);
            drop(track);
            self.news.send_modify(|newest| *newest = (*newest).max(number));
        }
    }

    /// Follows the job from after the event of that number; 0 is the beginning.
    pub(crate) fn follow(self: &Arc<Self>, after: u64) -> Follower {
        let news = self.news.subscribe();
        Follower { job: Arc::clone(self), heard: after, pending: VecDeque::new(), is_over: false, news }
    }

    /// How it stands.
    pub(crate) fn body(&self) -> body::Job {
        let track = self.track();
        let newest = |wanted: fn(&JobEvent) -> Option<u64>| track.history.iter().rev().find_map(|(_, e)| wanted(e));
        let state = match track.history.back() {
            Some((_, JobEvent::Done { .. })) => "done",
            Some((_, JobEvent::Failed { .. })) => "failed",
            _ => "running",
        };
        body::Job {
            id: self.id,
            verb: self.verb.name().to_owned(),
            version: self.version.toolchain(),
            state: state.to_owned(),
            bytes: newest(|e| if let JobEvent::Downloaded { bytes } = e { Some(*bytes) } else { None }).unwrap_or(0),
            total: newest(|e| if let JobEvent::Source { size, .. } = e { *size } else { None }),
            joined: false,
        }
    }

    fn has_ended(&self) -> bool {
        self.track().history.back().is_some_and(|(_, event)| event.is_last())
    }

    fn since(&self, number: u64) -> VecDeque<(u64, JobEvent)> {
        self.track().history.iter().filter(|(at, _)| *at > number).cloned().collect()
    }

    fn track(&self) -> MutexGuard<'_, Track> {
        self.track.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Track {
    /// Where the newest event of the same kind is, unless another source has begun since.
    fn newest_of_this_source(&self, event: &JobEvent) -> Option<usize> {
        let from_here = self.history.iter().enumerate().rev();
        from_here
            .take_while(|(_, (_, known))| !matches!(known, JobEvent::Source { .. }))
            .find(|(_, (_, known))| mem::discriminant(known) == mem::discriminant(event))
            .map(|(at, _)| at)
    }
}

impl Watch for Job {
    fn event(&self, event: Event) {
        self.tell(event.into());
    }
}

fn is_progress(event: &JobEvent) -> bool {
    matches!(event, JobEvent::Downloaded { .. } | JobEvent::Unpacked { .. })
}

/// Somebody who follows a job.
#[derive(Debug)]
pub(crate) struct Follower {
    job: Arc<Job>,
    heard: u64,
    pending: VecDeque<(u64, JobEvent)>,
    is_over: bool,
    news: watch::Receiver<u64>,
}

impl Follower {
    /// The next event and its number; `None` after the last one. May be dropped and called again.
    pub(crate) async fn next(&mut self) -> Option<(u64, JobEvent)> {
        while self.pending.is_empty() {
            if self.is_over {
                return None;
            }
            // Marked before looking: news that come meanwhile end the wait below.
            self.news.borrow_and_update();
            let has_ended = self.job.has_ended();
            self.pending = self.job.since(self.heard);
            if self.pending.is_empty() {
                if has_ended {
                    return None;
                }
                // The sender is a part of the job, which is held here.
                self.news.changed().await.ok()?;
            }
        }
        let (number, event) = self.pending.pop_front()?;
        self.heard = number;
        self.is_over = event.is_last();
        Some((number, event))
    }
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use futures_util::FutureExt as _;
    use govern_api::body::JobEvent;
    use govern_core::version::Version;

    use super::{Follower, Job, KEPT};
    use crate::jobs::Verb;

    fn job() -> Arc<Job> {
        Arc::new(Job::new(1, Verb::Install, Version::parse("1.22.4").unwrap()))
    }

    fn source(url: &str) -> JobEvent {
        JobEvent::Source { url: url.to_owned(), size: Some(100) }
    }

    fn done() -> JobEvent {
        JobEvent::Done { version: "go1.22.4".to_owned(), goroot: None, already: false, freed: None }
    }

    fn at_hand(follower: &mut Follower) -> Vec<JobEvent> {
        std::iter::from_fn(|| follower.next().now_or_never().flatten().map(|(_, event)| event)).collect()
    }

    #[test]
    fn who_comes_late_hears_the_past_with_the_newest_numbers_only() {
        let job = job();
        let mut early = job.follow(0);
        job.tell(source("a"));
        (1..=10).for_each(|n| job.tell(JobEvent::Downloaded { bytes: n }));
        job.tell(source("b"));
        (1..=5).for_each(|n| job.tell(JobEvent::Downloaded { bytes: n }));
        job.tell(JobEvent::Unpacked { files: 3 });
        let so_far = [
            source("a"),
            JobEvent::Downloaded { bytes: 10 },
            source("b"),
            JobEvent::Downloaded { bytes: 5 },
            JobEvent::Unpacked { files: 3 },
        ];
        assert_eq!(at_hand(&mut early), so_far);
        assert_eq!(at_hand(&mut job.follow(0)), so_far);
        let body = job.body();
        assert_eq!((body.bytes, body.total, body.state.as_str()), (5, Some(100), "running"));

        job.tell(done());
        assert_eq!(at_hand(&mut early), [done()], "the news and no more");
        assert_eq!(early.next().now_or_never(), Some(None), "over");
        assert_eq!(at_hand(&mut job.follow(0)).last(), Some(&done()));
        assert_eq!(job.follow(1_000).next().now_or_never(), Some(None), "nothing to wait for");
        assert_eq!(job.body().state, "done");
    }

    #[tokio::test]
    async fn a_follower_that_waits_is_woken() {
        let job = job();
        let mut follower = job.follow(0);
        let waiting = tokio::spawn(async move { follower.next().await });
        tokio::task::yield_now().await;
        job.tell(JobEvent::Proving);
        assert_eq!(waiting.await.unwrap(), Some((1, JobEvent::Proving)));
    }

    #[test]
    fn progress_is_told_twenty_times_a_second_at_most_and_steps_always() {
        let job = job();
        let mut news = job.news.subscribe();
        let mut told = 0;
        let mut count = |event| {
            job.tell(event);
            if news.has_changed().unwrap() {
                news.borrow_and_update();
                told += 1;
            }
            told
        };
        assert_eq!(count(source("a")), 1);
        let begin = std::time::Instant::now();
        let mut after = 1;
        for n in 0..1_000 {
            after = count(JobEvent::Downloaded { bytes: n });
        }
        let most = 2 + usize::try_from(begin.elapsed().as_millis()).unwrap() / 50;
        assert!(after <= most, "{after} in {:?}", begin.elapsed());
        assert_eq!(count(JobEvent::Proving), after + 1);
    }

    #[test]
    fn the_history_does_not_grow_without_end() {
        let job = job();
        (0..10 * KEPT).for_each(|n| job.tell(JobEvent::Trouble { reason: n.to_string() }));
        job.tell(done());
        assert_eq!(at_hand(&mut job.follow(0)).len(), KEPT);
    }
}
