//! A sale file becomes a definition, or a list of complaints: each with its place, all of them at once.

use std::collections::BTreeMap;

use serde_yaml::Value;

use super::build::build;
use super::definition::Definition;
use super::environment::variable;
use super::keys::{KEYS, Kind, below, find, pattern};
use super::places::{Place, Places, VALID, places};
use super::problem::Problem;

/// The largest sale file, bytes.
pub const LARGEST: usize = 1 << 20;

/// The most complaints about one file.
pub const MOST: usize = 20;
/// Characters of a value that a complaint repeats.
const REPEATED: usize = 200;

/// A longer word is no key that was mistyped.
const LONGEST_KEY: usize = 64;

/// Where a value came from.
#[derive(Debug, Clone, PartialEq, Eq, serde::Serialize)]
pub enum Source {
    /// `--set`.
    Flag,
    /// A `FLASHSALE_` variable.
    Environment,
    /// The file's line.
    File(usize),
    /// The table of defaults.
    Default,
}

/// A definition, and where each of its values came from.
#[derive(Debug, Clone)]
pub struct Sale {
    /// The definition.
    pub definition: Definition,
    /// (value as written, source) by path.
    pub resolved: BTreeMap<String, (String, Source)>,
}

/// Reads a sale file. `file` is only a name for complaints; `sets` are `key.path=value`, which go before the file.
///
/// # Errors
/// Every complaint that could be found.
pub fn read(text: &str, file: &str, sets: &[String]) -> Result<Sale, Vec<Problem>> {
    read_in(text, file, &[], sets)
}

/// The same with what the environment sets, which goes before the file and behind `sets`; its errors are the same too.
pub fn read_in(text: &str, file: &str, environment: &[String], sets: &[String]) -> Result<Sale, Vec<Problem>> {
    let mut reader = Reader::new(text, file);
    if text.len() > LARGEST {
        reader.complain("", format!("the file has {} bytes", text.len()), "at most 1 MiB");
        return Err(reader.complaints());
    }
    reader.places = places(text);
    let wrong = std::mem::take(&mut reader.places.wrong);
    for (path, place, message, help) in wrong {
        reader.complain_at(&path, place, message, help);
    }
    if !reader.problems.is_empty() {
        return Err(reader.complaints());
    }
    match serde_yaml::from_str::<Value>(text) {
        Ok(root @ Value::Mapping(_)) => reader.root = root,
        Ok(Value::Null) => {
            reader.complain("", "the file says nothing", "`sale:` and `items:`; flashsale init shows all")
        }
        Ok(_) => reader.complain("", "a sale is written in keys", "`sale: sneaker-drop` and `items:` lines"),
        Err(error) => {
            let place = error.location().map_or((1, 1), |at| (at.line(), at.column()));
            reader.complain_at("", place, error.to_string(), VALID.to_owned());
        }
    }
    if !reader.problems.is_empty() {
        return Err(reader.complaints());
    }
    for set in environment {
        reader.set(set);
    }
    reader.environment = std::mem::take(&mut reader.set);
    for set in sets {
        reader.set(set);
    }
    let root = reader.root.clone();
    reader.structure("", &root);
    let definition = build(&mut reader);
    match definition {
        Some(definition) if reader.problems.is_empty() => Ok(Sale { definition, resolved: reader.resolved }),
        _ => Err(reader.complaints()),
    }
}

/// Reads values by path and collects complaints.
pub(super) struct Reader {
    file: String,
    lines: Vec<String>,
    places: Places,
    root: Value,
    set: Vec<String>,
    environment: Vec<String>,
    untold: usize,
    pub(super) problems: Vec<Problem>,
    pub(super) resolved: BTreeMap<String, (String, Source)>,
}

impl Reader {
    fn new(text: &str, file: &str) -> Self {
        Self {
            file: file.to_owned(),
            lines: text.lines().map(str::to_owned).collect(),
            places: Places::default(),
            root: Value::Null,
            set: Vec::new(),
            environment: Vec::new(),
            untold: 0,
            problems: Vec::new(),
            resolved: BTreeMap::new(),
        }
    }

    /// Complains about a path; where it is missing, about the nearest thing above it that the file names.
    pub(super) fn complain(&mut self, path: &str, message: impl Into<String>, help: impl Into<String>) {
        if self.set.iter().any(|set| set == path) {
            // The file's line says something else.
            return self.complain_at(path, (0, 0), format!("{} (from --set)", message.into()), help.into());
        }
        if self.environment.iter().any(|set| set == path) {
            let variable = variable(path).unwrap_or_default();
            return self.complain_at(path, (0, 0), format!("{} (from {variable})", message.into()), help.into());
        }
        let mut above = path;
        let place = loop {
            match self.places.of.get(above) {
                Some(place) if !above.is_empty() || path.is_empty() => break *place,
                _ if above.is_empty() => break (0, 0),
                _ => above = above.rfind(['.', '[']).map_or("", |at| &above[..at]),
            }
        };
        self.complain_at(path, place, message.into(), help.into());
    }

