//! How anyone can tell that it is right: the hash chain, the replay that compares everything, the story of one
//! reservation, the whole log as text.

pub mod chain;
mod commands;
pub mod export;
pub mod gateways;
pub mod pages;
mod past;
pub mod recover;
pub mod repair;
mod rows;
pub mod verify;
pub mod why;
pub mod words;
