//! The two moves, each with its tests.

mod first;
mod second;
