//! What a reader may rely on all over the repository: who may know whom, how long a file is, what is never written.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]

use std::fs;
use std::path::{Path, PathBuf};

/// A file tells one story; past this many lines there are two.
const LONGEST_FILE: usize = 400;
/// The formatter cannot break a long string or comment; this can.
const WIDEST_LINE: usize = 140;

fn root() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).parent().unwrap().to_path_buf()
}

/// Every file below the given folders whose name ends so, with its text, named from the root.
fn files(folders: &[&str], endings: &[&str]) -> Vec<(String, String)> {
    fn walk(folder: &Path, found: &mut Vec<PathBuf>) {
        for entry in fs::read_dir(folder).unwrap().map(Result::unwrap) {
            let path = entry.path();
            if path.is_dir() {
                if path.file_name().is_some_and(|name| name != "target" && name != ".git" && name != "reports") {
                    walk(&path, found);
                }
            } else {
                found.push(path);
            }
        }
    }
    let root = root();
    let mut found = Vec::new();
    for folder in folders {
        if root.join(folder).exists() {
            walk(&root.join(folder), &mut found);
        }
    }
    found.sort();
    found
        .into_iter()
        .filter(|path| endings.iter().any(|ending| path.to_string_lossy().ends_with(ending)))
        .map(|path| {
            let name = path.strip_prefix(&root).unwrap().to_string_lossy().into_owned();
            (name, fs::read_to_string(&path).unwrap())
        })
        .collect()
}

fn sources() -> Vec<(String, String)> {
    files(&["cli", "engine"], &[".rs"])
}

#[track_caller]
fn none(complaints: &[String], rule: &str) {
    assert!(complaints.is_empty(), "{rule}:\n  {}", complaints.join("\n  "));
}

#[test]
fn a_file_tells_one_story() {
    let long: Vec<String> = sources()
        .iter()
        .filter(|(_, text)| text.lines().count() > LONGEST_FILE)
        .map(|(name, text)| format!("{name}: {} lines", text.lines().count()))
        .collect();
    none(&long, "longer than 400 lines; look for the second story");
}

#[test]
fn lines_fit_on_a_screen() {
    let mut wide = Vec::new();
    for (name, text) in sources() {
        for (number, line) in text.lines().enumerate() {
            if line.chars().count() > WIDEST_LINE {
                wide.push(format!("{name}:{}", number + 1));
            }
        }
    }
    none(&wide, "wider than 140 characters");
}

#[test]
fn nothing_is_left_loose() {
    let loose = ["todo!(", "unimplemented!(", "#[ignore", concat!("FIX", "ME"), "SKELETON"];
    let mut found = Vec::new();
    for (name, text) in sources() {
        if name.ends_with("tests/tidy.rs") {
            continue;
        }
        for (number, line) in text.lines().enumerate() {
            for word in loose.iter().filter(|word| line.contains(**word)) {
                found.push(format!("{name}:{}: {word}", number + 1));
            }
        }
    }
    none(&found, "loose ends");
}

#[test]
fn no_module_is_a_drawer() {
    let drawers: Vec<String> = sources()
        .iter()
        .filter(|(name, _)| {
            let stem = Path::new(name).file_stem().unwrap().to_string_lossy().into_owned();
            ["util", "utils", "helper", "helpers", "common", "misc", "manager"].contains(&stem.as_str())
        })
        .map(|(name, _)| name.clone())
        .collect();
    none(&drawers, "a name that says nothing");
}

/// The dependencies of a package, from its manifest: `[dependencies]` only.
fn dependencies(manifest: &str) -> Vec<String> {
    let text = fs::read_to_string(root().join(manifest)).unwrap();
    text.lines()
        .skip_while(|line| line.trim() != "[dependencies]")
        .skip(1)
        .take_while(|line| !line.starts_with('['))
        .filter_map(|line| line.split(['.', ' ', '=']).next().map(str::to_owned))
        .filter(|name| !name.is_empty() && !name.starts_with('#'))
        .collect()
}

#[test]
fn every_dependency_is_used() {
    let mut unused = Vec::new();
    for (manifest, folder) in [("engine/core", "engine/core/src"), ("engine", "engine/src"), ("cli", "cli/src")] {
        let sources = files(&[folder], &[".rs"]);
        for name in dependencies(&format!("{manifest}/Cargo.toml")) {
            let word = name.replace('-', "_");
            let says = |text: &str| text.contains(&format!("{word}::")) || text.contains(&format!("{word}!"));
            if !sources.iter().any(|(_, text)| says(text)) {
                unused.push(format!("{manifest}: {name}"));
            }
        }
    }
    none(&unused, "a dependency that no source names");
}