    fn complain_flag(&mut self, message: String, help: &str) {
        self.complain_at("", (0, 0), message, help.to_owned());
    }

    /// Whether nothing was complained about these.
    pub(super) fn sound(&self, paths: &[&str]) -> bool {
        !self.problems.iter().any(|problem| paths.contains(&problem.path.as_str()))
    }

    fn complain_at(&mut self, path: &str, place: Place, message: String, help: String) {
        if self.problems.len() >= MOST {
            self.untold += 1;
            return;
        }
        let (path, message) = (plain(path), plain(&message));
        let (line, column) = place;
        let text = line.checked_sub(1).and_then(|line| self.lines.get(line)).cloned().unwrap_or_default();
        let file = self.file.clone();
        self.problems.push(Problem { file, line, column, path, text, message, help });
    }

    /// All of them in the file's order, and how many more there were.
    fn complaints(mut self) -> Vec<Problem> {
        self.problems.sort_by_key(|problem| (problem.line, problem.column));
        if self.untold > 0 {
            let (file, message) = (self.file, format!("and {} more", self.untold));
            let (path, text, help) = (String::new(), String::new(), String::new());
            self.problems.push(Problem { file, line: 0, column: 0, path, text, message, help });
        }
        self.problems
    }

    /// `--set key.path=value`.
    fn set(&mut self, set: &str) {
        let Some((path, text)) = set.split_once('=') else {
            return self.complain_flag(format!("--set {set} has no ="), "--set key.path=value");
        };
        let Some(key) = find(&pattern(path)).filter(|key| !matches!(key.kind, Kind::Map | Kind::List(..))) else {
            let near = nearest(path, KEYS.iter().map(|key| key.path)).unwrap_or("a path of the file's keys");
            return self.complain_flag(format!("--set {path}: no such key"), near);
        };
        let parsed = serde_yaml::from_str(text).unwrap_or_else(|_| Value::String(text.to_owned()));
        let value = match (key.kind, parsed) {
            (_, parsed @ (Value::String(_) | Value::Null)) => parsed,
            (Kind::Integer(..) | Kind::Truth | Kind::Secret | Kind::Any, parsed) => parsed,
            // A shell has no quotes to say that 007 is a name.
            _ => Value::String(text.to_owned()),
        };
        if put(&mut self.root, path, value) {
            self.set.push(path.to_owned());
        } else {
            self.complain_flag(format!("--set {path}: there is no such entry in the file"), "a path that exists");
        }
    }

    /// Unknown keys, and maps and lists that are none.
    fn structure(&mut self, path: &str, value: &Value) {
        let kind = find(&pattern(path)).map_or(Kind::Map, |key| key.kind);
        match (kind, value) {
            // `key:` alone is as good as absent; an entry is there to say something.
            (_, Value::Null) if kind != Kind::Map && path.ends_with(']') => {
                self.complain(path, "this entry is empty", kind.takes());
            }
            (Kind::Any | Kind::Secret, _) | (_, Value::Null) => {}
            (Kind::Map, Value::Mapping(map)) => self.keys(path, map),
            (Kind::List(least, most), Value::Sequence(list)) => {
                if !(least..=most).contains(&list.len()) {
                    self.complain(
                        path,
                        format!("{} entries", list.len()),
                        match least {
                            0 => format!("at most {most} of them"),
                            _ => format!("from {least} to {most} of them"),
                        },
                    );
                }
                for (place, inner) in list.iter().enumerate().take(most) {
                    self.structure(&format!("{path}[{place}]"), inner);
                }
            }
            (Kind::Map, _) => self.complain(path, "this takes further keys", kind.takes()),
            (Kind::List(..), _) => self.complain(path, "this takes a list", kind.takes()),
            (_, Value::Mapping(_) | Value::Sequence(_)) => self.complain(path, "this takes one value", kind.takes()),
            _ => {}
        }
    }

    fn keys(&mut self, path: &str, map: &serde_yaml::Mapping) {
        let parent = pattern(path);
        for (name, inner) in map {
            let Some(name) = name.as_str() else {
                let name = serde_yaml::to_string(name).unwrap_or_default();
                let full = if path.is_empty() { name } else { format!("{path}.{name}") };
                self.complain(full.trim_end(), "a key that is not text", "`key: value`, the key a word");
                continue;
            };
            let full = if path.is_empty() { name.to_owned() } else { format!("{path}.{name}") };
            if below(&parent).any(|key| key.path == pattern(&full)) {
                self.structure(&full, inner);
            } else {
                self.complain(&full, format!("unknown key {name}"), instead(name, &parent));
            }
        }
    }

    /// The value at a path, if one is there and not null.
    pub(super) fn value(&self, path: &str) -> Option<&Value> {
        get(&self.root, path).filter(|value| !value.is_null())
    }

