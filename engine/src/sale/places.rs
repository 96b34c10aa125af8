//! Where every key and entry of a YAML text stands; duplicate keys and aliases are found on the way.

use std::collections::HashMap;

use saphyr_parser::{Event, Parser};

/// The deepest nesting that is read.
const DEEPEST: usize = 16;

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
    Map { path: String, key: Option<String>, keys: Vec<String> },
    List { path: String, next: usize },
}

/// Walks the text's events.
#[must_use]
pub fn places(text: &str) -> Places {
    let mut places = Places::default();
    let mut open: Vec<Open> = Vec::new();
    for event in Parser::new_from_str(text) {
        let (event, span) = match event {
            Ok(event) => event,
            Err(error) => {
                let place = (error.marker().line(), error.marker().col() + 1);
                places.wrong.push((String::new(), place, error.info().to_owned(), "valid YAML".to_owned()));
                return places;
            }
        };
        let place = (span.start.line(), span.start.col() + 1);
        let begins = matches!(event, Event::MappingStart(..) | Event::SequenceStart(..));
        match event {
            Event::Alias(_) => {
                places.wrong.push((
                    String::new(),
                    place,
                    "anchors and aliases are not read".to_owned(),
                    "the value itself".to_owned(),
                ));
                return places;
            }
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
                    Event::MappingStart(..) => open.push(Open::Map { path, key: None, keys: Vec::new() }),
                    Event::SequenceStart(..) => open.push(Open::List { path, next: 0 }),
                    _ => {}
                }
            }
            _ => {}
        }
    }
    places
}

fn at_key(open: &[Open]) -> bool {
    matches!(open.last(), Some(Open::Map { key: None, .. }))
}

fn name_key(places: &mut Places, open: &mut [Open], name: &str, place: Place) {
    let Some(Open::Map { path, key, keys }) = open.last_mut() else { return };
    let full = if path.is_empty() { name.to_owned() } else { format!("{path}.{name}") };
    if keys.iter().any(|known| known == name) {
        let message = format!("{name} stands here a second time");
        places.wrong.push((full.clone(), place, message, "it once".to_owned()));
    }
    keys.push(name.to_owned());
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
