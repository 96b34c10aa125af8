//! Where every key and entry of a YAML text stands; duplicate keys, aliases, tags and second documents, which no value
//! shows, are found on the way.

use std::collections::{HashMap, HashSet};

use saphyr_parser::{Event, Parser, ScalarStyle};

/// The deepest nesting that is read.
const DEEPEST: usize = 16;

/// Digits and sign of the largest plain number that is read.
const LONGEST_NUMBER: usize = 18;
/// What to write where a parser gives up.
pub const VALID: &str = "valid YAML: see the indentation, quotes and brackets up to here";

/// (line, column), both from 1.
pub type Place = (usize, usize);

/// Where things stand.
#[derive(Debug, Default)]
pub struct Places {
    /// Of keys and entries, by path.
    pub of: HashMap<String, Place>,
    /// What no value can say: (path, place, message, help).
    pub wrong: Vec<(String, Place, String, String)>,
}

/// An open mapping or list.
enum Open {
    Map { path: String, key: Option<String>, keys: HashSet<String> },
    List { path: String, next: usize },
}

/// Walks the text's events.
#[must_use]
pub fn places(text: &str) -> Places {
    let mut places = Places::default();
    let mut open: Vec<Open> = Vec::new();
    let mut documents = 0;
    if let Some((place, letter)) = control(text) {
        let message = format!("a control character, U+{:04X}", u32::from(letter));
        places.wrong.push((String::new(), place, message, "text without it".to_owned()));
        return places;
    }
    for event in Parser::new_from_str(text) {
        let (event, span) = match event {
            Ok(event) => event,
            Err(error) => {
                let place = (error.marker().line(), error.marker().col() + 1);
                let help = if error.info().contains("tab") { "spaces instead of the tab" } else { VALID };
                places.wrong.push((String::new(), place, error.info().to_owned(), help.to_owned()));
                return places;
            }
        };
        let place = (span.start.line(), span.start.col() + 1);
        if matches!(event, Event::DocumentStart(_)) {
            documents += 1;
        }
        if let Some((message, help)) = unread(&event, documents, at_key(&open)) {
            places.wrong.push((String::new(), place, message.to_owned(), help.to_owned()));
            return places;
        }
        let begins = matches!(event, Event::MappingStart(..) | Event::SequenceStart(..));
        match event {
            Event::MappingEnd | Event::SequenceEnd => {
                open.pop();
            }
            Event::Scalar(ref value, ..) if at_key(&open) => name_key(&mut places, &mut open, value, place),
            Event::Scalar(..) | Event::MappingStart(..) | Event::SequenceStart(..) => {
                let path = value_path(&mut open);
                places.of.entry(path.clone()).or_insert(place);
                if begins && open.len() >= DEEPEST {
                    let message = format!("nested deeper than {DEEPEST} levels");
                    places.wrong.push((path, place, message, "fewer levels".to_owned()));
                    return places;
                }
                match event {
                    Event::MappingStart(..) => open.push(Open::Map { path, key: None, keys: HashSet::new() }),
                    Event::SequenceStart(..) => open.push(Open::List { path, next: 0 }),
                    _ => {}
                }
            }
            _ => {}
        }
    }
    places
}

/// YAML that a sale file never needs, and that would not mean to a reader what it says: what, and what to write instead.
fn unread(event: &Event<'_>, documents: usize, at_key: bool) -> Option<(&'static str, &'static str)> {
    let (anchor, tagged, scalar) = match event {
        Event::Alias(_) => return Some(("anchors and aliases are not read", "the value itself")),
        Event::DocumentStart(_) if documents > 1 => return Some(("a second document begins here", "one sale a file")),
        Event::Scalar(_, _, anchor, tag) => (*anchor, tag.is_some(), true),
        Event::MappingStart(anchor, tag) | Event::SequenceStart(anchor, tag) => (*anchor, tag.is_some(), false),
        _ => return None,
    };
    if let Event::Scalar(value, ScalarStyle::Plain, ..) = event
        && value.trim_start_matches(['-', '+']).bytes().all(|byte| byte.is_ascii_digit())
        && value.len() > LONGEST_NUMBER
    {
        return Some(("this number is too large to be read", "a smaller one; quotes make it text"));
    }
    match () {
        () if anchor > 0 => Some(("anchors and aliases are not read", "the value itself")),
        () if tagged => Some(("tags are not read", "the value alone; quotes make it text")),
        () if at_key && !scalar => Some(("a key that is not text", "`key: value`, the key a word")),
        () => None,
    }
}

/// The first control character that is no line's end and no tab: one parser stops there without a place, one reads on.
fn control(text: &str) -> Option<(Place, char)> {
    let wrong = |letter: &char| letter.is_control() && !matches!(letter, '\n' | '\r' | '\t');
    text.lines().enumerate().find_map(|(line, text)| {
        let (column, letter) = text.chars().enumerate().find(|(_, letter)| wrong(letter))?;
        Some(((line + 1, column + 1), letter))
    })
}

fn at_key(open: &[Open]) -> bool {
    matches!(open.last(), Some(Open::Map { key: None, .. }))
}

fn name_key(places: &mut Places, open: &mut [Open], name: &str, place: Place) {
    let Some(Open::Map { path, key, keys }) = open.last_mut() else { return };
    let full = if path.is_empty() { name.to_owned() } else { format!("{path}.{name}") };
    if !keys.insert(name.to_owned()) {
        let message = format!("{name} stands here a second time");
        places.wrong.push((full.clone(), place, message, "it once".to_owned()));
    }
    places.of.entry(full.clone()).or_insert(place);
    *key = Some(full);
}

/// The path of the value that begins now.
fn value_path(open: &mut [Open]) -> String {
    match open.last_mut() {
        None => String::new(),
        Some(Open::Map { key, path, .. }) => key.take().unwrap_or_else(|| path.clone()),
        Some(Open::List { path, next }) => {
            *next += 1;
            format!("{path}[{}]", *next - 1)
        }
    }
}
