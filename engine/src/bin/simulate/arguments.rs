//! The command line.

use std::ops::Range;

use crate::switch::Switch;

/// What `--help` says.
pub fn help() -> String {
    let switches = Switch::ALL.map(|switch| {
        let mark = if switch.of_core().is_some() { '*' } else { ' ' };
        format!("                  {mark} {:<19} {}\n", switch.name(), switch.takes())
    });
    HELP.replace("{switches}\n", &switches.concat())
}

const HELP: &str = "\
Runs small flash sales in a world where everything goes wrong that can, one a seed.

Usage: simulate [--seeds A..B] [--switch NAME] [--jobs N] [--trace]

  --seeds A..B    the seeds, B not included; one number is that seed (default 0..1000)
  --switch NAME   takes one safeguard away; the run must fail then (* only when built with --features switches):
{switches}
  --jobs N        threads, each with seeds of its own (default: one a core)
  --trace         tells the story of the first seed that fails, or else of the first

A seed always comes to the same end, which its trace shows: a hash of every step in order.
Exit code 0: every seed keeps every invariant and comes to rest. 1: one does not; the first is named. 64: usage.";

/// What is to be done.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Arguments {
    pub seeds: Range<u64>,
    pub switch: Option<Switch>,
    pub jobs: usize,
    pub trace: bool,
}

impl Arguments {
    /// Reads them; none: only help is wanted.
    ///
    /// # Errors
    /// What is wrong with them.
    pub fn read(mut words: impl Iterator<Item = String>) -> Result<Option<Self>, String> {
        let jobs = std::thread::available_parallelism().map_or(1, usize::from);
        let mut arguments = Self { seeds: 0..1_000, switch: None, jobs, trace: false };
        while let Some(word) = words.next() {
            let mut value = || words.next().ok_or(format!("{word} needs a value"));
            match word.as_str() {
                "--help" | "-h" => return Ok(None),
                "--trace" => arguments.trace = true,
                "--seeds" => arguments.seeds = seeds(&value()?)?,
                "--jobs" => {
                    let text = value()?;
                    let count = text.parse().ok().filter(|count| *count > 0);
                    arguments.jobs = count.ok_or(format!("--jobs takes a number from 1, not {text}"))?;
                }
                "--switch" => arguments.switch = Some(switch(&value()?)?),
                other => return Err(format!("{other} is no option")),
            }
        }
        Ok(Some(arguments))
    }
}

fn seeds(text: &str) -> Result<Range<u64>, String> {
    let wrong = || format!("--seeds takes a number or a range like 0..1000, not {text}");
    let number = |text: &str| text.parse::<u64>().map_err(|_| wrong());
    let range = match text.split_once("..") {
        Some((from, to)) => number(from)?..number(to)?,
        None => number(text)?..number(text)?.saturating_add(1),
    };
    if range.is_empty() { Err(wrong()) } else { Ok(range) }
}

fn switch(text: &str) -> Result<Switch, String> {
    let names = || Switch::ALL.map(Switch::name).join(", ");
    let found = Switch::ALL.into_iter().find(|switch| switch.name() == text);
    let switch = found.ok_or_else(|| format!("no switch is called {text}; there are {}", names()))?;
    if switch.of_core().is_some() && !cfg!(feature = "switches") {
        return Err(format!("{text} is a safeguard of the core: build with --features switches to take it away"));
    }
    Ok(switch)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read(line: &str) -> Result<Option<Arguments>, String> {
        Arguments::read(line.split_whitespace().map(str::to_owned))
    }

    #[test]
    fn seeds_are_a_range_or_one() {
        assert_eq!(read("--seeds 5..9").unwrap().unwrap().seeds, 5..9);
        assert_eq!(read("--seeds 7").unwrap().unwrap().seeds, 7..8);
        assert!(read("--seeds 9..9").is_err());
        assert!(read("--seeds many").is_err());
        assert!(read("--jobs 0").is_err());
        assert!(read("--what").is_err());
        assert_eq!(read("--help"), Ok(None));
    }

    #[test]
    fn the_help_knows_every_switch() {
        for switch in Switch::ALL {
            assert_eq!(super::switch(switch.name()), Ok(switch));
            assert!(help().contains(switch.takes()), "{switch:?}");
        }
        assert!(super::switch("nothing").is_err());
    }
}
