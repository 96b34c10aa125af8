//! Telling the world what was committed: in order, perhaps twice, never not at all; and nobody decides by it.
//!
//! One task a consumer, so that a slow one never delays another: [`answers`] (the board and the waiters, on the
//! writer's thread), [`cache`], [`outbox`] (events, encoded by [`events`], and [`decisions`] for other processes, whose
//! [`follower`] feeds their answers). [`service`] puts them together.

pub mod answers;
pub mod board;
pub mod cache;
pub mod decisions;
pub mod events;
pub mod follower;
pub mod outbox;
pub mod service;
