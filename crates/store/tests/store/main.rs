//! The store from outside: hostile archives, real-shaped trees, and everything that happens to an SDK in its life.

#![expect(clippy::unwrap_used, reason = "a step that fails is a test that fails")]

mod archives;
mod bundle;
mod hostile;
mod hostile_tar;
mod hostile_zip;
mod kept;
mod lifecycle;
mod processes;
mod repair;
mod support;
mod trees;
mod twins;
