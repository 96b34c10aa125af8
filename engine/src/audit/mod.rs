//! How anyone can tell that it is right: the hash chain, the replay that compares everything, the story of one
//! reservation, the whole log as text.

pub mod chain;
mod rows;
pub mod trace;
pub mod verify;
