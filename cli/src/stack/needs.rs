//! What provider `process` needs of this machine, and how that is installed: the one definition of both.

use std::path::PathBuf;
use std::process::{Command, Stdio};

use super::error::StackError;
use super::{jars, programs};

/// A program that must be here.
#[derive(Debug)]
pub struct Need {
    /// What it is, for people.
    pub what: &'static str,
    /// Where it is.
    pub find: fn() -> Result<PathBuf, StackError>,
    /// Its packages, in the order of [`MANAGERS`].
    packages: [&'static str; MANAGERS.len()],
}

/// Everything that is needed.
pub const NEEDS: &[Need] = &[
    Need {
        what: "PostgreSQL",
        find: programs::postgres,
        packages: ["postgresql", "postgresql-server", "postgresql", "postgresql", "postgresql@17"],
    },
    Need { what: "Redis", find: programs::redis, packages: ["redis-server", "valkey", "redis", "valkey", "redis"] },
    Need {
        what: "Java",
        find: programs::java,
        packages: [
            "default-jre-headless",
            "java-latest-openjdk-headless",
            "openjdk17-jre-headless",
            "jre-openjdk-headless",
            "openjdk",
        ],
    },
    Need {
        what: "Kafka",
        find: || jars::installed().ok_or(StackError::Missing("Kafka")),
        // Maven fetches it.
        packages: ["maven"; MANAGERS.len()],
    },
];

/// A package manager, and what it is told before and with the packages.
struct Manager {
    program: &'static str,
    refresh: Option<&'static [&'static str]>,
    install: &'static [&'static str],
    root: bool,
}

const MANAGERS: [Manager; 5] = [
    Manager {
        program: "apt-get",
        refresh: Some(&["update", "-q"]),
        install: &["install", "-q", "-y", "--no-install-recommends"],
        root: true,
    },
    Manager { program: "dnf", refresh: None, install: &["install", "-y"], root: true },
    Manager { program: "apk", refresh: None, install: &["add"], root: true },
    Manager { program: "pacman", refresh: None, install: &["-S", "--noconfirm"], root: true },
    Manager { program: "brew", refresh: None, install: &["install"], root: false },
];

/// The commands that install what is missing on this system, as one would type them; none where its package manager is
/// not known, or nothing is missing.
#[must_use]
pub fn commands(missing: &[&Need]) -> Vec<Vec<String>> {
    let Some(place) = MANAGERS.iter().position(|manager| programs::find(manager.program).is_some()) else {
        return Vec::new();
    };
    let maven = programs::find("mvn").is_some();
    let wanted = missing.iter().map(|need| need.packages[place]).filter(|package| *package != "maven" || !maven);
    let packages: Vec<&str> = wanted.collect();
    if packages.is_empty() {
        return Vec::new();
    }
    let manager = &MANAGERS[place];
    let sudo = (manager.root && !rustix::process::geteuid().is_root()).then_some("sudo");
    let command = |words: &[&str], packages: &[&str]| {
        let words = sudo.iter().chain([&manager.program]).chain(words).chain(packages);
        words.map(|word| (*word).to_owned()).collect::<Vec<_>>()
    };
    let refresh = manager.refresh.map(|words| command(words, &[]));
    refresh.into_iter().chain([command(manager.install, &packages)]).collect()
}

/// What to type for one that is missing.
#[must_use]
pub fn remedy(need: &Need) -> String {
    let commands: Vec<String> = commands(&[need]).iter().map(|words| words.join(" ")).collect();
    match need.what {
        "Kafka" if commands.is_empty() && programs::find("mvn").is_some() => {
            "flashsale doctor --fix fetches it by Maven, and so does the first `up`".to_owned()
        }
        _ if commands.is_empty() => format!("install {} (packages like {})", need.what, need.packages[0]),
        _ => commands.join(" && "),
    }
}

/// Installs what is missing: packages first, then what Maven fetches. What a package manager says goes to standard error.
///
/// # Errors
/// When a command fails.
pub fn install(missing: &[&Need]) -> Result<(), StackError> {
    for words in commands(missing) {
        let mut command = Command::new(&words[0]);
        command.args(&words[1..]).env("DEBIAN_FRONTEND", "noninteractive");
        command.stdin(Stdio::null()).stdout(Stdio::from(std::io::stderr()));
        let status = command.status().map_err(StackError::at(words[0].as_ref()))?;
        if !status.success() {
            return Err(StackError::Tool { tool: words.join(" "), said: status.to_string() });
        }
    }
    if missing.iter().any(|need| need.what == "Kafka") {
        jars::folder()?;
    }
    Ok(())
}
