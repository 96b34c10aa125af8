//! Sale files, right and wrong: folders of them, each wrong one with what is said of it; the schema and the reader agree.
//!
//! `invalid_sales/NAME.txt` is the whole complaint about `invalid_sales/NAME.yaml`. After a wanted change,
//! `UPDATE=1 cargo test -p flashsale --test sales` writes them anew; read every one before you keep it.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]

use std::collections::BTreeSet;
use std::fs;
use std::path::{Path, PathBuf};
use std::process::{Command, Output};

use flashsale_engine::sale::keys::{KEYS, Kind, pattern};
use flashsale_engine::sale::{LARGEST, read, schema};
use proptest::prelude::*;

/// Complaints that only reading can make: about moments, combinations, and values whose bounds a pattern cannot say.
/// The schema lets these files pass; every other wrong file it refuses as the reader does.
const BEYOND_THE_SCHEMA: &[&str] = &[
    "address_without_port",
    "arrivals_back_in_time",
    "broker_without_port",
    "duplicate_sku",
    "duration_too_long",
    "external_without_servers",
    "hold_longer_than_the_sale",
    "kafka_login_nobody_asks_for",
    "kafka_login_without_password",
    "money_in_two_currencies",
    "more_bots_than_reserves",
    "more_people_than_there_are",
    "one_address_for_both",
    "opens_in_a_fold",
    "opens_in_a_gap",
    "opens_in_words",
    "opens_on_no_day",
    "opens_tomorrow",
    "opens_without_zone",
    "operators_on_the_open_net",
    "sale_shorter_than_the_usual_hold",
    "sheds_before_the_usual_warning",
    "two_brokers",
    "units_beyond_counting",
    "warns_after_it_sheds",
    "zone_of_the_opening",
    "zone_that_is_none",
];

/// What YAML itself allows and this product does not, or what is no YAML: JSON Schema never sees it.
const BEFORE_THE_SCHEMA: &[&str] = &[
    "alias",
    "alias_bomb",
    "alias_without_anchor",
    "anchor",
    "control_character",
    "duplicate_key",
    "duplicate_key_in_an_entry",
    "key_that_is_a_list",
    "nested_without_end",
    "stock_beyond_counting",
    "tabs",
    "tag",
    "tag_of_yaml",
    "two_documents",
    "unclosed_brace",
    "unclosed_quote",
    "wrong_indentation",
];

fn folder(name: &str) -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("tests").join(name)
}

/// The sale files of a folder: (name, text), in order.
fn sales(folder: &Path) -> Vec<(String, String)> {
    let paths = fs::read_dir(folder).unwrap().map(|entry| entry.unwrap().path());
    let mut found: Vec<(String, String)> = paths
        .filter(|path| path.extension().is_some_and(|ending| ending == "yaml"))
        .map(|path| (path.file_stem().unwrap().to_str().unwrap().to_owned(), fs::read_to_string(path).unwrap()))
        .collect();
    found.sort();
    assert!(!found.is_empty());
    found
}

/// The examples and the valid files.
fn valid() -> Vec<(String, String)> {
    let mut all = sales(&folder("valid_sales"));
    all.extend(sales(&folder("../../sale-configs")));
    all
}

fn validate(folder: &Path, words: &[&str]) -> Output {
    let mut command = Command::new(env!("CARGO_BIN_EXE_flashsale"));
    command.arg("validate").args(words).current_dir(folder).env("NO_COLOR", "1").output().unwrap()
}

/// A file as a JSON Schema validator sees it.
fn json(text: &str) -> serde_json::Value {
    serde_json::to_value(serde_yaml::from_str::<serde_yaml::Value>(text).unwrap()).unwrap()
}

#[test]
fn valid_files_are_fine_for_reader_and_schema() {
    let validator = jsonschema::draft202012::new(&schema()).unwrap();
    for (name, text) in valid() {
        let problems = read(&text, &name, &[]).err().unwrap_or_default();
        assert!(problems.is_empty(), "{name}: {}", problems[0]);
        let wrong: Vec<String> = validator.iter_errors(&json(&text)).map(|error| error.to_string()).collect();
        assert!(wrong.is_empty(), "{name}: {wrong:?}");
    }
    let output = validate(&folder("valid_sales"), &["smallest.yaml"]);
    assert_eq!((output.status.code(), output.stdout), (Some(0), b"smallest.yaml: sale drop is fine\n".to_vec()));
}