    /// How many entries a list has.
    pub(super) fn entries(&self, path: &str) -> usize {
        self.value(path).and_then(Value::as_sequence).map_or(0, Vec::len)
    }

    /// A value as written, from the file or the table; what is required and missing, or of another type, is complained
    /// about.
    pub(super) fn text(&mut self, path: &str) -> Option<String> {
        let key = find(&pattern(path))?;
        if let Some(value) = self.value(path) {
            let unquoted = match key.kind {
                Kind::Integer(..) => Some("not a number"),
                Kind::Truth => Some("not true or false"),
                _ => None,
            };
            let words = matches!(key.kind, Kind::Name | Kind::Text);
            let (text, wrong) = match value {
                Value::String(text) => (text.clone(), unquoted.map(|not| format!("\"{text}\" is text, {not}"))),
                Value::Number(read) => (read.to_string(), words.then(|| format!("{read} is read as a number"))),
                Value::Bool(read) => {
                    (read.to_string(), words.then(|| format!("{read} is read as yes or no, not text")))
                }
                _ => return None,
            };
            if let Some(wrong) = wrong {
                let help =
                    if words { "it in quotes".to_owned() } else { format!("{}, without quotes", key.kind.takes()) };
                self.complain(path, wrong, help);
                return None;
            }
            let line = self.places.of.get(path).map_or(0, |place| place.0);
            let by = |paths: &[String]| paths.iter().any(|set| set == path);
            let source = match (by(&self.set), by(&self.environment)) {
                (true, _) => Source::Flag,
                (_, true) => Source::Environment,
                _ => Source::File(line),
            };
            self.resolved.insert(path.to_owned(), (text.clone(), source));
            return Some(text);
        }
        let above = path.rfind('.').map(|at| &path[..at]);
        if key.required && above.is_none_or(|above| self.sound(&[above])) {
            self.complain(path, "this key is missing", format!("{}: {}", last(key.path), key.kind.takes()));
        }
        let text = key.default?.to_owned();
        self.resolved.insert(path.to_owned(), (text.clone(), Source::Default));
        Some(text)
    }
}

/// On one line, and not longer than one reads.
fn plain(text: &str) -> String {
    let shown = text.chars().take(REPEATED).map(|letter| if letter.is_control() { ' ' } else { letter });
    let rest = if text.chars().nth(REPEATED).is_some() { "..." } else { "" };
    shown.chain(rest.chars()).collect()
}

/// A key's own name.
fn last(path: &'static str) -> &'static str {
    path.rsplit('.').next().unwrap_or(path)
}

/// What to write in place of an unknown key: where a key of this name belongs, the nearest known one, or all there are.
fn instead(name: &str, parent: &str) -> String {
    let known = || below(parent).map(|key| last(key.path));
    if let Some(elsewhere) = KEYS.iter().find(|key| last(key.path) == name) {
        return format!("it as {}", elsewhere.path);
    }
    nearest(name, known()).map_or_else(|| format!("one of {}", known().collect::<Vec<_>>().join(", ")), str::to_owned)
}

/// The known word that was probably meant: a third of the letters may differ.
fn nearest<'a>(word: &str, known: impl Iterator<Item = &'a str>) -> Option<&'a str> {
    let letters = word.chars().count();
    if letters > LONGEST_KEY {
        return None;
    }
    let allowed = (letters / 3).clamp(1, 3);
    known
        .map(|candidate| (strsim::damerau_levenshtein(word, candidate), candidate))
        .filter(|(distance, _)| *distance <= allowed)
        .min_by_key(|(distance, _)| *distance)
        .map(|(_, candidate)| candidate)
}

/// `items[0].stock` in steps.
fn steps(path: &str) -> impl Iterator<Item = Result<&str, usize>> {
    path.split('.').flat_map(|part| {
        let (name, indices) = part.split_once('[').map_or((part, ""), |(name, rest)| (name, rest));
        let indices = indices.split(['[', ']']).filter_map(|index| index.parse().ok()).map(Err);
        (!name.is_empty()).then_some(Ok(name)).into_iter().chain(indices)
    })
}

fn get<'a>(root: &'a Value, path: &str) -> Option<&'a Value> {
    steps(path).try_fold(root, |value, step| match step {
        Ok(name) => value.get(name),
        Err(index) => value.get(index),
    })
}

fn put(root: &mut Value, path: &str, new: Value) -> bool {
    let mut at = root;
    for step in steps(path) {
        if at.is_null() {
            *at = Value::Mapping(serde_yaml::Mapping::new());
        }
        let next = match step {
            Ok(name) => match at {
                Value::Mapping(map) => Some(map.entry(Value::String(name.to_owned())).or_insert(Value::Null)),
                _ => None,
            },
            Err(index) => at.get_mut(index),
        };
        match next {
            Some(next) => at = next,
            None => return false,
        }
    }
    *at = new;
    true
}
