//! A sale file becomes a definition, or a list of complaints: each with its place, all of them at once.

use std::collections::BTreeMap;

use serde_yaml::Value;

use super::build::build;
use super::definition::Definition;
use super::keys::{self, KEYS, Kind, below, find, pattern};
use super::places::{Place, Places, places};
use super::problem::Problem;

/// The largest sale file, bytes.
pub const LARGEST: usize = 1 << 20;

/// Where a value came from.
#[derive(Debug, Clone, PartialEq, Eq, serde::Serialize)]
pub enum Source {
    /// `--set`.
    Flag,
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
    let mut reader = Reader::new(text, file);
    if text.len() > LARGEST {
        reader.complain("", format!("the file has {} bytes", text.len()), "at most 1 MiB");
        return Err(reader.problems);
    }
    reader.places = places(text);
    let wrong = std::mem::take(&mut reader.places.wrong);
    for (path, place, message, help) in wrong {
        reader.complain_at(&path, place, message, help);
    }
    if !reader.problems.is_empty() {
        return Err(reader.problems);
    }
    reader.root = match serde_yaml::from_str::<Value>(text) {
        Ok(Value::Null) => Value::Mapping(serde_yaml::Mapping::new()),
        Ok(root) => root,
        Err(error) => {
            let place = error.location().map_or((1, 1), |at| (at.line(), at.column()));
            reader.complain_at("", place, error.to_string(), "valid YAML".to_owned());
            return Err(reader.problems);
        }
    };
    for set in sets {
        reader.set(set);
    }
    let root = reader.root.clone();
    reader.structure("", &root);
    let definition = build(&mut reader);
    match definition {
        Some(definition) if reader.problems.is_empty() => Ok(Sale { definition, resolved: reader.resolved }),
        _ => {
            reader.problems.sort_by_key(|problem| (problem.line, problem.column));
            Err(reader.problems)
        }
    }
}

/// Reads values by path and collects complaints.
pub(super) struct Reader {
    file: String,
    lines: Vec<String>,
    places: Places,
    root: Value,
    set: Vec<String>,
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
            problems: Vec::new(),
            resolved: BTreeMap::new(),
        }
    }

    /// Complains about a path; where it is missing, about the nearest thing above it.
    pub(super) fn complain(&mut self, path: &str, message: impl Into<String>, help: impl Into<String>) {
        let mut above = path;
        let place = loop {
            match self.places.of.get(above) {
                Some(place) => break *place,
                None if above.is_empty() => break (0, 0),
                None => above = above.rfind(['.', '[']).map_or("", |at| &above[..at]),
            }
        };
        self.complain_at(path, place, message.into(), help.into());
    }

    fn complain_at(&mut self, path: &str, place: Place, message: String, help: String) {
        let (line, column) = place;
        let text = line.checked_sub(1).and_then(|line| self.lines.get(line)).cloned().unwrap_or_default();
        let (file, path) = (self.file.clone(), path.to_owned());
        self.problems.push(Problem { file, line, column, path, text, message, help });
    }

    /// `--set key.path=value`.
    fn set(&mut self, set: &str) {
        let Some((path, text)) = set.split_once('=') else {
            return self.complain("", format!("--set {set} has no ="), "--set key.path=value");
        };
        if find(&pattern(path)).is_none_or(|key| matches!(key.kind, Kind::Map | Kind::List)) {
            let near = nearest(path, KEYS.iter().map(|key| key.path));
            return self.complain("", format!("--set {path}: no such key"), near);
        }
        let value = serde_yaml::from_str(text).unwrap_or_else(|_| Value::String(text.to_owned()));
        if put(&mut self.root, path, value) {
            self.set.push(path.to_owned());
        } else {
            self.complain("", format!("--set {path}: there is no such entry in the file"), "a path that exists");
        }
    }

    /// Unknown keys, and maps and lists that are none.
    fn structure(&mut self, path: &str, value: &Value) {
        let known = find(&pattern(path)).map_or(Kind::Map, |key| key.kind);
        let entries = KEYS.iter().any(|key| keys::parent_of(key.path) == pattern(path) && path.ends_with(']'));
        match (known, value) {
            (Kind::Any, _) => {}
            (_, Value::Mapping(map)) if known == Kind::Map || entries => {
                for (name, inner) in map {
                    let Some(name) = name.as_str() else {
                        self.complain(path, "a key that is not text", "text keys");
                        continue;
                    };
                    let full = if path.is_empty() { name.to_owned() } else { format!("{path}.{name}") };
                    let parent = pattern(path);
                    if below(&parent).any(|key| key.path == pattern(&full)) {
                        self.structure(&full, inner);
                    } else {
                        let short = |path: &'static str| path.rsplit('.').next().unwrap_or(path);
                        let near = nearest(name, below(&parent).map(|key| short(key.path)));
                        self.complain(&full, format!("unknown key {name}"), near);
                    }
                }
            }
            (Kind::List, Value::Sequence(list)) => {
                for (place, inner) in list.iter().enumerate() {
                    self.structure(&format!("{path}[{place}]"), inner);
                }
            }
            (Kind::Map, Value::Null) if !path.is_empty() => {}
            (Kind::Map, _) => self.complain(path, "this takes further keys", "`key: value` lines below it"),
            (Kind::List, _) => self.complain(path, "this takes a list", "`- ` entries below it"),
            (Kind::Secret, Value::Mapping(_)) => {}
            (_, Value::Mapping(_) | Value::Sequence(_)) => self.complain(path, "this takes one value", "one value"),
            _ if entries => self.complain(path, "this entry takes keys", "`key: value` pairs"),
            _ => {}
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

    /// A value as written, from the file or the table; what is required and missing is complained about.
    pub(super) fn text(&mut self, path: &str) -> Option<String> {
        let key = find(&pattern(path))?;
        if let Some(value) = self.value(path) {
            let text = match value {
                Value::String(text) => text.clone(),
                Value::Number(number) => number.to_string(),
                Value::Bool(flag) => flag.to_string(),
                _ => return None,
            };
            let line = self.places.of.get(path).map_or(0, |place| place.0);
            let source = if self.set.iter().any(|set| set == path) { Source::Flag } else { Source::File(line) };
            self.resolved.insert(path.to_owned(), (text.clone(), source));
            return Some(text);
        }
        if key.required {
            self.complain(path, format!("{} is missing", key.path), key.about);
            return None;
        }
        let text = key.default?.to_owned();
        self.resolved.insert(path.to_owned(), (text.clone(), Source::Default));
        Some(text)
    }
}

/// The nearest known word, and all of them when there are few.
fn nearest<'a>(word: &str, known: impl Iterator<Item = &'a str>) -> String {
    let known: Vec<&str> = known.collect();
    let best = known.iter().min_by_key(|candidate| strsim::damerau_levenshtein(word, candidate));
    match best {
        Some(best) if strsim::damerau_levenshtein(word, best) <= 3 => (*best).to_owned(),
        _ => format!("one of {}", known.join(", ")),
    }
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