#[test]
fn invalid_files_are_refused_with_exactly_these_words() {
    let folder = folder("invalid_sales");
    let update = std::env::var_os("UPDATE").is_some();
    let mut differences = Vec::new();
    for (name, _) in sales(&folder) {
        let output = validate(&folder, &[&format!("{name}.yaml")]);
        assert_eq!(output.status.code(), Some(65), "{name}: a bad file is 65");
        assert!(output.stdout.is_empty(), "{name}: complaints are no data");
        let told = String::from_utf8(output.stderr).unwrap();
        let beside = folder.join(format!("{name}.txt"));
        if update {
            fs::write(&beside, &told).unwrap();
        } else if fs::read_to_string(&beside).unwrap_or_default() != told {
            differences.push(format!("{name}.yaml says:\n{told}"));
        }
    }
    assert!(differences.is_empty(), "not as in the .txt beside it:\n\n{}", differences.join("\n"));
    let names: BTreeSet<String> = sales(&folder).into_iter().map(|(name, _)| name).collect();
    let texts = fs::read_dir(&folder).unwrap().map(|entry| entry.unwrap().path());
    for text in texts.filter(|path| path.extension().is_some_and(|ending| ending == "txt")) {
        assert!(names.contains(text.file_stem().unwrap().to_str().unwrap()), "{}: about no file", text.display());
    }
}

#[test]
fn the_schema_refuses_what_the_reader_refuses_of_single_keys() {
    let validator = jsonschema::draft202012::new(&schema()).unwrap();
    for (name, text) in sales(&folder("invalid_sales")) {
        if BEFORE_THE_SCHEMA.contains(&name.as_str()) {
            continue;
        }
        let passes = validator.is_valid(&json(&text));
        assert_eq!(passes, BEYOND_THE_SCHEMA.contains(&name.as_str()), "{name}: whether the schema lets it pass");
    }
}

#[test]
fn what_is_no_text_or_too_much_of_it_is_refused_unread() {
    let folder = tempfile::tempdir().unwrap();
    let told = |bytes: &[u8]| {
        fs::write(folder.path().join("sale.yaml"), bytes).unwrap();
        let output = validate(folder.path(), &["sale.yaml"]);
        assert_eq!(output.status.code(), Some(65));
        String::from_utf8(output.stderr).unwrap()
    };
    let limit = format!("flashsale: sale.yaml: {} bytes\n  at most 1 MiB is read\n", LARGEST + 1);
    assert_eq!(told(&vec![b'#'; LARGEST + 1]), limit);
    assert_eq!(
        told(b"sale: drop\nitems: \xff\xfe\n"),
        "flashsale: sale.yaml:2:8: not UTF-8 text\n  save the file as UTF-8\n"
    );
    // What fits in 1 MiB and would take long: all of it is answered, with no more complaints than one reads.
    let many: String = (0..60_000).map(|number| format!("a{number}: {{}}\n")).collect();
    for text in [many, "[".repeat(LARGEST), "- ".repeat(LARGEST / 2), format!("{{{}}}", "a: 1, ".repeat(100_000))] {
        let told = told(text.as_bytes());
        assert!(told.contains("sale.yaml:1:"), "{}", &told[..told.len().min(500)]);
        assert!(told.len() < 50_000, "{} bytes of complaints", told.len());
    }
}

#[test]
fn a_value_from_the_command_line_is_complained_about_as_such() {
    let output = validate(&folder("valid_sales"), &["smallest.yaml", "--set", "hold=2min", "--set", "hodl=2m"]);
    let told = String::from_utf8(output.stderr).unwrap();
    assert_eq!(output.status.code(), Some(65), "{told}");
    assert!(told.contains("smallest.yaml: hold: 2min is not what this takes (from --set)"), "{told}");
    assert!(told.contains("smallest.yaml: --set hodl: no such key\n   write: hold"), "{told}");
}

