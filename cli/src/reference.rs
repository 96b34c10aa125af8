//! The command line as a table, for `docs/cli.md`: made from what clap knows, so that the page cannot drift.

use clap::{Arg, Command, CommandFactory};

use crate::args::Cli;

/// A line a verb: how it is called, what it does, whether it can be tried without a change.
pub fn table() -> String {
    let mut lines = vec!["| verb | what it does | `--dry-run` |".to_owned(), "|---|---|---|".to_owned()];
    for verb in Cli::command().get_subcommands().filter(|verb| !verb.is_hide_set()) {
        push(&mut lines, "", verb);
    }
    lines.join("\n") + "\n"
}

fn push(lines: &mut Vec<String>, above: &str, verb: &Command) {
    let name = format!("{above}{}", verb.get_name());
    let below: Vec<&Command> = verb.get_subcommands().filter(|verb| verb.get_name() != "help").collect();
    if !below.is_empty() {
        below.into_iter().for_each(|verb| push(lines, &format!("{name} "), verb));
        return;
    }
    let words: Vec<String> = verb.get_arguments().filter(|argument| shown(argument)).map(word).collect();
    let call = [vec![name], words].concat().join(" ");
    let what = verb.get_about().map(ToString::to_string).unwrap_or_default();
    let dry = if tries(verb) { "yes" } else { "" };
    lines.push(format!("| `{call}` | {what} | {dry} |"));
}

fn shown(argument: &Arg) -> bool {
    !argument.is_global_set() && !["help", "version", "dry_run"].contains(&argument.get_id().as_str())
}

fn word(argument: &Arg) -> String {
    let value = argument.get_value_names().and_then(|names| names.first()).map_or("VALUE", |name| name.as_str());
    let takes = argument.get_action().takes_values();
    let word = match (argument.get_long(), takes) {
        (Some(long), true) => format!("--{long} {value}"),
        (Some(long), false) => format!("--{long}"),
        (None, _) => value.to_owned(),
    };
    if argument.is_required_set() { word } else { format!("[{word}]") }
}

fn tries(verb: &Command) -> bool {
    verb.get_arguments().any(|argument| argument.get_id().as_str() == "dry_run")
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, clippy::panic)]

    use super::*;

    /// Verbs that only look, or run in the foreground until they are stopped.
    const LOOK: [&str; 15] = [
        "validate",
        "plan",
        "watch",
        "status",
        "verify",
        "why",
        "logs",
        "token",
        "serve",
        "schema",
        "completions",
        "man",
        "doctor",
        "preflight",
        "list",
    ];

    fn leaves<'a>(verb: &'a Command, found: &mut Vec<&'a Command>) {
        let before = found.len();
        verb.get_subcommands().filter(|verb| !verb.is_hide_set()).for_each(|verb| leaves(verb, found));
        if found.len() == before {
            found.push(verb);
        }
    }

    #[test]
    fn every_verb_that_changes_something_can_be_tried_first() {
        let tree = Cli::command();
        let mut verbs = Vec::new();
        leaves(&tree, &mut verbs);
        for verb in verbs {
            let only_looks = LOOK.contains(&verb.get_name());
            assert!(tries(verb) || only_looks, "{} changes something and has no --dry-run", verb.get_name());
            assert!(verb.get_about().is_some(), "{} does not say what it does", verb.get_name());
        }
    }

    /// `UPDATE=1 cargo test -p flashsale --lib reference` writes the table anew.
    #[test]
    fn the_page_lists_every_verb() {
        let path = std::path::Path::new(env!("CARGO_MANIFEST_DIR")).join("../docs/cli.md");
        let page = std::fs::read_to_string(&path).unwrap();
        let (begin, end) = ("<!-- verbs: made from the command itself -->\n", "<!-- end of verbs -->");
        let [before, rest] = page.split(begin).collect::<Vec<_>>()[..] else { panic!("no place for the table") };
        let (kept, after) = rest.split_once(end).unwrap();
        if std::env::var_os("UPDATE").is_some() {
            std::fs::write(&path, format!("{before}{begin}{}{end}{after}", table())).unwrap();
        } else {
            assert_eq!(kept, table(), "docs/cli.md is not as the command line is: run with UPDATE=1");
        }
        for code in ["98", "99", "77", "75", "69", "65", "64", "130", "143"] {
            assert!(crate::exit::TABLE.contains(code) && after.contains(code), "exit code {code}");
        }
    }

    #[test]
    fn the_shopper_s_page_names_every_route() {
        let page = include_str!("../../docs/http.md");
        for line in flashsale_engine::gateway::routes::ROUTES {
            assert!(page.contains(&format!("{} {}", line.method, line.path)), "{} {}", line.method, line.path);
        }
    }
}