#[test]
fn packages_know_only_what_lies_below_them() {
    assert_eq!(dependencies("engine/core/Cargo.toml"), ["serde"], "core knows the language and no more");
    let engine = dependencies("engine/Cargo.toml");
    assert!(engine.contains(&"flashsale-core".to_owned()) && !engine.contains(&"flashsale".to_owned()));
    assert!(dependencies("cli/Cargo.toml").contains(&"flashsale-engine".to_owned()));
}

#[test]
fn core_reads_no_clock_no_chance_and_no_world() {
    let world =
        ["std::time", "std::net", "std::fs", "std::env", "std::thread", "SystemTime", "Instant", "async fn", "rand::"];
    let mut found = Vec::new();
    for (name, text) in files(&["engine/core/src"], &[".rs"]) {
        for (number, line) in text.lines().enumerate() {
            for word in world.iter().filter(|word| line.contains(**word)) {
                found.push(format!("{name}:{}: {word}", number + 1));
            }
        }
    }
    none(&found, "core must give the same answer to whoever folds the log");
}

#[test]
fn only_the_composition_names_adapters() {
    let mut found = Vec::new();
    for (name, text) in files(&["engine/src"], &[".rs"]) {
        let allowed = name.starts_with("engine/src/adapters/")
            || name.starts_with("engine/src/compose")
            || name == "engine/src/lib.rs";
        let product = text.split("#[cfg(test)]").next().unwrap_or_default();
        if !allowed && product.contains("adapters::") {
            found.push(name);
        }
    }
    none(&found, "gateway, allocator, replay and simulator see ports, never adapters");
}

#[test]
fn only_the_output_prints() {
    let mut found = Vec::new();
    for (name, text) in files(&["cli/src", "engine/src"], &[".rs"]) {
        let product = text.split("#[cfg(test)]").next().unwrap_or_default();
        let prints = ["println!", "print!(", "eprintln!", "stdout()"].iter().any(|word| product.contains(word));
        let allowed = ["cli/src/output.rs", "cli/src/warroom/terminal.rs", "cli/src/context.rs"]
            .contains(&name.as_str())
            || name.starts_with("engine/src/bin/");
        if prints && !allowed {
            found.push(name);
        }
    }
    none(&found, "data goes through the one output module");
}

#[test]
fn migrations_say_what_each_table_is_for() {
    let migrations = files(&["migrations"], &[".sql"]);
    assert!(!migrations.is_empty());
    let mut bare = Vec::new();
    for (name, text) in migrations {
        let lines: Vec<&str> = text.lines().collect();
        for (number, line) in lines.iter().enumerate() {
            let annotated = number > 0 && lines[number - 1].trim_start().starts_with("--");
            if line.starts_with("create table") && !annotated {
                bare.push(format!("{name}:{}", number + 1));
            }
        }
    }
    none(&bare, "a table without a comment above it");
}

#[test]
fn links_in_the_documents_lead_somewhere() {
    let mut pages = files(&["docs", "migrations", "sale-configs"], &[".md"]);
    for page in ["README.md", "ARCHITECTURE.md"] {
        pages.push((page.to_owned(), fs::read_to_string(root().join(page)).unwrap()));
    }
    let mut broken = Vec::new();
    for (name, text) in pages {
        for target in text.split("](").skip(1).filter_map(|rest| rest.split(')').next()) {
            let file = target.split('#').next().unwrap_or_default();
            if file.is_empty() || file.contains("://") {
                continue;
            }
            let beside = root().join(&name).parent().unwrap().join(file);
            if !beside.exists() {
                broken.push(format!("{name}: {target}"));
            }
        }
    }
    none(&broken, "links to nothing");
}

#[test]
fn the_repository_speaks_of_the_product_alone() {
    // Machine paths and registry hosts tell a stranger nothing and leak where it was made.
    let words = [concat!("/work", "/"), concat!("/tmp", "/h/"), concat!("index.", "crates.io"), concat!("/root", "/")];
    let mut found = Vec::new();
    for (name, text) in files(&[""], &[".rs", ".md", ".yaml", ".toml", ".sql", "Makefile", "run", ".j2", ".html"]) {
        for word in words.iter().filter(|word| text.contains(**word)) {
            found.push(format!("{name}: {word}"));
        }
    }
    none(&found, "words of the workshop");
}