#[test]
fn the_environment_goes_before_the_file_and_behind_the_flag() {
    let resolved = |flags: &[&str], hold: &str| {
        let mut command = Command::new(env!("CARGO_BIN_EXE_flashsale"));
        command.args(["plan", "block_style.yaml", "--resolved"]).args(flags).current_dir(folder("valid_sales"));
        command.env("FLASHSALE_HOLD", hold).output().unwrap()
    };
    let line = |output: &Output| {
        let text = String::from_utf8(output.stdout.clone()).unwrap();
        let line = text.lines().find(|line| line.starts_with("hold ")).unwrap_or_default();
        line.split_whitespace().map(str::to_owned).collect::<Vec<_>>()
    };
    assert_eq!(line(&resolved(&[], "61s")), ["hold", "61s", "FLASHSALE_HOLD"]);
    assert_eq!(line(&resolved(&["--set", "hold=62s"], "61s")), ["hold", "62s", "--set"]);
    assert_ne!(line(&resolved(&[], ""))[2], "FLASHSALE_HOLD", "an empty variable sets nothing");
    let wrong = resolved(&[], "soon");
    assert_eq!(wrong.status.code(), Some(65));
    assert!(String::from_utf8_lossy(&wrong.stderr).contains("(from FLASHSALE_HOLD)"));
}

#[test]
fn full_yaml_holds_every_key_there_is() {
    /// Every path of a value, as the table of keys writes them.
    fn paths(path: &str, value: &serde_yaml::Value, found: &mut BTreeSet<String>) {
        let known = KEYS.iter().find(|key| key.path == pattern(path));
        found.insert(pattern(path));
        match value {
            serde_yaml::Value::Mapping(map) if known.is_none_or(|key| key.kind == Kind::Map) => {
                for (name, inner) in map {
                    let name = name.as_str().unwrap();
                    paths(&if path.is_empty() { name.to_owned() } else { format!("{path}.{name}") }, inner, found);
                }
            }
            serde_yaml::Value::Sequence(list) => {
                for (place, inner) in list.iter().enumerate() {
                    paths(&format!("{path}[{place}]"), inner, found);
                }
            }
            _ => {}
        }
    }
    let full = fs::read_to_string(folder("../../sale-configs/full.yaml")).unwrap();
    let mut found = BTreeSet::new();
    paths("", &serde_yaml::from_str(&full).unwrap(), &mut found);
    for key in KEYS {
        assert!(found.contains(key.path), "full.yaml has no {}", key.path);
    }
}

/// A valid file with bytes changed, put in, taken out or doubled: near enough to one that the reader gets far.
fn mutated() -> impl Strategy<Value = Vec<u8>> {
    let texts: Vec<String> = valid().into_iter().map(|(_, text)| text).collect();
    let piece = prop_oneof![
        any::<u8>().prop_map(|byte| vec![byte]),
        proptest::sample::select(vec![
            "\n",
            " ",
            "\t",
            ":",
            ": ",
            "- ",
            "[",
            "]",
            "{",
            "}",
            "\"",
            "'",
            "&a ",
            "*a",
            "!!str ",
            "? ",
            "|",
            ">",
            "#",
            "---\n",
            "null",
            "~",
            "true",
            "0",
            "-1",
            "1e9",
            "99999999999999999999",
            "%",
            "ms",
            "\u{feff}",
            "\r\n",
            "é",
        ])
        .prop_map(|text| text.as_bytes().to_vec()),
    ];
    let change = (any::<proptest::sample::Index>(), 0usize..12, piece);
    (proptest::sample::select(texts), proptest::collection::vec(change, 1..6)).prop_map(|(text, changes)| {
        let mut bytes = text.into_bytes();
        for (place, taken, piece) in changes {
            let from = place.index(bytes.len() + 1);
            let to = (from + taken).min(bytes.len());
            bytes.splice(from..to, piece);
        }
        bytes
    })
}

/// Whatever it is: a sale, or complaints that can be shown. A sale is one for the schema too.
fn answers(text: &str, validator: &jsonschema::Validator) {
    match read(text, "sale.yaml", &[]) {
        Ok(_) => assert!(validator.is_valid(&json(text)), "read, and refused by the schema:\n{text}"),
        Err(problems) => {
            assert!(!problems.is_empty(), "refused without a word:\n{text}");
            for problem in problems {
                assert!(problem.to_string().lines().count() <= 5, "{problem}");
            }
        }
    }
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 512, failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn no_bytes_make_the_reader_panic(bytes in proptest::collection::vec(any::<u8>(), 0..400)) {
        let validator = jsonschema::draft202012::new(&schema()).unwrap();
        answers(&String::from_utf8_lossy(&bytes), &validator);
    }

    #[test]
    fn no_mutation_makes_the_reader_panic_or_contradict_the_schema(bytes in mutated()) {
        let validator = jsonschema::draft202012::new(&schema()).unwrap();
        answers(&String::from_utf8_lossy(&bytes), &validator);
    }
}
